-- What teams and agents used on each UTC day of [@since, @until).
WITH calls AS (
  SELECT
    TIMESTAMP_TRUNC(event_time, DAY) AS day,
    org,
    team,
    agent,
    outcome,
    session_hash,
    priced_nanos,
    CASE
      WHEN session_hash IS NOT NULL
        THEN IFNULL(SAFE_CAST(JSON_VALUE(units, '$.input_tokens') AS INT64), 0)
        + IFNULL(SAFE_CAST(JSON_VALUE(units, '$.output_tokens') AS INT64), 0)
      ELSE 0
    END AS session_tokens,
    CASE WHEN session_hash IS NOT NULL THEN priced_nanos ELSE 0 END AS session_nanos
  FROM usage
  WHERE event_time >= @since
    AND event_time < @until
    AND org IS NOT NULL
    AND NOT simulated
)
SELECT
  'team' AS level,
  org,
  team AS name,
  day,
  COUNT(*) AS calls,
  COUNTIF(outcome = 'ok') AS ok,
  SUM(priced_nanos) AS nanos,
  COUNT(DISTINCT session_hash) AS sessions,
  SUM(session_tokens) AS session_tokens,
  SUM(session_nanos) AS session_nanos
FROM calls
WHERE team IS NOT NULL
GROUP BY org, team, day
UNION ALL
SELECT
  'agent' AS level,
  org,
  agent AS name,
  day,
  COUNT(*) AS calls,
  COUNTIF(outcome = 'ok') AS ok,
  SUM(priced_nanos) AS nanos,
  COUNT(DISTINCT session_hash) AS sessions,
  SUM(session_tokens) AS session_tokens,
  SUM(session_nanos) AS session_nanos
FROM calls
WHERE agent IS NOT NULL
GROUP BY org, agent, day
