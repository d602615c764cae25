-- The gates of releases: one that never ran where a promotion came from does not run where it went to, and an
-- environment may ask for the digest of what it runs.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
SET LOCAL promote.actor = 'ada';
SET LOCAL client_min_messages = error;
SELECT pg_temp.work_all() \g /dev/null

INSERT INTO promote.bundle VALUES ('app');
INSERT INTO promote.bundle_release (bundle, version, params_schema, artifact_digest)
SELECT 'app', v, '{}', CASE WHEN v = '1.1.0' THEN 'sha256:' || repeat('1', 64) END
  FROM unnest(ARRAY['1.0.0', '1.1.0', '1.2.0', '2.0.0']) AS v;
INSERT INTO promote.project (project) VALUES ('line');
INSERT INTO promote.environment (project, environment, require_plan, require_expected)
SELECT 'line', e, false, false FROM unnest(ARRAY['dev', 'staging', 'production']) AS e;
INSERT INTO promote.component (project, component, bundle) VALUES ('line', 'api', 'app'), ('line', 'web', 'app');
INSERT INTO promote.instance (project, environment, component)
SELECT 'line', e, c FROM unnest(ARRAY['dev', 'staging', 'production']) AS e, unnest(ARRAY['api', 'web']) AS c;
CREATE FUNCTION pg_temp.desire(environment text, version text, component text DEFAULT 'api') RETURNS void LANGUAGE sql
    AS $$
    SELECT promote.configure_instance('line-' || environment || '-' || component, '{}', version)
$$;
CREATE FUNCTION pg_temp.ship(environment text, component text DEFAULT 'api') RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    PERFORM promote.deploy_instance('line-' || environment || '-' || component);
    RETURN pg_temp.work_all();
END
$$;
CREATE FUNCTION pg_temp.send(source text, destination text) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    PERFORM promote.promote_instance('line-' || source || '-api', 'line-' || destination || '-api');
    RETURN pg_temp.work_all();
END
$$;
CREATE FUNCTION pg_temp.blocked(environment text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', code || ':', message, '(' || liftable_by || ')', overridable), E'\n')
      FROM promote.blockers('line-' || environment || '-api')
$$;
CREATE FUNCTION pg_temp.rule(environment text, setting text, value text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('UPDATE promote.environment SET %I = %L WHERE project = ''line'' AND environment = %L', setting,
        value, environment);
END
$$;
SELECT pg_temp.desire(e, '1.0.0', c), pg_temp.work_all(), pg_temp.ship(e, c)
    FROM unnest(ARRAY['dev', 'staging', 'production']) AS e, unnest(ARRAY['api', 'web']) AS c \g /dev/null

-- ---- what ran, and what did not ----
SELECT is((SELECT bool_and(require_proven_release) FROM promote.environment WHERE project = 'line'), true,
    'it is on by default');
SELECT pg_temp.desire('production', '1.1.0'), pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.blocked('production'), NULL, 'an edit came from nowhere, and is not judged');
SELECT pg_temp.desire('production', '1.0.0'), pg_temp.desire('staging', '1.1.0'),
    pg_temp.send('staging', 'production') \g /dev/null
SELECT is(pg_temp.blocked('production'),
    'release_unproven: release 1.1.0 has not run at "line-staging-api", nor where that was promoted from '
    '(whoever deploys it at "line-staging-api" first) f', 'what never ran in staging: not even if it is planned there');
SELECT pg_temp.refuses($$SELECT promote.deploy_instance('line-production-api')$$, 'PM601', '^release_unproven: ',
    '... is not deployed');
SELECT promote.deploy_instance('line-staging-api'), pg_temp.work_all('staging') \g /dev/null
SELECT is(pg_temp.blocked('production') ~ '^release_unproven', true, 'nor is what has failed there');
SELECT pg_temp.ship('production', 'web'), pg_temp.desire('staging', '1.1.0', 'web'), pg_temp.work_all(),
    pg_temp.ship('staging', 'web') \g /dev/null
SELECT is(pg_temp.blocked('production') ~ '^release_unproven', true, 'nor what another component ran');
SELECT pg_temp.ship('staging') \g /dev/null
SELECT is(pg_temp.blocked('production'), NULL, 'once it ran there, it may be deployed');
SELECT pg_temp.desire('staging', '1.2.0'), pg_temp.work_all(), pg_temp.ship('staging'),
    pg_temp.desire('staging', '1.1.0'),
    pg_temp.send('staging', 'production') \g /dev/null
SELECT is(pg_temp.blocked('production'), NULL, 'also if it ran there earlier');
SELECT pg_temp.ship('production') \g /dev/null
SELECT is((SELECT gates -> 'gates' ? 'release_unproven' FROM promote.deployment WHERE project = 'line'
    AND environment = 'production' AND component = 'api' AND action = 'PROVISION' ORDER BY deployment DESC LIMIT 1),
        true,
    'its verdict is kept');
SELECT pg_temp.desire('staging', '2.0.0'), pg_temp.send('staging', 'production') \g /dev/null
SELECT pg_temp.rule('production', 'require_proven_release', 'false') \g /dev/null
SELECT is(pg_temp.blocked('production'), NULL, 'an environment may do without');
SELECT pg_temp.ship('production'), pg_temp.rule('production', 'require_proven_release', 'true') \g /dev/null
-- 2.0.0 ran here alone
SELECT pg_temp.desire('production', '1.0.0'), pg_temp.work_all(), pg_temp.ship('production') \g /dev/null
SELECT promote.rollback_instance('line-production-api'), pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.blocked('production'), NULL, 'a rollback goes to what ran here, and is not judged');

