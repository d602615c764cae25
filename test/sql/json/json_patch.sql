-- Patches: RFC 6902 made and applied, RFC 7396 made, and layers of documents.
BEGIN;
SELECT no_plan();

CREATE FUNCTION pg_temp.own_bytes(document jsonb) RETURNS boolean LANGUAGE sql AS $$
SELECT a OPERATOR (pg_catalog.*=) b FROM (SELECT document) AS a, (SELECT document::text::jsonb) AS b
$$;

-- What the statement raises: its SQLSTATE, message and detail.
CREATE FUNCTION pg_temp.refusal(statement text) RETURNS text LANGUAGE plpgsql SET statement_timeout = '5min' AS $$
DECLARE
    message text;
    detail text;
    hint text;
BEGIN
    EXECUTE statement;
    RETURN 'none';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(' ', SQLSTATE, CASE WHEN hint = '' THEN 'without a hint' END, NULLIF(detail, ''));
END
$$;

-- ---- jsonb_apply_patch: the examples of RFC 6902, appendix A ----
SELECT is(promote.jsonb_apply_patch(document::jsonb, patch::jsonb), result::jsonb, 'RFC 6902, ' || example)
  FROM (VALUES
    ('A.1 adding an object member', '{"foo": "bar"}', '[{"op": "add", "path": "/baz", "value": "qux"}]',
        '{"baz": "qux", "foo": "bar"}'),
    ('A.2 adding an array element', '{"foo": ["bar", "baz"]}', '[{"op": "add", "path": "/foo/1", "value": "qux"}]',
        '{"foo": ["bar", "qux", "baz"]}'),
    ('A.3 removing an object member', '{"baz": "qux", "foo": "bar"}', '[{"op": "remove", "path": "/baz"}]',
        '{"foo": "bar"}'),
    ('A.4 removing an array element', '{"foo": ["bar", "qux", "baz"]}', '[{"op": "remove", "path": "/foo/1"}]',
        '{"foo": ["bar", "baz"]}'),
    ('A.5 replacing a value', '{"baz": "qux", "foo": "bar"}', '[{"op": "replace", "path": "/baz", "value": "boo"}]',
        '{"baz": "boo", "foo": "bar"}'),
    ('A.6 moving a value', '{"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}}',
     '[{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}]',
         '{"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}}'),
    ('A.7 moving an array element', '{"foo": ["all", "grass", "cows", "eat"]}',
        '[{"op": "move", "from": "/foo/1", "path": "/foo/3"}]',
     '{"foo": ["all", "cows", "eat", "grass"]}'),
    ('A.8 testing a value: success', '{"baz": "qux", "foo": ["a", 2, "c"]}',
     '[{"op": "test", "path": "/baz", "value": "qux"}, {"op": "test", "path": "/foo/1", "value": 2}]',
         '{"baz": "qux", "foo": ["a", 2, "c"]}'),
    ('A.10 adding a nested member object', '{"foo": "bar"}',
        '[{"op": "add", "path": "/child", "value": {"grandchild": {}}}]',
     '{"foo": "bar", "child": {"grandchild": {}}}'),
    ('A.11 ignoring unrecognized elements', '{"foo": "bar"}',
        '[{"op": "add", "path": "/baz", "value": "qux", "xyz": 123}]', '{"foo": "bar", "baz": "qux"}'),
    ('A.13 of two "op" members jsonb keeps the last', '{"baz": "qux"}',
        '[{"op": "add", "path": "/baz", "value": "qux", "op": "remove"}]', '{}'),
    ('A.14 ~ escape ordering', '{"/": 9, "~1": 10}', '[{"op": "test", "path": "/~01", "value": 10}]',
        '{"/": 9, "~1": 10}'),
    ('A.16 adding an array value', '{"foo": ["bar"]}', '[{"op": "add", "path": "/foo/-", "value": ["abc", "def"]}]',
        '{"foo": ["bar", ["abc", "def"]]}')) AS v(example, document, patch, result);
SELECT is(pg_temp.refusal(format('SELECT promote.jsonb_apply_patch(%L, %L)', document, patch)),
    'PM108 Operation 0 ' || detail, 'RFC 6902, ' || example)
  FROM (VALUES
    ('A.9 testing a value: error', '{"baz": "qux"}', '[{"op": "test", "path": "/baz", "value": "bar"}]',
     '(test "/baz"): the value there is not the one that is expected.'),
    ('A.12 adding to a nonexistent target', '{"foo": "bar"}', '[{"op": "add", "path": "/baz/bat", "value": "qux"}]',
     '(add "/baz/bat"): there is nothing at "/baz".'),
    ('A.15 comparing strings and numbers', '{"/": 9, "~1": 10}', '[{"op": "test", "path": "/~01", "value": "10"}]',
     '(test "/~01"): the value there is not the one that is expected.')) AS v(example, document, patch, detail);

