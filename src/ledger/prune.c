/*
 * prune.c: retention: old rows of a chain make way for a checkpoint.
 *
 * The checkpoint takes the place of the last row that goes: its seq, and its
 * hash, which the next row holds.  So the chain goes on as it was, and nobody
 * who appends to it is in the way, for its end is not touched.  Of the
 * checkpoint's own columns previous_hash is the seal: the hash over the
 * others.  What was pruned, the chain of the project tells (audit.pruned).
 *
 * What verifying needs from the rows that go is carried along: what they said
 * last of the rows of other tables that were written.
 */
#include "postgres.h"

#include "base/compat.h"
#include "base/errors.h"
#include "grant/access.h"
#include "grant/actor.h"
#include "ledger/audit.h"
#include "ledger/guard.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(promote_prune_audit);

#define ROWS_AT_ONCE 1000

/* One chain that is pruned. */
typedef struct Chain
{
	char	   *project;
	char	   *subject;
	int64		cut;			/* the last row that goes */
	int64		pruned;			/* rows that go */
	TimestampTz last_at;
	int64		pruning;		/* row of the project's chain that tells of it */
} Chain;

/* ---- what is to go ---- */

/* Let prunings follow each other; whoever appends is not in the way. */
static void
lock_log(const Sql *sql)
{
	static OldStatement lock = {
		.text = "LOCK TABLE promote.audit_log IN SHARE UPDATE EXCLUSIVE MODE"
	};

	statement_run(sql, &lock, NULL, NULL, false);
}

/*
 * Find the chains with old rows: all rows up to the first that is not old, but
 * never the last one.  A checkpoint is as old as what it stands for, whenever
 * it was made; alone it is no reason to prune again.
 */
static List *
find_chains(const Sql *sql, TimestampTz before, const char *project, Datum max_chains, bool no_max, MemoryContext keep)
{
	static OldStatement find = {
		.text = "SELECT c.project, c.subject, c.cut FROM (SELECT a.project, a.subject,"
		" COALESCE(pg_catalog.min(a.seq) FILTER (WHERE a.at >= $1 AND a.event <> '" AUDIT_CHECKPOINT "'), pg_catalog.max(a.seq)) - 1 AS cut,"
		" pg_catalog.min(a.seq) FILTER (WHERE a.event <> '" AUDIT_CHECKPOINT "') AS oldest"
		" FROM promote.audit_log AS a WHERE $2 IS NULL OR a.project = $2 GROUP BY a.project, a.subject) AS c"
		" WHERE c.cut >= c.oldest ORDER BY c.project, c.subject LIMIT $3",
		.parameters = 3,
		.types = {TIMESTAMPTZOID, TEXTOID, INT4OID}
	};
	Datum		values[3] = {TimestampTzGetDatum(before)};
	bool		nulls[3] = {false};
	List	   *chains = NIL;
	MemoryContext inner;

	values[1] = text_or_null(project, &nulls[1]);
	values[2] = max_chains;
	nulls[2] = no_max;
	statement_run(sql, &find, values, nulls, false);
	inner = MemoryContextSwitchTo(keep);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		Chain	   *chain = palloc0(sizeof(Chain));
		bool		isnull;

		chain->project = spi_text(SPI_tuptable, i, 1);
		chain->subject = spi_text(SPI_tuptable, i, 2);
		chain->cut = DatumGetInt64(spi_value(SPI_tuptable, i, 3, &isnull));
		chains = lappend(chains, chain);
	}
	MemoryContextSwitchTo(inner);
	return chains;
}

/* ---- only a chain that verifies ---- */

/* Refuse to prune a chain that is not whole. */
static void
refuse_broken(const Chain *chain, int64 seq)
{
	ereport(ERROR,
			(errcode(PM_CANNOT_PRUNE),
			 errmsg("the audit chain of \"%s\" does not verify", chain->subject),
			 errdetail("Row " INT64_FORMAT " is not what its hash or the row before says. Nothing was pruned.", seq),
			 errhint("SELECT * FROM promote.verify_audit(%s) says what is wrong.", quote_literal_cstr(chain->subject))));
}

/* One row of a chain, from a result. */
static void
take_event(const Chain *chain, SPITupleTable *rows, uint64 row, AuditEvent *event)
{
	bool		isnull;

	*event = (AuditEvent) {
		.project = chain->project,
		.subject = chain->subject,
		.seq = DatumGetInt64(spi_value(rows, row, 1, &isnull)),
		.at = spi_time(rows, row, 2),
		.actor = spi_text(rows, row, 3),
		.database_role = spi_text(rows, row, 4),
		.event = spi_text(rows, row, 5),
		.data = spi_jsonb(rows, row, 6),
		.rows = spi_jsonb(rows, row, 7),
		.previous_hash = spi_bytea(rows, row, 8)
	};
}

