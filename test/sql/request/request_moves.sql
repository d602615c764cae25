-- Requests, and what moves in their midst: releases, parameters, other people's work, failures.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
SET LOCAL promote.actor = 'ada';

CREATE FUNCTION pg_temp.open(components text[], strategy text DEFAULT 'waves', rollback_mode text DEFAULT 'none',
    checks text[] DEFAULT '{}', include boolean DEFAULT false) RETURNS integer LANGUAGE sql AS $$
    SELECT request FROM promote.open_request('shop', 'staging', 'production',
        jsonb_build_object('components', components), strategy,
        CASE strategy WHEN 'waves' THEN '[100]'::jsonb END, rollback_mode => rollback_mode, checks => checks,
            include_other_changes => include)
$$;
CREATE FUNCTION pg_temp.cancel(number integer) RETURNS text LANGUAGE sql AS $$
    SELECT status FROM promote.cancel_request('shop', number, 'enough of it')
$$;
-- Publishes a release that the constraints of what is configured here stand for from then on.
CREATE FUNCTION pg_temp.publish(version text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO promote.bundle_release (bundle, version, params_schema)
    SELECT 'service', publish.version, params_schema FROM promote.bundle_release AS r WHERE bundle = 'service'
        AND r.version = '1.0.0'
$$;
-- What ran, in the order in which it was queued.
CREATE FUNCTION pg_temp.ran(instance text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', d.revision, d.version, d.status), ', ' ORDER BY d.deployment)
      FROM promote.deployment AS d JOIN promote.instance AS i USING (project, environment, component)
     WHERE i.name = ran.instance AND d.action = 'PROVISION'
$$;

-- ---- a release that comes between the plan and the deployment is not deployed before it is previewed ----
SELECT is(pg_temp.open('{s1,s2}'), 1, 'two services');
SELECT is(pg_temp.preview(1), 2::bigint, 'previewed');
SELECT promote.advance_request('shop', 1) \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT pg_temp.publish('1.1.0') \g /dev/null
SELECT is(pg_temp.advance(1), 'RUNNING 1 2', 'the plans do not hold any more: they are made again');
SELECT matches(pg_temp.waits(1),
    'plan 3 of "shop-production-s1" is not what would be deployed now: The version is 1.1.0', '... for what has moved');
SELECT is(pg_temp.drain(1), 'BLOCKED', 'but not followed');
SELECT matches(pg_temp.waits(1),
    'wave 1: "shop-production-s1": plan 4 has another release or other params than preview 1 shows: take another by '
    'promote.preview_request', '... as nobody has seen that release');
SELECT is((SELECT string_agg(version || ' ' || blockers, ', ') FROM promote.preview_request('shop', 1)),
    '1.1.0 [], 1.1.0 []', 'another preview shows it');
SELECT is(pg_temp.items(1), 's1 1 PENDING, s2 1 PENDING', 'to be staged once more');
SELECT is((SELECT count(*) FROM promote.preview_request('shop', 1) WHERE other_changes IS NULL), 2::bigint,
    '... where what was staged is no other change');
SELECT is(pg_temp.drain(1), 'COMPLETED', 'and it goes on');
SELECT is(pg_temp.ran('shop-production-s1'), '1 1.0.0 COMPLETED, 3 1.1.0 COMPLETED', 'with what was previewed');
SELECT is((SELECT string_agg(version, ' ') FROM promote.promotion_request_item WHERE project = 'shop' AND request = 1),
    '1.1.0 1.1.0', '... by the evidence, too');

-- ---- the same of parameters, and all at once ----
UPDATE promote.parameter_set SET parameters = '{"host": "a"}' WHERE project = 'shop';
SELECT promote.configure_instance('shop-staging-' || s, '{"size": 3, "url": "{{host}}"}')
    FROM unnest('{s1,s2}'::text[]) AS s \g /dev/null
SELECT is(pg_temp.open('{s1,s2}', 'all_at_once'), 2, 'all at once');
SELECT is(pg_temp.preview(2), 2::bigint, 'previewed');
SELECT promote.advance_request('shop', 2) \g /dev/null
UPDATE promote.parameter_set SET parameters = '{"host": "b"}' WHERE project = 'shop' AND environment = 'production';
SELECT is(pg_temp.drain(2), 'BLOCKED', 'a parameter was changed');
SELECT matches(pg_temp.waits(2), 'has another release or other params than preview 1 shows', 'which nobody has seen');
SELECT is(pg_temp.preview(2), 2::bigint, 'now they have');
SELECT is(pg_temp.drain(2), 'COMPLETED', 'and both go on');
SELECT is((SELECT count(DISTINCT i.deployed_revision) FROM promote.instance AS i
    WHERE name IN ('shop-production-s1', 'shop-production-s2')), 1::bigint, 'to the same');

-- ---- a plan of other parameters, that are what they were again, is made again ----
SELECT promote.configure_instance('shop-staging-s1', '{"size": 33}') \g /dev/null
SELECT is(pg_temp.open('{s1}'), 3, 'one');
SELECT is(pg_temp.preview(3), 1::bigint, 'previewed');
SELECT promote.advance_request('shop', 3) \g /dev/null
UPDATE promote.parameter_set SET parameters = '{"host": "c"}' WHERE project = 'shop' AND environment = 'production';
SELECT is(pg_temp.drain(3), 'BLOCKED', 'planned with another parameter');
UPDATE promote.parameter_set SET parameters = '{"host": "b"}' WHERE project = 'shop' AND environment = 'production';
SELECT is(pg_temp.drain(3), 'COMPLETED', 'and with the one that was previewed');

-- ---- what was staged and is as it was previewed stays staged when it is previewed again ----
SELECT promote.configure_instance('shop-staging-s1', '{"size": 4}') \g /dev/null
SELECT is(pg_temp.open('{s1}', rollback_mode => 'all'), 4, 'one more');
SELECT is(pg_temp.preview(4), 1::bigint, 'previewed');
SELECT promote.advance_request('shop', 4) \g /dev/null
SELECT is((SELECT concat_ws(' ', status, version, diff -> 0 ->> 'path') FROM promote.preview_request('shop', 4)),
    'STAGED 1.1.0 .size', 'it is shown as it was');
SELECT is((SELECT count(DISTINCT digest) FROM promote.promotion_request_preview WHERE project = 'shop' AND request = 4),
    1::bigint, '... by the same digest');

-- ---- it goes back to what ran when it was deployed, not when it was staged ----
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.cancel(4), 'CANCELLED', 'cancelled: it stays staged');
SELECT (promote.deploy_instance('shop-production-s1')).deployment IS NOT NULL AS queued \g /dev/null
SELECT promote.configure_instance('shop-staging-s1', '{"size": 5}') \g /dev/null
SELECT is(pg_temp.open('{s1}', rollback_mode => 'all', checks => '{smoke}', include => true), 5,
    'while it is being deployed by somebody else, another one');
SELECT is(pg_temp.preview(5), 1::bigint, 'previewed');
SELECT is(pg_temp.drain(5), 'RUNNING', 'staged before that was carried out, and deployed after it');
SELECT promote.report_health('shop-production-s1', 'smoke', false) \g /dev/null
SELECT is(pg_temp.drain(5), 'ROLLED_BACK', 'it fails, and is rolled back');
SELECT is((SELECT c.params ->> 'size' FROM promote.config_as_of('shop-production-s1', 'infinity') AS c), '4',
    'to what the other one has deployed');

-- ---- a failure stops what has not begun, also in the same call ----
SELECT promote.configure_instance('shop-staging-' || s, '{"size": 6}')
    FROM unnest('{s3,s4,s5}'::text[]) AS s \g /dev/null
SELECT is(pg_temp.open('{s3,s4,s5}'), 6, 'a wave of three');
SELECT is(pg_temp.preview(6), 3::bigint, 'previewed');
SELECT promote.advance_request('shop', 6) \g /dev/null
SELECT pg_temp.work_all('s5', 'PLAN') \g /dev/null
SELECT is(pg_temp.advance(6), 'FAILED 1 1', 'the plan of the last one fails');
SELECT is(pg_temp.items(6), 's3 1 STAGED, s4 1 STAGED, s5 1 FAILED', 'the others are not deployed after that');
SELECT is((SELECT status FROM promote.resume_request('shop', 6)), 'RUNNING', 'resumed');
SELECT promote.advance_request('shop', 6) \g /dev/null
SELECT pg_temp.work_all('s3') \g /dev/null
SELECT is(pg_temp.advance(6), 'FAILED 1 3', 'a deployment fails');
SELECT is(pg_temp.items(6), 's3 1 FAILED, s4 1 DONE, s5 1 STAGED',
    'what is on its way goes on, what has not begun stays');
SELECT is(pg_temp.cancel(6), 'CANCELLED', 'cancelled');

-- ---- what is tried again after a failed deployment is planned again ----
SELECT is(pg_temp.open('{s3}', include => true), 7, 'what has failed, once more');
SELECT is(pg_temp.preview(7), 1::bigint, 'previewed');
SELECT is(pg_temp.drain(7), 'COMPLETED', 'it does not wait for a plan that does not hold');

-- ---- what runs by a newer release than its revision was made for is no other change ----
SELECT pg_temp.publish('1.2.0') \g /dev/null
SELECT (promote.plan_instance('shop-production-s6')).deployment IS NOT NULL \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT (promote.deploy_instance('shop-production-s6')).deployment IS NOT NULL \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.ran('shop-production-s6'), '1 1.0.0 COMPLETED, 1 1.2.0 COMPLETED',
    'revision 1 runs by another release');
