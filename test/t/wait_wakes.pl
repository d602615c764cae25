# Who waits for a deployment is woken when it ends: by the commit itself, whoever notifies listeners, and by the worker
# where it was prepared. Nothing is held meanwhile, and the wait can be cancelled.

use strict;
use warnings;
use Test::More;
use PromoteTest;
use Session;

my $node = PromoteTest->shop('waits', <<'SQL', 'max_prepared_transactions = 5');
INSERT INTO promote.environment (project, environment, require_plan, require_proven_release)
VALUES ('shop', 'production', false, false);
INSERT INTO promote.component (project, component, bundle) SELECT 'shop', 'c' || n, 'postgres'
	FROM generate_series(1, 99) AS n;
INSERT INTO promote.instance (project, environment, component)
SELECT 'shop', 'production', 'c' || n FROM generate_series(1, 99) AS n;
SELECT promote.configure_instance(name, '{}') FROM promote.instance;
SQL

# Waits for a deployment while that is done, and says what came of it and how late: in milliseconds after it has ended.
my $waiter = Session->new($node, 'waits');
my $next = 20;      # those up to it have names below
sub waits {
	my ($do) = @_;
	my $instance = 'shop-production-c' . ++$next;
	$waiter->begin("SELECT status, ended, round(extract(epoch FROM clock_timestamp() - finished_at) * 1000)
		FROM promote.wait_for_deployment('$instance', timeout => '10 min');");
	ok($node->wait_for('waits',
			"SELECT wait_event = 'Extension' FROM pg_stat_activity WHERE pid = " . $waiter->backend),
		"$instance is waited for");
	$do->($instance);
	my ($status, $ended, $late) = split /\|/, $waiter->answer;
	return ($status, $ended, $late);
}

# What a worker does with the one deployment that it can claim.
sub finish {
	my ($verb) = @_;
	return sub {
		my ($instance) = @_;
		$node->query('waits', "UPDATE promote.instance SET attributes = '{\"now\": true}' WHERE name = '$instance'");
		$node->query('waits', "SELECT $verb FROM promote.claim_deployment('w', selector => '{\"now\": true}') AS c");
	};
}

my $completes = finish('promote.complete_deployment(c.instance, c.deployment, c.fencing)');
# Who is not woken looks every second, and so is as soon once in five times, but not three times in a row; on a busy
# machine who is woken is late some times.
sub is_woken {
	my ($when) = @_;
	my ($in_a_row, @late) = 0;
	while ($in_a_row < 3 && @late < 20) {
		my ($status, $ended, $late) = waits($completes);
		is("$status $ended", 'COMPLETED t', $when);
		push @late, $late;
		$in_a_row = $late < 200 ? $in_a_row + 1 : 0;
	}
	is($in_a_row, 3, "... and who waits is woken within 200 ms: @late");
	return;
}

is_woken('it has completed');

my ($status, $ended) = waits(finish(q{promote.fail_deployment(c.instance, c.deployment, 'broken', c.fencing)}));
is("$status $ended", 'FAILED t', 'it has failed');

($status, $ended) = waits(sub { $node->query('waits', "SELECT promote.abort_deployment('$_[0]', 1, 'enough')") });
is("$status $ended", 'ABORTED t', 'it was aborted');

# without the worker: the transaction notifies by itself
$node->query('waits', q{ALTER DATABASE waits SET promote.notify = 'transaction'});
is_woken('without a worker that notifies');
$node->query('waits', 'ALTER DATABASE waits RESET promote.notify');

# what was prepared: it has ended when that is committed
($status, $ended) = waits(sub {
	my ($instance) = @_;
	$node->query('waits', "UPDATE promote.instance SET attributes = '{\"now\": true}' WHERE name = '$instance'");
	$node->query('waits', "BEGIN; SELECT promote.complete_deployment(c.instance, c.deployment, c.fencing)
		FROM promote.claim_deployment('w', selector => '{\"now\": true}') AS c; PREPARE TRANSACTION 'later'");
	$node->query('waits', q{COMMIT PREPARED 'later'});
});
is("$status $ended", 'COMPLETED t', 'what was prepared');

# the newest one is meant that there was when the call began, and the time may be up
is($waiter->ask("SELECT status, ended FROM promote.wait_for_deployment('shop-production-c15', timeout => '0.1 s');"),
	'PENDING|f', 'when the time is up, it is returned as it is');
is($waiter->ask("SELECT status, ended FROM promote.wait_for_deployment('shop-production-c15', timeout => '0');"),
	'PENDING|f', '... at once');
is($waiter->ask("SELECT deployment, status FROM promote.wait_for_deployment('shop-production-c21', 1);"),
	'1|COMPLETED', 'what has ended is not waited for');
like($waiter->ask("SELECT * FROM promote.wait_for_deployment('shop-production-c21', 9);"), qr/^PM002 /,
	'one that is not there');
is($waiter->ask('SELECT 1;'), 1, '... and the session goes on');
$waiter->ask('BEGIN ISOLATION LEVEL REPEATABLE READ;');
like($waiter->ask("SELECT promote.wait_for_deployment('shop-production-c15');"), qr/^PM407 /,
	'a transaction with one snapshot would never see it');
$waiter->ask('ROLLBACK;');

# what follows a plan
my $plan = $node->query('waits', q{SELECT deployment FROM promote.plan_and_deploy('shop-production-c16')});
$node->query('waits', q{UPDATE promote.instance SET attributes = '{"now": true}' WHERE name = 'shop-production-c16'});
for my $n (1 .. $plan) {
	$node->query('waits', q{SELECT promote.complete_deployment(c.instance, c.deployment, c.fencing)
		FROM promote.claim_deployment('w', selector => '{"now": true}') AS c});
}
is($waiter->ask("SELECT action, status, followed_by, not_deployed FROM "
	. "promote.wait_for_deployment('shop-production-c16', $plan);"), 'PLAN|COMPLETED|' . ($plan + 1) . '|',
	'a plan that is followed by a deployment says so');

# it holds nothing, and can be cancelled
$waiter->begin("BEGIN; SELECT promote.wait_for_deployment('shop-production-c17', timeout => '10 min');");
ok($node->wait_for('waits', "SELECT wait_event = 'Extension' FROM pg_stat_activity WHERE pid = " . $waiter->backend),
	'somebody waits');
is($node->query('waits', 'SELECT count(*) FROM pg_locks WHERE relation IS NOT NULL AND pid = ' . $waiter->backend), 0,
	'... without a lock on any table');
is($node->query('waits', 'BEGIN; SET lock_timeout = 60000; LOCK TABLE promote.deployment, promote.instance IN ACCESS '
	. "EXCLUSIVE MODE; SELECT 'locked'; COMMIT"), 'locked', '... so that nobody waits for it');
$node->query('waits', 'SELECT pg_cancel_backend(' . $waiter->backend . ')');
like($waiter->answer, qr/^57014 /, '... until it is cancelled');
$waiter->ask('ROLLBACK;');

# a session that is ended leaves no place taken
for my $n (1 .. 3) {
	my $other = Session->new($node, 'waits');
	$other->begin("SELECT promote.wait_for_deployment('shop-production-c17', timeout => '10 min');");
	$node->wait_for('waits', "SELECT wait_event = 'Extension' FROM pg_stat_activity WHERE pid = " . $other->backend);
	$node->query('waits', 'SELECT pg_terminate_backend(' . $other->backend . ')');
	$other->end;
}
is_woken('after sessions that were ended');

done_testing();
