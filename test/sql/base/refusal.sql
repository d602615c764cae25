-- What programs are told of a refusal.  A refusal is sent, not caught: so statements fail here, each by itself, and
-- what was kept of the last one is looked at by the next.
SELECT plan(39);  -- none is left out by an error
\ir ../../fixtures/ecomm.sql
\set ON_ERROR_STOP 0
\set key '{sqlstate,condition,message,detail,hint,instance}'

SELECT is(promote.last_refusal(), NULL, 'there is none at first');

-- ---- what is in it ----

SELECT promote.configure_instance('ecomm-production-db', '{"size": "tiny", "replicas": 12}');
SELECT promote.last_refusal() AS r \gset
SELECT is(:'r'::jsonb - 'detail' - 'hint', $${"sqlstate": "PM103", "condition": "invalid_params",
    "message": "the params of \"ecomm-production-db\" would not be valid for postgres 1.0.0",
    "instance": "ecomm-production-db", "violations": [
    {"path": ".size", "message": "expected one of \"small\", \"medium\", \"large\"", "keyword": "enum",
     "schema_path": "#/properties/size/enum"},
    {"path": ".replicas", "message": "expected at most 9", "keyword": "maximum",
     "schema_path": "#/properties/replicas/maximum"}]}$$::jsonb, 'violations of a schema, with their paths');
SELECT isnt(:'r'::jsonb ->> key, NULL, 'it has ' || key) FROM unnest(:'key'::text[]) AS key;
SELECT is(promote.last_refusal(), NULL, 'it is told once');

UPDATE promote.environment SET require_plan = false WHERE project = 'ecomm';
SELECT promote.stop_line('a fire', 'ecomm') \g /dev/null
SELECT promote.deploy_instance('ecomm-production-db');
SELECT promote.last_refusal() AS r \gset
SELECT is(:'r'::jsonb #> '{blockers,0}', jsonb_build_object('code', 'stopped', 'message', b.message, 'since',
    :'r'::jsonb #> '{blockers,0,since}', 'liftable_by', b.liftable_by), 'a blocker, as promote.blockers has it')
  FROM promote.blockers('ecomm-production-db') AS b WHERE b.code = 'stopped';
SELECT is(:'r'::jsonb ->> 'condition', 'gates_closed', '... by its name');
SELECT is((:'r'::jsonb #>> '{blockers,0,since}')::timestamptz, stopped_at, '... and since when')
  FROM promote.line_stop;
SELECT promote.resume_line('ecomm') \g /dev/null

SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', "only" => '{.nothing,twice}');
SELECT promote.last_refusal() AS r \gset
SELECT is((SELECT array_agg(v ->> 'path' ORDER BY n)
    FROM jsonb_array_elements(:'r'::jsonb -> 'violations') WITH ORDINALITY AS a (v, n)), '{twice,.nothing}',
    'places that cannot be taken');

SELECT promote.promote_many('{ecomm-staging-db,ecomm-staging-db}', '{ecomm-production-cache,ecomm-none-db}');
SELECT promote.last_refusal() AS r \gset
SELECT is((SELECT array_agg(concat_ws(' ', v ->> 'sqlstate', v ->> 'condition', v ->> 'name') ORDER BY v ->> 'sqlstate')
    FROM jsonb_array_elements(:'r'::jsonb -> 'refused') AS v),
    '{PM002 not_found ecomm-none-db,PM004 component_mismatch ecomm-production-cache}', 'elements of a set');

INSERT INTO promote.bundle_release (bundle, version, params_schema, presets) VALUES ('empty', '1.0.0',
    '{"properties": {"n": {"type": "integer"}}}', '{"big": {"n": "many"}}');
SELECT is(promote.last_refusal() -> 'violations', '[{"preset": "big", "path": ".n",
    "message": "expected integer, found string", "keyword": "type",
    "schema_path": "#/properties/n/type"}]'::jsonb, 'of what is inserted, too');

SELECT promote.claim_deployment('');
SELECT promote.last_refusal() AS r \gset
SELECT is(:'r'::jsonb -> 'reasons', jsonb_build_array(:'r'::jsonb ->> 'detail'), 'else the lines of DETAIL');
SELECT is(:'r'::jsonb ->> 'instance', NULL, '... and no instance, where the message quotes none');

-- ---- what it must not say ----

SELECT promote.configure_instance('ecomm-staging-db', '{"password": "base-4711"}') \g /dev/null
SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db') \g /dev/null
SELECT promote.configure_instance('ecomm-staging-db', '{"password": "theirs-4711", "size": "large"}') \g /dev/null
SELECT promote.configure_instance('ecomm-production-db', '{"password": "ours-4711", "size": "small"}') \g /dev/null
SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', mode => 'merge');
SELECT promote.last_refusal() AS r \gset
SELECT is((SELECT array_agg(v ->> 'path' ORDER BY v ->> 'path') FROM jsonb_array_elements(:'r'::jsonb -> 'conflicts')
    AS v), '{.password,.size}', 'conflicts of a merge');
SELECT is(:'r'::jsonb -> 'conflicts' @> '[{"path": ".size", "base": "\"medium\"", "source": "\"large\"",
    "destination": "\"small\""}]', true, '... with their values');
SELECT unalike(:'r'::text, '%4711%', '... but none that is sensitive');

-- ---- whose it is ----

CREATE ROLE test_refused;
CREATE ROLE test_other;
SELECT promote.grant_action(role, action) FROM (VALUES ('test_refused', 'view'), ('test_other', 'view'),
    ('test_other', 'impersonate')) AS v(role, action) \g /dev/null
SET ROLE test_refused;
SELECT promote.deploy_instance('ecomm-production-db');
SELECT promote.last_refusal() AS r \gset
SELECT is(:'r'::jsonb -> 'grants', '[{"role": "test_refused", "action": "deploy", "project": "ecomm",
    "environment": "production"}]', 'a grant that is missing');
