-- Rules by verbs: each states the whole, says what it changed, and takes the grant rules where the rule counts.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/as_role.sql
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = 'ISO';
SET LOCAL client_min_messages = error;
SET LOCAL promote.actor = 'ada';

-- What a call comes to, in one line: kind, name, action, and each column with what it was and is.
CREATE FUNCTION pg_temp.said(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    d promote.declaration;
BEGIN
    EXECUTE 'SELECT * FROM promote.' || call INTO d;
    RETURN concat_ws(' ', d.kind, d.name, d.action, (
        SELECT string_agg(concat_ws(' ', c ->> 'column', c -> 'old', '->', c -> 'new'), '; ' ORDER BY n)
          FROM jsonb_array_elements(d.changes) WITH ORDINALITY AS x (c, n)));
END
$$;
-- A call that is made twice: what it says, and, if that is not to keep it and write nothing, what the second says.
CREATE FUNCTION pg_temp.twice(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text := pg_temp.said(call);
    events bigint := (SELECT count(*) FROM promote.audit_log);
    notes bigint := (SELECT count(*) FROM promote.rule_change);
    again text := pg_temp.said(call);
BEGIN
    IF again = substring(result FROM '^\S+ .*? (?=create|change|delete|keep)') || 'keep'
        AND (SELECT count(*) FROM promote.audit_log) = events
        AND (SELECT count(*) FROM promote.rule_change) = notes THEN
        RETURN result;
    END IF;
    RETURN concat(result, ', and then ', again);
END
$$;

-- ---- each verb: it makes, keeps, changes, and takes away ----
SELECT is(pg_temp.twice($$set_freeze('sale', 'ecomm', 'production', during => '[2031-11-24, 2031-12-02)',
    reason => 'the week')$$),
    'freeze_window sale create project -> "ecomm"; environment -> "production"; reason -> "the week"; '
    'during -> "[\"2031-11-24 00:00:00+00\",\"2031-12-02 00:00:00+00\")"', 'a freeze');
SELECT is(pg_temp.twice($$set_freeze('sale', 'ecomm', 'production', 'db', '{"tier": "gold"}', NULL, NULL, 'FREQ=WEEKLY',
    'europe/berlin', '2031-01-03 16:00', '90 min', '{2031-01-10 16:00}')$$),
    'freeze_window sale change component null -> "db"; selector {} -> {"tier": "gold"}; reason "the week" -> null; '
    'during "[\"2031-11-24 00:00:00+00\",\"2031-12-02 00:00:00+00\")" -> null; rule null -> "FREQ=WEEKLY"; '
    'zone null -> "Europe/Berlin"; starts_at null -> "2031-01-03T16:00:00"; duration null -> "PT1H30M"; '
    'exdates [] -> ["2031-01-10T16:00:00"]', '... becomes another, with all that it did not say before');
SELECT is(pg_temp.said($$set_freeze('sale', 'ecomm', 'production', 'db', '{"tier": "gold"}', rule => 'FREQ=WEEKLY',
    zone => 'EUROPE/Berlin', starts_at => '2031-01-03 16:00', duration => '1 hour 30 minutes',
    exdates => '{2031-01-10 16:00}')$$), 'freeze_window sale keep', '... and is the same, however it is written');
SELECT is(pg_temp.said($$set_freeze('sale', 'ecomm', 'production', rule => 'FREQ=WEEKLY', zone => 'Europe/Berlin',
    starts_at => '2031-01-03 16:00', duration => '1 day')$$),
    'freeze_window sale change component "db" -> null; selector {"tier": "gold"} -> {}; duration "PT1H30M" -> "P1D"; '
    'exdates ["2031-01-10T16:00:00"] -> []', 'what is not said any more is the default again');
SELECT is(pg_temp.said($$set_freeze('sale', 'ecomm', 'production', rule => 'FREQ=WEEKLY', zone => 'Europe/Berlin',
    starts_at => '2031-01-03 16:00', duration => '24 hours')$$),
    'freeze_window sale change duration "P1D" -> "PT24H"', 'a day is not 24 hours, where clocks change');
SELECT is(pg_temp.said($$remove_freeze('sale')$$), 'freeze_window sale delete project "ecomm" ->; '
    'environment "production" ->; rule "FREQ=WEEKLY" ->; zone "Europe/Berlin" ->; starts_at "2031-01-03T16:00:00" ->; '
    'duration "PT24H" ->', 'it is taken away');
SELECT is(pg_temp.twice($$remove_freeze('sale')$$), 'freeze_window sale keep', '... once');

SELECT is(pg_temp.twice($$set_change_window('nights', 'ecomm', rule => 'FREQ=DAILY', zone => 'UTC',
    starts_at => '2031-01-01 22:00', duration => '6 hours', max_deployments_per_window => 3)$$),
    'change_window nights create project -> "ecomm"; rule -> "FREQ=DAILY"; zone -> "UTC"; '
    'starts_at -> "2031-01-01T22:00:00"; duration -> "PT6H"; max_deployments_per_window -> 3', 'a change window');
SELECT is(pg_temp.twice($$set_change_window('nights', 'ecomm', rule => 'FREQ=DAILY', zone => 'UTC',
    starts_at => '2031-01-01 22:00', duration => '6 hours')$$),
    'change_window nights change max_deployments_per_window 3 -> null', '... without a budget');
SELECT is(pg_temp.said($$remove_change_window('nights')$$), 'change_window nights delete project "ecomm" ->; '
    'rule "FREQ=DAILY" ->; zone "UTC" ->; starts_at "2031-01-01T22:00:00" ->; duration "PT6H" ->', '... is taken away');

SELECT is(pg_temp.twice($$set_approval_rule('ecomm', 'production', 'two', 'pg_monitor', 2, '7 days', false, 'db',
    '{"tier": 1}', 'why')$$), 'approval_rule ecomm-production/two create role -> "pg_monitor"; quorum -> 2; '
    'expires_after -> "P7D"; requester_counts -> false; component -> "db"; selector -> {"tier": 1}; '
    'description -> "why"', 'an approval rule');
SELECT is(pg_temp.twice($$set_approval_rule('ecomm', 'production', 'two', 'pg_monitor', selector => '{"tier": 1.0}')$$),
    'approval_rule ecomm-production/two change quorum 2 -> 1; expires_after "P7D" -> null; '
    'requester_counts false -> true; component "db" -> null; description "why" -> null',
    '... becomes another; what is equal as JSON is the same');
SELECT is(pg_temp.said($$set_approval_rule('ecomm', NULL, 'two', 'pg_monitor')$$),
    'approval_rule ecomm-*/two create role -> "pg_monitor"', '... one of that name for all environments is another');
SELECT is(pg_temp.said($$remove_approval_rule('ecomm', NULL, 'two')$$),
    'approval_rule ecomm-*/two delete role "pg_monitor" ->', '... which is taken away alone');
SELECT is(string_agg(scope, ' '), 'ecomm-production', '... the first one stays') FROM promote.approval_rule;
SELECT is(pg_temp.said($$set_approval_rule(NULL, 'production', 'all', 'pg_monitor')$$),
    'approval_rule *-production/all create role -> "pg_monitor"', 'one for an environment of all projects');
SELECT is(pg_temp.said($$remove_approval_rule(NULL, 'production', 'all')$$) ~ 'delete', true, '... is taken away');

SELECT is(pg_temp.twice($$set_required_check('ecomm', 'production', 'smoke', 'source', true, '1 hour', 'db',
    '{"a": 1}', 'why')$$), 'required_check ecomm-production/smoke/source create per_revision -> true; '
    'expires_after -> "PT1H"; component -> "db"; selector -> {"a": 1}; description -> "why"', 'a required check');
SELECT is(pg_temp.twice($$set_required_check('ecomm', 'production', 'smoke', 'source')$$),
    'required_check ecomm-production/smoke/source change per_revision true -> false; expires_after "PT1H" -> null; '
    'component "db" -> null; selector {"a": 1} -> {}; description "why" -> null', '... becomes another');
SELECT is(pg_temp.twice($$set_required_check('ecomm', 'production', 'smoke', NULL)$$),
    'required_check ecomm-production/smoke/destination create', '... of the destination is another, and the default');
SELECT is(pg_temp.said($$remove_required_check('ecomm', 'production', 'smoke')$$),
    'required_check ecomm-production/smoke/destination delete', '... which is taken away alone');
SELECT is(pg_temp.said($$remove_required_check('ecomm', 'production', 'smoke', 'source')$$),
    'required_check ecomm-production/smoke/source delete', 'and so is the first');

SELECT is(pg_temp.twice($$set_override_rule('ecomm', 'production', 'soak', 'pg_monitor', 'on call')$$),
    'override_rule ecomm-production/soak/pg_monitor create description -> "on call"', 'an override rule');
SELECT is(pg_temp.twice($$set_override_rule('ecomm', 'production', 'soak', 'pg_monitor')$$),
    'override_rule ecomm-production/soak/pg_monitor change description "on call" -> null', '... becomes another');
SELECT is(pg_temp.said($$remove_override_rule('ecomm', 'production', 'soak', 'pg_monitor')$$),
    'override_rule ecomm-production/soak/pg_monitor delete', '... is taken away');

CREATE SCHEMA rules;
GRANT USAGE ON SCHEMA rules TO PUBLIC;
CREATE FUNCTION rules.calm(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
    LANGUAGE sql STABLE AS 'SELECT NULL::promote.blocking_reason WHERE false';
CREATE FUNCTION rules.stern(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
    LANGUAGE sql STABLE AS $$ SELECT 'no', 'as ' || current_user, NULL::timestamptz, NULL::timestamptz, NULL, true $$;
SELECT is(pg_temp.twice($$set_policy('calm', 'rules.calm', 'ecomm', 'production', 'db', '{"a": 1}', 'money', '2 s',
    false, 'why')$$), 'policy calm create function -> "rules.calm"; project -> "ecomm"; environment -> "production"; '
    'component -> "db"; selector -> {"a": 1}; code -> "money"; timeout -> "PT2S"; enabled -> false; '
    'description -> "why"', 'a policy');
SELECT is(pg_temp.twice($$set_policy('calm', 'rules.stern', 'ecomm')$$),
    'policy calm change function "rules.calm" -> "rules.stern"; environment "production" -> null; '
    'component "db" -> null; selector {"a": 1} -> {}; code "money" -> "policy"; timeout "PT2S" -> "PT1S"; '
    'enabled false -> true; description "why" -> null', '... becomes another');
SELECT is((SELECT message FROM promote.blockers('ecomm-production-db') WHERE code = 'no'), 'as ' || current_user,
    '... and is asked');
SELECT is(pg_temp.said($$remove_policy('calm')$$), 'policy calm delete function "rules.stern" ->; project "ecomm" ->',
    '... is taken away');

-- the log has the rows and the person, as it has of a DBA's own statements
SELECT is(string_agg(DISTINCT event, ' ' ORDER BY event), 'approval_rule.deleted approval_rule.inserted '
    'approval_rule.updated change_window.deleted change_window.inserted change_window.updated freeze_window.deleted '
    'freeze_window.inserted freeze_window.updated override_rule.deleted override_rule.inserted override_rule.updated '
    'policy.deleted policy.inserted policy.updated required_check.deleted required_check.inserted '
    'required_check.updated', 'all of it is in the log') FROM promote.audit_log
 WHERE event ~ '^(approval_rule|change_window|freeze_window|override_rule|policy|required_check)' AND actor = 'ada';
SELECT is_empty('SELECT * FROM promote.verify_audit()', '... which verifies');

-- ---- a settings' trick is none ----
SET LOCAL intervalstyle = 'sql_standard';
SET LOCAL timezone = 'Asia/Tokyo';
SET LOCAL datestyle = 'German, DMY';
SELECT is(pg_temp.said($$set_freeze('f', during => '[2031-01-01 00:00+00, 2031-01-02 00:00+00)')$$),
    'freeze_window f create during -> "[\"2031-01-01 00:00:00+00\",\"2031-01-02 00:00:00+00\")"',
    'what is said is in UTC, whatever the session''s settings');
SELECT is(pg_temp.said($$set_freeze('f', rule => 'FREQ=WEEKLY', zone => 'UTC', starts_at => '2.1.2031 16:00',
    duration => '2 days 0:30')$$), 'freeze_window f change '
    'during "[\"2031-01-01 00:00:00+00\",\"2031-01-02 00:00:00+00\")" -> null; rule null -> "FREQ=WEEKLY"; '
    'zone null -> "UTC"; starts_at null -> "2031-01-02T16:00:00"; duration null -> "P2DT30M"',
    '... and what is given is read as the session does');
SELECT pg_temp.said($$remove_freeze('f')$$) \g /dev/null
SET LOCAL intervalstyle = 'postgres';
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = 'ISO';

-- ---- what is refused, with nothing written ----
CREATE FUNCTION pg_temp.all_rows() RETURNS bigint LANGUAGE sql AS $$
    SELECT (SELECT count(*) FROM promote.audit_log) + (SELECT count(*) FROM promote.freeze_window)
         + (SELECT count(*) FROM promote.change_window) + (SELECT count(*) FROM promote.policy)
         + (SELECT count(*) FROM promote.approval_rule) + (SELECT count(*) FROM promote.required_check)
         + (SELECT count(*) FROM promote.override_rule) + (SELECT count(*) FROM promote.rule_change)
$$;
SELECT pg_temp.all_rows() AS before \gset
SELECT pg_temp.refuses('SELECT promote.' || call, code, detail, call)
  FROM (VALUES
    ($$set_freeze('x')$$, 'PM602', 'neither during nor zone'),
    ($$set_freeze('x', during => '[2026-01-01,)')$$, 'PM602', 'no upper bound'),
    ($$set_freeze('x', during => 'empty')$$, 'PM602', 'range is empty'),
    ($$set_freeze('x', during => '[2026-01-01,2026-02-01)', zone => 'UTC')$$, 'PM602', 'for during and for zone'),
    ($$set_freeze('x', rule => 'FREQ=HOURLY', zone => 'UTC', starts_at => '2026-01-01', duration => '1 h')$$, 'PM602',
        'less than a day'),
    ($$set_freeze('x', rule => 'FREQ=NEVER', zone => 'UTC', starts_at => '2026-01-01', duration => '1 h')$$, 'PM602',
        'knows no such rule'),
    ($$set_freeze('x', rule => 'FREQ=DAILY', zone => 'FOO+3', starts_at => '2026-01-01', duration => '1 h')$$, 'PM602',
        'pg_timezone_names'),
    ($$set_freeze('x', rule => 'FREQ=DAILY', zone => 'UTC', starts_at => '2026-01-01', duration => '-1 h')$$, 'PM602',
        'end before it begins'),
    ($$set_freeze(' ', during => '[2026-01-01,2026-02-01)')$$, 'PM602', 'not only blanks'),
    ($$set_freeze(NULL, during => '[2026-01-01,2026-02-01)')$$, 'PM404', 'null'),
    ($$set_freeze('x', selector => '[]', during => '[2026-01-01,2026-02-01)')$$, 'PM602', 'object'),
    ($$set_freeze('x', selector => '1', during => '[2026-01-01,2026-02-01)')$$, 'PM602', 'object'),
    ($$set_freeze('x', 'No Project', during => '[2026-01-01,2026-02-01)')$$, 'PM001', 'lower-case'),
    ($$set_freeze('x', 'nowhere', during => '[2026-01-01,2026-02-01)')$$, 'PM002', 'refers to it'),
    ($$set_freeze('x', 'ecomm', 'nowhere', during => '[2026-01-01,2026-02-01)')$$, 'PM002', 'refers to it'),
    ($$set_freeze('x', 'ecomm', 'production', 'nothing', during => '[2026-01-01,2026-02-01)')$$, 'PM002',
        'refers to it'),
    ($$set_change_window('x', during => '[2026-01-01,2026-02-01)', max_deployments_per_window => 0)$$, 'PM404',
        '1 or more'),
    ($$set_approval_rule('ecomm', 'production', 'x', '')$$, 'PM404', 'empty'),
    ($$set_approval_rule('ecomm', 'production', 'x', NULL)$$, 'PM404', 'null'),
    ($$set_approval_rule('ecomm', 'production', '', 'pg_monitor')$$, 'PM404', 'empty'),
    ($$set_approval_rule('ecomm', 'production', NULL, 'pg_monitor')$$, 'PM404', 'null'),
    ($$set_approval_rule('ecomm', 'production', 'x', 'pg_monitor', 0)$$, 'PM404', '1 or more'),
    ($$set_approval_rule('ecomm', 'production', 'x', 'pg_monitor', expires_after => '0')$$, 'PM404', 'more than 0'),
    ($$set_approval_rule('ecomm', 'production', 'x', 'pg_monitor', selector => '"gold"')$$, 'PM101', 'type string'),
    ($$set_approval_rule('ecomm', 'nowhere', 'x', 'pg_monitor')$$, 'PM002', 'refers to it'),
    ($$set_required_check('ecomm', 'production', ' x')$$, 'PM404', 'no blank'),
    ($$set_required_check('ecomm', 'production', NULL)$$, 'PM404', 'null'),
    ($$set_required_check('ecomm', 'production', 'x', 'moon')$$, 'PM404', 'destination or source'),
    ($$set_required_check('ecomm', 'production', 'x', expires_after => '-1 h')$$, 'PM404', 'more than 0'),
    ($$set_override_rule('ecomm', 'production', 'stopped', 'pg_monitor')$$, 'PM604', 'what was reviewed'),
    ($$set_override_rule('ecomm', 'production', '', 'pg_monitor')$$, 'PM404', 'empty'),
    ($$set_override_rule('ecomm', 'production', 'soak', '')$$, 'PM404', 'empty'),
    ($$set_override_rule('ecomm', 'production', NULL, 'x')$$, 'PM404', 'null'),
    ($$set_override_rule('ecomm', 'production', 'soak', NULL)$$, 'PM404', 'null'),
    ($$set_policy('x', 'rules.nothing')$$, 'PM610', 'no such function'),
    ($$set_policy('x', 'calm')$$, 'PM610', 'with its schema'),
    ($$set_policy('x', NULL)$$, 'PM404', 'null'),
    ($$set_policy(NULL, 'rules.calm')$$, 'PM404', 'null'),
    ($$set_policy('x', 'rules.calm', timeout => '2 min')$$, 'PM404', 'between'),
    ($$set_policy('x', 'rules.calm', code => 'A b')$$, 'PM404', 'lower-case'),
    ($$set_policy('x', 'rules.calm', selector => '[]')$$, 'PM101', 'type array'),
    ($$remove_freeze(NULL)$$, 'PM404', 'null'), ($$remove_change_window(NULL)$$, 'PM404', 'null'),
    ($$remove_policy(NULL)$$, 'PM404', 'null'), ($$remove_approval_rule('ecomm', NULL, NULL)$$, 'PM404', 'null'),
    ($$remove_required_check('ecomm', NULL, NULL)$$, 'PM404', 'null'),
    ($$remove_override_rule('ecomm', NULL, NULL, 'x')$$, 'PM404', 'null'),
    ($$remove_override_rule('ecomm', NULL, 'soak', NULL)$$, 'PM404', 'null')) AS v (call, code, detail);
SELECT is(pg_temp.all_rows(), :before::bigint, 'nothing of it is written');
SELECT is(pg_temp.said($$set_approval_rule('ecomm', 'production', 'x', 'nobody_there')$$),
    'approval_rule ecomm-production/x create role -> "nobody_there"',
    'a role that is not there is warned of, as of a row');
SELECT matches(pg_temp.said($$set_freeze('c', NULL, 'production', 'db', during => '[2026-01-01,2026-02-01)')$$),
    'create',     'a component of all projects is, as in a row, one of that name in each');

-- an archived environment has no rules, whatever the caller's settings
SELECT promote.archive_environment('ecomm-prod-uswest') \g /dev/null
SELECT pg_temp.refuses('SELECT promote.' || call, 'PM006', 'history', call)
  FROM unnest(ARRAY[$$set_freeze('x', 'ecomm', 'prod-uswest', during => '[2026-01-01,2026-02-01)')$$,
    $$set_approval_rule('ecomm', 'prod-uswest', 'x', 'pg_monitor')$$,
    $$set_policy('x', 'rules.calm', 'ecomm', 'prod-uswest')$$]) AS call;

-- ---- grants ----
RESET promote.actor;
CREATE ROLE rul_here;
CREATE ROLE rul_project;
CREATE ROLE rul_other;
CREATE ROLE rul_every_production;
CREATE ROLE rul_all;
CREATE ROLE rul_rest;
SELECT promote.grant_action('rul_here', 'rules', 'ecomm', 'production'),
    promote.grant_action('rul_project', 'rules', 'ecomm'), promote.grant_action('rul_other', 'rules', 'other'),
    promote.grant_action('rul_every_production', 'rules', NULL, 'production'),
    promote.grant_action('rul_all', 'rules') \g /dev/null
SELECT promote.grant_action('rul_rest', a, 'ecomm') FROM unnest('{view,configure,promote,plan,deploy,approve,override,'
    'decommission,secrets,work,admin,audit,register,publish}'::text[]) AS a \g /dev/null

-- who may make a rule of each scope, of each kind, and take it away again
CREATE TEMP TABLE scope (place text, project text, environment text, may text[]);
INSERT INTO scope VALUES ('here', 'ecomm', 'production', '{rul_here,rul_project,rul_every_production,rul_all}'),
    ('project', 'ecomm', NULL, '{rul_project,rul_all}'), ('staging', 'ecomm', 'staging', '{rul_project,rul_all}'),
    ('other', 'other', 'production', '{rul_other,rul_every_production,rul_all}'),
    ('every production', NULL, 'production', '{rul_every_production,rul_all}'), ('all', NULL, NULL, '{rul_all}'),
    ('not there', 'nowhere', 'production', '{rul_every_production,rul_all}');
CREATE TEMP TABLE caller AS
SELECT unnest('{rul_here,rul_project,rul_other,rul_every_production,rul_all,rul_rest}'::text[]);
CREATE TEMP TABLE verb (kind text, set_call text, remove_call text);
INSERT INTO verb VALUES
    ('freeze', $$set_freeze('g', %1$L, %2$L, during => '[2026-01-01,2026-02-01)')$$, $$remove_freeze('g')$$),
    ('window', $$set_change_window('g', %1$L, %2$L, during => '[2026-01-01,2026-02-01)')$$,
        $$remove_change_window('g')$$),
    ('approval', $$set_approval_rule(%1$L, %2$L, 'g', 'pg_monitor')$$, $$remove_approval_rule(%1$L, %2$L, 'g')$$),
    ('check', $$set_required_check(%1$L, %2$L, 'g')$$, $$remove_required_check(%1$L, %2$L, 'g')$$),
    ('override', $$set_override_rule(%1$L, %2$L, 'soak', 'pg_monitor')$$,
        $$remove_override_rule(%1$L, %2$L, 'soak', 'pg_monitor')$$),
    ('policy', $$set_policy('g', 'rules.calm', %1$L, %2$L)$$, $$remove_policy('g')$$);
-- what a role comes to with a call: what it did, or the code; nothing of it stays
CREATE FUNCTION pg_temp.tried(role text, call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    PERFORM set_config('role', role, true);
    EXECUTE 'SELECT action FROM promote.' || call INTO result;
    RAISE EXCEPTION USING ERRCODE = 'ZZ999';
EXCEPTION WHEN SQLSTATE 'ZZ999' THEN
    RETURN result;
WHEN OTHERS THEN
    RETURN SQLSTATE;
END
$$;
SELECT is(pg_temp.tried(role, format(v.set_call, s.project, s.environment)),
    CASE WHEN NOT role = ANY (s.may) THEN 'PM701' WHEN s.place = 'not there' THEN 'PM002' ELSE 'create' END,
    format('%s, of %s, by %s', v.kind, s.place, role))
  FROM verb AS v, scope AS s, caller AS c (role);
-- ... and what is there already
CREATE FUNCTION pg_temp.tried_there(role text, make text, call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    EXECUTE 'SELECT promote.' || make;
    result := pg_temp.tried(role, call);
    RAISE EXCEPTION USING ERRCODE = 'ZZ999';
EXCEPTION WHEN SQLSTATE 'ZZ999' THEN
    RETURN result;
END
$$;
SELECT is(pg_temp.tried_there(role, format(v.set_call, s.project, s.environment),
    format(v.remove_call, s.project, s.environment)), CASE WHEN role = ANY (s.may) THEN 'delete' ELSE 'PM701' END,
    format('removing %s, of %s, by %s', v.kind, s.place, role))
  FROM verb AS v, scope AS s, caller AS c (role) WHERE s.place <> 'not there';
-- moving a rule that goes by its name takes the grant at both ends
SELECT is(pg_temp.tried_there(role, format(v.set_call, a.project, a.environment),
    format(v.set_call, b.project, b.environment)),
    CASE WHEN role = ANY (a.may) AND role = ANY (b.may) THEN 'change' ELSE 'PM701' END,
    format('moving %s, from %s to %s, by %s', v.kind, a.place, b.place, role))
  FROM verb AS v, scope AS a, scope AS b, caller AS c (role)
 WHERE v.kind IN ('freeze', 'window', 'policy') AND a.place <> b.place
   AND a.place IN ('here', 'other', 'all') AND b.place IN ('here', 'other', 'project');

-- a name that somebody else has taken: that is all that is told
INSERT INTO promote.freeze_window (name, project, during, reason)
    VALUES ('theirs', 'other', '[2031-01-01,2031-02-01)', 'merger');
INSERT INTO promote.policy (policy, function, project, description)
    VALUES ('theirs', 'rules.calm', 'other', 'merger');
CREATE FUNCTION pg_temp.told(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    r record;
BEGIN
    SET LOCAL ROLE rul_here;
    SELECT * INTO r FROM pg_temp.refusal(call);
    RESET ROLE;
    RETURN concat_ws(' / ', r.state, r.message, r.detail, r.hint);
END
$$;
GRANT EXECUTE ON FUNCTION pg_temp.refusal(text) TO PUBLIC;
SELECT is(pg_temp.told('SELECT promote.' || call), format('PM701 / not allowed: rules / There is a %s "theirs" '
    'that counts where the caller has no grant "rules". / Take another name.', CASE WHEN call ~ 'freeze' THEN 'freeze_window'
    ELSE 'policy' END), call) FROM unnest(ARRAY[
    $$set_freeze('theirs', 'ecomm', 'production', during => '[2031-01-01,2031-02-01)')$$,
    $$remove_freeze('theirs')$$, $$set_policy('theirs', 'rules.calm', 'ecomm', 'production')$$,
    $$remove_policy('theirs')$$]) AS call;

-- ---- freezes of everybody are not opened by a project's rules ----
SELECT is(pg_temp.tried(role, format('set_override_rule(%L, %L, ''freeze'', %L)', project, environment, role)),
    CASE role WHEN 'rul_all' THEN 'create' ELSE 'PM701' END,
    format('overriding freezes, in %s-%s by %s', project, environment, role))
  FROM (VALUES ('rul_here', 'ecomm', 'production'), ('rul_project', 'ecomm', NULL),
    ('rul_project', 'ecomm', 'production'), ('rul_every_production', NULL, 'production'),
    ('rul_all', 'ecomm', 'production'), ('rul_all', NULL, NULL))
    AS v (role, project, environment);
INSERT INTO promote.override_rule (project, environment, code, role)
    VALUES ('ecomm', 'production', 'freeze', 'pg_monitor');
SELECT is(pg_temp.tried('rul_here', $$set_override_rule('ecomm', 'production', 'freeze', 'pg_monitor')$$), 'keep',
    'one that the owner has made stays');
SELECT is(pg_temp.tried('rul_here', $$remove_override_rule('ecomm', 'production', 'freeze', 'pg_monitor')$$), 'delete',
    '... and closing the gate again takes no more than any rule');

-- ---- whose functions become policies ----
CREATE ROLE rul_author;
GRANT rul_here TO rul_author;
CREATE SCHEMA author AUTHORIZATION rul_author;
SET LOCAL ROLE rul_author;
CREATE FUNCTION author.spy(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
    LANGUAGE sql STABLE SECURITY DEFINER
    AS $$ SELECT 'spied', current_query(), NULL::timestamptz, NULL::timestamptz, NULL, true $$;
RESET ROLE;
SELECT is(pg_temp.as_role('rul_author', $$SELECT promote.set_policy('p', 'author.spy', 'ecomm', 'production')$$),
    'PM610: The function: it, or its schema, is not owned by who owns the tables, or a superuser, and only these name '
    'such a function.', 'nobody has others run a function of theirs');
SET LOCAL check_function_bodies = off;
SELECT matches(pg_temp.as_role('rul_author', $$SELECT promote.set_policy('p', 'author.spy', 'ecomm', 'production')$$),
    'PM610', '... by whatever settings');
SELECT matches(pg_temp.as_role('rul_author', $$SELECT promote.set_policy('p', 'rules.nothing', 'ecomm',
    'production')$$),
    'PM610', '... which let nothing else through either');
RESET check_function_bodies;
SELECT is(pg_temp.as_role('rul_author', $$SELECT action FROM promote.set_policy('p', 'author.spy', 'ecomm',
    'production', enabled => false)$$), 'create', 'as a policy that nobody asks it may stand there');
SELECT matches(pg_temp.as_role('rul_author', $$SELECT promote.set_policy('p', 'author.spy', 'ecomm', 'production')$$),
    'PM610', '... but is not enabled');
-- a function of the owner's in a schema of theirs: they could put another one in its place
CREATE FUNCTION author.calm(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
    LANGUAGE sql STABLE AS 'SELECT NULL::promote.blocking_reason WHERE false';
GRANT USAGE ON SCHEMA author TO rul_here;
SELECT matches(pg_temp.as_role('rul_here', $$SELECT promote.set_policy('p', 'author.calm', 'ecomm', 'production')$$),
    'PM610', 'nor a function in a schema of theirs');
-- what the owner keeps from them
CREATE FUNCTION rules.kept(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
    LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT NULL::promote.blocking_reason WHERE false';
REVOKE EXECUTE ON FUNCTION rules.kept FROM PUBLIC;
SELECT is(pg_temp.as_role('rul_here', $$SELECT promote.set_policy('p', 'rules.kept', 'ecomm', 'production')$$),
    'PM610: The function: you may not execute it.', 'nor what they may not call themselves');
GRANT EXECUTE ON FUNCTION rules.kept TO rul_here;
SELECT is(pg_temp.as_role('rul_here', $$SELECT action FROM promote.set_policy('p', 'rules.kept', 'ecomm',
    'production')$$), 'change', 'but what they may');
-- the owner names whatever a row may name, and what stands stays
SELECT is(pg_temp.said($$set_policy('o', 'author.spy', 'ecomm', 'production')$$) ~ 'create', true,
    'the owner names what is SECURITY DEFINER');
SELECT is(pg_temp.as_role('rul_here', $$SELECT action FROM promote.set_policy('o', 'author.spy', 'ecomm',
    'production')$$), 'keep', '... which others may say again');
SELECT matches(pg_temp.as_role('rul_here', $$SELECT promote.set_policy('o', 'author.spy', 'ecomm', 'production',
    timeout => '1 min')$$), 'PM610', '... and not change, but to have it asked no more');
SELECT is(pg_temp.as_role('rul_here', $$SELECT action FROM promote.set_policy('o', 'author.spy', 'ecomm', 'production',
    enabled => false)$$), 'change', '... which they may');

-- ---- who has done it ----
SELECT promote.grant_action('rul_here', 'impersonate') \g /dev/null
SET LOCAL promote.actor = 'ada';
SELECT pg_temp.as_role('rul_here', $$SELECT promote.set_freeze('mine', 'ecomm', 'production',
    during => '[2031-01-01,2031-02-01)')$$) \g /dev/null
SELECT results_eq($$SELECT actor, database_role FROM promote.audit_log WHERE subject = 'freeze_window mine'$$,
    $$VALUES ('ada', 'rul_here')$$, 'the log has the person, and the role');
SELECT is((SELECT actor FROM promote.freeze_window WHERE name = 'mine'), 'ada', '... and so has the row');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the log verifies');

SELECT * FROM finish();
ROLLBACK;
