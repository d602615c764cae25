-- Drift: what is there, against what was deployed.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
\ir ../../fixtures/plan.sql
-- That drift keeps things from being deployed is test/sql/gate/state.sql's subject.
UPDATE promote.environment SET require_no_drift = false;
SET LOCAL promote.actor = 'ada';

CREATE FUNCTION pg_temp.seen(patch jsonb, source text DEFAULT 'scan') RETURNS integer LANGUAGE sql AS $$
    SELECT promote.report_observed('ecomm-production-db', promote.jsonb_merge_patch(
        (SELECT c.params FROM promote.instance i JOIN promote.deployment d USING (project, environment, component)
           JOIN promote.config c ON c.project = d.project AND c.digest = d.rendered_digest
          WHERE i.name = 'ecomm-production-db' AND d.deployment = i.deployed_by), patch), source)
$$;
CREATE FUNCTION pg_temp.drift() RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.lines('SELECT kind, path, deployed_value, observed_value, sensitive, source, dismissed, '
        'adopted_revision FROM promote.drift_status WHERE instance = ''ecomm-production-db'' ORDER BY path COLLATE "C"')
$$;
CREATE FUNCTION pg_temp.events(event text) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM promote.audit_log a WHERE a.event = $1
$$;

-- ---- not provisioned ----
SELECT pg_temp.refuses($$SELECT promote.report_observed('ecomm-production-db', '{}'::jsonb, 'scan')$$, 'PM508',
    'nothing that could differ', 'a report of what does not run');
SELECT pg_temp.refuses($$SELECT promote.report_observed_digest('ecomm-production-db', sha256(''), 'scan')$$, 'PM508',
    'nothing that could differ', 'a digest of what does not run');
SELECT pg_temp.refuses($$SELECT promote.adopt_drift('ecomm-production-db')$$, 'PM508', 'nothing that could differ',
    'nothing to adopt');
SELECT pg_temp.refuses($$SELECT promote.dismiss_drift('ecomm-production-db', 'so what')$$, 'PM508',
    'nothing that could differ', 'nothing to dismiss');

SELECT promote.configure_instance('ecomm-production-db',
    '{"tier": "db.{{domain}}", "nodes": [{"id": "p1", "role": "{{domain}}"}, {"id": "p2", "role": "y"}], "network": '
    '{"zones": "{{zones}}"}}') \g /dev/null
SELECT pg_temp.deploy('ecomm-production-db') \g /dev/null
SELECT pg_temp.refuses($$SELECT promote.adopt_drift('ecomm-production-db')$$, 'PM002', 'Nothing was reported',
    'nothing is known yet');

-- ---- reports ----
SELECT is(pg_temp.seen('{}'), 0, 'what was deployed is there');
SELECT is(pg_temp.drift(), NULL, 'no drift');
SELECT is((SELECT data ->> 'differences' FROM promote.audit_log WHERE event = 'drift.reported'), '0',
    'recorded, for that is known now');
SELECT is(pg_temp.seen('{"replicas": 7, "password": "leaked", "size": "large", "account": null}'), 4,
    'four leaves differ');
SELECT is(pg_temp.drift(),
    E'(config,.account,"""prod""",,f,scan,f,)\n(config,.password,"""(sensitive value)""","""(sensitive '
    'value)""",t,scan,f,)\n(config,.replicas,,7,f,scan,f,)\n(config,.size,"""small""","""large""",f,scan,f,)',
    'leaf by leaf, masked');
SELECT is((SELECT data - 'digest' - 'database_role' FROM promote.audit_log WHERE event = 'drift.reported'
    ORDER BY seq DESC LIMIT 1),
    '{"actor": "ada", "source": "scan", "deployment": 3, "differences": 4, "opened": 4, "moved": 0, "gone": 0}',
    'recorded without a value');
