-- JSON Schema: every keyword both ways, every refusal with its place.

BEGIN;
SELECT * FROM no_plan();
\ir ../../fixtures/cpu.sql

-- What a document violates: "path keyword" of each violation, in order.
CREATE FUNCTION pg_temp.violations(document jsonb, schema jsonb) RETURNS text[]
LANGUAGE sql AS $$
	SELECT coalesce(array_agg(instance_path || ' ' || keyword
							  ORDER BY instance_path COLLATE "C", keyword COLLATE "C"), '{}')
	FROM promote.jsonb_schema_errors(document, schema)
$$;

-- The schema takes all documents of one array and none of the other.
CREATE FUNCTION pg_temp.decides(schema jsonb, good jsonb, bad jsonb, about text) RETURNS SETOF text
LANGUAGE sql AS $$
	SELECT is(
		(SELECT jsonb_agg(d) FROM jsonb_array_elements(good || bad) WITH ORDINALITY e(d, n)
		 WHERE promote.jsonb_schema_valid(d, schema) <> (n <= jsonb_array_length(good))
			OR (pg_temp.violations(d, schema) = '{}') <> (n <= jsonb_array_length(good))),
		NULL, about)
$$;

-- The schema is refused, for that reason.
CREATE FUNCTION pg_temp.refuses(schema jsonb, detail text) RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
	state text;
	message text;
	found text;
	way_out text;
BEGIN
	PERFORM promote.jsonb_schema_check(schema);
	RETURN NEXT fail('refused: ' || detail);
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
		found = PG_EXCEPTION_DETAIL, way_out = PG_EXCEPTION_HINT;
	RETURN NEXT is(
		format('%s %s | %s | hint: %s', state, message, found, (way_out <> '')::text),
		format('PM106 invalid JSON Schema | %s | hint: true', detail),
		'refused: ' || detail);
END
$$;

------------------------------------------------------------------------
-- any value

SELECT pg_temp.decides('true', '[null, 1, {}]', '[]', 'true takes anything');
SELECT pg_temp.decides('false', '[]', '[null, 1, {}]', 'false takes nothing');
SELECT pg_temp.decides('{}', '[null, true, 1, "a", [], {}]', '[]', '{} takes anything');
SELECT pg_temp.decides('{"type": "null"}', '[null]', '[false, 0, "", [], {}]', 'type null');
SELECT pg_temp.decides('{"type": "boolean"}', '[true, false]', '[null, 0, "true"]', 'type boolean');
SELECT pg_temp.decides('{"type": "object"}', '[{}, {"a": 1}]', '[null, [], "{}"]', 'type object');
SELECT pg_temp.decides('{"type": "array"}', '[[], [1]]', '[null, {}, "[]"]', 'type array');
SELECT pg_temp.decides('{"type": "number"}', '[1, 1.5, -1e300]', '[null, "1", true]', 'type number');
SELECT pg_temp.decides('{"type": "string"}', '["", "a"]', '[null, 1, []]', 'type string');
SELECT pg_temp.decides('{"type": "integer"}', '[0, -1, 1.0, 1e3, 1e300]', '[1.5, 1e-3, "1", null]',
	'type integer: integral by value');
SELECT pg_temp.decides('{"type": ["string", "null"]}', '["a", null]', '[1, [], false]', 'several types');
SELECT pg_temp.decides('{"enum": ["a", 1, null, {"x": [1]}]}', '["a", 1.0, null, {"x": [1.0]}]',
	'["b", 2, true, {"x": [2]}, {}]', 'enum compares by value');
SELECT pg_temp.decides('{"enum": []}', '[]', '[null, 0]', 'an empty enum takes nothing');
SELECT pg_temp.decides('{"const": {"a": 1, "b": [true]}}', '[{"b": [true], "a": 1.00}]',
	'[{"a": 1}, {"a": 1, "b": [1]}, null]', 'const compares by value');
SELECT pg_temp.decides('{"const": false}', '[false]', '[0, null, ""]', 'const false is not 0');

------------------------------------------------------------------------
-- numbers

SELECT pg_temp.decides('{"minimum": 1.5}', '[1.5, 2, "a"]', '[1.4999, -2]', 'minimum');
SELECT pg_temp.decides('{"maximum": 3}', '[3.0, -1, null]', '[3.0001, 4]', 'maximum');
SELECT pg_temp.decides('{"exclusiveMinimum": 0}', '[0.0001, "a"]', '[0, -1]', 'exclusiveMinimum');
SELECT pg_temp.decides('{"exclusiveMaximum": 3}', '[2.9999, []]', '[3.0, 4]', 'exclusiveMaximum');
SELECT pg_temp.decides('{"multipleOf": 0.01}', '[0, 1.1, 19.99, -0.07, "a"]', '[0.001, 19.999]',
	'multipleOf is exact');
SELECT pg_temp.decides('{"multipleOf": 0.00000001}', '[1e300, 12391239123]', '[1e-9]',
	'multipleOf of numbers far apart');
SELECT pg_temp.decides('{"maximum": 18446744073709551615}', '[18446744073709551615]',
	'[18446744073709551616, 1e400]', 'bounds past 64 bits');

------------------------------------------------------------------------
-- strings

SELECT pg_temp.decides('{"minLength": 2}', '["ab", "éé", 1]', '["a", "é", ""]', 'minLength in characters');
SELECT pg_temp.decides('{"maxLength": 2}', '["ab", "éé", "", 123]', '["abc", "ééé"]', 'maxLength in characters');
SELECT pg_temp.decides('{"maxLength": 2.0}', '["ab"]', '["abc"]', 'a count may be written 2.0');
SELECT pg_temp.decides('{"maxLength": 1e30, "maxItems": 1e30}', '["ab", [1]]', '[]', 'a count beyond all');
SELECT pg_temp.decides('{"format": "ipv4"}', '["no address", 1]', '[]', 'format says nothing of validity');
SELECT pg_temp.decides('{"contentEncoding": "base64", "contentMediaType": "text/plain"}', '["%%"]', '[]',
	'neither does content');
SELECT pg_temp.decides('{"pattern": "b+"}', '["abc", "b", 1, null]', '["", "ac"]', 'pattern: anywhere');
SELECT pg_temp.decides('{"pattern": "^b+$"}', '["b", "bbb"]', '["ab", "b\n", "a\nb"]',
	'pattern: anchors are of the string');
SELECT pg_temp.decides('{"pattern": "^a.c$"}', '["abc", "a\tc"]', '["a\nc", "a\rc"]', 'pattern: . is not a line end');
SELECT pg_temp.decides('{"pattern": "^[^a]$"}', '["\n", "b"]', '["a"]', 'pattern: [^] takes line ends');
SELECT pg_temp.decides('{"pattern": "^\\d\\w\\s$"}', '["1_ ", "9z\t"]', '["a_ ", "1- ", "1a_"]', 'pattern: classes');
SELECT pg_temp.decides('{"pattern": "^\\D\\W\\S$"}', '["a-b"]', '["1-b", "aab", "a- "]', 'pattern: their opposites');
SELECT pg_temp.decides('{"pattern": "^[\\d\\-x]+[\\w.-]$"}', '["1-xa", "x-"]', '["y-", "1!"]',
	'pattern: classes in brackets');
SELECT pg_temp.decides('{"pattern": "\\bcat\\b"}', '["a cat.", "cat"]', '["concat", "cats"]',
	'pattern: \b is a word''s end');
SELECT pg_temp.decides('{"pattern": "\\Bcat"}', '["concat"]', '["a cat", "cat"]', 'pattern: \B');
SELECT pg_temp.decides('{"pattern": "^[\\b]$"}', '["\b"]', '["b"]', 'pattern: [\b] is a backspace');
SELECT pg_temp.decides('{"pattern": "^\\x41\\u0042\\u{43}\\cJ$"}', '["ABC\n"]', '["ABC", "x41"]',
	'pattern: escapes by number');
SELECT pg_temp.decides('{"pattern": "^\\x411$"}', '["A1"]', '["A", "1"]', 'pattern: \x takes two digits');
SELECT pg_temp.decides('{"pattern": "^\\/a\\.b\\-\\_?$"}', '["/a.b-"]', '["/aXb-"]', 'pattern: what stands for itself');
SELECT pg_temp.decides('{"pattern": "^[[:alph:]]$"}', '["a]", ":]", "[]"]', '["z", "a"]', 'pattern: no POSIX classes');
SELECT pg_temp.decides('{"pattern": "^[[.a.]=]$"}', '["a=]", ".=]"]', '["a"]', 'pattern: no POSIX elements');
SELECT pg_temp.decides('{"pattern": "^{{.*}}$"}', '["{{a}}"]', '["{a}"]', 'pattern: braces that do not repeat');
SELECT pg_temp.decides('{"pattern": "^(a|bc){2,3}?$"}', '["abc", "aaa"]', '["a", "aaaa"]', 'pattern: repetition');
SELECT pg_temp.decides('{"pattern": "^[a-z]{300}$"}',
	jsonb_build_array(repeat('x', 300)), jsonb_build_array(repeat('x', 299), repeat('x', 301)),
	'pattern: repetition past 255');
SELECT pg_temp.decides('{"pattern": "^(ab){1,1000}$"}',
	jsonb_build_array('ab', repeat('ab', 256), repeat('ab', 1000)),
	jsonb_build_array('', 'a', repeat('ab', 1001)), 'pattern: a group past 255');
