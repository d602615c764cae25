-- Archiving environments: what is over goes out of sight, and its name may be taken again.

-- configurations are made behind environments
ALTER TABLE promote.environment_generation ADD CONSTRAINT environment_generation_parameters_fkey
    FOREIGN KEY (project, parameters_digest) REFERENCES promote.config (project, digest);
CREATE TRIGGER guard_record BEFORE INSERT ON promote.environment_generation
    FOR EACH ROW EXECUTE FUNCTION promote_internal.guard_record();
ALTER TABLE promote.environment_generation ENABLE ALWAYS TRIGGER guard_record;
CREATE TRIGGER refuse_rewrite BEFORE UPDATE OR DELETE ON promote.environment_generation
    FOR EACH ROW EXECUTE FUNCTION promote_internal.refuse_rewrite();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON promote.environment_generation
    FOR EACH STATEMENT EXECUTE FUNCTION promote_internal.refuse_rewrite();
ALTER TABLE promote.environment_generation ENABLE ALWAYS TRIGGER refuse_rewrite;
ALTER TABLE promote.environment_generation ENABLE ALWAYS TRIGGER refuse_truncate;

CREATE FUNCTION promote_internal.refuse_archived() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_refuse_archived';
REVOKE ALL ON FUNCTION promote_internal.refuse_archived() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.refuse_archived() IS
'Refuses rows about an archived environment, PM006; the trigger''s arguments are the columns that name it';

-- what people write about an environment; what verbs write is refused by them
DO $$
DECLARE
    line text;
    word text[];
BEGIN
    FOREACH line IN ARRAY ARRAY[
        'environment environment',
        'parameter_set environment',
        'instance environment',
        'promotion_path source_environment destination_environment',
        'approval_rule environment',
        'override_rule environment',
        'freeze_window environment',
        'change_window environment',
        'required_check environment',
        'policy environment',
        'remote_reference environment',
        'grants environment'
    ] LOOP
        word := pg_catalog.string_to_array(line, ' ');
        EXECUTE pg_catalog.format('CREATE TRIGGER refuse_archived BEFORE INSERT OR UPDATE ON promote.%I
                            FOR EACH ROW EXECUTE FUNCTION promote_internal.refuse_archived(%s)',
                       word[1], pg_catalog.array_to_string(ARRAY(SELECT pg_catalog.quote_literal(w) FROM pg_catalog.unnest(word[2:]) AS w), ', '));
        EXECUTE pg_catalog.format('ALTER TABLE promote.%I ENABLE ALWAYS TRIGGER refuse_archived', word[1]);
    END LOOP;
END
$$;

CREATE FUNCTION promote_internal.archivable(project text, environment text)
    RETURNS TABLE (component text, revision integer, opened_revision integer, deployment integer, problem text)
    LANGUAGE sql STABLE ROWS 20
    BEGIN ATOMIC
        SELECT i.component, NULLIF(i.revision, i.opened_revision), i.opened_revision, NULLIF(i.deployment, 0),
               CASE WHEN i.deployed_revision IS NOT NULL THEN 'it runs revision ' || i.deployed_revision
                    WHEN i.status = 'FAILED' THEN 'deployment ' || i.changed_by || ' has failed, and may have left something'
                    WHEN d.deployment IS NOT NULL THEN pg_catalog.format('deployment %s is %s', d.deployment, d.status)
                    WHEN r.request IS NOT NULL THEN pg_catalog.format('request %s is %s', r.request, r.status)
               END
          FROM promote.instance AS i
          LEFT JOIN LATERAL (
              SELECT d.deployment, d.status
                FROM promote.deployment AS d
               WHERE d.project = i.project AND d.environment = i.environment AND d.component = i.component
                 AND d.status IN ('PROPOSED', 'PENDING', 'APPROVED', 'RUNNING')
               ORDER BY d.deployment LIMIT 1) AS d ON true
          LEFT JOIN LATERAL (
              SELECT q.request, q.status
                FROM promote.promotion_request AS q
                JOIN promote.promotion_request_item AS t
                  ON t.project = q.project AND t.request = q.request AND t.component = i.component
               WHERE q.project = i.project AND i.environment IN (q.source_environment, q.destination_environment)
                 AND q.finished_at IS NULL
               ORDER BY q.request LIMIT 1) AS r ON true
         WHERE i.project = $1 AND i.environment = $2
         ORDER BY i.component;
    END;
REVOKE ALL ON FUNCTION promote_internal.archivable(text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.archivable(text, text) IS
'The instances of an environment: what each desires in its generation (NULL: nothing), from where its generation counts, its last deployment, and why the environment cannot be archived because of it; NULL: it can';

CREATE FUNCTION promote_internal.clear_environment(project text, environment text) RETURNS void
    LANGUAGE sql
    BEGIN ATOMIC
        DELETE FROM promote.promotion_path AS p
         WHERE p.project = $1 AND $2 IN (p.source_environment, p.destination_environment);
        DELETE FROM promote.approval_rule AS r WHERE r.project = $1 AND r.environment = $2;
        DELETE FROM promote.override_rule AS r WHERE r.project = $1 AND r.environment = $2;
        DELETE FROM promote.freeze_window AS w WHERE w.project = $1 AND w.environment = $2;
        DELETE FROM promote.change_window AS w WHERE w.project = $1 AND w.environment = $2;
        DELETE FROM promote.required_check AS c WHERE c.project = $1 AND c.environment = $2;
        DELETE FROM promote.policy AS p WHERE p.project = $1 AND p.environment = $2;
        DELETE FROM promote.grants AS g WHERE g.project = $1 AND g.environment = $2;
        -- who asks again by the key of an earlier generation would get its result
        DELETE FROM promote.idempotency_key AS k WHERE k.project = $1 AND k.environment = $2;
        DELETE FROM promote.remote_reference AS r WHERE r.project = $1 AND r.environment = $2;
        DELETE FROM promote.secret AS s WHERE s.project = $1 AND s.environment = $2;
    END;
REVOKE ALL ON FUNCTION promote_internal.clear_environment(text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.clear_environment(text, text) IS
'Deletes what an environment has been given besides its instances: its rules, paths and grants, the keys of calls, references and secrets, so that another generation begins without them';

CREATE FUNCTION promote.preview_archive_environment(environment text)
    RETURNS TABLE (component text, changed boolean, revision integer, deployment integer, diff jsonb,
                   code text, problem text)
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 20
    AS 'MODULE_PATHNAME', 'promote_preview_archive_environment';
REVOKE ALL ON FUNCTION promote.preview_archive_environment(text) FROM PUBLIC;
COMMENT ON FUNCTION promote.preview_archive_environment(text) IS
'The rows of archive_environment; a code and a problem where it would be refused because of that instance. Writes nothing';

CREATE FUNCTION promote.archive_environment(environment text, message text DEFAULT NULL)
    RETURNS TABLE (component text, changed boolean, revision integer, deployment integer, diff jsonb,
                   code text, problem text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 20
    AS 'MODULE_PATHNAME', 'promote_archive_environment';
REVOKE ALL ON FUNCTION promote.archive_environment(text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.archive_environment(text, text) IS
'Ends an environment in which nothing runs and nothing is open: it goes out of the matrix, the inbox and the selectors, no verb takes it any more, and its rules, paths, grants, references and secrets are deleted. Its history stays, and its name may be taken by fork_environment. Returns a row for each instance: what it desired last, and its last deployment. PM512 where something of it runs, has failed, is open, or is part of an open request';
