-- Pages of HTML: here is what is told, as blocks of words, by the rights of whoever asks; src/page/html.c writes them.

CREATE FUNCTION promote_internal.page_style() RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN $css$
:root{color-scheme:light dark;--paper:#fff;--ink:#1b2430;--soft:#5a6675;--line:#d9dfe6;--band:#f4f6f9;--link:#0b5cad;
--good:#146c2e;--good-band:#e3f4e8;--warn:#7a4b00;--warn-band:#fdf0d5;--bad:#a3181d;--bad-band:#fde7e7;--new:#146c2e;--old:#a3181d}
@media screen and (prefers-color-scheme:dark){:root{--paper:#12171e;--ink:#e5eaf0;--soft:#9aa7b6;--line:#2c3541;--band:#1a212b;--link:#7db8ff;
--good:#7fd897;--good-band:#14301d;--warn:#f0c069;--warn-band:#362a10;--bad:#ff9a9a;--bad-band:#3b1a1c;--new:#7fd897;--old:#ff9a9a}}
*{box-sizing:border-box}
html{font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif;background:var(--paper);color:var(--ink)}
body{margin:0 auto;padding:1.5rem 1rem 3rem;max-width:68rem}
h1{font-size:1.6rem;line-height:1.25;margin:0 0 .25rem;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:2rem 0 .5rem;padding-bottom:.25rem;border-bottom:1px solid var(--line)}
h3{font-size:1rem;margin:1rem 0 .25rem}
p{margin:.5rem 0}
a{color:var(--link)}
a:focus-visible,summary:focus-visible,pre:focus-visible,.scroll:focus-visible{outline:2px solid var(--link);outline-offset:2px}
.soft{color:var(--soft)}
i,em{font-style:normal}
.state{display:flex;gap:.6rem;align-items:baseline;margin:1rem 0;padding:.7rem 1rem;border-left:.35rem solid;border-radius:.25rem;font-weight:600}
.state b{font-weight:700}
.state.good{background:var(--good-band);color:var(--good)}.state.warn{background:var(--warn-band);color:var(--warn)}
.state.bad{background:var(--bad-band);color:var(--bad)}.state.soft{background:var(--band)}
ul,ol{list-style:none;margin:.5rem 0;padding:0}
li{margin:.15rem 0;overflow-wrap:anywhere}
p:not([class])+ul:not([class]){margin:0 0 .75rem 1.25rem;font-size:.92rem}
li>span{color:var(--soft)}ul:not(.tiles)>li.bad,ul:not(.tiles)>li.bad>span{color:var(--bad);font-weight:600}
li>b,p b{font-weight:500;overflow-wrap:anywhere}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,10rem),1fr));gap:.75rem;margin:1rem 0}
.tiles li{margin:0;padding:.6rem .8rem;border:1px solid var(--line);border-left:.25rem solid;border-radius:.25rem;color:var(--ink)}
.tiles span,.tiles b,.tiles em{display:block}
.tiles span{font-size:.85rem}.tiles b{font-size:1.5rem;line-height:1.3;font-weight:600}.tiles em{font-weight:600}
.tiles .good{border-left-color:var(--good)}.tiles .warn{border-left-color:var(--warn)}.tiles .bad{border-left-color:var(--bad)}
.good em,.events .good i{color:var(--good)}.warn em,.events .warn i{color:var(--warn)}.bad em,.events .bad i{color:var(--bad)}
.events li{display:grid;grid-template-columns:auto 1.75rem 1fr;margin:0;padding:.3rem 0}
.events i{text-align:center}.events time{color:var(--soft);font-variant-numeric:tabular-nums}
.events p{margin:0}.events span{color:var(--soft)}.events b{color:var(--ink);font-weight:600}
q{display:block;color:var(--ink);font-style:italic;overflow-wrap:anywhere}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.92rem}
th,td{text-align:left;vertical-align:top;padding:.4rem .6rem;border-bottom:1px solid var(--line)}
th{color:var(--soft);font-weight:600}
td,tbody th{overflow-wrap:anywhere}
td{min-width:7rem}
td.ours,td:empty{min-width:0;overflow-wrap:break-word}
td.time{min-width:7.75rem}
td.long{min-width:14rem}
tbody th{color:var(--ink);font-weight:400;min-width:11.5rem}
td.old,td.new,code,pre,tbody th{font-family:ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.85rem}
td.old{color:var(--old);text-decoration:line-through;text-decoration-thickness:1px}td.new{color:var(--new)}
td.heat{font-size:.85rem;min-width:9rem;border-left:2px solid var(--paper)}
td.heat b,td.heat span{display:block}td.heat b{font-weight:600}
td.soft{background:var(--band)}td.good{background:var(--good-band)}td.warn{background:var(--warn-band)}td.bad{background:var(--bad-band)}
td.good b{color:var(--good)}td.warn b{color:var(--warn)}td.bad b{color:var(--bad)}
.tag{display:inline-block;padding:0 .45rem;border-radius:.6rem;font-size:.78rem;font-weight:600;white-space:nowrap;border:1px solid}
.tag.bad{background:var(--bad-band);color:var(--bad)}.tag.soft{background:var(--band)}
details{margin:.5rem 0}td details{margin:0}td details[open]{min-width:18rem}
summary{cursor:pointer;color:var(--link)}
pre{background:var(--band);border:1px solid var(--line);border-radius:.4rem;padding:.7rem 1rem;overflow-x:auto;white-space:pre-wrap;overflow-wrap:anywhere}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,22rem),1fr));gap:1.25rem 2rem;margin:1rem 0}
figure{margin:0;min-width:0}figure.wide{grid-column:1/-1}
figcaption{font-size:.92rem;font-weight:600;overflow-wrap:anywhere}.wide figcaption{font-weight:400}.wide b{font-weight:600}
.figures+.soft{margin-top:-.5rem;font-size:.85rem}
svg{display:block}
svg text{font:13px system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:var(--ink)}
svg .soft{fill:var(--soft)}
svg .node rect{fill:var(--band);stroke:var(--line)}
svg .node.good rect{stroke:var(--good)}svg .node.warn rect{stroke:var(--warn)}svg .node.bad rect{stroke:var(--bad)}
svg .name{font-weight:600;font-size:14px}
svg text.good{fill:var(--good)}svg text.warn{fill:var(--warn)}svg text.bad{fill:var(--bad)}
svg path{fill:none;stroke:var(--soft);stroke-width:1.5}svg path.bad{stroke:var(--bad);stroke-dasharray:5 4}
svg marker path{fill:var(--soft);stroke:none}
svg line{stroke:var(--line)}
.plot text,.strip text{font-size:12px;font-variant-numeric:tabular-nums}
.plot rect{fill:var(--link)}.strip .good rect{fill:var(--good)}.strip .bad rect{fill:var(--bad)}
@media(max-width:40rem){
body{padding:1rem .75rem 2rem}
thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
tbody tr{display:grid;padding:.5rem 0;border-bottom:1px solid var(--line)}
td details[open]{min-width:0}
tbody th,tbody td{display:block;min-width:0;padding:.15rem 0;border:0}
tbody th{order:-1;font-weight:600}
tbody td{position:relative;padding-left:7.5rem;min-height:1.7rem}
tbody td:empty{display:none}
tbody td::before{content:attr(data-of);position:absolute;left:0;width:7rem;font:600 .85rem/1.6 system-ui,"DejaVu Sans",sans-serif;color:var(--soft)}
tbody td.heat{border:0;padding-left:8rem;margin-top:2px}tbody td.heat::before{left:.5rem}
}
@media print{
:root{color-scheme:light}
body{max-width:none;padding:0}
main>details::details-content{content-visibility:visible;block-size:auto}
.state,.tag,.tiles li,td,rect{print-color-adjust:exact;-webkit-print-color-adjust:exact}
h2,h3{break-after:avoid}tr,li,figure{break-inside:avoid}
}
$css$;
GRANT EXECUTE ON FUNCTION promote_internal.page_style() TO PUBLIC;
COMMENT ON FUNCTION promote_internal.page_style() IS
'How pages look: on paper, on a phone, light and dark as the reader''s system is';