SELECT is(pg_temp.open('{s6}'), 8, 'to be promoted to');
SELECT is((SELECT other_changes FROM promote.preview_request('shop', 8)), NULL, 'it is what is desired');
SELECT is(pg_temp.drain(8), 'COMPLETED', 'and nothing rides along');

-- ---- a rollback to what ran before, where only parameters have changed ----
SELECT promote.configure_instance('shop-staging-s6', '{"url": "{{host}}"}') \g /dev/null
SELECT is(pg_temp.open('{s6}'), 9, 'a placeholder');
SELECT is(pg_temp.preview(9), 1::bigint, 'previewed');
SELECT is(pg_temp.drain(9), 'COMPLETED', 'deployed');
UPDATE promote.parameter_set SET parameters = '{"host": "c"}' WHERE project = 'shop' AND environment = 'production';
SELECT is(pg_temp.open('{s6}', rollback_mode => 'all', checks => '{smoke}'), 10, 'the parameter alone');
SELECT is(pg_temp.preview(10), 1::bigint, 'is something to do');
SELECT is(pg_temp.drain(10), 'RUNNING', 'deployed');
SELECT promote.report_health('shop-production-s6', 'smoke', false) \g /dev/null
SELECT is(pg_temp.drain(10), 'ROLLING_BACK', 'it is not healthy, and cannot be rolled back by a revision');
SELECT matches(pg_temp.waits(10),
    'it cannot be rolled back: revision \d+ ran before, too, and what its placeholders stand for was changed since; '
    'change that back', '... which is said, and not that it was');
