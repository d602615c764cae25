-- Plans and requests as Markdown. How it is rendered is tested by test/t/markdown_rendered.pl.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
\ir ../../fixtures/plan.sql
\ir ../../fixtures/shop.sql
SET LOCAL promote.actor = 'ada';

-- ---- a plan ----
SELECT promote.configure_instance('ecomm-production-cache', '{"a": 1, "b": {"c": "x"}}') \g /dev/null
SELECT pg_temp.deploy('ecomm-production-cache') \g /dev/null
INSERT INTO promote.bundle_release (bundle, version, params_schema, artifact_digest, source_commit)
    VALUES ('redis', '1.1.0', '{}', 'sha256:' || repeat('a', 64), repeat('c', 40));
SELECT promote.configure_instance('ecomm-staging-cache', '{"a": 2, "b": {"c": "x"}, "d": "new | `d`"}', plan => false)
    \g /dev/null
SELECT promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache', message => 'the sale') \g /dev/null
CREATE TEMP TABLE told AS SELECT promote.plan_markdown('ecomm-production-cache') AS text;
SELECT is((regexp_match(text, '(- From.*?)- Asked'))[1],
    E'- From revision 1 of `ecomm-staging-cache`\n'
    '- To revision 1 -> revision 2 of `ecomm-production-cache`, release `redis` `1.0.0` -> `1.1.0`\n'
    '- Artifact `sha256:' || repeat('a', 64) || E'`\n- Commit `' || repeat('c', 40) || E'`\n',
    'from where to where, with release and artifact') FROM told;
SELECT matches(text, '^## Plan 3 of `ecomm-production-cache`\n\n'
    '\*\*1 gate stands in the way\*\*\n\n- Status: PENDING\n',
    'which plan it is') FROM told;
SELECT matches(text, '\n- Asked for by `ada` at [-0-9: ]+ UTC\n- Why: `the sale`\n', 'who and why') FROM told;
SELECT alike(text, E'%\n### Changes: 1 to add, 2 to change, 0 to remove\n\n'
    '| Change | Path | From | To | Marks |' || E'\n|---|---|---|---|---|\n'
    || E'| change | `release version` | `"1.0.0"` | `"1.1.0"` |  |\n| change | `.a` | `1` | `2` |  |\n'
    || E'| add | `.d` |  | ``"new \\\\| `d`"`` |  |\n\n%', 'what changes, as a table')
  FROM told;
SELECT alike(text, E'%<details><summary>1 values stay as they are</summary>\n\n| Path | Value |\n|---|---|\n'
    || E'| `.b.c` | `"x"` |\n\n</details>\n%', 'what stays is folded') FROM told;
SELECT alike(text, '%| `plan` | `deployment 3 of "ecomm-production-cache" is not a completed plan: It is PENDING.` |'
    '  |  '
    '| `promote.plan_instance and a worker` | no |%', 'what stands in the way, and who can lift it') FROM told;
SELECT unalike(text, '%To approve this%', 'what is not planned yet is not to be approved') FROM told;
SELECT alike(promote.plan_markdown('shop-production-s1', 1), E'%\n\n**Nothing stands in the way**\n\n%',
    'where nothing does, that is said');
SELECT unalike(promote.plan_markdown('shop-production-s1', 2), '%stands in the way%',
    '... and of what is over, nothing');
SELECT is(promote.plan_markdown('ecomm-production-cache', 3), text, 'the last one where none is named') FROM told;

-- ---- what a plan would destroy ----
SELECT promote.configure_instance('ecomm-production-cache', '{"a": 3}') \g /dev/null
SELECT pg_temp.planned('ecomm-production-cache', '[["aws_db_instance.kept", ["no-op"], {"a": 1}, {"a": 1}],
    ["aws_db_instance.new", ["create"], null, {"a": 1}], ["aws_db_instance.old", ["delete"], {"a": 1}, null]]')
    AS n \gset
UPDATE told SET text = promote.plan_markdown('ecomm-production-cache', :n);
SELECT alike(text, E'%### Resources: 2 to change, 1 destructive, 2 stateful, 0 unexpected\n\n'
    || E'| Action | Resource | Marks |\n|---|---|---|\n| delete | `aws_db_instance.old` | DESTRUCTIVE, STATEFUL |\n'
    || E'| create | `aws_db_instance.new` | STATEFUL |\n\n'
    || E'<details><summary>1 resources stay as they are</summary>\n\n- `aws_db_instance.kept`\n\n</details>%',
    'what destroys comes first, marked by words; what stays is folded') FROM told;
