-- For bench/report: a year's deployments for each thousand of an instance, a plan of a thousand values and one of a
-- thousand resources, what is asked of them, and for each what reads the same rows without the report's logic.
SET client_min_messages = error;
CREATE EXTENSION promote;
CREATE SCHEMA bench;
\ir work.sql
\ir load.sql

-- ---- a history ----

INSERT INTO promote.bundle VALUES ('b');
INSERT INTO promote.bundle_release (bundle, version, params_schema)
VALUES ('b', '1.0.0', '{"properties": {"password": {"$md.sensitive": true}}}');
INSERT INTO promote.project VALUES ('old');
INSERT INTO promote.environment (project, environment) VALUES ('old', 'staging'), ('old', 'production');
INSERT INTO promote.promotion_path (project, source_environment, destination_environment) VALUES ('old', 'staging', 'production');
INSERT INTO promote.component (project, component, bundle) SELECT 'old', 'c' || c, 'b' FROM generate_series(1, 500) AS c;
-- a configuration of a service, of about a KB
CREATE FUNCTION bench.params(n integer) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_object_agg('setting_' || s, CASE WHEN s < 3 THEN to_jsonb(n) ELSE to_jsonb('value ' || s) END)
           || jsonb_build_object('password', 'hush-' || n)
      FROM generate_series(1, 30) AS s
$$;
INSERT INTO promote.config (project, params) SELECT 'old', bench.params(n) FROM generate_series(0, 9) AS n;
CREATE TABLE bench.old_config AS
SELECT (params -> 'setting_1')::integer AS n, digest FROM promote.config WHERE project = 'old';

-- Instances with the counters that they have in the end.
CREATE FUNCTION bench.old_instances(revisions integer) RETURNS void LANGUAGE sql SET row_security = off AS $$
    INSERT INTO promote.instance (project, environment, component, status, revision, deployment, version_constraint,
                                  release_channel, deployed_revision, deployed_by, changed_by)
    SELECT 'old', e, 'c' || c, 'PROVISIONED', revisions, revisions, '1.0.0', 'stable', revisions, revisions, revisions
      FROM unnest(ARRAY['staging', 'production']) AS e, generate_series(1, 500) AS c
$$;

-- Revisions of all of them in the order of their times, a thousand a year, each with its deployment. In staging they are
-- edited, and promoted from there, some are rolled back; one deployment in twenty fails, and of some a check says that
-- they are not healthy. A component in fifty has its audit log.
CREATE FUNCTION bench.old_history(first integer, last integer, newest integer) RETURNS void LANGUAGE plpgsql
    SET row_security = off SET session_replication_role = replica AS $$
