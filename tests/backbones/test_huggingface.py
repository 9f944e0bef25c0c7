"""The adapter for transformers, on tiny random models of `save_pretrained`, against transformers' own forward."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import ssl_bench
from ssl_bench import backbones, fetch, images, model_zoo
from ssl_bench.backbones import dense, stages
from ssl_bench.backbones.base import Backbone, LoadContext
from ssl_bench.errors import MissingError, UsageError
from ssl_bench.settings import Settings

transformers = pytest.importorskip("transformers")
TINY = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "image_size": 32}
VIT = {**TINY, "patch_size": 8}
NETS: dict[str, tuple[str, dict[str, Any]]] = {
    "beit": ("Beit", {**VIT, "use_mean_pooling": True, "use_relative_position_bias": True}),
    "convnext": ("ConvNext", {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2}),
    "dinov2": ("Dinov2", VIT),
    "dinov2_with_registers": ("Dinov2WithRegisters", {**VIT, "num_register_tokens": 3}),
    "dinov3_vit": ("DINOv3ViT", {**VIT, "num_register_tokens": 3}),
    "siglip_vision_model": ("SiglipVision", VIT),
    "clip_vision_model": ("CLIPVision", VIT),
    "swin": (
        "Swin",
        {"image_size": 32, "patch_size": 4, "embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4},
    ),
    "vit": ("ViT", VIT),
    "vit_mae": ("ViTMAE", VIT),
}
PROCESSOR = {
    "image_processor_type": "ViTImageProcessor",
    "do_resize": True,
    "size": {"height": 32, "width": 32},
    "resample": 2,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.2, 0.3, 0.4],
}


def network(kind: str, **more: Any) -> Any:
    name, options = NETS[kind]
    config = getattr(transformers, f"{name}Config")(**{**options, **more})
    torch.manual_seed(3)
    return getattr(transformers, f"{name}Model")(config).eval()


def save(folder: Path, net: Any, **processor: Any) -> Path:
    net.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({**PROCESSOR, **processor}))
    return folder


def load(folder: Path, options: str = "", **context: Any) -> Backbone:
    card = model_zoo.get(f"hf:{folder}{options}")
    return backbones.load(card, LoadContext(model_zoo.weights_state(card).path, **context))


def seen(side: int = 32) -> torch.Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", NETS)
def test_features_are_those_of_transformers(tmp_path: Path, kind: str) -> None:
    """Each pooling is the same as what is computed from the model's own forward."""
    net = network(kind)
    backbone = load(save(tmp_path / "net", net))
    if kind == "vit_mae":
        net.config.mask_ratio = 0.0
    with torch.inference_mode():
        output = net(seen())
    hidden = output.last_hidden_state
    registers = getattr(net.config, "num_register_tokens", 0)
    start = 0 if kind in ("siglip_vision_model", "swin") else 1 + registers
    wanted = {
        "gap": lambda: hidden.mean((2, 3)),
        "cls": lambda: hidden[:, 0],
        "patch_mean": lambda: hidden[:, start:].mean(1),
        "pooler": lambda: output.pooler_output.flatten(1),
    }
    for pooling in backbone.poolings:
        found = backbone.forward(seen(), pooling)
        torch.testing.assert_close(found.pooled, wanted[pooling](), atol=1e-5, rtol=1e-4)
        assert found.dense is not None
        assert found.dense.shape[2] == found.dense.shape[3]
    assert backbone.default_pooling in backbone.poolings


