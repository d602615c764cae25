-- Tags of environments, and what stands behind the @ of an environment's name.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql

-- ---- tagging ----
SELECT results_eq($$SELECT * FROM promote.tag_environment('shop-production', 'before', 'as it was')$$,
    $$SELECT i.component::text COLLATE "default", i.revision, i.deployed_revision, i.deployed_by, '1.0.0'
        FROM promote.instance AS i WHERE i.project = 'shop' AND i.environment = 'production' ORDER BY 1$$,
    'a row for each instance: what it desires and what it runs');
SELECT results_eq($$SELECT tag::text COLLATE "default", state -> 's1', message,
    actor COLLATE "default" FROM promote.environment_tag$$,
    $$VALUES ('before', '{"desired": 1, "revision": 1, "deployment": 2}'::jsonb, 'as it was',
        current_user::text COLLATE "default")$$,
    '... which is kept by that name, with who has said so');
SELECT results_eq($$SELECT component, desired, revision FROM promote.tag_environment('shop-staging',
    'before') LIMIT 1$$,
    $$VALUES ('s1', 1, NULL::integer)$$, 'each environment has its own; nothing runs there');
SELECT results_eq($$SELECT event COLLATE "default", data -> 'after' ->> 'tag',
    data -> 'after' ->> 'message' FROM promote.audit_log
                      WHERE event ~ 'environment_tag' ORDER BY subject$$,
    $$VALUES ('environment_tag.inserted', 'before', 'as it was'), ('environment_tag.inserted', 'before', NULL)$$,
    'a tag is recorded');
SELECT promote.configure_instance('shop-production-s1', '{"size": 9}') \g /dev/null
SELECT pg_temp.refuses($$SELECT promote.tag_environment('shop-production', 'before')$$, 'PM406', 'stays what it is',
    'a name that is taken');
SELECT is(state -> 's1' ->> 'desired', '1', '... what it says stays')
  FROM promote.environment_tag WHERE environment = 'production';
SELECT count(*) FROM promote.tag_environment('shop-production', 'before', replace => true) \g /dev/null
SELECT results_eq($$SELECT state -> 's1' ->> 'desired', message FROM promote.environment_tag
                     WHERE environment = 'production'$$, $$VALUES ('2', NULL)$$, '... unless it is to be replaced');
SELECT is(count(*), 1::bigint, '... which is recorded, too') FROM promote.audit_log
 WHERE event = 'environment_tag.updated';
SELECT pg_temp.refuses($$UPDATE promote.environment_tag SET state = '{}'$$, 'PM303', 'never changes',
    'a tag cannot be written by hand');
SELECT pg_temp.refuses($$DELETE FROM promote.environment_tag$$, 'PM303', 'never changes', '... nor deleted');
SELECT pg_temp.refuses($$INSERT INTO promote.environment_tag (project, environment, tag, state)
    VALUES ('shop', 'dev', 'x', '{}')$$, 'PM303', 'never changes', '... nor inserted');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the log has them all');

-- ---- what is refused ----
SELECT pg_temp.refuses(format('SELECT promote.tag_environment(%L, %L)', e, t), code, detail, e || ' ' || t)
  FROM (VALUES ('shop-production', 'Now', 'PM001', 'lower-case letter'), ('shop-production', '2026', 'PM001', 'begin'),
               ('shop-production', 'a b', 'PM001', 'a character other'),
               ('shop-production', repeat('t', 64), 'PM001', 'longer than 63'),
               ('shop-production@before', 'x', 'PM404', 'nothing changes that'), ('shop', 'x', 'PM001', 'two parts'),
               ('shop-nowhere', 'x', 'PM002', 'no environment "nowhere"'), ('none-x', 'x', 'PM002',
                   'no project "none"'),
               ('shop-dev', 'x', 'PM002', 'no instances'), ('shop-production', '', 'PM404', 'empty')) AS v (e, t, code,
                   detail);
SELECT pg_temp.refuses('SELECT promote.tag_environment(NULL, $$x$$)', 'PM404', 'null', 'no environment');

