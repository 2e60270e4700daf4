"""dbt's artifacts: found, decoded by shape, vetted. Knows dbt's file format and nothing of the domain.

dbt 1.8 to 2.x all call their manifest `v12` while keys come and go, so nothing here looks at a version
number: `shapes` names the few dozen keys that are used, and meaning comes from which of them are there.

`history` and `sources` are imported by name: a run that lies here needs neither.
"""

from qalita_action.dbt import child
from qalita_action.dbt.found import Artifact, Candidate, Found, Places, RanBy, Reach
from qalita_action.dbt.locate import locate
from qalita_action.dbt.read import Evidence, read
from qalita_action.dbt.sources import is_address
from qalita_action.dbt.vet import Vetting, moment

__all__ = [
    "Artifact",
    "Candidate",
    "Evidence",
    "Found",
    "Places",
    "RanBy",
    "Reach",
    "Vetting",
    "child",
    "is_address",
    "locate",
    "moment",
    "read",
]
