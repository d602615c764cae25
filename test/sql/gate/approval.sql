-- Approvals: rules, votes, and what counts when something is deployed.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
\ir ../../fixtures/plan.sql

-- Groups, and people who are members of them: directly, through another group, or not at all.
CREATE ROLE test_dba;
CREATE ROLE test_senior_dba IN ROLE test_dba;
CREATE ROLE test_owner;
CREATE ROLE test_ann LOGIN IN ROLE test_dba;
CREATE ROLE test_bob LOGIN IN ROLE test_senior_dba;
CREATE ROLE test_carol LOGIN IN ROLE test_dba, test_owner;
CREATE ROLE test_dave LOGIN;
CREATE ROLE test_super SUPERUSER LOGIN;
CREATE ROLE test_service LOGIN IN ROLE test_owner;
-- What rules ask for comes on top of what is granted to everybody here.
CREATE ROLE test_everybody ROLE test_dba, test_senior_dba, test_owner, test_ann, test_bob, test_carol, test_dave,
    test_service;
INSERT INTO promote.grants (role, action, project) SELECT 'test_everybody', a, 'ecomm'
    FROM unnest('{approve,override,plan,deploy,decommission}'::text[]) AS a;

-- Runs a statement as a database role, for an actor if one is named, and returns its one value, or how it was refused.
CREATE FUNCTION pg_temp.as_role(role text, statement text, actor text DEFAULT '') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
    detail text;
BEGIN
    PERFORM set_config('role', role, true), set_config('promote.actor', actor, true);
    EXECUTE statement INTO result;
    PERFORM set_config('role', 'none', true), set_config('promote.actor', '', true);
    RETURN result;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN SQLSTATE || ': ' || detail;
END
$$;
CREATE FUNCTION pg_temp.approve(role text, deployment integer, instance text DEFAULT 'ecomm-production-db',
    actor text DEFAULT '') RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.as_role(role, format('SELECT status FROM promote.approve_deployment(%L, %s, ''fine'')', instance,
        deployment), actor)
$$;
CREATE FUNCTION pg_temp.reject(role text, deployment integer, reason text DEFAULT 'too big') RETURNS text
    LANGUAGE sql AS $$
    SELECT pg_temp.as_role(role, format('SELECT status FROM promote.reject_deployment(%L, %s, %L)',
        'ecomm-production-db', deployment, reason))
$$;
-- The reasons of people, a line each.
CREATE FUNCTION pg_temp.blocked(deployment integer, at timestamptz DEFAULT now()) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s: %s (%s)', code, message, liftable_by), E'\n')
        FROM promote.blockers('ecomm-production-db', deployment, at) WHERE code IN ('approval', 'rejected')
$$;
CREATE FUNCTION pg_temp.rule(rule text, role text, quorum integer DEFAULT 1) RETURNS void LANGUAGE sql AS $$
    INSERT INTO promote.approval_rule (project, environment, rule, role, quorum)
        VALUES ('ecomm', 'production', rule, role, quorum)
$$;

-- ---- what can be a vote ----
SELECT pg_temp.refuses($$SELECT promote_internal.check_vote(1, 'perhaps', NULL)$$, 'PM404',
    'It is approved or rejected.',
    'a decision is one of two');
SELECT pg_temp.refuses($$SELECT promote_internal.check_vote(1, 'rejected', '')$$, 'PM404', 'It has no reason.',
    'who rejects says why');
SELECT is(ARRAY[promote_internal.check_vote(1, 'rejected', 'no'), promote_internal.check_vote(1, 'approved', NULL),
    promote_internal.check_vote(0, 'approved', NULL)], ARRAY[true, true, false], 'votes count from 1');

