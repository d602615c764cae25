-- However many rows there are, each is looked at as often: without statistics, as after a restore.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/long.sql
CREATE FUNCTION pg_temp.load(name text, rows integer) RETURNS void LANGUAGE sql AS $$
    SELECT pg_temp.long_instance(name, rows, rows);
    SELECT pg_temp.long_deployments(name, 'production', 'PLAN', 'ABORTED', 1, 3, rows);
    INSERT INTO promote.component (project, component, bundle)
    SELECT 'long', name || n, 'long' FROM generate_series(1, rows / 10) AS n;
    INSERT INTO promote.component_dependency (project, component, depends_on)
    SELECT 'long', name || n, name || n - 1 FROM generate_series(2, rows / 10) AS n;
    INSERT INTO promote.instance (project, environment, component)
    SELECT 'long', 'production', name || n FROM generate_series(1, rows / 10) AS n;
$$;
SET CONSTRAINTS ALL IMMEDIATE;
SELECT pg_temp.load('few', 3000) \g /dev/null
SELECT pg_temp.pages('SELECT * FROM promote.check_invariants()') \g /dev/null
SELECT pg_temp.pages('SELECT * FROM promote.check_invariants()') AS few \gset
SELECT pg_temp.load('many', 9000) \g /dev/null
SELECT pg_temp.pages('SELECT * FROM promote.check_invariants()') AS many \gset
SELECT cmp_ok(:many, '<=', 6 * :few, 'four times the rows are four times the pages');
-- they are loaded with any digests
SELECT is((SELECT string_agg(DISTINCT invariant || ': ' || regexp_replace(detail, E'\\d+', 'n'), ' ')
             FROM promote.check_invariants()),
    'deployment: deployment n is not the plan that it follows', 'all of it is looked at');

-- ---- stopping it ----
CREATE FUNCTION pg_temp.stopped(query text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE query;
    RETURN 'not stopped';
EXCEPTION WHEN query_canceled THEN
    RETURN 'stopped';
END
$$;
SET LOCAL statement_timeout = '5ms';
SELECT is(pg_temp.stopped('SELECT promote.check_invariants()'), 'stopped', 'a timeout stops it');

SELECT * FROM finish();
ROLLBACK;
