-- What deploy_instance returns leads to in_sync: whatever has made the instance stale, it is not the old deployment.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
SET LOCAL promote.actor = 'ada';
SELECT set_config('promote.secret_key_command', 'printf ''k:%s\n'' ' || encode(sha256('k'), 'base64'),
    true) \g /dev/null

CREATE FUNCTION pg_temp.status() RETURNS text LANGUAGE sql AS $$
    SELECT status FROM promote.instance_status WHERE instance = 'ecomm-production-db'
$$;
-- Deploys production's database: the number and status of what that returns, or the refusal.
CREATE FUNCTION pg_temp.asked(plan integer DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    d promote.deployment;
    state text;
    detail text;
BEGIN
    d := promote.deploy_instance('ecomm-production-db', plan);
    RETURN concat_ws(' ', d.deployment, d.action, d.status);
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, detail = PG_EXCEPTION_DETAIL;
    RETURN concat_ws(' ', state, detail);
END
$$;

INSERT INTO promote.bundle_release (bundle, version, params_schema, secrets, remote_references) VALUES
    ('postgres', '3.0.0', '{}', '{"password": {}, "other": {"required": false}}',
        '{"network": {}, "dns": {"required": false}}');
SELECT promote.configure_instance('ecomm-production-db', '{"tier": "{{domain}}"}', '~3', plan => false) \g /dev/null
SELECT promote.set_secret('ecomm-production-db', 'password', 'hush') \g /dev/null
SELECT promote.set_remote_reference('ecomm-production-db', 'network', 'vpc-1') \g /dev/null
SELECT pg_temp.deploy('ecomm-production-db') AS number \gset
SELECT is(pg_temp.status(), 'in_sync', 'it runs');
SELECT is(pg_temp.asked(), format('%s PROVISION COMPLETED', :number), 'what is done is returned');
SELECT is(pg_temp.asked(:number - 1), format('%s PROVISION COMPLETED', :number), 'also by its plan');
SELECT is((SELECT count(*) FROM promote.blockers('ecomm-production-db')), 0::bigint, 'and nothing blocks it');

-- What makes it stale, and what the refusal of its old plan says of that.
CREATE TEMP TABLE cause (what text, does text, moved text);
INSERT INTO cause VALUES
    ('a newer release', $$INSERT INTO promote.bundle_release (bundle, version, params_schema, secrets,
        remote_references)
        SELECT bundle, '3.1.0', params_schema, secrets, remote_references FROM promote.bundle_release
         WHERE bundle = 'postgres' AND version = '3.0.0'$$, 'The version is 3.1.0'),
    ('another parameter', $$UPDATE promote.parameter_set SET parameters = parameters || '{"domain": "example.org"}'
        WHERE project = 'ecomm' AND environment = 'production'$$, 'The params render differently'),
    ('another secret', $$SELECT promote.set_secret('ecomm-production-db', 'password', 'rush')$$,
        'has changed the instance since'),
    ('one more secret', $$SELECT promote.set_secret('ecomm-production-db', 'other', 'new')$$,
        'has changed the instance since'),
    ('one secret less', $$SELECT promote.remove_secret('ecomm-production-db', 'other')$$,
        'has changed the instance since'),
    ('one more reference', $$SELECT promote.set_remote_reference('ecomm-production-db', 'dns', 'ns-1',
        allow_replace => true)$$, 'Remote references have changed: dns');

-- A line for each step from stale to in sync: by a plan, or without one.
CREATE FUNCTION pg_temp.heals(cause cause, no_plan boolean) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    was integer := (SELECT deployment FROM promote.instance WHERE name = 'ecomm-production-db');
    by_plan text := cause.what || CASE WHEN no_plan THEN ', without a plan' ELSE '' END;
    plan integer := (SELECT max(deployment) FROM promote.deployment
        WHERE project = 'ecomm' AND environment = 'production' AND component = 'db' AND action = 'PLAN');
    next integer;
BEGIN
    EXECUTE cause.does;
    RETURN NEXT is(pg_temp.status(), 'stale', by_plan || ': stale');
    RETURN NEXT matches(pg_temp.asked(plan), '^PM503 .*' || cause.moved, by_plan || ': the plan of before is refused');
    IF no_plan THEN
        next := was + 1;
    ELSE
        RETURN NEXT matches(pg_temp.asked(), '^PM503 .*' || cause.moved,
            by_plan || ': so is what follows the last plan');
        RETURN NEXT is((SELECT string_agg(code, ',') FROM promote.blockers('ecomm-production-db')), 'plan',
            by_plan || ': and the gate says so');
        PERFORM promote.plan_instance('ecomm-production-db');
        PERFORM pg_temp.work('ecomm-production-db');
        next := was + 2;
    END IF;
    RETURN NEXT is(pg_temp.asked(), format('%s PROVISION PENDING', next), by_plan || ': another deployment');
    RETURN NEXT is(pg_temp.asked(), format('%s PROVISION PENDING', next), by_plan || ': the same one again');
    PERFORM pg_temp.work('ecomm-production-db');
    RETURN NEXT is(pg_temp.status(), 'in_sync', by_plan || ': in sync');
    RETURN NEXT is(pg_temp.asked(), format('%s PROVISION COMPLETED', next), by_plan || ': which is done then');
END
$$;
SAVEPOINT before;
SELECT pg_temp.heals(cause, false) FROM cause;
ROLLBACK TO before;
UPDATE promote.environment SET require_plan = false WHERE project = 'ecomm' AND environment = 'production';
SELECT pg_temp.heals(cause, true) FROM cause WHERE what <> 'one more reference';
ROLLBACK TO before;

-- ---- a plan of what runs already is deployed if it was made since, for instance to hand out a file anew ----
SELECT promote.plan_instance('ecomm-production-db') \g /dev/null
SELECT is(pg_temp.asked(), format('%s PROVISION COMPLETED', :number), 'a plan that waits changes nothing');
SELECT pg_temp.work('ecomm-production-db') \g /dev/null
SELECT is(pg_temp.asked(), format('%s PROVISION PENDING', :number + 2), 'one that is done is to be deployed');
ROLLBACK TO before;

-- ---- drift is put right by what is planned anew ----
SELECT promote.report_observed('ecomm-production-db', '{"size": "large"}'::jsonb, 'scan') \g /dev/null
SELECT is(pg_temp.status(), 'drifted', 'it drifts');
SELECT matches(pg_temp.asked(), '^PM503 Deployment \d+ has changed the instance since', 'nothing was planned since');
SELECT pg_temp.deploy('ecomm-production-db') \g /dev/null
SELECT is(pg_temp.status(), 'in_sync', 'and deploying puts it right');
ROLLBACK TO before;

-- ---- what is queued counts as long as nothing behind it undoes it ----
UPDATE promote.environment SET require_plan = false WHERE project = 'ecomm' AND environment = 'production';
SELECT promote.configure_instance('ecomm-production-db', '{"tier": "{{count}}"}', plan => false) \g /dev/null
SELECT is(pg_temp.asked(), format('%s PROVISION PENDING', :number + 1), 'one');
UPDATE promote.parameter_set SET parameters = parameters || '{"count": 9}' WHERE project = 'ecomm'
    AND environment = 'production';
SELECT is(pg_temp.asked(), format('%s PROVISION PENDING', :number + 2), 'another, by other parameters');
UPDATE promote.parameter_set SET parameters = parameters || '{"count": 3}' WHERE project = 'ecomm'
    AND environment = 'production';
SELECT is(pg_temp.asked(), format('%s PROVISION PENDING', :number + 3), 'the first again is a third one');
SELECT pg_temp.work('ecomm-production-db') \g /dev/null
SELECT is(pg_temp.status(), 'in_sync', 'which leads there');
ROLLBACK TO before;

-- ---- a worker that is at it may have read the secret of before ----
SELECT promote.set_secret('ecomm-production-db', 'password', 'rush'), promote.set_secret('ecomm-production-db', 'other',
    'old') \g /dev/null
SELECT promote.plan_instance('ecomm-production-db') \g /dev/null
SELECT pg_temp.work('ecomm-production-db') \g /dev/null
SELECT pg_temp.asked() \g /dev/null
CREATE TEMP TABLE claim AS SELECT * FROM promote.claim_deployment('w', ARRAY['PROVISION']);
SELECT is(pg_temp.asked(), format('%s PROVISION RUNNING', :number + 2), 'what runs is returned');
INSERT INTO promote.bundle_release (bundle, version, params_schema, secrets)
    VALUES ('postgres', '4.0.0', '{}', '{"password": {}, "later": {}}');
SAVEPOINT runs;
SELECT promote.configure_instance('ecomm-production-db', '{}', '4.0.0', plan => false),
    promote.set_secret('ecomm-production-db', 'later', 'of no concern'),
    promote.configure_instance('ecomm-production-db', '{}', '~3', plan => false),
    promote.remove_secret('ecomm-production-db', 'later') \g /dev/null
SELECT is((SELECT o.deployment FROM promote.deployment AS d, promote_internal.open_deployment(d.project, d.environment,
    d.component, false, d.action, d.revision, d.version, d.rendered_digest, d.plan, d.remote_references, NULL,
        false) AS o
    WHERE d.project = 'ecomm' AND d.environment = 'production' AND d.component = 'db' AND d.status = 'RUNNING'),
    :number + 2, 'also where a secret was set and removed since that its release knows nothing of');
ROLLBACK TO runs;
SELECT promote.remove_secret('ecomm-production-db', 'other') \g /dev/null
SELECT is(pg_temp.asked(), format('PM503 Deployment %s, which is RUNNING, will have changed the instance before.',
    :number + 2), 'not if a secret was removed since: by the plan of that nothing could be deployed behind it');
ROLLBACK TO runs;
SELECT promote.set_secret('ecomm-production-db', 'password', 'crush') \g /dev/null
SELECT matches(pg_temp.asked(:number + 1), '^PM503 .*will have changed',
    'not if a secret was set since, nor by its name');
SELECT is((SELECT string_agg(code, ',') FROM promote.blockers('ecomm-production-db')), 'plan', 'and the gate says so');
SAVEPOINT missed;
SELECT is(pg_temp.lines($$SELECT deployment, action, status FROM promote.plan_and_deploy('ecomm-production-db')$$),
    format('(%s,PLAN,PENDING)', :number + 3), 'to plan and deploy is to plan anew');
SELECT promote.complete_deployment(instance, deployment, fencing) FROM claim \g /dev/null
SELECT is(pg_temp.status(), 'stale', 'for it is stale once that is done');
SELECT is(pg_temp.work('ecomm-production-db'), 2, 'so that it is planned and provisioned');
SELECT is(pg_temp.status(), 'in_sync', '... and in sync');
SELECT is((SELECT count(*) FROM promote.deployment WHERE project = 'ecomm' AND environment = 'production'
    AND component = 'db' AND status = 'ABORTED'), 0::bigint, '... with nothing that was to be aborted');
ROLLBACK TO missed;
UPDATE promote.environment SET require_plan = false WHERE project = 'ecomm' AND environment = 'production';
SELECT is(pg_temp.asked(), format('%s PROVISION PENDING', :number + 3), 'where no plan is required, one without');
SELECT is((SELECT string_agg(code, ',') FROM promote.blockers('ecomm-production-db')), NULL, '... as the gates say');
SELECT promote.complete_deployment(instance, deployment, fencing) FROM claim \g /dev/null
SELECT is(pg_temp.work('ecomm-production-db') || ' ' || pg_temp.status(), '1 in_sync', '... which leads there');
ROLLBACK TO before;

-- ---- nor is a plan deployed behind what takes away what it starts from ----
SELECT promote.configure_instance('ecomm-production-db', '{"tier": "y"}') \g /dev/null
SELECT pg_temp.work('ecomm-production-db') \g /dev/null
SELECT promote.propose_deployment('ecomm-production-db') \g /dev/null
SELECT promote.decommission_instance('ecomm-production-db') \g /dev/null
SELECT is(pg_temp.asked(), format('PM503 Deployment %s, which is PENDING, will have changed the instance before.',
    :number + 3), 'behind a DECOMMISSION that waits');
SELECT pg_temp.refuses(format($$SELECT promote.approve_deployment('ecomm-production-db', %s)$$, :number + 2), 'PM503',
    'Deployment \d+, which is PENDING, will have changed the instance before', 'nor if it was proposed');
SELECT promote.abort_deployment('ecomm-production-db', :number + 3) \g /dev/null
SELECT is((promote.approve_deployment('ecomm-production-db', :number + 2)).status, 'APPROVED', 'it waits no more');
ROLLBACK TO before;

-- ---- what was decommissioned comes back by a plan alone ----
UPDATE promote.environment SET require_plan = false WHERE project = 'ecomm' AND environment = 'production';
SELECT promote.decommission_instance('ecomm-production-db') \g /dev/null
SELECT pg_temp.work('ecomm-production-db') \g /dev/null
SELECT matches(pg_temp.asked(), '^PM503 Deployment \d+ has changed the instance since',
    'no plan, though none is required');
SELECT pg_temp.refuses($$SELECT promote.propose_deployment('ecomm-production-db')$$, 'PM503', 'has changed',
    'nor proposed');
SELECT promote.configure_instance('ecomm-production-db', '{"tier": "x"}', plan => false) \g /dev/null
SELECT pg_temp.refuses($$SELECT promote.deploy_instance('ecomm-production-db')$$, 'PM504', 'never planned',
    'nor another revision');
SELECT matches(hint, 'was decommissioned', 'which the hint says')
  FROM pg_temp.refusal($$SELECT promote.deploy_instance('ecomm-production-db')$$);
SELECT promote.plan_instance('ecomm-production-db') \g /dev/null
SELECT pg_temp.work('ecomm-production-db') \g /dev/null
SELECT is((promote.deploy_instance('ecomm-production-db')).diff @> '[{"path": ".tier", "change": "add"}]', true,
    'a plan says that everything is added');
SELECT pg_temp.work('ecomm-production-db') \g /dev/null
SELECT is(pg_temp.status(), 'in_sync', 'and it is back');
ROLLBACK TO before;

SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the record is whole');
SELECT * FROM finish();
ROLLBACK;
