-- Who may view, and knows all of a document but a value that is marked, can compute promote.jsonb_digest of every
-- guess: that of the right one is nowhere in what is shown, nor is there anything to ask for the keyed one.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
SET LOCAL promote.actor = 'ada';

-- ---- a PIN wherever it can be ----
INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
    VALUES ('ecomm', 'staging', 'production');
UPDATE promote.parameter_set SET parameters = '{"pin": "4711"}' WHERE project = 'ecomm';
SELECT promote.configure_instance('ecomm-staging-db', '{"tier": "a", "password": "4711"}', '1.1.0') \g /dev/null
SELECT promote.configure_instance('ecomm-production-db', '{"tier": "a", "password": "{{pin}}"}', '1.1.0') \g /dev/null
SELECT pg_temp.deploy('ecomm-production-db') \g /dev/null
SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db',
    overrides => '{"tier": "b", "password": "4711"}', idempotency_key => 'k') \g /dev/null
SELECT promote.rehearse_rollback('ecomm-production-db', record => true) \g /dev/null
SELECT promote.report_observed('ecomm-production-db', '{"tier": "c", "password": "4711"}'::jsonb, 'scan') \g /dev/null
SELECT promote.report_observed_digest('ecomm-production-db', promote.jsonb_digest('{"tier": "d", "password": "4711"}'),
    'scan') \g /dev/null
CREATE TEMP TABLE plan (document jsonb) ON COMMIT DROP;
INSERT INTO plan VALUES ('{"format_version": "1.2", "resource_changes": [{"address": "a.b", "mode": "managed", "type": '
    '"a", "name": "b",
    "change": {"actions": ["create"], "before": null, "after": {"pin": "4711"}}}]}');
CREATE FUNCTION pg_temp.record() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    claim record;
BEGIN
    SELECT * INTO STRICT claim FROM promote.claim_deployment('test', '{PLAN}');
    PERFORM promote.record_plan(claim.instance, claim.deployment, document, claim.fencing) FROM plan;
    PERFORM promote.complete_deployment(claim.instance, claim.deployment, claim.fencing);
END
$$;
SELECT pg_temp.record() \g /dev/null
SELECT promote.open_request('ecomm', 'staging', 'production', '{"components": ["db"]}',
    overrides => '{"db": {"tier": "e", "password": "4711"}}', include_other_changes => true) \g /dev/null
SELECT * FROM promote.preview_request('ecomm', 1) \g /dev/null
SELECT promote.advance_request('ecomm', 1) \g /dev/null

-- All documents with it, by where they are.
CREATE TEMP TABLE guess ON COMMIT DROP AS
SELECT DISTINCT d.what, d.document FROM (
    SELECT 'config', params FROM promote.config WHERE project = 'ecomm'
    UNION ALL SELECT 'parameters', parameters FROM promote.parameter_set WHERE project = 'ecomm'
    UNION ALL SELECT 'overrides of a request', o.value FROM promote.promotion_request AS r
        JOIN promote.config AS c ON c.project = r.project AND c.digest = r.overrides_digest, jsonb_each(c.params) AS o
    UNION ALL SELECT 'observed', '{"tier": "c", "password": "4711"}'
    UNION ALL SELECT 'observed by its digest', '{"tier": "d", "password": "4711"}'
    UNION ALL SELECT 'rendered', promote.jsonb_render(c.params, e.parameters) FROM promote.config AS c
        JOIN promote.parameter_set AS e USING (project)
               WHERE c.params::text ~ '{{pin}}' AND c.project = 'ecomm' AND e.environment = 'production'
    UNION ALL SELECT 'plan', document FROM plan) AS d (what, document)
 WHERE d.document::text ~ '4711|{{pin}}';

-- ---- all that is shown ----
CREATE ROLE guess_viewer;
INSERT INTO promote.grants (role, action, project) VALUES ('guess_viewer', 'view', 'ecomm'),
    ('guess_viewer', 'audit', 'ecomm');
