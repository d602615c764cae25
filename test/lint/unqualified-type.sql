SELECT ''::project_name; -- bad
SELECT ''::promote.project_name, 1::pg_catalog.int4, 1::integer;
SELECT NULL::instance; -- bad
CREATE FUNCTION promote.a(x project_name) RETURNS text LANGUAGE c IMMUTABLE AS 'x', 'y'; -- bad
COMMENT ON FUNCTION promote.a(project_name) IS 'x'; -- bad
CREATE FUNCTION promote.b() RETURNS SETOF blocker LANGUAGE c IMMUTABLE AS 'x', 'y'; -- bad
COMMENT ON FUNCTION promote.b() IS 'x';
