"""The way to an object store: a client with patience, and what its errors mean for a person."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import AzureStore, GCSStore, S3Store

from models.errors import CommandError, ExitCode, first_line
from models.log import log

if TYPE_CHECKING:
    from obstore import ObjectMeta, PutResult, ReadableFile, UpdateVersion
    from obstore.store import ClientConfig, RetryConfig, S3CredentialProvider

Client = S3Store | GCSStore | AzureStore
REQUEST_SECONDS, PATIENCE_SECONDS = 30, 120
"""A request may take the first; it is tried again, ever more rarely, for the second. Together the longest wait."""
_CONNECT_SECONDS, _TRIES, _LONGEST_PAUSE_SECONDS = 5, 20, 10
_TRUE = ("1", "true", "yes", "on")
_PREFIXES = {"s3": "AWS_", "gs": "GOOGLE_", "az": "AZURE_"}
_ENDPOINT = re.compile(r"https?://([\w.-]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?(/[^\s?#]*)?")
_STATUS, _CODE = re.compile(r"status code: (\d{3})"), re.compile(r"<Code>(\w+)</Code>")
_NO_BUCKET = re.compile("NoSuchBucket|ContainerNotFound")
_NO_CREDENTIALS = re.compile(r"/latest/(api/token|meta-data)|/computeMetadata/|/metadata/identity")
"""What obstore asks last: the machine itself, which knows only in a cloud."""
_KEYS = re.compile("AWS_(ACCESS_KEY_ID|WEB_IDENTITY_TOKEN_FILE|SKIP_SIGNATURE|CONTAINER_CREDENTIALS_.*)")


def connect(url: str, seconds: float | None = None) -> Client:
    """A client for what lies below `url`; nothing is asked yet.

    Credentials are obstore's business: it reads the environment. With AWS_PROFILE set, boto3 reads that profile.

    Args:
        url: of `jobs.stores.store.place`.
        seconds: that one request may take, and for which it is tried again; by default the constants above.

    Raises:
        CommandError: 2 where the environment lacks what the store needs, or the profile is none.
    """
    scheme, _, rest = url.partition("://")
    bucket, _, path = rest.partition("/")
    _check_environment(scheme)
    options: ClientConfig = {
        "timeout": timedelta(seconds=seconds or REQUEST_SECONDS),
        "connect_timeout": timedelta(seconds=min(seconds or REQUEST_SECONDS, _CONNECT_SECONDS)),
        "allow_http": _allows_http(),
    }
    retry: RetryConfig = {
        "max_retries": _TRIES,
        "retry_timeout": timedelta(seconds=seconds or PATIENCE_SECONDS),
        "backoff": {"max_backoff": timedelta(seconds=_LONGEST_PAUSE_SECONDS)},
    }
    prefix = path or None
    try:
        if scheme == "gs":
            return GCSStore(bucket, prefix=prefix, client_options=options, retry_config=retry)
        if scheme == "az":
            return AzureStore(bucket, prefix=prefix, client_options=options, retry_config=retry)
        return S3Store(
            bucket, prefix=prefix, client_options=options, retry_config=retry, credential_provider=_profile()
        )
    except (BaseError, ValueError) as error:
        raise CommandError(ExitCode.USAGE, f"{url}: {first_line(error)}") from None


def _allows_http() -> bool:
    return os.environ.get("AWS_ALLOW_HTTP", "").lower() in _TRUE


def _check_environment(scheme: str) -> None:
    """Refuse what obstore's HTTP client does not survive, or calls by another name.

    Raises:
        CommandError: 2 with the variable's name.
    """
    for name, value in os.environ.items():
        if name.startswith(_PREFIXES[scheme]) and not (value.isascii() and value.isprintable()):
            raise CommandError(
                ExitCode.USAGE, f"{name} has a character that no header can have, such as the end of a line"
            )
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT") if scheme == "s3" else ():
        address = os.environ.get(name)
        if address is None:
            continue
        if not _ENDPOINT.fullmatch(address):
            raise CommandError(ExitCode.USAGE, f"{name} is no address such as https://host:port")
        if address.startswith("http:") and not _allows_http():
            raise CommandError(ExitCode.USAGE, f"{name} has no TLS: set AWS_ALLOW_HTTP=true if that is meant")


@contextlib.contextmanager
def told_of(where: str) -> Iterator[None]:
    """Let what fails in the block say `where`, what is wrong and what to do, and nothing that the store sent along.

    Raises:
        FileNotFoundError: there is no such object.
        AlreadyExistsError, PreconditionError: the condition of a write does not hold.
        CommandError: 73 where the store refuses, 74 where it does not answer.
    """
    try:
        yield
    except (AlreadyExistsError, PreconditionError):
        raise
    except FileNotFoundError as error:
        if _NO_BUCKET.search(str(error)):
            raise _meaning(error, where) from None
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), where) from None
    except BaseError as error:
        raise _meaning(error, where) from None


def version_of(written: ObjectMeta | PutResult) -> UpdateVersion:
    """What a later write can make its condition; obstore takes no None there."""
    version: UpdateVersion = {}
    if written["e_tag"] is not None:
        version["e_tag"] = written["e_tag"]
    if written["version"] is not None:
        version["version"] = written["version"]
    return version


def open_object(client: Client, name: str, where: str, buffer_bytes: int) -> io.BufferedReader:
    """An object to read, which is asked for in pieces of `buffer_bytes`; `where` is its name in errors.

    Raises:
        FileNotFoundError: there is none.
        CommandError: see `told_of`; from the reading, too.
    """
    with told_of(where):
        file = obstore.open_reader(client, name, buffer_size=buffer_bytes)
    return io.BufferedReader(_Reading(file, where), buffer_bytes)


def says_not_implemented(error: Exception) -> bool:
    """Whether it is about a kind of request that the store, or this client of it, does not know."""
    return isinstance(error, NotImplementedError) or "status code: 501" in str(error)


def _meaning(error: Exception, where: str) -> CommandError:
    text = str(error)
    status, code = _STATUS.search(text), _CODE.search(text)
    said = " ".join(match[1] for match in (status, code) if match)
    if _NO_CREDENTIALS.search(text):
        return CommandError(
            ExitCode.CANNOT_WRITE,
            f"{where}: no credentials: set the variables that the store needs, such as AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
        )
    if _NO_BUCKET.search(text):
        return CommandError(ExitCode.CANNOT_WRITE, f"{where}: there is no such bucket: make it, or name another")
    if "redirect" in text or said.startswith("3"):
        return CommandError(ExitCode.CANNOT_WRITE, f"{where}: the bucket is in another region: set AWS_REGION")
    if said.startswith("4") and not said.startswith(("408", "429")):
        return CommandError(
            ExitCode.CANNOT_WRITE,
            f"{where}: the store refuses it ({said}): these credentials must be valid, and may have to list, read, "
            "write and delete there",
        )
    return CommandError(
        ExitCode.IO_ERROR,
        f"{where}: the store did not answer as it should ({said or 'no connection, or too slow'}), asked again and "
        "again; run the same command again to continue",
    )


def _profile() -> S3CredentialProvider | None:
    if "AWS_PROFILE" not in os.environ:
        if not any(map(_KEYS.fullmatch, os.environ)):
            log.info("no credentials in the environment: asking this machine, which may take two minutes")
        return None
    try:
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ModuleNotFoundError:
        raise CommandError(ExitCode.USAGE, "AWS_PROFILE is set, and boto3 reads it: pip install boto3") from None
    from botocore.exceptions import BotoCoreError, CredentialRetrievalError

    try:
        return Boto3CredentialProvider()
    except CredentialRetrievalError:  # it repeats what the profile's command printed
        raise CommandError(ExitCode.USAGE, "AWS_PROFILE: the profile's credentials cannot be had") from None
    except (BotoCoreError, ValueError) as error:
        raise CommandError(ExitCode.USAGE, f"AWS_PROFILE: {error}") from None


class _Reading(io.RawIOBase):
    """An object as a file of Python."""

    def __init__(self, file: ReadableFile, where: str) -> None:
        self._file, self._where = file, where

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        with told_of(self._where):
            content = self._file.read(len(buffer))
        buffer[: len(content)] = memoryview(content)
        return len(content)
