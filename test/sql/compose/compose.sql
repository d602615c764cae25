-- What a promotion means: copyable values, the destination's own, overrides.
BEGIN;
SELECT no_plan();

-- ---- jsonb_filter_copyable ----
SELECT is(promote.jsonb_filter_copyable(params::jsonb, schema::jsonb), result::jsonb, 'filter: ' || what)
  FROM (VALUES
    ('nothing is marked', '{"a":1}', '{"properties":{"a":{}}}', '{"a":1}'),
    ('flat', '{"a":1,"b":2}', '{"properties":{"a":{"$md.copyable":false}}}', '{"b":2}'),
    ('nested spelling', '{"a":1,"b":2}', '{"properties":{"a":{"$md":{"copyable":false}}}}', '{"b":2}'),
    ('true is no mark', '{"a":1}', '{"properties":{"a":{"$md.copyable":true}}}', '{"a":1}'),
    ('deep, the container stays', '{"a":{"b":1,"c":2},"d":{"b":1}}',
        '{"properties":{"a":{"properties":{"b":{"$md.copyable":false}}},"d":{"properties":{"b":{"$md.copyable":false}}'
        '}}}', '{"a":{"c":2},"d":{}}'),
    ('a whole object', '{"a":{"b":1},"c":1}', '{"properties":{"a":{"$md.copyable":false}}}', '{"c":1}'),
    ('elements', '{"l":[{"id":1,"x":2},{"id":3}]}',
        '{"properties":{"l":{"items":{"properties":{"id":{"$md.copyable":false}}}}}}', '{"l":[{"x":2},{}]}'),
    ('whole elements', '{"l":[1,2]}', '{"properties":{"l":{"items":{"$md.copyable":false}}}}', '{"l":[]}'),
    ('elements by position', '{"l":[1,2,3]}',
        '{"properties":{"l":{"items":[{},{"$md.copyable":false}],"additionalItems":{}}}}', '{"l":[1,3]}'),
    ('additional items', '{"l":[1,2,3]}',
        '{"properties":{"l":{"items":[{}],"additionalItems":{"$md.copyable":false}}}}', '{"l":[1]}'),
    ('pattern properties', '{"x_a":1,"y":2}', '{"patternProperties":{"^x_":{"$md.copyable":false}}}', '{"y":2}'),
    ('additional properties', '{"a":1,"b":2}', '{"properties":{"a":{}},"additionalProperties":{"$md.copyable":false}}',
        '{"a":1}'),
    ('through $ref', '{"a":1,"b":2}',
        '{"properties":{"a":{"$ref":"#/definitions/n"}},"definitions":{"n":{"$md.copyable":false}}}', '{"b":2}'),
    ('beside $ref', '{"a":1,"b":2}',
        '{"properties":{"a":{"$ref":"#/definitions/n","$md.copyable":false}},"definitions":{"n":{}}}', '{"b":2}'),
    ('recursive', '{"v":1,"k":{"v":2,"x":3,"k":{"v":4}}}',
        '{"properties":{"v":{"$md.copyable":false},"k":{"$ref":"#"}}}', '{"k":{"x":3,"k":{}}}'),
    ('allOf', '{"a":1,"b":2}', '{"allOf":[{"properties":{"a":{"$md.copyable":false}}},{}]}', '{"b":2}'),
    ('the branch of oneOf that matches', '{"t":"x","a":1,"b":2}',
        '{"oneOf":[{"properties":{"t":{"const":"x"},"a":{"$md.copyable":false}}},{"properties":{"t":{"const":"y"},'
        '"b":{"$md.copyable":false}}}]}', '{"t":"x","b":2}'),
    ('no branch of oneOf matches: every one counts', '{"t":"z","a":1,"b":2}',
        '{"oneOf":[{"properties":{"t":{"const":"x"},"a":{"$md.copyable":false}}},{"properties":{"t":{"const":"y"},'
        '"b":{"$md.copyable":false}}}]}', '{"t":"z"}'),
    ('both branches of anyOf match', '{"a":1,"b":2}',
        '{"anyOf":[{"properties":{"a":{"$md.copyable":false}}},{"properties":{"b":{"$md.copyable":false}}}]}', '{}'),
    ('if and then', '{"t":"x","a":1,"b":2}',
        '{"if":{"properties":{"t":{"const":"x"}}},"then":{"properties":{"a":{"$md.copyable":false}}},'
        '"else":{"properties":{"b":{"$md.copyable":false}}}}', '{"t":"x","b":2}'),
    ('else', '{"t":"y","a":1,"b":2}',
        '{"if":{"properties":{"t":{"const":"x"}}},"then":{"properties":{"a":{"$md.copyable":false}}},'
        '"else":{"properties":{"b":{"$md.copyable":false}}}}', '{"t":"y","a":1}'),
    ('dependencies of a key that is there', '{"t":1,"a":1}',
        '{"dependencies":{"t":{"properties":{"a":{"$md.copyable":false}}}}}', '{"t":1}'),
    ('dependencies of a key that is not', '{"a":1}',
        '{"dependencies":{"t":{"properties":{"a":{"$md.copyable":false}}}}}', '{"a":1}'),
    ('not contributes nothing', '{"a":1}', '{"not":{"properties":{"a":{"type":"string","$md.copyable":false}}}}',
        '{"a":1}'),
    ('an invalid value is filtered all the same', '{"a":"no number"}',
        '{"properties":{"a":{"type":"number","$md.copyable":false}}}', '{}'),
    ('params named like keywords', '{"type":1,"$ref":"x","properties":{"copyable":1}}',
        '{"properties":{"type":{"$md.copyable":false},"$ref":{},"properties":{}}}',
        '{"$ref":"x","properties":{"copyable":1}}'),
    ('the root', '{"a":1}', '{"$md.copyable":false}', '{}')) AS v(what, params, schema, result);

