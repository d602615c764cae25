/*
 * compare_environments.c: in what two environments of a project differ.
 *
 * Both are read component by component, each by one statement, in the order of the components, so
 * that what one of them lacks is seen on the way, and no more than two states are in memory.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "base/argument.h"
#include "base/errors.h"
#include "base/result.h"
#include "base/sql.h"
#include "compose/structure.h"
#include "environment/scope.h"
#include "grant/access.h"
#include "json/reader.h"
#include "json/render.h"
#include "json/writer.h"
#include "registry/remote_reference.h"
#include "report/compare.h"
#include "schema/schema.h"

PG_FUNCTION_INFO_V1(promote_compare_environments);
PG_FUNCTION_INFO_V1(promote_compare_structure);

#define PAGE_SIZE 100			/* rows of a side that are fetched at a time */
#define RELEASE_KEY_SIZE 400	/* of a bundle and a version put together; longer ones are read each time */

/* A component in one of the environments. */
typedef struct Part
{
	char	   *component;
	Compared	state;			/* no revision: nothing is desired, or nothing ran */
	char	   *own_bundle;		/* of what is desired: the release that has judged it */
	char	   *own_version;
	Jsonb	   *secrets;		/* an object by their names; NULL: none */
} Part;

#define PART_FIELDS \
	SQL_FIELDS(Part, "p", component, own_bundle, own_version, secrets), \
	SQL_FIELD(Part, state.carried.revision, "p.revision"), \
	SQL_FIELD(Part, state.carried.deployment, "p.deployment"), \
	SQL_FIELD(Part, state.carried.bundle, "p.bundle"), \
	SQL_FIELD(Part, state.carried.version, "p.version"), \
	SQL_FIELD(Part, state.carried.version_constraint, "p.version_constraint"), \
	SQL_FIELD(Part, state.carried.release_channel, "p.release_channel"), \
	SQL_FIELD(Part, state.carried.params, "p.params"), \
	SQL_FIELD(Part, state.carried.template, "p.template"), \
	SQL_FIELD(Part, state.carried.kept, "p.kept_marks"), \
	SQL_FIELD(Part, state.carried.references, "p.remote_references")

static const SqlField part_fields[] = {PART_FIELDS};

/* What a release says of the states that it is of. */
typedef struct Release
{
	char		key[RELEASE_KEY_SIZE];
	Jsonb	   *schema;			/* NULL: there is no such release */
	Jsonb	   *slots;			/* for remote references; NULL: none */
} Release;

static const SqlField release_fields[] = {
	SQL_FIELD(Release, schema, "f.params_schema"),
	SQL_FIELD(Release, slots, "NULLIF(f.remote_references, '{}')")
};

/* One of the two environments, and where the walk over it is. */
typedef struct Side
{
	EnvironmentState of;
	Jsonb	   *parameters;		/* of the environment */
	Statement  *statement;
	Portal		cursor;
	SqlRows		page;
	uint64		next;			/* row of the page */
	MemoryContext context;		/* of the part */
	bool		is_over;
	Part		part;			/* the one that the walk is at */
} Side;

/* A call. */
typedef struct Comparison
{
	FunctionCallInfo fcinfo;
	bool		classes;		/* does it ask of what class a difference is? */
	bool		is_past;		/* is one of the sides what was? */
	Sql			sql;
	HTAB	   *releases;		/* that were read */
	MemoryContext context;		/* that these live in */
	MemoryContext scratch;		/* of the components that are compared */
	Side		sides[2];
} Comparison;

/* ---- reading ---- */

/* Read a release into the context of all. */
static void
read_release(Comparison *comparison, const char *bundle, const char *version, Release *release)
{
	static Statement read = SQL_ROWS(release_fields, "SELECT $* FROM promote.bundle_release AS f"
									 " WHERE f.bundle = $1 AND f.version = $2");
	SqlRows		rows = sql_read(&comparison->sql, &read, AS_TEXT(bundle), AS_TEXT(version));
	MemoryContext outer = MemoryContextSwitchTo(comparison->context);

	release->schema = release->slots = NULL;
	(void) sql_row(&rows, 0, release);
	if (release->schema)
		release->schema = DatumGetJsonbPCopy(JsonbPGetDatum(release->schema));
	if (release->slots)
		release->slots = DatumGetJsonbPCopy(JsonbPGetDatum(release->slots));
	SPI_freetuptable(rows.table);
	MemoryContextSwitchTo(outer);
}

