-- What happened, in the order in which it did.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
\ir ../../fixtures/as_role.sql
\ir ../../fixtures/told_request.sql

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

-- ---- change_history ----
SELECT promote.rollback_instance('shop-production-s4', 1, message => 'back') \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.lines($$SELECT revision, origin, source, source_revision AS s, version, version_constraint AS c,
        changes, plan, plan_status, actor, moved_by, message FROM promote.change_history('shop')
       WHERE instance = 'shop-production-s2' ORDER BY at$$),
    '(1,edit,,,1.0.0,latest,5,1,COMPLETED,postgres,,)
(2,promotion,shop-staging-s2,1,1.0.0,latest,2,3,COMPLETED,ada,ada,"request 1: autumn sale")
(3,rollback,shop-production-s2,1,1.0.0,1.0.0,3,5,COMPLETED,ada,eve,"request 1: autumn sale")',
    'changes of every origin, with what they would do, who made them, and why');
SELECT is((SELECT count(*) FROM promote.change_history('shop')), (SELECT count(*) FROM promote.revision
    WHERE project = 'shop'), 'all of a project, and no other''s');
SELECT set_eq($$SELECT instance, revision, diff, plan, overridden, message FROM promote.change_history('shop')
                 WHERE origin = 'promotion'$$,
    $$SELECT destination, revision, diff, plan, overridden, message FROM promote.promotion_history
       WHERE project = 'shop'$$, 'promotions are those of promotion_history');
SELECT created_at AS at, revision FROM promote.revision WHERE project = 'shop' AND component = 's5'
   AND environment = 'production' \gset
SELECT is(pg_temp.lines(format($$SELECT instance, revision FROM promote.change_history('shop', %L, %L) ORDER BY at$$,
        since, until)), expected, what)
  FROM (VALUES (:'at'::timestamptz, :'at'::timestamptz + interval '1 us', '(shop-production-s5,1)', 'since is in'),
               (:'at'::timestamptz, :'at'::timestamptz, NULL, 'and until is not'),
               (:'at'::timestamptz - interval '1 us', :'at'::timestamptz, NULL, '...'),
               (NULL, '-infinity', NULL, 'nothing was before time began')) AS v (since, until, expected, what);
SELECT is((SELECT count(*) FROM promote.change_history('shop', :'at') ) + (SELECT count(*)
    FROM promote.change_history('shop', until => :'at')), (SELECT count(*) FROM promote.change_history('shop')),
    'spans of time leave nothing out, and have nothing twice');
SELECT pg_temp.refuses(format('SELECT * FROM promote.change_history(%s)', a), state, detail, a) FROM (VALUES
    ($$NULL$$, 'PM404', 'null or empty'), ($$'  '$$, 'PM404', 'null or empty'), ($$'nobody'$$, 'PM002', 'registered'),
    ($$'shop', 'infinity', '-infinity'$$, 'PM404', 'before')) AS v (a, state, detail);
SELECT is(pg_temp.as_role('test_dan', format('SELECT string_agg(DISTINCT environment, '','') FROM %s', f)), said, f)
  FROM (VALUES ($$promote.change_history('shop')$$, 'staging'), ($$promote.change_history('ecomm')$$,
      'PM701: Role "test_dan" has no grant "view" for anything of project "ecomm".')) AS v (f, said);

