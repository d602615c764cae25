-- Values by their paths.
BEGIN;
SELECT no_plan();

SELECT is(promote.jsonb_at_path('{"a": [{"b c": 1}], "é\"x": {}, "n": null}', path), expected::jsonb, path)
  FROM (VALUES ('.', '{"a": [{"b c": 1}], "é\"x": {}, "n": null}'), ('.a', '[{"b c": 1}]'), ('.a[0]["b c"]', '1'),
      ('.["é\"x"]', '{}'), ('.["\u00e9\"x"]', '{}'), ('.n', 'null'),
               ('.b', NULL), ('.a[1]', NULL), ('.a[99999999999999999999]', NULL), ('.a.b', NULL), ('.[0]', NULL),
                   ('.n.x', NULL), ('.["a"]', '[{"b c": 1}]')) AS v(path, expected);
SELECT is(promote.jsonb_at_path('[1, 2]', '.[1]'), '2', 'in an array');
SELECT is(promote.jsonb_at_path('3', '.'), '3', 'of a scalar');
SELECT is(promote.jsonb_at_path('3', '.[0]'), NULL, 'which is no array');
SELECT throws_ok(format('SELECT promote.jsonb_at_path(''{}'', %L)', path), '22023', 'not a path', 'no path: ' || path)
  FROM unnest(ARRAY['', 'a', '..', '.a.', '.a[', '.a[x]', '.a[1', '.a["x', '.a["x\"', '.a["x"', '.1a', '.a-b', '.a]',
      '.[]', '.é', '.a["x"y]']) AS path;
SELECT is(count(*), 0::bigint, 'a diff''s paths lead to its values')
    FROM promote.jsonb_leaf_diff('{"x": 1}', '{"a": {"b.c": [1, {"\n\"\\": 2}], "": [{}], "é": []}, "0": null}') AS d
 WHERE promote.jsonb_at_path(CASE WHEN change = 'remove' THEN '{"x": 1}'
     ELSE '{"a": {"b.c": [1, {"\n\"\\": 2}], "": [{}], "é": []}, "0": null}' END::jsonb,
     path) IS DISTINCT FROM COALESCE(new_value, old_value);

SELECT * FROM finish();
ROLLBACK;
