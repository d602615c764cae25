-- The other half of the tables that verify_evidence.sql forges.
\set odd 1
\ir verify_evidence.sql
