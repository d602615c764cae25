-- Going back to what ran before.

CREATE FUNCTION promote_internal.rollback_target(
    project text, environment text, component text, to_revision integer,
    to_deployment integer)
    RETURNS TABLE (
        desired integer, revision integer, bundle text, version text, is_desired boolean, block_reason text,
        release_channel text, judged_version text, judged_schema jsonb, params jsonb, kept_marks jsonb)
    LANGUAGE sql STABLE ROWS 1
    BEGIN ATOMIC
        SELECT i.revision, d.revision, d.bundle, d.version, d.is_desired,
               (SELECT f.block_reason FROM promote.bundle_release AS f
                 WHERE f.bundle = d.bundle AND f.version = d.version),
               r.release_channel, r.version,
               (SELECT f.params_schema FROM promote.bundle_release AS f
                 WHERE f.bundle = r.bundle AND f.version = r.version AND r.version <> d.version),
               (SELECT c.params FROM promote.config AS c WHERE c.project = r.project AND c.digest = r.digest),
               r.kept_marks
          FROM promote.instance AS i
          LEFT JOIN LATERAL (
              SELECT m.bundle, rel.version
                FROM promote.component AS m
               CROSS JOIN LATERAL promote.resolve_release(m.bundle, i.version_constraint, i.release_channel) AS rel
               WHERE m.project = i.project AND m.component = i.component LIMIT 1) AS now ON true
          LEFT JOIN LATERAL (
              SELECT d.revision, d.bundle, d.version, same.is_desired
                FROM promote.deployment AS d
               CROSS JOIN LATERAL (
                    SELECT d.revision = i.revision AND d.bundle = now.bundle AND d.version = now.version) AS same (is_desired)
               WHERE d.project = i.project AND d.environment = i.environment AND d.component = i.component
                 -- both are what the index has: whatever may have changed an instance, in order
                 AND d.action <> 'PLAN' AND d.started_at IS NOT NULL
                 AND d.action = 'PROVISION' AND d.status = 'COMPLETED'
                 AND CASE WHEN $5 IS NOT NULL THEN d.deployment = $5
                          WHEN $4 IS NULL THEN same.is_desired IS NOT TRUE AND d.revision > i.opened_revision
                          ELSE d.revision = $4 END
               ORDER BY d.project DESC, d.environment DESC, d.component DESC, d.started_at DESC LIMIT 1) AS d ON true
          LEFT JOIN LATERAL (
              SELECT r.project, r.digest, r.release_channel, r.bundle, r.version, r.kept_marks
                FROM promote_internal.marked_revision AS r
               WHERE r.project = i.project AND r.environment = i.environment AND r.component = i.component
                 AND r.revision = d.revision LIMIT 1) AS r ON true
         WHERE i.project = $1 AND i.environment = $2 AND i.component = $3;
    END;
REVOKE ALL ON FUNCTION promote_internal.rollback_target(text, text, text, integer, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.rollback_target(text, text, text, integer, integer) IS
'Where a rollback leads to: the configuration and the release (bundle, version) of a PROVISION that was completed, or of the last one of a revision; where neither is named, of the last one that is not what is desired now: the desired revision by the release that its constraint selects now, which is_desired tells. judged_ is the release that the revision was judged by, its schema only where it is another one. All but the desired revision is NULL where nothing ran that it could lead to; no row where the instance is not there';

CREATE FUNCTION promote_internal.deployed_revisions(project text, environment text, component text, wanted integer)
    RETURNS text
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT pg_catalog.concat(
                   pg_catalog.string_agg(x.revision::text, ', ' ORDER BY x.revision DESC) FILTER (WHERE x.place <= 20),
                   CASE WHEN pg_catalog.count(*) > 20 THEN ' and older ones' END)
          FROM (SELECT r.revision, pg_catalog.row_number() OVER (ORDER BY r.revision DESC) AS place
                  FROM (SELECT DISTINCT d.revision FROM promote.deployment AS d
                         WHERE d.project = $1 AND d.environment = $2 AND d.component = $3
                           AND d.action = 'PROVISION' AND d.status = 'COMPLETED'
                           AND ($4 > 0 OR d.revision > (SELECT o.revision FROM promote_internal.opened_revision($1, $2, $3) AS o))) AS r) AS x;
    END;
REVOKE ALL ON FUNCTION promote_internal.deployed_revisions(text, text, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.deployed_revisions(text, text, text, integer) IS
'The numbers of the revisions of an instance that were deployed, the newest first, in words for a message; empty: there are none. Where none is wanted by its number (0), those of the present generation alone';

CREATE FUNCTION promote_internal.planned_losses(project text, environment text, component text)
    RETURNS TABLE (address text, message text)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT c.address,
               'plan ' || c.deployment || ' says ' || c.action
               || CASE WHEN c.stateful THEN ', and resources of its type hold data' ELSE '' END
          FROM promote.resource_changes AS c
         WHERE c.instance = pg_catalog.concat_ws('-', $1, $2, $3) AND c.destructive
           AND c.deployment = (SELECT d.deployment FROM promote_internal.last_recorded_plan($1, $2, $3) AS d)
         ORDER BY c.change;
    END;
REVOKE ALL ON FUNCTION promote_internal.planned_losses(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.planned_losses(text, text, text) IS
'What the last recorded plan of an instance deletes or replaces, with a sentence for people';

CREATE FUNCTION promote.rollback_instance(
    instance text, to_revision integer DEFAULT NULL, message text DEFAULT NULL,
    expected_revision integer DEFAULT NULL, plan boolean DEFAULT true,
    allow_replace boolean DEFAULT false,
    OUT destination text, OUT old_revision integer, OUT new_revision integer,
    OUT deployment integer, OUT changed boolean, OUT diff jsonb)
    RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_rollback_instance';
REVOKE ALL ON FUNCTION promote.rollback_instance(text, integer, text, integer, boolean, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote.rollback_instance(text, integer, text, integer, boolean, boolean) IS
'Stages what a revision that was deployed desired, by the release that ran with it, as a new revision, and queues a PLAN; the last revision that was deployed and is not the desired one where none is named. Refused for everything that stands in the way';

CREATE FUNCTION promote.rehearse_rollback(
    instance text, to_revision integer DEFAULT NULL, record boolean DEFAULT false)
    RETURNS TABLE (kind text, code text, path text, change text, old_value jsonb, new_value jsonb,
                   immutable boolean, sensitive boolean, since integer, message text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 20
    AS 'MODULE_PATHNAME', 'promote_rehearse_rollback';
REVOKE ALL ON FUNCTION promote.rehearse_rollback(text, integer, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote.rehearse_rollback(text, integer, boolean) IS
'What rollback_instance with these arguments would do: a row for each entry of the diff from what runs, by its kind, sensitive values masked; a row of kind obstacle for everything that the rollback would be refused for; of kind gate for each gate of time that is closed now. With record the audit log keeps it as evidence; nothing else is changed';
