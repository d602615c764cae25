-- Workers: programs outside the database that claim deployments and carry
-- them out.  A claim is a lease with a fencing number; both must hold
-- wherever a worker writes, or it is refused, PM502.

CREATE TABLE promote.deployment_log (
    project     promote.project_name NOT NULL,
    environment promote.environment_name NOT NULL,
    component   promote.component_name NOT NULL,
    deployment  integer NOT NULL,
    entry       integer NOT NULL,
    fencing     integer NOT NULL,
    at          timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    message     text NOT NULL,
    CONSTRAINT deployment_log_pkey
        PRIMARY KEY (project, environment, component, deployment, entry),
    CONSTRAINT deployment_log_deployment_fkey
        FOREIGN KEY (project, environment, component, deployment)
        REFERENCES promote.deployment (project, environment, component, deployment),
    CONSTRAINT deployment_log_entry_check CHECK (entry > 0)
)
-- as promote.config
WITH (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_freeze_min_age = 0);
SELECT pg_catalog.pg_extension_config_dump('promote.deployment_log', '');
COMMENT ON TABLE promote.deployment_log IS 'What workers print while they carry a deployment out; old rows may be deleted';
COMMENT ON COLUMN promote.deployment_log.project IS 'The instance''s project';
COMMENT ON COLUMN promote.deployment_log.environment IS 'The instance''s environment';
COMMENT ON COLUMN promote.deployment_log.component IS 'The instance''s component';
COMMENT ON COLUMN promote.deployment_log.deployment IS 'Deployment';
COMMENT ON COLUMN promote.deployment_log.entry IS 'Number, from 1 in each deployment';
COMMENT ON COLUMN promote.deployment_log.fencing IS 'Claim that wrote it';
COMMENT ON COLUMN promote.deployment_log.at IS 'When it was written';
COMMENT ON COLUMN promote.deployment_log.message IS 'What was printed: one line or many';

CREATE TRIGGER guard_record BEFORE INSERT ON promote.deployment_log
    FOR EACH ROW EXECUTE FUNCTION promote_internal.guard_record();
ALTER TABLE promote.deployment_log ENABLE ALWAYS TRIGGER guard_record;

CREATE VIEW promote_internal.due_deployment AS
    SELECT d.project,
           d.environment,
           d.component,
           d.deployment,
           d.action,
           d.status,
           d.worker,
           d.bundle,
           d.version,
           d.due_at,
           d.lost_leases,
           CASE WHEN d.status = 'RUNNING'
                THEN (SELECT e.max_lost_leases FROM promote.environment AS e
                       WHERE e.project = d.project AND e.environment = d.environment) END AS max_lost_leases,
           d.approved_by IS NOT NULL AS approved,
           i.changed_by,
           d.action = 'PLAN' AND d.base_deployment IS DISTINCT FROM i.deployed_by AS strays,
           (SELECT a.attributes FROM promote_internal.instance_attributes AS a
             WHERE a.project = d.project AND a.environment = d.environment AND a.component = d.component) AS attributes,
           ARRAY[pg_catalog.concat_ws('-', d.project, d.environment), d.project || '-*', '*-' || d.environment] AS scopes
      FROM promote.deployment AS d
      JOIN promote.instance AS i
        ON i.project = d.project AND i.environment = d.environment AND i.component = d.component
     WHERE d.due_at IS NOT NULL;
COMMENT ON VIEW promote_internal.due_deployment IS
'What workers claim from, at most one deployment of an instance: what waits and may be claimed from due_at on, and what runs until then; whether it is a PLAN that starts from something else than what runs (strays), and with what selects it: the instance''s effective attributes, and the scopes of grants that reach it. FOR UPDATE locks the deployment and its instance';

-- Of what is queued: what is not queued yet is judged by gate "secrets".
CREATE FUNCTION promote_internal.lacking_secrets(project text, environment text, component text, deployment integer)
    RETURNS TABLE (secret text)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT k.name
          FROM promote.deployment AS d
          JOIN promote.bundle_release AS f ON f.bundle = d.bundle AND f.version = d.version
         CROSS JOIN LATERAL pg_catalog.jsonb_each(f.secrets) AS k (name, declaration)
          LEFT JOIN promote.secret AS s
            ON s.project = d.project AND s.environment = d.environment AND s.component = d.component AND s.secret = k.name
         WHERE d.project = $1 AND d.environment = $2 AND d.component = $3 AND d.deployment = $4 AND d.action = 'PROVISION'
           AND CASE WHEN s.secret IS NULL THEN NOT k.declaration @> '{"required": false}'
                    ELSE k.declaration @> '{"format": "json"}' AND s.format <> 'json' END;
    END;
REVOKE ALL ON FUNCTION promote_internal.lacking_secrets(text, text, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.lacking_secrets(text, text, text, integer) IS
'The secrets that the release of a PROVISION requires and that are not set, or not in the format that it declares';

CREATE FUNCTION promote.heartbeat_deployment(
    instance text, deployment integer, fencing integer, lease interval DEFAULT '5 minutes')
    RETURNS promote.deployment
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_heartbeat_deployment';
REVOKE ALL ON FUNCTION promote.heartbeat_deployment(text, integer, integer, interval) FROM PUBLIC;
COMMENT ON FUNCTION promote.heartbeat_deployment(text, integer, integer, interval) IS
'Extends a claim''s lease: from now on it lasts that long';

CREATE FUNCTION promote.append_deployment_log(
    instance text, deployment integer, message text, fencing integer)
    RETURNS integer
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_append_deployment_log';
REVOKE ALL ON FUNCTION promote.append_deployment_log(text, integer, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote.append_deployment_log(text, integer, text, integer) IS
'Adds what the worker printed to the deployment''s log; returns the entry''s number';

CREATE FUNCTION promote.complete_deployment(
    instance text, deployment integer, fencing integer, message text DEFAULT NULL)
    RETURNS promote.deployment
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_complete_deployment';
REVOKE ALL ON FUNCTION promote.complete_deployment(text, integer, integer, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.complete_deployment(text, integer, integer, text) IS
'Ends a claimed deployment well; the same claim may say so again';

CREATE FUNCTION promote.fail_deployment(
    instance text, deployment integer, reason text, fencing integer)
    RETURNS promote.deployment
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_fail_deployment';
REVOKE ALL ON FUNCTION promote.fail_deployment(text, integer, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote.fail_deployment(text, integer, text, integer) IS
'Ends a claimed deployment as failed, for a reason; the same claim may say so again';

CREATE FUNCTION promote.release_deployment(
    instance text, deployment integer, fencing integer, reason text DEFAULT NULL,
    delay interval DEFAULT '0')
    RETURNS promote.deployment
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_release_deployment';
REVOKE ALL ON FUNCTION promote.release_deployment(text, integer, integer, text, interval) FROM PUBLIC;
COMMENT ON FUNCTION promote.release_deployment(text, integer, integer, text, interval) IS
'Gives a claimed deployment back to the queue, where it is the instance''s next, to be claimed again after the delay';
