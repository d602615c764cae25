#!/usr/bin/perl
#
# name.pl: feeds mutated names to what takes them apart: instances, environments with what stands behind the @, tags,
# and remote references, to siblings and to others.
#
# usage: name.pl [seconds [seed]]
#
# Names are those of the directory name/ beside this file, one a line, with some of their characters changed.  Each is
# taken for a name of every kind.  The connection is taken from the usual PG* variables; the database must have the
# extension, and a project is made there once.  Prints one summary line.  A finding, with exit status 1, is
#
#   - an SQLSTATE other than class PM, or a refusal without DETAIL or HINT,
#   - a name that is taken, refused, taken apart or rendered otherwise than the rules of doc/reference say, which are
#     written down here once more as regular expressions; what a time is behind the date, PostgreSQL says itself,
#   - a lost connection.
#
use strict;
use warnings;
use Encode qw(encode_utf8 decode_utf8);
use FindBin;
use lib "$FindBin::Bin/lib";
use Fuzz qw(pick copy_rows);

use constant BATCH => 200;

my $fuzz = Fuzz->new(name => 'name', kept => 'a name, and what becomes of it, on each line', shown => 10);
my @corpus = map { split /\n/, decode_utf8($_) } $fuzz->corpus('name');
my @tokens = (qw(fuzz e c db - _ . @ a z 0 9 A : / // ? {{ }} {{word}} {{none}} component:// component: fuzz-e-db
	tuesday 2026-01-01 2026 -01 T 10:00 +00 Z now infinity :pw@ 0000), "\x{1}", "\x{7f}", "\x{e4}",
	"\x{20ac}", ' ', '%', '#', "'", '\\',
	'x' x 62, 'y' x 63, 'component://db', 'u' x 2030);
my $word = qr/[a-z0-9_]/;
my $part = qr/(?=.{1,63}\z)$word+(?:-$word+)*/;
my $name = qr/(?=.{1,63}\z)$word+/;
my ($names, $taken) = (0, 0);
$fuzz->tell(prepare());
$fuzz->run(\&batch, \&question, \&answered);
$fuzz->finish("$names names, $taken times taken,");

# The lines of a batch: a name, and what is to be said of it as one of each kind.
sub batch {
	$names += BATCH;
	return [map { my $text = mutate(); encode_utf8(join "\t", $text, instance($text), tag($text), state_of($text),
		reference($text), rendered($text)) } 1 .. BATCH];
}

# A name of the corpus, changed in up to three places.
sub mutate {
	my $text = pick(@corpus);
	for (1 .. rand 4) {
		substr($text, int rand(1 + length $text), rand() < 0.5 ? 0 : rand 5) = rand() < 0.8 ? pick(@tokens) : '';
	}
	return $text;
}

# ---- what the rules say: what comes out, or the SQLSTATE ----

sub fits { my ($text, $rule) = @_; return $text =~ /\A$rule\z/ }

sub instance {
	my ($text) = @_;
	my ($project, $environment, $component) = $text =~ /\A([^-]*)-(.*)-([^-]*)\z/s or return 'PM001';
	return 'PM001' if !fits($project, $name) || !fits($environment, $part) || !fits($component, $name);
	return "ok $project $environment $component";
}

sub tag { my ($text) = @_; return fits($text, qr/[a-z][a-z0-9_.-]{0,62}/) ? 'ok true' : 'PM001' }

