-- Remote references: slots, what fills them, and promotions that carry them.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
SET LOCAL promote.actor = 'ada';

INSERT INTO promote.bundle_release (bundle, version, params_schema, remote_references) VALUES
    ('redis', '2.0.0', '{}',
        '{"network": {"required": true, "description": "where it is"}, "dns": {"required": false}}'),
    ('redis', '2.1.0', '{}',
        '{"network": {"required": true}, "dns": {"required": false}, "logs": {"required": false}}'),
    ('redis', '2.2.0', '{}', '{"network": {"required": true}, "vault": {}}'),
    ('redis', '2.3.0', '{}', '{"dns": {"required": false}}');

CREATE FUNCTION pg_temp.references(instance text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(field || '=' || reference, ' ' ORDER BY field) FROM promote.reference_status r
        WHERE r.instance = $1 AND reference IS NOT NULL
$$;
CREATE FUNCTION pg_temp.events() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(event || ' ' || (data - 'actor' - 'database_role'), E'\n' ORDER BY seq) FROM promote.audit_log
        WHERE event ~ '^reference'
$$;
-- The last deployment's diff.
CREATE FUNCTION pg_temp.diff(instance text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT d.diff FROM promote.instance i JOIN promote.deployment d USING (project, environment, component, deployment)
        WHERE i.name = $1
$$;
CREATE FUNCTION pg_temp.destructive(instance text) RETURNS boolean LANGUAGE sql AS $$
    SELECT d.destructive FROM promote.instance i JOIN promote.deployment d USING (project, environment, component,
        deployment) WHERE i.name = $1
$$;
CREATE FUNCTION pg_temp.carries(instance text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT d.remote_references FROM promote.instance i JOIN promote.deployment d USING (project, environment, component,
        deployment) WHERE i.name = $1
$$;

-- ---- what a release declares ----
SELECT is((SELECT remote_references FROM promote.bundle_release WHERE bundle = 'redis' AND version = '1.0.0'), '{}',
    'no slots, where none are declared');
SELECT pg_temp.refuses(format('INSERT INTO promote.bundle_release (bundle, version, params_schema, remote_references) '
    'VALUES (''redis'', ''9.0.0'', ''{}'', %L)', slots), 'PM404', detail, what)
  FROM (VALUES ('[]', 'an object, with', 'an array'), ('"x"', 'an object, with', 'a string'),
      ('{"": {}}', '1 to 63', 'no name'), ('{"a b": {}}', '1 to 63', 'a name with a space'),
               ('{"-a": {}}', '1 to 63', 'a name that looks like an option'),
                   ('{"größe": {}}', '1 to 63', 'a name in other letters'), (format('{"%s": {}}', repeat('x', 64)),
                   '1 to 63', 'a long name'),
               ('{"a": true}', 'has to be an object', 'a slot that is none'),
                   ('{"a": {"required": "yes"}}', '"required", true or false', 'a word for a truth'),
               ('{"a": {"description": 1}}', 'a string', 'a number for a text'),
                   ('{"a": {"optional": true}}', 'Of a slot is said', 'another word')) AS v(slots, detail, what);
SELECT lives_ok($$INSERT INTO promote.bundle_release (bundle, version, params_schema, remote_references)
    VALUES ('redis', '9.0.0', '{}', format('{"a-B_1": {}, "%s": {"required": false, "description": ""}}',
    repeat('x', 63))::jsonb)$$, 'what may be declared');
SELECT throws_ok($$UPDATE promote.bundle_release SET remote_references = '{}' WHERE version = '2.0.0'$$, 'PM301', NULL,
    'what is published stays so');
SELECT throws_ok($$INSERT INTO promote.bundle_release (bundle, version, params_schema, remote_references)
    VALUES ('redis', '9.0.1', '{}', NULL)$$, '23502', NULL, 'no slots are {}');

-- ---- setting ----
SELECT pg_temp.refuses($$SELECT promote.set_remote_reference('ecomm-staging-cache', 'network', 'vpc-1')$$, 'PM005',
    'no revision', 'an instance without a release');
SELECT promote.configure_instance('ecomm-staging-cache', '{"a": 1}', '2.0.0') \g /dev/null
SELECT promote.configure_instance('ecomm-production-cache', '{"a": 0}', '2.0.0') \g /dev/null
SELECT is(pg_temp.lines($$SELECT field, required, declared, description, reference, set_at, set_by
    FROM promote.reference_status WHERE instance = 'ecomm-staging-cache' ORDER BY field$$),
    E'(dns,f,t,,,,)\n(network,t,t,"where it is",,,)', 'empty slots');
SELECT is(promote.set_remote_reference('ecomm-staging-cache', 'network', 'vpc-1'), true, 'one is filled');
SELECT is(promote.set_remote_reference('ecomm-staging-cache', 'network', 'vpc-1'), false,
    'the same again changes nothing');
SELECT is(pg_temp.lines($$SELECT field, reference, set_at BETWEEN now() AND clock_timestamp(), set_by
    FROM promote.reference_status WHERE instance = 'ecomm-staging-cache' AND reference IS NOT NULL$$),
    '(network,vpc-1,t,ada)', 'with who and when');
SELECT is((SELECT database_role FROM promote.remote_reference), current_user::text, 'and the role');
SELECT is(promote.set_remote_reference('ecomm-staging-cache', 'network', 'urn:net:2'), true, 'another takes its place');
SELECT is(promote.remove_remote_reference('ecomm-staging-cache', 'dns'), false, 'an empty slot is not emptied');
SELECT is(promote.set_remote_reference('ecomm-staging-cache', 'dns', 'https://dns.example.com/z?a=b:c@d'), true,
    'a URI');
SELECT is(promote.remove_remote_reference('ecomm-staging-cache', 'dns'), true, 'is taken away');
SELECT is(pg_temp.events(),
    E'reference.set {"new": "vpc-1", "field": "network"}\nreference.set {"new": "urn:net:2", "old": "vpc-1", "field": '
    '"network"}\nreference.set {"new": "https://dns.example.com/z?a=b:c@d", "field": "dns"}\nreference.removed {"old": '
    '"https://dns.example.com/z?a=b:c@d", "field": "dns"}', 'each change is recorded, and nothing else');
SELECT is((SELECT bool_and(data ->> 'actor' = 'ada' AND actor = 'ada' AND subject = 'ecomm-staging-cache')
    FROM promote.audit_log WHERE event ~ '^reference'), true, 'with who did it');
SELECT pg_temp.refuses(statement, state, detail, statement)
  FROM (VALUES ($$SELECT promote.set_remote_reference('ecomm-staging-cache', 'netwrok', 'x')$$, 'PM714',
      '^It declares: dns, network\.$'),
               ($$SELECT promote.remove_remote_reference('ecomm-staging-cache', 'netwrok')$$, 'PM714',
                   '^It declares: dns, network\.$'),
               ($$SELECT promote.set_remote_reference('ecomm-staging-db', 'network', 'x')$$, 'PM714',
                   '^It declares none\.$'),
               ($$SELECT promote.set_remote_reference('ecomm-staging-cache', 'network', '')$$, 'PM404',
                   'null or empty'),
               ($$SELECT promote.set_remote_reference('ecomm-staging-cache', 'network', NULL)$$, 'PM404',
                   'null or empty'),
               ($$SELECT promote.set_remote_reference('ecomm-staging-cache', NULL, 'x')$$, 'PM404', 'null or empty'),
               ($$SELECT promote.set_remote_reference(NULL, 'network', 'x')$$, 'PM001', 'null'),
               ($$SELECT promote.set_remote_reference('ecomm-nowhere-cache', 'network', 'x')$$, 'PM002', 'environment'),
               ($$SELECT promote.set_remote_reference('ecomm-staging-cache', 'network', repeat('x', 2049))$$, 'PM404',
                   '2048'),
               ($$SELECT promote.set_remote_reference('ecomm-staging-cache', 'network', E'a\nb')$$, 'PM404', 'control'),
               ($$SELECT promote.set_remote_reference('ecomm-staging-cache', 'network', ' a')$$, 'PM404', 'space'),
               ($$SELECT promote.set_remote_reference('ecomm-staging-cache', 'network', 'postgres://u:geheim@h/d')$$,
                   'PM404', 'a URI with a password'),
               ($$SELECT promote.set_remote_reference('ecomm-staging-cache', 'network', 'postgres://u@v:geheim@h/d')$$,
                   'PM404', 'a URI with a password'),
               ($$SELECT promote.remove_remote_reference('ecomm-staging-cache', '')$$, 'PM404', 'null or empty'),
               ($$SELECT promote.remove_remote_reference('nowhere', 'network')$$, 'PM001',
                   'three parts')) AS v(statement, state, detail);
SELECT unalike((SELECT message || detail || hint
    FROM pg_temp.refusal($$SELECT promote.set_remote_reference('ecomm-staging-cache', 'network',
    'postgres://u:geheim@h/d')$$)), '%geheim%', 'what may be a secret is not shown');
SELECT is(promote_internal.check_reference('postgres://u@h:5432/d')
    AND promote_internal.check_reference(repeat('x', 2048)), true, 'what a reference may be');
SELECT pg_temp.refuses(format('SELECT promote_internal.check_reference(%L)', r), 'PM404', detail,
    'no reference: ' || quote_literal(r)) FROM (VALUES ('a ', 'space'), ('', '2048 bytes')) AS v (r, detail);
SELECT lives_ok($$SELECT promote.set_remote_reference('ecomm-staging-cache', 'dns', 'Zürich "a" ''b'' $md')$$,
    'odd characters');
SELECT is(pg_temp.references('ecomm-staging-cache'), $$dns=Zürich "a" 'b' $md network=urn:net:2$$,
    '... are kept as they are');
SELECT is(promote.remove_remote_reference('ecomm-staging-cache', 'dns'), true, '... and taken away');

-- ---- nobody else writes the table ----
CREATE ROLE promote_test_cheat;
GRANT ALL ON promote.remote_reference TO promote_test_cheat;
SELECT throws_ok(s, 'PM303', NULL, s)
    FROM unnest(ARRAY[$$UPDATE promote.remote_reference SET reference = 'x'$$,
    $$DELETE FROM promote.remote_reference$$]) AS s;
SELECT throws_ok('TRUNCATE promote.remote_reference', 'PM301', NULL, 'nor empties it');
SET LOCAL session_replication_role = replica;
SELECT throws_ok(s, 'PM303', NULL, s || ' by a replica')
    FROM unnest(ARRAY[$$UPDATE promote.remote_reference SET reference = 'x'$$,
    $$DELETE FROM promote.remote_reference$$]) AS s;
RESET session_replication_role;
SELECT throws_ok($$INSERT INTO promote.remote_reference VALUES ('ecomm', 'production', 'db', 'x', 'y', 'a', 'b')$$,
    'PM303', NULL, 'nor the owner adds to it');
SET LOCAL row_security = off;
SELECT lives_ok($$INSERT INTO promote.remote_reference VALUES ('ecomm', 'production', 'db', 'x', 'y', 'a', 'b')$$,
    '... who may load a dump');
RESET row_security;
SELECT is(pg_temp.lines($$SELECT field, required, declared, reference FROM promote.reference_status
    WHERE instance = 'ecomm-production-db'$$), '(x,f,f,y)', 'what no slot is declared for is shown as that');
SELECT is(promote.remove_remote_reference('ecomm-production-db', 'x'), true, '... and may be removed');
SET LOCAL row_security = off;
SELECT throws_ok($$INSERT INTO promote.remote_reference VALUES ('ecomm', 'production', 'db', 'x', '', 'a', 'b')$$,
    'PM404', NULL, '... but not with nothing');
RESET row_security;
SELECT throws_ok($$CREATE TRIGGER t BEFORE UPDATE ON promote.project FOR EACH ROW EXECUTE FUNCTION
    promote_internal.guard_reference(); UPDATE promote.project SET project = project$$, '39P01', NULL,
    'the guard is not for other tables');
SET LOCAL ROLE promote_test_cheat;
SELECT throws_ok($$INSERT INTO promote.remote_reference VALUES ('ecomm', 'production', 'cache', 'network', 'y', 'a',
    'b')$$, 'PM303', NULL, 'who may write the table may not');
RESET ROLE;

-- ---- the gate ----
SELECT is(pg_temp.lines($$SELECT code, message, overridable FROM promote.blockers('ecomm-production-cache')
    WHERE code = 'references'$$),
    '(references,"""ecomm-production-cache"" lacks remote references that release 2.0.0 requires: network",f)',
    'a required slot that is empty blocks');
SELECT is(pg_temp.lines($$SELECT count(*) FROM promote.blockers('ecomm-staging-cache') WHERE code = 'references'$$),
    '(0)', 'one that is not required does not');
SELECT is(pg_temp.lines($$SELECT count(*) FROM promote.blockers('ecomm-staging-db') WHERE code = 'references'$$), '(0)',
    'nor a release without slots');
SELECT is(pg_temp.work('ecomm-production-cache'), 1, 'plans are made all the same');
SELECT pg_temp.refuses($$SELECT promote.deploy_instance('ecomm-production-cache')$$, 'PM601',
    'references: .*lacks remote references that release 2.0.0 requires: network', 'deploying is refused');
SELECT is(pg_temp.lines($$SELECT code, kind, overridable, decommission FROM promote.gates()
    WHERE code = 'references'$$), '(references,static,f,f)', 'a gate of facts');

-- ---- the preview ----
SELECT is(pg_temp.lines($$SELECT path, change, old_value, new_value, origin, immutable, sensitive
    FROM promote.preview_promotion('ecomm-staging-cache', 'ecomm-production-cache') WHERE change <> 'none'$$),
    '(.a,change,0,1,source,f,f)',
    'nothing is copied unasked');
SELECT is(pg_temp.lines($$SELECT path, change, old_value, new_value, origin, immutable, sensitive
    FROM promote.preview_promotion('ecomm-staging-cache', 'ecomm-production-cache', copy_remote_references => true)
    WHERE change <> 'none'$$), E'(.a,change,0,1,source,f,f)\n("reference network",add,,"""urn:net:2""",source,f,f)',
        'the preview shows what would be copied');
SELECT is(pg_temp.references('ecomm-production-cache'), NULL, '... and copies nothing');

-- ---- the promotion ----
SELECT is(pg_temp.lines($$SELECT changed, new_revision, pg_temp.entries(diff, 2)
    FROM promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache')$$),
    '(t,2,".a add -> 1 2")', 'unasked nothing is copied');
SELECT is(pg_temp.lines($$SELECT old_revision, new_revision, deployment, changed, diff -> -1
    FROM promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache', copy_remote_references => true)$$),
    '(2,2,3,t,"{""new"": ""urn:net:2"", ""kind"": ""reference"", ""path"": ""reference network"", ""since"": 2, '
        '""change"": ""add""}")', 'references alone are a change without a revision, and are planned');
SELECT is(pg_temp.references('ecomm-production-cache'), 'network=urn:net:2', 'they are copied');
SELECT is(pg_temp.lines($$SELECT actor FROM promote.remote_reference WHERE environment = 'production'$$), '(ada)',
    '... by whom');
SELECT is(pg_temp.carries('ecomm-production-cache'), '{"network": "urn:net:2"}', 'the plan carries them');
SELECT is(pg_temp.lines($$SELECT deployment, changed
    FROM promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache', copy_remote_references => true)$$),
    '(,f)', 'once');
SELECT is((SELECT event || ' ' || (data - 'actor' - 'database_role') FROM promote.audit_log
    WHERE event = 'references.copied'),
    'references.copied {"source": "ecomm-staging-cache", "references": [{"new": "urn:net:2", "kind": "reference", '
        '"path": "reference network", "change": "add"}]}', 'recorded once');
SELECT is(promote.plan_text('ecomm-production-cache'),
    E'ecomm-production-cache, plan 3: revision 2, redis 2.0.0\n\n  + release version     "2.0.0"  # since revision 1\n'
    '  + release constraint  "2.0.0"  # since revision 1\n  + release channel     "stable"  # since revision 1\n  + '
        '.a    '
    '              1\n  + reference network   "urn:net:2"\n\nPlan: 5 to add, 0 to change, 0 to remove.',
        'the plan''s text shows them');
SELECT is(pg_temp.lines($$SELECT path FROM promote.config_changes WHERE instance = 'ecomm-production-cache'
    AND deployment = 3$$), '(.a)', 'they are no leaves of the configuration');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the record is whole');
SELECT is(promote.set_remote_reference('ecomm-production-cache', 'dns', 'own'), true,
    'the destination has one of its own');
SELECT is(promote.set_remote_reference('ecomm-staging-cache', 'network', 'vpc-3'), true, 'the source moves');
SELECT is(pg_temp.lines($$SELECT path, change, old_value, new_value, since, origin
    FROM promote.preview_promotion('ecomm-staging-cache', 'ecomm-production-cache', copy_remote_references => true)
    WHERE kind = 'reference'$$),
    E'("reference network",change,"""urn:net:2""","""vpc-3""",2,source)\n("reference dns",keep,"""own""","""own""",2,'
        'destination)',
        'what was set by hand shows in the next plan, too');
SELECT is(pg_temp.lines($$SELECT path, change, origin
    FROM promote.preview_promotion('ecomm-staging-cache', 'ecomm-production-cache') WHERE kind = 'reference'$$),
    E'("reference dns",none,destination)\n("reference network",none,destination)', '... copied or not');
SELECT is(pg_temp.lines($$SELECT changed, deployment IS NULL,
    diff @> '[{"path": "reference network", "change": "add", "new": "vpc-3"}]'
    FROM promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache', copy_remote_references => true,
    plan => false)$$), '(t,t,t)', 'without a plan it says so all the same');
SELECT is(pg_temp.references('ecomm-production-cache'), 'dns=own network=vpc-3', 'what the source lacks stays');
SELECT is(pg_temp.lines($$SELECT changed, deployment, pg_temp.entries(diff, 2)
    FROM promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache')$$),
    E'(f,4,".a add -> 1 2\nreference dns add -> ""own"" 2\nreference network add -> ""vpc-3"" 2")',
    'what was never planned is');
SELECT is(pg_temp.lines($$SELECT path, change, old_value, new_value, origin
    FROM promote.preview_promotion('ecomm-staging-cache', 'ecomm-production-cache', copy_remote_references => true)
    WHERE change = 'keep'$$), '("reference dns",keep,"""own""","""own""",destination)',
        'the preview says what is kept');

-- ---- by its key ----
SELECT is(pg_temp.lines($$SELECT changed FROM promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache',
    idempotency_key => 'k')$$), '(f)', 'a call');
SELECT pg_temp.refuses($$SELECT promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache',
    idempotency_key => 'k', copy_remote_references => true)$$, 'PM402', 'other arguments',
    'is another one than that which copies references');
SELECT pg_temp.refuses($$SELECT promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache',
    idempotency_key => 'k', copy_secrets => true)$$, 'PM402', 'other arguments', '... or secrets');
SELECT lives_ok($$SELECT promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache',
    idempotency_key => 'r', copy_remote_references => true)$$, 'with both');
SELECT pg_temp.refuses($$SELECT promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache',
    idempotency_key => 'r', copy_secrets => true)$$, 'PM402', 'other arguments', 'the one is not the other');
SELECT pg_temp.refuses($$SELECT promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache',
    expected_revision => 1, copy_remote_references => true)$$, 'PM401', 'revision is 2',
    'an expectation that does not hold');

