"""A trained generator to a `torch.export` file, with the ONNX file's evidence, for programs that stay in PyTorch."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from export.exported import Inputs, example, outputs
from export.gate import write_proven
from export.parity import ParityReport
from gan.networks.architectures import generator_of
from gan.networks.generator import Generator
from models.errors import CommandError, ExitCode, first_line, memory_error
from models.files import write_file
from models.golden import InfoError, Run
from models.info import GeneratorInfo

EVIDENCE = "generator.json"
"""Name of the extra file with the `models.info.GeneratorInfo`."""
_PREFIX = "generator."
_KINDS = {5: torch.int64, 7: torch.float32}
"""What a `.pt2` calls the kinds of numbers that a state dict of ours holds."""


class _WithOutputs(nn.Module):
    """The generator as trained, so that its weights can be read from the file again, and the file's outputs."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, z: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        given = self.generator(z, *others)
        return outputs(*(given if isinstance(given, tuple) else (given,)))


def export_torch(
    generator: Generator,
    path: Path,
    *,
    batch_check: Sequence[int] | None = None,
    atol: float | None = None,
    training: dict[str, Any] | None = None,
    overwrite: bool = False,
) -> ParityReport:
    """Export as a program of `torch.export`, compare with PyTorch, and only then let the file appear at `path`.

    `torch.export.load(path).module()` takes the generator's inputs in their order, `z` float32 `[N, z_dim]` first, and
    gives `images` float32 `[N, C, H, W]` in [-1, 1], `pixels` uint8 `[N, H, W, C]` and, of a generator that has them,
    `masks` uint8 `[N, H, W]`, 0 or 255.

    Args:
        generator, path, batch_check, atol, training, overwrite: as of `export_onnx`.

    Returns:
        Every comparison that was made; all of them passed.

    Raises:
        ParityError: 76, a comparison fails; nothing is left, an existing file stays.
        CommandError: 76 the file does not run, 73 it exists or cannot be written.
        ValueError: no batch size.
    """
    told = generator.told
    generator = generator_of(generator.state_dict(), **generator.unseen)  # no settings of the training but its weights
    generator.told = told
    return write_proven(
        generator,
        path,
        lambda temporary, info: write_file(temporary, [program_bytes(generator, _evidence(info))]),
        lambda temporary: program_runs(temporary.read_bytes()),
        precision="float32",
        batch_check=batch_check,
        atol=atol,
        training=training or {},
        overwrite=overwrite,
    )


def program_bytes(generator: Generator, evidence: str | None) -> bytes:
    """The file's content, with this text as its evidence, without traces of the machine it was made on."""
    values, shapes = example(generator)
    program = torch.export.export(_WithOutputs(generator).eval(), values, dynamic_shapes=shapes)
    for node in program.graph.nodes:
        for trace in ("stack_trace", "nn_module_stack", "torch_fn", "from_node", "source_fn_stack"):
            node.meta.pop(trace, None)
    buffer = io.BytesIO()  # given a path, its name would get into the file
    torch.export.save(program, buffer, extra_files={} if evidence is None else {EVIDENCE: evidence})
    return buffer.getvalue()


def _evidence(info: GeneratorInfo | None) -> str | None:
    return None if info is None else json.dumps(info.to_metadata(), sort_keys=True)


def program_runs(content: bytes) -> dict[str, Run]:
    """A program of our own on the CPU, and on CUDA where PyTorch has it.

    Only for content that `program_bytes` made: PyTorch's loader runs code that a file may bring along.
    """
    runs = {"torch.export": _run_of(content, "cpu")}
    if torch.cuda.is_available():
        runs["torch.export, CUDA"] = _run_of(content, "cuda")
    return runs


class ProgramFile:
    """The parts of a `.pt2` file, read without loading it, so that nothing in it is executed.

    Raises:
        CommandError: 65 damaged, or not a file of `export_torch`.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.content = path, path.read_bytes()
        with self._reading():
            self._archive = zipfile.ZipFile(io.BytesIO(self.content))
            self._entries = {entry.filename.partition("/")[2]: entry for entry in self._archive.infolist()}
            self._evidence = self._read(f"extra/{EVIDENCE}").decode()
            self.info = GeneratorInfo.from_metadata(json.loads(self._evidence))

    def generator(self) -> Generator:
        """The trained network.

        Raises:
            CommandError: 65 damaged, or its program is not what `program_bytes` makes here of these weights.
        """
        with self._reading():
            state = {}
            for name, entry in json.loads(self._read("data/weights/model_weights_config.json"))["config"].items():
                sizes = [size["as_int"] for size in entry["tensor_meta"]["sizes"]]
                kind = _KINDS[entry["tensor_meta"]["dtype"]]
                raw = bytearray(self._read(f"data/weights/{entry['path_name']}"))
                state[name.removeprefix(_PREFIX)] = torch.frombuffer(raw, dtype=kind).reshape(sizes)
            generator = generator_of(state, **self.info.assumed)
        if program_bytes(generator, self._evidence) != self.content:
            raise CommandError(
                ExitCode.BAD_DATA,
                f"{self.path}: its program is not what torch {torch.__version__} makes of its weights (it names torch "
                f"{self.info.versions.get('torch')}), and loading it could run code: verify it where it was exported",
            )
        return generator

    def _read(self, name: str) -> bytes:
        entry = self._entries[name]
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > len(self.content):
            raise ValueError(f"{name} is not stored plainly")
        return self._archive.read(entry)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except InfoError as error:
            raise CommandError(ExitCode.BAD_DATA, f"{self.path}: {error}") from None
        except Exception as error:  # a damaged archive or JSON of another shape raises many kinds
            damaged = f"{self.path} is damaged or no file of gan-export torch: {first_line(error)}"
            raise memory_error(error) or CommandError(ExitCode.BAD_DATA, damaged) from None


def _run_of(content: bytes, device: str) -> Run:
    network = torch.export.load(io.BytesIO(content)).module().to(device)

    @torch.no_grad()
    def run(inputs: Inputs) -> list[Any]:
        given = (torch.from_numpy(values).to(device) for values in inputs.values())
        return [output.cpu().numpy() for output in network(*given)]

    return run
