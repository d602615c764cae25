-- The story of one promotion, from staging to production, told by psql:
-- ./dev demo runs it in a database of its own.
\set QUIET on
\set ON_ERROR_STOP on
\pset null '(missing)'
\pset footer off
CREATE EXTENSION promote;

\echo
\echo '== The stage: a bundle with two releases, a project with two environments'
\echo
-- The schema of a public bundle where it is at hand, else our own. It gets three marks that the story needs.
\set schema `cat "${PROMOTE_DATA:-../shared/data}/bundles/aws-rds-postgres/params.schema.published.json" 2>/dev/null || cat demo/postgres.schema.json`
INSERT INTO promote.bundle VALUES ('aws-rds-postgres', 'PostgreSQL on Amazon RDS');
INSERT INTO promote.bundle_release (bundle, version, secrets, params_schema)
SELECT 'aws-rds-postgres', version, secrets,
       jsonb_set(jsonb_set(jsonb_set(:'schema'::jsonb,
           '{properties,database,properties,deletion_protection,$md.copyable}', 'false'),
           '{properties,database,properties,username,$md.sensitive}', 'true'),
           '{properties,storage,properties,max_allocated,default}', '0')
  FROM (VALUES ('1.0.0', '{}'::jsonb),
               ('1.4.0-dev.20260915T101500Z', '{"replication_password": {"required": true}}')) AS r (version, secrets);

INSERT INTO promote.project VALUES ('ecomm', 'The shop');
INSERT INTO promote.environment (project, environment)
VALUES ('ecomm', 'staging'), ('ecomm', 'production');
INSERT INTO promote.component (project, component, bundle)
VALUES ('ecomm', 'db', 'aws-rds-postgres');
INSERT INTO promote.instance (project, environment, component)
VALUES ('ecomm', 'staging', 'db'), ('ecomm', 'production', 'db');

-- Both have run since spring. What waits is carried out by a worker, whose tool is a stand-in for Terraform.
SELECT destination, new_revision, deployment AS plan
  FROM promote.configure_instance('ecomm-staging-db', '{
    "database": {"username": "root", "engine_version": "13.7", "instance_class": "db.t3.small",
                 "deletion_protection": false},
    "networking": {"subnet_type": "internal"},
    "storage": {"type": "io1", "allocated": 100, "max_allocated": 1000, "iops": 3000},
    "backup": {"retention_period": 7},
    "observability": {"enhanced_monitoring_interval": 60}
}', '1.0.0', 'as it has been since spring')
UNION ALL
SELECT destination, new_revision, deployment
  FROM promote.configure_instance('ecomm-production-db', '{
    "database": {"username": "root", "engine_version": "13.7", "instance_class": "db.r5b.large",
                 "deletion_protection": true},
    "networking": {"subnet_type": "internal"},
    "storage": {"type": "io1", "allocated": 100, "max_allocated": 1000, "iops": 3000},
    "backup": {"retention_period": 7},
    "observability": {"enhanced_monitoring_interval": 0}
}', '1.0.0', 'as it has been since spring');
\set work `mktemp -d`
\setenv WORK :work
\setenv WORKER 'TERRAFORM=$PWD/demo/terraform examples/worker/worker -1 -n worker-1 -m demo/modules -w "$WORK"'
\! eval "$WORKER"
SELECT d.action, d.status, d.plan FROM promote.instance AS i, promote.deploy_instance(i.name) AS d ORDER BY i.name;
\! eval "$WORKER"

\echo
\echo '-- Staging is tuned for the autumn sale, by the newest development build, and runs it.'
\echo
SELECT destination, new_revision, deployment AS plan
  FROM promote.configure_instance('ecomm-staging-db', '{
    "database": {"username": "shop", "engine_version": "14.3", "instance_class": "db.t3.medium"},
    "storage": {"type": "gp2", "allocated": 200, "max_allocated": 0, "iops": null},
    "backup": {"retention_period": 14, "skip_final_snapshot": false},
    "observability": {"enhanced_monitoring_interval": 30, "performance_insights_retention_period": 7}
}', 'latest+dev', 'tuned for the autumn sale');
\! eval "$WORKER"
-- Another user name means another password, and a replaced password is a loss: a gate blocks, which a DBA may override.
CREATE ROLE dba;
GRANT dba TO CURRENT_USER;
INSERT INTO promote.override_rule (project, environment, code, role)
SELECT 'ecomm', environment, 'destructive', 'dba' FROM promote.environment;
SELECT code, messages, reason FROM promote.override_gate('ecomm-staging-db', 3, 'destructive', 'nobody else knows staging''s password');
-- The new release wants a password. Nobody knows this one; a driver would pass it as a parameter.
\set password `head -c 15 /dev/urandom | base64`
SELECT changed AS "password set" FROM promote.set_secret('ecomm-staging-db', 'replication_password', :'password');
SELECT action, status, plan FROM promote.deploy_instance('ecomm-staging-db');
\! eval "$WORKER"

