"""The whole story by psycopg 3. POOLED: behind a pool in transaction mode, without what needs a session of its own."""
import json
import os
import threading
import time

import psycopg
import psycopg.sql
from psycopg.rows import dict_row, namedtuple_row
from psycopg.types.json import Jsonb

POOLED = "POOLED" in os.environ
STAGING, PRODUCTION = "shop-staging-db", "shop-production-db"


def connect(user="portal", **more):
    return psycopg.connect(host=os.environ["PGHOST"], port=os.environ.get("PORT", "5432"), dbname="client", user=user,
                           autocommit=True, row_factory=dict_row, prepare_threshold=None if POOLED else 0, **more)


def check(truth, what):
    print("ok - " + what if truth else "not ok - " + what, flush=True)


def refused(connection, query, *parameters):
    """The document of the refusal."""
    try:
        connection.execute(query, parameters)
    except psycopg.Error as error:
        return json.loads(error.diag.message_detail), error
    return {}, None


def one(connection, query, *parameters):
    return connection.execute(query, parameters).fetchone()


def carry_out(connection, action):
    """Claims what is due, and completes it."""
    claim = one(connection, "SELECT * FROM promote.claim_deployment(%s, %s)", "py", [action])
    if claim is None:
        return None
    done = one(connection, "SELECT * FROM promote.complete_deployment(%s, %s, %s, message => %s)", claim["instance"],
               claim["deployment"], claim["fencing"], None)
    return claim, done


def as_person(connection, role, person):
    """A role and a person for the transaction: what a request of an application begins with."""
    connection.execute(psycopg.sql.SQL("SET LOCAL ROLE {}").format(psycopg.sql.Identifier(role)))
    connection.execute("SELECT set_config('promote.actor', %s, true)", [person])


db = connect()
told = []
if not POOLED:
    listener = connect("visitor")
    listener.add_notify_handler(lambda notice: told.append(json.loads(notice.payload)))
    listener.execute("LISTEN promote")

# ---- configure, promote, plan, claim, complete ----

with db.transaction():
    as_person(db, "portal", "ann@example.com")
    row = one(db, "SELECT * FROM promote.configure_instance(%s, %s, message => %s)", STAGING,
              Jsonb({"size": "small", "replicas": 2, "zones": ["a", "b"]}), "from Python")
    check(row["new_revision"] == 1 and row["changed"] is True, "a configuration, by place and by name")
    row = one(db, "SELECT * FROM promote.configure_instance(%s, %s)", PRODUCTION,
              '{"size": "small", "password": "hush-1"}')
    check(row["new_revision"] == 1, "a document as a text that has no type")
    row = one(db, "SELECT * FROM promote.promote_instance(%s, %s, %s, expected_revision => %s)", STAGING, PRODUCTION,
              Jsonb({"size": "large"}), None)
check(row["destination"] == PRODUCTION and row["new_revision"] == 2, "a promotion with overrides; None is the default")
check(isinstance(row["deployment"], int), "... with the number of its plan")
check(one(db, "SELECT actor, database_role FROM promote.revision WHERE environment = 'production' AND revision = 2") ==
      {"actor": "ann@example.com", "database_role": "portal"}, "... by the person who was named")
check(one(db, "SELECT promote.current_actor() AS actor")["actor"] == "portal", "... for that transaction alone")
claims = []
while (carried := carry_out(db, "PLAN")) is not None:
    claims.append(carried[0])
check([c["instance"] for c in claims].count(PRODUCTION) >= 1, "plans, claimed by a list of actions")
check(claims[0]["params"]["size"] == "small", "... with params as a dictionary")

# ---- refusals ----

document, error = refused(db, "SELECT promote.configure_instance(%s, %s)", STAGING,
                          Jsonb({"size": "huge", "replicas": 0}))
check(document.get("condition") == "invalid_params" and document["instance"] == STAGING, "a refusal as JSON")
check([v["path"] for v in document["violations"]] == [".size", ".replicas"], "... with the paths of what is wrong")
check(error.sqlstate == document["sqlstate"] == "PM103", "... and its SQLSTATE")
document, error = refused(db, "SELECT promote.deploy_instance(%s)", PRODUCTION)
check("approval" in [b["code"] for b in document.get("blockers", [])], "what blocks, by codes")
visitor = connect("visitor")
document, error = refused(visitor, "SELECT promote.deploy_instance(%s)", PRODUCTION)
check(document.get("grants") == [{"role": "visitor", "action": "deploy", "project": "shop",
                                  "environment": "production"}], "a grant that is missing")
document, error = refused(db, "SELECT promote.promote_many(%s, %s)", [STAGING] * 2, ["shop-none-db", "shop-x"])
check(sorted(r["condition"] for r in document.get("refused", [])) == ["invalid_name", "not_found"],
      "lists as arrays, and what is refused of them")
