"""Coastlines, borders, and the country of a place: a small map of the world that needs no network.

The lines are those of Natural Earth (1:50m, public domain), thinned to a tenth of a degree by
``docs/make_world.py``; borders are those that are in force on the ground, as Natural Earth draws them.
"""

import functools
import json
import math
import re
import unicodedata
from importlib import resources
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Line = NDArray[np.float64]
"""Longitude and latitude in degrees. Shape ``points 2``."""

NEAR_DEGREES: Final = 0.5
"""A place so near to a country counts as in it: thinned coasts cut off harbours."""

_CHARACTER = 63
_MORE = 32

# How people write countries that have another name in the data. Parts of a country count as it.
_SPELLINGS: Final = {
    "usa": "United States", "us": "United States", "u s a": "United States", "u s": "United States",
    "united states of america": "United States", "america": "United States",
    "estados unidos": "United States", "uk": "United Kingdom", "u k": "United Kingdom",
    "england": "United Kingdom", "scotland": "United Kingdom", "wales": "United Kingdom",
    "great britain": "United Kingdom", "northern ireland": "United Kingdom",
    "the netherlands": "Netherlands", "holland": "Netherlands", "nederland": "Netherlands",
    "deutschland": "Germany", "espana": "Spain", "catalonia": "Spain", "catalunya": "Spain",
    "italia": "Italy", "brasil": "Brazil", "belgique": "Belgium", "belgie": "Belgium",
    "schweiz": "Switzerland", "suisse": "Switzerland", "osterreich": "Austria", "polska": "Poland",
    "czech republic": "Czechia", "ceska republika": "Czechia", "rossiya": "Russia",
    "russian federation": "Russia", "sverige": "Sweden", "norge": "Norway", "danmark": "Denmark",
    "suomi": "Finland", "hellas": "Greece", "magyarorszag": "Hungary", "turkiye": "Turkey",
    "eire": "Ireland", "republic of ireland": "Ireland", "korea": "South Korea",
    "republic of korea": "South Korea", "viet nam": "Vietnam", "macedonia": "North Macedonia",
    "ivory coast": "Côte d'Ivoire", "burma": "Myanmar", "cape verde": "Cabo Verde",
    "bosnia": "Bosnia and Herzegovina", "slovak republic": "Slovakia", "nippon": "Japan",
    "quebec": "Canada", "ontario": "Canada", "british columbia": "Canada", "alberta": "Canada",
    "manitoba": "Canada", "nova scotia": "Canada", "saskatchewan": "Canada",
}  # fmt: skip
_STATES: Final = (
    "alabama alaska arizona arkansas california colorado connecticut delaware florida hawaii idaho "
    "illinois indiana iowa kansas kentucky louisiana maine maryland massachusetts michigan minnesota "
    "mississippi missouri montana nebraska nevada new_hampshire new_jersey new_mexico new_york "
    "new_york_city nyc brooklyn north_carolina north_dakota ohio oklahoma oregon pennsylvania "
    "rhode_island south_carolina south_dakota tennessee texas utah vermont virginia washington "
    "west_virginia wisconsin wyoming district_of_columbia"
)
# Two letters name a state only after a comma and in capitals; DE and GA may be Germany and Gabon.
_STATE_LETTERS: Final = (
    "AL AK AZ AR CA CO CT FL HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND "
    "OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY DC"
)
_PROVINCE_LETTERS: Final = "ON QC BC AB MB NS SK NB NL PE"
_UNDECIDED: Final = frozenset({"georgia"})
"""A country and a state of the United States."""


class World(NamedTuple):
    """The map.

    Attributes:
        coasts: lines between a country and the sea.
        borders: lines between two countries.
        countries: the rings of each country.
    """

    coasts: tuple[Line, ...]
    borders: tuple[Line, ...]
    countries: dict[str, tuple[Line, ...]]


@functools.cache
def world() -> World:
    """Return the map."""
    path = resources.files("segue.core").joinpath("world.json")
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    lines = [_decoded(text, content["degrees"]) for text in content["lines"]]
    uses = [0] * len(lines)
    countries: dict[str, tuple[Line, ...]] = {}
    for name, rings in content["countries"].items():
        countries[name] = tuple(_joined(ring, lines) for ring in rings)
        for number in (n for ring in rings for n in ring):
            uses[number if number >= 0 else ~number] += 1
    counted = list(zip(lines, uses, strict=True))
    return World(
        coasts=tuple(part for line, n in counted if n == 1 for part in _without_jumps(line)),
        borders=tuple(part for line, n in counted if n > 1 for part in _without_jumps(line)),
        countries=countries,
    )


def country_at(latitude: float, longitude: float) -> str | None:
    """Return the country of a place on land or near it; None at sea and for what is no place.

    Args:
        latitude: degrees, north is positive.
        longitude: degrees, east is positive.
    """
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        return None
    names, rings, low, high = _boxed_rings()
    margin = NEAR_DEGREES / max(0.05, math.cos(math.radians(latitude)))
    near: list[tuple[float, str]] = []
    # Rings across the date line go on beyond 180 degrees.
    places = np.array([[longitude + turn, latitude] for turn in (0.0, -360.0, 360.0)])
    inside = (places[:, None] >= low - margin) & (places[:, None] <= high + margin)
    for number, turn in np.argwhere(inside.all(axis=2).T).tolist():
        if _crossings(rings[number], *places[turn]) % 2:
            return names[number]
        near.append((_distance(rings[number], *places[turn]), names[number]))
    found = min(near, default=(math.inf, ""))
    return found[1] if found[0] <= NEAR_DEGREES else None


