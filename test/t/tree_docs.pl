# The examples of the documentation do what the pages say.
#
# Every ```sql block of README.md and doc/ is run, in order, in a database for each page, which begins with no roles but
# the owner's. What it prints is compared with the ``` block that follows at once, where there is one, as psql prints
# it; the row count may be left out. A statement that has a comment behind its semicolon has to return what the comment
# says. All others have to succeed. Every function of documents has such an example. Of tutorials, ```sh blocks are
# run too, in the checkout; "TERRAFORM", "WORK" and "PGUSER" are set for its worker as demo/tell sets them.
#
# A block that begins by "\c - role", and all after it, are run by whom that names, as psql does. So tutorials run,
# behind the one block in which the owner lets them in, as roles that own nothing. What how-tos call is run by a role
# that owns nothing and has every grant, but for what only the owner can do.
#
# The short round leaves the reference out, whose pages are most.

use strict;
use warnings;
use Cwd qw(getcwd);
use File::Temp;
use IPC::Open2 qw(open2);
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
		('ecomm-production-db', '{"size": "small", "replicas": 3}'),
			('ecomm-staging-db', '{"size": "small", "replicas": 2}'),
		('ecomm-production-db', '{"replicas": 6}'), ('ecomm-staging-db', '{"replicas": 5}')) AS v(name, params);
};
my $key = "ALTER DATABASE :database SET promote.secret_key_command = 'echo "
	. "k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE='";
my $configured = "$registry; SELECT promote.configure_instance(name, '{}', plan => false) FROM promote.instance";
my %setup = (
	(map { ("reference/$_" => $registry) } qw(actor audit configure dependency deploy deployment path plan prune
		remote_reference rule document import verify worker)),
	(map { ("reference/$_" => $deployed) } qw(abort apply archive backtest blame calendar chain compare decommission
		dora drift environment fork gate
		health history markdown matrix moment override pipeline
		policy release report request rollback status structure tag timeline window)),
	(map { ("how-to/$_" => $deployed) } qw(answer-the-four-questions approve-a-deployment
		compare-environments find-drift freeze-and-stop
		guard-production subscribe-to-the-calendar open-an-environment-for-a-pull-request
		promote-an-environment promote-in-waves
		promote-one-instance promote-from-ci roll-back give-evidence-to-an-auditor take-a-release-out-of-use
		vote-for-your-users
		write-a-policy)),
	(map { ("how-to/$_" => "$configured; $key") } qw(keep-a-secret)),
	(map { ("how-to/$_" => $configured) } qw(give-an-application-its-grants run-a-worker handle-an-emergency)),
	'how-to/dump-and-restore' => $deployed,
	(map { $_ => "$registry; SELECT promote.configure_instance('ecomm-staging-db', '{}')" } 'reference/event',
		'reference/wait', 'how-to/send-events-to-a-webhook', 'how-to/replicate-the-history'),
	'how-to/keep-it-fast-for-years' => $deployed,
	(map { ("how-to/$_" => $registry) } qw(open-an-environment-for-a-tenant keep-a-project-in-git
		bring-an-existing-fleet)),
	'tutorial/staging-to-production' => $key,
	'reference/approval' => $registry . q{;
	SELECT promote.configure_instance('ecomm-production-db', '{"size": "small"}');
	SELECT promote.complete_deployment(c.instance, c.deployment, c.fencing)
		FROM promote.claim_deployment('worker') AS c},
	'reference/secret' => "$configured; $key",
	'reference/merging' => "$deployed; SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db')",
	'reference/promotion' => "$registry; CREATE ROLE release_bot; "
		. "SELECT promote.configure_instance('ecomm-staging-db', '{\"size\": \"large\"}'), "
		. "promote.configure_instance('ecomm-production-db', '{\"size\": \"small\"}')",
	(map { $_ => "$registry; SELECT promote.configure_instance('ecomm-staging-db', '{\"size\": \"large\"}'), "
		. "promote.configure_instance('ecomm-production-db', '{\"size\": \"small\"}')" }
		'reference/grants', 'reference/access', 'reference/refusal', 'reference/postgrest', 'reference/hasura',
		'how-to/use-it-from-an-application'),
	(map { ("reference/$_" => "$registry; CREATE ROLE release_bot") } qw(compose revision)));

