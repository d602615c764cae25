#!/usr/bin/perl
#
# yaml.pl: feeds mutated documents to promote.yaml_to_jsonb.
#
# usage: yaml.pl [seconds [seed]]
#
# Mutates the documents in the directory yaml/ beside this file and calls the
# function on each, thousands a second, through one psql session.  The
# connection is taken from the usual PG* variables; the database must have the
# extension.  Prints one summary line.  A finding, with exit status 1, is
#
#   - an SQLSTATE other than class PM, 22021 or 22P05 (encoding),
#   - a refusal without DETAIL or HINT,
#   - a result that is not read back as itself, as jsonb, as YAML, or as it is written as YAML or indented,
#   - a lost connection, after which the batch is left in a file.
#
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Fuzz qw(copy_rows);

use constant BATCH => 500;
use constant MAX_LENGTH => 20000;

my $fuzz = Fuzz->new(name => 'yaml', kept => 'a document in hexadecimal on each line', shown => 10);
my @corpus = $fuzz->corpus('yaml');
my @tokens = (
	(map { $_, "$_ " } '-', '?', ':', ',', '[', ']', '{', '}', '#', '&a', '*a', '!', '!!str', '!!int', '!!float',
		'!!bool', '!!null', '!!seq', '!!map', '!x', '|', '>', "'", '"', '%', '@', '`', '<<:', '---', '...', '~'),
	"\n", "\r\n", "\r", "\t", ' ', '  ', "\n- ", "\n  ", "\n---\n", "\n...\n", "\n? ", "\n: ", "\n%TAG !a! b\n",
		"\n%YAML 1.2\n",
	'<<: *a', '<<: [*a, *a]', '"<<": ', '{<<: {', '&a [', '*a : ', '&a ', '"\\0"', '"\\u0000"', '"\\x', '"\\U0001F600"',
		"\\\n",
	'true', 'null', 'yes', '.inf', '.nan', '0x', '0o7', '1e999', '1e1001', '1e-99999999999', '-0', '1.5', '9' x 400,
		'0xf' . 'f' x 400,
	"\xef\xbb\xbf", "\xc2\x85", "\xe2\x80\xa8", "\xe2\x80\xa9", "\xc3\xa9", "\xf0\x9f\x98\x80", "\xff", "\xc0\x80",
		"\xed\xa0\x80",
	"\x00", "\x01", "\x7f", '[' x 500, '{a: ' x 300, '- ' x 400, ']' x 500, '!<tag:yaml.org,2002:str> ', '|2-', '>+1');

$fuzz->tell(prepare());
my ($documents, $accepted) = (0, 0);
$fuzz->run(\&batch, \&question, \&answered);
$fuzz->finish("$documents documents, $accepted accepted,");

# The lines of a batch.
sub batch {
	$documents += BATCH;
	return [map { unpack 'H*', mutate() } 1 .. BATCH];
}

# What is asked of them.
sub question {
	my ($rows) = @_;
	return "TRUNCATE batch;\n" . copy_rows('batch', map { "\\x$_" } @$rows) . <<'SQL';
WITH tried AS MATERIALIZED (SELECT doc, t.* FROM batch, pg_temp.try(doc) t)
SELECT 'accepted ' || count(*) FILTER (WHERE accepted) FROM tried
UNION ALL SELECT finding || ' ' || encode(doc, 'hex') FROM tried WHERE finding IS NOT NULL;
SQL
}

# A count, or a finding.
sub answered {
	my ($line) = @_;
	return $line if $line !~ /^accepted (\d+)$/;
	$accepted += $1;
	return;
}

