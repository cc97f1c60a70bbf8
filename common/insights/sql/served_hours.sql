-- How upstreams answered in each hour of [@since, @until), by organisation and model. What the
-- client or the gateway refused is nobody's failure there.
SELECT
  org,
  IFNULL(model_billed, model_asked) AS model,
  upstream,
  TIMESTAMP_TRUNC(event_time, HOUR) AS hour,
  COUNT(*) AS calls,
  COUNTIF(outcome = 'upstream_error') AS failed,
  SUM(CASE WHEN outcome = 'upstream_error' THEN priced_nanos ELSE 0 END) AS failed_nanos,
  COUNTIF(outcome = 'ok' AND duration_s > 0) AS ok,
  SUM(CASE WHEN outcome = 'ok' AND duration_s > 0 THEN LN(duration_s) ELSE 0 END) AS log_seconds
FROM usage
WHERE event_time >= @since
  AND event_time < @until
  AND org IS NOT NULL
  AND upstream IS NOT NULL
  AND IFNULL(model_billed, model_asked) IS NOT NULL
  AND outcome IN ('ok', 'upstream_error')
  AND NOT simulated
GROUP BY
  org, model, upstream, hour
ORDER BY
  org, model, upstream, hour
