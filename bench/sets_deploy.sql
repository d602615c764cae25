-- What bench/sets_deploy measures: steps, functions of so many rows; bench.took says how many microseconds one takes.
\set QUIET on
SET client_min_messages = warning;
CREATE EXTENSION promote;
CREATE SCHEMA bench;
INSERT INTO promote.bundle VALUES ('bench');
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('bench', '1.0.0', '{"type": "object"}');
INSERT INTO promote.project VALUES ('bench');
INSERT INTO promote.environment (project, environment) VALUES ('bench', 'staging');
INSERT INTO promote.component (project, component, bundle) SELECT 'bench', 'c' || n, 'bench' FROM generate_series(1, :size) AS n;
INSERT INTO promote.instance (project, environment, component) SELECT 'bench', 'staging', 'c' || n FROM generate_series(1, :size) AS n;

-- The twins, without triggers.
CREATE TABLE bench.deployment (LIKE promote.deployment INCLUDING ALL);
CREATE TABLE bench.instance (LIKE promote.instance INCLUDING ALL) WITH (fillfactor = 80);
CREATE TABLE bench.audit_log (LIKE promote.audit_log INCLUDING ALL EXCLUDING GENERATED);
CREATE TABLE bench.approval (LIKE promote.approval INCLUDING ALL);
CREATE TABLE bench.claim (instance text, deployment integer, fencing integer);
CREATE TABLE bench.plan (instance text, deployment integer);

CREATE FUNCTION bench.names(rows integer) RETURNS text[] LANGUAGE sql AS $$
    SELECT array_agg('bench-staging-c' || n ORDER BY n) FROM generate_series(1, rows) AS n
$$;
-- Claims so many; completes what was claimed, and says how many that is.
CREATE FUNCTION bench.claim(most integer) RETURNS void LANGUAGE sql AS $$
    INSERT INTO bench.claim SELECT instance, deployment, fencing FROM promote.claim_deployment('bench', max => most)
$$;
CREATE FUNCTION bench.complete(rows integer) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM promote.complete_many(ARRAY(SELECT instance FROM bench.claim), ARRAY(SELECT deployment FROM bench.claim),
        ARRAY(SELECT fencing FROM bench.claim))
$$;

-- A new configuration of 4 KB for that many instances, planned and completed; the twins have what the tables have then.
CREATE PROCEDURE bench.renew(rows integer) LANGUAGE plpgsql AS $$
DECLARE
    document jsonb := (SELECT jsonb_object_agg('service_' || s, jsonb_build_object('image', 'registry.example.com/team/service-' || s,
        'port', 8000 + s, 'weight', random())) FROM generate_series(1, 50) AS s);
BEGIN
    DELETE FROM promote.approval_rule;
    LOOP
        TRUNCATE bench.claim;
        PERFORM bench.claim(10000);
        EXIT WHEN bench.complete(rows) = 0;
        COMMIT;
    END LOOP;
    INSERT INTO promote.config (project, params) VALUES ('bench', document);
    INSERT INTO promote.revision (project, environment, component, digest, version_constraint)
    SELECT 'bench', 'staging', 'c' || n, promote.config_digest('bench', document), 'latest' FROM generate_series(1, rows) AS n;
    TRUNCATE bench.claim;
    PERFORM bench.claim(10000);
    PERFORM bench.complete(rows);
    TRUNCATE bench.deployment, bench.instance, bench.audit_log, bench.approval;
    INSERT INTO bench.deployment SELECT * FROM promote.deployment;
    INSERT INTO bench.instance (project, environment, component, status, revision, deployment, version_constraint, release_channel)
    SELECT project, environment, component, status, revision, deployment, version_constraint, release_channel FROM promote.instance;
    INSERT INTO bench.audit_log SELECT * FROM promote.audit_log;
END
$$;

-- Audit rows like those of an event, for that many instances.
CREATE FUNCTION bench.audit(rows integer, like_event text, number integer) RETURNS void LANGUAGE sql AS $$
    INSERT INTO bench.audit_log (project, subject, seq, at, actor, database_role, event, data, rows, previous_hash, hash)
    SELECT a.project, a.subject, 1000000000 + number * 1000 + row_number() OVER (PARTITION BY a.subject), clock_timestamp(), a.actor,
           a.database_role, a.event, a.data, a.rows, a.hash, a.hash
      FROM generate_series(1, rows) AS n
     CROSS JOIN LATERAL (SELECT * FROM bench.audit_log AS a WHERE a.project = 'bench' AND a.subject = 'bench-staging-c' || n
                          AND a.event = like_event ORDER BY a.seq LIMIT 1) AS a
$$;
CREATE FUNCTION bench.floor_deploy(rows integer) RETURNS void LANGUAGE sql AS $$
    INSERT INTO bench.deployment (project, environment, component, deployment, action, status, revision, base_revision, bundle, version,
        rendered_digest, diff, destructive, reverts, plan, plan_digest, gates, queued_at, due_at)
    SELECT d.project, d.environment, d.component, d.deployment + 1, 'PROVISION', 'PENDING', d.revision, d.base_revision, d.bundle, d.version,
        d.rendered_digest, d.diff, false, false, d.deployment, d.plan_digest, '{"at": "", "gates": ["path", "component", "params"]}',
        clock_timestamp(), clock_timestamp()
      FROM generate_series(1, rows) AS n
     CROSS JOIN LATERAL (SELECT * FROM bench.deployment AS d WHERE d.project = 'bench' AND d.environment = 'staging'
                          AND d.component = 'c' || n ORDER BY d.deployment DESC LIMIT 1) AS d;
    UPDATE bench.instance AS i SET deployment = i.deployment + 1 FROM generate_series(1, rows) AS n
     WHERE i.project = 'bench' AND i.environment = 'staging' AND i.component = 'c' || n;
    SELECT bench.audit(rows, 'deployment.created', 1), bench.audit(rows, 'deployment.created', 2);
