-- What benches of long histories share, in the schema bench: loading as a dump is loaded, and the time that a statement
-- takes of the processor.

-- Loads as a dump does: without triggers, and with the indexes made at the end. What they were is kept beside them.
CREATE TABLE bench.set_aside (relation regclass, trigger name, enabled "char");
CREATE TABLE bench.big AS SELECT unnest('{promote.revision,promote.deployment,promote.audit_log}'::regclass[]) AS relation;
CREATE PROCEDURE bench.begin_load() LANGUAGE plpgsql AS $$
DECLARE
    r regclass;
BEGIN
    INSERT INTO bench.set_aside SELECT tgrelid, tgname, tgenabled FROM pg_trigger JOIN bench.big ON relation = tgrelid;
    FOR r IN SELECT relation FROM bench.big LOOP
        EXECUTE format('ALTER TABLE %s DISABLE TRIGGER ALL', r);
    END LOOP;
    UPDATE pg_index SET indisvalid = false, indisready = false WHERE indrelid IN (SELECT relation FROM bench.big);
END
$$;
CREATE PROCEDURE bench.end_load() LANGUAGE plpgsql AS $$
DECLARE
    t record;
BEGIN
    -- what it rebuilds is valid from then on
    SET LOCAL maintenance_work_mem = '1GB';
    FOR t IN SELECT relation FROM bench.big LOOP
        EXECUTE format('REINDEX TABLE %s', t.relation);
    END LOOP;
    FOR t IN SELECT * FROM bench.set_aside LOOP
        EXECUTE format('ALTER TABLE %s %s TRIGGER %I', t.relation,
            CASE t.enabled WHEN 'A' THEN 'ENABLE ALWAYS' WHEN 'R' THEN 'ENABLE REPLICA' WHEN 'D' THEN 'DISABLE' ELSE 'ENABLE' END, t.trigger);
    END LOOP;
    TRUNCATE bench.set_aside;
END
$$;

-- How long this session has computed, in microseconds: other than by a clock, what else runs makes it hardly longer. What it
-- has used is counted when it lets go of the processor.
CREATE FUNCTION bench.computed() RETURNS float8 LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_sleep(0.0001);
    RETURN split_part(pg_read_file('/proc/' || pg_backend_pid() || '/schedstat', 0, 1000, true), ' ', 1)::float8 / 1000;
END
$$;
