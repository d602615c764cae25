# What people see of the demo: its pages are written, each of them whole, into a directory that is empty or not there
# yet; and the pictures of them that the documents show are there, light and dark, and small.

use strict;
use warnings;
use Cwd qw(getcwd);
use File::Temp qw(tempdir);
use Test::More;
use PromoteTest;

my $top = getcwd;
my $node = PromoteTest->new(
	"promote.secret_key_command = 'echo k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE='");
my $dir = tempdir(CLEANUP => 1);
my $most = 150_000;    # bytes of a picture

# ---- pages ----

# The stories, as ./dev demo runs them.
my ($psql) = $node->psql_command('postgres');
local $ENV{PATH} = ($psql =~ s{/[^/]*$}{}r) . ":$ENV{PATH}";
local @ENV{qw(PGHOST PGPORT PGUSER)} = ($node->dir, 5432, 'postgres');
my ($told, undef, $trouble) = $node->run('demo/run');
is($told, 0, 'the stories are told') or diag($trouble);
mkdir "$dir/pages" or die "cannot make a directory: $!\n";
my ($rc, $out, $err) = $node->run('demo/pages', "$dir/pages");
is("$rc$out$err", '0', 'pages are written');

my $index = PromoteTest::slurp("$dir/pages/index.html");
my %linked = $index =~ m{<a href="([^"]+)">[^<]+</a><br><code>SELECT ([^<]+);</code>}g;
my %there = map { s{.*/}{}r => $_ } glob "$dir/pages/*";
is_deeply([ sort 'index.html', keys %linked ], [ sort keys %there ], 'the first page leads to all of them');
my %called = map { /promote\.(\w+)/ ? ($1 => 1) : () } values %linked;
is(join(' ', grep { !$called{$_} } split /\n/, $node->query('opening-a-region', q{SELECT proname FROM pg_proc
	WHERE pronamespace = 'promote'::regnamespace AND proname ~ '_html$|^pipeline_|^matrix_text$|^plan_markdown$'
	ORDER BY 1})), '', '... each kind that there is is among them');
my %begins = (html => qr/<!doctype html>\n.*<h1>/s, ics => qr/BEGIN:VCALENDAR\r?\n/, md => qr/## Plan /,
	mmd => qr/flowchart/, dot => qr/digraph/, txt => qr/component.*app .*network/s);
my %ends = (html => qr{</html>\n\n?}, ics => qr/END:VCALENDAR\s*/, md => qr/\n/, mmd => qr/\n/,
	dot => qr/\}\n\n?/, txt => qr/\n/);
for my $file (sort keys %there) {
	my ($kind) = $file =~ /\.(\w+)$/;
	like(PromoteTest::slurp($there{$file}), qr/\A$begins{$kind}.*$ends{$kind}\z/s, "$file is whole");
}
like(PromoteTest::slurp($there{'review.html'}), qr/a smaller machine will do.*undo/s, '... and tells the story');

# ---- ./dev demo --pages DIR ----

# Runs it where it ends before it builds anything.
sub dev { my ($status, $said, $error) = $node->run('./dev', @_); return "$status: $error" }
mkdir "$dir/full" or die "cannot make a directory: $!\n";
write_file($_) for "$dir/full/mine", "$dir/file";
like(dev('demo', '--pages', "$dir/full"), qr{^1: dev: \Q$dir\E/full is not empty: name an empty directory},
	'a directory with something in it');
is(join(' ', map { s{.*/}{}r } glob "$dir/full/*"), 'mine', '... stays as it is');
like(dev('demo', '--pages', "$dir/file"), qr{^1: dev: cannot make the directory \Q$dir\E/file$}m, 'a file');
like(dev('demo', '--pages', "$dir/file/pages"), qr{^1: dev: cannot make the directory}, 'what cannot be made');
like(dev('demo', '--pages'), qr{^1: dev: demo --pages DIR: which directory}, 'no directory');
like(dev('demo', '--page', "$dir/x"), qr{^1: dev: demo knows --keep and --pages, not --page$}m, 'another option');
SKIP: {
	skip 'there is no user but root', 1 if $> == 0 && !defined $node->owner;
	my @user = $> == 0 ? ('runuser', '-u', $node->owner, '--') : ();
	chmod 0755, $dir;
	mkdir "$dir/closed" or die "cannot make a directory: $!\n";
	chmod 0555, "$dir/closed";
	my ($status, $said, $error) = $node->run(@user, './dev', 'demo', '--pages', "$dir/closed");
	like("$status: $error", qr{^1: dev: cannot write into \Q$dir\E/closed$}m, 'a directory that is not for writing');
}

# ---- pictures ----

# What is there for a program that finds nothing but what a shell needs.
mkdir "$dir/bin" or die "cannot make a directory: $!\n";
for my $name (qw(sh dirname mktemp chmod rm id env cat)) {
	my ($path) = grep { -x } map { "$_/$name" } '/usr/bin', '/bin';
	symlink $path, "$dir/bin/$name";
}
{
	local $ENV{PATH} = "$dir/bin";
	like(dev('pictures'), qr{^1: dev: pictures are taken by chromium, which is not there \(Debian: chromium\)$}m,
		'without chromium it says so');
}

my %pages = map { $_ => PromoteTest::slurp($_) } 'README.md', glob 'doc/*/*.md';
my (%shown, @wrong);
for my $page (sort keys %pages) {
	my $folder = $page =~ s{[^/]*$}{}r;
	while ($pages{$page} =~ m{(<picture>.*?</picture>|<img [^>]*>)}gs) {
		my $picture = $1;
		my ($dark) = $picture =~ /<source media="\(prefers-color-scheme: dark\)" srcset="([^"]+)">/;
		my ($alt, $light) = $picture =~ /<img alt="([^"]{20,})"[^>]* src="([^"]+)"/;
		push @wrong, "$page: $picture" if !$light || ($dark // '') ne $light =~ s/-light\.png$/-dark.png/r;
		$shown{ normal("$folder$_") }++ for grep { defined } $dark, $light;
	}
}
is_deeply(\@wrong, [], 'each picture is there for both schemes, and in words');
my @pictures = glob 'doc/pictures/*';
cmp_ok(scalar @pictures, '>=', 4, 'there are pictures');
is_deeply([ sort keys %shown ], [ sort @pictures ], '... those that are shown, and each is shown');
ok($pages{'README.md'} =~ /<picture>/, '... also on the first page');
for my $picture (@pictures) {
	like(PromoteTest::slurp($picture, 8), qr/\A\x89PNG\r\n\x1a\n\z/, "$picture is one");
	cmp_ok(-s $picture, '<', $most, '... and not large');
}
like(PromoteTest::slurp('dev'), qr/^\tfor page in [a-z ]+; do$/m, 'the command that remakes them');
my ($taken) = PromoteTest::slurp('dev') =~ /^\tfor page in ([a-z ]+); do$/m;
is_deeply([ sort map { ("doc/pictures/$_-dark.png", "doc/pictures/$_-light.png") } split / /, $taken ],
	[ sort @pictures ], '... remakes all of them');
is_deeply([ grep { !$there{"$_.html"} } split / /, $taken ], [], '... of pages that are written');

done_testing();

sub write_file {
	my ($path) = @_;
	open my $file, '>', $path or die "cannot write $path: $!\n";
	close $file;
	return;
}

# A path without its ".." steps.
sub normal {
	my ($path) = @_;
	1 while $path =~ s{[^/.]+/\.\./}{};
	return $path;
}
