# What packages are made of says the same everywhere, and is of the form that their tools want: META.json by PGXN's
# specification, debian/ for every major, the RPM's spec, the Containerfile. Each check is shown to find what it is for.

use strict;
use warnings;
use JSON::PP ();
use Test::More;
use CheckoutTest;
use PromoteTest;

my $json = JSON::PP->new->canonical;
my $meta = $json->decode(PromoteTest::slurp('META.json'));
my %text = map { $_ => PromoteTest::slurp($_) } qw(Makefile LICENSE dev packaging/promote.spec packaging/Containerfile
	debian/control debian/control.in debian/pgversions debian/changelog debian/copyright debian/rules
	debian/tests/control debian/source/format);
my ($majors) = $text{dev} =~ /^majors='([\d ]+)'/m;
my @majors = sort { $a <=> $b } split ' ', $majors;
my ($license) = $text{LICENSE} =~ /^(Permission.*)\z/ms;

# ---- PGXN ----

# The specification's 1.0.0, https://pgxn.org/spec/: what a value has to be, by the name of the key.
my $string = sub { !ref $_[0] && length($_[0] // '') };
my $term = sub { $string->(@_) && $_[0] =~ m{\A[^\s[:cntrl:]/\\]{2,}\z} };
my $tag = sub { $string->(@_) && $_[0] =~ m{\A[^[:cntrl:]/\\]{1,256}\z} };
my $url = sub { $string->(@_) && $_[0] =~ m{\A[a-z][a-z+.-]*://[^/?#]+}i };
my $semantic = qr/(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*)){2}(?:-[\w.-]+)?/;
my $version = sub { $string->(@_) && $_[0] =~ /\A$semantic\z/ };
my $compared = qr/(?:[<>]=?|[!=]=)\s*$semantic/;
my $range = sub { $string->(@_) && $_[0] =~ /\A(?:0|$semantic|$compared)(?:,\s*$compared)*\z/ };
my $one_of = sub { my %is = map { $_ => 1 } @_; sub { $string->(@_) && $is{ $_[0] } } };
my $list_of = sub { my ($each) = @_; sub { !grep { !$each->($_) } ref $_[0] eq 'ARRAY' ? @{ $_[0] } : $_[0] } };
my %of = (
	'' => { name => [ 1, $term ], version => [ 1, $version ], abstract => [ 1, $string ], description => [ 0, $string ],
		maintainer => [ 1, $list_of->(sub { $string->(@_) && $_[0] =~ /\S <[^@\s<>]+@[^@\s<>]+>\z/ }) ],
		license => [ 1, $list_of->($one_of->(qw(postgresql bsd mit apache_2_0))) ], provides => [ 1, 'provides' ],
		'meta-spec' => [ 1, 'meta-spec' ], release_status => [ 0, $one_of->(qw(stable testing unstable)) ],
		tags => [ 0, $list_of->($tag) ], prereqs => [ 0, 'prereqs' ], resources => [ 1, 'resources' ],
		generated_by => [ 0, $string ] },
	'meta-spec' => { version => [ 1, $one_of->('1.0.0') ], url => [ 0, $url ] },
	provides => { '*' => [ 1, 'provided', $term ] },
	provided => { file => [ 1, $string ], version => [ 1, $version ], abstract => [ 0, $string ],
		docfile => [ 0, $string ] },
	prereqs => { '*' => [ 0, 'phase', $one_of->(qw(configure build test runtime develop)) ] },
	phase => { '*' => [ 0, 'relation', $one_of->(qw(requires recommends suggests conflicts)) ] },
	relation => { '*' => [ 0, $range, $term ] },
	resources => { homepage => [ 1, $url ], bugtracker => [ 1, 'bugtracker' ], repository => [ 1, 'repository' ],
		license => [ 0, $list_of->($url) ] },
	bugtracker => { web => [ 0, $url ], mailto => [ 0, sub { $string->(@_) && $_[0] =~ /\A[^@\s]+@[^@\s]+\z/ } ] },
	repository => { url => [ 1, $url ], web => [ 0, $url ], type => [ 1, sub { $string->(@_) && $_[0] !~ /[A-Z]/ } ] },
);

# What is wrong with a map of a kind.
sub meta_problems {
	my ($map, $kind, $path) = @_;
	return "$path: no map" if ref $map ne 'HASH';
	my %rule = %{ $of{$kind} };
	my @problems = map { "$path/$_: missing" } grep { $_ ne '*' && $rule{$_}[0] && !exists $map->{$_} } sort keys %rule;
	push @problems, "$path: empty" if !%$map;
	for my $key (sort keys %$map) {
		my ($needed, $is, $name) = @{ $rule{$key} // $rule{'*'} // [ 0, sub { $key =~ /\Ax_/i } ] };
		push @problems, "$path/$key: the name" if $name && !$name->($key);
		push @problems, ref $is ? $is->($map->{$key}) ? () : "$path/$key: the value"
			: meta_problems($map->{$key}, $is, "$path/$key");
	}
	return @problems;
}

is(join("\n", meta_problems($meta, '', '')), '', 'META.json is as the specification wants it');
my @broken = (
	[ '/maintainer', sub { $_[0]{maintainer} = 'the promote authors' } ], [ '/name', sub { $_[0]{name} = 'a b' } ],
	[ '/version', sub { $_[0]{version} = '1.0' } ], [ '/abstract', sub { delete $_[0]{abstract} } ],
	[ '/license', sub { $_[0]{license} = 'PostgreSQL' } ], [ '/resources', sub { delete $_[0]{resources} } ],
	[ '/provides', sub { $_[0]{provides} = {} } ], [ '/homepage', sub { $_[0]{homepage} = 'https://example.org/' } ],
	[ '/provides/promote/file', sub { delete $_[0]{provides}{promote}{file} } ],
	[ '/meta-spec/version', sub { $_[0]{'meta-spec'}{version} = '2.0.0' } ],
	[ '/tags', sub { push @{ $_[0]{tags} }, 'a/b' } ],
	[ '/prereqs/running', sub { $_[0]{prereqs}{running} = {} } ],
	[ '/prereqs/runtime/needs', sub { $_[0]{prereqs}{runtime}{needs} = { a => '1.0.0' } } ],
	[ '/prereqs/runtime/requires/PostgreSQL', sub { $_[0]{prereqs}{runtime}{requires}{PostgreSQL} = '15' } ],
	[ '/resources/homepage', sub { $_[0]{resources}{homepage} = 'promote.example.org' } ],
	[ '/resources/bugtracker/mailto', sub { $_[0]{resources}{bugtracker}{mailto} = 'promote' } ],
	[ '/resources/repository/type', sub { $_[0]{resources}{repository}{type} = 'Git' } ],
);
for my $case (@broken) {
	my ($path, $break) = @$case;
	my $copy = $json->decode($json->encode($meta));
	$break->($copy);
	like(join("\n", meta_problems($copy, '', '')), qr/^\Q$path\E: /m, "... and not if this is broken: $path");
}
SKIP: {
	skip 'there is no PGXN::Meta::Validator', 1 if !eval { require PGXN::Meta::Validator; 1 };
	my $validator = PGXN::Meta::Validator->load_file('META.json');
	ok($validator->is_valid, "PGXN's own validator takes it") or diag($validator->errors);
}

my $provided = $meta->{provides}{promote};
is($provided->{file}, "promote--$meta->{version}.sql", 'the file that it provides is the install script');
like($text{Makefile}, qr/^EXTENSION_SQL = promote--\$\(EXTVERSION\)\.sql$/m, '... by the name that make gives it');
ok(-s $provided->{docfile}, '... and its page is there');
is($meta->{prereqs}{runtime}{requires}{PostgreSQL}, "$majors[0].0.0", 'it needs the oldest major that is supported');

# ---- whom to write to ----

my ($contact) = $meta->{maintainer} =~ /(\S+ .* <.*>)$/;
my %said = ('debian/control' => qr/^Maintainer: (.*)$/m, 'debian/changelog' => qr/^ -- (.*?)  /m,
	'debian/copyright' => qr/^Upstream-Contact: (.*)$/m, 'packaging/promote.spec' => qr/^\* \w+ \w+ \d+ \d+ (.*) - /m);
for my $file (sort keys %said) {
	is(($text{$file} =~ $said{$file})[0], $contact, "the contact of $file is that of META.json");
}
is(($text{'packaging/promote.spec'} =~ /^URL: +(.*)$/m)[0], $meta->{resources}{homepage}, '... and so is the homepage');

# ---- Debian ----

# Each paragraph that names PGVERSION stands for one of each major.
my @paragraphs = split /\n\n/, $text{'debian/control.in'};
my $expanded = join "\n\n", map { my $each = $_; $each =~ /^Package: .*PGVERSION/
	? map { $each =~ s/PGVERSION/$_/gr =~ s/\n\z//r } @majors : $each } @paragraphs;
is($text{'debian/control'}, "$expanded\n", 'debian/control has a package for every major, as control.in has it');
is($text{'debian/pgversions'}, "$majors[0]+\n", '... and it is built for the oldest and those after it');
is($text{'debian/source/format'}, "3.0 (native)\n", 'the source is a native one');
my $formatted = join "\n", map { length ? " $_" : ' .' } split /\n/, $license;
like($text{'debian/copyright'}, qr/\AFormat: \S+copyright-format\/1\.0\/\n.*^License: PostgreSQL\n\Q$formatted\E\n\z/ms,
	'its copyright has the licence, word by word');
ok(-x 'debian/rules', 'debian/rules is a program');
ok(-x "debian/tests/$_", "the test $_ of the package is there") for $text{'debian/tests/control'} =~ /^Tests: (.*)$/mg;
for my $part (map { split ' ' } $text{'debian/rules'} =~ /dh_installdocs --all (.*)$/mg) {
	ok(-e $part, "what is installed as documentation is there: $part");
}
like($text{'debian/rules'}, qr{dh_installexamples --all examples/\*$}m, '... and so are the examples');
SKIP: {
	skip 'there is no dpkg-parsechangelog', 1 if system('dpkg-parsechangelog --version >/dev/null 2>&1') != 0;
	is(`dpkg-parsechangelog -S Version 2>&1`, "$meta->{version}\n", 'its changelog is read as one');
}

# ---- libraries ----

# What the library is linked with, as Debian and Red Hat call what it needs for that.
my %library = (yaml => [qw(libyaml-dev libyaml-devel)], icuuc => [qw(libicu-dev libicu-devel)],
	ical => [qw(libical-dev libical-devel)], crypto => [qw(libssl-dev openssl-devel)]);
my @linked = $text{Makefile} =~ /^SHLIB_LINK = (.*)$/m ? $1 =~ /-l(\w+)/g : ();
cmp_ok(scalar @linked, '>', 3, 'the library is linked with others');
for my $library (@linked) {
	my ($debian, $red_hat) = @{ $library{$library} // [ $library, $library ] };
	my %names = ('debian/control.in' => $debian, 'packaging/promote.spec' => $red_hat,
		'packaging/Containerfile' => $debian);
	like($text{$_}, qr/\s\Q$names{$_}\E[\s,]/, "$_ wants what -l$library needs") for sort keys %names;
}

# ---- RPM ----

for my $file ($text{'packaging/promote.spec'} =~ /^%(?:doc|license) (.*)$/mg) {
	ok(-e, "the spec's $_ is there") for split ' ', $file;
}
SKIP: {
	skip 'there is no rpmspec (Debian: rpm)', 2 * @majors if system('rpmspec --version >/dev/null 2>&1') != 0;
	for my $major (@majors) {
		my $parsed = `rpmspec -q --define 'pgmajorversion $major' packaging/promote.spec 2>&1`;
		is($? >> 8, 0, "the spec is read for $major") or diag($parsed);
		like($parsed, qr/^promote_$major-\Q$meta->{version}\E-1/m, '... as a package of its name and version');
	}
}
SKIP: {
	skip 'there is no rpmlint', 1 if system('rpmlint --version >/dev/null 2>&1') != 0;
	my $found = `rpmlint packaging/promote.spec 2>&1`;
	like($found, qr/ 0 errors/, 'rpmlint finds no error in it') or diag($found);
}

# ---- the container ----

# What is wrong with a Containerfile. Known is what this one needs and no more.
sub container_problems {
	my ($text) = @_;
	my (@problems, %stage, %argument, $from);
	$text =~ s/^\s*#.*\n//mg;
	push @problems, 'a line goes on where none follows' if $text =~ /\\\n?\z/;
	push @problems, 'an empty line within an instruction' if $text =~ /\\\n\s*\n/;
	$text =~ s/\\\n\s*/ /g;
	for my $line (grep { /\S/ } split /\n/, $text) {
		my ($instruction, $rest) = $line =~ /^([A-Z]+) +(\S.*)$/ or push(@problems, "no instruction: $line"), next;
		if ($instruction eq 'ARG') {
			$rest =~ /^(\w+)=(\w+)$/ ? $argument{$1} = $2 : push @problems, "no argument with a default: $rest";
		}
		elsif ($instruction eq 'FROM') {
			my ($image, $name) = $rest =~ /^(\S+)(?: AS ([a-z]\w*))?$/ or push(@problems, "no stage: $rest"), next;
			push @problems, "no full name with a tag: $image" if $image !~ m{^[\w.-]+/[\w/.-]+:\S+$};
			push @problems, "no such argument: $_" for grep { !defined $argument{$_} } $image =~ /\$\{?(\w+)/g;
			$from = 1;
			$stage{$name} = 1 if defined $name;
		}
		elsif (!$from) { push @problems, "before any stage: $instruction" }
		elsif ($instruction eq 'COPY') {
			my @words = split ' ', $rest;
			my ($source) = $words[0] =~ /^--from=(.*)/ ? ($1, shift @words) : ();
			push @problems, "no such stage: $source" if defined $source && !$stage{$source};
			push @problems, "no source and destination: $rest" if @words < 2;
			push @problems, map { "no such file: $_" } grep { !defined $source && !-e } @words[ 0 .. $#words - 1 ];
		}
		elsif ($instruction eq 'RUN') {
			push @problems, 'packages of lists of another time' if $rest =~ /apt-get install/
				&& $rest !~ /apt-get update && apt-get install -y --no-install-recommends /;
			open my $shell, '|-', 'sh -n 2>/dev/null' or die "cannot run sh: $!\n";
			print $shell "$rest\n";
			push @problems, "no shell command: $rest" if !close $shell;
		}
		elsif ($instruction eq 'WORKDIR') { push @problems, "no path: $rest" if $rest !~ m{^/\S*$} }
		else                              { push @problems, "not known: $instruction" }
	}
	push @problems, 'no stage' if !$from;
	return @problems;
}

my $container = $text{'packaging/Containerfile'};
is(join("\n", container_problems($container)), '', 'the Containerfile is made of stages, and of commands of a shell');
my @spoilt = (
	[ 'no such stage', sub { s/--from=build/--from=other/ } ], [ 'no such argument', sub { s/^ARG.*//m } ],
	[ 'no full name with a tag', sub { s/^FROM \S+/FROM postgres/m } ],
	[ 'not known', sub { s/^WORKDIR/WORKDIRECTORY/m } ],
	[ 'no shell command', sub { s/^RUN make/RUN if make/m } ], [ 'before any stage', sub { s/^/WORKDIR \/\n/ } ],
	[ 'packages of lists of another time', sub { s/^RUN apt-get update && /RUN /m } ],
	[ 'an empty line within', sub { s/\\\n/\\\n\n/ } ], [ 'no instruction', sub { s/^COPY/copy/m } ],
	[ 'no such file', sub { s/^COPY \. /COPY nowhere /m } ],
);
for my $case (@spoilt) {
	my ($problem, $spoil) = @$case;
	local $_ = $container;
	$spoil->();
	like(join("\n", container_problems($_)), qr/^\Q$problem\E/m, "... and this is found: $problem");
}
my ($major) = $container =~ /^ARG MAJOR=(\d+)$/m;
ok((grep { $_ == $major } @majors), 'the major of its image is one that is supported');
ok(-e, "what the image takes of the source is there: $_") for $container =~ m{^COPY --from=build /source/(\S+)}mg;

# ---- building packages ----

# Somebody who is not root, and a root without the program.
my $copy = CheckoutTest->new;
SKIP: {
	skip 'this is no checkout of git', 4 if !$copy;
	mkdir $copy->dir . '/.git/bin' or die "cannot make a directory: $!\n";
	$copy->spew('.git/bin/id', "#!/bin/sh\necho 1000\n");
	chmod 0755, $copy->dir . '/.git/bin/id';
	local $ENV{PATH} = $copy->dir . "/.git/bin:$ENV{PATH}";
	is_deeply([ $copy->run('./dev', 'package') ], [ 1, "package: chroots are made by root alone: run it as root\n" ],
		'packages are built by root, which is said in a sentence');
	$copy->spew('.git/bin/id', "#!/bin/sh\necho 0\n");
	is_deeply([ $copy->run('./dev', 'package', '--base', '/nowhere') ],
		[ 1, "package: /nowhere is no chroot of Debian\n" ], '... from a base that is there');
	is_deeply([ $copy->run('./dev', 'package', '--quick') ],
		[ 1, "package: there is no option --quick, only --base DIR and --into DIR\n" ],
		'... by options that there are');
	$copy->must(qw(rm -rf .git/HEAD));
	like(($copy->run('./dev', 'package', '--base', '/'))[1], qr/^package: what is packaged is what git has committed/m,
		'... in a checkout');
}

done_testing;
