-- Of a long history no more is judged than was asked for, by an index.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/long.sql
SELECT pg_temp.long_instance('ran', 2, 10002) \g /dev/null
SELECT pg_temp.long_deployments('ran', 'production', 'PROVISION', 'COMPLETED', 2, 3, 10002) \g /dev/null
CREATE ROLE test_reader;
INSERT INTO promote.grants (role, action, project) VALUES ('test_reader', 'view', 'long');
ANALYZE promote.deployment;
ANALYZE promote.instance;
SELECT (min(queued_at) + interval '1 hour')::text AS began FROM promote.deployment WHERE project = 'long'
   AND action = 'PROVISION' \gset
SELECT format('promote.gate_backtest(''long'', NULL, ''{"require_plan": true}'', %L, %L)', :'began',
              :'began'::timestamptz + interval '10 seconds') AS asked \gset
SELECT is((SELECT count(*) FROM :asked AS g), 10::bigint, 'ten of ten thousand');
SELECT cmp_ok(pg_temp.pages('SELECT * FROM ' || :'asked'), '<=', 600, 'pages');
SET LOCAL row_security = on;
SET LOCAL ROLE test_reader;
SELECT is((SELECT count(*) FROM :asked AS g), 10::bigint, 'for a role as well');
SELECT cmp_ok(pg_temp.pages('SELECT * FROM ' || :'asked'), '<=', 700, 'pages, for a role as well');
SELECT * FROM finish();
ROLLBACK;
