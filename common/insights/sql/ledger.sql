-- The latest @most calls of each agent and card in [@since, @until) that were priced by what their
-- provider told, and how many there are in all.
WITH priced AS (
  SELECT
    org,
    agent,
    card,
    event_time,
    id,
    started_at,
    TO_JSON_STRING(units) AS units,
    service_tier,
    cost_nanos,
    priority,
    COUNT(*) OVER (PARTITION BY org, agent, card) AS group_calls,
    ROW_NUMBER() OVER (PARTITION BY org, agent, card ORDER BY event_time DESC, id DESC) AS place
  FROM usage
  WHERE event_time >= @since
    AND event_time < @until
    AND org IS NOT NULL
    AND card IS NOT NULL
    AND cost_nanos IS NOT NULL
    AND cost_source = 'provider'
    AND outcome = 'ok'
    AND NOT simulated
)
SELECT org, agent, card, started_at, units, service_tier, cost_nanos, priority, group_calls
FROM priced
WHERE place <= @most
ORDER BY org, agent, card, event_time, id
