-- Planning and deploying by one call: promote.plan_and_deploy queues a PLAN, and whoever completes it queues its
-- PROVISION.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
\ir ../../fixtures/plan.sql

CREATE ROLE s_ci LOGIN;
CREATE ROLE s_planner LOGIN;
CREATE ROLE s_worker LOGIN;
CREATE ROLE s_dba;
CREATE ROLE s_ann LOGIN IN ROLE s_dba;
GRANT s_dba TO s_ci;
INSERT INTO promote.grants (role, action, project) VALUES ('s_ci', 'plan', 'ecomm'), ('s_ci', 'deploy', 'ecomm'),
    ('s_ci', 'approve', 'ecomm'), ('s_ann', 'approve', 'ecomm'), ('s_planner', 'plan', 'ecomm'),
        ('s_worker', 'work', 'ecomm'),
    ('s_dba', 'deploy', 'other');
SELECT pg_temp.work('ecomm-production-db'), pg_temp.work('ecomm-staging-db') \g /dev/null

-- Runs a statement as a role, and returns its row, or how it was refused.
CREATE FUNCTION pg_temp.as_role(role text, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result record;
    detail text;
BEGIN
    PERFORM set_config('role', role, true);
    EXECUTE statement INTO result;
    PERFORM set_config('role', 'none', true);
    RETURN result::text;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN SQLSTATE || ': ' || detail;
END
$$;
-- What the call returns to the pipeline.
CREATE FUNCTION pg_temp.call(role text DEFAULT 's_ci', arguments text DEFAULT '''build 7''') RETURNS text
    LANGUAGE sql AS $$
    SELECT pg_temp.as_role(role, format($q$SELECT deployment, action, status
        FROM promote.plan_and_deploy('ecomm-production-db', %s)$q$, arguments))
$$;
-- A worker does one thing, and gets back what became of it.
CREATE FUNCTION pg_temp.step(fails boolean DEFAULT false) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    c record;
    d promote.deployment;
BEGIN
    PERFORM set_config('role', 's_worker', true);
    SELECT * INTO c FROM promote.claim_deployment('w');
    IF NOT FOUND THEN
        d.status := 'NOTHING';
    ELSIF fails THEN
        d := promote.fail_deployment(c.instance, c.deployment, 'broken', c.fencing);
    ELSE
        d := promote.complete_deployment(c.instance, c.deployment, c.fencing);
    END IF;
    PERFORM set_config('role', 'none', true);
    RETURN concat_ws(' ', d.deployment, d.action, d.status, d.not_deployed);
END
$$;
-- What follows a plan.
CREATE FUNCTION pg_temp.followed(number integer) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', deployment, action, status, actor, database_role, message), ', '
        ORDER BY deployment)
      FROM promote.deployment WHERE project = 'ecomm' AND environment = 'production' AND component = 'db'
          AND plan = number
$$;
CREATE FUNCTION pg_temp.status() RETURNS text LANGUAGE sql AS $$
    SELECT status FROM promote.instance_status WHERE instance = 'ecomm-production-db'
