-- The promotion matrix: component by environment.

CREATE VIEW promote_internal.matrix_cell WITH (security_invoker = true) AS
    SELECT s.project,
           s.environment,
           s.component,
           s.status,
           s.since,
           s.deployed_revision,
           s.deployed_version,
           s.deployed_digest,
           s.desired_revision AS revision,
           s.desired_version AS version,
           s.desired_digest AS digest,
           r.bundle,
           r.source_environment,
           r.source_revision,
           promote_internal.effective_attributes(p.attributes, e.attributes, c.attributes, i.attributes) AS attributes,
           EXISTS (SELECT FROM promote_internal.blocked_release AS b
                    WHERE b.bundle = r.bundle AND b.version = s.desired_version) AS blocked,
           f.declares
      FROM promote.instance_status AS s
      JOIN promote.instance AS i
        ON i.project = s.project AND i.environment = s.environment AND i.component = s.component
      JOIN promote.project AS p ON p.project = s.project
      JOIN promote.environment AS e ON e.project = s.project AND e.environment = s.environment
      JOIN promote.component AS c ON c.project = s.project AND c.component = s.component
      LEFT JOIN LATERAL (
          SELECT r.bundle, r.source_environment, r.source_revision
            FROM promote.revision AS r
           WHERE r.project = s.project AND r.environment = s.environment AND r.component = s.component
             AND r.revision = s.desired_revision
           LIMIT 1) AS r ON true
      LEFT JOIN LATERAL (
          SELECT f.secrets <> '{}' OR f.remote_references <> '{}' AS declares
            FROM promote.bundle_release AS f
           WHERE f.bundle = r.bundle AND f.version = s.desired_version
           LIMIT 1) AS f ON true;
COMMENT ON VIEW promote_internal.matrix_cell IS 'What the matrix reads of each instance: what it desires and runs, where that came from, and what gates look at';
COMMENT ON COLUMN promote_internal.matrix_cell.project IS 'Project';
COMMENT ON COLUMN promote_internal.matrix_cell.environment IS 'Environment';
COMMENT ON COLUMN promote_internal.matrix_cell.component IS 'Component';
COMMENT ON COLUMN promote_internal.matrix_cell.status IS 'As in promote.instance_status, like what follows';
COMMENT ON COLUMN promote_internal.matrix_cell.since IS 'When that began';
COMMENT ON COLUMN promote_internal.matrix_cell.deployed_revision IS 'Revision that it runs';
COMMENT ON COLUMN promote_internal.matrix_cell.deployed_version IS 'Release that it runs';
COMMENT ON COLUMN promote_internal.matrix_cell.deployed_digest IS 'Digest of the configuration that it runs';
COMMENT ON COLUMN promote_internal.matrix_cell.revision IS 'Revision that it desires';
COMMENT ON COLUMN promote_internal.matrix_cell.version IS 'Release that it desires';
COMMENT ON COLUMN promote_internal.matrix_cell.digest IS 'Digest of the configuration that it desires';
COMMENT ON COLUMN promote_internal.matrix_cell.bundle IS 'Bundle of the release';
COMMENT ON COLUMN promote_internal.matrix_cell.source_environment IS 'Environment that the desired revision came from';
COMMENT ON COLUMN promote_internal.matrix_cell.source_revision IS 'Revision that it came from there';
COMMENT ON COLUMN promote_internal.matrix_cell.attributes IS 'What selectors look at';
COMMENT ON COLUMN promote_internal.matrix_cell.blocked IS 'Is the release taken out of use?';
COMMENT ON COLUMN promote_internal.matrix_cell.declares IS 'Does it declare secrets or slots for remote references?';

CREATE FUNCTION promote.matrix(project text DEFAULT NULL)
    RETURNS TABLE (project text, component text, environment text, instance text, status text,
                   since timestamptz, revision integer, version text, digest bytea,
                   next text[], promotable boolean, why_not text)
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
           m.why_not
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
