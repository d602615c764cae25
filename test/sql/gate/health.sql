-- Health: reports, required checks, and soaking.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
SET LOCAL promote.actor = 'ada';

CREATE FUNCTION pg_temp.report(healthy boolean, name text DEFAULT 'smoke', instance text DEFAULT 'ecomm-production-db',
    message text DEFAULT NULL, expires_after interval DEFAULT NULL, revision integer DEFAULT NULL)
RETURNS integer LANGUAGE sql AS $$ SELECT (promote.report_health(instance, name, healthy, message, expires_after,
    revision)).report $$;
-- What blocks production by one gate.
CREATE FUNCTION pg_temp.blocked(gate text, at timestamptz DEFAULT now()) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT b.message FROM promote.blockers('ecomm-production-db', NULL, at) AS b WHERE b.code = gate
$$;

-- ---- reporting ----
SELECT is(pg_temp.lines($$SELECT project, environment, component, check_name, report, healthy, message, revision,
    deployed_by, since = reported_at, expires_at, actor, database_role = current_user
    FROM promote.report_health('ecomm-production-db', 'smoke', true)$$),
    '(ecomm,production,db,smoke,1,t,,1,,t,,ada,t)', 'a report is about what is desired; its row is returned');
SELECT pg_temp.deploy('ecomm-production-db', true) AS deployed \gset
SELECT is(pg_temp.lines($$SELECT report, healthy, message, revision, deployed_by, since < reported_at,
    expires_at - reported_at FROM promote.report_health('ecomm-production-db', 'smoke', true, 'fine', '1 hour', 1)$$),
    format('(2,t,fine,1,%s,t,01:00:00)', :deployed), 'another goes on where the first began; it notes what runs');
SELECT is(pg_temp.report(false, message => 'down'), 3, 'a failure');
SELECT is(pg_temp.report(false, message => 'still'), 4, 'another');
SELECT is(pg_temp.report(true, 'load test'), 1, 'checks are numbered by themselves');
SELECT is(pg_temp.lines($$SELECT instance, check_name, healthy, expired, message, since < reported_at, revision,
    current, report, actor FROM promote.instance_health ORDER BY check_name$$),
    E'(ecomm-production-db,"load test",t,f,,f,1,t,1,ada)\n(ecomm-production-db,smoke,f,f,still,t,1,t,4,ada)',
        'the last reports are shown');
SELECT is((SELECT since FROM promote.instance_health WHERE check_name = 'smoke'), (SELECT reported_at
    FROM promote.health_report WHERE check_name = 'smoke' AND report = 3), '... since the first that said so');