# Who carries out how-tos, and what of them takes somebody who owns something.
my $operator = q{CREATE ROLE operator LOGIN; SELECT promote.grant_action('operator', action) FROM unnest('{register,
	publish,rules,configure,promote,plan,deploy,approve,override,decommission,secrets,work,audit,
	admin}'::text[]) AS action;};
my $owners = qr/^\s*(?:CREATE|ALTER|DROP|GRANT|REVOKE|DELETE|SET\s+(?:LOCAL\s+)?(?:ROLE|SESSION))\b
	|promote\.(?:prune_audit|restore_guards)|FROM\s+(?:kept|webhook\.)/imx;

my %shown;    # the functions that an example with its result calls

my $node = PromoteTest->new;
my ($psql) = $node->psql_command('postgres');

# ---- sessions ----

# Beginning anew takes a server longer than most examples do. So one psql of each user runs a page, and forgets after
# each example what that has set: all that DISCARD ALL forgets, but for the plans that promote has made.
my %session;    # of the page, by user
my $forget = join ' ', 'ROLLBACK;', 'CLOSE ALL;', 'RESET SESSION AUTHORIZATION;', 'RESET ALL;', 'DEALLOCATE ALL;',
	'UNLISTEN *;', 'SELECT pg_advisory_unlock_all() \g /dev/null', 'DISCARD TEMP;', 'DISCARD SEQUENCES;';
my $errors = File::Temp->new;
my $end = '<the end of an example>';

sub session {
	my ($database, $user) = @_;
	return $session{$user} //= do {
		my @command = ($psql, '-X', '-q', $node->connection, '-U', $user, '-d', $database);
		my $pid = open2(my $out, my $in, 'sh', '-c', 'exec "$@" 2>>"$0"', "$errors", @command);
		$in->autoflush(1);
		{ pid => $pid, in => $in, out => $out };
	};
}

# What comes before the next end, of a session that is told something.
sub told {
	my ($session, @lines) = @_;
	print { $session->{in} } map { "$_\n" } @lines, "\\echo '$end'", '';
	my $out = '';
	while (defined(my $line = readline $session->{out})) {
		return $out if $line eq "$end\n";
		$out .= $line;
	}
	return "${out}the session has ended\n";
}

# What psql prints in its usual format, or bare, errors behind it.
sub output_of {
	my ($database, $user, $sql, $bare) = @_;
	my $session = session($database, $user);
	truncate $errors, 0;
	my $out = told($session, $bare ? ('\pset format unaligned', '\pset tuples_only on') : (), $sql)
		. PromoteTest::slurp("$errors");
	told($session, '\pset format aligned', '\pset tuples_only off', $forget);
	# what a database or a role sets begins with the next session
	end_sessions() if $sql =~ /\bALTER\s+(?:DATABASE|ROLE|SYSTEM)\b/;
	return $out;
}

sub end_sessions {
	for my $session (values %session) {
		close $_ for @$session{qw(in out)};
		waitpid $session->{pid}, 0;
	}
	%session = ();
	return;
}

# Is a role one that owns nothing, and is a member of none that does?
sub owns_nothing {
	my ($database, $user) = @_;
	return $node->query($database, qq{SELECT NOT (rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls)
		AND NOT EXISTS (SELECT FROM pg_shdepend AS d WHERE d.deptype = 'o' AND pg_has_role(r.oid, d.refobjid, 'MEMBER'))
			AND NOT EXISTS (SELECT FROM pg_roles AS o WHERE (o.rolsuper OR o.rolname ~ '^pg_')
				AND pg_has_role(r.oid, o.oid, 'MEMBER'))
		FROM pg_roles AS r WHERE rolname = '$user'}) eq 't';
}

# ---- examples ----

