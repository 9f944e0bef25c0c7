"""Zero-shot classification: by hand, and as open_clip's own classifier does it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import open_clip
import pytest
import torch

from ssl_bench import backbones, metrics, model_zoo, protocols, tasks
from ssl_bench.backbones.base import LoadContext
from ssl_bench.errors import DataError, SslBenchError, UsageError
from ssl_bench.jobs import Job
from ssl_bench.predictions import Truth
from ssl_bench.protocols import _prompts
from ssl_bench.protocols.base import FloatArray, Supply, Trial
from ssl_bench.tasks import TaskCard

TINY = "ViT-S-32-alt"


@dataclasses.dataclass(frozen=True)
class Towers(Supply):
    """Images' vectors in the space of `proj`, and a text tower."""

    images: np.ndarray
    tower: Callable[[Sequence[str]], Any]

    def features(self, split: str, pooling: str, view: str) -> FloatArray:
        assert (split, pooling, view) == ("test", "proj", "")
        return np.asarray(self.images, dtype=np.float32)

    def texts(self, texts: Sequence[str]) -> FloatArray:
        return np.asarray(self.tower(texts), dtype=np.float32)


def trial_of(images: Any, tower: Any, names: tuple[str, ...], prompts: tuple[str, ...] = (), classes: int = 0) -> Trial:
    return Trial(
        classes=classes or len(names),
        seed=0,
        sizes={"train": 3, "test": len(images)},
        labels={"train": np.zeros(3, dtype=np.int64)},
        supply=Towers(np.asarray(images), tower),
        class_names=names,
        prompts=prompts,
    )


WORDS = {"a ant": [1, 0], "an ant": [0, 3], "a bee": [4, 0], "an bee": [8, 0]}


def test_solved_by_hand() -> None:
    """Ant's prompts at 0 and 90 degrees average to 45, whatever their lengths; 30 degrees is nearer to that."""
    prompts = ("a {}", "an {}")
    trial = trial_of([[3**0.5, 1], [9, 1]], lambda texts: [WORDS[text] for text in texts], ("ant", "bee"), prompts)
    answer = protocols.get("zero_shot,scale=2").predict(trial)
    assert answer.predictions.ranked.tolist() == [[0, 1], [1, 0]]
    ant, bee = np.cos(np.deg2rad([15, 30]))
    assert answer.predictions.confidence[0] == pytest.approx(1 / (1 + np.exp(2 * (bee - ant))))
    assert answer.predictions.probability
    assert answer.selected == {"templates": ["a {}", "an {}"], "class_names": ["ant", "bee"]}


@pytest.mark.parametrize("templates", ["plain", "simple7"])
def test_parity_with_open_clip(templates: str) -> None:
    """On an untrained CLIP every image's order of classes is that of open_clip's zero-shot classifier."""
    names = ("goldfish", "tabby cat", "school bus", "daisy", "espresso", "volcano")
    backbone = backbones.load(model_zoo.get(f"open_clip:{TINY}"), LoadContext(untrained=True))
    torch.manual_seed(0)
    model = open_clip.create_model(TINY, pretrained=None).eval()
    model.visual.load_state_dict(backbone.network.state_dict())  # type: ignore[union-attr]
    model.load_state_dict(backbone._model.state_dict())  # type: ignore[attr-defined]
    lists = {"plain": _prompts.PLAIN, "simple7": _prompts.SIMPLE7}
    weights = open_clip.build_zero_shot_classifier(model, open_clip.get_tokenizer(TINY), names, lists[templates])
    images = torch.randn(20, weights.shape[0])
    expected = (images @ weights).argsort(dim=1, descending=True)[:, :5]
    trial = trial_of(images.numpy(), lambda texts: backbone.texts(texts).numpy(), names)
    found = protocols.get(f"zero_shot,templates={templates}").predict(trial).predictions
    np.testing.assert_array_equal(found.ranked, expected.numpy())


def test_texts_are_open_clip_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts are encode_text at length 1, in any number of blocks, and the record's network stays the image tower."""
    backbone = backbones.load(model_zoo.get(f"open_clip:{TINY}"), LoadContext(untrained=True))
    monkeypatch.setattr("ssl_bench.backbones.open_clip.TEXTS", 8)
    texts = [f"a photo of {number} things" for number in range(20)]
    found = backbone.texts(texts)
    model, tokens = backbone._model, open_clip.get_tokenizer(TINY)(texts[15:])  # type: ignore[attr-defined]
    with torch.inference_mode():
        expected = torch.nn.functional.normalize(model.encode_text(tokens), dim=-1)
    assert found.shape == (20, expected.shape[1])
    torch.testing.assert_close(found[15:], expected)
    assert not any("token_embedding" in name for name in backbone.network.state_dict())  # type: ignore[union-attr]


def test_templates_are_clip_s() -> None:
    """The 80 and the 7 templates are those that open_clip carries from openai/CLIP."""
    from open_clip import zero_shot_metadata

    assert tuple(t("{}") for t in zero_shot_metadata.OPENAI_IMAGENET_TEMPLATES) == _prompts.IMAGENET80
    assert tuple(t("{}") for t in zero_shot_metadata.SIMPLE_IMAGENET_TEMPLATES) == _prompts.SIMPLE7


def test_nothing_seen() -> None:
    """A model that says nothing, and is shown no train, gives the classes by number."""
    trial = trial_of(np.zeros((4, 2)), None, ("a", "b"))
    object.__setattr__(trial, "informative", False)
    found = protocols.get("zero_shot").answer(trial).predictions
    assert found.ranked.tolist() == [[0, 1]] * 4
    truth = Truth({"test": np.array([0, 0, 1, 1])}, 2)
    assert [metrics.get(name).score(found, truth)[0] for name in ("top1", "mean_per_class")] == [0.5, 0.5]


@pytest.mark.parametrize(
    ("images", "names", "prompts", "classes", "error", "says"),
    [
        ([[1, 0]], ("ant",), (), 2, UsageError, "2 classes and 1 names .* class_names"),
        ([[1, 0]], ("ant", "bee"), ("a photo",), 2, UsageError, "'a photo' has no {}"),
        ([[0, 0]], ("ant", "bee"), ("a {}",), 2, DataError, "1 of 1 test image vectors are zero"),
    ],
)
def test_mistakes(
    images: Any, names: tuple[str, ...], prompts: tuple[str, ...], classes: int, error: type[SslBenchError], says: str
) -> None:
    """Classes without names, prompts without a place for them and vectors without a direction are one clear line."""
    trial = trial_of(images, lambda texts: [WORDS.get(text, [0, 0]) for text in texts], names, prompts, classes)
    with pytest.raises(error, match=says) as caught:
        protocols.get("zero_shot").predict(trial)
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="scale must be above 0"):
        protocols.get("zero_shot,scale=0")


def test_words_are_part_of_the_question() -> None:
    """Other prompts or names are another question to zero-shot classification, and the same one to all others."""
    model, task = model_zoo.get("pixels"), tasks.get("digits")
    spoken = dataclasses.replace(task, prompts=("a digit {}.",))

    def asked(name: str, card: TaskCard) -> object:
        return Job(model, card, name, protocols.get(name), 0).requested

    assert asked("zero_shot", task) != asked("zero_shot", spoken)
    assert asked("knn", task) == asked("knn", spoken) == {"pooled": "default"}
