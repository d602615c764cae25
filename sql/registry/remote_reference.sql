-- Remote references: what fills the input slots that releases declare.

CREATE FUNCTION promote_internal.check_reference(reference text) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_check_reference';
COMMENT ON FUNCTION promote_internal.check_reference(text) IS
'Whether a text can be a remote reference: 1 to 2048 bytes without control characters and without spaces around them, and no URI with a password';

CREATE TABLE promote.remote_reference (
    project       promote.project_name NOT NULL,
    environment   promote.environment_name NOT NULL,
    component     promote.component_name NOT NULL,
    field         text COLLATE "C" NOT NULL,
    reference     text NOT NULL,
    actor         text NOT NULL,
    database_role text NOT NULL,
    moved_by      text,
    moved_role    text,
    set_at        timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    CONSTRAINT remote_reference_pkey PRIMARY KEY (project, environment, component, field),
    CONSTRAINT remote_reference_instance_fkey FOREIGN KEY (project, environment, component)
        REFERENCES promote.instance (project, environment, component),
    CONSTRAINT remote_reference_reference_check CHECK (promote_internal.check_reference(reference))
);
SELECT pg_catalog.pg_extension_config_dump('promote.remote_reference', '');
COMMENT ON TABLE promote.remote_reference IS 'What fills the slots of instances: names of what others provide, never a secret; promote.reference_status shows them beside the declared slots';
COMMENT ON COLUMN promote.remote_reference.project IS 'The instance''s project';
COMMENT ON COLUMN promote.remote_reference.environment IS 'The instance''s environment';
COMMENT ON COLUMN promote.remote_reference.component IS 'The instance''s component';
COMMENT ON COLUMN promote.remote_reference.field IS 'Slot, as the release calls it';
COMMENT ON COLUMN promote.remote_reference.reference IS 'Name or URI of what fills it';
COMMENT ON COLUMN promote.remote_reference.actor IS 'Who set it, by the setting promote.actor; else the database role';
COMMENT ON COLUMN promote.remote_reference.database_role IS 'Role that the session acted as';
COMMENT ON COLUMN promote.remote_reference.moved_by IS 'Who has moved the request that copied it, for the actor, who has opened that; NULL: it was copied by no request';
COMMENT ON COLUMN promote.remote_reference.moved_role IS 'Role that the session of whoever moved it acted as; NULL with it';
COMMENT ON COLUMN promote.remote_reference.set_at IS 'When it was set';

CREATE FUNCTION promote_internal.desired_references(project text, environment text, component text, slots jsonb)
    RETURNS jsonb
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'promote_desired_references';
GRANT EXECUTE ON FUNCTION promote_internal.desired_references(text, text, text, jsonb) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.desired_references(text, text, text, jsonb) IS
'What fills these slots of an instance, with the parameters of its environment in the place of placeholders; NULL: nothing, or nothing that the caller sees';

CREATE FUNCTION promote_internal.guard_reference() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_guard_reference';
REVOKE ALL ON FUNCTION promote_internal.guard_reference() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.guard_reference() IS
'Refuses remote references that no verb wrote, PM303';

CREATE TRIGGER guard_reference BEFORE INSERT OR UPDATE OR DELETE ON promote.remote_reference
    FOR EACH ROW EXECUTE FUNCTION promote_internal.guard_reference();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON promote.remote_reference
    FOR EACH STATEMENT EXECUTE FUNCTION promote_internal.refuse_rewrite();
ALTER TABLE promote.remote_reference ENABLE ALWAYS TRIGGER guard_reference;
ALTER TABLE promote.remote_reference ENABLE ALWAYS TRIGGER refuse_truncate;

CREATE FUNCTION promote.set_remote_reference(
    instance text, field text, reference text, allow_replace boolean DEFAULT false)
    RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_set_remote_reference';
