CREATE TABLE promote.a (x json, y integer, z promote.project_name); -- bad
COMMENT ON TABLE promote.a IS 'x';
COMMENT ON COLUMN promote.a.x IS 'x';
COMMENT ON COLUMN promote.a.y IS 'x';
COMMENT ON COLUMN promote.a.z IS 'x';
CREATE TABLE promote.b (x regclass); -- bad
COMMENT ON TABLE promote.b IS 'x';
COMMENT ON COLUMN promote.b.x IS 'x';
CREATE DOMAIN promote.c AS name; -- bad
COMMENT ON DOMAIN promote.c IS 'x';
ALTER TABLE promote.b ADD COLUMN y integer[]; -- bad
COMMENT ON COLUMN promote.b.y IS 'x';