SELECT is((SELECT data ->> 'digest' FROM promote.audit_log WHERE event = 'drift.reported' ORDER BY seq DESC LIMIT 1),
    (SELECT encode(observed_digest, 'hex') FROM promote.instance_status WHERE instance = 'ecomm-production-db'),
        '... but with the keyed digest of all of them');
SELECT is((SELECT count(*) FROM promote.audit_log WHERE data::text ~ 'leaked|large'), 0::bigint, 'nor elsewhere');
SELECT is((SELECT count(*) FROM promote.drift_item x WHERE x::text ~ 'leaked|secret'), 0::bigint,
    'no sensitive value is an item''s');
CREATE TEMP TABLE first AS SELECT * FROM promote.drift_status;
SELECT is(pg_temp.seen('{"replicas": 7, "password": "leaked", "size": "large", "account": null}', 'other'), 4,
    'the same report');
SELECT is(pg_temp.events('drift.reported'), 2::bigint, 'is no event');
SELECT results_eq('SELECT path, since FROM promote.drift_status ORDER BY 1', 'SELECT path, since FROM first ORDER BY 1',
    'and the same drift');
SELECT is((SELECT bool_and(d.last_seen > f.last_seen) FROM promote.drift_status d JOIN first f USING (path)), true,
    'seen again');
SELECT is(promote.report_observed_digest('ecomm-production-db', (SELECT promote.jsonb_digest(params)
    FROM promote.observation JOIN promote.config USING (project, digest)), 'digest'), 4, 'the same by its digest');
SELECT is(promote.dismiss_drift('ecomm-production-db', 'for the sale', '.replicas'), 1, 'one is dismissed');
SELECT is(promote.dismiss_drift('ecomm-production-db', 'for the sale', '.replicas'), 0, 'once');
SELECT is((SELECT max(dismissed_at) FROM promote.drift_status WHERE dismissed), (SELECT max(dismissed_at)
    FROM promote.drift_item), '... at a time');
SELECT is(pg_temp.lines($$SELECT path, dismissed, dismissed_by, reason FROM promote.drift_status WHERE dismissed$$),
    '(.replicas,t,ada,"for the sale")', 'with the reason');
SELECT is((SELECT data - 'database_role' FROM promote.audit_log WHERE event = 'drift.dismissed'),
    '{"actor": "ada", "deployment": 3, "reason": "for the sale", "path": ".replicas", "dismissed": 1}', 'recorded');
SELECT is(pg_temp.seen('{"replicas": 7, "password": "leaked2", "account": null}'), 3, 'one is gone, one is another');
SELECT is((SELECT data - 'digest' - 'database_role' FROM promote.audit_log WHERE event = 'drift.reported'
    ORDER BY seq DESC LIMIT 1),
    '{"actor": "ada", "source": "scan", "deployment": 3, "differences": 3, "opened": 0, "moved": 1, "gone": 1}',
    'recorded');
SELECT is((SELECT count(*) FROM promote.drift_status d JOIN first f USING (path, since)), 3::bigint,
    'those that last go on');
SELECT is((SELECT dismissed FROM promote.drift_status WHERE path = '.replicas'), true, 'what is dismissed stays so');
SELECT is(pg_temp.lines($$SELECT path, how, closed_at > since FROM promote.drift_item WHERE closed_at IS NOT NULL$$),
    '(.size,gone,t)', 'when it was put right is kept');
SELECT is(promote.dismiss_drift('ecomm-production-db', 'known'), 2, 'all others are dismissed');
SELECT is((SELECT count(*) FROM promote.drift_status WHERE dismissed AND reason = 'known'), 2::bigint,
    'and keep their own reasons');
SELECT is(pg_temp.seen('{"replicas": 8, "password": "leaked3", "account": null}'), 3, 'other values');
SELECT is(pg_temp.lines('SELECT path, dismissed, reason FROM promote.drift_status ORDER BY path'),
    E'(.account,t,known)\n(.password,f,)\n(.replicas,f,)', 'are no longer dismissed, though one is masked');
SELECT is((SELECT count(*) FROM promote.drift_status d JOIN first f USING (path, since)), 3::bigint,
    'since the same time');
