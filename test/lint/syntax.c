#include "sql.h"
static Statement one = {.text = "SELECT 1 +"};	/* bad */
static Statement two = {.text = elsewhere};	/* bad */
