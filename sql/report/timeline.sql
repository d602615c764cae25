-- What happened, in the order in which it did: deployments, changes, and everything of one instance.

-- These two are STRICT, so that they are not inlined: what PostgreSQL takes arrays to hold, a hundred elements within each
-- of a hundred, would make it compile a page of history to machine code.
CREATE FUNCTION promote_internal.counted_votes(gates jsonb)
    RETURNS TABLE (rule text, vote integer, actor text, database_role text, at timestamptz)
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE ROWS 2
    BEGIN ATOMIC
        SELECT p.poll ->> 'rule', (v.vote -> 'vote')::integer, v.vote ->> 'actor', v.vote ->> 'database_role',
               -- in UTC, by its own words
               (v.vote ->> 'at')::timestamptz
          FROM pg_catalog.jsonb_array_elements($1 -> 'approvals') AS p (poll)
         CROSS JOIN LATERAL pg_catalog.jsonb_array_elements(p.poll -> 'votes') AS v (vote);
    END;
GRANT EXECUTE ON FUNCTION promote_internal.counted_votes(jsonb) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.counted_votes(jsonb) IS
'The approvals that counted when gates were judged, of what promote.deployment has in gates';

CREATE FUNCTION promote_internal.overridden_gates(gates jsonb)
    RETURNS TABLE (place bigint, code text, message text, deployment integer, override integer)
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE ROWS 2
    BEGIN ATOMIC
        SELECT g.place, g.gate ->> 'code', g.gate ->> 'message', (g.gate -> 'deployment')::integer,
               (g.gate -> 'override')::integer
          FROM pg_catalog.jsonb_array_elements($1 -> 'overridden') WITH ORDINALITY AS g (gate, place);
    END;
GRANT EXECUTE ON FUNCTION promote_internal.overridden_gates(jsonb) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.overridden_gates(jsonb) IS
'What was overridden when gates were judged, of what promote.deployment has in gates, in order';