-- ---- rules ----
-- Warnings are in test/specs/approval_vs_deployment.spec.
CREATE FUNCTION pg_temp.warned(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    SET LOCAL client_min_messages = 'error';
    EXECUTE statement;
    RESET client_min_messages;
    RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END
$$;
SELECT is(pg_temp.warned(format('INSERT INTO promote.approval_rule (project, environment, rule, role, %s) VALUES '
    '(''ecomm'', ''production'', ''r'', ''test_dba'', %s)', c, v)), CASE c WHEN 'selector' THEN 'PM101' ELSE 'PM404'
    END, c || ' ' || v)
  FROM (VALUES ('quorum', '0'), ('quorum', '-1'), ('expires_after', '''0'''), ('expires_after', '''-1 day'''),
      ('expires_after', '''101 years'''), ('selector', '''[]''')) AS v(c, v);
SELECT is(pg_temp.warned($$INSERT INTO promote.approval_rule (project, environment, rule, role)
    VALUES ('ecomm', 'production', '', 'test_dba')$$), 'PM404', 'a rule without a name');
SELECT is(pg_temp.warned($$INSERT INTO promote.approval_rule (project, environment, rule, role)
    VALUES ('ecomm', 'production', 'r', '')$$), 'PM404', 'a rule without a role');
SELECT is(pg_temp.warned($$INSERT INTO promote.approval_rule (project, environment, rule, role)
    VALUES ('ecomm', 'nowhere', 'r', 'test_dba')$$), '23503', 'an unknown environment');
SELECT is(pg_temp.warned($$INSERT INTO promote.approval_rule (project, environment, rule, role, component)
    VALUES ('ecomm', 'production', 'r', 'test_dba', 'nothing')$$), '23503', 'an unknown component');
SELECT is(pg_temp.warned($$INSERT INTO promote.approval_rule (project, environment, rule, role, quorum)
    VALUES ('ecomm', 'staging', 'unknown', 'test_nobody', 1)$$), 'accepted',
    'a role that is not there is warned of, for a dump may come before it');
SELECT throws_ok($$CREATE TRIGGER t BEFORE UPDATE ON promote.project FOR EACH ROW EXECUTE FUNCTION
    promote_internal.check_approval_rule(); UPDATE promote.project SET project = project$$, '39P01', NULL,
    'the check is not for other tables');
DELETE FROM promote.approval_rule;

-- ---- votes on a plan ----
SET LOCAL promote.actor = 'ada';
SELECT pg_temp.planned('ecomm-production-db', '[["a.b", ["create"], null, {"x": 1}]]') AS plan \gset
SELECT is(pg_temp.blocked(:plan), NULL, 'without rules nobody is asked');
SELECT is(pg_temp.approve('test_ann', :plan), 'PM603: No rule of environment "production" asks for approvals of it.',
    '... and nobody has a vote');
SELECT is(pg_temp.lines($$SELECT * FROM promote.required_approvals('ecomm-production-db')$$), NULL,
    '... nor is there anything to show');
SELECT pg_temp.rule('dba', 'test_dba', 2), pg_temp.rule('owner', 'test_owner');
SELECT is(pg_temp.blocked(:plan),
    E'approval: rule "dba" asks for 2 of role "test_dba": 0 given (role test_dba)\napproval: rule "owner" asks for 1 '
    'of role "test_owner": 0 given (role test_owner)', 'all rules have to be met');
SELECT is(pg_temp.lines(format($$SELECT code, since = (SELECT finished_at FROM promote.deployment
    WHERE environment = 'production' AND deployment = %1$s), until, overridable
    FROM promote.blockers('ecomm-production-db', %1$s)$$, :plan)),
    E'(approval,t,,f)\n(approval,t,,f)', 'since it was planned');
SELECT is(pg_temp.as_role('test_ann', format('SELECT (promote.deploy_instance(''ecomm-production-db'', %s)).status',
    :plan)),
    E'PM601: approval: rule "dba" asks for 2 of role "test_dba": 0 given (role test_dba)\napproval: rule "owner" asks '
        'for 1 of role "test_owner": 0 given (role test_owner)', 'deploying is refused');
SELECT is(pg_temp.approve('test_ann', :plan), 'COMPLETED', 'a member approves; the plan stays what it is');
SELECT is(pg_temp.lines(format($$SELECT vote, rule, decision, reason, actor, database_role, deployment = %s,
    plan_digest = (SELECT plan_digest FROM promote.deployment d WHERE d.environment = 'production'
    AND d.deployment = %1$s) FROM promote.approval$$, :plan)),
    '(1,dba,approved,fine,test_ann,test_ann,t,t)', '... under the rule that asks for the role');
SELECT is(pg_temp.lines($$SELECT event, actor, database_role, data - 'created_at' - 'plan_digest' FROM promote.audit_log
    WHERE event ~ '^approval[.]'$$),
    format('(approval.given,test_ann,test_ann,"{""rule"": ""dba"", ""vote"": 1, ""actor"": ""test_ann"", ""reason"": '
        '""fine"", ""decision"": ""approved"", ""deployment"": %s, ""database_role"": ""test_ann""}")', :plan),
    '... and in the audit log');
SELECT is(pg_temp.approve('test_ann', :plan), 'COMPLETED', 'approving twice is approving once');
SELECT is((SELECT count(*) FROM promote.approval), 1::bigint, '... and recorded once');
SELECT is((SELECT count(*) FROM promote.audit_log WHERE event ~ '^approval[.]'), 1::bigint,
    '... in the audit log, too');
SELECT is(pg_temp.approve('test_ann', :plan,
    actor => 'zoe') ~ '^PM703: The setting promote.actor names another than "test_ann"', true, '... by another name');
SELECT is(pg_temp.approve('test_dave', :plan),
    E'PM603: Rule "dba" asks for role "test_dba", which "test_dave" is no member of.\nRule "owner" asks for role '
    '"test_owner", which "test_dave" is no member of.', 'who has none of the roles has no vote');
SELECT is(pg_temp.approve('test_dave', :plan, actor => 'test_ann') ~ '^PM703', true, '... in no name');
SELECT is(pg_temp.approve('test_super', :plan) ~ '^PM603', true, 'nor is a superuser a member of everything');
SELECT is(pg_temp.approve('test_bob', :plan, actor => 'test_ann') ~ '^PM703', true, 'nor in that of somebody who has');
SELECT is(pg_temp.approve('test_bob', :plan), 'COMPLETED', 'a member through another role');
SELECT is(pg_temp.blocked(:plan), 'approval: rule "owner" asks for 1 of role "test_owner": 0 given (role test_owner)',
    'one rule is met');
SELECT is(pg_temp.approve('test_carol', :plan), 'COMPLETED', 'one who has both roles');
SELECT is(pg_temp.lines($$SELECT vote, rule FROM promote.approval WHERE actor = 'test_carol' ORDER BY vote$$),
    E'(3,dba)\n(4,owner)', '... votes under both rules');
SELECT is(pg_temp.blocked(:plan), NULL, 'all are met');
SELECT is(pg_temp.lines($$SELECT instance, rule, role, quorum, given, missing, approved_by, rejected_by, not_counted
    FROM promote.approval_status$$),
    E'(ecomm-production-db,dba,test_dba,2,3,0,"{test_ann,test_bob,test_carol}",{},{})\n'
        '(ecomm-production-db,owner,test_owner,1,1,0,{test_carol},{},{})', 'the status');

-- ---- judged at the moment of use ----
SAVEPOINT use;
REVOKE test_dba FROM test_senior_dba;
SELECT is(pg_temp.blocked(:plan), NULL, 'two are left');
REVOKE test_dba FROM test_carol;
SELECT is(pg_temp.blocked(:plan),
    E'approval: rule "dba" asks for 2 of role "test_dba": 1 given, by test_ann; that of test_bob does not count: role '
    '"test_bob" is no member of "test_dba" any more; that of test_carol does not count: role "test_carol" is no member '
    'of "test_dba" any more (role test_dba)',
    'who has left the role does not count');
SELECT is(pg_temp.lines($$SELECT given, missing, approved_by, not_counted FROM promote.approval_status
    WHERE rule = 'dba'$$),
    '(1,1,{test_ann},"{""test_bob: role \\""test_bob\\"" is no member of \\""test_dba\\"" any more"",""test_carol: '
        'role \\""test_carol\\"" is no member of \\""test_dba\\"" any more""}")', '... as the status says');
SELECT is(pg_temp.as_role('none', format('SELECT (promote.deploy_instance(''ecomm-production-db'', %s)).status',
    :plan)) ~ '^PM601: approval: rule "dba"', true, 'nor can it be deployed');
ROLLBACK TO use;
REASSIGN OWNED BY test_bob TO CURRENT_USER;
DROP OWNED BY test_bob;
DROP ROLE test_bob;
UPDATE promote.approval_rule SET quorum = 3 WHERE rule = 'dba';
SELECT is(pg_temp.blocked(:plan),
    'approval: rule "dba" asks for 3 of role "test_dba": 2 given, by test_ann, test_carol; that of test_bob does not '
    'count: role "test_bob" does not exist any more (role test_dba)', 'nor does who is gone');
ROLLBACK TO use;
SELECT pg_temp.rule('new', 'test_owner');
SELECT is(pg_temp.blocked(:plan), 'approval: rule "new" asks for 1 of role "test_owner": 0 given (role test_owner)',
    'a rule that is added asks for votes of its own');
DELETE FROM promote.approval_rule;
SELECT is(pg_temp.blocked(:plan), NULL, 'one that is gone asks for nothing');
ROLLBACK TO use;
DROP ROLE test_service;
REVOKE test_owner FROM test_carol;
DROP ROLE test_owner;
SELECT is(pg_temp.blocked(:plan),
    'approval: rule "owner" asks for 1 of role "test_owner": 0 given; that of test_carol does not count: role '
    '"test_carol" is no member of "test_owner" any more; there is no role "test_owner" (role test_owner)',
    'a role that is gone has no members');
ROLLBACK TO use;
UPDATE promote.approval_rule SET expires_after = '1 day' WHERE rule = 'owner';
SELECT is(pg_temp.blocked(:plan), NULL, 'before an approval expires');
SELECT matches(pg_temp.blocked(:plan, now() + '25 hours'), '0 given; that of test_carol does not count: it expired at',
    '... and once it has');
SELECT is(pg_temp.blocked(:plan, a.created_at + interval '1 day' + apart) IS NULL, apart < '0',
    'to the microsecond: ' || apart)
  FROM promote.approval AS a, unnest(ARRAY[interval '-1 microsecond', '0']) AS apart
 WHERE a.actor = 'test_carol' AND a.rule = 'owner';
UPDATE promote.approval_rule SET expires_after = '1 microsecond' WHERE rule = 'owner';
SELECT is(pg_temp.approve('test_carol', :plan), 'COMPLETED', 'what has expired can be given again');
SELECT is((SELECT count(*) FROM promote.approval WHERE actor = 'test_carol' AND rule = 'owner'), 2::bigint,
    '... and is another vote');
ROLLBACK TO use;

-- ---- the requester ----
UPDATE promote.approval_rule SET requester_counts = false WHERE rule = 'dba';
DO $$ BEGIN PERFORM set_config('promote.actor', 'test_ann', true);
    PERFORM promote.configure_instance('ecomm-production-db', '{"replicas": 2}'); END $$;
SET LOCAL promote.actor = 'ada';
SELECT pg_temp.planned('ecomm-production-db', '[["a.b", ["create"], null, {"x": 2}]]') AS plan2 \gset
SELECT is(pg_temp.approve('test_ann', :plan2),
    E'PM603: Rule "dba" does not count who has asked for it, as "test_ann" has.\nRule "owner" asks for role '
    '"test_owner", which "test_ann" is no member of.', 'one''s own');
UPDATE promote.approval_rule SET requester_counts = true WHERE rule = 'dba';
SELECT is(pg_temp.approve('test_ann', :plan2), 'COMPLETED', '... where it counts');
SELECT is(pg_temp.approve('test_bob', :plan2), 'COMPLETED', 'and another');
SELECT is(pg_temp.approve('test_service', :plan2), 'COMPLETED', 'and an owner');
SELECT is(pg_temp.blocked(:plan2), NULL, 'that is enough');
UPDATE promote.environment SET separation_of_duty = true WHERE environment = 'production' AND project = 'ecomm';
SELECT is(pg_temp.blocked(:plan2),
    'approval: rule "dba" asks for 2 of role "test_dba": 1 given, by test_bob; that of test_ann does not count: it is '
    'the requester''s own (role test_dba)', '... until duties are separated');
UPDATE promote.environment SET separation_of_duty = false WHERE environment = 'production' AND project = 'ecomm';

-- ---- the digest ----
SELECT is(pg_temp.blocked(:plan), NULL, 'another plan has its own approvals');
SELECT pg_temp.planned('ecomm-production-db', '[["a.b", ["create"], null, {"x": 2}]]') AS equal \gset
SELECT isnt(:equal, :plan2, 'another plan');
SELECT is(pg_temp.blocked(:equal), NULL, '... with an equal digest keeps the approvals');
SELECT is(pg_temp.approve('test_ann', :equal), 'COMPLETED', '... and those who gave them may do so again');
SELECT is((SELECT count(*) FROM promote.approval WHERE deployment = :equal), 0::bigint, '... but need not');
SELECT pg_temp.planned('ecomm-production-db', '[["a.b", ["create"], null, {"x": 3}]]') AS plan3 \gset
SELECT is(pg_temp.blocked(:plan3) ~ 'rule "dba" asks for 2 of role "test_dba": 0 given \(', true,
    'one with another digest has none');
SET LOCAL row_security = off;
SELECT throws_ok(format($$INSERT INTO promote.approval (project, environment, component, vote, deployment, plan_digest,
    rule, decision) VALUES ('ecomm', 'production', 'db', 99, %s, sha256('x'), 'dba', 'approved')$$, :plan), '23503',
    NULL, 'an approval is of a plan by its digest');
RESET row_security;
SELECT is(pg_temp.lines($$SELECT * FROM promote.required_approvals('ecomm-production-db')$$),
    pg_temp.lines(format($$SELECT * FROM promote.required_approvals('ecomm-production-db', %s)$$, :plan3)),
    'without a number it is what would be deployed');

-- ---- rejections ----
SELECT pg_temp.refuses(format($$SELECT promote.reject_deployment('ecomm-production-db', %s, '')$$, :plan3), 'PM404',
    'null or empty', 'a rejection without a reason');
SELECT is(pg_temp.reject('test_dave', :plan3) ~ '^PM603: Rule "dba" asks for role', true,
    'who has none of the roles cannot reject either');
SELECT is(pg_temp.reject('test_carol', :plan3), 'COMPLETED', 'who has may');
SELECT is(pg_temp.lines($$SELECT rule, decision, reason FROM promote.approval WHERE decision = 'rejected'
    ORDER BY vote$$), E'(dba,rejected,"too big")\n(owner,rejected,"too big")', '... under all their rules');
SELECT is(pg_temp.approve(r, :plan3), 'COMPLETED', r || ' approves')
    FROM unnest(ARRAY['test_ann', 'test_bob', 'test_service']) AS r;
SELECT is(pg_temp.blocked(:plan3), 'rejected: test_carol has rejected it: too big (test_carol)',
    'it blocks, once, whoever else approves');
SELECT is(pg_temp.reject('test_carol', :plan3, 'still'), 'COMPLETED', 'rejecting twice is rejecting once');
SELECT is((SELECT count(*) FROM promote.approval WHERE decision = 'rejected'), 2::bigint, '... under each rule');
SELECT is(pg_temp.lines($$SELECT rule, approved_by, rejected_by, not_counted FROM promote.approval_status$$),
    E'(dba,"{test_ann,test_bob}",{test_carol},{})\n(owner,{test_service},{test_carol},{})', 'the status says so');
SELECT is(pg_temp.blocked(:plan3, now() + '10 years') ~ 'rejected', true, 'a rejection does not expire');
SAVEPOINT lifted;
SELECT is(pg_temp.approve('test_carol', :plan3), 'COMPLETED', 'until the same person approves');
SELECT is(pg_temp.blocked(:plan3), NULL, '... it blocks');
SELECT is(pg_temp.reject('test_carol', :plan3, 'no, after all'), 'COMPLETED', 'and changes their mind again');
SELECT is(pg_temp.blocked(:plan3), 'rejected: test_carol has rejected it: no, after all (test_carol)',
    '... which blocks again');
ROLLBACK TO lifted;
REVOKE test_dba, test_owner FROM test_carol;
SELECT is(pg_temp.blocked(:plan3), NULL, 'or has none of the roles any more');
ROLLBACK TO lifted;
SELECT is((SELECT string_agg(format('%s %s %s', code, overridable, decommission), ', ') FROM promote.gates()
    WHERE kind = 'people'), 'approval t t, rejected f t', 'a rejection is never overridden');
SELECT is(pg_temp.approve('test_carol', :plan3), 'COMPLETED', 'it is taken back');
SELECT is(pg_temp.as_role('none', format('SELECT (promote.deploy_instance(''ecomm-production-db'', %s)).status',
    :plan3)), 'PENDING', 'it is deployed');
SELECT is((SELECT jsonb_agg(jsonb_build_object('rule', a -> 'rule', 'votes', (SELECT jsonb_agg(v - 'at' - 'vote')
    FROM jsonb_array_elements(a -> 'votes') AS v))) FROM promote.deployment,
    jsonb_array_elements(gates -> 'approvals') AS a WHERE environment = 'production' AND action = 'PROVISION'),
    '[{"rule": "dba", "votes": [{"actor": "test_ann", "database_role": "test_ann"}, {"actor": "test_bob", '
        '"database_role": "test_bob"}, {"actor": "test_carol", "database_role": "test_carol"}]}, {"rule": "owner", '
        '"votes": [{"actor": "test_service", "database_role": "test_service"}, {"actor": "test_carol", '
        '"database_role": "test_carol"}]}]', '... with who has approved it');
SELECT ok(pg_temp.work('ecomm-production-db') > 0, 'and carried out');

-- ---- overriding ----
DO $$ BEGIN PERFORM promote.configure_instance('ecomm-production-db', '{"replicas": 5}'); END $$;
SELECT pg_temp.planned('ecomm-production-db', '[["a.b", ["update"], {"x": 3}, {"x": 9}]]') AS urgent \gset
INSERT INTO promote.override_rule (project, environment, code, role)
    VALUES ('ecomm', 'production', 'approval', 'test_owner');
SELECT is(pg_temp.as_role('test_service',
    format($$SELECT (promote.override_gate('ecomm-production-db', %s, 'approval', 'it burns')).subjects$$, :urgent)),
    '{"dba: 2 of test_dba","owner: 1 of test_owner"}', 'missing approvals can be overridden where a rule says so');
SELECT is(pg_temp.blocked(:urgent), NULL, '... rule by rule');
SELECT pg_temp.rule('late', 'test_owner');
SELECT is(pg_temp.blocked(:urgent) ~ 'rule "late"', true, '... so that one that is added blocks');
DELETE FROM promote.approval_rule WHERE rule = 'late';

-- ---- proposals ----
DO $$ BEGIN PERFORM promote.configure_instance('ecomm-production-db', '{"replicas": 3}'); END $$;
SELECT pg_temp.planned('ecomm-production-db', '[["a.b", ["update"], {"x": 3}, {"x": 4}]]') AS plan4 \gset
SELECT (promote.propose_deployment('ecomm-production-db', 'PROVISION', :plan4)).deployment AS proposal \gset
SET LOCAL client_min_messages = 'warning';
SELECT matches(pg_temp.approve('test_dave', :proposal),
    '^PM601: approval: rule "dba" asks for 2 of role "test_dba": 0 given \(role test_dba\)\napproval: rule "owner"',
    'a proposal of which nothing is recorded is refused');
SELECT is(pg_temp.approve('test_ann', :proposal), 'PROPOSED', 'it stays one while others are asked');
SELECT is(pg_temp.approve('test_ann', :proposal), 'PROPOSED', 'approving twice is approving once');
SELECT is((SELECT count(*) FROM promote.approval WHERE deployment = :proposal), 1::bigint, '... and recorded once');
SELECT is(pg_temp.blocked(:plan4) ~ '1 given, by test_ann', true, 'the vote counts for the plan, too');
SELECT is(pg_temp.approve('test_bob', :plan4), 'COMPLETED', 'a vote on the plan');
SELECT is(pg_temp.blocked(:proposal),
    'approval: rule "owner" asks for 1 of role "test_owner": 0 given (role test_owner)', '... counts for the proposal');
SELECT is(pg_temp.approve('test_carol', :proposal), 'APPROVED', 'the last vote queues it');
SELECT is(pg_temp.lines(format($$SELECT status, approved_by, jsonb_array_length(gates -> 'approvals')
    FROM promote.deployment WHERE environment = 'production' AND deployment = %s$$, :proposal)),
    '(APPROVED,test_carol,2)', 'with how it was judged');
SELECT is(pg_temp.approve('test_carol', :proposal), 'APPROVED', 'once more is the same');
SELECT ok(pg_temp.work('ecomm-production-db') > 0, 'it is carried out');
SELECT is(pg_temp.approve('test_carol', :proposal), 'COMPLETED', 'and approved once more by who has approved it');
SELECT is(pg_temp.approve('test_ann', :proposal) ~ '^PM501', true, '... but by nobody else');
SELECT is(pg_temp.as_role('none', $$SELECT (promote.propose_deployment('ecomm-production-db', 'PLAN')).deployment$$) ~
    '^\d+$', true, 'a PLAN');
SELECT is(pg_temp.approve('test_dave', (SELECT deployment FROM promote.instance WHERE name = 'ecomm-production-db')),
    'APPROVED', '... asks for nobody''s approval');
SELECT ok(pg_temp.work('ecomm-production-db') > 0, 'nor when it runs');

-- ---- without a plan ----
UPDATE promote.environment SET require_plan = false WHERE environment = 'production' AND project = 'ecomm';
DO $$ BEGIN PERFORM promote.configure_instance('ecomm-production-db', '{"replicas": 4}', plan => false); END $$;
SELECT is((SELECT string_agg(code || ': ' || message, E'\n') FROM promote.blockers('ecomm-production-db')),
    'approval: it cannot be approved: plan it first', 'what is not planned cannot be approved');
SELECT (promote.propose_deployment('ecomm-production-db')).deployment AS unplanned \gset
SELECT matches(pg_temp.approve('test_carol', :unplanned), '^PM601: approval: it cannot be approved: plan it first',
    '... nor as a proposal');
SELECT is(pg_temp.reject('test_dave', :unplanned), 'REJECTED', 'a proposal is rejected as ever');

-- ---- decommissioning ----
SELECT is(pg_temp.as_role('none',
    $$SELECT (promote.decommission_instance('ecomm-production-db')).status$$) ~
    '^PM601: approval: rule "dba" asks for 2', true, 'taking away has to be approved, too');
SELECT (promote.propose_deployment('ecomm-production-db', 'DECOMMISSION')).deployment AS gone \gset
SELECT is(pg_temp.approve('test_ann', :gone), 'PROPOSED', 'it is voted on as a proposal');
SELECT is(pg_temp.approve('test_bob', :gone), 'PROPOSED', '... by as many');
SELECT isnt((SELECT plan_digest FROM promote.deployment WHERE environment = 'production' AND deployment = :gone),
    (SELECT rendered_digest FROM promote.deployment WHERE environment = 'production' AND deployment = :gone),
    'by a digest that no plan has');
SELECT is(pg_temp.approve('test_service', :gone), 'APPROVED', '... and queued');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the record is whole');
SELECT is((promote.abort_deployment('ecomm-production-db', :gone)).status, 'ABORTED', 'what is aborted');
SELECT is(pg_temp.as_role('none', $$SELECT (promote.decommission_instance('ecomm-production-db')).status$$), 'PENDING',
    '... was approved for the same state of things');
SELECT is_empty('SELECT * FROM promote.verify_audit()', '... and is recorded');

-- ---- scopes ----
SELECT pg_temp.planned('ecomm-staging-db', '[]') AS staging \gset
INSERT INTO promote.approval_rule (project, environment, rule, role, component, selector) VALUES
    ('ecomm', 'staging', 'cache', 'test_dba', 'cache', '{}'), ('ecomm', 'staging', 'db', 'test_dba', 'db', '{}'),
        ('ecomm', 'staging', 'gold', 'test_dba', NULL, '{"tier": "gold"}');
SELECT is(pg_temp.lines($$SELECT rule FROM promote.required_approvals('ecomm-staging-db')$$), '(db)',
    'a rule for a component');
UPDATE promote.environment SET attributes = '{"tier": "gold"}' WHERE environment = 'staging';
SELECT is(pg_temp.lines($$SELECT rule FROM promote.required_approvals('ecomm-staging-db')$$), E'(db)\n(gold)',
    'a rule for attributes');
UPDATE promote.instance SET attributes = '{"tier": "silver"}' WHERE name = 'ecomm-staging-db';
SELECT is(pg_temp.lines($$SELECT rule FROM promote.required_approvals('ecomm-staging-db')$$), '(db)',
    '... as they come out');

INSERT INTO promote.approval_rule (project, environment, rule, role) VALUES ('ecomm', NULL, 'all of it', 'test_dba'),
    (NULL, 'staging', 'any staging', 'test_dba'), (NULL, NULL, 'everywhere', 'test_dba'), ('other', NULL, 'elsewhere',
        'test_dba'),
    (NULL, 'production', 'any production', 'test_dba'), ('ecomm', NULL, 'db', 'test_dba');
SELECT is(pg_temp.lines($$SELECT rule FROM promote.required_approvals('ecomm-staging-db')$$),
    E'("all of it")\n("any staging")\n(db)\n(db)\n(everywhere)',
        'rules of a project, of environments of a name, and of everything');
SELECT is(pg_temp.lines($$SELECT DISTINCT rule FROM promote.approval_status WHERE instance = 'ecomm-staging-db'$$),
    E'("all of it")\n("any staging")\n(db)\n(everywhere)', '... are shown');
SELECT is(pg_temp.lines($$SELECT scope FROM promote.approval_rule WHERE rule IN ('everywhere', 'all of it',
    'any staging') ORDER BY 1$$),
    E'(*-*)\n(*-staging)\n(ecomm-*)', '... by one column');
SELECT throws_ok($$INSERT INTO promote.approval_rule (project, rule, role) VALUES ('ecomm', 'db', 'test_dba')$$,
    '23505', NULL,
    'a scope has each name once');
SELECT throws_ok($$INSERT INTO promote.approval_rule (project, rule, role) VALUES ('nowhere', 'db', 'test_dba')$$,
    '23503', NULL,
    'a project has to be there');
SELECT is((SELECT count(*) FROM promote.audit_log WHERE subject IN ('approval_rule *-*/everywhere',
    'approval_rule ecomm-*/db')), 2::bigint,
    'each is in the log');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the record is whole with them');
DELETE FROM promote.approval_rule WHERE project IS NULL OR environment IS NULL;

-- ---- a service that acts for people ----
DELETE FROM promote.approval_rule WHERE environment = 'staging';
INSERT INTO promote.approval_rule (project, environment, rule, role, quorum)
    VALUES ('ecomm', 'staging', 'owner', 'test_owner', 2);
SELECT is(pg_temp.approve('test_service', :staging, 'ecomm-staging-db', 'kim') ~ '^PM703', true,
    'nobody names others without a grant');
INSERT INTO promote.grants (role, action) VALUES ('test_service', 'impersonate');
SELECT is(pg_temp.approve('test_service', :staging, 'ecomm-staging-db', 'kim'), 'COMPLETED', 'one person');
SELECT is(pg_temp.approve('test_service', :staging, 'ecomm-staging-db') ~ '^PM603', true,
    'the service itself, unnamed, may be any of them');
SELECT is(pg_temp.approve('test_service', :staging, 'ecomm-staging-db', 'lee'), 'COMPLETED',
    'another person, of the same role');
SELECT is(pg_temp.approve('test_service', :staging, 'ecomm-staging-db', 'kim'), 'COMPLETED', '... once, however often');
SELECT is(pg_temp.lines($$SELECT given, approved_by FROM promote.required_approvals('ecomm-staging-db')$$),
    '(2,"{kim,lee}")', 'both count');
SAVEPOINT impersonate;
SELECT promote.revoke_action('test_service', 'impersonate') \g /dev/null
SELECT is(pg_temp.lines($$SELECT given, approved_by, not_counted FROM promote.required_approvals('ecomm-staging-db')$$),
    '(0,{},"{""kim: role \\""test_service\\"" may not act for \\""kim\\"" any more"",""lee: role \\""test_service\\"" '
    'may not act for \\""lee\\"" any more""}")', '... for as long as the service may name them');
ROLLBACK TO impersonate;

-- ---- duties are separated ----
DELETE FROM promote.approval_rule WHERE environment = 'staging';
UPDATE promote.environment SET separation_of_duty = true, require_plan = false WHERE environment = 'staging';
SELECT pg_temp.as_role('test_ann', $$SELECT (promote.propose_deployment('ecomm-staging-db')).deployment$$) AS own \gset
SELECT is(pg_temp.approve('test_ann', :own, 'ecomm-staging-db'),
    'PM603: Its environment separates duties, and "test_ann" has asked for it.',
    'without rules nobody approves their own proposal');
SELECT is(pg_temp.approve('test_ann', :own, 'ecomm-staging-db', 'zoe') ~ '^PM703', true, '... by another name');
SELECT is(pg_temp.approve('test_dave', :own, 'ecomm-staging-db'), 'APPROVED', '... but anybody else''s');
SELECT pg_temp.as_role('test_ann',
    $$SELECT (promote.propose_deployment('ecomm-staging-db', 'PLAN')).deployment$$) AS own \gset
SELECT is(pg_temp.approve('test_ann', :own, 'ecomm-staging-db'), 'APPROVED',
    '... and their own to plan, which deploys nothing');

-- ---- names and roles of others ----
SELECT pg_temp.rule('west', 'test_dba', 2);
UPDATE promote.approval_rule SET environment = 'prod-uswest' WHERE rule = 'west';
DO $$ BEGIN PERFORM promote.configure_instance('ecomm-prod-uswest-db', '{"size": "small"}', '1.0.0'); END $$;
SELECT ok(pg_temp.work('ecomm-prod-uswest-db') > 0, 'a plan without a document');
CREATE FUNCTION pg_temp.west() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(code || ': ' || message, E'\n') FROM promote.blockers('ecomm-prod-uswest-db')
        WHERE code IN ('approval', 'rejected')
$$;
SELECT (promote.plan_instance('ecomm-prod-uswest-db')).deployment AS west \gset
SELECT pg_temp.work('ecomm-prod-uswest-db');
SAVEPOINT others;
-- who has logged in is who they are, whatever role they take
SET SESSION AUTHORIZATION test_ann;
SELECT promote.approve_deployment('ecomm-prod-uswest-db', :west) \g /dev/null
SET ROLE test_dba;
SELECT promote.current_actor() AS actor \gset
RESET SESSION AUTHORIZATION;
SELECT is(:'actor'::text, 'test_ann', 'SET ROLE makes nobody another person');
SELECT is(pg_temp.lines(format('SELECT actor, database_role FROM promote.approval WHERE deployment = %s AND '
    'environment = ''prod-uswest''', :west)), '(test_ann,test_ann)', '... as votes say');
ROLLBACK TO others;
SET SESSION AUTHORIZATION test_service;
SET ROLE test_everybody;
SELECT promote.current_actor() AS actor \gset
RESET SESSION AUTHORIZATION;
SELECT is(:'actor'::text, 'test_everybody', '... unless the login may say who acts: a pooler''s does it by SET ROLE');
ROLLBACK TO others;
SELECT is(pg_temp.approve('test_ann', :west, 'ecomm-prod-uswest-db'), 'COMPLETED', 'somebody approves');
SELECT is(pg_temp.approve('test_dba', :west, 'ecomm-prod-uswest-db') ~ '"test_ann" has approved it already', true,
    'and not once more by SET ROLE to their group');
SELECT is(pg_temp.west(), 'approval: rule "west" asks for 2 of role "test_dba": 1 given, by test_ann',
    '... which counts once');
ROLLBACK TO others;
SELECT is(pg_temp.approve('test_senior_dba', :west, 'ecomm-prod-uswest-db'), 'COMPLETED', 'a group approves');
SELECT is(pg_temp.approve('test_bob', :west, 'ecomm-prod-uswest-db') ~ '"test_senior_dba" has approved it already',
    true, '... and not one of it again');
SELECT is(pg_temp.approve('test_ann', :west, 'ecomm-prod-uswest-db'), 'COMPLETED', '... but somebody else');
SELECT is(pg_temp.west(), NULL, 'those are two');
ROLLBACK TO others;
UPDATE promote.environment SET separation_of_duty = true WHERE environment = 'prod-uswest';
SELECT pg_temp.as_role('test_ann', $$SELECT (promote.plan_instance('ecomm-prod-uswest-db')).deployment$$) AS hers \gset
SELECT pg_temp.work('ecomm-prod-uswest-db');
SELECT is(pg_temp.approve('test_dba', :hers, 'ecomm-prod-uswest-db') ~ 'does not count who has asked for it', true,
    'nor is one''s own approved by SET ROLE to a group');
ROLLBACK TO others;
SELECT pg_temp.as_role('test_ann',
    format($$SELECT (promote.reject_deployment('ecomm-prod-uswest-db', %s, 'no')).status$$, :west));
SELECT is(pg_temp.approve('test_bob', :west, 'ecomm-prod-uswest-db', 'test_ann') ~ '^PM703', true,
    'nobody takes the name of somebody who has rejected it');
SELECT is(pg_temp.approve('test_dba', :west, 'ecomm-prod-uswest-db'), 'COMPLETED', '... and who acts as their group');
SELECT is(pg_temp.west() ~ 'rejected: test_ann has rejected it: no', true, '... does not lift that');
SELECT is(pg_temp.as_role('test_dba',
    format($$SELECT (promote.reject_deployment('ecomm-prod-uswest-db', %s, 'I, too')).status$$, :west)), 'COMPLETED',
    '... nor who rejects it as that');
SELECT is(pg_temp.approve('test_dba', :west, 'ecomm-prod-uswest-db'), 'COMPLETED', '... and then thinks better of it');
SELECT is(pg_temp.west() ~ 'rejected: test_ann has rejected it: no', true, '... in the place of who has');
SELECT is(pg_temp.approve('test_ann', :west, 'ecomm-prod-uswest-db'), 'COMPLETED', 'who has rejected it does');
SELECT is(pg_temp.west() ~ 'rejected', false, '... by approving');
ROLLBACK TO others;

-- ---- days are days in UTC ----
UPDATE promote.approval_rule SET quorum = 1, expires_after = '1 day' WHERE rule = 'west';
SET LOCAL row_security = off;
INSERT INTO promote.approval (project, environment, component, vote, deployment, plan_digest, rule, decision, actor,
    database_role, created_at)
SELECT project, environment, component, 1, deployment, plan_digest, 'west', 'approved', 'test_ann', 'test_ann',
    '2026-03-28 12:00+00'
  FROM promote.deployment WHERE environment = 'prod-uswest' AND deployment = :west;
RESET row_security;
SET LOCAL timezone = 'Europe/Berlin';
SELECT is_empty(format($$SELECT * FROM promote.blockers('ecomm-prod-uswest-db', %s, '2026-03-29 11:30+00')$$, :west),
    'an approval counts for 24 hours a day');
SELECT isnt_empty(format($$SELECT * FROM promote.blockers('ecomm-prod-uswest-db', %s, '2026-03-29 12:00+00')$$, :west),
    '... and no longer, wherever one is');
ROLLBACK TO others;

-- ---- another release ----
UPDATE promote.approval_rule SET quorum = 1 WHERE rule = 'west';
SELECT is(pg_temp.approve('test_ann', :west, 'ecomm-prod-uswest-db'), 'COMPLETED',
    'a plan without a document is approved');
SELECT is(pg_temp.west(), NULL, '... which is enough');
DO $$ BEGIN PERFORM promote.configure_instance('ecomm-prod-uswest-db', '{}', '1.1.0'); END $$;
SELECT ok(pg_temp.work('ecomm-prod-uswest-db') > 0, 'the same params are planned by another release');
SELECT is((SELECT count(DISTINCT plan_digest) FROM promote.deployment WHERE environment = 'prod-uswest'), 1::bigint,
    '... and have the same digest');
SELECT is(pg_temp.west(), 'approval: rule "west" asks for 1 of role "test_dba": 0 given',
    '... but nobody has approved that release');
ROLLBACK TO others;

-- ---- a proposal that is one's own, or outdated ----
DELETE FROM promote.approval_rule WHERE rule = 'west';
UPDATE promote.environment SET separation_of_duty = true, decommission_protection = false
    WHERE environment = 'prod-uswest';
SELECT (promote.propose_deployment('ecomm-prod-uswest-db')).deployment AS mine \gset
SELECT throws_ok(format($$UPDATE promote.deployment SET status = 'APPROVED' WHERE environment = 'prod-uswest'
    AND deployment = %s$$, :mine), 'PM603', NULL, 'one''s own proposal is not approved by an UPDATE either');
UPDATE promote.environment SET separation_of_duty = false, require_plan = false WHERE environment = 'prod-uswest';
DO $$ BEGIN PERFORM promote.configure_instance('ecomm-prod-uswest-db', '{"tier": "x"}', plan => false); END $$;
SELECT (promote.propose_deployment('ecomm-prod-uswest-db')).deployment AS planless \gset
UPDATE promote.environment SET require_plan = true WHERE environment = 'prod-uswest';
SELECT promote.plan_instance('ecomm-prod-uswest-db') \g /dev/null
SELECT ok(pg_temp.work('ecomm-prod-uswest-db') > 0, 'it was planned since it was proposed without a plan');
SELECT pg_temp.refuses(format($$SELECT promote.approve_deployment('ecomm-prod-uswest-db', %s)$$, :planless), 'PM504',
    'wants one by now', 'what follows no plan, where one has come to be wanted');
SELECT pg_temp.deploy('ecomm-prod-uswest-db');
SELECT (promote.propose_deployment('ecomm-prod-uswest-db', 'DECOMMISSION')).deployment AS away \gset
SELECT is((promote.propose_deployment('ecomm-prod-uswest-db', 'DECOMMISSION')).deployment, :away,
    'a DECOMMISSION is proposed once');
SELECT pg_temp.deploy('ecomm-prod-uswest-db');
SELECT pg_temp.refuses(format($$SELECT promote.approve_deployment('ecomm-prod-uswest-db', %s)$$, :away), 'PM503',
    'has changed the instance since', 'what was deployed again is not what was to be taken away');
SELECT isnt((promote.propose_deployment('ecomm-prod-uswest-db', 'DECOMMISSION')).deployment, :away,
    '... and is proposed anew');
INSERT INTO promote.approval_rule (project, environment, rule, role)
    VALUES ('ecomm', 'prod-uswest', 'second', 'test_dba');
UPDATE promote.environment SET separation_of_duty = true WHERE environment = 'prod-uswest';
INSERT INTO promote.freeze_window (name, project, environment, during)
    VALUES ('then', 'ecomm', 'prod-uswest', '(2020-01-01,2098-01-01)');
SELECT pg_temp.as_role('none',
    format('SELECT promote.reject_deployment(%L, deployment, ''no'') FROM promote.deployment WHERE environment '
    '= ''prod-uswest'' AND status = ''PROPOSED''', 'ecomm-prod-uswest-db')) \g /dev/null
SELECT pg_temp.as_role('test_ann',
    $$SELECT (promote.propose_deployment('ecomm-prod-uswest-db', 'DECOMMISSION')).deployment$$) AS ruled \gset
SELECT is(pg_temp.approve('test_bob', :ruled, 'ecomm-prod-uswest-db'), 'PROPOSED',
    'where a rule asks for others one of them approves, and a freeze keeps it');
DELETE FROM promote.freeze_window WHERE name = 'then';
SAVEPOINT withdrawn;
SELECT is(pg_temp.as_role('test_bob',
    $$SELECT (promote.decommission_instance('ecomm-prod-uswest-db')).status$$) ~
    '^PM601: approval: .*that of test_bob does not count: it is the requester''s own', true,
    'who has approved what somebody else proposed does not take it away alone');
SELECT is(pg_temp.as_role('test_ann', $$SELECT (promote.decommission_instance('ecomm-prod-uswest-db')).status$$),
    'PENDING', '... but for somebody else that counts');
ROLLBACK TO withdrawn;
SELECT pg_temp.as_role('none', format('SELECT (promote.reject_deployment(%L, %s, ''no'')).status',
    'ecomm-prod-uswest-db', :ruled)) \g /dev/null
SELECT is(pg_temp.as_role('test_ann',
    $$SELECT (promote.decommission_instance('ecomm-prod-uswest-db')).status$$) ~
    '^PM601: approval: rule "second" asks for 1 of role "test_dba": 0 given', true,
    'what was approved of a proposal that is rejected then counts no more');
SELECT isnt(pg_temp.as_role('test_ann',
    $$SELECT (promote.propose_deployment('ecomm-prod-uswest-db', 'DECOMMISSION')).deployment$$), :'ruled',
    '... it is proposed anew');
SELECT is(pg_temp.approve('test_bob', (SELECT max(deployment) FROM promote.deployment
    WHERE environment = 'prod-uswest'), 'ecomm-prod-uswest-db'), 'APPROVED', '... and approved anew');
ROLLBACK TO withdrawn;
SELECT is(pg_temp.approve('test_ann', :ruled, 'ecomm-prod-uswest-db'),
    'PM603: Its environment separates duties, and "test_ann" has asked for it.',
    'then it is not for who proposed it to approve it');
SELECT is(pg_temp.approve('test_bob', :ruled, 'ecomm-prod-uswest-db'), 'APPROVED', '... but for anybody else');

-- what goes along: who has changed something that a later revision deploys with what it changes itself
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-prod-uswest-db', '{"tier": "before"}', plan => false)$$,
    'what was provisioned');
