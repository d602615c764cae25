#!/usr/bin/perl
#
# plan.pl: feeds mutated plans to plan_document_changes.
#
# usage: plan.pl [seconds [seed]]
#
# Mutates the plans in the directory plan/ beside this file and reads each one
# with params of which some are secret, through one psql session.  The
# connection is taken from the usual PG* variables; the database must have the
# extension.  Prints one summary line.  A finding, with exit status 1, is
#
#   - an SQLSTATE other than those that are expected,
#   - a refusal of class PM without DETAIL or HINT, or that shows a secret,
#   - a secret of the params, or a value that the plan notes as sensitive, in
#     what is shown,
#   - leaves other than those of jsonb_leaf_diff, where all of a change is
#     known,
#   - a value shown that is not the plan's, or an unknown one that is shown,
#   - rows that cannot be written as text, or a text with control characters,
#   - a lost connection, after which the batch is left in a file.
#
use strict;
use warnings;
no warnings 'recursion';
use FindBin;
use lib "$FindBin::Bin/lib";
use Fuzz qw(parse_json write_json copy_json copy_rows mutate_json);

use constant BATCH => 100;
use constant MAX_LENGTH => 20000;

my $fuzz = Fuzz->new(name => 'plan', kept => 'a plan and secrets on each line');
my @corpus = map { parse_json($_) } $fuzz->corpus('plan');
my @keys = ('', 'a', 'b', 'k', 'id', 'tags', 'address', 'change', 'actions', 'before', 'after', 'after_unknown',
	'before_sensitive',
	'after_sensitive', 'replace_paths', 'resource_change', 'mode', 'type', 'deposed', 'index', 'swordfish', 'abc',
		'a b', 'é', '\\"', '\\u0007', 'k' x 130);
my @scalars = ('null', 'true', 'true', 'true', 'false', '0', '1', '1.0', '4711', '4711.0', '1234', '-1', '1e3',
	'12345678901234567890.10', '9' x 300, '1e-40',
	'""', '"a"', '"abc"', '"abcd"', '"swordfish"', '"a swordfish"', '"carp"', '"sturgeon"', '"tuna-4711"', '"4711"',
		'"1234"', '"é"', '"\\u001b[31m"', '"\\""',
	'"(sensitive value)"', '"(known after apply)"', '"managed"', '"data"', '"' . 'x' x 3000 . '"',
		map { "\"$_\"" } qw(no-op create read update delete forget));
my @actions = map { parse_json($_) } ('["no-op"]', '["create"]', '["read"]', '["update"]', '["delete"]', '["forget"]',
	'["delete","create"]', '["create","delete"]');
# No word of the format, nor of what stands for values, so that finding one tells of a leak.
my @secrets = map { parse_json($_) } ('"swordfish"', '"abc"', '"carp"', '4711', '"tuna-4711"',
	'["1234", {"k": "a swordfish"}]', '{"a": 1234.0}', '"sword\\"fish"', 'true', 'null', '""', '"é"');

$fuzz->tell(prepare());
my $documents = 0;
$fuzz->run(\&batch, \&question, sub { return $_[0] });
$fuzz->finish("$documents plans");

# The lines of a batch.
sub batch {
	$documents += BATCH;
	return [map { join "\t", write_json(mutate($corpus[rand @corpus])),
		write_json(['a', map { $secrets[rand @secrets] } 1 .. rand 4]) } 1 .. BATCH];
}

# What is asked of them.
sub question {
	my ($rows) = @_;
	return "TRUNCATE raw;\nTRUNCATE batch;\n" . copy_rows('raw', @$rows) . <<'SQL';
INSERT INTO batch (plan, secrets) SELECT plan::jsonb, secrets::jsonb FROM raw;
SELECT regexp_replace(f || '  secrets=' || secrets::text || '  plan=' || left(plan::text, 3000), '\n', ' ', 'g')
	FROM batch, pg_temp.check(batch) f;
SQL
}

# A plan changed in none to twelve places.
sub mutate { return mutate_json($_[0], rand(rand() < 0.5 ? 4 : 13), MAX_LENGTH, \&changed_node) }

