-- Usage in [@since, @until), one row per combination of the dimensions in @dimensions, bucket of
-- @granularity and reason for a missing cost. Dimensions that are not asked for are null.
WITH matched AS (
  SELECT
    CASE @granularity
      WHEN 'hour' THEN TIMESTAMP_TRUNC(event_time, HOUR)
      WHEN 'day' THEN TIMESTAMP_TRUNC(event_time, DAY)
    END AS bucket_time,
    CASE WHEN 'org' IN UNNEST(@dimensions) THEN org END AS org,
    CASE WHEN 'team' IN UNNEST(@dimensions) THEN team END AS team,
    CASE WHEN 'project' IN UNNEST(@dimensions) THEN project END AS project,
    CASE WHEN 'agent' IN UNNEST(@dimensions) THEN agent END AS agent,
    CASE WHEN 'key' IN UNNEST(@dimensions) THEN line END AS line,
    CASE WHEN 'model' IN UNNEST(@dimensions) THEN IFNULL(model_billed, model_asked) END AS model,
    CASE WHEN 'provider' IN UNNEST(@dimensions) THEN provider END AS provider,
    CASE WHEN 'mode' IN UNNEST(@dimensions) THEN IFNULL(mode, 'normal') END AS mode,
    CASE WHEN 'tag' IN UNNEST(@dimensions) THEN JSON_VALUE(tags, @tag_path) END AS tag,
    CASE WHEN cost_nanos IS NULL THEN IFNULL(cost_reason, 'unknown') END AS cost_reason,
    outcome,
    cost_source,
    simulated,
    priced_nanos,
    corrections,
    SAFE_CAST(JSON_VALUE(units, '$.input_tokens') AS INT64) AS input_tokens,
    SAFE_CAST(JSON_VALUE(units, '$.cache_read_tokens') AS INT64) AS cache_read_tokens,
    SAFE_CAST(JSON_VALUE(units, '$.cache_write_tokens') AS INT64) AS cache_write_tokens,
    SAFE_CAST(JSON_VALUE(units, '$.output_tokens') AS INT64) AS output_tokens,
    SAFE_CAST(JSON_VALUE(units, '$.output_reasoning_tokens') AS INT64) AS output_reasoning_tokens
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
)
SELECT
  bucket_time,
  org,
  team,
  project,
  agent,
  line,
  model,
  provider,
  mode,
  tag,
  cost_reason,
  COUNT(*) AS calls,
  COUNTIF(outcome = 'ok') AS ok_calls,
  COUNTIF(cost_source IS NOT NULL AND cost_source = 'estimated') AS estimated_calls,
  COUNTIF(simulated) AS simulated_calls,
  COUNTIF(corrections > 0) AS restated_calls,
  IFNULL(SUM(priced_nanos), 0) AS priced_nanos,
  IFNULL(SUM(CASE WHEN cost_source = 'estimated' THEN priced_nanos END), 0) AS estimated_nanos,
  IFNULL(SUM(CASE WHEN simulated THEN priced_nanos END), 0) AS simulated_nanos,
  IFNULL(SUM(input_tokens), 0) AS input_tokens,
  IFNULL(SUM(cache_read_tokens), 0) AS cache_read_tokens,
  IFNULL(SUM(cache_write_tokens), 0) AS cache_write_tokens,
  IFNULL(SUM(output_tokens), 0) AS output_tokens,
  IFNULL(SUM(output_reasoning_tokens), 0) AS output_reasoning_tokens
FROM matched
GROUP BY
  bucket_time, org, team, project, agent, line, model, provider, mode, tag, cost_reason
LIMIT @limit
