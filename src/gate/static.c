/*
 * static.c: gates of what stays as it is until somebody changes it: paths, components, releases, secrets and references.
 */
#include "postgres.h"

#include "gate/static.h"
#include "registry/path.h"
#include "secret/row.h"
#include "secret/secret.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#define OF_RELEASE(as) as ".bundle = $1 AND " as ".version = $2"

/* Gate "path": what is desired was taken from where a path leads from, if it has to be. */
void
gate_path(const Sql *sql, GateCase *gate)
{
	List	   *sources;

	if (!gate->path_only || gate->source_environment == NULL ||
		path_leads(sql, &gate->key, gate->source_environment, true, &sources))
		return;
	gate_block(gate, "path", false, GATE_NO_TIME, GATE_NO_TIME, "whoever adds the path",
			   psprintf("there is no promotion path from \"%s\" to \"%s\", %s%s",
						gate->source_environment, gate->key.environment,
						sources == NIL ? "and no other" : "only from ", names_joined(sources)));
	gate_about(gate, gate->source_environment);
}

/* Gate "component": the release is one of the component's bundle. */
void
gate_component(const Sql *sql, GateCase *gate)
{
	static OldStatement read = {
		.text = "SELECT c.bundle::pg_catalog.text FROM promote.component AS c"
		" WHERE c.project = $1 AND c.component = $3 AND c.bundle <> $4",
		.parameters = 4,
		.types = {TEXTOID, TEXTOID, TEXTOID, TEXTOID}
	};
	Datum		values[4];

	instance_key_values(&gate->key, values);
	values[3] = CStringGetTextDatum(gate->bundle);
	statement_run(sql, &read, values, NULL, true);
	if (SPI_processed > 0)
		gate_block(gate, "component", false, GATE_NO_TIME, GATE_NO_TIME, "whoever promotes to it again",
				   psprintf("component \"%s\" is of bundle \"%s\" by now; what would be deployed is of \"%s\"",
							gate->key.component, spi_text(SPI_tuptable, 0, 1), gate->bundle));
}

/* Gate "release": what would be deployed must not be blocked. */
void
gate_release(const Sql *sql, GateCase *gate)
{
	static OldStatement read = {
		.text = "SELECT f.block_reason, (SELECT e.at FROM promote.release_event AS e"
		"  WHERE " OF_RELEASE("e") " AND e.event = 'blocked'"
		"  ORDER BY e.bundle DESC, e.version DESC, e.seq DESC LIMIT 1)"
		" FROM promote.bundle_release AS f WHERE " OF_RELEASE("f") " AND f.block_reason IS NOT NULL",
		.parameters = 2,
		.types = {TEXTOID, TEXTOID}
	};
	Datum		values[2];

	if (gate->version == NULL)
		return;
	values[0] = CStringGetTextDatum(gate->bundle);
	values[1] = CStringGetTextDatum(gate->version);
	statement_run(sql, &read, values, NULL, true);
	if (SPI_processed == 0)
		return;
	gate_block(gate, "release", false, spi_time(SPI_tuptable, 0, 2), GATE_NO_TIME,
			   "whoever unblocks the release",
			   psprintf("release %s of bundle \"%s\" is blocked: %s", gate->version, gate->bundle,
						spi_text(SPI_tuptable, 0, 1)));
}

/* What a release declares. */
static List *
release_declarations(const Sql *sql, const char *bundle, const char *version)
{
	static OldStatement read = {
		.text = "SELECT f.secrets FROM promote.bundle_release AS f WHERE f.bundle = $1 AND f.version = $2"
		" AND f.secrets <> '{}'",
		.parameters = 2,
		.types = {TEXTOID, TEXTOID}
	};
	Datum		values[2] = {CStringGetTextDatum(bundle), CStringGetTextDatum(version)};

	statement_run(sql, &read, values, NULL, true);
	return SPI_processed > 0 ? secret_declarations(spi_jsonb(SPI_tuptable, 0, 1)) : NIL;
}

/* Add a reason that is about one secret. */
static void
block_secret(GateCase *gate, const SecretDeclaration *declared, const char *message)
{
	gate_block(gate, "secrets", false, GATE_NO_TIME, GATE_NO_TIME, "whoever may set secrets", message);
	gate_about(gate, declared->name);
}

/* Would a promotion bring the secret first? */
static bool
would_come(const GateCase *gate, const char *name)
{
	ListCell   *cell;

	foreach(cell, gate->secrets)
	{
		const SecretCopy *copy = lfirst(cell);

		if (strcmp(copy->name, name) == 0)
			return copy->change == SECRET_SET || copy->change == SECRET_REPLACED;
	}
	return false;
}

/* Gate "secrets": what the release that would be deployed requires has to be set, and JSON where it says so. */
void
gate_secrets(const Sql *sql, GateCase *gate)
{
	List	   *declarations;
	List	   *rows;
	ListCell   *cell;

	if (gate->version == NULL)
		return;
	declarations = release_declarations(sql, gate->bundle, gate->version);
	if (declarations == NIL)
		return;
	rows = secret_rows(sql, &gate->key, true);
	foreach(cell, declarations)
	{
		const SecretDeclaration *declared = lfirst(cell);
		const SecretRow *row = secret_row_find(rows, declared->name);

		if (would_come(gate, declared->name))
			continue;
		if (row == NULL && declared->required)
			block_secret(gate, declared, psprintf("secret \"%s\", which release %s requires, is not set", declared->name,
										   gate->version));
		else if (row && declared->json && !row->json)
			block_secret(gate, declared, psprintf("secret \"%s\" was set as text, and release %s declares it as JSON",
										   declared->name, gate->version));
	}
}

/* Gate "references": what the release requires is there. */
void
gate_references(const Sql *sql, GateCase *gate)
{
	static OldStatement read = {
		.text = "SELECT pg_catalog.string_agg(k.field, ', ' ORDER BY k.field COLLATE \"C\")"
		" FROM promote.bundle_release AS f, pg_catalog.jsonb_each(f.remote_references) AS k (field, slot)"
		" WHERE f.bundle = $4 AND f.version = $5 AND NOT k.slot @> '{\"required\": false}'"
		" AND NOT COALESCE($6 ? k.field, false)"
		" AND NOT EXISTS (SELECT FROM promote.remote_reference AS r WHERE " OF_INSTANCE("r")
		"  AND r.field = k.field)",
		.parameters = 6,
		.types = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID}
	};
	bool		nulls[6] = {[5] = gate->references == NULL};
	Datum		values[6];
	char	   *names;

	if (gate->version == NULL)
		return;
	instance_key_values(&gate->key, values);
	values[3] = CStringGetTextDatum(gate->bundle);
	values[4] = CStringGetTextDatum(gate->version);
	values[5] = PointerGetDatum(gate->references);
	statement_run(sql, &read, values, nulls, true);
	names = spi_text(SPI_tuptable, 0, 1);
	if (names == NULL)
		return;
	gate_block(gate, "references", false, GATE_NO_TIME, GATE_NO_TIME,
			   "promote.set_remote_reference, or a promotion that copies them",
			   psprintf("\"%s\" lacks remote references that release %s requires: %s", gate->instance,
						gate->version, names));
	gate_about(gate, names);
}
