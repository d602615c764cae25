/*
 * upstream.c: which of the leaves that a deployment changes have run like that where its revision was promoted from.
 *
 * All leaves are judged at once: each configuration that has run there is read once, the newest first, and none more
 * when there is nothing left to be looked for.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/argument.h"
#include "base/compat.h"
#include "base/result.h"
#include "base/sql.h"
#include "grant/grants.h"
#include "json/path.h"
#include "json/reader.h"
#include "registry/instance.h"

PG_FUNCTION_INFO_V1(promote_ran_upstream);
PG_FUNCTION_INFO_V1(promote_never_ran);

#define FETCHED 8				/* configurations at a time: mostly the newest has all */

/* What a deployment changes, and by what. */
typedef struct Promoted
{
	char	   *source_environment; /* NULL: it comes from its own environment, or from nowhere */
	Jsonb	   *diff;
	Jsonb	   *own;			/* the configuration of its revision, with the placeholders */
} Promoted;

static const SqlField promoted_fields[] = {
	SQL_FIELD(Promoted, source_environment, "NULLIF(r.source_environment, d.environment)::pg_catalog.text"),
	SQL_FIELD(Promoted, diff, "d.diff"),
	SQL_FIELD(Promoted, own, "c.params")
};

/* What has run upstream. */
typedef struct Run
{
	Jsonb	   *rendered;
	Jsonb	   *written;		/* with the placeholders */
} Run;

static const SqlField run_fields[] = {
	SQL_FIELD(Run, rendered, "promote_internal.config_params($1, u.rendered_digest)"),
	SQL_FIELD(Run, written, "promote_internal.config_params($1, u.digest)")
};

/* An entry of the diff, and what has to be found upstream. */
typedef struct Leaf
{
	bool		ran;			/* it was, or nothing has to be */
	JsonbValue	path;
	bool		removed;		/* that there is none */
	bool		sensitive;		/* that there is one: a diff has no sensitive value */
	bool		becomes;		/* what it becomes */
	bool		written;		/* or what is written there, placeholders and all */
	JsonbValue	new;
	JsonbValue	own;
} Leaf;

/* The entries of a diff. */
typedef struct Leaves
{
	int			count;
	Leaf	   *leaf;
} Leaves;

/* Find the value at a leaf's path. */
static bool
find(const JsonbValue *root, const Leaf *leaf, JsonbValue *value)
{
	return json_path_look_up(root, leaf->path.val.string.val, leaf->path.val.string.len, value);
}

/* Is there, at the leaf's place, what is written there in the configuration of its own? */
static bool
is_as_written(const JsonbValue *written, const Leaf *leaf)
{
	JsonbValue	value;

	return leaf->written && find(written, leaf, &value) && json_equal(&value, &leaf->own);
}

/* Read an entry of a diff.  What is no leaf of the configuration is not looked for. */
static void
read_leaf(const JsonbValue *entry, const JsonbValue *own, Leaf *leaf)
{
	JsonbValue	value;

	leaf->ran = !json_is_object(entry) || !json_find(entry, "kind", &value) ||
		!(json_string_is(&value, "param") || json_string_is(&value, "parameter")) ||
		!json_find(entry, "path", &leaf->path) || leaf->path.type != jbvString;
	if (leaf->ran)
		return;
	leaf->removed = json_find(entry, "change", &value) && json_string_is(&value, "remove");
	leaf->sensitive = json_find(entry, "sensitive", &value);
	leaf->becomes = json_find(entry, "new", &leaf->new);
	leaf->written = find(own, leaf, &leaf->own);
}

/* Read a diff of a revision whose configuration, with the placeholders, is own. */
static Leaves
read_leaves(const Jsonb *diff, const Jsonb *own)
{
	JsonbValue	entries = json_view(diff);
	JsonbValue	root = json_view(own);
	Leaves		leaves = {.count = json_is_array(&entries) ? json_count(&entries) : 0};

	leaves.leaf = palloc0(Max(leaves.count, 1) * sizeof(Leaf));
	if (leaves.count == 0)
		return leaves;
	json_foreach(entry, &entries)
		read_leaf(&entry.value, &root, &leaves.leaf[entry.index]);
	return leaves;
}

