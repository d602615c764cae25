/*
 * keywords.c: what each keyword must look like, and what it leaves in a node.
 *
 * A table leads from a keyword to its handler, which refuses a value of the
 * wrong shape and stores one of the right.  Keywords that are not in the
 * table, or not in the schema's dialect, say nothing to a validator, and
 * neither does what is in them.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "schema/format.h"
#include "schema/internal.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

typedef struct Keyword Keyword;

/* place is the handler's only for the call: see keep_place. */
typedef void (*KeywordHandler) (SchemaCompiler *compiler, SchemaNode *node,
								const Keyword *keyword, const JsonbValue *value,
								const SchemaPlace *place);

/* How a keyword's value holds subschemas. */
typedef enum KeywordHolds
{
	HOLDS_NONE,
	HOLDS_ONE,					/* it is one */
	HOLDS_LIST,					/* its items are */
	HOLDS_MAP,					/* the values of its members are, unless arrays */
	HOLDS_EITHER				/* one or a list */
} KeywordHolds;

struct Keyword
{
	const char *name;
	KeywordHandler handle;
	Size		field;			/* where handlers of several keywords store */
	uint8		where;			/* the dialects that know it, as SchemaDialect has them */
	KeywordHolds holds;
};

/* Does the schema that is being compiled follow draft-07? */
static bool
is_draft_07(const SchemaCompiler *compiler)
{
	return (compiler->resource->dialect.keywords & SCHEMA_DRAFT_07) != 0;
}

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
	if (node->number_rules == NULL)
		node->number_rules = palloc0(sizeof(SchemaNumberRules));
	return node->number_rules;
}

/* Those of strings. */
static SchemaStringRules *
string_rules(SchemaNode *node)
{
	if (node->string == NULL)
	{
		node->string = palloc0(sizeof(SchemaStringRules));
		node->string->max_length = SCHEMA_UNBOUNDED;
		node->string->format = SCHEMA_NO_FORMAT;
	}
	return node->string;
}

/* Those of arrays. */
static SchemaArrayRules *
array_rules(SchemaNode *node)
{
	if (node->array == NULL)
	{
		node->array = palloc0(sizeof(SchemaArrayRules));
		node->array->max_items = SCHEMA_UNBOUNDED;
		node->array->min_contains = 1;
		node->array->max_contains = SCHEMA_UNBOUNDED;
	}
	return node->array;
}

/* Those of objects. */
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

/* Those that combine schemas. */
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

/* Refuse what is no boolean. */
static void
require_boolean(const JsonbValue *value, const SchemaPlace *place)
{
	if (value->type != jbvBool)
		SCHEMA_REFUSE(place, "Write true or false, without quotes.", "must be a boolean.");
}

/* Refuse what is no array. */
static void
require_array(const JsonbValue *value, const SchemaPlace *place)
{
	if (!json_is_array(value))
		SCHEMA_REFUSE(place, "Put the value in square brackets.", "must be an array.");
}

/* Refuse what is no object. */
static void
require_object(const JsonbValue *value, const SchemaPlace *place)
{
	if (!json_is_object(value))
		SCHEMA_REFUSE(place, "Write an object, {...}, here.", "must be an object.");
}

/* Refuse what is no number. */
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

/* Refuse what is no array of strings, or says one of them twice. */
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
		for (int k = 0; k < lengthof(last->dependent); k++)
		{
			last->dependent[k] = next->dependent[k] ? next->dependent[k] : last->dependent[k];
			last->needs[k] = next->needs[k] ? next->needs[k] : last->needs[k];
		}
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

/* "readOnly", "writeOnly" and "deprecated": shape only. */
static void
handle_flag(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
			const JsonbValue *value, const SchemaPlace *place)
{
	require_boolean(value, place);
}

/* "examples": shape only. */
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

/* A subschema that says something of what a string holds, which is not looked at. */
static void
handle_aside(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
			 const JsonbValue *value, const SchemaPlace *place)
{
	schema_compile_node(compiler, value, keep_place(place), keyword->name);
}

/* Names of schemas.  What they mean is found out before; see resource.c. */
static void
handle_id(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
		  const JsonbValue *value, const SchemaPlace *place)
{
	const char *fragment;

	require_string(value, place);
	fragment = memchr(value->val.string.val, '#', value->val.string.len);
	if (!is_draft_07(compiler) && fragment &&
		fragment < value->val.string.val + value->val.string.len - 1)
		SCHEMA_REFUSE(place, "Name the place by \"$anchor\".", "must not have a fragment.");
}

