/*
 * errors.h: the SQLSTATEs of promote, all of class PM.
 *
 * There is one line for each refusal that a caller may want to tell from the others.
 * doc/reference/errors.md explains each, and test/t/errors_codes.pl makes sure that a test
 * provokes each.  Messages are lower case without a full stop; DETAIL and HINT are sentences.
 * None of them holds a value of a configuration, because the value might be sensitive; only
 * PM_CONFLICT does, which masks what is.
 */
#ifndef PROMOTE_BASE_ERRORS_H
#define PROMOTE_BASE_ERRORS_H

#include "postgres.h"

#include "utils/elog.h"

#define PM_ERRCODE(a, b, c) MAKE_SQLSTATE('P', 'M', a, b, c)

/* Names and what they stand for */
#define PM_INVALID_NAME			PM_ERRCODE('0', '0', '1')	/* a name that is not well formed */
#define PM_NOT_FOUND			PM_ERRCODE('0', '0', '2')	/* no such project, environment, format, ... */
#define PM_SAME_INSTANCE		PM_ERRCODE('0', '0', '3')	/* source and destination are one */
#define PM_COMPONENT_MISMATCH	PM_ERRCODE('0', '0', '4')	/* different components or projects */
#define PM_NOT_CONFIGURED		PM_ERRCODE('0', '0', '5')	/* the instance has no revision yet */
#define PM_ARCHIVED				PM_ERRCODE('0', '0', '6')	/* the environment is over */
#define PM_NAME_TAKEN			PM_ERRCODE('0', '0', '7')	/* an environment, or a rule, of that name is there */

/* Documents */
#define PM_NOT_AN_OBJECT		PM_ERRCODE('1', '0', '1')	/* params or overrides that are no object */
#define PM_TOO_LARGE			PM_ERRCODE('1', '0', '2')	/* past a limit of size, depth or digits */
#define PM_INVALID_PARAMS		PM_ERRCODE('1', '0', '3')	/* violates the release's schema */
#define PM_IMMUTABLE			PM_ERRCODE('1', '0', '4')	/* changes an immutable value */
#define PM_INVALID_PLACEHOLDER	PM_ERRCODE('1', '0', '5')	/* {{name}} unknown or malformed */
#define PM_INVALID_SCHEMA		PM_ERRCODE('1', '0', '6')	/* not a usable JSON Schema */
#define PM_INVALID_YAML			PM_ERRCODE('1', '0', '7')	/* not a YAML document of JSON's values */
#define PM_CONFLICT				PM_ERRCODE('1', '0', '9')	/* both sides of a merge changed the same */
#define PM_NO_BASE				PM_ERRCODE('1', '1', '0')	/* nothing that a merge could start from */

#define PM_INVALID_DOCUMENT		PM_ERRCODE('1', '1', '1')	/* not a document that a project can be made of */

/* Versions */
#define PM_CANNOT_PATCH			PM_ERRCODE('1', '0', '8')	/* a patch that cannot be made or applied */
#define PM_INVALID_VERSION		PM_ERRCODE('2', '0', '1')	/* not a version, or not a constraint */
#define PM_NO_RELEASE			PM_ERRCODE('2', '0', '2')	/* nothing matches the constraint */
#define PM_OTHER_ARTIFACT		PM_ERRCODE('2', '0', '3')	/* the version is another artifact, or another release */

/* History */
#define PM_APPEND_ONLY			PM_ERRCODE('3', '0', '1')	/* history is never rewritten */
#define PM_OUT_OF_SEQUENCE		PM_ERRCODE('3', '0', '2')	/* not the next revision */
#define PM_GUARDED_COLUMN		PM_ERRCODE('3', '0', '3')	/* a column that only promote writes */

/* Calls */
#define PM_REVISION_MOVED		PM_ERRCODE('4', '0', '1')	/* expected_revision does not hold */
#define PM_KEY_REUSED			PM_ERRCODE('4', '0', '2')	/* idempotency key of another call */
#define PM_INVALID_ARGUMENT		PM_ERRCODE('4', '0', '4')	/* a missing argument, or one out of bounds */
#define PM_CANNOT_TAKE			PM_ERRCODE('4', '0', '5')	/* named to be promoted alone, and cannot be */
#define PM_TAG_TAKEN			PM_ERRCODE('4', '0', '6')	/* the environment has a tag of that name */
#define PM_CANNOT_WAIT			PM_ERRCODE('4', '0', '7')	/* a transaction in which waiting is of no use */

