// PostGraphile 5 makes a GraphQL schema of the schema promote, and the main steps go over it, under row-level security.
"use strict";
// PostGraphile asks for Node 22, of which it uses this.
Promise.withResolvers ??= () => {
  const all = {};
  all.promise = new Promise((resolve, reject) => Object.assign(all, { resolve, reject }));
  return all;
};
const { grafast } = require("postgraphile/grafast");
const { getNamedType, isLeafType } = require("postgraphile/grafast/graphql");
const { makeSchema } = require("postgraphile/graphile-build");
const { makePgService } = require("postgraphile/@dataplan/pg/adaptors/pg");
const { PostGraphileAmberPreset } = require("postgraphile/presets/amber");

const check = (truth, what) => console.log((truth ? "ok - " : "not ok - ") + what);
const [STAGING, PRODUCTION] = ["shop-staging-db", "shop-production-db"];

// What it complains of, it survives: names that clash are left out.
const complaints = [];
for (const how of ["error", "warn"]) console[how] = (...words) => complaints.push(words.map(String).join(" "));

// PostGraphile leaves out what belongs to an extension: it must not learn that.
function withExtensions(service) {
  const inner = service.adaptor;
  const forget = (row) => {
    const found = JSON.parse(row.introspection);
    found.depends = found.depends.filter((depends) => depends.deptype !== "e");
    return { ...row, introspection: JSON.stringify(found) };
  };
  const query = (client) => async (asked) => {
    const result = await client.query(asked);
    return result.rows[0]?.introspection ? { ...result, rows: result.rows.map(forget) } : result;
  };
  const wrapped = (withPgClient) => Object.assign((settings, work) =>
    withPgClient(settings, (client) => work(Object.create(client, { query: { value: query(client) } }))), withPgClient);
  const createWithPgClient = async (...how) => wrapped(await inner.createWithPgClient(...how));
  return { ...service, adaptor: { ...inner, createWithPgClient } };
}

