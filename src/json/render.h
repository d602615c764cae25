/*
 * render.h: {{name}} placeholders in a document's strings.
 */
#ifndef PROMOTE_JSON_RENDER_H
#define PROMOTE_JSON_RENDER_H

#include "postgres.h"

#include "utils/jsonb.h"

extern bool json_has_placeholders(const Jsonb *document);
extern Jsonb *json_render(const Jsonb *document, const Jsonb *variables, bool lenient);

#endif							/* PROMOTE_JSON_RENDER_H */
