# Eight workers empty a queue of ten thousand deployments while they are killed at any moment and sleep through their
# leases: each deployment is done exactly once, none is lost, and those of an instance are done one after the other in
# their order.

use strict;
use warnings;
use IPC::Open2 qw(open2);
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);
use PromoteTest;

my $instances = 1000;
my $rounds    = 10;      # deployments of each: plans, and at the end what provisions it
my $workers   = 8;
my $deaths    = 30;      # of each worker
my $naps      = 2;       # of each, longer than a lease
my $lease     = 1.5;     # seconds
my $total     = $instances * $rounds;

my $node = PromoteTest->shop('workers', <<"SQL");
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'db', 'postgres');
INSERT INTO promote.environment (project, environment, require_plan, max_lost_leases)
SELECT 'shop', 'tenant-' || n, false, 1000 FROM generate_series(1, $instances) AS n;
INSERT INTO promote.instance (project, environment, component)
SELECT project, environment, 'db' FROM promote.environment;
INSERT INTO promote.config (project, params)
SELECT 'shop', jsonb_build_object('round', n) FROM generate_series(1, $rounds) AS n;
ANALYZE;
DO \$\$ BEGIN
	FOR n IN 1 .. $rounds - 1 LOOP
		INSERT INTO promote.revision (project, environment, component, digest, version_constraint)
		SELECT project, environment, component, promote.config_digest(project, jsonb_build_object('round', n)), 'latest'
		FROM promote.instance ORDER BY project, environment, component;
	END LOOP;
	PERFORM promote.deploy_instance(name) FROM promote.instance ORDER BY name;
END \$\$;
ANALYZE;
SQL
is(sql("SELECT count(*) FROM promote.deployment WHERE status = 'PENDING'"), $total, "$total deployments wait");

sub sql { return $node->query('workers', @_) }

# ---- a worker ----

# A worker's psql: its process id and both ends.
sub connect_worker {
	my $pid = open2(my $from, my $to, $node->psql_command('workers', '-F', ' ', '-v', 'ON_ERROR_STOP=0', '-v',
		'VERBOSITY=sqlstate'));
	$to->autoflush(1);
	return { pid => $pid, from => $from, to => $to };
}

sub say_to {
	my ($session, $sql) = @_;
	print { $session->{to} } "$sql\n";
	return;
}

# The lines that a statement returns. What is refused returns none.
sub ask {
	my ($session, $sql) = @_;
	say_to($session, "$sql\n\\echo .");
	my @lines;
	while (defined(my $line = readline $session->{from})) {
		chomp $line;
		return @lines if $line eq '.';
		push @lines, $line;
	}
	die "a worker's session ended\n";
}

sub end_session {
	my ($session, $signal) = @_;
	kill $signal, $session->{pid} if $signal;
	close $session->{to};
	close $session->{from};
	waitpid $session->{pid}, 0;
	return;
}

my $claim = "SELECT instance, deployment, fencing FROM promote.claim_deployment('%s', lease => '$lease s');";
my $complete = "SELECT status FROM promote.complete_deployment('%s', %d, %d);";

# The moments at which a worker is killed; the numbers say what is left to the database. The session is ended.
my @deaths = (
	# while it claims: nobody knows whether it has
	sub {
		my ($session, $name) = @_;
		say_to($session, sprintf $claim, $name);
		end_session($session, 'KILL');
	},
	# with a claim that is not committed
	sub {
		my ($session, $name) = @_;
		ask($session, 'BEGIN;');
		ask($session, sprintf $claim, $name);
		end_session($session, 'KILL');
	},
	# between claim and completion
	sub {
		my ($session, $name) = @_;
		ask($session, sprintf $claim, $name);
		end_session($session, 'KILL');
	},
	# with a completion that is not committed
	sub {
		my ($session, $name) = @_;
		my ($claimed) = ask($session, sprintf $claim, $name);
		if ($claimed) {
			ask($session, 'BEGIN;');
			ask($session, sprintf $complete, split / /, $claimed);
		}
		end_session($session, 'KILL');
	},
	# while it completes: it is done, or not
	sub {
		my ($session, $name) = @_;
		my ($claimed) = ask($session, sprintf $claim, $name);
		say_to($session, sprintf $complete, split / /, $claimed) if $claimed;
		end_session($session, 'KILL');
	});