-- ---- what was reviewed is what runs ----
SELECT is(pg_temp.work('ecomm-production-cache') > 0, true, 'planned');
SELECT is(promote.set_remote_reference('ecomm-production-cache', 'network', 'vpc-4'), true,
    'a reference moves behind the plan');
SELECT pg_temp.refuses($$SELECT promote.deploy_instance('ecomm-production-cache')$$, 'PM503',
    '^Remote references have changed: network\.$', 'what was reviewed is not that');
SELECT is(pg_temp.lines($$SELECT code FROM promote.blockers('ecomm-production-cache') WHERE code = 'plan'$$), '(plan)',
    '... says the gate, too');
SELECT is(promote.remove_remote_reference('ecomm-production-cache', 'dns'), true, 'another goes');
SELECT pg_temp.refuses($$SELECT promote.deploy_instance('ecomm-production-cache')$$, 'PM503',
    '^Remote references have changed: dns, network\.$', 'all are named');
SELECT is(promote.set_remote_reference('ecomm-production-cache', 'network', 'vpc-3')
    AND promote.set_remote_reference('ecomm-production-cache', 'dns', 'own'), true, 'back');
SELECT lives_ok($$SELECT promote.propose_deployment('ecomm-production-cache')$$,
    'what is as it was reviewed may be proposed');
