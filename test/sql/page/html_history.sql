-- The page that tells what happened in a project: against the queries under it, and against a history computed by hand.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
\ir ../../fixtures/as_role.sql
\ir ../../fixtures/told_request.sql
\ir ../../fixtures/dora.sql
\ir ../../fixtures/long.sql
SET LOCAL promote.actor = '';

-- ---- lengths of time ----
SELECT is(promote_internal.length_words(length::interval), expected, 'in words: ' || length) FROM (VALUES
    ('0', '0 s'), ('59.94 s', '59.9 s'), ('90 s', '1.5 min'), ('1 h', '1 h'), ('47 h', '2 days'), ('-1 min', '-60 s'),
    ('100 days', '100 days'), (NULL, NULL)) AS v (length, expected);

-- ---- how well it goes, of a history that was computed by hand ----
SELECT pg_temp.told_instance('staging', 'app', 2, 2), pg_temp.told_instance('production', 'app', 3, 4) \g /dev/null
SELECT pg_temp.told_revision('staging', 'app', 1, '2026-01-05 00:00Z'),
       pg_temp.told_revision('staging', 'app', 2, '2026-01-06 00:00Z'),
       pg_temp.told_revision('production', 'app', 1, '2026-01-06 12:00Z', 'promotion', 'staging', 1),
       pg_temp.told_revision('production', 'app', 2, '2026-01-08 00:00Z', 'promotion', 'staging', 2),
       pg_temp.told_revision('production', 'app', 3, '2026-01-09 22:00Z') \g /dev/null
SELECT pg_temp.told_deployment('staging', 'app', 1, 1, '2026-01-05 01:00Z', '2026-01-05 02:00Z'),
       -- from staging's 1, made 36 hours ago
       pg_temp.told_deployment('production', 'app', 1, 1, '2026-01-06 11:00Z', '2026-01-06 12:00Z'),
       -- given up, and done 90 minutes later: 54 hours after it was made, and 2 hours
       pg_temp.told_deployment('production', 'app', 2, 2, '2026-01-08 04:00Z', '2026-01-08 04:30Z', 'FAILED'),
       pg_temp.told_deployment('production', 'app', 3, 2, '2026-01-08 05:00Z', '2026-01-08 06:00Z'),
       pg_temp.told_deployment('production', 'app', 4, 3, '2026-01-09 23:00Z', '2026-01-09 23:59Z') \g /dev/null
SET LOCAL TimeZone = 'Asia/Tokyo';
CREATE TEMP TABLE page AS SELECT promote.history_html('told', '2026-01-05 00:00Z', '2026-01-15 00:00Z') AS page;
GRANT SELECT ON page TO PUBLIC;
SELECT ok(position(expected IN page) > 0, what) FROM page, (VALUES
    ('<h1><span>History of </span><b>told</b></h1>' || E'\n'
        '<p class="soft"><span>2026-01-05 00:00:00 UTC to 2026-01-15 00:00:00 UTC</span></p>', 'of what, and of when'),
    ('<p class="state bad"><i aria-hidden="true">■</i> <span><b>production</b><span> is high in deployment frequency, '
        'lead time, time to restore; low in change failure rate</span></span></p>', 'how well, the worst of it first'),
    ('<li class="good"><span>Deployment frequency</span><b>0.30 a day</b><em><i aria-hidden="true">✔</i> high</em>'
        '<span>of 3 deployments</span></li>', 'how often'),
    ('<span>Lead time</span><b>1.5 days</b><em><i aria-hidden="true">✔</i> high</em><span>of 3 changes</span>',
        'how fast'),
    ('<li class="bad"><span>Change failure rate</span><b>25.0 %</b><em><i aria-hidden="true">■</i> low</em>'
        '<span>of 4 deployments</span></li>', 'how often it failed'),
    ('<span>Time to restore</span><b>1.5 h</b><em><i aria-hidden="true">✔</i> high</em><span>of 1 failure</span>',
        'how soon it was mended'),
    ('aria-label="Deployments by the day. 2026-01-06: 1. 2026-01-08: 1. 2026-01-09: 1. ">', 'deployments, in words'),
    ('aria-label="Lead time, median, by the day. 2026-01-06: 1.5 days. 2026-01-08: 2.3 days. 2026-01-09: 2 h. ">',
        'lead time, in words'),
    ('aria-label="Change failure rate by the day. 2026-01-06: 0 %. 2026-01-08: 50 %. 2026-01-09: 0 %. ">',
        'failures, in words'),
    ('aria-label="Time to restore, median, by the day. 2026-01-08: 1.5 h. ">', 'recovery, in words'),
    ('<th scope="row">2026-01-08</th><td class="ours" data-of="Deployments">1</td>'
        '<td class="ours" data-of="Lead time">2.3 days</td><td class="ours" data-of="Failure rate">50 %</td>'
        '<td class="ours" data-of="Time to restore">1.5 h</td>', '... and all of them as a table'),
    ('<b>production</b><span>: 3 completed, 1 failed</span>', 'an environment by itself')) AS v (expected, what);
