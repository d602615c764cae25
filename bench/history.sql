-- For bench/history, behind setup.sql: a hundred instances of a project with a history that is loaded as a dump is, the
-- questions that are asked of it, and what a promotion leaves behind.
INSERT INTO promote.project VALUES ('old');
INSERT INTO promote.environment (project, environment) VALUES ('old', 'staging'), ('old', 'production');
INSERT INTO promote.component (project, component, bundle) SELECT 'old', 'c' || c, 'bench' FROM generate_series(1, 50) AS c;
INSERT INTO promote.config (project, params)
SELECT 'old', bench.document(4) || jsonb_build_object('replicas', n) FROM generate_series(0, 99) AS n;
CREATE TABLE bench.old_config AS
SELECT row_number() OVER () - 1 AS n, digest FROM promote.config WHERE project = 'old';
ALTER TABLE bench.old_config ADD PRIMARY KEY (n);

-- The instances, with the counters that they have in the end. What is loaded first is the end of their histories, so that
-- they are the same instances however much of them is there.
CREATE FUNCTION bench.old_instances(revisions integer) RETURNS void LANGUAGE sql SET row_security = off AS $$
    INSERT INTO promote.instance (project, environment, component, status, revision, deployment, version_constraint,
                                  release_channel, deployed_revision, deployed_by, changed_by)
    SELECT 'old', e, 'c' || c, 'PROVISIONED', revisions, 2 * revisions, '1.0.0', 'stable', revisions, 2 * revisions, 2 * revisions
      FROM unnest(ARRAY['staging', 'production']) AS e, generate_series(1, 50) AS c
$$;

\ir load.sql

-- Revisions of all of them in the order of their times, a hundred a week: each with its plan and its deployment, and two
-- rows of the log.
CREATE FUNCTION bench.old_history(first integer, last integer, newest integer) RETURNS void LANGUAGE plpgsql
    SET row_security = off SET session_replication_role = replica AS $$
BEGIN
    CREATE TEMP TABLE loaded ON COMMIT DROP AS
    SELECT e AS environment, 'c' || c AS component, r, now() - (newest - r) * interval '1.6 hours' AS at, f.digest
      FROM generate_series(first, last) AS r
      JOIN bench.old_config AS f ON f.n = r % 100,
           unnest(ARRAY['staging', 'production']) AS e, generate_series(1, 50) AS c
     ORDER BY r;
    INSERT INTO promote.revision (project, environment, component, revision, digest, version_constraint, bundle, version, origin,
                                  source_environment, source_revision, mode, actor, database_role, created_at)
    SELECT 'old', l.environment, l.component, l.r, l.digest, '1.0.0', 'bench', '1.0.0',
           CASE l.environment WHEN 'staging' THEN 'edit' ELSE 'promotion' END, CASE l.environment WHEN 'production' THEN 'staging' END,
           CASE l.environment WHEN 'production' THEN l.r END, CASE l.environment WHEN 'production' THEN 'replace' END, 'bench', 'bench', l.at
      FROM loaded AS l;
    INSERT INTO promote.deployment (project, environment, component, deployment, action, revision, base_deployment, base_revision,
                                    bundle, version, rendered_digest, diff, status, plan, worker, fencing, seen_change, actor,
                                    database_role, created_at, queued_at, started_at, finished_at, plan_digest)
    SELECT 'old', l.environment, l.component, 2 * l.r - 1 + s, CASE s WHEN 0 THEN 'PLAN' ELSE 'PROVISION' END, l.r,
           NULLIF(2 * l.r - 2, 0), NULLIF(l.r - 1, 0), 'bench', '1.0.0', l.digest,
           '[{"kind": "param", "path": ".replicas", "change": "change", "old": 1, "new": 2}]', 'COMPLETED',
           CASE s WHEN 1 THEN 2 * l.r - 1 END, 'bench', 1, 2 * l.r - 2, 'bench', 'bench', t.at, t.at, t.at, t.at + interval '1 minute',
           sha256(l.r::text::bytea)
      FROM loaded AS l, generate_series(0, 1) AS s, LATERAL (SELECT l.at + s * interval '2 minutes' AS at) AS t;
    INSERT INTO promote.audit_log (project, subject, seq, at, actor, database_role, event, data, previous_hash, hash)
    SELECT 'old', concat_ws('-', 'old', l.environment, l.component), 2 * l.r - 1 + s, l.at, 'bench', 'bench',
           CASE s WHEN 0 THEN 'revision.created' ELSE 'deployment.created' END,
           '{"revision": 1, "digest": "00", "message": "as a dump brings it back"}',
           CASE WHEN 2 * l.r - 1 + s > 1 THEN sha256('x') END, sha256('x')
      FROM loaded AS l, generate_series(0, 1) AS s;
    DROP TABLE loaded;
END
$$;

-- ---- what is asked ----

