-- Forking environments: another one like it, opened by one call, under a new name or under one that is archived.

CREATE FUNCTION promote_internal.forkable(
    project text, environment text, components text[], selector jsonb, configure boolean, running boolean,
    copy_rules boolean)
    RETURNS TABLE (component text, code text, problem text, pins boolean, missing text[])
    LANGUAGE sql STABLE ROWS 20
    BEGIN ATOMIC
        WITH RECURSIVE forked AS MATERIALIZED (
            SELECT i.component::text, n.problem,
                   COALESCE(COALESCE(c.version_policy, CASE WHEN $7 THEN e.version_policy END) = 'pinned', false) AS pins,
                   c.bundle, CASE WHEN $7 THEN e.reference_defaults END AS defaults
              FROM promote.instance AS i
              JOIN promote.environment AS e ON e.project = i.project AND e.environment = i.environment
              JOIN promote.component AS c ON c.project = i.project AND c.component = i.component
              JOIN promote_internal.instance_attributes AS a
                ON a.project = i.project AND a.environment = i.environment AND a.component = i.component
             CROSS JOIN LATERAL (
                  SELECT CASE WHEN NOT $5 THEN 'it is not to be configured'
                              WHEN CASE WHEN $6 THEN i.deployed_revision IS NULL WHEN NOT $6 THEN i.revision = i.opened_revision END
                              THEN 'its source has nothing to configure it with' END) AS n (problem)
             WHERE i.project = $1 AND i.environment = $2
               AND ($3 IS NULL OR i.component = ANY ($3))
               AND ($4 IS NULL OR a.attributes @> $4)
        ), needed (component, needs) AS (
            SELECT f.component, d.depends_on::text
              FROM forked AS f
             CROSS JOIN LATERAL (
                  SELECT d.depends_on FROM promote.component_dependency AS d
                   WHERE d.project = $1 AND d.component = f.component OFFSET 0) AS d
             UNION
            SELECT n.component, d.depends_on::text
              FROM needed AS n
             CROSS JOIN LATERAL (
                  SELECT d.depends_on FROM promote.component_dependency AS d
                   WHERE d.project = $1 AND d.component = n.needs OFFSET 0) AS d
             -- what the fork gets says itself what it would miss
             WHERE n.needs NOT IN (SELECT o.component FROM forked AS o)
        ), referred (component, needs) AS (
            SELECT f.component, pg_catalog.substring(r.reference, '^component://([^-/?#]+)([/?#]|$)')
              FROM forked AS f
             CROSS JOIN LATERAL (
                  SELECT r.reference
                    FROM promote.remote_reference AS r
                   WHERE r.project = $1 AND r.environment = $2 AND r.component = f.component
                   UNION ALL
                  SELECT d.reference
                    FROM pg_catalog.jsonb_each_text(f.defaults) AS d (field, reference)
                   WHERE EXISTS (SELECT FROM promote.bundle_release AS b
                                  WHERE b.bundle = f.bundle AND b.remote_references ? d.field)) AS r
        ), missed AS (
            SELECT n.component, n.needs
              FROM needed AS n
             CROSS JOIN LATERAL (
                  SELECT FROM promote.instance AS o
                   WHERE o.project = $1 AND o.environment = $2 AND o.component = n.needs LIMIT 1) AS o
             WHERE n.needs NOT IN (SELECT o.component FROM forked AS o)
             UNION
            SELECT r.component, r.needs FROM referred AS r WHERE r.needs NOT IN (SELECT o.component FROM forked AS o)
        )
        SELECT f.component, CASE WHEN f.problem IS NOT NULL THEN 'unconfigured' END, f.problem, f.pins, m.missing
          FROM forked AS f
          LEFT JOIN (
               SELECT n.component, pg_catalog.array_agg(n.needs ORDER BY n.needs COLLATE "C") AS missing
                 FROM missed AS n
                GROUP BY 1) AS m ON m.component = f.component;
    END;
