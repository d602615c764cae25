-- History: rows that are written once, and what guards them.  The triggers are
-- ENABLE ALWAYS: session_replication_role does not switch them off.  What
-- records is in revision.sql.

CREATE FUNCTION promote_internal.refuse_rewrite() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_refuse_rewrite';
REVOKE ALL ON FUNCTION promote_internal.refuse_rewrite() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.refuse_rewrite() IS
'Refuses UPDATE, DELETE and TRUNCATE of history, PM301';

CREATE FUNCTION promote_internal.guard_instance() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_guard_instance';
REVOKE ALL ON FUNCTION promote_internal.guard_instance() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.guard_instance() IS
'Refuses to change by hand what an instance desires, PM303, and to delete one with a history, PM301';

CREATE FUNCTION promote_internal.guard_record() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_guard_record';
REVOKE ALL ON FUNCTION promote_internal.guard_record() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.guard_record() IS
'Refuses rows of deployments and of the audit log that nothing caused, PM303';

CREATE TRIGGER guard_record BEFORE INSERT ON promote.project_key
    FOR EACH ROW EXECUTE FUNCTION promote_internal.guard_record();
ALTER TABLE promote.project_key ENABLE ALWAYS TRIGGER guard_record;

CREATE FUNCTION promote_internal.guard_registry() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_guard_registry';
REVOKE ALL ON FUNCTION promote_internal.guard_registry() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.guard_registry() IS
'Refuses to change a release that is published and a component''s bundle, PM301';

-- One function for what hangs together: PostgreSQL takes the text of every CHECK in anew for each statement.
CREATE FUNCTION promote_internal.check_origin(
    origin text, environment text, source_environment text, source_revision integer, mode text, "only" text[])
    RETURNS boolean
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_check_origin';
COMMENT ON FUNCTION promote_internal.check_origin(text, text, text, integer, text, text[]) IS
'true, or PM404: what is wrong with where a revision comes from, and with how';

CREATE TABLE promote.config (
    project    promote.project_name NOT NULL,
    digest     bytea NOT NULL,
    params     jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    CONSTRAINT config_pkey PRIMARY KEY (project, digest),
    CONSTRAINT config_project_fkey FOREIGN KEY (project)
        REFERENCES promote.project (project),
    CONSTRAINT config_params_check CHECK (promote.check_params(params))
)
-- Rows are never changed. They are frozen by a vacuum that comes while their pages are still at hand, and reads new pages
-- alone: none has to read the whole table later, to save it from wraparound.
WITH (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_freeze_min_age = 0);
SELECT pg_catalog.pg_extension_config_dump('promote.config', '');
COMMENT ON TABLE promote.config IS 'Configurations, each stored once per project under the keyed digest of its canonical form';
COMMENT ON COLUMN promote.config.project IS 'Project it belongs to';
COMMENT ON COLUMN promote.config.digest IS 'promote.config_digest of the params';
COMMENT ON COLUMN promote.config.params IS 'The configuration: one object';
COMMENT ON COLUMN promote.config.created_at IS 'When it was first stored';

-- The digest is no generated column: while a dump is restored by several jobs it could not be computed before the
-- project is there.
CREATE FUNCTION promote_internal.digest_config() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_digest_config';
REVOKE ALL ON FUNCTION promote_internal.digest_config() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.digest_config() IS
'Fills in the digest of a configuration, and refuses any other, PM303';
CREATE TRIGGER digest_config BEFORE INSERT ON promote.config
    FOR EACH ROW EXECUTE FUNCTION promote_internal.digest_config();
ALTER TABLE promote.config ENABLE ALWAYS TRIGGER digest_config;

CREATE FUNCTION promote_internal.config_params(of_project text, of_digest bytea) RETURNS jsonb
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_config_params';
REVOKE ALL ON FUNCTION promote_internal.config_params(text, bytea) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.config_params(text, bytea) IS
'The configuration with a digest; NULL: there is none. A statement that may look up many, and mostly does not, gets nothing ready for this';

