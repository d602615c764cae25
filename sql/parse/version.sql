-- Semantic versions, their order, and version constraints.
--
-- Versions are those of semver.org 2.0.0. Everything here is a pure function
-- of its arguments and stays executable by everyone; which release a
-- constraint selects is asked of the release table elsewhere.

CREATE FUNCTION promote.is_version(version text)
RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'promote_is_version';

COMMENT ON FUNCTION promote.is_version(text) IS
'Whether the text is a version of semver.org 2.0.0 with at most 255 characters';

CREATE FUNCTION promote.version_key(version text)
RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'promote_version_key';

COMMENT ON FUNCTION promote.version_key(text) IS
'Sort key of a version: the order of the keys is the precedence of the versions; build metadata is ignored';

CREATE FUNCTION promote.version_compare(a text, b text)
RETURNS integer
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'promote_version_compare';

COMMENT ON FUNCTION promote.version_compare(text, text) IS
'Precedence of two versions: -1, 0 or 1 as the first is lower than, equal to or higher than the second';

CREATE FUNCTION promote.version_is_prerelease(version text)
RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'promote_version_is_prerelease';

COMMENT ON FUNCTION promote.version_is_prerelease(text) IS
'Whether the version has a prerelease part, as development builds have';

CREATE FUNCTION promote.is_version_constraint(version_constraint text)
RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'promote_is_version_constraint';

COMMENT ON FUNCTION promote.is_version_constraint(text) IS
'Whether the text is a version constraint (1.2.3, ~1, ~1.2 or latest), without a release channel';

CREATE FUNCTION promote.parse_version_constraint(
    constraint_text text,
    OUT version_constraint text,
    OUT release_channel text)
RETURNS record
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'promote_parse_version_constraint';

COMMENT ON FUNCTION promote.parse_version_constraint(text) IS
'Takes a version constraint apart: what is before +dev, and the channel, which is development with +dev and stable without';

CREATE FUNCTION promote.version_range(
    version_constraint text,
    OUT lower bytea,
    OUT upper bytea)
RETURNS record
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'promote_version_range';

COMMENT ON FUNCTION promote.version_range(text) IS
'Sort keys of the versions that a constraint covers: from lower up to, not including, upper';

-- Domains say what is wrong; is_version and is_version_constraint are for those who want to know beforehand.

CREATE FUNCTION promote_internal.check_version(version text)
RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'promote_check_version';

COMMENT ON FUNCTION promote_internal.check_version(text) IS
'true, or PM201: what keeps the text from being a version';

CREATE FUNCTION promote_internal.check_version_constraint(version_constraint text)
RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'promote_check_version_constraint';

COMMENT ON FUNCTION promote_internal.check_version_constraint(text) IS
'true, or PM201: what keeps the text from being a version constraint without a release channel';

CREATE DOMAIN promote.semantic_version AS text COLLATE "C"
    CONSTRAINT semantic_version_is_valid CHECK (promote_internal.check_version(VALUE));

COMMENT ON DOMAIN promote.semantic_version IS
'A version of semver.org 2.0.0; its order is that of promote.version_key';

CREATE DOMAIN promote.version_constraint AS text COLLATE "C"
    CONSTRAINT version_constraint_is_valid CHECK (promote_internal.check_version_constraint(VALUE));

COMMENT ON DOMAIN promote.version_constraint IS
'A version constraint (1.2.3, ~1, ~1.2 or latest) without its release channel';

CREATE DOMAIN promote.release_channel AS text COLLATE "C"
    CONSTRAINT release_channel_check
    CHECK (promote_internal.check_value(VALUE IN ('stable', 'development'), 'release channel', 'It is stable or development.',
                                        'Say development where prereleases are wanted, too: what +dev behind a version constraint means.'));
COMMENT ON DOMAIN promote.release_channel IS
'stable: versions without a prerelease; development: prereleases too, what +dev behind a version constraint means';