SELECT pg_temp.decides('{"pattern": "^a{260,}$"}',
	jsonb_build_array(repeat('a', 260), repeat('a', 999)), jsonb_build_array(repeat('a', 259)),
	'pattern: without upper bound past 255');
SELECT pg_temp.decides('{"pattern": "^(?=.*\\d)(?!.*x).{3}$"}', '["a1b"]', '["abc", "1xa"]', 'pattern: lookahead');
SELECT pg_temp.decides('{"pattern": "(?<=a)b(?<!c)"}', '["ab"]', '["b", "cb"]', 'pattern: lookbehind');
SELECT pg_temp.decides('{"pattern": "^(?:z)?(.)(?<n>.)\\k<n>\\1$"}', '["abba", "zabba"]', '["abab"]',
	'pattern: back references');
SELECT pg_temp.decides('{"pattern": "^(?=(a))(.)\\2$"}', '["aa"]', '["ab", "bb"]',
	'pattern: numbers count groups of lookaheads');
SELECT pg_temp.decides('{"pattern": "^[^]$"}', '["a", "\n"]', '["", "ab"]', 'pattern: [^] is anything');
SELECT pg_temp.decides('{"pattern": "a[]|b"}', '["b"]', '["a"]', 'pattern: [] is nothing');
SELECT pg_temp.decides('{"pattern": ""}', '["", "a"]', '[]', 'pattern: empty');

------------------------------------------------------------------------
-- arrays

SELECT pg_temp.decides('{"minItems": 2}', '[[1, 2], {}, "a"]', '[[], [1]]', 'minItems');
SELECT pg_temp.decides('{"maxItems": 1}', '[[], [1], {"a": 1, "b": 2}]', '[[1, 2]]', 'maxItems');
SELECT pg_temp.decides('{"uniqueItems": true}',
	'[[], [1, 2], [1, true], ["a", "b"], [[1], [2]], [{"a": 1}, {"a": 2}], [[], {}], [0, false], 1]',
	'[[1, 1.0], ["a", "b", "a"], [{"a": 1, "b": 2}, {"b": 2, "a": 1}], [null, 1, null], [[], []]]',
	'uniqueItems');
SELECT pg_temp.decides('{"uniqueItems": false}', '[[1, 1]]', '[]', 'uniqueItems false');
SELECT ok(promote.jsonb_schema_valid((SELECT jsonb_agg(n) FROM generate_series(1, 20000) n), '{"uniqueItems": true}'),
	'uniqueItems of a long array');
SELECT ok(NOT promote.jsonb_schema_valid((SELECT jsonb_agg(n % 19999) FROM generate_series(1, 20000) n),
	'{"uniqueItems": true}'),
	'one repetition in a long array');
SELECT pg_temp.decides('{"items": {"type": "integer"}}', '[[], [1, 2], {"0": "a"}, "a"]', '[["a"], [1, null]]',
	'items');
SELECT pg_temp.decides('{"items": false}', '[[], {}]', '[[1]]', 'items false');
SELECT pg_temp.decides('{"items": [{"type": "integer"}, {"type": "string"}]}',
	'[[], [1], [1, "a"], [1, "a", null]]', '[["a"], [1, 2]]', 'items by position');
SELECT pg_temp.decides('{"items": [{}], "additionalItems": {"type": "integer"}}',
	'[[], ["a"], ["a", 1, 2]]', '[["a", "b"], [1, 2, null]]', 'additionalItems');
SELECT pg_temp.decides('{"items": [{}], "additionalItems": false}', '[[], [1]]', '[[1, 2]]', 'additionalItems false');
SELECT pg_temp.decides('{"items": {}, "additionalItems": false}', '[[1, 2]]', '[]', 'additionalItems needs positions');
SELECT pg_temp.decides('{"additionalItems": false}', '[[1, 2]]', '[]', 'additionalItems needs items');
SELECT pg_temp.decides('{"contains": {"minimum": 5}}', '[[1, 5], ["a"], {}]', '[[], [1, 2]]', 'contains');

------------------------------------------------------------------------
-- objects

SELECT pg_temp.decides('{"required": ["a", "bb"]}', '[{"a": null, "bb": 1}, [], 1]',
	'[{}, {"a": 1}, {"bb": 1, "c": 2}]', 'required');
SELECT pg_temp.decides('{"properties": {"a": {"type": "integer"}, "bb": false}}',
	'[{}, {"a": 1, "c": "x"}, ["a"]]', '[{"a": "x"}, {"bb": 1}]', 'properties');
SELECT pg_temp.decides('{"patternProperties": {"^a": {"type": "integer"}, "b$": {"minimum": 2}}}',
	'[{}, {"a": 1, "x": "x"}, {"ab": 2}]', '[{"a": "x"}, {"ab": 1}, {"b": 1}]', 'patternProperties: all that match');
SELECT pg_temp.decides('{"properties": {"a": {}}, "patternProperties": {"^x": {}}, "additionalProperties": false}',
	'[{}, {"a": 1, "xy": 2}, [1]]', '[{"b": 1}, {"a": 1, "yx": 1}]', 'additionalProperties false');
SELECT pg_temp.decides('{"properties": {"a": {}}, "additionalProperties": {"type": "string"}}',
	'[{"a": 1, "b": "x"}]', '[{"b": 1}]', 'additionalProperties');
SELECT pg_temp.decides('{"required": ["a"], "additionalProperties": false}', '[]', '[{"a": 1}, {}]',
	'a required name is not thereby known');
SELECT pg_temp.decides('{"minProperties": 1}', '[{"a": 1}, []]', '[{}]', 'minProperties');
SELECT pg_temp.decides('{"maxProperties": 1}', '[{"a": 1}, {}, [1, 2]]', '[{"a": 1, "b": 2}]', 'maxProperties');
SELECT pg_temp.decides('{"propertyNames": {"maxLength": 2, "pattern": "^a"}}', '[{}, {"a": 1, "ab": 2}, ["xyz"]]',
	'[{"abc": 1}, {"b": 1}]', 'propertyNames');
SELECT pg_temp.decides('{"dependencies": {"a": ["b", "c"], "d": []}}',
	'[{}, {"b": 1}, {"a": 1, "b": 1, "c": 1}, {"d": 1}, "a"]',
	'[{"a": 1}, {"a": 1, "b": 1}]', 'dependencies on names');
SELECT pg_temp.decides('{"dependencies": {"a": {"required": ["b"], "properties": {"b": {"type": "integer"}}}, "z": '
	'false}}',
	'[{}, {"b": "x"}, {"a": 1, "b": 1}]', '[{"a": 1}, {"a": 1, "b": "x"}, {"z": 1}]', 'dependencies on schemas');
SELECT pg_temp.decides('{"properties": {"type": {"type": "string"}, "required": {"type": "integer"}, "$ref": {"const": '
	'1}, "$md": {}}, "required": ["type"]}',
	'[{"type": "x", "required": 1, "$ref": 1}]',
		'[{"type": 1}, {"type": "x", "required": "x"}, {"type": "x", "$ref": 2}]',
	'properties named like keywords');

-- wide objects and schemas meet at every edge of their sorted keys
SELECT pg_temp.decides(
	(SELECT jsonb_build_object('properties', jsonb_object_agg('k' || n, jsonb_build_object('const', n)),
							   'required', jsonb_agg('k' || n) FILTER (WHERE n % 3 = 0),
							   'additionalProperties', false)
	 FROM generate_series(1, 300) n),
	jsonb_build_array((SELECT jsonb_object_agg('k' || n, n) FROM generate_series(1, 300) n),
					  (SELECT jsonb_object_agg('k' || n, n) FROM generate_series(1, 300) n WHERE n % 3 = 0)),
	jsonb_build_array((SELECT jsonb_object_agg('k' || n, n) FROM generate_series(1, 299) n),
					  (SELECT jsonb_object_agg('k' || n, n) FROM generate_series(1, 301) n),
					  (SELECT jsonb_object_agg('k' || n, n + n / 200) FROM generate_series(1, 300) n)),
	'300 properties');

------------------------------------------------------------------------
-- logic

SELECT pg_temp.decides('{"not": {"type": "string"}}', '[1, null]', '["a"]', 'not');
SELECT pg_temp.decides('{"allOf": [{"minimum": 1}, {"maximum": 2}]}', '[1, 2, "a"]', '[0, 3]', 'allOf');
SELECT pg_temp.decides('{"anyOf": [{"maximum": 1}, {"minimum": 3}]}', '[1, 3, "a"]', '[2]', 'anyOf');
SELECT pg_temp.decides('{"oneOf": [{"maximum": 2}, {"minimum": 2}]}', '[1, 3]', '[2, "a"]', 'oneOf: exactly one');
SELECT pg_temp.decides('{"oneOf": [false, false]}', '[]', '[1]', 'oneOf: none');
SELECT pg_temp.decides('{"if": {"minimum": 10}, "then": {"multipleOf": 10}, "else": {"multipleOf": 2}}',
	'[10, 20, 2, 4, "a"]', '[11, 3]', 'if, then, else');
SELECT pg_temp.decides('{"if": {"minimum": 10}, "then": false}', '[1]', '[10]', 'if and then');
SELECT pg_temp.decides('{"if": {"minimum": 10}, "else": false}', '[10]', '[1]', 'if and else');
SELECT pg_temp.decides('{"then": false, "else": false}', '[1]', '[]', 'then and else need if');
SELECT pg_temp.decides('{"if": false}', '[1]', '[]', 'if needs then or else');

------------------------------------------------------------------------
-- references

