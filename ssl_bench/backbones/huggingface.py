"""Vision models of https://github.com/huggingface/transformers: `weights.name` is "ORG/NAME@REVISION" or a folder.

A folder is what `save_pretrained` writes: config.json, preprocessor_config.json, model.safetensors. Pickled weights are
not read, and code that a repository brings is never run.

Poolings, all of the last hidden state, after the final norm where the model has one (CLIP's applies to `pooler` alone):

- transformers with a cls token: `cls`, and `patch_mean` without cls and registers;
- those without (SigLIP, I-JEPA, Swin): `patch_mean`; convolutional networks: `gap`;
- `pooler`: the model's own `pooler_output`, where the weights have one;
- `proj`: of a model of images and texts (CLIP, SigLIP, AltCLIP), the vector in the space that both share.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
import transformers
from torch import Tensor, nn

from ssl_bench import model_zoo
from ssl_bench.backbones.base import (
    Backbone,
    Features,
    LoadContext,
    build_seeded,
    choose_pooling,
    digest_tensors,
    freeze,
    frozen_unless_trained,
    missing_weights,
)
from ssl_bench.backbones.text_towers import TYPES as TOWERS
from ssl_bench.backbones.text_towers import Towers
from ssl_bench.checkpoints import reading
from ssl_bench.errors import UsageError, did_you_mean
from ssl_bench.images import InputSpec, Interpolation
from ssl_bench.model_zoo import ModelCard

TYPES: Mapping[str, tuple[str, str]] = {
    "altclip_vision_model": ("cls", "pooler"),
    "beit": ("cls", "pooler"),
    "clip_vision_model": ("cls", "pooler"),
    "convnext": ("map", "pooler"),
    "convnextv2": ("map", "pooler"),
    "data2vec-vision": ("cls", "pooler"),
    "dinov2": ("cls", "cls"),
    "dinov2_with_registers": ("cls", "cls"),
    "dinov3_vit": ("cls", "cls"),
    "ijepa": ("patches", "patch_mean"),
    "resnet": ("map", "pooler"),
    "siglip_vision_model": ("patches", "pooler"),
    "swin": ("patches", "pooler"),
    "swinv2": ("patches", "pooler"),
    "vit": ("cls", "cls"),
    "vit_mae": ("cls", "cls"),
}
"""What the last hidden state of a model type is, and the pooling that its authors use."""
OFFERED: Mapping[str, tuple[str, ...]] = {"cls": ("cls", "patch_mean"), "patches": ("patch_mean",), "map": ("gap",)}
RESAMPLING: tuple[Interpolation, ...] = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
"""Pillow's numbers of the filters, which the configurations hold."""


def load(card: ModelCard, context: LoadContext) -> Backbone:
    """Return the vision tower in the folder; what fetched it stands in `ssl_bench.fetch`."""
    path = context.weights_path or model_zoo.weights_state(card).path
    if path is None:
        raise missing_weights(card, f"https://huggingface.co/{card.weights.name.partition('@')[0]}")
    whole = _config(card, path.parent)
    config = _of_images(card, whole)
    spec = input_of(card, path.parent, config)
    config = type(config).from_dict({**config.to_dict(), **card.arch})
    if config.model_type == "vit_mae":
        config.mask_ratio = 0.0  # pre-training hides patches; a feature sees them all
    spoken = whole.model_type in TOWERS
    if spoken:
        whole.vision_config = config
    built = whole if spoken else config
    if context.untrained:
        network: Any = build_seeded(lambda: transformers.AutoModel.from_config(built), context.seed)
    else:
        network = build_seeded(lambda: _filled(card, path, built), context.seed)
    if not spoken:
        return HuggingFaceBackbone(card, network, spec)
    return HuggingFaceBackbone(card, network.vision_model, spec, Towers(network, path.parent, card.name))


