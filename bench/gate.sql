-- For bench/gate: an instance with many rules, a matrix of 100 by 100, and the two that race.
SET client_min_messages = error;
CREATE EXTENSION promote;
CREATE SCHEMA bench;

INSERT INTO promote.bundle VALUES ('b');
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('b', '1.0.0', '{}');
INSERT INTO promote.project (project) VALUES ('p');

-- ---- the matrix: 100 environments in a row, all deployed ----
INSERT INTO promote.environment (project, environment, require_plan, source_policy)
SELECT 'p', 'e' || to_char(e, 'FM000'), false, 'path' FROM generate_series(1, 100) AS e;
INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
SELECT 'p', 'e' || to_char(e, 'FM000'), 'e' || to_char(e + 1, 'FM000') FROM generate_series(1, 99) AS e;
INSERT INTO promote.component (project, component, bundle) SELECT 'p', 'c' || to_char(c, 'FM000'), 'b' FROM generate_series(1, 100) AS c;
INSERT INTO promote.instance (project, environment, component)
SELECT 'p', environment, component FROM promote.environment, promote.component;
INSERT INTO promote.config (project, params) SELECT 'p', jsonb_build_object('size', c) FROM generate_series(1, 100) AS c;
INSERT INTO promote.revision (project, environment, component, digest, version_constraint, release_channel, plan)
SELECT 'p', i.environment, i.component, c.digest, '~1', 'stable', false
  FROM promote.instance AS i JOIN promote.config AS c ON c.params -> 'size' = to_jsonb(right(i.component, 3)::integer) ORDER BY 2, 3;
SELECT FROM promote.instance AS i, promote.deploy_instance(i.name) \g /dev/null
\ir work.sql
CALL bench.work();
-- A second revision in every other component, staged and not deployed.
INSERT INTO promote.revision (project, environment, component, digest, version_constraint, release_channel, plan)
SELECT 'p', i.environment, i.component, c.digest, '~1', 'stable', false
  FROM promote.instance AS i JOIN promote.config AS c ON c.params -> 'size' = to_jsonb(101 - right(i.component, 3)::integer)
 WHERE right(i.component, 1) IN ('0', '2', '4', '6', '8') ORDER BY 2, 3;

-- ---- the instance ----
INSERT INTO promote.project (project) VALUES ('q');
INSERT INTO promote.environment (project, environment, require_source_in_sync, required_soak, source_policy)
VALUES ('q', 'staging', false, '0', 'any'), ('q', 'production', true, '1 microsecond', 'path');
INSERT INTO promote.promotion_path (project, source_environment, destination_environment) VALUES ('q', 'staging', 'production');
INSERT INTO promote.component (project, component, bundle) VALUES ('q', 'c', 'b');
INSERT INTO promote.instance (project, environment, component) VALUES ('q', 'staging', 'c'), ('q', 'production', 'c');
SELECT promote.configure_instance('q-staging-c', '{"size": 1}'), promote.configure_instance('q-production-c', '{"size": 0}') \g /dev/null
CALL bench.work();
SELECT promote.deploy_instance('q-staging-c') \g /dev/null
CALL bench.work();
SELECT promote.promote_instance('q-staging-c', 'q-production-c') \g /dev/null
CALL bench.work();
INSERT INTO promote.approval_rule (project, environment, rule, role, quorum)
SELECT 'q', 'production', 'rule ' || i, 'pg_monitor', 1 FROM generate_series(1, 20) AS i;
INSERT INTO promote.freeze_window (name, project, environment, during, reason)
SELECT 'once ' || i, 'q', 'production', tstzrange(now() + i * interval '1 day', now() + i * interval '1 day' + interval '1 hour'), 'once' FROM generate_series(1, 25) AS i;
-- Half of the recurring ones are freezes of some weekday's hour, the others change windows.
INSERT INTO promote.freeze_window (name, project, environment, rule, zone, starts_at, duration, reason)
SELECT 'again ' || i, 'q', 'production', (ARRAY['FREQ=WEEKLY;BYDAY=MO', 'FREQ=MONTHLY;BYDAY=-1FR', 'FREQ=DAILY', 'FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=24', 'FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,TH'])[i % 5 + 1],
       'Europe/Berlin', date_trunc('hour', localtimestamp) - interval '5 years' + i * interval '37 minutes', '1 minute', 'again' FROM generate_series(1, 12) AS i;
INSERT INTO promote.change_window (name, project, environment, rule, zone, starts_at, duration, max_deployments_per_window)
SELECT 'open ' || i, 'q', 'production', (ARRAY['FREQ=WEEKLY;BYDAY=MO', 'FREQ=MONTHLY;BYDAY=-1FR', 'FREQ=DAILY', 'FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=24', 'FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,TH'])[i % 5 + 1],
       'America/New_York', date_trunc('hour', localtimestamp) - interval '5 years' + i * interval '37 minutes', '23 hours', 100 FROM generate_series(1, 13) AS i;