BEGIN
    CREATE TEMP TABLE loaded ON COMMIT DROP AS
    SELECT e AS environment, 'c' || c AS component, r, f.digest,
           now() - (newest - r) * interval '31557.6 seconds' - (1000 - c) * interval '20 seconds'
               - CASE e WHEN 'staging' THEN interval '3 hours' ELSE '1 hour' END AS at,
           CASE WHEN r < newest AND r > 1 AND (r * 7 + c) % 41 = 0 THEN 'rollback' WHEN e = 'staging' THEN 'edit' ELSE 'promotion' END AS origin,
           CASE WHEN r < newest AND (r * 11 + c * 3) % 20 = 0 THEN 'FAILED' ELSE 'COMPLETED' END AS status
      FROM generate_series(first, last) AS r
     CROSS JOIN unnest(ARRAY['staging', 'production']) AS e
     CROSS JOIN generate_series(1, 500) AS c
      JOIN bench.old_config AS f ON f.n = (r + CASE WHEN e = 'staging' AND r = newest THEN 1 ELSE 0 END) % 10
     ORDER BY r, at;
    INSERT INTO promote.revision (project, environment, component, revision, digest, version_constraint, bundle, version, origin,
                                  source_environment, source_revision, mode, actor, database_role, created_at)
    SELECT 'old', l.environment, l.component, l.r, l.digest, '1.0.0', 'b', '1.0.0', l.origin,
           CASE l.origin WHEN 'promotion' THEN 'staging' WHEN 'rollback' THEN l.environment END,
           CASE l.origin WHEN 'promotion' THEN l.r WHEN 'rollback' THEN l.r - 1 END,
           CASE l.origin WHEN 'promotion' THEN 'replace' END, 'bench', 'bench', l.at
      FROM loaded AS l;
    INSERT INTO promote.deployment (project, environment, component, deployment, action, revision, base_deployment, base_revision,
                                    bundle, version, rendered_digest, diff, status, worker, fencing, seen_change, actor,
                                    database_role, created_at, queued_at, started_at, finished_at)
    SELECT 'old', l.environment, l.component, l.r, 'PROVISION', l.r, NULLIF(l.r - 1, 0), NULLIF(l.r - 1, 0), 'b', '1.0.0', l.digest,
           '[{"kind": "param", "path": ".setting_1", "change": "change", "old": 1, "new": 2}]', l.status, 'bench', 1, l.r - 1,
           'bench', 'bench', t.at, t.at, t.at + interval '1 minute', t.at + interval '2 minutes'
      FROM loaded AS l CROSS JOIN LATERAL (SELECT l.at + interval '10 minutes' AS at) AS t;
    INSERT INTO promote.health_report (project, environment, component, check_name, report, healthy, revision, deployed_by, since,
                                       reported_at, actor, database_role)
    SELECT 'old', l.environment, l.component, 'smoke', 2 * l.r - 1 + s, s = 1, l.r, l.r, t.at, t.at, 'bench', 'bench'
      FROM loaded AS l, generate_series(0, 1) AS s,
           LATERAL (SELECT l.at + interval '20 minutes' + s * interval '1 hour' AS at) AS t
     WHERE l.status = 'COMPLETED' AND l.r % 50 = 7;
    INSERT INTO promote.audit_log (project, subject, seq, at, actor, database_role, event, data, previous_hash, hash)
    SELECT 'old', concat_ws('-', 'old', l.environment, l.component), 2 * l.r - 1 + s, l.at, 'bench', 'bench',
           CASE s WHEN 0 THEN 'revision.created' ELSE 'deployment.created' END,
           '{"revision": 1, "digest": "00", "message": "as a dump brings it back"}',
           CASE WHEN 2 * l.r - 1 + s > 1 THEN sha256('x') END, sha256('x')
      FROM loaded AS l, generate_series(0, 1) AS s WHERE right(l.component, 2) IN ('07', '57');
    DROP TABLE loaded;
END
$$;

-- ---- plans ----

-- A configuration of 2,000 values, of which a round changes a thousand.
CREATE FUNCTION bench.wide(round integer) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_object_agg('group_' || g, (
               SELECT jsonb_object_agg('setting_' || s, 'value ' || s || CASE WHEN s % 2 = 0 THEN ' of round ' || round ELSE '' END)
                 FROM generate_series(1, 100) AS s)) || jsonb_build_object('password', 'hush')
      FROM generate_series(1, 20) AS g
$$;
-- A plan of a thousand resources, as terraform tells of them.
CREATE FUNCTION bench.resources(count integer) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_build_object('format_version', '1.2', 'terraform_version', '1.11.4', 'errored', false, 'complete', true, 'applyable', true,
               'resource_changes', jsonb_agg(jsonb_build_object(
                   'address', format('module.cluster.aws_instance.node[%s]', i), 'mode', 'managed', 'type', 'aws_instance', 'name', 'node',
                   'index', i, 'provider_name', 'registry.terraform.io/hashicorp/aws',
                   'change', jsonb_build_object('actions', CASE i % 10 WHEN 0 THEN '["delete", "create"]' WHEN 1 THEN '["no-op"]' ELSE '["update"]' END::jsonb,
                       'before', jsonb_build_object('id', i, 'ami', 'ami-1', 'tags', '{"team": "core"}'::jsonb),
                       'after', jsonb_build_object('id', i, 'ami', CASE i % 10 WHEN 1 THEN 'ami-1' ELSE 'ami-2' END, 'tags', '{"team": "core"}'::jsonb),
                       'after_unknown', '{}'::jsonb))))
      FROM generate_series(1, count) AS i
