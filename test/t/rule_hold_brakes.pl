# The brakes are held by nobody: stops, freezes, edits of environments, blocked releases and policies take effect at
# once, whatever those do who deploy; and where a verb of an emergency needs what others hold, it waits for a bounded
# time, says whom for, and these can be ended.

use strict;
use warnings;
use IPC::Open2 qw(open2);
use Test::More;
use Time::HiRes qw(time);
use PromoteTest;

my $bound = 60;     # seconds: who waits for the crowd waits for ever, and the rest takes no such time on a busy machine
my $crowd = 6;      # sessions that are in the way

# Nobody's standby: who asks for its word at a commit waits for ever.
my $node = PromoteTest->new("synchronous_standby_names = 'nobody'",
	'synchronous_commit = local');
$node->create_promote('brakes');
$node->query('brakes', <<'SQL');
CREATE ROLE dep LOGIN;
CREATE ROLE adm LOGIN;
CREATE ROLE other_adm LOGIN;
CREATE ROLE stranger LOGIN;
INSERT INTO promote.bundle VALUES ('postgres');
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('postgres', '1.0.0', '{}'),
	('postgres', '2.0.0-dev.1', '{}');
INSERT INTO promote.project VALUES ('other'), ('shop');
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'db', 'postgres'),
	('shop', 'log', 'postgres');
INSERT INTO promote.environment (project, environment, require_plan, require_proven_release)
	VALUES ('shop', 'staging', false, false), ('shop', 'production', false, false);
INSERT INTO promote.instance (project, environment, component) SELECT project, environment, component
	FROM promote.environment JOIN promote.component USING (project);
SELECT promote.configure_instance(name, '{"size": 1}', '1.0.0', plan => false) FROM promote.instance;
SELECT promote.configure_instance('shop-staging-db', '{"size": 2}', plan => false);
SELECT promote.promote_instance('shop-staging-db', 'shop-production-db', plan => false);
SELECT promote.grant_action('dep', a, 'shop')
	FROM unnest(ARRAY['view', 'plan', 'deploy', 'work', 'promote', 'configure', 'approve']) AS a;
SELECT promote.grant_action('adm', a, 'shop')
	FROM unnest(ARRAY['view', 'plan', 'deploy', 'approve', 'promote', 'configure', 'admin']) AS a;