-- ---- jsonb_apply_patch: each operation at each kind of place ----
SELECT is(promote.jsonb_apply_patch(document::jsonb, patch::jsonb), result::jsonb,
    document || ' patched with ' || patch)
  FROM (VALUES
    ('{"a": 1}', '[]', '{"a": 1}'),
    ('1', '[]', '1'),
    ('1', '[{"op": "add", "path": "", "value": {"a": 1}}]', '{"a": 1}'),
    ('{"a": 1}', '[{"op": "replace", "path": "", "value": "s"}]', '"s"'),
    ('{"a": {"b": 1}}', '[{"op": "move", "from": "/a", "path": ""}]', '{"b": 1}'),
    ('{"a": {"b": 1}}', '[{"op": "copy", "from": "/a/b", "path": ""}]', '1'),
    ('{"a": 1}', '[{"op": "copy", "from": "", "path": ""}, {"op": "move", "from": "", "path": ""}]', '{"a": 1}'),
    ('{"a": 1}', '[{"op": "copy", "from": "", "path": "/b"}, {"op": "replace", "path": "/a", "value": 2}, {"op": '
        '"copy", "from": "", "path": "/b/b"}]',
     '{"a": 2, "b": {"a": 1, "b": {"a": 2, "b": {"a": 1}}}}'),
    ('{"a": {"x": {"y": 1}}}',
        '[{"op": "copy", "from": "/a", "path": "/b"}, {"op": "add", "path": "/b/x/z", "value": 2}, {"op": "copy", '
        '"from": "/b", "path": "/c"}, {"op": "remove", "path": "/c/x/y"}, {"op": "remove", "path": "/b/x/z"}]',
     '{"a": {"x": {"y": 1}}, "b": {"x": {"y": 1}}, "c": {"x": {"z": 2}}}'),
    ('{"a": {"b": 1}}', '[{"op": "copy", "from": "/a", "path": "/a/b"}, {"op": "copy", "from": "/a", "path": '
        '"/a/b/b"}]', '{"a": {"b": {"b": {"b": {"b": 1}}}}}'),
    ('{"a": [1]}', '[{"op": "move", "from": "/a", "path": "/a"}]', '{"a": [1]}'),
    ('{"a": 1, "b": 2}', '[{"op": "move", "from": "/a", "path": "/b"}]', '{"b": 1}'),
    ('{"a": 1, "ab": 2}', '[{"op": "move", "from": "/a", "path": "/ab"}]', '{"ab": 1}'),
    ('{"a": {"c": 1}, "ab": {}}', '[{"op": "move", "from": "/a", "path": "/ab/c"}]', '{"ab": {"c": {"c": 1}}}'),
    ('[1, 2, 3]', '[{"op": "move", "from": "/0", "path": "/-"}]', '[2, 3, 1]'),
    ('[1, 2, 3]', '[{"op": "move", "from": "/2", "path": "/0"}, {"op": "copy", "from": "/0", "path": "/3"}]',
        '[3, 1, 2, 3]'),
    ('[]', '[{"op": "add", "path": "/0", "value": null}, {"op": "add", "path": "/0", "value": 1}, {"op": "remove", '
        '"path": "/1"}]', '[1]'),
    ('[1, [2, 3]]', '[{"op": "replace", "path": "/1/1", "value": {"x": []}}, {"op": "add", "path": "/1/1/x/0", '
        '"value": 4}]', '[1, [2, {"x": [4]}]]'),
    ('{"": 1, "-": 2, "0": 3, "01": 4}',
        '[{"op": "replace", "path": "/", "value": 5}, {"op": "remove", "path": "/-"}, {"op": "remove", "path": "/0"}, '
        '{"op": "test", "path": "/01", "value": 4}]', '{"": 5, "01": 4}'),
    ('{"a/b": {"m~n": {"~1": 1}}}',
        '[{"op": "replace", "path": "/a~1b/m~0n/~01", "value": 2}, {"op": "add", "path": "/~0~1", "value": 3}]',
        '{"a/b": {"m~n": {"~1": 2}}, "~/": 3}'),
    ('{"a": null}', '[{"op": "test", "path": "/a", "value": null}, {"op": "replace", "path": "/a", "value": null}]',
        '{"a": null}'),
    ('{"a": 1.50}', '[{"op": "test", "path": "/a", "value": 1.5}]', '{"a": 1.50}'),
    ('{"a": {"b": [1]}, "c": 2}',
        '[{"op": "add", "path": "/a/b/-", "value": 2.0}, {"op": "add", "path": "/a/d", "value": {}}, {"op": "test", '
        '"path": "", "value": {"c": 2, "a": {"d": {}, "b": [1, 2]}}}, {"op": "test", "path": "/a", "value": {"d": {}, '
        '"b": [1.0, 2]}}]',
     '{"a": {"b": [1, 2.0], "d": {}}, "c": 2}')) AS v(document, patch, result);

