-- Semantic versions: what is one, their order, and constraints.
BEGIN;
SELECT no_plan();

-- All that a refusal of a statement says, in one row.
CREATE FUNCTION pg_temp.refusal(statement text, OUT state text, OUT message text, OUT detail text, OUT hint text)
LANGUAGE plpgsql AS
$$
BEGIN
	EXECUTE statement;
	state := 'accepted';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
END
$$;

CREATE FUNCTION pg_temp.refuses(call text, argument text, expected text)
RETURNS SETOF text LANGUAGE plpgsql AS
$$
DECLARE
	statement text := format('SELECT promote.' || call, argument);
	r record;
BEGIN
	RETURN NEXT throws_ok(statement, 'PM201', NULL, statement);
	SELECT * INTO r FROM pg_temp.refusal(statement);
	RETURN NEXT is(r.detail, expected, statement || ': detail');
	RETURN NEXT matches(r.hint, CASE
		WHEN call ~ 'constraint|range' THEN '^Valid forms are .*1\.2\.3.*~1.*~1\.2.*latest.*\+dev'
								ELSE '^A version is MAJOR\.MINOR\.PATCH' END, statement || ': hint');
END
$$;

-- The lists that semver.org publishes with its regular expression
CREATE TEMP TABLE valid (version text) ON COMMIT DROP;
INSERT INTO valid VALUES
	('0.0.4'), ('1.2.3'), ('10.20.30'), ('1.1.2-prerelease+meta'), ('1.1.2+meta'), ('1.1.2+meta-valid'),
		('1.0.0-alpha'),
	('1.0.0-beta'), ('1.0.0-alpha.beta'), ('1.0.0-alpha.beta.1'), ('1.0.0-alpha.1'), ('1.0.0-alpha0.valid'),
		('1.0.0-alpha.0valid'),
	('1.0.0-alpha-a.b-c-somethinglong+build.1-aef.1-its-okay'), ('1.0.0-rc.1+build.1'), ('2.0.0-rc.1+build.123'),
		('1.2.3-beta'),
	('10.2.3-DEV-SNAPSHOT'), ('1.2.3-SNAPSHOT-123'), ('1.0.0'), ('2.0.0'), ('1.1.7'), ('2.0.0+build.1848'),
		('2.0.1-alpha.1227'),
	('1.0.0-alpha+beta'), ('1.2.3----RC-SNAPSHOT.12.9.1--.12+788'), ('1.2.3----R-S.12.9.1--.12+meta'),
		('1.2.3----RC-SNAPSHOT.12.9.1--.12'),
	('1.0.0+0.build.1-rc.10000aaa-kk-0.1'), ('99999999999999999999999.999999999999999999.99999999999999999'),
		('1.0.0-0A.is.legal'),
	-- and more
	('1.4.0-dev.20260915T101500Z'), ('0.0.0'), ('0.0.0-0'), ('1.0.0--'), ('1.0.0---.-'), ('1.0.0+001'), ('1.0.0-0a'),
		('1.0.0-00a'),
	('1.0.0+-'), (rpad('1.0.0-', 255, 'a')), (rpad('1.0.0-1', 255, '.1')), (rpad('1.0.0-a', 255, '.a')),
		(repeat('9', 251) || '.0.0');
SELECT ok(promote.is_version(version), left(version, 80) || ' is a version') FROM valid;

