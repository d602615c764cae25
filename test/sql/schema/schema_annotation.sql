-- What a schema tells of a document's locations: filtering by any keyword, defaults, annotations.
BEGIN;
SELECT no_plan();

CREATE FUNCTION pg_temp.own_bytes(document jsonb) RETURNS boolean LANGUAGE sql AS $$
SELECT a OPERATOR (pg_catalog.*=) b FROM (SELECT document) AS a, (SELECT document::text::jsonb) AS b
$$;

-- ---- jsonb_filter_annotated, jsonb_keep_annotated ----
CREATE TEMPORARY TABLE split (what text, schema jsonb, params jsonb, filtered jsonb, kept jsonb,
    keyword text DEFAULT '$md.copyable', value jsonb DEFAULT 'false');
INSERT INTO split VALUES
    ('flat', '{"properties": {"a": {"$md.copyable": false}}}', '{"a": 1, "b": 2}', '{"b": 2}', '{"a": 1}'),
    ('nested', '{"properties": {"a": {"$md": {"copyable": false}}}}', '{"a": 1, "b": 2}', '{"b": 2}', '{"a": 1}'),
    ('either of both', '{"properties": {"a": {"$md.copyable": true, "$md": {"copyable": false}}}}', '{"a": 1}', '{}',
        '{"a": 1}'),
    ('another value', '{"properties": {"a": {"$md.copyable": true}}}', '{"a": 1}', '{"a": 1}', '{}'),
    ('below', '{"properties": {"o": {"properties": {"a": {"$md.copyable": false}}}}}',
        '{"o": {"a": 1, "b": 2}, "p": {}}', '{"o": {"b": 2}, "p": {}}', '{"o": {"a": 1}}'),
    ('items', '{"items": {"properties": {"a": {"$md.copyable": false}}}}', '[{"a": 1, "b": 2}, 3, {"b": 4}]',
        '[{"b": 2}, 3, {"b": 4}]', '[{"a": 1}]'),
    ('single items', '{"properties": {"l": {"items": [true, {"$md.copyable": false}]}}}', '{"l": [1, 2, 3]}',
        '{"l": [1, 3]}', '{"l": [2]}'),
    ('the whole', '{"$md.copyable": false}', '{"a": 1}', '{}', '{"a": 1}'),
    ('nothing', '{}', '{"a": 1}', '{"a": 1}', '{}'),
    ('a branch that matches',
        '{"oneOf": [{"properties": {"k": {"const": 1}, "a": {"$md.copyable": false}}}, {"properties": {"k": {"const": '
        '2}, "b": {"$md.copyable": false}}}]}', '{"k": 2, "a": 1, "b": 2}', '{"k": 2, "a": 1}', '{"b": 2}'),
    ('no branch matches', '{"oneOf": [{"properties": {"k": {"const": 1}, "a": {"$md.copyable": false}}}, '
        '{"properties": {"k": {"const": 2}, "b": {"$md.copyable": false}}}]}', '{"k": 3, "a": 1, "b": 2}', '{"k": 3}',
        '{"a": 1, "b": 2}'),
    ('beside a reference', '{"definitions": {"d": {"type": "integer"}}, "properties": {"a": {"$ref": '
        '"#/definitions/d", "$md.copyable": false}}}', '{"a": 1}', '{}', '{"a": 1}'),
    ('a circle', '{"properties": {"n": {"$ref": "#"}, "v": {"$md.copyable": false}}}',
        '{"v": 1, "n": {"v": 2, "n": {"v": 3, "w": 4}}}', '{"n": {"n": {"w": 4}}}',
        '{"v": 1, "n": {"v": 2, "n": {"v": 3}}}'),
    ('2020-12', '{"$schema": "https://json-schema.org/draft/2020-12/schema", "$dynamicAnchor": "n", "properties": '
        '{"l": {"prefixItems": [true], "items": {"$dynamicRef": "#n"}}, "v": {"$md.copyable": false}}, '
        '"unevaluatedProperties": {"properties": {"x": {"$md.copyable": false}}}}',
        '{"v": 1, "l": [{"v": 2}, {"v": 3, "w": 4}], "u": {"x": 1, "y": 2}}',
        '{"l": [{"v": 2}, {"w": 4}], "u": {"y": 2}}', '{"v": 1, "l": [{"v": 3}], "u": {"x": 1}}');
