-- Documents that schemas refer to: registered once and for all, found by URI, forgotten with their transaction.

BEGIN;
SELECT * FROM no_plan();

CREATE FUNCTION pg_temp.register(uri text, document jsonb) RETURNS void
LANGUAGE sql AS $$ INSERT INTO promote.schema_document (uri, document) VALUES (uri, document) $$;

-- SQLSTATE and detail of what goes wrong; empty if nothing does.
CREATE FUNCTION pg_temp.trouble(sql text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	found text;
	way_out text;
BEGIN
	EXECUTE sql;
	RETURN '';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS found = PG_EXCEPTION_DETAIL, way_out = PG_EXCEPTION_HINT;
	RETURN SQLSTATE || ' ' || found || CASE WHEN way_out = '' THEN ' no hint' ELSE '' END;
END
$$;

------------------------------------------------------------------------
-- URIs

SELECT is(promote_internal.is_schema_uri(uri), good, format('%s is %sa URI to register', uri, CASE WHEN good THEN ''
	ELSE 'not ' END))
FROM (VALUES
	('https://example.com/a.json', true), ('urn:example:a', true), ('http://h', true), ('file:///a/b', true),
	('tag:example.com,2026:a', true), ('http://u@h:80/a?b=c%2F', true), ('http://h/ä', true), ('http://U@h/', true),
	('a.json', false), ('/a', false), ('//h/a', false), ('', false), ('http://h/a#', false), ('http://h/a#b', false),
	('HTTP://h/a', false), ('http://H/a', false), ('http://h/a/../b', false), ('http://h/./a', false),
		('http://h/..', false),
	('http://h/%c3', false), ('http://h/%C3', true), ('http://h/%', false), ('http://h/a b', false),
		('http://h/{a}', false),
	('1http://h', false), ('http//h', false), (':a', false)) AS v(uri, good);

------------------------------------------------------------------------
-- the table

SELECT lives_ok($$SELECT pg_temp.register('https://example.com/size.json', '{"type": "integer", "minimum": 1}')$$,
	'a document is registered');
SELECT throws_ok($$SELECT pg_temp.register('https://example.com/size.json', 'true')$$, '23505', NULL, 'once');
SELECT throws_ok($$SELECT pg_temp.register('size.json', 'true')$$, 'PM404', NULL, 'under a whole URI');
SELECT throws_ok($$SELECT pg_temp.register('https://Example.com/size', 'true')$$, 'PM404', NULL, 'that is normalised');
SELECT throws_ok($$SELECT pg_temp.register('https://example.com/size#', 'true')$$, 'PM404', NULL,
	'and has no fragment');
SELECT is(pg_temp.trouble($$SELECT pg_temp.register('https://example.com/bad',
	'{"properties": {"a": {"type": "int"}}}')$$),
	'PM106 https://example.com/bad#/properties/a/type must be the name of a type, or an array of such names.',
	'what is no schema is refused, with its place');
SELECT is(pg_temp.trouble($$SELECT pg_temp.register('https://example.com/bad',
	'{"$ref": "https://example.com/bad#/nowhere"}')$$),
	'PM106 https://example.com/bad#/$ref leads nowhere: the schema has no place "https://example.com/bad#/nowhere".',
	'so is a reference within it that leads nowhere');
SELECT lives_ok($$SELECT pg_temp.register('https://example.com/later', '{"items": {"$ref": "elsewhere#a"}}')$$,
	'one to a document that is not registered may yet come true');
SELECT throws_ok($$UPDATE promote.schema_document SET document = 'true'$$, 'PM301', NULL, 'a document never changes');
SELECT throws_ok($$DELETE FROM promote.schema_document$$, 'PM301', NULL, 'never goes');
SELECT throws_ok($$TRUNCATE promote.schema_document$$, 'PM301', NULL, 'not even all at once');
SELECT throws_ok($$SELECT promote_internal.forget_schemas()$$, '39P01', NULL, 'the trigger function is one');

------------------------------------------------------------------------
-- references

SELECT is(pg_temp.trouble($$SELECT promote.jsonb_schema_valid('1',
	'{"items": {"$ref": "https://example.com/none#/a"}}')$$),
	'PM106 #/items/$ref refers to a document that is not registered: https://example.com/none.',
		'an unknown document is refused');
SELECT ok(promote.jsonb_schema_check('{"items": {"$ref": "https://example.com/none#/a"}}'),
	'which a check of the schema leaves open');
SELECT is(pg_temp.trouble($$SELECT promote.jsonb_schema_valid('1',
	'{"items": {"$ref": "https://example.com/none#/a"}}')$$),
	'PM106 #/items/$ref refers to a document that is not registered: https://example.com/none.',
		'also when the check has seen it before');
SELECT ok(promote.jsonb_schema_valid('[1]', '{"items": {"$ref": "https://example.com/size.json"}}'),
	'a registered one is found');
SELECT ok(NOT promote.jsonb_schema_valid('[0]', '{"items": {"$ref": "https://example.com/size.json"}}'),
	'... and counts');
SELECT ok(NOT promote.jsonb_schema_valid('[0]', '{"items": {"$ref": "HTTPS://EXAMPLE.com/a/../size.json#"}}'),
	'... however it is spelled');
SELECT ok(NOT promote.jsonb_schema_valid('[0]',
	'{"$id": "https://example.com/x/y", "items": {"$ref": "../size.json"}}'),
	'... relative to the schema''s own URI');
SELECT results_eq($$SELECT *
	FROM promote.jsonb_schema_errors('[0]', '{"items": {"$ref": "https://example.com/size.json"}}')$$,
	$$VALUES ('.[0]', 'https://example.com/size.json#/minimum', 'minimum', 'expected at least 1', '1'::jsonb)$$,
	'a place in another document is told with its URI');

SELECT pg_temp.register('https://example.com/lib/tree.json', '{"$id": "https://example.com/lib/trees/tree.json",
	"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "properties": {"next": {"$ref": "#"}, '
		'"leaf": {"$ref": "leaf.json#it"}},
	"unevaluatedProperties": false}');
SELECT pg_temp.register('https://example.com/lib/trees/leaf.json',
	'{"definitions": {"l": {"$id": "#it", "type": "string"}}, "items": [false]}');
SELECT ok(promote.jsonb_schema_valid('{"next": {"next": {"leaf": "a"}}}',
	'{"$ref": "https://example.com/lib/tree.json"}'),
	'a document refers to itself, and by its own $id to another');
SELECT ok(NOT promote.jsonb_schema_valid('{"next": {"leaf": 1}}', '{"$ref": "https://example.com/lib/tree.json"}'),
	'... whose anchor counts');
SELECT ok(NOT promote.jsonb_schema_valid('{"next": {"other": 1}}', '{"$ref": "https://example.com/lib/tree.json"}'),
	'... in its own dialect');
SELECT ok(NOT promote.jsonb_schema_valid('[1]', '{"$ref": "https://example.com/lib/trees/leaf.json"}'),
	'a document that does not say follows the schema: draft-07 here');
SELECT is(pg_temp.trouble($$SELECT promote.jsonb_schema_valid('[1]',
	'{"$schema": "https://json-schema.org/draft/2020-12/schema", "$ref": '
		'"https://example.com/lib/trees/leaf.json"}')$$),
	'PM106 https://example.com/lib/trees/leaf.json#/items must be a schema: an object or a boolean.',
		'... and 2020-12 here');
SELECT is(pg_temp.trouble($$SELECT promote.jsonb_schema_valid('[1]', '{"$ref": "https://example.com/later"}')$$),
	'PM106 https://example.com/later#/items/$ref refers to a document that is not registered: '
		'https://example.com/elsewhere.',
	'a document that refers to an unknown one is refused');

------------------------------------------------------------------------
-- metaschemas

SELECT is(pg_temp.trouble($$SELECT promote.jsonb_schema_valid('1', '{"$schema": "https://example.com/meta"}')$$),
	'PM106 #/$schema names a dialect that is not known: https://example.com/meta.', 'an unknown dialect is refused');
SELECT ok(promote.jsonb_schema_check('{"$schema": "https://example.com/meta", "type": "what is known of it?"}'),
	'a check leaves it open');
SELECT is(pg_temp.trouble($$SELECT
	promote.jsonb_schema_check('{"$schema": "http://json-schema.org/draft-04/schema#"}')$$),
	'PM106 #/$schema names a dialect that is not known: http://json-schema.org/draft-04/schema.',
		'but not other drafts');
SELECT is(pg_temp.trouble($$SELECT promote.jsonb_schema_check('{"$schema": "draft-07"}')$$),
	'PM106 #/$schema names a dialect that is not known: draft-07.', 'nor what is no URI');
SELECT pg_temp.register('https://example.com/meta', '{"$schema": "https://json-schema.org/draft/2020-12/schema",
	"$vocabulary": {"https://json-schema.org/draft/2020-12/vocab/core": true, '
		'"https://json-schema.org/draft/2020-12/vocab/applicator": true,
					"https://example.com/vocab": false}}');
SELECT ok(promote.jsonb_schema_valid('{"a": 1}',
	'{"$schema": "https://example.com/meta", "properties": {"a": {"type": "string"}}}'),
	'a keyword of no vocabulary says nothing');
SELECT ok(NOT promote.jsonb_schema_valid('{"a": 1}',
	'{"$schema": "https://example.com/meta", "properties": {"a": false}}'),
	'one of a vocabulary does');
SELECT pg_temp.register('https://example.com/strange',
	'{"$schema": "https://json-schema.org/draft/2020-12/schema", "$vocabulary": {"https://example.com/vocab": true}}');
SELECT is(pg_temp.trouble($$SELECT promote.jsonb_schema_valid('1', '{"$schema": "https://example.com/strange"}')$$),
	'PM106 #/$schema names a metaschema that requires the unknown vocabulary https://example.com/vocab.',
		'a required vocabulary must be known');
SELECT pg_temp.register('https://example.com/mine', '{"$schema": "https://json-schema.org/draft/2020-12/schema"}');
SELECT ok(NOT promote.jsonb_schema_valid('[1]', '{"$schema": "https://example.com/mine", "prefixItems": [false]}'),
	'a metaschema without vocabularies is of the dialect that it is written in');
SELECT pg_temp.register('https://example.com/round', '{"$schema": "https://example.com/round"}');
SELECT is(pg_temp.trouble($$SELECT promote.jsonb_schema_valid('1', '{"$schema": "https://example.com/round"}')$$),
	'PM106 #/$schema names a metaschema whose own "$schema" leads on and on.', 'which ends somewhere');
SELECT pg_temp.register('https://example.com/formats', '{"$schema": "https://json-schema.org/draft/2020-12/schema",
	"$vocabulary": {"https://json-schema.org/draft/2020-12/vocab/format-assertion": true}}');
SELECT ok(NOT promote.jsonb_schema_valid('"x"', '{"$schema": "https://example.com/formats", "format": "uuid"}'),
	'a metaschema can have formats asserted');
SELECT ok(promote.jsonb_schema_valid('"x"',
	'{"$schema": "https://json-schema.org/draft/2020-12/schema", "format": "uuid"}'),
	'otherwise they are not');

------------------------------------------------------------------------
-- what is compiled is forgotten with its transaction

CREATE FUNCTION pg_temp.accepts(document jsonb) RETURNS boolean
LANGUAGE sql AS $$ SELECT promote.jsonb_schema_valid(document,
	'{"items": {"$ref": "https://example.com/fleeting"}}') $$;

SAVEPOINT before;
SELECT pg_temp.register('https://example.com/fleeting', '{"type": "string"}');
SELECT ok(pg_temp.accepts('["a"]') AND NOT pg_temp.accepts('[1]'), 'a document counts at once');
ROLLBACK TO before;
SELECT is(pg_temp.trouble($$SELECT pg_temp.accepts('["a"]')$$),
	'PM106 #/items/$ref refers to a document that is not registered: https://example.com/fleeting.',
		'rolled back, it is unknown again');
SELECT pg_temp.register('https://example.com/fleeting', '{"type": "integer"}');
SELECT ok(pg_temp.accepts('[1]') AND NOT pg_temp.accepts('["a"]'), 'and another under the same URI is what counts');

------------------------------------------------------------------------
-- a release that refers to a document

CREATE ROLE schema_document_promoter;
SELECT pg_temp.register('https://example.com/db.json',
	'{"properties": {"size": {"type": "integer"}, "zone": {"$md.copyable": false}, "secret": {"$md.sensitive": '
	'true}}}');
INSERT INTO promote.bundle VALUES ('doc');
SELECT lives_ok($$INSERT INTO promote.bundle_release (bundle, version, params_schema)
	VALUES ('doc', '1.0.0', '{"$ref": "https://example.com/db.json"}'),
		('doc', '2.0.0', '{"$ref": "https://example.com/missing.json"}')$$,
	'a release may refer to a document, even to one that is still to come');
INSERT INTO promote.project (project) VALUES ('doc');
INSERT INTO promote.environment (project, environment) VALUES ('doc', 'staging'), ('doc', 'production');
INSERT INTO promote.component (project, component, bundle) VALUES ('doc', 'db', 'doc');
INSERT INTO promote.instance (project, environment, component) VALUES ('doc', 'staging', 'db'),
	('doc', 'production', 'db');
SELECT promote.configure_instance('doc-staging-db', '{"size": 1, "zone": "s"}', '1.0.0');
SELECT promote.configure_instance('doc-production-db', '{"size": 9, "zone": "p"}', '1.0.0');
SELECT lives_ok($$SELECT * FROM promote.promote_instance('doc-staging-db', 'doc-production-db')$$, 'it is promoted by');
SELECT is((SELECT c.params FROM promote.revision r JOIN promote.config c USING (project, digest)
		   WHERE r.project = 'doc' AND environment = 'production' AND revision = 2), '{"size": 1, "zone": "p"}',
		   	'the document''s marks count');
SELECT throws_ok($$SELECT promote.configure_instance('doc-staging-db', '{"size": "x"}', '1.0.0')$$, 'PM103', NULL,
	'and what it demands');
SELECT is(pg_temp.trouble($$SELECT promote.configure_instance('doc-staging-db', '{}', '2.0.0')$$),
	'PM106 #/$ref refers to a document that is not registered: https://example.com/missing.json.',
		'one that is missing is named at the first use');

SELECT is(promote.jsonb_filter_copyable('{"size": 1, "zone": "z"}', '{"$ref": "https://example.com/db.json"}'),
	'{"size": 1}', 'a function by itself');
SET LOCAL ROLE schema_document_promoter;
SELECT ok(promote.jsonb_schema_valid('{"size": 1}', '{"$ref": "https://example.com/db.json"}'),
	'who may not read the table may validate by it');
SELECT throws_ok('SELECT * FROM promote.schema_document', '42501', NULL, '... and not read it');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
