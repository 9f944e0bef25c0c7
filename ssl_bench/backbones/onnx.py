"""A network in an ONNX file: `weights.file`, run by onnxruntime; nothing in it is executed but ONNX's own operators.

Which tensor is the feature is never guessed: it is the file's first output unless [arch] says

- `output = "name"` or `output = 1`: an output, or any tensor inside the graph, such as the input of the classifier;
- `prefix_tokens = 1`: an output (images, tokens, dim) begins with so many tokens that are no patch.

Poolings: `output` for vectors; `gap` for maps (images, dim, height, width); `cls` and `patch_mean` for tokens.
ImageNet's mean and std are the default input, as no ONNX file states its own: set [input] for any other.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor

from ssl_bench.backbones.base import Backbone, Features, LoadContext, choose_pooling, missing_weights
from ssl_bench.errors import UsageError, did_you_mean
from ssl_bench.images import InputSpec
from ssl_bench.model_zoo import ModelCard

DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
"""Operators that onnxruntime itself brings; every other domain needs a library of the file's author."""
FLOATS: Mapping[str, Any] = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}
"""The kinds of input that normalised images can be given as."""
OPTIONS = ("output", "prefix_tokens")


def load(card: ModelCard, context: LoadContext) -> Backbone:
    """Return the file's network; raise UsageError for a file that is no ONNX model, or not whole in itself."""
    if context.untrained:
        raise UsageError(f"{card.name}: an ONNX file cannot be had untrained; name a card of another adapter")
    if context.weights_path is None:
        raise missing_weights(card, card.weights.url or "a local file; put it into the weights folder")
    for key in card.arch:
        if key not in OPTIONS:
            raise UsageError(f"{card.name}: unknown key {key!r} in [arch].{did_you_mean(key, OPTIONS)}")
    where = f"{card.name}: {context.weights_path}"
    try:
        model = onnx.load_model_from_string(context.weights_path.read_bytes())
    except Exception as error:  # protobuf's DecodeError, whose module differs between its versions
        raise UsageError(f"{where} is no whole ONNX file; download it again") from error
    check_safe(model, where)
    return OnnxBackbone(card, model, where)


