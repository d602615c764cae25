/*
 * carry.c: what a promotion carries besides params.
 *
 * Remote references are configuration: plans show how they differ from what was planned
 * before, and deployments carry them.  Secrets are sealed again for the destination
 * (secret.h); nothing but their names and what happened to each is shown here.
 *
 * In a diff, both follow the leaves.  Each has a kind and a path that no leaf has: "reference
 * network", "secret db_password".
 */
#include "postgres.h"

#include "base/sql.h"
#include "json/reader.h"
#include "parse/name.h"
#include "promotion/carry.h"
#include "registry/remote_reference.h"
#include "secret/secret.h"

#define NAMES_MAX_BYTES 3000	/* told to listeners: a notification has at most 8000 */

/* ---- what changes ---- */

/* A string of a document as a C string; NULL for none. */
static char *
string_of(const JsonbValue *value)
{
	return value ? pnstrdup(value->val.string.val, value->val.string.len) : NULL;
}

/* The differences between two sets of references: a list of CarriedChange *.  NULL is an empty set. */
List *
carry_differences(const Jsonb *old_references, const Jsonb *new_references)
{
	JsonbValue	roots[2];
	JsonJoin	join;
	List	   *changes = NIL;

	if (old_references)
		json_root(old_references, &roots[0]);
	if (new_references)
		json_root(new_references, &roots[1]);
	json_join_init(&join, old_references ? &roots[0] : NULL, new_references ? &roots[1] : NULL);
	while (json_join_next(&join))
	{
		CarriedChange *change;

		if (join.left && join.right && json_equal(join.left, join.right))
			continue;
		change = palloc0(sizeof(CarriedChange));
		change->kind = CARRIED_REFERENCE;
		change->name = string_of(join.key);
		change->change = !join.left ? "add" : join.right ? "change" : "remove";
		change->old_value = string_of(join.left);
		change->new_value = string_of(join.right);
		changes = lappend(changes, change);
	}
	return changes;
}

/* What copying did to a secret, or would do; NULL: nothing to report. */
static CarriedChange *
secret_changed(const SecretCopy *copy)
{
	bool		replaced = copy->change == SECRET_REPLACED;
	bool		kept = copy->change == SECRET_KEPT;
	CarriedChange *change;

	if (!replaced && !kept && copy->change != SECRET_SET)
		return NULL;
	change = palloc0(sizeof(CarriedChange));
	change->kind = CARRIED_SECRET;
	change->name = copy->name;
	change->change = kept ? "keep" : replaced ? "change" : "add";
	change->old_value = replaced || kept ? SENSITIVE_MASK : NULL;
	change->new_value = SENSITIVE_MASK;
	change->from_source = !kept;
	return change;
}

/* The reference of a field; NULL: none. */
static char *
reference_of(const Jsonb *references, const char *field)
{
	JsonbValue	value;

	return references && json_find_in(references, field, &value) ? string_of(&value) : NULL;
}

/* The destination's references that the source does not have and that no change is about. */
static List *
kept_references(const ProposedRevision *proposed, const Carry *carry)
{
	List	   *kept = NIL;
	ListCell   *cell;

	foreach(cell, carry_differences(carry->source_references, proposed->references))
	{
		CarriedChange *change = lfirst(cell);

		change->old_value = reference_of(proposed->planned_references, change->name);
		if (change->old_value == NULL || strcmp(change->old_value, change->new_value) != 0)
			continue;
		change->change = "keep";
		kept = lappend(kept, change);
	}
	return kept;
}

/*
 * The changes of references since the last plan and of secrets by this promotion: a list of
 * CarriedChange *.  Where references are carried, it includes those that the destination keeps
 * because the source has none.
 */
List *
carry_changes(const ProposedRevision *proposed, const Carry *carry)
{
	List	   *changes = carry_differences(proposed->planned_references, proposed->references);
	ListCell   *cell;

	foreach(cell, changes)
	{
		CarriedChange *change = lfirst(cell);

		change->replaces = names_hold(proposed->replaced, change->name);
		change->from_source = carry && reference_of(carry->source_references, change->name);
	}
	if (carry && carry->references)
		changes = list_concat(changes, kept_references(proposed, carry));
	foreach(cell, proposed->copied_secrets)
	{
		CarriedChange *change = secret_changed(lfirst(cell));

		if (change && (carry || change->from_source))
			changes = lappend(changes, change);
	}
	return changes;
}

