"""What the recipes in the package say about preparing a corpus."""

import re

from segue.recipes import load_recipe
from segue.symbolic.data.tokenizer import TokenizerConfig


def test_the_original_recipe_spells_out_the_decks_tokenizer() -> None:
    assert load_recipe("midigpt-original").prepare.tokenizer == TokenizerConfig.original()


def test_the_patterns_of_the_shipped_corpus_find_works() -> None:
    patterns = load_recipe("midigpt-small").prepare.duplicates.work_patterns

    def works(path: str) -> set[tuple[str, ...]]:
        return {match.groups() for pattern in patterns if (match := re.search(pattern, path))}

    alike = [
        ("mutopia/BachJS__BWV988__v1__v1__0.mid", "mutopia/BachJS__BWV988__v2__v2__1.mid"),
        (
            "nifc-polish/pl-kk--kk-i-10--018-001_a-b--missa-kyrie.mid",
            "nifc-polish/pl-kk--kk-i-10--018-002_a-b--missa-gloria.mid",
        ),
        ("nifc-polish/pl-a--1_chopin--mazur.mid", "nifc-polish/pl-b--2_chopin--mazur.mid"),
        (
            "openscore-lieder/scores__Wolf,_Hugo__Lieder__1_A__lc1.mid",
            "openscore-lieder/scores__Wolf,_Hugo__Lieder__2_B__lc2.mid",
        ),
    ]
    other = [
        ("nifc-polish/pl-a--1_anonim--mazur.mid", "nifc-polish/pl-b--2_anonim--mazur.mid"),
        ("mutopia/BachJS__BWV988__v1__v1__0.mid", "mutopia/BachJS__BWV989__v1__v1__0.mid"),
        (
            "openscore-lieder/scores__Browne,_Augusta_____One__lc1.mid",
            "openscore-lieder/scores__Browne,_Augusta_____Two__lc2.mid",
        ),
    ]
    assert all(works(one) & works(two) for one, two in alike)
    assert not any(works(one) & works(two) for one, two in other)
