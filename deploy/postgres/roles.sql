-- Roles and databases of one PostgreSQL server. Run by its administrator, as often as you like:
--
--   SECRETS=/path/to/secrets psql --no-psqlrc -d postgres -f roles.sql
--
-- Each password is read from a file of that folder, so that it is on no command line. Each role
-- reaches its own database only. expunge_owner makes and migrates the ledger's tables; expunge, as
-- which everything runs, gets what ledger-grants.sql gives it.
\set ON_ERROR_STOP on
\set prefect_password `cat "$SECRETS/postgres-prefect"`
\set mlflow_password `cat "$SECRETS/postgres-mlflow"`
\set owner_password `cat "$SECRETS/postgres-expunge-owner"`
\set expunge_password `cat "$SECRETS/postgres-expunge"`
\set reader_password `cat "$SECRETS/postgres-expunge-reader"`

SET log_min_error_statement = panic; -- a statement that fails would be logged with its password

SELECT format('CREATE ROLE %I LOGIN', name)
  FROM unnest(ARRAY['prefect', 'mlflow', 'expunge_owner', 'expunge', 'expunge_reader']) AS name
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
ALTER ROLE prefect PASSWORD :'prefect_password';
ALTER ROLE mlflow PASSWORD :'mlflow_password';
ALTER ROLE expunge_owner PASSWORD :'owner_password';
ALTER ROLE expunge PASSWORD :'expunge_password';
ALTER ROLE expunge_reader PASSWORD :'reader_password';

SELECT format('CREATE DATABASE %I OWNER %I', name, owner)
  FROM (VALUES ('prefect', 'prefect'), ('mlflow', 'mlflow'), ('mlflow_auth', 'mlflow'),
               ('expunge', 'expunge_owner')) AS wanted (name, owner)
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = name) \gexec
REVOKE ALL ON DATABASE prefect, mlflow, mlflow_auth, expunge FROM PUBLIC;
GRANT CONNECT ON DATABASE expunge TO expunge, expunge_reader;
