-- Retention: old rows of the audit log make way for checkpoints, behind which the chains still verify.

CREATE FUNCTION promote.prune_audit(
    before timestamptz, project text DEFAULT NULL, max_chains integer DEFAULT NULL)
    RETURNS TABLE (project text, subject text, pruned bigint, seq bigint, last_at timestamptz)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100
    AS 'MODULE_PATHNAME', 'promote_prune_audit';
REVOKE ALL ON FUNCTION promote.prune_audit(timestamptz, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote.prune_audit(timestamptz, text, integer) IS
'Removes the rows of the audit log that are older than a time, of a project or of all, but for the last row of each chain. A checkpoint stands for the removed rows and carries the hash of the last of them. Returns a row for each chain that was shortened, at most max_chains; called again it goes on. Takes the grant admin; a chain that does not verify is refused, PM731';