SELECT is(promote.set_remote_reference('ecomm-production-cache', 'network', 'vpc-4'), true, 'again');
SELECT pg_temp.refuses(format($$SELECT promote.approve_deployment('ecomm-production-cache', %s)$$, (SELECT deployment
    FROM promote.instance WHERE name = 'ecomm-production-cache')), 'PM503', 'Remote references have changed: network\.',
    'a proposal is held against it as well');
SELECT is(pg_temp.lines($$SELECT remote_references,
    diff @> '[{"path": "reference network", "change": "add", "new": "vpc-4"}]'
    FROM promote.plan_instance('ecomm-production-cache')$$),
    '("{""dns"": ""own"", ""network"": ""vpc-4""}",t)', 'planned again, against what runs: nothing');
CREATE TEMP TABLE planned ON COMMIT DROP AS SELECT deployment FROM promote.instance
    WHERE name = 'ecomm-production-cache';
SELECT is((promote.plan_instance('ecomm-production-cache')).deployment, (SELECT deployment FROM planned),
    'the same once');
SELECT is(pg_temp.work('ecomm-production-cache'), 1, 'planned');
CREATE TEMP TABLE queued ON COMMIT DROP AS SELECT deployment FROM promote.deploy_instance('ecomm-production-cache');
SELECT is(promote.set_remote_reference('ecomm-production-cache', 'dns', 'later'), true,
    'what moves while it is queued');
