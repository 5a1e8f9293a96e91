"""One test per behaviour of transformers that scoring relies on and no documentation promises."""

from __future__ import annotations

import torch
from transformers import AutoModelForCausalLM, DynamicCache, Gemma2Config, LlamaConfig
from transformers.cache_utils import DynamicLayer

from stages.scoring.log_probabilities import logits_at
from stages.scoring.prefix_cache import keeps_everything
from tests.support.canaries import canary

SMALL = {"vocab_size": 50, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16, "max_position_embeddings": 64}


def test_a_layer_that_keeps_all_keys_and_values_is_of_the_plain_class() -> None:
    with canary("a cache holds a DynamicLayer for full attention, another class for a window", keeps_everything):
        plain = DynamicCache(config=LlamaConfig(**SMALL, **HEADS)).layers
        windows = DynamicCache(config=Gemma2Config(**SMALL, **HEADS, sliding_window=6)).layers
        assert [type(layer) is DynamicLayer for layer in plain] == [True, True]
        assert not all(type(layer) is DynamicLayer for layer in windows)


@torch.no_grad()
def test_a_model_projects_the_hidden_states_that_its_output_embedding_is_given() -> None:
    torch.manual_seed(2)
    model = AutoModelForCausalLM.from_config(LlamaConfig(**SMALL, **HEADS)).eval()
    ids = torch.tensor([[3, 4, 5, 6]])
    wanted = torch.tensor([[False, True, False, True]])
    with canary("a causal model's forward calls get_output_embeddings() on its hidden states alone", logits_at):
        found = logits_at(model, wanted, input_ids=ids)
        assert torch.allclose(found, model(input_ids=ids).logits[wanted], atol=1e-5)
