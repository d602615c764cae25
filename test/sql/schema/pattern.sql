-- Patterns: Unicode's properties, the limits of the engine, and that it can be stopped.

BEGIN;
SELECT no_plan();
\ir ../../fixtures/cpu.sql

-- The pattern matches all of the first texts and none of the second.
CREATE FUNCTION pg_temp.matches(pattern text, good text[], bad text[]) RETURNS SETOF text
LANGUAGE sql AS $$
	SELECT is(
		(SELECT array_agg(v ORDER BY n) FROM unnest(good || bad) WITH ORDINALITY u(v, n)
		 WHERE promote.jsonb_schema_valid(to_jsonb(v),
		 	jsonb_build_object('pattern', pattern)) IS DISTINCT FROM (n <= cardinality(good))),
		NULL, left(pattern, 60))
$$;

-- The pattern is refused, for that reason.
CREATE FUNCTION pg_temp.refuses(pattern text, reason text) RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
	found text;
BEGIN
	PERFORM promote.jsonb_schema_check(jsonb_build_object('pattern', pattern));
	RETURN NEXT fail('refused: ' || left(pattern, 60));
EXCEPTION WHEN SQLSTATE 'PM106' THEN
	GET STACKED DIAGNOSTICS found = PG_EXCEPTION_DETAIL;
	RETURN NEXT is(found, '#/pattern ' || reason, 'refused: ' || left(pattern, 60));
END
$$;

------------------------------------------------------------------------
-- classes of POSIX

SELECT pg_temp.refuses(format('^a[x%s]', class),
	format('has the class %s of POSIX, which ECMA-262 takes for single characters.', class))
FROM unnest(ARRAY['[:alnum:]', '[:alpha:]', '[:ascii:]', '[:blank:]', '[:cntrl:]', '[:digit:]', '[:graph:]',
    '[:lower:]',
	'[:print:]', '[:punct:]', '[:space:]', '[:upper:]', '[:word:]', '[:xdigit:]', '[:^space:]']) class;
SELECT pg_temp.refuses('^[^[:space:]]+:[^[:space:]]+$',
	'has the class [:space:] of POSIX, which ECMA-262 takes for single characters.');
SELECT pg_temp.matches('^[[:spac:]]$', '{a],:]}', '{a}');
SELECT pg_temp.matches('^[:space:]$', '{a,:}', '{" "}');
SELECT pg_temp.matches('^\[[:]space:\]$', '{[:space:]}', '{" "}');

