/*
 * vocabulary.c: which keywords and types there are, and which keywords mean something.
 *
 * What "$schema" says decides that: draft-07 where nothing is said, draft-07
 * and 2020-12 by their names, and else what the "$vocabulary" of a registered
 * metaschema declares.  A table tells of each keyword who knows it, and where
 * it holds subschemas; what it does to a node is in keywords.c.
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "schema/vocabulary.h"

/* Where documents come from besides the schema itself; NULL: nowhere. */
static SchemaDocumentSource document_source = NULL;

/* Set what is asked for documents that are referred to; see schema.h. */
void
schema_set_document_source(SchemaDocumentSource source)
{
	document_source = source;
}

/* A document of the source's, in the current memory context; NULL if it has none. */
const Jsonb *
schema_fetch_document(Schema *schema, const SchemaText *uri)
{
	schema->uses_documents = true;
	return document_source ? document_source(uri->text, uri->length) : NULL;
}

/* ---- dialects ---- */

#define DIALECT_HINT \
	"Known are http://json-schema.org/draft-07/schema# and" \
	" https://json-schema.org/draft/2020-12/schema, and the metaschemas in promote.schema_document."

/* Metaschemas may say what they are by others; that ends somewhere. */
#define METASCHEMA_DEPTH_MAX	8

#define VOCABULARIES "https://json-schema.org/draft/2020-12/vocab/"

typedef struct KnownName
{
	const char *name;
	uint8		keywords;
} KnownName;

static const KnownName dialects[] = {
	{"http://json-schema.org/draft-07/schema", SCHEMA_DRAFT_07},
	{"https://json-schema.org/draft-07/schema", SCHEMA_DRAFT_07},
	{"https://json-schema.org/draft/2020-12/schema", SCHEMA_ALL_2020_12},
	{"http://json-schema.org/draft/2020-12/schema", SCHEMA_ALL_2020_12},
};

static const KnownName vocabularies[] = {
	{VOCABULARIES "core", SCHEMA_CORE},
	{VOCABULARIES "applicator", SCHEMA_APPLICATOR},
	{VOCABULARIES "unevaluated", SCHEMA_UNEVALUATED},
	{VOCABULARIES "validation", SCHEMA_VALIDATION},
	{VOCABULARIES "meta-data", SCHEMA_META_DATA},
	{VOCABULARIES "format-annotation", SCHEMA_FORMAT},
	{VOCABULARIES "format-assertion", SCHEMA_FORMAT},
	{VOCABULARIES "content", SCHEMA_CONTENT},
};

/* The flags of a known name, 0 if it is none of them. */
static uint8
find_known(const KnownName *names, int count, const char *text, int length)
{
	for (int i = 0; i < count; i++)
		if (strlen(names[i].name) == length && memcmp(names[i].name, text, length) == 0)
			return names[i].keywords;
	return 0;
}

/* What a metaschema's "$vocabulary" declares; raises where it requires what nobody knows. */
static SchemaDialect
read_vocabularies(const JsonbValue *declared, const SchemaPlace *place)
{
	SchemaDialect dialect = {SCHEMA_CORE, false};

	json_foreach(child, declared)
	{
		uint8		known = find_known(vocabularies, lengthof(vocabularies),
									   child.key.val.string.val, child.key.val.string.len);

		dialect.keywords |= known;
		/* one that is known counts, whether or not it had to be */
		if (json_string_is(&child.key, VOCABULARIES "format-assertion"))
			dialect.asserts_formats = true;
		if (known == 0 && child.value.type == jbvBool && child.value.val.boolean)
			SCHEMA_REFUSE(place, "Use a metaschema whose required vocabularies are those of 2020-12.",
						  "names a metaschema that requires the unknown vocabulary %.*s.",
						  child.key.val.string.len, child.key.val.string.val);
	}
	return dialect;
}

static SchemaDialect find_dialect(Schema *schema, const JsonbValue *name, const SchemaPlace *place, int depth);

