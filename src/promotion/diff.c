/*
 * diff.c: what would run against what runs, and since when each difference waits.
 *
 * An entry waits since the desired revision that brought its new value, if nobody has deployed it since.  The last
 * plan says that of what it has shown already.  Revisions behind it have none: they are looked at one by one.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/fmgrprotos.h"

#include "base/grow.h"
#include "compose/entry.h"
#include "json/digest.h"
#include "json/path.h"
#include "json/render.h"
#include "json/writer.h"
#include "promotion/carry.h"
#include "promotion/deployment.h"
#include "promotion/diff.h"
#include "promotion/revert.h"
#include "registry/remote_reference.h"
#include "schema/schema.h"
#include "secret/secret.h"

#define MAX_FORMER 1000			/* revisions without a plan that are looked at */

/* ---- since when ---- */

/* An entry of the last plan. */
typedef struct Waiting
{
	const char *path;			/* not NUL-terminated */
	int			length;
	int32		since;
	Jsonb	   *reverts;		/* NULL: none */
} Waiting;

/* A diff whose entries are told since when they wait. */
typedef struct Clock
{
	Entries    *entries;
	const Carried *desired;		/* what they lead to */
	bool	   *open;			/* of each entry: may it have waited longer? */
	Size		left;			/* how many may */
	const char **moved;			/* paths in which a former state differs from desired, sorted */
	Size		moved_count;
	Size		moved_room;
	JsonbValue	plan;			/* the diff of the last plan */
	uint32		next;			/* the entry of that which is expected next */
	Waiting    *index;			/* all of them, sorted; NULL: not made yet */
} Clock;

