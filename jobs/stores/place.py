"""Where a run is, as a user names it: a folder, or a URL."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from models.errors import CommandError, ExitCode

SCHEMES = ("s3", "gs", "az")
"""Amazon S3 and what speaks like it, Google Cloud Storage, Azure Blob Storage."""
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def place(out: Path | str) -> Path | str:
    """A folder, also for `file://`, or the URL of an object store without a slash at its end.

    An address that is refused is not repeated in the error: there may be a password in it.

    Raises:
        CommandError: 2 for a URL that none of ours can be written to, and for no name at all.
    """
    if out == "":  # an unset variable of a script: it would be the current folder
        raise CommandError(ExitCode.USAGE, "an empty name names no folder: write . for the current one")
    scheme, is_url, rest = str(out).partition("://")
    if isinstance(out, Path) or not is_url:
        return Path(out)
    refusal = (
        f"{scheme[:20]}://: a user, password, key or query in an address is refused: credentials come from the "
        "environment"
    )
    try:
        parts = urlsplit(f"//{rest}")
    except ValueError:  # brackets that are no IPv6 address: in a password, perhaps
        raise CommandError(ExitCode.USAGE, refusal) from None
    if "\0" in unquote(rest):
        raise CommandError(ExitCode.USAGE, f"{scheme[:20]}://: a zero byte is in the address")
    if scheme in ("file", *SCHEMES) and ("@" in parts.netloc or parts.query or parts.fragment):
        raise CommandError(ExitCode.USAGE, refusal)
    if scheme == "file" and parts.netloc in ("", "localhost") and parts.path.startswith("/"):
        return Path(unquote(parts.path))
    if scheme not in SCHEMES:
        raise CommandError(
            ExitCode.USAGE,
            f"{scheme[:20]}:// is no place to write to: name a folder, file:///folder, or a bucket of s3://, gs:// or "
            "az://",
        )
    if not _BUCKET.fullmatch(parts.netloc):
        raise CommandError(ExitCode.USAGE, f"{scheme}://: that names no bucket: {scheme}://bucket/prefix")
    return f"{scheme}://{'/'.join([parts.netloc, *filter(None, parts.path.split('/'))])}"