/* The dialect that a registered metaschema makes. */
static SchemaDialect
read_metaschema(Schema *schema, const Jsonb *document, const SchemaPlace *place, int depth)
{
	JsonbValue	root = json_view(document);
	JsonbValue	said;

	if (!json_is_object(&root))
		SCHEMA_REFUSE(place, DIALECT_HINT, "names a document that is no metaschema.");
	if (json_find(&root, "$vocabulary", &said) && json_is_object(&said))
		return read_vocabularies(&said, place);
	if (!json_find(&root, "$schema", &said) || said.type != jbvString)
		return (SchemaDialect) {SCHEMA_DRAFT_07, false};
	return find_dialect(schema, &said, place, depth + 1);
}

/* A draft of json-schema.org's that is not among those known. */
static bool
is_other_draft(const SchemaText *uri)
{
	return schema_text_begins(uri, "http://json-schema.org/") || schema_text_begins(uri, "https://json-schema.org/");
}

/* The dialect of that name; raises if there is none. */
static SchemaDialect
find_dialect(Schema *schema, const JsonbValue *name, const SchemaPlace *place, int depth)
{
	SchemaText	uri = schema_uri_resolve(NULL, (SchemaText) {name->val.string.val, name->val.string.len}, NULL);
	SchemaDialect dialect = {find_known(dialects, lengthof(dialects), uri.text, uri.length), false};
	const Jsonb *document;

	if (dialect.keywords != 0)
		return dialect;
	if (depth > METASCHEMA_DEPTH_MAX)
		SCHEMA_REFUSE(place, DIALECT_HINT, "names a metaschema whose own \"$schema\" leads on and on.");
	if (schema->may_be_open && !is_other_draft(&uri) && schema_uri_is_absolute(&uri))
	{
		schema->is_open = true;
		return dialect;
	}
	document = is_other_draft(&uri) ? NULL : schema_fetch_document(schema, &uri);
	if (document == NULL)
		SCHEMA_REFUSE(place, DIALECT_HINT, "names a dialect that is not known: %.*s.", uri.length, uri.text);
	return read_metaschema(schema, document, place, depth);
}

/*
 * The dialect that a "$schema" names; place is its place.  Raises if it is
 * not known; where references are left open, it may come out empty.
 */
SchemaDialect
schema_dialect(Schema *schema, const JsonbValue *name, const SchemaPlace *place)
{
	if (name->type != jbvString)
		SCHEMA_REFUSE(place, "Put the value in quotes.", "must be a string.");
	return find_dialect(schema, name, place, 0);
}

/* ---- keywords ---- */

#define D7 SCHEMA_DRAFT_07
#define CORE SCHEMA_CORE
#define APPLICATOR SCHEMA_APPLICATOR
#define UNEVALUATED SCHEMA_UNEVALUATED
#define VALIDATION SCHEMA_VALIDATION
#define META_DATA SCHEMA_META_DATA
#define CONTENT SCHEMA_CONTENT
#define ANYWHERE 0xff

#define ANY 0
#define A_STRING SCHEMA_TYPE_STRING
#define A_NUMBER SCHEMA_TYPE_NUMBER
#define A_BOOLEAN SCHEMA_TYPE_BOOLEAN
#define AN_ARRAY SCHEMA_TYPE_ARRAY
#define AN_OBJECT SCHEMA_TYPE_OBJECT

#define IN_NUMBER(field) SCHEMA_NUMBER_RULES, offsetof(SchemaNumberRules, field)
#define IN_STRING(field) SCHEMA_STRING_RULES, offsetof(SchemaStringRules, field)
#define IN_ARRAY(field) SCHEMA_ARRAY_RULES, offsetof(SchemaArrayRules, field)
#define IN_OBJECT(field) SCHEMA_OBJECT_RULES, offsetof(SchemaObjectRules, field)
#define IN_LOGIC(field) SCHEMA_LOGIC_RULES, offsetof(SchemaLogicRules, field)

