CREATE FUNCTION a() RETURNS text LANGUAGE c IMMUTABLE AS 'x', 'y'; -- bad
COMMENT ON FUNCTION a() IS 'x';
CREATE AGGREGATE b(jsonb) (SFUNC = promote.l, STYPE = jsonb); -- bad
COMMENT ON AGGREGATE b(jsonb) IS 'x';
CREATE TYPE promote.c AS ENUM ('x');
COMMENT ON TYPE promote.c IS 'x';
