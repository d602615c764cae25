-- What happened in a project as a page of HTML: here is what is told, as blocks of words, by the rights of whoever asks.

CREATE FUNCTION promote_internal.length_words(length interval) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT pg_catalog.trim_scale(pg_catalog.round(EXTRACT(epoch FROM $1) / u.seconds, 1)) || ' ' || u.name
          FROM (VALUES ('s', 1), ('min', 60), ('h', 3600), ('days', 86400)) AS u (name, seconds)
         WHERE EXTRACT(epoch FROM $1) >= u.seconds OR u.seconds = 1
         ORDER BY u.seconds DESC LIMIT 1;
    END;
GRANT EXECUTE ON FUNCTION promote_internal.length_words(interval) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.length_words(interval) IS
'How long something took, in the largest unit that it has one of: 90 s are 1.5 min';

CREATE FUNCTION promote_internal.outcome_words(completed bigint, failed bigint) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN $1 || ' completed' || CASE WHEN $2 > 0 THEN ', ' || $2 || ' failed' ELSE '' END;
GRANT EXECUTE ON FUNCTION promote_internal.outcome_words(bigint, bigint) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.outcome_words(bigint, bigint) IS
'What became of deployments, in words';

-- The metrics of an environment, as pictures and as words. An environment is a line of its own, and so is a metric; both
-- have a bar for each day, week or month.
CREATE FUNCTION promote_internal.history_figures(of_project text, since timestamptz, until timestamptz, of_environment text)
    RETURNS TABLE (section integer, place bigint, inner_place bigint, words jsonb)
    LANGUAGE sql STABLE ROWS 200
    BEGIN ATOMIC
        WITH period AS MATERIALIZED (
            -- in numbers, for all the time that there is exceeds an interval
            SELECT CASE WHEN s.days <= 62 THEN 'day' WHEN s.days <= 500 THEN 'week' ELSE 'month' END AS name
              FROM (SELECT (EXTRACT(epoch FROM $3) - EXTRACT(epoch FROM $2)) / 86400) AS s (days)
        ), step AS MATERIALIZED (
            -- the newest, as many as there is room for
            SELECT g.begins, pg_catalog.row_number() OVER (ORDER BY g.begins) AS place,
                   pg_catalog.to_char(g.begins, CASE p.name WHEN 'month' THEN 'YYYY-MM' ELSE 'YYYY-MM-DD' END) AS label
              FROM period AS p
             CROSS JOIN LATERAL (
                   SELECT g.begins
                     FROM pg_catalog.generate_series(
                              GREATEST(pg_catalog.date_trunc(p.name, $2),
                                       pg_catalog.date_trunc(p.name, $3) - 400 * ('1 ' || p.name)::interval),
                              $3 - interval '1 microsecond', ('1 ' || p.name)::interval) AS g (begins)
                    ORDER BY g.begins DESC LIMIT 400) AS g
        ), metric AS MATERIALIZED (
            SELECT m.metric, m.value, m.measured, m.band, m.place,
                   CASE WHEN m.band IN ('elite', 'high') THEN 'good' WHEN m.band = 'medium' THEN 'warn' ELSE 'bad' END AS mark
              FROM promote.dora_summary($1, $4, $2, $3) WITH ORDINALITY AS m (metric, value, band, measured, place)
        ), deployed AS MATERIALIZED (
            SELECT d.environment, d.begins, d.deployments, d.failed
              FROM period AS p
             CROSS JOIN LATERAL promote.dora_deployments($1, $2, $3, p.name) AS d
             WHERE d.environment IS NOT NULL AND d.component IS NULL
        ), lane AS MATERIALIZED (
            SELECT d.environment, pg_catalog.sum(d.deployments)::bigint AS completed, pg_catalog.sum(d.failed)::bigint AS failed,
                   pg_catalog.row_number() OVER (ORDER BY d.environment <> $4,
                       pg_catalog.sum(d.deployments + d.failed) DESC, d.environment) AS place
              FROM deployed AS d
             GROUP BY d.environment
        ), figure AS MATERIALIZED (
            SELECT 1 AS plot, d.begins, d.deployments::numeric AS value, d.deployments::text AS said
              FROM deployed AS d WHERE d.environment = $4
             UNION ALL
            SELECT 2, l.begins, EXTRACT(epoch FROM l.median), promote_internal.length_words(l.median)
              FROM period AS p CROSS JOIN LATERAL promote.dora_lead_time($1, $2, $3, p.name) AS l
             WHERE l.environment = $4 AND l.component IS NULL
             UNION ALL
            SELECT 3, r.begins, r.rate, pg_catalog.trim_scale(pg_catalog.round(100 * r.rate, 1)) || ' %'
              FROM period AS p CROSS JOIN LATERAL promote.dora_change_failure_rate($1, $2, $3, p.name) AS r
             WHERE r.environment = $4 AND r.component IS NULL
             UNION ALL
            SELECT 4, t.begins, EXTRACT(epoch FROM t.median), promote_internal.length_words(t.median)
              FROM period AS p CROSS JOIN LATERAL promote.dora_time_to_restore($1, $2, $3, p.name) AS t
             WHERE t.environment = $4 AND t.component IS NULL
        )
        SELECT 1, 0::bigint, 0::bigint, CASE WHEN pg_catalog.count(*) = 0
                   THEN pg_catalog.jsonb_build_array('state', 'soft', 'Nothing was deployed to ', $4, ' in this time')
                   ELSE pg_catalog.jsonb_build_array('state',
                       (pg_catalog.array_agg(b.mark ORDER BY pg_catalog.array_position('{bad,warn,good}', b.mark)))[1], '', $4,
                       ' is ' || pg_catalog.string_agg(b.band || ' in ' || b.metrics, '; '
                                     ORDER BY pg_catalog.array_position('{elite,high,medium,low}', b.band))) END
          FROM (SELECT m.band, m.mark, pg_catalog.string_agg(m.metric, ', ' ORDER BY m.place) AS metrics
                  FROM metric AS m GROUP BY m.band, m.mark) AS b
         UNION ALL
        SELECT 1, m.place, 0, pg_catalog.jsonb_build_array('tile', m.mark, pg_catalog.initcap(pg_catalog.left(m.metric, 1))
                   || pg_catalog.substr(m.metric, 2),
                   CASE WHEN m.metric IN ('lead time', 'time to restore') THEN promote_internal.length_words(m.value::interval)
                        ELSE m.value END, m.band,
                   'of ' || m.measured || CASE m.metric WHEN 'lead time' THEN ' change' WHEN 'time to restore' THEN ' failure'
                                          ELSE ' deployment' END || CASE m.measured WHEN 1 THEN '' ELSE 's' END)
          FROM metric AS m
         UNION ALL
        SELECT 2, 0, 0, pg_catalog.jsonb_build_array('heading', 'How well it goes: ', $4) WHERE EXISTS (SELECT FROM figure)
         UNION ALL
        SELECT 2, t.plot, 0, pg_catalog.jsonb_build_array('plot', t.title || ' by the ' || p.name)
          FROM period AS p
         CROSS JOIN (VALUES (1, 'Deployments'), (2, 'Lead time, median,'), (3, 'Change failure rate'), (4, 'Time to restore, median,'))
               AS t (plot, title)
         WHERE EXISTS (SELECT FROM figure)
         UNION ALL
        SELECT 2, t.plot, s.place, pg_catalog.jsonb_build_array('bar', s.label, f.value::text, f.said)
          FROM pg_catalog.generate_series(1, 4) AS t (plot)
         CROSS JOIN step AS s
          LEFT JOIN figure AS f ON f.plot = t.plot AND f.begins = s.begins
         WHERE EXISTS (SELECT FROM figure)
         UNION ALL
        SELECT 2, 5, v.place, v.words
          FROM period AS p
         CROSS JOIN LATERAL (VALUES
               (0, pg_catalog.jsonb_build_array('fold', 'The numbers')),
               (1, pg_catalog.jsonb_build_array('columns', pg_catalog.initcap(p.name) || '*', 'Deployments*', 'Lead time*',
                       'Failure rate*', 'Time to restore*')),
               (9000000000, pg_catalog.jsonb_build_array('unfold'))) AS v (place, words)
         WHERE EXISTS (SELECT FROM figure)
         UNION ALL
        SELECT 2, 5, 1000 - s.place, pg_catalog.jsonb_build_array('row', s.label) || pg_catalog.jsonb_agg(f.said ORDER BY t.plot)
          FROM step AS s
         CROSS JOIN pg_catalog.generate_series(1, 4) AS t (plot)
          LEFT JOIN figure AS f ON f.plot = t.plot AND f.begins = s.begins
         GROUP BY s.label, s.place
        HAVING pg_catalog.count(f.said) > 0
         UNION ALL
        SELECT 3, 0, 0, pg_catalog.jsonb_build_array('heading', 'Where and when') WHERE EXISTS (SELECT FROM lane)
         UNION ALL
        SELECT 3, l.place, 0, pg_catalog.jsonb_build_array('strip', '', l.environment, ': '
                   || promote_internal.outcome_words(l.completed, l.failed))
          FROM lane AS l WHERE l.place <= 30
         UNION ALL
        SELECT 3, l.place, s.place, pg_catalog.jsonb_build_array('bar', s.label, (d.deployments + d.failed)::text,
                   promote_internal.outcome_words(d.deployments, d.failed), CASE WHEN d.failed > 0 THEN 'bad' ELSE 'good' END)
          FROM lane AS l
         CROSS JOIN step AS s
          LEFT JOIN deployed AS d ON d.environment = l.environment AND d.begins = s.begins
         WHERE l.place <= 30
         UNION ALL
        SELECT 3, 1000, v.place, v.words
          FROM period AS p
         CROSS JOIN LATERAL (SELECT pg_catalog.count(*) - 30 AS more FROM lane) AS l
         CROSS JOIN LATERAL (VALUES
               (0, pg_catalog.jsonb_build_array('note', 'A mark is a ' || p.name || ' on which something was deployed; one that is red'
                       || ' and twice as high, a ' || p.name || ' on which something failed.'
                       || CASE WHEN l.more > 0 THEN ' ' || l.more || ' more environments are in the numbers.' ELSE '' END)),
               (1, pg_catalog.jsonb_build_array('fold', 'The numbers')),
               (2, pg_catalog.jsonb_build_array('columns', pg_catalog.initcap(p.name) || '*', 'Environment', 'Completed*', 'Failed*')),
               (9000000000, pg_catalog.jsonb_build_array('unfold'))) AS v (place, words)
         WHERE EXISTS (SELECT FROM lane)
         UNION ALL
        SELECT 3, 1000, 2 + pg_catalog.row_number() OVER (ORDER BY s.place DESC, l.place),
               pg_catalog.jsonb_build_array('row', s.label, d.environment, d.deployments::text, d.failed::text)
          FROM deployed AS d
          JOIN lane AS l ON l.environment = d.environment
          JOIN step AS s ON s.begins = d.begins;
    END;