CREATE FUNCTION bench.small(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason LANGUAGE sql STABLE
AS $$ SELECT 'policy', 'too small', NULL::timestamptz, NULL::timestamptz, NULL, false FROM promote.instance AS i WHERE i.name = $1 AND i.revision < 0 $$;
INSERT INTO promote.policy (policy, function, project) SELECT 'policy ' || i, 'bench.small', 'q' FROM generate_series(1, 10) AS i;
VACUUM ANALYZE;

-- ---- the race ----
CREATE TABLE bench.candidate (what text, who text, statement text, wanted text);
INSERT INTO bench.candidate VALUES
    ('blockers', 'subject', $$SELECT count(*) FROM promote.blockers('q-production-c')$$, NULL),
    ('blockers', 'floor', $$SELECT (SELECT count(a) FROM promote.approval_rule AS a WHERE project = 'q' AND environment = 'production')
        + (SELECT count(f) FROM promote.freeze_window AS f WHERE project = 'q' AND environment = 'production')
        + (SELECT count(w) FROM promote.change_window AS w WHERE project = 'q' AND environment = 'production')
        + (SELECT count(p) FROM promote.policy AS p WHERE project = 'q')
        + (SELECT count(i) FROM promote.instance AS i JOIN promote.revision AS r USING (project, environment, component, revision)
             JOIN promote.deployment AS d USING (project, environment, component) WHERE i.project = 'q')$$, NULL),
    ('matrix', 'subject', $$SELECT count(m) FROM promote.promotion_matrix AS m WHERE project = 'p'$$, NULL),
    ('matrix', 'floor', $$SELECT count(*) FROM (SELECT i.environment, i.component, count(*), max(i.status), max(r.revision), max(d.version), max(d.finished_at), count(c.digest), max(p.destination_environment)
        FROM promote.instance AS i JOIN promote.revision AS r USING (project, environment, component, revision)
        JOIN promote.config AS c ON c.project = i.project AND c.digest = r.digest
        JOIN promote.deployment AS d ON d.project = i.project AND d.environment = i.environment AND d.component = i.component AND d.deployment = i.deployed_by
        LEFT JOIN promote.promotion_path AS p ON p.project = i.project AND p.source_environment = i.environment
       WHERE i.project = 'p' GROUP BY i.environment, i.component) AS x$$, NULL);
CREATE TABLE bench.lap (what text, round integer, floor float8, subject float8);

-- Microseconds that one run of a statement takes, of so many.
CREATE FUNCTION bench.lap(statement text, runs integer) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    start timestamptz := clock_timestamp();
    result bigint;
BEGIN
    FOR i IN 1 .. runs LOOP
        EXECUTE statement INTO result;
    END LOOP;
    RETURN extract(epoch FROM clock_timestamp() - start) * 1e6 / runs;
END
$$;
CREATE FUNCTION bench.race(name text, rounds integer, runs integer) RETURNS void LANGUAGE plpgsql SET jit = off AS $$
BEGIN
    FOR round IN 0 .. rounds LOOP
        INSERT INTO bench.lap SELECT name, round, bench.lap(f.statement, runs), bench.lap(s.statement, runs)
          FROM bench.candidate AS f, bench.candidate AS s WHERE f.what = name AND f.who = 'floor' AND s.what = name AND s.who = 'subject';
    END LOOP;
END
$$;
CREATE VIEW bench.report AS
    SELECT format('%s: floor %s us (%s-%s), %s us (%s-%s), ratio %s%s', what, m.floor, m.floor_least, m.floor_most, m.subject, m.least, m.most, m.ratio,
        CASE what WHEN 'blockers' THEN ', wanted at most 5000 us: ' || CASE WHEN m.subject <= 5000 THEN 'ok' ELSE 'MISSED' END
                  ELSE ', wanted at most 20: ' || CASE WHEN m.ratio <= 20 THEN 'ok' ELSE 'MISSED' END END)
      FROM (SELECT what, round(percentile_cont(0.5) WITHIN GROUP (ORDER BY floor)) AS floor, round(min(floor)) AS floor_least, round(max(floor)) AS floor_most,
                   round(percentile_cont(0.5) WITHIN GROUP (ORDER BY subject)) AS subject, round(min(subject)) AS least, round(max(subject)) AS most,
                   round((percentile_cont(0.5) WITHIN GROUP (ORDER BY subject / floor))::numeric, 2) AS ratio
              -- the first round warms up
              FROM bench.lap WHERE round > 0 GROUP BY what) AS m;
SELECT format('%s blockers of q-production-c', count(*)) FROM promote.blockers('q-production-c');