-- ---- compose_params ----
SELECT is(promote.compose_params(source::jsonb, own::jsonb, schema::jsonb, overrides::jsonb), result::jsonb,
    'compose: ' || what)
  FROM (VALUES
    ('identical but for what is not copyable', '{"a":1,"n":"s"}', '{"a":2,"n":"d","only":1}',
        '{"properties":{"n":{"$md.copyable":false}}}', '{}', '{"a":1,"n":"d"}'),
    ('the source''s alone is not taken', '{"a":1,"n":"s"}', '{"a":2}', '{"properties":{"n":{"$md.copyable":false}}}',
        '{}', '{"a":1}'),
    ('the destination''s alone stays', '{"a":1}', '{"n":"d"}', '{"properties":{"n":{"$md.copyable":false}}}', '{}',
        '{"a":1,"n":"d"}'),
    ('deep in an object the source lacks', '{"a":1}', '{"o":{"n":"d","x":1}}',
        '{"properties":{"o":{"properties":{"n":{"$md.copyable":false}}}}}', '{}', '{"a":1,"o":{"n":"d"}}'),
    ('an object that keeps nothing goes', '{"a":1}', '{"o":{"x":1}}',
        '{"properties":{"o":{"properties":{"n":{"$md.copyable":false}}}}}', '{}', '{"a":1}'),
    ('elements by position', '{"l":[{"n":1,"x":1},{"n":2,"x":2}]}', '{"l":[{"n":9,"x":9}]}',
        '{"properties":{"l":{"items":{"properties":{"n":{"$md.copyable":false}}}}}}', '{}',
        '{"l":[{"n":9,"x":1},{"x":2}]}'),
    ('half an element is no element', '{"l":[{"x":1}]}', '{"l":[{"n":8},{"n":9}]}',
        '{"properties":{"l":{"items":{"properties":{"n":{"$md.copyable":false}}}}}}', '{}', '{"l":[{"n":8,"x":1}]}'),
    ('elements by their key', '{"l":[{"k":1,"n":1},{"k":2,"n":2},{"k":3,"n":3}]}',
        '{"l":[{"k":4,"n":9},{"k":3,"n":8},{"k":1,"n":7},{"k":2}]}',
        '{"properties":{"l":{"$md.key":"k","items":{"properties":{"n":{"$md.copyable":false}}}}}}', '{}',
        '{"l":[{"k":1,"n":7},{"k":2},{"k":3,"n":8}]}'),
    ('elements by position where a key is missing', '{"l":[{"k":1},{"x":1}]}', '{"l":[{"k":2,"n":8},{"k":1,"n":7}]}',
        '{"properties":{"l":{"$md.key":"k","items":{"properties":{"n":{"$md.copyable":false}}}}}}', '{}',
        '{"l":[{"k":1,"n":8},{"x":1,"n":7}]}'),
    ('elements by position where a key is there twice', '{"l":[{"k":1},{"k":2}]}',
        '{"l":[{"k":2,"n":8},{"k":2,"n":7}]}',
        '{"properties":{"l":{"$md.key":"k","items":{"properties":{"n":{"$md.copyable":false}}}}}}', '{}',
        '{"l":[{"k":1,"n":8},{"k":2,"n":7}]}'),
    ('elements by position where there are two keys', '{"l":[{"k":1,"j":1},{"k":2,"j":2}]}',
        '{"l":[{"k":2,"j":2,"n":8},{"k":1,"j":1}]}',
        '{"properties":{"l":{"$md.key":"k","$md":{"key":"j"},"items":{"properties":{"n":{"$md.copyable":false}}}}}}',
        '{}', '{"l":[{"k":1,"j":1,"n":8},{"k":2,"j":2}]}'),
    ('a whole element with a key: the array stays whole', '{"l":[{"k":1},{"k":2}]}', '{"l":[{"k":2},{"k":1,"own":1}]}',
        '{"properties":{"l":{"$md.key":"k","items":{"if":{"required":["own"]},"then":{"$md.copyable":false}}}}}', '{}',
        '{"l":[{"k":2},{"k":1,"own":1}]}'),
    ('whole elements stay', '{"l":[1]}', '{"l":[7,8]}', '{"properties":{"l":{"items":{"$md.copyable":false}}}}', '{}',
        '{"l":[7,8]}'),
    ('whole elements of an array the source lacks', '{}', '{"l":[7,8]}',
        '{"properties":{"l":{"items":{"$md.copyable":false}}}}', '{}', '{"l":[7,8]}'),
    ('marked by the destination''s branch only', '{"t":"x","n":"s"}', '{"t":"y","n":"d"}',
        '{"if":{"properties":{"t":{"const":"y"}}},"then":{"properties":{"n":{"$md.copyable":false}}}}', '{}',
        '{"t":"x","n":"d"}'),
    ('marked by the source''s branch only', '{"t":"y","n":"s"}', '{"t":"x","n":"d"}',
        '{"if":{"properties":{"t":{"const":"y"}}},"then":{"properties":{"n":{"$md.copyable":false}}}}', '{}',
        '{"t":"y","n":"d"}'),
    ('elements by a condition: the array stays whole', '{"l":[{"own":true,"id":"s"},{"id":"x"}]}', '{"l":[]}',
        '{"properties":{"l":{"items":{"if":{"properties":{"own":{"const":true}},"required":["own"]},'
        '"then":{"$md.copyable":false}}}}}', '{}', '{"l":[]}'),
    ('one position of a tuple: the array stays whole', '{"l":["s","b"]}', '{"l":["x","own"]}',
        '{"properties":{"l":{"items":[{},{"$md.copyable":false}]}}}', '{}', '{"l":["x","own"]}'),
    ('a branch that the result is in, but neither document was', '{"mode":"shared","flag":true,"host":"S"}',
        '{"mode":"own","flag":false,"host":"D"}',
        '{"properties":{"mode":{"$md.copyable":false}},"if":{"properties":{"mode":{"const":"own"},'
        '"flag":{"const":true}}},"then":{"properties":{"host":{"$md.copyable":false}}}}', '{}',
        '{"mode":"own","flag":true,"host":"D"}'),
    ('a branch that an override brings about', '{"mode":"shared","host":"S"}', '{"mode":"shared","host":"D"}',
        '{"if":{"properties":{"mode":{"const":"own"}}},"then":{"properties":{"host":{"$md.copyable":false}}}}',
        '{"mode":"own"}', '{"mode":"own","host":"D"}'),
    ('an override of what that branch protects', '{"mode":"shared","host":"S"}', '{"mode":"shared","host":"D"}',
        '{"if":{"properties":{"mode":{"const":"own"}}},"then":{"properties":{"host":{"$md.copyable":false}}}}',
        '{"mode":"own","host":"O"}', '{"mode":"own","host":"O"}'),
    ('another kind of container', '{"o":5}', '{"o":{"n":"d"}}',
        '{"properties":{"o":{"properties":{"n":{"$md.copyable":false}}}}}', '{}', '{"o":5}'),
    ('overrides have the last word', '{"a":1,"n":"s"}', '{"n":"d"}', '{"properties":{"n":{"$md.copyable":false}}}',
        '{"n":"o","b":{"c":null},"a":null}', '{"n":"o","b":{}}'),
    ('a JSON Patch has the last word', '{"a":1,"n":"s"}', '{"n":"d"}', '{"properties":{"n":{"$md.copyable":false}}}',
        '[{"op":"replace","path":"/n","value":"o"},{"op":"add","path":"/b","value":null},{"op":"remove","path":"/a"}]',
        '{"n":"o","b":null}'),
    ('a JSON Patch is applied once, whatever branch it leads to', '{"mode":"shared","l":[1]}',
        '{"mode":"own","l":[],"host":"D"}',
        '{"if":{"properties":{"mode":{"const":"own"}}},"then":{"properties":{"host":{"$md.copyable":false}}}}',
        '[{"op":"replace","path":"/mode","value":"own"},{"op":"add","path":"/l/0","value":0}]',
        '{"mode":"own","l":[0,1],"host":"D"}'),
    ('an element of an array that is the destination''s is set in that', '{"l":[{"n":1},{"n":2}]}',
        '{"l":[{"n":3},{"n":4}]}', '{"properties":{"l":{"$md.copyable":false}}}',
        '[{"op":"test","path":"/l/1/n","value":4},{"op":"replace","path":"/l/1/n","value":5}]',
        '{"l":[{"n":3},{"n":5}]}'),
    ('a place that an operation names as a whole is as it says', '{}', '{"o":{"n":"d"}}',
        '{"properties":{"o":{"properties":{"n":{"$md.copyable":false}}}}}',
        '[{"op":"add","path":"/o","value":{"x":1}}]', '{"o":{"x":1}}'),
    ('a JSON Patch of no operation', '{"a":1}', '{"b":2}', '{}', '[]', '{"a":1}'),
    ('null is a value of the source', '{"a":null}', '{"a":1}', '{}', '{}', '{"a":null}'),
    ('the root is the destination''s', '{"a":1}', '{"b":1}', '{"$md.copyable":false}', '{}', '{"b":1}')) AS v(what,
        source, own, schema, overrides, result);