CREATE VIEW promote.deployment_history WITH (security_invoker = true) AS
    SELECT d.project,
           d.environment,
           d.component,
           i.name AS instance,
           d.deployment,
           d.action,
           d.base_revision AS previous_revision,
           d.revision,
           d.bundle,
           d.previous_version,
           d.version,
           (SELECT f.artifact_digest FROM promote.bundle_release AS f
             WHERE f.bundle = d.bundle AND f.version = d.version) AS artifact_digest,
           pg_catalog.jsonb_array_length(d.diff) AS changes,
           d.diff,
           d.destructive,
           r.origin,
           r.project || '-' || r.source_environment || '-' || r.component AS source,
           r.source_revision,
           r.actor AS changed_by,
           r.message AS change_message,
           d.actor,
           d.database_role,
           d.moved_by,
           d.message,
           d.plan,
           votes.approved_by,
           votes.approvals,
           overridden.overridden,
           overridden.overrides,
           asked.request,
           asked.ticket,
           d.created_at,
           d.queued_at,
           COALESCE(votes.approved_at, CASE WHEN d.approved_by IS NOT NULL THEN d.queued_at END) AS approved_at,
           d.started_at,
           d.finished_at,
           d.finished_at - d.started_at AS duration,
           d.worker,
           d.status AS outcome,
           d.reason
      FROM promote.deployment AS d
      JOIN promote.instance AS i
        ON i.project = d.project AND i.environment = d.environment AND i.component = d.component
      LEFT JOIN LATERAL (
          SELECT r.* FROM promote.revision AS r
           WHERE r.project = d.project AND r.environment = d.environment AND r.component = d.component
             AND r.revision = d.revision
           LIMIT 1) AS r ON true
      -- approvals that counted when it was queued; who approved a proposal that no rule was about has cast no vote
     CROSS JOIN LATERAL (
          SELECT pg_catalog.max(v.at) AS approved_at,
                 COALESCE(pg_catalog.array_agg(v.actor || ' (' || v.rule || ')' ORDER BY v.rule, v.at, v.vote)
                              FILTER (WHERE v.actor IS NOT NULL),
                          CASE WHEN d.approved_by IS NOT NULL THEN ARRAY[d.approved_by] END) AS approved_by,
                 pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
                     'rule', v.rule, 'actor', v.actor, 'database_role', v.database_role, 'at', v.at,
                     'reason', (SELECT a.reason FROM promote.approval AS a
                                 WHERE a.project = d.project AND a.environment = d.environment
                                   AND a.component = d.component AND a.vote = v.vote))
                     ORDER BY v.rule, v.at, v.vote) AS approvals
            FROM promote_internal.counted_votes(d.gates) AS v) AS votes
     CROSS JOIN LATERAL (
          SELECT pg_catalog.array_agg(DISTINCT g.code) AS overridden,
                 pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
                     'code', g.code, 'message', g.message, 'actor', o.actor,
                     'database_role', o.database_role, 'reason', o.reason, 'at', o.created_at)
                     ORDER BY g.place) AS overrides
            FROM promote_internal.overridden_gates(d.gates) AS g
            LEFT JOIN LATERAL (
                SELECT o.actor, o.database_role, o.reason, o.created_at
                  FROM promote.gate_override AS o
                 WHERE o.project = d.project AND o.environment = d.environment AND o.component = d.component
                   AND o.deployment = g.deployment AND o.code = g.code
                   AND o.override = g.override
                 LIMIT 1) AS o ON true) AS overridden
      -- a revision is of one request; the last one, where one that was taken up again has found it there
      LEFT JOIN LATERAL (
          SELECT q.request, q.ticket
            FROM (SELECT t.request FROM promote.promotion_request_item AS t
                   WHERE t.project = d.project AND t.destination_environment = d.environment
                     AND t.component = d.component AND t.revision = d.revision
                   UNION ALL
                  SELECT t.request FROM promote.promotion_request_item AS t
                   WHERE t.project = d.project AND t.destination_environment = d.environment
                     AND t.component = d.component AND t.rollback_revision = d.revision) AS t
            JOIN promote.promotion_request AS q ON q.project = d.project AND q.request = t.request
           ORDER BY q.request DESC LIMIT 1) AS asked ON true
     WHERE d.action <> 'PLAN';