SELECT pg_temp.decides('{"definitions": {"n": {"type": "integer"}}, "items": {"$ref": "#/definitions/n"}}', '[[1]]',
	'[["a"]]', '$ref');
SELECT pg_temp.decides('{"definitions": {"a/b": {"type": "integer"}, "m~n": {"minimum": 2}, "x y%": {"maximum": 5}},
	"allOf": [{"$ref": "#/definitions/a~1b"}, {"$ref": "#/definitions/m~0n"}, {"$ref": "#/definitions/x%20y%25"}]}',
	'[2, 5]', '["a", 1, 6]', '$ref: escapes');
SELECT pg_temp.decides('{"anyOf": [{"type": "integer"}, {"type": "array", "items": {"$ref": "#/anyOf/0"}}]}',
	'[1, [1]]', '["a", ["a"]]',
	'$ref into an array');
SELECT pg_temp.decides('{"elsewhere": {"deep": {"type": "integer"}}, "$ref": "#/elsewhere/deep"}', '[1]', '["a"]',
	'$ref to a place that no keyword leads to');
SELECT pg_temp.decides('{"definitions": {"n": false}, "properties": {"a": {"$ref": "#/definitions/n"}}}', '[{}]',
	'[{"a": 1}]',
	'$ref to false');
SELECT pg_temp.decides('{"definitions": {"n": {"type": "integer"}}, "properties": {"a": {"$ref": "#/definitions/n", '
	'"minimum": 5, "type": "string"}}}',
	'[{"a": 1}]', '[{"a": "x"}]', 'what stands beside $ref says nothing');
SELECT pg_temp.decides('{"type": "object", "properties": {"next": {"$ref": "#"}, "value": {"type": "integer"}}, '
	'"additionalProperties": false}',
	'[{"next": {"next": {"value": 1}}}]', '[{"next": {"next": {"value": "a"}}}, {"next": 1}]',
		'a schema that contains itself');
SELECT pg_temp.decides('{"definitions": {"tree": {"type": "array", "items": {"anyOf": [{"type": "integer"}, {"$ref": '
	'"#/definitions/tree"}]}}}, "$ref": "#/definitions/tree"}',
	'[[], [1, [2, [3]]]]', '[1, ["a"], [1, [2, ["a"]]]]', 'recursion through items');
SELECT pg_temp.decides('{"definitions": {"a": {"properties": {"b": {"$ref": "#/definitions/b"}}}, "b": {"required": '
	'["a"], "properties": {"a": {"$ref": "#/definitions/a"}}}}, "$ref": "#/definitions/a"}',
	'[{"b": {"a": {"b": {"a": {}}}}}]', '[{"b": {}}, {"b": {"a": {"b": {}}}}]', 'two schemas that contain each other');
SELECT pg_temp.decides('{"properties": {"$ref": {"$ref": "#/definitions/s"}}, "definitions": {"s": {"type": '
	'"string"}}}',
	'[{"$ref": "a"}]', '[{"$ref": 1}]', 'a property named $ref that is one');
SELECT pg_temp.decides('{"const": {"$ref": "#/nowhere"}, "default": {"$ref": "#"}, "examples": [{"type": 1}]}',
	'[{"$ref": "#/nowhere"}]', '[{}]', 'values are not schemas');
SELECT pg_temp.decides('{"$id": "http://example.com/root.json", "$schema": "http://json-schema.org/draft-07/schema#",
	"title": "t", "description": "d", "$comment": "c", "x-own": {"type": 1}, "readOnly": true}', '[1]', '[]',
		'keywords that say nothing');

------------------------------------------------------------------------
-- what is reported

SELECT results_eq(
	$$SELECT * FROM promote.jsonb_schema_errors(
		'{"database": {"size": "big", "tier": "gold"}, "nodes": [{"n": 1}, {"n": 0}], "a b": 1}',
		'{"required": ["name", "database"],
		  "properties": {
			"database": {"properties": {"size": {"type": "integer"}, "tier": {"enum": ["basic", "plus"]}}},
			"nodes": {"items": {"properties": {"n": {"minimum": 1}}}}},
		  "additionalProperties": false}')$$,
	$$VALUES
		('.["a b"]', '#/additionalProperties', 'additionalProperties', 'the schema does not know this property',
			'false'::jsonb),
		('.', '#/required', 'required', 'required property "name" is missing', '"name"'),
		('.nodes[1].n', '#/properties/nodes/items/properties/n/minimum', 'minimum', 'expected at least 1', '1'),
		('.database.size', '#/properties/database/properties/size/type', 'type', 'expected integer, found string',
			'"integer"'),
		('.database.tier', '#/properties/database/properties/tier/enum', 'enum', 'expected one of "basic", "plus"',
			'["basic", "plus"]')$$,
	'all violations, with both paths and what was expected');
SELECT is(pg_temp.violations('{"a": {}}', '{"properties": {"a": {"required": ["x", "y", "zz"]}}}'),
	'{.a required,.a required,.a required}', 'a violation for each missing property');
SELECT is(pg_temp.violations('{"x": 1, "y": 2, "zz": 3}', '{"additionalProperties": false}'),
	'{.x additionalProperties,.y additionalProperties,.zz additionalProperties}', 'and for each that is too much');
SELECT is(pg_temp.violations('["abcdef"]', '{"minItems": 2, "items": {"maxLength": 2, "pattern": "^x", "const": 1}}'),
	'{. minItems,.[0] const,.[0] maxLength,.[0] pattern}', 'one value, several keywords');
SELECT is(pg_temp.violations('3',
	'{"minimum": 4, "exclusiveMinimum": 4, "maximum": 2, "exclusiveMaximum": 2, "multipleOf": 2}'),
	'{. exclusiveMaximum,. exclusiveMinimum,. maximum,. minimum,. multipleOf}', 'every bound of a number');
SELECT results_eq(
	$$SELECT keyword, message FROM promote.jsonb_schema_errors('3',
		'{"minimum": 4, "exclusiveMinimum": 4, "maximum": 2, "exclusiveMaximum": 2, "multipleOf": 2}')$$,
	$$VALUES ('minimum', 'expected at least 4'), ('maximum', 'expected at most 2'),
		('exclusiveMinimum', 'expected more than 4'), ('exclusiveMaximum', 'expected less than 2'),
		('multipleOf', 'expected a multiple of 2')$$, 'messages of bounds');
SELECT results_eq(
	$$SELECT schema_path, message FROM promote.jsonb_schema_errors('{"a": {"b": 1}}',
		'{"definitions": {"x/y~z%": {"properties": {"b": {"type": ["string", "null", "array"]}}}},
		  "properties": {"a": {"$ref": "#/definitions/x~1y~0z%25"}}}')$$,
	$$VALUES ('#/definitions/x~1y~0z%25/properties/b/type', 'expected string, array or null, found number')$$,
	'through a $ref the place is that of the target, and can be used as a $ref');
SELECT results_eq(
	$$SELECT instance_path, schema_path, keyword, message FROM promote.jsonb_schema_errors('{"a": 1}',
		'{"dependencies": {"a": ["b", "c"]}}')$$,
	$$VALUES ('.', '#/dependencies/a', 'dependencies', 'property "b" is required where "a" is present'),
		('.', '#/dependencies/a', 'dependencies', 'property "c" is required where "a" is present')$$,
	'dependencies on names');
SELECT results_eq(
	$$SELECT instance_path, schema_path, keyword
		FROM promote.jsonb_schema_errors('{"abc": 1}', '{"propertyNames": {"maxLength": 2}}')$$,
	$$VALUES ('.abc', '#/propertyNames/maxLength', 'maxLength')$$, 'a name is reported at its property');
SELECT results_eq(
	$$SELECT instance_path, schema_path, keyword, message FROM promote.jsonb_schema_errors('[1, 2]',
		'{"items": [{}], "additionalItems": false}')$$,
	$$VALUES ('.[1]', '#/additionalItems', 'additionalItems', 'the schema does not know this item')$$,
		'an item too much');
SELECT results_eq(
	$$SELECT instance_path, schema_path, keyword, message
		FROM promote.jsonb_schema_errors('{"a": 1}', '{"properties": {"a": false}}')$$,
	$$VALUES ('.a', '#/properties/a', 'properties', 'no value is allowed here')$$, 'a property that must not be');
SELECT results_eq(
	$$SELECT keyword, message FROM promote.jsonb_schema_errors('1', '{"anyOf": [false], "oneOf": [{"const": 2}]}')
		WHERE keyword LIKE '%Of'$$,
	$$VALUES ('anyOf', 'expected at least one of 1 alternative to match, and none does'),
		('oneOf', 'expected exactly one of 1 alternative to match, and none does')$$, 'a single alternative');
SELECT results_eq(
	$$SELECT keyword, message FROM promote.jsonb_schema_errors('{"n": 1}',
		'{"not": {}, "anyOf": [false, false], "oneOf": [true, {}, false]}')$$,
	$$VALUES ('anyOf', 'expected at least one of 2 alternatives to match, and none does'),
		('oneOf', 'expected exactly one of 3 alternatives to match, and 2 do'),
		('not', 'expected a value that does not match the schema under "not"')$$, 'logic');
SELECT results_eq(
	$$SELECT instance_path, schema_path FROM promote.jsonb_schema_errors('{"mode": "auto", "size": 0}',
		'{"oneOf": [
			{"properties": {"mode": {"const": "manual"}, "size": {"minimum": 100}}},
			{"properties": {"mode": {"const": "auto"}, "size": {"minimum": 1}}, "required": ["limit"]}]}')$$,
	$$VALUES ('.', '#/oneOf'),
		('.size', '#/oneOf/1/properties/size/minimum'),
		('.', '#/oneOf/1/required')$$,
	'where a constant leaves one alternative, what keeps the value from that, too');