UPDATE promote.instance SET attributes = '{"mine": 1}' WHERE name = 'ecomm-production-cache';
CREATE TEMP TABLE claim ON COMMIT DROP AS SELECT * FROM promote.claim_deployment('w', selector => '{"mine": 1}');
SELECT is((SELECT remote_references FROM claim), '{"dns": "own", "network": "vpc-4"}',
    'does not come to the worker, who gets what was reviewed');
SELECT lives_ok($$SELECT promote.complete_deployment(instance, deployment, fencing) FROM claim$$, 'it runs');
SELECT is(promote.set_remote_reference('ecomm-production-cache', 'dns', 'own'), true, 'back to what runs is allowed');

-- ---- provisioned ----
SELECT pg_temp.refuses($$SELECT promote.deploy_instance('ecomm-production-cache', plan => 1)$$, 'PM503',
    'Remote references have changed', 'a plan of before');
SELECT is((SELECT deployment FROM promote.deploy_instance('ecomm-production-cache')), (SELECT deployment FROM queued),
    'what runs is not deployed again');
SELECT promote.set_remote_reference('ecomm-production-cache', 'dns', 'other', true) \g /dev/null
SELECT pg_temp.refuses($$SELECT promote.deploy_instance('ecomm-production-cache')$$, 'PM503',
    'Remote references have changed: dns\.', 'what was carried out with others is not what is desired');
