"""All audio corpora, in the order in which they are listed."""

from segue.audio.data.corpora import fma
from segue.core.corpus import Corpus


def audio_corpora() -> tuple[Corpus, ...]:
    """Return every audio corpus that can be downloaded by name."""
    return fma.CORPORA
