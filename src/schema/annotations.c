/*
 * annotations.c: what a schema tells of the locations of a document.
 *
 * Marks such as "$md.sensitive" are told of more often than all else, and by
 * flags of nodes.  Any other keyword may be asked for, too, also one that no
 * dialect knows.  Which subschemas apply to a location is the business of
 * walk.c; a location is marked if any of them says so.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "base/compat.h"
#include "base/grow.h"
#include "json/overlay.h"
#include "json/writer.h"
#include "schema/arena.h"
#include "schema/graph.h"
#include "schema/violation.h"
#include "schema/vocabulary.h"
#include "schema/walk.h"

PG_FUNCTION_INFO_V1(promote_jsonb_filter_annotated);
PG_FUNCTION_INFO_V1(promote_jsonb_keep_annotated);
PG_FUNCTION_INFO_V1(promote_jsonb_schema_annotations);

/* Of questions to one schema, as many are remembered, */
#define QUESTIONS_MAX 8

/* of keywords and values that take so many bytes at most. */
#define QUESTION_SIZE_MAX 1024

/* The flag of locations that are asked for. */
#define ASKED_FOR 0x01

/*
 * A question that was put to a schema: where is it told that a keyword has
 * this value?  Lives in a memory context below the schema's if it is remembered.
 */
typedef struct SchemaQuestion
{
	struct SchemaQuestion *next;
	text	   *keyword;
	Jsonb	   *value;
	uint8	   *reach;			/* ASKED_FOR, by the node's number */
} SchemaQuestion;

/* ---- marks ---- */

/* Set the marks that a node says of the location that it applies to. */
static void
set_marks(SchemaWalk *walk, const SchemaNode *node, SchemaLocation *location)
{
	if (node->marks & walk->wanted)
		json_mark_set(&location->mark, node->marks & walk->wanted);
}

/*
 * Can two documents with values at the same places have these marks at
 * different ones?  If not, a place is marked or not whatever is in it.
 */
bool
schema_marks_vary(const Schema *schema, uint32 wanted)
{
	return (schema->varying & wanted) != 0;
}

/*
 * The marks that a schema puts on a document, of those that are wanted
 * (SCHEMA_NONCOPYABLE and so on): a tree in the current memory context, NULL
 * where there are none.  The document need not be valid.
 */
JsonMark *
schema_marks(const Jsonb *schema, const Jsonb *document, uint32 wanted)
{
	const Schema *compiled = schema_compile(schema);
	SchemaWalk	walk = {.reach = compiled->reach, .wanted = (uint8) wanted, .visit = set_marks};

	return schema_walk(&walk, compiled, document);
}

/* ---- keys of arrays ---- */

/* Add a key of an array, in the current memory context: nodes do not outlive the schema. */
static void
add_key(SchemaKeys *keys, const JsonbContainer *array, const JsonbValue *name)
{
	if (name->type != jbvString)
		return;
	GROW(keys->list, keys->count, keys->room);
	keys->list[keys->count++] = (SchemaKey) {array, pnstrdup(name->val.string.val, name->val.string.len)};
}

/* Note the key that a node says of the array that it applies to, flat, nested, or both. */
static void
note_key(SchemaWalk *walk, const SchemaNode *node, SchemaLocation *location)
{
	const JsonbValue *array = location->at.value;
	JsonbValue	keywords = {.type = jbvBinary};
	JsonbValue	nest;
	JsonbValue	name;

	if (!(node->marks & SCHEMA_KEYED) || !json_is_array(array))
		return;
	keywords.val.binary.data = unconstify(JsonbContainer *, node->keywords);
	if (json_find(&keywords, "$md.key", &name))
		add_key(walk->state, array->val.binary.data, &name);
	if (json_find(&keywords, "$md", &nest) && json_is_object(&nest) && json_find(&nest, "key", &name))
		add_key(walk->state, array->val.binary.data, &name);
}

/* The order of keys: by their arrays' addresses, then by name; for qsort and bsearch. */
static int
compare_keys(const void *a, const void *b)
{
	const SchemaKey *left = a;
	const SchemaKey *right = b;

	if (left->array != right->array)
		return left->array < right->array ? -1 : 1;
	return strcmp(left->name, right->name);
}

/*
 * Which arrays of a document the schema gives a key, by the branches that apply there as they do
 * for marks; in the current memory context.  The document need not be valid.
 */
SchemaKeys *
schema_keys(const Jsonb *schema, const Jsonb *document)
{
	const Schema *compiled = schema_compile(schema);
	SchemaKeys *keys = palloc0(sizeof(SchemaKeys));
	SchemaWalk	walk = {.reach = compiled->reach,.wanted = SCHEMA_KEYED,.visit = note_key,.state = keys};
	Size		count = 0;

	(void) schema_walk(&walk, compiled, document);
	if (keys->count > 1)
		qsort(keys->list, keys->count, sizeof(SchemaKey), compare_keys);
	for (Size i = 0; i < keys->count; i++)
		if (i == 0 || compare_keys(&keys->list[count - 1], &keys->list[i]) != 0)
			keys->list[count++] = keys->list[i];
	keys->count = count;
	return keys;
}

