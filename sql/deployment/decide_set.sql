-- Approving and rejecting many deployments by one call: a row for each, in the order given. Either all of them are
-- decided, or none; with partial those that are refused are left out, and say why.

CREATE FUNCTION promote.approve_many(
    instances text[], deployments integer[], message text DEFAULT NULL, partial boolean DEFAULT false)
    RETURNS TABLE (instance text, deployment integer, action text, status text, code text, problem text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100
    AS 'MODULE_PATHNAME', 'promote_approve_many';
REVOKE ALL ON FUNCTION promote.approve_many(text[], integer[], text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote.approve_many(text[], integer[], text, boolean) IS
'Approves proposals and completed plans, each as promote.approve_deployment; problem of a row without a code says why its proposal stays one. Returns a row for each, in the order given; of what is refused, all are named by one error and nothing is done, or, with partial, code and problem of its row say why';

CREATE FUNCTION promote.reject_many(
    instances text[], deployments integer[], reason text, partial boolean DEFAULT false)
    RETURNS TABLE (instance text, deployment integer, action text, status text, code text, problem text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100
    AS 'MODULE_PATHNAME', 'promote_reject_many';
REVOKE ALL ON FUNCTION promote.reject_many(text[], integer[], text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote.reject_many(text[], integer[], text, boolean) IS
'Rejects proposals and completed plans, for one reason, each as promote.reject_deployment. Returns a row for each, in the order given; of what is refused, all are named by one error and nothing is done, or, with partial, code and problem of its row say why';
