-- Deploying one instance: what people do, what is bound to the review, and what is refused.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
SET LOCAL promote.actor = 'ada';

-- What a refusal is, in the manner of pg_temp.refuses, of a call for production.
CREATE FUNCTION pg_temp.no(call text, state text, detail text, what text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT pg_temp.refuses('SELECT promote.' || call, state, detail, what)
$$;
-- The last deployment of production.
CREATE FUNCTION pg_temp.last(columns text) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.lines('SELECT ' || columns
        || ' FROM promote.deployment WHERE project = ''ecomm'' AND environment = ''production'' AND component = ''db'' '
        'ORDER BY deployment DESC LIMIT 1')
$$;

-- ---- a plan is required ----
SELECT pg_temp.no($$deploy_instance('ecomm-production-cache')$$, 'PM005', 'no revision', 'what desires nothing');
SELECT pg_temp.no($$plan_instance('ecomm-production-cache')$$, 'PM005', 'no revision', 'nor is that planned');
SELECT pg_temp.no($$decommission_instance('ecomm-production-cache')$$, 'PM005', 'no revision', 'nor decommissioned');
SELECT pg_temp.no($$deploy_instance('ecomm-nowhere-db')$$, 'PM002', 'no environment', 'an unknown instance');
SELECT pg_temp.no($$deploy_instance(NULL)$$, 'PM001', 'null', 'no instance');
SELECT pg_temp.no($$deploy_instance('ecomm-production-db')$$, 'PM504', 'deployment 1, is PENDING', 'a plan that waits');
SELECT pg_temp.no($$deploy_instance('ecomm-production-db', 1)$$, 'PM504', 'It is PENDING', 'also by its number');
SELECT pg_temp.no($$deploy_instance('ecomm-production-db', 7)$$, 'PM002', 'from 1 to 1', 'one that is not there');
SELECT is(pg_temp.work('ecomm-production-db'), 1, 'a worker plans');
SELECT is(pg_temp.last('status, reason, finished_at IS NOT NULL, due_at, worker, fencing, plan_digest = '
    'rendered_digest'), '(COMPLETED,,t,,test,1,t)',
    'the plan is done; without a document its digest is that of what it renders');
SELECT is(pg_temp.lines($$SELECT status, deployed_revision, deployed_by, changed_by FROM promote.instance
    WHERE name = 'ecomm-production-db'$$), '(INITIALIZED,,,0)', 'a plan does nothing to the instance');
SELECT pg_temp.no($$deploy_instance('ecomm-production-db', expected_revision => 7)$$, 'PM401', 'revision is 1',
    'another revision is expected');

-- ---- deploying ----
SELECT is(pg_temp.lines($$SELECT deployment, action, status, revision, base_revision, version, previous_version, plan,
    message, actor, database_role = current_user, queued_at IS NOT NULL, due_at IS NOT NULL, worker, fencing
    FROM promote.deploy_instance('ecomm-production-db', message => 'go')$$),
        '(2,PROVISION,PENDING,1,,1.0.0,,1,go,ada,t,t,t,,0)', 'a PROVISION that follows the plan; its row is returned');
SELECT is(pg_temp.lines($$SELECT d.plan_digest = p.plan_digest, d.rendered_digest = p.rendered_digest
    FROM promote.deployment d JOIN promote.deployment p USING (project, environment, component)
    WHERE d.environment = 'production' AND component = 'db' AND d.deployment = 2 AND p.deployment = 1$$), '(t,t)',
    'with its digests');
SELECT is((promote.deploy_instance('ecomm-production-db')).deployment, 2, 'again: it waits already');
SELECT is(pg_temp.work('ecomm-production-db'), 1, 'a worker provisions');
SELECT is(pg_temp.lines($$SELECT status, deployed_revision, deployed_by, changed_by FROM promote.instance
    WHERE name = 'ecomm-production-db'$$), '(PROVISIONED,1,2,2)', 'the instance runs it');
SELECT is(pg_temp.lines($$SELECT deployment, status FROM promote.deploy_instance('ecomm-production-db')$$),
    '(2,COMPLETED)', 'again: it is done already');
SELECT is(pg_temp.lines($$SELECT event, data ->> 'status', actor FROM promote.audit_log
    WHERE subject = 'ecomm-production-db' AND (data ->> 'deployment')::integer = 2 ORDER BY seq$$),
    E'(deployment.created,,ada)\n(gates.judged,,ada)\n(deployment.started,RUNNING,ada)\n'
        '(deployment.completed,COMPLETED,ada)', 'each step is in the audit log');

-- ---- the next one shows what changes against what runs ----
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-production-db', '{"replicas": 2}', plan => false)$$,
    'revision 2');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-production-db', '{"tier": "x"}')$$, 'revision 3');
