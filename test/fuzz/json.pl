#!/usr/bin/perl
#
# json.pl: feeds mutated documents to the functions over jsonb.
#
# usage: json.pl [seconds [seed]]
#
# Mutates the documents in the directory json/ beside this file and calls the
# functions on each pair of them, through one psql session.  Documents come
# from a table, so that they arrive as they are stored: with short headers,
# compressed, out of line.  The connection is taken from the usual PG*
# variables; the database must have the extension.  Prints one summary line.
# A finding, with exit status 1, is
#
#   - a result other than that of the same function written in PL/pgSQL,
#   - an SQLSTATE other than those that are expected,
#   - a refusal of class PM without DETAIL or HINT,
#   - a lost connection, after which the batch is left in a file.
#
use strict;
use warnings;
no warnings 'recursion';
use FindBin;
use lib "$FindBin::Bin/lib";
use Fuzz qw(parse_json write_json copy_json copy_rows mutate_json);

use constant BATCH => 100;
use constant MAX_LENGTH => 60000;

my $fuzz = Fuzz->new(name => 'json', kept => 'a pair with its variables and schema on each line');
my @corpus = map { parse_json($_) } $fuzz->corpus('json');
my @keys = ('', 'a', 'b', 'c', 'size', 'nodes', 'id', 'network', 'cidr', 'account', 'properties', 'items', '$md',
	'$md.copyable',
	'copyable', 'path', 'change', 'old', 'new', 'immutable', 'domain', 'port', 'x', 'é', '😀', 'ﬀ', 'a b', '\\"', '\\\\',
		'k' x 130);
my @scalars = ('null', 'true', 'false', '0', '-0', '-0.0', '1', '1.0', '1.00', '1e0', '10e-1', '1e1', '10', '0.1',
	'0.10', '-1.5',
	'1e-6', '1e-7', '0.0000001', '1e20', '1e21', '1e22', '123456789012345678901', '9' x 40, '0.' . '0' x 30 . '1',
		'1e400', '1e-400',
	'9' x 400, '1' . '0' x 1001, '""', '"a"', '"b"', '"1"', '"é"', '"😀"', '"\\ue000"', '"\\u0001"', '"\\n"', '"\\\\"',
		'"\\""',
	'"{{domain}}"', '"{{ port }}"', '"x{{domain}}y"', '"\\\\{{domain}}"', '"\\\\\\\\{{obj}}"', '"{{"', '"{{nope}}"',
		'"a{{obj}}"',
	'"{{domain}}{{port}}"', '"' . 'x' x 126 . '"', '"' . 'y' x 5000 . '"', '"{{{domain}}}"', '"{{long}}"', '"{{0}}"',
		'"{{a.b-c}}"');

$fuzz->tell(prepare());
my $documents = 0;
$fuzz->run(\&batch, \&question, sub { return $_[0] });
$fuzz->finish("$documents pairs");

# The lines of a batch.
sub batch {
	$documents += BATCH;
	return [map { join "\t", map { write_json($_) } related() } 1 .. BATCH];
}

# What is asked of them.
sub question {
	my ($rows) = @_;
	return "TRUNCATE raw;\nTRUNCATE batch;\n" . copy_rows('raw', @$rows) . <<'SQL';
INSERT INTO batch (a, b, v, s) SELECT a::jsonb, b::jsonb, v::jsonb, s::jsonb FROM raw;
SELECT regexp_replace(f || '  a=' || left(a::text, 1500) || '  b=' || left(b::text, 1500) || '  v=' || left(v::text,
	800) || '  s=' || left(s::text, 1500), '\n', ' ', 'g')
  FROM batch, pg_temp.check(batch) f;
SQL
}

