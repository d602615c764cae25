-- Whether two environments are of one shape, whatever their size.

CREATE FUNCTION promote.compare_structure(a text, b text)
    RETURNS TABLE (component text, kind text, path text, change text, class text, a_value jsonb, b_value jsonb,
                   sensitive boolean)
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1000
    AS 'MODULE_PATHNAME', 'promote_compare_structure';
REVOKE ALL ON FUNCTION promote.compare_structure(text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.compare_structure(text, text) IS
'What promote.compare_environments says of the components of two environments, each difference with its class: structure (a component, bundle, major version, key, type, enumerated value or switch is another one), size (a number, a count, or what "$md.scale" marks), or other (a text, a minor version)';