\echo
\echo '== 1. What would change? Nothing is written.'
\echo
SELECT * FROM promote.preview_promotion('ecomm-staging-db', 'ecomm-production-db');

\echo
\echo '== 2. Promote, with production''s own size.'
\echo
SET promote.actor = 'ada@example.com';
\pset expanded on
SELECT destination, old_revision, new_revision, deployment, changed, jsonb_array_length(diff) AS changes
  FROM promote.promote_instance('ecomm-staging-db', 'ecomm-production-db',
                                '{"database": {"instance_class": "db.r6g.xlarge"}}',
                                copy_secrets => true, message => 'autumn sale');
\pset expanded off

\echo
\echo '== 3. The plan, for the reviewer.'
\echo
\pset tuples_only on
\pset format unaligned
SELECT promote.plan_text('ecomm-production-db', 3);
\pset format aligned
\pset tuples_only off

\echo
\echo '== 4. Overrides out of a YAML file.'
\echo
\! cat demo/prod-db.yaml
\echo
\set o `cat demo/prod-db.yaml`
SELECT destination, old_revision, new_revision, deployment AS plan, changed
  FROM promote.promote_instance('ecomm-staging-db', 'ecomm-production-db',
                                promote.yaml_to_jsonb(:'o'));

\echo
\echo '== 5. What is refused, and why.'
\echo
\set ON_ERROR_STOP off
\set VERBOSITY default
INSERT INTO promote.component (project, component, bundle) VALUES ('ecomm', 'cache', 'aws-rds-postgres');
INSERT INTO promote.instance (project, environment, component) VALUES ('ecomm', 'production', 'cache');
SELECT * FROM promote.promote_instance('ecomm-staging-db', 'ecomm-production-cache');
SELECT * FROM promote.promote_instance('ecomm-staging-db', 'ecomm-canary-db');
SELECT * FROM promote.promote_instance('ecomm-staging-db', 'ecomm-production-db',
    '{"storage": {"allocated": 5, "type": "floppy"}, "backup": {"retention_period": null}}');
\set ON_ERROR_STOP on

\echo
\echo '== 6. Who did what, and is the record whole?'
\echo
SELECT destination, revision, actor, source || ' @ ' || source_revision AS source, changes, plan, message
  FROM promote.promotion_history ORDER BY destination, revision;
SELECT revision, version_constraint, params -> 'storage' AS storage
  FROM promote.config_as_of('ecomm-production-db', now());
SELECT subject, seq, actor, event, left(encode(hash, 'hex'), 12) AS hash
  FROM promote.audit_log ORDER BY subject, seq;
SELECT * FROM promote.verify_audit();

\echo
\echo '== 7. A worker plans with its tool, and the reviewer sees what will really happen.'
\echo
\! eval "$WORKER"
\echo
\pset tuples_only on
\pset format unaligned
SELECT promote.plan_text('ecomm-production-db');
\pset format aligned
\pset tuples_only off

\echo
\echo '== 8. Deploy what was reviewed. That a password is replaced blocks, until somebody who may says why not.'
\echo
\set ON_ERROR_STOP off
SELECT deployment, action, status, plan, revision FROM promote.deploy_instance('ecomm-production-db', message => 'reviewed by Grace');
\set ON_ERROR_STOP on
SELECT code, actor, reason FROM promote.override_gate('ecomm-production-db', 4, 'destructive', 'the shop reads it anew');
SELECT deployment, action, status, plan, revision FROM promote.deploy_instance('ecomm-production-db', message => 'reviewed by Grace');
\! eval "$WORKER"
\echo
SELECT instance, status, desired_revision, deployed_revision, deployed_version FROM promote.instance_status ORDER BY instance;

\echo
\echo '== 9. And back. A rehearsal first: what the last plan replaced would be replaced once more.'
\echo
SELECT kind, code, path, old_value, new_value, message FROM promote.rehearse_rollback('ecomm-production-db') WHERE kind = 'obstacle' OR path ~ 'database';
SELECT destination, old_revision, new_revision, deployment AS plan FROM promote.rollback_instance('ecomm-production-db', message => 'too slow');
\! eval "$WORKER"
SELECT code, actor, reason FROM promote.override_gate('ecomm-production-db', 6, 'destructive', 'as rehearsed');
SELECT deployment, action, status, plan FROM promote.deploy_instance('ecomm-production-db');
\! eval "$WORKER"
\echo
SELECT instance, status, desired_revision, deployed_revision, deployed_version FROM promote.instance_status ORDER BY instance;
SELECT * FROM promote.verify_audit();

