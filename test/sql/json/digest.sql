-- Canonical JSON and its digest: the vectors of RFC 8785, the spelling of numbers and strings, the order of keys.
BEGIN;
SELECT no_plan();

-- ---- RFC 8785, appendix B: doubles and their spelling, which here are the same wherever no digit is lost ----
CREATE TABLE appendix_b (bits text, spelling text);
INSERT INTO appendix_b VALUES
    ('0000000000000000', '0'), ('0000000000000001', '5e-324'), ('8000000000000001', '-5e-324'),
    ('7fefffffffffffff', '1.7976931348623157e+308'), ('ffefffffffffffff', '-1.7976931348623157e+308'),
    ('4340000000000000', '9007199254740992'), ('c340000000000000', '-9007199254740992'),
    ('4430000000000000', '295147905179352830000'), ('44b52d02c7e14af5', '9.999999999999997e+22'),
    ('44b52d02c7e14af6', '1e+23'), ('44b52d02c7e14af7', '1.0000000000000001e+23'),
    ('444b1ae4d6e2ef4e', '999999999999999700000'), ('444b1ae4d6e2ef4f', '999999999999999900000'),
    ('444b1ae4d6e2ef50', '1e+21'), ('3eb0c6f7a0b5ed8c', '9.999999999999997e-7'), ('3eb0c6f7a0b5ed8d', '0.000001'),
    ('41b3de4355555553', '333333333.3333332'), ('41b3de4355555554', '333333333.33333325'),
    ('41b3de4355555555', '333333333.3333333'), ('41b3de4355555556', '333333333.3333334'),
    ('41b3de4355555557', '333333333.33333343'), ('becbf647612f3696', '-0.0000033333333333333333'),
    ('43143ff3c1cb0959', '1424953923781206.2');
SELECT is(promote.jsonb_canonical(spelling::jsonb), spelling, 'RFC 8785, appendix B: ' || spelling) FROM appendix_b;
SELECT is(encode(float8send(spelling::float8), 'hex'), bits, 'the vector is what it says: ' || spelling)
    FROM appendix_b;
-- PostgreSQL does not write every double in the shortest way: 1e23 lies half way between two of them.
SELECT is(promote.jsonb_canonical(to_jsonb(spelling::float8)), CASE spelling WHEN '1e+23' THEN '9.999999999999999e+22'
    ELSE spelling END,
          'a double from PostgreSQL: ' || spelling) FROM appendix_b;
SELECT is(promote.jsonb_canonical('-0'), '0', 'RFC 8785, appendix B: minus zero');

-- ---- RFC 8785, sections 3.2.2 to 3.2.4, with its first number as a double spells it ----
SELECT is(promote.jsonb_canonical(replace(document, '333333333.33333329', number)::jsonb),
          E'{"literals":[null,true,false],"numbers":[' || number
              || E',1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA''B\\"\\\\\\\\\\"/"}',
          'RFC 8785, section 3.2.2, with ' || number)
  FROM (VALUES (E'{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
                   "string": "\\u20ac$\\u000F\\u000aA''\\u0042\\u0022\\u005c\\\\\\"\\/", "literals": [null, true, '
                       'false]}')) AS v(document),
       unnest(ARRAY['333333333.3333333', '333333333.33333329']) AS number;
