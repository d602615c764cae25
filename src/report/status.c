/*
 * status.c: what the view instance_status needs and SQL cannot compute.
 */
#include "postgres.h"

#include "fmgr.h"

#include "base/argument.h"
#include "base/sql.h"
#include "grant/grants.h"
#include "json/render.h"
#include "ledger/config_digest.h"

PG_FUNCTION_INFO_V1(promote_rendered_digest);

/* A configuration, and the parameters that replace its placeholders. */
typedef struct Template
{
	Jsonb	   *params;
	Jsonb	   *parameters;
} Template;

static const SqlField template_fields[] = {
	SQL_FIELD(Template, params, "c.params"),
	SQL_FIELD(Template, parameters, "promote_internal.parameters_of(e.project, e.environment)")
};

/*
 * promote_internal.rendered_digest(project text, environment text, digest bytea) returns bytea
 *
 * It takes the digest of a stored configuration.  If it took a document, callers
 * could compare digests of guesses with stored ones.
 */
Datum
promote_rendered_digest(PG_FUNCTION_ARGS)
{
	static Statement read = SQL_ROWS(template_fields, "SELECT $* FROM promote.config AS c, promote.environment AS e"
									 " WHERE c.project = $1 AND c.digest = $3 AND e.project = $1 AND e.environment = $2");
	char	   *project = argument_text(fcinfo, 0);
	char	   *environment = argument_text(fcinfo, 1);
	Datum		digest = (Datum) 0;
	Template	template;
	SqlRows		rows;
	Sql			sql;

	if (!grants_may(GRANTS_ROWS, project, environment))
		PG_RETURN_NULL();
	sql_enter(&sql);
	rows = sql_read(&sql, &read, AS_TEXT(project), AS_TEXT(environment), AS_BYTEA(PG_GETARG_BYTEA_P(2)));
	if (sql_row(&rows, 0, &template))
	{
		Jsonb	   *rendered = json_render(template.params, template.parameters, true);

		digest = SPI_datumTransfer(PointerGetDatum(config_digest(project, rendered)), false, -1);
	}
	sql_leave(&sql);
	if (digest == (Datum) 0)
		PG_RETURN_NULL();
	return digest;
}
