/*
 * number.h: the canonical spelling of a number.
 */
#ifndef PROMOTE_JSON_NUMBER_H
#define PROMOTE_JSON_NUMBER_H

#include "postgres.h"

#include "utils/numeric.h"

extern Size json_number_room(Numeric number);
extern char *json_write_number(char *to, Numeric number);

#endif							/* PROMOTE_JSON_NUMBER_H */
