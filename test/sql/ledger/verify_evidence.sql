-- Every column of every table is held against the log, or is named as one that proves nothing: each is forged, and of
-- each table a row is deleted and another one added, past the guards. verify_evidence_odd.sql does that of every second
-- table, and this file of the others, so that they run side by side.
\if :{?odd}
\else
    \set odd 0
\endif
BEGIN;
SELECT no_plan();
\ir ../../fixtures/everything.sql

-- what a prepared transaction would leave for listeners
ALTER TABLE promote.notice DISABLE TRIGGER guard_record;
INSERT INTO promote.notice VALUES ('3', 1, '');
ALTER TABLE promote.notice ENABLE ALWAYS TRIGGER guard_record;

-- What is wrong but for guards, which are taken away here; what verifying the project, or what is no project's, alone
-- says otherwise is wrong, too.
CREATE FUNCTION pg_temp.problems() RETURNS text LANGUAGE sql AS $$
    WITH everything AS MATERIALIZED (SELECT * FROM promote.verify_audit() WHERE subject !~ '^trigger '),
         project AS MATERIALIZED (SELECT v.* FROM unnest('{ecomm,*}'::text[]) AS p CROSS
             JOIN LATERAL promote.verify_audit(project => p) AS v WHERE v.subject !~ '^trigger '),
         differing AS (SELECT * FROM everything WHERE project IN ('ecomm', '*') EXCEPT SELECT * FROM project
                       UNION ALL (SELECT * FROM project EXCEPT SELECT * FROM everything))
    SELECT string_agg(concat_ws(': ', subject, seq, problem), E'\n')
      FROM (SELECT subject, seq, problem FROM everything UNION ALL SELECT subject, seq,
          'not the same by the project: ' || problem FROM differing) AS p
$$;
SELECT is(pg_temp.problems(), NULL, 'all of that is recorded');
CREATE TEMP VIEW own AS
    SELECT c.oid, c.relname::text AS name FROM pg_class c JOIN pg_depend d ON d.classid = 'pg_class'::regclass
        AND d.objid = c.oid AND d.deptype = 'e'
      JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND e.extname = 'promote'
          WHERE c.relkind IN ('r', 'p');
CREATE TEMP VIEW forged AS SELECT oid, name FROM (SELECT oid, name, row_number() OVER (ORDER BY name) AS place
    FROM own) AS t WHERE place % 2 = :odd;
CREATE FUNCTION pg_temp.has_rows(name text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    found boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM promote.%I)', name) INTO found;
    RETURN found;
END
$$;
SELECT ok(pg_temp.has_rows(name), 'there is something to forge in ' || name) FROM own ORDER BY name;
SELECT is_empty($$SELECT u.table_name, u.column_name FROM promote.unaudited_columns() AS u
    LEFT JOIN own ON own.name = u.table_name
                    LEFT JOIN pg_attribute AS a ON a.attrelid = own.oid AND a.attname = u.column_name
                        AND NOT a.attisdropped WHERE a.attname IS NULL$$,
    'what is said to prove nothing is there');

\if :odd
\else
-- ---- a trigger of the owner's own, which calls a verb on the way and takes it back ----
-- Here, where a subtransaction of it is one of the transaction's own: further in all marks are kept for longer.
SET CONSTRAINTS ALL IMMEDIATE;
CREATE FUNCTION pg_temp.changes_its_mind() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() < 4 THEN
        PERFORM promote.configure_instance('ecomm-production-db', '{"tier": "taken back"}');
        RAISE 'on second thoughts';
    END IF;
    RETURN NULL;
EXCEPTION WHEN raise_exception THEN
    RETURN NULL;
END
$$;
CREATE TRIGGER then_changes_its_mind AFTER UPDATE ON promote.instance FOR EACH ROW EXECUTE FUNCTION
    pg_temp.changes_its_mind();
CREATE TRIGGER then_changes_its_mind AFTER INSERT ON promote.idempotency_key FOR EACH ROW EXECUTE FUNCTION
    pg_temp.changes_its_mind();
SELECT ok(changed, 'a verb with such a trigger')
    FROM promote.configure_instance('ecomm-production-db', '{"tier": "kept"}');
