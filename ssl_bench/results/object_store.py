"""Records in an S3-compatible object store, through s3fs, which takes endpoint and keys from AWS's usual variables.

An object appears whole or not at all. Where the server knows conditional writes (`If-None-Match`, `If-Match`), of
several that create one name exactly one does; where it does not, the store names every record by its content, so that
nothing can be overwritten by anything else.
"""

from __future__ import annotations

import contextlib
import functools
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from ssl_bench.errors import MissingError, UsageError, missing_package
from ssl_bench.results.roots import PACKED, SAMPLES, File

BATCH = 512
"""Objects that are asked for at once."""


class S3Root:
    """A bucket, or a prefix in one."""

    def __init__(self, path: str) -> None:
        path = path.strip("/")
        if not path:
            raise UsageError("s3:// names no bucket; write s3://bucket/prefix")
        self.path = path
        self.place = f"s3://{path}"

    @functools.cached_property
    def server(self) -> Any:
        """The s3fs file system, which keeps no listing: other machines write too."""
        try:
            import s3fs
        except ImportError:
            raise missing_package("s3fs", "s3", f"results at {self.place}") from None
        return s3fs.S3FileSystem(use_listings_cache=False)

    @property
    def exclusive(self) -> bool:
        """Whether the server refuses to create what is there: tried once per bucket with an object of our own."""
        bucket = self.path.partition("/")[0]
        if bucket not in _EXCLUSIVE:
            name = f".probe-{uuid.uuid4().hex}.tmp"
            try:
                _EXCLUSIVE[bucket] = self._create(name) and not self._create(name)
            finally:
                self.remove(name)
        return _EXCLUSIVE[bucket]

    def _create(self, name: str, content: bytes = b"") -> bool:
        with self._server_errors(f"write {self.place}/{name}"):
            try:
                self.server.pipe_file(self._key(name), content, mode="create")
            except FileExistsError:
                return False
            except (OSError, NotImplementedError) as error:
                if not _not_implemented(error):
                    raise
                self.server.pipe_file(self._key(name), content)
        return True

    def _key(self, name: str) -> str:
        return f"{self.path}/{name}"

    @contextlib.contextmanager
    def _server_errors(self, doing: str) -> Iterator[None]:
        """Turn what the server or the way to it lacks into one line."""
        try:
            yield
        except (MissingError, UsageError):
            raise
        except Exception as error:
            if not isinstance(error, OSError) and type(error).__module__.split(".")[0] not in _LIBRARIES:
                raise
            reason = " ".join(str(getattr(error, "strerror", "") or error).split())
            raise MissingError(f"cannot {doing}: {reason}") from error

    def _list(self, prefix: str = "") -> dict[str, File]:
        """Return every object below the root whose name begins with `prefix`."""
        folder, _, start = prefix.rpartition("/")
        with self._server_errors(f"list {self.place}"):
            found = self.server.find(self._key(folder).rstrip("/"), prefix=start, detail=True, withdirs=False)
        names = {key[len(self.path) + 1 :]: said for key, said in found.items()}
        return {name: _file(said) for name, said in sorted(names.items()) if name.startswith(prefix)}

    def record_files(self) -> dict[str, File]:
        found = self._list()
        packed = {name: file for name, file in found.items() if name.endswith(PACKED) and "/" not in name}
        return packed | {name: file for name, file in found.items() if _is_loose(name)}

    def sample_files(self) -> dict[str, File]:
        return self._list(f"{SAMPLES}/")

    def beginning(self, prefix: str) -> list[str]:
        return list(self._list(prefix))

    def stamp(self, name: str) -> str:
        with self._server_errors(f"read {self.place}/{name}"):
            try:
                return str(self.server.info(self._key(name), refresh=True).get("ETag", ""))
            except FileNotFoundError:
                return ""

    def read(self, name: str) -> bytes:
        with self._server_errors(f"read {self.place}/{name}"):
            try:
                return bytes(self.server.cat_file(self._key(name)))
            except FileNotFoundError as error:
                missing = FileNotFoundError(2, "No such file", f"{self.place}/{name}")
                missing.__cause__ = error
        raise missing

    def read_all(self, names: Iterable[str]) -> Iterator[tuple[str, bytes | OSError]]:
        wanted = list(names)
        for start in range(0, len(wanted), BATCH):
            batch = wanted[start : start + BATCH]
            with self._server_errors(f"read {self.place}"):
                found = self.server.cat([self._key(name) for name in batch], on_error="return")
            for name in batch:
                content = found[self._key(name)]
                if isinstance(content, Exception) and not isinstance(content, OSError):
                    raise MissingError(f"cannot read {self.place}/{name}: {content}")
                yield name, content

    def create(self, name: str, content: bytes) -> bool:
        return self._create(name, content)

    def replace(self, name: str, content: bytes, stamp: str) -> bool:
        if not self.exclusive:
            raise MissingError(
                f"{self.place}: the server knows no conditional writes, so packing there could lose records; "
                "`ssl-bench results import` them into a folder and pack that"
            )
        if not stamp:
            return self._create(name, content)
        bucket, _, key = self._key(name).partition("/")
        with self._server_errors(f"write {self.place}/{name}"):
            try:
                self.server.call_s3("put_object", Bucket=bucket, Key=key, Body=content, IfMatch=stamp)
            except (OSError, self._refusal) as error:
                if not _refused(error):
                    raise
                return False
        return True

    @property
    def _refusal(self) -> type[Exception]:
        from botocore.exceptions import ClientError

        refusal: type[Exception] = ClientError
        return refusal

    def remove(self, name: str) -> None:
        with self._server_errors(f"remove {self.place}/{name}"), contextlib.suppress(FileNotFoundError):
            self.server.rm_file(self._key(name))

    def lock(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def check_writable(self) -> None:
        name = f".probe-{uuid.uuid4().hex}.tmp"
        self._create(name)
        self.remove(name)

    def leftovers(self) -> list[str]:
        return [name for name in self._list(".probe-") if "/" not in name]


_EXCLUSIVE: dict[str, bool] = {}
"""What is known of buckets; see `S3Root.exclusive`."""
_LIBRARIES = {"botocore", "aiobotocore", "aiohttp", "s3fs"}


def _file(said: dict[str, Any]) -> File:
    modified = said.get("LastModified")
    return File(int(said.get("size") or 0), str(said.get("ETag", "")), modified.timestamp() if modified else 0.0)


def _is_loose(name: str) -> bool:
    parts = name.split("/")
    inside = len(parts) == 3 and parts[0] != SAMPLES and not any(part.startswith(".") for part in parts)
    return inside and name.endswith(".json")


def _refused(error: Exception) -> bool:
    """Return whether the server said that a condition does not hold."""
    return "condition" in str(error).lower() or "412" in str(error)


def _not_implemented(error: Exception) -> bool:
    """Return whether the server does not know the condition."""
    return isinstance(error, NotImplementedError) or "not implemented" in str(error).lower()
