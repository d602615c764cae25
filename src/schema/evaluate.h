/*
 * evaluate.h: does a document satisfy a schema?
 */
#ifndef PROMOTE_SCHEMA_EVALUATE_H
#define PROMOTE_SCHEMA_EVALUATE_H

#include "postgres.h"

#include "schema/evaluation.h"

extern bool schema_evaluate(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at);
extern bool schema_accepts(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at);
extern bool schema_is_ruled_out(SchemaEvaluation *evaluation, const SchemaNode *branch, const SchemaFrame *at);
extern void schema_find_seen(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at,
							 SchemaSeen *seen);

#endif							/* PROMOTE_SCHEMA_EVALUATE_H */