SELECT is(pg_temp.seen('{"replicas": 8, "size": "large"}'), 2, 'one comes back');
SELECT is((SELECT count(*) FROM promote.drift_status d JOIN first f USING (path, since)), 1::bigint,
    'and is a new one');

-- ---- digests ----
SELECT is(promote.report_observed_digest('ecomm-production-db', sha256('x'), 'hash'), 1, 'only a digest is known');
SELECT is(pg_temp.drift(),
    format(E'(digest,.,"""%s""","""%s""",f,hash,f,)\n(config,.replicas,,8,f,scan,f,)\n'
    '(config,.size,"""small""","""large""",f,scan,f,)',
    (SELECT encode(rendered_digest, 'hex') FROM promote.deployment WHERE environment = 'production' AND component = 'db'
        AND project = 'ecomm' AND deployment = 3), (SELECT encode(observed_digest, 'hex') FROM promote.instance_status
        WHERE instance = 'ecomm-production-db')), 'one more, and nothing is known of the leaves');
SELECT pg_temp.refuses($$SELECT promote.adopt_drift('ecomm-production-db')$$, 'PM002', 'only of a digest|of a digest',
    'which cannot be adopted');
SELECT is(promote.dismiss_drift('ecomm-production-db', 'who knows', '.'), 1, 'but dismissed');
SELECT is(promote.report_observed_digest('ecomm-production-db', sha256('y'), 'hash'), 1, 'another digest');
SELECT is((SELECT dismissed FROM promote.drift_status WHERE kind = 'digest'), false, 'opens it again');
SELECT is(pg_temp.seen('{"replicas": 8, "size": "large"}'), 2, 'the document again');
SELECT is(pg_temp.lines('SELECT path, kind FROM promote.drift_status ORDER BY 1'),
    E'(.replicas,config)\n(.size,config)', 'ends the digest');
SELECT is(promote.report_observed_digest('ecomm-production-db', (SELECT promote.jsonb_digest(c.params)
    FROM promote.deployment AS d JOIN promote.config AS c ON c.project = d.project AND c.digest = d.rendered_digest
    WHERE environment = 'production' AND component = 'db' AND d.project = 'ecomm' AND deployment = 3), 'hash'), 0,
    'the digest of what was deployed');
SELECT is(pg_temp.drift(), NULL, 'ends all drift');
SELECT is(promote.report_observed_digest('ecomm-production-db', (SELECT promote.jsonb_digest(params) FROM promote.config
    WHERE params ->> 'password' = 'leaked'), 'hash'), 4,
    'the digest of a configuration that is known is as good as that');

-- ---- adoption ----
SELECT is(pg_temp.seen('{"replicas": 8, "size": "large", "password": "{{domain}}", "tier": "db2.example.com", "nodes": '
    '[{"id": "p1", "role": "example.com"}, {"id": "p2", "role": "z"}, {"id": "p3"}], "network": {"zones": ["a", '
    '"c"]}}'), 7, 'drift of every kind');
SELECT is(promote.dismiss_drift('ecomm-production-db', 'not for long', '.size'), 1, 'one is not wanted');
SELECT pg_temp.refuses($$SELECT promote.adopt_drift('ecomm-production-db', expected_revision => 1)$$, 'PM401',
    'revision is 2', 'an expectation that does not hold');
SELECT is(pg_temp.lines($$SELECT old_revision, new_revision, changed, jsonb_array_length(diff)
    FROM promote.adopt_drift('ecomm-production-db', 'as it is')$$), '(2,3,t,6)', 'the others are adopted');
SELECT is(pg_temp.params('ecomm-production-db'),
    '{"size": "small", "account": "prod", "subnet": "internal", "password": "\\{{domain}}", "tier": "db2.example.com", '
        '"replicas": 8, "network": {"cidr": "10.9.0.0/16", "zones": ["a", "c"]}, "nodes": [{"id": "p1", "role": '
        '"{{domain}}"}, {"id": "p2", "role": "z"}, {"id": "p3"}]}',
        'placeholders of what did not drift stay, and what looks like one is none');
