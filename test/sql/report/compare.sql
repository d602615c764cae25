-- What two deployments, or two instances, have not in common.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
\ir ../../fixtures/plan.sql

-- ---- instances ----
SELECT is(pg_temp.lines($$SELECT * FROM promote.compare_instances('ecomm-staging-db', 'ecomm-production-db')
    ORDER BY kind, path COLLATE "C"$$), $$(param,.account,change,"""stage""","""prod""",f)
(param,.network.cidr,change,"""10.0.0.0/16""","""10.9.0.0/16""",f)
(param,.network.zones[0],remove,"""a""",,f)
(param,.nodes[0].id,change,"""s1""","""p1""",f)
(param,.nodes[0].role,change,"""primary""","""x""",f)
(param,.nodes[1].id,add,,"""p2""",f)
(param,.nodes[1].role,add,,"""y""",f)
(param,.password,change,"""(sensitive value)""","""(sensitive value)""",t)
(param,.replicas,remove,1,,f)
(param,.size,change,"""medium""","""small""",f)
(param,.tier,remove,null,,f)
(release,"release channel",change,"""development""","""stable""",f)
(release,"release constraint",change,"""~1""","""1.0.0""",f)
(release,"release version",change,"""1.2.0-dev.20260915T101500Z""","""1.0.0""",f)$$, 'what two instances desire');
SELECT is(pg_temp.lines($$SELECT * FROM promote.compare_instances('ecomm-staging-db', 'ecomm-staging-db')$$), NULL,
    'nothing from itself');
SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', '{"tier": "{{domain}}"}') \g /dev/null
SELECT is(pg_temp.lines($$SELECT kind, path, a_value, b_value
    FROM promote.compare_instances('ecomm-staging-db', 'ecomm-production-db') WHERE kind <> 'param' OR path = '.tier'
    ORDER BY kind$$), E'(param,.tier,null,"""example.com""")\n(revision,,1,2)',
    'rendered, each with its own parameters');
UPDATE promote.parameter_set SET parameters = '{}' WHERE project = 'ecomm' AND environment = 'production';
SELECT is(pg_temp.lines($$SELECT b_value FROM promote.compare_instances('ecomm-staging-db', 'ecomm-production-db')
    WHERE path = '.tier'$$), '("""{{domain}}""")', 'as far as there are any');
UPDATE promote.parameter_set SET parameters = '{"domain": "example.com"}' WHERE project = 'ecomm'
    AND environment = 'production';

-- ---- deployments ----
SELECT is(pg_temp.lines($$SELECT * FROM promote.compare_deployments('ecomm-production-db/2', 'ecomm-production-db')$$),
    NULL, 'without a number it is the last one');
SELECT pg_temp.deploy('ecomm-production-db') \g /dev/null
SELECT is(pg_temp.lines($$SELECT * FROM promote.compare_deployments('ecomm-production-db/1', 'ecomm-production-db/3')
    WHERE kind <> 'param' ORDER BY kind, path$$),
    E'(action,,change,"""PLAN""","""PROVISION""",f)\n(release,"release channel",change,"""stable""","""development""",'
        'f)'
    '\n(release,"release constraint",change,"""1.0.0""","""~1""",f)\n(release,"release version",change,"""1.0.0""",'
    '"""1.2.0-dev.20260915T101500Z""",f)\n(revision,,change,1,2,f)', 'what two deployments are');
SELECT is((SELECT count(*) FROM promote.compare_deployments('ecomm-production-db/1', 'ecomm-production-db/3')
    WHERE kind = 'param'), 8::bigint,
    'and the leaves of what they carry');
SELECT is(pg_temp.lines($$SELECT kind, a_value, b_value
    FROM promote.compare_deployments('ecomm-staging-db', 'ecomm-production-db/2') WHERE kind = 'status'$$),
    '(status,"""PENDING""","""COMPLETED""")', 'of two instances');
SELECT is((SELECT count(*) FROM promote.compare_deployments('ecomm-production-db/1', 'ecomm-production-db/2')
    WHERE path = '.password' AND sensitive AND a_value = '"(sensitive value)"' AND b_value = '"(sensitive value)"'),
    1::bigint, 'sensitive values are masked');

-- ---- resources ----
SELECT is((SELECT count(*) FROM promote.compare_instances('ecomm-staging-db', 'ecomm-production-db')
    WHERE kind = 'resource'), 0::bigint, 'no plan was recorded');
SELECT pg_temp.planned('ecomm-staging-db',
    '[["r.same", ["update"], {"x": 1}, {"x": 2}], ["r.other", ["update"], {"x": 1}, {"x": 2}], ["r.a", ["create"], '
    'null, {"x": 2}], ["r.none", ["no-op"], {"x": 2}, {"x": 2}]]',
    '[["r.drift", ["update"], {"x": 1}, {"x": 2}]]') AS a \gset
SELECT is((SELECT count(*) FROM promote.compare_instances('ecomm-staging-db', 'ecomm-production-db')
    WHERE kind = 'resource'), 0::bigint, 'one alone says nothing of the difference');
