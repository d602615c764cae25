-- What the verbs of environments are about.

CREATE FUNCTION promote_internal.environment_scope(
    project text, source_environment text, destination_environment text, components text[], selector jsonb,
    reprovision boolean)
    RETURNS TABLE (component text, code text, problem text, pins boolean)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT n.component::text COLLATE "C",
               CASE WHEN n.skip_reason IS NOT NULL THEN n.skip_reason ->> 'code'
                    WHEN s.revision = s.opened_revision THEN 'unconfigured' END,
               CASE WHEN n.skip_reason IS NOT NULL THEN n.skip_reason ->> 'message'
                    WHEN s.revision = s.opened_revision THEN '"' || s.name || '" has no configuration yet' END,
               c.pins
          FROM promote_internal.request_candidates($1, $2, $3, $4, $5, $6) AS n
         CROSS JOIN LATERAL (
              SELECT COALESCE(c.version_policy, e.version_policy) = 'pinned' AS pins
                FROM promote.component AS c
               CROSS JOIN promote.environment AS e
               WHERE c.project = $1 AND c.component = n.component AND e.project = $1 AND e.environment = $3
               LIMIT 1) AS c
          LEFT JOIN LATERAL (
              SELECT s.revision, s.opened_revision, s.name FROM promote.instance AS s
               WHERE s.project = $1 AND s.environment = $2 AND s.component = n.component
               LIMIT 1) AS s ON true;
    END;
REVOKE ALL ON FUNCTION promote_internal.environment_scope(text, text, text, text[], jsonb, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.environment_scope(text, text, text, text[], jsonb, boolean) IS
'The components that a verb of two environments, or of one, is about: those that it names (NULL: all that its selector matches), with why each is left out (NULL: it is not), and whether promoting to there takes the exact version';
