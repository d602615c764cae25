/*
 * verify.c: verifying the log, and restoring its guards.  What is wrong is found by
 * verify_chain.c and record_rows.c, and by sql/ledger/verify.sql.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_operator.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/tuplesort.h"
#include "utils/tuplestore.h"

#include "base/argument.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/result.h"
#include "grant/access.h"
#include "grant/actor.h"
#include "grant/grants.h"
#include "grant/role.h"
#include "ledger/audit.h"
#include "ledger/word.h"

PG_FUNCTION_INFO_V1(promote_verify_audit);
PG_FUNCTION_INFO_V1(promote_restore_guards);

/*
 * The project that a subject begins with: ecomm of ecomm-staging-db, of request ecomm/3, and
 * of ecomm itself.  NULL where the subject does not show it.
 */
static char *
subject_project(const char *subject)
{
	const char *space = strchr(subject, ' ');
	const char *key = space ? space + 1 : subject;
	size_t		length = strcspn(key, space ? "/" : "-");

	/* a rule with a name of its own */
	if (space && key[length] == '\0' && strncmp(subject, "project ", strlen("project ")) != 0 &&
		strncmp(subject, "line ", strlen("line ")) != 0)
		return NULL;
	return pnstrdup(key, length);
}

/* ---- all chains, or those of a project ---- */

/* What is to be verified. */
typedef struct Asked
{
	const char *project;		/* NULL: all */
	const char *from_subject;	/* NULL: no bound */
	const char *to_subject;		/* NULL: no bound */
} Asked;

#define AS_ASKED(asked) AS_TEXT((asked)->project), AS_TEXT((asked)->from_subject), AS_TEXT((asked)->to_subject)

/* What was found so far. */
typedef struct Found
{
	Tuplesortstate *problems;
	TupleTableSlot *problem;	/* in which one is handed over */
	WordSum		sums[WORD_SPEAKERS][WORD_BUCKETS];
} Found;

/* Begin to gather problems, which are returned in the order of subjects and places. */
static void
begin_found(Found *found, TupleDesc row_type)
{
	AttrNumber	columns[] = {1, 2, 3, 4};
	Oid			operators[] = {TextLessOperator, TextLessOperator, Int8LessOperator, TextLessOperator};
	Oid			collations[] = {C_COLLATION_OID, C_COLLATION_OID, InvalidOid, C_COLLATION_OID};
	bool		nulls_first[] = {false, false, false, false};

	memset(found->sums, 0, sizeof(found->sums));
	found->problem = MakeSingleTupleTableSlot(row_type, &TTSOpsVirtual);
	found->problems = tuplesort_begin_heap(row_type, lengthof(columns), columns, operators, collations, nulls_first,
										   work_mem, NULL, TUPLESORT_NONE);
}

/* Take a problem: the first columns of a row. */
static void
take_problem(void *state, TupleTableSlot *row)
{
	Found	   *found = state;

	slot_getsomeattrs(row, 4);
	ExecClearTuple(found->problem);
	memcpy(found->problem->tts_values, row->tts_values, 4 * sizeof(Datum));
	memcpy(found->problem->tts_isnull, row->tts_isnull, 4 * sizeof(bool));
	ExecStoreVirtualTuple(found->problem);
	tuplesort_puttupleslot(found->problems, found->problem);
}

/* Take a row of a part: a problem, or a sum. */
static void
take_part(void *state, TupleTableSlot *row)
{
	Found	   *found = state;
	WordSum    *sum;

	slot_getallattrs(row);
	if (row->tts_isnull[4])
	{
		take_problem(state, row);
		return;
	}
	sum = &found->sums[DatumGetInt32(row->tts_values[4])][DatumGetInt32(row->tts_values[5])];
	sum->low += (uint64) DatumGetInt64(row->tts_values[6]);
	sum->high += (uint64) DatumGetInt64(row->tts_values[7]);
}

/* Return all problems. */
static void
put_found(Found *found, FunctionCallInfo fcinfo)
{
	TupleTableSlot *row = MakeSingleTupleTableSlot(found->problem->tts_tupleDescriptor, &TTSOpsMinimalTuple);

	tuplesort_performsort(found->problems);
	while (tuplesort_gettupleslot(found->problems, true, false, row, NULL))
		tuplestore_puttupleslot(((ReturnSetInfo *) fcinfo->resultinfo)->setResult, row);
	tuplesort_end(found->problems);
	ExecDropSingleTupleTableSlot(row);
	ExecDropSingleTupleTableSlot(found->problem);
}

/* A key that nobody knows who could have forged what is verified. */
static bytea *
make_key(void)
{
	bytea	   *key = palloc(VARHDRSZ + WORD_KEY_LENGTH);

	SET_VARSIZE(key, VARHDRSZ + WORD_KEY_LENGTH);
	if (!pg_strong_random(VARDATA(key), WORD_KEY_LENGTH))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random bytes")));
	return key;
}