SELECT is((SELECT count(*) FROM promote.jsonb_schema_errors(
		'{"password": "hunter2", "list": ["hunter2"], "pin": 4711}',
		'{"properties": {"password": {"type": "integer", "const": "x", "enum": ["y"], "maxLength": 1, "minLength": '
			'100, "pattern": "^z", "not": {}},
						 "list": {"contains": {"const": 1}, "uniqueItems": true, "items": {"minLength": 8}},
						 "pin": {"maximum": 1, "minimum": 9999, "multipleOf": 1000}}}') e
	WHERE e.message LIKE '%hunter2%' OR e.message LIKE '%4711%'), 0::bigint,
		'no message holds a value of the document');
SELECT is_empty($$SELECT * FROM promote.jsonb_schema_errors('{"a": 1}', '{}')$$, 'no rows for a valid document');
SELECT is(promote.jsonb_schema_valid(NULL, '{}'), NULL, 'strict');

------------------------------------------------------------------------
-- schemas that are none

SELECT ok(promote.jsonb_schema_check('{"type": "object", "properties": {}}'), 'a schema is one');
SELECT ok(promote.jsonb_schema_check('true'), 'so is true');
SELECT pg_temp.refuses('1', '# must be a schema: an object or a boolean.');
SELECT pg_temp.refuses('[]', '# must be a schema: an object or a boolean.');
SELECT pg_temp.refuses('null', '# must be a schema: an object or a boolean.');
SELECT pg_temp.refuses('{"type": "text"}', '#/type must be the name of a type, or an array of such names.');
SELECT pg_temp.refuses('{"properties": {"x": {"type": 1}}}',
	'#/properties/x/type must be the name of a type, or an array of such names.');
SELECT pg_temp.refuses('{"type": []}', '#/type must name a type.');
SELECT pg_temp.refuses('{"type": ["null", "x"]}', '#/type/1 must be the name of a type, or an array of such names.');
SELECT pg_temp.refuses('{"type": ["null", "null"]}', '#/type names the type null more than once.');
SELECT pg_temp.refuses('{"enum": 1}', '#/enum must be an array.');
SELECT pg_temp.refuses('{"required": "a"}', '#/required must be an array.');
SELECT pg_temp.refuses('{"required": true}', '#/required must be an array.');
SELECT pg_temp.refuses('{"required": ["a", 1]}', '#/required/1 must be a string.');
SELECT pg_temp.refuses('{"required": ["a", "b", "a"]}', '#/required names "a" more than once.');
SELECT pg_temp.refuses('{"properties": []}', '#/properties must be an object.');
SELECT pg_temp.refuses('{"properties": {"a/b": 1}}', '#/properties/a~1b must be a schema: an object or a boolean.');
SELECT pg_temp.refuses('{"patternProperties": {"a": "b"}}',
	'#/patternProperties/a must be a schema: an object or a boolean.');
SELECT pg_temp.refuses('{"patternProperties": {"(": {}}}',
	'#/patternProperties/( has a parenthesis that is not closed.');
SELECT pg_temp.refuses('{"additionalProperties": "no"}',
	'#/additionalProperties must be a schema: an object or a boolean.');
SELECT pg_temp.refuses('{"items": 1}', '#/items must be a schema: an object or a boolean.');
SELECT pg_temp.refuses('{"items": [1]}', '#/items/0 must be a schema: an object or a boolean.');
SELECT pg_temp.refuses('{"additionalItems": null}', '#/additionalItems must be a schema: an object or a boolean.');
SELECT pg_temp.refuses('{"contains": []}', '#/contains must be a schema: an object or a boolean.');
SELECT pg_temp.refuses('{"propertyNames": 1}', '#/propertyNames must be a schema: an object or a boolean.');
SELECT pg_temp.refuses('{"not": 1}', '#/not must be a schema: an object or a boolean.');
SELECT pg_temp.refuses('{"if": 1}', '#/if must be a schema: an object or a boolean.');
SELECT pg_temp.refuses('{"then": 1}', '#/then must be a schema: an object or a boolean.');
SELECT pg_temp.refuses('{"else": 1}', '#/else must be a schema: an object or a boolean.');
SELECT pg_temp.refuses('{"allOf": {}}', '#/allOf must be an array of at least one schema.');
SELECT pg_temp.refuses('{"anyOf": []}', '#/anyOf must be an array of at least one schema.');
SELECT pg_temp.refuses('{"oneOf": [{}, 1]}', '#/oneOf/1 must be a schema: an object or a boolean.');
SELECT pg_temp.refuses('{"dependencies": {"a": "b"}}', '#/dependencies/a must be a schema: an object or a boolean.');
SELECT pg_temp.refuses('{"dependencies": {"a": ["b", 1]}}', '#/dependencies/a/1 must be a string.');
SELECT pg_temp.refuses('{"dependencies": {"a": ["b", "b"]}}', '#/dependencies/a names "b" more than once.');
SELECT pg_temp.refuses('{"definitions": {"a": {"minimum": "1"}}}', '#/definitions/a/minimum must be a number.');
SELECT pg_temp.refuses('{"maximum": null}', '#/maximum must be a number.');
SELECT pg_temp.refuses('{"exclusiveMinimum": true}', '#/exclusiveMinimum must be a number.');
SELECT pg_temp.refuses('{"multipleOf": 0}', '#/multipleOf must be greater than zero.');
SELECT pg_temp.refuses('{"multipleOf": -0.1}', '#/multipleOf must be greater than zero.');
SELECT pg_temp.refuses('{"minLength": -1}', '#/minLength must be a whole number that is not negative.');
SELECT pg_temp.refuses('{"maxLength": 1.5}', '#/maxLength must be a whole number that is not negative.');
SELECT pg_temp.refuses('{"minItems": "1"}', '#/minItems must be a number.');
SELECT pg_temp.refuses('{"maxItems": -1e300}', '#/maxItems must be a whole number that is not negative.');
SELECT pg_temp.refuses('{"minProperties": 0.1}', '#/minProperties must be a whole number that is not negative.');
SELECT pg_temp.refuses('{"maxProperties": true}', '#/maxProperties must be a number.');
SELECT pg_temp.refuses('{"uniqueItems": "yes"}', '#/uniqueItems must be a boolean.');
SELECT pg_temp.refuses('{"pattern": 1}', '#/pattern must be a string.');
SELECT pg_temp.refuses('{"title": 1}', '#/title must be a string.');
SELECT pg_temp.refuses('{"examples": {}}', '#/examples must be an array.');
SELECT pg_temp.refuses('{"$md.copyable": "false"}', '#/$md.copyable must be a boolean.');
SELECT pg_temp.refuses('{"properties": {"a": {"$md.immutable": 1}}}',
	'#/properties/a/$md.immutable must be a boolean.');
SELECT pg_temp.refuses('{"items": {"$md": {"sensitive": null}}}', '#/items/$md/sensitive must be a boolean.');
SELECT pg_temp.refuses('{"$md": true}', '#/$md must be an object.');

SELECT pg_temp.refuses('{"pattern": "a)"}', '#/pattern has a closing parenthesis that was not opened.');
SELECT pg_temp.refuses('{"pattern": "[a"}', '#/pattern has a bracket that is not closed.');
SELECT pg_temp.refuses('{"pattern": "[b-a]"}', '#/pattern has a range in brackets that is out of order.');
SELECT pg_temp.refuses('{"pattern": "a\\"}', '#/pattern ends with a backslash.');
SELECT pg_temp.refuses('{"pattern": "*a"}', '#/pattern has a quantifier with nothing before it to repeat.');
SELECT pg_temp.refuses('{"pattern": "***=a"}', '#/pattern has a quantifier with nothing before it to repeat.');
SELECT pg_temp.refuses('{"pattern": "a**"}', '#/pattern has a quantifier with nothing before it to repeat.');
SELECT pg_temp.refuses('{"pattern": "(?i)a"}', '#/pattern has an unknown kind of group after "(?".');
SELECT pg_temp.refuses('{"pattern": "a{3,2}"}', '#/pattern has a quantifier whose bounds are out of order.');
SELECT pg_temp.refuses('{"pattern": "^*"}', '#/pattern has a quantifier after something that matches no character.');
SELECT pg_temp.refuses('{"pattern": "\\A"}', '#/pattern has the unknown escape \A.');
SELECT pg_temp.refuses('{"pattern": "[\\m]"}', '#/pattern has the unknown escape \m.');
SELECT pg_temp.refuses('{"pattern": "\\p{letter}"}',
	'#/pattern asks for the property "letter", which ECMA-262 does not name.');
SELECT pg_temp.refuses('{"pattern": "\\u12"}', '#/pattern has an escape that lacks hexadecimal digits.');
SELECT pg_temp.refuses('{"pattern": "\\ud800"}', '#/pattern has an escape for something that is no Unicode character.');
SELECT pg_temp.refuses('{"pattern": "\\01"}', '#/pattern has an octal escape.');
SELECT pg_temp.refuses('{"pattern": "\\c1"}', '#/pattern has \c without a letter.');
SELECT pg_temp.refuses('{"pattern": "(a)\\2"}',
	'#/pattern has a back reference to a group that does not end before it.');
SELECT pg_temp.refuses('{"pattern": "(?=(a))\\1"}',
	'#/pattern has a back reference into or within a lookaround, which is not supported.');
