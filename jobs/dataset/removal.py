"""What of a run's files goes: what a kill left, what a larger run left, or all. What is not ours stays."""

from __future__ import annotations

from collections.abc import Callable

from jobs.dataset.formats import numbers
from jobs.dataset.layout import FILES, MANIFESTS, MEASURES, PARQUET, PARQUET_PART, PART_FILE, TABLE, TEMPORARY
from jobs.dataset.plan import Plan
from jobs.dataset.state import RunState
from jobs.stores.store import Store


def remove_temporaries(store: Store, plan: Plan) -> None:
    """Remove what a kill left, but for that in a shard's folder; for the holder of the whole run."""
    roots = [format.root for format in plan.formats]
    store.remove_temporaries(dict.fromkeys((".", MANIFESTS, MEASURES, PARQUET, *roots)), TEMPORARY.fullmatch)


def remove_beyond(store: Store, plan: Plan, count: int) -> None:
    """Remove images that a larger run left, of one that is to hold `count`."""
    last = plan.shards(count) - 1
    for format in plan.formats:
        for number in numbers(store, format):
            if number > last:
                format.remove(store, number)
        format.begin(store, plan.shard(last, count))


def remove_run(store: Store, state: RunState, check: Callable[[], None]) -> None:
    """Remove all of a run, and its folder where nothing else is in it; `check` is called for each shard."""
    plan = Plan.of(state.fingerprint)
    remove_temporaries(store, plan)
    for folder in (MANIFESTS, MEASURES):  # first: without them no image counts, should a run go on in what is left
        store.remove(folder, filter(TABLE.fullmatch, store.names(folder)))
    for format in plan.formats:
        for number in numbers(store, format):
            check()
            format.remove(store, number)
        if format.root != ".":
            store.remove(format.root, [])
    store.remove(PARQUET, filter(PARQUET_PART.fullmatch, store.names(PARQUET)))
    store.remove(".", [*filter(PART_FILE.fullmatch, store.names()), *FILES])
