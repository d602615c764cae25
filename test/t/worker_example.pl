# examples/worker/worker carries deployments out: with a stand-in for Terraform, which can also fail, hang and see what
# it should not, and with Terraform itself where there is one.

use strict;
use warnings;
use Cwd qw(abs_path);
use File::Temp qw(tempdir);
use Test::More;
use Time::HiRes qw(sleep time);
use PromoteTest;

# Whatever the server logs is looked through for what must not be in it.
my $node = PromoteTest->new('log_statement = all', 'log_min_error_statement = error');
$node->create_promote('worker');
$node->query('worker', <<'SQL');
INSERT INTO promote.bundle VALUES ('postgres');
INSERT INTO promote.bundle_release (bundle, version, params_schema, remote_references) VALUES
	('postgres', '1.0.0', '{"properties": {"password": {"$md.sensitive": true}}}', '{"network": {"required": false}}'),
		('postgres', '2.0.0', '{}', '{}');
INSERT INTO promote.project VALUES ('shop');
-- Leases are short here, and a loaded machine loses some more than are to be lost: nothing fails for that.
INSERT INTO promote.environment (project, environment, require_plan, max_lost_leases)
    VALUES ('shop', 'staging', true, 1000), ('shop', 'real', true, 1000), ('shop', 'free', false, 1000),
           ('shop', 'linked', true, 1000);
INSERT INTO promote.parameter_set (project, environment, parameters)
    VALUES ('shop', 'staging', '{"password": "hush-9137"}'), ('shop', 'real', '{"password": "hush-9137"}'),
           ('shop', 'free', '{"password": "hush-9137"}'), ('shop', 'linked', '{"password": "hush-9137"}');
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'db', 'postgres');
INSERT INTO promote.instance (project, environment, component)
SELECT project, environment, 'db' FROM promote.environment;
CREATE ROLE runner LOGIN;
INSERT INTO promote.grants (role, action) VALUES ('runner', 'work');
SQL

my $dir     = tempdir(CLEANUP => 1);
my $modules = "$dir/modules";
my $work    = "$dir/work";
my $program = abs_path('examples/worker/worker');
my $stand_in = abs_path('test/fixtures/terraform');
mkdir $_ or die "cannot make $_: $!\n" for $modules, map { "$modules/$_" } 'postgres', 'postgres/1.0.0';
write_file("$modules/postgres/1.0.0/main.tf", <<'TF');
variable "size" { type = string }
variable "password" {
  type      = string
  sensitive = true
}
resource "terraform_data" "db" {
  input            = var.size
  triggers_replace = [var.password]
}
TF

