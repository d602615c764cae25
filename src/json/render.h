/*
 * render.h: {{name}} placeholders in a document's strings.
 */
#ifndef PROMOTE_JSON_RENDER_H
#define PROMOTE_JSON_RENDER_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#include "json/builder.h"

extern bool json_has_placeholders(const Jsonb *document);
extern Jsonb *json_render(const Jsonb *document, const Jsonb *variables, bool lenient);
extern bool json_strings_may_render(const JsonbValue *value);
extern bool json_is_placeholder(const JsonbValue *value);
extern void json_build_literal(JsonBuilder *builder, const JsonbValue *value);
extern Jsonb *json_render_noting(const Jsonb *document, const Jsonb *variables, List **problems);

#endif							/* PROMOTE_JSON_RENDER_H */
