/*
 * rollback_set.c: rolling many instances back by one call, each to a deployment that it ran by.
 */
#include "postgres.h"

#include "base/batch.h"
#include "deployment/rollback.h"

/* Refuse what can be refused before anything is locked.  A check of PromotionKind. */
static void
check_rollback(PromotionSet *set, PromotionElement *element)
{
	promotion_set_parse(element->destination_name, "instance", set->previews ? "view" : "promote",
						&element->destination);
	element->source = element->destination;
}

/* Read where items lead to, in their order, by one statement.  An instance that is gone leads to nothing. */
static Rollback *
read_targets(PromotionSet *set, PromotionItem **items, int count)
{
	static const SqlField fields[] = {ROLLBACK_TARGET_FIELDS, SQL_FIELD(Rollback, place, "k.place")};
	static Statement read = SQL_ROWS(fields, "SELECT $* FROM rolled_instance AS k CROSS JOIN LATERAL (SELECT t.*"
									 " FROM promote_internal.rollback_target(k.project, k.environment, k.component, NULL,"
									 "  k.deployment) AS t LIMIT 1) AS t");
	static const char *const columns[] = {"place", "project", "environment", "component", "deployment"};
	Rollback   *rollbacks = palloc0(Max(count, 1) * sizeof(Rollback));
	Batch		batch = {.name = "rolled_instance",.columns = columns};
	Rollback	found;
	SqlRows		rows;

	batch_begin(&batch);
	for (int i = 0; i < count; i++)
		batch_put(&batch, AS_INT(i), AS_KEY(&items[i]->element->destination), AS_INT(items[i]->element->target));
	rows = batch_run(&set->sql, &read, &batch);
	rows.shared = sharing_values(set->sharing);
	batch_end(&batch);
	memset(&found, 0, sizeof(found));
	for (uint64 i = 0; sql_row(&rows, i, &found); i++)
		rollbacks[found.place] = found;
	return rollbacks;
}

/* Ask for what rollbacks start from.  An ask of PromotionKind. */
static void
ask_rollbacks(PromotionSet *set, PromotionItem **items, int count, Batch *asked)
{
	Rollback   *rollbacks;

	if (count == 0)
		return;
	rollbacks = read_targets(set, items, count);
	for (int i = 0; i < count; i++)
	{
		const InstanceKey *key = &items[i]->element->destination;
		ReleaseWish release = rollback_release(&rollbacks[i]);

		rollbacks[i].key = *key;
		items[i]->state = &rollbacks[i];
		items[i]->promotion = (Promotion) {.source = *key,.destination = *key,.sharing = set->sharing};
		proposal_ask(asked, key, key->environment, PROPOSAL_DESIRED, release.constraint, release.channel);
	}
}

/* Make what was read the old configuration, and refuse it for what stands in the way.  A compose of PromotionKind. */
static void
compose_rollback(PromotionSet *set, PromotionItem *item)
{
	Rollback   *rollback = item->state;

	rollback->proposed = item->promotion.proposed;
	rollback_adopt(rollback);
	rollback_judge(&set->sql, rollback, set->allow_replace);
	rollback_require(rollback);
	item->promotion.proposed = rollback->proposed;
	item->staging = (Staging) {
		.origin = ORIGIN_ROLLBACK,
		.source_environment = rollback->key.environment,
		.message = set->message
	};
}

/* What a set of rollbacks is. */
const PromotionKind rollback_kind = {
	"rollbacks", check_rollback, ask_rollbacks, compose_rollback,.rescues = true
};
