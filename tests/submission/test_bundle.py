"""What a bundle promises: it comes back as it went in, names itself by its content, and any damage is one line."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as arrow
import pytest
from pyarrow import parquet

from ssl_bench.errors import MissingError, UsageError
from ssl_bench.submission import archive, bundle
from ssl_bench.submission.limits import Limits
from tests.submission.factory import CARD, FILE, make_bundle, scored, written

Change = Callable[[dict[str, bytes]], Any]


def rebuilt(path: Path, change: Change) -> Path:
    """Write a bundle whose members somebody changed, and whose manifest they made good."""
    made = make_bundle()
    contents = dict(made.contents)
    change(contents)
    contents = dict(sorted(contents.items()))
    manifest = dataclasses.replace(made.manifest, members=bundle.held(contents))
    return written(path, dataclasses.replace(made, contents=contents, manifest=manifest))


def packed(path: Path, *members: tarfile.TarInfo | tuple[str, bytes], kind: int = tarfile.USTAR_FORMAT) -> Path:
    """Write a tar as another tool does."""
    with tarfile.open(path, "w", format=kind) as file:
        for one in members:
            info = one if isinstance(one, tarfile.TarInfo) else tarfile.TarInfo(one[0])
            content = b"" if isinstance(one, tarfile.TarInfo) else one[1]
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return path


def info(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", **pax: str) -> tarfile.TarInfo:
    """Return a member that is not what a bundle holds."""
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.pax_headers = kind, link, pax
    return made


def test_a_bundle_comes_back_as_it_went_in(tmp_path: Path) -> None:
    """Records, predictions, sketches, card and manifest are the same after writing and reading."""
    made = make_bundle()
    found = bundle.read(written(tmp_path / "b.tar", made))
    assert found.records == made.records
    assert found.manifest == made.manifest
    assert (found.entry, found.digest) == (made.entry, made.digest)
    for record in made.records:
        assert list(found.table(record)["sample_id"]) == [f"{record.task.name}/{i}.png" for i in range(40)]
        first, second = found.sketch(record), made.sketch(record)
        assert first is not None
        assert second is not None
        assert (first.values == second.values).all()


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    """The order in which records were given changes no byte; the time of making does, and so the digest."""
    answers = scored("cifar10"), scored("dtd")
    one, two = (
        written(tmp_path / "1.tar", make_bundle(*answers)),
        written(tmp_path / "2.tar", make_bundle(*answers[::-1])),
    )
    assert one.read_bytes() == two.read_bytes()
    later = make_bundle(*answers, created="2026-03-02T00:00:00Z")
    assert later.digest != make_bundle(*answers).digest


def test_any_tar_reads_a_bundle(tmp_path: Path) -> None:
    """A bundle is a POSIX tar whose members another reader sees with their contents, sorted, of no owner and time 0."""
    made = make_bundle()
    with tarfile.open(written(tmp_path / "b.tar", made)) as file:
        members = file.getmembers()
        contents = {one.name: found.read() for one in members if (found := file.extractfile(one))}
    assert contents == {**made.contents, "manifest.json": made.manifest.to_bytes()}
    assert [one.name for one in members] == sorted(contents)
    assert {(one.uid, one.gid, one.uname, one.mtime, one.mode) for one in members} == {(0, 0, "", 0, 0o644)}


@pytest.mark.parametrize("where", range(0, 12_000, 397))
def test_one_changed_byte_is_seen(tmp_path: Path, where: int) -> None:
    """A bundle of which any byte was changed is refused, by name."""
    path = written(tmp_path / "b.tar")
    content = bytearray(path.read_bytes())
    content[where] ^= 1
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"b\.tar: .") as caught:
        bundle.read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("length", [0, 100, 511, 512, 5_000, -1024, -512, -1])
def test_a_bundle_that_was_cut_off_is_refused(tmp_path: Path, length: int) -> None:
    """Half a bundle is no bundle, wherever it was cut."""
    path = written(tmp_path / "b.tar")
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(UsageError, match=r"cut off|no bundle|short"):
        bundle.read(path)


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (info("records.jsonl", tarfile.SYMTYPE, "/etc/passwd"), "is a symbolic link"),
        (info("records.jsonl", tarfile.LNKTYPE, "card.toml"), "is a hard link"),
        (info("records.jsonl", tarfile.CHRTYPE), "is a device"),
        (info("records.jsonl", tarfile.FIFOTYPE), "is a pipe"),
        (info("samples", tarfile.DIRTYPE), "is a folder"),
        (info("records.jsonl", tarfile.GNUTYPE_SPARSE), "is a sparse file"),
        (("../records.jsonl", b"x"), "no member of a bundle is called so"),
        (("/etc/cron.d/job", b"x"), "no member of a bundle is called so"),
        (("samples/../../x.parquet", b"x"), "no member of a bundle is called so"),
        (("env/\x1b[2Jlock.txt", b"x"), "no member of a bundle is called so"),
        (("card.toml", b"x"), "its header is not the one"),
    ],
)
def test_members_that_are_not_plain_files_are_refused(
    tmp_path: Path, member: tarfile.TarInfo | tuple[str, bytes], message: str
) -> None:
    """Links, devices, folders, paths that lead elsewhere and foreign headers are refused before anything is read."""
    with pytest.raises(UsageError, match=message) as caught:
        bundle.read(packed(tmp_path / "b.tar", member))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("kind", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_extensions_of_tar_are_refused(tmp_path: Path, kind: int) -> None:
    """A pax or GNU record, which could rename the next member or give it another size, is refused as such."""
    long = f"samples/{'a' * 120}.parquet"
    with pytest.raises(UsageError, match=r"is a (pax|GNU) extension"):
        bundle.read(packed(tmp_path / "b.tar", (long, b"x"), kind=kind))


def test_a_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    """Of two members of one name readers would differ on which counts."""
    path = tmp_path / "b.tar"
    path.write_bytes(archive.header("card.toml", 0) * 2 + archive.END)
    with pytest.raises(UsageError, match=r"card\.toml: is there twice"):
        bundle.read(path)


def test_a_size_that_lies_is_refused(tmp_path: Path) -> None:
    """A header that promises more than the file has, or than the limits allow, makes nobody allocate it."""
    path = tmp_path / "b.tar"
    path.write_bytes(archive.header("card.toml", 2**28) + archive.END)
    with pytest.raises(UsageError, match=r"card\.toml: is cut off: it should have 268,435,456 bytes"):
        bundle.read(path)
    path.write_bytes(archive.header("card.toml", 2**32) + archive.END)
    with pytest.raises(UsageError, match=r"card\.toml: has 4,294,967,296 bytes, more than"):
        bundle.read(path)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(total=5_000), "more than 5,000"),
        (Limits(member=500), "more than 500"),
        (Limits(members=3), "holds more than 3 members"),
        (Limits(json=1_000), "more than 1,000"),
        (Limits(line=1_000), r"records\.jsonl:1: has .* more than 1,000"),
        (Limits(depth=2), "nested more than 2 deep"),
        (Limits(text=10), "more than 10"),
        (Limits(rows=39), "has 40 rows, more than 39"),
        (Limits(columns=4), "has 5 columns, more than 4"),
        (Limits(decoded=100), "decodes to .* bytes, more than 100"),
    ],
)
def test_every_limit_holds(tmp_path: Path, limits: Limits, message: str) -> None:
    """Size, count, depth, rows, columns and decoded size are each bounded, and the message says by what."""
    with pytest.raises(UsageError, match=message):
        bundle.read(written(tmp_path / "b.tar"), limits)


def _table(**columns: Any) -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(arrow.table(columns), buffer)
    return buffer.getvalue()


def _swapped(contents: dict[str, bytes]) -> None:
    one, two = [name for name in contents if name.startswith("samples/")]
    contents[one], contents[two] = contents[two], contents[one]


NOT_CANONICAL = "not written canonically"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("card.toml"), r"card\.toml: is missing"),
        (lambda c: c.pop("records.jsonl"), r"records\.jsonl: is missing"),
        (lambda c: c.update({"records.jsonl": b""}), r"records\.jsonl: holds no record"),
        (lambda c: c.update({"records.jsonl": c["records.jsonl"] * 2}), "not in the order of records"),
        (lambda c: c.update({"records.jsonl": b"[" * 100_000 + b"\n"}), r"records\.jsonl:1: is nested more than 32"),
        (lambda c: c.update({"records.jsonl": c["records.jsonl"].replace(b":", b": ", 1)}), NOT_CANONICAL),
        (lambda c: c.update({"records.jsonl": b'{"a":NaN}\n'}), "holds NaN, which is not JSON"),
        (lambda c: c.update({"records.jsonl": b'{"a":1,"a":2}\n'}), "one key twice"),
        (lambda c: c.update({"records.jsonl": c["records.jsonl"].replace(b'"seed":0', b'"seed":1')}), "record_id"),
        (lambda c: c.update({"card.toml": b"name = "}), r"card\.toml: is not valid TOML"),
        (lambda c: c.update({"card.toml": b"a = " + b"[" * 9_999}), r"card\.toml: is nested"),
        (lambda c: c.update({"card.toml": b"\xff"}), r"card\.toml: is not UTF-8"),
        (lambda c: c.update({"card.toml": CARD.format(sha256="x").encode()}), "sha256 is not 64 digits"),
        (lambda c: c.update({"card.toml": (CARD + 'colour = ""\n').format(sha256=FILE).encode()}), "unknown key"),
        (lambda c: c.update({"attest.json": b"[]"}), r"attest\.json: is not a record but"),
        (_swapped, "is named by another digest"),
        (lambda c: c.update({f"samples/{'0' * 64}.parquet": b""}), "is named by another digest"),
    ],
)
def test_members_that_are_not_what_they_seem_are_refused(tmp_path: Path, change: Change, message: str) -> None:
    """A manifest that is right does not help a member that is wrong, and the line names the member."""
    with pytest.raises(UsageError, match=message) as caught:
        bundle.read(rebuilt(tmp_path / "b.tar", change))
    assert str(caught.value).startswith(f"{tmp_path / 'b.tar'}: ")


def test_members_outside_the_manifest_are_refused(tmp_path: Path) -> None:
    """What the manifest does not name is not there by right, and what it names must be there."""
    made = make_bundle()
    less = {name: one for name, one in made.manifest.members.items() if name != "env/lock.txt"}
    manifest = dataclasses.replace(made.manifest, members=less)
    with pytest.raises(UsageError, match=r"env/lock\.txt: is not in the manifest"):
        bundle.read(written(tmp_path / "1.tar", dataclasses.replace(made, manifest=manifest)))
    contents = {name: one for name, one in made.contents.items() if not name.startswith("sketch/")}
    with pytest.raises(UsageError, match=r"sketch/.*: is in the manifest, but not in the bundle"):
        bundle.read(written(tmp_path / "2.tar", dataclasses.replace(made, contents=contents)))


def test_predictions_that_no_record_names_are_refused(tmp_path: Path) -> None:
    """A bundle carries nothing but what it claims."""
    content = scored("pets")[1]
    name = f"samples/{hashlib.sha256(content).hexdigest()}.parquet"
    with pytest.raises(UsageError, match="no record names these predictions"):
        bundle.read(rebuilt(tmp_path / "b.tar", lambda contents: contents.update({name: content})))


def test_an_absent_bundle(tmp_path: Path) -> None:
    """A file that is not there is told apart from a damaged one."""
    with pytest.raises(MissingError, match="cannot read"):
        bundle.read(tmp_path / "none.tar")


def test_a_bundle_that_changes_while_it_is_read(tmp_path: Path) -> None:
    """Who replaces the file after it was checked is found out when a member is read again."""
    path = written(tmp_path / "b.tar")
    found = bundle.read(path)
    record = found.records[0]
    content = path.read_bytes()
    path.write_bytes(content.replace(b"PAR1", b"PAR2"))
    with pytest.raises(UsageError, match="its content is not the one that the manifest names"):
        found.table(record)
