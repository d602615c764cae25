-- Drift: how what is there differs from what was deployed.

CREATE TABLE promote.observation (
    project     promote.project_name NOT NULL,
    environment promote.environment_name NOT NULL,
    component   promote.component_name NOT NULL,
    digest      bytea NOT NULL,
    document    bytea,
    document_at timestamptz,
    differences integer NOT NULL,
    changed_by  integer NOT NULL,
    source      text NOT NULL,
    reported_at timestamptz NOT NULL,
    CONSTRAINT observation_pkey PRIMARY KEY (project, environment, component),
    CONSTRAINT observation_instance_fkey FOREIGN KEY (project, environment, component)
        REFERENCES promote.instance (project, environment, component),
    CONSTRAINT observation_document_fkey FOREIGN KEY (project, document)
        REFERENCES promote.config (project, digest),
    CONSTRAINT observation_digest_check CHECK (pg_catalog.octet_length(digest) = 32),
    CONSTRAINT observation_document_at_check
        CHECK ((document_at IS NULL) = (document IS NULL)),
    CONSTRAINT observation_differences_check CHECK (differences >= 0)
)
-- the time moves with every report
WITH (fillfactor = 80);
SELECT pg_catalog.pg_extension_config_dump('promote.observation', '');
COMMENT ON TABLE promote.observation IS 'What was reported last of an instance';
COMMENT ON COLUMN promote.observation.project IS 'The instance''s project';
COMMENT ON COLUMN promote.observation.environment IS 'The instance''s environment';
COMMENT ON COLUMN promote.observation.component IS 'The instance''s component';
COMMENT ON COLUMN promote.observation.digest IS 'Digest of the configuration that was observed';
COMMENT ON COLUMN promote.observation.document IS 'Digest of the last observed configuration of which more than the digest is known; NULL: there is none';
COMMENT ON COLUMN promote.observation.document_at IS 'When that was reported last';
COMMENT ON COLUMN promote.observation.differences IS 'How many differences the last report showed';
COMMENT ON COLUMN promote.observation.changed_by IS 'The instance''s changed_by at the time of the report; if it has moved on since, the report is about what is no longer there';
COMMENT ON COLUMN promote.observation.source IS 'Who reported it, in the reporter''s words';
COMMENT ON COLUMN promote.observation.reported_at IS 'When it was reported last';

CREATE TRIGGER guard_record BEFORE INSERT ON promote.observation
    FOR EACH ROW EXECUTE FUNCTION promote_internal.guard_record();
ALTER TABLE promote.observation ENABLE ALWAYS TRIGGER guard_record;

CREATE TABLE promote.drift_item (
    project          promote.project_name NOT NULL,
    environment      promote.environment_name NOT NULL,
    component        promote.component_name NOT NULL,
    item             integer NOT NULL,
    kind             text COLLATE "C" NOT NULL,
    path             text COLLATE "C" NOT NULL,
    deployed         jsonb,
    observed         jsonb,
    sensitive        boolean NOT NULL,
    changed_by       integer NOT NULL,
    source           text NOT NULL,
    since            timestamptz NOT NULL,
    closed_at        timestamptz,
    how              text COLLATE "C",
    adopted_revision integer,
    dismissed_at     timestamptz,
    dismissed_by     text,
    reason           text,
    CONSTRAINT drift_item_pkey PRIMARY KEY (project, environment, component, item),
    CONSTRAINT drift_item_instance_fkey FOREIGN KEY (project, environment, component)
        REFERENCES promote.instance (project, environment, component),
    CONSTRAINT drift_item_adopted_fkey
        FOREIGN KEY (project, environment, component, adopted_revision)
        REFERENCES promote.revision (project, environment, component, revision),
    CONSTRAINT drift_item_item_check CHECK (item > 0),
    CONSTRAINT drift_item_kind_check CHECK (kind IN ('config', 'digest', 'resource')),
    CONSTRAINT drift_item_how_check CHECK (how IN ('gone', 'deployed')),
    CONSTRAINT drift_item_closed_at_check CHECK ((closed_at IS NULL) = (how IS NULL)),
    CONSTRAINT drift_item_dismissed_check
        CHECK ((dismissed_at IS NULL) = (dismissed_by IS NULL)
               AND (dismissed_at IS NULL) = (reason IS NULL))
);
CREATE INDEX drift_item_open_idx ON promote.drift_item (project, environment, component, since)
    WHERE closed_at IS NULL;
