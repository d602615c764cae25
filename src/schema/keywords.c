/*
 * keywords.c: what each keyword must look like, and what it leaves in a node.
 *
 * A table leads from a keyword to its handler, which refuses a value of the
 * wrong shape and stores one of the right.  Keywords that are not in the
 * table say nothing to a validator, and neither does what is in them.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "schema/internal.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

typedef struct Keyword Keyword;

/* place is the handler's only for the call: see keep_place. */
typedef void (*KeywordHandler) (SchemaCompiler *compiler, SchemaNode *node,
								const Keyword *keyword, const JsonbValue *value,
								const SchemaPlace *place);

struct Keyword
{
	const char *name;
	KeywordHandler handle;
	Size		field;			/* where handlers of several keywords store */
};

/* A copy of a place on the stack, for nodes to refer to. */
static const SchemaPlace *
keep_place(const SchemaPlace *place)
{
	return schema_place_step(place->parent, place->token, place->length);
}

/* The groups of rules of a node, made when the first of a group is said. */
static SchemaNumberRules *
number_rules(SchemaNode *node)
{
	if (node->number == NULL)
		node->number = palloc0(sizeof(SchemaNumberRules));
	return node->number;
}

static SchemaStringRules *
string_rules(SchemaNode *node)
{
	if (node->string == NULL)
	{
		node->string = palloc0(sizeof(SchemaStringRules));
		node->string->max_length = SCHEMA_UNBOUNDED;
	}
	return node->string;
}

static SchemaArrayRules *
array_rules(SchemaNode *node)
{
	if (node->array == NULL)
	{
		node->array = palloc0(sizeof(SchemaArrayRules));
		node->array->max_items = SCHEMA_UNBOUNDED;
	}
	return node->array;
}

static SchemaObjectRules *
object_rules(SchemaNode *node)
{
	if (node->object == NULL)
	{
		node->object = palloc0(sizeof(SchemaObjectRules));
		node->object->max_properties = SCHEMA_UNBOUNDED;
	}
	return node->object;
}

static SchemaLogicRules *
logic_rules(SchemaNode *node)
{
	if (node->logic == NULL)
		node->logic = palloc0(sizeof(SchemaLogicRules));
	return node->logic;
}

/* Checks of shape that several handlers share. */
static void
require_string(const JsonbValue *value, const SchemaPlace *place)
{
	if (value->type != jbvString)
		SCHEMA_REFUSE(place, "Put the value in quotes.", "must be a string.");
}

static void
require_boolean(const JsonbValue *value, const SchemaPlace *place)
{
	if (value->type != jbvBool)
		SCHEMA_REFUSE(place, "Write true or false, without quotes.", "must be a boolean.");
}

static void
require_array(const JsonbValue *value, const SchemaPlace *place)
{
	if (!json_is_array(value))
		SCHEMA_REFUSE(place, "Put the value in square brackets.", "must be an array.");
}

static void
require_object(const JsonbValue *value, const SchemaPlace *place)
{
	if (!json_is_object(value))
		SCHEMA_REFUSE(place, "Write an object, {...}, here.", "must be an object.");
}

static void
require_number(const JsonbValue *value, const SchemaPlace *place)
{
	if (value->type != jbvNumeric)
		SCHEMA_REFUSE(place, "Write a number, without quotes.", "must be a number.");
}

/*
 * An array of strings without repetition.  Sorting finds what is said twice,
 * so that a long list costs no square.
 */
static int
compare_strings(const void *a, const void *b)
{
	const JsonbValue *x = a;
	const JsonbValue *y = b;

	return json_key_compare(x->val.string.val, x->val.string.len,
							y->val.string.val, y->val.string.len);
}

static void
require_names(const JsonbValue *value, const SchemaPlace *place)
{
	JsonCursor	cursor;
	JsonbValue *names;
	uint32		count;
	uint32		i;

	require_array(value, place);
	count = json_count(value);
	names = schema_allocate(sizeof(JsonbValue), Max(count, 1));
	json_cursor_init(&cursor, value->val.binary.data);
	for (i = 0; json_next_element(&cursor, &names[i]); i++)
		require_string(&names[i], schema_place_item(place, i));
	qsort(names, count, sizeof(JsonbValue), compare_strings);
	for (i = 1; i < count; i++)
		if (compare_strings(&names[i - 1], &names[i]) == 0)
			SCHEMA_REFUSE(place, "Name each property once.", "names \"%.*s\" more than once.",
						  names[i].val.string.len, names[i].val.string.val);
	pfree(names);
}