-- ---- jsonb_apply_patch: refusals say which operation does not fit and why ----
SELECT is(pg_temp.refusal(format('SELECT promote.jsonb_apply_patch(%L, %L)', document, patch)), 'PM108 ' || detail,
    document || ' is not patched with ' || left(patch, 80))
  FROM (VALUES
    ('{}', '{"op": "test"}', 'It is not an array of operations.'),
    ('{}', '"add"', 'It is not an array of operations.'),
    ('{}', '[{"op": "add", "path": "/a", "value": 1}, 1]', 'Operation 1: it is not an object.'),
    ('{}', '[[]]', 'Operation 0: it is not an object.'),
    ('{}', '[{}]', 'Operation 0: it has no string "op".'),
    ('{}', '[{"op": null, "path": ""}]', 'Operation 0: it has no string "op".'),
    ('{}', '[{"op": "spam", "path": ""}]', 'Operation 0: there is no "op" named "spam".'),
    ('{}', '[{"op": "Add", "path": "", "value": 1}]', 'Operation 0: there is no "op" named "Add".'),
    ('{}', '[{"op": "remove"}]', 'Operation 0 (remove): it has no string "path".'),
    ('{}', '[{"op": "remove", "path": 1}]', 'Operation 0 (remove): it has no string "path".'),
    ('{"a": 1}', '[{"op": "remove", "path": "a"}]', 'Operation 0 (remove "a"): its "path" is not a JSON Pointer.'),
    ('{"a": 1}', '[{"op": "remove", "path": "#/a"}]', 'Operation 0 (remove "#/a"): its "path" is not a JSON Pointer.'),
    ('{"~": 1}', '[{"op": "remove", "path": "/~"}]', 'Operation 0 (remove "/~"): its "path" is not a JSON Pointer.'),
    ('{"~2": 1}', '[{"op": "remove", "path": "/~2"}]', 'Operation 0 (remove "/~2"): its "path" is not a JSON Pointer.'),
    ('{"a": 1}', '[{"op": "move", "path": "/b"}]', 'Operation 0 (move "/b"): it has no string "from".'),
    ('{"a": 1}', '[{"op": "copy", "path": "/b", "from": "a"}]',
        'Operation 0 (copy "/b"): its "from" is not a JSON Pointer.'),
    ('{"a": 1}', '[{"op": "add", "path": "/b"}]', 'Operation 0 (add "/b"): it has no "value".'),
    ('{"a": 1}', '[{"op": "replace", "path": "/a"}]', 'Operation 0 (replace "/a"): it has no "value".'),
    ('{"a": 1}', '[{"op": "test", "path": "/a"}]', 'Operation 0 (test "/a"): it has no "value".'),
    ('{"a": 1}', '[{"op": "remove", "path": ""}]',
        'Operation 0 (remove ""): the document as a whole cannot be removed.'),
    ('{"a": 1}', '[{"op": "remove", "path": "/b"}]', 'Operation 0 (remove "/b"): there is nothing at "/b".'),
    ('{"a": 1}', '[{"op": "replace", "path": "/b/c", "value": 1}]',
        'Operation 0 (replace "/b/c"): there is nothing at "/b".'),
    ('{"a": 1}', '[{"op": "add", "path": "/a/b", "value": 1}]',
        'Operation 0 (add "/a/b"): what is at "/a" is neither an object nor an array.'),
    ('1', '[{"op": "add", "path": "/a", "value": 1}]',
        'Operation 0 (add "/a"): what is at "" is neither an object nor an array.'),
    ('{"a": [1]}', '[{"op": "add", "path": "/a/x/y", "value": 1}]',
        'Operation 0 (add "/a/x/y"): "/a/x" leads into an array and does not end in an index.'),
    ('[1, 2]', '[{"op": "remove", "path": "/01"}]',
        'Operation 0 (remove "/01"): "/01" leads into an array and does not end in an index.'),
    ('[1, 2]', '[{"op": "remove", "path": "/"}]',
        'Operation 0 (remove "/"): "/" leads into an array and does not end in an index.'),
    ('[1, 2]', '[{"op": "remove", "path": "/+1"}]',
        'Operation 0 (remove "/+1"): "/+1" leads into an array and does not end in an index.'),
    ('[1, 2]', '[{"op": "remove", "path": "/-"}]', 'Operation 0 (remove "/-"): there is nothing at "/-".'),
    ('[1, 2]', '[{"op": "replace", "path": "/-", "value": 1}]',
        'Operation 0 (replace "/-"): there is nothing at "/-".'),
    ('[1, 2]', '[{"op": "copy", "from": "/-", "path": "/0"}]', 'Operation 0 (copy "/0"): there is nothing at "/-".'),
    ('[1, 2]', '[{"op": "add", "path": "/-/a", "value": 1}]', 'Operation 0 (add "/-/a"): there is nothing at "/-".'),
    ('[1, 2]', '[{"op": "remove", "path": "/2"}]', 'Operation 0 (remove "/2"): there is nothing at "/2".'),
    ('[1, 2]', '[{"op": "add", "path": "/3", "value": 1}]',
        'Operation 0 (add "/3"): "/3" is past the end of the array.'),
    ('[1, 2]', '[{"op": "add", "path": "/4294967296", "value": 1}]',
        'Operation 0 (add "/4294967296"): "/4294967296" is past the end of the array.'),
    ('[1, 2]', '[{"op": "add", "path": "/18446744073709551616", "value": 1}]',
        'Operation 0 (add "/18446744073709551616"): "/18446744073709551616" is past the end of the array.'),
    ('[1, 2]', '[{"op": "move", "from": "/0", "path": "/2"}]',
        'Operation 0 (move "/2"): "/2" is past the end of the array.'),
    ('{"a": {"b": {}}}', '[{"op": "move", "from": "/a", "path": "/a/b/c"}]',
        'Operation 0 (move "/a/b/c"): a value cannot be moved into itself.'),
    ('{"a": 1}', '[{"op": "move", "from": "", "path": "/b"}]',
        'Operation 0 (move "/b"): a value cannot be moved into itself.'),
    ('{"a": 1}', '[{"op": "move", "from": "/b", "path": "/b"}]', 'Operation 0 (move "/b"): there is nothing at "/b".'),
    ('{"secret": "s3cret"}',
        '[{"op": "add", "path": "/x", "value": 1}, {"op": "test", "path": "/secret", "value": "other"}]',
     'Operation 1 (test "/secret"): the value there is not the one that is expected.'),
    ('{"a": [1, {"b": 2}]}',
        '[{"op": "add", "path": "/a/1/c", "value": 1}, {"op": "test", "path": "", "value": {"a": [1, {"b": 2}]}}]',
     'Operation 1 (test ""): the value there is not the one that is expected.'),
    ('{"a": [1, 2]}', '[{"op": "remove", "path": "/a/0"}, {"op": "test", "path": "/a", "value": {"2": 2}}]',
     'Operation 1 (test "/a"): the value there is not the one that is expected.'),
    ('{"a": {"x": 1, "y": 2}}',
        '[{"op": "replace", "path": "/a/x", "value": 3}, {"op": "test", "path": "/a", "value": {"x": 3, "z": 2}}]',
     'Operation 1 (test "/a"): the value there is not the one that is expected.'),
    ('{}', '[{"op": "add", "path": "/é' || repeat('é', 200) || '/b", "value": 1}]',
     'Operation 0 (add "/' || repeat('é', 99) || '..."): there is nothing at "/' || repeat('é', 99) || '...".')) AS
         v(document, patch, detail);

