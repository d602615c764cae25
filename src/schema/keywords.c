/*
 * keywords.c: from objects of keywords to nodes, and what each keyword leaves there.
 *
 * Each location is compiled once, whether it is met on the way down or as the
 * target of a reference; so what is recursive in the schema is a circle in the
 * graph, and the recursion here is the schema's own.  vocabulary.c says which
 * keywords there are; each kind of them has a handler, which refuses a value of
 * the wrong shape and stores one of the right.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#include "schema/arena.h"
#include "schema/format.h"
#include "schema/keywords.h"
#include "schema/pattern.h"
#include "schema/vocabulary.h"

/* A keyword in the object of a node.  place, the keyword's, lasts for the call only where it holds no subschema. */
typedef struct Said
{
	SchemaCompiler *compiler;
	SchemaNode *node;
	const SchemaKeyword *keyword;
	const JsonbValue *value;
	const SchemaPlace *place;
} Said;

typedef void (*KeywordHandler) (const Said *said);

/* Does the schema that is being compiled follow draft-07? */
static bool
is_draft_07(const SchemaCompiler *compiler)
{
	return (compiler->resource->dialect.keywords & SCHEMA_DRAFT_07) != 0;
}

/* The place of an object's member, for nodes to refer to. */
static const SchemaPlace *
member_place(const SchemaPlace *object, const JsonbValue *key)
{
	return schema_place_step(object, key->val.string.val, key->val.string.len);
}

/* ---- nodes ---- */

/* A new node, entered in the schema's list. */
static SchemaNode *
make_node(SchemaCompiler *compiler, const SchemaPlace *place, const char *applied_by)
{
	SchemaNode *node = palloc0(sizeof(SchemaNode));

	node->place = place;
	node->resource = compiler->resource;
	node->applied_by = applied_by;
	node->number = compiler->schema->node_count++;
	node->next = compiler->schema->nodes;
	compiler->schema->nodes = node;
	return node;
}

static void compile_keywords(SchemaCompiler *compiler, SchemaNode *node, const JsonbValue *object);

/* Compile an object, unless it was met before. */
static SchemaNode *
compile_object(SchemaCompiler *compiler, const JsonbValue *object, const SchemaPlace *place, const char *applied_by)
{
	SchemaResource *resource = compiler->resource;
	SchemaEntry *entry = schema_index(compiler, object, place, resource);
	SchemaNode *node = entry->node;

	if (node)
		return node;
	compiler->resource = entry->resource;
	node = entry->node = make_node(compiler, place, applied_by);
	node->keywords = object->val.binary.data;
	compile_keywords(compiler, node, object);
	compiler->resource = resource;
	return node;
}

/*
 * The node of the schema that value holds; raises if it holds none.  The
 * node may still be under way if it is met again from below.
 */
SchemaNode *
schema_compile_node(SchemaCompiler *compiler, const JsonbValue *value, const SchemaPlace *place,
					const char *applied_by)
{
	SchemaNode *node;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (json_is_object(value))
		return compile_object(compiler, value, place, applied_by);
	if (value->type != jbvBool)
		SCHEMA_REFUSE(place, "A schema is an object of keywords, true or false.",
					  "must be a schema: an object or a boolean.");
	node = make_node(compiler, place, applied_by);
	node->never = !value->val.boolean;
	return node;
}

/* The node of what a reference leads to; NULL where that is left open. */
SchemaNode *
schema_compile_target(SchemaCompiler *compiler, const SchemaTarget *target, const char *keyword)
{
	SchemaResource *resource = compiler->resource;
	SchemaNode *node;

	if (target->resource == NULL)
		return NULL;
	compiler->resource = target->resource;
	node = schema_compile_node(compiler, &target->value, target->place, keyword);
	node->shared = true;
	compiler->resource = resource;
	return node;
}

/* The subschema that a keyword's value is. */
static SchemaNode *
compile_value(const Said *said)
{
	return schema_compile_node(said->compiler, said->value, said->place, said->keyword->name);
}

