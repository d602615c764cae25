-- Waiting for a deployment to end, for pipelines and scripts.

CREATE FUNCTION promote.wait_for_deployment(
    instance text, deployment integer DEFAULT NULL, timeout interval DEFAULT '30 seconds')
    RETURNS TABLE (deployment integer, action text, status text, ended boolean, revision integer, version text,
                   plan integer, followed_by integer, not_deployed text, reason text, finished_at timestamptz)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1
    AS 'MODULE_PATHNAME', 'promote_wait_for_deployment';
REVOKE ALL ON FUNCTION promote.wait_for_deployment(text, integer, interval) FROM PUBLIC;
COMMENT ON FUNCTION promote.wait_for_deployment(text, integer, interval) IS
'Waits until a deployment of an instance, its newest one if none is named, has ended, or the time is up, and returns it as it is then. Wakes when it ends, holds no locks while it waits, and is refused in a transaction that has written or that sees one snapshot, PM407';
