-- Overrides that put a leaf where an object with something masked was: every leaf that goes has its row, and what a
-- caller who may only view sees does not depend on what is masked.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/as_role.sql

CREATE ROLE p_viewer;
INSERT INTO promote.grants (role, action, project) VALUES ('p_viewer', 'view', 'ecomm');
INSERT INTO promote.bundle VALUES ('api');
INSERT INTO promote.bundle_release (bundle, version, params_schema)
VALUES ('api', '1.0.0', '{"properties": {"pw": {"$md.sensitive": true}}}');
INSERT INTO promote.component VALUES ('ecomm', 'api', 'api');
INSERT INTO promote.instance (project, environment, component)
SELECT 'ecomm', e, 'api' FROM unnest('{staging,production}'::text[]) AS e;
-- what .c.e[1] has was a password, and stays masked
SELECT promote.configure_instance('ecomm-staging-api', '{"a": 1}', '~1') \g /dev/null
SELECT promote.configure_instance('ecomm-production-api',
    '{"a": 1, "pw": "a long password", "c": {"d": 1, "e": [2, "a long password"]}}', '~1') \g /dev/null
SELECT promote.configure_instance('ecomm-production-api', '{"pw": "another one"}') \g /dev/null

CREATE FUNCTION pg_temp.preview(overrides text) RETURNS text LANGUAGE sql AS $$
    SELECT format('SELECT string_agg(concat_ws('' '', path, change, old_value, ''->'', new_value, since), E''\n'')
        FROM promote.preview_promotion(''ecomm-staging-api'', ''ecomm-production-api'', %L) WHERE path ~ ''^.c''',
        overrides)
$$;
CREATE FUNCTION pg_temp.shown(overrides text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    EXECUTE pg_temp.preview(overrides) INTO result;
    RETURN result;
END
$$;

SELECT is(pg_temp.shown(overrides), E'.c.d remove "(sensitive value)" ->
.c.e[0] remove "(sensitive value)" ->
.c add -> "(sensitive value)" 3
.c.e[1] remove "(sensitive value)" -> 3', 'every leaf of the object goes: ' || overrides)
  FROM unnest(ARRAY['{"c": "{{count}}"}', '{"c": 3}']) AS overrides;
SELECT is(pg_temp.as_role('p_viewer', pg_temp.preview(format('{"c": %s}', guess))),
          pg_temp.as_role('p_viewer', pg_temp.preview('{"c": "some other password"}')),
              'a guess is told nothing: ' || guess)
  FROM unnest(ARRAY['"a long password"', '3', 'true']) AS guess;
SELECT is(pg_temp.as_role('p_viewer', pg_temp.preview(format('{"c": {"e": [2, "%s"]}}', guess))), E'.c.d remove 1 ->
.c.e[0] none 2 -> 2 1
.c.e[1] change "(sensitive value)" -> "(sensitive value)" 3', '... where the object stays: ' || guess)
  FROM unnest(ARRAY['a long password', 'some other password']) AS guess;

SELECT * FROM finish();
ROLLBACK;
