"""A case of the corpus, and the place where it happens."""

from __future__ import annotations

import dataclasses
import pickle
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

from ssl_bench.submission import archive, attestation, bundle
from ssl_bench.submission.bundle import Bundle
from ssl_bench.submission.validator import validate
from tests.submission.factory import make_bundle
from tests.submission.test_validator import KNOWN, ROUND

Change = Callable[[dict[str, bytes]], Any]


@dataclasses.dataclass(frozen=True)
class Case:
    """One thing that an attacker does."""

    name: str
    does: Callable[[Arena], object]
    """Hands it in, and lets the house read it: raises the refusal, or returns in words what became of it."""
    meets: str
    """Regular expression of the refusal's or the outcome's words."""


@dataclasses.dataclass(frozen=True)
class Arena:
    """A folder of the attacker's, and what tells whether anything of it was executed."""

    folder: Path

    @property
    def sentinel(self) -> Path:
        """The file that a payload would leave behind."""
        return self.folder / "sentinel"

    @property
    def code(self) -> str:
        """Python that writes the sentinel."""
        return f"open({str(self.sentinel)!r}, 'w').close()"

    @property
    def pickled(self) -> bytes:
        """A pickle that writes the sentinel when it is loaded."""
        return pickle.dumps(Payload(self.code))

    @property
    def path(self) -> Path:
        return self.folder / "bundle.tar"

    # ------------------------------------------------------------------ handing in

    def raw(self, content: bytes) -> Bundle:
        """Hand in some bytes."""
        self.path.write_bytes(content)
        return bundle.read(self.path)

    def tar(self, *members: tarfile.TarInfo | tuple[str, bytes], kind: int = tarfile.USTAR_FORMAT) -> Bundle:
        """Hand in a tar as another tool makes it."""
        with tarfile.open(self.path, "w", format=kind) as file:
            for one in members:
                info = one if isinstance(one, tarfile.TarInfo) else tarfile.TarInfo(one[0])
                content = b"" if isinstance(one, tarfile.TarInfo) else one[1]
                info.size = len(content) or info.size
                file.addfile(info, BytesIO(content) if content else None)
        return bundle.read(self.path)

    def changed(self, change: Change, made: Bundle | None = None) -> Bundle:
        """Hand in a bundle whose members were changed, and whose manifest and attestation were made good."""
        made = made or make_bundle(suite=ROUND.asked)
        contents = dict(made.contents)
        change(contents)
        if contents.get(bundle.ATTEST) == made.contents[bundle.ATTEST]:
            body = made.attestation
            held = bundle.held({name: one for name, one in contents.items() if not name.startswith("attest")})
            body["subject"] = attestation.subjects(held)
            contents[bundle.ATTEST] = attestation.canonical_json(body).encode()
        contents = dict(sorted(contents.items()))
        manifest = dataclasses.replace(made.manifest, members=bundle.held(contents))
        with self.path.open("wb") as file:
            members = {**contents, bundle.MANIFEST: manifest.to_bytes()}
            archive.write(file, sorted(members.items()))
        return bundle.read(self.path)

    def manifest(self, change: Callable[[bytes], bytes]) -> Bundle:
        """Hand in a bundle whose manifest was changed."""
        made = make_bundle(suite=ROUND.asked)
        members = {**made.contents, bundle.MANIFEST: change(made.manifest.to_bytes())}
        with self.path.open("wb") as file:
            archive.write(file, sorted(members.items()))
        return bundle.read(self.path)

    def judge(self, found: Bundle) -> str:
        """Return what the validator says of a bundle, in one line per finding."""
        report = validate(found, ROUND, KNOWN)
        return "\n".join(str(one) for one in report.findings) or "nothing was found"


class Payload:
    """What executes code when it is unpickled."""

    def __init__(self, code: str) -> None:
        self.code = code

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (self.code,)
