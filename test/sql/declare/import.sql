-- Importing a fleet: what it is then, what the log says of it, what it proves, and what is refused.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/as_role.sql
\ir ../../fixtures/history.sql

INSERT INTO promote.bundle VALUES ('postgres');
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES
    ('postgres', '1.0.0', '{"properties": {"password": {"$md.sensitive": true}}}'),
    ('postgres', '1.1.0', '{"required": ["size"], "properties": {"size": {"enum": ["small", "large"]}}}'),
    ('postgres', '2.0.0-rc.1', '{}');
INSERT INTO promote.project (project) VALUES ('fleet');
INSERT INTO promote.environment (project, environment) VALUES ('fleet', 'staging'), ('fleet', 'production'),
    ('fleet', 'west');
INSERT INTO promote.parameter_set (project, environment, parameters)
    VALUES ('fleet', 'production', '{"domain": "example.com"}');
INSERT INTO promote.component (project, component, bundle) VALUES ('fleet', 'db', 'postgres');
INSERT INTO promote.instance (project, environment, component)
SELECT 'fleet', e, 'db' FROM unnest('{staging,production,west}'::text[]) AS e;
INSERT INTO promote.promotion_path VALUES ('fleet', 'staging', 'production');
CREATE ROLE m_ann;
CREATE ROLE m_imports;
CREATE ROLE m_stranger;
SELECT promote.grant_action('m_ann', a) FROM unnest('{approve,deploy,plan}'::text[]) AS a \g /dev/null
SELECT promote.grant_action('m_imports', a, 'fleet') FROM unnest('{import,approve,deploy,impersonate}'::text[]) AS a
 WHERE a <> 'impersonate' \g /dev/null
SELECT promote.grant_action('m_stranger', a, 'fleet')
  FROM unnest('{view,register,configure,promote,plan,deploy,admin}'::text[]) AS a \g /dev/null

CREATE TEMP TABLE doc AS SELECT '{"version": 1, "project": "fleet", "instances": [
    {"environment": "production", "component": "db",
     "revisions": [
        {"params": {"password": "hush", "host": "{{domain}}"}, "version": "1.0.0", "actor": "zoe",
            "at": "2023-02-01T10:00:00Z"},
        {"params": {"size": "small", "password": "hush", "host": "{{domain}}"}, "version": "1.1.0",
            "version_constraint": "~1",
         "actor": "m_ann", "at": "2023-03-02T10:00:00+01:00", "message": "the sale", "origin": "promotion",
         "source_environment": "staging", "source_revision": 2}],
     "deployments": [
        {"revision": 1, "outcome": "SUCCEEDED", "actor": "zoe", "approved_by": ["bob", "eve"], "worker": "w1",
         "requested_at": "2023-02-01T10:00:00Z", "started_at": "2023-02-01T10:05:00Z",
             "finished_at": "2023-02-01T10:09:00Z"},
        {"revision": 1, "outcome": "ABORTED", "actor": "zoe",
         "requested_at": "2023-02-02T10:00:00Z", "finished_at": "2023-02-02T10:09:00Z"},
        {"revision": 2, "outcome": "FAILED", "actor": "m_ann", "reason": "no room",
         "requested_at": "2023-03-02T10:00:00Z", "started_at": "2023-03-02T10:05:00Z",
             "finished_at": "2023-03-02T10:09:00Z"}]},
    {"environment": "staging", "component": "db",
     "revisions": [
        {"params": {}, "version": "1.0.0", "actor": "zoe", "at": "2023-01-01T10:00:00Z"},
        {"params": {"size": "small"}, "version_constraint": "~1", "actor": "zoe", "at": "2023-01-02T10:00:00Z"}],
     "deployments": [
        {"revision": 2, "outcome": "SUCCEEDED", "actor": "zoe",
         "requested_at": "2023-01-02T10:00:00Z", "started_at": "2023-01-02T10:05:00Z",
             "finished_at": "2023-01-02T10:09:00Z"}]},
    {"environment": "west", "component": "db",
     "revisions": [{"params": {"size": "large"}, "version": "1.1.0", "actor": "zoe", "at": "2023-01-01T10:00:00Z"}],
     "deployments": [
        {"revision": 1, "outcome": "SUCCEEDED", "actor": "zoe",
         "requested_at": "2023-01-02T10:00:00Z", "started_at": "2023-01-02T10:05:00Z",
             "finished_at": "2023-01-02T10:09:00Z"},
        {"revision": 1, "action": "DECOMMISSION", "outcome": "SUCCEEDED", "actor": "zoe",
         "requested_at": "2023-01-03T10:00:00Z", "started_at": "2023-01-03T10:05:00Z",
             "finished_at": "2023-01-03T10:09:00Z"}]}
    ]}'::jsonb AS d;
