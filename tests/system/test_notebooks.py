"""The notebooks: each runs from top to bottom, and lies in the repository without its outputs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from tests.conftest import ONE_THREAD, ROOT, clean_environment, write_photos

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TINY = {"SDG_SIZE": "32", "SDG_KIMG": "0.1", "SDG_COUNT": "20", "SDG_WIDTH": "2"}


def cells(path: Path, kind: str) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_is_stored_without_what_it_printed(path: Path) -> None:
    for cell in cells(path, "code"):
        assert (cell["outputs"], cell["execution_count"]) == ([], None)
    assert path.stat().st_size < 40_000


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_tells_before_each_cell_what_it_does_in_few_lines(path: Path) -> None:
    document = json.loads(path.read_text())["cells"]
    kinds = [cell["cell_type"] for cell in document]
    assert "code code" not in " ".join(kinds)
    assert max(len(source(cell).splitlines()) for cell in cells(path, "code")) <= 14


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_links_of_notebook_lead_to_files(path: Path) -> None:
    text = "\n".join(source(cell) for cell in cells(path, "markdown"))
    targets = re.findall(r"\]\(([^)]+)\)", text)
    assert targets
    assert [target for target in targets if not (path.parent / target).exists()] == []


def execute(path: Path, folder: Path, **settings: str) -> list[dict[str, Any]]:
    """Run a notebook as Jupyter does, in a folder beside nothing of ours; its cells with their outputs."""
    nbformat = pytest.importorskip("nbformat", reason="in the extra test")
    client = pytest.importorskip("nbclient", reason="in the extra test")
    pytest.importorskip("ipykernel", reason="in the extra test")
    notebook = nbformat.read(path, as_version=4)
    environment = clean_environment(**{**ONE_THREAD, **TINY, "IPYTHONDIR": str(folder / "ipython"), **settings})
    with mock.patch.dict("os.environ", environment, clear=True):
        client.NotebookClient(
            notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
        ).execute()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def said(done: list[dict[str, Any]]) -> str:
    """All that the cells printed, or gave as text."""
    outputs = [output for cell in done for output in cell["outputs"]]
    return "\n".join(output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in outputs)


def pictures(done: list[dict[str, Any]]) -> int:
    return sum("image/png" in output.get("data", {}) for cell in done for output in cell["outputs"])


def test_inference_loads_shows_saves_and_proves_that_both_runtimes_agree(trained: Path, tmp_path: Path) -> None:
    done = execute(
        ROOT / "notebooks/sdg-gan-inference.ipynb", tmp_path, SDG_OUT="out",
        SDG_WEIGHTS=str(trained / "generator_model.pth"),
    )  # fmt: skip
    assert "image 5 is the same: True" in said(done)
    assert "the same images: True" in said(done)
    assert "20 images made now, 20 in out/run" in said(done)
    difference = re.search(r"largest difference, in gray values from 0 to 255: (\d+)", said(done))
    assert difference
    assert int(difference[1]) <= 1
    assert pictures(done) == 5
    assert len(list((tmp_path / "out/run/images/00000").glob("*.png"))) == 20


@pytest.mark.long
def test_inference_trains_where_no_weights_are_named(tmp_path: Path) -> None:
    done = execute(ROOT / "notebooks/sdg-gan-inference.ipynb", tmp_path, SDG_OUT="out")
    assert (tmp_path / "out/training/generator_model.pth").exists()
    assert pictures(done) == 5


@pytest.mark.long
@pytest.mark.parametrize("own", [False, True], ids=["stand-ins", "photos"])
def test_scratch_goes_from_photos_to_figures(own: bool, pools: Path, tmp_path: Path) -> None:
    mine = {"SDG_PHOTOS": str(write_photos(tmp_path / "mine", 48))} if own else {}
    done = execute(
        ROOT / "notebooks/sdg-scratch.ipynb", tmp_path, SDG_OUT="out", SDG_FEATURES=str(pools), SDG_KIMG="0.5", **mine
    )
    assert (tmp_path / "out/stand-ins").exists() is not own
    text = said(done)
    for name in ("usual", "without augment", "without r1_gamma", "photos (floor)"):
        assert re.search(rf"^{re.escape(name)} +KID x 1000: +-?\d", text, re.MULTILINE), name
    assert "CPUExecutionProvider" in text
    assert pictures(done) >= 8
    assert (tmp_path / "out/quality/report.html").exists()
    assert len(list((tmp_path / "out/synthetic/images/00000").glob("*.png"))) == 20
