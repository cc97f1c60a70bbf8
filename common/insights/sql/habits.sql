-- The most calls of @seconds that are the same, by agent and day of [@since, @until). What is the
-- same is told apart as in repeats.sql.
WITH counted AS (
  SELECT
    TIMESTAMP_TRUNC(event_time, DAY) AS day,
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
    COUNT(*) AS calls
  FROM usage
  WHERE event_time >= @since
    AND event_time < @until
    AND org IS NOT NULL
    AND line IS NOT NULL
    AND NOT simulated
  GROUP BY day, span, org, agent, line, session_hash, model, bytes, prefix, tokens
)
SELECT
  org,
  agent,
  CASE WHEN agent IS NULL THEN line END AS line,
  day,
  MAX(calls) AS calls
FROM counted
WHERE calls > @least
GROUP BY org, agent, CASE WHEN agent IS NULL THEN line END, day
