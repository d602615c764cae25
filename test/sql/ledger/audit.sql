-- The audit log: its chain, what it says, and what verifying finds.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
SET LOCAL promote.actor = 'ada';
SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', message => 'ümlaut "quoted"') \g /dev/null
SELECT promote.configure_instance('ecomm-production-db', '{"replicas": 2}') \g /dev/null

SELECT is_empty('SELECT * FROM promote.verify_audit()', 'all chains are whole');
SELECT is_empty($$SELECT * FROM promote.verify_audit('ecomm-production-db')$$, 'one chain is whole');
SELECT results_eq($$SELECT seq FROM promote.audit_log WHERE subject = 'ecomm-production-db' ORDER BY seq$$,
    'SELECT generate_series(1, 6)::bigint', 'numbered without gaps');
SELECT is(count(*), 0::bigint, 'each row holds the hash of the one before')
  FROM promote.audit_log a LEFT JOIN promote.audit_log b ON b.project = a.project AND b.subject = a.subject
      AND b.seq = a.seq - 1
 WHERE a.previous_hash IS DISTINCT FROM b.hash;

-- The hash can be computed with nothing but PostgreSQL, as doc/reference/audit.md says.
SELECT is(count(*), 0::bigint, 'the hash is what the documentation says')
  FROM promote.audit_log WHERE hash <> sha256(convert_to(promote.jsonb_canonical(jsonb_build_object(
      'project', project, 'subject', subject, 'seq', seq, 'at',
          to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
      'actor', actor, 'database_role', database_role, 'event', event, 'data', data, 'rows',
          encode(promote.jsonb_digest(rows), 'hex'), 'previous_hash', encode(previous_hash, 'hex'))), 'UTF8'));
CREATE FUNCTION pg_temp.rehash() RETURNS bytea LANGUAGE sql AS $$
    SELECT promote.audit_hash(project, subject, seq, at, actor, database_role, event, data, rows, previous_hash)
        FROM promote.audit_log WHERE subject = 'ecomm-production-db' AND seq = 3 $$;
CREATE TEMP TABLE hashed ON COMMIT DROP AS SELECT pg_temp.rehash() AS h;
SET LOCAL TimeZone = 'Australia/Lord_Howe';
SET LOCAL DateStyle = 'German';
SET LOCAL bytea_output = 'escape';
SET LOCAL extra_float_digits = -3;
SELECT is(pg_temp.rehash(), h, 'whatever the session''s settings') FROM hashed;
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'verifying too');
RESET TimeZone;
RESET DateStyle;

SELECT is((SELECT data FROM promote.audit_log WHERE subject = 'ecomm-production-db'
    AND seq = 3) - 'created_at' - 'digest' - 'overrides' - 'database_role',
    '{"revision": 2, "version_constraint": "~1", '
        '"release_channel": "development", "origin": "promotion",
      "bundle": "postgres", "version": "1.2.0-dev.20260915T101500Z", "source_environment": "staging", '
          '"source_revision": 1, "plan": true, "mode": "replace", "allow_replace": false, '
          '"message": "ümlaut \"quoted\"", "actor": "ada"}',
          'the facts of a revision, without the instance, which the subject names');
SELECT is((SELECT data FROM promote.audit_log WHERE subject = 'ecomm-production-db'
    AND seq = 4) - 'created_at' - 'diff' - 'rendered_digest' - 'database_role',
    '{"deployment": 2, "action": "PLAN", '
        '"revision": 2, "bundle": "postgres",
      "version": "1.2.0-dev.20260915T101500Z", "destructive": false, "reverts": false, "actor": "ada"}',
          'the facts of a deployment');

