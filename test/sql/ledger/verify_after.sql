-- Verifying goes on from heads that were kept: what came after is verified, what was before is not read, and a head
-- that does not fit its chain is told.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/as_role.sql
SET LOCAL promote.actor = 'ada';
SELECT promote.configure_instance('ecomm-production-db', '{"replicas": 2}') \g /dev/null
SELECT promote.configure_instance('ecomm-staging-db', '{"replicas": 2}') \g /dev/null
SELECT promote.abort_deployment('ecomm-staging-db', 1) \g /dev/null

-- ---- what heads are ----
CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT promote.chain_heads() AS heads;
SELECT is((SELECT jsonb_array_length(heads) FROM kept), (SELECT count(DISTINCT (project, subject))
    FROM promote.audit_log)::integer, 'a head of every chain');
SELECT results_eq('SELECT h ->> ''project'', h ->> ''subject'', (h ->> ''seq'')::bigint, decode(h '
    '->> ''hash'', ''hex'') '
    'FROM kept, jsonb_array_elements(heads) AS h', 'SELECT * FROM promote.audit_head() ORDER BY project, subject',
    '... as audit_head has them');
SELECT is(promote.chain_heads('nothing'), NULL, 'nothing has no heads');
SELECT is((SELECT max(seq) FROM promote.audit_log WHERE subject = 'ecomm-production-db'), 4::bigint,
    'the chain has four rows');
SELECT is_empty('SELECT * FROM promote.verify_audit(heads => (SELECT heads FROM kept))', 'nothing came after them');

-- ---- what came after ----
UPDATE promote.environment SET description = 'changed' WHERE project = 'ecomm' AND environment = 'production';
INSERT INTO promote.environment (project, environment) VALUES ('ecomm', 'new');
INSERT INTO promote.instance (project, environment, component) VALUES ('ecomm', 'new', 'db');
SELECT promote.configure_instance('ecomm-production-db', '{"tier": "gold"}') \g /dev/null
SELECT promote.configure_instance('ecomm-new-db', '{"size": "small", "tier": "new"}', '1.0.0') \g /dev/null
SELECT is_empty(format('SELECT * FROM promote.verify_audit(heads => (SELECT heads FROM kept), project => %L)', project),
    'what came after is well, of ' || COALESCE(project, 'all')) FROM unnest('{ecomm,other,*,NULL}'::text[]) AS project;
SELECT is_empty('SELECT * FROM promote.verify_audit(heads => (SELECT jsonb_agg(h) FROM promote.audit_head() AS h))',
    'rows of audit_head are heads as well');
SELECT is_empty('SELECT * FROM promote.verify_audit(heads => ''[]'')', 'without heads chains are read whole');

-- ---- tampering ----
SET CONSTRAINTS ALL IMMEDIATE;
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT unnest('{audit_log,revision,deployment,config,instance,environment}'::text[]) LOOP
        EXECUTE format('ALTER TABLE promote.%I DISABLE TRIGGER ALL', name);
    END LOOP;