DELETE FROM promote.approval_rule WHERE rule = 'second';
SELECT pg_temp.deploy('ecomm-prod-uswest-db') \g /dev/null
INSERT INTO promote.approval_rule (project, environment, rule, role)
    VALUES ('ecomm', 'prod-uswest', 'second', 'test_dba');
INSERT INTO promote.grants (role, action, project) VALUES ('test_ann', 'configure', 'ecomm');
SELECT is(pg_temp.as_role('test_ann', $$SELECT changed
    FROM promote.configure_instance('ecomm-prod-uswest-db', '{"tier": "hers"}', plan => false)$$), 'true',
    'somebody changes something');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-prod-uswest-db', '{"replicas": 2}')$$,
    'and somebody else something else, which is planned');
SELECT ok(pg_temp.work('ecomm-prod-uswest-db') > 0, '... by a worker');
SELECT deployment AS along FROM promote.instance WHERE name = 'ecomm-prod-uswest-db' \gset
SELECT is(pg_temp.approve('test_ann', :along, 'ecomm-prod-uswest-db'),
    'PM603: Rule "second" does not count who has asked for it, as "test_ann" has.',
    'who has made what goes along does not approve it');
INSERT INTO promote.override_rule (project, environment, code, role)
    VALUES ('ecomm', 'prod-uswest', 'approval', 'test_dba');