# The table of a batch and the function that tries one document.
sub prepare {
	return <<'SQL';
SET client_min_messages = warning;
CREATE TEMP TABLE batch (doc bytea);
CREATE FUNCTION pg_temp.try(doc bytea, OUT accepted boolean, OUT finding text) LANGUAGE plpgsql AS
$$
DECLARE
	result jsonb;
	again jsonb;
	state text;
	message text;
	facts text;
	advice text;
BEGIN
	accepted := false;
	BEGIN
		result := promote.yaml_to_jsonb(convert_from(doc, 'UTF8'));
		accepted := true;
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
			facts = PG_EXCEPTION_DETAIL, advice = PG_EXCEPTION_HINT;
		IF state NOT LIKE 'PM%' AND state NOT IN ('22021', '22P05') THEN
			finding := state || ' ' || message;
		ELSIF state LIKE 'PM%' AND (facts !~ '^Line \d+, column \d+: ' OR advice = '') THEN
			finding := state || ' without a place or a hint: ' || message;
		END IF;
		RETURN;
	END;
	IF result::text::jsonb IS DISTINCT FROM result THEN
		finding := 'the result is not what its text says';
	END IF;
	IF jsonb(promote.jsonb_indented(result)) IS DISTINCT FROM result THEN
		finding := 'the indented text is another document';
	END IF;
	-- what is written is read back, but for what expanded aliases, or indentation, make too large
	BEGIN
		again := promote.yaml_to_jsonb(promote.jsonb_to_yaml(result));
		IF again IS DISTINCT FROM result OR promote.jsonb_to_yaml(again) <> promote.jsonb_to_yaml(result) THEN
			finding := 'what is written is not read back as itself';
		END IF;
	EXCEPTION WHEN OTHERS THEN
		IF SQLSTATE <> 'PM102' THEN
			finding := SQLSTATE || ' for what is written: ' || SQLERRM;
		END IF;
	END;
	-- JSON is YAML, but for what is refused
	BEGIN
		again := promote.yaml_to_jsonb(result::text);
		IF again IS DISTINCT FROM result THEN
			finding := 'the result is not read back as itself';
		END IF;
	EXCEPTION WHEN OTHERS THEN
		IF SQLSTATE NOT LIKE 'PM%' THEN
			finding := SQLSTATE || ' when read back: ' || SQLERRM;
		END IF;
	END;
END
$$;
SQL
}

# A document of the corpus, changed in one to eight places.
sub mutate {
	my $doc = $corpus[rand @corpus];
	$doc = change($doc) for 1 .. 1 + rand(rand() < 0.5 ? 2 : 8);
	return substr($doc, 0, MAX_LENGTH);
}

# One change at a random place.
sub change {
	my ($doc) = @_;
	my $at = int rand(1 + length $doc);
	my $length = int rand(1 + (rand() < 0.7 ? 8 : 200));
	my $kind = int rand 9;
	return substr($doc, 0, $at) . $tokens[rand @tokens] . substr($doc, $at) if $kind <= 2;
	return substr($doc, 0, $at) . chr(rand 256) . substr($doc, $at) if $kind == 3;
	return splice_in($doc, $at) if $kind == 4;
	return swap_lines($doc) if $kind == 5;
	my $part = $at < length $doc ? substr($doc, $at, $length) : '';
	my $rest = substr($doc, $at + length $part);
	return substr($doc, 0, $at) . $rest if $kind == 6;
	return substr($doc, 0, $at) . $part x (1 + rand(rand() < 0.1 ? 300 : 4)) . $rest if $kind == 7;
	return substr($doc, 0, $at) . (join '', map { chr(ord($_) ^ (1 << rand 8)) } split //, substr($part, 0, 1))
		. substr($part, length $part ? 1 : 0) . $rest;
}

# A piece of another document put in.
sub splice_in {
	my ($doc, $at) = @_;
	my $other = $corpus[rand @corpus];
	my $start = int rand(1 + length $other);
	return substr($doc, 0, $at) . substr($other, $start, 1 + rand 200) . substr($doc, $at);
}

# Two lines of a document exchanged.
sub swap_lines {
	my ($doc) = @_;
	my @lines = split /(?<=\n)/, $doc;
	return $doc if @lines < 2;
	my ($a, $b) = (rand @lines, rand @lines);
	@lines[$a, $b] = @lines[$b, $a];
	return join '', @lines;
}