# Two documents that have something in common, variables and a schema.
sub related {
	my $old = mutate($corpus[rand @corpus]);
	my $new = rand() < 0.7 ? mutate($old) : mutate($corpus[rand @corpus]);
	my $variables = mutate($corpus[rand @corpus]);
	$variables = mutate((grep { $_->[0] eq 'o' && grep { $_->[0] eq 'domain' } @$_[1 .. $#$_] } @corpus)[0]) if rand()
		< 0.6;
	return ($old, $new, $variables, mutate($corpus[rand @corpus]));
}

# A document changed in none to eight places.
sub mutate { return mutate_json($_[0], rand(rand() < 0.5 ? 3 : 9), MAX_LENGTH, \&changed_node) }

sub changed_node {
	my ($node) = @_;
	my $kind = int rand 9;
	return ['s', $scalars[rand @scalars]] if $kind == 0 || ($kind > 4 && $node->[0] eq 's');
	return rand() < 0.5 ? ['o'] : ['a'] if $kind == 1;
	return ['o', [$keys[rand @keys], $node]] if $kind == 2;
	return ['a', ($node) x (1 + rand(rand() < 0.05 ? 200 : 3))] if $kind == 3;
	return piece() if $kind == 4;
	my $child = rand() < 0.6 ? ['s', $scalars[rand @scalars]] : piece();
	my $index = 1 + int rand @$node;
	if ($kind == 5 && @$node > 1) {
		splice @$node, $index % @$node || 1, 1;
	} elsif ($kind == 6 && @$node > 1) {
		@$node = ($node->[0], reverse @$node[1 .. $#$node]);
	} else {
		splice @$node, $index, 0, $node->[0] eq 'o' ? [$keys[rand @keys], $child] : $child;
	}
	return $node;
}

# A subtree of some document of the corpus.
sub piece {
	my $node = $corpus[rand @corpus];
	while ($node->[0] ne 's' && @$node > 1 && rand() < 0.7) {
		my $child = $node->[1 + rand $#$node];
		$node = $node->[0] eq 'o' ? $child->[1] : $child;
	}
	return copy_json($node);
}

# The table of a batch, the same functions in PL/pgSQL, and the one that tries a row.
sub prepare {
	return <<'SQL';
SET client_min_messages = warning;
CREATE TEMP TABLE raw (a text, b text, v text, s text);
CREATE TEMP TABLE batch (id serial, a jsonb, b jsonb, v jsonb, s jsonb);
ALTER TABLE batch ALTER a SET STORAGE extended, ALTER b SET STORAGE external, ALTER v SET STORAGE main;

CREATE FUNCTION pg_temp.merge(a jsonb, b jsonb, removes boolean) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	result jsonb;
	k text;
	x jsonb;
BEGIN
	IF jsonb_typeof(b) <> 'object' THEN RETURN b; END IF;
	result := CASE jsonb_typeof(a) WHEN 'object' THEN a ELSE '{}' END;
	FOR k, x IN SELECT * FROM jsonb_each(b) LOOP
		IF removes AND x = 'null' THEN
			result := result - k;
		ELSE
			result := result || jsonb_build_object(k, pg_temp.merge(result -> k, x, removes));
		END IF;
	END LOOP;
	RETURN result;
END $$;

CREATE FUNCTION pg_temp.leaves(doc jsonb, path text) RETURNS TABLE (p text, x jsonb) LANGUAGE plpgsql AS $$
DECLARE
	k text;
	e jsonb;
	i int;
BEGIN
	IF jsonb_typeof(doc) = 'object' AND doc <> '{}' THEN
		FOR k, e IN SELECT * FROM jsonb_each(doc) LOOP
			RETURN QUERY SELECT * FROM pg_temp.leaves(e, CASE WHEN k ~ '^[A-Za-z_][A-Za-z0-9_]*$' THEN path || '.' || k
				ELSE CASE path WHEN '' THEN '.' ELSE path END || '[' || to_json(k) || ']' END);
		END LOOP;
	ELSIF jsonb_typeof(doc) = 'array' AND doc <> '[]' THEN
		FOR e, i IN SELECT * FROM jsonb_array_elements(doc) WITH ORDINALITY LOOP
			RETURN QUERY SELECT * FROM pg_temp.leaves(e, CASE path WHEN '' THEN '.' ELSE path
				END || '[' || i - 1 || ']');
		END LOOP;
	ELSE
		p := CASE path WHEN '' THEN '.' ELSE path END; x := doc; RETURN NEXT;
	END IF;
END $$;

-- The rows of the diff that are not as they should be; a change of kind is a removal and an addition.
CREATE FUNCTION pg_temp.diff_differs(a jsonb, b jsonb) RETURNS boolean LANGUAGE sql AS $$
	WITH o AS MATERIALIZED (SELECT * FROM pg_temp.leaves(a, '')), n AS MATERIALIZED (SELECT *
		FROM pg_temp.leaves(b, '')),
	want AS (SELECT p, o.x AS old, n.x AS new FROM o FULL JOIN n USING (p) WHERE o.x IS DISTINCT FROM n.x
		-- a root object is there before and after, and no leaf
		AND (p <> '.' OR jsonb_typeof(a) <> 'object' OR jsonb_typeof(b) <> 'object')),
	got AS (SELECT path, old_value, new_value, change FROM promote.jsonb_leaf_diff(a, b))
	SELECT EXISTS ((SELECT p, old, new FROM want) EXCEPT ALL (SELECT path, old_value, new_value FROM got))
		OR EXISTS ((SELECT path, old_value, new_value FROM got) EXCEPT ALL (SELECT p, old, new FROM want))
		OR EXISTS (SELECT FROM got WHERE change <> CASE WHEN old_value IS NULL THEN 'add'
			WHEN new_value IS NULL THEN 'remove' ELSE 'change' END)
$$;

CREATE FUNCTION pg_temp.render_text(t text, v jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	out text := '';
	m text[];
	x jsonb;
BEGIN
	WHILE t <> '' LOOP
		m := regexp_match(t, '^((?:\\\\)*)(\\?)(\{\{)');
		IF m IS NOT NULL THEN
			out := out || repeat('\', length(m[1]) / 2);
			t := substr(t, length(m[1]) + 1);
			IF m[2] <> '' THEN
				out := out || '{{';
				t := substr(t, 4);
				CONTINUE;
			END IF;
			m := regexp_match(t, '^(\{\{ *([A-Za-z_][A-Za-z0-9_.-]*) *\}\})');
			IF m IS NULL OR NOT v ? m[2] OR jsonb_typeof(v -> m[2]) IN ('object', 'array', 'null') THEN
				RAISE EXCEPTION 'bad placeholder' USING ERRCODE = 'PM105';
			END IF;
			out := out || (v ->> m[2]);
			t := substr(t, length(m[1]) + 1);
		ELSE
			m := regexp_match(t, '^(\\+|[^\\])');
			out := out || m[1];
			t := substr(t, length(m[1]) + 1);
		END IF;
	END LOOP;
	RETURN out;
END $$;

CREATE FUNCTION pg_temp.render(doc jsonb, v jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	m text[];
BEGIN
	CASE jsonb_typeof(doc)
	WHEN 'object' THEN
		RETURN coalesce((SELECT jsonb_object_agg(key, pg_temp.render(value, v)) FROM jsonb_each(doc)), '{}');
	WHEN 'array' THEN
		RETURN coalesce((SELECT jsonb_agg(pg_temp.render(value, v) ORDER BY ordinality)
			FROM jsonb_array_elements(doc) WITH ORDINALITY), '[]');
	WHEN 'string' THEN
		IF strpos(doc #>> '{}', '{{') = 0 THEN RETURN doc; END IF;
		m := regexp_match(doc #>> '{}', '^\{\{ *([A-Za-z_][A-Za-z0-9_.-]*) *\}\}$');
		IF m IS NULL THEN RETURN to_jsonb(pg_temp.render_text(doc #>> '{}', v)); END IF;
		IF NOT v ? m[1] THEN RAISE EXCEPTION 'missing' USING ERRCODE = 'PM105'; END IF;
		RETURN v -> m[1];
	ELSE
		RETURN doc;
	END CASE;
END $$;

-- Runs an expression; its result as text, or the SQLSTATE.  A refusal of ours has detail and hint.
CREATE FUNCTION pg_temp.try(expression text, r record, OUT result jsonb, OUT state text) LANGUAGE plpgsql AS $$
DECLARE
	facts text;
	advice text;
	message text;
BEGIN
	EXECUTE 'SELECT to_jsonb(' || expression || ') FROM batch WHERE id = $1' INTO result USING r.id;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, facts = PG_EXCEPTION_DETAIL,
		advice = PG_EXCEPTION_HINT;
	IF state LIKE 'PM%' AND expression LIKE 'promote.%' AND (facts = '' OR advice = '')
		OR state NOT LIKE 'PM%' AND state NOT IN ('54001', '54000', '22023') THEN
		state := state || ' ' || message || ' / ' || facts || ' / ' || advice;
	END IF;
END $$;

CREATE FUNCTION pg_temp.check(r record) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	pair text[];
	x record;
	y record;
	params boolean := jsonb_typeof(r.a) = 'object' AND jsonb_typeof(r.b) = 'object';
BEGIN
	FOREACH pair SLICE 1 IN ARRAY ARRAY[
		['promote.jsonb_deep_merge(a, b)', 'pg_temp.merge(a, b, false)'],
		['promote.jsonb_merge_patch(a, b)', 'pg_temp.merge(a, b, true)'],
		['promote.jsonb_deep_merge(a, a)', 'a'],
		['promote.jsonb_canonical(a)::jsonb', 'a'],
		['promote.jsonb_canonical(a)', 'promote.jsonb_canonical(promote.jsonb_canonical(a)::jsonb)'],
		['promote.jsonb_digest(b)', 'sha256(convert_to(promote.jsonb_canonical(b), ''UTF8''))'],
		['promote.jsonb_digest(a) = promote.jsonb_digest(b)', 'a = b'],
		['pg_temp.diff_differs(a, b)', 'false'],
		['promote.jsonb_leaf_diff(a, a)', 'null::int'],
		['promote.jsonb_render(a, v)', 'pg_temp.render(a, v)'],
		['promote.compose_params(a, b, ''{}'')', 'a'],
		['promote.compose_params(a, b, ''{"$md.copyable": false}'')', 'b'],
		['promote.jsonb_filter_copyable(a, ''{}'')', 'a'],
		['promote.compose_params(a, a, s)', 'a'],
		['promote.check_params(a)', 'true'],
		['length(promote.format_diff(a)) > 0', 'true'],
		['promote.audit_hash(''p'', ''s'', 1, ''epoch'', ''a'', ''r'', ''e'', a, null, null)',
		 'promote.jsonb_digest(jsonb_build_object(''project'', ''p'', ''subject'', ''s'', ''seq'', '
		 	'1, ''at'', ''1970-01-01T00:00:00.000000Z'', ''actor'', ''a'', ''database_role'', ''r'', ''even'
		 	't'', ''e'', ''data'', a, ''rows'', null, ''previous_hash'', null))'],
		['promote_internal.audit_facts(row(a, b))',
			'jsonb_build_object(''f1'', encode(promote.jsonb_digest(a), ''hex''), ''f2'', '
			'encode(promote.jsonb_digest(b), ''hex''))']
	] LOOP
		CONTINUE WHEN pair[1] ~ 'compose_params' AND NOT params;
		x := pg_temp.try(pair[1], r);
		CONTINUE WHEN x.state ~ '^(54001|54000|22023|PM101|PM102|PM105|PM106|PM404)$';
		IF x.state IS NOT NULL THEN
			RETURN NEXT pair[1] || ': ' || x.state;
			CONTINUE;
		END IF;
		y := pg_temp.try(pair[2], r);
		IF y.state IS NOT NULL AND y.state <> '54001' OR x.result IS DISTINCT FROM y.result AND y.state IS NULL THEN
			RETURN NEXT pair[1] || ' is ' || left(x.result::text, 300) || ' but ' || pair[2] || ' '
				|| left(coalesce(y.state, y.result::text), 300);
		END IF;
	END LOOP;
END $$;
SQL
}

