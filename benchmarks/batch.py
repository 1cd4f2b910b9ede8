"""gan-batch against the bare session and against the plain loop, interleaved in one process run.

python benchmarks/batch.py
python benchmarks/batch.py labels      the last two rows alone

(a) the bare session: the same batches from as many threads as cores, nothing encoded, nothing written
(b) encode and write ready images, from as many processes as cores, flushed to disk
(c) gan-batch from start to end: start-up, latents, images, PNG, files, flush, manifests, quality gate, contact sheet
(d) the loop everybody writes: PyTorch, batches of 64, torchvision.utils.save_image for each image
(e) gan-batch as in (c), with a generator of the default size and random weights
(f) the same with one of seven classes

Nothing is deleted before the end: ext4 does not use an inode again soon after its file was deleted, and looks for
another one by one, so that a run shortly after a deletion measures that.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.utils import save_image

import models
from export.onnx_exporter import export_onnx
from gan.config import TrainConfig
from gan.networks.architectures import new_generator
from gan.networks.dcgan import DCGAN
from jobs.dataset import layout, manifest, png
from jobs.dataset.formats import Folders
from jobs.dataset.manifest import Row
from jobs.dataset.state import COMPLETE, RunState, fingerprint
from jobs.stores.local_store import LocalStore
from jobs.workers.engine import BATCH_SIZE
from jobs.workers.machine import available_cores
from jobs.workers.session import GeneratorSession
from models.providers import CPU

COUNT, READY_COUNT, PLAIN_COUNT, ROUNDS, LABEL_ROUNDS = 20_000, 20_000, 640, 3, 4
CLASSES = ("crack", "dent", "hole", "pit", "rust", "scratch", "stain")
MEMORY_COUNTS = 10_000, 50_000
SCAN_COUNT, SHARD_SIZE = 100_000, 1000
IMAGES = Folders(layout.IMAGES)
COMMAND = Path(sysconfig.get_path("scripts"), "gan-batch")


def bare(session: GeneratorSession, count: int) -> float:
    """(a) in images a second."""
    batch = BATCH_SIZE[CPU]
    inputs = session.inputs(1, 0, batch)
    start = time.monotonic()
    with ThreadPoolExecutor(available_cores()) as pool:
        list(pool.map(lambda _: session.pixels(inputs, batch), range(count // batch)))
    return count / (time.monotonic() - start)


def write_ready(folder: Path, pixels: NDArray[np.uint8], count: int) -> None:
    """Encode and write `pixels` again and again, `count` images in all, in folders of a shard's size."""
    store = LocalStore(folder)
    for shard in range(count // SHARD_SIZE):
        store.make_folder(IMAGES.place(shard))
        for start in range(0, SHARD_SIZE, len(pixels)):
            for index, content in enumerate(png.encode(pixels), start=shard * SHARD_SIZE + start):
                store.write(IMAGES.image(index, shard), content)
        store.commit({f"{shard}.csv": b""})


def ready(folder: Path, pixels: NDArray[np.uint8], count: int) -> float:
    """(b) in images a second."""
    cores = available_cores()
    folders = [folder / str(core) for core in range(cores)]
    for path in folders:
        path.mkdir(parents=True)
    with ProcessPoolExecutor(cores) as pool:
        list(pool.map(abs, range(cores)))  # the processes are there
        start = time.monotonic()
        list(pool.map(write_ready, folders, [pixels] * cores, [count // cores] * cores))
        return count / (time.monotonic() - start)


def whole(folder: Path, count: int, model: Path | None = None) -> float:
    """(c) in images a second, or of another model."""
    start = time.monotonic()
    finish(begin(folder, count, model))
    return count / (time.monotonic() - start)


def random_model(path: Path, class_names: tuple[str, ...]) -> Path:
    """The file of a generator that nobody trained; its batch norms fit what it makes, so that images differ."""
    torch.manual_seed(0)
    generator = new_generator(TrainConfig.of(class_names=class_names))
    for module in generator.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the statistics are those of the next batch
    with torch.no_grad():
        generator.train()(**generator.draw(64, torch.Generator()))
    warnings.simplefilter("ignore")  # torch.onnx warns its own developers
    export_onnx(generator.eval(), path, batch_check=[1], training={"class_names": list(class_names)})
    return path


def labels(folder: Path) -> None:
    """Print (e) and (f), and the ratio of each round, whose two runs follow one another in turn."""
    folder.mkdir()
    compare(folder, {"e": random_model(folder / "e.onnx", ()), "f": random_model(folder / "f.onnx", CLASSES)})


def compare(folder: Path, files: dict[str, Path]) -> None:
    """What `labels` prints of two files."""
    rates: dict[str, list[float]] = {"e": [], "f": []}
    seconds: dict[str, list[float]] = {"e": [], "f": []}
    for turn in range(LABEL_ROUNDS):
        for name in ("ef", "fe")[turn % 2]:
            before = cpu_seconds()
            rates[name].append(whole(folder / f"{name}{turn}", COUNT, files[name]))
            seconds[name].append(cpu_seconds() - before)
    ratios = [f / e for e, f in zip(rates["e"], rates["f"], strict=True)]
    of_cpu = [e / f for e, f in zip(seconds["e"], seconds["f"], strict=True)]
    print(f"(e) without labels {statistics.median(rates['e']):6.0f} images/s (median)")
    by_round = ", ".join(f"{ratio:.3f}" for ratio in ratios)
    print(
        f"(f) 7 classes      {statistics.median(rates['f']):6.0f} images/s, {statistics.median(ratios):.3f} × (e), by "
        f"round {by_round}; images a CPU second {statistics.median(of_cpu):.3f} × (e)"
    )


def most_memory(folder: Path, count: int) -> float:
    """The most that all processes of a run had at once, in MB (proportional set size)."""
    process, most = begin(folder, count), 0.0
    while process.poll() is None:
        most = max(most, memory(process.pid))
        time.sleep(0.5)
    finish(process)
    return most


def begin(folder: Path, count: int, model: Path | None = None) -> subprocess.Popen[str]:
    """Start a run of a model, by default the bundled one; the gate judges, and lets random images pass."""
    command = [COMMAND, "--model", model or models.path(), "--count", count, "--seed", 1, "--device", "cpu"]
    command += ["--out", folder, "--quality-gate", "warn" if model else "fail"]
    return subprocess.Popen([str(part) for part in command], stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> None:
    """Wait for a run."""
    _, log = process.communicate()
    if process.returncode:
        sys.exit(log)


def memory(pid: int) -> float:
    """Of a process and its children, in MB."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        lines = [Path(f"/proc/{one}/smaps_rollup").read_text().splitlines() for one in (pid, *children)]
    except OSError:  # one has just ended
        return 0.0
    return sum(int(line.split()[1]) for some in lines for line in some if line.startswith("Pss:")) / 1000


@torch.no_grad()
def plain(folder: Path, generator: DCGAN, textures: torch.Tensor, count: int) -> float:
    """(d) in images a second. What is saved are the bundled model's images, since an untrained one's are flat gray."""
    folder.mkdir()
    start = time.monotonic()
    for first in range(0, count, 64):
        generator(torch.randn(64, generator.z_dim))
        for number, image in enumerate(textures, start=first):
            save_image(image, f"{folder}/{number:06d}.png", normalize=True, value_range=(-1, 1))
    return count / (time.monotonic() - start)


def flush_seconds(folder: Path, pixels: NDArray[np.uint8]) -> float:
    """How long the commit of a shard's images takes, the best of five."""
    store, best = LocalStore(folder), float("inf")
    folder.mkdir()
    for shard in range(5):
        store.make_folder(IMAGES.place(shard))
        for index in range(SHARD_SIZE):
            store.write(IMAGES.image(index, shard), next(png.encode(pixels[:1])))
        start = time.monotonic()
        store.commit({f"{shard}.csv": b""})
        best = min(best, time.monotonic() - start)
    return best


def scan_seconds(folder: Path, session: GeneratorSession) -> tuple[float, float]:
    """`gan-batch status` of a run of 100,000 images, whole; and the scan with which a run is resumed."""
    store = LocalStore(folder)
    folder.mkdir()
    store.make_folder(layout.MANIFESTS)
    for shard in range(SCAN_COUNT // SHARD_SIZE):
        indices = range(shard * SHARD_SIZE, (shard + 1) * SHARD_SIZE)
        rows = [Row(index, IMAGES.image(index, shard), 1, "0" * 64, 128, 128, "L", 7000) for index in indices]
        store.write(layout.manifest_name(shard), manifest.to_csv(rows))
    RunState(COMPLETE, SCAN_COUNT, fingerprint(session.facts, 1, SHARD_SIZE)).write(store)
    start = time.monotonic()
    subprocess.run([COMMAND, "status", folder], check=True, stdout=subprocess.DEVNULL)
    status = time.monotonic() - start
    start = time.monotonic()
    manifest.committed(LocalStore(folder), SHARD_SIZE)
    return status, time.monotonic() - start


def cpu_seconds() -> float:
    """CPU time of all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def help_cpu_seconds() -> float:
    """CPU time of `gan-batch --help`, the best of five."""
    best = float("inf")
    for _ in range(5):
        before = cpu_seconds()
        subprocess.run([COMMAND, "--help"], check=True, stdout=subprocess.DEVNULL)
        best = min(best, cpu_seconds() - before)
    return best


def main() -> None:
    """Print the best of the rounds and their ratios, then memory and start-up."""
    session = GeneratorSession(models.path(), "cpu")
    generator = DCGAN().eval()  # what was bundled before the shift generator, which (a) and (c) now make images with
    pixels = session.pixels(session.inputs(1, 0, 64), 64)
    textures = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 127.5 - 1
    rates: dict[str, list[float]] = {"a": [], "b": [], "c": [], "d": []}
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCHMARK_FOLDER")) as folder:
        here = Path(folder)
        for turn in range(ROUNDS):
            rates["a"].append(bare(session, COUNT // 2))
            rates["b"].append(ready(here / f"b{turn}", pixels[:50], READY_COUNT))
            rates["c"].append(whole(here / f"c{turn}", COUNT))
            rates["d"].append(plain(here / f"d{turn}", generator, textures, PLAIN_COUNT))
            print("  ".join(f"({name}) {values[-1]:.0f}" for name, values in rates.items()), file=sys.stderr)
        best = {name: max(values) for name, values in rates.items()}
        print(f"(a) bare session   {best['a']:6.0f} images/s")
        print(f"(b) encode + write {best['b']:6.0f} images/s")
        print(f"(c) gan-batch      {best['c']:6.0f} images/s, {best['c'] / best['a']:.3f} × (a)")
        print(f"(d) plain loop     {best['d']:6.0f} images/s, (c) is {best['c'] / best['d']:.1f} × (d)")
        flush, shard = flush_seconds(here / "flush", pixels), SHARD_SIZE / best["c"]
        print(f"a shard's commit   {flush * 1000:.0f} ms, {flush / shard:.1%} of the time that the shard takes")
        few, many = (most_memory(here / f"memory{count}", count) for count in MEMORY_COUNTS)
        print(f"memory             {few:.0f} MB for 10,000 images, {many:.0f} MB for 50,000: {many / few:.3f} ×")
        status, scan = scan_seconds(here / "scan", session)
        print(f"100,000 images     status {status:.2f} s, scan for a resume {scan:.3f} s")
        labels(here / "labels")
    print(f"gan-batch --help   {help_cpu_seconds():.2f} s of CPU")


if __name__ == "__main__":
    if sys.argv[1:] == ["labels"]:
        with tempfile.TemporaryDirectory(dir=os.environ.get("BENCHMARK_FOLDER")) as alone:
            labels(Path(alone, "labels"))
    else:
        main()
