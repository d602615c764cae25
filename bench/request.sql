-- What bench/request measures: requests over so many items, moved from end to end.

CREATE EXTENSION IF NOT EXISTS promote;
CREATE SCHEMA IF NOT EXISTS bench;

-- A project of so many components, configured in two environments, with something to promote.
CREATE FUNCTION bench.project(name text, items integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO promote.bundle VALUES ('request') ON CONFLICT DO NOTHING;
    INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('request', '1.0.0', '{"type": "object"}') ON CONFLICT DO NOTHING;
    INSERT INTO promote.project (project) VALUES (name);
    INSERT INTO promote.environment (project, environment) VALUES (name, 'staging'), (name, 'production');
    INSERT INTO promote.component (project, component, bundle) SELECT name, 'c' || n, 'request' FROM generate_series(1, items) AS n;
    INSERT INTO promote.instance (project, environment, component)
    SELECT name, e, 'c' || n FROM generate_series(1, items) AS n, unnest(ARRAY['staging', 'production']) AS e;
    INSERT INTO promote.config (project, params) VALUES (name, '{"size": 1, "name": "before"}'), (name, '{"size": 2, "name": "after"}');
    INSERT INTO promote.revision (project, environment, component, digest, version_constraint, plan)
    SELECT i.project, i.environment, i.component,
           promote.config_digest(project.name, CASE i.environment WHEN 'staging' THEN '{"size": 2, "name": "after"}'::jsonb ELSE '{"size": 1, "name": "before"}' END), '1.0.0', false
      FROM promote.instance AS i WHERE i.project = project.name;
END
$$;

-- Carries out what waits; returns how much that was.
CREATE FUNCTION bench.work() RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    claim record;
    done integer := 0;
BEGIN
    LOOP
        SELECT * INTO claim FROM promote.claim_deployment('bench');
        EXIT WHEN NOT FOUND;
        PERFORM promote.complete_deployment(claim.instance, claim.deployment, claim.fencing);
        done := done + 1;
    END LOOP;
    RETURN done;
END
$$;

-- How long this session has worked so far, in microseconds: its time on a processor, which others on the machine do not
-- lengthen, or the clock's where the kernel does not tell.
CREATE FUNCTION bench.worked() RETURNS double precision LANGUAGE plpgsql AS $$
BEGIN
    RETURN split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)::double precision / 1000;
EXCEPTION WHEN OTHERS THEN
    RETURN extract(epoch FROM clock_timestamp()) * 1e6;
END
$$;

CREATE TABLE bench.request_time (strategy text, items integer, step text, microseconds double precision);

-- One step of a request, as a transaction of its own, with how long each item took.
CREATE PROCEDURE bench.step(strategy text, items integer, step text, statement text, divided_by integer) LANGUAGE plpgsql AS $$
DECLARE
    began double precision := bench.worked();
BEGIN
    EXECUTE statement;
    INSERT INTO bench.request_time VALUES (strategy, items, step, (bench.worked() - began) / divided_by);
    COMMIT;
END
$$;

-- A request whose items all go in one wave, step by step.
CREATE PROCEDURE bench.together(name text, items integer, strategy text) LANGUAGE plpgsql AS $$
DECLARE
    advance text := format('SELECT promote.advance_request(%L, 1)', name);
BEGIN
    PERFORM bench.project(name, items);
    COMMIT;
    CALL bench.step(strategy, items, 'open', format('SELECT promote.open_request(%L, ''staging'', ''production'', strategy => %L, waves => %L)',
        name, strategy, CASE strategy WHEN 'waves' THEN to_jsonb(ARRAY[items]) END), items);
    CALL bench.step(strategy, items, 'preview', format('SELECT count(*) FROM promote.preview_request(%L, 1)', name), items);
    CALL bench.step(strategy, items, 'begin and stage', advance, items);
    CALL bench.step(strategy, items, 'wait', advance, items);
    PERFORM bench.work();
    COMMIT;
    CALL bench.step(strategy, items, 'deploy', advance, items);
    PERFORM bench.work();
    COMMIT;
    CALL bench.step(strategy, items, 'verify and end', advance, items);
    IF (SELECT status FROM promote.promotion_request WHERE project = together.name) <> 'COMPLETED' THEN
        RAISE 'the request did not come to its end';
    END IF;
END
$$;

-- A request whose items go one by one, drained by an advance and a worker in turns: the time of the advances alone.
CREATE PROCEDURE bench.one_by_one(name text, items integer) LANGUAGE plpgsql AS $$
DECLARE
    began double precision;
    spent double precision := 0;
    result text := 'OPEN';
BEGIN
    PERFORM bench.project(name, items);
    PERFORM promote.open_request(name, 'staging', 'production');
    PERFORM promote.preview_request(name, 1);
    PERFORM promote.advance_request(name, 1);
    COMMIT;
    WHILE result <> 'COMPLETED' LOOP
        PERFORM bench.work();
        COMMIT;
        began := bench.worked();
        SELECT status INTO result FROM promote.advance_request(name, 1);
        COMMIT;
        spent := spent + bench.worked() - began;
    END LOOP;
    INSERT INTO bench.request_time VALUES ('one_by_one', items, 'drain', spent / items);
END
$$;
