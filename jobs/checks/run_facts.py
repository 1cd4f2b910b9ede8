"""What there is to tell of a run: pictures of each class, the judgement, origin, checks and times."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.checks.looks import Committed, DefectSample, Looks, looks, measured
from jobs.checks.status import Status, read_status
from jobs.dataset import table
from jobs.dataset.layout import LOG, PART_FILE, QUALITY, STATS
from jobs.dataset.plan import Plan
from jobs.dataset.state import COMPLETE, RunState
from jobs.stores.store import Store
from jobs.workers.model import model_of_run
from models.errors import CommandError, ExitCode
from models.info import GeneratorInfo

MOST_EVENTS = 50
"""Lines of the log on the page, the last ones; those of single shards are not among them."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        what: it is.
        found: in words.
        is_good: None where it could not be asked.
    """

    what: str
    found: str
    is_good: bool | None


@dataclass(frozen=True)
class RunReport:
    """All that the page tells.

    Attributes:
        place: the run's folder or address.
        status, state, plan: of it.
        committed: its images that are there.
        looks: pictures of its classes.
        quality: what is in quality.json; None where the gate did not judge.
        measured: what its defects are like; None where that could not be asked.
        info: what the model's file says of itself; None where the file is not at hand.
        checks: what was looked at.
        events: of its logs, by time, but for shards.
        stats: what stats.json says, or those of its parts.
    """

    place: str
    status: Status
    state: RunState
    plan: Plan
    committed: Committed
    looks: tuple[Looks, ...]
    quality: dict[str, Any] | None
    measured: DefectSample | None
    info: GeneratorInfo | None
    checks: tuple[Check, ...]
    events: tuple[dict[str, Any], ...]
    stats: tuple[dict[str, Any], ...]


def read_report(store: Store, model: Path | str | None = None) -> RunReport:
    """What there is to tell of a run; see `jobs.report`."""
    found_status, state, done = read_status(store)
    plan = Plan.of(state.fingerprint)
    committed = Committed(plan, done)
    checks = list(_checks(store, state, done))
    pictures: tuple[Looks, ...] = ()
    found = None
    try:
        pictures = tuple(looks(store, plan, committed))
        found = measured(store, plan, committed) if done else None
        if found and found.as_wanted is not None:
            text = f"{found.as_wanted} of {found.images} are: {plan.wish}"
            checks.append(Check("images as wanted", text, found.as_wanted == found.images))
    except ImportError:
        pass  # the page says so
    except CommandError as error:
        checks.append(Check("pictures", str(error), False))
    info, proof = _model(store, state, model)
    return RunReport(
        place=str(store),
        status=found_status,
        state=state,
        plan=plan,
        committed=committed,
        looks=pictures,
        quality=_object(store.read(QUALITY)),
        measured=found,
        info=info,
        checks=(*checks, proof),
        events=tuple(_events(store))[-MOST_EVENTS:],
        stats=tuple(said for name in _own(store, STATS, ".json") if (said := _object(store.read(name)))),
    )


def _checks(store: Store, state: RunState, done: dict[int, int]) -> Iterable[Check]:
    size = state.fingerprint["shard_size"]
    there, shards = sum(stop - number * size for number, stop in done.items()), -(-state.count // size)
    yield Check("shards", f"{len(done)} of {shards} are committed, {there:,} images", there == state.count)
    if state.state != COMPLETE:
        return
    if not table.is_there(store, table.form_of(store)):
        yield Check("manifest", "it is not there", False)
        return
    try:
        wrong = next(iter(table.differences(store, shards)), None)
        text = "the rows of all shards, and no others" if wrong is None else wrong[1]
        yield Check("manifest", text, wrong is None)
    except CommandError as error:  # Parquet without its package
        yield Check("manifest", str(error), None)


def _model(store: Store, state: RunState, model: Path | str | None) -> tuple[GeneratorInfo | None, Check]:
    """What the model's file says of itself, and whether it gives its golden images here.

    Raises:
        CommandError: see `jobs.report`.
    """
    from jobs.workers.session import GeneratorSession

    what = "model"
    try:
        path = model_of_run(store, state, model)
    except CommandError as error:
        if model is not None or error.exit_code != ExitCode.OTHER_RUN:
            raise
        return None, Check(what, "its file is not at hand: its hash alone is known", None)
    session = GeneratorSession(path, "cpu")
    if session.model_sha256 != state.fingerprint["model_sha256"]:
        raise CommandError(
            ExitCode.OTHER_RUN,
            f"the run was made with a model of sha256 {state.fingerprint['model_sha256']}, {path} has "
            f"{session.model_sha256}: name the right one with `model`",
        )
    return session.info, Check(what, f"{path} gives its golden images on this machine", True)


def _own(store: Store, name: str, ending: str) -> list[str]:
    """A file of the run, and those that its parts have in its place."""
    begin = name.removesuffix(ending)
    return [each for each in store.names() if each == name or (PART_FILE.fullmatch(each) and each.startswith(begin))]


def _events(store: Store) -> list[dict[str, Any]]:
    lines = [line for name in _own(store, LOG, ".jsonl") for line in (store.read(name) or b"").splitlines()]
    rows = [row for line in lines if (row := _object(line)) and row.get("event") != "shard"]
    return sorted(rows, key=lambda row: str(row.get("time")))


def _object(content: bytes | None) -> dict[str, Any] | None:
    """A JSON object; None where there is none, or it is damaged: the page leaves out what it would have said."""
    try:
        found = json.loads(content or b"")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
