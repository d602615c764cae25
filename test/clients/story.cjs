// The whole story by node-postgres.
"use strict";
const { Client, Pool } = require("pg");

const [STAGING, PRODUCTION] = ["shop-staging-db", "shop-production-db"];
const how = (user, more) => ({ host: process.env.PGHOST, port: 5432, database: "client", user, ...more });
const check = (truth, what) => console.log((truth ? "ok - " : "not ok - ") + what);
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const one = async (db, text, ...values) => (await db.query(text, values)).rows[0];

// The document of a refusal.
async function refused(db, text, ...values) {
  try {
    await db.query(text, values);
  } catch (error) {
    return { ...JSON.parse(error.detail), code: error.code };
  }
  return {};
}

// A transaction, in the name of a person who is in a role's group: what a request of an application is.
async function asPerson(pool, role, person, work) {
  const db = await pool.connect();
  try {
    await db.query("BEGIN");
    await db.query(`SET LOCAL ROLE ${db.escapeIdentifier(role)}`);
    await db.query("SELECT set_config('promote.actor', $1, true)", [person]);
    const result = await work(db);
    await db.query("COMMIT");
    return result;
  } catch (error) {
    await db.query("ROLLBACK");
    throw error;
  } finally {
    db.release();
  }
}

// Claims what is due, and completes it.
async function carryOut(db, action) {
  const claim = await one(db, "SELECT * FROM promote.claim_deployment($1, $2)", "node", [action]);
  if (!claim) return null;
  const done = await one(db, "SELECT * FROM promote.complete_deployment($1, $2, $3)", claim.instance, claim.deployment,
    claim.fencing);
  return { claim, done };
}