(async () => {
  const address = (user) => `socket:${process.env.PGHOST}?db=client&user=${user}`;
  const introspected = makePgService({ connectionString: address("portal"), schemas: ["promote"] });
  const { schema, resolvedPreset } = await makeSchema({
    extends: [PostGraphileAmberPreset],
    pgServices: [withExtensions(introspected)],
    grafast: { context: ({ person }) => ({ pgSettings: person }) },
  });
  const clashes = complaints.filter((words) => /naming conflict|same key|clash/i.test(words));
  check(clashes.length === 0, `a schema without a clash of names ${clashes.join(" ").slice(0, 300)}`);
  const fields = (type) => Object.keys(type.getFields());
  const [queries, mutations] = [fields(schema.getQueryType()), fields(schema.getMutationType())];
  check(["promoteInstance", "configureInstance", "claimDeployment", "approveDeployment"]
    .every((name) => mutations.includes(name)), `verbs are mutations, of ${mutations.length}`);
  check(["allInstances", "blockers", "previewPromotion", "allInstanceStatuses"].every((name) => queries.includes(name)),
    `tables, views and questions are queries, of ${queries.length}`);

  // A request in somebody's name: the role of the group that the person is in, and the person.
  const ask = async (role, person, source, variableValues) => {
    const result = await grafast({ schema, source, variableValues, resolvedPreset,
      requestContext: { person: { role, "promote.actor": person, "promote.error_format": "json" } } });
    const error = result.errors?.[0];
    return error ? { error: error.originalError ?? error } : result.data;
  };
  const must = async (...asked) => {
    const answer = await ask(...asked);
    if (answer.error) throw answer.error;
    return answer;
  };
  const refusal = ({ error }) => (error ? JSON.parse(error.extensions?.detail ?? error.detail ?? "{}") : {});

  const CONFIGURE = `mutation ($i: ConfigureInstanceInput!) {
    configureInstance(input: $i) { result { newRevision } } }`;
  const DEPLOY = `mutation { deployInstance(input: { instance: "${PRODUCTION}" }) { result { deployment status } } }`;
  const CLAIM = `mutation ($a: [String!]) { claimDeployment(input: { worker: "graphql", actions: $a }) {
    result { instance deployment fencing } } }`;
  const COMPLETE = `mutation ($i: CompleteDeploymentInput!) { completeDeployment(input: $i) { result { status } } }`;
  const ann = ["portal", "ann@example.com"];

  const carryOut = async (action) => {
    const [claim] = (await must(...ann, CLAIM, { a: [action] })).claimDeployment.result;
    if (!claim) return null;
    await must(...ann, COMPLETE, { i: claim });
    return claim;
  };

  let answer = await must(...ann, CONFIGURE, { i: { instance: STAGING, patch: { size: "small", replicas: 2 } } });
  check(answer.configureInstance.result.newRevision === 1, "a configuration");
  await must(...ann, CONFIGURE, { i: { instance: PRODUCTION, patch: { size: "small" } } });
  answer = await must(...ann, `mutation ($o: JSON) { promoteInstance(input: { src: "${STAGING}", dst: "${PRODUCTION}",
    overrides: $o }) { result { newRevision deployment } } }`, { o: { size: "large" } });
  check(answer.promoteInstance.result.newRevision === 2, "a promotion with overrides");
  const plans = [];
  for (let claim; (claim = await carryOut("PLAN")); ) plans.push(claim);
  const plan = Math.max(...plans.filter((p) => p.instance === PRODUCTION).map((p) => p.deployment));
  check(plan > 0, "plans, claimed and completed");

  let refused = refusal(await ask(...ann, CONFIGURE, { i: { instance: STAGING, patch: { replicas: 0 } } }));
  check(refused.condition === "invalid_params" && refused.violations[0].path === ".replicas", "a refusal as JSON");
  refused = refusal(await ask(...ann, DEPLOY));
  check(refused.blockers?.some((blocker) => blocker.code === "approval"), "what blocks, by codes");
  answer = await must(...ann, `{ blockers(instance: "${PRODUCTION}") { nodes { code message } } }`);
  check(answer.blockers.nodes.some((blocker) => blocker.code === "approval"), "... as the query has it");

  answer = await must("portal_owners", "bob@example.com", `mutation { approveDeployment(input: {
    instance: "${PRODUCTION}", deployment: ${plan} }) { result { status } } }`);
  check(answer.approveDeployment.result.status === "COMPLETED", "a vote, by a group's role and a person's name");
  answer = await must(...ann, "{ allApprovals { nodes { actor databaseRole } } }");
  check(answer.allApprovals.nodes.map((a) => a.actor + " " + a.databaseRole).join() === "bob@example.com portal_owners",
    "... in that name");
  await must(...ann, DEPLOY);
  check((await carryOut("PROVISION")).instance === PRODUCTION, "a deployment, carried out");

  answer = await must(...ann, "{ allProjects { nodes { project } } allInstances { nodes { name } } }");
  check(answer.allProjects.nodes.map((p) => p.project).join() === "shop",
    "of projects only those that the role may see");
  check(answer.allInstances.nodes.map((i) => i.name).sort().join() === `${PRODUCTION},${STAGING}`, "... and instances");
  refused = refusal(await ask("portal_owners", "bob@example.com", CONFIGURE, { i: { instance: STAGING, patch: {} } }));
  check(refused.grants?.[0].action === "configure", "a role that may only vote configures nothing");

  // Whatever can be read is read as it is, with all its columns; but two tables of promote's own, which are in nobody's
  // interest, have a key of a type that PostGraphile does not know, and are refused by it.
  const unknown = ["allNotices", "allRuleChanges"];
  const unread = [];
  const all = queries.filter((name) => name.startsWith("all") && !unknown.includes(name));
  for (const name of all) {
    const nodes = getNamedType(getNamedType(schema.getQueryType().getFields()[name].type).getFields().nodes.type);
    const columns = Object.values(nodes.getFields()).filter((field) => isLeafType(getNamedType(field.type)));
    const read = await ask(...ann, `{ ${name} { nodes { ${columns.map((field) => field.name).join(" ")} } } }`);
    if (read.error) unread.push(`${name}: ${read.error.message}`);
  }
  check(all.length > 40 && unread.length === 0, `all of ${all.length} tables and views are read ${unread.join("; ")}`);

  await introspected.release();
  console.log("end");
})().catch((error) => {
  process.stderr.write(`${error.stack ?? error}\n${error.extensions ? JSON.stringify(error.extensions) : ""}\n`);
  process.exit(1);
});
