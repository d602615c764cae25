# A policy that is not to be ended: how the session ends with it, that nothing of its transaction stays, and that a
# language which looks for no cancel is no way to pass.

use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time);
use PromoteTest;

my $node = PromoteTest->shop('policies', <<'SQL');
INSERT INTO promote.environment (project, environment) VALUES ('shop', 'production'), ('shop', 'staging');
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'db', 'postgres');
INSERT INTO promote.instance (project, environment, component) SELECT project, environment, 'db'
	FROM promote.environment;
DO $$ BEGIN PERFORM promote.configure_instance(name, '{}') FROM promote.instance; END $$;
CREATE SCHEMA rules;
CREATE TABLE rules.held (id integer);
CREATE TABLE rules.trace (id integer);

-- Takes every cancel for an invitation to go on.
CREATE FUNCTION rules.endless(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
	LANGUAGE plpgsql STABLE AS $$
BEGIN
    LOOP
        BEGIN
            PERFORM pg_sleep(0.01);
        EXCEPTION WHEN query_canceled OR OTHERS THEN
            NULL;
        END;
    END LOOP;
END $$;

-- Asks for another policy for ever, and hears of no end.
CREATE FUNCTION rules.asks(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
	LANGUAGE plpgsql STABLE AS $$
BEGIN
    LOOP
        BEGIN
            PERFORM promote.blockers('shop-staging-db', NULL, at);
        EXCEPTION WHEN query_canceled THEN
            NULL;
        END;
    END LOOP;
END $$;
CREATE FUNCTION rules.sleeps(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
	LANGUAGE plpgsql STABLE
    AS $$ BEGIN PERFORM pg_sleep(3600); END $$;

-- Waits for a lock for as long as it says itself, and makes an answer of it.
CREATE FUNCTION rules.waits(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
	LANGUAGE plpgsql STABLE
    SET lock_timeout = '50ms' AS $$
BEGIN
    PERFORM FROM rules.held;
EXCEPTION WHEN lock_not_available THEN
    RETURN QUERY SELECT 'held', 'somebody has the table', NULL::timestamptz, NULL::timestamptz, NULL, false;
END $$;

-- Hides behind lock_timeouts of its own, which arrive as cancels do, and takes what is caught between them along.
CREATE FUNCTION rules.hides(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
	LANGUAGE plpgsql STABLE
    SET lock_timeout = '1ms' AS $$
DECLARE
    began timestamptz := clock_timestamp();
BEGIN
    WHILE clock_timestamp() < began + interval '400 ms' LOOP
        BEGIN
            PERFORM FROM rules.held;
        EXCEPTION WHEN lock_not_available OR query_canceled THEN
            NULL;
        END;
    END LOOP;
END $$;
SQL

sub use_policies {
	my (%of) = @_;
	$node->query('policies', join '', 'DELETE FROM promote.policy;', map {
		"INSERT INTO promote.policy (policy, function, project, environment, timeout)
		 VALUES ('$_', 'rules.$of{$_}[0]', 'shop', '$_', '$of{$_}[1]');" } sort keys %of);
	return;
}

my $bound = 120;    # seconds, for what would go on for ever
my $blockers = q{SELECT code, message FROM promote.blockers('shop-production-db') WHERE code IN ('policy', 'held')};

use_policies(production => [ 'endless', '200 ms' ]);
my $began = time;
my ($rc, $out, $err) = $node->psql('policies', "BEGIN; INSERT INTO rules.trace VALUES (1); $blockers; COMMIT;");
isnt($rc, 0, 'a policy that catches every cancel ends the session');
cmp_ok(time - $began, '<', $bound, '... within a bounded time');
like($err, qr/FATAL:  terminating connection/, '... by what no handler catches');
like($node->log_text, qr/policy "production", which goes on after the 200 ms that it has/, '... and the log says why');
is($node->query('policies', 'SELECT count(*) FROM rules.trace'), '0', '... and nothing of its transaction stays');

# A cancel that it hears outside its handler ends it alone.
use_policies(production => [ 'asks', '200 ms' ], staging => [ 'sleeps', '1 min' ]);
$began = time;
($rc, $out, $err) = $node->psql('policies', $blockers);
like("$out$err", qr/was still running after 200 ms|FATAL:  terminating connection/,
	'nor does one go on that asks for another without end');
cmp_ok(time - $began, '<', $bound, '... within a bounded time');

use_policies(production => [ 'waits', '1 min' ]);
my $holder = $node->spawn('policies', 'BEGIN; LOCK TABLE rules.held; SELECT pg_sleep(3600)');
$node->wait_for('policies',
	q{SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'rules.held'::regclass AND mode = 'AccessExclusiveLock'
	AND granted)});
is($node->query('policies', $blockers), 'held|somebody has the table',
	q{a policy's own lock_timeout is its own affair});
use_policies(production => [ 'hides', '1 min' ]);
my @passed = grep { ($node->psql('policies', "SET statement_timeout = '" . (100 + 3 * $_)
	. "ms'; $blockers"))[2] !~ /due to statement timeout/ } 1 .. 20;
is(scalar @passed, 0, '... but no statement_timeout is lost behind one');
$node->query('policies',
	q{SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query ~ 'pg_sleep\(3600\)'
	AND pid <> pg_backend_pid()});
$node->finish($holder);

SKIP: {
	my ($missing) = $node->psql('policies', 'CREATE EXTENSION plperl');
	skip 'no PL/Perl', 3 if $missing;
	$node->query('policies', <<'SQL');
CREATE FUNCTION rules.computes(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
	LANGUAGE plperl STABLE
    AS $$ my $n = 0; $n++ for 1 .. 60_000_000; return; $$;
CREATE FUNCTION rules.evals(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
	LANGUAGE plperl STABLE
    AS $$ for (;;) { eval { spi_exec_query('SELECT pg_sleep(0.01)') } } return; $$;
SQL
	use_policies(production => [ 'computes', '100 ms' ]);
	is($node->query('policies', $blockers), 'policy|policy "production" was still running after 100 ms',
		'what hears no cancel at all, and answers late, blocks');
	is($node->query('policies', "$blockers; SELECT 1"),
		qq{policy|policy "production" was still running after 100 ms\n1},
		'... and the session, which was never heard to be cancelled, goes on');
	use_policies(production => [ 'evals', '200 ms' ]);
	my (undef, undef, $ended) = $node->psql('policies', $blockers);
	like($ended, qr/FATAL:  terminating connection/, 'and what evals without end ends the session');
}

done_testing();
