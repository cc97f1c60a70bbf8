-- The calls of [@since, @until) by agent and model, and the parts of them that bought nothing.
SELECT
  org,
  agent,
  IFNULL(model_billed, model_asked) AS model,
  COUNT(*) AS calls,
  SUM(priced_nanos) AS nanos,
  COUNTIF(outcome IN ('upstream_error', 'gateway_error') AND NOT client_gone) AS failed,
  SUM(
    CASE
      WHEN outcome IN ('upstream_error', 'gateway_error') AND NOT client_gone THEN priced_nanos
      ELSE 0
    END
  ) AS failed_nanos,
  COUNTIF(outcome = 'ok' AND LOWER(IFNULL(finish_reason, '')) IN UNNEST(@cut)) AS cut,
  SUM(
    CASE
      WHEN outcome = 'ok' AND LOWER(IFNULL(finish_reason, '')) IN UNNEST(@cut) THEN priced_nanos
      ELSE 0
    END
  ) AS cut_nanos,
  COUNTIF(client_gone) AS abandoned,
  SUM(CASE WHEN client_gone THEN priced_nanos ELSE 0 END) AS abandoned_nanos,
  COUNTIF(cost_nanos IS NULL) AS unpriced,
  COUNTIF(hold_nanos > 0 AND outcome = 'ok') AS held,
  COUNTIF(outcome = 'ok' AND hold_nanos > @times * cost_nanos) AS over_held,
  SUM(
    CASE WHEN outcome = 'ok' AND hold_nanos > @times * cost_nanos THEN hold_nanos ELSE 0 END
  ) AS over_held_nanos
FROM usage
WHERE event_time >= @since
  AND event_time < @until
  AND org IS NOT NULL
  AND IFNULL(model_billed, model_asked) IS NOT NULL
  AND NOT simulated
GROUP BY org, agent, model
