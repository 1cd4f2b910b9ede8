"""What the tests of photos share: a survey of photos that nobody took."""

from __future__ import annotations

from gan.photos.survey import PhotoFacts, Survey


def imagined(count: int = 300, groups: tuple[tuple[str, ...], ...] = (), **changes: object) -> Survey:
    """A survey of photos that are all alike, without photos."""
    values = {
        "width": 200, "height": 200, "mode": "L", "bits": 8, "colour": False, "brightness": 100.0, "contrast": 30.0,
        "clipped": 0.0, "sha256": "", **changes,
    }  # fmt: skip
    facts = tuple(PhotoFacts(name=f"{number}.png", **values) for number in range(count))
    return Survey("photos", count, (), facts, {".": count}, (), (), groups)
