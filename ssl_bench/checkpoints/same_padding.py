"""Layers that pad as TensorFlow and JAX do under the name SAME: as little as needed, and the odd row behind the image.

A map of n places and a stride s has ceil(n / s) places behind the layer; a kernel k needs max((ceil(n / s) - 1) s + k -
n, 0) more, the half of which, rounded down, lies before the first. For even n, k = 3 and s = 2 that is 0 before and 1
behind, where torch's padding=1 shifts all windows by one.
"""

from __future__ import annotations

from typing import TypeVar

from torch import Tensor, nn
from torch.nn import functional

Network = TypeVar("Network", bound=nn.Module)


class SameConv2d(nn.Conv2d):
    """A square convolution without dilation: maps (n, in, height, width) to (n, out, ceil(height / stride), …)."""

    def forward(self, images: Tensor) -> Tensor:
        padded = functional.pad(images, _padding(images, self.kernel_size[0], self.stride[0]))
        return functional.conv2d(padded, self.weight, self.bias, self.stride, groups=self.groups)


class SameMaxPool2d(nn.Module):
    """The largest value of every window; padding is never the largest."""

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, images: Tensor) -> Tensor:
        padding = _padding(images, self.kernel, self.stride)
        return functional.max_pool2d(functional.pad(images, padding, value=-float("inf")), self.kernel, self.stride)


def pad_same(network: Network) -> Network:
    """Let every strided convolution and every pooling of maxima pad SAME; return the network itself."""
    for parent in list(network.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, nn.Conv2d) and layer.kernel_size[0] > 1 and layer.stride[0] > 1:
                outputs, inputs, kernel = layer.out_channels, layer.in_channels, layer.kernel_size[0]
                bias = layer.bias is not None
                same = SameConv2d(inputs, outputs, kernel, layer.stride[0], groups=layer.groups, bias=bias)
                setattr(parent, name, same)
            elif isinstance(layer, nn.MaxPool2d):
                assert isinstance(layer.kernel_size, int)
                assert isinstance(layer.stride, int)
                setattr(parent, name, SameMaxPool2d(layer.kernel_size, layer.stride))
    return network


def _padding(images: Tensor, kernel: int, stride: int) -> tuple[int, int, int, int]:
    """Return the rows to add on the left, right, top and bottom."""
    height, width = (_before_and_behind(side, kernel, stride) for side in images.shape[-2:])
    return (*width, *height)


def _before_and_behind(side: int, kernel: int, stride: int) -> tuple[int, int]:
    more = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    return more // 2, more - more // 2