SELECT pg_temp.refuses('{"pattern": "(?<a>.)(?<a>.)"}', '#/pattern has two groups of one name.');
SELECT pg_temp.refuses('{"pattern": "(?<a"}', '#/pattern has a group whose name is empty or does not end.');
SELECT pg_temp.refuses('{"pattern": "(.){300}\\1"}',
	'#/pattern repeats a group more than 255 times that has a back reference.');
SELECT pg_temp.refuses('{"pattern": "((a{200}){200}){200}"}',
	'#/pattern is too large once its repetitions are written out.');

SELECT pg_temp.refuses('{"$ref": 1}', '#/$ref must be a string.');
SELECT pg_temp.refuses('{"properties": {"a": {"$ref": "#/definitions/b"}}, "definitions": {"a": {}}}',
	'#/properties/a/$ref leads nowhere: the schema has no place "#/definitions/b".');
SELECT pg_temp.refuses('{"$ref": "#anchor"}', '#/$ref leads nowhere: the schema has no place "#anchor".');
SELECT pg_temp.refuses('{"allOf": [{"$ref": "#/allOf/1"}]}',
	'#/allOf/0/$ref leads nowhere: the schema has no place "#/allOf/1".');
SELECT pg_temp.refuses('{"allOf": [{"$ref": "#/allOf/00"}]}',
	'#/allOf/0/$ref leads nowhere: the schema has no place "#/allOf/00".');
SELECT pg_temp.refuses('{"$ref": "#/a~2"}', '#/$ref leads nowhere: the schema has no place "#/a~2".');
SELECT pg_temp.refuses('{"items": {"$ref": "#/%zz"}}',
	'#/items/$ref has a percent sign without two hexadecimal digits.');
SELECT pg_temp.refuses('{"items": {"$ref": "#/%ff%fe"}}',
	'#/items/$ref is not text once its percent signs are decoded.')
	WHERE getdatabaseencoding() = 'UTF8';
SELECT pg_temp.refuses('{"items": {"$ref": "#/title"}, "title": "t"}',
	'#/items/$ref leads to something that is no schema.');
SELECT pg_temp.refuses('{"items": {"$ref": "other.json#/a"}}',
	'#/items/$ref is relative, and the schema has no URI that it could be relative to.');
SELECT pg_temp.refuses('{"$ref": "#"}', '#/$ref leads round in a circle to the same place of the document.');
SELECT pg_temp.refuses('{"definitions": {"a": {"$ref": "#/definitions/b"}, "b": {"$ref": "#/definitions/a"}}}',
	'#/definitions/a/$ref leads round in a circle to the same place of the document.');
SELECT pg_temp.refuses('{"properties": {"a": {"anyOf": [{"type": "null"}, {"not": {"$ref": "#/properties/a"}}]}}}',
	'#/properties/a/anyOf/1/not/$ref leads round in a circle to the same place of the document.');
SELECT pg_temp.refuses('{"dependencies": {"a": {"if": {"allOf": [{"$ref": "#"}]}}}}',
	'#/dependencies/a/if/allOf/0/$ref leads round in a circle to the same place of the document.');
SELECT pg_temp.refuses('{"if": true, "then": {"oneOf": [{"$ref": "#/then"}]}}',
	'#/then/oneOf/0/$ref leads round in a circle to the same place of the document.');
SELECT ok(promote.jsonb_schema_check('{"allOf": [{"properties": {"a": {"$ref": "#"}}}, {"items": {"$ref": "#"}}]}'),
	'a circle that goes down is none');

------------------------------------------------------------------------
-- 2020-12

-- the same schema with "$schema" said
CREATE FUNCTION pg_temp.new(schema jsonb) RETURNS jsonb
LANGUAGE sql AS $$ SELECT '{"$schema": "https://json-schema.org/draft/2020-12/schema"}' || schema $$;

SELECT pg_temp.decides(pg_temp.new('{"prefixItems": [{"type": "integer"}, {"type": "string"}]}'),
	'[[], [1], [1, "a", null], {}]', '[["a"], [1, 2]]', 'prefixItems');
SELECT pg_temp.decides(pg_temp.new('{"prefixItems": [{}], "items": {"type": "integer"}}'), '[[], ["a"], ["a", 1]]',
	'[["a", "b"]]', 'items past the prefix');
SELECT pg_temp.decides(pg_temp.new('{"items": {"type": "integer"}}'), '[[], [1, 2]]', '[["a"], [1, null]]',
	'items without a prefix');
SELECT pg_temp.decides(pg_temp.new('{"items": {}, "additionalItems": false}'), '[[1, 2]]', '[]',
	'additionalItems is no keyword any more');
SELECT pg_temp.decides('{"prefixItems": [false], "dependentRequired": {"a": ["b"]}, "minContains": 2, "contains": {}, '
	'"unevaluatedProperties": false}',
	'[[1], {"a": 1}]', '[]', 'nor is what is new one in draft-07');
SELECT pg_temp.decides(pg_temp.new('{"contains": {"minimum": 5}, "minContains": 2}'), '[[5, 6], [5, 1, 6], "a"]',
	'[[], [5], [1, 2, 5]]', 'minContains');
SELECT pg_temp.decides(pg_temp.new('{"contains": {"minimum": 5}, "maxContains": 1}'), '[[5], [1, 5]]', '[[], [5, 6]]',
	'maxContains');
SELECT pg_temp.decides(pg_temp.new('{"contains": {"minimum": 5}, "minContains": 0, "maxContains": 1}'),
	'[[], [1], [5]]', '[[5, 6]]', 'minContains 0');
SELECT pg_temp.decides(pg_temp.new('{"minContains": 2, "maxContains": 0}'), '[[], [1]]', '[]',
	'minContains and maxContains need contains');
SELECT pg_temp.decides(pg_temp.new('{"dependentRequired": {"a": ["b", "c"]}}'),
	'[{}, {"b": 1}, {"a": 1, "b": 1, "c": 1}, []]', '[{"a": 1, "b": 1}]', 'dependentRequired');
SELECT pg_temp.decides(pg_temp.new('{"dependentSchemas": {"a": {"required": ["b"]}, "z": false}}'),
	'[{}, {"a": 1, "b": 1}, "a"]', '[{"a": 1}, {"z": 1}]', 'dependentSchemas');
SELECT pg_temp.decides(pg_temp.new('{"dependentSchemas": {"a": {"required": ["b"]}}, "dependentRequired": {"a": '
	'["c"]}, "dependencies": {"a": ["d"], "b": {"maxProperties": 4}}}'),
	'[{"a": 1, "b": 1, "c": 1, "d": 1}]',
		'[{"a": 1, "b": 1, "c": 1}, {"a": 1, "c": 1, "d": 1}, {"a": 1, "b": 1, "d": 1}, {"a": 1, "b": 1, "c": 1, "d": '
		'1, "e": 1}]',
	'all three kinds of dependencies at once');
SELECT pg_temp.decides(pg_temp.new('{"$defs": {"n": {"type": "integer"}}, "properties": {"a": {"$ref": "#/$defs/n", '
	'"minimum": 5}}}'),
	'[{"a": 5}]', '[{"a": 4}, {"a": "x"}]', 'what stands beside $ref counts');
SELECT pg_temp.decides(pg_temp.new('{"contentMediaType": "application/json", "contentEncoding": "base64", '
	'"contentSchema": {"type": "array"}}'),
	'["%", "e30="]', '[]', 'what a string holds is not looked at');

-- what is left unevaluated
SELECT pg_temp.decides(pg_temp.new('{"properties": {"a": {}}, "patternProperties": {"^x": {}}, '
	'"unevaluatedProperties": false}'),
	'[{}, {"a": 1, "xy": 1}, [1]]', '[{"b": 1}]', 'unevaluatedProperties, beside its like');
SELECT pg_temp.decides(pg_temp.new('{"allOf": [{"properties": {"a": {}}}, {"$ref": "#/$defs/b"}], "$defs": {"b": '
	'{"properties": {"b": {}}}}, "unevaluatedProperties": {"type": "string"}}'),
	'[{"a": 1, "b": 1, "c": "x"}]', '[{"a": 1, "c": 1}]', '... through allOf and $ref');
SELECT pg_temp.decides(pg_temp.new('{"anyOf": [{"properties": {"a": {"const": 1}}, "required": ["a"]}, {"properties": '
	'{"b": {"const": 1}}, "required": ["b"]}], "unevaluatedProperties": false}'),
	'[{"a": 1}, {"b": 1}, {"a": 1, "b": 1}]', '[{"a": 1, "b": 2}, {"a": 2, "b": 1}, {"a": 1, "c": 1}]',
		'... by all branches of anyOf that match, and no others');
SELECT pg_temp.decides(pg_temp.new('{"oneOf": [{"properties": {"a": {}, "b": {"const": 1}}, "required": ["b"]}, '
	'{"properties": {"a": {}, "c": {}}, "required": ["c"]}], "unevaluatedProperties": false}'),
	'[{"a": 1, "b": 1}, {"a": 1, "c": 1}]', '[{"a": 1}, {"b": 1, "d": 1}, {"b": 2, "c": 1}]',
		'... by the one of oneOf');
SELECT pg_temp.decides(pg_temp.new('{"if": {"properties": {"a": {"const": 1}}, "required": ["a"]}, "then": '
	'{"properties": {"b": {}}}, "else": {"properties": {"c": {}}}, "unevaluatedProperties": false}'),
	'[{"a": 1, "b": 1}, {"c": 1}]', '[{"a": 2}, {"a": 1, "c": 1}, {"b": 1}]', '... by if, then and else');
