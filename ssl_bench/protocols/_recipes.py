"""Recipes of fine-tuning as their authors published them: numbers, and where each was read. docs/fine_tuning.md tells
where papers and codes differ.

Rates are those before scaling by batch / 256, at the batch of the recipe. Authors who give an absolute rate (BEiT,
iBOT: 4e-3 at 1,024 images) are written so that scaling gives theirs back.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

Pooling = Literal["patch_mean", "cls", "model"]
"""What the head reads: "patch_mean" through a new norm in the final norm's place (MAE's and BEiT's fc_norm), "cls"
through the final norm, "model" what the model documents. A network without it gives what it documents."""
HeadStart = Literal["tiny", "scaled", "linear"]
"""How the head's weights are drawn: "tiny" N(0, 2e-5) as MAE's, "scaled" N(0, 0.02) times 0.001 as BEiT's and iBOT's,
both with biases of 0; "linear" as torch draws a linear layer's."""
RANDAUGMENT = "rand-m9-mstd0.5-inc1"


@dataclasses.dataclass(frozen=True)
class Recipe:
    """All that a recipe says."""

    source: str
    """File or page that the numbers were read in."""
    rate: tuple[float, ...]
    """Learning rates; of several, and several decays, the best pair on held-out data is taken."""
    decay: tuple[float, ...] = (0.05,)
    """Weight decays."""
    scale_rate: bool = True
    """Whether rates are multiplied by batch / 256."""
    decay_by_rate: bool = False
    """Whether a decay is divided by its rate."""
    decay_all: bool = False
    """Whether biases, norms, tokens and positions decay too."""
    optimiser: Literal["adamw", "sgd"] = "adamw"
    momentum: float = 0.9
    """Of SGD, with Nesterov's step."""
    epochs: float = 100.0
    steps: int = 0
    """Updates, where the recipe counts them; 0: epochs count."""
    warmup: float = 5.0
    """Epochs in which the rate rises from 0."""
    warmup_reaches: bool = False
    """True: the last step of the warm-up has the whole rate, as in BEiT's code; False: the step after, as in MAE's."""
    batch: int = 1024
    schedule: Literal["cosine", "polynomial", "one_cycle", "constant"] = "cosine"
    least_rate: float = 1e-6
    """What the rate falls to; it is not scaled."""
    clip: float = 0.0
    """Largest norm of the gradient; 0: none."""
    ema: float = 0.0
    """Decay of the average of the weights that is evaluated; 0: none is kept."""
    layer_decay: float = 1.0
    """Factor of the rate from one layer to the one below it."""
    drop_path: float = 0.0
    """Probability that the last block is left out for an image; it rises from 0 at the first block."""
    pooling: Pooling = "model"
    head: HeadStart = "linear"
    crop: float = 0.08
    """Least share of an image's area in a random crop; 0: images are taken as they are evaluated."""
    flip: float = 0.5
    auto: str = ""
    """RandAugment in timm's words; empty: none."""
    jitter: float = 0.0
    erase: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    smoothing: float = 0.0
    """Of labels."""
    blocks: int = 0
    """Last blocks that are trained, with what stands behind them; 0: the whole network."""
    rank: int = 0
    """Of low-rank matrices beside the attention's, which are trained in place of the network; 0: none."""
    alpha: int = 16
    """Those matrices' product is multiplied by alpha / rank."""
    dropout: float = 0.1
    """Before those matrices."""
    holdout: float = 0.2
    """Share of train that chooses among candidates where the task has no val."""


