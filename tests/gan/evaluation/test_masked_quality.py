"""`gan-eval quality` with masks: what is compared, what the page shows, what is asked for, and what is refused."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gan import Quality, Which, evaluate
from gan.evaluation import segmenter
from gan.evaluation.comparison import Sets, Sources, compare
from gan.evaluation.mask_page import outlined
from gan.evaluation.panels import IMAGES
from gan.evaluation.report import report_page
from gan.evaluation.summary import quality_json, table
from gan.evaluation.verdict import distrust, findings
from models.errors import CommandError, ExitCode
from tests.conftest import fails_in_one_line, run_in_process, write_photos
from tests.gan.evaluation.conftest import SMALL
from tests.gan.evaluation.pairs import drifted, pairs, write_pairs
from tests.jobs.small_models import write_model

MOST_STEPS = 3


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gan.evaluation.features.load_features", lambda name, device: SMALL)
    monkeypatch.setattr(segmenter, "STEPS", MOST_STEPS)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Photos held out and trained on, the masks of both in one folder, and a generator that gives masks."""
    root = tmp_path_factory.mktemp("pairs")
    masks = root / "masks"
    return {
        "real": write_pairs(root / "real", masks, pairs(24, 1)),
        "train": write_pairs(root / "train", masks, pairs(20, 2)),
        "masks": masks,
        "fake": write_model(root / "small.onnx", masks=0.7),
        "plain": write_model(root / "plain.onnx"),
    }


@pytest.fixture(scope="module")
def judged() -> tuple[Quality, Sets]:
    """Of pairs whose masks lie beside the defects."""
    sets = Sets(pairs(30, 1), drifted(pairs(70, 3)), pairs(30, 2))
    return compare(sets, Sources("real", "fake", "train"), SMALL, 0)[0], sets


def judge(folders: dict[str, Path], *names: str, **options: Any) -> Quality:
    given = {"train": folders["train"]} if "train" in names else {}
    which = {name: options.pop(name) for name in ("masks", "missing_masks") if name in options}
    which |= {"masks": folders["masks"]} if "masks" in names else {}
    return evaluate(folders["real"], folders["fake"], count=20, which=Which(**which), **given, **options)


def test_masks_of_a_generator_are_compared_where_those_of_the_photos_are_given(folders: dict[str, Path]) -> None:
    quality = judge(folders, "train", "masks")
    found = quality.masks
    assert found is not None
    assert found.defects > 20
    assert found.agreement is not None
    assert found.agreement.trained_on == "20 training photos"
    values = json.loads(quality_json(quality))["masks"]
    assert values["figures"]["area"]["photos"] == found.figures["area"].photos
    assert values["agreement"]["photos"]["pooled"] == found.agreement.photos.pooled


def test_segmenter_is_asked_where_training_photos_are_given_or_by_its_option(folders: dict[str, Path]) -> None:
    def asked(*names: str, **options: Any) -> bool:
        masks = judge(folders, *names, **options).masks
        assert masks is not None
        return masks.agreement is not None

    assert not asked("masks")
    assert asked("masks", segmenter=True)
    assert not asked("masks", "train", segmenter=False)


def test_without_masks_of_photos_one_line_says_which_option_would_judge(folders: dict[str, Path]) -> None:
    found = judge(folders)
    assert (found.has_masks, found.masks) == (True, None)
    assert "The masks of the images were not judged: that needs `masks`" in distrust(found)
    assert sum(line.startswith("masks ") and line.endswith("`masks`") for line in table(found).splitlines()) == 1
    plain = evaluate(folders["real"], folders["plain"], count=20)
    assert "masks" not in table(plain)


def test_masks_that_no_image_has_say_where_to_crop_and_the_report_says_so(folders: dict[str, Path]) -> None:
    found = evaluate(folders["real"], folders["plain"], count=20, which=Which(masks=folders["masks"]))
    assert found.masks is None
    assert "the images have no masks, so those of the photos only said where to crop" in found.notes


def test_photos_are_cropped_around_their_defect_where_masks_are_given(tmp_path: Path, folders: dict[str, Path]) -> None:
    real, masks = tmp_path / "real", tmp_path / "masks"
    masks.mkdir()
    write_photos(real, 20)
    for path in real.iterdir():
        wide = np.full((64, 160), 100, np.uint8)
        wide[:, 130:134] = 200
        Image.fromarray(wide).save(path)
        Image.fromarray(np.where(wide == 200, np.uint8(255), np.uint8(0))).save(masks / path.name)
    found = evaluate(real, folders["fake"], count=20, which=Which(masks=masks))
    assert found.masks is not None
    assert found.masks.defects_real == 20


