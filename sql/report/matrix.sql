-- The promotion matrix: component by environment.

CREATE VIEW promote_internal.matrix_release WITH (security_invoker = true) AS
    SELECT f.bundle,
           f.version,
           f.artifact_digest,
           EXISTS (SELECT FROM promote_internal.blocked_release AS b
                    WHERE b.bundle = f.bundle AND b.version = f.version) AS blocked,
           f.secrets <> '{}' OR f.remote_references <> '{}' AS declares
      FROM promote.bundle_release AS f;
COMMENT ON VIEW promote_internal.matrix_release IS 'What the matrix reads of releases';
COMMENT ON COLUMN promote_internal.matrix_release.bundle IS 'Bundle';
COMMENT ON COLUMN promote_internal.matrix_release.version IS 'Release of it';
COMMENT ON COLUMN promote_internal.matrix_release.artifact_digest IS 'As in promote.bundle_release';
COMMENT ON COLUMN promote_internal.matrix_release.blocked IS 'Is it taken out of use?';
COMMENT ON COLUMN promote_internal.matrix_release.declares IS 'Does it declare secrets or slots for remote references?';

CREATE VIEW promote_internal.matrix_cell WITH (security_invoker = true) AS
    SELECT s.project,
           s.environment,
           s.component,
           s.status,
           s.since,
           s.waits_for,
           s.deployed_revision,
           s.deployed_version,
           s.deployed_digest,
           s.rendered_digest,
           s.desired_revision AS revision,
           s.desired_version AS version,
           s.desired_digest AS digest,
           s.bundle,
           s.source_environment,
           s.source_revision,
           promote_internal.effective_attributes(p.attributes, e.attributes, c.attributes, s.attributes) AS attributes,
           s.version_constraint,
           c.version_policy,
           s.references_run,
           s.desired_actor,
           s.desired_at,
           s.deployed_actor,
           s.deployed_at,
           f.artifact_digest,
           f.blocked,
           f.declares,
           f.artifact_digest IS NOT NULL AS digested,
           COALESCE(o.blocked, f.blocked) AS deployed_blocked,
           COALESCE(o.declares, f.declares) AS deployed_declares,
           CASE WHEN o.blocked IS NULL THEN f.artifact_digest ELSE o.artifact_digest END IS NOT NULL AS deployed_digested
      FROM promote_internal.instance_state AS s
      JOIN promote.project AS p ON p.project = s.project
      JOIN promote.environment AS e ON e.project = s.project AND e.environment = s.environment
      JOIN promote.component AS c ON c.project = s.project AND c.component = s.component
      LEFT JOIN LATERAL (
          SELECT f.blocked, f.declares, f.artifact_digest
            FROM promote_internal.matrix_release AS f
           WHERE f.bundle = s.bundle AND f.version = s.desired_version
           LIMIT 1) AS f ON true
      LEFT JOIN LATERAL (
          SELECT o.blocked, o.declares, o.artifact_digest
            FROM promote_internal.matrix_release AS o
           WHERE o.bundle = s.bundle AND o.version = s.deployed_version AND s.deployed_version <> s.desired_version
           LIMIT 1) AS o ON true
     WHERE e.archived_at IS NULL;
