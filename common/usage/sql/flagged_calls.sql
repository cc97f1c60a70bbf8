-- The calls to one provider between @since and @until that were charged beyond what they cost.
SELECT
  id,
  started_at,
  event_time,
  TO_JSON_STRING(settlements) AS settlements,
  unproven_nanos
FROM usage
WHERE event_time >= @since
  AND event_time < @until
  AND provider = @provider
  AND unproven_nanos > 0
  AND NOT simulated
ORDER BY id
