"""Too little memory, known before the first step."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from gan.photos.read import ImageSet
from gan.training.memory import step_bytes
from gan.training.run import train
from gan.training.trainer import Trainer
from models.errors import CommandError, ExitCode, free_memory
from tests.conftest import TINY, fails_in_one_line
from tests.gan.conftest import same, tiny

Train = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize("large", [("--batch-size", "65536", "--g-width", "64"), ("--g-width", "9000")], ids=" ".join)
@pytest.mark.parametrize("dry", [("--dry-run",), ()], ids=["dry run", "run"])
def test_what_cannot_fit_is_69_with_what_is_needed_and_what_is_free(
    gan_train: Train, photos: Path, tmp_path: Path, large: tuple[str, ...], dry: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    # A batch for terabytes has networks that take half a minute to make: this one would fit into a large machine.
    monkeypatch.setattr("gan.training.memory.free_memory", lambda: min(free_memory(), 1 << 36))
    result = gan_train(photos, "--out", tmp_path / "out", "--device", "cpu", *TINY, *large, *dry)
    fails_in_one_line(
        result, 69, "not enough memory: at least", "iB are needed", "are free; take a smaller --batch-size"
    )


def test_what_is_free_decides(plates: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gan.training.memory.free_memory", lambda: 1e5)
    with pytest.raises(CommandError, match=r"at least [\d.]+ KiB are needed, 97\.7 KiB are free") as error:
        train(plates, tmp_path / "out", tiny())
    assert error.value.exit_code is ExitCode.NO_DEVICE


@pytest.mark.parametrize("options", [{}, {"d_spectral_norm": True, "minibatch_stddev": True, "d_patches": True}])
def test_counting_changes_nothing(plates: ImageSet, options: dict[str, bool]) -> None:
    trainer = Trainer(plates.images, tiny(**options), torch.device("cpu"))
    trainer.train_step()
    before = {name: value.clone() for part in (trainer.g, trainer.d) for name, value in part.state_dict().items()}
    random = torch.get_rng_state()
    step_bytes(trainer.g, trainer.d, trainer.config, 8)
    after = {name: value for part in (trainer.g, trainer.d) for name, value in part.state_dict().items()}
    assert same(after, before)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(module.training for part in (trainer.g, trainer.d) for module in part.modules())


def test_a_step_needs_what_the_layers_give() -> None:
    images = torch.zeros((10, 1, 32, 32), dtype=torch.uint8)
    trainer = Trainer(images, tiny(), torch.device("cpu"))
    of_g = 2 * (8 * 4 * 4 + 4 * 8 * 8 + 2 * 16 * 16) + 2 * 32 * 32  # each convolution, and what comes after it
    of_d = 2 * 16 * 16 + 2 * 4 * 8 * 8 + 2 * 8 * 4 * 4 + 1
    assert step_bytes(trainer.g, trainer.d, trainer.config, 8) == 4 * 8 * (of_g + 2 * of_d)
