"""What a file name promises."""

from __future__ import annotations

import pytest

from ssl_bench.results.slugs import slug

HOSTILE = [
    "../../etc/passwd",
    "..",
    ".",
    "",
    ".hidden",
    "a/b",
    "a\\b",
    "a:b",
    "a,b=c",
    "A",
    "a ",
    "a.",
    "samples",
    "con",
    "nul.txt",
    "x.jsonl",
    "x.json",
    "<script>alert(1)</script>",
    "é",
    "e\u0301",
    "\x00",
    "\ud800",
    "n" * 400,
    "n" * 401,
    "a~b",
    "timm:vit_small_patch16_224,size=96",
    "timm/vit_small_patch16_224,size=96",
    "timm:vit_small_patch16_224,size=96 ",
]


def test_plain_names_stay():
    """A card's usual name is its own file name."""
    for name in ("dinov2_vitb14", "vit-b.16", "7b"):
        assert slug(name) == name


@pytest.mark.parametrize("name", HOSTILE)
def test_safe(name):
    """Any other name becomes one short path component that no file system reads otherwise."""
    text = slug(name)
    assert text.isascii()
    assert text == text.lower()
    assert not set(text) & set('/\\:*?"<>|,= \x00')
    assert not text.startswith((".", "-"))
    assert not text.endswith((".", ".jsonl", ".json"))
    assert "~" in text
    assert len(text) <= 80


def test_no_collision():
    """Different names have different file names, also where case is ignored."""
    names = [*HOSTILE, "a", "a_b", "timm_vit_small_patch16_224_size_96"]
    assert len({slug(name).casefold() for name in names}) == len(names)


def test_readable():
    """A model written in the command line keeps a readable file name."""
    assert slug("timm:vit_small_patch16_224,size=96").startswith("timm_vit_small_patch16_224_size_96~")
