"""Imported once, by the process that the soak's children fork from."""

import dvc.repo  # noqa: F401
import dvc_s3  # noqa: F401
import great_expectations  # noqa: F401
import matplotlib.backends.backend_agg  # noqa: F401
import mlflow.pytorch  # noqa: F401
import prefect  # noqa: F401
import psycopg  # noqa: F401
import torch.export._trace  # noqa: F401

import expunge.cli.app
import expunge.cli.imports
import expunge.cli.run
import expunge.evaluation.spdgan
import expunge.line  # noqa: F401
import flows.deletion_batch
import flows.local  # noqa: F401
