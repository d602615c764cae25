-- The table of gates, and whether what one says may be overridden at all.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql

SELECT is((SELECT string_agg(concat_ws(' ', code, kind, CASE WHEN overridable THEN 'overridable' END, CASE
    WHEN decommission THEN 'decommission' END), E'\n' ORDER BY gate) FROM promote.gates()),
'path static
component static
params static
release static
artifact static
secrets static
references static
plan static decommission
stopped time decommission
freeze time overridable decommission
window time overridable decommission
soak time overridable
budget time overridable decommission
source_in_sync state overridable
release_unproven state overridable
reverts state overridable
drift state overridable
health state overridable
structure state overridable
destructive state overridable
unexpected state overridable
policy state overridable decommission
approval people overridable decommission
rejected people decommission
request lock overridable decommission
dependency lock decommission', 'the gates, in the order in which they are looked at');
-- with a rule for each of them, a gate is overridable where the table says so
INSERT INTO promote.override_rule (project, environment, code, role) SELECT 'ecomm', 'production', code, current_user
    FROM promote.gates() WHERE overridable;
INSERT INTO promote.freeze_window (name, project, environment, during)
    VALUES ('f', 'ecomm', 'production', tstzrange(now() - interval '1 hour', now() + interval '1 hour'));
SELECT promote.stop_line('a test', 'ecomm') \g /dev/null
SELECT promote.configure_instance('ecomm-production-db', '{"size": "small"}', '1.0.0') \g /dev/null
SELECT cmp_ok((SELECT count(*) FROM promote.blockers('ecomm-production-db')), '>=', 3::bigint,
    'several gates are closed');
SELECT is_empty($$SELECT b.code FROM promote.blockers('ecomm-production-db') AS b
    JOIN promote.gates() AS g ON g.code = b.code WHERE b.overridable <> g.overridable$$,
    'what they say is overridable as the table has it');
SELECT * FROM finish();
ROLLBACK;
