"""What a Dockerfile does, without a container engine: its steps in namespaces, with this machine as the base image.

A box is a new root that holds a few folders and nothing else. `unshare` makes it without root's rights; where the
system does not allow that, tests that need it are skipped.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tests.conftest import ROOT, SCRIPTS

_SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc")
"""Of the base image: what a program needs that is no file of ours."""
_OWN = ("opt", "src", "data", "tmp")
"""Of the image: what its steps write."""
_ENTER = """
set -eu
root=$1
shift
mount --make-rprivate /
mount -t tmpfs tmpfs "$root"
mkdir "$root/tmp"
mount -t tmpfs tmpfs "$root/tmp"  # before the others, which may lie below it
while [ "$1" != -- ]; do
    mode=$1 source=$2 target=$root$3
    shift 3
    if [ -d "$source" ]; then mkdir -p "$target"; else mkdir -p "${target%/*}"; touch "$target"; fi
    mount --rbind "$source" "$target"
    if [ "$mode" = ro ]; then  # with the flags that it has, which an ordinary user must not take off
        mount -o "remount,bind,ro,$(findmnt -n -o VFS-OPTIONS --mountpoint "$target" | sed 's/^rw,//')" "$target"
    fi
done
shift
[ "$1" = rw ] || mount -o remount,bind,ro "$root"
folder=$2 user=$3
shift 3
exec unshare --root="$root" --wd="$folder" --user --map-user="$user" --map-group="$user" -- "$@"
"""


@dataclass
class Box:
    """A root of its own.

    Attributes:
        point: an empty folder, to mount it at.
        read_only, writable: folders and files of this machine, by where the box has them.
        folder: to begin in.
        user: number of the user and the group inside; 0 has root's rights there, and there alone.
        network: whether it has one.
    """

    point: Path
    read_only: dict[str, Path] = field(default_factory=dict)
    writable: dict[str, Path] = field(default_factory=dict)
    folder: str = "/"
    user: int = 10001
    network: bool = False

    def run(
        self, command: list[str], environment: dict[str, str], timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the box; nothing is raised for a non-zero exit code."""
        mounts: list[str] = []
        for mode, places in (("ro", self.read_only), ("rw", self.writable)):
            for target, source in places.items():
                mounts += [mode, str(source), target]
        whole = "ro" if self.user else "rw"
        return subprocess.run(
            [
                "unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child",
                *([] if self.network else ["--net"]), "sh", "-c", _ENTER, "sh",
                str(self.point), *mounts, "--", whole, self.folder, str(self.user), *command,
            ],
            env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout,
        )  # fmt: skip


def why_no_box() -> str | None:
    """Why this machine makes no boxes, if it does not."""
    if missing := [tool for tool in ("unshare", "findmnt") if shutil.which(tool) is None]:
        return f"there is no {missing[0]}"
    probe = "unshare --user --map-root-user --mount --pid --fork --net sh -c 'mount -t tmpfs tmpfs /mnt'"
    result = subprocess.run(["sh", "-c", probe], capture_output=True, text=True)
    return None if result.returncode == 0 else f"no namespaces for users here: {result.stderr.strip()}"


def system() -> dict[str, Path]:
    """The system's own folders, and where Python lies: for `Box.read_only`."""
    places = [Path("/", name) for name in _SYSTEM]
    places += [path for path in (Path("/dev"), Path("/proc"), Path(sys.base_prefix)) if not path.is_relative_to("/usr")]
    return {str(path): path for path in places if path.is_dir()}


