package SchemaSuite;

# Finds the official JSON Schema test suite, and the meta-schemas that some of its tests refer to. Neither is part of
# this project. They come from the first of these that has them:
#
#   PROMOTE_SCHEMA_SUITE   a checkout of github.com/json-schema-org/JSON-Schema-Test-Suite
#   npm                    the suite at the commit below, which is the dependency that @json-schema-org/tests consists
#                          of. That package's own release, 2.0.0, still names a commit of April 2020, when there was
#                          no 2020-12 to test
#   Debian                 the package libtest-json-schema-acceptance-perl, which is an older suite, taken out of the
#                          package rather than installed
#
# What was downloaded is kept in test/output, which `make clean` removes.

use strict;
use warnings;
use Cwd qw(getcwd);
use Digest::SHA ();
use File::Find ();
use File::Path qw(make_path remove_tree);
use JSON::PP;

my $commit = '44401e0c046704b476ec9d2e2fccdaee618f259d';
# Of the files that are read at that commit: see `digest`.
my $suite_sha256 = '6a9dcd2bba4ab7e8ff581fac835ebd6d6c023456bb0ad8485c9409cd5623e2cd';
my $ajv = 'ajv@8.17.1';    # for the meta-schemas that it holds
my $ajv_sha512 = 'B/gBuNg5SiMTrPkC+A2+cW0RszwxYmn6VYxB/inlBStS5nx6xHIt/ehKRhIMhqusl7a8LjQoZnjCs5vhwxOQ1g';

my @dialects = qw(draft7 draft2020-12);
my $json = JSON::PP->new->utf8->allow_nonref;

# Returns a suite, or nothing and the reasons. A suite that is not the one that was pinned is an error, not a reason.
sub find {
	my ($class) = @_;
	my @reasons;
	for my $source (\&given, \&from_npm, \&from_debian) {
		my ($self, $reason) = $source->();
		return bless $self, $class if $self;
		push @reasons, $reason if defined $reason;
	}
	return (undef, join '; ', @reasons);
}

sub dialects { return @dialects }

# Where it came from, for people.
sub from { return $_[0]{from} }

# The files with test cases of a dialect: those that an implementation must pass, or those of a folder of "optional".
# Returns paths below the dialect's own folder.
sub files {
	my ($self, $dialect, $folder) = @_;
	my $top = "$self->{directory}/tests/$dialect/";
	my $below = defined $folder ? "$folder/" : '';
	return map { substr $_, length $top } sort glob "$top$below*.json";
}

sub text {
	my ($self, $dialect, $file) = @_;
	return slurp("$self->{directory}/tests/$dialect/$file");
}

# The files of tests of annotations, as text, by their names; older suites have none.
sub annotations {
	my ($self) = @_;
	my $top = "$self->{directory}/annotations/tests";
	return map { substr($_, 1 + length $top) => slurp($_) } json_files($top);
}

# What the tests refer to: the documents, as text, by their URIs.
sub documents {
	my ($self) = @_;
	my $top = "$self->{directory}/remotes";
	my %documents;
	for my $path (json_files($top)) {
		my $below = substr $path, length $top;
		my ($other) = $below =~ m{^/(draft[^/]+|v\d+)/};
		next if defined $other && !grep { $_ eq $other } @dialects;
		$documents{"http://localhost:1234$below"} = slurp($path);
	}
	return (%documents, meta_schemas(@{ $self->{meta_schemas} }));
}

