/*
 * reference.c: what a $ref refers to.
 *
 * Only places of the schema's own document: "#", and "#/..." as a JSON
 * pointer (RFC 6901, section 6).  Nothing is ever fetched.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "schema/internal.h"

#define LOCAL_HINT "Refer to a place of this schema, as in \"#/definitions/name\"."

/* The value of a hexadecimal digit, or -1. */
static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/*
 * The fragment without percent-encoding, as a new string.  Raises where what
 * comes out is no text of the database's encoding.
 */
static char *
decode_fragment(const char *text, int length, const SchemaPlace *place, int *decoded_length)
{
	char	   *decoded = palloc(length + 1);
	int			n = 0;
	int			i;

	for (i = 0; i < length; i++)
	{
		if (text[i] == '%')
		{
			int			high = i + 2 < length ? hex_digit(text[i + 1]) : -1;
			int			low = i + 2 < length ? hex_digit(text[i + 2]) : -1;

			if (high < 0 || low < 0)
				SCHEMA_REFUSE(place, "Write a percent sign as %25.",
							  "has a percent sign without two hexadecimal digits.");
			decoded[n++] = high * 16 + low;
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

/* Undo ~1 and ~0 in place; the new length, or -1 where a ~ stands alone. */
static int
unescape_token(char *token, int length)
{
	int			n = 0;
	int			i;

	for (i = 0; i < length; i++)
	{
		if (token[i] != '~')
			token[n++] = token[i];
		else if (i + 1 < length && (token[i + 1] == '0' || token[i + 1] == '1'))
			token[n++] = token[++i] == '0' ? '~' : '/';
		else
			return -1;
	}
	return n;
}

/* Step into an array by a token of digits; false if that leads nowhere. */
static bool
step_item(JsonbValue *value, const char *token, int length)
{
	JsonbValue *item;
	uint32		index = 0;
	int			i;

	if (length == 0 || length > 9 || (length > 1 && token[0] == '0'))
		return false;
	for (i = 0; i < length; i++)
	{
		if (token[i] < '0' || token[i] > '9')
			return false;
		index = index * 10 + (token[i] - '0');
	}
	item = getIthJsonbValueFromContainer(value->val.binary.data, index);
	if (item == NULL)
		return false;
	*value = *item;
	pfree(item);
	return true;
}

/* Replace value by its child that the token names; false if there is none. */
static bool
step(JsonbValue *value, const char *token, int length)
{
	JsonbValue	child;

	if (json_is_array(value))
		return step_item(value, token, length);
	if (!json_is_object(value) ||
		!getKeyJsonValueFromContainer(value->val.binary.data, token, length, &child))
		return false;
	*value = child;
	return true;
}

/*
 * Walk a decoded JSON pointer from the compiler's base to *value; tokens are
 * unescaped within pointer, which must live as long as the place that is
 * returned.  NULL if it leads nowhere.  Leaves the compiler with the base
 * that holds where the pointer ends.
 */
static const SchemaPlace *
walk(SchemaCompiler *compiler, JsonbValue *value, char *pointer, int length)
{
	const SchemaPlace *place = compiler->base_place;
	char	   *next = pointer;
	char	   *end = pointer + length;

	while (next < end)
	{
		char	   *token = next + 1;
		int			token_length;

		if (*next != '/')
			return NULL;
		for (next = token; next < end && *next != '/';)
			next++;
		token_length = unescape_token(token, next - token);
		if (token_length < 0 || !step(value, token, token_length))
			return NULL;
		place = schema_place_step(place, token, token_length);
		schema_enter(compiler, value, place);
	}
	return place;
}

/* The node a $ref leads to; place is that of the $ref itself. */
SchemaNode *
schema_resolve(SchemaCompiler *compiler, const JsonbValue *reference, const SchemaPlace *place)
{
	const char *text = reference->val.string.val;
	int			length = reference->val.string.len;
	JsonbValue	base = compiler->base;
	JsonbValue	target = base;
	const SchemaPlace *base_place = compiler->base_place;
	const SchemaPlace *target_place;
	SchemaNode *node;
	char	   *pointer;

	if (length > 0 && text[0] != '#')
		SCHEMA_REFUSE(place, "Nothing is fetched: copy the other schema under \"definitions\""
					  " and refer to it as \"#/definitions/name\".",
					  "refers to another document.");
	pointer = decode_fragment(text + 1, Max(length - 1, 0), place, &length);
	target_place = walk(compiler, &target, pointer, length);
	if (target_place == NULL)
		SCHEMA_REFUSE(place, LOCAL_HINT, "leads nowhere: the schema has no place \"%.*s\".",
					  reference->val.string.len, text);
	if (!json_is_object(&target) && target.type != jbvBool)
		SCHEMA_REFUSE(place, "A schema is an object of keywords, true or false.",
					  "leads to something that is no schema.");
	node = schema_compile_node(compiler, &target, target_place, "$ref");
	node->shared = true;
	compiler->base = base;
	compiler->base_place = base_place;
	return node;
}
