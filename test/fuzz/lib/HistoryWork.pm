package HistoryWork;

# Sessions that work on one small installation at once, at random, and write down all that they ask and are told.
#
#   HistoryWork::prepare();                                  # a new extension in the database of the PG* variables
#   my $history = HistoryWork::record(seconds => 10, seed => 7, storms => ['cancel']);
#   my $history = HistoryWork::record(seconds => 10, seed => 7, alone => 1);    # each call a transaction of its own
#   my $history = HistoryWork::record(seed => 8, after => $history, disturb => sub { ... });    # until that returns
#   my $history = HistoryWork::finished(@transactions);      # of transactions that were recorded by other means
#
# A history is what HistoryCheck takes:
#
#   { seed, began, transactions => [...], final => { table => rows, ... } }
#   transaction: { session, level, begun, commit_sent, ended, outcome, calls => [...] }, where outcome is committed,
#                rolled back, or unknown, since the session was lost meanwhile
#   call:        { verb, args, sent, got, state, message, rows, undone }, where state is an SQLSTATE, or "lost", and
#                undone
#                says that it was rolled back to a savepoint
#
# Times are microseconds of the machine's clock, before something was sent and after the answer came.  Every session has
# a login of its own, so that the audit log says whose an event is.

use strict;
use warnings;
use Exporter qw(import);
use File::Temp ();
use JSON::PP ();
use POSIX ();
use Time::HiRes qw(gettimeofday sleep);
use FuzzSession;

our @EXPORT_OK = qw(PROJECTS SESSIONS INSTANCES person is_reviewer instance_parts);

use constant SESSIONS => 8;
use constant PROJECTS => qw(shop depot);    # those that are there from the beginning to the end
use constant INSTANCES => (map({ ("shop-staging-$_", "shop-production-$_") } qw(a b c d e)), 'depot-staging-a',
	'depot-production-a');
use constant REVIEWERS => 5;    # the first so many sessions
use constant TRIES => 4;        # of a transaction that is told to try again
use constant STALE => 4;        # claims that are over and remembered nevertheless

my $json = JSON::PP->new->utf8(0)->canonical->allow_nonref;

sub person { my ($session) = @_; return "history_$session" }
sub is_reviewer { my ($session) = @_; return $session <= REVIEWERS }
sub instance_parts { my ($name) = @_; return $name =~ /^([^-]+)-(.+)-([^-]+)$/ }

sub now {
	my ($seconds, $microseconds) = gettimeofday();
	return $seconds * 1_000_000 + $microseconds;
}

sub pick { return $_[rand @_] }

# Some of a list, in any order, at least one.
sub some { my %left = map { $_ => rand } @_;
	return (sort { $left{$a} <=> $left{$b} } keys %left)[0 .. rand @_] }
sub chance { return rand() < $_[0] }

# One of a list of weight => choice.
sub weighted {
	my @choices = @_;
	my $sum = 0;
	$sum += $choices[2 * $_] for 0 .. @choices / 2 - 1;
	my $at = rand $sum;
	while (@choices) {
		my ($weight, $choice) = splice @choices, 0, 2;
		return $choice if ($at -= $weight) < 0;
	}
	return undef;
}

# ---- a session ----

sub new {
	my ($class, $number, $seed, %how) = @_;
	srand $seed * 100 + $number;
	return bless { number => $number, count => 0, claims => [], stale => [], began => now(), %how }, $class;
}

# Connects, again where the server is just recovering; dies if it does not.
sub connect_session {
	my ($self) = @_;
	for (1 .. 600) {
		my $psql = $self->{psql} = FuzzSession->new('-v', 'ON_ERROR_STOP=0', '-U', person($self->{number}));
		$psql->send("SET application_name = 'history';\nSET client_min_messages = error;\nSET statement_timeout = "
			. "'60s';\n");
		return if $psql->answer;
		$psql->end;
		sleep 0.1;
	}
	die "cannot connect any more\n";
}

# Sends one statement and returns its SQLSTATE, its message and the lines of its result; "lost" if the session was.
sub ask {
	my ($self, $sql) = @_;
	$self->connect_session if !$self->{psql};
	$self->{psql}->send("$sql;\n\\echo @@ :SQLSTATE :LAST_ERROR_MESSAGE\n");
	my $lines = $self->{psql}->answer;
	if (!$lines || !@$lines || pop(@$lines) !~ /^@@ (\w{5}) ?(.*)/s) {
		(delete $self->{psql})->end;
		return 'lost';
	}
	return ($1, $2, @$lines);
}

