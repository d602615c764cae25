/*
 * place.c: places in a schema and in what it refers to, spelled as references.
 *
 * Compiling keeps a chain of steps per node instead of its text, which is
 * made only for an error or a violation.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"

#include "schema/place.h"

/* A step down, kept in the current memory context; the token is not copied. */
const SchemaPlace *
schema_place_step(const SchemaPlace *parent, const char *token, int length)
{
	SchemaPlace *place = palloc(sizeof(SchemaPlace));

	place->parent = parent;
	place->token = token;
	place->length = length;
	return place;
}

/* The step to an array's item. */
const SchemaPlace *
schema_place_item(const SchemaPlace *parent, uint32 index)
{
	const char *token = psprintf("%u", index);

	return schema_place_step(parent, token, strlen(token));
}

/*
 * A token as RFC 6901 writes it; "%" as a fragment needs it, so that the
 * text can be used as a $ref.
 */
static void
append_token(StringInfo text, const char *token, int length)
{
	for (int i = 0; i < length; i++)
	{
		switch (token[i])
		{
			case '~':
				appendStringInfoString(text, "~0");
				break;
			case '/':
				appendStringInfoString(text, "~1");
				break;
			case '%':
				appendStringInfoString(text, "%25");
				break;
			default:
				appendStringInfoChar(text, token[i]);
		}
	}
}

/* The document's URI, unless it is the schema's own, and the steps from its root. */
static void
append_place(StringInfo text, const SchemaPlace *place)
{
	check_stack_depth();
	if (place == NULL || place->parent == NULL)
	{
		if (place && place->token)
			appendBinaryStringInfo(text, place->token, place->length);
		appendStringInfoChar(text, '#');
		return;
	}
	append_place(text, place->parent);
	appendStringInfoChar(text, '/');
	append_token(text, place->token, place->length);
}

/*
 * #/properties/x, allocated in the current memory context; # for the root,
 * with the URI before it in a document that is referred to.
 */
const char *
schema_place_text(const SchemaPlace *place)
{
	StringInfoData text;

	initStringInfo(&text);
	append_place(&text, place);
	return text.data;
}