CREATE FUNCTION pg_temp.as_viewer(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    SET LOCAL ROLE guess_viewer;
    EXECUTE statement INTO answer;
    RESET ROLE;
    RETURN answer;
END
$$;
CREATE TEMP TABLE shown ON COMMIT DROP AS
SELECT c.relname::text AS name,
       pg_temp.as_viewer(format('SELECT string_agg(to_jsonb(x)::text, E''\n'') FROM (SELECT %s FROM promote.%I) AS x',
                                string_agg(quote_ident(a.attname), ', '), c.relname)) AS content
  FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relnamespace = 'promote'::regnamespace AND c.relkind IN ('r', 'v') AND has_column_privilege('guess_viewer',
     c.oid, a.attnum, 'SELECT')
 GROUP BY c.relname;
INSERT INTO shown VALUES ('request_evidence', pg_temp.as_viewer('SELECT promote.request_evidence(''ecomm'', 1)')),
    ('report', pg_temp.as_viewer('SELECT string_agg(to_jsonb(x)::text, E''\n'') FROM promote.audit_head(''ecomm'') AS '
        'x'));
-- How a digest may be spelled.
CREATE FUNCTION pg_temp.is_in(digest bytea, content text) RETURNS boolean LANGUAGE sql AS $$
    SELECT strpos($2, encode($1, 'hex')) > 0 OR strpos($2, encode($1, 'base64')) > 0
$$;
SELECT is((SELECT string_agg(DISTINCT what, ', ' ORDER BY what) FROM guess),
    'config, observed, observed by its digest, overrides of a request, parameters, plan, '
    'rendered', 'there is something to guess');
SELECT ok(EXISTS (SELECT FROM shown AS s, guess AS g
    WHERE g.what = w AND pg_temp.is_in(promote.config_digest('ecomm', g.document), s.content)),
    'a keyed digest is shown: ' || w)
  FROM (SELECT DISTINCT what AS w FROM guess) AS g ORDER BY w;
SELECT is_empty('SELECT s.name, g.what, g.document FROM shown AS s, guess AS g WHERE '
    'pg_temp.is_in(promote.jsonb_digest(g.document), s.content)', 'one that confirms a guess is not');
-- where the keyed ones are, so that the search is known to have looked there
SELECT is((SELECT string_agg(s.name, ', ' ORDER BY s.name) FROM shown AS s WHERE EXISTS (SELECT FROM guess AS g
    WHERE pg_temp.is_in(promote.config_digest('ecomm', g.document), s.content))),
          'audit_log, deployment, drift_item, drift_status, instance_status, observation, promotion_matrix, '
              'promotion_request, promotion_request_item, promotion_request_preview, request_evidence, revision',
              'it was looked for wherever there are any');

-- ---- nobody to ask, behind the door of promote_internal either ----
GRANT USAGE ON SCHEMA promote_internal TO guess_viewer;
SELECT throws_ok(format('SELECT pg_temp.as_viewer(%L)', s), '42501', NULL, s) FROM unnest(ARRAY[
    $$SELECT promote.config_digest('ecomm', '{"pin": "4711"}')$$, $$SELECT digest_key FROM promote.project_key$$,
    $$SELECT promote_internal.audit_facts(x)
        FROM (SELECT 'ecomm'::text AS project, '{"pin": "4711"}'::jsonb AS guess) AS x$$,
    $$SELECT promote_internal.deployment_facts(jsonb_populate_record(NULL::promote.deployment,
        '{"project": "ecomm", "diff": {"pin": "4711"}}'))$$]) AS s;
SELECT is(pg_temp.as_viewer($$SELECT promote_internal.rendered_digest('ecomm', 'production',
    promote.jsonb_digest('{"pin": "4711"}'))$$), NULL, 'nothing is rendered that is not stored');
INSERT INTO promote.config (project, params) VALUES ('other', '{"pin": "4711"}');
SELECT is(pg_temp.as_viewer(format('SELECT promote_internal.rendered_digest(''other'', ''production'', %L)',
    promote.config_digest('other', '{"pin": "4711"}'))), NULL, '... or not to be seen');
SELECT isnt(promote_internal.rendered_digest('other', 'production', promote.config_digest('other', '{"pin": "4711"}')),
    NULL, '... but for those who see it');
SELECT ok(strpos(string_agg(content, ''), encode((SELECT digest_key FROM promote.project_key WHERE project = 'ecomm'),
    'hex')) = 0, 'the key is not shown') FROM shown;

-- ---- keys ----
SELECT isnt(promote.config_digest('other', '{"pin": "4711"}'), promote.config_digest('ecomm', '{"pin": "4711"}'),
    'projects have keys of their own');
SELECT is(promote.config_digest('other', '{"pin": 1.0, "a": 2}'),
    promote.config_digest('other', '{"a": 2.00, "pin": 1}'), 'equal documents have one digest');
SELECT throws_ok($$UPDATE promote.project_key SET digest_key = sha256('x')$$, 'PM303', NULL, 'a key is never changed');
SELECT throws_ok($$INSERT INTO promote.project_key (project, digest_key) VALUES ('short', '\x00')$$, 'PM303', NULL,
    'nor given');
INSERT INTO promote.project (project, attributes) VALUES ('named', jsonb_build_object('long', repeat('x', 2000)));
SELECT promote.config_digest('named', '{"a": 1}') AS named \gset
INSERT INTO promote.project (project) VALUES ('named') ON CONFLICT DO NOTHING;
UPDATE promote.project SET project = 'renamed' WHERE project = 'named';
SELECT is(promote.config_digest('renamed', '{"a": 1}'), :'named'::bytea, 'it follows the project''s name');
SELECT throws_ok($$SELECT promote.config_digest('named', '{}')$$, 'PM002', NULL, '... which has none any more');
DELETE FROM promote.project WHERE project = 'renamed';
SELECT is_empty($$SELECT FROM promote.project_key WHERE project IN ('named', 'renamed')$$, '... and goes with it');
SELECT throws_ok($$INSERT INTO promote.config (project, params) VALUES ('nowhere', '{}')$$, 'PM002', NULL,
    'without a project there is none');
SELECT throws_ok(format('SELECT promote.config_digest(%L, ''{}'')', repeat('x', 100)), 'PM002', NULL,
    '... whatever it is called');
SELECT is(promote.config_digest(NULL, '{}'), NULL, 'nothing of nothing');
SELECT is_empty($$SELECT subject, problem FROM promote.verify_audit()$$, 'all of that is recorded');
-- made again, a project has another
WITH made AS (INSERT INTO promote.project (project) VALUES ('again') RETURNING project)
INSERT INTO promote.config (project, params) SELECT project, '{"a": 1}' FROM made;
SELECT is(digest, promote.config_digest('again', '{"a": 1}'), 'a project and its configuration come in one statement')
    FROM promote.config WHERE project = 'again';
SAVEPOINT made;
INSERT INTO promote.project (project) VALUES ('later');
SELECT promote.config_digest('later', '{"a": 1}') AS later \gset
ROLLBACK TO made;
INSERT INTO promote.project (project) VALUES ('later');
SELECT isnt(promote.config_digest('later', '{"a": 1}'), :'later'::bytea,
    'made again after it was rolled back it has another key');
SELECT throws_ok($$DELETE FROM promote.config WHERE project = 'again'$$, 'PM301', NULL,
    'a project with a configuration stays');
INSERT INTO promote.project (project) VALUES ('short_lived');
INSERT INTO promote.environment (project, environment)
    VALUES ('short_lived', 'e');
INSERT INTO promote.parameter_set (project, environment, parameters)
    VALUES ('short_lived', 'e', '{"pin": "4711"}');
SELECT promote.config_digest('short_lived', '{"a": 1}') AS before \gset
WITH s AS (DELETE FROM promote.parameter_set WHERE project = 'short_lived'),
    e AS (DELETE FROM promote.environment WHERE project = 'short_lived') DELETE FROM promote.project
    WHERE project = 'short_lived';
SELECT is((SELECT data -> 'before' -> 'parameters' FROM promote.audit_log WHERE subject = 'parameter_set short_lived/e'
    AND event ~ 'deleted'), 'null', 'a document that goes with its project has no digest any more');
INSERT INTO promote.project (project) VALUES ('short_lived');
SELECT isnt(promote.config_digest('short_lived', '{"a": 1}'), :'before'::bytea, 'made again it has another key');
SELECT is_empty($$SELECT subject, problem FROM promote.verify_audit()$$, 'and all is whole');

-- ---- a secret's fingerprint, which no digest that somebody reports is keyed to ----
INSERT INTO promote.bundle_release (bundle, version, params_schema, secrets)
    VALUES ('postgres', '1.9.0', '{}', '{"pin": {"required": false}}');
SELECT set_config('promote.secret_key_command', 'printf ''k1:' || encode(sha256('k1'), 'base64') || '\n''',
    true) \g /dev/null
SELECT promote.configure_instance('ecomm-staging-db', '{}', '1.9.0', plan => false) \g /dev/null
SELECT promote.set_secret('ecomm-staging-db', 'pin', '4711') \g /dev/null
SELECT is(promote.report_observed_digest('ecomm-production-db', reported, 'probe'), 1,
    'a report of ' || encode(reported, 'hex'))
  FROM unnest(ARRAY[sha256('4711'), sha256('secret:4711'), promote.jsonb_digest('"4711"')]) AS reported;
SELECT is((SELECT count(*) FROM promote.audit_log AS a
    JOIN promote.secret AS s ON a.data ->> 'digest' = encode(s.fingerprint, 'hex')), 0::bigint,
    'no report of a digest confirms a guess of a secret');

SELECT * FROM finish();
ROLLBACK;
