"""Tables, sketches and weights that execute, explode or lie."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as arrow
from pyarrow import parquet

from ssl_bench import backbones, model_zoo
from ssl_bench.backbones.base import LoadContext
from ssl_bench.submission import sketch, tables
from ssl_bench.submission.limits import Limits
from tests.submission.factory import make_bundle, scored
from tests.submission.hostile.base import Arena, Case
from tests.submission.test_tables import encoded
from tests.submission.test_validator import ROUND


def predictions(content: bytes | Callable[[Arena], bytes]) -> Callable[[Arena], object]:
    """Hand in a bundle whose first record names these bytes as its predictions, and have them read."""

    def does(arena: Arena) -> object:
        record, _ = scored("cifar10")
        given = content(arena) if callable(content) else content
        samples = dataclasses.replace(record.samples, sha256=hashlib.sha256(given).hexdigest())
        made = make_bundle((dataclasses.replace(record, samples=samples), given), scored("dtd"), suite=ROUND.asked)
        found = arena.changed(lambda contents: None, made)
        return found.table(found.records[0])

    return does


def sketched(content: bytes | Callable[[Arena], bytes]) -> Callable[[Arena], object]:
    """Hand in a bundle with these bytes for a sketch."""

    def does(arena: Arena) -> object:
        def change(contents: dict[str, bytes]) -> None:
            name = next(name for name in contents if name.startswith("sketch/"))
            contents[name] = content(arena) if callable(content) else content

        return arena.changed(change)

    return does


def right() -> bytes:
    return sketch.encode(sketch.make(np.ones((40, 8)), np.zeros((40, 32), np.uint8)))


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def npy_of_objects(arena: Arena) -> bytes:
    """A header that is right but for its type, which is that of pickled objects, and a payload for its content."""
    return right()[:192].replace(b"'|u1', (16,)", b"'|O', (16,) ") + arena.pickled


def extension(arena: Arena) -> bytes:
    """A table whose column is of a type that older releases of pyarrow unpickle (CVE-2023-47248)."""
    metadata = {b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": arena.pickled}
    return _with_field(metadata)


def _with_field(metadata: dict[bytes, bytes]) -> bytes:
    _, content = scored("cifar10")
    table = parquet.read_table(io.BytesIO(content))
    fields = [field.with_metadata(metadata) if field.name == "pred" else field for field in table.schema]
    buffer = io.BytesIO()
    parquet.write_table(table.cast(arrow.schema(fields)), buffer)
    return buffer.getvalue()


def pandas(arena: Arena) -> bytes:
    """A table that says of itself, as pandas does, of what types its columns are."""
    table = parquet.read_table(io.BytesIO(scored("cifar10")[1]))
    said = {"pandas": json.dumps({"index_columns": [{"kind": "range", "start": 0, "stop": 10**18, "step": 1}]})}
    buffer = io.BytesIO()
    parquet.write_table(table.replace_schema_metadata(said | {"payload": arena.pickled.hex()}), buffer)
    return buffer.getvalue()


def words(told: bool) -> bytes:
    """One word of 100 kB and a million references to it, 100 GB in 10 kB; with or without telling of it."""
    column = arrow.DictionaryArray.from_arrays(arrow.array(np.zeros(1_000_000, np.int32)), ["x" * 100_000])
    buffer = io.BytesIO()
    parquet.write_table(arrow.table({"sample_id": column}), buffer, compression="zstd", store_schema=told)
    assert len(buffer.getvalue()) < 10_000
    return buffer.getvalue()


def rows() -> bytes:
    """Nine million equal rows, which compress to nothing."""
    return encoded(pred=np.zeros(9_000_000, np.int32))


def scores(arena: Arena) -> object:
    """A table of 40 MB of zeros in some kilobytes, handed to a reader that takes 10 MB."""
    flat = arrow.array(np.zeros(10_000_000, np.float32))
    content = encoded(scores=arrow.FixedSizeListArray.from_arrays(flat, 1000))
    assert len(content) < 40_000
    return tables.read(content, "here", Limits(decoded=10_000_000))


def liar(arena: Arena) -> bytes:
    """A table of which the description says that it is small, and whose content is not."""
    content = bytearray(rows())
    length = struct.unpack("<I", content[-8:-4])[0]
    start = len(content) - 8 - length
    return bytes(content[:start]) + bytes(content[start:]).replace(b"\x80\xd1\xca\x08", b"\x50\x00\x00\x00")


def loaded(path: Path) -> object:
    card = model_zoo.get(f"ckpt:{path},family=dino_vit")
    return backbones.load(card, LoadContext(weights_path=path, offline=True, load_card=model_zoo.get))


def weights(arena: Arena) -> object:
    path = arena.folder / "weights.pth"
    path.write_bytes(arena.pickled)
    return loaded(path)


def torch_weights(arena: Arena) -> object:
    """A checkpoint as torch saves it, with a payload beside the tensors."""
    import torch

    from tests.submission.hostile.base import Payload

    path = arena.folder / "weights.pth"
    torch.save({"model": {"a": torch.zeros(3)}, "x": Payload(arena.code)}, path)
    return loaded(path)


def header(size: int, text: bytes = b"{}") -> Callable[[Arena], object]:
    """Load a safetensors file whose header says that it is of this size."""

    def does(arena: Arena) -> object:
        path = arena.folder / "weights.safetensors"
        path.write_bytes(struct.pack("<Q", size) + text)
        return loaded(path)

    return does


NO_TABLE, NO_SKETCH = "is no Parquet file", "is no sketch"
TOO_LARGE = "decodes to|more than"
NO_WEIGHTS = "cannot|refused|no state dict|header|corrupt|not a|safetensors"
OVERLAP = b'{"a":{"dtype":"F32","shape":[9000000000],"data_offsets":[0,36000000000]}}'
CASES = (
    Case("a pickle for a table", predictions(lambda a: a.pickled), NO_TABLE),
    Case("a pickle between the marks of Parquet", predictions(lambda a: b"PAR1" + a.pickled + b"PAR1"), NO_TABLE),
    Case("nothing for a table", predictions(b""), NO_TABLE),
    Case("half a table", predictions(scored("cifar10")[1][:-40]), NO_TABLE),
    Case(
        "a table of one damaged byte",
        predictions(scored("cifar10")[1][:60] + b"\xff" + scored("cifar10")[1][61:]),
        "is no table|pred is not|read as|{'sample_id'",
    ),
    Case("a type that is unpickled", predictions(extension), "'sample_id'|is no table|is no Parquet"),
    Case("a payload in the words of pandas", predictions(pandas), "'sample_id'"),
    Case("one long word and a million references", predictions(lambda a: words(told=False)), TOO_LARGE),
    Case("a column of references", predictions(lambda a: words(told=True)), "types that no prediction has"),
    Case("nine million rows in a kilobyte", predictions(lambda a: rows()), "has 9,000,000 rows, more than"),
    Case("a table that unfolds to a thousand times its size", scores, TOO_LARGE),
    Case("a table that lies of its size", predictions(liar), "is no|rows|decodes"),
    Case("seventeen columns", predictions(encoded(**{f"c{i}": [1] for i in range(17)})), "has 17 columns"),
    Case(
        "a column of bytes without meaning",
        predictions(encoded(a=arrow.array([b"x" * 7] * 3, arrow.binary(7)))),
        "which no prediction is",
    ),
    Case("columns in columns", predictions(encoded(a=[{"b": {"c": [[[1]]]}}] * 40)), "types that no prediction has"),
    Case("an .npy of objects", sketched(lambda a: npy(np.array([a.code], dtype=object))), NO_SKETCH),
    Case("an .npy with a pickle behind a right header", sketched(npy_of_objects), NO_SKETCH),
    Case("a pickle for a sketch", sketched(lambda a: a.pickled), NO_SKETCH),
    Case("an .npy of another shape", sketched(npy(np.zeros((5, 13), np.float32))), NO_SKETCH),
    Case("a sketch that says it has 10^18 rows", sketched(right().replace(b"(40,)", b"(10**18,)")), NO_SKETCH),
    Case(
        "a header of Python for a sketch",
        sketched(lambda a: b"\x93NUMPY\x01\x00\xb6\x00" + f"__import__('os') or {a.code}".encode().ljust(181) + b"\n"),
        NO_SKETCH,
    ),
    Case("a sketch of no number", sketched(right()[:-2] + np.float16(np.nan).tobytes()), "not finite"),
    Case(
        "a sketch of infinite length",
        sketched(right()[:208] + np.float32(np.inf).tobytes() + right()[212:]),
        "not finite",
    ),
    Case("a pickle for weights", weights, NO_WEIGHTS),
    Case("a payload in a checkpoint of torch", torch_weights, "refused"),
    Case("safetensors with a header of 2^63 bytes", header(2**63), NO_WEIGHTS),
    Case("safetensors with a header of 100 MB that is not there", header(10**8), NO_WEIGHTS),
    Case("safetensors with a tensor of 36 GB that is not there", header(len(OVERLAP), OVERLAP), NO_WEIGHTS),
    Case(
        "safetensors with a header nested 5,000 deep",
        header(10_000, b'{"a":' + b"[" * 4_997 + b"]" * 4_997 + b"}"),
        NO_WEIGHTS,
    ),
    Case(
        "predictions under another's digest",
        lambda a: a.changed(lambda c: c.update({f"samples/{'0' * 64}.parquet": scored("cifar10")[1]})),
        "is named by another digest|no record names",
    ),
    Case(
        "predictions that no record names",
        lambda a: a.changed(
            lambda c: c.update({f"samples/{hashlib.sha256(scored('pets')[1]).hexdigest()}.parquet": scored("pets")[1]})
        ),
        "no record names these predictions",
    ),
)