/* Are two hashes the same?  NULL is one, too. */
static bool
same_hash(const bytea *a, const bytea *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;
}

/*
 * Is a row the next link of its chain, after the head?  The seal of a
 * checkpoint, which is only ever the first, is made over its hash in the place
 * of the one before.
 */
static bool
is_next_link(const AuditEvent *event, const bytea *hash, const AuditHead *head)
{
	AuditEvent	sealed = *event;

	if (strcmp(event->event, AUDIT_CHECKPOINT) == 0)
	{
		sealed.previous_hash = hash;
		return head->seq == 0 && same_hash(audit_hash(&sealed), event->previous_hash);
	}
	return event->seq == head->seq + 1 && same_hash(event->previous_hash, head->hash) &&
		same_hash(audit_hash(event), hash);
}

/* Hold some rows of a chain against each other, and move the head. */
static void
check_rows(Chain *chain, SPITupleTable *rows, uint64 count, AuditHead *head, MemoryContext keep)
{
	for (uint64 i = 0; i < count; i++)
	{
		AuditEvent	event;
		bytea	   *hash = spi_bytea(rows, i, 9);
		MemoryContext inner;

		take_event(chain, rows, i, &event);
		if (!is_next_link(&event, hash, head))
			refuse_broken(chain, event.seq);
		if (event.seq <= chain->cut && strcmp(event.event, AUDIT_CHECKPOINT) != 0)
			chain->last_at = Max(chain->last_at, event.at);
		inner = MemoryContextSwitchTo(keep);
		if (head->hash)
			pfree(head->hash);
		head->seq = event.seq;
		head->hash = DatumGetByteaPCopy(PointerGetDatum(hash));
		MemoryContextSwitchTo(inner);
	}
}

/* Hold a chain against itself, up to the first row that stays. */
static void
check_chain(const Sql *sql, Chain *chain)
{
	static OldStatement read = {
		.text = "SELECT a.seq, a.at, a.actor, a.database_role, a.event, a.data, a.rows, a.previous_hash, a.hash"
		" FROM promote.audit_log AS a WHERE a.project = $1 AND a.subject = $2 AND a.seq <= $3"
		" ORDER BY a.project, a.subject, a.seq",
		.parameters = 3,
		.types = {TEXTOID, TEXTOID, INT8OID}
	};
	Datum		values[3] = {CStringGetTextDatum(chain->project), CStringGetTextDatum(chain->subject),
	Int64GetDatum(chain->cut + 1)};
	MemoryContext keep = CurrentMemoryContext;
	MemoryContext batch = AllocSetContextCreate(keep, "promote chain", ALLOCSET_DEFAULT_SIZES);
	AuditHead	head = {0, NULL};
	Portal		cursor = statement_open(sql, &read, values, NULL, false);

	chain->last_at = DT_NOBEGIN;
	do
	{
		CHECK_FOR_INTERRUPTS();
		SPI_cursor_fetch(cursor, true, ROWS_AT_ONCE);
		MemoryContextSwitchTo(batch);
		check_rows(chain, SPI_tuptable, SPI_processed, &head, keep);
		MemoryContextSwitchTo(keep);
		MemoryContextReset(batch);
		SPI_freetuptable(SPI_tuptable);
	} while (SPI_processed > 0);
	SPI_cursor_close(cursor);
	MemoryContextDelete(batch);
	if (head.seq != chain->cut + 1)
		refuse_broken(chain, head.seq);
}

/* ---- the checkpoint ---- */

/*
 * What is told of the rows that go, those that a checkpoint among them stands
 * for counted; and what they said last of rows of other tables.  Of what is
 * gone nothing has to be known.  The salt is one of theirs.
 */
static SPITupleTable *
read_carried(const Sql *sql, const Chain *chain)
{
	static OldStatement read = {
		.text = "SELECT pg_catalog.count(*),"
		" COALESCE(pg_catalog.sum((g.data ->> 'rows')::bigint - 1) FILTER (WHERE g.event = '" AUDIT_CHECKPOINT "'), 0)::bigint,"
		" pg_catalog.max(g.data ->> 'last_at') FILTER (WHERE g.event = '" AUDIT_CHECKPOINT "'),"
		" (SELECT pg_catalog.jsonb_object_agg(l.name, l.digest) FROM ("
		"  SELECT DISTINCT ON (r.name) r.name, r.digest FROM promote.audit_log AS a"
		"  CROSS JOIN LATERAL pg_catalog.jsonb_each_text(a.rows) AS r (name, digest)"
		"  WHERE a.project = $1 AND a.subject = $2 AND a.seq <= $3 ORDER BY r.name, a.seq DESC) AS l"
		"  WHERE l.digest IS NOT NULL)"
		" FROM promote.audit_log AS g WHERE g.project = $1 AND g.subject = $2 AND g.seq <= $3",
		.parameters = 3,
		.types = {TEXTOID, TEXTOID, INT8OID}
	};
	Datum		values[3] = {CStringGetTextDatum(chain->project), CStringGetTextDatum(chain->subject),
	Int64GetDatum(chain->cut)};

	statement_run(sql, &read, values, NULL, false);
	return SPI_tuptable;
}

