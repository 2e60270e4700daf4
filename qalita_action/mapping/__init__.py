"""dbt's evidence to QALITA's document: pure functions, the only place that knows both.

No clock, environment, disk, network or randomness: what they need comes as an argument.
"""

from qalita_action.mapping.comparing import compare
from qalita_action.mapping.dimensions import FILE as DIMENSIONS_FILE
from qalita_action.mapping.dimensions import table as dimension_table
from qalita_action.mapping.hints import hints
from qalita_action.mapping.ingest import key_ahead, to_ingest, to_ingests
from qalita_action.mapping.movement import movement
from qalita_action.mapping.past import past
from qalita_action.mapping.verdict import verdict

__all__ = [
    "DIMENSIONS_FILE",
    "compare",
    "dimension_table",
    "hints",
    "key_ahead",
    "movement",
    "past",
    "to_ingest",
    "to_ingests",
    "verdict",
]
