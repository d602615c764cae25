-- Heads that are kept elsewhere, and pruning: what is old makes way for a checkpoint, and the chain still verifies.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
SELECT pg_temp.deploy('ecomm-production-db') AS first \gset
SELECT promote.configure_instance('ecomm-production-db', '{"replicas": 2}') \g /dev/null
UPDATE promote.environment SET description = 'one' WHERE environment = 'production';
UPDATE promote.environment SET description = 'two' WHERE environment = 'production';
CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT * FROM promote.audit_head();
SELECT is((SELECT count(*) FROM kept), (SELECT count(DISTINCT (project, subject)) FROM promote.audit_log),
    'a head for every chain');
SELECT is((SELECT k.hash FROM kept k WHERE k.subject = 'ecomm-production-db'), (SELECT hash FROM promote.audit_log
    WHERE subject = 'ecomm-production-db' ORDER BY seq DESC LIMIT 1), '... its last hash');
SELECT bag_eq($$SELECT DISTINCT project FROM promote.audit_head('ecomm')$$, $$VALUES ('ecomm')$$, 'of one project');
PREPARE wrong AS SELECT k.subject, v.problem FROM kept k CROSS
    JOIN LATERAL promote.verify_audit_head(k.project, k.subject, k.seq, k.hash) v;
SELECT is_empty('wrong', 'the heads are there');

-- ---- what is not pruned ----
SELECT pg_temp.refuses(call, 'PM731', 'past', call)
  FROM unnest(ARRAY[$$SELECT promote.prune_audit(now() + '1 day')$$, $$SELECT promote.prune_audit(NULL)$$,
      $$SELECT promote.prune_audit('infinity')$$]) AS call;
SELECT is_empty($$SELECT * FROM promote.prune_audit('2020-01-01')$$, 'nothing is as old as that');
CREATE ROLE promote_test_pruner;
SET LOCAL ROLE promote_test_pruner;
SELECT throws_ok($$SELECT promote.prune_audit('2020-01-01')$$, '42501', NULL, 'not for everybody');
RESET ROLE;
GRANT EXECUTE ON FUNCTION promote.prune_audit TO promote_test_pruner;
SET LOCAL ROLE promote_test_pruner;
SELECT throws_ok($$SELECT promote.prune_audit('2020-01-01')$$, 'PM701', NULL, '... but for admins');
RESET ROLE;