REVOKE ALL ON FUNCTION promote_internal.forkable(text, text, text[], jsonb, boolean, boolean, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.forkable(text, text, text[], jsonb, boolean, boolean, boolean) IS
'The instances of an environment that a fork of it gets: why there is nothing that one is configured with, of what is desired, or running, or, where running is null, of what is found elsewhere (NULL: there is), whether that takes the exact version, and which components it depends on or refers to that the fork does not get (NULL: none)';

CREATE FUNCTION promote_internal.fork_chain(of_project text, of_environment text, to_environment text)
    RETURNS text
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        WITH RECURSIVE chain (environment, way, place) AS (
            SELECT $2 COLLATE "C", ARRAY[$3, $2] COLLATE "C", 1
            UNION ALL
            SELECT e.forked_from::text, c.way || e.forked_from::text, c.place + 1
              FROM chain AS c
              JOIN promote.environment AS e ON e.project = $1 AND e.environment = c.environment
             WHERE e.forked_from IS NOT NULL AND c.environment <> $3
               AND e.forked_from::text <> ALL (c.way[2:]))
        SELECT pg_catalog.array_to_string(c.way, ' -> ') FROM chain AS c WHERE c.environment = $3 ORDER BY c.place LIMIT 1;
    END;
REVOKE ALL ON FUNCTION promote_internal.fork_chain(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.fork_chain(text, text, text) IS
'From which environment to which a third one would be a fork of itself if it were forked from the second; NULL: it would not';

CREATE FUNCTION promote_internal.open_environment(
    project text, environment text, description text, attributes jsonb, forked_from text)
    RETURNS TABLE (generation integer)
    LANGUAGE sql
    BEGIN ATOMIC
        INSERT INTO promote.environment AS e (project, environment, description, attributes, forked_from)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT ON CONSTRAINT environment_pkey DO UPDATE
           SET description = excluded.description, attributes = excluded.attributes,
               forked_from = excluded.forked_from, generation = e.generation + 1,
               opened_at = pg_catalog.clock_timestamp(), archived_at = NULL,
               require_plan = DEFAULT, decommission_protection = DEFAULT, max_lost_leases = DEFAULT,
               source_policy = DEFAULT, require_source_in_sync = DEFAULT, required_soak = DEFAULT,
               require_no_drift = DEFAULT, require_expected = DEFAULT, require_proven_release = DEFAULT,
               require_no_reverts = DEFAULT, require_artifact_digest = DEFAULT, version_policy = DEFAULT,
               promotion_mode = DEFAULT, separation_of_duty = DEFAULT, require_structure = DEFAULT,
               reference_defaults = DEFAULT
         WHERE e.archived_at IS NOT NULL
        RETURNING e.generation;
    END;
REVOKE ALL ON FUNCTION promote_internal.open_environment(text, text, text, jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.open_environment(text, text, text, jsonb, text) IS
'Inserts an environment, or opens one that is archived as its next generation, with the rules that a new one has. No row where one of that name is in use';

CREATE FUNCTION promote_internal.open_instances(
    of_project text, source_environment text, new_environment text, components text[])
    RETURNS TABLE (component text)
    LANGUAGE sql
    BEGIN ATOMIC
        WITH added AS (
            INSERT INTO promote.instance (project, environment, component, attributes)
            SELECT i.project, $3, i.component, i.attributes
              FROM promote.instance AS i
             WHERE i.project = $1 AND i.environment = $2 AND i.component = ANY ($4)
               AND NOT EXISTS (SELECT FROM promote.instance AS o
                                WHERE o.project = $1 AND o.environment = $3 AND o.component = i.component)
             ORDER BY i.component)
        -- of those that were there before
        UPDATE promote.instance AS i
           SET status = 'INITIALIZED',
               revision = i.revision + 1,
               opened_revision = i.revision + 1,
               version_constraint = NULL,
               release_channel = NULL,
               changed_by = 0,
               removed_secrets = NULL,
               attributes = CASE WHEN i.component = ANY ($4)
                                 THEN (SELECT s.attributes FROM promote.instance AS s
                                        WHERE s.project = $1 AND s.environment = $2 AND s.component = i.component)
                                 ELSE '{}' END
         WHERE i.project = $1 AND i.environment = $3
        RETURNING i.component::text;
    END;
REVOKE ALL ON FUNCTION promote_internal.open_instances(text, text, text, text[]) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.open_instances(text, text, text, text[]) IS
'Gives an environment that was opened the instances that another has of some components, and lets those that it had begin anew: their revisions are of earlier generations from now on, and the number of the opening is taken. Returns these';

CREATE FUNCTION promote_internal.copied_name(name text, project text, environment text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN pg_catalog.format('%s of %s-%s', $1, $2, $3);
REVOKE ALL ON FUNCTION promote_internal.copied_name(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.copied_name(text, text, text) IS
'What a window or a policy, whose names are unique, is called where it is copied to an environment';

CREATE FUNCTION promote_internal.taken_names(of_project text, source_environment text, new_environment text)
    RETURNS TABLE (problem text)
    LANGUAGE sql STABLE ROWS 1
    BEGIN ATOMIC
        WITH rule AS (
            SELECT 'freeze window' AS kind, w.name, w.project, w.environment FROM promote.freeze_window AS w
             UNION ALL
            SELECT 'change window', w.name, w.project, w.environment FROM promote.change_window AS w
             UNION ALL
            SELECT 'policy', p.policy, p.project, p.environment FROM promote.policy AS p
        ), copied AS (
            SELECT r.kind, promote_internal.copied_name(r.name, $1, $3) AS name
              FROM rule AS r
             WHERE r.project = $1 AND r.environment = $2
        )
        SELECT pg_catalog.concat(c.kind, ' "', c.name, '"', CASE WHEN t.kind IS NULL THEN ' (too long)' END)
          FROM copied AS c
          -- what the environment has is of an earlier generation, and goes away
          LEFT JOIN rule AS t
            ON t.kind = c.kind AND t.name = c.name AND (t.project = $1 AND t.environment = $3) IS NOT TRUE
         WHERE t.kind IS NOT NULL OR c.kind = 'policy' AND pg_catalog.octet_length(c.name) > 255
         ORDER BY c.kind, c.name;
    END;
REVOKE ALL ON FUNCTION promote_internal.taken_names(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.taken_names(text, text, text) IS
'Windows and policies of an environment that cannot be copied to another one, since the name that they get is another''s there, or too long for a policy';

CREATE FUNCTION promote_internal.copy_rules(of_project text, source_environment text, new_environment text) RETURNS void
    LANGUAGE sql
    BEGIN ATOMIC
        UPDATE promote.environment AS e
           SET require_plan = s.require_plan, decommission_protection = s.decommission_protection,
               max_lost_leases = s.max_lost_leases, source_policy = s.source_policy,
               require_source_in_sync = s.require_source_in_sync, required_soak = s.required_soak,
               require_no_drift = s.require_no_drift, require_expected = s.require_expected,
               require_proven_release = s.require_proven_release, require_no_reverts = s.require_no_reverts,
               require_artifact_digest = s.require_artifact_digest, version_policy = s.version_policy,
               promotion_mode = s.promotion_mode, separation_of_duty = s.separation_of_duty,
               -- an environment is not held to its own shape
               require_structure = NULLIF(s.require_structure, $3), reference_defaults = s.reference_defaults
          FROM promote.environment AS s
         WHERE e.project = $1 AND e.environment = $3 AND s.project = $1 AND s.environment = $2;
        INSERT INTO promote.promotion_path (project, source_environment, destination_environment, description)
        SELECT p.project, p.source_environment, $3, p.description
          FROM promote.promotion_path AS p WHERE p.project = $1 AND p.destination_environment = $2
        UNION ALL
        SELECT p.project, $3, p.destination_environment, p.description
          FROM promote.promotion_path AS p WHERE p.project = $1 AND p.source_environment = $2;
        INSERT INTO promote.approval_rule (project, environment, rule, role, quorum, expires_after, requester_counts,
                                           component, selector, description)
        SELECT r.project, $3, r.rule, r.role, r.quorum, r.expires_after, r.requester_counts, r.component, r.selector, r.description
          FROM promote.approval_rule AS r WHERE r.project = $1 AND r.environment = $2;
        INSERT INTO promote.override_rule (project, environment, code, role, description)
        SELECT r.project, $3, r.code, r.role, r.description
          FROM promote.override_rule AS r WHERE r.project = $1 AND r.environment = $2;
        INSERT INTO promote.required_check (project, environment, check_name, "of", per_revision, expires_after, component,
                                            selector, description)
        SELECT c.project, $3, c.check_name, c."of", c.per_revision, c.expires_after, c.component, c.selector, c.description
          FROM promote.required_check AS c WHERE c.project = $1 AND c.environment = $2;
        INSERT INTO promote.freeze_window (name, project, environment, component, selector, reason, during, rule, zone,
                                           starts_at, duration, exdates)
        SELECT promote_internal.copied_name(w.name, $1, $3), w.project, $3, w.component, w.selector, w.reason, w.during,
               w.rule, w.zone, w.starts_at, w.duration, w.exdates
          FROM promote.freeze_window AS w WHERE w.project = $1 AND w.environment = $2;
        INSERT INTO promote.change_window (name, project, environment, component, selector, reason, during, rule, zone,
                                           starts_at, duration, exdates, max_deployments_per_window)
        SELECT promote_internal.copied_name(w.name, $1, $3), w.project, $3, w.component, w.selector, w.reason, w.during,
               w.rule, w.zone, w.starts_at, w.duration, w.exdates, w.max_deployments_per_window
          FROM promote.change_window AS w WHERE w.project = $1 AND w.environment = $2;
        INSERT INTO promote.policy (policy, function, project, environment, component, selector, code, timeout, enabled, description)
        SELECT promote_internal.copied_name(p.policy, $1, $3), p.function, p.project, $3, p.component, p.selector, p.code,
               p.timeout, p.enabled, p.description
          FROM promote.policy AS p WHERE p.project = $1 AND p.environment = $2;
    END;
REVOKE ALL ON FUNCTION promote_internal.copy_rules(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.copy_rules(text, text, text) IS
'Gives an environment the rules of another: its columns, paths in and out, approval and override rules, checks, windows and policies; windows and policies, whose names are unique, are named after the environment. Grants are copied apart, as nobody grants themselves';

CREATE FUNCTION promote.preview_fork_environment(
    src text, new_environment text, parameters jsonb DEFAULT '{}', attributes jsonb DEFAULT '{}',
    overrides jsonb DEFAULT '{}', copy_secrets boolean DEFAULT false, copy_remote_references boolean DEFAULT false,
    copy_rules boolean DEFAULT false, components text[] DEFAULT NULL, selector jsonb DEFAULT NULL,
    configure boolean DEFAULT true, plan boolean DEFAULT true, message text DEFAULT NULL, pin boolean DEFAULT false,
    source_state text DEFAULT NULL, preset text DEFAULT NULL, fill_defaults boolean DEFAULT false,
    partial boolean DEFAULT false)
    RETURNS TABLE (component text, changed boolean, revision integer, deployment integer, diff jsonb,
                   code text, problem text, missing text[])
    LANGUAGE c STABLE PARALLEL UNSAFE ROWS 20
    AS 'MODULE_PATHNAME', 'promote_preview_fork_environment';
REVOKE ALL ON FUNCTION promote.preview_fork_environment(text, text, jsonb, jsonb, jsonb, boolean, boolean, boolean, text[], jsonb, boolean, boolean, text, boolean, text, text, boolean, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote.preview_fork_environment(text, text, jsonb, jsonb, jsonb, boolean, boolean, boolean, text[], jsonb, boolean, boolean, text, boolean, text, text, boolean, boolean) IS
'What fork_environment with these arguments would return: a row for each component, with code and problem for each that it would refuse or leave out. Writes nothing and locks nothing';

CREATE FUNCTION promote.fork_environment(
    src text, new_environment text, parameters jsonb DEFAULT '{}', attributes jsonb DEFAULT '{}',
    overrides jsonb DEFAULT '{}', copy_secrets boolean DEFAULT false, copy_remote_references boolean DEFAULT false,
    copy_rules boolean DEFAULT false, components text[] DEFAULT NULL, selector jsonb DEFAULT NULL,
    configure boolean DEFAULT true, plan boolean DEFAULT true, message text DEFAULT NULL, pin boolean DEFAULT false,
    source_state text DEFAULT NULL, preset text DEFAULT NULL, fill_defaults boolean DEFAULT false,
    partial boolean DEFAULT false)
    RETURNS TABLE (component text, changed boolean, revision integer, deployment integer, diff jsonb,
                   code text, problem text, missing text[])
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 20
    AS 'MODULE_PATHNAME', 'promote_fork_environment';
REVOKE ALL ON FUNCTION promote.fork_environment(text, text, jsonb, jsonb, jsonb, boolean, boolean, boolean, text[], jsonb, boolean, boolean, text, boolean, text, text, boolean, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote.fork_environment(text, text, jsonb, jsonb, jsonb, boolean, boolean, boolean, text[], jsonb, boolean, boolean, text, boolean, text, text, boolean, boolean) IS
'Opens an environment like another one, or like what ran there by a tag or at a time, as in ecomm-staging@tuesday, or by source_state was desired, under a new name or as the next generation of one that is archived: its parameters and attributes, with these patches on top, its instances, or those of some components, each with the configuration of its source as a revision of origin fork, composed as for a destination without a configuration, with the overrides of its component on top; on request its secrets, remote references and rules. All or nothing; with partial, an instance whose configuration is refused begins without one. Returns a row for each; missing has the components that it depends on or refers to and that the fork does not get';
