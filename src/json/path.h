/*
 * path.h: locations of a document, spelled as jq spells them.
 *
 * .database.instance_class, .nodes[0].size, .["a key"], and . for the root.
 */
#ifndef PROMOTE_JSON_PATH_H
#define PROMOTE_JSON_PATH_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

/* One step of a path that is read. */
typedef struct JsonPathStep
{
	const char *key;			/* NULL: an index; not NUL-terminated */
	int			length;			/* of the key */
	uint32		index;
} JsonPathStep;

/* What of a path is still to be read. */
typedef struct JsonPathReader
{
	const char *start;
	const char *at;
	const char *end;
} JsonPathReader;

/* The way from the root to a value, the last step first; lives on a walker's stack. */
typedef struct JsonWay
{
	const struct JsonWay *parent;	/* NULL at the root */
	const JsonbContainer *container;	/* that the value is a child of */
	uint32		ordinal;
} JsonWay;

extern void json_path_add_key(StringInfo path, const char *key, int length);
extern void json_path_add_index(StringInfo path, uint32 index);
extern char *json_way_text(const JsonWay *way);
extern const char *json_path_text(const StringInfoData *path);
extern void json_path_reader_init(JsonPathReader *reader, const char *path, int length);
extern bool json_path_next(JsonPathReader *reader, JsonPathStep *step);
extern bool json_path_take(const JsonbValue *from, const JsonPathStep *step, uint32 *index, JsonbValue *value);
extern bool json_path_look_up(const JsonbValue *root, const char *path, int length,
							  JsonbValue *value);

/* Take steps back, to where a path had that length. */
static inline void
json_path_truncate(StringInfo path, int length)
{
	path->len = length;
	path->data[length] = '\0';
}

#endif							/* PROMOTE_JSON_PATH_H */