/* The subschema under a key of the keyword's object. */
static SchemaNode *
compile_member(const Said *said, const JsonChild *member)
{
	return schema_compile_node(said->compiler, &member->value, member_place(said->place, &member->key),
							   said->keyword->name);
}

/* ---- rules ---- */

/* The rules of a kind that a node has, made when the first of them is said. */
static void *
rules_of(SchemaNode *node, SchemaRules kind)
{
	static const SchemaNumberRules numbers = {NULL};
	static const SchemaStringRules strings = {.max_length = SCHEMA_UNBOUNDED, .format = SCHEMA_NO_FORMAT};
	static const SchemaArrayRules arrays = {
		.max_items = SCHEMA_UNBOUNDED, .min_contains = 1, .max_contains = SCHEMA_UNBOUNDED
	};
	static const SchemaObjectRules objects = {.max_properties = SCHEMA_UNBOUNDED};
	static const SchemaLogicRules logic = {.negated = NULL};
	static const struct
	{
		Size		at;			/* of the pointer to them, in a node */
		Size		size;
		const void *unsaid;
	}			rules[] = {
		[SCHEMA_NUMBER_RULES] = {offsetof(SchemaNode, number_rules), sizeof(numbers), &numbers},
		[SCHEMA_STRING_RULES] = {offsetof(SchemaNode, string), sizeof(strings), &strings},
		[SCHEMA_ARRAY_RULES] = {offsetof(SchemaNode, array), sizeof(arrays), &arrays},
		[SCHEMA_OBJECT_RULES] = {offsetof(SchemaNode, object), sizeof(objects), &objects},
		[SCHEMA_LOGIC_RULES] = {offsetof(SchemaNode, logic), sizeof(logic), &logic}
	};
	void	  **of_node = (void **) ((char *) node + rules[kind].at);

	if (*of_node == NULL)
		*of_node = memcpy(palloc(rules[kind].size), rules[kind].unsaid, rules[kind].size);
	return *of_node;
}

/* Where the keyword's rule is stored. */
static void *
rule_of(const Said *said)
{
	return (char *) rules_of(said->node, said->keyword->rules) + said->keyword->field;
}

/* Refuse a value that is not of the type that it must be; 0 is any. */
static void
require(const JsonbValue *value, const SchemaPlace *place, uint8 type)
{
	static const struct
	{
		uint8		type;
		const char *name;
		const char *hint;
	}			types[] = {
		{SCHEMA_TYPE_STRING, "a string", "Put the value in quotes."},
		{SCHEMA_TYPE_BOOLEAN, "a boolean", "Write true or false, without quotes."},
		{SCHEMA_TYPE_ARRAY, "an array", "Put the value in square brackets."},
		{SCHEMA_TYPE_OBJECT, "an object", "Write an object, {...}, here."},
		{SCHEMA_TYPE_NUMBER, "a number", "Write a number, without quotes."}
	};

	for (int i = 0; i < lengthof(types); i++)
		if (type == types[i].type && schema_type_of(value) != type)
			SCHEMA_REFUSE(place, types[i].hint, "must be %s.", types[i].name);
}

/* The order of strings, for sorting. */
static int
compare_strings(const void *a, const void *b)
{
	const JsonbValue *x = a;
	const JsonbValue *y = b;

	return json_key_compare(x->val.string.val, x->val.string.len, y->val.string.val, y->val.string.len);
}

/*
 * Refuse what is no array of strings, or says one of them twice.  Sorting finds
 * that, so that a long list costs no square.
 */
static void
require_names(const JsonbValue *value, const SchemaPlace *place)
{
	JsonbValue *names;
	uint32		count;

	require(value, place, SCHEMA_TYPE_ARRAY);
	count = json_count(value);
	names = schema_allocate(sizeof(JsonbValue), Max(count, 1));
	json_foreach(item, value)
	{
		require(&item.value, schema_place_item(place, item.index), SCHEMA_TYPE_STRING);
		names[item.index] = item.value;
	}
	qsort(names, count, sizeof(JsonbValue), compare_strings);
	for (uint32 i = 1; i < count; i++)
		if (compare_strings(&names[i - 1], &names[i]) == 0)
			SCHEMA_REFUSE(place, "Name each property once.", "names \"%.*s\" more than once.",
						  names[i].val.string.len, names[i].val.string.val);
	pfree(names);
}

