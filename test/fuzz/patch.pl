#!/usr/bin/perl
#
# patch.pl: patches random documents and compares with what the same operations make of a tree.
#
# usage: patch.pl [seconds [seed]]
#
# Makes random documents and JSON Patches whose operations mostly fit, and carries the operations out here, too.  The
# connection is taken from the usual PG* variables; the database must have the extension.  Prints one summary line.
# A finding, with exit status 1, is
#
#   - a result other than the tree's, or a refusal of another operation than the one that does not fit,
#   - two documents whose patch does not make one of the other, as JSON Patch or as JSON Merge Patch,
#   - a merge patch that is refused where there is no null to set,
#   - a result that has other bytes than those that PostgreSQL makes,
#   - any other error, a refusal without DETAIL or HINT, or a lost connection.
#
use strict;
use warnings;
no warnings 'recursion';
use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../t/lib";
use Fuzz qw(pick copy_rows);
use RandomJson;

use constant BATCH => 200;
use constant LARGE => 30000;    # spelled; what is larger is not copied

my $fuzz = Fuzz->new(name => 'patch', kept => 'a document, a patch, its result and another document on each line');
my ($patches, $operations, $misfits) = (0, 0, 0);
$fuzz->tell(prepare());
$fuzz->run(\&batch, \&question, sub { return $_[0] });
$fuzz->finish("$patches patches of $operations operations, $misfits of which do not fit");

sub batch {
	$patches += BATCH;
	return [map { join "\t", example() } 1 .. BATCH];
}

# ---- documents and patches ----

sub bytes {
	my ($text) = @_;
	utf8::encode($text);
	return $text;
}

sub copy {
	my ($tree) = @_;
	return ref $tree ? [map { copy($_) } @$tree] : $tree;
}

