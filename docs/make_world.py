"""Write ``src/segue/core/world.json``: coastlines and borders, thinned to what a small map shows.

Source: Natural Earth 1:50m, admin 0 countries, version 4.1.0, in the public domain
(https://www.naturalearthdata.com/about/terms-of-use/), as the package world-atlas 2.0.2 of the npm
registry carries it (SHA-256 of the package 032e7765f2ce00edaeafec23ff22bc3b77e42987c257da944cc585b452c05b97).
Lines that two countries share are thinned once, so that they stay shared.

    npm pack world-atlas@2.0.2 && tar xzf world-atlas-2.0.2.tgz
    python docs/make_world.py package/countries-50m.json src/segue/core/world.json
"""

import argparse
import json
import math
from pathlib import Path
from typing import Any

DEGREES = 0.05
TOLERANCE_DEGREES = 0.1
SMALLEST_ISLAND = 0.05
FULL_NAMES = {
    "American Samoa": "American Samoa", "Antigua and Barb.": "Antigua and Barbuda",
    "Bosnia and Herz.": "Bosnia and Herzegovina", "Br. Indian Ocean Ter.": "British Indian Ocean Territory",
    "British Virgin Is.": "British Virgin Islands", "Cayman Is.": "Cayman Islands",
    "Central African Rep.": "Central African Republic", "Cook Is.": "Cook Islands",
    "Dem. Rep. Congo": "Democratic Republic of the Congo", "Dominican Rep.": "Dominican Republic",
    "Eq. Guinea": "Equatorial Guinea", "Faeroe Is.": "Faroe Islands", "Falkland Is.": "Falkland Islands",
    "Fr. Polynesia": "French Polynesia", "Fr. S. Antarctic Lands": "French Southern Lands",
    "Heard I. and McDonald Is.": "Heard and McDonald Islands", "Macedonia": "North Macedonia",
    "Marshall Is.": "Marshall Islands", "N. Cyprus": "Northern Cyprus",
    "N. Mariana Is.": "Northern Mariana Islands", "Pitcairn Is.": "Pitcairn Islands",
    "S. Geo. and the Is.": "South Georgia", "S. Sudan": "South Sudan", "Solomon Is.": "Solomon Islands",
    "St-Barthélemy": "Saint Barthélemy", "St-Martin": "Saint Martin",
    "St. Kitts and Nevis": "Saint Kitts and Nevis", "St. Pierre and Miquelon": "Saint Pierre and Miquelon",
    "St. Vin. and Gren.": "Saint Vincent and the Grenadines", "Turks and Caicos Is.": "Turks and Caicos Islands",
    "U.S. Virgin Is.": "US Virgin Islands", "United States of America": "United States",
    "W. Sahara": "Western Sahara", "Wallis and Futuna Is.": "Wallis and Futuna", "eSwatini": "Eswatini",
    "Indian Ocean Ter.": "Christmas and Cocos Islands",
}  # fmt: skip

Point = tuple[float, float]


def decoded(topology: dict[str, Any]) -> list[list[Point]]:
    """Give the lines of a TopoJSON file in degrees."""
    (sx, sy), (tx, ty) = topology["transform"]["scale"], topology["transform"]["translate"]
    arcs = []
    for arc in topology["arcs"]:
        x = y = 0
        points = []
        for dx, dy in arc:
            x, y = x + dx, y + dy
            points.append((x * sx + tx, y * sy + ty))
        arcs.append(points)
    return arcs


def thinned(points: list[Point], tolerance: float) -> list[Point]:
    """Leave out points that lie near the line between those that stay (Douglas and Peucker)."""
    if len(points) < 3:
        return points
    (ax, ay), (bx, by) = points[0], points[-1]
    length = math.hypot(bx - ax, by - ay)

    def distance(point: Point) -> float:
        px, py = point
        if length == 0:  # a closed line: the point farthest from its end divides it
            return math.hypot(px - ax, py - ay)
        along = ((px - ax) * (bx - ax) + (py - ay) * (by - ay)) / length**2
        along = min(1.0, max(0.0, along))
        return math.hypot(px - ax - along * (bx - ax), py - ay - along * (by - ay))

    far = max(range(1, len(points) - 1), key=lambda n: distance(points[n]))
    if distance(points[far]) <= tolerance:
        return [points[0], points[-1]]
    return thinned(points[: far + 1], tolerance)[:-1] + thinned(points[far:], tolerance)


def encoded(points: list[Point]) -> str:
    """Write differences of a line as text: five bits a character, as in Google's polylines."""
    text, x, y = [], 0, 0
    for px, py in points:
        qx, qy = round(px / DEGREES), round(py / DEGREES)
        if text and (qx, qy) == (x, y):
            continue
        for difference in (qx - x, qy - y):
            value = difference << 1 if difference >= 0 else ~(difference << 1)
            while value >= 32:
                text.append(chr((32 | (value & 31)) + 63))
                value >>= 5
            text.append(chr(value + 63))
        x, y = qx, qy
    return "".join(text)


def area(ring: list[int], arcs: list[list[Point]]) -> float:
    """Give the area of a ring in square degrees."""
    points = [p for n in ring for p in (arcs[n] if n >= 0 else arcs[~n][::-1])]
    pairs = zip(points, points[1:] + points[:1], strict=True)
    return abs(sum(ax * by - bx * ay for (ax, ay), (bx, by) in pairs)) / 2


def main(source: str, target: str) -> None:
    """Thin the lines, drop islands that a small map does not show, and write what is left."""
    topology = json.loads(Path(source).read_text(encoding="utf-8"))
    arcs = decoded(topology)
    countries: dict[str, list[list[int]]] = {}
    for geometry in topology["objects"]["countries"]["geometries"]:
        shapes = geometry["arcs"] if geometry["type"] == "MultiPolygon" else [geometry["arcs"]]
        rings = sorted((r for shape in shapes for r in shape), key=lambda r: -area(r, arcs))
        name = geometry["properties"]["name"]
        kept = [
            ring for at, ring in enumerate(rings) if not at or area(ring, arcs) > SMALLEST_ISLAND
        ]
        countries[FULL_NAMES.get(name, name)] = kept
    used = sorted({n if n >= 0 else ~n for rings in countries.values() for r in rings for n in r})
    place = {number: at for at, number in enumerate(used)}
    lines = []
    for number in used:
        line = thinned(arcs[number], TOLERANCE_DEGREES)
        if line[0] == line[-1] and len(line) < 4:  # small islands stay islands
            line = thinned(arcs[number], TOLERANCE_DEGREES / 8)
        lines.append(encoded(line))
    content = {
        "source": "Natural Earth 4.1.0, 1:50m, public domain; thinned by docs/make_world.py",
        "degrees": DEGREES,
        "lines": lines,
        "countries": {
            name: [[place[n] if n >= 0 else ~place[~n] for n in ring] for ring in rings]
            for name, rings in sorted(countries.items())
        },
    }
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n"
    Path(target).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", help="countries-50m.json")
    parser.add_argument("target", help="the file to write")
    arguments = parser.parse_args()
    main(arguments.source, arguments.target)
