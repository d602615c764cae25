-- What a policy, or a gate with other settings, would have stopped of what was deployed.

CREATE FUNCTION promote_internal.backtest_span(
    INOUT project text, INOUT since timestamptz, INOUT until timestamptz, INOUT environment text,
    policy text, body text, settings jsonb, OUT policy_environment text, OUT policy_component text)
    LANGUAGE c STABLE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_backtest_span';
GRANT EXECUTE ON FUNCTION promote_internal.backtest_span(text, timestamptz, timestamptz, text, text, text, jsonb) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.backtest_span(text, timestamptz, timestamptz, text, text, text, jsonb) IS
'As promote_internal.report_span, with the environment that is asked about (NULL: all), and where the policy counts, by which the project is found where none is named; PM002, PM404, PM602, PM610 and PM701 for what cannot be asked';

CREATE FUNCTION promote_internal.carried_out_between(
    of_project text, since timestamptz, until timestamptz, of_environment text)
    RETURNS TABLE (environment text, component text, instance text, deployment integer, action text, actor text,
                   ordered_at timestamptz, begun_at timestamptz, outcome text)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 1000
    BEGIN ATOMIC
        SELECT d.environment::text, d.component::text, i.name, d.deployment, d.action, d.actor,
               -- judged a little before it was written down; what was imported was not judged here
               COALESCE((d.gates ->> 'at')::timestamptz, d.queued_at), d.started_at, d.status
          FROM promote.deployment AS d
          JOIN promote.instance AS i
            ON i.project = d.project AND i.environment = d.environment AND i.component = d.component
         WHERE d.project = $1 AND d.action <> 'PLAN' AND d.queued_at >= $2 AND d.queued_at < $3
           AND d.started_at IS NOT NULL AND ($4 IS NULL OR d.environment = $4)
           AND promote.may('view', d.project, d.environment);
    END;
GRANT EXECUTE ON FUNCTION promote_internal.carried_out_between(text, timestamptz, timestamptz, text) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.carried_out_between(text, timestamptz, timestamptz, text) IS
'What was queued in a span of time and then begun by a worker, in environments that the caller may view: when it was judged, when it was begun last, and what became of it';

CREATE FUNCTION promote_internal.attributes_moved(
    project text, environment text, component text, at timestamptz) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT EXISTS (
                   SELECT
                     FROM (VALUES ('project ' || $1), ('environment ' || $1 || '/' || $2),
                                  ('component ' || $1 || '/' || $3),
                                  ('instance ' || $1 || '/' || $2 || '/' || $3)) AS s (subject)
                    CROSS JOIN LATERAL (
                         SELECT
                           FROM promote.audit_log AS a
                          WHERE a.project = $1 AND a.subject = s.subject AND a.at > $4
                            AND a.data -> 'before' -> 'attributes' IS DISTINCT FROM a.data -> 'after' -> 'attributes'
                          LIMIT 1) AS moved);
    END;
