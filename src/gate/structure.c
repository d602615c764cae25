/*
 * structure.c: the gate that holds an environment to the shape of another one.
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "compose/structure.h"
#include "gate/gate.h"
#include "json/render.h"
#include "registry/release.h"

#define NAMES_SHOWN 5			/* in a message, of what may be many */

/* What would be deployed, or what runs elsewhere. */
typedef struct Shaped
{
	const char *bundle;
	const char *version;
	Jsonb	   *params;
	Jsonb	   *parameters;		/* that they are to be rendered with; NULL: they are */
} Shaped;

static const SqlField running_fields[] = {
	SQL_FIELDS(Shaped, "s", bundle, version, params)
};

static const SqlField params_fields[] = {
	SQL_FIELDS(Shaped, "s", params, parameters)
};

/* Read what the instance of the other environment runs; false: nothing. */
static bool
read_running(const Sql *sql, const GateCase *gate, Shaped *running)
{
	static Statement read = SQL_ROWS(running_fields, "SELECT $* FROM promote_internal.running_shape($1, $2, $3) AS s");
	SqlRows		rows = sql_read(sql, &read, AS_TEXT(gate->key.project), AS_TEXT(gate->require_structure),
								AS_TEXT(gate->key.component));

	*running = (Shaped) {NULL};
	return sql_row(&rows, 0, running);
}

/* Find what would be deployed here; false: the params are not known yet. */
static bool
find_own(const Sql *sql, const GateCase *gate, Shaped *own)
{
	static Statement read = SQL_ROWS(params_fields, "SELECT $* FROM promote_internal.case_params($1, $2, $3, $4, $5) AS s");
	SqlRows		rows;

	*own = (Shaped) {gate->bundle, gate->version, unconstify(Jsonb *, gate->params)};
	if (own->params)
		return true;
	if (gate->digest == NULL)
		return false;
	rows = sql_read(sql, &read, AS_KEY(&gate->key), AS_INT(gate->plan != 0 ? gate->plan : gate->deployment),
					AS_BYTEA(gate->digest));
	if (!sql_row(&rows, 0, own))
		return false;
	if (own->parameters)
		own->params = json_render(own->params, own->parameters, true);
	return true;
}

/* The shape of what is deployed by a release. */
static Shape
read_shape(const Sql *sql, const Shaped *shaped)
{
	Jsonb	   *schema = release_schema(sql, shaped->bundle, shaped->version, true);

	return schema ? shape_of(shaped->params, schema) : (Shape) {shaped->params, NULL};
}

/* In what the two differ in kind, char *. */
static List *
differences(const Sql *sql, const Shaped *own, const Shaped *running)
{
	Shape		shapes[] = {read_shape(sql, running), read_shape(sql, own)};
	List	   *names = shape_differences(&shapes[0], &shapes[1]);

	if (version_differs_in_kind(running->version, own->version))
		names = lcons("release version", names);
	if (strcmp(running->bundle, own->bundle) != 0)
		names = lcons("release bundle", names);
	return names;
}

/* The first of the names, and how many there are more. */
static char *
names_shown(const List *names)
{
	StringInfoData text;
	ListCell   *cell;

	initStringInfo(&text);
	foreach(cell, names)
		if (foreach_current_index(cell) < NAMES_SHOWN)
			appendStringInfo(&text, "%s%s", text.len > 0 ? ", " : "", (char *) lfirst(cell));
	if (list_length(names) > NAMES_SHOWN)
		appendStringInfo(&text, " and %d more", list_length(names) - NAMES_SHOWN);
	return text.data;
}

/*
 * Gate "structure": where the environment names another one, what would be deployed has to have
 * the shape of what the component's instance there runs.  An override holds for the differences
 * that it was given for.
 */
void
gate_structure(const Sql *sql, GateCase *gate)
{
	InstanceKey like = {gate->key.project, unconstify(char *, gate->require_structure), gate->key.component};
	Shaped		running;
	Shaped		own;
	List	   *names;

	if (gate->require_structure == NULL || gate->version == NULL || !find_own(sql, gate, &own))
		return;
	if (!read_running(sql, gate, &running))
	{
		gate_block(gate, "structure", "nothing runs", GATE_NO_TIME, GATE_NO_TIME,
				   psprintf("whoever deploys \"%s\" first", instance_key_name(&like)),
				   psprintf("\"%s\" has to be shaped like \"%s\", which runs nothing", gate->instance,
							instance_key_name(&like)));
		return;
	}
	names = differences(sql, &own, &running);
	if (names != NIL)
		gate_block(gate, "structure", names_joined(names), GATE_NO_TIME, GATE_NO_TIME,
				   "whoever gives both the same shape",
				   psprintf("\"%s\" would not be shaped like \"%s\": %s", gate->instance, instance_key_name(&like),
							names_shown(names)));
}
