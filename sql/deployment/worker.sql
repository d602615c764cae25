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
);
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

CREATE FUNCTION promote.claim_deployment(
    worker text, actions text[] DEFAULT NULL, lease interval DEFAULT '5 minutes',
    selector jsonb DEFAULT '{}')
    RETURNS TABLE (instance text, deployment integer, action text, fencing integer,
                   lease_until timestamptz, project text, environment text, component text,
                   revision integer, bundle text, version text, params jsonb, params_digest bytea,
                   plan integer, plan_digest bytea, remote_references jsonb)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1
    AS 'MODULE_PATHNAME', 'promote_claim_deployment';
REVOKE ALL ON FUNCTION promote.claim_deployment(text, text[], interval, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION promote.claim_deployment(text, text[], interval, jsonb) IS
'Claims the deployment that has been due longest, of these actions and of instances whose attributes contain the selector; its params are rendered and unmasked. No row where nothing is due. Waits for nobody';

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
