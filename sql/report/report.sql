-- Questions about promotions.

CREATE FUNCTION promote.format_diff(diff jsonb, replaces boolean DEFAULT false) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_format_diff';
COMMENT ON FUNCTION promote.format_diff(jsonb, boolean) IS
'A diff as text in the manner of terraform plan: + added, ~ changed, - removed, and a line that counts; replaces says that a change of an immutable value forces replacement';

CREATE FUNCTION promote.plan_text(instance text, deployment integer DEFAULT NULL) RETURNS text
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'promote_plan_text';
REVOKE ALL ON FUNCTION promote.plan_text(text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote.plan_text(text, integer) IS
'What a deployment would change, for people; without a number, the last deployment';

CREATE FUNCTION promote.config_as_of(
    instance text, at timestamptz DEFAULT NULL, state text DEFAULT 'desired')
    RETURNS TABLE (revision integer, params jsonb, version_constraint text,
                   release_channel text, since timestamptz, actor text, version text, deployment integer)
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1
    AS 'MODULE_PATHNAME', 'promote_config_as_of';
REVOKE ALL ON FUNCTION promote.config_as_of(text, timestamptz, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.config_as_of(text, timestamptz, text) IS
'What the instance desired at a moment, or now: the revision, whole, and the release that it was judged by. With state => ''running'', what the instance ran: the revision as it was rendered, the release, since when, by whose order and by which deployment. Sensitive values are masked except for the owner and for workers, who get them anyway. No row if the instance had no revision yet, or ran nothing';

CREATE VIEW promote.promotion_history WITH (security_invoker = true) AS
    SELECT r.created_at AS at,
           r.actor,
           r.database_role,
           r.project,
           r.project || '-' || r.source_environment || '-' || r.component AS source,
           r.source_revision,
           i.name AS destination,
           r.revision,
           r.version_constraint
               || CASE r.release_channel WHEN 'development' THEN '+dev' ELSE '' END
               AS version_constraint,
           plan.previous_version,
           plan.version,
           pg_catalog.jsonb_array_length(plan.diff) AS changes,
           plan.diff,
           plan.deployment AS plan,
           plan.status AS plan_status,
           (SELECT pg_catalog.array_agg(DISTINCT o.code::text)
              FROM promote.deployment AS d
              JOIN promote.gate_override AS o
                ON o.project = d.project AND o.environment = d.environment
                   AND o.component = d.component AND o.deployment = d.deployment
             WHERE d.project = r.project AND d.environment = r.environment
               AND d.component = r.component AND d.revision = r.revision
               AND d.action = 'PLAN') AS overridden,
           r.message
      FROM promote.revision AS r
      JOIN promote.instance AS i USING (project, environment, component)
      LEFT JOIN LATERAL (
          SELECT d.*
            FROM promote.deployment AS d
           WHERE d.project = r.project AND d.environment = r.environment
             AND d.component = r.component AND d.revision = r.revision
             AND d.action = 'PLAN'
           ORDER BY d.deployment LIMIT 1) AS plan ON true
     WHERE r.origin = 'promotion';
COMMENT ON VIEW promote.promotion_history IS 'Promotions: when, by whom, from where, what changed and which plan shows it';
COMMENT ON COLUMN promote.promotion_history.at IS 'When';
COMMENT ON COLUMN promote.promotion_history.actor IS 'Who, by the setting promote.actor; else the database role';
COMMENT ON COLUMN promote.promotion_history.database_role IS 'Role that the session acted as';
COMMENT ON COLUMN promote.promotion_history.project IS 'Project';
COMMENT ON COLUMN promote.promotion_history.source IS 'Instance that it came from';
COMMENT ON COLUMN promote.promotion_history.source_revision IS 'The source''s desired revision at that moment';
COMMENT ON COLUMN promote.promotion_history.destination IS 'Instance that it went to';
COMMENT ON COLUMN promote.promotion_history.revision IS 'Revision that it made there';
COMMENT ON COLUMN promote.promotion_history.version_constraint IS 'Version constraint with its channel, as in latest+dev';
COMMENT ON COLUMN promote.promotion_history.previous_version IS 'Release before';
COMMENT ON COLUMN promote.promotion_history.version IS 'Release that the constraint stood for';
COMMENT ON COLUMN promote.promotion_history.changes IS 'Number of leaves, remote references and copied secrets that changed; NULL where no plan was asked for';
COMMENT ON COLUMN promote.promotion_history.diff IS 'The changes, sensitive values masked; NULL where no plan was asked for';
COMMENT ON COLUMN promote.promotion_history.plan IS 'Number of the first PLAN deployment; NULL where none was asked for';
COMMENT ON COLUMN promote.promotion_history.plan_status IS 'Status of that plan';
COMMENT ON COLUMN promote.promotion_history.overridden IS 'Gates that were overridden for its plans; NULL: none';
COMMENT ON COLUMN promote.promotion_history.message IS 'Why';
