/*
 * review.c: only what was reviewed may run.
 *
 * A PROVISION is bound to the PLAN that it follows, and a proposal to what
 * was proposed.  Both say what would run: a revision, a release, the rendered
 * params, and the plan's result.  This file compares that with what would run
 * now, under the instance's lock, and refuses it with a list of what has moved.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "base/errors.h"
#include "compose/entry.h"
#include "gate/review.h"
#include "json/digest.h"
#include "ledger/config_digest.h"
#include "promotion/proposal_single.h"
#include "promotion/stage.h"
#include "registry/instance.h"
#include "registry/release.h"
#include "registry/remote_reference.h"

#define CONFIGURE_FIRST "Give it its first revision by promote.configure_instance."

/* What a review, which may be a member of another struct, is made by: a row of promote_internal.reviewed_instance. */
#define REVIEW_FIELDS(type, at) \
	SQL_FIELD(type, at deployed_by, "i.deployed_by"), SQL_FIELD(type, at changed_by, "i.changed_by"), \
	SQL_FIELD(type, at require_plan, "i.require_plan"), SQL_FIELD(type, at protected, "i.protected"), \
	SQL_FIELD(type, at proposed.proposal.allow_replace, "i.allow_replace")

static const SqlField review_fields[] = {REVIEW_FIELDS(Review,)};

/* Complete a review that was read. */
static void
begin(Review *review)
{
	/* nobody brings back what was decommissioned without having seen that everything is added */
	review->require_plan |= review->proposed.decommissioned;
	review->proposed.revision = review->proposed.current_revision;
	review->rendered_digest = NULL;
	review->asking = false;
	review->known = NULL;
}

/*
 * Read what an instance desires, with the rules of its environment and its
 * status.  The instance is locked.  Raises PM_NOT_CONFIGURED where it desires
 * nothing yet.
 */
void
review_open(const Sql *sql, const InstanceKey *key, Review *review)
{
	static Statement read = SQL_ROWS(review_fields, "SELECT $* FROM promote_internal.reviewed_instance AS i"
									 " WHERE " OF_INSTANCE("i"));
	SqlRows		rows;

	proposal_from(sql, key, key->environment, NULL, NULL, false, &review->proposed);
	if (proposal_is_fresh(&review->proposed))
		refuse_unconfigured(key, CONFIGURE_FIRST);
	rows = sql_run(sql, &read, AS_KEY(key));
	(void) sql_row(&rows, 0, review);
	begin(review);
}

static const SqlField order_fields[] = {
	REVIEW_FIELDS(ReviewOrder, review.),
	SQL_FIELD(ReviewOrder, known.in_sync, "s.in_sync"), SQL_FIELD(ReviewOrder, known.carried_plan, "s.plan"),
	SQL_FIELD(ReviewOrder, known.last_plan, "p.last_plan"),
	SQL_FIELD(ReviewOrder, known.plan.deployment, "p.plan"),
	SQL_ENUM_FIELD(ReviewOrder, known.plan.action, "p.action", deployment_actions),
	SQL_ENUM_FIELD(ReviewOrder, known.plan.status, "p.status", deployment_statuses),
	SQL_FIELD(ReviewOrder, known.plan.revision, "p.revision"), SQL_FIELD(ReviewOrder, known.plan.version, "p.version"),
	SQL_FIELD(ReviewOrder, known.plan.rendered_digest, "p.rendered_digest"),
	SQL_FIELD(ReviewOrder, known.plan.references, "p.remote_references"),
	SQL_FIELD(ReviewOrder, known.plan.plan_digest, "p.plan_digest"),
	SQL_FIELD(ReviewOrder, known.plan.seen_change, "p.seen_change"),
	SQL_FIELD(ReviewOrder, known.plan.plan_defects, "p.plan_defects"),
	SQL_FIELD(ReviewOrder, known.newer_plan, "p.newer_plan"), SQL_FIELD(ReviewOrder, known.change_before, "p.change_before")
};

/* Begin the rows of review_open_all: key, place from 0, and number of the plan that is named, or NULL. */
void
review_begin_batch(Batch *instances)
{
	static const char *const columns[] = {"project", "environment", "component", "place", "named"};

	*instances = (Batch) {.name = "own_instance",.columns = columns};
	batch_begin(instances);
}