CREATE TABLE promote.revision (
    project            promote.project_name NOT NULL,
    environment        promote.environment_name NOT NULL,
    component          promote.component_name NOT NULL,
    revision           integer NOT NULL,
    digest             bytea NOT NULL,
    version_constraint promote.version_constraint NOT NULL,
    release_channel    promote.release_channel NOT NULL DEFAULT 'stable',
    bundle             promote.bundle_name NOT NULL,
    version            promote.semantic_version NOT NULL,
    origin             text COLLATE "C" NOT NULL DEFAULT 'edit',
    source_environment promote.environment_name,
    source_revision    integer,
    overrides          jsonb,
    mode               text COLLATE "C",
    "only"             text[] COLLATE "C",
    pinned_version     promote.semantic_version,
    kept_marks         jsonb,
    plan               boolean NOT NULL DEFAULT true,
    allow_replace      boolean NOT NULL DEFAULT false,
    message            text,
    actor              text NOT NULL DEFAULT promote.current_actor(),
    database_role      text NOT NULL DEFAULT promote.current_database_role(),
    moved_by           text,
    moved_role         text,
    created_at         timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    imported_at        timestamptz,
    CONSTRAINT revision_pkey PRIMARY KEY (project, environment, component, revision),
    CONSTRAINT revision_instance_fkey FOREIGN KEY (project, environment, component)
        REFERENCES promote.instance (project, environment, component),
    CONSTRAINT revision_config_fkey FOREIGN KEY (project, digest)
        REFERENCES promote.config (project, digest),
    CONSTRAINT revision_source_fkey FOREIGN KEY (project, source_environment, component)
        REFERENCES promote.instance (project, environment, component),
    CONSTRAINT revision_release_fkey FOREIGN KEY (bundle, version)
        REFERENCES promote.bundle_release (bundle, version),
    CONSTRAINT revision_revision_check CHECK (revision > 0),
    CONSTRAINT revision_origin_check
        CHECK (promote_internal.check_origin(origin, environment, source_environment, source_revision, mode, "only")),
    CONSTRAINT revision_overrides_check
        CHECK (promote_internal.check_overrides(overrides)),
    CONSTRAINT revision_kept_marks_check
        CHECK (pg_catalog.jsonb_typeof(kept_marks) = 'array')
)
-- as promote.config
WITH (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_freeze_min_age = 0);
CREATE INDEX revision_created_idx ON promote.revision (created_at);
COMMENT ON INDEX promote.revision_created_idx IS 'Finds what was desired of anything at a time, the newest first';
-- Of promotions alone, so that nobody takes it who looks up a revision by its key: while tables are small, PostgreSQL
-- takes any index that has the project for as good as that of the whole key, and keeps the plan.
CREATE INDEX revision_promoted_idx ON promote.revision (project, created_at) WHERE origin = 'promotion';
COMMENT ON INDEX promote.revision_promoted_idx IS 'Finds the promotions of a project in a span of time, the newest first, however busy other projects are';
CREATE INDEX revision_changed_idx ON promote.revision (project, created_at) WHERE origin <> 'promotion';
COMMENT ON INDEX promote.revision_changed_idx IS 'Finds what else was changed in a project in a span of time';
-- what comes from a source is in one of them
CREATE INDEX revision_whole_idx ON promote.revision (project, environment, component, source_environment, revision)
    WHERE source_environment IS NOT NULL AND "only" IS NULL;
COMMENT ON INDEX promote.revision_whole_idx IS 'Finds the last promotion of everything between two instances';
CREATE INDEX revision_part_idx ON promote.revision (project, environment, component, source_environment, revision)
    WHERE "only" IS NOT NULL;
