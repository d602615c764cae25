#!/usr/bin/perl
#
# agree.pl: whatever happened before, what a preview shows is what the result says, what the plan says, what the worker
# is handed, and what instance_status says after.
#
# usage: agree.pl [seconds [seed [rounds]]]
#
# Each round is a history of a new project: two environments, two components.  People edit, promote with overrides that
# keep, take away and hide, stage without a plan, promote by requests, copy references and secrets and set them, publish
# releases, change parameters, plan, deploy, go back and take down; workers claim whatever is due, hold several at once,
# and complete, fail and give back in any order.  A model of plain maps (lib/AgreeModel.pm), which asks the database
# nothing, says what each of them has to see.  A finding is a difference:
#
#   - of a preview, a result, a rehearsal, a plan or a provision to the model, with since when each entry waits,
#   - of "changed" to whether something moved that is desired, with a row for each part of it,
#   - of what a worker is handed, secrets included, to the model, and to what the deployment's diff makes of what ran,
#   - of instance_status to what runs and is desired, after every step,
#   - of who is recorded to who asked; a row of verify_audit() at a round's end; an SQLSTATE that nothing explains.
#
# The connection is taken from the usual PG* variables and has to be a superuser's; the database must have the
# extension.
# Prints one summary line; with findings the exit status is 1. A seed's histories are the same each time, and a finding
# says the seed that its round begins with: agree.pl 0 SEED is that round alone. There are at least so many rounds, one
# unless they are given, however busy the machine is.
#
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgreeModel qw(canonical fields flat json_text);
use Fuzz qw(parse_json pick write_json);
use FuzzSession;

use constant STEPS => 120;    # of a round
use constant MASK => '"(sensitive value)"';

