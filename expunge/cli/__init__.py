"""The `expunge` command. Importing it stays cheap: each command imports what it needs."""

from expunge.cli.app import main

__all__ = ["main"]
