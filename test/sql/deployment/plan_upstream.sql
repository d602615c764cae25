-- What has run upstream is judged for all leaves of a deployment at once, however many they are.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
\ir ../../fixtures/long.sql
INSERT INTO promote.component (project, component, bundle) VALUES ('long', 'wide', 'long');
INSERT INTO promote.instance (project, environment, component)
SELECT 'long', e, 'wide' FROM unnest(ARRAY['staging', 'production']) AS e;
-- a configuration of 300 values, of which a round changes every second one
CREATE FUNCTION pg_temp.wide(round integer) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_object_agg('s' || s, md5(s::text) || CASE WHEN s % 2 = 0 THEN ' of ' || round ELSE '' END)
      FROM generate_series(1, 300) AS s
$$;
DO $$
BEGIN
    FOR round IN 1 .. 12 LOOP
        PERFORM promote.configure_instance('long-staging-wide', pg_temp.wide(round), '1.0.0');
        PERFORM pg_temp.deploy('long-staging-wide');
    END LOOP;
END
$$;
-- one value has never run there, one only long ago
SELECT promote.promote_instance('long-staging-wide', 'long-production-wide',
    jsonb_build_object('s2', 'its own', 's4', pg_temp.wide(1) -> 's4')) \g /dev/null
SELECT deployment AS d FROM promote.instance WHERE name = 'long-production-wide' \gset
SELECT is((SELECT string_agg(path, ', ') FROM promote.config_changes
    WHERE instance = 'long-production-wide' AND deployment = :d AND unexpected), '.s2', 'what never ran upstream');
SELECT is((SELECT count(*) FROM promote.config_changes WHERE instance = 'long-production-wide' AND NOT unexpected),
    299::bigint, '... and all that did, also before the last runs');
SELECT alike(promote.plan_text('long-production-wide'), '%.s2 %# unexpected%', 'the text has the mark');
SELECT is((SELECT count(*) FROM regexp_matches(promote.plan_markdown('long-production-wide'), 'UNEXPECTED', 'g')),
    1::bigint, '... and the page, once');

-- each configuration is read once, and not once for each leaf
SELECT format('SELECT count(c) FROM promote.config_changes AS c WHERE instance = %L AND deployment = %s',
    'long-production-wide', :d) AS asked \gset
SELECT pg_temp.pages(:'asked') \g /dev/null
SELECT cmp_ok(pg_temp.pages(:'asked'), '<=', 300, 'pages read for 300 leaves and 12 runs');
SELECT count(*) FROM promote.blockers('long-production-wide', :d) \g /dev/null
SELECT cmp_ok(pg_temp.pages(format('SELECT * FROM promote.blockers(%L, %s)', 'long-production-wide', :d)), '<=', 400,
    '... and for the gate');

-- what staging desires and never ran closes it
SELECT promote.configure_instance('long-staging-wide', '{"s6": "never ran", "s8": null}') \g /dev/null
UPDATE promote.environment SET require_expected = true WHERE project = 'long' AND environment = 'production';
SELECT promote.promote_instance('long-staging-wide', 'long-production-wide') \g /dev/null
SELECT deployment AS e FROM promote.instance WHERE name = 'long-production-wide' \gset
SELECT is((SELECT count(*) FROM promote.blockers('long-production-wide', :e) AS b
    WHERE b.code = 'unexpected' AND b.message LIKE '%never had: %s6%'), 1::bigint, 'the gate names it');

-- several deployments in one statement, and who may ask
SELECT is((SELECT string_agg(promote_internal.ran_upstream('long', 'production', 'wide', v.d, p.place::integer)::text,
                             ' ' ORDER BY v.n)
             FROM (VALUES (1, :d, '.s2'), (2, :e, '.s6'), (3, :d, '.s6'), (4, :e, '.s2')) AS v (n, d, path)
            CROSS JOIN LATERAL (
                  SELECT x.place FROM promote.deployment AS d
                   CROSS JOIN jsonb_array_elements(d.diff) WITH ORDINALITY AS x (entry, place)
                   WHERE d.project = 'long' AND d.environment = 'production' AND d.component = 'wide'
                     AND d.deployment = v.d AND x.entry ->> 'path' = v.path) AS p),
    'false false true true', 'each is judged by itself');
SELECT is(promote_internal.ran_upstream('long', 'production', 'wide', :d, n), NULL, 'no leaf: ' || n)
  FROM unnest(ARRAY[0, 1000]) AS n;
SELECT is(promote_internal.ran_upstream('long', 'staging', 'wide', 1, 1), NULL, 'it came from nowhere');
SELECT is((SELECT count(*) FROM promote_internal.never_ran(
    'long', 'staging', 'wide', diff::jsonb, own::jsonb, theirs::jsonb)), 0::bigint,
    'no diff: ' || diff)
  FROM (VALUES ('1'), ('{}'), ('{"kind": "param"}'), ('[1, [], "kind", null]'), ('[["kind"]]'),
               ('[{"kind": "param", "path": 5}, {"kind": "param", "path": {}}, {"kind": {}}]')) AS d (diff),
       (VALUES ('{}', NULL), ('1', '1')) AS c (own, theirs);
CREATE ROLE test_stranger;
INSERT INTO promote.grants (role, action, project) VALUES ('test_stranger', 'view', 'ecomm');
-- also one who can name the functions
GRANT USAGE ON SCHEMA promote_internal TO test_stranger;
SET LOCAL ROLE test_stranger;
SELECT is(promote_internal.ran_upstream('long', 'production', 'wide', :d, 2), NULL,
    'who does not see it learns nothing');
SELECT throws_ok(
    $$SELECT * FROM promote_internal.never_ran('long', 'staging', 'wide', '[]', '{}', NULL)$$, '42501', NULL,
    'nobody tries values');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
