/*
 * dialect.c: which keywords mean something, as "$schema" says.
 *
 * Draft-07 where nothing is said, draft-07 and 2020-12 by their names, and
 * else what the "$vocabulary" of a registered metaschema declares.
 */
#include "postgres.h"

#include "schema/internal.h"

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
	int			i;

	for (i = 0; i < count; i++)
		if (strlen(names[i].name) == length && memcmp(names[i].name, text, length) == 0)
			return names[i].keywords;
	return 0;
}

/* What a metaschema's "$vocabulary" declares; raises where it requires what nobody knows. */
static SchemaDialect
read_vocabularies(const JsonbValue *declared, const SchemaPlace *place)
{
	SchemaDialect dialect = {SCHEMA_CORE, false};
	JsonCursor	cursor;
	JsonbValue	name;
	JsonbValue	required;

	json_cursor_init(&cursor, declared->val.binary.data);
	while (json_next_pair(&cursor, &name, &required))
	{
		uint8		known = find_known(vocabularies, lengthof(vocabularies),
									   name.val.string.val, name.val.string.len);

		dialect.keywords |= known;
		/* one that is known counts, whether or not it had to be */
		if (json_string_is(&name, VOCABULARIES "format-assertion"))
			dialect.asserts_formats = true;
		if (known == 0 && required.type == jbvBool && required.val.boolean)
			SCHEMA_REFUSE(place, "Use a metaschema whose required vocabularies are those of 2020-12.",
						  "names a metaschema that requires the unknown vocabulary %.*s.",
						  name.val.string.len, name.val.string.val);
	}
	return dialect;
}

static SchemaDialect find_dialect(SchemaCompiler *compiler, const SchemaText *uri,
								  const SchemaPlace *place, int depth);

/* The dialect that a registered metaschema makes. */
static SchemaDialect
read_metaschema(SchemaCompiler *compiler, const Jsonb *document, const SchemaPlace *place,
				int depth)
{
	SchemaText	none = {"", 0};
	SchemaText	uri;
	JsonbValue	root;
	JsonbValue	said;

	json_root(document, &root);
	if (!json_is_object(&root))
		SCHEMA_REFUSE(place, DIALECT_HINT, "names a document that is no metaschema.");
	if (json_find(&root, "$vocabulary", &said) && json_is_object(&said))
		return read_vocabularies(&said, place);
	if (!json_find(&root, "$schema", &said) || said.type != jbvString)
		return (SchemaDialect) {SCHEMA_DRAFT_07, false};
	uri = schema_uri_resolve(&none, said.val.string.val, said.val.string.len, NULL);
	return find_dialect(compiler, &uri, place, depth + 1);
}

/* A draft of json-schema.org's that is not among those known. */
static bool
is_other_draft(const SchemaText *uri)
{
	static const char *const hosts[] = {"http://json-schema.org/", "https://json-schema.org/"};
	int			i;

	for (i = 0; i < lengthof(hosts); i++)
		if (uri->length >= strlen(hosts[i]) &&
			memcmp(uri->text, hosts[i], strlen(hosts[i])) == 0)
			return true;
	return false;
}

/* The dialect of that name; raises if there is none. */
static SchemaDialect
find_dialect(SchemaCompiler *compiler, const SchemaText *uri, const SchemaPlace *place, int depth)
{
	SchemaDialect dialect = {find_known(dialects, lengthof(dialects), uri->text, uri->length), false};
	const Jsonb *document;

	if (dialect.keywords != 0)
		return dialect;
	if (depth > METASCHEMA_DEPTH_MAX)
		SCHEMA_REFUSE(place, DIALECT_HINT, "names a metaschema whose own \"$schema\" leads on and on.");
	if (compiler->is_open && !is_other_draft(uri) && schema_uri_is_absolute(uri))
	{
		compiler->schema->is_open = true;
		return dialect;
	}
	document = is_other_draft(uri) ? NULL : schema_fetch_document(compiler, uri);
	if (document == NULL)
		SCHEMA_REFUSE(place, DIALECT_HINT, "names a dialect that is not known: %.*s.",
					  uri->length, uri->text);
	return read_metaschema(compiler, document, place, depth);
}

/*
 * The dialect that a "$schema" names; place is its place.  Raises if it is
 * not known; where references are left open, it may come out empty.
 */
SchemaDialect
schema_dialect(SchemaCompiler *compiler, const JsonbValue *name, const SchemaPlace *place)
{
	SchemaText	none = {"", 0};
	SchemaText	uri;

	if (name->type != jbvString)
		SCHEMA_REFUSE(place, "Put the value in quotes.", "must be a string.");
	uri = schema_uri_resolve(&none, name->val.string.val, name->val.string.len, NULL);
	return find_dialect(compiler, &uri, place, 0);
}
