"""Prefect flows, one file per job."""
