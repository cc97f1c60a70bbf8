-- What calls that were sent between @since and @until cost, by provider, and what was charged beyond.
-- Simulated calls are on nobody's bill.
SELECT
  provider,
  SUM(priced_nanos) AS priced_nanos,
  SUM(unproven_nanos) AS unproven_nanos
FROM usage
WHERE event_time >= @since
  AND event_time < @until
  AND provider IS NOT NULL
  AND upstream IS NOT NULL
  AND NOT simulated
GROUP BY provider