@pytest.mark.parametrize("kind", NETS)
def test_maps_of_every_layer_are_the_hidden_states(tmp_path: Path, kind: str) -> None:
    """Behind its blocks a plain transformer has the hidden states of transformers; the last map, which passes the norm
    where the model has one, is there for images of other sizes too."""
    backbone = load(save(tmp_path / "net", network(kind)))
    net: Any = backbone.network
    [last] = dense.maps(backbone, seen())
    torch.testing.assert_close(last, backbone.forward(seen(), backbone.default_pooling).dense.clone())
    [other] = dense.maps(backbone, seen(40))
    assert other.shape[2] == -(-40 // dense.stride(backbone))
    if not stages.is_plain(backbone):
        return
    arguments = backbone._arguments(seen())  # type: ignore[attr-defined]
    with torch.no_grad():
        hidden = net(seen(), output_hidden_states=True, **arguments).hidden_states
    [first] = dense.maps(backbone, seen(), [0], norm=False)
    places = first.shape[2] * first.shape[3]
    torch.testing.assert_close(first.flatten(2).transpose(1, 2), hidden[1][:, -places:])
    torch.testing.assert_close(dense.maps(backbone, seen(), [-1, 1])[1], last)


def test_registers_are_no_patches(tmp_path: Path) -> None:
    """The mean of patches leaves out cls and registers, which averaging all but the first token would keep."""
    net = network("dinov2_with_registers")
    with torch.inference_mode():
        hidden = net(seen()).last_hidden_state
    found = load(save(tmp_path / "net", net)).forward(seen(), "patch_mean")
    assert hidden.shape[1] == 1 + 3 + 16
    torch.testing.assert_close(found.pooled, hidden[:, 4:].mean(1), atol=1e-5, rtol=1e-4)
    assert not torch.allclose(found.pooled, hidden[:, 1:].mean(1), atol=1e-3)
    assert found.dense is not None
    torch.testing.assert_close(found.dense[:, :, 1, 2], hidden[:, 4 + 6], atol=1e-5, rtol=1e-4)


def test_a_masked_autoencoder_sees_every_patch_in_its_place(tmp_path: Path) -> None:
    """ViTMAE's features hide nothing, are the same twice, and its map keeps the patches' order."""
    backbone = load(save(tmp_path / "net", network("vit_mae")))
    one, two = (backbone.forward(seen(), "cls") for _ in range(2))
    assert one.dense is not None
    assert two.dense is not None
    assert torch.equal(one.dense, two.dense)
    assert one.dense.shape == (2, 16, 4, 4)
    changed = seen()
    changed[:, :, :8, 24:] += 5
    moved = (backbone.forward(changed, "cls").dense - one.dense).abs().sum(1)  # type: ignore[operator]
    assert moved[0].flatten().argmax() == 3


def test_a_tower_of_two_and_another_size(tmp_path: Path) -> None:
    """Of an image and text model the image tower is taken; position embeddings follow another input size."""
    text = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = transformers.CLIPConfig(vision_config=VIT, text_config=text, projection_dim=8)
    net = transformers.CLIPModel(config).eval()
    backbone = load(save(tmp_path / "net", net))
    with torch.inference_mode():
        wanted = net.vision_model(seen()).pooler_output
    torch.testing.assert_close(backbone.forward(seen(), "pooler").pooled, wanted, atol=1e-5, rtol=1e-4)
    larger = load(tmp_path / "net", ",size=48")
    assert larger.forward(seen(48), "cls").dense.shape == (2, 16, 6, 6)  # type: ignore[union-attr]


def test_an_absent_pooler_is_not_invented(tmp_path: Path) -> None:
    """Weights without the pooler's tensors offer no pooler; weights that lack another tensor are refused."""
    bare = transformers.ViTModel(transformers.ViTConfig(**VIT), add_pooling_layer=False)
    one, two = load(save(tmp_path / "net", bare)), load(tmp_path / "net", seed=1)
    assert one.poolings == ("cls", "patch_mean")
    assert one.weights_digest() == two.weights_digest()
    config = json.loads((tmp_path / "net/config.json").read_text())
    (tmp_path / "net/config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    with pytest.raises(UsageError, match=r"lacks .* tensors of the network"):
        load(tmp_path / "net")


CLIP = {
    "image_processor_type": "CLIPImageProcessor",
    "size": {"shortest_edge": 40},
    "crop_size": {"height": 32, "width": 32},
    "do_center_crop": True,
    "resample": 3,
}
CONVNEXT = {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 28}, "crop_pct": 0.875}


@pytest.mark.parametrize(
    "changes", [{}, {"do_normalize": False}, {"do_rescale": False}, {"rescale_factor": 1 / 127.5}, CLIP, CONVNEXT]
)
def test_the_input_is_the_image_processors(tmp_path: Path, changes: dict[str, Any]) -> None:
    """What the network sees of a picture is what the model's own image processor makes of it, to a few grey levels."""
    backbone = load(save(tmp_path / "net", network("convnext"), **changes))
    grid = np.indices((60, 80)).sum(0)
    picture = Image.fromarray(np.stack([grid, 200 - grid, grid // 2], axis=-1).astype(np.uint8))
    processor = transformers.AutoImageProcessor.from_pretrained(str(tmp_path / "net"))
    wanted = processor(picture, return_tensors="pt")["pixel_values"][0]
    batch = torch.from_numpy(images.pixels(picture, backbone.input)[None])
    found = images.normalise(batch, backbone.input)[0]
    grey_level = max(1 / 255 / value for value in backbone.input.std)
    assert found.shape == wanted.shape
    assert (found - wanted.float()).abs().max() <= 3.1 * grey_level


def test_what_is_absent_or_unknown_is_told(
    tmp_path: Path, own_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Absent weights, an unknown type, foreign code, a broken file and a missing package are one line each."""
    with pytest.raises(MissingError, match=r"huggingface\.co/org/net.*ssl-bench fetch --model hf:org/net@abc"):
        load(Path("org/net@abc"))
    with pytest.raises(MissingError, match=r"no model\.safetensors in the folder"):
        fetch.fetch_weights(model_zoo.get(f"hf:{tmp_path}"), own_settings)
    folder = save(tmp_path / "net", network("vit"))
    assert load(folder, untrained=True).weights_digest() != load(folder).weights_digest()
    with pytest.raises(UsageError, match="pooled = 'map' is not offered"):
        load(folder, ",pooled=map")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "bert"}))
    with pytest.raises(UsageError, match=r"type 'bert' are not offered.*Did you mean beit"):
        load(folder)
    foreign = {**config, "model_type": "evil", "auto_map": {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}}
    (folder / "config.json").write_text(json.dumps(foreign))
    (folder / "evil.py").write_text("raise SystemExit('foreign code ran')")
    with pytest.raises(UsageError, match=r"config\.json"):
        load(folder)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(UsageError, match=r"set input\.mean"):
        load(folder)
    save(folder, network("vit"))
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:900])
    with pytest.raises(UsageError, match="no whole safetensors file"):
        load(folder)
    monkeypatch.setitem(sys.modules, "transformers", None)
    monkeypatch.delitem(sys.modules, "ssl_bench.backbones.huggingface", raising=False)
    with pytest.raises(MissingError, match=r"ssl-bench\[huggingface\]"):
        load(folder)


def test_weights_are_found_where_hubs_keep_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository's files are found in the weights folder, and in the hub's cache under the revision asked for."""
    card = model_zoo.get("hf:org/net@v1")
    home = tmp_path / "hub/models--org--net"
    for place in (home / "snapshots/c0ffee", tmp_path / "weights/org/net@v1"):
        place.mkdir(parents=True)
        (place / "model.safetensors").touch()
    (home / "refs").mkdir()
    (home / "refs/v1").write_text("c0ffee")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    assert model_zoo.weights_state(card).path == home / "snapshots/c0ffee/model.safetensors"
    assert (
        model_zoo.weights_state(card, [tmp_path / "weights"]).path == tmp_path / "weights/org/net@v1/model.safetensors"
    )
    assert model_zoo.weights_state(model_zoo.get("hf:org/net@v2")).missing


def test_a_changed_configuration_is_a_changed_model(tmp_path: Path, own_settings: Settings) -> None:
    """What a plan remembers of a model is forgotten where a configuration beside its weights changes."""
    folder = save(tmp_path / "net", network("convnext"))
    first = ssl_bench.run(f"hf:{folder}", task=["digits"], protocol=["knn"], **flags(own_settings))
    again = ssl_bench.run(f"hf:{folder}", task=["digits"], protocol=["knn"], **flags(own_settings))
    assert [len(first.written), len(again.written), len(again.present)] == [1, 0, 1]
    save(folder, network("convnext"), image_mean=[0.1, 0.1, 0.1])
    other = ssl_bench.run(f"hf:{folder}", task=["digits"], protocol=["knn"], **flags(own_settings))
    assert len(other.written) == 1
    assert first.written[0].model.arch["library"] == "transformers"


def flags(settings: Settings) -> dict[str, Any]:
    folders = {name: str(getattr(settings, name)) for name in ("cache", "results", "weights")}
    return {**folders, "device": "cpu", "progress": "none"}