/* What the checkpoint says, as the data of its row. */
static Jsonb *
checkpoint_facts(Chain *chain, SPITupleTable *carried)
{
	JsonBuilder facts;
	bool		isnull;
	char	   *last_at = spi_text(carried, 0, 3);

	chain->pruned = DatumGetInt64(spi_value(carried, 0, 1, &isnull));
	audit_begin(&facts);
	json_build_number(&facts, "pruning", chain->pruning);
	json_build_number(&facts, "rows", chain->pruned + DatumGetInt64(spi_value(carried, 0, 2, &isnull)));
	/* written alike, times sort as texts */
	if (last_at == NULL || strcmp(last_at, audit_time(chain->last_at)) < 0)
		last_at = audit_time(chain->last_at);
	json_build_field(&facts, "last_at", last_at);
	json_build_end_object(&facts);
	return json_builder_finish(&facts);
}

/* The hash of the last row that goes. */
static bytea *
hash_at(const Sql *sql, const Chain *chain)
{
	static OldStatement read = {
		.text = "SELECT a.hash FROM promote.audit_log AS a WHERE a.project = $1 AND a.subject = $2 AND a.seq = $3",
		.parameters = 3,
		.types = {TEXTOID, TEXTOID, INT8OID}
	};
	Datum		values[3] = {CStringGetTextDatum(chain->project), CStringGetTextDatum(chain->subject),
	Int64GetDatum(chain->cut)};

	statement_run(sql, &read, values, NULL, false);
	return spi_bytea(SPI_tuptable, 0, 1);
}

/* Make the last row that goes the checkpoint. */
static void
write_checkpoint(const Sql *sql, const Chain *chain, const Jsonb *data, const Jsonb *rows)
{
	static OldStatement write = {
		.text = "UPDATE promote.audit_log AS a SET at = $4, actor = $5, database_role = $6,"
		" event = '" AUDIT_CHECKPOINT "', data = $7, rows = $8, previous_hash = $9"
		" WHERE a.project = $1 AND a.subject = $2 AND a.seq = $3",
		.parameters = 9,
		.types = {TEXTOID, TEXTOID, INT8OID, TIMESTAMPTZOID, TEXTOID, TEXTOID, JSONBOID, JSONBOID, BYTEAOID}
	};
	AuditEvent	event = {chain->project, chain->subject, chain->cut, GetCurrentTimestamp(),
		current_actor(), current_database_role(), AUDIT_CHECKPOINT, data, rows, hash_at(sql, chain)};
	bool		nulls[9] = {[7] = rows == NULL};
	Datum		values[9] = {
		CStringGetTextDatum(event.project), CStringGetTextDatum(event.subject), Int64GetDatum(event.seq),
		TimestampTzGetDatum(event.at), CStringGetTextDatum(event.actor),
		CStringGetTextDatum(event.database_role), JsonbPGetDatum(data),
		JsonbPGetDatum(rows), PointerGetDatum(audit_hash(&event))
	};

	guarded_rewrite(sql, &write, values, nulls);
}

/* Remove the rows before it. */
static void
remove_rows(const Sql *sql, const Chain *chain)
{
	static OldStatement erase = {
		.text = "DELETE FROM promote.audit_log AS a WHERE a.project = $1 AND a.subject = $2 AND a.seq < $3",
		.parameters = 3,
		.types = {TEXTOID, TEXTOID, INT8OID}
	};
	Datum		values[3] = {CStringGetTextDatum(chain->project), CStringGetTextDatum(chain->subject),
	Int64GetDatum(chain->cut)};

	guarded_rewrite(sql, &erase, values, NULL);
}

/* Prune one chain, if it verifies. */
static void
prune_chain(const Sql *sql, Chain *chain)
{
	MemoryContext keep = CurrentMemoryContext;
	MemoryContext each = AllocSetContextCreate(keep, "promote pruning", ALLOCSET_DEFAULT_SIZES);
	SPITupleTable *carried;

	CHECK_FOR_INTERRUPTS();
	MemoryContextSwitchTo(each);
	check_chain(sql, chain);
	carried = read_carried(sql, chain);
	write_checkpoint(sql, chain, checkpoint_facts(chain, carried), spi_jsonb(carried, 0, 4));
	remove_rows(sql, chain);
	MemoryContextSwitchTo(keep);
	MemoryContextDelete(each);
}