SELECT is(pg_temp.lines($$SELECT origin, message, source_environment, overrides FROM promote.revision
    WHERE environment = 'production' AND component = 'db' AND project = 'ecomm' AND revision = 3$$),
    '(adoption,"as it is",,)', 'a revision of its own origin');
SELECT is((SELECT data - 'digest' - 'database_role' FROM promote.audit_log WHERE event = 'drift.adopted'),
    '{"actor": "ada", "deployment": 3, "revision": 3, "adopted": 6}', 'recorded');
SELECT is(pg_temp.lines('SELECT path, adopted_revision, dismissed FROM promote.drift_status ORDER BY path COLLATE "C"'),
    E'(.network.zones[1],3,f)\n(.nodes[1].role,3,f)\n(.nodes[2].id,3,f)\n(.password,3,f)\n(.replicas,3,f)\n'
    '(.size,,t)\n(.tier,3,f)', 'it lasts until that is deployed');
SELECT is(pg_temp.lines($$SELECT new_revision, changed FROM promote.adopt_drift('ecomm-production-db')$$), '(3,f)',
    'twice is once');
SELECT is(pg_temp.events('drift.adopted'), 1::bigint, 'and recorded once');
SELECT pg_temp.deploy('ecomm-production-db') \g /dev/null
SELECT is(pg_temp.drift(), NULL, 'deploying ends all drift');
SELECT is((SELECT observed_digest FROM promote.instance_status WHERE instance = 'ecomm-production-db'), NULL,
    'and what was observed before is no longer so');
SELECT pg_temp.refuses($$SELECT promote.adopt_drift('ecomm-production-db')$$, 'PM002', 'Nothing was reported',
    'nor is it known');
SELECT is(pg_temp.seen('{"size": "large"}'), 1, 'what was dismissed is there still');
SELECT is(pg_temp.lines('SELECT path, dismissed FROM promote.drift_status'), '(.size,f)', 'and new');
SELECT is((SELECT count(*) FROM promote.drift_item WHERE how = 'deployed'), 7::bigint,
    'the older ones were ended by the deployment');
SAVEPOINT release;
SELECT promote.configure_instance('ecomm-production-db', version_constraint => '1.1.0', plan => false) \g /dev/null
SELECT is((SELECT string_agg(concat_ws(' ', e ->> 'path', e ->> 'old', e ->> 'new'), ', ')
    FROM promote.adopt_drift('ecomm-production-db') AS a, LATERAL jsonb_array_elements(a.diff) AS e),
    'release version 1.0.0 1.1.0, release constraint 1.0.0 1.1.0, .size small large',
    'the release that would be deployed along with what is adopted is in the diff');
ROLLBACK TO release;

-- ---- what cannot be adopted ----
SELECT is(pg_temp.seen('{"size": "huge", "subnet": "x"}'), 2, 'invalid and immutable');
SELECT pg_temp.refuses($$SELECT promote.adopt_drift('ecomm-production-db')$$, 'PM103', '\.size',
    'adopted values are judged like any');
SELECT is(pg_temp.seen('{"subnet": "x"}'), 1, 'immutable');
SELECT pg_temp.refuses($$SELECT promote.adopt_drift('ecomm-production-db')$$, 'PM104', '\.subnet',
    'an immutable value, too');
SELECT lives_ok($$SELECT promote.adopt_drift('ecomm-production-db', allow_replace => true)$$,
    'unless it may be replaced');
SELECT promote.configure_instance('ecomm-production-db',
    '{"subnet": "internal", "nodes": [], "network": {"zones": null}}') \g /dev/null
SELECT is(pg_temp.seen('{"nodes": [{"id": "p1", "role": "example.com"}, {"id": "p2", "role": "w"}, {"id": "p3"}]}'), 1,
    'an element');
