/*
 * graph.h: what is found out about a compiled schema as a whole.
 */
#ifndef PROMOTE_SCHEMA_GRAPH_H
#define PROMOTE_SCHEMA_GRAPH_H

#include "postgres.h"

#include "schema/node.h"

extern void schema_refuse_circles(const Schema *schema);
extern void schema_refuse_circle(const SchemaNode *node, const char *keyword);
extern void schema_spread(const Schema *schema, uint8 *reach);
extern void schema_spread_marks(Schema *schema);
extern bool *schema_reached(const Schema *schema);

#endif							/* PROMOTE_SCHEMA_GRAPH_H */
