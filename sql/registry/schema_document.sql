-- Documents that schemas refer to.  Nothing is ever fetched: a reference to another document leads here.

CREATE FUNCTION promote_internal.is_schema_uri(uri text) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_is_schema_uri';
COMMENT ON FUNCTION promote_internal.is_schema_uri(text) IS
'Whether a document can be registered under the URI: it must be absolute, without a fragment, and normalised (RFC 3986)';

CREATE FUNCTION promote_internal.schema_document_check(uri text, document jsonb) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_schema_document_check';
COMMENT ON FUNCTION promote_internal.schema_document_check(text, jsonb) IS
'true if the document is a JSON Schema under that URI, an error that names the place if not; other documents it refers to are not looked at';

CREATE FUNCTION promote_internal.forget_schemas() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_forget_schemas';
REVOKE ALL ON FUNCTION promote_internal.forget_schemas() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.forget_schemas() IS
'Makes sessions compile schemas that refer to other documents anew';

CREATE TABLE promote.schema_document (
    uri        text COLLATE "C" NOT NULL,
    document   jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    CONSTRAINT schema_document_pkey PRIMARY KEY (uri),
    CONSTRAINT schema_document_uri_check
        CHECK (promote_internal.check_value(promote_internal.is_schema_uri(uri),
            'URI of a schema document', 'It has to be absolute, without a fragment, and normalised: scheme and host in lower case, no dot segments.',
            'Register it under the URI that references name.')),
    CONSTRAINT schema_document_document_check
        CHECK (promote_internal.schema_document_check(uri, document))
);
SELECT pg_catalog.pg_extension_config_dump('promote.schema_document', '');
COMMENT ON TABLE promote.schema_document IS 'Documents that schemas may refer to. Never changed, so that what a schema means never changes';
COMMENT ON COLUMN promote.schema_document.uri IS 'URI that references name it by';
COMMENT ON COLUMN promote.schema_document.document IS 'A JSON Schema, or a metaschema that declares vocabularies';
COMMENT ON COLUMN promote.schema_document.created_at IS 'When the row was inserted';

CREATE TRIGGER refuse_rewrite BEFORE UPDATE OR DELETE ON promote.schema_document
    FOR EACH ROW EXECUTE FUNCTION promote_internal.refuse_rewrite();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON promote.schema_document
    FOR EACH STATEMENT EXECUTE FUNCTION promote_internal.refuse_rewrite();
CREATE TRIGGER forget_schemas BEFORE INSERT ON promote.schema_document
    FOR EACH ROW EXECUTE FUNCTION promote_internal.forget_schemas();
ALTER TABLE promote.schema_document ENABLE ALWAYS TRIGGER refuse_rewrite;
ALTER TABLE promote.schema_document ENABLE ALWAYS TRIGGER refuse_truncate;
ALTER TABLE promote.schema_document ENABLE ALWAYS TRIGGER forget_schemas;

CREATE FUNCTION promote_internal.warn_unmet() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_warn_unmet';
REVOKE ALL ON FUNCTION promote_internal.warn_unmet() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.warn_unmet() IS
'Warns of marks in a release''s schema that say nothing, because they stand in a keyword that its dialect does not know';
CREATE TRIGGER warn_unmet AFTER INSERT ON promote.bundle_release
    FOR EACH ROW EXECUTE FUNCTION promote_internal.warn_unmet();
