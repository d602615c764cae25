/*
 * matrix.c: where each component stands in each environment, and whether it
 * may be promoted on.
 *
 * All instances are read by one statement, and what gates look at is read once
 * for each environment: a project has many more cells than either.  The
 * gates are those of gate.c, as far as they can be judged before anything is
 * staged.
 */
#include "postgres.h"

#include "base/argument.h"
#include "gate/health.h"
#include "gate/static.h"
#include "gate/window.h"
#include "grant/access.h"
#include "grant/grants.h"
#include "grant/role.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(promote_matrix);

#define KEY_SIZE (3 * (NAME_MAX_LENGTH + 1))	/* of names put together, with their end */

/* An environment: its rules, and what they look at. */
typedef struct Place
{
	char		name[KEY_SIZE]; /* project-environment; the hash's key */
	GateCase	rules;			/* the part of a case that is the environment's */
	List	   *next;			/* environments that paths lead to, of char * */
	bool		has_checks;
	int			leading;		/* paths to it, from environments that are not put in order yet */
	int			depth;			/* paths that lead to it, one after the other, at most */
} Place;

/* An instance. */
typedef struct Cell
{
	char		name[KEY_SIZE]; /* the hash's key */
	InstanceKey key;
	char	   *status;
	TimestampTz since;			/* GATE_NO_TIME: not known */
	int32		revision;		/* 0: it desires nothing yet */
	char	   *bundle;
	char	   *version;		/* NULL: no release matches */
	bytea	   *digest;
	char	   *block_reason;	/* of the release; NULL: none */
	char	   *came_from;		/* environment that it was promoted from last; NULL: none */
	int32		came_revision;
	char	   *held_by;		/* the request that holds it, in words; NULL: none */
	Jsonb	   *attributes;		/* effective */
	bool		declares;		/* does the release declare secrets or slots for references? */
} Cell;

/* All that was read. */
typedef struct Matrix
{
	HTAB	   *places;
	HTAB	   *cells;
	Oid			role;			/* who asks, and is shown what it may see */
	ArrayType  *projects;		/* NULL: all */
	Cell	  **rows;			/* the cells in the order they are shown in */
	uint64		count;
	TimestampTz now;
} Matrix;

