/*
 * number.h: the canonical spelling of a number, and whole numbers.
 */
#ifndef PROMOTE_JSON_NUMBER_H
#define PROMOTE_JSON_NUMBER_H

#include "postgres.h"

#include "utils/jsonb.h"
#include "utils/numeric.h"

extern Size json_number_room(Numeric number);
extern char *json_write_number(char *to, Numeric number);
extern int32 json_whole_number(const JsonbValue *value);

#endif							/* PROMOTE_JSON_NUMBER_H */