COMMENT ON INDEX promote.drift_item_open_idx IS 'Finds what differs now, and what has differed longest';
SELECT pg_catalog.pg_extension_config_dump('promote.drift_item', '');
COMMENT ON TABLE promote.drift_item IS 'Differences between what was deployed and what was observed, numbered from 1 per instance; promote.drift_status shows those that last';
COMMENT ON COLUMN promote.drift_item.project IS 'The instance''s project';
COMMENT ON COLUMN promote.drift_item.environment IS 'The instance''s environment';
COMMENT ON COLUMN promote.drift_item.component IS 'The instance''s component';
COMMENT ON COLUMN promote.drift_item.item IS 'Number';
COMMENT ON COLUMN promote.drift_item.kind IS 'config: a leaf of the params; digest: all that is known is that the params are others; resource: a recorded plan says that a resource was changed, written when it is dismissed';
COMMENT ON COLUMN promote.drift_item.path IS 'The leaf''s path, jq style, or the resource''s address';
COMMENT ON COLUMN promote.drift_item.deployed IS 'Value that was deployed, masked where it is sensitive; NULL: there was none';
COMMENT ON COLUMN promote.drift_item.observed IS 'Value that is there, masked where it is sensitive; NULL: there is none. For a resource, what has changed of it';
COMMENT ON COLUMN promote.drift_item.sensitive IS 'Whether the values are masked';
COMMENT ON COLUMN promote.drift_item.changed_by IS 'The instance''s changed_by when the difference was seen: once something else was provisioned, the difference is over';
COMMENT ON COLUMN promote.drift_item.source IS 'Who reported the value, in the reporter''s words';
COMMENT ON COLUMN promote.drift_item.since IS 'When it was reported first';
COMMENT ON COLUMN promote.drift_item.closed_at IS 'When a report did not show it any more; NULL: no report yet';
COMMENT ON COLUMN promote.drift_item.how IS 'gone: it was put right; deployed: something was provisioned since';
COMMENT ON COLUMN promote.drift_item.adopted_revision IS 'Revision that adopted it; NULL: none';
COMMENT ON COLUMN promote.drift_item.dismissed_at IS 'When it was dismissed; NULL: it was not, or the value has changed since';
COMMENT ON COLUMN promote.drift_item.dismissed_by IS 'Who dismissed it, by the setting promote.actor; else the database role';
COMMENT ON COLUMN promote.drift_item.reason IS 'Why, in that person''s words';

CREATE TRIGGER guard_record BEFORE INSERT ON promote.drift_item
    FOR EACH ROW EXECUTE FUNCTION promote_internal.guard_record();
ALTER TABLE promote.drift_item ENABLE ALWAYS TRIGGER guard_record;

CREATE FUNCTION promote_internal.drift_steps(
    project text, environment text, component text, changed_by integer, kind text, differences jsonb,
    moved_paths text[])
    RETURNS TABLE (item integer, path text, deployed jsonb, observed jsonb, sensitive boolean, place bigint,
                   moved boolean, newly_sensitive boolean)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        WITH shown AS MATERIALIZED (
            SELECT (x.change ->> 'path') COLLATE "C" AS path,
                   x.change -> 'old' AS deployed,
                   x.change -> 'new' AS observed,
                   x.change ? 'sensitive' AS sensitive,
                   x.place,
                   (x.change ->> 'path') IN (SELECT m.path FROM pg_catalog.unnest($7) AS m (path)) AS moved
              FROM pg_catalog.jsonb_array_elements($6) WITH ORDINALITY AS x (change, place))
        -- a FULL JOIN keeps the planner from nested loops, however few rows it expects
        SELECT o.item, s.path, s.deployed, s.observed, s.sensitive, s.place, s.moved,
               o.item IS NOT NULL AND s.sensitive AND NOT o.sensitive
          FROM (SELECT d.item, d.path, d.sensitive FROM promote.drift_item AS d
                 WHERE d.project = $1 AND d.environment = $2 AND d.component = $3
                   AND d.closed_at IS NULL AND d.changed_by = $4 AND d.kind = $5) AS o
          FULL JOIN shown AS s ON s.path = o.path;
    END;
REVOKE ALL ON FUNCTION promote_internal.drift_steps(text, text, text, integer, text, jsonb, text[]) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.drift_steps(text, text, text, integer, text, jsonb, text[]) IS
'What a report means for the open items of an instance: its differences beside the items of that kind seen since changed_by, by path. A NULL item is a new difference, a NULL path an item that is gone; moved says that the value is another than the one reported before, newly_sensitive that the item still shows a value that is masked now';

