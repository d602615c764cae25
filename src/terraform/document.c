/*
 * document.c: reading the JSON of a Terraform or OpenTofu plan.
 *
 * The format is that of `terraform show -json`, version 1.x; OpenTofu's is
 * the same but for two lists of actions.  What is read is checked where it
 * is read, and refused with its place; what is not read may be anything, for
 * newer versions add to it.  A place is made of the format's own keys and of
 * indexes, so that no refusal shows a value.
 *
 * Pure: no tables, no clock.  Memory does not grow with the number of
 * changes, but for the rows, which a tuplestore may keep on disk.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/value.h"
#include "json/builder.h"
#include "json/number.h"
#include "json/path.h"
#include "json/reader.h"
#include "schema/schema.h"
#include "terraform/change.h"
#include "terraform/document.h"

PG_FUNCTION_INFO_V1(promote_plan_document_changes);

/* A list of actions, and what it comes to. */
typedef struct PlanAction
{
	const char *first;
	const char *second;			/* NULL: there is one */
	const char *name;
	bool		create_before_destroy;
} PlanAction;

static const PlanAction actions[] = {
	{"no-op", NULL, "no-op", false},
	{"create", NULL, "create", false},
	{"read", NULL, "read", false},
	{"open", NULL, "read", false},	/* OpenTofu, of an ephemeral resource */
	{"update", NULL, "update", false},
	{"delete", NULL, "delete", false},
	{"forget", NULL, "forget", false},
	{"delete", "create", "replace", false},
	{"create", "delete", "replace", true},
	{"forget", "create", "replace", false}, /* OpenTofu: what was is left to itself */
	{"create", "forget", "replace", true}
};

/* The names of actions, in the order in which they are counted. */
static const char *const action_names[] = {
	"create", "update", "replace", "delete", "forget", "read", "no-op"
};

/* A plan that is being read. */
typedef struct PlanReader
{
	const Secrets *secrets;		/* that people declared; NULL: none */
	const Secrets *own;			/* of the plan itself */
	Tuplestorestate *rows;
	TupleDesc	row_type;
	MemoryContext change_context;	/* reset after each change */
	MemoryContext path_context; /* reset after each path that forces replacement */
	pg_cryptohash_ctx *hash;

	const char *origin;			/* of the changes that are read now */
	const char *list;			/* where they are: .resource_changes */
	const char *within;			/* and where in an element: "" or .resource_change */
	uint32		index;
	int32		number;			/* of changes so far */
	uint32		by_action[lengthof(action_names)];	/* those of origin change */
} PlanReader;

/* The kinds of values that a place may be of, as bits, and their names. */
#define IS_STRING	0x01
#define IS_BOOLEAN	0x02
#define IS_ARRAY	0x04
#define IS_OBJECT	0x08

/* What kind of value it is; 0 for others. */
static int
kind_of(const JsonbValue *value)
{
	if (value->type == jbvString)
		return IS_STRING;
	if (value->type == jbvBool)
		return IS_BOOLEAN;
	return json_is_object(value) ? IS_OBJECT : json_is_array(value) ? IS_ARRAY : 0;
}

/* The name of a kind. */
static const char *
kind_name(int kind)
{
	return kind == IS_STRING ? "a string" : kind == IS_BOOLEAN ? "a boolean" :
		kind == IS_ARRAY ? "an array" : "an object";
}

/* Refuse the document: what is wrong at a place. */
static void
refuse_plan(const char *place, const char *problem)
{
	ereport(ERROR,
			(errcode(PM_NOT_A_PLAN),
			 errmsg("not the JSON of a plan"),
			 errdetail("%s %s.", place, problem),
			 errhint("Pass what `terraform show -json` or `tofu show -json` prints of a plan file.")));
}

/* A place in the change that is read; key is below it, or "". */
static char *
place_in_change(const PlanReader *reader, const char *key)
{
	return psprintf("%s[%u]%s%s", reader->list, reader->index, reader->within, key);
}

/*
 * The value of a key, of the kind that it must be; jbvNull where it is not
 * there, or null.  place is for the refusal; a change's is made up only then.
 */
static void
get_field(const PlanReader *reader, const JsonbValue *object, const char *key, int kind,
		  const char *place, JsonbValue *value)
{
	if (!json_find(object, key, value) || value->type == jbvNull)
		value->type = jbvNull;
	else if (kind_of(value) != kind)
		refuse_plan(reader ? place_in_change(reader, place) : place,
					psprintf("is not %s", kind_name(kind)));
}

