"""What the page of `gan-export page` calculates, in Node.js: the latents of an image, and numbers made of signs."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from typing import Any

import numpy as np
import pytest

from models.latents import latent_block, stream_of
from tests.conftest import ROOT


def node(program: str, *files: str) -> Any:
    """What a program prints as JSON that has read files of the page."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("no Node.js on this machine")
    code = "".join((ROOT / "export/browser" / name).read_text() for name in files) + program
    result = subprocess.run([found, "-"], input=code, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


STREAMS = [(0, 0, 6, 0), (20261122, 3, 128, 0), (2**64 - 1, 976562499, 5, 0), (2**53 + 1, 1, 3, stream_of("w"))]


def test_stream_in_javascript_is_that_of_numpy() -> None:
    jobs = ",".join(f"[{seed}n,{block},{length},{stream}n]" for seed, block, length, stream in STREAMS)
    program = f"""
const blocks = [{jobs}].map((job) => Buffer.from(latentBlock(...job).buffer).toString('base64'));
console.log(JSON.stringify(blocks));"""
    for (seed, block, length, stream), text in zip(STREAMS, node(program, "stream.js"), strict=True):
        found = np.frombuffer(base64.b64decode(text), np.float32).reshape(1024, length)
        assert np.abs(found - latent_block(seed, block, length, stream)).max() <= 1e-6


def test_signs_are_numbers_that_go_round_and_keep_sizes() -> None:
    program = """
const z = Float32Array.of(0.5, -2, 3, -0.25), bits = [0, 1, 2];
const all = [0, 1, 5, 7, 8, -1].map((number) => withNumber(z, bits, number));
console.log(JSON.stringify([numberOf(z, bits), all.map((each) => [numberOf(each, bits), ...each])]));"""
    number, found = node(program, "latent.js")
    assert number == 0b101
    assert [row[0] for row in found] == [0, 1, 5, 7, 0, 7]
    assert {tuple(map(abs, row[1:])) for row in found} == {(0.5, 2, 3, 0.25)}
    assert {row[4] for row in found} == {-0.25}, "a latent that is none of these bits"
