-- What a release is beyond its version: never changed, registered once, and shown where people decide.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
SET LOCAL promote.actor = 'ada';
SET LOCAL client_min_messages = error;
SELECT 'sha256:' || repeat('a1', 32) AS one, 'sha256:' || repeat('b2', 32) AS other \gset
INSERT INTO promote.bundle_release (bundle, version, params_schema, artifact_digest, source_commit, changelog,
    attributes)
SELECT 'service', '1.1.0', params_schema, :'one', '4f1c9a7', E'Answers faster.\n', '{"signed_by": "ci"}'
  FROM promote.bundle_release WHERE bundle = 'service';

-- ---- what may be said ----
CREATE FUNCTION pg_temp.publish(version text, fields text, tail text DEFAULT '') RETURNS text LANGUAGE sql AS $$
    SELECT format('INSERT INTO promote.bundle_release (bundle, version, params_schema, artifact_digest, source_commit, '
        'changelog, attributes) SELECT ''service'', %L, ''{}'', r.* FROM (VALUES (%s)) AS r %s', version, fields, tail)
$$;
SELECT pg_temp.refuses(pg_temp.publish('9.0.0', fields), 'PM404', detail, fields) FROM (VALUES
    ($$'latest', NULL, NULL, NULL::jsonb$$, 'an algorithm, a colon'),
    ($$'sha256:abc', NULL, NULL, NULL::jsonb$$, '64 of them'),
    ($$'sha256:$$ || repeat('A', 64) || $$', NULL, NULL, NULL::jsonb$$, 'lower-case'),
    ($$'sha512:$$ || repeat('a', 64) || $$', NULL, NULL, NULL::jsonb$$, '128'),
    ($$'sha384:$$ || repeat('a', 4000) || $$', NULL, NULL, NULL::jsonb$$, 'algorithm'),
    ($$'$$ || :'one' || $$ ', NULL, NULL, NULL::jsonb$$, 'algorithm'),
    ($$NULL, '', NULL, NULL::jsonb$$, '1 to 255'),
    ($$NULL, 'a commit', NULL, NULL::jsonb$$, 'without blanks'),
    ($$NULL, repeat('c', 256), NULL, NULL::jsonb$$, '1 to 255'),
    ($$NULL, NULL, '', NULL::jsonb$$, 'empty'),
    ($$NULL, NULL, repeat('x', 1048577), NULL::jsonb$$, '1 MB')) AS v (fields, detail);
SELECT pg_temp.refuses(pg_temp.publish('9.0.0', $$NULL, NULL, NULL, '[]'::jsonb$$), 'PM101', '', 'attributes');
SELECT lives_ok(pg_temp.publish('9.0.' || n, fields), fields) FROM (VALUES (1, $$NULL, NULL, NULL, NULL::jsonb$$),
    (2, $$'sha512:$$ || repeat('a', 128) || $$', NULL, NULL, NULL::jsonb$$),
    (3, $$'blake3:$$ || repeat('0', 64) || $$', repeat('c', 255), repeat('x', 1048576), '{}'::jsonb$$)) AS v (n,
        fields);

-- ---- never changed ----
SELECT pg_temp.refuses(format('UPDATE promote.bundle_release SET %s WHERE version = ''1.1.0'' AND bundle = %L', change,
    'service'), 'PM301', '', change) FROM unnest(ARRAY['artifact_digest = ''' || :'other' || '''',
        'artifact_digest = NULL',
        'source_commit = ''f00''', 'changelog = NULL', 'attributes = ''{"signed_by": "mallory"}''']) AS change;
SELECT pg_temp.refuses($$UPDATE promote.bundle_release SET artifact_digest = 'sha256:' || repeat('0', 64)
    WHERE version = '1.0.0' AND bundle = 'service'$$, 'PM301', '', 'nor said later');
SELECT lives_ok($$UPDATE promote.component SET attributes = '{"tenant": "acme"}' WHERE project = 'shop'
    AND component = 's1'$$,
    'attributes of others are another thing');

-- ---- registered once ----
CREATE FUNCTION pg_temp.again(digest text) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.publish('1.1.0', coalesce(quote_literal(digest), 'NULL') || ', NULL, NULL, NULL::jsonb')
$$;
SELECT pg_temp.refuses(pg_temp.again(:'other'), 'PM203', '^It is registered with ' || :'one' || ', not with '
    || :'other' || '\.$',
    'another artifact');
SELECT pg_temp.refuses(pg_temp.again(:'other') || ' ON CONFLICT DO NOTHING', 'PM203', 'is registered with',
    '... also where a conflict is nothing');
SELECT pg_temp.refuses(pg_temp.again(:'other') || ' ON CONFLICT (bundle, version) DO UPDATE SET published_at = now()',
    'PM203', 'is registered with', '... or something else');
SELECT pg_temp.refuses(pg_temp.publish('1.0.0', quote_literal(:'one') || ', NULL, NULL, NULL::jsonb')
    || ' ON CONFLICT DO NOTHING',
    'PM203', '^It is registered without an artifact digest', 'one that was registered without');
SELECT lives_ok(pg_temp.again(:'one') || ' ON CONFLICT DO NOTHING', 'the same artifact once more');
SELECT lives_ok(pg_temp.again(NULL) || ' ON CONFLICT DO NOTHING', 'who says nothing contradicts nothing');
SELECT throws_ok(pg_temp.again(:'one'), '23505', NULL, 'a key is a key');

-- ---- shown ----
SELECT promote.configure_instance('shop-staging-s1', '{"size": 3}', '1.1.0'), pg_temp.work_all() \g /dev/null
SELECT promote.deploy_instance('shop-staging-s1') \g /dev/null
SELECT is((SELECT artifact_digest FROM promote.claim_deployment('worker') AS c,
    promote.complete_deployment(c.instance, c.deployment, c.fencing)), :'one', 'to the worker');
INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
    VALUES ('shop', 'staging', 'production');
SELECT promote.open_request('shop', 'staging', 'production', '{"components": ["s1"]}') \g /dev/null
SELECT count(*) FROM promote.preview_request('shop', 1) \g /dev/null
SELECT is(pg_temp.drain(1), 'COMPLETED', 'it reaches production');
SELECT is(array_to_string((string_to_array(promote.plan_text('shop-production-s1'), E'\n'))[2:4], E'\n'),
    E'Artifact ' || :'one' || E'\nCommit 4f1c9a7\nChangelog: Answers faster.', 'a plan as text');
SELECT unalike(promote.plan_text('shop-production-s2'), '%Artifact%', '... of one without');
SELECT is((SELECT artifact_digest FROM promote.promotion_history WHERE destination = 'shop-production-s1'), :'one',
    'the history');
SELECT is((SELECT string_agg(concat_ws(' ', environment, artifact_digest), ', ' ORDER BY environment)
    FROM promote.promotion_matrix WHERE project = 'shop' AND component = 's1'),
    'production ' || :'one' || ', staging ' || :'one', 'the matrix');
SELECT is(promote.request_evidence('shop', 1) #> '{items,0,deployments,0,release}',
    jsonb_build_object('artifact_digest', :'one', 'source_commit', '4f1c9a7', 'changelog', E'Answers faster.\n',
        'attributes', '{"signed_by": "ci"}'::jsonb), 'the evidence');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'after all that the chains are whole');
SELECT * FROM finish();
ROLLBACK;
