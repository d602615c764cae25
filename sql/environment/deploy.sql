-- Planning or deploying what an environment desires by one call, and previewing that.

CREATE FUNCTION promote.preview_deploy_environment(
    environment text, components text[] DEFAULT NULL, selector jsonb DEFAULT NULL, message text DEFAULT NULL,
    expected_revision jsonb DEFAULT '{}', partial boolean DEFAULT false)
    RETURNS TABLE (component text, changed boolean, revision integer, deployment integer, diff jsonb,
                   code text, problem text)
    LANGUAGE c STABLE PARALLEL UNSAFE ROWS 100
    AS 'MODULE_PATHNAME', 'promote_preview_deploy_environment';
REVOKE ALL ON FUNCTION promote.preview_deploy_environment(text, text[], jsonb, text, jsonb, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote.preview_deploy_environment(text, text[], jsonb, text, jsonb, boolean) IS
'What deploy_environment with these arguments would return: a row for each component, with code and problem for each that it would refuse or leave out. A gate that looks at what is queued beside sees nothing of the call itself. Writes nothing and locks nothing';

CREATE FUNCTION promote.deploy_environment(
    environment text, components text[] DEFAULT NULL, selector jsonb DEFAULT NULL, message text DEFAULT NULL,
    expected_revision jsonb DEFAULT '{}', partial boolean DEFAULT false)
    RETURNS TABLE (component text, changed boolean, revision integer, deployment integer, diff jsonb,
                   code text, problem text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100
    AS 'MODULE_PATHNAME', 'promote_deploy_environment';
REVOKE ALL ON FUNCTION promote.deploy_environment(text, text[], jsonb, text, jsonb, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote.deploy_environment(text, text[], jsonb, text, jsonb, boolean) IS
'Deploys what the components of an environment desire as deploy_instance does each, by one call: those that are named, whose attributes contain the selector, or all. expected_revision is by component. Returns a row for each component, in order: changed where a PROVISION was queued, deployment, its number, or that of the one that was there already, and its diff; a word as code says why one is left out. If one is refused, nothing is written and one error names all that are; with partial those are left out, too, and have the SQLSTATE as code';

CREATE FUNCTION promote.preview_plan_environment(
    environment text, components text[] DEFAULT NULL, selector jsonb DEFAULT NULL, message text DEFAULT NULL,
    expected_revision jsonb DEFAULT '{}', partial boolean DEFAULT false)
    RETURNS TABLE (component text, changed boolean, revision integer, deployment integer, diff jsonb,
                   code text, problem text)
    LANGUAGE c STABLE PARALLEL UNSAFE ROWS 100
    AS 'MODULE_PATHNAME', 'promote_preview_plan_environment';
REVOKE ALL ON FUNCTION promote.preview_plan_environment(text, text[], jsonb, text, jsonb, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote.preview_plan_environment(text, text[], jsonb, text, jsonb, boolean) IS
'What plan_environment with these arguments would return: a row for each component, with code and problem for each that it would refuse or leave out. Writes nothing and locks nothing';

CREATE FUNCTION promote.plan_environment(
    environment text, components text[] DEFAULT NULL, selector jsonb DEFAULT NULL, message text DEFAULT NULL,
    expected_revision jsonb DEFAULT '{}', partial boolean DEFAULT false)
    RETURNS TABLE (component text, changed boolean, revision integer, deployment integer, diff jsonb,
                   code text, problem text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100
    AS 'MODULE_PATHNAME', 'promote_plan_environment';
REVOKE ALL ON FUNCTION promote.plan_environment(text, text[], jsonb, text, jsonb, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote.plan_environment(text, text[], jsonb, text, jsonb, boolean) IS
'Plans what the components of an environment desire as plan_instance does each, by one call, such as after its parameters were changed: those that are named, whose attributes contain the selector, or all. expected_revision is by component. Returns a row for each component, in order: changed where a PLAN was queued, deployment, its number, or that of the one that was there already, and its diff; a word as code says why one is left out. If one is refused, nothing is written and one error names all that are; with partial those are left out, too, and have the SQLSTATE as code';
