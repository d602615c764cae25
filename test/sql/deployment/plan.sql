-- Recorded plans: who may record what, what is stored, the marks, and the text that people read.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
-- That drift keeps things from being deployed is test/sql/gate/state.sql's subject.
UPDATE promote.environment SET require_no_drift = false;
SET LOCAL promote.actor = 'ada';

-- Claims what is due of an instance; returns its number and the fencing.
CREATE FUNCTION pg_temp.claim(name text, OUT deployment integer, OUT fencing integer) LANGUAGE plpgsql AS $$
BEGIN
    UPDATE promote.instance AS i SET attributes = jsonb_build_object('claim', claim.name) WHERE i.name = claim.name;
    SELECT c.deployment, c.fencing INTO deployment, fencing
        FROM promote.claim_deployment('w', selector => jsonb_build_object('claim', claim.name)) AS c;
END
$$;
-- A plan of those changes: address, actions, before, after, and what else an element has.
CREATE FUNCTION pg_temp.plan(changes jsonb, document jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT '{"format_version": "1.2", "terraform_version": "1.11.4", "applyable": true, "complete": true, "errored": '
        'false}' || document
        || jsonb_build_object('resource_changes',
            COALESCE(jsonb_agg('{"mode": "managed", "type": "aws_instance", "provider_name": '
            '"registry.terraform.io/hashicorp/aws"}'
            || COALESCE(c -> 4, '{}') || jsonb_build_object('address', c -> 0, 'change',
                COALESCE(c -> 4 -> 'change', '{}') || jsonb_build_object('actions', c -> 1, 'before', c -> 2, 'after',
                c -> 3))), '[]'))
      FROM jsonb_array_elements(changes) AS c
$$;
-- Plans an instance, records a plan for it and completes it; returns the deployment's number.
CREATE FUNCTION pg_temp.record(name text, plan jsonb) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    number integer := (promote.plan_instance(name)).deployment;
    claim record;
BEGIN
    SELECT * INTO claim FROM pg_temp.claim(name);
    IF claim.deployment <> number THEN RAISE 'claimed %, not %', claim.deployment, number; END IF;
    PERFORM promote.record_plan(name, number, plan, claim.fencing);
    PERFORM promote.complete_deployment(name, number, claim.fencing);
    RETURN number;
END
$$;
CREATE OR REPLACE FUNCTION pg_temp.rows() RETURNS bigint LANGUAGE sql AS $$
    SELECT (SELECT count(*) FROM promote.planned_change) + (SELECT count(*) FROM promote.audit_log) + (SELECT count(*)
        FROM promote.deployment) + (SELECT count(plan_digest) FROM promote.deployment)
$$;
CREATE FUNCTION pg_temp.says(sql text, expected text, what text) RETURNS text
    LANGUAGE sql AS $$ SELECT is(pg_temp.lines(sql), expected, what) $$;

-- ---- recording ----
SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db') \g /dev/null
SELECT pg_temp.refuses($$SELECT promote.record_plan('ecomm-production-db', 2, pg_temp.plan('[]'), 1)$$, 'PM502',
    'claim', 'nobody has claimed it');
SELECT fencing AS fencing, deployment AS deployment FROM pg_temp.claim('ecomm-production-db') \gset
SELECT isnt(:deployment, NULL, 'a plan is claimed');
-- the first plan of production is still queued, and first
SELECT promote.complete_deployment('ecomm-production-db', :deployment, :fencing) \g /dev/null
SELECT fencing AS fencing, deployment AS deployment FROM pg_temp.claim('ecomm-production-db') \gset
SELECT is(:deployment, 2, 'the promotion''s');
SELECT pg_temp.refuses(format('SELECT promote.record_plan(%L, %s, %s, %s)', name, number, plan, fencing), state, detail,
    what) FROM (VALUES
    ('ecomm-production-db', '2', 'pg_temp.plan(''[]'')', '2', 'PM502', 'not', 'another fencing number'),
    ('ecomm-production-db', '1', 'pg_temp.plan(''[]'')', '1', 'PM502', 'COMPLETED', 'a deployment that is over'),
    ('ecomm-production-db', '9', 'pg_temp.plan(''[]'')', '1', 'PM002', '', 'no such deployment'),
    ('ecomm-staging-db', '1', 'pg_temp.plan(''[]'')', '1', 'PM502', '', 'another instance''s'),
    ('ecomm-nowhere-db', '1', 'pg_temp.plan(''[]'')', '1', 'PM002', 'environment', 'no such instance'),
    ('ecomm-production-db', '2', 'NULL', '1', 'PM506', 'null', 'no document'),
    ('ecomm-production-db', '2', '''{"format_version": "1.0", "values": {}}''', '1', 'PM506', 'resource_changes',
        'a state'),
    ('ecomm-production-db', '2', 'pg_temp.plan(''[["a.b", ["create"], null, {"x": 1}], ["a.c", ["destroy"]]]'')', '1',
        'PM506', '\.resource_changes\[1\]\.change\.actions', 'unknown actions'),
    ('ecomm-production-db', 'NULL', 'pg_temp.plan(''[]'')', '1', 'PM404', '', 'no number'),
        ('ecomm-production-db', '2', 'pg_temp.plan(''[]'')', 'NULL', 'PM404', '', 'no fencing')) AS v(name, number,
        plan, fencing, state, detail, what);
CREATE TEMP TABLE doc AS
    SELECT pg_temp.plan('[["aws_db_instance.main", ["delete", "create"], {"id": "i", "name": "a", "password": '
    '"secret"}, {"name": "b", "password": "secret"},
        {"type": "aws_db_instance", "action_reason": "replace_because_cannot_update", "change": {"replace_paths": '
            '[["name"]], "after_unknown": {"id": true}}}],
    ["x.quiet", ["no-op"], {"a": 1}, {"a": 1}], ["data.d", ["read"], null, null, {"mode": "data"}], ["x.url", '
        '["update"], {"url": "pg://u:secret@h/", "n": 1}, {"url": "pg://u:hush@h/", "n": 2}]]',
    '{"timestamp": "2026-11-20T15:42:34Z", "resource_drift": [{"address": "x.url", "change": {"actions": ["update"], '
        '"before": {"n": 0}, "after": {"n": 1}}}]}') AS plan;
CREATE TEMP TABLE recorded ON COMMIT DROP AS SELECT r.* FROM doc, promote.record_plan('ecomm-production-db', 2, plan,
    1) AS r;
SELECT is(plan_digest, (SELECT promote.config_digest('ecomm', plan) FROM doc), 'the keyed digest of the document')
    FROM recorded;
SELECT is(plan_facts, '{"format_version": "1.2", "terraform_version": "1.11.4", "timestamp": "2026-11-20T15:42:34Z", '
    '"applyable": true, "complete": true, "errored": false,
                            "actions": {"replace": 1, "update": 1, "no-op": 1, "read": 1}, "drift": 1, "deferred": 0}',
                                'and what it says of itself') FROM recorded;
SELECT is(plan_defects, '{}', 'no defects') FROM recorded;
SELECT pg_temp.says('SELECT deployment, fencing, change, origin, address, mode, type, action, create_before_destroy, '
    'replace_paths, fingerprint IS NOT NULL FROM promote.planned_change ORDER BY change',
    '(2,1,1,change,aws_db_instance.main,managed,aws_db_instance,replace,f,{.name},t)
(2,1,2,change,x.quiet,managed,aws_instance,no-op,,,f)
(2,1,3,change,data.d,data,aws_instance,read,,,f)
(2,1,4,change,x.url,managed,aws_instance,update,,,t)
(2,1,5,drift,x.url,,,update,,,f)', 'a row for each change');
SELECT is((SELECT diff FROM promote.planned_change WHERE change = 4),
    '[{"path": ".n", "change": "change", "old": 1, "new": 2},
    {"path": ".url", "change": "change", "old": "(sensitive value)", "new": "(sensitive value)", "sensitive": true}]',
        'with its diff; what the schema marks sensitive is masked wherever it is');
SELECT is((SELECT count(*) FROM promote.planned_change AS c WHERE c::text ~ 'secret'), 0::bigint, 'in all rows');
SELECT pg_temp.says($$SELECT event, data ->> 'plan_digest' IS NOT NULL FROM promote.audit_log
    WHERE subject = 'ecomm-production-db' ORDER BY seq DESC LIMIT 1$$, '(plan.recorded,t)', 'the audit log knows');
SELECT is((SELECT count(*) FROM promote.audit_log AS a WHERE a::text ~ 'aws_db_instance'), 0::bigint,
    'but not what is in it');
SELECT is((promote.record_plan('ecomm-production-db', 2, (SELECT plan FROM doc), 1)).plan_digest,
    (SELECT promote.config_digest('ecomm', plan) FROM doc), 'the same again');
SELECT is((promote.record_plan('ecomm-production-db', 2, (SELECT replace(plan::text, '1}', '1.00}')::jsonb FROM doc),
    1)).fencing, 1, 'or spelled otherwise');
SELECT is((SELECT count(*) FROM promote.planned_change), 5::bigint, 'is recorded once');
SELECT pg_temp.refuses($$SELECT promote.record_plan('ecomm-production-db', 2, pg_temp.plan('[]'), 1)$$, 'PM509',
    'another digest', 'another one');

-- ---- a claim that is given up takes its plan along ----
SELECT promote.release_deployment('ecomm-production-db', 2, 1) \g /dev/null
SELECT is_empty('SELECT * FROM promote.resource_changes', 'at once');
SELECT fencing AS fencing FROM pg_temp.claim('ecomm-production-db') \gset
SELECT is((SELECT (plan_digest IS NULL, plan_facts IS NULL, plan_defects)::text FROM promote.deployment
    WHERE deployment = 2 AND environment = 'production'), '(t,t,{})', 'whoever claims it next plans anew');
SELECT is_empty('SELECT * FROM promote.resource_changes', 'what was recorded before does not count');
SELECT is((promote.record_plan('ecomm-production-db', 2, pg_temp.plan('[["x.y", ["create"], null, {"a": 1}]]')
    - '{terraform_version,timestamp}'::text[], 2)).plan_facts - '{applyable,complete,errored}'::text[],
    '{"format_version": "1.2", "actions": {"create": 1}, "drift": 0, "deferred": 0}',
    'another plan of another claim, which says less of itself');
SELECT pg_temp.says('SELECT instance, deployment, change, address FROM promote.resource_changes',
    '(ecomm-production-db,2,1,x.y)', 'which alone counts');
SELECT promote.complete_deployment('ecomm-production-db', 2, 2) \g /dev/null
SELECT pg_temp.refuses($$SELECT promote.record_plan('ecomm-production-db', 2, pg_temp.plan('[]'), 2)$$, 'PM502',
    'COMPLETED', 'nothing is recorded afterwards');
SELECT promote.deploy_instance('ecomm-production-db') \g /dev/null
SELECT fencing AS fencing, deployment AS deployment FROM pg_temp.claim('ecomm-production-db') \gset
SELECT pg_temp.refuses(format($$SELECT promote.record_plan('ecomm-production-db', %s, pg_temp.plan('[]'), %s)$$,
    :deployment, :fencing), 'PM501', 'PROVISION', 'a plan for a PROVISION');
SELECT promote.complete_deployment('ecomm-production-db', :deployment, :fencing) \g /dev/null

-- ---- defects ----
CREATE FUNCTION pg_temp.defects(document jsonb) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    number integer := pg_temp.record('ecomm-production-db', pg_temp.plan('[]', document));
BEGIN
    RETURN (SELECT d.plan_defects FROM promote.deployment AS d WHERE d.environment = 'production'
        AND d.deployment = number);
END
$$;
SELECT is(pg_temp.defects(document::jsonb), defects::text[], document)
  FROM (VALUES ('{"errored": true}', '{errored}'), ('{"complete": false}', '{incomplete}'),
      ('{"complete": null, "errored": null}', '{}'),
               ('{"errored": true, "complete": false, "deferred_changes": [{"resource_change": {"address": "a.b", '
                   '"change": {"actions": ["create"]}}}]}', '{errored,incomplete,deferred}'),
               ('{"deferred_changes": []}', '{}'), ('{"deferred_action_invocations": [{}]}',
                   '{deferred}')) AS v(document, defects);

-- ---- history ----
SELECT pg_temp.refuses(statement, 'PM301', 'never', statement)
    FROM unnest(ARRAY['UPDATE promote.planned_change SET address = ''x''', 'DELETE FROM promote.planned_change',
    'TRUNCATE promote.planned_change']) AS statement;
CREATE ROLE writer;
GRANT USAGE ON SCHEMA promote TO writer;
GRANT INSERT, SELECT ON promote.planned_change TO writer;
SET LOCAL ROLE writer;
SELECT pg_temp.refusal($$INSERT INTO promote.planned_change (project, environment, component, deployment, fencing,
    change, origin, address, action, diff) VALUES ('ecomm', 'production', 'db', 2, 2, 9, 'change', 'x', 'create',
    '[]')$$) AS refusal \gset
RESET ROLE;
SELECT matches(:'refusal'::text, '^\(PM303,', 'rows that nothing recorded are refused');

-- ---- stateful ----
SELECT is(promote_internal.type_pattern(pattern), expected, pattern)
    FROM (VALUES ('aws_*', 'aws\_%'), ('a%b\', 'a\%b\\'), ('x', 'x')) AS v(pattern, expected);
SELECT cmp_ok((SELECT count(*) FROM promote.stateful_type WHERE builtin), '>', 300::bigint,
    'there is a table of types');
SELECT is((SELECT count(*) FROM promote.stateful_type WHERE pattern !~ '^[a-z0-9]+([_-][a-z0-9]+)+$'
    OR description IS NULL), 0::bigint, 'of names of types');
INSERT INTO promote.stateful_type VALUES ('my_*_store', 'ours'), ('aws_db_instance', 'ours, too');
UPDATE promote.bundle_release SET stateful_types = '{own_thing,other_*}' WHERE version = '1.2.0-dev.20260915T101500Z';
SELECT pg_temp.record('ecomm-staging-db',
    pg_temp.plan((SELECT jsonb_agg(jsonb_build_array(type || '.x', '["delete"]'::jsonb, '{"a": 1}'::jsonb, NULL,
    jsonb_build_object('type', type)))
    FROM unnest(ARRAY['aws_db_instance', 'aws_db_instance_automated_backups', 'my_big_store', 'my_store', 'mybig_store',
        'own_thing', 'own_things', 'other_thing', 'otherthing', 'aws_instance']) AS type))) \g /dev/null
SELECT is((SELECT array_agg(type ORDER BY change) FROM promote.resource_changes WHERE instance = 'ecomm-staging-db'
    AND stateful), ARRAY['aws_db_instance', 'my_big_store', 'own_thing', 'other_thing'],
    'by name, by pattern, by the release''s list');
SELECT pg_temp.refuses(statement, 'PM303', 'not dumped', statement)
    FROM unnest(ARRAY['UPDATE promote.stateful_type SET description = NULL WHERE builtin',
    'DELETE FROM promote.stateful_type WHERE pattern = ''aws_db_instance''',
    'INSERT INTO promote.stateful_type VALUES (''a'', NULL, true)',
        'UPDATE promote.stateful_type SET builtin = true WHERE NOT builtin']) AS statement;
SELECT lives_ok(statement, statement)
    FROM unnest(ARRAY['UPDATE promote.stateful_type SET description = NULL WHERE NOT builtin',
    'DELETE FROM promote.stateful_type WHERE NOT builtin']) AS statement;

-- ---- destructive ----
SELECT pg_temp.record('ecomm-staging-db',
    pg_temp.plan('[["a.1", ["create"]], ["a.2", ["update"]], ["a.3", ["delete"]], ["a.4", ["delete", "create"]], '
    '["a.5", ["create", "delete"]], ["a.6", ["forget"]], ["a.7", ["no-op"]],
    ["a.8", ["delete"], null, null, {"mode": "data"}], ["a.9", ["delete"], null, null, {"mode": null}]]',
        '{"resource_drift": [{"address": "a.10", "change": {"actions": ["delete"]}}]}')) AS d \gset
SELECT is((SELECT string_agg(address, ' ' ORDER BY change) FROM promote.resource_changes
    WHERE instance = 'ecomm-staging-db' AND deployment = :d AND destructive), 'a.3 a.4 a.5 a.9',
    'deletes and replaces of managed resources');

-- ---- unexpected ----
SELECT is((SELECT count(*) FROM promote.resource_changes WHERE instance = 'ecomm-staging-db'
    AND unexpected IS NOT NULL), 0::bigint, 'NULL where it came from nowhere');
SELECT deployment AS given_up FROM promote.plan_instance('ecomm-staging-db') \gset
SELECT promote.record_plan('ecomm-staging-db', :given_up, pg_temp.plan('[["x.given_up", ["delete"], {"a": 1}, null]]'),
    c.fencing) FROM pg_temp.claim('ecomm-staging-db') AS c \g /dev/null
SELECT promote.release_deployment('ecomm-staging-db', :given_up, 1) \g /dev/null
SELECT pg_temp.record('ecomm-staging-db',
    pg_temp.plan('[["x.same", ["update"], {"a": 1, "t": "s1"}, {"a": 2, "t": "s2"}], ["x.other_path", ["update"], '
    '{"a": 1}, {"a": 2}], ["x.other_action", ["update"], {"a": 1}, {"a": 2}],
    ["x.gone", ["delete"], {"a": 1}, null], ["x.deposed", ["delete"], {"a": 1}, null], ["x.quiet", ["update"], {"a": '
        '1}, {"a": 2}]]')) \g /dev/null
SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db',
    '{"tier": "gold", "replicas": 7}') \g /dev/null
SELECT pg_temp.work('ecomm-production-db') \g /dev/null
SELECT pg_temp.record('ecomm-production-db',
    pg_temp.plan('[["x.same", ["update"], {"a": 8, "t": "p1"}, {"a": 9, "t": "p2"}], ["x.other_path", ["update"], '
    '{"b": 1}, {"b": 2}], ["x.other_action", ["delete", "create"], {"a": 1}, {"a": 2}],
    ["x.new", ["create"], null, {"a": 1}], ["x.gone", ["delete"], {"b": 1}, null], ["x.deposed", ["delete"], null, '
        'null, {"deposed": "00"}], ["x.quiet", ["no-op"]], ["data.x", ["read"]], ["x.given_up", ["delete"], {"a": 1}, '
        'null]]',
    '{"resource_drift": [{"address": "x.new", "change": {"actions": ["update"]}}]}')) AS d \gset
SELECT is((SELECT string_agg(address || ' ' || COALESCE(unexpected::text, 'null'), ', ' ORDER BY change)
    FROM promote.resource_changes WHERE instance = 'ecomm-production-db' AND deployment = :d),
    'x.same false, x.other_path true, x.other_action true, x.new true, x.gone false, x.deposed true, x.quiet false, '
        'data.x false, x.given_up true, x.new null', 'what no plan of the source had that counts');

-- ---- the configuration's leaves ----
SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db',
    '{"tier": "gold", "replicas": 8, "password": "other", "network": {"cidr": "10.8.0.0/16"}}',
    allow_replace => true) \g /dev/null
SELECT pg_temp.says($$SELECT leaf, path, change, old_value, new_value, immutable, sensitive, unexpected
    FROM promote.config_changes WHERE instance = 'ecomm-production-db' AND deployment = (SELECT deployment
    FROM promote.instance WHERE name = 'ecomm-production-db')$$,
    '(1,.tier,change,null,"""gold""",f,f,t)
(2,.network.cidr,change,"""10.9.0.0/16""","""10.8.0.0/16""",t,f,t)
(3,.password,change,"""(sensitive value)""","""(sensitive value)""",f,t,t)
(4,.replicas,change,1,8,f,f,t)', 'leaf by leaf; the source has run nothing yet');
SELECT unalike(promote.plan_text('ecomm-production-db'), '%unexpected%', 'of which the text does not speak');
SELECT pg_temp.deploy('ecomm-staging-db') \g /dev/null
SELECT pg_temp.says($$SELECT path, unexpected FROM promote.config_changes WHERE instance = 'ecomm-production-db'
    AND deployment = (SELECT deployment FROM promote.instance WHERE name = 'ecomm-production-db')$$,
    E'(.tier,t)\n(.network.cidr,t)\n(.password,f)\n(.replicas,t)',
        'it has run with a password, but not with these values');
SELECT alike(promote.plan_text('ecomm-production-db'),
    E'%~ .replicas      1 -> 8  # unexpected, undoes revision 3 by ada\n%',
    'which the text says');
SELECT alike(promote.plan_text('ecomm-production-db'),
    E'%"10.8.0.0/16"  # immutable, forces replacement, unexpected\n%', 'beside other remarks')
    WHERE (SELECT destructive FROM promote.deployment WHERE environment = 'production'
    ORDER BY deployment DESC LIMIT 1);
SELECT alike(promote.plan_text('ecomm-production-db'),
    E'%~ .password      "(sensitive value)" -> "(sensitive value)"\n%', 'and not of the rest');
SELECT promote.configure_instance('ecomm-production-db', '{"replicas": 1}', allow_replace => true) \g /dev/null
SELECT pg_temp.says($$SELECT path, unexpected FROM promote.config_changes WHERE instance = 'ecomm-production-db'
    AND deployment = (SELECT deployment FROM promote.instance WHERE name = 'ecomm-production-db')$$,
    E'(.tier,)\n(.network.cidr,)\n(.password,)', 'NULL of an edit');
-- what staging no longer has, it has run without
SELECT promote.configure_instance('ecomm-staging-db', '{"tier": null, "replicas": 5}') \g /dev/null
SELECT pg_temp.deploy('ecomm-staging-db') \g /dev/null
SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', '{"nodes": null}',
    allow_replace => true) \g /dev/null
SELECT is((SELECT string_agg(path || ' ' || unexpected, ', ' ORDER BY path) FROM promote.config_changes
    WHERE instance = 'ecomm-production-db' AND deployment = (SELECT deployment FROM promote.instance
    WHERE name = 'ecomm-production-db')
    AND path IN ('.tier', '.replicas', '.nodes[0].role')), '.nodes[0].role true, .replicas false, .tier false',
        'removals: of what the source has run without, or not');
SELECT promote.configure_instance('ecomm-staging-db', '{"tier": "x.{{domain}}"}') \g /dev/null
SELECT pg_temp.deploy('ecomm-staging-db') \g /dev/null
SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', allow_replace => true) \g /dev/null
SELECT pg_temp.says($$SELECT new_value, unexpected FROM promote.config_changes WHERE instance = 'ecomm-production-db'
    AND deployment = (SELECT deployment FROM promote.instance WHERE name = 'ecomm-production-db') AND path = '.tier'$$,
    '("""x.example.com""",f)', 'a placeholder stands for another value there');

-- ---- text ----
SELECT is(promote.format_plan_changes((SELECT jsonb_agg(to_jsonb(c))
    FROM promote.plan_document_changes(pg_temp.plan('[["x.a", ["create"], null, {"name": "n"}], ["x.b", ["update"], '
    '{"p": "o-secret", "q": 1}, {"p": "n-secret"}, {"change": {"before_sensitive": {"p": true}, "after_unknown": {"q": '
    'true}}}],
    ["x.c", ["delete"], {"a": 1}, null, {"deposed": "6ae94a57"}], ["x.d", ["create", "delete"], {"a": {"b": 1}, "c": '
        '1}, {"a": {"b": 2}, "c": 2}, {"change": {"replace_paths": [["a"]]}, "action_reason": '
        '"replace_because_cannot_update"}],
    ["x.e", ["forget"], {"a": 1}, null], ["x.f", ["no-op"], {}, {}, {"previous_address": "x.old"}], ["x.g", '
        '["no-op"]], ["data.h", ["read"], null, null, {"mode": "data"}], ["x\u001b[31m", ["create"], null, {"k\u0007": '
        '"\u001b"}]]',
    '{"resource_drift": [{"address": "x.b", "change": {"actions": ["update"], "before": {"q": 0}, "after": {"q": '
        '1}}}], "deferred_changes": [{"resource_change": {"address": "x.z", "change": {"actions": ["create"], "after": '
        '{"a": 1}}}}]}')) AS c)),
'! -   x.c  # deposed object 6ae94a57
! +/- x.d  # replace_because_cannot_update
        ~ .a.b  1 -> 2  # forces replacement
        ~ .c    1 -> 2
  +   x.a
        + .name  "n"
  ~   x.b
        ~ .p  (sensitive value) -> (sensitive value)
        ~ .q  1 -> (known after apply)
  .   x.e
  >   x.f  # moved from x.old
  +   x?[31m
        + .["k\u0007"]  "\u001b"

Deferred to a later plan:

  +   x.z
        + .a  1

Changed outside:

  ~   x.b
        ~ .q  0 -> 1

Resources: 2 to create, 1 to update, 1 to replace, 1 to delete, 1 to forget; 2 unchanged; 1 to read.',
    'what destroys first, then the rest in order');
SELECT is(promote.format_plan_changes(changes::jsonb), expected, changes)
    FROM (VALUES ('[]', E'\nResources: nothing to change.'),
    ('[{"origin": "change", "address": "a", "action": "no-op", "diff": []}]',
    E'\nResources: nothing to change; 1 unchanged.')) AS v(changes, expected);
SELECT throws_ok(format('SELECT promote.format_plan_changes(%L)', changes), 'PM404', NULL, 'no changes: ' || changes)
  FROM unnest(ARRAY['1', '{}', '[1]', '[{}]', '[{"action": "create"}]', '[{"action": "x", "origin": "change"}]',
      '[{"action": "create", "origin": "change"}]', '[{"action": "create", "origin": "change", "address": "a"}]',
      '[{"action": "create", "origin": "change", "address": "a", "diff": 1}]']) AS changes;
SELECT pg_temp.work('ecomm-production-db') \g /dev/null
SELECT pg_temp.record('ecomm-production-db',
    pg_temp.plan('[["aws_db_instance.y", ["delete"], {"a": 1}, null, {"type": "aws_db_instance"}], ["x.same", '
    '["update"], {"a": 8, "t": "p1"}, {"a": 9, "t": "p2"}]]', '{"errored": true, "complete": false}')) AS d \gset
SELECT alike(promote.plan_text('ecomm-production-db', :d), 'ecomm-production-db, plan ' || :d || ': revision %

! -   aws_db_instance.y  # stateful, unexpected
  ~   x.same
        ~ .a  8 -> 9
        ~ .t  "p1" -> "p2"

Resources: 1 to update, 1 to delete.
It cannot be deployed: errored, incomplete.', 'after the configuration, with the marks and the defects');
SELECT pg_temp.record('ecomm-production-db',
    pg_temp.plan('[["x.same", ["update"], {"a": 8, "t": "p1"}, {"a": 9, "t": "p2"}]]')) AS d \gset
SELECT promote.deploy_instance('ecomm-production-db', :d) \g /dev/null
SELECT alike(promote.plan_text('ecomm-production-db'), '%Resources: 1 to update.',
    'a PROVISION shows the plan that it follows');

-- ---- what runs has secrets, too, whatever the new release says of them ----
SELECT pg_temp.work('ecomm-production-db') \g /dev/null
SELECT k.params ->> 'password' AS running FROM promote.instance AS i JOIN promote.deployment AS d
    USING (project, environment, component) JOIN promote.config AS k ON k.project = d.project
    AND k.digest = d.rendered_digest
 WHERE i.name = 'ecomm-production-db' AND d.deployment = i.deployed_by \gset
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('postgres', '3.0.0', '{}');
SELECT promote.configure_instance('ecomm-production-db', '{"password": "brand-new-pass"}', '3.0.0',
    allow_replace => true) \g /dev/null
SELECT pg_temp.record('ecomm-production-db',
    pg_temp.plan(jsonb_build_array(jsonb_build_array('x.secret', '["update"]'::jsonb,
    jsonb_build_object('dsn', 'was:' || :'running'), '{"dsn": "is:brand-new-pass"}'::jsonb)))) AS d \gset
SELECT is((SELECT diff FROM promote.resource_changes WHERE instance = 'ecomm-production-db' AND deployment = :d),
    '[{"path": ".dsn", "change": "change", "old": "(sensitive value)", "new": "(sensitive value)", "sensitive": true}]',
    'both are masked');
SELECT pg_temp.work('ecomm-production-db') \g /dev/null
SELECT promote.plan_instance('ecomm-production-db') \g /dev/null
SELECT pg_temp.record('ecomm-production-db',
    pg_temp.plan(jsonb_build_array(jsonb_build_array('x.secret', '["create"]'::jsonb, NULL,
    jsonb_build_object('was', 'was:' || :'running'))))) AS d \gset
SELECT unalike((SELECT diff::text FROM promote.resource_changes WHERE instance = 'ecomm-production-db'
    AND deployment = :d), '%was:%', 'what runs alone');
SELECT pg_temp.record('ecomm-production-db',
    pg_temp.plan('[["x.secret", ["create"], null, {"is": "is:brand-new-pass"}]]')) AS d \gset
SELECT unalike((SELECT diff::text FROM promote.resource_changes WHERE instance = 'ecomm-production-db'
    AND deployment = :d), '%brand-new%', 'what is planned alone');

SELECT * FROM finish();
ROLLBACK;