/* The value of a key that has to be there, of the kind that it must be: see get_field. */
static void
get_required(const PlanReader *reader, const JsonbValue *object, const char *key, int kind,
			 const char *place, JsonbValue *value)
{
	get_field(reader, object, key, kind, place, value);
	if (value->type == jbvNull)
		refuse_plan(reader ? place_in_change(reader, place) : place, "is missing");
}

/* Is a string one of an action list's? */
static bool
is_action(const JsonbValue *list, uint32 index, const char *name)
{
	JsonbValue	value;

	if (index >= json_count(list))
		return name == NULL;
	json_view_child(list->val.binary.data, index, &value);
	return name && json_string_is(&value, name);
}

/* What a list of actions comes to. */
static const PlanAction *
find_action(const PlanReader *reader, const JsonbValue *list)
{
	for (int i = 0; i < lengthof(actions); i++)
		if (is_action(list, 0, actions[i].first) && is_action(list, 1, actions[i].second) &&
			json_count(list) <= 2)
			return &actions[i];
	refuse_plan(place_in_change(reader, ".change.actions"),
				"is no list of actions that is known here");
	return NULL;
}

/* A row that is being filled in. */
typedef struct PlanRow
{
	Datum		values[PLAN_COLUMNS];
	bool		nulls[PLAN_COLUMNS];
} PlanRow;

/* Set a column. */
static void
set(PlanRow *row, PlanColumn column, Datum value)
{
	row->values[column] = value;
	row->nulls[column] = false;
}

/* Set a text column to a string of the plan; NULL where there is none. */
static void
set_string(PlanRow *row, PlanColumn column, const JsonbValue *string)
{
	if (string->type == jbvString)
		set(row, column, PointerGetDatum(cstring_to_text_with_len(string->val.string.val, string->val.string.len)));
}

/* Mask every secret of either set in a string. */
static void
mask_string(const PlanReader *reader, JsonbValue *string)
{
	const Secrets *sets[] = {reader->secrets, reader->own};

	for (int i = 0; string->type == jbvString && i < lengthof(sets); i++)
		string->val.string.val = (char *) secrets_mask_text(sets[i], string->val.string.val,
															&string->val.string.len);
}

/* Set a text column to a string of the plan, with every secret in it masked. */
static void
set_masked(const PlanReader *reader, PlanRow *row, PlanColumn column, JsonbValue *string)
{
	mask_string(reader, string);
	set_string(row, column, string);
}

/* An array's index as a number; false where it is none. */
static bool
read_index(const JsonbValue *value, uint32 *index)
{
	char	   *text;
	char	   *end;

	if (value->type != jbvNumeric)
		return false;
	text = palloc(json_number_room(value->val.numeric) + 1);
	end = json_write_number(text, value->val.numeric);
	*end = '\0';
	if (end - text > 9 || strspn(text, "0123456789") != end - text)
		return false;
	*index = atoi(text);
	return true;
}

/*
 * A path of replace_paths as text.  It ends before a step that is neither a
 * string nor an index: an element of a set is named by its value.
 */
static const char *
path_text(const PlanReader *reader, const JsonbValue *steps)
{
	StringInfoData path;
	uint32		index;

	initStringInfo(&path);
	json_foreach(item, steps)
	{
		if (item.value.type == jbvString)
			json_path_add_key(&path, item.value.val.string.val, item.value.val.string.len);
		else if (read_index(&item.value, &index))
			json_path_add_index(&path, index);
		else
			break;
	}
	return secrets_mask_path(reader->own, secrets_mask_path(reader->secrets, json_path_text(&path)));
}

/* Set the column of the paths that force replacement. */
static void
set_replace_paths(const PlanReader *reader, PlanRow *row, const JsonbValue *change)
{
	JsonbValue	list;
	Datum	   *paths;
	int			count = 0;
	MemoryContext outer;
	const char *path;

	get_field(reader, change, "replace_paths", IS_ARRAY, ".change.replace_paths", &list);
	if (list.type == jbvNull)
		return;
	paths = palloc_array(Datum, Max(json_count(&list), 1));
	json_foreach(item, &list)
	{
		CHECK_FOR_INTERRUPTS();
		if (!json_is_array(&item.value))
			refuse_plan(place_in_change(reader, psprintf(".change.replace_paths[%d]", count)),
						"is not an array");
		outer = MemoryContextSwitchTo(reader->path_context);
		path = path_text(reader, &item.value);
		MemoryContextSwitchTo(outer);
		paths[count++] = CStringGetTextDatum(path);
		MemoryContextReset(reader->path_context);
	}
	set(row, PLAN_REPLACE_PATHS, PointerGetDatum(construct_array(paths, count, TEXTOID, -1, false, TYPALIGN_INT)));
}

