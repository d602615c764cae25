/*
 * record_mark.c: the rows that a transaction has written and that no event
 * tells of yet.
 *
 * The digest of a row that a verb writes is kept here until the verb appends
 * its event to the chain that the row belongs to; audit_append takes it along.
 * What a subtransaction has written goes with it.  A transaction does not
 * commit with a row that nothing tells of: that would be a verb that forgot.
 */
#include "postgres.h"

#include "json/builder.h"
#include "record_mark.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

/* A row that was written. */
typedef struct Mark
{
	const char *row;			/* its table and key */
	const char *digest;			/* hexadecimal; NULL: it is gone */
	SubTransactionId writer;
} Mark;

/* A chain that the rows belong to, by its names. */
typedef struct ChainKey
{
	const char *project;
	const char *subject;
} ChainKey;

typedef struct Chain
{
	ChainKey	key;
	List	   *marks;			/* in the order they were written */
} Chain;

/* In memory of the transaction; NULL: nothing is marked. */
static HTAB *chains = NULL;

static uint32
hash_chain(const void *key, Size size)
{
	const ChainKey *chain = key;

	return string_hash(chain->project, NAMEDATALEN) ^ hash_bytes((const unsigned char *) chain->subject, strlen(chain->subject));
}

static int
match_chain(const void *a, const void *b, Size size)
{
	const ChainKey *one = a;
	const ChainKey *other = b;

	return strcmp(one->project, other->project) != 0 || strcmp(one->subject, other->subject) != 0;
}

/* Begin to keep marks. */
static void
make_chains(void)
{
	HASHCTL		control = {
		.keysize = sizeof(ChainKey),
		.entrysize = sizeof(Chain),
		.hash = hash_chain,
		.match = match_chain,
		.hcxt = TopTransactionContext
	};

	if (chains == NULL)
		chains = hash_create("promote marks", 16, &control,
							 HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
}

/*
 * Note that a row was written, or deleted.  A later mark of a row replaces an
 * earlier one when the event is made.
 */
void
mark_row(const char *project, const char *subject, const char *row, const char *digest)
{
	MemoryContext outer = MemoryContextSwitchTo(TopTransactionContext);
	ChainKey	key = {pstrdup(project), pstrdup(subject)};
	Mark	   *mark = palloc(sizeof(Mark));
	Chain	   *chain;
	bool		found;

	make_chains();
	chain = hash_search(chains, &key, HASH_ENTER, &found);
	if (!found)
		chain->marks = NIL;
	mark->row = pstrdup(row);
	mark->digest = digest ? pstrdup(digest) : NULL;
	mark->writer = GetCurrentSubTransactionId();
	chain->marks = lappend(chain->marks, mark);
	MemoryContextSwitchTo(outer);
}

/*
 * What is to be noise beside the digests: whoever sees an event's hash and all
 * but one value of a row could otherwise try values until the hash is right.
 */
static void
build_salt(JsonBuilder *builder)
{
	uint8		noise[16];
	char		digits[2 * sizeof(noise) + 1];

	if (!pg_strong_random(noise, sizeof(noise)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random bytes")));
	for (int i = 0; i < lengthof(noise); i++)
		snprintf(digits + 2 * i, 3, "%02x", noise[i]);
	json_build_field(builder, "salt", pstrdup(digits));
}

/* The chain, if rows of it were written that no event tells of yet. */
static Chain *
find_chain(const char *project, const char *subject)
{
	ChainKey	key = {project, subject};

	return chains ? hash_search(chains, &key, HASH_FIND, NULL) : NULL;
}

/* Were rows of a chain written that no event tells of yet? */
bool
mark_waits(const char *project, const char *subject)
{
	return find_chain(project, subject) != NULL;
}

/*
 * Take what was written of a chain: an object of digests by rows, null for what
 * is gone.  NULL: nothing was.
 */
Jsonb *
mark_take(const char *project, const char *subject)
{
	Chain	   *chain = find_chain(project, subject);
	JsonBuilder builder;
	ListCell   *cell;

	if (chain == NULL)
		return NULL;
	json_builder_init(&builder);
	json_build_begin_object(&builder);
	build_salt(&builder);
	foreach(cell, chain->marks)
		json_build_field(&builder, ((Mark *) lfirst(cell))->row, ((Mark *) lfirst(cell))->digest);
	json_build_end_object(&builder);
	hash_search(chains, &chain->key, HASH_REMOVE, NULL);
	return json_builder_finish(&builder);
}

/* Forget what an aborted subtransaction wrote, and those within it: all that began later. */
static void
at_subend(SubXactEvent event, SubTransactionId subtransaction, SubTransactionId parent, void *argument)
{
	HASH_SEQ_STATUS every;
	Chain	   *chain;

	if (event != SUBXACT_EVENT_ABORT_SUB || chains == NULL)
		return;
	hash_seq_init(&every, chains);
	while ((chain = hash_seq_search(&every)) != NULL)
	{
		while (chain->marks != NIL && ((Mark *) llast(chain->marks))->writer >= subtransaction)
			chain->marks = list_delete_last(chain->marks);
		if (chain->marks == NIL)
			hash_search(chains, &chain->key, HASH_REMOVE, NULL);
	}
}

/* Refuse to commit what no event tells of. */
static void
check_marks(void)
{
	HASH_SEQ_STATUS every;
	Chain	   *chain;

	if (chains == NULL)
		return;
	hash_seq_init(&every, chains);
	while ((chain = hash_seq_search(&every)) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a row was written, and nothing records it"),
				 errdetail("It is \"%s\", and no event of \"%s\" tells of it.",
						   ((Mark *) linitial(chain->marks))->row, chain->key.subject),
				 errhint("Look for triggers that are switched off: promote.restore_guards() brings them back.")));
}

/* A transaction ends. */
static void
at_end(XactEvent event, void *argument)
{
	if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE)
		check_marks();
	else if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		chains = NULL;
}

/* Look at the ends of transactions, from now on.  Called when the library is loaded. */
void
mark_init(void)
{
	RegisterXactCallback(at_end, NULL);
	RegisterSubXactCallback(at_subend, NULL);
}
