\set n random(1, 1000000000)
SELECT bench.promote('c' || :kb::text, pg_catalog.jsonb_build_object('replicas', :n::integer));
