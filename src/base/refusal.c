/*
 * refusal.c: what programs are told of a refusal, beside the words for people.
 *
 * A refusal becomes a JSON document: its SQLSTATE and the name of that, message, detail, hint, the instance that it
 * is about, and the items that whoever refused has made.  It is made where PostgreSQL hands an error to the client
 * (emit_log_hook), so that no statement that succeeds pays for it, and that an error that somebody catches is none.
 * By promote.error_format it takes the place of DETAIL; promote.last_refusal() shows the session's last one.
 *
 * Two things are remembered until then, in memory of the session.  Items are kept with the DETAIL that they belong to,
 * and count for an error with that very DETAIL only: so an error that was caught, and another one after it, need not be
 * told apart.  And of instances the last names that were made are kept: an error is about the first of them that its
 * message quotes.
 *
 * Here no error may be raised, no table or catalog read: the transaction has failed.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/memutils.h"

#include "base/errors.h"
#include "base/refusal.h"

PG_FUNCTION_INFO_V1(promote_last_refusal);

#define MAX_ITEMS 1000			/* of a refusal that a program is told */
#define MAX_TEXT (64 * 1024)	/* bytes of a message, detail or hint that it is told */
#define MENTIONED 8				/* names of instances that are kept; a refusal names fewer */
#define MENTION_BYTES 192		/* three names of 63 bytes, and dashes */

/* How DETAIL is written. */
typedef enum Format
{
	FORMAT_TEXT,
	FORMAT_JSON
} Format;

static const struct config_enum_entry formats[] = {
	{"text", FORMAT_TEXT, false},
	{"json", FORMAT_JSON, false},
	{NULL, 0, false}
};

/* What whoever refused has said of an error with this DETAIL. */
static struct
{
	MemoryContext context;
	char	   *detail;			/* NULL: nothing */
	char	   *name;			/* what the items are */
	char	   *items;			/* a JSON array */
	uint64		left_out;		/* of the items, as there were too many */
} said;

/* The last refusal, and who was told. */
static struct
{
	MemoryContext context;
	char	   *document;		/* NULL: none */
	Oid			login;
	Oid			role;
	char	   *actor;			/* what promote.actor was */
	bool		asked;			/* for it, in this transaction? */
} last;

static int	error_format;
static char mentioned[MENTIONED][MENTION_BYTES];
static int	mentions;			/* ever */
static emit_log_hook_type next_hook;
static ProcessUtility_hook_type next_utility;

/* ---- conditions ---- */

#define CONDITION(name) {PM_##name, #name}

/* The names of SQLSTATEs: those of errors.h.  test/t/errors_codes.pl finds one that is missing. */
static const struct
{
	int			sqlstate;
	const char *name;
}			conditions[] = {
	CONDITION(INVALID_NAME), CONDITION(NOT_FOUND), CONDITION(SAME_INSTANCE), CONDITION(COMPONENT_MISMATCH),
	CONDITION(NOT_CONFIGURED), CONDITION(ARCHIVED), CONDITION(NAME_TAKEN), CONDITION(NOT_AN_OBJECT),
	CONDITION(TOO_LARGE), CONDITION(INVALID_PARAMS), CONDITION(IMMUTABLE), CONDITION(INVALID_PLACEHOLDER),
	CONDITION(INVALID_SCHEMA), CONDITION(INVALID_YAML), CONDITION(CONFLICT), CONDITION(NO_BASE),
	CONDITION(CANNOT_PATCH), CONDITION(INVALID_VERSION), CONDITION(NO_RELEASE), CONDITION(OTHER_ARTIFACT),
	CONDITION(APPEND_ONLY), CONDITION(OUT_OF_SEQUENCE), CONDITION(GUARDED_COLUMN),
	CONDITION(REVISION_MOVED), CONDITION(KEY_REUSED), CONDITION(INVALID_ARGUMENT), CONDITION(CANNOT_TAKE),
	CONDITION(TAG_TAKEN), CONDITION(ILLEGAL_STEP), CONDITION(NO_CLAIM), CONDITION(PLAN_MOVED),
	CONDITION(PLAN_REQUIRED), CONDITION(PROTECTED), CONDITION(NOT_A_PLAN), CONDITION(DEFECTIVE_PLAN),
	CONDITION(NOT_DEPLOYED), CONDITION(OTHER_PLAN), CONDITION(RELEASE_BLOCKED), CONDITION(DECOMMISSIONED),
	CONDITION(STILL_USED), CONDITION(GATES_CLOSED), CONDITION(INVALID_WINDOW), CONDITION(INVALID_APPROVAL),
	CONDITION(NOT_OVERRIDABLE), CONDITION(NO_PATH), CONDITION(REQUEST_STATE), CONDITION(PREVIEW_MOVED),
	CONDITION(REQUEST_HOLDS), CONDITION(OTHER_CHANGES), CONDITION(INVALID_POLICY), CONDITION(HELD),
	CONDITION(CYCLE), CONDITION(NOT_GRANTED), CONDITION(INVALID_GRANT), CONDITION(IMPERSONATION),
	CONDITION(UNCALLED), CONDITION(NO_SECRET_KEY), CONDITION(UNUSABLE_SECRET_KEY),
	CONDITION(SECRET_SEALED), CONDITION(UNDECLARED), CONDITION(INVALID_SECRET), CONDITION(REFERENCE_FIXED),
	CONDITION(SENSITIVE_REFERENCE), CONDITION(CANNOT_PRUNE), CONDITION(INVALID_DOCUMENT), CONDITION(CANNOT_WAIT),
	CONDITION(OTHERS_CONSUMER), CONDITION(NOT_ACKNOWLEDGED), CONDITION(SCRIPT_BEHIND), CONDITION(LIBRARY_BEHIND)
};

