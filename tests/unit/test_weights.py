from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from kinetophone.pipelines.model.config import DEBUG
from kinetophone.pipelines.weights.card import DEFAULT_CARD, card_names, read_card
from kinetophone.pipelines.weights.checkpoint import read_checkpoint, save_checkpoint
from kinetophone.pipelines.weights.load import load_models


def rewrite(source: Path, target: Path, change) -> Path:
    """A copy of a checkpoint with its tensors and metadata changed in place by `change`."""
    with safe_open(source, framework="pt") as file:
        metadata = dict(file.metadata())
    tensors = load_file(source)
    change(tensors, metadata)
    save_file(tensors, target, metadata)
    return target


def test_a_checkpoint_survives_saving(checkpoint: Path, networks) -> None:
    models = load_models(checkpoint)
    assert models.config == DEBUG and len(models.digest) == 64
    for name, weight in networks["dit"].state_dict().items():
        assert torch.allclose(models.dit.state_dict()[name].float(), weight, rtol=1e-2, atol=1e-3), name
    codec = networks["video"].codec
    assert torch.equal(models.video.codec.basis, codec.basis)


def test_the_shipped_card_names_a_shipped_file() -> None:
    assert card_names()[0] == DEFAULT_CARD
    card = read_card(DEFAULT_CARD)
    assert card.path.stat().st_size < 48e6
    assert read_checkpoint(card.path).licence == card.licence == "Apache-2.0"


def test_an_unknown_card_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="no model card 'maxi': choose one of mini"):
        load_models("maxi")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such file"):
        read_checkpoint(tmp_path / "a.safetensors")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.99])
def test_a_truncated_file_is_refused(checkpoint: Path, tmp_path: Path, share: float) -> None:
    data = checkpoint.read_bytes()
    path = tmp_path / "a.safetensors"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ValueError, match="cut off"):
        read_checkpoint(path)


def test_a_pointer_instead_of_weights_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n")
    with pytest.raises(ValueError, match="LFS pointer"):
        read_checkpoint(path)


def test_foreign_weights_are_refused(tmp_path: Path) -> None:
    save_file({"model.diffusion_model.x": torch.zeros(2)}, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match="not a Kinetophone checkpoint"):
        read_checkpoint(tmp_path / "a.safetensors")


def test_one_changed_number_is_noticed(checkpoint: Path, tmp_path: Path) -> None:
    def change(tensors: dict, metadata: dict) -> None:
        tensors["dit.modality"].view(-1)[3] += 1

    with pytest.raises(ValueError, match="damaged"):
        read_checkpoint(rewrite(checkpoint, tmp_path / "a.safetensors", change))


def test_weights_of_another_shape_are_refused(tmp_path: Path, networks) -> None:
    tensors = {f"{part}.{k}": v for part, n in networks.items() for k, v in n.state_dict().items()}
    tensors["dit.modality"] = torch.zeros(2, 7)
    save_checkpoint(tmp_path / "a.safetensors", DEBUG, (), tensors, licence="x", metrics={})
    with pytest.raises(ValueError, match="do not fit the configuration"):
        load_models(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    ("key", "value"), [("config", "{"), ("config", '{"name": "x", "colour": 1}'), ("config", "[]"), ("words", "3")]
)
def test_bad_metadata_is_refused(checkpoint: Path, tmp_path: Path, key: str, value: str) -> None:
    path = rewrite(checkpoint, tmp_path / "a.safetensors", lambda tensors, metadata: metadata.update({key: value}))
    with pytest.raises(ValueError, match="no valid configuration"):
        read_checkpoint(path)


def test_weights_beyond_half_precision_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"dit\.a exceeds"):
        save_checkpoint(tmp_path / "a", DEBUG, (), {"dit.a": torch.full((2,), 1e6)}, licence="x", metrics={})
    assert list(tmp_path.iterdir()) == []