/* "$anchor" and "$dynamicAnchor": shape only, for they were indexed before (resource.c). */
static void
handle_anchor(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
			  const JsonbValue *value, const SchemaPlace *place)
{
	static const char first[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
	static const char other[] = "0123456789-.";
	const char *text = value->val.string.val;
	int			i;

	require_string(value, place);
	for (i = 0; i < value->val.string.len; i++)
		if (strchr(first, text[i]) == NULL && (i == 0 || strchr(other, text[i]) == NULL))
			break;
	if (i == 0 || i < value->val.string.len)
		SCHEMA_REFUSE(place, "Begin with a letter or _, and go on with letters, digits, _, - and dots.",
					  "must be a plain name.");
}

/* "$vocabulary": shape only; what it means is in dialect.c. */
static void
handle_vocabulary(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
				  const JsonbValue *value, const SchemaPlace *place)
{
	JsonCursor	cursor;
	JsonbValue	name;
	JsonbValue	required;

	require_object(value, place);
	json_cursor_init(&cursor, value->val.binary.data);
	while (json_next_pair(&cursor, &name, &required))
	{
		SchemaPlace step = {place, name.val.string.val, name.val.string.len};

		require_boolean(&required, &step);
	}
}

/* "$ref". */
static void
handle_ref(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
		   const JsonbValue *value, const SchemaPlace *place)
{
	require_string(value, place);
	node->ref = schema_resolve(compiler, value, place);
	node->only_ref = is_draft_07(compiler);
}

/* "$dynamicRef". */
static void
handle_dynamic_ref(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
				   const JsonbValue *value, const SchemaPlace *place)
{
	require_string(value, place);
	schema_resolve_dynamic(compiler, node, value, place);
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

/* A mark that is spelled flat: "$md.copyable" and so on. */
static void
handle_mark(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
			const JsonbValue *value, const SchemaPlace *place)
{
	note_mark(node, keyword->name + strlen("$md."), value, place);
}

/* "$md", in which marks are nested. */
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

/* "type": the name of one, or an array of names. */
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

/* "enum": values, as views into the schema. */
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

/* "const": a value, as a view into the schema. */
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

/* "multipleOf": a number above zero. */
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

/* "minLength" and "maxLength". */
static void
handle_length(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
			  const JsonbValue *value, const SchemaPlace *place)
{
	*(int64 *) ((char *) string_rules(node) + keyword->field) = count_of(value, place);
}

/* "minItems", "maxItems" and "maxContains". */
static void
handle_item_count(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
				  const JsonbValue *value, const SchemaPlace *place)
{
	*(int64 *) ((char *) array_rules(node) + keyword->field) = count_of(value, place);
}

/* "minProperties" and "maxProperties". */
static void
handle_property_count(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
					  const JsonbValue *value, const SchemaPlace *place)
{
	*(int64 *) ((char *) object_rules(node) + keyword->field) = count_of(value, place);
}

/* "pattern". */
static void
handle_pattern(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
			   const JsonbValue *value, const SchemaPlace *place)
{
	require_string(value, place);
	string_rules(node)->pattern = schema_pattern_compile(value->val.string.val,
														 value->val.string.len, place,
														 &compiler->schema->pattern_space);
}

/* A format is kept where it could be asserted: by the caller's wish, or the dialect's. */
static void
handle_format(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
			  const JsonbValue *value, const SchemaPlace *place)
{
	int			format;

	require_string(value, place);
	format = schema_format_find(value->val.string.val, value->val.string.len);
	if (format < 0)
		return;
	string_rules(node)->format = format;
	node->string->asserts_format = compiler->resource->dialect.asserts_formats;
}

/* Arrays. */
static void
handle_unique(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
			  const JsonbValue *value, const SchemaPlace *place)
{
	require_boolean(value, place);
	array_rules(node)->unique = value->val.boolean;
}

/* "items": one schema, or in draft-07 a tuple of them. */
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
	if (!is_draft_07(compiler))
		SCHEMA_REFUSE(place, "In 2020-12 the schemas of items by position stand under"
					  " \"prefixItems\".", "must be a schema: an object or a boolean.");
	rules->is_tuple = true;
	compile_list(compiler, keyword, value, place, &rules->tuple);
}

/* "prefixItems": the tuple of 2020-12. */
static void
handle_prefix(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
			  const JsonbValue *value, const SchemaPlace *place)
{
	compile_list(compiler, keyword, value, place, &array_rules(node)->tuple);
}

/* "minContains", which may be 0 and so has to be told from one that is not said. */
static void
handle_min_contains(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
					const JsonbValue *value, const SchemaPlace *place)
{
	array_rules(node)->says_min_contains = true;
	array_rules(node)->min_contains = count_of(value, place);
}

/* "contains", "additionalItems" and "unevaluatedItems". */
static void
handle_item_schema(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
				   const JsonbValue *value, const SchemaPlace *place)
{
	SchemaNode **field = (SchemaNode **) ((char *) array_rules(node) + keyword->field);

	*field = schema_compile_node(compiler, value, keep_place(place), keyword->name);
	node->unevaluated |= node->array->unevaluated != NULL;
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

/* "properties". */
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

/*
 * "dependencies", whose values are schemas or arrays of names, and the two
 * keywords that took its place; field says which of the two kept apart it is.
 */
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

		if (keyword->holds == HOLDS_NONE || (json_is_array(&needed) && keyword->field == 0))
		{
			require_names(&needed, schema_place_step(place, property->name, property->length));
			property->needs[keyword->field] = needed.val.binary.data;
		}
		else
			property->dependent[keyword->field] = compile_member(compiler, keyword, place,
																 &name, &needed);
	}
	rules->has_dependencies = true;
}

