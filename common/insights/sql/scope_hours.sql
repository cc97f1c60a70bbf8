-- What organisations, teams and agents spent in each hour of [@since, @until); real money only.
WITH spent AS (
  SELECT
    TIMESTAMP_TRUNC(event_time, HOUR) AS hour,
    org,
    team,
    agent,
    priced_nanos
  FROM usage
  WHERE event_time >= @since
    AND event_time < @until
    AND org IS NOT NULL
    AND priced_nanos > 0
    AND NOT simulated
)
SELECT 'org' AS level, org, org AS name, hour, SUM(priced_nanos) AS nanos
FROM spent
GROUP BY org, hour
UNION ALL
SELECT 'team' AS level, org, team AS name, hour, SUM(priced_nanos) AS nanos
FROM spent
WHERE team IS NOT NULL
GROUP BY org, team, hour
UNION ALL
SELECT 'agent' AS level, org, agent AS name, hour, SUM(priced_nanos) AS nanos
FROM spent
WHERE agent IS NOT NULL
GROUP BY org, agent, hour
