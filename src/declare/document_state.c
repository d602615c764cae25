/*
 * document_state.c: what a document says of instances beside their rows: desired params, and remote references.
 *
 * Params go the way that promote.configure_instance goes, as edits, but whole; references go by their verbs.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/datum.h"

#include "base/errors.h"
#include "compose/censor.h"
#include "declare/document.h"
#include "json/builder.h"
#include "json/limits.h"
#include "json/reader.h"
#include "json/writer.h"
#include "parse/version.h"
#include "promotion/proposal.h"
#include "promotion/proposal_single.h"
#include "promotion/stage.h"
#include "registry/instance.h"

/* What an instance desires at present. */
typedef struct Desired
{
	Jsonb	   *params;			/* NULL: it desires nothing yet */
	Jsonb	   *masked;
	char	   *version_constraint;
	char	   *release_channel;
	char	   *said_constraint;	/* both in one */
} Desired;

static const SqlField desired_fields[] = {
	SQL_FIELD(Desired, params, "d.params"),
	SQL_FIELD(Desired, masked, "m.params"),
	SQL_FIELDS(Desired, "d", version_constraint, release_channel, said_constraint)
};

/* An instance of the document. */
typedef struct StateOf
{
	Applying   *applying;
	InstanceKey key;
	const char *name;			/* in declarations */
	Jsonb	   *params;			/* that the document desires */
	const char *said_constraint;
	char	   *version_constraint;
	const char *release_channel;
} StateOf;

/* A document of an element's; NULL: it has none. */
static Jsonb *
element_document(const DocumentElement *element, const char *key)
{
	JsonbValue	value;

	return json_find_in(element->given, key, &value) ? json_from_view(&value) : NULL;
}

/* ---- what is told ---- */

/* Keep a declaration, which may live in what a statement returned, as one of the rows of the result. */
void
document_say(Applying *applying, const Declaration *said)
{
	MemoryContext inner = MemoryContextSwitchTo(applying->context);
	Declaration *kept = palloc(sizeof(Declaration));

	*kept = (Declaration) {
		pstrdup(said->kind), pstrdup(said->name), pstrdup(said->action),
		(Jsonb *) DatumGetPointer(datumCopy(JsonbPGetDatum(said->changes), false, -1))
	};
	applying->said = lappend(applying->said, kept);
	MemoryContextSwitchTo(inner);
}

/* ---- params ---- */

/* Read what an instance desires. */
static void
read_desired(const Sql *sql, const InstanceKey *key, Desired *desired)
{
	static Statement read = SQL_ROWS(desired_fields, "SELECT $*"
		" FROM promote_internal.desired_for_document($1, $2, $3, true) AS d"
		" CROSS JOIN promote_internal.desired_for_document($1, $2, $3, false) AS m");
	SqlRows		rows = sql_run(sql, &read, AS_KEY(key));

	*desired = (Desired) {NULL};
	(void) sql_row(&rows, 0, desired);
}

/* The params that are to be desired, with what is there in the place of masks. */
static Jsonb *
wanted_params(const StateOf *state, const Desired *desired)
{
	char	   *unknown;
	Jsonb	   *params = document_unmask(state->params, desired->params, desired->masked, &unknown);

	if (unknown)
		ereport(ERROR,
				(errcode(PM_INVALID_DOCUMENT),
				 errmsg("a value of \"%s\" is not in the document", instance_key_name(&state->key)),
				 errdetail("params%s is " SENSITIVE_MASK ", and there is no such value to be kept, or nobody can tell which.", unknown),
				 errhint("Write the value into the document that is applied, or configure the instance first.")));
	return params;
}

/* Is an instance to desire what it desires? */
static bool
is_desired(const StateOf *state, const Desired *desired, const Jsonb *params)
{
	JsonbValue	wanted = json_view(params);
	JsonbValue	own;

	if (desired->params == NULL)
		return false;
	own = json_view(desired->params);
	return json_equal(&wanted, &own) && strcmp(desired->version_constraint, state->version_constraint) == 0 &&
		strcmp(desired->release_channel, state->release_channel) == 0;
}

/* Add a change to the array that is open; old and new are NULL where there is none. */
static void
build_change(JsonBuilder *changes, const char *column, const JsonbValue *old_value, const JsonbValue *new_value)
{
	json_build_begin_object(changes);
	json_build_field(changes, "column", column);
	if (old_value)
	{
		json_build_key(changes, "old", 3);
		json_build_value(changes, old_value);
	}
	if (new_value)
	{
		json_build_key(changes, "new", 3);
		json_build_value(changes, new_value);
	}
	json_build_end_object(changes);
}

