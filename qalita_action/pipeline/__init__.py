"""The stages in order: environment in, documents out. Reads like the README's "how it works".

Only the two ends touch the world, and both get what they need as arguments: no os.environ, no printing.

Each command loads the stages that it takes: most of them know a platform's answers, and most runs ask none.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qalita_action.pipeline.accepting import accept
    from qalita_action.pipeline.backfilling import backfill, candidates
    from qalita_action.pipeline.checking import check
    from qalita_action.pipeline.commenting import comment
    from qalita_action.pipeline.conveying import Step, Tally
    from qalita_action.pipeline.planning import detect, is_history, plan, planned
    from qalita_action.pipeline.polling import poll
    from qalita_action.pipeline.replaying import Replayed, replay
    from qalita_action.pipeline.running import is_told_already, report_options, run, run_dbt
    from qalita_action.pipeline.setting_up import set_up
    from qalita_action.pipeline.triggering import Asked, of_run, order, started
    from qalita_action.pipeline.world import TOOL, CaughtUp, Outcome, Plan, World

__all__ = [
    "TOOL",
    "Asked",
    "CaughtUp",
    "Outcome",
    "Plan",
    "Replayed",
    "Step",
    "Tally",
    "World",
    "accept",
    "backfill",
    "candidates",
    "check",
    "comment",
    "detect",
    "is_history",
    "is_told_already",
    "of_run",
    "order",
    "plan",
    "planned",
    "poll",
    "replay",
    "report_options",
    "run",
    "run_dbt",
    "set_up",
    "started",
]

_STAGES = {
    "accepting": ("accept",),
    "backfilling": ("backfill", "candidates"),
    "checking": ("check",),
    "commenting": ("comment",),
    "conveying": ("Step", "Tally"),
    "planning": ("detect", "is_history", "plan", "planned"),
    "polling": ("poll",),
    "replaying": (
        "Replayed",
        "replay",
    ),
    "running": (
        "is_told_already",
        "report_options",
        "run",
        "run_dbt",
    ),
    "setting_up": ("set_up",),
    "triggering": (
        "Asked",
        "of_run",
        "order",
        "started",
    ),
    "world": (
        "TOOL",
        "CaughtUp",
        "Outcome",
        "Plan",
        "World",
    ),
}


def __getattr__(name: str) -> Any:
    for stage, names in _STAGES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{stage}"), name)
    raise AttributeError(name)
