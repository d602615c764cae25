-- Pipelines as graphs, and the matrix for a terminal. How they are drawn is tested by test/t/pipeline_drawn.pl.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
    VALUES ('shop', 'dev', 'staging'), ('shop', 'staging', 'production');

-- ---- graphs ----
SELECT is(promote.pipeline_dot('shop'), $dot$digraph pipeline {
    rankdir=LR;
    node [shape=box];
    n1 [label="staging\n6 never_deployed"];
    n2 [label="production\n6 in_sync"];
    n3 [label="dev\nnothing there"];
    n1 -> n2 [label="6 of 6 may go on"];
    n3 -> n1 [label="nothing to promote"];
}
$dot$, 'environments with counts by status, and the paths');
SELECT is(promote.pipeline_mermaid('shop'), $mermaid$flowchart LR
    n1["staging<br/>6 never#95;deployed"]
    n2["production<br/>6 in#95;sync"]
    n3["dev<br/>nothing there"]
    n1 -->|"6 of 6 may go on"| n2
    n3 -->|"nothing to promote"| n1
$mermaid$, 'the same for Mermaid');
INSERT INTO promote.freeze_window (name, project, environment, component, reason, during)
    VALUES ('audit', 'shop', 'production', 's1', E'"a" \\ <b>\n]', '[2020-01-01,2100-01-01)');
SELECT alike(promote.pipeline_dot('shop'), '%n1 -> n2 [label="5 of 6 may go on; freeze: freeze \\"audit\\" is on: '
    '\\"a\\" \\\\ <b>%"];%', 'what blocks one of them, in words that stay words');
SELECT alike(promote.pipeline_mermaid('shop'),
    '%n1 -->|"5 of 6 may go on#59; freeze#58; freeze #34;audit#34; is on#58; '
    '#34;a#34; #92; #60;b#62;%"| n2%', '... for Mermaid, too');
UPDATE promote.freeze_window SET component = NULL, reason = 'stop';
SELECT alike(promote.pipeline_dot('shop'), '%n1 -> n2 [style=dashed, label="0 of 6 may go on; freeze: %',
    'a path by which nothing goes on is a dashed line');
SELECT alike(promote.pipeline_mermaid('shop'), '%n1 -.->|"0 of 6 may go on%', '... for Mermaid, too');
INSERT INTO promote.project (project) VALUES ('bare');
SELECT is(promote.pipeline_dot('bare'), E'digraph pipeline {\n    rankdir=LR;\n    node [shape=box];\n}\n',
    'nothing at all');

-- ---- the matrix ----
SELECT is(promote.matrix_text('shop'), $text$component  staging               production     dev
s1         1.0.0 never_deployed  1.0.0 in_sync  -
s2         1.0.0 never_deployed  1.0.0 in_sync  -
s3         1.0.0 never_deployed  1.0.0 in_sync  -
s4         1.0.0 never_deployed  1.0.0 in_sync  -
s5         1.0.0 never_deployed  1.0.0 in_sync  -
s6         1.0.0 never_deployed  1.0.0 in_sync  -
$text$, 'components down, environments across, aligned');
SELECT is(promote.matrix_text('shop', true), regexp_replace(promote.matrix_text('shop'), '1\.0\.0 in_sync',
    E'\033[32m\\&\033[0m', 'g'), 'with colours where they are asked for, aligned as without');
SELECT is(promote.matrix_text('shop', NULL), promote.matrix_text('shop'), 'NULL asks for none');
SELECT is(promote.matrix_text('bare'), E'component\n', 'nothing at all');
SELECT is(promote_internal.terminal_matrix('x', 'x', ARRAY['日本', 'b'],
    ARRAY['é', '本', NULL, 'v', 's', E'c\033[31m', NULL, NULL, NULL, 'ok'], false),
    E'component      日本  b\né              本    v s\nc[U+001B][31m  -     ok\n',
    'wide characters take two columns, and no control character reaches the terminal');

-- ---- who is told what ----
SELECT pg_temp.refuses(format('SELECT promote.%s(%L)', f, p), 'PM002', 'no row', f || ' of ' || p)
  FROM unnest(ARRAY['pipeline_dot', 'pipeline_mermaid', 'matrix_text']) AS f, unnest(ARRAY['nowhere', '']) AS p;
CREATE ROLE looker;
SELECT promote.grant_action('looker', 'view', 'shop', 'staging') \g /dev/null
SET LOCAL ROLE looker;
SELECT is(promote.pipeline_dot('shop'), E'digraph pipeline {\n    rankdir=LR;\n    node [shape=box];\n'
    || '    n1 [label="staging\n6 never_deployed"];' || E'\n}\n', 'of what is not seen nothing is drawn');
SELECT is(split_part(promote.matrix_text('shop'), E'\n', 1), 'component  staging', '... nor shown');
SELECT throws_ok(format('SELECT promote.%s(%L)', f, 'other'), 'PM701', NULL, f || ' of a project that is not seen')
  FROM unnest(ARRAY['pipeline_dot', 'pipeline_mermaid', 'matrix_text']) AS f;
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
