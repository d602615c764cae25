# pg_upgrade takes a database with promote from one major of PostgreSQL to another, between every two of which the
# servers are at hand (PG_CONFIGS, or Debian's): copied with the same promote; linked to a server that has a newer one,
# which serves it and then updates it; and to one that has an older one, which says so, until the newer one is there.
# Nothing is lost, and the catalog is as if the extension had been made there.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../fuzz/lib";
use Test::More;
use PromoteTest;
use CatalogTest;
use HistoryWork;
use ServerTree;

my $own = $ENV{PG_CONFIG} || 'pg_config';
my $seed = $ENV{PROMOTE_SEED} // time % 100_000;
my $path = $ENV{PATH};
@PromoteTest::initdb_options = '--data-checksums';    # the default differs by major, and both have to have the same

# ---- which servers ----

my %server;    # by major: its pg_config
for my $config ($own, split ' ', $ENV{PG_CONFIGS} // join ' ', glob '/usr/lib/postgresql/*/bin/pg_config') {
	my ($major) = `'$config' --version 2>/dev/null` =~ /(\d+)/ or next;
	chomp(my ($bindir, $pgxs) = `'$config' --bindir --pgxs`);
	$server{$major} //= $config if -x "$bindir/pg_upgrade" && -x "$bindir/initdb" && -f $pgxs;
}
my @majors = sort { $a <=> $b } keys %server;
plan skip_all => "no second major of PostgreSQL at hand beside @majors: ./dev upgrades" if @majors < 2;

# ---- promote for each of them, this version and a made-up next one ----

my ($version, $next, %tree, %current, %newer);
for my $major (@majors) {
	my $config = $server{$major};
	$tree{$major} = ServerTree->new($config);
	my $checkout = $config eq $own ? ServerTree::checkout() : ServerTree::bare_checkout();
	$current{$major} = ServerTree::build($checkout, $config);
	$newer{$major} = ServerTree::checkout($current{$major});
	$version = ServerTree::version($current{$major});
	$next = ServerTree::make_next($newer{$major}, $config);
	ServerTree::build($newer{$major}, $config);
}

# ---- upgrading ----

# A server of a major whose promote is a build.
sub server {
	my ($major, $build, @settings) = @_;
	$tree{$major}->install($build->{$major});
	local $PromoteTest::bindir = $tree{$major}->bindir;
	my $node = PromoteTest->new('max_connections = 50', @settings);
	talk_to($node, $major);
	return $node;
}

# Has clients of all kinds find a server.
sub talk_to {
	my ($node, $major) = @_;
	$ENV{PATH} = $tree{$major}->bindir . ":$path";
	@ENV{qw(PGHOST PGPORT PGUSER PGDATABASE)} = ($node->dir, 5432, 'postgres', 'history');
	return;
}

# A server with a past, upgraded to another major, with what it was; the tests have a name in front.
sub upgraded {
	my ($name, $from, $from_build, $to, $to_build, @options) = @_;
	my $old = server($from, $from_build);
	$old->create_database('history');
	HistoryWork::prepare();
	HistoryWork::record(seconds => 2, seed => $seed);
	my ($rows, $evidence) = (CatalogTest::rows($old, 'history'), CatalogTest::evidence($old, 'history'));
	$old->stop;
	my $new = server($to, $to_build);
	$new->stop;
	my ($rc, $out, $err) = $new->run($new->as_owner('sh', '-c', 'cd "$0" && exec "$@"', $new->dir,
			$new->{bindir} . '/pg_upgrade', '-b', $old->{bindir}, '-B', $new->{bindir}, '-d', $old->data, '-D',
			$new->data, '-U', 'postgres', '-s', $new->dir, @options));
	is($rc, 0, "$name: upgraded") or diag("$out$err", logs($new));
	$new->start;
	$old->remove;
	return ($new, $rows, $evidence);
}

# What pg_upgrade has written at last into its logs about what failed.
sub logs {
	my ($node) = @_;
	return map { PromoteTest::slurp($_) =~ /((?:.*\n){0,12})\z/ ? "$_:\n$1" : () }
		grep { PromoteTest::slurp($_) =~ /error:|ERROR:|FATAL:|PANIC:|signal/ }
			glob $node->data . '/pg_upgrade_output.d/*/log/*';
}

# All is there as it was.
sub is_whole {
	my ($node, $rows, $evidence) = @_;
	is_deeply(CatalogTest::rows($node, 'history'), $rows, '... all rows are there');
	is(CatalogTest::evidence($node, 'history'), $evidence, '... with heads and digests');
	return;
}

# What pg_upgrade does not know, which of PostgreSQL's own triggers are off, is put back, and recorded; then nothing is
# to be said against the database. Returns what it has to be like from then on.
sub mended {
	my ($node) = @_;
	$node->query('history', 'SELECT * FROM promote.restore_guards()');
	is(CatalogTest::problems($node, 'history'), '', '... and the log verifies');
	return (CatalogTest::rows($node, 'history'), CatalogTest::evidence($node, 'history'));
}

# The catalog is that of an extension that is made there. But roles that have grants have privileges; those of the
# extension itself are not noted where they are the default; and pg_upgrade has PostgreSQL read bodies and conditions
# that it has written, which it writes with other aliases and parentheses the next time.
sub is_as_made {
	my ($node) = @_;
	$node->create_database('made');
	$node->query('made', 'CREATE EXTENSION promote');
	my @made_and_upgraded = map {
		my $facts = CatalogTest::snapshot($node, $_);
		+{ map { tr/()//dr => 1 } grep { !/: (?:\w+acl|first privileges|body) = / } keys %$facts }
	} 'made', 'history';
	is(CatalogTest::differences(@made_and_upgraded), '', '... and the catalog is as if it was made there');
	return;
}

my $verb = q{SELECT new_revision > 0 FROM promote.configure_instance('shop-staging-a', '{}', plan => false)};
for my $i (0 .. $#majors - 1) {
	for my $to (@majors[$i + 1 .. $#majors]) {
		my $from = $majors[$i];
		my $name = "$from to $to";

		my ($node, @was) = upgraded($name, $from, \%current, $to, \%current);
		is_whole($node, @was);
		mended($node);
		is_as_made($node);
		HistoryWork::record(seconds => 2, seed => $seed);
		is(CatalogTest::problems($node, 'history'), '', '... and life goes on');
		$node->remove;

		($node, @was) = upgraded("$name, linked, with a newer promote", $from, \%current, $to, \%newer, '--link');
		is_whole($node, @was);
		@was = mended($node);
		is(CatalogTest::version($node, 'history'), $version, '... the old script');
		is($node->query('history', "BEGIN; $verb; ROLLBACK"), 't', '... is served');
		$node->query('history', 'ALTER EXTENSION promote UPDATE');
		is(CatalogTest::version($node, 'history'), $next, '... and updated');
		is_whole($node, @was);
		is_as_made($node);
		$node->remove;

		($node, @was) = upgraded("$name, linked, with an older promote", $from, \%newer, $to, \%current, '--link');
		is(CatalogTest::refusal($node, 'history', $verb), <<"END", '... which says so');
ERROR:  PM802: the extension promote is of version $next in this database, and the library that is loaded of $version
DETAIL:  A library serves what is as old as it is, or older.
HINT:  Have the package of version $next or newer on this server, and connect again.
END
		$tree{$to}->install($newer{$to});
		is_whole($node, @was);
		mended($node);
		is($node->query('history', $verb), 't', '... and with the newer one all is well');
		$node->remove;
	}
}

done_testing();