-- ---- further upstream ----
SELECT pg_temp.desire('dev', '2.0.0'), pg_temp.work_all(), pg_temp.ship('dev'), pg_temp.desire('staging', '1.0.0'),
    pg_temp.send('dev', 'staging'), pg_temp.send('staging', 'production') \g /dev/null
SELECT is(pg_temp.blocked('production'), NULL, 'it ran where the source''s revision was promoted from');
SELECT pg_temp.desire('staging', 'latest'), pg_temp.send('staging', 'production') \g /dev/null
SELECT is(pg_temp.blocked('production') ~ 'release 2.0.0 has not run', true,
    'an edit of the source takes it from nowhere');
INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
    VALUES ('line', 'staging', 'production');
SELECT pg_temp.rule('production', 'source_policy', 'path') \g /dev/null
SELECT is(pg_temp.blocked('production'),
    'release_unproven: release 2.0.0 has not run anywhere upstream of "production" '
    '(whoever deploys it at "line-staging-api" first) f', 'along paths alone: not upstream');
INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
    VALUES ('line', 'dev', 'staging');
SELECT is(pg_temp.blocked('production'), NULL, '... until a path leads there from where it ran, by two steps');
SELECT pg_temp.rule('production', 'source_policy', 'any') \g /dev/null

-- ---- overriding ----
CREATE ROLE test_incident;
INSERT INTO promote.override_rule (project, environment, code, role)
    VALUES ('line', 'production', 'release_unproven', 'test_incident');
DO $$ BEGIN EXECUTE format('GRANT test_incident TO %I', session_user); END $$;
SELECT is(pg_temp.blocked('production') ~ ' t$', true, 'it may be overridden by those whom a rule names');
SELECT deployment AS plan FROM promote.deployment WHERE project = 'line' AND environment = 'production'
    AND component = 'api' ORDER BY deployment DESC LIMIT 1 \gset
SELECT is((promote.override_gate('line-production-api', :plan, 'release_unproven', 'burning')).subjects,
    ARRAY['app 2.0.0'], 'for that release');