SELECT promote.set_remote_reference('ecomm-production-cache', 'dns', 'own') \g /dev/null
SELECT pg_temp.refuses(s, 'PM721', '^What runs has others in: network\.$', s)
    FROM unnest(ARRAY[$$SELECT promote.set_remote_reference('ecomm-production-cache', 'network', 'vpc-9')$$,
    $$SELECT promote.set_remote_reference('ecomm-production-cache', 'network', 'vpc-9', NULL)$$,
        $$SELECT promote.remove_remote_reference('ecomm-production-cache', 'network')$$,
        $$SELECT promote.remove_remote_reference('ecomm-production-cache', 'network', false)$$]) AS s;
SELECT is(promote.set_remote_reference('ecomm-production-cache', 'network', 'vpc-4'), false,
    'the same again changes nothing');
SELECT is(promote.set_remote_reference('ecomm-staging-cache', 'dns', 'sdns'), true, 'staging is not provisioned');
SELECT pg_temp.refuses($$SELECT promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache',
    copy_remote_references => true)$$, 'PM721', '^What runs has others in: dns, network\.$',
    'copying is refused, all of them named');
SELECT is(pg_temp.lines($$SELECT path, change, old_value, new_value, immutable
    FROM promote.preview_promotion('ecomm-staging-cache', 'ecomm-production-cache', copy_remote_references => true)
    WHERE path ~ 'reference' AND kind <> 'violation'$$),
    E'("reference dns",change,"""own""","""sdns""",t)\n("reference network",change,"""vpc-4""","""vpc-3""",t)',
        'the preview marks them');
SELECT is(pg_temp.lines($$SELECT path, problem
    FROM promote.preview_promotion('ecomm-staging-cache', 'ecomm-production-cache', copy_remote_references => true)
    WHERE kind = 'violation' ORDER BY path$$),
    E'("reference dns","what runs has another one")\n("reference network","what runs has another one")',
        '... and says that copying would be refused');
SELECT lives_ok($$SELECT promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache', '{"a": 5}')$$,
    'what copies nothing is as ever');
