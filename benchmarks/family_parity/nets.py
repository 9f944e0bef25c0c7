"""Convolutional networks born in other frameworks or kept under other names than torchvision's."""

from __future__ import annotations

import importlib
import sys
import types
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.family_parity.common import Case, Cases, mapped, noise, under


def _pooled(network: nn.Module, content: dict[str, Any], size: int = 224) -> Case:
    return network, content, lambda net, x: {"gap": net(x)}, size


def _last_map(network: Any, images: Tensor) -> dict[str, Tensor]:
    stem = network.maxpool(network.bn1(network.conv1(images)).relu())
    return mapped(network.layer4(network.layer3(network.layer2(network.layer1(stem)))))


def byol() -> Case:
    module = importlib.import_module("resnet")
    network = noise(module.resnet50())

    def say(net: Any, images: Tensor) -> dict[str, Tensor]:
        x = net.relu(net.bn1(net.conv1(module.pad_same(images, net.conv1))))
        x = net.maxpool(module.pad_same(x, net.maxpool))
        return mapped(net.layer4(net.layer3(net.layer2(net.layer1(x)))))

    return network, network.state_dict(), say, 224


def simclr() -> Case:
    network = noise(importlib.import_module("resnet_wider").resnet50x2())
    state = network.state_dict()
    network.fc, network.maxpool = nn.Identity(), _tensorflow_pooling()
    return _pooled(network, {"state_dict": state}, 96)


def simclrv2(ratio: float) -> Case:
    network = noise(importlib.import_module("resnet").get_resnet(50, 1, ratio)[0])
    network.net[0][-1] = _tensorflow_pooling()
    if ratio:
        network.net[1].blocks[0].projection.shortcut[0] = nn.ReplicationPad2d((0, 1, 0, 1))
    return network, {"resnet": network.state_dict(), "head": {}}, lambda net, x: mapped(net.net(x)), 224


def _tensorflow_pooling() -> nn.Module:
    return nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.MaxPool2d(3, stride=2))


def pycontrast() -> Case:
    network = noise(importlib.import_module("networks.build_backbone").RGBMultiHeads("resnet50", "mlp"))
    content = {"model": under("module.", network.state_dict()), "opt": None}
    return network, content, lambda net, x: {"gap": net(x, mode=2)}, 224


def supcon() -> Case:
    network = noise(importlib.import_module("networks.resnet_big").SupConResNet("resnet18"))
    state = {key.replace("encoder.", "encoder.module.", 1): tensor for key, tensor in network.state_dict().items()}
    return network, {"model": state}, lambda net, x: {"gap": net.encoder(x)}, 32


def pixpro() -> Case:
    network = noise(importlib.import_module("contrast.resnet").resnet50(head_type="early_return"))
    state = under("module.encoder.", network.state_dict())
    decoy = {key.replace("encoder", "encoder_k"): tensor + 1 for key, tensor in state.items()}
    return network, {"model": state | decoy}, lambda net, x: mapped(net(x)), 224


def obow() -> Case:
    network = noise(importlib.import_module("obow.feature_extractor").ResNet("resnet50"))
    return network, {"network": network.state_dict()}, lambda net, x: mapped(net(x, ["block4"])), 224


def lemniscate() -> Case:
    network = noise(importlib.import_module("models.resnet").resnet18(low_dim=128))
    state = under("module.", network.state_dict())
    return network, {"state_dict": state, "lemniscate": None}, _last_map, 224


def lightly() -> Case:
    network = noise(_from_file("lightly/models/resnet.py").ResNetGenerator("resnet-18"))
    numbered = nn.Sequential(*list(network.children())[:-1])
    network.maxpool = nn.Identity()
    return network, {"state_dict": under("backbone.", numbered.state_dict())}, _last_map, 32


def scan() -> Case:
    network = noise(importlib.import_module("models.resnet_cifar").resnet18()["backbone"])
    return _pooled(network, under("backbone.", network.state_dict()), 32)


def relational() -> Case:
    module = _from_file("backbones/resnet_large.py")
    network = noise(module.ResNet(module.BasicBlock, [3, 4, 6, 3]))
    return network, {"backbone": network.state_dict(), "relation": {}}, _last_map, 224


def relational_small() -> Case:
    module = _from_file("backbones/resnet_small.py")
    network = noise(module.ResNet(module.BasicBlock, [5, 5, 5]))
    return _pooled(network, {"backbone": network.state_dict(), "relation": {}}, 32)


def crw() -> Case:
    network = importlib.import_module("resnet").resnet18()
    network.modify(padding="reflect")
    network.modify(remove_layers=["layer4"])
    network = noise(network)
    whole = importlib.import_module("torchvision").models.resnet18().state_dict()
    state = {key: tensor for key, tensor in whole.items() if key.startswith("layer4.")} | network.state_dict()
    return network, {"model": under("encoder.model.", state)}, lambda net, x: mapped(net(x)), 224


