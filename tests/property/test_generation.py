"""Whatever the logits are, what comes out is valid, ends in time and has exactly the bars asked for."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.generation import FakeDecoder, grammar, problems, prompt, random_spec

from segue.symbolic.generate import generate
from segue.symbolic.sampling import SamplingSettings

seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=100, deadline=None)
@given(
    seed=seeds,
    end=st.sampled_from(["eos", "bar"]),
    extra=st.none() | st.integers(0, 200),
    scale=st.sampled_from([0.0, 0.1, 1.0, 5.0, 1e4]),
    temperature=st.sampled_from([0.0, 0.5, 1.0, 2.0]),
    top_k=st.none() | st.integers(1, 40),
    top_p=st.floats(0.05, 1),
    count=st.integers(1, 3),
)
def test_generations_are_valid(
    seed: int, end: str, extra: int | None, scale: float, count: int, **drawing
) -> None:
    rng = np.random.default_rng(seed)
    spec = random_spec(rng, end=end)
    least = grammar().start(spec).tokens_to_end
    most = least + (600 if extra is None else extra)
    candidates = generate(
        FakeDecoder(seed=seed, scale=scale),
        grammar(),
        prompt(),
        spec,
        settings=SamplingSettings(seed=seed, **drawing),
        num_candidates=count,
        max_tokens=most,
    )
    assert 1 <= len(candidates) <= count
    for candidate in candidates:
        assert least <= len(candidate.tokens) <= most
        found = problems(candidate.ids, spec)
        if end == "bar":
            found = [said for said in found if "breaks off" not in said]
        assert found == []


@settings(max_examples=25, deadline=None)
@given(seed=seeds, count=st.integers(2, 5), data=st.data())
def test_a_candidate_does_not_depend_on_the_others(seed: int, count: int, data) -> None:
    spec = random_spec(np.random.default_rng(seed))
    drawing = SamplingSettings(seed=seed, temperature=data.draw(st.floats(0.1, 2)), top_p=0.95)

    def run(number: int):
        candidates = generate(
            FakeDecoder(seed=seed, scale=1.0),
            grammar(),
            prompt(),
            spec,
            settings=drawing,
            num_candidates=number,
            max_tokens=400,
        )
        return {c.number: (c.ids.tolist(), c.log_prob) for c in candidates}

    together = run(count)
    fewer = run(data.draw(st.integers(1, count - 1)))
    assert fewer[0] == together[0]
    assert all(together.get(number, result) == result for number, result in fewer.items())


@settings(max_examples=100, deadline=None)
@given(seed=seeds)
def test_every_state_of_a_hole_has_a_way_on(seed: int) -> None:
    """Walks that follow a random preference between types, as a stubborn model would."""
    rng = np.random.default_rng(seed)
    rules, spec = grammar(), random_spec(rng)
    preference = rng.permutation(len(rules.first) + 10)
    kinds = rules.vocabulary.types
    state = rules.start(spec)
    for _ in range(1500):
        if state.done:
            return
        legal = np.flatnonzero(state.mask())
        assert len(legal)
        best = legal[preference[kinds[legal]] == preference[kinds[legal]].min()]
        state.advance(int(rng.choice(best)))
    while not state.done:
        legal = np.flatnonzero(state.mask(closing=True))
        assert len(legal)
        state.advance(int(rng.choice(legal)))
