-- What happened, in the order in which it did.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
\ir ../../fixtures/as_role.sql
SET LOCAL promote.actor = 'ada';
CREATE ROLE test_release;
CREATE ROLE test_owner;
CREATE ROLE test_bob LOGIN IN ROLE test_release;
CREATE ROLE test_cem LOGIN IN ROLE test_owner;
INSERT INTO promote.grants (role, action, project)
SELECT r, a, 'shop' FROM unnest('{test_bob,test_cem}'::text[]) AS r, unnest('{view,approve}'::text[]) AS a;
SELECT current_user AS me \gset

-- A request with a ticket, whose plan is approved by two people under two rules, while a freeze is overridden; then it
-- is rolled back, since what it deploys fails. Another component is proposed to be decommissioned, once rejected, once
-- approved. All of it by names that say who it is.
INSERT INTO promote.approval_rule (project, environment, rule, role, component)
VALUES ('shop', 'production', 'release', 'test_release', 's1'), ('shop', 'production', 'owner', 'test_owner', 's1');
INSERT INTO promote.override_rule (project, environment, code, role) VALUES ('shop', 'production', 'freeze', :'me');
INSERT INTO promote.freeze_window (name, project, environment, component, reason, during)
VALUES ('audit', 'shop', 'production', 's1', 'the auditors are there',
        tstzrange(now() - interval '1 day', now() + interval '1 day'));
SELECT promote.open_request('shop', 'staging', 'production', '{"components": ["s1", "s2"]}', 'all_at_once',
    ticket => 'OPS-7', message => 'autumn sale', rollback_mode => 'all') \g /dev/null
SELECT pg_temp.preview(1) \g /dev/null
SELECT pg_temp.drain(1) \g /dev/null
SELECT i.deployment AS plan FROM promote.instance AS i WHERE i.name = 'shop-production-s1' \gset
SET LOCAL promote.actor = '';
SELECT pg_temp.as_role('test_bob',
    format('SELECT promote.approve_deployment(''shop-production-s1'', %s, ''looks good'')', :plan)) \g /dev/null
SELECT pg_temp.as_role('test_cem',
    format('SELECT promote.approve_deployment(''shop-production-s1'', %s)', :plan)) \g /dev/null
SET LOCAL promote.actor = 'dot';
SELECT promote.override_gate('shop-production-s1', :plan, 'freeze', 'the auditors agree') \g /dev/null
SET LOCAL promote.actor = 'eve';
SELECT pg_temp.advance(1) \g /dev/null
SELECT pg_temp.work_all('s1$') \g /dev/null
SELECT pg_temp.drain(1) \g /dev/null
SET LOCAL promote.actor = 'fay';
SELECT deployment AS refused FROM promote.propose_deployment('shop-production-s3', 'DECOMMISSION',
    message => 'nobody uses it') \gset
SELECT promote.reject_deployment('shop-production-s3', :refused, 'somebody does') \g /dev/null
SELECT deployment AS taken FROM promote.propose_deployment('shop-production-s3', 'DECOMMISSION',
    message => 'really nobody') \gset
SET LOCAL promote.actor = 'gus';
SELECT promote.approve_deployment('shop-production-s3', :taken, 'true') \g /dev/null
SELECT pg_temp.work_all() \g /dev/null

-- ---- deployment_history ----
SELECT is(pg_temp.lines($$SELECT deployment, previous_revision AS prev, revision, previous_version AS prevv,
        version, changes, origin, source, source_revision AS srev, changed_by, actor, moved_by, message, plan, request,
        ticket, outcome, reason FROM promote.deployment_history WHERE instance = 'shop-production-s1' ORDER BY 1$$),
    '(2,,1,,1.0.0,5,edit,,,postgres,postgres,,,1,,,COMPLETED,)
(4,1,2,1.0.0,1.0.0,2,promotion,shop-staging-s1,1,ada,ada,eve,"request 1: autumn sale",3,1,OPS-7,FAILED,broken)',
    'what was deployed: from what to what, why, by whom, for which request, and what became of it');
SELECT is((SELECT diff FROM promote.deployment_history WHERE instance = 'shop-production-s1' AND deployment = 4),
    '[{"kind": "param", "path": ".size", "change": "change", "old": 1, "new": 2, "since": 2},
      {"kind": "param", "path": ".password", "change": "add", "new": "(sensitive value)", "since": 2,
       "sensitive": true}]', '... and what it did, masked');