SELECT pg_temp.no($$deploy_instance('ecomm-production-db')$$, 'PM504', 'deployment 3, is PENDING',
    'the plan of another revision is none of this one');
SELECT pg_temp.no($$deploy_instance('ecomm-production-db', 2)$$, 'PM504', 'PROVISION', 'what is no plan');
SELECT pg_temp.work('ecomm-production-db');
SELECT is(pg_temp.lines($$SELECT deployment, revision, base_revision, plan, diff
    FROM promote.deploy_instance('ecomm-production-db')$$),
    '(4,3,1,3,"[{""new"": ""x"", ""kind"": ""param"", ""path"": "".tier"", ""since"": 3, ""change"": ""add""}, '
        '{""new"": 2, ""kind"": ""param"", ""path"": "".replicas"", ""since"": 2, ""change"": ""add""}]")',
    'the diff starts from what is deployed, not from what was planned last');

SELECT matches(promote.plan_text('ecomm-production-db', 4),
    E'^ecomm-production-db, provision 4: revision 1 -> 3, postgres 1.0.0\n\n', 'that of a provision need not');

-- ---- bound to the review ----
SELECT lives_ok($$SELECT promote.abort_deployment('ecomm-production-db', 4, 'not now')$$, 'ended before it began');
SELECT is(pg_temp.last('status, reason, finished_at IS NOT NULL'), '(ABORTED,"not now",t)', 'with the reason');
SELECT is((promote.abort_deployment('ecomm-production-db', 4, 'again')).reason, 'not now',
    'again: it is aborted already');
SELECT is(pg_temp.lines($$SELECT status, changed_by FROM promote.instance WHERE name = 'ecomm-production-db'$$),
    '(PROVISIONED,2)', 'which did nothing to the instance');
SAVEPOINT reviewed;
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-production-db', '{"tier": "y"}')$$,
    'the desired revision moves');
SELECT matches(promote.plan_text('ecomm-production-db'),
    E'^ecomm-production-db, plan 5: revision 1 -> 4, postgres 1.0.0\n\n  \\+ .tier      "y"\n  \\+ .replicas  2  # '
        'since '
    'revision 2\n', 'the text of a plan says since when something waits that came with another revision');
SELECT pg_temp.no($$deploy_instance('ecomm-production-db', 3)$$, 'PM503',
    'desired revision is 4; what was reviewed is revision 3', 'the revision has moved');
ROLLBACK TO reviewed;
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-production-db', '{}', 'latest+dev')$$,
    'a constraint that moves');
SELECT pg_temp.work('ecomm-production-db');
SELECT lives_ok($$INSERT INTO promote.bundle_release (bundle, version, params_schema)
    VALUES ('postgres', '2.1.0', '{}')$$, 'a newer release');
SELECT pg_temp.no($$deploy_instance('ecomm-production-db', 5)$$, 'PM503',
    '^The version is 2\.1\.0; what was reviewed is version 2\.0\.0\.$', 'the version has moved, and nothing else');
SELECT pg_temp.no($$deploy_instance('ecomm-production-db')$$, 'PM503', 'version', 'also of the plan that is found');
ROLLBACK TO reviewed;
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-production-db', '{"tier": "{{domain}}"}')$$,
    'params with a placeholder');
SELECT pg_temp.work('ecomm-production-db');
UPDATE promote.parameter_set SET parameters = parameters || '{"domain": "example.org"}' WHERE environment = 'production'
    AND project = 'ecomm';
