-- The promotion matrix: component by environment.

CREATE FUNCTION promote.matrix(project text DEFAULT NULL)
    RETURNS TABLE (project text, component text, environment text, instance text, status text,
                   since timestamptz, revision integer, version text, digest bytea,
                   next text[], promotable boolean, why_not text)
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1000
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
