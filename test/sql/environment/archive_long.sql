-- A pull request's environment, opened and archived a thousand times: the last time costs what the first ones did, and
-- nothing is left of it but its history.
SELECT no_plan();
\ir ../../fixtures/cpu.sql
INSERT INTO promote.bundle VALUES ('db');
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('db', '1.0.0', '{}');
INSERT INTO promote.project VALUES ('shop');
INSERT INTO promote.environment (project, environment) VALUES ('shop', 'staging'), ('shop', 'production');
INSERT INTO promote.promotion_path VALUES ('shop', 'staging', 'production');
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'app', 'db'), ('shop', 'db', 'db');
INSERT INTO promote.instance (project, environment, component)
SELECT 'shop', 'staging', c FROM unnest('{app,db}'::text[]) AS c;
SELECT promote.configure_instance('shop-staging-' || c, '{"size": 1}') FROM unnest('{app,db}'::text[]) AS c \g /dev/null
CREATE TEMP TABLE spent (cycle integer, seconds float8);
DO $$
DECLARE
    began float8;
BEGIN
    FOR cycle IN 1 .. 1000 LOOP
        IF cycle % 100 = 1 THEN
            began := pg_temp.cpu_seconds();
        END IF;
        PERFORM promote.fork_environment('shop-staging', 'shop-pr', jsonb_build_object('n', cycle), copy_rules => true,
            plan => false);
        COMMIT;
        PERFORM promote.archive_environment('shop-pr');
        COMMIT;
        IF cycle % 100 = 0 THEN
            INSERT INTO spent VALUES (cycle, pg_temp.cpu_seconds() - began);
        END IF;
    END LOOP;
END
$$;
SELECT cmp_ok((SELECT seconds FROM spent WHERE cycle = 1000), '<',
    (SELECT 3 * seconds + 0.5 FROM spent WHERE cycle = 200), 'the thousandth time costs what the first ones did');
SELECT diag(string_agg(format('%s: %s s', cycle, round(seconds::numeric, 2)), ', ' ORDER BY cycle)) FROM spent;
SELECT is((SELECT generation FROM promote.environment WHERE environment = 'pr'), 1000, 'all of one name');
SELECT is((SELECT count(*) FROM promote.environment_generation), 1000::bigint, '... of which each is told');
SELECT is((SELECT instances FROM promote.environment_generation WHERE generation = 1000),
    '{"db": [1999, 1999], "app": [1999, 1999]}',
    'with the revisions that it had');
SELECT is((SELECT count(*) FROM promote.revision WHERE environment = 'pr'), 2000::bigint, 'all of them are there');
SELECT is((SELECT string_agg(format('%s %s %s', component, revision, opened_revision), ', ' ORDER BY component)
    FROM promote.instance WHERE environment = 'pr'), 'app 1999 1998, db 1999 1998', 'by the instances'' own counters');
SELECT is((SELECT count(*) FROM promote.promotion_path), 1::bigint, 'no rule is left');
SELECT is((SELECT count(*) FROM promote.audit_log WHERE subject = 'shop-pr-db'
    AND event IN ('instance.opened', 'instance.archived')),
    1999::bigint, 'the chains tell of each');
SELECT is_empty('SELECT * FROM promote.verify_audit()', '... and are whole');
SELECT finish();
