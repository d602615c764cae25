-- Forking what was: what ran, or was desired, by a tag or at a time, as the preview has said.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
\ir ../../fixtures/environment.sql

-- All of production run size 1 by revision 1.  By the first tag s2 desires another, by the second all of acme do; then
-- s8 is added.
SELECT promote.configure_instance('shop-production-s2', '{"size": 7}', plan => false) \g /dev/null
SELECT count(*) FROM promote.tag_environment('shop-production', 'then') \g /dev/null
SELECT promote.configure_instance('shop-production-s' || n, '{"size": 8}', plan => false)
   FROM generate_series(1, 2) AS n \g /dev/null
SELECT count(*) FROM promote.tag_environment('shop-production', 'later') \g /dev/null
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 's8', 'service');
INSERT INTO promote.instance (project, environment, component) VALUES ('shop', 'production', 's8');
SELECT promote.configure_instance('shop-production-s8', '{"size": 1}', plan => false) \g /dev/null

-- Forks a state of production to an environment, and says of its instances by which revision of production they are
-- configured, their size and pinned version; or what is refused.
CREATE FUNCTION pg_temp.was(state text, environment text, options text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    forked text := pg_temp.forks(format('%L, %L, plan => false%s', 'shop-production@' || state, 'shop-' || environment,
                                        options));
BEGIN
    RETURN CASE WHEN forked ~ '^(PM|previewed)' THEN forked ELSE (
        SELECT string_agg(concat_ws(' ', i.component, r.source_revision, c.params ->> 'size', r.pinned_version), ', '
                          ORDER BY i.component)
          FROM promote.instance AS i
          LEFT JOIN promote.revision AS r USING (project, environment, component, revision)
          LEFT JOIN promote.config AS c USING (project, digest)
         WHERE i.project = 'shop' AND i.environment = was.environment) END;
END
$$;
SELECT is(pg_temp.was(state, environment, options), expected, concat_ws(' ', state, options)) FROM (VALUES
    ('then', 'was1', $$, components => '{s1,s2}'$$, 's1 1 1, s2 1 1'),
    ('then', 'was2', $$, components => '{s1,s2}', source_state => 'desired'$$, 's1 1 1, s2 2 7'),
    ('later', 'was3', $$, components => '{s1,s2}', source_state => 'desired'$$, 's1 2 8, s2 3 8'),
    ('later', 'was4', $$, components => '{s1}', source_state => 'running'$$, 's1 1 1'),
    ('later', 'was5', $$, components => '{s1}', pin => true$$, 's1 1 1 1.0.0'),
    ('later', 'was6', $$, selector => '{"tenant": "acme"}', overrides => '{"s1": {"size": 4}}'$$, 's1 1 4, s2 1 1'),
    (clock_timestamp()::text, 'was7', $$, components => '{s3}'$$, 's3 1 1'),
    ('none', 'x', '', E'PM002 there is no tag "shop-production@none"\nThe environment has no tag of that name.'),
    ('later', 'x', $$, components => '{s1,s8}'$$,
        E'PM508 there was nothing of component "s8"\nBy then, it ran nothing in "shop-production@later".'),
    ('later', 'x', $$, overrides => '{"s8": {}}'$$,
        E'PM404 the overrides are of a component that is left alone\nComponent "s8" is left out: it ran nothing in '
        '"shop-production@later".'),
    ('later', 'production', '',
        E'PM003 cannot fork "shop-production" to itself\nThe source and the new environment have the same name.')
) AS c (state, environment, options, expected);
SELECT is(pg_temp.lines($$SELECT component, changed, revision, code
    FROM promote.fork_environment('shop-production@later', 'shop-was8', plan => false)$$),
    E'(s1,t,1,)\n(s2,t,1,)\n(s3,t,1,)\n(s4,t,1,)\n(s5,t,1,)\n(s6,t,1,)\n(s8,f,,nothing_then)',
    'what ran nothing then begins without a configuration');
SELECT is((SELECT revision FROM promote.instance WHERE name = 'shop-was8-s8'), 0, '... and is there');
SELECT is((SELECT forked_from::text FROM promote.environment WHERE environment = 'was8'), 'production',
    '... in a fork of the environment');
SELECT matches(pg_temp.was('2001-01-01', 'x', ''), '^PM404 there is nothing to do\n.*\ns1: it ran nothing in '
    '"shop-production@2001', 'a time when there was nothing');
SELECT matches(pg_temp.was('2999-01-01', 'x', ''), '^PM404 .* is yet to come\n', 'a time that is yet to come');
SELECT matches(pg_temp.forks($$'shop-production', 'shop-x@then'$$), '^PM404 the new environment cannot be a state\n',
    'only a source is a state');

-- ---- what was decommissioned since ----
SELECT promote.decommission_instance('shop-production-s3') \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.was('later', 'was9', $$, components => '{s3}'$$), 's3 1 1',
    'what ran then is forked, whatever runs now');
SELECT is(pg_temp.forks($$'shop-production', 'shop-was10', components => '{s3}', source_state => 'running'$$),
    '(s3,f,,,,unconfigured,"its source has nothing to configure it with",)', '... where what runs now is nothing');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the chains are whole');
SELECT finish();
ROLLBACK;
