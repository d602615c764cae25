-- NULL for an argument that has a default means the default, of every function of the schema: each is called both ways.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
\ir ../../fixtures/shop.sql
SET LOCAL promote.actor = 'ada';
CREATE ROLE test_defaults;
SELECT pg_temp.deploy('ecomm-production-db') \g /dev/null
SELECT promote.configure_instance('ecomm-production-db', '{"replicas": 2}') \g /dev/null
SELECT pg_temp.deploy('ecomm-production-db') \g /dev/null
SELECT promote.report_observed('ecomm-production-db', promote.jsonb_merge_patch((SELECT params
    FROM promote.config_as_of('ecomm-production-db')), '{"replicas": 5}'), 'scan') \g /dev/null
SELECT promote.configure_instance('ecomm-staging-db', '{"replicas": 3}') \g /dev/null
SELECT * FROM promote.claim_deployment('held') \gset held_
SELECT promote.block_release('postgres', '1.1.0', 'no') \g /dev/null
INSERT INTO promote.bundle_release (bundle, version, params_schema, remote_references)
    VALUES ('redis', '2.0.0', '{}', '{"network": {"required": false}}');
SELECT promote.configure_instance('ecomm-staging-cache', '{}', '2.0.0') \g /dev/null
SELECT promote.set_remote_reference('ecomm-staging-cache', 'network', 'a') \g /dev/null
INSERT INTO promote.promotion_path VALUES ('ecomm', 'staging', 'production');

