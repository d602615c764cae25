# Every query of examples/grafana runs as a role with nothing but "view", shows something of a project in which
# something happens, and has the columns that its panel is set up for. In the place of Grafana's macros and variables
# stands what Grafana puts there.

use strict;
use warnings;
use File::Basename qw(basename);
use JSON::PP;
use Test::More;
use PromoteTest;

my $node = PromoteTest->shop('board', <<'SQL');
CREATE ROLE looker LOGIN;
CREATE ROLE owners;
SELECT promote.grant_action('looker', 'view', 'shop');
INSERT INTO promote.environment (project, environment, require_proven_release)
	VALUES ('shop', 'staging', false), ('shop', 'production', false);
INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
	VALUES ('shop', 'staging', 'production');
INSERT INTO promote.component (project, component, bundle)
	VALUES ('shop', 'db', 'postgres'), ('shop', 'cache', 'postgres'), ('shop', 'web', 'postgres');
INSERT INTO promote.instance (project, environment, component)
	SELECT 'shop', e, c FROM unnest('{staging,production}'::text[]) AS e, unnest('{db,cache,web}'::text[]) AS c;
CREATE FUNCTION pg_temp.work(fails boolean DEFAULT false) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	claim record;
BEGIN
	FOR claim IN SELECT * FROM promote.claim_deployment('worker', max => 100) LOOP
		IF fails THEN
			PERFORM promote.fail_deployment(claim.instance, claim.deployment, 'the disk is full', claim.fencing);
		ELSE
			PERFORM promote.complete_deployment(claim.instance, claim.deployment, claim.fencing);
		END IF;
	END LOOP;
END
$$;
SELECT promote.configure_instance('shop-staging-db', '{"size": 1}', message => 'a start'); SELECT pg_temp.work();
SELECT promote.deploy_instance('shop-staging-db'); SELECT pg_temp.work(true);
SELECT promote.plan_instance('shop-staging-db'); SELECT pg_temp.work();
SELECT promote.deploy_instance('shop-staging-db'); SELECT pg_temp.work();
SELECT promote.configure_instance('shop-production-db', '{"size": 2}'); SELECT pg_temp.work();
SELECT promote.deploy_instance('shop-production-db'); SELECT pg_temp.work();
SELECT promote.promote_instance('shop-staging-db', 'shop-production-db'); SELECT pg_temp.work();
SELECT promote.configure_instance('shop-staging-db', '{"size": 3}', message => 'more', plan => false);
SELECT promote.set_approval_rule('shop', 'production', 'an owner', 'owners');
SELECT promote.set_override_rule('shop', 'production', 'freeze', 'owners');
SELECT promote.set_freeze('sale', 'shop', 'production', reason => 'the sale', during => '[2020-01-01,2100-01-01)');
GRANT owners TO postgres;
SELECT promote.override_gate('shop-production-db', 3, 'freeze', 'it burns');
SELECT promote.configure_instance('shop-staging-web', '{}');
SELECT promote.claim_deployment('worker');
SELECT promote.configure_instance('shop-staging-cache', '{"size": 1}');
SELECT promote.open_request('shop', 'staging', 'production', '{"components": ["cache"]}', ticket => 'SHOP-1');
SELECT promote.preview_request('shop', 1);
SELECT promote.advance_request('shop', 1);
SELECT promote.stop_line('something burns', 'shop');
SQL
my @looker = ('-U', 'looker');

