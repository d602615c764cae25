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
SELECT promote.configure_instance('shop-dev-db', '{"size": 1}'),
	 promote.configure_instance('shop-dev-cache', '{"size": 1}');
SELECT promote.set_freeze('sale', 'shop', 'production', during => '[2020-01-01,2100-01-01)',
	reason => 'The <b>sale</b>');
INSERT INTO promote.grants (role, action) VALUES (current_user, 'work'), (current_user, 'override');
INSERT INTO promote.override_rule (project, environment, code, role)
	VALUES ('shop', 'production', 'freeze', current_user);
SET promote.actor = '<i>ana</i>';
CREATE FUNCTION work(failing text DEFAULT '^$') RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	claim record;
BEGIN
	LOOP
		SELECT * INTO claim FROM promote.claim_deployment('worker');
		EXIT WHEN NOT FOUND;
		IF claim.instance ~ failing AND claim.action = 'PROVISION' THEN
			PERFORM promote.fail_deployment(claim.instance, claim.deployment, 'it </p> broke', claim.fencing);
		ELSE
			PERFORM promote.complete_deployment(claim.instance, claim.deployment, claim.fencing);
		END IF;
	END LOOP;
END
$$;
SELECT promote.configure_instance('shop-production-db', '{"size": 1}'),
	promote.configure_instance('shop-staging-db', '{"size": 2}');
SELECT work();
SELECT promote.override_gate('shop-production-db', 1, 'freeze', 'they </td> agree');
SELECT promote.deploy_instance(i) FROM unnest('{shop-production-db,shop-dev-db,shop-dev-cache}'::text[]) AS i;
SELECT work('dev-cache');
SELECT promote.promote_instance('shop-staging-db', 'shop-production-db', '{"size": 3}',
	message => '</td></tr></table><script>document.title = 1</script><img src=x onerror=alert(1)>' || U&'\202E');
SELECT promote.open_request('shop', 'dev', 'staging', '{"components": ["db"]}', message => '<q>all</q> of it');
SELECT promote.preview_request('shop', 1);
INSERT INTO promote.project (project) VALUES ('large');
INSERT INTO promote.environment (project, environment) VALUES ('large', 'staging'), ('large', 'production');
INSERT INTO promote.component (project, component, bundle)
	SELECT 'large', 'c' || n, 'postgres' FROM generate_series(1, 1000) AS n;
INSERT INTO promote.instance (project, environment, component)
	SELECT 'large', e, 'c' || n FROM unnest('{staging,production}'::text[]) AS e, generate_series(1, 1000) AS n;
INSERT INTO promote.bundle VALUES ('wide');
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('wide', '1.0.0', '{}');
INSERT INTO promote.component (project, component, bundle) VALUES ('large', 'wide', 'wide');
INSERT INTO promote.instance (project, environment, component) VALUES ('large', 'staging', 'wide');
SELECT promote.configure_instance('large-staging-wide', (SELECT jsonb_object_agg('key' || n, repeat('<', 300))
	FROM generate_series(1, 1000) AS n));
SELECT promote.configure_instance('large-staging-c' || n, '{"size": 1}') FROM generate_series(1, 1000) AS n;
SQL
my %call = (
	pipeline => q{promote.pipeline_html('shop')}, audit => q{promote.audit_html('shop-dev-db')},
	history => q{promote.history_html('shop')}, plan => q{promote.review_html('shop-production-db')},
	request => q{promote.review_html('shop', 1)}, manycomponents => q{promote.pipeline_html('large')},
	manyevents => q{promote.history_html('large')}, manychanges => q{promote.review_html('large-staging-wide')});
my %file = map { $_ => $node->dir . "/$_.html" } keys %call, 'broken';
for my $page (sort keys %call) {
	write_file($file{$page}, $node->query('page', "SELECT $call{$page}"));
}
# What the checks are worth: a page of which each has something to say.
write_file($file{broken}, '<!doctype html><html><head><title>x</title></head><body><h1>x</h1><p class="state">x</p>'
	. '<img src="https://nowhere.invalid/x.png" onerror="console.log(1)"><script>console.log(2)</script>'
	. '<div style="width: 3000px">x</div></body></html>');

my ($rc, $out, $err) = $node->run('timeout', 600, ClientTest::program('node'), 'test/clients/page.cjs', $browser,
	map { $file{$_} } sort keys %file);
is($rc, 0, 'the browser has seen all') or diag $err;
my @looks = map { decode_json($_) } split /\n/, $out;
is(scalar @looks, 4 * keys(%file) - 2 * grep({ -s >= 200_000 } values %file),
	'four looks at each page, two at each large one');
