#!/usr/bin/perl
#
# document.pl: applies random documents of a project to one that is there.
#
# usage: document.pl [seconds [seed]]
#
# The documents of test/fuzz/document are changed at random: keys and elements go, come twice, become something else,
# and get names of other things, masks, nesting and length. Each is applied, with prune or without, to what one of them
# has made, by a dry run and for real. The connection is taken from the usual PG* variables; the database must have the
# extension, and nothing stays in it but a role, fuzz_role. Prints one summary line. A finding, with exit status 1, is
#
#   - a refusal that is neither promote's nor of a value that a type does not have,
#   - a dry run that writes, or says anything else than applying does,
#   - a document that is refused, and leaves a row,
#   - a document that is applied again, and is not kept,
#   - an export that is not kept when it is applied, or that differs after that,
#   - a lost connection.
#
use strict;
use warnings;
no warnings 'recursion';
use FindBin;
use lib "$FindBin::Bin/lib";
use Fuzz qw(pick parse_json write_json mutate_json copy_rows);

use constant BATCH => 10;

my $fuzz = Fuzz->new(name => 'document', kept => 'whether it prunes, and a document, on each line');
my @texts = map { s/\s*\n\s*//gr } $fuzz->corpus('document');
my @corpus = map { parse_json($_) } @texts;
my ($whole) = grep { /approval_rules/ && !/sensitive value/ } @texts;
my @names = map { "\"$_\"" } qw(fuzzed other production staging west nowhere db web cache fuzz_db fuzz_web fuzz_role two
	up freeze PM 1.0.0 ~1 latest ~1+dev P1D urn:a), '', ' ', '*', '(sensitive value)', '{{domain}}', '{{', 'a-b', 'Ä',
		'\\u0001',
	'x' x 64, 'y' x 3000;
my @scalars = (@names, qw(null true false 0 -1 1 2 1.0 1.50 1e400 -0.0 2147483648 99999999999999999999));
my ($documents, $applied) = (0, 0);
$fuzz->tell(prepare());
$fuzz->run(\&batch, \&question, sub { $_[0] =~ /^(\d+) applied$/ ? do { $applied += $1; undef } : $_[0] });
$fuzz->finish("$documents documents, $applied of them applied");

# ---- documents ----

sub batch {
	$documents += BATCH;
	return [map { (rand() < 0.5 ? 't' : 'f') . "\t" . write_json(mutate_json(pick(@corpus), int(rand 4), 40000,
		\&changed)) }
		1 .. BATCH];
}

# Something else in the place of a node.
sub changed {
	my ($node) = @_;
	my ($kind, @children) = @$node;
	my $what = rand;
	return ['s', pick(@scalars)] if $what < 0.15;
	return ['s', pick(@names)] if $kind eq 's' && $what < 0.7;
	return nested($node) if $what < 0.2;
	return pick(['o'], ['a'], ['a', $node], ['o', ['a', $node]]) if $what < 0.25;
	return $node if $kind eq 's' || !@children;
	my $at = int rand @children;
	splice @children, $at, 1 if $what < 0.5;
	splice @children, $at, 0, $children[rand @children] if $what >= 0.5 && $what < 0.65;
	push @children, $kind eq 'o' ? [pick(keys_of()), ['s', pick(@scalars)]] : ['s', pick(@scalars)] if $what >= 0.65
		&& $what < 0.75;
	@children = reverse @children if $what >= 0.75 && $what < 0.8;
	# a value of one key under another, or of one element in another
	($children[$at], $children[0]) = $kind eq 'a' ? @children[0, $at]
		: ([$children[$at][0], $children[0][1]], [$children[0][0], $children[$at][1]]) if $what >= 0.8;
	return [$kind, @children];
}

# A node deep within others.
sub nested {
	my ($node) = @_;
	$node = rand() < 0.5 ? ['a', $node] : ['o', ['n', $node]] for 1 .. pick(5, 50, 300);
	return $node;
}

sub keys_of {
	return qw(version project environment component params sensitive parameters attributes selector name rule function
		policy policies instances zzz description quorum remote_references secrets $schema);
}

# ---- asking ----

sub question {
	my ($rows) = @_;
	return "BEGIN;\n" . copy_rows('batch', @$rows) . <<"SQL";
SELECT count(*) FROM promote.apply_document(\$d\$$whole\$d\$) \\g /dev/null
INSERT INTO told SELECT v.* FROM batch AS b CROSS JOIN LATERAL pg_temp.tried(b.document, b.prune) AS v;
SELECT format('document(%s): %s', left(document, 3000), finding) FROM told WHERE finding IS NOT NULL;
SELECT count(*) || ' applied' FROM told WHERE applied;
ROLLBACK;
SQL
}

sub prepare {
	return <<'SQL';
SET client_min_messages = error;
SET statement_timeout = '120s';
DO $$ BEGIN CREATE ROLE fuzz_role; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
CREATE TEMP TABLE batch (prune boolean, document text);
CREATE TEMP TABLE told (document text, applied boolean, finding text);

-- All that applying can write, as a number that any writing moves.
CREATE FUNCTION pg_temp.written() RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', (SELECT count(*) FROM promote.audit_log), (SELECT count(*) FROM promote.config),
		(SELECT count(*) FROM promote.revision), (SELECT count(*) FROM promote.deployment),
		(SELECT count(*) FROM promote.instance), (SELECT count(*) FROM promote.environment))
$$;
-- What applying comes to: a line for each row but those that are kept, or how it is refused.
CREATE FUNCTION pg_temp.applies(document jsonb, prune boolean, dry_run boolean, OUT refused text, OUT said text)
LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	SELECT COALESCE(string_agg(concat_ws(' ', v.kind, v.name, v.action, v.changes), E'\n' ORDER BY v.n), '') INTO said
	  FROM ROWS FROM (promote.apply_document(document, prune, dry_run)) WITH ORDINALITY AS v (kind, name, action,
	  	changes, n)
	 WHERE v.action <> 'keep';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	refused := SQLSTATE;
	said := concat_ws(': ', SQLERRM, detail);
END
$$;
-- Tries one document, and undoes it.
CREATE FUNCTION pg_temp.tried(text text, prune boolean, OUT document text, OUT applied boolean, OUT finding text)
LANGUAGE plpgsql AS $$
DECLARE
	d jsonb;
	p text;
	before text := pg_temp.written();
	dry record;
	done record;
	export text;
BEGIN
	document := text;
	applied := false;
	BEGIN
		d := text::jsonb;
	EXCEPTION WHEN OTHERS THEN
		RETURN;
	END;
	BEGIN
		dry := pg_temp.applies(d, prune, true);
		finding := CASE WHEN pg_temp.written() <> before THEN 'the dry run writes' END;
		done := pg_temp.applies(d, prune, false);
		finding := COALESCE(finding, CASE
			WHEN dry.refused !~ '^(PM|22|23)' THEN format('refused by %s: %s', dry.refused, dry.said)
			WHEN (dry.refused, dry.said) IS DISTINCT FROM (done.refused, done.said)
				THEN format('the dry run says %s: %s, and applying %s: %s', dry.refused, dry.said, done.refused,
					done.said)
			WHEN done.refused IS NOT NULL AND pg_temp.written() <> before THEN 'it is refused, and writes' END);
		IF done.refused IS NULL AND finding IS NULL THEN
			applied := true;
			before := pg_temp.written();
			done := pg_temp.applies(d, prune, false);
			p := d -> 'project' ->> 'project';
			finding := CASE
				WHEN done.refused IS NOT NULL OR done.said <> '' THEN format('applied again %s: %s', done.refused,
					done.said)
				WHEN pg_temp.written() <> before THEN 'applied again, it writes' END;
			export := promote.export_text(p, 'json');
			done := pg_temp.applies(export::jsonb, true, false);
			finding := COALESCE(finding, CASE
				WHEN done.refused IS NOT NULL OR done.said <> ''
					THEN format('its export comes to %s: %s', done.refused, done.said)
				WHEN promote.export_text(p, 'json') <> export THEN 'its export differs when it was applied' END);
		END IF;
		RAISE EXCEPTION SQLSTATE 'ZZ000';
	EXCEPTION WHEN SQLSTATE 'ZZ000' THEN
		NULL;
	WHEN OTHERS THEN
		finding := format('ends with %s: %s', SQLSTATE, SQLERRM);
	END;
END
$$;
SQL
}