GRANT SELECT ON doc TO PUBLIC;

-- What a call returns, a line for each instance, or how it is refused.
CREATE FUNCTION pg_temp.imports(document jsonb, options text DEFAULT '') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    said text;
    detail text;
BEGIN
    EXECUTE format('SELECT string_agg(concat_ws('' '', instance, action, revisions, deployments, status), '
        'E''\n'' ORDER BY instance)'
        ' FROM promote.import_history(%L%s)', document, options) INTO said;
    RETURN said;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN SQLSTATE || ' ' || SQLERRM || ': ' || detail;
END
$$;
-- How many rows there are of all that importing writes.
CREATE FUNCTION pg_temp.written() RETURNS bigint LANGUAGE sql AS $$
    SELECT (SELECT count(*) FROM promote.audit_log) + (SELECT count(*) FROM promote.revision)
         + (SELECT count(*) FROM promote.deployment) + (SELECT count(*) FROM promote.config)
$$;

-- ---- the schema, grants, and a dry run ----
SELECT ok(promote.jsonb_schema_check(promote.history_schema()), 'the schema is one');
SELECT is_empty('SELECT * FROM promote.jsonb_schema_errors((SELECT d FROM doc), promote.history_schema())',
    'the document is valid');
CREATE TEMP TABLE before AS SELECT pg_temp.written() AS rows;
SELECT is(pg_temp.as_role('m_stranger', format('SELECT count(*) FROM promote.import_history(%L)', d)),
    'PM701: Role "m_stranger" has no grant "import" for environment "production" of project "fleet".',
    'the grants of all that is done here do not let one say what was done elsewhere') FROM doc;
