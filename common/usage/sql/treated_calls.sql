-- Calls in [@since, @until) of who or what is asked for (in lower case), or of one of @episodes: by
-- team, how they ended, and what brownouts gave up of them.
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
      (
        (@org IS NULL OR LOWER(org) = @org)
        AND (@team IS NULL OR LOWER(team) = @team)
        AND (@agent IS NULL OR LOWER(agent) = @agent)
        AND (@provider IS NULL OR LOWER(provider) = @provider)
        AND (@model IS NULL OR LOWER(IFNULL(model_sent, model_asked)) = @model)
      )
      OR (episode IS NOT NULL AND episode IN UNNEST(@episodes))
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
