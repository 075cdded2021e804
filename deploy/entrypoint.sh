#!/bin/sh
# Secrets come as files. expunge reads EXPUNGE_*_FILE itself; for the programs below, which read
# their environment only, NAME_FILE names the file that holds NAME.
set -eu

for name in PGPASSWORD PREFECT_API_AUTH_STRING PREFECT_SERVER_API_AUTH_STRING \
    MLFLOW_AUTH_ADMIN_PASSWORD MLFLOW_FLASK_SERVER_SECRET_KEY; do
    eval "file=\${${name}_FILE:-}"
    if [ -n "$file" ]; then
        if [ ! -r "$file" ]; then
            echo "$file, which ${name}_FILE names, cannot be read by user $(id -u)" >&2
            exit 1
        fi
        value=$(cat "$file")
        export "$name=$value"
        unset "${name}_FILE" value
    fi
done

exec "$@"