/*
 * Read what many instances desire, as review_open does of one, and the plans that they would be deployed by; ends the
 * batch of them.  The instances are locked.  Nothing is checked yet, see review_require.
 */
void
review_open_all(const Sql *sql, Batch *instances, Shared *shared, ReviewOrder *orders)
{
	static Statement read = SQL_ROWS(order_fields, "SELECT $* FROM own_instance AS k CROSS JOIN LATERAL (SELECT i.*"
									 "  FROM promote_internal.reviewed_instance AS i WHERE " SAME_INSTANCE("i", "k") " LIMIT 1) AS i"
									 " LEFT JOIN LATERAL (SELECT p.* FROM promote_internal.known_plan(k.project, k.environment,"
									 "  k.component, i.revision, k.named) AS p LIMIT 1) AS p ON true"
									 " LEFT JOIN LATERAL (SELECT true AS in_sync, s.plan FROM promote_internal.carried_out("
									 "  k.project, k.environment, k.component) AS s LIMIT 1) AS s ON true ORDER BY k.place");
	ReleaseSeen *seen = palloc0(sizeof(ReleaseSeen));
	ProposedRevision *proposals;
	SqlRows		rows;
	uint64		count;

	proposals = proposals_own(sql, instances, shared, &count);
	rows = batch_run(sql, &read, instances);
	if (count != instances->count || rows.count != count)
		elog(ERROR, "could not read all instances of a set");
	batch_end(instances);
	for (uint64 i = 0; i < count; i++)
	{
		Review	   *review = &orders[i].review;
		Deployment *plan = &orders[i].known.plan;

		review->proposed = proposals[i];
		(void) sql_row(&rows, i, &orders[i]);
		begin(review);
		orders[i].known.seen = seen;
		review->known = &orders[i].known;
		plan->key = review->proposed.key;
	}
}

/* Refuse an instance of review_open_all that desires nothing, or whose history is not complete. */
void
review_require(const Review *review)
{
	const ProposedRevision *proposed = &review->proposed;

	proposal_require_history(proposed);
	if (proposal_is_fresh(proposed))
		refuse_unconfigured(&proposed->key, CONFIGURE_FIRST);
}

/*
 * Judge what the instance desires by today's release and parameters, as any new
 * revision is judged.  Raises what compose_check raises, PM_NO_RELEASE and
 * PM_RELEASE_BLOCKED.
 */
void
review_judge(const Sql *sql, Review *review)
{
	Proposal   *proposal = &review->proposed.proposal;

	proposal_require_release(sql, &review->proposed);
	if (!review->asking)
		release_require_unblocked(sql, proposal->bundle, proposal->version,
								  review->known ? review->known->seen : NULL);
	proposal_check(&review->proposed);
	review->rendered_digest = proposal->rendered == proposal->params ?
		review->proposed.current_digest : config_digest(review->proposed.key.project, proposal->rendered);
}

/* Add a line to what has moved. */
static void
add_line(StringInfo lines, const char *line)
{
	appendStringInfo(lines, "%s%s", lines->len > 0 ? "\n" : "", line);
}

/* Add a line for each thing that has moved since a deployment was queued. */
static void
add_moved(StringInfo lines, const Review *review, const Deployment *reviewed)
{
	const ProposedRevision *now = &review->proposed;

	if (reviewed->revision != now->current_revision)
		add_line(lines, psprintf("The desired revision is %d; what was reviewed is revision %d.",
								 now->current_revision, reviewed->revision));
	if (strcmp(reviewed->version, now->proposal.version) != 0)
		add_line(lines, psprintf("The version is %s; what was reviewed is version %s.",
								 now->proposal.version, reviewed->version));
	if (reviewed->revision == now->current_revision &&
		!json_digest_equal(reviewed->rendered_digest, review->rendered_digest))
		add_line(lines, "The params render differently: the environment's parameters have changed.");
	if (!reference_same(reviewed->references, now->references))
		add_line(lines, psprintf("Remote references have changed: %s.",
								 names_joined(differing_references(reviewed->references, now->references))));
}

