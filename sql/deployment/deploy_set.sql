-- Planning and deploying many instances by one call: a row for each, in the order given. Either all of them are done, or
-- none; with partial those that are refused are left out, and say why.

CREATE FUNCTION promote.plan_many(
    instances text[], message text DEFAULT NULL, expected_revisions integer[] DEFAULT NULL,
    partial boolean DEFAULT false)
    RETURNS TABLE (instance text, deployment integer, action text, status text, code text, problem text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100
    AS 'MODULE_PATHNAME', 'promote_plan_many';
REVOKE ALL ON FUNCTION promote.plan_many(text[], text, integer[], boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote.plan_many(text[], text, integer[], boolean) IS
'Queues a PLAN of what each instance desires, as promote.plan_instance, or finds the one that is there already. Returns a row for each, in the order given; of what is refused, all are named by one error and nothing is done, or, with partial, code and problem of its row say why';

CREATE FUNCTION promote.deploy_many(
    instances text[], plans integer[] DEFAULT NULL, message text DEFAULT NULL,
    expected_revisions integer[] DEFAULT NULL, partial boolean DEFAULT false)
    RETURNS TABLE (instance text, deployment integer, action text, status text, code text, problem text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100
    AS 'MODULE_PATHNAME', 'promote_deploy_many';
REVOKE ALL ON FUNCTION promote.deploy_many(text[], integer[], text, integer[], boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote.deploy_many(text[], integer[], text, integer[], boolean) IS
'Queues a PROVISION for each instance, as promote.deploy_instance, or finds the one that is there already. Returns a row for each, in the order given; of what is refused, all are named by one error and nothing is done, or, with partial, code and problem of its row say why';
