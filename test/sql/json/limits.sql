-- Documents as large and as deep as they get: the functions over jsonb give an answer or a clean error, can be
-- cancelled, and give their memory back.
SELECT no_plan();
\ir ../../fixtures/cpu.sql

CREATE FUNCTION pg_temp.outcome(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'ok';
EXCEPTION
    WHEN query_canceled THEN RETURN SQLSTATE;
    WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;

-- The most memory that this session ever had, in MB; NULL where the system does not tell.
CREATE FUNCTION pg_temp.most_memory() RETURNS integer LANGUAGE sql AS $$
SELECT (regexp_match(pg_read_file('/proc/' || pg_backend_pid() || '/status', 0, 10000, true),
    'VmHWM:\s+(\d+) kB'))[1]::integer / 1024
$$;
CREATE FUNCTION pg_temp.memory_now() RETURNS bigint LANGUAGE sql AS $$
SELECT sum(total_bytes)::bigint FROM pg_backend_memory_contexts
$$;
CREATE FUNCTION pg_temp.needed_less_than(mb integer, before integer, what text) RETURNS text LANGUAGE sql AS $$
SELECT CASE WHEN before IS NULL THEN pass(what || ' (this system does not tell)')
    ELSE cmp_ok(pg_temp.most_memory() - before, '<', mb, what) END
$$;

-- ---- one string of five megabytes ----
CREATE TEMP TABLE long AS SELECT to_jsonb(repeat('{{', 2500000)) AS braces, to_jsonb(repeat('{{l}}', 1000000)) AS lists,
       to_jsonb(repeat('x', 5000000)) AS plain;
SELECT pg_temp.most_memory() AS before \gset
SELECT is(pg_temp.outcome('SELECT promote.jsonb_render(braces, ''{}'') FROM long'),
    'PM105 the placeholders cannot be rendered', 'millions of braces without a name are refused');
SELECT is(pg_temp.outcome('SELECT promote.jsonb_render(lists, ''{"l": []}'') FROM long'),
    'PM105 the placeholders cannot be rendered', 'so is a list as a part of a string, a million times');
SELECT pg_temp.needed_less_than(200, :before, 'what is not told takes no memory');
SET statement_timeout = '5min';
SELECT format('SELECT is(pg_temp.outcome(%L), ''PM105 the placeholders cannot be rendered'', %L)',
              format('SELECT promote.jsonb_render(jsonb_build_object(repeat(''k'', 5000000), %s), ''{"l": []}'')',
                  strings), 'problems at places with very long names: ' || strings)
  FROM unnest(ARRAY['(SELECT jsonb_agg(''{{'' || i) FROM generate_series(1, 1000) i)', 'repeat(''{{'', 100000)',
      'repeat(''{{l}}'', 100000)']) AS strings \gexec
RESET statement_timeout;
SELECT pg_temp.needed_less_than(200, :before, 'take no memory either');
SELECT is(promote.jsonb_deep_merge('{"a": 1}', jsonb_build_object('b', plain)), jsonb_build_object('a', 1, 'b', plain),
    'merged') FROM long;
SELECT is(promote.jsonb_digest(plain), sha256(convert_to('"' || repeat('x', 5000000) || '"', 'UTF8')), 'hashed')
    FROM long;
SELECT is((SELECT row(d.*)::text FROM promote.jsonb_leaf_diff(plain, '1') d),
    format('(.,change,%s,1)', quote_ident(plain::text)), 'compared') FROM long;
SELECT is(promote.jsonb_render(jsonb_build_array(plain, '{{x}}'), jsonb_build_object('x', plain)),
    jsonb_build_array(plain, plain), 'rendered') FROM long;
SELECT pg_temp.most_memory() AS before \gset
SELECT is(pg_temp.outcome(format('SELECT promote.jsonb_render(%s, jsonb_build_object(''x'', plain)) FROM long',
    document)), state, 'rendered to more than fits: ' || document)
  FROM (VALUES ('to_jsonb(array_fill(''{{x}}''::text, ARRAY[54]))',
      '54000 total size of jsonb array elements exceeds the maximum of 268435455 bytes'),
               ('to_jsonb(repeat(''a{{x}}'', 54))', '22001 string too long to represent as jsonb string'),
               ('to_jsonb(repeat(''{{x}}'', 1000))', '22001 string too long to represent as jsonb string')) AS
                   too_much(document, state);
SELECT pg_temp.needed_less_than(700, :before, 'and refused before it takes gigabytes');

-- ---- a million keys ----
-- Made in parts, for PostgreSQL needs twenty times the memory to build an object that it needs to keep it.
CREATE TEMP TABLE wide (keys jsonb, others jsonb, named jsonb, placeholders jsonb);
ALTER TABLE wide ALTER keys SET STORAGE external, ALTER others SET STORAGE external, ALTER named SET STORAGE external,
    ALTER placeholders SET STORAGE external;
DO $$
DECLARE
    w wide := row('{}', '{}', '[]', '{"a": "{{key7}}"}');
    part record;
BEGIN
    FOR i IN 0 .. 24 LOOP
        SELECT jsonb_object_agg('key' || j, j) AS keys, jsonb_object_agg('key' || j, j + 1) AS others,
            jsonb_agg(jsonb_build_object('name', j)) AS named
          INTO part FROM generate_series(i * 40000 + 1, (i + 1) * 40000) j;
        w.keys := promote.jsonb_deep_merge(w.keys, part.keys);
        w.others := promote.jsonb_deep_merge(w.others, part.others);
        w.named := promote.jsonb_deep_merge(w.named, part.named, 'append');
    END LOOP;
    w.placeholders := promote.jsonb_deep_merge(w.keys, w.placeholders);
    INSERT INTO wide SELECT w.*;
END
$$;
CREATE TEMP TABLE call (call text, state text);
INSERT INTO call (call, state) VALUES
    ('jsonb_deep_merge(keys, others)', 'ok'), ('jsonb_merge_patch(keys, others)', 'ok'),
        ('jsonb_deep_merge(named, named, ''name'')', 'ok'),
    ('jsonb_deep_merge(named, named, ''append'')', 'ok'), ('jsonb_digest(keys)', 'ok'),
    ('jsonb_leaf_diff(keys, others)', 'ok'), ('jsonb_render(placeholders, keys)', 'ok'),
    ('jsonb_render(placeholders, ''{}'')', 'PM105 the placeholders cannot be rendered'),
    ('jsonb_filter_copyable(keys, ''{"additionalProperties": {"$md.copyable": false}}'')', 'ok'),
    ('jsonb_filter_copyable(named, ''{"items": {"properties": {"name": {"$md.copyable": false}}}}'')', 'ok'),
    ('compose_params(keys, others, ''{"properties": {"key7": {"$md.copyable": false}}}'')',
        'PM102 the destination params are too large'),
    ('check_params(keys)', 'PM102 the params are too large'),
        ('jsonb_schema_valid(keys, ''{"patternProperties": {"5$": {"type": "number"}}}'')', 'ok'),
    ('jsonb_schema_valid(named, ''{"uniqueItems": true}'')', 'ok'),
        ('jsonb_schema_errors(keys, ''{"additionalProperties": false}'')', 'ok');

-- Some schemas stay compiled, and those here are small.
CREATE FUNCTION pg_temp.called(call text, expected text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    statement text := format('SELECT count(x) FROM (SELECT promote.%s AS x FROM wide OFFSET 0) w', call);
    before bigint := pg_temp.memory_now();
BEGIN
    RETURN NEXT is(pg_temp.outcome(statement), expected, 'a million keys: ' || call);
    RETURN NEXT cmp_ok(pg_temp.memory_now() - before, '<', 1000000::bigint, 'gives its memory back');
END
$$;
SELECT pg_temp.most_memory() AS before \gset
SELECT pg_temp.called(call, state) FROM call;
SELECT pg_temp.needed_less_than(700, :before, 'and none needs very much of it');

-- A call computes for no more than a second until it is cancelled, or is over by then.  It is followed by a pause, for
-- the cancellation not to come where nothing catches it.
CREATE FUNCTION pg_temp.cancelled(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    began float8 := pg_temp.cpu_seconds();
    state text := pg_temp.outcome(format('SELECT count(x), pg_sleep(5) FROM (SELECT promote.%s AS x FROM wide OFFSET '
        '0) w', call));
BEGIN
    RETURN cmp_ok(pg_temp.cpu_seconds() - began, '<', 1.1::float8, 'cancelled: ' || call || ', ' || left(state, 5));
END
$$;
SET statement_timeout = '100ms';
SELECT format('SELECT pg_temp.cancelled(%L)', call) FROM call WHERE state = 'ok' \gexec
RESET statement_timeout;

-- ---- ten thousand levels ----
CREATE TEMP TABLE deep (objects jsonb, arrays jsonb);
CREATE FUNCTION pg_temp.make_deep() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    -- PostgreSQL's parser needs more stack for it than there is by default
    SET LOCAL max_stack_depth = '7MB';
    INSERT INTO deep SELECT (repeat('{"a":', 10000) || '"{{x}}"' || repeat('}', 10000))::jsonb,
        (repeat('[', 10000) || '1' || repeat(']', 10000))::jsonb;
    RETURN count(*) FROM deep;
END
$$;
SELECT pg_temp.outcome('SELECT pg_temp.make_deep()') AS made \gset
SELECT is(:'made'::text, 'ok', 'documents of ten thousand levels');
SELECT matches(pg_temp.outcome(format('SELECT set_config(''max_stack_depth'', %L, true), x FROM (SELECT promote.%s AS '
    'x FROM deep) d', stack, call)),
               '^(ok$|54001 |PM10[1256] )', 'ten thousand levels in a stack of ' || stack || ': ' || call)
  FROM unnest(ARRAY['100kB', '2MB', '7MB']) AS stack,
       unnest(ARRAY['jsonb_deep_merge(objects, objects)', 'jsonb_deep_merge(arrays, arrays)',
           'jsonb_deep_merge(arrays, arrays, ''append'')',
                    'jsonb_deep_merge(objects, objects, ''name'')', 'jsonb_merge_patch(objects, objects)',
                        'jsonb_merge_patch(''{}'', objects)',
                    'jsonb_digest(objects)', 'jsonb_canonical(arrays)', 'jsonb_leaf_diff(objects, arrays)',
                        'jsonb_leaf_diff(objects, ''{}'')',
                    'jsonb_render(objects, ''{"x": 1}'')', 'jsonb_render(objects, objects)',
                        'jsonb_filter_copyable(objects, ''{}'')',
                    'jsonb_filter_copyable(objects, ''{"additionalProperties": {"$ref": "#"}, "properties": {"b": '
                        '{"$md.copyable": false}}}'')',
                    'jsonb_filter_copyable(arrays, ''{"items": {"$ref": "#"}, "contains": {"$md.copyable": false}}'')',
                    'compose_params(objects, objects, ''{}'')', 'check_params(objects)', 'check_params(arrays)',
                    'jsonb_schema_valid(objects, ''{"additionalProperties": {"$ref": "#"}}'')',
                        'jsonb_schema_errors(arrays, ''{"items": {"$ref": "#"}}'')',
                    'jsonb_schema_valid(''1'', objects)',
                        'jsonb_schema_check(jsonb_build_object(''properties'', objects))',
                    'jsonb_schema_valid(objects, jsonb_build_object(''enum'', jsonb_build_array(objects)))']) AS call;

-- What is wrong at a place is spelled when almost all of the stack is used already.
SELECT matches(pg_temp.outcome(format('SELECT set_config(''max_stack_depth'', ''7680kB'', true), '
    'promote.jsonb_render((repeat(''{"a":'', %s) || ''"x{{x}}"'' || repeat(''}'', %1$s))::jsonb, ''{"x": []}'')',
    levels)),
               '^(54001 |PM105 |22023 )', 'a problem ' || levels || ' levels down')
  FROM generate_series(8000, 13000, 100) AS levels;

-- ---- the limits of the format: the errors are PostgreSQL's own ----
-- Two strings that fill an array with its header and entries to the last byte but three.
CREATE TEMP TABLE half AS SELECT jsonb_build_array(repeat('x', 134217720)) AS a;
CREATE FUNCTION pg_temp.both(ours text, theirs text, what text) RETURNS text LANGUAGE sql AS $$
SELECT is(pg_temp.outcome('SELECT ' || ours || ' FROM half'),
          (SELECT o FROM pg_temp.outcome('SELECT ' || theirs || ' FROM half') o WHERE o LIKE '54000 %'), what)
$$;
SELECT is(pg_column_size(promote.jsonb_deep_merge(a, a, 'append')), 268435456, 'an array as large as they get')
    FROM half;
SELECT pg_temp.both($$promote.jsonb_deep_merge(a, a || 'null', 'append')$$, $$a || a || 'null'$$,
    'an array whose entries are too much');
SELECT pg_temp.both($$promote.jsonb_merge_patch(jsonb_build_object('k', a), jsonb_build_object('l', a))$$,
                    $$jsonb_build_object('k', a) || jsonb_build_object('l', a)$$, 'an object that is too large');
DROP TABLE half;

-- PostgreSQL's own builder fails to get the memory long before it gets to its limit.
CREATE FUNCTION pg_temp.many(times integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    many jsonb := '[null]';
BEGIN
    FOR i IN 1 .. times LOOP
        many := promote.jsonb_deep_merge(many, many, 'append');
    END LOOP;
    RETURN jsonb_array_length(many);
END
$$;
SELECT is(pg_temp.many(24), '16777216', 'sixteen million elements');
SELECT is(pg_temp.outcome('SELECT pg_temp.many(25)'),
    '54000 number of jsonb array elements exceeds the maximum allowed (33554431)', 'too many elements');

SELECT * FROM finish();
