/*
 * request.c: what a request holds is deployed by it alone.
 *
 * A deployment is the request's where its revision is one that the request has
 * staged, to promote or to roll back, whoever calls for it.
 */
#include "postgres.h"

#include "gate/request.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

/* The instance is held by no request that this deployment is not of. */
void
gate_request(const Sql *sql, GateCase *gate)
{
	static OldStatement read = {
		.text = "SELECT r.request, r.created_at, 'request ' || r.request || ' holds \"' || $6 || '\" ('"
		" || r.source_environment || ' to ' || r.destination_environment || ', ' || r.status"
		" || ', opened by ' || r.actor || ')'"
		" FROM promote.promotion_request_item AS t"
		" JOIN promote.promotion_request AS r ON r.project = t.project AND r.request = t.request"
		" WHERE t.project = $1 AND t.destination_environment = $2 AND t.component = $3 AND t.holds"
		" AND ($4 IN (t.revision, t.rollback_revision) AND $5 = 'PROVISION') IS NOT TRUE",
		.parameters = 6,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID, TEXTOID, TEXTOID}
	};
	Datum		values[6];
	int32		request;
	bool		isnull;

	instance_key_values(&gate->key, values);
	values[3] = Int32GetDatum(gate->revision);
	values[4] = CStringGetTextDatum(gate->action);
	values[5] = CStringGetTextDatum(gate->instance);
	statement_run(sql, &read, values, NULL, true);
	if (SPI_processed == 0)
		return;
	request = spi_integer(SPI_tuptable, 0, 1);
	gate_block(gate, "request", true, DatumGetTimestampTz(spi_value(SPI_tuptable, 0, 2, &isnull)),
			   GATE_NO_TIME, psprintf("whoever ends request %d by promote.cancel_request", request),
			   spi_text(SPI_tuptable, 0, 3));
	gate_about(gate, psprintf("request %d", request));
}
