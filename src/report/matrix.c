/*
 * matrix.c: where each component stands in each environment, and whether it
 * may be promoted on.
 *
 * One statement reads all instances, and what gates look at is read once for each
 * environment, as a project has many cells.  Cells are judged by the gates of
 * gate/judge.c that need no plan.  GateKnown tells these what was read of all
 * cells at once, so that most of them read nothing.  How far cells are behind is
 * counted once for all that have the same configurations and releases.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/snapmgr.h"

#include "base/argument.h"
#include "base/attempt.h"
#include "base/compat.h"
#include "base/result.h"
#include "gate/gate.h"
#include "gate/window.h"
#include "grant/access.h"
#include "grant/grants.h"
#include "grant/role.h"
#include "json/digest.h"
#include "json/render.h"
#include "ledger/config_digest.h"
#include "promotion/promotion.h"

PG_FUNCTION_INFO_V1(promote_matrix);

#define KEY_SIZE (3 * (NAME_MAX_LENGTH + 1))	/* of up to three names put together, with the end */

/* An environment, with its rules and what they look at. */
typedef struct Place
{
	char		name[KEY_SIZE]; /* project-environment; the hash's key */
	GateCase	rules;			/* the part of a case that is the environment's */
	List	   *next;			/* environments that paths lead to, of char * */
	List	   *before;			/* environments that they lead from, likewise */
	bool		pinned;			/* its version policy */
	bool		has_checks;
	int			leading;		/* paths to it from environments that have no depth yet */
	int			depth;			/* length of the longest way that leads to it */
} Place;

static const SqlField place_fields[] = {
	SQL_FIELD(Place, rules.key.project, "e.project"),
	SQL_FIELD(Place, rules.key.environment, "e.environment"),
	SQL_FIELD(Place, rules.require_source_in_sync, "e.require_source_in_sync"),
	SQL_FIELD(Place, rules.require_no_drift, "e.require_no_drift"),
	SQL_FIELD(Place, rules.require_proven_release, "e.require_proven_release"),
	SQL_FIELD(Place, rules.require_artifact_digest, "e.require_artifact_digest"),
	SQL_FIELD(Place, rules.require_structure, "e.require_structure::pg_catalog.text"),
	SQL_FIELD(Place, rules.required_soak, "e.required_soak"),
	SQL_FIELD(Place, rules.path_only, "e.source_policy = 'path'"),
	SQL_FIELD(Place, pinned, "e.version_policy = 'pinned'"),
	SQL_FIELD(Place, has_checks, "EXISTS (SELECT FROM promote.required_check AS c"
			  " WHERE c.scope = ANY (promote_internal.rule_scopes(e.project, e.environment)))")
};

/* A release. */
typedef struct Release
{
	char	   *version;		/* NULL: there is none */
	bool		blocked;		/* as in GateKnown, like what follows */
	bool		declares;
	bool		digested;
} Release;

/* An instance. */
typedef struct Cell
{
	char		name[KEY_SIZE]; /* the hash's key */
	InstanceKey key;
	SourceStatus runs;
	char	   *waits_for;		/* what of other components its next deployment waits for; NULL: nothing */
	int32		revision;		/* 0: it desires nothing yet */
	char	   *bundle;
	Release		desired;		/* no version: none matches its constraint */
	Release		deployed;		/* no version: it runs nothing */
	char	   *artifact_digest;	/* of the release that it desires; NULL: none */
	char	   *version_constraint;
	char	   *version_policy; /* the component's; NULL: what the destination's environment says */
	bytea	   *digest;
	char	   *came_from;		/* environment that it was promoted from last; NULL: none */
	int32		came_revision;
	Jsonb	   *attributes;		/* effective */
	bool		references_run; /* were remote references deployed? */
	char	   *desired_actor;	/* who asked for what is desired, and when; NULL: nobody yet */
	TimestampTz desired_at;
	char	   *deployed_actor; /* who asked for what runs, and when that was done; NULL: nothing runs */
	TimestampTz deployed_at;
	bool		differs;		/* as in GateKnown; so is held */
	bool		held;
} Cell;

