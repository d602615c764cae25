# What has to hold for everything that the extension brings: it can be made, dropped and made again, everything in
# it is explained, nothing that writes is open to PUBLIC, and every table is dumped.

use strict;
use warnings;
use Test::More;
use PromoteTest;

my $node = PromoteTest->new;
$node->create_database('install');

# Describes the members of the extension in this catalog, as m, for which the condition holds; empty if there are none.
sub members {
	my ($catalog, $condition) = @_;
	return $node->query('install', <<"SQL");
SELECT string_agg(pg_describe_object(d.classid, d.objid, 0), E'\\n' ORDER BY d.objid)
FROM pg_depend d
JOIN pg_extension e ON d.refobjid = e.oid AND d.refclassid = 'pg_extension'::regclass
JOIN $catalog m ON m.oid = d.objid AND d.classid = '$catalog'::regclass
WHERE d.deptype = 'e' AND e.extname = 'promote' AND ($condition)
SQL
}

sub setting_of {
	my ($path, $pattern) = @_;
	return PromoteTest::slurp($path) =~ $pattern ? $1 : undef;
}

my $version = setting_of('promote.control', qr/^default_version\s*=\s*'([^']+)'/m);
is(setting_of('META.json', qr/^   "version": "([^"]+)"/m), $version, 'META.json has the version of the control file');

my ($rc, undef, $err) = $node->psql('install', 'CREATE EXTENSION promote');
is($rc, 0, 'the extension can be made') or BAIL_OUT($err);
is($err, '', '... without a word');
is($node->query('install', q{SELECT extversion FROM pg_extension WHERE extname = 'promote'}),
	$version, '... and is of the version of the control file');
is($node->query('install', q{SELECT count(*) > 0 FROM pg_depend d JOIN pg_extension e ON d.refobjid = e.oid
	AND d.refclassid = 'pg_extension'::regclass WHERE d.deptype = 'e' AND e.extname = 'promote'}),
	't', '... and has members');

my $table = q{m.relkind IN ('r', 'p')};
my $uncommented = 'obj_description(d.objid, d.classid::regclass::name) IS NULL';
is(members('pg_proc', $uncommented), '', 'every function has a comment');
is(members('pg_class', "$uncommented AND m.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')"),
	'', 'every table and view has a comment');
is(members('pg_type', "$uncommented AND m.typtype IN ('d', 'e', 'r', 'b') AND m.typelem = 0"),
	'', 'every domain and type has a comment');

is(members('pg_proc', q{m.provolatile = 'v' AND EXISTS (
	SELECT FROM aclexplode(coalesce(m.proacl, acldefault('f', m.proowner))) WHERE grantee = 0)}),
	'', 'no volatile function is executable by PUBLIC');
is(members('pg_class', qq{$table AND EXISTS (
	SELECT FROM aclexplode(coalesce(m.relacl, acldefault('r', m.relowner))) WHERE grantee = 0)}),
	'', 'no table grants anything to PUBLIC');
is(members('pg_proc', q{m.prosecdef AND NOT coalesce(m.proconfig::text ~ 'search_path=', false)}),
	'', 'every SECURITY DEFINER function pins its search_path');
# rule_change is of transactions under way, and notice of the moment after, which no dump has
is(members('pg_class', "$table AND m.relname NOT IN ('rule_change', 'notice')
	AND NOT m.oid = ANY (coalesce(e.extconfig, '{}'))"), '', 'the rows of every table are dumped');
is(members('pg_class', "$table AND NOT EXISTS (
	SELECT FROM pg_constraint k WHERE k.conrelid = m.oid AND k.contype = 'p')"),
	'', 'every table has a primary key');

is(($node->psql('install', 'DROP EXTENSION promote'))[0], 0, 'it can be dropped');
is($node->query('install', q{SELECT string_agg(objects.name, ', ') FROM (
	SELECT relname AS name FROM pg_class WHERE relnamespace = to_regnamespace('promote')
	UNION ALL SELECT nspname FROM pg_namespace WHERE nspname = 'promote_internal'
	UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = to_regnamespace('promote')
	UNION ALL SELECT typname FROM pg_type WHERE typnamespace = to_regnamespace('promote')) objects}),
	'', '... and leaves nothing in its schema');
is(($node->psql('install', 'CREATE EXTENSION promote'))[0], 0, '... and made again');

done_testing;
