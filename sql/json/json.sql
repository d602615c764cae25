-- Pure functions over jsonb: no tables, no clock.

CREATE FUNCTION promote.jsonb_deep_merge(target jsonb, patch jsonb, arrays text DEFAULT 'replace') RETURNS jsonb
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_jsonb_deep_merge';
COMMENT ON FUNCTION promote.jsonb_deep_merge(jsonb, jsonb, text) IS
'target with patch on top: objects merge at every level, everything else replaces; null is a value like any other';

CREATE FUNCTION promote.jsonb_merge_patch(target jsonb, patch jsonb) RETURNS jsonb
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_jsonb_merge_patch';
COMMENT ON FUNCTION promote.jsonb_merge_patch(jsonb, jsonb) IS
'target with the JSON Merge Patch applied (RFC 7396): as jsonb_deep_merge, but null removes the key';

CREATE FUNCTION promote.jsonb_merge_diff(old_document jsonb, new_document jsonb) RETURNS jsonb
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_jsonb_merge_diff';
COMMENT ON FUNCTION promote.jsonb_merge_diff(jsonb, jsonb) IS
'The smallest JSON Merge Patch (RFC 7396) with which jsonb_merge_patch makes the new document of the old; PM108 where it would have to set a null';

CREATE FUNCTION promote_internal.jsonb_deep_merge_transition(target jsonb, patch jsonb) RETURNS jsonb
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_jsonb_deep_merge';
COMMENT ON FUNCTION promote_internal.jsonb_deep_merge_transition(jsonb, jsonb) IS
'jsonb_deep_merge of two arguments, which jsonb_deep_merge_agg(jsonb) is made of';

CREATE FUNCTION promote_internal.jsonb_deep_merge_transition(target jsonb, patch jsonb, arrays text) RETURNS jsonb
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_jsonb_deep_merge';
COMMENT ON FUNCTION promote_internal.jsonb_deep_merge_transition(jsonb, jsonb, text) IS
'jsonb_deep_merge where no argument is NULL, which jsonb_deep_merge_agg(jsonb, text) is made of';

CREATE AGGREGATE promote.jsonb_merge_patch_agg(layer jsonb) (
    SFUNC = promote.jsonb_merge_patch,
    STYPE = jsonb,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE promote.jsonb_merge_patch_agg(jsonb) IS
'The first document with all that follow applied to it as JSON Merge Patches, in the order of input; nulls of SQL are skipped';

CREATE AGGREGATE promote.jsonb_deep_merge_agg(layer jsonb) (
    SFUNC = promote_internal.jsonb_deep_merge_transition,
    STYPE = jsonb,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE promote.jsonb_deep_merge_agg(jsonb) IS
'The documents merged on top of each other by jsonb_deep_merge, in the order of input; nulls of SQL are skipped';

CREATE AGGREGATE promote.jsonb_deep_merge_agg(layer jsonb, arrays text) (
    SFUNC = promote_internal.jsonb_deep_merge_transition,
    STYPE = jsonb,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE promote.jsonb_deep_merge_agg(jsonb, text) IS
'The documents merged on top of each other by jsonb_deep_merge with its rule for arrays, in the order of input; nulls of SQL are skipped';

CREATE FUNCTION promote.jsonb_diff_patch(old_document jsonb, new_document jsonb) RETURNS jsonb
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_jsonb_diff_patch';
COMMENT ON FUNCTION promote.jsonb_diff_patch(jsonb, jsonb) IS
'A JSON Patch (RFC 6902) of add, remove and replace that makes the new document of the old; [] where they are equal';

CREATE FUNCTION promote.jsonb_apply_patch(document jsonb, patch jsonb) RETURNS jsonb
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_jsonb_apply_patch';
COMMENT ON FUNCTION promote.jsonb_apply_patch(jsonb, jsonb) IS
'The document with a JSON Patch (RFC 6902) applied, all of it or, with PM108 and the operation that does not fit, nothing';

CREATE FUNCTION promote.jsonb_leaf_diff(old_document jsonb, new_document jsonb)
    RETURNS TABLE (path text, change text, old_value jsonb, new_value jsonb)
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 20
    AS 'MODULE_PATHNAME', 'promote_jsonb_leaf_diff';
COMMENT ON FUNCTION promote.jsonb_leaf_diff(jsonb, jsonb) IS
'A row per leaf that differs: its path as jq spells it, add, change or remove, and both values; SQL NULL is missing, JSON null is null. Leaves are scalars and empty containers; arrays are compared by position';

CREATE FUNCTION promote.jsonb_at_path(document jsonb, path text) RETURNS jsonb
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_jsonb_at_path';
COMMENT ON FUNCTION promote.jsonb_at_path(jsonb, text) IS
'The value at a path as jsonb_leaf_diff spells it; SQL NULL where there is none';

CREATE FUNCTION promote.jsonb_canonical(document jsonb) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_jsonb_canonical';
COMMENT ON FUNCTION promote.jsonb_canonical(jsonb) IS
'The document in canonical JSON (RFC 8785); a number is never rounded';

CREATE FUNCTION promote.jsonb_digest(document jsonb) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_jsonb_digest';
COMMENT ON FUNCTION promote.jsonb_digest(jsonb) IS
'SHA-256 of the document''s canonical JSON in UTF-8: equal for equal documents, whatever their spelling';

CREATE FUNCTION promote.jsonb_indented(document jsonb) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_jsonb_indented';
COMMENT ON FUNCTION promote.jsonb_indented(jsonb) IS
'The document as indented JSON, in one way: keys in the order of their bytes, numbers in their canonical spelling; equal documents have equal texts';

CREATE FUNCTION promote.jsonb_render(document jsonb, variables jsonb) RETURNS jsonb
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_jsonb_render';
COMMENT ON FUNCTION promote.jsonb_render(jsonb, jsonb) IS
'The document with {{name}} in its strings replaced by the variables'' values; a string that is nothing but one placeholder takes the value''s JSON type; PM105 lists all that is missing';

CREATE FUNCTION promote_internal.check_object(document jsonb, what text) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_check_object';
COMMENT ON FUNCTION promote_internal.check_object(jsonb, text) IS
'true where the document is an object; PM101 otherwise, which calls it as is said';

CREATE FUNCTION promote_internal.check_overrides(overrides jsonb) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_check_overrides';
COMMENT ON FUNCTION promote_internal.check_overrides(jsonb) IS
'true where overrides are an object, a merge patch, or an array, a JSON Patch; PM101 otherwise';

CREATE FUNCTION promote.check_params(params jsonb) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_check_params';
COMMENT ON FUNCTION promote.check_params(jsonb) IS
'true where params is an object of at most 16 MB, 1000 levels and 1000 digits a number; PM101 or PM102 otherwise';
