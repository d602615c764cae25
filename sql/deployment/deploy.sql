-- Deploying one instance: the steps that people take.  Each returns the
-- deployment's row.

-- Its twin is the end of promote.instance_status: secrets that a worker may have missed make what it deploys stale.
CREATE FUNCTION promote_internal.open_deployment(
    of_project text, of_environment text, of_component text, is_proposal boolean, by_action text, of_revision integer,
    by_version text, by_digest bytea, by_plan integer, by_references jsonb, by_plan_digest bytea, deploys boolean)
    RETURNS TABLE (deployment integer)
    LANGUAGE sql STABLE ROWS 1
    BEGIN ATOMIC
        SELECT d.deployment
          FROM promote.deployment AS d
         WHERE d.project = $1 AND d.environment = $2 AND d.component = $3
           AND d.status IN ('PROPOSED', 'PENDING', 'APPROVED', 'RUNNING') AND (d.status = 'PROPOSED') = $4
           AND d.action = $5 AND d.revision = $6 AND d.version = $7 AND d.rendered_digest = $8
           AND d.plan IS NOT DISTINCT FROM $9 AND d.remote_references IS NOT DISTINCT FROM $10
           -- votes on taking something away are on what ran
           AND (d.status <> 'PROPOSED' OR d.action <> 'DECOMMISSION' OR d.plan_digest = $11)
           AND (NOT $12 OR d.deploy_as IS NOT NULL)
           AND (d.status = 'PROPOSED' OR NOT EXISTS (
                    SELECT FROM promote.deployment AS b
                     WHERE b.project = $1 AND b.environment = $2 AND b.component = $3
                       AND b.status IN ('PENDING', 'APPROVED', 'RUNNING') AND b.action <> 'PLAN'
                       AND (b.queued_at, b.deployment) > (d.queued_at, d.deployment)))
           AND (d.action <> 'PROVISION' OR d.status <> 'RUNNING' OR NOT EXISTS (
                    SELECT FROM promote.bundle_release AS f
                      JOIN promote_internal.moved_secret AS s
                        ON s.project = $1 AND s.environment = $2 AND s.component = $3 AND f.secrets ? s.secret
                     WHERE f.bundle = d.bundle AND f.version = d.version AND s.at > d.started_at))
         ORDER BY d.queued_at, d.deployment
         LIMIT 1;
    END;
REVOKE ALL ON FUNCTION promote_internal.open_deployment(text, text, text, boolean, text, integer, text, bytea, integer, jsonb, bytea, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.open_deployment(text, text, text, boolean, text, integer, text, bytea, integer, jsonb, bytea, boolean) IS
'The deployment of that content that is not over, and that leads to what is asked for. A proposal does not stand for what is queued, nor the other way round. What is queued counts only if nothing behind it changes the instance again, what runs only if its worker cannot have missed that a secret was set or removed. A PLAN that is to be deployed stands for one that is not, and not the other way round';

CREATE FUNCTION promote.plan_instance(
    instance text, message text DEFAULT NULL, expected_revision integer DEFAULT NULL)
    RETURNS promote.deployment
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_plan_instance';
REVOKE ALL ON FUNCTION promote.plan_instance(text, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote.plan_instance(text, text, integer) IS
'Queues a PLAN of what the instance desires, by the release that its constraint stands for now and the parameters of today; returns the one that waits already, where it carries the same';

CREATE FUNCTION promote.deploy_instance(
    instance text, plan integer DEFAULT NULL, message text DEFAULT NULL,
    expected_revision integer DEFAULT NULL)
    RETURNS promote.deployment
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_deploy_instance';
REVOKE ALL ON FUNCTION promote.deploy_instance(text, integer, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote.deploy_instance(text, integer, text, integer) IS
'Queues a PROVISION that follows a completed PLAN, the last one of the desired revision where none is named; refused, PM503, where what was planned is not what would be deployed now, or not by the time that what is queued before has changed the instance';

CREATE FUNCTION promote.plan_and_deploy(
    instance text, message text DEFAULT NULL, expected_revision integer DEFAULT NULL)
    RETURNS promote.deployment
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_plan_and_deploy';
REVOKE ALL ON FUNCTION promote.plan_and_deploy(text, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote.plan_and_deploy(text, text, integer) IS
'Queues a PLAN of what the instance desires which, once it has completed, is deployed as it is, as promote.deploy_instance would deploy it for the caller, unless it brings back what was decommissioned; where that is refused then, not_deployed of its row says why. Returns the PLAN, also of an earlier call whose deployment waits, runs, or has brought about what is desired. Who has called while a PLAN of another''s waited or ran stands in its joined_by';

CREATE FUNCTION promote.decommission_instance(instance text, message text DEFAULT NULL)
    RETURNS promote.deployment
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_decommission_instance';
REVOKE ALL ON FUNCTION promote.decommission_instance(text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.decommission_instance(text, text) IS
'Queues a DECOMMISSION of what the instance runs; refused, PM505, where its environment protects it';

CREATE FUNCTION promote.propose_deployment(
    instance text, action text DEFAULT 'PROVISION', plan integer DEFAULT NULL,
    message text DEFAULT NULL, expected_revision integer DEFAULT NULL)
    RETURNS promote.deployment
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_propose_deployment';
REVOKE ALL ON FUNCTION promote.propose_deployment(text, text, integer, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote.propose_deployment(text, text, integer, text, integer) IS
'Proposes what plan_instance, deploy_instance or decommission_instance would queue; it holds no place in the queue until it is approved';

CREATE FUNCTION promote.approve_deployment(
    instance text, deployment integer, message text DEFAULT NULL)
    RETURNS promote.deployment
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_approve_deployment';
REVOKE ALL ON FUNCTION promote.approve_deployment(text, integer, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.approve_deployment(text, integer, text) IS
'Queues a proposal; refused, PM503, where what was proposed is not what would be deployed now';

CREATE FUNCTION promote.reject_deployment(instance text, deployment integer, reason text)
    RETURNS promote.deployment
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_reject_deployment';
REVOKE ALL ON FUNCTION promote.reject_deployment(text, integer, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.reject_deployment(text, integer, text) IS
'Ends a proposal, for a reason';

CREATE FUNCTION promote.abort_deployment(
    instance text, deployment integer, reason text DEFAULT NULL)
    RETURNS promote.deployment
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_abort_deployment';
REVOKE ALL ON FUNCTION promote.abort_deployment(text, integer, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.abort_deployment(text, integer, text) IS
'Ends a deployment that waits or runs; the worker''s claim does not hold any more';