-- ---- tampering, by someone who could switch the guards off ----
CREATE FUNCTION pg_temp.tamper(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found text;
BEGIN
    -- the guards cannot be disabled while the test's own constraint checks are still to come
    SET CONSTRAINTS ALL IMMEDIATE;
    ALTER TABLE promote.audit_log DISABLE TRIGGER ALL;
    ALTER TABLE promote.revision DISABLE TRIGGER ALL;
    ALTER TABLE promote.deployment DISABLE TRIGGER ALL;
    ALTER TABLE promote.config DISABLE TRIGGER ALL;
    ALTER TABLE promote.instance DISABLE TRIGGER ALL;
    EXECUTE statement;
    SELECT string_agg(COALESCE(seq::text, '-') || ': ' || problem, E'\n') INTO found FROM promote.verify_audit()
        WHERE subject !~ '^trigger ';
    RAISE SQLSTATE 'UNDO1' USING MESSAGE = COALESCE(found, 'nothing found');
EXCEPTION WHEN SQLSTATE 'UNDO1' THEN
    RETURN SQLERRM;
END
$$;
SELECT matches(pg_temp.tamper(replace(statement, '@',
    $$project = 'ecomm' AND subject = 'ecomm-production-db' AND seq$$)), expected, what)
  FROM (VALUES
    ('a changed actor', 'UPDATE promote.audit_log SET actor = ''eve'' WHERE @ = 3', '3: the row was changed'),
    ('a changed time', 'UPDATE promote.audit_log SET at = at + ''1 us'' WHERE @ = 3', '3: the row was changed'),
    ('changed data', 'UPDATE promote.audit_log SET data = data || ''{"revision": 9}'' WHERE @ = 3',
        '3: the row was changed'),
    ('a row in the middle removed', 'DELETE FROM promote.audit_log WHERE @ = 3',
        '4: rows were removed before it: 3 to 3'),
    ('the first row removed', 'DELETE FROM promote.audit_log WHERE @ = 1', '2: rows were removed before it: 1 to 1'),
    ('the last row removed', 'DELETE FROM promote.audit_log WHERE @ = 6',
        'deployment ecomm/production/db/3: there is such a row, and nothing records it'),
    ('the whole chain removed', 'DELETE FROM promote.audit_log WHERE @ > 0',
        '-: revision ecomm/production/db/1: there is such a row'),
    ('two rows changed places',
        'UPDATE promote.audit_log a SET at = b.at, event = b.event, data = b.data, previous_hash = b.previous_hash, '
        'hash = b.hash FROM promote.audit_log b WHERE b.subject = a.subject AND a.subject = ''ecomm-production-db'' '
        'AND a.seq IN (3, 4) AND b.seq = 7 - a.seq', '3: the row was changed'),
    ('a row replaced by a well-formed one',
        'WITH a AS (DELETE FROM promote.audit_log WHERE @ = 3 RETURNING *) INSERT INTO promote.audit_log SELECT '
        'project, subject, seq, at, ''eve'', database_role, event, data, rows, previous_hash, '
        'promote.audit_hash(project, subject, seq, at, ''eve'', database_role, event, data, rows, previous_hash) FROM '
        'a', '4: it does not follow the row before'),
    ('a revision changed', 'UPDATE promote.revision SET message = ''forged'' WHERE environment = ''production'' AND '
        'revision = 2', '^4: revision ecomm/production/db/2: the row is not what it records$'),
    ('a revision''s author changed',
        'UPDATE promote.revision SET actor = ''eve'' WHERE environment = ''production'' AND revision = 2',
        '4: revision ecomm/production/db/2: the row is not what it records'),
    ('a plan''s diff changed',
        'UPDATE promote.deployment SET diff = ''[]'' WHERE environment = ''production'' AND deployment = 2',
        '4: deployment ecomm/production/db/2: the row is not what it records'),
    ('a deployment removed', 'DELETE FROM promote.deployment WHERE environment = ''production'' AND deployment = 2',
        '4: deployment ecomm/production/db/2: the row that it records is not there'),
    ('a configuration changed',
        'UPDATE promote.config SET params = ''{"size": "large"}'' WHERE digest = (SELECT digest FROM promote.revision '
        'WHERE environment = ''production'' AND revision = 1)', '-: revision 1: its configuration'),
    ('a configuration changed with its digest',
        'UPDATE promote.config SET params = ''{"size": "large"}'', digest = promote.config_digest(project, ''{"size": '
        '"large"}'') WHERE digest = (SELECT digest FROM promote.revision WHERE environment = ''production'' AND '
        'revision = 1)', '-: revision 1: its configuration'),
    ('all configurations removed', 'DELETE FROM promote.config', '-: deployment 1: its configuration'),
    ('a counter turned back', 'UPDATE promote.instance SET revision = 2 WHERE name = ''ecomm-production-db''',
        'the instance does not say'),
    ('a counter of deployments moved',
        'UPDATE promote.instance SET deployment = 9 WHERE name = ''ecomm-production-db''', 'the instance does not say'),
    ('another constraint desired',
        'UPDATE promote.instance SET version_constraint = ''latest'' WHERE name = ''ecomm-production-db''',
        'the instance does not say'),
    ('the end of everything removed',
        'DELETE FROM promote.audit_log WHERE @ > 4; DELETE FROM promote.deployment WHERE environment = ''production'' '
        'AND deployment = 3; DELETE FROM promote.revision WHERE environment = ''production'' AND revision = 3',
        'the instance does not say'),
    ('an author replaced and sealed again',
        'UPDATE promote.audit_log SET actor = ''eve'', hash = promote.audit_hash(project, subject, seq, at, ''eve'', '
        'database_role, event, data, rows, previous_hash) WHERE @ = 6', '6: its author'),
    ('an instance removed', 'DELETE FROM promote.instance WHERE name = ''ecomm-production-db''; DELETE FROM '
        'promote.audit_log WHERE @ > 0', '-: revision ecomm/production/db/1: there is such a row'),
    ('nothing', 'SELECT 1', '^nothing found$')) AS v(what, statement, expected);

SELECT is(pg_temp.lines($$SELECT subject, problem FROM promote.verify_audit('ecomm-typo-db')$$),
    '(ecomm-typo-db,"there is no such instance, and nothing is recorded of it")', 'a name that is nothing''s');

-- ---- nobody writes a record of nothing ----
CREATE ROLE promote_test_forger;
GRANT INSERT, SELECT ON ALL TABLES IN SCHEMA promote TO promote_test_forger;
INSERT INTO promote.grants (role, action) VALUES ('promote_test_forger', 'view'),
    ('promote_test_forger', 'impersonate');
SET LOCAL ROLE promote_test_forger;
SELECT throws_ok($$INSERT INTO promote.audit_log VALUES ('ecomm', 'ecomm-production-db', 7, now(), 'mallory', 'mallory',
    'approval.granted', '{}', NULL, sha256('x'), sha256('y'))$$, '42501', NULL,
    'nobody takes a place among the events');
RESET ROLE;
GRANT EXECUTE ON FUNCTION promote_internal.next_position(), promote_internal.settled_by(bigint) TO promote_test_forger;
SET LOCAL ROLE promote_test_forger;
SELECT throws_ok($$INSERT INTO promote.audit_log VALUES ('ecomm', 'ecomm-production-db', 7, now(), 'mallory', 'mallory',
    'approval.granted', '{}', NULL, sha256('x'), sha256('y'))$$, 'PM303', NULL, '... nor writes into the log');
SELECT throws_ok($$INSERT INTO promote.deployment (project, environment, component, deployment, action, revision,
    bundle, version, rendered_digest, diff) SELECT project, environment, component, 4, action, revision, bundle,
    version, rendered_digest, diff FROM promote.deployment WHERE environment = 'production' AND deployment = 3$$,
    'PM303', NULL, 'nor a deployment');
RESET ROLE;
SELECT throws_ok($$INSERT INTO promote.deployment (project, environment, component, deployment, action, revision,
    bundle, version, rendered_digest, diff) SELECT project, environment, component, 4, action, revision, bundle,
    version, rendered_digest, diff FROM promote.deployment WHERE environment = 'production' AND deployment = 3$$,
    'PM303', NULL, 'nor the owner one that is new');

SELECT is(promote_internal.check_audit('p', 1, 'e', NULL, NULL), false, 'a row without a hash is no link');

-- ---- where an instance stands, by what its log says was carried out ----
\ir ../../fixtures/deploy.sql
CREATE FUNCTION pg_temp.fail_next() RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    claim record;
BEGIN
    PERFORM promote.plan_instance('ecomm-production-db');
    PERFORM pg_temp.work('ecomm-production-db');
    PERFORM promote.deploy_instance('ecomm-production-db');
    SELECT * INTO STRICT claim FROM promote.claim_deployment('test', '{PROVISION}');
    PERFORM promote.fail_deployment(claim.instance, claim.deployment, 'broken', claim.fencing);
    RETURN claim.deployment;
END
$$;
-- What is found after a statement that goes past the triggers.
CREATE FUNCTION pg_temp.found_after(statement text, OUT problem text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    SELECT string_agg(v.problem, '; ') INTO problem FROM promote.verify_audit('ecomm-production-db') AS v;
    RAISE EXCEPTION USING ERRCODE = 'ZZ000';
EXCEPTION WHEN SQLSTATE 'ZZ000' THEN
    NULL;
END
$$;
SELECT pg_temp.deploy('ecomm-production-db') AS good \gset
SELECT pg_temp.fail_next() AS first \gset
SELECT pg_temp.fail_next() > :first AS later, (promote.plan_instance('ecomm-production-db')).status \g /dev/null
SELECT is_empty($$SELECT * FROM promote.verify_audit()$$, 'one was deployed, two have failed');
ALTER TABLE promote.instance DISABLE TRIGGER guard_instance;
ALTER TABLE promote.deployment DISABLE TRIGGER guard_deployment;
SELECT is(pg_temp.found_after('UPDATE promote.instance SET ' || change || ' WHERE name = ''ecomm-production-db'''),
    'instance ecomm/production/db: the row is not what it records' || also, 'found: ' || change)
  FROM (VALUES ('changed_by = ' || :first, ''), ('changed_by = 1', '; the instance does not say what its history says'),
      ('status = ''PROVISIONED'', changed_by = ' || :good, '')) AS v(change, also);
SELECT is(pg_temp.found_after('UPDATE promote.deployment SET due_at = ' || due
    || ' WHERE due_at IS NOT NULL AND project = ''ecomm'' AND environment = ''production'''),
          'its queue stands still: deployments wait, and none is due', 'found: due at ' || due)
              FROM unnest(ARRAY['NULL', '''infinity''']) AS due;

ALTER TABLE promote.instance ENABLE ALWAYS TRIGGER guard_instance;
ALTER TABLE promote.deployment ENABLE ALWAYS TRIGGER guard_deployment;

-- ---- stops of the line ----
SELECT promote.stop_line('fire', 'ecomm'), promote.stop_line('flood') \g /dev/null
SELECT promote.resume_line('ecomm', 'put out') \g /dev/null
SELECT is_empty($$SELECT * FROM promote.verify_audit()$$, 'the line was stopped twice, and one stop lifted');
SELECT is_empty($$SELECT * FROM promote.verify_audit('line ecomm')$$, '... by the line''s chain, too');
CREATE FUNCTION pg_temp.forged_stop(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found text;
BEGIN
    SET CONSTRAINTS ALL IMMEDIATE;
    ALTER TABLE promote.line_stop DISABLE TRIGGER ALL;
    EXECUTE statement;
    SELECT string_agg(DISTINCT problem, '; ') INTO found FROM promote.verify_audit() WHERE subject !~ '^trigger ';
    RAISE SQLSTATE 'UNDO1' USING MESSAGE = COALESCE(found, 'nothing found');
EXCEPTION WHEN SQLSTATE 'UNDO1' THEN
    RETURN SQLERRM;
END
$$;
SELECT is(pg_temp.forged_stop(statement), problem, 'found: ' || statement)
  FROM (VALUES ('DELETE FROM promote.line_stop WHERE stop = 2', 'line_stop 2: the row that it records is not there'),
    ('UPDATE promote.line_stop SET reason = ''drill'' WHERE stop = 1', 'line_stop 1: the row is not what it records'),
    ('UPDATE promote.line_stop SET actor = ''eve'' WHERE stop = 1', 'line_stop 1: the row is not what it records'),
    ('UPDATE promote.line_stop SET project = NULL WHERE stop = 1',
        'line_stop 1: the row that it records is not there; line_stop 1: there is such a row, and nothing records it'),
    ('UPDATE promote.line_stop SET message = NULL WHERE stop = 1', 'line_stop 1: the row is not what it records'),
    ('UPDATE promote.line_stop SET lifted_at = NULL, lifted_by = NULL, lifted_role = NULL WHERE stop = 1',
        'line_stop 1: the row is not what it records'),
    ('UPDATE promote.line_stop SET lifted_at = clock_timestamp(), lifted_by = ''eve'', lifted_role = ''eve'' WHERE '
        'stop = 2', 'line_stop 2: the row is not what it records'),
    ('INSERT INTO promote.line_stop (stop, project, reason) VALUES (3, ''ecomm'', ''never'')',
        'line_stop 3: there is such a row, and nothing records it')) AS v(statement, problem);
SELECT isnt_empty($$SELECT * FROM promote.prune_audit(clock_timestamp())$$, 'pruned');
SELECT is_empty($$SELECT * FROM promote.verify_audit()$$, 'what the chains no longer tell of the stops is not missed');

SELECT * FROM finish();
ROLLBACK;
