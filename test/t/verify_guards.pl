# Verifying on servers of its own: guards that a restore leaves switched off are told and come back, and how long it
# takes does not hang on statistics.

use strict;
use warnings;
use Test::More;
use PromoteTest;

my $node = PromoteTest->new('autovacuum = off', 'max_wal_size = 4GB');
my $instances = 3000;

sub query { return $node->query(@_) }

$node->create_promote('origin');
query('origin', <<"SQL");
INSERT INTO promote.bundle VALUES ('b');
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('b', '1.0.0', '{}');
INSERT INTO promote.project (project) VALUES ('big');
INSERT INTO promote.component (project, component, bundle) VALUES ('big', 'c', 'b');
INSERT INTO promote.environment (project, environment) SELECT 'big', 'e' || n FROM generate_series(1, $instances) n;
INSERT INTO promote.instance (project, environment, component) SELECT 'big', 'e' || n, 'c'
	FROM generate_series(1, $instances) n;
INSERT INTO promote.config (project, params) SELECT 'big', jsonb_build_object('n', n)
	FROM generate_series(1, $instances) n;
INSERT INTO promote.revision (project, environment, component, digest, version_constraint)
SELECT 'big', 'e' || n, 'c', promote.config_digest('big', jsonb_build_object('n', n)), '1.0.0'
	FROM generate_series(1, $instances) n;
INSERT INTO promote.revision (project, environment, component, digest, version_constraint)
SELECT 'big', 'e' || n, 'c', promote.config_digest('big', jsonb_build_object('n', $instances + 1 - n)), '1.0.0'
	FROM generate_series(1, $instances) n;
SQL
my $dump = $node->dir . '/origin.dump';
$node->dump('origin', $dump, '-Fc');

# ---- without statistics ----

# The processor's seconds that it takes, which do not hang on what else the machine does: the better of two, the first
# of which fills caches and hint bits.
sub verifying {
	my ($database) = @_;
	my $best;
	for (1 .. 2) {
		my ($begun, @told) = split /\n/, query($database, PromoteTest::slurp('test/fixtures/cpu.sql')
			  . 'SELECT pg_temp.cpu_seconds(); SELECT * FROM promote.verify_audit(); SELECT pg_temp.cpu_seconds()');
		my $took = pop(@told) - $begun;
		is("@told", '', 'all is whole');
		$best = $took if !defined $best || $took < $best;
	}
	return $best;
}
$node->create_database('fresh');
$node->restore('fresh', $dump);
is(query('fresh', q{SELECT count(*) FROM pg_stats WHERE schemaname = 'promote'}), 0,
	'nothing is known of what was restored');
cmp_ok(query('fresh', 'SELECT count(*) FROM promote.audit_log'), '>', 5 * $instances, 'it is much');
my $without = verifying('fresh');
query('fresh', 'ANALYZE');
my $with = verifying('fresh');
# twice is the promise; that of a join by nested loops is five times and more
cmp_ok($without, '<', 3 * $with + 1, sprintf 'verifying takes %.1f s without statistics, %.1f s with them', $without,
	$with);

# ---- restored with --disable-triggers ----

# of what a dump has
my $enabled = q{SELECT c.relname, t.tgname, t.tgenabled FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
	WHERE c.relnamespace = 'promote'::regnamespace AND NOT t.tgisinternal
	AND c.relpersistence = 'p' AND c.relname NOT IN ('rule_change', 'notice') ORDER BY 1, 2};
my $problems = q{SELECT subject, problem FROM promote.verify_audit()};
my $as_made = query('fresh', $enabled);
my $always = () = $as_made =~ /\|A$/mg;
cmp_ok($always, '>', 100, 'guards stand whatever session_replication_role says');
$node->create_promote('loaded');
$node->restore('loaded', $dump, '--data-only', '--disable-triggers');
is(scalar(() = query('loaded', $enabled) =~ /\|A$/mg), 0, 'a restore with --disable-triggers leaves none like that');
my @told = split /\n/, query('loaded', $problems);
is(scalar(grep { /^trigger \w+ of \w+\|it hangs on session_replication_role: see promote\.restore_guards$/ } @told),
	$always, 'which is told of each');
my $light = () = query('fresh', q{SELECT t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
	WHERE c.relnamespace = 'promote'::regnamespace AND t.tgisinternal AND t.tgenabled = 'D'}) =~ /^/mg;
cmp_ok($light, '>', 0, 'foreign keys of busy tables lock nothing');
is(scalar(grep { /\|the foreign key locks what it refers to: see promote\.restore_guards$/ } @told), $light,
	'... but such a restore has them lock again');
is(scalar(@told), $always + $light, '... and nothing else');
is(query('loaded', 'SELECT count(*) FROM promote.restore_guards()'), $always + $light, 'one verb restores them');
is(query('loaded', $enabled), $as_made, '... all');
is(query('loaded', $problems), '', '... so that all is whole');
is(query('loaded', q{SELECT project, subject, actor, jsonb_array_length(data -> 'guards') FROM promote.audit_log
	WHERE event = 'guards.restored'}),
	'*|*|postgres|' . ($always + $light), '... and it is recorded');
is(query('loaded', 'SELECT count(*) FROM promote.restore_guards()'), 0, 'where nothing is wrong nothing is done');
is(query('loaded', q{SELECT count(*) FROM promote.audit_log WHERE event = 'guards.restored'}), 1, '... nor recorded');