COMMENT ON INDEX promote.revision_part_idx IS 'Finds what else was promoted between them since';
SELECT pg_catalog.pg_extension_config_dump('promote.revision', '');
COMMENT ON TABLE promote.revision IS 'Desired states of an instance, numbered from 1; the last one is what is desired now';
COMMENT ON COLUMN promote.revision.project IS 'The instance''s project';
COMMENT ON COLUMN promote.revision.environment IS 'The instance''s environment';
COMMENT ON COLUMN promote.revision.component IS 'The instance''s component';
COMMENT ON COLUMN promote.revision.revision IS 'Number, one more than the one before; filled in where it is left out';
COMMENT ON COLUMN promote.revision.digest IS 'Digest of the configuration';
COMMENT ON COLUMN promote.revision.version_constraint IS 'Which release of the bundle: 1.2.3, ~1, ~1.2 or latest';
COMMENT ON COLUMN promote.revision.release_channel IS 'stable, or development for prereleases too';
COMMENT ON COLUMN promote.revision.bundle IS 'Bundle of the release; filled in where it is left out';
COMMENT ON COLUMN promote.revision.version IS 'Release that the version constraint stood for, by whose schema the params were judged; filled in where it is left out';
COMMENT ON COLUMN promote.revision.origin IS 'edit, promotion, fork, rollback, adoption or merge';
COMMENT ON COLUMN promote.revision.source_environment IS 'Environment of the instance that it was promoted from';
COMMENT ON COLUMN promote.revision.source_revision IS 'The source''s revision that was promoted';
COMMENT ON COLUMN promote.revision.overrides IS 'What was laid on top: a merge patch, or, an array, a JSON Patch; of an edit, the patch itself; with "(value)" in the place of every value but null';
COMMENT ON COLUMN promote.revision.mode IS 'Of a promotion: replace, where it was composed of the source; merge, where only what had changed there; NULL: it is none';
COMMENT ON COLUMN promote.revision."only" IS 'Of a promotion: what was taken alone, as paths and names; NULL: everything';
COMMENT ON COLUMN promote.revision.pinned_version IS 'Of a promotion: the exact version that the source ran, which it took for the source''s constraint; NULL: it was not pinned, or took no release';
COMMENT ON COLUMN promote.revision.kept_marks IS 'Paths of leaves that the release does not mark in this configuration, but whose values come from places that are marked: they are masked as well; NULL: none';
COMMENT ON COLUMN promote.revision.plan IS 'Whether a PLAN deployment was asked for';
COMMENT ON COLUMN promote.revision.allow_replace IS 'Whether the revision may change immutable values of a provisioned instance';
COMMENT ON COLUMN promote.revision.message IS 'Why, in the actor''s words';
COMMENT ON COLUMN promote.revision.actor IS 'Who has asked for it, by the setting promote.actor; else the database role';
COMMENT ON COLUMN promote.revision.database_role IS 'Role that the session acted as';
COMMENT ON COLUMN promote.revision.moved_by IS 'Who has moved the request that it is of, for the actor, who has opened that, or has imported it; NULL: neither is so';
COMMENT ON COLUMN promote.revision.moved_role IS 'Role that the session of whoever moved it acted as; NULL with it';
COMMENT ON COLUMN promote.revision.created_at IS 'When';
COMMENT ON COLUMN promote.revision.imported_at IS 'When it was imported by promote.import_history: then actor, created_at and the rest are what moved_by says of another place; NULL: it was made here';

CREATE TRIGGER refuse_rewrite BEFORE UPDATE OR DELETE ON promote.config
    FOR EACH ROW EXECUTE FUNCTION promote_internal.refuse_rewrite();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON promote.config
    FOR EACH STATEMENT EXECUTE FUNCTION promote_internal.refuse_rewrite();
ALTER TABLE promote.config ENABLE ALWAYS TRIGGER refuse_rewrite;
ALTER TABLE promote.config ENABLE ALWAYS TRIGGER refuse_truncate;

CREATE TRIGGER refuse_rewrite BEFORE UPDATE OR DELETE ON promote.revision
    FOR EACH ROW EXECUTE FUNCTION promote_internal.refuse_rewrite();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON promote.revision
    FOR EACH STATEMENT EXECUTE FUNCTION promote_internal.refuse_rewrite();
ALTER TABLE promote.revision ENABLE ALWAYS TRIGGER refuse_rewrite;
ALTER TABLE promote.revision ENABLE ALWAYS TRIGGER refuse_truncate;

CREATE TRIGGER guard_registry BEFORE UPDATE ON promote.bundle_release
    FOR EACH ROW EXECUTE FUNCTION promote_internal.guard_registry(
        'bundle', 'version', 'params_schema', 'secrets', 'remote_references', 'presets',
        'artifact_digest', 'source_commit', 'changelog', 'attributes');
ALTER TABLE promote.bundle_release ENABLE ALWAYS TRIGGER guard_registry;

CREATE TRIGGER guard_registry BEFORE UPDATE ON promote.component
    FOR EACH ROW EXECUTE FUNCTION promote_internal.guard_registry('bundle');
ALTER TABLE promote.component ENABLE ALWAYS TRIGGER guard_registry;

CREATE TRIGGER guard_instance BEFORE INSERT OR UPDATE OR DELETE ON promote.instance
    FOR EACH ROW EXECUTE FUNCTION promote_internal.guard_instance();
ALTER TABLE promote.instance ENABLE ALWAYS TRIGGER guard_instance;

-- lz4 where the server was built with it: a wide update costs a sixth of pglz
DO $$
BEGIN
    ALTER TABLE promote.config ALTER COLUMN params SET COMPRESSION lz4;
    ALTER TABLE promote.bundle_release ALTER COLUMN params_schema SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    NULL;
END
$$;