/* Compare two paths. */
static int
compare_paths(const void *a, const void *b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* Note a path in which a former state differs. */
static void
add_moved(Clock *clock, const char *path)
{
	GROW(clock->moved, clock->moved_count, clock->moved_room);
	clock->moved[clock->moved_count++] = path;
}

/* Note a leaf in which a former state differs.  A JsonChangeCollector. */
static void
add_moved_leaf(void *state, const JsonChange *change)
{
	add_moved(state, pstrdup(change->path));
}

/*
 * Leave open what was the same in a former state of the revision, in which it has waited, then.  Everything is
 * allocated in the current memory context.
 */
static void
look_at(Clock *clock, const Carried *former)
{
	Entries		others = {NULL};

	clock->moved = NULL;
	clock->moved_count = clock->moved_room = 0;
	json_leaf_diff(former->params, NULL, clock->desired->params, NULL, add_moved_leaf, clock);
	entries_add_release(&others, former, clock->desired);
	entries_add_references(&others, former->references, clock->desired->references, NIL);
	for (Size i = 0; i < others.count; i++)
		add_moved(clock, others.list[i].path);
	if (clock->moved_count > 1)
		qsort(clock->moved, clock->moved_count, sizeof(char *), compare_paths);
	for (Size i = 0; i < clock->entries->count; i++)
	{
		Entry	   *entry = &clock->entries->list[i];

		if (!clock->open[i])
			continue;
		if (clock->moved_count == 0 ||
			bsearch(&entry->path, clock->moved, clock->moved_count, sizeof(char *), compare_paths) == NULL)
			entry->since = former->revision;
		else
		{
			clock->open[i] = false;
			clock->left--;
		}
	}
}

/* Read an entry of the last plan. */
static Waiting
read_waiting(const JsonbValue *entry)
{
	JsonbValue	value;
	Waiting		waiting = {""};

	if (!json_is_object(entry))
		return waiting;
	if (json_find(entry, "path", &value) && value.type == jbvString)
	{
		waiting.path = value.val.string.val;
		waiting.length = value.val.string.len;
	}
	if (json_find(entry, "since", &value) && value.type == jbvNumeric)
		waiting.since = DatumGetInt32(DirectFunctionCall1(numeric_int4, NumericGetDatum(value.val.numeric)));
	if (json_find(entry, "reverts", &value))
		waiting.reverts = json_from_view(&value);
	return waiting;
}

/* Compare two entries of a plan. */
static int
compare_waiting(const void *a, const void *b)
{
	const Waiting *left = a;
	const Waiting *right = b;
	int			order = memcmp(left->path, right->path, Min(left->length, right->length));

	return order != 0 ? order : left->length - right->length;
}

/* Read all entries of the last plan, in an order in which they are found. */
static void
make_index(Clock *clock)
{
	uint32		count = json_count(&clock->plan);

	clock->index = palloc_extended(Max(count, 1) * sizeof(Waiting), MCXT_ALLOC_HUGE);
	json_foreach(child, &clock->plan)
		clock->index[child.index] = read_waiting(&child.value);
	qsort(clock->index, count, sizeof(Waiting), compare_waiting);
}

/* What the last plan says of what waits, by its path; since is 0: nothing. */
static Waiting
find_waiting(Clock *clock, const char *path)
{
	static const Waiting nothing = {""};
	const Waiting wanted = {path, strlen(path)};
	Waiting    *found;

	/* what two diffs have in common stands in the same order in both */
	for (uint32 i = clock->next; i < clock->next + 4 && i < json_count(&clock->plan); i++)
	{
		JsonbValue	entry;
		Waiting		waiting;

		json_view_child(clock->plan.val.binary.data, i, &entry);
		waiting = read_waiting(&entry);
		if (compare_waiting(&waiting, &wanted) != 0)
			continue;
		clock->next = i + 1;
		return waiting;
	}
	if (clock->index == NULL)
		make_index(clock);
	found = bsearch(&wanted, clock->index, json_count(&clock->plan), sizeof(Waiting), compare_waiting);
	return found ? *found : nothing;
}

/* Tell what is open since when it waits by the last plan, whose state was looked at.  What that tells is closed. */
static void
ask_plan(Clock *clock, const Jsonb *diff)
{
	json_root(diff, &clock->plan);
	clock->next = 0;
	clock->index = NULL;
	for (Size i = 0; i < clock->entries->count && clock->left > 0; i++)
	{
		Entry	   *entry = &clock->entries->list[i];
		int32		since = clock->open[i] ? find_waiting(clock, entry->path).since : 0;

		if (since == 0)
			continue;
		entry->since = since;
		clock->open[i] = false;
		clock->left--;
	}
}

/* Take over from the last plan, which starts from the same that runs, what of the destination's own is undone. */
static void
take_reverts(Clock *clock, const Jsonb *diff)
{
	json_root(diff, &clock->plan);
	clock->next = 0;
	clock->index = NULL;
	for (Size i = 0; i < clock->entries->count; i++)
		clock->entries->list[i].reverts = find_waiting(clock, clock->entries->list[i].path).reverts;
}

/* Begin to tell since when the entries wait: since the newest revision, until something older is seen. */
static void
start_clock(Clock *clock, Entries *entries, const Carried *desired)
{
	*clock = (Clock) {.entries = entries,.desired = desired,.left = entries->count};
	clock->open = palloc_extended(Max(entries->count, 1) * sizeof(bool), MCXT_ALLOC_HUGE);
	for (Size i = 0; i < entries->count; i++)
	{
		entries->list[i].since = desired->revision;
		clock->open[i] = true;
	}
}

static const SqlField former_fields[] = {
	SQL_FIELDS(Carried, "r", revision, version, version_constraint, release_channel),
	SQL_FIELD(Carried, params, "c.params"),
	SQL_FIELD(Carried, slots, "(SELECT f.remote_references FROM promote.bundle_release AS f"
			  " WHERE f.bundle = r.bundle AND f.version = r.version)")
};

/* Desired revisions of an instance, which are looked at as they would be rendered now. */
typedef struct Past
{
	const InstanceKey *key;
	const Jsonb *parameters;	/* of the environment */
	Jsonb	   *references;		/* no revision says them, but for which slots */
	int32		newest;			/* the first that is looked at */
	int32		above;			/* those up to this are not */
	bool		read_only;
} Past;

/* Read a revision; false where it is gone. */
static bool
read_former(const Sql *sql, const Past *past, int32 revision, Carried *former)
{
	static Statement read = SQL_ROWS(former_fields, "SELECT $* FROM promote.revision AS r"
									 " JOIN promote.config AS c ON c.project = r.project AND c.digest = r.digest"
									 " WHERE " OF_INSTANCE("r") " AND r.revision = $4");
	SqlRows		rows = sql_read_if(sql, past->read_only, &read, AS_KEY(past->key), AS_INT(revision));

	if (!sql_row(&rows, 0, former))
		return false;
	former->params = json_render(former->params, past->parameters, true);
	former->references = reference_declared(past->references, former->slots);
	return true;
}

/*
 * Look at revisions that no plan tells of, the newest first, as long as something may have waited longer.  False where
 * there are more than anybody wants to look at.
 */
static bool
look_back(const Sql *sql, const Past *past, Clock *clock)
{
	int32		last = Max(past->above, past->newest - MAX_FORMER);

	for (int32 revision = past->newest; revision > last && clock->left > 0; revision--)
	{
		Sql			scope;
		Carried		former = {0};

		CHECK_FOR_INTERRUPTS();
		sql_enter(&scope);
		if (read_former(&scope, past, revision, &former))
			look_at(clock, &former);
		sql_leave(&scope);
	}
	return last == past->above;
}

static const SqlField planned_fields[] = {
	SQL_FIELDS(Carried, "r", version_constraint, release_channel)
};

/* The state that the last plan of a proposal's instance has shown.  Mostly it is of the desired revision. */
static void
take_planned(const Sql *sql, const ProposedRevision *proposed, bool read_only, Carried *planned)
{
	static Statement read = SQL_ROWS(planned_fields, "SELECT $* FROM promote.revision AS r"
									 " WHERE " OF_INSTANCE("r") " AND r.revision = $4");
	SqlRows		rows;

	*planned = (Carried) {
		.revision = proposed->plan_revision,
		.version = proposed->plan_version,
		.version_constraint = proposed->current_constraint,
		.release_channel = proposed->current_channel,
		.params = proposed->plan_params ? proposed->plan_params : proposed->proposal.own_params,
		.references = proposed->plan_references
	};
	if (proposed->plan_revision == proposed->current_revision)
		return;
	rows = sql_read_if(sql, read_only, &read, AS_KEY(&proposed->key), AS_INT(proposed->plan_revision));
	(void) sql_row(&rows, 0, planned);
}

/* Tell since when the entries of a proposal's diff wait, and what of the destination's own they undo. */
static void
tell_since(const Sql *sql, const ProposedRevision *proposed, bool read_only, const Carried *desired, Entries *entries)
{
	int32		base = proposed->proposal.runs ? proposed->proposal.runs->revision : 0;
	bool		is_planned = proposed->plan_revision > base ||
		(proposed->plan_revision > 0 && proposed->plan_base == proposed->deployed_by);
	const Past	past = {
		.key = &proposed->key,
		.parameters = proposed->proposal.parameters,
		.references = proposed->present_references,
		.newest = proposed->current_revision,
		.above = is_planned ? proposed->plan_revision : Max(base, proposed->opened_revision),
		.read_only = read_only
	};
	/* a plan that starts from something else has not told what of that is undone */
	bool		is_same_base = is_planned && proposed->plan_base == proposed->deployed_by;
	Carried		planned;
	Clock		clock;

	start_clock(&clock, entries, desired);
	if (look_back(sql, &past, &clock) && is_planned && clock.left > 0)
	{
		take_planned(sql, proposed, read_only, &planned);
		look_at(&clock, &planned);
		ask_plan(&clock, proposed->plan_diff);
	}
	if (proposed->plan_reverts && is_same_base)
		take_reverts(&clock, proposed->plan_diff);
	reverts_find(sql, proposed, is_same_base ? past.above : base, read_only, entries);
}

/* ---- secrets ---- */

/* Does a promotion copy a secret? */
static bool
is_copied(const ProposedRevision *proposed, const char *name)
{
	ListCell   *cell;

	foreach(cell, proposed->copied_secrets)
	{
		const SecretCopy *copy = lfirst(cell);

		if (strcmp(copy->name, name) == 0)
			return secret_is_copied(copy);
	}
	return false;
}

/* Add an entry for a secret.  Whoever sees it sees masks. */
static void
add_secret(Entries *entries, const char *name, bool replaced, int32 since)
{
	JsonbValue	mask = json_string(SENSITIVE_MASK, strlen(SENSITIVE_MASK));

	entries_add(entries, ENTRY_SECRET, entry_path(ENTRY_SECRET, name), replaced ? &mask : NULL, &mask,
				SCHEMA_SENSITIVE)->since = since;
}

/* Does a secret that promotions have brought wait? */
static bool
is_waiting(const ProposedRevision *proposed, const char *name)
{
	ListCell   *cell;

	foreach(cell, proposed->waiting_secrets)
		if (strcmp(((SecretWaiting *) lfirst(cell))->name, name) == 0)
			return true;
	return false;
}

/* Add the secrets that wait: those that promotions have brought, and those that this one copies. */
static void
add_secrets(Entries *entries, const ProposedRevision *proposed, int32 revision)
{
	ListCell   *cell;

	foreach(cell, proposed->waiting_secrets)
	{
		const SecretWaiting *waiting = lfirst(cell);

		add_secret(entries, waiting->name, waiting->replaced,
				   is_copied(proposed, waiting->name) ? revision : waiting->revision);
	}
	foreach(cell, proposed->copied_secrets)
	{
		const SecretCopy *copy = lfirst(cell);

		if (secret_is_copied(copy) && !is_waiting(proposed, copy->name))
			add_secret(entries, copy->name, copy->change == SECRET_REPLACED, revision);
	}
}

/* ---- diffs ---- */

/* What would run by a proposal, which is rendered. */
void
proposal_carried(const ProposedRevision *proposed, Carried *desired)
{
	const Proposal *proposal = &proposed->proposal;

	*desired = (Carried) {
		.revision = proposed->revision,
		.bundle = unconstify(char *, proposal->bundle),
		.version = unconstify(char *, proposal->version),
		.version_constraint = proposed->version_constraint,
		.release_channel = proposed->release_channel,
		.params = proposal->rendered,
		.template = proposal->rendered == proposal->params ? NULL : proposal->params,
		.schema = proposal->schema,
		.references = proposed->references
	};
}

/*
 * The entries of the diff from what runs to what would run by a proposal that is rendered, judged and numbered: its
 * revision is the desired one, or the next.
 */
void
proposal_entries(const Sql *sql, const ProposedRevision *proposed, bool read_only, Mask *mask, Entries *entries)
{
	const Carried *runs = proposed->proposal.runs;
	Carried		desired;

	proposal_carried(proposed, &desired);
	*entries = (Entries) {NULL};
	entries_add_release(entries, runs, &desired);
	entries_add_leaves(entries, mask, runs, &desired);
	entries_add_references(entries, runs ? runs->references : NULL, desired.references, proposed->replaced);
	tell_since(sql, proposed, read_only, &desired, entries);
	add_secrets(entries, proposed, desired.revision);
}

/* The diff of a proposal, see proposal_entries, as a document; made once. */
Jsonb *
proposal_diff(const Sql *sql, ProposedRevision *proposed, bool read_only)
{
	Entries		entries;

	if (proposed->diff == NULL)
	{
		proposal_entries(sql, proposed, read_only, compose_mask(&proposed->proposal), &entries);
		proposed->diff = entries_document(&entries);
		proposed->reverts = entries_revert(&entries);
	}
	return proposed->diff;
}

/*
 * Is there anything to deploy by a proposal whose diff was made?  Where a deployment has not come to its end since,
 * nobody knows what runs.
 */
bool
proposal_waits(const ProposedRevision *proposed)
{
	return JB_ROOT_COUNT(proposed->diff) > 0 || proposed->changed_by != proposed->deployed_by;
}

/* Make the diff of a checked proposal, and decide whether it gets the plan that it asks for: if anything waits. */
void
proposal_decide(const Sql *sql, ProposedRevision *proposed)
{
	carry_judge(sql, proposed, false);
	(void) proposal_diff(sql, proposed, false);
	proposed->plan = proposed->plan && proposal_waits(proposed);
}

/*
 * The paths that stay marked in what a plan of a checked proposal renders, except those written down with the
 * revision.  A revision that a verb has just made has them all.
 */
Jsonb *
proposal_plan_kept(const ProposedRevision *proposed)
{
	bool		is_new = proposed->revision > proposed->current_revision;

	if (is_new && proposed->is_staged)
		return NULL;
	return compose_kept_anew(&proposed->proposal, is_new ? proposed->proposal.kept : proposed->proposal.own_kept);
}

/* A plan that starts from something else than what runs. */
typedef struct Stray
{
	int32		deployed_by;	/* 0: nothing runs */
	Jsonb	   *diff;
	Jsonb	   *parameters;		/* of the environment */
} Stray;

static const SqlField stray_fields[] = {
	SQL_FIELD(Stray, deployed_by, "i.deployed_by"),
	SQL_FIELD(Stray, diff, "d.diff"),
	SQL_FIELD(Stray, parameters, "promote_internal.parameters_of(i.project, i.environment)")
};

/* Does the plan, by what it carries, replace something immutable of what may run? */
static bool
replaces(const Sql *sql, const InstanceKey *key, const Carried *planned, const List *deployed, const List *slots)
{
	ListCell   *cell;

	foreach(cell, deployed)
	{
		const Carried *runs = lfirst(cell);

		if (compose_replaced(runs->params, planned->params, planned->schema)[0] != '\0')
			return true;
	}
	return slots != NIL;
}

/*
 * Tell since when the entries of a plan wait that starts from something else than when it was queued, and what of the
 * destination's own they undo.  What was no entry then may have waited longer than the plan's revision, too: others may
 * have set it back to what ran.  And what has begun to run since may be the destination's own.
 */
static void
tell_stray(const Sql *sql, const InstanceKey *key, const Stray *stray, const Carried *planned, const Carried *runs,
		   Entries *entries)
{
	const Past	past = {
		.key = key,
		.parameters = stray->parameters,
		.references = planned->references,
		.newest = planned->revision - 1,
		.above = runs ? runs->revision : planned->revision
	};
	const ProposedRevision proposed = {.key = *key,.revision = planned->revision,.current_revision = planned->revision};
	Clock		clock;

	start_clock(&clock, entries, planned);
	take_reverts(&clock, stray->diff);
	ask_plan(&clock, stray->diff);
	/* what was taken away has to be added again since the plan */
	if (runs)
		(void) look_back(sql, &past, &clock);
	reverts_find(sql, &proposed, runs ? runs->revision : 0, false, entries);
}

/*
 * Make the diff of a plan anew, under the instance's lock, if something else runs than when it was made; false: that
 * is not so.
 */
bool
plan_rebase(const Sql *sql, const InstanceKey *key, int32 deployment, Rebase *rebase)
{
	static Statement read = SQL_ROWS(stray_fields, "SELECT $* FROM promote.instance AS i JOIN promote.deployment AS d"
									 " ON " OF_INSTANCE("d") " AND d.deployment = $4"
									 " AND d.base_deployment IS DISTINCT FROM i.deployed_by WHERE " OF_INSTANCE("i"));
	SqlRows		rows = sql_run(sql, &read, AS_KEY(key), AS_INT(deployment));
	Stray		stray;
	Carried		planned;
	List	   *deployed;
	List	   *slots;
	Mask	   *mask;
	Entries		entries = {NULL};
	ListCell   *cell;

	if (!sql_row(&rows, 0, &stray))
		return false;
	if (!deployment_carries(sql, key, deployment, false, &planned))
		elog(ERROR, "deployment %d is not there", deployment);
	deployed = deployments_running(sql, key, stray.deployed_by, false);
	rebase->runs = deployment_running(deployed, stray.deployed_by);
	slots = reference_replaced(sql, key, planned.slots, planned.references, false);
	mask = mask_create(planned.schema);
	mask_add_pair(mask, planned.template ? planned.template : planned.params, planned.params, planned.kept);
	compose_add_deployed(mask, deployed);
	entries_add_release(&entries, rebase->runs, &planned);
	entries_add_leaves(&entries, mask, rebase->runs, &planned);
	entries_add_references(&entries, rebase->runs ? rebase->runs->references : NULL, planned.references, slots);
	tell_stray(sql, key, &stray, &planned, rebase->runs, &entries);
	foreach(cell, secrets_waiting(sql, key, carried_began(rebase->runs), false))
	{
		const SecretWaiting *waiting = lfirst(cell);

		add_secret(&entries, waiting->name, waiting->replaced, waiting->revision);
	}
	rebase->destructive = replaces(sql, key, &planned, deployed, slots);
	rebase->reverts = entries_revert(&entries);
	rebase->diff = entries_document(&entries);
	return true;
}
