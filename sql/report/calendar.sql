-- When something may be deployed and when not, and what is planned for a time of its own, as spans of time.

CREATE FUNCTION promote_internal.calendar_most() RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN 5000;
GRANT EXECUTE ON FUNCTION promote_internal.calendar_most() TO PUBLIC;
COMMENT ON FUNCTION promote_internal.calendar_most() IS 'How many rows a calendar may have';

CREATE FUNCTION promote_internal.calendar_holds(place bigint, most integer) RETURNS boolean
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_calendar_holds';
GRANT EXECUTE ON FUNCTION promote_internal.calendar_holds(bigint, integer) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.calendar_holds(bigint, integer) IS
'True of a row''s place in a calendar; PM404 of one beyond the last that there may be';

-- A row for whatever has a time, once, in during, or again and again, as windows have it.
CREATE FUNCTION promote_internal.calendar_entries(of_project text, of_environment text)
    RETURNS TABLE (kind text, name text, project text, environment text, component text, selector jsonb,
                   title text, reason text, actor text, facts jsonb,
                   during tstzrange, rule text, zone text, starts_at timestamp, duration interval, exdates timestamp[])
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 100
    BEGIN ATOMIC
        SELECT e.kind, e.name, e.project, e.environment, e.component, NULLIF(e.selector, '{}'), e.title, e.reason, e.actor,
               pg_catalog.jsonb_strip_nulls(e.facts), e.during, e.rule, e.zone, e.starts_at, e.duration, e.exdates
          FROM (
            SELECT 'stop' AS kind, s.stop::text AS name, s.project::text AS project, NULL::text AS environment,
                   NULL::text AS component, NULL::jsonb AS selector, 'Line stopped' AS title, s.reason, s.actor,
                   pg_catalog.jsonb_build_object('stop', s.stop, 'lifted_by', s.lifted_by, 'message', s.message) AS facts,
                   pg_catalog.tstzrange(s.stopped_at, s.lifted_at) AS during, NULL::text AS rule, NULL::text AS zone,
                   NULL::timestamp AS starts_at, NULL::interval AS duration, NULL::timestamp[] AS exdates
              FROM promote.line_stop AS s
             UNION ALL
            SELECT 'freeze', f.name, f.project::text, f.environment::text, f.component::text, f.selector, 'Freeze ' || f.name,
                   f.reason, f.actor, pg_catalog.jsonb_build_object('rule', f.rule, 'zone', f.zone),
                   f.during, f.rule, f.zone, f.starts_at, f.duration, f.exdates
              FROM promote.freeze_window AS f
             UNION ALL
            SELECT 'window', w.name, w.project::text, w.environment::text, w.component::text, w.selector,
                   'Change window ' || w.name, w.reason, w.actor,
                   pg_catalog.jsonb_build_object('rule', w.rule, 'zone', w.zone,
                       'max_deployments_per_window', w.max_deployments_per_window),
                   w.during, w.rule, w.zone, w.starts_at, w.duration, w.exdates
              FROM promote.change_window AS w
             UNION ALL
            -- a request that is over needs its window no more
            SELECT 'request', r.request::text, r.project::text, r.destination_environment::text, NULL, NULL,
                   'Request ' || r.request || ' to ' || r.destination_environment, r.message, r.actor,
                   pg_catalog.jsonb_build_object('request', r.request, 'source_environment', r.source_environment,
                       'status', r.status, 'ticket', r.ticket),
                   r.execution_window * pg_catalog.tstzrange(NULL, r.finished_at), NULL, NULL, NULL, NULL, NULL
              FROM promote.promotion_request AS r
             WHERE r.project = $1 AND r.execution_window IS NOT NULL
             UNION ALL
            -- of what waits: whether a vote counts until then is for the gates to say
            SELECT 'approval', i.name || ' ' || a.vote, i.project::text, i.environment::text, i.component::text, NULL,
                   'Approval of deployment ' || d.deployment || ' of ' || i.name || ' by ' || a.actor, a.reason, a.actor,
                   pg_catalog.jsonb_build_object('instance', i.name, 'deployment', d.deployment, 'rule', a.rule,
                       'vote', a.vote),
                   pg_catalog.tstzrange(a.created_at, promote_internal.later(a.created_at, u.expires_after)),
                   NULL, NULL, NULL, NULL, NULL
              FROM promote.approval_rule AS u
              JOIN promote.instance AS i
                ON i.project = $1 AND u.scope = ANY (promote_internal.rule_scopes(i.project, i.environment))
             CROSS JOIN LATERAL (
                  (SELECT p.deployment, p.plan_digest
                     FROM promote.deployment AS p
                    WHERE p.project = i.project AND p.environment = i.environment AND p.component = i.component
                      AND p.action = 'PLAN' AND p.status = 'COMPLETED' AND p.revision = i.revision
                      AND NOT EXISTS (SELECT FROM promote.deployment AS n
                                       WHERE n.project = i.project AND n.environment = i.environment
                                         AND n.component = i.component AND n.deployment > p.deployment
                                         AND n.plan = p.deployment
                                         AND n.status IN ('PENDING', 'APPROVED', 'RUNNING', 'COMPLETED'))
                    ORDER BY p.deployment DESC LIMIT 1)
                  UNION ALL
                  SELECT p.deployment, p.plan_digest
                    FROM promote.deployment AS p
                   WHERE p.project = i.project AND p.environment = i.environment AND p.component = i.component
                     AND p.status = 'PROPOSED') AS d
              JOIN promote.approval AS a
                ON a.project = i.project AND a.environment = i.environment AND a.component = i.component
                   AND a.plan_digest = d.plan_digest AND a.rule = u.rule
             WHERE u.expires_after IS NOT NULL AND a.decision = 'approved'
               -- of one person and rule the last counts
               AND NOT EXISTS (SELECT FROM promote.approval AS l
                                WHERE l.project = a.project AND l.environment = a.environment AND l.component = a.component
                                  AND l.plan_digest = a.plan_digest AND l.rule = a.rule AND l.actor = a.actor
                                  AND l.vote > a.vote)) AS e
         WHERE (e.project IS NULL OR e.project = $1)
           AND ($2 IS NULL OR e.environment IS NULL OR e.environment = $2);
    END;