$$;
CREATE FUNCTION bench.floor_claim(rows integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR part IN 1 .. rows / 100 LOOP
        UPDATE bench.deployment AS d SET status = 'RUNNING', worker = 'bench', fencing = d.fencing + 1, seen_change = 0,
               due_at = clock_timestamp() + '5 minutes', started_at = clock_timestamp()
          FROM (SELECT q.project, q.environment, q.component, q.deployment FROM bench.deployment AS q
                 WHERE q.due_at <= clock_timestamp() ORDER BY q.due_at LIMIT 100 FOR UPDATE SKIP LOCKED) AS q
         WHERE d.project = q.project AND d.environment = q.environment AND d.component = q.component AND d.deployment = q.deployment;
    END LOOP;
    PERFORM bench.audit(rows, 'deployment.started', 3);
END
$$;
CREATE FUNCTION bench.floor_complete(rows integer) RETURNS void LANGUAGE sql AS $$
    UPDATE bench.deployment SET status = 'COMPLETED', due_at = NULL, finished_at = clock_timestamp() WHERE status = 'RUNNING';
    UPDATE bench.instance AS i SET status = 'PROVISIONED', changed_by = i.deployment, deployed_by = i.deployment,
           deployed_revision = i.revision FROM generate_series(1, rows) AS n
     WHERE i.project = 'bench' AND i.environment = 'staging' AND i.component = 'c' || n;
    SELECT bench.audit(rows, 'deployment.completed', 4);
$$;
-- Votes on the plans.
CREATE FUNCTION bench.floor_approve(rows integer) RETURNS void LANGUAGE sql AS $$
    INSERT INTO bench.approval (project, environment, component, vote, deployment, plan_digest, rule, decision)
    SELECT d.project, d.environment, d.component, 1, d.deployment, d.plan_digest, 'eyes', 'approved'
      FROM generate_series(1, rows) AS n
     CROSS JOIN LATERAL (SELECT * FROM bench.deployment AS d WHERE d.project = 'bench' AND d.environment = 'staging'
                          AND d.component = 'c' || n AND d.action = 'PLAN' ORDER BY d.deployment DESC LIMIT 1) AS d;
    SELECT bench.audit(rows, 'deployment.completed', 5);
$$;

CREATE FUNCTION bench.deploy(rows integer) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM promote.deploy_many(bench.names(rows))
$$;
CREATE FUNCTION bench.deploy_single(rows integer) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(promote.deploy_instance(name)) FROM unnest(bench.names(rows)) AS name
$$;
CREATE FUNCTION bench.claim_100(rows integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR part IN 1 .. rows / 100 LOOP
        PERFORM bench.claim(100);
    END LOOP;
END
$$;
CREATE FUNCTION bench.claim_1(rows integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR part IN 1 .. rows LOOP
        PERFORM bench.claim(1);
    END LOOP;
END
$$;
CREATE FUNCTION bench.complete_single(rows integer) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(promote.complete_deployment(instance, deployment, fencing)) FROM bench.claim
$$;
CREATE FUNCTION bench.approve(rows integer) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM promote.approve_many(ARRAY(SELECT instance FROM bench.plan), ARRAY(SELECT deployment FROM bench.plan))
$$;
CREATE FUNCTION bench.approve_single(rows integer) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(promote.approve_deployment(instance, deployment)) FROM bench.plan
$$;
-- What is voted on: the last plans, under a rule that is there from then on.
CREATE PROCEDURE bench.ask(rows integer) LANGUAGE sql AS $$
    INSERT INTO promote.approval_rule (project, rule, role) VALUES ('bench', 'eyes', current_user) ON CONFLICT DO NOTHING;
    TRUNCATE bench.plan;
    INSERT INTO bench.plan SELECT 'bench-staging-c' || n, p.deployment FROM generate_series(1, rows) AS n
     CROSS JOIN LATERAL (SELECT p.deployment FROM promote.deployment AS p WHERE p.project = 'bench' AND p.environment = 'staging'
                          AND p.component = 'c' || n AND p.action = 'PLAN' ORDER BY p.deployment DESC LIMIT 1) AS p;
$$;

-- The microseconds that a step of so many rows takes.
CREATE FUNCTION bench.took(step text, rows integer) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
    start timestamptz;
BEGIN
    IF step ~ '^approve' THEN
        CALL bench.ask(rows);
    ELSIF step ~ '^claim' THEN
        TRUNCATE bench.claim;
    END IF;
    start := clock_timestamp();
    EXECUTE format('SELECT bench.%I($1)', step) USING rows;
    RETURN extract(epoch FROM clock_timestamp() - start) * 1e6;
END
$$;