SELECT is(pg_temp.lines($$SELECT data - 'database_role', actor FROM promote.audit_log WHERE event = 'health.reported'
    ORDER BY seq$$),
    format(E'("{""actor"": ""ada"", ""check"": ""smoke"", ""report"": 1, ""healthy"": true, ""revision"": 1, '
        '""deployment"": 0}",ada)
("{""actor"": ""ada"", ""check"": ""smoke"", ""report"": 2, ""healthy"": true, ""revision"": 1, ""deployment"": '
    '%s}",ada)
("{""actor"": ""ada"", ""check"": ""smoke"", ""report"": 3, ""healthy"": false, ""revision"": 1, ""deployment"": '
    '%s}",ada)
("{""actor"": ""ada"", ""check"": ""smoke"", ""report"": 4, ""healthy"": false, ""revision"": 1, ""deployment"": '
    '%s}",ada)
("{""actor"": ""ada"", ""check"": ""load test"", ""report"": 1, ""healthy"": true, ""revision"": 1, ""deployment"": '
    '%s}",ada)', :deployed, :deployed, :deployed, :deployed),
    'the audit log has every report, not what the reporter says');
SELECT pg_temp.report(true, expires_after => '1 ms') \g /dev/null
SELECT pg_sleep(0.01) \g /dev/null
SELECT is(pg_temp.lines($$SELECT since = reported_at FROM promote.report_health('ecomm-production-db', 'smoke',
    true)$$), '(t)', 'behind one that had expired it begins anew');
SELECT throws_ok('UPDATE promote.health_report SET healthy = true', 'PM301', NULL, 'what was reported stays');
SELECT throws_ok('DELETE FROM promote.health_report', 'PM301', NULL, '... there');
SELECT throws_ok('TRUNCATE promote.health_report', 'PM301', NULL, '... all of it');
CREATE ROLE health_reporter;
INSERT INTO promote.grants (role, action, project) VALUES ('health_reporter', 'work', 'ecomm'),
    ('health_reporter', 'impersonate', NULL);
GRANT ALL ON promote.health_report TO health_reporter;
SET ROLE health_reporter;
SELECT throws_ok($$INSERT INTO promote.health_report SELECT * FROM promote.health_report LIMIT 1$$, 'PM303', NULL,
    'reports are made by the verb');
SELECT is((promote.report_health('ecomm-production-db', 'smoke', true)).database_role, 'health_reporter',
    '... by whoever is granted "work"');
RESET ROLE;

-- ---- bad input ----
SELECT pg_temp.refuses(format('SELECT promote.report_health(%s)', f), state, detail, f)
  FROM (VALUES ('NULL, ''c'', true', 'PM001', 'null'), ('''ecomm-nowhere-db'', ''c'', true', 'PM002', 'environment'),
      ('''ecomm-production-db'', NULL, true', 'PM404', 'null'),
               ('''ecomm-production-db'', '''', true', 'PM404', 'empty'), ('''ecomm-production-db'', '' c'', true',
                   'PM404', 'white space'), ('''ecomm-production-db'', E''c\t'', true', 'PM404', 'white space'),
               ('''ecomm-production-db'', repeat(''c'', 256), true', 'PM404', '256 bytes'),
                   ('''ecomm-production-db'', ''c'', NULL', 'PM404', 'null'),
               ('''ecomm-production-db'', ''c'', true, expires_after => ''0''', 'PM404', 'more than no time'),
                   ('''ecomm-production-db'', ''c'', true, expires_after => ''-1 day''', 'PM404', 'more than no time'),
               ('''ecomm-production-db'', ''c'', true, expires_after => ''101 years''', 'PM404', '100 years'),
                   ('''ecomm-production-db'', ''c'', true, revision => 7', 'PM002', 'there is'),
               ('''ecomm-production-db'', ''c'', true, revision => 0', 'PM002', 'there is'),
                   ('''ecomm-production-db'', ''c'', true, repeat(''x'', 1048577)', 'PM102', '1048577')) AS v(f, state,
                   detail);
SELECT throws_ok(format('INSERT INTO promote.required_check (project, environment, check_name, %s) VALUES '
    '(''ecomm'', ''production'', ''c'', %L)', c, v), CASE c WHEN 'selector' THEN 'PM101' ELSE 'PM404' END, NULL,
    c || ' ' || v)
  FROM (VALUES ('expires_after', '0'), ('expires_after', '101 years'), ('"of"', 'neighbour'), ('selector', '1')) AS x(c,
      v);
SELECT throws_ok(format('INSERT INTO promote.required_check (project, environment, check_name) VALUES '
    '(''ecomm'', ''production'', %L)', v), 'PM404', NULL, 'check ' || quote_literal(v))
  FROM unnest(ARRAY['', ' x', 'x ', repeat('x', 256)]) AS v;

-- ---- required checks of the destination ----
SELECT is_empty($$SELECT pg_temp.blocked('health')$$, 'nothing is required');
SAVEPOINT scopes;
INSERT INTO promote.required_check (project, environment, check_name) VALUES ('ecomm', NULL, 'a'), (NULL,
    'production', 'b'), (NULL, NULL, 'c'),
    ('other', NULL, 'd'), (NULL, 'staging', 'e');
SELECT is(pg_temp.lines($$SELECT substring(b, '"(.)"') FROM pg_temp.blocked('health') AS b$$), E'(a)\n(b)\n(c)',
    'checks of a project, of environments of a name, and of everything');
INSERT INTO promote.promotion_path VALUES ('ecomm', 'staging', 'production');
SELECT alike((SELECT why_not FROM promote.matrix('ecomm') WHERE instance = 'ecomm-staging-db'),
    '%check "c" was never reported%',
    '... which the matrix knows');
ROLLBACK TO scopes;
INSERT INTO promote.required_check (project, environment, check_name) VALUES ('ecomm', 'production', 'ticket');
SELECT results_eq($$SELECT code, message, since, until, liftable_by FROM promote.blockers('ecomm-production-db')
    WHERE code = 'health'$$,
    $$VALUES ('health', 'check "ticket" was never reported of "ecomm-production-db"', NULL::timestamptz,
        NULL::timestamptz, 'whoever reports check "ticket" of "ecomm-production-db" healthy')$$,
        'what is required and was never reported blocks');
SELECT is_empty($$SELECT code FROM promote.blockers('ecomm-staging-db') WHERE code = 'health'$$,
    '... that environment alone');
SELECT pg_temp.report(false, 'ticket', message => 'not signed') \g /dev/null
SELECT results_eq($$SELECT message, since FROM promote.blockers('ecomm-production-db') WHERE code = 'health'$$,
    $$SELECT 'check "ticket" has failed of "ecomm-production-db": not signed', reported_at FROM promote.health_report
        WHERE check_name = 'ticket'$$, 'a failure blocks, since it was reported');
SELECT pg_temp.report(true, 'ticket') \g /dev/null
SELECT is_empty($$SELECT pg_temp.blocked('health')$$, 'a green light does not');
SELECT pg_temp.report(false, 'ticket') \g /dev/null
SELECT is((SELECT pg_temp.blocked('health')), 'check "ticket" has failed of "ecomm-production-db"',
    'a later failure withdraws it');
SELECT pg_temp.report(true, 'ticket', expires_after => '1 hour') \g /dev/null
SELECT is_empty($$SELECT pg_temp.blocked('health', now() + interval '59 min')$$, 'one that expires counts until then');
SELECT results_eq($$SELECT message, since FROM promote.blockers('ecomm-production-db', NULL, now() + interval '61 min')
    WHERE code = 'health'$$,
    $$SELECT 'the last report of check "ticket" of "ecomm-production-db" has expired', max(expires_at)
        FROM promote.health_report$$, '... and no longer');
UPDATE promote.required_check SET expires_after = '10 min';
SELECT is_empty($$SELECT pg_temp.blocked('health', now() + interval '9 min')$$, 'the environment may let it count');
SELECT isnt_empty($$SELECT pg_temp.blocked('health', now() + interval '11 min')$$, '... for less');
UPDATE promote.required_check SET expires_after = '100 years';
SELECT isnt_empty($$SELECT pg_temp.blocked('health', now() + interval '61 min')$$, '... but not for more');
UPDATE promote.required_check SET expires_after = NULL, component = 'cache';
SELECT pg_temp.report(false, 'ticket') \g /dev/null
SELECT is_empty($$SELECT pg_temp.blocked('health')$$, 'another component''s is not required');
UPDATE promote.required_check SET component = 'db';
SELECT isnt_empty($$SELECT pg_temp.blocked('health')$$, 'its own is');
UPDATE promote.required_check SET selector = '{"tier": "gold"}';
SELECT is_empty($$SELECT pg_temp.blocked('health')$$, 'nor what is required of others');
UPDATE promote.environment SET attributes = '{"tier": "gold"}' WHERE project = 'ecomm' AND environment = 'production';
SELECT isnt_empty($$SELECT pg_temp.blocked('health')$$, '... until it is one of them');
-- One that fits one component of several is required of that one: by what the environment, the component and the
-- instance have.
UPDATE promote.environment SET attributes = '{"stage": "last"}' WHERE project = 'ecomm' AND environment = 'production';
UPDATE promote.component SET attributes = '{"tier": "gold"}' WHERE project = 'ecomm' AND component = 'db';
UPDATE promote.component SET attributes = '{"tier": "tin"}' WHERE project = 'ecomm' AND component = 'cache';
UPDATE promote.required_check SET component = NULL, selector = '{"tier": "gold", "stage": "last"}';
SELECT promote.configure_instance('ecomm-production-cache', '{}') \g /dev/null
SELECT is(pg_temp.lines($$SELECT i.name, b.message FROM promote.instance AS i, promote.blockers(i.name) AS b
                            WHERE i.name IN ('ecomm-production-db', 'ecomm-production-cache') AND b.code = 'health'$$),
    '(ecomm-production-db,"check ""ticket"" has failed of ""ecomm-production-db""")',
        'a selector picks one component of several');
UPDATE promote.required_check SET selector = '{"tier": "tin"}';
SELECT is_empty($$SELECT pg_temp.blocked('health')$$, 'the other has been picked');
SELECT is((SELECT message FROM promote.blockers('ecomm-production-cache') WHERE code = 'health'),
    'check "ticket" was never reported of "ecomm-production-cache"', '... of which nothing was reported');
UPDATE promote.component SET attributes = '{}' WHERE project = 'ecomm';
UPDATE promote.environment SET attributes = '{"tier": "gold"}' WHERE project = 'ecomm' AND environment = 'production';

-- ---- of a revision ----
DELETE FROM promote.required_check;
INSERT INTO promote.required_check (project, environment, check_name, per_revision)
    VALUES ('ecomm', 'production', 'migration', true);
SELECT pg_temp.report(true, 'migration') \g /dev/null
SELECT is_empty($$SELECT pg_temp.blocked('health')$$, 'the schema was migrated for revision 1');
SELECT promote.configure_instance('ecomm-production-db', '{"replicas": 2}') \g /dev/null
SELECT is((SELECT pg_temp.blocked('health')),
    'check "migration" was never reported of revision 2 of "ecomm-production-db"', 'revision 2 needs it again');
SELECT is((SELECT string_agg(m.check_name, ' ') FROM promote_internal.missing_checks('ecomm', 'production', 'db',
    revision, NULL, NULL, '{}', now()) AS m), missing, format('missing of revision %s, 0 being one to come', revision))
  FROM (VALUES (0, NULL), (1, NULL), (2, 'migration')) AS v (revision, missing);
SELECT pg_temp.report(true, 'migration', revision => 2) \g /dev/null
SELECT pg_temp.report(false, 'migration', revision => 1) \g /dev/null
SELECT is_empty($$SELECT pg_temp.blocked('health')$$, '... and what is reported of another changes nothing');
SELECT pg_temp.report(false, 'migration', message => 'no lock') \g /dev/null
SELECT is((SELECT pg_temp.blocked('health')),
    'check "migration" has failed of revision 2 of "ecomm-production-db": no lock', '... but of itself');

-- ---- of the source ----
DELETE FROM promote.required_check;
INSERT INTO promote.required_check (project, environment, check_name, "of")
    VALUES ('ecomm', 'production', 'tests', 'source');
SELECT is_empty($$SELECT pg_temp.blocked('health')$$, 'an edit has no source');
SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db') \g /dev/null
SELECT is((SELECT pg_temp.blocked('health')), 'check "tests" was never reported of "ecomm-staging-db"',
    'what was promoted has');
SELECT pg_temp.report(true, 'tests') \g /dev/null
SELECT isnt_empty($$SELECT pg_temp.blocked('health')$$, 'of the destination does not help');
SELECT pg_temp.report(true, 'tests', 'ecomm-staging-db') \g /dev/null
SELECT is_empty($$SELECT pg_temp.blocked('health')$$, 'of the source it does');
UPDATE promote.required_check SET per_revision = true;
SELECT is_empty($$SELECT pg_temp.blocked('health')$$, 'it was of the revision that was promoted');
SELECT promote.configure_instance('ecomm-staging-db', '{"replicas": 5}') \g /dev/null
SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db') \g /dev/null
SELECT is((SELECT pg_temp.blocked('health')), 'check "tests" was never reported of revision 2 of "ecomm-staging-db"',
    '... which the next one was not');
INSERT INTO promote.required_check (project, environment, check_name, "of")
    VALUES ('ecomm', 'production', 'tests', 'destination'), ('ecomm', 'production', 'also', 'destination');
SELECT results_eq($$SELECT pg_temp.blocked('health')$$,
    ARRAY['check "also" was never reported of "ecomm-production-db"',
    'check "tests" was never reported of revision 2 of "ecomm-staging-db"'], 'all that is missing is listed');
DELETE FROM promote.required_check WHERE "of" = 'source' OR check_name = 'tests';
INSERT INTO promote.override_rule (project, environment, code, role)
    VALUES ('ecomm', 'production', 'health', current_user);
SELECT pg_temp.work('ecomm-production-db') \g /dev/null
SELECT max(deployment) AS plan FROM promote.deployment WHERE project = 'ecomm' AND environment = 'production'
    AND component = 'db' AND action = 'PLAN' AND status = 'COMPLETED' \gset
SELECT promote.override_gate('ecomm-production-db', :plan, 'health', 'nobody is there to report it') \g /dev/null
SELECT is_empty($$SELECT pg_temp.blocked('health')$$, 'a missing report is overridden');
SELECT pg_temp.report(false, 'also') \g /dev/null
SELECT is((SELECT pg_temp.blocked('health')), 'check "also" has failed of "ecomm-production-db"',
    '... which does not hold for a failure that is reported later');
DELETE FROM promote.required_check;

-- ---- soaking ----
UPDATE promote.environment SET require_no_drift = false, require_expected = false WHERE project = 'ecomm';
SELECT is_empty($$SELECT pg_temp.blocked('soak')$$, 'no soak is required');
UPDATE promote.environment SET required_soak = '7 days' WHERE project = 'ecomm' AND environment = 'production';
SELECT is((SELECT pg_temp.blocked('soak')), 'the source "ecomm-staging-db" is not provisioned',
    'what does not run soaks nothing');
SELECT pg_temp.deploy('ecomm-staging-db', true) AS first \gset
CREATE FUNCTION pg_temp.finished(number integer) RETURNS timestamptz LANGUAGE sql AS $$ SELECT finished_at
    FROM promote.deployment WHERE environment = 'staging' AND component = 'db' AND deployment = number $$;
SELECT results_eq($$SELECT message, since, until, liftable_by FROM promote.blockers('ecomm-production-db')
    WHERE code = 'soak'$$,
    format($$SELECT 'the source "ecomm-staging-db" has not run it for 7 days yet', t, t + interval '168 hours', NULL
        FROM pg_temp.finished(%s) AS t$$, :first), 'it has to run for 7 days');
SET TIME ZONE 'Europe/Berlin';
SELECT results_eq($$SELECT until FROM promote.blockers('ecomm-production-db') WHERE code = 'soak'$$,
    format($$SELECT t + interval '168 hours' FROM pg_temp.finished(%s) AS t$$, :first),
    '... of 24 hours each, wherever one is');
RESET TIME ZONE;
SELECT is_empty($$SELECT pg_temp.blocked('soak', now() + interval '169 hours')$$, '... and then it has');
SELECT isnt_empty($$SELECT pg_temp.blocked('soak', now() + interval '167 hours')$$, '... not before');
SELECT promote.plan_instance('ecomm-staging-db') \g /dev/null
SELECT pg_temp.work('ecomm-staging-db') \g /dev/null
SELECT promote.deploy_instance('ecomm-staging-db') \g /dev/null
SELECT pg_temp.work('ecomm-staging-db') \g /dev/null
SELECT results_eq($$SELECT since FROM promote.blockers('ecomm-production-db') WHERE code = 'soak'$$,
    format($$SELECT pg_temp.finished(%s)$$, :first), 'deploying the same again does not begin anew');
-- something else, and back
SELECT promote.configure_instance('ecomm-staging-db', '{"replicas": 6}') \g /dev/null
SELECT is((SELECT message || until FROM promote.blockers('ecomm-production-db') WHERE code = 'soak'),
    (SELECT 'the source "ecomm-staging-db" has not run it for 7 days yet'
    || pg_temp.finished(:first) + interval '168 hours'), 'what is only desired does not matter');
SELECT pg_temp.deploy('ecomm-staging-db', true) \g /dev/null
SELECT results_eq($$SELECT message, until FROM promote.blockers('ecomm-production-db') WHERE code = 'soak'$$,
    $$VALUES ('the source "ecomm-staging-db" runs revision 3 by release 1.2.0-dev.20260915T101500Z, not what was '
        'promoted of revision 2 by release 1.2.0-dev.20260915T101500Z', NULL::timestamptz)$$,
        'what runs something else soaks nothing');
SELECT promote.configure_instance('ecomm-staging-db', '{"replicas": 5}') \g /dev/null
SELECT pg_temp.deploy('ecomm-staging-db', true) AS back \gset
SELECT results_eq($$SELECT since FROM promote.blockers('ecomm-production-db') WHERE code = 'soak'$$,
    format($$SELECT pg_temp.finished(%s)$$, :back), 'back again it begins anew');
-- a failure of the same
SELECT promote.plan_instance('ecomm-staging-db') \g /dev/null
SELECT pg_temp.work('ecomm-staging-db') \g /dev/null
SELECT promote.deploy_instance('ecomm-staging-db') \g /dev/null
UPDATE promote.instance SET attributes = '{"pick": 1}' WHERE name = 'ecomm-staging-db';
SELECT deployment, fencing FROM promote.claim_deployment('w', selector => '{"pick": 1}') \gset
SELECT isnt_empty($$SELECT until FROM promote.blockers('ecomm-production-db')
    WHERE code = 'soak' AND until IS NOT NULL$$, 'while the same is being deployed it goes on');
SELECT promote.fail_deployment('ecomm-staging-db', :deployment, 'broken', :fencing) \g /dev/null
SELECT results_eq($$SELECT message, until FROM promote.blockers('ecomm-production-db') WHERE code = 'soak'$$,
    $$VALUES ('the last deployment of the source "ecomm-staging-db" has failed', NULL::timestamptz)$$,
    'a failure ends it');
SELECT pg_temp.deploy('ecomm-staging-db', true) AS mended \gset
SELECT results_eq($$SELECT since FROM promote.blockers('ecomm-production-db') WHERE code = 'soak'$$,
    format($$SELECT pg_temp.finished(%s)$$, :mended), 'deployed after that it begins anew');
-- health
SELECT pg_temp.report(true, 'smoke', 'ecomm-staging-db') \g /dev/null
SELECT results_eq($$SELECT since FROM promote.blockers('ecomm-production-db') WHERE code = 'soak'$$,
    format($$SELECT pg_temp.finished(%s)$$, :mended), 'in good health it goes on');
SELECT pg_temp.report(false, 'smoke', 'ecomm-staging-db') \g /dev/null
SELECT results_eq($$SELECT message, until FROM promote.blockers('ecomm-production-db') WHERE code = 'soak'$$,
    $$VALUES ('check "smoke" of the source "ecomm-staging-db" has failed', NULL::timestamptz)$$,
    'in ill health it does not');
SELECT pg_temp.report(true, 'smoke', 'ecomm-staging-db') \g /dev/null
SELECT results_eq($$SELECT message, since, until - since FROM promote.blockers('ecomm-production-db')
    WHERE code = 'soak'$$,
    $$SELECT 'the source "ecomm-staging-db" has not run it for 7 days since it was last reported unhealthy',
        max(reported_at), interval '168 hours' FROM promote.health_report
        WHERE NOT healthy AND environment = 'staging'$$, 'well again it begins anew');
SELECT promote.plan_instance('ecomm-staging-db') \g /dev/null
SELECT pg_temp.work('ecomm-staging-db') \g /dev/null
SELECT isnt_empty($$SELECT until FROM promote.blockers('ecomm-production-db')
    WHERE code = 'soak' AND until IS NOT NULL$$, 'planning changes nothing');
-- something else begins
SELECT promote.configure_instance('ecomm-staging-db', '{"replicas": 7}', plan => false) \g /dev/null
SELECT promote.deploy_instance('ecomm-staging-db') \g /dev/null
SELECT isnt_empty($$SELECT until FROM promote.blockers('ecomm-production-db')
    WHERE code = 'soak' AND until IS NOT NULL$$, 'what waits changes nothing');
SELECT deployment, fencing FROM promote.claim_deployment('w', selector => '{"pick": 1}') \gset
SELECT results_eq($$SELECT message, until FROM promote.blockers('ecomm-production-db') WHERE code = 'soak'$$,
    $$VALUES ('something else is being deployed to the source "ecomm-staging-db"', NULL::timestamptz)$$,
    'what runs does');
SELECT promote.complete_deployment('ecomm-staging-db', :deployment, :fencing) \g /dev/null
-- other parameters make it another one
SELECT promote.configure_instance('ecomm-production-db', '{"replicas": 1}') \g /dev/null
SELECT is_empty($$SELECT pg_temp.blocked('soak')$$, 'an edit has no source to soak');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the record is whole');

SELECT * FROM finish();
ROLLBACK;
