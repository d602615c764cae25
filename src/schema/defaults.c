/*
 * defaults.c: documents with the defaults of their schema filled in.
 *
 * A property that an object lacks gets the "default" of the subschemas that
 * would apply to it, of the first that says one.  An object that is missing
 * altogether is made where its own properties have defaults, unless its schema
 * contains itself.  What was filled in can decide about a branch, and so bring
 * more; so the document is looked at again until nothing is added any more.
 *
 * Nothing is ever replaced or removed, and arrays get no items.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "json/builder.h"
#include "json/limits.h"
#include "json/splice.h"
#include "schema/arena.h"
#include "schema/graph.h"
#include "schema/walk.h"

PG_FUNCTION_INFO_V1(promote_jsonb_schema_defaults);

/* Looks at the document before its defaults are said to have no end. */
#define MAX_ROUNDS 100

/*
 * What one look may build, before equal keys are one.  Schemas can double
 * what there is to build with each reference; this ends it before it takes
 * much memory, and is more than a document within the limits can need.
 */
#define MAX_BUILT (4 * (Size) JSON_MAX_BYTES)

/* What a pair takes while it is built, besides its key and its value. */
#define PAIR_SPACE 64

/* The flag of locations where something is added. */
#define FILLED 0x01

/* Whether a node has a value to give, as found out so far. */
typedef enum Giving
{
	GIVING_UNKNOWN,
	GIVING_ASKED,				/* on the way down */
	GIVING_NOTHING,
	GIVING_DEFAULT,				/* its own, or that of one it refers to */
	GIVING_OBJECT				/* made of its properties' values */
} Giving;

/* What is known of a schema's defaults; lives in a memory context below its own. */
typedef struct SchemaDefaults
{
	uint8	   *giving;			/* of type Giving, by the node's number */
	uint8	   *contained;		/* in itself, by the node's number */
	uint8	   *reach;			/* FILLED where properties have values to give */
} SchemaDefaults;

/* The nodes on the way down. */
typedef struct Asked
{
	const struct Asked *outer;
	const SchemaNode *node;
} Asked;

/* What is added to one object of the document. */
typedef struct AdditionsEntry
{
	const JsonbContainer *object;	/* key */
	List	   *properties;		/* const SchemaProperty *, as they were met */
} AdditionsEntry;

/* One look at the document. */
typedef struct Filling
{
	const SchemaDefaults *defaults;
	HTAB	   *additions;
	Size		built;			/* what it takes so far, in bytes */
	JsonSplices splices;
} Filling;

static Giving giving_of(SchemaDefaults *defaults, const SchemaNode *node, const Asked *outer);

/* The node's own default; NULL if it says none. */
static JsonbValue *
own_default(const SchemaNode *node, JsonbValue *value)
{
	if (node->keywords == NULL)
		return NULL;
	return getKeyJsonValueFromContainer(unconstify(JsonbContainer *, node->keywords),
										"default", strlen("default"), value);
}

/* Note that the nodes on the way down from node, which was met again, contain themselves. */
static void
note_circle(SchemaDefaults *defaults, const SchemaNode *node, const Asked *asked)
{
	for (; asked; asked = asked->outer)
	{
		defaults->contained[asked->node->number] = 1;
		if (asked->node == node)
			break;
	}
}

/* Has any property that is said here a value to give? */
static bool
properties_give(SchemaDefaults *defaults, const SchemaNode *node, const Asked *asked)
{
	bool		gives = false;

	if (node->object == NULL)
		return false;
	/* all are asked, so that every circle is met */
	for (uint32 i = 0; i < node->object->property_count; i++)
	{
		const SchemaNode *schema = node->object->properties[i].schema;

		if (schema)
			gives |= giving_of(defaults, schema, asked) > GIVING_NOTHING;
	}
	return gives;
}

/* The best of what is given by those that apply together with the node. */
static Giving
giving_beside(SchemaDefaults *defaults, const SchemaNode *node, const Asked *asked)
{
	Giving		best = GIVING_NOTHING;

	if (node->ref)
		best = giving_of(defaults, node->ref, asked);
	for (uint32 i = 0; node->logic && i < node->logic->all.count; i++)
	{
		Giving		giving = giving_of(defaults, node->logic->all.nodes[i], asked);

		if (giving > GIVING_NOTHING && (best <= GIVING_NOTHING || giving < best))
			best = giving;
	}
	return best;
}