CREATE FUNCTION promote_internal.revision_at(
    of_project text, of_environment text, of_component text, at timestamptz) RETURNS TABLE (revision integer)
    LANGUAGE sql STABLE ROWS 1
    BEGIN ATOMIC
        -- mostly the newest is asked for; between the others the number is found by halves. Opening another generation
        -- takes a number that no revision has: the one before stands for it
        WITH RECURSIVE search (low, high) AS (
            SELECT CASE WHEN r.created_at <= $4 THEN r.revision ELSE 0 END,
                   CASE WHEN r.created_at <= $4 THEN r.revision ELSE r.revision - 1 END
              FROM promote.instance AS i
             CROSS JOIN LATERAL (
                  SELECT r.revision, r.created_at FROM promote.revision AS r
                   WHERE r.project = i.project AND r.environment = i.environment AND r.component = i.component
                     AND r.revision <= i.revision
                   ORDER BY r.project DESC, r.environment DESC, r.component DESC, r.revision DESC
                   LIMIT 1) AS r
             WHERE i.project = $1 AND i.environment = $2 AND i.component = $3
             UNION ALL
            SELECT CASE WHEN m.is_past THEN m.middle ELSE s.low END, CASE WHEN m.is_past THEN s.high ELSE m.middle - 1 END
              FROM search AS s
             CROSS JOIN LATERAL (
                  SELECT (s.low + s.high + 1) / 2 AS middle,
                         COALESCE((SELECT r.created_at <= $4 FROM promote.revision AS r
                                    WHERE r.project = $1 AND r.environment = $2 AND r.component = $3
                                      AND r.revision <= (s.low + s.high + 1) / 2
                                    ORDER BY r.project DESC, r.environment DESC, r.component DESC, r.revision DESC
                                    LIMIT 1), true) AS is_past) AS m
             WHERE s.low < s.high)
        SELECT r.revision
          FROM search AS s
         CROSS JOIN LATERAL (
              SELECT r.revision, r.created_at FROM promote.revision AS r
               WHERE r.project = $1 AND r.environment = $2 AND r.component = $3 AND r.revision <= s.low
               ORDER BY r.project DESC, r.environment DESC, r.component DESC, r.revision DESC
               LIMIT 1) AS r
         WHERE s.low = s.high AND s.low > 0
           -- in a generation that was opened since, nothing was desired yet
           AND NOT EXISTS (SELECT FROM promote.environment AS e
                            WHERE e.project = $1 AND e.environment = $2 AND e.opened_at > r.created_at AND e.opened_at <= $4)
           AND NOT EXISTS (SELECT FROM promote.environment_generation AS g
                            WHERE g.project = $1 AND g.environment = $2 AND g.opened_at > r.created_at AND g.opened_at <= $4);
    END;
REVOKE ALL ON FUNCTION promote_internal.revision_at(text, text, text, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.revision_at(text, text, text, timestamptz) IS
'The number of the revision that was an instance''s last one at a moment, in the generation of its environment that was opened last by then; no row where there was none. Numbers are taken to be in the order of their times, as they are unless the server''s clock was set back';

-- A table is told of by its catalog, so that columns which the owner adds are told of as well.
CREATE FUNCTION promote.plain_tables(tables text[] DEFAULT NULL)
    RETURNS TABLE (table_name text, columns text, definition text)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 40
    BEGIN ATOMIC
        SELECT c.relname::text, a.names,
               pg_catalog.format('CREATE TABLE promote.%I (%s, %s)', c.relname, a.definitions, pg_catalog.pg_get_constraintdef(k.oid))
          FROM pg_catalog.pg_class AS c
          JOIN pg_catalog.pg_constraint AS k ON k.conrelid = c.oid AND k.contype = 'p'
         CROSS JOIN LATERAL (
              SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attnum),
                     pg_catalog.string_agg(pg_catalog.format('%I %s', a.attname,
                         pg_catalog.format_type(COALESCE(NULLIF(t.typbasetype, 0::oid), t.oid), NULL)), ', ' ORDER BY a.attnum)
                FROM pg_catalog.pg_attribute AS a
                JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
               WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '') AS a (names, definitions)
         WHERE c.relnamespace = 'promote'::pg_catalog.regnamespace AND c.relkind = 'r'
           AND CASE WHEN $1 IS NULL
                    THEN c.relname <> ALL (promote_internal.withheld_tables() || '{notice,rule_change}'::text[])
                    ELSE c.relname = ANY ($1) END
         ORDER BY 1;
    END;
GRANT EXECUTE ON FUNCTION promote.plain_tables(text[]) TO PUBLIC;
COMMENT ON FUNCTION promote.plain_tables(text[]) IS
'What logical replication to plain tables needs: of each table the columns that a publication can name, none of which is generated, and a CREATE TABLE with types of PostgreSQL''s own and the key, for the other end. Of these tables, or of all but those that hold what is withheld and those that are for transactions under way';