# A string as a tree.
sub string { return [s => split //, $_[0]] }

# The columns of a row: document, patch, the result or '' if an operation does not fit, its number, another document.
sub example {
	my $document = RandomJson::document(5);
	my $other = rand() < 0.3 ? RandomJson::document(5) : $document;
	$other = RandomJson::changed($other) for 1 .. rand 6;
	my $tree = copy($document);
	my (@patch, $misfit);
	for my $number (0 .. rand(rand() < 0.1 ? 200 : 12)) {
		my ($operation, $root);
		for (1 .. pick(1, 5, 5, 5)) {
			$operation = operation($tree);
			$root = apply(copy($tree), $operation);
			last if defined $root;
		}
		push @patch, spell_operation($operation);
		$operations++;
		if (!defined $root) {
			$misfits++;
			$misfit = $number;
			last;
		}
		$tree = $root;
	}
	return map { bytes($_) } RandomJson::spell($document), '[' . join(',', @patch) . ']',
		defined $misfit ? '' : RandomJson::spell($tree), $misfit // -1,
	  RandomJson::spell($other);
}

# An operation, as a hash; its pointers are lists of tokens.
sub operation {
	my ($tree) = @_;
	my %operation = (op => pick(qw(add add remove replace move copy test)), path => place($tree), from => place($tree),
		value => RandomJson::document(2));
	if ($operation{op} eq 'add' || $operation{op} eq 'copy' || $operation{op} eq 'move') {
		my $above = find($tree, @{ $operation{path} });
		push @{ $operation{path} }, new_token($above) if defined $above && $above->[0] =~ /^[ao]$/ && rand() < 0.8;
	}
	if ($operation{op} eq 'test') {
		my $found = find($tree, @{ $operation{path} });
		$operation{value} = rand() < 0.97 ? copy($found) : RandomJson::changed($found) if defined $found;
	}
	my $copied = $operation{op} eq 'copy' ? find($tree, @{ $operation{from} }) : undef;
	$operation{op} = 'move' if defined $copied && length(RandomJson::spell($tree)) + length(RandomJson::spell($copied))
		> LARGE;
	return \%operation;
}

# The tokens of a place that is mostly there.
sub place {
	my ($tree) = @_;
	my @tokens;
	while ($tree->[0] =~ /^[ao]$/ && @$tree > 1 && rand() < (@tokens ? 0.6 : 0.97)) {
		my $index = 1 + int rand $#$tree;
		my $token = $tree->[0] eq 'a' ? $index - 1 : join '', @{ $tree->[$index][0] }[1 .. $#{ $tree->[$index][0] }];
		push @tokens, $token;
		$tree = $tree->[0] eq 'a' ? $tree->[$index] : $tree->[$index][1];
	}
	push @tokens, new_token($tree) if rand() < 0.01;
	return \@tokens;
}

# A token that leads, mostly, to a new child.
sub new_token {
	my ($tree) = @_;
	return pick('', '-', '0', '00', '01', '-1', '+1', ' 1', '1e0', '1.0', '99', '4294967296', '18446744073709551617',
		'~', '/', '~1', 'é', 'k' x 130) if rand() < 0.05;
	return pick('-', int rand @$tree) if $tree->[0] eq 'a';
	return pick('a', 'bb', 'a/b', 'm~n', '~0', '~1', '', '-', '0', "\x{1F600}", 'x' x 40);
}

sub pointer {
	my ($tokens) = @_;
	return RandomJson::spell(string(join '', map { '/' . s/~/~0/gr =~ s/\//~1/gr } @$tokens));
}

sub spell_operation {
	my ($operation) = @_;
	my @members = ('"op":"' . $operation->{op} . '"', '"path":' . pointer($operation->{path}));
	push @members, '"value":' . RandomJson::spell($operation->{value}) if $operation->{op} =~ /^(add|replace|test)$/
		|| rand() < 0.1;
	push @members, '"from":' . pointer($operation->{from}) if $operation->{op} =~ /^(move|copy)$/ || rand() < 0.1;
	return '{' . join(',', sort { rand() <=> 0.5 } @members) . '}';
}

# ---- the same operations on a tree ----

# A text that is the same for equal trees.
sub canonical {
	my ($tree) = @_;
	my ($kind, @rest) = @$tree;
	return "$kind(" . join(';', map { canonical($_) } @rest) . ')' if $kind eq 'a';
	return "$kind(" . join(';', sort map { RandomJson::spell_plain($_->[0]) . ':' . canonical($_->[1]) } @rest)
		. ')' if $kind eq 'o';
	return 's' . RandomJson::spell_plain($tree) if $kind eq 's';
	return $rest[0] if $kind eq 'l';
	my ($sign, $digits, $exponent) = @rest;
	$digits =~ s/^0+//;
	$exponent += length $1 if $digits =~ s/(0+)$//;
	return $digits eq '' ? 'n0' : "n$sign${digits}e$exponent";
}

# Where a token leads: the position in the tree's list, and whether there is something.
sub position {
	my ($tree, $token) = @_;
	if ($tree->[0] eq 'o') {
		my ($at) = grep { RandomJson::spell_plain($tree->[$_][0])
			eq RandomJson::spell_plain(string($token)) } 1 .. $#$tree;
		return defined $at ? ($at, 1) : (scalar @$tree, 0);
	}
	return if $tree->[0] ne 'a';
	return (scalar @$tree, 0) if $token eq '-';
	return if $token !~ /^(0|[1-9][0-9]{0,8})$/ || $token > $#$tree;
	return ($token + 1, $token < $#$tree);
}

# The tree at a place, or undef.
sub find {
	my ($tree, @tokens) = @_;
	for my $token (@tokens) {
		my ($at, $taken) = position($tree, $token);
		return if !$taken;
		$tree = $tree->[0] eq 'a' ? $tree->[$at] : $tree->[$at][1];
	}
	return $tree;
}

# Put a value at a place; the root, or undef if there is no such place.
sub add {
	my ($root, $value, @tokens) = @_;
	return $value if !@tokens;
	my $token = pop @tokens;
	my $tree = find($root, @tokens) // return;
	my ($at, $taken) = position($tree, $token);
	return if !defined $at;
	if ($tree->[0] eq 'a') { splice @$tree, $at, 0, $value }
	elsif ($taken) { $tree->[$at][1] = $value }
	else { push @$tree, [string($token), $value] }
	return $root;
}

# Take the value at a place away, which is not the root; false if there is none.
sub remove {
	my ($root, @tokens) = @_;
	my $token = pop @tokens;
	my $tree = find($root, @tokens) // return 0;
	my ($at, $taken) = position($tree, $token);
	splice @$tree, $at, 1 if $taken;
	return $taken;
}

# The root after an operation, or undef if it does not fit.
sub apply {
	my ($root, $operation) = @_;
	my @path = @{ $operation->{path} };
	my @from = @{ $operation->{from} };
	my $op = $operation->{op};
	return add($root, copy($operation->{value}), @path) if $op eq 'add';
	return @path && remove($root, @path) ? $root : undef if $op eq 'remove';
	my $found = find($root, $op =~ /^(move|copy)$/ ? @from : @path) // return;
	return canonical($found) eq canonical($operation->{value}) ? $root : undef if $op eq 'test';
	return add($root, copy($found), @path) if $op eq 'copy';
	if ($op eq 'replace') {
		return copy($operation->{value}) if !@path;
		splice @$found, 0, scalar @$found, @{ copy($operation->{value}) };
		return $root;
	}
	my ($old, $new) = map { join '', map { "/$_" } map { s/~/~0/gr =~ s/\//~1/gr } @$_ } \@from, \@path;
	return $root if $old eq $new;
	return if index("$new/", "$old/") == 0;
	remove($root, @from);
	return add($root, $found, @path);
}

# ---- the database ----

sub prepare {
	return <<'SQL';
SET client_encoding = 'UTF8';
SET client_min_messages = warning;
CREATE TEMP TABLE raw (id serial, document text, patch text, result text, misfit int, other text);
CREATE TEMP TABLE batch (id int, document jsonb, patch jsonb, result jsonb, misfit int, other jsonb);
ALTER TABLE batch ALTER document SET STORAGE extended, ALTER patch SET STORAGE external, ALTER other SET STORAGE main;

CREATE FUNCTION pg_temp.own_bytes(document jsonb) RETURNS boolean LANGUAGE sql AS $$
	SELECT a OPERATOR (pg_catalog.*=) b FROM (SELECT document) AS a, (SELECT document::text::jsonb) AS b
$$;

-- The result of an expression over the row; or the SQLSTATE, and the detail.
CREATE FUNCTION pg_temp.try(expression text, r record, OUT result jsonb, OUT state text, OUT detail text)
	LANGUAGE plpgsql AS $$
DECLARE
	message text;
	advice text;
BEGIN
	EXECUTE 'SELECT ' || expression || ' FROM batch WHERE id = $1' INTO result USING r.id;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
		advice = PG_EXCEPTION_HINT;
	IF state <> 'PM108' OR detail = '' OR advice = '' THEN
		state := state || ' ' || message || ' / ' || detail || ' / ' || advice;
	END IF;
END $$;

-- Would a merge patch have to set a null?
CREATE FUNCTION pg_temp.has_null(a jsonb, b jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF b = 'null' THEN RETURN a IS DISTINCT FROM b; END IF;
	RETURN jsonb_typeof(b) = 'object' AND EXISTS (
		SELECT FROM jsonb_each(b) WHERE pg_temp.has_null(CASE jsonb_typeof(a) WHEN 'object' THEN a -> key END, value));
END $$;

CREATE FUNCTION pg_temp.check(r record) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	x record;
	a jsonb;
BEGIN
	x := pg_temp.try('promote.jsonb_apply_patch(document, patch)', r);
	IF r.misfit >= 0 AND (x.state IS DISTINCT FROM 'PM108' OR x.detail !~ format('^Operation %s[ :]', r.misfit)) THEN
		RETURN NEXT format('apply(misfit %s): %s %s', r.misfit, x.state, x.detail);
	ELSIF r.misfit < 0 AND (x.result IS DISTINCT FROM r.result OR pg_temp.own_bytes(x.result) IS NOT TRUE) THEN
		RETURN NEXT format('apply(patch): %s %s %s instead of %s', x.state, x.detail, left(x.result::text, 500),
			left(r.result::text, 500));
	END IF;
	FOREACH a IN ARRAY ARRAY[r.document, r.result] LOOP
		CONTINUE WHEN a IS NULL;
		x := pg_temp.try(format('promote.jsonb_diff_patch(%L, other)', a), r);
		IF x.state IS NOT NULL OR pg_temp.own_bytes(x.result) IS NOT TRUE OR (x.result = '[]') <> (a = r.other) THEN
			RETURN NEXT format('diff(a, b): %s %s %s', x.state, x.detail, left(x.result::text, 500));
			CONTINUE;
		END IF;
		x := pg_temp.try(format('promote.jsonb_apply_patch(%L, %L)', a, x.result), r);
		IF x.result IS DISTINCT FROM r.other THEN
			RETURN NEXT format('apply(diff): %s %s %s', x.state, x.detail, left(x.result::text, 500));
		END IF;
		x := pg_temp.try(format('promote.jsonb_merge_diff(%L, other)', a), r);
		IF x.state IS DISTINCT FROM (CASE WHEN r.other <> 'null' AND pg_temp.has_null(a, r.other) THEN 'PM108' END)
			OR x.state IS NULL AND (pg_temp.own_bytes(x.result) IS NOT TRUE OR promote.jsonb_merge_patch(a, x.result)
				<> r.other) THEN
			RETURN NEXT format('merge(diff): %s %s %s', x.state, x.detail, left(x.result::text, 500));
		END IF;
	END LOOP;
END $$;
SQL
}

sub question {
	my ($rows) = @_;
	return "TRUNCATE raw RESTART IDENTITY;\nTRUNCATE batch;\n"
		. copy_rows('raw (document, patch, result, misfit, other)', @$rows) . <<'SQL';
INSERT INTO batch SELECT id, document::jsonb, patch::jsonb, NULLIF(result, '')::jsonb, misfit, other::jsonb FROM raw;
SELECT regexp_replace(f || '  document=' || left(document::text, 1500) || '  patch=' || left(patch::text, 3000)
	|| '  other=' || left(other::text, 1500), '\n', ' ', 'g')
  FROM batch, pg_temp.check(batch) f;
SQL
}
