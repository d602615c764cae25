-- What is read to carry out many components that depend on each other grows as they do, in a tree and in a chain.
SELECT no_plan();

INSERT INTO promote.bundle VALUES ('empty');
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('empty', '1.0.0', '{}');
-- A project of so many components, each of which depends on the one that stands at that place of its own.
CREATE PROCEDURE pg_temp.make(name text, count integer, above integer) LANGUAGE sql AS $$
    INSERT INTO promote.project (project) VALUES (name);
    INSERT INTO promote.environment (project, environment, require_plan, require_proven_release)
    VALUES (name, 'test', false, false);
    INSERT INTO promote.component (project, component, bundle)
    SELECT name, 'c' || n, 'empty' FROM generate_series(1, count) AS n;
    INSERT INTO promote.component_dependency (project, component, depends_on)
    SELECT name, 'c' || n, 'c' || CASE above WHEN 1 THEN n - 1 ELSE n / above END FROM generate_series(2, count) AS n;
    INSERT INTO promote.instance (project, environment, component)
    SELECT name, 'test', 'c' || n FROM generate_series(1, count) AS n;
    INSERT INTO promote.config (project, params) VALUES (name, '{"n": 1}');
    INSERT INTO promote.revision (project, environment, component, digest, version_constraint)
    SELECT name, 'test', 'c' || n, promote.config_digest(name, '{"n": 1}'), '1.0.0' FROM generate_series(1, count) AS n;
$$;
-- What this statement has read of instances, deployments and dependencies: scans, and rows that they have come to.
CREATE FUNCTION pg_temp.reads() RETURNS bigint LANGUAGE sql AS $$
    SELECT sum(pg_stat_get_xact_numscans(r) + pg_stat_get_xact_tuples_returned(r) + pg_stat_get_xact_tuples_fetched(r))
      FROM unnest(ARRAY['promote.instance', 'promote.deployment', 'promote.component_dependency']::regclass[]) AS t,
           LATERAL (SELECT t UNION ALL SELECT x.indexrelid FROM pg_index AS x WHERE x.indrelid = t) AS o (r)
$$;
-- Carries out what waits, in transactions of their own: how many rounds that takes, and how much it reads.
CREATE PROCEDURE pg_temp.work(INOUT rounds integer, INOUT reads bigint) LANGUAGE plpgsql AS $$
DECLARE
    claimed record;
    before bigint := pg_temp.reads();
BEGIN
    rounds := 0;
    LOOP
        SELECT array_agg(c.instance) AS instances, array_agg(c.deployment) AS deployments,
               array_agg(c.fencing) AS fencings
          INTO claimed FROM promote.claim_deployment('w', max => 1000) AS c;
        EXIT WHEN claimed.instances IS NULL;
        rounds := rounds + 1;
        PERFORM promote.complete_many(claimed.instances, claimed.deployments, claimed.fencings);
        COMMIT;
    END LOOP;
    reads := pg_temp.reads() - before;
END
$$;
CREATE TEMPORARY TABLE measured (name text, count integer, what text, rounds integer, reads bigint);
-- Carries out the plans of a project of so many components, and then their deployments.
CREATE PROCEDURE pg_temp.measure(name text, count integer, above integer) LANGUAGE plpgsql AS $$
DECLARE
    rounds integer;
    reads bigint;
BEGIN
    CALL pg_temp.make(name, count, above);
    COMMIT;
    CALL pg_temp.work(rounds, reads);
    INSERT INTO measured VALUES (name, count, 'plans', rounds, reads);
    PERFORM promote.deploy_environment(name || '-test');
    COMMIT;
    CALL pg_temp.work(rounds, reads);
    INSERT INTO measured VALUES (name, count, 'deployments', rounds, reads);
END
$$;
CALL pg_temp.measure('tree', 50, 2);
CALL pg_temp.measure('wood', 400, 2);
CALL pg_temp.measure('row', 20, 1);
CALL pg_temp.measure('queue', 160, 1);
SELECT diag(string_agg(m::text, E'\n')) FROM measured AS m;
SELECT is(string_agg(concat_ws(' ', name, what, rounds), ', ' ORDER BY name, what),
    'queue deployments 160, queue plans 1, row deployments 20, row plans 1, tree deployments 6, tree plans 1, '
    'wood deployments 9, wood plans 1', 'plans wait for nobody, and deployments go level by level') FROM measured;
SELECT is(string_agg(DISTINCT status, ' '), 'PROVISIONED', 'all are carried out') FROM promote.instance;
SELECT cmp_ok(many.reads, '<', 2 * few.reads * many.count / few.count,
    format('%s of %s components read what as many times those of %s do', many.what, many.count, few.count))
  FROM (VALUES ('tree', 'wood'), ('row', 'queue')) AS k (few, many)
  JOIN measured AS few ON few.name = k.few JOIN measured AS many ON many.name = k.many AND many.what = few.what;
SELECT * FROM finish();
