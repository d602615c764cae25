-- A project as one document: everything that people declare, to be kept as a text, compared, and applied.

CREATE FUNCTION promote.document_schema() RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN '{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "$id": "urn:promote:document:1",
  "title": "What a project of promote declares",
  "description": "What is left out has its default, a section that is left out is empty. Names of columns are those of the tables of the schema promote.",
  "type": "object",
  "required": ["version", "project"],
  "additionalProperties": false,
  "properties": {
    "$schema": {"type": "string", "description": "For editors; not looked at."},
    "version": {"const": 1, "description": "Of this schema."},
    "project": {
      "type": "object", "required": ["project"], "additionalProperties": false,
      "properties": {"project": {"$ref": "#/$defs/name"}, "description": {"$ref": "#/$defs/text"}, "attributes": {"$ref": "#/$defs/object"}}
    },
    "bundles": {
      "description": "The bundles of the components. Other projects may use them: they are never deleted.",
      "type": "array",
      "items": {
        "type": "object", "required": ["bundle"], "additionalProperties": false,
        "properties": {"bundle": {"$ref": "#/$defs/name"}, "description": {"$ref": "#/$defs/text"}}
      }
    },
    "releases": {
      "description": "Releases of the bundles. One that is published never changes, and none is deleted.",
      "type": "array",
      "items": {
        "type": "object", "required": ["bundle", "version", "params_schema"], "additionalProperties": false,
        "properties": {
          "bundle": {"$ref": "#/$defs/name"}, "version": {"$ref": "#/$defs/text"},
          "params_schema": {"type": ["object", "boolean"], "description": "The JSON Schema of the params."},
          "stateful_types": {"$ref": "#/$defs/texts"}, "secrets": {"$ref": "#/$defs/object"},
          "remote_references": {"$ref": "#/$defs/object"}, "presets": {"$ref": "#/$defs/object"},
          "artifact_digest": {"$ref": "#/$defs/text"}, "source_commit": {"$ref": "#/$defs/text"},
          "changelog": {"$ref": "#/$defs/text"}, "attributes": {"$ref": "#/$defs/object"}
        }
      }
    },
    "environments": {
      "description": "Environments in use, with the rules that are columns of their own.",
      "type": "array",
      "items": {
        "type": "object", "required": ["environment"], "additionalProperties": false,
        "properties": {
          "environment": {"$ref": "#/$defs/name"}, "description": {"$ref": "#/$defs/text"},
          "attributes": {"$ref": "#/$defs/object"}, "reference_defaults": {"$ref": "#/$defs/object"},
          "require_plan": {"type": "boolean"}, "decommission_protection": {"type": "boolean"},
          "max_lost_leases": {"$ref": "#/$defs/count"}, "source_policy": {"enum": ["any", "path"]},
          "require_source_in_sync": {"type": "boolean"}, "required_soak": {"$ref": "#/$defs/interval"},
          "require_no_drift": {"type": "boolean"}, "require_expected": {"type": "boolean"},
          "require_proven_release": {"type": "boolean"}, "require_no_reverts": {"type": "boolean"},
          "require_artifact_digest": {"type": "boolean"}, "require_structure": {"$ref": "#/$defs/name"},
          "version_policy": {"enum": ["constraint", "pinned"]}, "promotion_mode": {"enum": ["replace", "merge"]},
          "separation_of_duty": {"type": "boolean"}
        }
      }
    },
    "parameters": {
      "description": "What placeholders stand for. The string (sensitive value) stands for what is there.",
      "type": "array",
      "items": {
        "type": "object", "required": ["environment"], "additionalProperties": false,
        "properties": {
          "environment": {"$ref": "#/$defs/name"}, "parameters": {"$ref": "#/$defs/object"},
          "sensitive": {"$ref": "#/$defs/texts"}, "descriptions": {"$ref": "#/$defs/object"}
        }
      }
    },
    "components": {
      "type": "array",
      "items": {
        "type": "object", "required": ["component", "bundle"], "additionalProperties": false,
        "properties": {
          "component": {"$ref": "#/$defs/name"}, "bundle": {"$ref": "#/$defs/name"},
          "description": {"$ref": "#/$defs/text"}, "attributes": {"$ref": "#/$defs/object"},
          "version_policy": {"enum": ["constraint", "pinned"]}
        }
      }
    },
    "dependencies": {
      "type": "array",
      "items": {
        "type": "object", "required": ["component", "depends_on"], "additionalProperties": false,
        "properties": {
          "component": {"$ref": "#/$defs/name"}, "depends_on": {"$ref": "#/$defs/name"},
          "description": {"$ref": "#/$defs/text"}
        }
      }
    },
    "paths": {
      "type": "array",
      "items": {
        "type": "object", "required": ["source_environment", "destination_environment"], "additionalProperties": false,
        "properties": {
          "source_environment": {"$ref": "#/$defs/name"}, "destination_environment": {"$ref": "#/$defs/name"},
          "description": {"$ref": "#/$defs/text"}
        }
      }
    },
    "approval_rules": {
      "type": "array",
      "items": {
        "type": "object", "required": ["rule", "role"], "additionalProperties": false,
        "properties": {
          "environment": {"$ref": "#/$defs/name"}, "rule": {"$ref": "#/$defs/text"}, "role": {"$ref": "#/$defs/text"},
          "quorum": {"$ref": "#/$defs/count"}, "expires_after": {"$ref": "#/$defs/interval"},
          "requester_counts": {"type": "boolean"}, "component": {"$ref": "#/$defs/name"},
          "selector": {"$ref": "#/$defs/object"}, "description": {"$ref": "#/$defs/text"}
        }
      }
    },
    "required_checks": {
      "type": "array",
      "items": {
        "type": "object", "required": ["check_name"], "additionalProperties": false,
        "properties": {
          "environment": {"$ref": "#/$defs/name"}, "check_name": {"$ref": "#/$defs/text"},
          "of": {"enum": ["destination", "source"]}, "per_revision": {"type": "boolean"},
          "expires_after": {"$ref": "#/$defs/interval"}, "component": {"$ref": "#/$defs/name"},
          "selector": {"$ref": "#/$defs/object"}, "description": {"$ref": "#/$defs/text"}
        }
      }
    },
    "override_rules": {
      "type": "array",
      "items": {
        "type": "object", "required": ["code", "role"], "additionalProperties": false,
        "properties": {
          "environment": {"$ref": "#/$defs/name"}, "code": {"$ref": "#/$defs/text"}, "role": {"$ref": "#/$defs/text"},
          "description": {"$ref": "#/$defs/text"}
        }
      }
    },
    "freezes": {"type": "array", "items": {"$ref": "#/$defs/window", "unevaluatedProperties": false}},
    "change_windows": {
      "type": "array",
      "items": {
        "$ref": "#/$defs/window", "properties": {"max_deployments_per_window": {"$ref": "#/$defs/count"}},
        "unevaluatedProperties": false
      }
    },
    "policies": {
      "type": "array",
      "items": {
        "type": "object", "required": ["policy", "function"], "additionalProperties": false,
        "properties": {
          "policy": {"$ref": "#/$defs/text"}, "function": {"$ref": "#/$defs/text"},
          "environment": {"$ref": "#/$defs/name"}, "component": {"$ref": "#/$defs/name"},
          "selector": {"$ref": "#/$defs/object"}, "code": {"$ref": "#/$defs/text"},
          "timeout": {"$ref": "#/$defs/interval"}, "enabled": {"type": "boolean"}, "description": {"$ref": "#/$defs/text"}
        }
      }
    },
    "instances": {
      "type": "array",
      "items": {
        "type": "object", "required": ["environment", "component"], "additionalProperties": false,
        "properties": {
          "environment": {"$ref": "#/$defs/name"}, "component": {"$ref": "#/$defs/name"},
          "attributes": {"$ref": "#/$defs/object"},
          "params": {
            "type": "object",
            "description": "What is desired, whole. Left out: nothing is said of it. The string (sensitive value) stands for what is there."
          },
          "version": {"type": "string", "default": "latest", "description": "The version constraint as promote.configure_instance takes it, such as ~1.2+dev."},
          "remote_references": {"type": "object", "additionalProperties": {"type": "string"}},
          "secrets": {"$ref": "#/$defs/texts", "description": "Names of the secrets that its release declares, for people; not looked at."}
        },
        "dependentRequired": {"version": ["params"]}
      }
    }
  },
  "$defs": {
    "name": {"type": "string", "maxLength": 63},
    "text": {"type": "string"},
    "texts": {"type": "array", "items": {"type": "string"}},
    "object": {"type": "object"},
    "count": {"type": "integer", "minimum": 1},
    "interval": {"type": "string", "description": "In ISO 8601, such as P1D, or as PostgreSQL reads it."},
    "window": {
      "type": "object", "required": ["name"],
      "properties": {
        "name": {"$ref": "#/$defs/text"}, "environment": {"$ref": "#/$defs/name"}, "component": {"$ref": "#/$defs/name"},
        "selector": {"$ref": "#/$defs/object"}, "reason": {"$ref": "#/$defs/text"}, "during": {"$ref": "#/$defs/text"},
        "rule": {"$ref": "#/$defs/text"}, "zone": {"$ref": "#/$defs/text"}, "starts_at": {"$ref": "#/$defs/text"},
        "duration": {"$ref": "#/$defs/interval"}, "exdates": {"$ref": "#/$defs/texts"}
      }
    }
  }
}'::jsonb;
REVOKE ALL ON FUNCTION promote.document_schema() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION promote.document_schema() TO PUBLIC;
COMMENT ON FUNCTION promote.document_schema() IS
'The JSON Schema of documents of projects, as promote.export_project writes and promote.apply_document reads them';