/* ---- recording it ---- */

/* Lock the chain that tells of prunings: the project, or for what is of none the log itself is locked already. */
static void
lock_project(const Sql *sql, const char *project)
{
	static OldStatement lock = {
		.text = "SELECT FROM promote.project AS p WHERE p.project = $1 FOR NO KEY UPDATE",
		.parameters = 1,
		.types = {TEXTOID}
	};
	Datum		values[1] = {CStringGetTextDatum(project)};

	statement_run(sql, &lock, values, NULL, false);
}

/* The project says which row tells of its last pruning. */
static void
note_pruning(const Sql *sql, const char *project, int64 seq)
{
	static OldStatement note = {
		.text = "UPDATE promote.project AS p SET pruned = $2 WHERE p.project = $1",
		.parameters = 2,
		.types = {TEXTOID, INT8OID}
	};
	Datum		values[2] = {CStringGetTextDatum(project), Int64GetDatum(seq)};

	old_guarded_run(sql, &note, values, NULL);
}

/*
 * Append to the project's chain that so many of its chains are pruned; returns
 * the row's number.
 */
static int64
record_pruning(const Sql *sql, const char *project, int chains, TimestampTz before)
{
	JsonBuilder facts;
	int64		seq;

	lock_project(sql, project);
	audit_begin(&facts);
	json_build_field(&facts, "pruned_before", audit_time(before));
	json_build_number(&facts, "chains", chains);
	seq = audit_note_facts(sql, project, project, "audit.pruned", &facts);
	note_pruning(sql, project, seq);
	return seq;
}

/* How many of the chains, from one on, are of its project. */
static int
count_chains(List *chains, int from)
{
	Chain	   *first = list_nth(chains, from);
	int			count = 0;

	while (from + count < list_length(chains) &&
		   strcmp(((Chain *) list_nth(chains, from + count))->project, first->project) == 0)
		count++;
	return count;
}

/* Prune all of them, project by project. */
static void
prune_chains(const Sql *sql, List *chains, TimestampTz before)
{
	int			from = 0;

	while (from < list_length(chains))
	{
		int			count = count_chains(chains, from);
		int64		row = record_pruning(sql, ((Chain *) list_nth(chains, from))->project, count, before);

		for (int i = from; i < from + count; i++)
		{
			Chain	   *chain = list_nth(chains, i);

			chain->pruning = row;
			prune_chain(sql, chain);
		}
		from += count;
	}
}

/* ---- the verb ---- */

/* Refuse a time that is not over yet. */
static TimestampTz
argument_before(FunctionCallInfo fcinfo)
{
	TimestampTz before = PG_ARGISNULL(0) ? DT_NOEND : PG_GETARG_TIMESTAMPTZ(0);

	if (before > GetCurrentTimestamp())
		ereport(ERROR,
				(errcode(PM_CANNOT_PRUNE),
				 errmsg("nothing is pruned before its time"),
				 errdetail("What is older than a time in the past may be pruned, and \"before\" is none."),
				 errhint("For example: promote.prune_audit(now() - interval '1 year').")));
	return before;
}

/* Put what was pruned into the result. */
static void
put_chains(ReturnSetInfo *result, List *chains)
{
	ListCell   *cell;

	foreach(cell, chains)
	{
		Chain	   *chain = lfirst(cell);
		Datum		values[5] = {
			CStringGetTextDatum(chain->project), CStringGetTextDatum(chain->subject),
			Int64GetDatum(chain->pruned), Int64GetDatum(chain->cut), TimestampTzGetDatum(chain->last_at)
		};
		bool		nulls[5] = {false};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}

/* promote.prune_audit(before timestamptz, project text, max_chains integer) returns table, see sql/ledger/prune.sql */
Datum
promote_prune_audit(PG_FUNCTION_ARGS)
{
	char	   *project = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	TimestampTz before;
	MemoryContext keep = CurrentMemoryContext;
	Sql			sql;
	List	   *chains;

	access_require_in("admin", project, NULL);
	before = argument_before(fcinfo);
	InitMaterializedSRF(fcinfo, 0);
	sql_enter(&sql);
	lock_log(&sql);
	chains = find_chains(&sql, before, project, PG_GETARG_DATUM(2), PG_ARGISNULL(2), keep);
	prune_chains(&sql, chains, before);
	sql_leave(&sql);
	put_chains((ReturnSetInfo *) fcinfo->resultinfo, chains);
	return (Datum) 0;
}