# Of an environment or a state of it; a time that PostgreSQL has to judge is "time".
sub state_of {
	my ($text) = @_;
	my ($environment, $state) = split /@/, $text, 2;
	my ($project, $called) = ($environment // '') =~ /\A([^-]*)-(.*)\z/s
		or return $text =~ /\A *\z/ ? 'PM404' : 'PM001';
	return 'PM001' if !fits($project, $name) || !fits($called, $part);
	my $is_time = defined $state && $state =~ /\A[0-9]/;
	return 'PM001' if $is_time && (length encode_utf8($state)) > 64 || $is_time && $state !~ /\A\d{4}-\d\d-\d\d/a;
	return 'PM001' if defined $state && !$is_time && tag($state) eq 'PM001';
	# what a time is behind the date
	return 'time' if $is_time;
	return 'PM004' if $project ne 'fuzz';
	return $environment ne 'fuzz-e' || defined $state && $state ne 'tuesday' ? 'PM002' : 'ok';
}

sub reference {
	my ($text) = @_;
	my $length = length encode_utf8($text);
	my ($authority) = $text =~ m{://([^/?#]*)};
	return 'PM404' if $length == 0 || $length > 2048 || $text =~ /[\x00-\x1f\x7f]|\A | \z/
		|| defined $authority && $authority =~ /:.*@/;
	return 'ok true';
}

# Of a reference that is set at fuzz-e-c, beside which there is fuzz-e-db.
sub rendered {
	my ($text) = @_;
	return 'PM404' if $text =~ /\A[ \t]*\z/ || reference($text) ne 'ok true';
	my ($component) = $text =~ m{\Acomponent://([^/?#]*)};
	undef $component if defined $component && $component =~ /-/;
	return 'skip' if $text =~ /\{\{/;
	return 'PM002' if defined $component && $component ne 'db';
	$text =~ s{\Acomponent://}{component://fuzz-e-} if defined $component;
	return "ok $text";
}

# ---- asking ----

# What is asked of them.
sub question {
	my ($rows) = @_;
	return "TRUNCATE batch;\n" . copy_rows('batch', @$rows) . <<'SQL';
WITH tried AS MATERIALIZED (SELECT b.name, k.kind, k.wanted, pg_temp.try(k.kind, b.name) AS found FROM batch AS b,
	LATERAL (VALUES ('instance', instance), ('tag', tag), ('state', state), ('reference', reference),
		('rendered', rendered)) AS k (kind, wanted))
SELECT 'taken ' || count(*) FILTER (WHERE found ~ '^ok') FROM tried
UNION ALL SELECT format('%s(%s): %s, and should be %s', kind, name, found, wanted) FROM tried
	WHERE found !~ '^(ok|PM)' OR found IS DISTINCT FROM CASE WHEN wanted = 'skip' THEN found
		WHEN wanted = 'time' THEN pg_temp.time(name) ELSE wanted END;
SQL
}

# A count, or a finding.
sub answered {
	my ($line) = @_;
	return $line if $line !~ /^taken (\d+)$/;
	$taken += $1;
	return;
}

# The table of a batch, a project, and the functions that try one name.
sub prepare {
	return <<'SQL';
SET client_min_messages = warning;
SET statement_timeout = '120s';
SET DateStyle = 'German, DMY';
CREATE TEMP TABLE batch (name text, instance text, tag text, state text, reference text, rendered text);
DO $$
BEGIN
	IF NOT EXISTS (SELECT FROM promote.project WHERE project = 'fuzz') THEN
		INSERT INTO promote.bundle VALUES ('fuzz');
		INSERT INTO promote.bundle_release (bundle, version, params_schema, remote_references)
		VALUES ('fuzz', '1.0.0', '{}', '{"slot": {}}');
		INSERT INTO promote.project VALUES ('fuzz');
		INSERT INTO promote.environment (project, environment)
		    VALUES ('fuzz', 'e');
		INSERT INTO promote.parameter_set (project, environment, parameters)
		    VALUES ('fuzz', 'e', '{"word": "w"}');
		INSERT INTO promote.component (project, component, bundle) VALUES ('fuzz', 'c', 'fuzz'), ('fuzz', 'db', 'fuzz');
		INSERT INTO promote.instance (project, environment, component) VALUES ('fuzz', 'e', 'c'), ('fuzz', 'e', 'db');
		PERFORM promote.configure_instance('fuzz-e-c', '{}', plan => false);
		PERFORM promote.tag_environment('fuzz-e', 'tuesday');
	END IF;
END $$;

-- What comes of a name of a kind: "ok" and the result, or an SQLSTATE.
CREATE FUNCTION pg_temp.try(kind text, name text) RETURNS text LANGUAGE plpgsql AS
$$
DECLARE
	result text := '';
	facts text;
	advice text;
BEGIN
	CASE kind
		WHEN 'instance' THEN
			SELECT ' ' || concat_ws(' ', project, environment, component) INTO result
			  FROM promote.parse_instance_name(name);
		WHEN 'tag' THEN result := ' ' || promote_internal.check_name(name, 'tag');
		WHEN 'state' THEN PERFORM FROM promote.compare_structure(name, 'fuzz-e');
		WHEN 'reference' THEN result := ' ' || promote_internal.check_reference(name);
		WHEN 'rendered' THEN
			PERFORM promote.set_remote_reference('fuzz-e-c', 'slot', name);
			result := ' ' || (promote_internal.desired_references('fuzz', 'e', 'c', '{"slot": {}}') ->> 'slot');
			-- nothing of it stays
			RAISE EXCEPTION USING ERRCODE = 'UU000';
	END CASE;
	RETURN 'ok' || result;
EXCEPTION WHEN SQLSTATE 'UU000' THEN
	RETURN 'ok' || result;
WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS facts = PG_EXCEPTION_DETAIL, advice = PG_EXCEPTION_HINT;
	RETURN CASE WHEN facts = '' OR advice = '' THEN 'bare ' ELSE '' END || SQLSTATE;
END
$$;

-- What is to come of a state that is a time.
CREATE FUNCTION pg_temp.time(name text) RETURNS text LANGUAGE plpgsql AS
$$
DECLARE
	at timestamptz;
BEGIN
	at := substr(name, strpos(name, '@') + 1);
	RETURN CASE WHEN NOT isfinite(at) THEN 'PM001' WHEN at > now() THEN 'PM404'
		WHEN name !~ '^fuzz-' THEN 'PM004' WHEN name !~ '^fuzz-e@' THEN 'PM002'
		ELSE 'ok' END;
EXCEPTION WHEN OTHERS THEN
	RETURN 'PM001';
END
$$;
SQL
}
