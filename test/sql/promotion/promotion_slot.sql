-- Remote references of slots that one of two releases does not declare: what a promotion to the other adds, or takes
-- away.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql

INSERT INTO promote.bundle VALUES ('api');
INSERT INTO promote.bundle_release (bundle, version, params_schema, remote_references) VALUES
    ('api', '1.0.0', '{}', '{"network": {"required": false}, "dns": {"required": false}}');
INSERT INTO promote.component VALUES ('ecomm', 'api', 'api');
INSERT INTO promote.instance (project, environment, component)
SELECT 'ecomm', e, 'api' FROM unnest('{staging,production}'::text[]) AS e;
CREATE FUNCTION pg_temp.preview() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', path, change, old_value, '->', new_value, '|', running_value, since), E'\n')
      FROM promote.preview_promotion('ecomm-staging-api', 'ecomm-production-api')
$$;
CREATE FUNCTION pg_temp.publish(version text, slot text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO promote.bundle_release (bundle, version, params_schema, remote_references)
    VALUES ('api', version, '{}', jsonb_build_object('network', '{"required": false}'::jsonb,
        slot, '{"required": false}'::jsonb))
$$;

SELECT promote.configure_instance('ecomm-staging-api', '{"a": 1}', '~1') \g /dev/null
SELECT promote.configure_instance('ecomm-production-api', '{"a": 1}', '~1') \g /dev/null
SELECT promote.set_remote_reference('ecomm-production-api', 'network', 'urn:n') \g /dev/null
SELECT promote.set_remote_reference('ecomm-production-api', 'dns', 'dns.{{domain}}') \g /dev/null
SELECT pg_temp.deploy('ecomm-production-api') \g /dev/null

-- ---- the new release has another slot instead, which was prepared ----
SELECT pg_temp.publish('1.1.0', 'cache') \g /dev/null
SELECT promote.set_remote_reference('ecomm-production-api', 'cache', 'urn:c') \g /dev/null
SELECT is(pg_temp.preview(), E'release version change "1.0.0" -> "1.1.0" | "1.0.0" 2
reference dns remove "dns.example.com" -> | "dns.example.com" 2
reference cache add -> "urn:c" | 2',
    'what the new release does not declare is taken away, and what it alone declares comes');
SELECT is(pg_temp.entries(diff), E'release version change "1.0.0" -> "1.1.0" 2
reference dns remove "dns.example.com" -> 2
reference cache add -> "urn:c" 2', '... as the result says')
  FROM promote.promote_instance('ecomm-staging-api', 'ecomm-production-api');
SELECT is((SELECT pg_temp.entries(d.diff) || ' ' || d.remote_references::text FROM promote.deployment AS d
    JOIN promote.instance AS i USING (project, environment, component, deployment)
    WHERE i.name = 'ecomm-production-api'), E'release version change "1.0.0" -> "1.1.0" 2
reference dns remove "dns.example.com" -> 2
reference cache add -> "urn:c" 2 {"cache": "urn:c", "network": "urn:n"}', '... and the plan');
SELECT is(pg_temp.preview(), E'release version none "1.1.0" -> "1.1.0" | "1.0.0" 2
reference dns none -> | "dns.example.com" 2
reference cache none "urn:c" -> "urn:c" | 2', 'once that is desired, it waits');

-- ---- and back ----
SELECT promote.configure_instance('ecomm-staging-api', '{}', '1.0.0') \g /dev/null
SELECT is(pg_temp.preview(), E'release version change "1.1.0" -> "1.0.0" | "1.0.0"
release constraint change "~1" -> "1.0.0" | "~1" 3
reference dns add -> "dns.example.com" | "dns.example.com"
reference cache remove "urn:c" -> |', 'going back to what runs: nothing will happen');
SELECT is(pg_temp.entries(diff), 'release constraint change "~1" -> "1.0.0" 3', '... as the result says')
  FROM promote.promote_instance('ecomm-staging-api', 'ecomm-production-api', plan => false);

-- ---- since when: since the revision whose release lacks the slot ----
SELECT promote.configure_instance('ecomm-staging-api', '{}', '~1') \g /dev/null
SELECT promote.promote_instance('ecomm-staging-api', 'ecomm-production-api', plan => false) \g /dev/null
SELECT promote.configure_instance('ecomm-staging-api', '{"a": 2}') \g /dev/null
SELECT is(pg_temp.entries(diff), E'release version change "1.0.0" -> "1.1.0" 4
.a change 1 -> 2 5
reference dns remove "dns.example.com" -> 4
reference cache add -> "urn:c" 4', 'an entry waits since the revision whose release has brought it')
  FROM promote.promote_instance('ecomm-staging-api', 'ecomm-production-api', plan => false);

SELECT * FROM finish();
ROLLBACK;
