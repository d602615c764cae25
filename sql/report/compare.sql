-- What two deployments, or two instances, have not in common.

CREATE FUNCTION promote.compare_deployments(a text, b text)
    RETURNS TABLE (kind text, path text, change text, a_value jsonb, b_value jsonb,
                   sensitive boolean)
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 20
    AS 'MODULE_PATHNAME', 'promote_compare_deployments';
REVOKE ALL ON FUNCTION promote.compare_deployments(text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.compare_deployments(text, text) IS
'How two deployments of a component differ, each named as in ecomm-staging-db/7, or the last one without a number: action, status, revision, release, the leaves of the rendered params, remote references, and the resources of recorded plans, what is sensitive masked';

CREATE FUNCTION promote.compare_instances(a text, b text)
    RETURNS TABLE (kind text, path text, change text, a_value jsonb, b_value jsonb,
                   sensitive boolean)
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 20
    AS 'MODULE_PATHNAME', 'promote_compare_instances';
REVOKE ALL ON FUNCTION promote.compare_instances(text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.compare_instances(text, text) IS
'How what two instances of a component desire now differs: status, revision, constraint, release, the leaves of the params as they would be rendered now, remote references, and the resources of recorded plans, what is sensitive masked';
