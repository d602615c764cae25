# The archive that `make dist` makes has what is committed and nothing else, but for the install script that META.json
# names. What is in it builds what the checkout builds, and its tests run from there.

use strict;
use warnings;
use File::Temp qw(tempdir);
use Test::More;
use CheckoutTest;
use PromoteTest;

my $copy = CheckoutTest->new or plan skip_all => 'this is no checkout of git';
my ($version) = $copy->slurp('promote.control') =~ /^default_version = '(.*)'$/m;
my $config = 'PG_CONFIG=' . ($ENV{PG_CONFIG} || 'pg_config');
my $name = "promote-$version";

# ---- what is in it ----

# what lies about is nobody's business but its owner's
$copy->spew('src/stray.c', 'int stray;');
$copy->spew('promote--0.0.1.sql', '-- stray');
$copy->edit('README.md', sub { s/\z/\nA change\n/ });
my ($status, $output) = $copy->run('make', '-s', $config, 'dist');
isnt($status, 0, 'what has changed and is not committed is not left out in silence');
like($output, qr/^dist: commit or take back what has changed$/m, '... but said');
ok(!-e $copy->dir . "/$name.zip", '... and no archive is made');
$copy->must(qw(git checkout -q .));
($status, $output) = $copy->run('make', '-s', $config, 'dist');
is($status, 0, 'an archive is made') or diag($output);

my $dir = tempdir('promote_dist.XXXXXX', TMPDIR => 1, CLEANUP => 1);
# Perl's core reads no zip archive with its modes, and Python's no modes of its own.
is(system('python3', '-c', <<'PYTHON', $copy->dir . "/$name.zip", $dir), 0, '... and unpacked') or die "no archive\n";
import os, sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
for each in archive.infolist():
    path = archive.extract(each, sys.argv[2])
    if each.external_attr >> 16:
        os.chmod(path, each.external_attr >> 16 & 0o777)
PYTHON
my $top = "$dir/$name";
is_deeply([ map { s{.*/}{}r } glob "$dir/{*,.[!.]*}" ], [$name], 'all of it is in one directory of its name');
chomp(my @found = `cd '$top' && find . -type f -printf '%P\\n'`);
my @wanted = (grep({ !m{^\.(?:ci/|git)} } $copy->files), "promote--$version.sql");
is_deeply([ sort @found ], [ sort @wanted ], '... with what is committed, and nothing stray');
my ($file) = PromoteTest::slurp("$top/META.json") =~ /"file": "([^"]+)"/;
is(PromoteTest::slurp("$top/$file"), join('', map { PromoteTest::slurp("sql/$_.sql") } split ' ',
	PromoteTest::slurp('sql/ORDER')), '... and the install script, which META.json names, whole');
my ($docfile) = PromoteTest::slurp("$top/META.json") =~ /"docfile": "([^"]+)"/;
ok(-s "$top/$docfile", '... so is the page');
is(join(' ', grep { (-x $_ xor -x "$top/$_") } $copy->files, ()) =~ s/\.(?:ci|git)\S*//gr =~ s/^\s+|\s+$//gr, '',
	'... programs are programs');

# ---- what can be done with it ----

sub in_archive {
	my (@command) = @_;
	open my $out, '-|', 'sh', '-c', 'cd "$0" && exec "$@" 2>&1 </dev/null', $top, @command or die "cannot run it: $!\n";
	my $said = do { local $/; <$out> } // '';
	close $out;
	return ($? >> 8, $said);
}

chomp(my $processors = `nproc`);
($status, $output) = in_archive('make', '-s', "-j$processors", $config, 'with_llvm=no', 'COPT=-O0 -g0 -w',
	"DESTDIR=$dir/installed", 'install');
is($status, 0, 'it builds and installs') or diag($output);
chomp(my @installed = `find '$dir/installed' -type f -printf '%f\\n'`);
my %scripts = map { s{.*/}{}r => 1 } glob('sql/promote--*.sql'), "promote--$version.sql";
is_deeply([ sort @installed ], [ sort 'promote.so', 'promote.control', keys %scripts ],
	'... what the checkout does');

# The server has the extension of the checkout, which the two have just shown to be of the same text.
($status, $output) = in_archive('env', $config, $^X, 'test/run.pl', '--jobs', 1, 'tree_layers.pl', 'version.sql',
	'promotion_printed.sql', 'grant_vs_revoke.spec');
is($status, 0, 'it tests: TAP, pgTAP, what people see, and sessions') or diag($output);
like($output, qr/^[1-9]\d* passed, 0 failed$/m, '... all of these');

done_testing;