INSERT INTO split VALUES
    ('what an array contains', '{"contains": {"minimum": 5, "$md.copyable": false}}', '[1, 5, 6]', '[1]', '[5, 6]'),
    ('what an array should contain', '{"contains": {"minimum": 5, "$md.copyable": false}}', '[1, 2]', '[]', '[1, 2]'),
    ('what an array need not contain',
        '{"$schema": "https://json-schema.org/draft/2020-12/schema", "contains": {"minimum": 5, "$md.copyable": '
        'false}, "minContains": 0}', '[1, 2]', '[1, 2]', '{}');
INSERT INTO split VALUES
    ('a keyword of one''s own', '{"properties": {"a": {"x-owner": "dba"}, "b": {"x-owner": "dev"}}}',
        '{"a": 1, "b": 2, "c": 3}', '{"b": 2, "c": 3}', '{"a": 1}', 'x-owner', '"dba"'),
    ('a value that is a document', '{"properties": {"a": {"tags": [1.0, {"k": null}]}}}', '{"a": 1, "b": 2}',
        '{"b": 2}', '{"a": 1}', 'tags', '[1, {"k": null}]'),
    ('several dots', '{"properties": {"a": {"x": {"y.z": 1}}, "b": {"x.y": {"z": 1}}, "c": {"x": {"y": {"z": 1}}}, '
        '"d": {"x.y.z": 1}, "e": {"x": {"y": 1}}}}', '{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}', '{"e": 1}',
        '{"a": 1, "b": 1, "c": 1, "d": 1}', 'x.y.z', '1'),
    ('an assertion', '{"properties": {"a": {"type": "string"}, "b": {"type": "integer"}}}', '{"a": "x", "b": 2}',
        '{"b": 2}', '{"a": "x"}', 'type', '"string"'),
    ('a keyword of no length', '{"properties": {"a": {"": 1, ".": {"": 2}}}}', '{"a": 1, "b": 2}', '{"b": 2}',
        '{"a": 1}', '', '1');
SELECT is(promote.jsonb_filter_annotated(params, schema, keyword, value), filtered, 'filtered: ' || what) FROM split;
SELECT is(promote.jsonb_keep_annotated(params, schema, keyword, value), kept, 'kept: ' || what) FROM split;
SELECT is(promote.jsonb_filter_copyable(params, schema), filtered, 'the same as copyable: ' || what) FROM split
    WHERE keyword = '$md.copyable';
SELECT ok(bool_and(pg_temp.own_bytes(promote.jsonb_filter_annotated(params, schema, keyword, value))
               AND pg_temp.own_bytes(promote.jsonb_keep_annotated(params, schema, keyword, value))),
                   'the bytes are PostgreSQL''s') FROM split;
-- more questions than are remembered, asked again and again
SELECT is(array_agg(promote.jsonb_keep_annotated('{"k1": 1, "k2": 2, "k9": 9, "k20": 20}', schema, 'n', to_jsonb(i))
    ORDER BY i, again),
          array_agg(CASE WHEN i IN (1, 2, 9, 20) THEN jsonb_build_object('k' || i, i) ELSE '{}' END ORDER BY i, again),
              'many questions to one schema')
  FROM (SELECT jsonb_build_object('properties', jsonb_object_agg('k' || i, jsonb_build_object('n', i))) AS schema
      FROM generate_series(1, 20) AS i) AS s,
       generate_series(1, 20) AS i, generate_series(1, 3) AS again;

