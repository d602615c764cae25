# What pgspot, where somebody has it, finds in the install and upgrade scripts: nothing.

use strict;
use warnings;
use File::Temp ();
use Test::More;
use PromoteTest;

plan skip_all => 'no pgspot' if system('pgspot --version >/dev/null 2>&1') != 0;

# It knows bodies that are texts, parsed when they are called. Ours are parsed once, under the path of the script, which
# is what this hands to it.
sub with_text_bodies {
	my ($script) = @_;
	my $as_text = sub {
		my ($head, $body) = @_;
		$head .= ' SET search_path = pg_catalog, pg_temp' if $head !~ /\bSET search_path\b/;
		return "$head AS \$body\$$body\$body\$;";
	};
	$script =~ s/^(CREATE FUNCTION [^;\$]*?)^\s*BEGIN ATOMIC$(.*?)^\s*END;$/$as_text->($1, $2)/gmse;
	$script =~ s/^(CREATE FUNCTION [^;\$]*?)^\s*RETURN\b(.*?);$/$as_text->($1, "SELECT $2")/gmse;
	return $script;
}

# Its exit status, and all that it says of a script.
sub spot {
	my ($script) = @_;
	my $file = File::Temp->new(SUFFIX => '.sql');
	print $file with_text_bodies($script) or die "cannot write the script: $!\n";
	close $file or die "cannot write the script: $!\n";
	my $said = `pgspot '$file' 2>&1`;
	return ($? >> 8, $said);
}

my $parts = PromoteTest::slurp('sql/ORDER');
my $install = join '', map { PromoteTest::slurp("sql/$_.sql") } split ' ', $parts;
my %scripts = ('the install script' => $install, map { $_ => PromoteTest::slurp($_) } glob 'sql/promote--*--*.sql');
for my $name (sort keys %scripts) {
	my ($rc, $said) = spot($scripts{$name});
	is($said =~ s/^\s+|\s+$//gr, 'Errors: 0 Warnings: 0 Unknown: 0', "nothing is found in $name");
	is($rc, 0, '... and it was read to its end');
}

my ($rc, $said) = spot($install =~ s/^SET LOCAL search_path .*;$//mr);
isnt($rc, 0, 'without the path that it pins');
like($said, qr/^PS\d+: .*unqualified/mi, '... there is something to find');

done_testing;
