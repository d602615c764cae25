-- Rolling whole environments back.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
\ir ../../fixtures/environment.sql
\ir ../../fixtures/as_role.sql

-- Gives all services of production a size and deploys it, but for those that are not named.
CREATE FUNCTION pg_temp.run(size integer, components text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM promote.configure_instance('shop-production-' || c, jsonb_build_object('size', size))
       FROM unnest(components) AS c;
    PERFORM pg_temp.work_all();
    PERFORM promote.deploy_environment('shop-production', components);
    PERFORM pg_temp.work_all();
END
$$;
CREATE FUNCTION pg_temp.sizes() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(COALESCE(c.params ->> 'size', '-'), ' ' ORDER BY i.component)
      FROM promote.instance AS i LEFT JOIN promote.revision AS r USING (project, environment, component, revision)
      LEFT JOIN promote.config AS c USING (project, digest) WHERE i.project = 'shop' AND i.environment = 'production'
$$;
SELECT count(*) FROM promote.tag_environment('shop-production', 'first') \g /dev/null
SELECT pg_temp.run(10, '{s1,s2}') \g /dev/null
CREATE TEMP TABLE moment ON COMMIT DROP AS SELECT clock_timestamp() AS at;
SELECT count(*) FROM promote.tag_environment('shop-production', 'second') \g /dev/null
SELECT pg_temp.run(20, '{s1,s2,s3}') \g /dev/null
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'new', 'service');
INSERT INTO promote.instance (project, environment, component) VALUES ('shop', 'production', 'new');
SELECT promote.configure_instance('shop-production-new', '{"size": 1}') \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT count(*) FROM promote.deploy_environment('shop-production', '{new}') \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.sizes(), '1 20 20 20 1 1 1', 'what is desired at first');