SELECT alike(text, format(E'%%### To approve this\n\nPlan digest `%s`\n\n```sql\n'
    'SELECT promote.approve_deployment(''ecomm-production-cache'', %s);' || E'\n```\n%%',
    encode(d.plan_digest, 'hex'), :n),
    'the digest, and the statement that approves it')
  FROM told, promote.deployment AS d WHERE d.component = 'cache' AND d.environment = 'production' AND d.deployment = :n;
INSERT INTO promote.approval_rule (project, environment, rule, role)
    VALUES ('ecomm', 'production', 'two', current_user);
SELECT matches(promote.plan_markdown('ecomm-production-cache', :n), '\n\| `approval` \| [^\n]* \| no \|\n',
    'what an approval rule asks for stands in the way');
INSERT INTO promote.override_rule (project, environment, code, role)
    VALUES ('ecomm', 'production', 'approval', current_user);
SELECT promote.override_gate('ecomm-production-cache', :n, 'approval', 'it burns') \g /dev/null
SELECT matches(promote.plan_markdown('ecomm-production-cache', :n),
    '### Gates that were overridden\n\n- `approval` by `ada`: `it burns`, over `[^\n]*`\n',
    'what was overridden, and why');
SELECT unalike(promote.plan_markdown('ecomm-production-cache', :n), '%| `approval` |%',
    '... which stands in the way no more');

-- ---- hotfixes ----
DELETE FROM promote.approval_rule;
SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db') \g /dev/null
SELECT pg_temp.deploy('ecomm-production-db') \g /dev/null
SELECT promote.configure_instance('ecomm-production-db', '{"tier": "gold"}', message => 'hot | fix') \g /dev/null
SELECT pg_temp.deploy('ecomm-production-db') \g /dev/null
SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', '{"size": "small"}') \g /dev/null
SELECT is((regexp_match(promote.plan_markdown('ecomm-production-db'),
    '### It would undo what the instance had set itself\n\n(.*?)\n\n'))[1],
    '- `.tier` of revision 3, set by `ada`: `hot | fix`', 'a hotfix that would be undone, with its author and why');
SELECT matches(promote.plan_markdown('ecomm-production-db'), '\n\| change \| `\.tier` [^\n]*UNDOES revision 3',
    '... is marked in the table');
SELECT unalike(promote.plan_markdown('ecomm-production-db'), '%hush%', 'what is sensitive is masked, where it changes');
SELECT unalike(promote.plan_markdown('ecomm-production-db', d.deployment), '%secret"%', '... and where it stays')
  FROM promote.deployment AS d WHERE d.environment = 'production' AND d.component = 'db';

-- ---- lengths ----
SELECT promote.configure_instance('ecomm-production-cache',
    (SELECT jsonb_object_agg('k' || n, repeat('é', 1000)) FROM generate_series(1, 500) AS n)) \g /dev/null
SELECT ok(char_length(promote.plan_markdown('ecomm-production-cache', max_length => l)) <= l, l || ' characters')
  FROM unnest(ARRAY[1000, 1500, 2000, 5000, 60000]) AS l;
SELECT cmp_ok(char_length(promote.plan_markdown('ecomm-production-cache')), '>', 59000, 'what has room is used');
SELECT matches(promote.plan_markdown('ecomm-production-cache', max_length => 3000),
    '\*Rows left out here: 49\d\.\*.*\*This was cut at 3000 characters\. Rows and blocks left out: 49\d; '
    '`promote\.plan_text` has all\.\*\n$', 'how much is left out is said');
SELECT alike(promote.plan_markdown('ecomm-production-cache'), '%' || repeat('é', 299)
    || ' ... (702 more characters)`%',
    'so is how much of a long value');
SELECT pg_temp.refuses(format('SELECT promote.plan_markdown(%L, %s, %s)', i, d, l), state, detail,
    i || ' ' || d || ' ' || l)
  FROM (VALUES ('ecomm-production-db', '999', 'NULL', 'PM002', 'from 1 to'), ('ecomm-nowhere-db', '1', 'NULL', 'PM002',
                   'environment'), ('x', '1', 'NULL', 'PM001', 'three parts'),
               ('ecomm-production-db', '1', '999', 'PM404', '^It is 999, and can be from 1000 to 1000000 characters'),
               ('ecomm-production-db', '1', '1000001', 'PM404', 'from 1000 to 1000000')) AS v (i, d, l, state, detail);