$| = 1;
my ($seconds, $seed, $rounds) = ($ARGV[0] // 60, $ARGV[1] // time, $ARGV[2] // 1);
my ($start, $round, $steps, $findings, $rounds_seed) = (time, 0, 0, 0);
my (%seen, %found, %happened);
my $session = FuzzSession->new;
my ($model, $project, $bundle, %instances, @claims, $step, $who, %requests, $minor, $broken);
my $refused;    # the SQLSTATE by which the last verb was; empty if it was not

# What may happen, as often as it stands here.
my @acts = ((\&act_promote) x 8, (\&act_edit) x 4, (\&act_constraint) x 2, \&act_publish, (\&act_parameters) x 2,
	\&act_reference, (\&act_reference) x 2, (\&act_secret) x 2, (\&act_plan) x 2, (\&act_deploy) x 5, (\&act_all) x 6,
		(\&act_rollback) x 2,
	\&act_decommission, (\&act_claim) x 8, (\&act_end) x 8, \&act_abort, (\&act_request) x 4);

$session->send("SET client_min_messages = error;\nSET jit = off;\n",
	"SET promote.secret_key_file = '';\n", "SET promote.secret_key_command = 'echo "
		. "k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=';\n", <<'SQL');
DROP SCHEMA IF EXISTS agree CASCADE;
CREATE SCHEMA agree;
CREATE FUNCTION agree.try(statement text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	answer jsonb;
	detail text;
BEGIN
	EXECUTE 'WITH x AS MATERIALIZED (' || statement || ') SELECT COALESCE(jsonb_agg(to_jsonb(x)), ''[]'') FROM x'
		INTO answer;
	RETURN answer;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN to_jsonb(concat_ws(' ', SQLSTATE, regexp_replace(SQLERRM || ' -- ' || detail, '["\\\s]+', ' ', 'g')));
END
$$;
CREATE FUNCTION agree.off(project text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'promote.environment'::regclass
		AND attname = 'require_proven_release') THEN
		EXECUTE format('UPDATE promote.environment AS e SET require_proven_release = false WHERE e.project = %L',
			project);
	END IF;
END
$$;
SQL
do { round($seed + $round++) } while (!$broken && ($round < $rounds || time < $start + $seconds));
$session->end;
printf "agree: %d steps with %d changes, %d deployed, %d failed, %d rolled back, %d taken down "
	. "in %d rounds in %d seconds, %d findings%s (seed %s)\n", $steps,
	(map { $happened{$_} // 0 } qw(changed PROVISION failed rolled DECOMMISSION)),
	$round, time - $start, $findings, $broken ? ', connection lost' : '', $seed;
print "  $_: $seen{$_}\n" for $ENV{FUZZ_SEEN} ? sort keys %seen : ();
exit($findings || $broken ? 1 : 0);

# ---- talking ----

sub chance { my ($of) = @_; return rand() < $of }
sub quote { my ($text) = @_; return "'" . $text =~ s/'/''/gr . "'" }

# A finding; those of one kind are not all printed.
sub found {
	my ($kind, @told) = @_;
	$findings++;
	print "finding: $kind (seed $rounds_seed, step $step): @told\n" if $found{$kind}++ < 3;
	return;
}

# The rows of a statement, as hashes of trees; a text is what it was refused with.
sub ask {
	my ($statement) = @_;
	print STDERR "  $statement\n" if $ENV{FUZZ_TRACE};
	$session->send("SELECT agree.try(", quote($statement), ");\n");
	my $lines = $session->answer;
	if (!defined $lines) {
		$broken = 1;
		return 'lost';
	}
	my $tree = parse_json(join '', @$lines);
	return [map { { fields($_) } } @$tree[1 .. $#$tree]] if $tree->[0] eq 'a';
	print STDERR "  -> $tree->[1]\n" if $ENV{FUZZ_TRACE};
	return substr $tree->[1], 1, -1;
}

# A call of a verb by somebody; nothing if it was refused by one of the SQLSTATEs that are no finding.
sub verb {
	my ($statement, @may) = @_;
	my ($name) = $statement =~ /promote\.(\w+)/;
	my $rows = ask($statement);
	my ($state) = ref $rows ? 'ok' : $rows =~ /^(\S+)/;
	$seen{"$name $state"}++;
	$refused = ref $rows ? '' : $state;
	return @$rows if ref $rows;
	found("$name is refused by $state", "$statement: $rows") if !grep { $_ eq $state } @may;
	return;
}

# How a verb that would plan instances may be refused.
sub sensitive { my (@instances) = @_; return $model->may_show(@instances) ? 'PM722' : () }

# A column as a number or a text; undefined for NULL.
sub text {
	my ($row, $column) = @_;
	my $tree = $row->{$column};
	return undef if !$tree || ($tree->[0] eq 's' && $tree->[1] eq 'null');
	return $tree->[0] eq 's' ? $tree->[1] =~ s/^"(.*)"$/$1/r : canonical($tree);
}

sub flag { my ($row, $column) = @_; return (text($row, $column) // '') eq 'true' ? 1 : 0 }

# ---- comparing ----

# The entries of a diff: path => hash.
sub entries_of {
	my ($tree) = @_;
	my %entries;
	for my $element (@$tree[1 .. $#$tree]) {
		my %entry = fields($element);
		my $path = text(\%entry, 'path') =~ s/\\"/"/gr;
		found('an entry stands twice', $path) if $entries{$path};
		$entries{$path} = { (map { $_ => text(\%entry, $_) } qw(kind change since)),
			(map { $_ => exists $entry{$_} ? canonical($entry{$_}) : undef } qw(old new)),
			(map { $_ => flag(\%entry, $_) } qw(sensitive immutable)) };
	}
	return \%entries;
}

sub shown {
	my ($entry) = @_;
	return 'nothing' if !$entry;
	return join ' ', map { "$_=" . ($entry->{$_} // '-') } qw(kind change old new since sensitive);
}

# Is a value what is said of it?  What is masked is there or not.
sub same_value {
	my ($said, $value, $sensitive) = @_;
	return !defined $said && !defined $value if !defined $said || !defined $value;
	return $said eq MASK if $sensitive;
	return $said eq $value;
}

sub same_entry {
	my ($said, $entry) = @_;
	return 0 if !$said || !$entry || $said->{kind} ne $entry->{kind} || $said->{change} ne $entry->{change};
	return 0 if ($said->{since} // 0) != ($entry->{since} // 0);
	return $said->{sensitive} if $entry->{kind} eq 'secret';
	return 0 if grep { !same_value($said->{$_}, $entry->{$_}, $said->{sensitive}) } qw(old new);
	return 1;
}

# Holds a diff against the model's.
sub hold_diff {
	my ($what, $instance, $tree, $expected) = @_;
	my $said = entries_of($tree);
	for my $path (sort keys %{ { %$said, %$expected } }) {
		next if same_entry($said->{$path}, $expected->{$path});
		found("$what of $path" =~ s/(?<= of )\..*/a leaf/r, "$instance->{name} $path: is said to be ",
			shown($said->{$path}), ' and is ', shown($expected->{$path}));
	}
	found('pw is not masked', $what) if grep { /^\.pw/ && !$said->{$_}{sensitive} } keys %$said;
	return $said;
}

# ---- a round ----

sub round {
	$rounds_seed = shift;
	srand $rounds_seed;
	$step = 0;
	begin_round();
	for (1 .. STEPS) {
		last if $broken;
		$step++;
		$steps++;
		one_step();
		sync();
	}
	my $wrong = ask("SELECT * FROM promote.verify_audit(project => '$project')");
	found('the record is wrong', ref $wrong ? write_json($wrong->[0]{problem}) : $wrong) if !ref $wrong || @$wrong;
	return;
}

sub begin_round {
	$model = AgreeModel->new;
	my $stamp = sprintf '%x%x', time % 1e6, $$ * 1000 + $round;
	($project, $bundle, $minor) = ("p$stamp", "b$stamp", 0);
	(%instances, @claims, %requests) = ();
	act_as('ada');
	ask("INSERT INTO promote.bundle VALUES ('$bundle') RETURNING 1");
	publish();
	ask("INSERT INTO promote.project (project) VALUES ('$project') RETURNING 1");
	ask("INSERT INTO promote.environment (project, environment, require_plan) VALUES ('$project', 'staging', false), "
		. "('$project', 'production', true) RETURNING 1");
	ask("INSERT INTO promote.parameter_set (project, environment, parameters) VALUES ('$project', 'staging', "
		. "'{\"x\": 0, \"y\": \"why\"}'), ('$project', 'production', '{\"x\": 1, \"y\": \"because\"}') RETURNING 1");
	$model->{parameters} = { staging => { x => 0, y => '"why"' }, production => { x => 1, y => '"because"' } };
	ask("INSERT INTO promote.promotion_path (project, source_environment, destination_environment) VALUES ('$project', "
		. "'staging', 'production') RETURNING 1");
	ask("SELECT agree.off('$project')");
	for my $component (qw(c1 c2)) {
		ask("INSERT INTO promote.component (project, component, bundle) VALUES ('$project', '$component', "
			. "'$bundle') RETURNING 1");
		for my $environment (qw(production staging)) {
			my $name = "$project-$environment-$component";
			ask("INSERT INTO promote.instance (project, environment, component, attributes) VALUES ('$project', "
				. "'$environment', '$component', '{\"project\": \"$project\"}') RETURNING 1");
			$instances{$name} = { name => $name, environment => $environment, component => $component, revision => 0,
				references => {}, secrets => {}, secret_moved => {}, promoted => {}, revisions => {},
				deployments => {}, ran => [], deployed_by => undef, changed_by => undef, open => {}, last => 0 };
			edit($instances{$name}, parse_json('{"a": 1, "b": "{{x}}", "own": "' . $environment . '"}'), '~1',
				'stable', 1);
		}
	}
	sync();
	return;
}

# ---- what may happen ----

sub one_step {
	act_as(pick(qw(ada bob eve)));
	pick(@acts)->();
	return;
}

sub act_as {
	($who) = @_;
	$session->send("SET promote.actor = '$who';\n");
	return;
}

sub any { return $instances{ pick(sort keys %instances) } }

# One of which something holds, mostly.
sub any_of {
	my ($holds) = @_;
	my @such = grep { $holds->($_) } @instances{ sort keys %instances };
	return @such && chance(0.8) ? pick(@such) : any();
}

sub of { my ($environment, $component) = @_; return $instances{"$project-$environment-$component"} }

# A value as JSON: some long enough to be masked wherever they are, some that have a parameter.
sub value {
	return pick(qw(1 2 3 true), '"{{x}}"', '"{{x}}"', '"x {{x}} {{y}}"', '"{{y}}"', '"a long password"', '{"d":1}',
		'{"d":"{{x}}","e":[1,"{{y}}"]}', '[]', '[{"d":2},3]', '{"e":{}}');
}

# A merge patch of some keys.
sub patch {
	my ($often, @keys) = @_;
	my @pairs = map { [$_, parse_json(chance(0.2) ? 'null' : /own|pw/ ? pick('"one"', '"two"', '"{{y}}"',
		'"a long password"') : value())] } grep { chance($often) } @keys;
	return ['o', @pairs];
}

sub version_of {
	my ($constraint, $channel) = @_;
	return "$constraint" . ($channel eq 'development' ? '+dev' : '');
}

# What the row of a staging verb has to say, by the model's proposal, which becomes what is desired.
sub staged {
	my ($what, $proposal, $row, $plan) = @_;
	my $instance = $proposal->{instance};
	my $diff = $model->diff($proposal);
	hold_diff("the result of $what", $instance, $row->{diff}, $diff);
	found("$what: changed", "$instance->{name}: is said to be @{[flag($row, 'changed')]}") if flag($row, 'changed')
		!= ($proposal->{changed} ? 1 : 0);
	found("$what: revision", "$instance->{name}: ", text($row, 'new_revision'), " instead of $proposal->{revision}")
		if text($row, 'new_revision') != $proposal->{revision};
	hold_planned($what, $proposal, $row, $plan, scalar keys %$diff);
	$happened{changed} += $proposal->{changed};
	$happened{rolled} += $proposal->{changed} if $what eq 'rollback_instance';
	$model->stage($proposal);
	return;
}

# Whether a plan is queued.  A plan that still holds need not be made again.
sub hold_planned {
	my ($what, $proposal, $row, $plan, $waits) = @_;
	my $instance = $proposal->{instance};
	my $planned = defined text($row, 'deployment');
	my $clear = ($instance->{changed_by} // 0) == ($instance->{deployed_by} // 0);
	found("$what: a plan that nobody asked for", $instance->{name}) if $planned && !$plan;
	found("$what: nothing waits, and is planned", $instance->{name}) if $planned && !$waits && $clear;
	return if $planned || !$plan || !$waits;
	my $last = AgreeModel::last_plan($instance);
	my @moved = $last ? AgreeModel::differing($last->{state}{values}, $model->carried($proposal)->{values}) : 1;
	found("$what: something waits, and is not planned", $instance->{name}) if $proposal->{changed} || @moved
		|| ($last->{base} // 0) != ($instance->{deployed_by} // 0);
	return;
}

sub edit {
	my ($instance, $patch, $constraint, $channel, $plan) = @_;
	my $proposal = $model->edit($instance, $patch, $constraint, $channel);
	my ($row) = verb("SELECT * FROM promote.configure_instance('$instance->{name}', " . quote(write_json($patch))
		. (defined $constraint ? ', ' . quote(version_of($constraint, $channel)) : '')
		. ", plan => @{[$plan ? 'true' : 'false']}, allow_replace => true)", sensitive($instance));
	staged('configure_instance', $proposal, $row, $plan) if $row;
	return;
}

sub act_edit { return edit(any(), patch(0.25, qw(a b c own pw fix)), undef, undef, chance(0.6)) }

sub act_constraint {
	my $instance = any();
	my $constraint = pick('~1', '~1', 'latest', grep { !/-/ } sort keys %{ $model->{releases} });
	my $channel = $constraint =~ /^\d/ ? 'stable' : pick(qw(stable stable development));
	return edit($instance, ['o'], $constraint, $channel, chance(0.7));
}

sub act_publish { return publish() }

# A release; every third lacks a slot and a secret, and some are development builds.
sub publish {
	my $version = '1.' . $minor++ . '.0';
	$version .= '-dev.20260915T101500Z' if $minor > 1 && chance(0.4);
	my @slots = $minor % 3 == 2 ? ('net') : ('net', 'zone');
	my @secrets = $minor % 3 == 2 ? ('s1') : ('s1', 's2');
	my $rows = ask("INSERT INTO promote.bundle_release (bundle, version, params_schema, remote_references, "
		. "secrets) VALUES ("
		. "'$bundle', '$version', '{\"properties\": {\"own\": {\"\$md.copyable\": false}, \"pw\": "
			. "{\"\$md.sensitive\": true}, "
		. "\"fix\": {\"\$md.immutable\": true}}}', '{" . join(', ', map { "\"$_\": {\"required\": false}" } @slots)
			. "}', '{"
		. join(', ', map { "\"$_\": {\"required\": false}" } @secrets) . "}') RETURNING 1");
	found('a release is refused', $rows) if !ref $rows;
	$model->publish($version, slots => \@slots, secrets => \@secrets);
	return;
}

sub act_parameters {
	my $environment = pick(qw(staging production));
	my ($name, $value) = chance(0.7) ? ('x', int rand 4) : ('y', pick('"why"', '"because"', '"a long password"'));
	ask("UPDATE promote.parameter_set SET parameters = parameters || '{\"$name\": $value}' WHERE project = "
		. "'$project' AND "
		. "environment = '$environment' RETURNING 1");
	$model->{parameters}{$environment}{$name} = $value;
	return;
}

sub act_reference {
	my ($instance, $slot) = (any(), pick(qw(net zone)));
	my $version = $model->desired($instance)->{version};
	my $declared = grep { $_ eq $slot } @{ $model->{releases}{$version}{slots} };
	if (chance(0.25)) {
		verb("SELECT promote.remove_remote_reference('$instance->{name}', '$slot', true)", 'PM714') or return;
		delete $instance->{references}{$slot};
		return;
	}
	my $reference = pick('urn:1', 'urn:2', 'urn:{{x}}', 'urn:{{x}}', 'urn:{{y}}');
	my @may = $model->may_show({ %$instance, references => { $slot => $reference } }) ? 'PM722' : ();
	verb("SELECT promote.set_remote_reference('$instance->{name}', '$slot', '$reference', true)", @may,
		$declared ? () : 'PM714') or return;
	$instance->{references}{$slot} = $reference;
	return;
}

sub act_secret {
	my ($instance, $name, $value) = (any(), pick(qw(s1 s2)), 'value ' . int rand 3);
	if (chance(0.25)) {
		verb("SELECT promote.remove_secret('$instance->{name}', '$name')") or return;
		return if !defined delete $instance->{secrets}{$name};
		$instance->{secret_moved}{$name} = ++$model->{clock};
		delete $instance->{promoted}{$name};
		return;
	}
	my $declared = grep { $_ eq $name } map { @{ $model->{releases}{$_}{secrets} } }
		$model->desired($instance)->{version}, $instance->{desired}{version};
	verb("SELECT * FROM promote.set_secret('$instance->{name}', '$name', '$value')", $declared ? ()
		: 'PM714') or return;
	$instance->{secret_moved}{$name} = ++$model->{clock};
	$instance->{secrets}{$name} = $value;
	return;
}

# ---- promoting ----

sub act_promote {
	my $component = pick(qw(c1 c2));
	my @pair = map { of($_, $component) } chance(0.85) ? qw(staging production) : qw(production staging);
	my $overrides = patch(0.2, chance(0.5) ? () : qw(a b c own pw fix));
	my %what = (references => chance(0.4) ? 1 : 0, secrets => chance(0.3) ? 1 : 0);
	my $plan = chance(0.65);
	my $proposal = $model->promotion(@pair, $overrides, %what);
	my @values = %{ $proposal->{references} };
	my $arguments = "'$pair[0]{name}', '$pair[1]{name}', " . quote(write_json($overrides)) . ', '
		. join(', ', map { $what{$_} ? 'true' : 'false' } qw(secrets references));
	# environments of a project may be called as one likes, and paths are for whoever asks for them
	my @may = sensitive(reverse $what{references} ? @pair : $pair[1]);
	my @rows = verb("SELECT * FROM promote.preview_promotion($arguments, reprovision => true)");
	# what may be replaced is refused to others only
	my @violations = grep { text($_, 'kind') eq 'violation' && text($_, 'problem') !~ /^what runs has another/ } @rows;
	@rows = grep { text($_, 'kind') ne 'violation' } @rows;
	my $unseen = !@violations ? '' : (grep { text($_, 'problem') !~ /whose value is sensitive/ } @violations)
		? 'violations' : 'PM722';
	hold_preview($proposal, $overrides, @rows) if !$unseen && (@rows || !$proposal->{changed});
	my ($row) = verb("SELECT * FROM promote.promote_instance($arguments, plan => @{[$plan ? 'true' : 'false']}, "
		. 'allow_replace => true, reprovision => true)', @may);
	found('preview and promotion are refused otherwise', "$unseen and $refused") if $unseen ne $refused;
	staged('promote_instance', $proposal, $row, $plan) if $row;
	return;
}

# Do the overrides say something of a path?
sub is_overridden {
	my ($overrides, $path) = @_;
	my %keys = fields($overrides);
	return scalar grep { $path =~ /^\.\Q$_\E(?![^.\[])/ } keys %keys;
}

# A row of a preview, as an entry.
sub preview_entry {
	my ($row) = @_;
	my %value = map { $_ => $row->{$_}[0] eq 's' && $row->{$_}[1] eq 'null' ? undef : canonical($row->{$_}) }
		qw(old_value new_value running_value);
	return { %value, (map { $_ => text($row, $_) } qw(kind change since origin)), sensitive => flag($row,
		'sensitive') };
}

sub hold_preview {
	my ($proposal, $overrides, @rows) = @_;
	my $instance = $proposal->{instance};
	my $diff = $model->diff($proposal);
	my $moved = $model->moved($proposal);
	my (%rows, %hidden);
	for my $row (@rows) {
		my $path = text($row, 'path') =~ s/\\"/"/gr;
		found('preview: a row stands twice', "$instance->{name} $path") if $rows{$path};
		$rows{$path} = preview_entry($row);
		$hidden{$path} = 1 if $rows{$path}{sensitive} && $rows{$path}{origin} eq 'override';
	}
	for my $path (grep { !$hidden{$_} } sort keys %{ { %rows, %$diff, %$moved } }) {
		my $wrong = wrong_row($path, $rows{$path}, $diff->{$path}, $moved->{$path}) // next;
		found("preview: $wrong" . ($path =~ /^(\w+) / ? " of a $1" : ''), "$instance->{name} $path: ",
			join(' ', map { "$_=" . ($rows{$path}{$_} // '-') } sort keys %{ $rows{$path} // {} }), '; it is ',
				shown($diff->{$path}),
			'; moved: ', $moved->{$path} ? join ' to ', map { $_ // '-' } @{ $moved->{$path} }{qw(old new)} : 'not');
	}
	# what is hidden has its row whether it changes or not
	for my $path (keys %hidden) {
		found('preview: what is hidden', $path) if !is_overridden($overrides, $path)
			|| grep { defined && $_ ne MASK } @{ $rows{$path} }{qw(old_value new_value running_value)};
	}
	return;
}

# What is wrong with a row of a preview, by what waits and what moves.
sub wrong_row {
	my ($path, $row, $waits, $moves) = @_;
	return 'no row' if !$row;
	my $word = !$moves ? '' : $path =~ /^secret / ? $row->{change} : !defined $moves->{old} ? 'add'
		: defined $moves->{new} ? 'change' : 'remove';
	return 'what becomes of it' if $moves ? $row->{change} ne $word : $row->{change} !~ /^(none|keep)$/;
	return 'since' if ($row->{since} // 0) != ($waits ? $waits->{since} : 0);
	return 'nothing waits' if !$waits && $row->{change} eq 'none';
	return if $path =~ /^secret /;
	my $new = $waits ? $waits->{new} : $moves ? $moves->{new} : $row->{new_value};
	return 'kind' if $waits && $row->{kind} ne $waits->{kind};
	return 'new value' if !same_value($row->{new_value}, $new, $row->{sensitive});
	return 'old value' if $moves && !same_value($row->{old_value}, $moves->{old}, $row->{sensitive});
	return 'what runs' if $waits && !same_value($row->{running_value}, $waits->{old}, $row->{sensitive});
	return;
}

# ---- deploying ----

sub act_plan {
	my $instance = any();
	verb("SELECT deployment FROM promote.plan_instance('$instance->{name}')", sensitive($instance));
	return;
}

sub act_deploy {
	my $instance = any_of(sub { my $plan = AgreeModel::last_plan($_[0]); $plan && $plan->{ended} });
	my @plans = grep { $_->{action} eq 'PLAN' } values %{ $instance->{deployments} };
	my $plan = @plans && chance(0.1) ? ', ' . (sort { $a <=> $b } map { $_->{number} } @plans)[rand @plans] : '';
	verb("SELECT deployment, status FROM promote.deploy_instance('$instance->{name}'$plan)",
		qw(PM104 PM503 PM504 PM601), sensitive($instance));
	return;
}

# From a plan to what runs, if nothing comes in between.
sub act_all {
	my $instance = any();
	for my $call ("SELECT deployment FROM promote.plan_instance('$instance->{name}')",
		"SELECT deployment, status FROM promote.deploy_instance('$instance->{name}')") {
		verb($call, qw(PM104 PM503 PM504 PM601), sensitive($instance)) or return;
		for (1 .. 3) {
			sync();
			act_claim();
			sync();
			act_end();
		}
		sync();
	}
	return;
}

sub act_decommission {
	my $instance = any_of(sub { $_[0]{runs} });
	verb("SELECT deployment FROM promote.decommission_instance('$instance->{name}')",
		qw(PM504 PM508 PM601 PM404 PM501));
	return;
}

sub act_rollback {
	my $instance = any_of(sub { @{ $_[0]{ran} } > 1 });
	my $to = @{ $instance->{ran} } && chance(0.5) ? pick(@{ $instance->{ran} })->{revision} : undef;
	my $plan = chance(0.7);
	my $proposal = $model->rollback($instance, $to);
	my @may = (sensitive($instance), $proposal ? () : ('PM508'));
	my $arguments = "'$instance->{name}', " . ($to // 'NULL');
	my @rows = verb("SELECT * FROM promote.rehearse_rollback($arguments)");
	my ($row) = verb("SELECT * FROM promote.rollback_instance($arguments, plan => @{[$plan ? 'true' : 'false']}, "
		. 'allow_replace => true)', @may);
	return if !$row || !$proposal;
	hold_diff('the rehearsal', $instance, rehearsed(@rows), $model->diff($proposal));
	staged('rollback_instance', $proposal, $row, $plan);
	return;
}

# The rows of a rehearsal as a diff.
sub rehearsed {
	my (@rows) = @_;
	my @entries;
	for my $row (grep { text($_, 'kind') !~ /^(obstacle|gate)$/ } @rows) {
		my %entry = map { $_ => $row->{$_} } qw(kind path change since sensitive immutable);
		for my $side (qw(old new)) {
			$entry{$side} = $row->{"${side}_value"} if defined text($row, "${side}_value");
		}
		push @entries, ['o', map { [$_, $entry{$_}] } sort keys %entry];
	}
	return ['a', @entries];
}

# ---- workers ----

sub act_claim {
	my ($claim) = verb("SELECT instance, deployment, action, fencing, version, revision, params, "
		. "remote_references, plan "
		. "FROM promote.claim_deployment('w', selector => '{\"project\": \"$project\"}')") or return;
	my $instance = $instances{ text($claim, 'instance') };
	my $number = text($claim, 'deployment');
	my $deployment = $instance->{deployments}{$number} or return found('an unknown deployment is claimed', $number);
	$model->claimed($instance, $number);
	push @claims, { instance => $instance, number => $number, fencing => text($claim, 'fencing') };
	my ($row) = verb("SELECT d.diff, d.base_deployment FROM promote.deployment AS d JOIN promote.instance AS i "
		. "USING (project, "
		. "environment, component) WHERE i.name = '$instance->{name}' AND d.deployment = $number");
	my $what = "the $deployment->{action} that is claimed";
	my $said = hold_diff($what, $instance, $row->{diff}, $deployment->{diff});
	found("$what starts from something else", $instance->{name}) if (text($row, 'base_deployment') // 0)
		!= ($deployment->{base} // 0) && $deployment->{action} ne 'DECOMMISSION';
	hold_handed($instance, $deployment, $claim, $said);
	hold_secrets($instance, $deployment, $claim);
	return;
}

# What a worker is handed is what the deployment carries, and what its diff makes of what ran.
sub hold_handed {
	my ($instance, $deployment, $claim, $said) = @_;
	my %values = %{ $deployment->{state}{values} };
	my $references = $claim->{remote_references};
	my %handed = (flat($claim->{params}), 'release version' => json_text(text($claim, 'version')),
		map { ("reference $_" => $$references{$_}) } ());
	my %references = fields($references);
	$handed{"reference $_"} = canonical($references{$_}) for keys %references;
	delete @values{ 'release constraint', 'release channel' };
	for my $path (AgreeModel::differing(\%handed, \%values)) {
		found('a worker is handed something else', "$instance->{name} $deployment->{number} $path: ",
			$handed{$path} // '-', ' instead of ', $values{$path} // '-');
	}
	return if $deployment->{action} eq 'DECOMMISSION';
	my %made = $deployment->{runs} ? %{ $deployment->{runs}{values} } : ();
	for my $path (grep { !/^secret / } keys %$said) {
		if ($said->{$path}{change} eq 'remove') {
			delete $made{$path};
		} else {
			$made{$path} = $said->{$path}{sensitive} ? $values{$path} : $said->{$path}{new};
		}
	}
	delete @made{ 'release constraint', 'release channel' };
	for my $path (AgreeModel::differing(\%handed, \%made)) {
		found('the diff makes something else of what ran', "$instance->{name} $deployment->{number} $path: ",
			$made{$path} // '-', ' instead of ', $handed{$path} // '-');
	}
	return;
}

sub hold_secrets {
	my ($instance, $deployment, $claim) = @_;
	my @rows = verb("SELECT name, value FROM promote.deployment_secrets('$instance->{name}', $deployment->{number}, "
		. text($claim, 'fencing') . ')');
	my %handed = map { text($_, 'name') => text($_, 'value') } @rows;
	my %secrets = map { $_ => $instance->{secrets}{$_} } grep { defined $instance->{secrets}{$_} }
		@{ $model->{releases}{ $deployment->{state}{version} }{secrets} };
	found('a worker is handed other secrets', $instance->{name}) if AgreeModel::differing(\%handed, \%secrets);
	return;
}

# One of the claims ends, whichever.
sub act_end {
	return if !@claims;
	my $claim = splice @claims, int rand @claims, 1;
	my ($instance, $number) = @$claim{qw(instance number)};
	my $how = rand;
	if ($how < 0.06) {
		verb("SELECT status FROM promote.release_deployment('$instance->{name}', $number, "
			. "$claim->{fencing})") or return;
		return;
	}
	my $call = $how < 0.2 ? "fail_deployment('$instance->{name}', $number, 'broken'" :
		"complete_deployment('$instance->{name}', $number";
	my ($row) = verb("SELECT status FROM promote.$call, $claim->{fencing})");
	return if !$row;
	$model->ended($instance, $number, $how >= 0.2);
	my $action = $instance->{deployments}{$number}{action};
	$happened{ $how >= 0.2 ? $action : 'failed' }++ if $action ne 'PLAN';
	return;
}

# What waits or runs is broken off.
sub act_abort {
	my $instance = any();
	my @open = sort { $a <=> $b } keys %{ $instance->{open} };
	my $number = pick(@open) // return;
	my ($row) = verb("SELECT status FROM promote.abort_deployment('$instance->{name}', $number, 'enough')") or return;
	if (grep { $_->{instance} == $instance && $_->{number} == $number } @claims) {
		@claims = grep { $_->{instance} != $instance || $_->{number} != $number } @claims;
		$model->ended($instance, $number, 0);
	} else {
		$instance->{deployments}{$number}{lost} = 1;
	}
	return;
}

# ---- requests ----

sub act_request {
	my ($number) = sort { $a <=> $b } keys %requests;
	return open_request() if !$number;
	my $request = $requests{$number};
	if (chance(0.07)) {
		verb("SELECT status FROM promote.cancel_request('$project', $number, 'enough')", 'PM606') or return;
		delete $requests{$number};
		return;
	}
	verb("SELECT status FROM promote.resume_request('$project', $number)", 'PM606') if $request->{stands};
	preview_request($number);
	advance_request($number);
	return;
}

sub open_request {
	my $overrides = patch(0.2, chance(0.5) ? () : qw(a b pw));
	my $component = pick(qw(c1 c2));
	my %what = (references => chance(0.4) ? 1 : 0, secrets => chance(0.3) ? 1 : 0);
	my @named = ("strategy => '" . pick(qw(one_by_one all_at_once)) . "'", 'include_other_changes => true',
		'reprovision => true',
		'overrides => ' . quote("{\"$component\": " . write_json($overrides) . '}'),
		(map { "$_ => true" } $what{references} ? 'copy_remote_references' : (), $what{secrets} ? 'copy_secrets' : ()));
	my $named = join ', ', @named;
	my ($row) = verb("SELECT request FROM promote.open_request('$project', 'staging', 'production', $named)",
		'PM608') or return;
	$requests{ text($row, 'request') } = { overrides => { $component => $overrides }, what => \%what, opener => $who };
	return;
}

# What an item of a request would stage.
sub item_proposal {
	my ($request, $component) = @_;
	return $model->promotion(of('staging', $component), of('production', $component),
		$request->{overrides}{$component} // ['o'], %{ $request->{what} });
}

sub preview_request {
	my ($number) = @_;
	my @rows = verb("SELECT component, status, diff, skip_reason FROM promote.preview_request('$project', $number)",
		'PM606');
	for my $row (grep { text($_, 'status') eq 'PENDING' && defined text($_, 'diff') } @rows) {
		my $proposal = item_proposal($requests{$number}, text($row, 'component'));
		my $diff = $model->diff($proposal);
		next if defined text($row, 'skip_reason') && !%$diff
			|| sensitive(map { of($_, text($row, 'component')) } qw(production staging));
		hold_diff('the preview of a request', $proposal->{instance}, $row->{diff}, $diff);
	}
	return;
}

sub items {
	my ($number) = @_;
	return map { text($_, 'component') => $_ } verb("SELECT component, status, revision FROM "
		. "promote.promotion_request_item "
		. "WHERE project = '$project' AND request = $number ORDER BY component");
}

# What the call stages is what the model promotes; what it plans and deploys is found by sync.
sub advance_request {
	my ($number) = @_;
	my $request = $requests{$number};
	my %before = items($number);
	my ($row) = verb("SELECT * FROM promote.advance_request('$project', $number)", qw(PM606 PM607 PM609)) or return;
	my %after = items($number);
	for my $component (sort keys %after) {
		my ($was, $is) = map { text($_->{$component}, 'status') } \%before, \%after;
		next if $was ne 'PENDING' || $is eq 'PENDING';
		my $proposal = item_proposal($request, $component);
		if ($is eq 'SKIPPED') {
			found('a request skips what has something to do', $component) if $proposal->{changed};
		} elsif ($is ne 'FAILED') {
			$model->stage($proposal);
			$proposal->{instance}{asker} = $request->{opener};
		}
	}
	$_->{asker} = $request->{opener} for map { of('production', $_) } keys %after;
	my $status = text($row, 'status');
	$request->{stands} = $status =~ /^(PAUSED|FAILED)$/;
	delete $requests{$number} if $status =~ /^(COMPLETED|SKIPPED|CANCELLED|ROLLED_BACK)$/;
	return;
}

# ---- what is there after each step ----

# Takes up what was queued, and holds what is there against the model.
sub sync {
	my $known = join ', ', map { "('$_', $instances{$_}{last})" } sort keys %instances;
	my @rows = verb("SELECT i.name, i.revision, i.deployed_by, i.changed_by, s.status, s.running_action, (SELECT "
		. "r.actor FROM "
		. 'promote.revision AS r WHERE r.project = i.project AND r.environment = i.environment AND r.component = '
			. 'i.component '
		. 'AND r.revision = i.revision) AS actor, (SELECT jsonb_agg(jsonb_build_object(\'deployment\', '
			. 'd.deployment, \'action\', '
		. 'd.action, \'status\', d.status, \'diff\', d.diff, \'actor\', d.actor, \'revision\', d.revision, \'base\', '
		. 'd.base_deployment) ORDER BY d.deployment) FROM promote.deployment AS d WHERE d.project = i.project AND '
			. 'd.environment = '
		. 'i.environment AND d.component = i.component AND (d.deployment > k.last OR d.status IN (\'PENDING\', '
			. '\'RUNNING\'))) AS '
		. "queue FROM (VALUES $known) AS k (name, last) JOIN promote.instance AS i USING (name) JOIN "
			. "promote.instance_status AS "
		. 's ON s.instance = i.name ORDER BY i.name');
	hold_instance($instances{ text($_, 'name') }, $_) for @rows;
	return;
}

sub hold_instance {
	my ($instance, $row) = @_;
	my $asker = $instance->{asker} // $who;
	my $revision = text($row, 'revision');
	found('an instance is at another revision', "$instance->{name}: $revision instead of $instance->{revision}")
		if $revision != $instance->{revision};
	found('somebody else has asked for a revision', "$instance->{name}: ", text($row, 'actor'), " instead of $asker")
		if ($instance->{seen} // 0) < $revision && text($row, 'actor') ne $asker;
	$instance->{seen} = $revision;
	my $queue = $row->{queue};
	my @open = keys %{ $instance->{open} };
	$instance->{open} = {};
	take_up($instance, $asker, { fields($_) }) for $queue->[0] eq 'a' ? @$queue[1 .. $#$queue] : ();
	# who cancels a request aborts what waits of it
	$_->{lost} = 1 for grep { !$_->{ended} } @{ $instance->{deployments} }{ grep { !$instance->{open}{$_} } @open };
	for my $column (qw(deployed_by changed_by)) {
		found("$column is another one", "$instance->{name}: ", text($row, $column) // '-') if (text($row, $column) // 0)
			!= ($instance->{$column} // 0);
	}
	my ($said, $is) = (text($row, 'status'), $model->status($instance, text($row, 'running_action')));
	found("instance_status says $said where it is $is", $instance->{name}) if $said ne $is;
	delete @$instance{qw(asker staged)};
	return;
}

# A deployment that waits or is new: new ones carry what is desired now.
sub take_up {
	my ($instance, $asker, $row) = @_;
	my $number = text($row, 'deployment');
	$instance->{open}{$number} = 1 if text($row, 'status') =~ /^(PENDING|RUNNING)$/;
	return if $number <= $instance->{last};
	$instance->{last} = $number;
	my $deployment = $model->queued($instance, $number, text($row, 'action'));
	my $what = "the $deployment->{action}";
	hold_diff($what, $instance, $row->{diff}, $deployment->{diff});
	found("$what carries another revision", "$instance->{name} $number") if text($row,
		'revision') != $deployment->{revision};
	found("somebody else has asked for $what", "$instance->{name} $number") if text($row, 'actor') ne $asker;
	return;
}