CREATE FUNCTION promote_internal.html_page(style text, blocks jsonb) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_html_page';
GRANT EXECUTE ON FUNCTION promote_internal.html_page(text, jsonb) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.html_page(text, jsonb) IS
'Blocks of words as a page of HTML that loads nothing; the first block is its title';

CREATE FUNCTION promote_internal.page_project(project text, found text) RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_page_project';
GRANT EXECUTE ON FUNCTION promote_internal.page_project(text, text) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.page_project(text, text) IS
'A project that was found; PM002 where none was, NULL, or the asker does not see it';

CREATE FUNCTION promote_internal.page_note() RETURNS jsonb
    LANGUAGE sql STABLE
    RETURN pg_catalog.jsonb_build_array('note', 'As ', CASE pg_catalog.current_setting('role')
                                           WHEN 'none' THEN SESSION_USER::text ELSE pg_catalog.current_setting('role') END, ' sees it, '
        || promote_internal.time_words(pg_catalog.now()) || '. Sensitive values are masked.');
GRANT EXECUTE ON FUNCTION promote_internal.page_note() TO PUBLIC;
COMMENT ON FUNCTION promote_internal.page_note() IS
'The last block of a page: whose rights it was made by, and when';

CREATE FUNCTION promote_internal.pipeline_blocks(of_project text) RETURNS jsonb
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        WITH graph AS MATERIALIZED (
            SELECT g.* FROM promote_internal.pipeline_graph($1) AS g
        ), cell AS MATERIALIZED (
            SELECT c.*, COALESCE(c.releases_behind, 0) + COALESCE(c.leaves_behind, 0) AS behind,
                   CASE WHEN c.status IN ('failed', 'drifted') THEN 'bad'
                        WHEN c.status IN ('never_deployed', 'decommissioned') THEN 'soft'
                        WHEN c.status <> 'in_sync' OR c.releases_behind > 0 OR c.leaves_behind > 0 THEN 'warn'
                        ELSE 'good' END AS mark
              FROM graph AS g
             CROSS JOIN pg_catalog.jsonb_to_recordset(g.cells) AS c (
                   component text, environment text, status text, version text, releases_behind integer, leaves_behind integer)
        ), stage AS MATERIALIZED (
            -- in the order in which things are promoted
            SELECT n.environment, n.place, pg_catalog.count(c.component) AS instances,
                   pg_catalog.count(*) FILTER (WHERE c.status = 'in_sync') AS in_sync,
                   pg_catalog.count(*) FILTER (WHERE c.behind > 0) AS behind,
                   COALESCE((pg_catalog.array_agg(c.mark ORDER BY pg_catalog.array_position('{bad,warn,good,soft}', c.mark)))[1], 'soft')
                       AS mark
              FROM (SELECT g.nodes[2 * n.place - 1] AS environment, n.place
                      FROM graph AS g CROSS JOIN pg_catalog.generate_series(1, pg_catalog.cardinality(g.nodes) / 2) AS n (place)) AS n
              LEFT JOIN cell AS c ON c.environment = n.environment
             GROUP BY n.environment, n.place
        ), path AS MATERIALIZED (
            SELECT e.place, f.environment AS source, t.environment AS destination, g.edges[5 * e.place - 2] AS words,
                   g.edges[5 * e.place - 1] AS blocked, g.edges[5 * e.place] AS why
              FROM graph AS g
             CROSS JOIN pg_catalog.generate_series(1, pg_catalog.cardinality(g.edges) / 5) AS e (place)
              JOIN stage AS f ON f.place = g.edges[5 * e.place - 4]::integer
              JOIN stage AS t ON t.place = g.edges[5 * e.place - 3]::integer
        )
        SELECT pg_catalog.jsonb_agg(b.words ORDER BY b.section, b.place, b.inner_place) FROM (
            SELECT 0, 0::bigint, 0::bigint, pg_catalog.jsonb_build_array('title', 'Pipeline of ', $1)
             UNION ALL
            SELECT 1, 0, 0, pg_catalog.jsonb_build_array('state',
                       CASE WHEN pg_catalog.bool_or(c.mark = 'bad') THEN 'bad' WHEN pg_catalog.bool_or(c.mark = 'warn') THEN 'warn'
                            ELSE 'good' END,
                       pg_catalog.format('%s of %s instances run what they desire, %s are behind what is before them',
                           pg_catalog.count(*) FILTER (WHERE c.status = 'in_sync'), pg_catalog.count(*),
                           pg_catalog.count(*) FILTER (WHERE c.behind > 0)))
              FROM cell AS c
             UNION ALL
            SELECT 2, 0, 0, pg_catalog.jsonb_build_array('heading', 'Paths')
             UNION ALL
            SELECT 2, 1, s.place, pg_catalog.jsonb_build_array('node', s.environment, s.mark,
                       CASE WHEN s.instances > 0 THEN s.in_sync || ' of ' || s.instances || ' in sync' ELSE 'nothing there' END,
                       CASE WHEN s.behind > 0 THEN s.behind || ' behind' WHEN s.instances > 0 THEN 'nothing is behind' END)
              FROM stage AS s
             UNION ALL
            SELECT 2, 2, p.place, pg_catalog.jsonb_build_array('edge', p.source, p.destination,
                       CASE WHEN p.blocked IS NULL THEN 'soft' ELSE 'bad' END)
              FROM path AS p
             UNION ALL
            -- how many may go on, and a line for each reason why others may not
            SELECT 3, p.place, w.place, CASE w.place
                   WHEN 1 THEN pg_catalog.jsonb_build_array('text', 'From ', p.source, ' to ', p.destination, ': ', w.line)
                   ELSE pg_catalog.jsonb_build_array('item', '', w.line) END
              FROM path AS p
             CROSS JOIN LATERAL pg_catalog.string_to_table(pg_catalog.concat_ws(E'\n', p.words, p.why), E'\n') WITH ORDINALITY AS w (line, place)
             UNION ALL
            SELECT 4, 0, 0, pg_catalog.jsonb_build_array('heading', 'What is where')
             UNION ALL
            SELECT 4, 1, 0, '["columns", "Component"]' || pg_catalog.jsonb_agg(s.environment ORDER BY s.place)
              FROM stage AS s HAVING pg_catalog.count(*) > 0
             UNION ALL
            SELECT 4, 2, pg_catalog.row_number() OVER (ORDER BY c.component),
                   pg_catalog.jsonb_build_array('heat', c.component) || c.cells
              FROM (SELECT k.component, (
                        SELECT pg_catalog.jsonb_agg(v.word ORDER BY s.place, v.place)
                          FROM stage AS s
                          LEFT JOIN cell AS c ON c.environment = s.environment AND c.component = k.component
                         CROSS JOIN LATERAL (VALUES
                               (1, c.mark),
                               (2, pg_catalog.replace(c.status, '_', ' ')), (3, c.version),
                               (4, pg_catalog.concat_ws(', ',
                                       NULLIF(c.releases_behind, 0) || CASE c.releases_behind WHEN 1 THEN ' release' ELSE ' releases' END,
                                       NULLIF(c.leaves_behind, 0) || CASE c.leaves_behind WHEN 1 THEN ' setting' ELSE ' settings' END)
                                   || CASE WHEN c.behind > 0 THEN ' behind' ELSE '' END)) AS v (place, word)) AS cells
                      FROM (SELECT DISTINCT c.component FROM cell AS c) AS k) AS c
             UNION ALL
            SELECT 5, 0, 0, pg_catalog.jsonb_build_array('heading', 'Queue')
             UNION ALL
            SELECT 5, 1, 0, v.words
              FROM (SELECT pg_catalog.count(*) AS waiting FROM promote.deployment AS d
                     WHERE d.project = $1 AND d.status IN ('PROPOSED', 'APPROVED', 'PENDING', 'RUNNING')) AS q
             CROSS JOIN LATERAL (VALUES
                   (q.waiting = 0, pg_catalog.jsonb_build_array('text', 'Nothing waits, and nothing runs.')),
                   (q.waiting > 0, '["columns", "Since*", "Instance", "Deployment*", "Status*", "Asked for by", "Why"]')) AS v (holds, words)
             WHERE v.holds
             UNION ALL
            SELECT 5, 2, q.place, pg_catalog.jsonb_build_array('row', promote_internal.time_words(q.created_at), q.name,
                       pg_catalog.lower(q.action) || ' ' || q.deployment, pg_catalog.lower(q.status), q.actor, q.message)
              FROM (SELECT d.created_at, d.action, d.deployment, d.status, d.actor, i.name, COALESCE(d.message, r.message) AS message,
                           pg_catalog.row_number() OVER (ORDER BY d.created_at, i.name) AS place
                      FROM promote.deployment AS d
                      JOIN promote.revision AS r
                        ON r.project = d.project AND r.environment = d.environment AND r.component = d.component AND r.revision = d.revision
                      JOIN promote.instance AS i
                        ON i.project = d.project AND i.environment = d.environment AND i.component = d.component
                     WHERE d.project = $1 AND d.status IN ('PROPOSED', 'APPROVED', 'PENDING', 'RUNNING')
                     ORDER BY d.created_at, i.name LIMIT 1000) AS q
             UNION ALL
            SELECT 6, c.place, 0, c.words FROM promote_internal.calendar_blocks($1) AS c
             UNION ALL
            SELECT 9, 0, 0, promote_internal.page_note()
        ) AS b (section, place, inner_place, words);
    END;
