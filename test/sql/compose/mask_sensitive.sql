-- What is sensitive by any release concerned is never shown; what is not copyable by any reading is never copied.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
INSERT INTO promote.bundle VALUES ('lk'), ('kp'), ('ph');
INSERT INTO promote.bundle_release (bundle, version, params_schema)
VALUES ('lk', '1.0.0', '{}'),
    ('lk', '2.0.0', '{"properties": {"token": {"$md.sensitive": true}, "o": {"$md.sensitive": true}, "l": {"items": '
    '{"properties": {"k": {"$md.sensitive": true}}}}}}'), ('lk', '3.0.0', '{}'),
       ('kp', '1.0.0', '{"properties": {"k": {"$md.sensitive": true, "$md.copyable": false}}}'),
           ('kp', '2.0.0', '{"properties": {"k": {"$md.copyable": false}}}'),
       ('ph', '1.0.0', '{"properties": {"s": {"$md.immutable": true}}, "if": {"properties": {"mode": {"const": '
           '"prod"}}}, "then": {"properties": {"v": {"$md.copyable": false}}}}');
INSERT INTO promote.component (project, component, bundle) VALUES ('ecomm', 'lk', 'lk'), ('ecomm', 'kp', 'kp'),
    ('ecomm', 'ph', 'ph');
INSERT INTO promote.instance (project, environment, component)
SELECT 'ecomm', e, c FROM unnest(ARRAY['staging', 'production']) AS e, unnest(ARRAY['lk', 'kp', 'ph']) AS c;
CREATE FUNCTION pg_temp.shown() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(diff::text, E'\n') || (SELECT string_agg(data::text, E'\n') FROM promote.audit_log)
        || (SELECT COALESCE(string_agg(k.diff::text, ''), '') FROM promote.idempotency_key k)
        || (SELECT COALESCE(string_agg(h.diff::text, ''), '') FROM promote.promotion_history h)
        || (SELECT string_agg(promote.plan_text(i.name), '') FROM promote.instance i WHERE i.deployment > 0)
      FROM promote.deployment $$;

-- ---- by the release that the values were written under, also where that was never planned ----
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-staging-lk',
    '{"token": "TOPSECRET", "o": {"deep": ["TOPSECRET"]}, "l": [{"k": "TOPSECRET"}]}', '2.0.0', plan => false)$$,
    'sensitive by 2.0.0, not planned');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-staging-lk', '{"token": "x", "o": 5, "l": [{"k": "y"}]}',
    '3.0.0')$$, 'changed under 3.0.0, which marks nothing');
SELECT unalike(pg_temp.shown(), '%TOPSECRET%', 'the former values are masked');
SELECT is((SELECT count(*) FROM promote.deployment d, jsonb_array_elements(d.diff) c WHERE d.component = 'lk'
    AND c -> 'sensitive' = 'true'), 3::bigint, 'and the new ones, which are at their places');

-- ---- by the source's release, where the newest one forgot ----
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-production-lk', '{}', '1.0.0')$$, 'a destination');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-staging-lk', '{"token": "TOPSECRET", "o": null, "l": null}',
    '2.0.0')$$, 'a source under 2.0.0');
INSERT INTO promote.revision (project, environment, component, digest, version_constraint)
SELECT 'ecomm', 'staging', 'lk', digest, 'latest' FROM promote.revision WHERE component = 'lk'
    AND environment = 'staging' ORDER BY revision DESC LIMIT 1;
SELECT lives_ok($$SELECT promote.promote_instance('ecomm-staging-lk', 'ecomm-production-lk', idempotency_key => 'k')$$,
    'promoted by latest');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-staging-lk', '{"token": "TOPSECRET2"}', '2.0.0')$$,
    'a source under 2.0.0 once more');
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('lk', '2.0.1', '{}');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-staging-lk', '{}', '~2')$$,
    'and by a range, of which a newer release forgot the mark');
