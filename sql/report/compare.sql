-- How two deployments, two instances, or two environments differ.

CREATE VIEW promote_internal.planned_value AS
    SELECT c.project,
           c.environment,
           c.component,
           c.deployment,
           c.address,
           COALESCE(c.deposed, '') AS deposed,
           pg_catalog.jsonb_build_object('action', c.action, 'diff', c.diff) AS value
      FROM promote.planned_change AS c
      JOIN promote.deployment AS d USING (project, environment, component, deployment, fencing)
     WHERE c.origin = 'change' AND c.action <> 'no-op';
COMMENT ON VIEW promote_internal.planned_value IS 'What recorded plans would do with each resource, as the claim that holds has recorded it: its action and diff';

CREATE FUNCTION promote_internal.planned_differences(
    of_project text, of_component text, a_environment text, a_plan integer, b_environment text, b_plan integer)
    RETURNS TABLE (kind text, path text, change text, a_value jsonb, b_value jsonb, sensitive boolean)
    LANGUAGE sql STABLE ROWS 20
    BEGIN ATOMIC
        SELECT 'resource', COALESCE(a.address, b.address),
               CASE WHEN a.address IS NULL THEN 'add' WHEN b.address IS NULL THEN 'remove' ELSE 'change' END,
               a.value, b.value, false
          FROM (SELECT p.address, p.deposed, p.value FROM promote_internal.planned_value AS p
                 WHERE p.project = $1 AND p.component = $2 AND p.environment = $3 AND p.deployment = $4) AS a
          FULL JOIN (SELECT p.address, p.deposed, p.value FROM promote_internal.planned_value AS p
                      WHERE p.project = $1 AND p.component = $2 AND p.environment = $5 AND p.deployment = $6) AS b
            ON b.address = a.address AND b.deposed = a.deposed
         WHERE a.value IS DISTINCT FROM b.value
         ORDER BY 2;
    END;
