/*
 * verify_chain.c: reading chains of the audit log in the order of its key, for what is wrong
 * with them by themselves, and for what they say last of rows.
 *
 * The executor hands rows on one by one, and nothing is kept of a chain but its last row and
 * what it said lately, so that memory does not grow with the log.
 */
#include "postgres.h"

#include "executor/tuptable.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "base/argument.h"
#include "base/compat.h"
#include "base/result.h"
#include "json/digest.h"
#include "json/reader.h"
#include "ledger/audit.h"
#include "ledger/word.h"

PG_FUNCTION_INFO_V1(promote_verify_chains);
PG_FUNCTION_INFO_V1(promote_last_words);

/*
 * Words are kept in two generations of so many.  One that is said again moves to the younger
 * one; when that is full, the older one is let go.  Events that write the same row mostly
 * follow each other closely.  A word that was let go and is said again counts twice, so that
 * its bucket is compared word by word.
 */
#define GENERATION 16384

/* What a word is about, as word_name writes it. */
typedef struct WordName
{
	const char *start;
	int			length;
} WordName;

/* What was said last of a row. */
typedef struct Word
{
	WordName	name;			/* the first member: the key */
	int64		seq;
	char		digest[WORD_HEX_LENGTH + 1];	/* "": the row is gone */
} Word;

/* Words, in a memory context of their own. */
typedef struct Generation
{
	MemoryContext context;
	HTAB	   *words;
} Generation;

/* What was said lately, and what becomes of it when it is let go. */
typedef struct Words
{
	MemoryContext context;		/* of both generations */
	Generation	young;
	Generation	old;
	StringInfoData name;		/* of the word at hand */
	Tally	   *tally;			/* takes words; NULL: they are returned */
	const bool *buckets;		/* of the words that count; NULL: all */
	FunctionCallInfo fcinfo;	/* the function call that words are returned to */
} Words;

/* A row of the log. */
typedef struct Link
{
	AuditEvent	event;
	const bytea *hash;
	bool		whole;			/* has it all that a row must have? */
	bool		kept;			/* is it a head that was kept, before which nothing is read? */
} Link;

/* A walk along chains. */
typedef struct Walk
{
	const Sql  *sql;
	FunctionCallInfo fcinfo;	/* the function call that problems are returned to; NULL: nothing is verified */
	Words	   *words;			/* NULL: nobody wants them */
	MemoryContext each;			/* for one row */
	MemoryContext last;			/* for what is kept of the row before */
	char	   *project;		/* of the chain; NULL before the first */
	char	   *subject;
	int64		before;			/* the last row's place; 0: there was none */
	bytea	   *hash_before;	/* NULL with it */
} Walk;

/* ---- words ---- */

/* The hash of a name. */
static uint32
hash_name(const void *key, Size size)
{
	const WordName *name = key;

	return word_hash(name->start, name->length);
}

/* 0 for the same names, as memcmp. */
static int
compare_names(const void *a, const void *b, Size size)
{
	const WordName *left = a;
	const WordName *right = b;

	return left->length != right->length || memcmp(left->start, right->start, left->length) != 0;
}

