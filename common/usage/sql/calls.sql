-- Calls in [@since, @until), newest first, behind the call (@after_time, @after_id) if there is one.
SELECT
  id,
  event_time,
  org,
  team,
  agent,
  project,
  key_id,
  line,
  protocol,
  endpoint,
  upstream,
  provider,
  model_asked,
  model_billed,
  TO_JSON_STRING(units) AS units,
  TO_JSON_STRING(tags) AS tags,
  cost_nanos,
  cost_reason,
  priced_nanos,
  cost_source,
  book,
  card,
  mode,
  mode_scope,
  episode,
  arm,
  enforced,
  priority,
  TO_JSON_STRING(edits) AS edits,
  route,
  route_why,
  route_shadow,
  started_at,
  first_chunk_s,
  duration_s,
  gateway_ms,
  streamed,
  finish_reason,
  status,
  upstream_status,
  outcome,
  error_code,
  client_gone,
  client_retry,
  simulated
FROM usage
WHERE event_time >= @since
  AND event_time < @until
  AND (@org IS NULL OR org = @org)
  AND (@team IS NULL OR team = @team)
  AND (@project IS NULL OR project = @project)
  AND (@agent IS NULL OR agent = @agent)
  AND (@key IS NULL OR line = @key)
  AND (@model IS NULL OR IFNULL(model_billed, model_asked) = @model)
  AND (@provider IS NULL OR provider = @provider)
  AND (@outcome IS NULL OR outcome = @outcome)
  AND (@failed IS NULL OR (outcome != 'ok') = @failed)
  AND (@error_code IS NULL OR error_code = @error_code)
  AND (@cost_source IS NULL OR cost_source = @cost_source)
  AND (@simulated IS NULL OR simulated = @simulated)
  AND (
    @after_time IS NULL
    OR event_time < @after_time
    OR (event_time = @after_time AND id < @after_id)
  )
ORDER BY event_time DESC, id DESC
LIMIT @limit
