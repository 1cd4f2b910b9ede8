"""A proof of use as a user runs it: planted sets, planted leaks, kills."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from gan.evaluation.generators import TrainedGenerator
from gan.evaluation.runs import file_sha256
from gan.photos.read import load_images
from gan.photos.split_file import TEST, TRAIN, read_split
from gan.photos.traces import Traces
from gan.usefulness import usefulness
from gan.usefulness.outcome import Outcome
from gan.usefulness.runs import RunTable
from models.errors import CommandError, ExitCode
from tests.conftest import fails_in_one_line, run_in_process
from tests.gan.usefulness.conftest import DETECTOR, SMALL, write_kinds

pytestmark = pytest.mark.usefixtures("augmented_at_once")
Prove = Callable[..., Outcome]


def test_real_photos_as_synthetic_images_help_and_the_controls_do_not(proof: Prove, tmp_path: Path) -> None:
    outcome = proof("useful")
    assert outcome.verdict == "HELPS", outcome.sentence
    assert outcome.lines()[0].startswith("HELPS: ")
    said = json.loads((tmp_path / "out/usefulness.json").read_text())
    assert said["verdict"] == "HELPS"
    assert said["interval"][0] > 0
    assert {name: each["verdict"] for name, each in said["controls"].items()} in (
        {"shuffled_labels": "NO EFFECT SHOWN", "duplicated_photos": "NO EFFECT SHOWN"},
        {"shuffled_labels": "HURTS", "duplicated_photos": "NO EFFECT SHOWN"},
    )
    assert (said["metric"], said["budget"], said["real_photos"]) == ("balanced-accuracy", 5, 10)
    assert said["synthetic"] == 10 * said["ratio"]
    page = (tmp_path / "out/report.html").read_text()
    assert "HELPS" in page
    assert "From wrong to right" in page
    assert 'src="http' not in page


def test_images_with_the_labels_of_others_do_not_help(proof: Prove) -> None:
    assert proof("harmful").verdict in ("HURTS", "NO EFFECT SHOWN")


def test_under_three_subsets_there_is_no_verdict(proof: Prove) -> None:
    outcome = proof("few", subsets=2, seeds=1)
    assert outcome.verdict == "NO VERDICT YET"
    assert "needs 3" in outcome.sentence


def test_several_budgets_are_one_curve(proof: Prove, tmp_path: Path) -> None:
    outcome = proof("useful", budget=[5, 20], seeds=2)
    assert [each.budget for each in outcome.verdicts] == [5, 20]
    assert "<svg" in (tmp_path / "out/report.html").read_text()
    assert outcome.verdicts[0].adjusted >= outcome.verdicts[0].gain.p


def test_time_that_ends_gives_no_verdict_and_the_next_run_goes_on(
    kinds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--split", kinds / "split.json", "--budget", "5", "--detector", DETECTOR, "--image-size", "32"]
    command = ["usefulness", kinds / "photos", "--synthetic", kinds / "useful", *options, "--out", tmp_path / "out"]
    first = run_in_process("gan-eval", *command, "--minutes", "1e-6")
    assert first.returncode == 3, first.stderr
    assert first.stdout.startswith("NO VERDICT YET: ")
    assert "the smallest plan takes about" in first.stderr
    second = run_in_process("gan-eval", *command, "--json")
    assert second.returncode == 0, second.stderr
    assert "(--model names the ONNX file" in (tmp_path / "out/report.html").read_text()
    said = json.loads(second.stdout)
    assert (said["verdict"], said["seeds"], len(said["arms"])) == ("HELPS", 3, 5)
    other = run_in_process("gan-eval", *command, "--metric", "macro-f1")
    fails_in_one_line(other, 78, "metric was", "--out")


# Kills


def rows_without_times(out: Path) -> list[list[str]]:
    with (out / "runs.csv").open(newline="") as file:
        return [row[:-1] for row in csv.reader(file)]


def in_a_child(prove: Callable[[], object]) -> int:
    """The wait status of a process that ends like this one would."""
    child = os.fork()
    if child == 0:
        try:
            torch.set_num_threads(1)  # others do not live on in a child
            prove()
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1]


def test_kill_and_resume_give_the_same_table_and_verdict(
    proof: Prove, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = proof("useful", out=tmp_path / "whole")
    add, kept = RunTable.add, [30]

    def dies(self: RunTable, *arguments: Any) -> None:
        add(self, *arguments)
        kept[0] -= 1
        if not kept[0]:
            with (tmp_path / "killed/runs.csv").open("a") as file:
                file.write("5,main,real")  # a row that the kill cut short
            os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(RunTable, "add", dies)
    status = in_a_child(lambda: proof("useful", out=tmp_path / "killed"))
    assert os.WTERMSIG(status) == signal.SIGKILL
    monkeypatch.setattr(RunTable, "add", add)
    resumed = proof("useful", out=tmp_path / "killed")
    assert rows_without_times(tmp_path / "killed") == rows_without_times(tmp_path / "whole")
    assert resumed.verdicts == whole.verdicts
    assert resumed.sentence == whole.sentence


def test_sigterm_keeps_what_is_done(proof: Prove, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add = RunTable.add

    def stops(self: RunTable, *arguments: Any) -> None:
        add(self, *arguments)
        if len(self) == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(RunTable, "add", stops)
    with pytest.raises(CommandError) as caught:
        proof("useful")
    assert caught.value.exit_code == 143
    assert len(rows_without_times(tmp_path / "out")) == 1 + 4


# Leaks


def made_by(exported: Path, folder: Path, trained_on: Traces, measured_on: Traces | None = None) -> tuple[Path, Path]:
    """A run of gan-batch and the ONNX file that made it, whose photos are these."""
    model = onnx.load(exported)
    (training,) = (entry for entry in model.metadata_props if entry.key == "gan.training")
    photos = {"trained_on": trained_on.to_dict()}
    if measured_on is not None:
        photos["measured_on"] = measured_on.to_dict()
    training.value = json.dumps({"photos": photos})
    folder.mkdir()
    onnx.save(model, folder / "generator.onnx")
    run = write_kinds(folder / "run", 40, 6)
    names = sorted(path.relative_to(run).as_posix() for path in run.rglob("*.png"))
    rows = "".join(f"{name},{name.partition('/')[0]}\n" for name in names)
    (run / "manifest.csv").write_text(f"file_name,label\n{rows}")
    fingerprint = {"model_sha256": file_sha256(folder / "generator.onnx")}
    (run / "run.json").write_text(json.dumps({"fingerprint": fingerprint}))
    return run, folder / "generator.onnx"


@pytest.fixture
def traced(kinds: Path) -> Traces:
    found = load_images(kinds / "photos", 1, 32).traces
    assert found is not None
    return found


def of_part(kinds: Path, traced: Traces, part: str, names: Sequence[str] = ()) -> Traces:
    wanted = set(names or read_split(kinds / "split.json").names(part))
    return traced.take([row for row, name in enumerate(traced.names) if name in wanted])


def test_generator_that_saw_a_test_photo_is_refused(
    kinds: Path, proof: Prove, exported: Path, tmp_path: Path, traced: Traces
) -> None:
    leaked = read_split(kinds / "split.json").names(TEST)[7]
    clean = of_part(kinds, traced, TRAIN)
    run, model = made_by(exported, tmp_path / "a", clean.joined(of_part(kinds, traced, TEST, [leaked])))
    with pytest.raises(CommandError, match=leaked) as caught:
        proof(run, model=[model])
    assert caught.value.exit_code == ExitCode.BAD_DATA


def test_generator_that_saw_a_near_duplicate_of_a_test_photo_is_refused(
    kinds: Path, proof: Prove, exported: Path, tmp_path: Path, traced: Traces
) -> None:
    leaked = read_split(kinds / "split.json").names(TEST)[9]
    copies = write_kinds(tmp_path / "copies", 10, 8)
    darker = np.asarray(Image.open(kinds / "photos" / leaked)) * 0.8
    Image.fromarray(darker.astype(np.uint8)).resize((48, 48)).save(copies / "pits/renamed.jpg", quality=90)
    seen = load_images(copies, 1, 32).traces
    assert seen is not None
    run, model = made_by(exported, tmp_path / "a", seen)
    with pytest.raises(CommandError, match=f"{leaked} .pits/renamed.jpg.") as caught:
        proof(run, model=[model])
    assert caught.value.exit_code == ExitCode.BAD_DATA


def test_generator_that_was_chosen_by_test_photos_is_refused(
    kinds: Path, proof: Prove, exported: Path, tmp_path: Path, traced: Traces
) -> None:
    clean, tested = of_part(kinds, traced, TRAIN), of_part(kinds, traced, TEST)
    run, model = made_by(exported, tmp_path / "a", clean, tested)
    with pytest.raises(CommandError, match="was chosen by 80 of the test photos"):
        proof(run, model=[model])


def test_runs_of_several_generators_belong_to_the_photos_of_each(
    kinds: Path, proof: Prove, exported: Path, tmp_path: Path, traced: Traces
) -> None:
    names = read_split(kinds / "split.json").names(TRAIN)
    runs = []
    for number in range(3):
        own = [*names[number * 6 : number * 6 + 6], *names[40 + number * 6 : 46 + number * 6]]
        runs.append((own, made_by(exported, tmp_path / str(number), of_part(kinds, traced, TRAIN, own))))
    outcome = proof(*(run for _, (run, _) in runs), model=[model for _, (_, model) in runs], seeds=1)
    assert not any("on trust" in note for note in outcome.notes)
    settings = json.loads((tmp_path / "out/settings.json").read_text())
    found = [{traced.names[place] for place in subset} for subset in settings["subsets"]["5"]]
    assert found == [set(own) for own, _ in runs]


def test_bare_folder_is_taken_on_trust_unless_it_shows_test_photos(kinds: Path, proof: Prove, tmp_path: Path) -> None:
    assert any("on trust" in note for note in proof("few", seeds=1).notes)
    leaked = read_split(kinds / "split.json").names(TEST)[3]
    shutil.copytree(kinds / "few", tmp_path / "few")
    shutil.copy(kinds / "photos" / leaked, tmp_path / "few" / leaked)
    with pytest.raises(CommandError, match=leaked) as caught:
        proof(tmp_path / "few", out=tmp_path / "other")
    assert caught.value.exit_code == ExitCode.BAD_DATA


def test_a_model_that_only_the_user_names_takes_nobodys_images_on_trust(
    kinds: Path, proof: Prove, exported: Path, tmp_path: Path, traced: Traces
) -> None:
    _, model = made_by(exported, tmp_path / "a", of_part(kinds, traced, TRAIN))
    assert any("on trust" in note for note in proof("few", model=[model], seeds=1).notes)
    leaked = read_split(kinds / "split.json").names(TEST)[3]
    shutil.copytree(kinds / "few", tmp_path / "few")
    shutil.copy(kinds / "photos" / leaked, tmp_path / "few" / leaked)
    with pytest.raises(CommandError, match=leaked) as caught:
        proof(tmp_path / "few", model=[model], out=tmp_path / "other")
    assert caught.value.exit_code == ExitCode.BAD_DATA


def test_generators_that_saw_the_same_photos_are_no_subsets(
    kinds: Path, proof: Prove, exported: Path, tmp_path: Path, traced: Traces
) -> None:
    names = read_split(kinds / "split.json").names(TRAIN)
    own = [[*names[:6], *names[40:46]], [*names[6:12], *names[46:52]], [*names[:6], *names[40:46]]]
    runs = [
        made_by(exported, tmp_path / str(number), of_part(kinds, traced, TRAIN, each))
        for number, each in enumerate(own)
    ]
    with pytest.raises(CommandError, match=r"0/run and .*2/run were trained on the same photos") as caught:
        proof(*(run for run, _ in runs), model=[model for _, model in runs], seeds=1)
    assert caught.value.exit_code == ExitCode.BAD_DATA


def test_exported_file_names_the_photos_that_it_was_trained_on(exported: Path, photos: Path) -> None:
    seen = TrainedGenerator.open(exported).trained_on
    assert seen is not None
    assert list(seen.names) == sorted(path.name for path in photos.iterdir())
    assert list(seen.sha256) == [file_sha256(photos / name) for name in seen.names]
    assert seen.looks.shape == (24, 32, 32)


# Before any generator


def test_without_images_the_split_and_its_subsets_are_written(kinds: Path, tmp_path: Path) -> None:
    assert usefulness(kinds / "photos", out=tmp_path / "out", budget=[5]) is None
    split = read_split(tmp_path / "out/split.json")
    assert len(split.names(TEST)) > 40
    for number in (1, 2, 3):
        subset = read_split(tmp_path / f"out/subset-5-{number}.json")
        assert len(subset.names(TRAIN)) == 10
        assert set(subset.names(TRAIN)) <= set(split.names(TRAIN))
        assert subset.names(TEST) == split.names(TEST)


def test_other_files_than_those_of_the_split_are_refused(kinds: Path, tmp_path: Path, proof: Prove) -> None:
    photos = shutil.copytree(kinds / "photos", tmp_path / "photos")
    name = read_split(kinds / "split.json").names(TEST)[0]
    shutil.copy(kinds / "useful/pits/2-000.png", photos / name)
    with pytest.raises(CommandError, match=name) as caught:
        usefulness(photos, [kinds / "useful"], out=tmp_path / "out", split=kinds / "split.json", shape=SMALL)
    assert caught.value.exit_code == ExitCode.BAD_DATA


def test_subsets_that_share_most_of_their_photos_are_told_of(proof: Prove, tmp_path: Path) -> None:
    def told(budget: int) -> list[str]:
        found = proof("few", budget=[budget], seeds=1, out=tmp_path / str(budget)).notes
        return [note for note in found if "share" in note and "on average" in note]

    assert told(3) == []
    (note,) = told(0)
    assert note.startswith("at all photos two subsets share 7")
    assert "counts 3." in note