-- ---- copies share what they copy, and are as large as what they stand for ----
SELECT is(pg_temp.refusal($$SELECT promote.jsonb_apply_patch('{"a": [1]}',
              (SELECT jsonb_agg('{"op": "copy", "from": "", "path": "/a/0"}'::jsonb) FROM generate_series(1, 1000)))$$),
          'PM102 Operation 22 (copy "/a/0") makes it larger than 268435455 bytes.',
              'a document that doubles again and again');
SELECT ok(pg_temp.refusal($$SELECT promote.jsonb_apply_patch('{"a": {}}',
              (SELECT jsonb_agg('{"op": "copy", "from": "", "path": "/a"}'::jsonb) FROM generate_series(1, 100000)))$$)
          LIKE '54001%', 'a document that is nested too deeply');
SELECT is(promote.jsonb_apply_patch('{"a": [1]}',
    (SELECT jsonb_agg(jsonb_build_object('op', op, 'path', path, 'from', '', 'value', 2))
                                                     FROM generate_series(1, 60) AS i,
                                                         (VALUES (1, 'copy', '/b'), (2, 'replace', '/b/a/0'),
                                                         (3, 'remove', '/b')) AS o(n, op, path))),
          '{"a": [1]}', 'what is copied, changed and removed leaves nothing behind');
SELECT is(pg_temp.refusal($$
    SELECT promote.jsonb_apply_patch(jsonb_build_object('a', repeat('x', 100000), 'l', '[]'::jsonb),
                                     (SELECT jsonb_agg(jsonb_build_object('op', op, 'path', path, 'from', '/a')
                                         ORDER BY i, n) FROM generate_series(1, 1500) AS i,
                                        (VALUES (1, 'copy', '/b'), (2, 'copy', '/b'), (3, 'remove', '/b'),
                                            (4, 'copy', '/l/0'), (5, 'remove', '/l/0')) AS o(n, op, path)))$$),
          'none', 'what was removed or replaced does not count');

