# PREPARE TRANSACTION: what was prepared was judged, and holds its rules and rows until it is ended, also over a crash.
# Who waits for it is told its name. What happens elsewhere waits for nothing.

use strict;
use warnings;
use Test::More;
use PromoteTest;
use Session;

my $node = PromoteTest->shop('held', <<'SQL', 'max_prepared_transactions = 5', 'promote.rescue_timeout = 300ms');
INSERT INTO promote.project VALUES ('other');
INSERT INTO promote.component (project, component, bundle) SELECT project, 'db', 'postgres' FROM promote.project;
INSERT INTO promote.environment (project, environment, require_plan, require_proven_release)
	SELECT project, environment, false, false
	FROM promote.project, unnest(ARRAY['staging', 'production']) AS environment;
INSERT INTO promote.instance (project, environment, component) SELECT project, environment, 'db'
	FROM promote.environment;
SELECT promote.configure_instance(name, '{"size": 1}', '1.0.0', plan => false) FROM promote.instance;
SQL

my $session = Session->new($node, 'held');
sub sql { return $node->query('held', @_) }

# The state, the detail and the hint by which something is refused; empty if it is not.
sub refused {
	my ($sql) = @_;
	my (undef, undef, $err) = $node->psql('held', "\\set VERBOSITY verbose\n$sql");
	my ($state) = $err =~ /ERROR:  (\w{5}):/ or return '';
	my ($detail) = $err =~ /^DETAIL:  (.*)/m;
	my ($hint) = $err =~ /^HINT:  (.*)/m;
	return join '|', $state, $detail // '', $hint // '';
}

my $deploy = q{SELECT FROM promote.deploy_instance('shop-production-db');};
my $stop = q{SELECT FROM promote.stop_line('fire', 'shop');};
my $resume = q{SELECT FROM promote.resume_line('shop');};
my $abort = q{SELECT promote.abort_deployment('shop-staging-db', max(deployment)) FROM promote.deployment
	WHERE environment = 'staging' AND project = 'shop';};
my $edit = q{UPDATE promote.environment SET description = 'x' WHERE environment = '%s' AND project = '%s';};
my $named = qr/^PM611\|Transaction 'it''s' of role "postgres" has been prepared since \d{4}-\S+ \S+ UTC\.\|/;
my $ended = qr/Commit it, or end it: ROLLBACK PREPARED 'it''s', by its owner or a superuser\./;

sub prepare {
	my ($sql) = @_;
	is($session->ask("BEGIN; $sql PREPARE TRANSACTION 'it''s';"), '', "this is prepared: $sql");
	return;
}

# ---- who was judged ----

for my $crash (0, 1) {
	my $when = $crash ? 'after a crash' : 'while it is prepared';
	prepare($deploy);
	if ($crash) {
		$node->stop('immediate');
		$node->start;
		$session = Session->new($node, 'held');
	}
	like(refused($stop), $named, "$when its line is not stopped, and who holds it is said");
	like(refused($stop), $ended, '... and what ends that');
	like(refused(sprintf $edit, 'production', 'shop'), $named, '... nor is its environment changed');
	like(refused(q{INSERT INTO promote.freeze_window (name, during) VALUES ('f', '[2030-01-01,2031-01-01)');}), $named,
		'... nor everything frozen');
	like(refused(q{SELECT FROM promote.block_release('postgres', '1.0.0', 'CVE-1');}), $named,
		'... nor its release blocked');
	is(refused(sprintf $edit, 'staging', 'shop'), '', 'another environment is changed at once');
	is(refused(q{SELECT FROM promote.stop_line('flood', 'other'), promote.resume_line('other');}), '',
		'... and another line stopped');
	is(refused("SELECT FROM promote.deploy_instance('shop-staging-db'); $abort"), '',
		'... and another instance deployed');
	is($session->ask(q{ROLLBACK PREPARED 'it''s';}), '', 'it is rolled back');
	is(sql(q{SELECT count(*) FROM promote.deployment WHERE environment = 'production'}), 0, '... and nothing is left');
	is(refused("$stop$resume"), '', '... and the line is stopped');
}
prepare($deploy);
is($session->ask(q{COMMIT PREPARED 'it''s';}), '', 'it is committed');
is(sql(q{SELECT count(*) FROM promote.deployment WHERE environment = 'production'}), 1, '... and is there');
is(refused("$stop$resume"), '', '... and the line is stopped');

# ---- rows ----

prepare(q{SELECT FROM promote.claim_deployment('w', '{PROVISION}');});
like(refused(q{SELECT FROM promote.abort_deployment('shop-production-db', 1);}), $named,
	'an abort of what is prepared to be claimed says which transaction holds it');
is($session->ask(q{ROLLBACK PREPARED 'it''s';}), '', 'it is rolled back');
is(refused(q{SELECT FROM promote.abort_deployment('shop-production-db', 1);}), '', '... and it is aborted');

# ---- who changed rules ----

for my $crash (0, 1) {
	prepare(sprintf $edit, 'production', 'shop');
	if ($crash) {
		$node->stop('immediate');
		$node->start;
		$session = Session->new($node, 'held');
	}
	like(refused($deploy), $named, 'who is judged by rules that are prepared to change waits for that, for a while');
	is(refused("SELECT FROM promote.plan_instance('shop-staging-db'); $abort"), '', '... nobody else');
	$session->ask('BEGIN;');
	is($session->ask($deploy), '', 'who is judged before it is committed');
	is(sql(q{COMMIT PREPARED 'it''s'}), '', '...');
	is($session->ask('COMMIT;'), '40001 could not commit what was judged by rules that have changed',
		'... is held to it' . ($crash ? ', also after a crash' : ''));
}

# ---- each its own ----

prepare(q{SELECT FROM promote.open_request('shop', 'staging', 'production');});
is($session->ask(q{COMMIT PREPARED 'it''s';}), '', 'a request is opened');
is(sql('SELECT count(*) FROM promote.promotion_request'), 1, '... and is there');
is($session->ask(q{BEGIN; SAVEPOINT s; SELECT FROM promote.open_request('shop', 'staging', 'production'); ROLLBACK TO s;
	PREPARE TRANSACTION 'it''s';}), '', 'a request that was taken back');
is(refused($stop . $resume), '', '... holds nothing');
is($session->ask(q{ROLLBACK PREPARED 'it''s';}), '', '...');
unlike($node->log_text, qr/leak/, 'nothing is left behind');
is(sql('SELECT count(*) FROM promote.verify_audit()'), 0, 'the log is whole');

done_testing;
