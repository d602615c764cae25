/*
 * entry.c: the entries of diffs: finding them, and writing them as jsonb.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/numeric.h"

#include "base/grow.h"
#include "compose/entry.h"
#include "json/builder.h"
#include "json/path.h"
#include "json/reader.h"
#include "json/writer.h"
#include "parse/name.h"
#include "schema/schema.h"

static const char *const kind_names[] = {
	[ENTRY_RELEASE] = "release",[ENTRY_PARAM] = "param",[ENTRY_PARAMETER] = "parameter",
	[ENTRY_REFERENCE] = "reference",[ENTRY_SECRET] = "secret"
};

/* ---- finding them ---- */

/* Add an entry; a value of NULL is one that is not there. */
Entry *
entries_add(Entries *entries, EntryKind kind, const char *path, const JsonbValue *old_value,
			const JsonbValue *new_value, uint32 flags)
{
	Entry	   *entry;

	GROW(entries->list, entries->count, entries->room);
	entry = &entries->list[entries->count++];
	*entry = (Entry) {
		.kind = kind,.path = path,.has_old = old_value != NULL,.has_new = new_value != NULL,.flags = flags
	};
	if (old_value)
		entry->old_value = *old_value;
	if (new_value)
		entry->new_value = *new_value;
	return entry;
}

/* The path of what is no leaf, but has a name. */
char *
entry_path(EntryKind kind, const char *name)
{
	return psprintf("%s %s", kind_names[kind], name);
}

/* Add an entry for something that has a name and is a text, if it differs; NULL is none. */
void
entries_add_text(Entries *entries, EntryKind kind, const char *name, const char *old_text,
				 const char *new_text, uint32 flags)
{
	JsonbValue	old_value,
				new_value;

	if (old_text == new_text || (old_text && new_text && strcmp(old_text, new_text) == 0))
		return;
	if (old_text)
		old_value = json_string(old_text, strlen(old_text));
	if (new_text)
		new_value = json_string(new_text, strlen(new_text));
	(void) entries_add(entries, kind, entry_path(kind, name), old_text ? &old_value : NULL,
					   new_text ? &new_value : NULL, flags);
}

/* Add in what two releases differ: which version was resolved, by which constraint and channel.  NULL is none. */
void
entries_add_release(Entries *entries, const Carried *old, const Carried *new)
{
	static const Carried none = {0};

	old = old ? old : &none;
	new = new ? new : &none;
	entries_add_text(entries, ENTRY_RELEASE, "version", old->version, new->version, 0);
	entries_add_text(entries, ENTRY_RELEASE, "constraint", old->version_constraint, new->version_constraint, 0);
	entries_add_text(entries, ENTRY_RELEASE, "channel", old->release_channel, new->release_channel, 0);
}

/* What leaves are told apart by, while two documents are compared. */
typedef struct LeafWalk
{
	Entries    *entries;
	JsonbValue	old_template;
	JsonbValue	new_template;
	bool		has_templates;	/* do both have placeholders? */
} LeafWalk;

/*
 * Are both templates the same at a path?  A placeholder may stand for a whole document, so that
 * the path leads on where the template ends.
 */
static bool
is_same_template(const LeafWalk *walk, const char *path)
{
	JsonbValue	old_value = walk->old_template;
	JsonbValue	new_value = walk->new_template;
	JsonPathReader reader;
	JsonPathStep step;

	json_path_reader_init(&reader, path, strlen(path));
	while (!json_is_leaf(&old_value) && !json_is_leaf(&new_value))
	{
		JsonbValue	from[] = {old_value, new_value};
		uint32		index;

		if (!json_path_next(&reader, &step) || !json_path_take(&from[0], &step, &index, &old_value) ||
			!json_path_take(&from[1], &step, &index, &new_value))
			return false;
	}
	return json_is_leaf(&old_value) && json_is_leaf(&new_value) && json_equal(&old_value, &new_value);
}

/* Add an entry for a leaf.  A JsonChangeCollector; the state is a LeafWalk. */
static void
add_leaf(void *state, const JsonChange *change)
{
	LeafWalk   *walk = state;
	bool		is_parameter = walk->has_templates && is_same_template(walk, change->path);

	(void) entries_add(walk->entries, is_parameter ? ENTRY_PARAMETER : ENTRY_PARAM, pstrdup(change->path),
					   change->old_value, change->new_value, change->flags);
}

/* Add the leaves in which rendered params differ; old is NULL where nothing runs, new where nothing would. */
void
entries_add_leaves(Entries *entries, Mask *mask, const Carried *old, const Carried *new)
{
	LeafWalk	walk = {.entries = entries,.has_templates = old && new && old->template && new->template};

	if (walk.has_templates)
	{
		json_root(old->template, &walk.old_template);
		json_root(new->template, &walk.new_template);
	}
	mask_leaf_diff(mask, old ? old->params : NULL, new ? new->params : json_empty_object(), add_leaf, &walk);
}

/* A string of a document as a C string; NULL for none. */
static char *
string_of(const JsonbValue *value)
{
	return value ? pnstrdup(value->val.string.val, value->val.string.len) : NULL;
}

/* Add in what two sets of references differ, marked where what runs is replaced.  NULL is an empty set. */
void
entries_add_references(Entries *entries, const Jsonb *old, const Jsonb *new, const List *replaced)
{
	JsonbValue	roots[2];
	JsonJoin	join;

	if (old)
		json_root(old, &roots[0]);
	if (new)
		json_root(new, &roots[1]);
	json_join_init(&join, old ? &roots[0] : NULL, new ? &roots[1] : NULL);
	while (json_join_next(&join))
	{
		char	   *name = string_of(join.key);

		entries_add_text(entries, ENTRY_REFERENCE, name, string_of(join.left), string_of(join.right),
						 names_hold(replaced, name) ? SCHEMA_IMMUTABLE : 0);
	}
}