/* The name of an SQLSTATE of class PM in lower case, in the current memory context; NULL: it has none. */
const char *
refusal_condition(int sqlstate)
{
	for (int i = 0; i < lengthof(conditions); i++)
		if (conditions[i].sqlstate == sqlstate)
			return asc_tolower(conditions[i].name, strlen(conditions[i].name));
	return NULL;
}

/* ---- JSON ---- */

/* Append a text as JSON, of which MAX_TEXT bytes are shown. */
static void
append_text(StringInfo json, const char *text)
{
	Size		length = strlen(text);

	if (length > MAX_TEXT)
		text = psprintf("%s...", pnstrdup(text, pg_mbcliplen(text, length, MAX_TEXT)));
	escape_json(json, text);
}

/* Append a member to an object that is open, unless its value is NULL. */
static void
append_member(StringInfo json, const char *name, const char *value)
{
	if (value == NULL)
		return;
	if (json->data[json->len - 1] != '{')
		appendStringInfoString(json, ", ");
	escape_json(json, name);
	appendStringInfoString(json, ": ");
	append_text(json, value);
}

/* ---- what is said where something is refused ---- */

/* Add an item, of names and values in turn; the macro refusal_item counts them. */
void
refusal_add(RefusalItems *items, const char *const *members, int count)
{
	if (++items->count > MAX_ITEMS)
		return;
	if (items->json.data == NULL)
		initStringInfo(&items->json);
	appendStringInfoString(&items->json, items->count > 1 ? ", {" : "{");
	for (int i = 0; i + 1 < count; i += 2)
		append_member(&items->json, members[i], members[i + 1]);
	appendStringInfoChar(&items->json, '}');
}

/* Forget what was said. */
static void
forget_said(void)
{
	said.detail = NULL;
	MemoryContextReset(said.context);
}

/* As errdetail_internal("%s", detail), for ereport; programs get the items, by that name. */
int
errdetail_items(const char *detail, const char *name, const RefusalItems *items)
{
	forget_said();
	if (items->count > 0)
	{
		MemoryContext caller = MemoryContextSwitchTo(said.context);

		said.name = pstrdup(name);
		said.items = psprintf("[%s]", items->json.data);
		said.left_out = items->count > MAX_ITEMS ? items->count - MAX_ITEMS : 0;
		said.detail = pstrdup(detail);
		MemoryContextSwitchTo(caller);
	}
	return errdetail_internal("%s", detail);
}

/* Keep the name of an instance, which an error may be about. */
void
refusal_mention(const char *instance)
{
	strlcpy(mentioned[mentions++ % MENTIONED], instance, MENTION_BYTES);
}

/* The instance that a message quotes first, of those that were mentioned last; NULL: none. */
static const char *
instance_of(const char *message)
{
	const char *first = NULL;
	const char *instance = NULL;

	for (int i = 0; i < Min(mentions, MENTIONED); i++)
	{
		const char *found = strstr(message, psprintf("\"%s\"", mentioned[i]));

		if (found && (first == NULL || found < first))
		{
			first = found;
			instance = mentioned[i];
		}
	}
	return instance;
}

/* ---- the document ---- */

/* Append the lines of DETAIL, which nobody has taken apart, as an array of texts. */
static void
append_reasons(StringInfo json, const char *detail)
{
	const char *line = detail;

	appendStringInfoString(json, ", \"reasons\": [");
	for (int i = 0; i < MAX_ITEMS && line; i++)
	{
		const char *end = strchr(line, '\n');

		if (i > 0)
			appendStringInfoString(json, ", ");
		append_text(json, end ? pnstrdup(line, end - line) : line);
		line = end ? end + 1 : NULL;
	}
	appendStringInfoChar(json, ']');
}

