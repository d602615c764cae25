-- What a promotion that merges starts from.

CREATE FUNCTION promote_internal.exchanges(
    of_project text, to_environment text, of_component text, from_environment text)
    RETURNS TABLE (
        environment text, revision integer, is_back boolean, "only" text[], pinned_version text, created_at timestamptz,
        version_constraint text, release_channel text, bundle text, version text, kept_marks jsonb, params jsonb)
    LANGUAGE sql STABLE ROWS 2
    BEGIN ATOMIC
        SELECT x.environment, x.revision, x.is_back, x."only", x.pinned_version, x.created_at,
               r.version_constraint, r.release_channel, r.bundle, r.version, r.kept_marks,
               (SELECT c.params FROM promote.config AS c WHERE c.project = $1 AND c.digest = r.digest)
          FROM (
              -- the last time that everything went there
              SELECT t.revision, t.source_revision, t.created_at, t.pinned_version
                FROM (SELECT) AS one
                LEFT JOIN LATERAL (
                    SELECT t.revision, t.source_revision, t.created_at, t.pinned_version
                      FROM promote.revision AS t
                     WHERE t.project = $1 AND t.environment = $2 AND t.component = $3
                       AND t.origin IN ('promotion', 'fork') AND t.source_environment = $4 AND t."only" IS NULL
                     ORDER BY t.project DESC, t.environment DESC, t.component DESC, t.revision DESC LIMIT 1) AS t ON true) AS t
          -- or, later, came back: the revisions that were there before are not looked at
          LEFT JOIN LATERAL (
              SELECT b.revision, b.source_revision, b.created_at, b.pinned_version
                FROM promote.revision AS b
               WHERE b.project = $1 AND b.environment = $4 AND b.component = $3
                 AND b.revision > COALESCE(t.source_revision, 0) AND b.created_at > COALESCE(t.created_at, '-infinity')
                 AND b.origin IN ('promotion', 'fork') AND b.source_environment = $2 AND b."only" IS NULL
               ORDER BY b.project DESC, b.environment DESC, b.component DESC, b.revision DESC LIMIT 1) AS b ON true
         CROSS JOIN LATERAL (
              SELECT $4 AS environment, t.source_revision AS revision, false AS is_back, NULL::text[] AS "only",
                     t.pinned_version, t.created_at
               WHERE t.revision IS NOT NULL AND b.revision IS NULL
              UNION ALL
              SELECT $2, b.source_revision, true, NULL, b.pinned_version, b.created_at
               WHERE b.revision IS NOT NULL
              UNION ALL
              -- and what went either way alone since, of the same places the last
              (SELECT DISTINCT ON (p."only") p.*
                 FROM (SELECT $4 AS environment, a.source_revision AS revision, false AS is_back, a."only",
                              a.pinned_version, a.created_at
                         FROM promote.revision AS a
                        WHERE a.project = $1 AND a.environment = $2 AND a.component = $3
                          AND a.revision > GREATEST(t.revision, b.source_revision)
                          AND a.created_at > COALESCE(b.created_at, t.created_at)
                          AND a.origin = 'promotion' AND a.source_environment = $4 AND a."only" IS NOT NULL
                       UNION ALL
                       SELECT $2, a.source_revision, true, a."only", a.pinned_version, a.created_at
                         FROM promote.revision AS a
                        WHERE a.project = $1 AND a.environment = $4 AND a.component = $3
                          AND a.revision > COALESCE(b.revision, t.source_revision)
                          AND a.created_at > COALESCE(b.created_at, t.created_at)
                          AND a.origin = 'promotion' AND a.source_environment = $2 AND a."only" IS NOT NULL) AS p
                ORDER BY p."only", p.created_at DESC)) AS x
          LEFT JOIN LATERAL (
              SELECT r.version_constraint, r.release_channel, r.bundle, r.version, r.kept_marks, r.digest
                FROM promote_internal.marked_revision AS r
               WHERE r.project = $1 AND r.environment = x.environment AND r.component = $3
                 AND r.revision = x.revision LIMIT 1) AS r ON true
         ORDER BY x."only" IS NOT NULL, x.created_at;
    END;
REVOKE ALL ON FUNCTION promote_internal.exchanges(text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.exchanges(text, text, text, text) IS
'What two instances of a component have in common: the revision of either that was promoted to the other last as a whole (is_back: the destination''s, to the source), then those of which named places were promoted since, the oldest first, of the same names the last. With its state, whose columns are NULL where it is gone. No row where nothing was promoted as a whole';
