-- Verifying everything in parts: parallel workers find what one process does, slices find what the whole does, little
-- is written to disk, and it can be stopped.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
SET LOCAL promote.actor = 'ada';
DO $$
BEGIN
    FOR number IN 1 .. 200 LOOP
        PERFORM promote.configure_instance('ecomm-production-db', jsonb_build_object('replicas', number % 2));
    END LOOP;
END
$$;
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'all is whole');

-- ---- how it is divided ----
SET LOCAL max_parallel_workers_per_gather = 0;
SELECT is((SELECT count(*) FROM promote_internal.verify_parts(NULL, NULL, NULL)), 2::bigint,
    'what is small has two parts, chains and rows');
SET LOCAL min_parallel_table_scan_size = 0;
SELECT cmp_ok((SELECT count(*) FROM promote_internal.verify_parts(p, NULL, NULL) AS part WHERE part ~ what), '>',
    1::bigint, 'of smaller parts there are several, of ' || concat_ws(' of project ', what, p))
    FROM unnest('{ecomm,NULL}'::text[]) AS p, unnest('{verify_chains,verify_rows}'::text[]) AS what;
CREATE TEMP TABLE part ON COMMIT DROP AS SELECT part FROM promote_internal.verify_parts(NULL, NULL, NULL) AS part;
SELECT is((SELECT count(DISTINCT part) FROM part WHERE part ~ '''deployment'''), 0::bigint, 'no table is named apart');
CREATE FUNCTION pg_temp.plan_of_parts() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    line text;
    lines text := '';
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) '
        || (SELECT string_agg(replace(replace(part, '$1', 'sha256(''key'')'), '$2', 'NULL'), ' UNION ALL ') FROM part)
    LOOP
        lines := lines || line || E'\n';
    END LOOP;
    RETURN lines;
END
$$;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL max_parallel_workers_per_gather = 4;
SELECT matches(pg_temp.plan_of_parts(), 'Gather.*Parallel Append.*verify_chains.*verify_chains.*verify_rows',
    'parallel workers share the parts');
SELECT is_empty('SELECT * FROM promote.verify_audit()', '... and find nothing wrong');
SELECT is_empty('SELECT * FROM promote.verify_audit(project => ''ecomm'')', '... in a project');

-- ---- the same is found in whichever way ----
SELECT promote.configure_instance('ecomm-production-db', '{"tier": "gold"}') \g /dev/null
SET CONSTRAINTS ALL IMMEDIATE;
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT unnest('{audit_log,revision,deployment,config,instance,environment}'::text[]) LOOP
        EXECUTE format('ALTER TABLE promote.%I DISABLE TRIGGER ALL', name);
    END LOOP;
    ALTER TABLE promote.audit_log DROP CONSTRAINT audit_log_check, ALTER COLUMN actor DROP NOT NULL,
        ALTER COLUMN hash DROP NOT NULL;
