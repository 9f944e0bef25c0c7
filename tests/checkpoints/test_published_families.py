"""The published families: files in their authors' layout, written from a network that is not ours, and loaded whole.

Every layout holds what the authors' files hold besides the backbone, and a decoy in each branch that must not be taken.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from timm.models.beit import Beit
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from ssl_bench import backbones, model_zoo
from ssl_bench.backbones.base import LoadContext
from ssl_bench.errors import UsageError
from tests.checkpoints.layouts import ONE, State, assert_same, images, load, other, randomised, training, under


def timm_vit(width: int = 128, heads: int = 2, **arguments: Any) -> nn.Module:
    given = {"num_classes": 0, "img_size": 64, "global_pool": "token", **arguments}
    return randomised(VisionTransformer(patch_size=16, embed_dim=width, depth=2, num_heads=heads, **given))


def torchvision_resnet() -> nn.Module:
    network = torchvision.models.ResNet(torchvision.models.resnet.Bottleneck, [1, 2, 1, 1])
    network.fc = nn.Identity()
    return randomised(network)


Layout = Callable[[State], dict[str, Any]]
VITS: dict[str, Layout] = {
    "mae": lambda s: {"model": s},
    "mae, training": lambda s: training(model=under("", s, "decoder_embed.weight", "decoder_pos_embed", "mask_token")),
    "dino_vit": lambda s: s,
    "dino_vit, training": lambda s: training(
        student=under("module.backbone.", other(s), "module.head.mlp.0.weight"),
        teacher=under("backbone.", s, "head.mlp.0.weight"),
    ),
    "ibot": lambda s: {"state_dict": under("", s, "masked_embed")},
    "ibot, training": lambda s: training(
        student=under("module.backbone.", other(s), "module.head.mlp.0.weight"),
        teacher=under("backbone.", s, "backbone.masked_embed", "head.mlp.0.weight"),
    ),
    "msn": lambda s: {
        "encoder": under("module.", other(s)),
        "target_encoder": under("module.", s, "module.fc.fc1.weight", "module.pred.weight"),
        "prototypes": ONE,
    },
}
RESNETS: dict[str, Layout] = {
    "moco": lambda s: training(
        state_dict=under("module.encoder_q.", s, "module.encoder_q.fc.0.weight", "module.queue", "module.queue_ptr")
        | under("module.encoder_k.", other(s), "module.encoder_k.fc.0.weight")
    ),
    "mocov3_resnet": lambda s: training(
        state_dict=under("module.momentum_encoder.", other(s))
        | under("module.base_encoder.", s, "module.base_encoder.fc.0.weight", "module.predictor.0.weight")
    ),
    "simsiam": lambda s: training(
        state_dict=under("module.encoder.", s, "module.encoder.fc.0.weight", "module.predictor.0.weight")
    ),
    "swav": lambda s: under("module.", s, "module.projection_head.0.weight", "module.prototypes.weight"),
    "barlowtwins": lambda s: s,
    "barlowtwins, training": lambda s: training(
        model=under("module.backbone.", s, "module.projector.0.weight", "module.bn.running_mean")
    ),
    "vicreg": lambda s: s,
    "vicreg, training": lambda s: training(model=under("module.backbone.", s, "module.projector.0.weight")),
    "densecl": lambda s: {"state_dict": s, "author": "DenseCL"},
    "densecl, training": lambda s: {
        "meta": {"epoch": 200},
        "state_dict": under("backbone.", s, "encoder_k.0.conv1.weight", "neck.mlp.0.weight", "queue", "queue2"),
    },
    "vissl": lambda s: training(
        classy_state_dict={
            "base_model": {"model": {"trunk": under("_feature_blocks.", s), "heads": {"0.weight": ONE}}},
            "train_dataset_iterator": None,
        }
    ),
    "vissl, converted": lambda s: {"model_state_dict": under("_feature_blocks.", s)},
    "dino_resnet": lambda s: s,
    "dino_resnet, training": lambda s: training(
        student=under("module.backbone.", other(s)), teacher=under("backbone.", s, "head.mlp.0.weight")
    ),
}


@torch.inference_mode()
def patch_map(network: Any, batch: Tensor) -> Tensor:
    """Return timm's own map of patches."""
    return network.forward_intermediates(batch, indices=1, norm=True, intermediates_only=True)[0]