-- ---- jsonb_diff_patch: examples ----
SELECT is(promote.jsonb_diff_patch(a::jsonb, b::jsonb), patch::jsonb, format('from %s to %s', a, b))
  FROM (VALUES
    ('{"a": 1}', '{"a": 1}', '[]'),
    ('{"a": 1.0, "l": [1.50]}', '{"a": 1.00, "l": [1.5]}', '[]'),
    ('1', '2', '[{"op": "replace", "path": "", "value": 2}]'),
    ('{}', '[]', '[{"op": "replace", "path": "", "value": []}]'),
    ('{"a": 1, "b": 2, "long": '
        '"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'
        'xxxxxxxxxxxxxxxxxxxxxx"}',
     '{"a": null, "c": {"d": 1}, "long": '
         '"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'
         'xxxxxxxxxxxxxxxxxxxxxxx"}',
     '[{"op": "replace", "path": "/a", "value": null}, {"op": "remove", "path": "/b"}, {"op": "add", "path": "/c", '
         '"value": {"d": 1}}]'),
    ('{"a": 1}', '{"b": 2}', '[{"op": "replace", "path": "", "value": {"b": 2}}]'),
    ('[1, 2, 3, 4, 5, 6, 7, 8, 9]', '[1, 2, 3, 4, 4.5, 5, 6, 7, 8, 9]', '[{"op": "add", "path": "/4", "value": 4.5}]'),
    ('[1, 2, 3, 4, 5, 6, 7, 8, 9]', '[1, 2, 3, 4, 6, 7, 8, 9]', '[{"op": "remove", "path": "/4"}]'),
    ('[1, 2, 3, 4, 5, 6, 7, 8, 9]', '[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]', '[{"op": "add", "path": "/0", "value": 0}]'),
    ('[1, 2, 3, 4, 5, 6, 7, 8, 9]', '[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]', '[{"op": "add", "path": "/9", "value": 10}]'),
    ('[1, 1, 1, 1, 1, 1, 1, 1, 1]', '[1, 1, 1, 1, 1, 1, 1, 1]', '[{"op": "remove", "path": "/8"}]'),
    ('["a", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'
        'aaaaaaaaaaaaa", 2, 3, 4]',
     '["b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'
         'aaaaaaaaaaaaa", 4]',
     '[{"op": "replace", "path": "/0", "value": "b"}, {"op": "remove", "path": "/3"}, {"op": "remove", "path": "/2"}]'),
    ('{"/": {"~": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, {"m~n/": {"": 1, "x": '
        '"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}}]}}',
     '{"/": {"~": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, {"m~n/": {"": 2, "x": '
         '"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}}]}}',
     '[{"op": "replace", "path": "/~1/~0/10/m~0n~1/", "value": 2}]')) AS v(a, b, patch);

-- ---- properties, over random documents ----
SELECT setseed(0.42);
CREATE FUNCTION pg_temp.random_json(depth integer) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    kind integer := floor(random() * CASE WHEN depth > 0 THEN 9 ELSE 5 END);
BEGIN
    RETURN CASE
        WHEN kind = 0 THEN 'null'::jsonb
        WHEN kind = 1 THEN to_jsonb(random() < 0.5)
        WHEN kind = 2 THEN to_jsonb(floor(random() * 5)::integer)
        WHEN kind = 3 THEN to_jsonb((random() * 3)::numeric(10, 1))
        WHEN kind = 4 THEN to_jsonb(repeat(chr(97 + floor(random() * 3)::integer), floor(random() * 50)::integer))
        WHEN kind IN (5, 6) THEN COALESCE((SELECT jsonb_agg(pg_temp.random_json(depth - 1))
            FROM generate_series(1, floor(random() * 7)::integer)), '[]')
        ELSE COALESCE((SELECT jsonb_object_agg((ARRAY['a', 'b', 'cc', '/', '~', '~1', '',
            '0'])[1 + floor(random() * 8)::integer],
                                               pg_temp.random_json(depth - 1))
                         FROM generate_series(1, floor(random() * 7)::integer)), '{}') END;
