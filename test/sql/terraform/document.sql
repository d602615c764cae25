-- Reading plans, without tables: what is stored of each change, what is refused, and what is never shown.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql

-- A plan of one change of x.y, with further keys of the change, the element and the document.
CREATE FUNCTION pg_temp.plan(change jsonb, element jsonb DEFAULT '{}', document jsonb DEFAULT '{}') RETURNS jsonb
    LANGUAGE sql AS $$
    SELECT '{"format_version": "1.2", "terraform_version": "1.11.4"}'::jsonb || document
        || jsonb_build_object('resource_changes',
        jsonb_build_array('{"address": "x.y", "mode": "managed", "type": "x", "provider_name": "p"}' || element
            || jsonb_build_object('change', change)))
$$;
-- An update of x.y; the leaves that differ, a line each.
CREATE FUNCTION pg_temp.leaves(before jsonb, after jsonb, notes jsonb DEFAULT '{}', params jsonb DEFAULT NULL,
    schema jsonb DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', leaf ->> 'path', leaf ->> 'change', leaf -> 'old', '->', leaf -> 'new', CASE
        WHEN leaf ? 'unknown' THEN 'unknown' END, CASE WHEN leaf ? 'sensitive' THEN 'sensitive' END), E'\n')
      FROM promote.plan_document_changes(pg_temp.plan(jsonb_build_object('actions', '["update"]'::jsonb, 'before',
          before, 'after', after) || notes), params, schema), jsonb_array_elements(diff) AS leaf
$$;

