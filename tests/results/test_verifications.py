"""What others found of records: kept beside them, carried with them, and read by boards."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from ssl_bench import signatures
from ssl_bench.errors import MissingError, UsageError
from ssl_bench.leaderboard.ranking import make_board
from ssl_bench.results import keeping, trust, verifications
from ssl_bench.results.disputes import dispute
from ssl_bench.results.record import parse
from ssl_bench.results.standing import BADGES, LEVELS, UNCHECKED, Standing, lowest, standings
from ssl_bench.results.store import Results
from ssl_bench.results.trust import signed
from ssl_bench.results.verifications import Verification
from tests.places import Place
from tests.results.factory import make_grid, make_record

needs_keygen = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs OpenSSH's ssh-keygen")


def verification(*records, level="rescore", outcome="agrees", created="2026-05-01T00:00:00Z", **fields) -> Verification:
    digests = tuple(sorted(record.content_digest for record in records or [make_record()]))
    return Verification(
        **{"model": "dinov2_vits14", "records": digests, "level": level, "outcome": outcome}
        | {"verifier": "judge@lab", "created": created}
        | fields
    )


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> Path:
    """A folder with the keys of a judge and of a stranger, and a list of signers that holds the judge."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("judge", "stranger"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)]
        subprocess.run(words, check=True)
    public = (folder / "judge.pub").read_text().split()
    (folder / "signers").write_text(f'judge@lab namespaces="ssl-bench.verification" {public[0]} {public[1]}\n')
    return folder


# ---------------------------------------------------------------- one verification


def test_a_verification_is_read_as_it_was_written():
    """Text and object are one: the same verification gives the same bytes, and those bytes give it back."""
    one = verification(tolerance={"points": 0.3}, link="https://example.org/7", nonce="ab", bundle="0" * 64)
    assert verifications.from_json(json.loads(one.to_text()), "here") == one
    assert one.to_text() == verifications.from_text(one.to_text()).to_text()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"outcome": "agrees "}, "content_digest does not match"),
        ({"outcome": ""}, "outcome is empty"),
        ({"outcome": "a\u202eb"}, "outcome must be printable"),
        ({"verifier": " "}, "verifier is empty"),
        ({"verifier": "x\x1b[2J"}, "verifier must be printable"),
        ({"level": "total"}, "not one of"),
        ({"records": []}, "records must be"),
        ({"records": ["f" * 64, "e" * 64]}, "sorted"),
        ({"records": ["../../etc"]}, "no sha256"),
        ({"link": "javascript:alert(1)"}, "no http"),
        ({"created": "yesterday"}, "not a time"),
        ({"schema": "ssl-bench.verification/2"}, "This release reads"),
        ({"tolerance": {"points": 10**400}}, "beyond float64"),
        ({"tolerance": {"<b>": 1.0}}, "plain names"),
        ({"signature": "x" * 100_000}, "none of SSH"),
        ({"model": "x" * 5000}, "up to 2000"),
        ({"more": 1}, "unknown key"),
    ],
)
def test_what_is_no_verification_is_refused(change, said):
    """A field that is edited, missing, of another type, or that a page or terminal would obey is refused by name."""
    with pytest.raises(UsageError, match=said) as caught:
        verifications.from_json(json.loads(verification().to_text()) | change, "v.json")
    assert str(caught.value).startswith("v.json: ")
    assert str(caught.value).isprintable()


# ---------------------------------------------------------------- in the store


def test_verifications_travel(place: Place, tmp_path: Path):
    """A verification is kept once, packed, unpacked and imported with its records, and another root says the same."""
    results, record = place.results(), make_record()
    results.put(record)
    one = verification(record)
    assert results.put_verification(one)
    assert not results.put_verification(one)
    loose = place.files()
    assert f"dinov2_vits14/verifications~/rescore-{one.content_digest[:16]}.json" in loose
    assert results.pack() == ["dinov2_vits14.jsonl"]
    assert results.records() == [record]
    assert results.verifications() == [one]
    assert not place.results().put_verification(one)
    other = Results(tmp_path / "other")
    assert keeping.import_records(other, results) == {"stored": 1, "verifications": 1, "skipped": 0}
    assert keeping.import_records(other, results)["present"] == 2
    assert other.verifications() == [one]
    results.unpack()
    assert place.files() == loose


