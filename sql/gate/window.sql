-- Windows: when nothing may be deployed, and when alone something may; and stopping the line.

CREATE FUNCTION promote_internal.check_window() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_check_window';
REVOKE ALL ON FUNCTION promote_internal.check_window() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.check_window() IS
'Refuses windows that are none, PM602: neither once nor recurring or both, backward, endless or never; spells the zone as pg_timezone_names does';

CREATE FUNCTION promote_internal.spell_zone(zone text) RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_spell_zone';
REVOKE ALL ON FUNCTION promote_internal.spell_zone(text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.spell_zone(text) IS
'A time zone as pg_timezone_names spells it, and as rows of windows have it; PM602: there is none of that name';

CREATE TABLE promote.freeze_window (
    name        text COLLATE "C" NOT NULL,
    project     promote.project_name,
    environment promote.environment_name,
    component   promote.component_name,
    selector    jsonb NOT NULL DEFAULT '{}',
    reason      text,
    during      tstzrange,
    rule        text,
    zone        text,
    starts_at   timestamp,
    duration    interval,
    exdates     timestamp[] NOT NULL DEFAULT '{}',
    actor       text NOT NULL DEFAULT promote.current_actor(),
    created_at  timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    CONSTRAINT freeze_window_pkey PRIMARY KEY (name),
    CONSTRAINT freeze_window_project_fkey FOREIGN KEY (project)
        REFERENCES promote.project (project),
    CONSTRAINT freeze_window_environment_fkey FOREIGN KEY (project, environment)
        REFERENCES promote.environment (project, environment),
    CONSTRAINT freeze_window_component_fkey FOREIGN KEY (project, component)
        REFERENCES promote.component (project, component),
    -- check_window says more, but triggers of others may come behind it
    CONSTRAINT freeze_window_when_check
        CHECK (promote_internal.check_value(during IS NOT NULL OR zone IS NOT NULL AND starts_at IS NOT NULL AND duration IS NOT NULL,
            'window', 'It has no time.',
            'Say when: during, or zone, starts_at and duration, with a rule where it comes again.'))
);
CREATE INDEX freeze_window_project_idx ON promote.freeze_window (project);
COMMENT ON INDEX promote.freeze_window_project_idx IS 'Finds those of a project';
SELECT pg_catalog.pg_extension_config_dump('promote.freeze_window', '');
COMMENT ON TABLE promote.freeze_window IS 'When nothing may be deployed; it beats any change window';
COMMENT ON COLUMN promote.freeze_window.name IS 'Name';
COMMENT ON COLUMN promote.freeze_window.project IS 'Project; NULL: all';
COMMENT ON COLUMN promote.freeze_window.environment IS 'Environment; NULL: all';
COMMENT ON COLUMN promote.freeze_window.component IS 'Component; NULL: all';
COMMENT ON COLUMN promote.freeze_window.selector IS 'Only instances whose effective attributes contain this';
COMMENT ON COLUMN promote.freeze_window.reason IS 'Why, for people';
COMMENT ON COLUMN promote.freeze_window.during IS 'When, if it is once; NULL: it recurs';
COMMENT ON COLUMN promote.freeze_window.rule IS 'RRULE of RFC 5545 by which it recurs; NULL: it is once, in local time';
COMMENT ON COLUMN promote.freeze_window.zone IS 'Time zone, one of pg_timezone_names';
COMMENT ON COLUMN promote.freeze_window.starts_at IS 'Local time before which nothing occurs, and the time of day at which it does';
COMMENT ON COLUMN promote.freeze_window.duration IS 'How long each lasts: months and days by the calendar, the rest by the clock';
COMMENT ON COLUMN promote.freeze_window.exdates IS 'Local times at which it would occur, and does not';
COMMENT ON COLUMN promote.freeze_window.actor IS 'Who made it, by the setting promote.actor; else the database role';
COMMENT ON COLUMN promote.freeze_window.created_at IS 'When the row was inserted';

CREATE TRIGGER check_window BEFORE INSERT OR UPDATE ON promote.freeze_window
    FOR EACH ROW EXECUTE FUNCTION promote_internal.check_window();
ALTER TABLE promote.freeze_window ENABLE ALWAYS TRIGGER check_window;
CREATE TRIGGER note_rule AFTER INSERT OR UPDATE OR DELETE ON promote.freeze_window
    FOR EACH ROW EXECUTE FUNCTION promote_internal.note_rule();
ALTER TABLE promote.freeze_window ENABLE ALWAYS TRIGGER note_rule;

CREATE TABLE promote.change_window (
    name        text COLLATE "C" NOT NULL,
    project     promote.project_name,
    environment promote.environment_name,
    component   promote.component_name,
    selector    jsonb NOT NULL DEFAULT '{}',
    reason      text,
    during      tstzrange,
    rule        text,
    zone        text,
    starts_at   timestamp,
    duration    interval,
    exdates     timestamp[] NOT NULL DEFAULT '{}',
    max_deployments_per_window integer,
    actor       text NOT NULL DEFAULT promote.current_actor(),
    created_at  timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    CONSTRAINT change_window_pkey PRIMARY KEY (name),
    CONSTRAINT change_window_project_fkey FOREIGN KEY (project)
        REFERENCES promote.project (project),
    CONSTRAINT change_window_environment_fkey FOREIGN KEY (project, environment)
        REFERENCES promote.environment (project, environment),
    CONSTRAINT change_window_component_fkey FOREIGN KEY (project, component)
        REFERENCES promote.component (project, component),
    -- check_window says more, but triggers of others may come behind it
    CONSTRAINT change_window_when_check
        CHECK (promote_internal.check_value(during IS NOT NULL OR zone IS NOT NULL AND starts_at IS NOT NULL AND duration IS NOT NULL,
            'window', 'It has no time.',
            'Say when: during, or zone, starts_at and duration, with a rule where it comes again.')),
    CONSTRAINT change_window_max_deployments_check
        CHECK (promote_internal.check_value(max_deployments_per_window > 0,
            'budget of a change window', 'It has to be 1 or more.',
            'Say how many deployments may begin in it; NULL: any number.'))
);
CREATE INDEX change_window_project_idx ON promote.change_window (project);
COMMENT ON INDEX promote.change_window_project_idx IS 'Finds those of a project';
SELECT pg_catalog.pg_extension_config_dump('promote.change_window', '');
COMMENT ON TABLE promote.change_window IS 'When something may be deployed: where change windows are in scope, only while one of them is open';
COMMENT ON COLUMN promote.change_window.name IS 'Name';
COMMENT ON COLUMN promote.change_window.project IS 'Project; NULL: all';
COMMENT ON COLUMN promote.change_window.environment IS 'Environment; NULL: all';
COMMENT ON COLUMN promote.change_window.component IS 'Component; NULL: all';
COMMENT ON COLUMN promote.change_window.selector IS 'Only instances whose effective attributes contain this';
COMMENT ON COLUMN promote.change_window.reason IS 'Why, for people';
COMMENT ON COLUMN promote.change_window.during IS 'When, if it is once; NULL: it recurs';
COMMENT ON COLUMN promote.change_window.rule IS 'RRULE of RFC 5545 by which it recurs; NULL: it is once, in local time';
COMMENT ON COLUMN promote.change_window.zone IS 'Time zone, one of pg_timezone_names';
COMMENT ON COLUMN promote.change_window.starts_at IS 'Local time before which nothing occurs, and the time of day at which it does';
COMMENT ON COLUMN promote.change_window.duration IS 'How long each lasts: months and days by the calendar, the rest by the clock';
COMMENT ON COLUMN promote.change_window.exdates IS 'Local times at which it would occur, and does not';
COMMENT ON COLUMN promote.change_window.max_deployments_per_window IS 'How many deployments within the scope may be queued each time; NULL: no bound';
COMMENT ON COLUMN promote.change_window.actor IS 'Who made it, by the setting promote.actor; else the database role';
COMMENT ON COLUMN promote.change_window.created_at IS 'When the row was inserted';

CREATE TRIGGER check_window BEFORE INSERT OR UPDATE ON promote.change_window
    FOR EACH ROW EXECUTE FUNCTION promote_internal.check_window();
ALTER TABLE promote.change_window ENABLE ALWAYS TRIGGER check_window;
CREATE TRIGGER note_rule AFTER INSERT OR UPDATE OR DELETE ON promote.change_window
    FOR EACH ROW EXECUTE FUNCTION promote_internal.note_rule();
ALTER TABLE promote.change_window ENABLE ALWAYS TRIGGER note_rule;

CREATE TABLE promote.line_stop (
    stop          integer NOT NULL,
    project       promote.project_name,
    reason        text NOT NULL,
    actor         text NOT NULL DEFAULT promote.current_actor(),
    database_role text NOT NULL DEFAULT promote.current_database_role(),
    stopped_at    timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    lifted_at     timestamptz,
    lifted_by     text,
    lifted_role   text,
    message       text,
    CONSTRAINT line_stop_pkey PRIMARY KEY (stop),
    CONSTRAINT line_stop_project_fkey FOREIGN KEY (project)
        REFERENCES promote.project (project),
    CONSTRAINT line_stop_stop_check CHECK (stop > 0),
    CONSTRAINT line_stop_reason_check
        CHECK (promote_internal.check_value(reason <> '',
            'stop', 'It has no reason.',
            'Say why.')),
    CONSTRAINT line_stop_lifted_check
        CHECK ((lifted_at IS NULL) = (lifted_by IS NULL) AND (lifted_at IS NULL) = (lifted_role IS NULL))
);
CREATE UNIQUE INDEX line_stop_open_key ON promote.line_stop (project) NULLS NOT DISTINCT
    WHERE lifted_at IS NULL;
COMMENT ON INDEX promote.line_stop_open_key IS 'A project is stopped once, and so is everything';
SELECT pg_catalog.pg_extension_config_dump('promote.line_stop', '');
COMMENT ON TABLE promote.line_stop IS 'When the line was stopped, by whom and why, and who let it go on';
COMMENT ON COLUMN promote.line_stop.stop IS 'Number, from 1';
COMMENT ON COLUMN promote.line_stop.project IS 'Project; NULL: everything';
COMMENT ON COLUMN promote.line_stop.reason IS 'Why, in the actor''s words';
COMMENT ON COLUMN promote.line_stop.actor IS 'Who stopped it, by the setting promote.actor; else the database role';
COMMENT ON COLUMN promote.line_stop.database_role IS 'Role that the session acted as';
COMMENT ON COLUMN promote.line_stop.stopped_at IS 'Since when';
COMMENT ON COLUMN promote.line_stop.lifted_at IS 'Until when; NULL: it stands';
COMMENT ON COLUMN promote.line_stop.lifted_by IS 'Who lifted the stop, by the setting promote.actor; else the database role';
COMMENT ON COLUMN promote.line_stop.lifted_role IS 'Role that the session acted as that lifted it';
COMMENT ON COLUMN promote.line_stop.message IS 'What was said then';

CREATE FUNCTION promote_internal.guard_line_stop() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_guard_line_stop';
REVOKE ALL ON FUNCTION promote_internal.guard_line_stop() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.guard_line_stop() IS
'Refuses to change what was stopped other than by promote.resume_line, PM301';

CREATE TRIGGER note_rule AFTER INSERT OR UPDATE OR DELETE ON promote.line_stop
    FOR EACH ROW EXECUTE FUNCTION promote_internal.note_rule();
ALTER TABLE promote.line_stop ENABLE ALWAYS TRIGGER note_rule;
CREATE TRIGGER guard_record BEFORE INSERT ON promote.line_stop
    FOR EACH ROW EXECUTE FUNCTION promote_internal.guard_record();
ALTER TABLE promote.line_stop ENABLE ALWAYS TRIGGER guard_record;
CREATE TRIGGER guard_line_stop BEFORE UPDATE ON promote.line_stop
    FOR EACH ROW EXECUTE FUNCTION promote_internal.guard_line_stop();
ALTER TABLE promote.line_stop ENABLE ALWAYS TRIGGER guard_line_stop;
CREATE TRIGGER refuse_rewrite BEFORE DELETE ON promote.line_stop
    FOR EACH ROW EXECUTE FUNCTION promote_internal.refuse_rewrite();
ALTER TABLE promote.line_stop ENABLE ALWAYS TRIGGER refuse_rewrite;
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON promote.line_stop
    FOR EACH STATEMENT EXECUTE FUNCTION promote_internal.refuse_rewrite();
ALTER TABLE promote.line_stop ENABLE ALWAYS TRIGGER refuse_truncate;

CREATE FUNCTION promote.stop_line(reason text, project text DEFAULT NULL)
    RETURNS promote.line_stop
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_stop_line';
REVOKE ALL ON FUNCTION promote.stop_line(text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.stop_line(text, text) IS
'Stops the line: nothing of the project, or nothing at all, is deployed until promote.resume_line. What is stopped already stays so, for the reason it has';

CREATE FUNCTION promote.resume_line(project text DEFAULT NULL, message text DEFAULT NULL)
    RETURNS promote.line_stop
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_resume_line';
REVOKE ALL ON FUNCTION promote.resume_line(text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.resume_line(text, text) IS
'Lifts what promote.stop_line has stopped with the same argument; returns NULL where that is nothing';

CREATE FUNCTION promote.end_session(pid integer, reason text, project text DEFAULT NULL)
    RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_end_session';
REVOKE ALL ON FUNCTION promote.end_session(integer, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.end_session(integer, text, text) IS
'Ends a session whose open transaction holds an instance or a request of the project, or, without a project, anything of promote''s: what that has not committed is gone. Takes the grant admin of the project, or of everything; only superusers end a superuser''s session. False: it has not ended yet';

CREATE FUNCTION promote.next_possible(
    instance text, deployment integer DEFAULT NULL, at timestamptz DEFAULT pg_catalog.now(), action text DEFAULT NULL)
    RETURNS timestamptz
    LANGUAGE c STABLE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_next_possible';
REVOKE ALL ON FUNCTION promote.next_possible(text, integer, timestamptz, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.next_possible(text, integer, timestamptz, text) IS
'The first moment from a time on at which no gate of time stands in the way: stopped, freeze, window, soak, budget. NULL: time alone does not open them. For the arguments see promote.blockers';

CREATE FUNCTION promote.window_occurrences(
    rule text, zone text, starts_at timestamp, duration interval, exdates timestamp[] DEFAULT '{}',
    not_before timestamptz DEFAULT pg_catalog.now(), not_after timestamptz DEFAULT NULL, max_rows integer DEFAULT 10,
    during tstzrange DEFAULT NULL, OUT opens_at timestamptz, OUT closes_at timestamptz)
    RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL SAFE ROWS 10
    AS 'MODULE_PATHNAME', 'promote_window_occurrences';
GRANT EXECUTE ON FUNCTION promote.window_occurrences(text, text, timestamp, interval, timestamp[], timestamptz, timestamptz, integer, tstzrange) TO PUBLIC;
COMMENT ON FUNCTION promote.window_occurrences(text, text, timestamp, interval, timestamp[], timestamptz, timestamptz, integer, tstzrange) IS
'When a window with such columns opens and closes, once or again and again: the occurrences that end after one time and begin before another, at most max_rows';

-- ---- what the gates look at ----

CREATE VIEW promote_internal.window_rule WITH (security_invoker = true) AS
    SELECT 0 AS kind,
           s.project::text AS name,
           s.reason,
           s.actor,
           s.project::text AS project,
           NULL::text AS environment,
           NULL::text AS component,
           NULL::jsonb AS selector,
           s.stopped_at AS since,
           s.stop,
           0 AS budget,
           NULL::tstzrange AS during,
           NULL::text AS rule,
           NULL::text AS zone,
           NULL::timestamp AS starts_at,
           NULL::interval AS duration,
           NULL::timestamp[] AS exdates
      FROM promote.line_stop AS s
     WHERE s.lifted_at IS NULL
    UNION ALL
    SELECT 1, f.name, f.reason, f.actor, f.project::text, f.environment::text, f.component::text, f.selector, f.created_at, 0, 0,
           f.during, f.rule, f.zone, f.starts_at, f.duration, f.exdates
      FROM promote.freeze_window AS f
    UNION ALL
    SELECT 2, c.name, c.reason, c.actor, c.project::text, c.environment::text, c.component::text, c.selector, c.created_at, 0,
           COALESCE(c.max_deployments_per_window, 0), c.during, c.rule, c.zone, c.starts_at, c.duration, c.exdates
      FROM promote.change_window AS c;
COMMENT ON VIEW promote_internal.window_rule IS 'What closes the gates "stopped", "freeze" and "window": stops that stand, freezes and change windows';
COMMENT ON COLUMN promote_internal.window_rule.kind IS '0: a stop, 1: a freeze, 2: a change window';
COMMENT ON COLUMN promote_internal.window_rule.name IS 'Name; of a stop its project, NULL: of everything';
COMMENT ON COLUMN promote_internal.window_rule.reason IS 'Why';
COMMENT ON COLUMN promote_internal.window_rule.actor IS 'Who made it';
COMMENT ON COLUMN promote_internal.window_rule.project IS 'Project of its scope; NULL: all';
COMMENT ON COLUMN promote_internal.window_rule.environment IS 'Environment; NULL: all';
COMMENT ON COLUMN promote_internal.window_rule.component IS 'Component; NULL: all';
COMMENT ON COLUMN promote_internal.window_rule.selector IS 'Only instances whose effective attributes contain this; NULL: all';
COMMENT ON COLUMN promote_internal.window_rule.since IS 'When it was made';
COMMENT ON COLUMN promote_internal.window_rule.stop IS 'Number of a stop';
COMMENT ON COLUMN promote_internal.window_rule.budget IS 'How many deployments may be queued each time a change window is open; 0: no bound';
COMMENT ON COLUMN promote_internal.window_rule.during IS 'When, if it is once';
COMMENT ON COLUMN promote_internal.window_rule.rule IS 'How it recurs; this and what follows as in the tables';
COMMENT ON COLUMN promote_internal.window_rule.zone IS 'Time zone';
COMMENT ON COLUMN promote_internal.window_rule.starts_at IS 'Local time from which on';
COMMENT ON COLUMN promote_internal.window_rule.duration IS 'How long';
COMMENT ON COLUMN promote_internal.window_rule.exdates IS 'Local times at which not';

CREATE FUNCTION promote_internal.supposed_windows(document jsonb) RETURNS SETOF promote_internal.window_rule
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT k.kind, COALESCE(x.name, k.name), x.reason, NULL::text, NULL::text, NULL::text, x.component,
               COALESCE(x.selector, '{}'), NULL::timestamptz, 0, 0, x.during, x.rule, x.zone, x.starts_at,
               CASE WHEN x.starts_at IS NOT NULL THEN x.duration END, x.exdates
          FROM (VALUES (1, 'freeze'), (2, 'change_window')) AS k (kind, name)
         CROSS JOIN LATERAL pg_catalog.jsonb_to_recordset(
               CASE pg_catalog.jsonb_typeof($1 -> k.name)
               WHEN 'array' THEN $1 -> k.name
               WHEN 'object' THEN pg_catalog.jsonb_build_array($1 -> k.name)
               ELSE '[]' END) AS x (
               name text, reason text, component text, selector jsonb, during tstzrange, rule text, zone text,
               starts_at timestamp, duration interval, exdates timestamp[]);
    END;
REVOKE ALL ON FUNCTION promote_internal.supposed_windows(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.supposed_windows(jsonb) IS
'The windows that a document supposes, by its members freeze and change_window: an object with the columns of the tables, or an array of such; not checked yet';

CREATE FUNCTION promote_internal.queued_between(
    project text, environment text, component text, deployment integer, after timestamptz, before timestamptz,
    scope_project text, scope_environment text, scope_component text, selector jsonb)
    RETURNS TABLE (queued bigint, last_at timestamptz)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
    BEGIN ATOMIC
        -- project by project: the index on the times leads with it
        SELECT pg_catalog.count(*), pg_catalog.max(d.queued_at)
          FROM promote.project AS o
         CROSS JOIN LATERAL (
              SELECT d.project, d.environment, d.component, d.deployment, d.status, d.started_at, d.queued_at
                FROM promote.deployment AS d
               WHERE d.project = o.project AND d.action <> 'PLAN' AND d.queued_at >= $5 AND d.queued_at < $6
              OFFSET 0) AS d
         WHERE ($7 IS NULL OR o.project = $7)
           AND (d.status <> 'ABORTED' OR d.started_at IS NOT NULL)
           AND ($8 IS NULL OR d.environment = $8)
           AND ($9 IS NULL OR d.component = $9)
           AND ($10 IS NULL OR (SELECT a.attributes @> $10
                                  FROM promote_internal.instance_attributes AS a
                                 WHERE a.project = d.project AND a.environment = d.environment
                                   AND a.component = d.component))
           AND NOT (d.project = $1 AND d.environment = $2 AND d.component = $3 AND d.deployment = $4);
    END;
REVOKE ALL ON FUNCTION promote_internal.queued_between(text, text, text, integer, timestamptz, timestamptz, text, text, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.queued_between(text, text, text, integer, timestamptz, timestamptz, text, text, text, jsonb) IS
'What the gate "budget" counts: deployments within a window''s scope that were queued while it was open, one of an instance aside, and when the last of them was';
