-- Three-way merges: what either side changed, arrays by their key, conflicts, and what is not copyable.
BEGIN;
SELECT no_plan();

-- What a merge comes to: the result, or the conflicts' paths.
CREATE FUNCTION pg_temp.merged(base jsonb, source jsonb, destination jsonb, schema jsonb) RETURNS jsonb
    LANGUAGE sql AS $$
    SELECT COALESCE((SELECT jsonb_agg(c.path) FROM promote.merge_conflicts(base, source, destination, schema) AS c),
        CASE WHEN NOT EXISTS (SELECT FROM promote.merge_conflicts(base, source, destination, schema))
            THEN promote.merge_params(base, source, destination, schema) END) $$;

-- ---- places ----
SELECT is(pg_temp.merged(base::jsonb, source::jsonb, own::jsonb, '{}'), result::jsonb, what)
  FROM (VALUES
    ('the source changed it', '{"a":1,"b":1}', '{"a":2,"b":1}', '{"a":1,"b":1}', '{"a":2,"b":1}'),
    ('the destination changed it', '{"a":1}', '{"a":1}', '{"a":2}', '{"a":2}'),
    ('each changed one', '{"a":1,"b":1}', '{"a":2,"b":1}', '{"a":1,"b":2}', '{"a":2,"b":2}'),
    ('both made the same of it', '{"a":1}', '{"a":2}', '{"a":2}', '{"a":2}'),
    ('both made it anew, the same', '{}', '{"a":2}', '{"a":2}', '{"a":2}'),
    ('the source removed it', '{"a":1,"b":1}', '{"b":1}', '{"a":1,"b":2}', '{"b":2}'),
    ('the destination removed it', '{"a":1,"b":1}', '{"a":1,"b":2}', '{"b":1}', '{"b":2}'),
    ('both removed it', '{"a":1,"b":1,"c":1}', '{"b":2,"c":1}', '{"b":1,"c":2}', '{"b":2,"c":2}'),
    ('each added one', '{}', '{"a":1}', '{"b":1}', '{"a":1,"b":1}'),
    ('members of an object', '{"o":{"a":1,"b":1}}', '{"o":{"a":2,"b":1}}', '{"o":{"a":1,"b":2}}',
        '{"o":{"a":2,"b":2}}'),
    ('members of an object that both added', '{}', '{"o":{"a":1}}', '{"o":{"b":1}}', '{"o":{"a":1,"b":1}}'),
    ('an object whose members are all gone stays one', '{"o":{"a":1,"b":1}}', '{"o":{"a":1}}', '{"o":{"b":1}}',
        '{"o":{}}'),
    ('numbers by value', '{"a":1.0,"b":1}', '{"a":1.00,"b":2}', '{"a":3,"b":1.0}', '{"a":3,"b":2}'),
    ('numbers in arrays by value', '{"l":[1.0],"m":[1]}', '{"l":[1.00],"m":[2]}', '{"l":[3],"m":[1.0]}',
        '{"l":[3],"m":[2]}'),
    ('numbers in objects by value', '{"o":{"n":[{"x":1.0}]}}', '{"o":{"n":[{"x":2}]}}', '{"o":{"n":[{"x":1.00}]}}',
        '{"o":{"n":[{"x":2}]}}'),
    ('the same number in two spellings', '{"a":1}', '{"a":2.0}', '{"a":2}', '{"a":2}'),
    ('null is a value', '{"a":1,"b":null}', '{"a":null,"b":null}', '{"a":1,"b":2}', '{"a":null,"b":2}'),
    ('an array is one value', '{"l":[1,2],"m":[1]}', '{"l":[1,2,3],"m":[1]}', '{"l":[1,2],"m":[]}',
        '{"l":[1,2,3],"m":[]}'),
    ('an object for a scalar', '{"a":1,"b":1}', '{"a":{"x":1},"b":1}', '{"a":1,"b":[1]}', '{"a":{"x":1},"b":[1]}'),
    ('conflict: both changed it', '{"a":1}', '{"a":2}', '{"a":3}', '[".a"]'),
    ('conflict: both added it', '{}', '{"a":2}', '{"a":3}', '[".a"]'),
    ('conflict: changed and removed', '{"a":1,"b":1}', '{"a":2}', '{"b":2}', '[".a",".b"]'),
    ('conflict: changed in an object that is removed', '{"o":{"a":1}}', '{"o":{"a":2}}', '{}', '[".o"]'),
    ('conflict: in an object', '{"o":{"a":1,"b":1}}', '{"o":{"a":2,"b":1}}', '{"o":{"a":3,"b":2}}', '[".o.a"]'),
    ('conflict: in an object that both added', '{}', '{"o":{"a":1}}', '{"o":{"a":2}}', '[".o.a"]'),
    ('conflict: retyped in two ways', '{"a":1}', '{"a":{}}', '{"a":[]}', '[".a"]'),
    ('conflict: an object against a scalar', '{"o":{"x":1}}', '{"o":{"x":2}}', '{"o":1}', '[".o"]'),
    ('conflict: two objects for a scalar', '{"o":1}', '{"o":{"x":1}}', '{"o":{"y":2}}', '[".o"]'),
    ('two equal objects for a scalar', '{"o":1}', '{"o":{"x":1}}', '{"o":{"x":1}}', '{"o":{"x":1}}'),
    ('conflict: an array is one value', '{"l":[1]}', '{"l":[1,2]}', '{"l":[0,1]}', '[".l"]'),
    ('conflict: keys that need quotes', '{"a b":{"":1}}', '{"a b":{"":2}}', '{"a b":{"":3}}',
        '[".[\"a b\"][\"\"]"]')) AS v(what, base, source, own, result);