END
$$;
-- The document with some of its values replaced, removed or added.
CREATE FUNCTION pg_temp.changed(document jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    IF random() < 0.05 THEN
        RETURN pg_temp.random_json(2);
    ELSIF jsonb_typeof(document) = 'object' THEN
        RETURN COALESCE((SELECT jsonb_object_agg(key, pg_temp.changed(value)) FROM jsonb_each(document)
            WHERE random() < 0.95), '{}')
               || CASE WHEN random() < 0.1 THEN jsonb_build_object('new', pg_temp.random_json(1)) ELSE '{}' END;
    ELSIF jsonb_typeof(document) = 'array' THEN
        RETURN COALESCE((SELECT jsonb_agg(new ORDER BY n, m)
                           FROM (SELECT n, 0 AS m, pg_temp.changed(value) AS new
                               FROM jsonb_array_elements(document) WITH ORDINALITY AS e(value, n) WHERE random() < 0.95
                                 UNION ALL
                                 SELECT n, 1, pg_temp.random_json(1)
                                     FROM generate_series(0, jsonb_array_length(document)) AS n
                                     WHERE random() < 0.05) AS e), '[]');
    END IF;
    RETURN document;
END
$$;
CREATE TEMP TABLE pair ON COMMIT DROP AS
SELECT a, CASE WHEN i % 4 = 0 THEN pg_temp.random_json(5) ELSE pg_temp.changed(a) END AS b
  FROM (SELECT i, pg_temp.random_json(5) AS a FROM generate_series(1, 4000) AS i) AS d;
INSERT INTO pair SELECT jsonb_build_array(a, b), jsonb_build_array(b, a, a) FROM pair LIMIT 500;
CREATE TEMP TABLE patched ON COMMIT DROP AS
SELECT a, b, promote.jsonb_diff_patch(a, b) AS patch,
    promote.jsonb_apply_patch(a, promote.jsonb_diff_patch(a, b)) AS result FROM pair;

SELECT cmp_ok((SELECT count(*) FROM patched WHERE a <> b AND jsonb_array_length(patch) > 1), '>', 400::bigint,
    'many of the pairs need some operations');
SELECT is((SELECT count(*) FROM patched WHERE result IS DISTINCT FROM b), 0::bigint, 'apply(a, diff(a, b)) = b');
SELECT is((SELECT count(*) FROM patched WHERE (a = b) IS DISTINCT FROM (patch = '[]')), 0::bigint,
    'the patch is empty where the documents are equal, and only there');
SELECT is((SELECT count(*) FROM patched WHERE pg_temp.own_bytes(patch) IS NOT TRUE
    OR pg_temp.own_bytes(result) IS NOT TRUE), 0::bigint,
          'patches and what they make have the bytes that PostgreSQL makes');
SELECT is((SELECT count(*) FROM patched
            WHERE pg_column_size(patch) > pg_column_size(jsonb_build_array(jsonb_build_object('op', 'replace', 'path',
                '', 'value', b)))),
          0::bigint, 'no patch is larger than one that replaces the document');
SELECT is((SELECT count(*) FROM patched, jsonb_array_elements(patch) AS operation
            WHERE operation->>'op' NOT IN ('add', 'remove', 'replace')
               OR (operation ? 'value') = (operation->>'op' = 'remove')), 0::bigint, 'only add, remove and replace');
SELECT is((SELECT count(*) FROM pair WHERE promote.jsonb_apply_patch(a, jsonb_build_array(
               jsonb_build_object('op', 'test', 'path', '', 'value', a),
               jsonb_build_object('op', 'add', 'path', '', 'value', jsonb_build_array(a, b)),
               '{"op": "move", "from": "/1", "path": "/0"}'::jsonb,
               jsonb_build_object('op', 'test', 'path', '/0', 'value', b),
               '{"op": "remove", "path": "/1"}'::jsonb,
               '{"op": "copy", "from": "/0", "path": ""}'::jsonb)) <> b), 0::bigint,
                   'test, move, remove and copy of whole documents');

-- ---- a wide document: runs of untouched children around changes at every ordinal ----
SELECT is((SELECT count(*)
             FROM generate_series(1, 130, 3) AS size, unnest(ARRAY['1.5', '"s"', '{"x": [1]}']::jsonb[]) AS value,
                 unnest(ARRAY[0, 1, 31, 32, 33, 64, 129]) AS at,
                  LATERAL (SELECT (SELECT jsonb_agg(CASE WHEN i % 5 = 0 THEN 'null' ELSE value END)
                      FROM generate_series(1, size) AS i) AS a,
                                  (SELECT jsonb_object_agg('k' || i, CASE WHEN i % 5 = 0 THEN 'null' ELSE value END)
                                      FROM generate_series(1, size) AS i) AS o) AS d,
                  LATERAL (SELECT promote.jsonb_apply_patch(jsonb_build_array(a, o), jsonb_build_array(
                                      jsonb_build_object('op', 'add', 'path', '/0/' || Least(at, size), 'value',
                                          '"new"'::jsonb),
                                      jsonb_build_object('op', 'remove', 'path', '/0/' || Least(at / 2, size)),
                                      jsonb_build_object('op', 'add', 'path', '/1/n' || at, 'value', 2),
                                      jsonb_build_object('op', 'remove', 'path', '/1/k' || 1 + at % size))) AS result)
                                          AS r
            WHERE pg_temp.own_bytes(result) IS NOT TRUE
               OR result->0 <> jsonb_insert(a, ARRAY[Least(at, size)::text],
                   '"new"') #- ARRAY[Least(at / 2, size)::text]
               OR result->1 <> (o || jsonb_build_object('n' || at, 2)) - ('k' || 1 + at % size)),
          0::bigint, 'insertions and removals in containers of every size');

-- ---- many operations on a large document cost their ways, not its size ----
SELECT is(pg_temp.refusal($$
    SELECT promote.jsonb_apply_patch(document, patch)
      FROM (SELECT jsonb_object_agg('key' || i, (SELECT jsonb_agg(j) FROM generate_series(1, 1000) AS j)) AS document
          FROM generate_series(1, 100) AS i) AS d,
           (SELECT jsonb_agg(jsonb_build_object('op', (ARRAY['add', 'replace', 'copy'])[1 + i % 3], 'path',
               '/key' || 1 + i % 100 || '/' || i * 7919 % 1000,
                                                'from', '/key5/0', 'value', i)) AS patch
                                                    FROM generate_series(1, 3000) AS i) AS p$$), 'none',
    'thousands of operations on a large document');

-- ---- nested documents are compared in linear time ----
CREATE FUNCTION pg_temp.nested(depth integer, opening text, middle text, closing text) RETURNS jsonb LANGUAGE sql AS $$
SELECT (repeat(opening, depth) || middle || repeat(closing, depth))::jsonb
$$;
SELECT is(pg_temp.refusal(format('SELECT promote.jsonb_diff_patch(a, b), promote.jsonb_apply_patch(a, '
    'promote.jsonb_diff_patch(a, b)) = b FROM (SELECT pg_temp.nested(1500, %L, x || 1 || y, %L) AS a, '
    'pg_temp.nested(1500, %L, x || 2 || y, %L) AS b
                                    FROM (SELECT ''["'' || repeat(''x'', 1000000) || ''",'' AS x, '']'' AS y) AS t) AS '
                                        'd', a_open, a_close, b_open, b_close)), 'none', description)
  FROM (VALUES
    ('nested arrays', '[', ']', '[', ']'),
    ('nested arrays that are longer', '[', ']', '[', ',0]'),
    ('nested arrays that are shorter', '[1,', ']', '[', ']'),
    ('nested objects', '{"a":', ',"b":1}', '{"a":', ',"c":1}')) AS v(description, a_open, a_close, b_open, b_close);