INSERT INTO promote.grants (role, action, project) SELECT r, 'override', 'ecomm'
    FROM unnest('{test_ann,test_bob}'::text[]) AS r;
SELECT is(pg_temp.as_role('test_ann',
    format($$SELECT (promote.override_gate('ecomm-prod-uswest-db', %s, 'approval', 'mine')).code$$, :along)),
    'PM603: Its environment separates duties, and "test_ann" has asked for it.', '... nor overrides that nobody has');
SAVEPOINT burning;
SELECT is(pg_temp.as_role('test_bob',
    format($$SELECT (promote.override_gate('ecomm-prod-uswest-db', %s, 'approval', 'it burns')).code$$, :along)),
    'approval', '... which somebody else may');
ROLLBACK TO burning;
SELECT is(pg_temp.approve('test_bob', :along, 'ecomm-prod-uswest-db'), 'COMPLETED', '... or approve it');
SELECT pg_temp.deploy('ecomm-prod-uswest-db') \g /dev/null
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-prod-uswest-db', '{"replicas": 3}')$$,
    'once that is provisioned');
SELECT ok(pg_temp.work('ecomm-prod-uswest-db') > 0, '... the next plan');
SELECT is(pg_temp.approve('test_ann', (SELECT deployment FROM promote.instance WHERE name = 'ecomm-prod-uswest-db'),
    'ecomm-prod-uswest-db'), 'COMPLETED', '... is about the next change alone');
