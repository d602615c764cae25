/*
 * path.h: locations of a document, spelled as jq spells them.
 *
 * .database.instance_class, .nodes[0].size, .["a key"], and . for the root.
 */
#ifndef PROMOTE_JSON_PATH_H
#define PROMOTE_JSON_PATH_H

#include "postgres.h"

#include "lib/stringinfo.h"

extern void json_path_add_key(StringInfo path, const char *key, int length);
extern void json_path_add_index(StringInfo path, uint32 index);
extern const char *json_path_text(const StringInfoData *path);

#endif							/* PROMOTE_JSON_PATH_H */
