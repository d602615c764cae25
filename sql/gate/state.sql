-- What gates look at: of releases, references and requests, of source and destination, and of what a plan would do. Each of
-- these says of one instance what it says of many: promote.matrix reads the same.

CREATE VIEW promote_internal.blocked_release WITH (security_invoker = true) AS
    SELECT f.bundle,
           f.version,
           f.block_reason AS reason,
           (SELECT e.at
              FROM promote.release_event AS e
             WHERE e.bundle = f.bundle AND e.version = f.version AND e.event = 'blocked'
             ORDER BY e.bundle DESC, e.version DESC, e.seq DESC LIMIT 1) AS since
      FROM promote.bundle_release AS f
     WHERE f.block_reason IS NOT NULL;
COMMENT ON VIEW promote_internal.blocked_release IS 'What closes the gate "release"';
COMMENT ON COLUMN promote_internal.blocked_release.bundle IS 'Bundle';
COMMENT ON COLUMN promote_internal.blocked_release.version IS 'Release of it that was taken out of use';
COMMENT ON COLUMN promote_internal.blocked_release.reason IS 'Why';
COMMENT ON COLUMN promote_internal.blocked_release.since IS 'Since when; NULL: that was not recorded';

CREATE VIEW promote_internal.undigested_release WITH (security_invoker = true) AS
    SELECT f.bundle,
           f.version
      FROM promote.bundle_release AS f
     WHERE f.artifact_digest IS NULL;
COMMENT ON VIEW promote_internal.undigested_release IS 'What closes the gate "artifact": releases of which nobody has said what they consist of';
COMMENT ON COLUMN promote_internal.undigested_release.bundle IS 'Bundle';
COMMENT ON COLUMN promote_internal.undigested_release.version IS 'Release of it that has no artifact digest';

CREATE FUNCTION promote_internal.case_params(
    project text, environment text, component text, deployment integer, digest bytea)
    RETURNS TABLE (params jsonb, parameters jsonb)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
    BEGIN ATOMIC
        SELECT k.params, NULL::jsonb
          FROM promote.deployment AS d
         CROSS JOIN LATERAL (
              SELECT k.params FROM promote.config AS k
               WHERE k.project = d.project AND k.digest = d.rendered_digest LIMIT 1) AS k
         WHERE $4 <> 0 AND d.project = $1 AND d.environment = $2 AND d.component = $3 AND d.deployment = $4
        UNION ALL
        SELECT k.params, promote_internal.parameters_of(e.project, e.environment)
          FROM promote.environment AS e
         CROSS JOIN LATERAL (
              SELECT k.params FROM promote.config AS k WHERE k.project = $1 AND k.digest = $5 LIMIT 1) AS k
         WHERE $4 = 0 AND e.project = $1 AND e.environment = $2;
    END;
REVOKE ALL ON FUNCTION promote_internal.case_params(text, text, text, integer, bytea) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.case_params(text, text, text, integer, bytea) IS
'What would be deployed: as a deployment has rendered it, or, where none is named (0), the configuration with a digest and what it is to be rendered with';

CREATE FUNCTION promote_internal.running_shape(project text, environment text, component text)
    RETURNS TABLE (bundle text, version text, params jsonb)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
    BEGIN ATOMIC
        SELECT c.bundle::text, c.version::text, c.params
          FROM promote.instance AS i
         CROSS JOIN LATERAL (
              SELECT c.bundle, c.version, c.params FROM promote_internal.carried AS c
               WHERE c.project = i.project AND c.environment = i.environment AND c.component = i.component
                 AND c.deployment = i.deployed_by
               LIMIT 1) AS c
         WHERE i.project = $1 AND i.environment = $2 AND i.component = $3;
    END;
