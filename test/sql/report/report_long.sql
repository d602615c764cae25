-- Questions about long histories: what was desired and ran long ago, what was promoted lately, and what two instances
-- have in common.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/long.sql
SELECT pg_temp.long_instance('young') \g /dev/null
SELECT pg_temp.long_instance('edited', 3001, 2, 'edit'),
       pg_temp.long_instance('promoted', 3001),
       pg_temp.long_instance('picked', 3001, 2, 'promotion', ARRAY['.size']),
       pg_temp.long_instance('ran', 2, 3002), pg_temp.long_deployments('ran', 'production', 'PROVISION', 'COMPLETED', 2,
           3, 3002)
\g /dev/null

-- ---- what was desired, and what ran, at any time ----
SELECT pg_temp.costs_as(format('SELECT * FROM promote.config_as_of(''long-production-@'', now() - interval %L, %L)',
    q.before, q.state),
                        l, 'young', q.what, q.at_most)
  FROM unnest(ARRAY['edited', 'promoted', 'ran']) AS l,
       (VALUES ('0', 'desired', 'what is desired now', 1.3),
           ('99 days 23 hours', 'desired', 'what was desired long ago', 6),
               ('0', 'running', 'what runs', 1.3), ('99 days 23 hours', 'running', 'what ran long ago',
                   1.3)) AS q (before, state, what, at_most);
CREATE FUNCTION pg_temp.desired_at(minute float8) RETURNS integer LANGUAGE sql AS $$
    SELECT c.revision FROM promote.config_as_of('long-production-edited',
        now() - interval '100 days' + minute * interval '1 minute') AS c
$$;
SELECT is(pg_temp.desired_at(minute), revision, format('the last revision of minute %s', minute))
  FROM (VALUES (0, NULL), (0.9, NULL), (1, 1), (1.5, 1), (2, 2), (2.9, 2), (3, 3), (1500.5, 1500), (1501, 1501),
      (2999.9, 2999),
               (3000, 3000), (3000.9, 3000), (3001, 3001), (9999, 3001)) AS v (minute, revision);
SELECT is((SELECT deployment
    FROM promote.config_as_of('long-production-ran', now() - interval '100 days' + interval '2 minutes 1000.5 seconds',
    'running')), 1000, 'the last deployment of a moment');

-- ---- what was promoted lately ----
CREATE TEMP TABLE asked (what text, condition text, at_most integer) ON COMMIT DROP;
INSERT INTO asked VALUES
    ('the newest of all', 'ORDER BY at DESC LIMIT 5', 100),
    ('the newest of a project', 'WHERE project = ''long'' ORDER BY at DESC LIMIT 5', 100),
    ('the newest of a project where others are busy', 'WHERE project = ''ecomm'' ORDER BY at DESC LIMIT 5', 20),
    ('those of an hour of a project',
        $$WHERE project = 'long' AND at < now() - interval '100 days' + interval '2 days' ORDER BY at DESC LIMIT 5$$,
        100),
    ('those of an environment',
        $$WHERE project = 'long' AND environment = 'production' AND at < now() ORDER BY at DESC LIMIT 5$$, 100),
    ('those of an instance',
        $$WHERE project = 'long' AND environment = 'production' AND component = 'promoted'
            ORDER BY revision DESC LIMIT 5$$, 100);
ANALYZE;
SELECT cmp_ok(pg_temp.pages('SELECT at, diff, overridden FROM promote.promotion_history ' || condition), '<=', at_most,
    what) FROM asked;
SELECT cmp_ok(pg_temp.pages($$SELECT created_at FROM promote.revision ORDER BY created_at DESC LIMIT 5$$), '<=', 20,
    'and edits, too');

-- ---- what two instances have in common, which merges start from ----
SELECT pg_temp.costs_as($$SELECT * FROM promote_internal.exchanges('long', 'production', '@', 'staging')$$, l, 'young',
    'what they have in common')
  FROM unnest(ARRAY['edited', 'promoted', 'picked']) AS l;
SELECT pg_temp.costs_as($$SELECT * FROM promote_internal.exchanges('long', 'staging', '@', 'production')$$, l, 'young',
    '... the other way round')
  FROM unnest(ARRAY['edited', 'promoted', 'picked']) AS l;

SELECT pg_temp.costs_as($$SELECT * FROM promote_internal.first_promotion('long', 'production', '@')$$, l, 'young',
                        'its first promotion')
  FROM unnest(ARRAY['edited', 'promoted', 'picked']) AS l;
SELECT pg_temp.costs_as($$SELECT * FROM promote_internal.last_from_elsewhere('long', 'production', '@', 3000)$$, l,
                        'young', 'its last revision from elsewhere')
  FROM unnest(ARRAY['edited', 'promoted', 'picked']) AS l;
SELECT pg_temp.costs_as($$SELECT * FROM promote_internal.brought_release('long', 'production', '@', 3001,
                            'long', '2')$$,
                        l, 'young', 'where its release came from')
  FROM unnest(ARRAY['edited', 'promoted', 'picked']) AS l;
-- against what a reader of all revisions would say
INSERT INTO promote.environment (project, environment) VALUES ('long', 'dev'), ('long', 'mixed');
INSERT INTO promote.instance (project, environment, component, revision, version_constraint, release_channel)
VALUES ('long', 'dev', 'young', 1, '1.0.0', 'stable'), ('long', 'mixed', 'young', 200, '1.0.0', 'stable');
INSERT INTO promote.revision (project, environment, component, revision, digest, version_constraint, bundle, version,
                              origin, source_environment, source_revision, "only")
SELECT 'long', 'mixed', 'young', r, c.digest, '1.0.0', 'long', '1.0.0', k.origin,
       CASE k.origin WHEN 'rollback' THEN 'mixed' WHEN 'edit' THEN NULL
                     ELSE (ARRAY['dev', 'staging', 'production'])[abs(hashint4(r * 5)) % 3 + 1] END,
       CASE WHEN k.origin <> 'edit' THEN 1 END,
       CASE WHEN k.origin = 'promotion' AND hashint4(r * 3) % 2 = 0 THEN ARRAY['.size'] END
  FROM generate_series(1, 200) AS r
 CROSS JOIN LATERAL (SELECT CASE WHEN r < 10 THEN 'edit'
                                 ELSE (ARRAY['edit', 'promotion', 'fork', 'merge',
                                     'rollback'])[abs(hashint4(r)) % 5 + 1] END AS origin) AS k
  JOIN long_config AS c ON c.size = 1;
SELECT results_eq($$SELECT revision FROM promote_internal.first_promotion('long', 'mixed', 'young')$$,
    $$SELECT min(revision) FROM promote.revision WHERE project = 'long' AND environment = 'mixed'
         AND origin IN ('promotion', 'fork')$$, 'the first promotion of many kinds');
SELECT is_empty($$SELECT n FROM generate_series(1, 201) AS n
     WHERE (SELECT f.revision FROM promote_internal.last_from_elsewhere('long', 'mixed', 'young',
         n) AS f) IS DISTINCT FROM (
         SELECT max(r.revision) FROM promote.revision AS r WHERE r.project = 'long' AND r.environment = 'mixed'
            AND r.revision < n AND r.source_environment <> r.environment)$$, 'and the last from elsewhere before any');

SELECT * FROM finish();
ROLLBACK;