/* Add a leaf that changes, masked.  A JsonChangeCollector. */
static void
build_leaf(void *state, const JsonChange *change)
{
	JsonbValue	masks[2];
	uint32		old_flags = change->flags & MASK_NEW_ALONE ? 0 : change->flags;

	build_change(state, psprintf("params%s", change->path), mask_shown(change->old_value, old_flags, &masks[0]),
				 mask_shown(change->new_value, change->flags, &masks[1]));
}

/* Say what changes of what an instance desires. */
static void
say_desired(const StateOf *state, const Desired *desired, ProposedRevision *proposed, const char *action)
{
	JsonBuilder changes;
	Declaration said = {"revision", state->name, action};

	json_begin_array(&changes);
	if (proposed)
	{
		JsonbValue	new_value = json_string(state->said_constraint, strlen(state->said_constraint));
		JsonbValue	old_value = new_value;

		if (desired->params)
			old_value = json_string(desired->said_constraint, strlen(desired->said_constraint));
		mask_leaf_diff(compose_mask(&proposed->proposal), desired->params, proposed->proposal.params, build_leaf,
					   &changes);
		if (desired->params == NULL || !json_equal(&old_value, &new_value))
			build_change(&changes, "version_constraint", desired->params ? &old_value : NULL, &new_value);
	}
	said.changes = json_builder_finish(&changes);
	document_say(state->applying, &said);
}

/* Let an instance desire the params, behind whoever changes it. */
static void
configure(const StateOf *state)
{
	const Applying *applying = state->applying;
	const Sql  *sql = applying->sql;
	Staging		staging = {.origin = ORIGIN_EDIT,.message = applying->message};
	ProposedRevision proposed;
	Desired		desired;
	Staged		staged;
	Jsonb	   *params;

	instance_lock(sql, &state->key, true);
	read_desired(sql, &state->key, &desired);
	params = wanted_params(state, &desired);
	if (is_desired(state, &desired, params))
	{
		say_desired(state, &desired, NULL, "keep");
		return;
	}
	json_check_params(params, "params");
	proposal_from(sql, &state->key, state->key.environment, state->version_constraint, state->release_channel, false,
				  &proposed);
	proposal_require_release(sql, &proposed);
	proposed.proposal.params = params;
	/* elements may have moved to places that no schema marks */
	proposed.proposal.kept = compose_masked(state->params);
	proposed.plan = true;
	stage_write(sql, &staging, &proposed, CurrentMemoryContext, &staged);
	say_desired(state, &desired, &proposed, desired.params ? "change" : "create");
}

/* Let an instance desire what the document says of it. */
static void
apply_params(StateOf *state)
{
	Desired		desired;
	bool		development;

	version_parse_constraint(state->said_constraint, &state->version_constraint, &development);
	state->release_channel = development ? "development" : "stable";
	state->said_constraint = psprintf("%s%s", state->version_constraint, development ? "+dev" : "");
	read_desired(state->applying->sql, &state->key, &desired);
	if (is_desired(state, &desired, wanted_params(state, &desired)))
		say_desired(state, &desired, NULL, "keep");
	else if (state->applying->missing == NIL)
		configure(state);
}

/* ---- references ---- */

/* A remote reference that is there, or is to be. */
typedef struct Reference
{
	char	   *field;
	char	   *present;		/* NULL: none */
	char	   *wanted;			/* NULL: none */
} Reference;

static const SqlField reference_fields[] = {
	SQL_FIELDS(Reference, "r", field, present, wanted)
};

/* Say what becomes of a reference. */
static void
say_reference(const StateOf *state, const Reference *reference, const char *action)
{
	Declaration said = {"remote_reference", psprintf("%s/%s", state->name, reference->field), action};
	JsonBuilder changes;
	JsonbValue	values[2];

	for (int i = 0; i < 2; i++)
	{
		const char *text = i == 0 ? reference->present : reference->wanted;

		if (text)
			values[i] = json_string(text, strlen(text));
	}
	json_begin_array(&changes);
	if (strcmp(action, "keep") != 0)
		build_change(&changes, "reference", reference->present ? &values[0] : NULL,
					 reference->wanted ? &values[1] : NULL);
	said.changes = json_builder_finish(&changes);
	document_say(state->applying, &said);
}

