/*
 * deploy_set.h: planning and deploying many instances by one call.
 */
#ifndef PROMOTE_DEPLOYMENT_DEPLOY_SET_H
#define PROMOTE_DEPLOYMENT_DEPLOY_SET_H

#include "postgres.h"

#include "promotion/deployment.h"
#include "registry/set.h"

/* The set, with what is asked for. */
typedef struct Deploying
{
	Set			set;
	DeploymentAction action;
	const char *message;		/* NULL: none */
	NullableDatum *plans;		/* NULL: none are named */
	NullableDatum *expected;	/* revisions, 0: none yet; NULL, or null in it: any */
	bool		details;		/* are the diffs kept in the elements? */
	bool		previews;		/* is nothing locked and written? */
	bool		partial;

	/* filled in on the way */
	Set			locked;			/* in the order of locks */
} Deploying;

extern void deploy_set_run(Deploying *deploying);

#endif							/* PROMOTE_DEPLOYMENT_DEPLOY_SET_H */