SELECT is(promote.compose_params('{"a":1}', '{"b":2}', '{}'), '{"a":1}', 'overrides may be left out');
SELECT throws_ok(format('SELECT promote.compose_params(%L, %L, %L, %L)', s, d, '{}', o), 'PM101', NULL,
    'no object: ' || s || d || o)
  FROM (VALUES ('[]', '{}', '{}'), ('{}', '1', '{}'), ('{}', '{}', 'null')) AS v(s, d, o);
SELECT throws_ok(format('SELECT promote.compose_params(%L, %L, %L, %L)', '{"a": 1}', '{}', '{}', o), state, NULL,
    'a patch that does not fit: ' || o)
  FROM (VALUES ('[{"op": "test", "path": "/a", "value": 2}]', 'PM108'), ('[{"op": "remove", "path": "a"}]', 'PM108'),
      ('[{"op": "replace", "path": "", "value": 1}]', 'PM101')) AS v(o, state);
SELECT throws_ok($$SELECT promote.compose_params('{}', '{}', '{"type":"florp"}')$$, 'PM106', NULL, 'no schema');

-- Filtering twice is filtering once; composing with oneself changes nothing.
SELECT setseed(0.7);
CREATE TEMP TABLE doc ON COMMIT DROP AS
SELECT jsonb_build_object('a', floor(random() * 3), 'n', floor(random() * 3), 'o',
    jsonb_build_object('n', floor(random() * 3), 'x', floor(random() * 3)),
                          'l', (SELECT jsonb_agg(jsonb_build_object('n', j, 'x', i))
                              FROM generate_series(1, floor(random() * 4)::integer) j)) AS d
  FROM generate_series(1, 300) i;
SELECT is(count(*), 0::bigint, 'properties of filtering and composing')
  FROM doc a, doc b, (VALUES
      ('{"properties":{"n":{"$md.copyable":false},"o":{"properties":{"n":{"$md.copyable":false}}},'
      '"l":{"items":{"properties":{"n":{"$md.copyable":false}}}}}}'::jsonb)) AS s(schema)
 WHERE promote.jsonb_filter_copyable(promote.jsonb_filter_copyable(a.d, schema), schema)
     <> promote.jsonb_filter_copyable(a.d, schema)
    OR promote.compose_params(a.d, a.d, schema) <> a.d
    OR promote.compose_params(promote.compose_params(a.d, b.d, schema), b.d, schema) <> promote.compose_params(a.d, b.d,
        schema)
    OR promote.compose_params(a.d, promote.compose_params(a.d, b.d, schema), schema) <> promote.compose_params(a.d, b.d,
        schema)
    OR promote.jsonb_filter_copyable(promote.compose_params(a.d, b.d, schema), schema)
        <> promote.jsonb_filter_copyable(a.d, schema);

SELECT * FROM finish();
ROLLBACK;