@ENV{qw(PGHOST PGPORT PGUSER PGDATABASE)} = ($node->dir, 5432, 'runner', 'worker');
@ENV{qw(TERRAFORM TF_CLI_CONFIG_FILE)} = ($stand_in, '/dev/null');
my ($psql) = $node->psql_command('worker');
# What everybody may read of a process is written down.
write_file("$dir/psql", qq{#!/bin/sh\necho "\$*" >>'$dir/exposed'\nenv >>'$dir/exposed'\nexec '$psql' "\$@"\n});
chmod 0755, "$dir/psql";
$ENV{PATH} = "$dir:$ENV{PATH}";

sub write_file {
	my ($path, $text) = @_;
	open my $file, '>', $path or die "cannot open $path: $!\n";
	print $file $text;
	close $file or die "cannot write $path: $!\n";
	return;
}

# Starts a worker. What is to go wrong in the stand-in comes first. Its leases outlast a machine that stands still for a
# while; where one is to be lost it is said how short it is.
sub start_worker {
	my ($trouble, @arguments) = @_;
	local $ENV{STAND_IN} = $trouble;
	return $node->fork_command($program, '-m', $modules, '-w', $work, '-l', 60, @arguments);
}

# Lets a worker do all that is due.
sub work {
	return $node->finish(start_worker(@_, '-1'));
}

sub sql { return $node->query('worker', @_) }

# Configures an instance, which queues a plan, or plans again; returns the deployment's number.
my $count = 0;

sub queue_plan {
	my ($environment) = @_;
	$count++;
	return sql(qq{SELECT deployment FROM promote.configure_instance('shop-$environment-db',
		'{"size": "size $count", "password": "{{password}}"}', '1.0.0')});
}

sub queue_provision {
	my ($environment) = @_;
	return sql(qq{SELECT deployment FROM promote.deploy_instance('shop-$environment-db')});
}

# Plans, and queues what follows the plan; returns both numbers.
sub plan_and_queue {
	my ($environment) = @_;
	my $plan = queue_plan($environment);
	work('');
	return ($plan, queue_provision($environment));
}

# What became of a deployment.
sub outcome {
	my ($environment, $deployment) = @_;
	return sql(qq{SELECT concat_ws(': ', status, reason) FROM promote.deployment
		WHERE environment = '$environment' AND deployment = $deployment});
}

sub logged {
	my ($environment, $deployment) = @_;
	return sql(qq{SELECT string_agg(message, E'\\n' ORDER BY entry) FROM promote.deployment_log
		WHERE environment = '$environment' AND deployment = $deployment});
}

# What the stand-in noted, or Terraform left, in an instance's directory.
sub noted {
	my ($environment, $name) = @_;
	return PromoteTest::slurp("$work/shop-$environment-db/$name");
}

sub forget {
	my ($environment, @names) = @_;
	unlink map { "$work/shop-$environment-db/$_" } @names;
	return;
}

sub wait_for_file {
	my ($path) = @_;
	my $deadline = time + 300;
	while (!-e $path) {
		return 0 if time > $deadline;
		sleep 0.02;
	}
	return 1;
}

# ---- a plan ----

my $plan = queue_plan('staging');
my ($rc, $out, $err) = work('');
is($rc, 0, 'a worker does what is due, and ends') or diag($err);
is(outcome('staging', $plan), 'COMPLETED: changes', 'the plan is made');
is(noted('staging', 'seen'), qq({"size": "size 1", "password": "hush-9137"}\n),
	'... with the params, rendered and unmasked');
is(sql(q{SELECT address FROM promote.resource_changes}), 'terraform_data.db', '... and recorded');
like(logged('staging', $plan),
	qr/\A\$ terraform init .*Initialized!\n\$ terraform plan .*Plan: 1 to add\n.* caf\x{c3}\x{a9}\nSaved\z/s,
	'what was printed is in the log, but for what is no UTF-8');
my $exposed = PromoteTest::slurp("$dir/exposed");
like($exposed, qr/instance=shop-staging-db/, 'command lines');
unlike($exposed . noted('staging', 'calls') . noted('staging', 'environment'), qr/hush-9137/,
	'... and environments have no secret');
unlike("$out$err", qr/hush-9137/, '... or printed');
unlike($node->log_text, qr/quoted/, 'the plan is in no statement that the server logs');
is(join(' ', grep { (stat)[2] & 077 } glob "$work $work/* $work/*/* $work/*/.plans/* $work/*/.plans/*/*"), '',
	'nobody else can read the files');
ok(!-e "$work/shop-staging-db/terraform.tfvars.json", 'the params do not stay');
my $digest = sql("SELECT plan_digest FROM promote.deployment WHERE environment = 'staging' AND deployment = $plan");
is(noted('staging', ".plans/$plan/digest"), "$digest\n", 'the plan stays, under the digest that the database has');

queue_plan('linked');
work('');
$node->query('worker', q{SELECT promote.set_remote_reference('shop-linked-db', 'network', 'urn:vpc-7'),
	promote.plan_instance('shop-linked-db')});
work('');
is(noted('linked', 'seen'), qq({"size": "size 2", "network": "urn:vpc-7", "password": "hush-9137"}\n),
	'what fills the slots of the release is a variable, too');

# ---- applying it ----

my ($id) = split /\n/, noted('staging', ".plans/$plan/plan");
my $provision = queue_provision('staging');
work('');
is(outcome('staging', $provision), "COMPLETED: plan $plan was applied", 'the plan is applied');
is(noted('staging', 'applied'), "$id\n", '... the very file');
unlike((split /\nplan /, noted('staging', 'calls'))[-1], qr/^plan/m, '... and no other was made');
ok(!-e "$work/shop-staging-db/.plans", '... after which it is gone');
is(sql(q{SELECT status || ' ' || deployed_revision FROM promote.instance WHERE environment = 'staging'}),
	'PROVISIONED 1',
	'the instance is what it says');

# ---- what goes wrong ----

$plan = queue_plan('staging');
($rc, undef, $err) = work('plan fails');
is(outcome('staging', $plan), 'FAILED: terraform plan ended with status 1: Error: cannot plan this',
	'a plan that fails');
is($rc, 0, '... is no failure of the worker');
unlike($err, qr/cannot plan this/, '... and its words are for the database');
($plan, $provision) = plan_and_queue('staging');
work('apply fails');
is(outcome('staging', $provision), 'FAILED: terraform apply ended with status 1: Error: cannot apply this',
	'an apply that fails');

forget('staging', 'applied');
($plan, $provision) = plan_and_queue('staging');
rename "$work/shop-staging-db/.plans", "$work/shop-staging-db/elsewhere" or die "cannot rename: $!\n";
work('');
like(outcome('staging', $provision), qr/^FAILED: this worker does not have the file of plan $plan/,
	'a plan that is not here');
($plan, $provision) = plan_and_queue('staging');
write_file("$work/shop-staging-db/.plans/$plan/digest", "\\x00\n");
work('');
like(outcome('staging', $provision), qr/^FAILED: the file of plan $plan is not that of the plan that was recorded/,
	'a plan that is another');
is(noted('staging', 'applied'), '', '... are not applied');

my $other = sql(q{SELECT deployment FROM promote.configure_instance('shop-free-db', '{}', '2.0.0')});
work('');
is(outcome('free', $other), 'FAILED: this worker has no module for bundle postgres, version 2.0.0',
	'a module that is missing');
write_file("$modules/postgres/1.0.0/terraform.tfstate", '{}');
$plan = queue_plan('staging');
work('');
is(outcome('staging', $plan), 'FAILED: the module for bundle postgres, version 1.0.0 holds a state',
	'a module that would take the place of the state');
unlink "$modules/postgres/1.0.0/terraform.tfstate";

# ---- without a plan ----

sql(q{SELECT promote.configure_instance('shop-free-db', '{"size": "none"}', '1.0.0', plan => false)});
$provision = queue_provision('free');
work('');
is(outcome('free', $provision), 'COMPLETED: changes', 'where no plan is followed one is made and applied');
like(noted('free', 'calls'), qr/^plan .*\napply .*\n\z/m, '... at once');

# ---- losing the claim ----

$plan = queue_plan('staging');
my $worker = start_worker('plan hangs', '-1', '-l', 5);
ok(wait_for_file("$work/shop-staging-db/hanging"), 'a plan takes its time');
sql("SELECT promote.abort_deployment('shop-staging-db', $plan, 'too long')");
($rc, undef, $err) = $node->finish($worker);
is(outcome('staging', $plan), 'ABORTED: too long', '... and is aborted');
is(noted('staging', 'interrupted'), "plan\n", '... which interrupts Terraform');
is($rc, 0, '... and not the worker');
like($err, qr/the claim is lost: PM502/, '... which knows why');
forget('staging', qw(hanging interrupted));

$plan = queue_plan('staging');
$worker = start_worker('plan hangs', '-p', 1, '-l', 15);
wait_for_file("$work/shop-staging-db/hanging");
sql('ALTER ROLE runner NOLOGIN');
ok(wait_for_file("$work/shop-staging-db/interrupted"), 'who cannot reach the database stops working');
is(sql("SELECT status, due_at > clock_timestamp() FROM promote.deployment WHERE deployment = $plan AND environment "
	. "= 'staging'"),
	'RUNNING|t', '... before the lease is over');
kill 'TERM', $worker->{pid};
is(($node->finish($worker))[0], 143, '... and can be stopped');
sql('ALTER ROLE runner LOGIN');
forget('staging', qw(hanging interrupted));

# ---- killed and stopped workers ----

ok($node->wait_for('worker', "SELECT due_at < clock_timestamp() FROM promote.deployment
	WHERE environment = 'staging' AND deployment = $plan"), 'its work is due again');
$worker = start_worker('plan hangs', '-l', 15);
wait_for_file("$work/shop-staging-db/hanging");
kill 'KILL', $worker->{pid};
$node->finish($worker);
ok(wait_for_file("$work/shop-staging-db/interrupted"), 'what a killed worker leaves behind is interrupted');
$worker = start_worker('', '-n', 'heir', '-p', 1);
ok($node->wait_for('worker', "SELECT status = 'COMPLETED' FROM promote.deployment
	WHERE environment = 'staging' AND deployment = $plan"), '... and another does the work');
is(sql("SELECT worker, fencing - lost_leases, lost_leases >= 2 FROM promote.deployment WHERE environment = 'staging' "
	. "AND deployment = $plan"), 'heir|1|t', '... which is counted');

kill 'TERM', $worker->{pid};
is(($node->finish($worker))[0], 143, 'a worker that waits can be stopped');
forget('staging', qw(hanging interrupted));
$plan = queue_plan('staging');
$worker = start_worker('plan hangs');
wait_for_file("$work/shop-staging-db/hanging");
kill 'TERM', $worker->{pid};
is(($node->finish($worker))[0], 143, '... and one that works');
is(outcome('staging', $plan), 'PENDING: the worker was stopped', '... which gives its work back');
is(join(' ', glob "$work/.worker.*"), '', '... and leaves nothing behind');
work('show is large');
is(outcome('staging', $plan), 'COMPLETED: changes', 'the next does it, though the plan is large');

# ---- waiting ----

$worker = start_worker('', '-p', 3600, '-n', 'listener');
ok($node->wait_for('worker', q{SELECT EXISTS (SELECT FROM pg_stat_activity
	WHERE application_name = 'promote worker listener' AND state = 'idle')}), 'a worker waits');
$plan = queue_plan('staging');
ok($node->wait_for('worker', "SELECT status = 'COMPLETED' FROM promote.deployment
	WHERE environment = 'staging' AND deployment = $plan"), '... and is woken by a notification');
kill 'TERM', $worker->{pid};
$node->finish($worker);

# ---- what it claims ----

sql(q{UPDATE promote.instance SET attributes = '{"region": "west"}' WHERE environment = 'free'});
my ($here, $there) = (queue_plan('staging'), queue_plan('free'));
work('', '-s', '{"region": "west"}', '-n', q{it's "me"});
is(sql("SELECT status, worker FROM promote.deployment WHERE environment = 'free' AND deployment = $there"),
	q{COMPLETED|it's "me"}, 'a worker claims what it selects');
is(outcome('staging', $here), 'PENDING', '... and nothing else');
work('', '-a', 'PROVISION,DECOMMISSION');
is(outcome('staging', $here), 'PENDING', '... of the actions it is for');
work('', '-a', 'PLAN');
is(outcome('staging', $here), 'COMPLETED: changes', '... which may be one');

# ---- the end ----

my $decommission = sql(q{SELECT deployment FROM promote.decommission_instance('shop-staging-db')});
work('');
is(outcome('staging', $decommission), 'COMPLETED: changes', 'an instance is decommissioned');
like(noted('staging', 'calls'), qr/^plan .* -destroy\napply .*\n\z/m, '... by a plan to destroy it that is applied');
is(sql(q{SELECT status FROM promote.instance WHERE environment = 'staging'}), 'DECOMMISSIONED', '... and says so');
sql(q{DELETE FROM promote.grants WHERE role = 'runner'});
($rc, undef, $err) = work('');
is($rc, 1, 'a worker that may not claim');
like($err, qr/42501: permission denied for function claim_deployment/, '... says so');
is(sql('SELECT * FROM promote.verify_audit()'), '', 'the audit log is whole');
sql(q{INSERT INTO promote.grants (role, action) VALUES ('runner', 'work')});

# ---- Terraform ----

SKIP: {
	my ($terraform) = grep { -x } map { ("$_/terraform", "$_/tofu") } split /:/, $ENV{PATH};
	skip 'neither terraform nor tofu is installed', 9 if !defined $terraform;
	$ENV{TERRAFORM} = $terraform;

	$plan = queue_plan('real');
	(undef, undef, $err) = work('');
	is(outcome('real', $plan), 'COMPLETED: changes', 'Terraform plans') or diag($err, logged('real', $plan));
	is(sql(q{SELECT address, action FROM promote.resource_changes WHERE instance = 'shop-real-db'}),
		'terraform_data.db|create',
		'... what is recorded');
	unlike(logged('real', $plan) . sql('SELECT string_agg(c::text, $$ $$) FROM promote.resource_changes c'),
		qr/hush-9137/,
		'... without the secret');
	$provision = queue_provision('real');
	work('');
	is(outcome('real', $provision), "COMPLETED: plan $plan was applied", '... and applies it');
	like(noted('real', 'terraform.tfstate'), qr/"input": \{\s*"value": "size $count"/, '... as the state says');

	my $state = noted('real', 'terraform.tfstate');
	($plan, $provision) = plan_and_queue('real');
	work('');
	is(outcome('real', $provision), "COMPLETED: plan $plan was applied", '... a change, too');
	isnt(noted('real', 'terraform.tfstate'), $state, '... which the state knows');
	$decommission = sql(q{SELECT deployment FROM promote.decommission_instance('shop-real-db')});
	work('');
	is(outcome('real', $decommission), 'COMPLETED: changes', '... and destroys it');
	unlike(noted('real', 'terraform.tfstate'), qr/terraform_data/, '... until the state is empty');
}

done_testing();
