"""The deck's architecture against GPT-2 of transformers, with the same weights."""

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from segue.symbolic.model.gpt import GPT, GPTConfig, preset

TOLERANCE = 1e-5


def _reference(config: GPTConfig) -> GPT2LMHeadModel:
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=config.vocab_size,
            n_positions=config.context_length,
            n_embd=config.width,
            n_layer=config.num_layers,
            n_head=config.num_heads,
            activation_function="gelu_new",
            tie_word_embeddings=config.tied_head,
            attn_pdrop=0.0,
            embd_pdrop=0.0,
            resid_pdrop=0.0,
        )
    ).eval()


def _names(layers: int) -> dict[str, str]:
    """Their name of every weight of ours."""
    inside = {
        "attention_norm": "ln_1",
        "attention.qkv": "attn.c_attn",
        "attention.out": "attn.c_proj",
        "feed_forward_norm": "ln_2",
        "feed_forward.up": "mlp.c_fc",
        "feed_forward.down": "mlp.c_proj",
    }
    names = {"embedding.weight": "transformer.wte.weight"}
    names |= {"positions.weight": "transformer.wpe.weight", "head.weight": "lm_head.weight"}
    for part in ("weight", "bias"):
        names[f"final_norm.{part}"] = f"transformer.ln_f.{part}"
        for layer in range(layers):
            for ours, theirs in inside.items():
                theirs_full = f"transformer.h.{layer}.{theirs}.{part}"
                names[f"blocks.{layer}.{ours}.{part}"] = theirs_full
    return names


@pytest.mark.parametrize("name", ["gpt-nano", "gpt-micro", "gpt-mini"])
@pytest.mark.parametrize("tied", [False, True])
def test_logits_equal_those_of_transformers(name: str, tied: bool):
    config = preset(name, vocab_size=300).model_copy(update={"dropout": 0.0, "tied_head": tied})
    torch.manual_seed(1)
    reference = _reference(config)
    # Biases and norms start at 0 and 1, where a swap would not show.
    for parameter in reference.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    theirs = reference.state_dict()
    names = _names(config.num_layers)
    transposed = ("qkv.weight", "out.weight", "up.weight", "down.weight")
    model = GPT(config).eval()
    weights = {
        ours: theirs[their_name].T if ours.endswith(transposed) else theirs[their_name]
        for ours, their_name in names.items()
    }
    model.load_state_dict(weights)
    ids = torch.randint(0, 300, (2, 97))
    with torch.inference_mode():
        expected = reference(ids).logits
        found = model(ids, torch.randint(0, 9999, ids.shape))
    scale = expected.abs().max()
    assert ((found - expected).abs().max() / scale) < TOLERANCE
