"""How many images of which classes a call asks for, and what that means for the classes that a model has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

from jobs.dataset.state import RunState
from jobs.dataset.tally import tally
from jobs.stores.place import place
from jobs.workers.drawing import check_measurable
from models.errors import CommandError, ExitCode, did_you_mean
from models.mix import Mix, rounded
from models.wish import Wish

BALANCED, LIKE = "balanced", "like:"
_SHARE = re.compile(r"\s*(.*?)\s*=\s*(\d{1,12}(?:\.(\d{0,12}))?|\.(\d{1,12}))\s*(%?)\s*", re.DOTALL)


@dataclass(frozen=True)
class Asked:
    """What a caller asks for; all but one of the numbers are None.

    Attributes:
        count: images that the folder shall hold.
        append: images to add to a complete run.
        mix: `scratch=0.6,inclusion=0.4`, `balanced`, or `like:` and what `fill` takes; None: as the run has it, else
            `balanced`.
        per_class: images of each class.
        fill: a folder, or the URL of a run in an object store, whose classes shall come to equal numbers.
        want: what each image has to be like, see `models.wish`; None: as the run has it, else nothing.
    """

    count: int | None = None
    append: int | None = None
    mix: str | None = None
    per_class: int | None = None
    fill: Path | str | None = None
    want: str | None = None

    def __post_init__(self) -> None:
        numbers = [number for number in (self.count, self.append, self.per_class) if number is not None]
        if len(numbers) + (self.fill is not None) != 1 or any(number < 1 for number in numbers):
            raise ValueError(f"need one of count, append, per_class and fill, and a number above 0: {self}")
        if self.mix is not None and (self.per_class is not None or self.fill is not None):
            raise ValueError("per_class and fill are mixes of their own: leave out mix")

    def check(self, out: Path | str) -> None:
        """Refuse what no model can make, before one is opened.

        Args:
            out: the run's folder, or the URL of an object store.

        Raises:
            CommandError: 2 this is no mix or no place, 66 there is no such folder or run, 65 it is a damaged run, 73,
                74 the store refuses or does not answer.
        """
        _ = self._wish
        folder, option = self._folder()
        if folder is None:
            if self.mix is not None and self.mix.strip() != BALANCED:
                shares_in(self.mix)
            return
        if _lies_in(out, folder):
            raise _usage(f"`{option}`: {out} lies in {folder}, whose images are counted: name another `out`")
        _ = self._tally

    def wish(self, state: RunState | None) -> Wish | None:
        """What each image has to be like: as asked, else as the run has it that is there; None: nothing.

        Raises:
            CommandError: 2 it is no wish, or what it needs is not installed.
        """
        wish = self._wish or (state.wish if state else None)
        if wish is not None:
            check_measurable()
        return wish

    @cached_property
    def _wish(self) -> Wish | None:
        try:
            return None if self.want is None else Wish.parse(self.want)
        except ValueError as error:
            raise _usage(f"`want`: {error}") from None

    def settle(self, names: Sequence[str], state: RunState | None) -> tuple[Mix | None, int | None]:
        """The mix for a model with these classes, and how many images the folder shall hold.

        Args:
            names: of the classes, in the order of their labels; none for a generator without.
            state: of the run that is there; None where it begins.

        Returns:
            The mix, None for a generator without classes. The number, None for `append`; 0 where `fill` finds that the
            classes have equal numbers already.

        Raises:
            CommandError: 2 the model cannot make this mix; others as from `check`.
        """
        if not names:
            for option in ("mix", "per_class", "fill"):
                if getattr(self, option) is not None:
                    raise _usage(f"`{option}`: the model has no classes: one of `gan-train --classes` has")
            return None, self.count
        if self.fill is not None:
            return _filling(names, self._counted(names))
        if self.per_class is not None:
            return Mix.balanced(names), self.per_class * len(names)
        return self._mix(names, state), self.count

    def _mix(self, names: Sequence[str], state: RunState | None) -> Mix:
        theirs = state.mix if state else None
        if self.mix is None:  # of another model's run it is refused later, and told what differs
            return theirs if theirs and theirs.names == tuple(names) else Mix.balanced(names)
        if self.mix.strip() == BALANCED:
            return Mix.balanced(names)
        if self._folder()[0] is not None:
            return Mix.of(names, rounded(self._counted(names)))
        shares = shares_in(self.mix)
        for name in shares:
            if name not in names:
                raise _usage(
                    f"`mix`: the model has no class {name!r}{did_you_mean(name, names)}; it has {_list(names)}"
                )
        wanted = [shares.get(name, Fraction(0)) for name in names]
        scale = _common(wanted)
        try:
            return Mix.of(names, [int(share * scale) for share in wanted])
        except ValueError as error:
            raise _usage(f"`mix={self.mix}`: {error}: write shares with fewer digits") from None

    def _folder(self) -> tuple[Path | str | None, str]:
        """The folder or URL that is counted, and the option that names it."""
        text = (self.mix or "").strip()
        named, option = (text.removeprefix(LIKE), "mix") if text.startswith(LIKE) else (self.fill, "fill")
        try:
            return None if named is None else place(named), option
        except CommandError as error:
            raise CommandError(error.exit_code, f"`{option}`: {error}") from None

    @cached_property
    def _tally(self) -> dict[str, int]:
        """How many images the folder has of each class: counted once, since it may be large or far away."""
        folder, option = self._folder()
        assert folder is not None
        try:
            return tally(folder)
        except CommandError as error:
            raise CommandError(error.exit_code, f"`{option}`: {error}") from None

    def _counted(self, names: Sequence[str]) -> list[int]:
        """How many images the folder has of each class of the model."""
        folder, option = self._folder()
        found = self._tally
        for name, count in found.items():
            if name not in names:
                raise _usage(
                    f"`{option}`: {folder} has {count} images of {name!r}, and the model has no such class"
                    f"{did_you_mean(name, names)}; it has {_list(names)}"
                )
        return [found.get(name, 0) for name in names]


def shares_in(text: str) -> Mapping[str, Fraction]:
    """The shares of `scratch=0.6,inclusion=0.4`: of 1, of 100 %, or whole parts such as 3 and 2.

    Shares of 1 that have two digits or more after the point may miss it by what rounding took from them or added, as
    0.333, 0.333 and 0.333 do: each is then its part of their sum.

    Raises:
        CommandError: 2 they are not written so, add up to something else, or are all 0.
    """
    shares: dict[str, Fraction] = {}
    digits, is_whole = 0, True
    for part in text.split(","):
        match = _SHARE.fullmatch(part)
        if not match or not match[1]:
            hint = "" if "=" in text else did_you_mean(text.strip().partition(":")[0], [BALANCED, LIKE[:-1]])
            raise _usage(
                f"`mix={text}`: {part.strip()!r} is no share{hint}; write scratch=0.6,inclusion=0.4, balanced or "
                "like:DIR"
            )
        name, percent = match[1], bool(match[5])
        if name in shares:
            raise _usage(f"`mix={text}`: {name!r} is named twice")
        shares[name] = Fraction(match[2].rstrip(".")) / (100 if percent else 1)
        digits = max(digits, len(match[3] or match[4] or "") + 2 * percent)
        is_whole = is_whole and shares[name].denominator == 1 and not percent
    total = sum(shares.values())
    if not total:
        raise _usage(f"`mix={text}`: no class has a share")
    rounding = Fraction(len(shares), 2 * 10**digits) if digits > 1 else 0
    if not is_whole and total != 1 and abs(total - 1) >= rounding:
        raise _usage(
            f"`mix={text}`: the shares add up to {float(total):g}, not to 1: correct them, or write whole parts such "
            "as scratch=3,inclusion=2"
        )
    return shares


def _filling(names: Sequence[str], counts: Sequence[int]) -> tuple[Mix, int]:
    """What brings these counts to the largest of them."""
    lacking = [max(counts) - count for count in counts]
    if not any(lacking):
        return Mix.balanced(names), 0
    try:
        return Mix.of(names, lacking), sum(lacking)
    except ValueError as error:
        raise _usage(f"`fill`: {error}: give `count` and `mix`") from None


def _lies_in(out: Path | str, folder: Path | str) -> bool:
    """Whether a run is what is counted, or below it."""
    if isinstance(out, Path) and isinstance(folder, Path):
        return folder.resolve() in (out.resolve(), *out.resolve().parents)
    return isinstance(out, str) and isinstance(folder, str) and f"{out}/".startswith(f"{folder}/")


def _common(shares: Iterable[Fraction]) -> int:
    """What makes all of them whole numbers."""
    scale = 1
    for share in shares:
        scale *= (share * scale).denominator
    return scale


def _list(names: Sequence[str]) -> str:
    return ", ".join(names)


def _usage(message: str) -> CommandError:
    return CommandError(ExitCode.USAGE, message)
