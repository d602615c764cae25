CREATE VIEW promote.a AS SELECT 1 AS x FROM instance; -- bad
COMMENT ON VIEW promote.a IS 'x';
CREATE FUNCTION promote.b() RETURNS integer LANGUAGE sql IMMUTABLE BEGIN ATOMIC SELECT 1 FROM instance; END; -- bad
COMMENT ON FUNCTION promote.b() IS 'x';
CREATE POLICY c ON promote.thing USING (EXISTS (SELECT FROM instance)); -- bad
COMMENT ON POLICY c ON promote.thing IS 'x';
SELECT 1 FROM pg_class; -- bad
CREATE TRIGGER t BEFORE INSERT ON thing FOR EACH ROW EXECUTE FUNCTION promote.f(); -- bad
WITH q AS (SELECT 1) SELECT (WITH r AS (SELECT 2) SELECT 1 FROM r) FROM r; -- bad
CREATE FUNCTION promote.d() RETURNS integer LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS 'SELECT 1 FROM instance'; -- bad
COMMENT ON FUNCTION promote.d() IS 'x';
DO $$ BEGIN DELETE FROM instance; END $$; -- bad
DO $$ DECLARE r record; BEGIN FOR r IN SELECT 1 FROM instance LOOP NULL; END LOOP; END $$; -- bad
ALTER TABLE thing ENABLE ALWAYS TRIGGER t; -- bad
