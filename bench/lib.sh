# What the benchmarks in shell share. A script sets rounds and seconds, and has this read in its own directory.
#
# Every figure is the median over the rounds, in which the candidates take turns.

database=promote_bench_$$
scratch=$(mktemp -d)
bindir=$("${PG_CONFIG:-pg_config}" --bindir)

say() {
	printf 'bench: %s\n' "$*" >&2
}

sql() {
	"$bindir/psql" -X -q -A -t -v ON_ERROR_STOP=1 -d "$database" "$@"
}

cleanup() {
	"$bindir/dropdb" --if-exists "$database" 2>/dev/null || :
	rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# The average latency in microseconds of one script, NAME.sql, over some seconds or as many transactions as $length says.
latency() {
	# shellcheck disable=SC2086  # an option and its value
	"$bindir/pgbench" -n -M prepared -c 1 $length -D kb="$2" -f "$1.sql" "$database" 2>"$scratch/log" |
		sed -n 's/^latency average = \([0-9.]*\) ms.*/\1/p' | awk '{ printf "%.0f\n", $1 * 1000 }' || cat "$scratch/log" >&2
	if grep -q ERROR "$scratch/log"; then
		cat "$scratch/log" >&2
		exit 1
	fi
}

# Lets the scripts named take turns over documents of one size; $scratch/NAME.KB gets their latencies.
race() {
	kb=$1
	shift
	for name in "$@"; do
		: >"$scratch/$name.$kb"
		latency "$name" "$kb" >/dev/null
	done
	round=0
	while [ "$round" -lt "$rounds" ]; do
		for name in "$@"; do
			latency "$name" "$kb" >>"$scratch/$name.$kb"
		done
		round=$((round + 1))
	done
}

# The median, minimum and maximum of a file of numbers.
spread() {
	sort -n "$1" | awk '{ v[NR] = $1 } END { printf "%d %d %d", v[int((NR + 1) / 2)], v[1], v[NR] }'
}

# A row of the table: what, its latency, and its ratio to another one's median.
row() {
	# shellcheck disable=SC2046  # three numbers each
	set -- "$1" $(spread "$2") "$3" $(spread "$4")
	printf '%-34s %8d us (%d..%d)  %s %d us  ratio %.2f\n' "$1" "$2" "$3" "$4" "$5" "$6" \
		"$(awk "BEGIN { print $2 / $6 }")"
}

make_database() {
	say "making the database"
	"$bindir/createdb" "$database"
	sql -c "ALTER DATABASE $database SET synchronous_commit = off"
	sql -f setup.sql
}

# How long a statement takes, in microseconds, and the memory of its session in MB.
timed() {
	sql -c '\timing on' -c "$1" -c '\timing off' -c 'SELECT bench.peak()' | awk '
		/^Time:/ { us = $2 * 1000 } /^[0-9]+$/ { peak = $1 } END { printf "%d %d\n", us, peak }'
}

# The same of a floor, which reads what was written just now: it is not to pay for a plan that knows nothing of it.
floored() {
	sql -c 'ANALYZE promote.config, promote.revision, promote.deployment, promote.audit_log'
	timed "$1"
}
