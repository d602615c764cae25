-- What instances desire, against what they run.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
-- That drift keeps things from being deployed is test/sql/gate/state.sql's subject.
UPDATE promote.environment SET require_no_drift = false;

CREATE FUNCTION pg_temp.status() RETURNS text LANGUAGE sql AS $$
    SELECT status FROM promote.instance_status WHERE instance = 'ecomm-production-db'
$$;
-- A moment of the instance's history as the view should name it.
CREATE FUNCTION pg_temp.finished(number integer) RETURNS timestamptz LANGUAGE sql AS $$
    SELECT finished_at FROM promote.deployment WHERE project = 'ecomm' AND environment = 'production'
        AND component = 'db' AND deployment = number
$$;
CREATE FUNCTION pg_temp.since() RETURNS timestamptz LANGUAGE sql AS $$
    SELECT since FROM promote.instance_status WHERE instance = 'ecomm-production-db'
$$;

SELECT is((SELECT count(*) FROM promote.instance_status), (SELECT count(*) FROM promote.instance),
    'a row for each instance');
SELECT is(pg_temp.lines($$SELECT s.status, since = created_at, desired_revision, desired_digest, s.desired_version,
    s.deployed_revision, deployed_digest, rendered_digest, deployed_version, observed_digest, running_deployment,
    running_action, worker
                            FROM promote.instance_status s JOIN promote.instance i ON i.name = s.instance
                                WHERE instance = 'ecomm-prod-uswest-db'$$), '(never_deployed,t,,,,,,,,,,,)',
                                'without a revision');
SELECT is(pg_temp.lines($$SELECT status, desired_revision, desired_digest = (SELECT digest FROM promote.revision
    WHERE environment = 'staging' AND component = 'db'), desired_version, deployed_revision
                            FROM promote.instance_status s WHERE instance = 'ecomm-staging-db'$$),
                                '(never_deployed,1,t,1.2.0-dev.20260915T101500Z,)',
                                'not deployed yet: the release is that of the channel');

-- ---- a plan runs, a deployment runs ----
SELECT set_config('promote.actor', 'ann', true), promote.configure_instance('ecomm-production-db',
    '{"tier": "{{domain}}"}', '~1') \g /dev/null
SELECT pg_temp.work('ecomm-production-db') \g /dev/null
SELECT set_config('promote.actor', 'bob', true), promote.deploy_instance('ecomm-production-db') \g /dev/null
SELECT set_config('promote.actor', '', true) \g /dev/null
SELECT is(pg_temp.status(), 'never_deployed', 'queued');
CREATE TEMP TABLE claim AS SELECT * FROM promote.claim_deployment('worker 7', ARRAY['PROVISION']);
SELECT is(pg_temp.lines($$SELECT s.status, s.since = d.started_at, running_deployment = c.deployment, running_action,
    s.worker FROM promote.instance_status s, claim c JOIN promote.deployment d USING (project, environment, component,
    deployment) WHERE s.instance = c.instance$$), '(deploying,t,t,PROVISION,"worker 7")', 'deploying');
SELECT promote.complete_deployment(instance, deployment, fencing) FROM claim \g /dev/null
SELECT is(pg_temp.lines($$SELECT s.status, s.since = pg_temp.finished(c.deployment), desired_revision,
    deployed_revision, desired_digest = deployed_digest, rendered_digest <> deployed_digest, desired_version,
    deployed_version, running_deployment, s.worker FROM promote.instance_status s, claim c
    WHERE s.instance = c.instance$$), '(in_sync,t,2,2,t,t,1.1.0,1.1.0,,)', 'in sync');
