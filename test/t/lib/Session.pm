package Session;

# A psql that stays connected, to be asked one thing after the other, also while it waits, and that may listen.
#
#   my $session = Session->new($node, 'db');
#   $session->ask('BEGIN; SELECT 1;');              # '1'; of what is refused the SQLSTATE and the message
#   $session->begin('SELECT pg_sleep(1);');         # does not wait; `answer` does
#   $session->ask('LISTEN promote;');
#   my @payloads = $session->hear(qr/"stopped"/);   # waits until one matches; all payloads so far, with that one
#   $session->end;

use strict;
use warnings;
use IPC::Open2 qw(open2);
use Time::HiRes qw(sleep time);

my $longest = 300;    # seconds until what should be heard counts as lost

sub new {
	my ($class, $node, $database, @arguments) = @_;
	my $pid = open2(my $from, my $to, $node->psql_command($database, '-v', 'ON_ERROR_STOP=0', '-v', 'VERBOSITY=terse',
		@arguments));
	$to->autoflush(1);
	print {$to} "\\o /dev/stdout\n\\set SHOW_CONTEXT never\n";
	my $self = bless { pid => $pid, from => $from, to => $to, heard => [] }, $class;
	$self->{backend} = $self->ask('SELECT pg_backend_pid();');
	return $self;
}

sub backend { return $_[0]{backend} }

sub ask {
	my ($self, $sql) = @_;
	$self->begin($sql);
	return $self->answer;
}

sub begin {
	my ($self, $sql) = @_;
	print { $self->{to} } "$sql\n\\if :ERROR\n\\echo :LAST_ERROR_SQLSTATE :LAST_ERROR_MESSAGE\n\\endif\n\\echo .\n";
	return;
}

sub answer {
	my ($self) = @_;
	my @lines;
	while (defined(my $line = readline $self->{from})) {
		chomp $line;
		return join "\n", @lines if $line eq '.';
		if ($line =~ /^Asynchronous notification "promote" (?:with payload "(.*)" )?received/) {
			push @{ $self->{heard} }, $1;
			next;
		}
		push @lines, $line;
	}
	return 'the session has ended';
}

# Waits for a payload that matches, and returns all that were heard since the last call, up to it and with it. Without a
# pattern: what was heard so far.
sub hear {
	my ($self, $pattern) = @_;
	my $deadline = time + $longest;
	my @payloads;
	my $pause = 0.001;
	while (1) {
		$self->ask('SELECT;');
		while (@{ $self->{heard} }) {
			push @payloads, shift @{ $self->{heard} };
			return @payloads if defined $pattern && $payloads[-1] =~ $pattern;
		}
		return @payloads if !defined $pattern;
		die "this was not heard within $longest seconds: $pattern; but @payloads\n" if time > $deadline;
		sleep $pause;
		$pause *= 1.5 if $pause < 0.2;
	}
}

sub end {
	my ($self) = @_;
	close $self->{to};
	close $self->{from};
	waitpid $self->{pid}, 0;
	return;
}

1;
