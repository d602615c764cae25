# What lies in wait for CREATE EXTENSION: a schema of that name that somebody else has made, or has a hand in, and
# default privileges that give tables and functions away.

use strict;
use warnings;
use Test::More;
use PromoteTest;

my $node = PromoteTest->new;
$node->query('postgres', 'CREATE ROLE mallory LOGIN; CREATE ROLE boss SUPERUSER');

# A new database after some statements, and what CREATE EXTENSION says there.
my $databases = 0;
sub made_after {
	my ($statements) = @_;
	my $database = 'attack_' . ++$databases;
	$node->create_database($database);
	$node->query($database, $statements);
	my ($rc, undef, $err) = $node->psql($database, 'CREATE EXTENSION promote');
	return ($database, $err);
}

# ---- a schema that is there already ----

for my $case (
	['CREATE SCHEMA promote AUTHORIZATION mallory', 'It belongs to role "mallory"', 'somebody else\'s'],
	['CREATE SCHEMA promote; GRANT CREATE ON SCHEMA promote TO mallory', 'Others than its owner may create in it',
		'one\'s own that another may create in'],
	['CREATE SCHEMA promote; GRANT CREATE ON SCHEMA promote TO PUBLIC', 'Others than its owner may create in it',
		'... that everybody may create in'],
	['ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO PUBLIC', 'Others than its owner may create in it',
		'... by default'],
	[q{CREATE SCHEMA promote; CREATE FUNCTION promote.f() RETURNS integer LANGUAGE sql AS 'SELECT 1'},
		'There is something in it', '... with a function'],
	['CREATE SCHEMA promote; CREATE TABLE promote.t ()', 'There is something in it', '... with a table'],
	['CREATE SCHEMA promote; CREATE DOMAIN promote.d AS text', 'There is something in it', '... with a type'],
	[q{CREATE SCHEMA promote; CREATE OPERATOR promote.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq)},
		'There is something in it', '... with an operator']) {
	my ($statements, $detail, $what) = @$case;
	my (undef, $err) = made_after($statements);
	like($err, qr/schema "promote" is there already\nDETAIL:  \Q$detail\E/, "a schema is refused: $what");
}
for my $case (['SELECT 1', 'there is none'], ['CREATE SCHEMA promote', 'it is empty'],
	['CREATE SCHEMA promote AUTHORIZATION boss', 'it is empty, and a superuser\'s'],
	['CREATE SCHEMA promote; GRANT USAGE ON SCHEMA promote TO mallory', 'others may use it']) {
	my (undef, $err) = made_after($case->[0]);
	is($err, '', "it is not where $case->[1]");
}

for my $case (['CREATE SCHEMA promote_internal AUTHORIZATION mallory', 'somebody else\'s'],
	['CREATE SCHEMA promote_internal', 'empty, and the owner\'s own']) {
	my ($database, $err) = made_after($case->[0]);
	like($err, qr/schema "promote_internal" already exists/, "a schema for the machinery is refused: $case->[1]");
	is($node->query($database, q{SELECT count(*) FROM pg_extension WHERE extname = 'promote'}), 0,
		'... and nothing is made');
}

# ---- default privileges ----

my ($given, $err) = made_after(q{ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC;
	ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO mallory WITH GRANT OPTION;
	ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO PUBLIC; CREATE SCHEMA promote;
	ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO PUBLIC;
		ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO mallory WITH GRANT OPTION});
is($err, '', 'the extension is made where default privileges give everything away');
is($node->query($given, q{SELECT string_agg(DISTINCT p, ', ')
	FROM pg_class AS c, unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS p
	WHERE c.relnamespace IN ('promote'::regnamespace, 'promote_internal'::regnamespace) AND c.relkind IN ('r', 'v')
		AND has_table_privilege('mallory', c.oid, p)}), '',
		'... and nobody but the owner writes a table, or puts a trigger on it');
is($node->query($given, q{SELECT string_agg(proname, ', ') FROM pg_proc
	WHERE pronamespace IN ('promote'::regnamespace, 'promote_internal'::regnamespace) AND provolatile = 'v'
	AND has_function_privilege('mallory', oid, 'EXECUTE')}), '', '... nor calls what writes');
is($node->query($given, q{SELECT has_schema_privilege('mallory', 'promote', 'CREATE')}), 'f',
	'... nor makes anything in the schema');
is($node->query($given, q{SELECT nspacl::text ~ '^{postgres=UC/postgres}$' FROM pg_namespace
	WHERE nspname = 'promote_internal'}), 't', '... nor comes into that of the machinery');
my (undef, undef, $refused) = $node->psql($given, q{SET ROLE mallory;
	CREATE FUNCTION pg_temp.mine() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
		CREATE TRIGGER aaa BEFORE INSERT ON promote.instance FOR EACH ROW EXECUTE FUNCTION pg_temp.mine()});
like($refused, qr/permission denied/, '... as it says');

done_testing;
