-- What is where: at a moment, between two, and what is still to go on.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
\ir ../../fixtures/as_role.sql
SET LOCAL promote.actor = 'ada';
INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
VALUES ('shop', 'staging', 'production'), ('shop', 'dev', 'staging');
SELECT clock_timestamp()::text AS begun \gset
SELECT promote.deploy_instance('shop-staging-s1'), pg_temp.work_all() \g /dev/null
SELECT clock_timestamp()::text AS staged \gset
SET LOCAL promote.actor = 'bob';
SELECT promote.configure_instance('shop-production-s2', '{"size": 7}', message => 'hotfix') \g /dev/null
SELECT clock_timestamp()::text AS fixed \gset
SELECT pg_temp.work_all(), promote.deploy_instance('shop-production-s2'), pg_temp.work_all() \g /dev/null
SELECT clock_timestamp()::text AS deployed \gset
SELECT promote.decommission_instance('shop-production-s6', message => 'unused'), pg_temp.work_all() \g /dev/null
SELECT clock_timestamp()::text AS gone \gset

-- ---- state_as_of ----
CREATE FUNCTION pg_temp.state(at timestamptz, state text DEFAULT 'running') RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s-%s:%s', s.environment, s.component, s.revision), ' ' ORDER BY environment, component)
      FROM promote.state_as_of('shop', $1, $2) AS s
$$;
SELECT is(pg_temp.state(at::timestamptz, state), expected, what) FROM (VALUES
    (:'begun', 'running', 'production-s1:1 production-s2:1 production-s3:1 production-s4:1 production-s5:1 '
        'production-s6:1', 'what ran at first'),
    (:'staged', 'running', 'production-s1:1 production-s2:1 production-s3:1 production-s4:1 production-s5:1 '
        'production-s6:1 staging-s1:1', 'what was deployed since'),
    (:'fixed', 'running', 'production-s1:1 production-s2:1 production-s3:1 production-s4:1 production-s5:1 '
        'production-s6:1 staging-s1:1', 'what is desired alone does not run'),
    (:'fixed', 'desired', 'production-s1:1 production-s2:2 production-s3:1 production-s4:1 production-s5:1 '
        'production-s6:1 staging-s1:1 staging-s2:1 staging-s3:1 staging-s4:1 staging-s5:1 staging-s6:1',
     'but is desired'),
    (:'deployed', 'running', 'production-s1:1 production-s2:2 production-s3:1 production-s4:1 production-s5:1 '
        'production-s6:1 staging-s1:1', 'until it is deployed'),
    (:'gone', 'running', 'production-s1:1 production-s2:2 production-s3:1 production-s4:1 production-s5:1 '
        'staging-s1:1', 'what was decommissioned runs no more'),
    ('-infinity', 'running', NULL, 'nothing ran before time began'),
    ('infinity', 'running', 'production-s1:1 production-s2:2 production-s3:1 production-s4:1 production-s5:1 '
        'staging-s1:1', 'the last that is known')) AS v (at, state, expected, what);
SELECT is((SELECT array_agg(s::text) FROM promote.state_as_of('shop') AS s), (SELECT array_agg(s::text)
    FROM promote.state_as_of('shop', clock_timestamp(), 'running') AS s), 'now, and what runs, where nothing is said');
SELECT is_empty($$SELECT s.instance, s.revision, s.version, s.deployment, s.since, s.actor
      FROM promote.state_as_of('shop', $$ || quote_literal(:'deployed') || $$) AS s
    EXCEPT SELECT s.instance, c.revision, c.version, c.deployment, c.since, c.actor
      FROM promote.state_as_of('shop', $$ || quote_literal(:'deployed') || $$) AS s,
           promote.config_as_of(s.instance, $$ || quote_literal(:'deployed') || $$, 'running') AS c$$,
    'as config_as_of says of each');
SELECT is_empty($$SELECT s.instance, s.revision, s.version, s.deployment, s.since, s.actor
      FROM promote.state_as_of('shop', $$ || quote_literal(:'fixed') || $$, 'desired') AS s
    EXCEPT SELECT s.instance, c.revision, c.version, c.deployment, c.since, c.actor
      FROM promote.state_as_of('shop', $$ || quote_literal(:'fixed') || $$, 'desired') AS s,
           promote.config_as_of(s.instance, $$ || quote_literal(:'fixed') || $$) AS c$$, '... also of what is desired');
SELECT is_empty($$SELECT FROM promote.state_as_of('shop') AS s JOIN promote.instance_status AS i USING (instance)
    WHERE s.digest IS DISTINCT FROM i.deployed_digest OR s.rendered_digest IS DISTINCT FROM i.rendered_digest$$,
    'digests are those of instance_status');
-- an environment that is archived since
SELECT promote.configure_instance('ecomm-prod-uswest-db', '{"size": "small"}', '1.0.0', plan => false) \g /dev/null
SELECT clock_timestamp()::text AS opened \gset
SELECT promote.archive_environment('ecomm-prod-uswest', message => 'over') \g /dev/null
SELECT is((SELECT count(*) FROM promote.state_as_of('ecomm', at::timestamptz, 'desired')
    WHERE environment = 'prod-uswest'), n::bigint, what)
  FROM (VALUES (:'opened', 1, 'what is archived was there before'),
    (clock_timestamp()::text, 0, 'and is not there now')) AS v (at, n, what);
SELECT pg_temp.refuses(format('SELECT * FROM promote.state_as_of(%s)', a), state, detail, a) FROM (VALUES
    ('NULL', 'PM404', 'null or empty'), ($$'nobody'$$, 'PM002', 'registered'),
    ($$'shop', state => 'planned'$$, 'PM404', 'desired and running')) AS v (a, state, detail);

