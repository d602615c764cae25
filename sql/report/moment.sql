-- What is where: at a moment, between two, and what is still to go on.

CREATE FUNCTION promote_internal.moment(
    INOUT project text, INOUT at timestamptz, state text, OUT running boolean)
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'promote_moment';
GRANT EXECUTE ON FUNCTION promote_internal.moment(text, timestamptz, text) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.moment(text, timestamptz, text) IS
'As promote_internal.report_span, of a moment, now where it is NULL, and whether it is about what ran; PM404 for another state';

CREATE FUNCTION promote_internal.in_use_at(of_project text, of_environment text, at timestamptz) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    BEGIN ATOMIC
        SELECT EXISTS (SELECT FROM promote.environment AS e
                        WHERE e.project = $1 AND e.environment = $2 AND (e.opened_at IS NULL OR e.opened_at <= $3)
                          AND (e.archived_at IS NULL OR e.archived_at > $3))
               OR EXISTS (SELECT FROM promote.environment_generation AS g
                           WHERE g.project = $1 AND g.environment = $2 AND g.opened_at <= $3 AND g.archived_at > $3);
    END;
GRANT EXECUTE ON FUNCTION promote_internal.in_use_at(text, text, timestamptz) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.in_use_at(text, text, timestamptz) IS
'Was an environment open at a moment, by any of its generations?';

-- what these two read, row-level security lets whoever asks read
GRANT EXECUTE ON FUNCTION promote_internal.revision_at(text, text, text, timestamptz) TO PUBLIC;
GRANT EXECUTE ON FUNCTION promote_internal.run_at(text, text, text, timestamptz) TO PUBLIC;

CREATE FUNCTION promote.state_as_of(project text, at timestamptz DEFAULT NULL, state text DEFAULT 'running')
    RETURNS TABLE (environment text, component text, instance text, revision integer, bundle text, version text,
                   digest bytea, rendered_digest bytea, artifact_digest text, deployment integer,
                   since timestamptz, actor text)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 100
    BEGIN ATOMIC
        SELECT i.environment::text, i.component::text, i.name, r.revision, r.bundle::text, c.version,
               r.digest, c.rendered_digest,
               (SELECT f.artifact_digest FROM promote.bundle_release AS f
                 WHERE f.bundle = r.bundle AND f.version = c.version),
               c.deployment, COALESCE(c.since, r.created_at), COALESCE(c.actor, r.actor)
          FROM promote_internal.moment($1, $2, $3) AS m
          JOIN promote.instance AS i ON i.project = m.project
         CROSS JOIN LATERAL (
              SELECT d.revision, d.version::text, d.rendered_digest, d.deployment, d.finished_at AS since, d.actor
                FROM promote_internal.run_at(i.project, i.environment, i.component, m.at) AS d
               WHERE m.running
               UNION ALL
              SELECT a.revision, NULL, NULL, NULL, NULL, NULL
                FROM promote_internal.revision_at(i.project, i.environment, i.component, m.at) AS a
               WHERE NOT m.running) AS w
         CROSS JOIN LATERAL (
              SELECT r.revision, r.bundle, r.version, r.digest, r.created_at, r.actor FROM promote.revision AS r
               WHERE r.project = i.project AND r.environment = i.environment AND r.component = i.component
                 AND r.revision = w.revision
               LIMIT 1) AS r
         CROSS JOIN LATERAL (
              SELECT COALESCE(w.version, r.version::text) AS version, w.rendered_digest, w.deployment, w.since,
                     w.actor) AS c
         WHERE promote_internal.in_use_at(i.project, i.environment, m.at)
         ORDER BY i.environment, i.component;
    END;
