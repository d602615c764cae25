-- What verbs that declare answer.

CREATE TYPE promote.declaration AS (
    kind    text,
    name    text,
    action  text,
    changes jsonb
);
COMMENT ON TYPE promote.declaration IS 'What was declared, and what that took';
COMMENT ON COLUMN promote.declaration.kind IS 'What it is: environment, approval_rule; the name of its table';
COMMENT ON COLUMN promote.declaration.name IS 'Which one: the columns of the key with slashes between them, as in the subjects of the audit log';
COMMENT ON COLUMN promote.declaration.action IS 'create, change, keep, delete; keep: nothing was written';
COMMENT ON COLUMN promote.declaration.changes IS 'An array of objects in the order of the table''s columns: column, old where it was there, new where it is now. Of what is created or deleted, what differs from the defaults; what is sensitive is masked';