-- at publishing, with what the publisher meant
INSERT INTO promote.bundle (bundle) VALUES ('posix');
CREATE FUNCTION pg_temp.hint(pattern text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	found text;
BEGIN
	INSERT INTO promote.bundle_release (bundle, version, params_schema)
	VALUES ('posix', '1.0.0', jsonb_build_object('properties', jsonb_build_object('image', jsonb_build_object('pattern',
	    pattern))));
	RETURN 'published';
EXCEPTION WHEN SQLSTATE 'PM106' THEN
	GET STACKED DIAGNOSTICS found = PG_EXCEPTION_HINT;
	RETURN found;
END
$$;
SELECT alike(pg_temp.hint('^[^[:space:]]+:[^[:space:]]+$'), 'Write \\s in the brackets. Patterns are%',
    'publishing says what is meant');
SELECT alike(pg_temp.hint('[[:^digit:]]'), 'Write \\d in the brackets, and a ^ before all%', 'and of the opposite');
SELECT pg_temp.matches(format('^[%s]$', meant), good, '{é😀}')
FROM (VALUES ('\p{L}\p{N}', '{é,1}'::text[]), ('\p{L}', '{é}'), ('\x00-\x7F', '{a}'), (' \t', ARRAY[' ', E'\t']),
    ('\p{Cc}', ARRAY[E'\t']),
	('\d', '{1}'), ('!-~', '{a,~}'), ('\p{Ll}', '{é}'), (' -~', '{a," "}'), ('\p{P}\p{S}', '{!,+}'), ('\s', '{" "}'),
	    ('\p{Lu}', '{É}'),
	('\w', '{_}'), ('0-9A-Fa-f', '{f}')) v (meant, good);
SELECT is(pg_temp.hint('^[^\s]+:[^\s]+$'), 'published', 'what is meant can be published');

------------------------------------------------------------------------
-- properties of Unicode

SELECT pg_temp.matches('^\p{L}+$', '{a,é,ß,ж,語,ﬀ,𝒜,aéж}', '{"",1,-,_,"a ",a1,٣,😀}');
SELECT pg_temp.matches('^\p{Letter}$', '{a,é}', '{1}');
SELECT pg_temp.matches('^\p{gc=L}\p{General_Category=Letter}$', '{aé}', '{a1}');
SELECT pg_temp.matches('^\P{L}+$', '{1,-,😀,"1 "}', '{a,é,1a}');
SELECT pg_temp.matches('^\p{Lu}\p{Ll}$', '{Aé,Éж}', '{aé,AA,1a}');
SELECT pg_temp.matches('^[\p{L}\d]+$', '{a1é2}', '{"",a-1,٣}');
SELECT pg_temp.matches('^[^\p{L}]+$', '{12,"- "}', '{a,é,1é}');
SELECT pg_temp.matches('^[\P{L}é]+$', '{1é-}', '{a,1a}');
SELECT pg_temp.matches('^[^\P{L}é]+$', '{aж}', '{é,1}');
SELECT pg_temp.matches('^[\p{Lu}-]+$', '{A-É}', '{a}');
SELECT pg_temp.matches('^\p{Script=Greek}+$', '{αΩ}', '{a,ж,"α "}');
SELECT pg_temp.matches('^\p{sc=Grek}\p{Script_Extensions=Greek}\p{scx=Grek}$', '{ααα}', '{ααa}');
SELECT pg_temp.matches('^\p{scx=Hira}+$', '{あー、}', '{a}');
SELECT pg_temp.matches('^\p{sc=Hira}+$', '{あ}', '{ー}');
SELECT pg_temp.matches('^\p{Nd}+$', '{1٣৪}', '{a,Ⅷ}');
SELECT pg_temp.matches('^\p{digit}\p{punct}\p{N}$', '{1!Ⅷ}', '{a!Ⅷ}');
SELECT pg_temp.matches('^\p{Alphabetic}\p{Alpha}\p{White_Space}\p{space}$', ARRAY['éé  '], ARRAY['é   ']);
SELECT pg_temp.matches('^\p{Emoji_Presentation}\p{Extended_Pictographic}$', '{😀😀}', '{aa}');
SELECT pg_temp.matches('^\p{Any}\p{Assigned}\p{ASCII}\P{ASCII}$', '{😀😀aé}', '{😀😀éa}');
SELECT pg_temp.matches('^\P{Assigned}\p{Cn}\p{Unassigned}$', ARRAY[E'\u0378\u0378\u0378'], '{aaa}');
SELECT pg_temp.matches('^\P{Any}', '{}', '{"",a}');
SELECT pg_temp.matches('\p{Cs}', '{}', '{"",a,😀}');
SELECT pg_temp.matches('^\p{L}{300}$', ARRAY[repeat('é', 300)], ARRAY[repeat('é', 299), repeat('é', 301)]);
SELECT pg_temp.matches('^\p{RI}\p{ID_Start}\p{IDC}\p{Hex}\p{AHex}$', ARRAY['🇦aaaa'], ARRAY['aaaaa']);

SELECT pg_temp.refuses('\p{' || name || '}', format('asks for the property "%s", which ECMA-262 does not name.', name))
FROM unnest('{letter,LETTER,l,"",Greek,sc=greek,Script=,=Greek,Is_L,InGreek,gc=Foo,Line_Break=AL,lb=AL,Block=Greek,'
	'Hyphen,Age=3.0,RGI_Emoji,ccc=0,Full_Composition_Exclusion,sc=L,L=L,scx=,Scx=Greek}'::text[]) name;
SELECT pg_temp.refuses('\p', 'has \p without a property in braces.');
SELECT pg_temp.refuses('\pL', 'has \p without a property in braces.');
SELECT pg_temp.refuses('[\P{L]', 'asks for the property "L]", which ECMA-262 does not name.');
SELECT pg_temp.refuses('\p{' || repeat('L', 200) || '}', 'asks for the property "' || repeat('L', 79)
	|| '", which ECMA-262 does not name.');
SELECT pg_temp.refuses('(?<a-b>x)', 'has a group whose name is not an identifier.');
SELECT pg_temp.matches('^(?<größe_1>.)\k<größe_1>$', '{aa}', '{ab}');

------------------------------------------------------------------------
-- limits

SELECT pg_temp.refuses((SELECT string_agg('[^' || chr(n) || ']', '') FROM generate_series(1000, 1600) n),
	'is too large once its repetitions are written out.');
SELECT pg_temp.refuses('^.{0,9000}' || (SELECT string_agg(chr(n), '') FROM generate_series(1000, 1100) n),
	'is too large once its repetitions are written out.');
SELECT pg_temp.refuses(repeat('\p{L}', 600), 'is too large once its repetitions are written out.');
SELECT pg_temp.matches('^.{0,9000}' || repeat('aber', 200) || '$', ARRAY[repeat('aber', 200)], '{a}');
SELECT pg_temp.matches('^[' || (SELECT string_agg(chr(n), '' ORDER BY md5(n::text)) FROM generate_series(1000, 9000) n)
	|| ']+$', ARRAY[chr(1000) || chr(9000)], '{a}');

-- What a statement that is cut off after a tenth of a second ends with, and that it does end.
CREATE FUNCTION pg_temp.cut_off(document text, pattern text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	began float8 := pg_temp.cpu_seconds();
BEGIN
	RETURN 'answered ' || promote.jsonb_schema_valid(to_jsonb(document), jsonb_build_object('pattern', pattern));
EXCEPTION WHEN query_canceled THEN
	RETURN CASE WHEN pg_temp.cpu_seconds() - began < 2 THEN 'cut off' ELSE 'cut off too late' END;
END
$$;
CREATE TEMP TABLE long AS SELECT string_agg(md5(n::text), '') AS text FROM generate_series(1, 200000) n;
SET LOCAL statement_timeout = '100ms';
SELECT is(pg_temp.cut_off('x', '^(?:a{0,90}b?){0,90}$'), 'cut off', 'compiling repeated options can be stopped');
SELECT is(pg_temp.cut_off('x', '^(?:.*.*){0,255}x{0,255}$'), 'cut off',
	'compiling repeated repetitions can be stopped');
SELECT is(pg_temp.cut_off('x', '^(?:(a{0,90})b?){0,90}\1$'), 'cut off', 'compiling repeated groups can be stopped');
SELECT is(pg_temp.cut_off('x', '(?<=(?:a{0,90}b?){0,90})x'), 'cut off', 'compiling a lookaround can be stopped');
SELECT is(pg_temp.cut_off(repeat('a', 4000) || 'b', '^(a+)(a+)(a+)(a+)\4\3\2\1c?b(?!$)|^(a+)(a+)(a+)(a+)\8\7\6\5\5b$'),
	'cut off', 'matching back references can be stopped');
SELECT is(pg_temp.cut_off(text, '[a-f].{250}[a-f].{250}[a-f].{250}g'), 'cut off', 'matching a long text can be stopped')
	FROM long;
SET LOCAL statement_timeout = 0;
SELECT pg_temp.matches('^(?:a{0,9}b?){0,9}$', '{"",aab,aba}', '{x}');

------------------------------------------------------------------------
-- what the engine gives up on when it matches

-- Compiled with a large stack, then matched with a small one.
SELECT repeat('(a', 1500) || 'b' || repeat(')', 1500) || '\1500' AS nested \gset
SET LOCAL max_stack_depth = '7MB';
SELECT pg_temp.matches(:'nested', ARRAY[repeat('a', 1500) || 'bab'], '{ab}');
SET LOCAL max_stack_depth = '100kB';
CREATE FUNCTION pg_temp.failure(document text, pattern text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	hint text;
BEGIN
	RETURN promote.jsonb_schema_valid(to_jsonb(document), jsonb_build_object('pattern', pattern));
EXCEPTION WHEN SQLSTATE 'PM102' THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN sqlerrm || ' | ' || detail || ' | ' || hint;
END
$$;
SELECT is(pg_temp.failure(repeat('a', 1500) || 'bab', :'nested'),
	'matching a pattern of the JSON Schema failed: regular expression is too complex | The pattern starts with '
	|| left(:'nested', 100) || '. | Simplify the pattern.', 'more than the stack holds');
SET LOCAL max_stack_depth = '7MB';
SELECT pg_temp.matches(:'nested', ARRAY[repeat('a', 1500) || 'bab'], '{ab}');

SELECT throws_ok($$SELECT promote.jsonb_schema_check(jsonb_build_object('patternProperties',
	jsonb_object_agg('a' || i, true))) FROM generate_series(1, 70000) AS i$$,
	'PM102', 'JSON Schema is too large', 'more patterns than a schema may have');

-- What matched a pattern is remembered by keys, of which there may be more than places.
SELECT is(promote.jsonb_schema_valid(
        jsonb_object_agg('k' || i, CASE i % 2 WHEN 0 THEN '1' ELSE '"x"' END::jsonb) || extra,
        '{"patternProperties": {"^k[0-9]*[02468]$": {"type": "integer"}}}'), valid,
    'two thousand keys, judged by their own names')
  FROM (VALUES ('{}'::jsonb, true), ('{"k1000": "x"}', false)) AS e (extra, valid), generate_series(1, 2000) AS i
 GROUP BY extra, valid;
SELECT * FROM finish();
ROLLBACK;