SELECT pg_temp.refuses($$SELECT promote.adopt_drift('ecomm-production-db')$$, 'PM108', 'another length',
    'that is no longer desired');
SELECT is(pg_temp.seen('{"network": {"zones": ["a", "d"]}}'), 1, 'in an object');
SELECT pg_temp.refuses($$SELECT promote.adopt_drift('ecomm-production-db')$$, 'PM108', 'no such object or array',
    'that is no longer desired');
SELECT is(promote.dismiss_drift('ecomm-production-db', 'moot'), 1, 'dismissed');
SELECT is(pg_temp.lines($$SELECT changed FROM promote.adopt_drift('ecomm-production-db')$$), '(f)',
    'there is nothing to adopt');
SELECT promote.configure_instance('ecomm-production-db', '{"extra": {"a": 1}}') \g /dev/null
SELECT pg_temp.deploy('ecomm-production-db') \g /dev/null
SELECT promote.configure_instance('ecomm-production-db', '{"extra": "a {{domain}}"}') \g /dev/null
SELECT is(pg_temp.seen('{"extra": {"a": 2}}'), 1, 'in what is a text by now');
SELECT pg_temp.refuses($$SELECT promote.adopt_drift('ecomm-production-db')$$, 'PM108', 'no such object or array',
    'a text with a placeholder in it stands for no object');
SELECT promote.configure_instance('ecomm-production-db', '{"extra": null}') \g /dev/null

-- ---- resources ----
SELECT pg_temp.deploy('ecomm-production-db') \g /dev/null
SELECT is(pg_temp.planned('ecomm-production-db', '[]',
    '[["aws_db_instance.a", ["update"], {"x": 1, "y": 1}, {"x": 2, "y": 1}], ["aws_db_instance.b", ["delete"], {"x": '
    '1}, null]]') > 0, true, 'a plan finds that resources were changed');
SELECT is(pg_temp.lines($$SELECT kind, path, deployed_value, jsonb_array_length(observed_value), sensitive,
    source ~ '^plan \d+$', dismissed, since = last_seen FROM promote.drift_status ORDER BY path$$),
    E'(resource,aws_db_instance.a,,1,f,t,f,t)\n(resource,aws_db_instance.b,,1,f,t,f,t)', 'that is drift, too');
SELECT is((SELECT status FROM promote.instance_status WHERE instance = 'ecomm-production-db'), 'drifted',
    'and drifted');
SELECT is((SELECT since FROM promote.instance_status WHERE instance = 'ecomm-production-db'), (SELECT min(since)
    FROM promote.drift_status), 'since the plan');
SELECT is(promote.dismiss_drift('ecomm-production-db', 'by hand', 'aws_db_instance.a'), 1, 'it can be dismissed');
SELECT is(pg_temp.lines('SELECT path, dismissed, reason FROM promote.drift_status ORDER BY path'),
    E'(aws_db_instance.a,t,"by hand")\n(aws_db_instance.b,f,)', 'by its address');
SELECT is(promote.dismiss_drift('ecomm-production-db', 'by hand', 'aws_db_instance.a'), 0, 'once');
SELECT is(promote.dismiss_drift('ecomm-production-db', 'on purpose', 'aws_db_instance.a'), 1, 'or for another reason');
SELECT is(promote.dismiss_drift('ecomm-production-db', 'all of it'), 1, 'or all');
SELECT is((SELECT status FROM promote.instance_status WHERE instance = 'ecomm-production-db'), 'in_sync', 'dismissed');
CREATE TEMP TABLE known AS SELECT path, since FROM promote.drift_status;
SELECT pg_temp.planned('ecomm-production-db', '[]',
    '[["aws_db_instance.a", ["update"], {"x": 1, "y": 1}, {"x": 2, "y": 1}], ["aws_db_instance.b", ["update"], {"x": '
    '1}, {"x": 3}]]') \g /dev/null
