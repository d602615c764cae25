-- The recorders: triggers that write into the audit log what is done to rows. This part comes after all tables; one
-- line below records a table.

CREATE FUNCTION promote_internal.record_change() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_record_change';
REVOKE ALL ON FUNCTION promote_internal.record_change() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.record_change() IS
'Appends to the audit log what is done to a row: the columns that the trigger''s arguments name, before and after, with digests in place of documents';

CREATE FUNCTION promote_internal.record_deletion() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_record_deletion';
REVOKE ALL ON FUNCTION promote_internal.record_deletion() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.record_deletion() IS
'Appends to the audit log how many rows of a project were thrown away';

CREATE FUNCTION promote_internal.guard_kept() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_guard_kept';
REVOKE ALL ON FUNCTION promote_internal.guard_kept() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.guard_kept() IS
'Refuses, PM303, that the columns which the trigger''s arguments name are set by hand; without arguments, that rows are changed or deleted';

CREATE FUNCTION promote_internal.record_row() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_record_row';
REVOKE ALL ON FUNCTION promote_internal.record_row() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.record_row() IS
'Keeps the digest of a row that a verb has written, for the verb''s event; its arguments are the kind of the chain, and the columns that are in the digest';

-- Columns that prove nothing. Every other column of every table is held against the log.
CREATE FUNCTION promote.unaudited_columns() RETURNS TABLE (table_name text, column_name text, reason text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 20
    BEGIN ATOMIC
        VALUES
        ('audit_log', 'position', 'In which order consumers read; what happened to a subject in which order say the chains'),
        ('audit_log', 'settled_by', 'As position'),
        ('config', 'created_at', 'When a document was stored first says nothing of who desired it, or when: its revisions do'),
        ('consumer', 'position', 'How far a consumer has come: it moves all the time, and proves nothing'),
        ('consumer', 'acknowledged_at', 'As position'),
        ('deployment', 'due_at', 'Heartbeats and the queue move it all the time; what may be claimed is judged when it is claimed'),
        ('notice', 'change', 'What listeners are told is gone when they were told it; what happened say the chains'),
        ('notice', 'number', 'As change'),
        ('notice', 'payloads', 'As change'),
        ('observation', 'source', 'Every report moves it, also one that says what the report before did, which has no event'),
        ('observation', 'reported_at', 'As source'),
        ('observation', 'document_at', 'As source'),
        ('promotion_request', 'waits_for', 'What the last call of advance_request waited for; the next one finds out anew'),
        ('rule_change', 'change', 'What is written here is of use to transactions that are under way, and goes with them; that rules were changed say the chains of the rules'),
        ('rule_change', 'number', 'As change'),
        ('rule_change', 'source', 'As change'),
        ('rule_change', 'project', 'As change'),
        ('rule_change', 'environment', 'As change'),
        ('rule_change', 'bundle', 'As change'),
        ('rule_change', 'version', 'As change'),
        ('secret', 'ciphertext', 'It opens in its row only, and to what has the fingerprint, which is held; rotation replaces it'),
        ('secret', 'key_id', 'It is read from the ciphertext');
    END;
COMMENT ON FUNCTION promote.unaudited_columns() IS
'The columns that promote.verify_audit does not hold against the log, each with the reason; a test forges every column, and all others are found';

-- A line for each table: its name, then columns; those with a minus are not recorded. The triggers have all columns
-- by name, so that a column that the owner adds is not looked at.
DO $$
DECLARE
    line text;
    word text[];
    own text[];
BEGIN
    -- rows that people write; the columns that are left out are kept by verbs, which record them otherwise
    FOREACH line IN ARRAY ARRAY[
        'project -request -pruned',
        'environment',
        'parameter_set',
        'environment_generation',
        'bundle',
        'bundle_release',
        'component',
        'instance -status -revision -deployment -version_constraint -release_channel -deployed_revision -deployed_by -changed_by -removed_secrets -opened_revision',
        'promotion_path',
        'environment_tag',
        'component_dependency',
        'approval_rule',
        'override_rule',
        'freeze_window',
        'change_window',
        'required_check',
        'policy',
        'stateful_type',
        'schema_document',
        'remote_reference',
        'consumer -position -acknowledged_at',
        'grants'
    ] LOOP
        word := pg_catalog.string_to_array(line, ' ');
        SELECT pg_catalog.array_agg(a.attname ORDER BY a.attnum) INTO own
          FROM pg_catalog.pg_attribute AS a
         WHERE a.attrelid = pg_catalog.format('promote.%I', word[1])::pg_catalog.regclass AND a.attnum > 0 AND NOT a.attisdropped
           AND '-' || a.attname <> ALL (word);
        EXECUTE pg_catalog.format('CREATE TRIGGER record_change AFTER INSERT OR UPDATE OR DELETE ON promote.%I
                            FOR EACH ROW EXECUTE FUNCTION promote_internal.record_change(%s)',
                       word[1], pg_catalog.array_to_string(ARRAY(SELECT pg_catalog.quote_literal(w) FROM pg_catalog.unnest(own) AS w), ', '));
        EXECUTE pg_catalog.format('ALTER TABLE promote.%I ENABLE ALWAYS TRIGGER record_change', word[1]);
    END LOOP;
    -- rows that verbs write, with the kind of the chain that tells of them, and when the trigger marks them: the
    -- recorders of revisions, steps, plans and logs mark these themselves, as what inserts deployments does, and for
    -- rows that are never updated, or never deleted, the trigger only says the columns
    FOREACH line IN ARRAY ARRAY[
        'instance instance UPDATE status revision deployment version_constraint release_channel deployed_revision deployed_by changed_by removed_secrets opened_revision',
        'revision instance UPDATE',
        'deployment instance DELETE',
        'deployment_log instance UPDATE',
        'planned_change instance UPDATE',
        'approval instance INSERT',
        'gate_override instance INSERT',
        'override_review instance INSERT',
        'health_report instance INSERT',
        'observation instance INSERT,UPDATE',
        'drift_item instance INSERT,UPDATE',
        'secret instance INSERT,UPDATE,DELETE',
        'idempotency_key instance INSERT',
        'promotion_request request INSERT,UPDATE',
        'promotion_request_item request INSERT,UPDATE',
        'promotion_request_preview request INSERT,UPDATE',
        'release_event release INSERT',
        'line_stop line INSERT,UPDATE'
    ] LOOP
        word := pg_catalog.string_to_array(line, ' ');
        SELECT pg_catalog.array_agg(a.attname ORDER BY a.attnum) INTO own
          FROM pg_catalog.pg_attribute AS a
         WHERE a.attrelid = pg_catalog.format('promote.%I', word[1])::pg_catalog.regclass AND a.attnum > 0 AND NOT a.attisdropped
           AND (pg_catalog.cardinality(word) = 3 OR a.attname = ANY (word[4:]))
           AND NOT EXISTS (SELECT FROM promote.unaudited_columns() AS u WHERE u.table_name = word[1] AND u.column_name = a.attname);
        EXECUTE pg_catalog.format('CREATE TRIGGER record_row AFTER %s ON promote.%I
                            FOR EACH ROW EXECUTE FUNCTION promote_internal.record_row(%L, %s)',
                       pg_catalog.replace(word[3], ',', ' OR '), word[1], word[2],
                       pg_catalog.array_to_string(ARRAY(SELECT pg_catalog.quote_literal(w) FROM pg_catalog.unnest(own) AS w), ', '));
        EXECUTE pg_catalog.format('ALTER TABLE promote.%I ENABLE ALWAYS TRIGGER record_row', word[1]);
    END LOOP;
    -- what verbs keep, by columns or as a whole
    FOREACH line IN ARRAY ARRAY[
        'project request pruned',
        -- a key that is forged is found by the configurations: none of them is what its digest says any more
        'project_key',
        'environment forked_from generation opened_at archived_at',
        'observation',
        'drift_item',
        'notice',
        'rule_change'
    ] LOOP
        word := pg_catalog.string_to_array(line, ' ');
        EXECUTE pg_catalog.format('CREATE TRIGGER guard_kept BEFORE INSERT OR UPDATE OR DELETE ON promote.%I
                            FOR EACH ROW EXECUTE FUNCTION promote_internal.guard_kept(%s)',
                       word[1], pg_catalog.array_to_string(ARRAY(SELECT pg_catalog.quote_literal(w) FROM pg_catalog.unnest(word[2:]) AS w), ', '));
        EXECUTE pg_catalog.format('ALTER TABLE promote.%I ENABLE ALWAYS TRIGGER guard_kept', word[1]);
    END LOOP;
    -- rows that may be thrown away, and are never changed
    FOREACH line IN ARRAY ARRAY['idempotency_key', 'deployment_log'] LOOP
        EXECUTE pg_catalog.format('CREATE TRIGGER refuse_rewrite BEFORE UPDATE ON promote.%I
                            FOR EACH ROW EXECUTE FUNCTION promote_internal.refuse_rewrite()', line);
        EXECUTE pg_catalog.format('CREATE TRIGGER record_deletion AFTER DELETE ON promote.%I
                            REFERENCING OLD TABLE AS old_row
                            FOR EACH STATEMENT EXECUTE FUNCTION promote_internal.record_deletion()', line);
        EXECUTE pg_catalog.format('ALTER TABLE promote.%I ENABLE ALWAYS TRIGGER refuse_rewrite', line);
        EXECUTE pg_catalog.format('ALTER TABLE promote.%I ENABLE ALWAYS TRIGGER record_deletion', line);
    END LOOP;
    -- TRUNCATE knows no rows, so that nothing would be recorded: it is refused on all tables of promote's
    FOR line IN
        SELECT c.relname
          FROM pg_catalog.pg_class AS c
         WHERE c.relnamespace = 'promote'::pg_catalog.regnamespace AND c.relkind = 'r'
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger AS t WHERE t.tgrelid = c.oid AND t.tgname = 'refuse_truncate')
    LOOP
        EXECUTE pg_catalog.format('CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON promote.%I
                            FOR EACH STATEMENT EXECUTE FUNCTION promote_internal.refuse_rewrite()', line);
        EXECUTE pg_catalog.format('ALTER TABLE promote.%I ENABLE ALWAYS TRIGGER refuse_truncate', line);
    END LOOP;
END
$$;

-- Tables whose rows many sessions write at once, and refer to the same releases, projects, sources and documents by:
-- their foreign keys are checked by a trigger of promote's, which locks no row, in place of PostgreSQL's check of new
-- rows. All else of the keys stays PostgreSQL's.
DO $$
DECLARE
    key record;
BEGIN
    FOR key IN
        SELECT k.conrelid::pg_catalog.regclass AS referring, k.confrelid::pg_catalog.regclass AS referred, t.tgname,
               pg_catalog.string_agg(a.attname, ', ' ORDER BY n.place) AS columns,
               pg_catalog.string_agg(pg_catalog.quote_literal(a.attname), ', ' ORDER BY n.place) AS arguments,
               pg_catalog.row_number() OVER (PARTITION BY k.conrelid) = 1 AS first_of_referring,
               pg_catalog.row_number() OVER (PARTITION BY k.confrelid) = 1 AS first_of_referred
          FROM pg_catalog.pg_constraint AS k
          JOIN pg_catalog.pg_trigger AS t
            ON t.tgconstraint = k.oid AND t.tgfoid = 'pg_catalog."RI_FKey_check_ins"()'::pg_catalog.regprocedure
         CROSS JOIN LATERAL pg_catalog.unnest(k.confkey) WITH ORDINALITY AS n (attribute, place)
          JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = n.attribute
         WHERE k.conrelid = ANY ('{promote.config, promote.revision, promote.deployment, promote.observation}'::pg_catalog.regclass[])
         GROUP BY k.oid, t.tgname
    LOOP
        EXECUTE pg_catalog.format('ALTER TABLE %s DISABLE TRIGGER %I', key.referring, key.tgname);
        IF key.first_of_referring THEN
            EXECUTE pg_catalog.format('CREATE TRIGGER check_references AFTER INSERT ON %s
                                FOR EACH ROW EXECUTE FUNCTION promote_internal.check_references()', key.referring);
        END IF;
        -- where rows are neither deleted nor changed, nothing has to be held
        IF key.first_of_referred AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_trigger AS t
             WHERE t.tgrelid = key.referred AND t.tgname = 'refuse_rewrite' AND t.tgenabled = 'A'
               AND t.tgtype OPERATOR(pg_catalog.&) 24 = 24) THEN
            EXECUTE pg_catalog.format('CREATE TRIGGER hold_key BEFORE DELETE OR UPDATE OF %s ON %s
                                FOR EACH ROW EXECUTE FUNCTION promote_internal.hold_key(%s)',
                                      key.columns, key.referred, key.arguments);
        END IF;
    END LOOP;
END
$$;