SELECT pg_temp.decides(pg_temp.new('{"if": {"properties": {"a": {"const": 1}}}, "unevaluatedProperties": false}'),
	'[{"a": 1}]', '[{"a": 2}]', '... by if alone');
SELECT pg_temp.decides(pg_temp.new('{"dependentSchemas": {"a": {"properties": {"a": {}, "b": {}}}}, '
	'"unevaluatedProperties": false}'), '[{"a": 1, "b": 1}]', '[{"b": 1}]',
	'... by dependentSchemas');
SELECT pg_temp.decides(pg_temp.new('{"not": {"not": {"properties": {"a": {}}}}, "unevaluatedProperties": false}'),
	'[{}]', '[{"a": 1}]', '... never by not');
SELECT pg_temp.decides(pg_temp.new('{"properties": {"a": {}}, "allOf": [{"unevaluatedProperties": false}]}'), '[{}]',
	'[{"a": 1}]', '... nor by what stands around it');
SELECT pg_temp.decides(pg_temp.new('{"properties": {"a": {"properties": {"b": {}}}}, "unevaluatedProperties": false}'),
	'[{"a": {"c": 1}}]', '[{"b": 1}]', '... each level by itself');
SELECT pg_temp.decides(pg_temp.new('{"allOf": [{"unevaluatedProperties": true}], "unevaluatedProperties": false}'),
	'[{"a": 1}]', '[]', '... or by another one further in');
SELECT pg_temp.decides(pg_temp.new('{"prefixItems": [{}], "contains": {"const": 7}, "unevaluatedItems": false}'),
	'[[1, 7], [7, 7, 7], {"a": 1}]', '[[1, 7, 2], [1, 2]]',
	'unevaluatedItems, with prefixItems and contains');
SELECT pg_temp.decides(pg_temp.new('{"allOf": [{"prefixItems": [{}, {}]}], "unevaluatedItems": {"type": "integer"}}'),
	'[["a", "b"], ["a", "b", 1]]', '[["a", "b", "c"]]',
	'... through allOf');
SELECT pg_temp.decides(pg_temp.new('{"anyOf": [{"items": {"type": "integer"}}, {"prefixItems": [{"type": "string"}]}], '
	'"unevaluatedItems": false}'),
	'[[], [1, 2], ["a"]]', '[["a", 1]]', '... through anyOf');
SELECT pg_temp.decides(
	(SELECT pg_temp.new(jsonb_build_object('allOf',
		jsonb_build_array(jsonb_build_object('properties', jsonb_object_agg('k' || n, true))), 'unevaluatedProperties',
		false))
	 FROM generate_series(1, 1000) n),
	jsonb_build_array((SELECT jsonb_object_agg('k' || n, n) FROM generate_series(1, 1000) n)),
	jsonb_build_array((SELECT jsonb_object_agg('k' || n, n) FROM generate_series(1, 1001) n)), 'a thousand properties');
SELECT is(pg_temp.violations('{"a": 1, "b": 2}',
	pg_temp.new('{"properties": {"a": {"type": "string"}}, "unevaluatedProperties": false}')),
	'{.a type,.b unevaluatedProperties}', 'a property of the wrong type is not thereby unknown');
SELECT results_eq(
	$$SELECT schema_path, keyword, message, expected FROM promote.jsonb_schema_errors('[1]',
		'{"$schema": "https://json-schema.org/draft/2020-12/schema", "unevaluatedItems": false}')$$,
	$$VALUES ('#/unevaluatedItems', 'unevaluatedItems', 'the schema does not know this item', 'false'::jsonb)$$,
		'how that is told');

------------------------------------------------------------------------
-- names: $id, anchors

SELECT pg_temp.decides(pg_temp.new('{"$defs": {"n": {"$anchor": "num", "type": "integer"}}, "items": {"$ref": '
	'"#num"}}'), '[[1]]', '[["a"]]', '$anchor');
SELECT pg_temp.decides(pg_temp.new('{"$id": "http://h/a/b", "$defs": {"n": {"$id": "c/d", "type": "integer", "$defs": '
	'{"e": {"$anchor": "s", "type": "string"}}}},
	"items": {"$ref": "c/d"}, "properties": {"x": {"$ref": "http://h/a/c/d#/$defs/e"}, "y": {"$ref": "/a/c/d#s"}, "z": '
		'{"$ref": "//h/a/x/../c/d"}}}'),
	'[[1], {"x": "s", "y": "s", "z": 1}]', '[["a"], {"x": 1}, {"y": 1}, {"z": "s"}]',
		'$id: relative to what is around it');
SELECT pg_temp.decides('{"definitions": {"n": {"$id": "#num", "type": "integer"}, "m": {"$id": "http://h/m#text", '
	'"type": "string"}},
	"items": {"$ref": "#num"}, "properties": {"x": {"$ref": "http://h/m#text"}, "y": {"$ref": "http://h/m"}}}',
	'[[1], {"x": "a", "y": "b"}]', '[["a"], {"x": 1}, {"y": 1}]', 'draft-07 has anchors in $id');
SELECT pg_temp.decides('{"$id": "http://h/base/", "definitions": {"foo": {"$id": "foo", "type": "integer"}},
	"items": {"$id": "http://elsewhere/", "$ref": "foo"}}', '[[1]]', '[["a"]]', 'and ignores $id beside $ref');
SELECT pg_temp.decides(pg_temp.new('{"$defs": {"x": {"type": "string"}}, "properties": {"a": {"$id": "", "$ref": '
	'"#/$defs/x"}}}'), '[{"a": "x"}]', '[{"a": 1}]', 'an empty $id leaves a part where it is');
SELECT pg_temp.decides(pg_temp.new('{"$id": "http://h/r", "$defs": {"x": {"type": "string"}}, "properties": {"a": '
	'{"$id": ""}, "b": {"$ref": "http://h/r#/$defs/x"}}}'), '[{"b": "x"}]', '[{"b": 1}]',
	'... and takes nobody''s name');
SELECT pg_temp.decides(pg_temp.new('{"$id": "urn:example:root", "$defs": {"a": {"$id": "urn:example:a", "minimum": '
	'1}}, "allOf": [{"$ref": "urn:example:a"}, {"$ref": "#/$defs/a"}, {"$ref": "urn:example:root#/$defs/a"}]}'),
	'[1]', '[0]', 'URNs');
SELECT pg_temp.decides(pg_temp.new('{"$defs": {"old": {"$id": "http://h/old", "$schema": '
	'"http://json-schema.org/draft-07/schema#", "allOf": [{"$ref": "#/definitions/t", "minimum": 5}], "definitions": '
	'{"t": {"items": [{"type": "integer"}]}}}}, "$ref": "http://h/old"}'),
	'[[1, "a"], 1]', '[["a"]]', 'a part of another dialect');
SELECT pg_temp.decides(pg_temp.new('{"const": {"$id": "http://h/x", "$anchor": "x"}, "$defs": {"x": {"$id": '
	'"http://h/x"}}, "not": {"$ref": "http://h/x#/nothing"}}') - 'not',
	'[{"$id": "http://h/x", "$anchor": "x"}]', '[1]', 'a constant names nothing');
SELECT pg_temp.refuses(pg_temp.new('{"$defs": {"a": {"$id": "http://h/x"}, "b": {"$id": "http://h/x"}}, "$ref": '
	'"http://h/x"}'), '#/$ref is ambiguous: several schemas have the URI http://h/x.');
SELECT pg_temp.refuses(pg_temp.new('{"$defs": {"a": {"$anchor": "x"}, "b": {"$anchor": "x"}}, "$ref": "#x"}'),
	'#/$ref is ambiguous: several schemas have the anchor "x".');
SELECT pg_temp.refuses(pg_temp.new('{"$id": "http://h/x#y"}'), '#/$id must not have a fragment.');
SELECT pg_temp.refuses(pg_temp.new('{"$anchor": "1"}'), '#/$anchor must be a plain name.');
SELECT pg_temp.refuses(pg_temp.new('{"$dynamicAnchor": "a b"}'), '#/$dynamicAnchor must be a plain name.');
SELECT pg_temp.refuses(pg_temp.new('{"$ref": "#nowhere"}'),
	'#/$ref leads nowhere: the schema has no place "#nowhere".');
SELECT pg_temp.refuses(pg_temp.new('{"items": [{}]}'), '#/items must be a schema: an object or a boolean.');
SELECT pg_temp.refuses(pg_temp.new('{"prefixItems": []}'), '#/prefixItems must be an array of at least one schema.');
SELECT pg_temp.refuses(pg_temp.new('{"dependentRequired": {"a": {}}}'), '#/dependentRequired/a must be an array.');
SELECT pg_temp.refuses(pg_temp.new('{"dependentSchemas": {"a": []}}'),
	'#/dependentSchemas/a must be a schema: an object or a boolean.');
SELECT pg_temp.refuses(pg_temp.new('{"minContains": -1}'),
	'#/minContains must be a whole number that is not negative.');
SELECT pg_temp.refuses(pg_temp.new('{"maxContains": "1"}'), '#/maxContains must be a number.');
SELECT pg_temp.refuses(pg_temp.new('{"unevaluatedItems": 1}'),
	'#/unevaluatedItems must be a schema: an object or a boolean.');
SELECT pg_temp.refuses(pg_temp.new('{"unevaluatedProperties": 1}'),
	'#/unevaluatedProperties must be a schema: an object or a boolean.');
