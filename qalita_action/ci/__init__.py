"""CONTEXT: environment, event file and checkout in, one CIContext out. Must not fail a run."""

from qalita_action.ci.choose import HAND_ON
from qalita_action.ci.detect import detect
from qalita_action.ci.forward import docker_args
from qalita_action.ci.show import rows, to_document

__all__ = ["HAND_ON", "detect", "docker_args", "rows", "to_document"]
