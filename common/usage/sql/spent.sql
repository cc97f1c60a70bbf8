-- What the calls of one organisation cost in [@since, @until), by all that a budget can ask for.
-- The model is the one that was sent, by which hard budgets apply: the billed one has another name.
-- With @epoch only those to which budgets that are older applied, or none.
-- Calls that cost nothing are left out: callers can make up names of models without end.
SELECT
  team,
  project,
  agent,
  line,
  model_sent AS model,
  SUM(priced_nanos) AS priced_nanos
FROM usage
WHERE event_time >= @since
  AND event_time < @until
  AND org = @org
  AND (@epoch IS NULL OR IFNULL(policy_epoch, 0) < @epoch)
  AND priced_nanos != 0
GROUP BY
  team, project, agent, line, model
