"""Whom to trust and who we are, over TLS. Must not open a connection."""

from __future__ import annotations

import os
import re
import ssl
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from qalita_action.errors import SettingsError
from qalita_action.http import pem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qalita_action.http.options import Options

CERTIFICATE_FILES = frozenset({".pem", ".crt", ".cer"})
HASHED = re.compile(r"[0-9a-f]{8}\.\d+")  # what `openssl rehash` names
DER = b"\x30"
FILES_IN_MEMORY = Path("/proc/self/fd")
# Where distributions keep their bundle. OpenSSL looks where it was built to look, and a Python that was built
# elsewhere than it runs finds nothing there.
SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
OPENSSL_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def tls_context(options: Options) -> ssl.SSLContext:
    """Raises SettingsError ca-unreadable or client-cert-unreadable, with the path and never the content."""
    context = _bare()
    if options.ca:
        # A bundle that was named replaces the system's: who names one means that one.
        _trust(context, options.ca, options)
    else:
        _trust_system(context)
    for ca in options.also_trusted:
        _trust(context, ca, options)
    if not options.verify_tls:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if options.client_cert:
        _identify(context, options.client_cert, options.client_key)
    return context


def trusted_by(options: Options) -> str:
    """Whose CAs are trusted, for people."""
    if not options.verify_tls:
        return "anybody: certificates are not verified"
    first = _shown(options.ca) if options.ca else _trust_system(_bare())
    return " and ".join([first, *map(_shown, options.also_trusted)])


def _shown(ca: str) -> str:
    return "the CAs given as PEM text" if pem.is_text(ca) else f"the CAs of {ca}"


def _bare() -> ssl.SSLContext:
    """Verifies, trusts nobody yet. The same on every Python: RFC 5280's strictness, which 3.13 turned on,
    would refuse many a company's CA, and an intermediate that was named is trust enough."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


# ---------------------------------------------------------------- the system's


def _trust_system(context: ssl.SSLContext) -> str:
    """What OpenSSL finds by itself, else the distribution's bundle, else certifi's list, which is what a slim
    image without ca-certificates has. Who set OpenSSL's own variables gets exactly what they name."""
    context.load_default_certs()
    said = [f"{name}={os.environ[name]}" for name in OPENSSL_VARIABLES if os.environ.get(name)]
    if said:
        return f"the CAs of {' and '.join(said)}"
    folder = Path(ssl.get_default_verify_paths().capath or os.devnull)
    if context.get_ca_certs() or (folder.is_dir() and any(map(_is_hashed, folder.iterdir()))):
        return "the system's CAs"
    bundle = next((path for path in SYSTEM_BUNDLES if Path(path).is_file()), None)
    if bundle:
        context.load_verify_locations(cafile=bundle)
        return f"the system's CAs ({bundle})"
    import certifi

    context.load_verify_locations(cafile=certifi.where())
    return "Mozilla's CAs (certifi): this system has none of its own"


def _is_hashed(path: Path) -> bool:
    return HASHED.fullmatch(path.name) is not None


# ---------------------------------------------------------------- a bundle


def _trust(context: ssl.SSLContext, ca: str, options: Options) -> None:
    path = Path(ca)
    try:
        if pem.is_text(ca):
            _add(context, ca.encode("utf-8", "surrogatepass"))
        elif path.is_dir():
            _add_folder(context, path)
        else:
            _add(context, path.read_bytes())
    except (OSError, ValueError) as e:  # ssl.SSLError is an OSError
        raise SettingsError(
            "ca-unreadable",
            f"The CA bundle cannot be used: {_why(e)}.",
            expected="a PEM file, a folder of PEM files, or PEM text (-----BEGIN CERTIFICATE-----)",
            looked=["(PEM text)" if pem.is_text(ca) else ca],
            todo=[f"point {options.ca_name} at your organisation's CA bundle"],
        ) from None


def _add_folder(context: ssl.SSLContext, folder: Path) -> None:
    """Both kinds of folders that people have: hashed by OpenSSL's rehash, and plainly full of files."""
    entries = sorted(folder.iterdir())
    files = [p for p in entries if p.suffix.lower() in CERTIFICATE_FILES and p.is_file()]
    if not files and not any(map(_is_hashed, entries)):
        raise ValueError("the folder holds no .pem, .crt or .cer file")
    context.load_verify_locations(capath=str(folder))
    for file in files:
        try:
            _add(context, file.read_bytes())
        except ValueError as e:
            raise ValueError(f"{file.name}: {e}") from None


def _add(context: ssl.SSLContext, data: bytes) -> None:
    """The certificates of a file: PEM among whatever else, or one in DER, as Windows exports them."""
    found = pem.blocks(data.decode("utf-8", "replace"), pem.CERTIFICATES)
    if not found and data[:1] != DER:
        raise ValueError("it holds no certificate")
    try:
        context.load_verify_locations(cadata="".join(found) or data)
    except ssl.SSLError as e:
        raise ValueError(_why(e)) from None


# ---------------------------------------------------------------- our own certificate


def _identify(context: ssl.SSLContext, cert: str, key: str | None) -> None:
    def no_password() -> str:
        # Without this OpenSSL asks on the terminal, and a CI job hangs.
        raise ValueError("the private key is encrypted")

    try:
        with ExitStack() as stack:
            paths = [stack.enter_context(_as_file(value)) if value else None for value in (cert, key)]
            context.load_cert_chain(paths[0] or "", paths[1], password=no_password)
    except (OSError, ValueError) as e:
        raise SettingsError(
            "client-cert-unreadable",
            f"The client certificate cannot be used: {_why(e)}.",
            expected="a PEM certificate and its unencrypted PEM key, as files or as text",
            looked=["(PEM text)" if pem.is_text(value) else value for value in (cert, key) if value],
            todo=["check --client-cert and --client-key, and that both belong together"],
        ) from None


@contextmanager
def _as_file(value: str) -> Iterator[str]:
    """OpenSSL takes a key from a file alone. A key that came as text stays off the disk where the system has
    files in memory, and is gone as soon as it is read."""
    if not pem.is_text(value):
        yield value
        return
    content = "".join(pem.blocks(value)).encode("utf-8", "replace")
    if hasattr(os, "memfd_create") and FILES_IN_MEMORY.is_dir():
        descriptor = os.memfd_create("qalita-pem")
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(content)
            file.flush()
            yield str(FILES_IN_MEMORY / str(descriptor))
        return
    with tempfile.TemporaryDirectory() as folder:  # mode 0700
        path = Path(folder) / "client.pem"
        path.write_bytes(content)
        yield str(path)


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or "OpenSSL refuses it"
    if isinstance(error, OSError):
        return error.strerror or "not readable"
    return str(error)