END
$$;
-- What one way of verifying finds but for guards.
CREATE FUNCTION pg_temp.found(how text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found text;
BEGIN
    EXECUTE 'SELECT string_agg(concat_ws('': '', v.project, v.subject, v.seq, v.problem), E''\n'' ORDER BY v.project, '
        'v.subject, v.seq, v.problem) FROM ' || how || ' WHERE v.subject !~ ''^trigger ''' INTO found;
    RETURN COALESCE(found, 'nothing');
END
$$;
-- All ways, after a statement.
CREATE FUNCTION pg_temp.ways(statement text) RETURNS TABLE (way text, found text) LANGUAGE plpgsql AS $$
DECLARE
    ways jsonb;
BEGIN
    SET LOCAL max_parallel_workers_per_gather = 4;
    SET LOCAL min_parallel_table_scan_size = 0;
    EXECUTE statement;
    ways := jsonb_build_object('parallel', pg_temp.found('promote.verify_audit() AS v'));
    SET LOCAL max_parallel_workers_per_gather = 0;
    ways := ways || jsonb_build_object('in many parts', pg_temp.found('promote.verify_audit() AS v'));
    SET LOCAL min_parallel_table_scan_size = '8MB';
    ways := ways || jsonb_build_object('at once', pg_temp.found('promote.verify_audit() AS v'),
        'by project', pg_temp.found('unnest(''{ecomm,other,*}''::text[]) AS p CROSS JOIN LATERAL '
            'promote.verify_audit(project => p) AS v'),
        'by slices', pg_temp.found('promote.audit_slices(chains => 3) AS s CROSS JOIN LATERAL promote.verify_audit('
            'project => s.project, from_subject => s.from_subject, to_subject => s.to_subject) AS v'),
        'by subject', pg_temp.found('(SELECT DISTINCT subject FROM (SELECT subject FROM promote.audit_log UNION SELECT '
            'name FROM promote.instance UNION SELECT subject FROM promote_internal.recorded_rows()) AS s) AS s CROSS '
            'JOIN LATERAL promote.verify_audit(s.subject) AS v'));
    RAISE SQLSTATE 'UNDO1' USING MESSAGE = ways;
EXCEPTION WHEN SQLSTATE 'UNDO1' THEN
    RETURN QUERY SELECT * FROM jsonb_each_text(SQLERRM::jsonb);
END
$$;
CREATE TEMP TABLE tampered ON COMMIT DROP AS
SELECT t.*, w.* FROM (VALUES
    ('SELECT 1', '^nothing$'),
    ('UPDATE promote.audit_log SET event = ''x'' WHERE @ = 5', '5: the row was changed'),
    ('UPDATE promote.audit_log SET actor = NULL WHERE @ = 5', '5: the row was changed'),
    ('UPDATE promote.audit_log SET hash = NULL WHERE @ = 5', '5: the row was changed'),
    ('UPDATE promote.audit_log SET rows = ''[1]'' WHERE @ = 6', '6: the row was changed'),
    ('UPDATE promote.audit_log SET data = ''7'' WHERE @ = 6', '6: the row was changed'),
    ('DELETE FROM promote.audit_log WHERE @ IN (100, 101)', '102: rows were removed before it: 100 to 101'),
    ('DELETE FROM promote.audit_log WHERE @ > 0', 'there is such a row, and nothing records it'),
    ('UPDATE promote.revision SET message = ''x'' WHERE environment = ''production'' AND revision = 150',
        'db: [0-9]+: revision ecomm/production/db/150: the row is not what it records'),
    ('DELETE FROM promote.deployment WHERE environment = ''production'' AND deployment = 150',
        'deployment ecomm/production/db/150: the row that it records is not there'),
    ('INSERT INTO promote.revision SELECT (jsonb_populate_record(r, ''{"revision": 999}'')).* FROM promote.revision AS '
        'r '
        'WHERE environment = ''production'' AND revision = 150',
        'revision ecomm/production/db/999: there is such a row, and nothing records it'),
    ('UPDATE promote.environment SET description = ''x'' WHERE environment = ''production''',
        'environment ecomm/production: 1: the row is not what it records'),
    ('DELETE FROM promote.config WHERE params ->> ''tier'' = ''gold''',
        ': its configuration is not there or was changed'),
    ('UPDATE promote.config SET params = ''{}'' WHERE params ->> ''tier'' = ''gold''',
        ': its configuration is not there or was changed')) AS t (statement, problem)
 CROSS JOIN LATERAL pg_temp.ways(replace(t.statement, '@', 'subject = ''ecomm-production-db'' AND seq')) AS w;
SELECT matches(found, problem, way || ': ' || statement) FROM tampered ORDER BY statement, way;
SELECT is(count(DISTINCT found), 1::bigint, 'found in all ways: ' || statement) FROM tampered GROUP BY statement
    ORDER BY statement;

-- ---- a row that is told of again long after ----
-- Sums remember so many words; what is let go and said again is compared by itself.
CREATE FUNCTION pg_temp.tell(rows jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO promote.audit_log SELECT a.project, a.subject, a.seq + 1, a.at, a.actor, a.database_role, 'test.told',
        '{}',
           $1, a.hash, promote.audit_hash(a.project, a.subject, a.seq + 1, a.at, a.actor, a.database_role, 'test.told',
                                          '{}', $1, a.hash)
      FROM promote.audit_log AS a WHERE a.subject = 'ecomm-production-db' ORDER BY a.seq DESC LIMIT 1
$$;
SELECT n.name, n.digest FROM promote_internal.recorded_rows('ecomm-production-db') AS n
    WHERE n.name ~ '^revision .*/7$' \gset
CREATE FUNCTION pg_temp.tell_of_many() RETURNS void LANGUAGE sql AS $$
    SELECT pg_temp.tell((SELECT jsonb_object_agg('nothing ' || n, NULL) FROM generate_series(1, 40000) AS n))
$$;
SELECT pg_temp.tell(jsonb_build_object(:'name', 'another')), pg_temp.tell_of_many() \g /dev/null
SELECT is(pg_temp.found('promote.verify_audit() AS v'), 'ecomm: ecomm-production-db: 405: ' || :'name'
    || ': the row is not what it records', 'what was said long before the end');
SELECT pg_temp.tell(jsonb_build_object(:'name', rtrim(encode(decode(:'digest', 'hex'), 'base64'), '='))) \g /dev/null
SELECT is(pg_temp.found('promote.verify_audit() AS v'), 'nothing', '... and was put right at the end');
SELECT pg_temp.tell_of_many(), pg_temp.tell(jsonb_build_object(:'name', NULL)) \g /dev/null
SELECT is(pg_temp.found('promote.verify_audit() AS v'), 'ecomm: ecomm-production-db: 409: ' || :'name'
    || ': the row that it says was deleted is there', '... and is gone at last');

-- ---- what it writes ----
-- The blocks of temporary files that a query has written, also within functions.
CREATE FUNCTION pg_temp.temporary_blocks(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ' || query INTO plan;
    RETURN plan -> 0 -> 'Plan' ->> 'Temp Written Blocks';
END
$$;
ANALYZE; -- whatever a concurrent autovacuum has done of the catalog, in which the guards are found
SET LOCAL work_mem = '64kB';
DELETE FROM promote.audit_log WHERE event = 'test.told';
SELECT is(pg_temp.found('promote.verify_audit() AS v'), 'nothing', 'all is whole again');
SELECT pg_temp.temporary_blocks('SELECT * FROM promote.verify_audit(project => ''*'')') AS of_few \gset
SELECT cmp_ok(pg_temp.temporary_blocks('SELECT a.* FROM promote.audit_log AS a ORDER BY a.data'), '>',
    20::bigint, 'sorting the log is more than there is memory for');
SELECT is(pg_temp.temporary_blocks('SELECT * FROM promote.verify_audit()'), :of_few::bigint,
    'verifying it writes no more to disk than finding the guards does');
RESET work_mem;

-- ---- stopping it ----
CREATE FUNCTION pg_temp.stopped(query text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE query;
    RETURN 'not stopped';
EXCEPTION WHEN query_canceled THEN
    RETURN 'stopped';
END
$$;
DO $$
BEGIN
    FOR times IN 1 .. 20 LOOP
        PERFORM pg_temp.tell_of_many();
    END LOOP;
END
$$;
SET LOCAL statement_timeout = '200ms';
SELECT is(pg_temp.stopped('SELECT promote.verify_audit()'), 'stopped', 'a timeout stops it');
SET LOCAL statement_timeout = 0;

-- ---- what is refused ----
SELECT pg_temp.refuses(call, 'PM404', 'No project is named', call) FROM unnest(ARRAY[
    'SELECT promote.verify_audit(from_subject => ''a'')', 'SELECT promote.verify_audit(to_subject => ''a'')']) AS call;

SELECT * FROM finish();
ROLLBACK;
