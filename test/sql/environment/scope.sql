-- What verbs of environments are about: components, and why some are left out.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql

INSERT INTO promote.component (project, component, bundle, version_policy) VALUES ('shop', 'a', 'service', 'pinned');
INSERT INTO promote.instance (project, environment, component) VALUES ('shop', 'staging', 'a');
CREATE FUNCTION pg_temp.scope(source text, destination text, components text[], selector jsonb) RETURNS text
    LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', component, code, CASE WHEN pins THEN 'pins' END), ', ' ORDER BY component)
      FROM promote_internal.environment_scope('shop', source, destination, components, selector, false)
$$;
SELECT is(pg_temp.scope(s, d, c, f), said, concat_ws(' ', s, d, c, f))
  FROM (VALUES ('staging', 'production', NULL::text[], NULL::jsonb, 'a no_instance pins, s1, s2, s3, s4, s5, s6'),
               ('staging', 'staging', NULL, NULL, 'a unconfigured pins, s1, s2, s3, s4, s5, s6'),
               ('production', 'production', NULL, '{"tenant": "acme"}', 's1, s2'),
               ('production', 'production', '{s1,s3}', '{"tenant": "acme"}', 's1, s3 selector'),
               ('production', 'production', '{a}', NULL, 'a no_instance pins'),
               ('production', 'production', '{x}', NULL, NULL)) AS v (s, d, c, f, said);
UPDATE promote.environment SET version_policy = 'pinned' WHERE project = 'shop' AND environment = 'production';
SELECT is(pg_temp.scope('staging', 'production', '{s1}', NULL), 's1 pins', 'the policy of the destination counts');
SELECT is(pg_temp.scope('production', 'staging', '{s1}', NULL), 's1', '... and not that of the source');

SELECT * FROM finish();
ROLLBACK;
