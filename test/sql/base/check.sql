-- What a plain INSERT may not write is refused in sentences: a code of promote's, what is wrong, and what to do
-- instead.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
SET LOCAL client_min_messages = error;
CREATE FUNCTION pg_temp.said(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
    hint text;
BEGIN
    EXECUTE statement;
    RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(' | ', SQLSTATE, SQLERRM, detail, hint);
END
$$;

-- ---- names and versions, by all that coerces ----
SELECT is(pg_temp.said($$INSERT INTO promote.component (project, component, bundle)
    VALUES ('ecomm', 'web-api', 'postgres')$$),
    'PM001 | invalid component name "web-api" | It holds a character other than a lower-case letter, a digit or an '
        'underscore. | A component''s name has up to 63 lower-case letters, digits and underscores, as in web_api: '
        'dashes part the names of instances.',
    'a dash in a component''s name');
SELECT is(pg_temp.said($$INSERT INTO promote.bundle_release (bundle, version, params_schema)
    VALUES ('postgres', '1.0', '{}')$$),
    'PM201 | invalid version "1.0" | The patch version is missing. | A version is MAJOR.MINOR.PATCH, such as 1.2.3 or '
        '1.2.3-rc.1, as semver.org 2.0.0 has it.', 'a version without a patch');
SELECT matches(pg_temp.said(s), said, s) FROM (VALUES
    ($$INSERT INTO promote.project (project) VALUES ('Shop')$$,
        '^PM001 \| invalid project name "Shop" \| It holds .* \| A project''s name has'),
    ($$INSERT INTO promote.project (project) VALUES ('')$$, '^PM001 \| invalid project name "" \| It is empty\. \|'),
    ($$INSERT INTO promote.project (project) VALUES (repeat('p', 3000))$$,
        '^PM001 \| invalid project name "p{200}" \| It is longer than 63 characters\. \|'),
    ($$INSERT INTO promote.environment (project, environment) VALUES ('ecomm', 'prod--eu')$$,
        '^PM001 \| invalid environment name "prod--eu" \| It begins or ends with a dash or has two in a row\. \| An '
        'environment''s name has'),
    ($$INSERT INTO promote.bundle VALUES ('My Bundle')$$,
        '^PM001 \| invalid bundle name "My Bundle" \| It holds .* \| A bundle''s name has'),
    ($$UPDATE promote.environment SET environment = 'a b' WHERE environment = 'staging'$$,
        '^PM001 \| invalid environment name'),
    ($$SELECT 'web-api'::promote.component_name$$, '^PM001'),
        ($$SELECT CAST('web-api'::text AS promote.component_name)$$, '^PM001'),
    ($$SELECT * FROM jsonb_to_record('{"c": "web-api"}') AS x (c promote.component_name)$$, '^PM001'),
    ($$SELECT '1.0'::promote.semantic_version$$, '^PM201'), ($$SELECT '~1.2.3.4'::promote.version_constraint$$,
        '^PM201 \| invalid version constraint "~1.2.3.4"'),
    ($$SELECT '~1+dev'::promote.version_constraint$$, '^PM201 \| invalid version constraint'),
    ($$SELECT 'nightly'::promote.release_channel$$,
        '^PM404 \| invalid release channel \| It is stable or development\. \|'),
    ($$SELECT CASE WHEN false THEN 'web-api'::promote.component_name END$$, '^accepted$')) AS v (s, said);
-- who only asks is answered
SELECT is(promote.is_version('1.0') OR promote.is_version_constraint('~1.2.3.4'), false,
    'is_version and is_version_constraint refuse nothing');

-- ---- values ----
SELECT is(pg_temp.said($$UPDATE promote.parameter_set SET parameters = '{"x": "{{x}}"}'$$),
    'PM404 | invalid parameters | A name or a value has {{ in it. What a parameter holds is never rendered again. | '
    'Write out what the placeholder stands for; braces that are meant literally belong into the params, behind a '
    'backslash.',
    'a parameter that stands for itself');
SELECT matches(pg_temp.said(format('UPDATE promote.parameter_set SET parameters = %L', parameters)), said, parameters)
  FROM (VALUES ('{"x": {"y": ["a {{ b"]}}', '^PM404'), ('{"x": {"{{y}}": 1}}', '^PM404'),
      ('{"x": "\u007b\u007b"}', '^PM404'),
      ('{"x": "{ {", "y": [[{"z": {}}]], "z": "}}"}', '^accepted$')) AS v (parameters, said);
SELECT matches(pg_temp.said(s), '^' || state || ' \| [^|]+ \| [^|]+[.] \| [^|]+[.]$', s) FROM (VALUES
    ($$UPDATE promote.project SET attributes = '[]'$$, 'PM101'), ($$UPDATE promote.environment SET attributes = '1'$$,
        'PM101'),
    ($$UPDATE promote.parameter_set SET parameters = 'null'$$, 'PM101'),
        ($$UPDATE promote.component SET attributes = '[]'$$, 'PM101'),
        ($$UPDATE promote.instance SET attributes = '[]'$$, 'PM101'),
    ($$UPDATE promote.environment SET max_lost_leases = 0$$, 'PM404'),
        ($$UPDATE promote.environment SET source_policy = 'some'$$, 'PM404'),
        ($$UPDATE promote.environment SET required_soak = '-1 s'$$, 'PM404'),
    ($$INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('postgres', '8.0.0+b', '{}')$$,
        'PM404'),
    ($$INSERT INTO promote.bundle_release (bundle, version, params_schema, secrets)
        VALUES ('postgres', '8.0.0', '{}', '[]')$$, 'PM101'),
    ($$INSERT INTO promote.bundle_release (bundle, version, params_schema, remote_references)
        VALUES ('postgres', '8.0.0', '{}', '[]')$$, 'PM404'),
    ($$INSERT INTO promote.bundle_release (bundle, version, params_schema)
        VALUES ('postgres', '8.0.0', '{"type": 1}')$$, 'PM106'),
    ($$INSERT INTO promote.config (project, params) VALUES ('ecomm', '[]')$$, 'PM101'),
    ($$INSERT INTO promote.schema_document (uri, document) VALUES ('types.json', 'true')$$, 'PM404'),
    ($$INSERT INTO promote.schema_document (uri, document) VALUES ('https://example.com/x', '1')$$, 'PM106'),
    ($$INSERT INTO promote.grants (role, action) VALUES ('', 'view')$$, 'PM404'),
        ($$INSERT INTO promote.grants (role, action) VALUES ('postgres', 'dance')$$, 'PM404'),
    ($$INSERT INTO promote.grants (role, action, project) VALUES ('postgres', 'impersonate', 'ecomm')$$, 'PM404'),
    ($$INSERT INTO promote.approval_rule (project, environment, rule, role)
        VALUES ('ecomm', 'production', '', 'postgres')$$, 'PM404'),
    ($$INSERT INTO promote.approval_rule (project, environment, rule, role) VALUES ('ecomm', 'production', 'r', '')$$,
        'PM404'),
    ($$INSERT INTO promote.approval_rule (project, environment, rule, role, quorum)
        VALUES ('ecomm', 'production', 'r', 'postgres', 0)$$, 'PM404'),
    ($$INSERT INTO promote.approval_rule (project, environment, rule, role, expires_after)
        VALUES ('ecomm', 'production', 'r', 'postgres', '0')$$, 'PM404'),
    ($$INSERT INTO promote.approval_rule (project, environment, rule, role, selector)
        VALUES ('ecomm', 'production', 'r', 'postgres', '[]')$$, 'PM101'),
    ($$INSERT INTO promote.required_check (project, environment, check_name) VALUES ('ecomm', 'production', ' x')$$,
        'PM404'),
    ($$INSERT INTO promote.required_check (project, environment, check_name, "of")
        VALUES ('ecomm', 'production', 'x', 'all')$$, 'PM404'),
    ($$INSERT INTO promote.required_check (project, environment, check_name, expires_after)
        VALUES ('ecomm', 'production', 'x', '0')$$, 'PM404'),
    ($$INSERT INTO promote.required_check (project, environment, check_name, selector)
        VALUES ('ecomm', 'production', 'x', '1')$$, 'PM101'),
    ($$INSERT INTO promote.override_rule (project, environment, code, role)
        VALUES ('ecomm', 'production', '', 'postgres')$$, 'PM404'),
    ($$INSERT INTO promote.override_rule (project, environment, code, role)
        VALUES ('ecomm', 'production', 'freeze', '')$$, 'PM404'),
    ($$INSERT INTO promote.freeze_window (name) VALUES ('x')$$, 'PM602'),
        ($$INSERT INTO promote.change_window (name) VALUES ('x')$$, 'PM602'),
    ($$INSERT INTO promote.change_window (name, during, max_deployments_per_window)
        VALUES ('x', '[2026-01-01,2026-02-01)', 0)$$, 'PM404'),
    ($$INSERT INTO promote.stateful_type (pattern) VALUES ('')$$, 'PM404'),
    ($$INSERT INTO promote.remote_reference (project, environment, component, field, reference)
        VALUES ('ecomm', 'production', 'db', 'network', 'a ')$$, 'PM303'),
    ($$INSERT INTO promote.revision (project, environment, component, digest, version_constraint, origin)
        SELECT project, environment, component, digest, version_constraint, 'luck' FROM promote.revision LIMIT 1$$,
        'PM404'),
    ($$INSERT INTO promote.revision (project, environment, component, digest, version_constraint, origin)
        SELECT project, environment, component, digest, version_constraint, 'promotion' FROM promote.revision LIMIT 1$$,
        'PM404'),
    ($$INSERT INTO promote.revision (project, environment, component, digest, version_constraint, source_environment)
        SELECT project, environment, component, digest, version_constraint, 'staging' FROM promote.revision LIMIT 1$$,
        'PM404'),
    ($$INSERT INTO promote.revision (project, environment, component, digest, version_constraint, source_environment,
                                     source_revision)
        SELECT project, environment, component, digest, version_constraint, environment, 0
          FROM promote.revision LIMIT 1$$,
        'PM404'),
    ($$INSERT INTO promote.revision (project, environment, component, digest, version_constraint, overrides)
        SELECT project, environment, component, digest, version_constraint, '3' FROM promote.revision LIMIT 1$$,
        'PM101'),
    ($$INSERT INTO promote.revision (project, environment, component, digest, version_constraint, mode)
        SELECT project, environment, component, digest, version_constraint, 'rebase' FROM promote.revision LIMIT 1$$,
        'PM404'),
    ($$INSERT INTO promote.revision (project, environment, component, digest, version_constraint, "only")
        SELECT project, environment, component, digest, version_constraint, '{}' FROM promote.revision LIMIT 1$$,
        'PM404')) AS v (s, state);

-- ---- and nothing else ----
-- A CHECK calls a function that raises, or stands on a table that only verbs write: of what is inserted there by hand a
-- guard says so.
SELECT is_empty($$SELECT c.conname, pg_get_constraintdef(c.oid) FROM pg_constraint AS c
    WHERE c.connamespace = 'promote'::regnamespace AND c.contype = 'c'
      AND pg_get_constraintdef(c.oid) !~ 'promote_internal\.\w*check\w*\(|promote\.(jsonb_schema_check|check_params)\('
      AND c.conrelid::regclass::text !~
          '^promote\.(approval|deployment|deployment_log|drift_item|gate_override|health_report|idempotency_key|instan'
          'ce|environment_generation|line_stop|observation|planned_change|promotion_request|promotion_request_item|'
          'promotion_request_preview|project_key|release_event|secret)$'
      AND c.conname NOT IN ('project_request_check', 'revision_revision_check', 'revision_kept_marks_check',
          'environment_generation_check', 'environment_tag_generation_check')$$,
          'no other CHECK is met by who inserts what the registry and the rules are made of');
SELECT is_empty($$SELECT t.oid::regtype FROM pg_type AS t JOIN pg_constraint AS c ON c.contypid = t.oid
    WHERE t.typnamespace = 'promote'::regnamespace AND c.contype = 'c'
        AND pg_get_constraintdef(c.oid) !~ 'promote_internal\.check_\w+\('$$, 'nor a domain''s');

SELECT * FROM finish();
ROLLBACK;
