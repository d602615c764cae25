package HistoryCheck;

# Holds a history (HistoryWork) against what the pages promise.
#
#   my @findings = HistoryCheck::check($history, \%documented);    # SQLSTATEs that may be raised
#   print HistoryCheck::told($_) for @findings;
#
# A finding is { kind, text, calls }: what is broken, where, and the calls that it takes to see it.  All that counts
# here is what was asked and told, when, and what is there at the end: nothing of this asks the extension, and its own
# account of the log's hashes is kept here.
#
# What happened is known as far as the client knows it.  A transaction took effect between when COMMIT was sent and when
# the answer came; a rule is in force for certain from when the COMMIT that made it was answered until one that takes it
# back is sent.  Where it is open which came first, nothing is found: so what is found is certain.
#
# The history is marked on the way; it is to be read anew for another check.

use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use Encode qw(encode_utf8);
use JSON::PP ();
use Time::Local qw(timegm);
use HistoryWork qw(PROJECTS SESSIONS person is_reviewer instance_parts);

my $json = JSON::PP->new->canonical->allow_nonref;
my $far = 9e18;

sub check {
	my ($history, $documented) = @_;
	my $self = bless { %$history, documented => $documented, findings => [] }, __PACKAGE__;
	$self->$_ for qw(index_calls find_events split_sets);
	$self->$_ for qw(states hashes refused_events acknowledged parts revisions contents expectations keys_once steps
		claims ends answers aborts generations tags rules approvals budgets requests refusals declarations);
	return @{ $self->{findings} };
}

# The SQLSTATEs that the page of errors has, and those that ask to try again or tell of a storm: cancel, terminate,
# crash, full (there is no room on the disk), memory (none is left).
sub documented {
	my ($page, @storms) = @_;
	open my $in, '<:utf8', $page or die "$page: $!\n";
	my %documented = map { $_ => 1 } '40001', '40P01', '55P03', map { /^\| `(PM\d{3})`/ ? $1 : () } <$in>;
	my %of = (cancel => ['57014'], terminate => ['57P01'], crash => [qw(57P01 57P02 57P03)],
		full => [qw(53100 58030)], memory => ['53200']);
	$documented{$_} = 1 for map { @{ $of{$_} } } @storms;
	return \%documented;
}

