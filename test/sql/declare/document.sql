-- A project as one document: what is exported, what applying it comes to, and what is refused.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
\ir ../../fixtures/as_role.sql

-- The rows of a call but those that are kept, a line each, or how it is refused.
CREATE FUNCTION pg_temp.applies(document jsonb, options text DEFAULT '') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    said text;
    detail text;
BEGIN
    EXECUTE format('SELECT COALESCE(string_agg(concat_ws('' '', kind, name, action, NULLIF(changes, ''[]'')), E''\n'''
        ' ORDER BY n) FILTER (WHERE action <> ''keep''), '''') FROM ROWS FROM (promote.apply_document(%L%s))'
        ' WITH ORDINALITY AS v (kind, name, action, changes, n)', document, options) INTO said;
    RETURN said;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN SQLSTATE || ' ' || SQLERRM || ': ' || detail;
END
$$;
-- All that is written, in a number that any writing moves.
CREATE FUNCTION pg_temp.written() RETURNS bigint LANGUAGE sql AS $$
    SELECT (SELECT count(*) FROM promote.audit_log) + pg_temp.rows()
$$;
-- A dry run says what applying then does, and writes nothing.
CREATE FUNCTION pg_temp.rehearsed(document jsonb, what text, options text DEFAULT '') RETURNS SETOF text
    LANGUAGE plpgsql
AS $$
DECLARE
    written bigint := pg_temp.written();
    dry text := pg_temp.applies(document, options || ', dry_run => true');
BEGIN
    RETURN NEXT is(pg_temp.written(), written, what || ': a dry run writes nothing');
    RETURN NEXT is(pg_temp.applies(document, options), dry, '... and says what applying does');
    IF dry !~ '^(PM|2)' THEN
        written := pg_temp.written();
        RETURN NEXT is(pg_temp.applies(document, options), '', '... after which there is no difference');
        RETURN NEXT is(pg_temp.written(), written, '... and nothing is written');
    END IF;
END
$$;
-- A document of the shop with an element of a section changed: the one that has all of a key.
CREATE FUNCTION pg_temp.shop(section text, key jsonb, patch jsonb, of_project text DEFAULT 'shop') RETURNS jsonb
LANGUAGE sql AS $$
    SELECT d || jsonb_build_object(section, (
               SELECT jsonb_agg(CASE WHEN e @> key THEN promote.jsonb_merge_patch(e, patch) ELSE e END)
                 FROM jsonb_array_elements(d -> section) AS e))
      FROM promote.export_project(of_project) AS d
$$;

-- ---- the schema ----
SELECT ok(promote.jsonb_schema_check(promote.document_schema()), 'the schema is one');
SELECT is_empty(format('SELECT * FROM promote.jsonb_schema_errors(promote.export_project(%L),
    promote.document_schema())',
    project), 'what is exported is valid: ' || project) FROM promote.project;
CREATE TEMP TABLE section (section text COLLATE "C", kind text COLLATE "C");
INSERT INTO section
VALUES ('project', 'project'), ('bundles', 'bundle'), ('releases', 'bundle_release'), ('environments', 'environment'),
       ('components', 'component'), ('dependencies', 'component_dependency'), ('paths', 'promotion_path'),
       ('approval_rules', 'approval_rule'), ('required_checks', 'required_check'), ('override_rules', 'override_rule'),
       ('policies', 'policy');
SELECT bag_eq($$SELECT s.section, k.name COLLATE "C"
    FROM section AS s
   CROSS JOIN LATERAL jsonb_extract_path(promote.document_schema(), 'properties', s.section) AS p
   CROSS JOIN LATERAL jsonb_object_keys(COALESCE(p #> '{items,properties}', p -> 'properties')) AS k (name)$$,
    $$SELECT s.section, a.attname::text COLLATE "C"
    FROM section AS s
    JOIN pg_attribute AS a ON a.attrelid = ('promote.' || s.kind)::regclass AND a.attnum > 0 AND NOT a.attisdropped
   WHERE a.attgenerated = '' AND a.attname NOT IN ('created_at', 'published_at', 'block_reason', 'request', 'pruned',
             'scope', 'digest_key', 'forked_from', 'generation', 'opened_at', 'archived_at')
     AND (a.attname <> 'project' OR s.section = 'project')$$,
    'it knows every column that is declared');

-- ---- what is exported ----
SELECT is(promote.export_project('ecomm') #> '{instances,3}', '{"component": "db", "environment": "production",
    "version": "1.0.0", "params": {"size": "small", "account": "prod", "subnet": "internal",
        "password": "(sensitive value)",
    "network": {"cidr": "10.9.0.0/16"}, "nodes": [{"id": "p1", "role": "x"}, {"id": "p2", "role": "y"}]}}',
    'an instance: its params with what is sensitive masked, and its version constraint');
SELECT is(promote.export_project('shop') #> '{environments,0}', '{"environment": "dev",
    "require_proven_release": false}',
    'an environment: what differs from the defaults');
SELECT ok(NOT promote.export_project('shop', releases => false) ? 'releases', 'releases can be left out');
SELECT unalike(promote.export_text('shop') || promote.export_text('shop', 'json'), '%hush%',
    'no sensitive value leaves');
SELECT is(promote.yaml_to_jsonb(promote.export_text(p, f)), promote.export_project(p), p || ' as ' || f
    || ' is read back')
  FROM (VALUES ('shop', 'yaml'), ('shop', 'json'), ('ecomm', 'yaml'), ('ecomm', 'json')) AS v (p, f);
SELECT matches(promote.export_text('shop'), e'^bundles:\n- bundle: service\ncomponents:\n', 'keys are sorted');
SELECT pg_temp.refuses($$SELECT promote.export_project('nowhere')$$, 'PM002', 'Nothing is declared', 'no such project');
SELECT pg_temp.refuses($$SELECT promote.export_text('shop', 'xml')$$, 'PM404', 'yaml and json', 'no such format');
SELECT pg_temp.refuses($$SELECT promote.export_project(NULL)$$, 'PM404', 'null', 'no project');
SET LOCAL TimeZone = 'Asia/Tokyo';
SET LOCAL IntervalStyle = 'sql_standard';
SELECT promote.set_freeze('night', 'shop', 'production', during => '[2027-01-01 00:00+00,
    2027-01-02 00:00+00)') \g /dev/null
UPDATE promote.environment SET required_soak = '1 day' WHERE project = 'shop' AND environment = 'production';
SELECT is(promote.export_project('shop') -> 'freezes' -> 0 ->> 'during',
    '["2027-01-01 00:00:00+00","2027-01-02 00:00:00+00")',
    'times are in UTC');
SELECT is(promote.export_project('shop') #>> '{environments,1,required_soak}', 'P1D', '... and intervals in ISO 8601');
RESET TimeZone;
RESET IntervalStyle;

-- ---- applying what is there ----
SELECT is(pg_temp.written(), (SELECT pg_temp.written() + 0 * count(*) FILTER (WHERE action <> 'keep')
    FROM promote.apply_document(promote.export_project('shop'))), 'nothing is written where there is no difference');
SELECT is(string_agg(DISTINCT action, ' '), 'keep', '... all is kept: ' || p)
  FROM (VALUES ('shop'), ('ecomm')) AS v (p), promote.apply_document(promote.export_project(p),
      prune => true) GROUP BY p;
SELECT is(string_agg(DISTINCT action, ' '), 'keep', '... as a text, too')
  FROM promote.apply_text(promote.export_text('shop'), prune => true);

-- ---- what differs ----
SELECT pg_temp.rehearsed(document, what, options)
  FROM (VALUES
    ('a description', '', promote.jsonb_merge_patch(promote.export_project('shop'),
        '{"project": {"description": "A shop"}}')),
    ('a rule of an environment', '', pg_temp.shop('environments', '{"environment": "production"}',
        '{"max_lost_leases": 5}')),
    ('a param', '', pg_temp.shop('instances', '{"environment": "staging", "component": "s1"}',
        '{"params": {"size": 7}}')),
    ('a sensitive param', '', pg_temp.shop('instances', '{"environment": "staging", "component": "s2"}',
        '{"params": {"password": "louder"}}')),
    ('one that goes', '', pg_temp.shop('instances', '{"environment": "staging", "component": "s3"}',
        '{"params": {"password": null}}')),
    ('a version', '', pg_temp.shop('instances', '{"environment": "staging", "component": "s4"}', '{"version": "~1"}')),
    ('a path', '', promote.export_project('shop') || '{"paths": [{"source_environment": "staging",
        "destination_environment": "production"}]}'),
    ('the other way round', ', prune => true', promote.export_project('shop') || '{"paths": [{"source_environment":
        "production", "destination_environment": "staging"}]}'),
    ('no paths', ', prune => true', promote.export_project('shop') - 'paths'),
    ('dependencies and rules', '', promote.export_project('shop') || '{"dependencies": [{"component": "s1",
        "depends_on":
        "s2"}], "approval_rules": [{"rule": "two", "role": "postgres", "quorum": 1, "environment": "production"},
            {"rule":
        "two", "role": "postgres"}], "required_checks": [{"check_name": "smoke", "of": "source"},
            {"check_name": "smoke"}],
        "override_rules": [{"code": "freeze", "role": "postgres", "environment": "production"}],
            "change_windows": [{"name":
        "day", "zone": "UTC", "starts_at": "2027-01-04T09:00:00", "duration": "PT8H", "rule": "FREQ=DAILY",
        "max_deployments_per_window": 3}]}'),
    ('a cycle turned round', ', prune => true', promote.export_project('shop') || '{"dependencies": [{"component": "s2",
        "depends_on": "s1"}]}'),
    ('none of them', ', prune => true', promote.export_project('shop') - '{dependencies,approval_rules,required_checks,'
        'override_rules,change_windows,freezes}'::text[]),
    ('a new environment with an instance', '', jsonb_insert(jsonb_insert(promote.export_project('shop'),
        '{environments,0}', '{"environment": "canary"}'), '{instances,0}', '{"environment": "canary", "component": "s1",
        "params": {"size": 3}}')),
    ('what has history', ', prune => true', promote.export_project('shop') - 'instances'),
    ('no instances, and no prune', '', promote.export_project('shop') - 'instances'),
    ('another project', '', '{"version": 1, "project": {"project": "new"}, "environments": [{"environment": "a"},
        {"environment": "b", "require_structure": "a"}], "components": [{"component": "db", "bundle": "fresh"}],
        "bundles": [{"bundle": "fresh"}], "releases": [{"bundle": "fresh", "version": "1.0.0", "params_schema": {},
        "remote_references": {"vpc": {}}, "secrets": {"token": {}}}], "instances": [{"environment": "a",
            "component": "db",
        "params": {"a": [1, 2.50]}, "remote_references": {"vpc": "vpc-1"}}]}'),
    ('which goes again', ', prune => true', '{"version": 1, "project": {"project": "new"}}')
  ) AS v (what, options, document);
SELECT is(promote.export_project('new'), '{"version": 1, "project": {"project": "new"},
    "environments": [{"environment": "a"},
    {"environment": "b", "require_structure": "a"}], "components": [{"component": "db", "bundle": "fresh"}],
    "bundles": [{"bundle": "fresh"}], "releases": [{"bundle": "fresh", "version": "1.0.0", "params_schema": {},
    "remote_references": {"vpc": {}}, "secrets": {"token": {}}}], "instances": [{"environment": "a", "component": "db",
    "params": {"a": [1, 2.50]}, "remote_references": {"vpc": "vpc-1"}, "secrets": ["token"]}]}',
    'a project is what was applied, with the names of secrets');
SELECT is(pg_temp.params('shop-staging-s1') ->> 'password', 'hush', 'a value that is masked in the document stays');
SELECT is(pg_temp.params('shop-staging-s2') ->> 'password', 'louder', '... one that is given is taken');
SELECT is(pg_temp.params('shop-staging-s3') -> 'password', NULL, '... one that is left out goes');
SELECT is_empty($$SELECT * FROM promote.verify_audit()$$, 'the log has it all');
SELECT count(*) FROM promote.apply_document(pg_temp.shop('instances', '{"environment": "staging", "component": "s5"}',
    '{"params": {"size": 8}}'), message => 'from git') \g /dev/null
SELECT is(message, 'from git', 'a message is that of the revision') FROM promote.revision AS r
 WHERE r.project = 'shop' AND r.environment = 'staging' AND r.component = 's5' ORDER BY r.revision DESC LIMIT 1;

-- ---- parameters ----
SELECT promote.set_parameters('shop', 'dev', '{"zone": "eu", "token": "hush-token"}', '{token}') \g /dev/null
CREATE FUNCTION pg_temp.parameters(part jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT pg_temp.shop('parameters', '{"environment": "dev"}', part)
$$;
CREATE FUNCTION pg_temp.kept() RETURNS text LANGUAGE sql AS $$
    SELECT s.parameters::text || s.sensitive::text FROM promote.parameter_set AS s
     WHERE s.project = 'shop' AND s.environment = 'dev'
$$;
SELECT is(promote.export_project('shop') #> '{parameters,0}', '{"environment": "dev", "parameters": {"zone": "eu",
    "token": "(sensitive value)"}, "sensitive": ["token"]}', 'parameters: sensitive ones are masked');
SELECT is(string_agg(DISTINCT action, ' '), 'keep', '... and kept')
  FROM promote.apply_document(promote.export_project('shop'), prune => true);
SELECT matches(pg_temp.applies(pg_temp.parameters('{"parameters": {"zone": "us", "token": "(sensitive value)"}}')),
    '^parameter_set shop/dev change', 'another one is changed');
SELECT is(pg_temp.kept(), '{"zone": "us", "token": "hush-token"}{token}', '... the value that is masked stays');
SELECT matches(pg_temp.applies(pg_temp.parameters('{"sensitive": null}')),
    '^PM111 .*parameters.token is \(sensitive value\)', 'whoever takes the mark away has to say the value');
SELECT matches(pg_temp.applies(pg_temp.parameters('{"parameters": {"pin": "(sensitive value)"},
    "sensitive": ["pin", "token"]}')), '^PM111 .*parameters.pin is', '... as of a new one');
SELECT matches(pg_temp.applies(pg_temp.parameters('{"parameters": {"token": "louder"}}')),
    '^parameter_set shop/dev change', 'a value that is given is taken');
SELECT is(pg_temp.kept(), '{"zone": "us", "token": "louder"}{token}', '... and the others stay');
SELECT matches(pg_temp.applies(pg_temp.parameters('{"parameters": {"token": null}, "sensitive": null}')),
    '^parameter_set shop/dev change', 'one that is left out');
SELECT is(pg_temp.kept(), '{"zone": "us"}{}', '... goes with its mark');
SELECT matches(pg_temp.applies(promote.export_project('shop') - 'parameters', ', prune => true'),
    '^parameter_set shop/dev delete', 'all go when the document has none');

-- ---- masks in arrays ----
INSERT INTO promote.bundle_release (bundle, version, params_schema)
VALUES ('service', '1.1.0', '{"properties": {"size": {"maximum": 100},
    "users": {"items": {"properties": {"key": {"$md.sensitive": true}}}}}}');
SELECT promote.configure_instance('shop-staging-s6', '{"password": null, "users": [{"name": "a", "key": "k-one"},
    {"name": "b", "key": "k-two"}]}') \g /dev/null
CREATE FUNCTION pg_temp.users(users jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.applies(pg_temp.shop('instances', '{"environment": "staging", "component": "s6"}',
        jsonb_build_object('params', jsonb_build_object('users', users))))
$$;
SELECT matches(pg_temp.users('[{"name": "b", "key": "(sensitive value)"}, {"name": "a", "key": "(sensitive value)"}]'),
    '^revision', 'elements are moved with what is masked in them');
SELECT is(pg_temp.params('shop-staging-s6') -> 'users', '[{"name": "b", "key": "k-two"}, {"name": "a",
    "key": "k-one"}]',
    '... each with its own value');
SELECT matches(pg_temp.users('[{"name": "c", "key": "(sensitive value)"}]'),
    '^PM111 .*params.users\[0\] is \(sensitive value\)', 'one that is changed needs its value');
SELECT matches(pg_temp.applies(pg_temp.shop('instances', '{"environment": "production", "component": "s1"}',
    '{"params": {"password": "(sensitive value)"}}')), '^PM111 .*params.password', 'a mask without a value is refused');

-- What is too short to be looked for stays masked at a place that the schema does not mark.
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('service', '1.2.0', '{"properties":
    {"size": {"maximum": 100}, "pair": {"items": [{"$md.sensitive": true}, {"type": "string"}]}}}');
SELECT promote.configure_instance('shop-staging-s6', '[{"op": "replace", "path": "", "value": {"pair": ["47", "x"]}}]')
\g /dev/null
SELECT is(pg_temp.applies(pg_temp.shop('instances', '{"environment": "staging", "component": "s6"}',
    '{"params": {"pair": ["x", "(sensitive value)"]}}')), 'revision shop/staging/s6 change [{"new": '
    '"(sensitive value)", "old": "(sensitive value)", "column": "params.pair[0]"}, {"new": "(sensitive value)", '
    '"old": "(sensitive value)", "column": "params.pair[1]"}]', 'a short value is moved, and not shown');
SELECT is(pg_temp.params('shop-staging-s6') -> 'pair', '["x", "47"]', '... to another place');
SELECT is(i #> '{params,pair}', '["(sensitive value)", "(sensitive value)"]', '... nor exported')
  FROM jsonb_array_elements(promote.export_project('shop') -> 'instances') AS i
 WHERE i @> '{"environment": "staging", "component": "s6"}';

-- ---- what is refused ----
CREATE FUNCTION pg_temp.refused(document jsonb, expected text, what text, options text DEFAULT '') RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
    written bigint := pg_temp.written();
BEGIN
    RETURN NEXT matches(pg_temp.applies(document, options), expected, what);
    RETURN NEXT is(pg_temp.written(), written, '... nothing is written');
END
$$;
SELECT pg_temp.refused(document, expected, what)
  FROM (VALUES
    ('an array', '[]', '^PM111 the document is no object'),
    ('nothing', '{}', '^PM111 the document breaks its schema .*"version" is missing'),
    ('a newer version', '{"version": 2, "project": {"project": "shop"}, "flags": []}',
        '^PM111 the document is of version 2'),
    ('an unknown key', promote.export_project('shop') || '{"flags": []}', '^PM111 .*\.flags'),
    ('one of an element', pg_temp.shop('components', '{"component": "s2"}', '{"colour": 1}'),
        '^PM111 .*\.components\[1\]\.colour'),
    ('a wrong type', pg_temp.shop('environments', '{"environment": "dev"}', '{"require_plan": "yes"}'),
        '^PM111 .*\.environments\[0\]\.require_plan'),
    ('two of a key', jsonb_insert(promote.export_project('shop'), '{environments,0}', '{"environment": "dev"}'),
        '^PM111 the document declares a environment twice'),
    ('no such environment', promote.export_project('shop') || '{"paths": [{"source_environment": "staging",
        "destination_environment": "nowhere"}]}', '^PM002 environment'),
    ('no such component', promote.export_project('shop') || '{"dependencies": [{"component": "s1",
        "depends_on": "x"}]}',
        '^PM002 component'),
    ('a cycle of dependencies', promote.export_project('shop') || '{"project": {"project": "shop", "description": "x"},
        "dependencies": [{"component": "s1", "depends_on": "s2"}, {"component": "s2", "depends_on": "s1"}]}', '^PM620'),
    ('a cycle of paths', promote.export_project('shop') || '{"project": {"project": "shop", "description": "x"},
        "paths": [{"source_environment": "staging", "destination_environment": "production"}, {"source_environment":
        "production", "destination_environment": "staging"}]}', '^PM605'),
    ('a bad name', '{"version": 1, "project": {"project": "Shop"}}', '^PM001'),
    ('a bad interval', pg_temp.shop('environments', '{"environment": "dev"}', '{"required_soak": "long"}'), '^22007'),
    ('a release that is another', pg_temp.shop('releases', '{"version": "1.0.0"}',
        '{"params_schema": {"maxProperties": 9}}'),
        '^PM203'),
    ('params that break the schema', pg_temp.shop('instances', '{"environment": "production", "component": "s1"}',
        '{"params": {"size": 1000}}'), '^PM103'),
    ('no such release', pg_temp.shop('instances', '{"environment": "production", "component": "s1"}',
        '{"version": "~7"}'),
        '^PM202'),
    ('no such slot', pg_temp.shop('instances', '{"environment": "production", "component": "s1"}',
        '{"remote_references": {"vpc": "x"}}'), '^PM714'),
    ('a policy without a function', promote.export_project('shop') || '{"policies": [{"policy": "p",
        "function": "no.such"}]}',
        '^PM610')
  ) AS v (what, document, expected);
SELECT matches(pg_temp.applies(NULL), '^PM404', 'no document');
SELECT pg_temp.refuses($$SELECT * FROM promote.apply_text('version: 1
version: 1')$$, 'PM107', 'Line 2', 'a key that occurs twice in YAML');
SELECT pg_temp.refuses($$SELECT * FROM promote.apply_text(repeat('[', 2000))$$, 'PM102', 'levels', 'too deep');
SELECT matches((pg_temp.refusal(format($$SELECT * FROM promote.apply_document(%L)$$,
    jsonb_set(promote.export_project('shop'),
    '{instances,0,params}', (repeat('{"a":', 1500) || '1' || repeat('}', 1500))::jsonb)))).state, '^(PM102|54001)$',
        'params too deep');

-- ---- grants ----
CREATE ROLE doc_git;
CREATE ROLE doc_rules;
SELECT promote.grant_action('doc_git', 'configure', 'shop') \g /dev/null
SELECT promote.grant_action('doc_rules', a, 'shop') FROM unnest(ARRAY['configure', 'rules']) AS a \g /dev/null
CREATE TEMP TABLE wanted AS
SELECT pg_temp.shop('environments', '{"environment": "dev"}', '{"max_lost_leases": 9, "description": "d"}')
    || '{"paths": [
    {"source_environment": "dev", "destination_environment": "staging"}], "bundles": [{"bundle": "service"},
        {"bundle": "more"}]}'
    AS document;
GRANT SELECT ON wanted TO PUBLIC;
SELECT is(pg_temp.as_role('doc_git', $$SELECT promote.export_project('shop')$$), promote.export_project('shop')::text,
    'whoever may configure exports the same');
SELECT is(pg_temp.as_role('doc_git', $$SELECT promote.export_project('ecomm')$$),
    'PM701: Role "doc_git" has no grant "configure" for all of project "ecomm".', '... of no other project');
SELECT is(pg_temp.as_role('doc_git', $$SELECT string_agg(DISTINCT action, ' ')
    FROM promote.apply_document(promote.export_project('shop'), prune => true)$$), 'keep',
        '... and keeps what is there');
SELECT is(pg_temp.as_role('doc_git', 'SELECT promote.apply_document(document, dry_run => ' || dry || ') FROM wanted'),
    'PM701: Role "doc_git" has no grant "register" for all projects, "rules" for environment "dev" of project "shop", '
    '"register" for environment "dev" of project "shop", "register" for all of project "shop".',
    'all that is missing is said, also in a dry run: ' || dry) FROM (VALUES ('true'), ('false')) AS v (dry);
SELECT is(pg_temp.as_role('doc_rules', format('SELECT string_agg(name, '' '') FROM promote.apply_document(%L)'
    ' WHERE action <> ''keep''', pg_temp.shop('environments', '{"environment": "dev"}', '{"max_lost_leases": 9}'))),
        'shop/dev',
    'rules take their grant alone');
