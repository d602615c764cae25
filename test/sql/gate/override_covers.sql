-- Overrides: what they cover, and what not.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
\ir ../../fixtures/plan.sql
SET LOCAL client_min_messages = 'warning';

CREATE ROLE test_duty;
DO $$ BEGIN EXECUTE format('GRANT test_duty TO %I', current_user); END $$;
INSERT INTO promote.override_rule (project, environment, code, role)
SELECT 'ecomm', 'production', code, 'test_duty' FROM unnest(ARRAY['freeze', 'drift', 'soak']) AS code;

-- Overrides a gate; returns what was overridden.
CREATE FUNCTION pg_temp.override(deployment integer, code text) RETURNS text LANGUAGE sql AS $$
    SELECT subjects::text FROM promote.override_gate('ecomm-production-db', deployment, code, 'it burns')
$$;
-- The gates that are closed.
CREATE FUNCTION pg_temp.closed(deployment integer DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(code || ': ' || message, E'\n') FROM promote.blockers('ecomm-production-db', deployment)
$$;
CREATE FUNCTION pg_temp.freeze() RETURNS void LANGUAGE sql AS $$
    INSERT INTO promote.freeze_window (name, during)
        VALUES ('night', tstzrange(now() - interval '1 h', now() + interval '1 h'))
$$;

-- ---- a plan without a result ----
SELECT pg_temp.freeze();
SELECT (promote.plan_instance('ecomm-production-db')).deployment AS plan \gset
SELECT matches(pg_temp.override(:plan, 'freeze'), '^{"night since ', 'what is not planned yet');
SELECT ok(pg_temp.work('ecomm-production-db') > 0, '... and then is');
SELECT is(pg_temp.closed(:plan), 'freeze: freeze "night" is on', '... has nothing overridden that nobody has seen');
SELECT matches(pg_temp.override(:plan, 'freeze'), '^{"night since ', 'what was planned');
SELECT is(pg_temp.closed(:plan), NULL, '... has');
SAVEPOINT renewed;
DELETE FROM promote.freeze_window;
INSERT INTO promote.freeze_window (name, during)
    VALUES ('night', tstzrange(now() - interval '1 min', now() + interval '1 h'));
SELECT is(pg_temp.closed(:plan), 'freeze: freeze "night" is on', '... not another freeze that has got the name');
DELETE FROM promote.freeze_window;
SELECT pg_temp.freeze();
SELECT is(pg_temp.closed(:plan), 'freeze: freeze "night" is on', '... nor one that is on from the same time on');
ROLLBACK TO renewed;
SELECT is((promote.plan_instance('ecomm-production-db')).deployment > :plan, true, 'another plan');
SELECT pg_temp.work('ecomm-production-db') \g /dev/null
SELECT is(pg_temp.closed(), NULL, '... of an equal digest, too');
DO $$ BEGIN PERFORM promote.configure_instance('ecomm-production-db', '{}', '1.1.0'); END $$;
SELECT pg_temp.work('ecomm-production-db') \g /dev/null
SELECT is((SELECT count(DISTINCT plan_digest) FROM promote.deployment WHERE environment = 'production'), 1::bigint,
    'nor is a plan of another release');
SELECT is(pg_temp.closed(), 'freeze: freeze "night" is on', '... what was overridden');
DELETE FROM promote.freeze_window;

-- ---- another time that a freeze is on ----
INSERT INTO promote.freeze_window (name, rule, zone, starts_at, duration)
VALUES ('nightly', 'FREQ=DAILY', 'UTC', (now() AT TIME ZONE 'UTC') - interval '1 h', '2 h');
SELECT max(deployment) AS plan FROM promote.deployment WHERE environment = 'production' \gset
SELECT matches(pg_temp.override(:plan, 'freeze'), '^{"nightly since ', 'a freeze that recurs');
SELECT is(pg_temp.closed(), NULL, '... is overridden');
SELECT is((SELECT string_agg(code, ' ') FROM promote.blockers('ecomm-production-db', at => now() + interval '1 day')),
    'freeze', '... but not tomorrow''s');
DELETE FROM promote.freeze_window;

-- ---- another time that the windows are closed ----
INSERT INTO promote.override_rule (project, environment, code, role) SELECT 'ecomm', 'production', code, 'test_duty'
    FROM unnest(ARRAY['window', 'budget', 'approval', 'health']) AS code;
INSERT INTO promote.change_window (name, rule, zone, starts_at, duration)
VALUES ('noon', 'FREQ=DAILY', 'UTC', (now() AT TIME ZONE 'UTC') - interval '3 h', '1 h');
SELECT matches(pg_temp.override(:plan, 'window'), '^{"\\"noon\\" since ', 'windows that are closed');
SELECT is(pg_temp.closed(), NULL, '... are overridden');
SELECT is((SELECT string_agg(code, ' ') FROM promote.blockers('ecomm-production-db', at => now() + interval '1 day')),
    'window', '... until they have been open');
DELETE FROM promote.change_window;
INSERT INTO promote.change_window (name, during)
    VALUES ('noon', tstzrange(now() - interval '2 days', now() - interval '1 day'));
SELECT matches(pg_temp.closed(), '^window: ', 'nor are others of the name');
DELETE FROM promote.change_window;
INSERT INTO promote.change_window (name, during) VALUES ('noon', tstzrange(NULL, now() - interval '1 day'));
SELECT matches(pg_temp.override(:plan, 'window'), 'noon', 'one that was open ever since');
DELETE FROM promote.change_window;
INSERT INTO promote.change_window (name, during)
    VALUES ('noon', tstzrange(now() + interval '1 day', now() + interval '2 days'));
SELECT matches(pg_temp.override(:plan, 'window'), 'noon', '... or never yet');
SELECT is(pg_temp.closed(), NULL, '... is overridden');
DELETE FROM promote.change_window;

-- ---- another day's budget ----
SAVEPOINT budget;
SELECT pg_temp.deploy('ecomm-staging-db') > 0 AS deployed \g /dev/null
INSERT INTO promote.change_window (name, rule, zone, starts_at, duration, max_deployments_per_window)
VALUES ('daily', 'FREQ=DAILY', 'UTC', (now() AT TIME ZONE 'UTC') - interval '1 h', '1 day', 1);
SELECT matches(pg_temp.closed(), '^budget: ', 'a budget is used up');
SELECT matches(pg_temp.override(:plan, 'budget'), '^{"daily has had its 1 since ', '... overridden');
SELECT is(pg_temp.closed(), NULL, '... for today');
ROLLBACK TO budget;

-- ---- what a rule asks for by now ----
INSERT INTO promote.approval_rule (project, environment, rule, role)
    VALUES ('ecomm', 'production', 'second', 'test_duty');
SELECT is(pg_temp.override(:plan, 'approval'), '{"second: 1 of test_duty"}', 'approvals that a rule asks for');
SELECT is(pg_temp.closed(), NULL, '... are overridden');
UPDATE promote.approval_rule SET quorum = 2;
SELECT matches(pg_temp.closed(), '^approval: rule "second" asks for 2', '... but not more of them');
DELETE FROM promote.approval_rule;

-- ---- a check that fails again ----
INSERT INTO promote.required_check (project, environment, check_name) VALUES ('ecomm', 'production', 'smoke');
SELECT is(pg_temp.override(:plan, 'health'), '{"smoke of ecomm-production-db: never reported"}',
    'a check that was never reported');
SELECT promote.report_health('ecomm-production-db', 'smoke', false) \g /dev/null
SELECT matches(pg_temp.override(:plan, 'health'), '^{"smoke of ecomm-production-db: failed since ', '... has failed');
SELECT promote.report_health('ecomm-production-db', 'smoke', false) \g /dev/null
SELECT is(pg_temp.closed(), NULL, 'is overridden as long as it fails');
SELECT promote.report_health('ecomm-production-db', 'smoke', true), promote.report_health('ecomm-production-db',
    'smoke', false) \g /dev/null
SELECT matches(pg_temp.closed(), '^health: check "smoke" has failed', '... and not when it fails again');
DELETE FROM promote.required_check;

-- ---- what a policy says about something else ----
CREATE SCHEMA rules;
CREATE TABLE rules.word AS SELECT 'ticket OPS-1 is missing' AS said;
CREATE FUNCTION rules.says(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
    LANGUAGE sql STABLE
    AS $$ SELECT 'ticket', said, NULL::timestamptz, NULL::timestamptz, NULL, true FROM rules.word $$;
SAVEPOINT policies;
INSERT INTO promote.policy (policy, function, project) VALUES ('tickets', 'rules.says', 'ecomm');
INSERT INTO promote.override_rule (project, environment, code, role)
    VALUES ('ecomm', 'production', 'ticket', 'test_duty');
SELECT is(pg_temp.override(:plan, 'ticket'), '{"tickets: ticket OPS-1 is missing"}', 'a reason of a policy');
SELECT is(pg_temp.closed(), NULL, '... is overridden');
UPDATE rules.word SET said = 'an incident: nothing may be deployed';
SELECT is(pg_temp.closed(), 'ticket: an incident: nothing may be deployed', '... and no other one of it');
ROLLBACK TO policies;

-- ---- more drift than a message names ----
SELECT pg_temp.deploy('ecomm-production-db') \g /dev/null
SELECT promote.report_observed('ecomm-production-db',
    params || '{"a1": 1, "a2": 1, "a3": 1, "a4": 1, "a5": 1, "a6": 1}', 'probe')
  FROM promote.config_as_of('ecomm-production-db', 'infinity') \g /dev/null
DO $$ BEGIN PERFORM promote.configure_instance('ecomm-production-db', '{"replicas": 4}'); END $$;
SELECT pg_temp.work('ecomm-production-db') \g /dev/null
SELECT max(deployment) AS plan FROM promote.deployment WHERE environment = 'production' \gset
SELECT matches(pg_temp.closed(), '^drift: .*: .a1, .a2, .a3, .a4, .a5 and 1 more$', 'much differs');
SELECT matches(pg_temp.override(:plan, 'drift'),
    '^{"[.]a1 since [^ ]*Z, [.]a2 since .*, [.]a6 since [^ ]*Z, as observed by [0-9a-f]{16}"}$',
    '... and is overridden');
SAVEPOINT moved;
SELECT promote.report_observed('ecomm-production-db',
    params || '{"a1": 666, "a2": 1, "a3": 1, "a4": 1, "a5": 1, "a6": 1}', 'probe')
  FROM promote.config_as_of('ecomm-production-db', 'infinity') \g /dev/null
SELECT matches(pg_temp.closed(), '^drift: ', 'what drifts on is not');
ROLLBACK TO moved;
SELECT is(pg_temp.closed(), NULL, '... all of it');
SELECT promote.report_observed('ecomm-production-db',
    params || '{"a1": 1, "a2": 1, "a3": 1, "a4": 1, "a5": 1, "a7": 1}', 'probe')
  FROM promote.config AS c JOIN promote.deployment AS d ON c.digest = d.rendered_digest AND c.project = d.project
  JOIN promote.instance AS i ON d.deployment = i.deployed_by AND d.environment = i.environment
      AND d.component = i.component AND i.name = 'ecomm-production-db' \g /dev/null
SELECT matches(pg_temp.closed(), '^drift: .*: .a1, .a2, .a3, .a4, .a5 and ', 'what differs later is not');

-- ---- ill health after that of which was known ----
UPDATE promote.environment SET require_no_drift = false, required_soak = '1 day' WHERE environment = 'production';
SELECT pg_temp.deploy('ecomm-staging-db') \g /dev/null
SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', allow_replace => true) \g /dev/null
SELECT pg_temp.work('ecomm-production-db') \g /dev/null
SELECT max(deployment) AS plan FROM promote.deployment WHERE environment = 'production' \gset
SELECT matches(pg_temp.closed(), '^soak: the source "ecomm-staging-db" has not run it for 1 day yet$',
    'the source has not run it for long');
SELECT is(pg_temp.override(:plan, 'soak') ~ '^\{"since ', true, '... which is overridden');
SELECT is(pg_temp.closed(), NULL, '... and no matter any more');
SELECT promote.report_health('ecomm-staging-db', 'smoke', false), promote.report_health('ecomm-staging-db', 'smoke',
    true) \g /dev/null
SELECT matches(pg_temp.closed(), '^soak: .* since it was last reported unhealthy$',
    'that it was ill since is another reason');

SELECT is_empty('SELECT * FROM promote.verify_audit()', 'all is in the audit log');
SELECT * FROM finish();
ROLLBACK;
