-- Forking as roles with grants: nobody gives themselves anything by it, and a preview shows nobody what they may not
-- see.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/as_role.sql
CREATE ROLE keeper;
CREATE ROLE team;
CREATE ROLE other;
CREATE ROLE viewer;
GRANT team TO keeper;
INSERT INTO promote.grants (role, action, project, environment) VALUES ('keeper', 'admin', 'ecomm', NULL),
    ('keeper', 'work', 'ecomm', 'staging'), ('team', 'deploy', 'ecomm', 'staging'),
    ('other', 'deploy', 'ecomm', 'staging'), ('viewer', 'view', 'ecomm', NULL);
CREATE FUNCTION pg_temp.grants_in(of text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(role || ' ' || action, ', ' ORDER BY role, action) FROM promote.grants
     WHERE project = 'ecomm' AND environment = of
$$;

-- ---- grants that are copied ----
SELECT is(pg_temp.as_role('keeper', $$SELECT count(*) FROM promote.fork_environment('ecomm-staging', 'ecomm-west',
    configure => false, copy_rules => true)$$), '2', 'whoever is admin of the project forks with the rules');
SELECT is(pg_temp.grants_in('west'), 'other deploy',
    '... and gets none of their own grants by that, nor those of a role that they are a member of');
SELECT is((SELECT count(*) FROM promote.fork_environment('ecomm-staging', 'ecomm-east', configure => false,
    copy_rules => true)), 2::bigint, 'the owner, who needs no grants, ...');
SELECT is(pg_temp.grants_in('east'), 'keeper work, other deploy, team deploy', '... copies all of them');

-- ---- what a preview shows ----
SELECT is(pg_temp.as_role('viewer', $$SELECT count(*) FROM promote.preview_fork_environment('ecomm-staging',
    'ecomm-north')$$), '2', 'whoever may view at both ends previews a fork');
SELECT is(pg_temp.as_role('viewer', format($$SELECT count(*) FROM promote.preview_fork_environment('ecomm-staging',
    'ecomm-north', %s => %L)$$, argument, value)),
    'PM701: Role "viewer" has no grant "admin" for all of project "ecomm".', what)
  FROM (VALUES
    ('overrides', '{"db": {"tier": "{{domain}}"}}', '... but not with placeholders, which would show parameters'),
    ('overrides', '{"db": [{"op": "copy", "from": "/password", "path": "/size"}]}',
        '... nor to have what is masked judged where it is not'),
    ('parameters', '{"domain": "x"}', '... nor by other parameters')) AS v (argument, value, what);
SELECT is(pg_temp.as_role('keeper', $$SELECT count(*) FROM promote.preview_fork_environment('ecomm-staging',
    'ecomm-north', '{"domain": "x"}', overrides => '{"db": {"tier": "{{domain}}"}}')$$), '2',
    'whoever may fork previews all of it');

-- ---- what is over ----
SELECT is(pg_temp.as_role('keeper', $$SELECT count(*) FROM promote.archive_environment('ecomm-west')$$), '2',
    'an environment is archived');
SELECT is(pg_temp.as_role('viewer', $$SELECT generation FROM promote.environment_generation$$), '1',
    'whoever sees the project sees that');
SELECT is(pg_temp.as_role('viewer', $$SELECT parameters_digest FROM promote.environment_generation$$),
    (SELECT promote.config_digest('ecomm', parameters)::text FROM promote.parameter_set WHERE environment = 'west'),
    '... with a digest of its parameters');
SELECT is(pg_temp.as_role('keeper', format($$SET row_security = %s;
    SELECT promote.grant_action('other', 'view', 'ecomm', 'west')$$, setting)),
    'PM006: Its history is there, and nothing is done with it any more.', 'nothing is granted there: ' || setting)
  FROM unnest('{on,off}'::text[]) AS setting;
RESET row_security;
SELECT finish();
ROLLBACK;