\echo
\echo '== 10. Production gets gates: one path, a reviewer who is not who asks, a load test, and peace at Christmas.'
\echo
CREATE ROLE grace LOGIN IN ROLE dba;
INSERT INTO promote.grants (role, project, environment, action)
VALUES ('dba', 'ecomm', 'production', 'approve'), ('dba', 'ecomm', 'production', 'override');
INSERT INTO promote.promotion_path (project, source_environment, destination_environment) VALUES ('ecomm', 'staging', 'production');
UPDATE promote.environment SET source_policy = 'path', separation_of_duty = true WHERE environment = 'production';
INSERT INTO promote.approval_rule (project, environment, rule, role, quorum) VALUES ('ecomm', 'production', 'plan review', 'dba', 1);
INSERT INTO promote.required_check (project, environment, check_name, "of") VALUES ('ecomm', 'production', 'load test', 'source');
INSERT INTO promote.freeze_window (name, project, environment, rule, zone, starts_at, duration, reason)
VALUES ('christmas', 'ecomm', 'production', 'FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=20', 'Europe/Berlin', '2030-12-20 00:00', '18 days', 'nobody is there');

\echo '== 11. A request: its scope is previewed before anything moves.'
\echo
SELECT request, status, strategy, rollback_mode FROM promote.open_request('ecomm', 'staging', 'production', '{"components": ["db"]}',
    overrides => '{"db": {"database": {"instance_class": "db.r6g.xlarge"}}}', rollback_mode => 'wave',
    verification_owner => 'Vera', fallback_owner => 'Frank', ticket => 'SHOP-7', message => 'autumn sale, once more');
SELECT wave, instance, jsonb_array_length(diff) AS changes, blockers -> 0 ->> 'message' AS blocked_by, preview FROM promote.preview_request('ecomm', 1);
SELECT status, wave, moved, waits_for FROM promote.advance_request('ecomm', 1);

\echo
\echo '== 12. A worker plans. The deployment is blocked; every reason at once.'
\echo
\! eval "$WORKER"
\echo
SELECT deployment AS plan FROM promote.instance WHERE name = 'ecomm-production-db' \gset
SELECT code, message, liftable_by FROM promote.blockers('ecomm-production-db', :plan);
\set ON_ERROR_STOP off
SELECT * FROM promote.deploy_instance('ecomm-production-db');
\set ON_ERROR_STOP on
\echo
\echo '-- On Christmas Eve there would be one more:'
\echo
SELECT code, message, until FROM promote.blockers('ecomm-production-db', :plan, '2030-12-24 12:00+01') WHERE code = 'freeze';

\echo
\echo '== 13. The load test is green. Grace approves what she has read, and answers for the password.'
\echo
SELECT check_name, healthy FROM promote.report_health('ecomm-staging-db', 'load test', true, '4000 requests a second');
SELECT instance, rule, given, quorum, missing FROM promote.approval_status WHERE instance = 'ecomm-production-db' AND deployment = :plan;
RESET promote.actor;
SET ROLE grace;
SELECT deployment, action, status FROM promote.approve_deployment('ecomm-production-db', :plan, 'as in staging');
SELECT code, actor, reason FROM promote.override_gate('ecomm-production-db', :plan, 'destructive', 'the shop reads it anew');
RESET ROLE;
SET promote.actor = 'ada@example.com';
SELECT * FROM promote.blockers('ecomm-production-db', :plan);

\echo
\echo '== 14. The request goes on, to its end.'
\echo
SELECT status, wave, moved, waits_for FROM promote.advance_request('ecomm', 1);
\! eval "$WORKER"
SELECT promote.report_health('ecomm-production-db', 'load test', true) \g /dev/null
SELECT status, wave, moved, waits_for FROM promote.advance_request('ecomm', 1);
SELECT component, environment, status, revision, version, next, promotable, why_not FROM promote.promotion_matrix WHERE component = 'db';

\echo
\echo '== 15. The evidence.'
\echo
\pset tuples_only on
\pset format unaligned
SELECT promote.handoff_text('ecomm', 1);
\echo
SELECT 'In the evidence: ' || string_agg(key, ', ') FROM promote.request_evidence('ecomm', 1) AS e, jsonb_object_keys(e) AS key;
SELECT jsonb_pretty(gates - 'gates') FROM promote.deployment WHERE environment = 'production' AND action = 'PROVISION' ORDER BY deployment DESC LIMIT 1;
\pset format aligned
\pset tuples_only off
\echo
\echo '-- What was overridden, and nobody else has looked at yet:'
\echo
SELECT instance, deployment, code, actor, reason, deployed FROM promote.override_status WHERE reviewed_at IS NULL ORDER BY created_at;
SELECT * FROM promote.verify_audit();

\echo
\echo '== 16. Staging''s password went with the promotion. What shows it?'
\echo
SELECT instance, name, required, is_set, set_by, count(*) OVER (PARTITION BY fingerprint) AS with_that_value
  FROM promote.secret_status ORDER BY instance;
\setenv PASSWORD :password
\! for where in "${STORY:-/dev/null}" "$PGHOST/log" dump; do case $where in dump) pg_dump ;; *) cat "$where" ;; esac | grep -cF "$PASSWORD" | sed "s,^,lines that hold it in the ${where##*/}: ,"; done
\! rm -rf "$WORK"