/* Did a configuration have the leaf?  Placeholders stand for other values in other environments. */
static bool
had_leaf(const JsonbValue *rendered, const JsonbValue *written, const Leaf *leaf)
{
	JsonbValue	value;
	bool		there = find(rendered, leaf, &value);

	if (leaf->removed || leaf->sensitive)
		return there != leaf->removed;
	return (there && leaf->becomes && json_equal(&value, &leaf->new)) || is_as_written(written, leaf);
}

/* Mark the leaves that a configuration had; how many are left that none did. */
static int
mark_leaves(const Run *run, Leaves *leaves)
{
	JsonbValue	rendered = json_view(run->rendered);
	JsonbValue	written = json_view(run->written);
	int			left = 0;

	for (int i = 0; i < leaves->count; i++)
	{
		leaves->leaf[i].ran = leaves->leaf[i].ran || had_leaf(&rendered, &written, &leaves->leaf[i]);
		left += !leaves->leaf[i].ran;
	}
	return left;
}

/* Look for the leaves in all that an instance has run, the last first, until all were found; has it run anything? */
static bool
look_upstream(const Sql *sql, const InstanceKey *source, Leaves *leaves)
{
	static Statement read = SQL_ROWS(run_fields, "SELECT $* FROM promote_internal.completed_runs($1, $2, $3) AS u");
	Portal		cursor = sql_open(sql, &read, true, AS_KEY(source));
	MemoryContext each = AllocSetContextCreate(CurrentMemoryContext, "promote run upstream",
											   ALLOCSET_DEFAULT_SIZES);
	int			left = 1;
	bool		any = false;
	SqlRows		rows;

	do
	{
		SPI_cursor_fetch(cursor, true, FETCHED);
		rows = sql_fetched(&read);
		any = any || rows.count > 0;
		for (uint64 i = 0; i < rows.count && left > 0; i++)
		{
			MemoryContext outer = MemoryContextSwitchTo(each);
			Run			run;

			CHECK_FOR_INTERRUPTS();
			(void) sql_row(&rows, i, &run);
			left = mark_leaves(&run, leaves);
			MemoryContextSwitchTo(outer);
			MemoryContextReset(each);
		}
		SPI_freetuptable(rows.table);
	} while (rows.count == FETCHED && left > 0);
	SPI_cursor_close(cursor);
	MemoryContextDelete(each);
	return any;
}

/*
 * promote_internal.never_ran(project text, environment text, component text, diff jsonb, own jsonb, theirs jsonb)
 * returns TABLE (place bigint, path text): the entries of a diff that an instance never ran with
 */
Datum
promote_never_ran(PG_FUNCTION_ARGS)
{
	const InstanceKey source = {argument_text(fcinfo, 0), argument_text(fcinfo, 1), argument_text(fcinfo, 2)};
	Jsonb	   *diff = value_jsonb(fcinfo->args[3]);
	Jsonb	   *own = value_jsonb(fcinfo->args[4]);
	Jsonb	   *theirs = value_jsonb(fcinfo->args[5]);
	Leaves		leaves;
	Sql			sql;
	bool		any;

	InitMaterializedSRF(fcinfo, 0);
	if (diff == NULL || own == NULL)
		return (Datum) 0;
	leaves = read_leaves(diff, own);
	for (int i = 0; theirs && i < leaves.count; i++)
	{
		const JsonbValue root = json_view(theirs);
		Leaf	   *leaf = &leaves.leaf[i];
		JsonbValue	value;

		leaf->ran = leaf->ran || !(leaf->removed ? !find(&root, leaf, &value) : is_as_written(&root, leaf));
	}
	sql_enter(&sql);
	any = look_upstream(&sql, &source, &leaves);
	sql_leave(&sql);
	for (int i = 0; any && i < leaves.count; i++)
		if (!leaves.leaf[i].ran)
			result_put(fcinfo, AS_BIGINT(i + 1),
					   AS_TEXT(pnstrdup(leaves.leaf[i].path.val.string.val, leaves.leaf[i].path.val.string.len)));
	return (Datum) 0;
}

