"""What holds for every test."""

import os

from hypothesis import settings

# A law holds on a busy machine too; tests that hang are pytest-timeout's matter.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

# An MLflow server starts six processes for jobs that expunge has none of; seconds of each core.
os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
