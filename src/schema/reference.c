/*
 * reference.c: what a $ref or a $dynamicRef refers to.
 *
 * First which resource, by its URI: of the schema itself, or of a document
 * that the document source has.  Then which place of it: its root, a JSON
 * pointer (RFC 6901, section 6), or an anchor.  Nothing is ever fetched.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "base/ascii.h"
#include "json/pointer.h"
#include "schema/reference.h"
#include "schema/vocabulary.h"

#define LOCAL_HINT "Refer to a place of this schema, as in \"#/definitions/name\"."

/*
 * The fragment without percent-encoding, as a new string.  Raises where what
 * comes out is no text of the database's encoding.
 */
static char *
decode_fragment(const char *text, int length, const SchemaPlace *place, int *decoded_length)
{
	char	   *decoded = palloc(length + 1);
	int			n = 0;

	for (int i = 0; i < length; i++)
	{
		if (text[i] == '%')
		{
			if (!schema_uri_is_encoded(text + i, length - i))
				SCHEMA_REFUSE(place, "Write a percent sign as %25.",
							  "has a percent sign without two hexadecimal digits.");
			decoded[n++] = ascii_hex_value(text[i + 1]) * 16 + ascii_hex_value(text[i + 2]);
			i += 2;
		}
		else
			decoded[n++] = text[i];
	}
	decoded[n] = '\0';
	if (!pg_verifymbstr(decoded, n, true))
		SCHEMA_REFUSE(place, LOCAL_HINT, "is not text once its percent signs are decoded.");
	*decoded_length = n;
	return decoded;
}

/* Replace value by its child that the token names; false if there is none. */
static bool
step(JsonbValue *value, const JsonToken *token)
{
	JsonbValue	child;
	uint32		index;

	if (json_is_array(value))
	{
		if (!json_token_index(token, json_count(value), &index) || index >= json_count(value))
			return false;
		json_view_child(value->val.binary.data, index, &child);
	}
	else if (!json_is_object(value) ||
			 !getKeyJsonValueFromContainer(value->val.binary.data, token->text, token->length, &child))
		return false;
	*value = child;
	return true;
}

/*
 * Walk a decoded JSON pointer from the target's resource; it must live as long
 * as the place.  Leaves the place NULL if it leads nowhere, and the resource
 * that holds where it ends.
 */
static void
walk(SchemaCompiler *compiler, SchemaTarget *target, const char *text, int length)
{
	const SchemaPlace *place = target->resource->place;
	const SchemaEntry *entry;
	JsonPointer pointer;
	JsonToken	token;

	target->value = target->resource->root;
	if (!json_pointer_init(&pointer, text, length))
		return;
	while (json_pointer_next(&pointer, &token))
	{
		if (!step(&target->value, &token))
			return;
		place = schema_place_step(place, token.text, token.length);
		if (json_is_object(&target->value) &&
			(entry = schema_find_entry(compiler, &target->value)) != NULL)
			target->resource = entry->resource;
	}
	target->place = place;
}

/* Read a document that is referred to, and index it; raises if there is none. */
static SchemaResource *
load_document(SchemaCompiler *compiler, const SchemaText *uri, const SchemaPlace *place)
{
	const Jsonb *document;

	if (!schema_uri_is_absolute(uri))
		SCHEMA_REFUSE(place, "Give the schema an \"$id\", or refer to the other document by its whole URI.",
					  "is relative, and the schema has no URI that it could be relative to.");
	if (compiler->schema->may_be_open)
	{
		compiler->schema->is_open = true;
		return NULL;
	}
	document = schema_fetch_document(compiler->schema, uri);
	if (document == NULL)
		SCHEMA_REFUSE(place, "Nothing is fetched: insert the document into promote.schema_document.",
					  "refers to a document that is not registered: %.*s.", uri->length, uri->text);
	return schema_add_document(compiler, document, uri);
}

/*
 * The resource that a reference leads to, NULL if that is left open; and the
 * fragment that says where in it.
 */
static SchemaResource *
find_resource(SchemaCompiler *compiler, const SchemaText *reference, const SchemaPlace *place, SchemaText *fragment)
{
	const SchemaName *name;
	SchemaText	uri;

	*fragment = *reference;
	if (reference->length == 0)
		return compiler->resource;
	if (reference->text[0] == '#')
	{
		fragment->text++;
		fragment->length--;
		return compiler->resource;
	}
	uri = schema_resolve_uri(compiler->resource, reference, place, fragment);
	name = schema_find_name(compiler, NULL, &uri);
	if (name == NULL)
		return load_document(compiler, &uri, place);
	if (name->is_ambiguous)
		SCHEMA_REFUSE(place, "Give each subschema an \"$id\" of its own.",
					  "is ambiguous: several schemas have the URI %.*s.", uri.length, uri.text);
	pfree((char *) uri.text);
	return name->resource;
}

/* Find an anchor of the target's resource. */
static void
find_anchor(SchemaCompiler *compiler, SchemaTarget *target, const char *anchor, int length,
			const SchemaPlace *place)
{
	SchemaText	text = {anchor, length};
	const SchemaName *name = schema_find_name(compiler, target->resource, &text);

	if (name == NULL)
	{
		/* what an unknown dialect has for anchors is not known */
		if (target->resource->dialect.keywords == 0)
			target->resource = NULL;
		return;
	}
	if (name->is_ambiguous)
		SCHEMA_REFUSE(place, "Give each subschema an anchor of its own.",
					  "is ambiguous: several schemas have the anchor \"%.*s\".", length, anchor);
	target->value = name->target;
	target->place = name->place;
	target->anchor = name;
}

/* What a reference leads to, by the place of the keyword; raises where that is no schema. */
SchemaTarget
schema_find_target(SchemaCompiler *compiler, const JsonbValue *reference, const SchemaPlace *place)
{
	SchemaText	text = {reference->val.string.val, reference->val.string.len};
	SchemaTarget target = {0};
	SchemaText	fragment;
	char	   *decoded;
	int			length;

	target.resource = find_resource(compiler, &text, place, &fragment);
	if (target.resource == NULL)
		return target;
	decoded = decode_fragment(fragment.text, fragment.length, place, &length);
	if (length > 0 && decoded[0] != '/')
		find_anchor(compiler, &target, decoded, length, place);
	else
		walk(compiler, &target, decoded, length);
	if (target.resource == NULL)
		return target;
	if (target.place == NULL)
		SCHEMA_REFUSE(place, LOCAL_HINT, "leads nowhere: the schema has no place \"%.*s\".",
					  text.length, text.text);
	if (!json_is_object(&target.value) && target.value.type != jbvBool)
		SCHEMA_REFUSE(place, "A schema is an object of keywords, true or false.",
					  "leads to something that is no schema.");
	return target;
}
