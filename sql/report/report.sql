-- Questions about promotions.

CREATE FUNCTION promote.format_diff(diff jsonb, replaces boolean DEFAULT false, revision integer DEFAULT 0) RETURNS text
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_format_diff';
COMMENT ON FUNCTION promote.format_diff(jsonb, boolean, integer) IS
'A diff as text in the manner of terraform plan: + added, ~ changed, - removed, and a line that counts; replaces says that a change of an immutable value forces replacement, and revision of which one the diff is: what waits since another one is marked';

CREATE FUNCTION promote_internal.marked_diff(
    of_project text, of_environment text, of_component text, of_deployment integer) RETURNS jsonb
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT (SELECT COALESCE(pg_catalog.jsonb_agg(
                           CASE WHEN n.place IS NULL THEN e.entry ELSE e.entry || '{"unexpected": true}' END ORDER BY e.place),
                           '[]')
                  FROM pg_catalog.jsonb_array_elements(d.diff) WITH ORDINALITY AS e (entry, place)
                  LEFT JOIN promote_internal.never_ran(d.project, r.source_environment, d.component,
                      -- what comes from nowhere else is compared with nothing
                      CASE WHEN r.source_environment <> d.environment THEN d.diff END, c.params, NULL) AS n USING (place))
          FROM promote.deployment AS d
          JOIN promote.revision AS r
            ON r.project = d.project AND r.environment = d.environment AND r.component = d.component AND r.revision = d.revision
          JOIN promote.config AS c ON c.project = r.project AND c.digest = r.digest
         WHERE d.project = $1 AND d.environment = $2 AND d.component = $3 AND d.deployment = $4;
    END;
REVOKE ALL ON FUNCTION promote_internal.marked_diff(text, text, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.marked_diff(text, text, text, integer) IS
'The diff of a deployment, in which the leaves are marked as unexpected that have not run like that where the revision was promoted from. Where nothing ever ran there that would be said of all, and tell nothing: none is marked';

CREATE FUNCTION promote_internal.deployment_text(
    of_project text, of_environment text, of_component text, of_deployment integer) RETURNS SETOF text
    LANGUAGE sql STABLE ROWS 1
    BEGIN ATOMIC
        SELECT i.name || ', ' || pg_catalog.lower(d.action) || ' ' || d.deployment || ': revision '
               || COALESCE(d.base_revision || ' -> ', '') || d.revision || ', ' || d.bundle || ' '
               || COALESCE(NULLIF(d.previous_version, d.version) || ' -> ', '') || d.version
               || COALESCE(release.line, '')
               || CASE WHEN d.destructive THEN E'\nWhat runs would be replaced: an immutable value of it changes.' ELSE '' END
               || COALESCE(running.line, '')
               || E'\n\n' || promote.format_diff(promote_internal.marked_diff($1, $2, $3, $4), d.destructive, d.revision)
               || COALESCE(recorded.lines, '')
               || COALESCE(overridden.lines, '')
          FROM promote.deployment AS d
          JOIN promote.instance AS i
            ON i.project = d.project AND i.environment = d.environment AND i.component = d.component
          -- what the release is beyond its version, as far as that was said
          LEFT JOIN LATERAL (
              SELECT COALESCE(E'\nArtifact ' || f.artifact_digest, '') || COALESCE(E'\nCommit ' || f.source_commit, '')
                     || COALESCE(E'\nChangelog: ' || pg_catalog.rtrim(f.changelog, E'\n'), '') AS line
                FROM promote.bundle_release AS f
               WHERE f.bundle = d.bundle AND f.version = d.version LIMIT 1) AS release ON true
          -- where what runs is neither what the diff starts from nor what it leads to
          LEFT JOIN LATERAL (
              SELECT E'\nWhat runs is revision ' || i.deployed_revision || ', ' || run.bundle || ' ' || run.version
                     || E': promote.compare_deployments(\'' || i.name || '/' || run.deployment || E'\', \'' || i.name || '/'
                     || d.deployment || E'\') shows all that would change.' AS line
                FROM promote.deployment AS run
               WHERE run.project = d.project AND run.environment = d.environment AND run.component = d.component
                 AND run.deployment = i.deployed_by
                 AND d.deployment > run.deployment AND d.revision <> run.revision
                 AND d.base_deployment IS DISTINCT FROM run.deployment LIMIT 1) AS running ON true
          -- what a worker recorded of the plan, or of the one that a PROVISION follows
          LEFT JOIN LATERAL (
              SELECT E'\n\n' || promote.format_plan_changes((
                         SELECT COALESCE(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(c) ORDER BY c.change), '[]')
                           FROM promote.resource_changes AS c
                          WHERE c.instance = i.name AND c.deployment = p.deployment))
                     || COALESCE(E'\nIt cannot be deployed: '
                         || NULLIF(pg_catalog.array_to_string(p.plan_defects, ', '), '') || '.', '') AS lines
                FROM promote.deployment AS p
               WHERE p.project = d.project AND p.environment = d.environment AND p.component = d.component
                 AND p.deployment = COALESCE(d.plan, d.deployment) AND p.plan_facts IS NOT NULL LIMIT 1) AS recorded ON true
          -- gates that were overridden for it, or for the plan that it follows
         CROSS JOIN LATERAL (
              SELECT E'\n' || pg_catalog.string_agg(pg_catalog.format(E'\nOverridden by %s, gate %s (%s): %s',
                         o.actor, o.code, pg_catalog.array_to_string(o.messages, '; '), o.reason), ''
                         ORDER BY o.created_at) AS lines
                FROM promote.gate_override AS o
               WHERE o.project = d.project AND o.environment = d.environment AND o.component = d.component
                 AND o.deployment IN (d.deployment, d.plan)) AS overridden
         WHERE d.project = $1 AND d.environment = $2 AND d.component = $3 AND d.deployment = $4;
    END;
