CREATE FUNCTION promote.a() RETURNS text LANGUAGE c IMMUTABLE SECURITY DEFINER AS 'x', 'y'; -- bad
COMMENT ON FUNCTION promote.a() IS 'x';
CREATE FUNCTION promote.b() RETURNS text LANGUAGE c IMMUTABLE SECURITY DEFINER SET search_path = pg_catalog AS 'x', 'y'; -- bad
COMMENT ON FUNCTION promote.b() IS 'x';
CREATE FUNCTION promote.c() RETURNS text LANGUAGE c IMMUTABLE SECURITY DEFINER SET search_path = pg_temp, pg_catalog AS 'x', 'y'; -- bad
COMMENT ON FUNCTION promote.c() IS 'x';
CREATE FUNCTION promote.d() RETURNS text LANGUAGE c IMMUTABLE SECURITY DEFINER SET work_mem = '1MB' AS 'x', 'y'; -- bad
COMMENT ON FUNCTION promote.d() IS 'x';
CREATE FUNCTION promote.e() RETURNS text LANGUAGE c IMMUTABLE SECURITY INVOKER AS 'x', 'y';
COMMENT ON FUNCTION promote.e() IS 'x';