SELECT is(pg_temp.imports(d, ', dry_run => true'), 'fleet-production-db create 2 3 FAILED
fleet-staging-db create 2 1 PROVISIONED
fleet-west-db create 1 2 DECOMMISSIONED', 'a dry run says what is to be') FROM doc;
SELECT is(pg_temp.written(), rows, '... and writes nothing') FROM before;

-- ---- what is refused, each with nothing written ----
-- The document with something set in an instance of the array, by its place.
CREATE FUNCTION pg_temp.with(path text, value jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_set(d, ('{instances,' || path || '}')::text[], value) FROM doc
$$;
CREATE FUNCTION pg_temp.without(path text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT d #- ('{instances,' || path || '}')::text[] FROM doc
$$;
SELECT matches(pg_temp.imports(document), refusal, what)
  FROM (VALUES
    ('[]'::jsonb, 'PM111 the document is no object', 'no object'),
    ((SELECT d || '{"version": 2}' FROM doc), 'PM111 the document is of version 2', 'a newer version'),
    ((SELECT d || '{"colour": 1}' FROM doc), 'PM111 .*colour', 'an unknown key'),
    ((SELECT d || '{"instances": []}' FROM doc), 'PM111 the document breaks', 'no instance'),
    ((SELECT d || '{"project": "elsewhere"}' FROM doc), 'PM002 ', 'a project that is not there'),
    (pg_temp.with('0,environment', '"nowhere"'), 'PM002 ', 'an environment that is not there'),
    (pg_temp.with('0,environment', '"staging"'), 'PM111 the document has "fleet-staging-db" twice',
        'an instance twice'),
    (pg_temp.with('0,revisions', '[]'), 'PM111 the document breaks', 'no revision'),
    (pg_temp.with('0,revisions,0,params', '[]'), 'PM111 the document breaks', 'params that are no object'),
    (pg_temp.with('0,revisions,0,params,password', '"(sensitive value)"'),
     'PM111 revision 1 of "fleet-production-db" cannot be imported: Its params have a mask', 'a mask'),
    (pg_temp.with('0,revisions,0,at', '"2023-02-30T10:00:00Z"'), 'PM111 revision 1 .*calendar', 'no such day'),
    (pg_temp.with('0,revisions,0,at', '"yesterday"'), 'PM111 the document breaks', 'no time'),
    (pg_temp.with('0,revisions,1,at', '"2999-01-01T10:00:00Z"'), 'PM111 revision 2 .*still to come', 'the future'),
    (pg_temp.with('0,revisions,1,at', '"2023-01-31T10:00:00Z"'), 'PM111 revision 2 .*older than the one before',
        'an older one behind'),
    (pg_temp.with('0,revisions,1,actor', '""'), 'PM111 the document breaks', 'nobody'),
    (pg_temp.with('0,revisions,1,actor', to_jsonb(repeat('a', 256))), 'PM111 the document breaks', 'a long name'),
    (pg_temp.with('0,revisions,1,message', to_jsonb(repeat('a', 10001))), 'PM111 the document breaks',
        'a long message'),
    (pg_temp.with('0,revisions,1,version', '"9.9.9"'), 'PM202 the release of revision 2 .*no release 9.9.9',
        'no such release'),
    (pg_temp.with('0,revisions,1,version', '"2.0.0-rc.1"'), 'PM111 revision 2 .*does not allow',
        'another release than the constraint'),
    (pg_temp.with('0,revisions,1,version_constraint', '"x"'), 'PM201 ', 'no constraint'),
    (pg_temp.without('0,revisions,1,source_revision'), 'PM111 the document breaks', 'half a source'),
    (pg_temp.without('0,revisions,0,version'), 'PM111 the document breaks', 'neither version nor constraint'),
    (pg_temp.with('1,revisions,1,version_constraint', '"~7"'), 'PM202 the release of revision 2',
        'a constraint that nothing satisfies'),
    (pg_temp.with('0,revisions,1,origin', '"edit"'), 'PM111 revision 2 .*It is an edit', 'an edit with a source'),
    (pg_temp.with('0,revisions,1,source_environment', '"production"'), 'PM111 revision 2 .*another environment',
        'promoted from itself'),
    (pg_temp.with('0,revisions,1,source_revision', '3'), 'PM111 revision 2 .*neither in the document',
        'a source that is not there'),
    (pg_temp.with('1,revisions,1,at', '"2023-03-02T09:00:00Z"') #- '{instances,1,deployments}',
     'PM111 revision 2 .*Its source is not older', 'a source of the same time'),
    (pg_temp.with('0,revisions,1,params,size', '"huge"'), 'PM103 ', 'what is desired now and breaks its schema'),
    (pg_temp.with('0,revisions,1,params,host', '"{{nothing}}"'), 'PM105 ', '... or has an unknown placeholder'),
    (pg_temp.with('0,deployments,0,outcome', '"RUNNING"'), 'PM111 the document breaks', 'what still runs'),
    (pg_temp.with('0,deployments,0,action', '"PLAN"'), 'PM111 the document breaks',
        'a plan, which nobody here has read'),
    (pg_temp.without('0,deployments,0,started_at'), 'PM111 the document breaks', 'a success that never began'),
    (pg_temp.with('0,deployments,0,revision', '3'), 'PM111 deployment 1 .*no revision 3',
        'a revision that is not there'),
    (pg_temp.with('0,deployments,0,version', '"8.0.0"'), 'PM111 deployment 1 .*no release 8.0.0',
        'a release that is not there'),
    (pg_temp.with('0,deployments,0,requested_at', '"2023-01-31T10:00:00Z"'),
        'PM111 deployment 1 .*before its revision', 'too early'),
    (pg_temp.with('0,deployments,0,started_at', '"2023-01-31T10:00:00Z"'), 'PM111 deployment 1 .*between',
        'begun before asked'),
    (pg_temp.with('0,deployments,0,finished_at', '"2999-01-31T10:00:00Z"'), 'PM111 deployment 1 .*still to come',
        'ends in the future'),
    (pg_temp.with('0,deployments,0,finished_at', '"2023-13-31T10:00:00Z"'), 'PM111 deployment 1 .*calendar',
        'ends never'),
    (pg_temp.with('0,deployments,2,requested_at', '"2023-02-01T10:00:00Z"'), 'PM111 deployment 3 ', 'out of order'),
    (pg_temp.with('2,deployments,1,started_at', '"2023-01-02T10:07:00Z"') #- '{instances,2,deployments,1,requested_at}',
     'PM111 the document breaks', 'never asked for'),
    (jsonb_set(pg_temp.with('2,deployments,1,started_at', '"2023-01-02T10:07:00Z"'),
        '{instances,2,deployments,1,requested_at}',
     '"2023-01-02T10:06:00Z"'), 'PM111 deployment 2 .*one runs at a time', 'two at a time')
  ) AS v (document, refusal, what);
SELECT matches(pg_temp.imports(jsonb_set(pg_temp.with('0,revisions,1,params,size', '"huge"'),
    '{instances,2,revisions,0,params,size}', '7')), 'PM103 2 of 3 instances are refused',
        'all that are refused are named');
SELECT is(pg_temp.written(), rows, 'nothing was written by any of these') FROM before;
SELECT matches(pg_temp.imports(d, ', message => ' || quote_literal(repeat('x', 10001))),
    'PM102 the message is too long',
    'a long message of the call') FROM doc;

-- ---- importing ----
SELECT set_config('role', 'm_imports', true) \g /dev/null
SELECT is(pg_temp.imports(d, $$, message => 'from the old one'$$), 'fleet-production-db create 2 3 FAILED
fleet-staging-db create 2 1 PROVISIONED
fleet-west-db create 1 2 DECOMMISSIONED', 'a fleet is imported by a role with the grant') FROM doc;
RESET ROLE;
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the record is whole');
SELECT results_eq($$SELECT environment::name, revision, deployment, status::name, deployed_revision, deployed_by,
    changed_by,
    version_constraint::name FROM promote.instance ORDER BY environment$$,
    $$VALUES ('production'::name, 2, 3, 'FAILED'::name, 1, 1, 3, '~1'::name), ('staging', 2, 1, 'PROVISIONED', 2, 1,
        1, '~1'),
             ('west', 1, 2, 'DECOMMISSIONED', NULL, NULL, 2, '1.1.0')$$,
                 'the instances are where their histories leave them');
SELECT results_eq($$SELECT revision, created_at, actor, database_role, moved_by, moved_role, origin::name,
    mode::name, message, version::name,
    imported_at = now() FROM promote.revision WHERE environment = 'production' ORDER BY revision$$,
    $$VALUES (1, '2023-02-01 10:00Z'::timestamptz, 'zoe', 'm_imports', 'm_imports', 'm_imports',
             'edit'::name, NULL::name, NULL, '1.0.0'::name, true),
             (2, '2023-03-02 09:00Z', 'm_ann', 'm_imports', 'm_imports', 'm_imports', 'promotion', 'replace',
                 'the sale', '1.1.0', true)$$,
    'revisions have the dates and the people of elsewhere, and who has imported them');
SELECT results_eq($$SELECT deployment, revision, status::name, actor, moved_by, approved_by, worker, created_at,
    started_at, finished_at,
    base_deployment, previous_version::name, reason, diff, gates, imported_at IS NOT NULL FROM promote.deployment
    WHERE environment = 'production' ORDER BY deployment$$,
    $$VALUES (1, 1, 'COMPLETED'::name, 'zoe', 'm_imports', 'bob, eve', 'w1', '2023-02-01 10:00Z'::timestamptz,
        '2023-02-01 10:05Z'::timestamptz,
              '2023-02-01 10:09Z'::timestamptz, NULL::integer, NULL::name, NULL, '[]'::jsonb, NULL::jsonb, true),
             (2, 1, 'ABORTED', 'zoe', 'm_imports', NULL, NULL, '2023-02-02 10:00Z', NULL, '2023-02-02 10:09Z', NULL,
                 NULL, NULL, '[]', NULL, true),
             (3, 2, 'FAILED', 'm_ann', 'm_imports', NULL, 'imported', '2023-03-02 10:00Z', '2023-03-02 10:05Z',
                 '2023-03-02 10:09Z', 1,
              '1.0.0', 'no room', '[]', NULL, true)$$, '... and so have deployments');
SELECT results_eq($$SELECT event::name, actor, data ->> 'actor', data ->> 'moved_by',
    (data ->> 'imported_at') IS NOT NULL, at >= now()
    FROM promote.audit_log WHERE subject = 'fleet-production-db' ORDER BY seq$$,
    $$VALUES ('revision.imported'::name, 'm_imports', 'zoe', 'm_imports', true, true),
             ('deployment.imported', 'm_imports', 'zoe', 'm_imports', true, true),
             ('deployment.imported', 'm_imports', 'zoe', 'm_imports', true, true),
             ('revision.imported', 'm_imports', 'm_ann', 'm_imports', true, true),
             ('deployment.imported', 'm_imports', 'm_ann', 'm_imports', true, true),
             ('history.imported', 'm_imports', 'm_imports', NULL, false, true)$$,
    'the chain tells of them in the order of their times: who has imported them now, and whose they are');
SELECT is(data ->> 'message', 'from the old one', '... and why') FROM promote.audit_log
 WHERE subject = 'fleet-west-db' AND event = 'history.imported';
SELECT is((SELECT count(*) FROM promote.approval), 0::bigint, 'nobody has voted');

-- ---- the same again, and others ----
CREATE TEMP TABLE again AS SELECT pg_temp.written() AS rows;
SELECT is(pg_temp.imports(d), 'fleet-production-db keep 2 3 FAILED
fleet-staging-db keep 2 1 PROVISIONED
fleet-west-db keep 1 2 DECOMMISSIONED', 'the same document again is kept') FROM doc;
SELECT is(pg_temp.imports(d), pg_temp.imports(d, ', dry_run => true'), '... which a dry run says, too') FROM doc;
SELECT matches(pg_temp.imports(pg_temp.with('0,revisions,0,actor', '"eve"')),
    'PM301 1 of 3 instances are refused: PM301 fleet-production-db: it was imported with another history',
        'another history is refused');
SELECT matches(pg_temp.imports(pg_temp.with('0,deployments,2,reason', '"other"')), 'PM301 .*fleet-production-db',
    '... or other deployments');
SELECT matches(pg_temp.imports(pg_temp.without('0,deployments,2')), 'PM301 .*fleet-production-db', '... or fewer');
SELECT matches(pg_temp.imports(pg_temp.without('0,revisions,1') #- '{instances,0,deployments,2}'),
    'PM301 .*fleet-production-db', '... of either');
SELECT is(pg_temp.written(), rows, 'nothing was written') FROM again;
INSERT INTO promote.project (project) VALUES ('used');
INSERT INTO promote.environment (project, environment) VALUES ('used', 'production');
INSERT INTO promote.component (project, component, bundle) VALUES ('used', 'db', 'postgres');
INSERT INTO promote.instance (project, environment, component) VALUES ('used', 'production', 'db');
SELECT promote.configure_instance('used-production-db', '{"size": "small"}') \g /dev/null
SELECT matches(pg_temp.imports('{"version": 1, "project": "used", "instances": [{"environment": "production",
    "component": "db",
    "revisions": [{"params": {"size": "small"}, "version": "1.1.0", "actor": "zoe", "at": "2023-01-01T10:00:00Z"}]}]}'),
    'PM301 .*it has a history already', 'an instance that was configured here takes none');

-- ---- nobody else writes such rows ----
PREPARE forge AS INSERT INTO promote.revision (project, environment, component, digest, version_constraint, imported_at)
    SELECT 'used', 'production', 'db', digest, 'latest', now() FROM promote.config WHERE project = 'used';
SELECT throws_matching('forge', 'column "imported_at" of "revision" is kept by promote',
    'a row does not say itself that it is imported');
SELECT throws_ok($$UPDATE promote.revision SET imported_at = NULL$$, 'PM301', NULL, 'nor does one lose it');
SELECT throws_ok($$UPDATE promote.deployment SET imported_at = NULL WHERE project = 'fleet'$$, 'PM301', NULL,
    '... of deployments');

-- ---- what it is good for ----
SELECT results_eq($$SELECT revision, params, since, actor, version, deployment
    FROM promote.config_as_of('fleet-production-db',
    '2023-02-15 00:00Z', 'running')$$,
    $$VALUES (1, '{"host": "example.com", "password": "hush"}'::jsonb, '2023-02-01 10:09Z'::timestamptz, 'zoe',
        '1.0.0', 1)$$,
    'what ran at a time is known, rendered by the parameters of today');
SELECT is((SELECT revision FROM promote.config_as_of('fleet-production-db', '2023-02-15 00:00Z')), 1,
    '... and what was desired');
SELECT is(format('%s %s %s %s %s', destination, source, revision, actor, at AT TIME ZONE 'UTC'),
    'fleet-production-db fleet-staging-db 2 m_ann 2023-03-02 09:00:00', 'a promotion is one in the history')
  FROM promote.promotion_history;
SELECT is(format('%s %s', set_revision, actor), '1 zoe', 'blame knows who set a value first')
  FROM promote.blame('fleet-production-db') WHERE path = '.password';
SET LOCAL ROLE m_stranger;
SELECT is(params ->> 'password', '(sensitive value)',
    'what was sensitive in the release before is masked, though its own does not mark it')
  FROM promote.config_as_of('fleet-production-db');
RESET ROLE;

-- it runs in staging, so that it is proven for production; who approved it there has not approved it here
SET LOCAL client_min_messages = error;
UPDATE promote.environment SET separation_of_duty = true WHERE project = 'fleet' AND environment = 'production';
INSERT INTO promote.approval_rule (project, environment, rule, role)
    VALUES ('fleet', 'production', 'two eyes', 'm_ann'), ('fleet', 'production', 'importers', 'm_imports');
RESET client_min_messages;
SELECT promote.plan_instance('fleet-production-db') \g /dev/null
DO $$
DECLARE
    c record;
BEGIN
    FOR n IN 1 .. 2 LOOP
        SELECT * INTO c FROM promote.claim_deployment('w');
        PERFORM promote.complete_deployment(c.instance, c.deployment, c.fencing);
    END LOOP;
END
$$;
SELECT is((SELECT array_agg(DISTINCT code ORDER BY code) FROM promote.blockers('fleet-production-db')),
    '{approval}'::text[],
    'a release that ran elsewhere is proven, and approvals of elsewhere do not count');
SELECT matches(pg_temp.as_role('m_ann', $$SELECT promote.approve_deployment('fleet-production-db', 4)$$), 'PM603',
    'the author of what was imported does not approve it');
SELECT matches(pg_temp.as_role('m_imports', $$SELECT promote.approve_deployment('fleet-production-db', 4)$$), 'PM603',
    'nor does who has imported it');
SELECT is((SELECT new_revision FROM promote.rollback_instance('fleet-production-db', 1)), 3,
    'the way back leads to an imported revision');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'and the record is whole');
SELECT is(pg_temp.imports(d), 'fleet-production-db keep 2 3 FAILED
fleet-staging-db keep 2 1 PROVISIONED
fleet-west-db keep 1 2 DECOMMISSIONED', 'the document is kept also where history went on') FROM doc;

-- ---- an environment that was opened again ----
SELECT promote.register_environment('fleet', 'east') \g /dev/null
SELECT promote.register_instance('fleet', 'east', 'db') \g /dev/null
SELECT promote.archive_environment('fleet-east') \g /dev/null
SELECT promote.register_environment('fleet', 'east') \g /dev/null
SELECT promote.register_instance('fleet', 'east', 'db') \g /dev/null
SELECT matches(pg_temp.imports('{"version": 1, "project": "fleet", "instances": [{"environment": "east",
    "component": "db",
    "revisions": [{"params": {"size": "small"}, "version": "1.1.0", "actor": "zoe", "at": "2023-01-01T10:00:00Z"}]}]}'),
    'PM301 .*it has a history already', 'what was there before its environment was opened again has a history');
SELECT promote.register_component('fleet', 'web', 'postgres') \g /dev/null
SELECT promote.register_instance('fleet', 'east', 'web') \g /dev/null
SELECT matches(pg_temp.imports('{"version": 1, "project": "fleet", "instances": [{"environment": "east",
    "component": "web",
    "revisions": [{"params": {"size": "small"}, "version": "1.1.0", "actor": "zoe", "at": "2023-01-01T10:00:00Z"}]}]}'),
    'PM111 revision 1 .*older than its environment', '... and what is new there has none that is older');

