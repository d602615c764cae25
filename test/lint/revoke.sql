CREATE FUNCTION promote.a() RETURNS text LANGUAGE c AS 'x', 'y'; -- bad
COMMENT ON FUNCTION promote.a() IS 'x';
CREATE FUNCTION promote.b(text) RETURNS text LANGUAGE c STABLE AS 'x', 'y'; -- bad
REVOKE ALL ON FUNCTION promote.b(integer) FROM PUBLIC;
COMMENT ON FUNCTION promote.b(text) IS 'x';
CREATE FUNCTION promote.c() RETURNS text LANGUAGE c VOLATILE AS 'x', 'y'; -- bad
REVOKE ALL ON FUNCTION promote.c() FROM somebody;
COMMENT ON FUNCTION promote.c() IS 'x';
