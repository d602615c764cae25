# Recording cannot be switched off, gone round or led astray: not by session_replication_role, not by a role that may
# only call the API, not by objects that are named like those that promote uses.

use strict;
use warnings;
use Test::More;
use PromoteTest;

my $node = PromoteTest->new;
$node->create_promote('recording');
$node->query('recording', <<'SQL');
INSERT INTO promote.bundle VALUES ('postgres');
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('postgres', '1.0.0',
	'{"properties": {"zone": {"$md.copyable": false}, "password": {"$md.sensitive": true}}}');
INSERT INTO promote.project VALUES ('shop');
INSERT INTO promote.environment (project, environment)
    VALUES ('shop', 'staging'), ('shop', 'production');
INSERT INTO promote.parameter_set (project, environment, parameters)
    VALUES ('shop', 'staging', '{"host": "s"}'), ('shop', 'production', '{"host": "p"}');
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'db', 'postgres');
INSERT INTO promote.instance (project, environment, component)
SELECT project, environment, 'db' FROM promote.environment;
DO $$ BEGIN
	PERFORM promote.configure_instance('shop-staging-db', '{"size": 1, "zone": "s", "host": "{{host}}"}');
	PERFORM promote.configure_instance('shop-production-db', '{"zone": "p"}');
	PERFORM promote.promote_instance('shop-staging-db', 'shop-production-db', '{"size": 0}', idempotency_key => 'k');
END $$;

CREATE ROLE caller LOGIN;
CREATE ROLE wrapper;
CREATE ROLE visitor LOGIN;
INSERT INTO promote.grants (role, action)
VALUES ('caller', 'promote'), ('caller', 'configure'), ('caller', 'admin'), ('caller', 'impersonate'),
	('wrapper', 'promote'), ('wrapper', 'impersonate');
CREATE SCHEMA work AUTHORIZATION wrapper;
GRANT USAGE ON SCHEMA work TO visitor;
SET ROLE wrapper;
CREATE FUNCTION work.deploy(note text) RETURNS integer LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog,
	pg_temp
	AS $$ SELECT new_revision FROM promote.promote_instance('shop-staging-db', 'shop-production-db',
		pg_catalog.jsonb_build_object('note', note)) $$;
SQL

# Runs SQL as a role, by its own login, and returns what it printed, or the SQLSTATE it failed with.
sub as_role {
	my ($role, $sql) = @_;
	my ($rc, $out, $err) = $node->psql('recording', $sql, '-U', $role, '-v', 'VERBOSITY=sqlstate');
	chomp $out;
	return $rc == 0 ? $out : $err =~ /ERROR:  (\w{5})/ ? $1 : $err;
}

# The last that was recorded of production: the revision, its plan and both audit rows.
sub last_record {
	return $node->query('recording', q{
		SET search_path = pg_catalog;    -- not to be trapped itself
		SELECT r.revision || ' plan ' || d.deployment || ' ' || r.actor || '/' || r.database_role || ' ' || d.actor
			|| '/' || d.database_role || ': ' || string_agg(a.event || ' ' || a.actor || '/' || a.database_role, ', '
				ORDER BY seq)
		FROM promote.instance i
		JOIN promote.revision r USING (project, environment, component, revision)
		LEFT JOIN promote.deployment d USING (project, environment, component, revision)
		LEFT JOIN promote.audit_log a ON a.subject = i.name AND (a.data->>'revision')::integer = r.revision
		WHERE i.name = 'shop-production-db' GROUP BY r.revision, d.deployment, r.actor, r.database_role, d.actor,
			d.database_role});
}

sub is_recorded {
	my ($revision, $who, $name) = @_;
	return is(last_record(), "$revision plan $revision $who $who: revision.created $who, deployment.created $who",
		$name);
}

my $promote = sub {
	my ($note) = @_;
	return "SELECT new_revision FROM promote.promote_instance('shop-staging-db', 'shop-production-db', "
		. "'{\"note\": \"$note\"}')";
};

# ---- session_replication_role ----

is(as_role('postgres', 'SET session_replication_role = replica; ' . $promote->('replica')), 3,
	'as a replica: a promotion');
