"""Known places lie in known countries; words are read as people write them."""

import math

import numpy as np
import pytest

from segue.core.world import country_at, country_in_text, world


@pytest.mark.parametrize(
    ("latitude", "longitude", "country"),
    [
        (40.71, -74.0, "United States"),
        (45.76, 4.83, "France"),
        (1.35, 103.82, "Singapore"),
        (-33.87, 151.21, "Australia"),
        (-29.6, 28.2, "Lesotho"),  # surrounded by another country
        (66.0, -172.0, "Russia"),  # beyond the date line
        (66.5, 179.0, "Russia"),
        (-80.0, 10.0, "Antarctica"),  # around the pole
        (0.0, 0.0, None),
        (89.0, 0.0, None),
        (math.nan, 3.0, None),
        (91.0, 3.0, None),
    ],
)
def test_the_country_of_a_place(latitude: float, longitude: float, country: str | None) -> None:
    assert country_at(latitude, longitude) == country


@pytest.mark.parametrize(
    ("text", "country"),
    [
        ("Lyon, France", "France"),
        ("Austin, TX", "United States"),
        ("Brooklyn", "United States"),
        ("NYC, U.S.A.", "United States"),
        ("São Paulo - Brasil", "Brazil"),
        ("Toronto, ON", "Canada"),
        ("cote d'ivoire", "Côte d'Ivoire"),
        ("Atlanta, Georgia", None),  # a country and a state
        ("the moon", None),
        ("in", None),  # two letters count after a comma alone
        ("", None),
    ],
)
def test_the_country_in_words(text: str, country: str | None) -> None:
    assert country_in_text(text) == country


def test_the_map_is_whole_and_can_be_drawn() -> None:
    found = world()
    assert len(found.countries) > 200
    points = np.concatenate([*found.coasts, *found.borders])
    assert np.abs(points[:, 0]).max() <= 180
    assert np.abs(points[:, 1]).max() <= 90
    assert max(np.abs(np.diff(line[:, 0])).max() for line in found.coasts) < 90