-- ---- jsonb_merge_diff ----
SELECT is(promote.jsonb_merge_diff(a::jsonb, b::jsonb), patch::jsonb, format('the merge patch from %s to %s', a, b))
  FROM (VALUES
    ('{"a": 1}', '{"a": 1}', '{}'),
    ('{"a": 1.0}', '{"a": 1.00}', '{}'),
    ('{"a": 1, "b": 2}', '{"b": 3, "c": {"d": {}}}', '{"a": null, "b": 3, "c": {"d": {}}}'),
    ('{"a": {"b": 1, "c": {"d": 1}}, "e": {"f": 1}}', '{"a": {"b": 1, "c": {"d": 2}}, "e": {"f": 1}}',
        '{"a": {"c": {"d": 2}}}'),
    ('{"a": {"b": 1}}', '{"a": {}}', '{"a": {"b": null}}'),
    ('{"a": [1, 2]}', '{"a": [1, null, {"b": null}]}', '{"a": [1, null, {"b": null}]}'),
    ('{"a": null, "b": {"c": null, "d": 1}}', '{"a": null, "b": {"c": null, "d": 2}}', '{"b": {"d": 2}}'),
    ('{"a": [1]}', '{"a": {"b": 1}}', '{"a": {"b": 1}}'),
    ('1', '1', '1'),
    ('[1]', '[1]', '[1]'),
    ('{"a": 1}', 'null', 'null'),
    ('{"a": 1}', '[null]', '[null]'),
    ('null', '{}', '{}'),
    ('[1]', '{"a": [{"b": null}]}', '{"a": [{"b": null}]}')) AS v(a, b, patch);
SELECT is(pg_temp.refusal(format('SELECT promote.jsonb_merge_diff(%L, %L)', a, b)),
          'PM108 The null at ' || place || ' would have to be set, and in a merge patch null removes.',
              format('no merge patch from %s to %s', a, b))
  FROM (VALUES
    ('{}', '{"a": null}', '.a'),
    ('{"a": 1}', '{"a": null}', '.a'),
    ('{"a": {"b c": 1}}', '{"a": {"b c": null}}', '.a["b c"]'),
    ('{"a": [1]}', '{"a": {"b": 1, "cc": {"d": null}}}', '.a.cc.d'),
    ('1', '{"a": {"b": null}}', '.a.b')) AS v(a, b, place);

