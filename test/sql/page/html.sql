-- Pages of HTML: what the writer makes of blocks, what hostile words stay, and whose rights a page is made by.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
\ir ../../fixtures/as_role.sql

-- A page of blocks without what is before and behind them.
CREATE FUNCTION pg_temp.main(blocks jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT substring(promote_internal.html_page('', '[["title", "T"]]' || blocks) FROM '</h1>\n(.*)</main>')
$$;

-- ---- the writer ----
SELECT is(pg_temp.main(blocks::jsonb), expected, what) FROM (VALUES
    ('words alternate', '[["text", "By ", "ana", ", then ", null, "."]]',
        E'<p><span>By </span><b>ana</b><span>, then </span><span>.</span></p>\n'),
    ('a state has a sign beside its colour', '[["state", "bad", "Closed"]]',
        E'<p class="state bad"><i aria-hidden="true">■</i> <span><span>Closed</span></span></p>\n'),
    ('one of an unknown mark', '[["state", "<x>", "Odd"]]',
        E'<p class="state soft"><i aria-hidden="true">·</i> <span><span>Odd</span></span></p>\n'),
    ('a list ends where something else comes', '[["item", "", "a"], ["item", "", "b"], ["text", "c"]]',
        E'<ul>\n<li><b>a</b></li>\n<li><b>b</b></li>\n</ul>\n<p><span>c</span></p>\n'),
    ('a table', '[["heading", "H"], ["columns", "Path", "From", "To", "Marks*"],
        ["row", ".a", "1", "2", "IMMUTABLE, since 3"]]',
        E'<h2><span>H</span></h2>\n<div class="scroll" tabindex="0" role="region" aria-label="H 1"><table><thead><tr>'
        '<th scope="col">Path</th><th scope="col">From</th><th scope="col">To</th><th scope="col">Marks</th>'
        '</tr></thead><tbody>'
        '\n<tr><th scope="row">.a</th><td class="old" data-of="From">1</td><td class="new" data-of="To">2</td>'
        '<td class="ours" data-of="Marks"><span class="tag bad">IMMUTABLE'
        '</span> <span class="tag soft">since 3</span> </td></tr>\n</tbody></table></div>\n'),
    ('two tables', '[["columns", "A"], ["row", "1"], ["columns", "B"]]',
        E'<div class="scroll" tabindex="0" role="region" aria-label="T 1"><table><thead><tr>'
        '<th scope="col">A</th></tr></thead>'
        '<tbody>\n<tr><th scope="row">1</th></tr>\n</tbody></table></div>\n'
        '<div class="scroll" tabindex="0" role="region" '
        'aria-label="T 2"><table><thead><tr><th scope="col">B</th></tr></thead><tbody>\n</tbody></table></div>\n'),
    ('cells with marks', '[["columns", "C", "e"], ["heat", "db", "good", "in sync", "1.0.0", ""]]',
        E'<div class="scroll" tabindex="0" role="region" aria-label="T 1"><table><thead><tr><th scope="col">C</th>'
        '<th scope="col">e</th></tr></thead><tbody>\n<tr><th scope="row">db</th>'
        '<td class="heat good" data-of="e"><b><i aria-hidden="true">✔</i> '
        'in sync</b><span>1.0.0</span><span></span></td></tr>\n</tbody></table></div>\n'),
    ('what is shown on request', '[["columns", "A", "B+"], ["row", "1", "{}"], ["row", "2", ""]]',
        E'<div class="scroll" tabindex="0" role="region" aria-label="T 1"><table><thead><tr>'
        '<th scope="col">A</th><th scope="col">B</th></tr></thead><tbody>\n<tr><th scope="row">1</th><td data-of="B">'
        '<details><summary>Show</summary><code>{}</code></details></td></tr>\n<tr><th scope="row">2</th><td></td></tr>'
        '\n</tbody></table></div>\n'),
    ('a line that warns', '[["item", "DESTRUCTIVE: it replaces ", "db"]]',
        E'<ul>\n<li class="bad"><i aria-hidden="true">■</i> <span>DESTRUCTIVE: it replaces </span><b>db</b>'
        '</li>\n</ul>\n'),
    ('a number that matters', '[["tile", "warn", "Speed", "<3 h", "medium", "of 1"]]',
        E'<ul class="tiles">\n<li class="warn"><span>Speed</span><b>&#60;3 h</b><em>'
        '<i aria-hidden="true">▲</i> medium</em>'
        '<span>of 1</span></li>\n</ul>\n'),
    ('what happened', '[["part", "May"], ["event", "bad", "10:00", "a <b>", "It ", "db"],
        ["event", "good", "9:00", ""]]',
        E'<h3><span>May</span></h3>\n<ol class="events">\n<li class="bad"><time>10:00</time> '
        '<i aria-hidden="true">■</i> '
        '<p><span>It </span><b>db</b><q>a &#60;b&#62;</q></p></li>\n<li class="good"><time>9:00</time> '
        '<i aria-hidden="true">✔</i> <p></p></li>\n</ol>\n'),
    ('what is folded, and never ended', '[["fold", "more"], ["text", "x"]]',
        E'<details><summary><span>more</span></summary>\n<p><span>x</span></p>\n</details>\n'),
    ('what ends nothing', '[["unfold"], ["unfold"]]', ''),
    ('a statement', '[["code", "SELECT ''<&>''"]]', E'<pre tabindex="0">SELECT &#39;&#60;&#38;&#62;&#39;</pre>\n'))
    AS v (what, blocks, expected);
