-- Secrets of instances: each sealed for its instance and its name, by AES-256-GCM, with a key that is not in the
-- database.

CREATE FUNCTION promote_internal.secret_key_id(ciphertext bytea) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_secret_key_id';
COMMENT ON FUNCTION promote_internal.secret_key_id(bytea) IS
'Id of the key that a secret is sealed with; NULL for what promote has not sealed';

CREATE TABLE promote.secret (
    project       promote.project_name NOT NULL,
    environment   promote.environment_name NOT NULL,
    component     promote.component_name NOT NULL,
    secret        text COLLATE "C" NOT NULL,
    ciphertext    bytea NOT NULL,
    key_id        text COLLATE "C" NOT NULL GENERATED ALWAYS AS (promote_internal.secret_key_id(ciphertext)) STORED,
    fingerprint   bytea NOT NULL,
    format        text COLLATE "C" NOT NULL,
    set_at        timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    actor         text NOT NULL DEFAULT promote.current_actor(),
    database_role text NOT NULL DEFAULT promote.current_database_role(),
    promoted_at   timestamptz,
    revision      integer,
    replaced      boolean,
    CONSTRAINT secret_pkey PRIMARY KEY (project, environment, component, secret),
    CONSTRAINT secret_instance_fkey FOREIGN KEY (project, environment, component)
        REFERENCES promote.instance (project, environment, component),
    CONSTRAINT secret_secret_check CHECK (secret ~ '^[A-Za-z_][A-Za-z0-9_]{0,62}$'),
    CONSTRAINT secret_fingerprint_check CHECK (pg_catalog.octet_length(fingerprint) = 32),
    CONSTRAINT secret_format_check CHECK (format IN ('text', 'json')),
    CONSTRAINT secret_promoted_check CHECK (pg_catalog.num_nulls(promoted_at, revision, replaced) IN (0, 3))
);
-- ciphertext does not compress
ALTER TABLE promote.secret ALTER COLUMN ciphertext SET STORAGE EXTERNAL;
CREATE INDEX secret_key_id_idx ON promote.secret (key_id, project, environment, component, secret);
COMMENT ON INDEX promote.secret_key_id_idx IS 'Finds what is sealed with an old key';
SELECT pg_catalog.pg_extension_config_dump('promote.secret', '');
COMMENT ON TABLE promote.secret IS 'Secrets of instances, encrypted, and withheld from everybody but the owner: promote.secret_status shows what may be seen of them; written by set_secret, remove_secret, rotate_secrets and promotions that copy them';
COMMENT ON COLUMN promote.secret.project IS 'The instance''s project';
COMMENT ON COLUMN promote.secret.environment IS 'The instance''s environment';
COMMENT ON COLUMN promote.secret.component IS 'The instance''s component';
COMMENT ON COLUMN promote.secret.secret IS 'What it is called';
COMMENT ON COLUMN promote.secret.ciphertext IS 'Version, key''s id, nonce, ciphertext and tag; opens in this row only';
COMMENT ON COLUMN promote.secret.key_id IS 'Id of the key that it is sealed with';
COMMENT ON COLUMN promote.secret.fingerprint IS 'What the value is known by: a digest by the key of the project';
COMMENT ON COLUMN promote.secret.format IS 'What the secret was set as: json, and then it is JSON, or text';
COMMENT ON COLUMN promote.secret.set_at IS 'When it was set, or copied here';
COMMENT ON COLUMN promote.secret.actor IS 'Who set it, by the setting promote.actor; else the database role';
COMMENT ON COLUMN promote.secret.database_role IS 'Role that the session acted as';
COMMENT ON COLUMN promote.secret.promoted_at IS 'When a promotion copied it here last; NULL: none has';
COMMENT ON COLUMN promote.secret.revision IS 'Desired revision that the promotion led to, since which it waits to be deployed';
COMMENT ON COLUMN promote.secret.replaced IS 'Whether what runs since before the promotion had another value';

CREATE FUNCTION promote_internal.guard_secret() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_guard_secret';
REVOKE ALL ON FUNCTION promote_internal.guard_secret() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.guard_secret() IS
'Refuses rows that the verbs do not write, unless the tables'' owner restores them, PM303';
CREATE TRIGGER guard_secret BEFORE INSERT OR UPDATE OR DELETE ON promote.secret
    FOR EACH ROW EXECUTE FUNCTION promote_internal.guard_secret();
CREATE TRIGGER guard_secret_truncate BEFORE TRUNCATE ON promote.secret
    FOR EACH STATEMENT EXECUTE FUNCTION promote_internal.guard_secret();
ALTER TABLE promote.secret ENABLE ALWAYS TRIGGER guard_secret;
ALTER TABLE promote.secret ENABLE ALWAYS TRIGGER guard_secret_truncate;

-- This view has the owner's rights, since it reads what is withheld from others, and shows all of it but the ciphertext.
CREATE VIEW promote_internal.visible_secret WITH (security_barrier = true) AS
    SELECT s.project, s.environment, s.component, s.secret, s.key_id, s.fingerprint, s.format, s.set_at, s.actor, s.database_role
      FROM promote.secret AS s
     WHERE promote_internal.may_view(s.project, s.environment);
