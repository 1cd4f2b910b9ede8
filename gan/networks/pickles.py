"""Pickles read without running anything: Python's own machine calls what a file names, the one here nothing.

A pickle is a list of instructions for a machine with a stack. The one here follows the instructions that build plain
values; a name stands for one of the makers that it is given, which take their arguments apart and call nothing, or the
file is refused.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


class ForeignNameError(ValueError):
    """A pickle names something that no maker is there for; `name` says what."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Stateless:
    """A value whose state of its own, as a pickle has it, is left aside."""


class Unread(Stateless):
    """What nobody needs, such as a set: what is added to it is left aside, too."""


@dataclass(frozen=True)
class Named:
    """What a name in a pickle stands for."""

    make: Callable[..., Any]


_EMPTY: dict[str, Callable[[], Any]] = {
    "EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "EMPTY_SET": Unread
}  # fmt: skip


class PickleMachine:
    """Follows the instructions of a pickle (`pickletools` tells what each of them does).

    Args:
        makers: what a name stands for, `module.name` each.
        most: instructions.
        persistent: makes what stands outside the pickle, of a description.
    """

    def __init__(
        self,
        makers: Mapping[str, Callable[..., Any]],
        most: int,
        persistent: Callable[[Any], Any] | None = None,
    ) -> None:
        self._makers, self._most, self._persistent = makers, most, persistent
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def run(self, file: Any) -> Any:
        """The value that the pickle builds; the file is behind it afterwards.

        Raises:
            ForeignNameError: it names what no maker is there for, or has an instruction of another kind.
            ValueError: it has too many instructions, or keys that are no texts.
            Exception: of many kinds, where it is damaged.
        """
        for number, (instruction, argument, _) in enumerate(pickletools.genops(file)):
            if number >= self._most:
                raise ValueError("it has too many instructions")
            self._follow(instruction.name, argument)
        (value,) = self._stack
        return value

    def _follow(self, name: str, argument: Any) -> None:
        stack = self._stack
        match name:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case "POP":
                self._last(1)
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT" | "NONE":
                stack.append(argument)
            case (
                "BINUNICODE"
                | "SHORT_BINUNICODE"
                | "BINUNICODE8"
                | "BINBYTES"
                | "SHORT_BINBYTES"
                | "BINBYTES8"
                | "BYTEARRAY8"
            ):
                stack.append(argument)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(name == "NEWTRUE")
            case "EMPTY_DICT" | "EMPTY_LIST" | "EMPTY_TUPLE" | "EMPTY_SET":
                stack.append(_EMPTY[name]())
            case "MARK":
                self._marks.append(len(stack))
            case "TUPLE":
                stack.append(tuple(self._since_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(self._last(int(name[-1]))))
            case "APPEND" | "APPENDS" | "ADDITEMS":
                self._append(self._last(1) if name == "APPEND" else self._since_mark())
            case "SETITEM" | "SETITEMS":
                self._set(self._last(2) if name == "SETITEM" else self._since_mark())
            case "MEMOIZE" | "BINPUT" | "LONG_BINPUT":
                self._memo[len(self._memo) if name == "MEMOIZE" else argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(self._memo[argument])
            case "GLOBAL":
                stack.append(self._maker(*argument.split(" ", 1)))
            case "STACK_GLOBAL":
                stack.append(self._maker(*self._last(2)))
            case "REDUCE" | "NEWOBJ":
                maker, arguments = self._last(2)
                if not isinstance(maker, Named) or not isinstance(arguments, tuple):
                    raise ForeignNameError("a call")
                stack.append(maker.make(*arguments))
            case "BUILD":
                self._last(1)  # of dictionaries the attributes, and of NumPy's kinds and arrays what is in them
                if not isinstance(stack[-1], dict | Stateless):
                    raise ForeignNameError("an object with a state of its own")
            case "BINPERSID" if self._persistent is not None:
                stack.append(self._persistent(*self._last(1)))
            case _:
                raise ForeignNameError(f"a pickle's {name}")

    def _last(self, count: int) -> list[Any]:
        """Take them off the stack."""
        begin = len(self._stack) - count
        if begin < (self._marks[-1] if self._marks else 0):
            raise ValueError("an instruction lacks its values")
        taken = self._stack[begin:]
        del self._stack[begin:]
        return taken

    def _since_mark(self) -> list[Any]:
        mark = self._marks.pop()
        taken = self._stack[mark:]
        del self._stack[mark:]
        return taken

    def _append(self, values: list[Any]) -> None:
        if isinstance(self._stack[-1], list):
            self._stack[-1].extend(values)
        elif not isinstance(self._stack[-1], Unread):
            raise ValueError("values are added to what is no list")

    def _set(self, values: list[Any]) -> None:
        target, keys = self._stack[-1], values[::2]
        # Only texts: what else may be a key can be made to take very long, or too deep, when it is hashed.
        if not isinstance(target, dict) or not all(isinstance(key, str) for key in keys):
            raise ValueError("a dictionary has keys that are no names")
        target.update(zip(keys, values[1::2], strict=True))

    def _maker(self, module: Any, name: Any) -> Named:
        if not isinstance(module, str) or not isinstance(name, str):
            raise ForeignNameError("a name that is no text")
        maker = self._makers.get(f"{module}.{name}")
        if maker is None:
            raise ForeignNameError(f"{module}.{name}")
        return Named(maker)