/* Add a line if a later plan of that revision came to another result. */
static void
add_newer_plan(const Sql *sql, StringInfo lines, const Review *review, const Deployment *plan)
{
	static Statement read = {"SELECT d.deployment FROM promote.deployment AS d WHERE " OF_INSTANCE("d")
		" AND d.action = 'PLAN' AND d.revision = $4 AND d.deployment > $5 AND d.status = 'COMPLETED' AND d.plan_digest <> $6"
		" ORDER BY d.deployment DESC LIMIT 1"};
	int32		newer = 0;
	SqlRows		rows;

	if (review->known)
		newer = review->known->newer_plan;
	else
	{
		rows = sql_run(sql, &read, AS_KEY(&plan->key), AS_INT(plan->revision), AS_INT(plan->deployment),
					   AS_BYTEA(plan->plan_digest));
		newer = rows.count > 0 ? sql_int(&rows, 0) : 0;
	}
	if (newer > 0)
		add_line(lines, psprintf("The plan has another digest: plan %d of the same revision came to another result.", newer));
}

/* Add a line if something that waits or runs will have changed the instance before another PROVISION by that plan. */
static void
add_change_before(const Sql *sql, StringInfo lines, const Review *review, const Deployment *plan)
{
	static Statement read = {"SELECT pg_catalog.concat('Deployment ', b.deployment, ', which is ', b.status,"
		" ', will have changed the instance before.')"
		" FROM promote_internal.changes_before($1, $2, $3, $4) AS b"};
	const char *change = NULL;
	SqlRows		rows;

	if (review->known)
		change = review->known->change_before;
	else
	{
		rows = sql_run(sql, &read, AS_KEY(&plan->key), AS_INT(plan->deployment));
		change = rows.count > 0 ? sql_text(&rows, 0) : NULL;
	}
	if (change)
		add_line(lines, change);
}

/* Refuse what was reviewed, with the lines of what has moved: PM_PLAN_MOVED. */
static void
refuse_moved(const char *what, const Deployment *reviewed, const char *lines)
{
	ereport(ERROR,
			(errcode(PM_PLAN_MOVED),
			 errmsg("%s %d of \"%s\" is not what would be deployed now", what,
					reviewed->deployment, instance_key_name(&reviewed->key)),
			 errdetail_internal("%s", lines),
			 errhint("Plan again by promote.plan_instance, review that, and deploy it.")));
}

/* The lines of all that has moved since a plan was made; "": nothing has. */
static char *
moved_since(const Sql *sql, const Review *review, const Deployment *plan)
{
	StringInfoData lines;

	initStringInfo(&lines);
	add_moved(&lines, review, plan);
	add_newer_plan(sql, &lines, review, plan);
	if (plan->seen_change != review->changed_by)
		add_line(&lines, psprintf("Deployment %d has changed the instance since.", review->changed_by));
	add_change_before(sql, &lines, review, plan);
	return lines.data;
}

/* Is a completed plan still what would be deployed?  The review is judged. */
bool
review_plan_holds(const Sql *sql, const Review *review, const Deployment *plan)
{
	return moved_since(sql, review, plan)[0] == '\0' && plan->plan_defects == NULL;
}

/* Refuse a plan that its tool could not finish. */
static void
check_defects(const Deployment *plan)
{
	if (plan->plan_defects == NULL)
		return;
	ereport(ERROR,
			(errcode(PM_DEFECTIVE_PLAN),
			 errmsg("plan %d of \"%s\" cannot be deployed", plan->deployment,
					instance_key_name(&plan->key)),
			 errdetail("The recorded plan is %s.", plan->plan_defects),
			 errhint("Mend what keeps it from being planned whole, and plan again by promote.plan_instance.")));
}

/* Refuse a deployment that is not a completed PLAN. */
static void
check_is_plan(const Deployment *plan)
{
	bool		is_plan = plan->action == ACTION_PLAN;

	if (is_plan && plan->status == DEPLOYMENT_COMPLETED)
		return;
	ereport(ERROR,
			(errcode(PM_PLAN_REQUIRED),
			 errmsg("deployment %d of \"%s\" is not a completed plan", plan->deployment,
					instance_key_name(&plan->key)),
			 is_plan ? errdetail("It is %s.", deployment_statuses[plan->status]) :
			 errdetail("It is a %s.", deployment_actions[plan->action]),
			 errhint("Name a PLAN that is COMPLETED, or none: the last one of the desired revision is taken.")));
}