/* Room for more properties in a node's table. */
static void
reserve_properties(SchemaObjectRules *rules, uint32 more)
{
	SchemaProperty *properties;

	if (rules->property_count + more <= rules->property_space)
		return;
	rules->property_space = rules->property_count + more;
	properties = schema_allocate(sizeof(SchemaProperty), rules->property_space);
	if (rules->properties)
	{
		memcpy(properties, rules->properties, sizeof(SchemaProperty) * rules->property_count);
		pfree(rules->properties);
	}
	rules->properties = properties;
}

/* A new entry for a name; that of the same name is merged with it at the end. */
static SchemaProperty *
add_property(SchemaObjectRules *rules, const JsonbValue *name)
{
	SchemaProperty *property = &rules->properties[rules->property_count++];

	property->name = name->val.string.val;
	property->length = name->val.string.len;
	return property;
}

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
	uint32		i;

	qsort(rules->properties, rules->property_count, sizeof(SchemaProperty), compare_properties);
	for (i = 1; i < rules->property_count; i++)
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
		last->dependent = next->dependent ? next->dependent : last->dependent;
		last->needs = next->needs ? next->needs : last->needs;
	}
	if (rules->property_count > 0)
		rules->property_count = kept + 1;
}

/* The subschema under a key of the keyword's object. */
static SchemaNode *
compile_member(SchemaCompiler *compiler, const Keyword *keyword,
			   const SchemaPlace *place, const JsonbValue *name, const JsonbValue *value)
{
	return schema_compile_node(compiler, value,
							   schema_place_step(place, name->val.string.val,
												 name->val.string.len),
							   keyword->name);
}

/* The subschemas of an array that holds at least one. */
static void
compile_list(SchemaCompiler *compiler, const Keyword *keyword, const JsonbValue *value,
			 const SchemaPlace *place, SchemaList *list)
{
	JsonCursor	cursor;
	JsonbValue	element;
	uint32		i = 0;

	if (!json_is_array(value) || json_count(value) == 0)
		SCHEMA_REFUSE(place, "Write an array of schemas, or leave the keyword out.",
					  "must be an array of at least one schema.");
	place = keep_place(place);
	list->nodes = schema_allocate(sizeof(SchemaNode *), json_count(value));
	json_cursor_init(&cursor, value->val.binary.data);
	while (json_next_element(&cursor, &element))
	{
		list->nodes[i] = schema_compile_node(compiler, &element,
											 schema_place_item(place, i), keyword->name);
		i++;
	}
	list->count = i;
}

/* Handlers of keywords that only must have a shape. */
static void
handle_text(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
			const JsonbValue *value, const SchemaPlace *place)
{
	require_string(value, place);
}

static void
handle_flag(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
			const JsonbValue *value, const SchemaPlace *place)
{
	require_boolean(value, place);
}

static void
handle_examples(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
				const JsonbValue *value, const SchemaPlace *place)
{
	require_array(value, place);
}

/* Subschemas that apply nowhere by themselves, but must be schemas. */
static void
handle_definitions(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
				   const JsonbValue *value, const SchemaPlace *place)
{
	JsonCursor	cursor;
	JsonbValue	name;
	JsonbValue	definition;

	require_object(value, place);
	place = keep_place(place);
	json_cursor_init(&cursor, value->val.binary.data);
	while (json_next_pair(&cursor, &name, &definition))
		compile_member(compiler, keyword, place, &name, &definition);
}

static void
handle_ref(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
		   const JsonbValue *value, const SchemaPlace *place)
{
	require_string(value, place);
	node->ref = schema_resolve(compiler, value, place);
}

/* Annotations: a flag where the keyword has the value that means something. */
static void
note_mark(SchemaNode *node, const char *name, const JsonbValue *value, const SchemaPlace *place)
{
	require_boolean(value, place);
	if (strcmp(name, "copyable") == 0 && !value->val.boolean)
		node->marks |= SCHEMA_NONCOPYABLE;
	else if (strcmp(name, "immutable") == 0 && value->val.boolean)
		node->marks |= SCHEMA_IMMUTABLE;
	else if (strcmp(name, "sensitive") == 0 && value->val.boolean)
		node->marks |= SCHEMA_SENSITIVE;
}

static void
handle_mark(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
			const JsonbValue *value, const SchemaPlace *place)
{
	note_mark(node, keyword->name + strlen("$md."), value, place);
}

static void
handle_marks(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
			 const JsonbValue *value, const SchemaPlace *place)
{
	static const char *const names[] = {"copyable", "immutable", "sensitive"};
	JsonbValue	mark;
	int			i;

	require_object(value, place);
	for (i = 0; i < lengthof(names); i++)
	{
		SchemaPlace step = {place, names[i], strlen(names[i])};

		if (json_find(value, names[i], &mark))
			note_mark(node, names[i], &mark, &step);
	}
}