@pytest.mark.parametrize("layout", VITS)
def test_plain_vits(tmp_path: Path, layout: str) -> None:
    """A plain ViT loads from its authors' layout; cls and patches are those of timm's network."""
    source = timm_vit()
    backbone = load(tmp_path, VITS[layout](source.state_dict()), layout.partition(",")[0])
    found = backbone.forward(images(), backbone.default_pooling)
    assert backbone.default_pooling == "cls"
    with torch.inference_mode():
        assert_same(found.pooled, source(images()))
    assert_same(found.dense, patch_map(source, images()))
    assert_same(backbone.forward(images(), "patch_mean").pooled, patch_map(source, images()).mean((2, 3)))


@pytest.mark.parametrize("layout", RESNETS)
def test_resnets(tmp_path: Path, layout: str) -> None:
    """A ResNet loads from its authors' layout; feature and map are those of torchvision's network."""
    source = torchvision_resnet()
    backbone = load(tmp_path, RESNETS[layout](source.state_dict()), layout.partition(",")[0])
    found = backbone.forward(images(), backbone.default_pooling)
    with torch.inference_mode():
        assert_same(found.pooled, source(images()))
        assert found.dense is not None
        assert_same(found.dense.mean((2, 3)), source(images()))
    assert found.dense.shape == (2, 2048, 2, 2)
    assert backbone.arch()["depths"] == [1, 2, 1, 1]


def mocov3_file(source: nn.Module) -> dict[str, Any]:
    state = source.state_dict()
    base = under("module.base_encoder.", state, "module.base_encoder.head.0.weight", "module.predictor.0.weight")
    return training(state_dict=under("module.momentum_encoder.", other(state)) | base)


def test_mocov3_has_12_heads(tmp_path: Path) -> None:
    """MoCo v3's ViT-S has 12 heads; with the 6 of its shape it loads as strictly and says something else."""
    source = timm_vit(384, heads=12)
    right = load(tmp_path, mocov3_file(source), "mocov3_vit")
    with torch.inference_mode():
        expected = source(images())
    assert_same(right.forward(images(), "cls").pooled, expected)
    assert right.arch()["heads"] == 12
    wrong = load(tmp_path, mocov3_file(source), "mocov3_vit", ",heads=6")
    assert (wrong.forward(images(), "cls").pooled - expected).abs().max() > 0.01


def test_ijepa_takes_the_target_encoder(tmp_path: Path) -> None:
    """I-JEPA's feature is the mean over the patches of the target encoder, not of the encoder beside it."""
    source = timm_vit(class_token=False, global_pool="avg", fc_norm=False)
    state = source.state_dict()
    content = training(
        encoder=under("module.", other(state)),
        predictor=under("module.", {"mask_token": ONE}),
        target_encoder=under("module.", state),
        opt={"state": {}},
    )
    backbone = load(tmp_path, content, "ijepa")
    assert backbone.poolings == ("patch_mean",)
    with torch.inference_mode():
        assert_same(backbone.forward(images(), "patch_mean").pooled, source(images()))


def dinov2_file(source: Any, registers: int) -> tuple[State, Tensor]:
    """Return a state in DINOv2's layout and the position of cls, which timm adds to the cls token."""
    state = dict(source.state_dict())
    cls_position = torch.full((1, 1, state["cls_token"].shape[2]), 0.3)
    state["pos_embed"] = torch.cat([cls_position, state["pos_embed"]], dim=1)
    state["cls_token"] = state["cls_token"] - cls_position
    if registers:
        state["register_tokens"] = state.pop("reg_token")
    return {**state, "mask_token": torch.ones(1, state["cls_token"].shape[2])}, cls_position


@pytest.mark.parametrize("registers", [0, 4])
def test_dinov2(tmp_path: Path, registers: int) -> None:
    """DINOv2 loads with and without registers, and registers belong neither to the patches nor to their mean."""
    source = timm_vit(reg_tokens=registers, no_embed_class=True, init_values=1.0)
    state, _ = dinov2_file(source, registers)
    backbone = load(tmp_path, state, "dinov2")
    with torch.inference_mode():
        assert_same(backbone.forward(images(), "cls").pooled, source(images()))
    assert_same(backbone.forward(images(), "patch_mean").pooled, patch_map(source, images()).mean((2, 3)))
    assert backbone.arch()["registers"] == registers


