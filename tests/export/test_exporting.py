"""`export_file`: what the command does is done for a caller in Python, too."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest

from export import export_file
from export.facts import read_facts
from models.errors import CommandError, ExitCode

pytestmark = pytest.mark.filterwarnings("ignore")  # torch.onnx warns its own developers


@pytest.fixture
def ours(trained: Path, tmp_path: Path) -> Path:
    """A generator of gan-train and what is known of its training, for a test to change."""
    for name in ("generator_model.pth", "training_options.json"):
        shutil.copy(trained / name, tmp_path)
    return tmp_path / "generator_model.pth"


@pytest.mark.parametrize("to", ["onnx", "torch"])
def test_file_says_how_its_weights_were_trained_and_faults_are_warned_of(
    ours: Path, to: str, caplog: pytest.LogCaptureFixture
) -> None:
    known = ours.with_name("training_options.json")
    options = json.loads(known.read_text())
    options["figures"] = {**(options.get("figures") or {}), "faults": ["all its images are one"]}
    known.write_text(json.dumps(options))
    out = ours.with_name("g.onnx" if to == "onnx" else "g.pt2")
    with caplog.at_level(logging.WARNING):
        report = export_file(ours, out, to, batch_check=(1, 2))
    assert report.faults() == []
    info, _ = read_facts(out)
    assert info.training == options
    assert "all its images are one" in caplog.text


def test_photos_are_left_out_of_the_file_where_asked(ours: Path) -> None:
    known = json.loads(ours.with_name("training_options.json").read_text())
    assert known["photos"]["trained_on"]["looks"]
    export_file(ours, ours.with_name("g.onnx"), photos=False, batch_check=(1, 2))
    info, _ = read_facts(ours.with_name("g.onnx"))
    assert info.training == {name: value for name, value in known.items() if name != "photos"}


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"activation": "elu", "bn_eps": 1e-3}, ExitCode.USAGE, "`activation`, `bn_eps`"),
        ({"to": "onyx"}, ExitCode.USAGE, "`to` is one of onnx, torch"),
        ({"out": "generator_model.pth"}, ExitCode.USAGE, "`out` is `model` itself"),
        ({"out": "training_options.json"}, ExitCode.CANNOT_WRITE, "`overwrite=True`"),
        ({"model": "none.pth"}, ExitCode.NO_INPUT, "none.pth"),
    ],
    ids=str,
)
def test_what_the_command_refuses_is_refused(
    ours: Path, changes: dict[str, object], code: ExitCode, words: str
) -> None:
    before = sorted(path.name for path in ours.parent.iterdir())
    given = {"model": ours.name, "out": "g.onnx", **changes}
    model, out = (ours.with_name(str(given.pop(name))) for name in ("model", "out"))
    with pytest.raises(CommandError, match=words) as error:
        export_file(model, out, **given)  # type: ignore[arg-type]  # values of all kinds
    assert error.value.exit_code is code
    assert sorted(path.name for path in ours.parent.iterdir()) == before