SELECT is(pg_temp.as_role('doc_rules', $$SELECT count(*) FROM promote.apply_document('{"version": 1,
    "project": {"project":
    "mine"}}')$$), 'PM701: Role "doc_rules" has no grant "configure" for all of project "mine".',
        'a new project is everywhere''s');
-- A value that is masked is confirmed only to who may set it.
SELECT promote.set_parameters('shop', 'dev', '{"zone": "eu", "token": "hush-token"}', '{token}') \g /dev/null
SELECT is(pg_temp.as_role('doc_git', format('SELECT promote.apply_document(%L, dry_run => true)',
    pg_temp.parameters(jsonb_build_object('parameters', jsonb_build_object('token', guess))))),
    'PM701: Role "doc_git" has no grant "register" for environment "dev" of project "shop".',
    'nobody else is told whether a guess is right: ' || guess)
  FROM unnest('{hush-token,other-token}'::text[]) AS guess;
SELECT is(pg_temp.as_role('doc_git', $$SELECT string_agg(DISTINCT action, ' ')
    FROM promote.apply_document(promote.export_project('shop'))$$), 'keep', '... and masks are kept');
SELECT is(pg_temp.as_role('doc_git', format('SELECT promote.apply_document(%L)', promote.export_project('shop')
    || jsonb_build_object('environments', (SELECT jsonb_agg(jsonb_build_object('environment', 'e' || n))
        FROM generate_series(1, 50) AS n)))) ~ '"e27" of project "shop", and others\.$', true,
    'of many grants that are missing some are said');
SELECT promote.set_freeze('theirs', 'ecomm', reason => 'unsaid', during => '[2027-01-01, 2027-01-02)') \g /dev/null
SELECT is(pg_temp.as_role('doc_rules', format('SELECT count(*) FROM promote.apply_document(%L)',
    promote.export_project('shop')
    || '{"freezes": [{"name": "theirs", "during": "[2027-01-01, 2027-01-02)"}]}')),
    'PM701: There is a freeze_window "theirs" that counts where the caller has no grant "rules".',
    'a name of another project is taken, and no more is said');

SELECT * FROM finish();
ROLLBACK;