CREATE FUNCTION promote_internal.desired_for_document(project text, environment text, component text, shown boolean)
    RETURNS TABLE (params jsonb, version_constraint text, said_constraint text, release_channel text, revision integer)
    LANGUAGE sql STABLE ROWS 1
    BEGIN ATOMIC
        SELECT d.params, d.version_constraint,
               d.version_constraint || CASE d.release_channel WHEN 'development' THEN '+dev' ELSE '' END,
               d.release_channel, d.revision
          FROM promote_internal.desired_at($1, $2, $3, 'infinity', $4) AS d;
    END;
REVOKE ALL ON FUNCTION promote_internal.desired_for_document(text, text, text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.desired_for_document(text, text, text, boolean) IS
'What an instance desires now, with the constraint and the channel in one as promote.configure_instance takes them; shown: nothing is masked. No row: nothing';

CREATE FUNCTION promote_internal.state_for_document(project text, environment text, component text) RETURNS jsonb
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT COALESCE((SELECT pg_catalog.jsonb_build_object('params', d.params)
                                || CASE d.said_constraint WHEN 'latest' THEN '{}'
                                   ELSE pg_catalog.jsonb_build_object('version', d.said_constraint) END
                           FROM promote_internal.desired_for_document($1, $2, $3, false) AS d), '{}')
            || COALESCE((SELECT pg_catalog.jsonb_build_object('remote_references',
                                    pg_catalog.jsonb_object_agg(r.field, r.reference))
                           FROM promote.remote_reference AS r
                          WHERE r.project = $1 AND r.environment = $2 AND r.component = $3
                         HAVING pg_catalog.count(*) > 0), '{}')
            || COALESCE((SELECT pg_catalog.jsonb_build_object('secrets', pg_catalog.jsonb_agg(s.name ORDER BY s.name))
                           FROM promote_internal.instance_release AS i
                           JOIN promote.bundle_release AS f ON f.bundle = i.bundle AND f.version = i.version
                          CROSS JOIN LATERAL (SELECT k COLLATE "C" FROM pg_catalog.jsonb_object_keys(f.secrets) AS k) AS s (name)
                          WHERE i.project = $1 AND i.environment = $2 AND i.component = $3
                         HAVING pg_catalog.count(*) > 0), '{}');
    END;
REVOKE ALL ON FUNCTION promote_internal.state_for_document(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.state_for_document(text, text, text) IS
'What documents say of an instance beside its row: its desired params with what is sensitive masked, its version constraint where that is not latest, its remote references and the names of the secrets that its release declares';

CREATE FUNCTION promote.export_project(project text, releases boolean DEFAULT true) RETURNS jsonb
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'promote_export_project';
REVOKE ALL ON FUNCTION promote.export_project(text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote.export_project(text, boolean) IS
'Everything that is declared of a project as one document of promote.document_schema(), with its bundles and, unless they are left out, their releases. Sensitive values are masked, and of secrets there are names alone. Takes the grant configure in the project';

CREATE FUNCTION promote.export_text(project text, format text DEFAULT 'yaml', releases boolean DEFAULT true) RETURNS text
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'promote_export_text';
REVOKE ALL ON FUNCTION promote.export_text(text, text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote.export_text(text, text, boolean) IS
'What promote.export_project returns, as YAML or JSON in one way: two texts differ where the documents differ in meaning';

CREATE FUNCTION promote.apply_document(
    document jsonb, prune boolean DEFAULT false, dry_run boolean DEFAULT false, message text DEFAULT NULL)
    RETURNS SETOF promote.declaration
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100
    AS 'MODULE_PATHNAME', 'promote_apply_document';
REVOKE ALL ON FUNCTION promote.apply_document(jsonb, boolean, boolean, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.apply_document(jsonb, boolean, boolean, text) IS
'Makes a project what a document of promote.document_schema() says, or refuses all of it: a row for each thing that is declared, in an order in which nothing comes before what it depends on. With prune, what the document lacks is deleted; with dry_run, all is taken back. Nothing is deployed. Takes the grant configure in the project, and those of the verbs that declare what differs';

CREATE FUNCTION promote.apply_text(
    document text, prune boolean DEFAULT false, dry_run boolean DEFAULT false, message text DEFAULT NULL)
    RETURNS SETOF promote.declaration
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100
    AS 'MODULE_PATHNAME', 'promote_apply_text';
REVOKE ALL ON FUNCTION promote.apply_text(text, boolean, boolean, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.apply_text(text, boolean, boolean, text) IS
'promote.apply_document with the document as a text, YAML or JSON';

CREATE FUNCTION promote_internal.parameters_for_document(element jsonb)
    RETURNS TABLE (present jsonb, masked jsonb, told jsonb, tells boolean)
    LANGUAGE sql STABLE ROWS 1
    BEGIN ATOMIC
        SELECT pg_catalog.jsonb_build_object('parameters', s.parameters),
               pg_catalog.jsonb_build_object('parameters', s.parameters || COALESCE(m.masks, '{}')),
               $1 || CASE WHEN m.names @> ($1 -> 'sensitive') AND m.names <@ ($1 -> 'sensitive')
                     THEN pg_catalog.jsonb_build_object('sensitive', m.names) ELSE '{}' END,
               m.tells
          FROM (SELECT) AS one
          LEFT JOIN promote.parameter_set AS s ON s.project = $1 ->> 'project' AND s.environment = $1 ->> 'environment'
         CROSS JOIN LATERAL (
              SELECT pg_catalog.jsonb_object_agg(n.name, '(sensitive value)')
                         FILTER (WHERE $1 -> 'sensitive' OPERATOR(pg_catalog.?) n.name) AS masks,
                     pg_catalog.to_jsonb(s.sensitive) AS names,
                     COALESCE(pg_catalog.bool_or($1 #> ARRAY['parameters', n.name] <> '"(sensitive value)"'), false) AS tells
                FROM pg_catalog.unnest(s.sensitive) AS n (name)) AS m;
    END;
REVOKE ALL ON FUNCTION promote_internal.parameters_for_document(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.parameters_for_document(jsonb) IS
'An environment''s parameters as they are, NULL where there are none, with masks for those that are sensitive and that a document''s element says to be, that element, with the names of sensitive ones in the order that they have, and whether it tells a value of one';
