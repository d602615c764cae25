# Pages in a browser, as people see them: nothing is loaded but the page, nothing runs and nothing is complained of,
# they fit a phone, follow the reader's scheme, say what the queries say, and a checker of accessibility finds nothing.

use strict;
use warnings;
use JSON::PP;
use Test::More;
use ClientTest;
use PromoteTest;

my $browser = ClientTest::program('chromium');
plan skip_all => 'no browser (Debian: chromium)' if !$browser;
plan skip_all => 'no node with the packages puppeteer-core and axe-core (npm install, and node_modules as NODE_PATH)'
	if !ClientTest::node_has('puppeteer-core', 'axe-core');

my $node = PromoteTest->shop('page', <<'SQL');
INSERT INTO promote.environment (project, environment, require_proven_release) VALUES ('shop', 'dev', false),
	('shop', 'staging', false), ('shop', 'production', false);
INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
	VALUES ('shop', 'dev', 'staging'), ('shop', 'staging', 'production'), ('shop', 'dev', 'production');
INSERT INTO promote.component (project, component, bundle) 
	VALUES ('shop', 'db', 'postgres'), ('shop', 'cache', 'postgres');
INSERT INTO promote.instance (project, environment, component)
	SELECT 'shop', e, c FROM unnest('{dev,staging,production}'::text[]) AS e, unnest('{db,cache}'::text[]) AS c;
SELECT promote.configure_instance('shop-dev-db', '{"size": 1}',
	message => '</td></tr></table><script>document.title = 1</script><img src=x onerror=alert(1)>' || U&'\202E');
SELECT promote.configure_instance('shop-dev-cache', '{"size": 1}');
SELECT promote.set_freeze('sale', 'shop', 'production', during => '[2020-01-01,2100-01-01)',
	reason => 'The <b>sale</b>');
INSERT INTO promote.project (project) VALUES ('large');
INSERT INTO promote.environment (project, environment) VALUES ('large', 'staging'), ('large', 'production');
INSERT INTO promote.component (project, component, bundle) 
	SELECT 'large', 'c' || n, 'postgres' FROM generate_series(1, 1000) AS n;
INSERT INTO promote.instance (project, environment, component)
	SELECT 'large', e, 'c' || n FROM unnest('{staging,production}'::text[]) AS e, generate_series(1, 1000) AS n;
SQL
my %call = (
	pipeline => q{promote.pipeline_html('shop')}, audit => q{promote.audit_html('shop-dev-db')},
	large => q{promote.pipeline_html('large')});
my %file = map { $_ => $node->dir . "/$_.html" } keys %call, 'broken';
for my $page (sort keys %call) {
	write_file($file{$page}, $node->query('page', "SELECT $call{$page}"));
}
# What the checks are worth: a page of which each has something to say.
write_file($file{broken}, '<!doctype html><html><head><title>x</title></head><body><h1>x</h1><p class="state">x</p>'
	. '<img src="https://nowhere.invalid/x.png" onerror="console.log(1)"><script>console.log(2)</script>'
	. '<div style="width: 3000px">x</div></body></html>');

my ($rc, $out, $err) = $node->run('timeout', 300, ClientTest::program('node'), 'test/clients/page.cjs', $browser,
	map { $file{$_} } sort keys %file);
is($rc, 0, 'the browser has seen all') or diag $err;
my @looks = map { decode_json($_) } split /\n/, $out;
is(scalar @looks, 16, 'four looks at each page');

for my $look (@looks) {
	my ($page) = $look->{file} =~ m{([a-z]+)\.html$};
	my $what = "$page at $look->{width} pixels, $look->{scheme}";
	if ($page eq 'broken') {
		ok(@{ $look->{messages} } > 1 && @{ $look->{requests} } > 1 && @{ $look->{violations} } && $look->{scripts}
			&& $look->{handlers} && $look->{overflow} > 0, "the checks find what is wrong: $what");
		next;
	}
	is_deeply($look->{messages}, [], "nothing is complained of: $what");
	is_deeply($look->{requests}, ["file://$look->{file}"], '... nothing is loaded');
	is_deeply($look->{violations}, [], '... nothing is in the way of a screen reader');
	is($look->{scripts} + $look->{handlers}, 0, '... nothing could run');
	cmp_ok($look->{overflow}, '<=', 0, '... it fits');
	ok($look->{styled}, '... it has its style');
	is($look->{background}, $look->{scheme} eq 'dark' ? 'rgb(18, 23, 30)' : 'rgb(255, 255, 255)', '... and scheme');
	next if $page ne 'large';
	cmp_ok($look->{bytes}, '<', 2_000_000, '... and is not too large');
	cmp_ok($look->{paint}, '<', 5000, "... nor slow: $look->{paint} ms");
}

my ($pipeline) = grep { $_->{file} eq $file{pipeline} } @looks;
my @shown = map { join ' ', $_->[0], map { /^\S+ ([a-z ]+)/ } @$_[1 .. 3] }
	grep { $_->[0] =~ /^(cache|db)$/ } @{ $pipeline->{rows} };
is(join("\n", @shown), $node->query('page', <<'SQL'), 'the table says what the matrix says');
SELECT m.component || ' ' || string_agg(replace(m.status, '_', ' '), ' ' ORDER BY m.place)
  FROM promote.matrix('shop') WITH ORDINALITY AS m (project, component, environment, instance, status, since, revision,
       version, digest, next, promotable, why_not, upstream, releases_behind, leaves_behind, artifact_digest, waits_for,
       desired_actor, desired_at, deployed_actor, deployed_at, place)
 GROUP BY m.component ORDER BY m.component
SQL
my ($freeze) = grep { $_->[0] =~ /^Freeze/ } @{ $pipeline->{rows} };
is($freeze->[0], 'Freeze sale (shop-production): The <b>sale</b>', 'the calendar has the freeze');
is(scalar(grep { /frozen\s*all week/ } @$freeze), 5, '... in this week and four more');
my ($queued) = grep { $_->[1] && $_->[1] eq 'shop-dev-db' } @{ $pipeline->{rows} };
is($queued->[5],
	'</td></tr></table><script>document.title = 1</script><img src=x onerror=alert(1)>[U+202E]',
	'what is hostile is text');
is($pipeline->{title}, 'Pipeline of shop', '... and does nothing');

done_testing();

# Write a file.
sub write_file {
	my ($name, $text) = @_;
	open my $out, '>', $name or die "cannot write $name: $!\n";
	print $out $text;
	close $out or die "cannot write $name: $!\n";
	return;
}
