-- Plans and requests as Markdown: here is what is told, as blocks of words; src/page/markdown.c writes them. The words of
-- a block alternate, ours and what somebody wrote; the cells of columns whose title ends with an asterisk are ours.

CREATE FUNCTION promote_internal.diff_blocks(diff jsonb, revision integer)
    RETURNS TABLE (place bigint, kind text, words text[])
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 20
    BEGIN ATOMIC
        SELECT 0, 'columns', ARRAY['Change*', 'Path', 'From', 'To', 'Marks*']
         WHERE $1 <> '[]'
         UNION ALL
        SELECT e.place, 'row', ARRAY[
                   e.leaf ->> 'change', e.leaf ->> 'path', (e.leaf -> 'old')::text, (e.leaf -> 'new')::text,
                   pg_catalog.concat_ws(', ', CASE WHEN e.leaf ? 'immutable' THEN 'immutable' END,
                       CASE WHEN e.leaf ? 'sensitive' THEN 'sensitive' END,
                       CASE WHEN e.leaf ? 'unexpected' THEN 'UNEXPECTED' END,
                       'UNDOES revision ' || (e.leaf -> 'reverts' ->> 'revision'),
                       CASE WHEN (e.leaf -> 'since')::integer <> $2 THEN 'since revision ' || (e.leaf ->> 'since') END)]
          FROM (SELECT x.leaf,
                       -- a group after the other, each in the order of the diff
                       pg_catalog.row_number() OVER (ORDER BY CASE x.leaf ->> 'kind' WHEN 'param' THEN 1 WHEN 'parameter' THEN 2
                                                              WHEN 'release' THEN 0 ELSE 3 END, x.place) AS place
                  FROM pg_catalog.jsonb_array_elements($1) WITH ORDINALITY AS x (leaf, place)) AS e;
    END;