CREATE TEMP TABLE invalid (version text) ON COMMIT DROP;
INSERT INTO invalid VALUES
	('1'), ('1.2'), ('1.2.3-0123'), ('1.2.3-0123.0123'), ('1.1.2+.123'), ('+invalid'), ('-invalid'),
		('-invalid+invalid'), ('-invalid.01'),
	('alpha'), ('alpha.beta'), ('alpha.beta.1'), ('alpha.1'), ('alpha+beta'), ('alpha_beta'), ('alpha.'), ('alpha..'),
		('beta'),
	('1.0.0-alpha_beta'), ('-alpha.'), ('1.0.0-alpha..'), ('1.0.0-alpha..1'), ('1.0.0-alpha...1'), ('1.0.0-alpha....1'),
		('1.0.0-alpha.....1'),
	('1.0.0-alpha......1'), ('1.0.0-alpha.......1'), ('01.1.1'), ('1.01.1'), ('1.1.01'), ('1.2'), ('1.2.3.DEV'),
		('1.2-SNAPSHOT'),
	('1.2.31.2.3----RC-SNAPSHOT.12.09.1--..12+788'), ('1.2-RC-SNAPSHOT'), ('-1.0.3-gamma+b7718'), ('+justmeta'),
		('9.8.7+meta+meta'),
	('9.8.7-whatever+meta+meta'),
	('99999999999999999999999.999999999999999999.99999999999999999----RC-SNAPSHOT.12.0'
		'9.1--------------------------------..12'),
	-- and more
	(''), (' '), (' 1.2.3'), ('1.2.3 '), (E'1.2.3\n'), ('v1.2.3'), ('1..3'), ('.1.2'), ('1.2.'), ('1.2.3-'), ('1.2.3+'),
		('1.2.3-+b'), ('1.2.3-a+'),
	('1.2.3-a.'), ('1.2.3-.a'), ('1.2.3+a.'), ('1.2.3-é'), ('1.2.3-a b'), ('1.2.3-00'), ('1.2.x'), ('1.2.3,'),
		('-1.2.3'), ('+1.2.3'), ('0x1.2.3'),
	('1e1.2.3'), ('latest'), ('~1'), (rpad('1.0.0-', 256, 'a')), (repeat('9', 252) || '.0.0'), (repeat('1', 1000000));
SELECT ok(NOT promote.is_version(version),
	format('%s is no version', quote_literal(replace(left(version, 80), E'\n', ' ')))) FROM invalid;
SELECT is(count(*) FILTER (WHERE state = 'PM201' AND message LIKE 'invalid version "%' AND detail LIKE 'The %.'
	AND hint LIKE 'A version is %'),
		  count(*), 'every one of them is refused with detail and hint')
  FROM invalid, pg_temp.refusal(format('SELECT promote.version_key(%L)', version));
SELECT ok(bool_and(length(message) < 100), 'long ones are clipped in the message')
  FROM invalid, pg_temp.refusal(format('SELECT promote.version_key(%L)', version));

-- Every refusal says which part it is about
SELECT pg_temp.refuses('version_key(%L)', version, detail) FROM (VALUES
	('', 'The text is empty.'),
	(rpad('1.0.0-', 256, 'a'), 'The text has more than 255 characters.'),
	('x.1.2', 'The major version is not a number.'),
	('.1.2', 'The major version is missing.'),
	('01.1.2', 'The major version has a leading zero.'),
	('1', 'The minor version is missing.'),
	('1-a', 'The minor version is missing.'),
	('1x.1.2', 'The minor version does not follow a dot.'),
	('1.x.2', 'The minor version is not a number.'),
	('1.00.2', 'The minor version has a leading zero.'),
	('1.2', 'The patch version is missing.'),
	('1.2.', 'The patch version is missing.'),
	('1.2.03', 'The patch version has a leading zero.'),
	('1.2.3-', 'The prerelease has an empty identifier or an invalid character.'),
	('1.2.3-a..b', 'The prerelease has an empty identifier or an invalid character.'),
	('1.2.3-a.01', 'The prerelease has a number with a leading zero.'),
	('1.2.3+', 'The build metadata has an empty identifier or an invalid character.'),
	('1.2.3+a+b', 'The text goes on where a version would end.'),
	('1.2.3.4', 'The text goes on where a version would end.')) v (version, detail);
SELECT pg_temp.refuses('version_compare(%L, ''1.2.3'')', 'x', 'The major version is not a number.');
SELECT pg_temp.refuses('version_compare(''1.2.3'', %L)', '1', 'The minor version is missing.');
SELECT pg_temp.refuses('version_is_prerelease(%L)', '1.2', 'The patch version is missing.');