SELECT matches(pg_temp.main('[["node", "a", "good", "x", ""], ["node", "b", "bad", "y", ""], ["edge", "a", "b", "bad"],
    ["edge", "a", "nowhere", "bad"]]'),
    'aria-label="a, b\. a leads to b\. ">.*<path class="bad" .*<title>a</title>.*<title>b</title>',
    'a graph says in words what it shows, and draws what there is');
SELECT ok(pg_temp.main('[["node", "a", "good", "x", ""], ["node", "b", "bad", "y", ""], ["edge", "b", "a", "bad"]]')
    ~ 'x="240" y="10" width="180" .*x="10" y="10"', 'what is led to stands right of what leads there');
SELECT matches(pg_temp.main('[["node", "a", "good", "", ""], ["node", "b", "good", "", ""], ["edge", "a", "b", ""],
    ["edge", "b", "a", ""]]'),
    '^<div.*</svg></div>\n$', 'a circle ends');
SELECT matches(pg_temp.main('[["plot", "Deployments"], ["bar", "May", "4", "4"], ["bar", "June", "2", "2"], ["bar",
    "July", "NaN", "?"], ["bar", "<Aug>"]]'),
    '^<div class="figures">\n<figure><figcaption><span>Deployments</span></figcaption><svg class="plot" width="100%" '
    'height="130" role="img" aria-label="Deployments\. May: 4\. June: 2\. July: \?\. ">\n<text class="soft" x="0" '
    'y="14">up to 4</text>.*<title>May: 4</title><rect x="2.50%" width="20.00%" y="20.0" height="90.0"/></g>\n'
    '.*<title>June: 2</title><rect x="27.50%" width="20.00%" y="65.0" height="45.0"/></g>\n'
    '.*<rect x="52.50%" width="20.00%" y="108.0" height="2.0"/></g>\n<text class="soft" x="0" y="126">May</text>'
    '<text class="soft" x="50%" text-anchor="middle" y="126">June</text><text class="soft" x="100%" '
    'text-anchor="end" y="126">&#60;Aug&#62;</text>\n</svg></figure>\n</div>\n$', 'a plot is drawn to its largest');
SELECT matches(pg_temp.main('[["plot", "A"], ["bar", "May", "1", "1"], ["plot", "B"], ["bar", "May"],
    ["bar", "June"]]'),
    '>A</span>.*<rect x="10.00%" width="80.00%" .*</figure>\n<figure><figcaption><span>B</span>.*'
    '>nothing to show</text>'
    '.*>May</text><text class="soft" x="100%" text-anchor="end" y="126">June</text>', 'one of one, and one of nothing');
SELECT matches(pg_temp.main('[["strip", "", "a"], ["bar", "May", "1", "one", "good"], ["strip", "", "b"],
    ["bar", "May", "2", "two", "bad"]]'),
    'class="strip" width="100%" height="26" role="img" aria-label="a\. May: one\. ">\n.*<g class="good"><title>May: one'
    '</title><rect x="10.00%" width="80.00%" y="12.0" height="12.0"/></g>\n</svg></figure>\n'
    '<figure class="wide"><figcaption><b>b</b></figcaption><svg class="strip" width="100%" height="44" .*'
    '<g class="bad">.* y="0.0" height="24.0"/></g>\n<text ',
    'strips have one line of labels, and what is bad is higher');
SELECT matches(pg_temp.main('[["bar", "May", "1", "1"], ["text", "x"]]'), '^<div class="figures">\n</div>\n<p>',
    'bars of nothing are not drawn');
