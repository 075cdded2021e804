-- What role expunge may do in the ledger. Run by the owner of its tables, after each migration:
--
--   psql --no-psqlrc -d expunge -U expunge_owner -f ledger-grants.sql
--
-- A table that is not named below can only grow: `events` and `qualifications` are the history.
-- Rows are deleted in the vault only, once the people in them are forgotten. The tests of the
-- ledger on PostgreSQL run as a role with these grants and no others.
\set ON_ERROR_STOP on
BEGIN;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM expunge, expunge_reader;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO expunge, expunge_reader;
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO expunge;
REVOKE INSERT ON alembic_version FROM expunge;
GRANT UPDATE ON approvals, requests, targets, settlements, batches, batch_models, champions,
  model_versions, derived, effects, feeds, locks, vault TO expunge;
GRANT DELETE ON vault TO expunge;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO expunge_reader;
REVOKE ALL ON vault FROM expunge_reader;
COMMIT;
