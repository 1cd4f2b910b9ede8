"""README.md and docs/: every command runs."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
from PIL import Image

import models
from gan.networks.reader import weights_sha256
from gan.networks.shift import ShiftGenerator
from gan.training.snapshots import save_weights
from tests.conftest import COMMANDS, ONE_THREAD, ROOT, SCRIPTS, clean_environment, run_in_process, surface, write_photos
from tests.gan.networks.snapshots import state_of, write_snapshot
from tests.jobs.object_server import ObjectServer
from tests.jobs.small_models import RARE, write_model
from tests.system.markdown import PAGES, blocks, inline_commands
from tests.system.options import every_command

README = ROOT / "README.md"
SMALL = {
    "GAN_TRAIN_IMAGE_SIZE": "32", "GAN_TRAIN_EPOCHS": "2", "GAN_TRAIN_BATCH_SIZE": "8", "GAN_TRAIN_Z_DIM": "40",
    "GAN_TRAIN_G_WIDTH": "2", "GAN_TRAIN_D_WIDTH": "2", "GAN_TRAIN_FEATURE_MATCHING": "0",
    "GAN_TRAIN_STEPS": "4", "GAN_EVAL_QUALITY_COUNT": "12", "GAN_EVAL_QUALITY_SEGMENTER": "0",
    "GAN_EVAL_ROBUSTNESS_COUNT": "10",
    "GAN_BATCH_QUALITY_GATE": "off", "GAN_BATCH_FINISH_QUALITY_GATE": "off",  # two epochs give one plain gray
    "GAN_EVAL_USEFULNESS_STEPS": "2", "GAN_EVAL_USEFULNESS_SEEDS": "1", "GAN_EVAL_USEFULNESS_IMAGE_SIZE": "32",
    "GAN_EVAL_USEFULNESS_QUICK": "1", "GAN_EXPORT_ONNX_BATCH_CHECK": "1,2", "GAN_EXPORT_TORCH_BATCH_CHECK": "1,2",
}  # fmt: skip
"""What makes the commands quick, so that they can run as they are written."""
WEB = ROOT / "tests/export/web/node_modules/onnxruntime-web"
SMALLER = {
    # As written: as run here.
    "make test": f"make -C {ROOT} --dry-run test",
    "make demo": f"make -C {ROOT} demo",
    "source .venv/bin/activate": "true",  # the tests run in the environment that `make` made
    "gan-train photos.zip": "gan-train photos.zip --out models-of-zip",
    "--resume": "--resume --epochs 3",
    "gan-export onnx": "gan-export onnx --overwrite",
    "gan-export torch": "gan-export torch --overwrite",
    "their_generator.pth": "their_generator.pth --out theirs.onnx",
    "--count 10000": "--count 100",
    "--count 100000": "--count 100",
    "--count 2000": "--count 20",
    "--per-class 2000": "--per-class 20",
    "--append 1000": "--append 10",
    "s3://factory/defects/{date}": "s3://bucket/defects/named",
    "s3://factory/defects/2026-11-22": "s3://bucket/defects/named",
    "cd /srv/defects": "cd .",
    ".venv/bin/gan-batch": f"{SCRIPTS}/gan-batch",
    "pip install '.[objects]'": "pip install --dry-run --no-deps obstore",
    "pip install '.[ray]'": "pip install --dry-run --no-deps ray",
    "pip install '.[parquet]'": "pip install --dry-run --no-deps pyarrow",
    "pip install '.[inception]'": "pip install --dry-run --no-deps torch-fidelity",
    "npm install onnxruntime-web": "true",
    "torchrun --nproc-per-node=2": "torchrun --nproc-per-node=1",  # two are in test_distributed.py
    "gan-export page": f"gan-export page --runtime {WEB}" if WEB.is_dir() else "gan-export page --help",
    "pip install boto3": "pip install --dry-run --no-deps boto3",
    "pip install 'onnxruntime-gpu[cuda,cudnn]'": "pip install --dry-run --no-deps 'onnxruntime-gpu[cuda,cudnn]'",
    "pip install -r requirements-batch.txt": f"pip install --dry-run --no-deps -r {ROOT}/requirements-batch.txt",
    "pip install --no-deps .": "pip install --no-deps --no-build-isolation --target lean checkout",
    "pip install .": "pip install --no-deps --no-build-isolation --target plain checkout",
    "TrainConfig.of(seed=1)": "TrainConfig.of('dcgan', epochs=1, image_size=32, batch_size=8, g_width=2, d_width=2)",
    'train=Path("path/to/photos"))': 'train=Path("path/to/photos"), features="pools.pt", '
    'shape=__import__("gan").CommonShape(image_size=32))',
    "from jobs import run_batch": "from jobs import Gate, run_batch",
    "count=1000": "count=10, gate=Gate('off')",
}


def smaller(text: str) -> str:
    """`text` with the longest entries of `SMALLER` put in first, each place once."""
    parts = sorted(SMALLER, key=len, reverse=True)
    pattern = "|".join(re.escape(part) + r"(?![\w-])" for part in parts)
    return re.sub(pattern, lambda match: SMALLER[match[0]], text)


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos where the pages say they are, and a checkout to install from; tests take `desk`."""
    folder = tmp_path_factory.mktemp("furnished")
    photos = write_photos(folder / "path/to/photos", 48)  # a third is enough to be held out
    write_photos(folder / "path/to/held_out", 16, seed=1)
    write_photos(folder / "datasets/anomaly_detection_dataset/bad", 16, seed=2)
    for seed, name in enumerate(("inclusion", "scratch"), 5):
        write_photos(folder / "path/to/classes" / name, 12, seed)
    rows = [f"{path.name},{'even' if number % 2 == 0 else 'odd'}" for number, path in enumerate(photos.iterdir())]
    (folder / "labels.csv").write_text("file_name,label\n" + "\n".join(rows) + "\n")
    (folder / "path/to/masks").mkdir()
    for path in photos.iterdir():
        Image.new("1", (128, 128)).save(folder / "path/to/masks" / f"{path.stem}_mask.png")
    (folder / "my_detector.py").write_text("def judge(images):\n    return images.max((1, 2, 3)) / 255\n")
    shutil.make_archive(str(folder / "photos"), "zip", photos)
    left_out = shutil.ignore_patterns("*.pt", "*.pth", "__pycache__")
    for package in ("gan", "export", "jobs", "models"):
        shutil.copytree(ROOT / package, folder / "checkout" / package, ignore=left_out)
    for name in ("setup.cfg", "pyproject.toml", "synthetic_defects.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "checkout")
    return folder


@pytest.fixture
def desk(furnished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(furnished, tmp_path, dirs_exist_ok=True)


@pytest.fixture(scope="module")
def later(trained: Path, exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What somebody has who has split the photos, and trained and exported a generator; tests take `later_desk`."""
    folder = tmp_path_factory.mktemp("later")
    write_photos(folder / "datasets/mine/train", 24, seed=3)
    write_photos(folder / "datasets/mine/validation", 20, seed=4)
    (folder / "datasets/masks").mkdir()
    for path in sorted((folder / "datasets/mine").rglob("*.png")):
        path = path.rename(path.with_name(f"{path.parent.name}_{path.name}"))
        column = Image.open(path).resize((128, 1), Image.Resampling.BOX).point([0] * 150 + [255] * 106)  # the scratch
        column.resize((128, 128)).save(folder / "datasets/masks" / path.name)
    (folder / "models").mkdir()
    for name in ("models/generator_model.pth", "their_generator.pth"):
        shutil.copy(trained / "generator_model.pth", folder / name)
    shutil.copy(exported, folder / "models/generator.onnx")
    write_snapshot(folder / "network-snapshot-001000.pkl", state_of(side=16))
    for part, seed in (("train", 7), ("validation", 9)):
        for name in ("pits", "scratches"):
            write_photos(folder / "datasets/classes" / part / name, 12, seed + len(name))
    for seed, place in enumerate(("datasets/labelled/pits", "datasets/labelled/scratches", "synthetic/classes/pits")):
        (folder / place).mkdir(parents=True)
        for number in range(16):
            surface(100 * seed + number).save(folder / place / f"{number}.png")
    with_masks = ShiftGenerator(40, width=2, masks=True)
    with_masks.initialise(torch.Generator().manual_seed(0))
    (folder / "models-with-masks").mkdir()
    save_weights(folder / "models-with-masks/generator_model.pth", with_masks)
    network = ShiftGenerator(40, width=2, classes=2)
    network.initialise(torch.Generator().manual_seed(0))
    (folder / "models-of-classes").mkdir()
    save_weights(folder / "models-of-classes/generator_model.pth", network)
    told = {"class_names": ["pits", "scratches"], "weights_sha256": weights_sha256(network.state_dict())}
    (folder / "models-of-classes/training_options.json").write_text(json.dumps(told))
    return folder


@pytest.fixture
def later_desk(desk: Path, later: Path) -> Path:
    return shutil.copytree(later, desk, dirs_exist_ok=True)


def run_shell(command: str, folder: Path, environment: dict[str, str]) -> None:
    result = subprocess.run(
        ["bash", "-ec", command], cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=600,
    )  # fmt: skip
    assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"


def small_with(features: Path) -> dict[str, str]:
    """What makes the commands quick. `gan-eval quality` by EfficientNet, as it is by default, is in test_chain.py."""
    return {**SMALL, "GAN_TRAIN_FEATURES": str(features), "GAN_EVAL_QUALITY_FEATURES": str(features)}


def test_every_command_of_readme_runs_in_order(desk: Path, pools: Path) -> None:
    """With a recipe that is exported in a tenth of the time. The chain by the default one, and with each command in a
    process of its own, is in test_chain.py.
    """
    if shutil.which("make") is None or not (ROOT / ".venv" / "installed").exists():
        pytest.skip("`make demo` would install everything: run `make test`")
    seen = blocks(README, "sh")
    assert len(seen) >= 6
    for block in [*seen, *inline_commands(README)]:
        if block in seen or block not in "".join(seen):
            command = smaller(block).replace("synthetic/2026-11-22", "synthetic/20*")
            run_lines(command.splitlines(), desk, {**small_with(pools), "GAN_TRAIN_RECIPE": "dcgan"})
    assert (ROOT / "synthetic/demo/contact_sheet.png").exists()
    assert (desk / "evaluation/quality/report.html").exists()


def run_lines(lines: Iterable[str], folder: Path, settings: dict[str, str]) -> None:
    """Run them in order: our commands here, where what they load is loaded already, and what needs a shell in one."""
    for line in lines:
        program, *arguments = shlex.split(line)
        if program in COMMANDS and "ray" not in arguments and "*" not in line:
            result = run_in_process(program, *arguments, cwd=folder, **settings)
            assert result.returncode == 0, f"{line}\n{result.stderr}"
        else:
            run_shell(line, folder, clean_environment(**ONE_THREAD, **settings))


def lines_of(page: Path) -> list[str]:
    """The commands of a page: those of its blocks, and those of running text that a user can type as they are.

    A name alone, such as `gan-eval quality`, is a mention; a word in capitals, such as OUT, stands for something.
    """
    lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
    inline = (line for line in inline_commands(page) if line not in every_command())
    return list(dict.fromkeys([*lines, *(line for line in inline if not re.search(r"\b[A-Z]{2,}\b", line))]))


@pytest.mark.parametrize(
    "page", [page for page in PAGES if lines_of(page) and page != README], ids=lambda page: page.name
)
def test_every_command_of_a_page_runs_in_order(
    page: Path, request: pytest.FixtureRequest, pools: Path, trained: Path
) -> None:
    """`trained` is of `later_desk`, and as other tests need it too it is made before anything is patched."""
    folder: Path = request.getfixturevalue("desk" if page.name == "photos.md" else "later_desk")
    if page.name == "training.md":
        shutil.rmtree(folder / "models")
        shutil.rmtree(folder / "models-of-classes")
        shutil.rmtree(folder / "models-with-masks")
    if page.name == "mix.md":
        write_model(folder / "models/generator.onnx", classes=["inclusion", "scratch"], faults=[])
        for seed, name in enumerate(("inclusion", "scratch")):
            write_photos(folder / "path/to/classes" / name, 20 + 10 * seed, seed)
    if page.name == "wishes.md":
        write_model(folder / "models/generator.onnx", masks=RARE, faults=[])
    if page.name == "labelled.md":
        shutil.rmtree(folder / "models")
        for seed, name in enumerate(("inclusion", "scratch")):
            photos = write_photos(folder / "path/to/classes" / name, 24, seed)
            (folder / "path/to/class-masks" / name).mkdir(parents=True)
            for number, path in enumerate(photos.iterdir()):
                mask = Image.new("L", (128, 128))
                mask.paste(255, (number, 40, number + 30, 60))
                mask.save(folder / "path/to/class-masks" / name / f"{path.stem}.png")
    settings = small_with(pools)
    if page.name == "object-stores.md":
        settings |= ObjectServer().environment
    run_lines(map(smaller, lines_of(page)), folder, settings)


def test_cron_line_runs_in_an_empty_environment(desk: Path) -> None:
    (line,) = blocks(README, "cron")
    assert "%" not in line  # cron would end the command there
    schedule, command = line.split("  ", 1)
    assert len(schedule.split()) == 5
    (desk / "models").mkdir(exist_ok=True)
    shutil.copy(models.path(), desk / "models/generator.onnx")
    for _ in range(2):  # the second time there is nothing to do
        run_shell(smaller(command.strip()), desk, {"HOME": str(desk), "PATH": "/usr/bin:/bin"})
    assert "complete" in (desk / "gan-batch.log").read_text()


def test_python_block_runs(desk: Path, pools: Path) -> None:
    (code,) = (block for page in PAGES for block in blocks(page, "python"))
    shutil.copy(pools, desk)
    said = io.StringIO()
    with contextlib.chdir(desk), contextlib.redirect_stdout(said):
        exec(smaller(code), {"__name__": "__main__"})
    assert "CPUExecutionProvider" in said.getvalue()
