-- The pure functions over jsonb: merging, comparing, canonical form, rendering, limits.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/cpu.sql

CREATE FUNCTION pg_temp.outcome(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END
$$;

CREATE FUNCTION pg_temp.timed(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    began float8 := pg_temp.cpu_seconds();
    state text := pg_temp.outcome(statement);
BEGIN
    RETURN CASE WHEN pg_temp.cpu_seconds() - began < 20 THEN state ELSE 'too slow' END;
END
$$;

-- ---- jsonb_merge_patch: the examples of RFC 7396, appendix A ----
SELECT is(promote.jsonb_merge_patch(target::jsonb, patch::jsonb), result::jsonb,
    'RFC 7396: ' || target || ' + ' || patch)
  FROM (VALUES
    ('{"a":"b"}', '{"a":"c"}', '{"a":"c"}'),
    ('{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'),
    ('{"a":"b"}', '{"a":null}', '{}'),
    ('{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'),
    ('{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'),
    ('{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'),
    ('{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'),
    ('{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'),
    ('["a","b"]', '["c","d"]', '["c","d"]'),
    ('{"a":"b"}', '["c"]', '["c"]'),
    ('{"a":"foo"}', 'null', 'null'),
    ('{"a":"foo"}', '"bar"', '"bar"'),
    ('{"e":null}', '{"a":1}', '{"e":null,"a":1}'),
    ('[1,2]', '{"a":"b","c":null}', '{"a":"b"}'),
    ('{}', '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'),
    ('{"a":1}', '{}', '{"a":1}')) AS v(target, patch, result);

-- ---- jsonb_deep_merge: arrays ----
SELECT is(promote.jsonb_deep_merge(target::jsonb, patch::jsonb, arrays), result::jsonb,
          format('arrays => %L: %s + %s', arrays, target, patch))
  FROM (VALUES
    ('replace', '{"a": [1, 2]}', '{"a": [3]}', '{"a": [3]}'),
    ('append', '{"a": [1, 2]}', '{"a": [3, null]}', '{"a": [1, 2, 3, null]}'),
    ('append', '[1]', '[[2]]', '[1, [2]]'),
    ('append', '{"a": []}', '{"a": []}', '{"a": []}'),
    ('append', '{"a": {"b": [{"x": 1}]}}', '{"a": {"b": [{"x": 1}], "c": [0]}}',
        '{"a": {"b": [{"x": 1}, {"x": 1}], "c": [0]}}'),
    ('append', '{"a": 1}', '{"a": [3]}', '{"a": [3]}'),
    ('append', '{"a": [3]}', '{"a": {"b": 1}}', '{"a": {"b": 1}}'),
    ('name', '[{"name": "a", "v": 1}, {"name": "b", "v": 2}]', '[{"name": "c"}, {"name": "b", "w": null}]',
             '[{"name": "a", "v": 1}, {"name": "b", "v": 2, "w": null}, {"name": "c"}]'),
    ('name', '[{"name": 1, "l": [{"name": "x", "p": {"q": 1}}]}]',
        '[{"name": 1.0, "l": [{"name": "x", "p": {"r": 2}}]}]',
             '[{"name": 1.0, "l": [{"name": "x", "p": {"q": 1, "r": 2}}]}]'),
    ('name', '[{"name": "a"}, {"other": "b"}]', '[{"name": "a", "v": 1}]', '[{"name": "a", "v": 1}]'),
    ('name', '[1, 2]', '[3]', '[3]'),
    ('name', '[]', '[{"name": "a"}]', '[{"name": "a"}]'),
    ('name', '[{"name": "a"}]', '[]', '[{"name": "a"}]'),
    ('name', '[{"name": {"k": [1, 2]}}]', '[{"name": {"k": [1, 2]}, "v": 1}]', '[{"name": {"k": [1, 2]}, "v": 1}]'),
    ('', '[{"": "a"}]', '[{"": "a", "v": 1}]', '[{"": "a", "v": 1}]')) AS v(arrays, target, patch, result);
SELECT throws_ok(format($$SELECT promote.jsonb_deep_merge(%L, %L, 'name')$$, target, patch), 'PM108',
                 'arrays cannot be merged by a key that is not unique', 'refused: ' || target || ' + ' || patch)
  FROM (VALUES
    ('[{"name": "a"}, {"name": "a"}]', '[{"name": "b"}]'),
    ('[{"name": "b"}]', '[{"name": "a"}, {"name": "a"}]'),
    ('[{"name": "a"}, {"name": "a"}]', '[1]'),
    ('[1]', '[{"name": "a"}, {"name": "a"}]'),
    ('{"l": []}', '{"l": [{"name": "a"}, {"name": "a"}]}'),
    ('{"l": [{"name": "a"}, {"name": "a"}]}', '{"l": []}'),
    ('[{"name": "a"}]', '[{"name": 1}, {"name": 2}, {"name": 1.0}]')) AS v(target, patch);
SELECT is(promote.jsonb_deep_merge(target, patch, 'name'), patch, 'names matter only where two arrays meet')
  FROM (VALUES ('[{"name": "a"}, {"name": "a"}]'::jsonb, '{"x": 1}'::jsonb), ('{"x": 1}',
      '[{"name": "a"}, {"name": "a"}]')) v (target, patch);

-- ---- the bytes are those of PostgreSQL's own builder ----
-- *= compares the bytes of rows, and text makes PostgreSQL build a document anew.
CREATE FUNCTION pg_temp.own_bytes(document jsonb) RETURNS boolean LANGUAGE sql AS $$
SELECT a OPERATOR (pg_catalog.*=) b FROM (SELECT document) AS a, (SELECT document::text::jsonb) AS b
$$;
CREATE FUNCTION pg_temp.keys(first int, last int, prefix text, value jsonb) RETURNS jsonb LANGUAGE sql AS $$
SELECT COALESCE(jsonb_object_agg(prefix || i, CASE WHEN i % 3 = 0 THEN to_jsonb(repeat('x', i % 7)) ELSE value END),
    '{}')
  FROM generate_series(first, last) AS i
$$;
SELECT is(count(*), 0::bigint, 'objects of every size merge into the bytes that PostgreSQL makes')
  FROM unnest(ARRAY[0, 1, 2, 15, 16, 17, 31, 32, 33, 34, 63, 64, 65, 96, 129]) AS a,
       unnest(ARRAY[0, 1, 2, 16, 31, 32, 33, 65]) AS b,
       unnest(ARRAY['{"in": [1, {"n": null}]}', '1.50', '"s"', 'true', '123456789012345678901234567890.12345',
           '[]']::jsonb[]) AS value,
       unnest(ARRAY['k', 'kk', 'a long prefix of keys ']) AS prefix,
       unnest(ARRAY[0, 7, 20]) AS start,
       LATERAL (SELECT pg_temp.keys(1, a, 'k', value) AS target, pg_temp.keys(start, start + b - 1, prefix,
           '{"in": [2.0]}') AS patch) AS d
 WHERE pg_temp.own_bytes(promote.jsonb_merge_patch(target, patch)) IS NOT TRUE
    OR promote.jsonb_deep_merge(target, patch) IS DISTINCT FROM promote.jsonb_merge_patch(target, patch)
    OR pg_temp.own_bytes(promote.jsonb_deep_merge(to_jsonb(ARRAY[target, patch]), to_jsonb(ARRAY[patch, target, '1']),
        'append')) IS NOT TRUE;

-- ---- jsonb_deep_merge: null is a value ----
SELECT is(promote.jsonb_deep_merge(target::jsonb, patch::jsonb), result::jsonb,
    'deep merge: ' || target || ' + ' || patch)
  FROM (VALUES
    ('{"a":{"b":1,"c":2}}', '{"a":{"b":null}}', '{"a":{"b":null,"c":2}}'),
    ('{"a":1}', '{"b":null}', '{"a":1,"b":null}'),
    ('{"a":{"b":{"c":1}}}', '{"a":{"b":{"d":2}}}', '{"a":{"b":{"c":1,"d":2}}}'),
    ('{"a":[1,2,3]}', '{"a":[4]}', '{"a":[4]}'),
    ('{"a":1}', '{"a":{"b":null}}', '{"a":{"b":null}}'),
    ('1', '{"a":1}', '{"a":1}'),
    ('{"a":1}', '1', '1')) AS v(target, patch, result);

-- Random documents, for properties that hold for all.
SELECT setseed(0.42);
CREATE FUNCTION pg_temp.random_json(depth integer) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    kind integer := floor(random() * CASE WHEN depth > 0 THEN 8 ELSE 5 END);
BEGIN
    RETURN CASE
        WHEN kind = 0 THEN 'null'::jsonb
        WHEN kind = 1 THEN to_jsonb(random() < 0.5)
        WHEN kind = 2 THEN to_jsonb(floor(random() * 100)::integer)
        WHEN kind = 3 THEN to_jsonb((random() * 1000)::numeric(10, 3))
        WHEN kind = 4 THEN to_jsonb(repeat(chr(97 + floor(random() * 5)::integer), floor(random() * 9)::integer))
        WHEN kind = 5 THEN COALESCE((SELECT jsonb_agg(pg_temp.random_json(depth - 1))
            FROM generate_series(1, floor(random() * 4)::integer)), '[]')
        ELSE COALESCE((SELECT jsonb_object_agg(repeat(chr(97 + floor(random() * 6)::integer),
            1 + floor(random() * 3)::integer),
                                               pg_temp.random_json(depth - 1))
                         FROM generate_series(1, floor(random() * 6)::integer)), '{}') END;
END
$$;
CREATE TEMP TABLE pair ON COMMIT DROP AS
SELECT pg_temp.random_json(4) AS a, pg_temp.random_json(4) AS b FROM generate_series(1, 3000);

SELECT is(count(*), 0::bigint, 'merging the same patch twice changes nothing more')
  FROM pair WHERE promote.jsonb_deep_merge(promote.jsonb_deep_merge(a, b), b) <> promote.jsonb_deep_merge(a, b)
               OR promote.jsonb_merge_patch(promote.jsonb_merge_patch(a, b), b) <> promote.jsonb_merge_patch(a, b);
SELECT is(count(*), 0::bigint, 'the two merges agree where the patch holds no null')
  FROM pair WHERE b::text !~ 'null' AND promote.jsonb_deep_merge(a, b) <> promote.jsonb_merge_patch(a, b);

-- RFC 7396's own pseudocode, as an oracle.
CREATE FUNCTION pg_temp.merge_patch(target jsonb, patch jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    name text;
    value jsonb;
BEGIN
    IF jsonb_typeof(patch) <> 'object' THEN
        RETURN patch;
    END IF;
    IF jsonb_typeof(target) IS DISTINCT FROM 'object' THEN
        target := '{}';
    END IF;
    FOR name, value IN SELECT * FROM jsonb_each(patch) LOOP
        IF value = 'null' THEN
            target := target - name;
        ELSE
            target := target || jsonb_build_object(name, pg_temp.merge_patch(target -> name, value));
        END IF;
    END LOOP;
    RETURN target;
END
$$;
SELECT is(count(*), 0::bigint, 'jsonb_merge_patch is what the RFC''s pseudocode computes')
  FROM pair WHERE promote.jsonb_merge_patch(a, b) <> pg_temp.merge_patch(a, b);

-- ---- jsonb_leaf_diff ----
SELECT results_eq(
    $$SELECT * FROM promote.jsonb_leaf_diff('{"a":1,"b":{"c":2,"d":null},"l":[1,2,{"x":1}],"g":1}',
                                            '{"a":1.0,"b":{"c":3},"l":[1,5],"n":null,"g":{}}')$$,
    $$VALUES ('.b.c', 'change', '2'::jsonb, '3'::jsonb), ('.b.d', 'remove', 'null', NULL), ('.g', 'change', '1', '{}'),
             ('.l[1]', 'change', '2', '5'), ('.l[2].x', 'remove', '1', NULL), ('.n', 'add', NULL, 'null')$$,
    'a row per leaf; missing is NULL, null is null; 1 and 1.0 are equal');
SELECT results_eq(
    $$SELECT path FROM promote.jsonb_leaf_diff('{}', '{"a b":{"1x":[{"":1}]},"ok_1":2,"q\"":3,"é":4}')
        ORDER BY path COLLATE "C"$$,
    $$VALUES ('.["a b"]["1x"][0][""]'), ('.["q\""]'), ('.["é"]'), ('.ok_1')$$,
    'paths as jq spells them, quoted where they must be');
SELECT results_eq($$SELECT * FROM promote.jsonb_leaf_diff('1', '[1]')$$,
    $$VALUES ('.', 'remove', '1'::jsonb, NULL::jsonb), ('.[0]', 'add', NULL, '1')$$, 'documents of different kinds');
SELECT results_eq($$SELECT * FROM promote.jsonb_leaf_diff('{"a":{}}', '{"a":{"b":1}}')$$,
    $$VALUES ('.a', 'remove', '{}'::jsonb, NULL::jsonb), ('.a.b', 'add', NULL, '1')$$, 'an empty object is a leaf');
SELECT results_eq($$SELECT path, change FROM promote.jsonb_leaf_diff('{}', '{"a":1}')$$, $$VALUES ('.a', 'add')$$,
    'but not at the root, which is an object before and after');
SELECT is(count(*), 0::bigint, 'equal documents have no diff, and only they')
  FROM pair WHERE EXISTS (SELECT FROM promote.jsonb_leaf_diff(a, b)) <> (a <> b)
               OR EXISTS (SELECT FROM promote.jsonb_leaf_diff(a, a));
SELECT is(count(*), 0::bigint, 'the diff the other way round is the same with the sides changed')
  FROM pair WHERE (SELECT array_agg((path, old_value, new_value) ORDER BY path COLLATE "C")
      FROM promote.jsonb_leaf_diff(a, b))
      IS DISTINCT FROM (SELECT array_agg((path, new_value, old_value) ORDER BY path COLLATE "C")
          FROM promote.jsonb_leaf_diff(b, a));

-- A document's leaves, by means of PostgreSQL's own functions; the diff must be what turns one map into the other.
CREATE FUNCTION pg_temp.leaves(d jsonb, path text DEFAULT '') RETURNS TABLE (p text, v jsonb) LANGUAGE plpgsql AS $$
BEGIN
    IF d IN ('{}', '[]') OR jsonb_typeof(d) NOT IN ('object', 'array') THEN
        RETURN QUERY SELECT CASE path WHEN '' THEN '.' ELSE path END, d;
    ELSIF jsonb_typeof(d) = 'object' THEN
        RETURN QUERY SELECT l.* FROM jsonb_each(d) e, pg_temp.leaves(e.value, path || '.' || e.key) l;
    ELSE
        RETURN QUERY SELECT l.* FROM jsonb_array_elements(d) WITH ORDINALITY e,
            pg_temp.leaves(e.value, CASE path WHEN '' THEN '.' ELSE path END || '[' || e.ordinality - 1 || ']') l;
    END IF;
END
$$;
SELECT is(count(*), 0::bigint, 'the diff is the difference of the maps of leaves')
  FROM pair WHERE (SELECT array_agg((path, old_value, new_value) ORDER BY path COLLATE "C", old_value IS NULL)
      FROM promote.jsonb_leaf_diff(a, b))
      IS DISTINCT FROM (SELECT array_agg((COALESCE(x.p, y.p), x.v, y.v) ORDER BY COALESCE(x.p, y.p) COLLATE "C")
                          FROM pg_temp.leaves(a) x FULL JOIN pg_temp.leaves(b) y ON x.p = y.p
                              WHERE x.v IS DISTINCT FROM y.v
                           AND (COALESCE(x.p, y.p) <> '.' OR jsonb_typeof(a) <> 'object'
                               OR jsonb_typeof(b) <> 'object'));

-- ---- canonical form and digest ----
SELECT is(promote.jsonb_canonical(document::jsonb), expected, 'canonical: ' || left(document, 60))
  FROM (VALUES
    ('{"b":1,"a":[1.0,1.50,-0.0,100]}', '{"a":[1,1.5,0,100],"b":1}'),
    ('[1e30, 4.50, 2e-3, 0.000000000000000000000000001]', '[1e+30,4.5,0.002,1e-27]'),
    ('[1e20, 1e21, 123456789012345678901, 1234567890123456789012]',
        '[100000000000000000000,1e+21,123456789012345678901,1.234567890123456789012e+21]'),
    ('[0.000001, 0.0000001, -1.5e-7, 0.1, 10.01]', '[0.000001,1e-7,-1.5e-7,0.1,10.01]'),
    ('[9007199254740993, 0.12345678901234567890]', '[9007199254740993,0.1234567890123456789]'),
    ('{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With '
        'Dagesh","1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O '
        'With Diaeresis"}',
     E'{"\\r":"Carriage Return","1":"One","\u0080":"Control","ö":"Latin Small Letter O With Diaeresis","€":"Euro '
         'Sign","😀":"Emoji: Grinning Face","\ufb33":"Hebrew Letter Dalet With Dagesh"}'),
    ('"\u20ac$\u000f\nA''\u0042\u0022\u005c\\\"\/"', E'"€$\\u000f\\nA''B\\"\\\\\\\\\\"/"'),
    ('"\b\t\f\r\u007f"', E'"\\b\\t\\f\\r\u007f"'),
    ('[null,true,false,{},[],""]', '[null,true,false,{},[],""]')) AS v(document, expected);
SELECT is(promote.jsonb_digest('{"a":[1,1.5]}'), sha256(convert_to('{"a":[1,1.5]}', 'UTF8')),
    'the digest is SHA-256 of the canonical text');
SELECT is(count(DISTINCT promote.jsonb_digest(d::jsonb)), 1::bigint, 'spelling never matters')
  FROM (VALUES ('{"a": 1.0, "b": [100, "x"]}'), ('{"b":[1e2,"\u0078"],"a":1}'),
      ('{"a":7,"a":1.000,"b":[100.0,"x"]}')) AS v(d);
SELECT is(count(*), 0::bigint, 'digests are equal where documents are, and only there')
  FROM pair WHERE (promote.jsonb_digest(a) = promote.jsonb_digest(b)) <> (a = b);
SELECT isnt(promote.jsonb_digest('9007199254740993'), promote.jsonb_digest('9007199254740992'),
    'numbers that a double confuses are told apart');
SELECT is(promote.jsonb_canonical(d)::jsonb, d, 'canonical text means the same document: ' || left(d::text, 40))
  FROM (VALUES ('1e131071'::jsonb), ('1e-16383'), ('[1e-5,123e-7]'), ('-0.5'),
      ('12345678901234567890.123456789')) AS v(d);
SELECT is(count(*), 0::bigint, 'canonical text means the same document')
  FROM pair WHERE promote.jsonb_canonical(a)::jsonb <> a OR promote.jsonb_canonical(promote.jsonb_canonical(a)::jsonb)
      <> promote.jsonb_canonical(a);
SELECT is(promote.jsonb_digest(jsonb_agg(repeat('x', 1000) || i)),
    sha256(convert_to(promote.jsonb_canonical(jsonb_agg(repeat('x', 1000) || i)), 'UTF8')),
          'a digest of much text is that of the whole') FROM generate_series(1, 500) i;

-- ---- jsonb_render ----
SELECT is(promote.jsonb_render(document::jsonb,
    '{"name":"shop","n":3,"f":1.50,"t":true,"list":[1,{"a":null}],"nothing":null,"a.b-c":"dot","trick":"{{name}}"}'),
          result::jsonb, 'render: ' || document)
  FROM (VALUES
    ('{"a":"{{name}}"}', '{"a":"shop"}'),
    ('{"a":"{{n}}","b":"{{ t }}","c":"{{list}}","d":"{{nothing}}"}', '{"a":3,"b":true,"c":[1,{"a":null}],"d":null}'),
    ('["x{{n}}y{{name}}", "{{f}}!", " {{n}}"]', '["x3yshop", "1.50!", " 3"]'),
    ('{"deep":[{"k":["{{a.b-c}}"]}]}', '{"deep":[{"k":["dot"]}]}'),
    ('"{{trick}} {{trick}}"', '"{{name}} {{name}}"'),
    ('["{{trick}}"]', '["{{name}}"]'),
    ('["\\{{name}}", "a\\{{b", "\\\\{{name}}", "\\\\\\{{name}}", "c:\\dir {{n}}"]',
        '["{{name}}", "a{{b", "\\shop", "\\{{name}}", "c:\\dir 3"]'),
    ('["{", "}", "{}", "{name}", "}}"]', '["{", "}", "{}", "{name}", "}}"]'),
    ('{"{{name}}":1}', '{"{{name}}":1}')) AS v(document, result);
SELECT throws_ok($$SELECT promote.jsonb_render('["{{x}} {{y}}", {"z":"{{z}}"}, "{{x}}", "{{ok}}"]', '{"ok":1}')$$,
    'PM105',
                 'the placeholders cannot be rendered', 'missing names are refused');
DO $$
DECLARE
    told text;
BEGIN
    PERFORM promote.jsonb_render('["{{x}} {{y}}", {"z":"{{z}} {{"}, "{{x}}", "{{l}}!"]', '{"l":[]}');
EXCEPTION WHEN SQLSTATE 'PM105' THEN
    GET STACKED DIAGNOSTICS told = PG_EXCEPTION_DETAIL;
    PERFORM set_config('test.told', told, true);
END
$$;
SELECT is(current_setting('test.told'),
    E'Parameter "x" is missing.\nParameter "y" is missing.\nParameter "z" is missing.\n'
    || E'The string at .[1].z has {{ without a name and }} behind it.\n'
    || 'Parameter "l" is neither a string, a number nor a boolean and cannot be a part of the string at .[3].',
        'all problems are listed, each once');
SELECT throws_ok(format('SELECT promote.jsonb_render(%L, %L)', to_jsonb(t), '{"a":1}'), 'PM105', NULL,
    'malformed: ' || t)
  FROM unnest(ARRAY['{{', '{{}}', '{{ }}', '{{a', '{{a}', '{{1a}}', '{{a b}}', '{{é}}', 'x{{{{a}}}}']) AS t;
SELECT is((SELECT SQLSTATE_
    FROM pg_temp.timed($$SELECT promote.jsonb_render((SELECT jsonb_agg('{{n' || i || '}}')
    FROM generate_series(1, 200000) i), '{}')$$) AS SQLSTATE_), 'PM105',
    'very many missing names are refused, a thousand of them listed, in no time');
SELECT throws_ok($$SELECT promote.jsonb_render('{}', '[]')$$, 'PM101', NULL, 'variables that are no object');

-- ---- limits ----
SELECT ok(promote.check_params('{"a": [1, "x", null]}'), 'an object within the limits');
SELECT throws_ok(format('SELECT promote.check_params(%L)', d), 'PM101', NULL, 'not an object: ' || d)
  FROM unnest(ARRAY['[]', '1', '"x"', 'null', 'true']) AS d;
SELECT ok(promote.check_params((repeat('{"a":', 999) || '{}' || repeat('}', 999))::jsonb), '1000 levels');
SELECT throws_ok($$SELECT promote.check_params((repeat('{"a":', 1000) || '{}' || repeat('}', 1000))::jsonb)$$, 'PM102',
    NULL, '1001 levels');
SELECT throws_ok($$SELECT promote.check_params((repeat('{"a":[', 600) || repeat(']}', 600))::jsonb)$$, 'PM102', NULL,
    'levels of arrays count too');
SELECT ok(promote.check_params(('{"a":' || repeat('9', 1000) || '}')::jsonb), 'a number of 1000 digits');
SELECT throws_ok(format('SELECT promote.check_params(%L)', '{"a":[' || n || ']}'), 'PM102', NULL,
    'a number of more digits: ' || left(n, 9))
  FROM unnest(ARRAY[repeat('9', 1001), repeat('9', 10000), '1e1000', '1e100000', '1e-1000',
      '0.' || repeat('1', 1000)]) AS n;
SELECT ok(promote.check_params(('{"a":[' || n || ']}')::jsonb), 'a number of few digits: ' || n)
    FROM unnest(ARRAY['1e200', '-1e-200', '0', '123456.789']) AS n;
SELECT throws_ok($$SELECT promote.check_params(jsonb_build_object('a', repeat('x', 16 * 1024 * 1024)))$$, 'PM102', NULL,
    'over 16 MB');
SELECT ok(promote.check_params(jsonb_build_object('a', repeat('x', 16 * 1024 * 1024 - 100))), 'just under 16 MB');
SELECT throws_ok($$SELECT '{"a":"\u0000"}'::jsonb$$, '22P05', NULL, 'a NUL escape is refused by jsonb itself');

-- Recursion is bounded: a deep document is an answer or a clean error, never a crash.
SELECT matches(pg_temp.outcome(format('SELECT promote.%s FROM (SELECT (repeat(%L, %s) || %L || repeat(%L, %s))::jsonb '
    'AS d) AS x',
                                      call, '{"a":', depth, '"{{b}}"', '}', depth)),
               '^(ok|54001|PM105)$', call || ' at depth ' || depth)
  FROM unnest(ARRAY['jsonb_digest(d)', 'jsonb_canonical(d)', 'jsonb_deep_merge(d, d)', 'jsonb_merge_patch(d, d)',
                    'jsonb_leaf_diff(d, ''1'')', 'jsonb_render(d, ''{}'')']) AS call,
                        unnest(ARRAY[1000, 3000, 5000]) AS depth;

SELECT * FROM finish();
ROLLBACK;
