/*
 * violation.h: telling the collector what is wrong, and where.
 */
#ifndef PROMOTE_SCHEMA_VIOLATION_H
#define PROMOTE_SCHEMA_VIOLATION_H

#include "postgres.h"

#include "schema/evaluation.h"

extern bool schema_begin_report(SchemaEvaluation *evaluation);
extern bool schema_end_report(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at,
							  const char *keyword, const SchemaProperty *property, const JsonbValue *expected,
							  const char *message);
extern const char *schema_instance_path(const SchemaFrame *at);

/*
 * Report a violation, if violations are collected at all; false, for the caller
 * to return.  The message is a format with its arguments, which are evaluated
 * only then; what they allocate lasts as long as the report.  property is given
 * where the keyword's value has an entry for it that is violated, and expected
 * where that is not the keyword's value as a whole.
 */
#define SCHEMA_REPORT_PART(evaluation, node, at, keyword, property, expected, ...) \
	(schema_begin_report(evaluation) && \
	 schema_end_report(evaluation, node, at, keyword, property, expected, psprintf(__VA_ARGS__)))

/* Report a violation of all that the keyword says, in the same way. */
#define SCHEMA_REPORT(evaluation, node, at, keyword, ...) \
	SCHEMA_REPORT_PART(evaluation, node, at, keyword, NULL, NULL, __VA_ARGS__)

#endif							/* PROMOTE_SCHEMA_VIOLATION_H */
