# Writers that commit out of order, roll back, use savepoints and prepare transactions, and consumers that read in
# batches
# all the while: each gets every committed event once, and none after a later one. PROMOTE_SEED repeats a run.

use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep time);
use PromoteTest;
use Session;

my $seed = $ENV{PROMOTE_SEED} // int(rand 1_000_000);
srand $seed;
note "PROMOTE_SEED=$seed";

my $writers = 6;
my $node = PromoteTest->shop('order', <<"SQL", 'max_prepared_transactions = 20', 'max_connections = 40');
INSERT INTO promote.environment (project, environment) VALUES ('shop', 'production'), ('shop', 'staging');
INSERT INTO promote.component (project, component, bundle) SELECT 'shop', 'c' || n, 'postgres' FROM generate_series(1,
	12) AS n;
INSERT INTO promote.instance (project, environment, component)
SELECT 'shop', e, 'c' || n FROM generate_series(1, 12) AS n, unnest('{staging,production}'::text[]) AS e;
CREATE TABLE public.done (writer integer);
CREATE ROLE narrow LOGIN;
SELECT promote.grant_action('narrow', 'view', 'shop', 'production');
SELECT promote.register_consumer('all', after_position => 0);
SET ROLE narrow;
SELECT promote.register_consumer('narrow', 'shop', 'production', after_position => 0);
SQL

# One writer's statements: some transactions hold for a while before they end, so that later ones commit first.
sub script {
	my ($writer) = @_;
	my $script = '';
	my $write = sub {
		my $instance = sprintf 'shop-%s-c%d', rand() < 0.5 ? 'staging' : 'production', 1 + int(rand 12);
		return "SELECT promote.configure_instance('$instance', '{\"n\": " . int(rand 1e9) . "}', plan => false);\n";
	};
	for my $n (1 .. 40) {
		$script .= "BEGIN;\nSET LOCAL lock_timeout = '60s';\n";
		# a number long before the first event
		$script .= "SELECT pg_current_xact_id();\nSELECT pg_sleep(" . rand(0.02) . ");\n" if rand() < 0.3;
		$script .= $write->();
		$script .= "SAVEPOINT s;\n" . $write->() . "ROLLBACK TO s;\n" if rand() < 0.3;
		$script .= "SAVEPOINT t;\n" . $write->() . "RELEASE t;\n" if rand() < 0.3;
		$script .= 'SELECT pg_sleep(' . rand(0.03) . ");\n" if rand() < 0.4;
		my $end = rand;
		if ($end < 0.15) {
			$script .= "ROLLBACK;\n";
		} elsif ($end < 0.35) {
			my $name = "w${writer}_$n";
			$script .= "PREPARE TRANSACTION '$name';\nSELECT pg_sleep(" . rand(0.05) . ");\n"
			  . ($end < 0.3 ? 'COMMIT' : 'ROLLBACK') . " PREPARED '$name';\n";
		} else {
			$script .= "COMMIT;\n";
		}
	}
	return "${script}INSERT INTO public.done VALUES ($writer);\n";
}

my @running = map {
	my $file = $node->dir . "/writer$_.sql";
	open my $out, '>', $file or die "cannot write $file: $!\n";
	print {$out} script($_);
	close $out;
	chmod 0644, $file;
	# what is refused, such as a deadlock, is a rollback
	$node->spawn('order', "\\set ON_ERROR_STOP 0\n\\i $file\n");
} 1 .. $writers;

my %consumers = map { $_ => Session->new($node, 'order', '-U', $_ eq 'narrow' ? 'narrow' : 'postgres') } 'all',
	'narrow';
my %read = map { $_ => [] } 'all', 'narrow', 'plain';
my $reader = Session->new($node, 'order');
my $after = 0;
my %repeated = map { $_ => 0 } keys %consumers;

# One batch of each consumer, in a size of its own. Some acknowledge late, or only a part.
sub read_some {
	my $got = 0;
	for my $name (sort keys %consumers) {
		my @rows = split /\n/, $consumers{$name}->ask('SELECT position, subject, seq FROM promote.next_events('
			. "'$name', " . (1 + int rand 20) . ');');
		next if !@rows;
		$got = 1;
		my $take = rand() < 0.2 ? 1 + int rand @rows : scalar @rows;
		$repeated{$name} += @rows - $take;
		push @{ $read{$name} }, @rows[ 0 .. $take - 1 ];
		my ($position) = split /\|/, $rows[ $take - 1 ];
		my $said = $consumers{$name}->ask("SELECT promote.acknowledge_events('$name', $position);");
		die "$name was told: $said\n" if $said ne $position;
	}
	my @rows = split /\n/, $reader->ask("SELECT position, subject, seq FROM promote.events($after, " . (1 + int rand 30)
		. ');');
	push @{ $read{plain} }, @rows;
	($after) = split /\|/, $rows[-1] if @rows;
	return $got || @rows;
}