SELECT ok(changed, '... and another one') FROM promote.promote_instance('ecomm-staging-db', 'ecomm-production-db',
    '{"tier": "promoted"}', idempotency_key => 'second thoughts', allow_replace => true);
SELECT is(pg_temp.problems(), NULL, 'the verbs'' own events still tell of what they have written');
SET CONSTRAINTS ALL IMMEDIATE;
DROP TRIGGER then_changes_its_mind ON promote.instance;
DROP TRIGGER then_changes_its_mind ON promote.idempotency_key;

SAVEPOINT owners;
-- ---- logs that several workers write by turns ----
CREATE TEMP TABLE claimed AS SELECT c.instance, c.deployment, c.fencing FROM generate_series(1, 3) AS n
    CROSS JOIN LATERAL promote.claim_deployment('test ' || n, '{PLAN}') AS c;
SELECT cmp_ok((SELECT count(*) FROM claimed), '>', 1::bigint, 'several have something to do');
SELECT promote.append_deployment_log(c.instance, c.deployment, n || ' of ' || c.instance, c.fencing)
    FROM (SELECT * FROM generate_series(1, 3) AS n, claimed ORDER BY n, instance OFFSET 0) AS c \g /dev/null
SELECT promote.complete_deployment(instance, deployment, fencing) FROM claimed \g /dev/null
SELECT is(pg_temp.problems(), NULL, 'each log is whole by itself');
ROLLBACK TO owners;

-- ---- a column of the owner's own ----
SET CONSTRAINTS ALL IMMEDIATE;
CREATE FUNCTION pg_temp.each_table(command text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    table_name text;
BEGIN
    FOR table_name IN SELECT name FROM own LOOP
        EXECUTE format(command, table_name);
    END LOOP;
END
$$;
SELECT pg_temp.each_table('ALTER TABLE promote.%I ADD COLUMN owners_own text DEFAULT ''mine''') \g /dev/null
SELECT is(pg_temp.problems(), NULL, 'a column that the owner has added is not looked at');
SELECT is_empty(format('SELECT * FROM promote.verify_audit(%L)', s), '... of one subject: ' || left(s, 60))
    FROM (SELECT DISTINCT subject AS s FROM promote.audit_log) AS a;
SELECT promote.resume_line(), promote.configure_instance('ecomm-production-db', '{"tier": "owners"}'),
    promote.report_health('ecomm-production-db', 'smoke', true) \g /dev/null
UPDATE promote.environment SET description = 'owners', owners_own = 'yours' WHERE environment = 'production';
SELECT pg_temp.work('ecomm-production-db') \g /dev/null
SELECT is(pg_temp.problems(), NULL, 'nor is it recorded');
SELECT is((SELECT count(*) FROM promote.audit_log WHERE data::text ~ 'owners_own'), 0::bigint, '... anywhere');
SET CONSTRAINTS ALL IMMEDIATE;
SELECT pg_temp.each_table('ALTER TABLE promote.%I DROP COLUMN owners_own') \g /dev/null
SELECT is(pg_temp.problems(), NULL, 'and it can go');
SELECT promote.plan_instance('ecomm-production-db') \g /dev/null
SELECT is(pg_temp.problems(), NULL, '... and leaves nothing');
ROLLBACK TO owners;
SET CONSTRAINTS ALL IMMEDIATE;
ALTER TABLE promote.bundle ADD COLUMN project text DEFAULT 'ecomm', ADD COLUMN builtin boolean;
SELECT is(pg_temp.problems(), NULL, 'also where its name is one that says something in other tables');
UPDATE promote.bundle SET project = 'other', builtin = true, description = 'owners';
INSERT INTO promote.bundle (bundle, project, builtin) VALUES ('owners', 'ecomm', true);
SELECT is(pg_temp.problems(), NULL, '... and changes');
ROLLBACK TO owners;

-- ---- settings of who verifies ----
SET LOCAL quote_all_identifiers = on;
SELECT is_empty($$SELECT * FROM promote.verify_audit() WHERE problem ~ 'replaced'$$,
    'guards are what they are, however the session would write them');
SELECT is_empty('SELECT * FROM promote.restore_guards()', '... and none is made anew');
ROLLBACK TO owners;

\endif

-- ---- forging ----
SET LOCAL client_min_messages = warning;
SET CONSTRAINTS ALL IMMEDIATE;
DO $$
DECLARE
    line text;
BEGIN
    FOR line IN
        SELECT format('ALTER TABLE promote.%I DISABLE TRIGGER ALL', name) FROM own
        UNION ALL
        SELECT format('ALTER TABLE promote.%I DROP CONSTRAINT IF EXISTS %I CASCADE', own.name, k.conname) FROM own
            JOIN pg_constraint k ON k.conrelid = own.oid WHERE k.contype IN ('c', 'f', 'u', 'x')
        UNION ALL
        SELECT format('ALTER TABLE promote.%I ALTER COLUMN %I DROP EXPRESSION', own.name, a.attname) FROM own
            JOIN pg_attribute a ON a.attrelid = own.oid WHERE a.attgenerated <> ''
        UNION ALL
        SELECT format('DROP INDEX %s', i.indexrelid::regclass) FROM own JOIN pg_index i ON i.indrelid = own.oid
         WHERE i.indisunique AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid)
    LOOP
        EXECUTE line;
    END LOOP;
