"""Archives are unpacked into a folder, and nowhere else."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from ssl_bench.errors import DataError
from ssl_bench.files import unpack_tar


def archive(*members: tarfile.TarInfo) -> tarfile.TarFile:
    """Return an archive of members, each file of which holds its own name."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as made:
        for member in members:
            member.size = len(member.name) if member.isfile() else 0
            made.addfile(member, io.BytesIO(member.name.encode()))
    content.seek(0)
    return tarfile.open(fileobj=content)


def test_files_are_written_and_links_are_not(tmp_path: Path) -> None:
    """Files lie where the archive has them; a link is left out."""
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with archive(tarfile.TarInfo("a"), link, tarfile.TarInfo("b/c")) as made:
        unpack_tar(made, tmp_path)
    found = {path.relative_to(tmp_path).as_posix(): path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {"a": "a", "b/c": "b/c"}


@pytest.mark.parametrize("name", ["../out", "b/../../out", "/tmp/out-of-the-folder"])
def test_what_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    """A name that leads out of the folder is an error, and nothing is written there."""
    with archive(tarfile.TarInfo(name)) as made, pytest.raises(DataError, match="leads out of the folder"):
        unpack_tar(made, tmp_path / "inner")
    assert not [*tmp_path.rglob("out")]
    assert not Path("/tmp/out-of-the-folder").exists()
