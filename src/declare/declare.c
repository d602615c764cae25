/*
 * declare.c: making a row what was asked for, or taking it away.
 *
 * A row is looked at without a lock first, so that nothing is written where it is as it was asked for: no lock, no
 * transaction's number, no event.  What is to be changed is locked and looked at once more, by what is committed then.
 * Who inserts a row that somebody else has just inserted, or changes one that has just gone, begins again.  So sessions
 * that declare one row beside each other end in one order, and each is told what it has done to what the one before
 * left.
 *
 * Locks are taken from the top: rows that are referred to as foreign keys do it, and then the row.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/guc.h"

#include "base/argument.h"
#include "base/errors.h"
#include "declare/declare.h"
#include "declare/statement.h"
#include "grant/access.h"
#include "grant/grants.h"
#include "json/builder.h"
#include "json/reader.h"
#include "ledger/recorded.h"
#include "registry/archived.h"

/* A call. */
typedef struct Declaring
{
	const Sql  *sql;
	DeclaredKind *kind;
	KindStatements *statements;
	const Jsonb *given;
	DeclareMode mode;
	const char *name;
} Declaring;

/* ---- what is given ---- */

/* A string that is given for a column; NULL: none is. */
char *
declare_given(const Jsonb *given, const char *column)
{
	JsonbValue	value;

	return json_find_in(given, column, &value) && value.type == jbvString ?
		pnstrdup(value.val.string.val, value.val.string.len) : NULL;
}

/* Refuse a key that is not whole, and null for what cannot be null. */
static void
check_given(DeclaredKind *kind, const Jsonb *given)
{
	const KindStatements *statements = kind_statements(kind);

	for (int i = 0; i < statements->count; i++)
	{
		const KindColumn *column = &statements->columns[i];
		JsonbValue	value;
		bool		found = json_find_in(given, column->name, &value);
		bool		is_needed = column->is_key && !column->generated && !column->fallback;

		if (column->required && (found ? value.type == jbvNull : is_needed))
			argument_missing(column->name);
	}
}

/* Refuse a row, new or stated as a whole, without something that has no default. */
static void
check_complete(const Declaring *declaring)
{
	for (int i = 0; i < declaring->statements->count; i++)
	{
		const KindColumn *column = &declaring->statements->columns[i];
		JsonbValue	value;

		if (column->declared && column->required && column->fallback == NULL &&
			!json_find_in(declaring->given, column->name, &value))
			argument_missing(column->name);
	}
}

/*
 * Refuse the current user unless the action was granted where the row counts, and what is not whole.  NULL is the
 * kind's own action.  Nothing of the row, or of what it refers to, was looked at.
 */
void
declare_require(DeclaredKind *kind, const char *action, const Jsonb *given)
{
	check_given(kind, given);
	access_require_in(action ? action : kind->action,
					  kind->everywhere && action == NULL ? NULL : declare_given(given, "project"),
					  declare_given(given, "environment"));
}

/*
 * Refuse the current user who may not take away what is given.  What goes by a name of its own may count anywhere:
 * whoever has the grant somewhere may ask for it, and is refused by the row.
 */
void
declare_require_gone(DeclaredKind *kind, const Jsonb *given)
{
	const KindColumn *project = kind_column(kind, "project");

	check_given(kind, given);
	if (project && project->declared)
		(void) access_scopes(kind->action);
	else
		declare_require(kind, NULL, given);
}

/* ---- grants ---- */

/* The names of the columns that change: a list of char *. */
static List *
changed_columns(const Jsonb *changes)
{
	List	   *names = NIL;
	JsonbValue	name;

	json_foreach_in(change, &changes->root)
		if (json_find(&change.value, "column", &name))
			names = lappend(names, pnstrdup(name.val.string.val, name.val.string.len));
	return names;
}

/* Refuse the caller where changing some column takes a grant that they lack, besides the kind's own. */
static void
require_columns(const Declaring *declaring, const Jsonb *changes)
{
	ListCell   *cell;

	foreach(cell, changed_columns(changes))
	{
		const char *action = kind_column(declaring->kind, lfirst(cell))->declared->action;

		if (action)
			access_require_of(declaring->sql->user, action, declare_given(declaring->given, "project"),
							  declare_given(declaring->given, "environment"));
	}
}

/*
 * Refuse the caller where a row of that name counts elsewhere and they have no grant there.  They learn that the name
 * is taken, and no more.
 */
static void
require_scope(const Declaring *declaring, const DeclaredRow *row)
{
	const DeclaredKind *kind = declaring->kind;
	const KindColumn *project = kind_column(declaring->kind, "project");

	if (project == NULL || project->declared == NULL ||
		grants_role_may(declaring->sql->user, kind->action, row->project, row->environment))
		return;
	ereport(ERROR,
			(errcode(PM_NOT_GRANTED),
			 errmsg("not allowed: %s", kind->action),
			 errdetail("There is a %s \"%s\" that counts where the caller has no grant \"%s\".", kind->name,
					   declaring->name, kind->action),
			 errhint("Take another name.")));
}

/* ---- rows ---- */