CREATE FUNCTION pg_temp.spoil(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    SET CONSTRAINTS ALL IMMEDIATE;
    ALTER TABLE promote.audit_log DISABLE TRIGGER ALL;
    ALTER TABLE promote.audit_log DROP CONSTRAINT audit_log_check;
    EXECUTE statement;
    ALTER TABLE promote.audit_log ENABLE TRIGGER ALL;
    PERFORM promote.prune_audit(clock_timestamp());
    RAISE SQLSTATE 'UNDO1' USING MESSAGE = 'pruned';
EXCEPTION WHEN SQLSTATE 'UNDO1' OR SQLSTATE 'PM731' THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;
SELECT is(pg_temp.spoil('UPDATE promote.audit_log SET actor = ''eve'' WHERE subject = ''ecomm-production-db'' AND seq '
    '= 3'), 'PM731 the audit chain of "ecomm-production-db" does not verify', 'nothing of a chain that was changed');
SELECT is(pg_temp.spoil('DELETE FROM promote.audit_log WHERE subject = ''ecomm-production-db'' AND seq = 3'),
    'PM731 the audit chain of "ecomm-production-db" does not verify', '... or has a gap');
SELECT is(pg_temp.spoil('DELETE FROM promote.audit_log WHERE subject = ''ecomm-production-db'' AND seq = 1'),
    'PM731 the audit chain of "ecomm-production-db" does not verify', '... or no beginning');
SELECT max(seq) - 1 AS last_but_one FROM promote.audit_log WHERE subject = 'ecomm-production-db' \gset
SELECT is(pg_temp.spoil(replace(change, '@', $$subject = 'ecomm-production-db' AND seq = $$ || row_number)),
    'PM731 the audit chain of "ecomm-production-db" does not verify', format(what, row_number))
  FROM (VALUES ('row %s has no hash of the row before', 'UPDATE promote.audit_log SET previous_hash = NULL WHERE @'),
               ('row %s has none, and its own hash fits',
                   'UPDATE promote.audit_log SET previous_hash = NULL, hash = promote.audit_hash(project, subject, '
                   'seq, at, actor, database_role, event, data, rows, NULL) WHERE @'),
               ('row %s has another one', 'UPDATE promote.audit_log SET previous_hash = sha256(''x'') WHERE @'),
               ('row %s has another one, and its own hash fits',
                   'UPDATE promote.audit_log SET previous_hash = sha256(''x''), hash = promote.audit_hash(project, '
                   'subject, seq, at, actor, database_role, event, data, rows, sha256(''x'')) WHERE @'),
               ('row %s has one that is longer, and its own hash fits',
                   'UPDATE promote.audit_log SET previous_hash = previous_hash || ''\x00'', hash = '
                   'promote.audit_hash(project, subject, seq, at, actor, database_role, event, data, rows, '
                   'previous_hash || ''\x00'') WHERE @'),
               ('row %s has one that is empty, and its own hash fits',
                   'UPDATE promote.audit_log SET previous_hash = ''\x'', hash = promote.audit_hash(project, subject, '
                   'seq, at, actor, database_role, event, data, rows, ''\x'') WHERE @'),
               ('row %s is a checkpoint that nobody has made',
                   'UPDATE promote.audit_log SET event = ''audit.checkpoint'', previous_hash = '
                   'promote.audit_hash(project, subject, seq, at, actor, database_role, ''audit.checkpoint'', data, '
                   'rows, hash) WHERE @')) AS v (what, change),
       unnest(ARRAY[2, :last_but_one]) AS row_number;
SELECT is(pg_temp.spoil($$UPDATE promote.audit_log SET previous_hash = sha256('x'), hash = promote.audit_hash(project,
    subject, seq, at, actor, database_role, event, data, rows, sha256('x')) WHERE subject = 'ecomm-production-db'
    AND seq = 1$$),
    'PM731 the audit chain of "ecomm-production-db" does not verify', 'the first row follows one that never was');
-- a chain that somebody has written anew from its second row on, so that all of it fits but there
CREATE FUNCTION pg_temp.rechain(first bytea) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    link record;
    previous bytea := first;
BEGIN
    FOR link IN SELECT * FROM promote.audit_log WHERE subject = 'ecomm-production-db' AND seq > 1 ORDER BY seq LOOP
        UPDATE promote.audit_log AS a SET previous_hash = previous, hash = promote.audit_hash(a.project, a.subject,
            a.seq, a.at, a.actor, a.database_role, a.event, a.data, a.rows, previous)
         WHERE a.subject = link.subject AND a.seq = link.seq RETURNING a.hash INTO previous;
    END LOOP;
END
$$;
SELECT is(pg_temp.spoil(format('SELECT pg_temp.rechain(%s) FROM promote.audit_log WHERE subject '
    '= ''ecomm-production-db'' AND seq = 1', first)), 'PM731 the audit chain of "ecomm-production-db" does not verify',
    'chained to ' || first)
  FROM unnest(ARRAY['NULL', '''\x''', 'sha256(''x'')', 'substr(hash, 1, 31)', 'hash || ''\x00''',
      'set_byte(hash, 31, 255 - get_byte(hash, 31))']) AS first;
SELECT is(pg_temp.spoil('SELECT pg_temp.rechain(hash) FROM promote.audit_log WHERE subject = ''ecomm-production-db'' '
    'AND seq = 1'), 'UNDO1 pruned', 'chained to what it was, it is whole');
-- what stays is held to what goes, and what comes after it is verify_audit's
SELECT is(pg_temp.spoil($$UPDATE promote.audit_log AS a SET previous_hash = NULL WHERE subject = 'ecomm-production-db'
    AND seq = (SELECT max(seq) FROM promote.audit_log WHERE subject = 'ecomm-production-db')$$),
    'PM731 the audit chain of "ecomm-production-db" does not verify', 'the first row that stays has none');
SELECT is(pg_temp.spoil('SELECT 1'), 'UNDO1 pruned', 'one that is whole is pruned');

-- ---- up to which row ----
SELECT min(at) FILTER (WHERE seq = 1) AS at_one, min(at) FILTER (WHERE seq = 2) AS at_two,
    min(at) FILTER (WHERE seq = 3) AS at_three FROM promote.audit_log
    WHERE subject = 'environment ecomm/production' \gset
CREATE FUNCTION pg_temp.pruned_before(before timestamptz) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', p.pruned, p.seq, p.last_at) FROM promote.prune_audit(before, 'ecomm') AS p
        WHERE p.subject = 'environment ecomm/production'
$$;
SELECT ok(:'at_one'::timestamptz < :'at_two'::timestamptz AND :'at_two'::timestamptz < :'at_three'::timestamptz,
    'three rows, one after the other');
SAVEPOINT whole;
SELECT is(pg_temp.pruned_before(:'at_one'), NULL, 'a row of that very time is not older');
SELECT is(pg_temp.pruned_before(:'at_two'), concat_ws(' ', 1, 1, :'at_one'::timestamptz), 'the one before it is');
SELECT is(pg_temp.pruned_before(:'at_two'), NULL, '... and a checkpoint alone is no reason to prune again');
SELECT is(pg_temp.pruned_before(:'at_two'::timestamptz + interval '1 us'), concat_ws(' ', 2, 2, :'at_two'::timestamptz),
    'one more row, and the checkpoint with it');
SELECT is((SELECT data - 'actor' - 'database_role' - 'pruning' FROM promote.audit_log
    WHERE subject = 'environment ecomm/production' AND event = 'audit.checkpoint'),
    jsonb_build_object('rows', 2, 'last_at', to_char(:'at_two'::timestamptz AT TIME ZONE 'UTC',
        'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')), '... which stands for both, and for the time of the later one');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'all is whole');
