\set n random(1, 1000000000)
SELECT changed FROM promote.promote_instance('bench-staging-c' || :kb::text, 'bench-production-c' || :kb::text, pg_catalog.jsonb_build_object('replicas', :n::integer));