SELECT ok(position('production: 3 completed, 1 failed. 2026-01-06: 1 completed. 2026-01-08: 1 completed, 1 failed. '
    '2026-01-09: 1 completed. ">' IN page) < position('staging: 1 completed. 2026-01-05: 1 completed. ">' IN page),
    'when something was deployed where, what is asked about first') FROM page;
SELECT is((SELECT count(*) FROM regexp_matches(page, '<rect x="31.00%" ', 'g')), 5::bigint,
    'a bar stands where its day is: in four plots, and in the one strip') FROM page;
SELECT matches(page, '<g class="bad"><title>2026-01-08: 1 completed, 1 failed</title>'
    '<rect x="[^"]*" width="[^"]*" y="0.0"',
    'what failed is higher') FROM page;
SELECT is(ARRAY(SELECT m[1] FROM regexp_matches(page, '<h3><span>(.*?)</span></h3>', 'g') AS m),
    '{2026-01-09,2026-01-08,2026-01-06,2026-01-05}', 'day by day, the newest first, in UTC') FROM page;
SELECT is(ARRAY(SELECT regexp_replace(m[1], '<[^>]*>', '', 'g')
    FROM regexp_matches(page, '<li class="[a-z]+"><time>([^\n]*)</li>', 'g') AS m),
    ARRAY['23:59 ✔ Deployment 4 of told-production-app completed in 59 min: loaded; revision 3, told 1.0.0, '
              '0 changes, asked for by postgres', '22:00 · Edited told-production-app: revision 3, by postgres'],
    'what happened')
    FROM (SELECT substring(page FROM '2026-01-09</span></h3>(.*?)<h3>') AS page FROM page) AS p;
SELECT alike(page, '%5 deployments came to an end, and 5 changes were made.</span>%', '... and how much') FROM page;
SELECT matches(promote.history_html('told', '2026-01-05 00:00Z', '2026-01-15 00:00Z', 'staging'),
    '<p class="state [a-z]+">.*<b>staging</b><span> is .*Deployments by the day\. 2026-01-05: 1\. ">',
    'of another environment');
SELECT matches(promote.history_html('told', '2026-02-05 00:00Z', '2026-02-15 00:00Z'), '<p class="state soft">'
    '.*Nothing was deployed to </span><b>production</b><span> in this time</span></span></p>\n<h2><span>What happened'
    '</span></h2>\n<p><span>0 deployments came to an end, and 0 changes were made\.</span></p>\n<p class="soft">',
    'where nothing happened, that is all');
SELECT ok(position(expected IN promote.history_html('told', since::timestamptz, '2026-01-15 00:00Z')) > 0, what)
  FROM (VALUES ('2025-11-10 00:00Z', 'Deployments by the week. 2026-01-05: 3. ">', 'two months by the week'),
               ('2020-01-01 00:00Z', 'Deployments by the month. 2026-01: 3. ">', 'years by the month'),
               ('0001-01-01 00:00Z', 'Deployments by the month. 2026-01: 3. ">', 'two thousand years as well'))
       AS v (since, expected, what);
SELECT is(regexp_replace(promote.history_html('told'), ', \d{4}-[^U]*UTC', '', 'g'),
    regexp_replace(promote.history_html('told', now() - interval '30 days', now(), 'production'), ', \d{4}-[^U]*UTC',
        '', 'g'), 'the last 30 days, and production');
SET LOCAL TimeZone = 'UTC';

