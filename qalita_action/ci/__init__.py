"""CONTEXT: environment, event file and checkout in, one CIContext out. Must not fail a run."""

from qalita_action.ci.detect import detect
from qalita_action.ci.show import rows, to_document

__all__ = ["detect", "rows", "to_document"]
