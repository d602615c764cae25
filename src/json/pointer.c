/*
 * pointer.c: JSON Pointers, RFC 6901.
 *
 * Knows how pointers are spelled, and nothing of the documents they point
 * into.
 */
#include "postgres.h"

#include "json/pointer.h"

/* Is every ~ of the text followed by 0 or 1? */
static bool
escapes_are_valid(const char *text, int length)
{
	const char *end = text + length;

	while ((text = memchr(text, '~', end - text)) != NULL)
	{
		text++;
		if (text == end || (*text != '0' && *text != '1'))
			return false;
	}
	return true;
}

/* Start walking a pointer; false if the text is none. */
bool
json_pointer_init(JsonPointer *pointer, const char *text, int length)
{
	pointer->rest = text;
	pointer->length = length;
	return (length == 0 || text[0] == '/') && escapes_are_valid(text, length);
}

/* A copy of the token in the current memory context, without its escapes. */
static void
unescape(JsonToken *token)
{
	char	   *copy = palloc_extended(token->length, MCXT_ALLOC_HUGE);
	char	   *to = copy;

	for (int i = 0; i < token->length; i++)
	{
		if (token->text[i] == '~')
			*to++ = token->text[++i] == '0' ? '~' : '/';
		else
			*to++ = token->text[i];
	}
	token->text = copy;
	token->length = to - copy;
}

/*
 * Take the next token; false when there are no more.  Its text is the
 * pointer's own, or palloc'd where it has an escape.
 */
bool
json_pointer_next(JsonPointer *pointer, JsonToken *token)
{
	const char *slash;

	if (pointer->length == 0)
		return false;
	pointer->rest++;
	pointer->length--;
	slash = memchr(pointer->rest, '/', pointer->length);
	token->text = pointer->rest;
	token->length = slash ? slash - pointer->rest : pointer->length;
	pointer->rest += token->length;
	pointer->length -= token->length;
	if (memchr(token->text, '~', token->length))
		unescape(token);
	return true;
}

/* Do the pointers lead to the same place, or one to a place in the other's?  Tokens are spelled in one way only. */
bool
json_pointer_covers(const JsonPointer *prefix, const JsonPointer *pointer)
{
	return prefix->length <= pointer->length &&
		memcmp(prefix->rest, pointer->rest, prefix->length) == 0 &&
		(prefix->length == pointer->length || pointer->rest[prefix->length] == '/');
}

/*
 * Read a token as the index of an element: digits without leading zeros, or
 * "-" for the one behind the last of count.  False if it is neither.  One that
 * is too large for an array becomes PG_UINT32_MAX.
 */
bool
json_token_index(const JsonToken *token, uint32 count, uint32 *index)
{
	uint64		number = 0;

	*index = count;
	if (token->length == 1 && token->text[0] == '-')
		return true;
	if (token->length == 0 || (token->length > 1 && token->text[0] == '0'))
		return false;
	for (int i = 0; i < token->length; i++)
	{
		if (token->text[i] < '0' || token->text[i] > '9')
			return false;
		number = Min(number * 10 + (token->text[i] - '0'), PG_UINT32_MAX);
	}
	*index = (uint32) number;
	return true;
}

/* How many bytes a key takes as a token. */
int
json_token_escaped_length(const char *key, int length)
{
	int			escaped = length;

	for (int i = 0; i < length; i++)
		escaped += key[i] == '~' || key[i] == '/';
	return escaped;
}

/* Spell a key as a token; the place has room for its escaped length. */
void
json_token_escape(char *place, const char *key, int length)
{
	for (int i = 0; i < length; i++)
	{
		if (key[i] != '~' && key[i] != '/')
		{
			*place++ = key[i];
			continue;
		}
		*place++ = '~';
		*place++ = key[i] == '~' ? '0' : '1';
	}
}
