/*
 * prune.c: retention, which replaces the old rows of a chain by a checkpoint.
 *
 * The checkpoint takes the place of the last pruned row: it has its seq, and its hash, which
 * the next row refers to.  So the chain stays whole.  Appending goes on meanwhile, because
 * pruning does not touch the chain's end.  The checkpoint's previous_hash is its seal: the
 * hash over its other columns.  The project's chain records what was pruned (audit.pruned).
 *
 * The checkpoint also carries what promote.verify_audit needs from the pruned rows: the last
 * digest of each row of other tables that they covered.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/argument.h"
#include "base/errors.h"
#include "base/result.h"
#include "grant/access.h"
#include "grant/actor.h"
#include "ledger/audit.h"
#include "ledger/guard.h"

PG_FUNCTION_INFO_V1(promote_prune_audit);

/* The errand of statements that rewrite the log. */
static const Errand pruning = {.prunes = true};

/* A chain that is being pruned. */
typedef struct Chain
{
	char	   *project;
	char	   *subject;
	int64		cut;			/* the last row to prune */
	int64		pruned;			/* number of pruned rows */
	TimestampTz last_at;
	int64		pruning;		/* row of the project's chain that records the pruning */
} Chain;

#define OF_CHAIN(chain) AS_TEXT((chain)->project), AS_TEXT((chain)->subject), AS_BIGINT((chain)->cut)

/* ---- finding chains ---- */

/* The chains that have old rows, in the given memory context. */
static List *
find_chains(const Sql *sql, TimestampTz before, const char *project, SqlValue max_chains, MemoryContext keep)
{
	static const SqlField fields[] = {
		SQL_FIELDS(Chain, "c", project, subject, cut)
	};
	static Statement find = SQL_ROWS(fields, "SELECT $* FROM promote_internal.prunable_chains($1, $2) AS c"
									 " ORDER BY c.project, c.subject LIMIT $3");
	SqlRows		rows = sql_run(sql, &find, AS_TIME(before), AS_TEXT(project), max_chains);
	List	   *chains = NIL;
	MemoryContext inner = MemoryContextSwitchTo(keep);

	for (uint64 i = 0; i < rows.count; i++)
	{
		Chain	   *chain = palloc0(sizeof(Chain));

		(void) sql_row(&rows, i, chain);
		chains = lappend(chains, chain);
	}
	MemoryContextSwitchTo(inner);
	return chains;
}

/* ---- verifying the chain first ---- */

/* Refuse to prune a chain that does not verify. */
static void
refuse_broken(const Chain *chain, int64 seq)
{
	ereport(ERROR,
			(errcode(PM_CANNOT_PRUNE),
			 errmsg("the audit chain of \"%s\" does not verify", chain->subject),
			 errdetail("Row " INT64_FORMAT " is not what its hash or the row before says. Nothing was pruned.", seq),
			 errhint("SELECT * FROM promote.verify_audit(%s) says what is wrong.", quote_literal_cstr(chain->subject))));
}

/* Verify a chain up to the first row that stays. */
static void
check_chain(const Sql *sql, const Chain *chain)
{
	static Statement find = {"SELECT c.seq FROM promote_internal.chain_problems($2, $1, $3 + 1) AS c ORDER BY c.seq LIMIT 1"};
	SqlRows		broken = sql_run(sql, &find, OF_CHAIN(chain));

	if (broken.count > 0)
		refuse_broken(chain, sql_wide(&broken, 0));
}

/* ---- the checkpoint ---- */

/* What the checkpoint takes over from the pruned rows. */
typedef struct Carried
{
	int64		gone;			/* number of rows to prune */
	TimestampTz newest;			/* the newest time among them */
	int64		stood_for;		/* rows that the checkpoint stands for, those of a checkpoint among them included */
	char	   *last_at;		/* time of the last row behind that checkpoint; NULL: there is none */
	Jsonb	   *rows;			/* the last digests of rows of other tables; NULL: none */
	bytea	   *hash;			/* of the last pruned row */
} Carried;

/* Read what the checkpoint takes over. */
static void
read_carried(const Sql *sql, const Chain *chain, Carried *carried)
{
	static const SqlField fields[] = {
		SQL_FIELDS(Carried, "c", gone, newest, stood_for, last_at, rows, hash)
	};
	static Statement read = SQL_ROWS(fields, "SELECT $* FROM promote_internal.pruned_rows($1, $2, $3) AS c");
	SqlRows		rows = sql_run(sql, &read, OF_CHAIN(chain));

	(void) sql_row(&rows, 0, carried);
}

/* The data of the checkpoint's row. */
static Jsonb *
checkpoint_facts(const Chain *chain, const Carried *carried)
{
	JsonBuilder facts;
	const char *last_at = audit_time(chain->last_at);

	audit_begin(&facts);
	json_build_number(&facts, "pruning", chain->pruning);
	json_build_number(&facts, "rows", carried->stood_for);
	/* both have the same format, so that they sort as texts */
	if (carried->last_at && strcmp(carried->last_at, last_at) > 0)
		last_at = carried->last_at;
	json_build_field(&facts, "last_at", last_at);
	return json_builder_finish(&facts);
}