_MIXED: Mapping[str, Any] = {
    "auto": RANDAUGMENT,
    "erase": 0.25,
    "mixup": 0.8,
    "cutmix": 1.0,
    "smoothing": 0.1,
}
_MAE = Recipe(
    source="facebookresearch/mae: FINETUNE.md, main_finetune.py",
    rate=(5e-4,),
    layer_decay=0.65,
    drop_path=0.1,
    pooling="patch_mean",
    head="tiny",
    **_MIXED,
)
_BEIT = Recipe(
    source="microsoft/unilm: beit/get_started_for_image_classification.md, beit/run_class_finetuning.py",
    rate=(1e-3,),
    warmup=20.0,
    warmup_reaches=True,
    layer_decay=0.65,
    drop_path=0.1,
    pooling="patch_mean",
    head="scaled",
    **_MIXED,
)
_IBOT = Recipe(
    source="bytedance/ibot: evaluation/README.md, run.sh, evaluation/classification_layer_decay",
    rate=(1e-3,),
    warmup=20.0,
    warmup_reaches=True,
    layer_decay=0.65,
    drop_path=0.2,
    pooling="cls",
    head="scaled",
    **_MIXED,
)
PUBLISHED: Mapping[str, Recipe] = {
    "mae": _MAE,
    "beit": _BEIT,
    "dinov2_style": _IBOT,
    "vtab1k_full": Recipe(
        source="KMnP/vpt: tune_vtab.py, configs/base-finetune.yaml",
        rate=(1e-4, 5e-4, 1e-3, 5e-3),
        decay=(1e-2, 1e-3, 1e-4, 0.0),
        batch=384,
        least_rate=0.0,
        crop=0.0,
        flip=0.0,
    ),
    "kornblith": Recipe(
        source="linusericsson/ssl-transfer: finetune.py",
        rate=(1e-1, 1e-2, 1e-3, 1e-4),
        decay=(0.0, 1e-6, 1e-5, 1e-4, 1e-3),
        scale_rate=False,
        decay_by_rate=True,
        decay_all=True,
        optimiser="sgd",
        steps=5000,
        warmup=0.0,
        batch=64,
        least_rate=0.0,
    ),
    "partial": dataclasses.replace(_MAE, source=f"as mae ({_MAE.source}); the paper's has no code", blocks=4),
    "lora": Recipe(
        source="usual values of huggingface/peft for image classification",
        rate=(5e-3 * 256 / 512,),
        decay=(0.0,),
        epochs=5.0,
        warmup=0.0,
        batch=512,
        schedule="polynomial",
        least_rate=0.0,
        rank=16,
    ),
}
LARGER: Mapping[str, tuple[tuple[int, Mapping[str, Any]], ...]] = {
    "mae": (
        (13, {"rate": (1e-3,), "layer_decay": 0.75, "epochs": 50.0, "drop_path": 0.2}),
        (25, {"drop_path": 0.3}),
    ),
    "beit": ((13, {"rate": (2.5e-4,), "layer_decay": 0.75, "epochs": 50.0, "drop_path": 0.2, "warmup": 5.0}),),
    "dinov2_style": ((13, {"layer_decay": 0.75, "epochs": 50.0, "drop_path": 0.4, "warmup": 5.0}),),
}
"""What changes from a number of blocks on: 12 are a ViT-B's, 24 a ViT-L's, 32 a ViT-H's. Changes add up."""
NARROWER: Mapping[str, tuple[tuple[int, Mapping[str, Any]], ...]] = {
    "dinov2_style": ((384, {"layer_decay": 0.75, "epochs": 200.0, "drop_path": 0.1}),),
}
"""What changes up to a width: 384 is a ViT-S's. MAE and BEiT published none below ViT-B; theirs is then ViT-B's."""


def recipe(name: str, *, depth: int = 12, width: int = 768, **stated: Any) -> Recipe:
    """Return the recipe for a network of `depth` blocks whose feature is `width` wide, with `stated` values in place.

    A network that is no vision transformer gets the values of ViT-B.
    """
    sized = "mae" if name == "partial" else name
    found = PUBLISHED[name]
    for least, changes in LARGER.get(sized, ()):
        found = dataclasses.replace(found, **changes) if depth >= least else found
    for most, changes in NARROWER.get(sized, ()):
        found = dataclasses.replace(found, **changes) if width <= most and depth <= 12 else found
    return dataclasses.replace(found, **stated)
