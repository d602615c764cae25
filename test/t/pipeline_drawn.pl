# Graphviz draws what pipeline_dot writes, and Mermaid, in a browser, what pipeline_mermaid writes: one graph, in which
# whatever somebody wrote is text.

use strict;
use warnings;
use Encode ();
use JSON::PP;
use Test::More;
use ClientTest;
use PromoteTest;

my $hostile = q{the | "auditors" `are` <script>x</script> @all #1; \\ \n [a](b) ]--> n9{{x}} %% 1. &amp; 日本};
my $decoded = Encode::decode('UTF-8', $hostile);
my $node = PromoteTest->shop('shop', q{
	INSERT INTO promote.environment (project, environment) VALUES ('shop', 'staging'), ('shop', 'production');
	INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
		VALUES ('shop', 'staging', 'production');
	INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'db', 'postgres');
	INSERT INTO promote.instance (project, environment, component)
		VALUES ('shop', 'staging', 'db'), ('shop', 'production', 'db');
	SELECT promote.configure_instance('shop-staging-db', '{}');
});
$node->query('shop', q{INSERT INTO promote.freeze_window (name, project, environment, reason, during)
	VALUES ('f', 'shop', 'production', '} . $hostile =~ s/'/''/gr . q{', '[2020-01-01,2100-01-01)')});

# Runs a program with a text as its input: what it prints, or undef where it fails or is not there.
sub drawn {
	my ($text, $command) = @_;
	my $path = $node->dir . '/graph';
	open my $file, '>', $path or die "cannot write $path: $!\n";
	print $file $text;
	close $file;
	my $out = `$command < $path 2>&1`;
	return $? == 0 ? $out : undef;
}

# HTML's entities as what they stand for.
sub plain {
	my ($text) = @_;
	my %entity = (lt => '<', gt => '>', amp => '&', quot => '"', nbsp => ' ');
	return $text =~ s/&(?:#(\d+)|(lt|gt|amp|quot|nbsp));/$1 ? chr $1 : $entity{$2}/ger =~ s/\xa0| +/ /gr;
}

SKIP: {
	skip 'no dot (Debian: graphviz)', 4 if !defined drawn("graph {}\n", 'dot -Tsvg');
	my $svg = drawn($node->query('shop', "SELECT promote.pipeline_dot('shop')"), 'dot -Tsvg');
	ok(defined $svg, 'dot draws it');
	my @texts = map { plain($_) } ($svg // '') =~ m{<text[^>]*>(.*?)</text>}g;
	is(scalar(grep { /^staging$|^production$|^1 never_deployed$/ } @texts), 4,
		'dot: the environments with their states')
	  or diag(@texts);
	ok((grep { index($_, $hostile =~ s/ +/ /gr) >= 0 } @texts) == 1, 'dot: what somebody wrote is text')
	  or diag(@texts);
	is(() = ($svg // '') =~ /class="(?:node|edge)"/g, 3, 'dot: two nodes and a path');
}

SKIP: {
	my $browser = ClientTest::program('chromium');
	skip 'no browser (Debian: chromium), or no node with the packages puppeteer-core and mermaid', 6
		if !$browser || !ClientTest::node_has('puppeteer-core', 'mermaid/dist/mermaid.min.js');
	my $out = drawn($node->query('shop', "SELECT promote.pipeline_mermaid('shop')"),
		"node test/clients/mermaid.cjs $browser");
	my $seen = eval { decode_json($out) } or diag($out);
	is_deeply([ sort @{ $seen->{nodes} } ], [ map { "$_\n1 never_deployed" } qw(production staging) ],
		'Mermaid draws the environments with their states');
	is(scalar @{ $seen->{words} }, 1, '... a path with words');
	ok(index($seen->{words}[0] =~ s/\s+/ /gr, $decoded =~ s/ +/ /gr) >= 0, '... in which what somebody wrote is text')
	  or diag($seen->{words}[0]);
	is_deeply($seen->{paths}, [ JSON::PP::true ], '... dashed, as it is blocked');
	is($seen->{odd}, 0, '... and no markup');
	is_deeply([ @$seen{qw(messages requests)} ], [ [], [] ], '... nothing is complained of, and nothing loaded');
}

done_testing();
