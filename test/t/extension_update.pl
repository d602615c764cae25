# A database goes from one version of promote to the next, and nothing is lost: each released version, filled with the
# stories of the tutorials and with what sessions do at random, is served as it is by the next library, is updated, and
# then has the same catalog as one that is made new, the same rows, digests and heads, and dumps that restore. Until
# there are more versions the next one is made up, t/lib/ServerTree.pm. And who has library and script in the wrong
# order is told so: an old script that lacks what is asked for, and a new script under an old library.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../fuzz/lib";
use File::Basename qw(basename);
use Test::More;
use PromoteTest;
use CatalogTest;
use HistoryWork;
use ServerTree;
use Session;

my $pg_config = $ENV{PG_CONFIG} || 'pg_config';
my $seed = $ENV{PROMOTE_SEED} // time % 100_000;
my $tree = ServerTree->new($pg_config);
my $bindir = $tree->bindir;
$PromoteTest::bindir = $bindir;
$ENV{PATH} = "$bindir:$ENV{PATH}";

my $current = ServerTree::build(ServerTree::checkout(), $pg_config);
my $checkout = ServerTree::checkout();
my $version = ServerTree::version($current);
my $next = ServerTree::make_next($checkout, $pg_config);
ServerTree::build($checkout, $pg_config);

# ---- what is in the tree ----

my @released = sort map { /promote--([\d.]+)\.sql$/ ? $1 : () } glob 'sql/promote--*.sql';
if (grep { $_ eq $version } @released) {
	is(PromoteTest::slurp("sql/promote--$version.sql"), PromoteTest::slurp("$current/promote--$version.sql"),
		"sql/ is $version as it was released; what changes it has another version, and an update script");
}
is(PromoteTest::slurp("$checkout/sql/promote--$version.sql"), PromoteTest::slurp("$current/promote--$version.sql"),
	'make freeze keeps the script of now');
ServerTree::edit("$checkout/promote.control", "'$next'", "'$version'");
ok(!eval { ServerTree::make($checkout, $pg_config, 'freeze'); 1 }, '... and refuses to keep another one in its place');
ServerTree::edit("$checkout/promote.control", "'$version'", "'$next'");

# ---- a database with a past ----

# Tells a tutorial in a database of its name, with the extension of a version.
sub tell_story {
	my ($node, $story, $at) = @_;
	$node->create_database($story);
	local $ENV{PGDATABASE} = $story;
	my ($rc, undef, $err) = $node->run('sh', '-c', "perl demo/tell doc/tutorial/$story.md"
		. " | sed \"s/^CREATE EXTENSION promote;/CREATE EXTENSION promote VERSION '$at';/\""
		. ' | psql -X -v ON_ERROR_STOP=1 -f -');
	is($rc, 0, "$story is told by $at") or diag($err);
	is(CatalogTest::version($node, $story), $at, '... which it is');
	return;
}

# What sessions do at random, in the database that is there.
sub at_random {
	my ($seconds) = @_;
	local $ENV{PGDATABASE} = 'history';
	HistoryWork::record(seconds => $seconds, seed => $seed);
	return;
}

# A server whose library is as the tree has it, and databases of a version.
sub past {
	my ($at) = @_;
	my $node = PromoteTest->new('max_connections = 50',
		"promote.secret_key_command = 'echo k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE='");
	@ENV{qw(PGHOST PGPORT PGUSER)} = ($node->dir, 5432, 'postgres');
	tell_story($node, 'staging-to-production', $at);
	$node->create_database('history');
	local $ENV{PGDATABASE} = 'history';
	HistoryWork::prepare($at);
	at_random(3);
	$node->create_database($_) for qw(plain late);
	$node->query($_, "CREATE EXTENSION promote VERSION '$at'") for qw(plain late);
	return $node;
}

# Updates databases, and holds them against one that is made new, and against what their dumps restore.
sub update {
	my ($node, $to, @databases) = @_;
	$node->create_database('fresh');
	$node->query('fresh', 'CREATE EXTENSION promote');
	my $fresh = CatalogTest::snapshot($node, 'fresh');
	for my $database (@databases) {
		my ($rows, $evidence) = (CatalogTest::rows($node, $database), CatalogTest::evidence($node, $database));
		my ($rc, $out, $err) = $node->psql($database, 'ALTER EXTENSION promote UPDATE');
		is("$rc$out$err", '0', "$database: updated without a word");
		is(CatalogTest::version($node, $database), $to, "... to $to");
		if ($database eq 'plain') {
			is(CatalogTest::differences($fresh, CatalogTest::snapshot($node, $database)), '',
				'... and the catalog is as where it was made new');
			next;
		}
		is_deeply(CatalogTest::rows($node, $database), $rows, '... all rows are as they were');
		is(CatalogTest::evidence($node, $database), $evidence, '... and heads and digests');
		is(CatalogTest::problems($node, $database), '', '... and the log verifies');

		# which is recorded
		$node->query($database, 'SELECT promote.refresh_grants()');
		($rows, $evidence) = (CatalogTest::rows($node, $database), CatalogTest::evidence($node, $database));
		# a dump makes the extension anew; the schema is the sessions' own
		my $copy = "${database}_copy";
		my ($first, $second) = map { $node->dir . "/$_.sql" } $database, $copy;
		$node->create_database($copy);
		$node->dump($database, $first, '-N', 'hist');
		($rc, undef, $err) = $node->restore($copy, $first);
		is("$rc$err", '0', "$database: a dump restores");
		is_deeply(CatalogTest::rows($node, $copy), $rows, '... with its rows');
		is(CatalogTest::evidence($node, $copy), $evidence, '... and heads and digests');
		is(CatalogTest::problems($node, $copy), '', '... and its log verifies');
		$node->dump($copy, $second, '-N', 'hist');
		is(CatalogTest::lines($second), CatalogTest::lines($first), '... and dumps the same');
		is(CatalogTest::differences(map { CatalogTest::snapshot($node, $_) } $database, $copy), '',
			'... of one catalog')
		  if $database eq 'staging-to-production';
	}
	return;
}