SELECT throws_ok(format('SELECT promote_internal.html_page('''', %L)', blocks), 'PM404', NULL, 'no blocks: ' || blocks)
  FROM unnest('{1,"{}","[1]","[[\"odd\"]]"}'::text[]) AS blocks;
SELECT ok(length(p) BETWEEN 1840000 AND 2000000
    AND p ~ '</(div|ul|ol|details)>\n<p class="soft">[0-9]+ more rows are left out.</p>\n</main></body></html>\n$',
    'a page stays below 2 MB, and says what it lacks: ' || kind)
  FROM (VALUES ('row', '["columns", "A"]'::jsonb), ('item', '["text", "x"]'), ('event', '["fold", "more"]'))
       AS v (kind, first)
 CROSS JOIN LATERAL (SELECT promote_internal.html_page('', '[["title", "T"]]' || jsonb_build_array(v.first) || (
        SELECT jsonb_agg(jsonb_build_array(v.kind, repeat('<', 300 + 0 * n), repeat('<', 300)))
          FROM generate_series(1, 20000) AS n)
        || '[["unfold"]]') AS p) AS page;

-- ---- the policy ----
SELECT is(substring(page
    FROM 'content="default-src ''none''; style-src ''sha256-([^'']+)''; base-uri ''none''; form-action ''none''"'),
    encode(sha256(convert_to(substring(page FROM '<style>(.*)</style>'), 'UTF8')), 'base64'),
        'the one style is known by its digest')
  FROM (SELECT promote.pipeline_html('ecomm') AS page) AS v;
SELECT is_empty($$SELECT FROM (VALUES (promote.pipeline_html('ecomm')),
    (promote.audit_html('ecomm-staging-db'))) AS v (page)
    WHERE page ~* '<script|https?:|url\((?!#)|@import|style=|onclick|<link|<img|<iframe'$$,
    'nothing runs, and nothing is loaded');
SELECT is((SELECT count(*) FROM regexp_matches(page, '<' || tag || '[ >]', 'g')),
    (SELECT count(*) FROM regexp_matches(page, '</' || tag || '>', 'g')), 'what is opened is closed: ' || tag)
  FROM (SELECT promote.pipeline_html('ecomm') || promote.audit_html('ecomm-staging-db') AS page) AS v,
       unnest('{html,head,title,style,body,main,h1,h2,p,ul,li,div,table,thead,tbody,tr,th,td}'::text[]
           || '{svg,defs,marker,g,text,b,i,span}'::text[])
           AS tag;

-- ---- hostile words ----
SELECT promote.configure_instance('ecomm-staging-db', '{"replicas": 2}',
    message => '<script>alert(1)</script></style>' || U&'\202E' || 'gnp.exe " onload=x ''') \g /dev/null
SELECT alike(promote.pipeline_html('ecomm'),
    '%&#60;script&#62;alert(1)&#60;/script&#62;&#60;/style&#62;[U+202E]gnp.exe &#34; onload=x &#39;%',
        'they stay words');
SELECT unalike(promote.pipeline_html('ecomm'), '%<script>%', '... and are no markup');
SELECT promote.configure_instance('ecomm-staging-db', '{"replicas": 3}', message => repeat('x', 1000000)) \g /dev/null
SELECT ok(length(promote.pipeline_html('ecomm')) < 40000, 'long ones are cut');

-- ---- what a pipeline shows ----
INSERT INTO promote.environment (project, environment) VALUES ('ecomm', 'empty');
INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
    VALUES ('ecomm', 'staging', 'empty'), ('ecomm', 'staging', 'production');
SELECT ok(page ~ expected, what) FROM (SELECT promote.pipeline_html('ecomm') AS page) AS p, (VALUES
    ('<title>empty</title>.*>· nothing there<', 'an environment that has nothing yet'),
    ('<th scope="col">empty</th>', '... also in the table'),
    ('staging leads to empty\.', '... and what leads there'),
    ('<span>From </span><b>staging</b><span> to </span><b>production</b><span>: </span><b>'
        '1 of 2 may go on</b></p>\n<ul>\n<li><b>it has no configuration yet</b>',
        'how many components may go on')) AS v (expected, what);
SELECT promote.set_freeze('shut', 'ecomm', 'production', during => '[2020-01-01,2100-01-01)',
    reason => 'moving; all of it') \g /dev/null
SELECT matches(promote.pipeline_html('ecomm'),
    '<path class="bad".*<b>0 of 2 may go on</b></p>\n<ul>\n.*<li><b>freeze: freeze &#34;shut&#34; is on: '
        'moving; all of it', 'what is blocked, and why, each reason whole');
SELECT promote.remove_freeze('shut') \g /dev/null

-- ---- what a reviewer sees ----
SELECT pg_temp.deploy('ecomm-production-db') \g /dev/null
SELECT promote.configure_instance('ecomm-production-db', '{"replicas": 4}') \g /dev/null
SELECT pg_temp.deploy('ecomm-production-db') \g /dev/null
SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', '{"replicas": 5}',
    message => 'For <the> sale')
    \g /dev/null