-- ---- changes_between ----
CREATE FUNCTION pg_temp.changes(since timestamptz, until timestamptz, state text DEFAULT NULL) RETURNS text
LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', c.instance, c.change, c.old_revision, '->', c.new_revision, c.old_version, '->',
                                c.new_version, c.actor), E'\n')
      FROM promote.changes_between('shop', $1, $2, $3) AS c
$$;
SELECT is(pg_temp.changes(since::timestamptz, until::timestamptz, state), expected, what) FROM (VALUES
    (:'begun', :'staged', 'running', 'shop-staging-s1 add -> 1 -> 1.0.0 ada', 'what was added'),
    (:'staged', :'deployed', NULL, 'shop-production-s2 change 1 -> 2 1.0.0 -> 1.0.0 bob', 'what was changed'),
    (:'deployed', NULL, 'running', 'shop-production-s6 remove 1 -> 1.0.0 ->', 'what was taken away'),
    (:'staged', :'fixed', 'running', NULL, 'nothing that is desired alone'),
    (:'staged', :'fixed', 'desired', 'shop-production-s2 change 1 -> 2 1.0.0 -> 1.0.0 bob', '... which is asked for'),
    (:'fixed', :'fixed', NULL, NULL, 'nothing within a moment')) AS v (since, until, state, expected, what);
SELECT is((SELECT count(*) FROM promote.changes_between('shop', NULL, :'begun')), 6::bigint, 'since ever');
SELECT pg_temp.refuses(format('SELECT * FROM promote.changes_between(%s)', a), state, detail, a) FROM (VALUES
    ('NULL, NULL', 'PM404', 'null or empty'), ($$'nobody', NULL$$, 'PM002', 'registered'),
    ($$'shop', 'infinity', '-infinity'$$, 'PM404', 'before'),
    ($$'shop', NULL, state => ''$$, 'PM404', 'desired and running')) AS v (a, state, detail);

-- ---- pending_changes ----
SELECT is(pg_temp.lines($$SELECT environment, next, component, kind, path, change, old_value, new_value, sensitive,
        actor, code FROM promote.pending_changes('shop')$$),
    '(staging,production,s1,param,.size,change,1,2,f,postgres,)
(staging,production,s1,param,.password,add,,"""(sensitive value)""",t,postgres,)',
    'what runs in staging and not in production, masked; what runs nowhere is not told');
SELECT is((SELECT count(*)::integer FROM promote.pending_changes('shop', 'staging') WHERE kind = 'param'),
    (SELECT leaves_behind FROM promote.matrix('shop') WHERE instance = 'shop-production-s1'),
    'as many as in the matrix');
SELECT is((SELECT min(p.since) FROM promote.pending_changes('shop') AS p), (SELECT created_at FROM promote.revision
    WHERE project = 'shop' AND environment = 'staging' AND component = 's1' AND revision = 1), 'since it was set');
SELECT is_empty($$SELECT * FROM promote.pending_changes('shop', 'dev')$$, 'nothing runs in dev');
-- a release that is newer, and a component that must not go on
INSERT INTO promote.bundle_release (bundle, version, params_schema) SELECT 'service', '1.1.0', params_schema
  FROM promote.bundle_release WHERE bundle = 'service';
SET LOCAL promote.actor = 'eve';
SELECT promote.plan_instance('shop-staging-s1'), pg_temp.work_all(),
       promote.deploy_instance('shop-staging-s1', message => 'newer'), pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.lines($$SELECT component, kind, path, change, old_value, new_value, actor, message,
        since = (SELECT finished_at FROM promote.deployment AS d JOIN promote.instance AS i ON d.project = i.project
            AND d.environment = i.environment AND d.component = i.component AND d.deployment = i.deployed_by
            WHERE i.name = 'shop-staging-s1') AS at FROM promote.pending_changes('shop') WHERE kind <> 'param'$$),
    '(s1,release,"release version",change,"""1.0.0""","""1.1.0""",eve,newer,t)', 'a release, and who has deployed it');
CREATE ROLE test_dan;
INSERT INTO promote.grants (role, action, project, environment) VALUES ('test_dan', 'view', 'shop', 'staging');
SELECT is(pg_temp.as_role('test_dan', statement), said, statement) FROM (VALUES
    ($$SELECT string_agg(DISTINCT environment, ',') FROM promote.state_as_of('shop')$$, 'staging'),
    ($$SELECT string_agg(DISTINCT environment, ',') FROM promote.changes_between('shop', NULL)$$, 'staging'),
    ($$SELECT count(*) FROM promote.pending_changes('shop')$$, '0'),
    ($$SELECT count(*) FROM promote.pending_changes('shop', 'production')$$,
     'PM701: Role "test_dan" has no grant "view" for environment "production" of project "shop".'),
    ($$SELECT count(*) FROM promote.state_as_of('ecomm')$$,
     'PM701: Role "test_dan" has no grant "view" for anything of project "ecomm".')) AS v (statement, said);
INSERT INTO promote.grants (role, action, project, environment) VALUES ('test_dan', 'view', 'shop', 'production');
SELECT is(pg_temp.as_role('test_dan', 'SELECT count(*) FROM promote.pending_changes(''shop'')'), '3',
    'who sees both ends');
SELECT pg_temp.refuses(format('SELECT * FROM promote.pending_changes(%s)', a), state, detail, a) FROM (VALUES
    ('NULL', 'PM404', 'null or empty'), ($$'nobody'$$, 'PM002', 'registered'),
    ($$'shop', 'nowhere'$$, 'PM002', 'none of that name')) AS v (a, state, detail);

SELECT * FROM finish();
ROLLBACK;
