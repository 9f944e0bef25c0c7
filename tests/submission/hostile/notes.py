"""Verifications and signatures of those who may not give them, and stores that somebody wrote into."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from ssl_bench import signatures
from ssl_bench.results import keeping, trust
from ssl_bench.results.standing import UNCHECKED, standings
from ssl_bench.results.store import Results
from ssl_bench.results.trust import NAMESPACE, signed
from ssl_bench.results.verifications import Verification
from tests.results.factory import make_model, make_record
from tests.results.test_verifications import verification
from tests.submission.hostile.base import Arena, Case

RECORD = make_record()


def key(arena: Arena, name: str) -> Path:
    """Return a key of somebody's, made when it is first asked for."""
    path = arena.folder / name
    if not path.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path)], check=True)
    return path


def signers(arena: Arena, options: str = f'namespaces="{NAMESPACE}"') -> Path:
    """Return a list that holds the judge alone."""
    kind, public, *_ = Path(f"{key(arena, 'judge')}.pub").read_text().split()
    path = arena.folder / "signers"
    path.write_text(f"judge@lab {options} {kind} {public}\n")
    return path


def right(arena: Arena) -> Verification:
    return signed(verification(RECORD, level="rescore"), key(arena, "judge"))


def level(forged: Callable[[Arena], Verification]) -> Callable[[Arena], object]:
    """Put a verification beside a right one, and tell how the record stands on a board that asks for signatures."""

    def does(arena: Arena) -> object:
        found = [right(arena), forged(arena)]
        trusted = trust.signed_by_known(found, signers(arena), arena.folder / "memory")
        return f"the record is {standings(found, trusted).get(RECORD.content_digest, UNCHECKED).level}"

    return does


def beside(name: str, content: object) -> Callable[[Arena], object]:
    """Write a file into a store, and tell what the store makes of it."""

    def does(arena: Arena) -> object:
        results = Results(arena.folder / "store")
        results.put(RECORD)
        path = arena.folder / "store" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content(arena) if callable(content) else content
        path.write_text(text if isinstance(text, str) else json.dumps(text))
        assert results.records() == [RECORD]
        return f"{len(results.verifications())} verifications; skipped: {[one.reason[:200] for one in results.skipped]}"

    return does


def body(**changes: object) -> dict[str, object]:
    return json.loads(verification(RECORD).to_text()) | changes


def imported(arena: Arena) -> object:
    """A store of an attacker's is imported: records, a verification that was edited, and a link for a packed file."""
    source = Results(arena.folder / "source")
    source.put(RECORD)
    source.put_verification(verification(RECORD))
    source.pack()
    packed = arena.folder / "source" / "dinov2_vits14.jsonl"
    packed.write_text(packed.read_text().replace('"level":"rescore"', '"level":"full"'))
    (arena.folder / "source" / "passwd.jsonl").symlink_to("/etc/passwd")
    target = Results(arena.folder / "target")
    counts = keeping.import_records(target, Results(arena.folder / "source"))
    return f"{counts['stored']} stored, {len(target.verifications())} verifications, {counts['skipped'] > 1} skipped"


def named(name: str) -> Callable[[Arena], object]:
    """Put a record whose model has this name, and tell which files it made."""

    def does(arena: Arena) -> object:
        root = arena.folder / "store"
        results = Results(root)
        results.put(make_record(make_model(name)))
        results.put_verification(verification(make_record(make_model(name)), model=name))
        found = [path for path in root.rglob("*") if path.is_file()]
        assert len(results.records()) == len(results.verifications()) == 1
        results.pack()
        assert len(results.records()) == len(results.verifications()) == 1
        assert all(root in path.resolve().parents for path in found)
        return f"{len(found)} files under the root"

    return does