CREATE FUNCTION pg_temp.in_hex(document jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT encode(convert_to(promote.jsonb_canonical(document), 'UTF8'), 'hex')
$$;
CREATE FUNCTION pg_temp.bytes(hex text) RETURNS text LANGUAGE sql AS $$ SELECT regexp_replace(hex, '\s', '', 'g') $$;
SELECT is(pg_temp.in_hex(E'{"numbers": [333333333.3333333, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
                            "string": "\\u20ac$\\u000F\\u000aA''\\u0042\\u0022\\u005c\\\\\\"\\/", "literals": [null, '
                                'true, false]}'),
          pg_temp.bytes('7b 22 6c 69 74 65 72 61 6c 73 22 3a 5b 6e 75 6c 6c 2c 74 72 75 65 2c 66 61 6c 73 65 5d 2c 22 6e
                         75 6d 62 65 72 73 22 3a 5b 33 33 33 33 33 33 33 33 33 2e 33 33 33 33 33 33 33 2c 31 65 2b 33 30
                         2c 34 2e 35 2c 30 2e 30 30 32 2c 31 65 2d 32 37 5d 2c 22 73 74 72 69 6e 67 22 3a 22 e2 82 ac 24
                         5c 75 30 30 30 66 5c 6e 41 27 42 5c 22 5c 5c 5c 5c 5c 22 2f 22 7d'),
                             'RFC 8785, section 3.2.4, byte for byte');
SELECT is(promote.jsonb_canonical('{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With '
    'Dagesh","1":"One",
                                    "\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small '
                                        'Letter O With Diaeresis"}'),
          E'{"\\r":"Carriage Return","1":"One","\u0080":"Control","ö":"Latin Small Letter O With Diaeresis","€":"Euro '
              'Sign",'
          || E'"😀":"Emoji: Grinning Face","\ufb33":"Hebrew Letter Dalet With Dagesh"}', 'RFC 8785, section 3.2.3');

-- ---- the test data of https://github.com/cyberphone/json-canonicalization, testdata/input and testdata/outhex ----
SELECT is(pg_temp.in_hex(document::jsonb), pg_temp.bytes(hex), 'json-canonicalization: ' || file)
  FROM (VALUES
    ('arrays', '[56, {"d": true, "10": null, "1": [ ]}]',
     '5b 35 36 2c 7b 22 31 22 3a 5b 5d 2c 22 31 30 22 3a 6e 75 6c 6c 2c 22 64 22 3a 74 72 75 65 7d 5d'),
    ('french', '{"peach": "This sorting order", "péché": "is wrong according to French", "pêche": "but '
        'canonicalization MUST", "sin": "ignore locale"}',
     '7b 22 70 65 61 63 68 22 3a 22 54 68 69 73 20 73 6f 72 74 69 6e 67 20 6f 72 64 65 72 22 2c 22 70
      c3 a9 63 68 c3 a9 22 3a 22 69 73 20 77 72 6f 6e 67 20 61 63 63 6f 72 64 69 6e 67 20 74 6f 20 46
      72 65 6e 63 68 22 2c 22 70 c3 aa 63 68 65 22 3a 22 62 75 74 20 63 61 6e 6f 6e 69 63 61 6c 69 7a
      61 74 69 6f 6e 20 4d 55 53 54 22 2c 22 73 69 6e 22 3a 22 69 67 6e 6f 72 65 20 6c 6f 63 61 6c 65 22 7d'),
    ('structures', '{"1": {"f": {"f": "hi", "F": 5}, "\n": 56.0}, "10": { }, "": "empty", "a": { }, "111": [{"e": '
        '"yes", "E": "no"}], "A": { }}',
     '7b 22 22 3a 22 65 6d 70 74 79 22 2c 22 31 22 3a 7b 22 5c 6e 22 3a 35 36 2c 22 66 22 3a 7b 22 46
      22 3a 35 2c 22 66 22 3a 22 68 69 22 7d 7d 2c 22 31 30 22 3a 7b 7d 2c 22 31 31 31 22 3a 5b 7b 22
      45 22 3a 22 6e 6f 22 2c 22 65 22 3a 22 79 65 73 22 7d 5d 2c 22 41 22 3a 7b 7d 2c 22 61 22 3a 7b 7d 7d'),
    ('unicode', '{"Unnormalized Unicode": "A\u030a"}',
     '7b 22 55 6e 6e 6f 72 6d 61 6c 69 7a 65 64 20 55 6e 69 63 6f 64 65 22 3a 22 41 cc 8a 22 7d'),
    ('weird', '{"\u20ac": "Euro Sign", "\r": "Carriage Return", "\u000a": "Newline", "1": "One", "\u0080": '
        '"Control\u007f", "\ud83d\ude02": "Smiley",
               "\u00f6": "Latin Small Letter O With Diaeresis", "\ufb33": "Hebrew Letter Dalet With Dagesh", '
                   '"</script>": "Browser Challenge"}',
     '7b 22 5c 6e 22 3a 22 4e 65 77 6c 69 6e 65 22 2c 22 5c 72 22 3a 22 43 61 72 72 69 61 67 65 20 52
      65 74 75 72 6e 22 2c 22 31 22 3a 22 4f 6e 65 22 2c 22 3c 2f 73 63 72 69 70 74 3e 22 3a 22 42 72
      6f 77 73 65 72 20 43 68 61 6c 6c 65 6e 67 65 22 2c 22 c2 80 22 3a 22 43 6f 6e 74 72 6f 6c 7f 22
      2c 22 c3 b6 22 3a 22 4c 61 74 69 6e 20 53 6d 61 6c 6c 20 4c 65 74 74 65 72 20 4f 20 57 69 74 68
      20 44 69 61 65 72 65 73 69 73 22 2c 22 e2 82 ac 22 3a 22 45 75 72 6f 20 53 69 67 6e 22 2c 22 f0
      9f 98 82 22 3a 22 53 6d 69 6c 65 79 22 2c 22 ef ac b3 22 3a 22 48 65 62 72 65 77 20 4c 65 74 74
      65 72 20 44 61 6c 65 74 20 57 69 74 68 20 44 61 67 65 73 68 22 7d')) AS v(file, document, hex);

-- ---- numbers ----
-- The rule of doc/reference/digest.md applied to the number's text: another way to the digits than the one taken in C.
CREATE FUNCTION pg_temp.spelling(number numeric) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    whole text := split_part(abs(number)::text, '.', 1);
    fraction text := split_part(abs(number)::text, '.', 2);
    bare text := ltrim(whole || fraction, '0');
    n integer := length(bare) - length(fraction);
    digits text := rtrim(bare, '0');
    k integer := length(digits);
BEGIN
    RETURN CASE
        WHEN k = 0 THEN '0'
        ELSE CASE WHEN number < 0 THEN '-' ELSE '' END || CASE
            WHEN k <= n AND n <= 21 THEN rpad(digits, n, '0')
            WHEN 0 < n AND n <= 21 THEN left(digits, n) || '.' || right(digits, k - n)
            WHEN -6 < n AND n <= 0 THEN '0.' || repeat('0', -n) || digits
            ELSE left(digits, 1) || CASE WHEN k > 1 THEN '.' || right(digits, k - 1) ELSE '' END || 'e' || CASE
                WHEN n > 0 THEN '+' ELSE '-' END || abs(n - 1)
        END
    END;
END
$$;
SELECT is(promote.jsonb_canonical(n::jsonb), expected, 'a number: ' || left(n, 40))
  FROM (VALUES
    ('0', '0'), ('-0.000', '0'), ('0e10', '0'), ('1.0', '1'), ('10e-1', '1'), ('1E400', '1e+400'),
        ('-1e-400', '-1e-400'),
    ('9007199254740993', '9007199254740993'), ('295147905179352825856', '295147905179352825856'),
    ('123456789012345678901234567890.5', '1.234567890123456789012345678905e+29'),
        ('123456789012345678901.5', '123456789012345678901.5'),
    ('999999999999999999999', '999999999999999999999'), ('1000000000000000000000', '1e+21'), ('1e-6', '0.000001'),
        ('1e-7', '1e-7'),
    ('0.00000012', '1.2e-7'), ('0.0000010', '0.000001'), ('4.9406564584124654e-324', '4.9406564584124654e-324'),
    ('10000', '10000'), ('9999', '9999'), ('100000000', '100000000'), ('10000.0001', '10000.0001'),
        ('1.00010', '1.0001'),
    ('1e131071', '1e+131071'), ('1e-16383', '1e-16383'),
        ('-' || repeat('9', 131072), '-9.' || repeat('9', 131071) || 'e+131071')) AS v(n, expected);
-- Every layout, both headers, digits that begin and end anywhere in numeric's groups of four.
CREATE TABLE number AS
    SELECT sign || digits || 'e' || exponent AS n
      FROM unnest(ARRAY['1', '12', '123', '1234', '12345', '10002', '1000', '99999999', '100000001', '9007199254740993',
          repeat('70', 30)]) AS digits,
           generate_series(-290, 290) AS exponent, unnest(ARRAY['', '-']) AS sign;
SELECT is(count(*), 0::bigint, 'numbers are laid out by the rule, ' || (SELECT count(*) FROM number))
  FROM number WHERE promote.jsonb_canonical(n::jsonb) <> pg_temp.spelling(n::numeric);
SELECT is(count(*), 0::bigint, 'however many zeros are shown')
  FROM number, unnest(ARRAY[0, 1, 7, 64, 300]) AS scale
 WHERE n::numeric = round(n::numeric, scale) AND promote.jsonb_canonical(to_jsonb(round(n::numeric, scale)))
     <> pg_temp.spelling(n::numeric);
SELECT is((SELECT count(DISTINCT promote.jsonb_digest(n::jsonb)) FROM number), (SELECT count(DISTINCT n::numeric)
    FROM number),
          'as many digests as numbers');

-- ---- strings: PostgreSQL escapes the same characters, in the same way ----
CREATE TABLE string AS
    SELECT repeat('x', before) || c || repeat('y', after) AS s
      FROM generate_series(0, 17) AS before, generate_series(0, 9) AS after,
           unnest(ARRAY['', '"', '\', '/', E'\u007f', ' ', '!', '#', '[', ']', E'\u0080', 'ä', '€', '😀',
               E'\uffff']) AS c
    UNION ALL SELECT repeat('x', before) || chr(c) || repeat('y', after) FROM generate_series(1, 32) AS c,
        generate_series(0, 9) AS before, generate_series(0, 9) AS after
    UNION ALL SELECT repeat('aä"' || chr(1), n) FROM unnest(ARRAY[204, 205, 1000, 30000]) AS n
    UNION ALL SELECT repeat('x', n) || '"' || repeat('y', m)
        FROM unnest(ARRAY[1022, 1023, 1024, 1025, 16383, 16384, 20000]) AS n, unnest(ARRAY[0, 1, 1023, 40000]) AS m;
SELECT is(count(*), 0::bigint, 'strings are escaped as PostgreSQL does, ' || (SELECT count(*) FROM string))
  FROM string WHERE promote.jsonb_canonical(to_jsonb(s)) <> to_jsonb(s)::text
                 OR promote.jsonb_canonical(jsonb_build_object(s, 1)) <> '{' || to_jsonb(s)::text || ':1}';
SELECT is(count(*), 0::bigint, 'and hashed whole') FROM string
 WHERE promote.jsonb_digest(jsonb_build_array(s, s))
     <> sha256(convert_to('[' || to_jsonb(s)::text || ',' || to_jsonb(s)::text || ']', 'UTF8'));

-- ---- the order of keys ----
-- UTF-16 code units as hexadecimal digits sort as RFC 8785 wants.
CREATE FUNCTION pg_temp.utf16(s text) RETURNS text LANGUAGE sql AS $$
    SELECT COALESCE(string_agg(CASE WHEN c < 65536 THEN lpad(to_hex(c), 4, '0')
                                    ELSE to_hex(55296 + (c - 65536) / 1024) || to_hex(56320 + (c - 65536) % 1024) END,
                                        '' ORDER BY i), '')
      FROM (SELECT ascii(x), i FROM unnest(string_to_array(s, NULL)) WITH ORDINALITY AS y(x, i)) AS z(c, i)
$$;
CREATE FUNCTION pg_temp.sorted(keys text[]) RETURNS text LANGUAGE sql AS $$
    SELECT COALESCE('{' || string_agg(to_json(k)::text || ':0', ',' ORDER BY pg_temp.utf16(k) COLLATE "C") || '}', '{}')
        FROM (SELECT DISTINCT unnest(keys)) AS x(k)
$$;
SELECT setseed(0.8785);
CREATE TABLE keys AS
    SELECT n, array_agg(DISTINCT left(prefix, (random() * 9)::integer)
               || (SELECT COALESCE(string_agg(c, ''), '')
                   FROM (SELECT (ARRAY['a', 'b', 'B', '1', '_', 'é', '€', E'\ud7ff', E'\ue000', E'\uffff', '😀',
                   E'\U0010ffff', '"', E'\u0001'])[1 + floor(random() * 14)::integer] AS c
                                                    FROM generate_series(1, (i * 0 + random() * 5)::integer)) AS r)) AS
                                                        keys
      FROM unnest(ARRAY[0, 1, 2, 3, 5, 8, 12, 13, 14, 20, 40, 100, 300]) AS n,
          unnest(ARRAY['', 'service_name', '12345678ééé', E'\uffff\uffff\uffff']) AS prefix,
           generate_series(1, 25) AS again, generate_series(1, n) AS i
     GROUP BY n, prefix, again;
SELECT is(count(*), 0::bigint, 'keys are sorted by UTF-16 code units, ' || (SELECT count(*) FROM keys) || ' objects')
  FROM keys WHERE promote.jsonb_canonical((SELECT jsonb_object_agg(k, 0) FROM unnest(keys) AS k))
      <> pg_temp.sorted(keys);
SELECT is(promote.jsonb_canonical(jsonb_object_agg(k, jsonb_build_object(k, i))),
    '{' || string_agg(format('%s:{%s:%s}', to_json(k), to_json(k), i), ',' ORDER BY k COLLATE "C") || '}',
          'values stay with their keys, 5000 of them')
  FROM (SELECT i, md5(i::text) || i AS k FROM generate_series(1, 5000) AS i) AS x;
SELECT is(promote.jsonb_canonical('{"b":[{"z":1,"a":[{"k":{}}]},[]],"a":{"":[[]]}}'),
    '{"a":{"":[[]]},"b":[{"a":[{"k":{}}],"z":1},[]]}', 'at every level');
SELECT is(promote.jsonb_canonical('{"a":1,"b":2,"a":3}'), '{"a":3,"b":2}',
    'of a key given twice the last value counts');
-- Keys that share all but their last characters, where bytes are in the other order than UTF-16: many short runs.
SELECT is(promote.jsonb_digest(jsonb_object_agg(k, 0)), sha256(convert_to(pg_temp.sorted(array_agg(k)), 'UTF8')),
    'runs of one key')
  FROM (SELECT i || c AS k FROM generate_series(1, 2000) AS i, unnest(ARRAY[E'\ue000', '😀']) AS c) AS x;

-- ---- digests ----
SELECT is(promote.jsonb_digest(d), sha256(convert_to(promote.jsonb_canonical(d), 'UTF8')), 'a root: ' || d::text)
  FROM unnest(ARRAY['null', 'true', 'false', '1.50', '"x"', '[]', '{}', '""', '[[]]']::jsonb[]) AS d;
SELECT is(promote.jsonb_digest(d), sha256(convert_to(promote.jsonb_canonical(d), 'UTF8')),
    'text that ends about where a piece is hashed')
  FROM (SELECT jsonb_build_array(repeat('x', n), true, 1, '{}'::jsonb) AS d
      FROM generate_series(16384 - 60, 16384 + 20) AS n) AS x;
SELECT is(promote.jsonb_digest(d), sha256(convert_to(promote.jsonb_canonical(d), 'UTF8')),
    'a number longer than a piece')
  FROM (SELECT to_jsonb(repeat('7', 100000)::numeric) AS d) AS x;
-- The last document is remembered: another one of the same length must not be taken for it.
SELECT is(count(DISTINCT promote.jsonb_digest(jsonb_build_object('a', repeat('x', 1000) || i))), 900::bigint,
    'documents of the same length')
  FROM generate_series(100, 999) AS i;
-- The order of an object's keys is remembered, for the next one that has the same: each of many is written as by
-- itself, whether another one of as many keys comes before it, within it or behind it, and what is escaped stays so.
SELECT is(promote.jsonb_canonical(jsonb_agg(o ORDER BY n)), '[' || string_agg(promote.jsonb_canonical(o), ','
    ORDER BY n) || ']', format('objects of %s keys, of which some are alike', keys))
  FROM generate_series(1, 18) AS keys, LATERAL (
       SELECT n, (SELECT jsonb_object_agg(chr(97 + (k * CASE n % 3 WHEN 1 THEN 7 ELSE 1 END) % 26)
                             || repeat('z', (k * CASE n % 3 WHEN 2 THEN 5 ELSE 1 END) % 7),
                             CASE WHEN n % 11 = 0 AND k % 3 = 0 THEN jsonb_build_object(E'"\t', n, 'é', k)
                                  WHEN n % 5 = 0 AND k % 2 = 0 THEN jsonb_build_object('b', n, 'a' || n % 2, k)
                                  WHEN n % 7 = 0 THEN to_jsonb(repeat('x', n)) ELSE to_jsonb(n) END)
                    FROM generate_series(1, keys) AS k) AS o
         FROM generate_series(1, 40) AS n) AS of
 GROUP BY keys;
CREATE TABLE stored (d jsonb);
ALTER TABLE stored ALTER d SET STORAGE external;
INSERT INTO stored SELECT jsonb_agg(i) FROM generate_series(1, 3000) AS i;
SELECT is(promote.jsonb_digest(d), sha256(convert_to(replace(d::text, ' ', ''), 'UTF8')), 'a document out of line')
    FROM stored;

SELECT * FROM finish();
ROLLBACK;