/* Number of a revision's last plan, or last completed one; 0: there is none. */
int32
revision_last_plan(const Sql *sql, const InstanceKey *key, int32 revision, bool completed)
{
	static Statement last = {"SELECT d.deployment FROM promote_internal.last_plan($1, $2, $3, $4) AS d"};
	static Statement last_completed = {"SELECT d.deployment FROM promote.deployment AS d WHERE " OF_INSTANCE("d")
		" AND d.action = 'PLAN' AND d.revision = $4 AND d.status = 'COMPLETED'"
		" ORDER BY d.revision DESC, d.deployment DESC LIMIT 1"};
	SqlRows		rows = sql_run(sql, completed ? &last_completed : &last, AS_KEY(key), AS_INT(revision));

	return rows.count > 0 ? sql_int(&rows, 0) : 0;
}

/*
 * Is there nothing to deploy, as the instance is in sync?  Then its last change is the PROVISION that has brought that
 * about.  A plan that is named must be the one which that followed.  Where none is named, a plan of what is desired
 * that was made since wants to be deployed, for instance to try again what has worked.
 */
bool
review_is_carried_out(const Sql *sql, const Review *review, int32 named)
{
	static Statement read = {"SELECT c.plan FROM promote_internal.carried_out($1, $2, $3) AS c"};
	const InstanceKey *key = &review->proposed.key;
	SqlRows		rows;

	if (review->deployed_by == 0 || review->deployed_by != review->changed_by)
		return false;
	if (review->known)
		return review->known->in_sync && (named != 0 ? review->known->carried_plan == named :
										  review->known->last_plan < review->changed_by);
	rows = sql_run(sql, &read, AS_KEY(key));
	if (rows.count == 0)
		return false;
	return named != 0 ? sql_int(&rows, 0) == named :
		revision_last_plan(sql, key, review->proposed.current_revision, true) < review->changed_by;
}

/* Refuse to deploy without a plan where the environment requires one. */
static void
refuse_unplanned(const Sql *sql, const Review *review)
{
	const InstanceKey *key = &review->proposed.key;
	int32		number = revision_last_plan(sql, key, review->proposed.current_revision, false);
	Deployment	plan;

	if (number > 0)
		deployment_load(sql, key, number, &plan);
	ereport(ERROR,
			(errcode(PM_PLAN_REQUIRED),
			 errmsg("revision %d of \"%s\" has no completed plan",
					review->proposed.current_revision, review->proposed.proposal.instance),
			 number == 0 ? errdetail("It was never planned.") :
			 errdetail("Its last plan, deployment %d, is %s.", number, deployment_statuses[plan.status]),
			 review->proposed.decommissioned ?
			 errhint("It was decommissioned: plan it by promote.plan_instance and let a worker carry that out, whatever require_plan says.") :
			 errhint("Plan it by promote.plan_instance and let a worker carry that out, or set require_plan of the environment to false.")));
}

/*
 * Find the plan that a PROVISION follows: the one that is named, or, where named
 * is 0, the last completed one of the desired revision.  plan's number is 0 where
 * none is named, the environment requires none, and there is none that can be
 * followed.  The review is judged.  Raises PM_PLAN_MOVED, PM_PLAN_REQUIRED and
 * PM_DEFECTIVE_PLAN.
 */
void
review_find_plan(const Sql *sql, const Review *review, int32 named, Deployment *plan)
{
	const InstanceKey *key = &review->proposed.key;
	int32		number = named != 0 ? named : review->known ? review->known->last_plan :
		revision_last_plan(sql, key, review->proposed.current_revision, true);
	bool		optional = named == 0 && !review->require_plan;
	const char *moved;

	*plan = (Deployment) {.deployment = 0};
	if (number == 0 && !optional)
		refuse_unplanned(sql, review);
	if (number == 0)
		return;
	if (review->known && review->known->plan.deployment == number)
		*plan = review->known->plan;
	else
		deployment_load(sql, key, number, plan);
	check_is_plan(plan);
	moved = moved_since(sql, review, plan);
	if (optional && (moved[0] || plan->plan_defects))
		*plan = (Deployment) {.deployment = 0};
	else if (moved[0])
		refuse_moved("plan", plan, moved);
	else
		check_defects(plan);
}

