/*
 * notify.h: telling listeners, at commit, that something happened.
 */
#ifndef PROMOTE_LEDGER_NOTIFY_H
#define PROMOTE_LEDGER_NOTIFY_H

#include "postgres.h"

#include "utils/jsonb.h"

/* What happened to which instance or request; what is 0 or NULL is not said. */
typedef struct Notice
{
	const char *instance;
	int32		revision;
	int32		deployment;
	const char *action;
	const char *status;
	const char *project;		/* of a request, which is numbered within it */
	int32		request;
	const Jsonb *carried;		/* names of references and of secrets, by their kinds */
} Notice;

extern void notify(const Notice *notice);
extern void notify_line(const char *project, const char *event);

#endif							/* PROMOTE_LEDGER_NOTIFY_H */