-- ---- who did what ----
DELETE FROM page;
INSERT INTO page SELECT promote.history_html('shop', until => clock_timestamp() + interval '1 minute');
SELECT ok(position(expected IN page) > 0, what) FROM page, (VALUES
    (': </span><b>broken</b><span>; revision 1 -&#62; 2, </span>'
        '<b>service 1.0.0</b><span>, 2 changes, asked for by </span><b>ada</b><span>, approved by </span>',
        'what failed, and why'),
    (', approved by </span><b>test_cem (owner), test_bob (release)</b><span>, overriding </span><b>freeze</b>'
        '<span>, by request 1, ticket </span><b>OPS-7</b><q>request 1: autumn sale</q>',
        'who approved it under which rule, what was overridden, and why it was asked for'),
    ('<span>Promoted to </span><b>shop-production-s2</b><span>: revision 2, from </span><b>shop-staging-s2</b>'
        '<span> revision 1, 2 changes, by </span><b>ada</b><q>request 1: autumn sale</q>', 'what was promoted'),
    ('<span>Rolled back </span><b>shop-production-s2</b>', 'what was rolled back'),
    ('<th scope="row">dot</th><td class="ours" data-of="Changes">0</td><td class="ours" data-of="Deployments">0</td>'
        '<td class="ours" data-of="Approvals">0</td><td class="ours" data-of="Overrides">1</td>', 'who has overridden'),
    ('<th scope="row">gus</th><td class="ours" data-of="Changes">0</td><td class="ours" data-of="Deployments">0</td>'
        '<td class="ours" data-of="Approvals">1</td>', 'who has approved without a rule'),
    ('<th scope="row">freeze</th><td data-of="Instance">shop-production-s1</td>'
        '<td data-of="What was in the way">freeze &#34;audit&#34; is on: the auditors are there</td>'
        '<td data-of="Who">dot</td><td class="long" data-of="Why">the auditors agree</td>',
        'what was overridden and why'),
    ('<th scope="row">service 1.0.0</th><td data-of="Environment">production</td>', 'which release came where'))
    AS v (expected, what);
SELECT is(substring(page FROM '<th scope="row">' || actor || '</th>.*?</tr>'), format(
    '<th scope="row">%s</th><td class="ours" data-of="Changes">%s</td><td class="ours" data-of="Deployments">%s</td>'
    '<td class="ours" data-of="Approvals">%s</td><td class="ours" data-of="Overrides">%s</td></tr>', actor,
    (SELECT count(*) FROM promote.change_history('shop') AS c WHERE c.actor = w.actor),
    (SELECT count(*) FROM promote.deployment_history AS d WHERE d.actor = w.actor AND d.project = 'shop'
        AND d.finished_at IS NOT NULL),
    (SELECT count(*) FROM promote.deployment_history AS d, unnest(d.approved_by) AS a WHERE d.project = 'shop'
        AND a ~ ('^' || w.actor || '( |$)')),
    (SELECT count(*) FROM promote.gate_override AS o WHERE o.actor = w.actor)), 'as the queries say: ' || actor)
  FROM page, unnest('{ada,dot,fay,gus,test_bob,test_cem}'::text[]) AS w (actor);
SELECT unalike(page, '%hush%', 'nothing that is sensitive') FROM page;

-- ---- hostile, and much ----
SET LOCAL promote.actor = '</b><script>alert(1)</script>';
SELECT promote.configure_instance('shop-staging-s1', '{"size": 77}',
    message => '</style><script>x' || U&'\202E' || repeat('<&', 500000)) \g /dev/null
DELETE FROM page;
INSERT INTO page SELECT promote.history_html('shop', until => clock_timestamp() + interval '1 minute');
SELECT ok(page !~ '<script' AND page LIKE '%<q>&#60;/style&#62;&#60;script&#62;x[U+202E]&#60;&#38;%'
    AND page LIKE '%<th scope="row">&#60;/b&#62;&#60;script&#62;alert(1)%', 'hostile words stay words') FROM page;
SELECT is((SELECT count(*) FROM regexp_matches(page, '<' || tag || '[ >]', 'g')),
    (SELECT count(*) FROM regexp_matches(page, '</' || tag || '>', 'g')), 'what is opened is closed: ' || tag)
  FROM page, unnest('{main,details,summary,ul,ol,li,p,q,table,tbody,tr,th,td,div,figure,figcaption,svg,g,b,i,em,span}'
    ::text[]) AS tag;
SELECT promote.configure_instance('shop-staging-s1', jsonb_build_object('size', n % 50 + 1),
    message => repeat('<' || U&'\202E', 1000)) FROM generate_series(100, 500) AS n \g /dev/null
