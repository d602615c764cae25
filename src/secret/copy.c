/*
 * copy.c: copying secrets with a promotion.
 *
 * The server opens the secrets and seals them again for the destination.  Nothing but their
 * names and what happened to each leaves the server.
 */
#include "postgres.h"

#include "base/wipe.h"
#include "json/digest.h"
#include "secret/row.h"
#include "secret/secret.h"

/* The state of one copying. */
typedef struct Copying
{
	const InstanceKey *source;
	const InstanceKey *destination;
	List	   *declared;		/* by the destination's release */
	const List *only;			/* names of those to be copied; NIL: all */
	List	   *from;			/* the source's rows */
	List	   *to;				/* the destination's */
	SecretKeys *keys;			/* NULL: not read yet */
	int32		revision;		/* that the promotion leads to; 0: nothing is written */
	TimestampTz began;			/* when what runs at the destination was begun; DT_NOBEGIN: nothing runs */
} Copying;

/* What happens to a secret, as a word. */
const char *
secret_change_word(SecretChange change)
{
	static const char *const words[] = {
		[SECRET_KEPT] = "kept",
		[SECRET_SET] = "set",
		[SECRET_REPLACED] = "replaced",
		[SECRET_SAME] = "same",
		[SECRET_UNDECLARED] = "undeclared",
		[SECRET_MISSING] = "missing",
		[SECRET_LEFT] = "left"
	};

	return words[change];
}

/* What copying a secret would do. */
static SecretChange
judge(const Copying *copying, const char *name)
{
	const SecretRow *from = secret_row_find(copying->from, name);
	const SecretRow *to = secret_row_find(copying->to, name);
	const SecretDeclaration *declared = secret_declared(copying->declared, name);

	if (from == NULL)
		return to ? SECRET_KEPT : SECRET_MISSING;
	if (declared == NULL)
		return SECRET_UNDECLARED;
	if (to == NULL)
		return SECRET_SET;
	/* a secret that was set as text, and is declared as JSON now, is set again as JSON */
	return json_digest_equal(from->fingerprint, to->fingerprint) && (!declared->json || to->json) ?
		SECRET_SAME : SECRET_REPLACED;
}

/*
 * Open the source's secret and seal it for the destination.  What is not
 * written is opened and checked as well: a preview refuses what the promotion
 * would.
 */
static void
carry(const Sql *sql, Copying *copying, const char *name)
{
	const SecretDeclaration *declared = secret_declared(copying->declared, name);
	const SecretRow *from = secret_row_find(copying->from, name);
	SecretRow	row = {.name = from->name,.fingerprint = from->fingerprint,.json = declared->json || from->json,
		.revision = copying->revision,.began = copying->began};
	Size		length;
	char	   *value;

	if (copying->keys == NULL)
		copying->keys = secret_keys_load();
	value = secret_row_open(sql, copying->keys, copying->source, from, copying->revision == 0, &length);
	secret_check_value(copying->destination, declared, value, length);
	if (copying->revision > 0)
		secret_row_write(sql, copying->keys, copying->destination, &row, value, length);
	wiped_free(value);
}

/* Copy one secret, and note what was done. */
static SecretCopy *
copy_one(const Sql *sql, Copying *copying, const char *name)
{
	SecretCopy *copy = palloc(sizeof(SecretCopy));

	copy->name = name;
	copy->change = judge(copying, name);
	if (copying->only != NIL && !names_hold(copying->only, name))
		copy->change = copy->change == SECRET_REPLACED ? SECRET_KEPT : SECRET_LEFT;
	if (copy->change == SECRET_SET || copy->change == SECRET_REPLACED)
		carry(sql, copying, name);
	return copy;
}

/* Compare two names. */
static int
compare_names(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

/* The names to report: the declared ones and those of the source, sorted and each once. */
static List *
all_names(const Copying *copying)
{
	List	   *names = NIL;
	ListCell   *cell;

	foreach(cell, copying->declared)
		names = lappend(names, ((SecretDeclaration *) lfirst(cell))->name);
	foreach(cell, copying->from)
		if (!secret_declared(copying->declared, ((SecretRow *) lfirst(cell))->name))
			names = lappend(names, ((SecretRow *) lfirst(cell))->name);
	list_sort(names, compare_names);
	return names;
}

/*
 * Copy the source's secrets to the destination, with the revision that the promotion leads to, or
 * (that is 0) only say what copying would do to each.  Returns a list of SecretCopy *, sorted by
 * name.  declared is what the release declares that the destination will run; only has the names
 * of those to be copied, NIL: all; began is when what runs there was begun (DT_NOBEGIN: nothing
 * runs).  The caller holds the locks of both instances.
 */
List *
secret_copy(const Sql *sql, const InstanceKey *source, const InstanceKey *destination, const Jsonb *declared,
			const List *only, int32 revision, TimestampTz began)
{
	Copying		copying = {
		.source = source,
		.destination = destination,
		.declared = secret_declarations(declared),
		.only = only,
		.from = secret_rows(sql, source, revision == 0),
		.to = secret_rows(sql, destination, revision == 0),
		.revision = revision,
		.began = began
	};
	List	   *copies = NIL;
	ListCell   *cell;

	foreach(cell, all_names(&copying))
		copies = lappend(copies, copy_one(sql, &copying, lfirst(cell)));
	if (copying.keys)
		wiped_free(copying.keys);
	return copies;
}
