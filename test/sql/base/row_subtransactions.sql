-- A row that verbs write in one subtransaction after the other gets no multixact: what comes to it again in the same
-- transaction would look into those of all its versions.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/cpu.sql

CREATE FUNCTION pg_temp.promote(times integer, behind_savepoints boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR n IN 1 .. times LOOP
        IF behind_savepoints THEN
            BEGIN
                PERFORM promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache',
                    jsonb_build_object('n', n));
            EXCEPTION WHEN division_by_zero THEN
                NULL;
            END;
        ELSE
            PERFORM promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache',
                jsonb_build_object('n', -n));
        END IF;
    END LOOP;
END
$$;
SELECT promote.configure_instance('ecomm-staging-cache', '{"n": 0}', plan => false) \g /dev/null

SELECT mxid_age('1') AS before \gset
SELECT pg_temp.promote(50, true) \g /dev/null
SELECT cmp_ok(mxid_age('1') - :before, '<', 10, 'fifty promotions behind savepoints make no multixact each');
SELECT is((SELECT revision FROM promote.instance WHERE name = 'ecomm-production-cache'), 50, 'all were made');

-- ---- what is taken back is taken back ----
SAVEPOINT first;
SELECT pg_temp.promote(2, true) \g /dev/null
SAVEPOINT second;
SELECT pg_temp.promote(3, false) \g /dev/null
ROLLBACK TO second;
SELECT is((SELECT revision FROM promote.instance WHERE name = 'ecomm-production-cache'), 52, 'only the second ones');
SELECT pg_temp.promote(1, false) \g /dev/null
ROLLBACK TO first;
SELECT is((SELECT revision FROM promote.instance WHERE name = 'ecomm-production-cache'), 50, '... and then the first');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the record is whole');

-- ---- and it takes about as long ----
-- Each look at the row comes by all versions of this transaction's own, with savepoints or without.
SELECT pg_temp.cpu_seconds() AS began \gset
SELECT pg_temp.promote(600, false) \g /dev/null
SELECT pg_temp.cpu_seconds() - :began AS without, pg_temp.cpu_seconds() AS began \gset
SELECT pg_temp.promote(600, true) \g /dev/null
SELECT pg_temp.cpu_seconds() - :began AS behind \gset
-- the second come by twice as many versions
SELECT cmp_ok(:behind::float8, '<', 4 * :without::float8 + 0.5,
    'promotions behind savepoints take about as long as without');

SELECT * FROM finish();
ROLLBACK;