SELECT set_config('promote.actor', 'a' || n || repeat('<', 60), true),
       promote.configure_instance('shop-staging-s2', jsonb_build_object('size', n % 50 + 1))
  FROM generate_series(100, 220) AS n \g /dev/null
SELECT count(*) AS changes FROM promote.change_history('shop') \gset
SELECT count(*) AS deployments FROM promote.deployment AS d WHERE d.project = 'shop' AND d.action <> 'PLAN'
    AND d.finished_at IS NOT NULL \gset
DELETE FROM page;
INSERT INTO page SELECT promote.history_html('shop', until => clock_timestamp() + interval '1 minute');
SELECT cmp_ok(length(page), '<', 2000000, 'a page of much is below 2 MB') FROM page;
SELECT is((SELECT count(*) FROM regexp_matches(page, '<time>', 'g')), 300::bigint, 'the newest are shown') FROM page;
SELECT alike(page, format('%% The newest 300 are shown, %s are left out.%%', :changes + :deployments - 300),
    '... and how many are not') FROM page;
SELECT alike(page, '%<summary><span>280 earlier</span></summary>%', '... most of them folded') FROM page;
SELECT matches(page, '<p class="soft"><span>[0-9]+ more are left out.</span></p>',
    'people beyond a hundred are counted')
  FROM page;

-- ---- how much it reads: what happened then, however much happened before ----
SELECT pg_temp.long_instance('young') \g /dev/null
SELECT pg_temp.pages($$SELECT promote.history_html('long')$$) AS first,
       pg_temp.pages($$SELECT promote.history_html('long')$$) AS young \gset
SELECT pg_temp.long_instance('ran', 2, 5002), pg_temp.long_instance('edited', 5001, 2, 'edit'),
       pg_temp.long_instance('promoted', 5001) \g /dev/null
SELECT pg_temp.long_deployments('ran', 'production', 'PROVISION', 'COMPLETED', 2, 3, 5002) \g /dev/null
ANALYZE promote.deployment;
ANALYZE promote.revision;
SELECT pg_temp.pages($$SELECT promote.history_html('long')$$) AS first,
       pg_temp.pages($$SELECT promote.history_html('long')$$) AS old \gset
SELECT cmp_ok(:old, '<=', :young + 150, 'fifteen thousand old rows are not read');

-- ---- whose rights ----
CREATE ROLE page_staging;
CREATE ROLE page_nobody;
CREATE ROLE page_auditor;
SELECT promote.grant_action('page_staging', 'view', 'told', 'staging') \g /dev/null
SELECT promote.grant_action('page_auditor', 'audit') \g /dev/null
SET LOCAL row_security = on;
SELECT matches(pg_temp.as_role(role, format('SELECT promote.history_html(%s)', call)), expected, role || ': ' || call)
  FROM (VALUES
    ('page_nobody', '''told''', '^(PM701|42501)'),
    ('page_auditor', '''told'', ''2026-01-05'', ''2026-01-15''', '<b>production</b><span> is '),
    ('page_staging', '''told'', ''2026-01-05'', ''2026-01-15''', 'Nothing was deployed to </span><b>production'),
    ('page_staging', '''told'', ''2026-01-05'', ''2026-01-15''',
        '1 deployment came to an end, and 2 changes were made'),
    ('page_staging', '''shop''', '^PM701'),
    ('none', '''nowhere''', '^PM002'),
    ('none', 'NULL', '^PM'),
    ('none', '''told'', ''2026-01-05'', ''2026-01-05''', '^PM404'),
    ('none', '''told'', ''2026-01-05'', ''2026-01-01''', '^PM404'),
    ('none', '''told'', ''-infinity''', '^PM404'),
    ('none', '''told'', NULL, ''infinity''', '^PM404')) AS v (role, call, expected);
SELECT unalike(pg_temp.as_role('page_staging',
    $$SELECT promote.history_html('told', '2026-01-05', '2026-01-15', 'staging')$$),
    '%production%', 'whoever may view one environment sees that one');

-- also all the time that there is, the length of which an interval cannot tell
SET LOCAL statement_timeout = '5min';
SELECT is((SELECT count(*) FROM regexp_matches(
    promote.history_html('told', '4714-12-01 00:00Z BC', '294276-11-30 00:00Z'),
    '<svg class="plot"', 'g')), 4::bigint, 'as many days as there is room for are counted, and no more');

SELECT * FROM finish();
ROLLBACK;