SELECT is(pg_temp.destructive('ecomm-production-cache'), false, '... and replaces nothing');
SELECT is(pg_temp.lines($$SELECT changed, diff @> '[{"path": "reference dns", "immutable": true}]'
    FROM promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache', '{"a": 5}',
    copy_remote_references => true, allow_replace => true)$$), '(t,t)', 'unless it may replace');
SELECT is(pg_temp.destructive('ecomm-production-cache'), true, '... which marks the plan');
SELECT matches(promote.plan_text('ecomm-production-cache'),
    'What runs would be replaced.*~ reference network  "vpc-4" -> "vpc-3"  # immutable, forces replacement',
    '... and its text');
SELECT is(pg_temp.lines($$SELECT changed, deployment
    FROM promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache', '{"a": 5}',
    copy_remote_references => true)$$), '(f,)', 'what is there already replaces nothing');
SELECT pg_temp.refuses($$SELECT promote.set_remote_reference('ecomm-production-cache', 'dns', 'third')$$, 'PM721',
    '^What runs has others in: dns\.$', 'as long as it is not deployed every further change has to say so');
SELECT is(promote.set_remote_reference('ecomm-production-cache', 'dns', 'own')
    AND promote.set_remote_reference('ecomm-production-cache', 'network', 'vpc-4'), true, 'back to what runs');
SELECT is(pg_temp.lines($$SELECT destructive FROM promote.plan_instance('ecomm-production-cache')$$), '(f)',
    'nothing is replaced then');
SELECT is(promote.remove_remote_reference('ecomm-production-cache', 'dns', true), true,
    'removed, where what runs may be replaced');
SELECT is(pg_temp.lines($$SELECT destructive,
    diff @> '[{"path": "reference dns", "change": "remove", "old": "own", "immutable": true}]'
    FROM promote.plan_instance('ecomm-production-cache')$$), '(t,t)', '... is planned as that');
SELECT is(promote.set_remote_reference('ecomm-production-cache', 'dns', 'own'), true, 'filled again with what runs');
-- a slot that what runs had, and that was empty
SELECT is(promote.set_remote_reference('ecomm-staging-cache', 'network', 'vpc-s'), true, 'staging');
SELECT is(promote.remove_remote_reference('ecomm-staging-cache', 'dns'), true, '... without dns');
SELECT ok(pg_temp.deploy('ecomm-staging-cache') > 0, '... is deployed');
SELECT pg_temp.refuses($$SELECT promote.set_remote_reference('ecomm-staging-cache', 'dns', 'x')$$, 'PM721',
    '^What runs has others in: dns\.$', 'to fill a slot that what runs has empty changes it as well');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-staging-cache', '{}', '2.1.0')$$,
    'a release with another slot');
SELECT is(promote.set_remote_reference('ecomm-staging-cache', 'logs', 'l'), true,
    '... which what runs never had: that may be filled');
SELECT pg_temp.refuses($$SELECT promote.set_remote_reference('ecomm-staging-cache', 'dns', 'x')$$, 'PM721', 'dns',
    '... the other still not');
SELECT is(pg_temp.lines($$SELECT destructive, diff -> -1, remote_references
    FROM promote.plan_instance('ecomm-staging-cache')$$),
    '(f,"{""new"": ""l"", ""kind"": ""reference"", ""path"": ""reference logs"", ""since"": 2, ""change"": ""add""}",'
    '"{""logs"": ""l"", ""network"": ""vpc-s""}")', '... and replaces nothing');

-- ---- of the destination's release only ----
SELECT is(pg_temp.lines($$SELECT changed FROM promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache',
    copy_remote_references => true, allow_replace => true)$$), '(t)', 'promoted with its release');
SELECT is(pg_temp.references('ecomm-production-cache'), 'dns=own logs=l network=vpc-s',
    'slots are those of the release to come');
SELECT is(pg_temp.lines($$SELECT path, change, a_value, b_value
    FROM promote.compare_instances('ecomm-staging-cache', 'ecomm-production-cache') WHERE kind = 'reference'$$),
    '("reference dns",add,,"""own""")', 'instances are compared by them, too');
SELECT is(pg_temp.lines($$SELECT path, change, a_value, b_value
    FROM promote.compare_deployments('ecomm-production-cache/3', 'ecomm-production-cache') WHERE kind = 'reference'
    ORDER BY path$$), E'("reference dns",add,,"""own""")\n("reference logs",add,,"""l""")\n("reference '
        'network",change,"""urn:net:2""","""vpc-s""")',
    '... and deployments');
SELECT ok(pg_temp.work('ecomm-production-cache') > 0, 'planned');
SELECT is(pg_temp.lines($$SELECT message FROM promote.blockers('ecomm-production-cache') WHERE code = 'unexpected'$$),
    NULL, 'they are no values that the source has to have run with');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-staging-cache', '{}', '2.3.0')$$,
    'a release that has fewer');
SELECT is(pg_temp.lines($$SELECT field, declared, required, reference FROM promote.reference_status
    WHERE instance = 'ecomm-staging-cache' ORDER BY field$$), E'(dns,t,f,)\n(logs,f,f,l)\n(network,f,f,vpc-s)',
    'what fills others is kept, and given to nobody');