static const SqlField cell_fields[] = {
	SQL_FIELD(Cell, key.project, "c.project"),
	SQL_FIELD(Cell, key.environment, "c.environment"),
	SQL_FIELD(Cell, key.component, "c.component"),
	SQL_FIELD(Cell, runs.status, "c.status"),
	SQL_FIELD(Cell, runs.since, "c.since"),
	SQL_FIELD(Cell, waits_for, "c.waits_for"),
	SQL_FIELD(Cell, runs.deployed_revision, "c.deployed_revision"),
	SQL_FIELD(Cell, runs.deployed_version, "c.deployed_version"),
	SQL_FIELD(Cell, runs.deployed_digest, "c.deployed_digest"),
	SQL_FIELD(Cell, runs.rendered_digest, "c.rendered_digest"),
	SQL_FIELDS(Cell, "c", revision, bundle, digest, artifact_digest, version_constraint, version_policy),
	SQL_FIELD(Cell, desired.version, "c.version"),
	SQL_FIELD(Cell, desired.blocked, "c.blocked"),
	SQL_FIELD(Cell, desired.declares, "c.declares"),
	SQL_FIELD(Cell, desired.digested, "c.digested"),
	SQL_FIELD(Cell, deployed.version, "c.deployed_version"),
	SQL_FIELD(Cell, deployed.blocked, "c.deployed_blocked"),
	SQL_FIELD(Cell, deployed.declares, "c.deployed_declares"),
	SQL_FIELD(Cell, deployed.digested, "c.deployed_digested"),
	SQL_FIELD(Cell, came_from, "c.source_environment"),
	SQL_FIELD(Cell, came_revision, "c.source_revision"),
	SQL_FIELDS(Cell, "c", attributes, references_run, desired_actor, desired_at, deployed_actor, deployed_at)
};

static const SqlField key_fields[] = {
	SQL_FIELDS(InstanceKey, "k", project, environment, component)
};

/* A path from one environment to another. */
typedef struct Path
{
	char	   *project;
	char	   *source;
	char	   *destination;
} Path;

static const SqlField path_fields[] = {
	SQL_FIELD(Path, project, "p.project"),
	SQL_FIELD(Path, source, "p.source_environment"),
	SQL_FIELD(Path, destination, "p.destination_environment")
};

/* All that was read. */
typedef struct Matrix
{
	HTAB	   *places;
	HTAB	   *cells;
	HTAB	   *counts;			/* what was counted between two states, see find_count */
	Oid			role;			/* the role that asks, and is shown what it may see */
	Datum		projects;		/* their names, an array */
	Cell	  **rows;			/* the cells in the order they are shown in */
	uint64		count;
	bool		minds_drift;	/* does an environment require that there is no drift? */
	TimestampTz now;
} Matrix;

/* A hash whose keys are names, or bytes. */
static HTAB *
make_hash(const char *name, Size key_size, Size entry_size, int kind)
{
	HASHCTL		control = {.keysize = key_size,.entrysize = entry_size,.hcxt = CurrentMemoryContext};

	return hash_create(name, 256, &control, HASH_ELEM | HASH_CONTEXT | kind);
}

/* Find an entry by two or three names; if there is none, make it if make is set, else NULL. */
static void *
find(HTAB *hash, const char *project, const char *environment, const char *component, bool make)
{
	char		name[KEY_SIZE];
	bool		found;

	snprintf(name, sizeof(name), "%s-%s%s%s", project, environment, component ? "-" : "",
			 component ? component : "");
	return hash_search(hash, name, make ? HASH_ENTER : HASH_FIND, &found);
}

/* Read the environments with their rules. */
static void
read_places(const Sql *sql, Matrix *matrix)
{
	static Statement read = SQL_ROWS(place_fields, "SELECT $* FROM promote.environment AS e WHERE e.project = ANY ($1)"
									 " AND e.archived_at IS NULL");
	SqlRows		rows = sql_read(sql, &read, AS_TEXTS(matrix->projects));

	for (uint64 i = 0; i < rows.count; i++)
	{
		Place		row = {.rules = {.action = ACTION_PROVISION, .at = matrix->now, .now = matrix->now}};
		Place	   *place;

		(void) sql_row(&rows, i, &row);
		place = find(matrix->places, row.rules.key.project, row.rules.key.environment, NULL, true);
		memcpy(row.name, place->name, KEY_SIZE);
		*place = row;
		matrix->minds_drift |= row.rules.require_no_drift;
	}
}

