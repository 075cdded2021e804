"""expunge: erasure requests, out of the dataset and out of the trained model."""

__version__ = "0.1.0"
