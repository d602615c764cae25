# A second server follows by logical replication, with promote in it: every table, from the first copy on and live, with
# its history whole. Then it takes over, as the how-to says. What applies rows is let through, and nobody else.

use strict;
use warnings;
use Test::More;
use PromoteTest;
use Session;

my $here = PromoteTest->new('wal_level = logical', 'wal_retrieve_retry_interval = 100ms');
my $there = PromoteTest->new('wal_retrieve_retry_interval = 100ms');

sub here { return $here->query('shop', @_) }
sub there { return $there->query('shop', @_) }

# The blocks of the how-to, by their numbers, for these two servers.
my $page = PromoteTest::slurp('doc/how-to/move-to-another-server.md');
my %step = $page =~ /^(\d)\. .*?^```\n(.*?)^```/gms;
my $connection = join ' ', 'host=' . $here->dir, 'port=5432', 'user=postgres', 'dbname=shop';
$step{3} =~ s/CONNECTION '.*?'/CONNECTION '$connection'/;

# All rows of all tables but what is of use to one server alone.
my @tables;

sub rows {
	my ($server) = @_;
	my %row = ('audit_log' => "(to_jsonb(t) - 'settled_by')::text");
	return { map { my $row = $row{$_} // 't::text'; $_ => $server->query('shop',
		"SELECT x FROM (SELECT $row FROM promote.$_ t) AS r (x) ORDER BY x COLLATE \"C\"") } @tables };
}

# Waits until all that was written has come.
sub catch_up {
	my $end = here('SELECT pg_current_wal_insert_lsn()');
	return $here->wait_for('shop', $step{6} =~ s{0/0}{$end}r, 60);
}

# ---- the first copy ----

$here->create_database('shop');
$here->query('shop', PromoteTest::slurp('test/fixtures/content.sql'));
# a row that is for this server alone
my $editor = Session->new($here, 'shop');
$editor->ask('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1;');
here(q{UPDATE promote.environment SET description = 'seen by the copy' WHERE environment = 'prod-us-west'});
here('CREATE TABLE public.bell (n integer PRIMARY KEY)');
@tables = split /\n/, here(q{SELECT relname FROM pg_class WHERE relnamespace = 'promote'::regnamespace AND relkind = 'r'
	AND relname NOT IN ('rule_change', 'notice') ORDER BY 1});
