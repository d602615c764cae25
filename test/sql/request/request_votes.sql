-- Voting for a request as a whole, and what waits for one's vote.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql

CREATE ROLE test_owner;
CREATE ROLE test_dba;
CREATE ROLE test_all;
CREATE ROLE test_olga LOGIN IN ROLE test_owner, test_all; -- opens and moves
CREATE ROLE test_ann LOGIN IN ROLE test_owner, test_all;
CREATE ROLE test_bob LOGIN IN ROLE test_dba, test_all;
CREATE ROLE test_eve LOGIN IN ROLE test_all; -- of no group
CREATE ROLE test_vic LOGIN IN ROLE test_dba; -- may look
CREATE ROLE test_stranger LOGIN;
INSERT INTO promote.grants (role, action, project) SELECT 'test_all', a, 'shop'
    FROM unnest('{view,promote,plan,deploy,approve,decommission}'::text[]) AS a;
INSERT INTO promote.grants (role, action, project) VALUES ('test_vic', 'view', 'shop');
INSERT INTO promote.approval_rule (project, environment, rule, role, requester_counts, component)
    VALUES ('shop', 'production', 'owner', 'test_owner', false, NULL), ('shop', 'production', 'dba', 'test_dba', true,
        's2');

\ir ../../fixtures/as_role.sql
CREATE FUNCTION pg_temp.votes(role text, request integer DEFAULT 1, message text DEFAULT NULL) RETURNS text
    LANGUAGE sql AS $$
    SELECT pg_temp.as_role(role,
        format($f$SELECT string_agg(concat_ws(' ', component, deployment, voted, code, reason), E'\n'
        ORDER BY component) FROM promote.approve_request('shop', %s, %L)$f$, request, message))
$$;
-- What waits for somebody.
CREATE FUNCTION pg_temp.inbox(role text) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.as_role(role, $f$SELECT string_agg(concat_ws(' ', component, deployment, action, rule, request), ', '
        ORDER BY component, deployment, rule) FROM promote.approval_inbox$f$)
$$;
CREATE FUNCTION pg_temp.runs(role text, statement text) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.as_role(role, 'SELECT (' || statement || ').status')
$$;

-- ---- a row for each item ----
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 's7', 'service');
INSERT INTO promote.instance (project, environment, component) VALUES ('shop', 'staging', 's7');
SELECT is(pg_temp.as_role('test_olga', $$SELECT request FROM promote.open_request('shop', 'staging', 'production',
    '{"components": ["s1", "s2", "s3", "s7"]}', 'waves', '[2]')$$), '1', 'a request');
SELECT is(pg_temp.votes('test_ann'), $$s1 f not_staged It is not staged yet.
s2 f not_staged It is not staged yet.
s3 f not_staged It is not staged yet.
s7 f skipped It is skipped: it has no instance in "production".$$, 'nothing to vote for before it begins');
SELECT is(pg_temp.inbox('test_ann'), NULL, 'nothing waits for anybody');
SELECT pg_temp.as_role('test_olga', $$SELECT count(*) FROM promote.preview_request('shop', 1)$$),
    pg_temp.as_role('test_olga', $$SELECT moved FROM promote.advance_request('shop', 1)$$) \g /dev/null
SELECT is(pg_temp.votes('test_ann'), $$s1 3 f not_planned Plan 3 is PENDING.
s2 3 f not_planned Plan 3 is PENDING.
s3 f not_staged It is not staged yet.
s7 f skipped It is skipped: it has no instance in "production".$$, '... nor before it is planned');
SELECT is(pg_temp.inbox('test_ann'), NULL, '... and nothing waits');
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.inbox('test_ann'), 's1 3 PLAN owner 1, s2 3 PLAN owner 1', 'planned: it waits for the owners');
SELECT is(pg_temp.inbox('test_bob'), 's2 3 PLAN dba 1', '... and for the others what is theirs');
SELECT is(pg_temp.inbox('test_olga'), NULL, 'not for who has asked for it');
SELECT is(pg_temp.inbox('test_eve'), NULL, '... nor for who is in no group');
SELECT is(pg_temp.inbox('test_vic'), NULL, '... nor for who is, and may not approve');
SELECT is(pg_temp.as_role('test_stranger', 'SELECT count(*) FROM promote.approval_inbox'), '42501: ',
    'who has no grant does not even ask');
SELECT is(pg_temp.as_role('test_ann', $$SELECT string_agg(concat_ws(' ', instance, revision, version, destructive, role,
    quorum, given, missing, actor, message, since = (SELECT finished_at FROM promote.deployment AS d
    WHERE d.environment = 'production' AND d.component = 's1' AND d.deployment = 3)), ', ')
    FROM promote.approval_inbox WHERE component = 's1'$$),
    'shop-production-s1 2 1.0.0 f test_owner 1 0 1 test_olga request 1 t', 'with what there is to know of it');
