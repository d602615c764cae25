-- The matrix asks the very gates that promote.blockers asks: in random states, what it says of a promotion is, word for
-- word, what stands in the way once that is staged.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
\ir ../../fixtures/plan.sql
SET LOCAL promote.actor = 'ada';
SET LOCAL client_min_messages = error;
SET LOCAL timezone = 'UTC';
SET LOCAL promote.secret_key_command = 'echo k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=';
INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
    VALUES ('shop', 'staging', 'production');
INSERT INTO promote.bundle_release (bundle, version, params_schema, artifact_digest)
SELECT 'service', '1.0.1', params_schema, 'sha256:' || repeat('b', 64) FROM promote.bundle_release
    WHERE bundle = 'service';
INSERT INTO promote.bundle_release (bundle, version, params_schema, secrets, remote_references)
SELECT 'service', '2.0.0', params_schema, '{"token": {}}', '{"network": {}}' FROM promote.bundle_release
    WHERE bundle = 'service' AND version = '1.0.0';
-- what the matrix cannot know before there is a plan is not to keep things from being deployed
UPDATE promote.environment SET require_expected = false, require_proven_release = true WHERE project = 'shop';
SELECT pg_temp.work_all() \g /dev/null

-- What may be done to a service of the shop; what is refused is not done.
CREATE TABLE pg_temp.deed (deed text, statement text);
INSERT INTO pg_temp.deed VALUES
    ('configured', $$SELECT promote.configure_instance('shop-{env}-{service}', '{"size": {n}}')$$),
    ('configured', $$SELECT promote.configure_instance('shop-{env}-{service}', '{"size": {n}}',
        (ARRAY['~1', '1.0.0', '1.0.1', '2.0.0'])[{n}])$$),
    ('deployed', $$SELECT promote.deploy_instance('shop-{env}-{service}')$$),
    ('deployed', $$SELECT promote.deploy_instance('shop-staging-{service}')$$),
    ('failed', $$SELECT promote.deploy_instance('shop-staging-{service}'), pg_temp.work_all('.')$$),
    ('promoted', $$SELECT promote.promote_instance('shop-staging-{service}', 'shop-production-{service}',
        reprovision => {n} > 2)$$),
    ('observed', $$SELECT promote.report_observed('shop-{env}-{service}', '{"size": 7{n}}'::jsonb, 'scan')$$),
    ('observed', $$SELECT promote.report_observed('shop-production-{service}', '{"size": 7{n}}'::jsonb, 'scan')$$),
    ('found', $$SELECT pg_temp.planned('shop-production-{service}', '[]',
        '[["a.b{n}", ["update"], {"size": 1}, {"size": {n}}]]')$$),
    ('dismissed', $$SELECT promote.dismiss_drift('shop-{env}-{service}', 'fine')$$),
    ('adopted', $$SELECT promote.adopt_drift('shop-{env}-{service}')$$),
    ('healthy', $$SELECT promote.report_health('shop-{env}-{service}', 'smoke', true, NULL,
        (ARRAY[NULL, '1 day'])[{n} % 2 + 1]::interval)$$),
    ('unhealthy', $$SELECT promote.report_health('shop-{env}-{service}', 'smoke', false, 'it burns')$$),
    ('healthy', $$SELECT promote.report_health('shop-{env}-{service}', 'smoke', true, NULL, '1 microsecond')$$),
    ('decommissioned', $$SELECT promote.decommission_instance('shop-{env}-{service}')$$),
    ('secret', $$SELECT promote.set_secret('shop-production-{service}', 'token', 'x')$$),
    ('reference', $$SELECT promote.set_remote_reference('shop-production-{service}', 'network', 'vpc')$$),
    ('request', $$SELECT promote.open_request('shop', 'staging', 'production',
        jsonb_build_object('components', jsonb_build_array('{service}')))$$),
    ('no request', $$SELECT promote.cancel_request('shop', (SELECT max(request) FROM promote.promotion_request
        WHERE project = 'shop' AND finished_at IS NULL), 'enough')$$),
    ('blocked', $$SELECT promote.block_release('service', '1.0.' || {n} % 2, 'bad')$$),
    ('unblocked', $$SELECT promote.unblock_release('service', '1.0.' || {n} % 2, 'good')$$),
    ('unblocked', $$SELECT promote.unblock_release('service', r.version, 'good') FROM promote.bundle_release AS r
        WHERE r.bundle = 'service' AND r.block_reason IS NOT NULL$$),
    ('proven', $$UPDATE promote.environment SET require_proven_release = {n} <> 1 WHERE project = 'shop'
        AND environment = 'production'$$),
    ('digests', $$UPDATE promote.environment SET require_artifact_digest = ({n} > 1) WHERE project = 'shop'
        AND environment = 'production'$$),
    ('paths', $$UPDATE promote.environment SET source_policy = (ARRAY['any', 'path'])[{n} % 2 + 1]
        WHERE project = 'shop' AND environment = 'production'$$),
    ('pinned', $$UPDATE promote.environment SET version_policy = (ARRAY['constraint', 'pinned'])[{n} % 2 + 1]
        WHERE project = 'shop' AND environment = 'production'$$),
    ('pinned', $$UPDATE promote.component SET version_policy = (ARRAY['constraint', 'pinned'])[{n}]
        WHERE project = 'shop' AND component = '{service}'$$),
    ('in sync', $$UPDATE promote.environment SET require_source_in_sync = ({n} % 2 = 0) WHERE project = 'shop'
        AND environment = 'production'$$),
    ('drift', $$UPDATE promote.environment SET require_no_drift = {n} <> 1 WHERE project = 'shop'
        AND environment = 'production'$$),
    ('shape', $$UPDATE promote.environment SET require_structure = CASE WHEN {n} < 3 THEN 'staging' END
        WHERE project = 'shop' AND environment = 'production'$$),
    ('soak', $$UPDATE promote.environment SET required_soak = (ARRAY['0', '1 microsecond', '1 hour',
        '0'])[{n}]::interval WHERE project = 'shop' AND environment = 'production'$$),
    ('check', $$INSERT INTO promote.required_check (project, environment, check_name, "of", per_revision, component)
        SELECT 'shop', 'production', 'smoke', (ARRAY['source', 'destination'])[{n} % 2 + 1], {n} > 2, CASE
            WHEN {n} % 3 = 0 THEN '{service}' END$$),
    ('no check', $$DELETE FROM promote.required_check$$),
    ('freeze', $$INSERT INTO promote.freeze_window (name, project, environment, component, during, reason)
        SELECT 'f{n}', 'shop', '{env}', '{service}', tstzrange(now() - interval '1 hour',
            now() + {n} * interval '1 hour'), 'x'$$),
    ('freeze', $$INSERT INTO promote.freeze_window (name, selector, zone, starts_at, duration)
        SELECT 'a{n}', '{"tenant": "acme"}', 'UTC', localtimestamp - interval '1 hour', interval '2 days'$$),
    ('no freeze', $$DELETE FROM promote.freeze_window$$),
    ('window', $$INSERT INTO promote.change_window (name, project, component, during, max_deployments_per_window)
        SELECT 'w{n}', 'shop', '{service}', tstzrange(now() + ({n} - 2) * interval '1 hour',
            now() + interval '9 hours'), {n}$$),
    ('closed', $$INSERT INTO promote.change_window (name, project, environment, during) SELECT 'c{n}', 'shop', '{env}',
        tstzrange(now() + interval '1 hour', now() + interval '9 hours')$$),
    ('spent', $$INSERT INTO promote.change_window (name, project, during, max_deployments_per_window)
        SELECT 'b{n}', 'shop', tstzrange(now() - interval '1 hour', now() + interval '9 hours'), 6 + {n}$$),
    ('open', $$DELETE FROM promote.freeze_window; DELETE FROM promote.change_window; DELETE FROM promote.required_check;
        SELECT promote.resume_line('shop'), promote.resume_line();
        UPDATE promote.environment SET require_source_in_sync = false, required_soak = '0',
            require_artifact_digest = false, require_structure = NULL
            WHERE project = 'shop';
        SELECT promote.cancel_request('shop', request, 'enough') FROM promote.promotion_request WHERE project = 'shop'
            AND finished_at IS NULL;
        SELECT promote.unblock_release('service', version, 'good') FROM promote.bundle_release WHERE bundle = 'service'
            AND block_reason IS NOT NULL$$),
    ('no window', $$DELETE FROM promote.change_window$$),
    ('stopped', $$SELECT promote.stop_line('it smells', CASE WHEN {n} % 2 = 0 THEN 'shop' END)$$),
    ('resumed', $$SELECT promote.resume_line('shop'), promote.resume_line()$$);