SELECT pg_temp.no($$deploy_instance('ecomm-production-db')$$, 'PM503', '^The params render differently',
    'the rendered params have moved');
UPDATE promote.parameter_set SET parameters = '{}' WHERE environment = 'production' AND project = 'ecomm';
SELECT pg_temp.no($$deploy_instance('ecomm-production-db')$$, 'PM105', 'domain', 'a parameter is missing by now');
SELECT pg_temp.no($$plan_instance('ecomm-production-db')$$, 'PM105', 'domain', 'which is no plan either');
ROLLBACK TO reviewed;
SELECT lives_ok($$SELECT promote.plan_instance('ecomm-production-db', 'once more')$$, 'another plan of the same');
SELECT is(pg_temp.last('deployment, action, status, revision, base_revision, message'),
    '(5,PLAN,PENDING,3,1,"once more")', 'is queued, with its message, and starts from what is deployed');
SELECT is((promote.plan_instance('ecomm-production-db')).deployment, 5, 'again: it waits already');
SELECT pg_temp.work('ecomm-production-db');
ALTER TABLE promote.deployment DISABLE TRIGGER guard_deployment;
UPDATE promote.deployment SET plan_digest = sha256('another') WHERE project = 'ecomm' AND environment = 'production'
    AND deployment = 5;
ALTER TABLE promote.deployment ENABLE ALWAYS TRIGGER guard_deployment;
SELECT pg_temp.no($$deploy_instance('ecomm-production-db', 3)$$, 'PM503', '^The plan has another digest: plan 5',
    'a later plan came to another result');
SELECT is((promote.deploy_instance('ecomm-production-db')).plan, 5, 'that one may be deployed');
ROLLBACK TO reviewed;
SELECT is(pg_temp.deploy('ecomm-production-db', true) > 0, true, 'another deployment');
SELECT is((SELECT (promote.plan_instance('ecomm-production-db')).deployment), 6, 'the next plan');
SELECT pg_temp.no($$deploy_instance('ecomm-production-db', 1)$$, 'PM503',
    E'revision is 3.*\n.*Deployment 5 has changed', 'all that has moved is named');
ROLLBACK TO reviewed;
SELECT is(d.status, 'PENDING', 'a PROVISION waits') FROM promote.deploy_instance('ecomm-production-db', 3) AS d;
UPDATE promote.environment SET require_plan = false WHERE project = 'ecomm' AND environment = 'production';
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-production-db', '{"tier": "y"}', plan => false)$$,
    'and another revision');
SELECT lives_ok($$SELECT promote.deploy_instance('ecomm-production-db')$$, 'is deployed behind it');
SELECT is(pg_temp.work('ecomm-production-db'), 2, 'both run in their order');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-production-db', '{"tier": "z"}')$$, 'one more');
SELECT pg_temp.work('ecomm-production-db');
SELECT is((promote.deploy_instance('ecomm-production-db')).plan, 7, 'bound to its plan');
SELECT is((promote.propose_deployment('ecomm-production-db', 'DECOMMISSION')).deployment, 9, 'and something else');
SELECT lives_ok($$SELECT promote.approve_deployment('ecomm-production-db', 9)$$, 'queued behind');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-production-db', '{"tier": "zz"}', plan => false)$$,
    'revision 6');
ROLLBACK TO reviewed;

-- What is queued is refused by the claim where something else has changed the instance since it was planned.
SELECT is((promote.deploy_instance('ecomm-production-db', 3)).deployment, 5, 'two provisions');
SELECT is((promote.propose_deployment('ecomm-production-db', plan => 3)).deployment, 6, 'of one plan');
SELECT lives_ok($$SELECT promote.approve_deployment('ecomm-production-db', 6)$$, 'both queued');
SELECT is(pg_temp.work('ecomm-production-db'), 1, 'one is carried out');
SELECT is(pg_temp.last('deployment, status, reason, fencing'),
    '(6,ABORTED,"deployment 5 has changed the instance since it was planned",0)', 'the other is not, and says why');
