/*
 * censor.c: values that must not be seen, found wherever they turn up.
 *
 * A set of texts: every string and number that is secret, those that people
 * declared also as tools spell them inside other texts.  A value is one of them
 * if it is equal to one, or contains one of some length; shorter ones are in
 * every text.  true, false and null are no secrets: knowing one tells nothing
 * of where it comes from.
 *
 * The texts are sorted, so that thousands of them, with a beginning in common as
 * tokens and keys have, cost little more than one.  Pure: no tables, no clock.
 */
#include "postgres.h"

#include "common/base64.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/numeric.h"

#include "base/grow.h"
#include "compose/censor.h"
#include "json/limits.h"
#include "json/number.h"
#include "json/path.h"
#include "json/reader.h"

#define HEAD 4					/* bytes by which places of a text are passed over */
#define HEAD_BITS 16			/* of their hash */
#define NONE PG_UINT32_MAX
#define MIN_IN_BASE64 6			/* bytes of a secret that is looked for inside base64 */
#define MIN_LINE 16				/* bytes of a line that gives its text away */

/* Bytes of a secret that is looked for at all, and inside texts; by kind. */
static const int min_whole[] = {1, 4, 6};
static const int min_part[] = {HEAD, 6, 8};

/* One text. */
typedef struct SecretText
{
	const char *text;			/* not NUL-terminated */
	int			length;
	uint32		beginning;		/* the longest other text that it begins with, or none */
} SecretText;

struct Secrets
{
	SecretsKind kind;
	SecretText *texts;			/* sorted once all are there */
	uint32		count;
	Size		room;
	bool		has_short;		/* one that is not looked for inside texts? */
	bool		has_long;		/* one that is? */
	uint8		heads[(1 << HEAD_BITS) / 8];	/* bits: does one begin like that? */
};

/* An empty set, in the current memory context, where all that is added goes too. */
Secrets *
secrets_create(SecretsKind kind)
{
	Secrets    *secrets = palloc0(sizeof(Secrets));

	secrets->kind = kind;
	return secrets;
}

/* The hash of a text's first HEAD bytes. */
static inline uint32
head_of(const char *text)
{
	uint32		head;

	memcpy(&head, text, HEAD);
	return head * 0x9E3779B1U >> (32 - HEAD_BITS);
}

/* The order of two texts: by bytes, and what another one begins with before that. */
static inline int
compare_texts(const char *a, int a_length, const char *b, int b_length)
{
	int			order = memcmp(a, b, Min(a_length, b_length));

	return order != 0 ? order : (a_length > b_length) - (a_length < b_length);
}

/* The order of two secrets, by their texts; for sorting. */
static int
compare_secrets(const void *a, const void *b)
{
	const SecretText *left = a;
	const SecretText *right = b;

	CHECK_FOR_INTERRUPTS();
	return compare_texts(left->text, left->length, right->text, right->length);
}