-- The key, byte by byte
SELECT is(promote.version_key(version), key::bytea, version || ' as a key') FROM (VALUES
	('1.2.3', '\x013101320133ff00'),
	('10.0.0', '\x02313001300130ff00'),
	('1.2.3-rc.10', '\x013101320133027263000102313000'),
	('1.2.3-0+b', '\x01310132013301013000')) v (version, key);

-- Precedence: semver.org's example first
CREATE FUNCTION pg_temp.ascends(versions text[], description text) RETURNS SETOF text LANGUAGE sql AS
$$
	SELECT is(array_agg(version ORDER BY promote.version_key(version)), versions, description || ': order of keys')
	  FROM (SELECT unnest(versions) AS version ORDER BY random()) shuffled
	UNION ALL
	SELECT is(count(*) FILTER (WHERE promote.version_compare(a.version,
		b.version) IS DISTINCT FROM sign(a.ordinal - b.ordinal)::integer), 0::bigint,
			  description || ': all pairs')
	  FROM unnest(versions) WITH ORDINALITY a (version, ordinal), unnest(versions) WITH ORDINALITY b (version, ordinal)
$$;
SELECT pg_temp.ascends('{1.0.0-alpha,1.0.0-alpha.1,1.0.0-alpha.beta,1.0.0-beta,1.0.0-beta.2,1.0.0-beta.11,1.0.0-rc.1,'
	'1.0.0}', 'precedence of semver.org');
SELECT pg_temp.ascends('{1.0.0,2.0.0,2.1.0,2.1.1}', 'core of semver.org');
SELECT pg_temp.ascends('{0.0.0-0,0.0.0,0.0.1,0.0.10,0.2.0,0.10.0,1.0.0,9.0.0,10.0.0,99999999999999999998.0.0,'
	'99999999999999999999.0.0,100000000000000000000.0.0}', 'numbers of any length');
SELECT pg_temp.ascends('{1.4.0-dev.20260914T235959Z,1.4.0-dev.20260915T101500Z,1.4.0-dev.20260915T101501Z,'
	'1.4.0-dev.20270101T000000Z,1.4.0-rc.1,1.4.0,1.4.1-dev.20260101T000000Z}', 'development builds');
SELECT pg_temp.ascends('{1.0.0-1,1.0.0-2,1.0.0-10,1.0.0-10.0,1.0.0--,1.0.0-0a,1.0.0-1-,1.0.0-10a,1.0.0-A,1.0.0-Z,'
	'1.0.0-a,1.0.0-a.0,1.0.0-a.-,1.0.0-a.a,1.0.0-a-,1.0.0-a-.0,1.0.0-a0,1.0.0-aa,1.0.0-z,1.0.0}', 'identifiers');
SELECT is(row(promote.version_compare(a, b), promote.version_key(a)), row(0, promote.version_key(b)),
	format('%s equals %s', a, b))
  FROM (VALUES ('1.0.0', '1.0.0+b'), ('1.0.0+a', '1.0.0+b.1'), ('1.0.0-a+x', '1.0.0-a')) v (a, b);

-- The definition of precedence, as semver.org words it, without the keys
CREATE FUNCTION pg_temp.compare_numbers(a text, b text) RETURNS integer LANGUAGE sql IMMUTABLE AS
$$ SELECT sign(a::numeric - b::numeric)::integer $$;

CREATE FUNCTION pg_temp.compare_identifiers(a text, b text) RETURNS integer LANGUAGE sql IMMUTABLE AS
$$
	SELECT CASE WHEN a ~ '^\d+$' AND b ~ '^\d+$' THEN pg_temp.compare_numbers(a, b)
				WHEN a ~ '^\d+$' THEN -1
				WHEN b ~ '^\d+$' THEN 1
				ELSE (a COLLATE "C" > b)::integer - (a COLLATE "C" < b)::integer END