REVOKE ALL ON FUNCTION promote_internal.attributes_moved(text, text, text, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.attributes_moved(text, text, text, timestamptz) IS
'Does the log tell that attributes which selectors look at for an instance were changed since?';

CREATE FUNCTION promote_internal.asked_then(project text, environment text, component text, deployment integer)
    RETURNS TABLE (actor text, database_role text)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 3
    BEGIN ATOMIC
        WITH judged AS (
            SELECT d.action, d.revision, LEAST(COALESCE(d.base_revision, 0) + 1, d.revision) AS first_revision, d.plan,
                   d.actor, d.database_role
              FROM promote.deployment AS d
             WHERE d.project = $1 AND d.environment = $2 AND d.component = $3 AND d.deployment = $4
        )
        SELECT j.actor, j.database_role FROM judged AS j
         UNION
        SELECT w.actor, w.database_role
          FROM judged AS j
          JOIN promote.deployment AS p
            ON p.project = $1 AND p.environment = $2 AND p.component = $3 AND p.deployment = j.plan
         CROSS JOIN LATERAL (
              SELECT p.actor, p.database_role
               UNION ALL
              SELECT o.actor, o.database_role
                FROM pg_catalog.jsonb_to_recordset(p.joined_by) AS o (actor text, database_role text)) AS w
         UNION
        SELECT r.actor, r.database_role
          FROM judged AS j
          JOIN promote.revision AS r
            ON r.project = $1 AND r.environment = $2 AND r.component = $3
               AND r.revision >= j.first_revision AND r.revision <= j.revision
         WHERE j.action = 'PROVISION'
         UNION
        SELECT q.actor, q.database_role
          FROM judged AS j
          JOIN promote.promotion_request_item AS t
            ON t.project = $1 AND t.destination_environment = $2 AND t.component = $3
               AND (t.revision BETWEEN j.first_revision AND j.revision
                    OR t.rollback_revision BETWEEN j.first_revision AND j.revision)
          JOIN promote.promotion_request AS q ON q.project = t.project AND q.request = t.request
         WHERE j.action = 'PROVISION';
    END;
REVOKE ALL ON FUNCTION promote_internal.asked_then(text, text, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.asked_then(text, text, text, integer) IS
'Who had asked for what was deployed: who made its revision and those since what ran, who asked for its plan and for it, and who opened a request that staged one of them';

CREATE FUNCTION promote_internal.backtest_policy(
    instance text, deployment integer, at timestamptz, policy text, body text)
    RETURNS TABLE (verdict text, code text, message text, until timestamptz)
    LANGUAGE c STABLE PARALLEL UNSAFE ROWS 1
    AS 'MODULE_PATHNAME', 'promote_backtest_policy';
GRANT EXECUTE ON FUNCTION promote_internal.backtest_policy(text, integer, timestamptz, text, text) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.backtest_policy(text, integer, timestamptz, text, text) IS
'What a policy, or a query in its place, says of a deployment of the past: a row for each reason, or one that it passes; no row: it is not in its scope';

CREATE FUNCTION promote_internal.backtest_gates(
    instance text, deployment integer, ordered_at timestamptz, begun_at timestamptz, settings jsonb)
    RETURNS TABLE (at timestamptz, verdict text, code text, message text, until timestamptz)
    LANGUAGE c STABLE PARALLEL UNSAFE ROWS 1
    AS 'MODULE_PATHNAME', 'promote_backtest_gates';
GRANT EXECUTE ON FUNCTION promote_internal.backtest_gates(text, integer, timestamptz, timestamptz, jsonb) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.backtest_gates(text, integer, timestamptz, timestamptz, jsonb) IS
'What gates with such settings say of a deployment of the past: a row for each reason, or one that it passes';

CREATE FUNCTION promote.policy_backtest(
    policy text DEFAULT NULL, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL, project text DEFAULT NULL,
    environment text DEFAULT NULL, body text DEFAULT NULL)
    RETURNS TABLE (environment text, component text, instance text, deployment integer, action text, actor text,
                   at timestamptz, verdict text, code text, message text, until timestamptz, outcome text)
    LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 1000
    BEGIN ATOMIC
        SELECT d.environment, d.component, d.instance, d.deployment, d.action, d.actor, d.ordered_at, j.verdict,
               j.code, j.message, j.until, d.outcome
          FROM promote_internal.backtest_span($4, $2, $3, $5, $1, $6, NULL) AS s
         CROSS JOIN LATERAL promote_internal.carried_out_between(s.project, s.since, s.until, s.environment) AS d
         CROSS JOIN LATERAL promote_internal.backtest_policy(d.instance, d.deployment, d.ordered_at, $1, $6) AS j
         WHERE (s.policy_environment IS NULL OR d.environment = s.policy_environment)
           AND (s.policy_component IS NULL OR d.component = s.policy_component)
         ORDER BY d.ordered_at, d.environment, d.component, d.deployment;
    END;
REVOKE ALL ON FUNCTION promote.policy_backtest(text, timestamptz, timestamptz, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.policy_backtest(text, timestamptz, timestamptz, text, text, text) IS
'What a policy, enabled or not, or a query that could be one, says of each deployment that was queued at since or later and before until and was carried out: blocked, with a row for each reason, passed, undecided, or error, where the policy has failed. It is asked with the rights of whoever calls, read-only, for the time at which the gates were judged';

CREATE FUNCTION promote.gate_backtest(
    project text, environment text, settings jsonb, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL)
    RETURNS TABLE (environment text, component text, instance text, deployment integer, action text, actor text,
                   at timestamptz, verdict text, code text, message text, until timestamptz, outcome text)
    LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 1000
    BEGIN ATOMIC
        SELECT d.environment, d.component, d.instance, d.deployment, d.action, d.actor, j.at, j.verdict, j.code,
               j.message, j.until, d.outcome
          FROM promote_internal.backtest_span($1, $4, $5, $2, NULL, NULL, COALESCE($3, 'null')) AS s
         CROSS JOIN LATERAL promote_internal.carried_out_between(s.project, s.since, s.until, s.environment) AS d
         CROSS JOIN LATERAL promote_internal.backtest_gates(d.instance, d.deployment, d.ordered_at, d.begun_at, $3) AS j
         ORDER BY d.ordered_at, d.environment, d.component, d.deployment;
    END;
REVOKE ALL ON FUNCTION promote.gate_backtest(text, text, jsonb, timestamptz, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION promote.gate_backtest(text, text, jsonb, timestamptz, timestamptz) IS
'What gates would have said, with other settings, of each deployment that was queued at since or later and before until and was carried out: blocked, held (when a worker claimed it), passed, or undecided, where history does not tell; a row for each reason. An environment of NULL stands for all';