class OnnxBackbone(Backbone):
    """A graph of ONNX operators."""

    library = f"onnxruntime {onnxruntime.__version__}"

    def __init__(self, card: ModelCard, model: Any, where: str) -> None:
        self._where = where
        self._output = choose_output(model, card.arch.get("output", 0), where)
        self._prefix = card.arch.get("prefix_tokens")
        self._model, self._sessions = model, dict[str, Any]()
        self._entry = _entry(self._session("cpu"), where)
        self.input = _input_of(card, self._entry.shape, where)
        self._layout_last = _channels_last(self._entry.shape)
        self.poolings = self._poolings_of(self._probe())
        self.default_pooling = choose_pooling(card, self.poolings, self.poolings[0])

    @torch.inference_mode()
    def forward(self, images: Tensor, pooling: str) -> Features:
        """Return the chosen tensor of the graph, pooled; where the file fixes its batch, in batches of that size."""
        found = self._run(images)
        if found.ndim == 2:
            return Features(found)
        if found.ndim == 4:
            return Features(found.mean((2, 3)), found)
        prefix = int(self._prefix or 0)
        return Features(found[:, 0] if pooling == "cls" else found[:, prefix:].mean(1), _grid(found[:, prefix:]))

    def arch(self) -> dict[str, Any]:
        """Return the digest of the graph without its initializers, and which tensor of it is the feature."""
        arch = {"class": "ONNX", "graph": graph_digest(self._model), "output": self._output}
        return arch if self._prefix is None else {**arch, "prefix_tokens": self._prefix}

    def weights_digest(self) -> str:
        """Return the sha256 (hex) over (name, type, shape, bytes) of the initializers, sorted by name."""
        total = hashlib.sha256()
        for item in sorted(self._model.graph.initializer, key=lambda item: str(item.name)):
            array = np.ascontiguousarray(onnx.numpy_helper.to_array(item))
            total.update(f"{item.name}\0{item.data_type}\0{array.shape}\0".encode())
            total.update(array.tobytes())
        return total.hexdigest()

    def parameter_count(self) -> int:
        """Return the number of values in the initializers of floating-point type."""
        kinds = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE, onnx.TensorProto.BFLOAT16)
        return sum(math.prod(item.dims) for item in self._model.graph.initializer if item.data_type in kinds)

    def _session(self, device: str) -> Any:
        """Return the session for a torch device; on the processor where onnxruntime has no provider for the device."""
        gpu = device == "cuda" and "CUDAExecutionProvider" in onnxruntime.get_available_providers()
        provider = "CUDAExecutionProvider" if gpu else "CPUExecutionProvider"
        if provider not in self._sessions:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = torch.get_num_threads()
            options.log_severity_level = 3
            try:  # from bytes, not from the path: the file then cannot make the runtime open other files
                self._sessions[provider] = onnxruntime.InferenceSession(
                    _with_output(self._model, self._output).SerializeToString(), options, providers=[provider]
                )
            except Exception as error:  # the runtime's errors have no common base besides this
                raise UsageError(f"{self._where}: onnxruntime cannot build it: {_first_line(error)}") from error
        return self._sessions[provider]

    def _run(self, images: Tensor) -> Tensor:
        """Return the chosen tensor, float32, for all images."""
        session, entry = self._session(images.device.type), self._entry
        given = (images.permute(0, 2, 3, 1) if self._layout_last else images).cpu().numpy().astype(FLOATS[entry.type])
        fixed = entry.shape[0] if isinstance(entry.shape[0], int) else len(given)
        parts = []
        for start in range(0, len(given), fixed):
            part = given[start : start + fixed]
            filled = np.concatenate([part, np.repeat(part[-1:], fixed - len(part), axis=0)])
            parts.append(self._call(session, np.ascontiguousarray(filled))[: len(part)])
        return torch.from_numpy(np.concatenate(parts).astype(np.float32)).to(images.device)

    def _call(self, session: Any, given: Any) -> Any:
        try:
            found = session.run([self._output], {self._entry.name: given})[0]
        except Exception as error:  # as above
            raise UsageError(f"{self._where}: onnxruntime cannot run it: {_first_line(error)}") from error
        if found.ndim not in (2, 3, 4) or len(found) != len(given):
            raise UsageError(
                f"{self._where}: {self._output!r} is {found.shape} for {len(given)} images; it must be (images, dim), "
                "(images, tokens, dim) or (images, dim, height, width). Name another tensor: arch.output"
            )
        return found

    def _probe(self) -> Tensor:
        channels = 1 if self.input.channels == "grey" else 3
        return self._run(torch.zeros(1, channels, *self.input.size))

    def _poolings_of(self, found: Tensor) -> tuple[str, ...]:
        if found.ndim != 3:
            return ("gap",) if found.ndim == 4 else ("output",)
        if not isinstance(self._prefix, int) or isinstance(self._prefix, bool):
            raise UsageError(
                f"{self._where}: {self._output!r} is {tuple(found.shape)}: say how many of its tokens come before the "
                "patches (cls, registers): arch.prefix_tokens, 0 for none"
            )
        return ("cls", "patch_mean") if self._prefix else ("patch_mean",)


def check_safe(model: Any, where: str) -> None:
    """Raise UsageError for a model that reads other files or needs operators that onnxruntime does not bring."""
    if not model.graph.node:
        raise UsageError(f"{where} is no ONNX model: it holds no graph")
    nodes = list(_nodes(model.graph.node)) + [node for f in model.functions for node in _nodes(f.node)]
    tensors = [*model.graph.initializer, *(tensor for node in nodes for tensor in _tensors(node))]
    outside = next((item for item in tensors if item.data_location == onnx.TensorProto.EXTERNAL), None)
    if outside is not None:
        raise UsageError(
            f"{where} keeps {outside.name or 'a tensor'} in another file. Make one file of them: "
            "onnx.save_model(onnx.load(path), new_path, save_as_external_data=False)"
        )
    known = {*DOMAINS, *(function.domain for function in model.functions)}
    foreign = next((node for node in nodes if node.domain not in known), None)
    if foreign is not None:
        raise UsageError(
            f"{where} needs the operator {foreign.domain}.{foreign.op_type}, which is not ONNX's own: running it would "
            "load a library of the file's author. Export the network without custom operators"
        )


