-- Events: the audit log in an order in which nothing ever comes up before what was read already, and consumers, who are
-- told how far they have come.

CREATE TABLE promote.consumer (
    consumer        text COLLATE "C" NOT NULL,
    project         promote.project_name,
    environment     promote.environment_name,
    events          text[] COLLATE "C",
    position        bigint NOT NULL DEFAULT 0,
    acknowledged_at timestamptz,
    actor           text NOT NULL DEFAULT promote.current_actor(),
    database_role   text NOT NULL DEFAULT promote.current_database_role(),
    created_at      timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    CONSTRAINT consumer_pkey PRIMARY KEY (consumer),
    CONSTRAINT consumer_project_fkey FOREIGN KEY (project)
        REFERENCES promote.project (project),
    CONSTRAINT consumer_environment_fkey FOREIGN KEY (project, environment)
        REFERENCES promote.environment (project, environment),
    CONSTRAINT consumer_consumer_check
        CHECK (promote_internal.check_name(consumer, 'consumer')),
    CONSTRAINT consumer_environment_check
        CHECK (promote_internal.check_value(environment IS NULL OR project IS NOT NULL,
            'environment of a consumer', 'There is no project that it could be of.',
            'Name the project, too.')),
    CONSTRAINT consumer_events_check
        CHECK (promote_internal.check_value(pg_catalog.array_ndims(events) = 1 AND pg_catalog.array_position(events, NULL) IS NULL,
            'events of a consumer', 'They are no list of names.',
            'Name events, such as deployment.completed, or leave them out.')),
    CONSTRAINT consumer_position_check
        CHECK (promote_internal.check_value(position >= 0,
            'position of a consumer', 'It is below zero.',
            'Zero is before the first event.'))
);
SELECT pg_catalog.pg_extension_config_dump('promote.consumer', '');
COMMENT ON TABLE promote.consumer IS 'Who reads events, and how far they have come: promote.register_consumer, promote.acknowledge_events';
COMMENT ON COLUMN promote.consumer.consumer IS 'Name';
COMMENT ON COLUMN promote.consumer.project IS 'Project whose events it reads; NULL: all that it may see';
COMMENT ON COLUMN promote.consumer.environment IS 'Environment whose instances it reads of; NULL: all, and what belongs to none';
COMMENT ON COLUMN promote.consumer.events IS 'Names of the events that it reads, beside those that tell of pruned ones; NULL: all';
COMMENT ON COLUMN promote.consumer.position IS 'It has taken all events up to here';
COMMENT ON COLUMN promote.consumer.acknowledged_at IS 'When it said so last; NULL: never';
COMMENT ON COLUMN promote.consumer.actor IS 'Who has registered it, by the setting promote.actor; else the database role';
COMMENT ON COLUMN promote.consumer.database_role IS 'Role that the session acted as, whose consumer it is';
COMMENT ON COLUMN promote.consumer.created_at IS 'When';

CREATE FUNCTION promote_internal.event_limit(max_events integer) RETURNS integer
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_event_limit';
GRANT EXECUTE ON FUNCTION promote_internal.event_limit(integer) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.event_limit(integer) IS
'How many events are read at once: 1000 for NULL; refuses numbers that make no sense, PM404';

CREATE FUNCTION promote_internal.event_number(data jsonb, name text) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE pg_catalog.jsonb_typeof($1 -> $2) WHEN 'number' THEN NULLIF(($1 -> $2)::integer, 0) END;
GRANT EXECUTE ON FUNCTION promote_internal.event_number(jsonb, text) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.event_number(jsonb, text) IS
'A number among the facts of an event; NULL: there is none of that name, or it is 0';

CREATE FUNCTION promote_internal.event_place(project text, subject text)
    RETURNS TABLE (environment text, component text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 1
    BEGIN ATOMIC
        SELECT CASE WHEN i.component IS NOT NULL
                    THEN pg_catalog.substr($2, pg_catalog.length($1) + 2,
                        pg_catalog.length($2) - pg_catalog.length($1) - pg_catalog.length(i.component) - 2) END,
               i.component
          FROM (SELECT CASE WHEN pg_catalog.starts_with($2, $1 || '-')
                            THEN pg_catalog.split_part($2, '-', -1) END AS component) AS i;
    END;
GRANT EXECUTE ON FUNCTION promote_internal.event_place(text, text) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.event_place(text, text) IS
'The environment and the component of a subject of the project''s that is an instance; NULL: it is none';

-- Written so that PostgreSQL puts it into the statement that calls it, with its numbers: the index is read from the
-- position on, and no further than has to be.
CREATE FUNCTION promote.events(
    after_position bigint DEFAULT 0, max_events integer DEFAULT 1000,
    project text DEFAULT NULL, environment text DEFAULT NULL, events text[] DEFAULT NULL)
    RETURNS TABLE ("position" bigint, at timestamptz, project text, environment text, component text, instance text,
                   subject text, seq bigint, event text, actor text, revision integer, deployment integer, action text,
                   request integer)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 1000
    BEGIN ATOMIC
        SELECT e.position, e.at, e.project::text, e.environment, e.component,
               CASE WHEN e.component IS NOT NULL THEN e.subject END, e.subject::text, e.seq, e.event::text, e.actor,
               promote_internal.event_number(e.data, 'revision'), promote_internal.event_number(e.data, 'deployment'),
               e.data ->> 'action',
               CASE WHEN pg_catalog.starts_with(e.subject, 'request ')
                    THEN pg_catalog.split_part(e.subject, '/', 2)::integer END
          FROM (SELECT a.position, a.at, a.project, a.subject, a.seq, a.event, a.actor, a.data,
                       p.environment, p.component,
                       -- what is behind an event that is not settled yet waits for it
                       pg_catalog.bool_and(a.settled_by <= (SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())))
                           OVER (ORDER BY a.position) AS settled
                  FROM promote.audit_log AS a
                 CROSS JOIN LATERAL promote_internal.event_place(a.project, a.subject) AS p (environment, component)
                 WHERE a.position > COALESCE($1, 0)
                   AND ($3 IS NULL OR a.project = $3)
                   AND ($4 IS NULL OR p.environment = $4)
                   AND ($5 IS NULL OR a.event = ANY ($5) OR a.event = 'audit.checkpoint')
                 ORDER BY a.position
                 LIMIT promote_internal.event_limit($2)) AS e
         WHERE e.settled
         ORDER BY e.position;
    END;
