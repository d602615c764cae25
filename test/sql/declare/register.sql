-- Verbs of the registry, by roles that own nothing: what each takes, what it answers, what it writes, what it refuses.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
\ir ../../fixtures/as_role.sql
SET LOCAL client_min_messages = error;

CREATE ROLE r_registers;
CREATE ROLE r_everywhere;
CREATE ROLE r_staging;
CREATE ROLE r_publishes;
CREATE ROLE r_rules;
CREATE ROLE r_views;
CREATE ROLE r_all_else;
SELECT promote.grant_action('r_registers', 'register', 'ecomm'), promote.grant_action('r_everywhere', 'register'),
       promote.grant_action('r_staging', 'register', 'ecomm', 'staging'), promote.grant_action('r_publishes', 'publish'),
       promote.grant_action('r_rules', 'rules', 'ecomm'), promote.grant_action('r_views', 'view') \g /dev/null
SELECT promote.grant_action('r_all_else', a, 'ecomm')
  FROM unnest('{view,configure,promote,plan,deploy,approve,override,decommission,secrets,work,admin,audit}'::text[]) AS a
    \g /dev/null

-- A call as a role: what it declares and how many events that leaves, or how it is refused.
CREATE FUNCTION pg_temp.does(role text, call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    events bigint := (SELECT count(*) FROM promote.audit_log);
    said text := pg_temp.as_role(role,
        'SELECT concat_ws('' '', kind, name, action, NULLIF(changes, ''[]'')) FROM promote.' || call);
BEGIN
    RETURN said || CASE WHEN said ~ '^(PM|\d)' THEN '' ELSE ' ' || (SELECT count(*) FROM promote.audit_log) - events END;
END
$$;
-- ... expected of it.
CREATE FUNCTION pg_temp.try(role text, call text, expected text) RETURNS text LANGUAGE sql AS $$
    SELECT is(pg_temp.does(role, call), expected, role || ': ' || call)
$$;

-- ---- each verb: created, kept, changed, kept, removed, kept ----
SELECT pg_temp.try(role, call, expected) FROM (VALUES
    (1, 'r_everywhere', $$register_project('p1', 'one')$$,
        'project p1 create [{"new": "one", "column": "description"}] 1'),
    (2, 'r_everywhere', $$register_project('p1', 'one')$$, 'project p1 keep 0'),
    (3, 'r_everywhere', $$register_project('p1', 'two')$$,
        'project p1 change [{"new": "two", "old": "one", "column": "description"}] 1'),
    (4, 'r_everywhere', $$register_project('p1')$$, 'project p1 keep 0'),
    (5, 'r_everywhere', $$remove_project('p1')$$, 'project p1 delete [{"old": "two", "column": "description"}] 1'),
    (6, 'r_everywhere', $$remove_project('p1')$$, 'project p1 keep 0'),

    (11, 'r_registers', $$register_environment('ecomm', 'test', 'x', '{"a": 1}', '{"net": "n-1"}')$$,
        'environment ecomm/test create [{"new": "x", "column": "description"}, {"new": {"a": 1}, "column": "attributes"}, '
            || '{"new": {"net": "n-1"}, "column": "reference_defaults"}] 1'),
    (12, 'r_registers', $$register_environment('ecomm', 'test', 'x', '{"a": 1}')$$, 'environment ecomm/test keep 0'),
    (13, 'r_registers', $$register_environment('ecomm', 'test', reference_defaults => '{}')$$,
        'environment ecomm/test change [{"new": {}, "old": {"net": "n-1"}, "column": "reference_defaults"}] 1'),
    (14, 'r_rules', $$set_environment_rules('ecomm', 'test', source_policy => 'path', max_lost_leases => 5)$$,
        'environment ecomm/test change [{"new": 5, "old": 3, "column": "max_lost_leases"}, '
            || '{"new": "path", "old": "any", "column": "source_policy"}] 1'),
    (15, 'r_rules', $$set_environment_rules('ecomm', 'test', source_policy => 'path')$$, 'environment ecomm/test keep 0'),
    (16, 'r_rules', $$set_environment_rules('ecomm', 'test', require_structure => 'staging')$$,
        'environment ecomm/test change [{"new": "staging", "old": null, "column": "require_structure"}] 1'),
    (17, 'r_registers', $$remove_environment('ecomm', 'test')$$,
        'PM701: Role "r_registers" has no grant "rules" for environment "test" of project "ecomm".'),
    (18, 'r_rules', $$set_environment_rules('ecomm', 'test', source_policy => 'any', max_lost_leases => 3,
        require_structure => '')$$,
        'environment ecomm/test change [{"new": 3, "old": 5, "column": "max_lost_leases"}, '
            || '{"new": "any", "old": "path", "column": "source_policy"}, '
            || '{"new": null, "old": "staging", "column": "require_structure"}] 1'),
    (19, 'r_registers', $$remove_environment('ecomm', 'test')$$,
        'environment ecomm/test delete [{"old": "x", "column": "description"}, {"old": {"a": 1}, "column": "attributes"}] 1'),
    (20, 'r_registers', $$remove_environment('ecomm', 'test')$$, 'environment ecomm/test keep 0'),

    (21, 'r_everywhere', $$register_bundle('mysql')$$, 'bundle mysql create 1'),
    (22, 'r_everywhere', $$register_bundle('mysql')$$, 'bundle mysql keep 0'),
    (23, 'r_everywhere', $$register_bundle('mysql', 'x')$$,
        'bundle mysql change [{"new": "x", "old": null, "column": "description"}] 1'),
    (24, 'r_publishes', $$publish_release('mysql', '1.0.0', '{"properties": {"n": {"type": "integer"}}}',
        secrets => '{"token": {"required": true}}', presets => '{"small": {"n": 1}}', changelog => '')$$,
        'bundle_release mysql/1.0.0 create [{"new": {"properties": {"n": {"type": "integer"}}}, "column": "params_schema"}, '
            || '{"new": {"token": {"required": true}}, "column": "secrets"}, '
            || '{"new": {"small": {"n": 1}}, "column": "presets"}] 1'),
    (25, 'r_publishes', $$publish_release('mysql', '1.0.0', '{"properties": {"n": {"type": "integer"}}}',
        secrets => '{"token": {"required": true}}', presets => '{"small": {"n": 1}}')$$, 'bundle_release mysql/1.0.0 keep 0'),
    (26, 'r_publishes', $$publish_release('mysql', '1.0.0', '{"properties": {"n": {"type": "integer"}}}',
        presets => '{"small": {"n": 2}}')$$, 'PM203: It differs in secrets, presets.'),
    (27, 'r_everywhere', $$remove_bundle('mysql')$$, 'PM512: These tables have rows that refer to it: bundle_release.'),
    (28, 'r_publishes', $$remove_release('mysql', '1.0.0')$$,
        'bundle_release mysql/1.0.0 delete [{"old": {"properties": {"n": {"type": "integer"}}}, "column": "params_schema"}, '
            || '{"old": {"token": {"required": true}}, "column": "secrets"}, '
            || '{"old": {"small": {"n": 1}}, "column": "presets"}] 1'),
    (29, 'r_publishes', $$remove_release('mysql', '1.0.0')$$, 'bundle_release mysql/1.0.0 keep 0'),
    (30, 'r_everywhere', $$remove_bundle('mysql')$$, 'bundle mysql delete [{"old": "x", "column": "description"}] 1'),

    (31, 'r_registers', $$register_component('ecomm', 'queue', 'redis', version_policy => 'pinned')$$,
        'component ecomm/queue create [{"new": "redis", "column": "bundle"}, {"new": "pinned", "column": "version_policy"}] 1'),
    (32, 'r_registers', $$register_component('ecomm', 'queue')$$, 'component ecomm/queue keep 0'),
    (33, 'r_registers', $$register_component('ecomm', 'queue', version_policy => '')$$,
        'component ecomm/queue change [{"new": null, "old": "pinned", "column": "version_policy"}] 1'),
    (34, 'r_registers', $$set_dependency('ecomm', 'queue', 'db')$$, 'component_dependency ecomm/queue/db create 1'),
    (35, 'r_registers', $$set_dependency('ecomm', 'queue', 'db', 'why')$$,
        'component_dependency ecomm/queue/db change [{"new": "why", "old": null, "column": "description"}] 1'),
    (36, 'r_registers', $$set_dependency('ecomm', 'db', 'queue')$$, 'PM620: The cycle is queue -> db -> queue.'),
    (37, 'r_registers', $$remove_component('ecomm', 'queue')$$,
        'PM512: These tables have rows that refer to it: component_dependency.'),
    (38, 'r_registers', $$remove_dependency('ecomm', 'queue', 'db')$$,
        'component_dependency ecomm/queue/db delete [{"old": "why", "column": "description"}] 1'),
    (39, 'r_registers', $$remove_dependency('ecomm', 'queue', 'db')$$, 'component_dependency ecomm/queue/db keep 0'),

    (41, 'r_registers', $$register_instance('ecomm', 'staging', 'queue')$$, 'instance ecomm/staging/queue create 1'),
    (42, 'r_staging', $$register_instance('ecomm', 'staging', 'queue', '{"a": 1}')$$,
        'instance ecomm/staging/queue change [{"new": {"a": 1}, "old": {}, "column": "attributes"}] 1'),
    (43, 'r_staging', $$register_instance('ecomm', 'production', 'queue')$$,
        'PM701: Role "r_staging" has no grant "register" for environment "production" of project "ecomm".'),
    (44, 'r_staging', $$remove_instance('ecomm', 'staging', 'queue')$$,
        'instance ecomm/staging/queue delete [{"old": {"a": 1}, "column": "attributes"}] 1'),
    (45, 'r_staging', $$remove_instance('ecomm', 'staging', 'queue')$$, 'instance ecomm/staging/queue keep 0'),
    (46, 'r_registers', $$remove_component('ecomm', 'queue')$$,
        'component ecomm/queue delete [{"old": "redis", "column": "bundle"}] 1'),

    (51, 'r_registers', $$set_promotion_path('ecomm', 'staging', 'production')$$,
        'promotion_path ecomm/staging/production create 1'),
    (52, 'r_registers', $$set_promotion_path('ecomm', 'staging', 'production')$$,
        'promotion_path ecomm/staging/production keep 0'),
    (53, 'r_registers', $$set_promotion_path('ecomm', 'staging', 'production', 'up')$$,
        'promotion_path ecomm/staging/production change [{"new": "up", "old": null, "column": "description"}] 1'),
    (54, 'r_registers', $$set_promotion_path('ecomm', 'production', 'staging')$$,
        'PM605: The cycle is staging -> production -> staging.'),
    (55, 'r_staging', $$remove_promotion_path('ecomm', 'staging', 'production')$$,
        'PM701: Role "r_staging" has no grant "register" for all of project "ecomm".'),
    (56, 'r_registers', $$remove_promotion_path('ecomm', 'staging', 'production')$$,
        'promotion_path ecomm/staging/production delete [{"old": "up", "column": "description"}] 1')
    ) AS v (place, role, call, expected) ORDER BY place;

-- ---- attributes ----
SELECT pg_temp.try('r_registers', format('set_attributes(%L, %s)', '{"a": 1}', args), expected) FROM (VALUES
    (1, $$'ecomm'$$, 'project ecomm change [{"new": {"a": 1}, "old": {}, "column": "attributes"}] 1'),
    (2, $$'ecomm'$$, 'project ecomm keep 0'),
    (3, $$'ecomm', 'staging'$$,
        'environment ecomm/staging change [{"new": {"a": 1}, "old": {}, "column": "attributes"}] 1'),
    (4, $$'ecomm', component => 'db'$$,
        'component ecomm/db change [{"new": {"a": 1}, "old": {}, "column": "attributes"}] 1'),
    (5, $$'ecomm', 'staging', 'db'$$,
        'instance ecomm/staging/db change [{"new": {"a": 1}, "old": {}, "column": "attributes"}] 1'),
    (6, $$'ecomm', 'moon'$$, 'PM002: There is no such row in promote.environment.'),
    (7, $$'ecomm', 'staging', 'moon'$$, 'PM002: There is no such row in promote.instance.'),
    (8, $$'shop'$$, 'PM701: Role "r_registers" has no grant "register" for all of project "shop".')
    ) AS v (place, args, expected) ORDER BY place;
SELECT pg_temp.try('r_registers', $$set_attributes('{"b": 2}', 'ecomm', 'staging', 'db')$$,
    'instance ecomm/staging/db change [{"new": {"b": 2}, "old": {"a": 1}, "column": "attributes"}] 1');
SELECT pg_temp.try('r_staging', $$set_attributes('{}', 'ecomm', 'staging', 'db')$$,
    'instance ecomm/staging/db change [{"new": {}, "old": {"b": 2}, "column": "attributes"}] 1');
SELECT pg_temp.try('r_staging', $$set_attributes('{}', 'ecomm')$$,
    'PM701: Role "r_staging" has no grant "register" for all of project "ecomm".');
SELECT pg_temp.try('r_registers', $$set_attributes(NULL, 'ecomm')$$, 'PM404: The argument is null or empty.');
SELECT pg_temp.try('r_registers', $$set_attributes('null', 'ecomm')$$, 'PM404: The argument is null or empty.');
SELECT pg_temp.try('r_registers', $$set_attributes('[]', 'ecomm')$$, 'PM101: They are of type array.');
SELECT pg_temp.try('r_registers', $$set_environment_rules('ecomm', 'staging', false)$$,
    'PM701: Role "r_registers" has no grant "rules" for environment "staging" of project "ecomm".');

-- ---- grants ----
-- every verb, by who has every other grant there: nothing of what is there is told
CREATE TEMP TABLE call AS
SELECT p.proname::text AS verb, pg_temp.does('r_all_else', format('%I(%s)', p.proname, string_agg(
           format('%I => %s::%s', a.name, CASE a.name WHEN 'project' THEN '''ecomm''' WHEN 'environment' THEN '''staging'''
               WHEN 'bundle' THEN '''postgres''' WHEN 'version' THEN '''9.9.9''' WHEN 'attributes' THEN '''{}'''
               ELSE '''db''' END, format_type(a.type, NULL)), ', '))) AS said
  FROM pg_proc AS p,
       LATERAL unnest(p.proargnames, p.proargtypes::oid[]) WITH ORDINALITY AS a (name, type, place)
 WHERE p.pronamespace = 'promote'::regnamespace AND p.prorettype = 'promote.declaration'::regtype
   AND p.proname ~ '^(register|remove|publish|set)_'
   AND (a.place <= p.pronargs - p.pronargdefaults OR a.name = 'bundle') AND NOT a.type = 'jsonb'::regtype
   AND p.proname IN ('register_project', 'register_environment', 'register_component', 'register_instance',
       'register_bundle', 'set_dependency', 'set_promotion_path', 'set_environment_rules', 'remove_project',
       'remove_environment', 'remove_component', 'remove_instance', 'remove_bundle', 'remove_release',
       'remove_dependency', 'remove_promotion_path')
 GROUP BY p.oid, p.proname;
SELECT is(count(*), 16::bigint, 'the verbs') FROM call;
SELECT is_empty($$SELECT * FROM call WHERE said !~ '^PM701: Role "r_all_else" has no grant "(register|publish|rules)" for '$$,
    'no other grant opens any');
SELECT pg_temp.try('r_all_else', $$publish_release('postgres', '9.9.9', '{}')$$,
    'PM701: Role "r_all_else" has no grant "publish" for all projects.');
SELECT pg_temp.try('r_everywhere', $$publish_release('postgres', '9.9.9', '{}')$$,
    'PM701: Role "r_everywhere" has no grant "publish" for all projects.');
SELECT pg_temp.try('r_publishes', $$register_bundle('x')$$,
    'PM701: Role "r_publishes" has no grant "register" for all projects.');
SELECT pg_temp.try('r_registers', $$register_project('ecomm')$$,
    'PM701: Role "r_registers" has no grant "register" for all projects.');
-- somebody else's project, and one that is not there
SELECT is(replace(pg_temp.does('r_registers', format('register_environment(%L, %L)', p, e)), p, 'P'),
    'PM701: Role "r_registers" has no grant "register" for environment "' || e || '" of project "P".',
    p || ' ' || e || ' looks like any other')
  FROM unnest('{shop,nowhere}'::text[]) AS p, unnest('{staging,moon}'::text[]) AS e;
SELECT is(pg_temp.does('r_registers', format('remove_component(%L, %L)', p, 's1')),
    'PM701: Role "r_registers" has no grant "register" for all of project "' || p || '".', '... nor is a component of it told')
  FROM unnest('{shop,nowhere}'::text[]) AS p;
CREATE ROLE r_stranger;
SELECT matches(pg_temp.as_role('r_stranger', $$SELECT promote.register_project('x')$$), '^42501', 'no grant at all');

-- ---- bad input: as the tables refuse it, and nothing written ----
SELECT pg_temp.refuses('SELECT promote.' || call, code, detail, call) FROM (VALUES
    ($$register_project(NULL)$$, 'PM404', 'null or empty'),
    ($$register_project('Shop')$$, 'PM001', 'a character other'),
    ($$register_project('')$$, 'PM001', 'empty'),
    ($$register_project('x', attributes => '[1]')$$, 'PM101', 'of type array'),
    ($$register_environment('ecomm', NULL)$$, 'PM404', 'null or empty'),
    ($$register_environment(NULL, 'x')$$, 'PM404', 'null or empty'),
    ($$register_environment('ecomm', 'x--y')$$, 'PM001', 'two in a row'),
    ($$register_environment('ecomm', 'x', reference_defaults => '{"a": 1}')$$, 'PM404', '.'),
    ($$set_environment_rules('ecomm', 'moon', false)$$, 'PM002', 'no such row'),
    ($$set_environment_rules('ecomm', 'staging', max_lost_leases => 0)$$, 'PM404', '1 or more'),
    ($$set_environment_rules('ecomm', 'staging', source_policy => '')$$, 'PM404', 'any or path'),
    ($$set_environment_rules('ecomm', 'staging', required_soak => '-1 s')$$, 'PM404', 'between 0 and 1 year'),
    ($$set_environment_rules('ecomm', 'staging', require_structure => 'staging')$$, 'PM404', 'itself'),
    ($$register_component('ecomm', 'x')$$, 'PM404', 'null or empty'),
    ($$register_component('ecomm', 'x', 'moon')$$, 'PM002', 'component "ecomm/x" refers'),
    ($$register_component('ecomm', 'x-y', 'redis')$$, 'PM001', 'a character other'),
    ($$register_component('ecomm', 'x', 'redis', version_policy => 'newest')$$, 'PM404', 'constraint or pinned'),
    ($$register_component('nowhere', 'x', 'redis')$$, 'PM002', 'refers to it'),
    ($$register_instance('ecomm', 'moon', 'db')$$, 'PM002', 'refers to it'),
    ($$publish_release('moon', '1.0.0', '{}')$$, 'PM002', 'refers to it'),
    ($$publish_release('redis', '1.5.0', NULL)$$, 'PM404', 'null or empty'),
    ($$publish_release('redis', '1.5', '{}')$$, 'PM201', 'patch version is missing'),
    ($$publish_release('redis', '1.5.0+x', '{}')$$, 'PM404', 'Build metadata'),
    ($$publish_release('redis', '1.5.0', '{"type": "strin"}')$$, 'PM106', '.'),
    ($$publish_release('redis', '1.5.0', '{"properties": {"n": {"type": "integer"}}}', presets => '{"x": {"n": "y"}}')$$,
        'PM103', 'expected integer'),
    ($$publish_release('redis', '1.5.0', '{}', artifact_digest => 'sha256:x')$$, 'PM404', 'hexadecimal'),
    ($$set_dependency('ecomm', 'db', 'moon')$$, 'PM002', 'refers to it'),
    ($$set_dependency('ecomm', 'db', 'db')$$, 'PM620', 'cycle'),
    ($$set_promotion_path('ecomm', 'staging', 'moon')$$, 'PM002', 'refers to it'),
    ($$set_promotion_path('ecomm', 'staging', 'staging')$$, 'PM605', 'cycle'),
    ($$set_promotion_path('ecomm', NULL, 'staging')$$, 'PM404', 'null or empty'),
    ($$remove_project(NULL)$$, 'PM404', 'null or empty'),
    ($$remove_project('A')$$, 'PM001', 'a character other')) AS v (call, code, detail);

-- ---- what has history stays, and the hint says what to do ----
CREATE FUNCTION pg_temp.hint(statement text) RETURNS text LANGUAGE sql AS $$
    SELECT state || ' ' || hint FROM pg_temp.refusal(statement)
$$;
SELECT matches(pg_temp.hint('SELECT promote.' || call), expected, call) FROM (VALUES
    ($$remove_project('ecomm')$$, '^PM512 .*What has history stays'),
    ($$remove_environment('ecomm', 'staging')$$, '^PM512 .*promote\.archive_environment'),
    ($$remove_bundle('redis')$$, '^PM512 .*What has history stays'),
    ($$remove_release('postgres', '1.0.0')$$, '^PM512 .*promote\.block_release'),
    ($$remove_component('ecomm', 'db')$$, '^PM512 .*What has history stays'),
    ($$remove_instance('ecomm', 'staging', 'db')$$, '^PM512 .*promote\.decommission_instance')) AS v (call, expected);
SELECT promote.register_environment('ecomm', 'granted'), promote.grant_action('r_views', 'deploy', 'ecomm', 'granted')
    \g /dev/null
SELECT pg_temp.try('r_registers', $$remove_environment('ecomm', 'granted')$$,
    'PM512: These tables have rows that refer to it: grants.');

-- ---- archived environments ----
SELECT promote.register_environment('ecomm', 'pr', 'first', '{"n": 1}'),
       promote.set_environment_rules('ecomm', 'pr', require_plan => false),
       promote.register_instance('ecomm', 'pr', 'db', '{"n": 1}') \g /dev/null
SELECT promote.configure_instance('ecomm-pr-db', '{"size": "small"}', '1.0.0', plan => false) \g /dev/null
SELECT promote.archive_environment('ecomm-pr') \g /dev/null
SELECT matches(pg_temp.does(role, call), '^PM006: ', call) FROM (VALUES
    ('r_registers', $$set_attributes('{}', 'ecomm', 'pr')$$), ('r_rules', $$set_environment_rules('ecomm', 'pr', true)$$),
    ('r_registers', $$register_instance('ecomm', 'pr', 'db')$$), ('r_registers', $$remove_environment('ecomm', 'pr')$$),
    ('r_registers', $$remove_instance('ecomm', 'pr', 'db')$$), ('r_registers', $$set_promotion_path('ecomm', 'pr', 'staging')$$),
    ('r_registers', $$set_attributes('{"n": 1}', 'ecomm', 'pr', 'db')$$)) AS v (role, call);
-- whoever switches off row-level security loads nothing by a verb: triggers that let a dump's rows pass judge these
SET LOCAL row_security = off;
SET LOCAL check_function_bodies = off;
SELECT pg_temp.try('r_publishes', $$publish_release('redis', '1.5.0', '{"properties": {"n": {"type": "integer"}}}',
    presets => '{"x": {"n": "y"}}')$$, 'PM103: "x" at .n: expected integer, found string');
SELECT matches(pg_temp.does('r_registers', $$set_promotion_path('ecomm', 'pr', 'staging')$$), '^PM006: ', 'nor here');
RESET row_security;
RESET check_function_bodies;
SELECT matches(pg_temp.does('r_registers', $$register_environment('ecomm', 'pr', 'second')$$),
    '^environment ecomm/pr create \[{"new": "second", "column": "description"}\]', 'the name is taken again');
SELECT results_eq($$SELECT generation, description, attributes, require_plan, archived_at IS NULL, forked_from IS NULL
                      FROM promote.environment WHERE environment = 'pr'$$,
    $$VALUES (2, 'second', '{}'::jsonb, true, true, true)$$, '... as a new environment');
SELECT is(a.actor COLLATE "default", 'r_registers', '... by the person') FROM promote.audit_log AS a
 WHERE a.subject = 'ecomm-pr-db' AND a.event = 'instance.opened' AND a.data ->> 'generation' = '2';
SELECT results_eq($$SELECT i.revision = i.opened_revision, i.attributes FROM promote.instance AS i
                     WHERE i.environment = 'pr'$$, $$VALUES (true, '{}'::jsonb)$$, '... whose instances begin anew');
SELECT pg_temp.try('r_registers', $$register_environment('ecomm', 'pr', 'second')$$, 'environment ecomm/pr keep 0');
SELECT pg_temp.try('r_registers', $$register_instance('ecomm', 'pr', 'db')$$, 'instance ecomm/pr/db keep 0');
SELECT ok(c.changed, '... and work')
  FROM promote.configure_instance('ecomm-pr-db', '{"size": "large"}', '1.0.0', plan => false) AS c;

-- ---- who did it ----
CREATE ROLE r_portal;
SELECT promote.grant_action('r_portal', 'register'), promote.grant_action('r_portal', 'impersonate') \g /dev/null
SET LOCAL promote.actor = 'ann@example.com';
SELECT pg_temp.try('r_portal', $$register_project('ann')$$, 'project ann create 1');
SELECT results_eq($$SELECT actor COLLATE "default", database_role COLLATE "default" FROM promote.audit_log
                     WHERE subject = 'project ann'$$, $$VALUES ('ann@example.com', 'r_portal')$$, 'the log has the person');
SET LOCAL promote.actor = '';

-- ---- a DBA's statements go on working beside them ----
INSERT INTO promote.project (project, description) VALUES ('byhand', 'x');
SELECT pg_temp.try('r_everywhere', $$register_project('byhand', 'x')$$, 'project byhand keep 0');
UPDATE promote.project SET description = 'y' WHERE project = 'byhand';
SELECT pg_temp.try('r_everywhere', $$register_project('byhand', 'x')$$,
    'project byhand change [{"new": "x", "old": "y", "column": "description"}] 1');

SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the log has them all');
SELECT * FROM finish();
ROLLBACK;
