SELECT instance, deployment, fencing FROM promote.claim_deployment('bench') \gset
SELECT status FROM promote.complete_deployment(:instance::text, :deployment::integer, :fencing::integer);
