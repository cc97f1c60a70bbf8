-- Calls within @seconds that begin alike and read nothing from a cache, of [@since, @until), in two
-- ways to know them, which overlap: turns of one conversation, or calls of one key that agree in size
-- and tokens, share at most the input of the shortest; calls that agree in instructions and tools
-- share as much of their input as these are of the request.
WITH calls AS (
  SELECT
    org,
    agent,
    card,
    line,
    session_hash,
    prefix_hash,
    prefix_bytes,
    request_bytes,
    DIV(UNIX_SECONDS(event_time), @seconds) AS span,
    SAFE_CAST(JSON_VALUE(units, '$.input_tokens') AS INT64) AS tokens,
    IFNULL(SAFE_CAST(JSON_VALUE(units, '$.cache_read_tokens') AS INT64), 0)
    + IFNULL(SAFE_CAST(JSON_VALUE(units, '$.cache_write_tokens') AS INT64), 0) AS cached
  FROM usage
  WHERE event_time >= @since
    AND event_time < @until
    AND org IS NOT NULL
    AND card IS NOT NULL
    AND outcome = 'ok'
    AND NOT simulated
),
alike AS (
  SELECT
    'conversation' AS known_by,
    org,
    agent,
    card,
    MIN(tokens) AS prefix,
    COUNT(*) AS calls
  FROM calls
  GROUP BY
    org, agent, card, line, session_hash, span,
    CASE WHEN session_hash IS NULL THEN request_bytes END,
    CASE WHEN session_hash IS NULL THEN tokens END
  HAVING COUNT(*) >= @least AND SUM(cached) = 0 AND MIN(tokens) >= @prefix
  UNION ALL
  SELECT
    'beginning' AS known_by,
    org,
    agent,
    card,
    MIN(DIV(tokens * prefix_bytes, request_bytes)) AS prefix,
    COUNT(*) AS calls
  FROM calls
  WHERE prefix_hash IS NOT NULL AND request_bytes >= prefix_bytes AND request_bytes > 0
  GROUP BY org, agent, card, line, prefix_hash, span
  HAVING
    COUNT(*) >= @least
    AND SUM(cached) = 0
    AND MIN(DIV(tokens * prefix_bytes, request_bytes)) >= @prefix
)
SELECT
  known_by,
  org,
  agent,
  card,
  prefix,
  COUNT(*) AS spans,
  SUM(calls) AS calls
FROM alike
GROUP BY known_by, org, agent, card, prefix
ORDER BY SUM(calls) * prefix DESC
LIMIT @limit