/* A hash whose keys are names. */
static HTAB *
make_hash(const char *name, Size entry_size)
{
	HASHCTL		control = {.keysize = KEY_SIZE,.entrysize = entry_size,.hcxt = CurrentMemoryContext};

	return hash_create(name, 256, &control, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
}

/* An entry by two or three names put together; made where make says so, NULL where it is not there. */
static void *
find(HTAB *hash, const char *project, const char *environment, const char *component, bool make)
{
	char		name[KEY_SIZE];
	bool		found;

	snprintf(name, sizeof(name), "%s-%s%s%s", project, environment, component ? "-" : "",
			 component ? component : "");
	return hash_search(hash, name, make ? HASH_ENTER : HASH_FIND, &found);
}

/* Run the first of two statements for all projects, the second for those that are shown: plans of both are kept. */
static void
read_all(const Sql *sql, const Matrix *matrix, OldStatement *statements)
{
	Datum		values[1] = {PointerGetDatum(matrix->projects)};

	statement_run(sql, &statements[matrix->projects ? 1 : 0], values, NULL, true);
}

/* The two statements; selection is what the second has beside the first. */
#define BOTH(text_of, selection) \
	{{.text = text_of("")}, {.text = text_of(selection),.parameters = 1,.types = {TEXTARRAYOID}}}

/* Read the environments with their rules. */
static void
read_places(const Sql *sql, Matrix *matrix)
{
#define PLACES(selection) \
	"SELECT e.project::pg_catalog.text, e.environment::pg_catalog.text, e.require_source_in_sync," \
	" e.require_no_drift, e.required_soak, EXISTS (SELECT FROM promote.required_check AS c" \
	"  WHERE c.project = e.project AND c.environment = e.environment)" \
	" FROM promote.environment AS e " selection " ORDER BY 1, 2"
	static OldStatement read[] = BOTH(PLACES, "WHERE e.project = ANY ($1)");
	SPITupleTable *rows;

	read_all(sql, matrix, read);
	rows = SPI_tuptable;
	for (uint64 i = 0; i < rows->numvals; i++)
	{
		bool		isnull;
		char	   *of = spi_text(rows, i, 1);
		char	   *environment = spi_text(rows, i, 2);
		Place	   *place = find(matrix->places, of, environment, NULL, true);

		place->rules = (GateCase) {
			.key = {of, environment, NULL},
			.action = "PROVISION",
			.require_source_in_sync = spi_bool(rows, i, 3),
			.require_no_drift = spi_bool(rows, i, 4),
			.required_soak = DatumGetIntervalP(spi_value(rows, i, 5, &isnull)),
			.at = matrix->now,
			.now = matrix->now
		};
		place->has_checks = spi_bool(rows, i, 6);
		place->next = NIL;
		place->leading = place->depth = 0;
	}
}

/*
 * Put each environment behind those that lead to it, once all of these have
 * been put: there are far more ways through many paths than paths.
 */
static void
push_down(Matrix *matrix, List *places)
{
	/* the list grows under way */
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

/* Read the paths, and how deep down each environment is. */
static void
read_paths(const Sql *sql, Matrix *matrix)
{
#define PATHS(selection) \
	"SELECT p.project::pg_catalog.text, p.source_environment::pg_catalog.text," \
	" p.destination_environment::pg_catalog.text" \
	" FROM promote.promotion_path AS p " selection " ORDER BY 1, 2, 3"
	static OldStatement read[] = BOTH(PATHS, "WHERE p.project = ANY ($1)");
	HASH_SEQ_STATUS each;
	List	   *first = NIL;
	Place	   *place;
	SPITupleTable *rows;

	read_all(sql, matrix, read);
	rows = SPI_tuptable;
	for (uint64 i = 0; i < rows->numvals; i++)
	{
		Place	   *to = find(matrix->places, spi_text(rows, i, 1), spi_text(rows, i, 3), NULL, false);

		place = find(matrix->places, spi_text(rows, i, 1), spi_text(rows, i, 2), NULL, false);
		if (place == NULL || to == NULL)
			continue;
		place->next = lappend(place->next, spi_text(rows, i, 3));
		to->leading++;
	}
	hash_seq_init(&each, matrix->places);
	while ((place = hash_seq_search(&each)) != NULL)
		if (place->leading == 0)
			first = lappend(first, place);
	push_down(matrix, first);
}

/* Take a row of the cells. */
static Cell *
take_cell(Matrix *matrix, SPITupleTable *rows, uint64 i)
{
	char	   *project = spi_text(rows, i, 1);
	char	   *environment = spi_text(rows, i, 2);
	char	   *component = spi_text(rows, i, 3);
	Cell	   *cell = find(matrix->cells, project, environment, component, true);

	cell->key = (InstanceKey) {project, environment, component};
	cell->status = spi_text(rows, i, 4);
	cell->since = spi_time(rows, i, 5);
	cell->revision = spi_integer(rows, i, 6);
	cell->version = spi_text(rows, i, 7);
	cell->digest = spi_bytea(rows, i, 8);
	cell->bundle = spi_text(rows, i, 9);
	cell->came_from = spi_text(rows, i, 10);
	cell->came_revision = spi_integer(rows, i, 11);
	cell->block_reason = spi_text(rows, i, 12);
	cell->held_by = spi_text(rows, i, 13);
	cell->attributes = spi_jsonb(rows, i, 14);
	cell->declares = spi_bool(rows, i, 15);
	return cell;
}

/* Read the instances that are shown to who asks: what is not shown is nowhere to go on to, either. */
static void
read_cells(const Sql *sql, Matrix *matrix)
{
#define CELLS(selection) \
	"SELECT s.project::pg_catalog.text, s.environment::pg_catalog.text, s.component::pg_catalog.text," \
	" s.status, s.since, s.desired_revision, s.desired_version, s.desired_digest, r.bundle," \
	" r.source_environment, r.source_revision, f.block_reason, h.held_by," \
	" promote_internal.effective_attributes(p.attributes, e.attributes, c.attributes, i.attributes), f.declares" \
	" FROM promote.instance_status AS s" \
	" JOIN promote.instance AS i ON " SAME_INSTANCE("i", "s") \
	" JOIN promote.project AS p ON p.project = s.project" \
	" JOIN promote.environment AS e ON e.project = s.project AND e.environment = s.environment" \
	" JOIN promote.component AS c ON c.project = s.project AND c.component = s.component" \
	" LEFT JOIN LATERAL (SELECT r.bundle::pg_catalog.text, r.source_environment::pg_catalog.text, r.source_revision" \
	"  FROM promote.revision AS r WHERE " SAME_INSTANCE("r", "s") " AND r.revision = s.desired_revision LIMIT 1) AS r ON true" \
	" LEFT JOIN LATERAL (SELECT f.block_reason, f.secrets <> '{}' OR f.remote_references <> '{}' AS declares" \
	"  FROM promote.bundle_release AS f" \
	"  WHERE f.bundle = r.bundle AND f.version = s.desired_version LIMIT 1) AS f ON true" \
	" LEFT JOIN LATERAL (SELECT 'request ' || t.request AS held_by FROM promote.promotion_request_item AS t" \
	"  WHERE t.project = s.project AND t.destination_environment = s.environment AND t.component = s.component" \
	"  AND t.holds LIMIT 1) AS h ON true" \
	" " selection " ORDER BY 1, 2, 3"
	static OldStatement read[] = BOTH(CELLS, "WHERE s.project = ANY ($1)");

	read_all(sql, matrix, read);
	matrix->rows = palloc_extended((SPI_processed + 1) * sizeof(Cell *), MCXT_ALLOC_HUGE);
	for (uint64 i = 0; i < SPI_processed; i++)
		if (access_role_may(matrix->role, ACCESS_ROWS, spi_text(SPI_tuptable, i, 1), spi_text(SPI_tuptable, i, 2)))
			matrix->rows[matrix->count++] = take_cell(matrix, SPI_tuptable, i);
}

/* ---- may it be promoted on? ---- */

/* What can be judged of a promotion before it is staged, by the gates of its destination. */
static void
judge_gates(const Sql *sql, const Place *to, const Cell *cell, const Cell *at, GateCase *gate)
{
	if (cell->block_reason)
		gate_block(gate, "release", false, GATE_NO_TIME, GATE_NO_TIME, NULL,
				   psprintf("release %s is blocked: %s", cell->version, cell->block_reason));
	if (cell->declares)
	{
		gate_secrets(sql, gate);
		gate_references(sql, gate);
	}
	gate_stopped(sql, gate);
	gate_freeze(sql, gate);
	gate_window(sql, gate);
	gate_soak(sql, gate);
	gate_budget(sql, gate);
	if (gate->require_source_in_sync && strcmp(cell->status, "in_sync") != 0)
		gate_block(gate, "source_in_sync", true, cell->since, GATE_NO_TIME, NULL,
				   psprintf("\"%s\" is %s, not in_sync", cell->name, cell->status));
	if (gate->require_no_drift && strcmp(at->status, "drifted") == 0)
		gate_block(gate, "drift", true, at->since, GATE_NO_TIME, NULL,
				   psprintf("\"%s\" has drifted", at->name));
	if (to->has_checks)
		gate_health(sql, gate);
	if (at->held_by)
		gate_block(gate, "request", true, GATE_NO_TIME, GATE_NO_TIME, NULL,
				   psprintf("%s holds \"%s\"", at->held_by, at->name));
}

/* The case of a promotion from a cell to another one. */
static void
make_case(const Sql *sql, Place *to, const Cell *cell, const Cell *at, GateCase *gate)
{
	/* of all that the environment's cells share, once */
	if (to->rules.windows == NULL)
		to->rules.windows = window_read(sql, to->rules.key.project, to->rules.key.environment, NULL);
	*gate = to->rules;
	gate->key = at->key;
	gate->instance = at->name;
	gate->bundle = cell->bundle;
	gate->version = cell->version;
	gate->revision = at->revision + 1;	/* that it would be */
	gate->source_environment = cell->key.environment;
	gate->source_revision = cell->revision;
	gate->source_digest = cell->digest;
	gate->attributes = at->attributes;
}

/* Why a cell cannot be promoted to an environment now; "" where it can. */
static char *
obstacles(const Sql *sql, Place *to, const Cell *cell, const Cell *at)
{
	GateCase	gate;

	if (cell->revision == 0)
		return "it has no configuration yet";
	if (at->revision == 0)
		return psprintf("\"%s\" has no configuration yet", at->name);
	if (cell->version == NULL)
		return "no release matches its version constraint";
	if (at->came_from && strcmp(at->came_from, cell->key.environment) == 0 && at->came_revision == cell->revision &&
		at->version && strcmp(at->version, cell->version) == 0)
		return psprintf("revision %d is there already", cell->revision);
	make_case(sql, to, cell, at, &gate);
	judge_gates(sql, to, cell, at, &gate);
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

/* Names as an array of text. */
static Datum
names_array(const List *names)
{
	Datum	   *elements = palloc(Max(list_length(names), 1) * sizeof(Datum));
	int			count = 0;
	ListCell   *cell;

	foreach(cell, names)
		elements[count++] = CStringGetTextDatum((char *) lfirst(cell));
	return PointerGetDatum(construct_array(elements, count, TEXTOID, -1, false, TYPALIGN_INT));
}

/* Put a cell's row. */
static void
put_cell(const Sql *sql, Matrix *matrix, const Cell *cell, ReturnSetInfo *result)
{
	Onward		onward;
	Datum		values[12];
	bool		nulls[12] = {false};

	look_onward(sql, matrix, cell, &onward);
	values[0] = CStringGetTextDatum(cell->key.project);
	values[1] = CStringGetTextDatum(cell->key.component);
	values[2] = CStringGetTextDatum(cell->key.environment);
	values[3] = CStringGetTextDatum(cell->name);
	values[4] = CStringGetTextDatum(cell->status);
	values[5] = TimestampTzGetDatum(cell->since);
	values[6] = Int32GetDatum(cell->revision);
	values[7] = cell->version ? CStringGetTextDatum(cell->version) : (Datum) 0;
	values[8] = PointerGetDatum(cell->digest);
	values[9] = names_array(onward.next);
	values[10] = BoolGetDatum(onward.promotable);
	values[11] = CStringGetTextDatum(onward.why_not.data);
	nulls[5] = cell->since == GATE_NO_TIME;
	nulls[6] = cell->revision == 0;
	nulls[7] = cell->version == NULL;
	nulls[8] = cell->digest == NULL;
	nulls[9] = nulls[10] = onward.next == NIL;
	nulls[11] = onward.why_not.len == 0;
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* Environments in the order in which things are promoted, components by their names. */
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

/* An array of one text. */
static ArrayType *
text_array(const char *text)
{
	Datum		elements[1] = {CStringGetTextDatum(text)};

	return construct_array(elements, 1, TEXTOID, -1, false, TYPALIGN_INT);
}

/* promote.matrix(project text) returns table, see sql/report/matrix.sql */
Datum
promote_matrix(PG_FUNCTION_ARGS)
{
	char	   *project = argument_text(fcinfo, 0);
	ReturnSetInfo *result;
	Sql			sql;
	Matrix		matrix = {.now = GetCurrentTimestamp(),.role = rights_role()};

	access_require_sight(project);
	matrix.projects = project ? text_array(project) : access_projects();
	InitMaterializedSRF(fcinfo, 0);
	result = (ReturnSetInfo *) fcinfo->resultinfo;
	sql_enter(&sql);
	PushActiveSnapshot(GetActiveSnapshot());
	matrix.places = make_hash("environments", sizeof(Place));
	matrix.cells = make_hash("instances", sizeof(Cell));
	read_places(&sql, &matrix);
	read_paths(&sql, &matrix);
	read_cells(&sql, &matrix);
	qsort_arg(matrix.rows, matrix.count, sizeof(Cell *), compare_cells, matrix.places);
	for (uint64 i = 0; i < matrix.count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		put_cell(&sql, &matrix, matrix.rows[i], result);
	}
	PopActiveSnapshot();
	sql_leave(&sql);
	return (Datum) 0;
}
