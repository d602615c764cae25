-- Promoting whole environments.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
\ir ../../fixtures/environment.sql

-- ---- what it does ----
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'a_here', 'service'),
    ('shop', 'a_there', 'service'), ('shop', 'z_new', 'service'), ('shop', 'nowhere', 'service');
INSERT INTO promote.instance (project, environment, component) VALUES ('shop', 'staging', 'a_here'),
    ('shop', 'production', 'a_there'), ('shop', 'staging', 'z_new'), ('shop', 'production', 'z_new');
CREATE TEMP TABLE before ON COMMIT DROP AS SELECT count(*) FROM promote.revision;
SELECT is(pg_temp.said($$preview_promote_environment('shop-staging', 'shop-production', '{"s2": {"size": 5}}')$$),
    'a_here f - no_instance it has no instance in "production"
a_there f - no_instance it has no instance in "staging"
s1 t 2 3 2
s2 t 2 3 2
s3 t 2 3 2
s4 t 2 3 2
s5 t 2 3 2
s6 t 2 3 2
z_new f - unconfigured "shop-staging-z_new" has no configuration yet',
    'a row for each component that one of the environments has, with what becomes of it');
SELECT is((SELECT count(*) FROM promote.revision), (SELECT count FROM before), '... of which nothing is written');
SELECT pg_temp.previewed($$promote_environment('shop-staging', 'shop-production', '{"s2": {"size": 5}}')$$, 'all');
SELECT is((SELECT count(*) FROM promote.revision), 6 + (SELECT count FROM before), '... and done');
SELECT results_eq($$SELECT component::text COLLATE "default", params - 'password' FROM promote.revision
    JOIN promote.config
    USING (project, digest) WHERE environment = 'production' AND component IN ('s1', 's2') AND revision = 2$$,
    $$VALUES ('s1', '{"own": 1, "size": 2}'::jsonb), ('s2', '{"own": 2, "size": 5}')$$,
    'each gets the source''s params, its own overrides, and keeps what is its own');
SELECT is(diff, (SELECT diff FROM promote.promote_instance('shop-staging-s1', 'shop-production-s1')),
    'the diff is that of promote_instance')
  FROM promote.preview_promote_environment('shop-staging', 'shop-production', components => '{s1}');
SELECT pg_temp.previewed($$promote_environment('shop-staging', 'shop-production', '{"s2": {"size": 5}}')$$, 'again');
SELECT is(pg_temp.said($$promote_environment('shop-staging', 'shop-production', components => '{s1}')$$),
    's1 f 2 - 2', 'what is the same stays as it is');

-- ---- a preview writes nothing ----
SAVEPOINT reading;
SET LOCAL transaction_read_only = on;
SELECT count(*) FROM promote.preview_promote_environment('shop-staging', 'shop-production', '{"s2": {"size": 9}}',
    copy_remote_references => true) \gset promoted_
SELECT count(*) FROM promote.preview_deploy_environment('shop-production', '{s1}') \gset deployed_
SELECT count(*) FROM promote.preview_rollback_environment('shop-production', clock_timestamp(), components => '{s1}')
    \gset back_
ROLLBACK TO reading;
SELECT is(:promoted_count::text || :deployed_count || :back_count, '911',
    'previews answer where nothing can be written');

-- ---- narrower ----
SELECT is(pg_temp.said(format('preview_promote_environment(%L, %L, %s)', 'shop-staging', 'shop-production', rest)),
    said,
    rest)
  FROM (VALUES ($$components => '{s6,s1}', overrides => '{"s1": {"size": 3}}'$$, E's1 t 3 4 2\ns6 f 2 - 2'),
               ($$selector => '{"tenant": "acme"}', overrides => '{"s1": {"size": 3}}'$$, E's1 t 3 4 2\ns2 t 3 4 2'),
               ($$components => '{s1,s3}', selector => '{"tenant": "acme"}', overrides => '{"s1": {"size": 3}}'$$,
                   E's1 t 3 4 2\ns3 f - selector its attributes do not match the selector'),
               ($$components => '{s1}', overrides => '{"s1": {"size": 3}}', plan => false$$, 's1 t 3 - 2'),
               ($$components => '{s1,s3}', overrides => '{"s3": {"size": 3}}', "only" => '{.password}'$$,
                   E's1 f 2 - 2\ns3 t 3 4 2'),
               ($$components => '{s1}', mode => 'merge', overrides => '{"s1": {"size": 4}}'$$, 's1 t 3 4 2'),
               ($$components => '{s1}', preset => 'none', partial => true$$,
                   's1 f - PM002 release 1.0.0 of bundle "service" has no preset "none": It has no presets.'),
               ($$components => '{s1}', source_state => 'running'$$,
                   's1 f - PM508 "shop-staging-s1" runs nothing that could be promoted: The call has '
                   'source_state => ''running'', and the source is not provisioned.'),
               ($$components => '{s1}', pin => true$$,
                   's1 f - PM508 "shop-staging-s1" runs no release that a promotion could be pinned to: The call has '
                   'pin, and the source is not provisioned.')) AS v (rest, said);

