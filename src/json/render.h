/*
 * render.h: {{name}} placeholders in a document's strings.
 */
#ifndef PROMOTE_JSON_RENDER_H
#define PROMOTE_JSON_RENDER_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#include "json/builder.h"

/*
 * The key under which variables say which of them are sensitive, an array of their names.  No
 * placeholder can name it.
 */
#define JSON_SENSITIVE_VARIABLES "{{"

extern bool json_has_placeholders(const Jsonb *document);
extern Jsonb *json_render(const Jsonb *document, const Jsonb *variables, bool lenient);
extern bool json_strings_may_render(const JsonbValue *value);
extern bool json_is_placeholder(const JsonbValue *value);
extern void json_build_literal(JsonBuilder *builder, const JsonbValue *value);
extern bool json_has_sensitive_variables(const Jsonb *variables);
extern bool json_is_sensitive_variable(const Jsonb *variables, const char *name, int length);
extern Jsonb *json_sensitive_places(const Jsonb *document, const Jsonb *variables);
extern Jsonb *json_render_noting(const Jsonb *document, const Jsonb *variables, List **problems);

#endif							/* PROMOTE_JSON_RENDER_H */