-- views read it as whoever asks, who cannot name it
GRANT SELECT ON promote_internal.visible_secret TO PUBLIC;
COMMENT ON VIEW promote_internal.visible_secret IS 'The secrets that the current role may see, without their values';
COMMENT ON COLUMN promote_internal.visible_secret.project IS 'The instance''s project';
COMMENT ON COLUMN promote_internal.visible_secret.environment IS 'The instance''s environment';
COMMENT ON COLUMN promote_internal.visible_secret.component IS 'The instance''s component';
COMMENT ON COLUMN promote_internal.visible_secret.secret IS 'What it is called';
COMMENT ON COLUMN promote_internal.visible_secret.key_id IS 'Id of the key that it is sealed with';
COMMENT ON COLUMN promote_internal.visible_secret.fingerprint IS 'What the value is known by';
COMMENT ON COLUMN promote_internal.visible_secret.format IS 'What the secret was set as';
COMMENT ON COLUMN promote_internal.visible_secret.set_at IS 'When it was set, or copied here';
COMMENT ON COLUMN promote_internal.visible_secret.actor IS 'Who set it';
COMMENT ON COLUMN promote_internal.visible_secret.database_role IS 'Role that the session acted as';

CREATE VIEW promote_internal.moved_secret WITH (security_invoker = true) AS
    SELECT s.project, s.environment, s.component, s.secret, s.set_at AS at
      FROM promote_internal.visible_secret AS s
    UNION ALL
    SELECT i.project, i.environment, i.component, g.secret, g.at::timestamptz
      FROM promote.instance AS i
     CROSS JOIN LATERAL pg_catalog.jsonb_each_text(i.removed_secrets) AS g (secret, at);
-- instance_status reads it as whoever asks, who cannot name it.
GRANT SELECT ON promote_internal.moved_secret TO PUBLIC;
COMMENT ON VIEW promote_internal.moved_secret IS 'When secrets were set, and when secrets were removed: a worker who has begun before may have been handed others';
COMMENT ON COLUMN promote_internal.moved_secret.project IS 'The instance''s project';
COMMENT ON COLUMN promote_internal.moved_secret.environment IS 'The instance''s environment';
COMMENT ON COLUMN promote_internal.moved_secret.component IS 'The instance''s component';
COMMENT ON COLUMN promote_internal.moved_secret.secret IS 'What it is called';
COMMENT ON COLUMN promote_internal.moved_secret.at IS 'When it was set or removed';

CREATE FUNCTION promote.set_secret(
    instance text, name text, value text, OUT fingerprint text, OUT changed boolean)
    RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_set_secret';
