CREATE TABLE promote.a (x integer DEFAULT length('')); -- bad
COMMENT ON TABLE promote.a IS 'x';
COMMENT ON COLUMN promote.a.x IS 'x';
CREATE TABLE promote.b (CHECK (length('') > 0)); -- bad
COMMENT ON TABLE promote.b IS 'x';
CREATE VIEW promote.c AS SELECT now() AS x; -- bad
COMMENT ON VIEW promote.c IS 'x';
CREATE TRIGGER t BEFORE INSERT ON promote.thing FOR EACH ROW EXECUTE FUNCTION f(); -- bad
CREATE TRIGGER t BEFORE INSERT ON promote.thing FOR EACH ROW WHEN (f(NEW.x)) EXECUTE FUNCTION promote.f(); -- bad
CREATE FUNCTION promote.d(x text DEFAULT upper('x')) RETURNS text LANGUAGE sql IMMUTABLE RETURN x; -- bad
COMMENT ON FUNCTION promote.d(text) IS 'x';
CREATE FUNCTION promote.e(x text) RETURNS text LANGUAGE sql IMMUTABLE RETURN upper(x); -- bad
COMMENT ON FUNCTION promote.e(text) IS 'x';
CREATE POLICY g ON promote.thing USING (may('view')); -- bad
COMMENT ON POLICY g ON promote.thing IS 'x';
SELECT x FROM unnest(ARRAY[1]) AS x; -- bad
DO $$ BEGIN PERFORM f(); END $$; -- bad
DO $$ DECLARE x integer := f(); BEGIN x := f(); IF f() THEN NULL; END IF; END $$; -- bad
CREATE INDEX i ON promote.thing (lower(x)); -- bad
COMMENT ON INDEX promote.i IS 'x';
CREATE DOMAIN promote.h AS text CHECK (length(VALUE) > 1); -- bad
COMMENT ON DOMAIN promote.h IS 'x';
