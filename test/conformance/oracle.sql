-- Compares the server with what test/conformance/compose.py says: its lines go into oracle.schema as they are.

CREATE SCHEMA oracle;

CREATE TABLE oracle.schema (line jsonb NOT NULL);

CREATE VIEW oracle.document AS
SELECT s.line->>'name' AS name, d.ordinality - 1 AS number, s.line->'schema' AS schema,
	d.value->'document' AS document, (d.value->'valid')::boolean AS valid, d.value->'filtered' AS filtered,
	(d.value->'stored')::boolean AS stored
FROM oracle.schema AS s, jsonb_array_elements(s.line->'documents') WITH ORDINALITY AS d;

CREATE VIEW oracle.composition AS
SELECT s.line->>'name' AS name, s.line->'schema' AS schema, c.value->'overrides' AS overrides,
	s.line->'documents'->(c.value->'source')::integer->'document' AS source,
	s.line->'documents'->(c.value->'destination')::integer->'document' AS destination, c.value->'expected' AS expected
FROM oracle.schema AS s, jsonb_array_elements(s.line->'cases') AS c;

-- What the server composes, or "refused" where a JSON Patch does not fit.
CREATE FUNCTION oracle.composed(source jsonb, destination jsonb, schema jsonb, overrides jsonb) RETURNS jsonb
	LANGUAGE plpgsql AS $$
BEGIN
	IF jsonb_typeof(overrides) = 'object' THEN
		RETURN promote.compose_params(source, destination, schema, overrides);
	END IF;
	BEGIN
		RETURN promote.compose_params(source, destination, schema, overrides);
	EXCEPTION WHEN SQLSTATE 'PM108' OR SQLSTATE 'PM101' THEN
		RETURN '"refused"';
	END;
END;
$$;

-- What differs, of any kind.
CREATE VIEW oracle.difference AS
SELECT name, 'validity' AS what, to_jsonb(valid) AS expected,
	to_jsonb(promote.jsonb_schema_valid(document, schema)) AS found,
	jsonb_build_object('schema', schema, 'document', document) AS input
FROM oracle.document
WHERE promote.jsonb_schema_valid(document, schema) <> valid
UNION ALL
SELECT name, 'stored validity', to_jsonb(stored), to_jsonb(valid), jsonb_build_object('document', document)
FROM oracle.document
WHERE stored <> valid
UNION ALL
SELECT name, 'filtered', filtered, promote.jsonb_filter_copyable(document, schema),
	jsonb_build_object('schema', schema, 'document', document)
FROM oracle.document
WHERE promote.jsonb_filter_copyable(document, schema) <> filtered
UNION ALL
SELECT name, 'composed', expected, oracle.composed(source, destination, schema, overrides),
	jsonb_build_object('schema', schema, 'source', source, 'destination', destination, 'overrides', overrides)
FROM oracle.composition
WHERE oracle.composed(source, destination, schema, overrides) <> expected;
