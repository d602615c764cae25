-- YAML to jsonb, so that overrides can come from a file, and back.
--
-- Pure functions of their argument; they stay executable by everyone.

CREATE FUNCTION promote.yaml_to_jsonb(yaml text)
RETURNS jsonb
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'promote_yaml_to_jsonb';

COMMENT ON FUNCTION promote.yaml_to_jsonb(text) IS
'The YAML 1.2 document as jsonb: core schema, aliases and merge keys resolved; whatever JSON cannot hold is refused with its line and column';

CREATE FUNCTION promote.jsonb_to_yaml(document jsonb)
RETURNS text
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'promote_jsonb_to_yaml';

COMMENT ON FUNCTION promote.jsonb_to_yaml(jsonb) IS
'The document as YAML, in one way: keys in the order of their bytes, numbers in their canonical spelling, strings so that nobody takes them for anything else; yaml_to_jsonb reads it back';
