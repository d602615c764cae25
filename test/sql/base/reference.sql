-- Foreign keys that lock nothing: what is refused, in whose words, and which tables have them.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
SET LOCAL client_min_messages = error;
CREATE FUNCTION pg_temp.said(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
    name text;
BEGIN
    EXECUTE statement;
    RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, name = CONSTRAINT_NAME;
    RETURN concat_ws(' | ', SQLSTATE, SQLERRM, detail, name);
END
$$;

-- ---- which ----
SELECT set_eq(
    $$SELECT format('%s: inserts %s, updates %s, %s', k.conname,
                    max(t.tgenabled::text) FILTER (WHERE t.tgfoid = 'pg_catalog."RI_FKey_check_ins"'::regproc),
                    max(t.tgenabled::text) FILTER (WHERE t.tgfoid = 'pg_catalog."RI_FKey_check_upd"'::regproc),
                    (SELECT string_agg(h.tgname, ', ') FROM pg_trigger h WHERE h.tgrelid = k.confrelid
                        AND h.tgname = 'hold_key'))
        FROM pg_constraint k JOIN pg_trigger t ON t.tgconstraint = k.oid
       WHERE k.contype = 'f' AND k.conrelid IN (SELECT tgrelid FROM pg_trigger WHERE tgname = 'check_references')
       GROUP BY k.oid, k.conname, k.confrelid$$,
    $$SELECT format('%s: inserts D, updates O, %s', name, hold)
        FROM (VALUES ('config_project_fkey', 'hold_key'), ('deployment_release_fkey', 'hold_key'),
                     ('deployment_rendered_fkey', NULL), ('deployment_revision_fkey', NULL),
                     ('observation_document_fkey', NULL), ('observation_instance_fkey', 'hold_key'),
                     ('revision_config_fkey', NULL), ('revision_instance_fkey', 'hold_key'),
                     ('revision_release_fkey', 'hold_key'), ('revision_source_fkey', 'hold_key')) AS k (name, hold)$$,
    'busy tables have a trigger in place of PostgreSQL''s check of new rows, and nothing else is off');
SELECT set_eq(
    $$SELECT k.confrelid::regclass::text FROM pg_constraint k
       WHERE k.contype = 'f' AND k.conrelid IN (SELECT tgrelid FROM pg_trigger WHERE tgname = 'check_references')
         AND NOT EXISTS (SELECT FROM pg_trigger h WHERE h.tgrelid = k.confrelid AND h.tgname = 'hold_key')$$,
    $$SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'refuse_rewrite' AND tgenabled = 'A'
         AND tgtype & 24 = 24 AND tgrelid IN ('promote.config'::regclass, 'promote.revision'::regclass)$$,
    'a key is not held where rows are never deleted nor changed, whoever asks');
SELECT is_empty(
    $$SELECT FROM pg_trigger h
       WHERE h.tgname = 'hold_key'
         AND ARRAY(SELECT a.attname::text FROM unnest(h.tgattr::smallint[]) WITH ORDINALITY AS u (n, place)
                     JOIN pg_attribute a ON a.attrelid = h.tgrelid AND a.attnum = u.n ORDER BY place)
             <> ARRAY(SELECT a.attname::text FROM pg_index i, unnest(i.indkey::smallint[]) WITH ORDINALITY AS u (n,
                 place), pg_attribute a
                       WHERE i.indrelid = h.tgrelid AND i.indisprimary AND a.attrelid = h.tgrelid AND a.attnum = u.n
                           ORDER BY place)$$,
    'keys are held by the columns of the primary key, in its order, by which foreign keys refer');

-- ---- what is refused ----
SELECT is(pg_temp.said($$INSERT INTO promote.revision (project, environment, component, digest, version_constraint)
    VALUES ('ecomm', 'staging', 'db', '\xc0ffee', '1.0.0')$$),
    '23503 | insert or update on table "revision" violates foreign key constraint "revision_config_fkey"'
        ' | Key (project, digest)=(ecomm, \xc0ffee) is not present in table "config". | revision_config_fkey',
    'a row that refers to nothing, in PostgreSQL''s words');
-- as a dump has them: nothing else looks at such rows
SET LOCAL row_security = off;
INSERT INTO promote.environment (project, environment) VALUES ('ecomm', 'restored');
INSERT INTO promote.instance (project, environment, component, revision, deployment, version_constraint,
    release_channel)
VALUES ('ecomm', 'restored', 'db', 9, 9, '1.0.0', 'stable');
INSERT INTO promote.config (project, params) VALUES ('ecomm', '{"restored": true}');
CREATE FUNCTION pg_temp.restored(bundle text, version text, source text, revisions integer) RETURNS text
    LANGUAGE sql AS $$
    SELECT pg_temp.said(format($statement$
        INSERT INTO promote.revision (project, environment, component, revision, digest, version_constraint, bundle,
            version, origin,
                                      source_environment, source_revision)
        SELECT 'ecomm', 'restored', 'db', n, promote.config_digest('ecomm', '{"restored": true}'), '1.0.0', %1$L, %2$L,
               CASE WHEN %3$L IS NULL THEN 'edit' ELSE 'promotion' END, %3$L::text, CASE WHEN %3$L IS NOT NULL THEN 1
                   END
          FROM generate_series(1, %4$s) AS n$statement$, bundle, version, source, revisions))
$$;
SELECT is(pg_temp.restored('postgres', '7.0.0', NULL, 3),
    '23503 | insert or update on table "revision" violates foreign key constraint "revision_release_fkey"'
        ' | Key (bundle, version)=(postgres, 7.0.0) is not present in table "bundle_release". | revision_release_fkey',
    'a release that is not there');
SELECT is(pg_temp.restored('postgres', '1.0.0', 'nowhere', 3),
    '23503 | insert or update on table "revision" violates foreign key constraint "revision_source_fkey"'
        ' | Key (project, source_environment, component)=(ecomm, nowhere, db) is not present in table "instance". | '
            'revision_source_fkey',
    'a source that is not there');
SELECT is(pg_temp.restored('postgres', '1.0.0', NULL, 3), 'accepted',
    'where a column is null there is nothing to refer to');
SELECT is(pg_temp.said($$INSERT INTO promote.deployment (project, environment, component, deployment, action, status,
    revision, bundle, version,
                                                          rendered_digest, diff, finished_at)
    SELECT 'ecomm', 'restored', 'db', n, 'PLAN', 'ABORTED', n, 'postgres', '1.0.0',
        promote.config_digest('ecomm', '{"restored": true}'), '[]', now()
      FROM generate_series(1, 4) AS n$$),
    '23503 | insert or update on table "deployment" violates foreign key constraint "deployment_revision_fkey"'
        ' | Key (project, environment, component, revision)=(ecomm, restored, db, 4) is not present in table '
            '"revision".'
        ' | deployment_revision_fkey',
    'one of many: each row is looked at that refers to something else than the one before');
SET LOCAL row_security = on;

-- ---- what is not ----
INSERT INTO promote.project (project) VALUES ('fresh');
SELECT is(pg_temp.said($$INSERT INTO promote.config (project, params) VALUES ('fresh', '{}'), ('fresh', '{"a": 1}')$$),
    'accepted',
    'rows that refer to what this transaction has made');
SELECT is(pg_temp.said($$
    WITH made AS (INSERT INTO promote.config (project, params) VALUES ('ecomm', '{"same": "statement"}')
        RETURNING project, digest)
    INSERT INTO promote.revision (project, environment, component, digest, version_constraint)
    SELECT project, 'staging', 'db', digest, '1.0.0' FROM made$$) !~ '^23503', true,
        '... and to what the same statement has');
SELECT is(pg_temp.said($$DELETE FROM promote.project WHERE project = 'fresh'$$),
    '23503 | update or delete on table "project" violates foreign key constraint "config_project_fkey" on table '
        '"config"'
        ' | Key (project)=(fresh) is still referenced from table "config". | config_project_fkey',
    'what is referred to stays, by PostgreSQL''s own check');

-- ---- keys that the owner adds are PostgreSQL's ----
CREATE TABLE public.ticket (ticket integer PRIMARY KEY) PARTITION BY RANGE (ticket);
CREATE TABLE public.tickets PARTITION OF public.ticket DEFAULT;
ALTER TABLE promote.config ADD COLUMN ticket integer DEFAULT 7, ADD COLUMN later integer DEFAULT 8,
    ADD CONSTRAINT config_ticket_fkey FOREIGN KEY (ticket) REFERENCES public.ticket NOT VALID,
    ADD CONSTRAINT config_later_fkey FOREIGN KEY (later) REFERENCES public.ticket
        DEFERRABLE INITIALLY DEFERRED NOT VALID;
SELECT is(pg_temp.said($$INSERT INTO promote.config (project, params) VALUES ('ecomm', '{"ticket": 1}')$$)
    ~ '^23503.*config_ticket_fkey', true, 'a key to a partitioned table is checked by PostgreSQL');
SELECT is_empty('SELECT FROM promote_internal.guard_problems()', '... which is as it should be');
INSERT INTO public.ticket VALUES (7);
SELECT is(pg_temp.said($$INSERT INTO promote.config (project, params) VALUES ('ecomm', '{"ticket": 1}')$$), 'accepted',
    '... and where that is deferred, at the end');
SELECT is(pg_temp.said($$SET CONSTRAINTS ALL IMMEDIATE$$) ~ '^23503.*config_later_fkey', true, '... but then it is');
INSERT INTO public.ticket VALUES (8);
SELECT is(pg_temp.said($$SET CONSTRAINTS ALL IMMEDIATE$$), 'accepted', '... and is satisfied by what came in between');

-- ---- where they may hang ----
SELECT is(pg_temp.said($$SELECT promote_internal.check_references()$$) ~ '^0A000|^39P01', true,
    'the check is a trigger''s');
SELECT is(pg_temp.said($$CREATE TEMP TABLE other (project text);
    CREATE TRIGGER hold_key BEFORE DELETE ON other FOR EACH ROW EXECUTE FUNCTION promote_internal.hold_key('project');
    INSERT INTO other VALUES ('x'); DELETE FROM other$$),
    '39P01 | function "hold_key" is not made for this trigger |  | ', 'of promote''s tables alone');
SELECT is(pg_temp.said($$CREATE TRIGGER odd BEFORE DELETE ON promote.project FOR EACH ROW EXECUTE FUNCTION
    promote_internal.hold_key('nothing');
    DELETE FROM promote.project WHERE project = 'fresh'$$),
    'XX000 | "project" has no column "nothing" |  | ', '... with columns of theirs');
SELECT * FROM finish();
ROLLBACK;