/* The next key of an array behind the last one that was asked for, NULL: the first; NULL: there are no more. */
const SchemaKey *
schema_next_key(const SchemaKeys *keys, const JsonbContainer *array, const SchemaKey *last)
{
	Size		low = last ? last + 1 - keys->list : 0;
	Size		high = last ? low : keys->count;

	while (low < high)
	{
		Size		middle = low + (high - low) / 2;

		if (keys->list[middle].array < array)
			low = middle + 1;
		else
			high = middle;
	}
	return low < keys->count && keys->list[low].array == array ? &keys->list[low] : NULL;
}

/* ---- any keyword ---- */

/*
 * Does the object have the keyword with that value?  The keyword "a.b" is
 * spelled flat, {"a.b": value}, or nested, {"a": {"b": value}}.
 */
static bool
has_keyword(JsonbContainer *object, const char *keyword, int length, const JsonbValue *value)
{
	JsonbValue	inner;

	check_stack_depth();
	if (getKeyJsonValueFromContainer(object, keyword, length, &inner) != NULL && json_equal(&inner, value))
		return true;
	for (int i = 0; i < length; i++)
		if (keyword[i] == '.' &&
			getKeyJsonValueFromContainer(object, keyword, i, &inner) != NULL &&
			json_is_object(&inner) &&
			has_keyword(inner.val.binary.data, keyword + i + 1, length - i - 1, value))
			return true;
	return false;
}

/* Does the node tell of its location what is asked for? */
static bool
node_tells(const SchemaNode *node, const SchemaQuestion *question)
{
	JsonbValue	value = json_view(question->value);

	return node->keywords &&
		has_keyword(unconstify(JsonbContainer *, node->keywords), VARDATA_ANY(question->keyword),
					VARSIZE_ANY_EXHDR(question->keyword), &value);
}

/* A question, put for the first time; in the current memory context. */
static SchemaQuestion *
make_question(const Schema *schema, const text *keyword, const Jsonb *value)
{
	SchemaQuestion *question = palloc0(sizeof(SchemaQuestion));

	question->keyword = palloc(VARSIZE_ANY(keyword));
	memcpy(question->keyword, keyword, VARSIZE_ANY(keyword));
	question->value = palloc(VARSIZE(value));
	memcpy(question->value, value, VARSIZE(value));
	question->reach = schema_allocate(1, schema->node_count);
	for (const SchemaNode *node = schema->nodes; node; node = node->next)
	{
		CHECK_FOR_INTERRUPTS();
		if (node_tells(node, question))
			question->reach[node->number] = ASKED_FOR;
	}
	schema_spread(schema, question->reach);
	return question;
}

/* The question, if the schema remembers it; counts those that it does. */
static SchemaQuestion *
find_question(const Schema *schema, const text *keyword, const Jsonb *value, int *count)
{
	SchemaQuestion *question;

	*count = 0;
	for (question = schema->questions; question; question = question->next, (*count)++)
		if (VARSIZE_ANY_EXHDR(question->keyword) == VARSIZE_ANY_EXHDR(keyword) &&
			memcmp(VARDATA_ANY(question->keyword), VARDATA_ANY(keyword), VARSIZE_ANY_EXHDR(keyword)) == 0 &&
			json_is_copy(question->value, value))
			return question;
	return NULL;
}

/*
 * A question to a schema, which is asked again with each document.  What is
 * remembered lives as long as the schema.
 */
static const SchemaQuestion *
ask(const Schema *schema, const text *keyword, const Jsonb *value)
{
	int			count;
	SchemaQuestion *question = find_question(schema, keyword, value, &count);
	MemoryContext caller;

	if (question)
		return question;
	if (count >= QUESTIONS_MAX || VARSIZE_ANY_EXHDR(keyword) + VARSIZE(value) > QUESTION_SIZE_MAX)
		return make_question(schema, keyword, value);
	caller = schema_begin_keeping();
	question = make_question(schema, keyword, value);
	schema_keep(schema, caller);
	question->next = schema->questions;
	unconstify(Schema *, schema)->questions = question;
	return question;
}

/* Mark the location of a node that tells what is asked for. */
static void
mark_location(SchemaWalk *walk, const SchemaNode *node, SchemaLocation *location)
{
	if (node_tells(node, walk->state))
		json_mark_set(&location->mark, ASKED_FOR);
}

/*
 * Where in the document the schema tells what is asked for, by the arguments
 * (params, schema, keyword, value), in the current memory context; NULL for
 * nowhere.
 */