/* The name of a kind. */
const char *
carry_kind_name(CarriedKind kind)
{
	return kind == CARRIED_SECRET ? "secret" : "reference";
}

/* The path of a change in a diff or a preview. */
char *
carry_path(const CarriedChange *change)
{
	return psprintf("%s %s", carry_kind_name(change->kind), change->name);
}

/* Add a change to a diff that is being written. */
static void
add_change(JsonBuilder *builder, const CarriedChange *change)
{
	json_build_begin_object(builder);
	json_build_field(builder, "path", carry_path(change));
	json_build_field(builder, "change", change->change);
	json_build_field(builder, "kind", carry_kind_name(change->kind));
	if (change->old_value)
		json_build_field(builder, "old", change->old_value);
	if (change->new_value)
		json_build_field(builder, "new", change->new_value);
	if (change->replaces)
		json_build_flag(builder, "immutable", true);
	if (change->kind == CARRIED_SECRET)
		json_build_flag(builder, "sensitive", true);
	json_build_end_object(builder);
}

/* Append changes to a diff. */
Jsonb *
carry_added_to(Jsonb *diff, List *changes)
{
	JsonBuilder	builder;
	const JsonbValue old = json_view(diff);
	ListCell   *cell;

	if (changes == NIL)
		return diff;
	json_begin_array(&builder);
	json_foreach(child, &old)
		json_build_value(&builder, &child.value);
	foreach(cell, changes)
		add_change(&builder, lfirst(cell));
	return json_builder_finish(&builder);
}

/* Everything that a checked proposal changes since the last plan, see compose_diff. */
Jsonb *
carry_diff(const ProposedRevision *proposed)
{
	return carry_added_to(compose_diff(&proposed->proposal), carry_changes(proposed, NULL));
}

/* Does a promotion change secrets, or would it? */
bool
carry_has_secrets(const ProposedRevision *proposed)
{
	ListCell   *cell;

	foreach(cell, proposed->copied_secrets)
	{
		const SecretCopy *copy = lfirst(cell);

		if (copy->change == SECRET_SET || copy->change == SECRET_REPLACED)
			return true;
	}
	return false;
}

/* Does the last plan show the present references, with no changes of secrets to show? */
bool
carry_is_planned(const ProposedRevision *proposed)
{
	return !proposed->carried && reference_same(proposed->planned_references, proposed->references);
}

/* Find which running references the proposal, which is checked, replaces, and note them in it. */
void
carry_judge(const Sql *sql, ProposedRevision *proposed, bool read_only)
{
	proposed->replaced = reference_replaced(sql, &proposed->key, proposed->slots, proposed->references,
											read_only);
	if (proposed->replaced != NIL)
		proposed->proposal.destructive = true;
}

/* Add the names of one kind to the notification, as many as fit; no field if there are none. */
static void
add_names(JsonBuilder *builder, const List *changes, CarriedKind kind, const char *key)
{
	int			bytes = 0;
	ListCell   *cell;

	foreach(cell, changes)
	{
		const CarriedChange *change = lfirst(cell);

		if (change->kind != kind)
			continue;
		if (bytes == 0)
			json_build_array_field(builder, key);
		bytes += strlen(change->name) + strlen("\"\", ");
		if (bytes <= NAMES_MAX_BYTES)
			json_build_string(builder, change->name, strlen(change->name));
	}
	if (bytes > 0)
		json_build_end_array(builder);
}

/* The names of references and secrets that change, for listeners; NULL: none. */
Jsonb *
carry_names(const ProposedRevision *proposed)
{
	List	   *changes = carry_changes(proposed, NULL);
	JsonBuilder	builder;

	if (changes == NIL)
		return NULL;
	json_begin_object(&builder);
	add_names(&builder, changes, CARRIED_REFERENCE, "references");
	add_names(&builder, changes, CARRIED_SECRET, "secrets");
	return json_builder_finish(&builder);
}

/* ---- carrying ---- */

/* Append what was copied to the destination's chain.  builder holds facts that are not ended yet. */
static void
record_copy(const Sql *sql, ProposedRevision *proposed, const char *event, JsonBuilder *builder)
{
	AuditEntry	entry = {event};

	entry.data = json_builder_finish(builder);
	audit_append(sql, &proposed->head, proposed->key.project, proposed->proposal.instance, &entry, 1);
}

