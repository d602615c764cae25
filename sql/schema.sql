/*
 * JSON Schema: validating a document, and a schema itself.
 *
 * Pure functions over jsonb: anybody may call them, also from a constraint.
 */

CREATE FUNCTION promote.jsonb_schema_errors(
	document jsonb,
	schema jsonb,
	OUT instance_path text,
	OUT schema_path text,
	OUT keyword text,
	OUT message text
)
RETURNS SETOF record
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
ROWS 10
AS 'MODULE_PATHNAME', 'promote_jsonb_schema_errors';

REVOKE ALL ON FUNCTION promote.jsonb_schema_errors(jsonb, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION promote.jsonb_schema_errors(jsonb, jsonb) TO PUBLIC;

COMMENT ON FUNCTION promote.jsonb_schema_errors(jsonb, jsonb) IS
	'every violation of a JSON Schema (draft-07) by a document; no row if it is valid';

CREATE FUNCTION promote.jsonb_schema_valid(document jsonb, schema jsonb)
RETURNS boolean
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'promote_jsonb_schema_valid';

REVOKE ALL ON FUNCTION promote.jsonb_schema_valid(jsonb, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION promote.jsonb_schema_valid(jsonb, jsonb) TO PUBLIC;

COMMENT ON FUNCTION promote.jsonb_schema_valid(jsonb, jsonb) IS
	'is the document valid against the JSON Schema (draft-07)?';

CREATE FUNCTION promote.jsonb_schema_check(schema jsonb)
RETURNS boolean
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'promote_jsonb_schema_check';

REVOKE ALL ON FUNCTION promote.jsonb_schema_check(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION promote.jsonb_schema_check(jsonb) TO PUBLIC;

COMMENT ON FUNCTION promote.jsonb_schema_check(jsonb) IS
	'true if the document is a usable JSON Schema (draft-07), an error that names the place if not';