@pytest.mark.parametrize(("registers", "rule"), [(0, "scaled"), (4, "antialiased")])
def test_dinov2_interpolates_as_its_authors(tmp_path: Path, registers: int, rule: str) -> None:
    """At another size positions follow the authors' rule, which is recorded; the other rule gives other features."""
    source = timm_vit(reg_tokens=registers, no_embed_class=True, init_values=1.0)
    state, _ = dinov2_file(source, registers)
    features = {
        positions: load(tmp_path, state, "dinov2", f",positions={positions}").forward(images(96), "cls").pooled
        for positions in ("scaled", "antialiased")
    }
    own = load(tmp_path, state, "dinov2")
    assert own.arch()["positions"] == rule
    assert torch.equal(own.forward(images(96), "cls").pooled, features[rule])
    assert (features["scaled"] - features["antialiased"]).abs().max() > 1e-3
    timms = timm_vit(reg_tokens=registers, no_embed_class=True, init_values=1.0, dynamic_img_size=True)
    with torch.inference_mode():
        assert_same(features["antialiased"], timms(images(96)))


def test_chunks_of_dinov2_training(tmp_path: Path) -> None:
    """DINOv2's training files number blocks within chunks; the chunk's number is dropped."""
    source = timm_vit(no_embed_class=True, init_values=1.0)
    state, _ = dinov2_file(source, 0)
    chunked = {key.replace("blocks.", f"blocks.{int('blocks.1' in key)}."): tensor for key, tensor in state.items()}
    content = {"teacher": under("backbone.", chunked, "dino_head.mlp.0.weight", "ibot_head.mlp.0.weight")}
    with torch.inference_mode():
        assert_same(load(tmp_path, content, "dinov2").forward(images(), "cls").pooled, source(images()))


def test_wider_resnets_are_wider_everywhere(tmp_path: Path) -> None:
    """The wide networks of SwAV and VICReg widen every layer, the first too."""
    from ssl_bench.checkpoints import resnet

    source = randomised(resnet.build(depths=(1, 1, 1, 1), widen=2))
    backbone = load(tmp_path, under("module.", source.state_dict()), "swav")
    assert (backbone.arch()["widen"], backbone.forward(images(), "gap").pooled.shape) == (2, (2, 4096))


def test_file_without_the_declared_branch(tmp_path: Path) -> None:
    """A file that lacks the family's prefix, and has another's, does not load as if it had none."""
    state = torchvision_resnet().state_dict()
    with pytest.raises(UsageError, match="lacks the key conv1"):
        load(tmp_path, {"state_dict": under("module.encoder_k.", state)}, "moco")


def test_epsilon_is_recorded(tmp_path: Path) -> None:
    """What shapes do not show is in the record of the architecture."""
    arch = load(tmp_path, timm_vit().state_dict(), "dino_vit").arch()
    assert (arch["eps"], arch["positions"], arch["depth"], arch["patch"]) == (1e-6, "scaled", 2, 16)


def beit_network(**arguments: Any) -> nn.Module:
    given = {"embed_dim": 128, "depth": 2, "num_heads": 2, "img_size": 64, "num_classes": 0, "init_values": 0.1}
    given |= {"use_abs_pos_emb": False, "use_shared_rel_pos_bias": True, "global_pool": "token"}
    return randomised(Beit(**{**given, **arguments}))


BUFFER = "rel_pos_bias.relative_position_index"
RELATIVE: dict[str, Layout] = {
    "beit": lambda s: training(model=under("", s, "mask_token", "lm_head.weight", "lm_head.bias", BUFFER)),
    "beitv2": lambda s: training(
        model=under("", s, "mask_token", "cls_pt_layers.0.norm1.weight", "cls_pt_norm.weight", "lm_head.weight", BUFFER)
    ),
    "data2vec": lambda s: training(model=under("", s, "mask_token", BUFFER), model_ema=other(s)),
    "simmim_vit": lambda s: training(model=under("encoder.", s, "encoder.mask_token", "decoder.0.weight")),
}