/*
 * Give each environment its depth, once all environments that lead to it have
 * theirs.  Following each way through the paths would take too long: there are far
 * more ways than paths.
 */
static void
push_down(Matrix *matrix, List *places)
{
	/* the list grows in this loop */
	for (int i = 0; i < list_length(places); i++)
	{
		const Place *place = list_nth(places, i);
		ListCell   *cell;

		CHECK_FOR_INTERRUPTS();
		foreach(cell, place->next)
		{
			Place	   *next = find(matrix->places, place->rules.key.project, lfirst(cell), NULL, false);

			if (next == NULL)
				continue;
			next->depth = Max(next->depth, place->depth + 1);
			if (--next->leading == 0)
				places = lappend(places, next);
		}
	}
}

/* Read the paths, and find the depth of each environment. */
static void
read_paths(const Sql *sql, Matrix *matrix)
{
	static Statement read = SQL_ROWS(path_fields, "SELECT $* FROM promote.promotion_path AS p WHERE p.project = ANY ($1)"
									 " ORDER BY p.project, p.source_environment, p.destination_environment");
	SqlRows		rows = sql_read(sql, &read, AS_TEXTS(matrix->projects));
	HASH_SEQ_STATUS each;
	List	   *first = NIL;
	Place	   *place;

	for (uint64 i = 0; i < rows.count; i++)
	{
		Path		path;
		Place	   *to;

		(void) sql_row(&rows, i, &path);
		to = find(matrix->places, path.project, path.destination, NULL, false);
		place = find(matrix->places, path.project, path.source, NULL, false);
		if (place == NULL || to == NULL)
			continue;
		place->next = lappend(place->next, path.destination);
		to->before = lappend(to->before, path.source);
		to->leading++;
	}
	hash_seq_init(&each, matrix->places);
	while ((place = hash_seq_search(&each)) != NULL)
		if (place->leading == 0)
			first = lappend(first, place);
	push_down(matrix, first);
}

/* Read the instances that the role may see: what it may not see is no destination, either. */
static void
read_cells(const Sql *sql, Matrix *matrix)
{
	static Statement read = SQL_ROWS(cell_fields, "SELECT $* FROM promote_internal.matrix_cell AS c WHERE c.project = ANY ($1)");
	SqlRows		rows = sql_read(sql, &read, AS_TEXTS(matrix->projects));

	matrix->rows = palloc_extended((rows.count + 1) * sizeof(Cell *), MCXT_ALLOC_HUGE);
	for (uint64 i = 0; i < rows.count; i++)
	{
		Cell		row = {.differs = false};
		Cell	   *cell;

		(void) sql_row(&rows, i, &row);
		if (!grants_role_may(matrix->role, GRANTS_ROWS, row.key.project, row.key.environment))
			continue;
		cell = find(matrix->cells, row.key.project, row.key.environment, row.key.component, true);
		memcpy(row.name, cell->name, KEY_SIZE);
		*cell = row;
		matrix->rows[matrix->count++] = cell;
	}
}

/* Set a flag of the cells whose keys a statement returns. */
static void
mark_cells(const Sql *sql, Matrix *matrix, Statement *read, Size flag)
{
	SqlRows		rows = sql_read(sql, read, AS_TEXTS(matrix->projects));

	for (uint64 i = 0; i < rows.count; i++)
	{
		InstanceKey key;
		Cell	   *cell;

		(void) sql_row(&rows, i, &key);
		cell = find(matrix->cells, key.project, key.environment, key.component, false);
		if (cell)
			*(bool *) ((char *) cell + flag) = true;
	}
}

/* Mark the cells that the gates of drift and of requests have to look at. */
static void
mark_closed(const Sql *sql, Matrix *matrix)
{
	static Statement differing = SQL_ROWS(key_fields, "SELECT $* FROM promote_internal.differing_instance AS k"
										  " WHERE k.project = ANY ($1)");
	static Statement held = SQL_ROWS(key_fields, "SELECT $* FROM promote_internal.holding_request AS k"
									 " WHERE k.project = ANY ($1)");

	if (matrix->minds_drift)
		mark_cells(sql, matrix, &differing, offsetof(Cell, differs));
	mark_cells(sql, matrix, &held, offsetof(Cell, held));
}