-- ---- remote references are configuration, and make no revision ----
INSERT INTO promote.bundle_release (bundle, version, params_schema, remote_references)
    VALUES ('postgres', '1.5.0', '{}', '{"network": {}, "zone": {"required": false}}');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-prod-uswest-db', '{}', '1.5.0', plan => false)$$,
    'a release with slots');
SELECT lives_ok(format('SELECT promote.set_remote_reference(%L, %L, %L)', 'ecomm-prod-uswest-db', field, 'urn:good'),
    'which are filled') FROM unnest(ARRAY['network', 'zone']) AS field;
SELECT ok(pg_temp.planned('ecomm-prod-uswest-db', '[]') > 0, '... planned');
DELETE FROM promote.approval_rule WHERE environment = 'prod-uswest';
SELECT pg_temp.deploy('ecomm-prod-uswest-db') \g /dev/null
INSERT INTO promote.approval_rule (project, environment, rule, role, requester_counts)
    VALUES ('ecomm', 'prod-uswest', 'second', 'test_dba', false);
SAVEPOINT filled;
SELECT is(pg_temp.as_role('test_ann', $$SELECT promote.set_remote_reference('ecomm-prod-uswest-db', 'network',
    'urn:other', allow_replace => true)$$), 'true', 'somebody leads it elsewhere');
