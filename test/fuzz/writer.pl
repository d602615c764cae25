#!/usr/bin/perl
#
# writer.pl: are results laid out as PostgreSQL would lay them out, and right?
#
# usage: writer.pl [seconds [seed]]
#
# Makes small sets of documents, of the shapes that the format of jsonb makes a
# difference for, and calls each function that makes a document on every pair
# of a set.  A result must have the same bytes as the document that PostgreSQL
# builds of the result's text; and for some of the pairs it must be what an
# independent definition in PL/pgSQL says.  Documents come from tables that
# store them compressed, out of line, and with short headers.  Shapes that once
# went wrong, or may, are files in the directory writer/.  Prints one summary
# line.  A finding, with exit status 1, is
#
#   - a result with bytes of its own, or other than the definition's,
#   - an SQLSTATE that the call may not raise,
#   - a lost connection, after which the batch is left in a file.
#
use strict;
use warnings;
no warnings 'recursion';
use FindBin;
use lib "$FindBin::Bin/lib";
use Fuzz qw(pick parse_json write_json copy_json copy_rows change_json);

use constant BATCH => 60;          # documents; the pairs are the square
use constant CHECKED_EACH => 17;   # of so many pairs one is compared with the definitions
use constant MAX_LENGTH => 200000;

my $fuzz = Fuzz->new(name => 'writer', kept => 'a document on each line');
my @corpus = map { parse_json($_) } $fuzz->corpus('writer');
# Around the strides of JB_OFFSET_STRIDE, 32, for arrays and for an object's keys and values together.
my @counts = (0 .. 3, 15 .. 17, 30 .. 34, 47 .. 49, 63 .. 66, 95 .. 97, 127 .. 130);
my @numbers = (qw(0 1 -1 9 10 99 9999 10000 10001 -10000 99999999 100000000 1.5 1.50 -1.500 0.1 0.10 0.0001 0.00010 1e10
	1e-10 1.0 -0
	12345678 1234567890123456 0.12345678901234567890 123456789.987654321 1e63 1e64 1e255 1e256 1e-63 1e-64 1e-70 2.0e-65
	3.14159265358979323846264338327950288419716939937510), map { '9' x $_ } 1 .. 13, 16, 20, 31);
my @huge = ((map { '9' x $_ } 63, 64, 65, 200, 900), '1e1001', '9' x 1500, '1e-16000', '1e131071',
	'0.' . '0' x 300 . '1', '1.' . '0' x 70, '0.' . '0' x 64, '1' x 300 . '.' . '2' x 300);
# What is one byte longer may be padded by another number of bytes, or have a header of another kind.
my @lengths = (0 .. 9);
my @longer = (15 .. 17, 30 .. 33, 60 .. 66, 110 .. 128, 250 .. 258, 500, 1000);
my @long = (1990 .. 2050);
my @longest = (4096, 8191, 8192, 20000, 65535, 65536);
my @texts = ('{{a}}', '{{ k1 }}', 'x{{a}}y', '\\\\{{a}}', '{{obj}}', '{{list}}', '{{long}}{{a}}', '{{none}}',
	'{{num}}.', '{{a.b-c}}', 'é', '😀', '\\n', '\\"', '\\u0001');
my @keys = ('', 'a', 'b', 'c', 'aa', 'ab', 'name', 'é', '😀', 'on', 'own', 'list', 'k' x 127, 'k' x 128, 'x' x 300);
my %shape = (
	scalar => \&scalar, tree => sub { tree(4) }, tree_again => sub { tree(3) }, object => \&object, array => \&array,
		matrix => \&matrix,
	deep => \&deep, named => sub { named(2) }, own => \&own, numbers => \&numbers, long => \&long, mutant => undef,
		corpus => sub { pick(@corpus) });
my @shapes = sort keys %shape;

my $pairs = 0;
$fuzz->tell(prepare());
$fuzz->run(\&batch, \&question, \&answered);
$fuzz->finish("$pairs pairs");

# ---- documents ----