is_recorded(3, 'postgres/postgres', '... is recorded');
is(as_role('postgres', q{SET session_replication_role = replica;
	INSERT INTO promote.config (project, params) VALUES ('shop', '{"size": 5}');
	INSERT INTO promote.revision (project, environment, component, digest, version_constraint)
	VALUES ('shop', 'production', 'db', promote.config_digest('shop', '{"size": 5}'), 'latest') RETURNING revision}),
	4, '... and an INSERT of a revision');
is_recorded(4, 'postgres/postgres', '... is numbered and recorded');

my %rewrite = (
	config     => q{created_at = now()},
	revision   => q{message = 'another'},
	deployment => q{diff = '[]'},
	audit_log  => q{actor = 'somebody else'},
);
for my $role ('origin', 'replica', 'local') {
	for my $table (sort keys %rewrite) {
		for my $sql ("UPDATE promote.$table SET $rewrite{$table}", "DELETE FROM promote.$table",
			"TRUNCATE promote.$table CASCADE")
		{
			is(as_role('postgres', "SET session_replication_role = $role; $sql"), 'PM301', "$role: refused: $sql");
		}
	}
	for my $table ('project', 'environment', 'component', 'instance', 'bundle', 'bundle_release') {
		my $sql = "TRUNCATE promote.$table CASCADE";
		is(as_role('postgres', "SET session_replication_role = $role; $sql"), 'PM301', "$role: refused: $sql");
	}
	is(as_role('postgres', "SET session_replication_role = $role; UPDATE promote.instance SET $_"), 'PM303',
		"$role: refused: what an instance desires is not set by hand: $_")
	  for 'revision = revision + 1', 'deployment = 0', q{version_constraint = '1.0.0'},
	  	q{release_channel = 'development'};
}
is(as_role('postgres', q{SET session_replication_role = replica;
	MERGE INTO promote.revision r USING promote.revision s ON r.digest = s.digest WHEN MATCHED THEN DELETE}),
	'PM301', 'refused: DELETE by MERGE');
is(as_role('postgres', q{SET session_replication_role = replica;
	INSERT INTO promote.config (project, params) VALUES ('shop', '{"size": 5}')
	ON CONFLICT (project, digest) DO UPDATE SET created_at = now()}), 'PM301',
		'refused: UPDATE by INSERT ... ON CONFLICT');
is(as_role('postgres', 'SELECT * FROM promote.verify_audit()'), '', 'and all is as it was');

# ---- a role that has grants and no other rights ----

is(as_role('caller', $promote->('caller')), 5, 'a role that was granted it promotes');
is_recorded(5, 'caller/caller', '... in its own name');
is(as_role('caller', q{SET promote.actor = 'ada'; } . $promote->('ada')), 6, '... on behalf of somebody');
is_recorded(6, 'ada/caller', '... and both are recorded');
is(as_role('caller', q{SELECT new_revision FROM promote.configure_instance('shop-production-db', '{"x": 1}')}), 7,
	'... and edits');
is_recorded(7, 'caller/caller', '... in its own name');
is(as_role('caller', q{SELECT count(*) FROM promote.preview_promotion('shop-staging-db', 'shop-production-db');
	SELECT promote.plan_text('shop-production-db') <> ''; SELECT revision
		FROM promote.config_as_of('shop-production-db');
	SELECT count(*) FROM promote.verify_audit()}), "8\nt\n7\n0", '... and asks');

my $denied = '42501';
is(as_role('caller', "SET session_replication_role = $_"), $denied, "it may not become a $_") for 'replica', 'local';
is(as_role('caller', "SET promote.actor = 'x'; SET ROLE postgres"), $denied, '... nor another role');
my @tables = split /\n/, $node->query('recording', q{SELECT relname FROM pg_class
	WHERE relnamespace = 'promote'::regnamespace AND relkind = 'r' ORDER BY 1});