REVOKE ALL ON FUNCTION promote_internal.running_shape(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.running_shape(text, text, text) IS
'What opens the gate "structure", where it has the shape of what would be deployed elsewhere: what the instance of a component runs; no row where there is no such instance, or it runs nothing';

CREATE FUNCTION promote_internal.proving_environments(
    project text, environment text, component text, source_environment text, source_revision integer, path_only boolean)
    RETURNS TABLE (environment text, revision integer)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 3
    BEGIN ATOMIC
        WITH RECURSIVE upstream (environment) AS (
            SELECT p.source_environment::text
              FROM promote.promotion_path AS p
             WHERE $6 AND p.project = $1 AND p.destination_environment = $2
            UNION
            SELECT f.environment FROM promote_internal.fork_parent($1, $2, $3) AS f WHERE $6
            UNION
            SELECT p.environment
              FROM upstream AS u
             CROSS JOIN LATERAL (
                  SELECT p.source_environment::text AS environment
                    FROM promote.promotion_path AS p
                   WHERE p.project = $1 AND p.destination_environment = u.environment
                   UNION ALL
                  SELECT f.environment FROM promote_internal.fork_parent($1, u.environment, $3) AS f
                  OFFSET 0) AS p
        ), origin (environment, revision) AS (
            SELECT $4 COLLATE "C", $5 WHERE NOT $6
            UNION
            SELECT r.environment, r.revision
              FROM origin AS o
             CROSS JOIN LATERAL (
                  SELECT r.source_environment::text AS environment, r.source_revision AS revision
                    FROM promote.revision AS r
                   WHERE r.project = $1 AND r.environment = o.environment AND r.component = $3 AND r.revision = o.revision
                   LIMIT 1) AS r
             WHERE r.environment IS NOT NULL
        )
        SELECT u.environment, NULL::integer FROM upstream AS u
        UNION ALL
        SELECT o.environment, o.revision FROM origin AS o;
    END;
REVOKE ALL ON FUNCTION promote_internal.proving_environments(text, text, text, text, integer, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.proving_environments(text, text, text, text, integer, boolean) IS
'Where a release has to have run before it is promoted to an instance from a revision of its source: where the environment takes promotions along paths only, any environment upstream of it; else the source, and whatever that revision itself came from, with the revision that was taken there';

CREATE FUNCTION promote_internal.proving_runs(
    project text, environment text, component text, bundle text, version text,
    source_environment text, source_revision integer, path_only boolean, before timestamptz DEFAULT NULL)
    RETURNS TABLE (environment text)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
    BEGIN ATOMIC
        SELECT e.environment
          FROM promote_internal.proving_environments($1, $2, $3, $6, $7, $8) AS e
         CROSS JOIN LATERAL promote_internal.opened_revision($1, e.environment, $3) AS o
         CROSS JOIN LATERAL (
              SELECT
                FROM promote.deployment AS u
               WHERE u.project = $1 AND u.environment = e.environment AND u.component = $3
                 AND u.action <> 'PLAN' AND u.started_at IS NOT NULL AND u.action = 'PROVISION' AND u.status = 'COMPLETED'
                 AND u.bundle = $4 AND u.version = $5 AND ($9 IS NULL OR u.finished_at <= $9)
                 -- what another environment of the name ran proves nothing, unless it is what was taken from
                 AND (u.revision > o.revision OR e.revision <= o.revision)
               LIMIT 1) AS run;
    END;
REVOKE ALL ON FUNCTION promote_internal.proving_runs(text, text, text, text, text, text, integer, boolean, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.proving_runs(text, text, text, text, text, text, integer, boolean, timestamptz) IS
'What opens the gate "release_unproven": of the environments that prove a release, those in which it was deployed and has not failed, now or earlier in their generation, and by a time (NULL: whenever)';

CREATE FUNCTION promote_internal.planned_reverts(
    project text, environment text, component text, revision integer, plan integer)
    RETURNS TABLE (place bigint, name text)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
    BEGIN ATOMIC
        WITH run AS (
            SELECT i.deployed_by FROM promote.instance AS i WHERE i.project = $1 AND i.environment = $2 AND i.component = $3
        ), plan AS MATERIALIZED (
            SELECT p.reverts, p.diff
              FROM (SELECT d.deployment, d.reverts, d.diff
                      FROM promote.deployment AS d
                     WHERE d.project = $1 AND d.environment = $2 AND d.component = $3 AND d.deployment = $5
                    -- what started from something else that ran does not know what of this is undone; the last of either
                    -- index, as in promote_internal.last_plan
                    UNION ALL
                    (SELECT d.deployment, d.reverts, d.diff
                       FROM promote.deployment AS d
                      WHERE $5 IS NULL AND d.project = $1 AND d.environment = $2 AND d.component = $3 AND d.revision = $4
                        AND d.action = 'PLAN' AND d.status NOT IN ('FAILED', 'ABORTED', 'REJECTED')
                        AND d.base_deployment IS NOT DISTINCT FROM (SELECT r.deployed_by FROM run AS r)
                      ORDER BY d.project DESC, d.environment DESC, d.component DESC, d.revision DESC, d.deployment DESC LIMIT 1)
                    UNION ALL
                    (SELECT d.deployment, d.reverts, d.diff
                       FROM promote.deployment AS d
                      WHERE $5 IS NULL AND d.project = $1 AND d.environment = $2 AND d.component = $3 AND d.revision = $4
                        AND d.action = 'PLAN' AND d.status IN ('FAILED', 'ABORTED', 'REJECTED')
                        AND d.base_deployment IS NOT DISTINCT FROM (SELECT r.deployed_by FROM run AS r)
                      ORDER BY d.project DESC, d.environment DESC, d.component DESC, d.revision DESC, d.deployment DESC LIMIT 1)) AS p
             ORDER BY p.deployment DESC LIMIT 1
        )
        SELECT e.place, (e.entry ->> 'path') || ' of revision ' || (e.entry -> 'reverts' ->> 'revision')
          FROM plan AS p
         CROSS JOIN LATERAL pg_catalog.jsonb_array_elements(p.diff) WITH ORDINALITY AS e (entry, place)
         WHERE p.reverts AND e.entry ? 'reverts'
        UNION ALL
        SELECT *
          FROM (SELECT 0, NULL
                  FROM promote.revision AS r
                 WHERE r.project = $1 AND r.environment = $2 AND r.component = $3 AND r.revision <= $4
                   -- what is staged on top does not take back what was promoted since what runs
                   AND r.revision > COALESCE((
                           SELECT COALESCE(i.deployed_revision, i.opened_revision) FROM promote.instance AS i
                            WHERE i.project = $1 AND i.environment = $2 AND i.component = $3), 0)
                   AND r.origin IN ('promotion', 'fork', 'merge') AND NOT EXISTS (SELECT FROM plan)
                 LIMIT 1) AS unknown;
    END;
REVOKE ALL ON FUNCTION promote_internal.planned_reverts(text, text, text, integer, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.planned_reverts(text, text, text, integer, integer) IS
'What closes the gate "reverts": what a promotion would undo that the instance had set itself, by a plan (NULL: the last one of the revision). A name of NULL: it is not known, for nobody has planned what was promoted or applied since what runs';

CREATE FUNCTION promote_internal.brought_release(
    project text, environment text, component text, revision integer, bundle text, version text,
    running integer DEFAULT NULL)
    RETURNS TABLE (source_environment text, source_revision integer)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
    BEGIN ATOMIC
        SELECT s.source_environment, s.source_revision
          FROM promote.instance AS i
          LEFT JOIN LATERAL (
              SELECT d.bundle, d.version
                FROM promote.deployment AS d
               WHERE d.project = i.project AND d.environment = i.environment AND d.component = i.component
                 AND d.deployment = COALESCE($7, i.deployed_by)
               LIMIT 1) AS run ON true
         CROSS JOIN LATERAL promote_internal.last_from_elsewhere(i.project, i.environment, i.component, $4) AS s
         WHERE i.project = $1 AND i.environment = $2 AND i.component = $3
           AND (run.bundle, run.version) IS DISTINCT FROM ($5, $6)
           AND NOT EXISTS (
                   SELECT
                     FROM promote.revision AS r
                    WHERE r.project = $1 AND r.environment = $2 AND r.component = $3
                      AND r.revision > s.revision AND r.revision <= $4
                      AND (r.origin = 'rollback'
                           OR (r.version_constraint, r.release_channel) IS DISTINCT FROM (s.version_constraint, s.release_channel)));
    END;
REVOKE ALL ON FUNCTION promote_internal.brought_release(text, text, text, integer, text, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.brought_release(text, text, text, integer, text, text, integer) IS
'From where the release was brought that a revision without a source would run: by the last promotion or fork before it, deployed or not. No row where that release runs already, by the deployment that is named (0: none; NULL: what runs now), or where somebody has chosen it since, by another constraint or channel or by going back';

CREATE FUNCTION promote_internal.missing_references(
    project text, environment text, component text, bundle text, version text, coming jsonb)
    RETURNS TABLE (field text)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
    BEGIN ATOMIC
        SELECT k.field
          FROM promote.bundle_release AS f
         CROSS JOIN LATERAL pg_catalog.jsonb_each(f.remote_references) AS k (field, slot)
         WHERE f.bundle = $4 AND f.version = $5
           AND NOT k.slot @> '{"required": false}'
           AND NOT COALESCE($6 ? k.field, false)
           AND NOT EXISTS (SELECT FROM promote.remote_reference AS r
                            WHERE r.project = $1 AND r.environment = $2 AND r.component = $3 AND r.field = k.field)
           AND NOT EXISTS (SELECT FROM promote.environment AS e
                            WHERE e.project = $1 AND e.environment = $2 AND e.reference_defaults ? k.field);
    END;
REVOKE ALL ON FUNCTION promote_internal.missing_references(text, text, text, text, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.missing_references(text, text, text, text, text, jsonb) IS
'What closes the gate "references": slots that a release requires and neither the instance fills nor its environment, but for what would come to it first';

CREATE FUNCTION promote_internal.lost_siblings(
    project text, environment text, component text, bundle text, version text, coming jsonb)
    RETURNS TABLE (field text, sibling text)
    LANGUAGE sql STABLE ROWS 1
    BEGIN ATOMIC
        SELECT k.field, s.name
          FROM promote.bundle_release AS f
         CROSS JOIN LATERAL pg_catalog.jsonb_each_text(
              COALESCE(promote_internal.desired_references($1, $2, $3, f.remote_references), '{}') || COALESCE($6, '{}'))
              AS k (field, reference)
         -- a query or a fragment may follow the name as a path does
         CROSS JOIN LATERAL (
              SELECT pg_catalog.split_part(pg_catalog.translate(k.reference, '?#', '//'), '/', 3) AS name OFFSET 0) AS s
         WHERE f.bundle = $4 AND f.version = $5
           AND pg_catalog.starts_with(k.reference, 'component://' || $1 || '-' || $2 || '-')
           AND NOT EXISTS (SELECT FROM promote.instance AS i WHERE i.name = s.name);
    END;
REVOKE ALL ON FUNCTION promote_internal.lost_siblings(text, text, text, text, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.lost_siblings(text, text, text, text, text, jsonb) IS
'What closes the gate "references", too: slots whose reference is to an instance of the same environment that is not there';

CREATE VIEW promote_internal.holding_request WITH (security_invoker = true) AS
    SELECT t.project,
           t.destination_environment AS environment,
           t.component,
           t.revision,
           t.rollback_revision,
           r.request,
           r.created_at AS since,
           r.source_environment,
           r.status,
           r.actor
      FROM promote.promotion_request_item AS t
      JOIN promote.promotion_request AS r ON r.project = t.project AND r.request = t.request
     WHERE t.holds;
COMMENT ON VIEW promote_internal.holding_request IS 'What closes the gate "request": the request that holds an instance';
COMMENT ON COLUMN promote_internal.holding_request.project IS 'Project';
COMMENT ON COLUMN promote_internal.holding_request.environment IS 'Environment of the instance';
COMMENT ON COLUMN promote_internal.holding_request.component IS 'Component of the instance';
COMMENT ON COLUMN promote_internal.holding_request.revision IS 'Revision that the request has staged, which it lets through';
COMMENT ON COLUMN promote_internal.holding_request.rollback_revision IS 'Revision that it has staged to roll back, likewise';
COMMENT ON COLUMN promote_internal.holding_request.request IS 'Number';
COMMENT ON COLUMN promote_internal.holding_request.since IS 'When it was opened';
COMMENT ON COLUMN promote_internal.holding_request.source_environment IS 'Environment that it promotes from';
COMMENT ON COLUMN promote_internal.holding_request.status IS 'As in promote.promotion_request';
COMMENT ON COLUMN promote_internal.holding_request.actor IS 'Who opened it';

-- A look that is cheap: most instances are as they were deployed.
CREATE VIEW promote_internal.differing_instance WITH (security_invoker = true) AS
    SELECT i.project,
           i.environment,
           i.component,
           x.adopted_revision
      FROM promote.drift_item AS x
      JOIN promote.instance AS i
        ON i.project = x.project AND i.environment = x.environment AND i.component = x.component
       AND i.changed_by = x.changed_by AND i.deployed_by IS NOT NULL
     WHERE x.closed_at IS NULL AND x.kind <> 'resource' AND x.dismissed_at IS NULL
    UNION ALL
    SELECT i.project,
           i.environment,
           i.component,
           NULL
      FROM promote.instance AS i
     CROSS JOIN LATERAL promote_internal.planned_drift(i.project, i.environment, i.component, i.changed_by) AS p
     WHERE i.deployed_by IS NOT NULL AND p.found;
COMMENT ON VIEW promote_internal.differing_instance IS 'Instances that may have rows in open_difference: whatever is in there is in here, a row for each difference that was reported, and one where the last plan has found any';
COMMENT ON COLUMN promote_internal.differing_instance.project IS 'Project';
COMMENT ON COLUMN promote_internal.differing_instance.environment IS 'Environment';
COMMENT ON COLUMN promote_internal.differing_instance.component IS 'Component';
COMMENT ON COLUMN promote_internal.differing_instance.adopted_revision IS 'Revision that adopts the difference; NULL: none does';

-- What a plan has found is sought behind a look whether its last one has found anything at all.
CREATE VIEW promote_internal.open_difference WITH (security_invoker = true) AS
    SELECT i.project,
           i.environment,
           i.component,
           x.path,
           x.since,
           x.adopted_revision
      FROM promote.drift_item AS x
      JOIN promote.instance AS i
        ON i.project = x.project AND i.environment = x.environment AND i.component = x.component
       AND i.changed_by = x.changed_by AND i.deployed_by IS NOT NULL
     WHERE x.closed_at IS NULL AND x.kind <> 'resource' AND x.dismissed_at IS NULL
    UNION ALL
    SELECT i.project,
           i.environment,
           i.component,
           v.path,
           v.since,
           NULL
      FROM promote.instance AS i
     CROSS JOIN LATERAL promote_internal.planned_drift(i.project, i.environment, i.component, i.changed_by) AS p
     CROSS JOIN LATERAL (
          SELECT v.path, v.since
            FROM promote.drift_status AS v
           WHERE p.found AND v.instance = i.name AND v.kind = 'resource' AND NOT v.dismissed
          OFFSET 0) AS v
     WHERE i.deployed_by IS NOT NULL;
COMMENT ON VIEW promote_internal.open_difference IS 'What closes the gate "drift": differences from what was deployed that nobody has dismissed, as promote.drift_status shows them';
COMMENT ON COLUMN promote_internal.open_difference.project IS 'Project';
COMMENT ON COLUMN promote_internal.open_difference.environment IS 'Environment';
COMMENT ON COLUMN promote_internal.open_difference.component IS 'Component';
COMMENT ON COLUMN promote_internal.open_difference.path IS 'Where it differs: a path in the params, or a resource''s address';
COMMENT ON COLUMN promote_internal.open_difference.since IS 'Since when that is known';
COMMENT ON COLUMN promote_internal.open_difference.adopted_revision IS 'Revision that adopts it, which may be deployed; NULL: none does';

CREATE FUNCTION promote_internal.repeated_run(
    project text, environment text, component text, digest bytea, version text, plan integer, rendered_digest bytea)
    RETURNS TABLE (deployment integer)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
    BEGIN ATOMIC
        SELECT run.deployment
          FROM promote.instance AS i
         CROSS JOIN LATERAL (
              SELECT d.deployment, d.version, d.rendered_digest
                FROM promote.deployment AS d
               WHERE d.project = i.project AND d.environment = i.environment AND d.component = i.component
                 AND d.deployment = i.deployed_by
               LIMIT 1) AS run
         WHERE i.project = $1 AND i.environment = $2 AND i.component = $3
           AND run.version = $5
           AND CASE WHEN $6 <> 0
                    THEN run.rendered_digest = (
                             SELECT d.rendered_digest
                               FROM promote.deployment AS d
                              WHERE d.project = $1 AND d.environment = $2 AND d.component = $3 AND d.deployment = $6)
                    ELSE run.rendered_digest = COALESCE($7, promote_internal.rendered_digest($1, $2, $4)) END;
    END;
REVOKE ALL ON FUNCTION promote_internal.repeated_run(text, text, text, bytea, text, integer, bytea) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.repeated_run(text, text, text, bytea, text, integer, bytea) IS
'What runs, where a configuration and a release are what runs, as the plan (0: none) renders them, or, without one, as it is rendered now (NULL: it is stored): to deploy them puts right what differs';

CREATE FUNCTION promote_internal.recorded_changes(project text, environment text, component text, plan integer)
    RETURNS TABLE (change integer, address text, type text, action text, origin text, mode text, fingerprint bytea,
                   bundle text, version text)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
    BEGIN ATOMIC
        SELECT c.change, c.address, c.type, c.action, c.origin, c.mode, c.fingerprint, p.bundle::text, p.version::text
          FROM (SELECT d.deployment, d.fencing, d.bundle, d.version
                  FROM promote.deployment AS d
                 WHERE d.project = $1 AND d.environment = $2 AND d.component = $3 AND d.deployment = $4
                   AND d.plan_facts IS NOT NULL
                 LIMIT 1) AS p
         CROSS JOIN LATERAL (
              SELECT c.change, c.address, c.type, c.action, c.origin, c.mode, c.fingerprint
                FROM promote.planned_change AS c
               WHERE c.project = $1 AND c.environment = $2 AND c.component = $3
                 AND c.deployment = p.deployment AND c.fencing = p.fencing
              OFFSET 0) AS c;
    END;
REVOKE ALL ON FUNCTION promote_internal.recorded_changes(text, text, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.recorded_changes(text, text, text, integer) IS
'What a plan would do, as it was recorded by the worker who carried it out, with its release';

CREATE FUNCTION promote_internal.destructive_changes(project text, environment text, component text, plan integer)
    RETURNS TABLE (change integer, address text)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
    BEGIN ATOMIC
        SELECT c.change, c.address
          FROM promote_internal.recorded_changes($1, $2, $3, $4) AS c
         WHERE c.origin <> 'drift' AND c.action IN ('delete', 'replace') AND COALESCE(c.mode, 'managed') = 'managed'
           AND (EXISTS (SELECT FROM promote.stateful_type AS s WHERE s.pattern = c.type)
                OR EXISTS (SELECT FROM promote.stateful_type AS s
                            WHERE pg_catalog.strpos(s.pattern, '*') > 0 AND c.type LIKE s.like_pattern)
                OR EXISTS (SELECT FROM pg_catalog.unnest((SELECT b.stateful_types FROM promote.bundle_release AS b
                                                           WHERE b.bundle = c.bundle AND b.version = c.version))
                                       AS own (pattern)
                            WHERE c.type LIKE promote_internal.type_pattern(own.pattern)));
    END;
REVOKE ALL ON FUNCTION promote_internal.destructive_changes(text, text, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.destructive_changes(text, text, text, integer) IS
'What closes the gate "destructive": changes of a recorded plan that delete or replace what holds data';

CREATE FUNCTION promote_internal.unexpected_values(
    project text, environment text, component text, deployment integer, source_environment text,
    digest bytea, source_digest bytea)
    RETURNS TABLE (place bigint, path text)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 10
    BEGIN ATOMIC
        SELECT n.place, n.path
          FROM (SELECT (SELECT k.params FROM promote.config AS k WHERE k.project = $1 AND k.digest = $6) AS own,
                       (SELECT k.params FROM promote.config AS k WHERE k.project = $1 AND k.digest = $7) AS theirs
                OFFSET 0) AS c
         CROSS JOIN LATERAL promote_internal.never_ran($1, $5, $3, CASE WHEN $4 <> 0
             THEN (SELECT d.diff
                     FROM promote.deployment AS d
                    WHERE d.project = $1 AND d.environment = $2 AND d.component = $3 AND d.deployment = $4)
             -- where nothing was planned, what is desired is held against what was deployed
             ELSE (SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('kind', 'param', 'path', f.path, 'change', f.change)
                                               ORDER BY f.place)
                     FROM promote.jsonb_leaf_diff(COALESCE((
                              SELECT k.params
                                FROM promote.config AS k
                               WHERE k.project = $1
                                 AND k.digest = (SELECT r.digest
                                                   FROM promote.revision AS r
                                                  WHERE r.project = $1 AND r.environment = $2 AND r.component = $3
                                                    AND r.revision = (SELECT i.deployed_revision
                                                                        FROM promote.instance AS i
                                                                       WHERE i.project = $1 AND i.environment = $2
                                                                         AND i.component = $3))), '{}'), c.own)
                              WITH ORDINALITY AS f (path, change, old_value, new_value, place)) END,
             c.own, COALESCE(c.theirs, '{}')) AS n;
    END;
REVOKE ALL ON FUNCTION promote_internal.unexpected_values(text, text, text, integer, text, bytea, bytea) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.unexpected_values(text, text, text, integer, text, bytea, bytea) IS
'What closes the gate "unexpected": where the configuration gets a value from its source that it has never run with there. What the destination has for itself, by overrides or its environment''s parameters, is meant; where nothing ever ran there is nothing to compare with';

CREATE FUNCTION promote_internal.unexpected_changes(
    project text, environment text, component text, plan integer, source_environment text, revision integer)
    RETURNS TABLE (change integer, address text)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 10
    BEGIN ATOMIC
        SELECT c.change, c.address
          FROM promote_internal.recorded_changes($1, $2, $3, $4) AS c
         WHERE c.origin = 'change' AND c.fingerprint IS NOT NULL
           -- the source's resources have not been updated in a way that overrides ask for
           AND (c.action <> 'update' OR EXISTS (
                    SELECT FROM promote.revision AS r
                     WHERE r.project = $1 AND r.environment = $2 AND r.component = $3 AND r.revision = $6
                       AND (r.overrides = '{}') IS NOT FALSE))
           AND EXISTS (SELECT FROM promote.deployment AS u
                        WHERE u.project = $1 AND u.environment = $5 AND u.component = $3
                          AND u.action = 'PLAN' AND u.plan_facts IS NOT NULL)
           AND NOT EXISTS (
                   SELECT
                     FROM (SELECT u.deployment, u.fencing
                             FROM promote.planned_change AS u
                            WHERE u.project = $1 AND u.environment = $5 AND u.component = $3
                              AND u.fingerprint = c.fingerprint
                           OFFSET 0) AS u
                    WHERE (SELECT o.fencing
                             FROM promote.deployment AS o
                            WHERE o.project = $1 AND o.environment = $5 AND o.component = $3
                              AND o.deployment = u.deployment AND o.plan_facts IS NOT NULL) = u.fencing);
    END;
REVOKE ALL ON FUNCTION promote_internal.unexpected_changes(text, text, text, integer, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.unexpected_changes(text, text, text, integer, text, integer) IS
'What closes the gate "unexpected", too: changes of a recorded plan that no recorded plan of the source makes, if there is any';
