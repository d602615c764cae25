-- Compares the server with what test/conformance/merge.py says: its lines go to merging.differences, one at a time.
-- What holds of any merge, whatever the oracle says, is looked at, too.

CREATE SCHEMA merging;

CREATE TABLE merging.line (line jsonb NOT NULL);

-- What a merge comes to, as the oracle has it.
CREATE FUNCTION merging.outcome(b jsonb, s jsonb, d jsonb, schema jsonb, overrides jsonb, choice text) RETURNS jsonb
	LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	RETURN jsonb_build_object('params', promote.merge_params(b, s, d, schema, overrides, choice));
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN CASE SQLSTATE
		WHEN 'PM109' THEN jsonb_build_object('open', (SELECT jsonb_agg(path ORDER BY path COLLATE "C")
			FROM (SELECT split_part(line, ': base ', 1) FROM string_to_table(detail, E'\n') AS line) AS x(path)))
		WHEN 'PM108' THEN jsonb_build_object('problems', (SELECT jsonb_agg(path ORDER BY path COLLATE "C")
			FROM (SELECT split_part(line, ': The ', 1) FROM string_to_table(detail, E'\n') AS line) AS x(path)))
		ELSE jsonb_build_object('refused', SQLSTATE, 'detail', detail) END;
END
$$;

-- An array of one, or none for what is missing.
CREATE FUNCTION merging.one(value jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE WHEN value IS NULL THEN '[]' ELSE jsonb_build_array(value) END $$;

-- The conflicts of a merge as the oracle lists them, in an order of their own.
CREATE FUNCTION merging.conflicts(b jsonb, s jsonb, d jsonb, schema jsonb) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_agg(x ORDER BY x) FROM (SELECT jsonb_build_array(path, merging.one(base_value),
		merging.one(source_value), merging.one(destination_value))
		FROM promote.merge_conflicts(b, s, d, schema)) AS c(x) $$;

-- The elements of a list in the order that conflicts are listed in here.
CREATE FUNCTION merging.sorted(list jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
	SELECT jsonb_agg(x ORDER BY x) FROM jsonb_array_elements(list) AS x $$;

-- Conflicts with the sides exchanged, and without positions, which depend on the sides.
CREATE FUNCTION merging.exchanged(list jsonb, exchange boolean) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
	SELECT jsonb_agg(x ORDER BY x) FROM (SELECT jsonb_build_array(regexp_replace(e->>0, '\[\d+\]', '[]', 'g'), e->1,
		e->CASE WHEN exchange THEN 3 ELSE 2 END, e->CASE WHEN exchange THEN 2 ELSE 3 END)
		FROM jsonb_array_elements(list) AS e) AS c(x) $$;

CREATE FUNCTION merging.leaves(document jsonb) RETURNS SETOF jsonb LANGUAGE sql IMMUTABLE AS $$
	SELECT v FROM jsonb_path_query(document, 'strict $.** ? (@.type() != "object" && @.type() != "array")') AS v $$;

-- What a schema marks sensitive in documents and is long enough to be known anywhere.
CREATE FUNCTION merging.secrets(documents jsonb[], schema jsonb) RETURNS text[] LANGUAGE sql AS $$
	SELECT array_agg(v #>> '{}') FROM unnest(documents) AS x, merging.leaves(promote.jsonb_keep_annotated(x, schema,
		'$md.sensitive', 'true')) AS v WHERE length(v #>> '{}') >= 8 $$;

-- What a case is about, counted from 1.
CREATE FUNCTION merging.input(line jsonb, number integer) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
	SELECT jsonb_build_object('base', line->'documents'->(c->>'base')::integer,
		'source', line->'documents'->(c->>'source')::integer,
		'destination', line->'documents'->(c->>'destination')::integer,
		'schema', line->'schema', 'overrides', line->'overrides'->(c->>'overrides')::integer, 'choice', c->'choice')
	FROM (SELECT line->'cases'->(number - 1)) AS x(c) $$;

-- All that is wrong in a line of the oracle's.
CREATE FUNCTION merging.differences(line jsonb) RETURNS TABLE (what text, input jsonb, expected jsonb, found jsonb)
	LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
	schema jsonb := line->'schema';
	documents jsonb[] := ARRAY(SELECT jsonb_array_elements(line->'documents'));
	overrides jsonb[] := ARRAY(SELECT jsonb_array_elements(line->'overrides'));
	is_masked boolean := schema::text LIKE '%"$md.sensitive"%';
	is_copied boolean := schema::text NOT LIKE '%copyable%';
	number integer := 0;
	c record;
	b jsonb;
	s jsonb;
	d jsonb;
	o jsonb;
	came jsonb;
	listed jsonb;
	law jsonb;
BEGIN
	FOR c IN SELECT * FROM jsonb_to_recordset(line->'cases')
		AS r(base integer, source integer, destination integer, overrides integer, choice text, expected jsonb,
			conflicts jsonb)
	LOOP
		b := documents[c.base + 1];
		s := documents[c.source + 1];
		d := documents[c.destination + 1];
		o := overrides[c.overrides + 1];
		number := number + 1;
		came := merging.outcome(b, s, d, schema, o, c.choice);
		IF came IS DISTINCT FROM c.expected THEN
			RETURN QUERY SELECT 'outcome', merging.input(line, number), c.expected, came;
			CONTINUE;
		END IF;
		IF c.base = c.source OR c.base = c.destination OR c.source = c.destination THEN
			law := jsonb_build_object('params', promote.compose_params(
				CASE WHEN c.base = c.destination THEN s ELSE d END, d, schema, o));
			IF came <> law THEN
				RETURN QUERY SELECT 'law of two that are equal', merging.input(line, number), law, came;
			END IF;
		END IF;
		IF number % 4 = 0 AND came ? 'params' AND EXISTS (SELECT merging.leaves(came->'params')
			EXCEPT SELECT merging.leaves(x) FROM unnest(ARRAY[s, d, o]) AS x)
		THEN
			RETURN QUERY SELECT 'a value from nowhere', merging.input(line, number), NULL::jsonb, came;
		END IF;
		CONTINUE WHEN c.conflicts IS NULL;
		listed := merging.conflicts(b, s, d, schema);
		CONTINUE WHEN listed IS NULL AND c.conflicts = '[]';
		IF is_masked THEN
			IF EXISTS (SELECT FROM unnest(merging.secrets(ARRAY[b, s, d], schema)) AS x
				WHERE strpos(listed::text, x) > 0)
			THEN
				RETURN QUERY SELECT 'a secret', merging.input(line, number), NULL::jsonb, listed;
			END IF;
			IF (SELECT jsonb_agg(x->0 ORDER BY x->0) FROM jsonb_array_elements(c.conflicts) AS x)
				<> (SELECT jsonb_agg(x->0 ORDER BY x->0) FROM jsonb_array_elements(listed) AS x)
			THEN
				RETURN QUERY SELECT 'conflicts', merging.input(line, number), c.conflicts, listed;
			END IF;
		ELSIF merging.sorted(c.conflicts) IS DISTINCT FROM listed THEN
			RETURN QUERY SELECT 'conflicts', merging.input(line, number), c.conflicts, listed;
		ELSIF is_copied AND number % 3 = 0 AND merging.exchanged(listed, true)
			IS DISTINCT FROM merging.exchanged(merging.conflicts(b, d, s, schema), false)
		THEN
			RETURN QUERY SELECT 'conflicts with the sides exchanged', merging.input(line, number), listed,
				merging.conflicts(b, d, s, schema);
		END IF;
	END LOOP;
END
$$;
