-- Calls in [@since, @until) of any of those who or what are named (in lower case, members of an
-- organisation behind its name), or of one of @episodes: by team, how they ended, and what
-- brownouts gave up of them.
WITH matched AS (
  SELECT
    org,
    team,
    outcome,
    started_at,
    TO_JSON_STRING(edits) AS given_up
  FROM usage
  WHERE event_time >= @since
    AND event_time < @until
    AND (
      @everything
      OR LOWER(org) IN UNNEST(@orgs)
      OR CONCAT(LOWER(org), '/', LOWER(team)) IN UNNEST(@teams)
      OR CONCAT(LOWER(org), '/', LOWER(agent)) IN UNNEST(@agents)
      OR LOWER(provider) IN UNNEST(@providers)
      OR LOWER(IFNULL(model_sent, model_asked)) IN UNNEST(@models)
      OR episode IN UNNEST(@episodes)
    )
)
SELECT
  org,
  team,
  outcome,
  given_up,
  COUNT(*) AS calls,
  MIN(started_at) AS first_at
FROM matched
GROUP BY org, team, outcome, given_up
LIMIT @limit
