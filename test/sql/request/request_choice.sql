-- Requests for a part of what the sources have, for another state of them, and for what a preset or defaults fill in.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
SET LOCAL promote.actor = 'ada';

CREATE FUNCTION pg_temp.open(components text[], more text DEFAULT '') RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    result integer;
BEGIN
    EXECUTE format('SELECT request FROM promote.open_request(''shop'', ''staging'', ''production'', %L%s)',
        jsonb_build_object('components', components), more) INTO result;
    RETURN result;
END
$$;
CREATE FUNCTION pg_temp.opens(components text[], more text) RETURNS text LANGUAGE sql AS $$
    SELECT format('SELECT pg_temp.open(%L, %L)', components, ', ' || more) $$;
CREATE FUNCTION pg_temp.edit(instance text, patch jsonb) RETURNS integer LANGUAGE sql AS $$
    SELECT new_revision FROM promote.configure_instance('shop-' || instance, patch) $$;
-- What is previewed of each item: the source's revision, the choice, the diff, and why it is skipped or blocked.
CREATE FUNCTION pg_temp.shown(number integer) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(E'\n', concat_ws(' ', component, source_revision, choice), pg_temp.entries(diff),
        'skipped: ' || (skip_reason ->> 'code'),
        (SELECT string_agg(concat_ws(E':\n', b ->> 'code', b ->> 'message'), E'\n')
            FROM jsonb_array_elements(blockers) AS b)), E'\n')
      FROM promote.preview_request('shop', number) $$;
CREATE FUNCTION pg_temp.cancel(number integer) RETURNS text LANGUAGE sql AS $$
    SELECT status FROM promote.cancel_request('shop', number, 'enough') $$;

-- ---- named places, of all and of one ----
SELECT pg_temp.edit('staging-' || s, '{"a": 1, "b": 2}') FROM unnest('{s1,s2,s3,s4}'::text[]) AS s \g /dev/null
SELECT pg_temp.edit('production-s4', '{"size": 2, "a": 1}') \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT promote.deploy_instance('shop-production-s4') \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.open('{s1,s2,s3,s4}', $$, 'waves', '[100]', "only" => '{.size,.a}',
    choices => '{"s2": {"only": [".b"]}, "s3": {"only": null}}'$$), 1, 'a request for a part');
SELECT is(pg_temp.lines('SELECT choice, choices FROM promote.promotion_request WHERE request = 1'),
    $$("{""only"": ["".size"", "".a""]}","{""s2"": {""only"": ["".b""]}, ""s3"": {""only"": null}}")$$, 'is kept');
SELECT is(pg_temp.shown(1),
$$s1 2 {"only": [".size", ".a"]}
.a add -> 1 2
.size change 1 -> 2 2
s2 2 {"only": [".b"]}
.b add -> 2 2
s3 2 {}
.a add -> 1 2
.b add -> 2 2
.size change 1 -> 2 2
.password add -> "(sensitive value)" 2
s4 2 {"only": [".size", ".a"]}
skipped: nothing_to_do$$, 'each is shown what it takes');
SELECT is(pg_temp.drain(1), 'COMPLETED', 'staged, planned, deployed');
SELECT is(pg_temp.lines($$SELECT i.component, c.params, r."only", r.source_revision FROM promote.instance AS i
    JOIN promote.revision AS r USING (project, environment, component, revision) JOIN promote.config AS c
    USING (project, digest) WHERE project = 'shop' AND environment = 'production' AND component < 's5'
    ORDER BY component$$),
$$(s1,"{""a"": 1, ""own"": 1, ""size"": 2}","{.size,.a}",2)
(s2,"{""b"": 2, ""own"": 2, ""size"": 1}",{.b},2)
(s3,"{""a"": 1, ""b"": 2, ""own"": 3, ""size"": 2, ""password"": ""hush""}",,2)
(s4,"{""a"": 1, ""own"": 4, ""size"": 2}",,)$$, 'with its own besides');
SELECT is(pg_temp.items(1), 's1 1 DONE, s2 1 DONE, s3 1 DONE, s4 1 SKIPPED', 'what has it is skipped');
SELECT is((SELECT jsonb_path_query_array(d.e, '$.previews[0].items[*].choice') || (d.e -> 'choice')
    || (d.e -> 'choices') FROM (SELECT promote.request_evidence('shop', 1)) AS d (e)),
    '[{"only": [".size", ".a"]}, {"only": [".b"]}, {"only": [".size", ".a"]}, {"only": [".size", ".a"]},
    {"s2": {"only": [".b"]}, "s3": {"only": null}}]', 'the evidence has it');
