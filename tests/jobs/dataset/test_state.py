"""run.json: what is read from it, what is not believed, and which runs are told apart."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from jobs.dataset.state import COMPLETE, REJECTED, REMOVING, RUNNING, RunState, SessionFacts, fingerprint
from jobs.stores.local_store import LocalStore
from models.errors import CommandError, ExitCode
from models.mix import Mix
from tests.conftest import fails_in_one_line, run_in_process
from tests.jobs.conftest import batch

FACTS = SessionFacts(
    model_sha256="ab" * 32, z_dim=8, width=128, height=96, channels=1, provider="CPUExecutionProvider",
    reason="as asked", onnxruntime="1.31.1", image_bytes=7000,
)  # fmt: skip
OURS = fingerprint(FACTS, seed=2**64 - 1, shard_size=100)


def refused(call: Callable[[], object], code: ExitCode) -> str:
    """Assert that `call` raises `code`; returns the message."""
    with pytest.raises(CommandError) as error:
        call()
    assert error.value.exit_code is code
    return str(error.value)


def changed(**values: object) -> bytes:
    """A run.json of which some fields are others; `...` removes one."""
    content: dict[str, Any] = {"state": COMPLETE, "count": 130, "fingerprint": dict(OURS)}
    for name, value in values.items():
        place = content if name in content else content["fingerprint"]
        place[name] = value
        if value is ...:
            del place[name]
    return json.dumps(content).encode()


# What is read


@pytest.mark.parametrize("state", [RUNNING, COMPLETE, REJECTED, REMOVING])
def test_state_survives_the_disk(state: str, tmp_path: Path) -> None:
    written = RunState(state, 130, OURS)
    written.write(LocalStore(tmp_path))
    assert RunState.read(LocalStore(tmp_path)) == written
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_equal_runs_have_equal_files(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        RunState(COMPLETE, 130, fingerprint(FACTS, 5, 100)).write(LocalStore(tmp_path / name))
    assert (tmp_path / "one" / "run.json").read_bytes() == (tmp_path / "other" / "run.json").read_bytes()


@pytest.mark.parametrize("place", ["empty", "none", "file", "file/below"])
def test_there_is_no_state_where_there_is_no_run(place: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    assert RunState.read(LocalStore(tmp_path / place)) is None
    assert str(tmp_path / place) in refused(lambda: RunState.of(LocalStore(tmp_path / place)), ExitCode.NO_INPUT)


def test_folder_in_the_place_of_run_json_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "run.json").mkdir()
    assert str(tmp_path / "run.json") in refused(lambda: RunState.read(LocalStore(tmp_path)), ExitCode.CANNOT_WRITE)


# What is not believed

DAMAGED = {
    "empty": b"",
    "zeros": b"\0" * 400,
    "cut off": changed()[:-20],
    "not UTF-8": b"\xff\xfe",
    "list": b"[]",
    "null": b"null",
    "number": b"1",
    "no fingerprint": b'{"state": "complete", "count": 130}',
    "fingerprint null": b'{"state": "complete", "count": 130, "fingerprint": null}',
    "fingerprint a list": b'{"state": "complete", "count": 130, "fingerprint": ["seed"]}',
    "nested without end": b"[" * 100_000,
    "no state": changed(state=...),
    "no count": changed(count=...),
    "count a text": changed(count="130"),
    "count a fraction": changed(count=130.0),
    "count a truth": changed(count=True),
    **{f"no {name}": changed(**{name: ...}) for name in ("seed", "width", "height", "channels", "z_dim", "shard_size")},
    "seed a text": changed(seed="5"),
    "seed null": changed(seed=None),
    "seed a power": b'{"state": "complete", "count": 1, "fingerprint": {"seed": 1e400}}',
    "seed of 5000 digits": changed(seed=1).replace(b'"seed": 1', b'"seed": ' + b"1" * 5000),
    "shard size a truth": changed(shard_size=True),
    # With these a run could not be looked at.
    "shard size 0": changed(shard_size=0),
    "shard size below 0": changed(shard_size=-5),
    "count below 0": changed(count=-130),
    "no provider": changed(provider=...),
    "no model": changed(model_sha256=...),
    **{f"mix {mix!r}": changed(mix=mix) for mix in (3, None, "", "a", "a=0", "a=2,b=4", "a=1,b=999999999", ["a=1"])},
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_damaged_run_json_is_refused_and_stays_as_it_is(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(DAMAGED[damage])
    for read in (RunState.read, RunState.of):
        assert str(path) in refused(partial(read, LocalStore(tmp_path)), ExitCode.BAD_DATA)
    assert path.read_bytes() == DAMAGED[damage]


@pytest.mark.parametrize("command", [["status"], ["verify"], ["verify", "--repair"], ["regen", "--index", "3"]])
def test_every_command_refuses_a_damaged_run_json_in_one_line(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(DAMAGED["cut off"])
    fails_in_one_line(run_in_process("gan-batch", *command, tmp_path), 65, str(tmp_path / "run.json"))
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_run_into_a_folder_with_a_damaged_run_json_is_refused_in_one_line(model: Path, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(DAMAGED["shard size 0"])
    fails_in_one_line(run_in_process(*batch(model, tmp_path, 10)), 65, str(tmp_path / "run.json"))
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


# Which runs are told apart


def test_run_is_not_refused_to_itself(tmp_path: Path) -> None:
    RunState(COMPLETE, 130, OURS).refuse_other(tmp_path, dict(reversed(OURS.items())))


@pytest.mark.parametrize("field", OURS)
def test_each_field_that_differs_is_named_with_both_values(field: str, tmp_path: Path) -> None:
    was = OURS[field]
    now = was - 1 if isinstance(was, int) else f"{was}, changed"
    refuse = RunState(COMPLETE, 130, OURS).refuse_other
    message = refused(lambda: refuse(tmp_path, {**OURS, field: now}), ExitCode.OTHER_RUN)
    assert f"{tmp_path} belongs to another run: {field} was {was} and is {now}; name another `out`" == message


def test_all_fields_that_differ_are_named_at_once(tmp_path: Path) -> None:
    theirs = {**OURS, "seed": 6, "encoder": "another"}
    message = refused(lambda: RunState(COMPLETE, 130, OURS).refuse_other(tmp_path, theirs), ExitCode.OTHER_RUN)
    assert message.count(" was ") == 2
    assert f"encoder was {OURS['encoder']} and is another, seed was {2**64 - 1} and is 6" in message


@pytest.mark.parametrize("missing_here", [True, False])
def test_field_that_only_one_of_the_runs_has_is_a_difference(missing_here: bool, tmp_path: Path) -> None:
    fewer = {name: value for name, value in OURS.items() if name != "encoder"}
    pair = (fewer, OURS) if missing_here else (OURS, fewer)
    message = refused(lambda: RunState(COMPLETE, 130, pair[0]).refuse_other(tmp_path, pair[1]), ExitCode.OTHER_RUN)
    assert "encoder was None" in message or "and is None" in message


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(SessionFacts)])
def test_fingerprint_tells_apart_all_that_decides_the_bytes(name: str) -> None:
    value = getattr(FACTS, name)
    other = dataclasses.replace(FACTS, **{name: value + 1 if isinstance(value, int) else f"{value}."})
    differs = fingerprint(other, 2**64 - 1, 100) != OURS
    assert differs == (name not in ("reason", "image_bytes", "faults", "class_names"))  # words, or the file decides


def test_fingerprint_tells_apart_mixes_and_has_none_where_there_are_no_classes() -> None:
    even, uneven = (fingerprint(FACTS, 5, 100, mix=Mix(("a", "b"), shares)) for shares in ((1, 1), (2, 1)))
    assert (even["mix"], uneven["mix"]) == ("a=1,b=1", "a=2,b=1")
    assert "mix" not in OURS


def test_fingerprint_tells_apart_seed_and_shard_size() -> None:
    assert fingerprint(FACTS, 5, 100) != fingerprint(FACTS, 6, 100) != fingerprint(FACTS, 6, 50)
