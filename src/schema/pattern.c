/*
 * pattern.c: matching strings with PostgreSQL's regular expressions.
 *
 * The engine's own cache is not used, for it holds 32 expressions only.
 * Before PostgreSQL 16 a compiled expression is malloc'ed, so it is freed by
 * a callback of the memory context that the schema lives in.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "regex/regex.h"

#include "schema/ecma.h"
#include "schema/pattern.h"

/* What a compiled expression takes, at a guess: per pattern, and per weight. */
#define PATTERN_SPACE			8192
#define PATTERN_WEIGHT_SPACE	128

/* What the patterns of one schema may take together. */
#define PATTERN_SPACE_MAX		((Size) 256 * 1024 * 1024)

/* Strings up to this length are matched without an allocation. */
#define PATTERN_STACK_CHARS		512

/* So many bytes of a pattern are shown in an error. */
#define PATTERN_SHOWN			100

/* So many keys, up to that length, are remembered with what came of them. */
#define KEPT_KEYS				128
#define KEPT_PROBES				4	/* places of them where a key may be */
#define KEPT_LENGTH				31

/* A key that was matched. */
typedef struct KeptKey
{
	uint8		length;			/* 0: none, for an empty key is not kept */
	bool		matched;
	char		key[KEPT_LENGTH];
} KeptKey;

struct SchemaPattern
{
	const char *source;
	int			length;
	regex_t		regex;
	MemoryContext context;		/* that it lives in */
	KeptKey    *kept;			/* KEPT_KEYS, by their hashes; NULL: none yet */
	MemoryContextCallback release;
};

/* Called when the memory context that holds the pattern is reset. */
static void
release_pattern(void *pattern)
{
	pg_regfree(&((SchemaPattern *) pattern)->regex);
}

/* Add to space what a pattern of that weight takes; raises where it is too much. */
static void
count_space(Size *space, uint64 weight)
{
	*space += PATTERN_SPACE + weight * PATTERN_WEIGHT_SPACE;
	if (*space > PATTERN_SPACE_MAX)
		ereport(ERROR,
				(errcode(PM_TOO_LARGE),
				 errmsg("JSON Schema is too large"),
				 errdetail("Its patterns take more than %zu MB.", PATTERN_SPACE_MAX >> 20),
				 errhint("Refer to patterns that are used in several places by \"$ref\", or repeat less in them.")));
}

/*
 * Compile a pattern in the current memory context, which frees it when it is
 * reset; source must live as long.  Adds to space what is not counted there.
 */
SchemaPattern *
schema_pattern_compile(const char *source, int length, const SchemaPlace *place, Size *space)
{
	SchemaPattern *pattern = palloc0(sizeof(SchemaPattern));
	StringInfoData translated;
	uint64		weight;
	char		reason[100];
	int			result;

	weight = schema_translate_pattern(source, length, place, &translated);
	count_space(space, weight);
	pattern->source = source;
	pattern->length = length;
	pattern->context = CurrentMemoryContext;
	result = pg_regcomp(&pattern->regex, (const pg_wchar *) translated.data,
						translated.len / sizeof(pg_wchar), REG_ADVANCED | REG_NOSUB,
						C_COLLATION_OID);
	if (result != REG_OKAY)
	{
		CHECK_FOR_INTERRUPTS();
		pg_regerror(result, &pattern->regex, reason, sizeof(reason));
		SCHEMA_REFUSE(place, SCHEMA_PATTERN_HINT,
					  "is not a usable regular expression: %s.", reason);
	}
	pattern->release.func = release_pattern;
	pattern->release.arg = pattern;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &pattern->release);
	pfree(translated.data);
	return pattern;
}

/* Does the pattern match the string anywhere? */
bool
schema_pattern_matches(const SchemaPattern *pattern, const char *string, int length)
{
	pg_wchar	buffer[PATTERN_STACK_CHARS + 1];
	pg_wchar   *wide = buffer;
	char		reason[100];
	int			result;

	if (length > PATTERN_STACK_CHARS)
		wide = palloc_extended(sizeof(pg_wchar) * ((Size) length + 1), MCXT_ALLOC_HUGE);
	result = pg_regexec(&((SchemaPattern *) pattern)->regex, wide,
						pg_mb2wchar_with_len(string, wide, length), 0, NULL, 0, NULL, 0);
	if (wide != buffer)
		pfree(wide);
	if (result != REG_OKAY && result != REG_NOMATCH)
	{
		CHECK_FOR_INTERRUPTS();
		pg_regerror(result, &pattern->regex, reason, sizeof(reason));
		ereport(ERROR,
				(errcode(PM_TOO_LARGE),
				 errmsg("matching a pattern of the JSON Schema failed: %s", reason),
				 errdetail("The pattern starts with %.*s.",
						   pg_mbcliplen(pattern->source, pattern->length, PATTERN_SHOWN),
						   pattern->source),
				 errhint("Simplify the pattern.")));
	}
	return result == REG_OKAY;
}

/* The place where a key is remembered, or may be: then its length is 0. */
static KeptKey *
find_kept(SchemaPattern *pattern, const char *string, int length)
{
	uint32		hash = hash_bytes((const unsigned char *) string, length);
	KeptKey    *kept = NULL;

	for (int i = 0; i < KEPT_PROBES; i++)
	{
		kept = &pattern->kept[(hash + i) % KEPT_KEYS];
		if (kept->length == 0 || (kept->length == length && memcmp(kept->key, string, length) == 0))
			return kept;
	}
	/* all of them are others': the last one makes room */
	kept->length = 0;
	return kept;
}

/*
 * Does the pattern match the key of a member?  The documents that a schema judges mostly have the same keys, so the
 * last ones are remembered.  Keys are no secrets, other than values.
 */
bool
schema_pattern_matches_key(SchemaPattern *pattern, const JsonbValue *key)
{
	const char *string = key->val.string.val;
	int			length = key->val.string.len;
	KeptKey    *kept;

	if (length == 0 || length > KEPT_LENGTH)
		return schema_pattern_matches(pattern, string, length);
	if (pattern->kept == NULL)
		pattern->kept = MemoryContextAllocZero(pattern->context, KEPT_KEYS * sizeof(KeptKey));
	kept = find_kept(pattern, string, length);
	if (kept->length == 0)
	{
		kept->matched = schema_pattern_matches(pattern, string, length);
		kept->length = length;
		memcpy(kept->key, string, length);
	}
	return kept->matched;
}