/* ---- properties ---- */

/* Room for more properties in a node's table. */
static void
reserve_properties(SchemaObjectRules *rules, uint32 more)
{
	Size		size = sizeof(SchemaProperty) * ((Size) rules->property_count + more);

	rules->properties = rules->properties ? repalloc_huge(rules->properties, size) :
		MemoryContextAllocHuge(CurrentMemoryContext, size);
}

/* A new entry for a name; that of the same name is merged with it at the end. */
static SchemaProperty *
add_property(SchemaObjectRules *rules, const JsonbValue *name)
{
	SchemaProperty *property = &rules->properties[rules->property_count++];

	*property = (SchemaProperty) {.name = name->val.string.val, .length = name->val.string.len};
	return property;
}

/* Order of properties: that of jsonb's keys. */
static int
compare_properties(const void *a, const void *b)
{
	const SchemaProperty *x = a;
	const SchemaProperty *y = b;

	return json_key_compare(x->name, x->length, y->name, y->length);
}

/* Sort the properties as jsonb sorts keys, and make one entry per name. */
static void
finish_properties(SchemaObjectRules *rules)
{
	uint32		kept = 0;

	qsort(rules->properties, rules->property_count, sizeof(SchemaProperty), compare_properties);
	for (uint32 i = 1; i < rules->property_count; i++)
	{
		SchemaProperty *last = &rules->properties[kept];
		const SchemaProperty *next = &rules->properties[i];

		if (compare_properties(last, next) != 0)
		{
			rules->properties[++kept] = *next;
			continue;
		}
		last->required |= next->required;
		last->schema = next->schema ? next->schema : last->schema;
		for (int k = 0; k < lengthof(last->dependent); k++)
		{
			last->dependent[k] = next->dependent[k] ? next->dependent[k] : last->dependent[k];
			last->needs[k] = next->needs[k] ? next->needs[k] : last->needs[k];
		}
	}
	if (rules->property_count > 0)
		rules->property_count = kept + 1;
}

/* ---- handlers ---- */

/* "$id".  What it means was found out before, in resource.c. */
static void
handle_id(const Said *said)
{
	const JsonbValue *id = said->value;
	const char *fragment = memchr(id->val.string.val, '#', id->val.string.len);

	if (!is_draft_07(said->compiler) && fragment && fragment < id->val.string.val + id->val.string.len - 1)
		SCHEMA_REFUSE(said->place, "Name the place by \"$anchor\".", "must not have a fragment.");
}

