CREATE OR REPLACE FUNCTION promote.a() RETURNS text LANGUAGE c IMMUTABLE AS 'x', 'y'; -- bad
COMMENT ON FUNCTION promote.a() IS 'x';
CREATE OR REPLACE VIEW promote.b AS SELECT 1 AS x; -- bad
COMMENT ON VIEW promote.b IS 'x';
CREATE TABLE IF NOT EXISTS promote.c (); -- bad
COMMENT ON TABLE promote.c IS 'x';
CREATE SCHEMA IF NOT EXISTS promote; -- bad
CREATE INDEX IF NOT EXISTS d ON promote.c (x); -- bad
COMMENT ON INDEX promote.d IS 'x';
CREATE OR REPLACE TRIGGER t BEFORE INSERT ON promote.thing FOR EACH ROW EXECUTE FUNCTION promote.f(); -- bad
