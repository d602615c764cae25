/*
 * entry.h: the entries of diffs, each of which is one thing that happens to what runs.
 *
 * A diff says how what would run differs from what runs: the release comes first, then the
 * leaves of the rendered params, then remote references and secrets.  Everybody who shows one,
 * as jsonb, in rows or by its names, makes it of these entries.
 */
#ifndef PROMOTE_COMPOSE_ENTRY_H
#define PROMOTE_COMPOSE_ENTRY_H

#include "postgres.h"

#include "compose/compose.h"

/* The kinds of entries. */
typedef enum EntryKind
{
	ENTRY_RELEASE,				/* "release version", "release constraint", "release channel" */
	ENTRY_PARAM,				/* a leaf, by its path */
	ENTRY_PARAMETER,			/* a leaf whose template is the same: its placeholders stand for something else */
	ENTRY_REFERENCE,			/* "reference network": no leaf has such a path */
	ENTRY_SECRET				/* "secret db_password" */
} EntryKind;

/* An entry.  Its values are views into documents that outlive it, and are not masked. */
typedef struct Entry
{
	EntryKind	kind;
	const char *path;
	bool		has_old;
	bool		has_new;
	JsonbValue	old_value;
	JsonbValue	new_value;
	uint32		flags;			/* SCHEMA_SENSITIVE, SCHEMA_IMMUTABLE, MASK_NEW_ALONE */
	int32		since;			/* the desired revision since which it waits; 0: it is not told */
} Entry;

/* A diff.  It starts as {NULL}. */
typedef struct Entries
{
	Entry	   *list;
	Size		count;
	Size		room;
} Entries;

extern Entry *entries_add(Entries *entries, EntryKind kind, const char *path, const JsonbValue *old_value,
						  const JsonbValue *new_value, uint32 flags);
extern char *entry_path(EntryKind kind, const char *name);
extern void entries_add_text(Entries *entries, EntryKind kind, const char *name, const char *old_text,
							 const char *new_text, uint32 flags);
extern void entries_add_release(Entries *entries, const Carried *old, const Carried *new);
extern void entries_add_leaves(Entries *entries, Mask *mask, const Carried *old, const Carried *new);
extern void entries_add_references(Entries *entries, const Jsonb *old, const Jsonb *new, const List *replaced);
extern List *differing_references(const Jsonb *old, const Jsonb *new);
extern const char *entry_kind_name(const Entry *entry);
extern const char *entry_name(const Entry *entry);
extern const char *entry_change(const Entry *entry);
extern Jsonb *entry_shown(const JsonbValue *value, uint32 flags);
extern Jsonb *entry_old(const Entry *entry);
extern Jsonb *entry_new(const Entry *entry);
extern Jsonb *entries_document(const Entries *entries);

#endif							/* PROMOTE_COMPOSE_ENTRY_H */