$$;

CREATE FUNCTION pg_temp.compare(a text, b text) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS
$$
DECLARE
	a_core text[] := string_to_array(substring(a FROM '^[0-9.]+'), '.');
	b_core text[] := string_to_array(substring(b FROM '^[0-9.]+'), '.');
	a_pre text[] := string_to_array(substring(split_part(a, '+', 1) FROM '-(.*)$'), '.');
	b_pre text[] := string_to_array(substring(split_part(b, '+', 1) FROM '-(.*)$'), '.');
	result integer;
BEGIN
	FOR i IN 1 .. 3 LOOP
		result := pg_temp.compare_numbers(a_core[i], b_core[i]);
		IF result <> 0 THEN RETURN result; END IF;
	END LOOP;
	IF a_pre IS NULL OR b_pre IS NULL THEN
		RETURN (a_pre IS NULL)::integer - (b_pre IS NULL)::integer;
	END IF;
	FOR i IN 1 .. least(cardinality(a_pre), cardinality(b_pre)) LOOP
		result := pg_temp.compare_identifiers(a_pre[i], b_pre[i]);
		IF result <> 0 THEN RETURN result; END IF;
	END LOOP;
	RETURN sign(cardinality(a_pre) - cardinality(b_pre));
END
$$;

-- Random versions that share beginnings often
CREATE FUNCTION pg_temp.pick(VARIADIC choices text[]) RETURNS text LANGUAGE sql VOLATILE AS
$$ SELECT choices[1 + floor(random() * cardinality(choices))::integer] $$;

CREATE FUNCTION pg_temp.any_version() RETURNS text LANGUAGE plpgsql VOLATILE AS
$$
DECLARE
	version text := pg_temp.pick('0', '1', '2', '10', '11', '99', '100', '99999999999999999999') || '.'
		|| pg_temp.pick('0', '1', '9', '10') || '.' || pg_temp.pick('0', '1', '9', '10');
BEGIN
	IF random() < 0.8 THEN
		version := version || '-';
		FOR i IN 1 .. 1 + floor(random() * 4) LOOP
			version := version || CASE WHEN i > 1 THEN '.' ELSE '' END
				|| pg_temp.pick('0', '1', '2', '10', '123456789012345678901', '-', '--', '0a', 'a', 'A', 'a1', 'a-',
					'alpha', 'b', 'beta',
								'dev', 'rc', '20260915T101500Z', '00x', 'Z', 'z', '1-');
		END LOOP;
	END IF;
	RETURN version || CASE WHEN random() < 0.2 THEN pg_temp.pick('+b', '+1.01', '+-.a') ELSE '' END;
END
$$;

CREATE TEMP TABLE pairs ON COMMIT DROP AS
SELECT pg_temp.any_version() AS a, pg_temp.any_version() AS b FROM generate_series(1, 20000);
-- versions alike but for their end are rare among these: derive some
INSERT INTO pairs SELECT a, CASE WHEN a ~ '^[^+]*-' THEN split_part(a, '+', 1) || pg_temp.pick('', '.0', '.a', 'a', '-',
	'0a') ELSE a END FROM pairs;
SELECT is(count(*) FILTER (WHERE NOT promote.is_version(a) OR NOT promote.is_version(b)), 0::bigint,
	'random versions are versions') FROM pairs;
SELECT is((SELECT format('%s and %s', a, b) FROM pairs
	WHERE promote.version_compare(a, b) IS DISTINCT FROM pg_temp.compare(a, b) LIMIT 1),
		  NULL, 'version_compare is precedence');
SELECT is((SELECT format('%s and %s', a, b) FROM pairs
			WHERE (promote.version_key(a) > promote.version_key(b))::integer -
				(promote.version_key(a) < promote.version_key(b))::integer
				  IS DISTINCT FROM pg_temp.compare(a, b) LIMIT 1),
		  NULL, 'the order of keys is precedence');