def test_masks_of_training_photos_may_lie_there_and_a_missing_one_is_refused(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    assert judge(folders, "masks").masks is not None
    masks = tmp_path / "masks"
    masks.mkdir()
    for path in sorted(folders["masks"].iterdir())[3:]:
        (masks / path.name).write_bytes(path.read_bytes())
    with pytest.raises(CommandError, match=r"3 photos without a mask.*`missing_masks=empty`") as caught:
        evaluate(folders["real"], folders["fake"], count=20, which=Which(masks=masks))
    assert caught.value.exit_code == ExitCode.BAD_DATA
    found = evaluate(folders["real"], folders["fake"], count=20, which=Which(masks=masks, missing_masks="empty")).masks
    assert found is not None


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ({"segmenter": True}, ExitCode.USAGE, "`segmenter` needs the masks of the photos: `masks`"),
        ({"missing_masks": "empty"}, ExitCode.USAGE, "`missing_masks` has a meaning with `masks` only"),
        ({"missing_masks": "some"}, ExitCode.USAGE, "`missing_masks` is one of refuse, empty, not 'some'"),
        ({"masks": Path("nowhere")}, ExitCode.NO_INPUT, "`masks`.*nowhere"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_made(
    folders: dict[str, Path], options: dict[str, Any], code: ExitCode, words: str
) -> None:
    with pytest.raises(CommandError, match=words) as caught:
        judge(folders, **options)
    assert caught.value.exit_code == code


def test_command_says_its_options(folders: dict[str, Path], pools: Path, tmp_path: Path) -> None:
    def quality(*options: object) -> Any:
        environment = {"GAN_EVAL_QUALITY_FEATURES": str(pools), "GAN_EVAL_QUALITY_COUNT": "20"}
        return run_in_process(
            "gan-eval", "quality", folders["real"], folders["fake"], *options, cwd=tmp_path, **environment
        )

    fails_in_one_line(quality("--segmenter"), 2, "--segmenter", "--masks")
    (tmp_path / "few").mkdir()
    Image.new("L", (64, 64)).save(tmp_path / "few" / "1-0.png")
    fails_in_one_line(quality("--masks", "few"), 65, "--missing-masks empty", "--masks")
    result = quality("--masks", folders["masks"], "--train", folders["train"], "--no-segmenter")
    assert result.returncode == 0, result.stderr
    assert "mask, width" in result.stdout
    assert "mask, agreement" not in result.stdout


def test_verdict_names_masks_beside_their_defects(judged: tuple[Quality, Sets]) -> None:
    assert any(found.startswith("masks: masks stand out from") for found in findings(judged[0]))
    assert "masks: " in distrust(judged[0])


def test_page_shows_64_pairs_beside_64_and_the_longest(judged: tuple[Quality, Sets]) -> None:
    quality, sets = judged
    assert quality.masks is not None
    text = report_page(quality, sets, [])
    part = text[text.index("<h2>Masks</h2>") : text.index("<h2>Figures</h2>")]
    panels = sum(figure.histogram is not None for figure in quality.masks.figures.values())
    pictures = [Image.open(io.BytesIO(base64.b64decode(part))) for part in _pictures(part)]
    assert len(pictures) == panels + 4
    pairs_shown, photos_shown, longest, longest_photos = pictures[panels:]
    assert pairs_shown.size == (2 + 4 * 66, 2 + 16 * 66)
    assert photos_shown.size == (2 + 4 * 66, 2 + 8 * 66)
    assert longest.size == longest_photos.size == (2 + 4 * 66, 2 + 4 * 66)
    assert (np.asarray(pairs_shown) == IMAGES).all(axis=2).any()
    assert "<h2>Masks</h2>" not in report_page(dataclasses.replace(quality, masks=None), sets, [])


def _pictures(text: str) -> list[str]:
    return [part.split('"')[0] for part in text.split("base64,")[1:]]


def test_outline_lies_just_outside_of_the_mask_and_changes_nothing_else() -> None:
    images, masks = torch.full((1, 1, 9, 9), 50, dtype=torch.uint8), torch.zeros(1, 1, 9, 9, dtype=torch.uint8)
    masks[..., 3:6, 3:6] = 255
    drawn = outlined(images, masks)
    orange = (drawn == torch.tensor(IMAGES)[None, :, None, None]).all(dim=1)[0]
    expected = torch.zeros(9, 9, dtype=torch.bool)
    expected[2:7, 2:7] = True
    expected[3:6, 3:6] = False
    assert torch.equal(orange, expected)
    assert bool((drawn[0, :, ~expected] == 50).all())
