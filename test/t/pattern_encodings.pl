# Patterns and formats in databases whose encoding is not UTF-8.

use strict;
use warnings;
use utf8;
use Test::More;
use PromoteTest;

my $node = PromoteTest->new;
my %locale = (LATIN1 => 'C', EUC_JP => 'C', SQL_ASCII => 'C');
for my $encoding (sort keys %locale) {
	$node->query('postgres',
		"CREATE DATABASE \"$encoding\" TEMPLATE template0 ENCODING '$encoding' LOCALE '$locale{$encoding}'");
	$node->query($encoding, 'CREATE EXTENSION promote');
}

# The answer, or the SQLSTATE of the refusal.
sub answer {
	my ($encoding, $call) = @_;
	my ($rc, $out, $err) = $node->psql($encoding, "\\set VERBOSITY sqlstate\nSELECT promote.$call");
	chomp $out;
	return $rc == 0 ? $out : $err =~ /ERROR:\s+(\w{5})/ ? $1 : $err;
}

sub matches {
	my ($encoding, $pattern, $text) = @_;
	return answer($encoding, "jsonb_schema_valid(to_jsonb($text), jsonb_build_object('pattern', '$pattern'))");
}

my ($e_acute, $half) = ('chr(233)', 'chr(189)');    # é, ½
is(matches('LATIN1', '^\p{L}+$', "'a' || $e_acute"), 't', 'LATIN1: letters are letters');
is(matches('LATIN1', '^\p{L}+$', $half), 'f', 'LATIN1: and nothing else is');
is(matches('LATIN1', '^[^\p{L}]\p{No}$', "$half || $half"), 't', 'LATIN1: other characters have their properties');
is(matches('LATIN1', '^\P{Lu}+$', "'a' || $e_acute || $half"), 't', 'LATIN1: what lacks a property');
is(matches('LATIN1', '\p{Script=Han}', "'a' || $e_acute"), 'f', 'LATIN1: a property of no character there');
is(matches('LATIN1', '^\P{Script=Han}$', $e_acute), 't', 'LATIN1: which all lack');
is(matches('LATIN1', '^\P{L}+$', 'chr(1) || chr(32)'), 't', 'LATIN1: also control characters');
is(matches('SQL_ASCII', '^\p{L}+$', "'aZ'::text"), 't', 'SQL_ASCII: letters of ASCII');
is(matches('EUC_JP', '^\p{L}+$', "'a'::text"), 'PM106', 'EUC_JP: not supported');
is(matches('EUC_JP', '^[^a]$', q{convert_from('\xa4a2', 'EUC_JP')}), 't', 'EUC_JP: other patterns are');

# é, and hiragana A
my %wide = (LATIN1 => $e_acute, EUC_JP => q{convert_from('\xa4a2', 'EUC_JP')});
for my $encoding (sort keys %wide) {
	my $c = $wide{$encoding};
	is(answer($encoding, "jsonb_format_valid('iri', 'a:' || $c)"), 't', "$encoding: an IRI");
	is(answer($encoding, "jsonb_format_valid('uri', 'a:' || $c)"), 'f', "$encoding: which is no URI");
	is(answer($encoding, "jsonb_format_valid('idn-hostname', $c || '.de')"), 't', "$encoding: a host's name");
	is(answer($encoding, "jsonb_format_valid('idn-hostname', $c || '_.de')"), 'f',
		"$encoding: which is none with an underscore");
	is(answer($encoding, "jsonb_format_valid('regex', $c || '[' || $c || '](?<' || $c || '>x)')"), 't',
		"$encoding: a regular expression");
	is(answer($encoding, "jsonb_format_valid('regex', '(?<' || $c || '-a>x)')"), 'f',
		"$encoding: one with a group that cannot be called so");
	is(answer($encoding, "jsonb_format_valid('json-pointer', '/' || $c)"), 't', "$encoding: a JSON pointer");
}
is(answer('SQL_ASCII', q{jsonb_format_valid('iri', E'a:\xe9')}), 'f', 'SQL_ASCII: a byte that means nothing');
is(answer('SQL_ASCII', q{jsonb_format_valid('iri', 'a:b')}), 't', 'SQL_ASCII: ASCII');

done_testing;