for my $table (@tables) {
	my $column = $node->query('recording', qq{SELECT attname FROM pg_attribute
		WHERE attrelid = 'promote.$table'::regclass AND attnum = 1});
	for my $sql ("INSERT INTO promote.$table DEFAULT VALUES",
		"UPDATE promote.$table SET $column = $column", "DELETE FROM promote.$table", "TRUNCATE promote.$table CASCADE",
		"BEGIN; LOCK promote.$table IN ACCESS EXCLUSIVE MODE", "ALTER TABLE promote.$table DISABLE TRIGGER ALL",
		"ALTER TABLE promote.$table DISABLE TRIGGER USER", "DROP TABLE promote.$table CASCADE",
		"CREATE RULE r AS ON INSERT TO promote.$table DO INSTEAD NOTHING",
		"CREATE TRIGGER t BEFORE INSERT ON promote.$table EXECUTE FUNCTION suppress_redundant_updates_trigger()",
		"CREATE TABLE pg_temp.child () INHERITS (promote.$table)")
	{
		is(as_role('caller', $sql), $denied, "it may not: $sql");
	}
}
is(as_role('caller', $_), $denied, "it may not: $_")
  for 'DROP EXTENSION promote', 'DROP TRIGGER record_revision ON promote.revision',
  'ALTER FUNCTION promote_internal.record_revision() OWNER TO caller',
  'CREATE OR REPLACE FUNCTION promote_internal.record_revision() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN '
  	. 'RETURN NULL; END $$',
  'CREATE TABLE promote.t ()',
  'CREATE TEMP TABLE t (); CREATE TRIGGER t AFTER INSERT ON t EXECUTE FUNCTION promote_internal.record_revision()';
is(as_role('visitor', $promote->('visitor')), $denied, 'a role without privileges may not call it');

# ---- who is recorded ----

is(as_role('postgres', 'SET ROLE caller; ' . $promote->('set role')), 8, 'after SET ROLE');
is_recorded(8, 'caller/caller', '... it is that role that is recorded');
is(as_role('visitor', q{SELECT work.deploy('by a wrapper')}), 9, 'through a SECURITY DEFINER function');
is_recorded(9, 'visitor/visitor', '... it is who called that');
is(as_role('visitor', q{SET promote.actor = 'eve'; SELECT work.deploy('by a wrapper again')}), 'PM703',
	'... and who called it may not name others');
$node->query('recording', q{SELECT promote.grant_action('visitor', 'impersonate')});
is(as_role('visitor', q{SET promote.actor = 'eve'; SELECT work.deploy('by a wrapper again')}), 10,
	'... but with a grant: the name');
$node->query('recording', q{SELECT promote.revoke_action('visitor', 'impersonate')});
is_recorded(10, 'eve/visitor', '... is beside the role, not in its place');
is(as_role('caller', $promote->('loaded') . q{; SET promote.actor = E'x\ny'}), '22023',
	'a name with control characters is refused');
# The server keeps it before the library is loaded and can judge it, and warns then.
is(as_role('caller', q{SET promote.actor = E'x\ny'; } . $promote->('not loaded')), 12,
	'... also before the library is loaded');
is_recorded(12, 'caller/caller', '... and counts for none');

# ---- look-alikes ----

