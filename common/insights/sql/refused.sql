-- When budgets last refused calls in [@since, @until), by whose calls they were: the codes of the
-- errors are @codes. A call that was refused names no model that was sent.
SELECT
  org,
  team,
  project,
  agent,
  line,
  MAX(event_time) AS refused_at
FROM usage
WHERE event_time >= @since
  AND event_time < @until
  AND org IS NOT NULL
  AND error_code IN UNNEST(@codes)
GROUP BY
  org, team, project, agent, line