REVOKE ALL ON FUNCTION promote.events(bigint, integer, text, text, text[]) FROM PUBLIC;
COMMENT ON FUNCTION promote.events(bigint, integer, text, text, text[]) IS
'The events behind a position that the caller may see, in an order in which no later call shows anything before them: of a project, of the instances of an environment, or of those names. Where events were pruned, audit.checkpoint stands in their place';

CREATE FUNCTION promote_internal.settled_position(after_position bigint) RETURNS bigint
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    BEGIN ATOMIC
        SELECT COALESCE(
            (SELECT a.position FROM promote.audit_log AS a
              WHERE a.position > $1
                AND a.position < COALESCE(
                    (SELECT u.position FROM promote.audit_log AS u
                      WHERE u.position > $1
                        AND u.settled_by > (SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot()))
                      ORDER BY u.position LIMIT 1), 9223372036854775807)
              ORDER BY a.position DESC LIMIT 1), $1);
    END;
REVOKE ALL ON FUNCTION promote_internal.settled_position(bigint) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.settled_position(bigint) IS
'The last event behind a position that promote.events can show now to somebody who sees everything; the position itself: none';

CREATE FUNCTION promote_internal.present_position() RETURNS bigint
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    BEGIN ATOMIC
        SELECT COALESCE((SELECT a.position FROM promote.audit_log AS a
                          WHERE a.settled_by <= (SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot()))
                          ORDER BY a.position DESC LIMIT 1), 0);
    END;
REVOKE ALL ON FUNCTION promote_internal.present_position() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.present_position() IS
'A position before all events of transactions that are still to commit';

CREATE FUNCTION promote.register_consumer(
    consumer text, project text DEFAULT NULL, environment text DEFAULT NULL, events text[] DEFAULT NULL,
    after_position bigint DEFAULT NULL,
    OUT registered boolean, OUT changed boolean, OUT "position" bigint)
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_register_consumer';
REVOKE ALL ON FUNCTION promote.register_consumer(text, text, text, text[], bigint) FROM PUBLIC;
COMMENT ON FUNCTION promote.register_consumer(text, text, text, text[], bigint) IS
'Keeps a position for a consumer of events, from the next event on, or behind the position that is named; 0 is from the first on. Called again, it changes what the consumer reads, and never how far it has come. A consumer is the role''s that has registered it, PM705';

CREATE FUNCTION promote.remove_consumer(consumer text) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_remove_consumer';
REVOKE ALL ON FUNCTION promote.remove_consumer(text) FROM PUBLIC;
COMMENT ON FUNCTION promote.remove_consumer(text) IS
'Forgets a consumer and its position; false: there is none of that name';

CREATE FUNCTION promote.next_events(consumer text, max_events integer DEFAULT 1000)
    RETURNS TABLE ("position" bigint, at timestamptz, project text, environment text, component text, instance text,
                   subject text, seq bigint, event text, actor text, revision integer, deployment integer, action text,
                   request integer)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1000
    AS 'MODULE_PATHNAME', 'promote_next_events';
REVOKE ALL ON FUNCTION promote.next_events(text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote.next_events(text, integer) IS
'The events that a consumer has not acknowledged yet, as promote.events. Where there are none, the consumer moves past those that are not for it, so that nothing is looked at twice';

CREATE FUNCTION promote.acknowledge_events(consumer text, up_to bigint) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_acknowledge_events';
REVOKE ALL ON FUNCTION promote.acknowledge_events(text, bigint) FROM PUBLIC;
COMMENT ON FUNCTION promote.acknowledge_events(text, bigint) IS
'Says that a consumer has taken all events up to a position, which it returns. Neither goes back nor into the future, PM732; the same again changes nothing';