/* ---- may it be promoted on? ---- */

/* Are they one release? */
static bool
same_version(const Release *a, const Release *b)
{
	return a->version && b->version && strcmp(a->version, b->version) == 0;
}

/* Does a promotion of a component to an environment take the version that its source runs? */
static bool
is_pinned(const Place *to, const Cell *cell)
{
	return cell->version_policy ? strcmp(cell->version_policy, "pinned") == 0 : to->pinned;
}

/* The release that would be promoted from a cell to an environment. */
static const Release *
promoted(const Place *to, const Cell *cell)
{
	return is_pinned(to, cell) ? &cell->deployed : &cell->desired;
}

/* Make the case of a promotion from a cell to another one, at. */
static void
make_case(const Sql *sql, Place *to, const Cell *cell, const Cell *at, GateCase *gate)
{
	/* read once for all cells of the environment */
	if (to->rules.windows == NULL)
		to->rules.windows = window_read(sql, to->rules.key.project, to->rules.key.environment, NULL);
	*gate = to->rules;
	gate->key = at->key;
	gate->instance = at->name;
	gate->bundle = cell->bundle;
	gate->version = promoted(to, cell)->version;
	gate->revision = at->revision + 1;	/* that it would be */
	gate->source_environment = cell->key.environment;
	gate->source_revision = cell->revision;
	gate->source_digest = cell->digest;
	gate->attributes = at->attributes;
}

/* A case that is to be composed. */
typedef struct Composing
{
	const Sql  *sql;
	const Cell *cell;
	const Cell *at;
	GateCase   *gate;
} Composing;

/*
 * Compose what would be promoted, for the gate of drift, which lets what was
 * deployed already pass, for that of structure, and for destinations without a
 * configuration, to which much may be missing.  That takes longer than all other gates together.  attempt
 * runs this: what cannot be composed is refused.
 */
static void
compose_case(void *state)
{
	const Composing *composing = state;
	Promotion	promotion = {
		.source = composing->cell->key,
		.destination = composing->at->key,
		.overrides = json_empty_object()
	};
	ProposedRevision *proposed = &promotion.proposed;

	promotion_read(composing->sql, &promotion, true);
	if (proposal_is_fresh(proposed))
		proposal_check(proposed);
	proposed->digest = config_digest(composing->at->key.project, proposed->proposal.params);
	composing->gate->digest = proposed->digest;
	composing->gate->params = json_render(proposed->proposal.params, proposed->proposal.parameters, true);
	composing->gate->rendered_digest = config_digest(composing->at->key.project, composing->gate->params);
	if (stage_is_unchanged(proposed))
		composing->gate->revision = composing->at->revision;
}

/* Judge a promotion by the gates that can judge before it is staged. */
static void
judge(const Sql *sql, const Place *to, const Cell *cell, const Cell *at, GateCase *gate)
{
	const Release *release = promoted(to, cell);
	const GateKnown known = {
		.blocked = release->blocked,
		.declares = release->declares,
		.checks = to->has_checks,
		.differs = at->differs,
		.held = at->held,
		.proven = same_version(&cell->deployed, release),
		.digested = release->digested,
		.source = &cell->runs
	};
	Composing	composing = {sql, cell, at, gate};
	Refusal		refusal;
	bool		composed = true;

	gate->known = &known;
	/* what is wrong with one instance is said of that one, and the others are judged */
	if (((gate->require_no_drift && at->differs) || gate->require_structure || at->revision == 0) && !release->blocked)
		composed = attempt(compose_case, &composing, &refusal);
	gate_judge_unstaged(sql, gate);
	if (!composed)
		gate_block(gate, "params", NULL, GATE_NO_TIME, GATE_NO_TIME, "whoever configures it", refusal.message);
	gate->known = NULL;
}