INSERT INTO promote.bundle_release (bundle, version, params_schema)
    VALUES ('lk', '2.1.0', '{"properties": {"token": {"$md.sensitive": true}}}');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-staging-lk', '{"token": "TOPSECRET3"}')$$,
    'one that knows it again');
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('lk', '2.2.0', '{}');
SELECT unalike((SELECT string_agg(x::text, '')
    FROM promote.preview_promotion('ecomm-staging-lk', 'ecomm-production-lk') x), '%TOPSECRET3%',
    'the preview masks what the source''s release calls sensitive');
SELECT lives_ok($$SELECT promote.promote_instance('ecomm-staging-lk', 'ecomm-production-lk')$$, 'promoted');
SELECT unalike((SELECT d.diff::text FROM promote.deployment d WHERE d.component = 'lk' AND d.environment = 'production'
    ORDER BY d.deployment DESC LIMIT 1), '%TOPSECRET3%', 'so does the plan');

-- ---- in what a preview says is kept ----
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-staging-kp', '{"k": "STAGESECRET"}', '2.0.0')$$,
    'not copyable');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-production-kp', '{"k": "PRODSECRET"}', '1.0.0')$$,
    'and sensitive by the destination''s release');
SELECT is(pg_temp.lines($$SELECT kind, path, change, old_value, new_value, running_value, since, origin, immutable,
    sensitive
    FROM promote.preview_promotion('ecomm-staging-kp', 'ecomm-production-kp')
    WHERE kind = 'param'$$),
    '(param,.k,keep,"""(sensitive value)""","""(sensitive value)""",,1,destination,f,t)',
        'a value that is kept is masked too');

-- ---- copyable is asked of the document as it will be ----
UPDATE promote.parameter_set SET parameters = '{"mode": "prod", "x": 1}' WHERE environment IN ('staging', 'production')
    AND project = 'ecomm';
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-staging-ph',
    '{"mode": "{{mode}}", "v": "STAGEONLY", "s": "{{x}}"}', '1.0.0')$$, 'a placeholder decides');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-production-ph',
    '{"mode": "{{mode}}", "v": "PRODONLY", "s": "{{x}}"}', '1.0.0')$$, 'in both');
SELECT lives_ok($$SELECT promote.promote_instance('ecomm-staging-ph', 'ecomm-production-ph')$$, 'promoted');
SELECT is(pg_temp.params('ecomm-production-ph') ->> 'v', 'PRODONLY', 'the destination keeps its own');
UPDATE promote.parameter_set SET parameters = '{"mode": "dev", "x": 1}' WHERE environment = 'production'
    AND project = 'ecomm';
SELECT is(pg_temp.lines($$SELECT path, change FROM promote.preview_promotion('ecomm-staging-ph', 'ecomm-production-ph')
    WHERE path = '.v'$$), '(.v,keep)', 'also where only the source''s environment says so');

-- ---- a plan shows what changed since the last one, parameters too ----
SELECT is(pg_temp.lines($$SELECT changed, deployment
    FROM promote.promote_instance('ecomm-staging-ph', 'ecomm-production-ph')$$), '(f,2)',
    'the parameters changed: a new plan for the same revision');
SELECT is(pg_temp.lines($$SELECT changed, deployment
    FROM promote.promote_instance('ecomm-staging-ph', 'ecomm-production-ph')$$), '(f,)', 'but only one');
SELECT is((SELECT c.params ->> 'mode' FROM promote.deployment d JOIN promote.config c ON c.project = d.project
    AND c.digest = d.rendered_digest WHERE d.component = 'ph' AND d.environment = 'production' AND d.deployment = 2),
    'dev', 'rendered anew');
SELECT ok(pg_temp.deploy('ecomm-production-ph') > 0, 'deployed');
UPDATE promote.parameter_set SET parameters = '{"mode": "dev", "x": 2}' WHERE environment = 'production'
    AND project = 'ecomm';
