-- What instances desire, against what they run.

CREATE FUNCTION promote_internal.rendered_digest(project text, environment text, digest bytea) RETURNS bytea
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'promote_rendered_digest';
GRANT EXECUTE ON FUNCTION promote_internal.rendered_digest(text, text, bytea) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.rendered_digest(text, text, bytea) IS
'Digest of a configuration of a project with its placeholders replaced by the parameters of an environment, as far as there are any: it refuses none. NULL where there is no such configuration, or the environment is not to be seen';

-- This view has the owner's rights, since it reads what is withheld from others; it shows only a digest of that.
CREATE VIEW promote_internal.config_rendered WITH (security_barrier = true) AS
    SELECT c.project,
           e.environment,
           c.digest,
           promote_internal.rendered_digest(c.project, e.environment, c.digest) AS rendered_digest
      FROM promote.config AS c
      JOIN promote.environment AS e ON e.project = c.project
     WHERE promote_internal.may_view(e.project, e.environment);
-- instance_status reads it as whoever asks, who cannot name it.
GRANT SELECT ON promote_internal.config_rendered TO PUBLIC;
COMMENT ON VIEW promote_internal.config_rendered IS 'Digest of what each configuration would be in each environment of its project now, with placeholders replaced';
COMMENT ON COLUMN promote_internal.config_rendered.project IS 'Project';
COMMENT ON COLUMN promote_internal.config_rendered.environment IS 'Environment whose parameters replace the placeholders';
COMMENT ON COLUMN promote_internal.config_rendered.digest IS 'Digest of the configuration';
COMMENT ON COLUMN promote_internal.config_rendered.rendered_digest IS 'Digest of the configuration with placeholders replaced; placeholders without a parameter stay';