# Works until nothing is left, and writes down what it was told is done. Where everything is claimed it waits for
# leases.
sub run_worker {
	my ($number, $path) = @_;
	srand 4000 + $number;
	open my $notes, '>', $path or die "cannot open $path: $!\n";
	my ($session, $died, $slept, $deadline) = (connect_worker(), 0, 0, time + 540);
	while (time < $deadline) {
		if ($died < $deaths && rand() < 0.05) {
			$deaths[ rand @deaths ]->($session, "worker $number");
			$died++;
			$session = connect_worker();
		}
		my ($claimed) = ask($session, sprintf $claim, "worker $number");
		if (!defined $claimed) {
			last if (ask($session, "SELECT NOT EXISTS (SELECT FROM promote.deployment WHERE due_at IS NOT NULL);"))[0]
				eq 't';
			sleep 0.05;
			next;
		}
		sleep $lease + 0.1 if $slept < $naps && rand() < 0.01 && ++$slept;
		my ($status) = ask($session, sprintf $complete, split / /, $claimed);
		print $notes $status // 'refused', " $claimed\n";
	}
	print $notes "died $died\nslept $slept\n";
	end_session($session);
	close $notes or die "cannot write $path: $!\n";
	return;
}

# ---- eight of them ----

my $began = time;
my %notes = map { $_ => File::Temp->new } 1 .. $workers;
my @pids;
for my $number (1 .. $workers) {
	my $pid = fork // die "cannot fork: $!\n";
	if (!$pid) {
		# The session's errors are expected: whoever comes too late is refused.
		open STDERR, '>', '/dev/null';
		POSIX::_exit(eval { run_worker($number, "$notes{$number}"); 1 } ? 0 : 1);
	}
	push @pids, $pid;
}
my $ended_well = grep { waitpid($_, 0) && $? == 0 } @pids;
my $seconds = time - $began;
is($ended_well, $workers, "$workers workers go on until nothing is left");

my @notes  = map { split /\n/, PromoteTest::slurp("$notes{$_}") } 1 .. $workers;
my @done   = map { /^COMPLETED (.*)/ ? $1 : () } @notes;
my $late   = grep { /^refused/ } @notes;
my ($killed, $slept) = (0, 0);
$killed += $_ for map { /^died (\d+)/ ? $1 : () } @notes;
$slept += $_ for map { /^slept (\d+)/ ? $1 : () } @notes;
# A worker that comes late may find too little left to be killed as often as it should.
cmp_ok($killed, '>=', $workers * $deaths / 2, '... though they are killed at any moment');
cmp_ok($slept, '>=', $workers * $naps / 2, '... and sleep through their leases');
cmp_ok($late, '>=', $slept, '... after which they are refused');

# ---- what is there then ----

is(sql(q{SELECT string_agg(action || ' ' || status || ' ' || count, ', ' ORDER BY action) FROM
	(SELECT action, status, count(*) FROM promote.deployment GROUP BY 1, 2) AS d}),
	join(', ', "PLAN COMPLETED " . ($total - $instances), "PROVISION COMPLETED $instances"), 'all is done');
is(sql(q{SELECT count(*), count(DISTINCT (subject, data->>'deployment')) FROM promote.audit_log
	WHERE event = 'deployment.completed'}), "$total|$total", '... exactly once');
is(sql(q{SELECT count(*) FROM promote.instance WHERE status = 'PROVISIONED' AND deployed_revision = revision}),
	$instances,
	'all instances are provisioned');

my %times;
$times{$_}++ for @done;
is(scalar(grep { $_ > 1 } values %times), 0, 'nobody is told of the same twice');
$node->query('workers', 'CREATE TABLE told (instance text, deployment integer, fencing integer);'
	  . 'COPY told FROM stdin (DELIMITER \' \');' . "\n" . join('', map { "$_\n" } @done) . "\\.\n");
