-- Each invariant is broken, past the guards, and found; and nothing is found where all is well.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/everything.sql
-- a deployment that follows its plan, one that runs, and an item of a request that is done
SELECT promote.resume_line() \g /dev/null
SELECT promote.cancel_request('ecomm', 1, 'enough') \g /dev/null
SELECT promote.configure_instance('ecomm-prod-uswest-db', '{"tier": "mine"}') \g /dev/null
SELECT promote.claim_deployment('somebody', '{PLAN}') \g /dev/null
SET CONSTRAINTS ALL IMMEDIATE;

CREATE FUNCTION pg_temp.broken(of_project text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' | ', invariant, project, subject, detail), E'\n')
      FROM promote.check_invariants(of_project)
$$;
SELECT is(pg_temp.broken(), NULL, 'nothing is broken');

-- ---- past the guards ----
SET LOCAL client_min_messages = warning;
DO $$
DECLARE
    line text;
BEGIN
    FOR line IN
        SELECT format('ALTER TABLE %s DISABLE TRIGGER ALL', c.oid::regclass) FROM pg_class AS c
         WHERE c.relnamespace = 'promote'::regnamespace AND c.relkind = 'r'
        UNION ALL
        SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) FROM pg_constraint
         WHERE connamespace = 'promote'::regnamespace AND contype = 'c' AND conrelid <> 0
        UNION ALL
        SELECT format('DROP INDEX %s', i.indexrelid::regclass) FROM pg_index AS i
          JOIN pg_class AS c ON c.oid = i.indrelid
         WHERE c.relnamespace = 'promote'::regnamespace AND i.indisunique
           AND NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = i.indexrelid)
    LOOP
        EXECUTE line;
    END LOOP;
