# Whose act it is where no session of a client's runs the code: autovacuum, VACUUM, the worker of a subscription,
# parallel workers. And whose word promote.actor is, where it comes from the catalogs or from how one connects.

use strict;
use warnings;
use Test::More;
use PromoteTest;

# There is one notion of who acts. The last refusal is shown to whom it was given, and asks only whether these are
# the same.
is(join(' ', grep { !m{/grant/role\.c$|/base/refusal\.c$}
	&& PromoteTest::slurp($_)
	=~ /\bGet(?:Outer|Session|Authenticated)?UserId\(|\bsuperuser\(/ } glob('src/*.c src/*/*.c')),
	'', 'no file but one asks PostgreSQL for the roles of the session');

my $node = PromoteTest->new('wal_level = logical', 'autovacuum_naptime = 1s', 'max_parallel_workers = 8');
my $major = $node->major;
$node->create_promote('identity');
$node->query('identity', <<'SQL');
INSERT INTO promote.bundle VALUES ('postgres');
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('postgres', '1.0.0', '{}');
INSERT INTO promote.project (project) VALUES ('shop');
INSERT INTO promote.environment (project, environment, separation_of_duty) VALUES ('shop', 'staging', true);
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'db', 'postgres');
INSERT INTO promote.instance (project, environment, component) VALUES ('shop', 'staging', 'db');
CREATE ROLE low LOGIN;
CREATE ROLE app LOGIN;
CREATE ROLE mia LOGIN;
GRANT mia TO app;
INSERT INTO promote.grants (role, action, project) SELECT r, a, 'shop' FROM unnest('{low,app,mia}'::text[]) AS r,
	unnest('{configure,deploy,approve,work}'::text[]) AS a;
INSERT INTO promote.grants (role, action) VALUES ('app', 'impersonate');
INSERT INTO promote.approval_rule (project, environment, rule, role) VALUES ('shop', 'staging', 'somebody', 'low');
CREATE SCHEMA low AUTHORIZATION low;
SQL

# Low configures an instance and records the plan as a worker; what is left is that somebody else approves.
$node->query('identity', <<'SQL');
SET ROLE low;
SELECT promote.configure_instance('shop-staging-db', '{"size": 1}');
RESET ROLE;
SQL
sub as_role {
	my ($role, $sql, @arguments) = @_;
	my ($rc, $out, $err) = $node->psql('identity', $sql, '-U', $role, '-v', 'VERBOSITY=sqlstate', @arguments);
	chomp $out;
	return $rc == 0 ? $out : $err =~ /ERROR:  (\w{5})/ ? $1 : $err;
}
as_role('low', <<'SQL');
SELECT instance, deployment, fencing FROM promote.claim_deployment('w', actions => '{PLAN}') \gset
SELECT promote.record_plan(:'instance', :deployment, '{"format_version": "1.2", "resource_changes": []}', :fencing);
SELECT promote.complete_deployment(:'instance', :deployment, :fencing);
SQL
my $approve = "SELECT (promote.approve_deployment('shop-staging-db', 1, 'fine')).status";
is(as_role('low', $approve), 'PM603', 'one\'s own proposal cannot be approved');

# Tries to approve it as the reviewer, and to act by other ways, and keeps what came of it.
my $bait = <<'SQL';
CREATE TABLE low.came (how text, what text, state text);
CREATE FUNCTION low.attempt(how text, what text, statement text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, low AS $$
DECLARE answer text;
BEGIN
	PERFORM set_config('promote.actor', 'ann.the.reviewer@example.com', true);
	EXECUTE statement INTO answer;
	INSERT INTO low.came VALUES (how, what, coalesce(answer, '-'));
EXCEPTION WHEN OTHERS THEN
	INSERT INTO low.came VALUES (how, what, SQLSTATE);
END $$;
CREATE FUNCTION low.act(how text) RETURNS integer LANGUAGE plpgsql SET search_path = pg_catalog, low AS $$
BEGIN
	PERFORM low.attempt(how, 'approve', $a$SELECT promote.approve_deployment('shop-staging-db', 1, 'fine')$a$);
	PERFORM low.attempt(how, 'configure', $a$SELECT promote.configure_instance('shop-staging-db', '{"size": 2}')$a$);
	PERFORM low.attempt(how, 'who', $a$SELECT promote.current_actor() || '/' || promote.current_database_role()$a$);
	PERFORM low.attempt(how, 'may', $a$SELECT promote.may('admin', 'shop')$a$);
	RETURN 1;
END $$;
SQL
is(as_role('low', $bait), '', 'the bait is laid');
as_role('low', <<'SQL');
CREATE TABLE low.t (i integer) WITH (autovacuum_enabled = off);
CREATE FUNCTION low.bait(i integer) RETURNS integer
	LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN low.act(current_setting('application_name')); END $$;
INSERT INTO low.t SELECT generate_series(1, 3);
CREATE INDEX ON low.t (low.bait(i));
ALTER FUNCTION low.bait(integer) RENAME TO fish;
TRUNCATE low.came;
SQL

# What came of it; each kind of answer once.
sub came {
	my ($how) = @_;
	return $node->query('identity',
		"SELECT string_agg(DISTINCT what || ' ' || state, ', ') FROM low.came WHERE how ~ '$how'");
}
my $refused = 'approve PM704, configure PM704, may false, who PM704';

# ---- what the server does with somebody's objects ----

for my $command ('VACUUM ANALYZE low.t', 'VACUUM FULL low.t', 'ANALYZE', 'REINDEX TABLE CONCURRENTLY low.t',
	'REINDEX SCHEMA low') {
	$node->query('identity', "TRUNCATE low.came; SET application_name = 'it'; $command");
	is(came('it'), $refused, "$command by a superuser acts for nobody");
}
$node->query('identity',
	"TRUNCATE low.came; ALTER TABLE low.t SET (autovacuum_enabled = on, autovacuum_analyze_threshold = 1, "
	. "autovacuum_analyze_scale_factor = 0)");
as_role('low', 'INSERT INTO low.t SELECT generate_series(1, 100)');
$node->query('identity', 'TRUNCATE low.came');
$node->query('identity', 'DELETE FROM low.t WHERE i > 10');
# autovacuum has no application name
ok($node->wait_for('identity', q{SELECT count(*) > 0 FROM low.came WHERE how = ''}), 'autovacuum has taken the bait');
is(came('^$'), $refused, '... and acts for nobody');
is($node->query('identity', 'SELECT count(*) FROM promote.approval'), 0, 'nobody has approved anything');

# ---- logical replication ----

# A subscription of a superuser's applies rows to low's table, which has a trigger for that.
$node->create_database('publisher');
$node->query('publisher', <<'SQL');
CREATE SCHEMA low;
CREATE TABLE low.sent (i integer PRIMARY KEY);
CREATE PUBLICATION sent FOR TABLE low.sent;
SELECT pg_create_logical_replication_slot('sent', 'pgoutput');
SQL
as_role('low', <<'SQL');
TRUNCATE low.came;
CREATE TABLE low.sent (i integer PRIMARY KEY);
CREATE FUNCTION low.invoker() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM low.act('invoker');
	RETURN NEW; END $$;
CREATE FUNCTION low.definer() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN PERFORM low.act('definer');
	RETURN NEW; END $$;
CREATE TRIGGER definer BEFORE INSERT ON low.sent FOR EACH ROW EXECUTE FUNCTION low.definer();
ALTER TABLE low.sent ENABLE ALWAYS TRIGGER definer;
SQL
$node->query('identity',
	sprintf q{CREATE SUBSCRIPTION sent CONNECTION 'host=%s port=5432 user=postgres dbname=publisher' PUBLICATION sent
	WITH (create_slot = false, slot_name = 'sent', copy_data = false)}, $node->dir);
$node->query('publisher', 'INSERT INTO low.sent VALUES (1)');
ok($node->wait_for('identity', 'SELECT count(*) = 1 FROM low.sent'), 'a subscription applies a row');
is(came('definer'), $major >= 16 ? $refused : 'approve PM703, configure PM703, may false, who PM703',
	'... and a trigger with its owner\'s rights does not act for the subscription\'s owner');
# Before 16 other triggers run as the subscription's owner, who can be made to do anything by them.
as_role('low', 'CREATE TRIGGER invoker BEFORE INSERT ON low.sent FOR EACH ROW EXECUTE FUNCTION low.invoker(); ALTER '
	. 'TABLE low.sent ENABLE ALWAYS TRIGGER invoker');
$node->query('publisher', 'INSERT INTO low.sent VALUES (2)');
ok($node->wait_for('identity', 'SELECT count(*) = 2 FROM low.sent'),
	'with a trigger that has the rights of who applies');
SKIP: {
	skip 'before PostgreSQL 16 that is the subscription\'s owner', 1 if $major < 16;
	is(came('invoker'), $refused, '... nobody acts');
}
$node->query('identity',
	'ALTER SUBSCRIPTION sent DISABLE; ALTER SUBSCRIPTION sent SET (slot_name = NONE); DROP SUBSCRIPTION sent');
$node->wait_for('publisher', q{SELECT NOT active FROM pg_replication_slots WHERE slot_name = 'sent'});
$node->query('publisher', q{SELECT pg_drop_replication_slot('sent')});

# ---- parallel workers ----

# Functions that say of themselves that they may run there: the names that a worker knows are those of its leader.
my $force = $node->parallel_setting;
$node->query('identity', <<'SQL');
CREATE TABLE public.rows AS SELECT generate_series(1, 10) AS i;
GRANT SELECT ON public.rows TO PUBLIC;
CREATE FUNCTION public.who() RETURNS text LANGUAGE plpgsql PARALLEL SAFE AS $$
BEGIN RETURN promote.current_actor() || '/' || promote.current_database_role() || CASE
	WHEN pg_backend_pid() = current_setting('my.pid')::integer THEN ' leader' ELSE ' worker' END; END $$;
CREATE FUNCTION low.names(actor text) RETURNS text
	LANGUAGE sql SECURITY DEFINER AS $$ SELECT set_config('promote.actor', actor, false) $$;
ALTER FUNCTION low.names OWNER TO low;
GRANT USAGE ON SCHEMA low TO PUBLIC;
SQL
my $ask = "SET parallel_leader_participation = off; SET $force = on; SELECT set_config('my.pid', "
	. "pg_backend_pid()::text, false) \\g /dev/null
SELECT DISTINCT public.who() FROM public.rows;";
my $loaded = 'SELECT promote.current_actor() \g /dev/null';
is(as_role('app', "SET promote.actor = 'zoe'; $loaded\n$ask"), 'zoe/app worker',
	'a parallel worker knows whom the setting names');
is(as_role('app', "SET ROLE mia; $ask"), 'mia/mia worker', '... and the role that was taken');
is(as_role('app', "$loaded\nSELECT low.names('zoe') \\g /dev/null\n$ask"), 'PM703',
	'... and that the setting is not its role\'s word');
is(as_role('app', "SET promote.actor = 'zoe'; SET client_min_messages = error; $ask"), 'PM703',
	'where the library is loaded by the worker alone, which cannot take the setting over, nobody is named in its '
		. 'place');

is(as_role('app', "SELECT low.names('zoe') \\g /dev/null\nSELECT promote.current_actor()"), 'PM703',
	'whose word it is is known of what was set before the library was loaded, too');

# ---- whose word the setting is ----

my $who = "SELECT promote.current_actor() || '/' || promote.current_database_role()";
{
	local $ENV{PGOPTIONS} = '-c promote.actor=zoe';
	is(as_role('app', $who), 'zoe/app', 'a connection\'s options are the word of who connects');
	is(as_role('mia', $who), 'PM703', '... who may name nobody');
}
$node->query('identity', q{ALTER ROLE app SET promote.actor = 'zoe'; ALTER ROLE mia SET promote.actor = 'zoe'});
is(as_role('app', $who), 'zoe/app', 'ALTER ROLE SET is the login\'s word');
is(as_role('app', "RESET promote.actor; $who"), 'zoe/app', '... that RESET leads back to');
is(as_role('app', "SET promote.actor = ''; $who"), 'app/app', '... until it names nobody');
is(as_role('mia', $who), 'PM703', '... who may name nobody');
is(as_role('app', "SET ROLE mia; $who"), 'PM703', '... nor may the role that it takes');
$node->query('identity', q{ALTER ROLE app RESET promote.actor; ALTER ROLE mia RESET promote.actor;
	ALTER ROLE app IN DATABASE identity SET promote.actor = 'zoe'});
is(as_role('app', $who), 'zoe/app', 'the same in one database');
$node->query('identity',
	q{ALTER ROLE app IN DATABASE identity RESET promote.actor; ALTER DATABASE identity OWNER TO low});
is(as_role('low', q{SELECT promote.current_actor() \g /dev/null
	ALTER DATABASE identity SET promote.actor = 'ann'}), '', 'who owns the database can set it for all');
is(as_role($_, $who), 'PM703', "... which is not the word of $_") for 'postgres', 'app', 'mia', 'low';
is(as_role('app', "SET promote.actor = 'zoe'; $who"), 'zoe/app', '... who says another');
$node->query('identity', q{ALTER DATABASE identity OWNER TO app});
is(as_role('app', $who), 'ann/app', 'but where the owner may name others it counts');
$node->query('identity', 'ALTER DATABASE identity RESET promote.actor');

# ---- who can make roles ----

# Before 16 whoever has CREATEROLE is a member of any role they like.
$node->query('identity',
	'CREATE ROLE boss LOGIN CREATEROLE; CREATE ROLE makers CREATEROLE; CREATE ROLE chief LOGIN IN ROLE makers;
	CREATE ROLE chiefs; GRANT chiefs TO boss; CREATE ROLE root SUPERUSER CREATEROLE; CREATE ROLE plain');
sub warned {
	my ($sql) = @_;
	my ($rc, undef, $err) = $node->psql('identity', $sql);
	return $rc == 0
		? $err =~ /WARNING:  "admin" is every action for who can make roles\nDETAIL:  Role "(\w+)" has CREATEROLE/ ? $1
		: $err : die $err;
}
for (['boss', 'boss', 'who has CREATEROLE'], ['chief', 'makers', 'who can take a role that has it'],
	['chiefs', 'boss', 'a role with a member that has it']) {
	my ($role, $named, $what) = @$_;
	is(warned("SELECT promote.grant_action('$role', 'admin', 'shop')"), $major >= 16 ? '' : $named,
		"\"admin\" is granted to $what with a warning, where that is every action");
}
is(warned("INSERT INTO promote.grants (role, action) VALUES ('boss', 'admin')"), $major >= 16 ? '' : 'boss',
	'... also by plain DML');
is(warned("SELECT promote.grant_action('$_', 'admin', 'shop')"), '', "... and to $_ without one") for 'root', 'plain',
	'mia';
is(warned("SELECT promote.grant_action('boss', 'view', 'shop')"), '', '... nor does another action warn');
is(as_role('boss', q{CREATE ROLE tool; SELECT promote.grant_action('tool', 'approve', 'shop') \g /dev/null
	GRANT tool TO boss; SELECT promote.may('approve', 'shop')}), $major >= 16 ? 'PM702' : 't',
		'for there they reach any');

done_testing;