/* The last text that is not behind this one; none where all are. */
static uint32
last_up_to(const Secrets *secrets, const char *text, int length)
{
	uint32		low = 0;
	uint32		high = secrets->count;

	while (low < high)
	{
		uint32		middle = low + (high - low) / 2;
		const SecretText *candidate = &secrets->texts[middle];

		if (compare_texts(candidate->text, candidate->length, text, length) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low == 0 ? NONE : low - 1;
}

/* Is the text one of the set? */
static bool
has_text(const Secrets *secrets, const char *text, int length)
{
	uint32		found = last_up_to(secrets, text, length);

	return found != NONE && secrets->texts[found].length == length &&
		memcmp(secrets->texts[found].text, text, length) == 0;
}

/*
 * The longest text that a text begins with, of those up to `from` and what
 * they begin with: what is between a beginning and the whole in the order
 * begins alike, so that no other can be it.
 */
static uint32
longest_beginning(const Secrets *secrets, uint32 from, const char *text, Size length)
{
	while (from != NONE && (secrets->texts[from].length > length ||
							memcmp(secrets->texts[from].text, text, secrets->texts[from].length) != 0))
		from = secrets->texts[from].beginning;
	return from;
}

/* Note of a text of the sorted set how it begins. */
static void
enter_text(Secrets *secrets, uint32 index)
{
	SecretText *text = &secrets->texts[index];
	uint32		head;

	text->beginning = longest_beginning(secrets, index == 0 ? NONE : index - 1,
										text->text, text->length);
	if (text->length < min_part[secrets->kind])
	{
		secrets->has_short = true;
		return;
	}
	secrets->has_long = true;
	head = head_of(text->text);
	secrets->heads[head / 8] |= 1 << head % 8;
}

/* Make the set ready to be asked; nothing is added to it any more. */
void
secrets_finish(Secrets *secrets)
{
	uint32		count = secrets->count;

	qsort(secrets->texts, count, sizeof(SecretText), compare_secrets);
	secrets->count = 0;
	for (uint32 i = 0; i < count; i++)
	{
		if (secrets->count > 0 &&
			compare_secrets(&secrets->texts[secrets->count - 1], &secrets->texts[i]) == 0)
			continue;
		secrets->texts[secrets->count] = secrets->texts[i];
		enter_text(secrets, secrets->count++);
	}
}

/* Add a text, unless it is too short; it must live as long as the set. */
static void
add_text(Secrets *secrets, const char *text, int length)
{
	if (length < min_whole[secrets->kind])
		return;
	GROW(secrets->texts, secrets->count, secrets->room);
	secrets->texts[secrets->count++] = (SecretText) {text, length, NONE};
}

/* What is in one set and not in another, both finished, of their kind; NULL: nothing. */
const Secrets *
secrets_without(const Secrets *secrets, const Secrets *others)
{
	Secrets    *rest = NULL;

	for (uint32 i = 0; i < secrets->count; i++)
	{
		const SecretText *text = &secrets->texts[i];

		if (has_text(others, text->text, text->length))
			continue;
		if (rest == NULL)
			rest = secrets_create(secrets->kind);
		add_text(rest, text->text, text->length);
	}
	if (rest)
		secrets_finish(rest);
	return rest;
}

/* Add a copy of how a text is spelled, which is of no use where that is as it is written. */
static void
add_spelling(Secrets *secrets, const char *text, int length, const char *spelling, int spelling_length)
{
	if (spelling_length != length || memcmp(spelling, text, length) != 0)
		add_text(secrets, pnstrdup(spelling, spelling_length), spelling_length);
}

/* A text's length without the ends of lines that it ends with. */
static int
without_line_end(const char *text, int length)
{
	while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r'))
		length--;
	return length;
}

/* Add a string as escape_json writes it, and with what Terraform's jsonencode escapes besides; returns the latter. */
static StringInfo
add_escaped_once(Secrets *secrets, const char *text, int length)
{
	StringInfoData escaped;
	StringInfo	strict = makeStringInfo();
	char	   *copy = pnstrdup(text, length);

	initStringInfo(&escaped);
	escape_json(&escaped, copy);
	add_spelling(secrets, text, length, escaped.data + 1, escaped.len - 2);
	for (char *c = escaped.data + 1; c < escaped.data + escaped.len - 1; c++)
	{
		if (*c == '<' || *c == '>' || *c == '&')
			appendStringInfo(strict, "\\u%04x", *c);
		else
			appendStringInfoChar(strict, *c);
	}
	add_spelling(secrets, text, length, strict->data, strict->len);
	pfree(copy);
	pfree(escaped.data);
	return strict;
}

/* Add a string as it stands inside another string of JSON, and inside one of JSON that is in a string itself. */
static void
add_escaped(Secrets *secrets, const char *text, int length)
{
	StringInfo	once = add_escaped_once(secrets, text, length);

	if (once->len != length)
		pfree(add_escaped_once(secrets, once->data, once->len)->data);
	pfree(once->data);
}

/* Add a string as it stands in a URL: in a query, as urlencode writes it, a space is a plus sign. */
static void
add_percent_encoded(Secrets *secrets, const char *text, int length, const char *space)
{
	StringInfoData encoded;

	initStringInfo(&encoded);
	for (int i = 0; i < length; i++)
	{
		unsigned char c = text[i];

		if (c == ' ')
			appendStringInfoString(&encoded, space);
		else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
				 strchr("-_.~", c))
			appendStringInfoChar(&encoded, c);
		else
			appendStringInfo(&encoded, "%%%02X", c);
	}
	add_spelling(secrets, text, length, encoded.data, encoded.len);
	pfree(encoded.data);
}

/* Bytes in base64, allocated. */
static char *
to_base64(const char *bytes, int length)
{
	int			room = pg_b64_enc_len(length);
	char	   *encoded = palloc0(room + 1);

	if (pg_b64_encode((const void *) bytes, length, encoded, room) < 0)
		elog(ERROR, "base64 of %d bytes does not fit into %d", length, room);
	return encoded;
}

/* Add what base64 has of a string that stands behind so many bytes: the characters that depend on nothing else. */
static void
add_base64_behind(Secrets *secrets, const char *text, int length, int offset)
{
	char	   *bytes = palloc0(offset + length);
	char	   *encoded;
	int			first = (offset * 8 + 5) / 6;
	int			last = (offset + length) * 8 / 6;

	memcpy(bytes + offset, text, length);
	encoded = to_base64(bytes, offset + length);
	add_text(secrets, encoded + first, last - first);
	pfree(bytes);
}

/*
 * Add a string in base64, as user data and Kubernetes' secrets have it.
 * Three bytes become four characters, so there are three ways to stand in a
 * longer text, user:password for one; short ones are known as a whole only.
 */
static void
add_base64(Secrets *secrets, const char *text, int length)
{
	char	   *encoded = to_base64(text, length);

	add_text(secrets, encoded, strlen(encoded));
	for (int offset = 0; length >= MIN_IN_BASE64 && offset < 3; offset++)
		add_base64_behind(secrets, text, length, offset);
}

/* Add the longest line of a text of several: indented, as in YAML, they no longer follow each other. */
static void
add_longest_line(Secrets *secrets, const char *text, int length)
{
	const char *end = text + length;
	const char *longest = text;
	int			longest_length = 0;

	for (const char *line = text; line < end;)
	{
		const char *line_end = memchr(line, '\n', end - line);
		int			line_length = (line_end ? line_end : end) - line;

		if (line_length > longest_length)
		{
			longest = line;
			longest_length = line_length;
		}
		line += line_length + 1;
	}
	if (longest_length < length && longest_length >= MIN_LINE)
		add_text(secrets, longest, without_line_end(longest, longest_length));
}

/* Add a string in all its spellings. */
static void
add_string(Secrets *secrets, const char *text, int length)
{
	int			stripped = without_line_end(text, length);

	/* a template is no value: what it becomes is, and others like it become the same */
	if (secrets->kind == SECRETS_PARAMS && memmem(text, length, "{{", 2))
		return;
	add_text(secrets, text, length);
	/* of a file's content, what is left without the end of its last line */
	add_text(secrets, text, stripped);
	if (secrets->kind == SECRETS_DERIVED || stripped < min_part[secrets->kind])
		return;
	add_escaped(secrets, text, stripped);
	add_percent_encoded(secrets, text, stripped, "+");
	add_percent_encoded(secrets, text, stripped, "%20");
	add_base64(secrets, text, length);
	if (stripped < length)
		add_base64(secrets, text, stripped);
	add_longest_line(secrets, text, stripped);
}

/*
 * A number's text, or what stands for it where it is longer than any of the
 * params: 1e100000 takes a few bytes in a document, and a hundred thousand
 * when it is written out.  Frees what it replaces.
 */
static char *
shortened(char *text, int *length)
{
	uint64		hashes[2];

	if (*length <= JSON_MAX_DIGITS)
		return text;
	for (int i = 0; i < lengthof(hashes); i++)
		hashes[i] = hash_bytes_extended((const unsigned char *) text, *length, i);
	pfree(text);
	*length = sizeof(hashes);
	return memcpy(palloc(sizeof(hashes)), hashes, sizeof(hashes));
}

/* A number as canonical text, by which equal ones are the same, in the current memory context. */
static char *
canonical_number(Numeric number, int *length)
{
	char	   *text = palloc(json_number_room(number));

	*length = json_write_number(text, number) - text;
	return shortened(text, length);
}

/* A number as it is written. */
static char *
written_number(Numeric number, int *length)
{
	char	   *text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number)));

	*length = strlen(text);
	return shortened(text, length);
}

