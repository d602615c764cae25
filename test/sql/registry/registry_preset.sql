-- Presets: what a release may bring along, what is refused when it is published, and that it never changes.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
INSERT INTO promote.bundle VALUES ('web');
CREATE FUNCTION pg_temp.publish(presets text, schema text DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT format('INSERT INTO promote.bundle_release (bundle, version, params_schema, presets) VALUES (%L, %L, %L, '
        '%L)',
        'web', '9.9.9', schema, presets)
$$;
-- What the schema says of a preset: accepted, or the detail.
CREATE FUNCTION pg_temp.judged(preset jsonb, schema jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
BEGIN
    EXECUTE pg_temp.publish(jsonb_build_object('p', preset)::text, schema::text);
    DELETE FROM promote.bundle_release WHERE bundle = 'web';
    RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN SQLSTATE || ' ' || detail;
END
$$;

-- ---- the form ----
SELECT pg_temp.refuses(pg_temp.publish(presets), state, detail, left(presets, 40)) FROM (VALUES
    ('[]', 'PM101', 'of type array'),
    ('"x"', 'PM101', 'of type string'),
    ('{"production": 3}', 'PM101', 'of type number'),
    ('{"production": [{}]}', 'PM101', 'of type array'),
    ('{"": {}}', 'PM001', '1 to 63 characters'),
    ('{" x": {}}', 'PM001', 'no blank at either end'),
    ('{"x ": {}}', 'PM001', 'no blank at either end'),
    ('{"x\ny": {}}', 'PM001', 'control character'),
    ('{"' || repeat('n', 64) || '": {}}', 'PM001', '1 to 63'),
    ('{"p": {"n": ' || repeat('7', 2000) || '}}', 'PM102', '2000 digits'),
    ('{"p": ' || repeat('{"a":', 1001) || '1' || repeat('}', 1001) || '}', 'PM102', '1000 levels'),
    ('{"p": {"a": "' || repeat('x', 17000000) || '"}}', 'PM102', '16777216')) AS v (presets, state, detail);
SELECT lives_ok(pg_temp.publish('{"production": {}, "Development (Est. Cost: $51/mo)": {"a": 1}, "Größe": {}}'),
    'names as bundles ship them');
DELETE FROM promote.bundle_release WHERE bundle = 'web';
SELECT is((SELECT count(*) FROM promote.bundle_release WHERE presets = '{}'), 5::bigint,
    'a release has none by itself');

-- ---- what no completion mends ----
SELECT is(pg_temp.judged(preset::jsonb, schema::jsonb), judged, schema || ' and ' || preset) FROM (VALUES
    -- missing
    ('{}', '{"required": ["a"], "minProperties": 2}', 'accepted'),
    ('{"a": {}}', '{"properties": {"a": {"required": ["b"]}}}', 'accepted'),
    ('{"a": 1}', '{"dependencies": {"a": ["b"]}}', 'accepted'),
    ('{"a": [{}]}', '{"properties": {"a": {"items": {"required": ["b"]}}}}', 'accepted'),
    -- wrong
    ('{"a": "x"}', '{"properties": {"a": {"type": "integer"}}}', 'PM103 "p" at .a: expected integer, found string'),
    ('{"a": 4}', '{"patternProperties": {"^a": {"maximum": 3}}}', 'PM103 "p" at .a: expected at most 3'),
    ('{"a": 4}', '{"properties": {"a": {"enum": [1, 2]}}}', 'PM103 "p" at .a: expected one of 1, 2'),
    ('{"a": 4}', '{"properties": {"a": {"const": 1}}}', 'PM103 "p" at .a: expected 1'),
    ('{"a": 4}', '{"additionalProperties": {"type": "string"}}', 'PM103 "p" at .a: expected string, found number'),
    ('{"a": 4}', '{"additionalProperties": false}',
        'PM103 "p" at .a: the schema does not know this property, or allows no value'),
    ('{"a": 1, "b": 2}', '{"maxProperties": 1}', 'PM103 "p" at .: expected at most 1 property'),
    ('{"aa": 1}', '{"propertyNames": {"maxLength": 1}}',
        'PM103 "p" at .aa: expected at most 1 character'),
    ('{"a": [1, 1]}', '{"properties": {"a": {"uniqueItems": true}}}',
        'PM103 "p" at .a: expected items that are all different'),
    ('{"a": [1]}', '{"properties": {"a": {"minItems": 2}}}', 'PM103 "p" at .a: expected at least 2 items'),
    ('{"a": [1]}', '{"properties": {"a": {"contains": {"const": 2}}}}',
        'PM103 "p" at .a: expected more items that match the schema under "contains"'),
    ('{"a": [2, 2]}', '{"$schema": "https://json-schema.org/draft/2020-12/schema", "properties": {"a": {"contains": '
        '{"const": 2}, "maxContains": 1}}}',
        'PM103 "p" at .a: expected fewer items that match the schema under "contains"'),
    ('{"a": 1}', '{"dependencies": {"a": {"properties": {"a": {"const": 2}}}}}', 'PM103 "p" at .a: expected 2'),
    ('{"a": {"b": 1}}', '{"$defs": {"s": {"properties": {"b": {"type": "string"}}}}, "properties": {"a": {"$ref": '
        '"#/$defs/s"}}}',
        'PM103 "p" at .a.b: expected string, found number'),
    -- what may become equal, or different
    ('{"a": {}}', '{"properties": {"a": {"const": {"b": 1}}}}', 'accepted'),
    ('{"a": [{}, {}]}', '{"properties": {"a": {"uniqueItems": true}}}', 'accepted'),
    ('{"a": [{}]}', '{"properties": {"a": {"contains": {"required": ["b"]}}}}', 'accepted'),
    -- branches
    ('{"a": 1}', '{"anyOf": [{"properties": {"a": {"const": 2}}}, {"required": ["b"]}]}', 'accepted'),
    ('{"t": "x"}', '{"oneOf": [{"properties": {"t": {"const": "x"}}, "required": ["b"]}, {"properties": {"t": '
        '{"const": "y"}}}]}', 'accepted'),
    ('{"t": "z"}', '{"oneOf": [{"properties": {"t": {"const": "x"}}}, {"properties": {"t": {"const": "y"}}}]}',
        'PM103 "p" at .: none of 2 alternatives can match, whatever is added'),
    ('{"t": "x", "n": 9}', '{"oneOf": [{"properties": {"t": {"const": "x"}, "n": {"maximum": 3}}}, {"properties": '
        '{"t": {"const": "y"}}}]}',
        E'PM103 "p" at .: none of 2 alternatives can match, whatever is added\n"p" at .n: expected at most 3'),
    ('{"a": 1}', '{"properties": {"a": {"oneOf": [{"type": "integer"}, {"minimum": 0}]}}}',
        'PM103 "p" at .a: expected exactly one of 2 alternatives to match, and 2 do'),
    ('{"a": 1}', '{"not": {"required": ["a"]}}',
        'PM103 "p" at .: expected a value that does not match the schema under "not"'),
    ('{"a": 1}', '{"not": {"required": ["a"], "properties": {"b": {"const": 1}}}}', 'accepted'),
    ('{"t": "x", "n": 9}', '{"if": {"properties": {"t": {"const": "x"}}, "required": ["t"]}, "then": {"properties": '
        '{"n": {"maximum": 3}}}}',
        'PM103 "p" at .n: expected at most 3'),
    ('{"n": 9}', '{"if": {"properties": {"t": {"const": "x"}}, "required": ["t"]}, "then": {"properties": {"n": '
        '{"maximum": 3}}}}',
        'accepted'),
    ('{"n": 9}', '{"if": {"required": ["t"]}, "then": {"properties": {"n": {"maximum": 3}}}, "else": {"properties": '
        '{"n": {"maximum": 4}}}}',
        'PM103 "p" at .n: expected at most 3'),
    -- what stands for something
    ('{"a": "{{n}}"}', '{"properties": {"a": {"type": "integer"}}}', 'accepted'),
    ('{"a": "{n}"}', '{"properties": {"a": {"type": "integer"}}}', 'PM103 "p" at .a: expected integer, found string')
    ) AS v (preset, schema, judged);
SELECT pg_temp.refuses(pg_temp.publish('{"one": {"a": "x", "b": {"c": 3}}, "two": {"a": 1}, "six": {"a": []}}',
    '{"required": ["z"], "properties": {"a": {"type": "integer"}, "b": {"properties": {"c": {"type": "string"}}}}}'),
        'PM103',
    E'^"one" at \\.a: [^\n]*\n"one" at \\.b\\.c: [^\n]*\n"six" at \\.a: [^\n]*$', 'all violations of all presets');
SELECT unalike((SELECT message || detail || hint FROM pg_temp.refusal(pg_temp.publish('{"one": {"a": "topsecret"}}',
    '{"properties": {"a": {"type": "integer", "$md.sensitive": true}}}'))), '%topsecret%', 'no value is in the error');
SELECT is(pg_temp.judged(('{"a": ' || repeat('{"a": ', 400) || '1' || repeat('}', 401))::jsonb,
    '{"anyOf": [{"$ref": "#/$defs/n"}, {"$ref": "#/$defs/n"}], "$defs": {"n": {"properties": {"a": {"anyOf": [{"$ref": '
        '"#/$defs/n"}, {"$ref": "#/$defs/n"}, {"type": "string"}]}}, "type": "object"}}}'),
    'PM103 "p" at .: none of 2 alternatives can match, whatever is added',
        'what doubles with each level comes to an end');
SELECT matches(pg_temp.judged('{"a": 1}', '{"$ref": "https://example.com/nowhere"}'), '^PM106 ',
    'what is judged by a document that is not there');

-- ---- never changed ----
SELECT lives_ok(pg_temp.publish('{"production": {"a": 1}}'), 'a release with a preset');
SELECT pg_temp.refuses($$UPDATE promote.bundle_release SET presets = '{}' WHERE bundle = 'web'$$, 'PM301', '',
    'its presets');
SELECT matches((SELECT data #>> '{after,presets}' FROM promote.audit_log WHERE event = 'bundle_release.inserted'
    ORDER BY seq DESC LIMIT 1), '^[0-9a-f]{64}$', 'the record has their digest');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'and is whole');
SELECT * FROM finish();
ROLLBACK;
