-- What the calls since @since settled on one lease, and of those since @recently the unproven part.
WITH holds AS (
  SELECT
    event_time,
    unproven_nanos,
    JSON_VALUE(settlement, '$.lease') AS lease,
    SAFE_CAST(JSON_VALUE(settlement, '$.nanos') AS INT64) AS nanos
  FROM usage, UNNEST(JSON_QUERY_ARRAY(settlements)) AS settlement
  WHERE event_time >= @since
)
SELECT
  SUM(nanos) AS settled_nanos,
  SUM(CASE WHEN event_time >= @recently THEN unproven_nanos END) AS unproven_nanos
FROM holds
WHERE lease = @lease