SELECT promote.block_release('postgres', '1.0.0', 'no');
SELECT is(promote.last_refusal() -> 'grants', '[{"role": "test_refused", "action": "admin"}]',
    '... everywhere: of no project');
BEGIN;
SAVEPOINT before;
SELECT promote.deploy_instance('ecomm-production-db');
ROLLBACK TO before;
SET LOCAL ROLE test_other;
SELECT promote.last_refusal() IS NULL AS hidden \gset
SET LOCAL ROLE test_refused;
SELECT promote.last_refusal() IS NOT NULL AS shown \gset
ROLLBACK;
SELECT ok(:'hidden', 'another role does not see it');
SELECT ok(:'shown', '... but the role that was told, also behind a savepoint');
SET ROLE test_other;
SET promote.actor = 'ann';
SELECT promote.deploy_instance('ecomm-production-db');
BEGIN;
SET LOCAL promote.actor = 'bob';
SELECT promote.last_refusal() IS NULL AS hidden \gset
ROLLBACK;
SELECT promote.last_refusal() IS NOT NULL AS shown \gset
RESET promote.actor;
SELECT ok(:'hidden', 'nor does another person');
SELECT ok(:'shown', '... but the one who was told');
RESET ROLE;

-- ---- when it is over ----

SELECT promote.deploy_instance('ecomm-none-db');
SELECT 1 / 0;
SELECT is(promote.last_refusal(), NULL, 'another error is the last one, and is no refusal');
SELECT promote.deploy_instance('ecomm-none-db');
SELECT 1 \g /dev/null
SELECT is(promote.last_refusal() ->> 'sqlstate', 'PM002', 'what only reads forgets nothing');
SELECT promote.deploy_instance('ecomm-none-db');
SELECT promote.configure_instance('ecomm-production-db', '{"replicas": 4}') \g /dev/null
SELECT is(promote.last_refusal(), NULL, 'what writes, and commits, has succeeded');
SELECT promote.deploy_instance('ecomm-none-db');
BEGIN;
SELECT promote.configure_instance('ecomm-production-db', '{"replicas": 5}') \g /dev/null
ROLLBACK;
SELECT is(promote.last_refusal() ->> 'sqlstate', 'PM002', 'what is rolled back forgets nothing');
SELECT promote.deploy_instance('ecomm-none-db');
DO $$
BEGIN
    PERFORM promote.deploy_instance('ecomm-other-db');
EXCEPTION WHEN OTHERS THEN
    NULL;
END
$$;
SELECT is(promote.last_refusal() ->> 'instance', 'ecomm-none-db', 'an error that is caught is none');

-- Items belong to the error that they were made for, and not to one that comes after it.
DO $$
BEGIN
    PERFORM promote.configure_instance('ecomm-production-db', '{"size": "tiny"}');
EXCEPTION WHEN OTHERS THEN
    PERFORM promote.deploy_instance('ecomm-none-db');
END
$$;
SELECT promote.last_refusal() AS r \gset
SELECT is(:'r'::jsonb ->> 'sqlstate', 'PM002', 'an error while another is handled');
SELECT is(:'r'::jsonb -> 'violations', NULL, '... has nothing of the other''s');
SELECT is(:'r'::jsonb -> 'reasons', '["Project \"ecomm\" has no environment \"none\"."]', '... but its own');
DO $$
BEGIN
    PERFORM promote.configure_instance('ecomm-production-db', '{"size": "tiny"}');
EXCEPTION WHEN OTHERS THEN
    RAISE;
END
$$;
SELECT is(jsonb_array_length(promote.last_refusal() -> 'violations'), 1, 'an error that is raised again has its items');

-- ---- bounds ----

INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('redis', '1.1.0',
    '{"additionalProperties": {"type": "string"}}');
SELECT promote.configure_instance('ecomm-production-cache', (SELECT jsonb_object_agg('k' || n, n)
    FROM generate_series(1, 1500) AS n), '1.1.0');
SELECT promote.last_refusal() AS r \gset
SELECT is(jsonb_array_length(:'r'::jsonb -> 'violations'), 1000, 'of many items so many');
SELECT is(:'r'::jsonb -> 'left_out', '500', '... and how many more there are');
SELECT promote.configure_instance('ecomm-production-cache', jsonb_build_object(repeat('ä', 40000), 1), '1.1.0');
SELECT promote.last_refusal() AS r \gset
SELECT is(right(:'r'::jsonb #>> '{violations,0,path}', 4), 'ä...', 'a text is cut between characters');
SELECT throws_ok($$SET promote.error_format = 'xml'$$, '22023', NULL, 'a format that is none');

SELECT * FROM finish();
