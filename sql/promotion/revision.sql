-- What is proposed as a revision, and what writing one records.  The triggers are ENABLE ALWAYS:
-- session_replication_role does not switch them off.

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
           CASE WHEN EXISTS (
                    SELECT FROM promote.deployment AS d
                     WHERE d.project = r.project AND d.environment = r.environment
                       AND d.component = r.component AND d.revision = r.revision
                       AND d.kept_marks IS NOT NULL)
                THEN (SELECT pg_catalog.jsonb_agg(DISTINCT e.path)
                        FROM (SELECT d.kept_marks
                                FROM promote.deployment AS d
                               WHERE d.project = r.project AND d.environment = r.environment
                                 AND d.component = r.component AND d.revision = r.revision
                                 AND d.kept_marks IS NOT NULL
                              UNION ALL
                              SELECT r.kept_marks) AS m,
                             LATERAL pg_catalog.jsonb_array_elements(m.kept_marks) AS e (path))
                ELSE r.kept_marks
           END AS kept_marks
      FROM promote.revision AS r;
COMMENT ON VIEW promote_internal.marked_revision IS 'Revisions, with the paths that keep marks in their params: those that were written down with them and with their deployments, of which a parameter or another release may have decided what was marked, and decide otherwise by now; NULL: none do';

CREATE FUNCTION promote_internal.past_revision(of_project text, of_environment text, of_component text, at_most integer)
    RETURNS TABLE (
        revision integer, digest bytea, version_constraint text, release_channel text, bundle text, version text,
        origin text, source_environment text, source_revision integer, actor text, created_at timestamptz,
        message text, kept_marks jsonb)
    LANGUAGE sql STABLE ROWS 1
    BEGIN ATOMIC
        SELECT r.revision, r.digest, r.version_constraint, r.release_channel, r.bundle, r.version, r.origin,
               r.source_environment, r.source_revision, r.actor, r.created_at, r.message,
               (SELECT m.kept_marks FROM promote_internal.marked_revision AS m
                 WHERE m.project = r.project AND m.environment = r.environment AND m.component = r.component
                   AND m.revision = r.revision)
          FROM promote.revision AS r
         WHERE r.project = $1 AND r.environment = $2 AND r.component = $3 AND r.revision <= $4
         ORDER BY r.project DESC, r.environment DESC, r.component DESC, r.revision DESC LIMIT 1;
    END;
