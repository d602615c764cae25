-- Health: what others report of instances, and what has to be reported before an environment's are deployed.

CREATE TABLE promote.health_report (
    project       promote.project_name NOT NULL,
    environment   promote.environment_name NOT NULL,
    component     promote.component_name NOT NULL,
    check_name    text COLLATE "C" NOT NULL,
    report        integer NOT NULL,
    healthy       boolean NOT NULL,
    message       text,
    revision      integer,
    deployed_by   integer,
    since         timestamptz NOT NULL,
    reported_at   timestamptz NOT NULL,
    expires_at    timestamptz,
    actor         text NOT NULL,
    database_role text NOT NULL,
    CONSTRAINT health_report_pkey PRIMARY KEY (project, environment, component, check_name, report),
    CONSTRAINT health_report_instance_fkey FOREIGN KEY (project, environment, component)
        REFERENCES promote.instance (project, environment, component),
    CONSTRAINT health_report_revision_fkey FOREIGN KEY (project, environment, component, revision)
        REFERENCES promote.revision (project, environment, component, revision),
    CONSTRAINT health_report_deployed_by_fkey FOREIGN KEY (project, environment, component, deployed_by)
        REFERENCES promote.deployment (project, environment, component, deployment),
    CONSTRAINT health_report_report_check CHECK (report > 0),
    CONSTRAINT health_report_since_check CHECK (since <= reported_at),
    CONSTRAINT health_report_expires_at_check CHECK (expires_at > reported_at)
)
-- as promote.config
WITH (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_freeze_min_age = 0);
CREATE INDEX health_report_revision_idx
    ON promote.health_report (project, environment, component, check_name, revision, report);
COMMENT ON INDEX promote.health_report_revision_idx IS 'Finds the last report about a revision';
CREATE INDEX health_report_unhealthy_idx
    ON promote.health_report (project, environment, component, reported_at)
    WHERE NOT healthy;
COMMENT ON INDEX promote.health_report_unhealthy_idx IS 'Finds when an instance was last reported unhealthy';
SELECT pg_catalog.pg_extension_config_dump('promote.health_report', '');
COMMENT ON TABLE promote.health_report IS 'What was reported of instances, numbered from 1 per instance and check; the last report of a check counts, see promote.instance_health';
COMMENT ON COLUMN promote.health_report.project IS 'The instance''s project';
COMMENT ON COLUMN promote.health_report.environment IS 'The instance''s environment';
COMMENT ON COLUMN promote.health_report.component IS 'The instance''s component';
COMMENT ON COLUMN promote.health_report.check_name IS 'What was checked: smoke test, schema migration, ticket';
COMMENT ON COLUMN promote.health_report.report IS 'Number';
COMMENT ON COLUMN promote.health_report.healthy IS 'Whether the check was found in order';
COMMENT ON COLUMN promote.health_report.message IS 'What the reporter says about the check';
COMMENT ON COLUMN promote.health_report.revision IS 'Revision that it is about; NULL: there was none yet';
COMMENT ON COLUMN promote.health_report.deployed_by IS 'PROVISION that the instance ran by; NULL: it was not provisioned';
COMMENT ON COLUMN promote.health_report.since IS 'When the unbroken series of reports with the same verdict on the check began; a report that had expired breaks it';
COMMENT ON COLUMN promote.health_report.reported_at IS 'When';
COMMENT ON COLUMN promote.health_report.expires_at IS 'When the report stops counting; NULL: never';
COMMENT ON COLUMN promote.health_report.actor IS 'Who, by the setting promote.actor; else the database role';
COMMENT ON COLUMN promote.health_report.database_role IS 'Role that the session acted as';

CREATE TRIGGER guard_record BEFORE INSERT ON promote.health_report
    FOR EACH ROW EXECUTE FUNCTION promote_internal.guard_record();
CREATE TRIGGER refuse_rewrite BEFORE UPDATE OR DELETE ON promote.health_report
    FOR EACH ROW EXECUTE FUNCTION promote_internal.refuse_rewrite();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON promote.health_report
    FOR EACH STATEMENT EXECUTE FUNCTION promote_internal.refuse_rewrite();
ALTER TABLE promote.health_report ENABLE ALWAYS TRIGGER guard_record;
ALTER TABLE promote.health_report ENABLE ALWAYS TRIGGER refuse_rewrite;
ALTER TABLE promote.health_report ENABLE ALWAYS TRIGGER refuse_truncate;

