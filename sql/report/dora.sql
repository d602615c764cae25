-- How well changes are delivered, by the four metrics of DORA. What each means is published at
-- https://dora.dev/guides/dora-metrics-four-keys/ ; which performance is called what, in the Accelerate State of DevOps
-- Report 2023, https://dora.dev/research/2023/dora-report/ , in "How do you compare?".

CREATE FUNCTION promote_internal.dora_asked(project text, since timestamptz, until timestamptz, period text) RETURNS boolean
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'promote_dora_asked';
GRANT EXECUTE ON FUNCTION promote_internal.dora_asked(text, timestamptz, timestamptz, text) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.dora_asked(text, timestamptz, timestamptz, text) IS
'true, or a refusal: a project as promote_internal.report_span takes it; PM404 for infinite times, for a span of time that is empty, and for a period that is none';

-- These two are inlined, so that PostgreSQL knows how much of a history is asked for, and chooses by that: one that is
-- looked up by rows, or read whole.
CREATE FUNCTION promote_internal.dora_until(until timestamptz) RETURNS timestamptz
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN COALESCE($1, pg_catalog.now());
GRANT EXECUTE ON FUNCTION promote_internal.dora_until(timestamptz) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.dora_until(timestamptz) IS 'The end of the span of time that is asked for: now, where none is given';

CREATE FUNCTION promote_internal.dora_since(since timestamptz, until timestamptz) RETURNS timestamptz
    LANGUAGE sql STABLE PARALLEL SAFE
    -- a quarter, of which there is a dozen of weeks to compare
    RETURN COALESCE($1, COALESCE($2, pg_catalog.now()) - interval '90 days');
GRANT EXECUTE ON FUNCTION promote_internal.dora_since(timestamptz, timestamptz) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.dora_since(timestamptz, timestamptz) IS 'Its begin: 90 days before its end, where none is given';

CREATE FUNCTION promote_internal.period_of(at timestamptz, period text) RETURNS timestamptz
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT CASE WHEN COALESCE($2, 'week') <> 'all' THEN pg_catalog.date_trunc(COALESCE($2, 'week'), $1) END;
    END;
GRANT EXECUTE ON FUNCTION promote_internal.period_of(timestamptz, text) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.period_of(timestamptz, text) IS
'When the day, week or month of a time begins in the time zone of the session, the week where no period is given; NULL: all is one';

-- "Deployment frequency: how often application changes are deployed to production."
CREATE FUNCTION promote.dora_deployments(
    project text, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL, period text DEFAULT NULL)
    RETURNS TABLE (environment text, component text, begins timestamptz, deployments bigint, failed bigint)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 100
    BEGIN ATOMIC
        SELECT d.environment::text, d.component::text, promote_internal.period_of(d.finished_at, $4),
               pg_catalog.count(*) FILTER (WHERE d.status = 'COMPLETED'),
               pg_catalog.count(*) FILTER (WHERE d.status = 'FAILED')
          FROM promote.deployment AS d
         -- NULL is refused, and not folded to nothing at all
         WHERE promote_internal.dora_asked($1, $2, $3, $4) AND d.project = COALESCE($1, '')
           AND d.finished_at >= promote_internal.dora_since($2, $3) AND d.finished_at < promote_internal.dora_until($3)
           AND d.action <> 'PLAN' AND d.action = 'PROVISION' AND d.status IN ('COMPLETED', 'FAILED')
         GROUP BY GROUPING SETS ((3), (1, 3), (1, 2, 3));
    END;