# What Grafana puts in the place of its macros and of variables, quoted.
my %variable = (project => 'shop', environment => 'staging', period => 'week');
my ($from, $to) = map { "'" . $node->query('board', "SELECT to_char(now() AT TIME ZONE 'UTC' + interval '$_',
	'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')") . "'" } '-30 days', '1 day';
sub filled {
	my ($sql) = @_;
	$sql =~ s/\$__timeFilter\(([\w.]+)\)/$1 BETWEEN $from AND $to/g;
	$sql =~ s/\$__timeFrom\(\)/$from/g;
	$sql =~ s/\$__timeTo\(\)/$to/g;
	return $sql =~ s/\$\{(\w+):sqlstring\}/q{'} . ($variable{$1} \/\/ "no $1") . q{'}/ger;
}

# Runs a query, which has to succeed; the rows, and its columns with their types.
sub asked {
	my ($what, $sql) = @_;
	my $full = filled($sql);
	is(join(' ', $full =~ /\$\w*|\$\{.*?\}/g), '', "$what: variables are quoted, and macros known");
	my ($rc, $out, $err) = $node->psql('board', "$full;", @looker);
	is($rc, 0, '... it runs by "view" alone') or diag($full, $err);
	isnt($out, '', '... and shows something');
	# which Grafana's driver takes for no time
	unlike($out, qr/(?:^|\|)-?infinity(?:\||$)/m, '... nothing without an end');
	my ($typed, $types) = $node->psql('board', "$full \\gdesc", @looker);
	return ($out, map { [ split /\|/ ] } split /\n/, $types);
}

my @files = sort glob 'examples/grafana/*.json';
cmp_ok(scalar @files, '>=', 4, 'there are dashboards');
my $readme = PromoteTest::slurp('examples/grafana/README.md');
my %uid;
for my $path (@files) {
	my $file = basename($path);
	my $board = JSON::PP->new->utf8->decode(PromoteTest::slurp($path));
	like($readme, qr/`\Q$file\E`/, "$file: the README tells of it");
	ok($board->{title} && $board->{description} && !$uid{ $board->{uid} }++, '... it has a name of its own');
	my %known = map { $_->{name} => $_ } @{ $board->{templating}{list} };
	is($known{datasource}{query}, 'grafana-postgresql-datasource', '... and asks for its data source');
	asked("$file: variable $_->{name}", $_->{query}) for grep { $_->{type} eq 'query' } values %known;
	my (%id, @places);
	for my $panel (@{ $board->{panels} }) {
		my $what = "$file: $panel->{title}";
		ok($panel->{title} && $panel->{description} && !$id{ $panel->{id} }++, "$what is explained");
		is_deeply([ map { $_->{datasource}{uid} } $panel, @{ $panel->{targets} } ], [ ('${datasource}') x 2 ],
			'... and asks that data source');
		my ($target) = @{ $panel->{targets} };
		my @unknown = grep { !$known{$_} } $target->{rawSql} =~ /\$\{(\w+)/g;
		is("@unknown", '', '... by variables that there are');
		my ($rows, @columns) = asked($what, $target->{rawSql});
		check_columns($panel, $target, $rows, @columns);
		push @places, $panel->{gridPos};
	}
	is(overlaps(@places), '', "$file: no panel lies on another");
}

my ($annotation) = $readme =~ /^```\n(SELECT .*?)^```/ms;
my ($rows, @columns) = asked('README.md: annotations', $annotation =~ s/'ecomm'/'shop'/r);
is_deeply([ map { $_->[0] } @columns ], [qw(time text tags)], '... has what annotations are made of');

# What a dashboard shows is what its role may see.
is($node->query('board', "SET ROLE looker; SELECT count(*) FROM promote.deployment_history"), 3, 'it is all of it');
$node->query('board', "SELECT promote.grant_action('looker', 'view', 'shop', 'staging');
	SELECT promote.revoke_action('looker', 'view', 'shop')");
unlike(filled_rows('deployments.json', 'Deployments'), qr/production/, 'less is less');
like(filled_rows('deployments.json', 'Deployments'), qr/staging/, '... and not nothing');

done_testing();

# Are the columns those that a panel is set up for?
sub check_columns {
	my ($panel, $target, $text, @of) = @_;
	my %type = map { $_->[0] => $_->[1] } @of;
	my @lost = grep { !$type{$_} } map { $_->{matcher}{options} } @{ $panel->{fieldConfig}{overrides} };
	is("@lost", '', '... with the columns that are coloured or have a unit');
	my $number = qr/^(?:bigint|integer|numeric|double precision)$/;
	if ($panel->{type} eq 'timeseries') {
		is($target->{format}, 'time_series', '... as a series');
		is_deeply($of[0], [ 'time', 'timestamp with time zone' ], '... by time');
		is_deeply([ grep { $_->[1] !~ $number } @of[ 1 .. $#of ] ], [], '... of numbers');
		return;
	}
	is($target->{format}, 'table', '... as a table');
	return if $panel->{type} ne 'stat';
	is(scalar(split /\n/, $text), 1, '... of one row');
	is_deeply([ grep { $_->[1] !~ $number } @of ], [], '... of numbers');
	return;
}

# Two places of the grid that share a cell, or one beyond its 24 columns.
sub overlaps {
	my %taken;
	for my $place (@_) {
		for my $x ($place->{x} .. $place->{x} + $place->{w} - 1) {
			return "x=$x" if $x > 23;
			$taken{"$x,$_"}++ && return "$x,$_" for $place->{y} .. $place->{y} + $place->{h} - 1;
		}
	}
	return '';
}

# The rows of a panel.
sub filled_rows {
	my ($file, $title) = @_;
	my $board = JSON::PP->new->utf8->decode(PromoteTest::slurp("examples/grafana/$file"));
	my ($panel) = grep { $_->{title} eq $title } @{ $board->{panels} };
	my ($rc, $out) = $node->psql('board', filled($panel->{targets}[0]{rawSql}), @looker);
	return $out;
}