# The meta-schemas of the dialects in these directories, as text, by their URIs. One that is an object of several
# keyed by their URIs is taken apart.
sub meta_schemas {
	my %found;
	for my $path (map { json_files($_) } @_) {
		my $text = slurp($path);
		my $document = eval { $json->decode($text) };
		next if ref $document ne 'HASH';
		for my $schema ($document, grep { ref eq 'HASH' } values %$document) {
			my $id = ref $schema->{'$id'} ? '' : $schema->{'$id'} // '';
			next if $id !~ m{^https?://json-schema\.org/(?:draft-07/schema#?|draft/2020-12/(?:schema|meta/[\w-]+))$};
			$found{ $id =~ s/#$//r } = $schema == $document ? $text : $json->encode($schema);
		}
	}
	return %found;
}

# SHA-256 over the names and contents of the files that are read, sorted by name.
sub digest {
	my ($self) = @_;
	my $sha = Digest::SHA->new(256);
	my $top = $self->{directory};
	for my $path (map { json_files($_) } "$top/annotations/tests", "$top/remotes", map { "$top/tests/$_" } @dialects) {
		$sha->add(substr($path, length $top), "\0", slurp($path), "\0");
	}
	return $sha->hexdigest;
}

# ---- where from ----

sub given {
	my $directory = $ENV{PROMOTE_SCHEMA_SUITE};
	return (undef, 'PROMOTE_SCHEMA_SUITE is not set') if !defined $directory || $directory eq '';
	die "PROMOTE_SCHEMA_SUITE=$directory has no tests/draft2020-12\n" if !-d "$directory/tests/draft2020-12";
	# A checkout has no meta-schemas; whoever needs to be offline puts them beside it.
	my $meta = "$directory/metaschemas";
	if (!-d $meta) {
		my ($cache) = cached('npm-meta', \&npm_meta_schemas);
		($cache) = cached('debian', \&unpack_debian) if !defined $cache;
		$meta = $cache;
	}
	my $self = { directory => $directory, meta_schemas => [ defined $meta ? $meta : () ] };
	$self->{from} = digest($self) eq $suite_sha256 ? "$directory, which is commit $commit" : $directory;
	return $self;
}

sub from_npm {
	my ($suite, $reason) = cached('npm', sub {
		my ($directory) = @_;
		my $failure = npm_pack($directory, "github:json-schema-org/JSON-Schema-Test-Suite#$commit");
		return $failure if defined $failure;
		return npm_meta_schemas("$directory/meta");
	});
	return (undef, "npm: $reason") if !defined $suite;
	my $self = { directory => "$suite/package", meta_schemas => ["$suite/meta"], from => "npm, commit $commit" };
	my $digest = digest($self);
	die "the suite of commit $commit is not what it was: $digest\n" if $digest ne $suite_sha256;
	return $self;
}

# Unpacks a package of npm into a directory's "package", and returns why it could not.
sub npm_pack {
	my ($directory, $package, $sha512) = @_;
	make_path($directory);
	my $output = command($directory, 'npm', 'pack', '--ignore-scripts', '--fetch-retries=0', '--fetch-timeout=20000',
		$package);
	my ($archive) = glob "$directory/*.tgz";
	return "cannot get $package" . first_line($output, qr/^npm err\S* (?!network|code|errno)/mi) if !defined $archive;
	my $found = Digest::SHA->new(512)->addfile($archive, 'b')->b64digest;
	die "$package has the SHA-512 $found\n" if defined $sha512 && $found ne $sha512;
	my $failure = command($directory, 'tar', 'xzf', $archive);
	unlink $archive;
	return -d "$directory/package" ? undef : "cannot unpack $package: $failure";
}

sub npm_meta_schemas {
	my ($directory) = @_;
	return npm_pack($directory, $ajv, $ajv_sha512);
}

sub from_debian {
	my ($directory, $reason) = cached('debian', \&unpack_debian);
	return (undef, "Debian: $reason") if !defined $directory;
	my ($suite) = glob "$directory/usr/share/perl5/auto/share/dist/Test-JSON-Schema-Acceptance";
	return { directory => $suite, meta_schemas => ["$directory/usr/lib/python3"],
		from => 'Debian, libtest-json-schema-acceptance-perl ' . slurp("$directory/version") };
}

# apt has checked the signatures of what it downloads.
sub unpack_debian {
	my ($directory) = @_;
	my @packages = qw(libtest-json-schema-acceptance-perl python3-jsonschema);
	my $specifications = 'python3-jsonschema-specifications';    # has them since Debian 13
	push @packages, $specifications if command('.', 'apt-cache', 'show', $specifications) =~ /^Filename:/m;
	make_path($directory);
	my $output = command($directory, 'apt-get', '-o', 'Acquire::Retries=0', '-o', 'APT::Sandbox::User=root', 'download',
		@packages);
	my @archives = glob "$directory/*.deb";
	return 'cannot get ' . join(' and ', @packages) . first_line($output, qr/^E: /m) if @archives < @packages;
	for my $archive (@archives) {
		my $failure = command($directory, 'dpkg-deb', '-x', $archive, '.');
		return "cannot unpack $archive: $failure" if $failure =~ /error/;
		spew("$directory/version", $1) if $archive =~ /acceptance-perl_([^_]+)/;
	}
	unlink @archives;
	return;
}

# A directory in test/output that is filled once, by a function that returns why it cannot.
sub cached {
	my ($name, $fill) = @_;
	my $directory = getcwd() . "/test/output/schema-suite/$name";
	return $directory if -f "$directory/whole";
	remove_tree($directory);
	my $reason = $fill->($directory);
	return (undef, $reason) if defined $reason;
	spew("$directory/whole", '');
	return $directory;
}

# ---- small things ----

# Runs a program in a directory for at most two minutes, and returns all that it printed.
sub command {
	my ($directory, @command) = @_;
	my $pid = open my $output, '-|' // die "cannot fork: $!\n";
	if (!$pid) {
		open STDERR, '>&', \*STDOUT;
		open STDIN, '<', '/dev/null';
		chdir $directory && exec 'timeout', 120, @command;
		exit 127;
	}
	my $text = do { local $/; <$output> // '' };
	close $output;
	return $text;
}

# Of an output the first line with what is looked for, as the end of a sentence.
sub first_line {
	my ($text, $wanted) = @_;
	return $text =~ /$wanted(.+)/ ? " ($+)" : '';
}

# The files of JSON below a directory. Those of vocabularies are called "core" and so on where Debian 13 has them.
sub json_files {
	my ($top) = @_;
	my @files;
	File::Find::find({ no_chdir => 1, wanted => sub { push @files, $_ if m{\.json$|/vocabularies/[\w-]+$} && -f } },
		$top) if -d $top;
	return sort @files;
}

sub slurp {
	my ($path) = @_;
	open my $file, '<', $path or die "cannot read $path: $!\n";
	local $/;
	return scalar(<$file>) // '';
}

sub spew {
	my ($path, $text) = @_;
	open my $file, '>', $path or die "cannot write $path: $!\n";
	print $file $text;
	close $file or die "cannot write $path: $!\n";
	return;
}

1;