-- Everything is looked up by whole keys in lateral subqueries of one row, so that a page of instances costs a page of
-- look-ups. What an instance runs is mostly what it desires, and is not looked up again then. The release that a constraint stands for is found as promote.resolve_release finds it, which a reader of
-- the view need not be allowed to call.
CREATE VIEW promote_internal.instance_state WITH (security_invoker = true) AS
    SELECT x.instance,
           x.project,
           x.environment,
           x.component,
           x.word AS status,
           CASE x.word
               WHEN 'deploying' THEN x.started_at
               WHEN 'failed' THEN x.changed_at
               WHEN 'decommissioned' THEN x.changed_at
               WHEN 'never_deployed' THEN x.created_at
               WHEN 'drifted' THEN x.drifted_at
               -- it is not known when parameters have changed
               WHEN 'stale' THEN CASE WHEN COALESCE(x.moved_at, x.published_at) IS NOT NULL
                                      THEN GREATEST(x.deployed_at, LEAST(x.moved_at, x.published_at)) END
               WHEN 'in_sync' THEN x.deployed_at
           END AS since,
           x.desired_revision,
           x.desired_digest,
           x.desired_version,
           x.deployed_revision,
           x.deployed_digest,
           x.rendered_digest,
           x.deployed_version,
           x.observed_digest,
           x.running_deployment,
           x.running_action,
           x.worker,
           x.version_constraint,
           x.attributes,
           x.bundle,
           x.source_environment,
           x.source_revision,
           x.references_run,
           x.desired_actor,
           x.desired_at,
           x.deployed_actor,
           x.deployed_at,
           CASE WHEN EXISTS (SELECT FROM promote.deployment AS d
                              WHERE d.project = x.project AND d.environment = x.environment
                                AND d.component = x.component AND d.due_at IS NOT NULL AND d.status <> 'RUNNING')
                THEN promote_internal.waits_for(x.project, x.environment, x.component) END AS waits_for
      FROM (
        SELECT i.name AS instance,
               i.project,
               i.environment,
               i.component,
               w.word,
               i.created_at,
               running.started_at,
               changed.finished_at AS changed_at,
               run.finished_at AS deployed_at,
               LEAST(drifted.at, found.at) AS drifted_at,
               next.created_at AS moved_at,
               CASE WHEN rel.version <> run.version THEN rel.published_at END AS published_at,
               NULLIF(i.revision, i.opened_revision) AS desired_revision,
               desired.digest AS desired_digest,
               COALESCE(rel.version, desired.version)::text AS desired_version,
               i.deployed_revision,
               deployed.digest AS deployed_digest,
               run.rendered_digest,
               run.version::text AS deployed_version,
               seen.digest AS observed_digest,
               running.deployment AS running_deployment,
               running.action AS running_action,
               running.worker,
               i.version_constraint,
               i.attributes,
               desired.bundle,
               desired.source_environment,
               desired.source_revision,
               run.remote_references IS NOT NULL AS references_run,
               desired.actor AS desired_actor,
               desired.created_at AS desired_at,
               run.actor AS deployed_actor
          FROM promote.instance AS i
          LEFT JOIN LATERAL (
              SELECT r.digest, r.bundle, r.version, r.source_environment, r.source_revision, r.actor, r.created_at
                FROM promote.revision AS r
               WHERE r.project = i.project AND r.environment = i.environment
                 AND r.component = i.component AND r.revision = i.revision AND i.revision <> i.opened_revision
               LIMIT 1) AS desired ON true
          LEFT JOIN LATERAL (
              SELECT desired.digest WHERE i.deployed_revision = i.revision
              UNION ALL
              (SELECT r.digest
                 FROM promote.revision AS r
                WHERE r.project = i.project AND r.environment = i.environment
                  AND r.component = i.component AND r.revision = i.deployed_revision AND i.deployed_revision <> i.revision
                LIMIT 1)
               LIMIT 1) AS deployed ON true
          LEFT JOIN LATERAL (
              SELECT r.created_at
                FROM promote.revision AS r
               WHERE r.project = i.project AND r.environment = i.environment
                 AND r.component = i.component AND r.revision = i.deployed_revision + 1 AND i.deployed_revision < i.revision
               LIMIT 1) AS next ON true
          LEFT JOIN LATERAL (
              SELECT d.rendered_digest, d.version, d.started_at, d.finished_at, d.remote_references, d.actor
                FROM promote.deployment AS d
               WHERE d.project = i.project AND d.environment = i.environment
                 AND d.component = i.component AND d.deployment = i.deployed_by
               LIMIT 1) AS run ON true
          LEFT JOIN LATERAL (
              SELECT run.finished_at WHERE i.changed_by = i.deployed_by
              UNION ALL
              (SELECT d.finished_at
                 FROM promote.deployment AS d
                WHERE d.project = i.project AND d.environment = i.environment
                  AND d.component = i.component AND d.deployment = i.changed_by AND i.changed_by IS DISTINCT FROM i.deployed_by
                LIMIT 1)
               LIMIT 1) AS changed ON true
          LEFT JOIN LATERAL (
              SELECT d.deployment, d.action, d.worker, d.started_at
                FROM promote.deployment AS d
               WHERE d.project = i.project AND d.environment = i.environment
                 AND d.component = i.component AND d.due_at IS NOT NULL
                 AND d.status = 'RUNNING'
               LIMIT 1) AS running ON true
          LEFT JOIN LATERAL (
              (SELECT f.version, f.published_at, f.remote_references, f.secrets
                 FROM promote.bundle_release AS f
                WHERE i.release_channel = 'stable' AND i.version_constraint !~ '^[0-9]'
                  AND f.bundle = desired.bundle AND NOT f.prerelease
                  AND f.sort_key >= (promote.version_range(i.version_constraint)).lower
                  AND f.sort_key < (promote.version_range(i.version_constraint)).upper
                ORDER BY f.bundle DESC, f.sort_key DESC LIMIT 1)
              UNION ALL
              (SELECT f.version, f.published_at, f.remote_references, f.secrets
                 FROM promote.bundle_release AS f
                WHERE (i.release_channel = 'development' OR i.version_constraint ~ '^[0-9]')
                  AND f.bundle = desired.bundle
                  AND f.sort_key >= (promote.version_range(i.version_constraint)).lower
                  AND f.sort_key < (promote.version_range(i.version_constraint)).upper
                ORDER BY f.bundle DESC, f.sort_key DESC LIMIT 1)
              LIMIT 1) AS rel ON true
          LEFT JOIN LATERAL (
              SELECT o.digest
                FROM promote.observation AS o
               WHERE o.project = i.project AND o.environment = i.environment
                 AND o.component = i.component AND o.changed_by = i.changed_by
               LIMIT 1) AS seen ON true
          LEFT JOIN LATERAL (
              SELECT d.since AS at
                FROM promote.drift_item AS d
               WHERE d.project = i.project AND d.environment = i.environment
                 AND d.component = i.component AND d.closed_at IS NULL
                 AND d.kind <> 'resource' AND d.changed_by = i.changed_by
                 AND d.dismissed_at IS NULL
                 AND d.adopted_revision IS DISTINCT FROM i.revision
               ORDER BY d.project, d.environment, d.component, d.since
               LIMIT 1) AS drifted ON true
          -- drift by the last recorded plan, as in promote.drift_status
          LEFT JOIN LATERAL (
              SELECT (SELECT pg_catalog.min(v.since) FROM promote.drift_status AS v
                       WHERE v.instance = i.name AND v.kind = 'resource' AND NOT v.dismissed) AS at
                FROM promote_internal.planned_drift(i.project, i.environment, i.component, i.changed_by) AS p
               WHERE p.found
              ) AS found ON true
         CROSS JOIN LATERAL (
              -- OFFSET 0: the status is found out once, however often the columns refer to it
              SELECT CASE
                   WHEN running.action <> 'PLAN' THEN 'deploying'
                   WHEN i.status = 'FAILED' THEN 'failed'
                   WHEN i.status = 'DECOMMISSIONED' THEN 'decommissioned'
                   WHEN i.deployed_by IS NULL THEN 'never_deployed'
                   WHEN drifted.at IS NOT NULL OR found.at IS NOT NULL THEN 'drifted'
                   WHEN rel.version <> run.version THEN 'stale'
                   WHEN (run.remote_references IS NOT NULL OR rel.remote_references <> '{}')
                        AND run.remote_references IS DISTINCT FROM
                            promote_internal.desired_references(i.project, i.environment, i.component, rel.remote_references)
                        AND rel.version IS NOT NULL
                   THEN 'stale'
                   -- what is written otherwise may be rendered the same; nothing was replaced where the rendered params
                   -- are the params
                   WHEN (desired.digest <> deployed.digest OR run.rendered_digest <> deployed.digest)
                        AND COALESCE(run.rendered_digest <> (
                            SELECT c.rendered_digest FROM promote_internal.config_rendered AS c
                             WHERE c.project = i.project AND c.environment = i.environment
                               AND c.digest = desired.digest), desired.digest <> deployed.digest)
                   THEN 'stale'
                   -- its worker may have had other secrets
                   WHEN rel.secrets <> '{}'
                        AND EXISTS (
                            SELECT FROM promote_internal.moved_secret AS s
                             WHERE s.project = i.project AND s.environment = i.environment
                               AND s.component = i.component AND s.at > run.started_at
                               AND rel.secrets ? s.secret)
                   THEN 'stale'
                   ELSE 'in_sync'
               END AS word OFFSET 0) AS w) AS x;