END
$$;
-- Another value of a column's type, as an expression of its value.
CREATE FUNCTION pg_temp.another(type oid, column_name text) RETURNS text LANGUAGE sql AS $$
    SELECT format(CASE format_type($1, NULL)
        WHEN 'promote.semantic_version' THEN '''9.9.9'''
        WHEN 'promote.version_constraint' THEN '''9.9.9'''
        WHEN 'promote.release_channel' THEN 'CASE %1$s WHEN ''stable'' THEN ''development'' ELSE ''stable'' END'
        WHEN 'text' THEN 'COALESCE(%1$s, '''') || ''x'''
        WHEN 'integer' THEN 'COALESCE(%1$s, 0) + 1000'
        WHEN 'bigint' THEN 'COALESCE(%1$s, 0) + 1000'
        WHEN 'boolean' THEN '%1$s IS NOT TRUE'
        WHEN 'timestamp with time zone' THEN 'COALESCE(%1$s, now()) + interval ''1 us'''
        WHEN 'timestamp without time zone' THEN 'COALESCE(%1$s, now()) + interval ''1 us'''
        WHEN 'interval' THEN 'COALESCE(%1$s, ''0'') + interval ''1 us'''
        WHEN 'tstzrange' THEN '''[2001-01-01,2001-01-02)'''
        WHEN 'jsonb' THEN 'COALESCE(NULLIF(%1$s, ''{"forged": 1}''), ''{}'') || ''{"forged": 1}'''
        WHEN 'bytea' THEN 'sha256(COALESCE(%1$s, ''''))'
        WHEN 'xid8' THEN '''7'''
        WHEN 'text[]' THEN 'COALESCE(%1$s, ''{}'') || ''{forged}'''
        WHEN 'timestamp without time zone[]' THEN 'COALESCE(%1$s, ''{}'') || ''{2001-01-01}'''
        ELSE '''forged''' END, quote_ident($2))
