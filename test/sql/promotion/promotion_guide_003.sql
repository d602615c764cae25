-- The guide "Promote Between Environments", step by step, with its own names of things.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
SET LOCAL promote.actor = 'operator';

-- ---- prerequisites ----
-- Source environment has stable verification evidence.
INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
    VALUES ('shop', 'dev', 'staging'), ('shop', 'staging', 'production');
UPDATE promote.environment SET source_policy = 'path', separation_of_duty = true WHERE project = 'shop'
    AND environment = 'production';
SELECT promote.deploy_instance('shop-staging-s' || n) FROM generate_series(1, 6) AS n \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT promote.report_health('shop-staging-s' || n, 'smoke', true) FROM generate_series(1, 6) AS n \g /dev/null
INSERT INTO promote.required_check (project, environment, check_name, "of")
    VALUES ('shop', 'production', 'smoke', 'source');
-- Target environment policy and freeze state are known.
SELECT is_empty($$SELECT code FROM promote.blockers('shop-production-s1')$$,
    'the target''s policy and freeze state are known: nothing blocks');
-- Required approvers are available.
CREATE ROLE approvers;
CREATE ROLE rita LOGIN IN ROLE approvers;
CREATE ROLE ruth LOGIN IN ROLE approvers;
INSERT INTO promote.grants (role, action, project) VALUES ('approvers', 'approve', 'shop');
INSERT INTO promote.approval_rule (project, environment, rule, role, quorum)
    VALUES ('shop', 'production', 'change board', 'approvers', 2);

-- ---- 1. select source and target environments according to the configured progression chain ----
SELECT is((SELECT environment FROM promote.next_environments('shop-staging')), 'production',
    'the progression chain: staging leads to production');
SELECT pg_temp.refuses($$SELECT promote.open_request('shop', 'dev', 'production')$$, 'PM605', 'staging',
    'a manual jump over a stage');

-- ---- 2. limit promotion scope to intended tenants/services and run preview ----
SELECT is((SELECT status FROM promote.open_request('shop', 'staging', 'production', '{"selector": {"tenant": "acme"}}',
    strategy => 'one_by_one',
    rollback_mode => 'wave', checks => '{runtime}', verification_owner => 'vera', fallback_owner => 'frank',
        ticket => 'CHG-7', message => 'release 7')), 'OPEN',
        'a request, with its rollback mode chosen before execution and its owners known');
SELECT pg_temp.refuses('SELECT pg_temp.advance(1)', 'PM607', 'Only what was previewed',
    'broad scope without previewing target-specific impact');
SELECT is(pg_temp.lines($$SELECT component, diff #> '{0,new}', blockers FROM promote.preview_request('shop', 1)$$),
    E'(s1,2,[])\n(s2,2,[])', 'the scope matches the intended target subset, and the preview shows its impact');

-- ---- 3. confirm target policy requirements and approval expectations ----
SELECT is(promote.handoff_text('shop', 1), $$Request: shop/1 (CHG-7)
Source environment: staging
Target environment: production
Scope (tenants/services): {"tenant": "acme"}: s1, s2
Strategy: one_by_one, rollback: wave, soak: 00:00:00
Approvals required: change board: 2 of approvers
Execution window: any time
Verification owner: vera
Fallback owner: frank
State: OPEN$$, 'the promotion handoff template, filled in');

-- ---- 4. submit promotion request and monitor gate progress ----
SELECT is(pg_temp.advance(1), 'RUNNING 1 1', 'submitted: staged, and planned by a worker');
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.advance(1), 'BLOCKED 1 0', 'planned: the gates are closed');
SELECT matches(pg_temp.waits(1), 'approval: .*change board', 'and it says which');
SET LOCAL SESSION AUTHORIZATION rita;
SET LOCAL promote.actor = '';
SELECT promote.approve_deployment('shop-production-s1', 3) \g /dev/null
RESET SESSION AUTHORIZATION;
SELECT is(pg_temp.advance(1), 'BLOCKED 1 0', 'gate completion is not assumed from partial approvals');
SET LOCAL SESSION AUTHORIZATION ruth;
SELECT promote.approve_deployment('shop-production-s1', 3) \g /dev/null
RESET SESSION AUTHORIZATION;

-- ---- 5. execute promotion when status is ready and freeze conditions are clear ----
SELECT is(promote.report_observed('shop-production-s1', '{"size": 99}'::jsonb, 'scan') > 0, true,
    'target environment drift is not ignored before promotion');
