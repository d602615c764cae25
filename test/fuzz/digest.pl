#!/usr/bin/perl
#
# digest.pl: compares digests with what others make of the same documents.
#
# usage: digest.pl [seconds [seed]]
#
# Makes random documents, each spelled twice and once more with a change, and asks for their digests.  The programs of
# doc/reference/digest.md recompute them from the texts, where python3 and node are installed.  Prints one summary line.
#  A finding, with exit status 1, is
#
#   - two spellings of a document with different digests,
#   - two documents, one digest, though jsonb tells them apart, or the other way round,
#   - a digest that is not the SHA-256 of the canonical text, or a text that is another document,
#   - a digest that a program does not find,
#   - an error, which ends the session, after which the batch is left in a file.
#
use strict;
use warnings;
use File::Temp ();
use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../t/lib";
use Fuzz qw(copy_rows);
use RandomJson;

use constant BATCH => 500;

my $fuzz = Fuzz->new(name => 'digest', kept => 'a document on each line, spelled twice, and a changed one');
my %programs = programs("$FindBin::Bin/../../doc/reference/digest.md");
my @batch;         # its lines, numbered from 1 in the database
my %recomputed;    # the digests of all its texts, by interpreter
my $documents = 0;
$fuzz->tell(<<'SQL');
SET client_encoding = 'UTF8';
SET client_min_messages = warning;
CREATE TEMP TABLE raw (id serial, a text, b text, c text);
CREATE TEMP TABLE batch (id int, a jsonb, b jsonb, c jsonb);
ALTER TABLE batch ALTER a SET STORAGE extended, ALTER b SET STORAGE external, ALTER c SET STORAGE main;
SQL
$fuzz->run(\&batch, \&question, \&answered);
$fuzz->finish("$documents documents, recomputed by " . (join(' and ', sort keys %programs) || 'nobody'));

# The programs of the page that can be run here: files that hold them, by their interpreters.
sub programs {
	my ($page) = @_;
	open my $in, '<:raw', $page or die "$page: $!\n";
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

# A file with that text, which lasts as long as what is returned.
sub file {
	my ($text) = @_;
	my $file = File::Temp->new;
	binmode $file;
	print $file $text or die "$file: $!\n";
	close $file or die "$file: $!\n";
	return $file;
}

# Lines of three texts: a document, the same once more, and one with a change.
sub batch {
	@batch = ();
	for (1 .. BATCH) {
		my $tree = RandomJson::document(5);
		push @batch, join "\t", map { my $text = RandomJson::spell($_); utf8::encode($text); $text } $tree, $tree,
			RandomJson::changed($tree);
	}
	return \@batch;
}

sub question {
	my ($lines) = @_;
	my $texts = file(join '', map { s/\t/\n/gr . "\n" } @$lines);
	$recomputed{$_} = [map { substr $_, 0, 64 } `$_ $programs{$_} <$texts`] for keys %programs;
	return "TRUNCATE raw RESTART IDENTITY;\nTRUNCATE batch;\n" . copy_rows('raw (a, b, c)', @$lines) . <<'SQL';
INSERT INTO batch SELECT id, a::jsonb, b::jsonb, c::jsonb FROM raw;
SELECT id, encode(promote.jsonb_digest(a), 'hex'), encode(promote.jsonb_digest(b), 'hex'),
	encode(promote.jsonb_digest(c), 'hex'), a = b, a = c,
       promote.jsonb_canonical(a)::jsonb = a AND sha256(convert_to(promote.jsonb_canonical(a), 'UTF8'))
       	= promote.jsonb_digest(a)
  FROM batch ORDER BY id;
SQL
}

# The finding of a row, if it is one.
sub answered {
	my ($row) = @_;
	my ($id, $one, $other, $changed, $same, $unchanged, $sound) = split /\|/, $row;
	my $texts = $batch[$id - 1] =~ s/\t/  /gr;
	$documents += 3;
	return "digest(two spellings): $texts" if $one ne $other || $same ne 't';
	return "digest(changed): $texts" if ($one eq $changed) != ($unchanged eq 't');
	return "canonical(document): $texts" if $sound ne 't';
	for my $interpreter (sort keys %programs) {
		my $found = join '|', map { $_ // 'nothing' } @{ $recomputed{$interpreter} }[3 * $id - 3 .. 3 * $id - 1];
		return "$interpreter(page): $found: $texts" if $found ne "$one|$other|$changed";
	}
	return undef;
}