/* The names of the references in which two sets differ, a list of char *. */
List *
differing_references(const Jsonb *old, const Jsonb *new)
{
	Entries		entries = {NULL};
	List	   *names = NIL;

	entries_add_references(&entries, old, new, NIL);
	for (Size i = 0; i < entries.count; i++)
		names = lappend(names, unconstify(char *, entry_name(&entries.list[i])));
	return names;
}

/* ---- showing them ---- */

/* What an entry is about. */
const char *
entry_kind_name(const Entry *entry)
{
	return kind_names[entry->kind];
}

/* The name of what is no leaf. */
const char *
entry_name(const Entry *entry)
{
	return entry->path + strlen(kind_names[entry->kind]) + 1;
}

/* What happens to what runs. */
const char *
entry_change(const Entry *entry)
{
	return !entry->has_old ? "add" : entry->has_new ? "change" : "remove";
}

/* A value as it is shown, in a document of its own; NULL stays NULL. */
Jsonb *
entry_shown(const JsonbValue *value, uint32 flags)
{
	JsonbValue	mask;

	return json_from_view(mask_shown(value, flags, &mask));
}

/* The old value as it is shown; NULL: there is none. */
Jsonb *
entry_old(const Entry *entry)
{
	return entry_shown(entry->has_old ? &entry->old_value : NULL, entry->flags);
}

/* The new value as it is shown; NULL: there is none. */
Jsonb *
entry_new(const Entry *entry)
{
	return entry_shown(entry->has_new ? &entry->new_value : NULL, entry->flags);
}

/* A field of an entry that is written. */
typedef struct EntryField
{
	const char *key;
	int			length;			/* of the key */
	JsonbValue	value;
} EntryField;

#define FIELD(key, value) (EntryField) {key, sizeof(key) - 1, value}

/* A number that was made a jsonb's: most entries of a diff are since the same revision. */
typedef struct KeptNumber
{
	int32		number;			/* 0: none yet */
	Numeric		numeric;
} KeptNumber;

/* A number as a value, which is made anew only if it is not the one before. */
static JsonbValue
kept_value(KeptNumber *kept, int32 number)
{
	if (kept->number != number)
		*kept = (KeptNumber) {number, int64_to_numeric(number)};
	return (JsonbValue) {.type = jbvNumeric,.val.numeric = kept->numeric};
}

/* A C string as a value. */
static JsonbValue
text_value(const char *text)
{
	return json_string(text, strlen(text));
}

/* A side of an entry as a value, as it is shown. */
static JsonbValue
side_value(const JsonbValue *value, uint32 flags)
{
	JsonbValue	mask;

	return *mask_shown(value, flags, &mask);
}

/* List the fields of an entry, in the order of jsonb's keys; returns how many there are. */
static int
list_fields(const Entry *entry, KeptNumber *since, EntryField *fields)
{
	const JsonbValue yes = {.type = jbvBool,.val.boolean = true};
	int			count = 0;

	if (entry->has_new)
		fields[count++] = FIELD("new", side_value(&entry->new_value, entry->flags));
	if (entry->has_old)
		fields[count++] = FIELD("old", side_value(&entry->old_value, entry->flags));
	fields[count++] = FIELD("kind", text_value(entry_kind_name(entry)));
	fields[count++] = FIELD("path", text_value(entry->path));
	if (entry->since > 0)
		fields[count++] = FIELD("since", kept_value(since, entry->since));
	fields[count++] = FIELD("change", text_value(entry_change(entry)));
	if (entry->reverts)
		fields[count++] = FIELD("reverts", json_view(entry->reverts));
	if (entry->flags & SCHEMA_IMMUTABLE)
		fields[count++] = FIELD("immutable", yes);
	if (entry->flags & SCHEMA_SENSITIVE)
		fields[count++] = FIELD("sensitive", yes);
	return count;
}

/*
 * Write an entry: an object with kind, path, change (add, change, remove), old and new (each only
 * where there is a value, sensitive ones masked), immutable and sensitive (each only where it is
 * true), since, and reverts.
 */
static void
write_entry(JsonWriter *writer, const Entry *entry, KeptNumber *since)
{
	EntryField	fields[9];
	int			count = list_fields(entry, since, fields);
	JsonWriterFrame frame;

	json_open_object(writer, &frame, count);
	for (int i = 0; i < count; i++)
		json_write_key(writer, fields[i].key, fields[i].length);
	for (int i = 0; i < count; i++)
		json_write_value(writer, &fields[i].value);
	json_close(writer);
}

/* Does any entry undo what the destination had set itself? */
bool
entries_revert(const Entries *entries)
{
	for (Size i = 0; i < entries->count; i++)
		if (entries->list[i].reverts)
			return true;
	return false;
}

/* A diff as a document, an array, which may have an entry for each leaf of two documents: it is laid out at once. */
Jsonb *
entries_document(const Entries *entries)
{
	JsonWriter	writer;
	JsonWriterFrame frame;
	KeptNumber	since = {0};

	json_writer_init(&writer, 0);
	json_open_array(&writer, &frame, entries->count);
	for (Size i = 0; i < entries->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		write_entry(&writer, &entries->list[i], &since);
	}
	json_close(&writer);
	return json_writer_finish(&writer);
}