/* In the order of jsonb's keys, so that one pass over both finds them. */
static const SchemaKeyword keywords[] = {
	{"if", D7 | APPLICATOR, ANY, KEYWORD_SCHEMA, IN_LOGIC(condition)},
	{"$id", D7 | CORE, A_STRING, KEYWORD_ID},
	{"$md", ANYWHERE, AN_OBJECT, KEYWORD_MARKS},
	{"not", D7 | APPLICATOR, ANY, KEYWORD_SCHEMA, IN_LOGIC(negated)},
	{"$ref", D7 | CORE, A_STRING, KEYWORD_REF},
	{"else", D7 | APPLICATOR, ANY, KEYWORD_SCHEMA, IN_LOGIC(alternative)},
	{"enum", D7 | VALIDATION, AN_ARRAY, KEYWORD_ENUM},
	{"then", D7 | APPLICATOR, ANY, KEYWORD_SCHEMA, IN_LOGIC(consequence)},
	{"type", D7 | VALIDATION, ANY, KEYWORD_TYPE},
	{"$defs", CORE, AN_OBJECT, KEYWORD_DEFINITIONS},
	{"allOf", D7 | APPLICATOR, ANY, KEYWORD_SCHEMAS, IN_LOGIC(all)},
	{"anyOf", D7 | APPLICATOR, ANY, KEYWORD_SCHEMAS, IN_LOGIC(any)},
	{"const", D7 | VALIDATION, ANY, KEYWORD_CONST},
	{"items", D7 | APPLICATOR, ANY, KEYWORD_ITEMS, IN_ARRAY(items)},
	{"oneOf", D7 | APPLICATOR, ANY, KEYWORD_SCHEMAS, IN_LOGIC(one)},
	{"title", D7 | META_DATA, A_STRING, KEYWORD_SHAPE},
	{"format", D7 | SCHEMA_FORMAT, A_STRING, KEYWORD_FORMAT, IN_STRING(format)},
	{"$anchor", CORE, A_STRING, KEYWORD_ANCHOR},
	{"$md.key", ANYWHERE, A_STRING, KEYWORD_MARKS},
	{"$schema", D7 | CORE, A_STRING, KEYWORD_SHAPE},
	{"maximum", D7 | VALIDATION, ANY, KEYWORD_NUMBER, IN_NUMBER(maximum)},
	{"minimum", D7 | VALIDATION, ANY, KEYWORD_NUMBER, IN_NUMBER(minimum)},
	{"pattern", D7 | VALIDATION, A_STRING, KEYWORD_PATTERN, IN_STRING(pattern)},
	{"$comment", D7 | CORE, A_STRING, KEYWORD_SHAPE},
	{"contains", D7 | APPLICATOR, ANY, KEYWORD_SCHEMA, IN_ARRAY(contains)},
	{"examples", D7 | META_DATA, AN_ARRAY, KEYWORD_SHAPE},
	{"maxItems", D7 | VALIDATION, A_NUMBER, KEYWORD_COUNT, IN_ARRAY(max_items)},
	{"minItems", D7 | VALIDATION, A_NUMBER, KEYWORD_COUNT, IN_ARRAY(min_items)},
	{"readOnly", D7 | META_DATA, A_BOOLEAN, KEYWORD_SHAPE},
	{"required", D7 | VALIDATION, ANY, KEYWORD_REQUIRED},
	{"$md.scale", ANYWHERE, A_BOOLEAN, KEYWORD_MARKS},
	{"maxLength", D7 | VALIDATION, A_NUMBER, KEYWORD_COUNT, IN_STRING(max_length)},
	{"minLength", D7 | VALIDATION, A_NUMBER, KEYWORD_COUNT, IN_STRING(min_length)},
	{"writeOnly", D7 | META_DATA, A_BOOLEAN, KEYWORD_SHAPE},
	{"deprecated", META_DATA, A_BOOLEAN, KEYWORD_SHAPE},
	{"multipleOf", D7 | VALIDATION, ANY, KEYWORD_MULTIPLE, IN_NUMBER(multiple_of)},
	{"properties", D7 | APPLICATOR, AN_OBJECT, KEYWORD_PROPERTIES},
	{"$dynamicRef", CORE, A_STRING, KEYWORD_DYNAMIC_REF},
	{"$vocabulary", CORE, AN_OBJECT, KEYWORD_VOCABULARY},
	{"definitions", D7 | CORE, AN_OBJECT, KEYWORD_DEFINITIONS},
	{"description", D7 | META_DATA, A_STRING, KEYWORD_SHAPE},
	{"maxContains", VALIDATION, A_NUMBER, KEYWORD_COUNT, IN_ARRAY(max_contains)},
	{"minContains", VALIDATION, A_NUMBER, KEYWORD_MIN_CONTAINS, IN_ARRAY(min_contains)},
	{"prefixItems", APPLICATOR, ANY, KEYWORD_SCHEMAS, IN_ARRAY(tuple)},
	{"uniqueItems", D7 | VALIDATION, A_BOOLEAN, KEYWORD_UNIQUE, IN_ARRAY(unique)},
	{"$md.copyable", ANYWHERE, A_BOOLEAN, KEYWORD_MARKS},
	{"dependencies", D7 | APPLICATOR, AN_OBJECT, KEYWORD_DEPENDENCIES, SCHEMA_OBJECT_RULES, 0},
	{"$md.immutable", ANYWHERE, A_BOOLEAN, KEYWORD_MARKS},
	{"$md.sensitive", ANYWHERE, A_BOOLEAN, KEYWORD_MARKS},
	{"contentSchema", CONTENT, ANY, KEYWORD_SCHEMA},
	{"maxProperties", D7 | VALIDATION, A_NUMBER, KEYWORD_COUNT, IN_OBJECT(max_properties)},
	{"minProperties", D7 | VALIDATION, A_NUMBER, KEYWORD_COUNT, IN_OBJECT(min_properties)},
	{"propertyNames", D7 | APPLICATOR, ANY, KEYWORD_SCHEMA, IN_OBJECT(names)},
	{"$dynamicAnchor", CORE, A_STRING, KEYWORD_ANCHOR},
	{"additionalItems", D7, ANY, KEYWORD_SCHEMA, IN_ARRAY(additional)},
	{"contentEncoding", D7 | CONTENT, A_STRING, KEYWORD_SHAPE},
	{"contentMediaType", D7 | CONTENT, A_STRING, KEYWORD_SHAPE},
	{"dependentSchemas", APPLICATOR, AN_OBJECT, KEYWORD_DEPENDENCIES, SCHEMA_OBJECT_RULES, 1},
	{"exclusiveMaximum", D7 | VALIDATION, ANY, KEYWORD_NUMBER, IN_NUMBER(exclusive_maximum)},
	{"exclusiveMinimum", D7 | VALIDATION, ANY, KEYWORD_NUMBER, IN_NUMBER(exclusive_minimum)},
	{"unevaluatedItems", UNEVALUATED, ANY, KEYWORD_SCHEMA, IN_ARRAY(unevaluated)},
	{"dependentRequired", VALIDATION, AN_OBJECT, KEYWORD_NEEDS, SCHEMA_OBJECT_RULES, 1},
	{"patternProperties", D7 | APPLICATOR, AN_OBJECT, KEYWORD_PATTERNS},
	{"additionalProperties", D7 | APPLICATOR, ANY, KEYWORD_SCHEMA, IN_OBJECT(additional)},
	{"unevaluatedProperties", UNEVALUATED, ANY, KEYWORD_SCHEMA, IN_OBJECT(unevaluated)},
};

