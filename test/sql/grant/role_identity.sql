-- Whose act it is: where code runs in a session that is another's, nobody is named who has not acted, and nothing is
-- done by rights that are not those of the one who is recorded.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
SET LOCAL client_min_messages = error;

-- Low wants to do something as the reviewer, or as whoever looks after the server.
CREATE ROLE i_low;
CREATE ROLE i_ann;
CREATE ROLE i_app;
INSERT INTO promote.grants (role, action, project) SELECT r, a, 'ecomm' FROM unnest('{i_low,i_ann,i_app}'::text[]) AS r,
    unnest('{view,configure,deploy,approve}'::text[]) AS a;
INSERT INTO promote.grants (role, action) VALUES ('i_app', 'impersonate');
CREATE SCHEMA low AUTHORIZATION i_low;
GRANT USAGE ON SCHEMA low TO i_ann, i_app;
SET LOCAL ROLE i_low;
CREATE TABLE low.wanted (place integer GENERATED ALWAYS AS IDENTITY, statement text);
INSERT INTO low.wanted (statement) VALUES
    ($$SELECT promote.configure_instance('ecomm-staging-db', '{"replicas": 7}')$$),
    ($$SELECT promote.deploy_instance('ecomm-staging-db')$$),
    ($$SELECT promote.approve_deployment('ecomm-staging-db', 1)$$),
    ($$SELECT promote.claim_deployment('low')$$),
    ($$SELECT promote.current_actor()$$),
    ($$SELECT promote.current_database_role()$$),
    ($$SELECT promote.may('configure', 'ecomm')$$),
    ($$SELECT promote.may('admin', 'ecomm')$$),
    ($$SELECT count(*) FROM promote.instance WHERE project = 'other'$$),
    ($$SELECT count(*) FROM promote.preview_promotion('ecomm-staging-db', 'ecomm-production-db') AS p
        WHERE p IS NULL$$);
CREATE TABLE low.came (how text, place integer, answer text);
-- Tries all that is wanted, by the reviewer's name, and keeps what came of it.
CREATE FUNCTION low.act(how text) RETURNS integer LANGUAGE plpgsql SET search_path = pg_catalog, low AS $$
DECLARE
    w record;
    answer text;
BEGIN
    FOR w IN SELECT * FROM low.wanted ORDER BY place LOOP
        BEGIN
            PERFORM set_config('promote.actor', 'ann.the.reviewer@example.com', true);
            EXECUTE w.statement INTO answer;
            INSERT INTO low.came VALUES (how, w.place, answer);
        EXCEPTION WHEN OTHERS THEN
            INSERT INTO low.came VALUES (how, w.place, SQLSTATE);
        END;
    END LOOP;
    PERFORM set_config('promote.actor', '', true);
    RETURN 1;