def country_in_text(text: str) -> str | None:
    """Return the country that a location in words ends with: "Lyon, France" or "Austin, TX".

    None where the last part is no country, no state of the United States and no common other name.
    """
    parts = [part.strip() for part in re.split(r"[,/;|()\n]|\s-\s", text) if part.strip()]
    if not parts:
        return None
    last = parts[-1].replace(".", "")
    if len(parts) > 1 and last in _STATE_LETTERS.split():
        return "United States"
    if len(parts) > 1 and last in _PROVINCE_LETTERS.split():
        return "Canada"
    return _names().get(_plain(last))


@functools.cache
def _names() -> dict[str, str]:
    """Return the country of every name that is known."""
    found = dict.fromkeys(_STATES.replace("_", "-").split(), "United States")
    found = {name.replace("-", " "): country for name, country in found.items()}
    found |= {_plain(name): name for name in world().countries}
    found |= _SPELLINGS
    return {name: country for name, country in found.items() if name not in _UNDECIDED}


def _plain(text: str) -> str:
    """Return a name without accents, case and signs."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    return " ".join(
        re.findall(r"[a-z]+", "".join(c for c in letters if not unicodedata.combining(c)))
    )


def _decoded(text: str, degrees: float) -> Line:
    """Read a line that is written as differences, five bits a character."""
    numbers, value, shift = [], 0, 0
    for character in text:
        bits = ord(character) - _CHARACTER
        value |= (bits & 31) << shift
        shift += 5
        if bits < _MORE:
            numbers.append(~(value >> 1) if value & 1 else value >> 1)
            value = shift = 0
    return np.cumsum(np.array(numbers, np.float64).reshape(-1, 2), axis=0) * degrees


def _joined(ring: list[int], lines: list[Line]) -> Line:
    """Return the points of a ring; a negative number is a line backwards."""
    parts = [lines[n] if n >= 0 else lines[~n][::-1] for n in ring]
    return np.concatenate(parts)


def _whole(ring: Line) -> Line:
    """Return a ring without jumps at the date line; one around the pole is closed there."""
    jumps = np.round(np.diff(ring[:, 0], prepend=ring[0, 0]) / 360) * 360
    whole = ring - np.stack([np.cumsum(jumps), np.zeros(len(ring))], axis=1)
    if abs(whole[-1, 0] - whole[0, 0]) < 180:
        return whole
    pole = math.copysign(90.0, float(ring[:, 1].mean()))
    return np.concatenate([whole, [[whole[-1, 0], pole], [whole[0, 0], pole]]])


def _without_jumps(line: Line) -> list[Line]:
    """Cut a line where it crosses the date line, so that it can be drawn."""
    places = np.flatnonzero(np.abs(np.diff(line[:, 0])) > 180) + 1
    return [part for part in np.split(line, places) if len(part) > 1]


class _Rings(NamedTuple):
    """The rings of all countries; their lowest and highest corners have the shape ``rings 2``."""

    names: list[str]
    rings: list[Line]
    low: Line
    high: Line


@functools.cache
def _boxed_rings() -> _Rings:
    """Return every ring with its corners.

    Smaller countries come first: where one lies inside another, it is the one that is meant.
    """
    countries = world().countries
    sizes = {name: sum(len(ring) for ring in rings) for name, rings in countries.items()}
    order = sorted(sizes, key=lambda name: (sizes[name], name))
    pairs = [(name, _whole(ring)) for name in order for ring in countries[name]]
    rings = [ring for _, ring in pairs]
    low = np.array([ring.min(axis=0) for ring in rings])
    high = np.array([ring.max(axis=0) for ring in rings])
    return _Rings([name for name, _ in pairs], rings, low, high)


def _crossings(ring: Line, x: float, y: float) -> int:
    """Count the sides of a ring that a line from a point to the east crosses."""
    ends = np.roll(ring, -1, axis=0)
    straddling = (ring[:, 1] > y) != (ends[:, 1] > y)
    begin, end = ring[straddling], ends[straddling]
    if not len(begin):
        return 0
    slope = (end[:, 0] - begin[:, 0]) / (end[:, 1] - begin[:, 1])
    return int((begin[:, 0] + (y - begin[:, 1]) * slope > x).sum())


def _distance(ring: Line, x: float, y: float) -> float:
    """Return how far a point is from the sides of a ring, in degrees of latitude."""
    scale = np.array([math.cos(math.radians(y)), 1.0])
    begin = (ring - [x, y]) * scale
    step = np.roll(begin, -1, axis=0) - begin
    square = np.maximum((step**2).sum(axis=1), 1e-12)
    along = np.clip(-(begin * step).sum(axis=1) / square, 0, 1)
    return float(np.hypot(*(begin + along[:, None] * step).T).min())
