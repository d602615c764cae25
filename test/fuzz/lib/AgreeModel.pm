package AgreeModel;

# What promote's pages say becomes of instances, as plain maps: a document is a map from the paths of its leaves to
# their
# JSON.  test/fuzz/agree.pl holds what promote says against it.  Nothing here asks the database.
#
#   my $model = AgreeModel->new;
#   $model->publish('1.1.0', slots => [...], secrets => [...]);
#   my $proposal = $model->promotion($source, $destination, $overrides, references => 1, secrets => 0);
#   $model->diff($proposal);          # what would happen to what runs: path => {kind, change, old, new, since}
#   $model->stage($proposal);         # it is desired from now on
#   $model->queued($instance, ...);   # a deployment that carries what is desired
#
# A tree is [o => [key, tree], ...], [a => tree, ...] or [s => JSON], as Fuzz.pm reads it.

use strict;
use warnings;
no warnings 'recursion';
use Exporter qw(import);
use Fuzz qw(copy_json parse_json write_json);

our @EXPORT_OK = qw(canonical fields flat json_text);

# ---- documents ----

# The pairs of an object as a hash of trees.
sub fields {
	my ($tree) = @_;
	my ($kind, @pairs) = @{ $tree // ['s', 'null'] };
	return $kind eq 'o' ? map { $_->[0] => $_->[1] } @pairs : ();
}

# A text as JSON; the texts here need no more than that.
sub json_text { my ($text) = @_; return defined $text ? qq("$text") : undef }

# The JSON of a tree, with the keys in order.
sub canonical {
	my ($tree) = @_;
	my ($kind, @children) = @$tree;
	return $children[0] if $kind eq 's';
	return '[' . join(',', map { canonical($_) } @children) . ']' if $kind eq 'a';
	return '{' . join(',', map { "\"$_->[0]\":" . canonical($_->[1]) } sort { $a->[0] cmp $b->[0] } @children) . '}';
}

# The leaves of a tree: path => JSON.
sub flat {
	my ($tree, $path) = @_;
	my ($kind, @children) = @$tree;
	$path //= '';
	return ($path => $children[0]) if $kind eq 's';
	return ($path => $kind eq 'o' ? '{}' : '[]') if !@children && $path ne '';
	return map { flat($_->[1], "$path.$_->[0]") } @children if $kind eq 'o';
	return map { flat($children[$_], "$path\[$_]") } 0 .. $#children;
}

# A tree with what a function makes of each leaf.
sub leaves {
	my ($tree, $change) = @_;
	my ($kind, @children) = @$tree;
	return ['s', $change->($children[0])] if $kind eq 's';
	return [$kind, map { $kind eq 'o' ? [$_->[0], leaves($_->[1], $change)] : leaves($_, $change) } @children];
}

# A leaf with the placeholders replaced; what is nothing but one becomes the parameter.
sub rendered_leaf {
	my ($leaf, $parameters) = @_;
	return $parameters->{$1} if $leaf =~ /^"\{\{(\w+)\}\}"$/;
	return $leaf =~ s/\{\{(\w+)\}\}/$parameters->{$1} =~ s|^"(.*)"$|$1|r/ger;
}

sub rendered { my ($tree, $parameters) = @_; return leaves($tree, sub { rendered_leaf($_[0], $parameters) }) }

# RFC 7396.
sub merged {
	my ($tree, $patch) = @_;
	return copy_json($patch) if $patch->[0] ne 'o';
	my %pairs = fields($tree);
	my %patch = fields($patch);
	for my $key (keys %patch) {
		if ($patch{$key}[0] eq 's' && $patch{$key}[1] eq 'null') {
			delete $pairs{$key};
		} else {
			$pairs{$key} = merged($pairs{$key} // ['o'], $patch{$key});
		}
	}
	return ['o', map { [$_, $pairs{$_}] } sort keys %pairs];
}

# ---- releases ----

sub new {
	my ($class) = @_;
	return bless { releases => {}, parameters => {}, clock => 0 }, $class;
}

sub publish {
	my ($self, $version, %how) = @_;
	$self->{releases}{$version} = \%how;
	return;
}

# Versions here are MAJOR.MINOR.PATCH, some with a prerelease, which precedes its release.
sub precedence {
	my ($version) = @_;
	my ($numbers, $prerelease) = split /-/, $version, 2;
	return sprintf '%05d.%05d.%05d %s', split(/\./, $numbers), $prerelease // '~';
}

# The release that a constraint stands for now.
sub resolve {
	my ($self, $constraint, $channel) = @_;
	return $constraint if exists $self->{releases}{$constraint};
	my $major = $constraint =~ /^~(\d+)$/ ? $1 : undef;
	my @found = grep { (!defined $major || /^$major\./) && ($channel eq 'development' || !/-/) }
		keys %{ $self->{releases} };
	return (sort { precedence($a) cmp precedence($b) } @found)[-1];
}

# ---- states ----

# What an instance would carry: a map of its own, with what it is made of.
sub state_of {
	my ($self, $instance, %of) = @_;
	my $parameters = $self->{parameters}{ $instance->{environment} };
	my %slots = map { $_ => 1 } @{ $self->{releases}{ $of{version} }{slots} };
	my %references = %{ $of{references} // $instance->{references} };
	my %state = (
		'release version' => json_text($of{version}),
		'release constraint' => json_text($of{constraint}),
		'release channel' => json_text($of{channel}),
		flat(rendered($of{params}, $parameters)),
		map { ("reference $_" => rendered_leaf(json_text($references{$_}), $parameters)) }
			grep { $slots{$_} } keys %references);
	return { %of, values => \%state, template => { flat($of{params}) } };
}

# What is desired of an instance, by today's release and parameters.
sub desired {
	my ($self, $instance) = @_;
	return $self->state_of($instance, %{ $instance->{desired} },
		version => $self->resolve(@{ $instance->{desired} }{qw(constraint channel)}),
			revision => $instance->{revision});
}

# The same as it was written: by the release that it was judged by.
sub written { my ($self, $instance) = @_; return $self->state_of($instance, %{ $instance->{desired} }) }

# The paths in which two maps differ.
sub differing {
	my ($old, $new) = @_;
	my %paths = (%$old, %$new);
	return grep { ($old->{$_} // "\0") ne ($new->{$_} // "\0") } sort keys %paths;
}

# ---- proposals ----

# A proposal of params, a constraint and a channel for an instance.
sub proposal {
	my ($self, $instance, %how) = @_;
	my $desired = $instance->{desired};
	my $version = $how{version} // $self->resolve($how{constraint}, $how{channel});
	my $same = $desired && canonical($how{params}) eq canonical($desired->{params})
		&& $how{constraint} eq $desired->{constraint} && $how{channel} eq $desired->{channel}
		&& $version eq $desired->{version};
	my $revision = $instance->{revision} + ($same ? 0 : 1);
	return {
		instance => $instance, copied => {}, references => { %{ $instance->{references} } }, same => $same,
		changed => $same ? 0 : 1, %how, version => $version, revision => $revision
	};
}

# May what is sensitive be in a remote reference of an instance, which may get those of another one?  The only parameter
# that may is y, and "why" is too short to be looked for beside its place.
sub may_show {
	my ($self, @instances) = @_;
	return $self->{parameters}{ $instances[0]{environment} }{y} ne '"why"'
		&& grep { /\{\{y/ } map { values %{ $_->{references} } } @instances;
}

# Copies references and secrets of slots and declarations that the release has.
sub copy {
	my ($self, $proposal, $source, %what) = @_;
	my $release = $self->{releases}{ $proposal->{version} };
	my $instance = $proposal->{instance};
	for my $slot ($what{references} ? @{ $release->{slots} } : ()) {
		my $reference = $source->{references}{$slot} // next;
		$proposal->{changed} = 1 if $reference ne ($proposal->{references}{$slot} // '');
		$proposal->{references}{$slot} = $reference;
	}
	for my $name ($what{secrets} ? @{ $release->{secrets} } : ()) {
		my $value = $source->{secrets}{$name} // next;
		my $own = $instance->{secrets}{$name};
		next if defined $own && $own eq $value;
		$proposal->{copied}{$name} = { value => $value, change => defined $own ? 'change' : 'add' };
		$proposal->{changed} = 1;
	}
	return $proposal;
}

# A promotion: the source's params but for what is not copyable, which here is the key "own", and overrides on top.
sub promotion {
	my ($self, $source, $destination, $overrides, %what) = @_;
	my %pairs = fields($source->{desired}{params});
	my %kept = fields($destination->{desired}{params});
	delete $pairs{own};
	$pairs{own} = $kept{own} if $kept{own};
	my $params = merged(['o', map { [$_, $pairs{$_}] } sort keys %pairs], $overrides);
	my $proposal = $self->proposal($destination, params => $params,
		map { $_ => $source->{desired}{$_} } qw(constraint channel));
	return $self->copy($proposal, $source, %what);
}

# An edit: a merge patch, and perhaps another constraint.
sub edit {
	my ($self, $instance, $patch, $constraint, $channel) = @_;
	my $desired = $instance->{desired};
	return $self->proposal($instance, params => merged($desired ? $desired->{params} : ['o'], $patch),
		constraint => $constraint // $desired->{constraint}, channel => $channel // $desired->{channel});
}

# A rollback to a revision, or to what was deployed last that is not what is desired now; nothing if there is none.
sub rollback {
	my ($self, $instance, $revision) = @_;
	my $desired = $self->desired($instance);
	my $is_desired = sub { $_[0]{revision} == $instance->{revision} && $_[0]{version} eq $desired->{version} };
	my ($ran) = grep { defined $revision ? $_->{revision} == $revision : !$is_desired->($_) }
		sort { $b->{started} <=> $a->{started} } @{ $instance->{ran} };
	return if !$ran;
	my $written = $instance->{revisions}{ $ran->{revision} };
	return $self->proposal($instance, params => $written->{params}, channel => $written->{channel},
		constraint => $ran->{version}, version => $ran->{version}) if !$is_desired->($ran);
	# what is desired already is planned, and not staged again
	my $proposal = $self->proposal($instance, %$written);
	$proposal->{version} = $ran->{version};
	return $proposal;
}

# ---- since when ----

# The plan that was made last of the newest revision that has one, of those that came to something.
sub last_plan {
	my ($instance) = @_;
	my @plans = grep { $_->{action} eq 'PLAN' && !$_->{lost} } values %{ $instance->{deployments} };
	return (sort { $a->{revision} <=> $b->{revision} || $a->{number} <=> $b->{number} } @plans)[-1];
}

# The revision since which the value that a path is to have waits: the oldest of those without a plan that have had it
# ever since, or what the last plan says, if that has it.
sub since {
	my ($self, $instance, $state, $path) = @_;
	my $plan = last_plan($instance);
	my $base = $instance->{runs} ? $instance->{runs}{revision} : 0;
	my $counts = $plan && ($plan->{revision} > $base || ($plan->{base} // 0) == ($instance->{deployed_by} // 0));
	my $since = $state->{revision};
	my $wanted = $state->{values}{$path} // "\0";
	for my $revision (reverse(($counts ? $plan->{revision} : $base) + 1 .. $instance->{revision})) {
		my $former = $self->state_of($instance, %{ $instance->{revisions}{$revision} });
		return $since if ($former->{values}{$path} // "\0") ne $wanted;
		$since = $revision;
	}
	return $since if !$counts || ($plan->{state}{values}{$path} // "\0") ne $wanted;
	return $plan->{diff}{$path} ? $plan->{diff}{$path}{since} : $plan->{revision};
}

# ---- diffs ----

sub kind {
	my ($path, $runs, $state) = @_;
	return $1 if $path =~ /^(release|reference|secret) /;
	my ($old, $new) = map { $_ ? $_->{template}{$path} : undef } $runs, $state;
	return defined $old && defined $new && $old eq $new ? 'parameter' : 'param';
}

# The entries from one state to another, without since: path => entry.
sub entries {
	my ($runs, $state) = @_;
	my ($old, $new) = map { $_ ? $_->{values} : {} } $runs, $state;
	return {
		map { $_ => {
			kind => kind($_, $runs, $state), old => $old->{$_}, new => $new->{$_},
			change => !defined $old->{$_} ? 'add' : defined $new->{$_} ? 'change' : 'remove'
		} } differing($old, $new)
	};
}

# What would run by a proposal; without one, what is desired.
sub carried {
	my ($self, $of) = @_;
	return $self->desired($of) if !$of->{instance};
	return $self->state_of($of->{instance},
		map { $_ => $of->{$_} } qw(params constraint channel version revision references));
}

# The secrets that promotions have brought since what runs was begun.
sub waiting_secrets {
	my ($instance) = @_;
	my $promoted = $instance->{promoted};
	my $since = $instance->{runs} ? $instance->{runs}{started} : 0;
	return map { $_ => $promoted->{$_} } grep { $promoted->{$_}{at} > $since } keys %$promoted;
}

# The diff of a proposal, or of what is desired of an instance.
sub diff {
	my ($self, $of) = @_;
	my $instance = $of->{instance} // $of;
	my $state = $self->carried($of);
	my $diff = entries($instance->{runs}, $state);
	$diff->{$_}{since} = $self->since($instance, $state, $_) for keys %$diff;
	my %secrets = waiting_secrets($instance);
	for my $name (keys %{ $of->{copied} // {} }) {
		$secrets{$name} = { change => $secrets{$name} ? $secrets{$name}{change} : $of->{copied}{$name}{change},
			since => $state->{revision} };
	}
	$diff->{"secret $_"} = { kind => 'secret', change => $secrets{$_}{change}, since => $secrets{$_}{since} }
		for keys %secrets;
	return $diff;
}

# The parts of what is desired that a proposal moves: path => {old, new}.  What is written otherwise and rendered the
# same counts as it is written.
sub moved {
	my ($self, $proposal) = @_;
	my $instance = $proposal->{instance};
	my $old = $self->written($instance);
	my $new = $self->carried($proposal);
	my %moved;
	$moved{$_} = { old => $old->{values}{$_}, new => $new->{values}{$_} }
		for differing($old->{values}, $new->{values});
	for my $path (differing($old->{template}, $new->{template})) {
		$moved{$path} //= { old => $old->{template}{$path}, new => $new->{template}{$path} };
	}
	for my $slot (differing($instance->{references}, $proposal->{references})) {
		$moved{"reference $slot"} //= { old => json_text($instance->{references}{$slot}),
			new => json_text($proposal->{references}{$slot}) };
	}
	$moved{"secret $_"} = {} for keys %{ $proposal->{copied} };
	return \%moved;
}

# ---- what happens ----

# The proposal becomes what is desired.  Its plan, if it gets one, carries it, with the diff of before.
sub stage {
	my ($self, $proposal) = @_;
	my $instance = $proposal->{instance};
	$instance->{staged} = { diff => $self->diff($proposal), state => $self->carried($proposal) };
	$instance->{references} = $proposal->{references};
	for my $name (keys %{ $proposal->{copied} }) {
		my $copied = $proposal->{copied}{$name};
		$instance->{secrets}{$name} = $copied->{value};
		$instance->{secret_moved}{$name} = ++$self->{clock};
		my %waits = waiting_secrets($instance);
		$instance->{promoted}{$name} = { change => $waits{$name} ? $waits{$name}{change} : $copied->{change},
			since => $proposal->{revision}, at => $self->{clock} };
	}
	return if $proposal->{same};
	$instance->{revision} = $proposal->{revision};
	$instance->{desired} = { map { $_ => $proposal->{$_} } qw(params constraint channel version revision) };
	$instance->{revisions}{ $proposal->{revision} } = $instance->{desired};
	return;
}

# A deployment is queued: it carries what is desired; a DECOMMISSION what may run.
sub queued {
	my ($self, $instance, $number, $action) = @_;
	my $deployment = { number => $number, action => $action, base => $instance->{deployed_by}, at => ++$self->{clock} };
	if ($action eq 'DECOMMISSION') {
		my $changed = $instance->{deployments}{ $instance->{changed_by} };
		$deployment->{state} = $changed->{state};
		$deployment->{diff} = entries($changed->{state}, undef);
	} elsif ($instance->{staged}) {
		@$deployment{qw(state diff)} = @{ $instance->{staged} }{qw(state diff)};
	} else {
		@$deployment{qw(state diff)} = ($self->desired($instance), $self->diff($instance));
	}
	delete $instance->{staged};
	$deployment->{runs} = $instance->{runs};
	$deployment->{revision} = $deployment->{state}{revision};
	return $instance->{deployments}{$number} = $deployment;
}

# The revision since which something waits that was no entry of a plan when it was queued: the oldest behind what runs
# that has had it ever since.  References have no revisions: they are the plan's, in the slots that there were.
sub stray_since {
	my ($self, $instance, $deployment, $path) = @_;
	my $since = $deployment->{revision};
	my $wanted = $deployment->{state}{values}{$path};
	my $above = $instance->{runs} ? $instance->{runs}{revision} : $since;
	for my $revision (reverse $above + 1 .. $since - 1) {
		my $former = $self->state_of($instance, %{ $instance->{revisions}{$revision} });
		my $value = $former->{values}{$path};
		my $slots = $self->{releases}{ $former->{version} }{slots};
		$value = (grep { $path eq "reference $_" } @$slots) ? $wanted : undef if $path =~ /^reference /;
		return $since if ($value // "\0") ne ($wanted // "\0");
		$since = $revision;
	}
	return $since;
}

# It is claimed.  A PLAN starts from what runs by now.
sub claimed {
	my ($self, $instance, $number) = @_;
	my $deployment = $instance->{deployments}{$number};
	$deployment->{started} = ++$self->{clock};
	return $deployment
		if $deployment->{action} ne 'PLAN' || ($deployment->{base} // 0) == ($instance->{deployed_by} // 0);
	my $before = $deployment->{diff};
	my $diff = entries($instance->{runs}, $deployment->{state});
	$diff->{$_}{since} = $before->{$_} ? $before->{$_}{since} : $self->stray_since($instance, $deployment, $_)
		for keys %$diff;
	my %secrets = waiting_secrets($instance);
	$diff->{"secret $_"} = { kind => 'secret', change => $secrets{$_}{change}, since => $secrets{$_}{since} }
		for keys %secrets;
	@$deployment{qw(base runs diff)} = ($instance->{deployed_by}, $instance->{runs}, $diff);
	return $deployment;
}

# It ends.
sub ended {
	my ($self, $instance, $number, $well) = @_;
	my $deployment = $instance->{deployments}{$number};
	@$deployment{qw(ended lost)} = (1, !$well);
	return if $deployment->{action} eq 'PLAN';
	@$instance{qw(changed_by failed)} = ($number, !$well);
	return if !$well;
	if ($deployment->{action} eq 'DECOMMISSION') {
		@$instance{qw(runs deployed_by taken_down)} = (undef, undef, 1);
		return;
	}
	$instance->{runs} = { %{ $deployment->{state} }, started => $deployment->{started} };
	@$instance{qw(deployed_by taken_down)} = ($number, 0);
	push @{ $instance->{ran} }, { revision => $deployment->{revision}, version => $deployment->{state}{version},
		started => $deployment->{started} };
	return;
}

# What instance_status says.
sub status {
	my ($self, $instance, $running) = @_;
	return 'deploying' if $running && $running ne 'PLAN';
	return 'failed' if $instance->{failed};
	return 'decommissioned' if $instance->{taken_down};
	return 'never_deployed' if !$instance->{runs};
	my $desired = $self->desired($instance);
	my ($old, $new) = ({ %{ $instance->{runs}{values} } }, { %{ $desired->{values} } });
	# a constraint is how a release is chosen, not what runs
	delete @$_{ 'release constraint', 'release channel' } for $old, $new;
	return 'stale' if differing($old, $new);
	my @moved = grep { ($instance->{secret_moved}{$_} // 0) > $instance->{runs}{started} }
		@{ $self->{releases}{ $desired->{version} }{secrets} };
	return @moved ? 'stale' : 'in_sync';
}

1;
