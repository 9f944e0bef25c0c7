"""Zero-shot classification: the class whose name, in the model's own text tower, is most like the image.

    class vector = mean over templates of t / ‖t‖, brought to length 1,  t the text tower's vector of the template with
                   the class's name in it;       score(class) = cosine of the class vector and the image's `proj`

As in openai/CLIP's notebooks and LAION-AI/CLIP_benchmark (zeroshot_classification.py). No image of train is looked at,
and nothing is chosen. Names and templates are the task card's; a task without templates of its own is asked "a photo of
a {}.". Confidence is the softmax of 100 · cosine, CLIP's scale.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError, UsageError
from ssl_bench.predictions import Classes
from ssl_bench.protocols import _prompts, base


@dataclasses.dataclass(frozen=True)
class Protocol(base.Protocol):
    """Class names as prompts; nothing is trained."""

    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("test",)
    deterministic: ClassVar[bool] = True
    reads_words: ClassVar[bool] = True

    templates: Literal["task", "plain", "simple7", "imagenet80"] = "task"
    """"task" takes the task's own, or the plain one where it has none; the others are CLIP's, whatever the task."""
    scale: float = 100.0
    """What cosines are multiplied by before the softmax; it changes confidences alone."""

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise UsageError(f"zero_shot: scale must be above 0, not {self.scale}")

    def predict(self, trial: base.Trial) -> base.Answer:
        """Return the classes by falling cosine.

        Raises UsageError for a task whose classes have no names, for a template without {} and for a model without a
        text tower; DataError for an image or text whose vector is zero.
        """
        names, templates = _names(trial), self._templates(trial)
        texts = trial.supply.texts([template.replace("{}", name) for name in names for template in templates])
        each = _unit(texts, "text").reshape(len(names), len(templates), -1)
        classes = _unit(each.mean(axis=1), "class")
        cosines = _unit(trial.features("test", pooling="proj"), "test image") @ classes.T
        ranked = base.top_classes(cosines).ranked
        shares = np.exp(self.scale * (cosines - cosines.max(axis=1, keepdims=True)))
        total = shares.sum(axis=1)
        scores = (shares / total[:, None]).astype(np.float32) if trial.every_score else None
        return base.Answer(
            Classes(ranked, (1 / total).astype(np.float32), probability=True, scores=scores),
            selected={"templates": list(templates), "class_names": list(names)},
        )

    def uninformed(self, trial: base.Trial) -> base.Answer:
        """Return the classes by number: without images not even their frequencies are known here."""
        ranked = np.tile(np.arange(min(5, trial.classes)), (trial.sizes["test"], 1))
        scores = np.full((len(ranked), trial.classes), 1 / trial.classes, dtype=np.float32)
        return base.Answer(
            Classes(ranked, scores[:, 0], probability=True, scores=scores if trial.every_score else None)
        )

    def _templates(self, trial: base.Trial) -> tuple[str, ...]:
        known = {"plain": _prompts.PLAIN, "simple7": _prompts.SIMPLE7, "imagenet80": _prompts.IMAGENET80}
        chosen = known.get(self.templates, trial.prompts or _prompts.PLAIN)
        wrong = [template for template in chosen if "{}" not in template]
        if wrong:
            raise UsageError(
                f"zero_shot: the prompt {wrong[0]!r} has no {{}} for the class's name; mend the task's card"
            )
        return chosen


def _names(trial: base.Trial) -> tuple[str, ...]:
    """Return the classes' names; raise UsageError where there is not one for each."""
    if len(trial.class_names) != trial.classes:
        raise UsageError(
            f"zero_shot: this task has {trial.classes} classes and {len(trial.class_names)} names for them; "
            "give class_names, in words, in its card"
        )
    return trial.class_names


def _unit(vectors: NDArray[Any], what: str) -> NDArray[np.float64]:
    """Return vectors (rows, dim) at length 1; raise DataError for one without a length."""
    exact = vectors.astype(np.float64)
    lengths = np.linalg.norm(exact, axis=-1, keepdims=True)
    if not (lengths > 0).all():
        raise DataError(f"zero_shot: {int((lengths <= 0).sum())} of {len(exact)} {what} vectors are zero: no direction")
    result: NDArray[np.float64] = exact / lengths
    return result