/* Read all chains and rows, part by part, which parallel workers may do. */
static void
read_parts(const Sql *sql, const Asked *asked, Found *found)
{
	static Statement divide = {"SELECT p FROM promote_internal.verify_parts($1, $2, $3) AS p"};
	SqlRows		rows = sql_read(sql, &divide, AS_ASKED(asked));
	StringInfoData text;

	initStringInfo(&text);
	for (uint64 i = 0; i < rows.count; i++)
		appendStringInfo(&text, "%s%s", i > 0 ? " UNION ALL " : "", sql_text(&rows, i));
	sql_each(sql, text.data, SQL_CALL(AS_BYTEA(make_key()), AS_TEXT(asked->project)), take_part, found);
}

/* The sum of one speaker or of two, if it is the log's?  A row that is open may be told of or not. */
static bool
is_told(const Found *found, int bucket)
{
	const WordSum *log = &found->sums[WORD_OF_LOG][bucket];
	const WordSum *row = &found->sums[WORD_OF_ROW][bucket];
	const WordSum *open = &found->sums[WORD_OF_OPEN_ROW][bucket];

	return (log->low == row->low && log->high == row->high) ||
		(log->low == row->low + open->low && log->high == row->high + open->high);
}

/* The buckets in which the log and the rows differ: an array of integers; NULL: none. */
static ArrayType *
differing(const Found *found)
{
	Datum	   *buckets = palloc(WORD_BUCKETS * sizeof(Datum));
	int			count = 0;

	for (int bucket = 0; bucket < WORD_BUCKETS; bucket++)
		if (!is_told(found, bucket))
			buckets[count++] = Int32GetDatum(bucket);
	return count > 0 ? construct_array(buckets, count, INT4OID, sizeof(int32), true, TYPALIGN_INT) : NULL;
}

/* Find what a function of that name finds. */
static void
verify_state(const Sql *sql, const char *subject, const Asked *asked, const char *function, Found *found)
{
	sql_each(sql, psprintf("SELECT * FROM promote_internal.%s($1, $2, $3, $4) AS p"
						   " WHERE ($3 IS NULL OR p.subject >= $3 COLLATE \"C\")"
						   " AND ($4 IS NULL OR p.subject < $4 COLLATE \"C\")", function),
			 SQL_CALL(AS_TEXT(subject), AS_ASKED(asked)), take_problem, found);
}

/*
 * Find what is wrong with configurations.  Revisions are read in any order, and look each its
 * configuration up by the key: a hash of all of them may be larger than memory.
 */
static void
verify_configs(const Sql *sql, const Asked *asked, Found *found)
{
	int			level = NewGUCNestLevel();

	sql_set_local("enable_seqscan", "on");
	sql_set_local("enable_hashjoin", "off");
	sql_set_local("enable_mergejoin", "off");
	verify_state(sql, NULL, asked, "config_problems", found);
	AtEOXact_GUC(false, level);
}

/* Verify all chains of a project, or of all. */
static void
verify_all(const Sql *sql, const Asked *asked, Found *found)
{
	ArrayType  *buckets;

	read_parts(sql, asked, found);
	buckets = differing(found);
	if (buckets)
		sql_each(sql, "SELECT * FROM promote_internal.row_problems(NULL, $1, $2, $3, $4)",
				 SQL_CALL(AS_ASKED(asked), sql_pointer_value(INT4ARRAYOID, buckets)), take_problem, found);
	verify_configs(sql, asked, found);
	verify_state(sql, NULL, asked, "state_problems", found);
}

/* ---- from heads that were kept ---- */

/* The argument: heads, as promote.chain_heads makes them; NULL: none.  Refuses anything else. */
static Jsonb *
argument_heads(const Sql *sql, NullableDatum argument)
{
	static Statement check = {"SELECT promote_internal.are_heads($1)"};
	Jsonb	   *heads = value_jsonb(argument);
	SqlRows		rows;

	if (heads == NULL)
		return NULL;
	rows = sql_read(sql, &check, AS_JSONB(heads));
	if (!sql_bool(&rows, 0))
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("\"after\" is no list of heads"),
				 errdetail("It has to be an array of objects, each with project, subject, seq and hash."),
				 errhint("Keep what promote.chain_heads() returns.")));
	return heads;
}

/* Verify what came after the heads. */
static void
verify_after(const Sql *sql, const char *subject, const Asked *asked, const Jsonb *heads, Found *found)
{
	sql_each(sql, "SELECT * FROM promote_internal.problems_after($1, $2, $3, $4, $5)",
			 SQL_CALL(AS_JSONB(heads), AS_TEXT(subject), AS_ASKED(asked)), take_problem, found);
	verify_state(sql, subject, asked, "state_problems", found);
}