def espnet() -> Case:
    network = importlib.import_module("Model").ESPNet_Encoder(20, 2, 8)
    file = torch.load(Path(sys.path[0]).parent / "pretrained/encoder/espnet_p_2_q_8.pth", map_location="cpu")
    network.load_state_dict(file)
    network.classifier = nn.Identity()
    return network.eval(), file, lambda net, x: mapped(net(x)), 224


def vissl_alexnet(name: str, file: str) -> Case:
    trunk = getattr(_from_file(f"vissl/models/trunks/{file}.py", stubbed=True), name)
    network = noise(trunk(types.SimpleNamespace(INPUT_TYPE="lab"), ""))

    def say(net: Any, images: Tensor) -> dict[str, Tensor]:
        x = images[:, :1] if "Color" in name else net.sobel(images) if hasattr(net, "sobel") else images
        for block in list(net._feature_blocks)[:7]:
            x = block(x)
        return mapped(x)

    return network, _trunk(network), say, 227


def vissl_colorization() -> Case:
    trunk = _from_file("vissl/models/trunks/resnext.py", stubbed=True)
    given = {"DEPTH": 50, "WIDTH_MULTIPLIER": 1, "GROUPS": 1, "ZERO_INIT_RESIDUAL": False, "WIDTH_PER_GROUP": 64}
    nets = types.SimpleNamespace(**given, LAYER4_STRIDE=1)
    checkpointing = {"USE_ACTIVATION_CHECKPOINTING": False, "NUM_ACTIVATION_CHECKPOINTING_SPLITS": 0}
    config = types.SimpleNamespace(
        ACTIVATION_CHECKPOINTING=types.SimpleNamespace(**checkpointing),
        TRUNK=types.SimpleNamespace(RESNETS=nets),
        INPUT_TYPE="lab",
    )
    network = noise(trunk.ResNeXt(config, ""))

    def say(net: Any, images: Tensor) -> dict[str, Tensor]:
        x = images[:, :1]
        for block in list(net._feature_blocks.values())[:8]:
            x = block(x)
        return mapped(x)

    return network, _trunk(network), say, 224


def _trunk(network: nn.Module) -> dict[str, Any]:
    return {"classy_state_dict": {"base_model": {"model": {"trunk": network.state_dict(), "heads": {}}}}}


def _from_file(path: str, *, stubbed: bool = False) -> Any:
    """Import one file of a clone, whose package would bring more; `stubbed` without VISSL's registry and helpers."""
    if stubbed:
        names = ("vissl", "vissl.config", "vissl.data", "vissl.data.collators", "vissl.models", "vissl.models.trunks")
        names += ("vissl.data.collators.collator_helper", "vissl.models.model_helpers")
        for name in names:
            module: Any = types.ModuleType(name)
            module.__getattr__ = lambda attribute: nn.Identity
            module.register_model_trunk = lambda name: lambda trunk: trunk
            module._get_norm = lambda config: nn.BatchNorm2d
            sys.modules[name] = module
    spec = importlib.util.spec_from_file_location("authors_file", Path(sys.path[0]) / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CASES: Cases = [
    ("byol", "byol-convert", "ResNet-50, 224 px", byol),
    ("simclr", "simclr-converter", "ResNet-50 2x, 96 px", simclr),
    ("simclrv2", "SimCLRv2-Pytorch", "ResNet-50 1x without selective kernels, 224 px", lambda: simclrv2(0)),
    ("simclrv2", "SimCLRv2-Pytorch", "ResNet-50 1x with selective kernels, 224 px", lambda: simclrv2(0.0625)),
    ("resnet", "PyContrast/pycontrast", "ResNet-50 with a head for jigsaw, 224 px", pycontrast),
    ("resnet", "SupContrast", "ResNet-18 for small images, 32 px", supcon),
    ("resnet", "PixPro", "ResNet-50, 224 px", pixpro),
    ("resnet", "lemniscate", "ResNet-18, 224 px", lemniscate),
    ("resnet", "lightly", "ResNet-18 for small images, numbered, 32 px", lightly),
    ("resnet", "scan", "ResNet-18 for small images, 32 px", scan),
    ("resnet", "relational", "ResNet-34, 224 px", relational),
    ("cifar_resnet", "relational", "ResNet-32 with projected shortcuts, 32 px", relational_small),
    ("obow", "obow", "ResNet-50, 224 px", obow),
    ("crw", "videowalk/code", "ResNet-18 up to its third stage, 224 px", crw),
    ("espnet", "ESPNet/test", "ESPNet-C of 2 and 8 blocks, the released file, 224 px", espnet),
    *(
        ("vissl_alexnet", "vissl", f"AlexNet, {what}, 227 px", lambda name=name, file=file: vissl_alexnet(name, file))
        for what, name, file in (
            ("supervised", "AlexNetBvlc", "alexnet_bvlc"),
            ("jigsaw", "AlexNetJigsaw", "alexnet_jigsaw"),
            ("colorization", "AlexNetColorization", "alexnet_colorization"),
            ("DeepCluster", "AlexNetDeepCluster", "alexnet_deepcluster"),
            ("RotNet", "AlexNetRotNet", "alexnet_rotnet"),
        )
    ),
    ("vissl_colorization", "vissl", "ResNet-50, 224 px", vissl_colorization),
]