SELECT is((SELECT concat_ws(' ', data -> 'chains', data ->> 'pruned_before') FROM promote.audit_log
    WHERE subject = 'ecomm' AND event = 'audit.pruned' ORDER BY seq DESC LIMIT 1),
    '1 ' || to_char((:'at_two'::timestamptz + interval '1 us') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'the pruning says of how many chains, and up to when');
ROLLBACK TO whole;

-- Of a row that went before its chain went on nothing has to be known.
INSERT INTO promote.environment (project, environment) VALUES ('ecomm', 'brief');
DELETE FROM promote.environment WHERE project = 'ecomm' AND environment = 'brief';
INSERT INTO promote.environment (project, environment) VALUES ('ecomm', 'brief');

-- ---- pruning ----
SELECT is((SELECT count(*) FROM promote.prune_audit(clock_timestamp(), 'ecomm', 1)), 1::bigint, 'one chain at a time');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'half done, all is whole');
SELECT is((SELECT count(*) > 1 AND bool_and(project = 'ecomm') FROM promote.prune_audit(clock_timestamp(), 'ecomm')),
    true, 'called again it goes on, in that project');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'pruned, all is whole');
SELECT is_empty('wrong', 'heads that were kept still hold');
SELECT is((SELECT array_agg(event ORDER BY seq) FROM promote.audit_log WHERE subject = 'environment ecomm/production'),
    ARRAY['audit.checkpoint', 'environment.updated'], 'a checkpoint, and the newest row');