/* ---- who may verify ---- */

/*
 * promote.verify_audit(subject text, project text, after jsonb, from_subject text, to_subject
 * text) returns table, see sql/ledger/verify.sql
 *
 * Verifying shows what is wrong with anything of a project, so it is for the project's
 * auditors and admins.  A caller who may not audit everything only gets chains of the project
 * that a subject begins with.  A subject of grants begins with the name of a role, whose chain
 * may belong to another project.
 */
Datum
promote_verify_audit(PG_FUNCTION_ARGS)
{
	char	   *subject = argument_text(fcinfo, 0);
	Asked		asked = {argument_text(fcinfo, 1), argument_text(fcinfo, 3), argument_text(fcinfo, 4)};
	Found	   *found = palloc(sizeof(Found));
	Jsonb	   *heads;
	Sql			sql;

	if (asked.project == NULL && (asked.from_subject || asked.to_subject))
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("\"from_subject\" and \"to_subject\" are bounds within a project"),
				 errdetail("No project is named."),
				 errhint("promote.audit_slices() returns projects with bounds.")));
	if (asked.project == NULL && subject && !grants_may("audit", NULL, NULL))
		asked.project = subject_project(subject);
	access_require_in("audit", asked.project, NULL);
	InitMaterializedSRF(fcinfo, 0);
	sql_enter(&sql);
	heads = argument_heads(&sql, fcinfo->args[2]);
	begin_found(found, ((ReturnSetInfo *) fcinfo->resultinfo)->setDesc);
	if (heads)
		verify_after(&sql, subject, &asked, heads, found);
	else if (subject)
		sql_each(&sql, "SELECT * FROM promote_internal.audit_problems($1, $2)",
				 SQL_CALL(AS_TEXT(subject), AS_TEXT(asked.project)), take_problem, found);
	else
		verify_all(&sql, &asked, found);
	put_found(found, fcinfo);
	sql_leave(&sql);
	return (Datum) 0;
}

/* Refuse callers who could not restore the guards by hand. */
static void
require_owner(void)
{
	if (am_tables_owner())
		return;
	ereport(ERROR,
			(errcode(PM_NOT_GRANTED),
			 errmsg("only the owner of the extension's tables may restore their guards"),
			 errdetail("The role is neither the owner nor a member of it."),
			 errhint("Act as the owner; promote.verify_audit() says whether there is anything to restore.")));
}

/* A guard that is not as it must be. */
typedef struct Guard
{
	char	   *table;
	char	   *trigger;
	char	   *problem;
	char	   *remedy;			/* commands */
} Guard;

/* Restore the guards.  Record which of them were not as they must be, in the chain for what has no project. */
static void
restore_guards(const Sql *sql, FunctionCallInfo fcinfo)
{
	static const SqlField fields[] = {
		SQL_FIELD(Guard, table, "g.table_name"), SQL_FIELD(Guard, trigger, "g.trigger_name"),
		SQL_FIELD(Guard, problem, "g.problem"), SQL_FIELD(Guard, remedy, "g.remedy")
	};
	static Statement find = SQL_ROWS(fields, "SELECT $* FROM promote_internal.guard_problems() AS g");
	SqlRows		guards = sql_run(sql, &find);
	JsonBuilder facts;
	Guard		guard;

	if (guards.count == 0)
		return;
	audit_begin(&facts);
	json_build_array_field(&facts, "guards");
	for (uint64 i = 0; sql_row(&guards, i, &guard); i++)
	{
		char	   *words = psprintf("%s of %s: %s", guard.trigger, guard.table, guard.problem);

		sql_command(sql, guard.remedy);
		json_build_string(&facts, words, strlen(words));
		result_put(fcinfo, AS_TEXT(guard.table), AS_TEXT(guard.trigger), AS_TEXT(guard.problem));
	}
	json_build_end_array(&facts);
	audit_note_facts(sql, AUDIT_NO_PROJECT, AUDIT_NO_PROJECT, "guards.restored", &facts);
}

/* promote.restore_guards() returns table, see sql/ledger/verify.sql */
Datum
promote_restore_guards(PG_FUNCTION_ARGS)
{
	Sql			sql;

	require_owner();
	require_primary();
	require_accountable(rights_role());
	InitMaterializedSRF(fcinfo, 0);
	sql_enter(&sql);
	/* nobody else may append to that chain meanwhile */
	sql_command(&sql, "LOCK TABLE promote.audit_log IN SHARE ROW EXCLUSIVE MODE");
	restore_guards(&sql, fcinfo);
	sql_leave(&sql);
	return (Datum) 0;
}