REVOKE ALL ON FUNCTION promote.state_as_of(text, timestamptz, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.state_as_of(text, timestamptz, text) IS
'What every instance of a project ran at a moment, or now: the revision, the release, their digests, since when and by whose order; with state => ''desired'' what it desired. No row for an instance that ran, or desired, nothing, or whose environment was not open';

CREATE FUNCTION promote.changes_between(
    project text, since timestamptz, until timestamptz DEFAULT NULL, state text DEFAULT 'running')
    RETURNS TABLE (environment text, component text, instance text, change text,
                   old_revision integer, new_revision integer, old_version text, new_version text,
                   old_digest bytea, new_digest bytea, old_deployment integer, new_deployment integer,
                   at timestamptz, actor text)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 100
    BEGIN ATOMIC
        SELECT c.*
          FROM promote_internal.report_span($1, $2, $3) AS s
         CROSS JOIN LATERAL (
              SELECT COALESCE(b.environment, a.environment), COALESCE(b.component, a.component),
                     COALESCE(b.instance, a.instance),
                     CASE WHEN a.instance IS NULL THEN 'add' WHEN b.instance IS NULL THEN 'remove' ELSE 'change' END,
                     a.revision, b.revision, a.version, b.version, a.digest, b.digest, a.deployment, b.deployment,
                     b.since, b.actor
                FROM promote.state_as_of(s.project, s.since, $4) AS a
                FULL JOIN promote.state_as_of(s.project, s.until, $4) AS b
                  ON b.environment = a.environment AND b.component = a.component
               WHERE (a.revision, a.bundle, a.version, a.rendered_digest)
                     IS DISTINCT FROM (b.revision, b.bundle, b.version, b.rendered_digest)
               ORDER BY 1, 2) AS c;
    END;
REVOKE ALL ON FUNCTION promote.changes_between(text, timestamptz, timestamptz, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.changes_between(text, timestamptz, timestamptz, text) IS
'In what state_as_of of two moments differs: which instances run another revision, release or rendered configuration than before, since when and by whose order, or, with state => ''desired'', desire it. NULL for since: before anything; for until: as of the last that is known. What changed and changed back is not in it';

CREATE FUNCTION promote_internal.pending_scope(INOUT project text, INOUT environment text)
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'promote_pending_scope';
GRANT EXECUTE ON FUNCTION promote_internal.pending_scope(text, text) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.pending_scope(text, text) IS
'As promote_internal.report_span, of a project and one of its environments, NULL for all; PM002 where that is not there';

CREATE FUNCTION promote.pending_changes(project text, environment text DEFAULT NULL)
    RETURNS TABLE (environment text, next text, component text, kind text, path text, change text,
                   old_value jsonb, new_value jsonb, sensitive boolean, since timestamptz, actor text, message text,
                   code text, problem text)
    LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 100
    BEGIN ATOMIC
        SELECT p.environment, p.next, v.component, e.entry ->> 'kind', e.entry ->> 'path', e.entry ->> 'change',
               e.entry -> 'old', e.entry -> 'new', COALESCE((e.entry -> 'sensitive')::boolean, false),
               -- of a leaf, and of a constraint, who has set it; of what that stood for, who has deployed it there
               COALESCE(e.created_at, run.finished_at), COALESCE(e.actor, run.actor), COALESCE(e.message, run.message),
               v.code, v.problem
          FROM promote_internal.pending_scope($1, $2) AS s
         CROSS JOIN LATERAL (
              -- what runs here, and has an instance there; a call without components would be about all
              SELECT p.project::text, p.source_environment::text AS environment, p.destination_environment::text AS next,
                     pg_catalog.array_agg(i.component::text ORDER BY i.component) AS components
                FROM promote.promotion_path AS p
                JOIN promote.instance AS i ON i.project = p.project AND i.environment = p.source_environment
                JOIN promote.instance AS n
                  ON n.project = p.project AND n.environment = p.destination_environment AND n.component = i.component
                JOIN promote.environment AS f ON f.project = p.project AND f.environment = p.source_environment
                JOIN promote.environment AS t ON t.project = p.project AND t.environment = p.destination_environment
               WHERE p.project = s.project AND (s.environment IS NULL OR p.source_environment = s.environment)
                 AND i.deployed_revision IS NOT NULL AND f.archived_at IS NULL AND t.archived_at IS NULL
                 AND promote.may('view', p.project, p.source_environment)
                 AND promote.may('view', p.project, p.destination_environment)
               GROUP BY p.project, p.source_environment, p.destination_environment
               ORDER BY p.source_environment, p.destination_environment) AS p
         CROSS JOIN LATERAL promote.preview_promote_environment(
              p.project || '-' || p.environment, p.project || '-' || p.next, components => p.components,
              source_state => 'running', reprovision => true) AS v
         CROSS JOIN LATERAL (
              SELECT i.name, i.deployed_revision, i.deployed_by FROM promote.instance AS i
               WHERE i.project = p.project AND i.environment = p.environment AND i.component = v.component
               LIMIT 1) AS i
         CROSS JOIN LATERAL (
              SELECT d.finished_at, d.actor, d.message FROM promote.deployment AS d
               WHERE d.project = p.project AND d.environment = p.environment AND d.component = v.component
                 AND d.deployment = i.deployed_by
               LIMIT 1) AS run
          LEFT JOIN LATERAL (
              SELECT e.entry, e.place, b.created_at, b.actor, b.message
                FROM pg_catalog.jsonb_array_elements(v.diff) WITH ORDINALITY AS e (entry, place)
                LEFT JOIN promote.blame(i.name, i.deployed_revision) AS b ON b.path = e.entry ->> 'path') AS e ON true
         WHERE e.entry IS NOT NULL OR v.code IS NOT NULL
         ORDER BY p.environment, p.next, v.component, e.place;
    END;
REVOKE ALL ON FUNCTION promote.pending_changes(text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.pending_changes(text, text) IS
'What runs in an environment, or in any, and not in the next one along the promotion paths: for each component how what runs there would differ if what runs here were promoted and deployed, by leaf and release, with sensitive values masked; since when and by whom. code and problem: why it could not be promoted. Of paths whose two ends the caller may not both view nothing is told';