-- ---- a request ----
CREATE FUNCTION pg_temp.times(t text, part text) RETURNS integer LANGUAGE sql AS $$
    SELECT (length(t) - length(replace(t, part, ''))) / length(part)
$$;
SELECT request AS r FROM promote.open_request('shop', 'staging', 'production', '{"components": ["s1", "s2"]}',
    ticket => 'T-1 @all', message => E'the\nsale', fallback_owner => 'ops') \gset
UPDATE told SET text = promote.request_markdown('shop', :r);
SELECT is((regexp_match(text, '(.*?)- Asked'))[1],
    E'## Request 1 of `shop`: `staging` -> `production`\n\n**Open**\n\n',
    'from where to where') FROM told;
SELECT alike(text, E'%\n- Why: `the sale`\n- Ticket `T-1 @all`\n%\n- Fallback owner `ops`\n%', 'why, and for whom')
  FROM told;
SELECT count(*) FROM promote.preview_request('shop', :r) \g /dev/null
UPDATE told SET text = promote.request_markdown('shop', :r);
SELECT alike(text, E'%\nPreview 1, digest `' || encode(preview_digest, 'hex') || E'`\n\n```sql\n'
    'SELECT * FROM promote.approve_request(''shop'', 1);' || E'\n```\n%',
    'the digest, and the statement that approves it')
  FROM told, promote.promotion_request WHERE project = 'shop';
SELECT alike(text, E'%\n| 1 | `s1` | PENDING | `1.0.0` |  | 1 to add, 1 to change, 0 to remove |  |\n%', 'the items')
  FROM told;
SELECT alike(text,
    E'%<details><summary><code>shop-production-s1</code>: 1 to add, 1 to change, 0 to remove</summary>\n\n'
    || E'| Change | Path | From | To | Marks |\n|---|---|---|---|---|\n| change | `.size` | `1` | `2` |  |\n'
    || E'| add | `.password` |  | `"(sensitive value)"` | sensitive |\n\n</details>%',
    'what each changes, by the preview, folded and masked') FROM told;
SELECT ok(char_length(t) <= l AND pg_temp.times(t, '<details>') = pg_temp.times(t, '</details>') AND n > 0,
    'what is opened is closed within ' || l || ' characters')
  FROM unnest(ARRAY[1700, 1900, 2100, 60000]) AS l,
       LATERAL (SELECT promote.request_markdown('shop', :r, l) AS t) AS x,
       LATERAL (SELECT pg_temp.times(t, '<details>') AS n) AS y;
SELECT count(*) FROM promote.advance_request('shop', :r) \g /dev/null
UPDATE told SET text = promote.request_markdown('shop', :r);
SELECT alike(text, E'%| Code | Instance | Why |\n|---|---|---|\n| `plan` | `shop-production-s1` | `wave 1: plan 3 of %',
    'what it waits for') FROM told;
SELECT matches(text, '\n\| 1 \| `s1` \| STAGED \| `1\.0\.0` \| 3 PENDING \|', 'the plans') FROM told;
SELECT promote.cancel_request('shop', :r, 'enough') \g /dev/null
UPDATE told SET text = promote.request_markdown('shop', :r);
SELECT alike(text, '%**Cancelled, wave 1 of 2**%`enough`%', 'what is over says why') FROM told;
SELECT unalike(text, '%To approve this%', '... and is not to be approved') FROM told;
SELECT unalike(text, '%stands in the way%', '... and nothing stands in its way') FROM told;
SELECT is(promote.request_markdown('shop', 99), NULL, 'no such request');
SELECT pg_temp.refuses($$SELECT promote.request_markdown('shop', 1, 1)$$, 'PM404', 'It is 1', 'a length of one');

-- ---- who is told ----
CREATE ROLE looker;
SELECT promote.grant_action('looker', 'view', 'shop', 'staging') \g /dev/null
SET LOCAL ROLE looker;
SELECT throws_ok($$SELECT promote.request_markdown('shop', 1)$$, 'PM701', NULL, 'a request to what is not seen');
SELECT throws_ok($$SELECT promote.plan_markdown('shop-production-s1')$$, 'PM701', NULL, '... and a plan there');
SELECT matches(promote.plan_markdown('shop-staging-s1'), '^## Plan', 'what is seen is told');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