my $reads = 0;
my $deadline = time + 300;
while (time < $deadline && $node->query('order', 'SELECT count(*) FROM public.done') < $writers) {
	read_some() for 1 .. 10;
	$reads += 10;
}
$node->finish($_) for @running;
$node->query('order', "SELECT format('ROLLBACK PREPARED %L', gid) FROM pg_prepared_xacts \\gexec");
while (read_some()) { }

my @all = split /\n/, $node->query('order', 'SELECT position, subject, seq FROM promote.audit_log ORDER BY position');
cmp_ok(scalar @all, '>', 200, scalar(@all) . " events, in $reads rounds");
my $gaps = $node->query('order', 'SELECT max(position) - count(*) FROM promote.audit_log');
cmp_ok($gaps, '>', 5, "... and $gaps that were rolled back");
my @narrow = split /\n/, $node->query('order', 'SET ROLE narrow; SELECT position, subject, seq FROM promote.audit_log '
	. "WHERE subject ~ '^shop-production-' ORDER BY position");
is(join("\n", @{ $read{plain} }), join("\n", @all), 'whoever reads from position to position gets each once, in order');
is(join("\n", @{ $read{all} }), join("\n", @all), 'so does a consumer');
is(join("\n", @{ $read{narrow} }), join("\n", @narrow), '... and one that sees a part');
is($node->query('order', 'SELECT count(*) FROM promote.audit_log AS a JOIN promote.audit_log AS b
	ON b.project = a.project AND b.subject = a.subject AND b.seq = a.seq + 1 WHERE b.position < a.position'), 0,
	'positions rise along each chain');
is($node->query('order', 'SELECT count(*) FROM promote.verify_audit()'), 0, 'and the log verifies');

# ---- a transaction with one snapshot ----

my ($one, $two) = map { Session->new($node, 'order') } 1, 2;
$one->ask("SELECT promote.register_consumer('both', after_position => 0);");
my @places = split /\n/, $one->ask("SELECT position FROM promote.next_events('both', 20);");
for my $level ('REPEATABLE READ', 'SERIALIZABLE') {
	my ($low, $high) = splice @places, 0, 2;
	$one->ask("BEGIN ISOLATION LEVEL $level;");
	$one->ask('SELECT count(*) FROM promote.consumer;');
	is($two->ask("SELECT promote.acknowledge_events('both', $high);"), $high, 'one session acknowledges');
	like($one->ask("SELECT promote.acknowledge_events('both', $low);"), qr/^(?:PM732|40001) /,
		"... and another does not go back, at $level");
	$one->ask('ROLLBACK;');
	is($node->query('order', q{SELECT position FROM promote.consumer WHERE consumer = 'both'}), $high,
		'... as is kept');
}
$two->ask("BEGIN; SELECT promote.register_consumer('same', after_position => 0);");
$one->begin("SELECT registered, changed FROM promote.register_consumer('same', events => '{x}', after_position => 0);");
ok($node->wait_for('order', "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = " . $one->backend),
	'who registers the same waits');
$two->ask('COMMIT;');
is($one->answer, 'f|t', '... and changes what is there then');

# ---- what holds the horizon back ----

my $long = Session->new($node, 'order');
$long->ask('BEGIN; SELECT pg_current_xact_id();');
my $last = $node->query('order', 'SELECT max(position) FROM promote.events(0, 100000)');
$node->query('order', q{SELECT promote.configure_instance('shop-staging-c1', '{"n": "behind"}')});
is($node->query('order', "SELECT count(*) FROM promote.events($last)"), 0,
	'a transaction that has written, whatever it was, holds back what is committed after it began');
is($node->query('order', 'SELECT count(*) FROM pg_stat_activity WHERE backend_xid IS NOT NULL'), 1, '... and is seen');
$long->ask('ROLLBACK;');
cmp_ok($node->query('order', "SELECT count(*) FROM promote.events($last)"), '>', 0, '... until it ends');
$long->ask(q{BEGIN; SELECT promote.configure_instance('shop-staging-c2', '{"n": "prepared"}');
	PREPARE TRANSACTION 'held';});
$last = $node->query('order', 'SELECT max(position) FROM promote.events(0, 100000)');
$node->query('order', q{SELECT promote.configure_instance('shop-staging-c1', '{"n": "behind it"}')});
is($node->query('order', "SELECT count(*) FROM promote.events($last)"), 0, 'so does one that was prepared');
$node->stop('immediate');
$node->start;
is($node->query('order', "SELECT count(*) FROM promote.events($last)"), 0, '... also after a crash');
$node->query('order', q{COMMIT PREPARED 'held'});
is($node->query('order', "SELECT string_agg(subject, ' ' ORDER BY position) FROM promote.events($last)
	WHERE event ~ 'rev'"),
	'shop-staging-c2 shop-staging-c1', '... and its events come first');

done_testing();