GRANT EXECUTE ON FUNCTION promote_internal.calendar_entries(text, text) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.calendar_entries(text, text) IS
'What has a time in a project, or in one of its environments, as far as the caller sees it: stops, freezes, change windows, execution windows of requests, and votes that expire';

-- Who is the first to begin is among the first of its own: so none needs more occurrences than there may be rows.
CREATE FUNCTION promote_internal.calendar_rows(
    of_project text, of_environment text, since timestamptz, until timestamptz)
    RETURNS TABLE (place bigint, begins timestamptz, ends timestamptz, kind text, name text, project text,
                   environment text, component text, selector jsonb, title text, reason text, actor text, facts jsonb)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 100
    BEGIN ATOMIC
        SELECT pg_catalog.row_number() OVER (ORDER BY o.opens_at, o.closes_at, o.kind COLLATE "C", o.name COLLATE "C"), o.*
          FROM (SELECT w.opens_at, w.closes_at, e.kind, e.name, e.project, e.environment, e.component, e.selector,
                       e.title, e.reason, e.actor, e.facts
                  FROM promote_internal.calendar_entries($1, $2) AS e
                 CROSS JOIN LATERAL promote.window_occurrences(
                       e.rule, e.zone, e.starts_at, e.duration, e.exdates,
                       -- a point in time: there is nothing but single spans before, and nothing else behind
                       LEAST(GREATEST($3, '0001-01-01 00:00+00'), '9999-12-31 00:00+00'), $4,
                       promote_internal.calendar_most() + 1, e.during) AS w
                 ORDER BY w.opens_at, w.closes_at, e.kind COLLATE "C", e.name COLLATE "C"
                 LIMIT promote_internal.calendar_most() + 1) AS o;
    END;
GRANT EXECUTE ON FUNCTION promote_internal.calendar_rows(text, text, timestamptz, timestamptz) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.calendar_rows(text, text, timestamptz, timestamptz) IS
'A calendar''s rows with their places, the first to begin first, and one more than there may be where there are more';

CREATE FUNCTION promote_internal.calendar_span(
    of_project text, of_environment text, since timestamptz, until timestamptz)
    RETURNS TABLE (project text, environment text, since timestamptz, until timestamptz)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 1
    BEGIN ATOMIC
        SELECT p.project, p.environment, s.since, s.until
          FROM promote_internal.pending_scope($1, $2) AS p
         CROSS JOIN LATERAL promote_internal.report_span(
               p.project, COALESCE($3, pg_catalog.now()), COALESCE($4, COALESCE($3, pg_catalog.now()) + interval '28 days')) AS s;
    END;
GRANT EXECUTE ON FUNCTION promote_internal.calendar_span(text, text, timestamptz, timestamptz) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.calendar_span(text, text, timestamptz, timestamptz) IS
'As promote_internal.pending_scope and promote_internal.report_span, what a calendar is about: from now on, for four weeks, where the caller does not say';

CREATE FUNCTION promote.calendar(
    project text, environment text DEFAULT NULL, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL)
    RETURNS TABLE (begins timestamptz, ends timestamptz, kind text, name text, project text, environment text,
                   component text, selector jsonb, title text, reason text, actor text, facts jsonb)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 100
    BEGIN ATOMIC
        SELECT r.begins, r.ends, r.kind, r.name, r.project, r.environment, r.component, r.selector, r.title, r.reason,
               r.actor, r.facts
          FROM promote_internal.calendar_span($1, $2, $3, $4) AS s
         CROSS JOIN LATERAL promote_internal.calendar_rows(s.project, s.environment, s.since, s.until) AS r
         WHERE promote_internal.calendar_holds(r.place, promote_internal.calendar_most())
         ORDER BY r.place;
    END;
REVOKE ALL ON FUNCTION promote.calendar(text, text, timestamptz, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION promote.calendar(text, text, timestamptz, timestamptz) IS
'What ends after since and begins before until, of a project or of what counts in one of its environments, the first to begin first: stops, freezes, change windows, execution windows of requests, and how long approvals count of what waits. An end of infinity is none that is known. What recurs is a row for each time. NULL for since: now; for until: four weeks later';
