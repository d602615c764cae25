-- Planning and deploying many instances by one call: each is judged as by the verb of one, all or nothing or a part.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
SET LOCAL promote.actor = 'ada';
CREATE FUNCTION pg_temp.names(environment text DEFAULT 'staging', of integer[] DEFAULT '{1,2,3,4,5,6}') RETURNS text[]
    LANGUAGE sql AS $$
    SELECT array_agg(format('shop-%s-s%s', environment, n)) FROM unnest(of) AS n
$$;
CREATE FUNCTION pg_temp.deployed(args text) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.lines('SELECT right(instance, 2), action, status, code FROM promote.deploy_many(' || args
        || ')')
$$;

-- ---- planning ----
SELECT is(pg_temp.lines('SELECT right(instance, 2), action, status, code, problem FROM promote.plan_many('
    'pg_temp.names(of => ''{3,1,2}''), ''why'')'), E'(s3,PLAN,PENDING,,)\n(s1,PLAN,PENDING,,)\n(s2,PLAN,PENDING,,)',
    'a row for each, in the order given');
SELECT is(pg_temp.lines($$SELECT component, message, actor, destructive FROM promote.deployment WHERE message = 'why'
    ORDER BY 1$$),
    E'(s1,why,ada,f)\n(s2,why,ada,f)\n(s3,why,ada,f)', 'queued as by the verb of one');
SELECT is(pg_temp.lines($$SELECT right(subject, 2), data ->> 'message' IS NOT NULL FROM promote.audit_log
    WHERE event = 'deployment.created' AND data ->> 'message' = 'why' ORDER BY 1$$), E'(s1,t)\n(s2,t)\n(s3,t)',
        'and recorded');
SELECT is(pg_temp.lines('SELECT DISTINCT status FROM promote.plan_many(pg_temp.names())'), '(PENDING)',
    'once more');
SELECT is(pg_temp.lines($$SELECT count(*), count(DISTINCT component) FROM promote.deployment
    WHERE environment = 'staging'
    AND project = 'shop' AND status = 'PENDING'$$), '(6,6)', 'those that wait already are found');
SELECT pg_temp.work_all() \g /dev/null

-- ---- deploying ----
SELECT is(pg_temp.deployed($$pg_temp.names(of => '{2,1}'), message => 'go'$$),
    E'(s2,PROVISION,PENDING,)\n(s1,PROVISION,PENDING,)',
    'a PROVISION by the last plan of each');
SELECT is(pg_temp.lines($$SELECT d.component, d.plan, d.plan_digest = p.plan_digest, d.gates ->> 'overridden',
    d.message,
    d.due_at IS NOT NULL FROM promote.deployment AS d JOIN promote.deployment AS p
    ON p.project = d.project AND p.environment = d.environment AND p.component = d.component AND p.deployment = d.plan
    WHERE d.message = 'go' ORDER BY 1$$), (SELECT string_agg(format('(s%s,%s,t,[],go,t)', n, (SELECT max(deployment)
    FROM promote.deployment WHERE environment = 'staging' AND component = 's' || n AND action = 'PLAN')), E'\n'
        ORDER BY n)
    FROM generate_series(1, 2) AS n), 'with how the gates were judged');
SELECT is(pg_temp.lines($$SELECT right(subject, 2), count(*) FROM promote.audit_log WHERE event = 'gates.judged'
    AND subject ~ '^shop-staging' GROUP BY 1 ORDER BY 1$$), E'(s1,1)\n(s2,1)', 'which the log has');
SELECT is(pg_temp.deployed($$pg_temp.names(of => '{1,2,3}')$$),
    E'(s1,PROVISION,PENDING,)\n(s2,PROVISION,PENDING,)\n(s3,PROVISION,PENDING,)',
    'what waits already is found, the others are queued');
SELECT is((SELECT count(*) FROM promote.deployment WHERE environment = 'staging' AND action = 'PROVISION'
    AND project = 'shop'),
    3::bigint, 'once each');
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.deployed($$pg_temp.names(of => '{1,2}')$$), E'(s1,PROVISION,COMPLETED,)\n(s2,PROVISION,COMPLETED,)',
    'what has brought it about is returned where nothing is to be done');

-- ---- refusing ----
SELECT promote.configure_instance('shop-staging-s4', '{"size": 44}', plan => false) \g /dev/null
SELECT pg_temp.refuses($$SELECT promote.deploy_many(pg_temp.names(of => '{5,4}') || ARRAY['shop-nowhere-s1'])$$,
    'PM504',
    'PM504 shop-staging-s4: revision 2 of "shop-staging-s4" has no completed plan: It was never planned.',
        'all of them are named');
SELECT is((SELECT count(*) FROM promote.deployment WHERE environment = 'staging' AND component = 's5'
    AND action = 'PROVISION'),
    0::bigint, 'and nothing is queued');
SELECT is(pg_temp.lines($$SELECT instance, status, code FROM promote.deploy_many(pg_temp.names(of => '{5,4}')
    || ARRAY['shop-nowhere-s1', 'shop-staging-s5', 'shop-staging-s6'], partial => true,
        expected_revisions => ARRAY[NULL, NULL,
    NULL, NULL, 7])$$), E'(shop-staging-s5,PENDING,)\n(shop-staging-s4,,PM504)\n(shop-nowhere-s1,,PM002)\n'
    '(shop-staging-s5,,PM404)\n(shop-staging-s6,,PM401)', 'a part: what is refused is left out, and says why');
SELECT is(pg_temp.lines($$SELECT code, problem FROM promote.deploy_many(pg_temp.names(of => '{6}'), ARRAY[99],
    partial => true)$$),
    '(PM002,"""shop-staging-s6"" has no deployment 99: Its deployments are numbered from 1 to '
    || (SELECT deployment FROM promote.instance WHERE name = 'shop-staging-s6') || '.")',
        'a plan that is named has to be there');