/*
 * Refuse to decommission an instance that is protected, PM_PROTECTED, or of which
 * nothing has run, PM_NOT_DEPLOYED.
 */
void
review_decommission(const Review *review)
{
	const char *instance = review->proposed.proposal.instance;

	if (review->protected)
		ereport(ERROR,
				(errcode(PM_PROTECTED),
				 errmsg("\"%s\" is protected from being decommissioned", instance),
				 errdetail("Environment \"%s\" of project \"%s\" protects its instances.",
						   review->proposed.key.environment, review->proposed.key.project),
				 errhint("Set decommission_protection of the environment to false first.")));
	if (review->changed_by == 0 || review->proposed.decommissioned)
		ereport(ERROR,
				(errcode(PM_NOT_DEPLOYED),
				 errmsg("nothing of \"%s\" is deployed", instance),
				 review->changed_by == 0 ? errdetail("It is INITIALIZED.") :
				 errdetail("It is DECOMMISSIONED."),
				 errhint("There is nothing to decommission.")));
}

/* Refuse a proposal to decommission that is not about what runs now. */
static void
check_decommission(const Sql *sql, const Review *review, const Deployment *proposal)
{
	Carried		runs;

	review_decommission(review);
	if (!deployment_carries(sql, &proposal->key, review->changed_by, false, &runs))
		elog(ERROR, "deployment %d is not there", review->changed_by);
	/* a vote is on what one deployment has brought about */
	if (!json_digest_equal(runs.rendered_digest, proposal->rendered_digest) ||
		strcmp(runs.version, proposal->version) != 0 || proposal->plan_digest == NULL ||
		!json_digest_equal(proposal->plan_digest,
						   decommission_digest(runs.rendered_digest, review->changed_by)))
		refuse_moved("proposal", proposal, psprintf("Deployment %d has changed the instance since.",
													review->changed_by));
}

/* Refuse a proposal without a plan where the environment requires one by now. */
static void
refuse_planless(const Review *review, const Deployment *proposal)
{
	ereport(ERROR,
			(errcode(PM_PLAN_REQUIRED),
			 errmsg("proposal %d of \"%s\" follows no plan", proposal->deployment,
					instance_key_name(&proposal->key)),
			 review->proposed.decommissioned ? errdetail("The instance was decommissioned.") :
			 errdetail("Environment \"%s\" wants one by now.", proposal->key.environment),
			 errhint("Plan it by promote.plan_instance, and propose that.")));
}

/* Refuse a proposal to plan or provision that is not what would be queued now. */
static void
check_provision(const Sql *sql, Review *review, const Deployment *proposal)
{
	Deployment	plan;
	StringInfoData lines;

	review_judge(sql, review);
	initStringInfo(&lines);
	add_moved(&lines, review, proposal);
	if (lines.len > 0)
		refuse_moved("proposal", proposal, lines.data);
	if (proposal->action != ACTION_PROVISION)
		return;
	if (proposal->plan > 0)
		review_find_plan(sql, review, proposal->plan, &plan);
	else if (review->require_plan)
		refuse_planless(review, proposal);
}

/* Refuse a proposal that is not what would be queued now.  Where asking is set, nothing is locked. */
static void
check_proposal(const Sql *sql, const Deployment *proposal, bool asking)
{
	Review		review;

	review_open(sql, &proposal->key, &review);
	review.asking = asking;
	if (proposal->action == ACTION_DECOMMISSION)
		check_decommission(sql, &review, proposal);
	else
		check_provision(sql, &review, proposal);
}

/*
 * Refuse to approve a proposal that is not what would be queued now.  Opens a
 * scope of its own; the caller holds the instance's lock.
 */
void
review_proposal(const InstanceKey *key, int32 deployment)
{
	Sql			sql;
	Deployment	proposal;

	sql_enter(&sql);
	deployment_load(&sql, key, deployment, &proposal);
	check_proposal(&sql, &proposal, false);
	sql_leave(&sql);
}