/* "$anchor" and "$dynamicAnchor", which were indexed before, in resource.c. */
static void
handle_anchor(const Said *said)
{
	static const char first[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
	static const char other[] = "0123456789-.";
	const char *text = said->value->val.string.val;
	int			length = said->value->val.string.len;
	int			i = 0;

	while (i < length && (strchr(first, text[i]) || (i > 0 && strchr(other, text[i]))))
		i++;
	if (i == 0 || i < length)
		SCHEMA_REFUSE(said->place, "Begin with a letter or _, and go on with letters, digits, _, - and dots.",
					  "must be a plain name.");
}

/* "$vocabulary", whose meaning is found in vocabulary.c. */
static void
handle_vocabulary(const Said *said)
{
	json_foreach(child, said->value)
	{
		SchemaPlace step = {said->place, child.key.val.string.val, child.key.val.string.len};

		require(&child.value, &step, SCHEMA_TYPE_BOOLEAN);
	}
}

/* "$ref". */
static void
handle_ref(const Said *said)
{
	SchemaTarget target = schema_find_target(said->compiler, said->value, said->place);

	said->node->ref = schema_compile_target(said->compiler, &target, said->keyword->name);
	said->node->only_ref = is_draft_07(said->compiler);
}

/*
 * "$dynamicRef".  Only one that leads to a "$dynamicAnchor" looks for others of
 * that name when it is evaluated.
 */
static void
handle_dynamic_ref(const Said *said)
{
	SchemaTarget target = schema_find_target(said->compiler, said->value, said->place);

	if (target.resource && target.anchor && target.anchor->is_dynamic)
		said->node->dynamic = schema_want_dynamic(said->compiler, &target.anchor->text);
	said->node->dynamic_ref = schema_compile_target(said->compiler, &target, said->keyword->name);
}

/* Marks: spelled flat, "$md.copyable" and so on, or nested under "$md". */
static void
handle_marks(const Said *said)
{
	static const char *const names[] = {"copyable", "immutable", "sensitive", "key", "scale"};
	JsonbValue	mark;

	for (int i = 0; i < lengthof(names) && json_is_object(said->value); i++)
	{
		SchemaPlace step = {said->place, names[i], strlen(names[i])};

		if (json_find(said->value, names[i], &mark))
			require(&mark, &step, strcmp(names[i], "key") == 0 ? SCHEMA_TYPE_STRING : SCHEMA_TYPE_BOOLEAN);
	}
	said->node->marks |= schema_marks_said(said->node->keywords);
}

/* The flag of a type's name; raises if it is none of the seven. */
static uint8
type_flag(const JsonbValue *name, const SchemaPlace *place)
{
	uint8		flag = schema_type_flag(name);

	if (flag == 0)
		SCHEMA_REFUSE(place, "The types are null, boolean, object, array, number, string and integer.",
					  "must be the name of a type, or an array of such names.");
	return flag;
}

/* "type": the name of one, or an array of names. */
static void
handle_type(const Said *said)
{
	if (!json_is_array(said->value))
	{
		said->node->types = type_flag(said->value, said->place);
		return;
	}
	if (json_count(said->value) == 0)
		SCHEMA_REFUSE(said->place, "Name a type, or leave the keyword out.", "must name a type.");
	json_foreach(item, said->value)
	{
		uint8		flag = type_flag(&item.value, schema_place_item(said->place, item.index));

		if (said->node->types & flag)
			SCHEMA_REFUSE(said->place, "Name each type once.", "names the type %s more than once.",
						  schema_types_text(flag));
		said->node->types |= flag;
	}
}

/* "enum": values, as views into the schema. */
static void
handle_enum(const Said *said)
{
	SchemaNode *node = said->node;

	node->enumerated = true;
	node->marks |= SCHEMA_ENUMERATED;
	node->value_count = json_count(said->value);
	node->values = schema_allocate(sizeof(JsonbValue), Max(node->value_count, 1));
	json_foreach(item, said->value)
		node->values[item.index] = item.value;
}

/* "const": a value, as a view into the schema. */
static void
handle_const(const Said *said)
{
	said->node->marks |= SCHEMA_ENUMERATED;
	said->node->constant = palloc(sizeof(JsonbValue));
	*said->node->constant = *said->value;
}

/* Bounds of numbers. */
static void
handle_number(const Said *said)
{
	if (said->value->type == jbvBool && strncmp(said->keyword->name, "exclusive", 9) == 0)
		SCHEMA_REFUSE(said->place, "Draft-07 puts the bound itself here, in place of \"minimum\" or"
					  " \"maximum\".", "must be a number.");
	require(said->value, said->place, SCHEMA_TYPE_NUMBER);
	*(Numeric *) rule_of(said) = said->value->val.numeric;
}

/* "multipleOf": a number above zero. */
static void
handle_multiple(const Said *said)
{
	handle_number(said);
	if (json_number_compare(said->value->val.numeric, int64_to_numeric(0)) <= 0)
		SCHEMA_REFUSE(said->place, "Write the step that values are counted in.",
					  "must be greater than zero.");
}

/* A count: a whole number that is not negative.  What is beyond bigint is as good as it. */
static void
handle_count(const Said *said)
{
	Numeric		number = said->value->val.numeric;
	int64	   *count = rule_of(said);

	if (json_number_compare(number, int64_to_numeric(0)) < 0 ||
		DatumGetInt32(DirectFunctionCall1(numeric_min_scale, NumericGetDatum(number))) > 0)
		SCHEMA_REFUSE(said->place, "Write 0, 1, 2 and so on.",
					  "must be a whole number that is not negative.");
	if (json_number_compare(number, int64_to_numeric(PG_INT64_MAX)) >= 0)
		*count = PG_INT64_MAX;
	else
		*count = DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(number)));
}