SELECT is((SELECT data - 'actor' - 'database_role' - 'last_at' - 'pruning' FROM promote.audit_log
    WHERE subject = 'environment ecomm/production' AND seq = 2), '{"rows": 2}',
    '... which says how many it stands for');
SELECT is((SELECT array(SELECT jsonb_object_keys(rows)) @> ARRAY['revision/1', 'instance',
    format('deployment/%s', :first)] FROM promote.audit_log
    WHERE subject = 'ecomm-production-db' AND event = 'audit.checkpoint'), true, 'it carries what verifying needs');
SELECT is(pg_temp.lines($$SELECT seq, rows, data -> 'rows' FROM promote.audit_log
    WHERE subject = 'environment ecomm/brief' AND event = 'audit.checkpoint'$$), '(2,,2)',
    '... and nothing of what is gone');
SELECT ok((SELECT count(*) > 0 FROM promote.audit_log WHERE subject = 'ecomm' AND event = 'audit.pruned'
    AND actor = current_user), 'the project''s chain tells of it');
SELECT is((SELECT p.pruned FROM promote.project p WHERE p.project = 'ecomm'), (SELECT max(seq) FROM promote.audit_log
    WHERE subject = 'ecomm' AND event = 'audit.pruned'), '... and the project where');
SELECT is((SELECT count(*) FROM promote.audit_log WHERE project = '*' AND event = 'audit.checkpoint'), 0::bigint,
    'other projects'' chains are as they were');
SELECT is_empty($$SELECT * FROM promote.prune_audit(clock_timestamp(), 'ecomm') WHERE subject <> 'ecomm'$$,
    'there is nothing left to prune');
UPDATE promote.bundle SET description = 'shared' WHERE bundle = 'redis';
SELECT isnt_empty($$SELECT * FROM promote.prune_audit(clock_timestamp()) WHERE project = '*'$$,
    'what belongs to no project is pruned with all');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'all is whole');

-- ---- it goes on ----
SELECT promote.configure_instance('ecomm-production-db', '{"replicas": 3}') \g /dev/null
SELECT pg_temp.deploy('ecomm-production-db') > :first \g /dev/null
UPDATE promote.environment SET description = 'three' WHERE environment = 'production';
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'what comes later is appended');
SELECT promote.plan_instance('ecomm-production-db') \g /dev/null
SELECT pg_temp.work('ecomm-production-db') \g /dev/null
SELECT promote.deploy_instance('ecomm-production-db') \g /dev/null
SELECT deployment AS running, fencing FROM promote.claim_deployment('test', '{PROVISION}') \gset
SELECT isnt_empty('SELECT * FROM promote.prune_audit(clock_timestamp())',
    'pruned again while one runs, behind the checkpoint');
SELECT is((SELECT data ->> 'rows' FROM promote.audit_log WHERE subject = 'ecomm-production-db'
    AND event = 'audit.checkpoint'), (SELECT seq::text FROM promote.audit_log WHERE subject = 'ecomm-production-db'
    AND event = 'audit.checkpoint'), '... which stands for all that ever stood before it');
SELECT is_empty('SELECT * FROM promote.verify_audit()', '... all is whole');
SELECT promote.heartbeat_deployment('ecomm-production-db', :running, :fencing) \g /dev/null
SELECT promote.complete_deployment('ecomm-production-db', :running, :fencing) \g /dev/null
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'what ran across the checkpoint is known to have run');
SELECT is((SELECT count(*) FROM kept AS k WHERE NOT EXISTS (SELECT FROM promote.audit_log AS a
    WHERE a.project = k.project AND a.subject = k.subject AND a.seq = k.seq)) > 0, true,
    'some of the heads are of before a checkpoint');
SELECT is((SELECT string_agg(DISTINCT regexp_replace(v.problem, '\d+', 'N'), ' ') FROM kept k CROSS
    JOIN LATERAL promote.verify_audit_head(k.project, k.subject, k.seq, k.hash) v),
    'it was pruned: the chain begins with a checkpoint in place N, and only a head of there or later proves anything',
        '... which is told of them, and nothing of the others');
