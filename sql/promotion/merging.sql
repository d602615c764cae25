-- What a promotion that merges starts from.

CREATE FUNCTION promote_internal.sources_of(of_project text, of_environment text, of_component text)
    RETURNS TABLE (environment text)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 2
    BEGIN ATOMIC
        -- from source to source, however many revisions came from each
        WITH RECURSIVE whole (environment) AS (
            (SELECT r.source_environment::text FROM promote.revision AS r
              WHERE r.project = $1 AND r.environment = $2 AND r.component = $3
                AND r.source_environment IS NOT NULL AND r."only" IS NULL
              ORDER BY r.project, r.environment, r.component, r.source_environment LIMIT 1)
             UNION ALL
            SELECT (SELECT r.source_environment::text FROM promote.revision AS r
                     WHERE r.project = $1 AND r.environment = $2 AND r.component = $3
                       AND r.source_environment > w.environment AND r."only" IS NULL
                     ORDER BY r.project, r.environment, r.component, r.source_environment LIMIT 1)
              FROM whole AS w WHERE w.environment IS NOT NULL
        ), part (environment) AS (
            (SELECT r.source_environment::text FROM promote.revision AS r
              WHERE r.project = $1 AND r.environment = $2 AND r.component = $3 AND r."only" IS NOT NULL
              ORDER BY r.project, r.environment, r.component, r.source_environment LIMIT 1)
             UNION ALL
            SELECT (SELECT r.source_environment::text FROM promote.revision AS r
                     WHERE r.project = $1 AND r.environment = $2 AND r.component = $3
                       AND r.source_environment > p.environment AND r."only" IS NOT NULL
                     ORDER BY r.project, r.environment, r.component, r.source_environment LIMIT 1)
              FROM part AS p WHERE p.environment IS NOT NULL)
        SELECT w.environment FROM whole AS w WHERE w.environment IS NOT NULL
         UNION
        SELECT p.environment FROM part AS p WHERE p.environment IS NOT NULL;
    END;