SELECT is(pg_temp.blocked('production'), NULL, 'with a reason it goes');
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('app', '2.1.0', '{}');
SELECT promote.plan_instance('line-production-api'), pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.blocked('production') ~ 'release 2.1.0 has not run', true, 'the next release is another reason');

-- ---- what goes along with an edit ----
INSERT INTO promote.component (project, component, bundle) VALUES ('line', 'job', 'app');
INSERT INTO promote.instance (project, environment, component)
SELECT 'line', e, 'job' FROM unnest(ARRAY['dev', 'staging', 'production']) AS e;
SELECT pg_temp.desire(e, '1.0.0', 'job'), pg_temp.work_all(), pg_temp.ship(e, 'job')
    FROM unnest(ARRAY['staging', 'production']) AS e \g /dev/null
CREATE FUNCTION pg_temp.bring(environment text, version text) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.desire('staging', version, 'job');
    PERFORM promote.promote_instance('line-staging-job', 'line-' || environment || '-job');
    RETURN pg_temp.work_all();
END
$$;
CREATE FUNCTION pg_temp.edit(environment text, params jsonb) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    PERFORM promote.configure_instance('line-' || environment || '-job', params);
    RETURN pg_temp.work_all();
END
$$;
CREATE FUNCTION pg_temp.unproven(environment text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', message, '(' || liftable_by || ')'), E'\n')
      FROM promote.blockers('line-' || environment || '-job') WHERE code = 'release_unproven'
$$;
CREATE FUNCTION pg_temp.missing(version text) RETURNS text LANGUAGE sql AS $$
    SELECT format('release %s has not run at "line-staging-job", nor where that was promoted from '
        '(whoever deploys it at "line-staging-job" first)', version)
$$;
SELECT pg_temp.bring('production', '1.1.0'), pg_temp.edit('production', '{"replicas": 2}') \g /dev/null
SELECT is(pg_temp.unproven('production'), pg_temp.missing('1.1.0'),
    'an edit does not prove what was promoted below it');
SELECT pg_temp.refuses($$SELECT promote.deploy_instance('line-production-job')$$, 'PM601', '^release_unproven: ',
    '... nor does it ship it');
SELECT promote.report_observed('line-production-job', '{"replicas": 3}'::jsonb, 'scan'),
    promote.adopt_drift('line-production-job'), pg_temp.work_all() \g /dev/null
SELECT is((SELECT origin FROM promote.revision WHERE project = 'line' AND environment = 'production'
    AND component = 'job' ORDER BY revision DESC LIMIT 1), 'adoption', 'drift is adopted on top');
SELECT is(pg_temp.unproven('production'), pg_temp.missing('1.1.0'), '... nor does that');
SELECT promote.dismiss_drift('line-production-job', 'a test') \g /dev/null
SELECT pg_temp.desire('production', '1.1.0', 'job'), pg_temp.edit('production', '{"replicas": 4}') \g /dev/null
SELECT is(pg_temp.unproven('production'), pg_temp.missing('1.1.0'), 'nor to say the same constraint again');
SAVEPOINT unproven;
SELECT pg_temp.desire('production', '1.2.0', 'job'), pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.unproven('production'), NULL, 'who chooses another release is not asked');
SELECT pg_temp.desire('production', '1.1.0', 'job'), pg_temp.edit('production', '{"replicas": 5}') \g /dev/null
SELECT is(pg_temp.unproven('production'), NULL, '... nor who chooses that one after all');
ROLLBACK TO unproven;
SELECT promote.configure_instance('line-production-job', '{}', '1.1.0+dev'), pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.unproven('production'), NULL, 'the channel is a choice, too');
ROLLBACK TO unproven;
SELECT pg_temp.ship('staging', 'job') \g /dev/null
SELECT is(pg_temp.unproven('production'), NULL, 'once it ran where it was promoted from, it may be deployed');
ROLLBACK TO unproven;
SELECT promote.rollback_instance('line-production-job', 1), pg_temp.edit('production', '{"replicas": 6}') \g /dev/null
SELECT is(pg_temp.unproven('production'), NULL, 'what was gone back to ran here');
SELECT pg_temp.desire('production', '2.0.0', 'job'), pg_temp.work_all(), pg_temp.ship('production', 'job'),
    pg_temp.bring('production', '2.0.0') \g /dev/null