-- ---- jsonb_schema_defaults ----
SELECT is(promote.jsonb_schema_defaults(document::jsonb, schema::jsonb), result::jsonb, 'defaults: ' || what)
  FROM (VALUES
    ('a property that is missing', '{"properties": {"a": {"default": 1}, "b": {"default": [2]}}}', '{"b": 3}',
        '{"a": 1, "b": 3}'),
    ('null is there', '{"properties": {"a": {"default": 1}}}', '{"a": null}', '{"a": null}'),
    ('a default that is null', '{"properties": {"a": {"default": null}}}', '{}', '{"a": null}'),
    ('false as schema', '{"properties": {"a": false, "b": true, "c": {"default": false}}}', '{}', '{"c": false}'),
    ('no object', '{"properties": {"a": {"default": 1}}}', '[{}]', '[{}]'),
    ('the root''s own default is not asked for', '{"default": {"a": 1}}', '{}', '{}'),
    ('in an object that is there', '{"properties": {"o": {"properties": {"a": {"default": 1}}}}}', '{"o": {}, "p": 1}',
        '{"o": {"a": 1}, "p": 1}'),
    ('an object is made', '{"properties": {"o": {"type": "object", "properties": {"a": {"default": 1}, "b": {}}}}}',
        '{}', '{"o": {"a": 1}}'),
    ('in an object that is made', '{"properties": {"o": {"properties": {"p": {"properties": {"a": {"default": 1}}}}}}}',
        '{}', '{"o": {"p": {"a": 1}}}'),
    ('no object is made of another type',
        '{"properties": {"o": {"type": "string", "properties": {"a": {"default": 1}}}}}', '{}', '{}'),
    ('none of no defaults', '{"properties": {"o": {"properties": {"a": {}}}}}', '{}', '{}'),
    ('its own default wins', '{"properties": {"o": {"default": {"b": 2}, "properties": {"a": {"default": 1}}}}}', '{}',
        '{"o": {"b": 2, "a": 1}}'),
    ('items', '{"items": {"properties": {"a": {"default": 1}}}}', '[{}, {"a": 2}, 3, []]',
        '[{"a": 1}, {"a": 2}, 3, []]'),
    ('no items are added', '{"items": [{"default": 1}], "additionalItems": {"default": 2}}', '[]', '[]'),
    ('additional and pattern properties',
        '{"patternProperties": {"^p": {"properties": {"a": {"default": 1}}}}, "additionalProperties": {"properties": '
        '{"a": {"default": 2}}}}', '{"p1": {}, "q": {}}', '{"p1": {"a": 1}, "q": {"a": 2}}'),
    ('by reference', '{"definitions": {"d": {"default": 1}, "e": {"properties": {"x": {"default": 2}}}}, "properties": '
        '{"a": {"$ref": "#/definitions/d"}, "b": {"$ref": "#/definitions/e"}}}', '{}', '{"a": 1, "b": {"x": 2}}'),
    ('beside a reference', '{"definitions": {"d": {"default": 1}}, "properties": {"a": {"$ref": "#/definitions/d", '
        '"default": 2}}}', '{}', '{"a": 2}'),
    ('allOf', '{"allOf": [{"properties": {"a": {"default": 1}}}, {"properties": {"a": {"default": 2}, "b": {"allOf": '
        '[{}, {"default": 3}]}}}], "properties": {"c": {"default": 4}}}', '{}', '{"a": 1, "b": 3, "c": 4}'),
    ('one''s own first', '{"allOf": [{"properties": {"a": {"default": 1}}}], "properties": {"a": {"default": 2}}}',
        '{}', '{"a": 2}'),
    ('an object made of several',
        '{"properties": {"o": {"allOf": [{"properties": {"a": {"default": 1}, "b": {"default": 1}}}], "properties": '
        '{"a": {"default": 2}}}}}', '{}', '{"o": {"a": 2, "b": 1}}'),
    ('a branch that matches',
        '{"oneOf": [{"properties": {"k": {"const": 1}, "a": {"default": 1}}}, {"properties": {"k": {"const": 2}, "b": '
        '{"default": 2}}}]}', '{"k": 2}', '{"k": 2, "b": 2}'),
    ('a branch that a default decides about',
        '{"properties": {"k": {"default": 2}}, "required": ["k"], "oneOf": [{"properties": {"k": {"const": 1}, "a": '
        '{"default": 1}}, "required": ["k"]}, {"properties": {"k": {"const": 2}, "b": {"default": 2}}, "required": '
        '["k"]}]}', '{"k": 2}', '{"k": 2, "b": 2}'),
    ('a branch that lacks what its default gives',
        '{"oneOf": [{"properties": {"k": {"const": 1}, "a": {"default": 1}}, "required": ["a"]}, {"properties": {"k": '
        '{"const": 2}, "b": {"default": 2}}, "required": ["b"]}]}', '{"k": 2}', '{"k": 2, "b": 2}'),
    ('if and then', '{"if": {"properties": {"k": {"const": 1}}}, "then": {"properties": {"a": {"default": 1}}}, '
        '"else": {"properties": {"b": {"default": 2}}}}', '{"k": 1}', '{"k": 1, "a": 1}'),
    ('else', '{"if": {"properties": {"k": {"const": 1}}}, "then": {"properties": {"a": {"default": 1}}}, "else": '
        '{"properties": {"b": {"default": 2}}}}', '{"k": 2}', '{"k": 2, "b": 2}'),
    ('dependencies', '{"properties": {"k": {"default": 1}}, "dependencies": {"k": {"properties": {"a": {"default": '
        '1}}}}}', '{}', '{"k": 1, "a": 1}'),
    ('not', '{"not": {"properties": {"a": {"default": 1}}, "required": ["z"]}}', '{}', '{}'),
    ('a schema that contains itself', '{"properties": {"v": {"default": 1}, "n": {"$ref": "#"}}}', '{"n": {"n": {}}}',
        '{"v": 1, "n": {"v": 1, "n": {"v": 1}}}'),
    ('two that contain each other',
        '{"definitions": {"a": {"properties": {"b": {"$ref": "#/definitions/b"}, "x": {"default": 1}}}, "b": '
        '{"properties": {"a": {"$ref": "#/definitions/a"}, "y": {"default": 2}}}}, "properties": {"a": {"$ref": '
        '"#/definitions/a"}}}', '{"a": {"b": {}}}', '{"a": {"x": 1, "b": {"y": 2}}}'),
    ('2020-12', '{"$schema": "https://json-schema.org/draft/2020-12/schema", "prefixItems": [{"properties": {"a": '
        '{"default": 1}}}], "items": {"$ref": "#/$defs/d", "properties": {"c": {"default": 3}}}, "$defs": {"d": '
        '{"properties": {"b": {"default": 2}}}}}', '[{}, {}]', '[{"a": 1}, {"b": 2, "c": 3}]')) AS v(what, schema,
        document, result);
