-- YAML to jsonb, so that overrides can come from a file.
--
-- A pure function of its argument; it stays executable by everyone.

CREATE FUNCTION promote.yaml_to_jsonb(yaml text)
RETURNS jsonb
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'promote_yaml_to_jsonb';

COMMENT ON FUNCTION promote.yaml_to_jsonb(text) IS
'The YAML 1.2 document as jsonb: core schema, aliases and merge keys resolved; whatever JSON cannot hold is refused with its line and column';
