SELECT 1; -- bad