/* "minContains", which may be 0 and so has to be told from one that is not said. */
static void
handle_min_contains(const Said *said)
{
	handle_count(said);
	said->node->array->says_min_contains = true;
}

/* "pattern". */
static void
handle_pattern(const Said *said)
{
	*(SchemaPattern **) rule_of(said) =
		schema_pattern_compile(said->value->val.string.val, said->value->val.string.len, said->place,
							   &said->compiler->schema->pattern_space);
}

/* A format is kept where it could be asserted: by the caller's wish, or the dialect's. */
static void
handle_format(const Said *said)
{
	int			format = schema_format_find(said->value->val.string.val, said->value->val.string.len);

	if (format < 0)
		return;
	*(int *) rule_of(said) = format;
	said->node->string->asserts_format = said->compiler->resource->dialect.asserts_formats;
}

/* "uniqueItems". */
static void
handle_unique(const Said *said)
{
	*(bool *) rule_of(said) = said->value->val.boolean;
}

/* "required". */
static void
handle_required(const Said *said)
{
	SchemaObjectRules *rules = rules_of(said->node, SCHEMA_OBJECT_RULES);

	if (said->value->type == jbvBool)
		SCHEMA_REFUSE(said->place, "Draft-07 lists the names of required properties beside"
					  " \"properties\".", "must be an array.");
	require_names(said->value, said->place);
	reserve_properties(rules, json_count(said->value));
	json_foreach(item, said->value)
		add_property(rules, &item.value)->required = true;
}

/* A keyword whose value is a schema; what "contentSchema" says of a string is not looked at. */
static void
handle_schema(const Said *said)
{
	SchemaNode *schema = compile_value(said);

	if (said->keyword->rules != SCHEMA_NO_RULES)
		*(SchemaNode **) rule_of(said) = schema;
	said->node->unevaluated |= said->keyword->where == SCHEMA_UNEVALUATED;
}

/* Compile the subschemas of an array that holds at least one. */
static void
compile_list(const Said *said, SchemaList *list)
{
	if (!json_is_array(said->value) || json_count(said->value) == 0)
		SCHEMA_REFUSE(said->place, "Write an array of schemas, or leave the keyword out.",
					  "must be an array of at least one schema.");
	list->count = json_count(said->value);
	list->nodes = schema_allocate(sizeof(SchemaNode *), list->count);
	json_foreach(item, said->value)
		list->nodes[item.index] = schema_compile_node(said->compiler, &item.value,
													  schema_place_item(said->place, item.index),
													  said->keyword->name);
}

/* "allOf", "anyOf", "oneOf" and "prefixItems". */
static void
handle_schemas(const Said *said)
{
	compile_list(said, rule_of(said));
}

/* "items": one schema, or in draft-07 a tuple of them. */
static void
handle_items(const Said *said)
{
	SchemaArrayRules *rules = rules_of(said->node, SCHEMA_ARRAY_RULES);

	if (!json_is_array(said->value))
	{
		rules->items = compile_value(said);
		return;
	}
	if (!is_draft_07(said->compiler))
		SCHEMA_REFUSE(said->place, "In 2020-12 the schemas of items by position stand under"
					  " \"prefixItems\".", "must be a schema: an object or a boolean.");
	rules->is_tuple = true;
	compile_list(said, &rules->tuple);
}

/* Subschemas that apply nowhere by themselves, but must be schemas. */
static void
handle_definitions(const Said *said)
{
	json_foreach(child, said->value)
		compile_member(said, &child);
}

/* "properties". */
static void
handle_properties(const Said *said)
{
	SchemaObjectRules *rules = rules_of(said->node, SCHEMA_OBJECT_RULES);

	reserve_properties(rules, json_count(said->value));
	json_foreach(child, said->value)
		add_property(rules, &child.key)->schema = compile_member(said, &child);
}

