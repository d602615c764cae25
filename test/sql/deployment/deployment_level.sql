-- The index that has the order of plans may have grown a level more than the primary key. Then, too, the last plan of
-- an instance is looked up by it, instead of all that the instance has had being read and sorted.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/long.sql
SELECT pg_temp.long_instance('young'), pg_temp.long_instance('planned', deployments => 1002),
       pg_temp.long_deployments('planned', 'production', 'PLAN', 'COMPLETED', 2, 3, 1002) \g /dev/null

-- Others with long names, each in an environment of its own: PostgreSQL believes that an instance has one deployment.
CREATE TEMP TABLE other ON COMMIT DROP AS
SELECT rpad('e' || n, 60, 'x') AS environment, rpad('c' || n, 60, 'x') AS component FROM generate_series(101, 140) AS n;
INSERT INTO promote.environment (project, environment) SELECT 'long', environment FROM other;
INSERT INTO promote.component (project, component, bundle) SELECT 'long', component, 'long' FROM other;
INSERT INTO promote.instance (project, environment, component, revision, deployment, version_constraint,
    release_channel)
SELECT 'long', environment, component, 1, 30, '1.0.0', 'stable' FROM other;
INSERT INTO promote.revision (project, environment, component, revision, digest, version_constraint, bundle, version)
SELECT 'long', environment, component, 1, c.digest, '1.0.0', 'long', '1.0.0'
  FROM other JOIN long_config AS c ON c.size = 0;
INSERT INTO promote.deployment (project, environment, component, deployment, action, status, revision, bundle, version,
                                rendered_digest, diff, worker, fencing, created_at, queued_at, started_at, finished_at)
SELECT r.project, r.environment, r.component, d, 'PLAN', 'COMPLETED', 1, r.bundle, r.version, r.digest, '[]', 'w', 1,
       now(), now(), now(), now()
  FROM other JOIN promote.revision AS r USING (environment, component), generate_series(1, 30) AS d;
ALTER INDEX promote.deployment_plan_idx SET (fillfactor = 10);
REINDEX INDEX promote.deployment_plan_idx;
ANALYZE;

CREATE FUNCTION pg_temp.sorts() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    plan text;
BEGIN
    PREPARE last_plan(text, text, text) AS
        SELECT d.diff FROM promote.deployment AS d
         WHERE d.project = $1 AND d.environment = $2 AND d.component = $3
           AND d.action = 'PLAN' AND d.status NOT IN ('FAILED', 'ABORTED', 'REJECTED')
         ORDER BY d.project DESC, d.environment DESC, d.component DESC, d.revision DESC, d.deployment DESC LIMIT 1;
    EXECUTE $x$EXPLAIN (FORMAT JSON) EXECUTE last_plan('long', 'production', 'planned')$x$ INTO plan;
    RETURN plan ~ '"Sort"';
END
$$;
SET LOCAL plan_cache_mode = force_generic_plan;
SET LOCAL enable_seqscan = off;
SELECT ok(pg_temp.sorts(), 'to the planner, by its own settings, it looks cheaper to sort');
SET LOCAL plan_cache_mode = auto;
SET LOCAL enable_seqscan = on;

SELECT pg_temp.costs_as(q.statement, 'planned', 'young', q.what, 1.0)
  FROM (VALUES
      ('a preview', $$SELECT count(*) FROM promote.preview_promotion('long-staging-@', 'long-production-@')$$),
      ('a promotion', $$SELECT promote.promote_instance('long-staging-@', 'long-production-@', '{"size": 7}')$$),
      ('an edit', $$SELECT promote.configure_instance('long-production-@', '{"size": 7}')$$)) AS q (what, statement);

SELECT * FROM finish();
ROLLBACK;