(async () => {
  const pool = new Pool({ ...how("portal"), max: 3 });
  const listener = new Client(how("visitor"));
  await listener.connect();
  const told = [];
  listener.on("notification", (notice) => told.push(JSON.parse(notice.payload)));
  await listener.query("LISTEN promote");

  // ---- configure, promote, plan, claim, complete ----

  const promoted = await asPerson(pool, "portal", "ann@example.com", async (db) => {
    const row = await one(db, "SELECT * FROM promote.configure_instance($1, $2, message => $3)", STAGING,
      { size: "small", replicas: 2, zones: ["a", "b"] }, "from JavaScript");
    check(row.new_revision === 1 && row.changed === true, "a configuration: an object is sent as JSON");
    await db.query("SELECT promote.configure_instance($1, $2)", [PRODUCTION, JSON.stringify({ size: "small" })]);
    return one(db, "SELECT * FROM promote.promote_instance($1, $2, $3, expected_revision => $4)", STAGING, PRODUCTION,
      { size: "large" }, null);
  });
  check(promoted.new_revision === 2 && promoted.destination === PRODUCTION, "a promotion; null is the default");
  check((await one(pool, "SELECT actor FROM promote.revision WHERE environment = 'production' AND revision = 2")).actor
    === "ann@example.com", "... by the person who was named");
  check((await one(pool, "SELECT promote.current_actor() AS actor")).actor === "portal",
    "... for that transaction alone");
  const plans = [];
  for (let carried; (carried = await carryOut(pool, "PLAN")); ) plans.push(carried.claim);
  check(plans.some((plan) => plan.instance === PRODUCTION && plan.params.replicas === 2),
    "plans, by a list of actions");

  // An array becomes one of PostgreSQL's: a document that is an array has to be a text.
  const patch = [{ op: "replace", path: "/replicas", value: 3 }];
  const wrong = await one(pool, "SELECT jsonb_typeof(promote.jsonb_apply_patch($1, $2)) AS type",
    { replicas: 2 }, patch)
    .catch((error) => error.code);
  check(/^(22|PM)/.test(wrong), "an array as it is, is no document");
  check((await one(pool, "SELECT promote.jsonb_apply_patch($1, $2) AS d", { replicas: 2 }, JSON.stringify(patch))).d
    .replicas === 3, "... but as JSON it is");

  // ---- refusals ----

  let document = await refused(pool, "SELECT promote.configure_instance($1, $2)", STAGING,
    { size: "huge", replicas: 0 });
  check(document.condition === "invalid_params" && document.code === "PM103" && document.instance === STAGING,
    "a refusal as JSON");
  check(document.violations.map((v) => v.path).join() === ".size,.replicas", "... with the paths of what is wrong");
  document = await refused(pool, "SELECT promote.deploy_instance($1)", PRODUCTION);
  check(document.blockers.some((blocker) => blocker.code === "approval"), "what blocks, by codes");
  document = await refused(listener, "SELECT promote.deploy_instance($1)", PRODUCTION);
  check(document.grants[0].action === "deploy" && document.grants[0].role === "visitor", "a grant that is missing");
  check((await one(listener, "SELECT promote.last_refusal() AS r")).r.condition === "not_granted", "the last refusal");

  // ---- approve, and deploy ----

  const plan = Math.max(...plans.filter((p) => p.instance === PRODUCTION).map((p) => p.deployment));
  const voted = await asPerson(pool, "portal_owners", "bob@example.com", (db) =>
    one(db, "SELECT * FROM promote.approve_deployment($1, $2, $3)", PRODUCTION, plan, "read it"));
  check(voted.status === "COMPLETED", "a vote, by a group's role and a person's name");
  await pool.query("SELECT promote.deploy_instance($1)", [PRODUCTION]);
  const { claim, done } = await carryOut(pool, "PROVISION");
  check(claim.params.zones.join() === "a,b" && done.status === "COMPLETED", "a deployment, carried out");

  // ---- transactions ----

  const count = async () => Number((await one(pool, "SELECT count(*) AS n FROM promote.revision")).n);
  const before = await count();
  await asPerson(pool, "portal", "ann@example.com", async (db) => {
    await db.query("SELECT promote.configure_instance($1, $2)", [STAGING, { replicas: 7 }]);
    throw new Error("changed my mind");
  }).catch(() => {});
  check((await count()) === before, "what is rolled back has not happened");

  // ---- a statement that is cancelled ----

  const [first, second] = [await pool.connect(), await pool.connect()];
  await first.query("BEGIN");
  await first.query("SELECT promote.configure_instance($1, $2)", [STAGING, { replicas: 5 }]);
  const pid = (await one(second, "SELECT pg_backend_pid() AS pid")).pid;
  const waiting = second.query("SELECT promote.configure_instance($1, $2)", [STAGING, { replicas: 6 }])
    .then(() => "done", (error) => error.code);
  while (!(await one(first, "SELECT cardinality(pg_blocking_pids($1)) > 0 AS waits", pid)).waits) await sleep(20);
  await first.query("SELECT pg_cancel_backend($1)", [pid]);
  check((await waiting) === "57014", "a statement that waits is cancelled");
  await first.query("COMMIT");
  await second.query("SET statement_timeout = '50ms'");
  check((await second.query("SELECT pg_sleep(10)").catch((error) => error.code)) === "57014",
    "... or runs out of time");
  await second.query("RESET statement_timeout");
  check((await count()) === before + 1, "... and has written nothing");
  first.release();

  // ---- prepared statements, and binary results ----

  const named = { name: "preview", text: "SELECT * FROM promote.preview_promotion($1, $2, $3)" };
  let rows;
  for (let n = 0; n < 8; n++)
    ({ rows } = await second.query({ ...named, values: [STAGING, PRODUCTION, { size: "small" }] }));
  check(rows.length > 0 && rows.every((row) => /^(release|\.)/.test(row.path)),
    "a statement that is prepared and asked again and again");
  const binary = await second.query({ binary: true, values: [done.deployment],
    text: "SELECT deployment, created_at, status FROM promote.deployment " +
      "WHERE deployment = $1 AND environment = 'production'" });
  check(binary.rows[0].deployment === done.deployment && binary.rows[0].created_at instanceof Date &&
    binary.rows[0].status === "COMPLETED", "binary results: numbers, times, texts");
  second.release();

  // ---- notifications ----

  const wanted = (payload) => payload.status === "COMPLETED" && payload.action === "PROVISION" &&
    payload.instance === PRODUCTION && payload.deployment === done.deployment;
  for (let n = 0; n < 3000 && !told.some(wanted); n++) await sleep(20);
  check(told.some(wanted), "who listens was told");
  check(!JSON.stringify(told).includes("replicas"), "... of names and numbers");

  await listener.end();
  await pool.end();
  console.log("end");
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
