-- Releases that are taken out of use, and put back.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
SET LOCAL promote.actor = 'ada';
\set dev 1.2.0-dev.20260915T101500Z

-- ---- the verbs ----
SELECT is(pg_temp.lines(format($$SELECT bundle, version, block_reason
    FROM promote.block_release('postgres', %L, 'loses data')$$, :'dev')),
    '(postgres,1.2.0-dev.20260915T101500Z,"loses data")', 'a release is blocked; its row is returned');
SELECT is((promote.block_release('postgres', :'dev', 'loses data')).block_reason, 'loses data', 'again: it is');
SELECT is((promote.block_release('postgres', :'dev', 'loses all data')).block_reason, 'loses all data',
    'for another reason');
SELECT is((promote.unblock_release('postgres', :'dev', 'it was the disk')).block_reason, NULL, 'and put back to use');
SELECT is((promote.unblock_release('postgres', :'dev')).block_reason, NULL, 'again: it is');
UPDATE promote.bundle_release SET block_reason = 'by hand' WHERE bundle = 'postgres' AND version = :'dev';
UPDATE promote.bundle_release SET block_reason = block_reason, stateful_types = '{x}' WHERE bundle = 'postgres'
    AND version = :'dev';
UPDATE promote.bundle_release SET block_reason = NULL WHERE bundle = 'postgres' AND version = :'dev';
SELECT is(pg_temp.lines('SELECT seq, event, reason, actor, database_role = current_user FROM promote.release_event '
    'ORDER BY seq'),
    E'(1,blocked,"loses data",ada,t)\n(2,blocked,"loses all data",ada,t)\n(3,unblocked,"it was the disk",ada,t)\n'
        '(4,blocked,"by hand",ada,t)\n(5,unblocked,,ada,t)',
    'what changed is recorded, also what was done by hand');
SELECT throws_ok('UPDATE promote.release_event SET reason = ''x''', 'PM301', NULL, 'for good');
SELECT throws_ok('DELETE FROM promote.release_event', 'PM301', NULL, '... and ever');
SELECT throws_ok('TRUNCATE promote.release_event', 'PM301', NULL, '... and all of it');
SELECT pg_temp.refuses(format('SELECT promote.%s', f), state, detail, f)
  FROM (VALUES ('block_release(''postgres'', ''9.9.9'', ''x'')', 'PM002', 'no such row'),
      ('unblock_release(''mysql'', ''1.0.0'')', 'PM002', 'no such row'),
               ('block_release(''postgres'', ''1.0.0'', NULL)', 'PM404', 'null'),
                   ('block_release(''postgres'', ''1.0.0'', '' '')', 'PM404', 'null or empty'),
               ('block_release(NULL, ''1.0.0'', ''x'')', 'PM404', 'null'), ('block_release(''postgres'', NULL, ''x'')',
                   'PM404', 'null'),
               ('unblock_release(NULL, ''1.0.0'')', 'PM404', 'null'), ('unblock_release(''postgres'', NULL)', 'PM404',
                   'null')) AS v(f, state, detail);
CREATE ROLE release_reader;
GRANT USAGE ON SCHEMA promote TO release_reader;
SET ROLE release_reader;
SELECT throws_ok('SELECT promote.block_release(''postgres'', ''1.0.0'', ''x'')', '42501', NULL, 'not everybody may');
RESET ROLE;

-- ---- what a blocked release is not for ----
SELECT pg_temp.deploy('ecomm-production-db') \g /dev/null
SELECT promote.block_release('postgres', :'dev', 'CVE-1') \g /dev/null
SELECT pg_temp.refuses(call, 'PM510', 'CVE-1', call)
  FROM (VALUES ('SELECT promote.promote_instance(''ecomm-staging-db'', ''ecomm-production-db'')'),
               ('SELECT promote.promote_instance(''ecomm-staging-db'', ''ecomm-production-db'', plan => false)'),
               ('SELECT * FROM promote.preview_promotion(''ecomm-staging-db'', ''ecomm-production-db'')'),
               ('SELECT promote.plan_instance(''ecomm-staging-db'')')) AS v(call);
INSERT INTO promote.config (project, params)
    VALUES ('ecomm', '{"size": "large", "subnet": "internal", "network": {"cidr": "10.9.0.0/16"}}');
CREATE FUNCTION pg_temp.insert(origin text) RETURNS text LANGUAGE sql AS $$
    SELECT format('INSERT INTO promote.revision (project, environment, component, digest, version_constraint, '
        'release_channel, origin, source_environment, source_revision)
        VALUES (''ecomm'', ''production'', ''db'', promote.config_digest(''ecomm'', ''{"size": "large", "subnet": '
            '"internal", "network": {"cidr": "10.9.0.0/16"}}''), ''~1'', ''development'', %L, ''staging'', 1)', origin)
$$;
SELECT pg_temp.refuses(pg_temp.insert(o), 'PM510', 'CVE-1', 'an INSERT of a ' || o)
    FROM unnest(ARRAY['promotion', 'rollback', 'fork']) AS o;
SELECT lives_ok(pg_temp.insert(o), 'but an ' || o) FROM unnest(ARRAY['edit', 'adoption']) AS o;
SELECT is((SELECT new_revision FROM promote.configure_instance('ecomm-production-db', '{"replicas": 7}', '~1+dev')), 4,
    'and an edit by its verb');
SELECT is(pg_temp.lines($$SELECT code, message, since > now() - interval '1 min', until, liftable_by, overridable
    FROM promote.blockers('ecomm-production-db') WHERE code = 'release'$$),
    '(release,"release 1.2.0-dev.20260915T101500Z of bundle ""postgres"" is blocked: CVE-1",t,,"whoever unblocks the '
        'release",f)', 'what is desired by it is blocked');
SELECT promote.unblock_release('postgres', :'dev') \g /dev/null
SELECT is_empty($$SELECT code FROM promote.blockers('ecomm-production-db') WHERE code = 'release'$$,
    '... until it is unblocked');
SELECT is((SELECT changed FROM promote.promote_instance('ecomm-staging-db', 'ecomm-production-db')), true,
    '... and then may be promoted');
SELECT pg_temp.deploy('ecomm-production-db') \g /dev/null
SELECT promote.block_release('postgres', :'dev', 'CVE-2') \g /dev/null
SELECT pg_temp.refuses('SELECT promote.promote_instance(''ecomm-staging-db'', ''ecomm-production-db'')', 'PM510',
    'CVE-2', 'also where nothing would change');
SELECT is((SELECT status FROM promote.instance WHERE name = 'ecomm-production-db'), 'PROVISIONED',
    'what runs by it goes on running');
SELECT promote.rollback_instance('ecomm-production-db', 1) \g /dev/null
SELECT promote.block_release('postgres', '1.0.0', 'CVE-3') \g /dev/null
SELECT pg_temp.refuses('SELECT promote.rollback_instance(''ecomm-production-db'', 1)', 'PM510', 'CVE-3',
    'rolling back to a blocked one');
SELECT promote.decommission_instance('ecomm-production-db') \g /dev/null
SELECT is(pg_temp.work('ecomm-production-db') > 0, true, 'and can be taken away');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the record is whole');

SELECT * FROM finish();
ROLLBACK;