GRANT EXECUTE ON FUNCTION promote_internal.pipeline_blocks(text) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.pipeline_blocks(text) IS
'What promote.pipeline_html tells of a project, as blocks of words';

CREATE FUNCTION promote_internal.audit_blocks(of_subject text) RETURNS jsonb
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        WITH problem AS MATERIALIZED (
            SELECT v.seq, v.problem, pg_catalog.row_number() OVER () AS place FROM promote.verify_audit($1) AS v
        ), link AS MATERIALIZED (
            -- by the key: of any project that there is, or was
            SELECT a.*
              FROM (SELECT '*' UNION SELECT p.project FROM promote.project AS p
                     UNION SELECT pg_catalog.substring($1, '([a-z0-9_]+)(?:-[^ ]*)?$')) AS k (project)
             CROSS JOIN LATERAL (SELECT a.* FROM promote.audit_log AS a WHERE a.project = k.project AND a.subject = $1 OFFSET 0) AS a
        )
        SELECT pg_catalog.jsonb_agg(b.words ORDER BY b.section, b.place) FROM (
            SELECT 0, 0::bigint, pg_catalog.jsonb_build_array('title', 'Audit of ', $1)
             UNION ALL
            SELECT 1, 0, pg_catalog.jsonb_build_array('state', CASE WHEN pg_catalog.count(*) = 0 THEN 'good' ELSE 'bad' END,
                       CASE WHEN pg_catalog.count(*) = 0 THEN 'Verified: the chain is whole, and every row is as it was recorded'
                            ELSE pg_catalog.count(*) || CASE pg_catalog.count(*) WHEN 1 THEN ' problem was' ELSE ' problems were' END || ' found' END)
              FROM problem
             UNION ALL
            SELECT 2, 0, '["columns", "Link*", "Problem"]' FROM problem HAVING pg_catalog.count(*) > 0
             UNION ALL
            SELECT 2, p.place, pg_catalog.jsonb_build_array('row', p.seq::text, p.problem) FROM problem AS p
             UNION ALL
            SELECT 3, 0, pg_catalog.jsonb_build_array('heading', 'The chain')
             UNION ALL
            SELECT 3, 1, pg_catalog.jsonb_build_array('text', pg_catalog.count(*) || ' links, the newest first'
                       || CASE WHEN pg_catalog.count(*) > 1000 THEN ', of which 1000 are shown' ELSE '' END || '.')
              FROM link
             UNION ALL
            SELECT 3, 2, '["columns", "Link*", "When*", "Event", "What", "Who", "Facts+", "Hash*"]'
             UNION ALL
            SELECT 3, 2 + a.place, pg_catalog.jsonb_build_array('row', a.seq::text, promote_internal.time_words(a.at), a.event,
                       promote_internal.event_text(a.event, a.data), a.actor || CASE WHEN a.database_role = a.actor THEN '' ELSE ' as ' || a.database_role END, a.data::text,
                       pg_catalog.left(pg_catalog.encode(a.hash, 'hex'), 12))
              FROM (SELECT l.*, pg_catalog.row_number() OVER (ORDER BY l.seq DESC) AS place FROM link AS l
                     ORDER BY l.seq DESC LIMIT 1000) AS a
             UNION ALL
            SELECT 9, 0, promote_internal.page_note()
        ) AS b (section, place, words);
    END;