GRANT EXECUTE ON FUNCTION promote_internal.history_figures(text, timestamptz, timestamptz, text) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.history_figures(text, timestamptz, timestamptz, text) IS
'How well an environment goes, and when something was deployed to each, as blocks of words for promote.history_html';

CREATE FUNCTION promote_internal.history_events(of_project text, since timestamptz, until timestamptz)
    RETURNS TABLE (section integer, place bigint, inner_place bigint, words jsonb)
    LANGUAGE sql STABLE ROWS 300
    BEGIN ATOMIC
        WITH event AS MATERIALIZED (
            SELECT e.at, e.words, pg_catalog.row_number() OVER (ORDER BY e.at DESC, e.words) AS place,
                   pg_catalog.to_char(e.at, 'YYYY-MM-DD') AS day
              FROM (SELECT d.*
                      FROM (SELECT d.finished_at AS at, pg_catalog.jsonb_build_array('event',
                                       CASE d.outcome WHEN 'COMPLETED' THEN 'good' WHEN 'FAILED' THEN 'bad' ELSE 'warn' END,
                                       pg_catalog.to_char(d.finished_at, 'HH24:MI'), COALESCE(d.message, d.change_message),
                                       CASE d.action WHEN 'PROVISION' THEN 'Deployment ' ELSE 'Decommissioning ' END || d.deployment || ' of ',
                                       d.instance, ' ' || pg_catalog.lower(d.outcome)
                                       || COALESCE(' in ' || promote_internal.length_words(d.duration), '') || ': ',
                                       d.reason,
                                       CASE WHEN d.reason IS NULL THEN '' ELSE '; ' END || 'revision '
                                       || COALESCE(NULLIF(d.previous_revision, d.revision) || ' -> ', '') || d.revision || ', ',
                                       d.bundle || ' ' || COALESCE(NULLIF(d.previous_version, d.version) || ' -> ', '') || d.version,
                                       ', ' || d.changes || CASE d.changes WHEN 1 THEN ' change' ELSE ' changes' END || ', asked for by ',
                                       d.actor,
                                       CASE WHEN d.approved_by IS NULL THEN '' ELSE ', approved by ' END,
                                       pg_catalog.array_to_string(d.approved_by, ', '),
                                       CASE WHEN d.overridden IS NULL THEN '' ELSE ', overriding ' END,
                                       pg_catalog.array_to_string(d.overridden, ', '),
                                       CASE WHEN d.request IS NULL THEN '' ELSE ', by request ' || d.request END
                                       || CASE WHEN d.ticket IS NULL THEN '' ELSE ', ticket ' END, d.ticket) AS words
                              FROM promote.deployment_history AS d
                             WHERE d.project = $1 AND d.finished_at >= $2 AND d.finished_at < $3
                             ORDER BY d.finished_at DESC LIMIT 300) AS d
                     UNION ALL
                    SELECT c.at, pg_catalog.jsonb_build_array('event', 'soft', pg_catalog.to_char(c.at, 'HH24:MI'), c.message,
                               o.verb, pg_catalog.concat_ws('-', c.project, c.environment, c.component),
                               ': revision ' || c.revision || CASE WHEN c.source IS NULL THEN '' ELSE ', from ' END, c.source,
                               COALESCE(' revision ' || c.source_revision, '')
                               || COALESCE(', ' || c.changes || CASE c.changes WHEN 1 THEN ' change' ELSE ' changes' END, '') || ', by ',
                               c.actor)
                      FROM ((SELECT c.* FROM promote_internal.change AS c
                              WHERE c.project = $1 AND c.origin = 'promotion' AND c.at >= $2 AND c.at < $3
                              ORDER BY c.at DESC LIMIT 300)
                             UNION ALL
                            (SELECT c.* FROM promote_internal.change AS c
                              WHERE c.project = $1 AND c.origin <> 'promotion' AND c.at >= $2 AND c.at < $3
                              ORDER BY c.at DESC LIMIT 300)) AS c
                      JOIN (VALUES ('edit', 'Edited '), ('promotion', 'Promoted to '), ('fork', 'Forked to '),
                                   ('rollback', 'Rolled back '), ('adoption', 'Adopted the drift of '), ('merge', 'Merged into '))
                           AS o (origin, verb) ON o.origin = c.origin) AS e
             ORDER BY e.at DESC, e.words LIMIT 300
        ), total AS MATERIALIZED (
            SELECT (SELECT pg_catalog.count(*) FROM promote.deployment AS d
                     WHERE d.project = $1 AND d.action <> 'PLAN' AND d.finished_at >= $2 AND d.finished_at < $3) AS deployments,
                   (SELECT pg_catalog.count(*) FROM promote.revision AS r
                     WHERE r.project = $1 AND r.origin = 'promotion' AND r.created_at >= $2 AND r.created_at < $3)
                   + (SELECT pg_catalog.count(*) FROM promote.revision AS r
                       WHERE r.project = $1 AND r.origin <> 'promotion' AND r.created_at >= $2 AND r.created_at < $3) AS changes
        )
        SELECT 4, v.place, 0::bigint, v.words
          FROM total AS t
         CROSS JOIN LATERAL (VALUES
               (0::bigint, pg_catalog.jsonb_build_array('heading', 'What happened')),
               (0, pg_catalog.jsonb_build_array('text', t.deployments || CASE t.deployments WHEN 1 THEN ' deployment' ELSE ' deployments' END
                   || ' came to an end, and ' || t.changes || CASE t.changes WHEN 1 THEN ' change was' ELSE ' changes were' END || ' made.'
                   || CASE WHEN t.deployments + t.changes > 300
                           THEN ' The newest 300 are shown, ' || t.deployments + t.changes - 300 || ' are left out.' ELSE '' END))
             ) AS v (place, words)
         UNION ALL
        SELECT 4, e.place, 2, e.words FROM event AS e
         UNION ALL
        SELECT 4, e.place, 1, pg_catalog.jsonb_build_array('part', e.day)
          FROM (SELECT e.place, e.day, pg_catalog.lag(e.day) OVER (ORDER BY e.place) AS before FROM event AS e) AS e
         WHERE e.day IS DISTINCT FROM e.before OR e.place = 21
         UNION ALL
        -- what is old is shown on request
        SELECT 4, v.place, 0, v.words
          FROM (SELECT pg_catalog.count(*) - 20 AS more FROM event) AS n
         CROSS JOIN LATERAL (VALUES (21::bigint, pg_catalog.jsonb_build_array('fold', n.more || ' earlier')),
                                    (1000, pg_catalog.jsonb_build_array('unfold'))) AS v (place, words)
         WHERE n.more > 0;
    END;