sub found {
	my ($self, $kind, $text, @calls) = @_;
	my %seen;
	push @{ $self->{findings} }, { kind => $kind, text => $text,
		calls => [grep { $_ && !$seen{$_}++ } map { $_ && ($_->{whole} // $_) } @calls],
		began => $self->{began} };
	return;
}

# A finding with its calls, in their order.
sub told {
	my ($finding) = @_;
	return join '', "$finding->{kind}: $finding->{text}\n", map { "    $_\n" }
	  map { call_text($finding->{began}, $_) } sort { $a->{sent} <=> $b->{sent} } @{ $finding->{calls} };
}

sub call_text {
	my ($began, $call) = @_;
	my $transaction = $call->{transaction};
	my @times = map { sprintf '%.3f', ($_ - $began) / 1000 } @$call{qw(sent got)},
		@$transaction{qw(begun commit_sent ended)};
	my $args = join ', ', map { "$_ => " . HistoryWork::literal($call->{args}{$_}) } sort keys %{ $call->{args} };
	my $result = $call->{state} ne '00000' ? "$call->{state} @{[$call->{message} // '']}" : join ' ',
		map { brief($_) } @{ $call->{rows} };
	return sprintf '%s %s..%s ms %s(%s) -> %s [%s, begun %s, %s%s %s..%s]', person($transaction->{session}),
		@times[0, 1], $call->{verb}, $args, $result,
	  $transaction->{level}, $times[2], $call->{undone} ? 'undone, ' : '', $transaction->{outcome}, @times[3, 4];
}

# Of a result what tells it from others.
sub brief {
	my ($row) = @_;
	return $json->encode($row) if ref $row ne 'HASH';
	my @told = grep { defined $row->{$_} } qw(instance component destination old_revision new_revision changed
		deployment action status desired revision plan code
	  fencing lease_until request stop version block_reason);
	return '(' . join(', ', map { "$_ $row->{$_}" } @told) . ')';
}

# ---- calls and their events ----

sub index_calls {
	my ($self) = @_;
	my %of;
	for my $transaction (@{ $self->{transactions} }) {
		for my $call (@{ $transaction->{calls} }) {
			@$call{qw(transaction events)} = ($transaction, []);
			push @{ $of{ person($transaction->{session}) } }, $call;
			push @{ $self->{by_verb}{ $call->{verb} } }, $call;
		}
	}
	$_ = [sort { $a->{sent} <=> $b->{sent} } @$_] for values %of;
	$self->{by_person} = \%of;
	$self->{calls} = [sort { $a->{sent} <=> $b->{sent} } map { @$_ } values %of];
	return;
}

# The calls of a verb, those that took effect for certain, and those that may have.
sub calls { my ($self, $verb) = @_; return @{ $self->{by_verb}{$verb} // [] } }
sub effective { my ($self, @verbs) = @_; return grep { took_effect($_) } map { $self->calls($_) } @verbs }
sub possible { my ($self, @verbs) = @_; return grep { may_have($_) } map { $self->calls($_) } @verbs }

sub took_effect {
	my ($call) = @_;
	return $call->{state} eq '00000' && !$call->{undone} && $call->{transaction}{outcome} eq 'committed';
}

sub may_have {
	my ($call) = @_;
	return $call->{state} =~ /^(?:00000|lost)$/ && !$call->{undone} && $call->{transaction}{outcome} ne 'rolled back';
}

# When a call's transaction may have taken effect at the earliest, and when it has for certain.
sub earliest { return $_[0]{transaction}{commit_sent} }
sub latest { return $_[0]{transaction}{ended} }

# The call that a row of the audit log is of: its author's that was under way then.
sub call_of {
	my ($self, $row) = @_;
	my $calls = $self->{by_person}{ $row->{actor} } or return undef;
	my ($low, $high) = (0, scalar @$calls);
	while ($low < $high) {
		my $middle = int(($low + $high) / 2);
		if ($calls->[$middle]{sent} <= $row->{at}) { $low = $middle + 1 } else { $high = $middle }
	}
	my $call = $low && $calls->[$low - 1];
	return $call && $call->{got} >= $row->{at} ? $call : undef;
}

# Gives events to the calls that made them.  A transaction whose outcome nobody was told took effect if there is one.
sub find_events {
	my ($self) = @_;
	my $rows = $self->{final}{audit};
	@$rows = sort { "$a->{project} $a->{subject}" cmp "$b->{project} $b->{subject}" || $a->{seq} <=> $b->{seq} } @$rows;
	for my $row (@$rows) {
		push @{ $self->{of_event}{ $row->{event} } }, $row;
		push @{ $self->{of_subject}{ $row->{subject} } }, $row;
		next if $row->{at} < $self->{began};
		my $call = $row->{call} = $self->call_of($row);
		if (!$call) {
			$self->found('event without a call',
				"$row->{event} $row->{seq} of $row->{subject} by $row->{actor} at $row->{at_text}");
			next;
		}
		push @{ $call->{events} }, $row;
		$call->{transaction}{outcome} = 'committed' if $call->{transaction}{outcome} eq 'unknown';
	}
	return;
}

# ---- calls of many ----

# By what verb of one a verb of many does each.
my %one = (promote_many => 'promote_instance', promote_environment => 'promote_instance',
	rollback_environment => 'rollback_instance', fork_environment => 'fork_instance', plan_many => 'plan_instance',
	plan_environment => 'plan_instance',
	deploy_many => 'deploy_instance', deploy_environment => 'deploy_instance',
	decommission_environment => 'decommission_instance', complete_many => 'complete_deployment',
	abort_environment => 'abort_deployment');
# Those that may do several things to one instance.
my %has_numbers = map { $_ => 1 } qw(complete_many abort_environment);

# Judges what a call of many has done to each as a call of its own, which has the events of that instance.
sub split_sets {
	my ($self) = @_;
	my %is_instance = map { $_->{name} => 1 } @{ $self->{final}{instance} };
	for my $call (grep { $one{ $_->{verb} } } @{ $self->{calls} }) {
		my ($args, %events) = ($call->{args});
		push @{ $events{ element_key($call, $_->{subject}, $_->{data}) } }, $_
		  for grep { $is_instance{ $_->{subject} } } @{ $call->{events} };
		my %rows = map { (element_key($call, element_name($call, $_), $_) => $_) } grep { !defined $_->{code} }
			@{ $call->{rows} // [] };
		my @lost = $call->{verb} ne 'complete_many' || $call->{rows} ? () : map { "$args->{instances}[$_] "
			. $args->{deployments}[$_] } 0 .. $#{ $args->{instances} };
		my @keys = sort keys %{ { %events, %rows, map { $_ => 1 } @lost } };
		# of what was refused as a whole nothing may be there
		for my $key (@keys ? @keys : $call->{rows} ? () : undef) {
			my $name = $key && $key =~ s/ .*//r;
			my $element = { %$call, verb => $one{ $call->{verb} }, element => $name, whole => $call,
				rows => $key && $rows{$key} && element_rows($call, $name, $rows{$key}),
				args => $key ? element_args($call, $key) : { message => $args->{message} },
				events => $key && $events{$key} || [] };
			$_->{call} = $element for @{ $element->{events} };
			push @{ $self->{by_verb}{ $element->{verb} } }, $element;
		}
	}
	return;
}

# What tells elements of a call apart: the instance, and where several may be of one, the deployment.
sub element_key {
	my ($call, $name, $about) = @_;
	return $has_numbers{ $call->{verb} } ? "$name " . ($about->{deployment} // '') : $name;
}

# The instance that a row of such a call is of.
sub element_name {
	my ($call, $row) = @_;
	my $args = $call->{args};
	my $environment = $args->{dst} // $args->{new_environment} // $args->{environment} // return $row->{instance};
	return "$environment-$row->{component}";
}

# What the verb of one would have been called with.
sub element_args {
	my ($call, $key) = @_;
	my ($args, $verb) = @$call{qw(args verb)};
	my ($name, $number) = split / /, $key;
	my (undef, undef, $component) = instance_parts($name);
	if ($verb eq 'complete_many') {
		my ($at) = grep { $args->{instances}[$_] eq $name && $args->{deployments}[$_] == $number }
			0 .. $#{ $args->{instances} };
		return { instance => $name, deployment => $number, fencing => $args->{fencings}[$at] };
	}
	return { message => $args->{message}, instance => $name, defined $number ? (deployment => $number) : () }
	  if !defined($args->{src} // $args->{source});
	if ($verb eq 'promote_many') {
		my ($at) = grep { $args->{destination}[$_] eq $name } 0 .. $#{ $args->{destination} };
		return { message => $args->{message}, src => $args->{source}[$at], dst => $name,
			overrides => $args->{overrides}[$at] };
	}
	my $overrides = $args->{overrides}{$component};
	return { message => $args->{message}, src => "$args->{src}-$component", dst => $name,
		$overrides ? (overrides => $json->encode($overrides)) : () };
}

# What the verb of one would have returned.
sub element_rows {
	my ($call, $name, $row) = @_;
	my ($project, $environment, $component) = instance_parts($name);
	return [{ %$row, project => $project, environment => $environment, component => $component }]
	  if $one{ $call->{verb} } !~ /^(?:promote|rollback|fork)_/;
	return undef if !defined $row->{revision};
	return [{ destination => $name, new_revision => $row->{revision}, deployment => $row->{deployment},
		old_revision => $row->{revision} - ($row->{changed} ? 1 : 0) }];
}

# Nothing is left out unasked, nor done to what is said to be left out.
sub parts {
	my ($self) = @_;
	for my $call (grep { $one{ $_->{verb} } && $_->{rows} } @{ $self->{calls} }) {
		my @left = grep { defined $_->{code} } @{ $call->{rows} };
		$self->found('a part, unasked', "$call->{verb}: $_->{code}", $call)
		  for grep { $_->{code} =~ /^PM/ && $call->{args}{partial} ne 't' } @left;
		my %left = map { (element_key($call, element_name($call, $_) // '', $_) => 1) } @left;
		$self->found('left out, and done', "$_->{event} of $_->{subject}", $call)
		  for grep { $_->{event} =~ /^(?:revision|deployment\.(?:created|aborted))/
		  	&& $left{ element_key($call, $_->{subject}, $_->{data}) } } @{ $call->{events} };
	}
	return;
}

# ---- answers ----

sub states {
	my ($self) = @_;
	for my $call (@{ $self->{calls} }) {
		$self->found('undocumented SQLSTATE', "$call->{verb}: $call->{state} " . ($call->{message} // ''), $call)
		  if $call->{state} !~ /^(?:00000|lost)$/ && !$self->{documented}{ $call->{state} };
	}
	for my $transaction (@{ $self->{transactions} }) {
		my $state = $transaction->{commit_state} // '00000';
		$self->found('undocumented SQLSTATE', "COMMIT: $state", @{ $transaction->{calls} })
		  if $state !~ /^(?:00000|lost)$/ && !$self->{documented}{$state};
	}
	return;
}

# The chains of the log, by the rule that doc/reference/audit.md states.
sub hashes {
	my ($self) = @_;
	$self->found('verify_audit', $json->encode($_)) for @{ $self->{final}{problem} };
	$self->found('check_invariants', $json->encode($_)) for @{ $self->{final}{broken} };
	my ($chain, $last) = ('');
	for my $row (@{ $self->{final}{audit} }) {
		my $of = "$row->{project} $row->{subject}";
		($chain, $last) = ($of, undef) if $chain ne $of;
		my %sealed = (at => $row->{at_text}, map { $_ => $row->{$_} } qw(project subject seq actor database_role event
			data rows previous_hash));
		my $text = encode_utf8($json->encode(\%sealed));
		$self->found('chain', "row $row->{seq} of $of has another hash") if sha256_hex($text) ne $row->{hash};
		$self->found('chain', "row $row->{seq} of $of does not follow")
		  if $row->{seq} != ($last ? $last->{seq} + 1 : 1) || ($row->{previous_hash} // '') ne ($last ? $last->{hash}
		  	: '');
		$last = $row;
	}
	return;
}

# What was refused or rolled back has left no event.
sub refused_events {
	my ($self) = @_;
	for my $call (grep { @{ $_->{events} } && !may_have($_) } @{ $self->{calls} }) {
		$self->found('recorded, and not done',
			"$call->{verb} has left $call->{events}[0]{event} of $call->{events}[0]{subject}", $call);
	}
	return;
}

# ---- what is declared ----

# What a call says that it has made of a row, by the row's subject; nothing for calls that declare nothing.
sub declared {
	my ($call) = @_;
	return map { ("$_->{kind} $_->{name}" => $_) } grep { ref eq 'HASH' && exists $_->{changes} }
		@{ $call->{rows} // [] };
}

# What is kept, or only tried, is not recorded, and all else is; and each call has made of a row what it says, of what
# the one before it in the row's chain has left.
sub declarations {
	my ($self) = @_;
	my %told;
	for my $call (@{ $self->{calls} }) {
		my %of = declared($call) or next;
		for my $subject (sort keys %of) {
			my $tried = ($call->{args}{dry_run} // 'f') eq 't' || $of{$subject}{action} eq 'keep';
			my $events = grep { $_->{subject} eq $subject } @{ $call->{events} };
			$told{$subject} = 1;
			$self->found('not declared, and recorded', $subject, $call) if $tried && $events;
			$self->found('acknowledged, and not recorded', "$call->{verb}: $of{$subject}{action} $subject", $call)
			  if !$tried && !$events && took_effect($call);
		}
	}
	$self->declared_in_turn($_) for sort keys %told;
	return;
}

# The calls that a row's chain tells of, in its order.  Where one's answer was lost, nobody knows what it has left.
sub declared_in_turn {
	my ($self, $subject) = @_;
	my ($there, %value, $last);
	for my $row (@{ $self->{of_subject}{$subject} // [] }) {
		my %of = $row->{call} ? declared($row->{call}) : ();
		my $declaration = $of{$subject};
		if (!$declaration) {
			($there, %value) = ();
			next;
		}
		my $action = $declaration->{action};
		my @wrong = defined $there && $there == ($action eq 'create' ? 1 : 0) ? $action : ();
		for my $change (@{ $declaration->{changes} }) {
			my ($column, $old, $new) = @$change{qw(column old new)};
			push @wrong, $column if $action ne 'create' && exists $value{$column}
				&& $json->encode($value{$column}) ne $json->encode($old);
			$value{$column} = $new;
		}
		$self->found('declared of what was not there', "$subject: @wrong", $row->{call}, $last) if @wrong;
		$there = $action eq 'delete' ? 0 : 1;
		%value = () if !$there;
		$last = $row->{call};
	}
	return;
}

# ---- what was acknowledged is recorded once ----

# Events of a name in the whole log, by subject and a fact.
sub events_by {
	my ($self, $event, @facts) = @_;
	return $self->{events_by}{"$event @facts"} //= do {
		my %found;
		push @{ $found{ join ' ', $_->{subject}, map { $_ // '' } @{ $_->{data} }{@facts} } },
			$_ for @{ $self->{of_event}{$event} // [] };
		\%found;
	};
}

# The event that a call must have left; if it may be another's, because the call found it done, that one has to be
# earlier.
sub expect_event {
	my ($self, $call, $event, $facts, $key, $maybe_another) = @_;
	my @found = @{ $self->events_by($event, @$facts)->{$key} // [] };
	return $self->found('acknowledged, and not recorded', "$call->{verb}: there is no $event of $key",
		$call) if !@found;
	$self->found('recorded twice', "$event of $key", $call, map { $_->{call} } @found) if @found > 1;
	my ($at) = map { $_->{call} } @found;
	return if !$at || $at == $call;
	$self->found('acknowledged, and recorded for another call', "$event of $key", $call, $at) if !$maybe_another;
	$self->found('answered by what is not there yet', "$event of $key", $call, $at)
	  if $at->{transaction} != $call->{transaction} && earliest($at) > $call->{got};
	return;
}

sub acknowledged {
	my ($self) = @_;
	my %how = (
		(map { $_ => \&expect_revision } qw(promote_instance promote_to_next configure_instance rollback_instance
			fork_instance)),
		archive_environment => \&expect_archived,
		tag_environment => sub { expect_one_of(@_, 'environment_tag.inserted') },
		(map { $_ => \&expect_order } qw(plan_instance deploy_instance decommission_instance propose_deployment)),
		(map { my ($verb, $event) = @$_; $verb => sub { expect_end(@_, $event) } }
			['complete_deployment', 'deployment.completed'], ['fail_deployment', 'deployment.failed'],
				['release_deployment', 'deployment.released']),
		(map { my ($verb, @events) = @$_; $verb => sub { expect_one_of(@_, @events) } }
			['open_request', 'request.opened'], ['preview_request', 'request.previewed'],
			['hist.freeze', 'freeze_window.inserted'], ['hist.open_window', 'change_window.inserted'],
				['hist.ask', 'approval_rule.inserted']),
		(map { my ($verb, $event) = @$_; $verb => sub { expect_gone(@_, $event) if defined $_[1]{rows}[0] } }
			['hist.thaw', 'freeze_window.deleted'], ['hist.close_window', 'change_window.deleted'],
				['hist.unask', 'approval_rule.deleted']),
		(map { $_ => \&expect_vote } qw(approve_deployment reject_deployment)), abort_deployment => \&expect_abort,
		(map { $_ => \&expect_claim } qw(claim_deployment hist.begin)), override_gate => \&expect_override,
		stop_line => \&expect_stop, resume_line => \&expect_resumed);
	for my $verb (sort keys %how) {
		$how{$verb}->($self, $_) for grep { $_->{rows} } $self->effective($verb);
	}
	return;
}

sub expect_one_of {
	my ($self, $call, @events) = @_;
	my @own = grep { my $row = $_; grep { $_ eq $row->{event} } @events } @{ $call->{events} };
	$self->found('acknowledged, and not recorded', "$call->{verb}: @events", $call) if !@own;
	$self->found('recorded twice', "$call->{verb}: @events", $call) if @own > 1;
	return;
}

# A rule is taken away by its name, wherever it is: a fork that copies rules has its source's under the same names.
sub expect_gone {
	my ($self, $call, $event) = @_;
	my %times;
	$times{ $_->{subject} }++ for grep { $_->{event} eq $event } @{ $call->{events} };
	$self->found('acknowledged, and not recorded', "$call->{verb}: $event", $call) if !%times;
	$self->found('recorded twice', "$call->{verb}: $event of $_", $call) for grep { $times{$_} > 1 } sort keys %times;
	return;
}

sub made_revision {
	my ($call) = @_;
	my $row = $call->{rows} && $call->{rows}[0] or return undef;
	return $row->{new_revision} != ($row->{old_revision} // 0) ? $row->{new_revision} : undef;
}

sub expect_revision {
	my ($self, $call) = @_;
	my $row = $call->{rows}[0];
	my $repeatable = defined $call->{args}{idempotency_key};
	$self->expect_event($call, 'revision.created', ['revision'], "$row->{destination} $row->{new_revision}",
		$repeatable)
	  if defined made_revision($call);
	$self->expect_event($call, 'deployment.created', ['deployment'], "$row->{destination} $row->{deployment}", 1)
	  if defined $row->{deployment};
	return;
}

sub expect_archived {
	my ($self, $call) = @_;
	for my $name (map { "$call->{args}{environment}-$_->{component}" } @{ $call->{rows} }) {
		$self->found('acknowledged, and not recorded', "$call->{verb}: instance.archived of $name", $call)
		  if 1 != grep { $_->{event} eq 'instance.archived' && $_->{subject} eq $name } @{ $call->{events} };
	}
	return;
}

sub deployment_instance { my ($row) = @_; return join '-', @$row{qw(project environment component)} }

sub expect_order {
	my ($self, $call) = @_;
	my $row = $call->{rows}[0];
	my $key = deployment_instance($row) . " $row->{deployment}";
	my $event = $self->events_by('deployment.proposed', 'deployment')->{$key} ? 'deployment.proposed'
		: 'deployment.created';
	return $self->expect_event($call, $event, ['deployment'], $key, 1);
}

sub expect_end {
	my ($self, $call, $event) = @_;
	my $args = $call->{args};
	return $self->expect_event($call, $event, [qw(deployment fencing)], "@$args{qw(instance deployment fencing)}", 1);
}

sub expect_vote {
	my ($self, $call) = @_;
	my $approves = $call->{verb} eq 'approve_deployment';
	my ($given, $step) = $approves ? ('approval.given', 'deployment.approved') : ('approval.refused',
		'deployment.rejected');
	my $args = $call->{args};
	return if grep { $_->{event} eq $given || $_->{event} eq $step } @{ $call->{events} };
	# a vote that stands already, on this plan or on an equal one, is not recorded again
	my $person = person($call->{transaction}{session});
	return if grep { $_->{actor} eq $person } @{ $self->events_by($given)->{"$args->{instance}"} // [] };
	return $self->expect_event($call, $step, ['deployment'], "@$args{qw(instance deployment)}", 1);
}

sub expect_abort {
	my ($self, $call) = @_;
	my $args = $call->{args};
	return $self->expect_event($call, 'deployment.aborted', ['deployment'], "@$args{qw(instance deployment)}", 1);
}

sub expect_claim {
	my ($self, $call) = @_;
	$self->expect_event($call, 'deployment.started', [qw(deployment fencing)],
		"$_->{instance} $_->{deployment} $_->{fencing}")
	  for claimed($call);
	return;
}

# What was overridden for the same reasons stays so.
sub expect_override {
	my ($self, $call) = @_;
	my $args = $call->{args};
	my @found = @{ $self->events_by('gate.overridden', qw(deployment code))->{"@$args{qw(instance deployment code)}"}
		// [] };
	return if grep { $_ && ($_->{transaction} == $call->{transaction} || earliest($_) <= $call->{got}) }
		map { $_->{call} } @found;
	return $self->found('acknowledged, and not recorded', "$call->{verb}: gate.overridden", $call);
}

# What stops everything is in the chains of all projects that there are.
sub expect_stop {
	my ($self, $call) = @_;
	my $stop = $call->{rows}[0]{stop};
	$self->expect_event($call, 'line.stopped', ['stop'], "line $_ $stop",
		$call->{rows}[0]{reason} ne $call->{args}{reason})
	  for $call->{args}{project} // PROJECTS;
	return;
}

sub expect_resumed {
	my ($self, $call) = @_;
	my $stop = $call->{rows}[0]{stop} // return;
	$self->expect_event($call, 'line.resumed', ['stop'], "line $_ $stop") for $call->{args}{project} // PROJECTS;
	return;
}

# ---- revisions ----

# The rows by instance and number.
sub revision_of {
	my ($self) = @_;
	return $self->{revision_of} //= { map { ("$_->{instance} $_->{revision}" => $_) } @{ $self->{final}{revision} } };
}

# The call that made a revision, if it was made within the history.
sub maker_of {
	my ($self, $instance, $revision) = @_;
	my ($event) = @{ $self->events_by('revision.created', 'revision')->{"$instance $revision"} // [] };
	return $event && $event->{call};
}

# Numbered without gaps, each with its event, and those that calls have made with what these have said.
sub revisions {
	my ($self) = @_;
	my $rows = $self->revision_of;
	for my $instance (@{ $self->{final}{instance} }) {
		my $name = $instance->{name};
		my @numbers = sort { $a <=> $b } map { $_->{revision} } grep { $_->{instance} eq $name } values %$rows;
		my ($last, %opened) = (0);
		for my $row (@{ $self->{of_subject}{$name} // [] }) {
			$last = $row->{data}{revision} if $row->{event} eq 'revision.created';
			$opened{ ++$last } = 1 if $row->{event} eq 'instance.opened';
		}
		$self->found('revisions', "$name has the revisions @numbers, and counts $instance->{revision}")
		  if "@numbers" ne join ' ', grep { !$opened{$_} } 1 .. $instance->{revision};
		$self->found('revisions', "there is no event of revision $_ of $name")
		  for grep { !$self->events_by('revision.created', 'revision')->{"$name $_"} } @numbers;
	}
	my %with;
	push @{ $with{ $_->{message} // '' } }, $_ for values %$rows;
	for my $call (map { $self->calls($_) } qw(promote_instance promote_to_next configure_instance rollback_instance
		fork_instance)) {
		next if defined $call->{args}{idempotency_key};
		my @there = grep { ($call->{element} // $_->{instance}) eq $_->{instance} }
			@{ $with{ $call->{args}{message} } // [] };
		my $made = took_effect($call) ? made_revision($call) : undef;
		$self->found('lost update', "there is no revision with the message $call->{args}{message}",
			$call) if defined $made && !@there;
		$self->found('not done, and there', "revision $there[0]{revision} of $there[0]{instance}", $call)
		  if @there && !grep { may_have($_) }
		  	grep { $_->{args}{message} eq $call->{args}{message} } $self->calls($call->{verb});
		$self->found('done twice', "$call->{args}{message}: " . join(', ',
			map { "$_->{instance} $_->{revision}" } @there), $call)
		  if @there > 1 && ($call->{element} || !$call->{whole});
	}
	return;
}

# RFC 7396.
sub merge_patch {
	my ($target, $patch) = @_;
	return $patch if ref $patch ne 'HASH';
	my %merged = ref $target eq 'HASH' ? %$target : ();
	for my $key (keys %$patch) {
		if (defined $patch->{$key}) { $merged{$key} = merge_patch($merged{$key},
			$patch->{$key}) } else { delete $merged{$key} }
	}
	return \%merged;
}

# What each revision holds is what its call makes of the one before, and of a source that was current then.
sub contents {
	my ($self) = @_;
	my $rows = $self->revision_of;
	for my $row (values %$rows) {
		my $call = $self->maker_of(@$row{qw(instance revision)}) or next;
		my $before = $rows->{"$row->{instance} @{[$row->{revision} - 1]}"};
		my $expected;
		next if !$before && $row->{origin} eq 'edit';
		if ($row->{origin} eq 'edit') {
			$expected = merge_patch($before->{params}, $json->decode($call->{args}{patch}));
		} elsif ($row->{origin} =~ /^(?:promotion|fork)$/) {
			my $source = $self->check_source($row, $call) or next;
			my %composed = %{ $source->{params} };
			delete $composed{own};
			$composed{own} = $before->{params}{own} if $before && exists $before->{params}{own};
			$expected = merge_patch(\%composed, $json->decode($call->{args}{overrides} // '{}'));
		} elsif ($row->{origin} eq 'rollback') {
			my $former = $rows->{"$row->{instance} " . ($call->{args}{to_revision} // $row->{source_revision} // 0)}
				or next;
			$expected = $former->{params};
			$self->check_tag($row, $call) if $call->{whole};
		}
		$self->found('another content', "revision $row->{revision} of $row->{instance} is "
			. $json->encode($row->{params}) . ', not ' . $json->encode($expected), $call)
		  if $expected && $json->encode($expected) ne $json->encode($row->{params});
	}
	return;
}

# What an environment goes back to by a tag is what the tag has told.
sub check_tag {
	my ($self, $row, $call) = @_;
	my $args = $call->{whole}{args};
	my (undef, undef, $component) = instance_parts($row->{instance});
	my ($told) = grep { $_->{component} eq $component } map { @{ $_->{rows} } } grep { $_->{rows}
		&& $_->{args}{environment} eq $args->{environment} && $_->{args}{tag} eq $args->{tag} }
		$self->effective('tag_environment');
	$self->found('another content', "revision $row->{revision} of $row->{instance} is as $row->{source_revision}, and "
		. "the tag has $told->{revision}", $call) if $told && ($told->{revision} // 0) != $row->{source_revision};
	return;
}

# The source of a revision, which must have been what its instance desired while the call was under way.
sub check_source {
	my ($self, $row, $call) = @_;
	my ($project, undef, $component) = instance_parts($row->{instance});
	my $name = "$project-$row->{source_environment}-$component";
	my $source = $self->revision_of->{"$name $row->{source_revision}"};
	return $source if $source && ($call->{args}{src} // '') =~ /@/;
	return $self->found('another content', "the source of revision $row->{revision} of $row->{instance} is not there",
		$call) if !$source;
	my $made = $self->maker_of($name, $row->{source_revision});
	my $next = $self->maker_of($name, $row->{source_revision} + 1);
	$self->found('promoted what was not committed', "revision $row->{source_revision} of $name", $made, $call)
	  if $made && $made->{transaction} != $call->{transaction} && earliest($made) > $call->{got};
	$self->found('promoted what was desired before', "revision $row->{source_revision} of $name", $next, $call)
	  if $next && $next->{transaction} != $call->{transaction} && latest($next) < $call->{sent};
	return $source;
}

# Who has expected a revision and got through has found it, and was alone.
sub expectations {
	my ($self) = @_;
	my %winner;
	for my $call (grep { defined $_->{args}{expected_revision} && $_->{rows} } $self->effective(qw(promote_instance
		configure_instance))) {
		my $row = $call->{rows}[0];
		my $expected = $call->{args}{expected_revision};
		next if !defined made_revision($call) || !grep { $_->{event} eq 'revision.created' } @{ $call->{events} };
		my $old = $row->{old_revision} // 0;
		$self->found('expected revision', "$row->{destination} was at $old, not $expected", $call) if $old != $expected;
		my $other = $winner{"$row->{destination} $expected"};
		$self->found('expected revision', "two have found $expected of $row->{destination}", $other, $call) if $other;
		$winner{"$row->{destination} $expected"} = $call;
	}
	return;
}

# A key has one result and one effect, whoever repeats it.
sub keys_once {
	my ($self) = @_;
	my %by_key;
	push @{ $by_key{"$_->{verb} " . ($_->{args}{dst} // $_->{args}{instance}) . " $_->{args}{idempotency_key}"} }, $_
	  for grep { defined $_->{args}{idempotency_key} && $_->{rows} } $self->effective(qw(promote_instance
	  	promote_to_next));
	for my $key (sort keys %by_key) {
		my ($first, @others) = @{ $by_key{$key} };
		for my $call (@others) {
			$self->found('one result per key', "$key with other arguments", $first,
				$call) if key_arguments($call) ne key_arguments($first);
			$self->found('one result per key', "$key has two results", $first, $call)
			  if $json->encode($call->{rows}) ne $json->encode($first->{rows});
		}
		my @made = grep { grep { $_->{event} eq 'revision.created' } @{ $_->{events} } } $first, @others;
		$self->found('one result per key', "$key has made two revisions", @made) if @made > 1;
	}
	return;
}

sub key_arguments {
	my ($call) = @_;
	return $json->encode({ map { $_ => $call->{args}{$_} }
		grep { $_ ne 'expected_revision' } keys %{ $call->{args} } });
}

# ---- deployments ----

my %from = (
	approved => ['PROPOSED'], rejected => ['PROPOSED'], started => [qw(PENDING APPROVED)],
		aborted => [qw(PENDING APPROVED RUNNING)],
	released => ['RUNNING'], lost => ['RUNNING'], completed => ['RUNNING'], failed => ['RUNNING']);
my %is_end = map { $_ => 1 } qw(COMPLETED FAILED ABORTED REJECTED);

# Follows the events of each instance: legal steps, one that runs, claims by number, in the order of the queue; and ends
# where the tables are.
sub steps {
	my ($self) = @_;
	my %deployments;
	$deployments{ $_->{instance} }{ $_->{deployment} } = $_ for @{ $self->{final}{deployment} };
	for my $instance (map { $_->{name} } @{ $self->{final}{instance} }) {
		my %at;
		$self->step($instance, \%at, $_) for
			grep { $_->{event} =~ /^deployment\./ } @{ $self->{of_subject}{$instance} };
		my $rows = $deployments{$instance} // {};
		for my $number (sort { $a <=> $b } keys %{ { %at, %$rows } }) {
			my ($said, $is) = map { $_ ? "$_->{status}, claim $_->{fencing}" : 'not there' } $at{$number},
				$rows->{$number};
			$self->found('steps', "deployment $number of $instance is $is, and by its events $said",
				map { $_->{call} } grep { $_ } $at{$number})
			  if $said ne $is;
		}
	}
	return;
}

sub step {
	my ($self, $instance, $at, $row) = @_;
	my ($event) = $row->{event} =~ /\.(.*)/;
	my $data = $row->{data};
	my $number = $data->{deployment};
	if ($event eq 'created' || $event eq 'proposed') {
		$self->found('steps', "deployment $number of $instance is made twice", $at->{$number}{call},
			$row->{call}) if $at->{$number};
		$at->{$number} = { status => $event eq 'created' ? 'PENDING' : 'PROPOSED', fencing => 0, queued => $row->{seq},
			call => $row->{call} };
		return;
	}
	my $of = $at->{$number} or return $self->found('steps',
		"deployment $number of $instance is $event and was never made", $row->{call});
	my @legal = grep { $_ eq $of->{status} } @{ $from{$event} // [] };
	$self->found('steps', "deployment $number of $instance is $event from $of->{status}", $of->{call},
		$row->{call}) if !@legal;
	$self->check_start($instance, $at, $row) if $event eq 'started';
	$self->found('steps', "deployment $number of $instance is $event by claim $data->{fencing}, the last being "
		. "$of->{fencing}", $of->{call}, $row->{call})
	  if $data->{fencing} != $of->{fencing} + ($event eq 'started' ? 1 : 0);
	@$of{qw(status fencing call)} = ($data->{status}, $data->{fencing}, $row->{call});
	$of->{queued} = $row->{seq} if $event eq 'approved';
	return;
}

sub check_start {
	my ($self, $instance, $at, $row) = @_;
	my $number = $row->{data}{deployment};
	for my $other (grep { $_ != $number } keys %$at) {
		my $of = $at->{$other};
		$self->found('two that run', "deployments $other and $number of $instance", $of->{call},
			$row->{call}) if $of->{status} eq 'RUNNING';
		$self->found('order of the queue', "deployment $number of $instance begins before $other", $of->{call},
			$row->{call})
		  if $of->{status} =~ /^(?:PENDING|APPROVED)$/ && $of->{queued} < $at->{$number}{queued};
	}
	return;
}

# What a call has claimed: instance, deployment, fencing, the action and the lease's end.
sub claimed {
	my ($call) = @_;
	return map { { call => $call, instance => $_->{instance} // $call->{args}{instance}, deployment => $_->{deployment},
			fencing => $_->{fencing}, action => $_->{action},
				until => microseconds($_->{lease_until} // $_->{due_at}) } }
	  grep { ref && defined $_->{deployment} } @{ $call->{rows} // [] };
}

# A time as jsonb writes it, in UTC.
sub microseconds {
	my ($text) = @_;
	my ($date, $fraction, $sign, $east) = $text =~ /^(\d+-\d+-\d+T\d+:\d+:\d+)(\.\d+)?([-+])(\d\d)/ or return $far;
	my ($year, $month, @rest) = split /[-T:]/, $date;
	my $seconds = timegm(reverse(@rest), $month - 1, $year) - "${sign}1" * $east * 3600;
	return $seconds * 1_000_000 + sprintf '%.0f', ($fraction // 0) * 1_000_000;
}

# The claims by what the workers were told, each with how long it has held for certain, and how long it may have.
sub all_claims {
	my ($self) = @_;
	return $self->{claims} //= do {
		my %end;
		push @{ $end{"$_->{args}{instance} $_->{args}{deployment}"} }, $_
		  for grep { defined $_->{args}{deployment} } $self->possible(qw(heartbeat_deployment complete_deployment
		  	fail_deployment release_deployment abort_deployment));
		my @claims = map { claimed($_) } $self->effective('claim_deployment', 'hist.begin');
		for my $claim (@claims) {
			my ($certain, $perhaps) = ($claim->{until}) x 2;
			for my $call (@{ $end{"$claim->{instance} $claim->{deployment}"} // [] }) {
				next if defined $call->{args}{fencing} && $call->{args}{fencing} != $claim->{fencing}
					|| latest($call) < $claim->{call}{sent};
				my $until = $call->{verb} ne 'heartbeat_deployment' ? earliest($call) : $call->{rows}
					? microseconds($call->{rows}[0]{due_at}) : $far;
				$certain = $until if $until < $certain;
				$perhaps = $until if $until > $perhaps && $call->{verb} eq 'heartbeat_deployment';
			}
			@$claim{qw(certain perhaps)} = ($certain, $perhaps);
		}
		\@claims;
	};
}

# By the workers' own account: one claim at a time, with numbers that grow.
sub claims {
	my ($self) = @_;
	my (%of, %number);
	push @{ $of{ $_->{instance} } }, $_ for @{ $self->all_claims };
	for my $instance (sort keys %of) {
		my @claims = sort { latest($a->{call}) <=> latest($b->{call}) } @{ $of{$instance} };
		for my $i (0 .. $#claims) {
			my $claim = $claims[$i];
			for my $other (grep { latest($_->{call}) < $claim->{certain} } @claims[$i + 1 .. $#claims]) {
				next if $other->{certain} <= latest($other->{call});
				$self->found('two that run', "deployments $claim->{deployment} and $other->{deployment} of $instance",
					$claim->{call}, $other->{call});
			}
			my $key = "$instance $claim->{deployment}";
			$self->found('fencing', "claim $claim->{fencing} of deployment $key comes after claim "
				. "$number{$key}{fencing}", $number{$key}{call}, $claim->{call})
			  if $number{$key} && $number{$key}{fencing} >= $claim->{fencing}
			  	&& latest($number{$key}{call}) < $claim->{call}{sent};
			$number{$key} = $claim;
		}
	}
	return;
}

# Nobody ends work under a claim that another one has taken over, or whose lease is over.
sub ends {
	my ($self) = @_;
	my %claims;
	push @{ $claims{"$_->{instance} $_->{deployment}"} }, $_ for @{ $self->all_claims };
	for my $call ($self->effective(qw(complete_deployment fail_deployment release_deployment heartbeat_deployment
		append_deployment_log record_plan))) {
		my $args = $call->{args};
		my @claims = @{ $claims{"$args->{instance} $args->{deployment}"} // [] };
		my ($own) = grep { $_->{fencing} == $args->{fencing} } @claims;
		my $ends = $call->{verb} =~ /^(?:complete|fail|release)_/;
		next if $ends && !grep { $_->{event} =~ /^deployment\.(?:completed|failed|released)$/ } @{ $call->{events} };
		$self->found('old fencing',
			"claim $args->{fencing} of deployment $args->{deployment} of $args->{instance} was taken over", $call,
			$_->{call})
		  for grep { $_->{fencing} > $args->{fencing} && latest($_->{call}) < $call->{sent} } @claims;
		$self->found('lease over', "claim $args->{fencing} of deployment $args->{deployment} of $args->{instance}",
			$own->{call}, $call)
		  if $own && $own->{perhaps} < $call->{sent};
		$self->found('old fencing',
			"nobody has claim $args->{fencing} of deployment $args->{deployment} of $args->{instance}", $call)
		  if !$own && !grep { $_->{transaction}{outcome} eq 'unknown'
		  	|| $_->{state} eq 'lost' } $self->possible('claim_deployment', 'hist.begin');
	}
	return;
}

# Answers about deployments are neither behind what was committed nor ahead of it.
sub answers {
	my ($self) = @_;
	my %end;
	for my $row (map { @{ $self->{of_event}{"deployment.$_"} // [] } } qw(completed failed aborted rejected)) {
		$end{"$row->{subject} $row->{data}{deployment}"} = $row;
	}
	for my $call ($self->effective(qw(plan_instance deploy_instance decommission_instance propose_deployment),
		qw(approve_deployment reject_deployment abort_deployment))) {
		my $told = ($call->{rows} // [])->[0];
		next if !$told || !defined $told->{status};
		my $key = deployment_instance($told) . " $told->{deployment}";
		my $end = $end{$key};
		my $by = $end && $end->{call} && $end->{call}{transaction} != $call->{transaction} ? $end->{call} : undef;
		$self->found('old answer', "$call->{verb} says $told->{status} of deployment $key, which was over", $by, $call)
		  if $by && latest($by) < $call->{sent} && !$is_end{ $told->{status} };
		$self->found('answer from the future', "$call->{verb} says $told->{status} of deployment $key", $by, $call)
		  if $is_end{ $told->{status} } && (!$end || $by && earliest($by) > $call->{got});
	}
	return;
}

# ---- environments ----

# What ends the queues of an environment leaves alone what runs, and nothing that waited.
sub aborts {
	my ($self) = @_;
	for my $call ($self->effective('abort_environment')) {
		my $components = $call->{args}{components};
		my @names = grep { my ($project, $environment, $component) = instance_parts($_);
			"$project-$environment" eq $call->{args}{environment}
				&& (!$components || grep { $_ eq $component } @$components) }
			map { $_->{name} } @{ $self->{final}{instance} };
		$self->check_aborts($call, $_) for @names;
	}
	return;
}

sub check_aborts {
	my ($self, $call, $name) = @_;
	my %last;
	for my $row (grep { $_->{event} =~ /^deployment\./ } @{ $self->{of_subject}{$name} // [] }) {
		my $key = "deployment $row->{data}{deployment} of $name";
		my $before = $last{$key};
		my $by = $row->{call} && ($row->{call}{whole} // $row->{call});
		$self->found('aborted what runs', $key, $before->{call}, $call)
		  if $by && $by == $call && $before && $before->{status} eq 'RUNNING';
		$self->found('left waiting', $key, $before->{call}, $call)
		  if $before && was_waiting($before, $call) && $row->{call} && earliest($row->{call}) > latest($call);
		$last{$key} = { status => $row->{data}{status} // ($row->{event} eq 'deployment.created' ? 'PENDING'
			: ''), call => $row->{call} };
	}
	$self->found('left waiting', $_, $last{$_}{call}, $call) for grep { was_waiting($last{$_}, $call) } sort keys %last;
	return;
}

# Did a deployment wait for certain when a call was sent?
sub was_waiting {
	my ($at, $call) = @_;
	return $at->{status} =~ /^(?:PENDING|APPROVED)$/ && (!$at->{call} || latest($at->{call}) < $call->{sent});
}

# What is archived has nothing open, and nothing is done with it until it is opened again; a name is there once.
sub generations {
	my ($self) = @_;
	for my $name (map { $_->{name} } @{ $self->{final}{instance} }) {
		my ($archived, %open);
		for my $row (@{ $self->{of_subject}{$name} // [] }) {
			$self->found('done with what is archived', "$row->{event} of $name", $archived->{call}, $row->{call})
			  if $archived && $row->{event} ne 'instance.opened';
			$archived = $row->{event} eq 'instance.archived' ? $row : undef;
			$open{ $row->{data}{deployment} } = $row if $row->{event} =~ /^deployment\./;
			next if !$archived;
			$self->found('archived, and open', "deployment $_->{data}{deployment} of $name", $_->{call}, $row->{call})
			  for grep { !$is_end{ $_->{data}{status} // '' } } values %open;
		}
	}
	my %forks;
	push @{ $forks{ $_->{args}{new_environment} } }, $_ for $self->effective('fork_environment');
	for my $name (sort keys %forks) {
		my @archived = grep { $_->{args}{environment} eq $name } $self->possible('archive_environment');
		$self->found('there twice', $name, @{ $forks{$name} }, @archived) if @{ $forks{$name} } > @archived + 1;
	}
	return;
}

# A tag tells of one moment: nothing that it has came after something that it has not.
sub tags {
	my ($self) = @_;
	for my $call (grep { $_->{rows} } $self->effective('tag_environment')) {
		my (@there, @after);
		for my $row (grep { defined $_->{desired} } @{ $call->{rows} }) {
			my $name = "$call->{args}{environment}-$row->{component}";
			push @there, grep { $_ } $self->maker_of($name, $row->{desired});
			push @after, grep { $_ } $self->maker_of($name, $row->{desired} + 1);
		}
		@$_ = grep { $_->{transaction} != $call->{transaction} } @$_ for \@there, \@after;
		for my $there (@there) {
			$self->found('tagged what was not committed', $call->{args}{tag}, $there, $call)
			  if earliest($there) > $call->{got};
			$self->found('a tag of two moments', $call->{args}{tag}, $_, $there, $call)
			  for grep { latest($_) < earliest($there) } @after;
		}
		$self->found('tagged what was desired before', $call->{args}{tag}, $_, $call)
		  for grep { latest($_) < $call->{transaction}{begun} } @after;
	}
	return;
}

# ---- rules ----

# When what calls have made was in force for certain: [from, until, calls], by what takes it back.
sub in_force {
	my ($made, @lifts) = @_;
	my ($until, $by) = ($far);
	for my $lift (grep { latest($_) > $made->{sent} } @lifts) {
		($until, $by) = (earliest($lift), $lift) if earliest($lift) < $until;
	}
	return { from => latest($made), until => $until, made => $made, calls => [$made, $by] };
}

# Switched on and off by the same verb, for the same arguments.
sub switched {
	my ($self, $verb, $value, %args) = @_;
	my $about = sub { my ($call) = @_; return !grep { ($call->{args}{$_} // '') ne $args{$_} } keys %args };
	my @off = grep { $_->{args}{$value} eq 'f' && $about->($_) } $self->possible($verb);
	return map { in_force($_, @off) } grep { $_->{args}{$value} eq 't' && $about->($_) } $self->effective($verb);
}

sub is_within { my ($rule, $transaction) = @_; return $rule->{from} < $transaction->{commit_sent}
	&& $rule->{until} > $transaction->{ended} }

# What was begun by whom: PROVISIONs and DECOMMISSIONs that were queued or claimed.
sub begun {
	my ($self) = @_;
	return @{ $self->{begun} //= do {
		my %rows = map { ("$_->{instance} $_->{deployment}" => $_) } @{ $self->{final}{deployment} };
		my @begun;
		for my $row (grep { $_->{call} } map { @{ $self->{of_event}{"deployment.$_"} // [] } } qw(created approved
			started)) {
			my $deployment = $rows{"$row->{subject} $row->{data}{deployment}"} or next;
			next if $deployment->{action} eq 'PLAN';
			my ($project, $environment) = instance_parts($row->{subject});
			push @begun, { %$deployment, project => $project, environment => $environment, call => $row->{call},
				event => $row,
				how => $row->{event} eq 'deployment.started' ? 'claimed' : 'queued' };
		}
		\@begun;
	} };
}

sub begun_text { my ($begun) = @_; return "$begun->{action} $begun->{deployment} of $begun->{instance}" }

# What was begun under rules: what each is about, and what lifts it.
sub rules {
	my ($self) = @_;
	$self->stops;
	$self->freezes;
	$self->releases;
	$self->protection;
	$self->health;
	return;
}

# What was begun while the rule was in force, though it is about it.  It may have come between the call and its COMMIT.
sub check_rule {
	my ($self, $what, $rule, $is_about) = @_;
	for my $begun (grep { is_within($rule, $_->{call}{transaction}) && $is_about->($_) } $self->begun) {
		my $when = $rule->{from} < $begun->{call}{sent} ? '' : ', which came between the call and its COMMIT';
		$self->found("$begun->{how} under a $what$when", begun_text($begun), @{ $rule->{calls} }, $begun->{call});
	}
	return;
}

sub is_scope {
	my ($args, $begun) = @_;
	return !grep { defined $args->{$_} && $args->{$_} ne $begun->{$_} } qw(project environment);
}

sub stops {
	my ($self) = @_;
	for my $made (grep { $_->{rows} && $_->{rows}[0]{reason} eq $_->{args}{reason} } $self->effective('stop_line')) {
		my @lifts = grep { !$_->{rows}
			|| ($_->{rows}[0]{stop} // 0) == $made->{rows}[0]{stop} } $self->possible('resume_line');
		$self->check_rule('stop', in_force($made, @lifts), sub { is_scope($made->{args}, $_[0]) });
	}
	return;
}

sub freezes {
	my ($self) = @_;
	for my $made ($self->effective('hist.freeze')) {
		my @lifts = grep { $_->{args}{name} eq $made->{args}{name} } $self->possible('hist.thaw');
		$self->check_rule('freeze', in_force($made, @lifts),
			sub { is_scope($made->{args}, $_[0]) && !$self->may_be_overridden($_[0], 'freeze', earliest($made)) });
	}
	return;
}

# May somebody have overridden a gate of what was begun, for a reason that may have stood since some moment?
sub may_be_overridden {
	my ($self, $begun, $code, $since) = @_;
	my @overrides = grep { $_->{args}{instance} eq $begun->{instance}
		&& $_->{args}{code} eq $code } $self->possible('override_gate');
	return grep { latest($_) > $since && earliest($_) <= latest($begun->{call}) } @overrides;
}

sub releases {
	my ($self) = @_;
	for my $made ($self->effective('block_release')) {
		my $rule = in_force($made,
			grep { $_->{args}{version} eq $made->{args}{version} } $self->possible('unblock_release'));
		$self->check_rule('blocked release', $rule,
			sub { $_[0]{action} eq 'PROVISION' && $_[0]{version} eq $made->{args}{version} });
		for my $row (grep { $_->{version} eq $made->{args}{version}
			&& $_->{origin} =~ /^(?:promotion|rollback|fork)$/ } @{ $self->{final}{revision} }) {
			my $call = $self->maker_of(@$row{qw(instance revision)}) or next;
			$self->found('staged by a blocked release', "revision $row->{revision} of $row->{instance}",
				@{ $rule->{calls} }, $call)
			  if is_within($rule, $call->{transaction});
		}
	}
	return;
}

sub protection {
	my ($self) = @_;
	for my $rule ($self->settings('decommission_protection')) {
		$self->check_rule('protection', $rule, sub { $_[0]{action} eq 'DECOMMISSION' && is_scope($rule->{made}{args},
			$_[0]) });
	}
	return;
}

# A column of environments.
sub settings {
	my ($self, $column) = @_;
	return map { $self->switched('hist.set', 'value', project => $_->[0], environment => $_->[1],
		what => $column) } $self->environments;
}

sub environments {
	my ($self) = @_;
	my %seen;
	return grep { !$seen{"@$_"}++ } map { [(instance_parts($_->{name}))[0, 1]] } @{ $self->{final}{instance} };
}

sub health {
	my ($self) = @_;
	for my $required (map { $self->switched('hist.require_check', 'required', project => $_->[0],
		environment => $_->[1]) } $self->environments) {
		for my $instance (map { $_->{name} } @{ $self->{final}{instance} }) {
			for my $sick (unhealthy($self, $instance)) {
				$self->check_rule('red light', $sick, sub {
					my ($begun) = @_;
					return $begun->{how} eq 'queued' && $begun->{action} eq 'PROVISION'
						&& $begun->{instance} eq $instance
					  && is_scope($required->{made}{args}, $begun) && is_within($required, $begun->{call}{transaction})
					  	&& !$self->may_be_overridden($begun, 'health', 0);
				});
			}
		}
	}
	return;
}

sub unhealthy {
	my ($self, $instance) = @_;
	return @{ $self->{unhealthy}{$instance} //= do {
		my @green = grep { $_->{args}{instance} eq $instance
			&& $_->{args}{healthy} eq 't' } $self->possible('report_health');
		[map { in_force($_, @green) } grep { $_->{args}{instance} eq $instance
			&& $_->{args}{healthy} eq 'f' } $self->effective('report_health')];
	} };
}

# ---- approvals ----

# Nothing is queued that fewer persons may have approved than a rule asks for, or that was rejected.
sub approvals {
	my ($self) = @_;
	my @separated = $self->settings('separation_of_duty');
	for my $begun (grep { $_->{how} eq 'queued' } $self->begun) {
		my $transaction = $begun->{call}{transaction};
		my ($separated) = grep { is_within($_, $transaction) && is_scope($_->{made}{args}, $begun) } @separated;
		for my $made (grep { is_scope($_->{args}, $begun) } $self->effective('hist.ask')) {
			my $rule = $self->asked($made);
			next if !is_within($rule, $transaction) || $self->may_be_overridden($begun, 'approval', earliest($made));
			my %voters = $self->voters($begun, $separated || $made->{args}{counts} eq 'f');
			$self->found('queued without approval',
				begun_text($begun) . ": rule $made->{args}{rule} asks for $made->{args}{quorum}, and there may be "
				  . keys(%voters), @{ $rule->{calls} }, $separated ? @{ $separated->{calls} } : (), values %voters,
				  	$begun->{call}) if keys %voters < $made->{args}{quorum};
		}
		$self->found('approved one\'s own', begun_text($begun), @{ $separated->{calls} }, $begun->{call})
		  if $separated && $begun->{event}{event} eq 'deployment.approved' && $begun->{event}{actor} eq $begun->{actor};
		$self->rejection($begun);
	}
	return;
}

# When a rule has asked for approvals.
sub asked {
	my ($self, $made) = @_;
	return in_force($made, grep { $_->{args}{rule} eq $made->{args}{rule} } $self->possible('hist.unask'));
}

# The persons who may have approved by then, and whose vote may count.
sub voters {
	my ($self, $begun, $without_requesters) = @_;
	my %requester;
	if ($without_requesters) {
		# whoever made what is taken away has not asked for that
		my $revision = $begun->{action} eq 'PROVISION' && $self->revision_of->{"$begun->{instance} $begun->{revision}"};
		my ($plan) = grep { $_->{instance} eq $begun->{instance} && $_->{deployment} == ($begun->{plan}
			// 0) } @{ $self->{final}{deployment} };
		$requester{ $_->{actor} } = 1 for grep { $_ } $revision, $plan, $begun->{event}{event} eq 'deployment.approved'
			? $begun : ();
	}
	my %voters;
	for my $vote (grep { $_->{args}{instance} eq $begun->{instance}
		&& earliest($_) <= latest($begun->{call}) } $self->possible('approve_deployment')) {
		my $session = $vote->{transaction}{session};
		next if !is_reviewer($session) || $requester{ person($session) };
		next if $vote->{rows} && ($vote->{rows}[0]{plan_digest} // '') ne ($begun->{plan_digest} // '');
		$voters{ person($session) } = $vote;
	}
	return %voters;
}

sub rejection {
	my ($self, $begun) = @_;
	my $transaction = $begun->{call}{transaction};
	my $is_of = sub { my ($call) = @_; return $call->{args}{instance} eq $begun->{instance} && $call->{rows}
		&& $call->{rows}[0]{action} eq 'PLAN'
		  && ($call->{rows}[0]{plan_digest} // '') eq ($begun->{plan_digest} // '')
		  	&& $call->{rows}[0]{version} eq $begun->{version} };
	for my $no (grep { $is_of->($_) } $self->effective('reject_deployment')) {
		my @yes = grep { $_->{transaction}{session} == $no->{transaction}{session}
			&& $_->{args}{instance} eq $begun->{instance} }
		  $self->possible('approve_deployment');
		my $rejected = in_force($no, @yes);
		# it holds under the rules that asked for this person, as long as these do
		my %under = map { $_->{data}{rule} => 1 } grep { $_->{event} eq 'approval.refused' } @{ $no->{events} };
		my ($rule) = grep { is_within($_, $transaction) } map { $self->asked($_) }
			grep { $under{ $_->{args}{rule} } } $self->effective('hist.ask');
		$self->found('queued in spite of a rejection', begun_text($begun), @{ $rejected->{calls} }, @{ $rule->{calls} },
			$begun->{call})
		  if $rule && is_within($rejected, $transaction);
	}
	return;
}

# ---- budgets ----

# While a change window is the only one in its scope, no more are queued than it has places for.
sub budgets {
	my ($self) = @_;
	for my $made ($self->effective('hist.open_window')) {
		my $args = $made->{args};
		my $window = in_force($made, grep { $_->{args}{name} eq $args->{name} } $self->possible('hist.close_window'));
		my @others = grep { $_ != $made && is_scope($_->{args}, $args) } $self->possible('hist.open_window');
		my @queued = grep { $_->{how} eq 'queued' && is_scope($args, $_) && is_within($window, $_->{call}{transaction})
			&& !$self->gave_back($_)
			  && !$self->may_be_overridden($_, 'budget', earliest($made)) } $self->begun;
		for my $other (@others) {
			my @closed = grep { $_->{args}{name} eq $other->{args}{name} } $self->effective('hist.close_window');
			my $until = @closed && $closed[0]{rows} && defined $closed[0]{rows}[0] ? latest($closed[0]) : $far;
			@queued = grep { latest($_->{call}) < $other->{transaction}{begun} || $_->{call}{sent} > $until } @queued;
		}
		$self->found('budget', "window $args->{name} has $args->{most} places, and " . @queued . ' are queued',
			@{ $window->{calls} }, map { $_->{call} } @queued)
		  if @queued > $args->{most};
	}
	return;
}

# Was it aborted before anybody began it?
sub gave_back {
	my ($self, $begun) = @_;
	my $key = "$begun->{instance} $begun->{deployment}";
	return $begun->{status} eq 'ABORTED' && $begun->{fencing} == 0;
}

# ---- requests ----

# Who is not of an open request does not deploy what it holds.
sub requests {
	my ($self) = @_;
	my %skipped = map { ("$_->{project} $_->{request} $_->{instance}" => $_->{status} eq 'SKIPPED') } @{
		$self->{final}{item} };
	for my $made (grep { $_->{rows} } $self->effective('open_request')) {
		my ($project, $request) = @{ $made->{rows}[0] }{qw(project request)};
		my $is_of = sub { my ($args) = $_[0]{args}; return ($args->{project} // '') eq $project
			&& ($args->{request} // 0) == $request };
		my $open = in_force($made,
			grep { $is_of->($_) && (!$_->{rows} || is_over($_)) } $self->possible(qw(cancel_request advance_request)));
		for my $begun (grep { $_->{how} eq 'queued' && is_within($open, $_->{call}{transaction})
			&& !$is_of->($_->{call}) } $self->begun) {
			my $skipped = $skipped{"$project $request $begun->{instance}"} // next;
			my $maker = $self->maker_of(@$begun{qw(instance revision)});
			# the request may have taken for its own what was desired already when it was advanced
			my $is_before = sub { return $_[0]{transaction} == $begun->{call}{transaction}
				? $_[0]{sent} < $begun->{call}{sent} : earliest($_[0]) <= $begun->{call}{got} };
			my @advances = grep { $is_of->($_) && $is_before->($_) && (!$maker || latest($_) >= $maker->{sent}) }
			  $self->possible(qw(advance_request resume_request));
			next if $skipped || @advances && $begun->{action} eq 'PROVISION';
			$self->found('queued against a request', begun_text($begun), @{ $open->{calls} }, $begun->{call});
		}
	}
	return;
}

# Did the call leave its request at an end?
sub is_over { my ($call) = @_; return $call->{rows}[0]{status} =~ /^(?:COMPLETED|SKIPPED|ROLLED_BACK|CANCELLED)$/ }

# ---- refusals ----

# What is refused for a reason has had that reason, perhaps.
sub refusals {
	my ($self) = @_;
	for my $call (grep { $_->{state} =~ /^PM/ } @{ $self->{calls} }) {
		my $args = $call->{args};
		next if $one{ $call->{verb} };
		my $has = $call->{state} eq 'PM401' ? $self->may_have_moved($call)
		  : $call->{state} eq 'PM510' ? $self->may_stand($call, [$self->calls('block_release')],
		  	[$self->effective('unblock_release')])
		  : $call->{state} eq 'PM505' ? $self->may_be_set($call, 'decommission_protection')
		  : $call->{state} eq 'PM608' ? $self->may_be_held($call) : 1;
		$self->found('refused without a reason', "$call->{verb}: $call->{state} $call->{message}", $call,
			$has ? () : @{ $self->{lifted} // [] })
		  if !$has;
	}
	return;
}

# May one of what was made have stood at some moment of the call?  Its own transaction's may have been undone since.
sub may_stand {
	my ($self, $call, $made, $lifts) = @_;
	$self->{lifted} = [];
	for my $rule (@$made) {
		my $own = $rule->{transaction} == $call->{transaction};
		next if defined $rule->{args}{version} && $call->{message} =~ /release (\S+)/ && $1 ne $rule->{args}{version};
		next if $rule->{state} !~ /^(?:00000|lost)$/ || !$own && !may_have($rule)
			|| ($own ? $rule->{sent} : earliest($rule)) > $call->{got};
		my ($lift) = grep { ($_->{args}{version} // '') eq ($rule->{args}{version} // '') && $_->{sent} > latest($rule)
			  && latest($_) < $call->{sent} } @$lifts;
		return 1 if !$lift;
		push @{ $self->{lifted} }, $rule, $lift;
	}
	return 0;
}

sub may_be_set {
	my ($self, $call, $column) = @_;
	my ($project, $environment) = defined $call->{args}{instance} ? instance_parts($call->{args}{instance})
	  : $call->{args}{environment} =~ /^([^-]+)-(.+)$/;
	my @all = grep { $_->{args}{what} eq $column && is_scope($_->{args},
		{ project => $project, environment => $environment }) } $self->calls('hist.set');
	# a fork may have it from its source
	my @copies = grep { $_->{args}{copy_rules} eq 't' && $_->{args}{new_environment} eq "$project-$environment" }
	  $self->possible('fork_environment');
	return $self->may_stand($call, [@copies, grep { $_->{args}{value} eq 't' } @all],
		[grep { $_->{args}{value} eq 'f' && took_effect($_) } @all]);
}

# May another request be open?  One that was ended for certain is not.
sub may_be_held {
	my ($self, $call) = @_;
	for my $open (grep { $_->{args}{project} eq $call->{args}{project} } $self->calls('open_request')) {
		my $number = $open->{rows} && $open->{rows}[0]{request};
		my @ends = grep { $number && $_->{args}{project} eq $open->{args}{project} && $_->{args}{request} == $number
			&& is_over($_) }
		  grep { $_->{rows} } $self->effective(qw(cancel_request advance_request));
		return 1 if $self->may_stand($call, [$open], \@ends);
	}
	return 0;
}

# May the instance have been at another revision than was expected?
sub may_have_moved {
	my ($self, $call) = @_;
	my $args = $call->{args};
	my $instance = $args->{dst} // $args->{instance};
	# its own transaction may have moved it, and have undone that since
	return 1 if @{ $call->{transaction}{calls} } > 1;
	my ($expected, $next) = map { $self->maker_of($instance, $_) } $args->{expected_revision},
		$args->{expected_revision} + 1;
	return 1 if !$self->revision_of->{"$instance $args->{expected_revision}"};
	return 1 if $expected && latest($expected) > $call->{sent};
	return 1 if $next && earliest($next) < $call->{got};
	# where its environment was archived and opened again since, it begins anew
	my $environment = $instance =~ s/-[^-]+$//r;
	return 1 if grep { $_->{args}{environment} eq $environment && earliest($_) < $call->{got}
		&& (!$expected || latest($_) > earliest($expected)) } $self->possible('archive_environment');
	$self->{lifted} = [$expected, $next];
	return 0;
}

1;