/* ---- one by one, for the view ---- */

/* The leaves of a deployment, kept from one call in a statement to the next. */
typedef struct Judged
{
	MemoryContext context;		/* of all that is kept of the deployment */
	InstanceKey key;			/* of nothing yet: NULL */
	int32		deployment;
	int			count;			/* 0: it was not promoted from another environment */
	bool	   *ran;			/* of each entry of its diff */
} Judged;

/* Judge the leaves of a deployment. */
static void
judge(Judged *judged, const InstanceKey *key)
{
	static Statement read = SQL_ROWS(promoted_fields, "SELECT $* FROM promote.deployment AS d"
		" JOIN promote.revision AS r ON r.project = d.project AND r.environment = d.environment AND r.component = d.component AND r.revision = d.revision"
		" JOIN promote.config AS c ON c.project = r.project AND c.digest = r.digest WHERE " OF_INSTANCE("d")
		" AND d.deployment = $4");
	Promoted	promoted;
	Sql			sql;
	SqlRows		rows;

	sql_enter(&sql);
	rows = sql_read(&sql, &read, AS_KEY(key), AS_INT(judged->deployment));
	if (sql_row(&rows, 0, &promoted) && promoted.source_environment)
	{
		const InstanceKey source = {key->project, promoted.source_environment, key->component};
		Leaves		leaves = read_leaves(promoted.diff, promoted.own);

		(void) look_upstream(&sql, &source, &leaves);
		judged->ran = MemoryContextAlloc(judged->context, Max(leaves.count, 1) * sizeof(bool));
		for (int i = 0; i < leaves.count; i++)
			judged->ran[i] = leaves.leaf[i].ran;
		judged->count = leaves.count;
	}
	sql_leave(&sql);
}

/* The leaves of a deployment: those that were judged last in the statement, or judged now. */
static const Judged *
judged_leaves(FunctionCallInfo fcinfo, const InstanceKey *key, int32 deployment)
{
	Judged	   *judged = fcinfo->flinfo->fn_extra;

	if (judged == NULL)
	{
		judged = fcinfo->flinfo->fn_extra = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(Judged));
		judged->context = AllocSetContextCreate(fcinfo->flinfo->fn_mcxt, "promote judged leaves",
												ALLOCSET_DEFAULT_SIZES);
	}
	if (judged->key.project && judged->deployment == deployment && instance_key_compare(&judged->key, key) == 0)
		return judged;
	MemoryContextReset(judged->context);
	*judged = (Judged) {.context = judged->context, .deployment = deployment};
	judge(judged, key);
	/* only now, so that an error leaves nothing half judged behind */
	judged->key = (InstanceKey) {MemoryContextStrdup(judged->context, key->project),
		MemoryContextStrdup(judged->context, key->environment), MemoryContextStrdup(judged->context, key->component)};
	return judged;
}

/*
 * promote_internal.ran_upstream(project text, environment text, component text, deployment integer, leaf integer)
 * returns boolean: has the leaf with that number, from 1, run like that where the revision was promoted from?  NULL: it
 * was not promoted from another environment, there is no such leaf, or the asker does not see the deployment.
 */
Datum
promote_ran_upstream(PG_FUNCTION_ARGS)
{
	const InstanceKey key = {argument_text(fcinfo, 0), argument_text(fcinfo, 1), argument_text(fcinfo, 2)};
	int32		deployment = PG_GETARG_INT32(3);
	int32		leaf = PG_GETARG_INT32(4);
	const Judged *judged;

	if (!grants_may(GRANTS_ROWS, key.project, key.environment))
		PG_RETURN_NULL();
	judged = judged_leaves(fcinfo, &key, deployment);
	if (leaf < 1 || leaf > judged->count)
		PG_RETURN_NULL();
	PG_RETURN_BOOL(judged->ran[leaf - 1]);
}