REVOKE ALL ON FUNCTION promote_internal.diff_blocks(jsonb, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.diff_blocks(jsonb, integer) IS
'A diff of a revision, masked as it is kept, as the blocks of a table, with a mark on what waits since an earlier one; no row where nothing differs';

CREATE FUNCTION promote_internal.diff_words(diff jsonb) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT pg_catalog.format('%s to add, %s to change, %s to remove',
                   pg_catalog.count(*) FILTER (WHERE e ->> 'change' = 'add'),
                   pg_catalog.count(*) FILTER (WHERE e ->> 'change' = 'change'),
                   pg_catalog.count(*) FILTER (WHERE e ->> 'change' = 'remove'))
          FROM pg_catalog.jsonb_array_elements($1) AS e;
    END;
REVOKE ALL ON FUNCTION promote_internal.diff_words(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.diff_words(jsonb) IS 'How much a diff comes to, in words';

CREATE FUNCTION promote_internal.plan_blocks(of_project text, of_environment text, of_component text, of_deployment integer)
    RETURNS TABLE (kind text, words text[])
    LANGUAGE sql STABLE ROWS 50
    BEGIN ATOMIC
        WITH d AS MATERIALIZED (
            SELECT d.*, i.name, r.source_environment, r.source_revision, r.message AS revision_message, f.artifact_digest,
                   f.source_commit,
                   d.action <> 'PLAN' AND d.status IN ('PROPOSED', 'PENDING', 'APPROVED', 'RUNNING')
                       OR d.action = 'PLAN' AND d.status NOT IN ('FAILED', 'ABORTED', 'REJECTED') AS is_open,
                   promote_internal.marked_diff(d.project, d.environment, d.component, d.deployment) AS marked
              FROM promote.deployment AS d
              JOIN promote.instance AS i
                ON i.project = d.project AND i.environment = d.environment AND i.component = d.component
              JOIN promote.revision AS r
                ON r.project = d.project AND r.environment = d.environment AND r.component = d.component AND r.revision = d.revision
              JOIN promote.bundle_release AS f ON f.bundle = d.bundle AND f.version = d.version
             WHERE d.project = $1 AND d.environment = $2 AND d.component = $3 AND d.deployment = $4
        ), resource AS MATERIALIZED (
            SELECT c.*
              FROM d
             CROSS JOIN promote.resource_changes AS c
             WHERE c.instance = d.name AND c.deployment = COALESCE(d.plan, d.deployment)
        ), gate AS MATERIALIZED (
            -- what is over passes none any more
            SELECT b.*
              FROM d
             CROSS JOIN LATERAL promote.blockers(d.name::text, d.deployment) WITH ORDINALITY
                   AS b (code, message, since, until, liftable_by, overridable, place)
             WHERE d.is_open
        ), block (section, place, kind, words) AS (
            SELECT 1, 0::bigint, 'title', ARRAY[pg_catalog.initcap(d.action) || ' ' || d.deployment || ' of ', d.name::text]
              FROM d
             UNION ALL
            SELECT 1, 1, 'state', CASE
                       WHEN NOT d.is_open THEN ARRAY[CASE d.status WHEN 'COMPLETED' THEN 'good' WHEN 'FAILED' THEN 'bad' ELSE 'soft' END,
                                                     pg_catalog.initcap(d.status)]
                       WHEN n.gates = 0 THEN ARRAY['good', 'Nothing stands in the way']
                       ELSE ARRAY['bad', n.gates || CASE n.gates WHEN 1 THEN ' gate stands' ELSE ' gates stand' END || ' in the way'] END
              FROM d CROSS JOIN (SELECT pg_catalog.count(*) AS gates FROM gate) AS n
             UNION ALL
            SELECT 2, v.place, 'item', v.words
              FROM d
             CROSS JOIN LATERAL (VALUES
                   (1, CASE WHEN d.is_open THEN ARRAY['Status: ' || d.status] END),
                   (2, CASE WHEN d.source_environment IS NOT NULL
                            THEN ARRAY['From revision ' || d.source_revision || ' of ',
                                       d.project || '-' || d.source_environment || '-' || d.component] END),
                   (3, ARRAY['To ' || COALESCE('revision ' || d.base_revision || ' -> ', '') || 'revision ' || d.revision || ' of ',
                             d.name::text, ', release ', d.bundle::text, ' ',
                             NULLIF(d.previous_version::text, d.version::text),
                             CASE WHEN d.previous_version <> d.version THEN ' -> ' ELSE '' END, d.version::text]),
                   (4, CASE WHEN d.artifact_digest IS NOT NULL THEN ARRAY['Artifact ', d.artifact_digest::text] END),
                   (5, CASE WHEN d.source_commit IS NOT NULL THEN ARRAY['Commit ', d.source_commit::text] END),
                   (6, ARRAY['Asked for by ', d.actor, ' at ' || promote_internal.time_words(d.created_at)]),
                   (7, CASE WHEN COALESCE(d.message, d.revision_message) IS NOT NULL
                            THEN ARRAY['Why: ', COALESCE(d.message, d.revision_message)] END),
                   (8, (SELECT ARRAY['Request ' || q.request || CASE WHEN q.ticket IS NULL THEN '' ELSE ', ticket ' END, q.ticket]
                          FROM promote.promotion_request_item AS t
                          JOIN promote.promotion_request AS q ON q.project = t.project AND q.request = t.request
                         WHERE t.project = d.project AND t.destination_environment = d.environment AND t.component = d.component
                           AND d.revision IN (t.revision, t.rollback_revision)
                         ORDER BY q.request DESC LIMIT 1)),
                   (9, CASE WHEN d.destructive THEN ARRAY['DESTRUCTIVE: an immutable value changes, so that what runs is replaced'] END),
                   (10, CASE WHEN d.plan_defects <> '{}'
                             THEN ARRAY['It cannot be deployed: ' || pg_catalog.array_to_string(d.plan_defects, ', ')] END)
                 ) AS v (place, words)
             WHERE v.words IS NOT NULL
             UNION ALL
            SELECT 3, v.place, v.kind, v.words
              FROM (VALUES (0, 'heading', ARRAY['What stands in the way']),
                           (1, 'columns', ARRAY['Gate', 'Why', 'Since*', 'Until*', 'Who can lift it', 'Override*'])) AS v (place, kind, words)
             WHERE EXISTS (SELECT FROM gate)
             UNION ALL
            SELECT 3, 1 + b.place, 'row', ARRAY[b.code, b.message, promote_internal.time_words(b.since),
                                                promote_internal.time_words(b.until), COALESCE(b.liftable_by, 'time alone'),
                                                CASE WHEN b.overridable THEN 'yes' ELSE 'no' END]
              FROM gate AS b
             UNION ALL
            SELECT 4, v.place, v.kind, v.words
              FROM d
             CROSS JOIN LATERAL (VALUES
                   (0, 'heading', ARRAY['To approve this']),
                   (1, 'text', ARRAY['Plan digest ', pg_catalog.encode(d.plan_digest, 'hex')]),
                   (2, 'code', ARRAY[pg_catalog.format('SELECT promote.approve_deployment(%L, %s);', d.name, d.deployment)])
                 ) AS v (place, kind, words)
             WHERE (d.action = 'PLAN' AND d.status = 'COMPLETED' OR d.status = 'PROPOSED')
               AND (v.place <> 1 OR d.plan_digest IS NOT NULL)
             UNION ALL
            SELECT 5, 0, 'heading', ARRAY['Changes: ' || promote_internal.diff_words(d.diff)] FROM d
             UNION ALL
            SELECT 5, 1 + b.place, b.kind, b.words
              FROM d CROSS JOIN LATERAL promote_internal.diff_blocks(COALESCE(d.marked, '[]'), d.revision) AS b
             UNION ALL
            SELECT 6, 0, 'heading', ARRAY['It would undo what the instance had set itself'] FROM d
             WHERE d.reverts AND pg_catalog.jsonb_path_exists(d.diff, '$[*].reverts')
             UNION ALL
            SELECT 6, e.place, 'item', ARRAY['', e.leaf ->> 'path',
                                             ' of revision ' || (e.leaf -> 'reverts' ->> 'revision') || ', set by ',
                                             e.leaf -> 'reverts' ->> 'actor',
                                             CASE WHEN e.leaf -> 'reverts' ->> 'message' IS NULL THEN '' ELSE ': ' END,
                                             e.leaf -> 'reverts' ->> 'message']
              FROM d CROSS JOIN LATERAL pg_catalog.jsonb_array_elements(d.diff) WITH ORDINALITY AS e (leaf, place)
             WHERE d.reverts AND e.leaf ? 'reverts'
             UNION ALL
            SELECT 7, 0, 'heading', ARRAY[pg_catalog.format('Resources: %s to change, %s destructive, %s stateful, %s unexpected',
                       pg_catalog.count(*) FILTER (WHERE c.action <> 'no-op'), pg_catalog.count(*) FILTER (WHERE c.destructive),
                       pg_catalog.count(*) FILTER (WHERE c.stateful AND c.action <> 'no-op'),
                       pg_catalog.count(*) FILTER (WHERE c.unexpected))]
              FROM resource AS c HAVING pg_catalog.count(*) > 0
             UNION ALL
            SELECT 7, 1, 'columns', ARRAY['Action*', 'Resource', 'Marks*']
              FROM resource AS c WHERE c.action <> 'no-op' HAVING pg_catalog.count(*) > 0
             UNION ALL
            -- what destroys first
            SELECT 7, 1 + pg_catalog.row_number() OVER (ORDER BY c.destructive AND c.stateful DESC, c.destructive DESC,
                                                        c.unexpected IS TRUE DESC, c.change), 'row',
                   ARRAY[c.action, c.address,
                         pg_catalog.concat_ws(', ', CASE WHEN c.origin <> 'change' THEN c.origin END,
                             CASE WHEN c.destructive THEN 'DESTRUCTIVE' END, CASE WHEN c.stateful THEN 'STATEFUL' END,
                             CASE WHEN c.unexpected THEN 'UNEXPECTED' END)]
              FROM resource AS c WHERE c.action <> 'no-op'
             UNION ALL
            SELECT 8, v.place, v.kind, v.words
              FROM (SELECT pg_catalog.count(*) AS rows FROM resource AS c WHERE c.action = 'no-op') AS n
             CROSS JOIN LATERAL (VALUES (0, 'fold', ARRAY[n.rows || ' resources stay as they are']),
                                        (9000000000, 'unfold', '{}')) AS v (place, kind, words)
             WHERE n.rows > 0
             UNION ALL
            SELECT 8, c.change, 'item', ARRAY['', c.address] FROM resource AS c WHERE c.action = 'no-op'
             UNION ALL
            SELECT 9, CASE u.kind WHEN 'fold' THEN 0 WHEN 'columns' THEN 1 WHEN 'row' THEN 1 + u.place ELSE 9000000000 END,
                   u.kind, u.words
              FROM d
             CROSS JOIN LATERAL (
                   SELECT c.params, c.params_schema, c.kept_marks FROM promote_internal.carried AS c
                    WHERE c.project = d.project AND c.environment = d.environment AND c.component = d.component
                      AND c.deployment = d.deployment LIMIT 1) AS c
             CROSS JOIN LATERAL (
                   WITH leaf AS MATERIALIZED (
                       SELECT l.path, l.new_value, pg_catalog.row_number() OVER () AS place
                         FROM promote.jsonb_leaf_diff('{}', promote_internal.masked_params(
                                  c.params, c.params_schema, NULL, c.kept_marks)) AS l
                        WHERE NOT EXISTS (SELECT FROM pg_catalog.jsonb_array_elements(d.diff) AS e WHERE e ->> 'path' = l.path)
                   )
                   SELECT 0 AS place, v.kind, v.words
                     FROM (SELECT pg_catalog.count(*) AS rows FROM leaf) AS n
                    CROSS JOIN LATERAL (VALUES ('fold', ARRAY[n.rows || ' values stay as they are']),
                                               ('columns', '{Path,Value}'), ('unfold', '{}')) AS v (kind, words)
                    WHERE n.rows > 0
                    UNION ALL
                   SELECT l.place, 'row', ARRAY[l.path, l.new_value::text] FROM leaf AS l) AS u
             UNION ALL
            SELECT 10, 0, 'heading', ARRAY['Gates that were overridden'] FROM d
             WHERE EXISTS (SELECT FROM promote.gate_override AS o
                            WHERE o.project = d.project AND o.environment = d.environment AND o.component = d.component
                              AND o.deployment IN (d.deployment, d.plan))
             UNION ALL
            SELECT 10, o.override, 'item', ARRAY['', o.code::text, ' by ', o.actor, ': ', o.reason, ', over ',
                                                 pg_catalog.array_to_string(o.messages, '; ')]
              FROM d
              JOIN promote.gate_override AS o
                ON o.project = d.project AND o.environment = d.environment AND o.component = d.component
                   AND o.deployment IN (d.deployment, d.plan)
        )
        SELECT b.kind, b.words FROM block AS b ORDER BY b.section, b.place;
    END;
REVOKE ALL ON FUNCTION promote_internal.plan_blocks(text, text, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.plan_blocks(text, text, text, integer) IS
'What promote.plan_markdown tells of a deployment, as blocks of words, what matters most first; no row where there is no such deployment';

CREATE FUNCTION promote.plan_markdown(instance text, deployment integer DEFAULT NULL, max_length integer DEFAULT 60000) RETURNS text
    LANGUAGE c STABLE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_plan_markdown';
REVOKE ALL ON FUNCTION promote.plan_markdown(text, integer, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote.plan_markdown(text, integer, integer) IS
'What a deployment would change, what stands in its way and how it is approved, as GitHub-flavoured Markdown of at most so many characters, with what is sensitive masked; of the last deployment where none is named';

CREATE FUNCTION promote_internal.request_blocks(of_project text, of_request integer)
    RETURNS TABLE (kind text, words text[])
    LANGUAGE sql STABLE ROWS 50
    BEGIN ATOMIC
        WITH r AS MATERIALIZED (
            SELECT r.*, v.items
              FROM promote.promotion_request AS r
              LEFT JOIN promote.promotion_request_preview AS v
                ON v.project = r.project AND v.request = r.request AND v.preview = r.preview
             WHERE r.project = $1 AND r.request = $2
        ), item AS MATERIALIZED (
            SELECT t.*, pg_catalog.row_number() OVER (ORDER BY t.wave NULLS LAST, t.component) AS place,
                   pg_catalog.concat_ws('-', t.project, t.destination_environment, t.component) AS name,
                   p.deployment AS last_plan, p.status AS plan_status, p.destructive,
                   -- what was planned, or else what was previewed
                   COALESCE(p.diff, s.shown -> 'diff') AS diff
              FROM r
              JOIN promote.promotion_request_item AS t ON t.project = r.project AND t.request = r.request
              LEFT JOIN LATERAL (
                   SELECT s.shown FROM pg_catalog.jsonb_array_elements(r.items) AS s (shown)
                    WHERE s.shown ->> 'component' = t.component LIMIT 1) AS s ON true
              LEFT JOIN LATERAL (
                   SELECT p.deployment, p.status, p.diff, p.destructive
                     FROM promote.deployment AS p
                    WHERE p.project = t.project AND p.environment = t.destination_environment AND p.component = t.component
                      AND p.deployment = COALESCE(t.rollback_plan, t.plan) LIMIT 1) AS p ON true
        ), block (section, place, inner_place, kind, words) AS (
            SELECT 1, 0::bigint, 0::bigint, 'title', ARRAY['Request ' || r.request || ' of ', r.project::text, ': ',
                   r.source_environment::text, ' -> ', r.destination_environment::text]
              FROM r
             UNION ALL
            SELECT 1, 1, 0, 'state', ARRAY[
                       CASE WHEN r.status = 'COMPLETED' THEN 'good' WHEN r.finished_at IS NOT NULL THEN 'bad'
                            WHEN r.waits_for = '[]' THEN 'good' ELSE 'warn' END,
                       pg_catalog.replace(pg_catalog.initcap(r.status), '_', ' ')
                       || CASE WHEN r.wave > 0 THEN ', wave ' || r.wave || ' of ' || (SELECT pg_catalog.max(t.wave) FROM item AS t) ELSE '' END
                       || CASE WHEN r.finished_at IS NULL AND r.waits_for <> '[]' THEN ', and waits' ELSE '' END]
              FROM r
             UNION ALL
            SELECT 2, v.place, 0, 'item', v.words
              FROM r
             CROSS JOIN LATERAL (VALUES
                   (1, CASE WHEN r.reason IS NOT NULL THEN ARRAY['Reason: ', r.reason] END),
                   (2, ARRAY['Asked for by ', r.actor, ' at ' || promote_internal.time_words(r.created_at)]),
                   (3, CASE WHEN r.message IS NOT NULL THEN ARRAY['Why: ', r.message] END),
                   (4, CASE WHEN r.ticket IS NOT NULL THEN ARRAY['Ticket ', r.ticket] END),
                   (5, ARRAY['Strategy ' || r.strategy || ', rollback ' || r.rollback_mode || ', soak ' || r.soak]),
                   (6, CASE WHEN r.execution_window IS NOT NULL THEN ARRAY['Execution window ', r.execution_window::text] END),
                   (7, CASE WHEN r.verification_owner IS NOT NULL THEN ARRAY['Verification owner ', r.verification_owner] END),
                   (8, CASE WHEN r.fallback_owner IS NOT NULL THEN ARRAY['Fallback owner ', r.fallback_owner] END)
                 ) AS v (place, words)
             WHERE v.words IS NOT NULL
             UNION ALL
            SELECT 3, 0, 0, 'heading', ARRAY['What stands in the way'] FROM r WHERE r.finished_at IS NULL
             UNION ALL
            SELECT 3, 1, 0, 'text', ARRAY['Nothing that promote.advance_request has met.'] FROM r
             WHERE r.finished_at IS NULL AND r.waits_for = '[]'
             UNION ALL
            SELECT 3, 1, 0, 'columns', ARRAY['Code', 'Instance', 'Why'] FROM r
             WHERE r.finished_at IS NULL AND r.waits_for <> '[]'
             UNION ALL
            SELECT 3, 1 + w.place, 0, 'row', ARRAY[w.wait ->> 'code', w.wait ->> 'instance', w.wait ->> 'message']
              FROM r CROSS JOIN LATERAL pg_catalog.jsonb_array_elements(r.waits_for) WITH ORDINALITY AS w (wait, place)
             WHERE r.finished_at IS NULL
             UNION ALL
            SELECT 4, v.place, 0, v.kind, v.words
              FROM r
             CROSS JOIN LATERAL (VALUES
                   (0, 'heading', ARRAY['To approve this']),
                   (1, 'text', ARRAY['Preview ' || r.preview || ', digest ', pg_catalog.encode(r.preview_digest, 'hex')]),
                   (2, 'code', ARRAY[pg_catalog.format('SELECT * FROM promote.approve_request(%L, %s);', r.project, r.request)])
                 ) AS v (place, kind, words)
             WHERE r.finished_at IS NULL AND (v.place <> 1 OR r.preview_digest IS NOT NULL)
             UNION ALL
            SELECT 5, 0, 0, 'heading', ARRAY[pg_catalog.count(*) || ' components'] FROM item
             UNION ALL
            SELECT 5, 1, 0, 'columns', ARRAY['Wave*', 'Component', 'Status*', 'Release', 'Plan*', 'Changes*', 'Remark']
             UNION ALL
            SELECT 5, 1 + t.place, 0, 'row', ARRAY[
                       t.wave::text, t.component::text, t.status, t.version::text,
                       t.last_plan || ' ' || t.plan_status,
                       CASE WHEN t.destructive THEN 'DESTRUCTIVE: ' ELSE '' END
                           || CASE WHEN t.diff IS NULL THEN 'not previewed yet' ELSE promote_internal.diff_words(t.diff) END,
                       COALESCE(t.reason, t.skip_reason ->> 'message')]
              FROM item AS t
             UNION ALL
            SELECT 6, t.place, b.inner_place, b.kind, b.words
              FROM item AS t
             CROSS JOIN LATERAL (
                   SELECT 0 AS inner_place, 'fold' AS kind, ARRAY['', t.name, ': ' || promote_internal.diff_words(t.diff)] AS words
                    UNION ALL
                   SELECT 1 + b.place, b.kind, b.words FROM promote_internal.diff_blocks(t.diff, COALESCE(t.rollback_revision, t.revision, t.base_revision + 1)) AS b
                    UNION ALL
                   SELECT 9000000000, 'unfold', '{}') AS b
             WHERE t.diff <> '[]'
        )
        SELECT b.kind, b.words FROM block AS b ORDER BY b.section, b.place, b.inner_place;
    END;
REVOKE ALL ON FUNCTION promote_internal.request_blocks(text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.request_blocks(text, integer) IS
'What promote.request_markdown tells of a request, as blocks of words, what matters most first';

CREATE FUNCTION promote.request_markdown(project text, request integer DEFAULT NULL, max_length integer DEFAULT 60000) RETURNS text
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'promote_request_markdown';
REVOKE ALL ON FUNCTION promote.request_markdown(text, integer, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote.request_markdown(text, integer, integer) IS
'A request as GitHub-flavoured Markdown of at most so many characters: from where to where, who and why, what it waits for, how it is approved, and what each of its items changes, with what is sensitive masked; of the last one where no number is given. NULL: there is no such request';
