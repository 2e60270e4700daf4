"""Whom to trust and who we are, over TLS. Must not open a connection."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from qalita_action.errors import SettingsError

if TYPE_CHECKING:
    from qalita_action.http.options import Options

PEM = "-----BEGIN"
CERTIFICATE_FILES = frozenset({".pem", ".crt", ".cer"})


def tls_context(options: Options) -> ssl.SSLContext:
    """Raises SettingsError ca-unreadable or client-cert-unreadable, with the path and never the content."""
    context = _trusting(options)
    if not options.verify_tls:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if options.client_cert:
        _identify(context, options.client_cert, options.client_key)
    return context


def _trusting(options: Options) -> ssl.SSLContext:
    """A bundle that was named replaces the system's: who names one means that one."""
    ca = options.ca
    if not ca:
        return _system()
    try:
        if PEM in ca:
            return ssl.create_default_context(cadata=ca)
        path = Path(ca)
        if path.is_dir():
            return _folder(path)
        return ssl.create_default_context(cafile=ca)
    except (OSError, ValueError) as e:  # ssl.SSLError is an OSError
        shown = "(PEM text)" if PEM in ca else ca
        raise SettingsError(
            "ca-unreadable",
            f"The CA bundle cannot be used: {_why(e)}.",
            expected="a PEM file, a folder of PEM files, or PEM text (-----BEGIN CERTIFICATE-----)",
            looked=[shown],
            todo=[f"point {options.ca_name} at your organisation's CA bundle"],
        ) from None


def _folder(path: Path) -> ssl.SSLContext:
    """Both kinds of folders that people have: hashed by OpenSSL's rehash, and plainly full of files."""
    context = ssl.create_default_context(capath=str(path))
    files = [p for p in sorted(path.iterdir()) if p.suffix.lower() in CERTIFICATE_FILES and p.is_file()]
    for file in files:
        context.load_verify_locations(cafile=str(file))
    if not files and not any(path.iterdir()):
        raise ValueError("the folder is empty")
    return context


def _system() -> ssl.SSLContext:
    """The system's trust store; the list that comes with httpx where a slim image has none."""
    paths = ssl.get_default_verify_paths()
    folder = Path(paths.capath or os.devnull)  # None where it is not there, whatever typeshed says
    if paths.cafile or (folder.is_dir() and any(folder.iterdir())):
        return ssl.create_default_context()
    import httpx

    return httpx.create_ssl_context()


def _identify(context: ssl.SSLContext, cert: str, key: str | None) -> None:
    def no_password() -> str:
        # Without this OpenSSL asks on the terminal, and a CI job hangs.
        raise ValueError("the private key is encrypted")

    try:
        context.load_cert_chain(cert, key, password=no_password)
    except (OSError, ValueError) as e:
        raise SettingsError(
            "client-cert-unreadable",
            f"The client certificate cannot be used: {_why(e)}.",
            expected="paths of a PEM certificate and of its unencrypted PEM key",
            looked=[path for path in (cert, key) if path],
            todo=["check --client-cert and --client-key, and that both files belong together"],
        ) from None


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or "OpenSSL refuses it"
    if isinstance(error, OSError):
        return error.strerror or "not readable"
    return str(error)