/* "patternProperties". */
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

/* "propertyNames", "additionalProperties" and "unevaluatedProperties". */
static void
handle_property_schema(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
					   const JsonbValue *value, const SchemaPlace *place)
{
	SchemaNode **field = (SchemaNode **) ((char *) object_rules(node) + keyword->field);

	*field = schema_compile_node(compiler, value, keep_place(place), keyword->name);
	node->unevaluated |= node->object->unevaluated != NULL;
}

/* Logic. */
static void
handle_branches(SchemaCompiler *compiler, SchemaNode *node, const Keyword *keyword,
				const JsonbValue *value, const SchemaPlace *place)
{
	SchemaList *field = (SchemaList *) ((char *) logic_rules(node) + keyword->field);

	compile_list(compiler, keyword, value, place, field);
}

/* "not", "if", "then" and "else". */
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

#define D7 SCHEMA_DRAFT_07
#define CORE SCHEMA_CORE
#define APPLICATOR SCHEMA_APPLICATOR
#define UNEVALUATED SCHEMA_UNEVALUATED
#define VALIDATION SCHEMA_VALIDATION
#define META_DATA SCHEMA_META_DATA
#define CONTENT SCHEMA_CONTENT
#define ANYWHERE 0xff

/* In the order of jsonb's keys, so that one pass over both finds them. */
static const Keyword keywords[] = {
	{"if", handle_branch, LOGIC(condition), D7 | APPLICATOR, HOLDS_ONE},
	{"$id", handle_id, 0, D7 | CORE},
	{"$md", handle_marks, 0, ANYWHERE},
	{"not", handle_branch, LOGIC(negated), D7 | APPLICATOR, HOLDS_ONE},
	{"$ref", handle_ref, 0, D7 | CORE},
	{"else", handle_branch, LOGIC(alternative), D7 | APPLICATOR, HOLDS_ONE},
	{"enum", handle_enum, 0, D7 | VALIDATION},
	{"then", handle_branch, LOGIC(consequence), D7 | APPLICATOR, HOLDS_ONE},
	{"type", handle_type, 0, D7 | VALIDATION},
	{"$defs", handle_definitions, 0, CORE, HOLDS_MAP},
	{"allOf", handle_branches, LOGIC(all), D7 | APPLICATOR, HOLDS_LIST},
	{"anyOf", handle_branches, LOGIC(any), D7 | APPLICATOR, HOLDS_LIST},
	{"const", handle_const, 0, D7 | VALIDATION},
	{"items", handle_items, 0, D7 | APPLICATOR, HOLDS_EITHER},
	{"oneOf", handle_branches, LOGIC(one), D7 | APPLICATOR, HOLDS_LIST},
	{"title", handle_text, 0, D7 | META_DATA},
	{"format", handle_format, 0, D7 | SCHEMA_FORMAT},
	{"$anchor", handle_anchor, 0, CORE},
	{"$schema", handle_text, 0, D7 | CORE},
	{"maximum", handle_number, NUMBER(maximum), D7 | VALIDATION},
	{"minimum", handle_number, NUMBER(minimum), D7 | VALIDATION},
	{"pattern", handle_pattern, 0, D7 | VALIDATION},
	{"$comment", handle_text, 0, D7 | CORE},
	{"contains", handle_item_schema, ARRAY(contains), D7 | APPLICATOR, HOLDS_ONE},
	{"examples", handle_examples, 0, D7 | META_DATA},
	{"maxItems", handle_item_count, ARRAY(max_items), D7 | VALIDATION},
	{"minItems", handle_item_count, ARRAY(min_items), D7 | VALIDATION},
	{"readOnly", handle_flag, 0, D7 | META_DATA},
	{"required", handle_required, 0, D7 | VALIDATION},
	{"maxLength", handle_length, STRING(max_length), D7 | VALIDATION},
	{"minLength", handle_length, STRING(min_length), D7 | VALIDATION},
	{"writeOnly", handle_flag, 0, D7 | META_DATA},
	{"deprecated", handle_flag, 0, META_DATA},
	{"multipleOf", handle_multiple, NUMBER(multiple_of), D7 | VALIDATION},
	{"properties", handle_properties, 0, D7 | APPLICATOR, HOLDS_MAP},
	{"$dynamicRef", handle_dynamic_ref, 0, CORE},
	{"$vocabulary", handle_vocabulary, 0, CORE},
	{"definitions", handle_definitions, 0, D7 | CORE, HOLDS_MAP},
	{"description", handle_text, 0, D7 | META_DATA},
	{"maxContains", handle_item_count, ARRAY(max_contains), VALIDATION},
	{"minContains", handle_min_contains, 0, VALIDATION},
	{"prefixItems", handle_prefix, 0, APPLICATOR, HOLDS_LIST},
	{"uniqueItems", handle_unique, 0, D7 | VALIDATION},
	{"$md.copyable", handle_mark, 0, ANYWHERE},
	{"dependencies", handle_dependencies, 0, D7 | APPLICATOR, HOLDS_MAP},
	{"$md.immutable", handle_mark, 0, ANYWHERE},
	{"$md.sensitive", handle_mark, 0, ANYWHERE},
	{"contentSchema", handle_aside, 0, CONTENT, HOLDS_ONE},
	{"maxProperties", handle_property_count, OBJECT(max_properties), D7 | VALIDATION},
	{"minProperties", handle_property_count, OBJECT(min_properties), D7 | VALIDATION},
	{"propertyNames", handle_property_schema, OBJECT(names), D7 | APPLICATOR, HOLDS_ONE},
	{"$dynamicAnchor", handle_anchor, 0, CORE},
	{"additionalItems", handle_item_schema, ARRAY(additional), D7, HOLDS_ONE},
	{"contentEncoding", handle_text, 0, D7 | CONTENT},
	{"contentMediaType", handle_text, 0, D7 | CONTENT},
	{"dependentSchemas", handle_dependencies, 1, APPLICATOR, HOLDS_MAP},
	{"exclusiveMaximum", handle_number, NUMBER(exclusive_maximum), D7 | VALIDATION},
	{"exclusiveMinimum", handle_number, NUMBER(exclusive_minimum), D7 | VALIDATION},
	{"unevaluatedItems", handle_item_schema, ARRAY(unevaluated), UNEVALUATED, HOLDS_ONE},
	{"dependentRequired", handle_dependencies, 1, VALIDATION},
	{"patternProperties", handle_patterns, 0, D7 | APPLICATOR, HOLDS_MAP},
	{"additionalProperties", handle_property_schema, OBJECT(additional), D7 | APPLICATOR, HOLDS_ONE},
	{"unevaluatedProperties", handle_property_schema, OBJECT(unevaluated), UNEVALUATED, HOLDS_ONE},
};