SELECT is(pg_temp.votes('test_vic'), 'PM701: Role "test_vic" has no grant "approve" for environment "production" of '
    'project "shop".', 'who may not approve does not approve it all');
SELECT is(pg_temp.votes('test_stranger') ~ '^42501', true, 'a stranger even less');
SELECT is(pg_temp.votes('test_olga'),
    $$s1 3 f requester Rule "owner" does not count who has asked for it, as "test_olga" has.
s2 3 f not_member Rule "dba" asks for role "test_dba", which "test_olga" is no member of.
Rule "owner" does not count who has asked for it, as "test_olga" has.
s3 f not_staged It is not staged yet.
s7 f skipped It is skipped: it has no instance in "production".$$, 'whoever has asked for it has no vote, and is told');
SELECT is((SELECT count(*) FROM promote.approval), 0::bigint, 'nothing was recorded');
SELECT is(pg_temp.votes('test_ann', message => 'read it'), $$s1 3 t
s2 3 t not_member Rule "dba" asks for role "test_dba", which "test_ann" is no member of.
s3 f not_staged It is not staged yet.
s7 f skipped It is skipped: it has no instance in "production".$$, 'one call votes for what there is');
SELECT is(pg_temp.lines('SELECT component, deployment, rule, decision, reason, actor FROM promote.approval ORDER BY '
    'component'),
    E'(s1,3,owner,approved,"read it",test_ann)\n(s2,3,owner,approved,"read it",test_ann)', '... with the message');
SELECT is((SELECT string_agg(actor, ' ') FROM promote.audit_log WHERE event = 'approval.given'), 'test_ann test_ann',
    '... and in the audit log');
SELECT is(pg_temp.votes('test_ann'), $$s1 3 t voted By rule "owner" "test_ann" has approved it already, by vote 1.
s2 3 t not_member Rule "dba" asks for role "test_dba", which "test_ann" is no member of.
By rule "owner" "test_ann" has approved it already, by vote 1.
s3 f not_staged It is not staged yet.
s7 f skipped It is skipped: it has no instance in "production".$$, 'once more is the same');
SELECT is((SELECT count(*) FROM promote.approval), 2::bigint, '... and recorded once');
SELECT is(pg_temp.inbox('test_ann'), NULL, 'what one has voted for does not wait any more');
SELECT is(pg_temp.inbox('test_bob'), 's2 3 PLAN dba 1', 'what waits for others does');
SELECT is(pg_temp.votes('test_eve') ~ '^s1 3 f not_member', true, 'who is in no group has no vote');
SELECT is(pg_temp.votes('test_bob'),
    $$s1 3 f not_member Rule "owner" asks for role "test_owner", which "test_bob" is no member of.
s2 3 t not_member Rule "owner" asks for role "test_owner", which "test_bob" is no member of.
s3 f not_staged It is not staged yet.
s7 f skipped It is skipped: it has no instance in "production".$$, 'the others vote for theirs');
SELECT is(pg_temp.inbox('test_bob'), NULL, 'and nothing waits for them');

-- ---- what is over waits for nobody ----
SELECT is(pg_temp.as_role('test_bob', $$SELECT status
    FROM promote.reject_deployment('shop-production-s2', 3, 'not now')$$),
    'COMPLETED', 'rejected after all');
SELECT is(pg_temp.inbox('test_ann'), NULL, 'what is rejected waits for who has rejected it');
SELECT is(pg_temp.as_role('test_bob', $$SELECT status FROM promote.approve_deployment('shop-production-s2', 3)$$),
    'COMPLETED', '... to change their mind');
SELECT is(pg_temp.as_role('test_olga', $$SELECT concat_ws(' ', status, moved)
    FROM promote.advance_request('shop', 1)$$),
    'RUNNING 2', 'it is deployed');
SELECT is(pg_temp.votes('test_ann') ~ '^s1 3 f not_waiting It waits for no approval: it is DEPLOYING[.]', true,
    'what is queued waits for no vote');
INSERT INTO promote.approval_rule (project, environment, rule, role)
    VALUES ('shop', 'production', 'late', 'test_owner');
