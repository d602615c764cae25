/*
 * static.c: gates of what stays until somebody changes it: paths, components, releases, secrets and references.
 */
#include "postgres.h"

#include "gate/gate.h"
#include "registry/path.h"
#include "secret/row.h"
#include "secret/secret.h"

/* Gate "path": where the environment takes promotions along paths only, a path leads from the source. */
void
gate_path(const Sql *sql, GateCase *gate)
{
	List	   *sources;

	/* the matrix asks along paths alone */
	if (!gate->path_only || (gate->known && !gate->known->staged) || gate->source_environment == NULL ||
		path_leads(sql, &gate->key, gate->source_environment, true, &sources))
		return;
	gate_block(gate, "path", gate->source_environment, GATE_NO_TIME, GATE_NO_TIME, "whoever adds the path, promotes to it from where one leads from, or edits it",
			   psprintf("there is no promotion path from \"%s\" to \"%s\", %s%s",
						gate->source_environment, gate->key.environment,
						sources == NIL ? "and no other" : "only from ", names_joined(sources)));
}

/* Gate "component": the release is of the component's bundle. */
void
gate_component(const Sql *sql, GateCase *gate)
{
	static Statement read = {"SELECT c.bundle FROM promote.component AS c"
		" WHERE c.project = $1 AND c.component = $2 AND c.bundle <> $3"};
	SqlRows		rows;

	/* what is staged from now on is of the component's bundle */
	if (gate->known && (!gate->known->staged || gate->known->of_bundle))
		return;
	rows = sql_read(sql, &read, AS_TEXT(gate->key.project), AS_TEXT(gate->key.component), AS_TEXT(gate->bundle));
	if (rows.count > 0)
		gate_block(gate, "component", NULL, GATE_NO_TIME, GATE_NO_TIME, "whoever promotes to it again",
				   psprintf("component \"%s\" is of bundle \"%s\" by now; what would be deployed is of \"%s\"",
							gate->key.component, sql_text(&rows, 0), gate->bundle));
}

/* A release that was taken out of use. */
typedef struct BlockedRelease
{
	char	   *reason;
	TimestampTz since;
} BlockedRelease;

static const SqlField blocked_fields[] = {
	SQL_FIELDS(BlockedRelease, "b", reason, since)
};

/* Gate "release": the release that would be deployed is not blocked. */
void
gate_release(const Sql *sql, GateCase *gate)
{
	static Statement read = SQL_ROWS(blocked_fields, "SELECT $* FROM promote_internal.blocked_release AS b"
									 " WHERE b.bundle = $1 AND b.version = $2");
	BlockedRelease blocked;
	SqlRows		rows;

	if (gate->version == NULL || (gate->known && !gate->known->blocked))
		return;
	rows = sql_read(sql, &read, AS_TEXT(gate->bundle), AS_TEXT(gate->version));
	if (sql_row(&rows, 0, &blocked))
		gate_block(gate, "release", NULL, blocked.since, GATE_NO_TIME, "whoever unblocks the release",
				   psprintf("release %s of bundle \"%s\" is blocked: %s", gate->version, gate->bundle, blocked.reason));
}

/* Gate "artifact": where the environment asks for it, the release has the digest of its artifact. */
void
gate_artifact(const Sql *sql, GateCase *gate)
{
	static Statement read = {"SELECT FROM promote_internal.undigested_release AS u WHERE u.bundle = $1 AND u.version = $2"};

	if (!gate->require_artifact_digest || gate->version == NULL || (gate->known && gate->known->digested))
		return;
	if (sql_read(sql, &read, AS_TEXT(gate->bundle), AS_TEXT(gate->version)).count > 0)
		gate_block(gate, "artifact", NULL, GATE_NO_TIME, GATE_NO_TIME, "whoever publishes a version with its artifact_digest",
				   psprintf("release %s of bundle \"%s\" has no artifact digest", gate->version, gate->bundle));
}