END
$$;
CREATE TEMP TABLE query ON COMMIT DROP AS SELECT q FROM promote_internal.invariant_queries() AS q;
-- What is found after statements, which are undone: all of it, or what the queries of a table find, or a
-- function.
CREATE FUNCTION pg_temp.after(statements text[], name text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    statement text;
    found text;
    touched bigint;
BEGIN
    FOREACH statement IN ARRAY statements LOOP
        EXECUTE statement;
        GET DIAGNOSTICS touched = ROW_COUNT;
        IF touched = 0 THEN
            RAISE SQLSTATE 'UNDO1' USING MESSAGE = 'there is no such row: ' || statement;
        END IF;
    END LOOP;
    IF name IS NULL THEN
        found := pg_temp.broken();
    ELSE
        EXECUTE (SELECT 'SELECT string_agg(concat_ws('' | '', invariant, project, subject, detail), E''\n'') FROM ('
                        || string_agg(q, ' UNION ALL ') || ') AS b (invariant, project, subject, detail)'
                   FROM query WHERE q ~ format(' FROM \w+\.%s( AS t |\()', name))
           INTO found USING NULL::text;
    END IF;
    RAISE SQLSTATE 'UNDO1' USING MESSAGE = COALESCE(found, 'nothing found');
EXCEPTION WHEN SQLSTATE 'UNDO1' THEN
    RETURN SQLERRM;
END
$$;

-- ---- references ----
-- Another value of a column's type.
CREATE FUNCTION pg_temp.another(relation oid, column_name text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE format_type(atttypid, NULL)
           WHEN 'integer' THEN '4711' WHEN 'bigint' THEN '4711' WHEN 'bytea' THEN 'sha256(''''::bytea)'
           WHEN 'promote.semantic_version' THEN '''9.9.9''' ELSE '''forged''' END
      FROM pg_attribute WHERE attrelid = relation AND attname = column_name
$$;
CREATE TEMP TABLE reference AS
    SELECT c.relname::text AS name, a.attname::text AS column_name, r.relname::text AS other,
           format('%s to %s', k.conname, r.relname) AS what
      FROM pg_constraint AS k
      JOIN pg_class AS c ON c.oid = k.conrelid
      JOIN pg_class AS r ON r.oid = k.confrelid
      JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.conkey[cardinality(k.conkey)]
     WHERE k.contype = 'f' AND k.connamespace = 'promote'::regnamespace
    UNION ALL
    SELECT v.name, v.column_name, v.other, v.name || '.' || v.column_name
      FROM (VALUES
          ('environment', 'forked_from', 'environment'),
          ('instance', 'deployed_revision', 'revision'), ('instance', 'deployed_by', 'deployment'),
          ('revision', 'source_revision', 'revision'), ('deployment', 'base_deployment', 'deployment'),
          ('deployment', 'plan', 'deployment'), ('idempotency_key', 'new_revision', 'revision'),
          ('idempotency_key', 'deployment', 'deployment'), ('secret', 'revision', 'revision'),
          ('promotion_request_item', 'previous_revision', 'revision'), ('promotion_request_item',
    'revision', 'revision'),
          ('promotion_request_item', 'plan', 'deployment'), ('promotion_request_item', 'deployment', 'deployment'),
          ('promotion_request_item', 'rollback_revision', 'revision'),
          ('promotion_request_item', 'rollback_plan', 'deployment'),
          ('promotion_request_item', 'rollback_deployment', 'deployment')) AS v (name, column_name, other);
SELECT cmp_ok((SELECT count(*) FROM reference), '>', 60::bigint, 'there are references');
SELECT matches(
    pg_temp.after(ARRAY[format('UPDATE promote.%1$I SET %2$I = %3$s WHERE ctid = (SELECT ctid FROM promote.%1$I '
        'WHERE %4$s ORDER BY %2$I IS NULL, ctid LIMIT 1)', name, column_name,
        pg_temp.another(format('promote.%I', name)::regclass, column_name),
        CASE WHEN name = 'revision' AND column_name LIKE 'source%' THEN 'source_environment IS NOT NULL'
             WHEN name IN ('approval_rule', 'freeze_window', 'change_window', 'policy', 'required_check',
    'override_rule')
                 THEN 'project IS NOT NULL' ELSE 'true' END)], name),
    format('reference \| [^|]* \| %s [^|]* \| there is no %s .*(forged|4711|9\.9\.9|e3b0c4)', name, other),
    'reference: ' || what)
  FROM reference ORDER BY what;
SELECT matches(pg_temp.after('{DELETE FROM promote.project WHERE project = ''other''}'),
    'reference \| other \| project_key other \| there is no project other', 'reference: a key without its project');

-- ---- numbers ----
SELECT matches(
    pg_temp.after(ARRAY[format('UPDATE promote.%1$I SET %2$I = %2$I + 1000 WHERE ctid = (SELECT ctid FROM '
          'promote.%1$I '
        'ORDER BY %2$I DESC LIMIT 1)', name, column_name)], name),
    format('numbers \| [^|]* \| %s[^|]* \| %1$s: \d+ are numbered up to 10\d\d', name), 'numbers: ' || name)
  FROM (VALUES ('deployment', 'deployment'), ('promotion_request', 'request'),
               ('promotion_request_preview', 'preview'), ('environment_generation', 'generation'),
               ('approval', 'vote'), ('gate_override', 'override'), ('health_report', 'report'),
               ('drift_item', 'item'), ('release_event', 'seq'), ('line_stop', 'stop'),
               ('planned_change', 'change')) AS v (name, column_name);

-- ---- what is archived ----
CREATE TEMP TABLE archived AS SELECT pg_temp.after(ARRAY[
    'UPDATE promote.environment SET archived_at = now() WHERE project = ''ecomm''',
    -- of some there is nothing that is about an environment
    'INSERT INTO promote.change_window (name, project, environment, during) '
    'VALUES (''w'', ''ecomm'', ''production'', ''[2020-01-01,2021-01-01)'')',
    'UPDATE promote.policy SET environment = ''production''',
    'INSERT INTO promote.grants (role, action, project, environment, scope) '
    'VALUES (''test_ann'', ''view'', ''ecomm'', ''production'', ''ecomm-production'')',
    'UPDATE promote.promotion_request SET finished_at = NULL']) AS found;
SELECT matches(found, format('archived \| ecomm \| %s [^|]* \| environment [a-z-]+ is archived', name),
    'archived: ' || name)
  FROM archived,
      unnest('{deployment,instance,promotion_request,promotion_path,approval_rule,override_rule,freeze_window,
      change_window,required_check,policy,grants,idempotency_key,remote_reference,secret}'::text[]) AS name;
SELECT is((SELECT count(*) FROM archived, regexp_matches(found, E'archived [^\n]* (promotion_\\w+) ',
    'g')), 4::bigint,
    '... paths and requests by both environments');
SELECT unalike(pg_temp.after('{UPDATE promote.environment SET archived_at = now() WHERE environment = ''staging''}'),
    '%environment production is%', 'archived: another environment is not');