SELECT is(pg_temp.lines('SELECT d.path, d.dismissed, d.reason, d.since = k.since, d.last_seen > d.since FROM '
    'promote.drift_status d JOIN known k USING (path) ORDER BY path'),
    E'(aws_db_instance.a,t,"on purpose",t,t)\n(aws_db_instance.b,f,,t,t)',
    'the next plan finds the same, and something else');
SELECT is(pg_temp.seen('{"replicas": 1}'), 1, 'a report');
SELECT is(pg_temp.lines('SELECT kind, path FROM promote.drift_status ORDER BY path COLLATE "C"'),
    E'(config,.replicas)\n(resource,aws_db_instance.a)\n(resource,aws_db_instance.b)', 'is beside that');
SELECT is(pg_temp.seen('{}'), 0, 'and its end');
SELECT is((SELECT count(*) FROM promote.drift_status), 2::bigint, 'ends only that');
SELECT pg_temp.planned('ecomm-production-db', '[]') \g /dev/null
SELECT is((SELECT count(*) FROM promote.drift_status), 0::bigint, 'a plan that finds nothing ends it');
SELECT pg_temp.planned('ecomm-production-db', '[]',
    '[["aws_db_instance.moved", ["no-op"], {"x": 1}, {"x": 1}]]') \g /dev/null
SELECT is_empty('SELECT * FROM promote.drift_status',
    'nor is that drift which was only given another address, as a refresh-only plan says');
SELECT is((SELECT status FROM promote.instance_status WHERE instance = 'ecomm-production-db'), 'in_sync',
    'in the status neither');
SELECT pg_temp.planned('ecomm-production-db', '[]',
    '[["aws_db_instance.a", ["update"], {"x": 1}, {"x": 2}]]') \g /dev/null
SELECT is((SELECT count(*) FROM promote.drift_status), 1::bigint, 'there again');
SELECT is(pg_temp.lines('SELECT d.since > k.since, d.dismissed FROM promote.drift_status d JOIN known k USING (path)'),
    '(t,f)', 'and new');
SELECT since AS again FROM promote.drift_status \gset
SELECT pg_temp.planned('ecomm-production-db', '[]',
    '[["aws_db_instance.a", ["update"], {"x": 1}, {"x": 2}]]') \g /dev/null
SELECT is((SELECT since FROM promote.drift_status), :'again', 'it goes on');
SELECT is((SELECT since FROM promote.instance_status WHERE instance = 'ecomm-production-db'), :'again',
    'and so does what is drifted');
SELECT promote.deploy_instance('ecomm-production-db') \g /dev/null
SELECT pg_temp.work('ecomm-production-db') \g /dev/null
SELECT is((SELECT count(*) FROM promote.drift_status), 0::bigint, 'and deploying ends it, too');

-- A plan that was proposed before the instance was changed, and carried out after that, knows better than its number.
SELECT (promote.propose_deployment('ecomm-production-db', 'PLAN')).deployment AS early \gset
SELECT pg_temp.deploy('ecomm-production-db') > :early AS later \gset
SELECT is((promote.approve_deployment('ecomm-production-db', :early)).status, 'APPROVED', 'an early plan');
UPDATE promote.instance SET attributes = '{"early": true}' WHERE name = 'ecomm-production-db';
SELECT is((promote.record_plan(c.instance, c.deployment, jsonb_build_object('format_version', '1.2', 'resource_changes',
    '[]'::jsonb,
    'resource_drift', pg_temp.resources('[["aws_db_instance.a", ["update"], {"x": 1}, {"x": 2}]]')),
        c.fencing)).deployment, :early, 'finds something late')
  FROM promote.claim_deployment('w', selector => '{"early": true}') AS c;
SELECT is((promote.complete_deployment('ecomm-production-db', :early, 1)).deployment, :early, 'and ends');
SELECT is(pg_temp.lines('SELECT kind, path, source FROM promote.drift_status'), '(resource,aws_db_instance.a,"plan '
    || :early || '")', 'which is drift');
SELECT is((SELECT status FROM promote.instance_status WHERE instance = 'ecomm-production-db'), 'drifted',
    'and in the status');
