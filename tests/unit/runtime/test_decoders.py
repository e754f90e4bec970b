"""Both decoders: cached equals uncached, candidates equal singles, and clear refusals."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.tiny_models import CONTEXT_LENGTH, VOCAB_SIZE, Kind, tiny_model, tokens

from segue.errors import BundleError, SettingError
from segue.runtime.backend import Decoder
from segue.runtime.onnx_backend import OnnxDecoder
from segue.runtime.torch_backend import TorchDecoder
from segue.symbolic.model.export import export_graph

TOLERANCE = 2e-5
INT8_TOLERANCE = 0.25
"""The largest difference of an int8 logit, where logits spread over about 8."""


@pytest.fixture(scope="module", params=["learned", "rotary"])
def kind(request: pytest.FixtureRequest) -> Kind:
    """Both families of positions."""
    kind: Kind = request.param
    return kind


@pytest.fixture(scope="module")
def graphs(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the float and the int8 graph of a tiny model."""
    folder = tmp_path_factory.mktemp("graphs")
    export_graph(tiny_model(kind), folder / "float.onnx", int8=False)
    export_graph(tiny_model(kind), folder / "int8.onnx", int8=True)
    return folder


@pytest.fixture(scope="module", params=["onnx", "torch"])
def decoder(request: pytest.FixtureRequest, kind: Kind, graphs: Path) -> Iterator[Decoder]:
    """The exact decoders; the int8 one is compared by tolerance below."""
    if request.param == "torch":
        yield TorchDecoder(tiny_model(kind))
    else:
        yield OnnxDecoder(graphs / "float.onnx")


def test_it_knows_its_sizes(decoder: Decoder) -> None:
    assert (decoder.vocab_size, decoder.context_length) == (VOCAB_SIZE, CONTEXT_LENGTH)


@pytest.mark.parametrize("prefix", [1, 7, 300])
def test_cached_equals_uncached(decoder: Decoder, prefix: int) -> None:
    ids, times = tokens((1, min(prefix + 80, CONTEXT_LENGTH)))
    wanted = decoder.logits(ids, times)[0]
    session = decoder.start(ids[0, :prefix], times[0, :prefix])
    np.testing.assert_allclose(session.logits[0], wanted[prefix - 1], atol=TOLERANCE)
    for index in range(prefix, ids.shape[1]):
        found = session.step(ids[:, index], times[:, index])
        np.testing.assert_allclose(found[0], wanted[index], atol=TOLERANCE)


def test_rows_of_a_batch_equal_single_rows(decoder: Decoder) -> None:
    ids, times = tokens((3, 20))
    wanted = np.concatenate([decoder.logits(ids[[row]], times[[row]]) for row in range(3)])
    np.testing.assert_allclose(decoder.logits(ids, times), wanted, atol=TOLERANCE)


def test_later_tokens_change_nothing_before_them(decoder: Decoder) -> None:
    ids, times = tokens((1, 300))
    short = decoder.logits(ids[:, :290], times[:, :290])
    np.testing.assert_allclose(decoder.logits(ids, times)[:, :290], short, atol=TOLERANCE)


def test_candidates_equal_singles_and_may_be_dropped(decoder: Decoder) -> None:
    prefix, prefix_times = tokens((30,))
    ids, times = tokens((4, 90), seed=1)
    times += prefix_times[-1]
    wanted = np.stack(
        [
            decoder.logits(np.append(prefix, row)[None], np.append(prefix_times, time)[None])[
                0, 30:
            ]
            for row, time in zip(ids, times, strict=True)
        ]
    )
    session = decoder.start(prefix, prefix_times, num_candidates=4)
    assert (session.logits == session.logits[0]).all()
    rows = np.arange(4)
    for index in range(90):
        if index in (5, 70):
            session.keep(chosen := [2, 0, 3] if index == 5 else [1])
            rows = rows[chosen]
        found = session.step(ids[rows, index], times[rows, index])
        assert found is session.logits
        np.testing.assert_allclose(found, wanted[rows, index], atol=TOLERANCE)


def test_a_kept_candidate_keeps_its_logits(decoder: Decoder) -> None:
    ids, times = tokens((5,))
    session = decoder.start(ids, times, num_candidates=3)
    before = session.step(np.array([1, 2, 3]), np.array([9, 9, 9])).copy()
    session.keep([2, 1])
    np.testing.assert_array_equal(session.logits, before[[2, 1]])


def test_logits_of_earlier_steps_are_not_overwritten(decoder: Decoder) -> None:
    ids, times = tokens((5,))
    session = decoder.start(ids, times)
    first = session.step(ids[:1], times[:1])
    copy = first.copy()
    session.step(ids[1:2], times[1:2])
    np.testing.assert_array_equal(first, copy)