STANDS = "the record is re-scored$"
ONE = "1 packed|2 files under the root"
FOLDER = "dinov2_vits14/verifications~"
CASES = (
    Case("a verification that nobody signed", level(lambda a: verification(RECORD, level="full")), STANDS),
    Case(
        "a verification that a stranger signed",
        level(lambda a: signed(verification(RECORD, level="full"), key(a, "me"))),
        STANDS,
    ),
    Case(
        "a verification in another's name",
        level(lambda a: signed(verification(RECORD, level="full", verifier="root@lab"), key(a, "judge"))),
        STANDS,
    ),
    Case(
        "a level that was raised after it was signed",
        level(lambda a: dataclasses.replace(right(a), level="full")),
        STANDS,
    ),
    Case(
        "a signature that was carried to another record",
        level(lambda a: dataclasses.replace(right(a), level="full", records=(RECORD.content_digest,))),
        STANDS,
    ),
    Case(
        "a submitter's signature for a verifier's",
        level(
            lambda a: dataclasses.replace(
                verification(RECORD, level="full"),
                signature=signatures.sign(
                    verification(RECORD, level="full").signed_text.encode(), key(a, "judge")
                ).decode(),
            )
        ),
        STANDS,
    ),
    Case(
        "a signature of something else",
        level(
            lambda a: dataclasses.replace(
                verification(RECORD, level="full"),
                signature=signatures.sign(b"lunch", key(a, "judge"), NAMESPACE).decode(),
            )
        ),
        STANDS,
    ),
    Case(
        "a signature that is an option of a program",
        level(
            lambda a: dataclasses.replace(
                verification(RECORD, level="full", verifier="-f/etc/passwd"), signature="-Y sign"
            )
        ),
        STANDS,
    ),
    Case(
        "a signer with a pattern for a name",
        level(lambda a: signed(verification(RECORD, level="full", verifier="*"), key(a, "me"))),
        STANDS,
    ),
    Case(
        "a doubt that its subject settles",
        level(lambda a: verification(RECORD, level="settled", outcome="all is well", created="2027-01-01T00:00:00Z")),
        STANDS,
    ),
    Case(
        "a verification of the future",
        level(lambda a: verification(RECORD, level="full", created="9999-12-31T23:59:59Z")),
        STANDS,
    ),
    Case(
        "a list of signers that is a key of nobody",
        lambda a: len(trust.signed_by_known([right(a)], signers(a, 'namespaces="git"'), a.folder / "m")),
        "neutralised: 0",
    ),
    Case("a memory of signatures that was forged", lambda a: _forged_memory(a), "neutralised: 1 trusted of 1"),
    Case(
        "an edited verification",
        beside(f"{FOLDER}/full-0123456789abcdef.json", body(level="full")),
        "0 verifications; .*edited or damaged",
    ),
    Case(
        "a verification of a version that nobody knows",
        beside(f"{FOLDER}/x-0.json", body(schema="ssl-bench.verification/9")),
        "0 verifications; .*This release reads",
    ),
    Case(
        "a verification with a link that executes",
        beside(f"{FOLDER}/x-0.json", body(link="javascript:alert(1)")),
        "0 verifications; .*no http",
    ),
    Case(
        "a verification that steers a terminal",
        beside(f"{FOLDER}/x-0.json", body(outcome="\x1b[2Jagrees")),
        "0 verifications; .*printable",
    ),
    Case(
        "a verifier in another direction",
        beside(f"{FOLDER}/x-0.json", body(verifier="\u202ebal@egduj")),
        "0 verifications; .*printable",
    ),
    Case(
        "a verification of a million records",
        beside(f"{FOLDER}/x-0.json", lambda a: body(records=["0" * 64] * 1_000_000)),
        "0 verifications; .*records must be",
    ),
    Case(
        "a verification nested 100,000 deep",
        beside(f"{FOLDER}/x-0.json", "[" * 100_000),
        "0 verifications; .*nested too deeply",
    ),
    Case(
        "a verification with one key twice",
        beside(f"{FOLDER}/x-0.json", lambda a: json.dumps(body())[:-1] + ', "level": "full"}'),
        "0 verifications; .*one key twice",
    ),
    Case(
        "a verification with an infinite tolerance",
        beside(
            f"{FOLDER}/x-0.json",
            lambda a: json.dumps(body()).replace('"tolerance": {}', '"tolerance": {"points": 1e999}'),
        ),
        "0 verifications; .*tolerance must",
    ),
    Case(
        "a verification that poses as a record",
        beside(
            "dinov2_vits14/cifar10/knn-00000000.json",
            lambda a: verification(RECORD, level="full", outcome=f'"record_id":"{RECORD.record_id}"').to_text(),
        ),
        "1 verifications",
    ),
    Case(
        "a record that poses as a verification",
        beside(f"{FOLDER}/full-0000000000000000.json", lambda a: RECORD.to_text()),
        "0 verifications; skipped: \\[\\]",
    ),
    Case("a store of an attacker's", imported, "1 stored, 0 verifications, True skipped"),
    Case("a model named as a path that leads up", named("../../../etc/passwd"), ONE),
    Case("a model named as an absolute path", named("/etc/passwd"), ONE),
    Case("a model named as a device of Windows", named("con"), ONE),
    Case("a model named as our own folder", named("samples"), ONE),
    Case("a model named by a dot", named(".."), ONE),
    Case("a model named by nothing that is seen", named("\u200b"), ONE),
    Case("a model with a name of 1,900 letters", named("x" * 1_900), ONE),
    Case("a model named as a query", named("'; DROP TABLE records; --"), ONE),
)


def _forged_memory(arena: Arena) -> str:
    """What was found good before is remembered; a line that nobody asked about is worth nothing."""
    (arena.folder / "memory").write_text("x" * 100 + "\n" + "\x00\n" + f"{'0' * 64} {'1' * 64}\n")
    one = right(arena)
    found = trust.signed_by_known([one], signers(arena), arena.folder / "memory")
    return f"{len(found)} trusted of {len({one.content_digest} & found)}"
