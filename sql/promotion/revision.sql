-- What is proposed as a revision, and what writing one records.  The triggers are ENABLE ALWAYS:
-- session_replication_role does not switch them off.

CREATE FUNCTION promote_internal.all_kept_marks(
    of_project text, of_environment text, of_component text, of_revision integer, own jsonb)
    RETURNS jsonb
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT pg_catalog.jsonb_agg(DISTINCT e.path)
          FROM (SELECT d.kept_marks
                  FROM promote.deployment AS d
                 WHERE d.project = $1 AND d.environment = $2 AND d.component = $3 AND d.revision = $4
                   AND d.kept_marks IS NOT NULL
                UNION ALL
                SELECT $5) AS m,
               LATERAL pg_catalog.jsonb_array_elements(m.kept_marks) AS e (path);
    END;
REVOKE ALL ON FUNCTION promote_internal.all_kept_marks(text, text, text, integer, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.all_kept_marks(text, text, text, integer, jsonb) IS
'The paths that keep marks in a revision''s params: its own ones, which are given, and those of its deployments. A function of its own, so that statements get nothing ready for what few revisions have';

CREATE FUNCTION promote_internal.has_kept_marks(
    of_project text, of_environment text, of_component text, of_revision integer)
    RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_has_kept_marks';
REVOKE ALL ON FUNCTION promote_internal.has_kept_marks(text, text, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.has_kept_marks(text, text, text, integer) IS
'Have deployments of a revision marks that are kept?';

CREATE VIEW promote_internal.marked_revision AS
    SELECT r.project,
           r.environment,
           r.component,
           r.revision,
           r.digest,
           r.version_constraint,
           r.release_channel,
           r.bundle,
           r.version,
           r.origin,
           r.mode,
           r."only",
           r.overrides,
           r.source_environment,
           r.source_revision,
           r.actor,
           r.created_at,
           CASE WHEN promote_internal.has_kept_marks(r.project, r.environment, r.component, r.revision)
                THEN promote_internal.all_kept_marks(r.project, r.environment, r.component, r.revision, r.kept_marks)
                ELSE r.kept_marks
           END AS kept_marks
      FROM promote.revision AS r;
COMMENT ON VIEW promote_internal.marked_revision IS 'Revisions, with the paths that keep marks in their params: those that were written down with them and with their deployments, of which a parameter or another release may have decided what was marked, and decide otherwise by now; NULL: none do';

CREATE VIEW promote_internal.carried AS
    SELECT d.project,
           d.environment,
           d.component,
           d.deployment,
           d.action,
           d.started_at,
           d.revision,
           d.bundle,
           d.version,
           v.version_constraint,
           v.release_channel,
           d.rendered_digest,
           c.params,
           CASE WHEN v.digest <> d.rendered_digest
                THEN promote_internal.config_params(d.project, v.digest)
           END AS template,
           f.params_schema,
           f.slots,
           d.remote_references,
           v.kept_marks
      FROM promote.deployment AS d
     CROSS JOIN LATERAL (SELECT promote_internal.config_params(d.project, d.rendered_digest) AS params OFFSET 0) AS c
     CROSS JOIN LATERAL (
          SELECT v.digest, v.version_constraint, v.release_channel, v.kept_marks
            FROM promote_internal.marked_revision AS v
           WHERE v.project = d.project AND v.environment = d.environment AND v.component = d.component
             AND v.revision = d.revision LIMIT 1) AS v
     CROSS JOIN LATERAL (
          SELECT f.params_schema, NULLIF(f.remote_references, '{}') AS slots FROM promote.bundle_release AS f
           WHERE f.bundle = d.bundle AND f.version = d.version LIMIT 1) AS f
     WHERE c.params IS NOT NULL;
COMMENT ON VIEW promote_internal.carried IS 'What deployments carry: the release with its constraint and channel, their rendered params, what these were rendered of (NULL: the same), the schema and the slots of the release, remote references, and the paths that keep marks';

-- What a proposal is judged by and where it comes from are read by two functions each, which the planner inlines.
-- Everything is looked up by whole keys in subqueries of one row, which it does not take apart: however small a table
-- was when the plan was made, it cannot become a scan over a part of a key.  By OFFSET what EXISTS asks for is looked
-- up for each row, too: otherwise all that there is may be hashed first, for each page of a set.
CREATE FUNCTION promote_internal.proposal_state(of_project text, of_environment text, of_component text)
    RETURNS TABLE (
        project text, environment text, component text, name text, current_revision integer, opened_revision integer,
        archived boolean, current_deployment integer,
        current_constraint text, current_channel text, current_taken boolean, deployed_by integer, changed_by integer,
        decommissioned boolean, own_digest bytea, own_bundle text, own_version text, own_params jsonb, own_kept jsonb,
        own_origin text, own_source_params jsonb, own_source_constraint text, own_source_channel text,
        own_slots jsonb, plan_revision integer, plan_digest bytea,
        plan_version text, plan_params jsonb, plan_references jsonb,
        plan_diff jsonb, plan_destructive boolean, plan_reverts boolean, plan_base integer, plan_stands boolean,
        has_secrets boolean, parameters jsonb, path_only boolean, promotion_mode text, head bigint, head_hash bytea,
        digest_key bytea, version_policy text, run_revision integer, run_bundle text, run_version text,
        run_constraint text, run_channel text, run_digest bytea, run_params jsonb, run_template jsonb, run_schema jsonb,
        run_slots jsonb, run_references jsonb,
        run_kept jsonb, run_started timestamptz, runs_alone boolean)
    LANGUAGE sql STABLE ROWS 1
    BEGIN ATOMIC
        SELECT i.project, i.environment, i.component, i.name, i.revision, i.opened_revision,
               e.archived_at IS NOT NULL, i.deployment,
               i.version_constraint, i.release_channel,
               r.origin IN ('promotion', 'fork') AND r.mode IS DISTINCT FROM 'merge' AND r."only" IS NULL
               AND COALESCE(r.overrides, '{}') IN ('{}', '[]')
               -- what was kept, being not copyable then, is the instance's own as before
               AND r.digest = s.digest,
               i.deployed_by, i.changed_by, i.status = 'DECOMMISSIONED', r.digest,
               r.bundle, r.version,
               promote_internal.config_params(i.project, r.digest),
               r.kept_marks,
               r.origin,
               CASE WHEN s.digest <> r.digest THEN promote_internal.config_params(i.project, s.digest) END,
               s.version_constraint, s.release_channel,
               (SELECT NULLIF(f.remote_references, '{}') FROM promote.bundle_release AS f
                 WHERE f.bundle = r.bundle AND f.version = r.version),
               p.revision, p.rendered_digest,
               p.version,
               -- needed where something waited before
               CASE WHEN p.rendered_digest <> r.digest
                         AND (i.revision IS DISTINCT FROM i.deployed_revision OR p.base_deployment = i.deployed_by)
                    THEN promote_internal.config_params(i.project, p.rendered_digest) END,
               p.remote_references,
               p.diff, p.destructive, p.reverts, p.base_deployment,
               p.base_deployment IS NOT DISTINCT FROM i.deployed_by
               -- what is claimed from now on starts from what runs then
               AND (p.status IN ('PROPOSED', 'PENDING', 'APPROVED') OR p.seen_change = i.changed_by),
               EXISTS (SELECT FROM promote.secret AS s
                        WHERE s.project = i.project AND s.environment = i.environment AND s.component = i.component
                          AND s.promoted_at IS NOT NULL OFFSET 0),
               promote_internal.parameters_of(i.project, i.environment), e.source_policy = 'path', e.promotion_mode, a.seq, a.hash,
               (SELECT p.digest_key FROM promote.project_key AS p WHERE p.project = i.project),
               -- what is opened anew begins with rules of its own
               CASE WHEN e.archived_at IS NULL THEN e.version_policy ELSE 'constraint' END,
               run.revision, run.bundle, run.version, run.version_constraint, run.release_channel,
               run.rendered_digest, run.params, run.template, run.params_schema, run.slots, run.remote_references,
               run.kept_marks, run.started_at,
               run.deployment IS NOT NULL AND NOT EXISTS (
                   SELECT FROM promote.deployment AS d
                    WHERE d.project = i.project AND d.environment = i.environment AND d.component = i.component
                      AND d.action <> 'PLAN' AND d.action = 'PROVISION' AND d.started_at >= run.started_at
                      AND d.deployment <> i.deployed_by OFFSET 0)
          FROM promote.instance AS i
          LEFT JOIN LATERAL (
              SELECT e.source_policy, e.version_policy, e.promotion_mode, e.archived_at FROM promote.environment AS e
               WHERE e.project = i.project AND e.environment = i.environment LIMIT 1) AS e ON true
          LEFT JOIN LATERAL (
              SELECT r.digest, r.bundle, r.version, r.kept_marks, r.origin, r.mode, r."only", r.overrides,
                     r.source_environment, r.source_revision
                FROM promote_internal.marked_revision AS r
               WHERE r.project = i.project AND r.environment = i.environment AND r.component = i.component
                 AND r.revision = i.revision LIMIT 1) AS r ON true
          LEFT JOIN LATERAL (
              SELECT s.digest, s.version_constraint, s.release_channel
                FROM promote.revision AS s
               WHERE r.origin IN ('promotion', 'fork') AND s.project = i.project AND s.environment = r.source_environment
                 AND s.component = i.component AND s.revision = r.source_revision LIMIT 1) AS s ON true
          LEFT JOIN LATERAL (
              SELECT d.revision, d.rendered_digest, d.version, d.destructive, d.reverts, d.remote_references, d.diff,
                     d.base_deployment, d.status, d.seen_change
                FROM promote.deployment AS d
               WHERE d.project = i.project AND d.environment = i.environment AND d.component = i.component
                 AND d.action = 'PLAN' AND d.status NOT IN ('FAILED', 'ABORTED', 'REJECTED')
                 AND d.revision > i.opened_revision
               ORDER BY d.project DESC, d.environment DESC, d.component DESC, d.revision DESC, d.deployment DESC LIMIT 1) AS p ON true
          LEFT JOIN LATERAL (
              SELECT a.seq, a.hash FROM promote.audit_log AS a
               WHERE a.project = i.project AND a.subject = i.name ORDER BY a.seq DESC LIMIT 1) AS a ON true
          LEFT JOIN LATERAL (
              SELECT c.* FROM promote_internal.carried AS c
               WHERE c.project = i.project AND c.environment = i.environment AND c.component = i.component
                 AND c.deployment = i.deployed_by LIMIT 1) AS run ON true
         WHERE i.project = $1 AND i.environment = $2 AND i.component = $3;
    END;
REVOKE ALL ON FUNCTION promote_internal.proposal_state(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.proposal_state(text, text, text) IS
'The present state of an instance, as proposals for it are judged by: what it desires (current_, own_) and what that was promoted from (own_source_), its last plan that came to something, which tells since when something waits and whether another one is needed (plan_; its params only where they are not its own), whether promotions have brought secrets, its environment''s parameters and rules, the head of its audit chain, the key of its project, and what runs (run_), also whether nothing else may run since (runs_alone): otherwise may_run has all that may. No row where it is not there';

CREATE FUNCTION promote_internal.fresh_state(
    of_project text, of_environment text, of_component text, by_parameters jsonb)
    RETURNS TABLE (
        project text, environment text, component text, name text, current_revision integer, opened_revision integer,
        archived boolean, current_deployment integer,
        current_constraint text, current_channel text, current_taken boolean, deployed_by integer, changed_by integer,
        decommissioned boolean, own_digest bytea, own_bundle text, own_version text, own_params jsonb, own_kept jsonb,
        own_origin text, own_source_params jsonb, own_source_constraint text, own_source_channel text,
        own_slots jsonb, plan_revision integer, plan_digest bytea,
        plan_version text, plan_params jsonb, plan_references jsonb,
        plan_diff jsonb, plan_destructive boolean, plan_reverts boolean, plan_base integer, plan_stands boolean,
        has_secrets boolean, parameters jsonb, path_only boolean, promotion_mode text, head bigint, head_hash bytea,
        digest_key bytea, version_policy text, run_revision integer, run_bundle text, run_version text,
        run_constraint text, run_channel text, run_digest bytea, run_params jsonb, run_template jsonb, run_schema jsonb,
        run_slots jsonb, run_references jsonb,
        run_kept jsonb, run_started timestamptz, runs_alone boolean)
    LANGUAGE sql STABLE ROWS 1
    BEGIN ATOMIC
        SELECT $1, $2, $3, $1 || '-' || $2 || '-' || $3, n.revision, n.revision,
               false, COALESCE(i.deployment, 0),
               NULL::text, NULL::text, NULL::boolean, NULL::integer, 0, false, NULL::bytea,
               NULL::text, NULL::text, NULL::jsonb, NULL::jsonb, NULL::text, NULL::jsonb, NULL::text, NULL::text,
               NULL::jsonb, NULL::integer, NULL::bytea, NULL::text, NULL::jsonb, NULL::jsonb,
               NULL::jsonb, NULL::boolean, NULL::boolean, NULL::integer, NULL::boolean,
               false, $4, false, 'replace', NULL::bigint, NULL::bytea,
               (SELECT p.digest_key FROM promote.project_key AS p WHERE p.project = $1),
               'constraint',
               NULL::integer, NULL::text, NULL::text, NULL::text, NULL::text,
               NULL::bytea, NULL::jsonb, NULL::jsonb, NULL::jsonb, NULL::jsonb, NULL::jsonb,
               NULL::jsonb, NULL::timestamptz, false
          FROM (SELECT) AS one
          LEFT JOIN promote.instance AS i ON i.project = $1 AND i.environment = $2 AND i.component = $3
         CROSS JOIN LATERAL (
              -- the number that opening takes, see promote_internal.open_instances
              SELECT COALESCE(i.revision + 1, 0) AS revision) AS n;
    END;
REVOKE ALL ON FUNCTION promote_internal.fresh_state(text, text, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.fresh_state(text, text, text, jsonb) IS
'The state that an instance would begin with if its environment were opened with these parameters, in the columns of proposal_state';

CREATE FUNCTION promote_internal.proposal_from(
    of_project text, of_environment text, of_component text, by_policy text, by_constraint text, by_channel text,
    of_revision integer)
    RETURNS TABLE (
        revision integer, params jsonb, version_constraint text, release_channel text, bundle text, version text,
        params_schema jsonb, block_reason text, slots jsonb, source_environment text, source_revision integer,
        source_parameters jsonb, source_bundle text, source_version text, kept_marks jsonb, source_kept jsonb,
        plan boolean, allow_replace boolean, fits boolean, digest bytea, facts jsonb, actor text, database_role text,
        created_at timestamptz, origin text, pinned boolean, source_constraint text, source_channel text)
    LANGUAGE sql STABLE ROWS 1
    BEGIN ATOMIC
        SELECT NULL::integer,
               promote_internal.config_params(s.project, r.digest),
               w.version_constraint, w.release_channel, m.bundle, rel.version,
               f.params_schema, f.block_reason, f.slots, s.environment,
               CASE WHEN $7 IS NULL THEN NULLIF(s.revision, s.opened_revision) ELSE r.revision END,
               promote_internal.parameters_of(s.project, s.environment),
               r.bundle, r.version, NULL::jsonb, r.kept_marks,
               false, false, true, NULL::bytea, NULL::jsonb, NULL::text, NULL::text,
               NULL::timestamptz, NULL::text, w.pinned, r.version_constraint, r.release_channel
          FROM promote.instance AS s
         CROSS JOIN LATERAL (
              SELECT m.bundle,
                     $4 IS NOT NULL AND COALESCE($5, m.version_policy, $4) = 'pinned' AS pinned
                FROM promote.component AS m
               WHERE m.project = s.project AND m.component = s.component LIMIT 1) AS m
          LEFT JOIN LATERAL (
              SELECT r.revision, r.digest, r.version_constraint, r.release_channel, r.bundle, r.version, r.kept_marks
                FROM promote_internal.marked_revision AS r
               WHERE r.project = s.project AND r.environment = s.environment AND r.component = s.component
                 -- without a number what is desired, by -1 what runs, by -2 none
                 AND r.revision = CASE WHEN $7 IS NULL THEN s.revision WHEN $7 = -1 THEN s.deployed_revision ELSE $7 END
               LIMIT 1) AS r ON true
         CROSS JOIN LATERAL (
              SELECT m.pinned,
                     CASE WHEN m.pinned THEN (
                         SELECT run.version::text FROM promote.deployment AS run
                          WHERE run.project = s.project AND run.environment = s.environment AND run.component = s.component
                            AND run.deployment = s.deployed_by)
                     ELSE COALESCE($5, r.version_constraint) END AS version_constraint,
                     COALESCE($6, r.release_channel) AS release_channel
              OFFSET 0) AS w
          LEFT JOIN LATERAL promote.resolve_release(
              m.bundle, w.version_constraint, w.release_channel) AS rel ON true
          LEFT JOIN LATERAL (
              SELECT f.params_schema, f.block_reason, NULLIF(f.remote_references, '{}') AS slots
                FROM promote.bundle_release AS f
               WHERE f.bundle = m.bundle AND f.version = rel.version LIMIT 1) AS f ON true
         WHERE s.project = $1 AND s.environment = $2 AND s.component = $3;
    END;
REVOKE ALL ON FUNCTION promote_internal.proposal_from(text, text, text, text, text, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.proposal_from(text, text, text, text, text, text, integer) IS
'What an instance desires, or one of its revisions, or, by -1, the one that runs (no source_revision where there is none, nor by -2), as a proposal for the same component in another environment with a version_policy, or, without one, for itself: by the newest release that its constraint, or another one that is given, allows now; pinned, as the constraint pinned, the component or that policy asks for, by the exact version that it runs, NULL where it runs nothing. No row where it is not there';

CREATE FUNCTION promote_internal.release_fits(version text, version_constraint text, release_channel text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN promote.version_key($1) >= (promote.version_range($2)).lower
           AND promote.version_key($1) < (promote.version_range($2)).upper
           AND ($3 = 'development' OR $2 ~ '^[0-9]' OR NOT promote.version_is_prerelease($1));
REVOKE ALL ON FUNCTION promote_internal.release_fits(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.release_fits(text, text, text) IS
'Is a version one that a constraint allows on a channel?';

CREATE FUNCTION promote_internal.proposal_of(
    of_project text, of_environment text, of_component text, of_revision integer)
    RETURNS TABLE (
        revision integer, params jsonb, version_constraint text, release_channel text, bundle text, version text,
        params_schema jsonb, block_reason text, slots jsonb, source_environment text, source_revision integer,
        source_parameters jsonb, source_bundle text, source_version text, kept_marks jsonb, source_kept jsonb,
        plan boolean, allow_replace boolean, fits boolean, digest bytea, facts jsonb, actor text, database_role text,
        created_at timestamptz, origin text, pinned boolean, source_constraint text, source_channel text)
    LANGUAGE sql STABLE ROWS 1
    BEGIN ATOMIC
        SELECT r.revision,
               promote_internal.config_params(r.project, r.digest),
               r.version_constraint, r.release_channel, r.bundle, r.version,
               f.params_schema, f.block_reason, f.slots, r.source_environment, r.source_revision,
               NULL::jsonb, s.bundle, s.version, r.kept_marks, s.kept_marks,
               r.plan, r.allow_replace,
               -- a release that was chosen by hand must be one that the constraint allows
               r.bundle = (SELECT m.bundle FROM promote.component AS m
                            WHERE m.project = r.project AND m.component = r.component LIMIT 1)
               AND promote_internal.release_fits(r.version, r.version_constraint, r.release_channel),
               r.digest, r.facts, r.actor, r.database_role, r.created_at, r.origin, false,
               NULL::text, NULL::text
          FROM (SELECT r.*, promote_internal.audit_facts(r) AS facts FROM promote.revision AS r
                 WHERE r.project = $1 AND r.environment = $2 AND r.component = $3 AND r.revision = $4 LIMIT 1) AS r
          LEFT JOIN LATERAL (
              SELECT s.bundle, s.version, s.kept_marks FROM promote_internal.marked_revision AS s
               WHERE s.project = r.project AND s.environment = r.source_environment AND s.component = r.component
                 AND s.revision = r.source_revision LIMIT 1) AS s ON true
          LEFT JOIN LATERAL (
              SELECT f.params_schema, f.block_reason, NULLIF(f.remote_references, '{}') AS slots
                FROM promote.bundle_release AS f
               WHERE f.bundle = r.bundle AND f.version = r.version LIMIT 1) AS f ON true;
    END;
REVOKE ALL ON FUNCTION promote_internal.proposal_of(text, text, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.proposal_of(text, text, text, integer) IS
'What a revision that was written proposes, in the columns of proposal_from; fits: its release is one that its component and its constraint may have';

CREATE FUNCTION promote_internal.may_run(of_project text, of_environment text, of_component text, deployed_by integer)
    RETURNS SETOF promote_internal.carried
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT d.*
          FROM (SELECT DISTINCT ON (d.revision, d.bundle, d.version, d.rendered_digest, d.remote_references) d.deployment
                  FROM promote.deployment AS d
                 WHERE d.project = $1 AND d.environment = $2 AND d.component = $3
                   AND d.action <> 'PLAN' AND d.action = 'PROVISION'
                   AND d.started_at >= COALESCE(
                           (SELECT b.started_at FROM promote.deployment AS b
                             WHERE b.project = $1 AND b.environment = $2 AND b.component = $3 AND b.deployment = $4),
                           (SELECT b.started_at FROM promote.deployment AS b
                             WHERE b.project = $1 AND b.environment = $2 AND b.component = $3
                               AND b.action <> 'PLAN' AND b.action = 'DECOMMISSION' AND b.status = 'COMPLETED'
                               AND b.started_at IS NOT NULL
                             ORDER BY b.project DESC, b.environment DESC, b.component DESC, b.started_at DESC LIMIT 1),
                           '-infinity')
                 -- whoever tries again carries the same again, which is read once
                 ORDER BY d.revision, d.bundle, d.version, d.rendered_digest, d.remote_references,
                       d.deployment = $4 DESC, d.deployment DESC) AS one
         CROSS JOIN LATERAL (
              SELECT d.*
                FROM promote_internal.carried AS d
               WHERE d.project = $1 AND d.environment = $2 AND d.component = $3 AND d.deployment = one.deployment
               LIMIT 1) AS d;
    END;
REVOKE ALL ON FUNCTION promote_internal.may_run(text, text, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.may_run(text, text, text, integer) IS
'What may run of an instance: what is carried by the deployment by which it is provisioned, and by every PROVISION that began since, of those that carry the same by one; of 0, by those that began since it was decommissioned';

CREATE FUNCTION promote_internal.complete_revision() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_complete_revision';
REVOKE ALL ON FUNCTION promote_internal.complete_revision() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.complete_revision() IS
'Fills in the number and the release of a revision that is inserted without them';

CREATE FUNCTION promote_internal.record_revision() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_record_revision';
REVOKE ALL ON FUNCTION promote_internal.record_revision() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.record_revision() IS
'Judges new revisions, moves their instances, queues their plans, appends to the audit log and notifies';

CREATE TRIGGER complete_revision BEFORE INSERT ON promote.revision
    FOR EACH ROW EXECUTE FUNCTION promote_internal.complete_revision();
CREATE TRIGGER record_revision AFTER INSERT ON promote.revision
    REFERENCING NEW TABLE AS new_revision
    FOR EACH STATEMENT EXECUTE FUNCTION promote_internal.record_revision();
ALTER TABLE promote.revision ENABLE ALWAYS TRIGGER complete_revision;
ALTER TABLE promote.revision ENABLE ALWAYS TRIGGER record_revision;