-- What is promoted has been deployed, something else is desired since, and it drifts: promoting it again puts that
-- right.
INSERT INTO pg_temp.deed SELECT 'wandered', statement || $$; SELECT promote.configure_instance('shop-staging-{service}',
    '{"size": {n}}', '1.0.1'), pg_temp.work_all(), promote.deploy_instance('shop-staging-{service}'),
        pg_temp.work_all(),
        promote.promote_instance('shop-staging-{service}', 'shop-production-{service}', reprovision => true),
        pg_temp.work_all(),
        promote.deploy_instance('shop-production-{service}'), pg_temp.work_all(),
            promote.configure_instance('shop-production-{service}', '{"size": 9}'),
        promote.report_observed('shop-production-{service}', '{"size": 8}'::jsonb, 'scan')$$ FROM pg_temp.deed
            WHERE deed = 'open';
CREATE FUNCTION pg_temp.act() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    it pg_temp.deed := (SELECT d FROM pg_temp.deed AS d ORDER BY random() LIMIT 1);
BEGIN
    EXECUTE replace(replace(replace(it.statement, '{env}', (ARRAY['staging', 'production'])[1 + floor(random() * 2)]),
        '{service}', 's' || 1 + floor(random() * 3)), '{n}', (1 + floor(random() * 4))::text);
    PERFORM pg_temp.work_all();
    RETURN it.deed;
