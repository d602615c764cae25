# The tree keeps to one style, and test/style refuses what does not: a small tree that is right, and made wrong in one
# way after the other.

use strict;
use warnings;
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use Test::More;

# The status and the words of test/style for a tree.
sub style {
	my ($top) = @_;
	my $out = `$^X test/style '$top'`;
	return ($? >> 8) . "|$out";
}

is(style('.'), '0|', 'the tree');

my $right_c = <<'END';
/*
 * a.c: words, "it's" and 'quotes'.
 */
#include "postgres.h"

#include <signal.h>
#include <unistd.h>

#include "fmgr.h"
#include "utils/builtins.h"

#include "low/a.h"

/* Returns one. */
static int
one(const char *word, int number)
{
	static const int all[] = {
		1, 2
	};

	return strcmp(word, "LONG") == 0 ? number : all[0];
}
END
my $long = 'a message may be long ' x 8;
$right_c =~ s/LONG/$long/;
my $right_sql = <<'END';
\echo Use "create extension" to load this file. \quit
-- Words that select nothing: it's one comment.
CREATE FUNCTION promote.a(document jsonb) RETURNS jsonb
    LANGUAGE c IMMUTABLE
    AS 'MODULE_PATHNAME', 'a';
COMMENT ON FUNCTION promote.a(jsonb) IS
'Words that select nothing from it, in two
  lines';
SELECT pg_catalog.left('a', 1) AS "select"
  FROM promote.a AS a
 WHERE a.position IS NULL;
END

# What is said of the right tree where a pattern of a file is replaced; $1 and $2 in the replacement are its groups.
sub said {
	my ($file, $from, $to) = @_;
	my $top = tempdir('promote_style.XXXXXX', TMPDIR => 1, CLEANUP => 1);
	my %files = ('src/low/a.c' => $right_c, 'src/low/a.h' => qq{#include "postgres.h"\n},
		'sql/low/a.sql' => $right_sql);
	if (defined $file) {
		my @group = $files{$file} =~ $from or die "$file has no $from\n";
		$files{$file} =~ s/$from/$to =~ s{\$(\d)}{$group[$1 - 1]}gr/e;
	}
	for my $name (sort keys %files) {
		make_path("$top/" . $name =~ s{/[^/]*\z}{}r);
		open my $out, '>', "$top/$name" or die "$name: $!\n";
		print $out $files{$name};
		close $out;
	}
	return style($top);
}

is(said(), '0|', 'one that is right');

my ($c, $sql) = ('src/low/a.c', 'sql/low/a.sql');
my @wrong = (
	[ 'blanks at the end of a line', $c, qr/2\n/, "2 \n", "19: white space at the end of the line" ],
	[ '... of SQL', $sql, qr/AS a\n/, "AS a\t\n", "10: white space at the end of the line", '10: a tab' ],
	[ 'blanks that indent', $c, qr/\t\t1, 2/, '    1, 2', '19: indented by blanks' ],
	[ 'a comment of nothing', $c, qr/Returns one/, 'The same, but one',
		'14: a comment that does not name its subject' ],
	[ '... on the next line', $c, qr/a\.c:/, 'Its', '1: a comment that does not name its subject' ],
	[ 'a long line', $c, qr/1, 2/, '1, ' x 50 . '2', '19: wider than 120 columns' ],
	[ '... of tabs', $c, qr/\t\t1, 2/, "\t" x 30 . '1, 2', '19: wider than 120 columns' ],
	[ '... of a comment', $c, qr/Returns one/, 'Returns "' . 'one' x 40 . '"', '14: wider than 120 columns' ],
	[ 'a function without a comment', $c, qr/.. Returns one.*\n/, "\n", '16: one has no comment directly above' ],
	[ '... or with one further above', $c, qr/(Returns one.*\n)/, "\$1\n", '17: one has no comment directly above' ],
	[ 'a long function', $c, qr/\treturn/, "\n" x 56 . "\treturn", '16: one has more than 60 lines' ],
	[ 'includes in another order', $c, qr/(.*fmgr.*\n)(.*builtins.*\n)/, '$2$1', '4: includes are out of order' ],
	[ '... twice', $c, qr/(.*fmgr.*\n)/, '$1$1', '4: includes are out of order' ],
	[ '... without a blank line', $c, qr/builtins.h"\n\n/, "builtins.h\"\n", '4: includes are out of order' ],
	[ '... with own ones first', $c, qr/(.*signal(?s:.*builtins.*?\n))\n(.*a\.h.*\n)/, "\$2\n\$1",
		'4: includes are out of order' ],
	[ '... without postgres.h', 'src/low/a.h', qr/postgres/, 'low/a', '1: postgres.h is not included' ],
	[ 'tabs in SQL', $sql, qr/    AS/, "\tAS", '5: a tab' ],
	[ 'two blanks in SQL', $sql, qr/    LANG/, '  LANG', '4: not indented by four blanks' ],
	[ 'a language in capitals', $sql, qr/E c/, 'E C', '4: the name of a language is not lower case' ],
	[ 'a keyword in small letters', $sql, qr/WHERE/, 'where', '11: a keyword in lower case' ],
	[ 'a comment of C in SQL', $sql, qr/--.*/, '/* words */', '2: a comment that is not of --' ],
);
for (@wrong) {
	my ($what, $file, $from, $to, @expected) = @$_;
	is(said($file, $from, $to), join('', '1|', map { "$file:$_\n" } @expected), $what);
}

done_testing;