REVOKE ALL ON FUNCTION promote.set_remote_reference(text, text, text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote.set_remote_reference(text, text, text, boolean) IS
'Says what fills a slot of an instance that its release declares; refused, PM721, where that would replace what runs, unless it may. Returns whether that is another than before';

CREATE FUNCTION promote.remove_remote_reference(
    instance text, field text, allow_replace boolean DEFAULT false)
    RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_remove_remote_reference';
REVOKE ALL ON FUNCTION promote.remove_remote_reference(text, text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote.remove_remote_reference(text, text, boolean) IS
'Empties a slot of an instance; refused, PM721, where that would replace what runs, unless it may. Returns whether anything was in it';

-- The release that a constraint stands for is found as promote.resolve_release finds it, which a reader of the view
-- need not be allowed to call.
CREATE VIEW promote.reference_status WITH (security_invoker = true) AS
    SELECT i.name AS instance,
           s.field,
           slot.value IS NOT NULL AND NOT slot.value @> '{"required": false}' AS required,
           slot.value IS NOT NULL AS declared,
           slot.value ->> 'description' AS description,
           COALESCE(r.reference, e.reference_defaults ->> s.field) AS reference,
           r.set_at,
           r.actor AS set_by
      FROM promote.instance AS i
      JOIN promote.component AS c ON c.project = i.project AND c.component = i.component
      JOIN promote.environment AS e ON e.project = i.project AND e.environment = i.environment
      LEFT JOIN LATERAL (
          (SELECT f.remote_references AS slots
             FROM promote.bundle_release AS f
            WHERE i.release_channel = 'stable' AND i.version_constraint !~ '^[0-9]'
              AND f.bundle = c.bundle AND NOT f.prerelease
              AND f.sort_key >= (promote.version_range(i.version_constraint)).lower
              AND f.sort_key < (promote.version_range(i.version_constraint)).upper
            ORDER BY f.bundle DESC, f.sort_key DESC LIMIT 1)
          UNION ALL
          (SELECT f.remote_references
             FROM promote.bundle_release AS f
            WHERE (i.release_channel = 'development' OR i.version_constraint ~ '^[0-9]')
              AND f.bundle = c.bundle
              AND f.sort_key >= (promote.version_range(i.version_constraint)).lower
              AND f.sort_key < (promote.version_range(i.version_constraint)).upper
            ORDER BY f.bundle DESC, f.sort_key DESC LIMIT 1)
          LIMIT 1) AS rel ON true
     CROSS JOIN LATERAL (
          SELECT pg_catalog.jsonb_object_keys(rel.slots) COLLATE "C" AS field
          UNION
          SELECT o.field
            FROM promote.remote_reference AS o
           WHERE o.project = i.project AND o.environment = i.environment
             AND o.component = i.component) AS s
      LEFT JOIN LATERAL (SELECT rel.slots -> s.field AS value) AS slot ON true
      LEFT JOIN promote.remote_reference AS r
        ON r.project = i.project AND r.environment = i.environment
           AND r.component = i.component AND r.field = s.field;
COMMENT ON VIEW promote.reference_status IS 'The slots of instances, by the release that would be deployed, and what fills them; also what fills slots that it does not have';
COMMENT ON COLUMN promote.reference_status.instance IS 'Instance';
COMMENT ON COLUMN promote.reference_status.field IS 'Slot';
COMMENT ON COLUMN promote.reference_status.required IS 'Whether nothing is deployed as long as the slot is empty';
COMMENT ON COLUMN promote.reference_status.declared IS 'Whether the release has the slot; what fills any other slot is given to no worker';
COMMENT ON COLUMN promote.reference_status.description IS 'What the release says of it';
COMMENT ON COLUMN promote.reference_status.reference IS 'What fills the slot, as it is written: its own reference, else its environment''s default; NULL: nothing';
COMMENT ON COLUMN promote.reference_status.set_at IS 'When the reference was set; NULL: there is none of its own';
COMMENT ON COLUMN promote.reference_status.set_by IS 'Who set the reference';

-- By a release that had the slot, too: what its own release did not have yet is not replaced.
CREATE FUNCTION promote_internal.replaced_slots(
    project text, environment text, component text, slots jsonb, remote_references jsonb)
    RETURNS TABLE (field text)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT s.field
          FROM (SELECT k.field COLLATE "C" AS field FROM pg_catalog.jsonb_object_keys($4) AS k (field)) AS s
         WHERE EXISTS (
                   SELECT
                     FROM promote.instance AS i
                     JOIN promote.deployment AS b
                       ON b.project = i.project AND b.environment = i.environment AND b.component = i.component
                      AND b.deployment = i.deployed_by
                     JOIN promote.deployment AS d
                       ON d.project = b.project AND d.environment = b.environment AND d.component = b.component
                      AND d.action = 'PROVISION' AND d.started_at >= b.started_at
                    WHERE i.project = $1 AND i.environment = $2 AND i.component = $3
                      AND (d.remote_references ->> s.field) IS DISTINCT FROM ($5 ->> s.field)
                      AND (SELECT f.remote_references ? s.field FROM promote.bundle_release AS f
                            WHERE f.bundle = d.bundle AND f.version = d.version))
         ORDER BY s.field;
    END;
REVOKE ALL ON FUNCTION promote_internal.replaced_slots(text, text, text, jsonb, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.replaced_slots(text, text, text, jsonb, jsonb) IS
'The declared slots in which references differ from what may run: from what the last PROVISION carried, or any that began since';