REVOKE ALL ON FUNCTION promote.set_secret(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.set_secret(text, text, text) IS
'Sets a secret that the instance''s release declares: encrypted, and never shown again but to workers. Returns its fingerprint, and whether it is another one. Pass the value as a parameter, not as a literal';

-- Only the owner may call this: whoever may can try values until the fingerprint is right.
CREATE FUNCTION promote.secret_fingerprint(project text, value text) RETURNS bytea
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'promote_secret_fingerprint';
REVOKE ALL ON FUNCTION promote.secret_fingerprint(text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.secret_fingerprint(text, text) IS
'The fingerprint that a value has, or would have, as a secret of a project: HMAC-SHA256 under the project''s key of secret: and the 32 bytes of the value''s SHA-256. For the owner of the tables: whoever may ask it can confirm guesses. PM002 where there is no such project';

CREATE FUNCTION promote.remove_secret(instance text, name text) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_remove_secret';
REVOKE ALL ON FUNCTION promote.remove_secret(text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.remove_secret(text, text) IS
'Removes a secret of an instance; false where there was none';

CREATE FUNCTION promote.rotate_secrets(
    batch integer DEFAULT 1000, OUT rotated integer, OUT remaining bigint)
    RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_rotate_secrets';
REVOKE ALL ON FUNCTION promote.rotate_secrets(integer) FROM PUBLIC;
COMMENT ON FUNCTION promote.rotate_secrets(integer) IS
'Encrypts a batch of secrets again with the first of the configured keys, passing over those that are locked; returns how many, and how many still have another key. Call it until none remains';

CREATE FUNCTION promote.deployment_secrets(instance text, deployment integer, fencing integer)
    RETURNS TABLE (name text, value text, format text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10
    AS 'MODULE_PATHNAME', 'promote_deployment_secrets';
REVOKE ALL ON FUNCTION promote.deployment_secrets(text, integer, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote.deployment_secrets(text, integer, integer) IS
'The secrets that a deployment''s release declares, as far as they are set, for the worker whose claim holds; each reading is recorded';

-- Secrets are declared by the release that the
-- version constraint stands for, as in promote.instance_status, and by the release that the revision was made with.
CREATE VIEW promote.secret_status WITH (security_invoker = true) AS
    SELECT i.name AS instance,
           i.project,
           i.environment,
           i.component,
           n.name,
           COALESCE(d.declaration, o.declaration) IS NOT NULL AS declared,
           -- by default a secret is required, and text: see secret/declaration.c
           COALESCE(d.declaration, o.declaration) IS NOT NULL
               AND COALESCE((COALESCE(d.declaration, o.declaration) ->> 'required')::boolean, true) AS required,
           CASE WHEN COALESCE(d.declaration, o.declaration) IS NOT NULL
                THEN COALESCE(COALESCE(d.declaration, o.declaration) ->> 'format', 'text')
                ELSE s.format END AS format,
           COALESCE(d.declaration, o.declaration) ->> 'description' AS description,
           s.secret IS NOT NULL AS is_set,
           pg_catalog.encode(s.fingerprint, 'hex') AS fingerprint,
           s.key_id,
           s.set_at,
           s.actor AS set_by,
           s.database_role AS set_by_role
      FROM promote.instance AS i
      LEFT JOIN LATERAL (
          SELECT r.bundle, r.version, f.secrets
            FROM promote.revision AS r
            JOIN promote.bundle_release AS f ON f.bundle = r.bundle AND f.version = r.version
           WHERE r.project = i.project AND r.environment = i.environment
             AND r.component = i.component AND r.revision = i.revision
           LIMIT 1) AS made ON true
      LEFT JOIN LATERAL (
          (SELECT f.secrets
             FROM promote.bundle_release AS f
            WHERE i.release_channel = 'stable' AND i.version_constraint !~ '^[0-9]'
              AND f.bundle = made.bundle AND NOT f.prerelease
              AND f.sort_key >= (promote.version_range(i.version_constraint)).lower
              AND f.sort_key < (promote.version_range(i.version_constraint)).upper
            ORDER BY f.bundle DESC, f.sort_key DESC LIMIT 1)
          UNION ALL
          (SELECT f.secrets
             FROM promote.bundle_release AS f
            WHERE (i.release_channel = 'development' OR i.version_constraint ~ '^[0-9]')
              AND f.bundle = made.bundle
              AND f.sort_key >= (promote.version_range(i.version_constraint)).lower
              AND f.sort_key < (promote.version_range(i.version_constraint)).upper
            ORDER BY f.bundle DESC, f.sort_key DESC LIMIT 1)
          LIMIT 1) AS rel ON true
     CROSS JOIN LATERAL (
          SELECT k.name COLLATE "C" AS name
            FROM pg_catalog.jsonb_object_keys(COALESCE(rel.secrets, '{}') || COALESCE(made.secrets, '{}')) AS k (name)
           UNION
          SELECT x.secret
            FROM promote_internal.visible_secret AS x
           WHERE x.project = i.project AND x.environment = i.environment AND x.component = i.component) AS n
     CROSS JOIN LATERAL (SELECT rel.secrets -> n.name AS declaration) AS d
     CROSS JOIN LATERAL (SELECT made.secrets -> n.name AS declaration) AS o
      LEFT JOIN LATERAL (
          SELECT x.secret, x.format, x.fingerprint, x.key_id, x.set_at, x.actor, x.database_role
            FROM promote_internal.visible_secret AS x
           WHERE x.project = i.project AND x.environment = i.environment
             AND x.component = i.component AND x.secret = n.name
           LIMIT 1) AS s ON true;
COMMENT ON VIEW promote.secret_status IS 'Secrets that instances have, and that their releases declare; never a value';
COMMENT ON COLUMN promote.secret_status.instance IS 'Instance';
COMMENT ON COLUMN promote.secret_status.project IS 'Project of the instance';
COMMENT ON COLUMN promote.secret_status.environment IS 'Environment of the instance';
COMMENT ON COLUMN promote.secret_status.component IS 'Component of the instance';
COMMENT ON COLUMN promote.secret_status.name IS 'What the secret is called';
COMMENT ON COLUMN promote.secret_status.declared IS 'Whether the instance''s release declares the secret; one that is not declared is not handed out any more, and may be removed';
COMMENT ON COLUMN promote.secret_status.required IS 'Whether nothing is deployed without the secret';
COMMENT ON COLUMN promote.secret_status.format IS 'The declared format, text or json; for an undeclared secret, what it was set as';
COMMENT ON COLUMN promote.secret_status.description IS 'What the release says of the secret';
COMMENT ON COLUMN promote.secret_status.is_set IS 'Whether the secret is set';
COMMENT ON COLUMN promote.secret_status.fingerprint IS 'What the value is known by in the project, in hexadecimal digits: equal values have equal ones';
COMMENT ON COLUMN promote.secret_status.key_id IS 'Id of the key that it is encrypted with';
COMMENT ON COLUMN promote.secret_status.set_at IS 'When it was set, or copied here';
COMMENT ON COLUMN promote.secret_status.set_by IS 'Who set it, by the setting promote.actor; else the database role';
COMMENT ON COLUMN promote.secret_status.set_by_role IS 'Role that the session acted as';