/* Is a reference what the document says? */
static bool
is_kept(const Reference *reference)
{
	return reference->wanted && reference->present && strcmp(reference->wanted, reference->present) == 0;
}

/* Is a reference to be written? */
static bool
is_written(const Applying *applying, const Reference *reference)
{
	return !is_kept(reference) && applying->missing == NIL && (reference->wanted || applying->prune);
}

/* Make a reference what the document says. */
static void
apply_reference(const StateOf *state, const Reference *reference)
{
	static Statement set = {"SELECT promote.set_remote_reference($1, $2, $3)"};
	static Statement take = {"SELECT promote.remove_remote_reference($1, $2)"};
	const Applying *applying = state->applying;
	const char *instance = instance_key_name(&state->key);

	if (is_kept(reference))
		say_reference(state, reference, "keep");
	if (!is_written(applying, reference))
		return;
	if (reference->wanted)
		(void) sql_run(applying->sql, &set, AS_TEXT(instance), AS_TEXT(reference->field), AS_TEXT(reference->wanted));
	else
		(void) sql_run(applying->sql, &take, AS_TEXT(instance), AS_TEXT(reference->field));
	say_reference(state, reference, reference->wanted == NULL ? "delete" : reference->present ? "change" : "create");
}

/* What the document says of the references of an instance, and what they are: a list of Reference *. */
static List *
read_references(const StateOf *state, const DocumentElement *element)
{
	static Statement read = SQL_ROWS(reference_fields, "SELECT $* FROM (SELECT COALESCE(p.field, w.key) AS field,"
		" p.reference AS present, w.value AS wanted FROM (SELECT * FROM promote.remote_reference AS p WHERE "
		OF_INSTANCE("p") ") AS p FULL JOIN pg_catalog.jsonb_each_text($4) AS w ON w.key COLLATE \"C\" = p.field) AS r"
		" ORDER BY r.field COLLATE \"C\"");
	Jsonb	   *references = element_document(element, "remote_references");
	SqlRows		rows = sql_run(state->applying->sql, &read, AS_KEY(&state->key),
							   AS_JSONB(references ? references : json_empty_object()));

	return sql_list(&rows, sizeof(Reference));
}

/* Is any of the references to be written? */
static bool
any_is_written(const Applying *applying, const List *references)
{
	ListCell   *cell;

	foreach(cell, references)
		if (is_written(applying, lfirst(cell)))
			return true;
	return false;
}

/* ---- instances ---- */

/* The instance that a row is of, whose project is that of the document. */
InstanceKey
document_instance(const Applying *applying, const Jsonb *given)
{
	return (InstanceKey) {unconstify(char *, applying->project), declare_given(given, "environment"),
		declare_given(given, "component")};
}

/* What the document says of an instance. */
static StateOf
state_of(Applying *applying, const DocumentElement *element)
{
	char	   *constraint = declare_given(element->given, "version");
	StateOf		state = {
		.applying = applying,
		.key = document_instance(applying, element->given),
		.params = element_document(element, "params"),
		.said_constraint = constraint ? constraint : "latest"
	};

	state.name = psprintf("%s/%s/%s", state.key.project, state.key.environment, state.key.component);
	return state;
}

/*
 * Make an instance desire what the document says of it, and lock it if its references are to change.  Returns these,
 * for document_apply_references.
 */
List *
document_apply_desired(Applying *applying, const DocumentElement *element)
{
	StateOf		state = state_of(applying, element);
	List	   *references = read_references(&state, element);

	if (state.params)
		apply_params(&state);
	if (any_is_written(applying, references))
		instance_lock(applying->sql, &state.key, true);
	return references;
}

/* Make the references of instances what the document says: for each, a list as document_apply_desired returns. */
void
document_apply_references(Applying *applying, const List *elements, const List *references)
{
	ListCell   *cell;
	ListCell   *of_element;

	forboth(cell, elements, of_element, references)
	{
		const DocumentElement *element = lfirst(cell);
		StateOf		state = state_of(applying, element);
		ListCell   *reference;

		CHECK_FOR_INTERRUPTS();
		applying->place = element->place;
		foreach(reference, (List *) lfirst(of_element))
			apply_reference(&state, lfirst(reference));
	}
	applying->place = 0;
}
