"""Which proxy of the environment stands in the way, for error texts: httpx itself decides. Must not show a
proxy's password.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from qalita_action.redact import mask_url

if TYPE_CHECKING:
    from qalita_action.http.options import Options


def via(options: Options) -> list[str]:
    """One line about the proxy, none where the connection is direct."""
    from urllib.request import getproxies, proxy_bypass

    url = urlsplit(options.base_url)
    if not options.trust_env or not url.hostname or proxy_bypass(url.netloc):
        return []
    known = getproxies()
    proxy = known.get(url.scheme) or known.get("all")
    return [f"through the proxy {mask_url(proxy)} ({url.scheme.upper()}_PROXY)"] if proxy else []
