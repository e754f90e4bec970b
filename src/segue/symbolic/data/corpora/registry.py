"""All MIDI corpora, in the order in which they are listed."""

from segue.core.corpus import Corpus
from segue.symbolic.data.corpora import (
    boulanger,
    groove,
    hooktheory,
    lakh,
    maestro,
    pdmx,
    pop909,
)


def midi_corpora() -> tuple[Corpus, ...]:
    """Return every MIDI corpus that can be downloaded by name."""
    return (
        *lakh.CORPORA,
        *maestro.CORPORA,
        *pop909.CORPORA,
        *groove.CORPORA,
        *boulanger.CORPORA,
        *hooktheory.CORPORA,
        *pdmx.CORPORA,
    )