/* Does a destination desire already what would be promoted to it? */
static bool
is_there(const Place *to, const Cell *cell, const Cell *at)
{
	return at->came_from && strcmp(at->came_from, cell->key.environment) == 0 && at->came_revision == cell->revision &&
		same_version(&at->desired, promoted(to, cell)) &&
		(!is_pinned(to, cell) || strcmp(at->version_constraint, cell->deployed.version) == 0);
}

/* Why a cell cannot be promoted to an environment now; "": it can. */
static char *
obstacles(const Sql *sql, Place *to, const Cell *cell, const Cell *at)
{
	GateCase	gate;

	if (cell->revision == 0)
		return "it has no configuration yet";
	if (promoted(to, cell)->version == NULL)
		return is_pinned(to, cell) ? "it runs no release that the promotion could be pinned to" :
			"no release matches its version constraint";
	if (is_there(to, cell, at) && at->deployed.version && !same_version(&at->deployed, &at->desired))
		return psprintf("revision %d is there already; release %s runs there, not %s yet", cell->revision,
						at->deployed.version, at->desired.version);
	if (is_there(to, cell, at))
		return psprintf("revision %d is there already", cell->revision);
	if (strcmp(at->runs.status, "decommissioned") == 0)
		return proposal_would_revive(&at->key);
	make_case(sql, to, cell, at, &gate);
	judge(sql, to, cell, at, &gate);
	return gate.blockers == NIL ? "" : gate_reasons(&gate);
}

/* What a cell's row says of where it may go next. */
typedef struct Onward
{
	List	   *next;			/* environments, of char * */
	bool		promotable;		/* to one of them */
	StringInfoData why_not;
} Onward;

/* Find out where a cell may go next. */
static void
look_onward(const Sql *sql, Matrix *matrix, const Cell *cell, Onward *onward)
{
	Place	   *place = find(matrix->places, cell->key.project, cell->key.environment, NULL, false);
	ListCell   *each;

	onward->next = NIL;
	onward->promotable = false;
	initStringInfo(&onward->why_not);
	if (place == NULL)
		return;
	foreach(each, place->next)
	{
		const char *name = lfirst(each);
		Cell	   *at = find(matrix->cells, cell->key.project, name, cell->key.component, false);
		Place	   *to = find(matrix->places, cell->key.project, name, NULL, false);
		char	   *why;

		if (at == NULL || to == NULL)
			continue;
		onward->next = lappend(onward->next, (char *) name);
		why = obstacles(sql, to, cell, at);
		if (why[0] == '\0')
			onward->promotable = true;
		else
			appendStringInfo(&onward->why_not, "%s%s: %s", onward->why_not.len > 0 ? "\n" : "", name, why);
	}
}

/* ---- how far is it behind? ---- */

#define COUNT_KEY_SIZE 32		/* of a SHA-256 */

/* A number that was counted once for all cells that it holds for. */
typedef struct Count
{
	char		key[COUNT_KEY_SIZE];	/* digest of what it was counted of; the hash's key */
	int32		count;
} Count;

/* Find what was counted of a document; not found, it is there to be filled in. */
static Count *
find_count(Matrix *matrix, JsonBuilder *of, bool *found)
{
	bytea	   *digest = json_digest(json_builder_finish(of));

	return hash_search(matrix->counts, VARDATA_ANY(digest), HASH_ENTER, found);
}

/* How many releases lie between what a cell runs and what the one upstream of it runs. */
static int32
count_releases(const Sql *sql, Matrix *matrix, const Cell *cell, const Cell *upstream)
{
	static Statement read = {"SELECT promote_internal.releases_between($1, $2, $3)"};
	JsonBuilder of;
	Count	   *count;
	bool		found;

	if (same_version(&cell->deployed, &upstream->deployed))
		return 0;
	json_begin_object(&of);
	json_build_field(&of, "bundle", cell->bundle);
	json_build_field(&of, "older", cell->deployed.version);
	json_build_field(&of, "newer", upstream->deployed.version);
	count = find_count(matrix, &of, &found);
	if (!found)
	{
		SqlRows		rows = sql_read(sql, &read, AS_TEXT(cell->bundle), AS_TEXT(cell->deployed.version),
									AS_TEXT(upstream->deployed.version));

		count->count = sql_int(&rows, 0);
	}
	return count->count;
}