/* Begin the facts of a copy: who copied from where, and an array under a key. */
static void
begin_copy(JsonBuilder *builder, const InstanceKey *source, const char *key)
{
	audit_begin(builder);
	json_build_field(builder, "source", instance_key_name(source));
	json_build_array_field(builder, key);
}

/* The slots in which copying references would replace what runs without permission: a list of char *. */
static List *
find_refused(const Sql *sql, const ProposedRevision *proposed, const List *changes, const Jsonb *references,
			 bool read_only)
{
	List	   *refused = NIL;
	ListCell   *cell;
	const List *replaced;

	if (proposed->proposal.allow_replace || changes == NIL)
		return NIL;
	replaced = reference_replaced(sql, &proposed->key, proposed->slots, references, read_only);
	foreach(cell, changes)
	{
		const CarriedChange *change = lfirst(cell);

		if (names_hold(replaced, change->name))
			refused = lappend(refused, unconstify(char *, change->name));
	}
	return refused;
}

/* Copy references, for slots that the destination's release declares. */
static void
take_references(const Sql *sql, Carry *carry, const InstanceKey *source, ProposedRevision *proposed, bool write)
{
	/* read now, because the proposal may be from before the references of an earlier call */
	Jsonb	   *present = reference_read(sql, &proposed->key, proposed->slots, !write);
	Jsonb	   *copied = reference_read(sql, source, proposed->slots, !write);
	Jsonb	   *references = reference_over(present, copied);
	List	   *changes;
	JsonBuilder	builder;
	ListCell   *cell;

	/* what is stored has its placeholders, for each environment has parameters of its own */
	changes = carry_differences(present, references);
	carry->source_references = reference_render(copied, proposed->proposal.parameters, NULL);
	proposed->reference_problems = NIL;
	proposed->references = reference_render(references, proposed->proposal.parameters, &proposed->reference_problems);
	carry->refused = find_refused(sql, proposed, changes, proposed->references, !write);
	if (changes != NIL && write)
	{
		if (carry->refused != NIL)
			refuse_replaced(&proposed->key, carry->refused);
		reference_require_rendered(proposed->reference_problems);
		(void) reference_store(sql, &proposed->key, copied);
		begin_copy(&builder, source, "references");
		foreach(cell, changes)
			add_change(&builder, lfirst(cell));
		record_copy(sql, proposed, "references.copied", &builder);
		proposed->carried = true;
	}
}

/* The secrets that the release declares. */
static Jsonb *
read_declared(const Sql *sql, const ProposedRevision *proposed, bool read_only)
{
	static Statement read = {"SELECT f.secrets FROM promote.bundle_release AS f WHERE f.bundle = $1 AND f.version = $2"};
	SqlRows		rows = sql_read_if(sql, read_only, &read, AS_TEXT(proposed->proposal.bundle),
								   AS_TEXT(proposed->proposal.version));

	return sql_jsonb(&rows, 0);
}

/* Copy secrets that the destination's release declares. */
static void
take_secrets(const Sql *sql, const InstanceKey *source, ProposedRevision *proposed, bool write)
{
	JsonBuilder	builder;
	ListCell   *cell;

	proposed->copied_secrets = secret_copy(sql, source, &proposed->key, read_declared(sql, proposed, !write), write);
	if (!write || !carry_has_secrets(proposed))
		return;
	begin_copy(&builder, source, "secrets");
	foreach(cell, proposed->copied_secrets)
	{
		const SecretCopy *copy = lfirst(cell);

		json_build_begin_object(&builder);
		json_build_field(&builder, "name", copy->name);
		json_build_field(&builder, "change", secret_change_word(copy->change));
		json_build_end_object(&builder);
	}
	record_copy(sql, proposed, "secrets.copied", &builder);
	proposed->carried = true;
}

/*
 * Carry what was asked for from the source to a proposal's instance, under the locks of both.
 * If write is false, only note in the proposal what would happen.
 */
void
carry_take(const Sql *sql, Carry *carry, const InstanceKey *source, ProposedRevision *proposed, bool write)
{
	if (carry->references)
		take_references(sql, carry, source, proposed, write);
	if (carry->secrets)
		take_secrets(sql, source, proposed, write);
}