SELECT ok(count(*) FILTER (WHERE pg_temp.compare(a, b) = 0) > 10, 'equal versions are among the random ones')
	FROM pairs;

-- Prereleases
SELECT is(promote.version_is_prerelease(version), version ~ '^[^+]*-', left(version, 80) || ': prerelease or not')
	FROM valid;

-- Constraints
SELECT ok(promote.is_version_constraint(c), c || ' is a constraint')
	FROM unnest(ARRAY['1.2.3', '0.0.0', '1.2.3-rc.1', '1.4.0-dev.20260915T101500Z',
	'~1', '~0', '~1.2', '~10.20', '~99999999999999999999', 'latest', '~' || repeat('9', 254)]) c;
SELECT ok(NOT promote.is_version_constraint(c), format('%L is no constraint', left(c, 80)))
	FROM unnest(ARRAY['', ' ', '1', '1.2', '~', '~1.', '~.1', '~1.2.3', '~1.2.3-a', '~01',
	'~1.02', '~ 1', '~1 ', '~~1', '^1', '>1.2.3', '*', '1.x', 'Latest', 'latest ', 'latests', '~latest', '1.2.3+b',
		'1.2.3+dev', '~1+dev', '~1.2+dev',
	'latest+dev', '+dev', 'v1.2.3', '~1-a', '~x', '~1.x', '~' || repeat('9', 255)]) c;
SELECT is(promote.parse_version_constraint(c)::text, row(expected, channel)::text, c || ' taken apart') FROM (VALUES
	('1.2.3', '1.2.3', 'stable'), ('~1', '~1', 'stable'), ('~1.2', '~1.2', 'stable'), ('latest', 'latest', 'stable'),
	('1.2.3+dev', '1.2.3', 'development'), ('~1+dev', '~1', 'development'), ('~1.2+dev', '~1.2', 'development'),
		('latest+dev', 'latest', 'development'),
	('1.4.0-dev.20260915T101500Z+dev', '1.4.0-dev.20260915T101500Z', 'development')) v (c, expected, channel);
SELECT pg_temp.refuses(call, c, detail) FROM (VALUES
	('', 'The text is empty.'), ('1', 'The minor version is missing.'), ('1.2', 'The patch version is missing.'),
	('~', 'The major version is missing.'), ('~x', 'The major version is not a number.'),
		('~01', 'The major version has a leading zero.'),
	('~1.', 'The minor version is missing.'), ('~1.02', 'The minor version has a leading zero.'),
	('~1.2.3', 'The range has more than a major and a minor version.'),
		('~1-a', 'The range has more than a major and a minor version.'),
	('^1.2.3', 'The major version is not a number.'), ('Latest', 'The major version is not a number.'),
	('1.2.3+b', 'The constraint has build metadata or a release channel.'),
	('1.2.3-a..b', 'The prerelease has an empty identifier or an invalid character.'),
	('~' || repeat('9', 255), 'The text has more than 255 characters.')) v (c, detail),
	(VALUES ('parse_version_constraint(%L)'), ('version_range(%L)')) f (call);
SELECT pg_temp.refuses('parse_version_constraint(%L)', c, detail) FROM (VALUES
	('+dev', 'The text is empty.'), ('latest+dev+dev', 'The constraint has build metadata or a release channel.'),
	('latest+DEV', 'The constraint has build metadata or a release channel.'),
		('latest+ dev', 'The constraint has build metadata or a release channel.'),
	('~1.2.3+dev', 'The range has more than a major and a minor version.')) v (c, detail);
SELECT pg_temp.refuses('version_range(%L)', 'latest+dev', 'The constraint has build metadata or a release channel.');
SELECT pg_temp.refuses('version_range(%L)', '~1+dev', 'The range has more than a major and a minor version.');

-- Ranges
SELECT is(promote.version_range(c)::text, row(low::bytea, high::bytea)::text, c || ' as a range') FROM (VALUES
	('1.2.3', '\x013101320133ff00', '\x013101320133ff0000'), ('~1', '\x0131', '\x0131ff'),
		('~1.2', '\x01310132', '\x01310132ff'),
	('latest', '\x', '\xff')) v (c, low, high);