#define NOT_COMPOSED (-1)		/* of a count: the configuration cannot be composed */

/*
 * The digest of the configuration that a cell runs.  In sync it runs what it desires, which may be written otherwise
 * and be rendered the same.
 */
static const bytea *
run_digest(const Cell *cell)
{
	return strcmp(cell->runs.status, "in_sync") == 0 ? cell->digest : cell->runs.deployed_digest;
}

/* Leaves that are to be counted between what a cell runs and what would be promoted to it by a release. */
typedef struct Leaves
{
	const Sql  *sql;
	const Cell *cell;
	const Cell *upstream;
	const char *version;
	int32		count;
} Leaves;

/* Count them.  attempt runs this: what cannot be composed is refused. */
static void
compose_leaves(void *state)
{
	static Statement read = {"SELECT promote_internal.leaves_between($1, $2, $3, $4, $5, $6)"};
	Leaves	   *leaves = state;
	const Cell *cell = leaves->cell;
	SqlRows		rows = sql_read(leaves->sql, &read, AS_TEXT(cell->key.project), AS_BYTEA(leaves->upstream->digest),
								AS_BYTEA(cell->digest), AS_BYTEA(run_digest(cell)),
								AS_TEXT(leaves->upstream->bundle), AS_TEXT(leaves->version));

	leaves->count = sql_int(&rows, 0);
}

/* Count leaves, unless that was done before. */
static int32
count_leaves(Matrix *matrix, Leaves *leaves)
{
	const Cell *cell = leaves->cell;
	const bytea *source = leaves->upstream->digest;
	JsonBuilder of;
	Count	   *count;
	Refusal		refusal;
	bool		found;

	if (json_digest_equal(source, run_digest(cell)) && json_digest_equal(source, cell->digest))
		return 0;
	json_begin_object(&of);
	json_build_field(&of, "source", audit_hex(source));
	json_build_field(&of, "own", audit_hex(cell->digest));
	json_build_field(&of, "deployed", audit_hex(run_digest(cell)));
	json_build_field(&of, "bundle", leaves->upstream->bundle);
	json_build_field(&of, "version", leaves->version);
	count = find_count(matrix, &of, &found);
	if (!found)
		count->count = attempt(compose_leaves, leaves, &refusal) ? leaves->count : NOT_COMPOSED;
	return count->count;
}

/* In how many remote references it does: those that are set now, in slots of the release. */
static int32
count_references(const Sql *sql, const Cell *cell, const Cell *upstream, const Release *release)
{
	static Statement read = {"SELECT promote_internal.references_between($1, $2, $3, $4, $5)"};
	SqlRows		rows;

	if (!release->declares && !cell->references_run)
		return 0;
	rows = sql_read(sql, &read, AS_KEY(&cell->key), AS_TEXT(upstream->bundle), AS_TEXT(release->version));
	return sql_int(&rows, 0);
}

/* The cell that another is compared with; NULL: there is none.  See the comments of promotion_matrix. */
static const Cell *
find_upstream(const Matrix *matrix, const Cell *cell, const Place *place)
{
	const Cell *upstream = NULL;
	ListCell   *each;

	if (cell->came_from)
		upstream = find(matrix->cells, cell->key.project, cell->came_from, cell->key.component, false);
	foreach(each, place ? place->before : NIL)
		if (upstream == NULL)
			upstream = find(matrix->cells, cell->key.project, lfirst(each), cell->key.component, false);
	return upstream;
}

/* How far a cell is behind. */
typedef struct Behind
{
	const char *upstream;		/* environment; NULL: there is none */
	SqlValue	releases;
	SqlValue	leaves;
} Behind;