END
$$;
GRANT EXECUTE ON FUNCTION low.act TO PUBLIC;
CREATE FUNCTION low.bait(i integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN low.act('it'); END $$;
CREATE TABLE low.t (i integer);
CREATE MATERIALIZED VIEW low.m AS SELECT low.bait(1) AS i WITH NO DATA;
CREATE INDEX t_bait ON low.t (low.bait(i));
CREATE TABLE low.b (i integer);
CREATE INDEX b_bait ON low.b USING brin (low.bait(i)) WITH (pages_per_range = 1, autosummarize = off);
INSERT INTO low.t VALUES (1);
INSERT INTO low.b VALUES (1);
CREATE TABLE low.parent (i integer PRIMARY KEY);
CREATE TABLE low.child (i integer REFERENCES low.parent ON DELETE CASCADE);
INSERT INTO low.parent VALUES (1);
INSERT INTO low.child VALUES (1);
CREATE FUNCTION low.fires() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM low.act('it'); RETURN OLD; END $$;
CREATE TRIGGER fires BEFORE DELETE ON low.child FOR EACH ROW EXECUTE FUNCTION low.fires();
RESET ROLE;

-- What came of it when a statement is executed: the answers in one line.
CREATE FUNCTION pg_temp.came_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answers text;
BEGIN
    DELETE FROM low.came;
    EXECUTE statement;
    SELECT string_agg(coalesce(answer, '-'), ' ' ORDER BY place) INTO answers FROM (SELECT DISTINCT place, answer
        FROM low.came) AS c;
    RETURN answers;
END
$$;
CREATE FUNCTION pg_temp.chains() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM promote.audit_log
    WHERE subject ~ '-' $$;
SELECT pg_temp.chains() AS before \gset

-- ---- what the server does with somebody's objects ----

-- what low may ask, it is answered as low: it is nothing of a superuser's
SELECT is(pg_temp.came_of(s), 'PM704 PM704 PM704 PM704 PM704 PM704 true false 0 0', s || ' acts for nobody')
  FROM unnest(ARRAY['ANALYZE low.t', 'REINDEX TABLE low.t', 'CLUSTER low.t USING t_bait',
      'REFRESH MATERIALIZED VIEW low.m',
    'CREATE INDEX ON low.t ((low.bait(i) + 1))', $$SELECT brin_desummarize_range('low.b_bait', 0),
        brin_summarize_new_values('low.b_bait')$$, 'DELETE FROM low.parent']) AS s;
SET LOCAL ROLE i_low;
SELECT is(pg_temp.came_of('REFRESH MATERIALIZED VIEW low.m'), 'PM704 PM704 PM704 PM704 PM704 PM704 true false 0 0',
    'in its owner''s session as well') ;
RESET ROLE;
SELECT is(pg_temp.chains(), :before::bigint, '... and nothing has happened');
SELECT is(current_setting('promote.actor'), '', '... nor stays');
SELECT throws_ok('CREATE MATERIALIZED VIEW low.by_hand AS SELECT promote.current_actor()', 'PM704',
    'not allowed: to act in what the server does with the objects of role "' || current_user || '"',
        'a materialized view of anybody''s names nobody');

-- A DBA's wrapper that low may call is another role's code, in the same place.
CREATE FUNCTION low.wrapper() RETURNS text
    LANGUAGE sql SECURITY DEFINER AS $$ SELECT promote.configure_instance('ecomm-staging-db',
    '{"replicas": 8}')::text $$;
GRANT EXECUTE ON FUNCTION low.wrapper() TO i_low;
UPDATE low.wanted SET statement = 'SELECT low.wrapper()' WHERE place = 1;
SELECT is(left(pg_temp.came_of('ANALYZE low.t'), 5), 'PM704', 'nor by the rights of a DBA''s function');
SET LOCAL ROLE i_low;
INSERT INTO low.parent VALUES (1);
INSERT INTO low.child VALUES (1);
RESET ROLE;
SELECT is(left(pg_temp.came_of('DELETE FROM low.parent'), 5), 'PM704', '... nor where a foreign key deletes');
UPDATE low.wanted SET statement = $$SELECT promote.configure_instance('ecomm-staging-db', '{"replicas": 7}')$$
    WHERE place = 1;

-- Policies are not asked for it: they would answer with the session's rights.
CREATE FUNCTION low.everything(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
    LANGUAGE sql STABLE
    AS $$ SELECT 'seen', concat_ws(' ', current_user, (SELECT count(*) FROM promote.instance), promote.current_actor()),
        NULL::timestamptz, NULL::timestamptz, NULL, false $$;
INSERT INTO promote.policy (policy, function) VALUES ('seen', 'low.everything');
SELECT is((SELECT message FROM promote.blockers('ecomm-staging-db') WHERE code = 'seen'),
    current_user || ' 7 ' || current_user, 'a policy is asked, and knows for whom');
UPDATE low.wanted SET statement = $$SELECT string_agg(message, ' ') FROM promote.blockers('ecomm-staging-db')
    WHERE code IN ('seen', 'policy')$$ WHERE place = 7;
SELECT alike(pg_temp.came_of('ANALYZE low.t'), '%policy "seen" cannot be asked in what the server does%',
    '... but not there');
SET LOCAL ROLE i_ann;
SELECT is((SELECT message FROM promote.blockers('ecomm-staging-db') WHERE code = 'seen'), 'i_ann 6 ' || current_user,
    '... whose session it is');
SET LOCAL ROLE i_app;
SET LOCAL promote.actor = 'zoe';
SELECT is((SELECT message FROM promote.blockers('ecomm-staging-db') WHERE code = 'seen'), 'i_app 6 zoe',
    '... also by the person''s name');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-staging-db', '{"replicas": 2}')$$,
    'and a verb that asks it acts for that one');
RESET ROLE;
SELECT is((SELECT actor || ' ' || database_role FROM promote.revision WHERE project = 'ecomm'
    AND environment = 'staging' ORDER BY revision DESC LIMIT 1), 'zoe i_app', '... who is recorded');
RESET promote.actor;
DELETE FROM promote.policy;

-- ---- code of others that a session has called ----

CREATE FUNCTION pg_temp.acts(role text, statement text, actor text DEFAULT '') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
    detail text;
BEGIN
    PERFORM set_config('role', role, true), set_config('promote.actor', actor, true);
    EXECUTE statement INTO answer;
    PERFORM set_config('role', 'none', true), set_config('promote.actor', '', true);
    RETURN answer;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN SQLSTATE || ': ' || SQLERRM || ' / ' || detail;
END
$$;
-- Who is recorded of the last revision of staging's database.
CREATE FUNCTION pg_temp.recorded() RETURNS text LANGUAGE sql AS $$
    SELECT r.actor || '/' || r.database_role || ' ' || a.actor || '/' || a.database_role
      FROM (SELECT * FROM promote.revision WHERE project = 'ecomm' AND environment = 'staging'
          ORDER BY revision DESC LIMIT 1) AS r,
           (SELECT * FROM promote.audit_log WHERE subject = 'ecomm-staging-db' ORDER BY seq DESC LIMIT 1) AS a
$$;
CREATE FUNCTION low.definer(replicas integer, actor text DEFAULT NULL) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF actor IS NOT NULL THEN
        PERFORM set_config('promote.actor', actor, false);
    END IF;
    RETURN (promote.configure_instance('ecomm-staging-db', jsonb_build_object('replicas', replicas))).changed;
END
$$;
CREATE FUNCTION low.names(actor text) RETURNS text
    LANGUAGE sql SECURITY DEFINER AS $$ SELECT set_config('promote.actor', actor, false) $$;
ALTER FUNCTION low.definer OWNER TO i_low;
ALTER FUNCTION low.names OWNER TO i_low;

SELECT is(pg_temp.acts('i_low', 'SELECT low.definer(3)'), 'true', 'its owner acts by it');
SELECT alike(pg_temp.acts('i_ann', 'SELECT low.definer(4)'),
    'PM703: not allowed: to act for role "i_ann" / This is code of role "i_low",%',
    'a SECURITY DEFINER function of who may not act for others does not act in its caller''s name');
SELECT alike(pg_temp.acts('i_ann', $$SELECT low.definer(4, 'i_ann')$$), 'PM703: not allowed: to act for role "i_ann"%',
    '... nor by saying so');
SELECT alike(pg_temp.acts('i_app', $$SELECT low.definer(4, 'zoe')$$), 'PM703: not allowed: to act for role "i_app"%',
    '... nor in the session of who may');
SELECT is(pg_temp.recorded(), 'i_low/i_low i_low/i_low', '... and nothing came of it');
GRANT i_low TO i_ann;
SELECT alike(pg_temp.acts('i_ann', 'SELECT low.definer(4)'), 'PM703%',
    '... nor if the caller could act as that role: it is not what was chosen');
REVOKE i_low FROM i_ann;
ALTER FUNCTION low.definer OWNER TO i_app;
SELECT is(pg_temp.acts('i_ann', 'SELECT low.definer(4)'), 'true', 'one of who may act for others does');
SELECT is(pg_temp.recorded(), 'i_ann/i_ann i_ann/i_ann', '... and who called it is recorded');
SELECT alike(pg_temp.acts('i_ann', $$SELECT low.definer(5, 'zoe')$$), 'PM703%no grant "impersonate".',
    '... and no other whom it names, for the caller''s role vouches for the name');
SELECT is(pg_temp.acts('i_app', $$SELECT low.definer(5, 'zoe')$$), 'true', '... unless that may as well');
SELECT is(pg_temp.recorded(), 'zoe/i_app zoe/i_app', '... and is recorded beside it');

-- ---- whose word the setting is ----

CREATE FUNCTION pg_temp.configure(replicas integer) RETURNS text LANGUAGE sql AS $$
    SELECT format($f$SELECT changed FROM promote.configure_instance('ecomm-staging-db', '{"replicas": %s}')$f$,
        replicas) $$;
SET LOCAL ROLE i_app;
SELECT low.names('ann.the.reviewer@example.com') \g /dev/null
SELECT throws_like('SELECT promote.current_actor()', 'not allowed: to act as "ann.the.reviewer@example.com"',
    'a name that code of another role has set is not the word of who may name');
SELECT throws_ok(pg_temp.configure(6), 'PM703', NULL, '... with any verb');
SET LOCAL promote.actor = 'zoe';
SELECT is(promote.current_actor(), 'zoe', '... who says it anew');
SELECT low.names('i_app') \g /dev/null
SELECT is(promote.current_actor(), 'i_app', 'one''s own name is one''s own whoever has set it');
RESET promote.actor;
SELECT is(promote.current_actor(), 'i_app', 'and what is taken back is nobody''s');
SAVEPOINT s;
SET LOCAL promote.actor = 'zoe';
SAVEPOINT t;
SELECT low.names('eve') \g /dev/null
ROLLBACK TO t;
SELECT is(promote.current_actor(), 'zoe', 'what is rolled back is not the word of who set it');
ROLLBACK TO s;
CREATE TEMP TABLE i_named (actor text DEFAULT promote.current_actor(),
    role text DEFAULT promote.current_database_role());
SET LOCAL promote.actor = 'zoe';
INSERT INTO i_named DEFAULT VALUES;
SELECT is((SELECT actor || '/' || role FROM i_named), 'zoe/i_app', 'defaults of users'' columns name the same');
SELECT low.names('eve') \g /dev/null
SELECT throws_ok('INSERT INTO i_named DEFAULT VALUES', 'PM703', NULL, '... and nobody else');
RESET promote.actor;
RESET ROLE;

-- a function's SET clause is the word of the role that it runs as
CREATE FUNCTION low.clause() RETURNS text
    LANGUAGE sql SET promote.actor = 'eve' AS $$ SELECT promote.current_actor() $$;
ALTER FUNCTION low.clause OWNER TO i_low;
SELECT is(pg_temp.acts('i_app', 'SELECT low.clause()'), 'eve',
    'an ordinary function acts as its caller, whoever wrote it');
ALTER FUNCTION low.clause SECURITY DEFINER;
SELECT alike(pg_temp.acts('i_app', 'SELECT low.clause()'), 'PM703%role "i_low" has no grant "impersonate".',
    '... but not one with its owner''s rights');

-- ---- after SET ROLE ----

SET LOCAL SESSION AUTHORIZATION i_app;
SELECT promote.current_actor() AS app \gset
RESET SESSION AUTHORIZATION;
GRANT i_ann, i_low TO i_app;
CREATE ROLE i_svc;
INSERT INTO promote.grants (role, action) VALUES ('i_svc', 'impersonate');
INSERT INTO promote.grants (role, action, project) VALUES ('i_svc', 'configure', 'ecomm');
-- before the grant, which from PostgreSQL 16 on keeps what it was given with
ALTER ROLE i_ann NOINHERIT;
GRANT i_svc TO i_ann;
SET LOCAL SESSION AUTHORIZATION i_app;
SELECT is(promote.current_actor(), 'i_app', 'SET SESSION AUTHORIZATION is to log in as another');
SET LOCAL ROLE i_ann;
SELECT is(promote.current_actor() || '/' || promote.current_database_role(), 'i_ann/i_ann',
    'the login needs "impersonate" for SET ROLE to name the person');
SET LOCAL promote.actor = 'zoe';
SELECT throws_like('SELECT promote.current_actor()', 'not allowed: to act as "zoe"',
    'the role that was taken needs it for promote.actor to count, whatever the login may');
RESET promote.actor;
RESET ROLE;
SET LOCAL promote.actor = 'zoe';
SET LOCAL ROLE i_ann;
SELECT throws_like('SELECT promote.current_actor()', 'not allowed: to act as "zoe"',
    '... also where the login has set it');
RESET promote.actor;
RESET ROLE;
RESET SESSION AUTHORIZATION;
SET LOCAL SESSION AUTHORIZATION i_ann;
SET LOCAL ROLE i_svc;
SELECT is(promote.current_actor() || '/' || promote.current_database_role(), 'i_ann/i_svc',
    'a login without it stays the person, whatever the role taken may');
SET LOCAL promote.actor = 'zoe';
SELECT is(promote.current_actor() || '/' || promote.current_database_role(), 'zoe/i_svc',
    '... which names others by the setting');
RESET ROLE;
SET LOCAL promote.actor = 'zoe';
SET LOCAL ROLE i_svc;
SELECT throws_like('SELECT promote.current_actor()', 'not allowed: to act as "zoe"',
    '... if it has made it itself: what was set before SET ROLE is the word of who set it');
RESET promote.actor;
RESET ROLE;
RESET SESSION AUTHORIZATION;

-- a function that takes a role itself
CREATE FUNCTION pg_temp.taken() RETURNS text LANGUAGE sql SET role = 'i_ann' AS $$ SELECT promote.current_actor() || '/'
    || promote.current_database_role() $$;
SELECT is(pg_temp.taken(), 'i_ann/i_ann', 'a function''s SET clause takes a role as SET ROLE does');
ALTER FUNCTION pg_temp.taken() SECURITY DEFINER;
SELECT throws_ok('SELECT pg_temp.taken()', '42501', NULL, '... which a SECURITY DEFINER function may not');

-- ---- what was made before SET ROLE, and is used after ----

SET LOCAL ROLE i_app;
PREPARE who AS SELECT promote.current_actor() || '/' || promote.current_database_role() || ' '
    || promote.may('impersonate') AS name;
DECLARE who CURSOR FOR SELECT promote.current_actor() || '/' || promote.current_database_role() AS name
    FROM generate_series(1, 2);
EXECUTE who \g /dev/null
FETCH who \g /dev/null
RESET ROLE;
SET LOCAL ROLE i_ann;
EXECUTE who \gset prepared_
FETCH who \gset fetched_
RESET ROLE;
SELECT is(:'prepared_name'::text, 'i_ann/i_ann false', 'a prepared statement acts for whoever executes it');
SELECT is(:'fetched_name'::text, 'i_ann/i_ann', '... and so does a cursor for who fetches');

-- ---- triggers of users on their own tables ----

CREATE TABLE low.rows (i integer);
GRANT INSERT, SELECT ON low.rows TO i_ann;
CREATE FUNCTION low.on_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM low.definer(NEW.i);
    RETURN NEW; END $$;
CREATE CONSTRAINT TRIGGER on_row AFTER INSERT ON low.rows DEFERRABLE INITIALLY IMMEDIATE FOR EACH ROW EXECUTE FUNCTION
    low.on_row();
ALTER TABLE low.rows OWNER TO i_low;
ALTER FUNCTION low.definer OWNER TO i_low;
SELECT alike(pg_temp.acts('i_ann', 'INSERT INTO low.rows VALUES (9) RETURNING i'), 'PM703%',
    'a trigger with its owner''s rights does not act for who writes');
SELECT alike(pg_temp.acts('i_ann', 'WITH d AS (INSERT INTO low.rows VALUES (9) RETURNING i) SELECT i FROM d'), 'PM703%',
    '... in no part of a statement');
SET CONSTRAINTS ALL DEFERRED;
SELECT is(pg_temp.acts('i_ann', 'INSERT INTO low.rows VALUES (9) RETURNING i'), '9', 'one that is deferred');
SET LOCAL ROLE i_ann;
SELECT throws_ok('SET CONSTRAINTS ALL IMMEDIATE', 'PM703', NULL, '... does not either');
RESET ROLE;

CREATE FUNCTION low.on_ddl() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN PERFORM promote.configure_instance('ecomm-staging-db',
    '{"replicas": 9}'); END $$;
CREATE EVENT TRIGGER on_ddl ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION low.on_ddl();
SET LOCAL ROLE i_ann;
CREATE TEMP TABLE made ();
RESET ROLE;
DROP EVENT TRIGGER on_ddl;
SELECT is(pg_temp.recorded(), 'i_ann/i_ann i_ann/i_ann', 'an event trigger of a DBA''s acts for whoever it fires for');

SELECT is_empty('SELECT * FROM promote.verify_audit()', 'all that was recorded is in order');
SELECT * FROM finish();
ROLLBACK;
