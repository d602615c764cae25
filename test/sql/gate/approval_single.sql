-- A vote on one plan reads its rules and votes row by row, one on many by statements. Both come to the same: which
-- rules ask, which votes stand under them, and the number of the next vote. Rules, attributes and former votes are
-- drawn at random.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
SELECT setseed(0.19) \g /dev/null
CREATE ROLE single_others;
-- three plans of each with one digest, of which the first starts from what ran before
CREATE FUNCTION pg_temp.want(size integer) RETURNS void LANGUAGE sql AS $$
    SELECT promote.configure_instance('shop-production-s' || n, jsonb_build_object('size', size))
        FROM generate_series(1, 2) AS n;
    SELECT pg_temp.work_all()
$$;
SELECT pg_temp.want(9), pg_temp.want(5) \g /dev/null
SELECT promote.deploy_instance('shop-production-s' || n) FROM generate_series(1, 2) AS n \g /dev/null
SELECT pg_temp.work_all(), pg_temp.want(9) \g /dev/null
SELECT promote.plan_instance('shop-production-s' || n) FROM generate_series(1, 2) AS n \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
CREATE TEMP TABLE plans ON COMMIT DROP AS
SELECT d.component, array_agg(d.deployment::text ORDER BY d.deployment) AS all, max(d.deployment) AS newest
  FROM promote.deployment AS d
 WHERE d.environment = 'production' AND d.component IN ('s1', 's2') AND d.action = 'PLAN' AND d.plan_digest = (
       SELECT n.plan_digest FROM promote.deployment AS n WHERE n.environment = 'production'
           AND n.component = d.component
          AND n.action = 'PLAN' ORDER BY n.deployment DESC LIMIT 1)
 GROUP BY d.component;
SELECT is((SELECT string_agg(cardinality(p.all)::text, ' ') FROM plans AS p), '3 3',
    'three plans of each, and one digest');

-- One of the values, at random.
CREATE FUNCTION pg_temp.one(VARIADIC text[]) RETURNS text LANGUAGE sql AS $$
    SELECT $1[1 + floor(random() * cardinality($1))::integer]
$$;
-- Draws attributes, rules of all scopes, and votes on either plan.
CREATE FUNCTION pg_temp.draw() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    choices text[] := ARRAY['{}', '{}', '{"tier": "gold"}', '{"tier": "tin", "zone": "a"}'];
BEGIN
    UPDATE promote.project SET attributes = pg_temp.one(VARIADIC choices)::jsonb WHERE project = 'shop';
    UPDATE promote.environment SET attributes = pg_temp.one(VARIADIC choices)::jsonb,
        separation_of_duty = random() < 0.2
        WHERE project = 'shop' AND environment = 'production';
    UPDATE promote.component SET attributes = pg_temp.one(VARIADIC choices)::jsonb WHERE project = 'shop';
    UPDATE promote.instance SET attributes = pg_temp.one(VARIADIC choices)::jsonb WHERE project = 'shop';
    FOR n IN 1 .. 1 + floor(random() * 9)::integer LOOP
        INSERT INTO promote.approval_rule (project, environment, rule, role, quorum, component, selector, expires_after,
            requester_counts)
        SELECT p.project, pg_temp.one('production', 'staging', NULL, 'production'), pg_temp.one('a', 'b', 'c'),
               pg_temp.one(current_user, current_user, 'single_others'), 2,
               CASE WHEN p.project = 'shop' THEN pg_temp.one('s1', 's2', NULL, NULL) END,
               pg_temp.one(VARIADIC choices)::jsonb, pg_temp.one(NULL, '1 day')::interval, random() < 0.8
          FROM (SELECT pg_temp.one('shop', 'shop', 'ecomm', NULL) AS project) AS p
        ON CONFLICT DO NOTHING;
    END LOOP;
    FOR n IN 1 .. floor(random() * 5)::integer LOOP
        BEGIN
            PERFORM set_config('promote.actor', pg_temp.one('ann', 'bob', 'eve'), true);
            IF random() < 0.7 THEN
                PERFORM promote.approve_deployment('shop-production-s1', pg_temp.one(VARIADIC p.all
                    || p.all[3])::integer)
                    FROM plans AS p WHERE component = 's1';
            ELSE
                PERFORM promote.reject_deployment('shop-production-s1', newest, 'no') FROM plans WHERE component = 's1';
            END IF;
        EXCEPTION WHEN SQLSTATE 'PM603' OR SQLSTATE 'PM605' THEN
            NULL;
        END;
    END LOOP;
END
$$;
-- What a vote comes to, which is taken back: the votes there are then, or how it was refused.
CREATE FUNCTION pg_temp.vote(statement text, OUT outcome text) LANGUAGE plpgsql AS $$
DECLARE
    code text;
BEGIN
    PERFORM set_config('promote.actor', 'ann', true);
    BEGIN
        EXECUTE statement INTO code;
        RAISE EXCEPTION USING ERRCODE = 'TB000', MESSAGE = concat(code, ': ', (
            SELECT string_agg(format('%s %s by %s on %s: %s', vote, rule, actor, deployment, decision), ', '
                ORDER BY vote)
              FROM promote.approval WHERE component = 's1'));
    EXCEPTION WHEN SQLSTATE 'TB000' THEN
        outcome := SQLERRM;
    WHEN OTHERS THEN
        outcome := SQLSTATE;
    END;
END
$$;
CREATE TEMP TABLE outcome (round integer, single text, many text) ON COMMIT DROP;
DO $$
DECLARE
    single text;
    many text;
BEGIN
    FOR round IN 1 .. 60 LOOP
        BEGIN
            PERFORM pg_temp.draw();
            single := pg_temp.vote((SELECT format('SELECT NULL FROM promote.approve_deployment(%L, %s)',
                'shop-production-s1', newest) FROM plans WHERE component = 's1'));
            many := pg_temp.vote((SELECT format('SELECT max(code) FILTER (WHERE instance ~ %L)
                FROM promote.approve_many('
                '%L, %L, partial => true)', 's1$', array_agg('shop-production-' || component), array_agg(newest))
                    FROM plans));
            RAISE EXCEPTION USING ERRCODE = 'TB001';
        EXCEPTION WHEN SQLSTATE 'TB001' THEN
            INSERT INTO outcome VALUES (round, single, many);
        END;
    END LOOP;
END
$$;
-- who is refused alone has a code among many, and what was there before stays
SELECT is((SELECT string_agg(format('%s: %s / %s', round, single, many), E'\n') FROM outcome
    WHERE CASE WHEN single ~ '^PM' THEN split_part(many, ':', 1) ELSE many END <> single), NULL,
    'a vote of one, and of one among many');
SELECT cmp_ok((SELECT count(*) FROM outcome WHERE single !~ '^PM' AND single ~ 'by (bob|eve)'), '>', 5::bigint,
    'some vote with others');
SELECT cmp_ok((SELECT count(*) FROM outcome WHERE single ~ '^PM'), '>', 3::bigint, 'some may not');
SELECT * FROM finish();
ROLLBACK;