REVOKE ALL ON FUNCTION promote_internal.planned_differences(text, text, text, integer, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.planned_differences(text, text, text, integer, text, integer) IS
'The resources of which two recorded plans of a component say different things, in the columns of promote.compare_deployments';

CREATE FUNCTION promote.compare_deployments(a text, b text)
    RETURNS TABLE (kind text, path text, change text, a_value jsonb, b_value jsonb,
                   sensitive boolean)
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 20
    AS 'MODULE_PATHNAME', 'promote_compare_deployments';
REVOKE ALL ON FUNCTION promote.compare_deployments(text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.compare_deployments(text, text) IS
'How two deployments of a component differ: action, status, revision, release, the leaves of the rendered params, remote references, and the resources of recorded plans; what is sensitive is masked. A deployment is named as in ecomm-staging-db/7; without a number it is the last one';

CREATE FUNCTION promote.compare_instances(a text, b text)
    RETURNS TABLE (kind text, path text, change text, a_value jsonb, b_value jsonb,
                   sensitive boolean)
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 20
    AS 'MODULE_PATHNAME', 'promote_compare_instances';
REVOKE ALL ON FUNCTION promote.compare_instances(text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.compare_instances(text, text) IS
'How two instances of a component differ in what they desire now: status, revision, constraint, release, the leaves of the params as they would be rendered now, remote references, and the resources of recorded plans; what is sensitive is masked';

CREATE FUNCTION promote_internal.desired_parts(of_project text, of_environment text)
    RETURNS TABLE (
        component text, revision integer, deployment integer, bundle text, version text, version_constraint text,
        release_channel text, digest bytea, params jsonb, template jsonb, kept_marks jsonb, remote_references jsonb,
        secrets jsonb, own_bundle text, own_version text)
    LANGUAGE sql STABLE ROWS 1000
    BEGIN ATOMIC
        WITH own AS MATERIALIZED (
            SELECT i.component::text COLLATE "C" AS component, i.revision, i.version_constraint::text, i.release_channel::text,
                   c.bundle::text
              FROM promote.instance AS i
             CROSS JOIN LATERAL (
                  SELECT c.bundle FROM promote.component AS c
                   WHERE c.project = i.project AND c.component = i.component LIMIT 1) AS c
             WHERE i.project = $1 AND i.environment = $2
        ), release AS MATERIALIZED (
            SELECT w.bundle, w.version_constraint, w.release_channel, r.version
              FROM (SELECT DISTINCT o.bundle, o.version_constraint, o.release_channel FROM own AS o
                     WHERE o.version_constraint IS NOT NULL) AS w
             CROSS JOIN LATERAL promote.resolve_release(w.bundle, w.version_constraint, w.release_channel) AS r
        )
        SELECT o.component, r.revision, NULL::integer, o.bundle, o.version, o.version_constraint, o.release_channel,
               r.digest,
               (SELECT k.params FROM promote.config AS k WHERE k.project = $1 AND k.digest = r.digest),
               NULL::jsonb, r.kept_marks,
               (SELECT pg_catalog.jsonb_object_agg(x.field, x.reference) FROM promote.remote_reference AS x
                 WHERE x.project = $1 AND x.environment = $2 AND x.component = o.component),
               (SELECT pg_catalog.jsonb_object_agg(s.secret, 'set') FROM promote.secret AS s
                 WHERE s.project = $1 AND s.environment = $2 AND s.component = o.component),
               r.bundle, r.version
          FROM (SELECT o.component, o.revision, o.version_constraint, o.release_channel, o.bundle, l.version
                  FROM own AS o
                  LEFT JOIN release AS l
                    ON l.bundle = o.bundle AND l.version_constraint = o.version_constraint
                       AND l.release_channel = o.release_channel
                 ORDER BY o.component OFFSET 0) AS o
          LEFT JOIN LATERAL (
              SELECT r.revision, r.digest, r.kept_marks, r.bundle::text, r.version::text
                FROM promote_internal.marked_revision AS r
               WHERE r.project = $1 AND r.environment = $2 AND r.component = o.component AND r.revision = o.revision
                 -- without a constraint nothing is desired
                 AND o.version_constraint IS NOT NULL
               LIMIT 1) AS r ON true
         ORDER BY o.component;
    END;
REVOKE ALL ON FUNCTION promote_internal.desired_parts(text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.desired_parts(text, text) IS
'What each instance of an environment desires now, in the order of the components: as it is written, the release that its constraint stands for and the one that judged it (own_), remote references, and which secrets are set. No revision: it desires nothing';

CREATE FUNCTION promote_internal.ran_parts(of_project text, of_environment text, tag text, at timestamptz)
    RETURNS TABLE (
        component text, revision integer, deployment integer, bundle text, version text, version_constraint text,
        release_channel text, digest bytea, params jsonb, template jsonb, kept_marks jsonb, remote_references jsonb,
        secrets jsonb, own_bundle text, own_version text)
    LANGUAGE sql STABLE ROWS 1000
    BEGIN ATOMIC
        SELECT s.component, c.revision, c.deployment, c.bundle::text, c.version::text, c.version_constraint::text,
               c.release_channel::text, c.rendered_digest, c.params, c.template, c.kept_marks, c.remote_references,
               NULL::jsonb, NULL::text, NULL::text
          FROM (SELECT s.component, s.deployment FROM promote_internal.environment_state($1, $2, $3, $4) AS s
                 ORDER BY s.component OFFSET 0) AS s
          LEFT JOIN LATERAL (
              SELECT c.revision, c.deployment, c.bundle, c.version, c.version_constraint, c.release_channel,
                     c.rendered_digest, c.params, c.template, c.kept_marks, c.remote_references
                FROM promote_internal.carried AS c
               WHERE c.project = $1 AND c.environment = $2 AND c.component = s.component AND c.deployment = s.deployment
               LIMIT 1) AS c ON true
         ORDER BY s.component;
    END;
REVOKE ALL ON FUNCTION promote_internal.ran_parts(text, text, text, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.ran_parts(text, text, text, timestamptz) IS
'What each instance of an environment ran by a tag, or at a moment, in the columns and the order of desired_parts: as it was rendered and deployed. Which secrets were set then is not known. No revision: it ran nothing';

CREATE VIEW promote_internal.environment_rule WITH (security_invoker = true) AS
    SELECT e.project, e.environment, 'environment' AS source, c.key AS key, c.key AS name, c.value
      FROM promote.environment AS e
     CROSS JOIN LATERAL pg_catalog.jsonb_each(pg_catalog.to_jsonb(e)) AS c (key, value)
     -- what an environment is, and not what holds there
     WHERE c.key NOT IN ('project', 'environment', 'description', 'created_at', 'forked_from', 'generation',
                         'opened_at', 'archived_at')
    UNION ALL
    SELECT p.project, p.destination_environment, 'promotion_path', 'from ' || p.source_environment,
           'from ' || p.source_environment, 'true'
      FROM promote.promotion_path AS p
    UNION ALL
    SELECT p.project, p.source_environment, 'promotion_path', 'to ' || p.destination_environment,
           'to ' || p.destination_environment, 'true'
      FROM promote.promotion_path AS p
    UNION ALL
    SELECT r.project, r.environment, 'approval_rule', r.rule, r.rule,
           pg_catalog.to_jsonb(r) - '{project,environment,scope,rule,description,created_at}'::text[]
      FROM promote.approval_rule AS r
    UNION ALL
    SELECT r.project, r.environment, 'required_check', pg_catalog.concat_ws(' of ', r.check_name, r."of"),
           pg_catalog.concat_ws(' of ', r.check_name, r."of"),
           pg_catalog.to_jsonb(r) - '{project,environment,scope,check_name,of,description,created_at}'::text[]
      FROM promote.required_check AS r
    UNION ALL
    SELECT r.project, r.environment, 'override_rule', pg_catalog.concat_ws(' by ', r.code, r.role),
           pg_catalog.concat_ws(' by ', r.code, r.role),
           pg_catalog.to_jsonb(r) - '{project,environment,scope,code,role,description,created_at}'::text[]
      FROM promote.override_rule AS r
    -- names of these are nobody else's, so that what they say is what they are known by
    UNION ALL
    SELECT r.project, r.environment, 'freeze_window', v.value::text, r.name, v.value
      FROM promote.freeze_window AS r
     CROSS JOIN LATERAL (
          SELECT pg_catalog.to_jsonb(r) - '{name,project,environment,actor,created_at}'::text[] AS value) AS v
    UNION ALL
    SELECT r.project, r.environment, 'change_window', v.value::text, r.name, v.value
      FROM promote.change_window AS r
     CROSS JOIN LATERAL (
          SELECT pg_catalog.to_jsonb(r) - '{name,project,environment,actor,created_at}'::text[] AS value) AS v
    UNION ALL
    SELECT r.project, r.environment, 'policy', v.value::text, r.policy, v.value
      FROM promote.policy AS r
     CROSS JOIN LATERAL (
          SELECT pg_catalog.to_jsonb(r) - '{policy,project,environment,description,created_at}'::text[] AS value) AS v;
COMMENT ON VIEW promote_internal.environment_rule IS 'The rules of each environment that are its own: those of the project, and of everything, hold in all that are compared';
COMMENT ON COLUMN promote_internal.environment_rule.project IS 'Project';
COMMENT ON COLUMN promote_internal.environment_rule.environment IS 'Environment';
COMMENT ON COLUMN promote_internal.environment_rule.source IS 'Table that it stands in';
COMMENT ON COLUMN promote_internal.environment_rule.key IS 'What it is known by within the table';
COMMENT ON COLUMN promote_internal.environment_rule.name IS 'What it is called';
COMMENT ON COLUMN promote_internal.environment_rule.value IS 'What it says';

CREATE FUNCTION promote_internal.differing_rules(of_project text, a_environment text, b_environment text)
    RETURNS TABLE (path text, change text, a_value jsonb, b_value jsonb)
    LANGUAGE sql STABLE ROWS 20
    BEGIN ATOMIC
        SELECT pg_catalog.concat_ws(' ', COALESCE(a.source, b.source), COALESCE(a.name, b.name)),
               CASE WHEN a.key IS NULL THEN 'add' WHEN b.key IS NULL THEN 'remove' ELSE 'change' END, a.value, b.value
          FROM (SELECT r.source, r.key, r.name, r.value FROM promote_internal.environment_rule AS r
                 WHERE r.project = $1 AND r.environment = $2) AS a
          FULL JOIN (SELECT r.source, r.key, r.name, r.value FROM promote_internal.environment_rule AS r
                      WHERE r.project = $1 AND r.environment = $3) AS b
            ON b.source = a.source AND b.key = a.key
         WHERE a.value IS DISTINCT FROM b.value
         ORDER BY 1, 2;
    END;
REVOKE ALL ON FUNCTION promote_internal.differing_rules(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.differing_rules(text, text, text) IS
'In which rules of their own two environments of a project differ';

CREATE FUNCTION promote.compare_environments(a text, b text)
    RETURNS TABLE (component text, kind text, path text, change text, a_value jsonb, b_value jsonb, sensitive boolean)
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1000
    AS 'MODULE_PATHNAME', 'promote_compare_environments';
REVOKE ALL ON FUNCTION promote.compare_environments(text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.compare_environments(text, text) IS
'How two environments of a project differ in what their instances desire, component by component, those that one of them lacks included: release, the leaves of the params as they would be rendered now, remote references, which secrets are set; and in their own rules. Behind a name @ and a tag or a time stand for what ran then. What is sensitive is masked';