COMMENT ON VIEW promote_internal.matrix_cell IS 'What the matrix reads of each instance whose environment is in use: what it desires and runs, where that came from, and what gates look at';
COMMENT ON COLUMN promote_internal.matrix_cell.project IS 'Project';
COMMENT ON COLUMN promote_internal.matrix_cell.environment IS 'Environment';
COMMENT ON COLUMN promote_internal.matrix_cell.component IS 'Component';
COMMENT ON COLUMN promote_internal.matrix_cell.status IS 'As in promote.instance_status, like what follows';
COMMENT ON COLUMN promote_internal.matrix_cell.since IS 'When that began';
COMMENT ON COLUMN promote_internal.matrix_cell.waits_for IS 'What of other components its next deployment waits for';
COMMENT ON COLUMN promote_internal.matrix_cell.deployed_revision IS 'Revision that it runs';
COMMENT ON COLUMN promote_internal.matrix_cell.deployed_version IS 'Release that it runs';
COMMENT ON COLUMN promote_internal.matrix_cell.deployed_digest IS 'Digest of the configuration that it runs';
COMMENT ON COLUMN promote_internal.matrix_cell.rendered_digest IS 'Digest of that as it was rendered';
COMMENT ON COLUMN promote_internal.matrix_cell.revision IS 'Revision that it desires';
COMMENT ON COLUMN promote_internal.matrix_cell.version IS 'Release that it desires';
COMMENT ON COLUMN promote_internal.matrix_cell.digest IS 'Digest of the configuration that it desires';
COMMENT ON COLUMN promote_internal.matrix_cell.bundle IS 'Bundle of the release';
COMMENT ON COLUMN promote_internal.matrix_cell.source_environment IS 'Environment that the desired revision came from';
COMMENT ON COLUMN promote_internal.matrix_cell.source_revision IS 'Revision that it came from there';
COMMENT ON COLUMN promote_internal.matrix_cell.attributes IS 'What selectors look at';
COMMENT ON COLUMN promote_internal.matrix_cell.version_constraint IS 'Version constraint that it desires';
COMMENT ON COLUMN promote_internal.matrix_cell.version_policy IS 'The component''s';
COMMENT ON COLUMN promote_internal.matrix_cell.references_run IS 'Were remote references deployed?';
COMMENT ON COLUMN promote_internal.matrix_cell.desired_actor IS 'As in promote.instance_status, like what follows';
COMMENT ON COLUMN promote_internal.matrix_cell.desired_at IS 'When that was asked for';
COMMENT ON COLUMN promote_internal.matrix_cell.deployed_actor IS 'Who asked for what runs';
COMMENT ON COLUMN promote_internal.matrix_cell.deployed_at IS 'When that was done';
COMMENT ON COLUMN promote_internal.matrix_cell.artifact_digest IS 'Artifact digest of the release that it desires';
COMMENT ON COLUMN promote_internal.matrix_cell.blocked IS 'Is the release that it desires taken out of use?';
COMMENT ON COLUMN promote_internal.matrix_cell.declares IS 'Does that declare secrets or slots for remote references?';
COMMENT ON COLUMN promote_internal.matrix_cell.digested IS 'Has it an artifact digest?';
COMMENT ON COLUMN promote_internal.matrix_cell.deployed_blocked IS 'The same of the release that it runs';
COMMENT ON COLUMN promote_internal.matrix_cell.deployed_declares IS 'The same of that';
COMMENT ON COLUMN promote_internal.matrix_cell.deployed_digested IS 'The same of that';

CREATE FUNCTION promote_internal.releases_between(bundle text, older text, newer text) RETURNS integer
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT pg_catalog.count(*)::integer
          FROM promote.bundle_release AS n
          JOIN promote.bundle_release AS o ON o.bundle = $1 AND o.version = $2
          JOIN promote.bundle_release AS f
            ON f.bundle = $1 AND f.sort_key > o.sort_key AND f.sort_key <= n.sort_key AND (n.prerelease OR NOT f.prerelease)
         WHERE n.bundle = $1 AND n.version = $3;
    END;
