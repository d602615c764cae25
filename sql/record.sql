-- The recorder: what is done to rows that people write themselves is in the
-- audit log.  Behind all tables: a table is recorded by one line below.

CREATE FUNCTION promote.record_change() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_record_change';
REVOKE ALL ON FUNCTION promote.record_change() FROM PUBLIC;
COMMENT ON FUNCTION promote.record_change() IS
'Appends to the audit log what is done to a row: its columns before and after, with digests in place of documents, without those that the trigger''s arguments name';

CREATE FUNCTION promote.record_deletion() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_record_deletion';
REVOKE ALL ON FUNCTION promote.record_deletion() FROM PUBLIC;
COMMENT ON FUNCTION promote.record_deletion() IS
'Appends to the audit log how many rows of a project were thrown away';

CREATE FUNCTION promote.guard_kept() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_guard_kept';
REVOKE ALL ON FUNCTION promote.guard_kept() FROM PUBLIC;
COMMENT ON FUNCTION promote.guard_kept() IS
'Refuses to set by hand the columns that its arguments name, PM303; without arguments, to change or delete rows';

-- A line per table, and behind it the columns that are not recorded: verbs keep and record them, or nobody is to see them.
DO $$
DECLARE
    line text;
    word text[];
BEGIN
    FOREACH line IN ARRAY ARRAY[
        'project request pruned',
        'environment',
        'bundle',
        'bundle_release',
        'component',
        'instance status revision deployment version_constraint release_channel deployed_revision deployed_by changed_by',
        'promotion_path',
        'approval_rule',
        'override_rule',
        'freeze_window',
        'change_window',
        'required_check',
        'policy',
        'stateful_type',
        'schema_document',
        'remote_reference',
        'grants'
    ] LOOP
        word := pg_catalog.string_to_array(line, ' ');
        EXECUTE pg_catalog.format('CREATE TRIGGER record_change AFTER INSERT OR UPDATE OR DELETE ON promote.%I
                            FOR EACH ROW EXECUTE FUNCTION promote.record_change(%s)',
                       word[1], pg_catalog.array_to_string(ARRAY(SELECT pg_catalog.quote_literal(w) FROM pg_catalog.unnest(word[2:]) AS w), ', '));
        EXECUTE pg_catalog.format('ALTER TABLE promote.%I ENABLE ALWAYS TRIGGER record_change', word[1]);
    END LOOP;
    -- what verbs keep, by columns or as a whole
    FOREACH line IN ARRAY ARRAY[
        'project request pruned',
        'observation',
        'drift_item',
        'rule_change'
    ] LOOP
        word := pg_catalog.string_to_array(line, ' ');
        EXECUTE pg_catalog.format('CREATE TRIGGER guard_kept BEFORE INSERT OR UPDATE OR DELETE ON promote.%I
                            FOR EACH ROW EXECUTE FUNCTION promote.guard_kept(%s)',
                       word[1], pg_catalog.array_to_string(ARRAY(SELECT pg_catalog.quote_literal(w) FROM pg_catalog.unnest(word[2:]) AS w), ', '));
        EXECUTE pg_catalog.format('ALTER TABLE promote.%I ENABLE ALWAYS TRIGGER guard_kept', word[1]);
    END LOOP;
    -- what may be thrown away, and is not changed
    FOREACH line IN ARRAY ARRAY['idempotency_key', 'deployment_log'] LOOP
        EXECUTE pg_catalog.format('CREATE TRIGGER refuse_rewrite BEFORE UPDATE ON promote.%I
                            FOR EACH ROW EXECUTE FUNCTION promote.refuse_rewrite()', line);
        EXECUTE pg_catalog.format('CREATE TRIGGER record_deletion AFTER DELETE ON promote.%I
                            REFERENCING OLD TABLE AS old_row
                            FOR EACH STATEMENT EXECUTE FUNCTION promote.record_deletion()', line);
        EXECUTE pg_catalog.format('ALTER TABLE promote.%I ENABLE ALWAYS TRIGGER refuse_rewrite', line);
        EXECUTE pg_catalog.format('ALTER TABLE promote.%I ENABLE ALWAYS TRIGGER record_deletion', line);
    END LOOP;
    -- TRUNCATE knows no rows, so that nothing would be recorded: no table of promote's is emptied
    FOR line IN
        SELECT c.relname
          FROM pg_catalog.pg_class AS c
         WHERE c.relnamespace = 'promote'::pg_catalog.regnamespace AND c.relkind = 'r'
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger AS t WHERE t.tgrelid = c.oid AND t.tgname = 'refuse_truncate')
    LOOP
        EXECUTE pg_catalog.format('CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON promote.%I
                            FOR EACH STATEMENT EXECUTE FUNCTION promote.refuse_rewrite()', line);
        EXECUTE pg_catalog.format('ALTER TABLE promote.%I ENABLE ALWAYS TRIGGER refuse_truncate', line);
    END LOOP;
END
$$;