SELECT pg_temp.planned('ecomm-production-db', '[]') \g /dev/null

-- ---- large documents, and nulls ----
SELECT is(pg_temp.seen(jsonb_build_object('many', (SELECT jsonb_object_agg('k' || i, i)
    FROM generate_series(1, 5000) AS i))), 5000, 'many leaves');
SELECT is(pg_temp.seen(jsonb_build_object('many', (SELECT jsonb_object_agg('k' || i, i + i % 2)
    FROM generate_series(2, 5001) AS i))), 5000, 'and again');
SELECT is((SELECT data - 'digest' - 'database_role' - 'source' - 'actor' - 'deployment' FROM promote.audit_log
    WHERE event = 'drift.reported' ORDER BY seq DESC LIMIT 1),
    '{"differences": 5000, "opened": 1, "moved": 2499, "gone": 1}', 'as they come and go');
SELECT is(promote.report_observed('ecomm-production-db',
    jsonb_set(promote.jsonb_merge_patch((SELECT params FROM promote.config c
    JOIN promote.deployment d ON d.project = c.project AND d.rendered_digest = c.digest
    JOIN promote.instance i ON i.name = 'ecomm-production-db' AND d.environment = i.environment
    AND d.component = i.component AND d.project = i.project AND d.deployment = i.deployed_by), '{}'), '{size}', 'null'),
    'scan'), 1, 'a null is a value');
SELECT is((SELECT observed_value FROM promote.drift_status), 'null', 'not a missing one');

-- ---- whatever drifts, adopting it makes that desired ----
CREATE FUNCTION pg_temp.random_value(depth integer, names text[]) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    CASE floor(random() * CASE WHEN depth > 0 THEN 8 ELSE 5 END)::integer
        WHEN 0 THEN RETURN 'null';
        WHEN 1 THEN RETURN to_jsonb(floor(random() * 3)::integer);
        WHEN 2 THEN RETURN to_jsonb((ARRAY['a', '', E'\\{{domain}}', E'\\\\{{x',
            'b{{{{'])[1 + floor(random() * 2)::integer]);
        WHEN 3 THEN RETURN to_jsonb(names[1 + floor(random() * array_length(names, 1))::integer]);
        WHEN 4 THEN RETURN (ARRAY['{}', '[]', 'true'])[1 + floor(random() * 3)::integer]::jsonb;
        WHEN 5 THEN RETURN (SELECT COALESCE(jsonb_agg(pg_temp.random_value(depth - 1, names)), '[]')
            FROM generate_series(1, floor(random() * 4)::integer));
        ELSE RETURN (SELECT COALESCE(jsonb_object_agg((ARRAY['a', 'b', 'a b', 'c.d'])[1 + i % 4],
            pg_temp.random_value(depth - 1, names)), '{}') FROM generate_series(floor(random() * 4)::integer, 3) AS i);
    END CASE;
