package Fuzz;

# What the drivers in this directory share: the command line, the corpus, one psql session, batches until the time is
# over, the summary.
#
#   my $fuzz = Fuzz->new(name => 'json', kept => 'a pair on each line');
#   my @corpus = $fuzz->corpus('json');
#   $fuzz->tell($sql);                            # once, before the first batch
#   $fuzz->run(\&batch, \&question, \&answered);
#   $fuzz->finish(sprintf '%d pairs', $pairs);
#
# A driver's arguments are the seconds to run, 60 by default, and the seed, by default the time.  The connection is
# taken from the usual PG* variables; the database must have the extension.

use strict;
use warnings;
no warnings 'recursion';
use Exporter qw(import);
use File::Basename qw(dirname);
use File::Spec;
use FuzzSession;

our @EXPORT_OK = qw(pick parse_json write_json copy_json change_json mutate_json copy_rows);

# Starts the session.  "kept" says what is on a line of the file that a lost batch is left in, and "shown" how many
# findings of a kind are printed.
sub new {
	my ($class, %how) = @_;
	my $self = bless { shown => 3, %how, findings => 0, batches => 0, seen => {} }, $class;
	$self->{seconds} = $ARGV[0] // 60;
	$self->{seed} = $ARGV[1] // time;
	srand $self->{seed};
	$self->{session} = FuzzSession->new->as_bytes;
	return $self;
}

sub seconds { return $_[0]{seconds} }

# The files of a directory beside the driver, as bytes.
sub corpus {
	my ($self, $directory) = @_;
	my @found;
	for my $file (sort glob(dirname($0) . "/$directory/*")) {
		open my $in, '<:raw', $file or die "$file: $!\n";
		local $/;
		push @found, scalar(<$in>) // '';
	}
	die "no documents in $directory\n" unless @found;
	return @found;
}

# Sends SQL that prints nothing.
sub tell {
	my ($self, $sql) = @_;
	$self->{session}->send($sql);
	return;
}

# Until the time is over: batch makes an array of lines to keep if the session is lost, question says what to send for
# it, and answered takes each line of the answer and returns nothing, or the finding that it tells of.
sub run {
	my ($self, $batch, $question, $answered) = @_;
	$self->{start} = time;
	while (time < $self->{start} + $self->{seconds}) {
		my $rows = $batch->();
		$self->{batches}++;
		my $answer = $self->ask($question->($rows));
		return $self->keep($rows) if !defined $answer;
		for my $line (@$answer) {
			my $finding = $answered->($line);
			$self->found($finding) if defined $finding;
		}
	}
	return;
}

# Sends SQL; the lines that it prints, or undef if the session is lost.
sub ask {
	my ($self, $sql) = @_;
	$self->tell($sql);
	return $self->{session}->answer;
}

# Counts a finding.  Those of one kind, the same call before ": " or " is", are not all shown.
sub found {
	my ($self, $finding) = @_;
	my ($kind) = $finding =~ /^(.*?\))[: ]/;
	$self->{findings}++;
	print "finding: $finding\n" if $self->{seen}{ $kind // '' }++ < $self->{shown};
	return;
}

# Leaves the batch that ended the session where it can be looked at.
sub keep {
	my ($self, $rows) = @_;
	$self->{lost} = 1;
	my $file = File::Spec->catfile(File::Spec->tmpdir, "promote-$self->{name}-fuzz.$$");
	open my $out, '>', $file or return;
	print $out map { "$_\n" } @$rows;
	close $out;
	print "the batch that was running is in $file, $self->{kept}\n";
	return;
}

# Prints the summary and exits.
sub finish {
	my ($self, $counts) = @_;
	$self->{session}->end;
	printf "%s: %s in %d seconds, %d findings%s (seed %s)\n", $self->{name}, $counts, time - $self->{start},
	  $self->{findings}, $self->{lost} ? ", connection lost in batch $self->{batches}" : '', $self->{seed};
	exit($self->{findings} || $self->{lost} ? 1 : 0);
}

sub pick { return $_[rand @_] }

# Lines whose fields are separated by tabs, as COPY takes them.
sub copy_rows {
	my ($table, @lines) = @_;
	return join '', "COPY $table FROM STDIN;\n", (map { s/\\/\\\\/gr . "\n" } @lines), "\\.\n";
}

# ---- JSON ----

# A text as a tree: [o => [key, value], ...], [a => value, ...] or [s => token].
sub parse_json {
	my ($text) = @_;
	my @tokens = $text =~ /("(?:[^"\\]|\\.)*"|[\[\]{}:,]|[^\s\[\]{}:,"]+)/g;
	my $tree = parse_value(\@tokens);
	die "not JSON: $text\n" if @tokens;
	return $tree;
}

sub parse_value {
	my ($tokens) = @_;
	my $token = shift @$tokens;
	return ['s', $token] if $token !~ /^[\[{]$/;
	my @node = ($token eq '{' ? 'o' : 'a');
	while ($tokens->[0] !~ /^[\]}]$/) {
		if ($token eq '{') {
			my $key = substr(shift @$tokens, 1, -1);
			shift @$tokens;
			push @node, [$key, parse_value($tokens)];
		} else {
			push @node, parse_value($tokens);
		}
		shift @$tokens if $tokens->[0] eq ',';
	}
	shift @$tokens;
	return \@node;
}

sub write_json {
	my ($node) = @_;
	my ($kind, @children) = @$node;
	return $children[0] if $kind eq 's';
	return '[' . join(',', map { write_json($_) } @children) . ']' if $kind eq 'a';
	return '{' . join(',', map { "\"$_->[0]\":" . write_json($_->[1]) } @children) . '}';
}

sub copy_json {
	my ($node) = @_;
	my ($kind, @children) = @$node;
	return ['s', @children] if $kind eq 's';
	return [$kind, map { $kind eq 'o' ? [$_->[0], copy_json($_->[1])] : copy_json($_) } @children];
}

# A tree with what a function makes of one of its nodes, of which the first so many are taken into account, in that
# node's place. It is changed in place, below its root.
sub change_json {
	my ($tree, $limit, $changed) = @_;
	my @places = (\$tree);
	for (my $i = 0; $i < @places && $i < $limit; $i++) {
		my $node = ${ $places[$i] };
		next if $node->[0] eq 's';
		push @places, map { $node->[0] eq 'o' ? \$node->[$_][1] : \$node->[$_] } 1 .. $#$node;
	}
	my $at = $places[rand @places];
	$$at = $changed->($$at);
	return $tree;
}

# A copy of a tree with up to so many changes by that function, none of which makes its text longer than that.
sub mutate_json {
	my ($tree, $changes, $length, $changed) = @_;
	$tree = copy_json($tree);
	for (1 .. $changes) {
		my $other = change_json($tree, 2000, $changed);
		$tree = $other if length write_json($other) < $length;
	}
	return $tree;
}

1;
