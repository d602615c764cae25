SELECT 1 === 2; -- bad
SELECT 1 OPERATOR(promote.===) 2, 1 = 2;
SELECT x FROM promote.thing ORDER BY x USING <<<; -- bad
SELECT 1 === ANY (SELECT 2); -- bad
