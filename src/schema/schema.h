/*
 * schema.h: JSON Schema: compile once, evaluate, collect annotations.
 *
 * A compiled schema is kept per backend, keyed by the schema's bytes, within
 * a bound; a pointer to one stays good until the next call of
 * schema_compile.  Evaluation reads views into the document (json/reader.h)
 * and allocates nothing for a valid one, unless the schema says what is
 * "unevaluated" of more than 256 children.
 *
 * Nothing here reads tables or the clock.  Other documents that a schema
 * refers to are asked for at a source that whoever knows tables sets.
 */
#ifndef PROMOTE_SCHEMA_SCHEMA_H
#define PROMOTE_SCHEMA_SCHEMA_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "json/marks.h"

typedef struct Schema Schema;

/* What a schema can say of a location, as flags of a mark tree. */
#define SCHEMA_NONCOPYABLE	0x01	/* "$md.copyable": false */
#define SCHEMA_IMMUTABLE	0x02	/* "$md.immutable": true */
#define SCHEMA_SENSITIVE	0x04	/* "$md.sensitive": true */
#define SCHEMA_KEYED		0x08	/* "$md.key": "name" */
#define SCHEMA_SCALE		0x10	/* "$md.scale": true */
#define SCHEMA_KIND			0x20	/* "$md.scale": false */
#define SCHEMA_ENUMERATED	0x40	/* "enum" or "const", which are no marks, but tell of a location likewise */

/* One violation; the strings live until the collector returns. */
typedef struct SchemaViolation
{
	const char *instance_path;	/* jq style: .database.replicas[0] */
	const char *schema_path;	/* #/properties/x: a place that exists, so
								 * behind a $ref that of its target */
	const char *keyword;		/* which keyword is violated */
	const char *message;		/* what was expected; never the value found */
	const JsonbValue *expected; /* the same as a value of the schema; NULL
								 * where it is large */
} SchemaViolation;

typedef void (*SchemaCollector) (void *state, const SchemaViolation *violation);

/*
 * The document of a URI, which is absolute and without a fragment, in the
 * current memory context; NULL if there is none.
 */
typedef const Jsonb *(*SchemaDocumentSource) (const char *uri, int length);

/* A mark that says nothing: its place, #/properties/x, and the keyword that keeps walks away. */
typedef void (*SchemaUnmetCollector) (void *state, const char *place, const char *keyword);

/* An array of a document, and a member by which its elements are told apart. */
typedef struct SchemaKey
{
	const JsonbContainer *array;
	const char *name;
} SchemaKey;

/* All of them that a schema says of a document, by the arrays' addresses, each once. */
typedef struct SchemaKeys
{
	SchemaKey  *list;
	Size		count;
	Size		room;
} SchemaKeys;

extern void schema_set_document_source(SchemaDocumentSource source);
extern void schema_forget_documents(void);

extern const Schema *schema_compile(const Jsonb *schema);
extern const Schema *schema_check(const Jsonb *schema);
extern void schema_check_document(const Jsonb *document, const char *uri, int length);
extern bool schema_validate(const Schema *schema, const JsonbValue *document,
							SchemaCollector collect, void *state);
extern bool schema_may_complete(const Schema *schema, const JsonbValue *document,
								SchemaCollector collect, void *state);
extern Jsonb *schema_fill(const Schema *schema, Jsonb *document);
extern void schema_find_unmet(const Schema *schema, SchemaUnmetCollector collect, void *state);
extern bool schema_marks_vary(const Schema *schema, uint32 wanted);
extern JsonMark *schema_marks(const Jsonb *schema, const Jsonb *document, uint32 wanted);
extern SchemaKeys *schema_keys(const Jsonb *schema, const Jsonb *document);
extern const SchemaKey *schema_next_key(const SchemaKeys *keys, const JsonbContainer *array, const SchemaKey *last);

#endif							/* PROMOTE_SCHEMA_SCHEMA_H */
