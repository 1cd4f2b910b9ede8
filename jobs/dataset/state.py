"""run.json: to which run a folder belongs (its fingerprint), and how far it is.

It holds no times, so that equal runs are equal.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jobs.dataset import png
from jobs.dataset.formats import FORMATS, PNG
from jobs.dataset.layout import LAYOUT, STATE
from jobs.stores.store import Store
from models.attributes import MEASURE
from models.errors import CommandError, ExitCode
from models.latents import SCHEME
from models.mix import Mix
from models.wish import Wish

RUNNING, COMPLETE = "running", "complete"
REJECTED = "rejected by the quality gate"
REMOVING = "being removed"
_FIRST = {"format": PNG, "layout": 1}
"""What a fingerprint means that does not say it."""
_SIZES = ("width", "height", "channels", "z_dim", "shard_size")
_NAMES = ("model_sha256", "latent_scheme", "encoder", "provider", "onnxruntime")


@dataclass(frozen=True)
class SessionFacts:
    """What a session turned out to be, for a reader in another process.

    Attributes:
        model_sha256: of the ONNX file.
        z_dim, width, height, channels: sizes of a latent and an image.
        provider: the execution provider.
        reason: why it is this one, for people.
        onnxruntime: its version.
        image_bytes: of a PNG file, the mean over the images that the model file holds of itself.
        faults: of the generator, see `models.info.GeneratorInfo.faults`.
        class_names: of what its labels tell apart; none for a generator without labels.
        mask_bytes: of a mask's PNG file, as `image_bytes`; None for a generator without masks.
    """

    model_sha256: str
    z_dim: int
    width: int
    height: int
    channels: int
    provider: str
    reason: str = field(compare=False)
    onnxruntime: str
    image_bytes: int
    faults: tuple[str, ...] | None = field(default=None, compare=False)
    class_names: tuple[str, ...] = ()
    mask_bytes: int | None = None


@dataclass(frozen=True)
class RunState:
    """What run.json says.

    Attributes:
        state: `running` (or cut off), `complete`, `rejected by the quality gate`, `being removed`.
        count: images that the folder shall hold.
        fingerprint: all that decides the bytes of the images and where they lie; the count is not in it.
        line: the runs that it belongs to, of which the oldest may be removed for it; None in a run of an older version.
    """

    state: str
    count: int
    fingerprint: dict[str, Any]
    line: str | None = None

    @classmethod
    def read(cls, store: Store) -> RunState | None:
        """The state of the run in `store`; None where there is none.

        Raises:
            CommandError: 65 where it is damaged, 73 where it cannot be read, 78 where a later version made it.
        """
        try:
            raw = store.read(STATE)
            if raw is None:
                return None
            content = json.loads(raw)
            found = cls(content["state"], content["count"], content["fingerprint"], content.get("line"))
            if found._is_sound():
                if found.layout > LAYOUT:
                    raise CommandError(
                        ExitCode.OTHER_RUN,
                        f"{store} was made with layout {found.layout} by a later version of gan-batch; this one knows "
                        f"layouts up to {LAYOUT}",
                    )
                return found
        except OSError as error:
            raise CommandError(ExitCode.CANNOT_WRITE, f"cannot read {store}/{STATE}: {error.strerror}") from None
        except (ValueError, KeyError, TypeError, RecursionError):
            pass
        raise CommandError(
            ExitCode.BAD_DATA,
            f"{store}/{STATE} is damaged, so it cannot be told what lies there: name another `out`",
        )

    def _is_sound(self) -> bool:
        sizes = [self.count, self.fingerprint["seed"] + 1, *(self.fingerprint[name] for name in _SIZES)]
        names = [self.state, *(self.fingerprint[name] for name in _NAMES)]
        return (
            all(type(size) is int and size > 0 for size in [*sizes, self.layout])
            and all(type(name) is str for name in names)
            and (self.line is None or type(self.line) is str)
            and self.fingerprint.get("format", PNG) in FORMATS
            and all(type(self.fingerprint.get(name, "")) is str for name in ("mix", "masks", "want"))
            and (self.mix is None or str(self.mix) == self.fingerprint["mix"])  # it can be read
            and (self.wish is None or str(self.wish) == self.fingerprint["want"])
            and ("want" in self.fingerprint) == ("measure" in self.fingerprint)
        )

    @property
    def layout(self) -> int:
        """Where things lie in its folder, see `jobs.dataset.layout`."""
        layout: int = self.fingerprint.get("layout", 1)
        return layout

    @property
    def mix(self) -> Mix | None:
        """Which class each image shows; None where there are no classes."""
        return Mix.parse(self.fingerprint["mix"]) if "mix" in self.fingerprint else None

    @property
    def wish(self) -> Wish | None:
        """What its images were chosen by; None where they were not."""
        return Wish.parse(self.fingerprint["want"]) if "want" in self.fingerprint else None

    @classmethod
    def of(cls, store: Store) -> RunState:
        """Like `read`, where a run must be there.

        Raises:
            CommandError: 66 where there is none.
        """
        found = cls.read(store)
        if found is None:
            raise CommandError(ExitCode.NO_INPUT, f"{store} is no run of gan-batch: it has no {STATE}")
        return found

    def write(self, store: Store) -> None:
        """Write it, whole."""
        store.replace(STATE, self._content())

    def join(self, store: Store) -> RunState:
        """Be the state of the run in `store`, or where there is one that agrees, take part in that.

        Several processes may call this at once; the first one writes run.json.

        Returns:
            What run.json says now.

        Raises:
            CommandError: 78 where there is a run of another fingerprint or count, or one that is being removed.
        """
        if not store.exists(STATE) and store.create(STATE, self._content()):
            return self
        theirs = RunState.of(store)
        theirs.refuse_other(store, self.fingerprint)
        if theirs.count != self.count:
            raise CommandError(
                ExitCode.OTHER_RUN,
                f"{store} is a run of {theirs.count} images, this would be a part of {self.count}: give "
                f"`count={theirs.count}`, or another `out`",
            )
        if theirs.state == REMOVING:
            raise CommandError(ExitCode.OTHER_RUN, f"{store} is {REMOVING}: name another `out`")
        return theirs

    def _content(self) -> bytes:
        line = {} if self.line is None else {"line": self.line}
        content = {"state": self.state, "count": self.count, **line, "fingerprint": self.fingerprint}
        return (json.dumps(content, indent=2) + "\n").encode()

    def refuse_other(self, store: Store, fingerprint: Mapping[str, Any]) -> None:
        """Refuse to mix two runs.

        Raises:
            CommandError: 78, with the fields that differ.
        """
        names = sorted(fingerprint.keys() | self.fingerprint.keys())
        here, there = ({**_FIRST, **values} for values in (fingerprint, self.fingerprint))
        pairs = {name: (there.get(name), here.get(name)) for name in names}
        named = ", ".join(f"{name} was {was} and is {now}" for name, (was, now) in pairs.items() if was != now)
        if named:
            raise CommandError(ExitCode.OTHER_RUN, f"{store} belongs to another run: {named}; name another `out`")


def fingerprint(
    facts: SessionFacts,
    seed: int,
    shard_size: int,
    format: str = PNG,
    layout: int = LAYOUT,
    mix: Mix | None = None,
    wish: Wish | None = None,
) -> dict[str, Any]:
    """Of a run with this session; `format` and `layout` are in it only where they are not those of the first runs,
    `mix` where there are classes, `masks`, their encoder, where there are any, and `want` with the version of the
    measure where images were chosen."""
    known = {
        "model_sha256": facts.model_sha256,
        "seed": seed,
        "latent_scheme": SCHEME,
        "z_dim": facts.z_dim,
        "width": facts.width,
        "height": facts.height,
        "channels": facts.channels,
        "shard_size": shard_size,
        "encoder": png.ENCODER,
        "provider": facts.provider,
        "onnxruntime": facts.onnxruntime,
    }
    since = {"format": format, "layout": layout}
    labels = {} if mix is None else {"mix": str(mix)}
    masks = {} if facts.mask_bytes is None else {"masks": png.MASK_ENCODER}
    chosen = {} if wish is None else {"want": str(wish), "measure": MEASURE}
    return known | {name: value for name, value in since.items() if value != _FIRST[name]} | labels | masks | chosen
