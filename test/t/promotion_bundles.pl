# Real bundles: their schemas are accepted, their presets are as valid as they say, and every preset promoted onto
# every other one arrives as it was, but for what is marked.  The data is not part of the project: it is read from
# PROMOTE_DATA, or from where the project's makers keep it, and without it there is nothing to test.

use strict;
use warnings;
use Test::More;
use JSON::PP;
use PromoteTest;

my $data = ($ENV{PROMOTE_DATA} || '../shared/data') . '/bundles';
my @bundles = sort grep { -f "$_/params.schema.published.json" } glob "$data/*";
plan skip_all => 'no data: set PROMOTE_DATA' if !@bundles;

my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my $node = PromoteTest->new;
$node->create_promote('bundles');
$node->query('bundles', q{
	INSERT INTO promote.project (project) VALUES ('p');
	INSERT INTO promote.environment (project, environment) VALUES ('p', 'staging'), ('p', 'production')});

sub quoted { my ($text) = @_; $text =~ s/'/''/g; return "'$text'" }

# A document as a literal: what is in the file, untouched but for encoding.
sub literal { return quoted($json->encode($_[0])) . '::jsonb' }

sub refusal {
	my ($sql) = @_;
	my ($rc, $out, $err) = $node->psql('bundles', "\\set VERBOSITY sqlstate\n$sql");
	return $rc == 0 ? 'accepted' : $err =~ /ERROR:\s+(\w{5})/ ? $1 : $err;
}

my @refused;
for my $bundle (@bundles) {
	my ($name) = $bundle =~ m{([^/]+)$};
	my $component = $name =~ tr/-/_/r;
	my $schema  = $json->decode(PromoteTest::slurp("$bundle/params.schema.published.json"));
	my $presets = $json->decode(PromoteTest::slurp("$bundle/presets.json"));

	is(refusal("INSERT INTO promote.bundle VALUES ('$name');
		INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('$name', '1.0.0', "
			. literal($schema) . ');
		INSERT INTO promote.component (project, component, bundle) VALUES (' . "'p', '$component', '$name');
		INSERT INTO promote.instance (project, environment, component)
		VALUES ('p', 'staging', '$component'), ('p', 'production', '$component')"),
		'accepted', "$name: the published schema is accepted");

	# As written it may refer to documents elsewhere, which a database does not fetch.
	my $written = $json->decode(PromoteTest::slurp("$bundle/params.schema.json"));
	my $remote = $json->encode($written) =~ /"\$ref":"(?!#)/;
	is(refusal('SELECT promote.jsonb_schema_check(' . literal($written) . ')'), 'accepted',
		"$name: the schema as written is accepted");
	is(refusal("SELECT promote.jsonb_schema_valid('{}', " . literal($written) . ')'), $remote ? 'PM106' : 'accepted',
		'... and ' . ($remote ? 'refused for what it refers to when it is used' : 'can be used'));

	for my $preset (@$presets) {
		is($node->query('bundles', 'SELECT promote.jsonb_schema_defaults(' . literal($preset->{params}) . ', '
			. literal($schema)
				. ') = ' . literal($preset->{params_with_defaults})), 't',
					"$name, $preset->{preset}: with the defaults filled in");
		for my $form (['params', 'valid_as_written'], ['params_with_defaults', 'valid_with_defaults']) {
			my ($params, $flag) = @$form;
			is($node->query('bundles', 'SELECT promote.jsonb_schema_valid(' . literal($preset->{$params}) . ', '
				. literal($schema) . ')'),
				$preset->{$flag} ? 't' : 'f', "$name, $preset->{preset}: $flag");
		}
	}

	# As the release's own: refused is one whose values no completion mends, and none that its defaults make valid.
	for my $number (0 .. $#$presets) {
		my $preset = $presets->[$number];
		my $published = refusal("INSERT INTO promote.bundle_release (bundle, version, params_schema, presets) VALUES"
			. " ('$name', '2.$number.0', " . literal($schema) . ', '
			. literal({ $preset->{preset} => $preset->{params} }) . ')');
		push @refused, "$name $preset->{preset}: $published" if $published ne 'accepted';
		next if !$preset->{valid_with_defaults};
		is($published, 'accepted', "$name, $preset->{preset}: is a preset");
		my $environment = "preset-$number";
		is($node->query('bundles', "INSERT INTO promote.environment (project, environment)
			VALUES ('p', '$environment') ON CONFLICT DO NOTHING;
			INSERT INTO promote.instance (project, environment, component) VALUES ('p', '$environment', '$component');
			SELECT count(*) FROM promote.configure_instance('p-$environment-$component', '{}', '2.$number.0',
				preset => " . quoted($preset->{preset}) . ", fill_defaults => true);
			SELECT params = " . literal($preset->{params_with_defaults})
				. " FROM promote.config_as_of('p-$environment-$component')"), "1\nt",
			'... that an instance begins with');
	}

	# Every ordered pair of those that are valid with their defaults.
	my @valid = grep { $_->{valid_with_defaults} } @$presets;
	my ($pairs, @wrong) = (0);
	for my $from (@valid) {
		for my $to (@valid) {
			$pairs++;
			# inserted, for an edit is a merge patch and would keep what the preset before had
			my $replace = sub {
				my ($environment, $preset) = @_;
				my $params = literal($preset->{params_with_defaults});
				return "INSERT INTO promote.config (project, params) VALUES ('p', $params) ON CONFLICT DO NOTHING;
					INSERT INTO promote.revision (project, environment, component, digest, version_constraint)
					VALUES ('p', '$environment', '$component', promote.config_digest('p', $params), '1.0.0');";
			};
			my $result = $node->query('bundles', $replace->('staging', $from) . $replace->('production', $to)
				. "SELECT count(*) FROM promote.promote_instance('p-staging-$component', 'p-production-$component');
				   SELECT params = " . literal($from->{params_with_defaults})
				   	. " FROM promote.config_as_of('p-production-$component')");
			push @wrong, "$from->{preset} -> $to->{preset}" if $result !~ /t\s*$/;
		}
	}
	# And with a mark, which none of these schemas has: the first property is not copied.
	my ($marked) = sort keys %{ $schema->{properties} };
	local $schema->{properties}{$marked} = { %{ $schema->{properties}{$marked} }, '$md.copyable' => JSON::PP::false };
	my @kept_wrong;
	for my $from (@$presets) {
		for my $to (@$presets) {
			my ($source, $own) = ($from->{params}, $to->{params});
			my %expected = %$source;
			delete $expected{$marked};
			$expected{$marked} = $own->{$marked} if exists $own->{$marked};
			push @kept_wrong, "$from->{preset} -> $to->{preset}"
				if $node->query('bundles', 'SELECT promote.compose_params(' . literal($source) . ', ' . literal($own)
					. ', '
					. literal($schema) . ') = ' . literal(\%expected)) ne 't';
		}
	}
	is("@kept_wrong", '', "$name: with $marked not copyable the destination keeps its own") if @$presets;
	is("@wrong", '', "$name: $pairs pairs of presets are promoted as they are") if $pairs;
}
is("@refused", (grep { /gcp-cloud-sql-postgres$/ } @bundles) ? 'gcp-cloud-sql-postgres Staging: PM103' : '',
	'the one preset that its schema refuses is refused');
is($node->query('bundles', 'SELECT count(*) FROM promote.verify_audit()'), '0', 'the record of it all is whole');

done_testing();
