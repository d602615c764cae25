package CheckoutTest;

# Copies of the checkout, for what changes one: releases, archives, versions.
#
#   my $copy = CheckoutTest->new or plan skip_all => 'this is no checkout of git';
#   $copy->edit('promote.control', sub { s/0\.1\.0/0.2.0/ });
#   my ($status, $output) = $copy->run('packaging/versions');
#
# A copy has what git knows of, as it is here now, in one commit of a branch. It goes when the test ends.

use strict;
use warnings;
use File::Basename qw(dirname);
use File::Copy qw(copy);
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use PromoteTest;

# Nothing of the caller's git, nor of an outer make, is about the copy.
delete $ENV{$_} for grep { /^GIT_|^(?:MAKEFLAGS|MFLAGS|MAKELEVEL|VPATH)$/ } keys %ENV;

sub new {
	my ($class) = @_;
	my @files = split /\0/, `git ls-files -z 2>/dev/null`;
	return if !-e '.git' || $? != 0;
	my $dir = tempdir('promote_copy.XXXXXX', TMPDIR => 1, CLEANUP => 1);
	my $self = bless { dir => $dir, files => [ grep { -e } @files ] }, $class;
	for my $file (@{ $self->{files} }) {
		make_path(dirname("$dir/$file"));
		copy($file, "$dir/$file") or die "cannot copy $file: $!\n";
		chmod +(stat $file)[2] & 07777, "$dir/$file";
	}
	$self->must(qw(git init -q -b trunk));
	$self->must(qw(git config user.name), 'A test');
	$self->must(qw(git config user.email test@example.org));
	$self->commit;
	return $self;
}

sub dir   { return $_[0]{dir} }
sub files { return @{ $_[0]{files} } }

# Runs a command in the copy, and returns (exit status, all it printed).
sub run {
	my ($self, @command) = @_;
	open my $out, '-|', 'sh', '-c', 'cd "$0" && exec "$@" 2>&1 </dev/null', $self->{dir}, @command
		or die "cannot run $command[0]: $!\n";
	my $output = do { local $/; <$out> } // '';
	close $out;
	return ($? & 127 ? 128 + ($? & 127) : $? >> 8, $output);
}

# ... which has to succeed, and returns what it printed, without the last end of a line.
sub must {
	my ($self, @command) = @_;
	my ($status, $output) = $self->run(@command);
	die "this failed: @command\n$output" if $status != 0;
	chomp $output;
	return $output;
}

sub slurp { my ($self, $file) = @_; return PromoteTest::slurp("$self->{dir}/$file") }

sub spew {
	my ($self, $file, $text) = @_;
	open my $out, '>', "$self->{dir}/$file" or die "cannot write $file: $!\n";
	print $out $text;
	close $out or die "cannot write $file: $!\n";
	return;
}

# Changes a file by what is done to $_, which has to change something.
sub edit {
	my ($self, $file, $change) = @_;
	local $_ = my $text = $self->slurp($file);
	$change->();
	die "$file is as it was\n" if $_ eq $text;
	$self->spew($file, $_);
	return;
}

sub commit {
	my ($self) = @_;
	$self->must(qw(git add -A));
	$self->must(qw(git commit -q --allow-empty -m), 'What is tried');
	return;
}

1;