REVOKE ALL ON FUNCTION promote_internal.sources_of(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.sources_of(text, text, text) IS
'The environments that revisions of an instance came from, its own where it was rolled back';

CREATE FUNCTION promote_internal.opened_revision(of_project text, of_environment text, of_component text)
    RETURNS TABLE (revision integer)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
    BEGIN ATOMIC
        SELECT i.opened_revision FROM promote.instance AS i
         WHERE i.project = $1 AND i.environment = $2 AND i.component = $3 LIMIT 1;
    END;
REVOKE ALL ON FUNCTION promote_internal.opened_revision(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.opened_revision(text, text, text) IS
'The revision of an instance up to which its revisions are of earlier generations of its environment';

CREATE FUNCTION promote_internal.first_promotion(of_project text, of_environment text, of_component text)
    RETURNS TABLE (revision integer)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
    BEGIN ATOMIC
        SELECT f.revision
          FROM promote_internal.sources_of($1, $2, $3) AS s
         CROSS JOIN LATERAL (
              (SELECT r.revision FROM promote.revision AS r
                WHERE r.project = $1 AND r.environment = $2 AND r.component = $3 AND r.source_environment = s.environment
                  AND r."only" IS NULL AND (r.origin IN ('promotion', 'fork')) IS TRUE
                  AND r.revision > (SELECT o.revision FROM promote_internal.opened_revision($1, $2, $3) AS o)
                ORDER BY r.project, r.environment, r.component, r.source_environment, r.revision LIMIT 1)
              UNION ALL
              (SELECT r.revision FROM promote.revision AS r
                WHERE r.project = $1 AND r.environment = $2 AND r.component = $3 AND r.source_environment = s.environment
                  AND r."only" IS NOT NULL AND (r.origin IN ('promotion', 'fork')) IS TRUE
                  AND r.revision > (SELECT o.revision FROM promote_internal.opened_revision($1, $2, $3) AS o)
                ORDER BY r.project, r.environment, r.component, r.source_environment, r.revision LIMIT 1)) AS f
         ORDER BY f.revision LIMIT 1;
    END;
REVOKE ALL ON FUNCTION promote_internal.first_promotion(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.first_promotion(text, text, text) IS
'The first revision that was promoted to an instance in the generation of its environment; no row where none was';

CREATE FUNCTION promote_internal.last_from_elsewhere(of_project text, of_environment text, of_component text, before_revision integer)
    RETURNS TABLE (revision integer, source_environment text, source_revision integer, version_constraint text,
                   release_channel text)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
    BEGIN ATOMIC
        SELECT f.revision, s.environment, f.source_revision, f.version_constraint, f.release_channel
          FROM promote_internal.sources_of($1, $2, $3) AS s
         CROSS JOIN LATERAL (
              (SELECT r.revision, r.source_revision, r.version_constraint, r.release_channel
                 FROM promote.revision AS r
                WHERE r.project = $1 AND r.environment = $2 AND r.component = $3 AND r.source_environment = s.environment
                  AND r.revision > (SELECT o.revision FROM promote_internal.opened_revision($1, $2, $3) AS o)
                  AND r.revision < $4 AND r."only" IS NULL
                ORDER BY r.project DESC, r.environment DESC, r.component DESC, r.source_environment DESC,
                      r.revision DESC LIMIT 1)
              UNION ALL
              (SELECT r.revision, r.source_revision, r.version_constraint, r.release_channel
                 FROM promote.revision AS r
                WHERE r.project = $1 AND r.environment = $2 AND r.component = $3 AND r.source_environment = s.environment
                  AND r.revision > (SELECT o.revision FROM promote_internal.opened_revision($1, $2, $3) AS o)
                  AND r.revision < $4 AND r."only" IS NOT NULL
                ORDER BY r.project DESC, r.environment DESC, r.component DESC, r.source_environment DESC,
                      r.revision DESC LIMIT 1)) AS f
         WHERE s.environment <> $2
         ORDER BY f.revision DESC LIMIT 1;
    END;
REVOKE ALL ON FUNCTION promote_internal.last_from_elsewhere(text, text, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.last_from_elsewhere(text, text, text, integer) IS
'The last revision of an instance before a number, in the generation of its environment, that came from another one; no row where none did';

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
                       AND (t.origin IN ('promotion', 'fork')) IS TRUE AND t.source_environment = $4 AND t."only" IS NULL
                       AND t.revision > (SELECT o.revision FROM promote_internal.opened_revision($1, $2, $3) AS o)
                       -- what an earlier generation of the source has given is nothing that this one began with
                       AND t.source_revision > (SELECT o.revision FROM promote_internal.opened_revision($1, $4, $3) AS o)
                     ORDER BY t.project DESC, t.environment DESC, t.component DESC, t.source_environment DESC, t.revision DESC
                     LIMIT 1) AS t ON true) AS t
          -- or, later, came back: the revisions that were there before are not looked at
          LEFT JOIN LATERAL (
              SELECT b.revision, b.source_revision, b.created_at, b.pinned_version
                FROM promote.revision AS b
               WHERE b.project = $1 AND b.environment = $4 AND b.component = $3
                 AND b.revision > COALESCE(t.source_revision, 0)
                 -- so said, the index of all times is not taken for one that helps
                 AND (b.created_at > COALESCE(t.created_at, '-infinity')) IS TRUE
                 AND (b.origin IN ('promotion', 'fork')) IS TRUE AND b.source_environment = $2 AND b."only" IS NULL
                 AND b.source_revision > (SELECT o.revision FROM promote_internal.opened_revision($1, $2, $3) AS o)
                 AND b.revision > (SELECT o.revision FROM promote_internal.opened_revision($1, $4, $3) AS o)
               ORDER BY b.project DESC, b.environment DESC, b.component DESC, b.source_environment DESC, b.revision DESC
               LIMIT 1) AS b ON true
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
                          AND (a.created_at > COALESCE(b.created_at, t.created_at)) IS TRUE
                          AND (a.origin = 'promotion') IS TRUE AND a.source_environment = $4 AND a."only" IS NOT NULL
                       UNION ALL
                       SELECT $2, a.source_revision, true, a."only", a.pinned_version, a.created_at
                         FROM promote.revision AS a
                        WHERE a.project = $1 AND a.environment = $4 AND a.component = $3
                          AND a.revision > COALESCE(b.revision, t.source_revision)
                          AND (a.created_at > COALESCE(b.created_at, t.created_at)) IS TRUE
                          AND (a.origin = 'promotion') IS TRUE AND a.source_environment = $2 AND a."only" IS NOT NULL) AS p
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
