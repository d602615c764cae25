#include "spi.h"
static Statement one = {.text = "SELECT pg_catalog.now(), now()"};	/* bad */
