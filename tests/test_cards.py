"""Cards: found on shelves, read into frozen dataclasses, refused with the nearest right answer."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pytest

from ssl_bench import cards
from ssl_bench.cards import Shelves
from ssl_bench.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Inner:
    size: int | tuple[int, ...] | None = None


@dataclasses.dataclass(frozen=True)
class Sample:
    name: str
    classes: int
    share: float = 0.5
    kind: Literal["a", "b"] = "a"
    inner: Inner = Inner()
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_card_becomes_a_dataclass_named_by_its_file(tmp_path: Path) -> None:
    """A card's name is its file's name, and nested tables, unions and whole numbers for floats are understood."""
    path = write(tmp_path / "thing.toml", 'classes = 3\nshare = 1\n[inner]\nsize = [2, 4]\n[options]\na = "x"\n')
    card = cards.read_card(path, Sample)
    assert card == Sample("thing", 3, 1.0, "a", Inner((2, 4)), {"a": "x"})
    assert isinstance(card.share, float)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("clases = 3", ["unknown key 'clases'", "Did you mean classes?"]),
        ("share = 0.1", ["'classes' is missing"]),
        ('classes = "3"', ["classes must be a whole number", "'3'"]),
        ("classes = true", ["classes must be a whole number"]),
        ('classes = 3\nkind = "c"', ["kind is 'c'", "'a', 'b'"]),
        ("classes = 3\n[inner]\nsiz = 4", ["inner: unknown key 'siz'", "Did you mean size?"]),
        ("classes = \nshare = 1", ["not valid TOML", "line 1"]),
    ],
)
def test_a_wrong_card_names_its_file_the_key_and_the_mend(tmp_path: Path, text: str, words: list[str]) -> None:
    """A malformed card is refused in one line that names the file, the key and, where one is near, the right word."""
    path = write(tmp_path / "thing.toml", text)
    with pytest.raises(UsageError) as error:
        cards.read_card(path, Sample)
    assert str(path) in str(error.value)
    assert all(word in str(error.value) for word in words)
    assert "\n" not in str(error.value)


def test_two_shelves_with_one_name_are_an_error_that_names_both(tmp_path: Path) -> None:
    """The same card name on two shelves is refused, and both files are named."""
    first = write(tmp_path / "a" / "model_zoo" / "twin.toml", "")
    second = write(tmp_path / "b" / "model_zoo" / "twin.toml", "")
    with pytest.raises(UsageError, match="twin") as error:
        Shelves((tmp_path / "a", tmp_path / "b")).names("model_zoo")
    assert str(first) in str(error.value)
    assert str(second) in str(error.value)


def test_a_card_is_found_by_name_on_a_further_shelf_and_by_path(tmp_path: Path) -> None:
    """`--shelf DIR` adds cards, and a path names a card outside any shelf."""
    path = write(tmp_path / "model_zoo" / "mine.toml", "")
    assert Shelves((tmp_path,)).find("model_zoo", "model", "mine") == path
    assert Shelves().find("model_zoo", "model", str(path)) == path


def test_a_hyphen_finds_what_is_written_with_an_underscore(tmp_path: Path) -> None:
    """`my-net` finds the card my_net, unless a card is called so itself."""
    low = write(tmp_path / "model_zoo" / "my_net.toml", "")
    assert Shelves((tmp_path,)).find("model_zoo", "model", "my-net") == low
    own = write(tmp_path / "model_zoo" / "my-net.toml", "")
    assert Shelves((tmp_path,)).find("model_zoo", "model", "my-net") == own


def test_an_unknown_name_gets_the_nearest_and_where_it_was_looked_for(tmp_path: Path) -> None:
    """An unknown card name is answered with the nearest names and the folders."""
    write(tmp_path / "model_zoo" / "my_resnet.toml", "")
    with pytest.raises(UsageError, match="Did you mean my_resnet") as error:
        Shelves((tmp_path,)).find("model_zoo", "model", "my_resnt")
    assert str(tmp_path / "model_zoo") in str(error.value)


def test_a_plugin_names_itself_once_and_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package under the entry-point group `ssl_bench` brings its shelf, and its code does not run."""
    write(tmp_path / "my_lab" / "__init__.py", "raise RuntimeError('imported')")
    card = write(tmp_path / "my_lab" / "model_zoo" / "lab_net.toml", "")
    write(tmp_path / "my_lab-1.0.dist-info" / "entry_points.txt", "[ssl_bench]\nlab = my_lab\n")
    write(tmp_path / "my_lab-1.0.dist-info" / "METADATA", "Metadata-Version: 2.1\nName: my-lab\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    cards.plugin_shelves.cache_clear()
    try:
        assert Shelves().names("model_zoo")["lab_net"] == card
    finally:
        monkeypatch.undo()
        cards.plugin_shelves.cache_clear()


@pytest.mark.parametrize(
    ("hint", "text", "value"),
    [(int, "20", 20), (float, "1", 1.0), (bool, "false", False), (str, "20", "20"), (tuple[int, ...], "1+2", (1, 2))],
)
def test_words_of_the_command_line_take_the_type_of_their_field(hint: Any, text: str, value: Any) -> None:
    """`k=20` is a whole number, `normalise=false` is false (and not the true of any non-empty text)."""
    parsed = cards.parse_word(hint, text, "here")
    assert parsed == value
    assert type(parsed) is type(value)