# The documents of a batch, related to each other.
sub batch {
	my @trees;
	while (@trees < BATCH) {
		my $shape = pick(@shapes);
		my $tree = $shape eq 'mutant' || @trees > 2 && rand() < 0.3 ? mutate(pick(@trees ? @trees : @corpus))
			: $shape{$shape}->();
		push @trees, $tree if length write_json($tree) < MAX_LENGTH;
	}
	return [map { write_json($_) } @trees];
}

sub number { return ['s', rand() < 0.02 ? pick(@huge) : rand() < 0.5 ? pick(@numbers) : int(rand(2 ** rand 50)) - 50] }

sub text {
	return ['s', '"' . pick(@texts) . '"'] if rand() < 0.2;
	return ['s', '"' . (pick('a' .. 'z') x pick(rand() < 0.04 ? @longer : @lengths)) . '"'];
}

sub scalar {
	my $kind = rand;
	return $kind < 0.3 ? ['s', pick(qw(null null true false))] : $kind < 0.6 ? number() : text();
}

# A value that is mostly small.
sub value { return rand() < 0.75 ? &scalar() : tree(rand 3) }

sub tree {
	my ($depth) = @_;
	return &scalar() if $depth < 1 || rand() < 0.2;
	my $count = int rand(rand() < 0.2 ? 1 : 6);
	return ['a', map { tree($depth - 1) } 1 .. $count] if rand() < 0.35;
	return ['o', pairs(map { [rand() < 0.8 ? pick(@keys[0 .. 11]) : pick(@keys), tree($depth - 1)] } 1 .. $count)];
}

# Of equal keys the first.
sub pairs {
	my %seen;
	return grep { !$seen{ $_->[0] }++ } @_;
}

# Values all of one kind, so that runs of neighbours are aligned, or not, as a whole.
sub values_of_kind {
	my ($count) = @_;
	my $make = pick(\&value, \&number, \&text, sub { ['s', 'null'] }, sub { ['a'] }, sub { ['o', ['on', ['s', 1]]] });
	return map { rand() < 0.1 ? value() : $make->() } 1 .. $count;
}