/*
 * The keyword of that name, if these dialects know it, of those in order from
 * *next on, which is moved past all that sort before it.
 */
static const Keyword *
next_keyword(const Keyword **next, const JsonbValue *name, uint8 where)
{
	const Keyword *end = keywords + lengthof(keywords);

	for (; *next < end; (*next)++)
	{
		int			order = json_key_compare((*next)->name, strlen((*next)->name),
											 name->val.string.val, name->val.string.len);

		if (order == 0 && ((*next)->where & where))
			return *next;
		if (order >= 0)
			return NULL;
	}
	return NULL;
}

/* What the keywords together mean for the items past the tuple. */
static void
finish_items(SchemaArrayRules *rules)
{
	rules->rest = rules->is_tuple ? rules->additional : rules->items;
}

/* Compile all that an object of keywords says into its node. */
void
schema_compile_keywords(SchemaCompiler *compiler, SchemaNode *node, const JsonbValue *object)
{
	const Keyword *next = keywords;
	uint8		where = compiler->resource->dialect.keywords;
	JsonCursor	cursor;
	JsonbValue	key;
	JsonbValue	value;

	json_cursor_init(&cursor, object->val.binary.data);
	while (json_next_pair(&cursor, &key, &value))
	{
		SchemaPlace place = {node->place, key.val.string.val, key.val.string.len};
		const Keyword *keyword = next_keyword(&next, &key, where);

		if (keyword)
			keyword->handle(compiler, node, keyword, &value, &place);
	}
	if (node->object)
		finish_properties(node->object);
	if (node->array)
		finish_items(node->array);
}

