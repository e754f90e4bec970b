"""The pictures that FMA's tables add: genres as a tree, countries, the map, licences, subsets."""

from collections import Counter
from collections.abc import Iterator

from segue.audio.data.corpora.fma_catalogue import CELL_DEGREES, Survey, licence_family
from segue.audio.data.corpora.fma_tracks import SUBSETS
from segue.core.counts import percent, ranked
from segue.core.report import Cell
from segue.core.split import SPLITS
from segue.plots.exhibits import Exhibit, bars_exhibit
from segue.plots.sound_collection import Branch, tree_figure, world_figure

_SUB_GENRES = 3
_TREE_ROWS = 64


def fma_exhibits(found: Survey) -> Iterator[Exhibit]:
    """Give the pictures of FMA's tables."""
    if found.tree:
        yield _genres(found)
    if found.countries:
        yield _countries(found)
    if found.cells:
        yield _map(found)
    if found.num_tracks:
        yield _licences(found)
        yield _subsets(found)


def _genres(found: Survey) -> Exhibit:
    titles = {genre.number: genre.title for genre, _ in found.tree}
    rows: list[list[Cell]] = [
        [f"{'– ' * depth}{genre.title}", titles.get(genre.parent, ""), depth,
         found.genres[genre.number], percent(found.genres[genre.number], found.num_tracks)]
        for genre, depth in found.tree
    ]  # fmt: skip
    branches = _branches(found)
    roots = [branch for branch in branches if branch.depth == 0]
    hidden = len(found.tree) - len(branches)
    text = (
        "Tracks of each of FMA's genres, as a tree. A track counts once in each of its genres and in "
        f"those above them. {found.without_genre:,} of {found.num_tracks:,} tracks have none."
    )
    if hidden:
        text += (
            f" Drawn are at most {_SUB_GENRES} sub-genres of each genre; "
            f"{hidden:,} more are in tables/genres.csv."
        )
    return Exhibit(
        "genres",
        "Genres",
        text,
        tree_figure(branches, title="Genres and their largest sub-genres", x_label="Tracks"),
        "Bars of tracks by genre, sub-genres indented. Largest: "
        + "; ".join(f"{branch.name}: {branch.value:,.0f}" for branch in roots[:5])
        + ".",
        ("Genre", "Part of", "Depth", "Tracks", "Share of tracks"),
        rows,
    )


def _branches(found: Survey) -> list[Branch]:
    """Return the rows of the tree that are drawn: each root with its largest sub-genres."""
    shown: list[Branch] = []
    below = 0
    for genre, depth in found.tree:
        below = 0 if depth == 0 else below + (depth == 1)
        if depth > 1 or below > _SUB_GENRES or len(shown) >= _TREE_ROWS:
            continue
        count = found.genres[genre.number]
        text = f"{count:,}  ({percent(count, found.num_tracks)})"
        shown.append(Branch(genre.title, depth, count, text))
    return shown


def _countries(found: Survey) -> Exhibit:
    known = sum(found.countries.values())
    order = ranked(found.countries)
    rows: list[list[Cell]] = [
        [name, count, percent(count, known), found.country_tracks[name]] for name, count in order
    ]
    return bars_exhibit(
        "countries",
        "Artists per country",
        f"The country of {known:,} of {found.num_artists:,} artists is known: of "
        f"{found.by_coordinates:,} by the coordinates in FMA's tables, which lie in the country or "
        "within half a degree of it (borders by Natural Earth, thinned to a tenth of a degree: a place "
        f"at a border may count as its neighbour's); of {found.by_text:,} more by the last part of the "
        "location in words. Artists are counted, not tracks.",
        order,
        whole=known,
        x_label="Artists",
        header=("Country", "Artists", "Share of artists", "Tracks"),
        rows=rows,
    )


def _map(found: Survey) -> Exhibit:
    located = sum(found.cells.values())
    order = sorted(found.cells.items(), key=lambda pair: (-pair[1], pair[0]))
    rows: list[list[Cell]] = [[south, west, count] for (south, west), count in order]
    (south, west), most = order[0]
    return Exhibit(
        "map",
        "Where artists live",
        f"Artists in each cell of {CELL_DEGREES} by {CELL_DEGREES} degrees, by the coordinates that "
        f"{located:,} of {found.num_artists:,} artists have. The scale of colours is logarithmic. "
        "Coastlines and borders: Natural Earth, public domain.",
        world_figure(
            found.cells,
            cell_degrees=CELL_DEGREES,
            title="Where artists live",
            label=f"Artists in a cell of {CELL_DEGREES}° x {CELL_DEGREES}°",
        ),
        f"Map of the world with {len(order):,} cells in colour; most artists, {most:,}, in the cell "
        f"from {south}° north and {west}° east.",
        ("South edge, degrees north", "West edge, degrees east", "Artists"),
        rows,
        shown=0,
    )


def _licences(found: Survey) -> Exhibit:
    families: Counter[str] = Counter()
    for name, count in found.licences.items():
        families[licence_family(name)] += count
    rows: list[list[Cell]] = [
        [name, licence_family(name), count, percent(count, found.num_tracks)]
        for name, count in ranked(found.licences)
    ]
    return bars_exhibit(
        "licences",
        "Licences",
        "Tracks under each kind of licence, versions and countries taken together; the table has them "
        "as FMA states them. NC: no commercial use. SA: share alike. ND: no derived works.",
        ranked(families),
        whole=found.num_tracks,
        x_label="Tracks",
        header=("Licence", "Kind", "Tracks", "Share of tracks"),
        rows=rows,
    )


def _subsets(found: Survey) -> Exhibit:
    rows: list[list[Cell]] = []
    counted: list[tuple[str, int]] = []
    sums: Counter[str] = Counter()
    for subset in SUBSETS:
        for split in SPLITS:
            sums[split] += found.splits[subset, split]
        rows.append([f"fma_{subset}", *(sums[split] for split in SPLITS), sum(sums.values())])
        counted.append((f"fma_{subset}", sum(sums.values())))
    return bars_exhibit(
        "subsets",
        "FMA's subsets and splits",
        "Tracks that belong to each of FMA's subsets (each holds the smaller ones) and to the split "
        "that its authors made, artist by artist.",
        counted,
        whole=found.num_tracks,
        x_label="Tracks",
        header=("Subset", "Training", "Validation", "Test", "Tracks"),
        rows=rows,
    )
