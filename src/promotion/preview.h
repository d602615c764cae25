/*
 * preview.h: what a promotion or an edit would change, as rows.
 */
#ifndef PROMOTE_PROMOTION_PREVIEW_H
#define PROMOTE_PROMOTION_PREVIEW_H

#include "postgres.h"

#include "fmgr.h"

#include "base/sql.h"
#include "promotion/promotion.h"

extern void preview_judge(const Sql *sql, Promotion *promotion);
extern void preview_put(const Sql *sql, FunctionCallInfo fcinfo, Promotion *promotion, bool views_only);

#endif							/* PROMOTE_PROMOTION_PREVIEW_H */