-- ---- the others ----
SELECT matches(pg_temp.after(statements, 'broken_invariants'), found, what) FROM (VALUES
    ('numbers: a revision too many', 'numbers \| ecomm \| revision ecomm/staging/db/1001 \| the one before it is 0',
     ARRAY['UPDATE promote.revision SET revision = 1001 WHERE environment = ''staging'' AND component = ''db''']),
    ('numbers: between revisions', 'numbers \| ecomm \| revision ecomm/production/db/3 \| the one before it is 1',
     ARRAY['DELETE FROM promote.revision WHERE environment = ''production'' AND revision = 2']),
    ('queue: a later one is due',
     'queue \| ecomm \| deployment ecomm/production/db/3 \| it is due, and deployment 1 is before it',
     ARRAY['UPDATE promote.deployment SET status = ''PENDING'', queued_at = ''2020-01-01''::timestamptz + '
           'deployment * interval ''1 s'', '
           'due_at = CASE deployment WHEN 3 THEN now() END WHERE environment = ''production'' AND component '
                 '= ''db''']),
    ('queue: two run', 'queue .* \| it is due, and deployment \d+ is before it',
     ARRAY['UPDATE promote.deployment SET status = ''RUNNING'', due_at = now() WHERE environment = '
           '''production'' AND component = ''db''']),
    ('one_runs: it began too early',
     'one_runs \| ecomm \| deployment ecomm/production/db/\d+ \| it began before deployment \d+ had ended',
     ARRAY['UPDATE promote.deployment SET finished_at = ''2099-01-01'' WHERE started_at IS NOT NULL AND '
           'environment = ''production''']),
    ('one_runs: the other has no end', 'one_runs ',
     ARRAY['UPDATE promote.deployment SET finished_at = NULL WHERE started_at IS NOT NULL AND environment = '
           '''production''']),
    ('claim: all were lost',
     'claim \| ecomm \| deployment ecomm/production/db/\d+ \| it is COMPLETED, and all of its claims were lost',
     ARRAY['UPDATE promote.deployment SET lost_leases = fencing WHERE status = ''COMPLETED''']),
    ('claim: changes of another', 'claim \| .* \| changes were recorded by a claim that there never was',
     ARRAY['UPDATE promote.planned_change SET fencing = 9']),
    ('claim: a log of another', 'claim \| .* \| its log was written by a claim that there never was',
     ARRAY['UPDATE promote.deployment_log SET fencing = 9']),
    ('deployment: of another bundle', 'deployment \| .* \| its revision is of another bundle',
     ARRAY['UPDATE promote.revision SET bundle = ''redis'' WHERE environment = ''production''']),
    ('deployment: the plan has come to something else',
     'deployment \| .* \| deployment \d+ is not the plan that it follows',
     ARRAY['UPDATE promote.deployment SET plan_digest = sha256(''x'') WHERE action = ''PLAN'' AND '
           'plan_digest IS NOT NULL']),
    ('deployment: the plan is of another revision',
     'deployment \| .* \| deployment \d+ is not the plan that it follows',
     ARRAY['UPDATE promote.deployment SET revision = 1 WHERE action = ''PLAN''']),
    ('deployment: the plan has failed', 'deployment \| .* \| deployment \d+ is not the plan that it follows',
     ARRAY['UPDATE promote.deployment SET status = ''FAILED'' WHERE action = ''PLAN''']),
    ('deployment: it starts from something else',
     'deployment \| .* \| deployment \d+ has not the revision that it starts from',
     ARRAY['UPDATE promote.deployment SET base_revision = 4711 WHERE base_deployment IS NOT NULL']),
    ('request: no items', 'request \| ecomm \| promotion_request ecomm/1 \| it has no items',
     ARRAY['DELETE FROM promote.promotion_request_item']),
    ('request: over, and holds', 'request \| .* \| it is over, and holds instances',
     ARRAY['UPDATE promote.promotion_request_item SET holds = true']),
    ('request: open, and does not hold', 'request \| .* \| it is open, and does not hold all of its instances',
     ARRAY['UPDATE promote.promotion_request SET finished_at = NULL, status = ''RUNNING''']),
    ('request: done, and items are not', 'request \| .* \| it is COMPLETED, and items of it are open',
     ARRAY['UPDATE promote.promotion_request SET status = ''COMPLETED''']),
    ('request: another preview', 'request \| .* \| its last preview is another one',
     ARRAY['UPDATE promote.promotion_request SET preview_digest = sha256(''x'')']),
    ('item: a plan that is none',
     'item \| ecomm \| promotion_request_item ecomm/1/db \| deployment \d+ is not its PLAN',
     ARRAY['UPDATE promote.deployment SET action = ''DECOMMISSION'' WHERE environment = ''production''']),
    ('item: a plan of another revision', 'item \| .* \| deployment \d+ is not its PLAN',
     ARRAY['UPDATE promote.deployment SET revision = 1 WHERE environment = ''production''']),
    ('item: done, and not deployed', 'item \| .* \| deployment \d+ is not completed',
     ARRAY['UPDATE promote.promotion_request_item AS t SET status = ''DONE'', deployment = t.plan',
           'UPDATE promote.deployment SET status = ''FAILED'' WHERE environment = ''production''']),
    ('generation: one too many',
     'generation \| ecomm \| environment ecomm/over \| it is in its generation 3, and 1 are kept',
     ARRAY['UPDATE promote.environment SET generation = 3 WHERE environment = ''over''']),
    ('tag: a revision that is none',
     'tag \| ecomm \| environment_tag ecomm/production/1/now \| there is no revision ecomm/production/db/4711',
     ARRAY['UPDATE promote.environment_tag SET state = jsonb_set(state, ''{db,desired}'', ''4711'')']),
    ('tag: a deployment that is none', 'tag \| .* \| there is no deployment ecomm/production/db/4711',
     ARRAY['UPDATE promote.environment_tag SET state = jsonb_set(state, ''{db,deployment}'', ''4711'')']),
    ('circle: of components', 'circle \| ecomm \| component_dependency ecomm \| they come back: cache, db$',
     ARRAY['INSERT INTO promote.component_dependency (project, component, depends_on) VALUES (''ecomm'', '
           '''db'', ''cache''), (''ecomm'', ''cache'', ''bare'')']),
    ('circle: of environments', 'circle \| ecomm \| promotion_path ecomm \| they come back: production, staging$',
     ARRAY['INSERT INTO promote.promotion_path (project, source_environment, destination_environment) '
           'VALUES (''ecomm'', ''production'', ''staging'')']),
    ('circle: of one with itself', 'circle \| ecomm \| promotion_path ecomm \| they come back: prod-uswest$',
     ARRAY['INSERT INTO promote.promotion_path (project, source_environment, destination_environment) '
           'VALUES (''ecomm'', ''prod-uswest'', ''prod-uswest'')']),
    ('events: out of order', 'events \| ecomm \| ecomm-production-db \| row 2 is read before row 1',
     ARRAY['UPDATE promote.audit_log SET position = position + 1000000 WHERE subject = '
           '''ecomm-production-db'' AND seq = 1'])
    ) AS v (what, found, statements);

-- ---- of one project ----
CREATE TEMP TABLE each_project AS SELECT p, pg_temp.broken(p) AS found
  FROM unnest('{ecomm,other,*}'::text[]) AS p LIMIT 0;
UPDATE promote.line_stop SET stop = stop + 10;
UPDATE promote.instance SET deployment = 1, deployed_by = 4711 WHERE project = 'other';
UPDATE promote.revision SET revision = revision + 10 WHERE environment = 'staging';
INSERT INTO each_project SELECT p, pg_temp.broken(p) FROM unnest('{ecomm,other,*}'::text[]) AS p;
SELECT is((SELECT string_agg(p, ' ' ORDER BY p COLLATE "C") FROM each_project WHERE found ~ ('^[a-z_]+ \| '
    || replace(p, '*', '\*') || ' \|')), '* ecomm other', 'something is found of each');
SELECT is((SELECT string_agg(l, E'\n' ORDER BY l COLLATE "C") FROM each_project, string_to_table(found, E'\n') AS l),
    (SELECT string_agg(l, E'\n' ORDER BY l COLLATE "C") FROM string_to_table(pg_temp.broken(), E'\n') AS l),
    'what is found of all is what is found of each');
SELECT is(pg_temp.broken('nothing'), NULL, 'of a project that is not there nothing is found');
CREATE TABLE promote."own 'Table" ("Team" text PRIMARY KEY, "a 'b" text UNIQUE REFERENCES promote.project (project));
CREATE TABLE promote."Other" (of text PRIMARY KEY REFERENCES promote."own 'Table" ("a 'b"));
ALTER TABLE promote."Other" DISABLE TRIGGER ALL;
INSERT INTO promote."Other" VALUES ('x');
SELECT matches(pg_temp.broken(), E'reference \\| \\* \\| Other x \\| there is no own ''Table x',
    'tables of the owner''s own are looked at by whatever names');

SELECT * FROM finish();
ROLLBACK;
