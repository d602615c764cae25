-- How two deployments, or two instances, differ.

CREATE FUNCTION promote.compare_deployments(a text, b text)
    RETURNS TABLE (kind text, path text, change text, a_value jsonb, b_value jsonb,
                   sensitive boolean)
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 20
    AS 'MODULE_PATHNAME', 'promote_compare_deployments';
REVOKE ALL ON FUNCTION promote.compare_deployments(text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.compare_deployments(text, text) IS
'How two deployments of a component differ: action, status, revision, release, the leaves of the rendered params, remote references, and the resources of recorded plans; what is sensitive is masked. A deployment is named as in ecomm-staging-db/7; without a number it is the last one';

CREATE FUNCTION promote.compare_instances(a text, b text)
    RETURNS TABLE (kind text, path text, change text, a_value jsonb, b_value jsonb,
                   sensitive boolean)
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 20
    AS 'MODULE_PATHNAME', 'promote_compare_instances';
REVOKE ALL ON FUNCTION promote.compare_instances(text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.compare_instances(text, text) IS
'How two instances of a component differ in what they desire now: status, revision, constraint, release, the leaves of the params as they would be rendered now, remote references, and the resources of recorded plans; what is sensitive is masked';