/* Add a number, as it is written too: tools make strings of numbers. */
static void
add_number(Secrets *secrets, Numeric number)
{
	int			length;
	char	   *text = canonical_number(number, &length);

	add_text(secrets, text, length);
	text = written_number(number, &length);
	add_text(secrets, text, length);
}

/* Add every scalar of a value. */
static void
add_value(Secrets *secrets, const JsonbValue *value)
{
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (value->type == jbvString)
		add_string(secrets, value->val.string.val, value->val.string.len);
	else if (value->type == jbvNumeric)
		add_number(secrets, value->val.numeric);
	if (value->type != jbvBinary)
		return;
	json_foreach(each, value)
		add_value(secrets, &each.value);
}

/*
 * Add every scalar at or below a location that has the flag; the document must
 * live as long as the set.
 */
void
secrets_add_marked(Secrets *secrets, const JsonbValue *value, const JsonMark *marks, uint32 flag)
{
	check_stack_depth();
	if (json_mark_flags(marks) & flag)
		add_value(secrets, value);
	else if ((json_mark_within(marks) & flag) && value->type == jbvBinary)
	{
		json_foreach(each, value)
			secrets_add_marked(secrets, &each.value, json_mark_child(marks, each.index), flag);
	}
}

/* The length of the longest secret that starts at a place of a text; 0 if there is none. */
static inline int
secret_at(const Secrets *secrets, const char *at, const char *end)
{
	uint32		head = head_of(at);
	uint32		found;

	if (!(secrets->heads[head / 8] & 1 << head % 8))
		return 0;
	found = longest_beginning(secrets, last_up_to(secrets, at, end - at), at, end - at);
	if (found == NONE || secrets->texts[found].length < min_part[secrets->kind])
		return 0;
	return secrets->texts[found].length;
}