SELECT pg_temp.refuses($$SELECT promote.configure_instance('ecomm-production-ph', '{"n": 1}')$$, 'PM104', '^\.s$',
    'a parameter cannot change an immutable value either');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-production-ph', '{"n": 1}', allow_replace => true)$$,
    'unless it may');
SELECT is((SELECT jsonb_agg(c ORDER BY c ->> 'path') FROM (SELECT diff, destructive FROM promote.deployment
    WHERE component = 'ph' AND environment = 'production' ORDER BY deployment DESC LIMIT 1) d,
    jsonb_array_elements(d.diff) c WHERE destructive),
    '[{"kind": "param", "path": ".n", "change": "add", "new": 1, "since": 2}, {"kind": "parameter", "path": ".s", '
        '"change": "change", "old": 1, "new": 2, "immutable": true, "since": 2}]',
            'and then the plan says what the parameter did');

-- ---- what runs is what was deployed, not what was planned ----
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-production-ph', '{"s": "{{x}}", "n": 2}',
    allow_replace => true)$$, 'a revision');
SELECT ok(pg_temp.deploy('ecomm-production-ph') > 0, 'deployed');
UPDATE promote.parameter_set SET parameters = '{"mode": "dev", "x": 3}' WHERE environment = 'production'
    AND project = 'ecomm';
SELECT pg_temp.refuses($$SELECT promote.configure_instance('ecomm-production-ph')$$, 'PM104', '^\.s$',
    'a plan of the parameter alone would replace');
SELECT is(pg_temp.lines($$SELECT changed, deployment IS NOT NULL, diff
    FROM promote.configure_instance('ecomm-production-ph', allow_replace => true)$$),
    '(f,t,"[{""new"": 3, ""old"": 2, ""kind"": ""parameter"", ""path"": "".s"", ""since"": 3, ""change"": ""change"", '
        '""immutable"": true}]")',
        'and may, where it is allowed; the result has the plan''s diff');
SELECT matches(promote.plan_text('ecomm-production-ph'), E'\nWhat runs would be replaced: ', 'the text says so');
SELECT is(pg_temp.lines($$SELECT changed, deployment FROM promote.configure_instance('ecomm-production-ph')$$), '(f,)',
    'asked for again it is there already');
SELECT pg_temp.refuses($$SELECT promote.configure_instance('ecomm-production-ph', '{"n": 3}')$$, 'PM104', '^\.s$',
    'a plan that was never carried out is not what runs');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-production-ph', '{"n": 3}', allow_replace => true)$$,
    'so that the next one is marked too');
SELECT is((SELECT destructive FROM promote.deployment WHERE component = 'ph' AND environment = 'production'
    ORDER BY deployment DESC LIMIT 1), true, 'as destructive');
SELECT matches(promote.plan_text('ecomm-production-ph'), E'\nWhat runs would be replaced: ',
    'also where its diff alone does not show it');

-- ---- where a revision says it comes from ----
SELECT throws_ok(format('INSERT INTO promote.revision (project, environment, component, digest, version_constraint, '
    'origin, source_environment, source_revision) SELECT project, environment, component, digest, version_constraint, '
    '%L, %L, %s FROM promote.revision WHERE component = %L AND environment = %L AND revision = 1', 'promotion', e, n,
    'lk', 'production'), state, NULL, 'from ' || e || ' ' || n)
  FROM (VALUES ('staging', 4711, 'PM002'), ('staging', -5, 'PM404'), ('production', 1, 'PM404')) AS v(e, n, state);

-- ---- a key that is none ----
SELECT pg_temp.refuses(format('SELECT promote.promote_instance(%L, %L, idempotency_key => %L)', 'ecomm-staging-lk',
    'ecomm-production-lk', k), 'PM001', 'bytes', 'a key of ' || length(k))
  FROM unnest(ARRAY['', repeat('k', 256)]) AS k;
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the record is whole');

SELECT * FROM finish();
ROLLBACK;