CREATE TABLE bench.question (what text PRIMARY KEY, place serial, statement text NOT NULL, bound float8);
INSERT INTO bench.question (what, statement, bound) VALUES
    ('promote', $$SELECT changed FROM promote.promote_instance('old-staging-c7', 'old-production-c7', jsonb_build_object('replicas', nextval('bench.change')))$$, 1.1),
    ('preview', $$SELECT count(*) FROM promote.preview_promotion('old-staging-c7', 'old-production-c7', '{"replicas": 7000}')$$, 1.1),
    ('merging preview', $$SELECT count(*) FROM promote.preview_promotion('old-staging-c7', 'old-production-c7', '{"replicas": 7000}', mode => 'merge')$$, 1.1),
    ('blockers', $$SELECT count(*) FROM promote.blockers('old-production-c8')$$, 1.1),
    ('matrix', $$SELECT count(*) FROM promote.matrix('old')$$, 1.1),
    ('status of an instance', $$SELECT status FROM promote.instance_status WHERE instance = 'old-production-c8'$$, 1.1),
    ('promotions of a week', $$SELECT count(*), sum(changes) FROM promote.promotion_history WHERE project = 'old' AND at > now() - interval '6 days'$$, 1.1),
    ('newest promotions of all', $$SELECT at, changes FROM promote.promotion_history ORDER BY at DESC LIMIT 20$$, 1.1),
    ('newest of an instance', $$SELECT at, changes FROM promote.promotion_history WHERE project = 'old' AND environment = 'production' AND component = 'c8' ORDER BY revision DESC LIMIT 20$$, 1.1),
    ('audit rows of an hour', $$SELECT count(*) FROM promote.audit_log WHERE at BETWEEN now() - interval '50 hours' AND now() - interval '49 hours'$$, NULL),
    ('verify one subject', $$SELECT count(*) FROM promote.verify_audit('bench-staging-c4')$$, 1.1),
    ('what was desired a day ago', $$SELECT revision FROM promote.config_as_of('old-production-c8', now() - interval '1 day')$$, NULL),
    ('what ran five days ago', $$SELECT revision FROM promote.config_as_of('old-production-c8', now() - interval '5 days', 'running')$$, NULL);
CREATE SEQUENCE bench.change START 10000;
CREATE TABLE bench.answer (phase text, what text, microseconds float8, pages bigint);

-- Asks all questions. What was written is taken back, so that each round begins from the same state.
CREATE PROCEDURE bench.ask(phase text) LANGUAGE plpgsql AS $$
DECLARE
    q bench.question;
    began float8;
    took float8;
    plan json;
BEGIN
    FOR q IN SELECT * FROM bench.question ORDER BY place LOOP
        BEGIN
            -- twice, for what a session has to read once, and what lies in no cache
            EXECUTE q.statement;
            EXECUTE q.statement;
            began := bench.computed();
            FOR i IN 1 .. 10 LOOP
                EXECUTE q.statement;
            END LOOP;
            took := (bench.computed() - began) / 10;
            EXECUTE 'EXPLAIN (ANALYZE, TIMING OFF, BUFFERS, FORMAT JSON) ' || q.statement INTO plan;
            RAISE EXCEPTION USING ERRCODE = 'BE000', MESSAGE = 'taken back';
        EXCEPTION WHEN SQLSTATE 'BE000' THEN
            NULL;
        END;
        INSERT INTO bench.answer VALUES (phase, q.what, took,
            (plan -> 0 -> 'Plan' ->> 'Shared Hit Blocks')::bigint + (plan -> 0 -> 'Plan' ->> 'Shared Read Blocks')::bigint);
        COMMIT;
    END LOOP;
END
$$;

-- ---- what a promotion leaves behind ----

CREATE VIEW bench.size AS
    SELECT c.relname::text AS what, pg_relation_size(c.oid) AS bytes
      FROM pg_class AS c WHERE c.relnamespace = 'promote'::regnamespace AND c.relkind = 'r'
    UNION ALL
    SELECT c.relname || ', TOAST', pg_total_relation_size(c.reltoastrelid)
      FROM pg_class AS c WHERE c.relnamespace = 'promote'::regnamespace AND c.relkind = 'r' AND c.reltoastrelid <> 0
    UNION ALL
    SELECT '  ' || i.indexrelid::regclass::name, pg_relation_size(i.indexrelid)
      FROM pg_class AS c JOIN pg_index AS i ON i.indrelid = c.oid WHERE c.relnamespace = 'promote'::regnamespace AND c.relkind = 'r';

-- Promotes 4 KB of which one leaf changes, a transaction each.
CREATE PROCEDURE bench.promote_often(times integer) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. times LOOP
        PERFORM promote.promote_instance('bench-staging-c4', 'bench-production-c4', jsonb_build_object('replicas', nextval('bench.change')));
        COMMIT;
    END LOOP;
END
$$;
