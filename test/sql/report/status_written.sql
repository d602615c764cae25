-- What is written otherwise and rendered the same is what runs: of that the status, deploy_instance, the gates, the
-- matrix and requests say the same.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
SET LOCAL promote.actor = 'ada';
SET LOCAL client_min_messages = error;
SELECT pg_temp.work_all() \g /dev/null
INSERT INTO promote.bundle VALUES ('app');
INSERT INTO promote.bundle_release (bundle, version, params_schema)
    VALUES ('app', '1.0.0', '{"properties": {"own": {"$md.copyable": false}}}');
INSERT INTO promote.project (project) VALUES ('line');
INSERT INTO promote.environment (project, environment, require_plan, require_expected)
SELECT 'line', e, false, false
  FROM unnest(ARRAY['staging',
    'production']) AS e;
INSERT INTO promote.parameter_set (project, environment, parameters)
SELECT 'line', e, '{"host": "example.com", "n": 3, "m": 3}'
  FROM unnest(ARRAY['staging',
    'production']) AS e;
INSERT INTO promote.component (project, component, bundle) VALUES ('line', 'api', 'app');
INSERT INTO promote.instance (project, environment, component) VALUES ('line', 'staging', 'api'),
    ('line', 'production', 'api');
INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
    VALUES ('line', 'staging', 'production');
CREATE FUNCTION pg_temp.desire(environment text, params jsonb) RETURNS void LANGUAGE sql AS $$
    SELECT promote.configure_instance('line-' || environment || '-api', params)
$$;
CREATE FUNCTION pg_temp.ship(environment text) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.work_all();
    PERFORM promote.deploy_instance('line-' || environment || '-api');
    RETURN pg_temp.work_all();
END
$$;
CREATE FUNCTION pg_temp.status(environment text) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', status, desired_revision, deployed_revision, desired_digest = deployed_digest)
      FROM promote.instance_status WHERE instance = 'line-' || $1 || '-api'
