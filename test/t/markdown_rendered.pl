# What plan_markdown writes means to renderers of Markdown what it says, whatever somebody has written in names, values
# and messages: cmark-gfm, which GitHub's own is made of, and markdown-it, as far as they are there.

use strict;
use warnings;
use Test::More;
use PromoteTest;

my $python = '/usr/bin/python3';
my %renderer = (
	'cmark-gfm' => ['cmark-gfm', '-e', 'table', '-e', 'autolink', '-e', 'strikethrough', '--unsafe', '-t', 'html'],
	'markdown-it' => [$python, '-c', 'import sys; from markdown_it import MarkdownIt; '
		. 'sys.stdout.write(MarkdownIt("gfm-like", {"linkify": False, "html": True}).render(sys.stdin.read()))'],
);

# Renders a text, or returns undef where the program is not there.
sub rendered {
	my ($program, $text) = @_;
	open my $in, '>', "/tmp/promote_markdown.$$" or die "cannot write: $!\n";
	print $in $text;
	close $in;
	my $html = do {
		local *STDERR;
		open STDERR, '>', '/dev/null';
		my $command = join ' ', map { "'$_'" } @{ $renderer{$program} };
		`$command < /tmp/promote_markdown.$$ 2>/dev/null`;
	};
	unlink "/tmp/promote_markdown.$$";
	return $? == 0 ? $html : undef;
}

my @there = grep { defined rendered($_, 'x') } sort keys %renderer;
plan skip_all => 'neither cmark-gfm nor markdown-it is there (Debian: cmark-gfm, python3-markdown-it)' if !@there;
diag("not there, so not asked: $_") for grep { my $one = $_; !grep { $_ eq $one } @there } sort keys %renderer;

# What somebody might write, each to be shown as it is.
my @hostile = (
	'a | b', '`', '``` x', 'a`b``c', '<script>alert(1)</script>', '</code></td></tr></table></details><h1>x',
		'@everyone',
	'see #123 and GH-1', 'https://evil.example/', 'www.evil.example', 'a@evil.example', '[x](javascript:alert(1))',
	'![x](https://evil.example/x.png)', '**bold** _it_ ~~no~~', '\\| \\', 'a\\|b|', '&lt;b&gt; &amp; &#64;',
		'<!-- x', '| --- |',
	'# x', '- x', '1. x', ' leading and trailing ', ':smile:', '$x$', '日本語 ｗｉｄｅ', '"quoted" \'single\'');

my $node = PromoteTest->shop('shop', q{
	INSERT INTO promote.environment (project, environment) VALUES ('shop', 'staging');
	INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'db', 'postgres');
	INSERT INTO promote.instance (project, environment, component) VALUES ('shop', 'staging', 'db');
});
my %quoted = map { $_ => q{'} . s/'/''/gr . q{'} } @hostile;
my $values = join ', ', map { "($_, $quoted{$hostile[$_]})" } 0 .. $#hostile;
$node->query('shop', "SELECT promote.configure_instance('shop-staging-db', (SELECT jsonb_object_agg('k' || n, v) || "
	. "jsonb_object_agg('key ' || v, n) FROM (VALUES $values) AS x (n, v)) || '{\"size\": 1}', message => (SELECT "
	. "string_agg(v, E'\\n') FROM (VALUES $values) AS x (n, v)))");
$node->query('shop', "INSERT INTO promote.freeze_window (name, project, reason, during) SELECT 'f' || n, 'shop', v, "
	. "'[2020-01-01,2100-01-01)' FROM (VALUES $values) AS x (n, v)");
my $plan = $node->query('shop', "SELECT promote.plan_markdown('shop-staging-db')");

# HTML as what a reader sees.
sub seen {
	my ($html) = @_;
	my %entity = (lt => '<', gt => '>', amp => '&', quot => '"', '#39' => q{'});
	return $html =~ s/<[^>]*>//gr =~ s/&(lt|gt|amp|quot|#39);/$entity{$1}/gr;
}

for my $program (@there) {
	my $html = rendered($program, $plan);
	my %cells = map { seen($_) => 1 } $html =~ m{<td>(.*?)</td>}gs;
	for my $n (0 .. $#hostile) {
		my $value = $hostile[$n];
		my $json = '"' . ($value =~ s/([\\"])/\\$1/gr) . '"';
		ok($cells{$json}, "$program: value $value");
		ok($cells{"freeze \"f$n\" is on: $value"}, "$program: reason $value");
		ok((grep { index($_, $value =~ s/(["\\])/\\$1/gr) >= 0 && /^\./ } keys %cells) > 0, "$program: key $value");
	}
	my $shown = seen($html);
	like($shown, qr/Why: .*\@everyone see \#123/, "$program: the message is a line");
	# Whatever somebody wrote is code, of which nobody makes a mention, a reference or a link.
	my $outside = $html =~ s{<code[^>]*>.*?</code>}{}gsr;
	unlike($outside, qr/everyone|#123|evil|script|smile/, "$program: it is code, all of it");
	unlike($html, qr/<(?!\/?(?:h2|h3|ul|li|p|code|table|thead|tbody|tr|th|td|details|summary|pre|em|strong)\b)/,
		"$program: there is no other element");
	is(() = $html =~ /<tr>/g, 2 + 2 * @hostile + 3 + 1 + 1 + @hostile, "$program: the rows are the rows")
	  or diag($html);
}

# Characters that nobody sees, or that turn the line, are shown by their number; a long value is cut.
$node->query('shop', q{SELECT promote.configure_instance('shop-staging-db', jsonb_build_object('size', 2,
	'turned', U&'a\202Eb\2066c', 'hidden', U&'a\200Bb\FEFF\E0041' || chr(917569), 'long', repeat('x', 1000000)))});
my $turned = $node->query('shop', "SELECT promote.plan_markdown('shop-staging-db')");
like($turned, qr/"a\[U\+202E\]b\[U\+2066\]c"/, 'bidi controls are seen');
like($turned, qr/"a\[U\+200B\]b\[U\+FEFF\][^"]*\[U\+E0041\]"/, 'so is what has no width');
like($turned, qr/"x{299} \.\.\. \(999702 more characters\)/, 'a megabyte is cut');
unlike($turned, qr/[\x00-\x09\x0b-\x1f\x7f]|\xe2\x80[\x8b-\x8f\xa8-\xae]/, 'nothing of the kind is left');

done_testing();