/* A release, read once; NULL: there is none. */
static const Release *
find_release(Comparison *comparison, const char *bundle, const char *version)
{
	char		key[RELEASE_KEY_SIZE];
	Release    *release;
	bool		found = false;

	if (version == NULL)
		return NULL;
	if (snprintf(key, sizeof(key), "%s %s", bundle, version) < (int) sizeof(key))
		release = hash_search(comparison->releases, key, HASH_ENTER, &found);
	else
		release = MemoryContextAllocZero(comparison->context, sizeof(Release));
	if (!found)
		read_release(comparison, bundle, version, release);
	return release->schema ? release : NULL;
}

/* Render what is desired with the parameters of the environment, and its references. */
static void
render_desired(const Side *side, const Release *release, Compared *state)
{
	Carried    *carried = &state->carried;
	Jsonb	   *template = carried->params;
	Jsonb	   *references = reference_declared(carried->references, release ? release->slots : NULL);

	carried->params = json_render(template, side->parameters, true);
	carried->template = carried->params == template ? NULL : template;
	carried->references = reference_render(&side->of.key, references, side->parameters, compared_mask(state, state),
										   NULL);
}

/* Complete a part as it was read. */
static void
finish_part(Comparison *comparison, Side *side)
{
	Part	   *part = &side->part;
	Carried    *carried = &part->state.carried;
	const Release *release = find_release(comparison, carried->bundle, carried->version);
	const Release *own = find_release(comparison, part->own_bundle, part->own_version);

	if (carried->revision == 0)
		return;
	/* where no release matches the constraint by now, the one that judged it says what must not be seen */
	if (release == NULL)
		release = own;
	carried->schema = release ? release->schema : NULL;
	part->state.other_schemas[0] = own && own != release ? own->schema : NULL;
	if (!environment_state_is_past(&side->of))
		render_desired(side, release, &part->state);
	carried->references = reference_relative(&side->of.key, carried->references);
}

/* Go on to the next component of a side. */
static void
advance(Comparison *comparison, Side *side)
{
	if (side->next >= side->page.count)
	{
		if (side->page.table)
			SPI_freetuptable(side->page.table);
		SPI_cursor_fetch(side->cursor, true, PAGE_SIZE);
		side->page = sql_fetched(side->statement);
		side->next = 0;
	}
	MemoryContextReset(side->context);
	MemoryContextSwitchTo(side->context);
	memset(&side->part, 0, sizeof(Part));
	side->is_over = !sql_row(&side->page, side->next++, &side->part);
	if (!side->is_over)
		finish_part(comparison, side);
}

/* Begin the walk over a side. */
static void
begin_side(Comparison *comparison, Side *side)
{
	static Statement parameters = {"SELECT promote_internal.parameters_of($1, $2)"};
	static Statement desired = SQL_ROWS(part_fields, "SELECT $* FROM promote_internal.desired_parts($1, $2) AS p"
										" ORDER BY p.component");
	static Statement ran = SQL_ROWS(part_fields, "SELECT $* FROM promote_internal.ran_parts($1, $2, $3, $4) AS p"
									" ORDER BY p.component");
	const Sql  *sql = &comparison->sql;
	SqlRows		rows;

	/* what was is history, which stays where the environment is over */
	if (environment_state_is_past(&side->of))
		environment_state_find(sql, &side->of, true);
	else
		environment_state_require(sql, &side->of, true);
	rows = sql_read(sql, &parameters, AS_ENVIRONMENT(&side->of.key));
	MemoryContextSwitchTo(comparison->context);
	side->parameters = sql_jsonb(&rows, 0);
	side->context = AllocSetContextCreate(comparison->context, "promote compared component", ALLOCSET_DEFAULT_SIZES);
	if (environment_state_is_past(&side->of))
	{
		side->statement = &ran;
		side->cursor = sql_open(sql, &ran, true, AS_ENVIRONMENT(&side->of.key), AS_TEXT(side->of.tag),
								AS_TIME(side->of.at));
	}
	else
	{
		side->statement = &desired;
		side->cursor = sql_open(sql, &desired, true, AS_ENVIRONMENT(&side->of.key));
	}
	advance(comparison, side);
}

/* ---- rows ---- */