/* Set the columns of what the resource is. */
static void
set_resource(const PlanReader *reader, PlanRow *row, const JsonbValue *resource)
{
	static const struct
	{
		const char *key;
		const char *place;
		PlanColumn	column;
		bool		masked;
	}			fields[] = {
		{"previous_address", ".previous_address", PLAN_PREVIOUS_ADDRESS, true},
		{"deposed", ".deposed", PLAN_DEPOSED, true},
		{"mode", ".mode", PLAN_MODE, false},
		/* words of providers, which hold nothing of the params */
		{"type", ".type", PLAN_TYPE, false},
		{"provider_name", ".provider_name", PLAN_PROVIDER, false},
		{"action_reason", ".action_reason", PLAN_ACTION_REASON, true}
	};
	JsonbValue	value;

	get_required(reader, resource, "address", IS_STRING, ".address", &value);
	set_masked(reader, row, PLAN_ADDRESS, &value);
	for (int i = 0; i < lengthof(fields); i++)
	{
		get_field(reader, resource, fields[i].key, IS_STRING, fields[i].place, &value);
		if (fields[i].masked)
			set_masked(reader, row, fields[i].column, &value);
		else
			set_string(row, fields[i].column, &value);
	}
}

/* The word by which a change is told from others: a replace that destroys nothing has one of its own. */
static const char *
action_word(const PlanAction *action)
{
	bool		forgets = strcmp(action->first, "forget") == 0 ||
		(action->second && strcmp(action->second, "forget") == 0);

	return forgets && action->second ? "forget, create" : action->name;
}

/*
 * Set the column by which upstream's same change is found: of what is
 * planned and does something.  What is deleted or forgotten goes as a whole,
 * whatever it had; a name that deposed objects have is made up each time.
 */
static void
set_fingerprint(const PlanReader *reader, PlanRow *row, const PlanAction *action, const PlanLeaves *found)
{
	static const PlanLeaves none = {0};
	const char *name = action->name;
	bool		goes = strcmp(name, "delete") == 0 || strcmp(name, "forget") == 0;
	bool		does_nothing = strcmp(name, "read") == 0 || strcmp(name, "no-op") == 0;
	bool		imports = DatumGetBool(row->values[PLAN_IMPORTING]);
	const char *words[4] = {NULL, row->nulls[PLAN_DEPOSED] ? "" : "deposed", action_word(action),
		imports ? "import" : ""};
	bytea	   *fingerprint;

	if (strcmp(reader->origin, "change") != 0 ||
		(does_nothing && row->nulls[PLAN_PREVIOUS_ADDRESS] && !imports))
		return;
	fingerprint = palloc(VARHDRSZ + PLAN_FINGERPRINT_LENGTH);
	SET_VARSIZE(fingerprint, VARHDRSZ + PLAN_FINGERPRINT_LENGTH);
	words[0] = TextDatumGetCString(row->values[PLAN_ADDRESS]);
	plan_fingerprint(reader->hash, words, lengthof(words), goes ? &none : found,
					 (uint8 *) VARDATA(fingerprint));
	set(row, PLAN_FINGERPRINT, PointerGetDatum(fingerprint));
}

/* Set the columns of what happens to the resource. */
static void
set_change(const PlanReader *reader, PlanRow *row, const JsonbValue *change, const PlanAction *action)
{
	PlanSides	sides;
	PlanLeaves	found;
	JsonbValue	importing;

	plan_sides_read(change, &sides);
	plan_leaves_find(&sides, reader->secrets, reader->own, &found);
	set(row, PLAN_ACTION, CStringGetTextDatum(action->name));
	if (strcmp(action->name, "replace") == 0)
		set(row, PLAN_CREATE_BEFORE_DESTROY, BoolGetDatum(action->create_before_destroy));
	set(row, PLAN_IMPORTING, BoolGetDatum(json_find(change, "importing", &importing) && importing.type != jbvNull));
	set_replace_paths(reader, row, change);
	set(row, PLAN_DIFF, JsonbPGetDatum(plan_leaves_diff(&found)));
	set_fingerprint(reader, row, action, &found);
}

