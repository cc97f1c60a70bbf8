-- The models that calls since @since were answered by, or asked for where no answer named one.
SELECT DISTINCT
  provider,
  IFNULL(model_billed, model_sent) AS model
FROM usage
WHERE event_time >= @since
  AND provider IS NOT NULL
  AND IFNULL(model_billed, model_sent) IS NOT NULL
  AND NOT simulated