-- ---- arrays with a key ----
SELECT is(pg_temp.merged(jsonb_build_object('l', base::jsonb), jsonb_build_object('l', source::jsonb),
        jsonb_build_object('l', own::jsonb), '{"properties":{"l":{"$md.key":"k"}}}'),
        CASE WHEN result LIKE '["%' THEN result::jsonb ELSE jsonb_build_object('l', result::jsonb) END,
        'by key: ' || what)
  FROM (VALUES
    ('each changed one', '[{"k":1,"x":1},{"k":2,"x":1}]', '[{"k":1,"x":2},{"k":2,"x":1}]',
        '[{"k":1,"x":1},{"k":2,"x":2}]', '[{"k":1,"x":2},{"k":2,"x":2}]'),
    ('each changed the same one', '[{"k":1,"x":1,"y":1}]', '[{"k":1,"x":2,"y":1}]', '[{"k":1,"x":1,"y":2}]',
        '[{"k":1,"x":2,"y":2}]'),
    ('wherever they stand', '[{"k":1,"x":1},{"k":2}]', '[{"k":2},{"k":1,"x":1}]', '[{"k":1,"x":2},{"k":2}]',
        '[{"k":2},{"k":1,"x":2}]'),
    ('the order of a destination that left the base''s', '[{"k":1},{"k":2},{"k":3,"x":1}]',
        '[{"k":2},{"k":1},{"k":3,"x":2}]', '[{"k":3,"x":1},{"k":1},{"k":2}]', '[{"k":3,"x":2},{"k":1},{"k":2}]'),
    ('both added', '[{"k":1}]', '[{"k":1},{"k":2}]', '[{"k":1},{"k":3}]', '[{"k":1},{"k":3},{"k":2}]'),
    ('added behind what it followed', '[{"k":1},{"k":2}]', '[{"k":0},{"k":1},{"k":2},{"k":5}]',
        '[{"k":1},{"k":3},{"k":4},{"k":2}]', '[{"k":0},{"k":1},{"k":3},{"k":4},{"k":2},{"k":5}]'),
    ('added in front', '[{"k":1}]', '[{"k":1},{"k":5}]', '[{"k":3},{"k":4},{"k":1}]',
        '[{"k":3},{"k":4},{"k":1},{"k":5}]'),
    ('what it followed is gone', '[{"k":1},{"k":2}]', '[{"k":1,"x":1}]', '[{"k":1},{"k":2},{"k":3}]',
        '[{"k":1,"x":1},{"k":3}]'),
    ('each removed one', '[{"k":1},{"k":2},{"k":3}]', '[{"k":2},{"k":3}]', '[{"k":1},{"k":3}]', '[{"k":3}]'),
    ('all removed', '[{"k":1},{"k":2}]', '[{"k":1}]', '[{"k":2}]', '[]'),
    ('strings, numbers and booleans are keys, and different ones',
        '[{"k":"1"},{"k":1},{"k":true},{"k":"true"}]',
        '[{"k":"1","x":1},{"k":1.0},{"k":true},{"k":"true"}]', '[{"k":"1"},{"k":1},{"k":true,"x":1},{"k":"true"}]',
        '[{"k":"1","x":1},{"k":1},{"k":true,"x":1},{"k":"true"}]'),
    ('conflict in an element', '[{"k":1,"x":1}]', '[{"k":0},{"k":1,"x":2}]', '[{"k":1,"x":3}]', '[".l[1].x"]'),
    ('conflict: changed and removed by the destination', '[{"k":1},{"k":2}]', '[{"k":1},{"k":2,"x":1}]', '[{"k":1}]',
        '[".l[1]"]'),
    ('conflict: changed and removed by the source', '[{"k":1},{"k":2}]', '[{"k":1}]', '[{"k":1},{"k":2,"x":1}]',
        '[".l[1]"]'),
    ('conflict: what the destination removed has its position', '[{"k":1},{"k":2,"x":1}]',
        '[{"k":1,"y":1},{"k":2,"x":2}]', '[{"k":2,"x":3}]', '[".l[0]",".l[1].x"]'),
    ('conflict: an array and a scalar', '[{"k":1}]', '[{"k":2}]', '7', '[".l"]')) AS v(what, base, source, own, result);