/* Visit the items or the members of a keyword's value. */
static void
visit_members(SchemaCompiler *compiler, const JsonbValue *value, const SchemaPlace *place,
			  SchemaChildVisitor visit, void *state)
{
	JsonCursor	cursor;
	JsonbValue	key;
	JsonbValue	child;
	char		index[12];

	json_cursor_init(&cursor, value->val.binary.data);
	if (json_is_object(value))
		while (json_next_pair(&cursor, &key, &child))
		{
			SchemaPlace step = {place, key.val.string.val, key.val.string.len};

			visit(compiler, &child, &step, state);
		}
	else
		while (json_next_element(&cursor, &child))
		{
			SchemaPlace step = {place, index, sprintf(index, "%u", cursor.next - 1)};

			visit(compiler, &child, &step, state);
		}
}

/*
 * Visit what stands where an object of keywords holds subschemas, by the
 * keywords of these dialects, whatever its shape.  Places last for the call.
 */
void
schema_visit_children(SchemaCompiler *compiler, const JsonbValue *object,
					  const SchemaPlace *place, uint8 where, SchemaChildVisitor visit,
					  void *state)
{
	const Keyword *next = keywords;
	JsonCursor	cursor;
	JsonbValue	key;
	JsonbValue	value;

	json_cursor_init(&cursor, object->val.binary.data);
	while (json_next_pair(&cursor, &key, &value))
	{
		SchemaPlace step = {place, key.val.string.val, key.val.string.len};
		const Keyword *keyword = next_keyword(&next, &key, where);

		if (keyword == NULL || keyword->holds == HOLDS_NONE)
			continue;
		if (keyword->holds == HOLDS_ONE ||
			(keyword->holds == HOLDS_EITHER && json_is_object(&value)))
			visit(compiler, &value, &step, state);
		else if (keyword->holds == HOLDS_MAP ? json_is_object(&value) : json_is_array(&value))
			visit_members(compiler, &value, &step, visit, state);
	}
}

/* Order of the keywords' table. */
static int
compare_keyword(const void *name, const void *keyword)
{
	const JsonbValue *key = name;
	const char *other = ((const Keyword *) keyword)->name;

	return json_key_compare(key->val.string.val, key->val.string.len, other, strlen(other));
}

/*
 * Does a keyword of that name only tell something of the location?  So do
 * those that the node's dialect does not know (2020-12 core, section 6.5).
 * What strings contain is told of strings only, and its schema only beside
 * its type (2020-12 validation, section 8).
 */
bool
schema_is_annotation(const SchemaNode *node, const JsonbValue *name, const JsonbValue *location)
{
	const Keyword *keyword = bsearch(name, keywords, lengthof(keywords), sizeof(Keyword),
									 compare_keyword);
	JsonbValue	type;

	if (keyword == NULL || keyword->where == ANYWHERE ||
		(keyword->where & node->resource->dialect.keywords) == 0)
		return true;
	if (keyword->where & CONTENT)
		return location->type == jbvString &&
			(keyword->holds == HOLDS_NONE ||
			 getKeyJsonValueFromContainer(unconstify(JsonbContainer *, node->keywords),
										  "contentMediaType", strlen("contentMediaType"), &type));
	return (keyword->where & (META_DATA | SCHEMA_FORMAT)) != 0;
}