def test_a_broken_verification_is_skipped_by_name(place: Place):
    """An edited verification counts for nothing and is listed with the reason; records beside it stand."""
    results, record = place.results(), make_record()
    results.put(record)
    body = json.loads(verification(record, level="full").to_text()) | {"verifier": "somebody else"}
    place.write("dinov2_vits14/verifications~/full-0123456789abcdef.json", json.dumps(body))
    assert results.records() == [record]
    assert results.verifications() == []
    assert ["edited or damaged" in skipped.reason for skipped in results.skipped] == [True]


def test_what_was_verified_is_not_waste(tmp_path: Path):
    """`gc` keeps a repeat that a verification speaks of, and removes one that nothing speaks of."""
    results = Results(tmp_path)
    first, *repeats = [make_record(created=f"2026-0{month}-01T00:00:00Z") for month in (1, 2, 3)]
    (tmp_path / "dinov2_vits14.jsonl").write_text("".join(f"{one.to_text()}\n" for one in (first, *repeats)))
    results.put_verification(verification(repeats[0]))
    assert [digest for _, _, digest, _ in keeping.waste(results).repeats] == [repeats[1].content_digest]


def test_queries_see_verifications(tmp_path: Path):
    """A query joins verifications to the records that they speak of."""
    from ssl_bench.results.query import ask

    results, record = Results(tmp_path), make_record()
    results.put(record)
    results.put_verification(verification(record))
    sql = "SELECT model, level FROM verifications JOIN records USING (content_digest)"
    assert ask(results.index, sql)[1] == [("dinov2_vits14", "rescore")]


# ---------------------------------------------------------------- what they come to


@pytest.mark.parametrize(
    ("said", "level"),
    [
        ([], "self-reported"),
        (["schema"], "self-reported"),
        (["rescore"], "re-scored"),
        (["rescore", "sample", "rescore"], "spot-checked"),
        (["full", "sample"], "reproduced"),
        (["full", "dispute"], "disputed"),
        (["dispute", "full"], "disputed"),
        (["sample!"], "disputed"),
        (["sample!", "sample"], "disputed"),
        (["sample!", "settled", "rescore"], "re-scored"),
        (["full", "dispute", "settled"], "reproduced"),
        (["full", "dispute", "settled", "dispute"], "disputed"),
    ],
)
def test_the_furthest_check_counts_and_doubt_counts_above_all(said, level):
    """The furthest check that agreed gives the level; one that disagreed, or a dispute, stands until it is settled."""
    record = make_record()
    found = [
        verification(
            record,
            level=word.rstrip("!"),
            outcome="agrees" if word.rstrip("!") not in ("dispute", "settled") and word[-1] != "!" else "12 flips",
            created=f"2026-05-{day:02}T00:00:00Z",
        )
        for day, word in enumerate(said, start=1)
    ]
    assert standings(found).get(record.content_digest, UNCHECKED).level == level


def test_every_level_has_a_badge_that_needs_no_colour():
    """Every level has a word, a meaning, a sign of its own and two colours."""
    assert tuple(BADGES) == LEVELS
    assert (
        len({badge.sign for badge in BADGES.values()}) == len({badge.word for badge in BADGES.values()}) == len(LEVELS)
    )