$$;
CREATE FUNCTION pg_temp.blocked(code text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(b.message, E'\n') FROM promote.blockers('line-production-api') AS b WHERE b.code = blocked.code
$$;
CREATE FUNCTION pg_temp.rule(setting text, value text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('UPDATE promote.environment SET %I = %L WHERE project = ''line'' AND environment = ''production''',
        setting, value);
END
$$;
SELECT pg_temp.desire('production', '{"n": 0, "own": 1}'), pg_temp.desire('staging', '{"host": "example.com", "n": 3}'),
    pg_temp.ship('staging') \g /dev/null
SELECT is(pg_temp.status('staging'), 'in_sync 1 1 t', 'it runs');

-- ---- the status, and what is to deploy ----
SELECT deployment AS number FROM promote.instance WHERE name = 'line-staging-api' \gset
SELECT pg_temp.desire('staging', '{"host": "{{host}}", "n": "{{n}}"}') \g /dev/null
SELECT is(pg_temp.status('staging'), 'in_sync 2 1 f', 'placeholders stand for what was written out');
SELECT is(pg_temp.work_all(), 0, '... and there is nothing to plan');
SELECT is(pg_temp.lines($$SELECT deployment, status FROM promote.deploy_instance('line-staging-api')$$),
    format('(%s,COMPLETED)', :number), '... nor to deploy');
CREATE ROLE test_monitor BYPASSRLS;
GRANT pg_read_all_data TO test_monitor;
SET LOCAL ROLE test_monitor;
SELECT set_config('test.seen', (SELECT status FROM promote.instance_status WHERE instance = 'line-staging-api'),
    true) \g /dev/null
RESET ROLE;
SELECT is(current_setting('test.seen'), 'stale',
    'who has no grant, and reads past all that, cannot know what it renders to');
UPDATE promote.parameter_set SET parameters = parameters || '{"n": 4}' WHERE project = 'line'
    AND environment = 'staging';
SELECT is(pg_temp.status('staging'), 'stale 2 1 f', 'with another parameter they do not');
UPDATE promote.parameter_set SET parameters = parameters || '{"n": 3}' WHERE project = 'line'
    AND environment = 'staging';
SELECT is(pg_temp.status('staging'), 'in_sync 2 1 f', 'as long as that lasts');

-- ---- gates that look at the source ----
SELECT promote.promote_instance('line-staging-api', 'line-production-api') \g /dev/null
SELECT pg_temp.rule('require_source_in_sync', 'true'), pg_temp.rule('required_soak', '1 hour') \g /dev/null
SELECT is(pg_temp.blocked('source_in_sync'), NULL, 'the source runs what was promoted');
SELECT is(pg_temp.blocked('soak'), 'the source "line-staging-api" has not run it for 01:00:00 yet', '... and soaks it');
SELECT began AS began FROM (SELECT since AS began FROM promote.blockers('line-production-api') WHERE code = 'soak') AS b
    \gset
SELECT promote.plan_instance('line-staging-api'), pg_temp.ship('staging') \g /dev/null
SELECT is(pg_temp.status('staging'), 'in_sync 2 2 t', 'deployed for all that');
SELECT is((SELECT since FROM promote.blockers('line-production-api') WHERE code = 'soak'), :'began'::timestamptz,
    '... which does not begin anew');
SELECT pg_temp.rule('required_soak', '0') \g /dev/null
SELECT is(pg_temp.blocked('source_in_sync'), NULL, 'it runs it still');
SELECT pg_temp.desire('staging', '{"n": 9}'), pg_temp.ship('staging') \g /dev/null
SELECT matches(pg_temp.blocked('source_in_sync'), 'not the configuration of revision 2',
    'until it runs something else');
SELECT pg_temp.desire('staging', '{"host": "{{host}}", "n": 3}'), pg_temp.ship('staging'),
    pg_temp.desire('staging', '{"host": "example.com", "n": "{{n}}"}') \g /dev/null
SELECT is(pg_temp.status('staging'), 'in_sync 5 4 f', 'in sync again by other words');
SELECT is((SELECT why_not FROM promote.matrix('line') WHERE environment = 'staging'), NULL,
    'the matrix lets that through');
SELECT is((promote.promote_instance('line-staging-api', 'line-production-api')).changed, true, '... as it is');
SELECT is(pg_temp.blocked('source_in_sync'), NULL, '... and so do the gates once it is promoted');
SELECT pg_temp.ship('production') \g /dev/null

-- ---- what is deployed once more puts right what has drifted ----
SELECT pg_temp.rule('require_source_in_sync', 'false'), pg_temp.desire('production', '{"host": "{{host}}", "n": 3}'),
    promote.report_observed('line-production-api', '{"host": "example.com", "n": 7, "own": 1}'::jsonb, 'scan')
        \g /dev/null
SELECT is(pg_temp.status('production'), 'drifted 4 3 f', 'it drifts');
SELECT is(pg_temp.blocked('drift'), NULL, 'the same by other words puts it right');
SELECT promote.plan_instance('line-production-api'), pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.blocked('drift'), NULL, '... by its plan, too');
SELECT pg_temp.desire('staging', '{"host": "{{host}}", "n": "{{m}}"}') \g /dev/null
SELECT is((SELECT why_not FROM promote.matrix('line') WHERE environment = 'staging'), NULL,
    '... and by a promotion that nobody has staged yet');
UPDATE promote.parameter_set SET parameters = parameters || '{"m": 5}' WHERE project = 'line'
    AND environment = 'production';
SELECT matches((SELECT why_not FROM promote.matrix('line') WHERE environment = 'staging'), 'production: drift: ',
    'what is rendered otherwise does not');
UPDATE promote.parameter_set SET parameters = parameters || '{"m": 3}' WHERE project = 'line'
    AND environment = 'production';
SELECT promote.dismiss_drift('line-production-api', 'a test') \g /dev/null
SELECT is(pg_temp.status('production'), 'in_sync 4 3 f', 'and well again');

-- ---- the matrix, and requests ----
SELECT pg_temp.desire('staging', '{"host": "{{host}}", "n": 3}') \g /dev/null
SELECT is((SELECT leaves_behind FROM promote.matrix('line') WHERE environment = 'production'), 0,
    'what is desired and in sync is not behind');
SELECT pg_temp.desire('staging', '{"host": "{{host}}", "n": 4}') \g /dev/null
SELECT is((SELECT leaves_behind FROM promote.matrix('line') WHERE environment = 'production'), 1,
    '... unlike what came since');
SELECT request FROM promote.open_request('line', 'staging', 'production') \gset
SELECT count(*) FROM promote.preview_request('line', :request) \g /dev/null
SELECT is((SELECT other_changes FROM promote.preview_request('line', :request)), NULL, 'nor does anything ride along');
SELECT pg_temp.desire('production', '{"n": 8}') \g /dev/null
SELECT matches((SELECT other_changes FROM promote.preview_request('line', :request)), '^revision 5 .* is desired',
    '... but what is rendered otherwise');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'after all that the chains are whole');
SELECT * FROM finish();
ROLLBACK;
