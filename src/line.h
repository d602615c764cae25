/*
 * line.h: stopping the line, and letting it go on.
 */
#ifndef PROMOTE_LINE_H
#define PROMOTE_LINE_H

#include "postgres.h"

extern bool line_keep_going(void);

#endif							/* PROMOTE_LINE_H */
