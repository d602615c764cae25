-- Recorded plans: what a worker's terraform plan said it would do.

CREATE FUNCTION promote.plan_document_changes(
    plan jsonb, params jsonb DEFAULT NULL, schema jsonb DEFAULT NULL)
    RETURNS TABLE (change integer, origin text, address text, previous_address text, deposed text,
                   mode text, type text, provider text, action text,
                   create_before_destroy boolean, action_reason text, replace_paths text[],
                   diff jsonb, fingerprint bytea)
    LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 100
    AS 'MODULE_PATHNAME', 'promote_plan_document_changes';
COMMENT ON FUNCTION promote.plan_document_changes(jsonb, jsonb, jsonb) IS
'What record_plan would store of a Terraform or OpenTofu plan: a row per change, with values masked that the plan marks sensitive or that the schema marks so in the params';