/* The flag of a type's name; raises if it is none of the seven. */
static uint8
type_flag(const JsonbValue *name, const SchemaPlace *place)
{
	static const struct
	{
		const char *name;
		uint8		flag;
	}			types[] = {
		{"null", SCHEMA_TYPE_NULL}, {"boolean", SCHEMA_TYPE_BOOLEAN},
		{"object", SCHEMA_TYPE_OBJECT}, {"array", SCHEMA_TYPE_ARRAY},
		{"number", SCHEMA_TYPE_NUMBER}, {"string", SCHEMA_TYPE_STRING},
		{"integer", SCHEMA_TYPE_INTEGER}
	};
	int			i;

	for (i = 0; i < lengthof(types); i++)
		if (json_string_is(name, types[i].name))
			return types[i].flag;
	SCHEMA_REFUSE(place, "The types are null, boolean, object, array, number, string and integer.",
				  "must be the name of a type, or an array of such names.");
	return 0;
}

static void
handle_type(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
			const JsonbValue *value, const SchemaPlace *place)
{
	JsonCursor	cursor;
	JsonbValue	name;

	if (!json_is_array(value))
	{
		node->types = type_flag(value, place);
		return;
	}
	if (json_count(value) == 0)
		SCHEMA_REFUSE(place, "Name a type, or leave the keyword out.", "must name a type.");
	json_cursor_init(&cursor, value->val.binary.data);
	while (json_next_element(&cursor, &name))
	{
		uint8		flag = type_flag(&name, schema_place_item(place, cursor.next - 1));

		if (node->types & flag)
			SCHEMA_REFUSE(place, "Name each type once.", "names the type %s more than once.",
						  schema_types_text(flag));
		node->types |= flag;
	}
}

static void
handle_enum(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
			const JsonbValue *value, const SchemaPlace *place)
{
	JsonCursor	cursor;
	uint32		i;

	require_array(value, place);
	node->enumerated = true;
	node->value_count = json_count(value);
	node->values = schema_allocate(sizeof(JsonbValue), Max(node->value_count, 1));
	json_cursor_init(&cursor, value->val.binary.data);
	for (i = 0; json_next_element(&cursor, &node->values[i]);)
		i++;
}

static void
handle_const(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
			 const JsonbValue *value, const SchemaPlace *place)
{
	node->constant = palloc(sizeof(JsonbValue));
	*node->constant = *value;
}

/* Bounds of numbers. */
static void
handle_number(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
			  const JsonbValue *value, const SchemaPlace *place)
{
	if (value->type == jbvBool && strncmp(keyword->name, "exclusive", 9) == 0)
		SCHEMA_REFUSE(place, "Draft-07 puts the bound itself here, in place of \"minimum\" or"
					  " \"maximum\".", "must be a number.");
	require_number(value, place);
	*(Numeric *) ((char *) number_rules(node) + keyword->field) = value->val.numeric;
}

/* Compare with zero. */
static int
sign_of(Numeric number)
{
	return DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(number),
											 NumericGetDatum(int64_to_numeric(0))));
}

static void
handle_multiple(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
				const JsonbValue *value, const SchemaPlace *place)
{
	handle_number(compiler, node, keyword, value, place);
	if (sign_of(value->val.numeric) <= 0)
		SCHEMA_REFUSE(place, "Write the step that values are counted in.",
					  "must be greater than zero.");
}

/* A count: a whole number that is not negative.  What is beyond bigint is as good as it. */
static int64
count_of(const JsonbValue *value, const SchemaPlace *place)
{
	Datum		number;
	Datum		largest = NumericGetDatum(int64_to_numeric(PG_INT64_MAX));

	require_number(value, place);
	number = NumericGetDatum(value->val.numeric);
	if (sign_of(value->val.numeric) < 0 ||
		DatumGetInt32(DirectFunctionCall1(numeric_min_scale, number)) > 0)
		SCHEMA_REFUSE(place, "Write 0, 1, 2 and so on.",
					  "must be a whole number that is not negative.");
	if (DatumGetInt32(DirectFunctionCall2(numeric_cmp, number, largest)) >= 0)
		return PG_INT64_MAX;
	return DatumGetInt64(DirectFunctionCall1(numeric_int8, number));
}

static void
handle_length(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
			  const JsonbValue *value, const SchemaPlace *place)
{
	*(int64 *) ((char *) string_rules(node) + keyword->field) = count_of(value, place);
}

