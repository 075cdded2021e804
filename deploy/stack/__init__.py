"""The whole topology as plain processes on loopback: `make stack`, `python -m deploy.stack`.

PostgreSQL, an S3 server, a Prefect server, an MLflow server and two Prefect workers, each with its
log, its port and its secrets below one folder. Nobody supervises them: one that was killed stays
down, `status` shows it, and `start` starts it again.
"""
