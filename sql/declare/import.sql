-- An existing fleet with its history: what was desired and what was deployed elsewhere, with the dates and the people.

CREATE FUNCTION promote.history_schema() RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN E'{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "$id": "urn:promote:history:1",
  "title": "What has happened to instances elsewhere",
  "type": "object",
  "required": ["version", "project", "instances"],
  "additionalProperties": false,
  "properties": {
    "$schema": {"type": "string", "description": "For editors; not looked at."},
    "version": {"const": 1, "description": "Of this schema."},
    "project": {"$ref": "#/$defs/name"},
    "instances": {
      "type": "array", "minItems": 1,
      "items": {
        "type": "object", "required": ["environment", "component", "revisions"], "additionalProperties": false,
        "properties": {
          "environment": {"$ref": "#/$defs/name"}, "component": {"$ref": "#/$defs/name"},
          "revisions": {
            "description": "What was desired, the oldest first; the last one is desired now. They are numbered from 1.",
            "type": "array", "minItems": 1, "items": {"$ref": "#/$defs/revision"}
          },
          "deployments": {
            "description": "What was carried out, in the order in which it was asked for. They are numbered from 1.",
            "type": "array", "items": {"$ref": "#/$defs/deployment"}
          }
        }
      }
    }
  },
  "$defs": {
    "name": {"type": "string", "minLength": 1, "maxLength": 63},
    "actor": {"type": "string", "maxLength": 255, "pattern": "^[^ \\\\n\\\\r\\\\t]([^\\\\n\\\\r\\\\t]*[^ \\\\n\\\\r\\\\t])?$"},
    "version": {"type": "string", "minLength": 1, "maxLength": 255},
    "text": {"type": "string", "maxLength": 10000},
    "number": {"type": "integer", "minimum": 1, "maximum": 1000000000},
    "time": {
      "description": "As in RFC 3339: 2024-05-01T10:00:00Z.",
      "type": "string",
      "pattern": "^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+-](0[0-9]|1[0-5]):[0-9]{2})$"
    },
    "revision": {
      "type": "object", "required": ["params", "actor", "at"], "additionalProperties": false,
      "anyOf": [{"required": ["version"]}, {"required": ["version_constraint"]}],
      "dependentRequired": {"source_environment": ["source_revision"], "source_revision": ["source_environment"]},
      "if": {"required": ["origin"], "properties": {"origin": {"enum": ["promotion", "merge"]}}},
      "then": {"required": ["source_environment", "source_revision"]},
      "properties": {
        "params": {"type": "object", "description": "Whole, and without masks."},
        "version": {"$ref": "#/$defs/version", "description": "The exact release. Left out: the newest one that the constraint allows now."},
        "version_constraint": {"$ref": "#/$defs/version", "description": "As promote.configure_instance takes it, such as ~1.2+dev. Left out: the exact release."},
        "actor": {"$ref": "#/$defs/actor"},
        "at": {"$ref": "#/$defs/time"},
        "message": {"$ref": "#/$defs/text"},
        "origin": {"enum": ["edit", "promotion", "fork", "rollback", "adoption", "merge"], "default": "edit"},
        "source_environment": {"$ref": "#/$defs/name"},
        "source_revision": {"$ref": "#/$defs/number"}
      }
    },
    "deployment": {
      "type": "object", "required": ["revision", "outcome", "actor", "requested_at", "finished_at"], "additionalProperties": false,
      "if": {"properties": {"outcome": {"enum": ["SUCCEEDED", "FAILED"]}}},
      "then": {"required": ["started_at"]},
      "properties": {
        "revision": {"$ref": "#/$defs/number", "description": "Which of the revisions."},
        "action": {"enum": ["PROVISION", "DECOMMISSION"], "default": "PROVISION"},
        "version": {"$ref": "#/$defs/version", "description": "The exact release that ran. Left out: that of the revision."},
        "outcome": {"enum": ["SUCCEEDED", "FAILED", "ABORTED"]},
        "actor": {"$ref": "#/$defs/actor", "description": "Who asked for it."},
        "approved_by": {"type": "array", "maxItems": 100, "items": {"$ref": "#/$defs/actor"}},
        "worker": {"$ref": "#/$defs/actor", "description": "Who carried it out."},
        "requested_at": {"$ref": "#/$defs/time"},
        "started_at": {"$ref": "#/$defs/time"},
        "finished_at": {"$ref": "#/$defs/time"},
        "message": {"$ref": "#/$defs/text", "description": "Why."},
        "reason": {"$ref": "#/$defs/text", "description": "How it ended."}
      }
    }
  }
}'::jsonb;
REVOKE ALL ON FUNCTION promote.history_schema() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION promote.history_schema() TO PUBLIC;
COMMENT ON FUNCTION promote.history_schema() IS
'The JSON Schema of the documents that promote.import_history reads';

CREATE FUNCTION promote.import_history(document jsonb, dry_run boolean DEFAULT false, message text DEFAULT NULL)
    RETURNS TABLE (instance text, action text, revisions integer, deployments integer, status text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100
    AS 'MODULE_PATHNAME', 'promote_import_history';
REVOKE ALL ON FUNCTION promote.import_history(jsonb, boolean, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.import_history(jsonb, boolean, text) IS
'Gives instances that have no history the one that they had elsewhere, marked as imported; all of the document or nothing. A row for each instance: create, or keep, where it was imported before. Takes the grant import in all of their environments';
