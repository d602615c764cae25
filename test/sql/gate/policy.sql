-- Policies: gates that users write.
BEGIN;
\set QUIET on
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql

CREATE SCHEMA rules;
CREATE FUNCTION rules.calm(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
    LANGUAGE sql STABLE
    AS $$ SELECT NULL::promote.blocking_reason WHERE false $$;
CREATE FUNCTION rules.two(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
    LANGUAGE sql IMMUTABLE
    AS $$ VALUES ('budget_left', 'no money for ' || $1, $3, $3 + interval '1 hour', 'role cfo', true),
        (NULL, NULL, NULL, NULL, NULL, NULL) $$;
CREATE FUNCTION rules.raises(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
    LANGUAGE plpgsql STABLE
    AS $$ BEGIN RAISE EXCEPTION 'oh no: %', 1 / (length(instance) - length(instance)); END $$;
CREATE FUNCTION rules.loops(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
    LANGUAGE plpgsql STABLE
    AS $$ BEGIN LOOP NULL; END LOOP; END $$;
CREATE FUNCTION rules.sleeps(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
    LANGUAGE plpgsql STABLE
    AS $$ BEGIN PERFORM pg_sleep(60); END $$;
-- Looks as if it wrote nothing.
CREATE TABLE rules.written (at timestamptz);
CREATE SEQUENCE rules.counter;
CREATE FUNCTION rules.write() RETURNS integer LANGUAGE plpgsql VOLATILE AS $$ BEGIN INSERT INTO rules.written
    VALUES (now()); RETURN 1; END $$;
CREATE FUNCTION rules.writes(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
    LANGUAGE plpgsql STABLE
    AS $$ BEGIN PERFORM rules.write(); END $$;
CREATE FUNCTION rules.counts(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
    LANGUAGE plpgsql STABLE
    AS $$ BEGIN PERFORM nextval('rules.counter'); END $$;
CREATE FUNCTION rules.sets(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
    LANGUAGE plpgsql STABLE
    AS $$ BEGIN PERFORM set_config('promote.actor', 'mallory', false);
        PERFORM set_config('transaction_read_only', 'off', false); END $$;
CREATE FUNCTION rules.says(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
    LANGUAGE sql STABLE
    AS $$ SELECT 'said', concat_ws(' ', $1, $2, current_user, session_user, current_setting('search_path'),
        current_setting('transaction_read_only')), $3, NULL::timestamptz, NULL, false $$;
CREATE FUNCTION rules.itself(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
    LANGUAGE sql STABLE
    AS $$ SELECT * FROM promote.blockers($1, $2, $3) $$;
CREATE FUNCTION rules.many(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
    LANGUAGE sql STABLE
    AS $$ SELECT 'many', i::text, NULL::timestamptz, NULL::timestamptz, NULL, true
        FROM generate_series(1, 1000) AS i $$;
CREATE FUNCTION rules.swallows(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
    LANGUAGE plpgsql STABLE
    AS $$ BEGIN BEGIN PERFORM pg_sleep(60); EXCEPTION WHEN query_canceled THEN NULL; END; PERFORM pg_sleep(60); END $$;
-- Hear that their time is up, and answer all the same.
CREATE FUNCTION rules.gulps(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
    LANGUAGE plpgsql STABLE
    AS $$ BEGIN BEGIN PERFORM pg_sleep(60); EXCEPTION WHEN query_canceled THEN NULL; END; END $$;
CREATE FUNCTION rules.gulps_and_says(instance text, deployment integer,
    at timestamptz) RETURNS SETOF promote.blocking_reason LANGUAGE plpgsql STABLE
    AS $$ BEGIN BEGIN PERFORM pg_sleep(60); EXCEPTION WHEN query_canceled THEN NULL; END;
          RETURN QUERY SELECT 'said', 'what may be overridden', NULL::timestamptz, NULL::timestamptz, NULL, true;
              END $$;
CREATE FUNCTION rules.pretends(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
    LANGUAGE plpgsql STABLE
    AS $$ BEGIN RAISE query_canceled; END $$;

-- What blocks one instance, as far as policies do.
CREATE FUNCTION pg_temp.blocked(name text DEFAULT 'ecomm-production-db',
    at timestamptz DEFAULT '2030-01-01 12:00:00+00')
RETURNS TABLE (code text, message text, overridable boolean) LANGUAGE sql AS $$
    SELECT b.code, b.message, b.overridable FROM promote.blockers(name, NULL, at) AS b
        WHERE b.code IN ('policy', 'budget_left', 'said', 'many', 'custom')
$$;
CREATE FUNCTION pg_temp.only(function text) RETURNS void LANGUAGE sql AS $$
    DELETE FROM promote.policy;
    INSERT INTO promote.policy (policy, function, timeout) VALUES ('it', function, '200 ms');
$$;

-- ---- what it may say ----
SELECT is_empty('SELECT * FROM pg_temp.blocked()', 'without a policy nothing blocks');
SELECT pg_temp.only('rules.calm') \g /dev/null
SELECT is_empty('SELECT * FROM pg_temp.blocked()', 'nor with one that says nothing');
SELECT pg_temp.only('rules.two') \g /dev/null
SELECT results_eq($$SELECT b.code, b.message, b.since, b.until, b.liftable_by
    FROM promote.blockers('ecomm-production-db', NULL, '2030-01-01 12:00:00+00') AS b
    WHERE code IN ('policy', 'budget_left')$$,
    $$VALUES ('budget_left', 'no money for ecomm-production-db', timestamptz '2030-01-01 12:00:00+00',
        timestamptz '2030-01-01 13:00:00+00', 'role cfo'),
             ('policy', 'policy "it" gives no reason', NULL, NULL, NULL)$$,
                 'what it says blocks, and what it leaves out is filled in');
UPDATE promote.policy SET code = 'custom';
SELECT is((SELECT message FROM pg_temp.blocked() WHERE code = 'custom'), 'policy "it" gives no reason',
    'by the code of its row');
SELECT pg_temp.only('rules.many') \g /dev/null
SELECT is((SELECT count(*) FROM pg_temp.blocked() WHERE code = 'many'), 100::bigint, 'a hundred reasons are enough');
SELECT is((SELECT message FROM pg_temp.blocked() WHERE code = 'policy'), 'policy "it" gives more than 100 reasons',
    '... and it says that there are more');

-- ---- scope and order ----
DELETE FROM promote.policy;
UPDATE promote.environment SET attributes = '{"tier": "gold"}' WHERE project = 'ecomm' AND environment = 'production';
INSERT INTO promote.policy (policy, function, project, environment, component, selector, enabled) VALUES
    ('b all', 'rules.raises', NULL, NULL, NULL, '{}', true), ('a project', 'rules.raises', 'ecomm', NULL, NULL, '{}',
        true),
    ('c other', 'rules.raises', 'other', NULL, NULL, '{}', true), ('d environment', 'rules.raises', NULL, 'production',
        NULL, '{}', true),
    ('e staging', 'rules.raises', 'ecomm', 'staging', NULL, '{}', true), ('f component', 'rules.raises', NULL, NULL,
        'db', '{}', true),
    ('g cache', 'rules.raises', 'ecomm', NULL, 'cache', '{}', true), ('h gold', 'rules.raises', NULL, NULL, NULL,
        '{"tier": "gold"}', true),
    ('i silver', 'rules.raises', NULL, NULL, NULL, '{"tier": "silver"}', true), ('j off', 'rules.raises', NULL, NULL,
        NULL, '{}', false);
SELECT results_eq($$SELECT substring(message FROM 'policy "(.*)" has') FROM pg_temp.blocked()$$,
    ARRAY['a project', 'b all', 'd environment', 'f component', 'h gold'], 'those in scope are asked, by name');

-- ---- a policy that fails, blocks ----
SELECT pg_temp.only('rules.raises') \g /dev/null
SELECT results_eq('SELECT * FROM pg_temp.blocked()',
    $$VALUES ('policy', 'policy "it" has failed: division by zero', false)$$,
    'an error blocks, and cannot be overridden');
SELECT is((SELECT liftable_by FROM promote.blockers('ecomm-production-db') WHERE code = 'policy'),
    'whoever mends or disables policy "it"', '... it says by whom it can be lifted');
SELECT pg_temp.only(f) FROM unnest(ARRAY['rules.loops']) AS f \g /dev/null
SELECT is((SELECT message FROM pg_temp.blocked()), 'policy "it" was still running after 200 ms',
    'a loop ends, and blocks');
SELECT pg_temp.only('rules.sleeps') \g /dev/null
SELECT is((SELECT message FROM pg_temp.blocked()), 'policy "it" was still running after 200 ms', 'so does sleep');
SELECT pg_temp.only('rules.swallows') \g /dev/null
SELECT is((SELECT message FROM pg_temp.blocked()), 'policy "it" was still running after 200 ms',
    '... and who does not hear it the first time');
SELECT pg_temp.only('rules.gulps') \g /dev/null
SELECT results_eq('SELECT * FROM pg_temp.blocked()',
    $$VALUES ('policy', 'policy "it" was still running after 200 ms', false)$$,
    'who catches that, and says that nothing is in the way, blocks');
SELECT pg_temp.only('rules.gulps_and_says') \g /dev/null
SELECT results_eq('SELECT * FROM pg_temp.blocked()',
    $$VALUES ('policy', 'policy "it" was still running after 200 ms', false)$$,
    '... and so does who gives a reason that may be overridden');
SELECT pg_temp.only('rules.pretends') \g /dev/null
SELECT results_eq('SELECT * FROM pg_temp.blocked()',
    $$VALUES ('policy', 'policy "it" has failed: query_canceled', false)$$,
    'one that says that it was cancelled has failed');
SELECT pg_temp.only('rules.writes') \g /dev/null
SELECT is((SELECT message FROM pg_temp.blocked()),
    'policy "it" has failed: cannot execute INSERT in a read-only transaction', 'writing blocks');
SELECT is_empty('SELECT * FROM rules.written', '... and nothing is written');
INSERT INTO rules.written VALUES (now());
SELECT is(current_setting('transaction_read_only'), 'off', '... while the transaction goes on to write');
SELECT pg_temp.only('rules.counts') \g /dev/null
SELECT is((SELECT message FROM pg_temp.blocked()),
    'policy "it" has failed: cannot execute nextval() in a read-only transaction', 'counting blocks');
SET promote.actor = 'ada';
SELECT pg_temp.only('rules.sets') \g /dev/null
SELECT matches((SELECT message FROM pg_temp.blocked()), 'read-write mode', 'the transaction cannot be made to write');
SELECT is(current_setting('promote.actor'), 'ada', '... and no setting stays');
CREATE OR REPLACE FUNCTION rules.sets(instance text, deployment integer,
    at timestamptz) RETURNS SETOF promote.blocking_reason LANGUAGE plpgsql STABLE
    AS $$ BEGIN PERFORM set_config('promote.actor', 'mallory', false); END $$;
SELECT is_empty('SELECT * FROM pg_temp.blocked()', 'what was replaced is asked as it is');
SELECT is(current_setting('promote.actor'), 'ada', '... and what it has set is gone, too');
RESET promote.actor;
SELECT pg_temp.only('rules.itself') \g /dev/null
SELECT is((SELECT message FROM pg_temp.blocked()), 'policy "it" has failed: policy "it" asks for itself',
    'one that asks for itself blocks');
UPDATE promote.policy SET environment = 'production';
INSERT INTO promote.policy (policy, function, environment) VALUES ('other', 'rules.raises', 'staging');
CREATE OR REPLACE FUNCTION rules.itself(instance text, deployment integer,
    at timestamptz) RETURNS SETOF promote.blocking_reason LANGUAGE sql STABLE
    AS $$ SELECT * FROM promote.blockers('ecomm-staging-db', NULL, $3) $$;
SELECT is((SELECT message FROM pg_temp.blocked()), 'policy "other" has failed: division by zero',
    'one may ask for another instance');
UPDATE promote.policy SET function = 'rules.sleeps', timeout = '1 min' WHERE policy = 'other';
UPDATE promote.policy SET timeout = '100 ms' WHERE policy = 'it';
SELECT is((SELECT message FROM pg_temp.blocked()), 'policy "it" was still running after 100 ms',
    '... in the time that it has itself');
UPDATE promote.policy SET timeout = CASE policy WHEN 'it' THEN interval '1 min' ELSE '100 ms' END;
SELECT is((SELECT message FROM pg_temp.blocked()), 'policy "other" was still running after 100 ms',
    '... of which the other may have less');
CREATE OR REPLACE FUNCTION rules.itself(instance text, deployment integer,
    at timestamptz) RETURNS SETOF promote.blocking_reason LANGUAGE plpgsql STABLE
    AS $$ BEGIN FOR i IN 1 .. 30 LOOP PERFORM promote.blockers('ecomm-staging-db', NULL, $3); END LOOP; END $$;
UPDATE promote.policy SET timeout = CASE policy WHEN 'it' THEN interval '1 min' ELSE '5 ms' END;
SELECT is_empty('SELECT * FROM pg_temp.blocked()',
    '... and what the other was told so often is not held against the one');
CREATE OR REPLACE FUNCTION rules.itself(instance text, deployment integer,
    at timestamptz) RETURNS SETOF promote.blocking_reason LANGUAGE plpgsql STABLE
    AS $$ BEGIN PERFORM promote.blockers('ecomm-staging-db', NULL, $3); EXCEPTION WHEN query_canceled THEN NULL; END $$;
UPDATE promote.policy SET timeout = CASE policy WHEN 'it' THEN interval '100 ms' ELSE '1 min' END;
SELECT is((SELECT message FROM pg_temp.blocked()), 'policy "it" was still running after 100 ms',
    'nor does one catch that its own time is up in the other');

-- ---- a function that has changed ----
SELECT pg_temp.only('rules.calm') \g /dev/null
SELECT is_empty('SELECT * FROM pg_temp.blocked()', 'one that says nothing');
ALTER FUNCTION rules.calm VOLATILE;
SELECT is((SELECT message FROM pg_temp.blocked()),
    'policy "it" cannot be asked, function rules.calm: it is VOLATILE, and a policy has to be STABLE or IMMUTABLE',
    'made VOLATILE it blocks');
ALTER FUNCTION rules.calm STABLE;
ALTER FUNCTION rules.calm RENAME TO quiet;
SELECT is((SELECT message FROM pg_temp.blocked()),
    'policy "it" cannot be asked, function rules.calm: there is no such function of (text, integer, timestamptz)',
    'renamed it blocks');
ALTER FUNCTION rules.two RENAME TO calm;
SELECT is((SELECT count(*) FROM pg_temp.blocked()), 2::bigint, 'another of its name is asked');
UPDATE promote.policy SET function = 'rules.quiet';
SELECT is_empty('SELECT * FROM pg_temp.blocked()', 'and what was renamed is asked by its new name');
DROP FUNCTION rules.quiet;
SELECT is((SELECT count(*) FROM pg_temp.blocked()), 1::bigint, 'dropped it blocks');
UPDATE promote.policy SET enabled = false;
SELECT is_empty('SELECT * FROM pg_temp.blocked()', '... until it is disabled');
ALTER FUNCTION rules.calm RENAME TO two;

-- ---- rights ----
CREATE ROLE policy_deployer;
CREATE ROLE policy_owner;
GRANT USAGE ON SCHEMA rules TO policy_deployer, policy_owner;
INSERT INTO promote.grants (role, action, project) VALUES ('policy_deployer', 'view', 'ecomm'),
    ('policy_owner', 'view', 'ecomm');
SELECT pg_temp.only('rules.says') \g /dev/null
SELECT promote.configure_instance('ecomm-production-db', '{"tier": "x"}') \g /dev/null
SET ROLE policy_deployer;
SELECT is((SELECT message FROM promote.blockers('ecomm-production-db', 2) WHERE code = 'said'),
    'ecomm-production-db 2 policy_deployer ' || session_user || ' pg_catalog, pg_temp on',
    'it is asked with the caller''s rights, read-only, by a pinned path');
SELECT is(current_user, 'policy_deployer', '... and the caller is who it was');
RESET ROLE;
CREATE FUNCTION rules.wrapped() RETURNS text LANGUAGE sql SECURITY DEFINER AS $$ SELECT split_part(message, ' ', 2)
    || ' ' || current_user FROM promote.blockers('ecomm-production-db') WHERE code = 'said' $$;
GRANT CREATE ON SCHEMA rules TO policy_owner;
ALTER FUNCTION rules.wrapped() OWNER TO policy_owner;
SET ROLE policy_deployer;
SELECT is(rules.wrapped(), 'policy_deployer policy_owner', '... not with those of a function that asks for him') ;
RESET ROLE;
REVOKE EXECUTE ON FUNCTION rules.says FROM PUBLIC;
SET ROLE policy_deployer;
SELECT is((SELECT message FROM promote.blockers('ecomm-production-db') WHERE code = 'policy'),
    'policy "it" cannot be asked, function rules.says: permission denied', 'who may not execute it is blocked');
RESET ROLE;
SELECT is((SELECT count(*) FROM promote.blockers('ecomm-production-db') WHERE code = 'said'), 1::bigint,
    '... and no other');
GRANT EXECUTE ON FUNCTION rules.says TO policy_deployer;
REVOKE USAGE ON SCHEMA rules FROM policy_deployer;
SET ROLE policy_deployer;
SELECT matches((SELECT message FROM promote.blockers('ecomm-production-db') WHERE code = 'policy'), 'permission denied',
    'nor who may not use its schema');
RESET ROLE;
GRANT USAGE ON SCHEMA rules TO policy_deployer;
CREATE FUNCTION rules.reads(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
    LANGUAGE sql STABLE
    AS $$ SELECT 'said', 'found', NULL::timestamptz, NULL::timestamptz, NULL, false FROM rules.written $$;
SELECT pg_temp.only('rules.reads') \g /dev/null
SELECT is((SELECT message FROM promote.blockers('ecomm-production-db') WHERE code = 'said'), 'found',
    'what it reads the owner may see');
SET ROLE policy_deployer;
SELECT matches((SELECT message FROM promote.blockers('ecomm-production-db') WHERE code = 'policy'),
    'permission denied for table written', '... but not every caller, also by a plan that is kept');
CREATE TEMP TABLE lookalike AS SELECT 1 AS x;
SET search_path = pg_temp, public;
SELECT matches((SELECT message FROM promote.blockers('ecomm-production-db') WHERE code = 'policy'),
    'permission denied for table written', 'whatever the caller''s path');
RESET search_path;
RESET ROLE;

-- ---- whose function it is ----
CREATE FUNCTION rules.theirs(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
    LANGUAGE sql STABLE
    AS $$ SELECT 'said', 'as ' || current_user, NULL::timestamptz, NULL::timestamptz, NULL, false $$;
SELECT pg_temp.only('rules.theirs') \g /dev/null
ALTER FUNCTION rules.theirs OWNER TO policy_owner;
SELECT is((SELECT message FROM promote.blockers('ecomm-production-db') WHERE code = 'policy'),
    'policy "it" cannot be asked, function rules.theirs: its owner may not act with all callers'' rights; it is owned '
        'by who owns the tables, or SECURITY DEFINER',
    'the function of somebody else is not run with the caller''s rights');
SELECT throws_ok($$INSERT INTO promote.policy (policy, function) VALUES ('theirs', 'rules.theirs')$$, 'PM610', NULL,
    '... nor taken');
ALTER FUNCTION rules.theirs SECURITY DEFINER;
SELECT is((SELECT message FROM promote.blockers('ecomm-production-db') WHERE code = 'said'), 'as policy_owner',
    '... but with its owner''s');
ALTER FUNCTION rules.theirs SECURITY INVOKER;
SELECT format('GRANT %I TO policy_owner', (SELECT tableowner FROM pg_tables WHERE schemaname = 'promote'
    AND tablename = 'instance')) \gexec
SELECT is((SELECT message FROM promote.blockers('ecomm-production-db') WHERE code = 'said'), 'as policy_owner',
    'that of a member of the tables'' owner is, but never with a superuser''s');
SET ROLE policy_deployer;
SELECT is((SELECT message FROM promote.blockers('ecomm-production-db') WHERE code = 'said'), 'as policy_deployer',
    '... only with those of others');
RESET ROLE;

-- ---- the statement's own end is not the policy's ----
UPDATE promote.policy SET function = 'rules.sleeps', timeout = '1 min';
CREATE FUNCTION pg_temp.ended(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'answered';
EXCEPTION WHEN query_canceled THEN
    RETURN SQLERRM;
END
$$;
SET statement_timeout = '1 s';
SELECT is(pg_temp.ended($$SELECT * FROM promote.blockers('ecomm-production-db')$$),
    'canceling statement due to statement timeout', 'statement_timeout ends the statement');
SET statement_timeout = 0;
UPDATE promote.policy SET function = 'rules.gulps';
SET statement_timeout = '1 s';
SELECT is(pg_temp.ended($$SELECT * FROM promote.blockers('ecomm-production-db')$$),
    'canceling statement due to statement timeout', '... also where a policy catches it');
SET statement_timeout = 0;
CREATE FUNCTION rules.cancels(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
    LANGUAGE plpgsql STABLE
    AS $$ BEGIN PERFORM pg_cancel_backend(pg_backend_pid()); PERFORM pg_sleep(60); END $$;
UPDATE promote.policy SET function = 'rules.cancels';
SELECT is(pg_temp.ended($$SELECT * FROM promote.blockers('ecomm-production-db')$$),
    'canceling statement due to user request', 'and so does whoever cancels it');
CREATE OR REPLACE FUNCTION rules.cancels(instance text, deployment integer,
    at timestamptz) RETURNS SETOF promote.blocking_reason LANGUAGE plpgsql STABLE
    AS $$ BEGIN PERFORM pg_cancel_backend(pg_backend_pid()); PERFORM pg_sleep(60);
        EXCEPTION WHEN query_canceled THEN NULL; END $$;
SELECT is(pg_temp.ended($$SELECT * FROM promote.blockers('ecomm-production-db')$$),
    'canceling statement due to user request', '... also where a policy catches it');
CREATE OR REPLACE FUNCTION rules.itself(instance text, deployment integer,
    at timestamptz) RETURNS SETOF promote.blocking_reason LANGUAGE plpgsql STABLE
    AS $$ BEGIN PERFORM promote.blockers('ecomm-staging-db', NULL, $3); EXCEPTION WHEN query_canceled THEN NULL; END $$;
UPDATE promote.policy SET environment = 'staging';
INSERT INTO promote.policy (policy, function, environment) VALUES ('outer', 'rules.itself', 'production');
SELECT is(pg_temp.ended($$SELECT * FROM promote.blockers('ecomm-production-db')$$),
    'canceling statement due to user request', '... and the one that asked for it');
DELETE FROM promote.policy WHERE policy = 'outer';
UPDATE promote.policy SET environment = NULL;
UPDATE promote.policy SET function = 'rules.sleeps';
UPDATE promote.policy SET timeout = '100 ms';
SET statement_timeout = '5 min';
SELECT is((SELECT message FROM pg_temp.blocked()), 'policy "it" was still running after 100 ms',
    'and a statement_timeout that is still to come does not hide that it is over');
SELECT is(pg_sleep(0.3)::text, '', '... nor rings it again');
SET statement_timeout = 0;

-- ---- what can be a policy ----
CREATE FUNCTION rules.volatile(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
    LANGUAGE sql AS $$ SELECT NULL::promote.blocking_reason $$;
CREATE FUNCTION rules.one(instance text, deployment integer, at timestamptz) RETURNS promote.blocking_reason
    LANGUAGE sql STABLE AS $$ SELECT NULL::promote.blocking_reason $$;
CREATE FUNCTION rules.texts(instance text, deployment integer, at timestamptz) RETURNS SETOF text
    LANGUAGE sql STABLE AS $$ SELECT 'x' $$;
CREATE FUNCTION rules.arguments(instance text) RETURNS SETOF promote.blocking_reason
    LANGUAGE sql STABLE AS $$ SELECT NULL::promote.blocking_reason $$;
CREATE PROCEDURE rules.procedure(instance text, deployment integer, at timestamptz) LANGUAGE sql AS $$ SELECT 1 $$;
SELECT pg_temp.refuses(format('INSERT INTO promote.policy (policy, function) VALUES (%L, %L)', 'p', f), 'PM610', detail,
    f)
  FROM (VALUES ('rules.volatile', 'VOLATILE'), ('rules.one', 'does not return SETOF'),
      ('rules.texts', 'does not return SETOF'), ('rules.arguments', 'no such function'),
               ('rules.procedure', 'not a plain function'), ('nowhere.two', 'no such function'),
                   ('rules.nothing', 'no such function'), ('two', 'with its schema'), ('a.b.c', 'with its schema'),
               ('', 'with its schema'), ('rules."two', 'with its schema'),
                   ('rules.two; DROP TABLE x', 'with its schema')) AS v(f, detail);
SELECT pg_temp.refuses('UPDATE promote.policy SET function = ''rules.volatile''', 'PM610', 'VOLATILE', 'an UPDATE');
SELECT throws_ok(format('INSERT INTO promote.policy (policy, function, %s) VALUES (''p'', ''rules.two'', %L)', c, v),
    CASE c WHEN 'selector' THEN 'PM101' ELSE 'PM404' END, NULL, c || ' ' || v)
  FROM (VALUES ('timeout', '0'), ('timeout', '2 min'), ('timeout', '-1 s'), ('code', 'A b'), ('code', ''),
      ('selector', '[]')) AS x(c, v);
SELECT lives_ok($$INSERT INTO promote.policy (policy, function) VALUES ('quoted', '"rules"."two"')$$, 'a quoted name');
SET check_function_bodies = off;
SELECT lives_ok($$INSERT INTO promote.policy (policy, function) VALUES ('restored', 'gone.away')$$,
    'a dump of a policy whose function is gone can be restored');
RESET check_function_bodies;
SELECT is((SELECT message FROM pg_temp.blocked() WHERE message ~ 'restored'),
    'policy "restored" cannot be asked, function gone.away: there is no such function of (text, integer, timestamptz)',
    '... and blocks');

SELECT * FROM finish();
ROLLBACK;
