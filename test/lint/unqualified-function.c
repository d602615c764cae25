#include "sql.h"
static Statement one = {.text = "SELECT pg_catalog.now(), now()"};	/* bad */
static Statement three = {"SELECT lower('a')"};	/* bad */
static Statement four[] = {{"SELECT pg_catalog.lower('a')"}, {"SELECT upper('a')"}};	/* bad */
static const SqlField fields[] = {{"upper(i.name)", _Generic(0, int: 1), 0}};	/* bad */
static Statement five = {.text = "SELECT $* FROM promote.instance AS i", .fields = fields};