/* An empty generation. */
static Generation
new_generation(const Words *words)
{
	Generation	generation = {AllocSetContextCreate(words->context, "promote words", ALLOCSET_DEFAULT_SIZES)};
	HASHCTL		control = {
		.keysize = sizeof(WordName), .entrysize = sizeof(Word), .hash = hash_name, .match = compare_names,
		.hcxt = generation.context
	};

	generation.words = hash_create("promote words", 256, &control,
								   HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	return generation;
}

/* Start without words, in the current memory context. */
static void
words_begin(Words *words)
{
	words->context = CurrentMemoryContext;
	words->young = new_generation(words);
	words->old = new_generation(words);
	initStringInfo(&words->name);
}

/* Return a word as a row. */
static void
return_word(const Words *words, const Word *word)
{
	const char *subject = word->name.start + strlen(word->name.start) + 1;
	const char *name = subject + strlen(subject) + 1;

	result_put(words->fcinfo, AS_TEXT(word->name.start), AS_TEXT(subject), AS_TEXT(name), AS_BIGINT(word->seq),
			   AS_TEXT(word->digest[0] ? word->digest : NULL));
}

/* Let a generation go. */
static void
let_go(const Words *words, Generation *generation)
{
	HASH_SEQ_STATUS each;
	Word	   *word;

	hash_seq_init(&each, generation->words);
	while ((word = hash_seq_search(&each)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		if (words->tally == NULL)
			return_word(words, word);
		else if (word->digest[0])
			tally_add(words->tally, WORD_OF_LOG, word->name.start, word->name.length, word->digest);
	}
	MemoryContextDelete(generation->context);
}

/* Let all words go. */
static void
words_end(Words *words)
{
	let_go(words, &words->old);
	let_go(words, &words->young);
}

/* The word of the name at hand, in the younger generation. */
static Word *
find_word(Words *words, uint32 hash)
{
	WordName	name = {words->name.data, words->name.len};
	Word	   *word = hash_search_with_hash_value(words->young.words, &name, hash, HASH_FIND, NULL);

	if (word)
		return word;
	if (hash_get_num_entries(words->young.words) >= GENERATION)
	{
		let_go(words, &words->old);
		words->old = words->young;
		words->young = new_generation(words);
	}
	(void) hash_search_with_hash_value(words->old.words, &name, hash, HASH_REMOVE, NULL);
	name.start = MemoryContextAlloc(words->young.context, name.length + 1);
	memcpy(unconstify(char *, name.start), words->name.data, name.length + 1);
	return hash_search_with_hash_value(words->young.words, &name, hash, HASH_ENTER, NULL);
}

/* Take a word, with a digest in hexadecimal; "": the row is gone. */
static void
take_word(Words *words, const AuditEvent *event, const char *row, const char *digest)
{
	Word	   *word;
	uint32		hash;

	word_name(&words->name, event->project, event->subject, row);
	hash = word_hash(words->name.data, words->name.len);
	if (words->buckets && !words->buckets[hash % WORD_BUCKETS])
		return;
	word = find_word(words, hash);
	word->seq = event->seq;
	strcpy(word->digest, digest);
}

/* Take what an event says of the row that its chain is about. */
static void
take_change(Words *words, const AuditEvent *event)
{
	JsonbContainer *data = unconstify(JsonbContainer *, &event->data->root);
	JsonbValue	before,
				after;
	const char *digest = "";

	if (!JsonContainerIsObject(data))
		return;
	if (getKeyJsonValueFromContainer(data, "after", strlen("after"), &after))
		digest = audit_hex(json_digest(JsonbValueToJsonb(&after)));
	else if (getKeyJsonValueFromContainer(data, "before", strlen("before"), &before) == NULL)
		return;
	take_word(words, event, event->subject, digest);
}

/* Take what an event says of rows. */
static void
take_words(Words *words, const AuditEvent *event)
{
	take_change(words, event);
	if (event->rows == NULL || !JsonContainerIsObject(&event->rows->root))
		return;
	json_foreach_in(child, &event->rows->root)
	{
		const JsonbValue *written = &child.value;
		char	   *row = pnstrdup(child.key.val.string.val, child.key.val.string.len);
		char		digest[WORD_HEX_LENGTH + 1] = "";

		if (strcmp(row, "salt") == 0)
			continue;
		/* what is no digest is like no row's */
		if (written->type != jbvNull && (written->type != jbvString ||
										 !word_hex(written->val.string.val, written->val.string.len, digest)))
			strcpy(digest, "?");
		take_word(words, event, word_row(event->subject, row), digest);
	}
}

/* ---- problems ---- */

#define CHANGED "the row was changed: its hash is not that of its columns"

/* Return what is wrong with a row. */
static void
put_problem(const Walk *walk, const AuditEvent *event, const char *problem)
{
	SqlValue	number = sql_value(INT4OID, true, (Datum) 0);
	SqlValue	sum = sql_value(INT8OID, true, (Datum) 0);

	result_put(walk->fcinfo, AS_TEXT(event->project), AS_TEXT(event->subject), AS_BIGINT(event->seq), AS_TEXT(problem),
			   number, number, sum, sum);
}

/* Are they the same bytes, or both NULL? */
static bool
same_bytes(const bytea *a, const bytea *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;
}

/* Has a pruning left such a checkpoint?  Its data says which row of the project's chain tells of it. */
static bool
was_pruned(const AuditEvent *event)
{
	static Statement find = {"SELECT true FROM promote.audit_log AS p WHERE p.project = $1 AND p.subject = $1"
		" AND (p.seq = ($2 ->> 'pruning')::pg_catalog.int8 AND p.event = 'audit.pruned'"
		" OR p.seq >= ($2 ->> 'pruning')::pg_catalog.int8 AND p.event = '" AUDIT_CHECKPOINT "') LIMIT 1"};

	bool		found;
	Sql			sql;

	/* a scope of its own, for that of the walk is amid a query */
	sql_enter(&sql);
	found = sql_read(&sql, &find, AS_TEXT(event->project), AS_JSONB(event->data)).count > 0;
	sql_leave(&sql);
	return found;
}

/* The text of a field of the data; NULL: there is none. */
static char *
fact(const AuditEvent *event, const char *key)
{
	JsonbContainer *data = unconstify(JsonbContainer *, &event->data->root);
	JsonbValue	value;

	if (!JsonContainerIsObject(data) || getKeyJsonValueFromContainer(data, key, strlen(key), &value) == NULL ||
		value.type == jbvNull)
		return NULL;
	if (value.type == jbvString)
		return pnstrdup(value.val.string.val, value.val.string.len);
	return JsonbToCString(NULL, &JsonbValueToJsonb(&value)->root, 0);
}

/* Does the data say that somebody else did it?  What one asked for and another moved was done by the latter. */
static bool
is_another(const AuditEvent *event, const char *who, const char *moved, const char *asked)
{
	const char *said = fact(event, moved);

	if (said == NULL)
		said = fact(event, asked);
	return said && strcmp(said, who) != 0;
}

/* Return what is wrong with the hash of a row.  That of a checkpoint is where others have the one of the row before. */
static void
verify_hash(const Walk *walk, const Link *link)
{
	AuditEvent	event = link->event;

	if (strcmp(event.event, AUDIT_CHECKPOINT) != 0)
	{
		if (!same_bytes(link->hash, audit_hash(&event)))
			put_problem(walk, &event, CHANGED);
		return;
	}
	event.previous_hash = link->hash;
	if (!same_bytes(link->event.previous_hash, audit_hash(&event)))
		put_problem(walk, &event, "the checkpoint was changed: its seal is not that of its columns");
	if (walk->before > 0 || !was_pruned(&event))
		put_problem(walk, &event, "it is a checkpoint that no pruning has left");
}

/* Return what is wrong with a row's place behind the row before. */
static void
verify_place(const Walk *walk, const Link *link)
{
	const AuditEvent *event = &link->event;
	bool		stands_for_others = strcmp(event->event, AUDIT_CHECKPOINT) == 0;

	if (link->kept)
		return;
	if (event->seq != walk->before + 1 && (!stands_for_others || walk->before > 0))
		put_problem(walk, event, psprintf("rows were removed before it: " INT64_FORMAT " to " INT64_FORMAT,
										  walk->before + 1, event->seq - 1));
	if (event->seq == walk->before + 1 && !stands_for_others && !same_bytes(event->previous_hash, walk->hash_before))
		put_problem(walk, event, "it does not follow the row before: that one was replaced or reordered");
}

/* Return what is wrong with a row. */
static void
verify_link(const Walk *walk, const Link *link)
{
	const AuditEvent *event = &link->event;

	if (!link->whole)
	{
		put_problem(walk, event, CHANGED);
		return;
	}
	verify_hash(walk, link);
	if (is_another(event, event->actor, "moved_by", "actor") ||
		is_another(event, event->database_role, "moved_role", "database_role"))
		put_problem(walk, event, "its author is not the one in its data");
	verify_place(walk, link);
}

/* ---- walking ---- */

#define COLUMNS "a.project, a.subject, a.seq, a.at, a.actor, a.database_role, a.event, a.data, a.rows," \
	" a.previous_hash, a.hash"

/* A column of a row; its number counts from 0 in the order of COLUMNS. */
static NullableDatum
column(const TupleTableSlot *row, int number)
{
	return (NullableDatum) {.value = row->tts_values[number], .isnull = row->tts_isnull[number]};
}

/* The bytes of a column, where they are. */
static const bytea *
column_bytes(const TupleTableSlot *row, int number)
{
	return row->tts_isnull[number] ? NULL : DatumGetByteaPP(row->tts_values[number]);
}

/* Read a row. */
static void
read_link(TupleTableSlot *row, Link *link)
{
	slot_getallattrs(row);
	*link = (Link) {
		.whole = true,
		.event = {
			.project = value_text(column(row, 0)), .subject = value_text(column(row, 1)),
			.seq = value_wide(column(row, 2)), .at = value_time(column(row, 3)),
			.actor = value_text(column(row, 4)), .database_role = value_text(column(row, 5)),
			.event = value_text(column(row, 6)), .data = value_jsonb(column(row, 7)),
			.rows = value_jsonb(column(row, 8)), .previous_hash = column_bytes(row, 9)
		},
		.hash = column_bytes(row, 10)
	};
	for (int i = 0; i <= 10; i++)
		if (row->tts_isnull[i] && i != 8 && i != 9)
			link->whole = false;
	link->kept = link->event.seq == DatumGetInt64(row->tts_values[11]);
}

/* Stand before the first row of a row's chain, unless the walk is in it. */
static void
enter_chain(Walk *walk, const AuditEvent *event)
{
	if (walk->project && strcmp(walk->subject, event->subject) == 0 && strcmp(walk->project, event->project) == 0)
		return;
	if (walk->project)
	{
		pfree(walk->project);
		pfree(walk->subject);
	}
	walk->project = MemoryContextStrdup(walk->last, event->project);
	walk->subject = MemoryContextStrdup(walk->last, event->subject);
	walk->before = 0;
	walk->hash_before = NULL;
}

/* Keep what the next row is held against. */
static void
pass(Walk *walk, const Link *link)
{
	MemoryContext each = MemoryContextSwitchTo(walk->last);
	bytea	   *hash = link->hash ? DatumGetByteaPCopy(PointerGetDatum(link->hash)) : NULL;

	if (walk->hash_before)
		pfree(walk->hash_before);
	walk->hash_before = hash;
	walk->before = link->event.seq;
	MemoryContextSwitchTo(each);
}

/* Take a row of the log. */
static void
take_link(void *state, TupleTableSlot *row)
{
	Walk	   *walk = state;
	MemoryContext outer = MemoryContextSwitchTo(walk->each);
	Link		link;

	read_link(row, &link);
	enter_chain(walk, &link.event);
	if (walk->fcinfo)
		verify_link(walk, &link);
	if (walk->words && link.whole)
		take_words(walk->words, &link.event);
	pass(walk, &link);
	MemoryContextSwitchTo(outer);
	MemoryContextReset(walk->each);
}

/* Begin a walk, in the current memory context. */
static void
walk_begin(Walk *walk)
{
	walk->each = AllocSetContextCreate(CurrentMemoryContext, "promote audit row", ALLOCSET_DEFAULT_SIZES);
	walk->last = CurrentMemoryContext;
}

/* Which rows of the log are read.  The bounds are keys; with a project they are in it. */
typedef struct Stretch
{
	const char *subject;		/* NULL: of all */
	const char *project;		/* NULL: of all */
	const char *from_project;	/* where it begins */
	const char *from_subject;
	const char *to_project;		/* before which it ends */
	const char *to_subject;
	SqlValue	last;			/* the last place in a chain */
	const Jsonb *after;			/* heads that were kept; NULL: chains are read from their beginnings */
} Stretch;

/* The condition for the rows of a stretch, whose members are the parameters. */
static char *
stretch_condition(const Stretch *stretch)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfoString(&text, stretch->project ? "a.project = $2" : "true");
	if (stretch->subject)
		appendStringInfoString(&text, " AND a.subject = $1");
	if (stretch->from_subject)
		appendStringInfoString(&text, stretch->project ? " AND a.subject >= $4" : " AND (a.project, a.subject) >= ($3, $4)");
	if (stretch->to_subject)
		appendStringInfoString(&text, stretch->project ? " AND a.subject < $6" : " AND (a.project, a.subject) < ($5, $6)");
	if (!stretch->last.isnull)
		appendStringInfoString(&text, " AND a.seq <= $7");
	return text.data;
}

/* The query for the rows of a stretch, in the order of the primary key. */
static char *
stretch_query(const Stretch *stretch)
{
	if (stretch->after)
		return "SELECT " COLUMNS ", c.seq FROM promote_internal.chains_after($8, $1, $2, $4, $6) AS c"
			" CROSS JOIN LATERAL (SELECT l.* FROM promote.audit_log AS l WHERE l.project = c.project"
			" AND l.subject = c.subject AND l.seq >= c.seq ORDER BY l.seq OFFSET 0) AS a";
	return psprintf("SELECT " COLUMNS ", 0::pg_catalog.int8 FROM promote.audit_log AS a WHERE %s"
					" ORDER BY a.project, a.subject, a.seq", stretch_condition(stretch));
}

/* Read the rows of a stretch.  They come by the index: sorting the log would write it once more. */
static void
walk_stretch(Walk *walk, const Stretch *stretch)
{
	const SqlValue values[] = {
		AS_TEXT(stretch->subject), AS_TEXT(stretch->project), AS_TEXT(stretch->from_project),
		AS_TEXT(stretch->from_subject), AS_TEXT(stretch->to_project), AS_TEXT(stretch->to_subject), stretch->last,
		AS_JSONB(stretch->after)
	};
	static const char *const settings[][2] = {
		{"enable_sort", "off"}, {"enable_bitmapscan", "off"}, {"enable_indexscan", "on"},
		{"max_parallel_workers_per_gather", "0"}
	};
	int			level = NewGUCNestLevel();

	for (int i = 0; i < lengthof(settings); i++)
		sql_set_local(settings[i][0], settings[i][1]);
	sql_each(walk->sql, stretch_query(stretch), values, lengthof(values), take_link, walk);
	AtEOXact_GUC(false, level);
}

/* Read the rows that are asked for.  A subject may have chains in several projects. */
static void
walk_asked(Walk *walk, const Stretch *asked)
{
	static Statement find = {"SELECT p.project FROM promote_internal.projects_of($1) AS p"};
	Stretch		stretch = *asked;
	List	   *projects;
	ListCell   *cell;
	SqlRows		rows;

	if (asked->project || asked->subject == NULL || asked->after)
	{
		walk_stretch(walk, asked);
		return;
	}
	rows = sql_read(walk->sql, &find, AS_TEXT(asked->subject));
	projects = sql_texts(&rows);
	foreach(cell, projects)
	{
		stretch.project = lfirst(cell);
		walk_stretch(walk, &stretch);
	}
}

/*
 * promote_internal.verify_chains(key bytea, subject text, project text, from_project text,
 * from_subject text, to_project text, to_subject text, last bigint, after jsonb) returns table
 * (project text, subject text, seq bigint, problem text, speaker integer, bucket integer, low
 * bigint, high bigint)
 */
Datum
promote_verify_chains(PG_FUNCTION_ARGS)
{
	const Stretch asked = {
		.subject = argument_text(fcinfo, 1), .project = argument_text(fcinfo, 2),
		.from_project = argument_text(fcinfo, 3), .from_subject = argument_text(fcinfo, 4),
		.to_project = argument_text(fcinfo, 5), .to_subject = argument_text(fcinfo, 6),
		.last = sql_value(INT8OID, PG_ARGISNULL(7), PG_GETARG_DATUM(7)), .after = value_jsonb(fcinfo->args[8])
	};
	Words		words = {.tally = PG_ARGISNULL(0) ? NULL : tally_begin(PG_GETARG_BYTEA_PP(0))};
	Sql			sql;
	Walk		walk = {.sql = &sql, .fcinfo = fcinfo, .words = words.tally ? &words : NULL};

	InitMaterializedSRF(fcinfo, 0);
	words_begin(&words);
	sql_enter(&sql);
	walk_begin(&walk);
	walk_asked(&walk, &asked);
	sql_leave(&sql);
	words_end(&words);
	if (words.tally)
		tally_put(words.tally, fcinfo);
	return (Datum) 0;
}

/*
 * promote_internal.last_words(subject text, project text, from_subject text, to_subject text,
 * buckets integer[], after jsonb) returns table (project text, subject text, name text, seq
 * bigint, digest text)
 */
Datum
promote_last_words(PG_FUNCTION_ARGS)
{
	const Stretch asked = {
		.subject = argument_text(fcinfo, 0), .project = argument_text(fcinfo, 1),
		.from_subject = argument_text(fcinfo, 2), .to_subject = argument_text(fcinfo, 3),
		.last = sql_value(INT8OID, true, (Datum) 0), .after = value_jsonb(fcinfo->args[5])
	};
	Words		words = {.fcinfo = fcinfo, .buckets = word_buckets(fcinfo->args[4])};
	Sql			sql;
	Walk		walk = {.sql = &sql, .words = &words};

	InitMaterializedSRF(fcinfo, 0);
	words_begin(&words);
	sql_enter(&sql);
	walk_begin(&walk);
	walk_asked(&walk, &asked);
	sql_leave(&sql);
	words_end(&words);
	return (Datum) 0;
}