SELECT is(pg_temp.inbox('test_ann'), NULL, '... by no rule that comes late');
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.inbox('test_ann'), NULL, '... nor when it runs');
SELECT (promote.plan_instance('shop-production-s1')).deployment AS again \gset
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.inbox('test_ann'), NULL, '... nor does another plan of what runs');
DELETE FROM promote.approval_rule WHERE rule = 'late';
SELECT is(pg_temp.as_role('test_olga', $$SELECT concat_ws(' ', status, moved)
    FROM promote.advance_request('shop', 1)$$),
    'RUNNING 5', 'the next wave');
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.inbox('test_ann'), 's3 3 PLAN owner 1', '... waits');
SELECT promote.configure_instance('shop-production-s3', '{"size": 9}', plan => false) \g /dev/null
SELECT is(pg_temp.inbox('test_ann'), NULL, 'a plan of what is not desired any more does not');
SELECT is(pg_temp.votes('test_ann') ~
    's3 3 f preview_moved Revision 3 was staged there since, behind the request''s revision 2[.]',
    true, '... nor is it voted for');
SELECT promote.rollback_instance('shop-production-s3', 1) \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT pg_temp.as_role('test_olga', $$SELECT count(*) FROM promote.preview_request('shop', 1)$$),
    pg_temp.as_role('test_olga', $$SELECT moved FROM promote.advance_request('shop', 1)$$) \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT matches(pg_temp.inbox('test_ann'), '^s3 \d+ PLAN owner 1$', 'what was staged and planned again does');
SELECT is(pg_temp.as_role('test_olga', $$SELECT status FROM promote.cancel_request('shop', 1, 'enough')$$), 'CANCELLED',
    'cancelled');
SELECT is(pg_temp.votes('test_ann') ~ 's3 \d+ f over Request 1 is CANCELLED[.]', true,
    'nothing of it is voted for any more');

-- ---- what belongs to no request, and proposals ----
SELECT (promote.configure_instance('shop-production-s4', '{"size": 44}')).deployment AS plan \gset
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.inbox('test_ann') ~ format('s4 %s PLAN owner( |,|$)', :plan), true, 'a plan of no request');
SELECT (promote.propose_deployment('shop-production-s4', 'PROVISION', :plan)).deployment AS proposal \gset
SELECT is(pg_temp.inbox('test_ann') ~ format('s4 %s PROVISION owner', :proposal), true, 'a proposal');
SELECT is((SELECT count(*) FROM promote.open_votes('shop-production-s4', :proposal)), 0::bigint,
    'it is not for a superuser, who is in no group');
SELECT is(pg_temp.as_role('test_ann', format('SELECT concat_ws('' '', rule, role, quorum, given, missing) FROM '
    'promote.open_votes(''shop-production-s4'', %s)', :proposal)), 'owner test_owner 1 0 1', 'what one may vote by');
SELECT is(pg_temp.runs('test_ann', format('promote.approve_deployment(''shop-production-s4'', %s)', :proposal)),
    'APPROVED',
    'approved');
SELECT is(COALESCE(pg_temp.inbox('test_ann'), '') ~ 's4', false, 'and neither waits any more');
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.runs('test_ann', format('promote.approve_deployment(''shop-production-s4'', %s)', :proposal)),
    'COMPLETED',
    'approved once more, when it is over: nothing more happens');
SELECT is(pg_temp.runs('test_olga', format('promote.approve_deployment(''shop-production-s4'', %s)',
    :proposal)) ~ '^PM501', true,
    'by another it is refused');
DELETE FROM promote.approval_rule;
SELECT is(pg_temp.inbox('test_ann'), NULL, 'without rules plans wait for nobody');
SELECT (promote.propose_deployment('shop-production-s4', 'DECOMMISSION')).deployment AS proposal \gset
SELECT is(pg_temp.inbox('test_eve'), format('s4 %s DECOMMISSION', :proposal),
    'a proposal waits for whoever may approve');
SELECT is(pg_temp.inbox('test_vic'), NULL, '... and for nobody else');
UPDATE promote.environment SET separation_of_duty = true WHERE project = 'shop' AND environment = 'production';
SELECT is(pg_temp.runs('test_eve', $$promote.propose_deployment('shop-production-s1', 'DECOMMISSION')$$), 'PROPOSED',
    'one''s own');
SELECT is(pg_temp.inbox('test_eve'), format('s4 %s DECOMMISSION', :proposal),
    '... waits for others, where duties are separated');
SELECT is(pg_temp.inbox('test_ann') ~ 's1 \d+ DECOMMISSION', true, '... that is, for them');
SELECT is(pg_temp.runs('test_ann', $$promote.propose_deployment('shop-production-s2', 'PLAN')$$), 'PROPOSED', 'a plan');
SELECT is(pg_temp.inbox('test_ann') ~ 's2 \d+ PLAN', true, '... may be approved by who proposes it');

SELECT * FROM finish();
ROLLBACK;