# ---- by the owner's hand ----

for my $case (
	[ 'ALTER TABLE promote.environment DISABLE TRIGGER record_change',
		'trigger record_change of environment|it is disabled' ],
	[ 'ALTER TABLE promote.approval ENABLE TRIGGER guard_record',
		'trigger guard_record of approval|it hangs on session_replication_role' ],
	[ 'ALTER TABLE promote.approval ENABLE REPLICA TRIGGER guard_record',
		'trigger guard_record of approval|it hangs on session_replication_role' ],
	[ 'ALTER TABLE promote.policy DISABLE TRIGGER check_policy', 'trigger check_policy of policy|it is disabled' ],
	[ 'DROP TRIGGER refuse_rewrite ON promote.audit_log', 'trigger refuse_rewrite of audit_log|it is missing' ],
	[ 'ALTER TABLE promote.secret RENAME TO other; ALTER TABLE promote.other RENAME TO secret; DROP TRIGGER '
		. 'guard_secret ON promote.secret;
	   CREATE TRIGGER guard_secret BEFORE INSERT ON promote.secret FOR EACH ROW EXECUTE FUNCTION '
	   	. 'promote_internal.guard_secret()',
		'trigger guard_secret of secret|it was replaced by another' ],
	[ 'CREATE OR REPLACE TRIGGER record_row AFTER UPDATE ON promote.revision FOR EACH ROW EXECUTE FUNCTION '
		. 'promote_internal.record_row(\'instance\')',
		'trigger record_row of revision|it was replaced by another' ],
	[ q{CREATE OR REPLACE FUNCTION promote_internal.guard_record() RETURNS trigger
		LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'},
		'trigger guard_record of approval|its function was replaced by another' ],
	[ 'ALTER TABLE promote.gate_override DISABLE TRIGGER ALL',
		'trigger gate_override_deployment_fkey of gate_override|the foreign key is not enforced' ])
{
	my ($statement, $problem) = @$case;
	query('loaded', $statement);
	like(query('loaded', $problems), qr/^\Q$problem\E: see promote\.restore_guards$/m, (split /\n/, $statement)[0]
		. ': told');
	cmp_ok(query('loaded', 'SELECT count(*) FROM promote.restore_guards()'), '>', 0, '... and mended');
	is(query('loaded', $problems), '', '... wholly');
}
is(query('loaded', $enabled), $as_made, 'all triggers are as they were made');

# ---- by whom ----

query('loaded', 'CREATE ROLE stranger LOGIN; GRANT USAGE ON SCHEMA promote TO stranger; ALTER TABLE '
	. 'promote.environment DISABLE TRIGGER record_change');
my $as_stranger = 'SET ROLE stranger; SELECT * FROM promote.restore_guards()';
my (undef, undef, $error) = $node->psql('loaded', $as_stranger, '-v', 'VERBOSITY=sqlstate');
is($error, "ERROR:  42501\n", 'nobody else may');
query('loaded', 'GRANT EXECUTE ON FUNCTION promote.restore_guards() TO stranger');
(undef, undef, $error) = $node->psql('loaded', $as_stranger, '-v', 'VERBOSITY=sqlstate');
is($error, "ERROR:  PM701\n", '... not even who may call it');
is(query('loaded', 'SELECT * FROM promote.restore_guards()'), 'environment|record_change|it is disabled',
	'the owner may');

# ---- what a verb has written, and tells of, goes with its transaction ----

query('loaded', q{DO $$
BEGIN
	BEGIN
		PERFORM promote.configure_instance('big-e1-c', '{"n": 7}');
		RAISE EXCEPTION 'never mind';
	EXCEPTION WHEN raise_exception THEN
		PERFORM promote.configure_instance('big-e1-c', '{"n": 8}');
	END;
END $$});
is(query('loaded', $problems), '', 'what was rolled back is in no digest');
query('loaded', q{BEGIN;
	ALTER TABLE promote.health_report DISABLE TRIGGER guard_record;
	INSERT INTO promote.health_report (project, environment, component, check_name, report, healthy, since, reported_at,
		actor, database_role)
	VALUES ('big', 'e1', 'c', 'smoke', 1, true, now(), now(), 'eve', 'eve');
	SELECT promote.configure_instance('big-e1-c', '{"n": 9}', plan => false);
	COMMIT});
like(query('loaded', $problems),
	qr{^big-e1-c\|health_report big/e1/c/smoke/1: there is such a row, and nothing records it$}m,
	'no event vouches for what was written past a guard');

query('loaded', 'SELECT count(*) FROM promote.restore_guards(); ALTER TABLE promote.bundle_release DISABLE TRIGGER '
	. 'record_change');
(undef, undef, $error) = $node->psql('loaded', q{SELECT promote.block_release('b', '1.0.0', 'broken')});
like($error, qr{a\ row\ was\ written,\ and\ nothing\ records\ it\nDETAIL:\ \ It\ is\ "release_event\ b/1\.0\.0/1",
		\ and\ no\ event\ of\ "bundle_release\ b/1\.0\.0"\ tells\ of\ it\.}x,
	'what was to record a row is switched off: its transaction does not commit');
is(query('loaded', 'SELECT count(*) FROM promote.release_event'), 0, '... and the row is not there');

done_testing;