@pytest.mark.parametrize("layout", RELATIVE)
def test_vits_with_relative_positions(tmp_path: Path, layout: str) -> None:
    """BEiT and its heirs share one table of relative positions, have no bias for keys, and keep their final norm."""
    source = beit_network()
    backbone = load(tmp_path, RELATIVE[layout](source.state_dict()), layout)
    with torch.inference_mode():
        assert_same(backbone.forward(images(), "cls").pooled, source(images()))
    found = backbone.forward(images(), "patch_mean")
    assert_same(found.dense, patch_map(source, images()))
    assert_same(found.pooled, patch_map(source, images()).mean((2, 3)))
    assert (backbone.arch()["heads"], backbone.arch()["shared"]) == (2, True)


def test_fine_tuned_beit_has_a_table_per_block(tmp_path: Path) -> None:
    """A fine-tuned BEiT keeps relative positions in every block; a pretrained one's table copied there is the same."""
    shared = beit_network().state_dict()
    table = shared.pop("rel_pos_bias.relative_position_bias_table")
    own = {f"blocks.{block}.attn.relative_position_bias_table": table for block in range(2)}
    backbone = load(tmp_path, {"model": {**shared, **own}}, "beit")
    assert not backbone.arch()["shared"]
    with torch.inference_mode():
        assert_same(backbone.forward(images(), "cls").pooled, beit_network()(images()))


def test_simmim_swin(tmp_path: Path) -> None:
    """SimMIM's Swin ends stages with their downsampling and stores buffers; the feature is the mean after the norm."""
    given = {"embed_dim": 32, "depths": (2, 2, 2), "num_heads": (1, 2, 4), "window_size": 4, "img_size": 64}
    source = randomised(SwinTransformer(num_classes=0, **given))
    state = {
        re.sub(r"layers\.(\d)\.downsample", lambda found: f"layers.{int(found[1]) - 1}.downsample", key): tensor
        for key, tensor in source.state_dict().items()
    }
    content = training(
        model=under("encoder.", state, "encoder.mask_token", "encoder.layers.0.blocks.1.attn_mask", "decoder.0.weight")
    )
    torch.save(content, tmp_path / "weights.pth")
    card = model_zoo.get(f"ckpt:{tmp_path / 'weights.pth'},family=simmim_swin")
    backbone = backbones.load(dataclasses.replace(card, arch={"size": 64}), LoadContext(tmp_path / "weights.pth"))
    found = backbone.forward(images(), "gap")
    with torch.inference_mode():
        assert_same(found.pooled, source(images()))
    assert found.dense is not None
    assert_same(found.dense.mean((2, 3)), found.pooled)
    assert (backbone.arch()["window"], backbone.arch()["heads"]) == (4, [1, 2, 4])


@pytest.mark.parametrize("gated", [False, True])
def test_dinov3(tmp_path: Path, gated: bool) -> None:
    """DINOv3 loads without the masked bias of keys; its feature is cls, and storage tokens are in no pooling."""
    name = "vit_small_plus_patch16_dinov3_qkvb" if gated else "vit_small_patch16_dinov3_qkvb"
    source = randomised(timm.create_model(name, num_classes=0, depth=2, global_pool="token"))
    names = {"gamma_1": "ls1.gamma", "gamma_2": "ls2.gamma", "reg_token": "storage_tokens"}
    names |= {"mlp.fc1_g": "mlp.w1", "mlp.fc1_x": "mlp.w2", **({"mlp.fc2": "mlp.w3"} if gated else {})}
    state = {"mask_token": ONE, "rope_embed.periods": ONE, "local_cls_norm.weight": ONE}
    for key, tensor in source.state_dict().items():
        if key.endswith("q_bias"):
            block = key.removesuffix("q_bias")
            biases = [tensor, torch.full_like(tensor, 9.0), source.state_dict()[f"{block}v_bias"]]
            state |= {f"{block}qkv.bias": torch.cat(biases), f"{block}qkv.bias_mask": ONE}
        elif not key.endswith("v_bias"):
            for ours, theirs in names.items():
                key = key.replace(ours, theirs)
            state[key] = tensor
    backbone = load(tmp_path, state, "dinov3")
    assert (backbone.arch()["eps"], backbone.arch()["gated"], backbone.default_pooling) == (1e-5, gated, "cls")
    with torch.inference_mode():
        assert_same(backbone.forward(images(), "cls").pooled, source(images()))
    assert_same(backbone.forward(images(), "patch_mean").pooled, patch_map(source, images()).mean((2, 3)))