/*
 * What the node has to give where the document has nothing.  An object is not
 * made of a schema that contains itself, for that would have no end: of every
 * circle the search notes a node.
 */
static Giving
giving_of(SchemaDefaults *defaults, const SchemaNode *node, const Asked *outer)
{
	uint8	   *giving = &defaults->giving[node->number];
	Asked		asked = {outer, node};
	Giving		beside;
	JsonbValue	value;
	bool		by_properties;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (*giving == GIVING_ASKED)
	{
		note_circle(defaults, node, outer);
		return GIVING_NOTHING;
	}
	if (*giving != GIVING_UNKNOWN)
		return *giving;
	*giving = GIVING_ASKED;
	beside = giving_beside(defaults, node, &asked);
	by_properties = properties_give(defaults, node, &asked) &&
		(node->types == 0 || (node->types & SCHEMA_TYPE_OBJECT));
	if (own_default(node, &value) || beside == GIVING_DEFAULT)
		*giving = GIVING_DEFAULT;
	else if ((by_properties || beside == GIVING_OBJECT) && !defaults->contained[node->number])
		*giving = GIVING_OBJECT;
	else
		*giving = GIVING_NOTHING;
	return *giving;
}

/* Find out about all nodes of a schema, in the current memory context. */
static SchemaDefaults *
find_defaults(const Schema *schema)
{
	SchemaDefaults *defaults = palloc(sizeof(SchemaDefaults));

	defaults->giving = schema_allocate(1, schema->node_count);
	defaults->contained = schema_allocate(1, schema->node_count);
	defaults->reach = schema_allocate(1, schema->node_count);
	for (const SchemaNode *node = schema->nodes; node; node = node->next)
		(void) giving_of(defaults, node, NULL);
	for (const SchemaNode *node = schema->nodes; node; node = node->next)
		if (properties_give(defaults, node, NULL))
			defaults->reach[node->number] = FILLED;
	schema_spread(schema, defaults->reach);
	return defaults;
}

/* A schema's defaults, found out once for each schema. */
static const SchemaDefaults *
defaults_of(const Schema *schema)
{
	SchemaDefaults *defaults;
	MemoryContext caller;

	if (schema->defaults)
		return schema->defaults;
	caller = schema_begin_keeping();
	defaults = find_defaults(schema);
	schema_keep(schema, caller);
	unconstify(Schema *, schema)->defaults = defaults;
	return defaults;
}

/* Has the node a value to give? */
static bool
gives(const SchemaDefaults *defaults, const SchemaNode *node)
{
	return node && defaults->giving[node->number] > GIVING_NOTHING;
}

/* Refuse a document that grows past all measure. */
static void
refuse_growth(void)
{
	ereport(ERROR,
			(errcode(PM_TOO_LARGE),
			 errmsg("the document becomes too large by the defaults of the JSON Schema"),
			 errdetail("They add more than %d bytes.", JSON_MAX_BYTES),
			 errhint("Leave out the default of a property whose schema contains itself, or of"
					 " one that many others refer to.")));
}

/* Count what is built. */
static void
count_built(Filling *filling, Size size)
{
	filling->built += size;
	if (filling->built > MAX_BUILT)
		refuse_growth();
}

static void build_value(JsonBuilder *builder, Filling *filling, const SchemaNode *node);

/* Build a property with the value that it has to give. */
static void
build_pair(JsonBuilder *builder, Filling *filling, const SchemaProperty *property)
{
	count_built(filling, PAIR_SPACE + property->length);
	json_build_key(builder, property->name, property->length);
	build_value(builder, filling, property->schema);
}

/* The default said by the node or those that apply together with it; the caller knows of one. */
static JsonbValue *
find_default(const SchemaDefaults *defaults, const SchemaNode *node, JsonbValue *value)
{
	JsonbValue *found = own_default(node, value);

	check_stack_depth();
	if (found == NULL && node->ref &&
		defaults->giving[node->ref->number] == GIVING_DEFAULT)
		found = find_default(defaults, node->ref, value);
	for (uint32 i = 0; found == NULL && node->logic && i < node->logic->all.count; i++)
		if (defaults->giving[node->logic->all.nodes[i]->number] == GIVING_DEFAULT)
			found = find_default(defaults, node->logic->all.nodes[i], value);
	return found;
}

