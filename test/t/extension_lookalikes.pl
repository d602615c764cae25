# Look-alikes of PostgreSQL's functions, operators, types, casts and tables lie in public, in a schema of the caller's
# path and in its temporary schema. None of them is ever called: not when the extension is made, not by any of its
# functions, not by a view. And one function that does not pin its path is found out.

use strict;
use warnings;
use Test::More;
use PromoteTest;

my $node = PromoteTest->new('log_min_messages = log', 'track_functions = all', "lc_messages = 'C'");

# What was called since the last time.
my $read = 0;
sub called {
	my $log = $node->log_text;
	my $new = substr $log, $read;
	$read = length $log;
	my %seen;
	return join "\n", grep { !$seen{$_}++ } $new =~ /look-alike called: .*|WARNING: .*look-alike.*/g;
}

# ---- planting ----

$node->create_promote('names');
my $tables = $node->query('names',
	q{SELECT array_agg(relname)::text FROM pg_class
	WHERE relnamespace IN ('promote'::regnamespace, 'promote_internal'::regnamespace) AND relkind IN ('r', 'v')});
$tables =~ s/\}$/,pg_class,pg_proc,pg_roles,pg_namespace,pg_type,pg_attribute,pg_auth_members}/;

my $plant = PromoteTest::slurp('test/fixtures/lookalikes.sql');
$node->create_database('hostile');
my $planted = $node->query('hostile', <<"SQL");
$plant
CREATE SCHEMA evil;
GRANT USAGE ON SCHEMA evil TO PUBLIC;
SELECT traps.plant('evil', '$tables') + traps.plant('public', '$tables') + traps.planted_casts(ARRAY['evil', 'public']);
CREATE FUNCTION evil.sees_more() RETURNS text LANGUAGE sql AS 'SELECT lower(''X'')';
SQL
cmp_ok($planted, '>', 5000, "$planted look-alikes were planted");
my ($rc, undef, $err) = $node->psql('hostile',
	q{SET search_path = evil, pg_catalog; SELECT 'a'::pg_catalog.text || 'b'::pg_catalog.text});
isnt($rc, 0, 'an operator among them is called where the path says so');
like(called(), qr/evil \|\|/, '... and the log says so');
($rc, undef, $err) = $node->psql('hostile',
	q{SET search_path = public, pg_catalog; SELECT lower('X'::pg_catalog.text)});
like(called(), qr/public\.lower/, '... as of a function');
($rc, undef, $err) = $node->psql('hostile', q{SET search_path = evil, pg_catalog; SELECT 'X'::text});
like(called(), qr/a type/, '... a type');
($rc, undef, $err) = $node->psql('hostile', q{SET search_path = evil, pg_catalog; SELECT * FROM instance});
like(called(), qr/a table/, '... and a table');

# ---- CREATE EXTENSION ----

$node->query('postgres', 'CREATE ROLE lookalike_reviewer; GRANT lookalike_reviewer TO postgres');

my %paths = (first => 'evil, public, pg_catalog', temporary => 'pg_temp, evil, pg_catalog, public',
	last => 'pg_catalog, pg_temp, evil', plain => 'evil');
my $temporary = "SELECT traps.plant_names('pg_temp', '$tables');";

# What the extension's members were made of that is neither its own nor PostgreSQL's.
my $foreign = <<'SQL';
WITH member AS (SELECT d.classid, d.objid FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
	AND e.extname = 'promote'
                 WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass),
     part AS (SELECT * FROM member UNION SELECT d.classid, d.objid FROM pg_depend AS d
     	JOIN member AS m ON m.classid = d.refclassid AND m.objid = d.refobjid AND d.deptype IN ('a', 'i'))
