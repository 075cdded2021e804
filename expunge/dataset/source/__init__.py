"""What an ingest reads: files of one format as one stream of bounded Arrow batches.

Each format is one module with one kind of `Part`; `open_source` finds out which it is.
"""

from expunge.dataset.source.opening import Source, open_source

__all__ = ["Source", "open_source"]
