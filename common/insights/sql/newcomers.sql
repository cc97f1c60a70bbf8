-- What organisations, their agents and their models spent on each UTC day of [@since, @until); real
-- money only. What has no price list is named as it was sent, with nothing before the slash.
WITH spent AS (
  SELECT
    TIMESTAMP_TRUNC(event_time, DAY) AS day,
    org,
    agent,
    IFNULL(card, CONCAT('/', IFNULL(model_billed, model_sent))) AS model,
    priced_nanos
  FROM usage
  WHERE event_time >= @since
    AND event_time < @until
    AND org IS NOT NULL
    AND priced_nanos > 0
    AND NOT simulated
)
SELECT 'org' AS level, org, org AS name, day, SUM(priced_nanos) AS nanos
FROM spent
GROUP BY org, day
UNION ALL
SELECT 'agent' AS level, org, agent AS name, day, SUM(priced_nanos) AS nanos
FROM spent
WHERE agent IS NOT NULL
GROUP BY org, agent, day
UNION ALL
SELECT 'model' AS level, org, model AS name, day, SUM(priced_nanos) AS nanos
FROM spent
WHERE model IS NOT NULL
GROUP BY org, model, day