SELECT string_agg(pg_describe_object(d.classid, d.objid, d.objsubid) || ' uses ' || pg_describe_object(d.refclassid,
	d.refobjid, d.refobjsubid), E'\n')
  FROM part AS p JOIN pg_depend AS d ON d.classid = p.classid AND d.objid = p.objid
  CROSS JOIN LATERAL pg_identify_object(d.refclassid, d.refobjid, 0) AS o
 WHERE o.schema IN ('evil', 'public', 'traps') OR o.schema LIKE 'pg_temp%'
SQL

for my $path (sort keys %paths) {
	$node->query('postgres', "CREATE DATABASE made_$path TEMPLATE hostile");
	($rc, undef, $err) = $node->psql("made_$path",
		"${temporary}SET search_path = $paths{$path}; CREATE EXTENSION promote");
	is("$rc$err", '0', "$path: the extension is made under search_path = $paths{$path}") or next;
	is(called(), '', '... and calls no look-alike');
	is($node->query("made_$path", $foreign), '', '... nor is any in what it is made of');
}
$node->query('made_plain',
	'CREATE VIEW public.captured AS SELECT evil.lower(x.x) FROM (VALUES (NULL::text)) AS x (x); ALTER EXTENSION '
	. 'promote ADD VIEW public.captured');
like($node->query('made_plain', $foreign), qr/uses function evil\.lower/,
	'something made of a look-alike would be found');
$node->query('made_plain', 'ALTER EXTENSION promote DROP VIEW public.captured; DROP VIEW public.captured');

# ---- every verb, function and view ----

# Arguments that reach the body of a function, by their names, and by their types.
my $calls = <<'SQL';
SELECT format('SELECT * FROM %s.%I(%s);', p.pronamespace::regnamespace, p.proname, (
    SELECT string_agg(CASE WHEN v.variadic AND a.n = p.pronargs THEN 'VARIADIC ' ELSE ''
    	END || format('%L::pg_catalog.%I', CASE
        WHEN a.name IN ('instance', 'dst', 'a', 'name') THEN 'ecomm-production-db'
        	WHEN a.name IN ('src', 'b') THEN 'ecomm-staging-db'
        WHEN a.name = 'project' THEN 'ecomm' WHEN a.name IN ('environment', 'destination_environment') THEN 'production'
        	WHEN a.name = 'source_environment' THEN 'staging'
        WHEN a.name = 'component' THEN 'db' WHEN a.name = 'bundle' THEN 'postgres' WHEN a.name ~ 'version' THEN '1.0.0'
        	WHEN a.name = 'release_channel' THEN 'stable'
        WHEN a.name = 'role' THEN 'lookalike_reviewer' WHEN a.name = 'action' THEN 'view'
        WHEN a.type = 'jsonb'::regtype THEN '{"size": "x"}' WHEN a.type = 'text'::regtype THEN 'x'
        	WHEN a.type IN ('int4'::regtype, 'int8'::regtype) THEN '1' WHEN a.type = 'bool'::regtype THEN 'true'
        WHEN a.type IN ('timestamptz'::regtype, 'timestamp'::regtype) THEN '2030-01-01'
        	WHEN a.type = 'interval'::regtype THEN '1 hour' WHEN a.type = 'tstzrange'::regtype THEN '[2030-01-01,)'
        WHEN a.type = 'bytea'::regtype THEN '\x00' WHEN t.typelem <> 0 THEN '{}' END, t.typname), ', ' ORDER BY a.n)
      FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY AS u(type, n)
      CROSS JOIN LATERAL (SELECT u.n, u.type, COALESCE(p.proargnames[u.n], '') AS name) AS a
      	JOIN pg_type AS t ON t.oid = a.type))
  FROM pg_proc AS p JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
  JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'promote'
  CROSS JOIN LATERAL (SELECT p.provariadic <> 0 AS variadic) AS v
 WHERE p.prokind = 'f' AND p.prorettype <> 'trigger'::regtype
   AND NOT EXISTS (SELECT FROM unnest(p.proargtypes::oid[]) AS x JOIN pg_type AS y ON y.oid = x WHERE y.typtype <> 'b'
   	AND y.typtype <> 'r')
