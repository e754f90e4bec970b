"""What a model must beat, behind the model's interface.

Every baseline gives a probability to every token of an answer, so that it is measured in the same unit as
the model, or fills a hole, or both. Playing needs no PyTorch; `segue.symbolic.model.baselines` fits them.
"""

from segue.symbolic.baselines.copying import Copyist, RepeatBars, copies, repeated_bars
from segue.symbolic.baselines.markov import MarkovChain, MarkovDecoder
from segue.symbolic.baselines.matching import matching_bars
from segue.symbolic.baselines.players import Baseline, HumanOriginal, ShuffledOriginal
from segue.symbolic.baselines.storage import load_baselines

__all__ = [
    "Baseline",
    "Copyist",
    "HumanOriginal",
    "MarkovChain",
    "MarkovDecoder",
    "RepeatBars",
    "ShuffledOriginal",
    "copies",
    "load_baselines",
    "matching_bars",
    "repeated_bars",
]