/*
 * Why a PROVISION without a plan must not begin after something else was
 * provisioned: it would change an immutable value or a remote reference of what
 * runs now, and its revision does not allow that.  NULL: it may begin.  The
 * instance is locked.
 */
char *
review_replaces(const Sql *sql, const InstanceKey *key, int32 deployment)
{
	static Statement read = {"SELECT i.deployed_by FROM promote.instance AS i, promote.deployment AS d"
		" JOIN promote.revision AS r ON " SAME_INSTANCE("r", "d") " AND r.revision = d.revision AND NOT r.allow_replace"
		" WHERE " OF_INSTANCE("d") " AND d.deployment = $4 AND " OF_INSTANCE("i") " AND i.deployed_by IS NOT NULL"};
	SqlRows		rows = sql_run(sql, &read, AS_KEY(key), AS_INT(deployment));
	int32		deployed_by;
	Carried		runs,
				carried;
	char	   *paths;
	List	   *slots;

	if (rows.count == 0)
		return NULL;
	deployed_by = sql_int(&rows, 0);
	if (!deployment_carries(sql, key, deployed_by, false, &runs) ||
		!deployment_carries(sql, key, deployment, false, &carried))
		return NULL;
	paths = compose_replaced(runs.params, carried.params, carried.schema);
	if (paths[0])
		return psprintf("immutable values of what deployment %d has provisioned since would change: %s",
						deployed_by, paths);
	slots = reference_replaced(sql, key, carried.slots, carried.references, false);
	return slots == NIL ? NULL :
		psprintf("remote references of what deployment %d has provisioned since would change: %s",
				 deployed_by, names_joined(slots));
}

/* What promote_internal.outdated knows against a deployment that waits. */
typedef struct Outdated
{
	char	   *reason;			/* NULL: nothing */
	bool		may_replace;	/* might it replace what was provisioned since? */
} Outdated;

static const SqlField outdated_fields[] = {
	SQL_FIELDS(Outdated, "o", reason, may_replace)
};

/*
 * Why a deployment that waits must not begin any more: what was reviewed or
 * allowed when it was queued has changed.  NULL: it may begin.  The instance is
 * locked.
 */
char *
review_outdated(const Sql *sql, const InstanceKey *key, int32 deployment)
{
	static Statement judge = SQL_ROWS(outdated_fields, "SELECT $* FROM promote_internal.outdated($1, $2, $3, $4) AS o");
	SqlRows		rows = sql_run(sql, &judge, AS_KEY(key), AS_INT(deployment));
	Outdated	outdated = {NULL, false};

	(void) sql_row(&rows, 0, &outdated);
	return outdated.reason == NULL && outdated.may_replace ? review_replaces(sql, key, deployment) : outdated.reason;
}

/* Refuse to begin what promote.claim_deployment would abort: PM_PLAN_MOVED. */
void
review_require_current(const Sql *sql, const InstanceKey *key, int32 deployment)
{
	char	   *reason = review_outdated(sql, key, deployment);

	if (reason)
		ereport(ERROR,
				(errcode(PM_PLAN_MOVED),
				 errmsg("deployment %d of \"%s\" is not what was reviewed", deployment,
						instance_key_name(key)),
				 errdetail("The reason: %s.", reason),
				 errhint("End it by promote.abort_deployment, and queue another one.")));
}

/*
 * Refuse a deployment, other than a PLAN, that could not go on: a proposal or a
 * waiting deployment that is outdated, and one that runs or is over.  Locks
 * nothing.
 */
void
review_deployment(const Sql *sql, const Deployment *deployment)
{
	bool		waits = deployment->status == DEPLOYMENT_PENDING ||
		deployment->status == DEPLOYMENT_APPROVED;

	if (deployment->status == DEPLOYMENT_PROPOSED)
		check_proposal(sql, deployment, true);
	else if (waits)
		review_require_current(sql, &deployment->key, deployment->deployment);
	else
		ereport(ERROR,
				(errcode(PM_ILLEGAL_STEP),
				 errmsg("deployment %d of \"%s\" is %s", deployment->deployment,
						instance_key_name(&deployment->key), deployment_statuses[deployment->status]),
				 errdetail("What runs or is over passes no gates any more."),
				 errhint("Queue another one by promote.deploy_instance.")));
}
