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