# Called, each of them would raise; read, each of the tables would mislead; used, each of the types would refuse.
# They stand in a schema that is first in the search path, in public and, where it is possible, among the temporary.
my @functions = (
	'encode(pg_catalog.bytea, pg_catalog.text) RETURNS pg_catalog.text',
	'octet_length(pg_catalog.bytea) RETURNS pg_catalog.int4', 'octet_length(pg_catalog.text) RETURNS pg_catalog.int4',
	'strpos(pg_catalog.text, pg_catalog.text) RETURNS pg_catalog.int4',
	'jsonb_typeof(pg_catalog.jsonb) RETURNS pg_catalog.text',
		'jsonb_array_length(pg_catalog.jsonb) RETURNS pg_catalog.int4',
	'clock_timestamp() RETURNS pg_catalog.timestamptz', 'now() RETURNS pg_catalog.timestamptz',
	'sha256(pg_catalog.bytea) RETURNS pg_catalog.bytea', 'lower(pg_catalog.text) RETURNS pg_catalog.text',
	'current_actor() RETURNS pg_catalog.text', 'current_database_role() RETURNS pg_catalog.text',
	'jsonb_digest(pg_catalog.jsonb) RETURNS pg_catalog.bytea',
		'config_digest(pg_catalog.text, pg_catalog.jsonb) RETURNS pg_catalog.bytea',
		'check_params(pg_catalog.jsonb) RETURNS pg_catalog.bool',
	'format_diff(pg_catalog.jsonb, pg_catalog.bool) RETURNS pg_catalog.text',
	'resolve_release(pg_catalog.text, pg_catalog.text, pg_catalog.text) RETURNS pg_catalog.text',
	'version_range(pg_catalog.text) RETURNS pg_catalog.text', 'version_key(pg_catalog.text) RETURNS pg_catalog.bytea',
	'audit_facts(pg_catalog.record, VARIADIC pg_catalog.text[]) RETURNS pg_catalog.jsonb',
	'is_version(pg_catalog.text) RETURNS pg_catalog.bool',
		'is_version_constraint(pg_catalog.text) RETURNS pg_catalog.bool',
	'jsonb_schema_check(pg_catalog.jsonb) RETURNS pg_catalog.bool',
	'verify_audit(pg_catalog.text) RETURNS pg_catalog.text',
		'plan_text(pg_catalog.text, pg_catalog.int4) RETURNS pg_catalog.text',
);
my @operators = (
	(map { my $type = $_; map { [ $_, $type, $type, 'bool' ] } '=', '<>', '<', '<=', '>', '>=' }
		qw(text bytea int4 int8 timestamptz jsonb)),
	[ '||', 'text', 'text',    'text' ], [ '||', 'text', 'int4',    'text' ], [ '||', 'text', 'anynonarray', 'text' ],
	[ '||', 'anynonarray', 'text', 'text' ], [ '+', 'int4', 'int4', 'int4' ], [ '-', 'int4', 'int4', 'int4' ],
	[ '+',  'int8', 'int4', 'int8' ], [ '-', 'int8', 'int4', 'int8' ], [ '~', 'text', 'text', 'bool' ],
	[ '!~', 'text', 'text',    'bool' ], [ '->', 'jsonb', 'text', 'jsonb' ], [ '->>', 'jsonb', 'text', 'text' ],
);

