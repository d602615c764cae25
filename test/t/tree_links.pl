# The documents lead where they say: every link has its file and its heading, doc/README.md names every page, every file
# that a text of ours mentions below doc/ is there, and so is every source that the page about the architecture names.

use strict;
use warnings;
use File::Basename qw(dirname);
use File::Find qw(find);
use Test::More;
use PromoteTest;

my %anchors;    # of each page, by its path

# A heading's anchor as GitHub makes it: lower case, without what is neither a word's, a blank nor a dash.
sub anchors {
	my ($page) = @_;
	return $anchors{$page} if $anchors{$page};
	my ($fenced, %seen, %found);
	for my $line (split /\n/, PromoteTest::slurp($page)) {
		$fenced = !$fenced if $line =~ /^```/;
		next if $fenced || $line !~ /^#+ +(.*?) *$/;
		my $anchor = lc($1 =~ s/\[([^\]]*)\]\([^)]*\)/$1/gr) =~ s/[^\w\- ]//gr =~ tr/ /-/r;
		$found{ $seen{$anchor}++ ? "$anchor-" . ($seen{$anchor} - 1) : $anchor } = 1;
	}
	return $anchors{$page} = \%found;
}

# A path without its "." and ".." steps.
sub normal {
	my ($path) = @_;
	my @steps;
	for my $step (split m{/}, $path) {
		if ($step eq '..') { pop @steps }
		elsif ($step ne '.') { push @steps, $step }
	}
	return join '/', @steps;
}

# What is wrong with the links of a page.
sub dead_links {
	my ($page) = @_;
	my $text = PromoteTest::slurp($page) =~ s/^```.*?^```//gmsr =~ s/`[^`\n]*`//gr;
	my @dead;
	while ($text =~ /\]\(([^)\s]+)\)/g) {
		my $link = $1;
		next if $link =~ m{^https?://};
		my ($path, $anchor) = split /#/, $link, 2;
		my $target = $path eq '' ? $page : normal(dirname($page) . "/$path");
		push @dead, "$link: there is no $target" and next if !-e $target;
		push @dead, "$link: $target has no such heading" if defined $anchor && !anchors($target)->{$anchor};
	}
	return @dead;
}

my (@pages, @texts);
find({ no_chdir => 1, wanted => sub {
	my $file = normal($_);
	push @pages, $file if $file =~ /\.md$/;
	push @texts, $file if -f $_ && $file =~ /\.(?:[chm]|md|sql|spec|p[lm]|py)$|^dev$|worker$|README/
		&& $file !~ m{^test/(?:output|t/tree_(?:links|layers))};
} }, grep { -e } qw(README.md CHANGELOG.md dev doc src sql test examples bench demo packaging));
cmp_ok(scalar(@pages), '>', 60, 'pages are found');
for my $page (sort @pages) {
	my @dead = dead_links($page);
	is("@dead", '', "$page: its links lead somewhere");
}

my $map = PromoteTest::slurp('doc/README.md');
my %named = map { ("doc/$_" => 1) } $map =~ /\]\(([^)#]+\.md)/g;
my @unnamed = grep { m{^doc/} && $_ ne 'doc/README.md' && !$named{$_} } sort @pages;
is("@unnamed", '', 'doc/README.md names every page');

for my $text (sort @texts) {
	my @gone = grep { !-e } PromoteTest::slurp($text) =~ m{\b(doc/[\w/-]+\.md)\b}g;
	is("@gone", '', "$text: the pages that it mentions are there") if @gone;
}

# A row of the table of rooms names its files without their room, or with another's.
my $rooms = PromoteTest::slurp('doc/explanation/architecture.md');
while ($rooms =~ /^\| `(\w+)` \|(.*)$/mg) {
	my ($room, $row) = ($1, $2);
	next if !-d "src/$room";
	my @gone = grep { !-e "src/$room/$_" && !-e "src/$_" } $row =~ m{`([\w/]+\.[ch])`}g;
	is("@gone", '', "architecture.md: the files of $room are there");
}

done_testing();