@pytest.mark.parametrize("place_of", ["colour", "dark"])
def test_badges_can_be_read(place_of):
    """Words in a badge's colour have a contrast of 4.5 and more (WCAG 2.1, 1.4.3), on white or on near black."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    ground = luminance("#ffffff" if place_of == "colour" else "#161b22")
    for badge in BADGES.values():
        low, high = sorted((luminance(getattr(badge, place_of)), ground))
        assert (high + 0.05) / (low + 0.05) >= 4.5, badge


def test_a_row_stands_as_its_least_checked_record():
    """A row's standing is the lowest of its records'; one disputed record makes it disputed."""
    records = list(make_grid(models=1, tasks=2, protocols=("knn",)))
    digests = [record.content_digest for record in records]

    def level(*levels: str) -> str:
        how = {digest: Standing(word) for digest, word in zip(digests, levels, strict=False)}  # type: ignore[arg-type]
        return make_board(records, standings=how).tables[0].rows[0].standing.level

    assert level() == "self-reported"
    assert level("reproduced") == "self-reported"
    assert level("reproduced", "re-scored") == "re-scored"
    assert level("reproduced", "disputed") == "disputed"
    assert lowest([]) == UNCHECKED


# ---------------------------------------------------------------- signatures


@needs_keygen
def test_only_known_signers_are_believed(keys: Path, tmp_path: Path):
    """With a list of signers, only what one of them signed, in their own name, counts; doubt counts unsigned."""
    record = make_record()
    good = signed(verification(record), keys / "judge")
    forged = [
        verification(record),
        signed(verification(record), keys / "stranger"),
        signed(verification(record, verifier="other@lab"), keys / "judge"),
        dataclasses.replace(good, level="full"),
        dataclasses.replace(good, records=(make_record(value=0.9).content_digest,)),
        dataclasses.replace(good, signature=signatures.sign(good.signed_text.encode(), keys / "judge").decode()),
        dataclasses.replace(good, signature="-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\n-----END SSH SIGNATURE-----\n"),
    ]
    memory = tmp_path / "memory"
    for _ in range(2):
        trusted = trust.signed_by_known([good, *forged], keys / "signers", memory)
        assert trusted == {good.content_digest}
    assert standings(forged, trusted) == {}
    assert standings([good, *forged], trusted)[record.content_digest].level == "re-scored"
    doubt = verification(record, level="dispute", outcome="why?")
    assert standings([good, doubt], trusted)[record.content_digest].level == "disputed"
    settled = verification(record, level="settled", outcome="because", created="2026-06-01T00:00:00Z")
    assert standings([good, doubt, settled], trusted)[record.content_digest].level == "disputed"


@needs_keygen
def test_another_list_of_signers_is_asked_anew(keys: Path, tmp_path: Path):
    """What was good under one list is not taken to be good under another."""
    one, memory, other = signed(verification(), keys / "judge"), tmp_path / "memory", tmp_path / "signers"
    assert trust.signed_by_known([one], keys / "signers", memory)
    other.write_text((keys / "signers").read_text().replace("judge@lab", "somebody@lab"))
    assert not trust.signed_by_known([one], other, memory)


def test_a_missing_key_or_list_is_named(tmp_path: Path):
    """A key or a list of signers that is not there is named with its place."""
    with pytest.raises(MissingError, match="no SSH key is at"):
        signatures.sign(b"text", tmp_path / "key")
    with pytest.raises(MissingError, match="no list of signers is at"):
        trust.signed_by_known([], tmp_path / "signers", tmp_path / "memory")


# ---------------------------------------------------------------- disputes


def test_disputing(tmp_path: Path):
    """A dispute names every record that is meant, stays when it is settled, and needs a reason."""
    results = Results(tmp_path)
    records = list(make_grid(models=2, tasks=2, protocols=("knn",)))
    for record in records:
        results.put(record)
    made = dispute(results, [record.record_id[:16] for record in records[:3]], "odd", by="me", link="https://e.org/1")
    assert [len(one.records) for one in made] == [2, 1]
    how = standings(results.verifications())
    assert {how[record.content_digest].level for record in records[:3]} == {"disputed"}
    assert how[records[0].content_digest].note == "https://e.org/1"
    assert [row.note for row in results.table_rows()].count("disputed: https://e.org/1") == 3
    dispute(results, [records[0].record_id], "explained", by="me", settle=True)
    assert standings(results.verifications())[records[0].content_digest] == UNCHECKED
    assert len(results.verifications()) == 3
    with pytest.raises(UsageError, match="reason is empty"):
        dispute(results, [records[0].record_id], " ", by="me")


def test_a_packed_line_cannot_pose_as_a_record(tmp_path: Path):
    """A verification that carries a record's id in its text is found under no job."""
    results, record = Results(tmp_path), make_record()
    results.put(record)
    one = verification(record, outcome=f'"record_id":"{record.record_id}"', level="dispute")
    results.put_verification(one)
    results.pack()
    assert Results(tmp_path).find(record.record_id) == [record]
    assert parse(one.to_text(), "")["outcome"].startswith('"record_id"')