$$;
-- Makes one plan stand, with that reason; nothing is deployed.
CREATE FUNCTION pg_temp.stands(number integer, reason text, what text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    RETURN NEXT matches(pg_temp.step(), format('^%s PLAN COMPLETED .*%s', number, reason),
        what || ': the worker is told');
    RETURN NEXT is(pg_temp.followed(number), NULL, what || ': nothing is deployed');
    RETURN NEXT is(pg_temp.lines(format($q$SELECT event, data ->> 'not_deployed' ~ %L, actor FROM promote.audit_log
        WHERE project = 'ecomm' AND subject = 'ecomm-production-db' ORDER BY seq DESC LIMIT 1$q$, reason)),
        '(plan.not_deployed,t,s_worker)', what || ': it is in the log');
    RETURN NEXT is(pg_temp.step(), 'NOTHING', what || ': nothing waits');
END
$$;
SAVEPOINT before;

-- ---- one call, and what a worker does ----
SELECT is(pg_temp.call(), '(2,PLAN,PENDING)', 'a plan is queued');
SELECT is(pg_temp.call(), '(2,PLAN,PENDING)', 'again: it waits already');
SELECT is((promote.plan_instance('ecomm-production-db')).deployment, 2, 'which is a plan for others as well');
SELECT is(pg_temp.lines($$SELECT deploy_as, database_role, message FROM promote.deployment WHERE project = 'ecomm'
    AND environment = 'production' AND deployment = 2$$), '(s_ci,s_ci,"build 7")',
        'its row says by whose grants it is deployed');
SELECT is(pg_temp.step(), '2 PLAN COMPLETED', 'a worker plans');
SELECT is(pg_temp.followed(2), '3 PROVISION PENDING s_ci s_ci build 7', 'and it is deployed, for who has asked');
SELECT is(pg_temp.lines($$SELECT event, actor, data ->> 'actor', data ->> 'plan' FROM promote.audit_log
    WHERE project = 'ecomm'
    AND subject = 'ecomm-production-db' AND (data ->> 'deployment')::integer = 3 ORDER BY seq$$),
    E'(deployment.created,s_worker,s_ci,2)\n(gates.judged,s_worker,,)',
        'the log has both: who acted, and who has asked');
SELECT is(pg_temp.call(), '(2,PLAN,COMPLETED)', 'again: its plan is returned');
SELECT is(pg_temp.step(), '3 PROVISION COMPLETED', 'a worker provisions');
SELECT is(pg_temp.status(), 'in_sync', 'and that is that');
SELECT is(pg_temp.call(), '(2,PLAN,COMPLETED)', 'again: it is done');
SELECT is(pg_temp.step(), 'NOTHING', 'and nothing else was queued');
SELECT is(pg_temp.call(arguments => 'expected_revision => 1'), '(2,PLAN,COMPLETED)',
    'of the revision that is expected');
SELECT matches(pg_temp.call(arguments => 'expected_revision => 7'), '^PM401', 'not of another');
SAVEPOINT done;
SELECT promote.plan_instance('ecomm-production-db') \g /dev/null
SELECT is(pg_temp.call(), '(2,PLAN,COMPLETED)', 'a plan that somebody else has queued changes nothing');
SELECT is(pg_temp.step(), '4 PLAN COMPLETED', 'nor is it deployed');
SELECT is(pg_temp.call(), '(5,PLAN,PENDING)', 'once it is done, it is planned and deployed as well');
ROLLBACK TO done;
UPDATE promote.environment SET require_plan = false WHERE project = 'ecomm' AND environment = 'production';
SELECT promote.configure_instance('ecomm-production-db', '{"tier": "t"}', plan => false) \g /dev/null
SELECT is((promote.deploy_instance('ecomm-production-db')).plan, NULL, 'what was deployed without a plan');
SELECT pg_temp.step() \g /dev/null
SELECT is(pg_temp.call(), '(5,PLAN,PENDING)', 'gets one');
ROLLBACK TO before;
SELECT promote.plan_instance('ecomm-production-db') \g /dev/null
SELECT is(pg_temp.call(), '(3,PLAN,PENDING)', 'a plan that waits to be looked at is not deployed');
SELECT is(pg_temp.step() || ' ' || pg_temp.step(), '2 PLAN COMPLETED 3 PLAN COMPLETED', 'both are made');
SELECT is(concat_ws(' ', pg_temp.followed(2), pg_temp.followed(3)), '4 PROVISION PENDING s_ci s_ci build 7',
    'one is deployed');
ROLLBACK TO before;

-- ---- whoever completes it ----
SELECT pg_temp.call() \g /dev/null
SELECT promote.claim_deployment('w') \g /dev/null
UPDATE promote.deployment SET status = 'COMPLETED' WHERE project = 'ecomm' AND environment = 'production'
    AND component = 'db'
    AND deployment = 2;
SELECT is(pg_temp.followed(2), '3 PROVISION PENDING s_ci s_ci build 7', 'by hand');
ROLLBACK TO before;
SELECT pg_temp.call() \g /dev/null
SELECT fencing AS first FROM promote.claim_deployment('w') \gset
SELECT promote.release_deployment('ecomm-production-db', 2, :first) \g /dev/null
SELECT is(pg_temp.followed(2), NULL, 'not when it goes back to the queue');
SELECT is(pg_temp.step(), '2 PLAN COMPLETED', 'but when it is completed by the next claim');
SELECT is((promote.complete_deployment('ecomm-production-db', 2, 2)).status, 'COMPLETED', 'which may be repeated');
SELECT is(pg_temp.followed(2), '3 PROVISION PENDING s_ci s_ci build 7', 'once');
ROLLBACK TO before;
SELECT pg_temp.call() \g /dev/null
SELECT is(pg_temp.step(fails => true), '2 PLAN FAILED', 'a plan that fails');
SELECT is(pg_temp.followed(2), NULL, 'is not deployed');
SELECT is(pg_temp.call(), '(3,PLAN,PENDING)', 'and made again when the call is');
SELECT promote.abort_deployment('ecomm-production-db', 3) \g /dev/null
SELECT is(pg_temp.call(), '(4,PLAN,PENDING)', 'so is one that was aborted');
SELECT is(pg_temp.step(), '4 PLAN COMPLETED', 'done');
SELECT is(pg_temp.step(fails => true), '5 PROVISION FAILED', 'what fails to be provisioned');
SELECT is(pg_temp.call(), '(6,PLAN,PENDING)', 'is planned anew, for the instance has changed');
ROLLBACK TO before;

-- ---- what is refused when it has completed: the plan stands, and its row tells why ----
INSERT INTO promote.approval_rule (project, environment, rule, role) VALUES ('ecomm', 'production', 'second', 's_dba');
UPDATE promote.environment SET separation_of_duty = true WHERE project = 'ecomm' AND environment = 'production';
SELECT is(pg_temp.call(), '(2,PLAN,PENDING)', 'where approvals are demanded it is planned');
SELECT pg_temp.stands(2, 'may not be deployed now: approval: ', 'an approval');
SELECT matches(pg_temp.call(), '^PM601: approval: ', 'the call says so, too');
SELECT matches(pg_temp.as_role('s_ci', $$SELECT promote.approve_deployment('ecomm-production-db', 2)$$), '^PM603',
    'who has asked for it does not approve it');
SELECT is(pg_temp.as_role('s_ann', $$SELECT status FROM promote.approve_deployment('ecomm-production-db', 2)$$),
    '(COMPLETED)',
    'somebody else does');
SELECT is(pg_temp.followed(2), NULL, 'which deploys nothing by itself');
SELECT is(pg_temp.call(), '(2,PLAN,COMPLETED)', 'the next call does');
SELECT is(pg_temp.followed(2), '3 PROVISION PENDING s_ci s_ci build 7', 'by that plan');
ROLLBACK TO before;

SELECT pg_temp.call() \g /dev/null
INSERT INTO promote.freeze_window (name, project, during) VALUES ('audit', 'ecomm', '[2020-01-01,2098-01-01)');
SELECT pg_temp.stands(2, 'freeze "audit" is on', 'a freeze that began meanwhile');
DELETE FROM promote.freeze_window WHERE name = 'audit';
SELECT is(pg_temp.step(), 'NOTHING', 'once it is over nothing begins by itself');
SELECT is(pg_temp.call(), '(2,PLAN,COMPLETED)', 'the next call deploys the plan that stands');
SELECT is(pg_temp.step(), '3 PROVISION COMPLETED', 'and no other');
ROLLBACK TO before;

SELECT pg_temp.call() \g /dev/null
SELECT promote.configure_instance('ecomm-production-db', '{"tier": "t"}', plan => false) \g /dev/null
SELECT pg_temp.stands(2, 'desired revision is 2; what was reviewed is revision 1', 'a revision that moved meanwhile');
SELECT is(pg_temp.call(), '(3,PLAN,PENDING)', 'the next call plans that');
ROLLBACK TO before;

SELECT promote.configure_instance('ecomm-production-db', '{"tier": "{{domain}}"}', plan => false) \g /dev/null
SELECT pg_temp.call() \g /dev/null
UPDATE promote.parameter_set SET parameters = parameters || '{"domain": "new"}' WHERE project = 'ecomm'
    AND environment = 'production';
SELECT pg_temp.stands(2, 'params render differently', 'a parameter that moved meanwhile');
SELECT is(pg_temp.call(), '(3,PLAN,PENDING)', 'the next call plans anew');
ROLLBACK TO before;

SELECT pg_temp.call() \g /dev/null
SELECT c.fencing FROM promote.claim_deployment('w') AS c \gset
SELECT promote.record_plan('ecomm-production-db', 2, jsonb_build_object('format_version', '1.2', 'terraform_version',
    '1.11.4',
    'applyable', true, 'complete', false, 'errored', true, 'resource_changes', '[]'::jsonb), :fencing) \g /dev/null
SELECT matches((promote.complete_deployment('ecomm-production-db', 2, :fencing)).not_deployed, 'cannot be deployed',
    'a plan that its tool could not make whole');
SELECT is(pg_temp.followed(2), NULL, '... is not deployed');
SELECT is(pg_temp.call(), '(3,PLAN,PENDING)', '... and made again');
ROLLBACK TO before;

SELECT pg_temp.call() \g /dev/null
SELECT promote.open_request('ecomm', 'staging', 'production', '{"components": ["db"]}') \g /dev/null
SELECT pg_temp.stands(2, 'request 1 holds "ecomm-production-db"', 'a request that holds it');
ROLLBACK TO before;

-- ---- what was decommissioned comes back only if somebody has seen that everything is added ----
SELECT pg_temp.call(), pg_temp.step(), pg_temp.step(), promote.decommission_instance('ecomm-production-db'),
    promote.configure_instance('ecomm-production-db', '{"tier": "s"}', plan => false) \g /dev/null
SAVEPOINT waits;
SELECT is(pg_temp.call(), '(5,PLAN,PENDING)', 'planned behind a DECOMMISSION that waits');
SELECT is(pg_temp.step(), '4 DECOMMISSION COMPLETED', '... which is carried out');
SELECT pg_temp.stands(5, 'was decommissioned, .* has to be looked at, and deployed by promote.deploy_instance',
    'what would come back');
SELECT is(pg_temp.call(), 'PM511: The instance was decommissioned, so that everything is added: '
    'the plan has to be looked at, and deployed by promote.deploy_instance.', 'nor does another call bring it back');
SELECT is(pg_temp.status(), 'decommissioned', '... so that it stays down');
SELECT is((promote.deploy_instance('ecomm-production-db')).plan, 5, 'until somebody deploys that plan');
SELECT pg_temp.step() \g /dev/null
SELECT is(pg_temp.status() || ' ' || pg_temp.call(), 'in_sync (5,PLAN,COMPLETED)', '... which is what was asked for');
ROLLBACK TO waits;
SELECT pg_temp.step(), promote.configure_instance('ecomm-production-db', '{"tier": "t"}', plan => false) \g /dev/null
SELECT is(pg_temp.call(), '(5,PLAN,PENDING)', 'what is edited after it was decommissioned');
SELECT pg_temp.stands(5, 'was decommissioned', 'what would come back, edited');
ROLLBACK TO waits;
SELECT promote.abort_deployment('ecomm-production-db', 4), promote.plan_instance('ecomm-production-db'),
    pg_temp.step(), pg_temp.call() \g /dev/null
SELECT promote.claim_deployment('w'), promote.decommission_instance('ecomm-production-db') \g /dev/null
SELECT matches((promote.complete_deployment('ecomm-production-db', 6, 1)).not_deployed,
    'Deployment 7, which is PENDING, will have changed the instance before',
    'one that is behind its plan keeps it off, too');
ROLLBACK TO before;

-- ---- rights: at the call, and when the plan has completed ----
SELECT is(pg_temp.call('s_planner'),
    'PM701: Role "s_planner" has no grant "deploy" for environment "production" of project "ecomm".',
    'who may plan alone does not deploy by that');
SELECT promote.revoke_action('s_ci', 'plan', 'ecomm') \g /dev/null
SELECT is(pg_temp.call(), 'PM701: Role "s_ci" has no grant "plan" for environment "production" of project "ecomm".',
    'who may deploy alone does not plan by that');
ROLLBACK TO before;
SELECT pg_temp.call() \g /dev/null
SELECT promote.revoke_action('s_ci', 'deploy', 'ecomm') \g /dev/null
SELECT pg_temp.stands(2, 'Role "s_ci" has no grant "deploy" for environment "production"',
    'a grant that was taken back');
ROLLBACK TO before;
SELECT pg_temp.call() \g /dev/null
SELECT promote.revoke_action('s_ci', 'plan', 'ecomm') \g /dev/null
SELECT pg_temp.stands(2, 'Role "s_ci" has no grant "plan" for environment "production"', 'also that to plan');
ROLLBACK TO before;
SELECT pg_temp.call() \g /dev/null
ALTER ROLE s_ci RENAME TO s_gone;
SELECT pg_temp.stands(2, 'Role "s_ci", which has asked for it, does not exist any more', 'a role that is gone');
ROLLBACK TO before;
-- code of another role: its grants count, and the record names the session
CREATE ROLE s_app;
INSERT INTO promote.grants (role, action, project) VALUES ('s_app', 'plan', 'ecomm'), ('s_app', 'deploy', 'ecomm'),
    ('s_app', 'impersonate', NULL);
CREATE SCHEMA app AUTHORIZATION s_app;
CREATE FUNCTION app.ship() RETURNS integer LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$ SELECT (promote.plan_and_deploy('ecomm-production-db', 'shipped')).deployment $$;
ALTER FUNCTION app.ship() OWNER TO s_app;
GRANT USAGE ON SCHEMA app TO PUBLIC;
SELECT is(pg_temp.as_role('s_ann', 'SELECT app.ship()'), '(2)', 'who may not, by code that may');
SELECT is(pg_temp.step(), '2 PLAN COMPLETED', 'whose grants count then as well');
SELECT is((SELECT database_role FROM promote.deployment WHERE project = 'ecomm' AND environment = 'production'
    AND component = 'db'
    AND plan = 2), 's_ann', 'for the one who has called it');
ROLLBACK TO before;

-- ---- another person who asks while it waits ----
CREATE ROLE s_bob LOGIN IN ROLE s_dba;
INSERT INTO promote.grants (role, action, project) VALUES ('s_bob', 'plan', 'ecomm'), ('s_bob', 'deploy', 'ecomm'),
    ('s_bob', 'approve', 'ecomm');
INSERT INTO promote.approval_rule (project, environment, rule, role, requester_counts)
    VALUES ('ecomm', 'production', 'second', 's_dba', false);
SELECT promote.plan_instance('ecomm-production-db') \g /dev/null
SELECT pg_temp.as_role('s_bob', $$SELECT promote.plan_instance('ecomm-production-db')$$) \g /dev/null
SELECT is(pg_temp.call(), '(3,PLAN,PENDING)', 'who asks first');
SELECT is(pg_temp.call('s_bob'), '(3,PLAN,PENDING)', 'and who asks for the same then are given one plan');
SELECT is(pg_temp.call('s_bob') || pg_temp.call(), '(3,PLAN,PENDING)(3,PLAN,PENDING)', '... however often');
SELECT is((SELECT joined_by FROM promote.deployment WHERE project = 'ecomm' AND environment = 'production'
    AND component = 'db' AND deployment = 3), '[{"actor": "s_bob", "database_role": "s_bob"}]',
    'its row has the other, once');
SELECT is((SELECT joined_by FROM promote.deployment WHERE project = 'ecomm' AND environment = 'production'
    AND component = 'db' AND deployment = 2), NULL, 'a plan that is not deployed has nobody');
SELECT is(pg_temp.lines($$SELECT actor, data ? 'joined_by' FROM promote.audit_log
    WHERE project = 'ecomm' AND subject = 'ecomm-production-db' AND event = 'plan.joined'$$), '(s_bob,t)',
    'so has the log');
SELECT throws_ok($$UPDATE promote.deployment SET joined_by = NULL WHERE environment = 'production'
    AND deployment = 3$$, 'PM303', NULL, 'which nobody takes out by hand');
SELECT pg_temp.step(), pg_temp.step() \g /dev/null
SELECT matches(pg_temp.as_role('s_bob', $$SELECT promote.approve_deployment('ecomm-production-db', 3)$$),
    '^PM603: .*does not count who has asked for it, as "s_bob" has', 'they do not approve what they have asked for');
SAVEPOINT joined;
SELECT promote.plan_instance('ecomm-production-db'), pg_temp.step() \g /dev/null
SELECT is(pg_temp.lines($$SELECT d.deployment, d.plan_digest = o.plan_digest FROM promote.deployment AS d,
    promote.deployment AS o WHERE d.project = 'ecomm' AND d.environment = 'production' AND d.component = 'db'
    AND (o.project, o.environment, o.component, o.deployment) = (d.project, d.environment, d.component, 3)
    ORDER BY d.deployment DESC LIMIT 1$$), '(4,t)', 'a third person makes an equal plan');
SELECT matches(pg_temp.as_role('s_bob', $$SELECT promote.approve_deployment('ecomm-production-db', 4)$$),
    '^PM603: .*does not count who has asked for it, as "s_bob" has', '... which they have asked for, too');
SELECT is(pg_temp.as_role('s_ann', $$SELECT status FROM promote.approve_deployment('ecomm-production-db', 4)$$),
    '(COMPLETED)', '... and others have not');
ROLLBACK TO joined;
SELECT is(pg_temp.as_role('s_ann', $$SELECT status FROM promote.approve_deployment('ecomm-production-db', 3)$$),
    '(COMPLETED)', 'somebody else does');
SELECT is(pg_temp.call('s_bob') || ' ' || pg_temp.followed(3),
    '(3,PLAN,COMPLETED) 4 PROVISION PENDING s_bob s_bob build 7', 'then either deploys it');
SELECT is_empty('SELECT * FROM promote.verify_audit()', '... and the record is whole');
ROLLBACK TO before;
SELECT pg_temp.call() \g /dev/null
SELECT promote.claim_deployment('w') \g /dev/null
INSERT INTO promote.grants (role, action, project) VALUES ('s_ann', 'plan', 'ecomm'), ('s_ann', 'deploy', 'ecomm');
SELECT is(pg_temp.call('s_ann'), '(2,PLAN,RUNNING)', 'while it runs');
SELECT is((promote.complete_deployment('ecomm-production-db', 2, 1)).joined_by -> 0 ->> 'actor', 's_ann',
    '... it is noted as well');
SELECT is(pg_temp.followed(2), '3 PROVISION PENDING s_ci s_ci build 7', '... and deployed for who came first');
ROLLBACK TO before;

-- ---- the row ----
SELECT pg_temp.call() \g /dev/null
SELECT throws_ok($$UPDATE promote.deployment SET deploy_as = 'postgres' WHERE environment = 'production'
    AND deployment = 2$$, 'PM301', NULL,
    'who has asked is never changed');
SELECT throws_ok($$UPDATE promote.deployment SET not_deployed = 'x' WHERE environment = 'production'
    AND deployment = 2$$, 'PM303', NULL,
    'nor is written by hand why it was not deployed');
SELECT pg_temp.refuses($$SELECT promote.plan_and_deploy('ecomm-production-cache')$$, 'PM005', 'no revision',
    'what desires nothing');
SELECT pg_temp.refuses($$SELECT promote.plan_and_deploy('ecomm-nowhere-db')$$, 'PM002', 'no environment',
    'what is not there');
INSERT INTO promote.freeze_window (name, project, during) VALUES ('audit', 'ecomm', '[2020-01-01,2098-01-01)');
SELECT pg_temp.step() \g /dev/null
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the record is whole, with a plan that stands');
ROLLBACK TO before;
SELECT pg_temp.call() \g /dev/null
SELECT pg_temp.step() \g /dev/null
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'so it is with one that was deployed');
ALTER TABLE promote.deployment DISABLE TRIGGER USER;
UPDATE promote.deployment SET actor = 'mallory' WHERE project = 'ecomm' AND environment = 'production'
    AND deployment = 2;
SELECT isnt_empty('SELECT * FROM promote.verify_audit()', 'whose plan must be of who has asked for it');
SELECT * FROM finish();
ROLLBACK;
