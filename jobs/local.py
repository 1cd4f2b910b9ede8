"""A run on this machine: who may write the folder, what is left to do, workers, the end."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import onnxruntime

from jobs import manifest, png
from jobs.session import PROVIDERS, GeneratorSession
from jobs.shard import image_name, make_shards, plan
from jobs.sheet import contact_sheet
from jobs.store import LocalStore
from models.console import CommandError, ExitCode, Progress, Stop, log, writing_error
from models.latents import SCHEME

DEFAULT_SHARD_SIZE = 1000
BATCH_SIZE = {"cpu": 50, "cuda": 250}
"""Both divide the default shard size, so no batch is smaller than the others."""
SHEET_IMAGES = 64
MANIFEST, SHEET = "manifest.csv", "contact_sheet.png"


@dataclasses.dataclass(frozen=True)
class RunResult:
    """What a call of `run_batch` did.

    Attributes:
        out: the run's folder.
        seed: of its latents.
        count: images in the folder.
        made: images that this call made; 0 where everything was there.
        seconds: that it took to make them.
        provider: the execution provider.
    """

    out: Path
    seed: int
    count: int
    made: int
    seconds: float
    provider: str


def run_batch(
    model: Path,
    out: Path,
    count: int,
    *,
    seed: int | None = None,
    batch_size: int | None = None,
    shard_size: int = DEFAULT_SHARD_SIZE,
    workers: int | None = None,
    device: str = "auto",
) -> RunResult:
    """Make images 0 to `count - 1` of (model, seed) in `out`, or what is still missing of them.

    Args:
        model: an ONNX file of `gan-export`.
        out: the run's folder; made where it is not there.
        count: images that the folder shall hold; more than before extends it.
        seed: 0 to 2⁶⁴ - 1; by default that of the run in `out`, else today's date as a number.
        batch_size: images a batch; by default 50 on the CPU and 250 on CUDA.
        shard_size: images a folder.
        workers: threads; by default as many as this process has cores.
        device: `auto`, `cuda` or `cpu`; `auto` keeps to what a run in `out` began with.

    Raises:
        CommandError: the exit code says what: 65, 66, 69, 76 the model or the device (see `GeneratorSession`);
            73, 74 writing; 75 another process holds `out`; 78 `out` belongs to another run; 130, 143 a signal.
    """
    state = _read_state(out)
    fingerprint = state.get("fingerprint", {})
    if device == "auto" and fingerprint.get("provider") in PROVIDERS.values():
        device = {provider: name for name, provider in PROVIDERS.items()}[fingerprint["provider"]]
        log.info("keeping the device that the run in %s began with", out)
    if seed is None:
        seed = fingerprint.get("seed", int(time.strftime("%Y%m%d")))
    session = GeneratorSession(model, device)
    try:
        out.mkdir(parents=True, exist_ok=True)
        store = LocalStore(out)
    except OSError as error:
        raise writing_error(error) from None
    try:
        _refuse_foreign_folder(store)
        store.lock()  # writes a file, so that a place that cannot be written is known before the work
        state = _read_state(out)  # again: now nobody else can change it
        fingerprint = _fingerprint(session, seed, shard_size)
        _refuse_other_run(out, state, fingerprint)
        run = _Run(store, session, state, fingerprint, count, seed, shard_size)
        if run.is_complete:
            log.info("%s is complete: %d images", out, run.count)
            return RunResult(out, seed, run.count, 0, 0.0, session.provider)
        return run.finish(batch_size or BATCH_SIZE["cuda" if session.on_gpu else "cpu"], workers or available_cores())
    finally:
        store.close()


class _Run:
    """One call's view of a run: what it is, and what is left to do."""

    def __init__(
        self,
        store: LocalStore,
        session: GeneratorSession,
        state: dict[str, Any],
        fingerprint: dict[str, Any],
        count: int,
        seed: int,
        shard_size: int,
    ) -> None:
        self.store, self.session, self.fingerprint = store, session, fingerprint
        self.seed = seed
        done = manifest.committed(store.root / manifest.FOLDER, shard_size)
        before = state.get("count", 0) if state.get("state") == "complete" else 0
        self.count = max([count, before, *done.values()])  # a smaller count than before takes nothing away
        self.missing = self.count - sum(stop - number * shard_size for number, stop in done.items())
        self.pending = (shard for shard in plan(self.count, shard_size) if done.get(shard.number, 0) < shard.stop)
        made_at_end = all((store.root / name).exists() for name in (MANIFEST, SHEET))
        self.is_complete = self.missing == 0 and before == self.count and made_at_end

    def finish(self, batch_size: int, workers: int) -> RunResult:
        """Make what is missing, then the manifest, the contact sheet, and last the state `complete`."""
        store, session = self.store, self.session
        self._write_state("running")
        (store.root / manifest.FOLDER).mkdir(exist_ok=True)
        log.info(
            "%s: %d of %d images to make, seed %d, %s, %d workers, batches of %d",
            store.root, self.missing, self.count, self.seed, session.provider, workers, batch_size,
        )  # fmt: skip
        self._log("start", missing=self.missing, count=self.count, workers=workers, batch_size=batch_size)
        start = time.monotonic()
        with (
            Stop() as stop,
            ThreadPoolExecutor(workers, "batch") as pool,
            Progress("generating", self.count, "images", done=self.count - self.missing) as progress,
        ):

            def on_batch(images: int) -> None:
                progress.update(images)
                if stop:
                    raise stop.error("committed shards stay: run the same command again to continue")

            try:
                for shard in make_shards(
                    self.pending, session, store, self.seed, batch_size, pool, 3 * workers, on_batch
                ):
                    self._log("shard", number=shard.number, images=shard.stop - shard.start)
            except CommandError as error:
                self._log("stopped", reason=str(error))
                raise
        size = self.fingerprint["shard_size"]
        store.commit(MANIFEST, manifest.assemble(store.root, -(-self.count // size)))
        shown = min(SHEET_IMAGES, self.count)
        indices = [place * self.count // shown for place in range(shown)]
        store.commit(SHEET, contact_sheet(store.root, [image_name(index, index // size) for index in indices]))
        seconds = time.monotonic() - start
        self._write_stats(seconds, workers, batch_size)
        self._log("complete", seconds=round(seconds, 3))
        self._write_state("complete")
        return RunResult(store.root, self.seed, self.count, self.missing, seconds, session.provider)

    def _write_state(self, state: str) -> None:
        content = {"state": state, "count": self.count, "fingerprint": self.fingerprint}
        self.store.commit("run.json", (json.dumps(content, indent=2) + "\n").encode())

    def _write_stats(self, seconds: float, workers: int, batch_size: int) -> None:
        content = {
            "images": self.missing,
            "seconds": round(seconds, 3),
            "images_per_second": round(self.missing / seconds, 1),
            "workers": workers,
            "batch_size": batch_size,
            "provider": self.session.provider,
            "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "system": platform.platform()},
        }
        self.store.write("stats.json", (json.dumps(content, indent=2) + "\n").encode())

    def _log(self, event: str, **fields: object) -> None:
        row = {"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "event": event, **fields}
        with open(self.store.root / "log.jsonl", "a") as file:
            file.write(json.dumps(row) + "\n")


def _fingerprint(session: GeneratorSession, seed: int, shard_size: int) -> dict[str, Any]:
    """All that decides the bytes of the images and where they lie; the count is not in it."""
    info = session.info
    return {
        "model_sha256": session.model_sha256,
        "seed": seed,
        "latent_scheme": SCHEME,
        "z_dim": info.z_dim,
        "width": info.width,
        "height": info.height,
        "channels": info.channels,
        "shard_size": shard_size,
        "encoder": png.ENCODER,
        "provider": session.provider,
        "onnxruntime": onnxruntime.__version__,
    }


def _read_state(out: Path) -> dict[str, Any]:
    try:
        state = json.loads((out / "run.json").read_text())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise CommandError(ExitCode.CANNOT_WRITE, f"cannot read {out / 'run.json'}: {error.strerror}") from None
    except ValueError:
        state = None
    if not isinstance(state, dict) or not isinstance(state.get("fingerprint"), dict):
        raise CommandError(ExitCode.BAD_DATA, f"{out / 'run.json'} is damaged: name another --out")
    return state


def _refuse_foreign_folder(store: LocalStore) -> None:
    # Listed before run.json is looked for: a run that begins meanwhile writes that first.
    others = [name for name in store.names() if not name.startswith(".")]
    if others and not _read_state(store.root):
        raise CommandError(
            ExitCode.CANNOT_WRITE, f"{store.root} is no run of gan-batch but holds {others[0]}: name another --out"
        )


def _refuse_other_run(out: Path, state: dict[str, Any], fingerprint: dict[str, Any]) -> None:
    if not state:
        return
    theirs = state["fingerprint"]
    differing = sorted(name for name in fingerprint.keys() | theirs.keys() if fingerprint.get(name) != theirs.get(name))
    if differing:
        named = ", ".join(f"{name} was {theirs.get(name)} and is {fingerprint.get(name)}" for name in differing)
        raise CommandError(ExitCode.OTHER_RUN, f"{out} belongs to another run: {named}; name another --out")


def available_cores() -> int:
    """Cores that this process may use, which in a container can be fewer than the machine has."""
    return len(os.sched_getaffinity(0))
