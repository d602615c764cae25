-- Recorded plans: what a worker's terraform plan said it would do.

CREATE FUNCTION promote.plan_document_changes(
    plan jsonb, params jsonb DEFAULT NULL, schema jsonb DEFAULT NULL)
    RETURNS TABLE (change integer, origin text, address text, previous_address text, deposed text,
                   mode text, type text, provider text, action text,
                   create_before_destroy boolean, importing boolean, action_reason text, replace_paths text[],
                   diff jsonb, fingerprint bytea)
    LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 100
    AS 'MODULE_PATHNAME', 'promote_plan_document_changes';
COMMENT ON FUNCTION promote.plan_document_changes(jsonb, jsonb, jsonb) IS
'What record_plan would store of a Terraform or OpenTofu plan: a row per change, with values masked that the plan marks sensitive or that the schema marks so in the params';

CREATE FUNCTION promote.format_plan_changes(changes jsonb) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_format_plan_changes';
COMMENT ON FUNCTION promote.format_plan_changes(jsonb) IS
'Rows of resource_changes or plan_document_changes, as one array, as text in the manner of terraform plan: what destroys comes first, with a !';

CREATE FUNCTION promote_internal.type_pattern(pattern text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN pg_catalog.replace(pg_catalog.regexp_replace($1, E'([\\\\%_])', E'\\\\\\1', 'g'), '*', '%');
COMMENT ON FUNCTION promote_internal.type_pattern(text) IS
'A pattern of resource types, in which * stands for any characters, as LIKE takes it';

CREATE TABLE promote.planned_change (
    project               promote.project_name NOT NULL,
    environment           promote.environment_name NOT NULL,
    component             promote.component_name NOT NULL,
    deployment            integer NOT NULL,
    fencing               integer NOT NULL,
    change                integer NOT NULL,
    origin                text COLLATE "C" NOT NULL,
    address               text COLLATE "C" NOT NULL,
    previous_address      text COLLATE "C",
    deposed               text COLLATE "C",
    mode                  text COLLATE "C",
    type                  text COLLATE "C",
    provider              text COLLATE "C",
    action                text COLLATE "C" NOT NULL,
    create_before_destroy boolean,
    importing             boolean NOT NULL,
    action_reason         text COLLATE "C",
    replace_paths         text[] COLLATE "C",
    diff                  jsonb NOT NULL,
    fingerprint           bytea,
    CONSTRAINT planned_change_pkey
        PRIMARY KEY (project, environment, component, deployment, fencing, change),
    CONSTRAINT planned_change_deployment_fkey
        FOREIGN KEY (project, environment, component, deployment)
        REFERENCES promote.deployment (project, environment, component, deployment),
    CONSTRAINT planned_change_change_check CHECK (change > 0),
    CONSTRAINT planned_change_origin_check CHECK (origin IN ('change', 'drift', 'deferred')),
    CONSTRAINT planned_change_action_check
        CHECK (action IN ('no-op', 'create', 'read', 'update', 'delete', 'replace', 'forget')),
    CONSTRAINT planned_change_create_before_destroy_check
        CHECK ((create_before_destroy IS NOT NULL) = (action = 'replace')),
    CONSTRAINT planned_change_diff_check CHECK (pg_catalog.jsonb_typeof(diff) = 'array')
)
-- as promote.config
WITH (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_freeze_min_age = 0);
CREATE INDEX planned_change_fingerprint_idx
    ON promote.planned_change (project, environment, component, fingerprint)
    WHERE fingerprint IS NOT NULL;
COMMENT ON INDEX promote.planned_change_fingerprint_idx IS 'Finds the same change in an instance''s plans';
SELECT pg_catalog.pg_extension_config_dump('promote.planned_change', '');
COMMENT ON TABLE promote.planned_change IS 'What recorded plans would do, resource by resource; nothing sensitive is in it';
COMMENT ON COLUMN promote.planned_change.project IS 'The instance''s project';
COMMENT ON COLUMN promote.planned_change.environment IS 'The instance''s environment';
COMMENT ON COLUMN promote.planned_change.component IS 'The instance''s component';
COMMENT ON COLUMN promote.planned_change.deployment IS 'PLAN deployment';
COMMENT ON COLUMN promote.planned_change.fencing IS 'Claim that recorded the change; what a lost claim recorded does not count any more';
COMMENT ON COLUMN promote.planned_change.change IS 'Number in the document, from 1';
COMMENT ON COLUMN promote.planned_change.origin IS 'change: planned; drift: found to have changed outside; deferred: left for a later plan';
COMMENT ON COLUMN promote.planned_change.address IS 'The resource''s address; secrets in it are masked';
COMMENT ON COLUMN promote.planned_change.previous_address IS 'Where it was, if it has moved';
COMMENT ON COLUMN promote.planned_change.deposed IS 'Key of a deposed object, which the change is about instead of the current one';
COMMENT ON COLUMN promote.planned_change.mode IS 'managed or data';
COMMENT ON COLUMN promote.planned_change.type IS 'The resource''s type';
COMMENT ON COLUMN promote.planned_change.provider IS 'Source address of the resource''s provider';
COMMENT ON COLUMN promote.planned_change.action IS 'no-op, create, read, update, delete, replace or forget';
COMMENT ON COLUMN promote.planned_change.create_before_destroy IS 'For a replace, whether the new object is made before the old one goes';
COMMENT ON COLUMN promote.planned_change.importing IS 'Whether the change takes over a resource that is there already';
COMMENT ON COLUMN promote.planned_change.action_reason IS 'Why, by a word of the tool''s';
COMMENT ON COLUMN promote.planned_change.replace_paths IS 'Paths that force a replace';
COMMENT ON COLUMN promote.planned_change.diff IS 'Leaf diff: an array of objects with path, change, old, new, sensitive and unknown; what is sensitive or only known after the apply is shown as such';
COMMENT ON COLUMN promote.planned_change.fingerprint IS 'Hash of address, action and changed paths; NULL where nothing is planned to happen';

DO $$
BEGIN
    ALTER TABLE promote.planned_change ALTER COLUMN diff SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    NULL;
END
$$;

CREATE TRIGGER guard_record BEFORE INSERT ON promote.planned_change
    FOR EACH ROW EXECUTE FUNCTION promote_internal.guard_record();
ALTER TABLE promote.planned_change ENABLE ALWAYS TRIGGER guard_record;

CREATE TRIGGER refuse_rewrite BEFORE UPDATE OR DELETE ON promote.planned_change
    FOR EACH ROW EXECUTE FUNCTION promote_internal.refuse_rewrite();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON promote.planned_change
    FOR EACH STATEMENT EXECUTE FUNCTION promote_internal.refuse_rewrite();
ALTER TABLE promote.planned_change ENABLE ALWAYS TRIGGER refuse_rewrite;
ALTER TABLE promote.planned_change ENABLE ALWAYS TRIGGER refuse_truncate;

CREATE TABLE promote.stateful_type (
    pattern      text COLLATE "C" NOT NULL,
    description  text,
    builtin      boolean NOT NULL DEFAULT false,
    like_pattern text COLLATE "C" NOT NULL
        GENERATED ALWAYS AS (promote_internal.type_pattern(pattern)) STORED,
    -- so that a row of the user's never stands in the way of a row of a later version
    CONSTRAINT stateful_type_pkey PRIMARY KEY (pattern, builtin),
    CONSTRAINT stateful_type_pattern_check
        CHECK (promote_internal.check_value(pattern <> '',
            'pattern of a stateful type', 'It is empty.',
            'Name a type of resources, such as aws_db_instance, or several, as in aws_db_*.'))
);
CREATE INDEX stateful_type_wildcard_idx ON promote.stateful_type (like_pattern)
    WHERE pg_catalog.strpos(pattern, '*') > 0;
COMMENT ON INDEX promote.stateful_type_wildcard_idx IS 'Finds the patterns that have to be tried one by one';
SELECT pg_catalog.pg_extension_config_dump('promote.stateful_type', 'WHERE NOT builtin');
COMMENT ON TABLE promote.stateful_type IS 'Types of resources that hold data, of which a delete or replace is a loss; yours beside those that come with promote';
COMMENT ON COLUMN promote.stateful_type.pattern IS 'A type; * stands for any characters';
COMMENT ON COLUMN promote.stateful_type.description IS 'For people';
COMMENT ON COLUMN promote.stateful_type.builtin IS 'Whether the row came with promote: such rows are not dumped, but made again by CREATE EXTENSION';
COMMENT ON COLUMN promote.stateful_type.like_pattern IS 'The pattern as LIKE takes it';

CREATE FUNCTION promote_internal.builtin_stateful_types() RETURNS TABLE (pattern text, description text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 300
    BEGIN ATOMIC
        SELECT known.pattern, vendor.description
          FROM (VALUES
            ('Amazon Web Services',
             'aws_acmpca_certificate_authority aws_athena_database aws_backup_logically_air_gapped_vault
              aws_backup_vault aws_cloudhsm_v2_cluster aws_cloudsearch_domain aws_cloudwatch_log_group
              aws_codeartifact_repository aws_codecommit_repository aws_cognito_identity_pool aws_cognito_user
              aws_cognito_user_pool aws_dax_cluster aws_db_cluster_snapshot aws_db_instance aws_db_snapshot
              aws_directory_service_directory aws_docdb_cluster aws_docdb_cluster_instance
              aws_docdb_cluster_snapshot aws_docdb_global_cluster aws_docdbelastic_cluster aws_dsql_cluster
              aws_dynamodb_global_table aws_dynamodb_table aws_dynamodb_table_item aws_dynamodb_table_replica
              aws_ebs_snapshot aws_ebs_volume aws_ecr_repository aws_ecrpublic_repository aws_efs_file_system
              aws_elasticache_cluster aws_elasticache_global_replication_group
              aws_elasticache_replication_group aws_elasticache_serverless_cache aws_elasticsearch_domain
              aws_emr_cluster aws_fsx_backup aws_fsx_file_cache aws_fsx_lustre_file_system
              aws_fsx_ontap_file_system aws_fsx_ontap_storage_virtual_machine aws_fsx_ontap_volume
              aws_fsx_openzfs_file_system aws_fsx_openzfs_volume aws_fsx_windows_file_system aws_glacier_vault
              aws_glue_catalog_database aws_glue_catalog_table aws_identitystore_user aws_keyspaces_keyspace
              aws_keyspaces_table aws_kinesis_stream aws_kms_external_key aws_kms_key aws_kms_replica_key
              aws_lakeformation_resource aws_lightsail_bucket aws_lightsail_database aws_lightsail_disk
              aws_location_tracker aws_memorydb_cluster aws_memorydb_snapshot aws_mq_broker aws_msk_cluster
              aws_msk_serverless_cluster aws_neptune_cluster aws_neptune_cluster_instance
              aws_neptune_cluster_snapshot aws_neptune_global_cluster aws_neptunegraph_graph
              aws_opensearch_domain aws_opensearchserverless_collection aws_qldb_ledger aws_rds_cluster
              aws_rds_cluster_instance aws_rds_cluster_snapshot_copy aws_rds_global_cluster
              aws_redshift_cluster aws_redshift_cluster_snapshot aws_redshiftserverless_namespace
              aws_route53_zone aws_s3_bucket aws_s3_bucket_object aws_s3_directory_bucket aws_s3_object
              aws_s3tables_table aws_s3tables_table_bucket aws_s3vectors_index aws_s3vectors_vector_bucket
              aws_sagemaker_domain aws_sagemaker_feature_group aws_secretsmanager_secret
              aws_secretsmanager_secret_version aws_sqs_queue aws_ssm_parameter
              aws_storagegateway_cached_iscsi_volume aws_storagegateway_stored_iscsi_volume
              aws_timestreaminfluxdb_db_instance aws_timestreamwrite_database aws_timestreamwrite_table
              aws_workspaces_workspace'),
            ('Microsoft Azure',
             'azurerm_app_configuration azurerm_app_configuration_key azurerm_backup_protected_vm
              azurerm_container_registry azurerm_cosmosdb_account azurerm_cosmosdb_cassandra_cluster
              azurerm_cosmosdb_cassandra_keyspace azurerm_cosmosdb_cassandra_table
              azurerm_cosmosdb_gremlin_database azurerm_cosmosdb_gremlin_graph
              azurerm_cosmosdb_mongo_collection azurerm_cosmosdb_mongo_database
              azurerm_cosmosdb_postgresql_cluster azurerm_cosmosdb_sql_container azurerm_cosmosdb_sql_database
              azurerm_cosmosdb_table azurerm_data_lake_store azurerm_data_protection_backup_vault
              azurerm_databricks_workspace azurerm_disk_pool azurerm_dns_zone azurerm_elastic_san
              azurerm_elastic_san_volume azurerm_eventhub azurerm_eventhub_namespace
              azurerm_hdinsight_hadoop_cluster azurerm_hdinsight_hbase_cluster azurerm_hdinsight_kafka_cluster
              azurerm_healthcare_dicom_service azurerm_healthcare_fhir_service azurerm_key_vault
              azurerm_key_vault_certificate azurerm_key_vault_key
              azurerm_key_vault_managed_hardware_security_module azurerm_key_vault_secret azurerm_kusto_cluster
              azurerm_kusto_database azurerm_log_analytics_cluster azurerm_log_analytics_workspace
              azurerm_machine_learning_workspace azurerm_managed_disk azurerm_managed_lustre_file_system
              azurerm_managed_redis azurerm_mariadb_database azurerm_mariadb_server azurerm_mongo_cluster
              azurerm_mssql_database azurerm_mssql_elasticpool azurerm_mssql_managed_database
              azurerm_mssql_managed_instance azurerm_mssql_server azurerm_mssql_virtual_machine
              azurerm_mysql_database azurerm_mysql_flexible_database azurerm_mysql_flexible_server
              azurerm_mysql_server azurerm_netapp_account azurerm_netapp_pool azurerm_netapp_snapshot
              azurerm_netapp_volume azurerm_postgresql_database azurerm_postgresql_flexible_server
              azurerm_postgresql_flexible_server_database azurerm_postgresql_server azurerm_private_dns_zone
              azurerm_purview_account azurerm_recovery_services_vault azurerm_redis_cache
              azurerm_redis_enterprise_cluster azurerm_redis_enterprise_database azurerm_search_service
              azurerm_servicebus_namespace azurerm_servicebus_queue azurerm_servicebus_topic azurerm_snapshot
              azurerm_sql_database azurerm_sql_server azurerm_storage_account azurerm_storage_blob
              azurerm_storage_container azurerm_storage_data_lake_gen2_filesystem azurerm_storage_queue
              azurerm_storage_share azurerm_storage_share_file azurerm_storage_table
              azurerm_storage_table_entity azurerm_synapse_sql_pool azurerm_synapse_workspace'),
            ('Google Cloud',
             'google_active_directory_domain google_alloydb_cluster google_alloydb_instance
              google_artifact_registry_repository google_backup_dr_backup_vault google_bigquery_dataset
              google_bigquery_table google_bigtable_instance google_bigtable_table google_compute_disk
              google_compute_region_disk google_compute_snapshot google_compute_storage_pool
              google_container_registry google_dataplex_lake google_dataproc_cluster
              google_dataproc_metastore_service google_dns_managed_zone google_filestore_backup
              google_filestore_instance google_filestore_snapshot google_firebase_database_instance
              google_firestore_database google_firestore_document google_healthcare_dataset
              google_healthcare_dicom_store google_healthcare_fhir_store google_healthcare_hl7_v2_store
              google_kms_crypto_key google_kms_crypto_key_version google_kms_key_ring
              google_logging_project_bucket_config google_lustre_instance google_managed_kafka_cluster
              google_managed_kafka_topic google_memcache_instance google_memorystore_instance
              google_netapp_backup google_netapp_storage_pool google_netapp_volume google_notebooks_instance
              google_parallelstore_instance google_privateca_ca_pool google_privateca_certificate_authority
              google_project google_pubsub_lite_topic google_pubsub_subscription google_pubsub_topic
              google_redis_cluster google_redis_instance google_secret_manager_regional_secret
              google_secret_manager_secret google_secret_manager_secret_version google_sourcerepo_repository
              google_spanner_database google_spanner_instance google_sql_database google_sql_database_instance
              google_storage_bucket google_storage_bucket_object google_storage_managed_folder
              google_vertex_ai_feature_online_store google_vertex_ai_featurestore google_vertex_ai_index
              google_workbench_instance'),
            ('Kubernetes',
             'kubernetes_namespace kubernetes_namespace_v1 kubernetes_persistent_volume
              kubernetes_persistent_volume_claim kubernetes_persistent_volume_claim_v1
              kubernetes_persistent_volume_v1 kubernetes_secret kubernetes_secret_v1 kubernetes_stateful_set
              kubernetes_stateful_set_v1'),
            ('Alibaba Cloud',
             'alicloud_alikafka_instance alicloud_db_instance alicloud_disk alicloud_ecs_disk
              alicloud_elasticsearch_instance alicloud_kms_key alicloud_kms_secret alicloud_kvstore_instance
              alicloud_mongodb_instance alicloud_mongodb_sharding_instance alicloud_nas_file_system
              alicloud_oss_bucket alicloud_oss_bucket_object alicloud_ots_instance alicloud_ots_table
              alicloud_polardb_cluster alicloud_rds_clone_db_instance'),
            ('Oracle Cloud',
             'oci_core_boot_volume oci_core_volume oci_core_volume_group oci_database_autonomous_database
              oci_database_cloud_vm_cluster oci_database_db_system oci_file_storage_file_system oci_kms_key
              oci_kms_vault oci_mysql_mysql_db_system oci_nosql_table oci_objectstorage_bucket
              oci_objectstorage_object oci_opensearch_opensearch_cluster oci_psql_db_system
              oci_redis_redis_cluster oci_streaming_stream oci_vault_secret'),
            ('DigitalOcean',
             'digitalocean_container_registry digitalocean_database_cluster digitalocean_database_db
              digitalocean_database_replica digitalocean_domain digitalocean_spaces_bucket
              digitalocean_spaces_bucket_object digitalocean_volume digitalocean_volume_snapshot'),
            ('Other clouds',
             'docker_volume exoscale_block_storage_volume exoscale_database hcloud_volume ibm_cloudant
              ibm_cos_bucket ibm_database ibm_is_volume ibm_kms_key ibm_sm_arbitrary_secret libvirt_volume
              linode_database_mysql_v2 linode_database_postgresql_v2 linode_object_storage_bucket linode_volume
              openstack_blockstorage_volume_v3 openstack_db_instance_v1 openstack_keymanager_secret_v1
              openstack_objectstorage_container_v1 openstack_sharedfilesystem_share_v2
              ovh_cloud_project_database ovh_cloud_project_storage proxmox_virtual_environment_file
              scaleway_block_volume scaleway_instance_volume scaleway_mongodb_instance scaleway_object_bucket
              scaleway_rdb_database scaleway_rdb_instance scaleway_redis_cluster vsphere_virtual_disk
              vultr_block_storage vultr_database vultr_object_storage'),
            ('Services',
             'aiven_cassandra aiven_clickhouse aiven_dragonfly aiven_influxdb aiven_kafka aiven_kafka_topic
              aiven_m3db aiven_mysql aiven_mysql_database aiven_opensearch aiven_pg aiven_pg_database
              aiven_redis aiven_valkey astra_database b2_bucket clickhouse_service cloudflare_d1_database
              cloudflare_r2_bucket cloudflare_workers_kv cloudflare_workers_kv_namespace cloudflare_zone
              cockroach_cluster confluent_kafka_cluster confluent_kafka_topic confluent_schema
              consul_key_prefix consul_keys couchbase-capella_bucket couchbase-capella_cluster
              databricks_catalog databricks_metastore databricks_schema databricks_sql_table databricks_volume
              ec_deployment elasticstack_elasticsearch_index github_repository gitlab_project
              influxdb-v2_bucket minio_s3_bucket mongodbatlas_advanced_cluster mongodbatlas_cluster
              mongodbatlas_flex_cluster mongodbatlas_serverless_instance mysql_database neon_branch
              neon_database neon_project nomad_csi_volume nomad_volume pinecone_index planetscale_database
              postgresql_database postgresql_schema qdrant-cloud_accounts_cluster rabbitmq_exchange
              rabbitmq_queue rediscloud_active_active_subscription rediscloud_essentials_database
              rediscloud_subscription rediscloud_subscription_database snowflake_database
              snowflake_dynamic_table snowflake_schema snowflake_stage snowflake_table supabase_project
              timescale_service upstash_kafka_topic upstash_redis_database vault_generic_secret vault_kv_secret
              vault_kv_secret_v2 vault_mount vault_pki_secret_backend_root_cert
              vault_transit_secret_backend_key wasabi_bucket'),
            ('Values that cannot be made again',
             'random_password tls_private_key')) AS vendor (description, patterns),
               pg_catalog.regexp_split_to_table(vendor.patterns, E'\\s+') AS known (pattern);
    END;
COMMENT ON FUNCTION promote_internal.builtin_stateful_types() IS
'The types that promote.stateful_type comes with';
INSERT INTO promote.stateful_type (pattern, description, builtin)
SELECT b.pattern, b.description, true FROM promote_internal.builtin_stateful_types() AS b;

CREATE FUNCTION promote_internal.guard_stateful_type() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_guard_stateful_type';
REVOKE ALL ON FUNCTION promote_internal.guard_stateful_type() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.guard_stateful_type() IS
'Refuses to add, change or delete rows that come with promote, PM303: a dump would not know of it';

CREATE TRIGGER guard_stateful_type BEFORE INSERT OR UPDATE OR DELETE ON promote.stateful_type
    FOR EACH ROW EXECUTE FUNCTION promote_internal.guard_stateful_type();
ALTER TABLE promote.stateful_type ENABLE ALWAYS TRIGGER guard_stateful_type;

CREATE FUNCTION promote.record_plan(
    instance text, deployment integer, plan jsonb, fencing integer)
    RETURNS promote.deployment
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_record_plan';
REVOKE ALL ON FUNCTION promote.record_plan(text, integer, jsonb, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote.record_plan(text, integer, jsonb, integer) IS
'Records the JSON of a Terraform or OpenTofu plan for a claimed PLAN deployment: its changes as rows of planned_change, masked, its digest and facts with the deployment; the same document again changes nothing';

CREATE VIEW promote.resource_changes WITH (security_invoker = true) AS
    SELECT i.name AS instance,
           c.deployment,
           c.change,
           c.origin,
           c.address,
           c.previous_address,
           c.deposed,
           c.mode,
           c.type,
           c.provider,
           c.action,
           c.create_before_destroy,
           c.importing,
           c.action_reason,
           c.replace_paths,
           c.diff,
           c.origin <> 'drift' AND c.action IN ('delete', 'replace')
               AND COALESCE(c.mode, 'managed') = 'managed' AS destructive,
           EXISTS (SELECT FROM promote.stateful_type AS s WHERE s.pattern = c.type)
               OR EXISTS (SELECT FROM promote.stateful_type AS s
                           WHERE pg_catalog.strpos(s.pattern, '*') > 0 AND c.type LIKE s.like_pattern)
               OR EXISTS (SELECT FROM pg_catalog.unnest(b.stateful_types) AS own (pattern)
                           WHERE c.type LIKE promote_internal.type_pattern(own.pattern)) AS stateful,
           CASE WHEN c.origin = 'change' AND r.source_environment <> c.environment
                THEN c.fingerprint IS NOT NULL AND NOT EXISTS (
                    SELECT FROM promote.planned_change AS u
                      JOIN promote.deployment AS p USING (project, environment, component, deployment, fencing)
                     WHERE u.project = c.project AND u.environment = r.source_environment
                       AND u.component = c.component AND u.fingerprint = c.fingerprint
                       AND p.plan_facts IS NOT NULL)
           END AS unexpected,
           d.actor,
           d.created_at
      FROM promote.planned_change AS c
      JOIN promote.deployment AS d USING (project, environment, component, deployment, fencing)
      JOIN promote.instance AS i USING (project, environment, component)
      JOIN promote.revision AS r ON r.project = d.project AND r.environment = d.environment
           AND r.component = d.component AND r.revision = d.revision
      JOIN promote.bundle_release AS b ON b.bundle = d.bundle AND b.version = d.version
     -- what a claim recorded that was given back does not count any more
     WHERE d.plan_facts IS NOT NULL;
COMMENT ON VIEW promote.resource_changes IS 'What recorded plans would do, resource by resource, with marks for reviewers';
COMMENT ON COLUMN promote.resource_changes.instance IS 'Instance';
COMMENT ON COLUMN promote.resource_changes.deployment IS 'PLAN deployment';
COMMENT ON COLUMN promote.resource_changes.change IS 'Number in the document, from 1';
COMMENT ON COLUMN promote.resource_changes.origin IS 'change: planned; drift: found to have changed outside; deferred: left for a later plan';
COMMENT ON COLUMN promote.resource_changes.address IS 'The resource''s address; secrets in it are masked';
COMMENT ON COLUMN promote.resource_changes.previous_address IS 'Where it was, if it has moved';
COMMENT ON COLUMN promote.resource_changes.deposed IS 'Key of a deposed object, which the change is about instead of the current one';
COMMENT ON COLUMN promote.resource_changes.mode IS 'managed or data';
COMMENT ON COLUMN promote.resource_changes.type IS 'The resource''s type';
COMMENT ON COLUMN promote.resource_changes.provider IS 'Source address of the resource''s provider';
COMMENT ON COLUMN promote.resource_changes.action IS 'no-op, create, read, update, delete, replace or forget';
COMMENT ON COLUMN promote.resource_changes.create_before_destroy IS 'For a replace, whether the new object is made before the old one goes';
COMMENT ON COLUMN promote.resource_changes.importing IS 'Whether the change takes over a resource that is there already';
COMMENT ON COLUMN promote.resource_changes.action_reason IS 'Why, by a word of the tool''s';
COMMENT ON COLUMN promote.resource_changes.replace_paths IS 'Paths that force a replace';
COMMENT ON COLUMN promote.resource_changes.diff IS 'Leaf diff, what is sensitive masked';
COMMENT ON COLUMN promote.resource_changes.destructive IS 'Whether a managed resource is deleted or replaced';
COMMENT ON COLUMN promote.resource_changes.stateful IS 'Whether a resource of this type holds data, by the release or by promote.stateful_type';
COMMENT ON COLUMN promote.resource_changes.unexpected IS 'Whether no recorded plan of the instance that the revision came from had the same address, action and changed paths; NULL where the revision came from no instance, and for what is not planned';
COMMENT ON COLUMN promote.resource_changes.actor IS 'Who has asked for the deployment';
COMMENT ON COLUMN promote.resource_changes.created_at IS 'When';

CREATE VIEW promote_internal.visible_instance WITH (security_invoker = true) AS
    SELECT i.project, i.environment, i.component, i.name
      FROM promote.instance AS i;
COMMENT ON VIEW promote_internal.visible_instance IS 'The instances that the current role may see, also in views with the owner''s rights';
COMMENT ON COLUMN promote_internal.visible_instance.project IS 'The instance''s project';
COMMENT ON COLUMN promote_internal.visible_instance.environment IS 'The instance''s environment';
COMMENT ON COLUMN promote_internal.visible_instance.component IS 'The instance''s component';
COMMENT ON COLUMN promote_internal.visible_instance.name IS 'The instance''s name';

CREATE FUNCTION promote_internal.completed_runs(project text, environment text, component text)
    RETURNS TABLE (digest bytea, rendered_digest bytea)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 10
    BEGIN ATOMIC
        SELECT (SELECT r.digest
                  FROM promote.revision AS r
                 WHERE r.project = $1 AND r.environment = $2 AND r.component = $3 AND r.revision = u.revision),
               u.rendered_digest
          FROM promote.deployment AS u
         WHERE u.project = $1 AND u.environment = $2 AND u.component = $3
           AND u.action <> 'PLAN' AND u.action = 'PROVISION' AND u.status = 'COMPLETED' AND u.started_at IS NOT NULL
         ORDER BY u.project DESC, u.environment DESC, u.component DESC, u.started_at DESC;
    END;
REVOKE ALL ON FUNCTION promote_internal.completed_runs(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.completed_runs(text, text, text) IS
'The configurations that an instance has run with, as they were desired and as they were rendered, the last first';

CREATE FUNCTION promote_internal.never_ran(
    project text, environment text, component text, diff jsonb, own jsonb, theirs jsonb)
    RETURNS TABLE (place bigint, path text)
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 100
    AS 'MODULE_PATHNAME', 'promote_never_ran';
REVOKE ALL ON FUNCTION promote_internal.never_ran(text, text, text, jsonb, jsonb, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.never_ran(text, text, text, jsonb, jsonb, jsonb) IS
'The leaves of a diff, by their place in it, that no completed PROVISION of an instance had: not that value, nor one that is written as in own, the configuration that the diff is of, with its placeholders; of what is sensitive none, of what is removed one. With theirs only those that own has from there. No row where nothing ever ran there: there is nothing to compare with';

CREATE FUNCTION promote_internal.ran_upstream(
    project text, environment text, component text, deployment integer, leaf integer) RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED COST 10
    AS 'MODULE_PATHNAME', 'promote_ran_upstream';
GRANT EXECUTE ON FUNCTION promote_internal.ran_upstream(text, text, text, integer, integer) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.ran_upstream(text, text, text, integer, integer) IS
'Has a leaf of a deployment''s diff, by its number from 1, run like that in the environment that the revision was promoted from, as promote_internal.never_ran says it? NULL: it was not promoted from another environment, there is no such leaf, or the caller does not see it';

-- This view has the owner's rights, so that whoever sees a deployment sees all of its diff, which is masked.
CREATE VIEW promote.config_changes WITH (security_barrier = true) AS
    SELECT i.name AS instance,
           d.deployment,
           leaf.ordinality::integer AS leaf,
           leaf.value ->> 'kind' AS kind,
           leaf.value ->> 'path' AS path,
           leaf.value ->> 'change' AS change,
           leaf.value -> 'old' AS old_value,
           leaf.value -> 'new' AS new_value,
           leaf.value ? 'immutable' AS immutable,
           leaf.value ? 'sensitive' AS sensitive,
           (leaf.value ->> 'since')::integer AS since,
           NOT promote_internal.ran_upstream(d.project, d.environment, d.component, d.deployment, leaf.ordinality::integer)
               AS unexpected,
           d.actor,
           d.created_at
      FROM promote.deployment AS d
      JOIN promote_internal.visible_instance AS i USING (project, environment, component)
     CROSS JOIN pg_catalog.jsonb_array_elements(d.diff) WITH ORDINALITY AS leaf
     -- what stands around the leaves is no place of the configuration
     WHERE leaf.value ->> 'kind' IN ('param', 'parameter');
COMMENT ON VIEW promote.config_changes IS 'What deployments change of the configuration, leaf by leaf';
COMMENT ON COLUMN promote.config_changes.instance IS 'Instance';
COMMENT ON COLUMN promote.config_changes.deployment IS 'Deployment';
COMMENT ON COLUMN promote.config_changes.leaf IS 'Number in the deployment''s diff, from 1';
COMMENT ON COLUMN promote.config_changes.kind IS 'param; parameter: the same placeholder stands for something else';
COMMENT ON COLUMN promote.config_changes.path IS 'The leaf''s path';
COMMENT ON COLUMN promote.config_changes.change IS 'add, change or remove';
COMMENT ON COLUMN promote.config_changes.old_value IS 'Value before; masked where it is sensitive';
COMMENT ON COLUMN promote.config_changes.new_value IS 'Value after; masked where it is sensitive';
COMMENT ON COLUMN promote.config_changes.immutable IS 'Whether the leaf is marked immutable';
COMMENT ON COLUMN promote.config_changes.sensitive IS 'Whether the leaf is marked sensitive';
COMMENT ON COLUMN promote.config_changes.since IS 'Desired revision since which it waits; NULL: it is taken away';
COMMENT ON COLUMN promote.config_changes.unexpected IS 'Whether the instance that the revision came from has never run with that value there, before or after placeholders were replaced; for a sensitive leaf, with any value there. NULL where the revision came from no instance';
COMMENT ON COLUMN promote.config_changes.actor IS 'Who has asked for the deployment';
COMMENT ON COLUMN promote.config_changes.created_at IS 'When';
