\echo Use "CREATE EXTENSION promote" to load this file. \quit

-- Whatever the installing session's path is, names below mean what they say: unqualified ones are pg_catalog's.
SET LOCAL search_path TO pg_catalog, pg_temp;

COMMENT ON SCHEMA promote IS 'promotion of validated configuration between environments';

-- Pure functions (merging, comparing, validating) are for everyone, and USAGE lets everyone name them. It opens
-- nothing else: tables grant nothing to PUBLIC, and every function that writes revokes EXECUTE from it.
GRANT USAGE ON SCHEMA promote TO PUBLIC;

