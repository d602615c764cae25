/*
 * floor.c: what the benchmark of the JSON functions needs from C.
 *
 * The floor, which reads a function's documents and writes one of them, and
 * the instruments: a stop-watch around a query, the most memory that a query
 * took.  Knows nothing of the extension.
 */
#include "postgres.h"

#include <malloc.h>
#include <stdio.h>
#include <time.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/jsonb.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(bench_copy);
PG_FUNCTION_INFO_V1(bench_copy2);
PG_FUNCTION_INFO_V1(bench_copy2_rows);
PG_FUNCTION_INFO_V1(bench_both);
PG_FUNCTION_INFO_V1(bench_lap);
PG_FUNCTION_INFO_V1(bench_peak);

/* A copy of a document that is in memory and not compressed. */
static Jsonb *
copied(const Jsonb *document)
{
	Jsonb	   *copy = palloc(VARSIZE(document));

	memcpy(copy, document, VARSIZE(document));
	return copy;
}

/* copy(a): the floor of what reads a document and writes one of that size. */
Datum
bench_copy(PG_FUNCTION_ARGS)
{
	PG_RETURN_JSONB_P(copied(PG_GETARG_JSONB_P(0)));
}

/* copy2(a, b): the floor of what reads two documents and writes one. */
Datum
bench_copy2(PG_FUNCTION_ARGS)
{
	const Jsonb *a = PG_GETARG_JSONB_P(0);

	(void) PG_GETARG_JSONB_P(1);
	PG_RETURN_JSONB_P(copied(a));
}

/* copy2_rows(a, b): the same, called as a function of rows, of which it gives none. */
Datum
bench_copy2_rows(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	(void) PG_GETARG_JSONB_P(1);
	pfree(copied(PG_GETARG_JSONB_P(0)));
	return (Datum) 0;
}

/* both(a, b): b itself.  Lets one expression have the costs of two. */
Datum
bench_both(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(PG_GETARG_DATUM(1));
}

/* Plans a query of two parameters: $1 is a document, $2 the highest id of the rows to go through. */
static SPIPlanPtr
planned(const char *query)
{
	Oid			types[] = {JSONBOID, INT4OID};
	SPIPlanPtr	plan = SPI_prepare(query, lengthof(types), types);

	if (plan == NULL)
		elog(ERROR, "the query cannot be prepared: %s", SPI_result_code_string(SPI_result));
	return plan;
}

/* Runs a planned query and forgets what it gives. */
static void
run(SPIPlanPtr plan, Datum document, int32 rows)
{
	Datum		values[] = {document, Int32GetDatum(rows)};

	if (SPI_execute_plan(plan, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "the query is no SELECT");
	SPI_freetuptable(SPI_tuptable);
	CHECK_FOR_INTERRUPTS();
}

/*
 * Brings malloc into the state that it has in a backend that has once freed a
 * large document: blocks of up to 31 MB are kept for the next call.  Where it
 * is not, every call pays for fresh pages, and which of the candidates is the
 * one that ends this would be chance.
 */
static void
settle_malloc(void)
{
	pfree(palloc(31 * 1024 * 1024));
}

/*
 * Microseconds on the clock that the setting bench.clock names: "cpu" is this
 * process's own time, which stands still while others run, and any other
 * value the one on the wall.
 */
static double
clock_now(void)
{
	const char *name = GetConfigOption("bench.clock", true, false);
	struct timespec now;

	clock_gettime(name && strcmp(name, "cpu") == 0 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000.0 + now.tv_nsec / 1000.0;
}

/*
 * lap(query, document, rows, microseconds): runs the query again and again
 * until the time is over, at least once; returns microseconds per row.
 */
Datum
bench_lap(PG_FUNCTION_ARGS)
{
	char	   *query = text_to_cstring(PG_GETARG_TEXT_PP(0));
	Datum		document = JsonbPGetDatum(PG_GETARG_JSONB_P(1));
	int32		rows = PG_GETARG_INT32(2);
	double		limit = PG_GETARG_INT32(3);
	double		start;
	double		elapsed;
	int64		times = 0;
	SPIPlanPtr	plan;

	settle_malloc();
	SPI_connect();
	plan = planned(query);
	start = clock_now();
	do
	{
		run(plan, document, rows);
		times++;
		elapsed = clock_now() - start;
	} while (elapsed < limit);
	SPI_finish();
	PG_RETURN_FLOAT8(elapsed / (double) times / rows);
}

/* A figure of this process in bytes, by the name that Linux gives it; -1 where there is no such thing. */
static int64
process_bytes(const char *name)
{
	FILE	   *file = fopen("/proc/self/status", "r");
	char		line[128];
	long		kilobytes = -1;
	int64		bytes = -1;

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, name, strlen(name)) == 0 &&
			sscanf(line + strlen(name), ": %ld kB", &kilobytes) == 1)
			bytes = (int64) kilobytes * 1024;
	if (file)
		fclose(file);
	return bytes;
}

/* Gives unused memory back, so that using it again counts, and lets the high-water mark start from here. */
static bool
reset_high_water(void)
{
	FILE	   *file;
	bool		done;

	malloc_trim(0);
	file = fopen("/proc/self/clear_refs", "w");
	if (file == NULL)
		return false;
	done = fputs("5", file) >= 0;
	return fclose(file) == 0 && done;
}

/*
 * peak(query, document): how far the process's resident memory rises above
 * where it was, at most, while the query goes through the row 1; NULL where
 * the system does not tell.
 *
 * The kernel's own high-water mark, because it also sees what is freed before
 * the end and what malloc takes.  Rows 1 and 2 are gone through first: what
 * stays in caches, and pages of shared buffers that this process had not yet
 * touched, are no cost of a call.
 */
Datum
bench_peak(PG_FUNCTION_ARGS)
{
	char	   *query = text_to_cstring(PG_GETARG_TEXT_PP(0));
	Datum		document = JsonbPGetDatum(PG_GETARG_JSONB_P(1));
	SPIPlanPtr	plan;
	int64		before = -1;
	int64		after = -1;

	SPI_connect();
	plan = planned(query);
	run(plan, document, 2);
	if (reset_high_water())
	{
		before = process_bytes("VmRSS");
		run(plan, document, 1);
		after = process_bytes("VmHWM");
	}
	SPI_finish();
	if (before < 0 || after < 0)
		PG_RETURN_NULL();
	PG_RETURN_INT64(after - before);
}