SELECT is(promote.jsonb_schema_defaults(promote.jsonb_schema_defaults(d, s), s), promote.jsonb_schema_defaults(d, s),
    'filling in twice is filling in once')
  FROM (VALUES ('{"o": {}}'::jsonb,
      '{"properties": {"o": {"properties": {"a": {"default": 1.50}}}, "p": {"properties": {"b": {"default": '
      '{}}}}}}'::jsonb)) AS v(d, s);
SELECT ok(pg_temp.own_bytes(promote.jsonb_schema_defaults(d, s)), 'the bytes are PostgreSQL''s')
  FROM (SELECT jsonb_build_object('properties', jsonb_object_agg('k' || i, CASE i % 3
      WHEN 0 THEN '{"default": 1.50}'::jsonb WHEN 1 THEN '{"default": "s"}'
      ELSE '{"properties": {"x": {"default": [1]}}}' END)) AS s,
               jsonb_object_agg('k' || i, i) FILTER (WHERE i % 5 = 0) AS d FROM generate_series(1, 200) AS i) AS x;
SELECT is(promote.jsonb_schema_defaults('{"a": 1}', '{"properties": {"a": {"default": 2}}}'), '{"a": 1}',
    'nothing to fill in');
-- defaults without end
SELECT throws_ok($$SELECT promote.jsonb_schema_defaults('{}', '{"properties": {"n": {"$ref": "#", "default": {}}}}')$$,
    'PM106',
                 'the defaults of the JSON Schema have no end', 'defaults that bring ever more');