SELECT is(pg_temp.carries('ecomm-staging-cache'), NULL, '... not to a worker');
SELECT is(pg_temp.destructive('ecomm-staging-cache'), false, 'a slot that is no more is the release''s change');
SELECT lives_ok($$SELECT promote.set_remote_reference('ecomm-production-cache', 'network', 'vpc-p', true)$$,
    'production has its own');
SELECT lives_ok($$SELECT promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache',
    copy_remote_references => true)$$, 'promoted');
SELECT is((SELECT string_agg(field || '=' || reference, ' ' ORDER BY field) FROM promote.remote_reference
    WHERE environment = 'production'), 'dns=own logs=l network=vpc-p',
    'what the release does not declare is not copied');
SELECT is(promote.remove_remote_reference('ecomm-staging-cache', 'logs'), true,
    'what no slot is for is removed freely');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-staging-cache', '{}', '2.2.0')$$,
    'a release that says of a slot nothing');
SELECT is(pg_temp.lines($$SELECT message FROM promote.blockers('ecomm-staging-cache') WHERE code = 'references'$$),
    '("""ecomm-staging-cache"" lacks remote references that release 2.2.0 requires: vault")', '... requires it');

-- ---- on the way back, and at the end ----
SELECT is(promote.set_remote_reference('ecomm-staging-cache', 'vault', 'v'), true, 'filled');
SELECT ok(pg_temp.deploy('ecomm-staging-cache') > 0, 'deployed');
SELECT is(pg_temp.lines($$SELECT kind, path, change, old_value, new_value
    FROM promote.rehearse_rollback('ecomm-staging-cache') WHERE kind = 'reference'$$),
    '(reference,"reference vault",remove,"""v""",)', 'a rehearsal shows what would go with the release');
SELECT is(promote.set_remote_reference('ecomm-staging-cache', 'network', 'vpc-t', true), true,
    'another network is desired than the one that runs');
SELECT is(pg_temp.lines($$SELECT path, change, old_value, new_value, immutable
    FROM promote.rehearse_rollback('ecomm-staging-cache') WHERE kind = 'reference' ORDER BY path$$),
    E'("reference network",change,"""vpc-s""","""vpc-t""",t)\n("reference vault",remove,"""v""",,f)',
        '... and the rehearsal says which reference would replace what runs');
SELECT is(promote.set_remote_reference('ecomm-staging-cache', 'network', 'vpc-s'), true, 'the one that runs again');
SELECT is(pg_temp.lines($$SELECT changed FROM promote.rollback_instance('ecomm-staging-cache')$$), '(t)',
    'rolled back');
SELECT is(pg_temp.references('ecomm-staging-cache'), 'network=vpc-s vault=v', 'references stay what they are');
SELECT is(pg_temp.carries('ecomm-staging-cache'), '{"network": "vpc-s"}',
    '... and are those of the slots of the release');
SELECT is(pg_temp.lines($$SELECT remote_references,
    diff @> '[{"path": "reference vault", "change": "remove", "old": "v"}]'
    FROM promote.decommission_instance('ecomm-staging-cache')$$), '("{""vault"": ""v"", ""network"": ""vpc-s""}",t)',
    'what is taken away is so with what it ran with');
SELECT ok(pg_temp.work('ecomm-staging-cache') > 0, 'taken away');
SELECT is(promote.set_remote_reference('ecomm-staging-cache', 'network', 'free'), true,
    'what does not run is not fixed');

-- ---- what was queued before something else was provisioned ----
UPDATE promote.environment SET require_plan = false;
INSERT INTO promote.instance (project, environment, component) VALUES ('ecomm', 'prod-uswest', 'cache');
SELECT promote.configure_instance('ecomm-prod-uswest-cache', '{}', '2.0.0', plan => false) \g /dev/null
SELECT promote.set_remote_reference('ecomm-prod-uswest-cache', 'network', 'one') \g /dev/null
SELECT is((SELECT d.status FROM promote.deploy_instance('ecomm-prod-uswest-cache') d), 'PENDING',
    'a deployment without a plan');
SELECT promote.set_remote_reference('ecomm-prod-uswest-cache', 'network', 'two') \g /dev/null
SELECT is((SELECT d.deployment FROM promote.deploy_instance('ecomm-prod-uswest-cache') d), 2,
    'with another reference it is another');
SELECT is(pg_temp.work('ecomm-prod-uswest-cache'), 1, 'the first is carried out');
SELECT is(pg_temp.lines($$SELECT status, reason FROM promote.deployment WHERE environment = 'prod-uswest'
    AND deployment = 2$$), '(ABORTED,"remote references of what deployment 1 has provisioned since would change: '
    'network")', '... and the other would replace it');
SELECT is((SELECT status FROM promote.instance_status WHERE instance = 'ecomm-prod-uswest-cache'), 'stale',
    'what runs has other references than are desired');
SELECT promote.set_remote_reference('ecomm-prod-uswest-cache', 'network', 'two') \g /dev/null
SELECT is((SELECT d.deployment FROM promote.deploy_instance('ecomm-prod-uswest-cache') d), 3,
    'deployed by intent it is not refused');
SELECT is(pg_temp.work('ecomm-prod-uswest-cache'), 1, '... and runs');
SELECT is((SELECT status FROM promote.instance_status WHERE instance = 'ecomm-prod-uswest-cache'), 'in_sync',
    '... as desired');
