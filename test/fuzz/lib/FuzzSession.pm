package FuzzSession;

# One psql session that a fuzzer talks to: it sends SQL, and reads lines up to a mark.
#
#   my $session = FuzzSession->new;            # by the usual PG* variables, and psql's arguments, if any are given
#   $session->send("SELECT 1;\n");
#   my $lines = $session->answer;              # what came since the last answer; undef if the session was lost
#   $session->end;

use strict;
use warnings;
no warnings 'nonchar';
use IPC::Open2;

sub new {
	my ($class, @arguments) = @_;
	$SIG{PIPE} = 'IGNORE';
	my ($from, $to);
	my $pid = open2($from, $to, 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=verbose', @arguments);
	binmode $_, ':utf8' for $from, $to;
	return bless { from => $from, to => $to, pid => $pid }, $class;
}

# Sends and reads bytes from now on, not characters.
sub as_bytes {
	my ($self) = @_;
	binmode $_ for $self->{from}, $self->{to};
	return $self;
}

sub send {
	my ($self, @text) = @_;
	print { $self->{to} } @text;
	return;
}

sub answer {
	my ($self) = @_;
	$self->send("\\echo ---done---\n");
	$self->{to}->flush;
	my @lines;
	while (defined(my $line = readline $self->{from})) {
		chomp $line;
		return \@lines if $line eq '---done---';
		push @lines, $line;
	}
	return undef;
}

# A table's rows for COPY, each a list of texts.
sub rows {
	my ($self, @rows) = @_;
	my %escape = ("\\" => '\\\\', "\t" => '\\t', "\n" => '\\n', "\r" => '\\r');
	$self->send(map { join("\t", map { s/([\\\t\n\r])/$escape{$1}/gr } @$_) . "\n" } @rows);
	$self->send("\\.\n");
	return;
}

sub end {
	my ($self) = @_;
	close $self->{to};
	waitpid $self->{pid}, 0;
	return;
}

1;
