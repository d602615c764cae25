# Every source compiles against the headers of every major version of PostgreSQL that is at hand beside the one that all
# else is tested on, without a warning: a header that is included by luck on one major is missed on another. At hand is
# what PG_CONFIGS names, what Debian's packages have installed, and what stands in chroots of ./dev matrix.

use strict;
use warnings;
use File::Temp qw(tempdir);
use POSIX ();
use Test::More;
use PromoteTest;

my $directory = tempdir('promote_headers.XXXXXX', TMPDIR => 1, CLEANUP => 1);
chomp(my $processors = `nproc`);
my ($warnings) = PromoteTest::slurp('Makefile') =~ /^PG_CFLAGS = (.*)/m or die "the Makefile has no PG_CFLAGS\n";
# Headers know the compiler that their server was built by, which may be newer than the one here.
my @compiler = ('gcc', '-std=gnu11', split(' ', $warnings), '-Werror', '-D_GNU_SOURCE',
	system("echo 'int a; typeof_unqual(a) b;' | gcc -std=gnu11 -fsyntax-only -x c - 2>/dev/null") == 0 ? ()
	: '-Dtypeof_unqual=__typeof__');

# ---- which majors ----

# The major that headers are of.
sub major_of {
	my ($include) = @_;
	my ($major) = PromoteTest::slurp("$include/pg_config.h") =~ /^#define PG_MAJORVERSION "(\d+)"/m;
	return $major;
}

sub include_of {
	my ($config) = @_;
	chomp(my $include = `'$config' --includedir-server 2>/dev/null`);
	return $include;
}

my %options;    # of the compiler, for each major; the first that is found counts
my $own = major_of(include_of($ENV{PG_CONFIG} || 'pg_config'));
for my $config (split(' ', $ENV{PG_CONFIGS} // ''), glob '/usr/lib/postgresql/*/bin/pg_config') {
	my $include = include_of($config);
	my $major = major_of($include) or next;
	$options{$major} //= ["-I$include"];
}
if (defined $ENV{CHROOTS}) {
	for my $include (glob "$ENV{CHROOTS}/*/usr/include/postgresql/*/server") {
		my $major = major_of($include) or next;
		my ($root) = $include =~ m{^(\Q$ENV{CHROOTS}\E/[^/]+)/};
		$options{$major} //= [ "--sysroot=$root", "-I$include" ];
	}
}
delete $options{$own};
plan skip_all => "no headers of another PostgreSQL than $own" if !%options;

# ---- compiling ----

# Begins to look at a source, and returns where complaints will stand.
sub begin {
	my ($major, $source) = @_;
	my $complaints = "$directory/$major/complaints-" . ($source =~ tr{/}{-}r);
	my $pid = fork // die "cannot fork: $!\n";
	return $complaints if $pid;
	open STDERR, '>', $complaints or POSIX::_exit(126);
	exec @compiler, "-I$directory/$major", '-Isrc', @{ $options{$major} }, '-fsyntax-only', $source
	  or POSIX::_exit(127);
}

# Begins with postgres.h, as every source does, which is read once for all of them.
sub precompile {
	my ($major) = @_;
	my ($include) = map { /^-I(.*)/ } @{ $options{$major} };
	mkdir "$directory/$major" or die "cannot make $directory/$major: $!\n";
	symlink "$include/postgres.h", "$directory/$major/postgres.h";
	system(@compiler, @{ $options{$major} }, '-x', 'c-header', '-o', "$directory/$major/postgres.h.gch",
		"$include/postgres.h") == 0 or diag("PostgreSQL $major: postgres.h is read again for each source");
	return;
}

# All that is complained about in sources.
sub complaints {
	my ($major, @sources) = @_;
	my ($running, @found) = (0);
	for my $source (@sources) {
		if ($running >= $processors) { wait; $running-- }
		push @found, begin($major, $source);
		$running++;
	}
	1 while wait != -1;
	return join '', map { PromoteTest::slurp($_) } @found;
}

my $forgetful = "$directory/forgetful.c";
open my $file, '>', $forgetful or die "cannot write $forgetful: $!\n";
print $file "#include \"postgres.h\"\n\nDatum forgetful(void);\n\nDatum\nforgetful(void)\n{\n",
  "\treturn PointerGetDatum(palloc(GetUserId()));\n}\n";
close $file;

for my $major (sort keys %options) {
	precompile($major);
	is(complaints($major, glob 'src/*.c src/*/*.c'), '', "PostgreSQL $major: nothing is complained about");
	like(complaints($major, $forgetful), qr/GetUserId/, '... as a header that is not included would be');
}

done_testing;
