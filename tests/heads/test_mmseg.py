"""UPerNet around our networks is mmsegmentation's own: parameters, outputs, losses, rates, metrics, to the last digit
that float32 gives. Where mmsegmentation is not installed these tests are skipped."""

from __future__ import annotations

import dataclasses
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import ssl_bench
from ssl_bench import backbones
from ssl_bench.backbones.base import LoadContext
from ssl_bench.errors import MissingError
from ssl_bench.heads import _operators, mmseg
from ssl_bench.model_zoo import ModelCard, Weights
from ssl_bench.predictions import LabelMaps, Truth
from ssl_bench.protocols import _upernet, _upernet_recipes, _upernet_run
from ssl_bench.protocols.base import Supply, Trial
from ssl_bench.targets import VOID, Mask, Targets
from ssl_bench.training import train
from ssl_bench.training.schedules import rates

pytest.importorskip("mmseg")

CLASSES, SIDE = 5, 64
NETWORKS = {"mae": ("vit_tiny_patch16_224", "MAE"), "beit": ("beit_base_patch16_224", "BEiT")}
TINY = {"pretrained": False, "embed_dim": 32, "depth": 6, "num_heads": 2}


def ours(recipe: str, built_for: int = SIDE) -> tuple[_upernet.UPerNet, _upernet_recipes.Recipe]:
    """Return UPerNet around a tiny network of timm by a recipe, with weights that leave no part of it idle."""
    name, _ = NETWORKS[recipe]
    card = ModelCard("tiny", "timm", weights=Weights(name=name), arch={**TINY, "img_size": built_for})
    asked = _upernet_recipes.recipe(recipe, depth=6, crop=SIDE, channels=16)
    network = _upernet.upernet(backbones.load(card, LoadContext()), asked, CLASSES, seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
        for name, buffer in network.named_buffers():
            if name.endswith("running_var"):
                buffer.mul_(1.5)
    return network, asked


def theirs(recipe: str, asked: _upernet_recipes.Recipe) -> Any:
    """Return mmsegmentation's segmentor as its configuration of the recipe makes it, with a backbone of its own."""
    mmseg.library()
    from mmengine.config import ConfigDict
    from mmseg.registry import MODELS

    norm = {"type": "SyncBN", "requires_grad": True}
    head = {"dropout_ratio": 0.1, "num_classes": CLASSES, "norm_cfg": norm, "align_corners": False}
    config = {
        "type": "EncoderDecoder",
        "backbone": {
            "type": NETWORKS[recipe][1],
            "img_size": (SIDE, SIDE),
            "patch_size": 16,
            "embed_dims": 32,
            "num_layers": 6,
            "num_heads": 2,
            "mlp_ratio": 4,
            "init_values": 1.0,
            "drop_path_rate": 0.1,
            "out_indices": [1, 2, 3, 5],
            "norm_cfg": {"type": "LN", "eps": 1e-6},
        },
        "neck": {"type": "Feature2Pyramid", "embed_dim": 32, "rescales": [4, 2, 1, 0.5]},
        "decode_head": {
            "type": "UPerHead",
            "in_channels": [32] * 4,
            "in_index": [0, 1, 2, 3],
            "pool_scales": (1, 2, 3, 6),
            "channels": 16,
            **head,
        },
        "auxiliary_head": {
            "type": "FCNHead",
            "in_channels": 32,
            "in_index": 2,
            "channels": 256,
            "num_convs": 1,
            "concat_input": False,
            "loss_decode": {"type": "CrossEntropyLoss", "use_sigmoid": False, "loss_weight": 0.4},
            **head,
        },
        "test_cfg": ConfigDict(
            {"mode": "slide", "crop_size": (SIDE, SIDE), "stride": (asked.window_step, asked.window_step)}
        ),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MODELS.build(config).eval()


RENAMED = (
    ("patch_embed.proj.", "patch_embed.projection."),
    ("blocks.", "layers."),
    (".own.", "."),
    (".attn.table", ".attn.relative_position_bias_table"),
    (".ls1.gamma", ".gamma_1"),
    (".ls2.gamma", ".gamma_2"),
    (".norm1.", ".ln1."),
    (".norm2.", ".ln2."),
    (".mlp.fc1.", ".ffn.layers.0.0."),
    (".mlp.fc2.", ".ffn.layers.1."),
)
OUTER = "segmentor.model."


def their_name(name: str) -> str:
    """Return what mmsegmentation calls a tensor of ours."""
    name = name.removeprefix(OUTER).replace("backbone.network.network.", "backbone.")
    for own, other in RENAMED if name.startswith("backbone.") else ():
        name = name.replace(own, other)
    return name


@pytest.fixture(scope="module", params=["mae", "beit"])
def pair(request: pytest.FixtureRequest) -> tuple[_upernet.UPerNet, Any, _upernet_recipes.Recipe]:
    """Both segmentors with the same weights."""
    return both(request.param)


def both(recipe: str) -> tuple[_upernet.UPerNet, Any, _upernet_recipes.Recipe]:
    """Return our segmentor, theirs with its weights, and the recipe of both."""
    network, asked = ours(recipe)
    model = theirs(recipe, asked)
    unused = ("backbone.norm.", "backbone.fc_norm.", "backbone.head.")  # behind the last map: in neither segmentor
    state = {their_name(name): tensor for name, tensor in network.state_dict().items()}
    wanted = {name: tensor for name, tensor in state.items() if not name.startswith(unused)}
    buffers = {name for name in model.state_dict() if name.endswith("relative_position_index")}
    assert set(wanted) | buffers == set(model.state_dict())
    model.load_state_dict(wanted, strict=False)
    return network.eval(), model, asked


def images(count: int = 2, side: tuple[int, int] = (SIDE, SIDE)) -> Tensor:
    return torch.randn(count, 3, *side, generator=torch.Generator().manual_seed(2))


def masks(count: int = 2) -> Tensor:
    found = torch.randint(0, CLASSES, (count, SIDE, SIDE), generator=torch.Generator().manual_seed(3))
    found[:, :7] = VOID
    return found


def samples_of(labels: Tensor) -> list[Any]:
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    return [SegDataSample(gt_sem_seg=PixelData(data=mask[None])) for mask in labels]


def test_as_many_parameters_are_trained(pair: Any) -> None:
    """The parameters that are trained are mmsegmentation's, name by name and in number, relative positions and layer
    scale of the recipe included; those of a final norm that no map passes are not."""
    network, model, _ = pair
    trained = {their_name(name): p.numel() for name, p in network.named_parameters() if p.requires_grad}
    assert trained == {name: p.numel() for name, p in model.named_parameters()}


def test_both_say_the_same_of_an_image(pair: Any) -> None:
    """With the same weights both heads give mmsegmentation's outputs."""
    network, model, _ = pair
    with torch.no_grad():
        decoded, auxiliary = network(images())
        maps = model.extract_feat(images())
        torch.testing.assert_close(decoded, model.decode_head(maps), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(auxiliary, model.auxiliary_head(maps), rtol=1e-4, atol=1e-5)
    assert decoded.shape == (2, CLASSES, 16, 16)


def test_the_loss_is_theirs(pair: Any) -> None:
    """The loss of a batch is mmsegmentation's sum of both heads' losses, times its images; the gradient too, of the
    first layer and of the last."""
    network, model, _ = pair
    loss = network.segmentor.loss(network(images()), masks())
    said = model.loss(images(), samples_of(masks()))
    expected = said["decode.loss_ce"] + said["aux.loss_ce"]
    torch.testing.assert_close(loss, 2 * expected, rtol=1e-5, atol=1e-6)
    named = {their_name(name): parameter for name, parameter in network.named_parameters()}
    for name in ("backbone.patch_embed.projection.weight", "decode_head.conv_seg.weight"):
        [own] = torch.autograd.grad(loss, named[name], retain_graph=True)
        [other] = torch.autograd.grad(expected, dict(model.named_parameters())[name], retain_graph=True)
        torch.testing.assert_close(own, 2 * other, rtol=1e-3, atol=1e-5)


def test_a_void_pixel_adds_nothing_and_counts(pair: Any) -> None:
    """Of equal logits every counted pixel costs log(classes) by 1 and by 0.4, and the mean is over all pixels."""
    network, _, _ = pair
    said = torch.zeros(2, CLASSES, 16, 16), torch.zeros(2, CLASSES, 4, 4)
    expected = 1.4 * np.log(CLASSES) * (SIDE - 7) / SIDE
    assert float(network.segmentor.loss(said, masks())) / 2 == pytest.approx(expected, rel=1e-6)


def test_windows_are_slid_as_theirs(pair: Any) -> None:
    """A larger image is answered by mmsegmentation's overlapping windows, at the size that its source keeps it in, and
    padding behind it is cut off before."""
    network, model, _ = pair
    wide = images(1, (SIDE, 2 * SIDE))
    wide[..., 100:] = 0
    found = network.segmentor.predict(wide, (SIDE, 100), (90, 130))
    from torch.nn.functional import interpolate

    with torch.no_grad():
        logits = model.inference(wide, [{"ori_shape": (SIDE, 2 * SIDE), "img_shape": (SIDE, 2 * SIDE)}])
    expected = interpolate(logits[..., :100], (90, 130), mode="bilinear").argmax(1)[0]
    assert found.shape == (90, 130)
    assert float((found == expected).float().mean()) > 0.999


def their_groups(model: Any, asked: _upernet_recipes.Recipe) -> list[dict[str, Any]]:
    """Return the groups of parameters that the configuration's constructor makes."""
    from mmseg.engine.optimizers import LearningRateDecayOptimizerConstructor

    optimiser = {"type": "AdamW", "lr": asked.rate, "betas": (0.9, 0.999), "weight_decay": asked.decay}
    constructor = LearningRateDecayOptimizerConstructor(
        {"optimizer": optimiser}, {"num_layers": 6, "decay_rate": asked.layer_decay, "decay_type": "layer_wise_vit"}
    )
    groups: list[dict[str, Any]] = []
    constructor.add_params(groups, model)
    return groups


def test_layers_learn_at_their_rates(pair: Any) -> None:
    """Every parameter has the share of the rate and the decay that mmsegmentation's LayerDecayOptimizerConstructor
    gives it."""
    network, model, asked = pair
    groups = their_groups(model, asked)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    expected = {names[id(p)]: (g["lr"] / asked.rate, g["weight_decay"]) for g in groups for p in g["params"]}
    own = {id(parameter): their_name(name) for name, parameter in network.named_parameters()}
    found = {own[id(p)]: (g.rate_scale, g.decay) for g in network.groups(asked) for p in g.parameters}
    assert set(found) == set(expected)
    assert all(found[name] == pytest.approx(expected[name], rel=1e-9) for name in expected)


def test_steps_of_training_are_theirs() -> None:
    """Without dropout, in float64, the losses of five steps and the weights after them are those of mmsegmentation's
    model under its own groups of parameters and torch's AdamW at the same rates, batch statistics included."""
    network, model, asked = both("mae")
    asked = dataclasses.replace(asked, steps=5, batch=4, warmup=2, rate=1e-2)
    for module in (*network.modules(), *model.modules()):
        for name in ("p", "drop_prob"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
    network.double(), model.double().train()
    pictures, labels = images(20).double(), masks(20)

    def batches(first: int, places: Sequence[int], size: int) -> Iterator[tuple[Tensor, Tensor]]:
        for step in range(first, 5):
            taken = 4 * step + torch.as_tensor(places)
            yield pictures[taken], labels[taken]

    settings = _upernet_run.settings_of(asked, Trial(CLASSES, 0, {}, {}, Supply()))
    history = train(network, network.groups(asked), batches, settings, seed=0, loss=network.segmentor.loss)
    optimiser = torch.optim.AdamW(their_groups(model, asked), betas=(0.9, 0.999))
    expected = []
    for step, rate in enumerate(rates(settings)):
        for group in optimiser.param_groups:
            group["lr"] = rate * group["lr_scale"]
        said = model.loss(pictures[4 * step : 4 * step + 4], samples_of(labels[4 * step : 4 * step + 4]))
        loss = said["decode.loss_ce"] + said["aux.loss_ce"]
        expected.append(float(loss))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert history.losses == pytest.approx(expected, rel=1e-9)
    assert expected[-1] != pytest.approx(expected[0], rel=1e-2)
    trained = {their_name(name): tensor for name, tensor in network.state_dict().items()}
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            torch.testing.assert_close(trained[name], tensor, rtol=1e-6, atol=1e-8)


def test_positions_are_resized_once() -> None:
    """A network that was built for other images has its positions resized to crops before it is trained, and tables of
    relative positions with them."""
    for recipe, name in (("mae", "pos_embed"), ("beit", "blocks.0.attn.relative_position_bias_table")):
        network, _ = ours(recipe, built_for=128)
        small, _ = ours(recipe)
        assert network.maps.network.get_parameter(name).shape == small.maps.network.get_parameter(name).shape


def test_what_is_added_changes_nothing_at_first() -> None:
    """Relative positions and layer scale leave a network's maps as they are until they are trained."""
    card = ModelCard("tiny", "timm", weights=Weights(name="vit_tiny_patch16_224"), arch={**TINY, "img_size": SIDE})
    backbone = backbones.load(card, LoadContext())
    plain = _upernet.Maps(backbone, _upernet_recipes.recipe("mae", crop=SIDE, relative=False))
    added = _upernet.Maps(backbone, _upernet_recipes.recipe("mae", crop=SIDE))
    assert (plain.relative, added.relative) == (False, True)
    with torch.no_grad():
        for one, other in zip(plain(images()), added(images()), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    assert all(parameter.requires_grad is False for parameter in backbone.network.parameters())  # type: ignore[union-attr]


def test_miou_is_theirs() -> None:
    """mIoU, mean accuracy and pixel accuracy of random maps are those of mmsegmentation's IoUMetric and of sums written
    down with NumPy, a class that is nowhere and void pixels included."""
    from mmseg.evaluation import IoUMetric

    from ssl_bench import metrics

    generator = np.random.default_rng(0)
    said, true = [], []
    for size in ((20, 30), (7, 50), (1, 1), (64, 64)):
        mask = generator.integers(0, CLASSES - 1, size).astype(np.uint8)
        said.append(
            np.where(generator.random(size) < 0.6, mask, generator.integers(0, CLASSES - 1, size)).astype(np.uint8)
        )
        true.append(np.where(generator.random(size) < 0.1, VOID, mask).astype(np.uint8))

    class Source:
        def __len__(self) -> int:
            return len(true)

        def read(self, index: int) -> Mask:
            return Mask(true[index])

    labels = {"test": np.zeros((4, 0), dtype=np.int64)}
    truth = Truth(labels, CLASSES, dense=Targets(Source(), np.arange(4)))
    judged = LabelMaps(said).judged(truth)
    areas = [
        IoUMetric.intersect_and_union(torch.as_tensor(one), torch.as_tensor(other), CLASSES, VOID)
        for one, other in zip(said, true, strict=True)
    ]
    theirs = IoUMetric.total_area_to_metrics(*(sum(part) for part in zip(*areas, strict=True)), ["mIoU"])
    expected = {"miou": np.nanmean(theirs["IoU"]), "macc": np.nanmean(theirs["Acc"]), "aacc": theirs["aAcc"]}
    whole, guess = np.concatenate([one.ravel() for one in true]), np.concatenate([one.ravel() for one in said])
    each = [
        ((whole == label) & (guess == label)).sum() / ((whole != VOID) & ((whole == label) | (guess == label))).sum()
        for label in range(CLASSES - 1)
    ]
    for name, value in expected.items():
        found, _, _ = metrics.get(name).score(judged, truth)
        assert found == pytest.approx(float(value), abs=1e-6)
    assert metrics.get("miou").score(judged, truth)[0] == pytest.approx(np.mean(each), abs=1e-12)


def test_the_stand_in_is_nobody_elses() -> None:
    """Operators of ours stand in for mmcv's while mmsegmentation is imported and not after that; a point is read
    bilinearly, and what is not there is said not to be."""
    mmseg.library()
    assert sys.modules.get("mmcv.ops") is not _operators
    maps = torch.arange(12.0).view(1, 1, 3, 4)
    found = _operators.point_sample(maps, torch.tensor([[[0.5, 0.5], [0.125, 1 / 6]]]))
    torch.testing.assert_close(found, torch.tensor([[[5.5, 0.0]]]))
    with pytest.raises(ModuleNotFoundError, match="CrissCrossAttention"):
        _operators.CrissCrossAttention  # noqa: B018
    with pytest.raises(NotImplementedError, match="full mmcv"):
        _operators.sigmoid_focal_loss()


def test_without_mmsegmentation_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where mmsegmentation cannot be imported, the error says how it is installed."""
    mmseg.library.cache_clear()
    monkeypatch.setitem(sys.modules, "mmseg.models", None)
    with pytest.raises(MissingError, match=r"pip install 'ssl-bench\[mmseg\]'"):
        mmseg.library()


def test_one_image_at_a_time_is_too_few(pair: Any) -> None:
    """Batch normalisation cannot be trained on one image, whose coarsest map is one pixel: the error says so."""
    network, _, _ = pair
    network.train()
    with pytest.raises(MissingError, match="two images at once"):
        network(images(1))
    network.eval()


def test_stages_go_to_the_heads_as_they_are() -> None:
    """A network of stages needs no neck: its last four maps, of strides 4 to 32, are read by 512 channels."""
    card = ModelCard("tiny", "timm", weights=Weights(name="resnet10t"), arch={"pretrained": False})
    asked = _upernet_recipes.recipe("mae", crop=SIDE)
    network = _upernet.upernet(backbones.load(card, LoadContext()), asked, CLASSES, seed=0)
    assert (network.maps.plain, network.maps.relative, network.channels) == (False, False, 512)
    assert network.maps.widths == [64, 128, 256, 512]
    assert not hasattr(network.segmentor.model, "neck")
    said = network(images())
    assert [tuple(part.shape) for part in said] == [(2, CLASSES, 16, 16), (2, CLASSES, 4, 4)]
    assert isinstance(network.segmentor.model.decode_head, nn.Module)


def test_ci_installs_it() -> None:
    """The pinned requirements, which CI installs, have mmsegmentation and mmcv-lite, and never the full mmcv beside."""
    pinned = (Path(ssl_bench.__file__).parent.parent / "requirements.txt").read_text(encoding="utf-8").split()
    names = {line.partition("==")[0] for line in pinned if "==" in line}
    assert {"mmsegmentation", "mmengine", "mmcv-lite", "ftfy", "regex"} <= names
    assert "mmcv" not in names
