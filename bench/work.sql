-- A worker that carries out what waits. A transaction each: what one has moved out of the queue is in its way until it
-- commits.
CREATE PROCEDURE bench.work() LANGUAGE plpgsql AS $$
DECLARE
    claim record;
BEGIN
    LOOP
        SELECT * INTO claim FROM promote.claim_deployment('bench');
        EXIT WHEN NOT FOUND;
        PERFORM promote.complete_deployment(claim.instance, claim.deployment, claim.fencing);
        COMMIT;
    END LOOP;
END
$$;

-- Everything runs, so that a plan tells of what a revision changes, as the floor's does, and not of a whole document.
CREATE PROCEDURE bench.deploy(environments text) LANGUAGE plpgsql AS $$
BEGIN
    CALL bench.work();
    PERFORM promote.deploy_instance(i.name) FROM promote.instance AS i
     WHERE i.environment LIKE environments AND i.revision > 0 AND i.deployed_by IS NULL;
    CALL bench.work();
END
$$;
