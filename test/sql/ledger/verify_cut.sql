-- A chain that was cut back to just the head that was kept of it: what the head does not tell of is read from where it
-- was told last.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', idempotency_key => 'k') \g /dev/null
DELETE FROM promote.idempotency_key;
CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT promote.chain_heads() AS heads;
SELECT is((SELECT string_agg(concat_ws(' ', seq, event), ', ' ORDER BY seq) FROM promote.audit_log
    WHERE subject = 'ecomm-production-db'), '1 revision.created, 2 deployment.created, 3 revision.created, '
    '4 deployment.created, 5 idempotency_key.inserted, 6 idempotency_key.deleted', 'the head tells of a key alone');
SELECT is_empty('SELECT * FROM promote.verify_audit(heads => (SELECT heads FROM kept))', 'nothing came after it');
CREATE FUNCTION pg_temp.after(done text, forged text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found text;
BEGIN
    EXECUTE done;
    SELECT string_agg(concat_ws(': ', seq, problem), E'\n') INTO found FROM promote.verify_audit('ecomm-production-db',
        heads => (SELECT heads FROM kept));
    IF found IS NOT NULL THEN
        RAISE 'before it is forged: %', found;
    END IF;
    SET CONSTRAINTS ALL IMMEDIATE;
    ALTER TABLE promote.audit_log DISABLE TRIGGER ALL;
    EXECUTE format('%s AND subject = ''ecomm-production-db''', forged);
    SELECT string_agg(concat_ws(': ', seq, problem), E'\n') INTO found FROM promote.verify_audit('ecomm-production-db',
        heads => (SELECT heads FROM kept));
    RAISE SQLSTATE 'UNDO1' USING MESSAGE = COALESCE(found, 'nothing');
EXCEPTION WHEN SQLSTATE 'UNDO1' THEN
    RETURN SQLERRM;
END
$$;
SELECT is(pg_temp.after(done, 'DELETE FROM promote.audit_log WHERE seq > 6'), found, what) FROM (VALUES
    ('another configuration is desired',
        'SELECT promote.configure_instance(''ecomm-production-db'', ''{"replicas": 8}'')',
        '4: instance ecomm/production/db: the row is not what it records'),
    ('the next deployment is claimed', 'SELECT promote.claim_deployment(''w'', max => 9)',
        '2: deployment ecomm/production/db/1: the row is not what it records'),
    ('the newest is aborted', 'SELECT promote.abort_deployment(''ecomm-production-db'', 2, ''why'')',
        '4: deployment ecomm/production/db/2: the row is not what it records')) AS v (what, done, found);
SELECT is(pg_temp.after('SELECT', forged || ' seq = 3'), found, forged) FROM (VALUES
    ('UPDATE promote.audit_log SET event = ''x'' WHERE', '3: the row was changed: its hash is not that of its columns'),
    ('DELETE FROM promote.audit_log WHERE', '4: rows were removed before it: 3 to 3')) AS v (forged, found);
SELECT * FROM finish();
ROLLBACK;