static JsonMark *
locations_told(FunctionCallInfo fcinfo)
{
	const Schema *schema = schema_compile(PG_GETARG_JSONB_P(1));
	const SchemaQuestion *question = ask(schema, PG_GETARG_TEXT_PP(2), PG_GETARG_JSONB_P(3));
	SchemaWalk	walk = {.reach = question->reach,.wanted = ASKED_FOR,.visit = mark_location,
	.state = unconstify(SchemaQuestion *, question)};

	return schema_walk(&walk, schema, PG_GETARG_JSONB_P(0));
}

/* promote.jsonb_filter_annotated(params jsonb, schema jsonb, keyword text, value jsonb) returns jsonb */
Datum
promote_jsonb_filter_annotated(PG_FUNCTION_ARGS)
{
	Jsonb	   *params = PG_GETARG_JSONB_P(0);
	JsonMark   *marks = locations_told(fcinfo);

	PG_RETURN_JSONB_P(marks ? json_remove_marked(params, marks, ASKED_FOR) : params);
}

/* promote.jsonb_keep_annotated(params jsonb, schema jsonb, keyword text, value jsonb) returns jsonb */
Datum
promote_jsonb_keep_annotated(PG_FUNCTION_ARGS)
{
	JsonMark   *marks = locations_told(fcinfo);

	PG_RETURN_JSONB_P(json_keep_marked(PG_GETARG_JSONB_P(0), marks, ASKED_FOR));
}

/* A node that was met at a location. */
typedef struct Meeting
{
	const SchemaNode *node;
	const JsonbContainer *container;	/* the location's, NULL at the root */
	uint64		index;
} Meeting;

/* Where rows go, and which nodes were met already. */
typedef struct Rows
{
	ReturnSetInfo *result;
	HTAB	   *met;
	MemoryContext scratch;
} Rows;

/* Was the node met at this location before, on another way? */
static bool
was_met(Rows *rows, const SchemaNode *node, const SchemaFrame *at)
{
	Meeting		meeting = {node, at->parent ? at->parent->value->val.binary.data : NULL,
	at->parent ? at->index : 0};
	bool		found;

	hash_search(rows->met, &meeting, HASH_ENTER, &found);
	return found;
}

/* Add the row of one annotation. */
static void
put_annotation(Rows *rows, const SchemaNode *node, const SchemaFrame *at, const JsonbValue *keyword,
			   const JsonbValue *value)
{
	MemoryContext caller = MemoryContextSwitchTo(rows->scratch);
	const char *name = pnstrdup(keyword->val.string.val, keyword->val.string.len);
	Datum		values[4];
	bool		nulls[4] = {false, false, false, false};

	values[0] = CStringGetTextDatum(schema_instance_path(at));
	values[1] = CStringGetTextDatum(schema_place_text(schema_place_step(node->place, name, keyword->val.string.len)));
	values[2] = CStringGetTextDatum(name);
	values[3] = JsonbPGetDatum(json_from_view(value));
	tuplestore_putvalues(rows->result->setResult, rows->result->setDesc, values, nulls);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(rows->scratch);
}

/* Add a row for each thing that a node tells of its location. */
static void
put_annotations(SchemaWalk *walk, const SchemaNode *node, SchemaLocation *location)
{
	Rows	   *rows = walk->state;

	if (node->keywords == NULL || was_met(rows, node, &location->at))
		return;
	json_foreach_in(child, node->keywords)
		if (schema_is_annotation(node, &child.key, location->at.value))
			put_annotation(rows, node, &location->at, &child.key, &child.value);
}

/*
 * promote.jsonb_schema_annotations(document jsonb, schema jsonb) returns
 * table(instance_path text, schema_path text, keyword text, value jsonb)
 */
Datum
promote_jsonb_schema_annotations(PG_FUNCTION_ARGS)
{
	Jsonb	   *document = PG_GETARG_JSONB_P(0);
	const Schema *schema = schema_compile(PG_GETARG_JSONB_P(1));
	Rows		rows;
	/* there is something to be told from all nodes */
	uint8	   *reach = memset(palloc(schema->node_count), ASKED_FOR, schema->node_count);
	SchemaWalk	walk = {.reach = reach,.wanted = ASKED_FOR,.visit = put_annotations,.state = &rows};

	InitMaterializedSRF(fcinfo, 0);
	rows.result = (ReturnSetInfo *) fcinfo->resultinfo;
	rows.met = schema_table("promote schema annotations", sizeof(Meeting), sizeof(Meeting),
							CurrentMemoryContext);
	rows.scratch = AllocSetContextCreate(CurrentMemoryContext, "promote schema annotations",
										 ALLOCSET_SMALL_SIZES);
	(void) schema_walk(&walk, schema, document);
	hash_destroy(rows.met);
	MemoryContextDelete(rows.scratch);
	return (Datum) 0;
}
