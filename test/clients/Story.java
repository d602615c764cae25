import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.util.PSQLException;

/** The main steps by PostgreSQL's JDBC driver, which sends texts without a type and reads binary results. */
public class Story {
    static final String STAGING = "shop-staging-db";
    static final String PRODUCTION = "shop-production-db";

    static void check(boolean truth, String what) {
        System.out.println((truth ? "ok - " : "not ok - ") + what);
    }

    static Connection connect(String user) throws SQLException {
        Properties how = new Properties();
        how.setProperty("user", user);
        how.setProperty("stringtype", "unspecified");
        how.setProperty("prepareThreshold", "-1"); // from the first call on, and binary results
        how.setProperty("binaryTransfer", "true");
        how.setProperty("sslmode", "disable");
        how.setProperty("gssEncMode", "disable");
        return DriverManager.getConnection("jdbc:postgresql://127.0.0.1:" + System.getenv("PORT") + "/client", how);
    }

    static PreparedStatement prepared(Connection db, String text, Object... values) throws SQLException {
        PreparedStatement statement = db.prepareStatement(text);
        for (int i = 0; i < values.length; i++)
            statement.setObject(i + 1, values[i]);
        return statement;
    }

    static String one(Connection db, String column, String text, Object... values) throws SQLException {
        try (PreparedStatement statement = prepared(db, text, values); ResultSet rows = statement.executeQuery()) {
            return rows.next() ? rows.getString(column) : null;
        }
    }

    /** DETAIL of a refusal with that SQLSTATE. */
    static String refused(Connection db, String state, String text, Object... values) throws SQLException {
        try (PreparedStatement statement = prepared(db, text, values)) {
            statement.executeQuery();
            return "";
        } catch (PSQLException error) {
            return error.getSQLState().equals(state) ? error.getServerErrorMessage().getDetail() : "";
        }
    }

    static String carryOut(Connection db, String action) throws SQLException {
        try (PreparedStatement claim = prepared(db, "SELECT * FROM promote.claim_deployment(?, ?)", "jdbc",
                 db.createArrayOf("text", new Object[] {action})); ResultSet row = claim.executeQuery()) {
            if (!row.next())
                return null;
            return one(db, "status", "SELECT * FROM promote.complete_deployment(?, ?, ?)", row.getString("instance"),
                row.getInt("deployment"), row.getInt("fencing"));
        }
    }

    static void asPerson(Connection db, String role, String person) throws SQLException {
        db.setAutoCommit(false);
        try (Statement statement = db.createStatement()) {
            statement.execute("SET LOCAL ROLE " + statement.enquoteIdentifier(role, true));
        }
        one(db, "set_config", "SELECT set_config('promote.actor', ?, true)", person);
    }