END
$$;
-- What is found after a statement, but for guards: of all, of the project, and of the chain alone.
CREATE FUNCTION pg_temp.after(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found text;
    of_project text;
    of_subject text;
BEGIN
    EXECUTE replace(statement, '@', 'subject = ''ecomm-production-db'' AND seq');
    SELECT string_agg(concat_ws(': ', subject, seq, problem), E'\n'),
           string_agg(concat_ws(': ', subject, seq, problem), E'\n') FILTER (WHERE subject = 'ecomm-production-db')
      INTO found, of_subject
      FROM promote.verify_audit(heads => (SELECT heads FROM kept)) WHERE subject !~ '^trigger ';
    SELECT string_agg(concat_ws(': ', subject, seq, problem), E'\n') INTO of_project
      FROM promote.verify_audit(heads => (SELECT heads FROM kept), project => 'ecomm');
    IF of_project IS DISTINCT FROM found THEN
        found := 'by the project: ' || COALESCE(of_project, 'nothing');
    END IF;
    SELECT string_agg(concat_ws(': ', subject, seq, problem), E'\n') INTO of_project
      FROM promote.verify_audit('ecomm-production-db', heads => (SELECT heads FROM kept));
    IF of_project IS DISTINCT FROM of_subject THEN
        found := 'by the subject: ' || COALESCE(of_project, 'nothing');
    END IF;
    RAISE SQLSTATE 'UNDO1' USING MESSAGE = COALESCE(found, 'nothing');
EXCEPTION WHEN SQLSTATE 'UNDO1' THEN
    RETURN SQLERRM;
END
$$;
SELECT is(pg_temp.after(statement), found, what) FROM (VALUES
    ('a row after the head was changed', 'UPDATE promote.audit_log SET event = ''x'' WHERE @ = 5',
        'ecomm-production-db: 5: the row was changed: its hash is not that of its columns'),
    ('its author was, and it was sealed again', 'UPDATE promote.audit_log SET actor = ''eve'', hash = '
        'promote.audit_hash(project, subject, seq, at, ''eve'', database_role, event, data, rows, previous_hash) '
        'WHERE @ = 6', 'ecomm-production-db: 6: its author is not the one in its data'),
    ('the first row after the head was removed', 'DELETE FROM promote.audit_log WHERE @ = 5',
        'ecomm-production-db: 6: rows were removed before it: 5 to 5'),
    ('the first row after the head was replaced', 'WITH a AS (DELETE FROM promote.audit_log WHERE @ = 5 RETURNING *) '
        'INSERT INTO promote.audit_log SELECT project, subject, seq, at - interval ''1 us'', actor, database_role, '
            'event, '
        'data, rows, previous_hash, promote.audit_hash(project, subject, seq, at - interval ''1 us'', actor, '
        'database_role, event, data, rows, previous_hash) FROM a',
        'ecomm-production-db: 6: it does not follow the row before: that one was replaced or reordered'),
    ('the chain goes on from another row than the head', 'UPDATE promote.audit_log SET previous_hash = sha256(''x''), '
        'hash = promote.audit_hash(project, subject, seq, at, actor, database_role, event, data, rows, sha256(''x'')) '
        'WHERE @ = 5', 'ecomm-production-db: 5: it does not follow the row before: that one was replaced or reordered'
            ||
        E'\necomm-production-db: 6: it does not follow the row before: that one was replaced or reordered'),
    ('the head itself was changed, but for its hash', 'UPDATE promote.audit_log SET event = ''x'' WHERE @ = 4',
        'ecomm-production-db: 4: the row was changed: its hash is not that of its columns'),
    ('the head has another hash', 'UPDATE promote.audit_log SET hash = sha256(''x'') WHERE @ = 4',
        'ecomm-production-db: 4: the kept head: the row has another hash: the chain was rewritten' ||
        E'\necomm-production-db: 4: the row was changed: its hash is not that of its columns' ||
        E'\necomm-production-db: 5: it does not follow the row before: that one was replaced or reordered'),
    ('the head is gone', 'DELETE FROM promote.audit_log WHERE @ = 4',
        'ecomm-production-db: 4: the kept head: the row is gone' ||
        E'\necomm-production-db: 5: rows were removed before it: 4 to 4'),
    ('a row before the head was changed, which nobody reads',
        'UPDATE promote.audit_log SET event = ''x'' WHERE @ = 1',
        'nothing'),
    ('... but where the head does not fit', 'UPDATE promote.audit_log SET event = ''x'' WHERE @ IN (2, 3); UPDATE '
        'promote.audit_log SET hash = ''\x'' || hash WHERE false; DELETE FROM promote.audit_log WHERE @ = 4',
        'ecomm-production-db: 2: the row was changed: its hash is not that of its columns' ||
        E'\necomm-production-db: 3: the row was changed: its hash is not that of its columns' ||
        E'\necomm-production-db: 4: the kept head: the row is gone' ||
        E'\necomm-production-db: 5: rows were removed before it: 4 to 4'),
    ('the chain is gone', 'DELETE FROM promote.audit_log WHERE subject = ''environment ecomm/staging''',
        'environment ecomm/staging: 1: the kept head: the chain is gone'),
    ('a row of a table that came after',
        'UPDATE promote.revision SET message = ''x'' WHERE environment = ''production'' '
        'AND revision = 3', 'ecomm-production-db: 6: revision ecomm/production/db/3: the row is not what it records'),
    ('... is gone', 'DELETE FROM promote.deployment WHERE environment = ''production'' AND deployment = 3',
        'ecomm-production-db: 6: deployment ecomm/production/db/3: the row that it records is not there' ||
        E'\necomm-production-db: the instance does not say what its history says'),
    ('a row that people wrote', 'UPDATE promote.environment SET description = ''x'' WHERE environment = ''production'' '
        'AND project = ''ecomm''', 'environment ecomm/production: 2: the row is not what it records'),
    ('... is gone', 'DELETE FROM promote.environment WHERE environment = ''new''',
        'environment ecomm/new: 1: the row that it records is not there'),
    ('a row that was written before, which nobody reads', 'UPDATE promote.revision SET message = ''x'' WHERE '
        'environment = ''staging'' AND revision = 1', 'nothing'),
    ('a row that the head itself tells of',
        'UPDATE promote.revision SET message = ''x'' WHERE environment = ''production'' '
        'AND revision = 2', 'ecomm-production-db: 4: revision ecomm/production/db/2: the row is not what it records'),
    ('a configuration that came after', 'UPDATE promote.config SET params = ''{}'' WHERE params ->> ''tier'' = ''new''',
        'ecomm-new-db: deployment 1: its configuration is not there or was changed' ||
        E'\necomm-new-db: revision 1: its configuration is not there or was changed'),
    ('... is gone', 'DELETE FROM promote.config WHERE params ->> ''tier'' = ''gold''',
        'ecomm-production-db: deployment 3: its configuration is not there or was changed' ||
        E'\necomm-production-db: revision 3: its configuration is not there or was changed'),
    ('a chain of which no head was kept',
        'UPDATE promote.audit_log SET event = ''x'' WHERE subject = ''ecomm-new-db'' AND '
        'seq = 1', 'ecomm-new-db: 1: the row was changed: its hash is not that of its columns'),
    ('where an instance is', 'UPDATE promote.instance SET revision = 2 WHERE name = ''ecomm-production-db''',
        'ecomm-production-db: 6: instance ecomm/production/db: the row is not what it records' ||
        E'\necomm-production-db: the instance does not say what its history says')) AS v (what, statement, found);
SELECT is((SELECT count(*) FROM promote.verify_audit(project => 'other', heads => (SELECT jsonb_agg(h
    || jsonb_build_object('hash', repeat('0', 64))) FROM kept, jsonb_array_elements(heads) AS h
        WHERE h ->> 'project' <> 'other'))),
    0::bigint, 'heads of other projects than the one that is asked for are not looked at');
SELECT is((SELECT string_agg(concat_ws(': ', v.seq, v.problem), E'\n') FROM promote.verify_audit('ecomm-production-db',
    heads => (SELECT jsonb_agg(h || '{"seq": 3}') FROM kept, jsonb_array_elements(heads) AS h)) AS v),
    '3: the kept head: the row has another hash: the chain was rewritten', 'a head of another place');

-- ---- rows by name ----
-- Each name that a chain knows finds the row that all rows have.
SELECT results_eq($$SELECT r.* FROM promote_internal.recorded_rows() AS n CROSS JOIN LATERAL
    promote_internal.recorded_row(n.project, n.subject, n.name) AS r ORDER BY 1, 2, 3$$,
    'SELECT * FROM promote_internal.recorded_rows() ORDER BY 1, 2, 3', 'every row is found by its name');
SELECT is_empty(format('SELECT * FROM promote_internal.recorded_row(''ecomm'', %L, %L)', subject, name),
    'none is found by ' || name) FROM (VALUES ('ecomm-production-db', 'revision ecomm/production/db/x'),
        ('ecomm-production-db', 'revision ecomm/production/db/99999999999999999999'),
        ('ecomm-production-db', 'revision ecomm/production/db'), ('ecomm-production-db', 'revision'),
        ('ecomm-production-db', 'nothing ecomm/production/db/1'), ('ecomm-production-db', 'audit_log ecomm/x/1'),
        ('ecomm-staging-db', 'revision ecomm/production/db/1'),
        ('revision ecomm/production/db/1', 'revision ecomm/production/db/1')) AS v (subject, name);

-- ---- pruning beyond a head ----
DO $$
BEGIN
    ALTER TABLE promote.audit_log ENABLE TRIGGER ALL;
    ALTER TABLE promote.environment ENABLE TRIGGER ALL;
END
$$;
SELECT count(*) FROM promote.prune_audit(clock_timestamp(), 'ecomm') \g /dev/null
SELECT is((SELECT string_agg(concat_ws(': ', v.seq, v.problem), E'\n') FROM promote.verify_audit(heads => (SELECT heads
    FROM kept), project => 'ecomm') AS v WHERE subject = 'environment ecomm/production'), NULL,
    'a head that a checkpoint stands for fits');
UPDATE promote.environment SET description = 'again' WHERE project = 'ecomm' AND environment = 'production';
UPDATE promote.environment SET description = 'and again' WHERE project = 'ecomm' AND environment = 'production';
SELECT count(*) FROM promote.prune_audit(clock_timestamp(), 'ecomm') \g /dev/null
SELECT is((SELECT string_agg(concat_ws(': ', v.seq, v.problem), E'\n') FROM promote.verify_audit(heads => (SELECT heads
    FROM kept), project => 'ecomm') AS v WHERE subject = 'environment ecomm/production'),
    '1: the kept head: it was pruned: the chain begins with a checkpoint in place 3, and only a head of there or later '
    'proves anything', 'one before the checkpoint does not');

-- ---- what is refused ----
SELECT pg_temp.refuses(format('SELECT promote.verify_audit(heads => %L)', heads), 'PM404', 'array of objects', heads)
    FROM unnest(ARRAY['{}', '7', 'null', '[7]', '[{}]', '[{"project": "a", "subject": "b", "seq": 1}]',
        '[{"project": 1, "subject": "b", "seq": 1, "hash": "' || repeat('0', 64) || '"}]',
        '[{"project": "a", "subject": "b", "seq": "x", "hash": "' || repeat('0', 64) || '"}]',
        '[{"project": "a", "subject": "b", "seq": 1, "hash": "' || repeat('0', 62) || '"}]',
        '[{"project": "a", "subject": "b", "seq": 1, "hash": "' || repeat('x', 64) || '"}]']) AS heads;

-- ---- for whom ----
CREATE ROLE promote_test_auditor;
SELECT promote.grant_action('promote_test_auditor', 'audit', 'ecomm') \g /dev/null
GRANT SELECT ON kept TO promote_test_auditor;
SELECT matches(pg_temp.as_role('promote_test_auditor',
    format('SELECT count(*) FROM promote.verify_audit(project => %L, '
    'heads => (SELECT heads FROM kept), from_subject => %L)', project, bound)), answer,
    'the auditor of a project, of ' || COALESCE(project, 'all') || COALESCE(' from ' || bound, ''))
  FROM (VALUES ('ecomm', NULL, '^[0-9]+$'), ('ecomm', 'a', '^[0-9]+$'), ('other', NULL, '^PM701'),
      (NULL, NULL, '^PM701'))
    AS v (project, bound, answer);

-- ---- the row of a project is gone ----
SET LOCAL session_replication_role = replica;
DELETE FROM promote.project WHERE project = 'ecomm';
SET LOCAL session_replication_role = origin;
SELECT matches((SELECT string_agg(concat_ws(' ', v.subject, v.problem), E'\n') FROM promote.verify_audit(
    heads => (SELECT heads FROM kept)) AS v), 'environment ecomm/staging the row is not what it records',
        'where a project''s row is gone, a verification from heads on goes on');
SELECT matches((SELECT string_agg(concat_ws(' ', v.subject, v.problem), E'\n') FROM promote.verify_audit(
    'ecomm-production-db') AS v), 'revision 3: its configuration is not there', '... and so does one of a subject');

SELECT * FROM finish();
ROLLBACK;