SELECT promote.grant_action('other_adm', 'admin', 'other');
CREATE TABLE done (what text);
GRANT SELECT ON done TO PUBLIC;
CREATE FUNCTION slow(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
	LANGUAGE plpgsql STABLE AS $$
BEGIN
	PERFORM pg_sleep(0.05);
	RETURN QUERY SELECT 'policy', 'no', NULL::timestamptz, NULL::timestamptz, NULL, false;
END $$;
-- Calls something, to be refused or taken back, again and again.
CREATE PROCEDURE keep(call text) LANGUAGE plpgsql AS $$
BEGIN
	FOR n IN 1 .. 100000 LOOP
		EXIT WHEN EXISTS (SELECT FROM done);
		BEGIN
			EXECUTE call;
		EXCEPTION WHEN OTHERS THEN
		END;
		ROLLBACK;
	END LOOP;
END $$;
SQL

sub sql { return $node->query('brakes', @_) }

# ---- sessions ----

sub connect_as {
	my ($role) = @_;
	my $pid = open2(my $from, my $to, $node->psql_command('brakes', '-v', 'ON_ERROR_STOP=0', '-v', 'VERBOSITY=verbose',
		'-U', $role));
	$to->autoflush(1);
	print {$to} "\\o /dev/stdout\n\\set SHOW_CONTEXT never\n";
	my $session = { pid => $pid, from => $from, to => $to };
	$session->{backend} = ask($session, 'SELECT pg_backend_pid();');
	return $session;
}

# What a session's statements return, or the state and the words of what is refused.
sub ask {
	my ($session, $sql) = @_;
	begin($session, $sql);
	return answer($session);
}

sub begin {
	my ($session, $sql) = @_;
	print { $session->{to} } "$sql\n\\if :ERROR\n\\echo :LAST_ERROR_SQLSTATE :LAST_ERROR_MESSAGE\n\\endif\n\\echo .\n";
	return;
}

sub answer {
	my ($session) = @_;
	my @lines;
	while (defined(my $line = readline $session->{from})) {
		chomp $line;
		return join "\n", @lines if $line eq '.';
		push @lines, $line;
	}
	return 'the session has ended';
}

# The same as one statement whose refusal is returned with its detail and hint.
sub told {
	my ($session, $sql) = @_;
	return ask($session, "DO \$do\$ DECLARE s text; m text; d text; h text; BEGIN EXECUTE \$x\$$sql\$x\$;"
		  . " EXCEPTION WHEN OTHERS THEN GET STACKED DIAGNOSTICS s = RETURNED_SQLSTATE, m = MESSAGE_TEXT, d = "
		  	. "PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;"
		  . " PERFORM set_config('brakes.told', concat_ws('|', s, m, d, h), false); RETURN; END \$do\$;"
		  . " SELECT current_setting('brakes.told', true); SELECT set_config('brakes.told', '', false) \\g /dev/null");
}

sub bye {
	my ($session) = @_;
	close $session->{to};
	close $session->{from};
	waitpid $session->{pid}, 0;
	return;
}

sub timed {
	my ($what, $code) = @_;
	my $start = time;
	my $answer = $code->();
	my $took = time - $start;
	return ($took, $answer);
}

my @brakes = (
	[ 'a stop', q{SELECT reason FROM promote.stop_line('fire', 'shop')}, q{SELECT FROM promote.resume_line('shop')} ],
	[ 'a stop of everything', q{SELECT reason FROM promote.stop_line('flood')}, q{SELECT FROM promote.resume_line()} ],
	[ 'a freeze', q{INSERT INTO promote.freeze_window (name, project, during)
		VALUES ('f', 'shop', '[2030-01-01,2031-01-01)')}, q{DELETE FROM promote.freeze_window} ],
	[ 'a freeze of everything',
		q{INSERT INTO promote.freeze_window (name, during) VALUES ('g', '[2030-01-01,2031-01-01)')},
		q{DELETE FROM promote.freeze_window} ],
	[ 'an edit of the environment', q{UPDATE promote.environment SET require_no_drift = false},
		q{UPDATE promote.environment SET require_no_drift = true} ],
	[ 'a block', q{SELECT FROM promote.block_release('postgres', '1.0.0', 'CVE-1')},
		q{SELECT FROM promote.unblock_release('postgres', '1.0.0')} ],
	[ 'a policy', q{INSERT INTO promote.policy (policy, function, project) VALUES ('p', 'public.slow', 'shop')},
		q{DELETE FROM promote.policy WHERE policy = 'p'} ],
	[ 'an approval rule', q{INSERT INTO promote.approval_rule (project, environment, rule, role)
		VALUES ('shop', 'production', 'r', 'adm')}, q{DELETE FROM promote.approval_rule} ],
);

# Every brake, beside whatever is in the way.
sub brake {
	my ($beside) = @_;
	for my $brake (@brakes) {
		my ($what, $pull, $release) = @$brake;
		my ($took) = timed($what, sub { sql($pull) });
		cmp_ok($took, '<', $bound, sprintf '%s takes effect at once beside %s (%.0f ms)', $what, $beside, 1000 * $took);
		sql($release);
	}
	return;
}

# Sessions of dep's that call something all the time, with a number of their own for %d, while something is done.
sub beside_crowd {
	my ($call, $code) = @_;
	sql('TRUNCATE done');
	my @children = map { my $own = $call =~ s/%d/$_/r; $node->fork_command({ input => "CALL keep(\$c\$$own\$c\$)" },
		$node->psql_command('brakes', '-U', 'dep')) } 1 .. $crowd;
	ok($node->wait_for('brakes',
		"SELECT count(*) = $crowd FROM pg_stat_activity WHERE usename = 'dep' AND query LIKE 'CALL%' AND state = "
		. "'active'"), "$crowd sessions call $call");
	$code->();
	sql(q{INSERT INTO done VALUES ('enough')});
	for my $child (@children) {
		my ($rc, undef, $err) = $node->finish($child);
		is("$rc$err", '0', 'one of them has come to its end');
	}
	sql('TRUNCATE done');
	return;
}

# ---- nobody holds a brake ----

# who keeps open what was judged
my $dep = connect_as('dep');
for my $hold (q{SELECT status FROM promote.deploy_instance('shop-production-db')},
	q{SELECT changed FROM promote.promote_instance('shop-staging-db', 'shop-production-db', '{"size": 3}')},
	q{SELECT status FROM promote.open_request('shop', 'staging', 'production', '{"components": ["db"]}')},
		q{SELECT status FROM promote.propose_deployment('shop-production-log')}) {
	ask($dep, 'BEGIN;');
	like(ask($dep, "$hold;"), qr/^(?:PENDING|PROPOSED|OPEN|t)$/, "somebody calls $hold");
	brake('an open transaction');
	ask($dep, 'ROLLBACK;');
}

# a claim that is kept open
sql(q{SELECT FROM promote.deploy_instance('shop-production-db')});
ask($dep, 'BEGIN;');
is(ask($dep, q{SELECT instance FROM promote.claim_deployment('w');}), 'shop-production-db', 'a worker claims');
brake('an open claim');
like(ask($dep, 'COMMIT;'), qr/^40001 could not commit what was judged by rules that have changed$/,
	'which fails at its commit');
is(ask($dep, q{SELECT instance FROM promote.claim_deployment('w');}), 'shop-production-db', 'and is called again');
is(sql(q{SELECT status FROM promote.complete_deployment('shop-production-db', 1, 1)}), 'COMPLETED', 'carried out');

# what is refused all the time, after a policy that takes its time
sql(q{INSERT INTO promote.policy (policy, function, project) VALUES ('slow', 'public.slow', 'shop')});
sql(q{SELECT FROM promote.configure_instance('shop-production-db', '{"size": 4}', plan => false)});
beside_crowd(q{SELECT FROM promote.deploy_instance('shop-production-db')},
	sub { brake('deployments that are refused all the time') });
sql(q{DELETE FROM promote.policy});

# what is done and taken back all the time
beside_crowd(q{SELECT FROM promote.deploy_instance('shop-production-db')},
	sub { brake('deployments that are taken back all the time') });

# ---- what is judged at the commit ----

ask($dep, 'BEGIN;');
ask($dep, q{SELECT FROM promote.deploy_instance('shop-production-log');});
sql(q{SELECT FROM promote.stop_line('fire', 'shop')});
is(ask($dep, 'COMMIT;'), '40001 could not commit what was judged by rules that have changed', 'stopped');
sql(q{SELECT FROM promote.resume_line('shop')});

# what a procedure commits is judged, too, and what is behind it
sql(q{CREATE PROCEDURE twice() LANGUAGE plpgsql AS $$ BEGIN
	PERFORM promote.deploy_instance('shop-production-log'); COMMIT;
	PERFORM promote.plan_instance('shop-staging-log'); COMMIT; END $$});
is(ask($dep, 'CALL twice();'), '', 'a procedure that commits');
is(sql(q{SELECT count(*) FROM promote.deployment WHERE component = 'log'}), 2, '... has done both');

# what a commit does behind the judging waits for nobody: a temporary table is emptied then, and nextval takes a lock of
# any table before it looks whether it may, and what it is
my $accomplice = connect_as('dep');
ask($dep, 'CREATE TEMP TABLE own (x integer) ON COMMIT DELETE ROWS;');
my $own = ask($dep, q{SELECT 'own'::regclass::oid;});
ask($accomplice, "BEGIN; DO \$\$ BEGIN PERFORM nextval(${own}::regclass); EXCEPTION WHEN OTHERS THEN END \$\$;");
ask($dep, 'BEGIN; INSERT INTO own VALUES (1);');
ask($dep, q{SELECT FROM promote.open_request('shop', 'staging', 'production', '{"components": ["log"]}');});
begin($dep, 'COMMIT;');
ok($node->wait_for('brakes', "SELECT count(*) = 1 FROM pg_locks WHERE pid = $dep->{backend} AND NOT granted"),
	'a commit that waits for a table');
brake('a commit that waits for a table');
ask($accomplice, 'ROLLBACK;');
is(answer($dep), '40001 could not commit what was judged by rules that have changed', '... and then fails');
ask($dep, 'DROP TABLE own;');
bye($accomplice);

# nor does anybody hold the grants who has none
my $stranger = connect_as('stranger');
ask($stranger, q{CREATE FUNCTION pg_temp.f() RETURNS integer LANGUAGE sql AS 'SELECT 1'; BEGIN;
	ALTER FUNCTION pg_temp.f() DEPENDS ON EXTENSION promote;});
my ($taken) = timed('grants',
	sub { sql(q{SELECT promote.grant_action('dep', 'audit', 'shop'), promote.revoke_action('dep', 'audit', 'shop')}) });
cmp_ok($taken, '<', $bound, 'grants are given and taken back beside somebody who has locked the extension');
bye($stranger);

my $root = connect_as('postgres');

# ---- what nobody needs is not kept ----

ask($dep, 'BEGIN;');
ask($dep, q{SELECT FROM promote.deploy_instance('shop-staging-log');});
sql(q{UPDATE promote.environment SET description = 'x' WHERE environment = 'staging'});
sql(q{UPDATE promote.environment SET description = 'x' WHERE environment = 'production'}) for 1 .. 20;
cmp_ok(sql('SELECT count(*) FROM promote.rule_change'), '>=', 21,
	'changes are kept as long as somebody was judged before');
is(ask($dep, 'COMMIT;'), '40001 could not commit what was judged by rules that have changed', '... who finds them');
sql(q{UPDATE promote.environment SET description = 'y' WHERE environment = 'production'}) for 1 .. 3;
cmp_ok(sql('SELECT count(*) FROM promote.rule_change'), '<=', 2, 'and then they are removed');

# ---- what somebody holds ----

my $adm = connect_as('adm');
ask($adm, q{SET promote.rescue_timeout = '1s';});
my %held = (
	q{SELECT FROM promote.abort_deployment('shop-staging-db', 1)} => q{SELECT
		FROM promote.plan_instance('shop-staging-db')},
	q{SELECT FROM promote.reject_deployment('shop-staging-db', 1, 'no')} => q{SELECT
		FROM promote.plan_instance('shop-staging-db')},
	q{SELECT FROM promote.rollback_instance('shop-production-db')} => q{SELECT
		FROM promote.plan_instance('shop-production-db')},
	q{SELECT FROM promote.pause_request('shop', 1, 'wait')} => q{SELECT FROM promote.preview_request('shop', 1)},
	q{SELECT FROM promote.cancel_request('shop', 1, 'no')} => q{SELECT FROM promote.preview_request('shop', 1)},
);
sql(q{SELECT FROM promote.open_request('shop', 'staging', 'production', '{"components": ["db"]}')});
for my $verb (reverse sort keys %held) {
	ask($dep, 'BEGIN;');
	ask($dep, "$held{$verb};");
	my ($took, $told) = timed($verb, sub { told($adm, $verb) });
	like($told, qr/^PM611\|.*\ is\ held\ by\ others
		\|Process\ $dep->{backend}\ of\ role\ "dep"\ has\ been\ in\ a\ transaction\ since\ \d{4}-[^|]*\ UTC,
		\ and\ is\ idle\ in\ transaction\.\|.*promote\.end_session\($dep->{backend},\ 'why',\ 'shop'\)/x,
		"$verb says who holds it");
	ok($took > 0.9 && $took < $bound, sprintf '... and has waited for %.1f s', $took);
	ask($dep, 'ROLLBACK;');
	unlike(told($adm, $verb), qr/PM611/, '... and goes on when it is let go');
	sql(q{SELECT FROM promote.resume_request('shop', 1, 'on') WHERE EXISTS (SELECT FROM promote.promotion_request
		WHERE status = 'PAUSED')});
}

# a worker's sign of life holds its deployment alone
sql(q{UPDATE promote.instance SET attributes = '{"alive": true}' WHERE name = 'shop-staging-log';
	SELECT FROM promote.configure_instance('shop-staging-log', '{"size": 5}', plan => false); SELECT
		FROM promote.deploy_instance('shop-staging-log')});
my ($alive, $fencing) = split /\|/,
	ask($dep, q{SELECT deployment, fencing FROM promote.claim_deployment('w', selector => '{"alive": true}');});
ask($dep, 'BEGIN;');
ask($dep, "SELECT FROM promote.heartbeat_deployment('shop-staging-log', $alive, $fencing);");
like(told($adm, "SELECT FROM promote.abort_deployment('shop-staging-log', $alive)"),
	qr/^PM611\|deployment\ $alive\ of\ "shop-staging-log"\ is\ held\ by\ others
		\|Process\ $dep->{backend}\ .*end_session\($dep->{backend},\ 'why',\ 'shop'\)/x,
			'an abort says who holds what it aborts');
ask($dep, 'ROLLBACK;');
is(ask($adm, "SELECT status FROM promote.abort_deployment('shop-staging-log', $alive);"), 'ABORTED',
	'... and goes on when it is let go');

# those who wait for a row are not in the way of who waits for it in an emergency
my @waiting = map { connect_as('dep') } 1 .. 3;
ask($dep, 'BEGIN;');
ask($dep, q{SELECT FROM promote.plan_instance('shop-staging-db');});
begin($_, q{SELECT FROM promote.plan_instance('shop-staging-db');}) for @waiting;
ok($node->wait_for('brakes', 'SELECT count(*) = 3 FROM pg_locks WHERE NOT granted AND pid IN (' . join(', ',
	map { $_->{backend} } @waiting) . ')'), 'three wait for it');
like(told($adm, q{SELECT FROM promote.abort_deployment('shop-staging-db', 1)}), qr/Process $dep->{backend} /,
	'whoever holds it is named');
is(sql("SELECT count(*) FROM pg_locks WHERE locktype = 'object' AND classid = 'promote.instance'::regclass AND "
	. "objsubid = 0 AND granted"), 0, '... and who waits holds no place');
ask($dep, 'ROLLBACK;');
is(answer($_), '', '... and goes on') for @waiting;
bye($_) for @waiting;

# those who rescue it are, but they are named, and ended as whoever holds it is
sql(q{SELECT FROM promote.open_request('shop', 'staging', 'production', '{"components": ["db"]}')});
sql(q{SELECT FROM promote.configure_instance('shop-staging-log', '{"size": 6}', plan => false); SELECT
	FROM promote.deploy_instance('shop-staging-log')});
($alive, $fencing) = split /\|/,
	ask($dep, q{SELECT deployment, fencing FROM promote.claim_deployment('w', selector => '{"alive": true}');});
my %verbs = (
	q{SELECT FROM promote.abort_deployment('shop-staging-db', 1)} => q{SELECT
		FROM promote.plan_instance('shop-staging-db')},
	"SELECT FROM promote.abort_deployment('shop-staging-log', $alive)" =>
		"SELECT FROM promote.heartbeat_deployment('shop-staging-log', $alive, $fencing)",
	q{SELECT FROM promote.pause_request('shop', 2, 'wait')} => q{SELECT FROM promote.preview_request('shop', 2)},
);
my $elsewhere = connect_as('other_adm');
for my $verb (reverse sort keys %verbs) {
	my @crowd = map { connect_as('dep') } 1 .. 4;
	ask($crowd[0], "BEGIN; $verbs{$verb};");
	begin($_, "SET promote.rescue_timeout = '1h'; BEGIN; $verb;") for @crowd[1 .. 3];
	ok($node->wait_for('brakes', 'SELECT count(*) = 3 FROM pg_locks WHERE NOT granted AND pid IN (' . join(', ',
		map { $_->{backend} } @crowd) . ')'), "three wait in an emergency: $verb");
	my ($took, $told) = timed($verb, sub { told($adm, $verb) });
	like($told, qr/^PM611\|.*Process $_->{backend} /s, '... and are named') for @crowd[1 .. 3];
	cmp_ok($took, '<', $bound, '... in time');
	like(told($elsewhere, "SELECT promote.end_session($crowd[3]{backend}, 'why', 'other')"), qr/^PM002/,
		'they are not ended by who is admin elsewhere');
	like(told($adm, "SELECT promote.end_session($elsewhere->{backend}, 'why', 'shop')"), qr/^PM002/,
		'nor is who does not wait for it ended');
	is(ask($adm, "SELECT promote.end_session($_->{backend}, 'a crowd', 'shop');"), 't',
		'... but there, the last first') for reverse @crowd;
	unlike(told($adm, $verb), qr/PM611/, '... and so the emergency goes on');
	bye($_) for @crowd;
}
sql(q{SELECT FROM promote.cancel_request('shop', 2, 'enough')});
bye($elsewhere);

# what was taken back is not there at the commit
ask($dep, 'BEGIN;');
ask($dep, q{SELECT FROM promote.deploy_instance('shop-staging-log');});
sql(q{SELECT promote.revoke_action('dep', 'deploy', 'shop')});
is(ask($dep, 'COMMIT;'), '40001 could not commit what was judged by rules that have changed',
	'who may no longer deploy does not commit it');
like(ask($dep, q{SELECT FROM promote.deploy_instance('shop-staging-log');}), qr/^PM701/, '... nor again');
sql(q{SELECT promote.grant_action('dep', 'deploy', 'shop')});

# a shorter lock_timeout counts
ask($dep, 'BEGIN;');
ask($dep, q{SELECT FROM promote.plan_instance('shop-staging-db');});
ask($adm, q{SET promote.rescue_timeout = '1h'; SET lock_timeout = '300ms';});
my ($took, $told) = timed('short', sub { told($adm, q{SELECT FROM promote.abort_deployment('shop-staging-db', 1)}) });
like($told, qr/^PM611/, 'a shorter lock_timeout counts');
cmp_ok($took, '<', $bound, '... at once');
# and a cancel is a cancel
ask($adm, q{RESET lock_timeout; SET statement_timeout = '300ms';});
like(ask($adm, q{SELECT FROM promote.abort_deployment('shop-staging-db', 1);}), qr/^57014/, 'and a cancel is one');
ask($adm, q{RESET statement_timeout; SET promote.rescue_timeout = '1s';});

# ---- ending them ----

my $other = connect_as('other_adm');
my $reader = connect_as('dep');
like(told($other, "SELECT promote.end_session($dep->{backend}, 'why', 'shop')"), qr/^PM701/,
	'who is not admin ends nobody');
like(told($other, "SELECT promote.end_session($dep->{backend}, 'why', 'other')"),
	qr/^PM002\|.*It holds no instance, no deployment, no request and no line of project "other"/,
	'... nor who is admin elsewhere');
like(told($adm, "SELECT promote.end_session($dep->{backend}, 'why')"), qr/^PM701/, '... nor of everything');
like(told($reader, "SELECT promote.end_session($dep->{backend}, 'why', 'shop')"), qr/^PM701/, '... nor who deploys');
like(told($adm, "SELECT promote.end_session($reader->{backend}, 'why', 'shop')"), qr/^PM002/,
	'who holds nothing is not ended');
like(told($root, "SELECT promote.end_session($reader->{backend}, 'why')"), qr/^PM002\|.*It holds nothing here/,
	'... by nobody');
like(told($adm, "SELECT promote.end_session($adm->{backend}, 'why', 'shop')"), qr/^PM404\|.*your own/, 'nor oneself');
like(told($adm, "SELECT promote.end_session(1, 'why', 'shop')"), qr/^PM002\|.*no such session/, 'nor who is not there');
like(told($adm, "SELECT promote.end_session($dep->{backend}, ' ', 'shop')"), qr/^PM404/, 'nor without a reason');
ask($root, q{BEGIN; SELECT FROM promote.plan_instance('shop-staging-log');});
like(told($adm, "SELECT promote.end_session($root->{backend}, 'why', 'shop')"), qr/^PM701\|.*superuser/,
	'nor a superuser');
ask($root, 'ROLLBACK;');
is(ask($adm, "SELECT promote.end_session($dep->{backend}, 'it holds staging', 'shop');"), 't', 'who holds it is ended');
ok($node->wait_for('brakes', "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $dep->{backend})"),
	'... and is gone');
is(ask($adm, "SELECT event, actor, data ->> 'role', data ->> 'reason' FROM promote.audit_log WHERE subject = "
	. "'session $dep->{backend}';"), 'session.ended|adm|dep|it holds staging', '... which is recorded');
like($node->log_text, qr/session $dep->{backend} is ended by "adm": it holds staging/,
	'... also where no rollback takes it back');
unlike(told($adm, q{SELECT FROM promote.abort_deployment('shop-staging-db', 1)}), qr/PM611/,
	'... and so the emergency goes on');
is(sql('SELECT count(*) FROM promote.verify_audit()'), 0, 'and the log is whole');
bye($dep);

# ---- a crowd at a row ----

$dep = connect_as('dep');
sql(q{DELETE FROM promote.policy});
my $number = sql(q{SELECT deployment FROM promote.plan_instance('shop-staging-db')});
ask($adm, q{SET promote.rescue_timeout = '1min';});
# they share the row of their source, and pass each other
sql(<<"SQL");
INSERT INTO promote.environment (project, environment, require_plan, require_proven_release)
	SELECT 'shop', 'tenant-' || n, false, false FROM generate_series(1, $crowd) AS n;
INSERT INTO promote.instance (project, environment, component) SELECT 'shop', 'tenant-' || n, 'db'
	FROM generate_series(1, $crowd) AS n;
SELECT promote.configure_instance('shop-tenant-' || n || '-db', '{"size": 1}', '1.0.0', plan => false)
	FROM generate_series(1, $crowd) AS n;
SELECT promote.promote_instance('shop-staging-db', 'shop-tenant-' || n || '-db', plan => false)
	FROM generate_series(1, $crowd) AS n;
SQL
beside_crowd(q{SELECT FROM promote.deploy_instance('shop-tenant-%d-db'), pg_sleep(0.2)}, sub {
	($took, $told) = timed('abort',
		sub { ask($adm, "SELECT status FROM promote.abort_deployment('shop-staging-db', $number);") });
	is($told, 'ABORTED', 'an abort of what others promote from all the time');
	cmp_ok($took, '<', $bound, sprintf '... in %.0f ms', 1000 * $took);
});
$number = sql(q{SELECT deployment FROM promote.plan_instance('shop-staging-log')});
beside_crowd(q{SELECT FROM promote.plan_instance('shop-staging-log'), pg_sleep(0.05)}, sub {
	($took, $told) = timed('abort',
		sub { ask($adm, "SELECT status FROM promote.abort_deployment('shop-staging-log', $number);") });
	is($told, 'ABORTED', 'an abort of what others plan all the time');
	cmp_ok($took, '<', $bound, sprintf '... in %.0f ms', 1000 * $took);
});

# ---- a commit that does not come to its end ----

sql(q{SELECT FROM promote.resume_line('shop')});
my $stuck = connect_as('dep');
print { $stuck->{to} } "SET synchronous_commit = on; SELECT FROM promote.deploy_instance('shop-production-db');\n";
ok($node->wait_for('brakes', "SELECT wait_event = 'SyncRep' FROM pg_stat_activity WHERE pid = $stuck->{backend}"),
	'a commit waits for a standby that there is not');
ask($root, q{SET promote.rescue_timeout = '1s';});
($took, $told) = timed('freeze',
	sub { ask($root, q{INSERT INTO promote.freeze_window (name, during)
	VALUES ('stuck', '[2030-01-01,2031-01-01)');}) });
is($told, 'PM611 rules that others are just committing by is held by others', 'a freeze says so');
cmp_ok($took, '<', $bound, '... in time');
is(ask($root, "SELECT promote.end_session($stuck->{backend}, 'it does not come to its end');"), 't', 'it is ended');
is(ask($root, q{INSERT INTO promote.freeze_window (name, during) VALUES ('stuck', '[2030-01-01,2031-01-01)');}), '',
	'... and the freeze is there');

# who changes rules, and does not come to the end of it
sql(q{DELETE FROM promote.freeze_window});
$stuck = connect_as('dep');
print { $stuck->{to} } "SET synchronous_commit = on; SELECT FROM promote.open_request('shop', 'staging', "
	. "'production', '{\"components\": [\"log\"]}');\n";
ok($node->wait_for('brakes', "SELECT wait_event = 'SyncRep' FROM pg_stat_activity WHERE pid = $stuck->{backend}"),
	'a change of rules waits for that standby');
($took, $told) = timed('deploy', sub { ask($root, q{SELECT FROM promote.deploy_instance('shop-tenant-1-db');}) });
is($told, 'PM611 rules that others are just changing is held by others',
	'who was judged does not wait for it without bound');
cmp_ok($took, '<', $bound, '... in time');
is(ask($root, "SELECT promote.end_session($stuck->{backend}, 'it does not come to its end');"), 't', '... and ends it');

# two who stop: of different projects they do not wait for each other; of one the second says whom it waits for
ask($adm, q{BEGIN; SELECT FROM promote.stop_line('fire', 'shop');});
my $stop = ask($adm, q{SELECT max(stop) FROM promote.line_stop;});
($took, $told) = timed('stop', sub { ask($other, q{SELECT stop FROM promote.stop_line('flood', 'other');}) });
is($told, $stop + 1, 'a stop of another project has the next number');
cmp_ok($took, '<', $bound, '... at once');
like(told($root, q{SET promote.rescue_timeout = '1s'; SELECT FROM promote.stop_line('war', 'shop')}),
	qr/^PM611\|the\ line\ of\ project\ "shop"\ is\ held\ by\ others
		\|Process\ $adm->{backend}\ .*end_session\($adm->{backend},\ 'why',\ 'shop'\)/x,
			'one of the same project says whom it waits for');
like(told($root, q{SELECT FROM promote.stop_line('war')}),
	qr/^PM611\|the line of everything is held by others\|Process $adm->{backend} /,
	'... and so does one of everything');
like(told($other, "SELECT promote.end_session($adm->{backend}, 'why', 'other')"), qr/^PM002/,
	'who is admin elsewhere does not end it');
is(ask($root, "SELECT promote.end_session($adm->{backend}, 'it holds the line', 'shop');"), 't',
	'... but who is admin there');
is(ask($root, q{SELECT stop FROM promote.stop_line('war', 'shop');}), $stop + 2, 'a number is given once');
is(ask($root, q{BEGIN; SELECT project IS NULL FROM promote.stop_line('war');}), 't', 'everything is stopped');
like(told($other, q{SET LOCAL promote.rescue_timeout = '1s'; SELECT FROM promote.resume_line('other')}),
	qr/^PM611\|the line of everything is held by others\|Process $root->{backend} of role "postgres"/,
	'... and who goes on with one project says whom that waits for');
ask($root, 'COMMIT;');
is(sql('SELECT count(*) FROM promote.verify_audit()'), 0, 'the log is whole');
bye($_) for $other, $reader, $root, $dep;
done_testing();