-- Whoever asks cannot name it.
GRANT SELECT ON promote_internal.instance_state TO PUBLIC;
COMMENT ON VIEW promote_internal.instance_state IS 'What promote.instance_status shows, and what else is at hand then';
COMMENT ON COLUMN promote_internal.instance_state.instance IS 'As in promote.instance_status';
COMMENT ON COLUMN promote_internal.instance_state.project IS 'As in promote.instance_status';
COMMENT ON COLUMN promote_internal.instance_state.environment IS 'As in promote.instance_status';
COMMENT ON COLUMN promote_internal.instance_state.component IS 'As in promote.instance_status';
COMMENT ON COLUMN promote_internal.instance_state.status IS 'As in promote.instance_status';
COMMENT ON COLUMN promote_internal.instance_state.since IS 'As in promote.instance_status';
COMMENT ON COLUMN promote_internal.instance_state.desired_revision IS 'As in promote.instance_status';
COMMENT ON COLUMN promote_internal.instance_state.desired_digest IS 'As in promote.instance_status';
COMMENT ON COLUMN promote_internal.instance_state.desired_version IS 'As in promote.instance_status';
COMMENT ON COLUMN promote_internal.instance_state.deployed_revision IS 'As in promote.instance_status';
COMMENT ON COLUMN promote_internal.instance_state.deployed_digest IS 'As in promote.instance_status';
COMMENT ON COLUMN promote_internal.instance_state.rendered_digest IS 'As in promote.instance_status';
COMMENT ON COLUMN promote_internal.instance_state.deployed_version IS 'As in promote.instance_status';
COMMENT ON COLUMN promote_internal.instance_state.observed_digest IS 'As in promote.instance_status';
COMMENT ON COLUMN promote_internal.instance_state.running_deployment IS 'As in promote.instance_status';
COMMENT ON COLUMN promote_internal.instance_state.running_action IS 'As in promote.instance_status';
COMMENT ON COLUMN promote_internal.instance_state.worker IS 'As in promote.instance_status';
COMMENT ON COLUMN promote_internal.instance_state.version_constraint IS 'Version constraint that it desires';
COMMENT ON COLUMN promote_internal.instance_state.attributes IS 'Its own attributes';
COMMENT ON COLUMN promote_internal.instance_state.bundle IS 'Bundle of the revision that it desires';
COMMENT ON COLUMN promote_internal.instance_state.source_environment IS 'Environment that this came from';
COMMENT ON COLUMN promote_internal.instance_state.source_revision IS 'Revision that it came from there';
COMMENT ON COLUMN promote_internal.instance_state.references_run IS 'Were remote references deployed?';
COMMENT ON COLUMN promote_internal.instance_state.desired_actor IS 'As in promote.instance_status';
COMMENT ON COLUMN promote_internal.instance_state.desired_at IS 'As in promote.instance_status';
COMMENT ON COLUMN promote_internal.instance_state.deployed_actor IS 'As in promote.instance_status';
COMMENT ON COLUMN promote_internal.instance_state.deployed_at IS 'As in promote.instance_status';
COMMENT ON COLUMN promote_internal.instance_state.waits_for IS 'As in promote.instance_status';