ROLLBACK TO reviewed;
-- A release that is blocked by then is not deployed, either, and what is protected by then not taken away; nor is
-- something else taken away than what was to be.
SELECT is((promote.deploy_instance('ecomm-production-db', 3)).deployment, 5, 'a provision');
SAVEPOINT queued;
UPDATE promote.bundle_release SET block_reason = 'CVE-1' WHERE bundle = 'postgres' AND version = (SELECT version
    FROM promote.deployment WHERE environment = 'production' AND project = 'ecomm' AND component = 'db'
    AND deployment = 5);
SELECT throws_ok($$UPDATE promote.deployment SET status = 'RUNNING', worker = 'w', due_at = 'infinity'
    WHERE project = 'ecomm' AND environment = 'production' AND deployment = 5$$, 'PM503', NULL,
    'blocked by then: not by hand');
SELECT is(pg_temp.work('ecomm-production-db'), 0, 'nor by a claim');
SELECT matches(pg_temp.last('deployment, status, reason, fencing'),
    '^\(5,ABORTED,"release [^ ]* is blocked: CVE-1",0\)$', 'which says why');
ROLLBACK TO queued;
SELECT is((promote.decommission_instance('ecomm-production-db')).revision, (SELECT deployed_revision
    FROM promote.instance WHERE name = 'ecomm-production-db'), 'what runs is to be taken away');
SELECT is(pg_temp.work('ecomm-production-db'), 1, 'but something else runs when its turn comes');
SELECT is(pg_temp.last('deployment, action, status, reason, fencing'),
    '(6,DECOMMISSION,ABORTED,"deployment 5 has changed the instance since it was queued",0)',
    'so that is not taken away unseen');
SELECT is((promote.decommission_instance('ecomm-production-db')).deployment, 7, 'that is, too');
UPDATE promote.environment SET decommission_protection = true WHERE project = 'ecomm' AND environment = 'production';
SELECT is(pg_temp.work('ecomm-production-db'), 0, 'unless it is protected by then');
SELECT is(pg_temp.last('deployment, status, reason, fencing'),
    '(7,ABORTED,"the instance is protected from being decommissioned by now",0)', 'which is said');
ROLLBACK TO reviewed;

-- ---- a plan that came to nothing is no plan ----
SELECT is((promote.configure_instance('ecomm-production-db', '{"tier": "f"}')).deployment, 5,
    'a revision with its plan');
SELECT is((promote.abort_deployment('ecomm-production-db', 5)).status, 'ABORTED', 'which is aborted');
SELECT is(pg_temp.lines($$SELECT changed, deployment, pg_temp.entries(diff)
    FROM promote.configure_instance('ecomm-production-db')$$),
    E'(f,6,".tier add -> ""f"" 4\n.replicas add -> 2 2")',
    'asked for again it gets another, which shows the same');
SELECT is(pg_temp.lines($$SELECT changed, deployment FROM promote.configure_instance('ecomm-production-db')$$), '(f,)',
    'once');
ROLLBACK TO reviewed;

-- ---- without plans ----
UPDATE promote.environment SET require_plan = false WHERE project = 'ecomm' AND environment = 'production';
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-production-db', '{"tier": "n"}', plan => false)$$,
    'a revision that nobody planned');
SELECT is((promote.deploy_instance('ecomm-production-db')).plan, NULL, 'where the environment asks for no plan');
SELECT is((SELECT count(*) FROM promote.deployment WHERE environment = 'production' AND action = 'PROVISION'
    AND status = 'PENDING'), 1::bigint, 'it is queued');
SELECT pg_temp.no($$deploy_instance('ecomm-production-db', 3)$$, 'PM503', 'revision',
    'a plan that is named binds all the same');
