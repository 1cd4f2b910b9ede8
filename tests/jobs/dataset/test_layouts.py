"""Layout 2, images below images/ and nothing else there; and runs of layout 1, which are still looked after."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from jobs.checks.repair import regen
from jobs.checks.status import status
from jobs.checks.verify import verify
from jobs.dataset.naming import siblings
from jobs.dataset.pruning import RunSeries, prune
from tests.conftest import fails_in_one_line, run_in_process
from tests.jobs.conftest import batch, decoded, differing, rows_of, stamps, succeeds

pytestmark = pytest.mark.usefixtures("workers_here")

# Layout 2


def test_nothing_but_images_is_below_images_and_no_image_of_the_run_elsewhere(finished: Path) -> None:
    below = {path.relative_to(finished).as_posix() for path in (finished / "images").rglob("*") if path.is_file()}
    assert below == {row.file_name for row in rows_of(finished)}
    assert json.loads((finished / "run.json").read_text())["fingerprint"]["layout"] == 2


def test_torchvision_loads_a_finished_run_with_its_shards_as_classes(finished: Path) -> None:
    from torchvision.datasets import ImageFolder

    dataset = ImageFolder(str(finished / "images"))
    assert dataset.classes == ["00000", "00001"]
    assert len(dataset) == 130
    image, shard = dataset[105]
    expected = decoded((finished / "images" / "00001" / "00000105.png").read_bytes())
    assert shard == 1
    np.testing.assert_array_equal(np.asarray(image)[..., :1], expected)


def test_hugging_face_loads_a_finished_run_and_no_contact_sheet(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (
        ("HF_HUB_OFFLINE", "1"),
        ("HF_HOME", str(tmp_path)),
        ("HF_DATASETS_DISABLE_PROGRESS_BARS", "1"),
    ):
        monkeypatch.setenv(name, value)
    datasets = pytest.importorskip("datasets", reason="in the extra test")
    folder = str(finished / "images")
    found = datasets.load_dataset("imagefolder", data_dir=folder, split="train", cache_dir=str(tmp_path))
    assert found.num_rows == 130
    assert {image.size for image in found["image"]} == {(128, 128)}
    expected = decoded((finished / "images" / "00001" / "00000105.png").read_bytes())
    np.testing.assert_array_equal(np.asarray(found[105]["image"])[:, :, None], expected)


def test_run_of_a_later_layout_is_left_alone(finished: Path, model: Path, tmp_path: Path) -> None:
    out = shutil.copytree(finished, tmp_path / "run")
    (out / "run.json").write_text((out / "run.json").read_text().replace('"layout": 2', '"layout": 3'))
    before = stamps(out)
    for command in (["gan-batch", "verify", out], ["gan-batch", "finish", out], batch(model, out, 130)):
        fails_in_one_line(run_in_process(*command), 78, "layout 3", "later version")
    assert stamps(out) == before


# Layout 1


def to_layout_1(out: Path) -> Path:
    """Change a run into what gan-batch left before layout 2."""
    for path in list((out / "images").iterdir()):
        path.rename(out / path.name)
    (out / "images").rmdir()
    for table in (*out.glob("_manifests/*.csv"), out / "manifest.csv"):
        table.write_bytes(table.read_bytes().replace(b",images/", b","))
    state = json.loads((out / "run.json").read_text())
    del state["fingerprint"]["layout"]
    (out / "run.json").write_text(json.dumps(state, indent=2) + "\n")
    return out


@pytest.fixture(scope="module", params=["png", "tar"])
def unchanged(
    request: pytest.FixtureRequest, finished: Path, model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A complete run of layout 1; tests must not change it."""
    out = tmp_path_factory.mktemp("old") / "run"
    if request.param == "png":
        shutil.copytree(finished, out)
    else:
        succeeds(run_in_process(*batch(model, out, 130, "--shard-size", "100", "--format", "tar")))
    return to_layout_1(out)


@pytest.fixture
def old(unchanged: Path, tmp_path: Path) -> Path:
    """The same, for a test to change."""
    return shutil.copytree(unchanged, tmp_path / "run")


def test_complete_run_of_layout_1_is_right_and_is_left_as_it_is(old: Path, unchanged: Path, model: Path) -> None:
    before = stamps(old)
    assert list(verify(old)) == []
    assert (status(old).state, status(old).committed) == ("complete", 130)
    assert regen(old, 105, model).same is True
    for command in (batch(model, old, 130), batch(model, old, 50), ["gan-batch", "finish", old]):
        succeeds(run_in_process(*command))
    assert stamps(old) == before


def test_run_of_layout_1_is_published(old: Path, model: Path, tmp_path: Path) -> None:
    succeeds(run_in_process(*batch(model, old, 130, "--latest", str(tmp_path / "latest"))))
    assert (tmp_path / "latest").resolve() == old


@pytest.mark.parametrize("more", [["--count", "131"], ["--append", "5"]], ids=str)
def test_run_of_layout_1_is_not_extended(more: list[str], old: Path, model: Path) -> None:
    before = stamps(old)
    result = run_in_process("gan-batch", "--model", model, "--out", old, "--device", "cpu", *more)
    fails_in_one_line(result, 78, "layout 1", "images/")
    assert stamps(old) == before


def delete_a_manifest(out: Path) -> None:
    (out / "_manifests" / "00001.csv").unlink()


def cut_off(out: Path) -> None:
    delete_a_manifest(out)
    (out / "run.json").write_text((out / "run.json").read_text().replace("complete", "running"))


def damage_an_image(out: Path) -> None:
    path = next(path for path in (out / "00001.tar", out / "00001" / "00000105.png") if path.is_file())
    path.write_bytes(path.read_bytes()[:3000])


@pytest.mark.parametrize("damage", [delete_a_manifest, damage_an_image])
def test_run_of_layout_1_is_repaired(damage: Callable[[Path], object], old: Path, unchanged: Path, model: Path) -> None:
    damage(old)
    assert list(verify(old)) != []
    succeeds(run_in_process("gan-batch", "verify", old, "--repair", "--model", model))
    assert differing(old, unchanged) == []


def test_run_of_layout_1_that_was_cut_off_is_not_gone_on_with(old: Path, model: Path) -> None:
    cut_off(old)
    before = stamps(old)
    fails_in_one_line(run_in_process(*batch(model, old, 130)), 78, "layout 1", "images/")
    fails_in_one_line(run_in_process("gan-batch", "finish", old), 66, "1 of 2 shards")
    assert stamps(old) == before


def test_run_of_layout_1_whose_shards_are_all_there_is_finished(old: Path, unchanged: Path, model: Path) -> None:
    (old / "run.json").write_text((old / "run.json").read_text().replace("complete", "running"))
    (old / "manifest.csv").unlink()
    succeeds(run_in_process("gan-batch", "finish", old))
    assert differing(old, unchanged) == []


def test_old_run_of_layout_1_is_removed_whole_where_it_has_a_line(old: Path, finished: Path, tmp_path: Path) -> None:
    before, new = shutil.copytree(old, tmp_path / "2026-11-21"), shutil.copytree(finished, tmp_path / "2026-11-22")
    names = siblings(new)
    assert names is not None
    series = RunSeries(names, "generator.onnx")
    content = json.loads((before / "run.json").read_text())
    (before / "run.json").write_text(json.dumps({name: value for name, value in content.items() if name != "line"}))
    assert prune(new, 1, None, series) == []
    (before / "run.json").write_text(json.dumps({**content, "line": "generator.onnx"}))
    assert prune(new, 1, None, series) == [before]
    assert not before.exists()
