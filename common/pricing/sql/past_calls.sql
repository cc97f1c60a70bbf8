-- Calls of [@since, @until) as they can be priced again, in order, behind @after_time and @after_id.
SELECT
  id,
  event_time,
  started_at,
  org,
  team,
  project,
  agent,
  line,
  provider,
  model_asked,
  model_sent,
  model_billed,
  TO_JSON_STRING(units) AS units,
  service_tier,
  book,
  card,
  cost_nanos,
  original_cost_nanos,
  corrections,
  cost_source,
  outcome,
  error_code,
  simulated
FROM usage
WHERE event_time >= @since
  AND event_time < @until
  AND (@org IS NULL OR org = @org)
  AND (@provider IS NULL OR provider = @provider)
  AND (@model IS NULL OR IFNULL(model_billed, model_sent) = @model)
  AND (cost_source IS NULL OR cost_source != 'free')
  AND (
    @after_time IS NULL
    OR event_time > @after_time
    OR (event_time = @after_time AND id > @after_id)
  )
ORDER BY event_time, id
LIMIT @limit