/* "patternProperties". */
static void
handle_patterns(const Said *said)
{
	SchemaObjectRules *rules = rules_of(said->node, SCHEMA_OBJECT_RULES);

	rules->patterns = schema_allocate(sizeof(SchemaPatternProperty), Max(json_count(said->value), 1));
	rules->pattern_count = json_count(said->value);
	json_foreach(child, said->value)
	{
		SchemaPatternProperty *entry = &rules->patterns[child.index];

		entry->pattern = schema_pattern_compile(child.key.val.string.val, child.key.val.string.len,
												member_place(said->place, &child.key),
												&said->compiler->schema->pattern_space);
		entry->schema = compile_member(said, &child);
	}
}

/*
 * "dependencies", whose values are schemas or arrays of names, and the two
 * keywords that took its place; field says which of the two kept apart it is.
 */
static void
handle_dependencies(const Said *said)
{
	SchemaObjectRules *rules = rules_of(said->node, SCHEMA_OBJECT_RULES);
	Size		which = said->keyword->field;

	reserve_properties(rules, json_count(said->value));
	json_foreach(child, said->value)
	{
		SchemaProperty *property = add_property(rules, &child.key);

		if (said->keyword->kind == KEYWORD_NEEDS || (json_is_array(&child.value) && which == 0))
		{
			require_names(&child.value, member_place(said->place, &child.key));
			property->needs[which] = child.value.val.binary.data;
		}
		else
			property->dependent[which] = compile_member(said, &child);
	}
	rules->has_dependencies = true;
}

static const KeywordHandler handlers[] = {
	[KEYWORD_ID] = handle_id,
	[KEYWORD_ANCHOR] = handle_anchor,
	[KEYWORD_VOCABULARY] = handle_vocabulary,
	[KEYWORD_REF] = handle_ref,
	[KEYWORD_DYNAMIC_REF] = handle_dynamic_ref,
	[KEYWORD_MARKS] = handle_marks,
	[KEYWORD_TYPE] = handle_type,
	[KEYWORD_ENUM] = handle_enum,
	[KEYWORD_CONST] = handle_const,
	[KEYWORD_NUMBER] = handle_number,
	[KEYWORD_MULTIPLE] = handle_multiple,
	[KEYWORD_COUNT] = handle_count,
	[KEYWORD_MIN_CONTAINS] = handle_min_contains,
	[KEYWORD_PATTERN] = handle_pattern,
	[KEYWORD_FORMAT] = handle_format,
	[KEYWORD_UNIQUE] = handle_unique,
	[KEYWORD_REQUIRED] = handle_required,
	[KEYWORD_NEEDS] = handle_dependencies,
	[KEYWORD_SCHEMA] = handle_schema,
	[KEYWORD_SCHEMAS] = handle_schemas,
	[KEYWORD_ITEMS] = handle_items,
	[KEYWORD_DEFINITIONS] = handle_definitions,
	[KEYWORD_PROPERTIES] = handle_properties,
	[KEYWORD_PATTERNS] = handle_patterns,
	[KEYWORD_DEPENDENCIES] = handle_dependencies
};

/* Compile all that an object of keywords says into its node. */
static void
compile_keywords(SchemaCompiler *compiler, SchemaNode *node, const JsonbValue *object)
{
	const SchemaKeyword *next = NULL;
	uint8		where = compiler->resource->dialect.keywords;

	json_foreach(child, object)
	{
		SchemaPlace place = {node->place, child.key.val.string.val, child.key.val.string.len};
		const SchemaKeyword *keyword = schema_next_keyword(&next, &child.key, where);
		Said		said = {compiler, node, keyword, &child.value, &place};

		if (keyword == NULL)
			continue;
		require(&child.value, &place, keyword->type);
		if (keyword->kind >= KEYWORD_SCHEMA)
			said.place = member_place(node->place, &child.key);
		if (keyword->kind != KEYWORD_SHAPE)
			handlers[keyword->kind] (&said);
	}
	if (node->object)
		finish_properties(node->object);
	/* what the keywords together mean for the items past the tuple */
	if (node->array)
		node->array->rest = node->array->is_tuple ? node->array->additional : node->array->items;
}