class HuggingFaceBackbone(Backbone):
    """A vision model of transformers, and the text tower beside it where there is one."""

    library = f"transformers {transformers.__version__}"

    def __init__(self, card: ModelCard, network: Any, spec: InputSpec, towers: Towers | None = None) -> None:
        self.network, self.input, self.config = freeze(network), spec, network.config
        self._kind, default = TYPES[self.config.model_type]
        # DINOv2 has no layer of its own here: what transformers calls its pooler is the cls token
        has_pooler = getattr(network, "pooler", getattr(network, "head", None)) is not None
        has_pooler = has_pooler or self.config.model_type in ("altclip_vision_model", "clip_vision_model")
        self.poolings = (*OFFERED[self._kind], *(("pooler",) if has_pooler else ()))
        self._towers = towers
        if towers is not None and has_pooler:
            self.poolings += ("proj",)
        self.default_pooling = choose_pooling(card, self.poolings, default if has_pooler else self.poolings[0])
        self._arch = dict(card.arch)

    @frozen_unless_trained
    def forward(self, images: Tensor, pooling: str) -> Features:
        """Return the last hidden state, pooled, and its patches or pixels as a map."""
        network = cast(Any, self.network)
        output = network(images, **self._arguments(images))
        found = output.last_hidden_state
        if self._kind == "map":
            pooled = found.mean((2, 3)) if pooling == "gap" else output.pooler_output
            return Features(pooled.flatten(1), found)
        patches = found[:, prefix_tokens(self.config) :] if self._kind == "cls" else found
        parts = {"cls": lambda: found[:, 0], "patch_mean": lambda: patches.mean(1)}
        if pooling == "proj" and self._towers is not None:
            return Features(self._towers.project(output.pooler_output), _grid(patches, images))
        pooled = output.pooler_output if pooling == "pooler" else parts[pooling]()
        return Features(pooled, _grid(patches, images))

    def arch(self) -> dict[str, Any]:
        """Return the configuration, less what says nothing of the network."""
        config = {key: value for key, value in self.config.to_diff_dict().items() if key not in PASSING}
        text = {"text": self._towers.arch()} if self._towers is not None else {}
        named = {"class": type(self.network).__qualname__, "library": "transformers", "config": config}
        return {**named, **text, **self._arch}

    def texts(self, texts: Sequence[str]) -> Tensor:
        """Return the text tower's vectors (texts, dim)."""
        if self._towers is None:
            return super().texts(texts)
        assert self.network is not None
        return self._towers.texts(texts, next(self.network.parameters()).device)

    def weights_digest(self) -> str:
        """Return the digest over both towers: two models may share the one of images and not that of texts."""
        return super().weights_digest() if self._towers is None else digest_tensors(self._towers.model.state_dict())

    def _arguments(self, images: Tensor) -> dict[str, Any]:
        trained, given = getattr(self.config, "image_size", None), tuple(images.shape[2:])
        if self.config.model_type == "vit_mae":  # in ascending noise the patches keep their order
            count = math.prod(side // self.config.patch_size for side in given)
            noise = torch.arange(count, device=images.device).expand(len(images), -1)
            return {"noise": noise, "interpolate_pos_encoding": given != (trained, trained)}
        if trained is not None and given != (trained, trained) and self.config.model_type in RESIZED:
            return {"interpolate_pos_encoding": True}
        return {}


PASSING = ("architectures", "transformers_version", "dtype", "torch_dtype", "_name_or_path", "id2label", "label2id")
"""Keys of a configuration that change no feature."""
RESIZED = (
    "altclip_vision_model",
    "clip_vision_model",
    "data2vec-vision",
    "ijepa",
    "siglip_vision_model",
    "swin",
    "swinv2",
    "vit",
)
"""Types that interpolate their position embeddings for other sizes only where they are asked to."""


def prefix_tokens(config: Any) -> int:
    """Return how many tokens come before the patches: cls, and the registers where the model has them."""
    return 1 + int(getattr(config, "num_register_tokens", 0) or 0)


def input_of(card: ModelCard, folder: Path, config: Any) -> InputSpec:
    """Return the image processor's transform with the card's values in place.

    A processor without a crop makes oblong images of oblong ones; here they are cropped to a square.
    """
    if not (folder / "preprocessor_config.json").is_file():
        if card.input.mean is None or card.input.std is None:
            raise UsageError(
                f"{card.name}: {folder} has no preprocessor_config.json; set input.mean and input.std, "
                "and input.size, input.resize and input.interpolation where they are not the usual ones"
            )
        side = getattr(config, "image_size", 224)
        return card.input.applied_to(InputSpec(size=(side, side)))
    try:
        processor = transformers.AutoImageProcessor.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, ImportError) as error:
        raise UsageError(f"{card.name}: {folder / 'preprocessor_config.json'}: {_first_line(error)}") from error
    scale = 255 * float(processor.rescale_factor) if processor.do_rescale else 255.0
    mean, std = (processor.image_mean, processor.image_std) if processor.do_normalize else ((0.0,) * 3, (1.0,) * 3)
    spec = InputSpec(
        **_resizing(card, processor, config),
        interpolation=RESAMPLING[int(processor.resample)],
        mean=tuple(value / scale for value in mean),
        std=tuple(value / scale for value in std),
    )
    return card.input.applied_to(spec)