/* The document of a refusal, in the current memory context. */
static char *
document_of(const ErrorData *error)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	append_member(&json, "sqlstate", unpack_sql_state(error->sqlerrcode));
	append_member(&json, "condition", refusal_condition(error->sqlerrcode));
	append_member(&json, "message", error->message);
	append_member(&json, "detail", error->detail);
	append_member(&json, "hint", error->hint);
	append_member(&json, "instance", instance_of(error->message));
	if (error->detail && said.detail && strcmp(error->detail, said.detail) == 0)
	{
		appendStringInfo(&json, ", \"%s\": %s", said.name, said.items);
		if (said.left_out > 0)
			appendStringInfo(&json, ", \"left_out\": " UINT64_FORMAT, said.left_out);
	}
	else if (error->detail)
		append_reasons(&json, error->detail);
	appendStringInfoChar(&json, '}');
	return json.data;
}

/* ---- the session's last refusal ---- */

/* What promote.actor says, in whose name or not. */
static const char *
actor_setting(void)
{
	const char *actor = GetConfigOption("promote.actor", true, false);

	return actor ? actor : "";
}

/* Forget the last refusal. */
static void
forget_last(void)
{
	last.document = NULL;
	MemoryContextReset(last.context);
}

/* Keep a refusal for the role that is told. */
static void
keep_last(const char *document)
{
	forget_last();
	last.login = GetSessionUserId();
	last.role = GetOuterUserId();
	last.actor = MemoryContextStrdup(last.context, actor_setting());
	last.document = MemoryContextStrdup(last.context, document);
}

/*
 * An error is about to be logged and sent.  One that is no refusal makes the one before no longer the last.  Where the
 * client gets the document for DETAIL, the log keeps the text.  What a parallel worker sends its leader raises again.
 */
static void
on_error(ErrorData *error)
{
	if (error->elevel == ERROR && !IsParallelWorker() && !in_error_recursion_trouble())
	{
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_TO_CATEGORY(PM_NOT_FOUND))
			forget_last();
		else
		{
			char	   *document = document_of(error);

			keep_last(document);
			if (error_format == FORMAT_JSON)
			{
				if (error->detail_log == NULL)
					error->detail_log = error->detail;
				error->detail = document;
			}
		}
	}
	if (next_hook)
		next_hook(error);
}

/*
 * A transaction that commits forgets the last refusal if it has written something, or asked for it.  One that has done
 * neither may be a driver's own, which prepares a statement.
 */
static void
on_end(XactEvent event, void *argument)
{
	bool		succeeds = event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE;

	if (!succeeds && event != XACT_EVENT_ABORT)
		return;
	if (succeeds && (last.asked || TransactionIdIsValid(GetTopTransactionIdIfAny())))
		forget_last();
	last.asked = false;
	forget_said();
}

/* DISCARD ALL forgets the last refusal, with all else that a session has. */
static void
on_utility(PlannedStmt *statement, const char *text, bool readonly, ProcessUtilityContext context, ParamListInfo params,
		   QueryEnvironment *environment, DestReceiver *destination, QueryCompletion *completion)
{
	bool		discards = IsA(statement->utilityStmt, DiscardStmt) &&
		((DiscardStmt *) statement->utilityStmt)->target == DISCARD_ALL;

	(next_utility ? next_utility : standard_ProcessUtility) (statement, text, readonly, context, params, environment,
															 destination, completion);
	if (discards)
		forget_last();
}

/* SQL: last_refusal().  NULL where there is none, or where another role, login or actor was told. */
Datum
promote_last_refusal(PG_FUNCTION_ARGS)
{
	if (last.document == NULL || last.login != GetSessionUserId() || last.role != GetOuterUserId() ||
		strcmp(last.actor, actor_setting()) != 0)
		PG_RETURN_NULL();
	last.asked = true;
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(last.document));
}

/* Define the setting, and register for errors and the ends of transactions. */
void
refusal_init(void)
{
	said.context = AllocSetContextCreate(TopMemoryContext, "promote refusal's items", ALLOCSET_SMALL_SIZES);
	last.context = AllocSetContextCreate(TopMemoryContext, "promote last refusal", ALLOCSET_SMALL_SIZES);
	DefineCustomEnumVariable("promote.error_format",
							 "Sets how refusals of class PM are detailed.",
							 "\"text\": in sentences, for people. \"json\": DETAIL is a JSON document, for programs; the "
							 "server's log keeps the sentences.",
							 &error_format,
							 FORMAT_TEXT,
							 formats,
							 PGC_USERSET,
							 0,
							 NULL,
							 NULL,
							 NULL);
	RegisterXactCallback(on_end, NULL);
	next_hook = emit_log_hook;
	emit_log_hook = on_error;
	next_utility = ProcessUtility_hook;
	ProcessUtility_hook = on_utility;
}
