"""Text towers of transformers, on tiny random models: their vectors, how texts are read, and a whole zero-shot run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ssl_bench import backbones, model_zoo
from ssl_bench.backbones.base import LoadContext
from ssl_bench.errors import MissingError, UsageError
from ssl_bench.results.store import Results
from tests.backbones.test_huggingface import VIT, load, network, save, seen
from tests.cli.conftest import Command, command
from tests.cli.test_kinds import card
from tests.cli.test_run import images

__all__ = ["command"]
transformers = pytest.importorskip("transformers")
TEXT = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 16}
WORDS = ("<pad>", "<unk>", "</s>", "a", "photo", "of", "bright", "dark", "Bright", ".")
KINDS = {"CLIP": {}, "Siglip": {}, "AltCLIP": {"project_dim": 16}}


def towers(kind: str, seed: int = 0) -> Any:
    """Return an untrained model of images and texts with 12 places for tokens."""
    text = {**TEXT, **KINDS[kind], "pad_token_id": 0, "bos_token_id": 3, "eos_token_id": 2}
    text["max_position_embeddings"] = 13 if kind == "AltCLIP" else 12
    torch.manual_seed(seed)
    options = {} if kind == "Siglip" else {"projection_dim": 8}
    config = getattr(transformers, f"{kind}Config")(vision_config=VIT, text_config=text, **options)
    return getattr(transformers, f"{kind}Model")(config).eval()


def speak(folder: Path) -> Any:
    """Put a tokenizer of a few words into the folder, which knows capitals, and return it."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    made = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 2)])
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token="<unk>", pad_token="<pad>", eos_token="</s>", model_max_length=12
    )
    tokenizer.save_pretrained(folder)
    return tokenizer


@pytest.mark.parametrize("kind", KINDS)
def test_parity_with_transformers(kind: str, tmp_path: Path) -> None:
    """Texts and images give what the model's own get_text_features and get_image_features give, for texts of several
    lengths together and longer ones than the tower takes."""
    net = towers(kind)
    backbone = load(save(tmp_path / "net", net))
    tokenizer = speak(tmp_path / "net")
    texts = ["a photo of a dark .", "bright", "a " * 40]
    padding = "max_length" if kind == "Siglip" else "longest"
    tokens = tokenizer(texts, padding=padding, truncation=True, max_length=12, return_tensors="pt")
    if kind == "Siglip":
        tokens.pop("attention_mask")
    tokens.pop("token_type_ids", None)
    with torch.inference_mode():
        wanted, pictures = net.get_text_features(**tokens).pooler_output, net.get_image_features(seen()).pooler_output
    torch.testing.assert_close(backbone.texts(texts), wanted, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(backbone.forward(seen(), "proj").pooled, pictures, atol=1e-5, rtol=1e-4)
    assert backbone.texts(texts).shape[1] == pictures.shape[1]
    alone = torch.cat([backbone.texts([text]) for text in texts])
    torch.testing.assert_close(alone, wanted, atol=1e-5, rtol=1e-4)


def test_siglip_reads_lower_case_and_padding(tmp_path: Path) -> None:
    """SigLIP's texts are lowered and padded to the whole length: the trap gives other vectors."""
    net = towers("Siglip")
    backbone = load(save(tmp_path / "net", net))
    tokenizer = speak(tmp_path / "net")
    torch.testing.assert_close(backbone.texts(["A Bright photo"]), backbone.texts(["a bright photo"]))
    short = tokenizer(["a bright photo"], return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        trap = net.get_text_features(input_ids=short).pooler_output
    assert not torch.allclose(backbone.texts(["a bright photo"]), trap, atol=1e-3)


def test_clip_leaves_case_to_its_tokenizer(tmp_path: Path) -> None:
    """What a tokenizer tells apart is told apart for the other models."""
    backbone = load(save(tmp_path / "net", towers("CLIP")))
    speak(tmp_path / "net")
    assert not torch.allclose(backbone.texts(["Bright"]), backbone.texts(["bright"]))


def test_what_is_not_there(tmp_path: Path) -> None:
    """A folder without a tokenizer and a model without a text tower say so in a line each."""
    with pytest.raises(MissingError, match="there is no tokenizer in"):
        load(save(tmp_path / "two", towers("CLIP"))).texts(["a"])
    with pytest.raises(UsageError, match="no text tower"):
        load(save(tmp_path / "one", network("vit"))).texts(["a"])


def test_both_towers_and_the_tokenizer_are_in_the_identity(tmp_path: Path) -> None:
    """Another text tower is another model, and so is another tokenizer."""
    one, two = towers("CLIP"), towers("CLIP", seed=1)
    two.vision_model.load_state_dict(one.vision_model.state_dict())
    first, second = load(save(tmp_path / "one", one)), load(save(tmp_path / "two", two))
    assert first.weights_digest() != second.weights_digest()
    before = first.arch()
    speak(tmp_path / "one")
    assert load(tmp_path / "one").arch() != before


def test_an_untrained_control_speaks_too(tmp_path: Path) -> None:
    """The control gives the texts of the untrained towers, the same every time and not the trained ones."""
    folder = save(tmp_path / "net", towers("CLIP", seed=5))
    speak(folder)
    (tmp_path / "two.toml").write_text(f'title = "Two"\nadapter = "huggingface"\n[weights]\nname = "{folder}"\n')
    control = model_zoo.get(f"random:{tmp_path / 'two.toml'}")
    context = LoadContext(load_card=model_zoo.get)
    one, two = (backbones.load(control, context).texts(["a photo"]) for _ in range(2))
    torch.testing.assert_close(one, two)
    assert not torch.allclose(one, load(folder).texts(["a photo"]), atol=1e-3)


def test_zero_shot_through_the_command_line(command: Command, tmp_path: Path) -> None:
    """A model of transformers names the classes that folders name."""
    card(images(tmp_path / "noise", per_class=4))
    folder = save(tmp_path / "net", towers("Siglip"))
    speak(folder)
    said = command("run", "-m", f"hf:{folder}", "-t", "noise", "-p", "zero_shot", "--shelf", ".")
    assert said.code == 0, said.err
    (record,) = Results(Path("results")).records()
    assert record.protocol.selected["class_names"] == ["bright", "dark"]
    assert np.isfinite(record.headline.value)
