-- What a session reads, and keeps, to refuse what is archived: of the environments that it asks about, however many are
-- over, and each once.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
INSERT INTO promote.project (project) VALUES ('pr');
SET LOCAL row_security = off; -- they are loaded as a dump is
INSERT INTO promote.environment (project, environment, opened_at, archived_at)
SELECT 'pr', 'e' || n, now(), now() FROM generate_series(1, 5000) AS n;
SET LOCAL row_security = on;

-- What comes of a verb in an environment: that so often.
CREATE FUNCTION pg_temp.refused(environment text, times integer DEFAULT 1) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    state text;
BEGIN
    FOR i IN 1 .. times LOOP
        BEGIN
            PERFORM promote.abort_deployment('pr-' || environment || '-db', 1);
        EXCEPTION WHEN OTHERS THEN
            state := SQLSTATE;
        END;
    END LOOP;
    RETURN state;
END
$$;
-- How many rows of environments were read.
CREATE FUNCTION pg_temp.read() RETURNS bigint LANGUAGE sql AS $$
    SELECT seq_tup_read + COALESCE(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables
     WHERE relid = 'promote.environment'::regclass
$$;

SELECT pg_temp.read() AS before \gset
SELECT is(pg_temp.refused('e1', 100), 'PM006', 'what is archived is refused');
SELECT is(pg_temp.read() - :before, 1::bigint,
    'a hundred verbs read one row, among thousands of archived environments');
SELECT is(pg_temp.refused('e2'), 'PM006', 'and another one');
SELECT is(pg_temp.read() - :before, 2::bigint, '... another row');
SELECT is(pg_temp.refused('x'), 'PM002', 'what is not there is not archived');

-- ---- what is kept ----
CREATE FUNCTION pg_temp.kept() RETURNS numeric LANGUAGE sql AS $$
    SELECT sum(total_bytes) FROM pg_backend_memory_contexts WHERE 'promote archived environments' IN (name, ident)
$$;
SELECT is((SELECT count(*) FROM generate_series(1, 5000) AS n WHERE pg_temp.refused('e' || n) = 'PM006'), 5000::bigint,
    'thousands that are asked about');
SELECT cmp_ok(pg_temp.kept(), '<', 500000::numeric, '... are not all kept');
SELECT cmp_ok(pg_temp.kept(), '>', 0::numeric, '... but some');

SELECT finish();
ROLLBACK;
