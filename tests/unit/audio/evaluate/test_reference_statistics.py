import io
from dataclasses import replace

import numpy as np
import pytest
from tests.loopback import digest, zip_of

from segue.audio.evaluate import reference
from segue.audio.evaluate.distances import frechet_distance
from segue.audio.evaluate.embedding import EmbeddedClips
from segue.audio.evaluate.reference import ReferenceStatistics, frechet_to_statistics
from segue.audio.evaluate.weights import FMA_POP
from segue.errors import BundleError, DataError, MissingExtraError, SettingError


def cloud(seed, num, dims=6, shift=0.0):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(num, dims)) @ rng.normal(size=(dims, dims)) + shift
    return EmbeddedClips(points, np.arange(num).astype(str), num)


def npz(**arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def statistics(clips):
    return ReferenceStatistics.of("toy", "x", clips.vectors)


@pytest.mark.parametrize("num", [3, 6, 7, 200])
def test_it_equals_the_distance_of_the_points(num):
    first, second = cloud(0, num), cloud(1, 150, shift=1.0)
    expected = frechet_distance(first.vectors, second.vectors)
    assert frechet_to_statistics(first, statistics(second)) == pytest.approx(expected, rel=1e-6)
    assert frechet_to_statistics(second, statistics(first)) == pytest.approx(expected, rel=1e-6)
    both = frechet_to_statistics(statistics(first), statistics(second))
    assert both == pytest.approx(expected, rel=1e-6)


def test_known_gaussians():
    one = ReferenceStatistics.create("a", "x", np.zeros(3), np.diag([1.0, 4.0, 9.0]))
    two = ReferenceStatistics.create("b", "x", np.array([3.0, 0, 0]), np.diag([4.0, 4.0, 1.0]))
    assert frechet_to_statistics(one, two) == pytest.approx(9 + 1 + 0 + 4)
    assert frechet_to_statistics(one, one) == pytest.approx(0, abs=1e-12)
    flat = ReferenceStatistics.create("c", "x", np.zeros(3), np.zeros((3, 3)))
    assert frechet_to_statistics(one, flat) == pytest.approx(14)


def test_eigenvalues_below_zero_by_rounding_do_no_harm():
    covariance = np.ones((4, 4)) - 1e-13 * np.eye(4)
    found = ReferenceStatistics.create("a", "x", np.zeros(4), covariance)
    assert frechet_to_statistics(found, found) == pytest.approx(0, abs=1e-6)


def test_an_npz_is_read_by_name(tmp_path):
    clips = cloud(2, 40)
    whole = statistics(clips)
    arrays = {"vggish.mu": whole.mean, "vggish.cov": whole.covariance}
    (tmp_path / "mine.npz").write_bytes(npz(**arrays))
    found = ReferenceStatistics.read(tmp_path / "mine.npz", "vggish")
    assert (found.collection, found.embedding) == ("mine", "vggish")
    np.testing.assert_array_equal(found.covariance, whole.covariance)
    with pytest.raises(SettingError, match="Did you mean vggish"):
        ReferenceStatistics.read(tmp_path / "mine.npz", "vgish")


def test_the_wheel_is_found_in_the_cache_and_checked(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("SEGUE_FMA_POP_STATISTICS_WHEEL", raising=False)
    with pytest.raises(MissingExtraError, match="segue data download fma-pop-statistics"):
        ReferenceStatistics.read(None, "vggish")
    inside = npz(**{"vggish.mu": np.zeros(2), "vggish.cov": np.eye(2)})
    wheel = zip_of({"fadtk/stats/fma_pop.npz": inside})
    (tmp_path / "segue").mkdir()
    (tmp_path / "segue" / FMA_POP.archives[0].file_name).write_bytes(wheel)
    with pytest.raises(BundleError, match="SHA-256"):
        ReferenceStatistics.read(None, "vggish")
    known = replace(FMA_POP.archives[0], digest=digest(wheel))
    monkeypatch.setattr(reference, "FMA_POP", replace(FMA_POP, archives=(known,)))
    assert ReferenceStatistics.read(None, "vggish").collection == "FMA-Pop"


def test_nothing_is_unpickled(tmp_path):
    pickled = np.array([{"a": 1}], dtype=object)
    (tmp_path / "bad.npz").write_bytes(npz(**{"x.mu": pickled, "x.cov": np.eye(1)}))
    with pytest.raises(BundleError, match="no readable statistics"):
        ReferenceStatistics.read(tmp_path / "bad.npz", "x")


@pytest.mark.parametrize(
    ("mean", "covariance"),
    [
        (np.zeros(2), np.eye(3)),
        (np.zeros((2, 1)), np.eye(2)),
        (np.array([np.nan, 0]), np.eye(2)),
        (np.zeros(2), np.array([[1.0, 0.5], [0.0, 1.0]])),
    ],
)
def test_statistics_that_make_no_sense_are_refused(mean, covariance):
    with pytest.raises(BundleError):
        ReferenceStatistics.create("a", "x", mean, covariance)


def test_other_dimensions_are_said():
    with pytest.raises(DataError, match="embed them with x"):
        frechet_to_statistics(cloud(0, 9, dims=5), statistics(cloud(0, 9)))
    with pytest.raises(DataError, match="two points"):
        statistics(cloud(0, 1))