SELECT pg_temp.refuses($$SELECT promote.deploy_many('{a-b-c}', '{1,2}')$$, 'PM404',
    'It has 2 elements, and the first array has 1',
    'arrays of one length');
SELECT is(pg_temp.lines($$SELECT instance, code
    FROM promote.plan_many(ARRAY['ecomm-production-bare', 'shop-staging-s6'],
    partial => true)$$), E'(ecomm-production-bare,PM005)\n(shop-staging-s6,)',
        'what has no configuration is not planned');

-- ---- gates are judged for each ----
INSERT INTO promote.freeze_window (project, component, name, during)
    VALUES ('shop', 's3', 'quiet', '[2000-01-01,2100-01-01)');
SELECT promote.configure_instance('shop-staging-s' || n, jsonb_build_object('size', 60 + n))
    FROM unnest(ARRAY[2, 3, 4, 6]) AS n \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.lines($$SELECT right(instance, 2), status, code, problem ~ 'freeze "quiet" is on'
    FROM promote.deploy_many(
    pg_temp.names(of => '{2,3}'), partial => true)$$), E'(s2,PENDING,,)\n(s3,,PM601,t)', 'a freeze of one component');
DELETE FROM promote.freeze_window;
INSERT INTO promote.change_window (project, environment, name, during, max_deployments_per_window)
    VALUES ('shop', 'staging', 'day', '[2000-01-01,2100-01-01)',
    (SELECT count(*) + 2 FROM promote.deployment WHERE project = 'shop' AND environment = 'staging'
        AND action <> 'PLAN'));
SELECT is(pg_temp.lines($$SELECT right(instance, 2), status, code
    FROM promote.deploy_many(pg_temp.names(of => '{3,4,6}'),
    partial => true)$$), E'(s3,PENDING,)\n(s4,PENDING,)\n(s6,,PM601)', 'a budget counts what the same call has queued');
SELECT is((pg_temp.refusal($$SELECT promote.deploy_many(pg_temp.names(of => '{6}'))$$)).state, 'PM601',
    'one or many');
DELETE FROM promote.change_window;
UPDATE promote.environment SET required_soak = '1 microsecond' WHERE project = 'shop' AND environment = 'production';
SELECT promote.promote_instance('shop-staging-s1', 'shop-production-s1') \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.deployed($$pg_temp.names('production', '{1}'), partial => true$$), '(s1,PROVISION,PENDING,)',
    'what has soaked at its source is not held back');
SELECT promote.abort_deployment('shop-production-s1', deployment) FROM promote.instance
 WHERE name = 'shop-production-s1' \g /dev/null
UPDATE promote.environment SET required_soak = '7 days' WHERE project = 'shop' AND environment = 'production';
SELECT is(pg_temp.deployed($$pg_temp.names('production', '{1}'), partial => true$$), '(s1,,,PM601)',
    '... as long as is asked for');
UPDATE promote.environment SET required_soak = '0' WHERE project = 'shop' AND environment = 'production';
CREATE FUNCTION public.few(candidate jsonb) RETURNS TABLE (message text) LANGUAGE sql STABLE AS $$ SELECT 'no'
    WHERE false $$;
CREATE ROLE set_approvers;
INSERT INTO promote.approval_rule (project, environment, rule, role, component)
    VALUES ('shop', 'staging', 'four eyes', 'set_approvers', 's6');
SELECT is(pg_temp.lines($$SELECT right(instance, 2), status, code, problem ~ 'four eyes' FROM promote.deploy_many(
    pg_temp.names(of => '{5,6}'), partial => true)$$), E'(s5,COMPLETED,,)\n(s6,,PM601,t)',
        'approvals of one component');
DELETE FROM promote.approval_rule;
UPDATE promote.environment SET require_proven_release = true WHERE project = 'shop' AND environment = 'production';
SELECT promote.block_release('service', '1.0.0', 'bad') \g /dev/null
SELECT is((pg_temp.refusal($$SELECT promote.deploy_many(pg_temp.names(of => '{6}'))$$)).state, 'PM510',
    'a blocked release');
SELECT promote.unblock_release('service', '1.0.0', 'good') \g /dev/null

-- ---- what says that gates have nothing to look at agrees with the gates ----
SELECT is(pg_temp.lines($$SELECT g.of_bundle, g.blocked, g.declares, g.digested, g.checks, g.differs, g.held, g.proven,
    g.recorded,
    g.policies, g.rules FROM promote_internal.known_gates('shop', 'staging', 's6', 2, 'service', '1.0.0', NULL) AS g$$),
    '(t,f,f,f,f,f,f,t,,f,f)', 'nothing to look at');
INSERT INTO promote.required_check (project, environment, check_name) VALUES ('shop', 'staging', 'smoke');
INSERT INTO promote.approval_rule (project, rule, role) VALUES ('shop', 'four eyes', 'set_approvers');
SELECT is(pg_temp.lines($$SELECT g.checks, g.rules FROM promote_internal.known_gates('shop', 'staging', 's6', 2,
    'service', '1.0.0',
    NULL) AS g$$), '(t,t)', 'something to look at');
SELECT is(pg_temp.lines($$SELECT p.last_plan = p.plan, p.status, p.newer_plan, p.change_before IS NULL
    FROM promote.instance AS i, promote_internal.known_plan('shop', 'staging', 's6', i.revision, NULL) AS p
    WHERE i.name = 'shop-staging-s6'$$), '(t,COMPLETED,,t)', 'the plan that would be followed');
SELECT is(pg_temp.lines('SELECT * FROM promote.verify_audit()'), NULL, 'the log tells all of it');
SELECT * FROM finish();
ROLLBACK;
