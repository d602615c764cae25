-- Who may do what: what verbs ask, and who sees which rows.  test/t/access_role_matrix.pl tries everything as
-- everybody.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
CREATE FUNCTION pg_temp.as_role(role text, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
    detail text;
BEGIN
    PERFORM set_config('role', role, true);
    EXECUTE 'SELECT string_agg(x::text, E''\n'') FROM (' || statement || ') AS x' INTO result;
    PERFORM set_config('role', 'none', true);
    RETURN result;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN SQLSTATE || ': ' || detail;
END
$$;
CREATE ROLE a_dev;
CREATE ROLE a_worker;
CREATE ROLE a_nobody;
INSERT INTO promote.grants (role, action, project, environment) VALUES
    ('a_dev', 'promote', 'ecomm', 'production'), ('a_dev', 'view', 'ecomm', 'staging'),
        ('a_worker', 'work', 'ecomm', 'production');
INSERT INTO promote.grants (role, action, project, environment) VALUES ('a_nobody', 'view', 'other', NULL);

-- ---- source and destination ----
SELECT is(pg_temp.as_role('a_dev', $$SELECT changed
    FROM promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', '{"size": "large"}')$$), '(t)',
    'who may promote to the one and view the other promotes');
SELECT is(pg_temp.as_role('a_dev',
    $$SELECT 1 FROM promote.promote_instance('ecomm-production-db', 'ecomm-staging-db')$$),
    'PM701: Role "a_dev" has no grant "promote" for environment "staging" of project "ecomm".',
    '... not the other way');
SELECT is(pg_temp.as_role('a_dev',
    $$SELECT 1 FROM promote.promote_instance('ecomm-prod-uswest-db', 'ecomm-production-db')$$),
    'PM701: Role "a_dev" has no grant "view" for environment "prod-uswest" of project "ecomm".',
    '... nor from where they see nothing');
SELECT is(pg_temp.as_role('a_dev', $$SELECT 1 FROM promote.promote_instance('ecomm-staging-db', 'ecomm-production-db',
    copy_secrets => true)$$),
    'PM701: Role "a_dev" has no grant "secrets" for environment "staging" of project "ecomm".',
    '... nor with the secrets');
INSERT INTO promote.grants (role, action, project, environment) VALUES ('a_dev', 'secrets', 'ecomm', 'staging');
SELECT is(pg_temp.as_role('a_dev', $$SELECT 1 FROM promote.promote_instance('ecomm-staging-db', 'ecomm-production-db',
    copy_secrets => true)$$),
    'PM701: Role "a_dev" has no grant "secrets" for environment "production" of project "ecomm".',
    '... which takes the grant on both sides');
INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
    VALUES ('ecomm', 'staging', 'production');
SELECT is(pg_temp.as_role('a_dev', $$SELECT destination FROM promote.promote_to_next('ecomm-staging-db')$$),
    '(ecomm-production-db)', 'where a path leads is asked about as well');
UPDATE promote.promotion_path SET destination_environment = 'prod-uswest';
SELECT is(pg_temp.as_role('a_dev', $$SELECT destination FROM promote.promote_to_next('ecomm-staging-db')$$),
    'PM701: Role "a_dev" has no grant "promote" for environment "prod-uswest" of project "ecomm".',
    '... before anything is done');
SELECT is(pg_temp.as_role('a_dev', $$SELECT 1 FROM promote.promote_to_next('ecomm-staging-db', copy_secrets => true)$$),
    'PM701: Role "a_dev" has no grant "promote" for environment "prod-uswest" of project "ecomm".',
    '... with secrets, too');
SELECT is(pg_temp.as_role('a_dev', $$SELECT 1 FROM promote.rehearse_rollback('ecomm-staging-db', record => true)$$),
    'PM701: Role "a_dev" has no grant "promote" for environment "staging" of project "ecomm".',
    'a rehearsal that is recorded takes what the rollback takes');
SELECT alike(pg_temp.as_role('a_dev', $$SELECT 1 FROM promote.rehearse_rollback('ecomm-staging-db')$$), '(1)%',
    '... and no more than view where it is not');
SELECT is(pg_temp.as_role('a_dev', format($$SELECT 1 FROM promote.propose_deployment('ecomm-production-db', %L)$$,
    action)), format('PM701: Role "a_dev" has no grant "%s" for environment "production" of project "ecomm".', takes),
    'to propose takes what it takes to do it: ' || takes)
  FROM (VALUES ('PLAN', 'plan'), ('PROVISION', 'deploy'), ('DECOMMISSION', 'decommission')) AS v (action, takes);

-- ---- what is not there ----
SELECT is(pg_temp.as_role('a_nobody', $$SELECT 1 FROM promote.blockers('ecomm-nowhere-db')$$),
    'PM701: Role "a_nobody" has no grant "view" for environment "nowhere" of project "ecomm".',
    'nobody is told what there is');
SELECT is(pg_temp.as_role('a_nobody', $$SELECT 1 FROM promote.next_environments('ecomm-staging')$$),
    'PM701: Role "a_nobody" has no grant "view" for environment "staging" of project "ecomm".', '... of environments');
SELECT is(pg_temp.as_role('a_nobody', $$SELECT 1 FROM promote.advance_request('ecomm', 1)$$),
    'PM701: Role "a_nobody" has no grant "view" for anything of project "ecomm".', '... of requests');
SELECT is(pg_temp.as_role('a_nobody', $$SELECT 1 FROM promote.matrix('ecomm')$$),
    'PM701: Role "a_nobody" has no grant "view" for anything of project "ecomm".', '... of projects');
SELECT is(pg_temp.as_role('a_nobody', $$SELECT 1 FROM promote.block_release('postgres', '7.7.7', 'x')$$),
    'PM701: Role "a_nobody" has no grant "admin" for all projects.', '... or of releases');

-- ---- requests ----
SELECT is(pg_temp.as_role('a_dev', $$SELECT request FROM promote.open_request('ecomm', 'staging', 'production',
    '{"components": ["db"]}', overrides => '{"db": {"password": "hush"}}')$$), '(1)',
    'a request is opened by who may promote');
SELECT is(pg_temp.as_role('a_dev', $$SELECT 1 FROM promote.preview_request('ecomm', 1)$$), '(1)', '... and previewed');
SELECT is(pg_temp.as_role('a_dev', $$SELECT 1 FROM promote.advance_request('ecomm', 1)$$),
    'PM701: Role "a_dev" has no grant "deploy" for environment "production" of project "ecomm".',
    '... but not moved, for that deploys');
SELECT is(pg_temp.as_role('a_dev', $$SELECT status FROM promote.pause_request('ecomm', 1)$$), '(PAUSED)',
    '... though paused');
SELECT is(pg_temp.as_role('a_dev', $$SELECT 1 FROM promote.resume_request('ecomm', 1)$$),
    'PM701: Role "a_dev" has no grant "deploy" for environment "production" of project "ecomm".',
    '... and not let go on');
SELECT is(pg_temp.as_role('a_worker', $$SELECT request FROM promote.promotion_request$$), '(1)',
    'it is seen by who sees where it leads to');
SELECT is(pg_temp.as_role('a_worker', $$SELECT overrides_digest IS NOT NULL FROM promote.promotion_request$$), '(t)',
    '... with a digest of its overrides');
SELECT is(pg_temp.as_role('a_worker', $$SELECT promote.request_evidence('ecomm', 1) ->> 'request'$$), '(1)',
    '... as is its evidence');
SELECT is(pg_temp.as_role('a_worker', $$SELECT count(*) FROM promote.promotion_request_preview$$), '(1)',
    '... and its previews');
DELETE FROM promote.grants WHERE role = 'a_dev' AND environment = 'production';
SELECT is(pg_temp.as_role('a_dev', $$SELECT count(*) FROM promote.promotion_request_preview$$), '(0)',
    '... and by nobody else');
SELECT is(pg_temp.as_role('a_dev', $$SELECT promote.request_evidence('ecomm', 1)$$),
    'PM701: Role "a_dev" has no grant "view" for environment "production" of project "ecomm".',
    '... nor is its evidence');
SELECT is(pg_temp.as_role('a_dev', $$SELECT promote.handoff_text('ecomm', 1)$$), '()', '... or its sheet');

-- ---- placeholders ----
UPDATE promote.parameter_set SET parameters = '{"count": 2}' WHERE project = 'ecomm' AND environment = 'staging';
DO $$ BEGIN PERFORM promote.configure_instance('ecomm-staging-cache', '{"e": "{{count}}"}'); END $$;
SELECT pg_temp.deploy('ecomm-staging-cache') \g /dev/null
SELECT is(pg_temp.as_role('a_dev', $$SELECT status FROM promote.instance_status
    WHERE instance = 'ecomm-staging-cache'$$), '(in_sync)', 'the status looks at placeholders');
UPDATE promote.parameter_set SET parameters = '{"count": 3}' WHERE project = 'ecomm' AND environment = 'staging';
SELECT is(pg_temp.as_role('a_dev', $$SELECT status FROM promote.instance_status
    WHERE instance = 'ecomm-staging-cache'$$), '(stale)', '... that its reader does not see');

-- ---- workers ----
DO $$ BEGIN PERFORM promote.configure_instance('ecomm-staging-cache', '{"z": 1}');
    PERFORM promote.configure_instance('ecomm-production-cache', '{}');
    PERFORM promote.configure_instance('other-production-db', '{"size": "small"}', '1.0.0'); END $$;
SELECT is(pg_temp.as_role('a_worker', $$SELECT DISTINCT c.instance FROM generate_series(1, 9) CROSS
    JOIN LATERAL promote.claim_deployment('w' || generate_series) AS c ORDER BY 1$$),
    E'(ecomm-production-cache)\n(ecomm-production-db)', 'a worker claims where it may work, and nothing else');
INSERT INTO promote.grants (role, action, environment) VALUES ('a_worker', 'work', 'staging');
SELECT is(pg_temp.as_role('a_worker', $$SELECT DISTINCT c.instance FROM generate_series(1, 9) CROSS
    JOIN LATERAL promote.claim_deployment('w' || generate_series) AS c ORDER BY 1$$),
    E'(ecomm-staging-cache)\n(ecomm-staging-db)', '... also where that is an environment of all projects');
INSERT INTO promote.grants (role, action, project) VALUES ('a_worker', 'work', 'other');
SELECT is(pg_temp.as_role('a_worker', $$SELECT DISTINCT c.instance FROM generate_series(1, 9) CROSS
    JOIN LATERAL promote.claim_deployment('w' || generate_series, selector => '{}') AS c ORDER BY 1$$),
    '(other-production-db)', '... or all of a project');
SELECT is(pg_temp.as_role('a_dev', $$SELECT 1 FROM promote.claim_deployment('w')$$),
    'PM701: Role "a_dev" has no grant "work" for anything.', 'who may work nowhere is refused');

-- ---- what is sensitive ----
SELECT is(pg_temp.as_role('a_dev', $$SELECT params ->> 'password', params ->> 'size', params #>> '{nodes,0,id}'
    FROM promote.config_as_of('ecomm-staging-db')$$), '("(sensitive value)",medium,s1)',
    'what is sensitive is masked for who views');
SELECT is(pg_temp.as_role('a_worker', $$SELECT params ->> 'password' FROM promote.config_as_of('ecomm-staging-db')$$),
    '(hush)', '... and not for who gets it to work with');
SELECT is((SELECT params ->> 'password' FROM promote.config_as_of('ecomm-staging-db')), 'hush',
    '... nor for the owner');
SELECT is(pg_temp.as_role('a_dev', 'SELECT params FROM promote.config') ~ '^42501', true,
    'the tables do not give it away');
SELECT is(pg_temp.as_role('a_dev', 'SELECT parameters FROM promote.parameter_set') ~ '^42501', true,
    '... nor what placeholders stand for');
INSERT INTO promote.bundle_release (bundle, version, params_schema)
    VALUES ('redis', '2.0.0',
    '{"properties": {"a": {"items": {"properties": {"b": {"$md.sensitive": true}}}}, "c": {"$md.sensitive": true}}}');
DO $$ BEGIN PERFORM promote.configure_instance('ecomm-staging-cache',
    '{"a": [{"b": 1, "x": 1}, {"x": {"b": 2}}, 3], "c": {"d": [4]}, "e": {}}', '2.0.0'); END $$;
SELECT is(pg_temp.as_role('a_dev', $$SELECT params FROM promote.config_as_of('ecomm-staging-cache')$$)::text, 
    '("{""a"": [{""b"": ""(sensitive value)"", ""x"": 1}, {""x"": {""b"": 2}}, 3], ""c"": ""(sensitive value)"", '
        '""e"": {}, ""z"": 1}")',
    'wherever it is in them');

-- ---- the matrix, and status ----
SELECT is(pg_temp.as_role('a_dev', 'SELECT instance, next FROM promote.promotion_matrix'),
    E'(ecomm-staging-cache,)\n(ecomm-staging-db,)', 'the matrix has what its reader sees, and leads nowhere else');
SAVEPOINT downstream;
CREATE ROLE a_downstream;
INSERT INTO promote.grants (role, action, project, environment) VALUES ('a_downstream', 'view', 'ecomm', 'production');
SELECT is(pg_temp.as_role('a_downstream', 'SELECT instance, next FROM promote.promotion_matrix'),
    E'(ecomm-production-bare,)\n(ecomm-production-cache,)\n(ecomm-production-db,)', '... and comes from nowhere else');
ROLLBACK TO downstream;
SELECT is(pg_temp.as_role('a_worker', $$SELECT instance FROM promote.matrix('other')$$), '(other-production-db)',
    '... of a project, too');
SELECT is(pg_temp.as_role('a_dev', 'SELECT instance FROM promote.instance_status ORDER BY 1'),
    E'(ecomm-staging-cache)\n(ecomm-staging-db)', 'so has the status');

-- ---- the audit log ----
SELECT is(pg_temp.as_role('a_dev',
    $$SELECT count(*) > 0, bool_and(subject ~ '^ecomm-staging-|^\w+ ecomm/staging(/|$)|^(project )?ecomm$')
    FROM promote.audit_log WHERE project = 'ecomm'$$), '(t,t)',
    'of the audit log is seen what happened where one sees');
SELECT is(pg_temp.as_role('a_worker', $$SELECT count(*) > 0 FROM promote.audit_log WHERE subject = 'request ecomm/1'$$),
    '(t)', 'a request''s by who sees the request');
SELECT is(pg_temp.as_role('a_dev', $$SELECT count(*) FROM promote.audit_log WHERE subject = 'request ecomm/1'$$), '(0)',
    '... alone');
-- asked by name, which only row-level security does otherwise
GRANT USAGE ON SCHEMA promote_internal TO a_dev;
SELECT is(promote_internal.may_view_audit(NULL, 'x'), true, 'the owner sees all');
SELECT is(pg_temp.as_role('a_dev', format('SELECT promote_internal.may_view_audit(%L, %L)', project, subject)),
    format('(%s)', seen), format('%s of %s: %s', subject, project, seen))
  FROM (VALUES ('ecomm', 'ecomm', 't'), ('ecomm', 'project ecomm', 't'), ('ecomm', 'ecomm-staging-db', 't'),
      ('ecomm', 'ecomm-production-db', 'f'), ('other', 'other-production-db', 'f'),
               ('ecomm', 'approval_rule ecomm-staging/two', 't'), ('ecomm', 'approval_rule ecomm-production/two', 'f'),
                   ('ecomm', 'environment ecomm/staging', 't'),
               ('ecomm', 'freeze_window xmas', 'f'), ('ecomm', 'freeze_window ecomm', 'f'),
                   ('ecomm', 'request ecomm/77', 'f'), ('ecomm', 'request ecomm/x', 'f'), ('ecomm', '', 'f'),
                   ('ecomm', 'ecomm-', 'f'), ('ecomm', 'ecommerce-staging-db', 'f'),
               ('*', 'bundle postgres', 't'), ('ecomm', NULL, 'f')) AS v (project, subject, seen);
SELECT is(pg_temp.as_role('a_dev', format('SELECT 1 FROM promote.verify_audit(%L)', subject)) ~ '^PM701', true,
    format('verifying takes audit: %s', subject))
  FROM (VALUES ('ecomm-staging-db'), (NULL), ('project ecomm'), ('bundle postgres'),
      ('freeze_window ecomm-x')) AS v (subject);
INSERT INTO promote.grants (role, action, project) VALUES ('a_dev', 'admin', 'ecomm');
SELECT is(pg_temp.as_role('a_dev', $$SELECT count(*) FROM promote.verify_audit('ecomm-staging-db')$$), '(0)',
    '... of the project');
SELECT is(pg_temp.as_role('a_dev', $$SELECT count(*) FROM promote.verify_audit('other-production-db')$$) ~ '^PM701',
    true, '... and of no other');
SELECT is(pg_temp.as_role('a_dev', $$SELECT count(*) FROM promote.verify_audit('freeze_window ecomm-x')$$) ~ '^PM701',
    true, '... nor of what may be another''s');

-- ---- an auditor ----
CREATE ROLE a_auditor;
INSERT INTO promote.grants (role, action, project) VALUES ('a_auditor', 'audit', 'ecomm');
SELECT is(pg_temp.as_role('a_auditor', $$SELECT promote.may('audit', 'ecomm', 'staging'),
    promote.may('view', 'ecomm', 'staging'), promote.may('audit', 'other')$$), '(t,f,f)',
    'who may audit need not view');
SELECT is(pg_temp.as_role('a_dev', $$SELECT promote.may('audit', 'ecomm'), promote.may('audit', 'other')$$), '(t,f)',
    'an admin may audit');
SELECT is(pg_temp.as_role('a_auditor', $$SELECT count(*) FROM promote.audit_log WHERE project = 'ecomm'$$),
    format('(%s)', (SELECT count(*) FROM promote.audit_log WHERE project = 'ecomm')),
    'an auditor sees all of the log of a project');
SELECT is(pg_temp.as_role('a_auditor', $$SELECT count(*) FROM promote.revision WHERE project = 'ecomm'$$),
    format('(%s)', (SELECT count(*) FROM promote.revision WHERE project = 'ecomm')), '... and its history');
SELECT is(pg_temp.as_role('a_auditor', format('SELECT count(*) FROM promote.%I WHERE project = ''other''', t)), '(0)',
    '... and of no other: ' || t) FROM unnest('{audit_log,instance,revision}'::text[]) AS t;
SELECT is(pg_temp.as_role('a_auditor', $$SELECT v.problem FROM promote.audit_head('ecomm') AS h,
    promote.verify_audit_head(h.project, h.subject, h.seq, h.hash) AS v$$), NULL, 'takes heads and verifies by them');
SELECT is(pg_temp.as_role('a_auditor', $$SELECT count(*) > 0 FROM promote.audit_head('ecomm')$$), '(t)',
    '... which there are');
SELECT is(pg_temp.as_role('a_auditor', $$SELECT count(*) FROM promote.verify_audit('ecomm-staging-db')$$), '(0)',
    'verifies what is of the project');
SELECT is(pg_temp.as_role('a_auditor', format('SELECT count(*) FROM promote.verify_audit(%L) '
    'WHERE problem !~ ''no such''', subject)), '(0)', '... as its name says, and its project''s: ' || subject)
  FROM unnest('{ecomm,project ecomm,line ecomm,environment ecomm/staging,request ecomm/1}'::text[]) AS subject;
SELECT is(pg_temp.as_role('a_auditor', format('SELECT count(*) FROM promote.verify_audit(%L)', subject)),
    'PM701: Role "a_auditor" has no grant "audit" for all projects.',
    '... and no rule that goes by the project''s name: ' || subject)
  FROM unnest('{freeze_window ecomm,freeze_window project,policy line}'::text[]) AS subject;
SELECT is(pg_temp.as_role('a_auditor', $$SELECT count(*) FROM promote.verify_audit('other-production-db')$$),
    'PM701: Role "a_auditor" has no grant "audit" for all of project "other".', '... and no other');
SELECT is(pg_temp.as_role('a_auditor', $$SELECT count(*) FROM promote.verify_audit()$$) ~ '^PM701', true,
    '... nor everything');
SELECT is(pg_temp.as_role('a_auditor', $$SELECT count(*) FROM promote.verify_audit(project => 'ecomm')$$), '(0)',
    '... but all of the project');
SELECT is(pg_temp.as_role('a_auditor', $$SELECT count(*) FROM promote.verify_audit('freeze_window ecomm-x', 'ecomm')$$),
    '(1)', '... also by a name that does not say the project');
SELECT is(pg_temp.as_role('a_auditor', format('SELECT count(*) FROM promote.verify_audit(%L, %L)', s,
    'other')) ~ '^PM701', true, '... and nothing of another: ' || COALESCE(s, 'all'))
    FROM unnest('{NULL,ecomm-staging-db}'::text[]) AS s;
SELECT is(pg_temp.as_role('a_auditor', $$SELECT count(*) FROM promote.verify_audit('other-production-db', 'ecomm')$$),
    '(1)', '... wherever it is sought');
SAVEPOINT namesake;
CREATE ROLE ecomm;
INSERT INTO promote.grants (role, action, project) VALUES ('ecomm', 'view', 'other');
SELECT is(pg_temp.as_role('a_auditor', format('SELECT problem FROM promote.verify_audit(%L)',
    'grants ecomm/' || action || '/other-*')), '("there is no such instance, and nothing is recorded of it")',
    'nor what is granted in another to a role by the name of the project: ' || action)
  FROM unnest(ARRAY['view', 'plan']) AS action;
ROLLBACK TO namesake;
SELECT results_eq($$SELECT project, subject, problem FROM promote.verify_audit(project => 'none')$$,
    $$VALUES ('none', NULL::text, 'there is no such project, and nothing is recorded of it')$$,
    'a project that there is not');
SELECT is(pg_temp.as_role('a_auditor', $$SELECT promote.request_evidence('ecomm', 1) ->> 'request'$$), '(1)',
    'reads the evidence of a request');
SELECT is(pg_temp.as_role('a_auditor', statement),
    format('PM701: Role "a_auditor" has no grant "%s" for environment "staging" of project "ecomm".', action),
    'but nothing that shows values, nor does anything: ' || statement)
  FROM (VALUES ('view', $$SELECT 1 FROM promote.config_as_of('ecomm-staging-db')$$),
      ('view', $$SELECT 1 FROM promote.preview_promotion('ecomm-staging-db', 'ecomm-production-db')$$),
               ('view', $$SELECT 1 FROM promote.compare_instances('ecomm-staging-db', 'ecomm-production-db')$$),
                   ('view', $$SELECT promote.plan_text('ecomm-staging-db', 1)$$),
               ('view', $$SELECT 1 FROM promote.blockers('ecomm-staging-db')$$),
                   ('configure', $$SELECT 1 FROM promote.configure_instance('ecomm-staging-db', '{}')$$)) AS v (action,
                   statement);
SELECT is(pg_temp.as_role('a_auditor', 'SELECT ' || c) ~ '^42501', true, '... nor what is withheld: ' || c)
  FROM unnest('{params FROM promote.config,parameters FROM promote.parameter_set}'::text[]) AS c;
SELECT throws_ok($$SELECT promote.may('rows')$$, 'PM404', NULL, 'to see rows is no action');
DELETE FROM promote.grants WHERE role = 'a_auditor';
INSERT INTO promote.grants (role, action, project, environment) VALUES ('a_auditor', 'audit', 'ecomm', 'staging');
SELECT is(pg_temp.as_role('a_auditor', $$SELECT DISTINCT environment FROM promote.revision$$), '(staging)',
    'of an environment, its rows alone');
SELECT is(pg_temp.as_role('a_auditor', $$SELECT count(*) FROM promote.verify_audit('ecomm-staging-db')$$) ~ '^PM701',
    true, '... which are not verified without the project');

-- ---- views of users ----
CREATE SCHEMA views;
GRANT ALL ON SCHEMA views TO PUBLIC;
CREATE ROLE a_reader;
SET LOCAL ROLE a_dev;
CREATE VIEW views.plain AS SELECT DISTINCT project, environment FROM promote.instance;
CREATE VIEW views.invoker WITH (security_invoker = true) AS SELECT DISTINCT project, environment FROM promote.instance;
RESET ROLE;
CREATE VIEW views.dba AS SELECT DISTINCT i.project, i.environment FROM promote.instance AS i;
CREATE VIEW views.dba_invoker WITH (security_invoker = true) AS SELECT DISTINCT project, environment
    FROM promote.instance;
GRANT SELECT ON ALL TABLES IN SCHEMA views TO PUBLIC;
CREATE FUNCTION pg_temp.seen(role text, name text) RETURNS text
    LANGUAGE sql AS $$ SELECT pg_temp.as_role(role, format('SELECT * FROM views.%I ORDER BY 1, 2', name)) $$;
SELECT is(pg_temp.seen('a_nobody', 'plain'), '(other,production)',
    'a view of somebody''s shows its readers what they may see themselves');
SELECT is(pg_temp.seen('a_reader', 'plain'), NULL, '... and no row to who has no grant, without an error');
SELECT is(pg_temp.seen('a_nobody', 'invoker'), '(other,production)', 'with security_invoker, too');
SELECT is(pg_temp.seen('a_reader', 'invoker') ~ '^42501', true, '... but for whom the tables are closed');
SELECT is(pg_temp.seen('a_reader', 'dba'),
    pg_temp.as_role('none', 'SELECT DISTINCT i.project, i.environment FROM promote.instance AS i ORDER BY 1, 2'),
    'a view of the tables'' owner shows everything to everybody');
SELECT is(pg_temp.seen('a_nobody', 'dba_invoker'), '(other,production)', '... unless it asks as its reader');
DROP SCHEMA views CASCADE;

-- ---- what a DBA wraps ----
CREATE SCHEMA wrapped;
GRANT USAGE ON SCHEMA wrapped TO a_nobody;
CREATE FUNCTION wrapped.blockers() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog,
    pg_temp AS $$SELECT count(*) FROM promote.blockers('ecomm-production-cache')$$;
SELECT is(pg_temp.as_role('a_nobody', 'SELECT wrapped.blockers() >= 0'), '(t)',
    'a SECURITY DEFINER function counts as its owner');

-- ---- a project among many ----
INSERT INTO promote.project (project) SELECT 'p' || n FROM generate_series(1, 1000) AS n;
INSERT INTO promote.component (project, component, bundle) SELECT project, 'db', 'redis' FROM promote.project
    WHERE project ~ '^p[0-9]';
INSERT INTO promote.environment (project, environment) SELECT project, 'staging' FROM promote.project
    WHERE project ~ '^p[0-9]';
INSERT INTO promote.instance (project, environment, component) SELECT project, 'staging', 'db' FROM promote.project
    WHERE project ~ '^p[0-9]';
INSERT INTO promote.config (project, params) SELECT project, '{}' FROM promote.project WHERE project ~ '^p[0-9]';
INSERT INTO promote.revision (project, environment, component, digest, version_constraint)
SELECT project, 'staging', 'db', promote.config_digest(project, '{}'), 'latest' FROM promote.project
    WHERE project ~ '^p[0-9]';
ANALYZE;
INSERT INTO promote.grants (role, action, project) VALUES ('a_nobody', 'view', 'p500');
DELETE FROM promote.grants WHERE role = 'a_nobody' AND project = 'other';
-- How the first of the tables is come by, and whether anything is read whole that could be large.
CREATE FUNCTION pg_temp.plan(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    line text;
    result text := '';
BEGIN
    SET LOCAL ROLE a_nobody;
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || statement LOOP
        result := result || line || E'\n';
    END LOOP;
    RESET ROLE;
    RETURN result;
END
$$;
SELECT matches(pg_temp.plan('SELECT ' || of || ' FROM promote.' || name), 'Index Cond: \(+project\)?(::text)? = ANY',
    name || ' is read by an index on the project')
  FROM (VALUES ('revision', '*'), ('deployment', '*'), ('audit_log', '*'), ('instance', '*'),
      ('instance_status', '*'), ('promotion_history', '*'), ('config_changes', '*'), ('drift_status', '*'),
               ('instance_health', '*'), ('approval_status', '*')) AS v (name, of);
SELECT unalike(pg_temp.plan(format('SELECT * FROM promote.%I', name)), format('%%Seq Scan on %s%%', large),
    format('%s does not read all of %s', name, large))
  FROM unnest('{instance_status,promotion_history,config_changes,approval_status,deployment,audit_log}'::text[]) AS
      name, unnest('{instance,revision,deployment,audit_log,config}'::text[]) AS large;
SELECT is(pg_temp.as_role('a_nobody', 'SELECT count(*), min(project) FROM promote.' || name), format('(%s,p500)', rows),
    name || ' has rows of that project alone')
  FROM (VALUES ('revision', 1), ('deployment', 1), ('instance', 1), ('instance_status', 1),
      ('promotion_matrix', 1)) AS v (name, rows);
SELECT is(pg_temp.as_role('a_nobody', $$SELECT string_agg(DISTINCT project::text, ' ' ORDER BY project::text)
    FROM promote.audit_log$$), '("* p500")', 'so has the audit log, and what belongs to no project');

SELECT * FROM finish();
ROLLBACK;