UPDATE promote.parameter_set SET parameters = '{"host": "b"}' WHERE project = 'shop' AND environment = 'production';
SELECT is(pg_temp.drain(10), 'ROLLED_BACK', 'it is when the parameter is what it was');

-- ---- somebody stages over a rollback ----
SELECT promote.configure_instance('shop-staging-s2', '{"size": 9}') \g /dev/null
SELECT is(pg_temp.open('{s2}', rollback_mode => 'all'), 11, 'one');
SELECT is(pg_temp.preview(11), 1::bigint, 'previewed');
SELECT promote.advance_request('shop', 11) \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT promote.advance_request('shop', 11) \g /dev/null
SELECT pg_temp.work_all('s2') \g /dev/null
SELECT matches(pg_temp.advance(11), '^ROLLING_BACK', 'fails');
SELECT promote.configure_instance('shop-production-s2', '{"size": 99}') \g /dev/null
SELECT is(pg_temp.drain(11), 'FAILED', 'the rollback has failed');
SELECT matches((SELECT reason FROM promote.promotion_request WHERE project = 'shop' AND request = 11),
    'was staged there since, behind revision \d+ that rolls it back', '... for that');
SELECT is((SELECT status FROM promote.resume_request('shop', 11)), 'ROLLING_BACK', 'resumed');
SELECT is(pg_temp.drain(11), 'ROLLED_BACK', 'it is rolled back once more');
SELECT is((SELECT c.params ->> 'size' FROM promote.config_as_of('shop-production-s2', 'infinity') AS c), '3',
    'to what ran');

-- ---- what was done and becomes unhealthy before its wave is over ----
SELECT promote.configure_instance('shop-staging-' || s, '{"size": 8}')
    FROM unnest('{s4,s5,s6}'::text[]) AS s \g /dev/null
SELECT is((SELECT request FROM promote.open_request('shop', 'staging', 'production',
    '{"components": ["s4", "s5", "s6"]}', 'waves', '[2]', rollback_mode => 'wave', include_other_changes => true)), 12,
    'two, then one');
SELECT is(pg_temp.preview(12), 3::bigint, 'previewed');
SELECT promote.advance_request('shop', 12) \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT promote.advance_request('shop', 12) \g /dev/null
SELECT promote.complete_deployment(c.instance, c.deployment, c.fencing)
    FROM promote.claim_deployment('worker') AS c \g /dev/null
SELECT promote.advance_request('shop', 12) \g /dev/null
SELECT is(pg_temp.items(12), 's4 1 DONE, s5 1 DEPLOYING, s6 2 PENDING', 'one is done, the other is on its way');
SELECT promote.report_health('shop-production-s4', 'pager', false) \g /dev/null
SELECT is(pg_temp.drain(12), 'ROLLED_BACK', 'the one is not healthy: the wave was not over');
SELECT is(pg_temp.items(12), 's4 1 ROLLED_BACK, s5 1 ROLLED_BACK, s6 2 PENDING', '... and the next one is not begun');
SELECT is((SELECT reason FROM promote.promotion_request WHERE project = 'shop' AND request = 12),
    '"shop-production-s4": check "pager" has failed since its deployment', '... for that reason');

SELECT is(pg_temp.waits(12), '', 'what is over waits for nothing');

