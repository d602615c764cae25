\set n random(1, 1000000000)
SELECT changed FROM promote.promote_instance('bench-origin-c' || :kb::text, 'bench-merged-c' || :kb::text, pg_catalog.jsonb_build_object('replicas', :n::integer), source_revision => 1, mode => 'merge');
SELECT changed FROM promote.promote_instance('bench-origin-c' || :kb::text, 'bench-merged-c' || :kb::text, pg_catalog.jsonb_build_object('replicas', :n::integer), source_revision => 2, mode => 'merge');