@dataclass
class Stage:
    """What a stage of a Dockerfile leaves.

    Attributes:
        name: as `AS` has it, or empty.
        base: as `FROM` has it.
        steps: its other instructions with their words, in their order.
    """

    name: str
    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def words_of(self, instruction: str) -> list[str]:
        return [words for name, words in self.steps if name == instruction]

    @property
    def environment(self) -> dict[str, str]:
        """Of `ENV`, and `PATH` before it as most images have it."""
        known = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
        for words in self.words_of("ENV"):
            for pair in shlex.split(words):
                name, value = pair.split("=", 1)
                known[name] = re.sub(r"\$(\w+)", lambda match: known[match[1]], value)
        return known

    @property
    def entrypoint(self) -> list[str]:
        (words,) = self.words_of("ENTRYPOINT")
        return list(json.loads(words))


def stages(dockerfile: Path) -> list[Stage]:
    """The stages of a Dockerfile, which has arguments before the first only as a base."""
    text = re.sub(r"^\s*#.*\n", "", dockerfile.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    found: list[Stage] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        instruction, words = line.split(maxsplit=1)
        if instruction == "FROM":
            base, *name = words.split()
            found.append(Stage(name[1] if name else "", base))
        elif found:
            found[-1].steps.append((instruction, " ".join(words.split())))
    return found


def build(dockerfile: Path, work: Path) -> Path:
    """Do the steps of a Dockerfile; the result is a folder with what the last stage wrote.

    Args:
        work: an empty folder.

    Raises:
        AssertionError: a step fails.
    """
    (work / "point").mkdir()
    roots: dict[str, Path] = {}
    for number, stage in enumerate(stages(dockerfile)):
        root = roots[stage.name] = work / f"stage-{number}"
        for name in _OWN:
            (root / name).mkdir(parents=True)
        _do(stage, root, roots, work / "point")
    return root


def _do(stage: Stage, root: Path, roots: dict[str, Path], point: Path) -> None:
    folder = "/"
    for instruction, words in stage.steps:
        if instruction == "WORKDIR":
            folder = words
            (root / folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif instruction == "COPY":
            _copy(words, root, folder, roots)
        elif instruction == "RUN":
            others = [path for path in Path("/").iterdir() if path.is_dir() and path.name not in _OWN]
            box = Box(
                point, writable={str(path): path for path in others} | {f"/{name}": root / name for name in _OWN[:-1]},
                folder=folder, user=0, network=True,
            )  # fmt: skip
            # Python and pip as the base image has them: those that this environment was made of.
            path = f"{stage.environment['PATH']}:{sys.base_prefix}/bin:{SCRIPTS}"
            arguments = {words.split("=")[0]: words.split("=")[1].strip('"') for words in stage.words_of("ARG")}
            result = box.run(["sh", "-ec", words], {**os.environ, **arguments, "PATH": path}, timeout=500)
            assert result.returncode == 0, f"{words}\n{result.stdout}{result.stderr}"


def _copy(words: str, root: Path, folder: str, roots: dict[str, Path]) -> None:
    *sources, target = words.split()
    context = ROOT
    if sources[0].startswith("--from="):
        context, sources = roots[sources[0].removeprefix("--from=")], sources[1:]
    place = root / str(PurePosixPath(folder, target)).lstrip("/")
    for source in sources:
        path = context / source.lstrip("/")
        if path.is_dir():
            shutil.copytree(
                path, place, symlinks=True, dirs_exist_ok=True, ignore=_not_sent if context == ROOT else None
            )
        else:
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)


def _not_sent(folder: str, names: list[str]) -> set[str]:
    """Files of the checkout that no build sees: for `shutil.copytree`."""
    paths = {name: Path(folder, name) for name in names}
    return {
        name for name, path in paths.items() if path.is_file() and not is_in_context(path.relative_to(ROOT).as_posix())
    }


def is_in_context(name: str) -> bool:
    """Whether a file of the checkout is sent to whoever builds: the last line of .dockerignore that fits it says."""
    sent = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        kept, pattern = line.startswith("!"), line.removeprefix("!")
        regex = re.escape(pattern).replace(r"\*\*/", "(.*/)?").replace(r"\*", "[^/]*")
        if re.fullmatch(rf"{regex}(/.*)?", name):
            sent = kept
    return sent
