"""A bundle ready to write music: decoder, tokenizer and grammar that belong together."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from segue.runtime.backend import Decoder
from segue.runtime.bundle import Bundle
from segue.symbolic.grammar import Grammar
from segue.symbolic.sampling import SamplingSettings, sampling_settings
from segue.symbolic.tokenizer import Tokenizer
from segue.symbolic.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class MidiModel:
    """Everything that generation needs of a bundle.

    Attributes:
        name: of the bundle.
        objective: ``infill`` (ours) or ``next_token`` (the source deck's).
        decoder: runs the network.
        tokenizer: of the bundle.
        grammar: of the tokenizer.
        defaults: sampling settings that the bundle recommends.
    """

    name: str
    objective: str
    decoder: Decoder
    tokenizer: Tokenizer
    grammar: Grammar
    defaults: SamplingSettings

    @property
    def vocabulary(self) -> Vocabulary:
        """Base tokens of the tokenizer."""
        return self.tokenizer.vocabulary

    @classmethod
    def open(cls, bundle: Bundle | Path | str | None = None, *, threads: int | None = None) -> Self:
        """Open a bundle, by default the one that ships with the package.

        Args:
            bundle: a bundle, its folder, or the name of a shipped one.
            threads: of the decoder.

        Raises:
            BundleError: there is no such bundle, or it is damaged.
        """
        from segue.runtime.onnx_backend import OnnxDecoder

        opened = bundle if isinstance(bundle, Bundle) else Bundle.open(bundle)
        opened.require(kind="midigpt")
        tokenizer = Tokenizer.from_file(opened.path("tokenizer.json"))
        return cls.of(
            OnnxDecoder(opened, threads=threads),
            tokenizer,
            name=opened.name,
            objective=opened.objective,
            sampling=opened.config.get("sampling", {}),
        )

    @classmethod
    def of(
        cls,
        decoder: Decoder,
        tokenizer: Tokenizer,
        *,
        name: str = "unnamed",
        objective: str = "infill",
        sampling: dict[str, Any] | None = None,
    ) -> Self:
        """Put a model together from its parts, for instance with a PyTorch decoder."""
        return cls(
            name=name,
            objective=objective,
            decoder=decoder,
            tokenizer=tokenizer,
            grammar=Grammar(tokenizer.vocabulary, tokenizer.merges),
            defaults=sampling_settings(**(sampling or {})),
        )

    def settings(self, **values: Any) -> SamplingSettings:
        """Return the bundle's sampling settings with a user's own in their place; None is unset.

        Raises:
            SettingError: a value is out of range.
        """
        given = {name: value for name, value in values.items() if value is not None}
        return sampling_settings(**(self.defaults.model_dump() | given))
