"""`expunge demo`: the main job from an empty folder to a promoted unlearned model.

Everything is the real part; only the people are made up.
"""

from expunge.cli.demo.story import run_demo

__all__ = ["run_demo"]