/*
 * Build the pairs of an object that is made of a node and of those that apply
 * together with it.  Of equal keys the last one written stays, so the node's
 * own come last.
 */
static void
build_pairs(JsonBuilder *builder, Filling *filling, const SchemaNode *node)
{
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	for (uint32 i = node->logic ? node->logic->all.count : 0; i-- > 0;)
		build_pairs(builder, filling, node->logic->all.nodes[i]);
	if (node->ref)
		build_pairs(builder, filling, node->ref);
	for (uint32 i = 0; node->object && i < node->object->property_count; i++)
	{
		const SchemaProperty *property = &node->object->properties[i];

		if (gives(filling->defaults, property->schema))
			build_pair(builder, filling, property);
	}
}

/* Build the value that a node has to give. */
static void
build_value(JsonBuilder *builder, Filling *filling, const SchemaNode *node)
{
	JsonbValue	value;

	check_stack_depth();
	if (filling->defaults->giving[node->number] == GIVING_DEFAULT)
	{
		(void) find_default(filling->defaults, node, &value);
		count_built(filling, json_size(&value));
		json_build_value(builder, &value);
		return;
	}
	json_build_begin_object(builder);
	build_pairs(builder, filling, node);
	json_build_end_object(builder);
}

/* Note what a node adds to the object that it applies to. */
static void
note_additions(SchemaWalk *walk, const SchemaNode *node, SchemaLocation *location)
{
	Filling    *filling = walk->state;
	const JsonbValue *object = location->at.value;
	JsonSeeker	seeker;

	if (node->object == NULL || !json_is_object(object))
		return;
	json_seeker_init(&seeker, object->val.binary.data, node->object->property_count);
	for (uint32 i = 0; i < node->object->property_count; i++)
	{
		const SchemaProperty *property = &node->object->properties[i];
		JsonbValue	key = json_string(property->name, property->length);
		AdditionsEntry *entry;
		bool		found;

		if (!gives(filling->defaults, property->schema) || json_seek(&seeker, &key))
			continue;
		json_mark_set(&location->mark, FILLED);
		entry = hash_search(filling->additions, &object->val.binary.data, HASH_ENTER, &found);
		entry->properties = lappend(found ? entry->properties : NIL,
									unconstify(SchemaProperty *, property));
	}
}

/* What is added to an object, as an object; NULL for nothing. */
static Jsonb *
additions_to(Filling *filling, const JsonbValue *object)
{
	AdditionsEntry *entry = hash_search(filling->additions, &object->val.binary.data,
										HASH_FIND, NULL);
	JsonBuilder builder;

	if (entry == NULL)
		return NULL;
	json_builder_init(&builder);
	json_build_begin_object(&builder);
	/* the builder keeps the last of equal keys, and the first met counts */
	for (int i = list_length(entry->properties); i-- > 0;)
		build_pair(&builder, filling, list_nth(entry->properties, i));
	json_build_end_object(&builder);
	return json_builder_finish(&builder);
}

/* A container that something is added to or within, for its children. */
typedef struct Level
{
	Filling    *filling;
	const JsonMark *marks;
} Level;

static void write_filled(Filling *filling, JsonWriter *writer, const JsonbValue *container,
						 const JsonMark *marks);

/* A child that something is added within; a JsonSpliceWorker. */
static void
fill_child(void *state, JsonWriter *writer, const JsonbValue *child, uint32 index,
		   const JsonbValue *nothing, uint32 no_index)
{
	Level	   *level = state;

	write_filled(level->filling, writer, child, json_mark_child(level->marks, index));
}

/* Plan a child of the document. */
static void
plan_child(JsonSplice *splice, const JsonMark *marks, uint32 index)
{
	if (json_mark_within(json_mark_child(marks, index)))
		json_splice_work(splice, index, JSON_SPLICE_NONE);
	else
		json_splice_left(splice, index, index + 1);
}