END
$$;
-- Is what was observed what the adoption would render?  NULL where it is.
CREATE FUNCTION pg_temp.adoption(params jsonb, observed jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    rendered jsonb;
BEGIN
    INSERT INTO promote.config (project, params) VALUES ('ecomm', params) ON CONFLICT DO NOTHING;
    INSERT INTO promote.revision (project, environment, component, digest, version_constraint)
        VALUES ('ecomm', 'production', 'cache', promote.config_digest('ecomm', params), '1.0.0');
    PERFORM pg_temp.deploy('ecomm-production-cache', true);
    PERFORM promote.report_observed('ecomm-production-cache', observed, 'random');
    PERFORM promote.adopt_drift('ecomm-production-cache', plan => false);
    SELECT promote.jsonb_render(pg_temp.params('ecomm-production-cache'), e.parameters) INTO rendered
        FROM promote.parameter_set e WHERE project = 'ecomm' AND environment = 'production';
    RETURN CASE WHEN rendered <> observed THEN jsonb_build_array(params, observed, rendered) END;
END
$$;
SELECT is(pg_temp.adoption(jsonb_build_object('x',
    pg_temp.random_value(3, ARRAY['{{domain}}', 'at {{domain}}', '{{zones}}', '{{count}}', E'\\{{a}}'])),
                           jsonb_build_object('x', pg_temp.random_value(3, ARRAY['{{domain}}', E'\\{{a}}', E'{{{',
                               'example.com']))), NULL, 'adoption ' || i)
  FROM generate_series(1, 60) AS i;
SELECT is(pg_temp.adoption('{"x": {"a": 1, "b": 1, "c": [0, 1]}}', '{"x": {"a": 1, "b": 1, "c": [0, 1]}}'), NULL,
    'as it was deployed');
SELECT promote.configure_instance('ecomm-production-cache',
    '{"x": {"a": 1, "b": {"k": 1}, "c": [0, {"k": 1}]}}') \g /dev/null
SELECT is(promote.report_observed('ecomm-production-cache', '{"x": {"a": 1, "c": [0]}}'::jsonb, 's'), 2,
    'leaves that are gone, where an object is desired by now');
SELECT promote.adopt_drift('ecomm-production-cache', plan => false) \g /dev/null
SELECT is(pg_temp.params('ecomm-production-cache'), '{"x": {"a": 1, "c": [0]}}', '... go with all that is in it');

-- ---- bad input ----
SELECT pg_temp.refuses(format('SELECT promote.%s', f), state, detail, f)
  FROM (VALUES ('report_observed(NULL, ''{}''::jsonb, ''s'')', 'PM001', 'null'),
      ('report_observed(''ecomm-production-db'', NULL::jsonb, ''s'')', 'PM101', 'null'),
               ('report_observed(''ecomm-production-db'', ''[]''::jsonb, ''s'')', 'PM101', 'array'),
                   ('report_observed(''ecomm-production-db'', ''{}''::jsonb, NULL)', 'PM404', 'null'),
               ('report_observed(''ecomm-production-db'', ''{}''::jsonb, '''')', 'PM404', 'null or empty'),
                   ('report_observed(''ecomm-production-db'', ''{}''::jsonb, repeat(''x'', 1048577))', 'PM102',
                   '1048577 bytes'),
               ('report_observed(''ecomm-production-db'', jsonb_build_object(''a'', repeat(''x'', 17000000)), ''s'')',
                   'PM102', 'bytes'),
               ('report_observed_digest(''ecomm-production-db'', NULL::bytea, ''s'')', 'PM404', '32 bytes'),
                   ('report_observed_digest(''ecomm-production-db'', ''abc''::bytea, ''s'')', 'PM404', '32 bytes'),
               ('report_observed_digest(''ecomm-nowhere-db'', sha256(''''), ''s'')', 'PM002', 'environment'),
                   ('report_observed(''ecomm-nowhere-db'', ''{}''::jsonb, ''s'')', 'PM002', 'environment'),
               ('report_observed(''db'', ''{}''::jsonb, ''s'')', 'PM001', 'three parts'),
               ('adopt_drift(NULL)', 'PM001', 'null'), ('adopt_drift(''ecomm-nowhere-db'')', 'PM002', 'environment'),
               ('dismiss_drift(NULL, ''r'')', 'PM001', 'null'), ('dismiss_drift(''ecomm-nowhere-db'', ''r'')', 'PM002',
                   'environment'),
               ('dismiss_drift(''ecomm-production-db'', NULL)', 'PM404', 'null'),
                   ('dismiss_drift(''ecomm-production-db'', '''')', 'PM404', 'null or empty'),
               ('dismiss_drift(''ecomm-production-db'', ''r'', ''.nothing'')', 'PM002', 'No report'),
                   ('dismiss_drift(''ecomm-production-db'', ''r'', '''')', 'PM404', 'null or empty')) AS v(f, state,
                   detail);
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the record is whole');

SELECT * FROM finish();
ROLLBACK;
