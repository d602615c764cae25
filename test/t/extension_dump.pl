# A restored dump holds exactly the rows that were dumped: with default options, in every format, and although the
# triggers that record exist before the rows come in. What is restored goes on as if nothing had happened.

use strict;
use warnings;
use Test::More;
use PromoteTest;

my $node = PromoteTest->new;
my $pg_config = $ENV{PG_CONFIG} || 'pg_config';
chomp(my $bindir = `$pg_config --bindir`);

# Everything that makes rows.
my $content = PromoteTest::slurp('test/fixtures/content.sql');

my @tables;

# All rows of a database, by table.
sub rows {
	my ($database) = @_;
	# settled_by is a number of the server that holds the row
	my %row = ('promote.audit_log' => "(to_jsonb(t) - 'settled_by')::text");
	return { map { my $row = $row{$_} // 't::text';
		$_ => $node->query($database, "SELECT x FROM (SELECT $row FROM $_ t) AS r (x) ORDER BY x COLLATE \"C\"") }
		@tables };
}

$node->create_database('origin');
my ($rc, undef, $err) = $node->psql('origin', $content);
is("$rc$err", '0', 'there is something to dump') or BAIL_OUT($err);
# What is there for a moment only is in no dump.
@tables = split /\n/, $node->query('origin', q{
	SELECT c.oid::regclass FROM pg_class c JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
	JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
	WHERE c.relname NOT IN ('rule_change', 'notice') AND c.relpersistence = 'p'
	AND d.deptype = 'e' AND e.extname = 'promote' AND c.relkind IN ('r', 'p') ORDER BY 1});
my $expected = rows('origin');
is(scalar(grep { $expected->{$_} eq '' } @tables), 0, 'every table has rows: ' . join(', ', @tables));
is($node->query('origin', 'SELECT * FROM promote.verify_audit()'), '', 'the audit log is whole');

my %format = (
	'plain'                     => [ [],            [] ],
	'plain, in one transaction' => [ [],            ['-1'] ],
	'plain, --inserts'          => [ ['--inserts'], [] ],
	'custom'                    => [ ['-Fc'],       ['--exit-on-error'] ],
	'directory'                 => [ ['-Fd'],       ['--exit-on-error'] ],
	'plain, --enable-row-security'  => [ ['--enable-row-security'], [] ],
	'custom, --enable-row-security' => [ [ '-Fc', '--enable-row-security' ],
		[ '--exit-on-error', '--enable-row-security' ] ],
	# With several jobs pg_restore loads tables in any order, although the foreign keys of an extension's tables are
	# there already. Without these it gives the same as in order.
	'custom, two jobs'    => [ ['-Fc'], [ '--exit-on-error', '-j2' ], '-c session_replication_role=replica' ],
	'directory, two jobs' => [ [ '-Fd', '-j2' ], [ '--exit-on-error', '-j2' ], '-c session_replication_role=replica' ],
);
my $number = 0;
for my $format (sort keys %format) {
	my ($dump_options, $restore_options, $settings) = @{ $format{$format} };
	my $database = 'restored_' . ++$number;
	my $path = $node->dir . "/$database.dump";
	my ($rc, $out, $err) = $node->run("$bindir/pg_dump", $node->connection, @$dump_options, '-f', $path, 'origin');
	is("$rc$out$err", '0', "$format: dumped without a word");

	$node->create_database($database);
	{
		local $ENV{PGOPTIONS} = $settings // '';
		($rc, $out, $err) = $node->restore($database, $path, @$restore_options);
	}
	is("$rc$err", '0', '... restored without a word') or next;
	is_deeply(rows($database), $expected, '... brings back exactly the rows that were dumped');
	is($node->query($database, 'SELECT * FROM promote.verify_audit()'), '', '... with their chains whole');

	# The last revision, deployment and audit row, before and after one more promotion.
	my $heads = q{SELECT i.revision, i.deployment,
		(SELECT max(seq) FROM promote.audit_log a WHERE a.subject = i.name)
		FROM promote.instance i WHERE name = 'shop-production-db'};
	my @before = split /\|/, $node->query($database, $heads);
	is($node->query($database, q{SELECT old_revision, new_revision, deployment, changed FROM promote.promote_instance(
			'shop-staging-db', 'shop-production-db', '{"size": 5}')}),
		join('|', $before[0], $before[0] + 1, $before[1] + 1, 't'), '... a promotion goes on where the dump ended');
	is($node->query($database, $heads), join('|', $before[0] + 1, $before[1] + 1, $before[2] + 2),
		'... and is recorded once');
	is($node->query($database, q{SELECT new_revision, changed FROM promote.promote_instance(
			'shop-staging-db', 'shop-production-db', idempotency_key => 'k7')}),
		$node->query('origin', q{SELECT new_revision, changed FROM promote.idempotency_key
			WHERE environment = 'production' AND idempotency_key = 'k7'}), '... a key of before is still known');
	is($node->query($database, 'SELECT * FROM promote.verify_audit()'), '', '... and the chains go on whole');
	($rc, $out, $err) = $node->psql($database, 'DELETE FROM promote.audit_log', '-v', 'VERBOSITY=sqlstate');
	is("$rc$err", "3ERROR:  PM301\n", '... and history is guarded there too');
	$node->query('postgres', qq{DROP DATABASE "$database"});
}