REVOKE ALL ON FUNCTION promote_internal.past_revision(text, text, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.past_revision(text, text, text, integer) IS
'The newest revision of an instance up to a number, with the paths that keep marks in its params; no row where there is none';

-- What a proposal is judged by and where it comes from are read by two functions each, which the planner inlines.
-- Everything is looked up by whole keys in subqueries of one row, which it does not take apart: however small a table
-- was when the plan was made, it cannot become a scan over a part of a key.
CREATE FUNCTION promote_internal.proposal_state(of_project text, of_environment text, of_component text)
    RETURNS TABLE (
        project text, environment text, component text, name text, current_revision integer, current_deployment integer,
        current_constraint text, current_channel text, current_taken boolean, deployed_by integer, changed_by integer,
        decommissioned boolean, own_digest bytea, own_bundle text, own_version text, own_params jsonb, own_kept jsonb,
        own_slots jsonb, plan_revision integer, plan_digest bytea,
        plan_version text, plan_params jsonb, plan_references jsonb,
        plan_diff jsonb, plan_destructive boolean, plan_reverts boolean, plan_base integer, plan_stands boolean,
        parameters jsonb, path_only boolean, promotion_mode text, head bigint, head_hash bytea)
    LANGUAGE sql STABLE ROWS 1
    BEGIN ATOMIC
        SELECT i.project, i.environment, i.component, i.name, i.revision, i.deployment,
               i.version_constraint, i.release_channel,
               r.origin IN ('promotion', 'fork') AND r.mode IS DISTINCT FROM 'merge' AND r."only" IS NULL
               AND COALESCE(r.overrides, '{}') IN ('{}', '[]')
               -- what was kept, being not copyable then, is the instance's own as before
               AND r.digest = (SELECT s.digest FROM promote.revision AS s
                                WHERE s.project = i.project AND s.environment = r.source_environment
                                  AND s.component = i.component AND s.revision = r.source_revision),
               i.deployed_by, i.changed_by, i.status = 'DECOMMISSIONED', r.digest,
               r.bundle, r.version,
               (SELECT c.params FROM promote.config AS c WHERE c.project = i.project AND c.digest = r.digest),
               r.kept_marks,
               (SELECT NULLIF(f.remote_references, '{}') FROM promote.bundle_release AS f
                 WHERE f.bundle = r.bundle AND f.version = r.version),
               p.revision, p.rendered_digest,
               p.version,
               -- needed where something waited before
               CASE WHEN p.rendered_digest <> r.digest
                         AND (i.revision IS DISTINCT FROM i.deployed_revision OR p.base_deployment = i.deployed_by) THEN
                   (SELECT c.params FROM promote.config AS c
                     WHERE c.project = i.project AND c.digest = p.rendered_digest) END,
               p.remote_references,
               p.diff, p.destructive, p.reverts, p.base_deployment,
               p.base_deployment IS NOT DISTINCT FROM i.deployed_by
               -- what is claimed from now on starts from what runs then
               AND (p.status IN ('PROPOSED', 'PENDING', 'APPROVED') OR p.seen_change = i.changed_by),
               e.parameters, e.source_policy = 'path', e.promotion_mode, a.seq, a.hash
          FROM promote.instance AS i
          LEFT JOIN LATERAL (
              SELECT e.parameters, e.source_policy, e.promotion_mode FROM promote.environment AS e
               WHERE e.project = i.project AND e.environment = i.environment LIMIT 1) AS e ON true
          LEFT JOIN LATERAL (
              SELECT r.digest, r.bundle, r.version, r.kept_marks, r.origin, r.mode, r."only", r.overrides,
                     r.source_environment, r.source_revision
                FROM promote_internal.marked_revision AS r
               WHERE r.project = i.project AND r.environment = i.environment AND r.component = i.component
                 AND r.revision = i.revision LIMIT 1) AS r ON true
          LEFT JOIN LATERAL (
              SELECT d.revision, d.rendered_digest, d.version, d.destructive, d.reverts, d.remote_references, d.diff,
                     d.base_deployment, d.status, d.seen_change
                FROM promote.deployment AS d
               WHERE d.project = i.project AND d.environment = i.environment AND d.component = i.component
                 AND d.action = 'PLAN' AND d.status NOT IN ('FAILED', 'ABORTED', 'REJECTED')
               ORDER BY d.revision DESC, d.deployment DESC LIMIT 1) AS p ON true
          LEFT JOIN LATERAL (
              SELECT a.seq, a.hash FROM promote.audit_log AS a
               WHERE a.project = i.project AND a.subject = i.name ORDER BY a.seq DESC LIMIT 1) AS a ON true
         WHERE i.project = $1 AND i.environment = $2 AND i.component = $3;
    END;
REVOKE ALL ON FUNCTION promote_internal.proposal_state(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.proposal_state(text, text, text) IS
'The present state of an instance, as proposals for it are judged by: what it desires (current_, own_), its last plan that came to something, which tells since when something waits and whether another one is needed (plan_; its params only where they are not its own), its environment''s parameters and rules, and the head of its audit chain. No row where it is not there';

CREATE FUNCTION promote_internal.proposal_from(
    to_project text, to_environment text, to_component text, from_environment text, by_constraint text, by_channel text,
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
               (SELECT c.params FROM promote.config AS c WHERE c.project = s.project AND c.digest = r.digest),
               w.version_constraint, w.release_channel, m.bundle, rel.version,
               f.params_schema, f.block_reason, f.slots, s.environment,
               CASE WHEN $7 IS NULL THEN s.revision ELSE r.revision END,
               (SELECT e.parameters FROM promote.environment AS e
                 WHERE e.project = s.project AND e.environment = s.environment),
               r.bundle, r.version, NULL::jsonb, r.kept_marks,
               false, false, true, NULL::bytea, NULL::jsonb, NULL::text, NULL::text,
               NULL::timestamptz, NULL::text, w.pinned, r.version_constraint, r.release_channel
          FROM promote.instance AS s
         CROSS JOIN LATERAL (
              SELECT m.bundle,
                     $4 <> $2 AND COALESCE($5, m.version_policy, (
                         SELECT e.version_policy FROM promote.environment AS e
                          WHERE e.project = $1 AND e.environment = $2)) = 'pinned' AS pinned
                FROM promote.component AS m
               WHERE m.project = s.project AND m.component = s.component LIMIT 1) AS m
          LEFT JOIN LATERAL (
              SELECT r.revision, r.digest, r.version_constraint, r.release_channel, r.bundle, r.version, r.kept_marks
                FROM promote_internal.marked_revision AS r
               WHERE r.project = s.project AND r.environment = s.environment AND r.component = s.component
                 -- without a number what is desired, by -1 what runs
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
         WHERE s.project = $1 AND s.environment = $4 AND s.component = $3;
    END;
REVOKE ALL ON FUNCTION promote_internal.proposal_from(text, text, text, text, text, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.proposal_from(text, text, text, text, text, text, integer) IS
'What the instance of a component in one environment desires, or one of its revisions, or, by -1, the one that runs (no source_revision where there is none), as a proposal for the one in another, or for itself: by the newest release that its constraint, or another one that is given, or, by own, that of the proposals instance, allows now; pinned, as the constraint pinned, the component or the destination''s environment asks for, by the exact version that it runs, NULL where it runs nothing. No row where it is not there';

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
               (SELECT c.params FROM promote.config AS c WHERE c.project = r.project AND c.digest = r.digest),
               r.version_constraint, r.release_channel, r.bundle, r.version,
               f.params_schema, f.block_reason, f.slots, r.source_environment, r.source_revision,
               NULL::jsonb, s.bundle, s.version, r.kept_marks, s.kept_marks,
               r.plan, r.allow_replace,
               -- a release that was chosen by hand must be one that the constraint allows
               r.bundle = (SELECT m.bundle FROM promote.component AS m
                            WHERE m.project = r.project AND m.component = r.component LIMIT 1)
               AND promote.version_key(r.version) >= (promote.version_range(r.version_constraint)).lower
               AND promote.version_key(r.version) < (promote.version_range(r.version_constraint)).upper
               AND (r.release_channel = 'development' OR r.version_constraint ~ '^[0-9]'
                    OR NOT promote.version_is_prerelease(r.version)),
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
                THEN (SELECT t.params FROM promote.config AS t WHERE t.project = d.project AND t.digest = v.digest)
           END AS template,
           f.params_schema,
           f.slots,
           d.remote_references,
           (SELECT r.kept_marks FROM promote_internal.marked_revision AS r
             WHERE r.project = d.project AND r.environment = d.environment AND r.component = d.component
               AND r.revision = d.revision) AS kept_marks
      FROM promote.deployment AS d
     CROSS JOIN LATERAL (
          SELECT c.params FROM promote.config AS c
           WHERE c.project = d.project AND c.digest = d.rendered_digest LIMIT 1) AS c
     CROSS JOIN LATERAL (
          SELECT v.digest, v.version_constraint, v.release_channel FROM promote.revision AS v
           WHERE v.project = d.project AND v.environment = d.environment AND v.component = d.component
             AND v.revision = d.revision LIMIT 1) AS v
     CROSS JOIN LATERAL (
          SELECT f.params_schema, NULLIF(f.remote_references, '{}') AS slots FROM promote.bundle_release AS f
           WHERE f.bundle = d.bundle AND f.version = d.version LIMIT 1) AS f;
COMMENT ON VIEW promote_internal.carried IS 'What deployments carry: the release with its constraint and channel, their rendered params, what these were rendered of (NULL: the same), the schema and the slots of the release, remote references, and the paths that keep marks';

CREATE FUNCTION promote_internal.may_run(of_project text, of_environment text, of_component text, deployed_by integer)
    RETURNS SETOF promote_internal.carried
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT d.*
          FROM promote_internal.carried AS d
         WHERE d.project = $1 AND d.environment = $2 AND d.component = $3
           AND d.action <> 'PLAN' AND d.action = 'PROVISION'
           AND d.started_at >= COALESCE(
                   (SELECT b.started_at FROM promote.deployment AS b
                     WHERE b.project = $1 AND b.environment = $2 AND b.component = $3 AND b.deployment = $4),
                   (SELECT pg_catalog.max(b.started_at) FROM promote.deployment AS b
                     WHERE b.project = $1 AND b.environment = $2 AND b.component = $3
                       AND b.action <> 'PLAN' AND b.action = 'DECOMMISSION' AND b.status = 'COMPLETED'),
                   '-infinity');
    END;
REVOKE ALL ON FUNCTION promote_internal.may_run(text, text, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.may_run(text, text, text, integer) IS
'What may run of an instance: what is carried by the deployment by which it is provisioned, and by every PROVISION that began since; of 0, by those that began since it was decommissioned';

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