REVOKE ALL ON FUNCTION promote_internal.deployment_text(text, text, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.deployment_text(text, text, text, integer) IS
'What promote.plan_text returns; no row where there is no such deployment';

CREATE FUNCTION promote.plan_text(instance text, deployment integer DEFAULT NULL) RETURNS text
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'promote_plan_text';
REVOKE ALL ON FUNCTION promote.plan_text(text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote.plan_text(text, integer) IS
'What a deployment would change, for people; of the last one where none is named';

CREATE FUNCTION promote_internal.masked_params(params jsonb, params_schema jsonb, parameters jsonb, kept_marks jsonb)
    RETURNS jsonb
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_masked_params';
REVOKE ALL ON FUNCTION promote_internal.masked_params(jsonb, jsonb, jsonb, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.masked_params(jsonb, jsonb, jsonb, jsonb) IS
'Params with what is sensitive masked: by the schema of their release, also in what the parameters make of them (NULL: they are rendered already), and at the paths that keep marks (NULL: none do). NULL without params or schema';

CREATE FUNCTION promote_internal.desired_at(
    of_project text, of_environment text, of_component text, at timestamptz, shown boolean)
    RETURNS TABLE (revision integer, params jsonb, version_constraint text,
                   release_channel text, since timestamptz, actor text, version text, deployment integer)
    LANGUAGE sql STABLE ROWS 1
    BEGIN ATOMIC
        SELECT r.revision,
               CASE WHEN $5 THEN c.params ELSE promote_internal.masked_params(c.params, f.params_schema,
                   promote_internal.parameters_of(r.project, r.environment), r.kept_marks) END,
               r.version_constraint, r.release_channel, r.created_at, r.actor, r.version, NULL::integer
          FROM promote_internal.marked_revision AS r
          JOIN promote.config AS c ON c.project = r.project AND c.digest = r.digest
          JOIN promote.bundle_release AS f ON f.bundle = r.bundle AND f.version = r.version
         WHERE r.project = $1 AND r.environment = $2 AND r.component = $3
           AND r.revision = (SELECT a.revision FROM promote_internal.revision_at($1, $2, $3, $4) AS a);
    END;
REVOKE ALL ON FUNCTION promote_internal.desired_at(text, text, text, timestamptz, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.desired_at(text, text, text, timestamptz, boolean) IS
'What promote.config_as_of returns of what was desired, by the revision that was the last one then; shown: nothing is masked';

CREATE FUNCTION promote_internal.ran_at(
    of_project text, of_environment text, of_component text, at timestamptz, shown boolean)
    RETURNS TABLE (revision integer, params jsonb, version_constraint text,
                   release_channel text, since timestamptz, actor text, version text, deployment integer)
    LANGUAGE sql STABLE ROWS 1
    BEGIN ATOMIC
        SELECT d.revision,
               CASE WHEN $5 THEN c.params ELSE promote_internal.masked_params(c.params, c.params_schema, NULL, c.kept_marks) END,
               c.version_constraint, c.release_channel, d.finished_at, d.actor, c.version, d.deployment
          FROM promote_internal.run_at($1, $2, $3, $4) AS d
         CROSS JOIN LATERAL (
              SELECT c.params, c.params_schema, c.kept_marks, c.version, c.version_constraint, c.release_channel
                FROM promote_internal.carried AS c
               WHERE c.project = d.project AND c.environment = d.environment AND c.component = d.component
                 AND c.deployment = d.deployment
               LIMIT 1) AS c;
    END;
REVOKE ALL ON FUNCTION promote_internal.ran_at(text, text, text, timestamptz, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.ran_at(text, text, text, timestamptz, boolean) IS
'What promote.config_as_of returns of what ran: by the PROVISION that was the last completed change, unless that was a DECOMMISSION; shown: nothing is masked';

CREATE FUNCTION promote.config_as_of(
    instance text, at timestamptz DEFAULT NULL, state text DEFAULT 'desired')
    RETURNS TABLE (revision integer, params jsonb, version_constraint text,
                   release_channel text, since timestamptz, actor text, version text, deployment integer)
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1
    AS 'MODULE_PATHNAME', 'promote_config_as_of';
REVOKE ALL ON FUNCTION promote.config_as_of(text, timestamptz, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.config_as_of(text, timestamptz, text) IS
'What the instance desired at a moment, or now: the revision, whole, and the release that it was judged by. With state => ''running'', what the instance ran: the revision as it was rendered, the release, since when, by whose order and by which deployment. Sensitive values are masked except for the owner and for workers, who get them anyway. No row if the instance had no revision yet, or ran nothing';

CREATE VIEW promote_internal.change WITH (security_invoker = true) AS
    SELECT r.created_at AS at,
           r.actor,
           r.database_role,
           r.moved_by,
           r.moved_role,
           r.project,
           r.environment,
           r.component,
           r.origin,
           r.project || '-' || r.source_environment || '-' || r.component AS source,
           r.source_revision,
           r.mode,
           r."only",
           r.revision,
           r.version_constraint
               || CASE r.release_channel WHEN 'development' THEN '+dev' ELSE '' END
               AS version_constraint,
           r.version AS judged_by,
           plan.previous_version,
           plan.version,
           (SELECT f.artifact_digest FROM promote.bundle_release AS f
             WHERE f.bundle = plan.bundle AND f.version = plan.version) AS artifact_digest,
           pg_catalog.jsonb_array_length(plan.diff) AS changes,
           plan.diff,
           plan.deployment AS plan,
           plan.status AS plan_status,
           (SELECT pg_catalog.array_agg(DISTINCT o.code::text)
              FROM promote.gate_override AS o
             CROSS JOIN LATERAL (
                  SELECT d.revision, d.action
                    FROM promote.deployment AS d
                   WHERE d.project = o.project AND d.environment = o.environment
                     AND d.component = o.component AND d.deployment = o.deployment
                   LIMIT 1) AS d
             WHERE o.project = r.project AND o.environment = r.environment AND o.component = r.component
               AND d.revision = r.revision AND d.action = 'PLAN') AS overridden,
           r.message
      FROM promote.revision AS r
      LEFT JOIN LATERAL (
          SELECT p.*
            FROM ((SELECT d.bundle, d.previous_version, d.version, d.diff, d.deployment, d.status
                     FROM promote.deployment AS d
                    WHERE d.project = r.project AND d.environment = r.environment
                      AND d.component = r.component AND d.revision = r.revision
                      AND d.action = 'PLAN' AND d.status NOT IN ('FAILED', 'ABORTED', 'REJECTED')
                    ORDER BY d.project, d.environment, d.component, d.revision, d.deployment LIMIT 1)
                  UNION ALL
                  (SELECT d.bundle, d.previous_version, d.version, d.diff, d.deployment, d.status
                     FROM promote.deployment AS d
                    WHERE d.project = r.project AND d.environment = r.environment
                      AND d.component = r.component AND d.revision = r.revision
                      AND d.action = 'PLAN' AND d.status IN ('FAILED', 'ABORTED', 'REJECTED')
                    ORDER BY d.project, d.environment, d.component, d.revision, d.deployment LIMIT 1)) AS p
           ORDER BY p.deployment LIMIT 1) AS plan ON true;
-- Whoever asks cannot name it.
GRANT SELECT ON promote_internal.change TO PUBLIC;
COMMENT ON VIEW promote_internal.change IS 'What promote.promotion_history shows, of revisions of every origin';
COMMENT ON COLUMN promote_internal.change.at IS 'As in promote.promotion_history';
COMMENT ON COLUMN promote_internal.change.actor IS 'As in promote.promotion_history';
COMMENT ON COLUMN promote_internal.change.database_role IS 'As in promote.promotion_history';
COMMENT ON COLUMN promote_internal.change.moved_by IS 'As in promote.promotion_history';
COMMENT ON COLUMN promote_internal.change.moved_role IS 'As in promote.promotion_history';
COMMENT ON COLUMN promote_internal.change.project IS 'As in promote.promotion_history';
COMMENT ON COLUMN promote_internal.change.environment IS 'As in promote.promotion_history';
COMMENT ON COLUMN promote_internal.change.component IS 'As in promote.promotion_history';
COMMENT ON COLUMN promote_internal.change.origin IS 'edit, promotion, fork, rollback, adoption or merge';
COMMENT ON COLUMN promote_internal.change.source IS 'As in promote.promotion_history';
COMMENT ON COLUMN promote_internal.change.source_revision IS 'As in promote.promotion_history';
COMMENT ON COLUMN promote_internal.change.mode IS 'As in promote.promotion_history';
COMMENT ON COLUMN promote_internal.change."only" IS 'As in promote.promotion_history';
COMMENT ON COLUMN promote_internal.change.revision IS 'As in promote.promotion_history';
COMMENT ON COLUMN promote_internal.change.version_constraint IS 'As in promote.promotion_history';
COMMENT ON COLUMN promote_internal.change.judged_by IS 'Release whose schema it was judged by';
COMMENT ON COLUMN promote_internal.change.previous_version IS 'As in promote.promotion_history';
COMMENT ON COLUMN promote_internal.change.version IS 'As in promote.promotion_history';
COMMENT ON COLUMN promote_internal.change.artifact_digest IS 'As in promote.promotion_history';
COMMENT ON COLUMN promote_internal.change.changes IS 'As in promote.promotion_history';
COMMENT ON COLUMN promote_internal.change.diff IS 'As in promote.promotion_history';
COMMENT ON COLUMN promote_internal.change.plan IS 'As in promote.promotion_history';
COMMENT ON COLUMN promote_internal.change.plan_status IS 'As in promote.promotion_history';
COMMENT ON COLUMN promote_internal.change.overridden IS 'As in promote.promotion_history';
COMMENT ON COLUMN promote_internal.change.message IS 'As in promote.promotion_history';

CREATE VIEW promote.promotion_history WITH (security_invoker = true) AS
    SELECT c.at,
           c.actor,
           c.database_role,
           c.moved_by,
           c.moved_role,
           c.project,
           c.environment,
           c.component,
           c.source,
           c.source_revision,
           c.mode,
           c."only",
           i.name AS destination,
           c.revision,
           c.version_constraint,
           c.previous_version,
           c.version,
           c.artifact_digest,
           c.changes,
           c.diff,
           c.plan,
           c.plan_status,
           c.overridden,
           c.message
      FROM promote_internal.change AS c
      JOIN promote.instance AS i USING (project, environment, component)
     WHERE c.origin = 'promotion';
COMMENT ON VIEW promote.promotion_history IS 'Promotions: when, by whom, from where, what changed and which plan shows it';
COMMENT ON COLUMN promote.promotion_history.at IS 'When';
COMMENT ON COLUMN promote.promotion_history.actor IS 'Who has asked for it, by the setting promote.actor; else the database role. Of a request, who has opened it';
COMMENT ON COLUMN promote.promotion_history.database_role IS 'Role that the session acted as';
COMMENT ON COLUMN promote.promotion_history.moved_by IS 'Who has moved the request that it is of; NULL: it is of no request';
COMMENT ON COLUMN promote.promotion_history.moved_role IS 'Role that the session of whoever moved it acted as; NULL with it';
COMMENT ON COLUMN promote.promotion_history.project IS 'Project';
COMMENT ON COLUMN promote.promotion_history.environment IS 'Environment that it went to';
COMMENT ON COLUMN promote.promotion_history.component IS 'Component';
COMMENT ON COLUMN promote.promotion_history.source IS 'Instance that it came from';
COMMENT ON COLUMN promote.promotion_history.source_revision IS 'The source''s revision that was promoted';
COMMENT ON COLUMN promote.promotion_history.mode IS 'replace, where what the destination desires was composed of the source; merge, where only what had changed there';
COMMENT ON COLUMN promote.promotion_history."only" IS 'What was taken alone; NULL: everything';
COMMENT ON COLUMN promote.promotion_history.destination IS 'Instance that it went to';
COMMENT ON COLUMN promote.promotion_history.revision IS 'Revision that it made there';
COMMENT ON COLUMN promote.promotion_history.version_constraint IS 'Version constraint with its channel, as in latest+dev';
COMMENT ON COLUMN promote.promotion_history.previous_version IS 'Release that ran before';
COMMENT ON COLUMN promote.promotion_history.version IS 'Release that the constraint stood for';
COMMENT ON COLUMN promote.promotion_history.artifact_digest IS 'Digest of that release''s artifact; NULL: it has none';
COMMENT ON COLUMN promote.promotion_history.changes IS 'Number of entries of the diff; NULL where no plan was queued';
COMMENT ON COLUMN promote.promotion_history.diff IS 'What the plan does to what runs, sensitive values masked; NULL where none was queued';
COMMENT ON COLUMN promote.promotion_history.plan IS 'Number of the first PLAN deployment; NULL where none was queued: nobody asked for one, or nothing waited';
COMMENT ON COLUMN promote.promotion_history.plan_status IS 'Status of that plan';
COMMENT ON COLUMN promote.promotion_history.overridden IS 'Gates that were overridden for its plans; NULL: none';
COMMENT ON COLUMN promote.promotion_history.message IS 'Why';
