-- Formats of JSON Schema: is a text a date, an address, a URI?
--
-- A pure function of texts: anybody may call it, also from a constraint.

CREATE FUNCTION promote.jsonb_format_valid(format text, value text)
RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'promote_jsonb_format_valid';

REVOKE ALL ON FUNCTION promote.jsonb_format_valid(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION promote.jsonb_format_valid(text, text) TO PUBLIC;

COMMENT ON FUNCTION promote.jsonb_format_valid(text, text) IS
    'is the value of that format of JSON Schema, such as date-time, email or uri?';
