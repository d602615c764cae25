static void f(void) { SPI_execute("SELECT 1", true, 0); }	/* bad */
static void g(void) { SPI_prepare("SELECT 1", 0, NULL); }	/* bad */