ROLLBACK TO reviewed;
-- Two wait, of which neither knew of the other: what runs is not replaced unless the revision says so.
UPDATE promote.environment SET require_plan = false WHERE project = 'ecomm' AND environment = 'prod-uswest';
CREATE FUNCTION pg_temp.two(allow boolean) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM promote.configure_instance('ecomm-prod-uswest-db', '{"size": "small", "subnet": "a"}', '1.0.0',
        plan => false);
    PERFORM promote.deploy_instance('ecomm-prod-uswest-db');
    PERFORM promote.configure_instance('ecomm-prod-uswest-db', '{"subnet": "b"}', plan => false,
        allow_replace => allow);
    PERFORM promote.deploy_instance('ecomm-prod-uswest-db');
    PERFORM promote.configure_instance('ecomm-prod-uswest-db', '{"subnet": "a", "tier": "x"}', plan => false);
    PERFORM promote.deploy_instance('ecomm-prod-uswest-db');
    PERFORM pg_temp.work('ecomm-prod-uswest-db');
    RETURN pg_temp.lines($q$SELECT deployment, status, reason FROM promote.deployment WHERE environment = 'prod-uswest'
        ORDER BY 1$q$);
END
$$;
SAVEPOINT unplanned;
SELECT is(pg_temp.two(false),
    E'(1,COMPLETED,)\n(2,ABORTED,"immutable values of what deployment 1 has provisioned since would change: '
    '.subnet")\n(3,COMPLETED,)', 'one that would replace what runs is aborted when its turn comes');
ROLLBACK TO unplanned;
SELECT is(pg_temp.two(true),
    E'(1,COMPLETED,)\n(2,COMPLETED,)\n(3,ABORTED,"immutable values of what deployment 2 has provisioned since would '
    'change: .subnet")', 'unless its revision may');
ROLLBACK TO reviewed;

-- ---- a plan that cannot be deployed ----
ALTER TABLE promote.deployment DISABLE TRIGGER guard_deployment;
UPDATE promote.deployment SET plan_defects = '{errored,deferred}' WHERE project = 'ecomm' AND environment = 'production'
    AND deployment = 3;
ALTER TABLE promote.deployment ENABLE ALWAYS TRIGGER guard_deployment;
SELECT pg_temp.no($$deploy_instance('ecomm-production-db')$$, 'PM507', 'errored, deferred',
    'what its tool could not plan');
ROLLBACK TO reviewed;

-- ---- what else is judged again ----
UPDATE promote.bundle_release SET block_reason = 'loses data' WHERE bundle = 'postgres' AND version = '1.0.0';
SELECT pg_temp.no($$deploy_instance('ecomm-production-db')$$, 'PM510', 'loses data', 'a blocked release');
SELECT pg_temp.no($$plan_instance('ecomm-production-db')$$, 'PM510', 'loses data', 'is not planned either');
UPDATE promote.bundle_release SET block_reason = NULL WHERE bundle = 'postgres';
UPDATE promote.environment SET require_plan = false WHERE project = 'ecomm';
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-prod-uswest-db', '{"size": "small", "subnet": "a"}', '1.0.0',
    plan => false)$$, 'one instance');
SELECT is((promote.deploy_instance('ecomm-prod-uswest-db')).status, 'PENDING', 'waits to be deployed');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-prod-uswest-db', '{"subnet": "b"}', plan => false)$$,
    'while nothing runs an immutable value changes');
SELECT is(pg_temp.work('ecomm-prod-uswest-db'), 1, 'then the first one runs');
SELECT pg_temp.no($$deploy_instance('ecomm-prod-uswest-db')$$, 'PM104', 'subnet',
    'and the immutable value has come to matter');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-prod-uswest-db', '{"subnet": "c"}', allow_replace => true,
    plan => false)$$, 'unless it was said that it may');
SELECT is((promote.deploy_instance('ecomm-prod-uswest-db')).destructive, true, 'and then it is marked');
ROLLBACK TO reviewed;
UPDATE promote.environment SET require_plan = false WHERE project = 'ecomm' AND environment = 'staging';
UPDATE promote.parameter_set SET parameters = '{"big": ""}' WHERE project = 'ecomm' AND environment = 'staging';
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-staging-db', jsonb_build_object('tier', '{{big}}{{big}}'),
    plan => false)$$, 'params with a large parameter');
UPDATE promote.parameter_set SET parameters = jsonb_build_object('big', repeat('x', 9000000)) WHERE project = 'ecomm'
    AND environment = 'staging';
SELECT pg_temp.no($$deploy_instance('ecomm-staging-db')$$, 'PM102', 'bytes',
    'params that are too large once they are rendered');
ROLLBACK TO reviewed;