static void
handle_item_count(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
				  const JsonbValue *value, const SchemaPlace *place)
{
	*(int64 *) ((char *) array_rules(node) + keyword->field) = count_of(value, place);
}

static void
handle_property_count(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
					  const JsonbValue *value, const SchemaPlace *place)
{
	*(int64 *) ((char *) object_rules(node) + keyword->field) = count_of(value, place);
}

static void
handle_pattern(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
			   const JsonbValue *value, const SchemaPlace *place)
{
	require_string(value, place);
	string_rules(node)->pattern = schema_pattern_compile(value->val.string.val,
														 value->val.string.len, place,
														 &compiler->schema->pattern_space);
}

/* Arrays. */
static void
handle_unique(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
			  const JsonbValue *value, const SchemaPlace *place)
{
	require_boolean(value, place);
	array_rules(node)->unique = value->val.boolean;
}

static void
handle_items(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
			 const JsonbValue *value, const SchemaPlace *place)
{
	SchemaArrayRules *rules = array_rules(node);

	if (!json_is_array(value))
	{
		rules->items = schema_compile_node(compiler, value, keep_place(place), keyword->name);
		return;
	}
	rules->is_tuple = true;
	compile_list(compiler, keyword, value, place, &rules->tuple);
}

static void
handle_item_schema(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
				   const JsonbValue *value, const SchemaPlace *place)
{
	SchemaNode **field = (SchemaNode **) ((char *) array_rules(node) + keyword->field);

	*field = schema_compile_node(compiler, value, keep_place(place), keyword->name);
}

/* Objects. */
static void
handle_required(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
				const JsonbValue *value, const SchemaPlace *place)
{
	SchemaObjectRules *rules = object_rules(node);
	JsonCursor	cursor;
	JsonbValue	name;

	if (value->type == jbvBool)
		SCHEMA_REFUSE(place, "Draft-07 lists the names of required properties beside"
					  " \"properties\".", "must be an array.");
	require_names(value, place);
	reserve_properties(rules, json_count(value));
	json_cursor_init(&cursor, value->val.binary.data);
	while (json_next_element(&cursor, &name))
		add_property(rules, &name)->required = true;
}

static void
handle_properties(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
				  const JsonbValue *value, const SchemaPlace *place)
{
	SchemaObjectRules *rules = object_rules(node);
	JsonCursor	cursor;
	JsonbValue	name;
	JsonbValue	schema;

	require_object(value, place);
	place = keep_place(place);
	reserve_properties(rules, json_count(value));
	json_cursor_init(&cursor, value->val.binary.data);
	while (json_next_pair(&cursor, &name, &schema))
		add_property(rules, &name)->schema = compile_member(compiler, keyword, place,
															&name, &schema);
}

static void
handle_dependencies(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
					const JsonbValue *value, const SchemaPlace *place)
{
	SchemaObjectRules *rules = object_rules(node);
	JsonCursor	cursor;
	JsonbValue	name;
	JsonbValue	needed;

	require_object(value, place);
	place = keep_place(place);
	reserve_properties(rules, json_count(value));
	json_cursor_init(&cursor, value->val.binary.data);
	while (json_next_pair(&cursor, &name, &needed))
	{
		SchemaProperty *property = add_property(rules, &name);

		if (json_is_array(&needed))
		{
			require_names(&needed, schema_place_step(place, property->name, property->length));
			property->needs = needed.val.binary.data;
		}
		else
			property->dependent = compile_member(compiler, keyword, place, &name, &needed);
	}
	rules->has_dependencies = true;
}

static void
handle_patterns(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
				const JsonbValue *value, const SchemaPlace *place)
{
	SchemaObjectRules *rules = object_rules(node);
	JsonCursor	cursor;
	JsonbValue	name;
	JsonbValue	schema;

	require_object(value, place);
	place = keep_place(place);
	rules->patterns = schema_allocate(sizeof(SchemaPatternProperty), Max(json_count(value), 1));
	json_cursor_init(&cursor, value->val.binary.data);
	while (json_next_pair(&cursor, &name, &schema))
	{
		SchemaPatternProperty *entry = &rules->patterns[rules->pattern_count];
		const SchemaPlace *step = schema_place_step(place, name.val.string.val,
													name.val.string.len);

		entry->pattern = schema_pattern_compile(name.val.string.val, name.val.string.len, step,
												&compiler->schema->pattern_space);
		entry->schema = schema_compile_node(compiler, &schema, step, keyword->name);
		rules->pattern_count++;
	}
}

static void
handle_property_schema(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
					   const JsonbValue *value, const SchemaPlace *place)
{
	SchemaNode **field = (SchemaNode **) ((char *) object_rules(node) + keyword->field);

	*field = schema_compile_node(compiler, value, keep_place(place), keyword->name);
}