/* Put a row.  The class is of compare_structure alone. */
static void
put_row(const Comparison *comparison, const char *component, const char *kind, const char *path, const char *change,
		DifferenceClass class, const Jsonb *a, const Jsonb *b, bool sensitive)
{
	if (comparison->classes)
		result_put(comparison->fcinfo, AS_TEXT(component), AS_TEXT(kind), AS_TEXT(path), AS_TEXT(change),
				   AS_TEXT(difference_classes[class]), AS_JSONB(a), AS_JSONB(b), AS_BOOL(sensitive));
	else
		result_put(comparison->fcinfo, AS_TEXT(component), AS_TEXT(kind), AS_TEXT(path), AS_TEXT(change),
				   AS_JSONB(a), AS_JSONB(b), AS_BOOL(sensitive));
}

/* What there is of a component on a side, a word; NULL: the environment has no such instance. */
static const char *
presence(const Part *part)
{
	return part == NULL ? NULL : part->state.carried.revision > 0 ? "present" : "empty";
}

/* A word as a document; NULL stays NULL. */
static Jsonb *
word_document(const char *word)
{
	return word ? json_from_text(word) : NULL;
}

/* Put that one of the sides has no such component, or nothing of it.  NULL is none. */
static void
put_presence(const Comparison *comparison, const Part *a, const Part *b)
{
	const char *words[] = {presence(a), presence(b)};
	bool		less = a == NULL || (b && a->state.carried.revision == 0);

	put_row(comparison, a ? a->component : b->component, "component", NULL, less ? "add" : "remove", DIFFERS_IN_KIND,
			word_document(words[0]), word_document(words[1]), false);
}

/* The class of an entry. */
static DifferenceClass
entry_class(const Entry *entry, const Part *a, const Part *b, Shape *shapes)
{
	const Carried *carried[] = {&a->state.carried, &b->state.carried};

	switch (entry->kind)
	{
		case ENTRY_PARAM:
		case ENTRY_PARAMETER:
			for (int i = 0; i < lengthof(carried) && carried[i]->schema; i++)
				if (shapes[i].document == NULL)
					shapes[i] = shape_of(carried[i]->params, carried[i]->schema);
			return shapes[0].document && shapes[1].document ? shape_differs(&shapes[0], &shapes[1], entry->path) :
				DIFFERS_OTHERWISE;
		case ENTRY_RELEASE:
			if (strcmp(entry_name(entry), "bundle") == 0)
				return DIFFERS_IN_KIND;
			return strcmp(entry_name(entry), "version") == 0 &&
				version_differs_in_kind(carried[0]->version, carried[1]->version) ? DIFFERS_IN_KIND : DIFFERS_OTHERWISE;
		default:
			/* of slots and secrets it counts which there are */
			return entry->has_old && entry->has_new ? DIFFERS_OTHERWISE : DIFFERS_IN_KIND;
	}
}

/* Add which secrets are set on one side alone. */
static void
add_secrets(Entries *entries, const Jsonb *a, const Jsonb *b)
{
	JsonbValue	roots[2];
	JsonJoin	join;

	if (a)
		json_root(a, &roots[0]);
	if (b)
		json_root(b, &roots[1]);
	json_join_init(&join, a ? &roots[0] : NULL, b ? &roots[1] : NULL);
	while (json_join_next(&join))
		entries_add_text(entries, ENTRY_SECRET, pnstrdup(join.key->val.string.val, join.key->val.string.len),
						 join.left ? "set" : NULL, join.right ? "set" : NULL, 0);
}

/* Put all in which a component differs that both sides have. */
static void
put_component(const Comparison *comparison, const Part *a, const Part *b)
{
	Entries		entries = {NULL};
	Shape		shapes[2] = {{NULL}};

	entries_add_text(&entries, ENTRY_RELEASE, "bundle", a->state.carried.bundle, b->state.carried.bundle, 0);
	compared_entries(&a->state, &b->state, &entries);
	if (!comparison->is_past)
		add_secrets(&entries, a->secrets, b->secrets);
	for (Size i = 0; i < entries.count; i++)
	{
		const Entry *entry = &entries.list[i];
		DifferenceClass class = comparison->classes ? entry_class(entry, a, b, shapes) : DIFFERS_OTHERWISE;

		if (class != DIFFERS_NOT)
			put_row(comparison, a->component, entry_kind_name(entry), entry->path, entry_change(entry), class,
					entry_old(entry), entry_new(entry), (entry->flags & SCHEMA_SENSITIVE) != 0);
	}
}