SELECT is(promote.merge_params('{}', '{"l":[{"k":1}]}', '{"l":[{"k":2}]}', '{"properties":{"l":{"$md.key":"k"}}}'),
    '{"l":[{"k":2},{"k":1}]}', 'by key: both added the array');
SELECT is(pg_temp.merged('{"l":7}', '{"l":[{"k":1}]}', '{"l":[{"k":2}]}', '{"properties":{"l":{"$md.key":"k"}}}'),
    '[".l"]', 'by key: not where the base has something else');
SELECT is(pg_temp.merged('{"l":[{"k":1,"m":[{"n":1}]}]}', '{"l":[{"k":0},{"k":1,"m":[{"n":1},{"n":2}]}]}',
    '{"l":[{"k":1,"m":[{"n":3},{"n":1}]}]}',
    '{"properties":{"l":{"$md.key":"k","items":{"properties":{"m":{"$md.key":"n"}}}}}}'),
    '{"l":[{"k":0},{"k":1,"m":[{"n":3},{"n":1},{"n":2}]}]}', 'by key: in an array with a key');

-- The mark, on all ways on which others are found.
SELECT is(pg_temp.merged('{"t":"x","l":[{"k":1}]}', '{"t":"x","l":[{"k":1},{"k":2}]}',
        '{"t":"x","l":[{"k":3},{"k":1}]}', schema::jsonb),
    CASE WHEN found THEN '{"t":"x","l":[{"k":3},{"k":1},{"k":2}]}'::jsonb ELSE '[".l"]' END, 'the key ' || what)
  FROM (VALUES
    ('flat', '{"properties":{"l":{"$md.key":"k"}}}', true),
    ('nested', '{"properties":{"l":{"$md":{"key":"k"}}}}', true),
    ('flat and nested, the same', '{"properties":{"l":{"$md.key":"k","$md":{"key":"k"}}}}', true),
    ('through $ref', '{"properties":{"l":{"$ref":"#/definitions/l"}},"definitions":{"l":{"$md.key":"k"}}}', true),
    ('beside $ref', '{"properties":{"l":{"$ref":"#/definitions/l","$md.key":"k"}},"definitions":{"l":{}}}', true),
    ('by allOf', '{"allOf":[{},{"properties":{"l":{"$md.key":"k"}}}]}', true),
    ('by then', '{"if":{"properties":{"t":{"const":"x"}}},"then":{"properties":{"l":{"$md.key":"k"}}}}', true),
    ('not by then', '{"if":{"properties":{"t":{"const":"y"}}},"then":{"properties":{"l":{"$md.key":"k"}}}}', false),
    ('by else', '{"if":{"properties":{"t":{"const":"y"}}},"else":{"properties":{"l":{"$md.key":"k"}}}}', true),
    ('by the branch of oneOf that matches', '{"oneOf":[{"properties":{"t":{"const":"y"},"l":{"$md.key":"z"}}},'
        '{"properties":{"t":{"const":"x"},"l":{"$md.key":"k"}}}]}', true),
    ('by patternProperties', '{"patternProperties":{"^l":{"$md.key":"k"}}}', true),
    ('not of the items', '{"properties":{"l":{"items":{"$md.key":"k"}}}}', false),
    ('not by a property', '{"properties":{"$md.key":{"const":"k"}}}', false)) AS v(what, schema, found);
