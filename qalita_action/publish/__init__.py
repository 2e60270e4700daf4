"""Documents to a platform, once: connect (configuration only), spool (on disk first), send (a receipt for
each, whatever happens). Must not build documents, judge them, or print.
"""

from __future__ import annotations

from qalita_action.publish import folder, spool
from qalita_action.publish.connect import Connection, connect
from qalita_action.publish.sending import planned, send, send_each

__all__ = [
    "Connection",
    "connect",
    "folder",
    "planned",
    "send",
    "send_each",
    "spool",
]
