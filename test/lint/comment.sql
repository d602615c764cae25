CREATE TABLE promote.a (x integer); -- bad
COMMENT ON TABLE promote.a IS 'x';
CREATE TABLE promote.b (x integer); -- bad
COMMENT ON COLUMN promote.b.x IS 'x';
CREATE VIEW promote.c AS SELECT 1 AS x; -- bad
CREATE FUNCTION promote.d(text) RETURNS text LANGUAGE c IMMUTABLE AS 'x', 'y'; -- bad
COMMENT ON FUNCTION promote.d(integer) IS 'x';
CREATE DOMAIN promote.e AS text; -- bad
CREATE TYPE promote.f AS (x text); -- bad
COMMENT ON TYPE promote.f IS 'x';
CREATE TYPE promote.g AS ENUM ('x'); -- bad
CREATE INDEX h ON promote.a (x); -- bad
CREATE POLICY i ON promote.a USING (true); -- bad
CREATE SEQUENCE promote.j; -- bad
COMMENT ON SEQUENCE promote.j IS NULL;
CREATE AGGREGATE promote.k(jsonb) (SFUNC = promote.l, STYPE = jsonb); -- bad
ALTER TABLE promote.a ADD COLUMN y integer; -- bad