SELECT is((SELECT count(*) FROM kept k CROSS JOIN LATERAL promote.verify_audit_head(k.project, k.subject, k.seq,
    k.hash) v),
    (SELECT count(*) FROM kept AS k WHERE NOT EXISTS (SELECT FROM promote.audit_log AS a WHERE a.project = k.project
        AND a.subject = k.subject AND a.seq = k.seq)), '... one by one');

-- ---- what a checkpoint is no cover for ----
CREATE FUNCTION pg_temp.tampered(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found text;
BEGIN
    SET CONSTRAINTS ALL IMMEDIATE;
    ALTER TABLE promote.audit_log DISABLE TRIGGER ALL;
    ALTER TABLE promote.environment DISABLE TRIGGER ALL;
    ALTER TABLE promote.instance DISABLE TRIGGER ALL;
    EXECUTE statement;
    SELECT string_agg(problem, E'\n' ORDER BY problem) INTO found FROM promote.verify_audit()
        WHERE subject !~ '^trigger ';
    RAISE SQLSTATE 'UNDO1' USING MESSAGE = COALESCE(found, 'nothing found');
EXCEPTION WHEN SQLSTATE 'UNDO1' THEN
    RETURN SQLERRM;
END
$$;
SELECT matches(pg_temp.tampered(replace(statement, '@',
    $$subject = 'ecomm-production-db' AND event = 'audit.checkpoint'$$)), problem, what)
  FROM (VALUES
    ('another author', 'UPDATE promote.audit_log SET actor = ''eve'' WHERE @', 'the checkpoint was changed'),
    ('more rows', 'UPDATE promote.audit_log SET data = data || ''{"rows": 99}'' WHERE @', 'the checkpoint was changed'),
    ('another hash', 'UPDATE promote.audit_log SET hash = sha256(''x'') WHERE @', 'it does not follow the row before'),
    ('no checkpoint', 'DELETE FROM promote.audit_log WHERE @', 'rows were removed before it'),
    ('the row behind it removed',
        'DELETE FROM promote.audit_log a WHERE a.subject = ''ecomm-production-db'' AND a.seq = (SELECT c.seq + 1 FROM '
        'promote.audit_log c WHERE c.subject = ''ecomm-production-db'' AND c.event = ''audit.checkpoint'')',
        'rows were removed before it'),
    ('one that no pruning has left',
        'UPDATE promote.audit_log SET data = data || ''{"pruning": 999}'', previous_hash = promote.audit_hash(project, '
        'subject, seq, at, actor, database_role, event, data || ''{"pruning": 999}'', rows, hash) WHERE @',
        'no pruning has left'),
    ('a row that is another',
        'UPDATE promote.environment SET description = ''forged'' WHERE environment = ''production''',
        'the row is not what it records'),
    ('an instance that is elsewhere',
        'UPDATE promote.instance SET changed_by = 1, deployed_by = 1, deployed_revision = 1 WHERE name '
        '= ''ecomm-production-db''', 'instance ecomm/production/db: the row is not what it records')) AS v(what,
        statement, problem);

-- ---- heads show what a consistent forgery does not ----
SELECT count(*) FROM kept \g /dev/null
TRUNCATE kept;
INSERT INTO kept SELECT * FROM promote.audit_head();
CREATE FUNCTION pg_temp.forged(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found text;
BEGIN
    SET CONSTRAINTS ALL IMMEDIATE;
    ALTER TABLE promote.audit_log DISABLE TRIGGER ALL;
    ALTER TABLE promote.environment DISABLE TRIGGER ALL;
    EXECUTE statement;
    SELECT string_agg(k.subject || ': ' || v.problem, E'\n' ORDER BY k.subject) INTO found FROM kept k CROSS
        JOIN LATERAL promote.verify_audit_head(k.project, k.subject, k.seq, k.hash) v;
    RAISE SQLSTATE 'UNDO1' USING MESSAGE = COALESCE(found, 'nothing found') || CASE WHEN EXISTS (SELECT
        FROM promote.verify_audit() WHERE subject !~ '^trigger ') THEN ' (inside too)' ELSE '' END;
EXCEPTION WHEN SQLSTATE 'UNDO1' THEN
    RETURN SQLERRM;
END
$$;
SELECT is(pg_temp.forged($$DELETE FROM promote.audit_log WHERE subject = 'environment ecomm/prod-uswest';
    DELETE FROM promote.instance WHERE name = 'ecomm-prod-uswest-db'; DELETE FROM promote.environment
    WHERE environment = 'prod-uswest';
    DELETE FROM promote.audit_log
        WHERE subject IN ('instance ecomm/prod-uswest/db', 'environment ecomm/prod-uswest')$$),
    E'environment ecomm/prod-uswest: the chain is gone\ninstance ecomm/prod-uswest/db: the chain is gone',
        'a row removed with its whole chain');
SELECT is(pg_temp.forged($$WITH last AS (SELECT a.*, jsonb_set(a.data, '{after,description}', '"forged"') AS forged
    FROM promote.audit_log a WHERE subject = 'environment ecomm/production' ORDER BY seq DESC LIMIT 1)
    UPDATE promote.audit_log a SET data = l.forged, hash = promote.audit_hash(l.project, l.subject, l.seq, l.at,
        l.actor, l.database_role, l.event, l.forged, l.rows, l.previous_hash) FROM last l WHERE a.subject = l.subject
        AND a.seq = l.seq;
    UPDATE promote.environment SET description = 'forged' WHERE project = 'ecomm' AND environment = 'production'$$),
    'environment ecomm/production: the row has another hash: the chain was rewritten',
        'a chain rewritten with its row');
SELECT is(pg_temp.forged($$DELETE FROM promote.audit_log a WHERE subject = 'ecomm' AND seq = (SELECT max(seq)
    FROM promote.audit_log WHERE subject = 'ecomm')$$) ~ 'ecomm: the chain ends before it', true,
    'the end of a chain removed');

-- ---- which chains have old rows is seen without reading the others ----
\ir ../../fixtures/long.sql
SET LOCAL row_security = off;
INSERT INTO promote.audit_log (project, subject, seq, at, actor, database_role, event, data, previous_hash, hash)
SELECT 'long', 'chain ' || c, s, now() - interval '1 day', 'loader', 'loader', 'revision.created',
    '{"filler": "so that some rows fill a page"}',
       CASE WHEN s > 1 THEN sha256('') END, sha256('')
  FROM generate_series(1, 10) AS c, generate_series(1, 300) AS s;
SELECT cmp_ok(pg_temp.pages($$SELECT * FROM promote_internal.prunable_chains(now() - interval '2 days', 'long')$$),
    '<=', 120,
    'of chains without old rows, one row each is read');
SELECT cmp_ok(pg_temp.pages($$SELECT * FROM promote_internal.prunable_chains(now() - interval '2 days', NULL)$$), '<=',
    1000,
    '... of all projects');
SELECT is((SELECT count(*) FROM promote_internal.prunable_chains(now(), 'long')), 10::bigint, 'what is old is found');
SELECT is((SELECT array_agg(DISTINCT cut) FROM promote_internal.prunable_chains(now(), 'long')), ARRAY[299::bigint],
    '... but for the last row');
SELECT bag_eq($$SELECT c FROM promote_internal.chains_of('long') AS c$$, $$SELECT 'chain ' || n
    FROM generate_series(1, 10) AS n UNION ALL
    SELECT DISTINCT a.subject FROM promote.audit_log AS a WHERE a.project = 'long' AND a.subject !~ '^chain'$$,
        'chains are found one by one');

SELECT * FROM finish();
ROLLBACK;
