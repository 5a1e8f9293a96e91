"""Log-probabilities of several short endings of one prompt, which is read once for all of them.

Four options of a question share nine tenths of what there is to read. The prompts of a batch are padded on the left,
as in generation; their keys and values are kept, handed to every ending, and only the endings are read after that.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from stages.errors import PipelineError
from stages.scoring import evaluating, unwrapped
from stages.scoring.logprobs import MAX_LOGITS, batches, completion_logprobs, logits_at
from stages.tokens import Encoded


@torch.no_grad()
def ending_logprobs(
    model: PreTrainedModel,
    prompts: Sequence[list[int]],
    endings: Sequence[Sequence[list[int]]],
    max_batch_tokens: int = 8192,
    show: str | None = None,
) -> list[list[float]]:
    """Natural logarithm of p(ending | prompt), summed over the ending's tokens, for every ending of every prompt.

    Equals `completion_logprobs` of each pair of the two to less than 1e-4 nats in float32, and is that for a model
    whose layers keep something else than all keys and values (sliding windows, states of a recurrence). Raises
    PipelineError for a prompt or an ending without tokens.
    """
    if not all(prompts) or not all(ids for given in endings for ids in given):
        raise PipelineError("a prompt or an answer has no token to score: remove the row it came from")
    if not keeps_everything(model):
        pairs = [Encoded(prompt, ids) for prompt, given in zip(prompts, endings, strict=True) for ids in given]
        nats = iter(completion_logprobs(model, pairs, max_batch_tokens, show))
        return [[next(nats) for _ in given] for given in endings]
    together = [
        Encoded(prompt, [token for ids in given for token in ids])
        for prompt, given in zip(prompts, endings, strict=True)
    ]
    vocabulary = int(unwrapped(model).config.get_text_config().vocab_size)
    result: list[list[float]] = [[] for _ in prompts]
    with evaluating(model), tqdm(total=len(prompts), desc=show, unit="row", disable=show is None) as bar:
        for batch in batches(together, max_batch_tokens, MAX_LOGITS // vocabulary):
            scores = _score(model, [prompts[i] for i in batch], [list(endings[i]) for i in batch])
            for index, values in zip(batch, scores, strict=True):
                result[index] = values
            bar.update(len(batch))
    return result


def keeps_everything(model: PreTrainedModel) -> bool:
    """Whether each layer's cache is plain keys and values of all positions, which any row may go on from."""
    cache = DynamicCache(config=unwrapped(model).config.get_text_config())
    return all(type(layer) is DynamicLayer for layer in cache.layers)


def _score(model: PreTrainedModel, prompts: list[list[int]], endings: list[list[list[int]]]) -> list[list[float]]:
    """The first token of an ending is predicted by the prompt's last, the others by the ending itself."""
    cache = DynamicCache(config=unwrapped(model).config.get_text_config())
    longest = max(map(len, prompts))
    attended = torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in prompts])
    last = torch.zeros_like(attended, dtype=torch.bool)
    last[:, -1] = True
    after_prompt = logits_at(
        model,
        last.to(model.device),
        cache,
        input_ids=torch.tensor([[0] * (longest - len(ids)) + ids for ids in prompts]),
        attention_mask=attended,
        position_ids=(attended.cumsum(dim=1) - 1).clamp(min=0),
    ).float()
    owner = torch.tensor([place for place, given in enumerate(endings) for _ in given])
    flat = [ids for given in endings for ids in given]
    firsts = torch.tensor([ids[0] for ids in flat])
    nats = after_prompt.log_softmax(dim=-1)[owner.to(model.device), firsts.to(model.device)].double().cpu()
    longer = torch.tensor([len(ids) > 1 for ids in flat])
    if longer.any():
        rest = [ids for ids in flat if len(ids) > 1]
        nats[longer] += _rest(model, cache, owner[longer], attended, rest)
    values = iter(nats.tolist())
    return [[next(values) for _ in given] for given in endings]


def _rest(
    model: PreTrainedModel, cache: DynamicCache, owner: torch.Tensor, attended: torch.Tensor, endings: list[list[int]]
) -> torch.Tensor:
    """Nats of all tokens but the first of each ending, (endings,); ``owner`` is the row of its prompt in the cache."""
    cache.batch_select_indices(owner.to(model.device))
    rows = [torch.tensor(ids[:-1]) for ids in endings]
    input_ids = pad_sequence(rows, batch_first=True)
    place = torch.arange(input_ids.shape[1]).unsqueeze(0)
    real = place < torch.tensor([len(row) for row in rows]).unsqueeze(1)
    logits = logits_at(
        model,
        real.to(model.device),
        cache,
        input_ids=input_ids,
        attention_mask=torch.cat([attended[owner], real.long()], dim=1),
        position_ids=attended[owner].sum(dim=1, keepdim=True) + place,
    )
    targets = torch.tensor([token for ids in endings for token in ids[1:]], device=model.device)
    per_token = -cross_entropy(logits.float(), targets, reduction="none")
    return torch.stack([part.double().sum() for part in per_token.split([len(row) for row in rows])]).cpu()
