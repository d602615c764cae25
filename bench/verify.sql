-- What bench/verify works on: a history of which every chain is true, loaded as a dump is.
\set QUIET on

-- The hash of an audit row, as the state of an aggregate that goes along a chain.
CREATE FUNCTION bench.link(previous bytea, a promote.audit_log) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT promote.audit_hash(a.project, a.subject, a.seq, a.at, a.actor, a.database_role, a.event, a.data, a.rows, previous)
$$;
CREATE AGGREGATE bench.chain(promote.audit_log) (SFUNC = bench.link, STYPE = bytea);

-- Instances with so many revisions each. A revision has four events, as those have that are planned, and every tenth
-- a document of 2 KB.
CREATE FUNCTION bench.history(tag text, tenants integer, each integer) RETURNS void LANGUAGE plpgsql SET row_security = off AS $$
BEGIN
    INSERT INTO promote.environment (project, environment) SELECT 'bench', tag || t FROM generate_series(1, tenants) AS t;
    INSERT INTO promote.instance (project, environment, component, revision, deployment, version_constraint, release_channel)
    SELECT 'bench', tag || t, 'c4', each, each, '1.0.0', 'stable' FROM generate_series(1, tenants) AS t;
    INSERT INTO promote.config (project, params)
    SELECT 'bench', bench.document(2) || jsonb_build_object('tenant', tag || t, 'revision', r)
      FROM generate_series(1, tenants) AS t, generate_series(0, each, 10) AS r;
    CREATE TEMP TABLE document ON COMMIT DROP AS
        SELECT params ->> 'tenant' AS environment, (params -> 'revision')::integer AS revision, digest FROM promote.config
         WHERE project = 'bench' AND params ? 'tenant';
    INSERT INTO promote.revision (project, environment, component, revision, digest, version_constraint, bundle, version)
    SELECT 'bench', d.environment, 'c4', r, d.digest, '1.0.0', 'bench', '1.0.0'
      FROM document AS d, generate_series(greatest(d.revision, 1), least(d.revision + 9, each)) AS r
     WHERE d.environment ~ ('^' || tag || '[0-9]+$');
    INSERT INTO promote.deployment (project, environment, component, deployment, action, revision, bundle, version,
                                    rendered_digest, diff, status, worker, fencing, queued_at, started_at, finished_at)
    SELECT r.project, r.environment, r.component, r.revision, 'PLAN', r.revision, r.bundle, r.version, r.digest,
           '[{"path": ".replicas", "change": "change", "old": 1, "new": 2}]', 'COMPLETED', 'bench', 1, now(), now(), now()
      FROM promote.revision AS r WHERE r.project = 'bench' AND r.environment ~ ('^' || tag || '[0-9]+$');
    CREATE TEMP TABLE said ON COMMIT DROP AS
        SELECT n.name, rtrim(encode(decode(n.digest, 'hex'), 'base64'), '=') AS digest FROM promote_internal.recorded_rows(NULL, 'bench') AS n WHERE n.name <> n.subject;
    INSERT INTO promote.audit_log (project, subject, seq, at, actor, database_role, event, data, rows, previous_hash, hash)
    SELECT (c.event).project, (c.event).subject, (c.event).seq, (c.event).at, (c.event).actor, (c.event).database_role,
           (c.event).event, (c.event).data, (c.event).rows, lag(c.hash) OVER chain, c.hash
      FROM (SELECT e.event, bench.chain(e.event) OVER (PARTITION BY (e.event).subject ORDER BY (e.event).seq) AS hash
              FROM (SELECT ROW('bench', 'bench-' || r.environment || '-c4', 4 * (r.revision - 1) + n.number, now(), 'bench',
                               'bench', n.event, CASE n.number
                                   WHEN 1 THEN promote_internal.audit_facts(r)
                                   WHEN 2 THEN promote_internal.audit_facts(d)
                                   ELSE jsonb_build_object('deployment', d.deployment, 'worker', 'bench', 'fencing', 1) END
                               || '{"actor": "bench", "database_role": "bench"}' - '{project,environment,component}'::text[],
                               CASE WHEN n.number > 1 THEN
                                   jsonb_build_object('salt', left(s.digest, 22), 'deployment/' || r.revision, t.digest,
                                                      'instance', i.digest)
                                   || CASE n.number WHEN 2 THEN jsonb_build_object('revision/' || r.revision, s.digest)
                                                    ELSE '{}' END END,
                               NULL, NULL, NULL, NULL)::promote.audit_log AS event
                      FROM promote.revision AS r
                      JOIN promote.deployment AS d ON (d.project, d.environment, d.component, d.deployment)
                           = (r.project, r.environment, r.component, r.revision)
                      JOIN said AS s ON s.name = concat_ws('/', 'revision bench', r.environment, 'c4', r.revision)
                      JOIN said AS t ON t.name = concat_ws('/', 'deployment bench', r.environment, 'c4', r.revision)
                      JOIN said AS i ON i.name = concat_ws('/', 'instance bench', r.environment, 'c4')
                     CROSS JOIN (VALUES (1, 'revision.created'), (2, 'deployment.created'), (3, 'deployment.started'),
                                        (4, 'deployment.completed')) AS n (number, event)
                     WHERE r.project = 'bench' AND r.environment ~ ('^' || tag || '[0-9]+$')
                   ) AS e) AS c
    WINDOW chain AS (PARTITION BY (c.event).subject ORDER BY (c.event).seq);
END
$$;

-- The floor: the same rows are read, and of the text of each a SHA-256 is made.
CREATE FUNCTION bench.read_all() RETURNS bigint LANGUAGE sql SET enable_seqscan = on AS $$
    SELECT sum(length(sha256(convert_to(a::text, 'UTF8')))) FROM promote.audit_log AS a;
    SELECT sum(length(sha256(convert_to(r::text, 'UTF8')))) FROM promote.revision AS r;
    SELECT sum(length(sha256(convert_to(d::text, 'UTF8')))) FROM promote.deployment AS d;
    SELECT sum(length(sha256(convert_to(c::text, 'UTF8')))) FROM promote.config AS c
$$;
