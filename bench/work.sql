-- A worker that carries out what waits, a thousand at a time. A transaction for each claim: what one has moved out of
-- the queue is in its way until it commits.
CREATE PROCEDURE bench.work() LANGUAGE plpgsql AS $$
DECLARE
    claimed record;
BEGIN
    LOOP
        SELECT array_agg(c.instance) AS instances, array_agg(c.deployment) AS deployments, array_agg(c.fencing) AS fencings
          INTO claimed FROM promote.claim_deployment('bench', max => 1000) AS c;
        EXIT WHEN claimed.instances IS NULL;
        PERFORM promote.complete_many(claimed.instances, claimed.deployments, claimed.fencings);
        COMMIT;
    END LOOP;
END
$$;

-- Everything runs, so that a plan tells of what a revision changes, as the floor's does, and not of a whole document.
CREATE PROCEDURE bench.deploy(environments text) LANGUAGE plpgsql AS $$
BEGIN
    CALL bench.work();
    PERFORM promote.deploy_many(array_agg(i.name)) FROM promote.instance AS i
     WHERE i.environment LIKE environments AND i.revision > 0 AND i.deployed_by IS NULL
    HAVING count(*) > 0;
    CALL bench.work();
END
$$;
