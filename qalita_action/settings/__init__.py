"""Every knob, once. flag > INPUT_X > QALITA_X > qalita.yml > default; empty means unset.

The words come from knobs.py. Reads no environment and no file by itself: `resolve` gets both as values.
"""

from qalita_action.settings.fields import Settings
from qalita_action.settings.file import CONFIG_FILE, read_file
from qalita_action.settings.resolve import ENV_NAMES, Resolved, resolve
from qalita_action.settings.schema import json_schema

__all__ = ["CONFIG_FILE", "ENV_NAMES", "Resolved", "Settings", "json_schema", "read_file", "resolve"]