my $verb = q{SELECT new_revision > 0 FROM promote.configure_instance('shop-staging-a', '{}', plan => false)};

# ---- from each version to this one ----

for my $old (grep { $_ ne $version } @released) {
	$tree->install($current);
	my $node = past($old);
	update($node, $version, qw(plain history staging-to-production));
	$node->remove;
}

# ---- from this one to the next ----

$tree->install($current);
my $node = past($version);
my $session = Session->new($node, 'history');
is($session->ask("$verb;"), 't', 'a session works');

# a package is installed: the server goes on, and its new sessions have the new library
$tree->install($checkout);
is($session->ask("$verb;"), 't', 'it works on while the package comes');
tell_story($node, 'opening-a-region', $version);
at_random(3);
is(CatalogTest::problems($node, 'history'), '', 'sessions work by the next library');
is($session->ask("$verb;"), 't', '... beside those of the library before');
$node->stop;
$node->start;
like(CatalogTest::refusal($node, 'history', $verb), qr/^done: /, 'nor does a restart break anything');

# what cannot be had yet
my $function = q{CREATE FUNCTION public.%s(project text, component text) RETURNS text LANGUAGE c STRICT
	AS '$libdir/promote', 'promote_%s'; SELECT public.%s('shop', 'a')};
is(CatalogTest::refusal($node, 'history', $function =~ s/%s/owner_team/gr), <<"END", 'what needs the next says so');
ERROR:  PM801: the extension promote is of version $version in this database, and this needs $next
DETAIL:  The library that is loaded is of version $next.
HINT:  Have the extension's owner run, in this database: ALTER EXTENSION promote UPDATE
END
is(CatalogTest::refusal($node, 'history', $function =~ s/%s/owner_team_if_any/gr), "done: nobody yet\n",
	'... and one that can do without does');
$node->query('history', 'DROP FUNCTION public.owner_team_if_any, public.owner_team');

# a session that has the library of now, while the script becomes the next
$tree->install_library($current);
$session = Session->new($node, 'history');
is($session->ask("$verb;"), 't', 'a session has the library of before');
is(CatalogTest::refusal($node, 'late', 'ALTER EXTENSION promote UPDATE'), <<"END", 'by that nothing is updated');
ERROR:  PM802: the extension promote is of version $next in this database, and the library that is loaded of $version
DETAIL:  A library serves what is as old as it is, or older.
HINT:  Have the package of version $next or newer on this server, and connect again.
END
is(CatalogTest::version($node, 'late'), $version, '... at all');
$tree->install_library($checkout);
update($node, $next, qw(plain history opening-a-region staging-to-production));

like($session->ask("$verb;"), qr/^PM802 the extension promote is of version \Q$next\E/,
	'the session of before is told by its next call');
is($session->ask("SELECT promote.owner_team('shop', 'a');"),
	qq{42883 could not find function "promote_owner_team" in file "@{[$tree->library]}"},
	'... and of a function that it cannot have by PostgreSQL');
is($node->query('history', q{UPDATE promote.component SET owner_team = 'blue' WHERE project = 'shop';
	SELECT promote.owner_team('shop', 'a')}), 'blue', 'what the next version brings works');
is($node->query('history', q{SELECT data -> 'after' ->> 'owner_team' FROM promote.audit_log
	WHERE subject = 'component shop/a' ORDER BY seq DESC LIMIT 1}), 'blue', '... is recorded');
at_random(3);
is(CatalogTest::problems($node, 'history'), '', 'and life goes on');

# ---- the library taken back ----

$tree->install($current);
for my $sql ($verb, 'SELECT promote.is_version($$1.0.0$$)', q{SELECT promote.owner_team('shop', 'a')}) {
	is(CatalogTest::refusal($node, 'history', $sql), <<"END", "an older library says so: $sql");
ERROR:  PM802: the extension promote is of version $next in this database, and the library that is loaded of $version
DETAIL:  A library serves what is as old as it is, or older.
HINT:  Have the package of version $next or newer on this server, and connect again.
END
}
is($node->query('history', 'SELECT count(*) > 0 FROM promote.revision'), 't', 'rows are read without any');
is(CatalogTest::problems($node, 'late'), '',
	'... and a database beside it goes on');
is(($node->psql('plain', 'DROP EXTENSION promote'))[0], 0, '... and the extension can be dropped');
$tree->install($checkout);
like(CatalogTest::refusal($node, 'history', $verb), qr/^done: /, 'with the library back all is well');

done_testing();
