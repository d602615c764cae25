-- What gates judge: the case of a deployment, who has asked for it, and whether what waits may still begin.

CREATE FUNCTION promote_internal.deployment_target(project text, environment text, component text, deployment integer)
    RETURNS TABLE (action text, revision integer, bundle text, version text, plan integer, plan_digest bytea)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
    BEGIN ATOMIC
        SELECT CASE d.action WHEN 'PLAN' THEN 'PROVISION' ELSE d.action END, d.revision, d.bundle::text, d.version::text,
               CASE d.action WHEN 'PLAN' THEN d.deployment ELSE d.plan END, d.plan_digest
          FROM promote.deployment AS d
         WHERE d.project = $1 AND d.environment = $2 AND d.component = $3 AND d.deployment = $4;
    END;
REVOKE ALL ON FUNCTION promote_internal.deployment_target(text, text, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.deployment_target(text, text, text, integer) IS
'What would run by a deployment that exists, where a PLAN or a proposal stands for what follows it';

CREATE FUNCTION promote_internal.case_target(project text, environment text, component text)
    RETURNS TABLE (action text, revision integer, bundle text, version text, plan integer, plan_digest bytea)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
    BEGIN ATOMIC
        SELECT 'PROVISION', i.revision, i.bundle::text, i.version, p.deployment, p.plan_digest
          FROM promote_internal.instance_release AS i
          LEFT JOIN LATERAL (
              SELECT d.deployment, d.plan_digest
                FROM promote.deployment AS d
               WHERE d.project = i.project AND d.environment = i.environment AND d.component = i.component
                 AND d.action = 'PLAN' AND d.revision = i.revision AND d.status = 'COMPLETED'
               ORDER BY d.deployment DESC LIMIT 1) AS p ON true
         WHERE i.project = $1 AND i.environment = $2 AND i.component = $3;
    END;
REVOKE ALL ON FUNCTION promote_internal.case_target(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.case_target(text, text, text) IS
'What would run if deploy_instance were called now without naming a plan';

CREATE FUNCTION promote_internal.case_facts(project text, environment text, component text, revision integer)
    RETURNS TABLE (digest bytea, source_environment text, source_revision integer, source_digest bytea, attributes jsonb,
                   path_only boolean, require_source_in_sync boolean, require_no_drift boolean,
                   require_expected boolean, require_proven_release boolean, require_no_reverts boolean, require_artifact_digest boolean,
                   require_structure text, separation_of_duty boolean, required_soak interval)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
    BEGIN ATOMIC
        SELECT r.digest, NULLIF(r.source_environment, r.environment)::text, r.source_revision, s.digest,
               promote_internal.effective_attributes(p.attributes, e.attributes, c.attributes, i.attributes),
               e.source_policy = 'path', e.require_source_in_sync, e.require_no_drift,
               e.require_expected, e.require_proven_release, e.require_no_reverts, e.require_artifact_digest,
               e.require_structure::text, e.separation_of_duty, e.required_soak
          FROM promote.instance AS i
          JOIN promote.project AS p ON p.project = i.project
          JOIN promote.environment AS e ON e.project = i.project AND e.environment = i.environment
          JOIN promote.component AS c ON c.project = i.project AND c.component = i.component
          LEFT JOIN LATERAL (
              SELECT r.digest, r.environment, r.source_environment, r.source_revision
                FROM promote.revision AS r
               WHERE r.project = i.project AND r.environment = i.environment AND r.component = i.component
                 AND r.revision = $4
               LIMIT 1) AS r ON true
          LEFT JOIN LATERAL (
              SELECT s.digest
                FROM promote.revision AS s
               WHERE s.project = i.project AND s.environment = r.source_environment AND s.component = i.component
                 AND s.revision = r.source_revision
               LIMIT 1) AS s ON true
         WHERE i.project = $1 AND i.environment = $2 AND i.component = $3;
    END;
REVOKE ALL ON FUNCTION promote_internal.case_facts(text, text, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.case_facts(text, text, text, integer) IS
'By what a revision of an instance is judged: where it was promoted from, if that is another instance, what selectors look at, and the rules that are columns of its environment';

CREATE FUNCTION promote_internal.last_run(project text, environment text, component text)
    RETURNS TABLE (revision integer, remote_references jsonb)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
    BEGIN ATOMIC
        SELECT d.revision, d.remote_references
          FROM promote.deployment AS d
         WHERE d.project = $1 AND d.environment = $2 AND d.component = $3
           AND d.action <> 'PLAN' AND d.started_at IS NOT NULL AND d.action = 'PROVISION' AND d.status = 'COMPLETED'
           AND d.revision > (SELECT o.revision FROM promote_internal.opened_revision($1, $2, $3) AS o)
         ORDER BY d.project DESC, d.environment DESC, d.component DESC, d.started_at DESC LIMIT 1;
    END;
REVOKE ALL ON FUNCTION promote_internal.last_run(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.last_run(text, text, text) IS
'What was provisioned last of an instance in the generation of its environment; no row: nothing was';

CREATE FUNCTION promote_internal.requesters(
    project text, environment text, component text, revision integer, plan integer, deployment integer,
    bundle text, version text)
    RETURNS TABLE (actor text, database_role text, part text)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 3
    BEGIN ATOMIC
        SELECT DISTINCT who.actor, who.database_role, who.part
          FROM (SELECT LEAST(COALESCE(l.revision, o.revision, 0) + 1, $4) AS first_revision, l.remote_references AS carried
                  FROM (VALUES (1)) AS one (one)
                  LEFT JOIN LATERAL promote_internal.opened_revision($1, $2, $3) AS o ON true
                  LEFT JOIN LATERAL promote_internal.last_run($1, $2, $3) AS l ON true
                OFFSET 0) AS since
         CROSS JOIN LATERAL (
              SELECT p.actor, p.database_role, p.part
                FROM promote.revision AS r
               CROSS JOIN LATERAL (VALUES (r.actor, r.database_role, 'asked'), (r.moved_by, r.moved_role, CASE WHEN r.imported_at IS NULL THEN 'moved' ELSE 'asked' END)) AS p (actor, database_role, part)
               WHERE r.project = $1 AND r.environment = $2 AND r.component = $3
                 AND r.revision BETWEEN since.first_revision AND $4
              UNION ALL
              -- approvals are of a change, whichever of equal plans they were given on: so is having asked
              SELECT p.actor, p.database_role, p.part
                FROM (SELECT $5 AS deployment
                       UNION ALL
                      SELECT $6
                       UNION ALL
                      SELECT e.deployment
                        FROM promote.deployment AS o
                        JOIN promote.deployment AS e
                          ON e.project = $1 AND e.environment = $2 AND e.component = $3 AND e.action = 'PLAN'
                         AND e.revision = o.revision AND e.version = o.version AND e.plan_digest = o.plan_digest
                         AND e.base_deployment IS NOT DISTINCT FROM o.base_deployment
                       WHERE o.project = $1 AND o.environment = $2 AND o.component = $3 AND o.deployment = $5) AS of
                JOIN promote.deployment AS d
                  ON d.project = $1 AND d.environment = $2 AND d.component = $3 AND d.deployment = of.deployment
               CROSS JOIN LATERAL (
                    SELECT d.actor, d.database_role, 'asked'
                     UNION ALL
                    SELECT d.moved_by, d.moved_role, 'moved'
                     UNION ALL
                    SELECT j.actor, j.database_role, 'asked'
                      FROM pg_catalog.jsonb_to_recordset(d.joined_by) AS j (actor text, database_role text)) AS p (actor, database_role, part)
              UNION ALL
              -- who opened a request, and who took its previews, which say what it stages
              SELECT p.actor, p.database_role, p.part
                FROM promote.promotion_request_item AS t
                JOIN promote.promotion_request AS q ON q.project = t.project AND q.request = t.request
               CROSS JOIN LATERAL (
                    SELECT q.actor, q.database_role, 'asked'
                     UNION ALL
                    SELECT v.actor, v.database_role, 'moved'
                      FROM promote.promotion_request_preview AS v
                     WHERE v.project = q.project AND v.request = q.request
                     UNION ALL
                    SELECT s.actor, s.database_role, 'made'
                      FROM promote.secret AS s
                     WHERE q.copy_secrets AND s.project = q.project AND s.environment = q.source_environment
                       AND s.component = t.component) AS p (actor, database_role, part)
               WHERE t.project = $1 AND t.destination_environment = $2 AND t.component = $3
                 AND (t.revision BETWEEN since.first_revision AND $4
                      OR t.rollback_revision BETWEEN since.first_revision AND $4)
              UNION ALL
              -- the source's revisions that a request has staged since the last promotion from there that has run
              SELECT s.actor, s.database_role, 'made'
                FROM promote.revision AS r
               CROSS JOIN LATERAL (
                    SELECT COALESCE((SELECT b.source_revision
                                       FROM promote.revision AS b
                                      WHERE b.project = $1 AND b.environment = $2 AND b.component = $3
                                        AND b.revision < since.first_revision AND b.source_environment = r.source_environment
                                      ORDER BY b.revision DESC LIMIT 1), 0)) AS before (source_revision)
                JOIN promote.revision AS s
                  ON s.project = $1 AND s.environment = r.source_environment AND s.component = $3
                 AND s.revision > LEAST(before.source_revision, r.source_revision - 1) AND s.revision <= r.source_revision
               WHERE r.project = $1 AND r.environment = $2 AND r.component = $3
                 AND r.revision BETWEEN since.first_revision AND $4
                 AND r.moved_by IS NOT NULL AND r.source_environment <> $2
              UNION ALL
              SELECT p.actor, p.database_role, p.part
                FROM promote.bundle_release AS f
                JOIN promote.remote_reference AS x ON x.project = $1 AND x.environment = $2 AND x.component = $3
                 AND f.remote_references ? x.field
               CROSS JOIN LATERAL (
                    SELECT x.actor, x.database_role, 'asked'
                     UNION ALL
                    SELECT x.moved_by, x.moved_role, 'moved'
                     UNION ALL
                    SELECT y.actor, y.database_role, 'made'
                      FROM promote.remote_reference AS y
                     WHERE x.moved_by IS NOT NULL
                       AND y.project = $1 AND y.component = $3 AND y.field = x.field AND y.reference = x.reference) AS p (actor, database_role, part)
               WHERE f.bundle = $7 AND f.version = $8
                 AND promote_internal.desired_references($1, $2, $3, f.remote_references) ->> x.field
                     IS DISTINCT FROM since.carried ->> x.field
              UNION ALL
              -- of a reference that is gone its chain tells by whom
              SELECT a.actor, a.database_role, 'asked'
                FROM promote.bundle_release AS f
               CROSS JOIN LATERAL pg_catalog.jsonb_object_keys(since.carried) AS k (field)
               CROSS JOIN LATERAL (
                    SELECT a.actor, a.database_role
                      FROM promote.audit_log AS a
                     WHERE a.project = $1
                       AND a.subject = pg_catalog.concat('remote_reference ', pg_catalog.concat_ws('/', $1, $2, $3, k.field))
                     ORDER BY a.seq DESC LIMIT 1) AS a
               WHERE f.bundle = $7 AND f.version = $8 AND f.remote_references ? k.field
                 AND promote_internal.desired_references($1, $2, $3, f.remote_references) ->> k.field
                     IS DISTINCT FROM since.carried ->> k.field
                 AND NOT EXISTS (SELECT FROM promote.remote_reference AS x
                                  WHERE x.project = $1 AND x.environment = $2 AND x.component = $3
                                    AND x.field = k.field)) AS who
         WHERE who.actor IS NOT NULL;
    END;
REVOKE ALL ON FUNCTION promote_internal.requesters(text, text, text, integer, integer, integer, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.requesters(text, text, text, integer, integer, integer, text, text) IS
'Who has a part in what a case would deploy. asked: who made its revision, or has imported it, and those before it that have come to nothing yet, for what these have changed goes along; who made its plan, or an equal one of what ran then, too, or has asked for one of these by promote.plan_and_deploy, and its proposal; who opened a request that has staged one of the revisions; and who has set or removed remote references, in slots of its release, that are others than what was provisioned last has. Of what is taken away (revision 0, no version) those alone who have proposed that. moved: who has moved or previewed such a request; made: whose edits at the source it has staged, and whose references and secrets it has copied. Whoever has done both has asked for it, too';

CREATE FUNCTION promote_internal.changes_before(project text, environment text, component text, plan integer)
    RETURNS TABLE (deployment integer, status text)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
    BEGIN ATOMIC
        SELECT d.deployment, d.status
          FROM (SELECT d.deployment, d.status, d.plan, d.bundle, d.version, d.started_at
                  FROM promote.deployment AS d
                 WHERE d.project = $1 AND d.environment = $2 AND d.component = $3
                   AND d.status IN ('PENDING', 'APPROVED', 'RUNNING') AND d.action <> 'PLAN'
                 ORDER BY d.queued_at DESC, d.deployment DESC
                 LIMIT 1) AS d
         WHERE d.plan IS DISTINCT FROM $4
            OR d.status = 'RUNNING' AND EXISTS (
                   SELECT
                     FROM promote.bundle_release AS f
                     JOIN promote_internal.moved_secret AS s
                       ON s.project = $1 AND s.environment = $2 AND s.component = $3 AND f.secrets ? s.secret
                    WHERE f.bundle = d.bundle AND f.version = d.version AND s.at > d.started_at);
    END;
REVOKE ALL ON FUNCTION promote_internal.changes_before(text, text, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.changes_before(text, text, text, integer) IS
'What waits or runs and will have changed the instance before a PROVISION by a plan would begin, so that the plan does not hold then. No row where nothing does, or where that PROVISION is there already, the last of the queue, and its worker cannot have missed that a secret was set or removed: then it is the one that is asked for';

CREATE FUNCTION promote_internal.outdated(project text, environment text, component text, deployment integer)
    RETURNS TABLE (reason text, may_replace boolean)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
    BEGIN ATOMIC
        SELECT CASE
                   WHEN d.plan IS NOT NULL AND (
                            SELECT p.seen_change
                              FROM promote.deployment AS p
                             WHERE p.project = d.project AND p.environment = d.environment AND p.component = d.component
                               AND p.deployment = d.plan) <> i.changed_by
                       THEN pg_catalog.concat('deployment ', i.changed_by, ' has changed the instance since it was planned')
                   WHEN d.action = 'PROVISION' THEN (
                            SELECT pg_catalog.concat('release ', b.version, ' is blocked: ', b.reason)
                              FROM promote_internal.blocked_release AS b
                             WHERE b.bundle = d.bundle AND b.version = d.version)
                   WHEN d.action = 'DECOMMISSION' AND (
                            SELECT e.decommission_protection
                              FROM promote.environment AS e
                             WHERE e.project = d.project AND e.environment = d.environment)
                       THEN 'the instance is protected from being decommissioned by now'
                   WHEN d.action = 'DECOMMISSION' AND (
                            SELECT p.rendered_digest <> d.rendered_digest OR p.version <> d.version
                              FROM promote.deployment AS p
                             WHERE p.project = d.project AND p.environment = d.environment AND p.component = d.component
                               AND p.deployment = i.changed_by)
                       THEN pg_catalog.concat('deployment ', i.changed_by, ' has changed the instance since it was queued')
               END,
               d.action = 'PROVISION' AND d.plan IS NULL
               AND (d.base_revision IS DISTINCT FROM i.deployed_revision
                    OR NOT d.destructive AND d.remote_references IS DISTINCT FROM (
                            SELECT u.remote_references
                              FROM promote.deployment AS u
                             WHERE u.project = d.project AND u.environment = d.environment AND u.component = d.component
                               AND u.deployment = i.deployed_by))
          FROM promote.deployment AS d
          JOIN promote.instance AS i
            ON i.project = d.project AND i.environment = d.environment AND i.component = d.component
         WHERE d.project = $1 AND d.environment = $2 AND d.component = $3 AND d.deployment = $4;
    END;
REVOKE ALL ON FUNCTION promote_internal.outdated(text, text, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.outdated(text, text, text, integer) IS
'Why what waits must not be begun any more (NULL: nothing is known against it), and whether it may replace, without a plan, what something else has provisioned since';

CREATE VIEW promote_internal.reviewed_instance WITH (security_invoker = true) AS
    SELECT i.project,
           i.environment,
           i.component,
           i.revision,
           i.deployed_by,
           i.changed_by,
           e.require_plan,
           e.decommission_protection AS protected,
           r.allow_replace
      FROM promote.instance AS i
      JOIN promote.environment AS e ON e.project = i.project AND e.environment = i.environment
      LEFT JOIN LATERAL (
          SELECT r.allow_replace
            FROM promote.revision AS r
           WHERE r.project = i.project AND r.environment = i.environment AND r.component = i.component
             AND r.revision = i.revision LIMIT 1) AS r ON true;
COMMENT ON VIEW promote_internal.reviewed_instance IS 'What the order to deploy an instance is reviewed by, besides what it desires: its last changes, and the rules of its environment';

CREATE FUNCTION promote_internal.carried_out(project text, environment text, component text)
    RETURNS TABLE (plan integer)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
    BEGIN ATOMIC
        SELECT d.plan
          FROM promote.instance AS i
         CROSS JOIN LATERAL (
              SELECT d.plan
                FROM promote.deployment AS d
               WHERE d.project = $1 AND d.environment = $2 AND d.component = $3 AND d.deployment = i.changed_by LIMIT 1) AS d
         CROSS JOIN promote.instance_status AS s
         WHERE i.project = $1 AND i.environment = $2 AND i.component = $3 AND i.changed_by = i.deployed_by
           -- by the key that was asked for: PostgreSQL does not reorder as many joins as the view has, and with i's columns it
           -- would work out the status of every instance there is
           AND s.project = $1 AND s.environment = $2 AND s.component = $3 AND s.status = 'in_sync';
    END;
REVOKE ALL ON FUNCTION promote_internal.carried_out(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.carried_out(text, text, text) IS
'The plan that the last change of an instance in sync has followed, NULL where it followed none; no row: what it desires is not carried out';

CREATE FUNCTION promote_internal.known_gates(
    project text, environment text, component text, revision integer, bundle text, version text, plan integer)
    RETURNS TABLE (of_bundle boolean, blocked boolean, declares boolean, digested boolean, checks boolean, differs boolean,
                   held boolean, proven boolean, recorded boolean, policies boolean, rules boolean)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
    BEGIN ATOMIC
        SELECT (SELECT c.bundle = $5 FROM promote.component AS c WHERE c.project = $1 AND c.component = $3),
               f.block_reason IS NOT NULL,
               f.secrets <> '{}' OR f.remote_references <> '{}',
               f.artifact_digest IS NOT NULL,
               EXISTS (SELECT FROM promote.required_check AS c
                        WHERE c.scope = ANY (promote_internal.rule_scopes($1, $2))),
               EXISTS (SELECT FROM promote_internal.differing_instance AS x
                        WHERE x.project = $1 AND x.environment = $2 AND x.component = $3),
               EXISTS (SELECT FROM promote_internal.holding_request AS h
                        WHERE h.project = $1 AND h.environment = $2 AND h.component = $3),
               NOT e.require_proven_release
               OR EXISTS (SELECT
                            FROM promote.revision AS r
                           CROSS JOIN LATERAL promote_internal.proving_runs($1, $2, $3, $5, $6, r.source_environment,
                                                                            r.source_revision, e.source_policy = 'path')
                           WHERE r.project = $1 AND r.environment = $2 AND r.component = $3 AND r.revision = $4
                             AND r.source_environment <> r.environment)
               OR EXISTS (SELECT
                            FROM promote.revision AS r
                           WHERE r.project = $1 AND r.environment = $2 AND r.component = $3 AND r.revision = $4
                             AND (r.source_environment = r.environment) IS NOT FALSE
                             AND NOT EXISTS (SELECT FROM promote_internal.brought_release($1, $2, $3, $4, $5, $6))),
               (SELECT d.plan_facts IS NOT NULL FROM promote.deployment AS d
                 WHERE d.project = $1 AND d.environment = $2 AND d.component = $3 AND d.deployment = $7),
               EXISTS (SELECT FROM promote.policy AS p
                        WHERE p.enabled AND (p.project = $1 OR p.project IS NULL)
                          AND (p.environment = $2 OR p.environment IS NULL)),
               EXISTS (SELECT FROM promote.approval_rule AS r
                        WHERE r.scope = ANY (promote_internal.rule_scopes($1, $2)))
          FROM promote.environment AS e
          JOIN promote.bundle_release AS f ON f.bundle = $5 AND f.version = $6
         WHERE e.project = $1 AND e.environment = $2;
    END;
REVOKE ALL ON FUNCTION promote_internal.known_gates(text, text, text, integer, text, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.known_gates(text, text, text, integer, text, text, integer) IS
'Of a PROVISION of a revision by a release and a plan (NULL: none), what says that gates have nothing to look at, so that many are judged by one statement: the release is of the component''s bundle, not blocked, declares no secrets and references, or has a digest; the environment requires no checks; the instance does not differ, no request holds it, its release is proven where its revision came from, or nobody has brought it, its plan has recorded changes, and there are no policies and approval rules of the environment. Where it says otherwise, the gate looks itself';

CREATE FUNCTION promote_internal.known_plan(
    project text, environment text, component text, revision integer, named integer)
    RETURNS TABLE (plan integer, action text, status text, revision integer, version text, rendered_digest bytea,
                   remote_references jsonb, plan_digest bytea, seen_change integer, plan_defects text,
                   last_plan integer, newer_plan integer, change_before text)
    LANGUAGE sql STABLE ROWS 1
    BEGIN ATOMIC
        SELECT p.deployment, p.action, p.status, p.revision, p.version::text, p.rendered_digest, p.remote_references,
               p.plan_digest, p.seen_change, NULLIF(pg_catalog.array_to_string(p.plan_defects, ', '), ''),
               l.deployment,
               (SELECT d.deployment FROM promote.deployment AS d
                 WHERE d.project = $1 AND d.environment = $2 AND d.component = $3 AND d.action = 'PLAN'
                   AND d.revision = p.revision AND d.deployment > p.deployment AND d.status = 'COMPLETED'
                   AND d.plan_digest <> p.plan_digest
                 ORDER BY d.deployment DESC LIMIT 1),
               (SELECT pg_catalog.concat('Deployment ', b.deployment, ', which is ', b.status,
                                         ', will have changed the instance before.')
                  FROM promote_internal.changes_before($1, $2, $3, p.deployment) AS b)
          FROM (VALUES (1)) AS one (one)
          LEFT JOIN LATERAL (
              SELECT d.deployment
                FROM promote.deployment AS d
               WHERE d.project = $1 AND d.environment = $2 AND d.component = $3 AND d.action = 'PLAN' AND d.revision = $4
                 AND d.status = 'COMPLETED'
               ORDER BY d.revision DESC, d.deployment DESC LIMIT 1) AS l ON true
          LEFT JOIN LATERAL (
              SELECT d.deployment, d.action, d.status, d.revision, d.version, d.rendered_digest, d.remote_references,
                     d.plan_digest, d.seen_change, d.plan_defects
                FROM promote.deployment AS d
               WHERE d.project = $1 AND d.environment = $2 AND d.component = $3
                 AND d.deployment = COALESCE($5, l.deployment) LIMIT 1) AS p ON true;
    END;
REVOKE ALL ON FUNCTION promote_internal.known_plan(text, text, text, integer, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.known_plan(text, text, text, integer, integer) IS
'The plan that a PROVISION of a revision would follow, so that many are judged by one statement: the one that is named (NULL: none), or the last completed one, which is last_plan; newer_plan: a later one of its revision that came to another result; change_before: what promote_internal.changes_before says, in a sentence. NULL where there is none';