sub changed_node {
	my ($node) = @_;
	my $kind = int rand 10;
	return copy_json($actions[rand @actions]) if $node->[0] eq 'a' && @$node > 1 && $node->[1][0] eq 's'
		&& $node->[1][1] =~ /^"(?:create|delete|update|no-op|read|forget)"$/ && rand() < 0.7;
	return ['s', $scalars[rand @scalars]] if $kind == 0 || ($kind > 4 && $node->[0] eq 's');
	return rand() < 0.5 ? ['o'] : ['a'] if $kind == 1 && rand() < 0.5;
	return ['o', [$keys[rand @keys], $node]] if $kind == 2 && rand() < 0.5;
	return ['a', map { copy_json($node) } 0 .. rand 3] if $kind == 3 && rand() < 0.5;
	return piece() if $kind == 4;
	my $child = rand() < 0.6 ? ['s', $scalars[rand @scalars]] : piece();
	my $index = 1 + int rand @$node;
	if ($node->[0] eq 's') {
		return ['s', $scalars[rand @scalars]];
	} elsif ($kind == 5 && @$node > 1) {
		splice @$node, $index % @$node || 1, 1;
	} elsif ($kind == 6 && @$node > 1) {
		push @$node, copy_json($node->[1 + rand $#$node]) if $node->[0] eq 'a';
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

# The table of a batch, and what checks a row.
sub prepare {
	return <<'SQL';
SET client_min_messages = warning;
CREATE TEMP TABLE raw (plan text, secrets text);
CREATE TEMP TABLE batch (id serial, plan jsonb, secrets jsonb);
ALTER TABLE batch ALTER plan SET STORAGE extended;

-- All strings in a value.
CREATE FUNCTION pg_temp.strings(value jsonb) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT s #>> '{}' FROM jsonb_path_query(value, 'strict $.** ? (@.type() == "string")') AS s
$$;
-- Those at places that a note says to be sensitive.
CREATE FUNCTION pg_temp.noted(doc jsonb, note jsonb) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	IF jsonb_typeof(note) = 'object' AND jsonb_typeof(doc) = 'object' THEN
		RETURN QUERY SELECT s FROM jsonb_each(note) AS n, pg_temp.noted(doc -> n.key, n.value) AS s WHERE doc ? n.key;
	ELSIF jsonb_typeof(note) = 'array' AND jsonb_typeof(doc) = 'array' THEN
		RETURN QUERY SELECT s FROM jsonb_array_elements(note) WITH ORDINALITY AS n,
			pg_temp.noted(doc -> (n.ordinality - 1)::integer, n.value) AS s
			WHERE n.ordinality <= jsonb_array_length(doc);
	ELSIF EXISTS (SELECT FROM jsonb_path_query(note,
		'strict $.** ? (@.type() == "string" || @.type() == "number" || @ == true)')) THEN
		RETURN QUERY SELECT pg_temp.strings(doc);
	END IF;
END
$$;
-- The changes of a plan in their order, as they are in it.
CREATE FUNCTION pg_temp.changes(plan jsonb) RETURNS TABLE (number bigint, change jsonb) LANGUAGE sql AS $$
	SELECT row_number() OVER (ORDER BY part, n), c FROM (
		SELECT 1 AS part, ordinality AS n, value -> 'change' AS c
			FROM jsonb_array_elements(COALESCE(NULLIF(plan -> 'resource_changes', 'null'), '[]')) WITH ORDINALITY
		UNION ALL SELECT 2, ordinality, value -> 'change'
			FROM jsonb_array_elements(COALESCE(NULLIF(plan -> 'resource_drift', 'null'), '[]')) WITH ORDINALITY
		UNION ALL SELECT 3, ordinality, value -> 'resource_change' -> 'change'
			FROM jsonb_array_elements(COALESCE(NULLIF(plan -> 'deferred_changes', 'null'), '[]')) WITH ORDINALITY) AS x
$$;
-- A path without its indexes, which are no values.
CREATE FUNCTION pg_temp.keys(path text) RETURNS text
	LANGUAGE sql AS $$ SELECT regexp_replace(path, '\[\d+\]', '[]', 'g') $$;
CREATE FUNCTION pg_temp.whole(side jsonb) RETURNS jsonb
	LANGUAGE sql AS $$ SELECT COALESCE(NULLIF(side, 'null'), '{}') $$;
-- Does a leaf show a secret?  Numbers are secret as a whole.
CREATE FUNCTION pg_temp.shows(leaf jsonb, secret text) RETURNS boolean LANGUAGE sql AS $$
	SELECT COALESCE(bool_or(side #>> '{}' = secret OR jsonb_typeof(side) = 'string' AND octet_length(secret) >= 4
		AND strpos(side #>> '{}', secret) > 0), false)
	  FROM unnest(ARRAY[CASE WHEN NOT leaf ? 'sensitive' THEN leaf -> 'old' END, CASE WHEN NOT leaf ? 'sensitive'
	  	AND NOT leaf ? 'unknown' THEN leaf -> 'new' END]) AS side
$$;

CREATE FUNCTION pg_temp.check_rows(b batch) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	r record;
	leaf jsonb;
	secret text;
	is_masked boolean;
	noted text[];
	written text;
BEGIN
	CREATE TEMP TABLE found AS SELECT c.*, NULL::jsonb AS source
		FROM promote.plan_document_changes(b.plan, jsonb_build_object('s', b.secrets),
		'{"properties": {"s": {"$md.sensitive": true}}}') AS c;
	UPDATE found AS f SET source = x.change FROM pg_temp.changes(b.plan) AS x WHERE x.number = f.change;
	noted := ARRAY(SELECT DISTINCT s FROM pg_temp.changes(b.plan) AS x,
		LATERAL (SELECT pg_temp.noted(x.change -> 'before', x.change -> 'before_sensitive') UNION
			SELECT pg_temp.noted(x.change -> 'after', x.change -> 'after_sensitive')) AS n (s) WHERE length(s) >= 4);
	FOR r IN SELECT * FROM found LOOP
		FOR leaf IN SELECT jsonb_array_elements(r.diff) LOOP
			-- secrets of the params
			FOR secret IN SELECT s FROM pg_temp.strings(b.secrets) AS s WHERE s <> '' LOOP
				IF pg_temp.shows(leaf, secret) OR octet_length(secret) >= 4 AND strpos(pg_temp.keys(leaf ->> 'path'),
					secret) > 0 THEN
					RETURN NEXT format('plan_document_changes(): shows the secret %s in %s', secret, leaf);
				END IF;
			END LOOP;
			-- what the plan notes
			IF leaf ->> 'old' = ANY (noted) AND NOT leaf ? 'sensitive' AND jsonb_typeof(leaf -> 'old') = 'string' THEN
				RETURN NEXT format('plan_document_changes(): shows what is noted in %s', leaf);
			END IF;
			IF leaf ->> 'new' = ANY (noted) AND NOT leaf ? 'sensitive' AND NOT leaf ? 'unknown'
				AND jsonb_typeof(leaf -> 'new') = 'string' THEN
				RETURN NEXT format('plan_document_changes(): shows what is noted in %s', leaf);
			END IF;
			-- values are the plan's
			CONTINUE WHEN strpos(leaf ->> 'path', '(sensitive value)') > 0;
			IF NOT leaf ? 'sensitive' AND leaf ? 'old' AND promote.jsonb_at_path(pg_temp.whole(r.source -> 'before'),
				leaf ->> 'path') IS DISTINCT FROM leaf -> 'old' THEN
				RETURN NEXT format('plan_document_changes(): old is not the plan''s: %s', leaf);
			END IF;
			IF leaf ? 'unknown' AND leaf ->> 'new' <> '(known after apply)' THEN
				RETURN NEXT format('plan_document_changes(): an unknown value is shown: %s', leaf);
			END IF;
		END LOOP;
		FOR secret IN SELECT s FROM pg_temp.strings(b.secrets) AS s WHERE octet_length(s) >= 4 LOOP
			IF strpos(concat_ws(' ', r.address, r.previous_address, r.deposed, r.action_reason,
				pg_temp.keys(array_to_string(r.replace_paths, ' '))), secret) > 0 THEN
				RETURN NEXT format('plan_document_changes(): shows the secret %s in %s', secret, r.address);
			END IF;
		END LOOP;
		-- of what is known the leaves are those of a plain diff
		is_masked := strpos(r.diff::text, '(sensitive value)') > 0;
		IF NOT is_masked AND NOT COALESCE(r.source -> 'after_unknown',
			'false') @? 'strict $.** ? (@.type() == "string" || @.type() == "number" || @ == true)' THEN
			IF ARRAY(SELECT (l ->> 'path', l ->> 'change', l -> 'old', l -> 'new')::text
				FROM jsonb_array_elements(r.diff) AS l)
			   <> ARRAY(SELECT (path, change, old_value, new_value)::text
			   	FROM promote.jsonb_leaf_diff(pg_temp.whole(r.source -> 'before'),
			   	pg_temp.whole(r.source -> 'after'))) THEN
				RETURN NEXT format('plan_document_changes(): other leaves: %s', r.diff);
			END IF;
		END IF;
	END LOOP;
	SELECT promote.format_plan_changes(COALESCE(jsonb_agg(to_jsonb(f) - 'source' ORDER BY change), '[]')) INTO written
		FROM found AS f;
	IF translate(written, E'\n', '') ~ '[[:cntrl:]]' THEN
		RETURN NEXT 'format_plan_changes(): control characters';
	END IF;
	DROP TABLE found;
END
$$;

CREATE FUNCTION pg_temp.check(b batch) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	state text;
	message text;
	detail text;
	hint text;
	context text;
	secret text;
BEGIN
	RETURN QUERY SELECT pg_temp.check_rows(b);
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
		hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
	IF state NOT IN ('PM506', 'PM102', '54001') THEN
		RETURN NEXT format('plan_document_changes(): %s %s %s %s', state, message, detail, context);
	ELSIF state LIKE 'PM%' AND (detail = '' OR hint = '') THEN
		RETURN NEXT format('plan_document_changes(): %s without detail or hint', state);
	END IF;
	FOR secret IN SELECT s FROM pg_temp.strings(b.secrets) AS s WHERE octet_length(s) >= 4 LOOP
		IF strpos(concat(message, detail, hint), secret) > 0 THEN
			RETURN NEXT format('plan_document_changes(): a refusal shows the secret %s: %s', secret, detail);
		END IF;
	END LOOP;
END
$$;
SQL
}
