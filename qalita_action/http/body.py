"""Request bodies as bytes: the same value gives the same bytes, so that a repeat is a repeat."""

from __future__ import annotations

import gzip
import hashlib

import msgspec

GZIP_FROM = 1024


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """What one request carries. may_compress: whether the other side takes Content-Encoding: gzip."""

    data: bytes
    content_type: str = "application/json"
    may_compress: bool = False

    def encoded(self) -> tuple[bytes, dict[str, str]]:
        """The bytes on the wire and their headers. No time stands in the gzip header."""
        headers = {"Content-Type": self.content_type}
        if self.may_compress and len(self.data) > GZIP_FROM:
            return gzip.compress(self.data, 1, mtime=0), {**headers, "Content-Encoding": "gzip"}
        return self.data, headers

    def digest(self) -> str:
        """SHA-256 of the decoded body, in hex."""
        return hashlib.sha256(self.data).hexdigest()


def json_body(value: object, *, may_compress: bool = False) -> Body:
    return Body(data=msgspec.json.encode(value, order="sorted"), may_compress=may_compress)


def multipart(filename: str, content: bytes, content_type: str) -> Body:
    """multipart/form-data (RFC 7578) with one part named `file`. The boundary comes from the content;
    filename is ours and plain ASCII."""
    boundary = "qalita-" + hashlib.sha256(content).hexdigest()[:40]
    head = (
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="file"; filename="{filename}"\r\n'
        f"Content-Type: {content_type}\r\n\r\n"
    )
    data = head.encode("ascii") + content + f"\r\n--{boundary}--\r\n".encode("ascii")
    return Body(data=data, content_type=f"multipart/form-data; boundary={boundary}")
