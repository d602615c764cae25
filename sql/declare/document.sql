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
          "parameters": {"$ref": "#/$defs/object"},
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
          "version_constraint": {"type": "string", "default": "latest", "description": "As promote.configure_instance takes it, such as ~1.2+dev."},
          "remote_references": {"type": "object", "additionalProperties": {"type": "string"}},
          "secrets": {"$ref": "#/$defs/texts", "description": "Names of the secrets that its release declares, for people; not looked at."}
        },
        "dependentRequired": {"version_constraint": ["params"]}
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
