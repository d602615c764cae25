-- Retention: old rows of the audit log make way for checkpoints, behind which the chains still verify.

CREATE FUNCTION promote.prune_audit(
    before timestamptz, project text DEFAULT NULL, max_chains integer DEFAULT NULL)
    RETURNS TABLE (project text, subject text, pruned bigint, seq bigint, last_at timestamptz)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100
    AS 'MODULE_PATHNAME', 'promote_prune_audit';
REVOKE ALL ON FUNCTION promote.prune_audit(timestamptz, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote.prune_audit(timestamptz, text, integer) IS
'Removes the rows of the audit log that are older than that, of a project or of all, but for the last of each chain: a checkpoint stands for them, which carries the hash of the last one. Returns a row per chain that it has shortened, of at most so many chains; called again it goes on. Takes the grant admin; a chain that does not verify is refused, PM731';