-- ---- refusals ----
SELECT pg_temp.refuses($$SELECT promote.promote_environment('shop-staging', 'shop-production',
    '{"s1": {"size": 101}, "s2": {"size": 3}, "s3": {"size": "x"}}')$$, 'PM103',
    E'shop-production-s1: the params .*\nPM103 shop-production-s3: the params', 'all violations together');
SELECT is((SELECT max(revision) FROM promote.instance WHERE environment = 'production'), 2,
    '... and nothing is written');
SELECT pg_temp.previewed($$promote_environment('shop-staging', 'shop-production',
    '{"s1": {"size": 101}, "s2": {"size": 3}, "s3": {"size": "x"}}', partial => true)$$, 'partial');
SELECT is((SELECT string_agg(revision::text, ' ' ORDER BY component) FROM promote.instance
    WHERE environment = 'production' AND component ~ '^s'), '2 3 2 2 2 2', '... which is done without them');
SELECT pg_temp.refuses(format('SELECT promote.%spromote_environment(%s)', p, call), code, detail, p || call)
  FROM (VALUES ($$'shop-staging', 'other-production'$$, 'PM004', 'of project "other"'),
               ($$'shop-staging', 'shop-staging'$$, 'PM003', 'the same environment'),
               ($$'shop-staging@x', 'shop-staging'$$, 'PM003', 'the same environment'),
               ($$'shop-staging', 'shop-production@x'$$, 'PM404', 'nothing changes that'),
               ($$'shop-nowhere', 'shop-production'$$, 'PM002', 'no environment "nowhere"'),
               ($$'shop-staging', 'shop-nowhere'$$, 'PM002', 'no environment "nowhere"'),
               ($$'shop-staging', 'shop-production', selector => '{"tenant": "none"}'$$, 'PM404', 'matches'),
               ($$'shop-staging', 'shop-production', selector => '[]'$$, 'PM101', 'array'),
               ($$'shop-staging', 'shop-production', components => '{none,s1}'$$, 'PM002', 'selected: "none"'),
               ($$'shop-staging', 'shop-production', components => '{}'$$, 'PM404', 'empty'),
               ($$'shop-staging', 'shop-production', components => '{NULL}'$$, 'PM404', 'null'),
               ($$'shop-staging', 'shop-dev'$$, 'PM404', 'no instance in "dev"'),
               ($$'shop-staging', 'shop-production', '{"none": {}}'$$, 'PM404', '"none" is not in the scope'),
               ($$'shop-staging', 'shop-production', '{"a_here": {}}'$$, 'PM404', 'left out: it has no instance'),
               ($$'shop-staging', 'shop-production', '{"s1": {}}', '{s2}'$$, 'PM404', '"s1" is not in the scope'),
               ($$'shop-staging', 'shop-production', '{"s1": 1}'$$, 'PM101', 'neither an object nor an array'),
               ($$'shop-staging', 'shop-production', '[]'$$, 'PM101', 'array'),
               ($$'shop-staging', 'shop-production', expected_revision => '{"s1": "x"}'$$, 'PM404', 'not the number'),
               ($$'shop-staging', 'shop-production', expected_revision => '{"none": 1}'$$, 'PM404', 'not in the scope'),
               ($$NULL, 'shop-production'$$, 'PM404', 'null'), ($$'shop-staging', NULL$$, 'PM404', 'null'))
       AS v (call, code, detail), unnest(ARRAY['', 'preview_']) AS p;
SELECT pg_temp.refuses(format('SELECT promote.promote_environment(%L, %L, %s)', 'shop-staging', 'shop-production',
    rest),
    code, detail, rest)
  FROM (VALUES ($$components => '{a_here}'$$, 'PM002', 'project, environment and component exist'),
               ($$components => '{z_new}'$$, 'PM005', 'no revision'),
               ($$components => '{s1}', expected_revision => '{"s1": 1}'$$, 'PM401', 'revision is 2'),
               ($$mode => 'x'$$, 'PM404', 'neither replace nor merge'),
               ($$"only" => '{.none}'$$, 'PM405', 'none')) AS v (rest, code, detail);
SELECT lives_ok($$SELECT promote.promote_environment('shop-staging', 'shop-production',
    expected_revision => '{"s1": 2, "s2": null}')$$, 'as expected');

-- ---- by a tag, by a time ----
SELECT count(*) FROM promote.deploy_many(ARRAY(SELECT name FROM promote.instance WHERE environment = 'staging'
    AND component ~ '^s')) \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT count(*) FROM promote.tag_environment('shop-staging', 'good') \g /dev/null
SELECT count(promote.configure_instance('shop-staging-s' || n, '{"size": 50}')) FROM generate_series(1, 6) AS n
    \g /dev/null
