-- A calendar for programs that have calendars, and for a page. What is told is what the asker sees; how it is written is
-- in src/page.

CREATE FUNCTION promote_internal.icalendar(name text, made_at text, events text[]) RETURNS text
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_icalendar';
GRANT EXECUTE ON FUNCTION promote_internal.icalendar(text, text, text[]) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.icalendar(text, text, text[]) IS
'Events as iCalendar, RFC 5545: rows of an identity, a kind, when it begins and ends in UTC as the RFC writes it, status, title, place, reason, and what else is known; PM404: one has no time';

CREATE FUNCTION promote_internal.calendar_place(project text, environment text, component text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN COALESCE($1, '*') || '-' || COALESCE($2, '*') || COALESCE('-' || $3, '');
GRANT EXECUTE ON FUNCTION promote_internal.calendar_place(text, text, text) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.calendar_place(text, text, text) IS
'Where something counts, in one: ecomm-production, ecomm-*, *-*-db';

CREATE FUNCTION promote_internal.calendar_time(at timestamptz) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN pg_catalog.to_char($1 AT TIME ZONE 'UTC', 'YYYYMMDD"T"HH24MISS"Z"');
GRANT EXECUTE ON FUNCTION promote_internal.calendar_time(timestamptz) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.calendar_time(timestamptz) IS 'A time as iCalendar has it, in UTC: RFC 5545, 3.3.5';

CREATE FUNCTION promote.calendar_text(
    project text, environment text DEFAULT NULL, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL)
    RETURNS text
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    BEGIN ATOMIC
        SELECT promote_internal.icalendar(
                   'promote ' || s.project || COALESCE('-' || s.environment, ''), promote_internal.calendar_time(pg_catalog.now()),
                   (SELECT pg_catalog.array_agg(v.cell ORDER BY c.number, v.place)
                      FROM promote.calendar(s.project, s.environment, s.since, s.until) WITH ORDINALITY AS c (
                           begins, ends, kind, name, project, environment, component, selector, title, reason, actor, facts, number)
                     CROSS JOIN LATERAL (VALUES
                           -- once it is the same event whenever it is moved to, and each time it recurs another one
                           (1, pg_catalog.encode(promote.jsonb_digest(pg_catalog.jsonb_build_array(
                                   pg_catalog.current_database(), s.project, c.kind, c.name,
                                   CASE WHEN c.facts ? 'zone' THEN EXTRACT(epoch FROM c.begins) END)), 'hex')),
                           (2, c.kind),
                           -- whole seconds; what has no beginning or end that is known has that of what was asked for
                           (3, promote_internal.calendar_time(GREATEST(y.first,
                                   CASE c.begins WHEN '-infinity' THEN s.since ELSE c.begins END))),
                           (4, promote_internal.calendar_time(LEAST(y.last,
                                   CASE c.ends WHEN 'infinity' THEN s.until ELSE c.ends END) + interval '999999 microseconds')),
                           (5, CASE WHEN c.facts ->> 'status' IN ('OPEN', 'PAUSED', 'BLOCKED', 'FAILED') THEN 'TENTATIVE'
                                    ELSE 'CONFIRMED' END),
                           (6, c.title),
                           (7, promote_internal.calendar_place(c.project, c.environment, c.component)),
                           (8, c.reason),
                           (9, pg_catalog.concat_ws(', ', 'by ' || c.actor,
                                   (SELECT pg_catalog.string_agg(pg_catalog.replace(f.key, '_', ' ') || ': ' || f.value, ', ' ORDER BY f.key)
                                      FROM pg_catalog.jsonb_each_text(
                                           c.facts || pg_catalog.jsonb_build_object('selector', c.selector)) AS f)))) AS v (place, cell)
                     WHERE c.ends > y.first AND c.begins < y.last))
          FROM promote_internal.calendar_span($1, $2, $3, $4) AS s
         -- years that libical writes
         CROSS JOIN (VALUES ('0002-01-01 00:00+00'::timestamptz, '3000-12-31 00:00+00'::timestamptz)) AS y (first, last);
    END;
REVOKE ALL ON FUNCTION promote.calendar_text(text, text, timestamptz, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION promote.calendar_text(text, text, timestamptz, timestamptz) IS
'The rows of promote.calendar as iCalendar, text/calendar, for programs that subscribe to calendars: an event for each, which keeps its UID';

CREATE FUNCTION promote_internal.calendar_blocks(of_project text)
    RETURNS TABLE (place bigint, words jsonb)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 50
    BEGIN ATOMIC
        WITH week AS MATERIALIZED (
            SELECT n.number, (m.monday + n.number * interval '7 days') AT TIME ZONE 'UTC' AS begins,
                   (m.monday + (n.number + 1) * interval '7 days') AT TIME ZONE 'UTC' AS ends
              FROM (SELECT pg_catalog.date_trunc('week', pg_catalog.now() AT TIME ZONE 'UTC') AS monday) AS m,
                   pg_catalog.generate_series(0, 4) AS n (number)
        ), seen AS MATERIALIZED (
            SELECT r.*, k.rank, k.mark, k.word
              FROM promote_internal.calendar_rows($1, NULL, pg_catalog.now(), (SELECT pg_catalog.max(w.ends) FROM week AS w)) AS r
              JOIN (VALUES ('stop', 1, 'bad', 'stopped'), ('freeze', 2, 'bad', 'frozen'), ('window', 3, 'good', 'open'),
                           ('request', 4, 'warn', 'planned'), ('approval', NULL, NULL, NULL)) AS k (kind, rank, mark, word)
                ON k.kind = r.kind
        ), cell AS MATERIALIZED (
            SELECT r.kind, r.name, w.number, pg_catalog.count(*) AS times,
                   (pg_catalog.array_agg(CASE
                       WHEN r.begins <= GREATEST(w.begins, pg_catalog.now()) AND r.ends >= w.ends THEN 'all week'
                       WHEN r.begins < w.begins THEN 'until ' || t.ends
                       WHEN r.ends > w.ends THEN 'from ' || t.begins
                       ELSE t.begins || ' to ' || t.ends END ORDER BY r.place))[1] AS span
              FROM week AS w
              JOIN seen AS r ON r.begins < w.ends AND r.ends > w.begins
             CROSS JOIN LATERAL (
                   SELECT pg_catalog.to_char(r.begins AT TIME ZONE 'UTC', 'Dy FMDD Mon HH24:MI') AS begins,
                          pg_catalog.to_char(r.ends AT TIME ZONE 'UTC', 'Dy FMDD Mon HH24:MI') AS ends) AS t
             GROUP BY r.kind, r.name, w.number
        ), thing AS MATERIALIZED (
            SELECT r.kind, r.name, r.mark, r.word,
                   r.title || ' (' || promote_internal.calendar_place(r.project, r.environment, r.component) || ')'
                   || COALESCE(': ' || r.reason, '') AS title,
                   pg_catalog.row_number() OVER (ORDER BY r.rank, r.place) AS place
              FROM (SELECT DISTINCT ON (r.kind, r.name) r.* FROM seen AS r WHERE r.rank IS NOT NULL
                     ORDER BY r.kind, r.name, r.place) AS r
        )
        SELECT 0, '["heading", "Calendar of the next weeks"]'::jsonb
         UNION ALL
        SELECT 1, pg_catalog.jsonb_build_array('text', CASE WHEN EXISTS (SELECT FROM thing)
                   THEN 'What closes or opens by time, and what is planned for a time of its own. Times are in UTC.'
                   ELSE 'Nothing: no freeze, no change window, and no request that has a time of its own.' END)
         UNION ALL
        SELECT 2, '["columns", "What"]' || pg_catalog.jsonb_agg(CASE w.number WHEN 0 THEN 'This week'
                   ELSE 'From ' || pg_catalog.to_char(w.begins AT TIME ZONE 'UTC', 'FMDD Mon') END ORDER BY w.number)
          FROM week AS w HAVING EXISTS (SELECT FROM thing)
         UNION ALL
        SELECT 2 + t.place, pg_catalog.jsonb_build_array('heat', t.title) || (
                   SELECT pg_catalog.jsonb_agg(v.word ORDER BY w.number, v.place)
                     FROM week AS w
                     LEFT JOIN cell AS c ON c.kind = t.kind AND c.name = t.name AND c.number = w.number
                    CROSS JOIN LATERAL (VALUES
                          (1, CASE WHEN c.times > 0 THEN t.mark ELSE 'soft' END), (2, CASE WHEN c.times > 0 THEN t.word END),
                          (3, c.span), (4, 'and ' || NULLIF(c.times - 1, 0) || ' more')) AS v (place, word))
          FROM thing AS t
         UNION ALL
        SELECT 2 + pg_catalog.max(r.place), pg_catalog.jsonb_build_array('note', 'Nothing is shown that begins after '
                   || promote_internal.time_words(pg_catalog.max(r.begins)) || ': there is too much of it.')
          FROM seen AS r HAVING pg_catalog.max(r.place) > promote_internal.calendar_most();
    END;
GRANT EXECUTE ON FUNCTION promote_internal.calendar_blocks(text) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.calendar_blocks(text) IS
'The calendar of a project for this week and four more, as blocks of words of a page: a row for each thing that has a time, and a cell for each week. Votes that expire are not among them';