-- ---- rows ----
SELECT is(promote.format_plan_changes((SELECT jsonb_agg(to_jsonb(c))
    FROM promote.plan_document_changes('{"format_version": "1.2", "resource_changes": [
    {"address": "a.b", "change": {"actions": ["no-op"], "before": {"n": 1}, "after": {"n": 1}, "importing": {"id": '
        '"i-1"}}},
    {"address": "a.c", "change": {"actions": ["no-op"], "before": {"n": 1}, "after": {"n": 1}, "importing": null}},
    {"address": "a.d", "change": {"actions": ["update"], "before": {"n": 1}, "after": {"n": 2}, "importing": {"id": '
        '"i-2"}}}]}') AS c)),
E'  >   a.b  # imported\n  ~   a.d  # imported\n        ~ .n  1 -> 2\n\nResources: 2 to import, 1 to update; 1 '
    'unchanged.', 'what is imported is shown and counted, though nothing else happens to it');
SELECT is((SELECT array_agg(fingerprint IS NOT NULL ORDER BY change)
    FROM promote.plan_document_changes('{"format_version": "1.2", "resource_changes": [
    {"address": "a.b", "change": {"actions": ["no-op"], "before": {"n": 1}, "after": {"n": 1}, "importing": {"id": '
        '"i-1"}}},
    {"address": "a.c", "change": {"actions": ["no-op"], "before": {"n": 1}, "after": {"n": 1}}}]}')), '{t,f}',
        'and is something that upstream may not have planned');
SELECT is((SELECT to_jsonb(c) - 'fingerprint' FROM promote.plan_document_changes(pg_temp.plan(
              '{"actions": ["update"], "before": {"a": 1, "b": "x"}, "after": {"a": 2, "b": "x"}, "importing": {"id": '
                  '"i"}}',
              '{"previous_address": "x.z", "deposed": "6ae94a57", "action_reason": "replace_by_request", "index": 3, '
                  '"module_address": "m"}')) AS c),
    '{"change": 1, "origin": "change", "address": "x.y", "previous_address": "x.z", "deposed": "6ae94a57", "mode": '
        '"managed", "type": "x", "provider": "p", "action": "update",
      "create_before_destroy": null, "importing": true, "action_reason": "replace_by_request", "replace_paths": null, '
          '"diff": [{"path": ".a", "change": "change", "old": 1, "new": 2}]}', 'all columns');
SELECT is((SELECT action || ' ' || COALESCE(create_before_destroy::text, '-')
    FROM promote.plan_document_changes(pg_temp.plan(jsonb_build_object('actions', actions::jsonb)))), expected, actions)
  FROM (VALUES ('["no-op"]', 'no-op -'), ('["create"]', 'create -'), ('["read"]', 'read -'), ('["open"]', 'read -'),
      ('["update"]', 'update -'), ('["delete"]', 'delete -'), ('["forget"]', 'forget -'),
               ('["delete", "create"]', 'replace false'), ('["create", "delete"]', 'replace true'),
                   ('["create", "forget"]', 'replace true'), ('["forget", "create"]', 'replace false')) AS v(actions,
                   expected);
SELECT is((SELECT replace_paths
    FROM promote.plan_document_changes(pg_temp.plan('{"actions": ["delete", "create"], "replace_paths": [["ami"], '
    '["rule", 0, "a key"], ["set", {"x": 1}, "port"], ["l", 1.5], ["l", -1], ["l", 12345678901], []]}'))),
    ARRAY['.ami', '.rule[0]["a key"]', '.set', '.l', '.l', '.l', '.'],
        'replace_paths as our paths, up to a step that is no key and no index');
SELECT is(pg_temp.lines($$SELECT change, origin, address, action
    FROM promote.plan_document_changes('{"format_version": "1.0",
    "resource_changes": [{"address": "a", "change": {"actions": ["create"]}}, {"address": "b", "change": {"actions": '
        '["no-op"]}}],
    "resource_drift": [{"address": "c", "change": {"actions": ["update"]}}],
    "deferred_changes": [{"reason": "unknown", "resource_change": {"address": "d", "change": {"actions": '
        '["create"]}}}]}')$$),
    E'(1,change,a,create)\n(2,change,b,no-op)\n(3,drift,c,update)\n(4,deferred,d,create)',
        'changes, then drift, then what is deferred');
SELECT is_empty(format('SELECT * FROM promote.plan_document_changes(%L)', plan), 'no changes: ' || plan)
  FROM unnest(ARRAY['{"format_version": "1.0", "resource_changes": []}',
      '{"format_version": "1.2", "resource_changes": null}', '{"format_version": "1.99", "planned_values": {}}',
      '{"format_version": "1.0", "configuration": {}}']) AS plan;
SELECT is_empty('SELECT * FROM promote.plan_document_changes(NULL)', 'nor of no plan');

-- ---- leaves ----
SELECT is(pg_temp.leaves('{"a": 1, "l": [1, 2], "o": {"x": 1}}', '{"a": 1.0, "l": [1, 3, 4], "o": {"y": null}}'),
    E'.l[1] change 2 -> 3\n.l[2] add -> 4\n.o.x remove 1 ->\n.o.y add -> null',
        'leaf by leaf, as the configurations'' diffs');
SELECT is(pg_temp.leaves('null', '{"a": {}, "b": [1]}'), E'.a add -> {}\n.b[0] add -> 1',
    'created: all leaves are new');
SELECT is(pg_temp.leaves('{"a": {}, "b": [1]}', 'null'), E'.a remove {} ->\n.b[0] remove 1 ->',
    'deleted: all leaves go');
SELECT is(pg_temp.leaves('{"a": 1}', '{"a": 1}'), NULL, 'the same');
SELECT is(pg_temp.leaves('{"n": 12345678901234567890.123456789012345678901234567890}', '{"n": 1e-40}'),
    '.n change 12345678901234567890.123456789012345678901234567890 -> 0.0000000000000000000000000000000000000001',
        'numbers keep every digit');
SELECT is(pg_temp.leaves('{"a b": 1, "é.\"": 2}', '{}'), E'.["a b"] remove 1 ->\n.["é.\\""] remove 2 ->',
    'keys that need quotes');
SELECT is(pg_temp.leaves('1', '{"a": 1}'), E'. remove 1 ->\n.a add -> 1', 'even where a resource is no object');

-- ---- what is not known yet ----
SELECT is(pg_temp.leaves(before::jsonb, after::jsonb, jsonb_build_object('after_unknown', unknown::jsonb)), expected,
    format('%s to %s, unknown %s', before, after, unknown))
  FROM (VALUES ('{"id": "i", "a": 1}', '{"a": 1}', '{"id": true}', '.id change "i" -> "(known after apply)" unknown'),
               ('null', '{"a": 1}', '{"id": true, "a": false}',
                   E'.a add -> 1\n.id add -> "(known after apply)" unknown'),
               ('{"a": 1}', '{"a": 1}', '{"b": false, "c": {}, "d": [false]}', NULL),
               ('{"l": ["x", "y"]}', '{"l": ["x", null]}', '{"l": [false, true]}',
                   '.l[1] change "y" -> "(known after apply)" unknown'),
               ('{"l": []}', '{"l": []}', '{"l": [false, true]}',
                   E'.l remove [] ->\n.l[0] add -> null\n.l[1] add -> "(known after apply)" unknown'),
               ('{"o": {"x": 1, "y": 2}}', '{"o": {"y": 2}}', '{"o": {"x": true}}',
                   '.o.x change 1 -> "(known after apply)" unknown'),
               ('{"o": {"x": 1}}', '{}', '{"o": true}', E'.o.x remove 1 ->\n.o add -> "(known after apply)" unknown'),
               ('{}', '{}', '{"o": {"x": {"y": true, "z": false}, "w": {}}}',
                   '.o.x.y add -> "(known after apply)" unknown'),
               ('{"o": 1}', '{"o": [1]}', '{"o": {"x": true}}', '.o change 1 -> "(known after apply)" unknown'),
               ('{"a": 1}', 'null', '{"a": true}', '.a change 1 -> "(known after apply)" unknown'),
               ('{"a": "(known after apply)"}', '{}', '{"a": true}',
                   '.a change "(known after apply)" -> "(known after apply)" unknown')) AS v(before, after, unknown,
                   expected);
SELECT matches(pg_temp.leaves('{"a": 1}', '{"a": 2}', '{"after_unknown": true}'),
    '\. add -> "\(known after apply\)" unknown', 'all of it');

-- ---- what the plan says is sensitive ----
SELECT is(pg_temp.leaves(before::jsonb, after::jsonb, notes::jsonb), expected, format('%s to %s, %s', before, after,
    notes))
  FROM (VALUES ('{"p": "olds", "a": 1}', '{"p": "news", "a": 2}',
      '{"before_sensitive": {"p": true}, "after_sensitive": {}}',
      E'.a change 1 -> 2\n.p change "(sensitive value)" -> "(sensitive value)" sensitive'),
               ('{"p": "olds", "a": 1}', '{"p": "news", "a": 2}',
                   '{"before_sensitive": false, "after_sensitive": {"p": true}}',
                   E'.a change 1 -> 2\n.p change "(sensitive value)" -> "(sensitive value)" sensitive'),
               ('{"p": "olds"}', '{}', '{"after_sensitive": {"p": true}}',
                   '.p remove "(sensitive value)" -> sensitive'),
               ('{}', '{"p": "news"}', '{"before_sensitive": {"p": true}}', '.p add -> "(sensitive value)" sensitive'),
               ('{"p": {"x": [1, 2]}}', '{"p": {"x": [1, 3]}}', '{"after_sensitive": {"p": true}}',
                   '.p.x[1] change "(sensitive value)" -> "(sensitive value)" sensitive'),
               ('{"a": 1}', '{"a": 2}', '{"before_sensitive": true}',
                   '.a change "(sensitive value)" -> "(sensitive value)" sensitive'),
               ('{"a": 1}', '{"a": 2}', '{"before_sensitive": false, "after_sensitive": null}', '.a change 1 -> 2'),
               ('{"l": ["a1", "b1"]}', '{"l": ["a2", "b2"]}', '{"after_sensitive": {"l": [false, true]}}',
                   E'.l[0] change "a1" -> "a2"\n.l[1] change "(sensitive value)" -> "(sensitive value)" sensitive'),
               ('{"l": ["a1"]}', '{"l": {"x": 1}}', '{"after_sensitive": {"l": [true]}}',
                   E'.l[0] remove "(sensitive value)" -> sensitive\n.l.x add -> "(sensitive value)" sensitive'),
               ('{"o": [1]}', '{"o": [2]}', '{"after_sensitive": {"o": {"x": false}}}', '.o[0] change 1 -> 2'),
               ('{"a": 1}', '{"a": 2}', '{"after_sensitive": {"a": "yes"}}',
                   '.a change "(sensitive value)" -> "(sensitive value)" sensitive'),
               ('{"p": "olds"}', '{}', '{"before_sensitive": {"p": true}, "after_unknown": {"p": true}}',
                   '.p change "(sensitive value)" -> "(known after apply)" unknown sensitive'),
               ('{"p": "hunter2", "output": "hunter2"}', '{"p": "correct", "output": "x"}',
                   '{"before_sensitive": {"p": true}}',
                   E'.p change "(sensitive value)" -> "(sensitive value)" sensitive\n.output change "(sensitive '
                   'value)" -> "(sensitive value)" sensitive'),
               ('{"p": "hunter2", "dsn": "pg://u:hunter2@h"}', '{"p": "hunter2", "dsn": "x"}',
                   '{"before_sensitive": {"p": true}}',
                   '.dsn change "(sensitive value)" -> "(sensitive value)" sensitive'),
               ('{"p": "true", "q": "is true", "r": "true"}', '{"p": "true", "q": "x", "r": "x"}',
                   '{"before_sensitive": {"p": true}}',
                   E'.q change "is true" -> "x"\n.r change "(sensitive value)" -> "(sensitive value)" sensitive'),
               ('{"p": "abc", "q": "abc"}', '{"p": "abc", "q": "x"}', '{"before_sensitive": {"p": true}}',
                   '.q change "abc" -> "x"')) AS v(before, after, notes, expected);
SELECT unalike(c::text, '%hunter2%', 'a sensitive output is a secret of the whole plan')
    FROM promote.plan_document_changes(pg_temp.plan('{"actions": ["create"], "after": {"x": "hunter2"}}', '{}',
    '{"output_changes": {"pw": {"actions": ["create"], "before": null, "after": "hunter2", "after_sensitive": true}}}'))
        AS c;
SELECT unalike(c::text, '%hunter2%', 'and so is a sensitive variable')
    FROM promote.plan_document_changes(pg_temp.plan('{"actions": ["create"], "after": {"x": "hunter2"}}', '{}',
    '{"variables": {"v": {"value": "hunter2"}}, "configuration": {"root_module": {"variables": {"v": {"sensitive": '
        'true}}}}}')) AS c;
SELECT alike(c::text, '%medium%', 'but no other')
    FROM promote.plan_document_changes(pg_temp.plan('{"actions": ["create"], "after": {"x": "medium"}}', '{}',
    '{"variables": {"v": {"value": "medium"}, "w": 1}, "configuration": {"root_module": {"variables": {"v": '
        '{"sensitive": false}, "w": {}, "z": 1}}}, "output_changes": {"o": {"after": "medium", "after_sensitive": '
        'false}, "p": 1}}')) AS c;
SELECT unalike(c::text, '%hunter2%', 'what is sensitive of another resource: ' || element)
  FROM (VALUES ('{"resource_drift": [%s]}'), ('{"deferred_changes": [{"resource_change": %s}]}')) AS v(element),
       promote.plan_document_changes(pg_temp.plan('{"actions": ["create"], "after": {"x": "hunter2"}}', '{}',
    format(element, '{"address": "d", "mode": "managed", "type": "x", "change": {"actions": ["update"], '
        '"before": {"p": "hunter2"}, "after": {"p": "other"}, "before_sensitive": {"p": true}}}')::jsonb)) AS c;

-- ---- what the schema says is sensitive ----
CREATE FUNCTION pg_temp.shown(secret jsonb, value jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.leaves('{"v": 0}', jsonb_build_object('v', value), '{}', jsonb_build_object('public', 'small',
        'secret', secret), '{"properties": {"secret": {"$md.sensitive": true}}}')
$$;
SELECT is(pg_temp.shown(secret::jsonb, value::jsonb) LIKE '%sensitive', masked, format('secret %s, value %s', secret,
    value))
  FROM (VALUES ('"swordfish"', '"swordfish"', true), ('"swordfish"', '"xswordfishx"', true),
      ('"swordfish"', '"swordfis"', false), ('"swordfish"', '"small"', false),
               ('"abc"', '"abc"', true), ('"abc"', '"abcd"', false), ('"abcd"', '"xabcd"', true), ('"a"', '"a"', true),
                   ('""', '""', false), ('""', '"x"', false),
               ('{"k": ["swordfish"]}', '"swordfish"', true), ('{"swordfish": 1}', '"swordfish"', false),
                   ('[[{"a": "mackerel"}]]', '"a mackerel b"', true),
               ('1234.50', '1234.5', true), ('1234.5', '1234.500', true), ('1234.5', '1234.51', false),
                   ('1e3', '1000', true), ('7', '7.0', true), ('7', '"7"', true), ('"7"', '7', true),
               ('15432', '"host:15432/db"', true), ('12', '"host:12"', false), ('"1234"', '1234', true),
                   ('"1234"', '12345', false),
               ('true', 'true', false), ('null', 'null', false), ('false', '"false"', false),
               ('"pa\"ss<&\\x"', '"{\"p\": \"pa\\\"ss<&\\\\x\"}"', true),
                   ('"pa\"ss<&\\x"', '"{\"p\": \"pa\\\"ss\\u003c\\u0026\\\\x\"}"', true),
                   ('"p@ss w%rd"', '"pg://u:p%40ss%20w%25rd@h/"', true),
               ('"swordfish"', '"data: c3dvcmRmaXNo"', true), ('"-----KEY\nabc\n"', '"-----KEY\nabc"', true),
                   ('"größe!"', '"die größe!"', true), ('"größe!"', '"die größe?"', false),
               ('"my pass word"', '"u=my+pass+word&x"', true), ('"-----KEY\nabc\n"', '"LS0tLS1LRVkKYWJjCg=="', true),
                   ('"-----KEY\nabc\n"', '"LS0tLS1LRVkKYWJj"', true),
               ('"swordfish"', '"dXNlcjpzd29yZGZpc2g="', true), ('"swordfish"', '"dTpzd29yZGZpc2gK"', true),
                   ('"swordfish"', '"Y2F0OnN3b3JkZmlzaCEh"', true), ('"swordfish"', '"Y2F0OnN3b3JkZmlzSCEh"', false),
               ('"abcd"', '"YWJjZA=="', true), ('"abcd"', '"YWJjIGRl"', false),
               ('"a\"b\\c"', '"{\"p\": \"{\\\"q\\\": \\\"a\\\\\\\"b\\\\\\\\c\\\"}\"}"', true),
               ('"KEY-----\nMIIEvQIBADANBgkqhkiG\r\nMIIE\n"', '"p: |\n  KEY-----\n  MIIEvQIBADANBgkqhkiG\n  MIIE\n"',
                   true), ('"KEY-----\nabc\n"', '"p: |\n  KEY-----\n  abc\n"', false)) AS v(secret, value, masked);
SELECT is((SELECT ARRAY[address, previous_address, deposed, action_reason, type, array_to_string(replace_paths, ' '),
    diff::text] FROM promote.plan_document_changes(pg_temp.plan(
        '{"actions": ["create", "delete"], "before": {"swordfish-1": 1, "abc": 2, "abcd": 3, "s_swordfish": {"abc": '
            '[4]}}, "replace_paths": [["tags", "swordfish-1", 0, "abc"]]}',
        '{"address": "module.m[\"swordfish\"].x.swordfish_1[\"abc\"]", "previous_address": "x[\"a swordfish\"]", '
            '"deposed": "swordfish", "action_reason": "for swordfish", "type": "a_swordfish"}'),
        '{"a": "swordfish", "b": "abc"}', '{"$md.sensitive": true}')),
    ARRAY['module.m["(sensitive value)"].x.(sensitive value)_1["(sensitive value)"]', 'x["a (sensitive value)"]',
        '(sensitive value)', 'for (sensitive value)', 'a_swordfish',
          '.tags["(sensitive value)"][0]["(sensitive value)"]',
          '[{"old": 2, "path": ".[\"(sensitive value)\"]", "change": "remove"}, {"old": 3, "path": ".abcd", "change": '
              '"remove"}, {"old": 4, "path": ".[\"(sensitive value)\"][\"(sensitive value)\"][0]", "change": '
              '"remove"}, {"old": 1, "path": ".[\"(sensitive value)\"]", "change": "remove"}]'],
    'addresses, reasons and keys; a type is a provider''s word');
SELECT is((SELECT ARRAY[address, previous_address, deposed, action_reason, type, array_to_string(replace_paths, ' '),
    diff::text] FROM promote.plan_document_changes(pg_temp.plan(
        '{"actions": ["create", "delete"], "before": {"p": "swordfish", "q": "abcd", "swordfish": 1, "abcd": 2, "x": '
            '{"a swordfish": [4]}}, "before_sensitive": {"p": true, "q": true}, "replace_paths": [["tags", '
            '"swordfish", 0, "abcd"]]}',
        '{"address": "module.m[\"swordfish\"].x.swordfish_1[\"abcd\"]", "previous_address": "x[\"a swordfish\"]", '
            '"deposed": "swordfish", "action_reason": "for swordfish", "type": "a_swordfish"}',
            '{"terraform_version": "1.1.swordfish"}'))),
    ARRAY['module.m["(sensitive value)"].x.(sensitive value)_1["(sensitive value)"]', 'x["a (sensitive value)"]',
        '(sensitive value)', 'for (sensitive value)', 'a_swordfish',
          '.tags["(sensitive value)"][0]["(sensitive value)"]',
          '[{"old": "(sensitive value)", "path": ".p", "change": "remove", "sensitive": true}, {"old": "(sensitive '
              'value)", "path": ".q", "change": "remove", "sensitive": true}, {"old": 4, "path": ".x[\"(sensitive '
              'value)\"][0]", "change": "remove"}, {"old": 2, "path": ".[\"(sensitive value)\"]", "change": "remove"}, '
              '{"old": 1, "path": ".[\"(sensitive value)\"]", "change": "remove"}]'],
    'the same of what the plan alone calls sensitive');
SELECT is(pg_temp.leaves('{"a": 1}', '{"a": 2}', '{}', params::jsonb, schema::jsonb), '.a change 1 -> 2',
    'nothing is secret without both') FROM (VALUES ('{"x": 1}', NULL), (NULL, '{"$md.sensitive": true}'),
    ('{"x": 1}', '{}')) AS v(params, schema);
SELECT is((SELECT count(*) FROM generate_series(1, 5000) AS i, LATERAL (SELECT 1) AS one,
    (SELECT c.diff::text AS diff
        FROM promote.plan_document_changes(pg_temp.plan((SELECT jsonb_build_object('actions', '["create"]'::jsonb,
        'after', jsonb_object_agg('k' || n, 'v-' || md5(n::text) || '-w')) FROM generate_series(1, 5000) AS n)),
        (SELECT jsonb_agg(md5(n::text)) FROM generate_series(1, 5000) AS n), '{"$md.sensitive": true}') AS c) AS plan
            WHERE i = 1 AND diff ~ md5(i::text)), 0::bigint, 'thousands of secrets');
-- Of secrets that begin alike the longest that fits is replaced, and what is between them in the order is no cover.
CREATE FUNCTION pg_temp.censored(text,
    secrets jsonb DEFAULT '["swordfish", "swordfish-azure", "swordfish-blade-north", "swordfish-blade-n"]') RETURNS text
    LANGUAGE sql AS $$
    SELECT action_reason FROM promote.plan_document_changes(pg_temp.plan('{"actions": ["create"], "after": {"v": 1}}',
        jsonb_build_object('action_reason', $1)), secrets, '{"$md.sensitive": true}')
$$;
SELECT is(pg_temp.censored(said), replace(shown, '#', '(sensitive value)'), said)
  FROM (VALUES ('a swordfish b', 'a # b'), ('a swordfish-azure b', 'a # b'), ('a swordfish-blade-north b', 'a # b'),
      ('a swordfish-blade-n b', 'a # b'), ('swordfish-blade-nort', '#ort'),
               ('swordfish-blade-m', '#-blade-m'), ('swordfish-blade-zzz', '#-blade-zzz'),
                   ('swordfish-blade', '#-blade'), ('swordfish-a', '#-a'), ('swordfish-azurf', '#-azurf'),
                   ('swordfish-zebra', '#-zebra'),
               ('swordfishswordfish-azureswordfish', '###'), ('swordfis', 'swordfis'), ('xswordfish', 'x#'),
                   ('"swordfish" "swordfish-blade-n"', '"#" "#"')) AS v(said, shown);
SELECT is(pg_temp.censored('swordfish-azure', secrets::jsonb), replace(shown, '#', '(sensitive value)'), secrets)
  FROM (VALUES ('["swordfish"]', '#-azure'), ('["swordfish-azure"]', '#'), ('["swordfish", "swordfish"]', '#-azure'),
      ('["swordfish-b", "swordfish"]', '#-azure'), ('["swordfish-b", "swordfish-c"]', 'swordfish-azure'),
               ('["-azure", "swordfish"]', '##'), ('["fish-azure", "swordfish"]', '#-azure'),
                   ('["sword", "fish-azure"]', '##')) AS v(secrets, shown);

-- ---- fingerprints: address, action, deposed or not, and the set of paths ----
CREATE FUNCTION pg_temp.fingerprint(change text, element jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT COALESCE(encode(fingerprint, 'hex'), 'none')
        FROM promote.plan_document_changes(pg_temp.plan(change::jsonb, element))
$$;
SELECT is(pg_temp.fingerprint(a, c::jsonb) = pg_temp.fingerprint(b, d::jsonb), same, format('%s %s and %s %s', a, c, b,
    d)) FROM (VALUES
    ('{"actions": ["update"], "before": {"a": 1}, "after": {"a": 2}}', '{}',
        '{"actions": ["update"], "before": {"a": "x"}, "after": {"a": "y"}}', '{"deposed": null}', true),
    ('{"actions": ["update"], "before": {"a": 1}, "after": {"a": 2}}', '{}',
        '{"actions": ["update"], "before": {"b": 1}, "after": {"b": 2}}', '{}', false),
    ('{"actions": ["update"], "before": {"a": 1}, "after": {"a": 2}}', '{}',
        '{"actions": ["update"], "before": {"a": 1, "b": 1}, "after": {"a": 2}}', '{}', false),
    ('{"actions": ["update"], "before": {"a": 1}, "after": {"a": 2}}', '{}',
        '{"actions": ["delete", "create"], "before": {"a": 1}, "after": {"a": 2}}', '{}', false),
    ('{"actions": ["delete", "create"]}', '{}', '{"actions": ["create", "delete"]}', '{}', true),
    ('{"actions": ["forget", "create"]}', '{}', '{"actions": ["create", "forget"]}', '{}', true),
    ('{"actions": ["forget", "create"]}', '{}', '{"actions": ["delete", "create"]}', '{}', false),
    ('{"actions": ["update"]}', '{}', '{"actions": ["update"]}', '{"address": "x.z"}', false),
    ('{"actions": ["delete"], "before": {"a": 1}}', '{}', '{"actions": ["delete"], "before": {"b": 1}}', '{}', true),
    ('{"actions": ["delete"]}', '{}', '{"actions": ["delete"]}', '{"deposed": "a"}', false),
    ('{"actions": ["delete"]}', '{"deposed": "b"}', '{"actions": ["delete"]}', '{"deposed": "a"}', true),
    ('{"actions": ["update"], "before": {"a": {"b": 1}}, "after": {"a": 2}}', '{}',
        '{"actions": ["update"], "before": {"a": 2}, "after": {"a": {"b": 1}}}', '{}', true),
    ('{"actions": ["no-op"], "before": {"a": 1}, "after": {"a": 1}}', '{"previous_address": "x.w"}',
        '{"actions": ["no-op"]}', '{"previous_address": "x.v"}', true)) AS v(a, c, b, d, same);
SELECT is(pg_temp.fingerprint(jsonb_build_object('actions', jsonb_build_array(action))::text), 'none',
    action || ' does nothing') FROM unnest(ARRAY['no-op', 'read']) AS action;
SELECT is((SELECT count(fingerprint)
    FROM promote.plan_document_changes('{"format_version": "1.0", "resource_changes": [], "resource_drift": '
    '[{"address": "c", "change": {"actions": ["update"]}}],
    "deferred_changes": [{"resource_change": {"address": "d", "change": {"actions": ["create"]}}}]}')), 0::bigint,
        'nor do drift and what is deferred');
SELECT is(octet_length(fingerprint), 16, 'of 16 bytes')
    FROM promote.plan_document_changes(pg_temp.plan('{"actions": ["create"]}'));

-- ---- refusals ----
SELECT pg_temp.refuses(format('SELECT * FROM promote.plan_document_changes(%L)', plan), 'PM506', '^' || detail || '\.$',
    plan) FROM (VALUES
    ('1', 'The document is not an object'), ('[]', 'The document is not an object'),
        ('null', 'The document is not an object'),
    ('{}', '\.format_version is missing'), ('{"format_version": null}', '\.format_version is missing'),
        ('{"format_version": 1.2}', '\.format_version is not a string'),
    ('{"format_version": "2.0"}', '\.format_version is not a version 1\.x'),
        ('{"format_version": "0.2"}', '\.format_version is not a version 1\.x'),
        ('{"format_version": "1"}', '\.format_version is not a version 1\.x'),
        ('{"format_version": "1.x"}', '\.format_version is not a version 1\.x'),
    ('{"format_version": "1.0", "values": {}}', '\.resource_changes is missing, and \.planned_values too'),
    ('{"format_version": "1.0", "resource_changes": {}}', '\.resource_changes is not an array'),
        ('{"format_version": "1.0", "planned_values": {}, "resource_drift": 1}', '\.resource_drift is not an array'),
    ('{"format_version": "1.0", "planned_values": {}, "deferred_changes": "x"}', '\.deferred_changes is not an array'),
        ('{"format_version": "1.0", "planned_values": {}, "deferred_action_invocations": {}}',
        '\.deferred_action_invocations is not an array'),
    ('{"format_version": "1.0", "resource_changes": [1]}', '\.resource_changes\[0\] is not an object'),
        ('{"format_version": "1.0", "resource_changes": [{}]}', '\.resource_changes\[0\]\.address is missing'),
    ('{"format_version": "1.0", "resource_changes": [{"address": 1}]}',
        '\.resource_changes\[0\]\.address is not a string'),
    ('{"format_version": "1.0", "resource_changes": [{"address": "a", "change": {"actions": ["read"]}}, {"address": '
        '"a"}]}', '\.resource_changes\[1\]\.change is missing'),
    ('{"format_version": "1.0", "resource_changes": [{"address": "a", "change": []}]}',
        '\.resource_changes\[0\]\.change is not an object'),
    ('{"format_version": "1.0", "resource_changes": [{"address": "a", "change": {}}]}',
        '\.resource_changes\[0\]\.change\.actions is missing'),
    ('{"format_version": "1.0", "resource_changes": [{"address": "a", "change": {"actions": "create"}}]}',
        '\.resource_changes\[0\]\.change\.actions is not an array'),
    ('{"format_version": "1.0", "resource_changes": [{"address": "a", "deposed": 1}]}',
        '\.resource_changes\[0\]\.deposed is not a string'),
    ('{"format_version": "1.0", "resource_changes": [{"address": "a", "change": {"actions": ["create"], '
        '"replace_paths": {}}}]}', '\.resource_changes\[0\]\.change\.replace_paths is not an array'),
    ('{"format_version": "1.0", "resource_changes": [{"address": "a", "change": {"actions": ["create"], '
        '"replace_paths": [[], "x"]}}]}', '\.resource_changes\[0\]\.change\.replace_paths\[1\] is not an array'),
    ('{"format_version": "1.0", "planned_values": {}, "deferred_changes": [{}]}',
        '\.deferred_changes\[0\]\.resource_change is missing'),
    ('{"format_version": "1.0", "planned_values": {}, "deferred_changes": [{"resource_change": {}}]}',
        '\.deferred_changes\[0\]\.resource_change\.address is missing'),
    ('{"format_version": "1.0", "planned_values": {}, "resource_drift": [{"address": "a", "change": {"actions": '
        '[1]}}]}', '\.resource_drift\[0\]\.change\.actions is no list of actions that is known here'),
    ('{"format_version": "1.0", "planned_values": {}, "errored": "no"}', '\.errored is not a boolean'),
        ('{"format_version": "1.0", "planned_values": {}, "complete": 1}', '\.complete is not a boolean'),
    ('{"format_version": "1.0", "planned_values": {}, "applyable": []}', '\.applyable is not a boolean'),
        ('{"format_version": "1.0", "planned_values": {}, "timestamp": 1}', '\.timestamp is not a string'),
    ('{"format_version": "1.0", "planned_values": {}, "terraform_version": 1}',
        '\.terraform_version is not a string')) AS v(plan, detail);
SELECT pg_temp.refuses(format('SELECT * FROM promote.plan_document_changes(pg_temp.plan(%L))',
    jsonb_build_object('actions', actions::jsonb)), 'PM506', '^\.resource_changes\[0\]\.change\.actions is no list',
    actions)
  FROM unnest(ARRAY['[]', '["destroy"]', '["create", "update"]', '["create", "delete", "create"]',
      '["create", "create"]', '["delete", "delete"]', '[["create"]]', '[null]', '["no-op", "no-op"]']) AS actions;
SELECT pg_temp.refuses(format('SELECT * FROM promote.plan_document_changes(pg_temp.plan(%L))',
    '{"actions": ["create"], "after": ' || repeat('[', 900) || array_to_string(array_fill(1, ARRAY[40000]), ',')
    || repeat(']', 900) || '}'),
    'PM102', 'more than 67108864 bytes', 'what would fill the memory');

SELECT * FROM finish();
ROLLBACK;