/* Count an action. */
static void
count_action(PlanReader *reader, const char *name)
{
	for (int i = 0; i < lengthof(action_names); i++)
		if (strcmp(name, action_names[i]) == 0)
			reader->by_action[i]++;
}

/* Read one change and put its row. */
static void
read_change(PlanReader *reader, const JsonbValue *element)
{
	PlanRow		row;
	JsonbValue	resource = *element;
	JsonbValue	change,
				list;
	const PlanAction *action;

	memset(row.nulls, true, sizeof(row.nulls));
	if (!json_is_object(element))
		refuse_plan(psprintf("%s[%u]", reader->list, reader->index), "is not an object");
	if (*reader->within)
		get_required(reader, element, "resource_change", IS_OBJECT, "", &resource);
	set_resource(reader, &row, &resource);
	get_required(reader, &resource, "change", IS_OBJECT, ".change", &change);
	get_required(reader, &change, "actions", IS_ARRAY, ".change.actions", &list);
	action = find_action(reader, &list);
	set_change(reader, &row, &change, action);
	set(&row, PLAN_CHANGE, Int32GetDatum(++reader->number));
	set(&row, PLAN_ORIGIN, CStringGetTextDatum(reader->origin));
	if (strcmp(reader->origin, "change") == 0)
		count_action(reader, action->name);
	tuplestore_putvalues(reader->rows, reader->row_type, row.values, row.nulls);
}

/* Read a list of changes; returns how many there are. */
static uint32
read_changes(PlanReader *reader, const JsonbValue *plan, const char *key, const char *origin,
			 const char *within)
{
	MemoryContext outer;
	JsonbValue	list;

	reader->list = psprintf(".%s", key);
	reader->within = within;
	reader->origin = origin;
	get_field(NULL, plan, key, IS_ARRAY, reader->list, &list);
	if (list.type == jbvNull)
		return 0;
	outer = MemoryContextSwitchTo(reader->change_context);
	json_foreach(item, &list)
	{
		CHECK_FOR_INTERRUPTS();
		reader->index = item.index;
		read_change(reader, &item.value);
		MemoryContextReset(reader->change_context);
	}
	MemoryContextSwitchTo(outer);
	return json_count(&list);
}

/* Refuse a version of the format other than 1.x. */
static void
check_version(const JsonbValue *version)
{
	const char *text = version->val.string.val;

	if (version->val.string.len < 3 || strncmp(text, "1.", 2) != 0 || text[2] < '0' || text[2] > '9')
		refuse_plan(".format_version", "is not a version 1.x");
}

/* Refuse a document that is of the format's family and has no plan in it, such as a state. */
static void
check_content(const JsonbValue *plan)
{
	static const char *const keys[] = {"resource_changes", "planned_values", "configuration"};
	JsonbValue	value;

	for (int i = 0; i < lengthof(keys); i++)
		if (json_find(plan, keys[i], &value))
			return;
	refuse_plan(".resource_changes", "is missing, and .planned_values too");
}

/* Read a text that a plan says of itself, and add it to the facts. */
static void
add_text_fact(const PlanReader *reader, const JsonbValue *plan, const char *key,
			  JsonBuilder *facts)
{
	JsonbValue	value;

	get_field(NULL, plan, key, IS_STRING, psprintf(".%s", key), &value);
	if (value.type == jbvNull)
		return;
	mask_string(reader, &value);
	json_build_key(facts, key, strlen(key));
	json_build_value(facts, &value);
}

/* Read a boolean that a plan says of itself, and add it to the facts; returns it, or what stands for none. */
static bool
add_flag_fact(const JsonbValue *plan, const char *key, bool otherwise, JsonBuilder *facts)
{
	JsonbValue	value;

	get_field(NULL, plan, key, IS_BOOLEAN, psprintf(".%s", key), &value);
	if (value.type == jbvNull)
		return otherwise;
	json_build_key(facts, key, strlen(key));
	json_build_value(facts, &value);
	return value.val.boolean;
}