SELECT is(pg_temp.said($$preview_rollback_environment('shop-production', tag => 'second')$$),
    'new f - nothing_then it ran nothing in "shop-production@second"
s1 t 4 7 2
s2 t 4 7 2
s3 t 3 5 2
s4 f 1 - 0
s5 f 1 - 0
s6 f 1 - 0', 'a row for each component, with what becomes of it');
SELECT is(pg_temp.sizes(), '1 20 20 20 1 1 1', '... of which nothing is written');
SELECT is(p.diff, r.diff, 'the diff is that of rollback_instance')
  FROM promote.preview_rollback_environment('shop-production@second', components => '{s1}') AS p,
       promote.rollback_instance('shop-production-s1', 2) AS r;
SELECT promote.configure_instance('shop-production-s1', '{"size": 20}') \g /dev/null
SELECT pg_temp.previewed($$rollback_environment('shop-production', tag => 'second', components => '{s2,s3}')$$, 'some');
SELECT is(pg_temp.sizes(), '1 20 10 1 1 1 1', '... are what they were by the tag');
SELECT pg_temp.previewed(format('rollback_environment(%L, at => %L)', 'shop-production', at), 'a time') FROM moment;
SELECT is(pg_temp.sizes(), '1 10 10 1 1 1 1', '... goes back to what ran then');
SELECT pg_temp.previewed($$rollback_environment('shop-production@first', message => 'oh no')$$, 'a state');
SELECT is(pg_temp.sizes(), '1 1 1 1 1 1 1', '... behind the @ of the environment');
SELECT results_eq($$SELECT r.origin COLLATE "default", r.message, r.source_revision, r.version::text COLLATE "default"
    FROM promote.revision AS r JOIN promote.instance AS i USING (project, environment, component, revision)
    WHERE r.environment = 'production' AND r.component = 's1'$$, $$VALUES ('rollback', 'oh no', 1, '1.0.0')$$,
    'each is one more revision, by the release that ran then');
SELECT pg_temp.previewed($$rollback_environment('shop-production@first')$$, 'what is so already');
SELECT pg_temp.previewed($$rollback_environment('shop-production@second', plan => false)$$, 'without plans');

-- a request
INSERT INTO promote.environment (project, environment, require_proven_release) VALUES ('shop', 'other', false);
SELECT promote.open_request('shop', 'staging', 'production', '{"components": ["s4"]}',
    strategy => 'all_at_once') \g /dev/null
SELECT pg_temp.refuses(format('SELECT promote.rollback_environment(%s)', call), code, detail, call)
  FROM (VALUES ($$'shop-production', to_request => 1$$, 'PM606', 'was over'),
               ($$'shop-production', to_request => 9$$, 'PM002', 'leads there'),
               ($$'shop-other', to_request => 1$$, 'PM002', 'leads there')) AS v (call, code, detail);
SELECT pg_temp.preview(1), pg_temp.drain(1) \g /dev/null
SELECT pg_temp.run(30, '{s4}') \g /dev/null
SELECT is(pg_temp.sizes(), '1 10 10 1 30 1 1', 'after a request, and one more change');
SELECT pg_temp.previewed($$rollback_environment('shop-production', to_request => 1, components => '{s4,s5}')$$,
    'a request');
SELECT is(pg_temp.sizes(), '1 10 10 1 2 1 1', '... goes back to what ran when it was over');

-- what is refused
SELECT pg_temp.refuses(format('SELECT promote.%srollback_environment(%s)', p, call), code, detail, p || call)
  FROM (VALUES ($$'shop-production'$$, 'PM404', 'Neither a time'),
               ($$'shop-production@first', tag => 'second'$$, 'PM404', '2 are named'),
               ($$'shop-production', '2026-01-01', 1, 'first'$$, 'PM404', '3 are named'),
               ($$'shop-production', tag => 'none'$$, 'PM002', 'no tag of that name'),
               ($$'shop-production', tag => 'A b'$$, 'PM001', 'lower-case letter'),
               ($$'shop-production', at => '2999-01-01'$$, 'PM404', 'has not passed'),
               ($$'shop-production', at => 'infinity'$$, 'PM404', 'infinite'),
               ($$'shop-production', at => '2001-01-01'$$, 'PM404', 's1: it ran nothing'),
               ($$'shop-production@first', components => '{new}'$$, 'PM508', 'it ran nothing'),
               ($$'shop-production@first', components => '{none}'$$, 'PM002', 'selected: "none"'),
               ($$'shop-production@first', selector => '{"tenant": "none"}'$$, 'PM404', 'matches'),
               ($$'shop-moon@first'$$, 'PM002', 'moon'), ($$NULL, tag => 'first'$$, 'PM404', 'null'))
       AS v (call, code, detail), unnest(ARRAY['', 'preview_']) AS p;
SELECT pg_temp.refuses($$SELECT promote.rollback_environment('shop-production@first', components => '{s1}',
    expected_revision => '{"s1": 1}')$$, 'PM401', 'desired revision', 'what has moved');

-- what stands in the way is listed for all
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('service', '1.1.0', '{}');
SELECT pg_temp.run(40, '{s1,s2}') \g /dev/null
SELECT promote.block_release('service', '1.0.0', 'it leaks') \g /dev/null
SELECT pg_temp.refuses($$SELECT promote.rollback_environment('shop-production@second', components => '{s1,s2}')$$,
    'PM510', E's1.*is blocked: it leaks\n.*s2.*is blocked: it leaks', 'a blocked release');
SELECT pg_temp.previewed($$rollback_environment('shop-production@second', partial => true)$$, 'partial');

-- what was decommissioned since comes back
SELECT promote.unblock_release('service', '1.0.0') \g /dev/null
SELECT promote.decommission_instance('shop-production-s5') \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT results_eq($$SELECT component, code FROM promote.rollback_environment('shop-production@second',
    components => '{s5}')$$,
    $$VALUES ('s5', NULL::text)$$, 'what was decommissioned since ran then');

CREATE ROLE e_viewer;
SELECT promote.grant_action('e_viewer', 'view', 'shop') \g /dev/null
SELECT is(left(pg_temp.as_role('e_viewer', format('SELECT count(*) FROM promote.%srollback_environment(%L)', p,
    'shop-production@second')), 5), said, 'who sees it: ' || p)
  FROM (VALUES ('preview_', '7'), ('', 'PM701')) AS v (p, said);
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the chains are whole');

SELECT * FROM finish();
ROLLBACK;
