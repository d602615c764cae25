/*
 * record_mark.c: the rows that a transaction wrote and that no event covers yet.
 *
 * This file keeps the digest of a row that a verb writes until the verb appends its event to
 * the row's chain; audit_append takes the digest along.  A rollback of a subtransaction
 * removes the marks that it made, and the marks that it took wait again: a user's trigger may
 * call a verb and then undo it.  A transaction that still has marks cannot commit, because
 * that means that a verb forgot its event.
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "json/builder.h"
#include "ledger/record_mark.h"
#include "ledger/word.h"

/* A row that was written. */
typedef struct Mark
{
	char	   *row;			/* its table and key */
	char	   *digest;			/* hexadecimal; NULL: the row was deleted */
	SubTransactionId writer;
	SubTransactionId teller;	/* that appended the event; invalid: no event covers the row yet */
} Mark;

/* The key of a chain: its names. */
typedef struct ChainKey
{
	const char *project;
	const char *subject;
} ChainKey;

typedef struct Chain
{
	ChainKey	key;
	List	   *marks;			/* in the order they were made */
} Chain;

/* The chains, in memory of the transaction; NULL: nothing is marked. */
static HTAB *chains = NULL;

/* Hash a chain's names.  A HashValueFunc. */
static uint32
hash_chain(const void *key, Size size)
{
	const ChainKey *chain = key;

	return string_hash(chain->project, NAMEDATALEN) ^
		hash_bytes((const unsigned char *) chain->subject, strlen(chain->subject));
}

/* Compare the names of two chains; 0 if they are equal.  A HashCompareFunc. */
static int
match_chain(const void *a, const void *b, Size size)
{
	const ChainKey *one = a;
	const ChainKey *other = b;

	return strcmp(one->project, other->project) != 0 || strcmp(one->subject, other->subject) != 0;
}

/* Create the table of chains. */
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

/* Mark a row as written or deleted.  Of several marks of one row the event takes the last. */
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
		*chain = (Chain) {{pstrdup(project), pstrdup(subject)}, NIL};
	mark->row = pstrdup(row);
	mark->digest = digest ? pstrdup(digest) : NULL;
	mark->writer = GetCurrentSubTransactionId();
	mark->teller = InvalidSubTransactionId;
	chain->marks = lappend(chain->marks, mark);
	MemoryContextSwitchTo(outer);
}

/*
 * Add random noise to the digests.  Otherwise somebody who sees an event's hash and knows all
 * but one value of a row could try values until the hash matches.
 */
static void
build_salt(JsonBuilder *builder)
{
	uint8		noise[16];

	if (!pg_strong_random(noise, sizeof(noise)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random bytes")));
	json_build_field(builder, "salt", word_base64(noise, sizeof(noise)));
}

/*
 * The last mark of a chain, if no event covers it yet; NULL: none waits.  Events cover all
 * marks at once, and a rollback uncovers them from the end, so the waiting marks are always
 * the last ones.
 */
static Mark *
last_waiting(const Chain *chain)
{
	Mark	   *last = chain && chain->marks ? llast(chain->marks) : NULL;

	return last && last->teller == InvalidSubTransactionId ? last : NULL;
}

/* The chain, if some of its marks wait for an event. */
static Chain *
find_chain(const char *project, const char *subject)
{
	ChainKey	key = {project, subject};
	Chain	   *chain = chains ? hash_search(chains, &key, HASH_FIND, NULL) : NULL;

	return last_waiting(chain) ? chain : NULL;
}

/* Do marks of a chain wait for an event? */
bool
mark_waits(const char *project, const char *subject)
{
	return find_chain(project, subject) != NULL;
}

/* Write the waiting marks of a chain; the event that is being written covers them. */
static void
tell_marks(JsonBuilder *builder, Chain *chain)
{
	int			first = list_length(chain->marks);

	while (first > 0 && ((Mark *) list_nth(chain->marks, first - 1))->teller == InvalidSubTransactionId)
		first--;
	for (; first < list_length(chain->marks); first++)
	{
		Mark	   *mark = list_nth(chain->marks, first);

		json_build_field(builder, word_written(chain->key.subject, mark->row),
						 mark->digest ? word_digest(mark->digest) : NULL);
		mark->teller = GetCurrentSubTransactionId();
	}
}

/* Forget a chain, and free its marks: a set makes three of each of its rows. */
static void
forget_chain(Chain *chain)
{
	ChainKey	key = chain->key;
	ListCell   *cell;

	foreach(cell, chain->marks)
	{
		Mark	   *mark = lfirst(cell);

		pfree(mark->row);
		if (mark->digest)
			pfree(mark->digest);
	}
	list_free_deep(chain->marks);
	hash_search(chains, &key, HASH_REMOVE, NULL);
	pfree(unconstify(char *, key.project));
	pfree(unconstify(char *, key.subject));
}

/*
 * Take the waiting marks of a chain for an event: an object from rows to digests, null for a
 * deleted row.  NULL: nothing waits.
 */
Jsonb *
mark_take(const char *project, const char *subject)
{
	Chain	   *chain = find_chain(project, subject);
	JsonBuilder builder;
	Jsonb	   *told;

	if (chain == NULL)
		return NULL;
	json_begin_object(&builder);
	build_salt(&builder);
	tell_marks(&builder, chain);
	told = json_builder_finish(&builder);
	/* outside of all subtransactions nothing can uncover them */
	if (GetCurrentTransactionNestLevel() == 1)
		forget_chain(chain);
	return told;
}

/*
 * Undo what an aborted subtransaction and those within it did: remove the marks that they
 * made, which are the last, and let the marks that their events covered wait again.
 */
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
		for (int i = list_length(chain->marks) - 1; i >= 0; i--)
		{
			Mark	   *mark = list_nth(chain->marks, i);

			if (mark->teller != InvalidSubTransactionId && mark->teller < subtransaction)
				break;
			mark->teller = InvalidSubTransactionId;
		}
		if (chain->marks == NIL)
			hash_search(chains, &chain->key, HASH_REMOVE, NULL);
	}
}

/* Refuse to commit while marks wait for an event. */
static void
check_marks(void)
{
	HASH_SEQ_STATUS every;
	Chain	   *chain;
	const Mark *mark;

	if (chains == NULL)
		return;
	hash_seq_init(&every, chains);
	while ((chain = hash_seq_search(&every)) != NULL)
		if ((mark = last_waiting(chain)) != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("a row was written, and nothing records it"),
					 errdetail("It is \"%s\", and no event of \"%s\" tells of it.", mark->row, chain->key.subject),
					 errhint("Look for triggers that are switched off: promote.restore_guards() brings them back.")));
}

/* Check the marks before a commit, and forget them when the transaction ends. */
static void
at_end(XactEvent event, void *argument)
{
	if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE)
		check_marks();
	else if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		chains = NULL;
}

/* Register for the ends of transactions.  Called when the library is loaded. */
void
mark_init(void)
{
	RegisterXactCallback(at_end, NULL);
	RegisterSubXactCallback(at_subend, NULL);
}