/* Deployments */
#define PM_ILLEGAL_STEP			PM_ERRCODE('5', '0', '1')	/* not from the state it is in */
#define PM_NO_CLAIM				PM_ERRCODE('5', '0', '2')	/* the worker's claim does not hold */
#define PM_PLAN_MOVED			PM_ERRCODE('5', '0', '3')	/* what was reviewed is not what would run */
#define PM_PLAN_REQUIRED		PM_ERRCODE('5', '0', '4')	/* there is no completed plan */
#define PM_PROTECTED			PM_ERRCODE('5', '0', '5')	/* not to be decommissioned */
#define PM_NOT_A_PLAN			PM_ERRCODE('5', '0', '6')	/* not a plan document */
#define PM_DEFECTIVE_PLAN		PM_ERRCODE('5', '0', '7')	/* errored, incomplete or deferred */
#define PM_NOT_DEPLOYED			PM_ERRCODE('5', '0', '8')	/* nothing has run that this is about */
#define PM_OTHER_PLAN			PM_ERRCODE('5', '0', '9')	/* another plan is recorded already */
#define PM_RELEASE_BLOCKED		PM_ERRCODE('5', '1', '0')	/* nothing may be deployed by the release */
#define PM_DECOMMISSIONED		PM_ERRCODE('5', '1', '1')	/* what was decommissioned would come back unseen */
#define PM_STILL_USED			PM_ERRCODE('5', '1', '2')	/* archiving, removing or taking away what is in use */

/* The pipeline */
#define PM_GATES_CLOSED			PM_ERRCODE('6', '0', '1')	/* a gate blocks the deployment */
#define PM_INVALID_WINDOW		PM_ERRCODE('6', '0', '2')	/* not a window, recurrence or time zone */
#define PM_INVALID_APPROVAL		PM_ERRCODE('6', '0', '3')	/* one's own plan, a second vote, or without the role */
#define PM_NOT_OVERRIDABLE		PM_ERRCODE('6', '0', '4')	/* a gate that nobody, or not that role, may override */
#define PM_NO_PATH				PM_ERRCODE('6', '0', '5')	/* a cycle, no path that allows it, or several paths */
#define PM_REQUEST_STATE		PM_ERRCODE('6', '0', '6')	/* the request's state does not allow this */
#define PM_PREVIEW_MOVED		PM_ERRCODE('6', '0', '7')	/* no preview was taken, or what it showed has changed */
#define PM_REQUEST_HOLDS		PM_ERRCODE('6', '0', '8')	/* another request holds the instance */
#define PM_OTHER_CHANGES		PM_ERRCODE('6', '0', '9')	/* the promotion would also carry other changes */
#define PM_INVALID_POLICY		PM_ERRCODE('6', '1', '0')	/* a function that cannot be a policy */
#define PM_HELD					PM_ERRCODE('6', '1', '1')	/* another session holds what an emergency needs */
#define PM_CYCLE				PM_ERRCODE('6', '2', '0')	/* components that would depend on each other */

/* Who may do what */
#define PM_NOT_GRANTED			PM_ERRCODE('7', '0', '1')	/* the caller has no grant for it */
#define PM_INVALID_GRANT		PM_ERRCODE('7', '0', '2')	/* to oneself, or names a role or a scope that does not exist */
#define PM_IMPERSONATION		PM_ERRCODE('7', '0', '3')	/* promote.actor names somebody without the right to */
#define PM_UNCALLED				PM_ERRCODE('7', '0', '4')	/* code that the session did not call */
#define PM_OTHERS_CONSUMER		PM_ERRCODE('7', '0', '5')	/* another role's consumer of events */

/* What else a promotion carries */
#define PM_NO_SECRET_KEY		PM_ERRCODE('7', '1', '1')	/* no key is configured */
#define PM_UNUSABLE_SECRET_KEY	PM_ERRCODE('7', '1', '2')	/* readable by others, malformed, not the one */
#define PM_SECRET_SEALED		PM_ERRCODE('7', '1', '3')	/* a ciphertext does not open */
#define PM_UNDECLARED			PM_ERRCODE('7', '1', '4')	/* the release declares no such secret or slot */
#define PM_INVALID_SECRET		PM_ERRCODE('7', '1', '5')	/* empty, too large, or not JSON */
#define PM_REFERENCE_FIXED		PM_ERRCODE('7', '2', '1')	/* a reference of something that is provisioned */
#define PM_SENSITIVE_REFERENCE	PM_ERRCODE('7', '2', '2')	/* a reference that would show what must not be seen */

/* Evidence */
#define PM_CANNOT_PRUNE			PM_ERRCODE('7', '3', '1')	/* audit rows that have to stay */
#define PM_NOT_ACKNOWLEDGED		PM_ERRCODE('7', '3', '2')	/* a position that is over, or still to come */

/* Versions of promote */
#define PM_SCRIPT_BEHIND		PM_ERRCODE('8', '0', '1')	/* the database has an older script than this needs */
#define PM_LIBRARY_BEHIND		PM_ERRCODE('8', '0', '2')	/* the library is older than the database's script */

#endif							/* PROMOTE_BASE_ERRORS_H */
