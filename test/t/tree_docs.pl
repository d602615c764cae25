# The examples of the documentation do what the pages say.
#
# Every ```sql block of doc/ is run, in order, in a database for each page. What it prints is compared with the ``` block
# that follows at once, where there is one, as psql prints it; the row count may be left out. A statement that has a
# comment behind its semicolon has to return what the comment says. All others have to succeed. Every function of
# documents has such an example. (The README's are the output of demo/story.sql.)

use strict;
use warnings;
use File::Find;
use Test::More;
use PromoteTest;

# What pages take for granted.
my $registry = q{
	INSERT INTO promote.bundle VALUES ('postgres');
	INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('postgres', '1.4.0', '{}');
	INSERT INTO promote.project (project) VALUES ('ecomm');
	INSERT INTO promote.environment (project, environment) VALUES ('ecomm', 'staging'), ('ecomm', 'production');
	INSERT INTO promote.component (project, component, bundle) VALUES ('ecomm', 'db', 'postgres');
	INSERT INTO promote.instance (project, environment, component)
	VALUES ('ecomm', 'staging', 'db'), ('ecomm', 'production', 'db')};
# Two instances that were deployed twice, and what a worker does for that.
my $deployed = $registry . q{;
	CREATE FUNCTION pg_temp.deploy(name text, params jsonb) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		claim record;
	BEGIN
		PERFORM promote.configure_instance(name, params);
		FOR i IN 1 .. 2 LOOP
			SELECT * INTO STRICT claim FROM promote.claim_deployment('worker');
			PERFORM promote.complete_deployment(claim.instance, claim.deployment, claim.fencing);
			IF i = 1 THEN
				PERFORM promote.deploy_instance(name);
			END IF;
		END LOOP;
	END
	$$;
	SELECT pg_temp.deploy(name, params::jsonb) FROM (VALUES
		('ecomm-production-db', '{"size": "small", "replicas": 3}'), ('ecomm-staging-db', '{"size": "small", "replicas": 2}'),
		('ecomm-production-db', '{"replicas": 6}'), ('ecomm-staging-db', '{"replicas": 5}')) AS v(name, params);
};
my %setup = (
	(map { $_ => $registry } qw(configure audit workers deployments plans paths references)), (map { $_ => $deployed } qw(report drift rollback windows gates health policies releases requests matrix)),
	approvals => $registry . q{;
	SELECT promote.configure_instance('ecomm-production-db', '{"size": "small"}');
	SELECT promote.complete_deployment(c.instance, c.deployment, c.fencing) FROM promote.claim_deployment('worker') AS c},
	secrets => $registry . q{;
	SELECT promote.configure_instance(name, '{}', plan => false) FROM promote.instance;
	ALTER DATABASE secrets SET promote.secret_key_command = 'echo k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE='},
	grants => "$registry; SELECT promote.configure_instance('ecomm-staging-db', '{\"size\": \"large\"}'), promote.configure_instance('ecomm-production-db', '{\"size\": \"small\"}')",
	promotion => "$registry; CREATE ROLE release_bot");

my %shown;    # the functions that an example with its result calls

my $node = PromoteTest->new;
my ($psql) = $node->psql_command('postgres');

# What psql prints in its usual format, errors included, and with further arguments.
sub output_of {
	my ($database, $sql, @arguments) = @_;
	my (undef, $out, $err) = $node->run({ input => $sql }, $psql, '-X', '-q', @arguments, $node->connection, '-d', $database);
	return $out . $err;
}