UNION ALL
SELECT format('SELECT %s.%I(x) FROM promote.%I AS x;', p.pronamespace::regnamespace, p.proname, t.typname)
  FROM pg_proc AS p JOIN pg_type AS t ON t.oid = p.proargtypes[0] AND t.typtype = 'c'
  	WHERE p.pronamespace IN ('promote'::regnamespace, 'promote_internal'::regnamespace) AND p.pronargs = 1
UNION ALL
SELECT format(s, c.relname, (SELECT attname FROM pg_attribute WHERE attrelid = c.oid AND attnum = 1),
	c.relnamespace::regnamespace)
  FROM pg_class AS c, unnest(ARRAY['TABLE %3$s.%1$I;', 'UPDATE %3$s.%1$I SET %2$I = %2$I;', 'DELETE FROM %3$s.%1$I;',
  	'TRUNCATE %3$s.%1$I CASCADE;']) AS s
 WHERE c.relnamespace IN ('promote'::regnamespace, 'promote_internal'::regnamespace)
 	AND (c.relkind = 'r' OR c.relkind = 'v' AND s ~ '^TABLE')
UNION ALL SELECT 'SELECT promote_internal.audit_facts(x) FROM promote.revision AS x;'
SQL

my $story = PromoteTest::slurp('test/fixtures/lookalike_story.sql');
my $policy = 'CREATE FUNCTION traps.calm(instance text, deployment integer, at timestamptz) RETURNS SETOF '
	. 'promote.blocking_reason LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN; END $$;';
for my $path (sort keys %paths) {
	my $database = "made_$path";
	$node->query($database, $policy);
	my $set = "${temporary}SET search_path = $paths{$path};\n";
	($rc, undef, $err) = $node->psql($database, $set . $story, '-o', '/dev/null');
	is($rc, 0, "$path: the story goes to its end") or diag($err);
	is(called(), '', '... without a look-alike');
	# Errors are expected: arguments that fit all functions do not make sense to all.
	my @calls = split /\n/, $node->query($database, $calls);
	cmp_ok(scalar(@calls), '>', 130, '... ' . @calls . ' functions and relations are then tried one by one');
	($rc, undef, $err) = $node->psql($database, $set . join("\n", map { "BEGIN;\n$_\nROLLBACK;" } @calls), '-v',
		'ON_ERROR_STOP=0', '-o', '/dev/null');
	is(called(), '', '... without a look-alike');
	unlike($err, qr/syntax error|does not exist\b.*^HINT:  No function matches|unterminated/ms,
		'... each of them is called');
	my ($writers, $unfinished, $names) = split /\|/,
		$node->query($database, q{SELECT count(*), count(*) FILTER (WHERE s.calls IS NULL),
		string_agg(p.proname, ', ') FILTER (WHERE s.calls IS NULL)
		FROM pg_proc AS p JOIN pg_depend AS d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
			JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'promote'
		LEFT JOIN pg_stat_user_functions AS s ON s.funcid = p.oid WHERE p.prokind = 'f' AND p.provolatile = 'v'
			AND p.prorettype <> 'trigger'::regtype});
	# Those that the story does not know are tried with arguments that it does not make sense of, which goes less deep.
	cmp_ok($unfinished, '<', $writers / 4,
		"... and most of the functions that write have come to their end, all but: $names");
}

# ---- it would be found ----

$node->query('made_first',
	q{CREATE FUNCTION promote.unpinned(x text) RETURNS text LANGUAGE sql AS $$ SELECT lower(x) || 'y' $$;
	ALTER EXTENSION promote ADD FUNCTION promote.unpinned(text)});
my ($call) = grep { /unpinned/ } split /\n/, $node->query('made_first', $calls);
$node->psql('made_first', "SET search_path = $paths{first};\n$call");
like(called(), qr/evil\.lower/, 'a function without a pinned path calls what is planted, and is found out');

done_testing;