/* Plan an object with its additions, which have other keys. */
static void
plan_object(JsonSplice *splice, const JsonbValue *object, const JsonbValue *additions, const JsonMark *marks)
{
	JsonJoin	join;

	json_join_init(&join, object, additions);
	while (json_join_next(&join))
	{
		CHECK_FOR_INTERRUPTS();
		if (join.left)
			plan_child(splice, marks, join.left_index);
		else
			json_splice_right(splice, join.right_index, join.right_index + 1);
	}
}

/* Write a container with what is added to it and within. */
static void
write_filled(Filling *filling, JsonWriter *writer, const JsonbValue *container, const JsonMark *marks)
{
	Level		level = {filling, marks};
	bool		object = json_is_object(container);
	Jsonb	   *additions = object ? additions_to(filling, container) : NULL;
	JsonbValue	view;
	JsonSplice	splice;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	json_splice_begin(&splice, &filling->splices, container->val.binary.data,
					  additions ? &additions->root : NULL);
	if (additions)
	{
		json_root(additions, &view);
		plan_object(&splice, container, &view, marks);
	}
	else
		for (uint32 i = 0; i < json_count(container); i++)
			plan_child(&splice, marks, i);
	json_splice_write(&splice, writer, object, fill_child, &level);
	if (additions)
		pfree(additions);
}

/*
 * Add what the subschemas that apply have to give, once; NULL where that is
 * nothing.  The result is in the memory context given, all else in the current.
 */
static Jsonb *
fill(const Schema *schema, const Jsonb *document, MemoryContext result_context)
{
	Filling		filling = {.defaults = defaults_of(schema),
		.additions = schema_table("promote schema defaults", sizeof(const JsonbContainer *),
								  sizeof(AdditionsEntry), CurrentMemoryContext)};
	SchemaWalk	walk = {.reach = filling.defaults->reach,.wanted = FILLED,.only_meant = true,
	.visit = note_additions,.state = &filling};
	const JsonMark *marks = schema_walk(&walk, schema, document);
	JsonWriter	writer;
	JsonbValue	view;
	MemoryContext caller;

	if (marks == NULL)
		return NULL;
	json_root(document, &view);
	caller = MemoryContextSwitchTo(result_context);
	json_writer_init(&writer, (Size) VARSIZE(document) + VARSIZE(document) / 4);
	MemoryContextSwitchTo(caller);
	write_filled(&filling, &writer, &view, marks);
	return json_writer_finish(&writer);
}

/* Refuse a schema whose defaults bring ever more defaults. */
static void
refuse_endless(void)
{
	ereport(ERROR,
			(errcode(PM_INVALID_SCHEMA),
			 errmsg("the defaults of the JSON Schema have no end"),
			 errdetail("After %d rounds each default still brings another one.", MAX_ROUNDS),
			 errhint("Leave out the default of a property whose schema contains itself.")));
}

/*
 * The document with the defaults filled in, in the current memory context;
 * itself where there are none to fill in.
 */
Jsonb *
schema_fill(const Schema *schema, Jsonb *document)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext scratch = AllocSetContextCreate(caller, "promote schema defaults",
												  ALLOCSET_DEFAULT_SIZES);
	Jsonb	   *result = document;
	Jsonb	   *next;

	for (int round = 0;; round++)
	{
		MemoryContextSwitchTo(scratch);
		next = fill(schema, result, caller);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(scratch);
		if (next == NULL)
			break;
		if (result != document)
			pfree(result);
		result = next;
		if (VARSIZE(result) - VARSIZE(document) > JSON_MAX_BYTES)
			refuse_growth();
		if (round == MAX_ROUNDS)
			refuse_endless();
	}
	MemoryContextDelete(scratch);
	return result;
}

/* promote.jsonb_schema_defaults(document jsonb, schema jsonb) returns jsonb */
Datum
promote_jsonb_schema_defaults(PG_FUNCTION_ARGS)
{
	Jsonb	   *document = PG_GETARG_JSONB_P(0);

	PG_RETURN_JSONB_P(schema_fill(schema_compile(PG_GETARG_JSONB_P(1)), document));
}
