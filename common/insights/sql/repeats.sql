-- Calls of @seconds that are the same, where they are more than @most; of [@since, @until).
-- A session is one conversation. Without one, calls are the same that agree in size and tokens, and
-- in what their prompts begin with.
WITH calls AS (
  SELECT
    DIV(UNIX_SECONDS(event_time), @seconds) AS span,
    org,
    agent,
    line,
    session_hash,
    IFNULL(model_billed, model_asked) AS model,
    CASE WHEN session_hash IS NULL THEN request_bytes END AS bytes,
    CASE WHEN session_hash IS NULL THEN prefix_hash END AS prefix,
    CASE
      WHEN session_hash IS NULL THEN SAFE_CAST(JSON_VALUE(units, '$.input_tokens') AS INT64)
    END AS tokens,
    priced_nanos
  FROM usage
  WHERE event_time >= @since
    AND event_time < @until
    AND org IS NOT NULL
    AND line IS NOT NULL
    AND IFNULL(model_billed, model_asked) IS NOT NULL
    AND NOT simulated
),
counted AS (
  SELECT
    span,
    org,
    agent,
    line,
    session_hash,
    model,
    COUNT(*) AS calls,
    SUM(COUNT(*)) OVER (PARTITION BY span, org, agent, line, model) AS all_calls,
    SUM(priced_nanos) AS nanos
  FROM calls
  GROUP BY span, org, agent, line, session_hash, model, bytes, prefix, tokens
)
SELECT span, org, agent, line, session_hash, model, calls, all_calls, nanos
FROM counted
WHERE calls > @most
