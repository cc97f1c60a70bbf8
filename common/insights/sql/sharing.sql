-- Calls within @seconds that begin alike and read nothing from a cache, of [@since, @until): turns
-- of one conversation, or calls of one key that agree in size and tokens.
WITH calls AS (
  SELECT
    org,
    agent,
    card,
    line,
    session_hash,
    DIV(UNIX_SECONDS(event_time), @seconds) AS span,
    SAFE_CAST(JSON_VALUE(units, '$.input_tokens') AS INT64) AS tokens,
    IFNULL(SAFE_CAST(JSON_VALUE(units, '$.cache_read_tokens') AS INT64), 0)
    + IFNULL(SAFE_CAST(JSON_VALUE(units, '$.cache_write_tokens') AS INT64), 0) AS cached,
    CASE WHEN session_hash IS NULL THEN request_bytes END AS bytes
  FROM usage
  WHERE event_time >= @since
    AND event_time < @until
    AND org IS NOT NULL
    AND card IS NOT NULL
    AND outcome = 'ok'
    AND NOT simulated
),
alike AS (
  SELECT
    org,
    agent,
    card,
    MIN(tokens) AS prefix,
    COUNT(*) AS calls
  FROM calls
  GROUP BY
    org, agent, card, line, session_hash, span, bytes,
    CASE WHEN session_hash IS NULL THEN tokens END
  HAVING COUNT(*) >= @least AND SUM(cached) = 0 AND MIN(tokens) >= @prefix
)
SELECT
  org,
  agent,
  card,
  prefix,
  COUNT(*) AS spans,
  SUM(calls) AS calls
FROM alike
GROUP BY org, agent, card, prefix
ORDER BY SUM(calls) * prefix DESC
LIMIT @limit