/* The secrets that the release declares. */
static List *
release_declarations(const Sql *sql, const GateCase *gate)
{
	static Statement read = {"SELECT f.secrets FROM promote.bundle_release AS f WHERE f.bundle = $1 AND f.version = $2"
		" AND f.secrets <> '{}'"};
	SqlRows		rows = sql_read(sql, &read, AS_TEXT(gate->bundle), AS_TEXT(gate->version));

	return rows.count > 0 ? secret_declarations(sql_jsonb(&rows, 0)) : NIL;
}

/* Would the promotion set the secret before it is needed? */
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

/* What is wrong with a secret that the release declares; NULL: nothing. */
static char *
secret_problem(const GateCase *gate, const SecretDeclaration *declared, const SecretRow *row)
{
	if (would_come(gate, declared->name))
		return NULL;
	if (row == NULL && declared->required)
		return psprintf("secret \"%s\", which release %s requires, is not set", declared->name, gate->version);
	if (row && declared->json && !row->json)
		return psprintf("secret \"%s\" was set as text, and release %s declares it as JSON", declared->name,
						gate->version);
	return NULL;
}

/* Does the release declare neither secrets nor slots for remote references? */
static bool
declares_nothing(const GateCase *gate)
{
	return gate->version == NULL || (gate->known && !gate->known->declares);
}

/* Gate "secrets": the secrets that the release requires are set, and are JSON where it says so. */
void
gate_secrets(const Sql *sql, GateCase *gate)
{
	List	   *declarations = declares_nothing(gate) ? NIL : release_declarations(sql, gate);
	List	   *rows = declarations == NIL ? NIL : secret_rows(sql, &gate->key, true);
	ListCell   *cell;

	foreach(cell, declarations)
	{
		const SecretDeclaration *declared = lfirst(cell);
		char	   *problem = secret_problem(gate, declared, secret_row_find(rows, declared->name));

		if (problem)
			gate_block(gate, "secrets", declared->name, GATE_NO_TIME, GATE_NO_TIME, "whoever may set secrets", problem);
	}
}

/* Block for references to siblings that are not there. */
static void
block_lost_siblings(const Sql *sql, GateCase *gate)
{
	static Statement read = {"SELECT pg_catalog.concat(s.field, ' (', s.sibling, ')')"
		" FROM promote_internal.lost_siblings($1, $2, $3, $4, $5, $6) AS s ORDER BY s.field COLLATE \"C\""};
	SqlRows		rows = sql_read(sql, &read, AS_KEY(&gate->key), AS_TEXT(gate->bundle), AS_TEXT(gate->version),
								AS_JSONB(gate->references));
	char	   *names;

	if (rows.count == 0)
		return;
	names = gate_names(&rows, rows.count);
	gate_block(gate, "references", names, GATE_NO_TIME, GATE_NO_TIME,
			   "promote.set_remote_reference, or whoever inserts the instance",
			   psprintf("\"%s\" refers to siblings that its environment does not have: %s", gate->instance, names));
}

/* Gate "references": the remote references that the release requires are set, and their siblings are there. */
void
gate_references(const Sql *sql, GateCase *gate)
{
	static Statement read = {"SELECT m.field FROM promote_internal.missing_references($1, $2, $3, $4, $5, $6) AS m"
		" ORDER BY m.field COLLATE \"C\""};
	SqlRows		rows;
	char	   *names;

	if (declares_nothing(gate))
		return;
	rows = sql_read(sql, &read, AS_KEY(&gate->key), AS_TEXT(gate->bundle), AS_TEXT(gate->version),
					AS_JSONB(gate->references));
	if (rows.count == 0)
	{
		block_lost_siblings(sql, gate);
		return;
	}
	names = gate_names(&rows, rows.count);
	gate_block(gate, "references", names, GATE_NO_TIME, GATE_NO_TIME,
			   "promote.set_remote_reference, or a promotion that copies them",
			   psprintf("\"%s\" lacks remote references that release %s requires: %s", gate->instance, gate->version,
						names));
}