SET LOCAL statement_timeout = '5min';
SELECT throws_ok($$SELECT promote.jsonb_schema_defaults('{}',
    '{"properties": {"a": {"$ref": "#", "default": {}}, "b": {"$ref": "#", "default": {}}}}')$$, 'PM102',
                 'the document becomes too large by the defaults of the JSON Schema',
                     'defaults that double with each round');
-- a value of two of the next, and so on for n levels
CREATE FUNCTION pg_temp.doubled(n integer, pair jsonb) RETURNS jsonb LANGUAGE sql AS $$
SELECT jsonb_build_object('properties', jsonb_build_object('o', jsonb_build_object('$ref', '#/definitions/' || n)),
    'definitions', jsonb_object_agg(i, CASE i WHEN 0 THEN '{"properties": {"x": {"default": 1}}}'
        ELSE replace(pair::text, 'next', '#/definitions/' || i - 1)::jsonb END))
  FROM generate_series(0, n) AS i
$$;
SELECT is(promote.jsonb_schema_defaults('{}',
    pg_temp.doubled(2, '{"properties": {"a": {"$ref": "next"}, "b": {"$ref": "next"}}}')),
          '{"o": {"a": {"a": {"x": 1}, "b": {"x": 1}}, "b": {"a": {"x": 1}, "b": {"x": 1}}}}',
              'an object that doubles with each level');
SELECT is(promote.jsonb_schema_defaults('{}', pg_temp.doubled(2, '{"allOf": [{"$ref": "next"}, {"$ref": "next"}]}')),
    '{"o": {"x": 1}}', 'one that is told twice with each level');
SELECT throws_ok(format('SELECT promote.jsonb_schema_defaults(%L, pg_temp.doubled(40, %L))', '{}', pair), 'PM102',
                 'the document becomes too large by the defaults of the JSON Schema', what)
  FROM (VALUES ('{"properties": {"a": {"$ref": "next"}, "b": {"$ref": "next"}}}', '40 levels are too many'),
               ('{"allOf": [{"$ref": "next"}, {"$ref": "next"}]}', '... of either')) AS v(pair, what);
SET LOCAL statement_timeout = 0;

