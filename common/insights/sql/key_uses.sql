-- When each line of keys was last used since @since.
SELECT
  line,
  MAX(event_time) AS used_at
FROM usage
WHERE event_time >= @since
  AND line IS NOT NULL
GROUP BY line
