-- Claiming: what a worker is given, and whether it may begin.

CREATE FUNCTION promote_internal.beginning(project text, environment text, component text, deployment integer)
    RETURNS TABLE (reason text, may_replace boolean, lacks_secret boolean, awaits boolean)
    LANGUAGE sql STABLE ROWS 1
    BEGIN ATOMIC
        SELECT o.reason, o.may_replace,
               EXISTS (SELECT FROM promote_internal.lacking_secrets($1, $2, $3, $4)),
               EXISTS (SELECT FROM promote_internal.awaited($1, $2, $3, $4))
          FROM promote_internal.outdated($1, $2, $3, $4) AS o;
    END;
REVOKE ALL ON FUNCTION promote_internal.beginning(text, text, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.beginning(text, text, text, integer) IS
'What is looked at before a deployment that waits begins: promote_internal.outdated, and whether it lacks secrets or waits for another component';

CREATE FUNCTION promote.claim_deployment(
    worker text, actions text[] DEFAULT NULL, lease interval DEFAULT '5 minutes',
    selector jsonb DEFAULT '{}', max integer DEFAULT 1)
    RETURNS TABLE (instance text, deployment integer, action text, fencing integer,
                   lease_until timestamptz, project text, environment text, component text,
                   revision integer, bundle text, version text, params jsonb, params_digest bytea,
                   plan integer, plan_digest bytea, remote_references jsonb, artifact_digest text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1
    AS 'MODULE_PATHNAME', 'promote_claim_deployment';
REVOKE ALL ON FUNCTION promote.claim_deployment(text, text[], interval, jsonb, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote.claim_deployment(text, text[], interval, jsonb, integer) IS
'Claims the deployment that has been due longest, or up to max of them in that order, of these actions and of instances whose attributes contain the selector; the params are rendered and unmasked. No row where nothing is due. Waits for nobody';
