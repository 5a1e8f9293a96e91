"""The embedded base: a byte-level BPE and a small Qwen3 trained from scratch on the corpus.

Its tokenizer is its own, since Qwen's 151,669 entries would put 19 of 20 million parameters into embeddings. It
carries Qwen's special tokens, so that everything downstream treats it as it treats a Qwen.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM, Trainer, TrainingArguments, set_seed

from stages.bases.muon import Muon
from stages.bases.templates import shipped_template
from stages.core.checkpoints import SaveEveryMinute, newest_checkpoint, scratch_folder
from stages.core.errors import PipelineError
from stages.core.files import sha256
from stages.core.params import PretrainBase
from stages.core.progress import show_progress

END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
# A word with the space before it, each digit by itself (so that numbers are composed, not memorised), punctuation.
PRE_TOKENS = Regex(r" ?\p{L}[\p{L}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+|\s+")


def train_tokenizer(documents: list[str], vocabulary: int, context_tokens: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE of ``vocabulary`` entries with Qwen's special tokens and a ChatML template."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(PRE_TOKENS, behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END_OF_TEXT, TURN_START, TURN_END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(documents, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=TURN_END,
        pad_token=END_OF_TEXT,
        additional_special_tokens=[TURN_START],
        model_max_length=context_tokens,
    )
    fast.chat_template = shipped_template("chatml")
    return fast


DOCUMENTS_AT_ONCE = 1000


class Blocks(Dataset[dict[str, torch.Tensor]]):
    """The corpus as one stream of tokens, cut into blocks; read up to ``wanted_tokens``, or whole where it is shorter.

    A document ends with the token that will end an answer: LoRA trains no embedding, and a stop token whose row is
    still random is learned badly or never (QwenLM/Qwen3#1064).
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, documents: list[str], block_tokens: int, wanted_tokens: int
    ) -> None:
        separator = tokenizer.convert_tokens_to_ids(TURN_END)
        stream: list[Any] = []
        for start in range(0, len(documents), DOCUMENTS_AT_ONCE):
            if len(stream) >= wanted_tokens:
                break
            for ids in tokenizer(documents[start : start + DOCUMENTS_AT_ONCE], add_special_tokens=False)["input_ids"]:
                stream.extend(ids)
                stream.append(separator)
        self.tokens = len(stream)
        whole = len(stream) // block_tokens * block_tokens
        if not whole:
            raise PipelineError(f"the corpus has {len(stream)} tokens, less than one block of {block_tokens}: add text")
        self.blocks = torch.tensor(stream[:whole]).view(-1, block_tokens)

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"input_ids": self.blocks[index], "labels": self.blocks[index]}


def pretrain(base: PretrainBase, corpus: Path, folder: Path) -> Qwen3ForCausalLM:
    """Train tokenizer and model and save both into ``folder``; returns the model.

    Resumes from a checkpoint of the same corpus and parameters; the result has the bytes of an uninterrupted run.
    """
    if not corpus.exists():
        raise PipelineError(f"{corpus} is missing: run `dvc repro prepare`")
    documents = corpus.read_text(encoding="utf-8").splitlines()
    tokenizer = train_tokenizer(documents, base.vocabulary, base.context_tokens)
    tokens_seen = base.steps * base.sequences_per_step * base.block_tokens
    blocks = Blocks(tokenizer, documents, base.block_tokens, tokens_seen)
    set_seed(base.seed)
    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=base.hidden,
            intermediate_size=base.feed_forward,
            num_hidden_layers=base.layers,
            num_attention_heads=base.heads,
            num_key_value_heads=base.kv_heads,
            head_dim=base.hidden // base.heads,
            max_position_embeddings=base.context_tokens,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            dtype="float32",
        )
    )
    print(
        f"base: pretraining a Qwen3 of {model.num_parameters():,} parameters, vocabulary {len(tokenizer):,}, "
        f"on {tokens_seen:,} tokens ({tokens_seen / blocks.tokens:.1f} passes over {blocks.tokens:,})"
    )
    embedding = model.get_input_embeddings().weight
    matrices = [weight for weight in model.parameters() if weight.ndim == 2 and weight is not embedding]
    optimizer = Muon(
        matrices,
        [weight for weight in model.parameters() if weight.ndim < 2 or weight is embedding],
        lr=base.learning_rate,
        weight_decay=0.1,
        betas=(0.9, 0.95),
    )
    scratch = scratch_folder("base", {"base": vars(base), "corpus": sha256(corpus), "torch": torch.__version__})
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(scratch),
            max_steps=base.steps,
            per_device_train_batch_size=base.sequences_per_step,
            lr_scheduler_type="linear",  # to zero
            warmup_steps=min(50, base.steps // 4),
            max_grad_norm=1.0,
            seed=base.seed,
            data_seed=base.seed,
            logging_steps=10,
            save_strategy="no",
            save_total_limit=2,
            report_to="none",
            dataloader_pin_memory=torch.cuda.is_available(),
        ),
        train_dataset=blocks,
        callbacks=[SaveEveryMinute()],
        optimizers=(optimizer, None),
    )
    show_progress(trainer, "base")
    trainer.train(resume_from_checkpoint=newest_checkpoint(scratch))
    print(f"base: final loss {trainer.state.log_history[-2]['loss']} nats per token")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model