# The examples of a page: line, language, text, and the output that is shown, if any is.
sub examples {
	my ($page) = @_;
	my $languages = $page =~ /tutorial/ ? qr/sql|sh/ : qr/sql/;
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
		elsif ($lines[$i] =~ /^```($languages)$/) { push @examples, $block = { line => $i + 1, language => $1,
			part => 'sql', sql => '' } }
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

# What a command prints, errors included, as somebody runs it who follows the tutorial.
my $work = File::Temp->newdir;
sub printed_by {
	my ($database, $user, $command) = @_;
	local @ENV{qw(PGHOST PGPORT PGUSER PGDATABASE TERRAFORM WORK)} = (($node->connection)[ 1, 3 ], $user, $database,
		getcwd() . '/demo/terraform', "$work");
	my ($status, $out, $err) = $node->run('sh', '-c', $command);
	return $out . $err;
}

# Who runs SQL of a page, where the page does not say.
sub user_of {
	my ($database, $sql) = @_;
	return $database =~ /^how_to/ && $sql !~ $owners ? 'operator' : 'postgres';
}

sub check_example {
	my ($database, $user, $name, $example) = @_;
	if ($example->{language} eq 'sh') {
		my ($worker) = PromoteTest::slurp($name =~ s/:.*//r) =~ /`PGUSER=(\w+)`/;
		my $found = printed_by($database, $worker, $example->{sql});
		is($found, $example->{shown} // $found, "$name: prints what is shown");
		return;
	}
	if (defined $example->{shown}) {
		remember($example->{sql});
		my $found = output_of($database, $user // user_of($database, $example->{sql}), $example->{sql});
		is(as_shown($found, $example->{shown}), $example->{shown}, "$name: prints what is shown");
		return;
	}
	my @statements = statements($example->{sql});
	is(join('', map { "$_->[2]\n" } @statements), $example->{sql}, "$name: is made of statements");
	for my $statement (@statements) {
		my ($sql, $result) = @$statement;
		my $found = output_of($database, $user // user_of($database, $sql), $sql, 1);
		my $line = $sql =~ s/\s+/ /gr;
		if (!defined $result) {
			unlike($found, qr/^(?:ERROR|FATAL):/m, "$name: $line succeeds");
			next;
		}
		remember($sql);
		is($found, "$result\n", "$name: $line returns what the comment says");
	}
	return;
}

# Runs a page's examples, and returns by whom each block of SQL was run.
sub check_page {
	my ($database, $page, @examples) = @_;
	my ($user, @users);
	for my $example (@examples) {
		$user = $1 if $example->{language} eq 'sql' && $example->{sql} =~ s/\A\\c - (\w+)\n//;
		unlike($example->{sql}, qr/^\\c\b/m, "$page:$example->{line}: another user comes first in a block");
		check_example($database, $user, "$page:$example->{line}", $example);
		push @users, $user // 'postgres' if $example->{language} eq 'sql';
	}
	end_sessions();
	return @users;
}

# What has to succeed and prints nothing.
sub administer {
	my ($database, $sql) = @_;
	my $found = output_of($database, 'postgres', "$sql;", 1);
	die "this failed: $sql\n$found" if $found =~ /ERROR:/;
	return;
}

# A database with what several pages take for granted, to be copied.
my %template = ('' => 'page');
sub template {
	my ($setup) = @_;
	return $template{$setup} //= do {
		my $name = 'page' . keys %template;
		$node->query('postgres', "CREATE DATABASE $name TEMPLATE page");
		$node->query($name, $setup);
		$name;
	};
}

# Makes the database of a page, and what the page takes for granted; roles and settings of databases are copied by none.
sub make_database {
	my ($database, $page, $setup) = @_;
	my $own = $page =~ /tutorial/ || $setup =~ /ROLE|DATABASE/;
	my $copied = $page =~ /tutorial/ ? 'template1' : template($own ? '' : $setup);
	$node->query('postgres', "CREATE DATABASE $database TEMPLATE $copied");
	administer($database, $setup =~ s/:database/$database/gr) if $own && $setup ne '';
	administer($database, $operator) if $database =~ /^how_to/;
	return;
}

# Roles are the server's, not the database's: what a page has made goes with it.
sub drop_database {
	my ($database) = @_;
	$node->query('postgres', <<"SQL");
DROP DATABASE $database;
SELECT format('DROP ROLE %I', rolname) FROM pg_roles WHERE rolname !~ '^pg_' AND rolname <> 'postgres' \\gexec
SQL
	return;
}

$node->create_promote('page');
my @pages = ('README.md', sort(glob 'doc/*/*.md'));
for my $page (grep { !$ENV{PROMOTE_SHORT} || !/reference/ } @pages) {
	my @examples = examples($page) or next;
	my $name = $page =~ s{^doc/|\.md$}{}gr;
	my $database = lc $name =~ s/\W/_/gr;
	make_database($database, $page, $setup{$name} // '');
	my (undef, @users) = check_page($database, $page, @examples);
	is(join(' ', grep { !owns_nothing($database, $_) } @users), '', "$page: behind its first block nobody owns a thing")
		if $page =~ m{tutorial|README};
	drop_database($database);
}
my @lost = grep { !-e "doc/$_.md" } sort keys %setup;
is("@lost", '', 'every page that something is set up for is there');

my @functions = split /\n/, $node->query('page', q{SELECT DISTINCT proname FROM pg_proc
	WHERE pronamespace = 'promote'::regnamespace AND proname !~ '_(?:transition|final)$'
		AND (proname ~ '^jsonb_' OR proname IN ('compose_params', 'merge_params', 'merge_conflicts',
			'check_params')) ORDER BY 1});
cmp_ok(scalar(@functions), '>=', 12, 'the functions of documents are found');
ok($shown{$_}, "$_ has an example with its result") for $ENV{PROMOTE_SHORT} ? () : @functions;

# ---- \df promote.* and the pages ----

my %said = map { $_ => 1 } map { PromoteTest::slurp($_) =~ /(?:`(?:promote\.)?|\bpromote\.)(\w+)/g } @pages;
my @public = split /\n/, $node->query('page', q{
	SELECT proname FROM pg_proc WHERE pronamespace = 'promote'::regnamespace
	UNION SELECT relname FROM pg_class WHERE relnamespace = 'promote'::regnamespace AND relkind NOT IN ('i', 'I')
	UNION SELECT typname FROM pg_type WHERE typnamespace = 'promote'::regnamespace AND typtype IN ('d', 'e')});
cmp_ok(scalar(@public), '>', 150, 'promote holds functions, tables and types');
is(join(' ', grep { !$said{$_} } sort @public), '', '... each of which has a page');
is(join(' ', grep { PromoteTest::slurp($_) =~ /promote_internal\.\w/ } @pages), '',
	'... as nothing of promote_internal has');

done_testing();