/*
 * The keyword of that name, if these dialects know it, of those in order from
 * *next on (NULL: from the first), which is moved past all that sort before it.
 */
const SchemaKeyword *
schema_next_keyword(const SchemaKeyword **next, const JsonbValue *name, uint8 where)
{
	const SchemaKeyword *end = keywords + lengthof(keywords);

	for (*next = *next ? *next : keywords; *next < end; (*next)++)
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

/* Visit the items or the members of a keyword's value. */
static void
visit_members(const JsonbValue *value, const SchemaPlace *place, SchemaChildVisitor visit, void *state)
{
	char		index[12];

	json_foreach(child, value)
	{
		SchemaPlace step = {place, child.key.val.string.val, child.key.val.string.len};

		if (json_is_array(value))
			step = (SchemaPlace) {place, index, sprintf(index, "%u", child.index)};
		visit(state, &child.value, &step);
	}
}

/*
 * Visit what stands where an object of keywords holds subschemas, by the
 * keywords of these dialects, whatever its shape.  Places last for the call.
 */
void
schema_visit_children(const JsonbValue *object, const SchemaPlace *place, uint8 where, SchemaChildVisitor visit,
					  void *state)
{
	const SchemaKeyword *next = NULL;

	json_foreach(child, object)
	{
		SchemaPlace step = {place, child.key.val.string.val, child.key.val.string.len};
		const SchemaKeyword *keyword = schema_next_keyword(&next, &child.key, where);

		if (keyword == NULL || keyword->kind < KEYWORD_SCHEMA)
			continue;
		if (keyword->kind == KEYWORD_SCHEMA || (keyword->kind == KEYWORD_ITEMS && json_is_object(&child.value)))
			visit(state, &child.value, &step);
		else if (keyword->kind >= KEYWORD_DEFINITIONS ? json_is_object(&child.value) : json_is_array(&child.value))
			visit_members(&child.value, &step, visit, state);
	}
}

/* The order of a name, a view, and of a keyword; for bsearch. */
static int
compare_keyword(const void *name, const void *keyword)
{
	const JsonbValue *key = name;
	const char *other = ((const SchemaKeyword *) keyword)->name;

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
	const SchemaKeyword *keyword = bsearch(name, keywords, lengthof(keywords), sizeof(SchemaKeyword), compare_keyword);
	JsonbValue	type;

	if (keyword == NULL || keyword->where == ANYWHERE ||
		(keyword->where & node->resource->dialect.keywords) == 0)
		return true;
	if (keyword->where & CONTENT)
		return location->type == jbvString &&
			(keyword->kind < KEYWORD_SCHEMA ||
			 getKeyJsonValueFromContainer(unconstify(JsonbContainer *, node->keywords),
										  "contentMediaType", strlen("contentMediaType"), &type));
	return (keyword->where & (META_DATA | SCHEMA_FORMAT)) != 0;
}

/* ---- marks and types ---- */

/* Does a mark's value say more than its absence?  Of booleans one does, of strings all. */
static bool
says(const JsonbValue *said, const JsonbValue *value)
{
	return said->type == value->type && (value->type != jbvBool || said->val.boolean == value->val.boolean);
}

/* The marks that an object of keywords says, flat ("$md.copyable") or nested under "$md", as flags. */
uint8
schema_marks_said(const JsonbContainer *object)
{
	static const struct
	{
		const char *flat;
		JsonbValue	value;		/* that says more than the absence of it; of strings each does */
		uint8		flag;
	}			marks[] = {
		{"$md.copyable", {.type = jbvBool,.val.boolean = false}, SCHEMA_NONCOPYABLE},
		{"$md.immutable", {.type = jbvBool,.val.boolean = true}, SCHEMA_IMMUTABLE},
		{"$md.sensitive", {.type = jbvBool,.val.boolean = true}, SCHEMA_SENSITIVE},
		{"$md.key", {.type = jbvString}, SCHEMA_KEYED},
		{"$md.scale", {.type = jbvBool,.val.boolean = true}, SCHEMA_SCALE},
		{"$md.scale", {.type = jbvBool,.val.boolean = false}, SCHEMA_KIND}
	};
	JsonbValue	keywords = {.type = jbvBinary, .val.binary.data = unconstify(JsonbContainer *, object)};
	JsonbValue	nest;
	JsonbValue	said;
	bool		is_nested = json_find(&keywords, "$md", &nest) && json_is_object(&nest);
	uint8		flags = 0;

	for (int i = 0; i < lengthof(marks); i++)
	{
		if (json_find(&keywords, marks[i].flat, &said) && says(&said, &marks[i].value))
			flags |= marks[i].flag;
		if (is_nested && json_find(&nest, marks[i].flat + strlen("$md."), &said) && says(&said, &marks[i].value))
			flags |= marks[i].flag;
	}
	return flags;
}

/* The types' names, in the order of their flags. */
static const char *const type_names[] = {"null", "boolean", "object", "array", "number", "string", "integer"};

/* The flag of a type's name, a view; 0 if it is none of the seven. */
uint8
schema_type_flag(const JsonbValue *name)
{
	for (int i = 0; i < lengthof(type_names); i++)
		if (json_string_is(name, type_names[i]))
			return 1 << i;
	return 0;
}

/* "integer", "string or null", "string, number or null", in the current memory context. */
const char *
schema_types_text(uint8 types)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = lengthof(type_names) - 1; i >= 0; i--)
	{
		uint8		rest = types & ((1 << i) - 1);

		if ((types & (1 << i)) == 0)
			continue;
		appendStringInfoString(&text, type_names[i]);
		if (rest != 0)
			appendStringInfoString(&text, (rest & (rest - 1)) == 0 ? " or " : ", ");
	}
	return text.data;
}
