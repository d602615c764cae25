-- Going back to what ran before, and rehearsing it.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
\ir ../../fixtures/plan.sql
SET LOCAL promote.actor = 'ada';

CREATE FUNCTION pg_temp.back(arguments text DEFAULT '') RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.lines(format('SELECT old_revision, new_revision, deployment, changed, jsonb_array_length(diff) FROM '
        'promote.rollback_instance(%s)', concat_ws(', ', '''ecomm-production-db''', NULLIF(arguments, ''))))
$$;
CREATE FUNCTION pg_temp.rehearsal(arguments text DEFAULT '') RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.lines(format('SELECT * FROM promote.rehearse_rollback(%s)',
        concat_ws(', ', '''ecomm-production-db''', NULLIF(arguments, ''))))
$$;

-- Deploys what the instance desires, and fails.
CREATE FUNCTION pg_temp.fails(name text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    claim record;
BEGIN
    PERFORM promote.plan_instance(name);
    PERFORM pg_temp.work(name);
    PERFORM promote.deploy_instance(name);
    SELECT * INTO claim FROM promote.claim_deployment('test', ARRAY['PROVISION']);
    PERFORM promote.fail_deployment(claim.instance, claim.deployment, 'no luck', claim.fencing);
END
$$;

-- ---- nothing to go back to ----
SELECT pg_temp.refuses($$SELECT promote.rollback_instance('ecomm-production-db')$$, 'PM508', 'Nothing was deployed',
    'where nothing ever ran');
SELECT pg_temp.refuses($$SELECT promote.rollback_instance('ecomm-production-db', 1)$$, 'PM508', 'Nothing was deployed',
    'nor a revision by its number');
SELECT pg_temp.refuses($$SELECT promote.rollback_instance('ecomm-prod-uswest-db')$$, 'PM508', 'Nothing was deployed',
    'nor an instance without a revision');
SELECT is(pg_temp.rehearsal(), '(obstacle,PM508,,,,,,,,"Nothing was deployed at ""ecomm-production-db"" yet.")',
    'a rehearsal says so');

-- ---- one deployed, and then another ----
SELECT pg_temp.deploy('ecomm-production-db') \g /dev/null
SELECT pg_temp.refuses($$SELECT promote.rollback_instance('ecomm-production-db')$$, 'PM508',
    'Nothing was deployed but revision 1', 'where nothing but what is desired ran');
SELECT is(pg_temp.back('1'), '(1,1,,f,0)', 'back to what is desired already: nothing to do');
SELECT promote.configure_instance('ecomm-production-db', '{"size": "large", "password": "{{domain}}", "replicas": 3}',
    '~1') \g /dev/null
SELECT pg_temp.deploy('ecomm-production-db') \g /dev/null
SELECT promote.configure_instance('ecomm-production-db', '{"replicas": 9}') \g /dev/null
SELECT pg_temp.work('ecomm-production-db') \g /dev/null
SELECT pg_temp.refuses($$SELECT promote.rollback_instance('ecomm-production-db', 3)$$, 'PM508',
    'Revision 3 was never deployed; these were: 2, 1', 'one that never ran');
SELECT pg_temp.refuses($$SELECT promote.rollback_instance('ecomm-production-db', 4)$$, 'PM002', 'from 1 to 3',
    'one that is not there');
SELECT pg_temp.refuses($$SELECT promote.rollback_instance('ecomm-production-db', 0)$$, 'PM002', 'from 1',
    'none has the number 0');
SELECT pg_temp.refuses($$SELECT * FROM promote.rehearse_rollback('ecomm-production-db', 4)$$, 'PM002', 'from 1 to 3',
    'nor is it rehearsed');
SELECT is(pg_temp.lines($$SELECT kind, path, change, old_value, new_value, immutable, sensitive, message
    FROM promote.rehearse_rollback('ecomm-production-db') ORDER BY path$$),
    $$(release,"release constraint",change,"""~1""","""1.1.0""",f,f,)$$,
        'the one that ran last is the default, though it is not the one before');
SELECT pg_temp.fails('ecomm-production-db') \g /dev/null
SELECT is(pg_temp.lines($$SELECT new_revision, changed
    FROM promote.rollback_instance('ecomm-production-db', message => 'it failed')$$), '(4,t)',
    'the desired one was tried and failed');
SELECT is(pg_temp.lines($$SELECT origin, version_constraint, release_channel, version, source_environment,
    source_revision, overrides, message, actor, digest = (SELECT digest FROM promote.revision
    WHERE environment = 'production' AND component = 'db' AND project = 'ecomm' AND revision = 2)
                            FROM promote.revision WHERE project = 'ecomm' AND environment = 'production'
                                AND component = 'db' AND revision = 4$$),
    '(rollback,1.1.0,stable,1.1.0,production,2,,"it failed",ada,t)',
        'a revision of the old configuration, by exactly the release that ran');
SELECT is(pg_temp.back('2'), '(4,4,,f,1)', 'again: nothing to do');
SELECT is(pg_temp.params('ecomm-production-db') ->> 'password', '{{domain}}', 'with its own placeholders');
SELECT pg_temp.deploy('ecomm-production-db') \g /dev/null

-- ---- to and fro ----
SELECT is(pg_temp.lines($$SELECT kind, path, change, old_value, new_value, sensitive
    FROM promote.rehearse_rollback('ecomm-production-db', 1) ORDER BY kind, path$$),
    E'(param,.password,change,"""(sensitive value)""","""(sensitive value)""",t)\n(param,.replicas,remove,3,,f)\n'
    '(param,.size,change,"""large""","""small""",f)\n(release,"release constraint",change,"""1.1.0""","""1.0.0""",f)\n'
    '(release,"release version",change,"""1.1.0""","""1.0.0""",f)', 'what it would change, masked');
CREATE TEMP TABLE shown AS SELECT path, change, old_value AS old, new_value AS new
    FROM promote.rehearse_rollback('ecomm-production-db', 1);
CREATE TEMP TABLE staged AS SELECT * FROM promote.rollback_instance('ecomm-production-db', 1, 'back', 4);
SELECT results_eq($$SELECT x ->> 'path', x ->> 'change', x -> 'old', x -> 'new'
    FROM staged, jsonb_array_elements(diff) x ORDER BY 1$$, 'SELECT * FROM shown ORDER BY 1', 'is what it does change');
SELECT is((SELECT d.status || ' ' || d.action || ' ' || d.revision || ' ' || d.version FROM promote.deployment d,
    staged s WHERE d.project = 'ecomm' AND d.environment = 'production' AND d.component = 'db'
    AND d.deployment = s.deployment), 'PENDING PLAN 5 1.0.0', 'a plan is queued');
SELECT pg_temp.deploy('ecomm-production-db') \g /dev/null
SELECT is(pg_temp.params('ecomm-production-db') -> 'size', '"small"', 'back at the first');
SELECT is(pg_temp.lines($$SELECT new_revision, changed
    FROM promote.rollback_instance('ecomm-production-db', plan => false)$$), '(6,t)', 'a rollback of the rollback');
SELECT is(pg_temp.params('ecomm-production-db') -> 'size', '"large"', 'toggles');
SELECT is((SELECT deployment FROM promote.rollback_instance('ecomm-production-db', 4)) IS NOT NULL, true,
    'the plan that is missing is made');
SELECT pg_temp.refuses($$SELECT promote.rollback_instance('ecomm-production-db', 1, expected_revision => 5)$$, 'PM401',
    'revision is 6', 'an expectation that does not hold');
SELECT pg_temp.deploy('ecomm-production-db') \g /dev/null

-- ---- what stands in the way ----
SELECT promote.configure_instance('ecomm-production-db', '{"subnet": "other", "replicas": 4}',
    allow_replace => true) \g /dev/null
SELECT pg_temp.deploy('ecomm-production-db') \g /dev/null
UPDATE promote.bundle_release SET block_reason = 'CVE-2026-1' WHERE bundle = 'postgres' AND version = '1.1.0';
UPDATE promote.parameter_set SET parameters = '{}' WHERE project = 'ecomm' AND environment = 'production';
SELECT is(pg_temp.lines($$SELECT code, path, message FROM promote.rehearse_rollback('ecomm-production-db')
    WHERE kind = 'obstacle'$$),
    E'(PM510,,"Release postgres 1.1.0 is blocked: CVE-2026-1")\n(PM105,,"Parameter ""domain"" is missing.")\n'
        '(PM104,.subnet,"what runs has another value, which is immutable")', 'all obstacles at once');
SELECT pg_temp.refuses($$SELECT promote.rollback_instance('ecomm-production-db')$$, 'PM510',
    E'blocked: CVE-2026-1\nParameter "domain" is missing\\.\n\\.subnet: what runs', 'and all of them in the refusal');
UPDATE promote.bundle_release SET block_reason = NULL WHERE bundle = 'postgres';
SELECT pg_temp.refuses($$SELECT promote.rollback_instance('ecomm-production-db')$$, 'PM105',
    E'"domain" is missing\\.\n\\.subnet', 'without the first');
UPDATE promote.parameter_set SET parameters = '{"domain": 7}' WHERE project = 'ecomm' AND environment = 'production';
SELECT pg_temp.refuses($$SELECT promote.rollback_instance('ecomm-production-db')$$, 'PM103',
    E'\\.password: .*\n\\.subnet', 'a parameter that is not what the schema wants');
SELECT pg_temp.refuses($$SELECT promote.rollback_instance('ecomm-production-db', allow_replace => true)$$, 'PM103',
    E'^\\.password: [^\n]*$', 'immutable values may be replaced, and nothing else');
UPDATE promote.parameter_set SET parameters = '{"domain": "new.example.com"}' WHERE project = 'ecomm'
    AND environment = 'production';
SELECT pg_temp.refuses($$SELECT promote.rollback_instance('ecomm-production-db')$$, 'PM104', '^\.subnet: ',
    'an immutable value of what runs');
SELECT is((SELECT count(*) FROM promote.rehearse_rollback('ecomm-production-db')
    WHERE kind = 'param' AND path = '.subnet' AND immutable), 1::bigint, 'is marked in what would change');
SELECT is(pg_temp.lines($$SELECT changed
    FROM promote.rollback_instance('ecomm-production-db', allow_replace => true)$$), '(t)',
    'unless it may be replaced');
SELECT is((SELECT destructive FROM promote.deployment WHERE project = 'ecomm' AND environment = 'production'
    AND component = 'db' ORDER BY deployment DESC LIMIT 1), true, 'and the plan says so');
SELECT is((SELECT params ->> 'password' FROM promote.config c JOIN promote.deployment d ON d.rendered_digest = c.digest
    AND d.project = c.project WHERE d.project = 'ecomm' AND d.environment = 'production' AND d.component = 'db'
    ORDER BY deployment DESC LIMIT 1), 'new.example.com', 'rendered with the parameters of today');

-- ---- what the last plan destroys ----
SELECT pg_temp.planned('ecomm-production-db',
    '[["aws_db_instance.a", ["delete", "create"], {"x": 1}, {"x": 2}], ["aws_db_instance.b", ["update"], {"x": 1}, '
    '{"x": 2}]]') AS plan \gset
SELECT is(pg_temp.lines($$SELECT code, path, message FROM promote.rehearse_rollback('ecomm-production-db', 1)
    WHERE code = 'destructive'$$),
    format('(destructive,aws_db_instance.a,"plan %s says replace, and resources of its type hold data")', :plan),
    'what the last recorded plan destroys is told');
SELECT is(pg_temp.lines($$SELECT changed FROM promote.rollback_instance('ecomm-production-db', 4, plan => false,
    allow_replace => true)$$), '(f)', 'but stops nothing');
SELECT pg_temp.planned('ecomm-production-db', '[]') \g /dev/null
SELECT is((SELECT count(*) FROM promote.rehearse_rollback('ecomm-production-db', 1) WHERE code = 'destructive'),
    0::bigint, 'by the last one only');

-- ---- evidence ----
SELECT is((SELECT count(*) FROM promote.audit_log WHERE event = 'rollback.rehearsed'), 0::bigint,
    'a rehearsal leaves no trace');
SELECT is(pg_temp.rehearsal('1, true'), pg_temp.rehearsal('1'), 'unless it is asked to');
SELECT is((SELECT data - 'database_role' - 'rendered_digest' - 'diff' FROM promote.audit_log
    WHERE event = 'rollback.rehearsed'),
    (SELECT jsonb_build_object('actor', 'ada', 'revision', 8, 'to_revision', 1, 'version', '1.0.0', 'changes',
        count(change), 'obstacles', jsonb_agg(code) FILTER (WHERE kind = 'obstacle'))
        FROM promote.rehearse_rollback('ecomm-production-db', 1)), 'then with facts');
SELECT is((SELECT octet_length(data ->> 'rendered_digest') + octet_length(data ->> 'diff') FROM promote.audit_log
    WHERE event = 'rollback.rehearsed'), 128, 'and digests');
SELECT is((SELECT count(*) FROM promote.audit_log WHERE event = 'rollback.rehearsed'
    AND data::text ~ 'large|small|secret|prod'), 0::bigint, 'and no values');
SELECT lives_ok($$SELECT promote.rehearse_rollback('ecomm-prod-uswest-db', NULL, true)$$,
    'that nothing was deployed is evidence, too');
SELECT is(pg_temp.lines($$SELECT data -> 'obstacles', data ? 'to_revision' FROM promote.audit_log
    WHERE subject = 'ecomm-prod-uswest-db' AND event = 'rollback.rehearsed'$$), '("[""PM508""]",f)', 'of its own');

-- ---- releases that came between judging and deploying ----
INSERT INTO promote.bundle_release (bundle, version, params_schema)
    VALUES ('redis', '1.1.0', '{"properties": {"token": {"$md.sensitive": true}}}');
SELECT promote.configure_instance('ecomm-production-cache', '{"token": "old"}', '~1') \g /dev/null
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('redis', '1.2.0', '{}');
SELECT pg_temp.deploy('ecomm-production-cache') \g /dev/null
SELECT is((SELECT deployed_version FROM promote.instance_status WHERE instance = 'ecomm-production-cache'), '1.2.0',
    'it runs a newer release than it was judged by');
SELECT is(pg_temp.lines($$SELECT changed FROM promote.rollback_instance('ecomm-production-cache', 1)$$), '(f)',
    'and is desired for all that');
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('redis', '1.3.0', '{}');

-- ---- back from a release that came by the constraint: the revision stays, what ran of it does not ----
-- Goes back, and compares the rehearsal, the result, the plan and the revision with each other: a line of what all say.
CREATE FUNCTION pg_temp.back_from(arguments text DEFAULT 'NULL') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    shown text;
    back record;
BEGIN
    shown := pg_temp.lines(format('SELECT path, change, old_value, new_value
        FROM promote.rehearse_rollback(''ecomm-production-cache'', %s)', arguments));
    EXECUTE format('SELECT * FROM promote.rollback_instance(''ecomm-production-cache'', %s)', arguments) INTO back;
    RETURN concat_ws(' ', back.new_revision, back.changed,
        (SELECT concat_ws(' ', d.action, d.revision, d.version, d.diff = back.diff) FROM promote.deployment AS d
          WHERE d.project = 'ecomm' AND d.environment = 'production' AND d.component = 'cache'
            AND d.deployment = back.deployment),
        pg_temp.lines(format('SELECT e -> ''path'' #>> ''{}'', e -> ''change'' #>> ''{}'', e -> ''old'', e -> ''new''
            FROM jsonb_array_elements(%L) AS e', back.diff)) IS NOT DISTINCT FROM shown,
        (SELECT concat_ws(' ', r.origin, r.version_constraint, r.source_revision) FROM promote.revision AS r
          WHERE r.project = 'ecomm' AND r.environment = 'production' AND r.component = 'cache'
            AND r.revision = back.new_revision));
END
$$;
SAVEPOINT upgrade;
SELECT is(pg_temp.back_from('1'), '2 t PLAN 2 1.2.0 t t rollback 1.2.0 1',
    'the revision that is desired is gone back to by the release that ran');
ROLLBACK TO upgrade;
SELECT pg_temp.fails('ecomm-production-cache') \g /dev/null
SELECT is(pg_temp.back_from(), '2 t PLAN 2 1.2.0 t t rollback 1.2.0 1',
    'once the next one has failed, it is the default');
SELECT pg_temp.work('ecomm-production-cache'), promote.deploy_instance('ecomm-production-cache'),
    pg_temp.work('ecomm-production-cache') \g /dev/null
SELECT is(pg_temp.lines($$SELECT status, deployed_version FROM promote.instance_status
    WHERE instance = 'ecomm-production-cache'$$), '(in_sync,1.2.0)', '... and it is deployed');
ROLLBACK TO upgrade;
SELECT pg_temp.fails('ecomm-production-cache') \g /dev/null
SELECT is(pg_temp.back_from('1'), '2 t PLAN 2 1.2.0 t t rollback 1.2.0 1', 'or by its number');
ROLLBACK TO upgrade;
SELECT pg_temp.deploy('ecomm-production-cache') \g /dev/null
SELECT is(pg_temp.back_from('1'), '1 f t edit ~1',
    'what ran of it last is what is desired, where the next one has worked');
SELECT is(pg_temp.back_from(), '2 t PLAN 2 1.2.0 t t rollback 1.2.0 1', 'the default is what ran before that');
SELECT pg_temp.deploy('ecomm-production-cache') \g /dev/null
SELECT is(pg_temp.back_from(), '3 t PLAN 3 1.3.0 t t rollback 1.3.0 1', '... and toggles');
ROLLBACK TO upgrade;
SELECT promote.block_release('redis', '1.2.0', 'bad') \g /dev/null
SELECT pg_temp.refuses($$SELECT promote.rollback_instance('ecomm-production-cache', 1)$$, 'PM510',
    'Release redis 1.2.0 is blocked', 'unless that release is blocked');
ROLLBACK TO upgrade;
SELECT promote.block_release('redis', '1.3.0', 'bad') \g /dev/null
SELECT is(pg_temp.back_from('1'), '2 t PLAN 2 1.2.0 t t rollback 1.2.0 1', 'a block of the other one stops nothing');
ROLLBACK TO upgrade;
SELECT promote.configure_instance('ecomm-production-cache', '{"token": "new"}', '1.2.0') \g /dev/null
SELECT pg_temp.deploy('ecomm-production-cache') \g /dev/null
SELECT is(pg_temp.lines($$SELECT path, old_value, new_value, sensitive
    FROM promote.rehearse_rollback('ecomm-production-cache', 1)$$),
    '(.token,"""(sensitive value)""","""(sensitive value)""",t)',
    'what the release it was judged by calls sensitive is masked');
SELECT promote.rollback_instance('ecomm-production-cache') \g /dev/null
SELECT is(pg_temp.lines($$SELECT version, version_constraint FROM promote.revision WHERE component = 'cache'
    AND environment = 'production' AND revision = 3$$), '(1.2.0,1.2.0)',
    'and the one that ran is what it goes back to');

-- ---- bad input ----
SELECT pg_temp.refuses(format('SELECT * FROM promote.%s', f), state, detail, f)
  FROM (VALUES ('rollback_instance(NULL)', 'PM001', 'null'), ('rehearse_rollback(NULL)', 'PM001', 'null'),
      ('rollback_instance(''db'')', 'PM001', 'three parts'),
               ('rollback_instance(''ecomm-nowhere-db'')', 'PM002', 'environment'),
                   ('rehearse_rollback(''ecomm-nowhere-db'', record => true)', 'PM002', 'environment'),
               ('rollback_instance(''ecomm-production-db'', -1)', 'PM002', 'from 1')) AS v(f, state, detail);
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the record is whole');

-- ---- gates ----
INSERT INTO promote.freeze_window (name, project, during)
    VALUES ('now', 'ecomm', tstzrange(now() - interval '1 h', now() + interval '1 h'));
SELECT is((SELECT string_agg(kind || ' ' || code || ': ' || message, '')
    FROM promote.rehearse_rollback('ecomm-production-db') WHERE kind = 'gate'), 'gate freeze: freeze "now" is on',
    'a rehearsal says which gates of time are closed');
DELETE FROM promote.freeze_window;
SELECT is_empty($$SELECT FROM promote.rehearse_rollback('ecomm-production-db') WHERE kind = 'gate'$$, 'or none');
SELECT * FROM finish();
ROLLBACK;
