-- Verbs of the registry, as roles that own nothing.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/as_role.sql
CREATE ROLE r_registers;
SELECT promote.grant_action('r_registers', 'register', 'ecomm') \g /dev/null
SELECT is(pg_temp.as_role('r_registers', $$SELECT action FROM promote.register_environment('ecomm', 'test')$$), 'create',
    'with the grant');
SELECT matches(pg_temp.as_role('r_registers', $$SELECT promote.register_environment('other', 'test')$$),
    '^PM701: Role "r_registers" has no grant "register" for environment "test" of project "other"', 'without it');
SELECT * FROM finish();
ROLLBACK;