/* Put the rules of their own in which two environments differ. */
static void
put_rules(const Comparison *comparison)
{
	static Statement read = {"SELECT NULL::pg_catalog.text, 'rule', r.path, r.change, r.a_value, r.b_value, false"
		" FROM promote_internal.differing_rules($1, $2, $3) AS r"};
	const InstanceKey *a = &comparison->sides[0].of.key;
	SqlRows		rows = sql_read(&comparison->sql, &read, AS_ENVIRONMENT(a),
								AS_TEXT(comparison->sides[1].of.key.environment));

	result_add_rows(comparison->fcinfo, &rows);
}

/* Walk over both environments side by side. */
static void
walk(Comparison *comparison)
{
	Side	   *a = &comparison->sides[0];
	Side	   *b = &comparison->sides[1];

	while (!a->is_over || !b->is_over)
	{
		int			order = a->is_over ? 1 : b->is_over ? -1 : strcmp(a->part.component, b->part.component);
		const Part *one = order <= 0 ? &a->part : NULL;
		const Part *other = order >= 0 ? &b->part : NULL;

		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(comparison->scratch);
		MemoryContextSwitchTo(comparison->scratch);
		if (presence(one) != presence(other))
			put_presence(comparison, one, other);
		else if (one->state.carried.revision > 0)
			put_component(comparison, one, other);
		if (order <= 0)
			advance(comparison, a);
		if (order >= 0)
			advance(comparison, b);
	}
}

/* ---- the functions ---- */

/* Take an argument that names an environment or a state of it, and refuse callers who may not see it. */
static void
take_side(FunctionCallInfo fcinfo, int argument, Side *side)
{
	argument_state(fcinfo, argument, argument == 0 ? "a" : "b", &side->of);
	access_require_in("view", side->of.key.project, side->of.key.environment);
}

/* Refuse environments of two projects, whose components are nothing that could be compared. */
static void
check_projects(const Comparison *comparison)
{
	const EnvironmentState *a = &comparison->sides[0].of;
	const EnvironmentState *b = &comparison->sides[1].of;

	if (strcmp(a->key.project, b->key.project) != 0)
		ereport(ERROR,
				(errcode(PM_COMPONENT_MISMATCH),
				 errmsg("cannot compare \"%s\" with \"%s\"", environment_state_name(a), environment_state_name(b)),
				 errdetail("One is of project \"%s\", the other of project \"%s\".", a->key.project, b->key.project),
				 errhint("Compare environments of one project.")));
}

/* Compare two environments; the arguments name them. */
static Datum
compare(FunctionCallInfo fcinfo, bool classes)
{
	HASHCTL		control = {.keysize = RELEASE_KEY_SIZE,.entrysize = sizeof(Release)};
	Comparison	comparison = {.fcinfo = fcinfo,.classes = classes};

	take_side(fcinfo, 0, &comparison.sides[0]);
	take_side(fcinfo, 1, &comparison.sides[1]);
	check_projects(&comparison);
	comparison.is_past = environment_state_is_past(&comparison.sides[0].of) ||
		environment_state_is_past(&comparison.sides[1].of);
	InitMaterializedSRF(fcinfo, 0);
	comparison.context = AllocSetContextCreate(CurrentMemoryContext, "promote comparison", ALLOCSET_DEFAULT_SIZES);
	comparison.scratch = AllocSetContextCreate(comparison.context, "promote compared states", ALLOCSET_DEFAULT_SIZES);
	control.hcxt = comparison.context;
	comparison.releases = hash_create("promote compared releases", 64, &control, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	sql_enter(&comparison.sql);
	begin_side(&comparison, &comparison.sides[0]);
	begin_side(&comparison, &comparison.sides[1]);
	walk(&comparison);
	if (!classes && !comparison.is_past)
		put_rules(&comparison);
	sql_leave(&comparison.sql);
	return (Datum) 0;
}

/* promote.compare_environments(a text, b text) returns table, see sql/report/compare.sql */
Datum
promote_compare_environments(PG_FUNCTION_ARGS)
{
	return compare(fcinfo, false);
}

/* promote.compare_structure(a text, b text) returns table, see sql/report/structure.sql */
Datum
promote_compare_structure(PG_FUNCTION_ARGS)
{
	return compare(fcinfo, true);
}