SELECT pg_temp.planned('ecomm-production-db',
    '[["r.same", ["update"], {"x": 1}, {"x": 2}], ["r.other", ["delete"], {"x": 1}, null], ["r.b", ["create"], null, '
    '{"x": 2}]]') AS b \gset
CREATE TEMP TABLE resources AS SELECT path, change, a_value, b_value
    FROM promote.compare_instances('ecomm-staging-db', 'ecomm-production-db') WHERE kind = 'resource';
SELECT is(pg_temp.lines($$SELECT path, change, a_value -> 'action', b_value -> 'action' FROM resources
    ORDER BY path COLLATE "C"$$),
    E'(r.a,remove,"""create""",)\n(r.b,add,,"""create""")\n(r.other,change,"""update""","""delete""")',
    'resources of which the plans say different things');
SELECT is((SELECT jsonb_array_length(a_value -> 'diff') FROM resources WHERE path = 'r.other'), 1, 'with their diffs');
SELECT results_eq(format('SELECT path, change, a_value, b_value FROM promote.compare_deployments(%L, %L) WHERE kind '
    '= ''resource'' ORDER BY 1', 'ecomm-staging-db/' || :a, 'ecomm-production-db/' || :b),
    'SELECT * FROM resources ORDER BY 1', 'of deployments, too');
UPDATE promote.environment SET require_expected = false;
INSERT INTO promote.override_rule (project, environment, code, role)
    VALUES ('ecomm', 'production', 'destructive', current_user);
SELECT promote.override_gate('ecomm-production-db', :b, 'destructive', 'nothing is in it') \g /dev/null
SELECT promote.deploy_instance('ecomm-production-db', :b) \g /dev/null
SELECT results_eq($$SELECT path, change, a_value, b_value
    FROM promote.compare_deployments('ecomm-staging-db', 'ecomm-production-db') WHERE kind = 'resource' ORDER BY 1$$,
    'SELECT * FROM resources ORDER BY 1', 'a PROVISION has those of the plan that it follows');

-- a value that only one of the releases calls sensitive
INSERT INTO promote.bundle_release (bundle, version, params_schema)
    VALUES ('redis', '2.0.0', '{"properties": {"token": {"$md.sensitive": true}}}');
SELECT promote.configure_instance('ecomm-staging-cache', '{"token": "old"}', '1.0.0') \g /dev/null
SELECT promote.configure_instance('ecomm-production-cache', '{"token": "new"}', '2.0.0') \g /dev/null
SELECT is(pg_temp.lines(format($$SELECT a_value, b_value, sensitive FROM promote.compare_%s(%L, %L)
    WHERE kind = 'param'$$, what, a, b)), '("""(sensitive value)""","""(sensitive value)""",t)',
    'masked by either release: ' || what || ' ' || a)
  FROM unnest(ARRAY['instances', 'deployments']) AS what, (VALUES ('ecomm-staging-cache', 'ecomm-production-cache'),
      ('ecomm-production-cache', 'ecomm-staging-cache')) AS v(a, b);

-- ---- bad input ----
SELECT pg_temp.refuses(format('SELECT * FROM promote.%s', f), state, detail, f)
  FROM (VALUES ('compare_instances(''ecomm-staging-db'', ''ecomm-staging-cache'')', 'PM004', 'component "cache"'),
      ('compare_instances(''ecomm-production-db'', ''other-production-db'')', 'PM004', 'project "other"'),
               ('compare_deployments(''ecomm-staging-db'', ''ecomm-staging-cache/1'')', 'PM004', 'component "cache"'),
               ('compare_instances(''ecomm-staging-db'', ''ecomm-nowhere-db'')', 'PM002', 'environment'),
                   ('compare_instances(''ecomm-staging-db'', ''ecomm-prod-uswest-db'')', 'PM005', 'no revision'),
               ('compare_instances(''ecomm-staging-db'', NULL)', 'PM001', 'null'), ('compare_instances(''x'', ''y'')',
                   'PM001', 'three parts'),
               ('compare_deployments(''ecomm-staging-db/9'', ''ecomm-staging-db'')', 'PM002', 'numbered'),
                   ('compare_deployments(''ecomm-nowhere-db'', ''ecomm-staging-db'')', 'PM002', 'environment'),
               ('compare_deployments(''ecomm-prod-uswest-db'', ''ecomm-staging-db'')', 'PM002', 'Nothing was planned'),
                   ('compare_deployments(NULL, ''ecomm-staging-db'')', 'PM001', 'null'),
               ('compare_deployments(''ecomm-staging-db/'', ''ecomm-staging-db'')', 'PM001', 'not a number'),
                   ('compare_deployments(''ecomm-staging-db/0'', ''ecomm-staging-db'')', 'PM001', 'not a number'),
               ('compare_deployments(''ecomm-staging-db/1x'', ''ecomm-staging-db'')', 'PM001', 'not a number'),
                   ('compare_deployments(''ecomm-staging-db/9999999999'', ''ecomm-staging-db'')', 'PM001',
                   'not a number'),
               ('compare_deployments(''db/1'', ''ecomm-staging-db'')', 'PM001', 'three parts')) AS v(f, state, detail);

SELECT * FROM finish();
ROLLBACK;
