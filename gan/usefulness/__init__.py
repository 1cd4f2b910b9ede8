"""Do generated images help a detector?

from gan.usefulness import usefulness
"""

from typing import TYPE_CHECKING

from models.lazy import lazy_names

__all__ = ["Outcome", "usefulness"]

if TYPE_CHECKING:
    from gan.usefulness.outcome import Outcome
    from gan.usefulness.proof import usefulness
else:
    __getattr__ = lazy_names({"Outcome": "gan.usefulness.outcome", "usefulness": "gan.usefulness.proof"})