COMMENT ON VIEW promote.deployment_history IS 'Deployments that change what runs, and proposals of them: from what to what, who asked and why, who approved under which rule, what was overridden, and what became of it. What was planned and never deployed is not among them';
COMMENT ON COLUMN promote.deployment_history.project IS 'Project';
COMMENT ON COLUMN promote.deployment_history.environment IS 'Environment';
COMMENT ON COLUMN promote.deployment_history.component IS 'Component';
COMMENT ON COLUMN promote.deployment_history.instance IS 'Instance';
COMMENT ON COLUMN promote.deployment_history.deployment IS 'Number';
COMMENT ON COLUMN promote.deployment_history.action IS 'PROVISION or DECOMMISSION';
COMMENT ON COLUMN promote.deployment_history.previous_revision IS 'Revision that ran before; NULL: nothing did';
COMMENT ON COLUMN promote.deployment_history.revision IS 'Revision that it carries';
COMMENT ON COLUMN promote.deployment_history.bundle IS 'Bundle of the release';
COMMENT ON COLUMN promote.deployment_history.previous_version IS 'Release that ran before; NULL: nothing did';
COMMENT ON COLUMN promote.deployment_history.version IS 'Release that it carries';
COMMENT ON COLUMN promote.deployment_history.artifact_digest IS 'Digest of that release''s artifact; NULL: it has none';
COMMENT ON COLUMN promote.deployment_history.changes IS 'Number of entries of the diff';
COMMENT ON COLUMN promote.deployment_history.diff IS 'What it does to what ran, sensitive values masked';
COMMENT ON COLUMN promote.deployment_history.destructive IS 'Whether it changes an immutable value of a provisioned instance';
COMMENT ON COLUMN promote.deployment_history.origin IS 'How the revision came about: edit, promotion, fork, rollback, adoption or merge';
COMMENT ON COLUMN promote.deployment_history.source IS 'Instance that it was taken from; NULL: none';
COMMENT ON COLUMN promote.deployment_history.source_revision IS 'The source''s revision; NULL: none';
COMMENT ON COLUMN promote.deployment_history.changed_by IS 'Who made the revision';
COMMENT ON COLUMN promote.deployment_history.change_message IS 'Why, in that person''s words';
COMMENT ON COLUMN promote.deployment_history.actor IS 'Who asked for the deployment, by the setting promote.actor; else the database role. Of a request, who has opened it';
COMMENT ON COLUMN promote.deployment_history.database_role IS 'Role that the session acted as';
COMMENT ON COLUMN promote.deployment_history.moved_by IS 'Who has moved the request that it is of, or completed the plan that was to be deployed; NULL: neither is so';
COMMENT ON COLUMN promote.deployment_history.message IS 'Why it was deployed, in the actor''s words';
COMMENT ON COLUMN promote.deployment_history.plan IS 'PLAN that it follows: what was reviewed; NULL: none';
COMMENT ON COLUMN promote.deployment_history.approved_by IS 'Whose approvals counted when it was queued, each with the rule: ann (release); NULL: none';
COMMENT ON COLUMN promote.deployment_history.approvals IS 'The same as an array of objects with rule, actor, database_role, at and reason; NULL: no rule was met by votes';
COMMENT ON COLUMN promote.deployment_history.overridden IS 'Gates that were overridden for it; NULL: none';
COMMENT ON COLUMN promote.deployment_history.overrides IS 'What was overridden: an array of objects with code, message, actor, database_role, reason and at; NULL: nothing';
COMMENT ON COLUMN promote.deployment_history.request IS 'Request that the revision is of; NULL: none';
COMMENT ON COLUMN promote.deployment_history.ticket IS 'Where that was asked for';
COMMENT ON COLUMN promote.deployment_history.created_at IS 'When it was asked for';
COMMENT ON COLUMN promote.deployment_history.queued_at IS 'Since when it waited for a worker; NULL: it is or was a proposal';
COMMENT ON COLUMN promote.deployment_history.approved_at IS 'When the last approval was given that counted; NULL: none was needed, or it waits for them';
COMMENT ON COLUMN promote.deployment_history.started_at IS 'When it was last claimed';
COMMENT ON COLUMN promote.deployment_history.finished_at IS 'When it came to its end';
COMMENT ON COLUMN promote.deployment_history.duration IS 'How long it ran; NULL: it is not over, or never ran';
COMMENT ON COLUMN promote.deployment_history.worker IS 'Who carried it out';
COMMENT ON COLUMN promote.deployment_history.outcome IS 'COMPLETED, FAILED, ABORTED or REJECTED; before that how far it has come: PROPOSED, PENDING, APPROVED or RUNNING';
COMMENT ON COLUMN promote.deployment_history.reason IS 'What was said at its last step: why it failed, was aborted or rejected';

CREATE FUNCTION promote_internal.report_span(
    INOUT project text, INOUT since timestamptz, INOUT until timestamptz)
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'promote_report_span';
GRANT EXECUTE ON FUNCTION promote_internal.report_span(text, timestamptz, timestamptz) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.report_span(text, timestamptz, timestamptz) IS
'What a report is about, with infinite times for sides that are open, where the caller sees anything of the project and the span of time is one; PM701, PM002 where there is no such project, PM404. Which rows of it the caller sees says row-level security. A report joins what comes back, so that no plan leaves it out';