-- ---- instance_timeline ----
SELECT is(pg_temp.lines($$SELECT actor, what, text FROM promote.instance_timeline('shop-production-s1')
       WHERE what !~ 'previewed|blocked|advanced'$$),
    '(postgres,instance.inserted,registered)
(postgres,revision.created,"revision 1: edit")
(postgres,deployment.created,"PLAN 1 queued: revision 1, service 1.0.0")
(postgres,deployment.started,"deployment 1 started by worker worker")
(postgres,deployment.completed,"deployment 1 completed")
(postgres,deployment.created,"PROVISION 2 queued: revision 1, service 1.0.0, by plan 1")
(postgres,gates.judged,"gates judged for deployment 2")
(postgres,deployment.started,"deployment 2 started by worker worker")
(postgres,deployment.completed,"deployment 2 completed")
(ada,request.opened,"request 1: opened: staging to production, 2 components, all_at_once")
(ada,request.started,"request 1: started")
(ada,revision.created,"revision 2: promotion from staging revision 1: request 1: autumn sale")
(ada,deployment.created,"PLAN 3 queued: revision 2, service 1.0.0")
(ada,deployment.started,"deployment 3 started by worker worker")
(ada,deployment.completed,"deployment 3 completed")
(test_bob,approval.given,"deployment 3 approved under rule release: looks good")
(test_cem,approval.given,"deployment 3 approved under rule owner")
(dot,gate.overridden,"gate freeze overridden for deployment 3: the auditors agree")
(eve,deployment.created,"PROVISION 4 queued: revision 2, service 1.0.0, by plan 3: request 1: autumn sale")
(eve,gates.judged,"gates judged for deployment 4")
(eve,deployment.started,"deployment 4 started by worker worker")
(eve,deployment.failed,"deployment 4 failed: broken")
(eve,revision.created,"revision 3: rollback from production revision 1: request 1: autumn sale")
(eve,deployment.created,"PLAN 5 queued: revision 3, service 1.0.0")
(eve,request.rolling_back,"request 1: rolling back: ""shop-production-s1"": deployment 4 is FAILED: broken")
(eve,deployment.started,"deployment 5 started by worker worker")
(eve,deployment.completed,"deployment 5 completed")',
    'all that happened to an instance, and to the request that it is in');
SELECT set_eq($$SELECT at, actor, database_role, what, facts, subject, seq
                  FROM promote.instance_timeline('shop-production-s6')$$,
    $$SELECT at, actor, database_role, event, data, subject, seq FROM promote.audit_log
       WHERE subject IN ('shop-production-s6', 'instance shop/production/s6')$$,
    'an instance of no request: its chains');
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'seen', 'postgres');
INSERT INTO promote.instance (project, environment, component) VALUES ('shop', 'production', 'seen');
SELECT promote.configure_instance('shop-production-seen', '{"size": "small", "password": "hush-9"}', '1.0.0'),
       pg_temp.work_all(), promote.deploy_instance('shop-production-seen'), pg_temp.work_all() \g /dev/null
SELECT promote.report_observed('shop-production-seen', '{"size": "large", "password": "hush-8"}', 'scan'),
       promote.report_health('shop-production-seen', 'smoke', false, 'hush-7') \g /dev/null