CREATE VIEW promote.instance_status WITH (security_invoker = true) AS
    SELECT s.instance,
           s.project,
           s.environment,
           s.component,
           s.status,
           s.since,
           s.desired_revision,
           s.desired_digest,
           s.desired_version,
           s.deployed_revision,
           s.deployed_digest,
           s.rendered_digest,
           s.deployed_version,
           s.observed_digest,
           s.running_deployment,
           s.running_action,
           s.worker,
           s.waits_for,
           s.desired_actor,
           s.desired_at,
           s.deployed_actor,
           s.deployed_at
      FROM promote_internal.instance_state AS s;
COMMENT ON VIEW promote.instance_status IS 'Instances: what they desire against what they run';
COMMENT ON COLUMN promote.instance_status.instance IS 'Name';
COMMENT ON COLUMN promote.instance_status.project IS 'Project';
COMMENT ON COLUMN promote.instance_status.environment IS 'Environment';
COMMENT ON COLUMN promote.instance_status.component IS 'Component';
COMMENT ON COLUMN promote.instance_status.status IS 'The first that applies of: deploying, failed, decommissioned, never_deployed, drifted, stale, in_sync';
COMMENT ON COLUMN promote.instance_status.since IS 'When the status began; NULL for stale if nothing has changed but parameters of the environment, references or secrets';
COMMENT ON COLUMN promote.instance_status.desired_revision IS 'Revision that is desired; NULL: none yet';
COMMENT ON COLUMN promote.instance_status.desired_digest IS 'Digest of that revision''s configuration, with the placeholders';
COMMENT ON COLUMN promote.instance_status.desired_version IS 'Release that its constraint stands for now';
COMMENT ON COLUMN promote.instance_status.deployed_revision IS 'Revision that runs; NULL: it is not provisioned';
COMMENT ON COLUMN promote.instance_status.deployed_digest IS 'Digest of that revision''s configuration, with the placeholders';
COMMENT ON COLUMN promote.instance_status.rendered_digest IS 'Digest of the configuration as it was rendered and deployed';
COMMENT ON COLUMN promote.instance_status.deployed_version IS 'Release that runs';
COMMENT ON COLUMN promote.instance_status.observed_digest IS 'Digest of what was reported since; NULL: nothing was';
COMMENT ON COLUMN promote.instance_status.running_deployment IS 'Deployment that a worker carries out; NULL: none';
COMMENT ON COLUMN promote.instance_status.running_action IS 'PLAN, PROVISION or DECOMMISSION';
COMMENT ON COLUMN promote.instance_status.worker IS 'Who carries it out';
COMMENT ON COLUMN promote.instance_status.waits_for IS 'What of other components the next deployment waits for, in words; NULL: nothing';
COMMENT ON COLUMN promote.instance_status.desired_actor IS 'Who asked for what is desired';
COMMENT ON COLUMN promote.instance_status.desired_at IS 'When that was';
COMMENT ON COLUMN promote.instance_status.deployed_actor IS 'Who asked for the deployment of what runs';
COMMENT ON COLUMN promote.instance_status.deployed_at IS 'When that deployment was completed';
