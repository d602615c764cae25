-- Runs the cases of the official JSON Schema test suite: its files go into suite.file as they are, suite.test has what
-- came out. PostgreSQL takes them apart, so that every number arrives as it was written.

CREATE SCHEMA suite;

CREATE TABLE suite.file (
	dialect text NOT NULL,
	kind text NOT NULL,		-- mandatory, format or optional
	name text NOT NULL,
	body text NOT NULL,
	PRIMARY KEY (dialect, kind, name)
);

CREATE TABLE suite.test (
	dialect text NOT NULL,
	kind text NOT NULL,
	name text NOT NULL,		-- file: case: test
	holdable boolean NOT NULL,	-- can jsonb hold it?
	expected boolean NOT NULL,
	outcome text			-- true, false, or how it failed
);

-- jsonb refuses U+0000. What stands for it here is a character of private use that no file of the suite uses, and that
-- is never shown to what is tested.
CREATE FUNCTION suite.stand_in() RETURNS text LANGUAGE sql IMMUTABLE RETURN chr(63743);

-- A file's text as jsonb, with the stand-in for the escape \u0000.
CREATE FUNCTION suite.parsed(body text) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	IF position(suite.stand_in() IN body) > 0 OR body ~* '\\uf8ff' THEN
		RAISE EXCEPTION 'U+F8FF is in use';
	END IF;
	RETURN regexp_replace(body, '(?<!\\)((?:\\\\)*)\\u0000', '\1' || suite.stand_in(), 'g');
END $$;

-- How the document is judged: "true" or "false". An error and two functions that contradict each other are neither.
CREATE FUNCTION suite.outcome(document jsonb, schema jsonb, assert_format boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	is_valid boolean;
	detail text;
BEGIN
	IF assert_format THEN
		RETURN promote.jsonb_schema_valid(document, schema, true);
	END IF;
	is_valid := promote.jsonb_schema_valid(document, schema);
	IF is_valid = EXISTS (SELECT FROM promote.jsonb_schema_errors(document, schema)) THEN
		RETURN format('jsonb_schema_valid says %s, jsonb_schema_errors does not', is_valid);
	END IF;
	RETURN is_valid;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN concat_ws(' ', SQLSTATE, SQLERRM, detail);
END $$;

-- The schema, which says of which dialect it is. Files of 2020-12 do, but for a few in older suites.
CREATE FUNCTION suite.with_dialect(schema jsonb, dialect text) RETURNS jsonb LANGUAGE sql IMMUTABLE
RETURN CASE
	WHEN dialect = 'draft2020-12' AND jsonb_typeof(schema) = 'object'
	THEN '{"$schema": "https://json-schema.org/draft/2020-12/schema"}' || schema
	ELSE schema
END;

CREATE FUNCTION suite.run() RETURNS void LANGUAGE sql AS $$
	INSERT INTO suite.test
	SELECT f.dialect, f.kind, concat(f.name, ': ', c.value->>'description', ': ', t.value->>'description'), h.holdable,
		(t.value->>'valid')::boolean,
		CASE WHEN h.holdable THEN suite.outcome(t.value->'data', suite.with_dialect(c.value->'schema', f.dialect),
			f.kind = 'format') END
	FROM suite.file AS f,
		jsonb_array_elements(suite.parsed(f.body)) WITH ORDINALITY AS c,
		jsonb_array_elements(c.value->'tests') WITH ORDINALITY AS t,
		LATERAL (SELECT position(suite.stand_in() IN concat(c.value->'schema', t.value->'data')) = 0) AS h (holdable)
	ORDER BY f.dialect, f.kind, f.name, c.ordinality, t.ordinality
$$;

-- A document without one of its members, in each way, and as it is.
CREATE FUNCTION suite.parts(document jsonb) RETURNS SETOF jsonb LANGUAGE sql IMMUTABLE AS $$
	WITH RECURSIVE member (path, value) AS (
		SELECT '{}'::text[], document
		UNION ALL
		SELECT m.path || c.key, c.value
		FROM member AS m, LATERAL (SELECT e.key, e.value
			FROM jsonb_each(CASE jsonb_typeof(m.value) WHEN 'object' THEN m.value ELSE '{}' END) AS e
			UNION ALL SELECT (n - 1)::text, m.value->(n - 1)
				FROM generate_series(1, CASE jsonb_typeof(m.value) WHEN 'array'
				THEN jsonb_array_length(m.value) ELSE 0 END) AS n) AS c (key, value))
	SELECT DISTINCT CASE WHEN path = '{}' THEN document ELSE document #- path END FROM member
	WHERE path = '{}' OR jsonb_typeof(document #> path[:cardinality(path) - 1]) = 'object'
$$;

-- The valid documents of which a part cannot be a preset of the schema, though it can be completed: none.
CREATE FUNCTION suite.refused_parts() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	valid record;
BEGIN
	INSERT INTO promote.bundle VALUES ('suite');
	FOR valid IN
		SELECT concat(f.dialect, ' ', f.name, ': ', c->>'description', ': ', t->>'description') AS name,
			suite.with_dialect(c->'schema', f.dialect) AS schema, t->'data' AS document
		FROM suite.file AS f, jsonb_array_elements(suite.parsed(f.body)) AS c, jsonb_array_elements(c->'tests') AS t
		WHERE f.kind = 'mandatory' AND (t->>'valid')::boolean AND jsonb_typeof(t->'data') = 'object'
			AND position(suite.stand_in() IN concat(c->'schema', t->'data')) = 0
			AND suite.outcome(t->'data', suite.with_dialect(c->'schema', f.dialect), false) = 'true'
	LOOP
		BEGIN
			INSERT INTO promote.bundle_release (bundle, version, params_schema, presets)
			SELECT 'suite', '1.0.0', valid.schema, jsonb_object_agg('p' || n, part)
			FROM suite.parts(valid.document) WITH ORDINALITY AS p (part, n);
			DELETE FROM promote.bundle_release WHERE bundle = 'suite';
		EXCEPTION WHEN OTHERS THEN
			RETURN NEXT concat(valid.name, ': ', SQLSTATE, ' ', SQLERRM);
		END;
	END LOOP;
END $$;