-- Can a merge patch make b of a?  Not where b has a null in objects only, and a has none there.
CREATE FUNCTION pg_temp.sayable(a jsonb, b jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF b IS NULL OR jsonb_typeof(b) <> 'object' THEN
        RETURN b IS NULL OR b <> 'null' OR a IS NOT DISTINCT FROM b;
    END IF;
    RETURN (SELECT COALESCE(bool_and(pg_temp.sayable(CASE WHEN jsonb_typeof(a) = 'object' THEN a->key END, value)),
        true) FROM jsonb_each(b));
END
$$;
CREATE FUNCTION pg_temp.merge_diff(a jsonb, b jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    RETURN promote.jsonb_merge_diff(a, b);
EXCEPTION WHEN SQLSTATE 'PM108' THEN
    RETURN NULL;
END
$$;
CREATE TEMP TABLE merged ON COMMIT DROP AS SELECT a, b, pg_temp.merge_diff(a, b) AS patch FROM pair;
SELECT cmp_ok((SELECT count(*) FROM merged WHERE patch IS NOT NULL AND patch <> b AND patch <> '{}'), '>', 200::bigint,
    'many of the pairs have a merge patch of their own');
SELECT is((SELECT count(*) FROM merged WHERE promote.jsonb_merge_patch(a, patch) <> b), 0::bigint,
    'merge_patch(a, merge_diff(a, b)) = b');
SELECT is((SELECT count(*) FROM merged
    WHERE (patch IS NOT NULL) IS DISTINCT FROM (b = 'null' OR pg_temp.sayable(a, b))), 0::bigint,
          'refused are the nulls that no merge patch can set, and nothing else');
SELECT is((SELECT count(*) FROM merged WHERE patch IS NOT NULL AND pg_temp.own_bytes(patch) IS NOT TRUE), 0::bigint,
    'merge patches have the bytes that PostgreSQL makes');
-- Smallest: without any one of its leaves it makes something else.
SELECT is((SELECT count(*)
             FROM (SELECT * FROM merged WHERE jsonb_typeof(a) = 'object'
                 AND jsonb_typeof(patch) = 'object' LIMIT 1500) AS m,
                  promote.jsonb_leaf_diff('{}', patch) AS leaf,
                  LATERAL (SELECT ARRAY(SELECT COALESCE(m[1]::text, '')
                      FROM regexp_matches(leaf.path, '\.([a-z]+)', 'g') AS m) AS way) AS w
            WHERE leaf.path ~ '^(\.[a-z]+)+$' AND promote.jsonb_merge_patch(a, patch #- way) = b), 0::bigint,
                'nothing in a merge patch is superfluous');
SELECT is(pg_temp.refusal($$SELECT promote.jsonb_merge_diff(pg_temp.nested(1500, '{"a":', x || 1 || y, '}'),
    pg_temp.nested(1500, '{"a":', x || 2 || y, '}'))
                              FROM (SELECT '["' || repeat('x', 1000000) || '",' AS x, ']' AS y) AS t$$), 'none',
                                  'nested objects have merge patches in linear time');

-- ---- layers ----
CREATE TEMP TABLE layer (n integer, document jsonb) ON COMMIT DROP;
INSERT INTO layer VALUES (4, '{"a": {"c": null}, "l": [3]}'), (1, NULL),
    (2, '{"a": {"b": 1, "c": 2}, "n": null, "l": [1]}'), (3, NULL), (5, '{"a": {"b": 5}}');
SELECT is(promote.jsonb_merge_patch_agg(document ORDER BY n), '{"a": {"b": 5}, "n": null, "l": [3]}',
    'merge patches on top of the first document') FROM layer;
SELECT is(promote.jsonb_deep_merge_agg(document ORDER BY n), '{"a": {"b": 5, "c": null}, "n": null, "l": [3]}',
    'documents on top of each other') FROM layer;
SELECT is(promote.jsonb_deep_merge_agg(document ORDER BY n DESC), '{"a": {"b": 1, "c": 2}, "n": null, "l": [1]}',
    'in the order that is asked for') FROM layer;
SELECT is(promote.jsonb_deep_merge_agg(document, 'append' ORDER BY n),
    '{"a": {"b": 5, "c": null}, "n": null, "l": [1, 3]}', 'with a rule for arrays') FROM layer;
SELECT is(promote.jsonb_merge_patch_agg(document), NULL, 'no layers: null') FROM layer WHERE document IS NULL;
SELECT is(promote.jsonb_deep_merge_agg(document), NULL, 'no layers: null') FROM layer WHERE false;
SELECT is((SELECT count(*) FROM (SELECT promote.jsonb_merge_patch_agg(d ORDER BY n) AS whole,
    promote.jsonb_merge_patch(promote.jsonb_merge_patch(a, b), c) AS steps
                                   FROM (SELECT row_number() OVER () AS pair, a, b, lag(a) OVER () AS c FROM pair) AS p,
                                       LATERAL (VALUES (1, a), (2, b), (3, c)) AS v(n, d)
                                  WHERE c IS NOT NULL GROUP BY pair, a, b, c) AS x WHERE whole IS DISTINCT FROM steps),
                                      0::bigint, 'an aggregate is its function again and again');
SELECT is((SELECT array_agg(DISTINCT aggcombinefn::oid) FROM pg_catalog.pg_aggregate
    WHERE aggfnoid::regproc::text ~ 'promote.jsonb_(merge_patch|deep_merge)_agg'), '{0}',
          'layers are never combined out of order');

SELECT * FROM finish();
ROLLBACK;