CREATE TABLE promote.required_check (
    project       promote.project_name,
    environment   promote.environment_name,
    scope         text COLLATE "C" NOT NULL,
    check_name    text COLLATE "C" NOT NULL,
    "of"          text COLLATE "C" NOT NULL DEFAULT 'destination',
    per_revision  boolean NOT NULL DEFAULT false,
    expires_after interval,
    component     promote.component_name,
    selector      jsonb NOT NULL DEFAULT '{}',
    description   text,
    created_at    timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    CONSTRAINT required_check_pkey PRIMARY KEY (scope, check_name, "of"),
    CONSTRAINT required_check_project_fkey FOREIGN KEY (project)
        REFERENCES promote.project (project),
    CONSTRAINT required_check_environment_fkey FOREIGN KEY (project, environment)
        REFERENCES promote.environment (project, environment),
    CONSTRAINT required_check_component_fkey FOREIGN KEY (project, component)
        REFERENCES promote.component (project, component),
    CONSTRAINT required_check_check_name_check
        CHECK (promote_internal.check_value(pg_catalog.octet_length(check_name) BETWEEN 1 AND 255 AND pg_catalog.btrim(check_name, E' \t\r\n') = check_name,
            'name of a check', 'It has 1 to 255 bytes, and no blank at either end.',
            'Name it as report_health does.')),
    CONSTRAINT required_check_of_check
        CHECK (promote_internal.check_value("of" IN ('destination', 'source'),
            'value of "of"', 'It is destination or source.',
            'Say whose health is looked at.')),
    CONSTRAINT required_check_expires_after_check
        CHECK (promote_internal.check_value(expires_after > '0' AND expires_after <= '100 years',
            'time after which reports expire', 'It is more than 0, and at most 100 years.',
            'Say such as ''1 hour''; NULL: until they expire by themselves.')),
    CONSTRAINT required_check_selector_check
        CHECK (promote_internal.check_object(selector, 'selector'))
);
SELECT pg_catalog.pg_extension_config_dump('promote.required_check', '');
COMMENT ON TABLE promote.required_check IS 'Checks that must have been reported healthy before an environment''s instances are deployed';
COMMENT ON COLUMN promote.required_check.project IS 'Project; NULL: all';
COMMENT ON COLUMN promote.required_check.environment IS 'Environment that is deployed to; NULL: all';
COMMENT ON COLUMN promote.required_check.scope IS 'Where, in one: ecomm-production, ecomm-*, *-*';
COMMENT ON COLUMN promote.required_check.check_name IS 'Check, as reports name it';
COMMENT ON COLUMN promote.required_check."of" IS 'Whose reports count: destination, those of the instance that is deployed; source, those of the instance that its revision was promoted from, if it was promoted';
COMMENT ON COLUMN promote.required_check.per_revision IS 'Whether only reports count about the revision that is to be deployed, or was promoted';
COMMENT ON COLUMN promote.required_check.expires_after IS 'How long a report counts at most; NULL: until it expires by itself';
COMMENT ON COLUMN promote.required_check.component IS 'Component that it is required of; NULL: all';
COMMENT ON COLUMN promote.required_check.selector IS 'Effective attributes of the instances that it is required of, by containment';
COMMENT ON COLUMN promote.required_check.description IS 'For people';
COMMENT ON COLUMN promote.required_check.created_at IS 'When the row was inserted';
CREATE TRIGGER fill_scope BEFORE INSERT OR UPDATE ON promote.required_check
    FOR EACH ROW EXECUTE FUNCTION promote_internal.fill_scope();
ALTER TABLE promote.required_check ENABLE ALWAYS TRIGGER fill_scope;

CREATE TRIGGER note_rule AFTER INSERT OR UPDATE OR DELETE ON promote.required_check
    FOR EACH ROW EXECUTE FUNCTION promote_internal.note_rule();
ALTER TABLE promote.required_check ENABLE ALWAYS TRIGGER note_rule;