SELECT pg_temp.planned('ecomm-prod-uswest-db', '[]') AS led \gset
SELECT is(pg_temp.approve('test_ann', :led, 'ecomm-prod-uswest-db'),
    'PM603: Rule "second" does not count who has asked for it, as "test_ann" has.',
    '... and does not approve it, whoever has planned it');
SELECT is(pg_temp.approve('test_bob', :led, 'ecomm-prod-uswest-db'), 'COMPLETED', 'somebody else does');
ROLLBACK TO filled;
SELECT is(pg_temp.as_role('test_ann', $$SELECT promote.remove_remote_reference('ecomm-prod-uswest-db', 'zone',
    allow_replace => true)$$), 'true', 'or takes one away');
SELECT pg_temp.planned('ecomm-prod-uswest-db', '[]') AS led \gset
SELECT is(pg_temp.approve('test_ann', :led, 'ecomm-prod-uswest-db') ~ 'does not count who has asked for it', true,
    '... the same');
SELECT lives_ok($$SELECT promote.set_remote_reference('ecomm-prod-uswest-db', 'zone', 'urn:good')$$,
    'once it is what runs again');
SELECT pg_temp.planned('ecomm-prod-uswest-db', '[]') AS led \gset
SELECT is(pg_temp.approve('test_ann', :led, 'ecomm-prod-uswest-db'), 'COMPLETED', '... they have asked for nothing');
-- ---- an override of missing approvals is no approval of what its author asks for later ----
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-prod-uswest-db', '{"replicas": 6}')$$,
    'a change of somebody else''s');
