/*
 * verify.c: is what a request has deployed healthy?
 *
 * It is where the checks that the environment requires of its instances, and
 * those that the request names, are green, and nothing was reported unhealthy
 * since the deployment.  What was green before says nothing of what was
 * deployed, unless the check is about the revision.
 */
#include "postgres.h"

#include "request/request.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

/*
 * Judge the health of an item that is deployed; words is why it is not
 * verified, in the request's memory.
 */
RequestHealth
request_health(const Sql *sql, const PromotionRequest *request, const RequestItem *item, char **words)
{
#define OF_ITEM(row) row ".project = t.project" \
	" AND " row ".environment = t.destination_environment AND " row ".component = t.component"
	static OldStatement read = {
		.text = "SELECT bad.words, missing.words"
		" FROM promote.promotion_request AS r"
		" JOIN promote.promotion_request_item AS t ON t.project = $1 AND t.request = $2 AND t.component = $3"
		" CROSS JOIN pg_catalog.clock_timestamp() AS n (now)"
		/* without the reporter's words, which may quote anything */
		" LEFT JOIN LATERAL (SELECT 'check \"' || h.check_name || '\" has failed since its deployment'"
		"  AS words FROM promote.health_report AS h WHERE " OF_ITEM("h")
		"  AND NOT h.healthy AND h.reported_at >= t.verified_from"
		"  ORDER BY h.project, h.environment, h.component, h.reported_at LIMIT 1) AS bad ON true"
		" CROSS JOIN LATERAL (SELECT i.attributes FROM promote_internal.instance_attributes AS i WHERE " OF_ITEM("i") ") AS a"
		" CROSS JOIN LATERAL (SELECT pg_catalog.string_agg('\"' || w.check_name || '\"', ', ' ORDER BY w.check_name) AS words"
		"  FROM (SELECT u.check_name, false AS per_revision, NULL::pg_catalog.interval AS expires_after"
		"   FROM pg_catalog.unnest(r.checks) AS u (check_name)"
		"   UNION SELECT c.check_name, c.per_revision, c.expires_after FROM promote.required_check AS c"
		"   WHERE c.project = t.project AND c.environment = t.destination_environment AND c.\"of\" = 'destination'"
		"   AND (c.component = t.component OR c.component IS NULL) AND c.selector <@ a.attributes) AS w"
		"  WHERE (SELECT h.healthy AND COALESCE(LEAST(h.expires_at, h.reported_at + w.expires_after) > n.now, true)"
		"   AND (w.per_revision OR h.reported_at >= t.verified_from)"
		"   FROM promote.health_report AS h WHERE " OF_ITEM("h") " AND h.check_name = w.check_name"
		"   AND (NOT w.per_revision OR h.revision = t.revision)"
		"   ORDER BY h.report DESC LIMIT 1) IS NOT TRUE) AS missing"
		" WHERE " OF_REQUEST("r"),
		.parameters = 3,
		.types = {TEXTOID, INT4OID, TEXTOID}
	};
	Datum		values[3];
	char	   *bad;
	char	   *missing;

	request_values(request, values);
	values[2] = CStringGetTextDatum(item->component);
	statement_run(sql, &read, values, NULL, false);
	if (SPI_processed == 0)
		return REQUEST_HEALTHY;
	bad = spi_text(SPI_tuptable, 0, 1);
	missing = spi_text(SPI_tuptable, 0, 2);
	*words = request_copy(request, bad ? bad : missing);
	return bad ? REQUEST_UNHEALTHY : missing ? REQUEST_UNVERIFIED : REQUEST_HEALTHY;
}
