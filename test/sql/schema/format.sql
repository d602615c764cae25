-- Formats: each with what it takes and what it does not, by the letter of its RFC.

BEGIN;
SELECT no_plan();
\ir ../../fixtures/cpu.sql

-- The format takes all of the first texts and none of the second.
CREATE FUNCTION pg_temp.decides(format text, good text[], bad text[],
	about text DEFAULT 'by its RFC') RETURNS SETOF text
LANGUAGE sql AS $$
	SELECT is(
		(SELECT array_agg(v ORDER BY n) FROM unnest(good || bad) WITH ORDINALITY u(v, n)
		 WHERE promote.jsonb_format_valid(format, v) IS DISTINCT FROM (n <= cardinality(good))),
		NULL, format || ': ' || about)
$$;

------------------------------------------------------------------------
-- the function

SELECT is(promote.jsonb_format_valid(NULL, 'x'), NULL, 'no format, no answer');
SELECT is(promote.jsonb_format_valid('ipv4', NULL), NULL, 'no value, no answer');
SELECT throws_ok($$SELECT promote.jsonb_format_valid('IPv4', '1.2.3.4')$$, 'PM002', 'unknown format',
	'the name of a format is told to the letter');
CREATE FUNCTION pg_temp.refusal(OUT detail text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM promote.jsonb_format_valid('ipv5', '');
EXCEPTION WHEN SQLSTATE 'PM002' THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
END
$$;
SELECT is(detail, 'There is no format "ipv5".', 'a refusal says which') FROM pg_temp.refusal();
SELECT is(hint, 'The formats are date, date-time, duration, email, hostname, idn-email, idn-hostname, ipv4, ipv6, iri, '
	'iri-reference, json-pointer, regex, relative-json-pointer, time, uri, uri-reference, uri-template, uuid.',
	'and lists them all') FROM pg_temp.refusal();
CREATE TEMP TABLE host (address text CHECK (promote.jsonb_format_valid('ipv6', address)));
SELECT lives_ok($$INSERT INTO host VALUES ('::1'), (NULL)$$, 'a constraint takes a value of the format');
SELECT throws_ok($$INSERT INTO host VALUES ('1')$$, '23514', NULL, 'and refuses another');

------------------------------------------------------------------------
-- RFC 3339

SELECT pg_temp.decides('date', '{0000-01-01,9999-12-31,2024-02-29,2000-02-29,2023-04-30}',
	'{"",2023-02-29,1900-02-29,2023-04-31,2023-00-01,2023-01-00,2023-13-01,2023-1-01,2023-01-1,23-01-01,12023-01-01,'
		'2023-01-01x," 2023-01-01","2023-01-01 ",2023/01/01,20230101,+023-01-01,2023-01-,2023-01,2023}');
SELECT pg_temp.decides('time',
	'{00:00:00Z,23:59:59z,12:30:00.5Z,12:30:00.123456789012345678901234567890Z,12:00:00+23:59,12:00:00-00:00,'
		'23:59:60Z,15:59:60-08:00,08:59:60+09:00,00:29:60+00:30,23:29:60-00:30,23:59:60.9Z}',
	'{"",00:00:00,24:00:00Z,12:60:00Z,12:00:61Z,12:00:00.Z,12:00:00+24:00,12:00:00+1:00,12:00:00+01,12:00:00+0100,'
		'12:00:00+01:60,12:00Z,12:00:60Z,23:58:60Z,22:59:60Z,15:59:60+08:00,"12:00:00 '
		'Z",12:00:00ZZ,12:00:00Zx,"12:00:00,5Z",1200:00Z,12:0000Z,120000Z}');
SELECT pg_temp.decides('date-time',
	'{1985-04-12T23:20:50.52Z,1996-12-19T16:39:57-08:00,1990-12-31T23:59:60Z,1990-12-31T15:59:60-08:00,'
		'1937-01-01T12:00:27.87+00:20,1985-04-12t23:20:50z}',
	'{"",1985-04-12,23:20:50Z,"1985-04-12 23:20:50Z",1985-04-12T23:20:50,1985-02-29T23:20:50Z,1985-04-12T24:00:00Z,'
		'1985-04-12T23:20:50ZT,1985-04-12_23:20:50Z,1985-04-12T,1985-04-12T23:20:50+0100}');
SELECT pg_temp.decides('duration',
	'{P1Y,P1M,P1D,P1W,P1Y2M3D,P1Y2M,P2M3D,PT1H,PT1M,PT1S,PT1H2M3S,PT2M3S,P1YT1H,P1DT1S,P0D,P00012W,'
	'P99999999999999999999D}',
	'{"",P,T,PT,P1,1D,P1YT,P1Y1D,PT1H1S,P1D1M,PT1S1M,P1D1D,P1H,PT1D,P1W1D,P1D1W,P1WT1H,PT1W,P1.5D,PT0.5S,-P1D,P-1D,'
		'p1d,"P1D ",P1DT1H2D,PP1D}');

------------------------------------------------------------------------
-- hosts

SELECT pg_temp.decides('ipv4', '{0.0.0.0,255.255.255.255,10.20.30.40,1.2.3.4}',
	'{"",1.2.3,1.2.3.4.5,256.1.1.1,1.2.3.256,01.2.3.4,1.2.3.00,1..2.3,.1.2.3,1.2.3.,1.2.3.4/8,0x1.2.3.4,"1.2.3.4 '
		'",1.2.3.a,1.2.3.-4,1.2.3.1000}');
SELECT pg_temp.decides('ipv6',
	'{::,::1,1::,1:2:3:4:5:6:7:8,1:2:3:4:5:6:7::,::2:3:4:5:6:7:8,1::8,abcd:EF01::,::1.2.3.4,::ffff:1.2.3.4,'
		'1:2:3:4:5:6:1.2.3.4,1:2:3:4:5::1.2.3.4,2001:db8::ff00:42:8329}',
	'{"",":",":::",1,1:2,1:2:3:4:5:6:7,1:2:3:4:5:6:7:8:9,1:2:3:4:5:6:7:8::,::1:2:3:4:5:6:7:8,1::2::3,:1,1:,":1::",'
		'1:::2,12345::,g::,::1.2.3,::1.2.3.4.5,::1.2.3.256,::01.2.3.4,1.2.3.4::,1:2:3:4:5:6:7:1.2.3.4,'
		'1:2:3:4:5:6::1.2.3.4,1:2:3:4:5:1.2.3.4,fe80::1%eth0,"::1 ",::1/64,"[::1]",1:2:3:4:5:6:7:8:,1.2.3.4}');
SELECT pg_temp.decides('hostname', ARRAY['a', '1', 'a1', '1a', 'a-b', 'a--b', 'r3---sn-x.example', 'EXAMPLE.com',
	repeat('a', 63), repeat(repeat('a', 49) || '.', 5) || 'abc',
		'xn--9n2bp8q.example', 'XN--9N2BP8Q', 'a.b.c', '1.2.3.4'],
	ARRAY['', '.', 'a.', '.a', 'a..b', '-a', 'a-', 'a.-b', 'a_b', 'a b', repeat('a', 64),
		repeat(repeat('a', 50) || '.', 5) || 'a', 'ä.de', 'xn--', 'xn--x', 'xn--a', 'xn--example-',
		'xn---9uc', 'xn--7a', E'a\n']);
SELECT pg_temp.decides('idn-hostname', ARRAY['a', 'straße.de', 'bücher.example', '실례.테스트', 'l·l', 'a。b', 'a．b', 'a｡b',
	'xn--bcher-kva', repeat('ü', 40)],
	ARRAY['', '。', 'a。', 'Bücher', E'bu\u0308cher', 'a·l', 'ü_ü', '-ü', 'ü-', repeat('ü', 63), 'xn--bücher', '☃', 'a א',
		'aא', repeat('ü', 600)]);
SELECT pg_temp.decides('email', ARRAY['a@b', 'a.b@c.d', '!#$%&''*+-/=?^_`{|}~@x', '""@x', '"a b"@x', '"a@b"@x',
	'"a\"b"@x', '"\\"@x', 'a@[1.2.3.4]', 'a@[IPv6:::1]', 'a@[ipv6:1::2]',
		repeat('a', 64) || '@x', 'a@xn--9n2bp8q', 'a@1'],
	ARRAY['', '@', 'a', 'a@', '@b', '.a@b', 'a.@b', 'a..b@c', 'a b@c', 'a@b@c', 'a@-b', 'a@b_c', 'a@b.', '"a@b',
		'"a"b@c', '"a', E'"a\nb"@c', '"a\', 'a@[1.2.3]', 'a@[1.2.3.4', 'a@[::1]',
		'a@[IPv6:1]', 'a@[X:y]', 'a@[]', 'a@1.2.3.4]', repeat('a', 65) || '@x', 'ä@b', 'a@ä', '"ä"@b', 'a (c)@b',
			'<a@b>', 'a@' || repeat('a.', 126) || 'b']);
SELECT pg_temp.decides('idn-email', '{a@b,ä@b,a@ä.de,실례@실례.테스트,"\"ä ö\"@b"}', '{"",ä,ä@,@ä,ä@@ä,ä..ö@b,ä@ä..b,a@-ä}');

------------------------------------------------------------------------
-- URIs

SELECT pg_temp.decides('uri', ARRAY['a:', 'a:b', 'http://a', 'http://', 'http:///x', 'http://a:80/b?c#d', 'http://a:/',
	'http://u:p@h', 'http://u:p:q@h:1', 'http://[::1]:8', 'http://[v1.a:b]/',
		'http://1.2.3.4', 'http://999.1.1.1', 'mailto:a@b', 'urn:a:b', 'a+b-c.1:x', 'a:?b', 'a:#', 'a:%41', 'a:/b//c',
			'a:b:c@d', 'http://a?b/?:@', 'http://a#b?/', 'A:B', 'http://a!$&''()*+,;=~-._', 'file:///etc'],
	ARRAY['', ':', '1:b', 'b', '/b', '//b', '#x', '?x', 'a b:c', 'a:b c', 'a:ä', 'ä:b', 'a:[', 'a:]', 'a:%', 'a:%4',
		'a:%4g', 'a:<', 'a:"', 'a:\', 'a:^', 'a:`', 'a:{', 'a:|', 'a:#b#c',
		'http://a:b', 'http://a:80x', 'http://[::1', 'http://[::1]x', 'http://[1.2.3.4]', 'http://[v.a]',
			'http://[v1.]', 'http://[vg.a]', 'http://[v1.%41]', 'http://a@b@c', 'http://[::1%25eth0]', 'http://[a',
			E'a:b\n', '_a:b']);
SELECT pg_temp.decides('uri-reference', ARRAY['', '#', '?', '/', '//', 'a', 'a/b:c', './a:b', 'a?b:c', 'a#b:c',
	'//a:1/b', 'http://a', '../x', 'a@b', '@', '%41', '//u@h', ';a', '.', 'a:b'],
	ARRAY['1:b', ':a', '_:b', 'a@b:c', '%41:b', 'a b', 'ä', '\', '//a:b', '//[', '[', '##', '%', '//a@b@c']);
SELECT pg_temp.decides('iri', ARRAY['http://ä.de/ö?ü#ß', 'http://a', E'a:\U00020000', E'a:?\uE000', 'http://é@h'],
	ARRAY['', 'ä', 'ä:b', E'a:\u0080', E'a:\uE000', E'a:#\uE000', E'a:\uFFF0', E'a:\uFDD0', E'a:\U0001FFFE',
		E'a:\U000E0001', 'a:ä b', 'http://ä:ö']);
SELECT pg_temp.decides('iri-reference', ARRAY['', 'ä', '/ä', '#ä', '//ä', 'ä/b:c', E'?\U00100000'],
	ARRAY['ä:b', 'ä b', '\ä', E'\uE000']);
SELECT pg_temp.decides('uri-template', ARRAY['', 'a', '{a}', '{a,b}', '{+a}', '{#a}', '{.a}', '{/a}', '{;a}', '{?a}',
	'{&a}', '{a*}', '{a:1}', '{a:9999}', '{a.b}', '{a_1}', '{%41}', 'x{a}y{b}z', '%41', 'ä', '''', '{?a*,b:3}'],
	ARRAY['{', '}', '{}', '{a', 'a}', '{{a}}', '{a b}', '{a,}', '{,}', '{a..b}', '{.}', '{a.}', '{a:0}', '{a:}',
		'{a:10000}', '{a*:1}', '{a:1*}', '{ä}', '{a-b}', '{%4}', '%', '%4', ' ', '"', '<', '>', '\', '^', '`', '|',
		E'\x7f', E'\u0085', '{*}', '{+}']);

------------------------------------------------------------------------
-- the rest

SELECT pg_temp.decides('uuid',
	'{00000000-0000-0000-0000-000000000000,FFFFFFFF-ffff-FFFF-ffff-ffffffffffff,f81d4fae-7dec-11d0-a765-00a0c91e6bf6}',
	'{"",f81d4fae7dec11d0a76500a0c91e6bf6,"{f81d4fae-7dec-11d0-a765-00a0c91e6bf6}",'
		'urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6,f81d4fae-7dec-11d0-a765-00a0c91e6bf,'
		'f81d4fae-7dec-11d0-a765-00a0c91e6bf6a,g81d4fae-7dec-11d0-a765-00a0c91e6bf6,'
		'f81d4faea7dec-11d0-a765-00a0c91e6bf6,f81d-4fae-7dec-11d0-a765-00a0c91e6bf6}');
SELECT pg_temp.decides('json-pointer', '{"",/,/a,//,/a/b,/~0,/~1,/~01,/ä,"/ ",/%}', '{a,#,#/,0,/~,/~2,/a~/b,~0,~}');
SELECT pg_temp.decides('relative-json-pointer', '{0,1,10,0#,1/a,0/~0,2+1,2-10/a,1+2#,0/}',
	'{"",/a,-1,+1,01,00,0##,0#/a,#,0a,1+,1+01,1+-1,0/~,١}');
SELECT pg_temp.decides('regex', ARRAY['', 'a', '^a$', 'a|b|', '(a)', '(?:a)', '(?=a)', '(?!a)', '(?<=a)', '(?<!a)',
	'(?<n>a)\k<n>', '\k<n>(?<n>a)', '(a)\1', '\1(a)', '(?=(a))\1', 'a*?', 'a{2,3}?', 'a{0}', 'a{1,}',
		'[]', '[^]', '[a-z]', '[\]]', '[\-a]', '[a-]', '[-a]', '[^-]', '[\b]', '[\d\-x]', '\d\D\w\W\s\S\b\B',
			'\t\n\v\f\r\0', '\cA', '\x41', '\u0041', '\u{1F600}', '\ud83d\ude00', '\ud800', '\ud83d\u{1F600}',
			'\ud83d\u0041', '\ud83d\ud83d\ude00',
		'\^\$\\\.\*\+\?\(\)\[\]\{\}\|\/', '\p{L}', '\P{Lu}', '\p{Script=Greek}', '[\p{L}\P{N}]', '(?<ä>x)', '(?<$_>x)',
			'(?<\u0061>x)', 'a{100000}', 'a{20000000,20000001}', 'a{09,10}', '.{0,65535}', repeat('a', 20000),
			'(?<a>)(?<b>)', '[--a]'],
	ARRAY['(', ')', '(?', '(?a)', '[', 'a{', '{', '}', ']', 'a{1', '{1}', 'a{2,1}', 'a{20000001,20000000}', 'a{10,09}',
		'*', 'a**', 'a+*', '+', '?', '^*', '(?=a)*', '(?<=a)?', '\b+', '\', '\a', '\A', '\Z', '\z', '\-', '\@', '\ä',
		'\_', '\1', '(a)\2',
		'\01', '\00', '\8', '\c', '\c1', '\x4', '\xg0', '\u004', '\u{}', '\u{110000}', '\u{', '\k', '\k<n>',
			'\k<n>(?<m>)', '(?<n', '(?<>a)', '(?<1>a)', '(?<a-b>a)', '(?<n>a)(?<n>b)', '[b-a]', '[a-\d]', '[\d-a]',
			'[\d-\w]',
		'[\B]', '[\1]', '[\c]', '\p', '\p{', '\p{}', '\p{letter}', '\p{Foo}', '\p{sc=greek}', '\p{L=L}', '\pL',
			'\p{InGreek}', '\p{ L}', '(?i)a', '(?P<n>a)', '(?#x)', '(?>a)', 'a++', '[[:alpha:]]', '[\p{x}]'],
	'ECMA-262 with the flag "u", whether the engine can carry it out or not');
SELECT pg_temp.decides('regex', '{}', ARRAY[repeat('(', 1000000), repeat('(', 100000) || repeat(')', 100000)],
	'nested deeper than the stack');

------------------------------------------------------------------------
-- size

-- A time for ten times the length that is far from a hundred times as long.
CREATE FUNCTION pg_temp.seconds(format text, value text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	began float8 := pg_temp.cpu_seconds();
BEGIN
	PERFORM promote.jsonb_format_valid(format, value);
	RETURN pg_temp.cpu_seconds() - began;
END
$$;
SELECT cmp_ok(max(pg_temp.seconds(f, v)), '<', 2::float8, 'five megabytes of ' || left(min(v), 4) || ' take no time: '
	|| f)
FROM unnest('{date-time,duration,email,hostname,idn-email,idn-hostname,ipv6,iri,json-pointer,regex,'
	'relative-json-pointer,uri,uri-reference,uri-template}'::text[]) f,
	unnest(ARRAY[repeat('1', 5000000), 'P' || repeat('1', 5000000), '"' || repeat('\a', 2500000), repeat('a.', 2500000),
		'a:' || repeat('%41', 1700000), 'http://' || repeat('a@', 2500000), repeat('{a}', 1700000),
		'http://[' || repeat(':', 5000000), '/' || repeat('~0', 2500000), repeat('ä', 2500000),
			repeat('(?<a>)', 800000), repeat('\k<a>', 1000000), '(?<a>)' || repeat('\k<a>', 1000000),
		'[' || repeat('a-z', 1700000) || ']', repeat('\p{L}', 1000000), repeat('a{1000}', 700000)]) v
GROUP BY f;

SELECT * FROM finish();
ROLLBACK;
