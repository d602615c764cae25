-- The library serves scripts of its own version and of older ones. Versions are written into the catalog by hand here,
-- with a function that is made afterwards, as the script of an update would; two real builds are in
-- test/t/extension_update.pl.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql

-- Has the catalog say another version of the extension, as ALTER EXTENSION would.
CREATE FUNCTION pg_temp.become(version text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE pg_catalog.pg_extension SET extversion = version WHERE extname = 'promote';
    CREATE OR REPLACE FUNCTION pg_temp.changed() RETURNS void LANGUAGE sql AS 'SELECT';
END
$$;

-- The SQLSTATE, message, DETAIL and HINT of a call under a version.
CREATE FUNCTION pg_temp.told(version text, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    message text;
    detail text;
    hint text;
BEGIN
    PERFORM pg_temp.become(version);
    EXECUTE statement;
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n', SQLSTATE, message, detail, hint);
END
$$;
\set edit 'SELECT FROM promote.configure_instance($$ecomm-staging-db$$, $${"replicas": 3}$$)'
SELECT extversion AS version FROM pg_catalog.pg_extension WHERE extname = 'promote' \gset

SELECT is(pg_temp.told(:'version', :'edit'), 'done', 'its own version is served');
SELECT is(pg_temp.told('0.0.9', :'edit'), format(E'PM801\nthe extension promote is of version 0.0.9 in this database, '
    'and this needs 0.1.0\nThe library that is loaded is of version %s.\nHave the extension''s owner run, in this '
    'database: ALTER EXTENSION promote UPDATE', :'version'), 'an older one than any that was released is not');
SELECT is(pg_temp.told('99.0.0', :'edit'), format(E'PM802\nthe extension promote is of version 99.0.0 in this '
    'database, and the library that is loaded of %s\nA library serves what is as old as it is, or older.\nHave the '
    'package of version 99.0.0 or newer on this server, and connect again.', :'version'), 'a newer one is not');
SELECT matches(pg_temp.told(v, :'edit'), s, v || ' is ' || s)
  FROM (VALUES ('0.0.10000', 'PM801'), ('0.0.99999', 'PM801'), ('0.1', 'PM801'), ('0.1.0-rc.1', 'PM801'),
               ('unpackaged', 'PM801'), ('', 'PM801'), ('1.0.0', 'PM802'), ('0.99999.0', 'PM802'),
               ('99999.99999.99999', 'PM802')) AS t (v, s);
SELECT is(pg_temp.told('99.0.0', s), 'done', 'what reads no table does not ask: ' || s)
  FROM unnest(ARRAY['SELECT promote.jsonb_digest($${}$$)', 'SELECT promote.is_version($$1.0.0$$)']) AS s;
SELECT matches(pg_temp.told('99.0.0', s), '^PM802', 'all that does asks: ' || s)
  FROM unnest(ARRAY['SELECT * FROM promote.verify_audit()', 'SELECT * FROM promote.blockers($$ecomm-staging-db$$)',
       'INSERT INTO promote.project (project) VALUES ($$other$$)',
       'SELECT promote.grant_action($$nobody$$, $$view$$)']) AS s;

SELECT pg_temp.become('99.0.0') \g /dev/null
SELECT throws_ok(:'edit', 'PM802', NULL, 'it holds for what comes after, time ' || n) FROM generate_series(1, 3) AS n;
SELECT pg_temp.become('0.0.9') \g /dev/null
SELECT throws_ok(:'edit', 'PM801', NULL, '... and so for an older one, time ' || n) FROM generate_series(1, 3) AS n;
SELECT pg_temp.become(:'version') \g /dev/null
SELECT lives_ok(:'edit', '... until the catalog says something else');
SELECT * FROM finish();
ROLLBACK;