$$;
INSERT INTO promote.project VALUES ('new');
INSERT INTO promote.environment (project, environment, require_proven_release) VALUES ('new', 'staging', false), ('new', 'production', false);
INSERT INTO promote.promotion_path (project, source_environment, destination_environment) VALUES ('new', 'staging', 'production');
INSERT INTO promote.component (project, component, bundle) VALUES ('new', 'values', 'b'), ('new', 'resources', 'b');
INSERT INTO promote.instance (project, environment, component) SELECT 'new', e, c
  FROM unnest(ARRAY['staging', 'production']) AS e, unnest(ARRAY['values', 'resources']) AS c;

-- A worker that says what a plan would do to resources, where there are some.
CREATE PROCEDURE bench.plan_and_work(resources integer) LANGUAGE plpgsql AS $$
DECLARE
    c record;
    document jsonb := bench.resources(resources);
BEGIN
    LOOP
        SELECT * INTO c FROM promote.claim_deployment('bench');
        EXIT WHEN c.deployment IS NULL;
        IF c.action = 'PLAN' AND c.instance LIKE '%resources' THEN
            PERFORM promote.record_plan(c.instance, c.deployment, document, c.fencing);
        END IF;
        PERFORM promote.complete_deployment(c.instance, c.deployment, c.fencing);
        COMMIT;
    END LOOP;
END
$$;
-- Both have run several times where they come from, and once where they go to; what is reviewed has a value of its own.
CREATE PROCEDURE bench.reviewed() LANGUAGE plpgsql AS $$
BEGIN
    FOR round IN 1 .. 6 LOOP
        PERFORM promote.configure_instance('new-staging-values', bench.wide(round), '1.0.0'),
                promote.configure_instance('new-staging-resources', bench.params(round), '1.0.0');
        CALL bench.plan_and_work(CASE WHEN round < 6 THEN 10 ELSE 1000 END);
        PERFORM promote.deploy_instance('new-staging-values'), promote.deploy_instance('new-staging-resources');
        CALL bench.plan_and_work(10);
        CONTINUE WHEN round NOT IN (1, 6);
        IF round = 6 THEN
            INSERT INTO promote.approval_rule (project, environment, rule, role, quorum)
            VALUES ('new', 'production', 'two eyes', 'pg_monitor', 1);
        END IF;
        PERFORM promote.promote_instance('new-staging-values', 'new-production-values', jsonb_build_object('group_1', jsonb_build_object('setting_2', 'of its own ' || round))),
                promote.promote_instance('new-staging-resources', 'new-production-resources');
        CALL bench.plan_and_work(CASE WHEN round < 6 THEN 10 ELSE 1000 END);
        IF round = 1 THEN
            PERFORM promote.deploy_instance('new-production-values'), promote.deploy_instance('new-production-resources');
            CALL bench.plan_and_work(10);
        END IF;
    END LOOP;
END
$$;

-- ---- what is asked ----

-- Whoever asks by rights that row-level security knows.
INSERT INTO promote.grants (role, action) VALUES ('pg_monitor', 'view');

-- What races: a report, what reads the same rows, and how many times as long the report may take. DORA's floor has the
-- same aggregate functions over the same groups of the same deployments, of lead times with their revisions: it follows
-- nothing to where it came from, and looks at nothing that came before or after. That of a page reads and masks what
-- the page shows, with gates judged and values compared, and writes none of it. That of a matrix is bench/gate's.
CREATE TABLE bench.question (what text PRIMARY KEY, place serial, statement text NOT NULL, floor text NOT NULL, bound float8);
INSERT INTO bench.question (what, statement, floor, bound)
SELECT name || ' of 1,000 ' || subject, format('SELECT length(promote.%s(''new-production-%s''))', name, subject), format($$
       SELECT (SELECT count(d) + count(r) + count(f) + count(e) FROM promote.instance AS i
                 JOIN promote.deployment AS d USING (project, environment, component, deployment)
                 JOIN promote.revision AS r ON (r.project, r.environment, r.component, r.revision) = (d.project, d.environment, d.component, d.revision)
                 JOIN promote.bundle_release AS f ON (f.bundle, f.version) = (d.bundle, d.version)
                 LEFT JOIN LATERAL jsonb_array_elements(d.diff) AS e ON true
                WHERE i.name = 'new-production-%1$s')
              + (SELECT count(c) FROM promote.config_changes AS c WHERE (c.instance, c.deployment) = ('new-production-%1$s', %2$s))
              + (SELECT count(c) FROM promote.resource_changes AS c WHERE (c.instance, c.deployment) = ('new-production-%1$s', %2$s))
              + (SELECT count(b) FROM promote.blockers('new-production-%1$s', %2$s) AS b)
              + (SELECT count(o) FROM promote.gate_override AS o WHERE (o.project, o.environment, o.component) = ('new', 'production', '%1$s'))
              + (SELECT count(l) FROM promote_internal.carried AS c
                  CROSS JOIN LATERAL promote.jsonb_leaf_diff('{}', promote_internal.masked_params(c.params, c.params_schema, NULL, c.kept_marks)) AS l
                  WHERE (c.project, c.environment, c.component, c.deployment) = ('new', 'production', '%1$s', %2$s))$$, subject, 3), 3
  FROM unnest(ARRAY['review_html', 'plan_markdown', 'plan_text']) AS name, unnest(ARRAY['values', 'resources']) AS subject;
