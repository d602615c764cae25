/*
 * mask.h: what of documents must not be seen, by where their values come from.
 */
#ifndef PROMOTE_MASK_H
#define PROMOTE_MASK_H

#include "postgres.h"

#include "json/diff.h"
#include "secrets.h"
#include "utils/jsonb.h"

/*
 * A flag of a change beside those of schemas: it is sensitive for the new value
 * alone, which is one that is marked elsewhere.
 */
#define MASK_NEW_ALONE	0x0100

/*
 * What keeps marks in the params of a revision, a row r of that table, as SQL: an
 * array of the paths that were written down with it, and, where deployments have
 * rendered it otherwise than it stands or by another release, of pairs of params and
 * schema for all that it was; NULL: nothing does.  A parameter may have decided
 * what was marked then, and decide otherwise by now.  OFFSET keeps what is named
 * twice from being worked out twice.
 */
#define KEPT_OF(r) \
	"(SELECT COALESCE(" r ".kept_marks || k.rendered, " r ".kept_marks, k.rendered)" \
	" FROM (SELECT CASE WHEN EXISTS (SELECT FROM promote.deployment AS d WHERE " RENDERED(r) \
	"   AND (d.rendered_digest <> " r ".digest OR d.version <> " r ".version)) THEN" \
	"  (SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(c.params, f.params_schema))" \
	"   FROM (SELECT d.rendered_digest, d.bundle, d.version FROM promote.deployment AS d WHERE " RENDERED(r) \
	"    UNION SELECT " r ".digest, " r ".bundle, " r ".version) AS d (digest, bundle, version)" \
	"   JOIN promote.config AS c ON c.project = " r ".project AND c.digest = d.digest" \
	"   JOIN promote.bundle_release AS f ON f.bundle = d.bundle AND f.version = d.version) END OFFSET 0) AS k (rendered))"
#define RENDERED(r) \
	"d.project = " r ".project AND d.environment = " r ".environment AND d.component = " r ".component" \
	" AND d.revision = " r ".revision"

typedef struct Mask Mask;

extern Mask *mask_create(const Jsonb *schema);
extern void mask_add_schema(Mask *mask, const Jsonb *schema);
extern void mask_add_origin(Mask *mask, const Jsonb *document, const Jsonb *kept);
extern void mask_add_pair(Mask *mask, const Jsonb *params, const Jsonb *rendered, const Jsonb *kept);
extern void mask_add_both(Mask *mask, const Jsonb *params, const Jsonb *parameters, const Jsonb *kept);
extern Secrets *mask_secrets(Mask *mask, SecretsKind kind);
extern bool mask_holds(Mask *mask, const JsonbValue *value);
extern void mask_leaf_diff(Mask *mask, const Jsonb *old_document, const Jsonb *new_document,
						   JsonChangeCollector collect, void *state);
extern Jsonb *mask_document(Mask *mask, const Jsonb *document);
extern Jsonb *mask_kept(Mask *mask, const Jsonb *schema, const Jsonb *params, const Jsonb *rendered);
extern const JsonbValue *mask_shown(const JsonbValue *value, uint32 flags, JsonbValue *mask);

#endif							/* PROMOTE_MASK_H */