SELECT ok(pg_temp.work('ecomm-prod-uswest-db') > 0, '... planned without a document');
SELECT deployment AS theirs FROM promote.instance WHERE name = 'ecomm-prod-uswest-db' \gset
SELECT is(pg_temp.as_role('test_bob',
    format($$SELECT (promote.override_gate('ecomm-prod-uswest-db', %s, 'approval', 'it burns')).code$$, :theirs)),
    'approval', '... for which approvals are overridden');
SELECT is((SELECT count(*)::int FROM promote.blockers('ecomm-prod-uswest-db', :theirs) WHERE code = 'approval'), 0,
    '... counts');
SAVEPOINT later;
INSERT INTO promote.grants (role, action, project) VALUES ('test_bob', 'configure', 'ecomm');
SELECT is(pg_temp.as_role('test_bob', $$SELECT promote.set_remote_reference('ecomm-prod-uswest-db', 'network',
    'urn:other', allow_replace => true)$$), 'true', 'who has overridden them leads it elsewhere');
SELECT (promote.plan_instance('ecomm-prod-uswest-db')).deployment AS own \gset
SELECT ok(pg_temp.work('ecomm-prod-uswest-db') > 0, '... by a plan with an equal digest');
SELECT is((SELECT count(*)::int FROM promote.blockers('ecomm-prod-uswest-db', :own) WHERE code = 'approval'), 1,
    '... which nobody has overridden');
ROLLBACK TO later;
SELECT lives_ok($$SELECT promote.set_remote_reference('ecomm-prod-uswest-db', 'network', 'urn:other',
    allow_replace => true)$$, 'nor, when somebody else does,');
SELECT (promote.plan_instance('ecomm-prod-uswest-db')).deployment AS own \gset
SELECT ok(pg_temp.work('ecomm-prod-uswest-db') > 0, '... a plan of that');
SELECT is((SELECT count(*)::int FROM promote.blockers('ecomm-prod-uswest-db', :own) WHERE code = 'approval'), 1,
    '... has it');