/* Turn the last pruned row into the checkpoint. */
static void
write_checkpoint(const Sql *sql, const Chain *chain, const Carried *carried)
{
	static Statement write = {"UPDATE promote.audit_log AS a SET at = $4, actor = $5, database_role = $6,"
		" event = '" AUDIT_CHECKPOINT "', data = $7, rows = $8, previous_hash = $9"
		" WHERE a.project = $1 AND a.subject = $2 AND a.seq = $3"};
	const AuditEvent event = {chain->project, chain->subject, chain->cut, GetCurrentTimestamp(),
		current_actor(), current_database_role(), AUDIT_CHECKPOINT, checkpoint_facts(chain, carried),
		carried->rows, carried->hash};

	errand_run(sql, &pruning, &write, OF_CHAIN(chain), AS_TIME(event.at), AS_TEXT(event.actor),
			   AS_TEXT(event.database_role), AS_JSONB(event.data), AS_JSONB(event.rows), AS_BYTEA(audit_hash(&event)));
}

/* Delete the rows before the checkpoint. */
static void
remove_rows(const Sql *sql, const Chain *chain)
{
	static Statement erase = {"DELETE FROM promote.audit_log AS a"
		" WHERE a.project = $1 AND a.subject = $2 AND a.seq < $3"};

	errand_run(sql, &pruning, &erase, OF_CHAIN(chain));
}

/* Prune one chain, if it verifies. */
static void
prune_chain(const Sql *sql, Chain *chain)
{
	MemoryContext keep = CurrentMemoryContext;
	MemoryContext each = AllocSetContextCreate(keep, "promote pruning", ALLOCSET_DEFAULT_SIZES);
	Carried		carried;

	CHECK_FOR_INTERRUPTS();
	MemoryContextSwitchTo(each);
	check_chain(sql, chain);
	read_carried(sql, chain, &carried);
	chain->pruned = carried.gone;
	chain->last_at = carried.newest;
	write_checkpoint(sql, chain, &carried);
	remove_rows(sql, chain);
	MemoryContextSwitchTo(keep);
	MemoryContextDelete(each);
}

/* ---- recording it ---- */

/*
 * Append to the project's chain how many of its chains were pruned.  Returns the number of
 * that row, which the project's own row notes as pruned.
 */
static int64
record_pruning(const Sql *sql, const char *project, int chains, TimestampTz before)
{
	static Statement lock = {"SELECT FROM promote.project AS p WHERE p.project = $1 FOR NO KEY UPDATE"};
	static Statement note = {"UPDATE promote.project AS p SET pruned = $2 WHERE p.project = $1"};
	JsonBuilder facts;
	int64		seq;

	/* without a project there is no row to lock: the log itself is locked already */
	(void) sql_run(sql, &lock, AS_TEXT(project));
	audit_begin(&facts);
	json_build_field(&facts, "pruned_before", audit_time(before));
	json_build_number(&facts, "chains", chains);
	seq = audit_note_facts(sql, project, project, "audit.pruned", &facts);
	guarded_run(sql, &note, AS_TEXT(project), AS_BIGINT(seq));
	return seq;
}

/* The number of chains, beginning with one of the list, that belong to the same project. */
static int
count_chains(List *chains, int from)
{
	const char *project = ((Chain *) list_nth(chains, from))->project;
	int			to = from;

	while (to < list_length(chains) && strcmp(((Chain *) list_nth(chains, to))->project, project) == 0)
		to++;
	return to - from;
}

/* Prune the chains, project by project. */
static void
prune_chains(const Sql *sql, List *chains, TimestampTz before)
{
	Chain	   *last = NULL;

	for (int i = 0; i < list_length(chains); i++)
	{
		Chain	   *chain = list_nth(chains, i);

		chain->pruning = last && strcmp(last->project, chain->project) == 0 ? last->pruning :
			record_pruning(sql, chain->project, count_chains(chains, i), before);
		prune_chain(sql, chain);
		last = chain;
	}
}

/* ---- the verb ---- */

/* The argument: a time in the past.  Refuses any other. */
static TimestampTz
argument_before(FunctionCallInfo fcinfo)
{
	TimestampTz before = value_time(fcinfo->args[0]);

	if (before > GetCurrentTimestamp())
		ereport(ERROR,
				(errcode(PM_CANNOT_PRUNE),
				 errmsg("nothing is pruned before its time"),
				 errdetail("What is older than a time in the past may be pruned, and \"before\" is none."),
				 errhint("For example: promote.prune_audit(now() - interval '1 year').")));
	return before;
}

/* promote.prune_audit(before timestamptz, project text, max_chains integer) returns table, see sql/ledger/prune.sql */
Datum
promote_prune_audit(PG_FUNCTION_ARGS)
{
	char	   *project = argument_text(fcinfo, 1);
	TimestampTz before;
	SqlValue	max_chains = sql_value(INT4OID, PG_ARGISNULL(2), PG_GETARG_DATUM(2));
	MemoryContext keep = CurrentMemoryContext;
	Sql			sql;
	List	   *chains;
	ListCell   *cell;

	access_require_in("admin", project, NULL);
	before = argument_before(fcinfo);
	InitMaterializedSRF(fcinfo, 0);
	sql_enter(&sql);
	/* one pruning at a time; appending goes on */
	sql_command(&sql, "LOCK TABLE promote.audit_log IN SHARE UPDATE EXCLUSIVE MODE");
	chains = find_chains(&sql, before, project, max_chains, keep);
	prune_chains(&sql, chains, before);
	sql_leave(&sql);
	foreach(cell, chains)
	{
		Chain	   *chain = lfirst(cell);

		result_put(fcinfo, AS_TEXT(chain->project), AS_TEXT(chain->subject), AS_BIGINT(chain->pruned),
				   AS_BIGINT(chain->cut), AS_TIME(chain->last_at));
	}
	return (Datum) 0;
}