$$;
-- What is found after a statement.
CREATE FUNCTION pg_temp.after(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found text;
    touched bigint;
BEGIN
    EXECUTE statement;
    GET DIAGNOSTICS touched = ROW_COUNT;
    found := CASE touched WHEN 1 THEN COALESCE(pg_temp.problems(), 'nothing found') ELSE touched || ' rows' END;
    RAISE SQLSTATE 'UNDO1' USING MESSAGE = found;
EXCEPTION WHEN SQLSTATE 'UNDO1' THEN
    RETURN SQLERRM;
END
$$;
-- The row that is forged: one with a value there, if there is one; of those of the log one that tells of rows.
CREATE FUNCTION pg_temp.row_of(name text, column_name text) RETURNS text LANGUAGE sql AS $$
    SELECT format('ctid = (SELECT ctid FROM promote.%I ORDER BY %s%I IS NULL, ctid LIMIT 1)', name,
                  CASE name WHEN 'config' THEN 'digest NOT IN (SELECT digest FROM promote.revision), '
                      WHEN 'audit_log' THEN 'rows IS NULL, ' ELSE '' END, column_name)
$$;
SELECT is(pg_temp.problems(), NULL, 'nothing is forged yet');
CREATE TEMP TABLE forgery ON COMMIT DROP AS
SELECT own.name, a.attname::text AS column_name, u.reason,
       pg_temp.after(format('UPDATE promote.%I SET %I = %s WHERE %s', own.name, a.attname,
           pg_temp.another(a.atttypid, a.attname), pg_temp.row_of(own.name, a.attname))) AS found
  FROM forged AS own JOIN pg_attribute AS a ON a.attrelid = own.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN promote.unaudited_columns() AS u ON u.table_name = own.name AND u.column_name = a.attname;
SELECT ok(CASE WHEN reason IS NULL THEN found ~ ':' ELSE found = 'nothing found' END,
    name || '.' || column_name || COALESCE(' proves nothing: ' || reason, ' is held') || CASE WHEN found ~ ':' THEN ''
    ELSE ' (' || found || ')' END)
  FROM forgery ORDER BY name, column_name;
-- What of a table's rows has to be found: something, unless none of its columns proves anything.
CREATE FUNCTION pg_temp.to_be_found(name text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN bool_and(reason IS NOT NULL) THEN '^nothing found$' ELSE ':' END FROM forgery
        WHERE forgery.name = $1
$$;
SELECT matches(pg_temp.after(format('DELETE FROM promote.%I WHERE %s', name, pg_temp.row_of(name, 'tableoid'))),
    pg_temp.to_be_found(name), 'a row of ' || name || ' that is gone') FROM forged ORDER BY name;
-- A row that nothing tells of: the last column of the key is another one.  A configuration is nothing until a revision
-- names it, nor is a key without a project.
SELECT matches(pg_temp.after(format('INSERT INTO promote.%1$I SELECT (jsonb_populate_record(t, '
    'jsonb_build_object(%2$L, %3$s))).* FROM promote.%1$I AS t WHERE t.%4$s',
                   own.name, a.attname, pg_temp.another(a.atttypid, a.attname), pg_temp.row_of(own.name, a.attname))),
                       CASE WHEN own.name IN ('config', 'project_key') THEN '^nothing found$'
                           ELSE pg_temp.to_be_found(own.name) END,
                       'a row of ' || own.name || ' that is added')
  FROM forged AS own JOIN pg_index AS i ON i.indrelid = own.oid AND i.indisprimary
      JOIN pg_attribute AS a ON a.attrelid = own.oid
      AND a.attnum = i.indkey[i.indnatts - 1] ORDER BY own.name;
\if :odd
\else
-- what comes with promote, and what a log had when its deployment ended
SELECT matches(pg_temp.after(s), ':', s) FROM unnest(ARRAY[
    'UPDATE promote.stateful_type SET description = ''x'' WHERE builtin AND pattern = ''aws_db_instance''',
        'DELETE FROM promote.stateful_type WHERE builtin AND pattern = ''aws_db_instance''',
    'INSERT INTO promote.stateful_type (pattern, builtin, like_pattern) VALUES (''nothing'', true, ''nothing'')',
    'DELETE FROM promote.deployment_log WHERE message = ''one''',
        'DELETE FROM promote.planned_change WHERE address = ''b''',
    'UPDATE promote.project SET pruned = 1 WHERE project = ''ecomm''',
    -- what was observed, and may be adopted, though no revision and no deployment has it
    'DELETE FROM promote.config WHERE digest = (SELECT document FROM promote.observation)',
        'UPDATE promote.config SET params = ''{"tier": "forged"}'' WHERE digest = (SELECT document FROM '
        'promote.observation)']) AS s;
SELECT matches(pg_temp.after('UPDATE promote.config SET params = ''{"size": "small"}'' WHERE digest = (SELECT digest '
    'FROM promote.revision WHERE environment = ''prod-uswest'')'),
    'ecomm-prod-uswest-db: revision 1: its configuration is not there or was changed', 'of a revision by itself');

\endif
SELECT * FROM finish();
ROLLBACK;
