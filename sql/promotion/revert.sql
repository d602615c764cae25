-- What of a promotion undoes that its destination has set itself.

CREATE FUNCTION promote_internal.desired_state(
    of_project text, of_environment text, of_component text, of_revision integer)
    RETURNS TABLE (
        revision integer, actor text, message text, created_at timestamptz, promoted boolean,
        params jsonb, version_constraint text, release_channel text,
        source_params jsonb, source_constraint text, source_channel text)
    LANGUAGE sql STABLE ROWS 1
    BEGIN ATOMIC
        SELECT r.revision, r.actor, r.message, r.created_at, r.origin IN ('promotion', 'fork'),
               (SELECT c.params FROM promote.config AS c WHERE c.project = r.project AND c.digest = r.digest),
               r.version_constraint, r.release_channel,
               (SELECT c.params FROM promote.config AS c WHERE c.project = r.project AND c.digest = s.digest),
               s.version_constraint, s.release_channel
          FROM promote.revision AS r
          LEFT JOIN LATERAL (
              SELECT s.digest, s.version_constraint, s.release_channel
                FROM promote.revision AS s
               WHERE r.origin IN ('promotion', 'fork')
                 AND s.project = r.project AND s.environment = r.source_environment AND s.component = r.component
                 AND s.revision = r.source_revision
               LIMIT 1) AS s ON true
         WHERE r.project = $1 AND r.environment = $2 AND r.component = $3 AND r.revision = $4;
    END;
REVOKE ALL ON FUNCTION promote_internal.desired_state(text, text, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.desired_state(text, text, text, integer) IS
'What an instance desired by a revision, who gave it that, and, where it was promoted, what its source desired';