/* Find out how far a cell is behind the one upstream of it. */
static Behind
look_behind(const Sql *sql, Matrix *matrix, const Cell *cell)
{
	const Place *place = find(matrix->places, cell->key.project, cell->key.environment, NULL, false);
	const Cell *upstream = find_upstream(matrix, cell, place);
	Behind		behind = {.releases = AS_NUMBER(0),.leaves = AS_NUMBER(0)};
	const Release *release;
	Leaves		leaves;
	int32		count;

	if (upstream == NULL)
		return behind;
	behind.upstream = upstream->key.environment;
	if (cell->deployed.version == NULL)
		return behind;
	release = promoted(place, upstream);
	if (upstream->deployed.version)
		behind.releases = AS_INT(count_releases(sql, matrix, cell, upstream));
	if (upstream->revision == 0 || release->version == NULL)
		return behind;
	leaves = (Leaves) {sql, cell, upstream, release->version};
	count = count_leaves(matrix, &leaves);
	if (count != NOT_COMPOSED)
		behind.leaves = AS_INT(count + count_references(sql, cell, upstream, release));
	return behind;
}

/* Put a cell's row. */
static void
put_cell(FunctionCallInfo fcinfo, const Sql *sql, Matrix *matrix, const Cell *cell)
{
	Onward		onward;
	Behind		behind = look_behind(sql, matrix, cell);

	look_onward(sql, matrix, cell, &onward);
	result_put(fcinfo, AS_TEXT(cell->key.project), AS_TEXT(cell->key.component), AS_TEXT(cell->key.environment),
			   AS_TEXT(cell->name), AS_TEXT(cell->runs.status), AS_TIME(cell->runs.since), AS_NUMBER(cell->revision),
			   AS_TEXT(cell->desired.version), AS_BYTEA(cell->digest),
			   AS_TEXTS(onward.next ? names_array(onward.next) : (Datum) 0),
			   sql_value(BOOLOID, onward.next == NIL, BoolGetDatum(onward.promotable)),
			   AS_TEXT(onward.why_not.len > 0 ? onward.why_not.data : NULL),
			   AS_TEXT(behind.upstream), behind.releases, behind.leaves, AS_TEXT(cell->artifact_digest),
			   AS_TEXT(cell->waits_for), AS_TEXT(cell->desired_actor), AS_TIME(cell->desired_at),
			   AS_TEXT(cell->deployed_actor), AS_TIME(cell->deployed_at));
}

/* Order cells by project, then by the depth of their environment, then by names; for qsort_arg. */
static int
compare_cells(const void *a, const void *b, void *places)
{
	const Cell *one = *(Cell *const *) a;
	const Cell *other = *(Cell *const *) b;
	int			order = strcmp(one->key.project, other->key.project);
	const Place *here = find(places, one->key.project, one->key.environment, NULL, false);
	const Place *there = find(places, other->key.project, other->key.environment, NULL, false);

	if (order == 0 && here && there)
		order = here->depth - there->depth;
	if (order == 0)
		order = strcmp(one->key.environment, other->key.environment);
	return order != 0 ? order : strcmp(one->key.component, other->key.component);
}

/* promote.matrix(project text) returns table, see sql/report/matrix.sql */
Datum
promote_matrix(PG_FUNCTION_ARGS)
{
	char	   *project = argument_text(fcinfo, 0);
	Sql			sql;
	Matrix		matrix = {.now = GetCurrentTimestamp(),.role = rights_role()};

	access_require_sight(project);
	InitMaterializedSRF(fcinfo, 0);
	sql_enter(&sql);
	PushActiveSnapshot(GetActiveSnapshot());
	matrix.projects = project ? names_array(list_make1(project)) : PointerGetDatum(grants_projects());
	if (matrix.projects == (Datum) 0)
		matrix.projects = grants_all_projects(&sql);
	matrix.places = make_hash("environments", KEY_SIZE, sizeof(Place), HASH_STRINGS);
	matrix.cells = make_hash("instances", KEY_SIZE, sizeof(Cell), HASH_STRINGS);
	matrix.counts = make_hash("counts", COUNT_KEY_SIZE, sizeof(Count), HASH_BLOBS);
	read_places(&sql, &matrix);
	read_paths(&sql, &matrix);
	read_cells(&sql, &matrix);
	mark_closed(&sql, &matrix);
	qsort_arg(matrix.rows, matrix.count, sizeof(Cell *), compare_cells, matrix.places);
	for (uint64 i = 0; i < matrix.count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		put_cell(fcinfo, &sql, &matrix, matrix.rows[i]);
	}
	PopActiveSnapshot();
	sql_leave(&sql);
	return (Datum) 0;
}