SELECT pg_temp.refuses(pg_temp.new('{"contentSchema": 1}'),
	'#/contentSchema must be a schema: an object or a boolean.');
SELECT pg_temp.refuses(pg_temp.new('{"$vocabulary": {"a": 1}}'), '#/$vocabulary/a must be a boolean.');
SELECT pg_temp.refuses(pg_temp.new('{"$defs": {"a": {"deprecated": 1}}}'), '#/$defs/a/deprecated must be a boolean.');
SELECT pg_temp.refuses('{"$schema": 1}', '#/$schema must be a string.');
SELECT pg_temp.refuses(pg_temp.new('{"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#"}}}'),
	'#/$ref leads round in a circle to the same place of the document.');

------------------------------------------------------------------------
-- dynamic references

-- a list whose items whoever refers to it decides
CREATE FUNCTION pg_temp.list(items jsonb) RETURNS jsonb
LANGUAGE sql AS $$
	SELECT pg_temp.new(jsonb_build_object('$id', 'http://h/strict', '$ref', 'list', '$defs', jsonb_build_object(
		'item', items || '{"$dynamicAnchor": "item"}',
		'list', '{"$id": "list", "type": "array", "items": {"$dynamicRef": "#item"}, "$defs": {"item": '
			'{"$dynamicAnchor": "item"}}}'::jsonb)))
$$;
SELECT pg_temp.decides(pg_temp.list('{"type": "string"}'), '[[], ["a"]]', '[1, [1]]',
	'$dynamicRef: the outermost anchor');