    public static void main(String[] arguments) throws Exception {
        Connection db = connect("portal");
        Connection other = connect("portal");
        Connection listener = connect("visitor");
        listener.createStatement().execute("LISTEN promote");

        asPerson(db, "portal", "ann@example.com");
        check("1".equals(one(db, "new_revision", "SELECT * FROM promote.configure_instance(?, ?, message => ?)",
            STAGING, "{\"size\": \"small\", \"replicas\": 2}", "from Java")),
            "a configuration: a string is a document");
        one(db, "new_revision", "SELECT * FROM promote.configure_instance(?, ?)", PRODUCTION, "{\"size\": \"small\"}");
        check("2".equals(one(db, "new_revision",
            "SELECT * FROM promote.promote_instance(?, ?, ?, expected_revision => ?)", STAGING, PRODUCTION,
            "{\"size\": \"large\"}", null)), "a promotion with overrides; null is the default");
        db.commit();
        db.setAutoCommit(true);
        check("ann@example.com".equals(one(db, "actor", "SELECT actor FROM promote.revision WHERE revision = ?", 2)),
            "... by the person who was named");

        int plans = 0;
        while (carryOut(db, "PLAN") != null)
            plans++;
        check(plans > 0, "plans, by a list of actions");

        String document = refused(db, "PM103", "SELECT promote.configure_instance(?, ?)", STAGING,
            "{\"size\": \"huge\", \"replicas\": 0}");
        check(document.contains("\"condition\": \"invalid_params\"") && document.contains("\"path\": \".replicas\""),
            "a refusal as JSON, with the paths of what is wrong");
        document = refused(db, "PM601", "SELECT promote.deploy_instance(?)", PRODUCTION);
        check(document.contains("\"blockers\": [{\"code\": \""), "what blocks, by codes");

        asPerson(db, "portal_owners", "bob@example.com");
        check("COMPLETED".equals(one(db, "status", "SELECT * FROM promote.approve_deployment(?, ?)", PRODUCTION,
            Integer.valueOf(one(db, "plan", "SELECT max(deployment) AS plan FROM promote.deployment "
                + "WHERE environment = ?", "production")))), "a vote, by a group's role and a person's name");
        db.commit();
        db.setAutoCommit(true);
        one(db, "status", "SELECT * FROM promote.deploy_instance(?)", PRODUCTION);
        check("COMPLETED".equals(carryOut(db, "PROVISION")), "a deployment, carried out");

        String count = "SELECT count(*) AS n FROM promote.revision";
        String before = one(db, "n", count);
        db.setAutoCommit(false);
        one(db, "new_revision", "SELECT * FROM promote.configure_instance(?, ?)", STAGING, "{\"replicas\": 7}");
        Savepoint savepoint = db.setSavepoint();
        document = refused(db, "PM103", "SELECT promote.configure_instance(?, ?)", STAGING, "{\"replicas\": 0}");
        db.rollback(savepoint);
        check("invalid_params".equals(one(db, "c", "SELECT promote.last_refusal() ->> 'condition' AS c")),
            "the last refusal, behind a savepoint");

        CompletableFuture<String> waiting = new CompletableFuture<>();
        String pid = one(other, "pid", "SELECT pg_backend_pid() AS pid");
        PreparedStatement blocked = prepared(other, "SELECT promote.configure_instance(?, ?)", STAGING,
            "{\"replicas\": 6}");
        new Thread(() -> {
            try {
                blocked.executeQuery();
                waiting.complete("done");
            } catch (SQLException error) {
                waiting.complete(error.getSQLState());
            }
        }).start();
        while (!"t".equals(one(db, "w", "SELECT (cardinality(pg_blocking_pids(?)) > 0)::text AS w",
                               Integer.valueOf(pid)).substring(0, 1)))
            Thread.sleep(20);
        blocked.cancel();
        check("57014".equals(waiting.get()), "a statement that waits is cancelled");
        db.rollback();
        db.setAutoCommit(true);
        check(before.equals(one(db, "n", count)), "... and neither it nor what is rolled back has written anything");

        try (PreparedStatement statement = prepared(db, "SELECT rendered_digest, created_at, deployment "
                 + "FROM promote.deployment WHERE status = ? LIMIT 1", "COMPLETED")) {
            for (int i = 0; i < 8; i++)
                try (ResultSet row = statement.executeQuery()) {
                    row.next();
                    if (i == 7)
                        check(row.getBytes(1).length == 32 && row.getTimestamp(2) != null && row.getInt(3) > 0,
                            "binary results of a prepared statement: bytes, times, numbers");
                }
        }

        boolean told = false;
        for (int i = 0; i < 600 && !told; i++) {
            PGNotification[] notices = listener.unwrap(PGConnection.class).getNotifications(100);
            for (PGNotification notice : notices == null ? new PGNotification[0] : notices)
                told |= notice.getParameter().contains("PROVISION") && notice.getParameter().contains("COMPLETED");
        }
        check(told, "who listens was told");
        System.out.println("end");
        System.exit(0);
    }
}