SELECT is(pg_temp.unproven('production'), pg_temp.missing('2.0.0'), 'a promotion of what runs here is asked');
SELECT pg_temp.edit('production', '{"replicas": 7}') \g /dev/null
SELECT is(pg_temp.unproven('production'), NULL, '... an edit that leaves the release as it runs is not');
SELECT pg_temp.rule('production', 'require_proven_release', 'false'), pg_temp.bring('production', '~1'),
    pg_temp.ship('production', 'job'), pg_temp.rule('production', 'require_proven_release', 'true') \g /dev/null
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('app', '1.3.0', '{}');
SELECT pg_temp.edit('production', '{"replicas": 8}') \g /dev/null
SELECT is(pg_temp.unproven('production'), pg_temp.missing('1.3.0'),
    'its constraint brings what is published since, also by an edit of what was promoted and deployed');
SELECT pg_temp.refuses($$SELECT promote.deploy_instance('line-production-job')$$, 'PM601', '^release_unproven: ',
    '... which does not ship it');
SELECT promote.plan_instance('line-production-job'), pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.unproven('production'), pg_temp.missing('1.3.0'), '... nor when it is planned once more');
SELECT pg_temp.bring('production', '2.0.0') \g /dev/null
SELECT is(pg_temp.unproven('production'), pg_temp.missing('2.0.0'), 'the next promotion does');
SELECT promote.rollback_instance('line-production-job', (SELECT revision FROM promote.deployment
    WHERE project = 'line' AND environment = 'production' AND component = 'job' AND action = 'PROVISION'
    AND version = '2.0.0')), pg_temp.edit('production', '{"replicas": 9}') \g /dev/null
SELECT is((SELECT desired_version FROM promote.instance_status WHERE instance = 'line-production-job'), '2.0.0',
    'gone back to by the very constraint');
SELECT is(pg_temp.unproven('production'), NULL, '... which is a choice of what ran here');
SELECT pg_temp.rule('production', 'source_policy', 'path') \g /dev/null
SELECT is(pg_temp.unproven('production'), NULL, '... also where proof is asked for upstream alone');
SELECT pg_temp.rule('production', 'source_policy', 'any') \g /dev/null
SELECT pg_temp.desire('dev', '1.0.0', 'job'), pg_temp.bring('dev', '~1'), pg_temp.edit('dev', '{"replicas": 1}')
    \g /dev/null
SELECT is(pg_temp.unproven('dev'), pg_temp.missing('1.3.0'), 'where nothing ran yet, either');

-- ---- the artifact ----
SELECT pg_temp.rule('production', 'require_proven_release', 'false'),
    pg_temp.rule('production', 'require_artifact_digest', 'true') \g /dev/null
SELECT is(pg_temp.blocked('production'), 'artifact: release 2.1.0 of bundle "app" has no artifact digest '
    '(whoever publishes a version with its artifact_digest) f', 'nobody knows what would run');
SELECT pg_temp.refuses($$SELECT promote.deploy_instance('line-production-api')$$, 'PM601', '^artifact: ',
    '... nor runs it');
SELECT pg_temp.desire('production', '1.1.0'), pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.blocked('production'), NULL, 'one with a digest');
SELECT pg_temp.desire('production', '1.0.0'), pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.blocked('production') ~ '^artifact: ', true, 'what is edited is asked for it, too');
SELECT is((SELECT require_artifact_digest FROM promote.environment WHERE project = 'line' AND environment = 'dev'),
    false,
    'nobody else is by default');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'after all that the chains are whole');
SELECT * FROM finish();
ROLLBACK;
