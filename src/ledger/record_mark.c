/*
 * record_mark.c: the rows that a transaction has written and that no event
 * tells of yet.
 *
 * The digest of a row that a verb writes is kept here until the verb appends
 * its event to the chain that the row belongs to; audit_append takes it along.
 * What a subtransaction has written goes with it, and what it has only told of
 * waits again: a trigger that a user added may call a verb on the way, and
 * take it back.  A transaction does not commit with a row that nothing tells
 * of: that would be a verb that forgot.
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "json/builder.h"
#include "ledger/record_mark.h"

/* A row that was written. */
typedef struct Mark
{
	const char *row;			/* its table and key */
	const char *digest;			/* hexadecimal; NULL: it is gone */
	SubTransactionId writer;
	SubTransactionId teller;	/* that an event tells of it in; invalid: none does yet */
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

/* The hash of a chain's names.  A HashValueFunc. */
static uint32
hash_chain(const void *key, Size size)
{
	const ChainKey *chain = key;

	return string_hash(chain->project, NAMEDATALEN) ^ hash_bytes((const unsigned char *) chain->subject, strlen(chain->subject));
}

/* 0 where two chains have the same names.  A HashCompareFunc. */
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
	mark->teller = InvalidSubTransactionId;
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

/*
 * The last row of a chain, if no event tells of it yet; NULL: there is none.
 * Rows are told of all at once, and what they tell is taken back from its
 * end, so that those that wait are always the last.
 */
static Mark *
last_waiting(const Chain *chain)
{
	Mark	   *last = chain && chain->marks ? llast(chain->marks) : NULL;

	return last && last->teller == InvalidSubTransactionId ? last : NULL;
}

/* The chain, if rows of it were written that no event tells of yet. */
static Chain *
find_chain(const char *project, const char *subject)
{
	ChainKey	key = {project, subject};
	Chain	   *chain = chains ? hash_search(chains, &key, HASH_FIND, NULL) : NULL;

	return last_waiting(chain) ? chain : NULL;
}

/* Were rows of a chain written that no event tells of yet? */
bool
mark_waits(const char *project, const char *subject)
{
	return find_chain(project, subject) != NULL;
}

/* Write what waits of a chain, which an event tells of now. */
static void
tell_marks(JsonBuilder *builder, Chain *chain)
{
	int			first = list_length(chain->marks);

	while (first > 0 && ((Mark *) list_nth(chain->marks, first - 1))->teller == InvalidSubTransactionId)
		first--;
	for (; first < list_length(chain->marks); first++)
	{
		Mark	   *mark = list_nth(chain->marks, first);

		json_build_field(builder, mark->row, mark->digest);
		mark->teller = GetCurrentSubTransactionId();
	}
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

	if (chain == NULL)
		return NULL;
	json_builder_init(&builder);
	json_build_begin_object(&builder);
	build_salt(&builder);
	tell_marks(&builder, chain);
	json_build_end_object(&builder);
	/* outside of all subtransactions it is for good */
	if (GetCurrentTransactionNestLevel() == 1)
		hash_search(chains, &chain->key, HASH_REMOVE, NULL);
	return json_builder_finish(&builder);
}

/* Forget what an aborted subtransaction wrote, and those within it: all that began later; and that it told of others. */
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

/* Refuse to commit what no event tells of. */
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
