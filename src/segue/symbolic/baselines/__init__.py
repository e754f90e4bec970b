"""What a model must beat, behind the model's interface.

Every baseline gives a probability to every token of an answer, so that it is measured in the same unit as
the model, or fills a hole, or both.
"""

from segue.symbolic.baselines.copying import RepeatBars, copies, repeated_bars
from segue.symbolic.baselines.markov import MarkovChain

__all__ = ["MarkovChain", "RepeatBars", "copies", "repeated_bars"]
