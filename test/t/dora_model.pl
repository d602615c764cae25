# The metrics of delivery against a model: a random history of a pipeline is loaded, and what each deployment brought,
# whether it failed and when that was over is computed from it in Perl, which knows nothing of the statements in
# sql/report/dora.sql.

use strict;
use warnings;
use Test::More;
use PromoteTest;

my $seed = $ENV{SEED} // 1;
srand $seed;
my @environments = qw(dev staging production);
my @components   = qw(a b c);
my (%revisions, %deployments, %reports, @load);

sub at { my ($seconds) = @_; return "'2026-01-05'::timestamptz + $seconds * interval '1 second'" }
sub pick { return $_[ int rand @_ ] }

# ---- a history ----

# Each component of each environment has revisions, edited or taken from upstream or rolled back, and deployments of
# them, one behind the other, some of which fail; of some of these checks say that they are not healthy.
my $now = 0;
for my $component (@components) {
	for my $step (1 .. 60) {
		my $place = int rand 3;
		my ($environment, $upstream) = ($environments[$place], $place ? $environments[ $place - 1 ] : undef);
		my $made = $revisions{$environment}{$component} //= [];
		my $origin = pick('edit', $upstream ? ('promotion') x 3 : (), @$made > 1 ? 'rollback' : ());
		my $from = $origin eq 'promotion' ? $upstream : $origin eq 'rollback' ? $environment : undef;
		my $source = $from ? scalar @{ $revisions{$from}{$component} // [] } : 0;
		$origin = 'edit' if $from && !$source;
		$source = 1 + int rand($source) if $origin eq 'rollback';
		$now += 1 + int rand 7200;
		push @$made, { at => $now, origin => $origin, from => $origin eq 'edit' ? undef : $from, source => $source };
		next if rand() < 0.3;
		for (1 .. 1 + int rand 2) {
			my $done = $deployments{$environment}{$component} //= [];
			my $started = $now += 1 + int rand 3600;
			my $finished = $now += 1 + int rand 3600;
			push @$done,
			  { number => @$done + 1, revision => scalar @$made, started => $started, finished => $finished,
				status => rand() < 0.2 ? 'FAILED' : 'COMPLETED',
				action => rand() < 0.1 ? 'DECOMMISSION' : 'PROVISION' };
			next if $done->[-1]{action} ne 'PROVISION' || $done->[-1]{status} ne 'COMPLETED' || rand() < 0.6;
			for (1 .. 1 + int rand 5) {
				my $check = pick('smoke', 'load');
				push @{ $reports{$environment}{$component}{$check} },
				  { at => $now += 1 + int rand 600, healthy => rand() < 0.5, of => $done->[-1]{number} };
			}
		}
	}
}

# ---- loading it ----

for my $environment (@environments) {
	for my $component (@components) {
		my @made = @{ $revisions{$environment}{$component}   // [] };
		my @done = @{ $deployments{$environment}{$component} // [] };
		my $of = "'$environment', '$component'";
		push @load, sprintf "pg_temp.told_instance($of, %d, %d)", scalar @made, scalar @done;
		for my $i (0 .. $#made) {
			my $r = $made[$i];
			push @load, sprintf "pg_temp.told_revision($of, %d, %s, '%s', %s, %s)", $i + 1, at($r->{at}), $r->{origin},
			  $r->{from} ? "'$r->{from}'" : 'NULL', $r->{from} ? $r->{source} : 'NULL';
		}
		push @load, map { sprintf "pg_temp.told_deployment($of, %d, %d, %s, %s, '%s', '%s')", $_->{number},
			$_->{revision}, at($_->{started}), at($_->{finished}), $_->{status}, $_->{action} } @done;
		for my $check (sort keys %{ $reports{$environment}{$component} // {} }) {
			my @said = @{ $reports{$environment}{$component}{$check} };
			push @load, map { sprintf "pg_temp.told_health($of, '$check', %d, %s, %d, %s)", $_ + 1,
				$said[$_]{healthy} ? 'true' : 'false', $said[$_]{of}, at($said[$_]{at}) } 0 .. $#said;
		}
	}
}

# ---- the model ----

# When the change was made that a revision is.
sub made_at {
	my ($environment, $component, $number) = @_;
	my $r = $revisions{$environment}{$component}[ $number - 1 ];
	return $r->{from} ? made_at($r->{from}, $component, $r->{source}) : $r->{at};
}

my (@changes, @outcomes);
for my $environment (@environments) {
	for my $component (@components) {
		my @done = @{ $deployments{$environment}{$component} // [] };
		my $ran = 0;
		for my $i (0 .. $#done) {
			my $d = $done[$i];
			next if $d->{action} ne 'PROVISION';
			my @later = @done[ $i + 1 .. $#done ];
			my $rolled_back = @later
			  && $revisions{$environment}{$component}[ $later[0]{revision} - 1 ]{origin} eq 'rollback';
			my $broken = $d->{status} eq 'FAILED' || $rolled_back;
			my ($ill, $healed, $all) = (undef, 0, 1);
			for my $said (values %{ $reports{$environment}{$component} // {} }) {
				my ($first) = grep { !$_->{healthy} && $_->{of} == $d->{number} } @$said or next;
				$ill = $first->{at} if !defined $ill || $first->{at} < $ill;
				my ($well) = grep { $_->{healthy} && $_->{at} > $first->{at} } @$said;
				$all = 0 if !$well;
				$healed = $well->{at} if $well && $well->{at} > $healed;
			}
			my $failed = $ill // ($broken ? $d->{finished} : undef);
			my ($next) = grep { $_->{action} eq 'PROVISION' && $_->{status} eq 'COMPLETED' } @later;
			my @ends = defined $failed
			  ? (($next ? $next->{finished} : ()), (!$broken && $all ? $healed : ())) : ();
			my ($restored) = sort { $a <=> $b } @ends;
			push @outcomes, join ' ', $environment, $component, $d->{number}, $failed // '-', $restored // '-';
			next if $d->{status} ne 'COMPLETED';
			push @changes, map { join ' ', $environment, $component, $d->{number}, $_,
				$d->{finished} - made_at($environment, $component, $_) }
			  grep { $revisions{$environment}{$component}[ $_ - 1 ]{origin} ne 'rollback' } $ran + 1 .. $d->{revision};
			$ran = $d->{revision};
		}
	}
}

# ---- what the functions say ----

my $node = PromoteTest->new;
$node->create_promote('model');
my $fixture = PromoteTest::slurp('test/fixtures/dora.sql');
my $seconds = sub { "coalesce(round(extract(epoch FROM $_[0]))::bigint::text, '-')" };
my $origin = "'2026-01-05'::timestamptz";
my $said = $node->query('model', "SET TimeZone = 'UTC'; SET client_min_messages = error; BEGIN;\n$fixture\n"
	. join('', map { "DO \$do\$ BEGIN PERFORM $_; END \$do\$;\n" } @load) . qq{
	SELECT 'outcome ' || concat_ws(' ', environment, component, deployment,
		@{[ $seconds->("failed_at - $origin") ]}, @{[ $seconds->("restored_at - $origin") ]})
	  FROM promote_internal.dora_outcomes('told', '-infinity', 'infinity');
	SELECT 'change ' || concat_ws(' ', environment, component, deployment, revision,
		@{[ $seconds->('ran_at - made_at') ]})
	  FROM promote_internal.dora_changes('told', '-infinity', 'infinity');
	SELECT 'deployments ' || concat_ws(' ', environment, component, deployments, failed)
	  FROM promote.dora_deployments('told', '2026-01-01', '2027-01-01', 'all') WHERE component IS NOT NULL;
	COMMIT;});
my %found;
push @{ $found{$1} }, $2 while $said =~ /^(outcome|change|deployments) (.*)$/mg;
my %count;
for my $environment (@environments) {
	for my $component (@components) {
		my @provisions = grep { $_->{action} eq 'PROVISION' } @{ $deployments{$environment}{$component} // [] };
		$count{"$environment $component " . (grep { $_->{status} eq 'COMPLETED' } @provisions) . ' '
			. (grep { $_->{status} eq 'FAILED' } @provisions)} = 1 if @provisions;
	}
}
cmp_ok(scalar @outcomes, '>', 50, "there is a history (seed $seed)");
cmp_ok(scalar(grep { !/- -$/ } @outcomes), '>', 10, '... with failures');
cmp_ok(scalar @changes, '>', 30, '... and changes');
is_deeply([ sort @{ $found{deployments} } ], [ sort keys %count ], 'deployments are those of the model');
is_deeply([ sort @{ $found{change} } ], [ sort @changes ], 'changes and their lead times, too');
is_deeply([ sort @{ $found{outcome} } ], [ sort @outcomes ], 'and what failed, when, and until when');

done_testing;
