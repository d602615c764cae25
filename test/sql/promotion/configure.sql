-- Editing what an instance desires.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql

SELECT pg_temp.refuses($$SELECT promote.configure_instance('ecomm-prod-uswest-db', '{"size": "small"}')$$, 'PM103',
    '"tier" is missing', 'the first constraint is latest');
SELECT is(pg_temp.lines($$SELECT destination, old_revision, new_revision, deployment, changed, pg_temp.entries(diff)
    FROM promote.configure_instance('ecomm-prod-uswest-db', '{"size": "small", "tier": "x"}', message => 'born')$$),
    E'(ecomm-prod-uswest-db,,1,1,t,"release version add -> ""2.0.0"" 1\nrelease constraint add -> ""latest"" '
        '1\nrelease '
        'channel add -> ""stable"" 1\n.size add -> ""small"" 1\n.tier add -> ""x"" 1")', 'the first revision');
SELECT is(pg_temp.lines($$SELECT origin, version_constraint, release_channel, overrides, message, source_environment,
    source_revision FROM promote.revision WHERE environment = 'prod-uswest'$$),
    '(edit,latest,stable,"{""size"": ""(value)"", ""tier"": ""(value)""}",born,,)', 'says what was edited');
SELECT is(pg_temp.lines($$SELECT new_revision, changed
    FROM promote.configure_instance('ecomm-prod-uswest-db',
    '{"tier": null, "replicas": 2, "network": {"zones": ["z"]}}', '~1')$$), '(2,t)', 'a patch and a constraint');
SELECT is(pg_temp.params('ecomm-prod-uswest-db'), '{"size": "small", "replicas": 2, "network": {"zones": ["z"]}}',
    'RFC 7396: null removes, objects merge');
SELECT is(pg_temp.lines($$SELECT version_constraint, release_channel FROM promote.instance
    WHERE name = 'ecomm-prod-uswest-db'$$), '(~1,stable)', 'the constraint');
SELECT is(pg_temp.lines(format($$SELECT new_revision, changed
    FROM promote.configure_instance('ecomm-prod-uswest-db', '{"replicas": 3}', %L)$$, c)), e,
    'constraint ' || COALESCE(c, 'kept'))
  FROM (VALUES (1, NULL, '(3,t)'), (2, '~1', '(3,f)'), (3, '~1+dev', '(4,t)'), (4, NULL, '(4,f)'),
      (5, '1.0.0', '(5,t)'), (6, '1.0.0+dev', '(6,t)')) AS v(n, c, e);
SELECT is(pg_temp.lines($$SELECT version_constraint, release_channel FROM promote.instance
    WHERE name = 'ecomm-prod-uswest-db'$$), '(1.0.0,development)', 'channel apart');
SELECT is(pg_temp.lines($$SELECT new_revision, deployment
    FROM promote.configure_instance('ecomm-prod-uswest-db', '{"replicas": 4}', plan => false)$$), '(7,)',
    'without a plan');
SELECT is(pg_temp.lines($$SELECT changed, deployment FROM promote.configure_instance('ecomm-prod-uswest-db')$$),
    '(f,7)', 'an empty edit gives the plan that is missing');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-staging-cache')$$, 'an empty configuration is one');
SELECT pg_temp.refuses(format('SELECT promote.configure_instance(%L, %s, %s, expected_revision => %s)', i, p, c, r),
    state, detail, what)
  FROM (VALUES
    ('ecomm-prod-uswest-db', '''[1]''', 'NULL', 'NULL', 'PM108', 'Operation 0: it is not an object',
        'an array that is no JSON Patch'),
    ('ecomm-prod-uswest-db', '''1''', 'NULL', 'NULL', 'PM101', 'It is of type number', 'a patch that is a number'),
    ('ecomm-prod-uswest-db', '(repeat(''{"a":'', 1001) || 1 || repeat(''}'', 1001))::jsonb', 'NULL', 'NULL', 'PM102',
        'It has more than 1000 levels', 'a patch that is too deep'),
    ('ecomm-prod-uswest-db', 'jsonb_build_object(''a'', repeat(''x'', 17000000))', 'NULL', 'NULL', 'PM102',
        'It takes 170000', 'a patch that is too large'),
    ('ecomm-prod-uswest-db', '''{}''', '''soon''', 'NULL', 'PM201', 'not a number', 'no constraint'),
    ('ecomm-prod-uswest-db', '''{}''', '''~1.2.3''', 'NULL', 'PM201', 'more than a major',
        'a constraint that is not offered'),
    ('ecomm-prod-uswest-db', '''{}''', '''~7''', 'NULL', 'PM202', '2\.0\.0', 'no release'),
    ('ecomm-production-bare', '''{}''', 'NULL', 'NULL', 'PM202', 'no releases', 'a bundle without releases'),
    ('ecomm-prod-uswest-db', '''{"size": 1}''', 'NULL', 'NULL', 'PM103', '\.size', 'an invalid value'),
    ('ecomm-prod-uswest-db', '''{}''', 'NULL', '3', 'PM401', 'revision is 7', 'an expectation that does not hold'),
    ('ecomm-nowhere-db', '''{}''', 'NULL', 'NULL', 'PM002', 'environment', 'an unknown instance'),
    ('db', '''{}''', 'NULL', 'NULL', 'PM001', 'three parts', 'no instance name')) AS v(i, p, c, r, state, detail, what);
SELECT throws_ok($$SELECT promote.configure_instance('ecomm-prod-uswest-db',
    jsonb_build_object('a', repeat('x', 17000000)))$$, 'PM102', 'the patch is too large', '... in so many words');
SELECT ok(pg_temp.deploy('ecomm-production-db') > 0, 'deployed');
SELECT pg_temp.refuses($$SELECT promote.configure_instance('ecomm-production-db', '{"subnet": "private"}')$$, 'PM104',
    'subnet', 'an immutable value of what runs');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-production-db', '{"subnet": "private"}',
    allow_replace => true)$$, 'unless it may be replaced');
SELECT pg_temp.refuses($$SELECT promote.configure_instance('ecomm-production-db', '{"replicas": 4}')$$, 'PM104',
    'subnet', 'while it is to be replaced, every change of the plan says so again');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-production-db',
    '{"account": "new", "subnet": "internal"}')$$, 'what is not copyable may be edited');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the record is whole');

SELECT * FROM finish();
ROLLBACK;
