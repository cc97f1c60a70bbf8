-- What calls to one provider used and cost that ended in [@since, @until), by key and model, and of
-- those that ended until @later what began in it. Calls that nobody can bill are left out: callers
-- can make up names of models without end.
WITH matched AS (
  SELECT
    CASE
      WHEN event_time >= @until THEN 'ended_after'
      WHEN started_at < @since THEN 'begun_before'
      ELSE 'within'
    END AS edge,
    provider_key_hash AS key,
    credential IS NOT NULL AS managed,
    IFNULL(card, CONCAT(provider, '/', IFNULL(IFNULL(model_billed, model_sent), ''))) AS model,
    cost_nanos,
    cost_source,
    priced_nanos,
    unproven_nanos,
    IFNULL(SAFE_CAST(JSON_VALUE(units, '$.input_tokens') AS INT64), 0) AS input_tokens,
    IFNULL(SAFE_CAST(JSON_VALUE(units, '$.cache_read_tokens') AS INT64), 0) AS cache_read_tokens,
    IFNULL(SAFE_CAST(JSON_VALUE(units, '$.cache_write_tokens') AS INT64), 0) AS cache_write_tokens,
    IFNULL(SAFE_CAST(JSON_VALUE(units, '$.output_tokens') AS INT64), 0) AS output_tokens
  FROM usage
  WHERE event_time >= @since
    AND event_time < @later
    AND (event_time < @until OR started_at < @until)
    AND provider = @provider
    AND upstream IN UNNEST(@hosts)
    AND simulated = @simulated
    AND (cost_nanos IS NULL OR priced_nanos > 0 OR unproven_nanos > 0)
)
SELECT
  edge,
  key,
  managed,
  model,
  COUNT(*) AS calls,
  COUNTIF(cost_nanos IS NULL) AS unpriced_calls,
  SUM(priced_nanos) AS priced_nanos,
  SUM(CASE WHEN cost_source = 'estimated' THEN priced_nanos ELSE 0 END) AS estimated_nanos,
  SUM(unproven_nanos) AS unproven_nanos,
  SUM(input_tokens) AS input_tokens,
  SUM(cache_read_tokens) AS cache_read_tokens,
  SUM(cache_write_tokens) AS cache_write_tokens,
  SUM(output_tokens) AS output_tokens
FROM matched
GROUP BY
  edge, key, managed, model
LIMIT @limit