SELECT is((SELECT approved_by FROM promote.deployment_history WHERE instance = 'shop-production-s1' AND deployment = 4),
    '{"test_cem (owner)","test_bob (release)"}', 'who approved it under which rule');
SELECT is(pg_temp.lines($$SELECT a ->> 'rule' AS r, a ->> 'actor' AS a, a ->> 'reason' AS w, (a ->> 'at')::timestamptz
        = v.created_at AS at FROM promote.deployment_history AS h, jsonb_array_elements(h.approvals) AS a
        JOIN promote.approval AS v ON v.actor = a ->> 'actor'
       WHERE h.instance = 'shop-production-s1' AND h.deployment = 4 ORDER BY 1$$),
    E'(owner,test_cem,,t)\n(release,test_bob,"looks good",t)', '... with what was said, and when');
SELECT is(pg_temp.lines($$SELECT overridden, o ->> 'code' AS c, o ->> 'message' AS m, o ->> 'actor' AS a,
        o ->> 'reason' AS r FROM promote.deployment_history AS h, jsonb_array_elements(h.overrides) AS o
       WHERE h.instance = 'shop-production-s1' AND h.deployment = 4$$),
    '({freeze},freeze,"freeze ""audit"" is on: the auditors are there",dot,"the auditors agree")',
    'what was overridden, by whom and why');
SELECT is(pg_temp.lines($$SELECT h.created_at = d.created_at AS c, h.queued_at = d.queued_at AS q, h.approved_at =
        (SELECT max(a.created_at) FROM promote.approval AS a) AS a, h.started_at = d.started_at AS s,
        h.finished_at = d.finished_at AS f, h.duration = d.finished_at - d.started_at AS d, h.worker
        FROM promote.deployment_history AS h JOIN promote.deployment AS d USING (project, environment, component,
            deployment) WHERE h.instance = 'shop-production-s1' AND h.deployment = 4$$), '(t,t,t,t,t,t,worker)',
    'when it was asked for, queued, approved, begun and done, how long that took, and who did it');
SELECT is(pg_temp.lines($$SELECT deployment, previous_revision AS p, revision, origin, source, request, ticket, outcome,
        approved_by FROM promote.deployment_history WHERE instance = 'shop-production-s2' ORDER BY 1$$),
    '(2,,1,edit,,,,COMPLETED,)
(4,1,2,promotion,shop-staging-s2,1,OPS-7,COMPLETED,)
(6,2,3,rollback,shop-production-s2,1,OPS-7,COMPLETED,)', 'what a request rolls back is of it, too');
SELECT is(pg_temp.lines($$SELECT deployment = $$ || :refused || $$ AS first, action, actor, message, approved_by,
        approvals, outcome, reason, queued_at IS NULL AS never, approved_at = queued_at AS at, duration >= '0' AS took
        FROM promote.deployment_history WHERE instance = 'shop-production-s3' AND deployment > 2 ORDER BY deployment$$),
    '(t,DECOMMISSION,fay,"nobody uses it",,,REJECTED,"somebody does",t,,)
(f,DECOMMISSION,fay,"really nobody",{gus},,COMPLETED,,f,t,t)', 'proposals: refused, and approved without a rule');
SELECT is((SELECT count(*) FROM promote.deployment_history WHERE action = 'PLAN'), 0::bigint, 'plans stand with them');
SELECT is((SELECT count(*) FROM promote.deployment_history),
    (SELECT count(*) FROM promote.deployment WHERE action <> 'PLAN'), 'all others are there once');
SELECT is(pg_temp.as_role('test_bob', $$SELECT count(*) FROM promote.deployment_history WHERE project = 'shop'$$),
    (SELECT count(*) FROM promote.deployment_history WHERE project = 'shop')::text, 'to whoever sees the project');
CREATE ROLE test_dan;
INSERT INTO promote.grants (role, action, project, environment) VALUES ('test_dan', 'view', 'shop', 'staging');
SELECT is(pg_temp.as_role('test_dan', $$SELECT count(*) FROM promote.deployment_history$$), '0',
    'and nothing of what one does not see');

SELECT * FROM finish();
ROLLBACK;