-- ---- proposals ----
SELECT is(pg_temp.lines($$SELECT deployment, action, status, plan, queued_at, due_at, message
    FROM promote.propose_deployment('ecomm-production-db', message => 'please')$$), '(5,PROVISION,PROPOSED,3,,,please)',
    'a proposal holds no place');
SELECT is((promote.propose_deployment('ecomm-production-db')).deployment, 5, 'again: it is proposed already');
SELECT is(pg_temp.work('ecomm-production-db'), 0, 'no worker gets it');
SELECT is((promote.deploy_instance('ecomm-production-db')).deployment, 6, 'nor does it stand for what is deployed');
SELECT is(pg_temp.lines($$SELECT status, approved_by, reason, queued_at IS NOT NULL, due_at
    FROM promote.approve_deployment('ecomm-production-db', 5, 'fine')$$), '(APPROVED,ada,fine,t,)',
    'approved, it comes behind what is queued');
SELECT is((promote.approve_deployment('ecomm-production-db', 5)).reason, 'fine', 'again: it is approved already');
SELECT lives_ok($$SELECT promote.abort_deployment('ecomm-production-db', 6)$$, 'what is before it goes');
SELECT is((SELECT due_at IS NOT NULL FROM promote.deployment WHERE project = 'ecomm' AND environment = 'production'
    AND deployment = 5), true, 'so that it is due');
SELECT is(pg_temp.work('ecomm-production-db'), 1, 'and carried out');
SELECT is((SELECT deployed_by FROM promote.instance WHERE name = 'ecomm-production-db'), 5, 'to its end');
SELECT is((SELECT array_agg(event ORDER BY seq) FROM promote.audit_log WHERE subject = 'ecomm-production-db'
    AND (data ->> 'deployment')::integer = 5),
    ARRAY['deployment.proposed', 'deployment.approved', 'gates.judged', 'deployment.started', 'deployment.completed'],
        'as the audit log says');
ROLLBACK TO reviewed;
SELECT is((promote.propose_deployment('ecomm-production-db')).deployment, 5, 'a proposal');
SELECT pg_temp.no($$reject_deployment('ecomm-production-db', 5, ' ')$$, 'PM404', 'null or empty',
    'a rejection has a reason');
SELECT pg_temp.no($$reject_deployment('ecomm-production-db', 5, NULL)$$, 'PM404', 'null or empty', 'and no null one');
SELECT is(pg_temp.lines($$SELECT status, reason, finished_at IS NOT NULL
    FROM promote.reject_deployment('ecomm-production-db', 5, 'too late')$$), '(REJECTED,"too late",t)', 'rejected');
SELECT pg_temp.no($$approve_deployment('ecomm-production-db', 5)$$, 'PM501', 'REJECTED is an end', 'which is for good');
SELECT is((promote.propose_deployment('ecomm-production-db')).deployment, 6, 'it may be proposed again');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-production-db', '{"tier": "later"}', plan => false)$$,
    'then something moves');
SELECT pg_temp.no($$approve_deployment('ecomm-production-db', 6)$$, 'PM503', 'desired revision is 4',
    'and what was proposed is not approved');
SELECT throws_ok($$UPDATE promote.deployment SET status = 'APPROVED' WHERE project = 'ecomm'
    AND environment = 'production' AND deployment = 6$$, 'PM503', NULL, 'nor by hand');
SELECT pg_temp.no($$propose_deployment('ecomm-production-db', 'APPLY')$$, 'PM404', 'PLAN, PROVISION', 'no such action');
SELECT pg_temp.no($$propose_deployment('ecomm-production-db', 'PLAN', 3)$$, 'PM404', 'Only a PROVISION',
    'a plan follows none');
SELECT is((promote.propose_deployment('ecomm-production-db', 'PLAN')).action, 'PLAN', 'a plan may be proposed');
ROLLBACK TO reviewed;