/* The first place of a text where a secret starts, and its length; NULL if there is none. */
static const char *
find_secret(const Secrets *secrets, const char *from, const char *end, int *length)
{
	for (const char *at = from; secrets->has_long && end - at >= HEAD; at++)
	{
		CHECK_FOR_INTERRUPTS();
		if ((*length = secret_at(secrets, at, end)) > 0)
			return at;
	}
	return NULL;
}

/* Is the text a secret, or is one in it? */
static bool
holds_text(const Secrets *secrets, const char *text, int length)
{
	int			found;

	return has_text(secrets, text, length) ||
		find_secret(secrets, text, text + length, &found) != NULL;
}

/* Is the number a secret, by its value or as it is written? */
static bool
is_secret_number(const Secrets *secrets, Numeric number)
{
	int			length,
				written_length;
	char	   *canonical = canonical_number(number, &length);
	char	   *written = written_number(number, &written_length);
	bool		found = has_text(secrets, canonical, length) ||
		has_text(secrets, written, written_length);

	pfree(canonical);
	pfree(written);
	return found;
}

/* Is a value that shows a secret in this one, or below it?  secrets may be NULL. */
bool
secrets_hold(const Secrets *secrets, const JsonbValue *value)
{
	if (secrets == NULL || secrets->count == 0)
		return false;
	if (value->type == jbvString)
		return holds_text(secrets, value->val.string.val, value->val.string.len);
	return value->type == jbvNumeric && is_secret_number(secrets, value->val.numeric);
}

/* Is a quoted part of a text, which may start here, a secret?  The length includes the quotation marks. */
static int
quoted_secret_at(const Secrets *secrets, const char *at, const char *end)
{
	const char *closing;

	if (*at != '"' || (closing = memchr(at + 1, '"', end - at - 1)) == NULL ||
		!has_text(secrets, at + 1, closing - at - 1))
		return 0;
	return closing + 1 - at;
}

/*
 * A text with every secret in it replaced, and every quoted part that is one:
 * itself where there is none.  It is not NUL-terminated.  secrets may be NULL.
 */
const char *
secrets_mask_text(const Secrets *secrets, const char *text, int *length)
{
	const char *end = text + *length;
	StringInfoData masked;
	int			found;

	if (secrets == NULL || secrets->count == 0)
		return text;
	initStringInfo(&masked);
	for (const char *at = text; at < end;)
	{
		CHECK_FOR_INTERRUPTS();
		if (end - at >= HEAD && (found = secret_at(secrets, at, end)) > 0)
			appendStringInfoString(&masked, SENSITIVE_MASK);
		else if (secrets->has_short && (found = quoted_secret_at(secrets, at, end)) > 0)
			appendStringInfoString(&masked, "\"" SENSITIVE_MASK "\"");
		else
		{
			appendStringInfoChar(&masked, *at);
			found = 1;
		}
		at += found;
	}
	*length = masked.len;
	return masked.data;
}

/* A path with every key that is or holds a secret replaced: itself where there is none. */
const char *
secrets_mask_path(const Secrets *secrets, const char *path)
{
	JsonPathReader reader;
	JsonPathStep step;
	StringInfoData masked;
	int			length = strlen(path);
	int			found;
	bool		any = false;

	if (secrets == NULL || secrets->count == 0 ||
		(!secrets->has_short && !find_secret(secrets, path, path + length, &found)))
		return path;
	initStringInfo(&masked);
	json_path_reader_init(&reader, path, length);
	while (json_path_next(&reader, &step))
	{
		if (step.key == NULL)
			json_path_add_index(&masked, step.index);
		else if (holds_text(secrets, step.key, step.length))
		{
			json_path_add_key(&masked, SENSITIVE_MASK, strlen(SENSITIVE_MASK));
			any = true;
		}
		else
			json_path_add_key(&masked, step.key, step.length);
	}
	/* it may be one of millions: what it does not need is given back */
	if (any)
		path = pstrdup(masked.data);
	pfree(masked.data);
	return path;
}
