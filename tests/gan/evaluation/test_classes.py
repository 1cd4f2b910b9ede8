"""Images compared with photos class by class, by features that are made up."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from gan.evaluation.classes import LEAST, Classwise, LabelledFeatures, by_class
from gan.evaluation.comparison import Sets, Sources, compare
from gan.evaluation.evaluate import evaluate
from gan.evaluation.features import FeatureNetwork
from gan.evaluation.fidelity import Classifier, Confusion
from gan.evaluation.labelling import labelled
from gan.evaluation.matrix import matrix
from gan.evaluation.quality_rows import rows
from gan.evaluation.report import report_page
from gan.evaluation.summary import quality_json
from gan.evaluation.verdict import distrust
from gan.photos.labels import Classes
from gan.photos.read import ImageSet
from gan.photos.which import Which
from models.errors import CommandError, ExitCode
from tests.gan.evaluation.conftest import plates

NAMES = ("line", "pit", "rust")


def seen(counts: tuple[int, ...], seed: int, far: float = 3.0, moved: float = 0.0) -> LabelledFeatures:
    """Features of classes that lie `far` apart, each along a direction of its own; `moved` all in another."""
    labels = np.repeat(np.arange(len(counts)), counts)
    features = np.random.default_rng(seed).normal(size=(len(labels), 8))
    features[np.arange(len(labels)), labels] += far
    features[:, -1] += moved
    return LabelledFeatures(torch.from_numpy(features).float(), labels.tolist())


def compared(fake: LabelledFeatures) -> Classwise:
    return by_class(NAMES, seen((30, 30, 30), 1, 6), fake, seen((40, 40, 40), 2, 6), 0)


# The classifier


def test_classifier_knows_classes_that_lie_apart_and_guesses_where_they_do_not() -> None:
    for far, least, most in ((6.0, 0.98, 1.0), (0.0, 0.1, 0.6)):
        train, other = seen((40, 40, 40), 1, far), seen((40, 40, 40), 2, far)
        named = Classifier(train.features, train.labels, 3).named(other.features)
        assert least <= Confusion.of(other.labels, named, 3).accuracy <= most


def test_a_rare_class_is_named_as_readily_as_a_common_one() -> None:
    train, other = seen((300, 15), 1, 1.5), seen((200, 200), 2, 1.5)
    found = Confusion.of(other.labels, Classifier(train.features, train.labels, 2).named(other.features), 2)
    assert found.right(1) == pytest.approx(found.right(0), abs=0.2)


def test_the_same_photos_give_the_same_names() -> None:
    train, other = seen((20, 20), 1, 1), seen((50, 50), 2, 1)
    first, second = (Classifier(train.features, train.labels, 2).named(other.features) for _ in range(2))
    assert first == second


def test_accuracy_counts_every_class_alike_and_leaves_out_what_is_not_there() -> None:
    found = Confusion.of([0] * 8 + [1] * 2, [0] * 8 + [0, 1], 3)
    assert found.counts == ((8, 0, 0), (1, 1, 0), (0, 0, 0))
    assert (found.right(0), found.right(1), found.right(2)) == (1.0, 0.5, None)
    assert found.accuracy == 0.75


# Class by class


def test_images_of_the_photos_distribution_are_as_near_as_photos_in_every_class() -> None:
    found = compared(seen((40, 40, 40), 3, 6))
    assert found.names == list(NAMES)
    assert found.accuracy > 0.95
    for each in found.classes:
        assert each.kid_x1000_interval is not None
        assert each.kid_x1000_interval[0] < 0 < each.kid_x1000_interval[1]
        assert each.coverage is not None
        assert each.coverage > 0.8


def test_one_class_that_is_off_is_told_from_the_others() -> None:
    fake, off = seen((40, 40, 40), 3, 6), seen((40, 40, 40), 3, 6, moved=8)
    features = torch.where(torch.tensor(fake.labels)[:, None] == 1, off.features, fake.features)
    found = compared(LabelledFeatures(features, fake.labels))
    distances = [each.kid_x1000 or 0.0 for each in found.classes]
    assert distances[1] > 20 * max(abs(distances[0]), abs(distances[2]))
    assert [each.precision for each in found.classes][1] == 0


def test_images_under_another_label_are_named_wrong() -> None:
    fake = seen((40, 40, 40), 3, 6)
    found = compared(LabelledFeatures(fake.features, [0 if label == 2 else label for label in fake.labels]))
    assert found.confusion.counts[0][2] >= 38
    assert found.classes[0].named_right == pytest.approx(0.5, abs=0.05)
    assert found.classes[2].named_right is None
    assert found.accuracy_real > 0.95


def test_a_class_of_few_images_is_not_compared_but_named() -> None:
    found = compared(seen((40, LEAST - 1, 40), 3, 6))
    assert found.classes[1].kid_x1000 is None
    assert found.classes[1].kid_x1000_floor is not None
    assert found.classes[1].named_right == 1


# As sets of images


def told(count: int, seed: int, labels: tuple[int, ...] = ()) -> ImageSet:
    """Plates, every other one darker: of the second class."""
    images = plates(count, seed)
    images.images[1::2] //= 2
    return ImageSet(
        images.images, images.names, labels=labels or tuple(i % 2 for i in range(count)), class_names=NAMES[:2]
    )


def cells(images: Tensor) -> Tensor:
    return torch.nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)


def test_a_report_tells_of_classes_and_distrusts_labels_that_say_nothing() -> None:
    network = FeatureNetwork("cells", cells)
    real, train = told(40, 1), told(60, 3)
    for fake, wrong in ((told(60, 2), False), (told(60, 2, (0,) * 15 + (1,) * 45), True)):
        quality, pairs = compare(sets := Sets(real, fake, train), Sources("real", "fake", "train"), network, 0)
        assert quality.classes is not None
        assert (quality.classes.accuracy < 0.7) == wrong
        assert ("labels: " in distrust(quality)) == wrong
        assert {"labels right", "line", "pit"} <= {row.name for row in rows(quality)}
        assert json.loads(quality_json(quality))["classes"]["classes"][1]["name"] == "pit"
        page = report_page(quality, sets, pairs)
        assert page.count("what is named what") == 2
    plain = Sets(*(dataclasses.replace(images, labels=(), class_names=()) for images in (real, fake, train)))
    assert compare(plain, Sources("real", "fake", "train"), network, 0)[0].classes is None


def test_labels_go_by_the_names_of_the_classes_not_by_their_order() -> None:
    photos = ImageSet(torch.zeros(2, 1, 32, 32), ["line/a.png", "pit/b.png"])
    fake = ImageSet(torch.zeros(2, 1, 32, 32), ["0", "1"], labels=(0, 1), class_names=("pit", "line"))
    known = Classes(("line", "pit"), {"line/a.png": "line", "pit/b.png": "pit"})
    found = labelled(Sets(photos, fake, photos), known, Path("model.onnx"))
    assert (found.real.labels, found.fake.labels) == ((0, 1), (1, 0))


@pytest.mark.parametrize(("manifest", "labels"), [("index,file_name,label\n0,1.png,pit\n", (1,)), ("", ())])
def test_a_runs_manifest_or_folders_tell_the_labels_of_images(tmp_path: Path, manifest: str, labels: object) -> None:
    photos = ImageSet(torch.zeros(2, 1, 32, 32), ["line/a.png", "pit/b.png"])
    known = Classes(("line", "pit"), {"line/a.png": "line", "pit/b.png": "pit"})
    if manifest:
        (tmp_path / "manifest.csv").write_text(manifest)
        found = labelled(Sets(photos, ImageSet(torch.zeros(1, 1, 32, 32), ["1.png"]), photos), known, tmp_path)
        assert found.fake.labels == labels
        return
    named = Sets(photos, ImageSet(torch.zeros(1, 1, 32, 32), ["pit/1.png"]), photos)
    assert labelled(named, known, tmp_path).fake.labels == (1,)
    for name, said in (("1.png", "nothing tells which class"), ("dent/1.png", "shows the class dent")):
        with pytest.raises(CommandError, match=said) as error:
            labelled(Sets(photos, ImageSet(torch.zeros(1, 1, 32, 32), [name]), photos), known, tmp_path)
        assert error.value.exit_code is ExitCode.BAD_DATA


def test_classes_need_the_photos_that_were_trained_on(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="to learn the classes: `train`") as error:
        evaluate(tmp_path, tmp_path / "model.onnx", which=Which(classes=True))
    assert error.value.exit_code is ExitCode.USAGE


def test_a_matrix_is_darkest_where_most_are() -> None:
    picture = matrix(Confusion(((9, 1), (0, 0))), ["line", "pit"])
    right = picture.width - 4 * 2
    cell = 34 * 2
    shades = [picture.getpixel((right - (2 - column) * cell + 6, cell + 6)) for column in (0, 1)]
    assert all(isinstance(shade, tuple) for shade in shades)
    assert shades[0][2] < shades[1][2]  # type: ignore[index]  # as the line above says
