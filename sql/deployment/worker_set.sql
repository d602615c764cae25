-- What workers that take batches report by one call: a row for each element, in the order given. Either all of them are
-- done, or none; with partial those that are refused are left out, and say why.

CREATE FUNCTION promote.complete_many(
    instances text[], deployments integer[], fencings integer[], message text DEFAULT NULL,
    partial boolean DEFAULT false)
    RETURNS TABLE (instance text, deployment integer, action text, status text, code text, problem text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100
    AS 'MODULE_PATHNAME', 'promote_complete_many';
REVOKE ALL ON FUNCTION promote.complete_many(text[], integer[], integer[], text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote.complete_many(text[], integer[], integer[], text, boolean) IS
'Ends claimed deployments well, each as promote.complete_deployment. Returns a row for each, in the order given; of what is refused, all are named by one error and nothing is done, or, with partial, code and problem of its row say why';

CREATE FUNCTION promote.fail_many(
    instances text[], deployments integer[], reason text, fencings integer[],
    partial boolean DEFAULT false)
    RETURNS TABLE (instance text, deployment integer, action text, status text, code text, problem text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100
    AS 'MODULE_PATHNAME', 'promote_fail_many';
REVOKE ALL ON FUNCTION promote.fail_many(text[], integer[], text, integer[], boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote.fail_many(text[], integer[], text, integer[], boolean) IS
'Ends claimed deployments as failed, for one reason, each as promote.fail_deployment. Returns a row for each, in the order given; of what is refused, all are named by one error and nothing is done, or, with partial, code and problem of its row say why';

CREATE FUNCTION promote.release_many(
    instances text[], deployments integer[], fencings integer[], reason text DEFAULT NULL,
    delay interval DEFAULT '0', partial boolean DEFAULT false)
    RETURNS TABLE (instance text, deployment integer, action text, status text, code text, problem text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100
    AS 'MODULE_PATHNAME', 'promote_release_many';
REVOKE ALL ON FUNCTION promote.release_many(text[], integer[], integer[], text, interval, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote.release_many(text[], integer[], integer[], text, interval, boolean) IS
'Gives claimed deployments back to the queue, each as promote.release_deployment. Returns a row for each, in the order given; of what is refused, all are named by one error and nothing is done, or, with partial, code and problem of its row say why';

CREATE FUNCTION promote.heartbeat_many(
    instances text[], deployments integer[], fencings integer[], lease interval DEFAULT '5 minutes',
    partial boolean DEFAULT false)
    RETURNS TABLE (instance text, deployment integer, action text, status text, code text, problem text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100
    AS 'MODULE_PATHNAME', 'promote_heartbeat_many';
REVOKE ALL ON FUNCTION promote.heartbeat_many(text[], integer[], integer[], interval, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote.heartbeat_many(text[], integer[], integer[], interval, boolean) IS
'Extends the leases of claims, each as promote.heartbeat_deployment. Returns a row for each, in the order given; of what is refused, all are named by one error and nothing is done, or, with partial, code and problem of its row say why';