GRANT EXECUTE ON FUNCTION promote_internal.history_events(text, timestamptz, timestamptz) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.history_events(text, timestamptz, timestamptz) IS
'What happened in a project, the newest 300 deployments and changes, as blocks of words for promote.history_html';

CREATE FUNCTION promote_internal.history_people(of_project text, since timestamptz, until timestamptz)
    RETURNS TABLE (section integer, place bigint, inner_place bigint, words jsonb)
    LANGUAGE sql STABLE ROWS 50
    BEGIN ATOMIC
        WITH done AS MATERIALIZED (
            SELECT d.environment, d.component, d.deployment, d.action, d.status, d.bundle, d.version, d.previous_version, d.actor,
                   d.approved_by, d.finished_at, d.gates
              FROM promote.deployment AS d
             WHERE d.project = $1 AND d.action <> 'PLAN' AND d.finished_at >= $2 AND d.finished_at < $3
        ), vote AS MATERIALIZED (
            -- a vote counts once, however many deployments it was counted for
            SELECT DISTINCT d.environment, d.component, v.vote, CASE WHEN v.vote IS NULL THEN d.deployment END AS deployment,
                   COALESCE(v.actor, d.approved_by) AS actor
              FROM done AS d
              LEFT JOIN LATERAL promote_internal.counted_votes(d.gates) AS v ON true
             WHERE COALESCE(v.actor, d.approved_by) IS NOT NULL
        ), override AS MATERIALIZED (
            SELECT DISTINCT ON (d.environment, d.component, g.deployment, g.code, g.override)
                   d.environment, d.component, g.code, g.message, o.actor, o.reason, o.created_at
              FROM done AS d
             CROSS JOIN LATERAL promote_internal.overridden_gates(d.gates) AS g
             CROSS JOIN LATERAL (
                   SELECT o.actor, o.reason, o.created_at FROM promote.gate_override AS o
                    WHERE o.project = $1 AND o.environment = d.environment AND o.component = d.component
                      AND o.deployment = g.deployment AND o.code = g.code AND o.override = g.override LIMIT 1) AS o
             ORDER BY d.environment, d.component, g.deployment, g.code, g.override, g.place
        ), person AS MATERIALIZED (
            SELECT w.actor, pg_catalog.row_number() OVER (ORDER BY pg_catalog.count(*) DESC, w.actor) AS place,
                   pg_catalog.count(*) FILTER (WHERE w.what = 1) AS changes,
                   pg_catalog.count(*) FILTER (WHERE w.what = 2) AS deployments,
                   pg_catalog.count(*) FILTER (WHERE w.what = 3) AS approvals,
                   pg_catalog.count(*) FILTER (WHERE w.what = 4) AS overrides
              FROM (SELECT r.actor, 1 AS what FROM promote.revision AS r
                     WHERE r.project = $1 AND r.origin = 'promotion' AND r.created_at >= $2 AND r.created_at < $3
                     UNION ALL
                    SELECT r.actor, 1 FROM promote.revision AS r
                     WHERE r.project = $1 AND r.origin <> 'promotion' AND r.created_at >= $2 AND r.created_at < $3
                     UNION ALL
                    SELECT d.actor, 2 FROM done AS d
                     UNION ALL
                    SELECT v.actor, 3 FROM vote AS v
                     UNION ALL
                    SELECT o.actor, 4 FROM override AS o) AS w
             GROUP BY w.actor
        ), release AS MATERIALIZED (
            SELECT d.bundle, d.version, d.environment, pg_catalog.count(*) AS deployments,
                   pg_catalog.min(d.finished_at) AS first, pg_catalog.max(d.finished_at) AS last,
                   pg_catalog.row_number() OVER (ORDER BY pg_catalog.max(d.finished_at) DESC, d.bundle, d.version, d.environment) AS place
              FROM done AS d
             WHERE d.action = 'PROVISION' AND d.status = 'COMPLETED' AND d.version IS DISTINCT FROM d.previous_version
             GROUP BY d.bundle, d.version, d.environment
        ), listed (section, place, words) AS (
            SELECT 5, p.place, pg_catalog.jsonb_build_array('row', p.actor, p.changes::text, p.deployments::text, p.approvals::text,
                       p.overrides::text)
              FROM person AS p
             UNION ALL
            SELECT 6, pg_catalog.row_number() OVER (ORDER BY o.created_at DESC, o.code, o.environment, o.component),
                   pg_catalog.jsonb_build_array('row', promote_internal.time_words(o.created_at), o.code,
                       pg_catalog.concat_ws('-', $1, o.environment, o.component), o.message, o.actor, o.reason)
              FROM override AS o
             UNION ALL
            SELECT 7, r.place, pg_catalog.jsonb_build_array('row', r.bundle || ' ' || r.version, r.environment, r.deployments::text,
                       promote_internal.time_words(r.first), promote_internal.time_words(r.last))
              FROM release AS r
        )
        SELECT h.section, v.place, 0::bigint, v.words
          FROM (VALUES (5, 'Who did what', '["columns", "Who", "Changes*", "Deployments*", "Approvals*", "Overrides*"]'::jsonb),
                       (6, 'Gates that were overridden', '["columns", "When*", "Gate", "Instance", "What was in the way", "Who", "Why"]'),
                       (7, 'Releases that were brought', '["columns", "Release", "Environment", "Deployments*", "First*", "Last*"]'))
               AS h (section, title, columns)
         CROSS JOIN LATERAL (SELECT pg_catalog.count(*) AS rows FROM listed AS l WHERE l.section = h.section) AS n
         CROSS JOIN LATERAL (VALUES (-1, pg_catalog.jsonb_build_array('heading', h.title)), (0, h.columns),
                                    (101, CASE WHEN n.rows > 100 THEN pg_catalog.jsonb_build_array('note',
                                                    n.rows - 100 || ' more are left out.') END)) AS v (place, words)
         WHERE n.rows > 0 AND v.words IS NOT NULL
         UNION ALL
        SELECT l.section, l.place, 0, l.words FROM listed AS l WHERE l.place <= 100;
    END;