SELECT is((SELECT destructive FROM promote.deployment WHERE environment = 'prod-uswest' AND deployment = 3), true,
    '... known to replace');

-- ---- votes are on the references, too ----
UPDATE promote.environment SET require_plan = true;
INSERT INTO promote.approval_rule (project, environment, rule, role, quorum)
    VALUES ('ecomm', 'prod-uswest', 'owner', current_user, 1);
SELECT promote.set_remote_reference('ecomm-prod-uswest-cache', 'dns', 'a', true) \g /dev/null
SELECT promote.plan_instance('ecomm-prod-uswest-cache') \g /dev/null
SELECT pg_temp.work('ecomm-prod-uswest-cache') \g /dev/null
SELECT promote.approve_deployment('ecomm-prod-uswest-cache', 4) \g /dev/null
SELECT is(pg_temp.lines($$SELECT code FROM promote.blockers('ecomm-prod-uswest-cache')$$), NULL, 'approved');
SELECT promote.set_remote_reference('ecomm-prod-uswest-cache', 'dns', 'b', true) \g /dev/null
SELECT promote.plan_instance('ecomm-prod-uswest-cache') \g /dev/null
SELECT pg_temp.work('ecomm-prod-uswest-cache') \g /dev/null
SELECT is(pg_temp.lines($$SELECT code FROM promote.blockers('ecomm-prod-uswest-cache')$$), '(approval)',
    'a plan with other references is another, though its params are the same');
SELECT promote.set_remote_reference('ecomm-prod-uswest-cache', 'dns', 'a', true) \g /dev/null
SELECT promote.plan_instance('ecomm-prod-uswest-cache') \g /dev/null
SELECT pg_temp.work('ecomm-prod-uswest-cache') \g /dev/null
SELECT is(pg_temp.lines($$SELECT code FROM promote.blockers('ecomm-prod-uswest-cache')$$), NULL,
    'one with those is not');

-- ---- what may run: also what was begun and has failed ----
SELECT promote.set_remote_reference('ecomm-prod-uswest-cache', 'network', 'three', true) \g /dev/null
SELECT promote.plan_instance('ecomm-prod-uswest-cache') \g /dev/null
SELECT pg_temp.work('ecomm-prod-uswest-cache') \g /dev/null
SELECT promote.approve_deployment('ecomm-prod-uswest-cache', deployment) FROM promote.instance
    WHERE name = 'ecomm-prod-uswest-cache' \g /dev/null
SELECT promote.deploy_instance('ecomm-prod-uswest-cache') \g /dev/null
UPDATE promote.instance SET attributes = '{"mine": 2}' WHERE name = 'ecomm-prod-uswest-cache';
SELECT is((SELECT f.status FROM promote.claim_deployment('w', selector => '{"mine": 2}') AS c,
    promote.fail_deployment(c.instance, c.deployment, 'broken', c.fencing) AS f), 'FAILED',
    'a deployment with another reference fails half way');
SELECT pg_temp.refuses($$SELECT promote.set_remote_reference('ecomm-prod-uswest-cache', 'network', 'two')$$, 'PM721',
    'network', '... so that to go back is a change of what may run');

-- ---- who may ----
CREATE ROLE promote_test_setter;
INSERT INTO promote.grants (role, project, environment, action)
    VALUES ('promote_test_setter', 'ecomm', 'staging', 'configure'), ('promote_test_setter', 'ecomm', 'production',
    'view');
SET LOCAL promote.actor = '';
SET LOCAL ROLE promote_test_setter;
SELECT throws_ok(format('SELECT promote.%s', call), 'PM701', NULL, call)
    FROM unnest(ARRAY[$$set_remote_reference('ecomm-production-cache', 'network', 'x')$$,
    $$remove_remote_reference('ecomm-production-cache', 'network')$$]) AS call;
SELECT lives_ok($$SELECT promote.set_remote_reference('ecomm-staging-cache', 'network', 'mine')$$,
    'who may configure may set references');
SELECT lives_ok($$SELECT promote.remove_remote_reference('ecomm-staging-cache', 'network')$$, '... and remove them');
RESET ROLE;

SELECT throws_ok(format($$UPDATE promote.deployment SET remote_references = '{"network": "forged"}'
    WHERE environment = 'production' AND component = 'cache' AND deployment = %s$$, (SELECT deployment FROM queued)),
    'PM301', NULL, 'what a deployment carries is never changed');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the record is whole after all this');
SELECT is((SELECT string_agg(event, ' ' ORDER BY seq) FROM promote.audit_log
    WHERE subject = 'remote_reference ecomm/prod-uswest/cache/dns'),
    'remote_reference.inserted remote_reference.updated remote_reference.updated', 'each row has its record, too');
ALTER TABLE promote.deployment DISABLE TRIGGER ALL;
UPDATE promote.deployment SET remote_references = '{"network": "forged"}' FROM queued WHERE environment = 'production'
    AND component = 'cache' AND deployment.deployment = queued.deployment;
ALTER TABLE promote.deployment ENABLE ALWAYS TRIGGER guard_deployment;
SELECT is((SELECT count(*) > 0 FROM promote.verify_audit('ecomm-production-cache')), true,
    '... and forging it is found');

SELECT * FROM finish();
ROLLBACK;
