-- What a promotion means, as functions of documents and their schema.  STABLE, for a schema may refer to documents
-- that are registered.

CREATE FUNCTION promote.jsonb_filter_copyable(params jsonb, schema jsonb) RETURNS jsonb
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_jsonb_filter_copyable';
GRANT EXECUTE ON FUNCTION promote.jsonb_filter_copyable(jsonb, jsonb) TO PUBLIC;
COMMENT ON FUNCTION promote.jsonb_filter_copyable(jsonb, jsonb) IS
'The params without the values whose location in the schema is "$md.copyable": false';

CREATE FUNCTION promote.compose_params(
    source jsonb, destination jsonb, schema jsonb, overrides jsonb DEFAULT '{}') RETURNS jsonb
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_compose_params';
GRANT EXECUTE ON FUNCTION promote.compose_params(jsonb, jsonb, jsonb, jsonb) TO PUBLIC;
COMMENT ON FUNCTION promote.compose_params(jsonb, jsonb, jsonb, jsonb) IS
'What promoting source makes of destination: the source''s params, the destination''s own where the schema says "$md.copyable": false, and the overrides on top: an object, a merge patch (RFC 7396), or an array, a JSON Patch (RFC 6902)';

CREATE FUNCTION promote.merge_params(
    base jsonb, source jsonb, destination jsonb, schema jsonb, overrides jsonb DEFAULT '{}',
    on_conflict text DEFAULT NULL) RETURNS jsonb
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_merge_params';
GRANT EXECUTE ON FUNCTION promote.merge_params(jsonb, jsonb, jsonb, jsonb, jsonb, text) TO PUBLIC;
COMMENT ON FUNCTION promote.merge_params(jsonb, jsonb, jsonb, jsonb, jsonb, text) IS
'What source and destination, which both come from base, make together: what either changed, arrays by their "$md.key", the destination''s own where the schema says "$md.copyable": false, and the overrides on top. What both changed differently is refused (PM109), unless the overrides or on_conflict, source or destination, decide it';

CREATE FUNCTION promote.merge_conflicts(base jsonb, source jsonb, destination jsonb, schema jsonb)
    RETURNS TABLE (path text, base_value jsonb, source_value jsonb, destination_value jsonb)
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_merge_conflicts';
GRANT EXECUTE ON FUNCTION promote.merge_conflicts(jsonb, jsonb, jsonb, jsonb) TO PUBLIC;
COMMENT ON FUNCTION promote.merge_conflicts(jsonb, jsonb, jsonb, jsonb) IS
'What source and destination, which both come from base, have changed differently: a row for each conflict that merge_params would refuse, with the three values, NULL where there is none; sensitive ones are masked';
