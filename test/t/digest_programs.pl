# Anybody can recompute a digest: the programs that doc/reference/digest.md shows find the server's digests and
# canonical texts, for documents of every kind, from their text.  And the database's encoding does not matter.

use strict;
use warnings;
use utf8;
use Test::More;
use PromoteTest;
use RandomJson;

binmode Test::More->builder->$_, ':encoding(UTF-8)' for qw(output failure_output todo_output);

my $node = PromoteTest->new;
$node->create_promote('utf8');

srand(8785);
my @documents = (picked(), map { RandomJson::spell(RandomJson::document(5)) } 1 .. 400);
my $expected = server('utf8', @documents);
is(scalar(split /\n/, $expected), scalar(@documents), 'the server knows all documents: ' . @documents);

my $page = PromoteTest::slurp('doc/reference/digest.md');
for my $case (['python', 'py', 'python3'], ['js', 'js', 'node']) {
	my ($language, $suffix, $interpreter) = @$case;
	my ($program) = $page =~ /^```$language\n(.*?)^```$/ms;
	ok(defined $program, "doc/reference/digest.md has a program in $language") or next;
  SKIP: {
		my ($found) = eval { $node->run($interpreter, '--version') };
		skip "$interpreter is not installed", 1 if !defined $found || $found != 0;
		my $path = $node->dir . "/digest.$suffix";
		open my $file, '>', $path or die "cannot open $path: $!\n";
		print $file $program;
		close $file or die "cannot write $path: $!\n";
		my ($rc, $out, $err) = $node->run({ input => bytes(join '', map { "$_\n" } @documents) }, $interpreter, $path);
		is("$rc$err", '0', "$interpreter runs it");
		is(difference($out, $expected), '', '... and finds the digests and the texts of the server');
	}
}

# ---- encodings ----

# What LATIN1 has, with strings that are longer than what is converted at a time.
my @western = grep { !/[^\x00-\xFF]/ && !/\\u(?!00)/ } @documents, '{"é": "à", "z": 1, "ÿ": 2, "e": 3}',
	'["' . 'é\\n' x 3000 . '"]';
encoding('LATIN1', @western);
# Characters of two and of three bytes; of EUC_JP's three-byte ones too.
encoding('EUC_JP', '{"日本語": ["' . 'あx' x 2000 . '", "\\n"], "ｱ": 1, "丂": 2, "a": 3}', '"' . '丂' x 1500 . '"');
# Here nobody converts; text that is UTF-8 is taken as it is, and other text has no digest.
encoding('SQL_ASCII', grep { !/\\u(?!00[0-7])/ } @documents, '"x' . '€' x 2000 . '"');
my ($rc, undef, $err) = $node->psql('SQL_ASCII', q{SELECT promote.jsonb_digest(('"' || chr(233) || '"')::jsonb)}, '-v',
	'VERBOSITY=sqlstate');
is($err, "ERROR:  22021\n", 'SQL_ASCII: bytes that are not UTF-8 are refused');

done_testing;

# ---- asking ----

# A line per document: digest and canonical text.  COPY doubles backslashes; what psql prints without it lacks some
# characters.
sub server {
	my ($database, @texts) = @_;
	my $rows = join '', map { my $text = $_ =~ s/\\/\\\\/gr; "$text\n" } @texts;
	my $copied = $node->query($database, bytes(<<"SQL"));
SET client_encoding = 'UTF8';
CREATE TEMP TABLE given (id serial, document jsonb);
COPY given (document) FROM STDIN;
$rows\\.
COPY (SELECT encode(promote.jsonb_digest(document), 'hex') || ' ' || promote.jsonb_canonical(document) FROM given
	ORDER BY id) TO STDOUT;
SQL
	return $copied =~ s/\\\\/\\/gr;
}

# The same documents in a database of another encoding have the digests that they have in UTF-8.
sub encoding {
	my ($encoding, @texts) = @_;
	$node->query('postgres', qq{CREATE DATABASE "$encoding" ENCODING '$encoding' LOCALE 'C' TEMPLATE template0});
	$node->query($encoding, 'CREATE EXTENSION promote');
	is(difference(server($encoding, @texts), server('utf8', @texts)), '', "$encoding: the digests of UTF-8, for "
		. @texts . ' documents');
	return;
}

# The first line that differs, or nothing.
sub difference {
	my @sides = map { [split /\n/] } @_;
	for my $i (0 .. ($#{ $sides[0] } > $#{ $sides[1] } ? $#{ $sides[0] } : $#{ $sides[1] })) {
		my ($got, $want) = map { $_->[$i] // '(nothing)' } @sides;
		return sprintf "line %d: %.300s instead of %.300s", $i + 1, $got, $want if $got ne $want;
	}
	return '';
}

sub bytes {
	my ($text) = @_;
	utf8::encode($text);
	return $text;
}

# ---- documents ----

sub picked {
	return (
		(map { "[$_]" } qw(0 -0 -0.0 0e5 1 1.0 1.00 1e0 10e-1 -1 1e21 1E21 1e20 999999999999999999999
			1000000000000000000001 1e-6 1e-7 0.000001
			0.0000001 -1.5e-7 0.1 0.10 10.01 1E400 1e-400 -1.25E+400 9007199254740993 123456789012345678901234567890.5
				123456789012345678901.5
			5e-324 4.9406564584124654e-324 2.2250738585072011e-308 1.7976931348623157e308 1.8e308 333333333.33333329
				295147905179352825856
			1e131071 1e-16383 0.30000000000000004 100 10000 99990000 1e4 12e3 0.00001234)),
		'[' . '9' x 400 . ',0.' . '0' x 300 . '1,1' . '0' x 5000 . '1]',
		'["\\"\\\\\\/\\b\\f\\n\\r\\t' . join('', map { sprintf '\\u%04x', $_ } 1 .. 0x20, 0x7F .. 0x81)
			. '\\u2028\\u2029\\ufeff\\uffff"]',
		'["\\ud83d\\ude00", "😀", "\\u00E9", "é", "e\\u0301", "</script>", "𐍈", "\\udbff\\udfff"]',
		'{"\\ud83d\\ude00": 1, "\\ufb33": 2, "\\ue000": 3, "\\uffff": 4, "\\ud7ff": 5, "é": 6, "z": 7, "": 8, '
			. '"\\r": 9, "\\u0080": 10}',
		'{"\\ufb33\\ud83d\\ude00": 1, "\\ufb33\\ufb33": 2, "12345678\\ufb33": 3, "12345678\\ud83d\\ude00": 4, '
			. '"1234567\\ufb33": 5, "1234567\\ud83d\\ude00": 6}',
		'{"": {"": {"": []}}, "a": {}}', '{"a": 1, "b": 2, "a": {"c": 1, "c": 2}}',
			'{"__proto__": {"__proto__": 1}, "constructor": 2, "toString": 3}',
		'{"1": 1, "10": 2, "2": 3, "-1": 4, "01": 5, "length": 6}',
			'{"n1": "n2", "s1": "s2", "1e5": "1e5", "a\\"1": "\\"2"}',
		' [ 1 , { "b" : 2 , "a" : [ ] } ] ', 'null', 'true', 'false', '""', '"x"', '12.50', '{}', '[]', '[[[[[]]]]]',
		'{' . join(', ', map { "\"key$_\": $_" } 1 .. 2000) . '}', '["' . 'x' x 50000 . '\\n' . 'ü' x 50000 . '"]',
			'[' x 300 . ']' x 300,
	);
}