-- ---- somebody else deploys by hand what was staged, with what was not previewed ----
SELECT promote.configure_instance('shop-staging-s1', '{"size": 44}') \g /dev/null
SELECT is(pg_temp.open('{s1}'), 13, 'one');
SELECT is(pg_temp.preview(13), 1::bigint, 'previewed');
SELECT promote.advance_request('shop', 13) \g /dev/null
UPDATE promote.parameter_set SET parameters = '{"host": "d"}' WHERE project = 'shop' AND environment = 'production';
SELECT is(pg_temp.drain(13), 'BLOCKED', 'planned with another parameter');
SELECT promote.deploy_instance('shop-production-s1') \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.drain(13), 'BLOCKED', '... and deployed so by hand');
SELECT is((SELECT skip_reason ->> 'message' FROM promote.preview_request('shop', 13)),
    'nothing to do: "shop-production-s1" runs it already', 'which another preview says');
SELECT is(pg_temp.drain(13), 'SKIPPED', 'and it ends, without having done anything');

-- ---- waves that are no sizes at all ----
SELECT pg_temp.refuses(format('SELECT promote.open_request(%L, %L, %L, strategy => %L, waves => %L)', 'shop', 'staging',
    'production', 'waves', waves), 'PM404', 'Wave 1 is neither', waves)
  FROM unnest('{[1e30],[-1e400],[0.5],[2147483648]}'::text[]) AS waves;

-- ---- what verbs return and people read ----
SELECT is((SELECT (promote.open_request('shop', 'staging', 'production', '{"components": ["s3"]}',
    overrides => '{"s3": {"password": "topsecret"}}',
    ticket => E'T\n1', verification_owner => E'vera\nState: COMPLETED')).request), 14,
        'a request with a sensitive override');
SELECT is((SELECT c.params FROM promote.promotion_request AS r
    JOIN promote.config AS c ON c.project = r.project AND c.digest = r.overrides_digest
    WHERE r.project = 'shop' AND r.request = 14),
    '{"s3": {"password": "topsecret"}}', 'it is kept');
SELECT is((promote.pause_request('shop', 14, E'lunch\nState: x')).overrides_digest,
    promote.config_digest('shop', '{"s3": {"password": "topsecret"}}'),
    'but not given to whoever may pause it');
SELECT is((SELECT count(*) FROM regexp_matches(promote.handoff_text('shop', 14), '^State:', 'gn')), 1::bigint,
    'nobody writes lines of their own into the sheet');