is(sql(q{SELECT count(*) FROM told t WHERE NOT EXISTS (SELECT FROM promote.deployment d JOIN promote.instance i
	USING (project, environment, component) WHERE (i.name, d.deployment, d.fencing) = (t.instance, t.deployment,
		t.fencing))}), 0,
	'whoever was told that it is done had the last claim');

# A claim ends by being completed or by losing its lease.
is(sql('SELECT count(*) FROM promote.deployment WHERE lost_leases <> fencing - 1'), 0,
	'every other claim lost its lease');
is(sql(q{SELECT (SELECT sum(fencing) FROM promote.deployment), (SELECT sum(lost_leases) FROM promote.deployment)}),
	sql(q{SELECT count(*) FILTER (WHERE event = 'deployment.started'), count(*) FILTER (WHERE event = 'deployment.lost')
	FROM promote.audit_log}), '... and the audit log tells of each');
my $lost = sql('SELECT sum(lost_leases) FROM promote.deployment');
cmp_ok($lost, '>', $killed / 10, '... which happened');
cmp_ok($lost, '<=', $killed + $late, '... to those only who were killed, or late');

is(sql(q{SELECT count(*) FROM (SELECT started_at, finished_at, lag(finished_at) OVER instance AS before
	FROM promote.deployment WINDOW instance AS (PARTITION BY project, environment, component ORDER BY deployment)) AS d
	WHERE started_at < before OR finished_at < started_at}), 0,
		'of an instance, each begins when the one before has ended');
is(sql(q{SELECT count(*) FROM (SELECT (data->>'deployment')::integer AS deployment,
		lag((data->>'deployment')::integer) OVER (PARTITION BY subject ORDER BY seq) AS before
	FROM promote.audit_log WHERE event IN ('deployment.started', 'deployment.lost', 'deployment.completed')) AS a
	WHERE deployment < before}), 0, '... for any of its claims');
is(sql('ANALYZE; SELECT count(*) FROM promote.verify_audit()'), 0, 'the audit log is whole');
note(sprintf 'result: %d deployments by %d workers in %.1f seconds; %d killed, %d leases lost, %d came too late',
	$total, $workers, $seconds, $killed, $lost, $late);

# ---- whose lease is over ----

my $instance = 'shop-tenant-1-db';
sql("SELECT promote.configure_instance('$instance', '{\"round\": 0}')");
my ($old) = split /\n/, sql("SELECT deployment || ', ' || fencing FROM promote.claim_deployment('old', lease => '2 "
	. "s')");
my ($deployment, $fencing) = split /, /, $old;
my %writes = (
	heartbeat => "SELECT promote.heartbeat_deployment('$instance', $old)",
	log       => "SELECT promote.append_deployment_log('$instance', $deployment, 'late', $fencing)",
	complete  => "SELECT promote.complete_deployment('$instance', $old)",
	fail      => "SELECT promote.fail_deployment('$instance', $deployment, 'late', $fencing)",
	release   => "SELECT promote.release_deployment('$instance', $old)");

# Nothing of what a worker writes is accepted any more.
sub refused {
	my ($why) = @_;
	for my $verb (sort keys %writes) {
		my (undef, undef, $err) = $node->psql('workers', $writes{$verb}, '-v', 'VERBOSITY=sqlstate');
		like($err, qr/PM502/, "$why: $verb is refused");
	}
	return;
}

ok($node->wait_for('workers', q{SELECT due_at <= clock_timestamp() FROM promote.deployment WHERE status = 'RUNNING'}),
	'a lease comes to its end');
refused('the lease is over');
is(sql("SELECT fencing FROM promote.claim_deployment('new')"), $fencing + 1, 'somebody else has it');
refused('the claim is another\'s');
is(sql("SELECT status FROM promote.complete_deployment('$instance', $deployment, $fencing + 1)"), 'COMPLETED',
	'... who completes it');
refused('it is over');
is(sql("SELECT count(*) FROM promote.deployment_log"), 0, 'nothing was written');

done_testing();