-- In two parts, so that each takes an index of its own: revision_promoted_idx and revision_changed_idx.
CREATE FUNCTION promote.change_history(project text, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL)
    RETURNS TABLE (at timestamptz, actor text, database_role text, moved_by text, moved_role text,
                   environment text, component text, instance text, revision integer, origin text,
                   source text, source_revision integer, mode text, "only" text[], version_constraint text,
                   version text, changes integer, diff jsonb, plan integer, plan_status text,
                   overridden text[], message text)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 100
    BEGIN ATOMIC
        SELECT c.at, c.actor, c.database_role, c.moved_by, c.moved_role, c.environment::text,
               c.component::text, c.project || '-' || c.environment || '-' || c.component, c.revision, c.origin, c.source, c.source_revision,
               c.mode, c."only", c.version_constraint, c.judged_by::text, c.changes, c.diff,
               c.plan, c.plan_status, c.overridden, c.message
          FROM promote_internal.report_span($1, $2, $3) AS s
         CROSS JOIN LATERAL (
              SELECT c.* FROM promote_internal.change AS c
               WHERE c.project = s.project AND c.origin = 'promotion' AND c.at >= s.since AND c.at < s.until
               UNION ALL
              SELECT c.* FROM promote_internal.change AS c
               WHERE c.project = s.project AND c.origin <> 'promotion' AND c.at >= s.since AND c.at < s.until) AS c;
    END;
REVOKE ALL ON FUNCTION promote.change_history(text, timestamptz, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION promote.change_history(text, timestamptz, timestamptz) IS
'Revisions of a project, of every origin, that were made at since or later, and before until; NULL: that side is open. Columns are those of promote.promotion_history, but version is the release that the revision was judged by, and instance what it is of. In no order';

CREATE FUNCTION promote_internal.event_text(event text, facts jsonb) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_event_text';
GRANT EXECUTE ON FUNCTION promote_internal.event_text(text, jsonb) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.event_text(text, jsonb) IS
'An event of the audit log in words, with the facts that it has; of one that is not known, its name';

CREATE FUNCTION promote_internal.timeline_span(
    instance text, INOUT since timestamptz, INOUT until timestamptz,
    OUT project text, OUT environment text, OUT component text)
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'promote_timeline_span';
GRANT EXECUTE ON FUNCTION promote_internal.timeline_span(text, timestamptz, timestamptz) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.timeline_span(text, timestamptz, timestamptz) IS
'As promote_internal.report_span, of an instance whose rows the caller sees: its key and the span of time; PM701, PM001 and PM002, PM404';

CREATE FUNCTION promote.instance_timeline(instance text, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL)
    RETURNS TABLE (at timestamptz, actor text, database_role text, what text, "text" text, facts jsonb,
                   subject text, seq bigint)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 100
    BEGIN ATOMIC
        SELECT a.at, a.actor, a.database_role, a.event,
               c.prefix || promote_internal.event_text(a.event, a.data), a.data, a.subject, a.seq
          FROM promote_internal.timeline_span($1, $2, $3) AS s
         CROSS JOIN LATERAL (
              -- its own chain, that of its row, and those of requests in which it is more than skipped
              SELECT s.project || '-' || s.environment || '-' || s.component AS subject, '' AS prefix
               UNION ALL
              SELECT 'instance ' || s.project || '/' || s.environment || '/' || s.component, ''
               UNION ALL
             (SELECT DISTINCT 'request ' || t.project || '/' || t.request, 'request ' || t.request || ': '
                FROM promote.promotion_request_item AS t
               WHERE t.project = s.project AND t.destination_environment = s.environment
                 AND t.component = s.component AND t.wave IS NOT NULL)) AS c
         CROSS JOIN LATERAL (
              SELECT a.at, a.actor, a.database_role, a.event, a.data, a.subject, a.seq, a.position
                FROM promote.audit_log AS a
               WHERE a.project = s.project AND a.subject = c.subject AND a.at >= s.since AND a.at < s.until
               ORDER BY a.project, a.subject, a.seq) AS a
         ORDER BY a.position;
    END;
REVOKE ALL ON FUNCTION promote.instance_timeline(text, timestamptz, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION promote.instance_timeline(text, timestamptz, timestamptz) IS
'Everything that happened to an instance, in the order in which it did, from since on and before until: its revisions, plans, votes, overrides, deployments'' steps, observations, health, names of secrets, and the requests that it is in. A row for each event: when, who, what, in words for people, and the facts, without any value of a configuration';
