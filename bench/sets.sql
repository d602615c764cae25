-- What the benchmark of sets works on: instances in groups, and the same rows without the logic.
\set QUIET on

-- A group of so many instances of c4, in environments of their own, and their twins.
CREATE PROCEDURE bench.group(name text, count integer) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO promote.environment (project, environment) SELECT 'bench', name || t FROM generate_series(1, count) AS t;
    INSERT INTO promote.instance (project, environment, component)
    SELECT 'bench', name || t, 'c4' FROM generate_series(1, count) AS t;
    INSERT INTO bench.instance (project, environment, component)
    SELECT 'bench', name || t, 'c4' FROM generate_series(1, count) AS t;
END
$$;

-- Configurations that a group gets: one for all, or one of its own for each.
CREATE FUNCTION bench.params(round integer, t integer) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT s.params || jsonb_build_object('replicas', 1000 * round + t) FROM bench.sample AS s WHERE s.kb = 4
$$;
CREATE TABLE bench.given (round integer, t integer, digest bytea, PRIMARY KEY (round, t));
CREATE PROCEDURE bench.store(round integer, count integer) LANGUAGE sql AS $$
    INSERT INTO promote.config (project, params)
    SELECT 'bench', bench.params(round, t) FROM generate_series(0, count) AS t ON CONFLICT DO NOTHING;
    INSERT INTO bench.given
    SELECT round, t, promote.config_digest('bench', bench.params(round, t)) FROM generate_series(0, count) AS t
$$;

-- A revision for each instance of a group, by one statement.
CREATE PROCEDURE bench.insert(name text, count integer, given_in integer, own boolean) LANGUAGE sql AS $$
    INSERT INTO promote.revision (project, environment, component, digest, version_constraint)
    SELECT 'bench', name || t.t, 'c4', g.digest, '1.0.0'
      FROM generate_series(1, count) AS t (t)
      JOIN bench.given AS g ON g.round = given_in AND g.t = CASE WHEN own THEN t.t ELSE 0 END
$$;

-- The rows that a round has written for a group, written to the twins: one statement for each table.
CREATE PROCEDURE bench.insert_floor(name text, round integer) LANGUAGE plpgsql AS $$
DECLARE
    mine text := name || '%';
BEGIN
    INSERT INTO bench.config
    SELECT c.* FROM promote.config AS c WHERE EXISTS (
        SELECT FROM promote.revision AS r WHERE r.digest = c.digest AND r.environment LIKE mine AND r.revision = round)
        ON CONFLICT DO NOTHING;
    INSERT INTO bench.revision SELECT * FROM promote.revision WHERE environment LIKE mine AND revision = round;
    UPDATE bench.instance AS b SET revision = i.revision, deployment = i.deployment,
           version_constraint = i.version_constraint, release_channel = i.release_channel
      FROM promote.instance AS i WHERE i.environment LIKE mine
       AND b.project = i.project AND b.environment = i.environment AND b.component = i.component;
    INSERT INTO bench.deployment SELECT * FROM promote.deployment WHERE environment LIKE mine AND revision = round;
    INSERT INTO bench.audit_log
    SELECT a.* FROM promote.instance AS i
     CROSS JOIN LATERAL (SELECT a.* FROM promote.audit_log AS a WHERE a.project = i.project AND a.subject = i.name
                          ORDER BY a.seq DESC LIMIT 2) AS a
     WHERE i.environment LIKE mine;
    PERFORM pg_notify('bench', i.name) FROM bench.instance AS i WHERE i.environment LIKE mine;
END
$$;

-- What the session's own memory came to, in MB.
CREATE FUNCTION bench.peak() RETURNS integer LANGUAGE sql AS $$
    SELECT (substring(s, 'VmHWM:\s+(\d+)')::integer - substring(s, 'RssShmem:\s+(\d+)')::integer) / 1024
      FROM pg_read_file('/proc/self/status') AS s
$$;
