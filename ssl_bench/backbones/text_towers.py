"""Text towers of https://github.com/huggingface/transformers: texts to vectors in the space that images share.

What differs between the models is how they were taught to read. CLIP and AltCLIP pad texts to the longest and are told
what is padding. SigLIP is not: it was trained on 64 tokens, padding among them, in lower case, and says something else
of a text that is padded to less or written in capitals (transformers' documentation; google-research/big_vision,
SigLIP 2). So here its texts are always padded to the whole length and lowered, whatever the tokenizer's files say.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from ssl_bench.errors import MissingError

TYPES: Mapping[str, str] = {"altclip": "longest", "clip": "longest", "siglip": "max_length"}
"""Model type of both towers together → how its texts are padded."""
FILES = ("tokenizer", "vocab", "merges", "special_tokens_map", "added_tokens", "spiece", "sentencepiece")
"""How the names of a tokenizer's files begin."""
TEXTS = 256
"""Texts that pass the tower at a time."""


class Towers:
    """A model of images and texts, of which the image tower is used by itself."""

    def __init__(self, model: nn.Module, folder: Path, name: str) -> None:
        self.model: Any = model.eval().requires_grad_(False)
        self.folder, self.name = folder, name

    def project(self, pooled: Tensor) -> Tensor:
        """Return the image tower's pooled vectors (images, dim) in the space that is shared with texts."""
        projection = getattr(self.model, "visual_projection", None)
        return pooled if projection is None else projection(pooled)

    @torch.inference_mode()
    def texts(self, texts: Sequence[str], device: torch.device) -> Tensor:
        """Return the vectors (texts, dim) of texts; raise MissingError where the tokenizer is not in the folder."""
        model, said = self.model.to(device), self._tokenizer()
        parts = []
        for start in range(0, len(texts), TEXTS):
            tokens = said([self._read(text) for text in texts[start : start + TEXTS]], **self._lengths(said))
            parts.append(model.get_text_features(**self._given(tokens).to(device)).pooler_output)
        return torch.cat(parts)

    def arch(self) -> dict[str, Any]:
        """Return what causes a text's vector besides the tensors: the configuration and the tokenizer's files."""
        return {"config": self.model.config.text_config.to_diff_dict(), "tokenizer": self._digest()}

    def _read(self, text: str) -> str:
        return text.lower() if self.model.config.model_type == "siglip" else text

    def _lengths(self, tokenizer: Any) -> dict[str, Any]:
        """Return how texts are cut and padded."""
        text = self.model.config.text_config
        most = text.max_position_embeddings
        if self.model.config.model_type == "altclip":  # RoBERTa counts positions from the one after padding's
            most -= text.pad_token_id + 1
        padding = TYPES[self.model.config.model_type]
        most = most if padding == "max_length" else min(most, tokenizer.model_max_length)
        return {"padding": padding, "truncation": True, "max_length": most, "return_tensors": "pt"}

    def _given(self, tokens: Any) -> Any:
        """Return what the tower is given; SigLIP attends to padding, since it was trained so."""
        known = ("input_ids",) if self.model.config.model_type == "siglip" else ("input_ids", "attention_mask")
        return transformers.BatchEncoding({name: tokens[name] for name in known})

    def _tokenizer(self) -> Any:
        if not self._files():
            raise MissingError(
                f"{self.name}: there is no tokenizer in {self.folder}, so no text can be read; put the files of the "
                f"model's repository there that begin with {', '.join(FILES[:3])}, or fetch the model again"
            )
        try:
            return transformers.AutoTokenizer.from_pretrained(
                str(self.folder), local_files_only=True, trust_remote_code=False
            )
        except (OSError, ValueError, ImportError, KeyError) as error:
            why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise MissingError(f"{self.name}: the tokenizer in {self.folder} cannot be used: {why}") from error

    def _files(self) -> list[Path]:
        return sorted(path for path in self.folder.iterdir() if path.name.startswith(FILES) and path.is_file())

    def _digest(self) -> str:
        """Return the sha256 (hex) over the names and contents of the tokenizer's files."""
        total = hashlib.sha256()
        for path in self._files():
            total.update(f"{path.name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
        return total.hexdigest()