/* Add how many changes do what. */
static void
add_action_facts(const PlanReader *reader, JsonBuilder *facts)
{
	json_build_key(facts, "actions", strlen("actions"));
	json_build_begin_object(facts);
	for (int i = 0; i < lengthof(action_names); i++)
		if (reader->by_action[i] > 0)
			json_build_number(facts, action_names[i], reader->by_action[i]);
	json_build_end_object(facts);
}

/* Read the lists of changes and sum up what the document says of itself. */
static void
read_plan(PlanReader *reader, const JsonbValue *plan, PlanSummary *summary)
{
	JsonBuilder facts;
	JsonbValue	invocations;
	uint32		drift,
				deferred;

	json_begin_object(&facts);
	add_text_fact(reader, plan, "format_version", &facts);
	add_text_fact(reader, plan, "terraform_version", &facts);
	add_text_fact(reader, plan, "timestamp", &facts);
	(void) add_flag_fact(plan, "applyable", true, &facts);
	summary->incomplete = !add_flag_fact(plan, "complete", true, &facts);
	summary->errored = add_flag_fact(plan, "errored", false, &facts);
	read_changes(reader, plan, "resource_changes", "change", "");
	drift = read_changes(reader, plan, "resource_drift", "drift", "");
	deferred = read_changes(reader, plan, "deferred_changes", "deferred", ".resource_change");
	get_field(NULL, plan, "deferred_action_invocations", IS_ARRAY, ".deferred_action_invocations",
			  &invocations);
	summary->deferred = deferred > 0 ||
		(invocations.type != jbvNull && json_count(&invocations) > 0);
	add_action_facts(reader, &facts);
	json_build_number(&facts, "drift", drift);
	json_build_number(&facts, "deferred", deferred);
	summary->facts = json_builder_finish(&facts);
}

/*
 * Read a plan: a row for each change, in the columns of PlanColumn, and the
 * summary, in the current memory context.  All that is sensitive by the plan's
 * own marks or one of the secrets (NULL: none) is masked.  Raises
 * PM_NOT_A_PLAN.
 */
void
plan_document_read(const Jsonb *plan, const Secrets *secrets, Tuplestorestate *rows,
				   TupleDesc row_type, PlanSummary *summary)
{
	PlanReader	reader = {.secrets = secrets,.rows = rows,.row_type = row_type};
	JsonbValue	version;
	JsonbValue	root = json_view(plan);

	if (!json_is_object(&root))
		refuse_plan("The document", "is not an object");
	get_required(NULL, &root, "format_version", IS_STRING, ".format_version", &version);
	check_version(&version);
	check_content(&root);
	reader.own = plan_secrets(&root);
	reader.change_context = AllocSetContextCreate(CurrentMemoryContext, "promote planned change",
												  ALLOCSET_DEFAULT_SIZES);
	reader.path_context = AllocSetContextCreate(CurrentMemoryContext, "promote path of replacement",
												ALLOCSET_DEFAULT_SIZES);
	reader.hash = pg_cryptohash_create(PG_SHA256);
	if (reader.hash == NULL)
		elog(ERROR, "could not make a SHA-256");
	read_plan(&reader, &root, summary);
	pg_cryptohash_free(reader.hash);
	MemoryContextDelete(reader.path_context);
	MemoryContextDelete(reader.change_context);
}

/* The secrets of a configuration by its schema; either may be NULL, and then there are none. */
static Secrets *
secrets_of(const Jsonb *params, const Jsonb *schema)
{
	Secrets    *secrets;
	JsonbValue	view;

	if (params == NULL || schema == NULL)
		return NULL;
	secrets = secrets_create(SECRETS_DECLARED);
	json_root(params, &view);
	secrets_add_marked(secrets, &view, schema_marks(schema, params, SCHEMA_SENSITIVE), SCHEMA_SENSITIVE);
	secrets_finish(secrets);
	return secrets;
}

/*
 * promote.plan_document_changes(plan jsonb, params jsonb, schema jsonb)
 * returns table, see sql/deployment/plan.sql
 */
Datum
promote_plan_document_changes(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	PlanSummary summary;

	InitMaterializedSRF(fcinfo, 0);
	if (!PG_ARGISNULL(0))
		plan_document_read(PG_GETARG_JSONB_P(0),
						   secrets_of(value_jsonb(fcinfo->args[1]), value_jsonb(fcinfo->args[2])),
						   result->setResult, result->setDesc, &summary);
	return (Datum) 0;
}
