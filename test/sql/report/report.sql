-- Questions about promotions.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
SET LOCAL promote.actor = 'ada';
SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', '{"replicas": 5}',
    message => 'sale') \g /dev/null
SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', plan => false) \g /dev/null

-- ---- plan_text ----
SELECT is(promote.plan_text('ecomm-production-db', 2),
    'ecomm-production-db, plan 2: revision 2, postgres 1.2.0-dev.20260915T101500Z

  + release version     "1.2.0-dev.20260915T101500Z"
  + release constraint  "~1"
  + release channel     "development"
  + .size               "medium"
  + .tier               null
  + .nodes[0].id        "p1"  # since revision 1
  + .nodes[0].role      "primary"
  + .subnet             "internal"  # immutable, since revision 1
  + .account            "prod"  # since revision 1
  + .network.cidr       "10.9.0.0/16"  # immutable, since revision 1
  + .network.zones[0]   "a"
  + .password           "(sensitive value)"
  + .replicas           5

Plan: 13 to add, 0 to change, 0 to remove.', 'as readers of terraform plan know it');
SELECT is(promote.plan_text('ecomm-production-db'), promote.plan_text('ecomm-production-db', 2),
    'the last one where none is named');
SELECT matches(promote.plan_text('ecomm-production-db', 1),
    '^ecomm-production-db, plan 1: revision 1, postgres 1\.0\.0\n', 'the first has nothing before it');
SELECT pg_temp.refuses(format('SELECT promote.plan_text(%L, %s)', i, d), state, detail, i || ' ' || d)
  FROM (VALUES ('ecomm-production-db', '9', 'PM002', 'from 1 to 2'), ('ecomm-production-db', '0', 'PM002',
      'from 1 to 2'), ('ecomm-prod-uswest-db', '1', 'PM002', 'Nothing was planned'),
               ('ecomm-prod-uswest-db', 'NULL', 'PM002', 'Nothing was planned'), ('ecomm-nowhere-db', '1', 'PM002',
                   'environment'), ('x', '1', 'PM001', 'three parts')) AS v(i, d, state, detail);
SELECT is(promote.format_diff('[]'), 'No changes. What is desired is what runs.', 'no changes');
SELECT alike(promote.format_diff(format('[{"path": ".a", "change": "change", "old": 1, "new": 2, "reverts": {'
    '"revision": 3, "actor": "a\u001bda", "message": "%s"}}]', repeat('é', 50))::jsonb),
    '%# undoes revision 3 by a?da: ' || repeat('é', 40) || '...%',
        'whose revision is undone, in short and without escapes');
SELECT is(promote.format_diff('[{"path": ".a", "change": "change", "old": {}, "new": [], "immutable": true}, {"path": '
    '".größe", "change": "add", "new": "line\nbreak"}]', true),
    E'  ~ .a      {} -> []  # immutable, forces replacement\n  + .größe  "line\\nbreak"\n\nPlan: 1 to add, 1 to '
        'change, 0 to remove.', 'marks, widths and escapes');
SELECT is(promote.format_diff('[{"path": ".a\n\u001b[31m", "change": "add", "new": "\u001b[0m"}]'),
    E'  + .a??[31m  "\\u001b[0m"\n\nPlan: 1 to add, 0 to change, 0 to remove.',
    'no control character reaches a terminal');
SELECT is(promote.format_diff('[{"path": ".a", "change": "change", "old": 1.50, "new": true, "immutable": true}]'),
    E'  ~ .a  1.50 -> true  # immutable\n\nPlan: 0 to add, 1 to change, 0 to remove.', 'immutable without replacement');
SELECT throws_ok(format('SELECT promote.format_diff(%L)', d), 'PM404', NULL, 'no diff: ' || d)
    FROM unnest(ARRAY['[{"path": ".a", "change": "add", "since": 99999999999999}]',
      '[{"path": ".a", "change": "add", "since": 1.5}]',
      '{}', '1', '[1]', '[{}]', '[{"path": 1, "change": "add"}]', '[{"path": "x"}]']) AS d;

-- ---- promotion_history ----
SELECT is(pg_temp.lines($$SELECT actor, database_role = current_user, project, source, source_revision, destination,
    revision, version_constraint, previous_version, version, changes, plan, plan_status, message,
                                 at BETWEEN now() AND clock_timestamp() FROM promote.promotion_history
                                     ORDER BY revision$$),
    E'(ada,t,ecomm,ecomm-staging-db,1,ecomm-production-db,2,~1+dev,,1.2.0-dev.20260915T101500Z,13,2,PENDING,sale,'
        't)\n(ada,t,ecomm,ecomm-staging-db,1,ecomm-production-db,3,~1+dev,,,,,,,t)',
    'promotions and nothing else: who, when, from where, what, which plan');

-- ---- config_as_of ----
SELECT is(pg_temp.lines(format('SELECT revision, params -> ''replicas'', version_constraint, release_channel, actor '
    'FROM promote.config_as_of(%L, %L)', 'ecomm-production-db', r.created_at + shift::interval)),
          expected, 'as of revision ' || r.revision || ' ' || shift)
  FROM (VALUES (1, '-1 us', NULL), (1, '0', '(1,,1.0.0,stable,' || (SELECT actor FROM promote.revision
      WHERE environment = 'production' AND revision = 1) || ')'), (2, '0', '(2,5,~1,development,ada)'),
               (3, '-1 us', '(2,5,~1,development,ada)'), (3, '0', '(3,1,~1,development,ada)'),
                   (3, '1 year', '(3,1,~1,development,ada)')) AS v(revision, shift, expected)
  JOIN promote.revision r ON r.environment = 'production' AND r.revision = v.revision;
SELECT is((SELECT revision FROM promote.config_as_of('ecomm-production-db')), 3, 'now where no time is given');
SELECT is((SELECT since FROM promote.config_as_of('ecomm-production-db')), (SELECT created_at FROM promote.revision
    WHERE environment = 'production' AND revision = 3), 'since when');
SELECT is_empty($$SELECT * FROM promote.config_as_of('ecomm-prod-uswest-db')$$,
    'no row for an instance without a revision');
SELECT is_empty($$SELECT * FROM promote.config_as_of('ecomm-production-db', '-infinity')$$, 'nor before time began');
SELECT pg_temp.refuses($$SELECT * FROM promote.config_as_of('ecomm-nowhere-db', now())$$, 'PM002', 'environment',
    'an unknown instance');

SELECT * FROM finish();
ROLLBACK;