# Keys of one length, or of growing length; the same in most objects, or shifted.
sub object {
	my @values = values_of_kind(pick(rand() < 0.6 ? @counts : (0 .. 5)));
	my $first = rand() < 0.5 ? 1 : int rand 200;
	my $format = pick('k%d', 'k%d', 'k%03d', 'a%04d', 'long key of many bytes %d');
	return ['o', map { [sprintf($format, $first + $_), $values[$_]] } 0 .. $#values];
}

sub array { return ['a', values_of_kind(pick(rand() < 0.6 ? @counts : (0 .. 5)))] }

# Wide objects and arrays in small ones.
sub matrix {
	my @children = map { rand() < 0.5 ? object() : array() } 1 .. pick(1, 2, 3);
	return ['a', @children] if rand() < 0.3;
	return ['o', map { [$keys[$_ + 1], $children[$_]] } 0 .. $#children];
}

sub deep {
	my $tree = value();
	my @way = rand() < 0.7 ? ('a') : @keys[1 .. 4];
	for (1 .. pick(5, 20, 100, 300)) {
		my @beside = rand() < 0.1 ? value() : ();
		$tree = rand() < 0.2 ? ['a', @beside, $tree] : ['o', pairs([pick(@way), $tree], map { ['b', $_] } @beside)];
	}
	return $tree;
}

# Arrays whose elements have names.
sub named {
	my ($depth) = @_;
	my %names = map { pick(1 .. 90) => 1 } 1 .. ($depth == 2 ? pick(0, 1, 2, 5, 16, 33, 65) : $depth);
	my @elements = map { ['o', pairs(['name', ['s', $_ % 3 ? "\"n$_\"" : $_ . (rand() < 0.3 ? '.0' : '')]],
		['a', value()], rand() < 0.3 ? ['list', named($depth - 1)] : ())] }
	  sort { rand() <=> 0.5 } keys %names;
	return rand() < 0.5 && $depth == 2 ? ['o', ['list', ['a', @elements]], ['a', value()]] : ['a', @elements];
}

# What the schemas below mark.
sub own {
	my @own = map { ['o', pairs(['own', value()], ['on', value()],
		rand() < 0.5 ? ['deep', ['o', ['own', value()], ['b', value()]]] : ())] } 1 .. pick(0, 1, 2, 2, 2, 33);
	return ['o', pairs(['own', value()], ['list', ['a', @own]], ['a', pick(@own, value())],
		['b', ['a', map { value() } 0 .. pick(0, 2, 5, 33)]], (object())->[1] // ())];
}

sub numbers { return ['a', map { ['s', $_] } map { rand() < 0.5 ? $_ : "-$_" } grep { rand() < 0.5 }
	grep { !/^-/ } @numbers] }

# Out of line, or just not.
sub long {
	my @pieces = map { rand() < 0.5 ? ['s', '"' . 'ab' x (pick(rand() < 0.1 ? @longest : @long) / 2) . '"']
		: ['s', '"' . join('', map { pick('a' .. 'z') } 1 .. pick(2000, 2040, 3000)) . '"'] } 1 .. pick(1, 1, 2);
	return pick($pieces[0], ['a', @pieces], ['a', value(), @pieces, value()], ['o', ['a', $pieces[0]], ['b', value()],
		['long', value()]]);
}

# A document changed in one to four places.
sub mutate {
	my $tree = copy_json($_[0]);
	$tree = change_json($tree, 500, \&changed) for 1 .. 1 + rand 4;
	return $tree;
}

sub changed {
	my ($node) = @_;
	my ($kind, @children) = @$node;
	my $how = int rand 6;
	return value() if $kind eq 's' || $how == 0;
	return ['a', $node, value()] if $how == 1 && $kind eq 'a';
	return [$kind] if $how == 2;
	my $at = int rand(1 + @children);
	if ($how <= 4) {
		splice @children, $at, 0, $kind eq 'o' ? [pick(@keys, map { "k$_" } 1 .. 100), value()] : value();
	} elsif (@children) {
		splice @children, $at % @children, 1 + rand(rand() < 0.2 ? 40 : 2);
	}
	return [$kind, $kind eq 'o' ? pairs(@children) : @children];
}

# ---- questions ----

# Calls on two documents a and b, a schema s, overrides o and variables v: when they are made, the SQLSTATEs that they
# may raise, and the same by definition where there is one.
sub calls {
	return (
		['promote.jsonb_deep_merge(a, b)', 'true', '', "pg_temp.merge(a, b, false, 'replace')"],
		["promote.jsonb_deep_merge(a, b, 'append')", 'true', '', "pg_temp.merge(a, b, false, 'append')"],
		["promote.jsonb_deep_merge(a, b, 'name')", 'true', 'PM108', "pg_temp.merge(a, b, false, 'name')"],
		['promote.jsonb_merge_patch(a, b)', 'true', '', "pg_temp.merge(a, b, true, 'replace')"],
		['promote.compose_params(a, b, s, o)', 'objects', 'PM102', 'pg_temp.compose(a, b, s, o)'],
		['promote.jsonb_filter_copyable(a, s)', 'near', '', 'pg_temp.filter(a, s)'],
		['promote.jsonb_render(a, v)', 'near', 'PM105', 'pg_temp.render(a, v)'],
		['promote.jsonb_render(a, v || b)', 'objects', 'PM105', ''],
		['(SELECT to_jsonb(count(*)) FROM promote.jsonb_leaf_diff(a, b) d WHERE NOT pg_temp.own_bytes(d.old_value) '
			. 'OR NOT pg_temp.own_bytes(d.new_value))', 'true', '', "'0'"],
		['promote.jsonb_merge_diff(a, b)', 'true', 'PM', ''],
		['to_jsonb(promote.jsonb_merge_patch(a, promote.jsonb_merge_diff(a, b)) = b)', 'true', 'PM', "'true'"],
		['promote.jsonb_diff_patch(a, b)', 'true', 'PM', ''],
		['promote.jsonb_apply_patch(a, promote.jsonb_diff_patch(a, b))', 'true', 'PM', ''],
		['to_jsonb(promote.jsonb_apply_patch(a, promote.jsonb_diff_patch(a, b)) = b)', 'true', 'PM', "'true'"],
		['promote.jsonb_schema_defaults(a, s)', 'near', 'PM', '']);
}

# The tables, the definitions, and the function that makes all calls on one pair.
sub prepare {
	my $names = $fuzz->ask("SELECT 'promote.' || proname FROM pg_proc WHERE pronamespace = 'promote'::regnamespace;\n");
	my %there = map { $_ => 1 } @{ $names // die "no database with the extension\n" };
	my @calls = map { try_call(@$_) } grep { my $call = $_->[0];
		!grep { !$there{$_} } $call =~ /(promote\.\w+)/g } calls();
	return definitions() . <<"SQL";
CREATE FUNCTION pg_temp.check(a jsonb, b jsonb, s jsonb, o jsonb, v jsonb, near boolean, compared boolean)
RETURNS SETOF text LANGUAGE plpgsql AS \$\$
DECLARE
	r jsonb;
	want text;
	objects boolean := jsonb_typeof(a) = 'object' AND jsonb_typeof(b) = 'object';
BEGIN
@calls
END \$\$;
SQL
}

# One call in PL/pgSQL.
sub try_call {
	my ($call, $when, $states, $definition) = @_;
	my $name = $call =~ s/'/''/gr;
	my $compare = $definition eq '' ? '' : <<"SQL";
		IF compared THEN
			BEGIN
				want := ($definition)::text;
				IF r::text IS DISTINCT FROM want THEN
					RETURN NEXT '$name is ' || left(r::text, 1000) || ' but should be ' || left(want, 1000);
				END IF;
			EXCEPTION WHEN statement_too_complex THEN
				-- a definition needs more stack
			END;
		END IF;
SQL
	return <<"SQL";
	IF $when THEN
		BEGIN
		r := $call;
		IF pg_temp.own_bytes(r) IS NOT TRUE THEN
			RETURN NEXT '$name has bytes of its own: ' || left(r::text, 1000);
		END IF;
$compare		EXCEPTION WHEN OTHERS THEN
			IF NOT EXISTS (SELECT FROM string_to_table('$states', ' ') state
				WHERE state <> '' AND starts_with(SQLSTATE, state)) THEN
				RETURN NEXT '$name: ' || SQLSTATE || ' ' || SQLERRM;
			END IF;
		END;
	END IF;
SQL
}

sub definitions {
	return <<'SQL';
SET client_min_messages = warning;
SET statement_timeout = '10min';
SET jit = off;
CREATE TEMP TABLE raw (id serial, d text);
CREATE TEMP TABLE compressed (id int, d jsonb) WITH (toast_tuple_target = 128);
CREATE TEMP TABLE outside (id int, d jsonb) WITH (toast_tuple_target = 128);
CREATE TEMP TABLE inside (id int, d jsonb);
ALTER TABLE compressed ALTER d SET STORAGE extended, ALTER d SET COMPRESSION pglz;
ALTER TABLE outside ALTER d SET STORAGE external;
ALTER TABLE inside ALTER d SET STORAGE main;
DO $$ BEGIN ALTER TABLE inside ALTER d SET COMPRESSION lz4; EXCEPTION WHEN feature_not_supported THEN END $$;
CREATE TEMP VIEW document AS SELECT * FROM compressed UNION ALL SELECT * FROM outside UNION ALL SELECT * FROM inside;
-- what no other document is, for its own storage to be seen
CREATE TEMP TABLE schema AS SELECT ordinality - 1 AS id, s FROM unnest(ARRAY[
	'{"properties": {"own": {"$md.copyable": false}, "list": {"items": {"properties": {"own": {"$md.copyable": '
		'false}}}}}}',
	'{"properties": {"a": {"$md.copyable": false}, "k2": {"$md.copyable": false}, "k33": {"$md.copyable": false}, '
		'"k64": {"$md.copyable": false}}}',
	'{"properties": {"a": {"items": {"$md.copyable": false}}, "b": {"items": {"properties": {"name": {"$md.copyable": '
		'false}, "a": {"properties": {"b": {"$md.copyable": false}}}}}}}}',
	'{"properties": {"a": {"properties": {"a": {"$md.copyable": false}, "b": {"additionalProperties": {"$md.copyable": '
		'false}}}}, "list": {"$md.copyable": false}}, "additionalProperties": {"properties": {"on": {"$md.copyable": '
		'false}}, "items": {"items": {"$md.copyable": false}}}}',
	'{"additionalProperties": {"$md.copyable": false}, "properties": {"a": {}, "own": {}, "k1": {}, "k32": {}, "k63": '
		'{}, "k65": {}}}',
	'{"items": {"properties": {"own": {"$md.copyable": false}, "name": {"$md.copyable": false}, "a": {"items": '
		'{"$md.copyable": false}}}}, "properties": {"deep": {"$md.copyable": false}, "b": {"items": {"items": '
		'{"items": {"$md.copyable": false}}}}}}',
	'{"additionalProperties": {"properties": {"a": {"items": {"$md.copyable": false}}}, "additionalProperties": '
		'{"items": {"$md.copyable": false}}}}',
	'{"items": {"$md.copyable": false}, "properties": {"": {"$md.copyable": false}, "é": {"$md.copyable": false}}}',
	'{"$md.copyable": false}',
	'{}']::jsonb[]) WITH ORDINALITY s;
CREATE TEMP TABLE override AS SELECT ordinality - 1 AS id, o FROM unnest(ARRAY[
	'{}', '{"a": null, "k1": {"new": 1.50, "gone": null}, "b": {"b": null}}',
	'{"own": [1, "x"], "z": {"z": {"z": null}}, "k32": null, "k33": null, "k34": "longer than it was"}',
		'{}']::jsonb[]) WITH ORDINALITY o;
CREATE TEMP TABLE variables AS SELECT jsonb_build_object('a', 'text', 'k1', 1.50, 'obj',
	'{"x": [1, {"y": "{{a}}"}]}'::jsonb,
	'list', '[1.0, "a", null]'::jsonb, 'long', repeat('long', 700), 'num', -1.2e-7, 'a.b-c', true) AS v;

-- *= compares the bytes of rows, and text makes PostgreSQL build a document anew.
CREATE FUNCTION pg_temp.own_bytes(r jsonb) RETURNS boolean LANGUAGE sql AS $$
	SELECT r IS NULL OR ROW(r)::record OPERATOR (pg_catalog.*=) ROW(r::text::jsonb)::record
$$;

CREATE FUNCTION pg_temp.is_named(a jsonb) RETURNS boolean LANGUAGE sql AS $$
	SELECT coalesce(bool_and(jsonb_typeof(e) = 'object' AND e ? 'name'), true) FROM jsonb_array_elements(a) e
$$;

CREATE FUNCTION pg_temp.merge(a jsonb, b jsonb, removes boolean, arrays text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	result jsonb;
	k text;
	x jsonb;
BEGIN
	IF jsonb_typeof(b) = 'array' AND jsonb_typeof(a) = 'array' AND arrays = 'append' THEN
		RETURN a || b;
	ELSIF jsonb_typeof(b) = 'array' AND jsonb_typeof(a) = 'array' AND arrays = 'name' AND pg_temp.is_named(a)
		AND pg_temp.is_named(b) THEN
		RETURN coalesce((SELECT jsonb_agg(CASE WHEN y.e IS NULL THEN x.e ELSE pg_temp.merge(x.e, y.e, removes, arrays)
			END ORDER BY x.n)
				FROM jsonb_array_elements(a) WITH ORDINALITY x (e, n)
					LEFT JOIN jsonb_array_elements(b) y (e) ON x.e -> 'name' = y.e -> 'name'), '[]')
			|| coalesce((SELECT jsonb_agg(y.e ORDER BY y.n) FROM jsonb_array_elements(b) WITH ORDINALITY y (e, n)
				WHERE NOT EXISTS (SELECT FROM jsonb_array_elements(a) x (e) WHERE x.e -> 'name' = y.e -> 'name')),
					'[]');
	ELSIF jsonb_typeof(b) <> 'object' OR jsonb_typeof(a) IS DISTINCT FROM 'object' AND NOT removes THEN
		RETURN b;
	END IF;
	result := CASE jsonb_typeof(a) WHEN 'object' THEN a ELSE '{}' END;
	FOR k, x IN SELECT * FROM jsonb_each(b) LOOP
		IF removes AND x = 'null' THEN
			result := result - k;
		ELSE
			result := result || jsonb_build_object(k, pg_temp.merge(result -> k, x, removes, arrays));
		END IF;
	END LOOP;
	RETURN result;
END $$;

-- The schema of what is under a key, and of an element; both unknown to what they are not in.
CREATE FUNCTION pg_temp.under(s jsonb, k text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT coalesce(s -> 'properties' -> k, s -> 'additionalProperties', '{}')
$$;
CREATE FUNCTION pg_temp.is_own(s jsonb) RETURNS boolean LANGUAGE sql AS $$
	SELECT s ? '$md.copyable'
$$;
CREATE FUNCTION pg_temp.is_claimed(x jsonb, s jsonb) RETURNS boolean LANGUAGE sql AS $$
	SELECT pg_temp.is_own(s) OR coalesce(jsonb_typeof(x) = 'array' AND x <> '[]' AND pg_temp.is_own(s -> 'items'),
		false)
$$;

CREATE FUNCTION pg_temp.filter_value(d jsonb, s jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	CASE jsonb_typeof(d)
	WHEN 'object' THEN
		RETURN coalesce((SELECT jsonb_object_agg(key, pg_temp.filter_value(value, pg_temp.under(s, key)))
			FROM jsonb_each(d)
			WHERE NOT pg_temp.is_own(pg_temp.under(s, key))), '{}');
	WHEN 'array' THEN
		IF pg_temp.is_own(s -> 'items') THEN RETURN '[]'; END IF;
		RETURN coalesce((SELECT jsonb_agg(pg_temp.filter_value(value, coalesce(s -> 'items', '{}')) ORDER BY ordinality)
			FROM jsonb_array_elements(d) WITH ORDINALITY), '[]');
	ELSE
		RETURN d;
	END CASE;
END $$;
CREATE FUNCTION pg_temp.filter(d jsonb, s jsonb) RETURNS jsonb LANGUAGE sql AS $$
	SELECT CASE WHEN pg_temp.is_own(s) THEN '{}' ELSE pg_temp.filter_value(d, s) END
$$;

-- What stays of a value that the source lacks; NULL: nothing.
CREATE FUNCTION pg_temp.kept(y jsonb, s jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	IF pg_temp.is_claimed(y, s) THEN RETURN y; END IF;
	IF jsonb_typeof(y) <> 'object' THEN RETURN NULL; END IF;
	RETURN (SELECT jsonb_object_agg(key, x) FROM jsonb_each(y), pg_temp.kept(value, pg_temp.under(s, key)) x
		WHERE x IS NOT NULL);
END $$;

-- x of the source over y of the destination, each of which may be NULL: missing.
CREATE FUNCTION pg_temp.overlay_value(x jsonb, y jsonb, s jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	IF pg_temp.is_claimed(x, s) OR pg_temp.is_claimed(y, s) THEN RETURN y; END IF;
	IF x IS NULL THEN RETURN pg_temp.kept(y, s); END IF;
	IF jsonb_typeof(x) = 'object' AND jsonb_typeof(y) = 'object' THEN
		RETURN coalesce((SELECT jsonb_object_agg(coalesce(l.key, r.key), z) FROM jsonb_each(x) l FULL
			JOIN jsonb_each(y) r ON l.key = r.key,
			pg_temp.overlay_value(l.value, r.value, pg_temp.under(s, coalesce(l.key, r.key))) z WHERE z IS NOT NULL),
				'{}');
	ELSIF jsonb_typeof(x) = 'array' AND jsonb_typeof(y) = 'array' THEN
		RETURN coalesce((SELECT jsonb_agg(z ORDER BY n) FROM jsonb_array_elements(x) WITH ORDINALITY l (e, n)
			LEFT JOIN jsonb_array_elements(y) WITH ORDINALITY r (e, n) USING (n),
				pg_temp.overlay_value(l.e, r.e, coalesce(s -> 'items', '{}')) z
			WHERE z IS NOT NULL), '[]');
	END IF;
	RETURN pg_temp.filter_value(x, s);
END $$;
-- Where an override makes an object, b may have something that stays in it: so it is looked at until nothing changes.
CREATE FUNCTION pg_temp.compose(a jsonb, b jsonb, s jsonb, o jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	result jsonb := pg_temp.merge(pg_temp.overlay_value(a, b, s), o, true, 'replace');
	next jsonb;
BEGIN
	LOOP
		next := pg_temp.merge(pg_temp.overlay_value(result, b, s), o, true, 'replace');
		EXIT WHEN next = result;
		result := next;
	END LOOP;
	RETURN result;
END $$;

-- Of a text, all but what a problem would be.
CREATE FUNCTION pg_temp.render_text(t text, v jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text := '';
	m text[];
BEGIN
	FOR m IN SELECT regexp_matches(t, '(\\*)(?:(\{\{ *([a-zA-Z_][\w.-]*) *\}\})|(\{\{))|(\\+|[^\\{]+|\{)', 'g') LOOP
		IF m[5] IS NOT NULL THEN
			result := result || m[5];
		ELSIF length(m[1]) % 2 = 1 THEN
			result := result || repeat('\', length(m[1]) / 2) || coalesce(m[2], m[4]);
		ELSE
			result := result || repeat('\', length(m[1]) / 2) || (v ->> m[3]);
		END IF;
	END LOOP;
	RETURN result;
END $$;
CREATE FUNCTION pg_temp.render(d jsonb, v jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	m text[];
BEGIN
	CASE jsonb_typeof(d)
	WHEN 'object' THEN
		RETURN coalesce((SELECT jsonb_object_agg(key, pg_temp.render(value, v)) FROM jsonb_each(d)), '{}');
	WHEN 'array' THEN
		RETURN coalesce((SELECT jsonb_agg(pg_temp.render(value, v) ORDER BY ordinality)
			FROM jsonb_array_elements(d) WITH ORDINALITY), '[]');
	WHEN 'string' THEN
		m := regexp_match(d #>> '{}', '^\{\{ *([a-zA-Z_][\w.-]*) *\}\}$');
		RETURN CASE WHEN m IS NULL THEN to_jsonb(pg_temp.render_text(d #>> '{}', v)) ELSE v -> m[1] END;
	ELSE
		RETURN d;
	END CASE;
END $$;
SQL
}

# A batch on its own three kinds of storage, and all its pairs.
sub question {
	my ($rows) = @_;
	my ($each, $shift) = (CHECKED_EACH, int rand CHECKED_EACH);
	return "TRUNCATE raw, compressed, outside, inside RESTART IDENTITY;\n" . copy_rows('raw (d)', @$rows) . <<"SQL";
INSERT INTO compressed SELECT id, d::jsonb FROM raw WHERE id % 3 = 0;
INSERT INTO outside SELECT id, d::jsonb FROM raw WHERE id % 3 = 1;
INSERT INTO inside SELECT id, d::jsonb FROM raw WHERE id % 3 = 2;
SELECT regexp_replace(f || '  a=' || left(x.d::text, 2500) || '  b=' || left(y.d::text, 2500) || '  s=' || s || '  o='
	|| o, '\\n', ' ', 'g')
  FROM variables, document x, document y JOIN schema ON schema.id = y.id % (SELECT count(*) FROM schema)
  JOIN override ON override.id = y.id % (SELECT count(*) FROM override),
       pg_temp.check(x.d, y.d, s, o, v, y.id <= (SELECT count(*) FROM schema), (x.id + 7 * y.id) % $each = $shift) f;
SELECT 'pairs ' || (SELECT count(*) FROM document) ^ 2;
SQL
}

# A count, or a finding.
sub answered {
	my ($line) = @_;
	return $line if $line !~ /^pairs (\d+)$/;
	$pairs += $1;
	return;
}