SELECT pg_temp.decides(pg_temp.list('{}') #- '{$defs,item,$dynamicAnchor}', '[["a"], [1]]', '[1]', '... or its own');
SELECT pg_temp.decides(pg_temp.new('{"$id": "http://h/tree", "$dynamicAnchor": "node", "properties": {"value": {}, '
	'"children": {"items": {"$dynamicRef": "#node"}}},
	"$defs": {"strict": {"$id": "strict", "$dynamicAnchor": "node", "$ref": "tree", "unevaluatedProperties": false}}}')
		|| '{"$id": "http://h/tree"}',
	'[{"children": [{"x": 1}]}]', '[]', 'a tree that may be extended');
SELECT pg_temp.decides(pg_temp.new('{"$id": "http://h/strict", "$dynamicAnchor": "node", "$ref": "tree", '
	'"unevaluatedProperties": false,
	"$defs": {"tree": {"$id": "tree", "$dynamicAnchor": "node", "properties": {"value": {}, "children": {"items": '
		'{"$dynamicRef": "#node"}}}}}}'),
	'[{"value": 1, "children": [{"children": [{"value": 2}]}]}]',
		'[{"x": 1}, {"children": [{"x": 1}]}, {"children": [{"children": [{"x": 1}]}]}]', '... and is');
SELECT pg_temp.refuses(pg_temp.new('{"$dynamicAnchor": "a", "allOf": [{"$dynamicRef": "#a"}]}'),
	'#/allOf/0/$dynamicRef leads round in a circle to the same place of the document.');
-- which of two is meant is known when it is evaluated, and so is that it never ends
CREATE FUNCTION pg_temp.round() RETURNS jsonb
LANGUAGE sql AS $$
	SELECT pg_temp.new('{"$id": "http://h/outer", "$dynamicAnchor": "a", "$ref": "inner",
		"$defs": {"inner": {"$id": "inner", "properties": {"x": {"$ref": "other"}}, "$ref": "other", "$defs": {
			"other": {"$id": "other", "allOf": [{"$dynamicRef": "#a"}], "$defs": {"a": {"$dynamicAnchor": "a"}}}}}}}')
$$;
SELECT ok(promote.jsonb_schema_check(pg_temp.round()), 'a dynamic circle is not seen before');
SELECT throws_ok('SELECT promote.jsonb_schema_valid(''1'', pg_temp.round())', 'PM106', 'invalid JSON Schema',
	'... but refused when it is met');
SELECT throws_ok('SELECT * FROM promote.jsonb_schema_errors(''1'', pg_temp.round())', 'PM106', 'invalid JSON Schema',
	'... by every function');
SELECT throws_ok('SELECT promote.jsonb_filter_copyable(''{}'', pg_temp.round() || ''{"$md.copyable": false}'')',
	'PM106', 'invalid JSON Schema',
	'... also by those that look for marks');

------------------------------------------------------------------------
-- formats, and what was expected

SELECT ok(promote.jsonb_schema_valid('"x"', '{"format": "uuid"}'), 'a format is not asserted');
SELECT ok(NOT promote.jsonb_schema_valid('"x"', '{"format": "uuid"}', true), '... but on request');
SELECT ok(promote.jsonb_schema_valid('"2EB8AA08-AA98-11EA-B4AA-73B441D16380"', '{"format": "uuid"}',
	assert_format => true), '... it can be kept');
SELECT ok(promote.jsonb_schema_valid('1', '{"format": "uuid"}', true), '... is of strings only');
SELECT ok(promote.jsonb_schema_valid('"x"', '{"format": "no-such-format"}', true), '... and must be known');
SELECT results_eq($$SELECT * FROM promote.jsonb_schema_errors('"x"', '{"format": "uuid"}', true)$$,
	$$VALUES ('.', '#/format', 'format', 'expected a string of the format "uuid"', '"uuid"'::jsonb)$$,
		'how that is told');
SELECT results_eq($$SELECT keyword, expected FROM promote.jsonb_schema_errors('{"a": 1.5, "s": "x"}',
	'{"required": ["b", "c"], "dependencies": {"a": ["d"]}, "properties": {"s": false, "a": {"type": ["string", '
		'"null"], "enum": [1, {"x": 2}], "minimum": 3, "const": [], "multipleOf": 2,
	  "not": {}, "anyOf": [false], "oneOf": [true, true]}}, "maxProperties": 1}')$$,
	$$VALUES ('maxProperties', '1'::jsonb), ('type', '["string", "null"]'), ('const', '[]'), ('enum', '[1, {"x": 2}]'),
		('minimum', '3'), ('multipleOf', '2'),
		('anyOf', '[false]'), ('oneOf', '[true, true]'), ('not', '{}'), ('dependencies', '"d"'),
		('required', '"b"'), ('required', '"c"'), ('properties', 'false')$$, 'what was expected, of each kind');
SELECT is((SELECT expected FROM promote.jsonb_schema_errors('1', jsonb_build_object('const', repeat('x', 5000)))), NULL,
	'nothing large is told');
SELECT is((SELECT expected FROM promote.jsonb_schema_errors('1', jsonb_build_object('const', repeat('x', 1000)))),
	to_jsonb(repeat('x', 1000)), 'but what is not');

------------------------------------------------------------------------
-- marks, through what is new

CREATE FUNCTION pg_temp.kept(params jsonb, schema jsonb) RETURNS jsonb
LANGUAGE sql AS $$ SELECT promote.jsonb_filter_copyable(params, pg_temp.new(schema)) $$;

SELECT is(pg_temp.kept('{"a": [1, 2, 3]}', '{"properties": {"a": {"prefixItems": [{}, {"$md.copyable": false}]}}}'),
	'{"a": [1, 3]}', 'marks: prefixItems');
SELECT is(pg_temp.kept('{"a": [1, 2, 3]}',
	'{"properties": {"a": {"prefixItems": [{}], "items": {"$md.copyable": false}}}}'), '{"a": [1]}',
	'marks: items past it');
SELECT is(pg_temp.kept('{"a": 1, "b": 2}',
	'{"dependentSchemas": {"a": {"properties": {"b": {"$md.copyable": false}}}}}'), '{"a": 1}',
	'marks: dependentSchemas');
SELECT is(pg_temp.kept('{"b": 2}', '{"dependentSchemas": {"a": {"properties": {"b": {"$md.copyable": false}}}}}'),
	'{"b": 2}', '... where the property is there');
SELECT is(pg_temp.kept('{"a": 1, "b": 2}',
	'{"properties": {"a": {}}, "unevaluatedProperties": {"$md.copyable": false}}'), '{"a": 1}',
	'marks: unevaluatedProperties');
SELECT is(pg_temp.kept('{"a": 1, "b": 2, "c": 3}',
	'{"properties": {"a": {"type": "string"}}, "allOf": [{"properties": {"b": {"type": "string"}}}], '
	'"unevaluatedProperties": {"$md.copyable": false}}'),
	'{"a": 1, "b": 2}', '... of those that nothing knows, also where the params are invalid');
SELECT is(pg_temp.kept('{"a": 1, "b": 2}',
	'{"oneOf": [{"properties": {"a": {"const": 1}}, "required": ["a", "x"]}, {"properties": {"a": {"const": 2}}}], '
	'"unevaluatedProperties": {"$md.copyable": false}}'),
	'{}', '... where no branch matches, no branch knows them');
SELECT is(pg_temp.kept('{"l": [1, 2, 3]}',
	'{"properties": {"l": {"prefixItems": [{}], "unevaluatedItems": {"$md.copyable": false}}}}'), '{"l": [1]}',
	'marks: unevaluatedItems');
SELECT is(pg_temp.kept('{"a": {"b": 1, "c": 2}}',
	'{"properties": {"a": {"$ref": "#/$defs/a", "properties": {"b": {"$md.copyable": false}}}}, "$defs": {"a": '
	'{"properties": {"c": {"$md.copyable": false}}}}}'),
	'{"a": {}}', 'marks: $ref and what stands beside it');
SELECT is(promote.jsonb_filter_copyable('["a"]', pg_temp.list('{"$md.copyable": false}')), '[]', 'marks: $dynamicRef');
SELECT is(promote.jsonb_filter_copyable('["a"]', pg_temp.list('{}')), '["a"]', '... of the outermost anchor');
SELECT is(pg_temp.kept('{"a": 1}',
	'{"contentSchema": {"properties": {"a": {"$md.copyable": false}}}, "$defs": {"x": {"properties": {"a": '
	'{"$md.copyable": false}}}}}'),
	'{"a": 1}', 'marks: not by what does not apply');

------------------------------------------------------------------------
-- limits

-- each level asks the next twice: 2^200 steps without a memory of them
CREATE FUNCTION pg_temp.doubling(keyword text, levels int) RETURNS jsonb
LANGUAGE sql AS $$
	SELECT jsonb_build_object('$ref', '#/definitions/l1', 'definitions',
		jsonb_object_agg('l' || n, CASE WHEN n = levels THEN '{"type": "integer"}' ELSE
			jsonb_build_object(keyword, jsonb_build_array(
				jsonb_build_object('$ref', '#/definitions/l' || n + 1),
				jsonb_build_object('$ref', '#/definitions/l' || n + 1))) END))
	FROM generate_series(1, levels) n
$$;

SELECT ok(promote.jsonb_schema_valid('1', pg_temp.doubling('allOf', 200)), 'references that double: valid');
SELECT ok(NOT promote.jsonb_schema_valid('"a"', pg_temp.doubling('anyOf', 200)), 'references that double: invalid');
SELECT is(pg_temp.violations('"a"', pg_temp.doubling('allOf', 2)), '{. type,. type}', 'a violation may be met twice');
SELECT ok((SELECT count(*) < 5000 FROM promote.jsonb_schema_errors('"a"', pg_temp.doubling('allOf', 200))),
	'but not without end');
SELECT ok(promote.jsonb_schema_check((repeat('{"items":', 1000) || '{}' || repeat('}', 1000))::jsonb), 'a deep schema');
SELECT ok(promote.jsonb_schema_valid(
	(repeat('[', 1000) || repeat(']', 1000))::jsonb, '{"type": "array", "items": {"$ref": "#"}}'), 'a deep document');
SELECT ok(NOT promote.jsonb_schema_valid(
	(repeat('[', 1000) || '1' || repeat(']', 1000))::jsonb, '{"type": "array", "items": {"$ref": "#"}}'),
	'a deep document with a flaw at its end');

-- the same with what is evaluated to be remembered, and with names that are bound
SELECT ok(promote.jsonb_schema_valid('{"a": 1}',
	jsonb_set(pg_temp.new(pg_temp.doubling(keyword, 200) || '{"unevaluatedProperties": false}'),
	'{definitions,l200}', '{"properties": {"a": {"type": "integer"}}}')),
		'references that double, with what they evaluate: ' || keyword)
FROM unnest('{allOf,anyOf}'::text[]) keyword;
SELECT ok(NOT promote.jsonb_schema_valid('{"a": 1}',
	jsonb_set(pg_temp.new(pg_temp.doubling(keyword, 200) || '{"unevaluatedProperties": false}'),
	'{definitions,l200}', '{"properties": {"b": {}}}')), '... and what they do not: ' || keyword)
FROM unnest('{allOf,anyOf}'::text[]) keyword;

-- what takes long can be cancelled, at once
CREATE FUNCTION pg_temp.cancelled(document jsonb, schema jsonb) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
	began float8 := pg_temp.cpu_seconds();
BEGIN
	PERFORM promote.jsonb_schema_valid(document, schema);
	RETURN false;
EXCEPTION WHEN query_canceled THEN
	RETURN pg_temp.cpu_seconds() - began < 3;
END
$$;
-- resources that refer to each other in every order, each with a name that those within must look for
SET LOCAL statement_timeout = '1s';
SELECT ok(pg_temp.cancelled((repeat('[', 14) || '1' || repeat(']', 14))::jsonb,
	(SELECT pg_temp.new(jsonb_build_object('$id', 'http://h/r', '$ref', 'l1', '$defs', jsonb_object_agg('l' || n,
		jsonb_build_object('$id', 'l' || n, '$defs',
			jsonb_build_object('x', jsonb_build_object('$dynamicAnchor', 'd' || n)),
			'type', 'array', 'contains', jsonb_build_object('$dynamicRef', '#d' || n),
			'items', jsonb_build_object('anyOf', (SELECT jsonb_agg(jsonb_build_object('$ref', 'l' || m))
				FROM generate_series(1, 12) m))))))
	 FROM generate_series(1, 12) n)), 'what a schema can make explode can be cancelled');
SET LOCAL statement_timeout = 0;

SET LOCAL statement_timeout = '5min';
SELECT ok(promote.jsonb_schema_valid((SELECT jsonb_object_agg('k' || n, n) FROM generate_series(1, 100000) n),
	(SELECT jsonb_build_object('properties',
		jsonb_object_agg('k' || n, '{"type": "integer", "minimum": 1, "description": "some words more"}'::jsonb))
	 FROM generate_series(1, 150000) n)), 'a schema of 10 MB');
SELECT ok(promote.jsonb_schema_valid('1',
	(SELECT pg_temp.new(jsonb_build_object('$id', 'http://h/', 'allOf', jsonb_agg(jsonb_build_object('$ref', 'k' || n)),
		'$defs', jsonb_object_agg('k' || n, jsonb_build_object('$id', 'k' || n, '$dynamicAnchor', 'a', 'items',
			'{"$dynamicRef": "#a"}'::jsonb))))
	 FROM generate_series(1, 20000) n)), 'twenty thousand resources');
SELECT throws_ok($$SELECT promote.jsonb_schema_valid('1',
	(SELECT jsonb_build_object('$ref', '#/definitions/l1', 'definitions',
	jsonb_object_agg('l' || n, jsonb_build_object('$ref', '#/definitions/l' || n + 1)) || '{"l100001": {}}')
		FROM generate_series(1, 100000) n))$$,
	'54001', NULL, 'a chain of a hundred thousand references');
SELECT throws_ok($$SELECT promote.jsonb_schema_check((repeat('{"items":', 10000) || '{}' || repeat('}',
	10000))::jsonb)$$, '54001', NULL, 'a schema 10,000 levels deep');
SELECT throws_ok($$SELECT promote.jsonb_schema_valid((repeat('[', 10000) || repeat(']', 10000))::jsonb,
	'{"$schema": "https://json-schema.org/draft/2020-12/schema", "$dynamicAnchor": "a", "items": {"$dynamicRef": '
		'"#a"}, "unevaluatedItems": false}')$$,
	'54001', NULL, 'a document 10,000 levels deep');
SELECT ok(promote.jsonb_schema_valid('1e1000', '{"multipleOf": 1e-1000}'), 'multipleOf of extreme scale');
SELECT ok(NOT promote.jsonb_schema_valid(to_jsonb(repeat('9', 131000)::numeric),
	jsonb_build_object('multipleOf', ('0.' || repeat('0', 16000) || '7')::numeric)),
	'... and both extremes');
SELECT pg_temp.refuses(jsonb_build_object('$id', 'http://h/' || repeat('a', 2050)),
	'#/$id makes a URI of more than 2048 bytes.');
SELECT pg_temp.refuses(jsonb_build_object('items', jsonb_build_object('$ref', 'http://h/' || repeat('b', 2100))),
	'#/items/$ref makes a URI of more than 2048 bytes.');
SELECT throws_ok($$SELECT promote.jsonb_schema_check((SELECT jsonb_build_object('$id',
	'http://h/' || repeat('a', 1900) || '/', 'definitions',
	jsonb_object_agg('k' || n, jsonb_build_object('$id', 'k' || n))) FROM generate_series(1, 40000) n))$$, 'PM102',
		'JSON Schema is too large', 'URIs are bounded together');
SET LOCAL statement_timeout = 0;

-- more schemas than are kept
SELECT is((SELECT count(*) FROM generate_series(1, 2) r, generate_series(1, 200) n
		   WHERE promote.jsonb_schema_valid(to_jsonb(n), jsonb_build_object('const', n))
			 AND NOT promote.jsonb_schema_valid(to_jsonb(n), jsonb_build_object('const', n + 1, 'pattern',
			 	'^a{' || n || '}$'))),
	400::bigint, 'hundreds of schemas in turn');

-- an error leaves the cache as it was
SELECT throws_ok($$SELECT
	promote.jsonb_schema_check('{"properties": {"a": {"pattern": "^a+$"}, "b": {"pattern": "["}}}')$$,
	'PM106', 'invalid JSON Schema', 'an invalid schema');
SELECT throws_ok($$SELECT
	promote.jsonb_schema_check('{"properties": {"a": {"pattern": "^a+$"}, "b": {"pattern": "["}}}')$$,
	'PM106', 'invalid JSON Schema', 'the same again');
SELECT ok(promote.jsonb_schema_valid('{"a": "aa"}', '{"properties": {"a": {"pattern": "^a+$"}}}'),
	'and a valid one after it');

-- usable in a constraint
CREATE TEMP TABLE release (params_schema jsonb CHECK (promote.jsonb_schema_check(params_schema)));
SELECT lives_ok($$INSERT INTO release VALUES ('{"type": "object"}'), (NULL)$$, 'a constraint takes a schema');
SELECT throws_ok($$INSERT INTO release VALUES ('{"type": "objekt"}')$$, 'PM106', 'invalid JSON Schema',
	'a constraint refuses what is none');

SELECT * FROM finish();
ROLLBACK;
