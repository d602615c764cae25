# A release: files that disagree about the version are named, and are set by one command; `./dev release` commits the
# date, tests, packages, archives and tags, and a dry run leaves nothing of it. What fails leaves the branch as it was.

use strict;
use warnings;
use Test::More;
use CheckoutTest;
use PromoteTest;

my $copy = CheckoutTest->new or plan skip_all => 'this is no checkout of git';
my ($version) = $copy->slurp('promote.control') =~ /^default_version = '(.*)'$/m;
my $released = $copy->slurp('CHANGELOG.md') =~ /^## \[\Q$version\E\]/m;

# ---- versions ----

is($copy->must('packaging/versions'), $version, 'the files agree about the version');
my %places = ('META.json' => 3, 'debian/changelog' => 1, 'packaging/promote.spec' => 1);
for my $file (sort keys %places) {
	for my $place (1 .. $places{$file}) {
		my $found = 0;
		$copy->edit($file, sub { s/\Q$version\E(?=["\)\n]|\.sql)/++$found == $place ? '7.7.7' : $version/ge });
		my ($status, $output) = $copy->run('packaging/versions');
		is("$status $output", "1 $file: 7.7.7, not $version\n", "$file is named where place $place says another one");
		$copy->must(qw(git checkout -q .));
	}
}
$copy->edit('debian/changelog', $released ? sub { s/unstable/UNRELEASED/ } : sub { s/UNRELEASED/unstable/ });
like(($copy->run('packaging/versions'))[1], qr/^debian\/changelog: \Q$version\E is (?:not )?released$/,
	'an entry of a package is released when CHANGELOG.md has its date');
$copy->must(qw(git checkout -q .));
for my $heading ('## Soon', '## [1.0] - 2026-01-01', '## [1.0.0] - today') {
	$copy->edit('CHANGELOG.md', sub { s/\z/\n$heading\n/ });
	my $title = $heading =~ s/^## //r;
	is(($copy->run('packaging/versions'))[1], "CHANGELOG.md: \"$title\" is not [VERSION] - DATE\n",
		"not a heading of a release: $title");
	$copy->must(qw(git checkout -q .));
}

my $bare = sub { return scalar(() = $copy->slurp('debian/changelog') =~ /^promote \(/mg) };
my $entries = $bare->();
is($copy->must('packaging/versions', '7.7.7'), '7.7.7', 'one command sets all of them');
is($bare->(), $released ? $entries + 1 : $entries, '... and an entry that is not released becomes one of it');
is($copy->must('packaging/versions', $version), $version, '... and back') if !$released;
for my $odd ('1.0', '01.0.0', '1.0.0-rc1', "1.0.0\n", '../1.0.0') {
	my ($status, $output) = $copy->run('packaging/versions', $odd);
	isnt($status, 0, 'not of the form of a version: ' . $odd =~ s/\n/\\n/r);
}
$copy->must(qw(git checkout -q .));

# ---- what a release is made of ----

# Building and testing are others' subjects: here they are told of.
$copy->spew('dev', <<'SH');
#!/bin/sh
echo "dev $*" >>.git/told
[ ! -e .git/fails ] || exit 1
mkdir -p "$3"
echo package >"$3/promote.deb"
SH
$copy->spew('.ci/run', "#!/bin/sh\necho 'ci run' >>.git/told\n");
# An unreleased state to begin with, whatever this checkout is in.
my $next = $version;
if ($released) {
	$next = $version =~ s/(\d+)$/$1 + 1/er;
	$copy->must('packaging/versions', $next);
}
$copy->edit('CHANGELOG.md', sub { s/^## \[Unreleased\]\n\K/\nWhat is new.\n\n- A test.\n/m });
$copy->commit;
my $made = $copy->dir . '/.git/made';
my $before = state();

# The commit, the tags, and what is not committed.
sub state {
	return join "\n", map { $copy->must('git', split ' ') } 'rev-parse HEAD', 'tag', 'status --porcelain';
}

# Runs a release, and returns its status and what it printed.
sub release {
	return $copy->run('env', 'PG_CONFIG=' . ($ENV{PG_CONFIG} || 'pg_config'), 'packaging/release', '--into', $made, @_);
}

sub refuses {
	my ($what, $why, @arguments) = @_;
	my $found = state();
	my ($status, $output) = release(@arguments);
	is($status, 1, "refused: $what");
	like($output, $why, '... and says why');
	is(state(), $found, '... with nothing done');
	return;
}

refuses('no version', qr/which version/);
refuses('another version than that of promote.control', qr/promote\.control says \Q$next\E/, '9.9.9');
refuses('two versions', qr/one version is released/, $next, $next);
refuses('an option that there is not', qr/there is no option --quick/, '--quick', $next);
$copy->spew('README.md', 'changed');
refuses('changes', qr/commit or take back/, $next);
$copy->must(qw(git checkout -q .));
$copy->must(qw(git checkout -q --detach));
refuses('no branch', qr/this is no branch/, $next);
$copy->must(qw(git checkout -q trunk));
$copy->must('git', 'tag', "v$next");
refuses('a tag that is there', qr/there is a tag v\Q$next\E/, $next);
$copy->must('git', 'tag', '-d', "v$next");
$copy->edit('META.json', sub { s/"version": "\Q$next\E"/"version": "7.7.7"/ });
$copy->commit;
refuses('files that disagree', qr/disagree about the version:\nMETA\.json: 7\.7\.7/, $next);
$copy->must(qw(git reset -q --hard HEAD~));
$copy->edit('CHANGELOG.md', sub { s/^## \[Unreleased\]\n\K.*?(?=^## \[|\z)//ms });
$copy->commit;
refuses('nothing new', qr/nothing under \[Unreleased\]/, $next);
$copy->must(qw(git reset -q --hard HEAD~));
is(state(), $before, 'all as it was');

# ---- what fails ----

$copy->must(qw(touch .git/fails));
my ($status, $output) = release($next);
isnt($status, 0, 'packages that fail end a release');
like($output, qr/the branch is where it was, and there is no tag v\Q$next\E/, '... which says what is left');
is(state(), $before, '... nothing');
is($copy->slurp('.git/told'), "ci run\ndev package --into $made\n", '... after the tests');
$copy->must(qw(rm .git/fails .git/told));

# ---- a dry run ----

($status, $output) = release('--dry-run', $next);
is($status, 0, 'a dry run') or diag($output);
like($output, qr/tag: v\Q$next\E\).*promote \Q$next\E$/m, '... shows the commit and the tag');
like($output, qr/^promote-\Q$next\E\.zip$/m, '... and what was made');
is(state(), $before, '... and leaves nothing');
ok(!-e $made, '... not even that');

# ---- the release ----

($status, $output) = release($next);
is($status, 0, 'a release') or diag($output);
my ($commit) = split /\n/, $before;
is($copy->must(qw(git rev-parse HEAD~)), $commit, '... is one commit');
is($copy->must('git', 'rev-parse', "v$next^{commit}"), $copy->must(qw(git rev-parse HEAD)), '... with its tag');
is($copy->must('git', 'cat-file', '-t', "v$next"), 'tag', '... which says who has set it');
is($copy->must(qw(git status --porcelain)), '', '... and leaves nothing behind');
is($copy->slurp('.git/told'), "ci run\ndev package --into $made\n", '... tested and packaged');
is_deeply([ map { s{.*/}{}r } sort glob "$made/*" ], [ "promote-$next.zip", 'promote.deb' ], '... with its archive');
my $changes = $copy->slurp('CHANGELOG.md');
like($changes, qr/^## \[Unreleased\]\n\n## \[\Q$next\E\] - \d{4}-\d\d-\d\d\n\nWhat is new\.$/m,
	'... what was new has its version and date, and the next [Unreleased] is open');
my $date = qr/\w{3}, \d\d \w{3} \d{4} [\d:]{8} \+0000/;
like($copy->slurp('debian/changelog'), qr/\Apromote \(\Q$next\E\) unstable;[^\n]*\n\n[^\n]*\n\n -- [^\n]*  $date\n/,
	'... so has the package of Debian');
like($copy->slurp('packaging/promote.spec'), qr/^%changelog\n\* \w{3} \w{3} \d\d \d{4} .* - \Q$next\E-1$/m,
	'... and that of Red Hat');
is($copy->must('packaging/versions'), $next, '... and the files agree');

refuses('the same version again', qr/there is a tag/, $next);
($status, $output) = $copy->run('packaging/versions', $next);
like($output, qr/is released/, '... which nothing can become any more');
is($copy->must('packaging/versions', '9.9.9'), '9.9.9', 'the next version');
is($bare->(), $released ? $entries + 2 : $entries + 1, '... has an entry of its own');

done_testing;
