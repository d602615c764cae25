# Graphviz draws what pipeline_dot writes, and Mermaid reads what pipeline_mermaid writes: one graph, in which whatever
# somebody wrote is text. What Mermaid makes of that in a browser is not looked at here.

use strict;
use warnings;
use Test::More;
use PromoteTest;

my $hostile = q{the | "auditors" `are` <script>x</script> @all #1; \\ \n [a](b) ]--> n9{{x}} %% 1. &amp; 日本};
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

my $mermaid = q{
const { JSDOM } = require('jsdom');
const dom = new JSDOM('<!DOCTYPE html><body></body>');
Object.assign(globalThis, { window: dom.window, document: dom.window.document });
const path = require('path'), url = require('url');
const where = (process.env.NODE_PATH || '').split(':').map((d) => path.join(d, 'mermaid/dist/mermaid.core.mjs'))
  .find((f) => require('fs').existsSync(f));
import(url.pathToFileURL(where)).then(async ({ default: mermaid }) => {
  mermaid.initialize({ startOnLoad: false });
  const graph = await mermaid.mermaidAPI.getDiagramFromText(require('fs').readFileSync(0, 'utf8'));
  const db = graph.db;
  console.log(JSON.stringify({ type: graph.type, nodes: [...db.getVertices().values()].map((v) => v.text || v.label),
    edges: db.getEdges().map((e) => ({ text: e.text, stroke: e.stroke })) }));
}).catch((e) => { console.error(e); process.exit(1); });
};
SKIP: {
	my $script = $node->dir . '/mermaid.cjs';
	open my $file, '>', $script or die "cannot write $script: $!\n";
	print $file $mermaid;
	close $file;
	skip 'no node with the packages mermaid and jsdom (npm install mermaid jsdom, and its node_modules as NODE_PATH)', 3
		if !defined drawn("flowchart LR\n    a --> b\n", "node $script");
	my $read = drawn($node->query('shop', "SELECT promote.pipeline_mermaid('shop')"), "node $script");
	like($read, qr/"type":"flowchart/, 'mermaid reads it');
	# what Mermaid keeps of an entity code until it draws
	my $seen = ($read // '') =~ s/\xef\xac\x82\xc2\xb0\xc2\xb0(\d+)\xc2\xb6\xc3\x9f/chr $1/ger;
	ok(index($seen =~ s/\\(.)/$1/gr, ($hostile =~ s/\\//gr)) >= 0 || index($seen, $hostile) >= 0,
		'mermaid: what somebody wrote is text') or diag($seen);
	is(() = $seen =~ /"stroke":/g, 1, 'mermaid: one path');
}

done_testing();