/* Run a statement that finds the row; false: it is not there. */
static bool
find_row(const Declaring *declaring, Statement *statement, DeclaredRow *row)
{
	SqlRows		rows = sql_run(declaring->sql, statement, AS_JSONB(declaring->given),
							   AS_BOOL(declaring->mode == DECLARE_WHOLE));

	return sql_row(&rows, 0, row);
}

/* Refuse a row that refers to what is not there. */
static void
refuse_parent(const Declaring *declaring, const KindParent *parent)
{
	StringInfoData key;
	ListCell   *cell;

	initStringInfo(&key);
	foreach(cell, parent->columns)
		record_append_key(&key, declare_given(declaring->given, lfirst(cell)));
	ereport(ERROR,
			(errcode(PM_NOT_FOUND),
			 errmsg("%s \"%s\" does not exist", parent->table, key.data),
			 errdetail("The %s \"%s\" refers to it.", declaring->kind->name, declaring->name),
			 errhint("Check the spelling, or register it first.")));
}

/* Lock what the row refers to by what is given, and refuse it where that is not there. */
static void
hold_parents(const Declaring *declaring)
{
	ListCell   *cell;

	foreach(cell, declaring->statements->parents)
	{
		KindParent *parent = lfirst(cell);
		ListCell   *name;
		bool		refers = true;

		foreach(name, parent->columns)
			refers &= declare_given(declaring->given, lfirst(name)) != NULL;
		if (refers && sql_run(declaring->sql, &parent->hold, AS_JSONB(declaring->given)).count == 0)
			refuse_parent(declaring, parent);
	}
}

/* Refuse to change what never changes, with the names of what would. */
static void
refuse_fixed(const Declaring *declaring, const Jsonb *changes)
{
	ereport(ERROR,
			(errcode(PM_OTHER_ARTIFACT),
			 errmsg("%s \"%s\" is there already, and is another one", declaring->kind->name, declaring->name),
			 errdetail("It differs in %s.", names_joined(changed_columns(changes))),
			 errhint("What was published never changes: publish another version.")));
}

/* Refuse a row that has to be there, and is not. */
static void
refuse_absent(const Declaring *declaring)
{
	ereport(ERROR,
			(errcode(PM_NOT_FOUND),
			 errmsg("%s \"%s\" does not exist", declaring->kind->name, declaring->name),
			 errdetail("There is no such row in promote.%s.", declaring->kind->name),
			 errhint("Check the spelling, or register it first.")));
}

/* Write what was found to be asked for. */
static void
update_row(const Declaring *declaring, bool whole)
{
	(void) sql_run(declaring->sql, &declaring->statements->update, AS_JSONB(declaring->given), AS_BOOL(whole));
}

/* Is there anything in an array of changes? */
static bool
has_changes(const DeclaredRow *row)
{
	return JB_ROOT_COUNT(row->changes) > 0;
}

/* Judge what would be written. */
static void
judge_written(const Declaring *declaring, const DeclaredRow *row)
{
	require_columns(declaring, row->changes);
	if (declaring->kind->judge)
		declaring->kind->judge(declaring->sql, declaring->given);
}

/* Judge what would be changed of a row that is there. */
static void
judge_change(const Declaring *declaring, const DeclaredRow *row)
{
	require_scope(declaring, row);
	if (!has_changes(row))
		return;
	if (declaring->mode == DECLARE_WHOLE)
		check_complete(declaring);
	if (declaring->kind->fixed)
		refuse_fixed(declaring, row->changes);
	judge_written(declaring, row);
}

/* Change a row that was found.  False: it has gone meanwhile. */
static bool
change_row(const Declaring *declaring, DeclaredRow *row)
{
	judge_change(declaring, row);
	if (!has_changes(row) || declaring->sql->reads)
		return true;
	hold_parents(declaring);
	if (!find_row(declaring, &declaring->statements->lock, row))
		return false;
	judge_change(declaring, row);
	if (has_changes(row))
		update_row(declaring, declaring->mode == DECLARE_WHOLE);
	return true;
}

/* Create a row.  False: there is one by now. */
static bool
create_row(const Declaring *declaring, DeclaredRow *row)
{
	const Sql  *sql = declaring->sql;
	DeclaredRow opened;

	check_complete(declaring);
	(void) find_row(declaring, &declaring->statements->draft, row);
	judge_written(declaring, row);
	if (sql->reads)
		return true;
	hold_parents(declaring);
	if (declaring->kind->open == NULL || !declaring->kind->open(sql, declaring->given))
		return sql_run(sql, &declaring->statements->insert, AS_JSONB(declaring->given)).count > 0;
	if (!find_row(declaring, &declaring->statements->lock, &opened))
		return false;
	if (has_changes(&opened))
		update_row(declaring, false);
	return true;
}

/* Say what was done. */
static void
say(const Declaring *declaring, const char *action, Jsonb *changes, Declaration *declaration)
{
	*declaration = (Declaration) {declaring->kind->name, declaring->name, action, changes};
}