# A value as SQL: of a list an array, of an object jsonb.
sub literal {
	my ($value) = @_;
	my $text = ref $value eq 'ARRAY' ? '{' . join(',', map { defined ? '"' . s/(["\\])/\\$1/gr . '"' : 'NULL' } @$value)
		. '}' : ref $value ? $json->encode($value) : $value;
	return "'" . $text =~ s/'/''/gr . "'";
}

# A call as SQL, by named arguments.
sub statement {
	my ($call) = @_;
	my ($verb, $args) = @$call{qw(verb args)};
	my @named = map { "$_ => " . literal($args->{$_}) . ($_ eq 'observed' ? '::jsonb' : '') } sort keys %$args;
	return 'SELECT to_jsonb(r) FROM ' . ($verb =~ /\./ ? '' : 'promote.') . "$verb(" . join(', ', @named) . ') AS r';
}

# Makes the call, and writes down what came of it.
sub make_call {
	my ($self, $call) = @_;
	my %made = (verb => $call->{verb}, args => $call->{args}, sent => now());
	(@made{qw(state message)}, my @lines) = $self->ask(statement($call));
	$made{got} = now();
	delete $made{message} if $made{state} eq '00000';
	$made{rows} = [map { $json->decode($_ eq '' ? 'null' : $_) } @lines] if $made{state} eq '00000';
	return \%made;
}

# ---- transactions ----

sub is_retried { return $_[0] =~ /^(?:40001|40P01)$/ }

# A transaction of some calls, in one way or another; it is tried again as long as it is told to.
sub transact {
	my ($self, @calls) = @_;
	if ($self->{alone}) {
		my $transaction = $self->alone($calls[0]);
		$self->remember($transaction);
		return $transaction;
	}
	my $level = pick('READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE');
	my $bare = @calls == 1 && chance(0.4);
	my @done;
	for (1 .. TRIES) {
		my $transaction = $bare ? $self->alone($calls[0]) : $self->together($level, @calls);
		push @done, $transaction;
		$self->remember($transaction);
		last if !grep { is_retried($_) } $transaction->{commit_state} // '',
			map { $_->{state} } @{ $transaction->{calls} };
	}
	return @done;
}

# A call without BEGIN.
sub alone {
	my ($self, $call) = @_;
	my $made = $self->make_call($call);
	my %outcome = ('00000' => 'committed', lost => 'unknown');
	return { session => $self->{number}, level => 'READ COMMITTED', begun => $made->{sent},
		commit_sent => $made->{sent},
		ended => $made->{got}, outcome => $outcome{ $made->{state} } // 'rolled back', calls => [$made] };
}

sub together {
	my ($self, $level, @calls) = @_;
	my $transaction = { session => $self->{number}, level => $level, begun => now(), calls => [] };
	my ($state) = $self->ask("BEGIN ISOLATION LEVEL $level");
	# The snapshot of the higher levels is there before others go on.
	($state) = $self->ask('SELECT FROM hist.nothing') if $state eq '00000' && chance(0.5);
	sleep rand 0.05 if chance(0.3);
	for my $call (@calls) {
		last if $state ne '00000';
		$state = $self->call_within($transaction, $call);
		sleep rand 0.03 if chance(0.3);
	}
	return $self->end_transaction($transaction, $state);
}

# One call of a transaction, behind a savepoint or not.  Returns the SQLSTATE that ends the transaction, if it is one.
sub call_within {
	my ($self, $transaction, $call) = @_;
	my $savepoint = chance(0.5);
	my ($state) = $savepoint ? $self->ask('SAVEPOINT here') : '00000';
	return $state if $state ne '00000';
	my $made = $self->make_call($call);
	push @{ $transaction->{calls} }, $made;
	return $made->{state} if $made->{state} ne '00000' && (!$savepoint || is_retried($made->{state})
		|| $made->{state} eq 'lost');
	return '00000' if !$savepoint;
	$made->{undone} = $made->{state} ne '00000' || chance(0.15) ? 1 : 0;
	($state) = $self->ask($made->{undone} ? 'ROLLBACK TO here' : 'RELEASE here');
	return $state;
}

sub end_transaction {
	my ($self, $transaction, $state) = @_;
	my $committing = $state eq '00000' && !chance(0.1);
	$transaction->{commit_sent} = now();
	if ($state eq 'lost') {
		$transaction->{outcome} = 'rolled back';
	} else {
		my ($ending) = $self->ask($committing ? 'COMMIT' : 'ROLLBACK');
		$transaction->{commit_state} = $ending if $committing;
		$transaction->{outcome} = !$committing ? 'rolled back' : { '00000' => 'committed',
			lost => 'unknown' }->{$ending} // 'rolled back';
		# What could not even be rolled back, for it was canceled again, ends with the session.
		(delete $self->{psql})->end if $self->{psql} && $ending ne '00000' && !$committing;
	}
	$transaction->{ended} = now();
	return $transaction;
}

# Claims that are committed are worked on; and tried again when they are over.
sub remember {
	my ($self, $transaction) = @_;
	return if $transaction->{outcome} ne 'committed';
	for my $call (grep { $_->{state} eq '00000' && !$_->{undone} } @{ $transaction->{calls} }) {
		if ($call->{verb} eq 'claim_deployment' || $call->{verb} eq 'hist.begin') {
			for my $row (grep { $_->{deployment} } @{ $call->{rows} }) {
				my %claim = map { $_ => $row->{$_} } qw(deployment fencing action);
				push @{ $self->{claims} }, { %claim, instance => $row->{instance} // $call->{args}{instance} };
			}
		}
	}
	return;
}

# Sessions that write into that file have worked enough.
sub end_work {
	my ($path) = @_;
	open my $end, '>', "$path.end" or die "cannot write $path.end: $!\n";
	close $end;
	return;
}

# Works until the time is over, or that was said, and writes each transaction down as a line.
sub work {
	my ($self, $until, $path) = @_;
	open my $out, '>:utf8', $path or die "cannot write $path: $!\n";
	while (now() < $until && !unlink "$path.end") {
		my ($state, undef, $line) = $self->ask('SELECT hist.state()');
		next if $state ne '00000';
		my $known = $json->decode($line);
		my @calls = map { $self->choose($known) } 1 .. weighted(5, 1, 2, 2, 1, 3);
		print $out map { $json->encode($_) . "\n" } $self->transact(@calls);
	}
	$self->{psql}->end if $self->{psql};
	close $out or die "cannot write $path: $!\n";
	return;
}

# ---- what is asked ----

sub call { my ($verb, %args) = @_;
	return { verb => $verb, args => { map { $_ => $args{$_} } grep { defined $args{$_} } keys %args } } }

# A text that nobody else has used.
sub word {
	my ($self) = @_;
	return "s$self->{number}-" . ++$self->{count};
}

# One call, by what was known a moment ago.
sub choose {
	my ($self, $known) = @_;
	return $self->choose_work if @{ $self->{claims} } && chance(0.7);
	my @forked = grep { /-f\d-/ } keys %{ $known->{instances} };
	my $name = @forked && chance(0.15) ? pick(@forked) : pick(INSTANCES);
	my ($ready, $unplanned) = @$known{qw(ready unplanned)};
	my $production = pick(grep { /production/ } INSTANCES);
	my $instance = $known->{instances}{$name};
	my %plan = (instance => $production, deployment => $known->{instances}{$production}{plan} // 1);
	my $choice = weighted(
		8 => sub { $self->choose_configure($known, chance(0.7) ? $name =~ s/production/staging/r : $name) },
		7 => sub { $self->choose_promote($known, $production) },
		3 => sub { $self->choose_next($production) },
		3 => sub { call('rollback_instance', instance => $name, message => $self->word,
			chance(0.3) ? (to_revision => 1 + int rand $instance->{revision}) : ()) },
		(@$unplanned ? 9 : 1) => sub { call('plan_instance', instance => @$unplanned && chance(0.9) ? pick(@$unplanned)
			: $name, message => $self->word) },
		(@$ready ? 20 : 8) => sub { $self->choose_deploy($known, @$ready && chance(0.8) ? pick(@$ready) : $name) },
		3 => sub { call('propose_deployment', instance => $name, action => pick('PROVISION', 'PROVISION',
			'DECOMMISSION'), message => $self->word) },
		(@{ $known->{rules} } ? 16 : 3) => sub { $self->choose_vote($known) },
		3 => sub { $self->choose_abort($known, $name) },
		2 => sub { call('decommission_instance', instance => $name, message => $self->word) },
		28 => sub { call('claim_deployment', worker => $self->word, lease => pick('200 ms', ('1 s') x 5),
			chance(0.3) ? (max => 4) : ()) },
		4 => sub { $self->choose_begin($known) },
		(in_force($known) || @{ $known->{rules} } ? 4 : 1) => sub { call('override_gate', %plan,
			code => pick(qw(freeze approval budget health drift)), reason => $self->word) },
		1 => sub { call('review_override', %plan, code => 'freeze', review => $self->word) },
		4 + 8 * in_force($known) => sub { $self->choose_rule($known) },
		6 => sub { call('report_health', instance => $name, check_name => 'smoke', healthy => chance(0.7) ? 't'
			: 'f') },
		1 => sub { call('report_observed', instance => $name, observed => $json->encode({ size => int rand 4 }),
			source => 'eyes') },
		2 => sub { call('dismiss_drift', instance => $name, reason => $self->word) },
		1 => sub { call('adopt_drift', instance => $name, message => $self->word) },
		14 => sub { $self->choose_request($known) },
		10 => sub { $self->choose_set($known) },
		14 => sub { $self->choose_environment($known) },
		20 => sub { $self->choose_declaration });
	return $choice->();
}

# How many rules there are that keep people from working.
sub in_force {
	my ($known) = @_;
	return @{ $known->{stops} } + @{ $known->{freezes} } + @{ $known->{blocked} };
}

# The next thing to do with something that was claimed, or was once.
sub choose_work {
	my ($self) = @_;
	my ($claims, $stale) = @$self{qw(claims stale)};
	my $old = @$stale && chance(0.1);
	my $claim = $old ? pick(@$stale) : pick(@$claims);
	my %which = (instance => $claim->{instance}, deployment => $claim->{deployment}, fencing => $claim->{fencing});
	return call('heartbeat_deployment', %which, lease => pick('300 ms', '1 s')) if !$old && chance(0.12);
	return call('append_deployment_log', %which, message => 'at it') if !$old && chance(0.04);
	return call('record_plan', %which, plan => plan_document(int rand 2)) if $claim->{action} eq 'PLAN' && chance(0.15);
	return $self->choose_completion if @$claims > 1 && chance(0.3);
	if (!$old) {
		@$claims = grep { $_ != $claim } @$claims;
		return $self->choose_work if @$claims && chance(0.04);
		push @$stale, $claim;
		shift @$stale if @$stale > STALE;
	}
	return weighted(
		12 => call('complete_deployment', %which, message => $self->word),
		1 => call('fail_deployment', %which, reason => $self->word),
		1 => call('release_deployment', %which));
}

# Completes all that was claimed by one call.
sub choose_completion {
	my ($self) = @_;
	my @claims = splice @{ $self->{claims} };
	return call('complete_many', instances => [map { $_->{instance} } @claims],
		deployments => [map { $_->{deployment} } @claims], fencings => [map { $_->{fencing} } @claims],
		message => $self->word, partial => pick(qw(t f)));
}

sub plan_document {
	my ($variant) = @_;
	return
		qq({"format_version": "1.2", "terraform_version": "1.11.4", "applyable": true,
			"complete": true, "errored": false,
		"resource_changes": [], "resource_drift": [], "variables": {"n": {"value": $variant}}});
}

sub choose_configure {
	my ($self, $known, $name) = @_;
	my %patch = (size => int rand 92);
	$patch{own} = $self->word if chance(0.3);
	$patch{extra} = chance(0.5) ? undef : int rand 5 if chance(0.3);
	return call('configure_instance', instance => $name, patch => $json->encode(\%patch), message => $self->word,
		chance(0.15) ? (version_constraint => pick('1.0.0', '1.1.0', 'latest')) : (),
		chance(0.4) ? (expected_revision => $known->{instances}{$name}{revision}) : (), chance(0.9) ? (plan => 'f')
			: ());
}

sub choose_deploy {
	my ($self, $known, $name) = @_;
	return call('deploy_instance', instance => $name, message => $self->word,
		chance(0.3) ? (expected_revision => $known->{instances}{$name}{revision}) : ());
}

# The same key comes again and again for a while, mostly with the same arguments.
sub choose_promote {
	my ($self, $known, $production) = @_;
	my $source = $production =~ s/production/staging/r;
	my %args = (src => $source, dst => $production, plan => 'f',
		chance(0.3) ? (expected_revision => $known->{instances}{$production}{revision}) : ());
	if (chance(0.5)) {
		my $number = $self->key_number;
		my $size = $number % 80 + (chance(0.1) ? 1 : 0);
		return call('promote_instance', %args, idempotency_key => "k$number", message => "key k$number",
			overrides => qq({"size": $size}));
	}
	$args{plan} = 't' if chance(0.1);
	return call('promote_instance', %args, message => $self->word,
		chance(0.5) ? (overrides => $json->encode({ size => int rand 92 })) : ());
}

sub choose_next {
	my ($self, $production) = @_;
	my $source = $production =~ s/production/staging/r;
	return call('promote_to_next', instance => $source, message => $self->word, plan => chance(0.1) ? 't'
		: 'f') if chance(0.5);
	my $number = $self->key_number;
	return call('promote_to_next', instance => $source, plan => 'f', idempotency_key => "n$number",
		message => "key n$number");
}

# Moves on three times a second; older ones come again.
sub key_number {
	my ($self) = @_;
	my $number = int((now() - $self->{began}) * 3 / 1_000_000) - int rand(chance(0.8) ? 2 : 20);
	return $number < 0 ? 0 : $number;
}

# A vote on the last plan of an instance, or on a proposal.
sub choose_vote {
	my ($self, $known) = @_;
	my $name = pick(chance(0.8) ? grep({ /production/ } INSTANCES) : INSTANCES);
	my $instance = $known->{instances}{$name};
	my @proposals = map { $_->[0] } grep { $_->[1] eq 'PROPOSED' } @{ $instance->{live} };
	my $deployment = @proposals && chance(0.5) ? pick(@proposals) : $instance->{plan} // 1;
	return call('reject_deployment', instance => $name, deployment => $deployment,
		reason => $self->word) if chance(0.04);
	return call('approve_deployment', instance => $name, deployment => $deployment, message => $self->word);
}

sub choose_abort {
	my ($self, $known, $name) = @_;
	my $live = $known->{instances}{$name}{live};
	return call('abort_deployment', instance => $name, deployment => @$live ? pick(@$live)->[0] : 1,
		reason => $self->word);
}

# The owner's own UPDATE of something whose turn it is, which a worker that was held back comes to after half a minute
# only.
sub choose_begin {
	my ($self, $known) = @_;
	my %heads = map { my ($head) = grep { $_->[1] ne 'PROPOSED' } @{ $known->{instances}{$_}{live} };
		($_ => $head) } INSTANCES;
	my @names = grep { $heads{$_} && $heads{$_}[1] ne 'RUNNING' && $heads{$_}[2] ne 'PLAN' } INSTANCES;
	my $name = @names ? pick(@names) : pick(INSTANCES);
	return call('hist.begin', instance => $name, deployment => $heads{$name} ? $heads{$name}[0] : 1);
}

# Makes a rule, or takes back one that is known: most are soon taken back, for they stand in everybody's way.
sub choose_rule {
	my ($self, $known) = @_;
	my %scope = (project => pick('shop', 'shop', 'depot'), environment => pick('staging', 'production', 'production'));
	my @blocked = @{ $known->{blocked} };
	my @held = grep { $known->{environments}{$_}{decommission_protection} } sort keys %{ $known->{environments} };
	return weighted(
		1 => call('stop_line', reason => $self->word, chance(0.8) ? (project => $scope{project}) : ()),
		(@{ $known->{stops} } ? (8 => call('resume_line', do { my $project = pick(@{ $known->{stops} });
			$project ? (project => $project) : () })) : ()),
		2 => call('hist.freeze', name => $self->word, chance(0.9) ? (project => $scope{project},
			environment => $scope{environment}) : ()),
		(@{ $known->{freezes} } ? (8 => call('hist.thaw', name => pick(@{ $known->{freezes} }))) : ()),
		1 => call('block_release', bundle => 'service', version => pick('1.0.0', '1.1.0'), reason => $self->word),
		(@blocked ? 8 : 1) => call('unblock_release', bundle => 'service', version => @blocked ? pick(@blocked)
			: '1.1.0', message => $self->word),
		1 => call('hist.open_window', %scope, name => $self->word, most => 1 + int rand 4),
		(@{ $known->{windows} } ? (3 => call('hist.close_window', name => pick(@{ $known->{windows} }))) : ()),
		(@{ $known->{rules} } < 2 ? (1 => call('hist.ask', %scope, rule => $self->word, quorum => pick(1, 2, 2),
			counts => chance(0.5) ? 't' : 'f')) : ()),
		(@{ $known->{rules} } ? (1 => call('hist.unask', rule => pick(@{ $known->{rules} }))) : ()),
		1 => call('hist.require_check', %scope, required => chance(0.4) ? 't' : 'f'),
		1 => call('hist.set', %scope, what => 'decommission_protection', value => 't'),
		(map { my ($project, $environment) = split m{/};
			(4 => call('hist.set', project => $project, environment => $environment, what => 'decommission_protection',
			value => 'f')) }
			@held ? pick(@held) : ()),
		1 => call('hist.set', %scope, what => 'separation_of_duty', value => chance(0.4) ? 't' : 'f'),
		0.5 => call('hist.set', %scope, environment => 'staging', what => 'require_plan', value => chance(0.3) ? 't'
			: 'f'));
}

sub choose_request {
	my ($self, $known) = @_;
	my $project = pick('shop', 'shop', 'shop', 'depot');
	my @open = grep { $_->[0] eq $project } @{ $known->{requests} };
	my $request = @open ? pick(@open)->[1] : 1;
	my $scope = $project eq 'depot' ? '{}' : pick('{}', '{"components": ["a"]}', '{"components": ["b", "c"]}');
	return weighted(
		(@open > 1 ? 0.2 : 3) => call('open_request', project => $project, source_environment => 'staging',
			destination_environment => 'production',
			scope => $scope, strategy => pick('one_by_one', 'all_at_once'), rollback_mode => pick(qw(none wave all)),
			include_other_changes => chance(0.8) ? 't' : 'f', message => $self->word),
		6 => call('preview_request', project => $project, request => $request),
		14 => call('advance_request', project => $project, request => $request),
		0.5 => call('pause_request', project => $project, request => $request, reason => $self->word),
		2 => call('resume_request', project => $project, request => $request),
		(@open ? 3 : 0.5) => call('cancel_request', project => $project, request => $request, reason => $self->word));
}

# Several instances by one call.
sub choose_set {
	my ($self, $known) = @_;
	my ($ready, $unplanned) = @$known{qw(ready unplanned)};
	my @shop = some(grep { /^shop-production/ } INSTANCES);
	my @names = some(@$ready ? @$ready : INSTANCES, pick(INSTANCES));
	my %how = (message => $self->word, partial => chance(0.3) ? 't' : 'f');
	return weighted(
		3 => call('promote_many', source => [map { s/production/staging/r } @shop], destination => \@shop, %how,
			plan => chance(0.3) ? 't' : 'f', chance(0.5) ? (overrides => [map { chance(0.3) ? undef
				: $json->encode({ size => int rand 92 }) } @shop]) : ()),
		(@$unplanned ? 3 : 0.5) => call('plan_many', instances => [some(@$unplanned ? @$unplanned : INSTANCES)], %how),
		3 => call('deploy_many', instances => \@names, %how));
}

# A whole environment by one call.  Forks come and go.
sub choose_environment {
	my ($self, $known) = @_;
	my ($forks, $tags) = @$known{qw(forks tags)};
	my $fork = @$forks && chance(0.9) ? pick(@$forks) : 'shop-f1';
	my $new = pick(qw(shop-f1 shop-f2 depot-f1));
	my ($project) = $fork =~ /^(\w+)/;
	my ($tagged, $tag) = @$tags ? @{ pick(@$tags) } : ('shop-production', 'none');
	my $target = chance(0.4) ? $fork : 'shop-production';
	my %how = (message => $self->word, partial => chance(0.4) ? 't' : 'f',
		chance(0.4) ? (components => [some('a', 'b', 'c')]) : ());
	my %overrides = chance(0.4) ? (overrides => { a => { size => int rand 92, own => $self->word } }) : ();
	my %plan = (plan => chance(0.3) ? 't' : 'f');
	return weighted(
		2 => call('promote_environment', src => chance(0.1) ? "$tagged\@$tag" : "$project-staging",
			dst => $project eq 'shop' && chance(0.6) ? 'shop-production' : $fork, %how, %overrides, %plan),
		4 => call('deploy_environment', environment => $target, %how),
		1 => call('plan_environment', environment => $target, %how),
		2 => call('abort_environment', environment => $target, reason => $self->word,
			chance(0.4) ? (components => [some('a', 'b', 'c')]) : ()),
		1 => call('rollback_environment', environment => $tagged, tag => $tag, %how, %plan),
		3 => call('tag_environment', environment => pick(qw(shop-staging shop-production depot-production), $fork),
			tag => $self->word, message => $self->word),
		(@$forks < 2 ? 4 : 1) => call('fork_environment', src => $new =~ s/f\d/pick(qw(staging production))/er,
			new_environment => $new, %how, %overrides, plan => pick(qw(t f)), copy_rules => pick(qw(t f)),
			configure => chance(0.9) ? 't' : 'f'),
		1 => call('decommission_environment', environment => chance(0.95) ? $fork : 'shop-production', %how),
		2 => call('archive_environment', environment => $fork, message => $self->word));
}

# Declares something of a project of its own, in which nothing is deployed: few names, so that sessions meet at each.
sub choose_declaration {
	my ($self) = @_;
	my %project = (project => pick('yard', 'yard', 'yard', 'annex'));
	my %environment = (%project, environment => pick('e1', 'e2'));
	my %component = (%project, component => pick('c1', 'c2'));
	my %bundle = (bundle => pick('stuff', 'other'));
	my %release = (%bundle, version => pick('1.0.0', '1.1.0'));
	my %path = (%project, source_environment => pick('e1', 'e2'), destination_environment => pick('e1', 'e2'));
	my %dependency = (%component, depends_on => pick('c1', 'c2'));
	my %rule = (%environment, rule => 'r');
	my %check = (%environment, check_name => 'lights');
	my %override = (%environment, code => 'soak', role => 'history_reviewers');
	my %said = chance(0.7) ? (description => pick('one', 'two', $self->word)) : ();
	# a row that goes to another project goes to another chain
	my $name = "$project{project} " . pick(1, 2);
	my %name = (name => $name);
	my %policy = (policy => $name);
	my %when = (%environment, reason => pick('one', 'two', $self->word),
		during => '[2031-01-01, 2031-0' . pick(2, 3) . '-01)');
	my %registered = (
		project => [{ %project }, { %said, chance(0.5) ? (attributes => { size => int rand 3 }) : () }],
		bundle => [\%bundle, \%said], environment => [\%environment, \%said],
		component => [\%component, { bundle => 'stuff', %said }],
		instance => [{ %environment, %component }, { attributes => { size => int rand 3 } }]);
	my %set = (
		dependency => [\%dependency, \%said], promotion_path => [\%path, \%said], freeze => [\%name, \%when],
		change_window => [\%name, \%when], approval_rule => [\%rule, { role => 'history_reviewers', %said }],
		required_check => [\%check, \%said], override_rule => [\%override, \%said],
		policy => [\%policy, { %project, function => 'hist.policy', enabled => 'f', %said }]);
	my ($what, $made) = chance(0.5) ? ('register', \%registered) : ('set', \%set);
	my $kind = pick(sort keys %$made);
	my ($key, $more) = @{ $made->{$kind} };
	return weighted(
		12 => call("${what}_$kind", %$key, %$more),
		5 => call("remove_$kind", %$key),
		2 => call('publish_release', %release, params_schema => pick({}, { type => 'object' })),
		1 => call('remove_release', %release),
		2 => call('set_environment_rules', %environment, max_lost_leases => int rand 4,
			require_plan => pick(undef, 't', 'f')),
		2 => call('set_attributes', attributes => { size => int rand 3 }, chance(0.5) ? %environment : %project),
		2 => call('set_parameters', %environment, parameters => { size => int rand 3, $self->word => 1 }),
		1 => call('remove_parameter', %environment, name => 'size'),
		1 => call('clear_parameters', %environment),
		4 => call(pick('apply_document', 'apply_text'), document => $self->document($project{project}),
			prune => pick('t', 'f'), dry_run => chance(0.2) ? 't' : 'f'));
}

# What a project may be.
sub document {
	my ($self, $project) = @_;
	my @environments = some('e1', 'e2');
	my @components = some('c1', 'c2');
	return { version => 1, project => { project => $project, description => pick('one', 'two', $self->word) },
		bundles => [{ bundle => 'stuff' }],
		environments => [map { { environment => $_, chance(0.5) ? (max_lost_leases => int rand 4) : () } }
			@environments],
		components => [map { { component => $_, bundle => 'stuff' } } @components],
		instances => [map { { environment => $environments[0], component => $_ } } @components],
		chance(0.5) ? (parameters => [{ environment => $environments[0], parameters => { size => int rand 3 } }]) : (),
		chance(0.5) ? (approval_rules => [{ environment => $environments[0], rule => 'r',
			role => 'history_reviewers' }]) : () };
}

# ---- all of them ----

# Runs the sessions, and what disturbs them, and returns the history: from the beginning of another one on, if that is
# gone on with.
sub record {
	my (%how) = @_;
	my $earlier = $how{after};
	my $began = now();
	my $until = $began + ($how{seconds} // 1e6) * 1_000_000;
	my $count = $earlier ? @{ $earlier->{transactions} } * 100 : 0;
	my @files = map { File::Temp->new } 1 .. SESSIONS;
	my @pids = map { my $number = $_;
		start(sub { HistoryWork->new($number, $how{seed}, alone => $how{alone}, count => $count)
			->work($until, "$files[$number - 1]") }) } 1 .. SESSIONS;
	push @pids, start(sub { storm($how{seed}, $until, @{ $how{storms} }) }) if @{ $how{storms} // [] };
	if ($how{disturb}) {
		my $disturbed = eval { $how{disturb}->(); 1 };
		end_work("$_") for @files;
		die $@ if !$disturbed;
	}
	my $broken = grep { waitpid($_, 0) && $? != 0 } @pids;
	die "$broken sessions did not come to their end\n" if $broken;
	# The server may still be recovering.
	for (1 .. 600) {
		last if eval { as_owner('SELECT 1') };
		sleep 0.1;
	}
	my @transactions = map { $json->decode($_) } map { lines("$_") } @files;
	unshift @transactions, @{ $earlier->{transactions} } if $earlier;
	return finished(seed => $how{seed}, began => $earlier ? $earlier->{began} : $began, transactions => \@transactions);
}

# Cancels and terminates sessions at random moments; a crash is a process that is killed, every few seconds.
sub storm {
	my ($seed, $until, @kinds) = @_;
	srand $seed;
	my %pause = (cancel => 0.1, terminate => 0.5, crash => 4);
	my %next = map { $_ => now() + rand 2 * $pause{$_} * 1_000_000 } @kinds;
	my $victim = "SELECT pid FROM pg_stat_activity WHERE application_name = 'history' AND datname = "
		. "current_database() ORDER BY random() LIMIT 1";
	while (now() < $until) {
		sleep 0.02;
		for my $kind (grep { $next{$_} <= now() } @kinds) {
			$next{$kind} = now() + rand 2 * $pause{$kind} * 1_000_000;
			my ($pid) = eval { as_owner($kind eq 'crash' ? $victim
				: "SELECT pg_${kind}_backend(pid) FROM ($victim) AS v") };
			kill 'KILL', $pid if $kind eq 'crash' && $pid;
		}
	}
	return;
}

sub start {
	my ($work) = @_;
	my $pid = fork // die "cannot fork: $!\n";
	return $pid if $pid;
	open my $told, '>&', \*STDERR or POSIX::_exit(1);
	# What the statements are refused for is expected, and so are lost connections.
	open STDERR, '>', '/dev/null' if !$ENV{FUZZ_SEEN};
	POSIX::_exit(eval { $work->(); 1 } ? 0 : do { syswrite $told, $@; 1 });
}

sub lines {
	my ($path) = @_;
	open my $in, '<:utf8', $path or die "cannot read $path: $!\n";
	return <$in>;
}

# A history of what was recorded, with what is there at its end.
sub finished {
	my (%history) = @_;
	my %query = queries();
	my %final;
	for my $name (sort keys %query) {
		my ($line) = as_owner("SELECT COALESCE(jsonb_agg(to_jsonb(t)), '[]') FROM ($query{$name}) AS t");
		$final{$name} = $json->decode($line);
	}
	return { %history, final => \%final };
}

# What is read of the end.
sub queries {
	my $key = "concat_ws('-', project, environment, component) AS instance";
	return (
		instance => 'SELECT name, revision, deployment, status, deployed_revision, deployed_by FROM promote.instance',
		revision => "SELECT $key, revision, origin, source_environment, source_revision, version, message, actor, params
			FROM promote.revision JOIN promote.config USING (project, digest)",
		deployment => "SELECT $key, deployment, action, status, revision, base_revision, version, plan, "
			. "plan_digest, actor, fencing
			FROM promote.deployment",
		audit => q{SELECT project, subject, seq, (extract(epoch FROM at) * 1000000)::bigint AS at,
			to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at_text,
			actor, database_role, event, data, encode(promote.jsonb_digest(rows), 'hex') AS rows,
				encode(previous_hash, 'hex') AS previous_hash, encode(hash, 'hex') AS hash FROM promote.audit_log},
		release => "SELECT version, block_reason FROM promote.bundle_release",
		item => "SELECT project, request, concat_ws('-', project, destination_environment, component) AS instance, "
			. "status FROM promote.promotion_request_item",
		request => 'SELECT project, request, status, actor FROM promote.promotion_request',
		problem => 'SELECT * FROM promote.verify_audit()',
		broken => 'SELECT * FROM promote.check_invariants()');
}

# Runs SQL as the owner, and dies where it fails; the lines that it prints.
sub as_owner {
	my ($sql) = @_;
	my $psql = FuzzSession->new;
	$psql->send("SET client_min_messages = error;\n$sql;\n");
	my $lines = $psql->answer or die "this failed: $sql\n";
	$psql->end;
	return @$lines;
}

# ---- the installation ----

# Two projects of the same shape, everybody granted everything, and doors to what the owner alone may write. By default
# the extension is of the version that the server has.
sub prepare {
	my ($version) = @_;
	my $of_version = defined $version ? " VERSION '$version'" : '';
	my $reviewers = join ', ', map { person($_) } 1 .. REVIEWERS;
	my $people = join ', ', map { person($_) } 1 .. SESSIONS;
	as_owner(<<"SQL" . doors());
DROP EXTENSION IF EXISTS promote CASCADE;
DROP SCHEMA IF EXISTS hist CASCADE;
DO \$\$ BEGIN
	CREATE ROLE history_people;
	CREATE ROLE history_reviewers;
	FOR n IN 1 .. @{[SESSIONS]} LOOP
		EXECUTE 'CREATE ROLE history_' || n || ' LOGIN IN ROLE history_people';
	END LOOP;
	GRANT history_reviewers TO $reviewers;
EXCEPTION WHEN duplicate_object THEN
END \$\$;
DO \$\$ BEGIN
	FOR n IN 1 .. @{[SESSIONS]} LOOP
		EXECUTE 'ALTER ROLE history_' || n || ' SET deadlock_timeout = ''100 ms''';
	END LOOP;
END \$\$;
CREATE EXTENSION promote$of_version;
CREATE SCHEMA hist;
GRANT USAGE ON SCHEMA hist TO $people;
INSERT INTO promote.bundle VALUES ('service');
INSERT INTO promote.bundle_release (bundle, version, params_schema)
	SELECT 'service', v, '{"type": "object", "properties": {
	"size": {"type": "integer", "maximum": 90}, "own": {"\$md.copyable": false}}}'
		FROM unnest('{1.0.0,1.1.0}'::text[]) AS v;
INSERT INTO promote.project (project) VALUES ('shop'), ('depot');
INSERT INTO promote.environment (project, environment, require_plan, require_proven_release)
SELECT p, e, e = 'production', false
FROM unnest('{shop,depot}'::text[]) AS p, unnest('{staging,production}'::text[]) AS e;
INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
SELECT project, 'staging', 'production' FROM promote.project;
INSERT INTO promote.component (project, component, bundle) VALUES ('depot', 'a', 'service');
INSERT INTO promote.component (project, component, bundle) SELECT 'shop', c, 'service'
	FROM unnest('{a,b,c,d,e}'::text[]) AS c;
INSERT INTO promote.instance (project, environment, component)
SELECT project, environment, component FROM promote.environment JOIN promote.component USING (project);
INSERT INTO promote.override_rule (project, environment, code, role)
SELECT project, environment, code, 'history_reviewers' FROM promote.environment,
	unnest('{freeze,approval,budget,health,drift}'::text[]) AS code;
DO \$\$ BEGIN
	PERFORM promote.configure_instance(name, jsonb_build_object('size', 1, 'own', name)) FROM promote.instance
		ORDER BY name;
	PERFORM promote.grant_action('history_people', action)
	FROM unnest('{view,configure,promote,plan,deploy,approve,override,decommission,work,admin,register,publish,
		rules}'::text[]) AS action;
END \$\$;
SQL
	return;
}

sub doors {
	return <<'SQL';
CREATE TABLE hist.nothing ();
-- What the next calls are chosen by.
CREATE FUNCTION hist.state() RETURNS jsonb LANGUAGE sql STABLE SECURITY DEFINER RETURN jsonb_build_object(
	'instances', (SELECT jsonb_object_agg(i.name, jsonb_build_object('revision', i.revision, 'plan',
			(SELECT max(d.deployment) FROM promote.deployment AS d
				WHERE (d.project, d.environment, d.component) = (i.project, i.environment, i.component)
				AND d.action = 'PLAN' AND d.status = 'COMPLETED'),
		'live', COALESCE((SELECT jsonb_agg(jsonb_build_array(d.deployment, d.status, d.action)
			ORDER BY d.queued_at, d.deployment)
			FROM promote.deployment AS d WHERE (d.project, d.environment, d.component) = (i.project, i.environment,
				i.component)
				AND d.status IN ('PROPOSED', 'PENDING', 'APPROVED', 'RUNNING')), '[]'))) FROM promote.instance AS i),
	'ready', COALESCE((SELECT jsonb_agg(i.name) FROM promote.instance AS i
		WHERE i.deployed_revision IS DISTINCT FROM i.revision
		AND EXISTS (SELECT FROM promote.deployment AS d WHERE (d.project, d.environment, d.component) = (i.project,
			i.environment, i.component)
			AND d.action = 'PLAN' AND d.status = 'COMPLETED' AND d.revision = i.revision)), '[]'),
	'unplanned', COALESCE((SELECT jsonb_agg(i.name) FROM promote.instance AS i
		WHERE i.revision > 0 AND NOT EXISTS (SELECT FROM promote.deployment AS d
			WHERE (d.project, d.environment, d.component) = (i.project, i.environment, i.component)
			AND d.action = 'PLAN' AND d.revision = i.revision)), '[]'),
	'environments', (SELECT jsonb_object_agg(project || '/' || environment, to_jsonb(e)) FROM promote.environment AS e),
	'requests', COALESCE((SELECT jsonb_agg(jsonb_build_array(project, request)) FROM promote.promotion_request
		WHERE finished_at IS NULL), '[]'),
	'forks', COALESCE((SELECT jsonb_agg(project || '-' || environment) FROM promote.environment
		WHERE environment ~ '^f' AND archived_at IS NULL), '[]'),
	'tags', COALESCE((SELECT jsonb_agg(jsonb_build_array(project || '-' || environment, tag)) FROM (SELECT *
		FROM promote.environment_tag ORDER BY created_at DESC LIMIT 8) AS t), '[]'),
	'stops', COALESCE((SELECT jsonb_agg(project) FROM promote.line_stop WHERE lifted_at IS NULL), '[]'),
	'freezes', COALESCE((SELECT jsonb_agg(name) FROM promote.freeze_window WHERE name !~ '^(yard|annex)'), '[]'),
	'windows', COALESCE((SELECT jsonb_agg(name) FROM promote.change_window WHERE name !~ '^(yard|annex)'), '[]'),
	'rules', COALESCE((SELECT jsonb_agg(rule) FROM promote.approval_rule WHERE rule <> 'r'), '[]'),
	'blocked', COALESCE((SELECT jsonb_agg(version) FROM promote.bundle_release WHERE block_reason IS NOT NULL), '[]'));
CREATE FUNCTION hist.policy(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
	LANGUAGE sql STABLE AS 'SELECT NULL::promote.blocking_reason WHERE false';
CREATE FUNCTION hist.freeze(name text, project text DEFAULT NULL, environment text DEFAULT NULL) RETURNS text
	LANGUAGE sql SECURITY DEFINER AS $$
	SELECT s.name FROM promote.set_freeze($1, $2, $3,
		during => tstzrange(now() - interval '1 hour', now() + interval '1 day')) AS s
$$;
CREATE FUNCTION hist.thaw(name text) RETURNS text LANGUAGE sql SECURITY DEFINER AS $$
	SELECT r.name FROM promote.remove_freeze($1) AS r WHERE r.action = 'delete'
$$;
CREATE FUNCTION hist.open_window(name text, project text, environment text, most integer) RETURNS text
	LANGUAGE sql SECURITY DEFINER AS $$
	SELECT s.name FROM promote.set_change_window($1, $2, $3, max_deployments_per_window => $4,
		during => tstzrange(now() - interval '1 hour', now() + interval '1 day')) AS s
$$;
CREATE FUNCTION hist.close_window(name text) RETURNS text LANGUAGE sql SECURITY DEFINER AS $$
	SELECT r.name FROM promote.remove_change_window($1) AS r WHERE r.action = 'delete'
$$;
CREATE FUNCTION hist.ask(project text, environment text, rule text, quorum integer, counts boolean) RETURNS text
	LANGUAGE sql SECURITY DEFINER AS $$
	SELECT $3 FROM promote.set_approval_rule($1, $2, $3, 'history_reviewers', $4, requester_counts => $5)
$$;
CREATE FUNCTION hist.unask(rule text) RETURNS text LANGUAGE sql SECURITY DEFINER AS $$
	DELETE FROM promote.approval_rule WHERE rule = $1 RETURNING rule
$$;
CREATE FUNCTION hist.require_check(project text, environment text, required boolean) RETURNS text
	LANGUAGE sql SECURITY DEFINER AS $$
	DELETE FROM promote.required_check AS c WHERE c.project = $1 AND c.environment = $2 AND NOT $3;
	INSERT INTO promote.required_check (project, environment, check_name) SELECT $1, $2, 'smoke'
		WHERE $3 ON CONFLICT DO NOTHING;
	SELECT 'smoke'
$$;
CREATE FUNCTION hist.set(project text, environment text, what text, value boolean) RETURNS text
	LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
	EXECUTE format('UPDATE promote.environment SET %I = $3 WHERE project = $1 AND environment = $2', what)
		USING project, environment, value;
	RETURN what;
END
$$;
-- as the page of revisions asks of whoever takes steps by hand: the instance first
CREATE FUNCTION hist.begin(instance text, deployment integer) RETURNS promote.deployment
	LANGUAGE sql SECURITY DEFINER AS $$
	SELECT FROM promote.instance AS i WHERE i.name = $1 FOR NO KEY UPDATE;
	UPDATE promote.deployment AS d SET status = 'RUNNING', worker = 'by hand',
		due_at = clock_timestamp() + interval '2 s'
	FROM promote.instance AS i WHERE i.name = $1 AND (d.project, d.environment, d.component) = (i.project,
		i.environment, i.component)
		AND d.deployment = $2 RETURNING d.*
$$;
GRANT SELECT ON hist.nothing TO history_people;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA hist TO history_people
SQL
}

1;
