-- Nothing here is reported.
CREATE TABLE promote.thing (
    thing      text COLLATE "C" NOT NULL,
    "count"    integer NOT NULL DEFAULT pg_catalog.length('x'),
    created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    during     tstzrange,
    CONSTRAINT thing_pkey PRIMARY KEY (thing),
    CONSTRAINT thing_count_check CHECK ("count" > 0 AND thing ~ '^a' AND "count" BETWEEN 1 AND 9)
);
COMMENT ON TABLE promote.thing IS 'a thing';
COMMENT ON COLUMN promote.thing.thing IS 'its name';
COMMENT ON COLUMN promote.thing.count IS 'how many';
COMMENT ON COLUMN promote.thing.created_at IS 'when';
COMMENT ON COLUMN promote.thing.during IS 'while';
CREATE INDEX thing_idx ON promote.thing ("count");
COMMENT ON INDEX promote.thing_idx IS 'for counting';
CREATE FUNCTION promote.writes(name text, number integer DEFAULT 1, OUT result text) LANGUAGE c AS 'x', 'y';
REVOKE ALL ON FUNCTION promote.writes(text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote.writes(text, integer) IS 'writes';
CREATE FUNCTION promote.pure(text) RETURNS text LANGUAGE sql IMMUTABLE RETURN $1;
COMMENT ON FUNCTION promote.pure(text) IS 'is pure';
CREATE FUNCTION promote.open(thing promote.thing) RETURNS SETOF record LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC WITH RECURSIVE q AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM q WHERE x < 9) SELECT q.x FROM q ORDER BY x USING <; END;
GRANT EXECUTE ON FUNCTION promote.open(promote.thing) TO PUBLIC;
COMMENT ON FUNCTION promote.open(promote.thing) IS 'is for all';
CREATE FUNCTION promote.plain() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    t promote.thing;
BEGIN
    t := promote.pure('x');
    PERFORM pg_catalog.now() FROM promote.thing;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION promote.plain FROM PUBLIC;
COMMENT ON FUNCTION promote.plain() IS 'is plain';
CREATE TRIGGER plain AFTER INSERT ON promote.thing REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION promote.plain();
CREATE VIEW promote.things AS SELECT t.thing FROM promote.thing AS t JOIN pg_catalog.pg_class AS c ON c.relname OPERATOR(pg_catalog.=) t.thing;
COMMENT ON VIEW promote.things IS 'all';
GRANT SELECT ON promote.things TO PUBLIC;
CREATE DOMAIN promote.name AS text CHECK (pg_catalog.length(VALUE) > 0);
COMMENT ON DOMAIN promote.name IS 'a name';
CREATE POLICY seen ON promote.thing FOR SELECT USING (thing IN (SELECT q.x FROM (SELECT 'a' AS x) AS q));
COMMENT ON POLICY seen ON promote.thing IS 'who may see it';