CREATE FUNCTION pg_temp.who(view text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found text;
BEGIN
    EXECUTE format('SELECT concat_ws('','', s.desired_actor, s.desired_at = r.created_at, s.deployed_actor,
        s.deployed_at = pg_temp.finished(i.deployed_by)) FROM promote.%I AS s, promote.revision AS r
        JOIN promote.instance AS i USING (project, environment, component, revision)
        WHERE i.name = $v$ecomm-production-db$v$ AND s.instance = i.name', view) INTO found;
    RETURN found;
END
$$;
SELECT is(pg_temp.who(view), 'ann,t,bob,t', view || ': who asked for what is desired and for what runs, and when')
    FROM unnest('{instance_status,promotion_matrix}'::text[]) AS view;
SELECT is(pg_temp.lines($$SELECT desired_actor, desired_at, deployed_actor, deployed_at FROM promote.instance_status
    WHERE instance = 'ecomm-prod-uswest-db'$$), '(,,,)', '... where nobody has asked for anything');

-- ---- stale ----
UPDATE promote.parameter_set SET parameters = parameters || '{"domain": "new.example.com"}' WHERE project = 'ecomm'
    AND environment = 'production';
SELECT is(pg_temp.status(), 'stale', 'other parameters');
SELECT is(pg_temp.since(), NULL, 'since when, nobody knows');
UPDATE promote.parameter_set SET parameters = parameters - 'domain' WHERE project = 'ecomm'
    AND environment = 'production';
SELECT is(pg_temp.status(), 'stale', 'a parameter that is missing');
UPDATE promote.parameter_set SET parameters = parameters || '{"domain": "example.com", "unused": 1}'
    WHERE project = 'ecomm' AND environment = 'production';
SELECT is(pg_temp.status(), 'in_sync', 'one that is not used');
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('postgres', '1.3.0-rc1', '{}');
SELECT is(pg_temp.status(), 'in_sync', 'a prerelease is not for this channel');
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('postgres', '1.3.0', '{}');
SELECT is(pg_temp.lines($$SELECT status, since = (SELECT published_at FROM promote.bundle_release
    WHERE bundle = 'postgres' AND version = '1.3.0'), desired_version, deployed_version FROM promote.instance_status
    WHERE instance = 'ecomm-production-db'$$), '(stale,t,1.3.0,1.1.0)', 'a newer release');
SELECT promote.configure_instance('ecomm-production-db', '{}', '1.1.0') \g /dev/null
SELECT is(pg_temp.status(), 'in_sync', 'another constraint for the same');
SELECT promote.configure_instance('ecomm-production-db', '{"replicas": 2}') \g /dev/null
SELECT promote.configure_instance('ecomm-production-db', '{"replicas": 3}') \g /dev/null
SELECT is(pg_temp.lines($$SELECT status, since = (SELECT created_at FROM promote.revision WHERE project = 'ecomm'
    AND environment = 'production' AND component = 'db' AND revision = 3), desired_revision, deployed_revision
    FROM promote.instance_status WHERE instance = 'ecomm-production-db'$$), '(stale,t,5,2)', 'another configuration');

-- ---- drift ----
SELECT promote.report_observed('ecomm-production-db', '{"size": "large"}'::jsonb, 'scan') \g /dev/null
SELECT is(pg_temp.lines($$SELECT status, since = (SELECT min(since) FROM promote.drift_status),
    observed_digest = promote.config_digest('ecomm', '{"size": "large"}') FROM promote.instance_status
    WHERE instance = 'ecomm-production-db'$$), '(drifted,t,t)', 'drifted');
SELECT promote.dismiss_drift('ecomm-production-db', 'known') \g /dev/null
SELECT is(pg_temp.status(), 'stale', 'dismissed');
SELECT promote.report_observed('ecomm-production-db', '{"size": "medium", "replicas": 5}'::jsonb, 'scan') \g /dev/null
SELECT is(pg_temp.status(), 'drifted', 'and drifted again');
SELECT promote.adopt_drift('ecomm-production-db') \g /dev/null
SELECT is(pg_temp.status(), 'stale', 'adopted');
SELECT promote.configure_instance('ecomm-production-db', '{"replicas": 1}') \g /dev/null
SELECT is(pg_temp.status(), 'drifted', 'until something else is desired');

-- ---- failed, decommissioned ----
SELECT promote.plan_instance('ecomm-production-db') \g /dev/null
SELECT pg_temp.work('ecomm-production-db') \g /dev/null
SELECT promote.deploy_instance('ecomm-production-db') \g /dev/null
DROP TABLE claim;
CREATE TEMP TABLE claim AS SELECT * FROM promote.claim_deployment('worker 7', ARRAY['PROVISION']);
SELECT promote.fail_deployment(instance, deployment, 'no luck', fencing) FROM claim \g /dev/null
SELECT is(pg_temp.lines($$SELECT s.status, s.since = pg_temp.finished(c.deployment), deployed_revision
    FROM promote.instance_status s, claim c WHERE s.instance = c.instance$$), '(failed,t,2)', 'failed');
SELECT pg_temp.deploy('ecomm-production-db') \g /dev/null
SELECT is(pg_temp.status(), 'in_sync', 'and well again');
SELECT promote.decommission_instance('ecomm-production-db') \g /dev/null
SELECT pg_temp.work('ecomm-production-db') \g /dev/null
SELECT is(pg_temp.lines($$SELECT status, since = (SELECT max(finished_at) FROM promote.deployment
    WHERE project = 'ecomm' AND environment = 'production' AND component = 'db'), deployed_revision, observed_digest
    FROM promote.instance_status WHERE instance = 'ecomm-production-db'$$), '(decommissioned,t,,)', 'decommissioned');

-- ---- how it is read ----
CREATE FUNCTION pg_temp.plan_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    line text;
    lines text := '';
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || statement LOOP
        lines := lines || line || E'\n';
    END LOOP;
    RETURN lines;
END
$$;
SET LOCAL enable_seqscan = off;
SELECT doesnt_match(pg_temp.plan_of($$SELECT * FROM promote.instance_status WHERE instance = 'ecomm-production-db'$$),
    'Seq Scan', 'one instance is found by indexes');
SELECT is((SELECT count(*) FROM promote.instance_status WHERE project = 'nowhere'), 0::bigint,
    'none where there is none');
INSERT INTO promote.environment (project, environment)
    VALUES ('ecomm', 'rendering');
INSERT INTO promote.parameter_set (project, environment, parameters)
    VALUES ('ecomm', 'rendering', '{"x": 1}');
INSERT INTO promote.config (project, params) VALUES ('ecomm', '{"a": "{{x}}"}'),
    ('ecomm', '{"a": "{{x}} {{y}}", "b": "{{"}');
SELECT is(promote_internal.rendered_digest('ecomm', 'rendering', promote.config_digest('ecomm', '{"a": "{{x}}"}')),
    promote.config_digest('ecomm', '{"a": 1}'), 'digest of what is rendered');
SELECT is(promote_internal.rendered_digest('ecomm', 'rendering',
    promote.config_digest('ecomm', '{"a": "{{x}} {{y}}", "b": "{{"}')),
    promote.config_digest('ecomm', '{"a": "1 {{y}}", "b": "{{"}'), 'as far as it can be');
SELECT is(promote_internal.rendered_digest('ecomm', 'rendering', promote.config_digest('ecomm', '{"a": 1}')), NULL,
    'of what is stored only');

-- who may view sees what the owner sees
SELECT promote.report_observed(instance, '{}'::jsonb, 'scan') FROM (SELECT 'ecomm-production-db' AS instance
    WHERE pg_temp.deploy('ecomm-production-db') > 0) AS d \g /dev/null
CREATE ROLE reader;
INSERT INTO promote.grants (role, action) VALUES ('reader', 'view');
SET LOCAL ROLE reader;
SELECT set_config('test.seen', (SELECT count(*) FROM promote.instance_status) || ' ' || (SELECT count(*) > 0
    FROM promote.drift_status)::text, true) \g /dev/null
RESET ROLE;
SELECT is(current_setting('test.seen'), (SELECT count(*) || ' true' FROM promote.instance),
    'a reader of the views needs the grant alone');

-- ---- each instance's are its own, also where others have as many revisions and deployments ----
DO $$
BEGIN
    WHILE (SELECT revision FROM promote.instance WHERE name = 'ecomm-production-cache') < (SELECT revision
        FROM promote.instance WHERE name = 'ecomm-production-db') LOOP
        PERFORM promote.configure_instance('ecomm-production-cache',
            jsonb_build_object('n', (SELECT revision FROM promote.instance WHERE name = 'ecomm-production-cache')));
        PERFORM pg_temp.deploy('ecomm-production-cache');
    END LOOP;
    WHILE (SELECT revision FROM promote.instance WHERE name = 'ecomm-staging-db') < (SELECT revision
        FROM promote.instance WHERE name = 'ecomm-production-db') LOOP
        PERFORM promote.configure_instance('ecomm-staging-db', jsonb_build_object('replicas', (SELECT revision % 9
            FROM promote.instance WHERE name = 'ecomm-staging-db')));
        PERFORM pg_temp.deploy('ecomm-staging-db');
    END LOOP;
END
$$;
SELECT ok(count(*) FILTER (WHERE i.deployed_revision > 0) >= 3, 'three run') FROM promote.instance AS i;
SELECT is_empty($$
    SELECT i.name, s.desired_digest, s.deployed_digest, s.rendered_digest, s.deployed_version FROM promote.instance AS i
        JOIN promote.instance_status AS s ON s.instance = i.name
      LEFT JOIN promote.revision AS desired ON (desired.project, desired.environment, desired.component,
          desired.revision) = (i.project, i.environment, i.component, i.revision)
      LEFT JOIN promote.revision AS deployed ON (deployed.project, deployed.environment, deployed.component,
          deployed.revision) = (i.project, i.environment, i.component, i.deployed_revision)
      LEFT JOIN promote.deployment AS run ON (run.project, run.environment, run.component, run.deployment) = (i.project,
          i.environment, i.component, i.deployed_by)
     WHERE (s.desired_digest, s.deployed_digest, s.rendered_digest,
         s.deployed_version) IS DISTINCT FROM (desired.digest, deployed.digest, run.rendered_digest,
         run.version::text)$$, 'what the view says of each is that instance''s');

SELECT * FROM finish();
ROLLBACK;