INSERT INTO bench.question (what, statement, floor, bound)
SELECT v.what, replace(replace(v.statement, '$year', '''old'', now() - interval ''1 year'', now()'), '$week', 'now() - interval ''7 days'''),
       replace(replace(v.floor, '$year', $$d.project = 'old' AND d.action <> 'PLAN' AND d.finished_at >= now() - interval '1 year' AND d.finished_at < now()$$),
               '$week', 'now() - interval ''7 days'''), v.bound
  FROM (VALUES
    ('dora_deployments of a year', 'SELECT count(*) FROM promote.dora_deployments($year)',
     $$SELECT count(*) FROM (SELECT count(*) FILTER (WHERE d.status = 'COMPLETED'), count(*) FILTER (WHERE d.status = 'FAILED') FROM promote.deployment AS d
        WHERE $year GROUP BY GROUPING SETS ((date_trunc('week', d.finished_at)), (d.environment, date_trunc('week', d.finished_at)),
                                            (d.environment, d.component, date_trunc('week', d.finished_at)))) AS x$$, 3),
    ('dora_lead_time of a year', 'SELECT count(*) FROM promote.dora_lead_time($year)',
     $$SELECT count(*) FROM (SELECT count(*), percentile_cont(0.5) WITHIN GROUP (ORDER BY d.finished_at - r.created_at),
               percentile_cont(0.9) WITHIN GROUP (ORDER BY d.finished_at - r.created_at) FROM promote.deployment AS d
          JOIN promote.revision AS r USING (project, environment, component, revision)
        WHERE $year AND d.status = 'COMPLETED' GROUP BY GROUPING SETS ((date_trunc('week', d.finished_at)), (d.environment, date_trunc('week', d.finished_at)),
                                            (d.environment, d.component, date_trunc('week', d.finished_at)))) AS x$$, 3),
    ('dora_change_failure_rate of a year', 'SELECT count(*) FROM promote.dora_change_failure_rate($year)',
     $$SELECT count(*) FROM (SELECT count(*), count(d.worker), round(count(d.worker)::numeric / count(*), 4) FROM promote.deployment AS d
        WHERE $year GROUP BY GROUPING SETS ((date_trunc('week', d.finished_at)), (d.environment, date_trunc('week', d.finished_at)),
                                            (d.environment, d.component, date_trunc('week', d.finished_at)))) AS x$$, 3),
    ('dora_time_to_restore of a year', 'SELECT count(*) FROM promote.dora_time_to_restore($year)',
     $$SELECT count(*) FROM (SELECT count(*), count(d.worker), percentile_cont(0.5) WITHIN GROUP (ORDER BY d.finished_at - d.started_at) FILTER (WHERE d.status = 'FAILED')
          FROM promote.deployment AS d
        WHERE $year GROUP BY GROUPING SETS ((date_trunc('week', d.finished_at)), (d.environment, date_trunc('week', d.finished_at)),
                                            (d.environment, d.component, date_trunc('week', d.finished_at)))) AS x$$, 3),
    ('dora_summary of a year', $$SELECT count(*) FROM promote.dora_summary('old', 'production', now() - interval '1 year', now())$$,
     $$SELECT count(*), count(d.worker), percentile_cont(0.5) WITHIN GROUP (ORDER BY d.finished_at - r.created_at)
         FROM promote.deployment AS d JOIN promote.revision AS r USING (project, environment, component, revision)
        WHERE $year AND d.environment = 'production'$$, 3),
    ('deployment_history of a week', $$SELECT count(h) FROM promote.deployment_history AS h WHERE project = 'old' AND finished_at >= $week$$,
     $$SELECT count(d) + count(r) + count(i) FROM promote.deployment AS d JOIN promote.revision AS r USING (project, environment, component, revision)
         JOIN promote.instance AS i USING (project, environment, component)
        WHERE d.project = 'old' AND d.action <> 'PLAN' AND d.finished_at >= $week$$, NULL),
    ('... its newest twenty', $$SELECT count(h) FROM (SELECT * FROM promote.deployment_history WHERE project = 'old' AND finished_at IS NOT NULL ORDER BY finished_at DESC LIMIT 20) AS h$$,
     $$SELECT count(h) FROM (SELECT * FROM promote.deployment AS d JOIN promote.revision AS r USING (project, environment, component, revision)
         JOIN promote.instance AS i USING (project, environment, component)
        WHERE d.project = 'old' AND d.action <> 'PLAN' AND d.finished_at IS NOT NULL ORDER BY d.finished_at DESC LIMIT 20) AS h$$, NULL),
    ('change_history of a week', $$SELECT count(h) FROM promote.change_history('old', $week) AS h$$,
     $$SELECT count(r) + count(i) FROM promote.revision AS r JOIN promote.instance AS i USING (project, environment, component)
        WHERE r.project = 'old' AND r.created_at >= $week AND r.origin IN ('promotion', 'edit', 'rollback')$$, NULL),
    ('instance_timeline of a week', $$SELECT count(t) FROM promote.instance_timeline('old-production-c7', $week) AS t$$,
     $$SELECT count(a) FROM promote.audit_log AS a WHERE a.project = 'old' AND a.subject = 'old-production-c7' AND a.at >= $week$$, NULL),
    ('state_as_of half a year ago', $$SELECT count(s) FROM promote.state_as_of('old', now() - interval '180 days') AS s$$,
     $$SELECT count(d) + count(r) FROM promote.instance AS i CROSS JOIN LATERAL (
           SELECT d.* FROM promote.deployment AS d WHERE (d.project, d.environment, d.component) = (i.project, i.environment, i.component)
              AND d.action <> 'PLAN' AND d.started_at <= now() - interval '180 days' ORDER BY d.started_at DESC LIMIT 1) AS d
         JOIN promote.revision AS r ON (r.project, r.environment, r.component, r.revision) = (d.project, d.environment, d.component, d.revision)
        WHERE i.project = 'old'$$, NULL),
    ('pending_changes', $$SELECT count(p) FROM promote.pending_changes('old') AS p$$,
     $$SELECT count(l) FROM promote.instance AS s JOIN promote.instance AS d USING (project, component)
         JOIN promote.revision AS rs ON (rs.project, rs.environment, rs.component, rs.revision) = (s.project, s.environment, s.component, s.deployed_revision)
         JOIN promote.revision AS rd ON (rd.project, rd.environment, rd.component, rd.revision) = (d.project, d.environment, d.component, d.deployed_revision)
         JOIN promote.config AS cs ON cs.project = rs.project AND cs.digest = rs.digest
         JOIN promote.config AS cd ON cd.project = rd.project AND cd.digest = rd.digest
        CROSS JOIN LATERAL promote.jsonb_leaf_diff(cd.params, cs.params) AS l
        WHERE s.project = 'old' AND s.environment = 'staging' AND d.environment = 'production'$$, NULL),
    ('matrix', $$SELECT count(m) FROM promote.matrix('old') AS m$$,
     $$SELECT count(*) FROM (SELECT i.environment, i.component, count(*), max(i.status), max(r.revision), max(d.version), max(d.finished_at), count(c.digest), max(p.destination_environment)
        FROM promote.instance AS i JOIN promote.revision AS r USING (project, environment, component, revision)
        JOIN promote.config AS c ON c.project = i.project AND c.digest = r.digest
        JOIN promote.deployment AS d ON d.project = i.project AND d.environment = i.environment AND d.component = i.component AND d.deployment = i.deployed_by
        LEFT JOIN promote.promotion_path AS p ON p.project = i.project AND p.source_environment = i.environment
       WHERE i.project = 'old' GROUP BY i.environment, i.component) AS x$$, NULL)
    ) AS v (what, statement, floor, bound);
CREATE TABLE bench.lap (what text, who text, round integer, wall float8, computed float8);

-- How long a statement takes whoever asks, of so many runs: by the clock, and of the processor.
CREATE FUNCTION bench.lap(statement text, who text, runs integer, OUT wall float8, OUT computed float8) LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz;
    used float8 := bench.computed();
BEGIN
    PERFORM set_config('role', who, true);
    began := clock_timestamp();
    FOR i IN 1 .. runs LOOP
        EXECUTE statement;
    END LOOP;
    wall := extract(epoch FROM clock_timestamp() - began) * 1e6 / runs;
    PERFORM set_config('role', 'none', true);
    computed := (bench.computed() - used) / runs;
END
$$;
-- The three take turns: the floor, the report by its owner, and by a role that sees it by row-level security. All in one
-- process, and none compiled by JIT. What takes long runs once in a round, what takes little as often as makes a tenth of a second.
CREATE PROCEDURE bench.race(only_these text, rounds integer) LANGUAGE plpgsql AS $$
DECLARE
    q bench.question;
    runs integer;
    took float8;
BEGIN
    SET max_parallel_workers_per_gather = 0;
    SET jit = off;
    FOR q IN SELECT * FROM bench.question WHERE what ~ only_these ORDER BY place LOOP
        -- warmed up by one run of each
        took := (bench.lap(q.floor, 'none', 1)).wall + (bench.lap(q.statement, 'pg_monitor', 1)).wall + (bench.lap(q.statement, 'none', 1)).wall;
        FOR round IN 1 .. rounds LOOP
            runs := greatest(1, (3e5 / took)::integer);
            INSERT INTO bench.lap
            SELECT q.what, w.who, round, l.* FROM (VALUES ('floor', q.floor, 'none'), ('owner', q.statement, 'none'), ('viewer', q.statement, 'pg_monitor'))
                   AS w (who, statement, role), bench.lap(w.statement, w.role, runs) AS l;
            COMMIT;
        END LOOP;
    END LOOP;
END
$$;
CREATE VIEW bench.report AS
    SELECT format('%-36s floor %s  report %s  ratio %s  as a viewer %s  ratio %s%s', what, floor, owner, ratio, viewer, viewer_ratio,
               CASE WHEN ratio > bound THEN format('  MISSED: at most %s', bound)
                    WHEN what LIKE 'review_html%' AND wall > 50000 THEN '  MISSED: at most 50 ms' ELSE '' END)
      FROM (SELECT what, min(q.place) AS place, min(q.bound) AS bound,
                   max(m.figure) FILTER (WHERE m.who = 'floor') AS floor, max(m.figure) FILTER (WHERE m.who = 'owner') AS owner,
                   max(m.figure) FILTER (WHERE m.who = 'viewer') AS viewer, max(m.ratio) FILTER (WHERE m.who = 'owner') AS ratio,
                   max(m.ratio) FILTER (WHERE m.who = 'viewer') AS viewer_ratio, max(m.wall) FILTER (WHERE m.who = 'owner') AS wall
              FROM bench.question AS q
              JOIN (SELECT l.what, l.who, percentile_cont(0.5) WITHIN GROUP (ORDER BY l.wall) AS wall,
                           format('%s ms (%s..%s)', round((percentile_cont(0.5) WITHIN GROUP (ORDER BY l.wall) / 1000)::numeric, 2),
                                  round((min(l.wall) / 1000)::numeric, 2), round((max(l.wall) / 1000)::numeric, 2)) AS figure,
                           round((percentile_cont(0.5) WITHIN GROUP (ORDER BY l.computed / f.computed))::numeric, 2) AS ratio
                      FROM bench.lap AS l JOIN bench.lap AS f ON f.what = l.what AND f.round = l.round AND f.who = 'floor'
                     GROUP BY l.what, l.who) AS m USING (what)
             GROUP BY what) AS t
     ORDER BY place;