CREATE FUNCTION pg_temp.covers(c text, version text) RETURNS boolean LANGUAGE sql AS
$$ SELECT promote.version_key(version) >= lower AND promote.version_key(version) < upper
	FROM promote.version_range(c) $$;
SELECT is(pg_temp.covers(c, version), expected, format('%s %s %s', c, CASE WHEN expected THEN 'covers'
	ELSE 'does not cover' END, version)) FROM (VALUES
	('1.2.3', '1.2.3', true), ('1.2.3', '1.2.3+b', true), ('1.2.3', '1.2.3-a', false), ('1.2.3', '1.2.4-0', false),
		('1.2.3', '1.2.30', false),
	('1.2.3-a', '1.2.3-a', true), ('1.2.3-a', '1.2.3-a.0', false), ('1.2.3-a', '1.2.3-a0', false),
		('1.2.3-a', '1.2.3', false),
	('~1', '1.0.0-dev.20260915T101500Z', true), ('~1', '1.0.0', true), ('~1', '1.99999999999999999999.0', true),
		('~1', '1.9.9-a', true),
	('~1', '1.' || repeat('9', 251) || '.0', true),
	('~1', '2.0.0-dev.20260915T101500Z', false), ('~1', '0.9.9', false), ('~1', '10.0.0', false),
		('~1', '11.0.0', false), ('~0', '0.0.0-0', true),
	('~1.2', '1.2.0-0', true), ('~1.2', '1.2.0', true), ('~1.2', '1.2.99999', true), ('~1.2', '1.3.0-0', false),
		('~1.2', '1.1.9', false),
	('~1.2', '1.20.0', false), ('~1.2', '12.0.0', false), ('latest', '0.0.0-0', true),
		('latest', repeat('9', 251) || '.0.0', true)) v (c, version, expected)
 WHERE length(version) <= 255;
SELECT is((SELECT format('%s and %s', c, a)
	FROM (SELECT a, '~' || split_part(b, '.', 1) AS c, split_part(a, '.', 1) = split_part(b, '.', 1) AS same
	FROM pairs) p
			WHERE pg_temp.covers(c, a) IS DISTINCT FROM same LIMIT 1), NULL,
				'a range by the major version covers just its versions');

-- Domains
SELECT lives_ok($$ SELECT '1.2.3'::promote.semantic_version, NULL::promote.semantic_version,
	'~1'::promote.version_constraint $$, 'domains take what is valid');
SELECT throws_ok($$ SELECT '1.2'::promote.semantic_version $$, 'PM201', 'invalid version "1.2"', 'no version');
SELECT throws_ok($$ SELECT '~1+dev'::promote.version_constraint $$, 'PM201', 'invalid version constraint "~1+dev"',
	'no constraint');
SELECT is(collname, 'C'::name, typname || ' compares bytes') FROM pg_type JOIN pg_collation c ON c.oid = typcollation
 WHERE pg_type.oid IN ('promote.semantic_version'::regtype, 'promote.version_constraint'::regtype);

-- The functions themselves
SELECT is(row(provolatile, proisstrict, proparallel, obj_description(p.oid, 'pg_proc') IS NOT NULL)::text, '(i,t,s,t)',
		  p.oid::regprocedure || ': immutable, strict, parallel safe, with a comment')
  FROM pg_proc p WHERE p.oid = ANY (ARRAY['promote.is_version(text)', 'promote.is_version_constraint(text)',
  	'promote.version_key(text)',
	'promote.version_compare(text, text)', 'promote.version_is_prerelease(text)',
		'promote.parse_version_constraint(text)',
	'promote.version_range(text)']::regprocedure[]);
SELECT is(promote.version_key(NULL), NULL, 'null of null');

SELECT * FROM finish();
ROLLBACK;
