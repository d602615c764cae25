-- Deploying one instance: the steps that people take.  Each returns the
-- deployment's row.

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
'Queues a PROVISION that follows a completed PLAN, the last one of the desired revision where none is named; refused, PM503, where what was planned is not what would be deployed now';

CREATE FUNCTION promote.plan_and_deploy(
    instance text, message text DEFAULT NULL, expected_revision integer DEFAULT NULL)
    RETURNS promote.deployment
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_plan_and_deploy';
REVOKE ALL ON FUNCTION promote.plan_and_deploy(text, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote.plan_and_deploy(text, text, integer) IS
'Queues a PLAN of what the instance desires which, once it has completed, is deployed as it is, as promote.deploy_instance would deploy it for the caller; where that is refused then, not_deployed of its row says why. Returns the PLAN, also of an earlier call whose deployment waits, runs, or has brought about what is desired';

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