SELECT promote.set_freeze('audit', 'ecomm', 'production', during => '[2020-01-01,2100-01-01)',
    reason => 'They look') \g /dev/null
CREATE TEMP TABLE review AS SELECT promote.review_html('ecomm-production-db') AS page;
SELECT ok(page ~ expected, what) FROM review, (VALUES
    ('<h1><span>Plan [0-9]+ of </span><b>ecomm-production-db</b></h1>', 'the plan'),
    ('<p class="state bad">.*gates? stands? in the way', 'how it stands'),
    ('<th scope="row">freeze</th><td class="long" data-of="Why">freeze &#34;audit&#34; is on: They look</td>',
        'each gate'),
    ('<b>For &#60;the&#62; sale</b>', 'why'),
    ('<th scope="row">\.replicas</th><td class="old" data-of="From">[0-9]+</td><td class="new" data-of="To">5</td>',
        'what changes'),
    ('<details><summary><span>[0-9]+ values stay as they are</span></summary>', 'what stays, folded'),
    ('<pre tabindex="0">SELECT \* FROM promote.rehearse_rollback\(&#39;ecomm-production-db&#39;\);</pre>',
        'the way back'))
    AS v (expected, what);
SELECT count(*) FROM promote.rehearse_rollback('ecomm-production-db', record => true) \g /dev/null
SELECT matches(promote.review_html('ecomm-production-db'),
    '<span>Rehearsed by </span><b>[a-z_]+</b><span> at [^<]* changes',
    '... as it was rehearsed');
SELECT matches(promote.review_html('ecomm-production-db', 2), '<p class="state good">.*Completed', 'what is over');
SELECT is(promote.review_html('ecomm', 77), NULL, 'no such request');
SELECT promote.open_request('ecomm', 'staging', 'production', message => 'All of it') \g /dev/null
SELECT matches(promote.review_html('ecomm'),
    '<h1><span>Request 1 of </span><b>ecomm</b>.*<p class="state good">.*<b>All of it</b>.*not previewed yet',
    'a request');

-- ---- whose rights ----
CREATE ROLE page_staging;
CREATE ROLE page_nobody;
CREATE ROLE page_auditor;
SELECT promote.grant_action('page_staging', 'view', 'ecomm', 'staging') \g /dev/null
SELECT promote.grant_action('page_auditor', 'audit') \g /dev/null
SELECT ok(page ~ 'staging' AND page !~ 'production', 'whoever may view one environment sees that one')
  FROM (SELECT pg_temp.as_role('page_staging', $$SELECT promote.pipeline_html('ecomm')$$) AS page) AS v;
SELECT matches(pg_temp.as_role(role, format('SELECT promote.%s', call)), expected, role || ': ' || call) FROM (VALUES
    ('page_nobody', 'pipeline_html(''ecomm'')', '^(PM701|PM002|42501)'),
    ('none', 'pipeline_html(''nowhere'')', '^PM002'),
    ('page_staging', 'pipeline_html(''nowhere'')', '^(PM701|PM002)'),
    ('page_staging', 'audit_html(''ecomm-production-db'')', '^PM701'),
    ('none', 'review_html(''ecomm-production-db'', 99)', '^PM002'),
    ('none', 'review_html(''ecomm-nowhere-db'')', '^PM002'),
    ('page_staging', 'review_html(''ecomm-production-db'')', '^PM701'),
    ('page_staging', 'review_html(''ecomm-staging-db'')', 'ecomm-staging-db'),
    ('page_staging', 'review_html(''ecomm'')', '^PM701'),
    ('page_nobody', 'review_html(''ecomm'')', '^(42501|PM701)'),
    ('page_auditor', 'audit_html(''ecomm-production-db'')', 'Verified: the chain is whole')) AS v (role, call,
        expected);

SELECT * FROM finish();
ROLLBACK;
