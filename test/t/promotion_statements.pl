# How many statements the verbs run that sessions run all the time: to begin and end one costs as much as many look-ups.
# Each is asked a second time, when a session has read what it reads once.

use strict;
use warnings;
use Test::More;
use PromoteTest;

my $node = PromoteTest->shop('statements', <<'SQL');
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'db', 'postgres');
INSERT INTO promote.environment (project, environment) VALUES ('shop', 'staging'), ('shop', 'production');
INSERT INTO promote.instance (project, environment, component)
SELECT project, environment, 'db' FROM promote.environment;
SQL

# The number of statements, with those that they run themselves, of the second of two calls.
sub statements {
	my ($first, $second) = @_;
	my ($rc, $out, $err) = $node->psql('statements', <<"SQL");
LOAD 'auto_explain';
SET client_min_messages = log;
SET auto_explain.log_nested_statements = on;
$first;
SET auto_explain.log_min_duration = 0;
$second;
SQL
	die $err if $rc != 0;
	my @found = $err =~ /duration: .* plan:\s*\n\s*Query Text: (.*)/g;
	note(join "\n", @found);
	return scalar @found;
}

my $work = <<'SQL';
SELECT instance, deployment, fencing FROM promote.claim_deployment('worker') \gset
SELECT status FROM promote.complete_deployment(:'instance', :deployment, :fencing)
SQL
chomp $work;
sub configure { return qq{SELECT FROM promote.configure_instance('shop-staging-db', '{"size": $_[0]}')} }

sub promote {
	return qq{SELECT FROM promote.promote_instance('shop-staging-db', 'shop-production-db', '{"size": $_[0]}')};
}

# the call, the revision with its configuration, the instance, the plan, and the log
cmp_ok(statements(configure(1), configure(2)), '<=', 5, 'an edit');
cmp_ok(statements(promote(3), promote(4)), '<=', 5, 'a promotion');
$node->query('statements', "$work;\n$work;");
my $plans = statements(configure(5) . ";\n$work", configure(6) . ";\n$work");
cmp_ok($plans, '<=', 14, 'an edit, and its plan claimed and completed');
is($node->query('statements', 'SELECT count(*) FROM promote.verify_audit()'), 0, 'the log is whole');

done_testing;