-- ---- a preview asks no policies, whatever they call their reasons: these judge plans ----
CREATE SCHEMA rules;
CREATE FUNCTION rules.freezes(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
    LANGUAGE sql STABLE
    AS $$ SELECT 'freeze', 'by a policy', NULL::timestamptz, NULL::timestamptz, NULL, false $$;
INSERT INTO promote.policy (policy, function, project) VALUES ('freezes', 'rules.freezes', 'shop');
SELECT is((SELECT string_agg(blockers ->> 0, '') FROM promote.preview_request('shop', 14)), NULL,
    'no reason of a policy in a preview');
DELETE FROM promote.policy;

-- ---- all at once, of which one has moved: it is staged again where the others are what they were staged as ----
CREATE FUNCTION pg_temp.desired() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg((pg_temp.params(name) ->> 'size'), ' ' ORDER BY name) FROM promote.instance
        WHERE name IN ('shop-production-s4', 'shop-production-s5')
$$;
SELECT promote.configure_instance('shop-staging-' || s, '{"size": 3}') FROM unnest('{s4,s5}'::text[]) AS s \g /dev/null
SELECT is((SELECT request FROM promote.open_request('shop', 'staging', 'production', '{"components": ["s4", "s5"]}',
    'all_at_once', include_other_changes => true)), 15, 'two');
SELECT is(pg_temp.preview(15), 2::bigint, 'previewed');
SELECT is(pg_temp.advance(15), 'RUNNING 1 2', 'staged');
SELECT pg_temp.work_all() \g /dev/null
SELECT promote.configure_instance('shop-staging-s4', '{"size": 5}') \g /dev/null
SELECT is((SELECT string_agg(status, ' ') FROM promote.preview_request('shop', 15)), 'PENDING STAGED', 'one has moved');
SELECT promote.configure_instance('shop-staging-s5', '{"size": 5}') \g /dev/null
SELECT is(pg_temp.advance(15), 'BLOCKED 1 0', 'then the other: neither is staged');
SELECT is(pg_temp.desired(), '3 3', '... so that both desire what they desired');
SELECT is(pg_temp.waits(15),
    'wave 1: "shop-production-s5": it has moved since it was staged: take another preview by promote.preview_request',
    '... because of that');
SELECT promote.configure_instance('shop-staging-s5', '{"size": 3}') \g /dev/null
SELECT is(pg_temp.advance(15), 'RUNNING 1 1', 'back to what it was: the one is staged again');
SELECT is(pg_temp.desired(), '5 3', '... beside what is staged');
SELECT promote.configure_instance('shop-staging-' || s, '{"size": 6}') FROM unnest('{s4,s5}'::text[]) AS s \g /dev/null
SELECT is((SELECT string_agg(status, ' ') FROM promote.preview_request('shop', 15)), 'PENDING PENDING',
    'both have moved');
SELECT promote.configure_instance('shop-staging-s5', '{"size": 7}') \g /dev/null
SELECT is(pg_temp.advance(15), 'BLOCKED 1 0', 'and one of them again');
SELECT is(pg_temp.desired(), '5 3', '... neither is staged');
SELECT is(pg_temp.cancel(15), 'CANCELLED', 'cancelled');

-- ---- what a constraint or a trigger of somebody's own refuses is one item's failure to move on, and no error of the
-- verb ----
SELECT promote.configure_instance('shop-staging-' || s, '{"size": 11}') FROM unnest('{s4,s5}'::text[]) AS s \g /dev/null
SELECT is((SELECT request FROM promote.open_request('shop', 'staging', 'production', '{"components": ["s4", "s5"]}',
    'waves', '[2]', include_other_changes => true)), 16, 'two in a wave');
SELECT is(pg_temp.preview(16), 2::bigint, 'previewed');
SET CONSTRAINTS ALL IMMEDIATE;
ALTER TABLE promote.revision ADD CONSTRAINT not_s4 CHECK (environment <> 'production' OR component <> 's4') NOT VALID;
SELECT is(pg_temp.advance(16), 'RUNNING 1 1', 'a CHECK refuses one: the other is staged');
SELECT is(pg_temp.items(16), 's4 1 PENDING, s5 1 STAGED', '... and it is not');
SELECT matches(pg_temp.waits(16),
    'wave 1: "shop-production-s4": new row for relation "revision" violates check constraint "not_s4"',
    '... which is said in the words of the refusal');
SELECT is(pg_temp.desired(), '5 11', '... with nothing of it left');
ALTER TABLE promote.revision DROP CONSTRAINT not_s4;
CREATE FUNCTION pg_temp.raises() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.component = 's4' THEN
        EXECUTE TG_ARGV[0];
    END IF;
    RETURN NEW;
END
$$;
CREATE FUNCTION pg_temp.raising(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    EXECUTE format('CREATE TRIGGER raises BEFORE INSERT ON promote.revision FOR EACH ROW EXECUTE FUNCTION '
        'pg_temp.raises(%L)', statement);
    answer := substring(pg_temp.advance(16) || ': ' || pg_temp.waits(16) FROM '^\w+ 1 0.*"shop-production-s4": [^\n]*');
    RAISE SQLSTATE 'UNDO1' USING MESSAGE = COALESCE(answer, 'another answer');
EXCEPTION WHEN OTHERS OR query_canceled THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;
SELECT matches(pg_temp.raising(statement), said, statement) FROM (VALUES
    ('DO $x$ BEGIN RAISE ''not today''; END $x$', '^UNDO1 .*"shop-production-s4": not today$'),
    ('DO $x$ BEGIN RAISE ''not today'' USING DETAIL = ''It rains.''; END $x$',
        '^UNDO1 .*"shop-production-s4": not today: It rains\.$'),
    ('SELECT 1 / 0', '^UNDO1 .*"shop-production-s4": division by zero$'),
    ('SELECT ''x''::integer', '^UNDO1 .*"shop-production-s4": invalid input syntax for type integer'),
    ('DO $x$ BEGIN RAISE SQLSTATE ''PM404'' USING MESSAGE = ''by us''; END $x$',
        '^UNDO1 .*"shop-production-s4": by us$'),
    ('DO $x$ BEGIN RAISE SQLSTATE ''40P01'' USING MESSAGE = ''deadlock''; END $x$', '^40P01 deadlock$'),
    ('DO $x$ BEGIN RAISE SQLSTATE ''40001'' USING MESSAGE = ''again''; END $x$', '^40001 again$'),
    ('DO $x$ BEGIN RAISE SQLSTATE ''57014'' USING MESSAGE = ''cancelled''; END $x$', '^57014 cancelled$'),
    ('SELECT * FROM no_such_table', '^42P01 ')) AS v (statement, said);
SELECT is(pg_temp.drain(16), 'COMPLETED', 'what nobody refuses goes on');
SELECT is(pg_temp.desired(), '11 11', '... both');

-- ---- what is staged and planned waits for the execution window, once that has closed ----
SELECT promote.configure_instance('shop-staging-s4', '{"size": 12}') \g /dev/null
SELECT is((SELECT request FROM promote.open_request('shop', 'staging', 'production', '{"components": ["s4"]}', 'waves',
    '[1]', execution_window => tstzrange(now(), now() + interval '1 hour'), include_other_changes => true)), 17,
    'one, in a window');
SELECT is(pg_temp.preview(17), 1::bigint, 'previewed');
SELECT promote.advance_request('shop', 17) \g /dev/null
SELECT is(pg_temp.work_all(), 2, 'planned, there as here');
SAVEPOINT open;
SET CONSTRAINTS ALL IMMEDIATE;
ALTER TABLE promote.promotion_request DISABLE TRIGGER ALL;
UPDATE promote.promotion_request SET execution_window = tstzrange(now() - interval '2 hours', now() - interval '1 hour')
    WHERE project = 'shop' AND request = 17;
SELECT is(pg_temp.advance(17) ~ ' 0$', true, 'nothing moves');
SELECT is(pg_temp.items(17), 's4 1 STAGED', '... and nothing is deployed');
SELECT matches(pg_temp.waits(17), 'the execution window', '... for that reason');
ROLLBACK TO open;
SELECT is(pg_temp.drain(17), 'COMPLETED', 'while it is open all goes on');

-- ---- evidence: each item's overrides are its own, also where another's plan has the same number ----
INSERT INTO promote.required_check (project, environment, check_name) VALUES ('shop', 'production', 'signed');
INSERT INTO promote.override_rule (project, environment, code, role)
    VALUES ('shop', 'production', 'health', current_user);
SELECT pg_temp.cancel(request) FROM (SELECT DISTINCT request FROM promote.promotion_request_item WHERE project = 'shop'
    AND holds) AS r \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
DO $$
DECLARE
    most integer := (SELECT max(deployment) FROM promote.instance WHERE project = 'shop'
        AND environment = 'production');
BEGIN
    FOR s IN 1 .. 6 LOOP
        WHILE (SELECT deployment FROM promote.instance WHERE name = 'shop-production-s' || s) < most LOOP
            PERFORM promote.configure_instance('shop-production-s' || s,
                jsonb_build_object('own', (SELECT revision FROM promote.instance
                WHERE name = 'shop-production-s' || s)));
        END LOOP;
    END LOOP;
END
$$;
SELECT promote.configure_instance('shop-staging-s' || s, '{"size": 13}') FROM generate_series(1, 6) AS s \g /dev/null
SELECT is((SELECT request FROM promote.open_request('shop', 'staging', 'production', '{}', 'waves', '[100]',
    include_other_changes => true)), 18, 'all of them');
SELECT is(pg_temp.preview(18), 6::bigint, 'previewed');
SELECT promote.advance_request('shop', 18) \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT is(count(*), 6::bigint, 'overridden, one by one') FROM promote.promotion_request_item AS t,
    promote.override_gate('shop-production-' || t.component, t.plan, 'health', 'for ' || t.component) AS o
    WHERE t.project = 'shop' AND t.request = 18;
SELECT ok(count(DISTINCT plan) < 6, 'some of their plans have the same number') FROM promote.promotion_request_item
    WHERE project = 'shop' AND request = 18;
SELECT is(count(*), 6::bigint, 'the evidence has them before anything is deployed')
    FROM jsonb_array_elements(promote.request_evidence('shop', 18) -> 'items') AS i,
    jsonb_array_elements(i -> 'gate_overrides') AS o;
SELECT is(promote.advance_request('shop', 18) IS NULL, false, 'on it goes');
SELECT is((SELECT string_agg(DISTINCT o ->> 'reason', ', ') || ' ' || count(*)
    FROM jsonb_array_elements(promote.request_evidence('shop', 18) -> 'items') AS i,
    jsonb_array_elements(i -> 'gate_overrides') AS o),
    'for s1, for s2, for s3, for s4, for s5, for s6 6', 'each is told once');
SELECT is((SELECT string_agg(x ->> 'event', ' ' ORDER BY (x ->> 'seq')::integer)
    FROM jsonb_array_elements(promote.request_evidence('shop', 18) -> 'audit') AS x),
    (SELECT string_agg(event, ' ' ORDER BY seq) FROM promote.audit_log WHERE subject = 'request shop/18'),
        '... with all that was recorded of the request');
SELECT is_empty($$SELECT i FROM jsonb_array_elements(promote.request_evidence('shop', 18) -> 'items') AS i,
    jsonb_array_elements(i -> 'gate_overrides') AS o WHERE o ->> 'reason' <> 'for ' || (i ->> 'component')$$,
    '... of its own item');
SELECT is(pg_temp.cancel(18), 'CANCELLED', 'cancelled');

-- ---- what was being deployed when another one failed, and has come to its end since, is rolled back as well ----
DELETE FROM promote.required_check WHERE project = 'shop';
SELECT promote.configure_instance('shop-staging-' || s, '{"size": 14}') FROM unnest('{s4,s5}'::text[]) AS s \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT is((SELECT request FROM promote.open_request('shop', 'staging', 'production', '{"components": ["s4", "s5"]}',
    'waves', '[2]', rollback_mode => 'wave', include_other_changes => true)), 19, 'two in a wave that is rolled back');
SELECT is(pg_temp.preview(19), 2::bigint, 'previewed');
SELECT promote.advance_request('shop', 19) \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT promote.advance_request('shop', 19) \g /dev/null
CREATE TEMP TABLE half ON COMMIT DROP AS SELECT * FROM promote.claim_deployment('worker', '{PROVISION}');
INSERT INTO half SELECT * FROM promote.claim_deployment('worker', '{PROVISION}');
SELECT is(promote.fail_deployment(instance, deployment, 'broken', fencing) IS NULL, false, 'one fails') FROM half
    WHERE instance = 'shop-production-s4';
SELECT is((promote.advance_request('shop', 19)).status, 'ROLLING_BACK', 'while the other is being deployed');
SELECT is((SELECT status FROM promote.promotion_request_item WHERE project = 'shop' AND request = 19
    AND component = 's5'), 'DEPLOYING', '... and is waited for');
SELECT is(promote.complete_deployment(instance, deployment, fencing) IS NULL, false, 'until it has come to its end')
    FROM half WHERE instance = 'shop-production-s5';
SELECT is(pg_temp.drain(19), 'ROLLED_BACK', 'then both are rolled back');

-- a newer release is an entry of what a request shows, and of what is kept of it
SELECT pg_temp.publish('9.0.0') \g /dev/null
SELECT pg_temp.open('{s3}', include => true) AS last \gset
SELECT is((SELECT e ->> 'new' FROM promote.preview_request('shop', :last) AS p,
    LATERAL jsonb_array_elements(p.diff) AS e WHERE e ->> 'path' = 'release version'), '9.0.0', 'as it is previewed');
SELECT promote.advance_request('shop', :last) \g /dev/null
SELECT is((SELECT string_agg(e ->> 'new', ' ') FROM jsonb_path_query(promote.request_evidence('shop', :last),
    '$.items[*].deployments[*] ? (@.revision == $.items[*].revision && @.status == "PENDING").diff[*]') AS e
    WHERE e ->> 'path' = 'release version'), '9.0.0', '... and in the evidence');
SELECT is(pg_temp.cancel(:last), 'CANCELLED', 'cancelled');

-- what waits since it was approved as a proposal is queued like anything else
SELECT promote.configure_instance('shop-staging-s6', '{"size": 77}') \g /dev/null
SELECT promote.promote_instance('shop-staging-s6', 'shop-production-s6', plan => false) \g /dev/null
SELECT (promote.propose_deployment('shop-production-s6', 'PLAN')).deployment AS proposed \gset
SELECT is((promote.approve_deployment('shop-production-s6', :proposed)).status, 'APPROVED', 'somebody''s plan');
SELECT pg_temp.open('{s6}', include => true) AS last \gset
SELECT is(pg_temp.preview(:last), 1::bigint, 'previewed');
SELECT promote.advance_request('shop', :last) \g /dev/null
SELECT is((SELECT concat_ws(' ', status, plan) FROM promote.promotion_request_item WHERE project = 'shop'
    AND request = :last), 'STAGED ' || :proposed, 'a request takes it for its own');
SELECT is(pg_temp.cancel(:last), 'CANCELLED', 'cancelled');
SELECT is((SELECT status FROM promote.deployment WHERE project = 'shop' AND environment = 'production'
    AND component = 's6' AND deployment = :proposed), 'ABORTED', '... with it');

-- ---- a remote reference that is only written otherwise is nothing to roll back ----
INSERT INTO promote.bundle VALUES ('wired');
INSERT INTO promote.bundle_release (bundle, version, params_schema, remote_references)
    VALUES ('wired', '1.0.0', '{}', '{"net": {}}');
INSERT INTO promote.component (project, component, bundle)
SELECT 'shop', w, 'wired' FROM unnest('{w1,w2}'::text[]) AS w;
INSERT INTO promote.instance (project, environment, component)
SELECT 'shop', e, w FROM unnest('{w1,w2}'::text[]) AS w, unnest('{staging,production}'::text[]) AS e;
UPDATE promote.parameter_set SET parameters = '{"zone": "z1", "one": "1"}' WHERE project = 'shop';
SELECT promote.configure_instance(name, '{"n": 1}', plan => false),
    promote.set_remote_reference(name, 'net', CASE WHEN environment = 'staging' THEN 'urn:{{zone}}' ELSE 'urn:z1' END),
    promote.plan_instance(name)
  FROM promote.instance WHERE project = 'shop' AND component IN ('w1', 'w2') \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT promote.deploy_instance('shop-production-' || w) FROM unnest('{w1,w2}'::text[]) AS w \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT request AS last FROM promote.open_request('shop', 'staging', 'production', '{"components": ["w1", "w2"]}',
    overrides => '{"w2": {"n": 2}}', rollback_mode => 'all', copy_remote_references => true) \gset
\set wired :last
SAVEPOINT written;
SELECT is(pg_temp.preview(:last), 2::bigint, 'a reference alone is staged');
SELECT is((SELECT v.items #> '{0,references}' FROM promote.promotion_request_preview AS v WHERE v.project = 'shop'
    AND v.request = :last), '{"net": "urn:{{zone}}"}', '... as it is written, which the preview says');
SELECT is((SELECT v.items #> '{1,references}' FROM promote.promotion_request_preview AS v WHERE v.project = 'shop'
    AND v.request = :last), '{"net": "urn:{{zone}}"}', '... of all');
SAVEPOINT previewed;
SELECT promote.set_remote_reference('shop-staging-w1', 'net', 'urn:z{{one}}') \g /dev/null
SELECT pg_temp.refuses(format($$SELECT promote.advance_request('shop', %s)$$, :last), 'PM607', 'w1" has moved since',
    '... so that it has moved where it is written in a third way');
ROLLBACK TO previewed;
SELECT is(pg_temp.advance(:last), 'RUNNING 2 2', 'the next one is begun');
SELECT is(pg_temp.items(:last), 'w1 1 DONE, w2 2 STAGED', '... for it is done');
SELECT is((SELECT concat_ws(' ', t.revision, t.plan, t.deployment, t.staged_at IS NOT NULL, t.finished_at IS NOT NULL)
    FROM promote.promotion_request_item AS t WHERE t.project = 'shop' AND t.request = :last AND t.component = 'w1'),
    '1 t t', '... by being staged: nothing of it is deployed');
SELECT is((SELECT x.reference FROM promote.remote_reference AS x WHERE x.project = 'shop'
    AND x.environment = 'production' AND x.component = 'w1'), 'urn:{{zone}}', '... and it is stored');
SELECT pg_temp.work_all('w2$', 'PLAN') \g /dev/null
SELECT is(pg_temp.drain(:last), 'ROLLED_BACK', 'where another one fails it does not stand in the way');
ROLLBACK TO written;
SELECT is(pg_temp.cancel(:wired), 'CANCELLED', 'all at once:');
SELECT request AS last FROM promote.open_request('shop', 'staging', 'production', '{"components": ["w1", "w2"]}',
    strategy => 'all_at_once', copy_remote_references => true) \gset
SELECT is(pg_temp.preview(:last), 2::bigint, 'references alone');
SELECT is(pg_temp.advance(:last), 'COMPLETED 1 2', '... are done by one call');
ROLLBACK TO written;
SELECT is(pg_temp.cancel(:wired), 'CANCELLED', 'what waits, and is planned already:');
SELECT promote.configure_instance(name, '{"n": 5}') FROM promote.instance WHERE project = 'shop'
    AND component IN ('w1', 'w2') \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT request AS last FROM promote.open_request('shop', 'staging', 'production', '{"components": ["w1", "w2"]}',
    strategy => 'all_at_once', include_other_changes => true) \gset
SELECT pg_temp.preview(:last) \g /dev/null
SELECT matches((SELECT concat_ws(' ', a.status, jsonb_array_length(a.waits_for), a.waits_for #>> '{0,message}')
    FROM promote.advance_request('shop', :last) AS a),
    '^RUNNING 2 wave 1: deployment \d+ of "shop-production-w1" is PENDING: a worker has to carry it out',
    '... is deployed by the call that stages it');
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.drain(:last), 'COMPLETED', '... and done');
ROLLBACK TO written;
SELECT is(pg_temp.cancel(:wired), 'CANCELLED', 'what somebody has deployed meanwhile:');
SELECT request AS last FROM promote.open_request('shop', 'staging', 'production', '{"components": ["w2"]}',
    overrides => '{"w2": {"n": 2}}') \gset
SELECT pg_temp.preview(:last), promote.advance_request('shop', :last), pg_temp.work_all(),
    promote.deploy_instance('shop-production-w2'), pg_temp.work_all() \g /dev/null
SELECT is((SELECT concat_ws(' ', a.status, a.waits_for) FROM promote.advance_request('shop', :last) AS a), 'RUNNING []',
    '... waits for no worker');
SELECT is(pg_temp.drain(:last), 'COMPLETED', '... and is done');
ROLLBACK TO written;
SELECT is(pg_temp.cancel(:wired), 'CANCELLED', 'cancelled');

-- ---- a preview judges drift by what would be rendered: to deploy that puts it right ----
SELECT promote.configure_instance('shop-production-w1', '{"zone": "z1"}') \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT promote.deploy_instance('shop-production-w1') \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT promote.report_observed('shop-production-w1', '{"n": 7}'::jsonb, 'scan') \g /dev/null
SELECT request AS last FROM promote.open_request('shop', 'staging', 'production', '{"components": ["w1"]}',
    overrides => '{"w1": {"zone": "{{zone}}"}}') \gset
SELECT is((SELECT concat_ws(' ', diff, blockers) FROM promote.preview_request('shop', :last)), '[] []',
    'what is rendered the same waits for nobody to adopt it');
SELECT is(pg_temp.cancel(:last), 'CANCELLED', 'cancelled');

SELECT is_empty('SELECT * FROM promote.verify_audit()', 'after all that the chains are whole');
SELECT * FROM finish();
ROLLBACK;