SELECT throws_ok(format('SELECT promote.jsonb_schema_valid(%L, %L)', '{}', schema), 'PM106', NULL,
    'a key that is no string: ' || schema)
  FROM (VALUES ('{"$md.key":1}'), ('{"$md":{"key":["k"]}}'), ('{"properties":{"l":{"$md.key":null}}}')) AS v(schema);
SELECT is(instance_path || ' ' || keyword || ' ' || value, '.l $md.key "k"', 'the key is an annotation')
  FROM promote.jsonb_schema_annotations('{"l":[]}', '{"properties":{"l":{"$md.key":"k"}}}');
SELECT is(promote.jsonb_filter_copyable('{"l":[1]}', '{"properties":{"l":{"$md.key":"k"}}}'), '{"l":[1]}',
    'the key is no other mark');

-- ---- arrays that cannot be merged by their elements ----
CREATE FUNCTION pg_temp.refusal(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
    hint text;
BEGIN
    EXECUTE statement;
    RETURN 'not refused';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n', SQLSTATE, SQLERRM, detail, hint);
END
$$;
CREATE FUNCTION pg_temp.refusal(base text, source text, own text, schema text, overrides text DEFAULT '{}')
    RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.refusal(format('SELECT promote.merge_params(%L, %L, %L, %L, %L)', base, source, own, schema,
        overrides)) $$;
SELECT is(pg_temp.refusal(
        '{"l":[{"k":1},{"x":1}],"m":[{"n":1},{"n":1.0},{"n":1}],"o":[]}',
        '{"l":[7,{"k":null},{"k":[1]},{"k":3}],"m":[{"n":1}],"o":[{"n":1}]}',
        '{"l":[{"k":1},{"k":1}],"m":[{"n":2}],"o":[{"n":2}]}',
        '{"properties":{"l":{"$md.key":"k"},"m":{"$md.key":"n"},"o":{"$md.key":"n","$md":{"key":"z"}}}}'),
    $$PM108
arrays cannot be merged by their elements
.l: The base's element 1 has no "k" to tell it by.
.l: The source's element 0 has no "k" to tell it by.
.l: The source's element 1 has no "k" to tell it by.
.l: The source's element 2 has no "k" to tell it by.
.l: The destination's elements 0 and 1 have the same "k".
.m: The base's elements 0 and 1 have the same "n".
.m: The base's elements 1 and 2 have the same "n".
.o: The schema has two keys for it, "n" and "z".
Give each element a key of its own, or set the array by overrides.$$, 'all are listed');
SELECT is(pg_temp.refusal('{"l":[]}', '{"l":[1]}', '{"l":[2]}', '{"properties":{"l":{"$md.key":"k"}}}', '{"l":[3]}'),
    'not refused', 'overrides may set the array');
SELECT is(promote.merge_params('{"l":[1]}', '{"l":[1],"a":1}', '{"l":[2,2]}', '{"properties":{"l":{"$md.key":"k"}}}'),
    '{"l":[2,2],"a":1}', 'only where both sides changed it');
SELECT matches(pg_temp.refusal('{"t":1,"l":[]}', '{"t":2,"l":[{"a":1,"b":1}]}', '{"t":1,"l":[{"a":2,"b":2}]}',
    '{"if":{"properties":{"t":{"const":1}}},"then":{"properties":{"l":{"$md.key":"a"}}},'
    '"else":{"properties":{"l":{"$md.key":"b"}}}}'),
    'PM108.*\.l: The schema has two keys for it, "a" and "b"', 'documents in branches with different keys');
SELECT is(promote.merge_params('{"t":1,"l":[]}', '{"t":2,"l":[{"a":1}]}', '{"t":1,"l":[{"a":2}]}',
    '{"if":{"properties":{"t":{"const":2}}},"then":{"properties":{"l":{"$md.key":"a"}}}}'),
    '{"t":2,"l":[{"a":2},{"a":1}]}', 'one document''s branch has a key');
SELECT throws_ok($$SELECT * FROM promote.merge_conflicts('{"l":[]}', '{"l":[1]}', '{"l":[2]}',
    '{"properties":{"l":{"$md.key":"k"}}}')$$, 'PM108', NULL, 'merge_conflicts refuses them, too');

-- ---- conflicts ----
SELECT is(pg_temp.refusal('{"a":1,"b":{"x":[1]},"c":"s3cr3t-0","d":"old-s3cr3t-1"}',
        '{"a":2,"b":{"x":[2]},"c":"s3cr3t-1","d":7,"e":"x"}', '{"a":3,"c":"s3cr3t-2","d":"new","e":{"f":"s3cr3t-2"}}',
        '{"properties":{"c":{"$md.sensitive":true}}}'),
    $$PM109
source and destination have changed the same values
.a: base 1, source 2, destination 3
.b: base {"x": [1]}, source {"x": [2]}, destination missing
.c: base "(sensitive value)", source "(sensitive value)", destination "(sensitive value)"
.d: base "(sensitive value)", source 7, destination "new"
.e: base missing, source "x", destination {"f": "(sensitive value)"}
Set what is named above by overrides, or pass on_conflict => 'source' or 'destination'.$$,
    'conflicts are listed with what may be seen of their values');
SELECT results_eq(
    $$SELECT * FROM promote.merge_conflicts('{"a":1,"c":"s3cr3t-0"}', '{"a":2,"c":"s3cr3t-1","d":"s3cr3t-0"}',
        '{"c":"s3cr3t-2","d":null}', '{"properties":{"c":{"$md.sensitive":true}}}')$$,
    $$VALUES ('.a', '1'::jsonb, '2'::jsonb, NULL::jsonb),
        ('.c', '"(sensitive value)"', '"(sensitive value)"', '"(sensitive value)"'),
        ('.d', NULL, '"(sensitive value)"', 'null')$$, 'merge_conflicts has them as rows');
SELECT is((SELECT array_agg(to_jsonb(c)) FROM promote.merge_conflicts('{"t":1,"p":"a","o":{"p":1}}',
    '{"t":2,"p":"b","o":{"p":2}}', '{"t":1,"p":"c"}',
    '{"if":{"properties":{"t":{"const":2}}},"then":{"properties":{"p":{"$md.sensitive":true},'
    '"o":{"properties":{"p":{"$md.sensitive":true}}}}}}') AS c),
    ARRAY['{"path":".o","base_value":{"p":"(sensitive value)"},"source_value":{"p":"(sensitive value)"},'
        '"destination_value":null}', '{"path":".p","base_value":"(sensitive value)",'
        '"source_value":"(sensitive value)","destination_value":"(sensitive value)"}']::jsonb[],
    'a place that is marked in one document is masked in all');
SELECT is((SELECT to_jsonb(c) FROM promote.merge_conflicts('{"l":[{"k":"a","p":1}]}',
    '{"l":[{"k":"b"},{"k":"a","s":true,"p":2}]}', '{"l":[{"k":"a","p":3}]}',
    '{"properties":{"l":{"$md.key":"k","items":{"if":{"required":["s"]},'
    '"then":{"properties":{"p":{"$md.sensitive":true}}}}}}}') AS c),
    '{"path":".l[1].p","base_value":"(sensitive value)","source_value":"(sensitive value)",'
        '"destination_value":"(sensitive value)"}', '... also where elements have moved');
SELECT is((SELECT to_jsonb(c) FROM promote.merge_conflicts('{"o":{"a":1}}', '{"o":{"a":2}}', '{"o":{"a":3}}',
    '{"properties":{"o":{"$md.sensitive":true}}}') AS c), '{"path":".o.a","base_value":"(sensitive value)",'
    '"source_value":"(sensitive value)","destination_value":"(sensitive value)"}',
    'what is in a marked place is masked');
SELECT matches(pg_temp.refusal('{"a":1}', jsonb_build_object('a', repeat('x', 300) || 'end')::text, '{"a":2}', '{}'),
    'source "x{199}\.\.\., destination 2', 'a refusal shows the beginning of a long value');
SELECT is(pg_temp.refusal('{"kind":"a","x":1}', '{"kind":"b","y":2}', '{"kind":"a","x":5}',
    '{"oneOf":[{"properties":{"kind":{"const":"a"},"x":{"$md.sensitive":true}},"required":["x"]},'
    '{"properties":{"kind":{"const":"b"}},"required":["y"]}]}'),
    $$PM109
source and destination have changed the same values
.x: base "(sensitive value)", source missing, destination "(sensitive value)"
Set what is named above by overrides, or pass on_conflict => 'source' or 'destination'.$$,
    'a conflict inside a branch of oneOf that one side has left');

-- What decides conflicts.
SELECT is(promote.merge_params(base::jsonb, source::jsonb, own::jsonb, schema::jsonb, overrides::jsonb, choice),
    result::jsonb, 'decided: ' || what)
  FROM (VALUES
    ('for the source', '{"a":1,"b":1,"c":1}', '{"a":2,"b":2}', '{"a":3,"c":2,"d":1}', '{}', '{}', 'source',
        '{"a":2,"b":2,"d":1}'),
    ('for the destination', '{"a":1,"b":1,"c":1}', '{"a":2,"b":2}', '{"a":3,"c":2,"d":1}', '{}', '{}', 'destination',
        '{"a":3,"c":2,"d":1}'),
    ('by overrides', '{"a":1}', '{"a":2}', '{"a":3}', '{}', '{"a":4}', NULL, '{"a":4}'),
    ('by overrides that remove', '{"a":1}', '{"a":2}', '{"a":3}', '{}', '{"a":null}', NULL, '{}'),
    ('by overrides above', '{"o":{"a":1}}', '{"o":{"a":2}}', '{"o":{"a":3}}', '{}', '{"o":7}', NULL, '{"o":7}'),
    ('by overrides that make an object', '{"a":1}', '{"a":2}', '{"a":3}', '{}', '{"a":{"x":1}}', NULL,
        '{"a":{"x":1}}'),
    ('overrides before a side', '{"a":1,"b":1}', '{"a":2,"b":2}', '{"a":3,"b":3}', '{}', '{"a":4}', 'source',
        '{"a":4,"b":2}'),
    ('an element that one side removed, for the source', '{"l":[{"k":1},{"k":2},{"k":3}]}',
        '{"l":[{"k":1,"x":1},{"k":3}]}', '{"l":[{"k":2,"x":1},{"k":3}]}', '{"properties":{"l":{"$md.key":"k"}}}', '{}',
        'source', '{"l":[{"k":1,"x":1},{"k":3}]}'),
    ('an element that one side removed, for the destination', '{"l":[{"k":1},{"k":2},{"k":3}]}',
        '{"l":[{"k":1,"x":1},{"k":3}]}', '{"l":[{"k":2,"x":1},{"k":3}]}', '{"properties":{"l":{"$md.key":"k"}}}', '{}',
        'destination', '{"l":[{"k":2,"x":1},{"k":3}]}')) AS v(what, base, source, own, schema, overrides,
        choice, result);
SELECT matches(pg_temp.refusal('{"o":{"a":1,"b":1}}', '{"o":{"a":2,"b":1}}', '{}', '{}', '{"o":{"b":2}}'),
    '^PM109', 'overrides of what is in an object do not decide whether it is there');
SELECT matches(pg_temp.refusal('{"o":{"a":1,"b":1}}', '{"o":{"a":2,"b":2}}', '{"o":{"a":3,"b":3}}', '{}',
    '{"o":{"b":4}}'), E'^PM109\n[^\n]*\n\\.o\\.a: [^\n]*\nSet', 'what the overrides decide is not listed');
SELECT matches(pg_temp.refusal('{"l":[{"k":1,"x":1}]}', '{"l":[{"k":1,"x":2}]}', '{"l":[{"k":1,"x":3}]}',
    '{"properties":{"l":{"$md.key":"k"}}}', '{"m":1}'), '^PM109', 'nor do those of another place');
SELECT throws_ok($$SELECT promote.merge_params('{}', '{}', '{}', '{}', '{}', 'ours')$$, 'PM404', NULL, 'no such side');

-- ---- what is not copyable ----
SELECT is(pg_temp.merged(base::jsonb, source::jsonb, own::jsonb, schema::jsonb), result::jsonb,
        'not copyable: ' || what)
  FROM (VALUES
    ('the destination''s', '{"n":1,"a":1}', '{"n":2,"a":2}', '{"n":3,"a":1}',
        '{"properties":{"n":{"$md.copyable":false}}}', '{"n":3,"a":2}'),
    ('the destination has none', '{"n":1,"a":1}', '{"n":2,"a":2}', '{"a":1}',
        '{"properties":{"n":{"$md.copyable":false}}}', '{"a":2}'),
    ('by the branch of the destination', '{"t":1,"n":1}', '{"t":1,"n":2}', '{"t":2,"n":3}',
        '{"if":{"properties":{"t":{"const":2}}},"then":{"properties":{"n":{"$md.copyable":false}}}}', '{"t":2,"n":3}'),
    ('by the branch of the source', '{"t":1,"n":1}', '{"t":2,"n":2}', '{"t":1,"n":3}',
        '{"if":{"properties":{"t":{"const":2}}},"then":{"properties":{"n":{"$md.copyable":false}}}}', '{"t":2,"n":3}'),
    ('by the branch of the result', '{"a":1,"b":1,"n":1}', '{"a":2,"b":1,"n":2}', '{"a":1,"b":2,"n":1}',
        '{"if":{"properties":{"a":{"const":2},"b":{"const":2}}},"then":{"properties":{"n":{"$md.copyable":false}}}}',
        '{"a":2,"b":2,"n":1}'),
    ('elements with a key', '{"l":[{"k":1,"n":1},{"k":2,"n":2}]}', '{"l":[{"k":2,"n":3},{"k":1,"n":3},{"k":3,"n":3}]}',
        '{"l":[{"k":4,"n":8},{"k":2,"n":7},{"k":1,"n":9}]}',
        '{"properties":{"l":{"$md.key":"k","items":{"properties":{"n":{"$md.copyable":false}}}}}}',
        '{"l":[{"k":4,"n":8},{"k":2,"n":7},{"k":1,"n":9},{"k":3}]}'),
    ('everything', '{"a":1}', '{"a":2}', '{"a":3}', '{"$md.copyable":false}', '{"a":3}')) AS v(what, base, source, own,
        schema, result);
SELECT is(promote.merge_params('{"n":1}', '{"n":2}', '{"n":3}', '{"properties":{"n":{"$md.copyable":false}}}',
    '{"n":4}'), '{"n":4}', 'not copyable: overrides have the last word');

-- ---- arguments ----
SELECT throws_ok(format('SELECT promote.merge_params(%L, %L, %L, %L, %L)', b, s, d, '{}', o), 'PM101', NULL,
    'no object: ' || concat_ws(' ', b, s, d, o))
  FROM (VALUES ('[]', '{}', '{}', '{}'), ('{}', '1', '{}', '{}'), ('{}', '{}', 'null', '{}'),
    ('{}', '{}', '{}', '"x"')) AS v(b, s, d, o);
SELECT throws_ok($$SELECT promote.merge_conflicts('{}', '{}', '[]', '{}')$$, 'PM101', NULL, 'nor in merge_conflicts');
SELECT throws_ok($$SELECT promote.merge_params('{}', '{}', '{}', '{"type":"florp"}')$$, 'PM106', NULL, 'no schema');
SELECT is(promote.merge_params(b::jsonb, s::jsonb, d::jsonb, schema::jsonb), NULL, 'null makes null')
  FROM (VALUES (NULL, '{}', '{}', '{}'), ('{}', NULL, '{}', '{}'), ('{}', '{}', NULL, '{}'),
    ('{}', '{}', '{}', NULL)) AS v(b, s, d, schema);
SELECT is(promote.merge_params('{"a":1}', '{"a":2}', '{"a":1}', '{}', NULL, NULL), '{"a":2}', 'defaults by null');
SELECT is_empty($$SELECT promote.merge_conflicts(NULL, '{}', '{}', '{}')$$, 'no rows of null');

-- Deep documents: as deep as params may be; past it they are refused.
CREATE FUNCTION pg_temp.deep(depth integer, leaf text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT (repeat('{"a":', depth) || leaf || repeat('}', depth))::jsonb $$;
SELECT is(promote.merge_params(pg_temp.deep(999, '{}'), pg_temp.deep(999, '{"b":1}'), pg_temp.deep(999, '{"c":1}'),
    '{}'), pg_temp.deep(999, '{"b":1,"c":1}'), 'a thousand levels');
SELECT is((SELECT path FROM promote.merge_conflicts(pg_temp.deep(1000, '1'), pg_temp.deep(1000, '2'),
    pg_temp.deep(1000, '3'), '{}')), repeat('.a', 1000), 'a conflict a thousand levels deep');
SELECT throws_ok($$SELECT promote.merge_params(pg_temp.deep(1001, '1'), '{}', '{}', '{}')$$, 'PM102', NULL,
    'a level more');
SELECT throws_ok($$SELECT promote.merge_params('{}', jsonb_build_object('a', repeat('x', 9000000)),
    jsonb_build_object('b', repeat('x', 9000000)), '{}')$$, 'PM102', NULL, 'too much together');

SELECT * FROM finish();
ROLLBACK;
