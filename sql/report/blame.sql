-- Who has set what an instance desires, and what became of each leaf.

CREATE FUNCTION promote.blame(instance text, revision integer DEFAULT NULL)
    RETURNS TABLE (path text, value jsonb, set_in text, set_revision integer, actor text, created_at timestamptz,
                   origin text, message text, sensitive boolean, hidden boolean, through jsonb)
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 100
    AS 'MODULE_PATHNAME', 'promote_blame';
REVOKE ALL ON FUNCTION promote.blame(text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote.blame(text, integer) IS
'For each leaf of what an instance desires, or desired at a revision, and for the release''s constraint and channel: at which instance and by which revision its value was first set, followed back through promotions, forks, merges and rollbacks, and through which revisions it came here. Sensitive values are masked; hidden: it came from where the caller may not look, and the row is the last that he may see';

CREATE FUNCTION promote.leaf_history(instance text, at_path text DEFAULT NULL)
    RETURNS TABLE (path text, revision integer, change text, old_value jsonb, new_value jsonb, sensitive boolean,
                   actor text, created_at timestamptz, origin text, source text, source_revision integer, message text)
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 100
    AS 'MODULE_PATHNAME', 'promote_leaf_history';
REVOKE ALL ON FUNCTION promote.leaf_history(text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.leaf_history(text, text) IS
'Every change of the leaves of an instance at a path or below it, of all where it is left out, and of the release''s constraint and channel: what was desired before and after, and the revision that changed it, the newest first. Sensitive values are masked; a source that the caller may not view is left out';
