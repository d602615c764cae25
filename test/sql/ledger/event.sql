-- Events in an order that later ones do not disturb, and consumers that keep their place in it.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/as_role.sql

-- What events there are: this transaction still runs, so that they are shown as if it had ended.
CREATE FUNCTION pg_temp.settle() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    SET LOCAL session_replication_role = replica;
    ALTER TABLE promote.audit_log ALTER settled_by DROP EXPRESSION;
    ALTER TABLE promote.audit_log DISABLE TRIGGER refuse_rewrite;
    UPDATE promote.audit_log SET settled_by = '1';
    ALTER TABLE promote.audit_log ALTER settled_by SET DEFAULT '1';
    ALTER TABLE promote.audit_log ENABLE ALWAYS TRIGGER refuse_rewrite;
    SET LOCAL session_replication_role = origin;
END
$$;
SELECT is_empty('SELECT * FROM promote.events()', 'what its own transaction has written is shown to no consumer');
SELECT results_eq('SELECT registered, changed, position FROM promote.register_consumer($$early$$)',
    'VALUES (true, false, 0::bigint)', '... and is still to come to a new one');
SELECT pg_temp.settle() \g /dev/null

-- ---- events ----
SELECT promote.report_health('ecomm-staging-db', 'smoke', true) \g /dev/null
SELECT promote.open_request('ecomm', 'staging', 'production', '{"components": ["cache"]}') \g /dev/null
SELECT is(pg_temp.lines('SELECT position, at, project, subject, seq, event, actor
    FROM promote.events(max_events => 100000)'),
    pg_temp.lines('SELECT position, at, project, subject, seq, event, actor FROM promote.audit_log ORDER BY position'),
    'all events, by their positions');
SELECT is_empty('SELECT FROM promote.audit_log AS a JOIN promote.audit_log AS b USING (project, subject)
                  WHERE a.seq < b.seq AND a.position >= b.position', '... which rise along each chain');
SELECT is(count(*), count(DISTINCT position), '... and are different') FROM promote.audit_log;
SELECT set_eq($$SELECT concat_ws(' ', environment, component, instance, event, revision, deployment, action, request)
                 COLLATE "default" FROM promote.events() WHERE subject IN ('ecomm-staging-db', 'request ecomm/1')$$,
    ARRAY['staging db ecomm-staging-db revision.created 1', 'request.opened 1',
        'staging db ecomm-staging-db deployment.created 1 1 PLAN', 'staging db ecomm-staging-db health.reported 1'],
    'names and numbers are in columns of their own');
SELECT is(pg_temp.lines($$SELECT DISTINCT environment, component FROM promote.events()
                     WHERE subject IN ('environment ecomm/prod-uswest', 'project ecomm', 'bundle redis')$$), '(,)',
    '... of an instance alone');
SELECT is(pg_temp.lines($$SELECT * FROM promote_internal.event_place('ecomm', 'ecomm-prod-uswest-db')$$),
    '(prod-uswest,db)', '... also where the environment has a dash');
SELECT position AS third FROM promote.events() OFFSET 2 LIMIT 1 \gset
SELECT is((SELECT count(*) FROM promote.events(:third)), (SELECT count(*) - 3 FROM promote.audit_log),
    'behind a position there is what comes after it');
SELECT is((SELECT array_agg(position) FROM promote.events(:third, 2)),
    ARRAY(SELECT position FROM promote.audit_log WHERE position > :third ORDER BY position LIMIT 2),
    '... and no more than was asked for');
SELECT is(count(*), 0::bigint, 'nothing is behind the last one') FROM promote.events(9223372036854775807);
SELECT is((SELECT count(*) FROM promote.events(NULL, NULL, NULL, NULL, NULL)), (SELECT count(*) FROM promote.audit_log),
    'NULL means the default');
SELECT is(pg_temp.lines($$SELECT DISTINCT project FROM promote.events(project => 'other')$$), '(other)',
    'of a project');
SELECT is(pg_temp.lines($$SELECT DISTINCT environment FROM promote.events(project => 'ecomm',
    environment => 'production')$$), '(production)', 'of an environment');
SELECT is(pg_temp.lines($$SELECT DISTINCT event FROM promote.events(events => '{revision.created}')$$),
    '(revision.created)', 'by name');
SELECT is(count(*), 0::bigint, 'no event shows a value of a configuration')
  FROM promote.events() AS e WHERE e::text ~ 'hush|10\.9|secret"';
SELECT pg_temp.refuses(format('SELECT * FROM promote.events(max_events => %s)', n), 'PM404', '1 to 100000',
    'so many events at once: ' || n) FROM unnest('{0,-1,100001,2147483647}'::integer[]) AS n;

-- An event that is not settled holds back what is behind it, and nothing before it.
SELECT position AS held FROM promote.events() OFFSET 4 LIMIT 1 \gset
ALTER TABLE promote.audit_log DISABLE TRIGGER refuse_rewrite;
UPDATE promote.audit_log SET settled_by = (pg_snapshot_xmin(pg_current_snapshot())::text::bigint + 1)::text::xid8
 WHERE position = :held;
SELECT is(max(position) < :held AND count(*) = 4, true, 'an event that is not settled holds back what is behind it')
  FROM promote.events();
SELECT pg_temp.refuses(format('SELECT promote.acknowledge_events(%L, %s)', 'early', :held), 'PM732', 'up to ' ||
    :held - 1, 'what was not shown is not acknowledged');
UPDATE promote.audit_log SET settled_by = pg_snapshot_xmin(pg_current_snapshot()) WHERE position = :held;
SELECT is(count(*) > 5, true, '... until it is') FROM promote.events();
ALTER TABLE promote.audit_log ENABLE ALWAYS TRIGGER refuse_rewrite;

-- ---- by the caller's rights ----
CREATE ROLE test_reader;
CREATE ROLE test_other;
CREATE ROLE test_one;
SELECT promote.grant_action('test_reader', 'view', 'other'), promote.grant_action('test_other', 'view'),
    promote.grant_action('test_one', 'view', 'ecomm', 'production') \g /dev/null
SELECT is(pg_temp.as_role('test_reader', $$SELECT string_agg(DISTINCT project, ' ' ORDER BY project)
    FROM promote.events()$$), '* other', 'who sees one project gets its events, and those of none');
SELECT is(pg_temp.as_role('test_one', $$SELECT string_agg(DISTINCT environment, ' ') FROM promote.events()$$),
    'production', '... and who sees one environment those of its instances');

-- ---- consumers ----
SELECT max(position) AS last FROM promote.audit_log \gset
SELECT is(pg_temp.as_role('test_reader', $$SELECT r FROM promote.register_consumer('hook', 'other') AS r$$),
    format('(t,f,%s)', :last), 'a consumer begins behind what has happened');
SELECT is(pg_temp.as_role('test_reader', $$SELECT r FROM promote.register_consumer('hook', 'other') AS r$$),
    format('(f,f,%s)', :last), '... is registered once');
SELECT is(pg_temp.as_role('test_reader', $$SELECT r FROM promote.register_consumer('hook', 'other', 'production',
    '{revision.created}', 0) AS r$$), format('(f,t,%s)', :last), '... and may read something else, from where it is');
SELECT is(pg_temp.as_role('test_reader', $$SELECT r FROM promote.register_consumer('whole',
    after_position => 0) AS r$$),
    '(t,f,0)', 'or it begins with the first event');
SELECT is(pg_temp.lines('SELECT project, environment, events, database_role, acknowledged_at FROM promote.consumer
                    WHERE consumer = $$hook$$'), '(other,production,{revision.created},test_reader,)',
    'its row says what it reads and whose it is');
SELECT is(pg_temp.as_role('test_reader', $$SELECT count(*) FROM promote.next_events('whole')$$),
    pg_temp.as_role('test_reader', 'SELECT count(*) FROM promote.events()'), 'it gets what its role may see');
SELECT is(pg_temp.as_role('test_reader', $$SELECT count(*) FROM promote.next_events('whole', 3)$$), '3',
    '... as many as it asks for, and the same ones until it has acknowledged them');
SELECT max(position) AS some FROM (SELECT position FROM promote.events() LIMIT 3) AS e \gset
SELECT is(pg_temp.as_role('test_reader', format('SELECT promote.acknowledge_events(%L, %s)', 'whole', :some)),
    :'some', 'acknowledging says how far it is');
SELECT is(position, :some::bigint, '... which is kept') FROM promote.consumer WHERE consumer = 'whole'
   AND acknowledged_at IS NOT NULL;
SELECT is(pg_temp.as_role('test_reader', format('SELECT promote.acknowledge_events(%L, %s)', 'whole', :some)),
    :'some', 'the same again changes nothing');
SELECT is(pg_temp.as_role('test_reader', $$SELECT min(position) > $$ || :some || $$
    FROM promote.next_events('whole')$$),
    'true', '... and it goes on behind that');

-- what is not for it, it is moved past
SELECT promote.configure_instance('ecomm-production-db', '{"replicas": 7}') \g /dev/null
SELECT max(position) AS last FROM promote.audit_log \gset
SELECT is(pg_temp.as_role('test_reader', $$SELECT count(*) FROM promote.next_events('hook')$$), '0',
    'events of others are not for it');
SELECT is(position, :last::bigint, '... so that it does not look at them again') FROM promote.consumer
 WHERE consumer = 'hook';
SELECT promote.configure_instance('other-production-db', '{"size": "small"}', '1.0.0') \g /dev/null
SELECT is(pg_temp.as_role('test_reader', $$SELECT concat_ws(' ', instance, event, revision)
    FROM promote.next_events('hook')$$), 'other-production-db revision.created 1', '... and misses none of its own');

-- ---- what is refused ----
SELECT is(pg_temp.as_role('test_other', s), 'PM705: Role "test_reader" has registered it.', 'another role''s: ' || s)
  FROM unnest(ARRAY[$$SELECT promote.acknowledge_events('hook', 0)$$, $$SELECT promote.next_events('hook')$$,
      $$SELECT promote.remove_consumer('hook')$$, $$SELECT promote.register_consumer('hook')$$]) AS s;
SELECT pg_temp.refuses(s, state, detail, s)
  FROM (VALUES
    ('SELECT promote.acknowledge_events($$whole$$, 1)', 'PM732', 'acknowledged all up to ' || :some || ' already'),
    ('SELECT promote.acknowledge_events($$whole$$, 9223372036854775807)', 'PM732', 'There are events up to'),
    (format('SELECT promote.acknowledge_events(%L, %s)', 'whole', (SELECT max(position) + 1 FROM promote.audit_log)),
        'PM732', 'There are events up to'),
    ('SELECT promote.acknowledge_events($$whole$$, -1)', 'PM404', 'above zero'),
    ('SELECT promote.acknowledge_events($$whole$$, NULL)', 'PM404', 'null'),
    ('SELECT promote.acknowledge_events(NULL, 1)', 'PM404', 'null'),
    ('SELECT promote.acknowledge_events($$nobody$$, 1)', 'PM002', 'Nobody has registered it'),
    ('SELECT promote.next_events($$nobody$$)', 'PM002', 'Nobody has registered it'),
    ('SELECT promote.next_events($$whole$$, 0)', 'PM404', '1 to 100000'),
    ('SELECT promote.register_consumer($$new$$, after_position => 9223372036854775807)', 'PM732', 'events up to'),
    ('SELECT promote.register_consumer($$new$$, after_position => -1)', 'PM404', 'above zero'),
    ('SELECT promote.register_consumer($$New$$)', 'PM001', 'lower-case'),
    ('SELECT promote.register_consumer($$new$$, environment => $$production$$)', 'PM404', ''),
    ('SELECT promote.register_consumer($$new$$, events => $${{a},{b}}$$)', 'PM404', ''),
    ('SELECT promote.register_consumer($$new$$, events => $${NULL}$$)', 'PM404', '')) AS v (s, state, detail);
SELECT is(pg_temp.as_role('test_one', $$SELECT promote.register_consumer('x', 'ecomm', 'staging')$$),
    'PM701: Role "test_one" has no grant "view" for environment "staging" of project "ecomm".',
    'nobody reads of what they do not see');

-- ---- removing, and what is recorded ----
SELECT is(pg_temp.as_role('test_reader', $$SELECT promote.remove_consumer('whole')$$), 'true', 'a consumer is removed');
SELECT is(pg_temp.as_role('test_reader', $$SELECT promote.remove_consumer('whole')$$), 'false', '... once');
SELECT set_eq($$SELECT (subject || ' ' || event) COLLATE "default" FROM promote.audit_log WHERE subject ~ '^consumer'$$,
    ARRAY['consumer early consumer.inserted', 'consumer hook consumer.inserted', 'consumer hook consumer.updated',
        'consumer whole consumer.inserted', 'consumer whole consumer.deleted'],
    'the log has who was registered, and not each step');

-- ---- pruned events ----
SELECT position AS behind FROM promote.audit_log WHERE subject = 'ecomm-production-db' AND seq = 1 \gset
SELECT count(*) FROM promote.prune_audit(clock_timestamp(), 'ecomm') \g /dev/null
SELECT set_eq(format('SELECT (seq || $$ $$ || event) COLLATE "default" FROM promote.events(%s, events => $${none}$$)
                  WHERE subject = $$ecomm-production-db$$', :behind - 1),
    $$SELECT (seq || ' ' || event) COLLATE "default" FROM promote.audit_log WHERE subject = 'ecomm-production-db'
         AND event = 'audit.checkpoint'$$, 'who is behind what was pruned is told, whatever names it reads');
SELECT is_empty(format('SELECT FROM promote.events(%s) WHERE event = $$audit.checkpoint$$ AND subject =
    $$ecomm-production-db$$', (SELECT max(position) FROM promote.audit_log WHERE event = 'audit.checkpoint')),
    '... and who has read it is not');

-- ---- a long log ----
SET LOCAL row_security = off;
INSERT INTO promote.audit_log (project, subject, seq, at, actor, database_role, event, data, previous_hash, hash)
SELECT CASE n % 50 WHEN 0 THEN 'other' ELSE 'ecomm' END, 'long-' || n % 100, n, now(), 'a', 'a', 'test.told', '{}',
    sha256('x'), sha256('y') FROM generate_series(2, 20000) AS n;
SET LOCAL row_security = on;
CREATE FUNCTION pg_temp.plan(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    line text;
    result text := '';
BEGIN
    PERFORM set_config('role', 'test_reader', true);
    FOR line IN EXECUTE 'EXPLAIN (COSTS off) ' || statement LOOP
        result := result || line || E'\n';
    END LOOP;
    PERFORM set_config('role', 'none', true);
    RETURN result;
END
$$;
CREATE FUNCTION pg_temp.fetched() RETURNS bigint LANGUAGE sql AS $$
    SELECT pg_stat_get_xact_tuples_fetched('promote.audit_log'::regclass)
         + pg_stat_get_xact_tuples_returned('promote.audit_log'::regclass)
$$;
SELECT is(pg_temp.as_role('test_other', $$SELECT registered FROM promote.register_consumer('all',
    after_position => 100)$$),
    'true', 'a consumer that is far behind');
SELECT pg_temp.fetched() AS before \gset
SELECT is(pg_temp.as_role('test_other', $$SELECT count(*) FROM promote.next_events('all', 10)$$), '10',
    '... gets the next events');
SELECT cmp_ok(pg_temp.fetched() - :before, '<', 100::bigint, '... for which no others are read, without statistics');
ANALYZE promote.audit_log;
SELECT pg_temp.fetched() AS before \gset
SELECT is(pg_temp.as_role('test_other', $$SELECT count(*) FROM promote.next_events('all', 10)$$), '10', 'again');
SELECT cmp_ok(pg_temp.fetched() - :before, '<', 100::bigint, '... with statistics');
-- a transaction that is open for long, behind which much has happened
ALTER TABLE promote.audit_log DISABLE TRIGGER refuse_rewrite;
UPDATE promote.audit_log SET settled_by = (pg_snapshot_xmin(pg_current_snapshot())::text::bigint + 1)::text::xid8
 WHERE position = (SELECT min(position) FROM promote.audit_log WHERE position > 100);
ALTER TABLE promote.audit_log ENABLE ALWAYS TRIGGER refuse_rewrite;
SELECT pg_temp.fetched() AS before \gset
SELECT is(pg_temp.as_role('test_other', $$SELECT count(*) FROM promote.next_events('all', 10)$$), '0',
    'events that are held back');
SELECT cmp_ok(pg_temp.fetched() - :before, '<', 100::bigint, '... are not all looked at, each time that somebody asks');
SELECT ok(p ~ 'Index Scan using audit_log_position_idx' AND p !~ 'Sort|Seq Scan|Bitmap',
    'the index is read from a position on, and nothing is sorted: ' || what)
  FROM (VALUES ('so many', pg_temp.plan('SELECT * FROM promote.events(10000, 100)')),
               ('the default', pg_temp.plan('SELECT * FROM promote.events(19000)'))) AS v (what, p);

SELECT * FROM finish();
ROLLBACK;