if not POOLED:
    refused(db, "SELECT promote.deploy_instance(%s)", "shop-none-db")
    check(one(db, "SELECT promote.last_refusal() AS r")["r"]["condition"] == "not_found", "the last refusal")
    check(one(db, "SELECT promote.last_refusal() AS r")["r"] is None, "... once")

# ---- approve, and deploy ----

plan = max(c["deployment"] for c in claims if c["instance"] == PRODUCTION)
with db.transaction():
    as_person(db, "portal_owners", "bob@example.com")
    check(one(db, "SELECT * FROM promote.approve_deployment(%s, %s, %s)", PRODUCTION, plan, "read it")["status"] ==
          "COMPLETED", "a vote, by a group's role and a person's name")
check(one(db, "SELECT actor FROM promote.approval")["actor"] == "bob@example.com", "... in that name")
row = one(db, "SELECT * FROM promote.deploy_instance(%s)", PRODUCTION)
check(row["action"] == "PROVISION" and row["status"] == "PENDING", "a deployment")
claim, done = carry_out(db, "PROVISION")
check(claim["params"] == {"size": "large", "replicas": 2, "zones": ["a", "b"]},
      "what the worker gets")
check(done["status"] == "COMPLETED", "... and completes")

# ---- transactions ----

before = one(db, "SELECT count(*) AS n FROM promote.revision")["n"]
try:
    with db.transaction():
        one(db, "SELECT * FROM promote.configure_instance(%s, %s)", STAGING, Jsonb({"replicas": 7}))
        raise psycopg.Rollback()
except psycopg.Rollback:
    pass
check(one(db, "SELECT count(*) AS n FROM promote.revision")["n"] == before, "what is rolled back has not happened")
with db.transaction():
    try:
        with db.transaction():
            one(db, "SELECT * FROM promote.configure_instance(%s, %s)", STAGING, Jsonb({"size": "huge"}))
    except psycopg.Error:
        pass
    one(db, "SELECT * FROM promote.configure_instance(%s, %s)", STAGING, Jsonb({"replicas": 4}))
check(one(db, "SELECT count(*) AS n FROM promote.revision")["n"] == before + 1, "a refusal behind a savepoint")

# ---- a statement that is cancelled ----

if not POOLED:
    other = connect()
    with db.transaction():
        one(db, "SELECT * FROM promote.configure_instance(%s, %s)", STAGING, Jsonb({"replicas": 5}))
        caught = []

        def wait():
            try:
                one(other, "SELECT * FROM promote.configure_instance(%s, %s)", STAGING, Jsonb({"replicas": 6}))
            except psycopg.Error as error:
                caught.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        pid, deadline = other.info.backend_pid, time.time() + 60
        while not one(db, "SELECT cardinality(pg_blocking_pids(%s)) > 0 AS waits", pid)["waits"]:
            assert time.time() < deadline
            time.sleep(0.02)
        other.cancel()
        thread.join(60)
        check([e.sqlstate for e in caught] == ["57014"], "a statement that waits is cancelled")
    check(one(other, "SELECT count(*) AS n FROM promote.revision")["n"] == before + 2, "... and has written nothing")
    other.close()

# ---- prepared statements, and binary results ----

for n in range(8):
    row = db.execute("SELECT * FROM promote.preview_promotion(%s, %s, %s)",
                     (STAGING, PRODUCTION, Jsonb({"size": "small"})), prepare=not POOLED, binary=True).fetchone()
check(row["path"].startswith(("release", ".")), "a statement that is prepared and asked again and again")
with db.cursor(binary=True, row_factory=namedtuple_row) as cursor:
    row = cursor.execute("SELECT * FROM promote.deployment WHERE status = 'COMPLETED' AND action = 'PROVISION'"
                         ).fetchone()
    check(isinstance(row.rendered_digest, bytes) and row.created_at.tzinfo is not None and row.deployment > 0,
          "binary results: bytes, times, numbers")
    row = cursor.execute("SELECT params FROM promote.config_as_of(%s, now())", [STAGING]).fetchone()
    check(row.params["replicas"] in (4, 5), "... and documents")

# ---- notifications ----

if not POOLED:
    wanted = {"action": "PROVISION", "status": "COMPLETED", "instance": PRODUCTION, "deployment": done["deployment"]}
    deadline = time.time() + 60
    while wanted not in told and time.time() < deadline:
        listener.execute("SELECT")
        time.sleep(0.02)
    check(wanted in told, "who listens was told")
    check(not any("replicas" in json.dumps(payload) for payload in told), "... of names and numbers")
print("end")