-- ---- what is kept of a schema ----
CREATE FUNCTION pg_temp.kept(statement text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
    before numeric;
BEGIN
    FOR i IN 0..5 LOOP
        IF i = 1 THEN
            SELECT sum(total_bytes) INTO before FROM pg_backend_memory_contexts;
        END IF;
        BEGIN
            EXECUTE statement;
        EXCEPTION WHEN statement_too_complex THEN NULL;
        END;
    END LOOP;
    RETURN sum(total_bytes) - before FROM pg_backend_memory_contexts;
END
$$;
SELECT cmp_ok(pg_temp.kept($$SELECT promote.jsonb_filter_annotated('{"a": 1}', '{"properties": {"a": {"x": 1}}}', 'x',
    to_jsonb(repeat('x', 1000000) || random()))$$),
              '<', 1000000::numeric, 'a large question is not remembered');
CREATE TEMPORARY TABLE chain AS
    SELECT jsonb_build_object('definitions', jsonb_object_agg('d' || lpad(i::text, 6, '0'), CASE i
    WHEN 0 THEN '{"default": 1}'
    ELSE jsonb_build_object('properties',
        jsonb_build_object('a', jsonb_build_object('$ref', '#/definitions/d' || lpad((i - 1)::text, 6, '0'))))
        END)) AS schema
  FROM generate_series(0, 60000) AS i;
SELECT throws_ok($$SELECT promote.jsonb_schema_defaults('{}', schema) FROM chain$$, '54001', NULL,
    'defaults that are too far down');
SELECT cmp_ok(pg_temp.kept($$SELECT promote.jsonb_schema_defaults('{}', schema) FROM chain$$),
              '<', 1000000::numeric, '... leave nothing behind');
SET LOCAL statement_timeout = '5min';
SELECT is(promote.jsonb_filter_annotated('{"a": 1}',
    schema || '{"additionalProperties": {"$ref": "#/definitions/d060000"}}', 'default', '1'), '{"a": 1}',
          'a question to sixty thousand references in a row') FROM chain;
SET LOCAL statement_timeout = 0;

-- ---- jsonb_schema_annotations ----
SELECT results_eq(
    $$SELECT * FROM promote.jsonb_schema_annotations('{"name": "n", "list": [1, 2]}', '{
        "$comment": "not told", "title": "T", "type": "object", "x-own": {"a": 1},
        "properties": {"name": {"description": "D", "$md.immutable": true, "maxLength": 5},
                       "list": {"items": {"format": "uuid", "default": 7, "$md": {"copyable": false}}},
                       "gone": {"title": "not there"}}}') ORDER BY 1, 2$$,
    $$VALUES ('.', '#/title', 'title', '"T"'::jsonb), ('.', '#/x-own', 'x-own', '{"a": 1}'),
             ('.list[0]', '#/properties/list/items/$md', '$md', '{"copyable": false}'),
             ('.list[0]', '#/properties/list/items/default', 'default', '7'),
             ('.list[0]', '#/properties/list/items/format', 'format', '"uuid"'),
             ('.list[1]', '#/properties/list/items/$md', '$md', '{"copyable": false}'),
             ('.list[1]', '#/properties/list/items/default', 'default', '7'),
             ('.list[1]', '#/properties/list/items/format', 'format', '"uuid"'),
             ('.name', '#/properties/name/$md.immutable', '$md.immutable', 'true'),
             ('.name', '#/properties/name/description', 'description', '"D"')$$,
    'annotations of each location that is there');
SELECT results_eq(
    $$SELECT schema_path FROM promote.jsonb_schema_annotations('{"k": 2}', '{
        "oneOf": [{"properties": {"k": {"const": 1}}, "title": "one"}, {"properties": {"k": {"const": 2}}, "title": '
            '"two"}],
        "allOf": [{"$ref": "#/definitions/d"}, {"$ref": "#/definitions/d"}], "definitions": {"d": {"title": "once"}}}')
            ORDER BY 1$$,
    $$VALUES ('#/definitions/d/title'), ('#/oneOf/1/title')$$, 'of the branches that match; each place once');
SELECT results_eq(
    $$SELECT keyword FROM promote.jsonb_schema_annotations('1',
        '{"deprecated": true, "prefixItems": [], "unevaluatedItems": 3}') ORDER BY 1$$,
    $$VALUES ('deprecated'), ('prefixItems'), ('unevaluatedItems')$$, 'what draft-07 does not know is told');
SELECT results_eq(
    $$SELECT instance_path, keyword
        FROM promote.jsonb_schema_annotations('["{}", 1]', '{"$schema": "https://json-schema.org/draft/2020-12/schema",
        "items": {"contentEncoding": "base64", "contentMediaType": "application/json", "contentSchema": {"title": "of '
            'what is in it"}}}') ORDER BY 1, 2$$,
    $$VALUES ('.[0]', 'contentEncoding'), ('.[0]', 'contentMediaType'), ('.[0]', 'contentSchema')$$,
        'what a string contains is told of strings');
SELECT is_empty($$SELECT *
    FROM promote.jsonb_schema_annotations('"{}"',
    '{"$schema": "https://json-schema.org/draft/2020-12/schema", "contentSchema": {}}')$$,
    '... and its schema only beside its type');
SELECT is_empty($$SELECT * FROM promote.jsonb_schema_annotations('{"a": 1}', 'true')$$, 'true tells nothing');
SELECT is_empty($$SELECT *
    FROM promote.jsonb_schema_annotations('{"a": 1}', '{"type": "object", "properties": {"a": {"minimum": 0}}}')$$,
    'assertions are not told');

SELECT * FROM finish();
ROLLBACK;