def test_vicregl_norms_before_the_mean(tmp_path: Path) -> None:
    """VICRegL's ConvNeXt has no layer scale and norms every place before the mean; the other order differs."""
    source = timm.create_model("convnext_tiny", num_classes=0, depths=(1, 1, 2, 1), dims=(16, 32, 64, 128))
    source = randomised(source)
    state = {}
    for key, tensor in source.state_dict().items():
        if key.endswith(".gamma"):
            tensor.fill_(1.0)
            continue
        key = (
            key.replace("stem.", "downsample_layers.0.").replace(".conv_dw.", ".dwconv.").replace(".mlp.fc", ".pwconv")
        )
        key = re.sub(r"stages\.(\d)\.downsample\.", r"downsample_layers.\1.", key).replace("head.norm.", "norm.")
        key = key.replace(".blocks.", ".")
        state[key] = tensor
    backbone = load(tmp_path, state, "vicregl_convnext")
    found = backbone.forward(images(), "gap")
    with torch.inference_mode():
        dense = source.head.norm(source.forward_features(images()))
        assert_same(found.dense, dense)
        assert_same(found.pooled, dense.mean((2, 3)))
        assert (found.pooled - source(images())).abs().max() > 0.1
    assert backbone.arch()["depths"] == [1, 1, 2, 1]


def clip_file(source: Any) -> State:
    """Return the image tower of CLIP with its authors' names, in half precision, and a text tower beside it."""
    names = {"patch_embed.proj": "conv1", "norm_pre": "ln_pre", "blocks.": "transformer.resblocks.", "norm1": "ln_1"}
    names |= {"norm2": "ln_2", "qkv.": "in_proj_", "attn.proj": "attn.out_proj", "mlp.fc1": "mlp.c_fc"}
    names |= {"mlp.fc2": "mlp.c_proj", "cls_token": "class_embedding", "pos_embed": "positional_embedding"}
    state = {"visual.proj": source.head.weight.detach().T.contiguous()}
    for key, tensor in source.state_dict().items():
        if key.startswith("head."):
            continue
        for ours, theirs in names.items():
            key = key.replace(ours, theirs)
        key = key.replace("norm.", "ln_post.")
        state[f"visual.{key}"] = tensor.reshape(-1) if "class_" in key else tensor[0] if "positional" in key else tensor
    more = {"transformer.resblocks.0.ln_1.weight": ONE, "positional_embedding": ONE, "logit_scale": ONE}
    return {**state, **more, "input_resolution": torch.tensor(64)}


def test_clip_needs_quick_gelu(tmp_path: Path) -> None:
    """CLIP's image tower loads beside its text tower; with plain GELU it loads as strictly and says something else."""
    given = {"embed_dim": 128, "depth": 2, "num_heads": 2, "img_size": 64, "num_classes": 48}
    source = randomised(timm.create_model("vit_base_patch16_clip_quickgelu_224", **given))
    source.head.bias.data.zero_()
    backbone = load(tmp_path, clip_file(source), "clip")
    with torch.inference_mode():
        assert_same(backbone.forward(images(), "proj").pooled, source(images()))
        tokens = source.forward_features(images())
        assert_same(backbone.forward(images(), "pre_proj").pooled, tokens[:, 0])
    gelu = load(tmp_path, clip_file(source), "clip", ",quick_gelu=false").forward(images(), "proj").pooled
    assert (gelu - backbone.forward(images(), "proj").pooled).abs().max() > 1e-2
    assert backbone.arch()["eps"] == 1e-5


def test_positions_of_one_size(tmp_path: Path) -> None:
    """A network whose positions are for one size says which, and how to ask for it."""
    backbone = load(tmp_path, {"model": beit_network().state_dict()}, "beit")
    with pytest.raises(UsageError, match=r"64x64 pixels.*not 96x96: set input\.size = 64"):
        backbone.forward(images(96), "cls")