-- ---- decommissioning ----
SELECT pg_temp.no($$decommission_instance('ecomm-staging-db')$$, 'PM508', 'INITIALIZED', 'what was never deployed');
UPDATE promote.environment SET decommission_protection = true WHERE project = 'ecomm' AND environment = 'production';
SELECT pg_temp.no($$decommission_instance('ecomm-production-db')$$, 'PM505', 'protects', 'what is protected');
SELECT pg_temp.no($$propose_deployment('ecomm-production-db', 'DECOMMISSION')$$, 'PM505', 'protects',
    'is not proposed either');
UPDATE promote.environment SET decommission_protection = false WHERE project = 'ecomm' AND environment = 'production';
SELECT is((promote.propose_deployment('ecomm-production-db', 'DECOMMISSION')).status, 'PROPOSED', 'proposed');
UPDATE promote.environment SET decommission_protection = true WHERE project = 'ecomm' AND environment = 'production';
SELECT pg_temp.no($$approve_deployment('ecomm-production-db', 5)$$, 'PM505', 'protects',
    'protection counts when it is approved');
UPDATE promote.environment SET decommission_protection = false WHERE project = 'ecomm' AND environment = 'production';
SELECT is(pg_temp.lines($$SELECT deployment, action, status, revision, version, destructive,
    diff @> '[{"path": ".size", "change": "remove"}]' FROM promote.decommission_instance('ecomm-production-db',
    'end of life')$$),
    '(6,DECOMMISSION,PENDING,1,1.0.0,t,t)', 'what runs is taken away, not what is desired');
SELECT is((promote.decommission_instance('ecomm-production-db')).deployment, 6, 'again: it waits already');
SELECT pg_temp.work('ecomm-production-db');
SELECT is(pg_temp.lines($$SELECT status, deployed_revision, deployed_by, changed_by FROM promote.instance
    WHERE name = 'ecomm-production-db'$$), '(DECOMMISSIONED,,,6)', 'gone');
SELECT is((promote.decommission_instance('ecomm-production-db')).deployment, 6, 'again: it is done already');
SELECT pg_temp.no($$approve_deployment('ecomm-production-db', 5)$$, 'PM508', 'DECOMMISSIONED',
    'there is nothing left to decommission');
SELECT is(pg_temp.deploy('ecomm-production-db') > 6, true, 'and it may come back');
SELECT is((SELECT status FROM promote.instance WHERE name = 'ecomm-production-db'), 'PROVISIONED', 'for good');
ROLLBACK TO reviewed;

-- ---- what fails, fails the instance; what ran before is still what is known to run ----
SELECT is((promote.deploy_instance('ecomm-production-db')).deployment, 5, 'a PROVISION');
UPDATE promote.instance SET attributes = '{"fails": true}' WHERE name = 'ecomm-production-db';
SELECT is(fencing, 1, 'that a worker has claimed') FROM promote.claim_deployment('w', selector => '{"fails": true}');
SELECT is((promote.fail_deployment('ecomm-production-db', 5, 'no quota', 1)).reason, 'no quota', 'fails');
SELECT is(pg_temp.lines($$SELECT status, deployed_revision, deployed_by, changed_by FROM promote.instance
    WHERE name = 'ecomm-production-db'$$), '(FAILED,1,2,5)', 'and with it the instance');
SELECT pg_temp.no($$deploy_instance('ecomm-production-db')$$, 'PM503',
    '^Deployment 5 has changed the instance since\.$', 'its plan is not to be trusted any more');
SELECT is(pg_temp.deploy('ecomm-production-db') > 5, true, 'a new one is');
SELECT is(pg_temp.lines($$SELECT status, deployed_revision FROM promote.instance WHERE name = 'ecomm-production-db'$$),
    '(PROVISIONED,3)', 'and all is well');
SELECT pg_temp.no($$abort_deployment('ecomm-production-db', 99)$$, 'PM002', 'from 1 to 7', 'none of that number');
SELECT pg_temp.no($$abort_deployment('ecomm-production-db', 7, repeat('x', 1048577))$$, 'PM102', '1048577 bytes',
    'a reason is not a book');
SELECT pg_temp.no($$abort_deployment('ecomm-production-db', NULL)$$, 'PM404', 'null', 'no number');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the record is whole');
ROLLBACK TO reviewed;

SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the record is whole');
SELECT * FROM finish();
ROLLBACK;
