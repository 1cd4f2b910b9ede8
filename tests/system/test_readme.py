"""Every command in README.md runs."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, SCRIPTS, TINY, clean_environment, write_photos
from tests.jobs.object_server import ObjectServer

FEW = " ".join(("--epochs 2", *TINY))
SMALLER = {
    # As written in README.md: as run here.
    "make test": f"make -C {ROOT} --dry-run test",
    "make demo": f"make -C {ROOT} demo",
    "source .venv/bin/activate": "true",  # the tests run in the environment that `make` made
    "gan-train datasets": f"gan-train {FEW} datasets",
    "gan-train) datasets": f"gan-train) {FEW} datasets",
    "--train datasets/mine/train": "--train datasets/mine/train --count 12",
    "gan-train photos.zip": f"gan-train photos.zip --out models-of-zip {FEW}",
    # A generator of two epochs gives one plain gray, which the quality gate is right to refuse.
    "--count 10000": "--count 100 --quality-gate off",
    "--count 100000": "--count 100",  # every night, by the bundled generator
    "--count 100000 --out synthetic/2026-11-22": "--count 100 --quality-gate off --out synthetic/named",
    "--count 100000 --out s3://factory/defects/{date}": "--count 100 --quality-gate off --out s3://bucket/defects",
    "s3://factory/defects/2026-11-22": "s3://bucket/defects",
    "pip install '.[objects]'": "pip install --dry-run --no-deps obstore",
    "pip install '.[ray]'": "pip install --dry-run --no-deps ray",
    "pip install '.[parquet]'": "pip install --dry-run --no-deps pyarrow",
    "--count 2000": "--count 20 --quality-gate off",
    "gan-batch finish": "gan-batch finish --quality-gate off",
    "--append 1000": "--append 10 --quality-gate off",
    "--resume": "--resume --epochs 3",
    # The training that went on made another generator than the one exported.
    "gan-export info": "gan-export onnx --overwrite; gan-export info",
    "pip install -r requirements-batch.txt": f"pip install --dry-run --no-deps -r {ROOT}/requirements-batch.txt",
    "pip install --no-deps .": "pip install --no-deps --no-build-isolation --target lean checkout",
    "pip install 'onnxruntime-gpu[cuda,cudnn]'": "pip install --dry-run --no-deps 'onnxruntime-gpu[cuda,cudnn]'",
    "pip install '.[inception]'": "pip install --dry-run --no-deps torch-fidelity",
    "pip install .": "pip install --no-deps --no-build-isolation --target plain checkout",
    "cd /srv/defects": "cd .",
    ".venv/bin/gan-batch": f"{SCRIPTS}/gan-batch",
    "TrainConfig.of(seed=1)": "TrainConfig.of(epochs=1, batch_size=8, g_width=2, d_width=2)",
    "from jobs import run_batch": "from jobs import Gate, run_batch",
    "count=1000": "count=10, gate=Gate('off')",
    "their_generator.pth": "models/generator_model.pth --out theirs.onnx",
    "synthetic/2026-11-22": "synthetic/named",
}
README = (ROOT / "README.md").read_text()


def smaller(text: str) -> str:
    """`text` with the longest entries of `SMALLER` put in first, each place once."""
    parts = sorted(SMALLER, key=len, reverse=True)
    pattern = "|".join(re.escape(part) + r"(?![\w-])" for part in parts)
    return re.sub(pattern, lambda match: SMALLER[match[0]], text)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def inline_commands() -> list[str]:
    """Commands in running text: whole code spans that begin with one of our commands and have an argument."""
    spans = re.findall(r"`([^`\n]+)`", README)
    commands = [span for span in spans if re.match(r"(gan-(train|eval|export|batch)|make|pip) \S", span)]
    return list(dict.fromkeys(commands))


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder with photos where README.md says they are, and a checkout to install from."""
    folder = tmp_path
    photos = write_photos(folder / "path/to/photos", 48)  # a third is enough to be held out
    write_photos(folder / "path/to/held_out", 16, seed=1)
    shutil.make_archive(str(folder / "photos"), "zip", photos)
    write_photos(folder / "datasets/anomaly_detection_dataset/bad", 16)
    for package in ("gan", "export", "jobs", "models"):
        shutil.copytree(
            ROOT / package, folder / "checkout" / package, ignore=shutil.ignore_patterns("*.pt", "*.pth", "__pycache__")
        )
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "checkout")
    return folder


def run_shell(command: str, folder: Path, environment: dict[str, str] | None = None) -> None:
    result = subprocess.run(
        ["bash", "-ec", command],
        cwd=folder,
        env=clean_environment() if environment is None else environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"


def test_every_shell_block_runs_in_order(desk: Path) -> None:
    if shutil.which("make") is None or not (ROOT / ".venv" / "installed").exists():
        pytest.skip("`make demo` would install everything: run `make test`")
    environment = clean_environment(**ObjectServer().environment)  # for the commands to s3://
    seen = blocks("sh")
    assert len(seen) >= 6
    for block in seen:
        for other in ("/bad", "torchrun"):  # a second model in the same folder: refused, so it gets its own
            if other in block:
                block = f"{block.rstrip()} --out models-of-{other[1:]}\n"
        run_shell(smaller(block), desk, environment)
    assert (ROOT / "synthetic/demo/contact_sheet.png").exists()


def test_every_command_in_running_text_runs(desk: Path, trained: Path) -> None:
    (desk / "models").mkdir()
    shutil.copy(trained / "generator_model.pth", desk / "models")
    commands = inline_commands()
    assert len(commands) >= 5
    for command in commands:
        if shlex.split(command)[0] == "make":
            run_shell(f"make -C {ROOT} --dry-run {command.split()[1]}", desk)  # `make demo` runs with the blocks
        else:
            run_shell(smaller(command), desk)


def test_cron_line_runs_in_an_empty_environment(desk: Path) -> None:
    (line,) = blocks("cron")
    assert "%" not in line  # cron would end the command there
    schedule, command = line.split("  ", 1)
    assert len(schedule.split()) == 5
    for _ in range(2):  # the second time there is nothing to do
        run_shell(smaller(command.strip()), desk, {"HOME": str(desk), "PATH": "/usr/bin:/bin"})
    assert "complete" in (desk / "gan-batch.log").read_text()


def test_python_block_runs(desk: Path) -> None:
    (code,) = blocks("python")
    result = subprocess.run(
        [sys.executable, "-c", smaller(code)], cwd=desk, env=clean_environment(), capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert "CPUExecutionProvider" in result.stdout


def test_every_option_and_file_that_readme_names_exists() -> None:
    helps = "".join(
        subprocess.run([SCRIPTS / command, *sub, "--help"], capture_output=True, text=True).stdout
        for command, *sub in (
            ("gan-train",), ("gan-eval", "data"), ("gan-eval", "quality"), ("gan-export", "onnx"),
            ("gan-batch",), ("gan-batch", "verify"), ("gan-batch", "regen"), ("gan-batch", "finish"),
        )
    )  # fmt: skip
    for option in set(re.findall(r"`(--[a-z0-9-]+)", README)) - {"--no-deps"}:
        assert option in helps, option
    for link in re.findall(r"\]\(([\w./#-]+)\)", README):
        name, _, section = link.partition("#")
        assert (ROOT / name).exists(), link
        headings = re.findall(r"^#+ (.+)$", (ROOT / name).read_text(), re.MULTILINE) if section else []
        assert not section or section in [heading.lower().replace(" ", "-") for heading in headings], link
