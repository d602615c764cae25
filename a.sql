SELECT promote.set_secret('p-d-c1','one','v1');
SELECT instance, deployment, fencing FROM promote.claim_deployment('w', ARRAY['PLAN'], selector=>'{}') \gset
\echo :instance