SELECT is(pg_temp.advance(1), 'BLOCKED 1 0', '... it blocks');
SELECT matches(pg_temp.waits(1), 'drift', '... by name');
SELECT promote.dismiss_drift('shop-production-s1', 'a test') \g /dev/null
SELECT is(pg_temp.advance(1), 'RUNNING 1 1', 'ready: executed, re-running a promotion that was blocked');
SELECT pg_temp.work_all() \g /dev/null

-- ---- 6. verify runtime health and drift posture in target environment ----
SELECT is(pg_temp.advance(1), 'RUNNING 1 1', 'deployed, and to be verified');
SELECT matches(pg_temp.waits(1), 'not verified: .*"runtime"', 'target runtime checks are to be passed after execution');
SELECT promote.report_health('shop-production-s1', 'runtime', true) \g /dev/null
SELECT is(pg_temp.advance(1), 'RUNNING 2 2', 'verified: the next service follows');
SELECT is((SELECT count(*) FROM promote.drift_status WHERE instance = 'shop-production-s1'), 0::bigint,
    'the drift posture: none since the deployment');
SELECT is(pg_temp.items(1), 's1 1 DONE, s2 2 STAGED', 'one by one');
-- Promotion and unrelated release changes combined in one request.
SELECT is((pg_temp.refusal($$SELECT promote.open_request('shop', 'staging', 'production')$$)).state, 'PM608',
    'another request is not combined with it');

-- ---- 7. record promotion evidence for future rollback and incident timelines ----
SELECT pg_temp.work_all() \g /dev/null
SELECT promote.cancel_request('shop', 1, 'the second service has time') \g /dev/null
CREATE TEMP TABLE evidence AS SELECT promote.request_evidence('shop', 1) AS e;
SELECT is((SELECT concat_ws(' ', e ->> 'request', e ->> 'status', e ->> 'reason', e ->> 'ticket',
    e ->> 'verification_owner', jsonb_array_length(e -> 'previews')) FROM evidence),
    '1 CANCELLED the second service has time CHG-7 vera 1', 'evidence: the request, with its previews');
SELECT is((SELECT string_agg(concat_ws(' ', i ->> 'instance', i ->> 'status', jsonb_array_length(i -> 'deployments'),
    jsonb_array_length(i -> 'approvals'), i #>> '{health,0,check}', i #>> '{deployments,1,gates,gates,0}',
    length(i #>> '{audit,hash}')), E'\n') FROM evidence, jsonb_array_elements(e -> 'items') AS i),
    E'shop-production-s1 DONE 2 2 runtime path 64\nshop-production-s2 STAGED 1 0 64',
        'plans, approvals, gate verdicts, outcomes, health after, and audit hashes');
SELECT is((SELECT string_agg(DISTINCT a ->> 'decision', ',')
    FROM evidence, jsonb_path_query(e, '$.items[*].approvals[*]') AS a), 'approved', 'who approved');
SELECT is((SELECT a ->> 'event' FROM evidence, jsonb_array_elements(e -> 'audit') AS a
    ORDER BY (a ->> 'seq')::integer DESC LIMIT 1), 'request.cancelled', 'to its last step');
SELECT is((SELECT count(*) FROM evidence WHERE e::text ~ 'hush'), 0::bigint, 'and nothing sensitive');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'whole, for incident timelines');

-- ---- strategies: one by one above; subsets first, limited scope before the broad move, all at once ----
SELECT is((SELECT status FROM promote.open_request('shop', 'staging', 'production', '{"selector": {"tenant": "rest"}}',
    'waves', '[1]')), 'OPEN', 'service subsets first');
SELECT promote.cancel_request('shop', 2, 'shown') \g /dev/null
SELECT is((SELECT status FROM promote.open_request('shop', 'staging', 'production', '{"components": ["s3", "s4"]}',
    'canary', '1', soak => '1 hour')), 'OPEN',
    'a limited scope before the broad move, with evidence between the phases');
SELECT promote.cancel_request('shop', 3, 'shown') \g /dev/null
SELECT is((SELECT status FROM promote.open_request('shop', 'staging', 'production', '{"selector": {"tenant": "rest"}}',
    'all_at_once', rollback_mode => 'all')), 'OPEN', 'all at once, prepared to roll back');

SELECT * FROM finish();
ROLLBACK;
