# The tree keeps to the order of src/LAYERS, and test/layers refuses what does not: a small tree that is right, and made
# wrong in one way after the other.

use strict;
use warnings;
use File::Copy qw(copy);
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use Test::More;

plan skip_all => 'no cc' if system('cc --version >/dev/null 2>&1') != 0;

sub layers {
	my ($top) = @_;
	my $out = `$^X test/layers '$top'`;
	return ($? >> 8, $out);
}

is(join('|', layers('.')), '0|', 'the tree');

my %right = (
	'src/LAYERS' => "# rooms\nlow\nhigh\ncircle low/a low/b: they are one\nbare low/begin: it begins\npage high/c "
		. "a: it is short\n",
	'src/low/README.md' => "low\n",
	'src/high/README.md' => "high\n",
	'src/low/a.h' => "extern void a(void);\n",
	'src/low/a.c' => "#include \"low/a.h\"\nextern void b(void);\nvoid a(void) { b(); }\n",
	'src/low/b.c' => "#include \"low/a.h\"\nvoid b(void);\nvoid b(void) { a(); }\n",
	'src/high/c.h' => "extern void c(void);\n",
	'src/high/c.c' => "#include \"high/c.h\"\n#include \"low/a.h\"\nvoid c(void) { a(); }\n",
	'src/promote.c' => "#include \"high/c.h\"\nvoid start(void);\nvoid start(void) { c(); }\n",
	'sql/low/begin.sql' => "SELECT 0;\n",
	'sql/low/a.sql' => "SELECT 1;\n",
	'sql/high/c.sql' => "SELECT 2;\n",
	'test/sql/low/a.sql' => "SELECT 1;\n",
	'test/sql/high/c_more.sql' => "SELECT 2;\n",
	'doc/reference/a.md' => "a, and c\n",
	'sql/promote--0--1.sql' => "SELECT 1;\n",
);

my $others = "low\nhigh\nbare low/begin: it begins\npage high/c a: it is short\n";

my $objects = tempdir('promote_layers.XXXXXX', TMPDIR => 1, CLEANUP => 1);
my %compiled;    # sources to their objects there

# What is said of the right tree with some files replaced, or removed (undef).
sub said {
	my (%wrong) = @_;
	my $top = tempdir('promote_layers.XXXXXX', TMPDIR => 1, CLEANUP => 1);
	my %files = (%right, %wrong);
	for my $file (grep { defined $files{$_} } sort keys %files) {
		make_path("$top/" . $file =~ s{/[^/]*\z}{}r);
		open my $out, '>', "$top/$file" or die "$file: $!\n";
		print $out $files{$file};
		close $out;
	}
	for my $file (grep { /\.c\z/ && defined $files{$_} } sort keys %files) {
		my $object = $compiled{$files{$file}} //= "$objects/" . keys %compiled;
		system('cc', '-w', "-I$top/src", '-c', "$top/$file", '-o', $object) == 0 or die "$file was not compiled\n"
			if !-e $object;
		copy($object, "$top/" . $file =~ s/\.c\z/.o/r) or die "$object: $!\n";
	}
	my ($rc, $out) = layers($top);
	return "$rc|$out";
}

is(said(), '0|', 'one that is right');
is(said('src/low/b.c' => "#include \"low/a.h\"\n#include \"high/c.h\"\nvoid b(void);\nvoid b(void) { a(); }\n"),
	qq{1|src/low/b.c:2: low includes "high/c.h", which is above it\n}, 'an include of a higher room');
is(said('src/low/b.c' => "#include \"low/a.h\"\nextern void c(void);\nvoid b(void);\nvoid b(void) { a(); c(); }\n",
		'src/LAYERS' => $others . "circle low/a low/b high/c: they are one\n"),
	qq{1|src/low/b.c: calls c of "high/c.c", which is above it\n}, 'a call into a higher room, without its header');
is(said('src/LAYERS' => $others), "1|circle: low/a low/b\n", 'a circle that is not named');
is(said('src/LAYERS' => $others . "circle low/a low/b\n"),
	qq{1|src/LAYERS: "circle low/a low/b" is neither a room nor an exception with its reason\n},
	'... or without its reason');
is(said('src/low/b.c' => "void b(void);\nvoid b(void) { }\n"), "1|src/LAYERS: low/a low/b is no circle\n",
	'a circle that is none');
is(said('src/d.c' => "int d;\n"), "1|src/d.c: it is in no room\n", 'a file outside of the rooms');
is(said('src/other/d.c' => "int d;\n"), "1|src/other/d.c: it is in no room\n", '... in a room that is not listed');
is(said('sql/d.sql' => ''), "1|sql/d.sql: it is in no room\n", '... or of SQL');
is(said('sql/other/d.sql' => ''), "1|sql/other/d.sql: it is in no room\n", '... in such a room');
is(said('src/high/README.md' => undef), "1|src/high: the room has no README.md\n",
	'a room that says nothing of itself');
is(said('test/sql/low/a.sql' => undef, 'test/sql/high/a.sql' => "SELECT 1;\n"),
	"1|sql/low/a.sql: there is no test/sql/low/a.sql\n", 'SQL without a test in its room');
is(said('test/sql/low/a.sql' => ''), "1|sql/low/a.sql: there is no test/sql/low/a.sql\n", '... or with an empty one');
is(said('sql/low/b.sql' => "SELECT 1;\n", 'test/sql/low/b.sql' => "SELECT 1;\n"),
	"1|sql/low/b.sql: there is no doc/reference/b.md\n", 'SQL without a page');
is(said('doc/reference/c.md' => "c\n"), "1|src/LAYERS: high/c has a page of its own\n",
	'... or with one that is said to be missing');
is(said('doc/reference/a.md' => undef), '0|', 'as long as there are no such pages, none is missed');
is(said('sql/low/begin.sql' => undef), "1|src/LAYERS: there is no sql/low/begin.sql\n",
	'an exception for what is not there');
is(said('src/LAYERS' => "low\nhigh\ncircle low/a low/b: they are one\nbare low/begin\n"),
	qq{1|src/LAYERS: "bare low/begin" is neither a room nor an exception with its reason\n},
	'... or without its reason');

done_testing;
