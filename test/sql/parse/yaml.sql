-- promote.yaml_to_jsonb: what YAML means as jsonb, and what is refused.
BEGIN;
SELECT no_plan();

-- A document and its jsonb.
CREATE FUNCTION pg_temp.reads(yaml text, expected text, description text)
RETURNS text LANGUAGE sql AS
$$ SELECT is(promote.yaml_to_jsonb(yaml)::text, expected::jsonb::text, description) $$;

-- All that a refusal says, in one row.
CREATE FUNCTION pg_temp.refusal(yaml text, OUT state text, OUT message text, OUT detail text, OUT hint text)
LANGUAGE plpgsql AS
$$
BEGIN
	PERFORM promote.yaml_to_jsonb(yaml);
	state := 'accepted';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
END
$$;

-- A document that is refused: with which SQLSTATE, at which line and column,
-- with what in the message or the detail, and always with a hint.
CREATE FUNCTION pg_temp.refuses(yaml text, sqlstate text, place text, pattern text, description text)
RETURNS SETOF text LANGUAGE plpgsql AS
$$
DECLARE
	r record;
BEGIN
	RETURN NEXT throws_ok(format('SELECT promote.yaml_to_jsonb(%L)', yaml), sqlstate, NULL,
						  description || ': refused');
	SELECT * INTO r FROM pg_temp.refusal(yaml);
	RETURN NEXT is(regexp_replace(r.detail, '^Line (\d+), column (\d+): [^ ].*\.$', '\1:\2'), place,
				   description || ': the place is in the detail');
	RETURN NEXT alike(r.message || '; ' || r.detail, '%' || replace(pattern, '\', '\\') || '%',
					  description || ': the reason is given');
	RETURN NEXT alike(r.hint, '%.', description || ': there is a hint');
END
$$;

-- Scalars of the core schema
SELECT pg_temp.reads(yaml, expected, format('plain scalar %L', yaml))
  FROM (VALUES
	('null', 'null'), ('Null', 'null'), ('NULL', 'null'), ('~', 'null'), ('---', 'null'),
	('--- # nothing', 'null'), ('nUll', '"nUll"'), ('none', '"none"'),
	('true', 'true'), ('True', 'true'), ('TRUE', 'true'),
	('false', 'false'), ('False', 'false'), ('FALSE', 'false'),
	('tRue', '"tRue"'), ('yes', '"yes"'), ('no', '"no"'), ('on', '"on"'), ('off', '"off"'),
	('Yes', '"Yes"'), ('NO', '"NO"'), ('y', '"y"'), ('n', '"n"'),
	('0', '0'), ('-0', '0'), ('+7', '7'), ('-7', '-7'), ('007', '7'), ('0o14', '12'),
	('0x1F', '31'), ('0xfF', '255'), ('-0x1F', '"-0x1F"'), ('+0o7', '"+0o7"'), ('0o8', '"0o8"'),
	('0o', '"0o"'), ('0x', '"0x"'), ('0xg', '"0xg"'), ('0X1F', '"0X1F"'), ('0b1', '"0b1"'),
	('1_000', '"1_000"'), ('12:30', '"12:30"'), ('1 2', '"1 2"'), ('-', '[null]'), ('- -', '[[null]]'),
	('+', '"+"'), ('.', '"."'), ('..', '".."'), ('1e', '"1e"'), ('1e+', '"1e+"'), ('e1', '"e1"'), ('.e1', '".e1"'),
	('-.', '"-."'), ('1.2.3', '"1.2.3"'), ('2026-09-15', '"2026-09-15"'), ('--1', '"--1"'),
	('1.', '1'), ('.5', '0.5'), ('-.5', '-0.5'), ('+.5', '0.5'), ('1.50', '1.50'), ('1e3', '1000'),
	('1E3', '1000'), ('1e+3', '1000'), ('1.5e-3', '0.0015'), ('.5e1', '5'), ('1.e1', '10'),
	('0x123456789abcdef0123456789abcdef', '1512366075204170929049582354406559215'),
	('0o1777777777777777777777', '18446744073709551615'),
	('123456789012345678901234567890.12345678901234567890', '123456789012345678901234567890.12345678901234567890'),
	('inf', '"inf"'), ('nan', '"nan"'), ('+.nan', '"+.nan"'), ('.iNF', '".iNF"'),
	('plain text', '"plain text"'), ('a:b', '"a:b"'), ('http://x/y#z', '"http://x/y#z"')) v (yaml, expected);
SELECT is(promote.yaml_to_jsonb('1e400'), to_jsonb('1e400'::numeric), 'every digit of 1e400');
SELECT is(promote.yaml_to_jsonb('1e-400'), to_jsonb('1e-400'::numeric), 'every digit of 1e-400');
SELECT is(promote.yaml_to_jsonb('1.50')::text, '1.50', 'trailing zeros stay');
SELECT is(promote.yaml_to_jsonb(repeat('9', 1000)), to_jsonb(repeat('9', 1000)::numeric), '1000 digits');
SELECT is(promote.yaml_to_jsonb('-' || repeat('9', 500) || '.' || repeat('9', 500)),
		  to_jsonb(('-' || repeat('9', 500) || '.' || repeat('9', 500))::numeric), '1000 digits with point and sign');
SELECT is(promote.yaml_to_jsonb('1e999'), to_jsonb('1e999'::numeric), '1000 digits by an exponent');
SELECT is(promote.yaml_to_jsonb('0x' || repeat('f', 830)), to_jsonb(16::numeric ^ 830 - 1),
	'the longest hexadecimal number');
SELECT is(promote.yaml_to_jsonb('0o' || repeat('7', 1107)), to_jsonb(8::numeric ^ 1107 - 1),
	'the longest octal number');

-- Quotes and blocks
SELECT pg_temp.reads(yaml, expected, description) FROM (VALUES
	($$'1'$$, '"1"', 'single quotes make a string'),
	($$"true"$$, '"true"', 'double quotes make a string'),
	($$''$$, '""', 'an empty string is not null'),
	($$'it''s'$$, '"it''s"', 'a quote in single quotes'),
	($$"\t\"\\\/\x41\u00e9\U0001F600\e"$$, '"\t\"\\/A\u00e9\ud83d\ude00\u001b"', 'escapes'),
	($$"\N\L\P\_"$$, '"\u0085\u2028\u2029\u00a0"', 'escapes of line breaks of old'),
	(E'"a\n  b\n\n  c\\\n  d"', '"a b\ncd"', 'folding of a quoted string'),
	(E'|\n  a\n   b\n', '"a\n b\n"', 'literal block'),
	(E'|-\n  a\n\n', '"a"', 'literal block, stripped'),
	(E'|+\n  a\n\n', '"a\n\n"', 'literal block, kept'),
	(E'|2\n   a\n', '" a\n"', 'literal block with an indentation indicator'),
	(E'>\n  a\n  b\n\n  c\n', '"a b\nc\n"', 'folded block'),
	(E'a: |\n  12\n', '{"a": "12\n"}', 'a block is a string'),
	(E'a\nb', '"a b"', 'plain over lines'),
	(E'\ufeffa: 1', '{"a": 1}', 'byte order mark'),
	(E'a: 1\r\nb: 2\r\n', '{"a": 1, "b": 2}', 'lines that end as on Windows'),
	(E'%YAML 1.2\n---\na: 1\n...\n', '{"a": 1}', 'directive and end of the document'),
	(E'# c\na: 1 # d\n# e\n', '{"a": 1}', 'comments')) v (yaml, expected, description);

-- Collections and keys
SELECT pg_temp.reads(yaml, expected, description) FROM (VALUES
	(E'- 1\n- - 2\n  - 3\n-\n', '[1, [2, 3], null]', 'block sequences'),
	(E'a:\n  b:\n  - 1\n  c: {}\nd: []\n', '{"a": {"b": [1], "c": {}}, "d": []}', 'block mappings'),
	('[1, [2, {a: 3}], b: 4,]', '[1, [2, {"a": 3}], {"b": 4}]', 'flow'),
	('{a: 1, b, "c":2, d: }', '{"a": 1, "b": null, "c": 2, "d": null}', 'flow mapping'),
	('{"a": [1, -2.5e3, "\u00e9", null, true], "b": {}}', '{"a": [1, -2500, "é", null, true], "b": {}}',
		'JSON is YAML'),
	(E'? a\n: 1\n? b\n', '{"a": 1, "b": null}', 'explicit keys'),
	('{1: a, 1.0: b, 0x1: c, true: d, ~: e, null: f}',
		'{"1": "a", "1.0": "b", "0x1": "c", "true": "d", "~": "e", "null": "f"}', 'keys are their text'),
	(E'?\n: 1', '{"": 1}', 'an empty key'),
	('{.inf: 1, 1e100000: 2}', '{".inf": 1, "1e100000": 2}', 'keys are no numbers'),
	('{"a b": 1, ''c'': 2}', '{"a b": 1, "c": 2}', 'quoted keys'),
	('{yes: 1, on: 2}', '{"yes": 1, "on": 2}', 'keys that YAML 1.1 took for booleans'),
	('{bb: 1, a: 2, c: 3}', '{"a": 2, "bb": 1, "c": 3}', 'keys in any order')) v (yaml, expected, description);

-- Anchors, aliases and merge keys
SELECT pg_temp.reads(yaml, expected, description) FROM (VALUES
	('[&a 1, *a, *a]', '[1, 1, 1]', 'alias of a scalar'),
	('[&a {x: [1]}, *a]', '[{"x": [1]}, {"x": [1]}]', 'alias of a collection'),
	('[&a 1, *a, &a 2, *a]', '[1, 1, 2, 2]', 'an anchor defined again'),
	('&a [&a 1, *a]', '[1, 1]', 'an anchor defined again within itself'),
	('{&k a: 1, b: *k}', '{"a": 1, "b": "a"}', 'alias of a key'),
	('{&k 12: 1, b: *k}', '{"12": 1, "b": 12}', 'a key is its text, and its alias a number'),
	('{a: &v x, *v : 2}', '{"a": "x", "x": 2}', 'alias as a key'),
	('{a: &v 012, *v : 2}', '{"a": 12, "012": 2}', 'alias of a number as a key'),
	('[&e , *e]', '[null, null]', 'anchor of nothing'),
	('{b: &b {x: 1, y: 2}, c: {<<: *b, y: 3}}', '{"b": {"x": 1, "y": 2}, "c": {"x": 1, "y": 3}}', 'merge'),
	('{b: &b {x: 1, y: 2}, c: {y: 3, <<: *b}}', '{"b": {"x": 1, "y": 2}, "c": {"x": 1, "y": 3}}',
		'merge after the key it gives way to'),
	('{<<: [{x: 1, y: 1}, {y: 2, z: 2}], z: 3}', '{"x": 1, "y": 1, "z": 3}', 'merge of a sequence'),
	('{l: &l [{x: 1}, {x: 2, y: 2}], m: {<<: *l}}', '{"l": [{"x": 1}, {"x": 2, "y": 2}], "m": {"x": 1, "y": 2}}',
		'merge of an alias of a sequence'),
	('{a: &a {x: 1}, b: &b {<<: *a, y: 2}, c: {<<: *b, z: 3}}',
		'{"a": {"x": 1}, "b": {"x": 1, "y": 2}, "c": {"x": 1, "y": 2, "z": 3}}', 'merge of what is merged'),
	('{<<: {}, a: 1}', '{"a": 1}', 'merge of nothing'),
	('{<<: []}', '{}', 'merge of no mappings'),
	('{<<: {a: {x: 1}}, a: {y: 2}}', '{"a": {"y": 2}}', 'merge is not deep'),
	('{"<<": 1}', '{"<<": 1}', 'a quoted << is an ordinary key'),
	('{!!str <<: 1}', '{"<<": 1}', 'a << with a tag is an ordinary key'),
	('[<<]', '["<<"]', 'a << that is no key')) v (yaml, expected, description);

-- Tags
SELECT pg_temp.reads(yaml, expected, description) FROM (VALUES
	('!!str 12', '"12"', '!!str'), ('!!str', '""', '!!str of nothing'), ('! 12', '"12"', '! of a scalar'),
	('!', '""', '! of nothing'), ('[&a ! 1, *a]', '["1", "1"]', '! after an anchor'),
	('[! &a 1, *a, &b 1]', '["1", "1", 1]', '! before an anchor'),
	(E'- é\n- &a # comment\n  ! 12\n- &b # !\n  12\n- é', '["é", "12", 12, "é"]', '! on another line'),
	('! [1]', '[1]', '! of a sequence'), ('! {a: 1}', '{"a": 1}', '! of a mapping'),
		('! "a"', '"a"', '! of a quoted scalar'),
	('!!int 12', '12', '!!int'), ('!!int "12"', '12', '!!int of a quoted scalar'), ('!!int 0x1f', '31', '!!int 0x'),
	('!!float 1', '1', '!!float'), ('!!float "1.50"', '1.50', '!!float of a quoted scalar'),
	('!!bool "true"', 'true', '!!bool'), ('!!null ""', 'null', '!!null'), ('!!null', 'null', '!!null of nothing'),
	('!!seq [1]', '[1]', '!!seq'), ('!!map {a: 1}', '{"a": 1}', '!!map'), ('!<tag:yaml.org,2002:str> 1', '"1"',
		'a verbatim tag'),
	(E'%TAG !y! tag:yaml.org,2002:\n---\n!y!str 1', '"1"', 'a tag by a handle'),
	('{!!int 012: 1, !!str b: 2}', '{"012": 1, "b": 2}', 'tags of keys')) v (yaml, expected, description);

-- Not YAML
SELECT pg_temp.refuses(yaml, 'PM107', place, pattern, description) FROM (VALUES
	('', '1:1', 'empty', 'empty text'),
	(E'# only\n\n', '3:1', 'without a document', 'only a comment'),
	('[1, 2', '2:1', 'did not find expected', 'open sequence'),
	(E'a: 1\n b: 2', '2:3', 'mapping values are not allowed', 'wrong indentation'),
	(E'a: "x\n', '2:1', 'end of stream', 'open quote'),
	(E'a:\n\tb: 1', '2:1', 'cannot start any token', 'tab as indentation'),
	('"\q"', '1:2', 'escape', 'unknown escape'),
	('"\ud83d\ude00"', '1:4', 'Unicode', 'surrogates'),
	(E'é: 1\né: \u0001', '2:4', 'control characters', 'control character'),
	('@x', '1:1', 'token', 'reserved character'),
	(E'%YAML 2.0\n---\n1', '1:1', 'incompatible', 'another YAML'),
	(E'a: 1\n---\nb: 2', '2:1', 'second document', 'two documents'),
	(E'a\n...\n# c\n---\n', '4:1', 'second document', 'an empty second document'),
	(E'a: "x\u2028y"', '1:6', 'U+2028', 'U+2028'),
	(E'é: 1 # \u2029', '1:8', 'U+2029', 'U+2029'),
	(E'a: 1\r\nb: \u0085', '2:4', 'U+0085', 'U+0085')) v (yaml, place, pattern, description);

-- YAML that JSON cannot hold, or that is more likely a mistake
SELECT pg_temp.refuses(yaml, 'PM107', place, pattern, description) FROM (VALUES
	(E'a: 1\nb: 2\na: 3', '3:1', 'The key "a" is', 'duplicate key'),
	('{a: {x: 1, "x": 2}}', '1:12', 'The key "x" is', 'duplicate key in quotes'),
	('{a: &v x, x: 1, *v : 2}', '1:17', 'The key "x" is', 'duplicate key by an alias'),
	(E'{"a\\nb": 1, "a\\nb": 2}', '1:13', 'The key "a\nb" is', 'duplicate key with a line break'),
	('{<<: {a: 1}, <<: {b: 1}}', '1:14', 'The key "<<" is', 'two merge keys'),
	('{<<: 1}', '1:6', 'merge key', 'merge of a scalar'),
	('{<<: }', '1:6', 'merge key', 'merge of null'),
	('{<<: [{a: 1}, 2]}', '1:15', 'merge key', 'merge of a sequence with a scalar'),
	('{<<: [[{a: 1}]]}', '1:7', 'merge key', 'merge of a sequence of sequences'),
	('{a: &a 1, <<: *a}', '1:15', 'merge key', 'merge of an alias of a scalar'),
	('{a: &a 1, <<: [*a]}', '1:16', 'merge key', 'merge of a sequence with an alias of a scalar'),
	('[*a]', '1:2', 'unknown alias', 'alias without anchor'),
	('[*a, &a 1]', '1:2', 'unknown alias', 'alias before its anchor'),
	('&a [1, *a]', '1:8', 'recursive', 'alias in its own anchor'),
	('&a {b: {c: *a}}', '1:12', 'recursive', 'alias deep in its own anchor'),
	('&a {<<: *a}', '1:9', 'recursive', 'merge of itself'),
	('&a {*a : 1}', '1:5', 'recursive', 'itself as a key'),
	('? [a]' || E'\n: 1', '1:3', 'key', 'sequence as a key'),
	('{{a: 1}: 2}', '1:2', 'key', 'mapping as a key'),
	('[&a [1], {*a : 2}]', '1:11', 'key', 'alias of a sequence as a key'),
	('a: .inf', '1:4', 'finite', 'infinity'), ('-.INF', '1:1', 'finite', 'negative infinity'),
	('+.Inf', '1:1', 'finite', 'positive infinity'), ('[1, .NaN]', '1:5', 'finite', 'NaN'),
	('!!float .nan', '1:1', 'finite', 'NaN with a tag'),
	('"a\0b"', '1:1', 'NUL', 'NUL'), ('x: "\x00"', '1:4', 'NUL', 'NUL by \x'),
	('"\u0000"', '1:1', 'NUL', 'NUL by \u'), ('{"\U00000000": 1}', '1:2', 'NUL', 'NUL in a key'),
	('a: !!python/object:os.system x', '1:4', 'unknown tag', 'a tag that executes'),
	('!ruby/object:Gem {a: 1}', '1:1', 'unknown tag', 'a tag that makes an object'),
	('[!x 1]', '1:2', 'unknown tag', 'local tag'), ('!!binary aGk=', '1:1', 'unknown tag', '!!binary'),
	('!!timestamp 2026-09-15', '1:1', 'unknown tag', '!!timestamp'), ('!!set {a}', '1:1', 'unknown tag', '!!set'),
	('{!x a: 1}', '1:2', 'unknown tag', 'unknown tag of a key'),
		('!x [1]', '1:1', 'unknown tag', 'unknown tag of a sequence'),
	('!!int x', '1:1', 'fit', '!!int of a word'), ('!!int 1.0', '1:1', 'fit', '!!int of a fraction'),
	('!!float 0x1', '1:1', 'fit', '!!float of 0x'), ('!!float x', '1:1', 'fit', '!!float of a word'),
	('!!bool yes', '1:1', 'fit', '!!bool of yes'), ('!!null x', '1:1', 'fit', '!!null of a word'),
	('!!seq x', '1:1', 'fit', '!!seq of a scalar'), ('!!map [1]', '1:1', 'fit', '!!map of a sequence'),
	('!!seq {a: 1}', '1:1', 'fit', '!!seq of a mapping'), ('!!str [1]', '1:1', 'fit', '!!str of a sequence'),
	('{!!int a: 1}', '1:2', 'fit', '!!int of a key that is a word'),
	('!foo!bar x', '1:1', 'tag handle', 'undefined tag handle')) v (yaml, place, pattern, description);

-- What libyaml takes for something else than YAML 1.2 does
SELECT pg_temp.refuses(yaml, 'PM107', place, 'ambiguous', yaml) FROM (VALUES
	('[?x]', '1:2'), ('{ ?foo: bar }', '1:3'), ('{a: 1,?b: 2}', '1:7'), ('[?"x"]', '1:2'), ('{?: x}', '1:2'),
	(E'[a,\n ?#c\n x]', '2:2'), ('[é, ?é]', '1:5'),
	('key: &an:chor value', '1:6'), ('&a:b x', '1:1'), ('[&a?b c]', '1:2'), ('{a: &b:c d}', '1:5'),
	('&a: b', '1:1'),
	('[&a 1, {*a: b}]', '1:9'), (E'- &a x\n- *a: 1', '2:3'),
	(E'k: |\n   \n  # c\n', '1:4'), (E'k: >+\n   \n # c\n', '1:4'),
	    (E'- a:\n    k: |-  # x\n        \n\n      #!/bin/sh\n', '2:8'),
	(E'--- |\n# c\n', '1:5'), (E'k: |\r\n   \r\n  # c\r\n', '1:4')) v (yaml, place);
SELECT pg_temp.reads(yaml, expected, yaml) FROM (VALUES
	('?x', '"?x"'), ('[a?b, "?x", ''?y'', a ?b]', '["a?b", "?x", "?y", "a ?b"]'), ('- ?x', '["?x"]'), ('[ ? x ]',
	    '[{"x": null}]'),
	(E'{?\n x: 1, ?\ty: 2}', '{"x": 1, "y": 2}'), (E'? x\n: 1', '{"x": 1}'), ('{a: "[ ?x"}', '{"a": "[ ?x"}'),
	('[&a 1, *a, {*a : 2}, "&a:b", x&a:b, "*a:"]', '[1, 1, {"1": 2}, "&a:b", "x&a:b", "*a:"]'), ('[&a]', '[null]'),
	('{k: &a, j: *a}', '{"j": null, "k": null}'), (E'- &a\n  x\n- *a', '["x", "x"]'),
	(E'k: |\n# c\nj: 1', '{"j": 1, "k": ""}'), (E'a:\n  k: |\n # c\n  j: 1', '{"a": {"j": 1, "k": ""}}'),
	(E'k: |2\n   \n  # c\n', '{"k": " \n# c\n"}'), (E'k: |\n  # c\n', '{"k": "# c\n"}'),
	(E'k: |\n  a\n    \n', '{"k": "a\n  \n"}'), (E'k: |\n  a\n    ', '{"k": "a\n  "}'), (E'k: >\n  a  \n  b\n',
	    '{"k": "a   b\n"}'))
	v (yaml, expected);

-- Limits
SELECT pg_temp.refuses(repeat('9', 1001), 'PM102', '1:1', '1000 digits', '1001 digits');
SELECT pg_temp.refuses('a: ' || repeat('9', 10000), 'PM102', '1:4', '1000 digits', '10,000 digits');
SELECT pg_temp.refuses('0.' || repeat('0', 999) || '1', 'PM102', '1:1', '1000 digits', '1001 digits of a fraction');
SELECT pg_temp.refuses(yaml, 'PM102', '1:1', '1000 digits', yaml) FROM unnest(ARRAY['1e1000', '1e100000',
	'1e99999999999999999999', '-1e-99999999999999999999', '1e-1001', '0e100000', '1.5e2147483647', '1e-2147483648',
	'!!float "1e100000"']) yaml;
SELECT pg_temp.refuses('1e' || repeat('0', 2000) || '1', 'PM102', '1:1', '1000 digits', 'a long exponent');
SELECT pg_temp.refuses('0x' || repeat('f', 831), 'PM102', '1:1', '1000 digits', 'too long a hexadecimal number');
SELECT pg_temp.refuses('0o' || repeat('7', 1108), 'PM102', '1:1', '1000 digits', 'too long an octal number');

SELECT is(promote.yaml_to_jsonb(repeat('[', 1000) || repeat(']', 1000)),
		  (repeat('[', 1000) || repeat(']', 1000))::jsonb, '1000 levels');
SELECT pg_temp.refuses(repeat('[', 1001) || repeat(']', 1001), 'PM102', '1:1001', 'nest', '1001 levels');
SELECT pg_temp.refuses(repeat('[', 1000000), 'PM102', '1:1001', 'nest', 'a million open brackets');
SELECT pg_temp.refuses(repeat('{a: ', 1001), 'PM102', '1:4001', 'nest', '1001 levels of mappings');
SELECT pg_temp.refuses(repeat('- ', 1001), 'PM102', '1:2001', 'nest', '1001 levels of block sequences');
SELECT pg_temp.refuses(E'- &a ' || repeat('[', 600) || repeat(']', 600) || E'\n- ' || repeat('[', 500) || '*a',
					   'PM102', '2:503', 'nest', 'levels by an alias');

-- ten levels of ten aliases each
CREATE FUNCTION pg_temp.laughs(levels integer) RETURNS text LANGUAGE sql AS
$$
	SELECT string_agg(format('a%s: &a%s [%s]', i, i,
							 CASE WHEN i = 0 THEN 'lol' ELSE left(repeat(format('*a%s, ', i - 1), 10), -2) END),
					  E'\n' ORDER BY i)
	  FROM generate_series(0, levels) i
$$;
SELECT is(promote.yaml_to_jsonb(pg_temp.laughs(2)) #>> '{a2,9,9,0}', 'lol', 'a few laughs');
SELECT pg_temp.refuses(pg_temp.laughs(9), 'PM102', '7:25', '1000000 keys and values', 'a billion laughs');
SELECT pg_temp.refuses('{a: &a ' || repeat('x', 1000000) || ', b: [' || repeat('*a, ', 20) || ']}', 'PM102',
					   '1:1000074', '16777216 bytes', 'much text by aliases');
SELECT pg_temp.refuses('[&a 1e-999' || repeat(', *a', 20000) || ']', 'PM102',
					   '1:67185', '16777216 bytes', 'much text by exponents');
SELECT pg_temp.refuses('[&m {' || (SELECT string_agg('k' || i, ', ') FROM generate_series(1, 1000) i) || '}'
					   || repeat(', {<<: *m}', 600) || ']', 'PM102', '1:10885', '1000000 keys and values',
					   	'much by merging');
SELECT pg_temp.refuses('[' || repeat('1,', 1000000) || ']', 'PM102', '1:2000000', '1000000 keys and values',
	'a million values and one');
SELECT pg_temp.refuses((SELECT string_agg(format(E'%%TAG !a%s! x\n', i), '') FROM generate_series(1, 65) i)
	|| E'---\n1',
					   'PM102', '65:1', '64 lines', 'many tag directives');
SELECT is(jsonb_array_length(promote.yaml_to_jsonb('[' || repeat('1,', 999999) || ']')), 999999, 'a million nodes');
SELECT is(length(promote.yaml_to_jsonb('"' || repeat('x', 16777214) || '"') #>> '{}'), 16777214, '16 MB of text');
SELECT throws_ok($$ SELECT promote.yaml_to_jsonb(repeat('x', 16777217)) $$, 'PM102', 'YAML document is too large',
	'more than 16 MB');
SELECT is(detail, 'The text has 16777217 bytes, and the limit is 16777216.', 'more than 16 MB: the detail')
	FROM pg_temp.refusal(repeat('x', 16777217));
SELECT alike(hint, '%.', 'more than 16 MB: a hint') FROM pg_temp.refusal(repeat('x', 16777217));

-- No value, tag or anchor gets into a refusal
SELECT ok(state LIKE 'PM%' AND concat(message, detail, hint) NOT LIKE '%hunter2%',
	format('%s keeps its secret', replace(yaml, E'\n', ' ')))
  FROM unnest(ARRAY['a: !hunter2', 'a: *hunter2', 'a: !!int hunter2', 'a: "hunter2', E'a: 1\na: hunter2',
  	E'a: hunter2\n b: 1',
	'<<: hunter2', 'a: [hunter2', 'a: "hunter2\0"', 'a: hunter2: x', 'a: @hunter2', 'a: %hunter2', 'a: !hunter2!x y',
	'a: !<hunter2> y', E'%hunter2\n---\n1', E'a: "hunter2\u2028"', 'a: "\xhunter2"']) yaml, pg_temp.refusal(yaml);

-- The function itself
SELECT is(promote.yaml_to_jsonb(NULL), NULL, 'null of null');
SELECT is((SELECT row(provolatile, proisstrict, proparallel)::text FROM pg_proc
	WHERE oid = 'promote.yaml_to_jsonb(text)'::regprocedure),
		  '(i,t,s)', 'immutable, strict, parallel safe');
SELECT isnt(obj_description('promote.yaml_to_jsonb(text)'::regprocedure, 'pg_proc'), NULL, 'has a comment');

-- Whatever jsonb prints is read back as it was: JSON is YAML, surrogates aside
SELECT is(count(*) FILTER (WHERE promote.yaml_to_jsonb(doc::text) = doc), count(*), 'JSON is read back')
  FROM (SELECT jsonb_build_object('n', i, 'x', random(), 's', md5(i::text), 'q',
  	chr(1 + i % 127) || '":,{}[]#&*!|>''%@`',
		   'u', chr(160 + i), 'a', jsonb_build_array(NULL, true, i::numeric / 7, jsonb_build_object())) doc
		  FROM generate_series(1, 2000) i) documents
 WHERE doc::text !~ E'\u007f';

-- ---- writing ----
CREATE FUNCTION pg_temp.writes(document jsonb, expected text, description text) RETURNS SETOF text LANGUAGE plpgsql AS
$$
BEGIN
	RETURN NEXT is(promote.jsonb_to_yaml(document), expected, description);
	RETURN NEXT is(promote.yaml_to_jsonb(promote.jsonb_to_yaml(document)), document, '... is read back');
END
$$;
SELECT pg_temp.writes('{"b": 1.50, "aa": [1, {"x": null}, [], {}], "a": true}',
	e'a: true\naa:\n- 1\n- x: null\n- []\n- {}\nb: 1.5\n', 'keys in the order of their bytes, canonical numbers');
SELECT pg_temp.writes('{"v": "one\ntwo\n"}', e'v: |\n  one\n  two\n', 'lines of text are a block');
SELECT pg_temp.writes('{"v": "one\n  two"}', e'v: |-\n  one\n    two\n', '... also without a line break at the end');
SELECT pg_temp.writes(jsonb_build_object('v', s), 'v: ' || to_jsonb(s)::text || e'\n', 'a string in quotes: ' || s)
  FROM unnest(ARRAY['yes', 'No', 'on', 'OFF', 'y', 'null', '~', 'True', '1e3', '0x1F', '0o7', '1_000', '12:30',
      '.inf', '', ' ',
		'- a', '#a', 'a: b', 'a #b', '&a', '*a', '!a', '%a', '@a', '{a}', '[a]', '<<', '---', '...', 'a ',
		    'a  b']) AS s;
SELECT pg_temp.writes(jsonb_build_object('v', s), 'v: ' || s || e'\n', 'a string without: ' || s)
  FROM unnest(ARRAY['a', 'a b', 'a.b-c/d', 'nothing', 'e3', 'yesterday']) AS s;
SELECT is(promote.yaml_to_jsonb(promote.jsonb_to_yaml(d)), d, 'is read back: ' || left(d::text, 60))
  FROM (VALUES ('"a"'::jsonb), ('1e400'), ('null'), ('[]'), ('{}'), ('"one\ntwo"'), ('{"": {"": ""}}'),
	(to_jsonb(e'\u00e9\u2028\u0085\ufeff\t\r\n\u0001'::text)), ('{"a\nb": "\ntwo"}'), ('["# one\n# two\n", " a\nb",
	    "a\n\nb\n\n"]'),
	(jsonb_build_object(repeat('k', 2000), repeat('v ', 2000))), ('[[[["deep"]]], {"<<": {"a": 1}}]')) AS v (d);

SELECT * FROM finish();
ROLLBACK;