/* Logic. */
static void
handle_branches(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
				const JsonbValue *value, const SchemaPlace *place)
{
	SchemaList *field = (SchemaList *) ((char *) logic_rules(node) + keyword->field);

	compile_list(compiler, keyword, value, place, field);
}

static void
handle_branch(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
			  const JsonbValue *value, const SchemaPlace *place)
{
	SchemaNode **field = (SchemaNode **) ((char *) logic_rules(node) + keyword->field);

	*field = schema_compile_node(compiler, value, keep_place(place), keyword->name);
}

#define NUMBER(field) offsetof(SchemaNumberRules, field)
#define STRING(field) offsetof(SchemaStringRules, field)
#define ARRAY(field) offsetof(SchemaArrayRules, field)
#define OBJECT(field) offsetof(SchemaObjectRules, field)
#define LOGIC(field) offsetof(SchemaLogicRules, field)

/* In the order of jsonb's keys, so that one pass over both finds them. */
static const Keyword keywords[] = {
	{"if", handle_branch, LOGIC(condition)},
	{"$id", handle_text, 0},
	{"$md", handle_marks, 0},
	{"not", handle_branch, LOGIC(negated)},
	{"$ref", handle_ref, 0},
	{"else", handle_branch, LOGIC(alternative)},
	{"enum", handle_enum, 0},
	{"then", handle_branch, LOGIC(consequence)},
	{"type", handle_type, 0},
	{"allOf", handle_branches, LOGIC(all)},
	{"anyOf", handle_branches, LOGIC(any)},
	{"const", handle_const, 0},
	{"items", handle_items, 0},
	{"oneOf", handle_branches, LOGIC(one)},
	{"title", handle_text, 0},
	{"format", handle_text, 0},
	{"$schema", handle_text, 0},
	{"maximum", handle_number, NUMBER(maximum)},
	{"minimum", handle_number, NUMBER(minimum)},
	{"pattern", handle_pattern, 0},
	{"$comment", handle_text, 0},
	{"contains", handle_item_schema, ARRAY(contains)},
	{"examples", handle_examples, 0},
	{"maxItems", handle_item_count, ARRAY(max_items)},
	{"minItems", handle_item_count, ARRAY(min_items)},
	{"readOnly", handle_flag, 0},
	{"required", handle_required, 0},
	{"maxLength", handle_length, STRING(max_length)},
	{"minLength", handle_length, STRING(min_length)},
	{"writeOnly", handle_flag, 0},
	{"multipleOf", handle_multiple, NUMBER(multiple_of)},
	{"properties", handle_properties, 0},
	{"definitions", handle_definitions, 0},
	{"description", handle_text, 0},
	{"uniqueItems", handle_unique, 0},
	{"$md.copyable", handle_mark, 0},
	{"dependencies", handle_dependencies, 0},
	{"$md.immutable", handle_mark, 0},
	{"$md.sensitive", handle_mark, 0},
	{"maxProperties", handle_property_count, OBJECT(max_properties)},
	{"minProperties", handle_property_count, OBJECT(min_properties)},
	{"propertyNames", handle_property_schema, OBJECT(names)},
	{"additionalItems", handle_item_schema, ARRAY(additional)},
	{"contentEncoding", handle_text, 0},
	{"contentMediaType", handle_text, 0},
	{"exclusiveMaximum", handle_number, NUMBER(exclusive_maximum)},
	{"exclusiveMinimum", handle_number, NUMBER(exclusive_minimum)},
	{"patternProperties", handle_patterns, 0},
	{"additionalProperties", handle_property_schema, OBJECT(additional)},
};

/* Compile all that an object of keywords says into its node. */
void
schema_compile_keywords(SchemaCompiler *compiler, SchemaNode *node, const JsonbValue *object)
{
	const Keyword *keyword = keywords;
	const Keyword *end = keywords + lengthof(keywords);
	JsonCursor	cursor;
	JsonbValue	key;
	JsonbValue	value;

	json_cursor_init(&cursor, object->val.binary.data);
	while (keyword < end && json_next_pair(&cursor, &key, &value))
	{
		SchemaPlace place = {node->place, key.val.string.val, key.val.string.len};
		int			order = -1;

		while (keyword < end &&
			   (order = json_key_compare(keyword->name, strlen(keyword->name),
										 key.val.string.val, key.val.string.len)) < 0)
			keyword++;
		if (order == 0)
			keyword->handle(compiler, node, keyword, &value, &place);
	}
	if (node->object)
		finish_properties(node->object);
}