# The examples of a page: line, sql, and the output that is shown, if any is.
sub examples {
	my ($page) = @_;
	my @lines = split /\n/, PromoteTest::slurp($page);
	my (@examples, $block);
	for my $i (0 .. $#lines) {
		if ($block && $lines[$i] eq '```') {
			my $follows = $block->{part} eq 'sql' && ($lines[ $i + 1 ] // '') eq '```';
			# The opening line of what is shown does not open anything else.
			if ($follows) { $block->{part} = 'opening' }
			elsif ($block->{part} eq 'opening') { @$block{qw(part shown)} = ('shown', '') }
			else { $block = undef }
		}
		elsif ($block) { $block->{ $block->{part} } .= "$lines[$i]\n" }
		elsif ($lines[$i] eq '```sql') { push @examples, $block = { line => $i + 1, part => 'sql', sql => '' } }
	}
	fail("$page ends within a block") if $block;
	return @examples;
}

# Splits a block at the semicolons that end a line or stand before a comment that does.
sub statements {
	my ($sql) = @_;
	return map { [ /\A(.*;)[ \t]*(?:--[ \t]*(.*?)[ \t]*)?\z/s, $_ ] } $sql =~ /\G(.*?;[ \t]*(?:--[^\n]*)?)\n/gs;
}

# With a row count only where the page shows one, and without the empty line after each result.
sub as_shown {
	my ($output, $shown) = @_;
	$output =~ s/^\(\d+ rows?\)\n//mg if $shown !~ /^\(\d+ rows?\)$/m;
	return $output =~ s/\n+\z/\n/r;
}

sub remember {
	my ($sql) = @_;
	$shown{$_} = 1 for $sql =~ /\bpromote\.(\w+)\(/g;
	return;
}

sub check_example {
	my ($database, $name, $example) = @_;
	if (defined $example->{shown}) {
		remember($example->{sql});
		is(as_shown(output_of($database, $example->{sql}), $example->{shown}), $example->{shown}, "$name: prints what is shown");
		return;
	}
	my @statements = statements($example->{sql});
	is(join('', map { "$_->[2]\n" } @statements), $example->{sql}, "$name: is made of statements");
	for my $statement (@statements) {
		my ($sql, $result) = @$statement;
		my $found = output_of($database, $sql, '-A', '-t');
		my $line = $sql =~ s/\s+/ /gr;
		if (!defined $result) {
			unlike($found, qr/^(?:ERROR|FATAL):/m, "$name: $line succeeds");
			next;
		}
		remember($sql);
		is($found, "$result\n", "$name: $line returns what the comment says");
	}
}

for my $page (sort glob 'doc/*.md') {
	my @examples = examples($page) or next;
	my ($database) = $page =~ /(\w+)\.md/;
	$node->create_database($database);
	$node->query($database, 'CREATE EXTENSION promote;' . ($setup{$database} // ''));
	check_example($database, "$page:$_->{line}", $_) for @examples;
}

my @functions = split /\n/, $node->query('json', q{SELECT DISTINCT proname FROM pg_proc
	WHERE pronamespace = 'promote'::regnamespace AND proname !~ '_(?:transition|final)$'
		AND (proname ~ '^jsonb_' OR proname IN ('compose_params', 'check_params')) ORDER BY 1});
cmp_ok(scalar(@functions), '>=', 12, 'the functions of documents are found');
ok($shown{$_}, "$_ has an example with its result") for @functions;

# ---- \df promote.* and the pages ----

my @pages;
find({ no_chdir => 1, wanted => sub { push @pages, $_ if /\.md$/ } }, 'doc');
my %said = map { $_ => 1 } map { PromoteTest::slurp($_) =~ /(?:`(?:promote\.)?|\bpromote\.)(\w+)/g } @pages;
my @public = split /\n/, $node->query('json', q{
	SELECT proname FROM pg_proc WHERE pronamespace = 'promote'::regnamespace
	UNION SELECT relname FROM pg_class WHERE relnamespace = 'promote'::regnamespace AND relkind NOT IN ('i', 'I')
	UNION SELECT typname FROM pg_type WHERE typnamespace = 'promote'::regnamespace AND typtype IN ('d', 'e')});
cmp_ok(scalar(@public), '>', 150, 'promote holds functions, tables and types');
is(join(' ', grep { !$said{$_} } sort @public), '', '... each of which has a page');
is(join(' ', grep { PromoteTest::slurp($_) =~ /promote_internal\.\w/ } @pages), '', '... as nothing of promote_internal has');

done_testing();