REVOKE ALL ON FUNCTION promote.dora_deployments(text, timestamptz, timestamptz, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.dora_deployments(text, timestamptz, timestamptz, text) IS
'How often was deployed, by period, environment and component; a row without a component is of the whole environment, one without an environment of the whole project. deployments are those that were completed, failed those that a worker has given up; rollbacks are deployments, decommissioning is none';

-- "Change lead time: the time it takes for a code commit or change to be successfully deployed to production." What a
-- commit is there is here a revision that is made by hand. A revision that was promoted is followed to where it was made.
CREATE FUNCTION promote_internal.dora_changes(
    of_project text, since timestamptz, until timestamptz, of_environment text DEFAULT NULL)
    RETURNS TABLE (environment text, component text, deployment integer, revision integer, made_at timestamptz,
                   ran_at timestamptz)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 1000
    BEGIN ATOMIC
        WITH RECURSIVE run AS MATERIALIZED (
            -- with what ran there last, however that went on
            SELECT d.environment, d.component, d.deployment, d.revision, d.finished_at,
                   COALESCE(pg_catalog.lag(d.revision) OVER earlier,
                            (SELECT b.revision FROM promote.deployment AS b
                              WHERE b.project = $1 AND b.environment = d.environment
                                AND b.component = d.component AND b.action <> 'PLAN'
                                AND b.started_at < d.started_at
                                AND b.action = 'PROVISION' AND b.status = 'COMPLETED'
                              ORDER BY b.project DESC, b.environment DESC, b.component DESC, b.started_at DESC
                              LIMIT 1), 0) AS before
              FROM promote.deployment AS d
             WHERE d.project = $1 AND d.finished_at >= $2 AND d.finished_at < $3
               AND ($4 IS NULL OR d.environment = $4)
               AND d.action <> 'PLAN' AND d.action = 'PROVISION' AND d.status = 'COMPLETED'
            WINDOW earlier AS (PARTITION BY d.environment, d.component ORDER BY d.started_at)
        ), way AS (
            SELECT n.*, 1 AS steps
              FROM (SELECT d.environment, d.component, d.deployment, r.revision, r.created_at, d.finished_at, r.origin,
                           r.source_environment, r.source_revision
                      FROM run AS d
                      JOIN promote.revision AS r
                        ON r.project = $1 AND r.environment = d.environment AND r.component = d.component
                           AND r.revision = d.revision
                     WHERE d.before < d.revision
                     UNION ALL
                    -- and those that were made in between, mostly none
                    SELECT d.environment, d.component, d.deployment, r.revision, r.created_at, d.finished_at, r.origin,
                           r.source_environment, r.source_revision
                      FROM run AS d
                     CROSS JOIN LATERAL (
                           SELECT r.* FROM promote.revision AS r
                            WHERE r.project = $1 AND r.environment = d.environment AND r.component = d.component
                              AND r.revision > d.before AND r.revision < d.revision
                           OFFSET 0) AS r
                     WHERE d.before < d.revision - 1) AS n
             WHERE n.origin <> 'rollback'
             UNION ALL
            -- where nothing is seen any more, what was found last is the first
            SELECT w.environment, w.component, w.deployment, w.revision, COALESCE(r.created_at, w.created_at),
                   w.finished_at, NULL, r.source_environment, r.source_revision, w.steps + 1
              FROM way AS w
              LEFT JOIN promote.revision AS r
                ON r.project = $1 AND r.environment = w.source_environment AND r.component = w.component
                   AND r.revision = w.source_revision
             -- sources are older than what comes from them; a history that was loaded may say otherwise
             WHERE w.source_revision IS NOT NULL AND w.steps < 100)
        SELECT w.environment::text, w.component::text, w.deployment, w.revision, w.created_at, w.finished_at
          FROM way AS w
         WHERE w.source_revision IS NULL OR w.steps = 100;
    END;
GRANT EXECUTE ON FUNCTION promote_internal.dora_changes(text, timestamptz, timestamptz, text) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.dora_changes(text, timestamptz, timestamptz, text) IS
'The revisions that began to run by deployments that were completed in a span of time, and had not before, each with the time of the first revision on its way: where it was made, followed back through promotions, forks and merges, as far as the caller sees. Rollbacks bring nothing new';

CREATE FUNCTION promote.dora_lead_time(
    project text, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL, period text DEFAULT NULL)
    RETURNS TABLE (environment text, component text, begins timestamptz, changes bigint, median interval, p90 interval)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 100
    BEGIN ATOMIC
        SELECT c.environment, c.component, promote_internal.period_of(c.ran_at, $4), pg_catalog.count(*),
               pg_catalog.percentile_cont(0.5) WITHIN GROUP (ORDER BY c.ran_at - c.made_at),
               pg_catalog.percentile_cont(0.9) WITHIN GROUP (ORDER BY c.ran_at - c.made_at)
          FROM promote_internal.dora_changes(
                   COALESCE($1, ''), promote_internal.dora_since($2, $3), promote_internal.dora_until($3)) AS c
         WHERE promote_internal.dora_asked($1, $2, $3, $4)
         GROUP BY GROUPING SETS ((3), (1, 3), (1, 2, 3));
    END;
REVOKE ALL ON FUNCTION promote.dora_lead_time(text, timestamptz, timestamptz, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.dora_lead_time(text, timestamptz, timestamptz, text) IS
'How long changes took from the first revision to their running there, through promotions, by period, environment and component as in dora_deployments: how many, the median and the time that nine of ten did not take longer than';

-- "Change fail percentage: the percentage of deployments that cause failures in production, requiring hotfixes or
-- rollbacks. Failed deployment recovery time: the time it takes to recover from a failed deployment."
CREATE FUNCTION promote_internal.dora_outcomes(
    of_project text, since timestamptz, until timestamptz, of_environment text DEFAULT NULL)
    RETURNS TABLE (environment text, component text, deployment integer, status text, finished_at timestamptz,
                   failed_at timestamptz, restored_at timestamptz)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 1000
    BEGIN ATOMIC
        SELECT d.environment::text, d.component::text, d.deployment, d.status, d.finished_at, f.at,
               CASE WHEN f.at IS NOT NULL
                    THEN LEAST(COALESCE(d.next_done, (
                                   SELECT g.finished_at FROM promote.deployment AS g
                                    WHERE g.project = $1 AND g.environment = d.environment
                                      AND g.component = d.component AND g.action <> 'PLAN'
                                      AND g.started_at > d.started_at
                                      AND g.action = 'PROVISION' AND g.status = 'COMPLETED'
                                    ORDER BY g.project, g.environment, g.component, g.started_at LIMIT 1)),
                               CASE WHEN NOT f.broken THEN ill.healed END) END
          -- with those that came after: mostly one of the same span of time, which takes no look into the table
          FROM (SELECT d.environment, d.component, d.deployment, d.action, d.status, d.started_at,
                       d.finished_at,
                       COALESCE(pg_catalog.lag(d.revision) OVER later,
                                (SELECT n.revision FROM promote.deployment AS n
                                  WHERE n.project = $1 AND n.environment = d.environment
                                    AND n.component = d.component AND n.action <> 'PLAN'
                                    AND n.started_at > d.started_at AND n.finished_at IS NOT NULL
                                  ORDER BY n.project, n.environment, n.component, n.started_at LIMIT 1)) AS next_revision,
                       pg_catalog.min(d.finished_at) FILTER (WHERE d.action = 'PROVISION' AND d.status = 'COMPLETED')
                           OVER (later ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS next_done
                  FROM promote.deployment AS d
                 WHERE d.project = $1 AND d.action <> 'PLAN' AND d.finished_at >= $2 AND d.finished_at < $3
                   AND d.started_at IS NOT NULL AND ($4 IS NULL OR d.environment = $4)
                WINDOW later AS (PARTITION BY d.environment, d.component ORDER BY d.started_at DESC)) AS d
          LEFT JOIN promote.revision AS r
            ON r.project = $1 AND r.environment = d.environment AND r.component = d.component
               AND r.revision = d.next_revision AND r.origin = 'rollback'
          LEFT JOIN (
              SELECT c.environment, c.component, c.deployed_by, pg_catalog.min(c.began) AS began,
                     CASE WHEN pg_catalog.bool_and(c.healed IS NOT NULL) THEN pg_catalog.max(c.healed) END AS healed
                FROM (SELECT h.environment, h.component, h.deployed_by, pg_catalog.min(h.reported_at) AS began,
                             (SELECT pg_catalog.min(g.reported_at) FROM promote.health_report AS g
                               WHERE g.project = $1 AND g.environment = h.environment AND g.component = h.component
                                 AND g.check_name = h.check_name AND g.report > pg_catalog.min(h.report)
                                 AND g.healthy) AS healed
                        FROM promote.health_report AS h
                       WHERE h.project = $1 AND NOT h.healthy AND h.reported_at >= $2
                       GROUP BY h.environment, h.component, h.deployed_by, h.check_name) AS c
               GROUP BY c.environment, c.component, c.deployed_by) AS ill
            ON ill.environment = d.environment AND ill.component = d.component AND ill.deployed_by = d.deployment
         CROSS JOIN LATERAL (
              SELECT d.status = 'FAILED' OR r.revision IS NOT NULL AS broken,
                     COALESCE(ill.began, CASE WHEN d.status = 'FAILED' OR r.revision IS NOT NULL
                                              THEN d.finished_at END) AS at) AS f
         WHERE d.action = 'PROVISION' AND d.status IN ('COMPLETED', 'FAILED');
    END;
GRANT EXECUTE ON FUNCTION promote_internal.dora_outcomes(text, timestamptz, timestamptz, text) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.dora_outcomes(text, timestamptz, timestamptz, text) IS
'Deployments that came to their end in a span of time. failed_at: when the first check was reported unhealthy while it ran, or else its end, where a worker has given it up or the next one to come to its end has rolled it back; NULL: none of it. restored_at: when the next one was completed, or, where nothing but health had failed, when each of those checks was reported healthy again, whichever came first; NULL: not yet';

CREATE FUNCTION promote.dora_change_failure_rate(
    project text, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL, period text DEFAULT NULL)
    RETURNS TABLE (environment text, component text, begins timestamptz, deployments bigint, failed bigint, rate numeric)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 100
    BEGIN ATOMIC
        SELECT o.environment, o.component, promote_internal.period_of(o.finished_at, $4), pg_catalog.count(*),
               pg_catalog.count(o.failed_at),
               pg_catalog.round(pg_catalog.count(o.failed_at)::numeric / pg_catalog.count(*), 4)
          FROM promote_internal.dora_outcomes(
                   COALESCE($1, ''), promote_internal.dora_since($2, $3), promote_internal.dora_until($3)) AS o
         WHERE promote_internal.dora_asked($1, $2, $3, $4)
         GROUP BY GROUPING SETS ((3), (1, 3), (1, 2, 3));
    END;
REVOKE ALL ON FUNCTION promote.dora_change_failure_rate(text, timestamptz, timestamptz, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.dora_change_failure_rate(text, timestamptz, timestamptz, text) IS
'Which share of the deployments failed, by period, environment and component as in dora_deployments: a worker gave it up, what it brought was reported unhealthy while it ran, or the next deployment rolled it back';

CREATE FUNCTION promote.dora_time_to_restore(
    project text, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL, period text DEFAULT NULL)
    RETURNS TABLE (environment text, component text, begins timestamptz, failed bigint, restored bigint, median interval)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 100
    BEGIN ATOMIC
        SELECT o.environment, o.component, promote_internal.period_of(o.finished_at, $4),
               pg_catalog.count(*), pg_catalog.count(o.restored_at),
               pg_catalog.percentile_cont(0.5) WITHIN GROUP (ORDER BY o.restored_at - o.failed_at)
          FROM promote_internal.dora_outcomes(
                   COALESCE($1, ''), promote_internal.dora_since($2, $3), promote_internal.dora_until($3)) AS o
         WHERE promote_internal.dora_asked($1, $2, $3, $4) AND o.failed_at IS NOT NULL
         GROUP BY GROUPING SETS ((3), (1, 3), (1, 2, 3));
    END;
REVOKE ALL ON FUNCTION promote.dora_time_to_restore(text, timestamptz, timestamptz, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.dora_time_to_restore(text, timestamptz, timestamptz, text) IS
'How long it took to recover from deployments that failed, by period, environment and component as in dora_deployments: how many failed, how many of them were recovered from by now, and the median of these';

CREATE FUNCTION promote_internal.dora_band(metric text, value double precision) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    BEGIN ATOMIC
        -- by the report of 2023: on demand, daily to weekly, weekly to monthly; a day, a week, a month; 5, 10 and 15 %;
        -- an hour, a day, a week. Durations are in seconds, a month is 30 days, on demand is more than once a day
        SELECT CASE WHEN $2 IS NULL THEN NULL
                    WHEN $2 < b.elite OR $2 = b.elite AND $1 = 'change failure rate' THEN 'elite' WHEN $2 <= b.high THEN 'high' WHEN $2 <= b.medium THEN 'medium'
                    ELSE 'low' END
          FROM (VALUES ('days between deployments', 1.0, 7.0, 30.0), ('lead time', 86400.0, 604800.0, 2592000.0),
                       ('change failure rate', 0.05, 0.10, 0.15), ('time to restore', 3600.0, 86400.0, 604800.0))
               AS b (metric, elite, high, medium)
         WHERE b.metric = $1;
    END;
GRANT EXECUTE ON FUNCTION promote_internal.dora_band(text, double precision) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.dora_band(text, double precision) IS
'What a value of a metric is called: elite, high, medium or low; NULL: there is none';

CREATE FUNCTION promote.dora_summary(
    project text, environment text DEFAULT 'production', since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL)
    RETURNS TABLE (metric text, value text, band text, measured bigint)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 4
    BEGIN ATOMIC
        SELECT m.metric,
               CASE m.metric WHEN 'deployment frequency' THEN pg_catalog.round(m.value::numeric, 2) || ' a day'
                             WHEN 'change failure rate' THEN pg_catalog.round(m.value::numeric * 100, 1) || ' %'
                             ELSE pg_catalog.make_interval(secs => pg_catalog.round(m.value::numeric)::double precision)::text END,
               CASE m.metric WHEN 'deployment frequency'
                             THEN promote_internal.dora_band('days between deployments', 1 / NULLIF(m.value, 0))
                             ELSE promote_internal.dora_band(m.metric, m.value) END,
               m.measured
          FROM (SELECT pg_catalog.count(*) AS judged, pg_catalog.count(*) FILTER (WHERE o.status = 'COMPLETED') AS deployments,
                     pg_catalog.count(o.failed_at) AS failed, pg_catalog.count(o.restored_at) AS restored,
                     pg_catalog.percentile_cont(0.5) WITHIN GROUP (ORDER BY o.restored_at - o.failed_at) AS median
                FROM promote_internal.dora_outcomes(COALESCE($1, ''), promote_internal.dora_since($3, $4), promote_internal.dora_until($4),
                         COALESCE($2, 'production')) AS o) AS o
         CROSS JOIN (
              SELECT pg_catalog.count(*) AS changes,
                     pg_catalog.percentile_cont(0.5) WITHIN GROUP (ORDER BY c.ran_at - c.made_at) AS median
                FROM promote_internal.dora_changes(COALESCE($1, ''), promote_internal.dora_since($3, $4), promote_internal.dora_until($4),
                         COALESCE($2, 'production')) AS c) AS c
         CROSS JOIN LATERAL (VALUES
              (1, 'deployment frequency',
               CASE WHEN o.judged > 0 THEN o.deployments / (
                   -- not of the difference: that of what is infinite fails, before dora_asked says what is wrong
                   (EXTRACT(epoch FROM promote_internal.dora_until($4)) - EXTRACT(epoch FROM promote_internal.dora_since($3, $4)))
                   / 86400)::double precision END,
               o.deployments),
              (2, 'lead time', EXTRACT(epoch FROM c.median)::double precision, c.changes),
              (3, 'change failure rate', pg_catalog.round(o.failed::numeric / NULLIF(o.judged, 0), 4)::double precision, o.judged),
              (4, 'time to restore', EXTRACT(epoch FROM o.median)::double precision, o.restored)) AS m (place, metric, value, measured)
         WHERE promote_internal.dora_asked($1, $3, $4, 'all') AND m.value IS NOT NULL
         ORDER BY m.place;
    END;
REVOKE ALL ON FUNCTION promote.dora_summary(text, text, timestamptz, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION promote.dora_summary(text, text, timestamptz, timestamptz) IS
'The four metrics of an environment over a span of time, the last 90 days where none is named: each with its value, what that is called by the report of 2023, and of how many deployments, changes or failures it is. No row for a metric of which there is nothing to measure';
