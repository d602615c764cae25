/*
 * yaml.h: documents as YAML.
 */
#ifndef PROMOTE_PARSE_YAML_H
#define PROMOTE_PARSE_YAML_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/jsonb.h"

extern text *yaml_text(const Jsonb *document);
extern Datum promote_yaml_to_jsonb(PG_FUNCTION_ARGS);

#endif							/* PROMOTE_PARSE_YAML_H */
