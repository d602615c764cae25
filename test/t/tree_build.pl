# The extension can be built in another directory than that of its sources: the library has all that the install script
# asks of it, out of objects of its own, and what is installed and tested is the same. A Makefile without its sources
# says so, instead of linking a library with nothing in it, and so does one with a path that make or a shell misreads.
# And a file that uses what differs between PostgreSQL's majors includes compat.h, instead of compiling by luck on one
# of them.

use strict;
use warnings;
use Cwd qw(getcwd);
use File::Copy qw(copy);
use File::Temp qw(tempdir);
use Test::More;
use PromoteTest;

my $node = PromoteTest->new;
my $top = getcwd;
my @sources = map { s/\.c$//r } glob 'src/*.c src/*/*.c';
my $directory = tempdir('promote build.XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $installed = tempdir('promote_installed.XXXXXX', TMPDIR => 1, CLEANUP => 1);
# a path of the sources that is odd, but read as it is
my $odd = tempdir('promote_odd.XXXXXX', TMPDIR => 1, CLEANUP => 1) . "/-a+b~c,d\@e=f#g!h^i{j}k\xc3\xa4";
symlink $top, $odd or die "cannot make a link: $!\n";

# Runs make in the directory, with the Makefile of another one, and returns (exit status, all it printed).
sub make {
	my ($makefile, @arguments) = @_;
	# what an outer make was told is not about this one
	delete local @ENV{qw(MAKEFLAGS MFLAGS MAKELEVEL COPT VPATH)};
	my ($rc, $out, $err) = $node->run('make', '-s', '-C', $directory, '-f', $makefile,
		'PG_CONFIG=' . ($ENV{PG_CONFIG} || 'pg_config'), @arguments);
	return ($rc, $out . $err);
}

sub slurp { return PromoteTest::slurp(@_) }

# ---- the build ----

chomp(my $processors = `nproc`);
my @cheaply = ('with_llvm=no', 'COPT=-O0 -g0 -w', "-j$processors");
my ($rc, $out) = make("$odd/Makefile", @cheaply, "DESTDIR=$installed", 'install');
is($rc, 0, 'it is built and installed from another directory') or diag($out);
is_deeply([ grep { !-e "$directory/$_.o" } @sources ], [],
	'every source has its object there, whatever lies beside the sources');

my ($script) = map { s{.*/}{}r } glob "'$directory'/promote--*.sql";
my %wanted = map { $_ => 1 } slurp("$directory/$script") =~ /'MODULE_PATHNAME', '(\w+)'/g;
my %there = map { $_ => 1 } `nm -D --defined-only '$directory/promote.so'` =~ / T (\w+)$/mg;
cmp_ok(scalar keys %wanted, '>', 100, 'the install script asks for functions');
is_deeply([ grep { !$there{$_} } sort keys %wanted ], [], '... and the library has each of them');

my %installed = map { s{.*/}{}r => $_ } split /\n/, `find '$installed' -type f`;
is_deeply([ sort keys %installed ], [ sort 'promote.so', 'promote.control', $script ], 'what is installed');
is(slurp($installed{$script}), join('', map { slurp("sql/$_.sql") } split ' ', slurp('sql/ORDER')),
	'... the script whole');
ok((stat $installed{'promote.so'})[7] == (stat "$directory/promote.so")[7], '... and the library that was built');

# As pg_buildext and others call it, which say by VPATH, too, where the sources are.
($rc, $out) = make("$odd/Makefile", @cheaply, "VPATH=$odd", "DESTDIR=$installed/again", 'install');
is($rc, 0, 'it is installed when VPATH says where the sources are') or diag($out);
chomp(my @again = `find '$installed/again' -type f -printf '%f\n'`);
is_deeply([ sort @again ], [ sort keys %installed ], '... as without it');

# ---- the tests of a running server ----

{
	local @ENV{qw(PGHOST PGPORT PGUSER)} = ($node->dir, 5432, 'postgres');
	($rc, $out) = make("$odd/Makefile", @cheaply, 'installcheck', 'REGRESS=promotion_printed',
		'ISOLATION=grant_vs_revoke');
}
is($rc, 0, 'installcheck finds its tests from there') or diag($out);
ok(-d "$directory/test/output/regress" && -d "$directory/test/output/isolation", '... and leaves its output there');

# ---- without sources ----

my $bare = tempdir('promote_bare.XXXXXX', TMPDIR => 1, CLEANUP => 1);
copy($_, $bare) or die "cannot copy $_: $!\n" for 'Makefile', 'promote.control';
($rc, $out) = make("$bare/Makefile");
isnt($rc, 0, 'a Makefile whose sources are elsewhere is refused');
like($out, qr/no sources in "\Q$bare\E\/src"/, '... and says why');
for my $character (split //, q{%'"&;():$[]*?`\\|<>}) {
	my $misread = "$bare/a${character}b";
	mkdir $misread or die "cannot make a directory: $!\n";
	copy("$bare/$_", $misread) or die "cannot copy $_: $!\n" for 'Makefile', 'promote.control';
	($rc, $out) = make("$misread/Makefile");
	like("$rc $out", qr/^2 .*"\Q$misread\E" has a character that make or a shell reads/s,
		"a path with $character is refused");
}

# ---- other majors ----

# What compat.h supplies where a server does not, and what moved from postgres.h into varatt.h, which it includes.
my $compat = slurp('src/base/compat.h');
my @supplied = ($compat =~ /^#define (?!PROMOTE_)(\w+)/mg, $compat =~ /^static inline [\w ]+\*?\n(\w+)\(/mg);
cmp_ok(scalar @supplied, '>', 3, 'compat.h supplies something');
my $word = join '|', @supplied, '(?:SET_)?VAR(?:DATA|SIZE|TAG|ATT)[A-Z0-9_]*', 'VARHDRSZ_\w+';
my @lucky;
# 18 has given that up, and 15 does not notice
my $given_up = 'pg_attribute_noreturn';
for my $path (glob 'src/*/*.[ch] src/*.c') {
	my $text = slurp($path) =~ s{/\*.*?\*/|"(?:[^"\\]|\\.)*"}{$& eq '"base/compat.h"' ? $& : ''}gesr;
	push @lucky, "$path uses $given_up" if $text =~ /\b$given_up\b/;
	push @lucky, "$path asks for the version" if $path ne 'src/base/compat.h' && $text =~ /\bPG_VERSION/;
	push @lucky, "$path makes a row's description that is never complete"
		if (() = $text =~ /\bCreateTemplateTupleDesc\(/g) > (() = $text =~ /\bTupleDescFinalize\(/g);
	push @lucky, "$path uses $1" if $path ne 'src/base/compat.h' && $text !~ m{^#include "base/compat\.h"$}m
		&& $text =~ /\b($word)\b/;
}
is_deeply(\@lucky, [], '... and who uses that includes it, and leaves what differs to it');

done_testing;
