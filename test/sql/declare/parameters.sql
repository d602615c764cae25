-- Verbs of parameters, under the grant register.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/as_role.sql
CREATE ROLE p_registers;
CREATE ROLE p_configures;
INSERT INTO promote.grants (role, action, project, environment) VALUES ('p_registers', 'register', 'ecomm',
    'production'),
    ('p_configures', 'configure', 'ecomm', 'production'), ('p_configures', 'admin', 'ecomm', NULL);

-- What a call by a role that owns nothing says: the declaration, and how many events there are by then.
CREATE FUNCTION pg_temp.says(call text, role text DEFAULT 'p_registers') RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.as_role(role, 'SELECT d::text FROM promote.' || call || ' AS d')
$$;
CREATE FUNCTION pg_temp.events() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM promote.audit_log $$;
DELETE FROM promote.parameter_set WHERE project = 'ecomm';
SELECT is(pg_temp.says($$set_parameters('ecomm', 'production', '{"region": "eu", "n": 1}')$$),
    '(parameter_set,ecomm/production,create,"[{""new"": {""n"": 1, ""region"": ""eu""}, '
    '""column"": ""parameters""}]")',
    'a set is made');
SELECT pg_temp.events() AS before \gset
SELECT is(pg_temp.says($$set_parameters('ecomm', 'production', '{"n": 1}')$$),
    '(parameter_set,ecomm/production,keep,[])', 'the same again changes nothing');
SELECT is(pg_temp.says($$set_parameters('ecomm', 'production')$$), '(parameter_set,ecomm/production,keep,[])',
    '... nor does nothing');
SELECT is(pg_temp.events(), :before::bigint, '... and writes nothing');
SELECT matches(pg_temp.says($$set_parameters('ecomm', 'production', '{"token": "unseen-1"}', '{token}',
    '{"token": "of the gateway"}')$$), '^\(parameter_set,ecomm/production,change,', 'one is added');
SELECT is((SELECT parameters || to_jsonb(sensitive) || descriptions FROM promote.parameter_set WHERE project =
    'ecomm'),
    '[{"n": 1, "token": "unseen-1", "region": "eu"}, "token", {"token": "of the gateway"}]', '... the others stay');
SELECT doesnt_match(pg_temp.says($$set_parameters('ecomm', 'production', '{"token": "unseen-2"}')$$), 'unseen',
    'a sensitive one is not shown in what was changed');
SELECT is((SELECT sensitive FROM promote.parameter_set WHERE project = 'ecomm'), '{token}', 'its mark stays');
SELECT is(pg_temp.says($$set_parameters('ecomm', 'production', '{"n": null}', '{token}')$$) ~ 'change', true,
    'null takes one away');
SELECT is((SELECT parameters || to_jsonb(sensitive) FROM promote.parameter_set WHERE project = 'ecomm'),
    '[{"token": "unseen-2", "region": "eu"}, "token"]', '... and nothing else');
SELECT doesnt_match(pg_temp.says($$set_parameters('ecomm', 'production', '{"token": "public"}', '{}')$$), 'unseen',
    'whoever takes a mark away gives a value, and is not shown the former one');
SELECT is((SELECT parameters || to_jsonb(sensitive) FROM promote.parameter_set WHERE project = 'ecomm'),
    '[{"token": "public", "region": "eu"}]', '... which is not sensitive any more');
SELECT matches(pg_temp.says($$set_parameters('ecomm', 'production', '{"token": "unseen-3"}', '{token}')$$), 'change',
    'it is marked again');
SELECT is(pg_temp.says($$set_parameters('ecomm', 'production', sensitive => '{}')$$),
    '(parameter_set,ecomm/production,keep,[])', 'without a value no mark goes');
SELECT is(pg_temp.says($$remove_parameter('ecomm', 'production', 'token')$$) ~ 'change.*sensitive value', true,
    'one is removed');
SELECT is((SELECT parameters || to_jsonb(sensitive) || descriptions FROM promote.parameter_set WHERE project =
    'ecomm'),
    '[{"region": "eu"}, {}]', '... with its mark and description');
SELECT is(pg_temp.says($$remove_parameter('ecomm', 'production', 'token')$$),
    '(parameter_set,ecomm/production,keep,[])',
    'one that is not there is kept so');
SELECT matches(pg_temp.says($$clear_parameters('ecomm', 'production')$$),
    '^\(parameter_set,ecomm/production,delete,', 'all go');
SELECT is(pg_temp.says($$clear_parameters('ecomm', 'production')$$), '(parameter_set,ecomm/production,keep,[])',
    '... once');
SELECT is(pg_temp.says($$remove_parameter('ecomm', 'production', 'x')$$), '(parameter_set,ecomm/production,keep,[])',
    'of none nothing is removed');
SELECT is(pg_temp.says($$set_parameters('ecomm', 'production')$$), '(parameter_set,ecomm/production,keep,[])',
    'nor is an empty set made');

-- ---- refusals ----
SELECT matches(pg_temp.says(call, role), expected, role || ': ' || call) FROM (VALUES
    ('p_registers', $$set_parameters('ecomm', 'production', '{"x": "{{y}}"}')$$, '^PM404'),
    ('p_registers', $$set_parameters('ecomm', 'production', '{"x": 1}', '{y}')$$, '^PM404'),
    ('p_registers', $$set_parameters('ecomm', 'production', '{"x": 1}', NULL, '{"y": "z"}')$$, '^PM404'),
    ('p_registers', $$set_parameters('ecomm', 'production', '[]')$$, '^PM101'),
    ('p_registers', $$set_parameters('ecomm', 'staging', '{"x": 1}')$$, '^PM701'),
    ('p_registers', $$set_parameters('nowhere', 'production', '{"x": 1}')$$, '^PM701'),
    ('p_registers', $$clear_parameters('ecomm', 'staging')$$, '^PM701'),
    ('p_configures', $$set_parameters('ecomm', 'production', '{"x": 1}')$$, '^PM701'),
    ('p_configures', $$remove_parameter('ecomm', 'production', 'x')$$, '^PM701'),
    ('none', $$set_parameters('ecomm', 'nowhere', '{"x": 1}')$$, '^PM002'),
    ('none', $$set_parameters(NULL, 'production', '{"x": 1}')$$, ''),
    ('none', $$remove_parameter('ecomm', 'production', NULL)$$, '')) AS v (role, call, expected);
SELECT is_empty($$SELECT FROM promote.parameter_set WHERE project = 'ecomm'$$, 'nothing was written');
SELECT is((SELECT count(*) FROM promote.audit_log WHERE data::text ~ 'unseen'), 0::bigint, 'nor recorded a value');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the chains are whole');
SELECT * FROM finish();
ROLLBACK;