def _resizing(card: ModelCard, processor: Any, config: Any) -> dict[str, Any]:
    """Return size, resize and resize_to of an image processor."""
    size, crops = dict(processor.size or {}), bool(getattr(processor, "do_center_crop", False))
    crop = dict(processor.crop_size) if crops else {}
    if not processor.do_resize and not crops:
        side = getattr(config, "image_size", 224)
        return {"size": (side, side), "resize": "none"}
    if processor.do_resize and size.get("shortest_edge"):
        short = int(size["shortest_edge"])
        if getattr(processor, "crop_pct", None):  # ConvNeXt: from 384 on the image is squashed
            near = short < 384
            return {
                "size": (short, short),
                "resize": "short" if near else "squash",
                "resize_to": int(short / processor.crop_pct) if near else 0,
            }
        sides = (int(crop["height"]), int(crop["width"])) if crops else (short, short)
        return {"size": sides, "resize": "short", "resize_to": short}
    sides = (int(size["height"]), int(size["width"])) if size.get("height") else (0, 0)
    if processor.do_resize and sides[0] and (not crops or (crop["height"], crop["width"]) == sides):
        return {"size": sides, "resize": "squash"}
    if card.input.resize is None or card.input.size is None:
        raise UsageError(
            f"{card.name}: the image processor resizes to {size} and crops to {crop}, which is not offered; "
            "set input.size and input.resize"
        )
    return {"size": (224, 224)}


def _config(card: ModelCard, folder: Path) -> Any:
    """Return the configuration of the model, which may hold several towers; raise UsageError where it is none."""
    try:
        config = transformers.AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"{card.name}: {folder / 'config.json'}: {_first_line(error)}") from error
    return config


def _of_images(card: ModelCard, config: Any) -> Any:
    """Return the configuration of the image tower; raise UsageError for a type whose tokens are not known here."""
    config = getattr(config, "vision_config", config)
    if config.model_type not in TYPES:
        raise UsageError(
            f"{card.name}: models of type {config.model_type!r} are not offered."
            f"{did_you_mean(config.model_type, TYPES)} Known: {', '.join(TYPES)}"
        )
    return config


def _filled(card: ModelCard, path: Path, config: Any) -> nn.Module:
    """Return the network with the folder's tensors; only a pooler may be absent from them, and is then left out."""
    if path.name == "model.safetensors":
        reading.read(path)  # says in one line what is no whole file
    try:
        network, told = transformers.AutoModel.from_pretrained(
            str(path.parent),
            config=config,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            dtype=torch.float32,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(f"{card.name}: {path} does not fit its config.json: {_first_line(error)}") from error
    absent = sorted(told["missing_keys"])
    if any(key.startswith("pooler.") for key in absent):
        network.pooler = None
    if lacking := [key for key in absent if not key.startswith("pooler.")]:
        raise UsageError(f"{card.name}: {path} lacks {len(lacking)} tensors of the network: {', '.join(lacking[:5])}")
    return cast(nn.Module, network)


def _grid(patches: Tensor, images: Tensor) -> Tensor | None:
    """Return patches (images, patches, dim) as (images, dim, height, width), in the proportions of the images."""
    height, width = images.shape[2:]
    rows = round(math.sqrt(patches.shape[1] * height / width))
    if rows == 0 or patches.shape[1] % rows:
        return None
    return patches.transpose(1, 2).reshape(len(patches), -1, rows, patches.shape[1] // rows)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