-- What a call comes to, without what differs from one call to the next; nothing of it stays.
CREATE FUNCTION pg_temp.outcome(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
    facts text;
BEGIN
    BEGIN
        EXECUTE 'SELECT jsonb_agg(to_jsonb(f)) FROM ' || call || ' AS f' INTO result;
        RAISE EXCEPTION USING ERRCODE = 'ZZ999';
    EXCEPTION WHEN SQLSTATE 'ZZ999' THEN
        result := 'ok ' || COALESCE(result, 'NULL');
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS facts = PG_EXCEPTION_DETAIL;
        result := concat_ws(' ', SQLSTATE, SQLERRM, facts);
    END;
    result := regexp_replace(result, '\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d(:\d\d)?)?', 'at', 'g');
    RETURN regexp_replace(result, '"\\\\x[0-9a-f]{64}"', '"digest"', 'g');
END
$$;

-- Arguments without a default that make a call succeed: of any function, or of one.
CREATE TEMP TABLE sample (function text, argument text, value text);
INSERT INTO sample VALUES
    (NULL, 'instance', $$'ecomm-production-db'$$), (NULL, 'src', $$'ecomm-staging-db'$$), (NULL, 'dst',
        $$'ecomm-production-db'$$),
    (NULL, 'project', $$'ecomm'$$), (NULL, 'worker', $$'w'$$), (NULL, 'reason', $$'why'$$), (NULL, 'action',
        $$'view'$$),
    (NULL, 'role', $$'test_defaults'$$), (NULL, 'bundle', $$'postgres'$$), (NULL, 'version', $$'1.1.0'$$), (NULL,
        'field', $$'network'$$),
    (NULL, 'reference', $$'b'$$), (NULL, 'document', $${"a": 1}$$), (NULL, 'schema', $${}$$), (NULL, 'deployment', '1'),
    (NULL, 'check_name', $$'smoke'$$), (NULL, 'healthy', 'true'), (NULL, 'zone', $$'UTC'$$), (NULL, 'rule',
        $$'FREQ=DAILY'$$),
    (NULL, 'starts_at', $$'2030-01-01'$$), (NULL, 'duration', $$'1 hour'$$), (NULL, 'fencing', '1'), (NULL, 'pid',
        '1'), (NULL, 'code', $$'freeze'$$),
    (NULL, 'request', '1'), (NULL, 'source_environment', $$'staging'$$), (NULL, 'destination_environment',
        $$'production'$$),
    (NULL, 'target', $$'{"a": [1]}'$$), (NULL, 'patch', $$'{"a": [2]}'$$), (NULL, 'source', $$'{"a": 1}'$$), (NULL,
        'destination', $$'{"a": 2}'$$),
    (NULL, 'diff', $$'[{"path": ".a", "change": "change", "old": 1, "new": 2, "immutable": true}]'$$), (NULL,
        'before', $$'2020-01-01'$$),
    (NULL, 'plan', $$'{"format_version": "1.2", "resource_changes": []}'$$),
    ('preview_chain', 'src', $$'ecomm-staging'$$), ('preview_chain', 'up_to', $$'ecomm-production'$$),
    ('promotion_chain', 'environment', $$'ecomm-production'$$),
    ('promote_to_next', 'instance', $$'ecomm-staging-db'$$), ('set_remote_reference', 'instance',
        $$'ecomm-staging-cache'$$),
    ('apply_revision', 'instance', $$'ecomm-staging-db'$$), ('apply_revision', 'revision', '2'),
    ('apply_revision', 'to_instance', $$'ecomm-staging-db'$$),
    ('gate_backtest', 'environment', $$'production'$$), ('gate_backtest', 'settings', $${"require_plan": true}$$),
    ('remove_remote_reference', 'instance', $$'ecomm-staging-cache'$$), ('open_request', 'project', $$'shop'$$);
INSERT INTO sample SELECT f, v.*
    FROM unnest('{heartbeat_deployment,complete_deployment,release_deployment,abort_deployment}'::text[]) AS f,
    (VALUES ('instance', quote_literal(:'held_instance')), ('deployment', :'held_deployment'), ('fencing',
        :'held_fencing')) AS v (argument, value);
INSERT INTO sample SELECT p || f, v.*
    FROM unnest('{promote_environment,plan_environment,deploy_environment,rollback_environment,tag_environment}'
            ::text[])
            AS f,
         unnest('{"",preview_}'::text[]) AS p,
         LATERAL (VALUES ('src', $$'shop-staging'$$), ('dst', $$'shop-production'$$), ('tag', $$'now'$$),
                 ('environment', CASE WHEN f ~ 'rollback' THEN quote_literal('shop-production@' || clock_timestamp())
                                      ELSE $$'shop-production'$$ END)) AS v (argument, value);
INSERT INTO promote.environment (project, environment) VALUES ('shop', 'over');
INSERT INTO sample SELECT p || f, v.*
    FROM unnest('{fork_environment,decommission_environment,archive_environment,abort_environment}'::text[]) AS f,
         unnest('{"",preview_}'::text[]) AS p,
         LATERAL (VALUES ('src', $$'shop-staging'$$), ('new_environment', $$'shop-new'$$),
                 ('environment', CASE WHEN f ~ 'archive' THEN $$'shop-over'$$ ELSE $$'shop-production'$$ END))
                 AS v (argument, value);
INSERT INTO sample SELECT f, v.*
    FROM unnest('{register_environment,set_environment_rules,register_component,register_instance,set_dependency,'
                'publish_release,set_attributes,set_parameters}'::text[]) AS f,
         (VALUES ('environment', $$'staging'$$), ('component', $$'db'$$), ('depends_on', $$'cache'$$),
                 ('version', $$'9.0.0'$$), ('params_schema', $${}$$), ('attributes', $${"a": 1}$$))
         AS v (argument, value);
CREATE FUNCTION public.calm(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
    LANGUAGE sql STABLE AS 'SELECT NULL::promote.blocking_reason WHERE false';
INSERT INTO sample SELECT f, v.*
    FROM unnest('{set_freeze,set_change_window,set_policy,set_approval_rule,set_required_check,remove_required_check,'
                'set_override_rule}'::text[]) AS f,
         (VALUES ('name', $$'n'$$), ('policy', $$'p'$$), ('function', $$'public.calm'$$),
                 ('environment', $$'production'$$)) AS v (argument, value);
INSERT INTO sample SELECT 'review_html', 'subject', s.value FROM sample AS s
 WHERE s.argument = 'instance' AND s.function IS NULL;
UPDATE sample SET value = quote_literal(value) WHERE value ~ '^{';

CREATE TEMP TABLE argument AS
SELECT p.oid, p.proname::text AS function, a.name, format_type(p.proargtypes[a.place::integer - 1], NULL) AS type,
       a.place > p.pronargs - p.pronargdefaults AS is_optional
  FROM pg_proc AS p
 CROSS JOIN LATERAL unnest(p.proargnames) WITH ORDINALITY AS a (name, place)
 WHERE p.pronamespace = 'promote'::regnamespace AND p.prokind = 'f' AND p.pronargdefaults > 0 AND a.place <= p.pronargs;
CREATE TEMP TABLE called AS
SELECT a.function, a.name, pg_temp.outcome(format('promote.%I(%s)', a.function, required.list)) AS omitted,
       pg_temp.outcome(format('promote.%I(%s)', a.function, concat_ws(', ', NULLIF(required.list, ''),
           format('%I => NULL::%s', a.name, a.type)))) AS given
  FROM argument AS a
 CROSS JOIN LATERAL (
      SELECT COALESCE(string_agg(format('%I => %s::%s', r.name, COALESCE((SELECT s.value FROM sample AS s
          WHERE s.argument = r.name
                 AND (s.function = r.function OR s.function IS NULL) ORDER BY s.function NULLS LAST LIMIT 1), 'NULL'),
                 r.type), ', '), '') AS list
        FROM argument AS r WHERE r.oid = a.oid AND NOT r.is_optional) AS required
 WHERE a.is_optional;
SELECT cmp_ok(count(*), '>', 100::bigint, 'arguments with a default') FROM called;
SELECT is(given, omitted, format('%s(%s => NULL)', function, name)) FROM called ORDER BY function, name;
-- those that need more than there is here are refused, both ways alike
SELECT is(array_agg(DISTINCT function ORDER BY function),
    '{apply_document,apply_text,approve_deployment,approve_many,approve_request,complete_many,deploy_instance,'
    'deploy_many,end_session,fail_many,'
    'heartbeat_many,import_history,next_events,pause_request,plan_many,policy_backtest,promote_many,'
    'propose_deployment,register_consumer,reject_many,'
    'release_many,resume_request,review_override,rotate_secrets,set_change_window,set_freeze,wait_for_deployment}',
    'the calls that do not succeed') FROM called WHERE omitted !~ '^ok ';

SELECT * FROM finish();
ROLLBACK;
