# Positions outlive a dump: in a server whose transactions have lower numbers everything that was restored is there to
# be
# read, consumers go on where they were, and what happens next comes behind it.

use strict;
use warnings;
use Test::More;
use PromoteTest;

my $setup = <<'SQL';
INSERT INTO promote.environment (project, environment) VALUES ('shop', 'production');
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'db', 'postgres');
INSERT INTO promote.instance (project, environment, component) VALUES ('shop', 'production', 'db');
SQL
my $node = PromoteTest->shop('old', $setup);
# numbers that the other server is far from
$node->query('old', "DO \$\$ BEGIN FOR n IN 1 .. 3000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END \$\$");
$node->query('old', <<'SQL');
SELECT promote.register_consumer('hook', 'shop', 'production', after_position => 0);
SELECT promote.configure_instance('shop-production-db', '{"n": 1}');
SELECT promote.configure_instance('shop-production-db', '{"n": 2}');
SQL
my $first = $node->query('old', q{SELECT min(position) FROM promote.next_events('hook')});
$node->query('old', "SELECT promote.acknowledge_events('hook', $first)");
my $events = sub { my ($server, $name, $from) = @_;
	return $server->query($name, 'SELECT position, subject, seq, event FROM promote.events(' . ($from // 0)
		. ', 100000)') };
my $consumed = sub { my ($server, $name) = @_;
	return $server->query($name, q{SELECT position, subject, seq, event FROM promote.next_events('hook')}) };
my $all     = $events->($node, 'old');
my $waiting = $consumed->($node, 'old');
my $last    = $node->query('old', 'SELECT max(position) FROM promote.audit_log');
my $next_id = $node->query('old', 'SELECT max(settled_by::text::bigint) FROM promote.audit_log');

my $other = PromoteTest->new;
my %dumps = (plain => [], custom => ['-Fc'], 'in one transaction' => ['-Fc']);
for my $how (sort keys %dumps) {
	my $name = $how =~ s/ /_/gr;
	my $file = $node->dir . "/$name.dump";
	$node->dump('old', $file, @{ $dumps{$how} });
	chmod 0755, $node->dir;
	chmod 0644, $file;
	$other->create_database($name);
	my ($rc, undef, $err) = $other->restore($name, $file, $how eq 'in one transaction' ? '--single-transaction' : ());
	is("$rc$err", '0', "$how: restored");
	cmp_ok($other->query($name, 'SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint'), '<', $next_id,
		'... where numbers of transactions are lower');
	is($events->($other, $name), $all, '... everything is there to be read, in the same places');
	is($consumed->($other, $name), $waiting, '... and the consumer goes on where it was');
	$other->query($name, q{SELECT promote.configure_instance('shop-production-db', '{"n": 3}')});
	is($other->query($name, "SELECT string_agg(event, ' ' ORDER BY position), min(position) > $last
		FROM promote.events($last) WHERE subject = 'shop-production-db'"), 'revision.created deployment.created|t',
		'... what happens next comes behind all that');
	is($other->query($name, 'SELECT count(*) - count(DISTINCT position) FROM promote.audit_log'), 0,
		'... and no position twice');
	like($consumed->($other, $name), qr/^\Q$waiting\E\n.*revision\.created\n.*deployment\.created$/s,
		'... nor is any lost to the consumer');
	is($other->query($name, 'SELECT count(*) FROM promote.verify_audit()'), 0, '... and the log verifies');
}

# Sessions that write first, at the same moment, after a restore: no position is given twice.
my $file = $node->dir . '/custom.dump';
$other->create_database('crowd');
$other->restore('crowd', $file);
my @sessions = map { $other->spawn('crowd', 'SELECT pg_sleep_until((SELECT query_start FROM (SELECT min(query_start) + '
	. "'2 s' AS query_start FROM pg_stat_activity WHERE query ~ 'pg_sleep_until') AS s));\n"
	. "INSERT INTO promote.environment (project, environment) VALUES ('shop', 'e$_');\n") } 1 .. 8;
$other->finish($_) for @sessions;
is($other->query('crowd', "SELECT count(*) FROM promote.environment WHERE environment ~ '^e'"), 8,
	'a crowd writes at once');
is($other->query('crowd', "SELECT count(*) - count(DISTINCT position), min(position) FILTER (WHERE subject ~ '/e')
	> $last FROM promote.audit_log"), '0|t', '... each behind what was restored, in places of its own');

# ---- pg_upgrade, which keeps the numbers of transactions ----

chomp(my $bindir = `@{[ $ENV{PG_CONFIG} || 'pg_config' ]} --bindir`);
SKIP: {
	skip 'there is no pg_upgrade', 3 if !-x "$bindir/pg_upgrade";
	my $upgraded = PromoteTest->new;
	$upgraded->query('postgres', 'DROP DATABASE IF EXISTS promote_template');    # pg_upgrade wants an empty server
	$upgraded->stop;
	$node->stop;
	my ($rc, $out, $err) = $node->run($node->as_owner('sh', '-c', 'cd ' . $upgraded->dir
		. " && '$bindir/pg_upgrade' -b '$bindir' "
		. "-B '$bindir' -d " . $node->data . ' -D ' . $upgraded->data . ' -U postgres -s ' . $upgraded->dir));
	is($rc, 0, 'upgraded') or diag "$out$err";
	$upgraded->start;
	is($events->($upgraded, 'old'), $all, '... everything is there to be read, in the same places');
	$upgraded->query('old', q{SELECT promote.configure_instance('shop-production-db', '{"n": 3}')});
	like($consumed->($upgraded, 'old'), qr/^\Q$waiting\E\n.*revision\.created\n.*deployment\.created$/s,
		'... and what happens next comes behind all that');
}

done_testing();
