#include "sql.h"
static Statement one = {.text = "SELECT 'a' ~ '\\d', E'\\d'"};	/* bad */
static Statement two = {.text = "SELECT E'\\d'"};