CREATE FUNCTION promote.report_health(
    instance text, check_name text, healthy boolean, message text DEFAULT NULL,
    expires_after interval DEFAULT NULL, revision integer DEFAULT NULL)
    RETURNS promote.health_report
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_report_health';
REVOKE ALL ON FUNCTION promote.report_health(text, text, boolean, text, interval, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote.report_health(text, text, boolean, text, interval, integer) IS
'Tells what a check of an instance came to; about the revision that it desires, unless another is named';

-- A check's last report is found by one look into the primary key, and so is the next check's name.
CREATE VIEW promote.instance_health WITH (security_invoker = true) AS
    SELECT i.name AS instance,
           i.project,
           i.environment,
           i.component,
           h.check_name,
           h.healthy,
           COALESCE(h.expires_at <= pg_catalog.now(), false) AS expired,
           h.message,
           h.since,
           h.reported_at,
           h.expires_at,
           h.revision,
           h.deployed_by,
           h.deployed_by IS NOT DISTINCT FROM i.deployed_by AS current,
           h.report,
           h.actor,
           h.database_role
      FROM promote.instance AS i
     CROSS JOIN LATERAL (
          WITH RECURSIVE name (check_name) AS (
              (SELECT f.check_name FROM promote.health_report AS f
                WHERE f.project = i.project AND f.environment = i.environment AND f.component = i.component
                ORDER BY f.check_name LIMIT 1)
              UNION ALL
              SELECT (SELECT f.check_name FROM promote.health_report AS f
                       WHERE f.project = i.project AND f.environment = i.environment
                         AND f.component = i.component AND f.check_name > name.check_name
                       ORDER BY f.check_name LIMIT 1)
                FROM name WHERE name.check_name IS NOT NULL)
          SELECT name.check_name FROM name WHERE name.check_name IS NOT NULL) AS n
     CROSS JOIN LATERAL (
          SELECT r.* FROM promote.health_report AS r
           WHERE r.project = i.project AND r.environment = i.environment
             AND r.component = i.component AND r.check_name = n.check_name
           ORDER BY r.project DESC, r.environment DESC, r.component DESC, r.check_name DESC, r.report DESC
           LIMIT 1) AS h
      JOIN promote.environment AS e ON e.project = i.project AND e.environment = i.environment
     -- of what was not configured yet the time tells the generation
     WHERE COALESCE(h.revision > i.opened_revision, h.reported_at >= COALESCE(e.opened_at, e.created_at));
COMMENT ON VIEW promote.instance_health IS 'What was reported last of instances in the generation of their environment, check by check';
COMMENT ON COLUMN promote.instance_health.instance IS 'Instance';
COMMENT ON COLUMN promote.instance_health.project IS 'Project';
COMMENT ON COLUMN promote.instance_health.environment IS 'Environment';
COMMENT ON COLUMN promote.instance_health.component IS 'Component';
COMMENT ON COLUMN promote.instance_health.check_name IS 'Check';
COMMENT ON COLUMN promote.instance_health.healthy IS 'Whether the check was found in order';
COMMENT ON COLUMN promote.instance_health.expired IS 'Whether the report has stopped counting; a required check may let it expire sooner';
COMMENT ON COLUMN promote.instance_health.message IS 'What the reporter says about the check';
COMMENT ON COLUMN promote.instance_health.since IS 'Since when reports have said the same';
COMMENT ON COLUMN promote.instance_health.reported_at IS 'When';
COMMENT ON COLUMN promote.instance_health.expires_at IS 'When the report stops counting; NULL: never';
COMMENT ON COLUMN promote.instance_health.revision IS 'Revision that it is about';
COMMENT ON COLUMN promote.instance_health.deployed_by IS 'PROVISION that the instance ran by at that time';
COMMENT ON COLUMN promote.instance_health.current IS 'Whether the instance still runs by that PROVISION';
COMMENT ON COLUMN promote.instance_health.report IS 'Number of the report';
COMMENT ON COLUMN promote.instance_health.actor IS 'Who reported it';
COMMENT ON COLUMN promote.instance_health.database_role IS 'Role that the session acted as';

-- ---- reports, and what the gates look at ----

CREATE FUNCTION promote_internal.later(at timestamptz, duration interval) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (($1 AT TIME ZONE 'UTC') + $2) AT TIME ZONE 'UTC';
GRANT EXECUTE ON FUNCTION promote_internal.later(timestamptz, interval) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.later(timestamptz, interval) IS
'A time and a duration in UTC, so that a day has 24 hours whatever the session''s time zone';

CREATE FUNCTION promote_internal.next_report(
    project text, environment text, component text, check_name text, healthy boolean, clock timestamptz)
    RETURNS TABLE (report integer, revision integer, deployed_by integer, since timestamptz, now timestamptz)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
    BEGIN ATOMIC
        SELECT COALESCE(l.report, 0) + 1, NULLIF(i.revision, i.opened_revision), i.deployed_by,
               CASE WHEN l.healthy = $5 AND (NOT $5 OR l.expires_at > t.now OR l.expires_at IS NULL) THEN l.since ELSE t.now END,
               t.now
          FROM promote.instance AS i
          LEFT JOIN LATERAL (
              SELECT r.report, r.healthy, r.since, r.reported_at, r.expires_at
                FROM promote.health_report AS r
               WHERE r.project = i.project AND r.environment = i.environment AND r.component = i.component
                 AND r.check_name = $4
               ORDER BY r.project DESC, r.environment DESC, r.component DESC, r.check_name DESC, r.report DESC
               LIMIT 1) AS l ON true
         -- a clock that was set back does not make a report older than the one before
         CROSS JOIN LATERAL (SELECT GREATEST($6, l.reported_at) AS now) AS t
         WHERE i.project = $1 AND i.environment = $2 AND i.component = $3;
    END;
REVOKE ALL ON FUNCTION promote_internal.next_report(text, text, text, text, boolean, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.next_report(text, text, text, text, boolean, timestamptz) IS
'The number and the times that the next report of a check would have, and what the instance desires and runs by';

CREATE FUNCTION promote_internal.missing_checks(
    project text, environment text, component text, revision integer, source_environment text, source_revision integer,
    attributes jsonb, at timestamptz)
    RETURNS TABLE (check_name text, of_source boolean, per_revision boolean, reported boolean, healthy boolean, message text,
                   since timestamptz, expires_at timestamptz)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
    BEGIN ATOMIC
        SELECT c.check_name, who.of_source, c.per_revision, l.healthy IS NOT NULL, l.healthy, l.message, l.since, x.expires_at
          FROM promote.required_check AS c
         CROSS JOIN LATERAL (
              SELECT c."of" = 'source' AS of_source,
                     CASE c."of" WHEN 'source' THEN $5 ELSE $2 END AS environment,
                     CASE c."of" WHEN 'source' THEN $6 ELSE $4 END AS revision) AS who
          LEFT JOIN LATERAL (
              -- a report on an earlier generation of the environment says nothing of this one
              (SELECT r.healthy, r.message, r.since, r.reported_at, r.expires_at
                 FROM (SELECT r.healthy, r.message, r.since, r.reported_at, r.expires_at, r.revision
                         FROM promote.health_report AS r
                        WHERE r.project = $1 AND r.environment = who.environment AND r.component = $3
                          AND r.check_name = c.check_name AND NOT c.per_revision
                        ORDER BY r.project DESC, r.environment DESC, r.component DESC, r.check_name DESC, r.report DESC
                        LIMIT 1) AS r
                WHERE COALESCE(r.revision > (SELECT o.revision
                                               FROM promote_internal.opened_revision($1, who.environment, $3) AS o),
                               r.reported_at >= (SELECT COALESCE(e.opened_at, e.created_at) FROM promote.environment AS e
                                                  WHERE e.project = $1 AND e.environment = who.environment)))
              UNION ALL
              (SELECT r.healthy, r.message, r.since, r.reported_at, r.expires_at
                 FROM promote.health_report AS r
                WHERE r.project = $1 AND r.environment = who.environment AND r.component = $3
                  AND r.check_name = c.check_name AND c.per_revision AND r.revision = who.revision
                ORDER BY r.project DESC, r.environment DESC, r.component DESC, r.check_name DESC, r.revision DESC,
                         r.report DESC LIMIT 1)
              LIMIT 1) AS l ON true
         CROSS JOIN LATERAL (
              SELECT LEAST(l.expires_at, promote_internal.later(l.reported_at, c.expires_after)) AS expires_at) AS x
         WHERE c.scope = ANY (promote_internal.rule_scopes($1, $2)) AND (c.component = $3 OR c.component IS NULL)
           AND c.selector <@ $7 AND who.environment IS NOT NULL
           -- of a revision that is not there yet nothing can be reported
           AND (c."of" = 'source' OR NOT c.per_revision OR $4 > 0)
           AND (l.healthy AND (x.expires_at > $8 OR x.expires_at IS NULL)) IS NOT TRUE;
    END;
REVOKE ALL ON FUNCTION promote_internal.missing_checks(text, text, text, integer, text, integer, jsonb, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.missing_checks(text, text, text, integer, text, integer, jsonb, timestamptz) IS
'What closes the gate "health": checks that are required of a revision, promoted from another environment (NULL: it was not), and that are not green at a time';

CREATE FUNCTION promote_internal.soak(project text, environment text, component text, digest bytea, version text)
    RETURNS TABLE (failed boolean, revision integer, version text, same boolean, since timestamptz, unhealthy_at timestamptz,
                   failing text)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
    BEGIN ATOMIC
        SELECT i.status = 'FAILED', i.deployed_revision, run.version::text, run.same, began.at, bad.at,
               CASE WHEN bad.at IS NOT NULL THEN (
                   SELECT v.check_name
                     FROM promote.instance_health AS v
                    WHERE v.project = i.project AND v.environment = i.environment AND v.component = i.component
                      AND NOT v.healthy AND v.reported_at >= began.at
                    ORDER BY v.check_name LIMIT 1) END
          FROM promote.instance AS i
          LEFT JOIN LATERAL (
              SELECT d.version, d.rendered_digest,
                     d.version = $5 AND ((SELECT r.digest
                                            FROM promote.revision AS r
                                           WHERE r.project = d.project AND r.environment = d.environment
                                             AND r.component = d.component AND r.revision = d.revision) = $4
                                         OR d.rendered_digest = promote_internal.rendered_digest($1, $2, $4)) AS same
                FROM promote.deployment AS d
               WHERE d.project = i.project AND d.environment = i.environment AND d.component = i.component
                 AND d.deployment = i.deployed_by
               LIMIT 1) AS run ON true
          LEFT JOIN LATERAL (
              SELECT b.started_at
                FROM promote.deployment AS b
               WHERE b.project = i.project AND b.environment = i.environment AND b.component = i.component
                 AND run.same AND b.action <> 'PLAN' AND b.started_at IS NOT NULL
                 AND NOT (b.action = 'PROVISION' AND b.status NOT IN ('FAILED', 'ABORTED') AND b.version = $5
                          AND b.rendered_digest = run.rendered_digest)
               ORDER BY b.project DESC, b.environment DESC, b.component DESC, b.started_at DESC LIMIT 1) AS other ON true
          LEFT JOIN LATERAL (
              SELECT m.finished_at AS at
                FROM promote.deployment AS m
               WHERE m.project = i.project AND m.environment = i.environment AND m.component = i.component
                 AND run.same AND m.action <> 'PLAN' AND m.status = 'COMPLETED'
                 AND m.started_at > COALESCE(other.started_at, '-infinity')
               ORDER BY m.project, m.environment, m.component, m.started_at LIMIT 1) AS began ON true
          LEFT JOIN LATERAL (
              SELECT h.reported_at AS at
                FROM promote.health_report AS h
               WHERE h.project = i.project AND h.environment = i.environment AND h.component = i.component
                 AND NOT h.healthy AND h.reported_at >= began.at
               ORDER BY h.project DESC, h.environment DESC, h.component DESC, h.reported_at DESC LIMIT 1) AS bad ON true
         WHERE i.project = $1 AND i.environment = $2 AND i.component = $3;
    END;
REVOKE ALL ON FUNCTION promote_internal.soak(text, text, text, bytea, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.soak(text, text, text, bytea, text) IS
'What the gate "soak" looks at: what an instance runs (NULL: nothing), whether that is a configuration, as it is written or as it is rendered now, by a release, since when without a break, and the last report of ill health since then, with the check that still says so. A run begins with the first completed PROVISION behind the last thing that may have made it another one: whatever carried something else, failed, or was broken off';

CREATE FUNCTION promote_internal.soak_at(
    project text, environment text, component text, digest bytea, version text, at timestamptz)
    RETURNS TABLE (failed boolean, revision integer, version text, same boolean, since timestamptz, unhealthy_at timestamptz,
                   failing text, untold text)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
    BEGIN ATOMIC
        SELECT (SELECT l.status <> 'COMPLETED'
                  FROM promote.deployment AS l
                 WHERE l.project = $1 AND l.environment = $2 AND l.component = $3
                   AND l.action <> 'PLAN' AND l.started_at <= $6 AND l.finished_at <= $6
                 ORDER BY l.project DESC, l.environment DESC, l.component DESC, l.started_at DESC LIMIT 1),
               run.revision, run.version, run.same, began.at, bad.at,
               CASE WHEN bad.at IS NOT NULL THEN (
                   SELECT pg_catalog.min(v.check_name)
                     FROM (SELECT DISTINCT ON (h.check_name) h.check_name, h.healthy
                             FROM promote.health_report AS h
                            WHERE h.project = $1 AND h.environment = $2 AND h.component = $3
                              AND h.reported_at >= began.at AND h.reported_at <= $6
                            ORDER BY h.check_name, h.report DESC) AS v
                    WHERE NOT v.healthy) END,
               CASE
                   -- one runs at a time: of those that were begun since, the first alone may have run already
                   WHEN (SELECT n.queued_at <= $6 AND n.fencing > 1
                           FROM promote.deployment AS n
                          WHERE n.project = $1 AND n.environment = $2 AND n.component = $3
                            AND n.action <> 'PLAN' AND n.started_at > $6
                          ORDER BY n.project, n.environment, n.component, n.started_at LIMIT 1)
                       THEN 'the source was being deployed by a worker that was lost, and when it had begun was not kept'
                   WHEN run.version = $5 AND NOT run.same
                        AND (SELECT pg_catalog.strpos(c.params::text, '{{') > 0
                               FROM promote.config AS c WHERE c.project = $1 AND c.digest = $4)
                       THEN 'the source ran another document, and how what was promoted would have been rendered there was not kept'
               END
          FROM (VALUES (1)) AS one (one)
          LEFT JOIN LATERAL (
              SELECT d.revision, d.version::text AS version, d.rendered_digest,
                     -- what has no placeholders is rendered as itself
                     d.version = $5 AND ($4 = d.rendered_digest
                                         OR $4 = (SELECT r.digest
                                                    FROM promote.revision AS r
                                                   WHERE r.project = $1 AND r.environment = $2 AND r.component = $3
                                                     AND r.revision = d.revision)) AS same
                FROM promote_internal.run_at($1, $2, $3, $6) AS d) AS run ON true
          LEFT JOIN LATERAL (
              SELECT b.started_at
                FROM promote.deployment AS b
               WHERE b.project = $1 AND b.environment = $2 AND b.component = $3
                 AND run.same AND b.action <> 'PLAN' AND b.started_at <= $6
                 AND NOT (b.action = 'PROVISION' AND b.version = $5 AND b.rendered_digest = run.rendered_digest
                          AND NOT COALESCE(b.status IN ('FAILED', 'ABORTED') AND b.finished_at <= $6, false))
               ORDER BY b.project DESC, b.environment DESC, b.component DESC, b.started_at DESC LIMIT 1) AS other ON true
          LEFT JOIN LATERAL (
              SELECT m.finished_at AS at
                FROM promote.deployment AS m
               WHERE m.project = $1 AND m.environment = $2 AND m.component = $3
                 AND run.same AND m.action <> 'PLAN' AND m.status = 'COMPLETED' AND m.finished_at <= $6
                 AND m.started_at > COALESCE(other.started_at, '-infinity')
               ORDER BY m.project, m.environment, m.component, m.started_at LIMIT 1) AS began ON true
          LEFT JOIN LATERAL (
              SELECT h.reported_at AS at
                FROM promote.health_report AS h
               WHERE h.project = $1 AND h.environment = $2 AND h.component = $3
                 AND NOT h.healthy AND h.reported_at >= began.at AND h.reported_at <= $6
               ORDER BY h.project DESC, h.environment DESC, h.component DESC, h.reported_at DESC LIMIT 1) AS bad ON true;
    END;
REVOKE ALL ON FUNCTION promote_internal.soak_at(text, text, text, bytea, text, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.soak_at(text, text, text, bytea, text, timestamptz) IS
'As promote_internal.soak, as it was at a moment; untold: why history does not tell (NULL: it does). What has placeholders is the same where it is written the same: parameters of then are not kept';