EXCEPTION
    WHEN syntax_error_or_access_rule_violation OR data_exception OR internal_error THEN RAISE;
    WHEN OTHERS THEN RETURN 'not ' || it.deed || ' ' || SQLERRM;
END
$$;

-- What closes gates that the matrix knows once it is really promoted, line by line; nothing of that stays.
CREATE FUNCTION pg_temp.truth(service text, OUT lines text, OUT refused text, OUT changed boolean)
    LANGUAGE plpgsql AS $$
BEGIN
    changed := (promote.promote_instance('shop-staging-' || service, 'shop-production-' || service)).changed;
    SELECT string_agg(concat(b.code, ': ', b.message, ' (until ' || b.until || ')', ' (' || b.liftable_by || ')'), E'\n'
        ORDER BY b.place)
      INTO lines
      FROM promote.blockers('shop-production-' || service, NULL, clock_timestamp())
           WITH ORDINALITY AS b (code, message, since, until, liftable_by, overridable, place)
     WHERE b.code IN ('path', 'component', 'release', 'artifact', 'secrets', 'references', 'stopped', 'freeze',
         'window', 'soak',
         'budget',
                      'source_in_sync', 'release_unproven', 'drift', 'health', 'structure', 'request');
    RAISE EXCEPTION SQLSTATE 'ZZ001';
EXCEPTION
    WHEN SQLSTATE 'ZZ001' THEN NULL;
    WHEN OTHERS THEN refused := SQLSTATE;
END
$$;

-- All pairs as they are now.  Where promoting would stage nothing, the desired revision is judged, and not as promoted.
CREATE FUNCTION pg_temp.compare() RETURNS TABLE (service text, said text, lines text, refused text, changed boolean)
    LANGUAGE sql AS $$
    SELECT m.component, regexp_replace(m.why_not, '^production: ', ''), t.*
      FROM promote.matrix('shop') AS m, LATERAL pg_temp.truth(m.component) AS t
     WHERE m.environment = 'staging' AND m.component IN ('s1', 's2', 's3')
$$;
CREATE TABLE pg_temp.seen (round integer, deeds text, service text, said text, lines text, refused text,
    changed boolean);
SELECT setseed(0.4) \g /dev/null
DO $$
DECLARE
    done text;
BEGIN
    FOR round IN 1 .. 80 LOOP
        SELECT string_agg(pg_temp.act(), ', ') INTO done FROM generate_series(1, 5);
        INSERT INTO pg_temp.seen SELECT round, done, c.* FROM pg_temp.compare() AS c;
    END LOOP;
END
$$;

SELECT is((SELECT string_agg(concat_ws(E'\n', round || ' ' || service || ' after ' || deeds, 'matrix: ' || said,
    'truth: ' || lines), E'\n') FROM pg_temp.seen
            WHERE refused IS NULL AND changed AND said IS DISTINCT FROM lines), NULL,
                'it says what stands in the way, and nothing else');
SELECT is((SELECT string_agg(concat_ws(' ', round, service, refused), E'\n') FROM pg_temp.seen WHERE refused IS NOT NULL
    AND said IS NULL), NULL,
    'nor may be promoted what is refused');
SELECT is((SELECT string_agg(concat_ws(E'\n', round || ' ' || service || ' after ' || deeds, 'matrix: ' || said,
    'truth: ' || lines), E'\n') FROM pg_temp.seen
            WHERE refused IS NULL AND NOT changed AND said !~ 'is there already'
              AND substring(said FROM 'drift: [^\n]*') IS DISTINCT FROM substring(lines FROM 'drift: [^\n]*')), NULL,
                  'what would change nothing puts right the same');
-- every gate was closed and open
SELECT is((SELECT string_agg(g.code, ' ' ORDER BY g.gate) FROM promote.gates() AS g
    WHERE NOT EXISTS (SELECT FROM pg_temp.seen AS s WHERE s.lines ~ ('(^|\n)' || g.code || ': '))
             OR NOT EXISTS (SELECT FROM pg_temp.seen AS s WHERE s.refused IS NULL
                 AND COALESCE(s.lines, '') !~ ('(^|\n)' || g.code || ': '))),
    'path component params release plan reverts destructive unexpected policy approval rejected dependency',
        'every gate that it knows was closed at times, and open');
SELECT cmp_ok((SELECT count(*) FROM pg_temp.seen WHERE changed AND COALESCE(lines, '') !~ 'drift: '
    AND deeds ~ '(^|, )wandered'), '>', 0::bigint, '... also where it puts right what differs');
SELECT * FROM finish();
ROLLBACK;