CREATE FUNCTION promote.report_observed(instance text, observed jsonb, source text)
    RETURNS integer
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_report_observed';
REVOKE ALL ON FUNCTION promote.report_observed(text, jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.report_observed(text, jsonb, text) IS
'Reports the configuration that was found at an instance; returns in how many leaves it differs from what was deployed';

CREATE FUNCTION promote.report_observed_digest(instance text, digest bytea, source text)
    RETURNS integer
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_report_observed_digest';
REVOKE ALL ON FUNCTION promote.report_observed_digest(text, bytea, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.report_observed_digest(text, bytea, text) IS
'Tells the digest of the configuration that was found at an instance, as promote.jsonb_digest makes it, where nothing else is known; it is stored keyed. Returns in how many leaves the configuration differs from what was deployed, or 1 if all that can be said is that it differs';

CREATE VIEW promote.drift_status WITH (security_invoker = true) AS
    SELECT i.name AS instance,
           x.kind,
           x.path,
           x.deployed AS deployed_value,
           x.observed AS observed_value,
           x.sensitive,
           x.since,
           CASE x.kind WHEN 'config' THEN o.document_at ELSE o.reported_at END AS last_seen,
           x.source,
           x.dismissed_at IS NOT NULL AS dismissed,
           x.dismissed_by,
           x.reason,
           x.adopted_revision,
           x.dismissed_at
      FROM promote.drift_item AS x
      JOIN promote.instance AS i USING (project, environment, component)
      JOIN promote.observation AS o USING (project, environment, component)
     WHERE x.closed_at IS NULL AND x.kind <> 'resource' AND x.changed_by = i.changed_by
    UNION ALL
    SELECT i.name,
           'resource',
           c.address,
           NULL,
           c.diff,
           false,
           c.since,
           c.started_at,
           'plan ' || c.deployment,
           x.dismissed_at IS NOT NULL,
           x.dismissed_by,
           x.reason,
           NULL,
           x.dismissed_at
      FROM promote.instance AS i
     -- what the last plan found
     CROSS JOIN LATERAL (
          SELECT d.deployment, d.fencing, d.started_at
            FROM promote.deployment AS d
           WHERE d.project = i.project AND d.environment = i.environment AND d.component = i.component
             AND d.action = 'PLAN' AND d.plan_facts IS NOT NULL AND d.seen_change = i.changed_by
           ORDER BY d.project DESC, d.environment DESC, d.component DESC, d.seen_change DESC, d.started_at DESC LIMIT 1) AS p
     CROSS JOIN LATERAL (
          SELECT u.address, u.diff
            FROM promote.planned_change AS u
           WHERE u.project = i.project AND u.environment = i.environment AND u.component = i.component
             AND u.deployment = p.deployment AND u.fencing = p.fencing AND u.origin = 'drift'
             -- no-op: the configuration has only given the resource another address
             AND u.action <> 'no-op'
          OFFSET 0) AS u
     -- since is the time of the first plan of the unbroken series of plans that found it: of the one behind the last
     -- plan that did not
     CROSS JOIN LATERAL (
          SELECT u.address, u.diff, p.deployment, p.started_at, f.started_at AS since
            FROM promote.deployment AS f
           WHERE f.project = i.project AND f.environment = i.environment AND f.component = i.component
             AND f.action = 'PLAN' AND f.plan_facts IS NOT NULL AND f.seen_change = i.changed_by
             AND f.started_at > COALESCE((
                     SELECT d.started_at
                       FROM promote.deployment AS d
                      WHERE d.project = i.project AND d.environment = i.environment AND d.component = i.component
                        AND d.action = 'PLAN' AND d.plan_facts IS NOT NULL AND d.seen_change = i.changed_by
                        AND NOT EXISTS (
                                SELECT FROM promote.planned_change AS o
                                 WHERE o.project = i.project AND o.environment = i.environment
                                   AND o.component = i.component AND o.deployment = d.deployment
                                   AND o.fencing = d.fencing AND o.address = u.address
                                   AND o.origin = 'drift' AND o.action <> 'no-op')
                      ORDER BY d.project DESC, d.environment DESC, d.component DESC, d.seen_change DESC, d.started_at DESC
                      LIMIT 1), '-infinity')
           ORDER BY f.project, f.environment, f.component, f.seen_change, f.started_at LIMIT 1) AS c
      LEFT JOIN promote.drift_item AS x
           ON x.project = i.project AND x.environment = i.environment
              AND x.component = i.component AND x.closed_at IS NULL AND x.kind = 'resource'
              AND x.path = c.address AND x.observed = c.diff AND x.changed_by = i.changed_by
              -- a difference that was dismissed and then gone is a new one when it is there again
              AND x.dismissed_at > c.since
     WHERE i.deployed_by IS NOT NULL;
COMMENT ON VIEW promote.drift_status IS 'What differs from what was deployed, as far as it was reported since, or recorded with a plan; sensitive values are masked';
COMMENT ON COLUMN promote.drift_status.instance IS 'Instance';
COMMENT ON COLUMN promote.drift_status.kind IS 'config: a leaf of the params; digest: all that is known is that the params are others; resource: the last recorded plan says that a resource was changed';
COMMENT ON COLUMN promote.drift_status.path IS 'The leaf''s path, jq style, or the resource''s address';
COMMENT ON COLUMN promote.drift_status.deployed_value IS 'Value that was deployed; SQL NULL: there was none, or it is a resource';
COMMENT ON COLUMN promote.drift_status.observed_value IS 'Value that is there; SQL NULL: there is none. For a resource, what has changed of it, as in promote.resource_changes';
COMMENT ON COLUMN promote.drift_status.sensitive IS 'Whether the values are masked';
COMMENT ON COLUMN promote.drift_status.since IS 'Since when it is known';
COMMENT ON COLUMN promote.drift_status.last_seen IS 'When it was reported last';
COMMENT ON COLUMN promote.drift_status.source IS 'Who reported the value, or which plan';
COMMENT ON COLUMN promote.drift_status.dismissed IS 'Whether the difference was dismissed';
COMMENT ON COLUMN promote.drift_status.dismissed_by IS 'By whom';
COMMENT ON COLUMN promote.drift_status.reason IS 'Why';
COMMENT ON COLUMN promote.drift_status.adopted_revision IS 'Revision that adopted it: it lasts until that is deployed; NULL: none';
COMMENT ON COLUMN promote.drift_status.dismissed_at IS 'When somebody dismissed it; NULL: nobody has';

-- A look that is cheap, before promote.drift_status is asked what and since when. The views that ask it have the rights
-- of their readers.
CREATE FUNCTION promote_internal.planned_drift(
    of_project text, of_environment text, of_component text, since_change integer)
    RETURNS TABLE (found boolean)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
    BEGIN ATOMIC
        SELECT EXISTS (SELECT FROM promote.planned_change AS c
                        WHERE c.project = $1 AND c.environment = $2 AND c.component = $3
                          AND c.deployment = d.deployment AND c.fencing = d.fencing
                          AND c.origin = 'drift' AND c.action <> 'no-op')
          FROM (SELECT d.deployment, d.fencing
                  FROM promote.deployment AS d
                 WHERE d.project = $1 AND d.environment = $2 AND d.component = $3
                   AND d.action = 'PLAN' AND d.plan_facts IS NOT NULL AND d.seen_change = $4
                 ORDER BY d.project DESC, d.environment DESC, d.component DESC, d.seen_change DESC, d.started_at DESC
                 LIMIT 1) AS d
        OFFSET 0;
    END;
GRANT EXECUTE ON FUNCTION promote_internal.planned_drift(text, text, text, integer) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.planned_drift(text, text, text, integer) IS
'Has the last recorded plan that has seen the instance after a change found that resources drifted? No row where there is no such plan';

CREATE FUNCTION promote.adopt_drift(
    instance text, message text DEFAULT NULL, expected_revision integer DEFAULT NULL,
    plan boolean DEFAULT true, allow_replace boolean DEFAULT false,
    OUT destination text, OUT old_revision integer, OUT new_revision integer,
    OUT deployment integer, OUT changed boolean, OUT diff jsonb)
    RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_adopt_drift';
REVOKE ALL ON FUNCTION promote.adopt_drift(text, text, integer, boolean, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote.adopt_drift(text, text, integer, boolean, boolean) IS
'Makes what was observed the desired state: sets every leaf of the params that differs and was not dismissed as it was observed, and leaves all others as they are';

CREATE FUNCTION promote.dismiss_drift(instance text, reason text, path text DEFAULT NULL)
    RETURNS integer
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_dismiss_drift';
REVOKE ALL ON FUNCTION promote.dismiss_drift(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.dismiss_drift(text, text, text) IS
'Says why a difference, or all there are, need not be put right, until its value changes; returns how many';