def _nodes(nodes: Iterable[Any]) -> Iterator[Any]:
    """Give the nodes and, one after another, those of the graphs inside them (branches, loops)."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from _nodes(graph.node)


def _tensors(node: Any) -> Iterator[Any]:
    """Give the tensors that a node holds itself, those of the graphs inside it among them."""
    for attribute in node.attribute:
        yield from (attribute.t, *attribute.tensors, *attribute.g.initializer)
        yield from (tensor for graph in attribute.graphs for tensor in graph.initializer)


def choose_output(model: Any, wanted: object, where: str) -> str:
    """Return the name of the tensor that `arch.output` names or counts; raise UsageError where there is none."""
    outputs = [str(item.name) for item in model.graph.output]
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        if not 0 <= wanted < len(outputs):
            raise UsageError(f"{where}: arch.output = {wanted}, but it has {len(outputs)} outputs: {outputs}")
        return outputs[wanted]
    inside = [str(name) for node in model.graph.node for name in node.output if name]
    if wanted not in inside:
        raise UsageError(
            f"{where}: no tensor is called {wanted!r}.{did_you_mean(str(wanted), inside)} Outputs: {', '.join(outputs)}"
        )
    return str(wanted)


def graph_digest(model: Any) -> str:
    """Return the sha256 (hex) of everything that computes: nodes, functions and operator versions."""
    bare = onnx.ModelProto()
    bare.opset_import.extend(model.opset_import)
    bare.functions.extend(model.functions)
    bare.graph.node.extend(model.graph.node)
    for node in bare.graph.node:
        node.ClearField("doc_string")
        node.ClearField("metadata_props")
    return hashlib.sha256(bare.SerializeToString(deterministic=True)).hexdigest()


def _with_output(model: Any, name: str) -> Any:
    """Return the model with the tensor `name` among its outputs."""
    if name in [item.name for item in model.graph.output]:
        return model
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    changed.graph.output.append(onnx.ValueInfoProto(name=name))
    return changed


def _entry(session: Any, where: str) -> Any:
    """Return the description of the one input that takes images; raise UsageError where there is no such input."""
    entries = session.get_inputs()
    said = ", ".join(f"{entry.name} {entry.type} {entry.shape}" for entry in entries)
    if len(entries) != 1 or len(entries[0].shape) != 4 or entries[0].type not in FLOATS:
        raise UsageError(
            f"{where} must have one input of floating-point images (images, channels, height, width), not: {said}"
        )
    return entries[0]


def _channels_last(shape: list[Any]) -> bool:
    return shape[1] not in (1, 3) and shape[3] in (1, 3)


def _input_of(card: ModelCard, shape: list[Any], where: str) -> InputSpec:
    """Return the input with the size and channels that the file fixes; raise UsageError where the card differs."""
    last = _channels_last(shape)
    height, width, channels = (shape[1], shape[2], shape[3]) if last else (shape[2], shape[3], shape[1])
    fixed = isinstance(height, int) and isinstance(width, int)
    size = (height, width) if fixed else (224, 224)
    spec = InputSpec(size, resize_to=256 if size == (224, 224) else 0)
    if channels == 1 and card.input.channels is None and card.input.mean is None:
        raise UsageError(f"{where} takes one channel: set input.channels = 'grey', input.mean and input.std")
    spec = card.input.applied_to(spec)
    given = 1 if spec.channels == "grey" else 3
    if isinstance(channels, int) and channels != given:
        raise UsageError(f"{where} takes {channels} channels, but input.channels = {spec.channels!r} gives {given}")
    if fixed and spec.size != size:
        raise UsageError(f"{where} takes {height}x{width} pixels alone, but input.size says {spec.size}")
    return spec


def _grid(patches: Tensor) -> Tensor | None:
    """Return square patches (images, patches, dim) as (images, dim, height, width); None for any other number."""
    side = math.isqrt(patches.shape[1])
    if side * side != patches.shape[1]:
        return None
    return patches.transpose(1, 2).reshape(len(patches), -1, side, side)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