SELECT is(pg_temp.lines($$SELECT what, text FROM promote.instance_timeline('shop-production-seen')
       WHERE what ~ 'drift|health'$$), '(drift.reported,"2 differences observed by scan")
(health.reported,"check smoke of revision 1: healthy no")', 'what was observed');
SELECT is_empty($$SELECT text, facts FROM promote.instance_timeline('shop-production-seen') AS t
                   WHERE t::text ~ 'hush|small|large'$$, 'nothing has a value');
SELECT is_empty($$SELECT event FROM promote.deployment_steps() AS s
                   WHERE promote_internal.event_text(s.event, '{}') = s.event$$, 'all steps have words');
SELECT is(promote_internal.event_text(event, facts::jsonb), said, coalesce(said, event)) FROM (VALUES
    ('approval.refused', '{"deployment": 3, "rule": "r", "reason": "no"}', 'deployment 3 refused under rule r: no'),
    ('audit.checkpoint', '{"rows": 7}', '7 earlier events were pruned'),
    ('deployment.lost', '{"deployment": 3, "worker": "w"}', 'deployment 3 lost its worker w'),
    ('deployment.released', '{"deployment": 3, "worker": "w"}', 'deployment 3 given back by worker w'),
    ('drift.adopted', '{"revision": 4}', 'drift adopted as revision 4'),
    ('drift.dismissed', '{"path": ".a", "reason": "so"}', 'drift dismissed at .a: so'),
    ('health.reported', '{"check": "c", "healthy": true}', 'check c: healthy yes'),
    ('idempotency_key.deleted', '{}', 'idempotency keys forgotten'),
    ('idempotency_key.inserted', '{}', 'idempotency key noted'),
    ('instance.archived', '{}', 'archived'), ('instance.deleted', '{}', 'removed'),
    ('instance.opened', '{"generation": 2, "forked_from": "e"}', 'opened as generation 2, forked from e'),
    ('instance.updated', '{}', 'registered anew'),
    ('override.reviewed', '{"code": "c", "deployment": 3, "review": ""}',
     'override of gate c for deployment 3 reviewed'),
    ('plan.joined', '{"deployment": 3}', 'plan 3 to be deployed, too'),
    ('plan.not_deployed', '{"deployment": 3}', 'plan 3 not deployed'),
    ('plan.recorded', '{"deployment": 3}', 'plan 3 recorded'),
    ('reference.removed', '{"field": "f"}', 'remote reference f removed'),
    ('reference.set', '{"field": "f"}', 'remote reference f set'),
    ('references.copied', '{"source": "s"}', 'remote references copied from s'),
    ('request.cancelled', '{"reason": "r"}', 'cancelled: r'), ('request.completed', '{}', 'completed'),
    ('request.failed', '{"wave": 2, "reason": null}', 'failed in wave 2'), ('request.paused', '{}', 'paused'),
    ('request.resumed', '{}', 'resumed'), ('request.rolled_back', '{}', 'rolled back'),
    ('request.skipped', '{}', 'skipped: there was nothing to do'),
    ('rollback.rehearsed', '{"to_revision": 1}', 'rollback to revision 1 rehearsed'),
    ('secret.removed', '{"secret": "s"}', 'secret s removed'), ('secret.set', '{"secret": "s"}', 'secret s set'),
    ('secrets.copied', '{"source": "e", "secrets": ["a", "b"]}', 'secrets copied from e: a, b'),
    ('secrets.read', '{"deployment": 3, "secrets": []}', 'secrets read for deployment 3'),
    ('secrets.rotated', '{}', 'secrets sealed anew'),
    ('drift.dismissed', '{"reason": "a\u001b[31m", "path": ["x", {}]}', 'drift dismissed at x, : a?[31m'),
    (E'a.{b}\x1b', '{"b": 1}', 'a.{b}?'), ('revision.created', '[]', 'revision.created')
    ) AS v (event, facts, said);
SELECT at AS first FROM promote.instance_timeline('shop-production-s1') LIMIT 1 \gset
SELECT is((SELECT count(*) FROM promote.instance_timeline('shop-production-s1', :'first')), (SELECT count(*)
    FROM promote.instance_timeline('shop-production-s1')), 'since is in');
SELECT is_empty(format($$SELECT * FROM promote.instance_timeline('shop-production-s1', until => %L)$$, :'first'),
    'until is not');
SELECT pg_temp.refuses(format('SELECT * FROM promote.instance_timeline(%s)', a), state, detail, a) FROM (VALUES
    ('NULL', 'PM001', ''), ($$'x'$$, 'PM001', 'three parts'), ($$'shop-nowhere-s1'$$, 'PM002', 'environment'),
    ($$'shop-production-s1', 'infinity', '-infinity'$$, 'PM404', 'before')) AS v (a, state, detail);
SELECT is(pg_temp.as_role('test_dan', $$SELECT count(*) FROM promote.instance_timeline('shop-production-s1')$$),
    'PM701: Role "test_dan" has no grant "view" for environment "production" of project "shop".', 'refused');
INSERT INTO promote.grants (role, action, project) VALUES ('test_dan', 'audit', 'shop');
SELECT is(pg_temp.as_role('test_dan', $$SELECT count(*) FROM promote.instance_timeline('shop-production-s1')$$),
    (SELECT count(*)::text FROM promote.instance_timeline('shop-production-s1')), 'auditors see it');

SELECT * FROM finish();
ROLLBACK;