/* Make the row what was asked for. */
static void
make_row(const Declaring *declaring, Declaration *declaration)
{
	DeclaredRow row;

	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		if (find_row(declaring, &declaring->statements->read, &row))
		{
			if (!change_row(declaring, &row))
				continue;
			say(declaring, has_changes(&row) ? "change" : "keep", row.changes, declaration);
			return;
		}
		if (declaring->mode == DECLARE_EXISTING)
			refuse_absent(declaring);
		if (create_row(declaring, &row))
			break;
	}
	say(declaring, "create", row.changes, declaration);
}

/* Refuse to take away what rows of these tables refer to. */
static void
refuse_used(const Declaring *declaring, const char *tables)
{
	ereport(ERROR,
			(errcode(PM_STILL_USED),
			 errmsg("%s \"%s\" is still used", declaring->kind->name, declaring->name),
			 errdetail("These tables have rows that refer to it: %s.", tables),
			 errhint("%s", declaring->kind->instead)));
}

/* Delete the row.  Whoever refers to it without a lock, and was waited for, is told of as the others are. */
static void
delete_row(const Declaring *declaring)
{
	MemoryContext inner = CurrentMemoryContext;
	ErrorData  *error;

	PG_TRY();
	{
		(void) sql_run(declaring->sql, &declaring->statements->delete, AS_JSONB(declaring->given));
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(inner);
		if (geterrcode() != ERRCODE_FOREIGN_KEY_VIOLATION)
			PG_RE_THROW();
		error = CopyErrorData();
		FlushErrorState();
		refuse_used(declaring, error->table_name);
	}
	PG_END_TRY();
}

/* Find a row that is to go, and lock it, unless it counts where the caller has no grant.  False: it is not there. */
static bool
find_last(const Declaring *declaring, DeclaredRow *row)
{
	if (!find_row(declaring, &declaring->statements->last, row))
		return false;
	require_scope(declaring, row);
	return declaring->sql->reads || find_row(declaring, &declaring->statements->last_lock, row);
}

/* Take the row away. */
static void
remove_row(const Declaring *declaring, Declaration *declaration)
{
	KindStatements *statements = declaring->statements;
	const Sql  *sql = declaring->sql;
	JsonBuilder none;
	DeclaredRow row;
	SqlRows		rows;

	if (!find_last(declaring, &row))
	{
		json_begin_array(&none);
		say(declaring, "keep", json_builder_finish(&none), declaration);
		return;
	}
	require_scope(declaring, &row);
	require_columns(declaring, row.changes);
	if (statements->referring.text)
	{
		rows = sql_run(sql, &statements->referring, AS_JSONB(declaring->given));
		if (rows.count > 0)
			refuse_used(declaring, names_joined(sql_texts(&rows)));
	}
	if (!sql->reads)
		delete_row(declaring);
	say(declaring, "delete", row.changes, declaration);
}

/* ---- calls ---- */

/* The key in words, as the subjects of the audit log have it. */
static char *
key_words(const Declaring *declaring)
{
	SqlRows		rows = sql_run(declaring->sql, &declaring->statements->name, AS_JSONB(declaring->given));
	StringInfoData words;

	initStringInfo(&words);
	for (uint64 i = 0; i < rows.count; i++)
		record_append_key(&words, sql_text(&rows, i));
	return words.data;
}

/* Refuse what is about an archived environment. */
static void
check_environment(const Declaring *declaring)
{
	InstanceKey key = {declare_given(declaring->given, "project"), declare_given(declaring->given, "environment")};

	if (key.project && key.environment && (declaring->kind->open == NULL || declaring->mode == DECLARE_EXISTING))
		require_in_use(&key);
}

/* Begin a call, under settings by which values are written as the log writes them.  Returns what ends them. */
static int
begin(const Sql *sql, DeclaredKind *kind, const Jsonb *given, DeclareMode mode, Declaring *declaring)
{
	int			level = NewGUCNestLevel();

	sql_pin_output();
	/* nobody loads rows as they are by a verb, whatever they have set */
	sql_set_local("row_security", "on");
	sql_set_local("check_function_bodies", "on");
	check_given(kind, given);
	*declaring = (Declaring) {sql, kind, kind_statements(kind), given, mode, NULL};
	declaring->name = key_words(declaring);
	check_environment(declaring);
	return level;
}

/*
 * Make a row what is given, inside a scope.  The caller has been allowed to by declare_require; what takes more than
 * that is refused here.  What is declared is valid until the scope is left.
 */
void
declare_row(const Sql *sql, DeclaredKind *kind, const Jsonb *given, DeclareMode mode, Declaration *declaration)
{
	Declaring	declaring;
	int			level = begin(sql, kind, given, mode, &declaring);

	make_row(&declaring, declaration);
	AtEOXact_GUC(false, level);
}

/* Take a row away, inside a scope, as declare_row. */
void
declare_gone(const Sql *sql, DeclaredKind *kind, const Jsonb *given, Declaration *declaration)
{
	Declaring	declaring;
	int			level = begin(sql, kind, given, DECLARE_EXISTING, &declaring);

	remove_row(&declaring, declaration);
	AtEOXact_GUC(false, level);
}