SELECT matches(promote.handoff_text('shop', 1),
    E'\nTakes: \\{"only": \\["\\.size", "\\.a"\\]\\}; s2: \\{"only": \\["\\.b"\\]\\}; s3: \\{"only": null\\}\n',
    'and the sheet');

-- ---- another state of the source ----
SELECT pg_temp.edit('staging-s1', '{"size": 30}') \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT promote.deploy_instance('shop-staging-s1') \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT pg_temp.edit('staging-s1', '{"size": 40}') \g /dev/null
SELECT pg_temp.edit('staging-s1', '{"size": 50}') \g /dev/null
CREATE FUNCTION pg_temp.source(more text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    number integer := pg_temp.open('{s1}', ', ' || more);
    shown text := (SELECT pg_temp.entries(diff) FROM promote.preview_request('shop', number));
BEGIN
    PERFORM pg_temp.cancel(number);
    RETURN pg_temp.lines(format('SELECT t.source_revision, %L, v.items -> 0 ->> %L = encode(r.digest, %L) '
        'FROM promote.promotion_request_item AS t JOIN promote.promotion_request_preview AS v USING (project, request) '
        'JOIN promote.revision AS r USING (project, component) WHERE request = %s AND r.environment = %L '
        'AND r.revision = t.source_revision', shown, 'source_digest', 'hex', number, 'staging'));
END
$$;
SELECT is(pg_temp.source($$"only" => '{.size}', $$ || more), expected, more)
  FROM (VALUES ('choices => NULL', '(5,".size change 2 -> 50 3",t)'),
    ($$source_state => 'running'$$, '(3,".size change 2 -> 30 3",t)'),
    ($$source_state => 'running', choices => '{"s1": {"source_revision": 4}}'$$, '(4,".size change 2 -> 40 3",t)'),
    ($$source_state => 'running', choices => '{"s1": {"source_revision": null}}'$$, '(3,".size change 2 -> 30 3",t)'),
    ($$source_state => 'running', choices => '{"s1": {"source_state": "desired"}}'$$,
        '(5,".size change 2 -> 50 3",t)'),
    ($$choices => '{"s1": {"source_state": "running", "source_revision": null}}'$$,
        '(3,".size change 2 -> 30 3",t)')) AS v(more, expected);
SELECT is(pg_temp.open('{s1}', $$, choices => '{"s1": {"source_revision": 3}}', rollback_mode => 'all',
    checks => '{smoke}'$$), 8, 'a former revision');
SELECT is(pg_temp.preview(8), 1::bigint, 'previewed');
SELECT pg_temp.edit('staging-s1', '{"size": 60}') \g /dev/null
SELECT is(pg_temp.drain(8), 'RUNNING', 'that the source has gone on since is nothing to it');
SELECT is(pg_temp.params('shop-production-s1') ->> 'size', '30', 'it is promoted');
SELECT promote.report_health('shop-production-s1', 'smoke', false) \g /dev/null
SELECT is(pg_temp.drain(8), 'ROLLED_BACK', 'and rolled back');
SELECT is(pg_temp.params('shop-production-s1'), '{"a": 1, "own": 1, "size": 2}', '... to what ran before');

-- ---- gates judge by what is taken ----
UPDATE promote.environment SET require_source_in_sync = true WHERE project = 'shop' AND environment = 'production';
SELECT is(pg_temp.open('{s1}', $$, source_state => 'running'$$), 9, 'what runs');
SELECT matches(pg_temp.shown(9), 'source_in_sync', 'the source desires something else');
SELECT is(pg_temp.cancel(9), 'CANCELLED', 'cancelled');
UPDATE promote.environment SET require_source_in_sync = false WHERE project = 'shop' AND environment = 'production';

-- ---- a source that has moved ----
SELECT is(pg_temp.open('{s1,s2}', $$, 'waves', '[100]', choices => '{"s1": {"expected_source_revision": 5},
    "s2": {"expected_source_revision": 2, "only": [".b"]}}'$$), 10, 'what was looked at');
SELECT is(pg_temp.shown(10),
$$s1 6 {"expected_source_revision": 5}
release constraint change "1.0.0" -> "latest" 5
.b add -> 2 5
.size change 2 -> 60 5
.password add -> "(sensitive value)" 5
choice:
revision 6 of "shop-staging-s1" would be promoted, and revision 5 is expected
s2 2 {"only": [".b"], "expected_source_revision": 2}
skipped: nothing_to_do$$, 'stands in the way of what is shown');
SELECT is(pg_temp.advance(10), 'BLOCKED 1 0', 'and is not staged');
SELECT matches(pg_temp.waits(10), 'revision 5 of "shop-staging-s1" is not what would be promoted', '... by an error');
SELECT is((SELECT waits_for -> 0 ->> 'sqlstate' FROM promote.promotion_request WHERE request = 10), 'PM401',
    '... with its SQLSTATE');
SELECT is(pg_temp.items(10), 's1 1 PENDING, s2 1 SKIPPED', 'the other one goes on');
SELECT is(pg_temp.cancel(10), 'CANCELLED', 'cancelled');
SELECT is(pg_temp.open('{s1}', $$, "only" => '{.a}', choices => '{"s1": {"expected_source_revision": 5}}'$$), 11,
    'a place that is the same in both');
SELECT matches(pg_temp.shown(11), E'^s1 6 [^\n]*\nchoice:\nrevision 6 ',
    '... is not skipped where the source has moved');
SELECT is(pg_temp.cancel(11), 'CANCELLED', 'cancelled');

-- ---- what cannot be taken ----
SELECT is(pg_temp.open('{s1,s2,s3,s5}', $$, 'waves', '[100]', "only" => '{.none}', choices => '{"s2": {"only": null,
    "source_revision": 9}, "s3": {"only": null, "preset": "none"}, "s5": {"only": null}}'$$), 12,
    'all but one are wrong');
SELECT is(pg_temp.shown(12),
$$s1 {"only": [".none"]}
choice:
not all that is named can be promoted alone to "shop-production-s1": .none: neither side has it
s2 {"source_revision": 9}
choice:
there is no revision 9 of "shop-staging-s2": The call has it as source_revision.
s3 {"preset": "none"}
choice:
release 1.0.0 of bundle "service" has no preset "none": It has no presets.
s5 1 {}
.size change 1 -> 2 2
.password add -> "(sensitive value)" 2$$, 'a blocker says why');
SELECT is(pg_temp.advance(12), 'RUNNING 1 1', 'the others stay');
SELECT is(pg_temp.items(12), 's1 1 PENDING, s2 1 PENDING, s3 1 PENDING, s5 1 STAGED', 'and that one goes');
SELECT is(pg_temp.cancel(12), 'CANCELLED', 'cancelled');
SELECT is(pg_temp.open('{s1,s2}', $$, 'all_at_once', "only" => '{.b}',
    choices => '{"s2": {"only": [".password", ".c"]}}',
    overrides => '{"s2": {"c": 3}}'$$), 13, 'all at once');
SELECT matches(pg_temp.shown(13), E'\ns2 .*\\.c: neither side has it', 'one cannot');
SELECT is(pg_temp.advance(13), 'BLOCKED 1 0', 'so that none is staged');
SELECT is(pg_temp.cancel(13), 'CANCELLED', 'cancelled');
SELECT is(pg_temp.open('{s1,s2}', $$, 'all_at_once', "only" => '{.b}', choices => '{"s2": {"only": [".password"]}}',
    overrides => '{"s2": [{"op": "test", "path": "/size", "value": 1}, {"op": "add", "path": "/c", "value": [3]}]}'$$),
    14, 'beside overrides');
SELECT is(pg_temp.preview(14), 2::bigint, 'previewed');
SELECT is(pg_temp.drain(14), 'COMPLETED', 'both go');
SELECT is(pg_temp.params('shop-production-s1') || pg_temp.params('shop-production-s2'),
    '{"a": 1, "b": 2, "own": 2, "size": 1, "password": "hush", "c": [3]}', 'with what was chosen');

-- ---- what is staged and has not moved is not composed once more on top of itself ----
SELECT pg_temp.open('{s2}', $$, "only" => '{.a}', overrides => '{"s2": [{"op": "add", "path": "/c/-", "value": 4}]}'$$)
    AS last \gset
SELECT is(pg_temp.preview(:last), 1::bigint, 'an element behind the last');
SELECT is(pg_temp.advance(:last), 'RUNNING 1 1', 'staged');
SELECT is((SELECT status || E'\n' || pg_temp.entries(diff) FROM promote.preview_request('shop', :last)),
    E'STAGED\n.a add -> 1 4\n.c[1] add -> 4 4', 'is shown once');
SELECT is(pg_temp.drain(:last), 'COMPLETED', 'it goes');
SELECT is(pg_temp.params('shop-production-s2') -> 'c', '[3, 4]', 'once');

-- ---- what was chosen moves the digest of the preview, and of the item ----
CREATE FUNCTION pg_temp.digest(more text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    number integer := pg_temp.open('{s6}', ', ' || more);
    result text := (SELECT encode(digest, 'hex') FROM promote.preview_request('shop', number));
BEGIN
    PERFORM pg_temp.cancel(number);
    RETURN result;
END
$$;
SELECT is(pg_temp.digest($$"only" => NULL, preset => NULL$$), pg_temp.digest($$choices => '{"s6": {}}'$$),
    'nothing was chosen');
SELECT isnt(pg_temp.digest($$"only" => '{.size,.password}'$$), pg_temp.digest($$"only" => NULL$$), 'what there is');
SELECT isnt(pg_temp.digest($$choices => '{"s6": {"source_revision": 1}}'$$), pg_temp.digest($$"only" => NULL$$),
    'what is desired anyway');

-- ---- an item is what promote_instance would do with these arguments ----
CREATE FUNCTION pg_temp.promoted(more text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    EXECUTE format('SELECT pg_temp.entries(diff) FROM promote.promote_instance(%L, %L, %s)', 'shop-staging-s1',
        'shop-production-s1', more) INTO result;
    SELECT source_revision || ' ' || result INTO result FROM promote.revision WHERE project = 'shop'
        AND environment = 'production' AND component = 's1' ORDER BY revision DESC LIMIT 1;
    RAISE EXCEPTION USING ERRCODE = 'ZZ999';
EXCEPTION WHEN SQLSTATE 'ZZ999' THEN
    RETURN result;
END
$$;
CREATE FUNCTION pg_temp.requested(more text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    number integer := pg_temp.open('{s1}', ', ' || more);
    result text := (SELECT source_revision || ' ' || pg_temp.entries(diff)
        FROM promote.preview_request('shop', number));
BEGIN
    PERFORM pg_temp.cancel(number);
    RETURN result;
END
$$;
SELECT pg_temp.edit('staging-s1', '{"list": [1, {"a": 2}], "c": 1}') \g /dev/null
SELECT pg_temp.edit('production-s1', '{"list": [1, {"a": 3, "b": 3}], "d": 1}') \g /dev/null
SELECT is(pg_temp.requested(v.common), pg_temp.promoted(v.common), v.common)
  FROM (VALUES ('pin => false'), ('pin => true'), ($$"only" => '{.list[1],.c}'$$),
    ($$"only" => '{.d,.size,release}'$$), ($$"only" => '{.d,release}', pin => true$$),
    ($$source_state => 'running'$$), ($$source_state => 'running', "only" => '{.list}'$$),
    ($$fill_defaults => true$$)) AS v (common);
SELECT is(pg_temp.requested(format('overrides => %L, choices => %L', jsonb_build_object('s1', patch),
        jsonb_build_object('s1', own))),
    pg_temp.promoted(concat_ws(', ', quote_literal(patch), (SELECT string_agg(format('%I => %L', key, CASE
        WHEN jsonb_typeof(value) = 'array' THEN translate(value::text, '[]', '{}') ELSE value #>> '{}' END), ', ')
        FROM jsonb_each(own)))), patch::text || ' ' || own)
  FROM (VALUES ('{}'::jsonb, '{"source_revision": 3}'::jsonb),
    ('{"e": 1}', '{"source_revision": 4, "only": [".size"]}'),
    ('[{"op": "add", "path": "/list/-", "value": 4}]', '{"only": [".size", ".c"], "expected_source_revision": 7}'),
    ('[{"op": "test", "path": "/list/1/b", "value": 3}, {"op": "remove", "path": "/list/1"}]',
        '{"only": [".size"], "source_state": "running", "fill_defaults": true}')) AS v (patch, own);

-- ---- calls that are refused ----
SELECT pg_temp.refuses(pg_temp.opens('{s1,s2}', more), state, detail, more)
  FROM (VALUES ($$"only" => '{}'$$, 'PM404', 'not an array of 1 to 1000 places'),
    ($$"only" => '{.a,.a}'$$, 'PM405', '^\.a: it is named twice$'),
    ($$"only" => '{.a}', pin => true$$, 'PM404', 'leaves the release out'),
    ($$"only" => '{.a}', copy_secrets => true$$, 'PM404', 'names no secret'),
    ($$"only" => '{.a}', copy_remote_references => true$$, 'PM404', 'names no reference'),
    ($$"only" => '{secret s}'$$, 'PM405', '^secret s: it is copied with copy_secrets => true$'),
    ($$source_state => 'gone'$$, 'PM404', '"gone" is neither'),
    ($$choices => '[]'$$, 'PM101', 'array'),
    ($$choices => '{"s3": {}}'$$, 'PM404', 'Nothing of component "s3" is promoted'),
    ($$choices => '{"none": {}}'$$, 'PM404', 'Nothing of component "none" is promoted'),
    ($$choices => '{"s1": {"onyl": 1, "only": [".a", 1], "preset": 1, "source_state": "gone", "fill_defaults": 1,
        "source_revision": 0, "expected_source_revision": 1.5}, "s2": []}'$$, 'PM404',
        '^s1: only: element 2 of it is not a string
s1: onyl: nothing of that name can be chosen
s1: preset: it is not a name
s1: source_state: it is neither desired nor running
s1: fill_defaults: it is neither true nor false
s1: source_revision: it is not the number of a revision
s1: expected_source_revision: it is not the number of a revision
s2: it is not an object$'),
    ($$choices => '{"s1": {"only": []}, "s2": {"only": "a"}}'$$, 'PM404',
        E'^s1: only: it is not an array of 1 to 1000 places\ns2: only: it is not'),
    ($$choices => '{"s1": {"source_state": "running", "source_revision": 1}}'$$, 'PM404',
        '^s1: source_state: what runs is asked for, and source_revision as well$'),
    ($$choices => '{"s1": {"only": [".a..b"]}}'$$, '22023', '"\.a\.\.b" cannot be read'),
    ($$choices => '{"s2": {"only": [".a"]}}', pin => true$$, 'PM404', 'leaves the release out'),
    ($$choices => '{"s2": {"only": [".a", ".a.b"]}}'$$, 'PM405',
        '^\.a\.b: it lies inside \.a, which is named as well$'))
        AS v(more, state, detail);
SELECT matches((pg_temp.refusal(pg_temp.opens('{s1,s2}', $$choices => '{"s2": {"only": [".a"]}}', pin => true$$)))
    .message,
    '"shop-production-s2" cannot be pinned', 'it says which');
SELECT lives_ok(pg_temp.opens('{s1,s2}', $$"only" => '{.a}', pin => true, choices => '{"s1": {"only": null},
    "s2": {"only": ["release", ".a"]}}'$$), 'what no item takes is not judged');

-- ---- it is what was asked for: never changed ----
SELECT pg_temp.refuses(format('UPDATE promote.promotion_request SET %I = %L WHERE project = %L', c, '{"preset": "b"}',
    'shop'), 'PM301', 'what was asked for', c) FROM unnest('{choice,choices}'::text[]) AS c;

-- ---- secrets and remote references ----
INSERT INTO promote.bundle_release (bundle, version, params_schema, secrets, remote_references)
    SELECT 'service', '1.1.0', params_schema, '{"token": {"required": false}, "key": {"required": false}}',
        '{"network": {"required": false}, "queue": {"required": false}}' FROM promote.bundle_release
     WHERE bundle = 'service' AND version = '1.0.0';
SET LOCAL promote.secret_key_command = 'echo one:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=';
SELECT promote.set_secret('shop-staging-s6', s, s) FROM unnest('{token,key}'::text[]) AS s \g /dev/null
SELECT promote.set_remote_reference('shop-staging-s6', r, r) FROM unnest('{network,queue}'::text[]) AS r \g /dev/null
SELECT pg_temp.open('{s6}', $$, "only" => '{secret none,.size}', copy_secrets => true, copy_remote_references => true,
    choices => '{"s6": {"only": ["release", "secret token", "reference queue"]}}'$$) AS last \gset
SELECT is(pg_temp.shown(:last), $$s6 1 {"only": ["release", "secret token", "reference queue"]}
release version change "1.0.0" -> "1.1.0" 2
reference queue add -> "queue" 2
secret token add -> "(sensitive value)" 2$$, 'of what is copied, what is named');
SELECT is(pg_temp.drain(:last), 'COMPLETED', 'it goes');
SELECT is(pg_temp.lines($$SELECT field FROM promote.remote_reference WHERE project = 'shop'
    AND environment = 'production' UNION ALL SELECT secret FROM promote.secret WHERE project = 'shop'
    AND environment = 'production'$$), E'(queue)\n(token)', 'and that alone is there');

-- ---- what the destination has changed itself ----
SELECT pg_temp.edit('staging-' || s, '{"x": 1, "y": 1, "z": 1}') FROM unnest('{s4,s5,s6}'::text[]) AS s \g /dev/null
SELECT promote.promote_instance('shop-staging-' || s, 'shop-production-' || s) FROM unnest('{s4,s5,s6}'::text[]) AS s
\g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT promote.deploy_instance('shop-staging-' || s) FROM unnest('{s4,s5,s6}'::text[]) AS s \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT pg_temp.edit('production-' || s, '{"y": 2}') FROM unnest('{s4,s5,s6}'::text[]) AS s \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT promote.deploy_instance('shop-production-' || s) FROM unnest('{s4,s5,s6}'::text[]) AS s \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT pg_temp.edit('staging-' || s, v) FROM (VALUES ('s4', '{"x": 3}'::jsonb), ('s5', '{"y": 3}'), ('s6', '{"y": 2}'))
    AS v (s, v) \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT promote.deploy_instance('shop-staging-' || s) FROM unnest('{s4,s5,s6}'::text[]) AS s \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT pg_temp.open('{s4,s5,s6}', $$, 'waves', '[100]', mode => 'merge'$$) AS last \gset
SELECT is(replace(pg_temp.shown(:last), ' since they were merged last', ''), $$s4 4 {"mode": "merge"}
.x change 1 -> 3 5
s5 {"mode": "merge"}
conflict:
"shop-production-s5" and its source have changed the same values: .y: base 1, source 3, destination 2
s6 3 {"mode": "merge"}
skipped: nothing_to_do$$, 'what only the source has changed is taken');
SELECT is(pg_temp.drain(:last), 'BLOCKED', 'that goes');
SELECT is(pg_temp.items(:last), 's4 1 DONE, s5 1 PENDING, s6 1 SKIPPED', 'and what both have changed waits');
SELECT is(pg_temp.params('shop-production-s4') ->> 'y', '2', 'the hotfix stays');
SELECT is(pg_temp.lines($$SELECT component, revision, source_revision, mode FROM promote.revision
    WHERE project = 'shop' AND environment = 'production' AND component IN ('s4', 's6') AND origin = 'promotion'
    AND mode = 'merge' ORDER BY component$$), E'(s4,5,4,merge)\n(s6,5,3,merge)',
    'the next merge starts from there, also where there was nothing to do');
SELECT is((SELECT status FROM promote.instance_status WHERE instance = 'shop-production-s6'), 'in_sync',
    '... and nothing to deploy');
SELECT pg_temp.cancel(:last) \g /dev/null
UPDATE promote.environment SET promotion_mode = 'merge' WHERE project = 'shop' AND environment = 'production';
SELECT pg_temp.edit('staging-s4', '{"y": 4}') \g /dev/null
SELECT pg_temp.open('{s4,s5}', $$, 'waves', '[100]', on_conflict => 'source',
    choices => '{"s5": {"on_conflict": "destination"}}'$$) AS last \gset
SELECT is(pg_temp.shown(:last), $$s4 5 {"on_conflict": "source"}
.y change 2 -> 4 6
s5 3 {"on_conflict": "destination"}
skipped: nothing_to_do$$, 'who wins is said');
SELECT pg_temp.cancel(:last) \g /dev/null
SELECT pg_temp.open('{s4,s5}', $$, 'waves', '[100]', mode => 'merge', on_conflict => 'destination',
    choices => '{"s5": {"mode": "replace"}}'$$) AS last \gset
SELECT is(pg_temp.shown(:last), $$s4 5 {"mode": "merge", "on_conflict": "destination"}
skipped: nothing_to_do
s5 3 {"mode": "replace"}
.y change 2 -> 3 5$$, 'of what is replaced that decides nothing');
SELECT pg_temp.cancel(:last) \g /dev/null
UPDATE promote.environment SET promotion_mode = 'replace' WHERE project = 'shop' AND environment = 'production';
SELECT pg_temp.open('{s4}', $$, on_conflict => 'source'$$) AS last \gset
SELECT matches(pg_temp.shown(:last), 'on_conflict decides nothing: The promotion_mode', 'and where nothing is merged');
SELECT pg_temp.cancel(:last) \g /dev/null
SELECT pg_temp.refuses(pg_temp.opens('{s4}', more), 'PM404', detail, more)
  FROM (VALUES ($$mode => 'replace', on_conflict => 'source'$$, 'replace, which knows no conflicts'),
    ($$choices => '{"s4": {"mode": "replace", "on_conflict": "source"}}'$$, 'replace, which knows no conflicts'),
    ($$mode => 'x'$$, 'neither replace nor merge'), ($$on_conflict => 'x'$$, 'neither ''source'' nor'),
    ($$choices => '{"s4": {"mode": 1, "on_conflict": "x"}}'$$,
        E'^s4: mode: it is neither replace nor merge\ns4: on_conflict: it is neither source nor destination$'))
        AS v (more, detail);

-- ---- first promotions ----
INSERT INTO promote.bundle_release (bundle, version, presets, params_schema) VALUES ('service', '2.0.0',
    '{"big": {"own": "preset"}}', '{"required": ["own"], "properties": {"own": {"$md.copyable": false},
    "size": {"type": "integer"}, "mode": {"default": "auto"}}}');
INSERT INTO promote.component (project, component, bundle) SELECT 'shop', c, 'service' FROM unnest('{n1,n2,n3}'::text[])
    AS c;
INSERT INTO promote.instance (project, environment, component)
SELECT 'shop', e, c FROM unnest('{staging,production}'::text[]) AS e, unnest('{n1,n2,n3}'::text[]) AS c;
SELECT promote.configure_instance('shop-staging-' || c, '{"size": 4, "own": "stage", "b": 1}', '2.0.0')
    FROM unnest('{n1,n2,n3}'::text[]) AS c \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT pg_temp.open('{n1,n2,n3}', $$, 'waves', '[100]', preset => 'big', fill_defaults => true,
    choices => '{"n2": {"only": [".size"]}, "n3": {"only": [".size", "release"], "fill_defaults": false}}',
    overrides => '{"n3": {"own": "n3"}}'$$) AS first
    \gset
SELECT is(pg_temp.shown(:first),
$$n1 1 {"preset": "big", "fill_defaults": true}
release version add -> "2.0.0" 1
release constraint add -> "2.0.0" 1
release channel add -> "stable" 1
.b add -> 1 1
.own add -> "preset" 1
.mode add -> "auto" 1
.size add -> 4 1
n2 {"only": [".size"], "preset": "big", "fill_defaults": true}
choice:
"shop-production-n2" has no release of its own to keep: It has no configuration yet, and "only" leaves the release out.
n3 1 {"only": [".size", "release"], "preset": "big"}
release version add -> "2.0.0" 1
release constraint add -> "2.0.0" 1
release channel add -> "stable" 1
.own add -> "n3" 1
.size add -> 4 1$$, 'each is filled in as is chosen, and what has no release of its own has to take one');
SELECT is(pg_temp.drain(:first), 'BLOCKED', 'two go');
SELECT is(pg_temp.items(:first), 'n1 1 DONE, n2 1 PENDING, n3 1 DONE', 'the third cannot');
SELECT matches(pg_temp.waits(:first), '^wave 1: "shop-production-n2": "shop-production-n2" has no release',
    '... and says why');
SELECT is(pg_temp.params('shop-production-n1'), '{"b": 1, "own": "preset", "mode": "auto", "size": 4}',
    'a preset and defaults');
SELECT is(pg_temp.params('shop-production-n3'), '{"own": "n3", "size": 4}', 'what was named, and the overrides');
SELECT is(pg_temp.cancel(:first), 'CANCELLED', 'cancelled');

SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the record is whole');
SELECT * FROM finish();
ROLLBACK;
