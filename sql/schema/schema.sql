-- JSON Schema: validating a document, and a schema itself.
--
-- Anybody may call them.  They look at nothing but their arguments and, where a schema refers to other documents,
-- at promote.schema_document; so only the check of a schema, which leaves such references open, is for constraints.

CREATE FUNCTION promote.jsonb_schema_errors(
    document jsonb,
    schema jsonb,
    assert_format boolean DEFAULT false,
    OUT instance_path text,
    OUT schema_path text,
    OUT keyword text,
    OUT message text,
    OUT expected jsonb
)
RETURNS SETOF record
LANGUAGE c STABLE PARALLEL SAFE
ROWS 10
AS 'MODULE_PATHNAME', 'promote_jsonb_schema_errors';

REVOKE ALL ON FUNCTION promote.jsonb_schema_errors(jsonb, jsonb, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION promote.jsonb_schema_errors(jsonb, jsonb, boolean) TO PUBLIC;

COMMENT ON FUNCTION promote.jsonb_schema_errors(jsonb, jsonb, boolean) IS
    'every violation of a JSON Schema (draft-07 or 2020-12) by a document; no row if it is valid';

CREATE FUNCTION promote.jsonb_schema_valid(document jsonb, schema jsonb, assert_format boolean DEFAULT false)
RETURNS boolean
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'promote_jsonb_schema_valid';

REVOKE ALL ON FUNCTION promote.jsonb_schema_valid(jsonb, jsonb, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION promote.jsonb_schema_valid(jsonb, jsonb, boolean) TO PUBLIC;

COMMENT ON FUNCTION promote.jsonb_schema_valid(jsonb, jsonb, boolean) IS
    'Whether the document is valid against the JSON Schema (draft-07 or 2020-12)';

CREATE FUNCTION promote.jsonb_schema_check(schema jsonb)
RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'promote_jsonb_schema_check';

REVOKE ALL ON FUNCTION promote.jsonb_schema_check(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION promote.jsonb_schema_check(jsonb) TO PUBLIC;

COMMENT ON FUNCTION promote.jsonb_schema_check(jsonb) IS
    'true if the document is a JSON Schema (draft-07 or 2020-12), an error that names the place if not; other documents it refers to are not looked at';

CREATE FUNCTION promote.jsonb_schema_defaults(document jsonb, schema jsonb)
RETURNS jsonb
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'promote_jsonb_schema_defaults';

REVOKE ALL ON FUNCTION promote.jsonb_schema_defaults(jsonb, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION promote.jsonb_schema_defaults(jsonb, jsonb) TO PUBLIC;

COMMENT ON FUNCTION promote.jsonb_schema_defaults(jsonb, jsonb) IS
    'the document with the JSON Schema''s defaults for properties that its objects lack; nothing is replaced';

CREATE FUNCTION promote.jsonb_schema_annotations(
    document jsonb,
    schema jsonb,
    OUT instance_path text,
    OUT schema_path text,
    OUT keyword text,
    OUT value jsonb
)
RETURNS SETOF record
LANGUAGE c STABLE STRICT PARALLEL SAFE
ROWS 100
AS 'MODULE_PATHNAME', 'promote_jsonb_schema_annotations';

REVOKE ALL ON FUNCTION promote.jsonb_schema_annotations(jsonb, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION promote.jsonb_schema_annotations(jsonb, jsonb) TO PUBLIC;

COMMENT ON FUNCTION promote.jsonb_schema_annotations(jsonb, jsonb) IS
    'what the JSON Schema tells of the document''s locations without asserting it: titles, defaults, marks, keywords of one''s own';

CREATE FUNCTION promote.jsonb_filter_annotated(params jsonb, schema jsonb, keyword text, value jsonb)
RETURNS jsonb
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'promote_jsonb_filter_annotated';

REVOKE ALL ON FUNCTION promote.jsonb_filter_annotated(jsonb, jsonb, text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION promote.jsonb_filter_annotated(jsonb, jsonb, text, jsonb) TO PUBLIC;

COMMENT ON FUNCTION promote.jsonb_filter_annotated(jsonb, jsonb, text, jsonb) IS
    'the params without the values at whose location the JSON Schema has the keyword with that value, flat ("a.b": 1) or nested ("a": {"b": 1})';

CREATE FUNCTION promote.jsonb_keep_annotated(params jsonb, schema jsonb, keyword text, value jsonb)
RETURNS jsonb
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'promote_jsonb_keep_annotated';

REVOKE ALL ON FUNCTION promote.jsonb_keep_annotated(jsonb, jsonb, text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION promote.jsonb_keep_annotated(jsonb, jsonb, text, jsonb) TO PUBLIC;

COMMENT ON FUNCTION promote.jsonb_keep_annotated(jsonb, jsonb, text, jsonb) IS
    'the complement of jsonb_filter_annotated: only those values, with the objects and arrays that lead to them';
