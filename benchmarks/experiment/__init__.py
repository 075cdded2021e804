"""One mock request, one strategy, by the stages of dvc.yaml; docs/experiments.md is the guide.

Everything lies under build/. No ledger, no registry, and never data/: nobody is erased here.
"""
