/*
 * script.h: which version of the install script the library serves.
 *
 * A package brings a new library, and ALTER EXTENSION promote UPDATE a new script, later and for
 * each database by itself: until then the library serves a script that is older than it is.  A
 * function that needs what a later script brings says so by script_need, and one that can do
 * without asks script_has.  A script that is newer than the library is not served: nobody could
 * know what it means.
 */
#ifndef PROMOTE_BASE_SCRIPT_H
#define PROMOTE_BASE_SCRIPT_H

#include "postgres.h"

extern void script_check(void);
extern void script_check_loading(void);
extern bool script_has(const char *version);
extern void script_need(const char *version);

#endif							/* PROMOTE_BASE_SCRIPT_H */