# ---- by symptom, as the how-to has it ----

# Each symptom in its words, and each remedy as it stands there.
my $page = PromoteTest::slurp('doc/how-to/dump-and-restore.md');
$node->dump('origin', $node->dir . '/symptom.dump', '-Fc');
my $other = PromoteTest->new;
chmod 0755, $node->dir;
chmod 0644, $node->dir . '/symptom.dump';

# What restoring elsewhere says.
sub symptom {
	my ($database, @options) = @_;
	$other->create_database($database);
	my ($rc, undef, $err) = $other->restore($database, $node->dir . '/symptom.dump', @options);
	return $err;
}
my $said = symptom('without_roles');
cmp_ok(scalar(() = $said =~ /^pg_restore: error: .* role "approver" does not exist$/mg), '>', 100,
	'where a role is missing that was granted something, all that is opened to it fails');
is(scalar(() = $said =~ /^pg_restore: error: (?!.*role "\w+" does not exist)/mg), 0, '... and nothing else');
like($page, qr/role "approver" does not exist.*\| [^|]*`--no-acl`[^|]*promote\.refresh_grants\(role\)/, '... for which '
	. 'the page has a remedy');
$said = symptom('no_acl', '--no-acl', '--exit-on-error');
unlike($said, qr/error/, '... without privileges it is restored');
is($other->query('no_acl', 'SELECT * FROM promote.verify_audit()'), '', '... whole');
$other->query('no_acl', 'CREATE ROLE approver LOGIN');
is($other->query('no_acl', q{SELECT promote.refresh_grants('approver')}), '1', '... and opened when the role is there');
is($other->query('no_acl', q{SET ROLE approver; SELECT promote.may('deploy', 'blog', 'production')}), 't',
	'... which has its grants');
$said = symptom('at_once', '-j2', '--no-acl');
my @broken = $said =~ /^pg_restore: error: (.*)$/mg;
is(join("\n", grep { !/violates foreign key|"project_key_pkey"|errors ignored/ } @broken), '',
	'several jobs without the setting break foreign keys, or are lucky');
like($page, qr/violates foreign key constraint.*\| [^|]*`PGOPTIONS=[^|]*session_replication_role=replica/,
	'... for which the page has a remedy, too');

# A dump of a restored database is the dump of the original: nothing was added that only a second restore would show.
$node->create_database('second');
$node->dump('origin', $node->dir . '/first.sql');
$node->restore('second', $node->dir . '/first.sql');
$node->dump('second', $node->dir . '/second.sql');
# Newer versions put a random word into every dump.
my ($first, $second) =
  map { (PromoteTest::slurp($node->dir . "/$_.sql")) =~ s/^\\(?:un)?restrict .*\n//gmr } 'first', 'second';
# Where a page had room left, a row may have come to lie in another place.
is(join("\n", sort split /\n/, $second), join("\n", sort split /\n/, $first),
	'dumping what was restored gives the same dump');

done_testing;