-- ---- states ----
CREATE FUNCTION pg_temp.state(tag text, at timestamptz DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', desired, COALESCE(revision::text, '-'), deployment, version)
      FROM promote_internal.environment_state('shop', 'production', $1, $2) WHERE component = 's1'
$$;
SELECT is(pg_temp.state(NULL), '2 1 2 1.0.0', 'now: the state that is');
SELECT is(pg_temp.state('before'), '2 1 2 1.0.0', 'by a tag: what it says');
SELECT is(pg_temp.state(NULL, clock_timestamp()), '2 1 2 1.0.0', 'by a time: what was the last by then');
SELECT is(pg_temp.state(NULL, (SELECT started_at FROM promote.deployment WHERE environment = 'production'
    AND component = 's1' AND deployment = 2)), '1 -', '... of which what had not ended yet does not run');
SELECT is(pg_temp.state(NULL, '2000-01-01'), '-', '... and before everything nothing is there');

SELECT pg_temp.refuses(format('SELECT promote.preview_promote_environment(%L, %L)', n, 'shop-production'), code,
    detail, n)
  FROM (VALUES ('shop-staging@nothing', 'PM002', 'no tag of that name'), ('shop-staging@', 'PM001', 'is empty'),
               ('shop-staging@20-11-2026', 'PM001', 'not with a date'),
               ('shop-staging@2026-13-40', 'PM001', 'It is no time'),
               ('shop-staging@2026-01-01 infinity', 'PM001', 'infinite|It is no time'), -- since PostgreSQL 16
               ('shop-staging@2999-01-01', 'PM404', 'has not passed'), ('shop-staging@a@b', 'PM001',
                   'a character other'))
       AS v (n, code, detail);

-- ---- generations ----
CREATE FUNCTION pg_temp.opened(size integer) RETURNS bigint LANGUAGE sql AS $$
    SELECT promote.fork_environment('shop-production', 'shop-pr', components => '{s1}', plan => false,
        overrides => format('{"s1": {"size": %s}}', size)::jsonb);
    SELECT count(*) FROM promote.tag_environment('shop-pr', 'first')
$$;
CREATE FUNCTION pg_temp.first() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(d ->> 'new', ' ') FROM promote.preview_promote_environment('shop-pr@first', 'shop-staging',
        source_state => 'desired'), jsonb_array_elements(diff) AS d WHERE component = 's1' AND d ->> 'path' = '.size'
$$;
SELECT is(pg_temp.opened(71), 1::bigint, 'a tag of an environment');
SELECT is(pg_temp.first(), '71', '... is what it says');
SELECT promote.archive_environment('shop-pr') \g /dev/null
SELECT promote.fork_environment('shop-production', 'shop-pr', components => '{s1}', plan => false) \g /dev/null
SELECT pg_temp.refuses('SELECT promote.' || call, 'PM002', 'no tag of that name', 'of the next generation, ' || call)
  FROM unnest(ARRAY[$$preview_promote_environment('shop-pr@first', 'shop-staging')$$,
    $$preview_rollback_environment('shop-pr', tag => 'first')$$,
    $$preview_fork_environment('shop-pr@first', 'shop-x')$$,
    $$compare_environments('shop-pr@first', 'shop-staging')$$]) AS call;
SELECT promote.archive_environment('shop-pr') \g /dev/null
SELECT is(pg_temp.opened(72), 1::bigint, 'its name is free again');
SELECT is(pg_temp.first(), '72', '... and means the new one');
SELECT pg_temp.refuses($$SELECT promote.tag_environment('shop-pr', 'first')$$, 'PM406', 'stays what it is',
    '... of which it is taken then');
SELECT results_eq($$SELECT generation, state -> 's1' ->> 'desired' FROM promote.environment_tag WHERE environment = 'pr'
    ORDER BY 1$$, $$VALUES (1, '1'), (3, '5')$$, 'both are there');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'and in the log');

SELECT * FROM finish();
ROLLBACK;
