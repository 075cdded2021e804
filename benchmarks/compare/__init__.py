"""Every strategy against exact retraining, on four datasets and four kinds of request.

    make bench            # dvc.yaml: ingest, references, compare, report; seeds in params.yaml

`sources` writes each dataset as Parquet, `ingest` brings it in as a product's would be, `trained`
keeps models that several cells share, `cell` measures one (dataset, request, seed), `report`
writes docs/benchmarks.md. Every step skips what an earlier run has finished.
"""
