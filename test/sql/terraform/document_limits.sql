-- Plans that would want far more memory than they are long. They are made in a session before, for what is measured is
-- the most that a session ever had.
CREATE FUNCTION pg_temp.plan(change jsonb) RETURNS jsonb LANGUAGE sql AS $$
SELECT jsonb_build_object('format_version', '1.2', 'resource_changes',
    jsonb_build_array(jsonb_build_object('address', 'a.b', 'change', '{"actions": ["create"]}' || change)))
$$;
CREATE TABLE large (what text, plan jsonb, params jsonb);
INSERT INTO large
SELECT 'numbers', pg_temp.plan(jsonb_build_object('after', jsonb_build_object('x', jsonb_agg((i || 'e100000')::jsonb)),
    'after_sensitive', '{"x": true}'::jsonb))
  FROM generate_series(1, 2000) AS i;
INSERT INTO large
SELECT 'paths', pg_temp.plan(jsonb_build_object('replace_paths', jsonb_agg('[]'::jsonb)))
    FROM generate_series(1, 300000);
INSERT INTO large
SELECT 'secrets', pg_temp.plan('{}'), jsonb_build_object('x', jsonb_agg('secret-' || i))
    FROM generate_series(1, 200000) AS i;
INSERT INTO large
SELECT 'keys', pg_temp.plan(jsonb_build_object('after', jsonb_object_agg('k' || i, i))), '{"x": "k1"}'
    FROM generate_series(1, 200000) AS i;
INSERT INTO large
SELECT 'leaves', jsonb_agg(jsonb_build_object('path', '.k' || i, 'change', 'add', 'new', i))
    FROM generate_series(1, 200000) AS i;
\c -
SELECT no_plan();

-- The most memory that this session ever had, in MB; NULL where the system does not tell.
CREATE FUNCTION pg_temp.most_memory() RETURNS integer LANGUAGE sql AS $$
SELECT (regexp_match(pg_read_file('/proc/' || pg_backend_pid() || '/status', 0, 10000, true),
    'VmHWM:\s+(\d+) kB'))[1]::integer / 1024
$$;
-- A server that was built to check itself keeps more with each piece of memory.
CREATE FUNCTION pg_temp.needed_less_than(mb integer, before integer, what text) RETURNS text LANGUAGE sql AS $$
SELECT CASE WHEN before IS NULL THEN pass(what || ' (this system does not tell)')
    ELSE cmp_ok(pg_temp.most_memory() - before, '<', CASE WHEN current_setting('debug_assertions')::boolean THEN 4
        ELSE 1 END * mb, what) END
$$;
-- How many changes a plan has.
CREATE FUNCTION pg_temp.changes(name text) RETURNS bigint LANGUAGE sql AS $$
SELECT count(*) FROM large AS l, promote.plan_document_changes(l.plan, l.params,
    '{"properties": {"x": {"$md.sensitive": true}}}') WHERE l.what = name
$$;

SELECT pg_temp.most_memory() AS before \gset
SELECT is(pg_temp.changes('numbers'), 1::bigint, 'secrets that are long numbers');
SELECT pg_temp.needed_less_than(40, :'before', '... need no more memory than they take in the document');
SELECT ok(c.diff::text LIKE '%"path": ".y"%' AND c.diff::text NOT LIKE '%000%', '... and are found by their value')
  FROM promote.plan_document_changes('{"format_version": "1.2", "resource_changes": [{"address": "a.b", "change": '
      '{"actions": ["create"],
      "after": {"x": 1e2000, "y": 10e1999}, "after_sensitive": {"x": true}}}]}', NULL, NULL) AS c;
SELECT is(pg_temp.changes('paths'), 1::bigint, 'paths that force replacement');
SELECT pg_temp.needed_less_than(80, :'before', '... need no more than what is shown of them');
SELECT is(length(promote.format_diff(plan, false)), 4088942, 'the text of many leaves') FROM large
    WHERE what = 'leaves';
SELECT pg_temp.needed_less_than(80, :'before', '... needs what it is long');
SELECT is(pg_temp.changes('keys'), 1::bigint, 'leaves whose paths may hold a secret');
SELECT pg_temp.needed_less_than(150, :'before', '... need no more than they do otherwise');
SELECT is(pg_temp.changes('secrets'), 1::bigint, 'many secrets in all spellings');
SELECT pg_temp.needed_less_than(250, :'before', '... need what these take');

SELECT * FROM finish();