my %heard;

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
	is_deeply($look->{printed}, { background => 'rgb(255, 255, 255)', folded => 0 },
		'... printed, it is light and whole');
	is($look->{heard}, $heard{$page} //= $look->{heard},
		'... its tables are heard as tables, however they are laid out');
	next if $page !~ /^many/;
	cmp_ok($look->{bytes}, '<', 2_000_000, '... and is not too large');
	cmp_ok($look->{paint}, '<', 5000, "... nor slow: $look->{paint} ms");
}

# What a page shows, by its name, at the width of a desk.
sub shown {
	my ($page) = @_;
	my ($look) = grep { $_->{file} eq $file{$page} && $_->{width} == 1200 } @looks;
	return $look;
}

my $pipeline = shown('pipeline');
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
my ($queued) = grep { $_->[1] && $_->[1] eq 'shop-production-db' } @{ $pipeline->{rows} };
is($queued->[5],
	'</td></tr></table><script>document.title = 1</script><img src=x onerror=alert(1)>[U+202E]',
	'what is hostile is text');
is($pipeline->{title}, 'Pipeline of shop', '... and does nothing');


# ---- history ----

my $history = shown('history');
is(join("\n", map { join ' ', $_->[1], $_->[2] =~ /(\w+)$/ } @{ $history->{tiles} }), $node->query('page', <<'SQL'),
SELECT string_agg(CASE WHEN s.metric IN ('lead time', 'time to restore')
           THEN promote_internal.length_words(s.value::interval) ELSE s.value END || ' ' || s.band, E'\n')
  FROM promote.dora_summary('shop', since => now() - interval '30 days') AS s
SQL
	'the numbers that matter are those of the metrics');
is(scalar @{ $history->{events} }, $node->query('page', <<'SQL'), 'all that happened is there');
SELECT (SELECT count(*) FROM promote.deployment_history WHERE project = 'shop' AND finished_at IS NOT NULL)
     + (SELECT count(*) FROM promote.change_history('shop'))
SQL
my ($failed) = grep { /failed/ } @{ $history->{events} };
like($failed, qr{of shop-dev-cache failed in .*: it </p> broke; revision 1, postgres 1\.0\.0, .* by <i>ana</i>},
	'... with who asked, and why it failed, as text');
my %words = map { $_->{title} => $_ } @{ $history->{figures} };
like($words{'Deployments by the day'}{words}, qr/^Deployments by the day\. \d{4}-\d\d-\d\d: 1\. $/,
	'plots say what they show');
is_deeply([ sort map { $_->{title} } grep { $_->{title} =~ /completed/ } @{ $history->{figures} } ],
	[ 'dev: 1 completed, 1 failed', 'production: 1 completed' ], 'each environment has its line');
cmp_ok($words{'dev: 1 completed, 1 failed'}{bars}[0][1], '>', $words{'production: 1 completed'}{bars}[0][1],
	'... where what failed is higher, not only red');
my ($ana) = grep { $_->[0] eq '<i>ana</i>' } @{ $history->{rows} };
is(join(' ', @$ana[1 .. 4]), $node->query('page', <<'SQL'), 'who did what, as the queries say');
SELECT concat_ws(' ', (SELECT count(*) FROM promote.change_history('shop') WHERE actor = '<i>ana</i>'),
       (SELECT count(*) FROM promote.deployment_history WHERE project = 'shop' AND finished_at IS NOT NULL
           AND actor = '<i>ana</i>'), 0, (SELECT count(*) FROM promote.gate_override))
SQL
my ($overridden) = grep { $_->[1] && $_->[1] eq 'freeze' } @{ $history->{rows} };
is($overridden->[5], 'they </td> agree', '... and what was overridden, and why');
is(scalar @{ shown('manyevents')->{events} }, 300, 'of much, the newest is there');

# ---- reviews ----

my $plan = shown('plan');
is_deeply([ map { $_->[0] } grep { @$_ == 6 } @{ $plan->{rows} } ],
	[ split /\n/, $node->query('page', q{SELECT code FROM promote.blockers('shop-production-db')}) ],
	'what stands in the way is what blocks');
is_deeply([ grep { ($_->[1] // '') eq '.size' } @{ $plan->{rows} } ], [ [ 'change', '.size', '1', '3', '' ] ],
	'what changes');
is(scalar(grep { ($_->[1] // '') =~ /^\.key/ } @{ shown('manychanges')->{rows} }), 1000,
	'... also of a thousand changes');
my $request = shown('request');
is($request->{heading}, 'Request 1 of shop: dev -> staging', 'a request');
is_deeply([ map { $_->[1] } grep { @$_ == 7 } @{ $request->{rows} } ], [ 'db' ], '... with its components');

done_testing();

# Write a file.
sub write_file {
	my ($name, $text) = @_;
	open my $out, '>', $name or die "cannot write $name: $!\n";
	print $out $text;
	close $out or die "cannot write $name: $!\n";
	return;
}
