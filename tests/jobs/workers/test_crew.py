"""What is known of a run's workers: all must have the same session."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.dataset.formats import Folders
from jobs.dataset.state import SessionFacts
from jobs.workers.crew import Crew, Order
from models.errors import CommandError

FACTS = SessionFacts("0" * 64, 8, 32, 32, 1, "CPUExecutionProvider", "as asked", "1.31.1", 900)


@pytest.mark.parametrize(
    ("other", "code", "words"),
    [
        ({"provider": "CUDAExecutionProvider"}, 69, "CUDAExecutionProvider"),
        ({"onnxruntime": "1.20.1"}, 78, "1.20.1"),
        ({"model_sha256": "1" * 64}, 78, "changed"),
    ],
)
def test_worker_that_differs_is_refused_with_its_node(other: dict[str, str], code: int, words: str) -> None:
    crew = Crew(Order(Path("generator.onnx"), "cpu", "run", 0, Folders("images")))
    crew.agree(FACTS, "one")
    crew.agree(FACTS, "two")
    with pytest.raises(CommandError, match=words) as caught:
        crew.agree(SessionFacts(**{**vars(FACTS), **other}), "three")
    assert caught.value.exit_code == code
    if "model_sha256" not in other:
        assert "three" in str(caught.value)