ROLLBACK TO later;
SELECT is(pg_temp.as_role('test_bob', $$SELECT (promote.plan_instance('ecomm-prod-uswest-db')).action$$), 'PLAN',
    'who has overridden them plans it anew');
SELECT ok(pg_temp.work('ecomm-prod-uswest-db') > 0, '... to an equal digest');
SELECT is((SELECT count(*)::int FROM promote.blockers('ecomm-prod-uswest-db') WHERE code = 'approval'), 1,
    '... and has asked for that');
ROLLBACK TO later;
ROLLBACK TO others;

-- ---- requests ----
SELECT ok(pg_temp.work('ecomm-staging-db') >= 0, 'nothing waits');
DELETE FROM promote.approval_rule;
\ir ../../fixtures/shop.sql
INSERT INTO promote.grants (role, action, project) SELECT 'test_everybody', a, 'shop'
    FROM unnest('{promote,approve,deploy}'::text[]) AS a;
INSERT INTO promote.approval_rule (project, environment, rule, role, requester_counts)
    VALUES ('shop', 'production', 'dba', 'test_dba', false);
SELECT is(pg_temp.as_role('test_ann', $$SELECT request FROM promote.open_request('shop', 'staging', 'production',
    '{"components": ["s1"]}')$$), '1', 'somebody opens a request');
SELECT is(pg_temp.as_role('test_ann', $$SELECT count(*) FROM promote.preview_request('shop', 1)$$), '1',
    '... and previews it');
SET LOCAL promote.actor = 'motor';
SELECT is(pg_temp.advance(1), 'RUNNING 1 1', 'somebody else moves it on');
SELECT ok(pg_temp.work_all() > 0, 'planned');
SELECT deployment AS requested FROM promote.instance WHERE name = 'shop-production-s1' \gset
SELECT is(pg_temp.approve('test_ann', :requested, 'shop-production-s1'),
    'PM603: Rule "dba" does not count who has asked for it, as "test_ann" has.', 'who has opened it has asked for it');
SAVEPOINT requested;
SELECT promote.cancel_request('shop', 1, 'never mind') \g /dev/null
SELECT is(pg_temp.approve('test_ann', :requested, 'shop-production-s1') ~ 'does not count who has asked for it', true,
    '... also when the request is over, and what it has staged is desired still');
ROLLBACK TO requested;
SELECT is(pg_temp.approve('test_bob', :requested, 'shop-production-s1'), 'COMPLETED', 'another one approves');
SELECT is(pg_temp.advance(1), 'RUNNING 1 1', 'and it goes on');
SELECT is((SELECT count(*) FROM promote.deployment WHERE project = 'shop' AND environment = 'production'
    AND component = 's1' AND plan = :requested), 1::bigint, '... to be deployed');

-- ---- the same params, from something else ----
CREATE FUNCTION pg_temp.planned(size integer) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    PERFORM promote.configure_instance('shop-production-s2', jsonb_build_object('size', size));
    PERFORM pg_temp.work_all();
    RETURN (SELECT max(deployment) FROM promote.deployment WHERE project = 'shop' AND environment = 'production'
        AND component = 's2' AND action = 'PLAN');
END
$$;
CREATE FUNCTION pg_temp.approved() RETURNS integer LANGUAGE sql AS $$
    SELECT given FROM promote.required_approvals('shop-production-s2')
$$;
SELECT is(pg_temp.approve('test_bob', pg_temp.planned(5), 'shop-production-s2'), 'COMPLETED', 'a change is approved');
SELECT promote.deploy_instance('shop-production-s2') \g /dev/null
SELECT is(pg_temp.approve('test_bob', pg_temp.planned(7), 'shop-production-s2'), 'COMPLETED', 'and another one');
SELECT promote.plan_instance('shop-production-s2') \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.approved(), 1, 'an approval counts for the next plan of the same change');
SELECT promote.deploy_instance('shop-production-s2') \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT ok(pg_temp.planned(5) > 0, 'somebody goes back');
SELECT is(pg_temp.approved(), 0, 'the approval of what was a change from something else does not count for that');

-- ---- rules of one name ----
SAVEPOINT twins;
INSERT INTO promote.approval_rule (rule, role) VALUES ('dba', 'test_owner');
SELECT is(pg_temp.lines($$SELECT role, given FROM promote.required_approvals('shop-production-s1',
    (SELECT max(deployment) FROM promote.deployment WHERE project = 'shop' AND environment = 'production'
        AND component = 's1' AND action = 'PLAN')) ORDER BY role$$), E'(test_dba,1)\n(test_owner,0)',
    'a rule that has its name from one of another scope takes none of its votes');
ROLLBACK TO twins;

-- ---- history ----
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'every vote is in the audit log');
SAVEPOINT forged;
SET LOCAL row_security = off;
INSERT INTO promote.approval (project, environment, component, vote, deployment, plan_digest, rule, decision)
SELECT project, environment, component, 99, deployment, plan_digest, rule, decision FROM promote.approval
    WHERE project = 'ecomm' AND environment = 'production' AND vote = 1;
SELECT is(pg_temp.lines('SELECT problem FROM promote.verify_audit()'),
    '("approval ecomm/production/db/99: there is such a row, and nothing records it")', 'one that was forged is found');
ROLLBACK TO forged;
ALTER TABLE promote.approval DISABLE TRIGGER refuse_rewrite;
DELETE FROM promote.approval WHERE project = 'ecomm' AND environment = 'production' AND vote = 1;
UPDATE promote.approval SET actor = 'test_ann' WHERE project = 'ecomm' AND environment = 'production' AND vote = 2;
SELECT is(pg_temp.lines('SELECT problem FROM promote.verify_audit() ORDER BY problem'),
    E'("approval ecomm/production/db/1: the row that it records is not there")\n("approval ecomm/production/db/2: the '
    'row is not what it records")\n("it is disabled: see promote.restore_guards")',
    'and one that was taken away, or changed');
ROLLBACK TO forged;
SELECT throws_ok(s, 'PM301', NULL, s)
    FROM unnest(ARRAY['UPDATE promote.approval SET actor = ''me''', 'DELETE FROM promote.approval',
    'TRUNCATE promote.approval']) AS s;
GRANT INSERT ON promote.approval TO test_dave;
SELECT is(pg_temp.as_role('test_dave',
    format($$INSERT INTO promote.approval (project, environment, component, vote, deployment, plan_digest, rule,
    decision, actor) SELECT project, environment, component, 99, deployment, plan_digest, rule, decision, 'test_bob'
    FROM promote.approval LIMIT 1$$)) ~ '^PM303', true, 'votes are written by promote');
SET LOCAL row_security = off;
SELECT throws_ok($$INSERT INTO promote.approval (project, environment, component, vote, deployment, plan_digest, rule,
    decision) SELECT project, environment, component, 99, deployment, plan_digest, rule, 'maybe'
    FROM promote.approval LIMIT 1$$, 'PM404', NULL, 'there are two decisions');
RESET row_security;
SELECT pg_temp.refuses(s, state, detail, s) FROM (VALUES
    ($$SELECT promote.approve_deployment('ecomm-production-db', 999)$$, 'PM002', 'numbered from 1'),
        ($$SELECT * FROM promote.required_approvals('ecomm-nowhere-db')$$, 'PM002', 'no environment'),
    ($$SELECT * FROM promote.required_approvals('ecomm-production-db', 999)$$, 'PM002', 'numbered from 1'),
        ($$SELECT * FROM promote.required_approvals(NULL)$$, 'PM001', 'null')) AS v(s, state, detail);

SELECT * FROM finish();
ROLLBACK;