GRANT EXECUTE ON FUNCTION promote_internal.audit_blocks(text) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.audit_blocks(text) IS
'What promote.audit_html tells of a subject, as blocks of words';

CREATE FUNCTION promote.pipeline_html(project text) RETURNS text
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    RETURN promote_internal.html_page(promote_internal.page_style(), promote_internal.pipeline_blocks(
        promote_internal.page_project($1, (SELECT p.project::text FROM promote.project AS p WHERE p.project = $1))));
REVOKE ALL ON FUNCTION promote.pipeline_html(text) FROM PUBLIC;
COMMENT ON FUNCTION promote.pipeline_html(text) IS
'A project as a page of HTML, by the rights of whoever asks: paths and what blocks them, what is where and how far behind, what waits, and the calendar of the next weeks';

CREATE FUNCTION promote.audit_html(subject text) RETURNS text
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    RETURN promote_internal.html_page(promote_internal.page_style(), promote_internal.audit_blocks($1));
REVOKE ALL ON FUNCTION promote.audit_html(text) FROM PUBLIC;
COMMENT ON FUNCTION promote.audit_html(text) IS
'The chain of a subject as a page of HTML, with its verification. Takes the grant that promote.verify_audit takes';

CREATE FUNCTION promote_internal.plan_review(
    of_project text, of_environment text, of_component text, of_deployment integer) RETURNS jsonb
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        WITH told AS MATERIALIZED (
            SELECT pg_catalog.jsonb_build_array(b.kind) || pg_catalog.to_jsonb(b.words) AS words, pg_catalog.row_number() OVER () AS place
              FROM promote_internal.plan_blocks($1, $2, $3, $4) AS b
        ), subject AS (
            SELECT pg_catalog.concat_ws('-', $1, $2, $3) AS name WHERE EXISTS (SELECT FROM told)
        ), rehearsal AS MATERIALIZED (
            SELECT a.data, a.actor, a.at
              FROM subject AS s
             CROSS JOIN LATERAL (
                   SELECT a.data, a.actor, a.at FROM promote.audit_log AS a
                    WHERE a.project = $1 AND a.subject = s.name AND a.event = 'rollback.rehearsed'
                    ORDER BY a.project DESC, a.subject DESC, a.seq DESC LIMIT 1) AS a
        )
        SELECT pg_catalog.jsonb_agg(b.words ORDER BY b.section, b.place) FROM (
            SELECT 1, b.place, b.words FROM told AS b
             UNION ALL
            SELECT 2, 0, pg_catalog.jsonb_build_array('heading', 'The way back') FROM subject
             UNION ALL
            SELECT 2, 1, pg_catalog.jsonb_build_array('item', 'Rehearsed by ', r.actor, ' at ' || promote_internal.time_words(r.at)
                       || COALESCE(': to revision ' || (r.data ->> 'to_revision'), '') || ', ' || (r.data ->> 'changes') || ' changes'
                       || CASE WHEN r.data -> 'obstacles' = '[]' THEN ', nothing in its way' ELSE ', refused for ' END,
                       (SELECT pg_catalog.string_agg(o, ', ') FROM pg_catalog.jsonb_array_elements_text(r.data -> 'obstacles') AS o))
              FROM rehearsal AS r
             UNION ALL
            SELECT 2, 2, v.words
              FROM subject AS s
             CROSS JOIN LATERAL (VALUES
                   (pg_catalog.jsonb_build_array('text', 'Nobody has rehearsed it; this shows what it would do, and what is in its way:')),
                   (pg_catalog.jsonb_build_array('code', pg_catalog.format('SELECT * FROM promote.rehearse_rollback(%L);', s.name)))
                 ) AS v (words)
             WHERE NOT EXISTS (SELECT FROM rehearsal)
             UNION ALL
            SELECT 3, 0, promote_internal.page_note() FROM subject
        ) AS b (section, place, words);
    END;
REVOKE ALL ON FUNCTION promote_internal.plan_review(text, text, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.plan_review(text, text, text, integer) IS
'What promote.review_html tells of a deployment, as blocks of words: what is told in Markdown, and the way back. NULL: there is no such deployment';

CREATE FUNCTION promote_internal.request_review(of_project text, of_request integer) RETURNS jsonb
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(b.kind) || pg_catalog.to_jsonb(b.words))
               || pg_catalog.jsonb_build_array(promote_internal.page_note())
          FROM promote_internal.request_blocks($1, $2) AS b;
    END;
REVOKE ALL ON FUNCTION promote_internal.request_review(text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.request_review(text, integer) IS
'What promote.review_html tells of a request, as blocks of words: what is told in Markdown';

CREATE FUNCTION promote.review_html(subject text, number integer DEFAULT NULL) RETURNS text
    LANGUAGE c STABLE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_review_html';
REVOKE ALL ON FUNCTION promote.review_html(text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote.review_html(text, integer) IS
'What a reviewer decides by, as a page of HTML: of an instance, the deployment of that number, or of a project, the request; the last one where no number is given. NULL: there is no such request';