GRANT EXECUTE ON FUNCTION promote_internal.history_people(text, timestamptz, timestamptz) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.history_people(text, timestamptz, timestamptz) IS
'Who did what in a project, what was overridden and why, and which releases were brought where, as blocks of words for promote.history_html';

-- Days are those of UTC, as all times on pages are.
CREATE FUNCTION promote_internal.history_blocks(
    of_project text, since timestamptz, until timestamptz, of_environment text) RETURNS jsonb
    LANGUAGE sql STABLE SET TimeZone = 'UTC'
    BEGIN ATOMIC
        SELECT pg_catalog.jsonb_agg(b.words ORDER BY b.section, b.place, b.inner_place) FROM (
            SELECT 0, 0::bigint, 0::bigint, pg_catalog.jsonb_build_array('title', 'History of ', $1)
             UNION ALL
            SELECT 0, 1, 0, pg_catalog.jsonb_build_array('note', promote_internal.time_words($2) || ' to ' || promote_internal.time_words($3))
             UNION ALL
            SELECT f.section, f.place, f.inner_place, f.words FROM promote_internal.history_figures($1, $2, $3, $4) AS f
             UNION ALL
            SELECT e.section, e.place, e.inner_place, e.words FROM promote_internal.history_events($1, $2, $3) AS e
             UNION ALL
            SELECT p.section, p.place, p.inner_place, p.words FROM promote_internal.history_people($1, $2, $3) AS p
             UNION ALL
            SELECT 9, 0, 0, promote_internal.page_note()
        ) AS b (section, place, inner_place, words);
    END;
GRANT EXECUTE ON FUNCTION promote_internal.history_blocks(text, timestamptz, timestamptz, text) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.history_blocks(text, timestamptz, timestamptz, text) IS
'What promote.history_html tells of a project, as blocks of words';

CREATE FUNCTION promote.history_html(
    project text, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL, environment text DEFAULT 'production')
    RETURNS text
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    BEGIN ATOMIC
        SELECT promote_internal.html_page(promote_internal.page_style(), promote_internal.history_blocks(
                   $1, s.since, s.until, COALESCE($4, 'production')))
          FROM (SELECT COALESCE($2, promote_internal.dora_until($3) - interval '30 days') AS since,
                       promote_internal.dora_until($3) AS until) AS s
         WHERE promote_internal.dora_asked($1, s.since, s.until, 'day');
    END;
REVOKE ALL ON FUNCTION promote.history_html(text, timestamptz, timestamptz, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.history_html(text, timestamptz, timestamptz, text) IS
'What happened in a project in a span of time, the last 30 days where none is named, as a page of HTML, by the rights of whoever asks: how well an environment goes, when something was deployed to each, deployments and changes, who did what, which gates were overridden and why, and which releases were brought where';