-- ---- many ----
INSERT INTO promote.project (project) VALUES ('large');
INSERT INTO promote.component (project, component, bundle) VALUES ('large', 'db', 'postgres');
INSERT INTO promote.environment (project, environment) SELECT 'large', 'e' || n FROM generate_series(1, 40) AS n;
INSERT INTO promote.instance (project, environment, component) SELECT 'large', 'e' || n, 'db' FROM generate_series(1,
    40) AS n;
SELECT results_eq(format('SELECT count(*), sum(revisions), sum(deployments) FROM promote.import_history(%L)',
    jsonb_build_object('version', 1, 'project', 'large', 'instances', (
        SELECT jsonb_agg(jsonb_build_object('environment', 'e' || n, 'component', 'db', 'revisions', r.list,
            'deployments', d.list))
          FROM generate_series(1, 40) AS n,
               LATERAL (SELECT jsonb_agg(jsonb_build_object('params', jsonb_build_object('size', 'small', 'n', n,
                   'r', k),
                            'version', '1.1.0', 'actor', 'zoe', 'at',
                                pg_temp.history_time('2023-01-01'::timestamptz + k * interval '1 day')))
                          FROM generate_series(1, 5) AS k) AS r (list),
               LATERAL (SELECT jsonb_agg(jsonb_build_object('revision', k, 'outcome', 'SUCCEEDED', 'actor', 'zoe',
                            'requested_at', t.at, 'started_at', t.at, 'finished_at', t.at))
                          FROM generate_series(1, 5) AS k,
                               LATERAL (SELECT pg_temp.history_time('2023-01-01 01:00'::timestamptz
                                                                    + k * interval '1 day')) AS t (at)) AS d (list)))),
    'VALUES (40::bigint, 200::bigint, 200::bigint)', 'forty instances at once');
SELECT is_empty($$SELECT * FROM promote.verify_audit(project => 'large')$$, 'their record is whole');

SELECT * FROM finish();
ROLLBACK;
