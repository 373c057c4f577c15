"""The command line: ``orchestrator …``."""

from .main import main

__all__ = ["main"]
