"""Prefect tasks, one file per station of the line: retries, timeouts, concurrency.

They have no logic of their own. A task gets names and numbers only, never a subject: Prefect
stores parameters in clear.
"""