cmp_ok(scalar(@tables), '>', 30, 'there are tables');
is(scalar(grep { here("SELECT count(*) FROM promote.$_") eq '0' } @tables), 0, '... that all have rows');
$there->query('postgres', 'CREATE ROLE approver LOGIN; CREATE ROLE dba IN ROLE postgres');
$there->create_database('shop');
there('CREATE EXTENSION promote; CREATE TABLE public.bell (n integer PRIMARY KEY)');
here($step{2});
here('ALTER PUBLICATION promote_move ADD TABLE public.bell');
there($step{3});
ok($there->wait_for('shop', $step{4} =~ s/;.*//sr, 60), 'all tables follow')
	or diag there('SELECT srrelid::regclass, srsubstate FROM pg_subscription_rel'), $there->log_text;
is_deeply(rows($there), rows($here), '... and have the same rows');
is(there('SELECT * FROM promote.verify_audit()'), '', '... with a history that is whole, guards and all');
is(there('SELECT count(*) FROM promote.rule_change') . here('SELECT count(*) > 0 FROM promote.rule_change'), '0t',
	'what is for the old server alone stays there');
$editor->ask('COMMIT;');

# ---- live ----

# sessions there that have asked, and keep what they were told
my $looker = Session->new($there, 'shop', '-U', 'approver');
my $owner = Session->new($there, 'shop');
there('GRANT USAGE ON SCHEMA promote TO approver; GRANT EXECUTE ON FUNCTION promote.may TO approver; '
	. 'GRANT SELECT ON promote.grants TO approver');
my $may = q{SELECT promote.may('configure', 'shop');};
is($looker->ask($may), 'f', 'a session there that has no grant');
my $edit = q{BEGIN; SELECT FROM promote.configure_instance('shop-back-db', '{}', plan => false);};
is($owner->ask($edit), '', '... and one that may change an environment');
$owner->ask('ROLLBACK;');
my @live = (
	q{SELECT promote.grant_action('approver', 'configure', 'shop'), promote.grant_action('approver', 'view', 'shop')},
	q{SELECT promote.archive_environment('shop-back')},
	q{SELECT promote.configure_instance('shop-staging-db', '{"i": 31}')},
	q{SELECT promote.promote_instance('shop-staging-db', 'shop-production-db', '{"size": 9}')},
	q{SELECT promote.append_deployment_log(c.instance, c.deployment, 'half', c.fencing)
		FROM promote.claim_deployment('w') AS c},
	q{UPDATE promote.instance SET attributes = '{"moved": true}' WHERE name = 'shop-staging-db'},
	q{SELECT promote.revoke_action('approver', 'override', 'blog')},
	q{UPDATE promote.bundle_release SET block_reason = 'bad' WHERE version = '1.10.0'},
	q{DELETE FROM promote.component_dependency},
	q{DELETE FROM promote.idempotency_key WHERE idempotency_key = 'k3'},
	q{INSERT INTO promote.project VALUES ('gone')},
	q{UPDATE promote.project SET project = 'renamed' WHERE project = 'gone'},
	q{DELETE FROM promote.project WHERE project = 'renamed'},
	q{SELECT promote.set_secret('blog-staging-db', 'password', 'another')},
	q{SELECT promote.report_observed('blog-production-db', '{"size": 6}'::jsonb, 'scan')},
	q{SELECT count(*) FROM promote.prune_audit(clock_timestamp(), 'shop')},
	q{INSERT INTO promote.schema_document (uri, document) VALUES ('https://example.com/late.json', '{}')},
	q{INSERT INTO promote.stateful_type (pattern) VALUES ('late_*')},
	q{SELECT promote.stop_line('while it moves', 'blog')},
);
here("SET promote.secret_key_command = 'echo k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE='; $_") for @live;
ok(catch_up(), 'what happens arrives') or diag $there->log_text;
is_deeply(rows($there), rows($here), '... every row as it is');
is(there('SELECT * FROM promote.verify_audit()'), '', '... and the history is whole');
is($looker->ask($may), 't', '... has one when it was given elsewhere');
like($owner->ask($edit), qr/^PM006 /m, '... and may not when the environment was archived elsewhere');
unlike($there->log_text, qr/ERROR:(?!.*is archived)|WARNING/, 'nothing was refused, and nobody warned');

# ---- what somebody's code writes while a row is applied is written by a statement like any other ----

here('INSERT INTO public.bell VALUES (1)');
ok(catch_up(), 'rows of other tables arrive');
there(<<'SQL');
CREATE FUNCTION public.ring() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		UPDATE promote.revision SET message = 'another';
	EXCEPTION WHEN OTHERS THEN
		INSERT INTO public.heard VALUES (SQLSTATE);
	END;
	RETURN NULL;
END $$;
CREATE TABLE public.heard (sqlstate text);
CREATE TRIGGER ring AFTER INSERT ON public.bell FOR EACH ROW EXECUTE FUNCTION public.ring();
ALTER TABLE public.bell ENABLE ALWAYS TRIGGER ring;
SQL
here('INSERT INTO public.bell VALUES (2)');
ok($there->wait_for('shop', 'SELECT count(*) = 2 FROM public.bell', 60), 'it rings');
is(there('SELECT * FROM public.heard'), 'PM301', '... and history is guarded');

# ---- taking over ----

here($_) for split /;/, $step{5} =~ s/SELECT pg_current.*//sr;
my $error = ($here->psql('shop', q{SELECT promote.configure_instance('shop-staging-db', '{}')}, '-v',
	'VERBOSITY=sqlstate'))[2];
is($error, "ERROR:  25006\n", 'nobody writes on the old server any more');
my ($end, $heads) = split /\|/, here($step{5} =~ s/.*(?=SELECT pg_current)//sr);
ok($here->wait_for('shop', $step{6} =~ s{0/0}{$end}r, 60), 'the new one has all');
my ($look, @end) = split /(?<=;)\n/, $step{7};
is(there($look), $heads, '... to the last head of every chain');
is_deeply(rows($there), rows($here), '... and the same rows');
my $counters = q{SELECT i.revision, i.deployment, (SELECT max(seq) FROM promote.audit_log a WHERE a.subject = i.name),
	(SELECT max(position) FROM promote.audit_log), (SELECT count(DISTINCT position) = count(*) FROM promote.audit_log)
	FROM promote.instance i WHERE name = 'shop-production-db'};
my @before = split /\|/, here($counters);
is(join('|', @before), there($counters), 'all numbers are the same');
there($_) for @end;
like(there(q{SELECT new_revision, deployment FROM promote.promote_instance('shop-staging-db', 'shop-production-db',
	'{"size": 10}')}), qr/^@{[ $before[0] + 1 ]}\|@{[ $before[1] + 1 ]}$/, 'a promotion goes on behind them');
my @after = split /\|/, there($counters);
is("$after[2] $after[4]", $before[2] + 2 . ' t', '... is recorded once');
cmp_ok($after[3], '>', $before[3], '... as an event behind all others');
like(there(q{SELECT string_agg(DISTINCT subject, ' ') FROM promote.next_events('reader', 10)}), qr/blog/,
	'a consumer goes on where it was');
like($looker->ask(q{SELECT new_revision FROM promote.configure_instance('shop-staging-db', '{"i": 32}');}), qr/^\d+$/,
	'who has grants may use them');
is(there('SELECT * FROM promote.verify_audit()'), '', 'the history goes on whole');
is(($there->psql('shop', 'SET session_replication_role = replica; SET row_security = off;
	UPDATE promote.revision SET message = $$another$$', '-v', 'VERBOSITY=sqlstate'))[2], "ERROR:  PM301\n",
	'... and guarded');

done_testing();