REVOKE ALL ON FUNCTION promote_internal.releases_between(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.releases_between(text, text, text) IS
'How many releases of a bundle come after one, up to another; prereleases count where that is one. 0 where it is not newer';

CREATE FUNCTION promote_internal.leaves_between(
    project text, source bytea, own bytea, deployed bytea, bundle text, version text) RETURNS integer
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT pg_catalog.count(*)::integer
          FROM (SELECT (SELECT k.params FROM promote.config AS k WHERE k.project = $1 AND k.digest = $2) AS source,
                       (SELECT k.params FROM promote.config AS k WHERE k.project = $1 AND k.digest = $3) AS own,
                       (SELECT k.params FROM promote.config AS k WHERE k.project = $1 AND k.digest = $4) AS deployed,
                       (SELECT f.params_schema FROM promote.bundle_release AS f
                         WHERE f.bundle = $5 AND f.version = $6) AS params_schema
                OFFSET 0) AS d
         CROSS JOIN LATERAL promote.jsonb_leaf_diff(
              d.deployed, promote.compose_params(d.source, d.own, d.params_schema, '{}')) AS leaf;
    END;
REVOKE ALL ON FUNCTION promote_internal.leaves_between(text, bytea, bytea, bytea, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.leaves_between(text, bytea, bytea, bytea, text, text) IS
'In how many leaves the configuration that is deployed differs from what a promotion would make of the source''s and the destination''s own, by a release; with the placeholders as they are';

CREATE FUNCTION promote_internal.references_between(
    project text, environment text, component text, bundle text, version text) RETURNS integer
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT pg_catalog.count(*)::integer
          FROM (SELECT (SELECT f.remote_references FROM promote.bundle_release AS f
                         WHERE f.bundle = $4 AND f.version = $5) AS slots,
                       (SELECT d.remote_references
                          FROM promote.instance AS i
                          JOIN promote.deployment AS d
                            ON d.project = i.project AND d.environment = i.environment AND d.component = i.component
                               AND d.deployment = i.deployed_by
                         WHERE i.project = $1 AND i.environment = $2 AND i.component = $3) AS run
                OFFSET 0) AS d
         CROSS JOIN LATERAL (
              SELECT pg_catalog.jsonb_object_keys(d.slots) UNION SELECT pg_catalog.jsonb_object_keys(d.run)) AS k (field)
         WHERE d.run ->> k.field IS DISTINCT FROM (
                   promote_internal.desired_references($1, $2, $3, d.slots) ->> k.field);
    END;
REVOKE ALL ON FUNCTION promote_internal.references_between(text, text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.references_between(text, text, text, text, text) IS
'In how many remote references what is deployed differs from what a release would be deployed with now';

CREATE FUNCTION promote.matrix(project text DEFAULT NULL)
    RETURNS TABLE (project text, component text, environment text, instance text, status text,
                   since timestamptz, revision integer, version text, digest bytea,
                   next text[], promotable boolean, why_not text,
                   upstream text, releases_behind integer, leaves_behind integer, artifact_digest text, waits_for text,
                   desired_actor text, desired_at timestamptz, deployed_actor text, deployed_at timestamptz)
    LANGUAGE c STABLE PARALLEL UNSAFE ROWS 1000
    AS 'MODULE_PATHNAME', 'promote_matrix';
REVOKE ALL ON FUNCTION promote.matrix(text) FROM PUBLIC;
COMMENT ON FUNCTION promote.matrix(text) IS
'The rows of promote.promotion_matrix, of one project alone where it is named';

CREATE VIEW promote.promotion_matrix WITH (security_invoker = true) AS
    SELECT m.project,
           m.component,
           m.environment,
           m.instance,
           m.status,
           m.since,
           m.revision,
           m.version,
           m.digest,
           m.next,
           m.promotable,
           m.why_not,
           m.upstream,
           m.releases_behind,
           m.leaves_behind,
           m.artifact_digest,
           m.waits_for,
           m.desired_actor,
           m.desired_at,
           m.deployed_actor,
           m.deployed_at
      FROM promote.matrix() AS m;
COMMENT ON VIEW promote.promotion_matrix IS 'Where each component stands in each environment, and whether it may be promoted on now; ready for psql''s crosstabview';
COMMENT ON COLUMN promote.promotion_matrix.project IS 'Project';
COMMENT ON COLUMN promote.promotion_matrix.component IS 'Component';
COMMENT ON COLUMN promote.promotion_matrix.environment IS 'Environment; those that paths lead from come first';
COMMENT ON COLUMN promote.promotion_matrix.instance IS 'Instance';
COMMENT ON COLUMN promote.promotion_matrix.status IS 'As in promote.instance_status';
COMMENT ON COLUMN promote.promotion_matrix.since IS 'When the status began';
COMMENT ON COLUMN promote.promotion_matrix.revision IS 'Revision that is desired; NULL: none yet';
COMMENT ON COLUMN promote.promotion_matrix.version IS 'Release that its constraint stands for now';
COMMENT ON COLUMN promote.promotion_matrix.digest IS 'Digest of that revision''s configuration, with the placeholders';
COMMENT ON COLUMN promote.promotion_matrix.next IS 'Environments that paths lead to from here and in which the component has an instance; NULL: none';
COMMENT ON COLUMN promote.promotion_matrix.promotable IS 'Whether what is desired here may be promoted to one of the next environments now, and be deployed there as far as that can be told without the params, a plan, policies and approvals; NULL: there is no next environment';
COMMENT ON COLUMN promote.promotion_matrix.why_not IS 'What stands in the way, for each next environment that it may not be promoted to; NULL: nothing';
COMMENT ON COLUMN promote.promotion_matrix.upstream IS 'Environment that the following two compare with: the one that the desired revision was promoted from, or else the first by name that a path leads from and in which the component has an instance; NULL: there is none';
COMMENT ON COLUMN promote.promotion_matrix.releases_behind IS 'How many releases are newer than the one that runs here, up to the one that runs upstream; prereleases count where that is one. NULL: nothing runs here, or there';
COMMENT ON COLUMN promote.promotion_matrix.leaves_behind IS 'In how many leaves and remote references what runs here differs from what a promotion from there would bring without overrides; NULL: nothing runs here, or nothing can be composed from what is there';
COMMENT ON COLUMN promote.promotion_matrix.artifact_digest IS 'Artifact digest of the release in version; NULL: it has none';
COMMENT ON COLUMN promote.promotion_matrix.waits_for IS 'What of other components the next deployment waits for, in words; NULL: nothing';
COMMENT ON COLUMN promote.promotion_matrix.desired_actor IS 'Who asked for what is desired';
COMMENT ON COLUMN promote.promotion_matrix.desired_at IS 'When that was';
COMMENT ON COLUMN promote.promotion_matrix.deployed_actor IS 'Who asked for the deployment of what runs';
COMMENT ON COLUMN promote.promotion_matrix.deployed_at IS 'When that deployment was completed';
