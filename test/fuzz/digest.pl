#!/usr/bin/perl
#
# digest.pl: compares digests with what others make of the same documents.
#
# usage: digest.pl [seconds [seed]]
#
# Makes random documents, each spelled twice and once more with a change, and asks for their digests through one psql
# session.  The programs of doc/digest.md recompute them from the texts, where python3 and node are installed.  The
# connection is taken from the usual PG* variables; the database must have the extension.  Prints one summary line.
# A finding, with exit status 1, is
#
#   - two spellings of a document with different digests,
#   - two documents, one digest, though jsonb tells them apart, or the other way round,
#   - a digest that is not the SHA-256 of the canonical text, or a text that is another document,
#   - a digest that a program does not find,
#   - an error, or a lost connection.
#
use strict;
use warnings;
use File::Basename qw(dirname);
use File::Temp ();
use IPC::Open2;
use lib dirname(__FILE__) . '/../t/lib';
use RandomJson;

use constant BATCH => 500;
use constant SHOWN => 10;

my $seconds = shift // 60;
my $seed = shift // time;
srand($seed);

my %programs = programs(dirname(__FILE__) . '/../../doc/digest.md');
$SIG{PIPE} = 'IGNORE';
my ($from, $to);
my $psql = open2($from, $to, 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1');
print $to <<'SQL';
SET client_encoding = 'UTF8';
SET client_min_messages = warning;
CREATE TEMP TABLE raw (id serial, a text, b text, c text);
CREATE TEMP TABLE batch (id int, a jsonb, b jsonb, c jsonb);
ALTER TABLE batch ALTER a SET STORAGE extended, ALTER b SET STORAGE external, ALTER c SET STORAGE main;
SQL

my ($documents, $findings) = (0, 0);
my $end = time + $seconds;
while (time < $end) {
	my @batch = map { my $tree = RandomJson::document(5); [map { bytes(RandomJson::spell($_)) } $tree, $tree, RandomJson::changed($tree)] } 1 .. BATCH;
	my $rows = run_batch(\@batch);
	if (!defined $rows) {
		finding('the session ended', \@batch);
		last;
	}
	$documents += 3 * @batch;
	compare(\@batch, $rows);
}
close $to;
waitpid $psql, 0;
printf "digest: %d documents in %d seconds, checked by %s, %d findings (seed %s)\n", $documents, $seconds, join(' and ', 'PostgreSQL', sort keys %programs),
  $findings, $seed;
exit($findings ? 1 : 0);

# The programs of the page that can be run here, by their interpreters: files that hold them.
sub programs {
	my ($page) = @_;
	open my $in, '<', $page or die "$page: $!\n";
	my $text = do { local $/; <$in> };
	my %found;
	for (['python', 'python3'], ['js', 'node']) {
		my ($language, $interpreter) = @$_;
		next if system("$interpreter --version >/dev/null 2>&1") != 0;
		my ($program) = $text =~ /^```$language\n(.*?)^```$/ms or die "$page has no program in $language\n";
		$found{$interpreter} = file($program);
	}
	return %found;
}

# Ask for a batch; returns a row per triple, or undef if there is no answer.
sub run_batch {
	my ($batch) = @_;
	print $to "TRUNCATE raw RESTART IDENTITY;\nTRUNCATE batch;\nCOPY raw (a, b, c) FROM STDIN;\n";
	print $to join("\t", map { s/\\/\\\\/gr } @$_), "\n" for @$batch;
	print $to <<'SQL';
\.
INSERT INTO batch SELECT id, a::jsonb, b::jsonb, c::jsonb FROM raw;
SELECT encode(promote.jsonb_digest(a), 'hex'), encode(promote.jsonb_digest(b), 'hex'), encode(promote.jsonb_digest(c), 'hex'), a = b, a = c,
       promote.jsonb_canonical(a)::jsonb = a AND sha256(convert_to(promote.jsonb_canonical(a), 'UTF8')) = promote.jsonb_digest(a)
  FROM batch ORDER BY id;
\echo done
SQL
	$to->flush;
	my @rows;
	while (defined(my $line = <$from>)) {
		chomp $line;
		return \@rows if $line eq 'done';
		push @rows, [split /\|/, $line];
	}
	return undef;
}

# Compare the rows with one another and with the programs.
sub compare {
	my ($batch, $rows) = @_;
	for my $i (0 .. $#$batch) {
		my ($a, $b, $c, $same, $unchanged, $sound) = @{ $rows->[$i] };
		finding('two spellings', $batch->[$i]) if $a ne $b || $same ne 't';
		finding('a change', $batch->[$i]) if ($a eq $c) != ($unchanged eq 't');
		finding('the canonical text', $batch->[$i]) if $sound ne 't';
	}
	my @texts = map { @$_ } @$batch;
	my @digests = map { @$_[0 .. 2] } @$rows;
	my $input = file(join '', map { "$_\n" } @texts);
	for my $interpreter (sort keys %programs) {
		my @found = `$interpreter $programs{$interpreter} <$input`;
		for my $i (0 .. $#texts) {
			finding($interpreter, [$texts[$i]]) if substr($found[$i] // '', 0, 64) ne $digests[$i];
		}
	}
	return;
}

sub finding {
	my ($what, $texts) = @_;
	return if $findings++ >= SHOWN;
	print "finding: $what: ", join('  ', map { ref $_ ? @$_ : $_ } @$texts), "\n";
	return;
}

sub bytes {
	my ($text) = @_;
	utf8::encode($text);
	return $text;
}

# A file with that text, which lasts as long as what is returned.
sub file {
	my ($text) = @_;
	my $file = File::Temp->new;
	binmode $file;
	print $file $text or die "$file: $!\n";
	close $file or die "$file: $!\n";
	return $file;
}