def test_sessions_do_not_disturb_each_other(decoder: Decoder) -> None:
    ids, times = tokens((2, 20))
    wanted = decoder.logits(ids, times)
    sessions = [decoder.start(ids[row, :10], times[row, :10]) for row in range(2)]
    for index in range(10, 20):
        for row, session in enumerate(sessions):
            found = session.step(ids[[row], index], times[[row], index])
            np.testing.assert_allclose(found[0], wanted[row, index], atol=TOLERANCE)


def test_a_full_context_is_refused(decoder: Decoder) -> None:
    ids, times = tokens((1, CONTEXT_LENGTH + 1))
    with pytest.raises(SettingError, match=f"context of {CONTEXT_LENGTH}"):
        decoder.logits(ids, times)
    with pytest.raises(SettingError, match=f"context of {CONTEXT_LENGTH}"):
        decoder.start(ids[0], times[0])
    session = decoder.start(ids[0, :-2], times[0, :-2])
    session.step(ids[0, :1], times[0, :1])
    with pytest.raises(SettingError, match=f"context of {CONTEXT_LENGTH}"):
        session.step(ids[0, :1], times[0, :1])


def test_wrong_shapes_are_refused(decoder: Decoder) -> None:
    ids, times = tokens((6,))
    with pytest.raises(SettingError, match="needs ids and times"):
        decoder.start(ids[:0], times[:0])
    with pytest.raises(SettingError, match="num_candidates"):
        decoder.start(ids, times, num_candidates=0)
    session = decoder.start(ids, times, num_candidates=2)
    with pytest.raises(SettingError, match="needs ids and times"):
        session.step(ids[:3], times[:3])
    for rows in ([], [2], [-1]):
        with pytest.raises(SettingError, match="keep"):
            session.keep(rows)


@pytest.mark.parametrize("token", [-1, VOCAB_SIZE])
def test_unknown_tokens_are_refused(decoder: Decoder, token: int) -> None:
    ids, times = tokens((4,))
    session = decoder.start(ids, times)
    bad = np.array([token])
    for action in (lambda: session.step(bad, bad * 0), lambda: decoder.start(bad, bad * 0)):
        with pytest.raises(SettingError, match=f"Token {token} is outside"):
            action()


def test_int8_stays_near_the_model(kind: Kind, graphs: Path) -> None:
    ids, times = tokens((2, 60))
    wanted = TorchDecoder(tiny_model(kind)).logits(ids, times)
    decoder = OnnxDecoder(graphs / "int8.onnx")
    found = decoder.logits(ids, times)
    assert np.ptp(wanted) > 5
    assert 0 < np.abs(found - wanted).max() < INT8_TOLERANCE
    session = decoder.start(ids[0, :40], times[0, :40])
    for index in range(40, 60):
        session.step(ids[:1, index], times[:1, index])
    np.testing.assert_allclose(session.logits[0], wanted[0, -1], atol=INT8_TOLERANCE)


def test_int8_candidates_do_not_depend_on_each_other(graphs: Path) -> None:
    decoder = OnnxDecoder(graphs / "int8.onnx")
    prefix, prefix_times = tokens((30,))
    ids, times = tokens((3, 10), seed=1)
    together = decoder.start(prefix, prefix_times, num_candidates=3)
    alone = decoder.start(prefix, prefix_times)
    for index in range(10):
        found = together.step(ids[:, index], times[:, index])
        single = alone.step(ids[1:2, index], times[1:2, index])
        np.testing.assert_allclose(found[1], single[0], atol=TOLERANCE)


def test_threads_change_nothing(graphs: Path) -> None:
    ids, times = tokens((1, 300))
    one, two = (OnnxDecoder(graphs / "float.onnx", threads=n).logits(ids, times) for n in (1, 2))
    np.testing.assert_allclose(one, two, atol=TOLERANCE)
    for threads in (0, 1_000_000):
        with pytest.raises(SettingError, match=f"threads is {threads}"):
            OnnxDecoder(graphs / "float.onnx", threads=threads)


def test_files_that_are_no_graphs_of_ours_are_refused(tmp_path: Path, graphs: Path) -> None:
    with pytest.raises(BundleError, match="cannot be opened"):
        OnnxDecoder(tmp_path / "absent.onnx")
    cut = tmp_path / "cut.onnx"
    cut.write_bytes((graphs / "int8.onnx").read_bytes()[:5000])
    with pytest.raises(BundleError, match="cannot be opened"):
        OnnxDecoder(cut)
    other = tmp_path / "other.onnx"
    other.write_bytes(_identity_graph())
    with pytest.raises(BundleError, match="not one that segue exported"):
        OnnxDecoder(other)


def _identity_graph() -> bytes:
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    node = helper.make_node("Identity", ["x"], ["y"])
    graph = helper.make_graph([node], "other", ends[:1], ends[1:])
    opsets = [helper.make_opsetid("", 18)]
    found: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()
    return found