sub look_alikes {
	my ($schema) = @_;
	my $raise = q{LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a look-alike was called'; END $$};
	my $sql = '';
	$sql .= "CREATE DOMAIN $schema.$_ AS pg_catalog.$_ CHECK (false);\n" for qw(text int4 int8 bool bytea jsonb
		timestamptz);
	$sql .= "CREATE FUNCTION $schema.$_ $raise;\n" for @functions;
	my $number = 0;
	for my $operator (@operators) {
		my ($name, $left, $right, $result) = @$operator;
		$number++;
		$sql .= "CREATE FUNCTION $schema.operator_$number(pg_catalog.$left, pg_catalog.$right) RETURNS "
			. "pg_catalog.$result $raise;\n"
		  . "CREATE OPERATOR $schema.$name (FUNCTION = $schema.operator_$number, LEFTARG = pg_catalog.$left, "
		  	. "RIGHTARG = pg_catalog.$right);\n";
	}
	$sql .= "CREATE TABLE $schema.$_ (LIKE promote.$_);\n" for @tables;
	$sql .= "CREATE TABLE $schema.$_ (project pg_catalog.int4);\n" for 'new_revision', 'promotion_history';
	return $sql;
}

sub temporary_tables {
	my $sql = '';
	$sql .= "CREATE TEMP TABLE $_ (a pg_catalog.int4, project pg_catalog.int4, name pg_catalog.int4);\n"
	  for @tables, 'new_revision', 'stored', 'promotion_history', 'recorded', 'chained';
	$sql .= "CREATE TYPE pg_temp.text AS (a pg_catalog.int4); CREATE TYPE pg_temp.jsonb AS (a pg_catalog.int4);\n";
	return $sql;
}

$node->query('recording', 'CREATE SCHEMA trap;' . look_alikes('trap') . look_alikes('public')
	. 'GRANT ALL ON SCHEMA trap, public TO PUBLIC; GRANT ALL ON ALL TABLES IN SCHEMA trap, public TO PUBLIC;');
my $revision = 12;
my $trap = 'SET search_path = trap, public, pg_catalog;';
is(as_role('caller', "$trap SELECT 'a'::pg_catalog.text || 'b'::pg_catalog.text"), 'P0001',
	'the traps are set: an operator');
is(as_role('caller', "$trap SELECT clock_timestamp()"), 'P0001', '... a function');
is(as_role('caller', "$trap SELECT 1::int4"), '23514', '... a type');

# Everything of the API in a new session, where all its statements have yet to be prepared.
my $calls = <<'SQL';
SELECT new_revision FROM promote.promote_instance('shop-staging-db', 'shop-production-db',
	pg_catalog.jsonb_build_object('trap', pg_catalog.gen_random_uuid()), message => 'm', expected_revision => %d,
	idempotency_key => pg_catalog.gen_random_uuid()::pg_catalog.text);
SELECT changed FROM promote.promote_instance('shop-staging-db', 'shop-production-db', '{"size": 0}',
	idempotency_key => 'k');
SELECT new_revision FROM promote.configure_instance('shop-production-db',
	pg_catalog.jsonb_build_object('edit', pg_catalog.gen_random_uuid()), plan => false);
SELECT deployment IS NOT NULL, changed FROM promote.configure_instance('shop-production-db');
SELECT pg_catalog.count(*) FROM promote.preview_promotion('shop-staging-db', 'shop-production-db');
SELECT pg_catalog.left(promote.plan_text('shop-production-db'), 18);
SELECT revision FROM promote.config_as_of('shop-production-db');
SELECT pg_catalog.count(*) FROM promote.verify_audit();
SQL
for my $path ('trap, public', 'trap, public, pg_catalog', 'pg_temp, trap, public, pg_catalog', 'public, pg_catalog',
	q{''}) {
	for my $temporary ('', temporary_tables()) {
		my $where = "search_path = $path" . ($temporary ? ', with temporary objects' : '');
		my @answers = split /\n/,
		  as_role('caller', "${temporary}SET search_path = $path;\n" . sprintf($calls, $revision));
		is("@answers", join(' ', $revision + 1, 't', $revision + 2, 't|f', 8, 'shop-production-db', $revision + 2, 0),
			"$where: everything means what it always does");
		$revision += 2;
	}
}
is(as_role('caller', $promote->('plain')), $revision + 1, 'a promotion after all that');
is_recorded(++$revision, 'caller/caller', '... is recorded as ever');
$node->query('recording', 'ALTER ROLE caller SET search_path = trap, pg_catalog');
is(as_role('caller', sprintf($calls, $revision)) =~ s/\n.*//sr, $revision + 1, 'a path that the role brings along');
$revision += 2;
is($node->query('recording', 'SET search_path = pg_catalog; ' . join ' UNION ALL ',
	map { "SELECT count(*) FROM $_" } map { ("trap.$_", "public.$_") } @tables),
	join("\n", (0) x (2 * @tables)), 'nothing was written to a look-alike');

# The DBA's own INSERT, with the same traps.
is(as_role('postgres', temporary_tables() . q{SET search_path = pg_temp, trap, public, pg_catalog;
	INSERT INTO promote.revision (project, environment, component, digest, version_constraint)
	VALUES ('shop', 'production', 'db', promote.config_digest('shop', '{"size": 5}'), 'latest') RETURNING revision}),
	++$revision, q{a DBA's INSERT with the traps in the path});
is_recorded($revision, 'postgres/postgres', '... is recorded');

# Settings that change how values are written or read.
is(as_role('caller', q{SET search_path = pg_catalog; SET DateStyle = 'German, DMY'; SET TimeZone = 'Asia/Kathmandu';
	SET bytea_output = escape; SET extra_float_digits = -15;
	SET transform_null_equals = on; SET IntervalStyle = sql_standard; SET xmlbinary = hex; SET row_security = off;
	SET plan_cache_mode = force_custom_plan; SET enable_indexscan = off; SET enable_bitmapscan = off;
	SET client_min_messages = error; } . $node->set_backslashes . $promote->('settings')), ++$revision,
		'with every setting turned round');
is_recorded($revision, 'caller/caller', '... a promotion is recorded');
is(as_role('postgres', 'SELECT * FROM promote.verify_audit()'), '', 'the audit log is whole');
is(as_role('caller', q{SET search_path = pg_catalog; SET DateStyle = 'SQL, MDY'; SET TimeZone = 'America/St_Johns';
	SET bytea_output = escape; SELECT * FROM promote.verify_audit()}), '',
		'... whatever the settings of who verifies it');

done_testing;