SELECT count(*) FROM promote.tag_environment('shop-staging', 'later') \g /dev/null
CREATE FUNCTION pg_temp.sizes(call text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SELECT count(*) FROM promote.%s', call);
    RETURN (SELECT string_agg(concat_ws(' ', i.component, r.source_revision, c.params ->> 'size', r.pinned_version),
        ', '
                              ORDER BY i.component)
              FROM promote.instance AS i JOIN promote.revision AS r USING (project, environment, component, revision)
              JOIN promote.config AS c USING (project, digest)
             WHERE environment = 'production' AND component IN ('s1', 's2'));
END
$$;
SELECT is(pg_temp.sizes($$promote_environment('shop-staging', 'shop-production')$$), 's1 2 50, s2 2 50',
    'what is desired now');
SELECT is(pg_temp.sizes($$promote_environment('shop-staging@good', 'shop-production')$$), 's1 1 2, s2 1 2',
    'what ran by a tag');
SELECT is(pg_temp.sizes($$promote_environment('shop-staging@later', 'shop-production', source_state => 'desired')$$),
    's1 2 50, s2 2 50', 'what was desired by a tag');
SELECT is(pg_temp.sizes($$promote_environment('shop-staging@later', 'shop-production', pin => true)$$),
    's1 1 2 1.0.0, s2 1 2 1.0.0', 'what ran by a tag, pinned to the version that ran then');
SELECT is(pg_temp.sizes(format('promote_environment(%L, %L)', 'shop-staging@' || clock_timestamp(), 'shop-production')),
    's1 1 2, s2 1 2', 'what ran at a time');
SELECT results_eq($$SELECT component, code FROM promote.preview_promote_environment('shop-staging@good',
    'shop-production',
        components => '{s1}', source_state => 'running')$$, $$VALUES ('s1', NULL::text)$$, 'which may be said');
SELECT pg_temp.refuses(format('SELECT promote.promote_environment(%L, %L)', 'shop-staging@2001-01-01',
    'shop-production'),
    'PM404', 's1: it ran nothing in "shop-staging@2001', 'a time when there was nothing');
SELECT pg_temp.refuses($$SELECT promote.promote_environment('shop-staging@good', 'shop-production',
    components => '{z_new}')$$, 'PM508', 'By then, it ran nothing', 'a component that ran nothing then, named');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the chains are whole');

-- ---- decommissioned ----
SELECT pg_temp.work_all() \g /dev/null
SELECT count(*) FROM promote.deploy_many('{shop-production-s6}') \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT promote.decommission_instance('shop-production-s6') \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT is(code, 'decommissioned', 'what was decommissioned is left alone')
  FROM promote.preview_promote_environment('shop-staging', 'shop-production') WHERE component = 's6';
SELECT is(code, 'PM511', '... or refused, where it is named')
  FROM promote.preview_promote_environment('shop-staging', 'shop-production', components => '{s6}');
SELECT is(code, NULL, '... unless it is to come back')
  FROM promote.preview_promote_environment('shop-staging', 'shop-production', reprovision => true)
 WHERE component = 's6';

-- ---- who may ----
CREATE ROLE e_viewer;
CREATE ROLE e_promoter;
CREATE ROLE e_stranger;
SELECT promote.grant_action('e_viewer', 'view', 'shop'), promote.grant_action('e_promoter', 'promote', 'shop',
    'production'),
       promote.grant_action('e_promoter', 'view', 'shop', 'staging'),
       promote.grant_action('e_stranger', 'promote', 'shop', 'production') \g /dev/null
\ir ../../fixtures/as_role.sql
CREATE FUNCTION pg_temp.as(role text, call text) RETURNS text LANGUAGE sql AS $$
    SELECT left(pg_temp.as_role(role, format('SELECT count(*) FROM promote.%s', call)), 5)
$$;
SELECT is(pg_temp.as(role, call),
    CASE role WHEN 'e_promoter' THEN promoter WHEN 'e_viewer' THEN viewer ELSE 'PM701' END,
    role || ': ' || call)
  FROM unnest(ARRAY['e_promoter', 'e_viewer', 'e_stranger']) AS role,
       (VALUES ($$preview_promote_environment('shop-staging', 'shop-production', components => '{s1}')$$, '1', '1'),
               ($$preview_promote_environment('shop-staging', 'shop-production', '{"s1": {"password": "x"}}',
                   '{s1}', partial => true)$$, '1', '1'),
               ($$promote_environment('shop-staging', 'shop-production', '{"s1": {"size": 7}}', '{s1}')$$, '1',
                   'PM701'),
               ($$promote_environment('shop-staging', 'shop-production', components => '{s1}', copy_secrets => true)$$,
                   'PM701', 'PM701')) AS v (call, promoter, viewer);
SELECT is(pg_temp.as_role('e_viewer', $$SELECT code FROM promote.preview_promote_environment('shop-staging',
    'shop-production', '{"s1": {"password": "x"}}', '{s1}')$$), 'PM701',
    'who only sees tries no overrides: whether they change anything would tell what is masked');
SELECT * FROM finish();
ROLLBACK;
