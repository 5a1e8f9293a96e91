"""params.yaml as frozen dataclasses: an unknown key, a wrong type or a contradiction is one clear error.

DVC writes YAML 1.2 (``-S`` turns 5e-7 into ``5e-07``), which PyYAML reads as a string; ruamel.yaml, which DVC
itself uses, reads a number (treeverse/dvc#8466).
"""

from __future__ import annotations

import math
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from stages.core import paths
from stages.core.errors import PipelineError

DTYPES = ("float32", "bfloat16")


@dataclass(frozen=True)
class Flaws:
    """Shares of SFT rows, 0..1, in which a flaw is planted."""

    hedging: float
    repetition: float

    def __post_init__(self) -> None:
        if min(self.hedging, self.repetition) < 0 or self.hedging + self.repetition > 1:
            raise ValueError("hedging and repetition are shares of the same rows: each 0 or more, together 1 or less")


# Our names of columns to theirs (or to a text that every row gets), or the names of a table without a header.
Columns = dict[str, str | dict[str, str]] | tuple[str, ...]


@dataclass(frozen=True)
class Rows:
    """Where rows of the user's own lie: a file, folder or glob on this disk, or a data set of the hub."""

    name: str  # ids begin with it
    path: str = ""
    hub: str = ""
    config: str = ""
    split: str = "train"
    revision: str = ""
    download: bool = False
    layout: str = "auto"
    columns: Columns = ()
    ignore: tuple[str, ...] = ()
    on_bad_row: Literal["stop", "skip"] = "stop"
    reasoning: Literal["refuse", "remove"] = "refuse"


@dataclass(frozen=True)
class Source(Rows):
    """Rows to train on."""

    preset: str = ""
    license: str = ""
    topic: str = "own"
    threshold: float = 0.5
    weight: float = 1.0
    turns: Literal["all", "last"] = "all"
    test_limit: int = 400
    allow_loss: bool = False

    def __post_init__(self) -> None:
        if self.weight <= 0:
            raise ValueError(f"weight must be above 0, found {self.weight}: remove the source to leave it out")
        _above_zero(test_limit=self.test_limit)


@dataclass(frozen=True)
class Limits:
    """Bounds of an answer; what counts in tokens is the `contract` stage's."""

    min_characters: int
    max_characters: int
    max_words: int
    min_arabic_share: float

    def __post_init__(self) -> None:
        if not 0 < self.min_characters <= self.max_characters or self.max_words < 1:
            raise ValueError("0 < min_characters <= max_characters and 1 <= max_words must hold")
        if not 0 <= self.min_arabic_share <= 1:
            raise ValueError("min_arabic_share must lie in 0..1")


@dataclass(frozen=True)
class Data:
    seed: int
    validation_share: float
    test_share: float
    shipped: bool
    sources: tuple[Source, ...]
    flaws: Flaws
    pairs_per_skill_row: int
    unpaired_bad_share: float
    mcq_questions: int
    generation_prompts: int
    limits: Limits
    policy: dict[str, Literal["drop", "mask", "keep"]]

    def __post_init__(self) -> None:
        for name in ("validation_share", "test_share"):
            if not 0 < getattr(self, name) <= 0.4:
                raise ValueError(f"{name} must lie above 0 and at most at 0.4")
        if not 1 <= self.pairs_per_skill_row <= 5:
            raise ValueError("pairs_per_skill_row must lie in 1..5")
        if not 0 < self.unpaired_bad_share <= 1:
            raise ValueError("unpaired_bad_share must lie above 0 and at most at 1")
        if not self.shipped and not self.sources:
            raise ValueError("shipped is false and sources is empty: nothing is left to train on")
        if len({source.name for source in self.sources}) != len(self.sources):
            raise ValueError("the names of sources must differ: ids begin with them")
        if unmaskable := [flag for flag, do in self.policy.items() if do == "mask" and flag != "personal_data"]:
            raise ValueError(f"policy.{unmaskable[0]} is mask: only personal_data can be masked")


Auto = Literal["auto"]


@dataclass(frozen=True)
class Lora:
    rank: int
    alpha: int
    targets: Auto | tuple[str, ...] = "auto"

    def __post_init__(self) -> None:
        _above_zero(rank=self.rank, alpha=self.alpha)
        if self.targets != "auto" and (not self.targets or len(set(self.targets)) != len(self.targets)):
            raise ValueError("targets must be auto, or a list of distinct names of linear layers")


@dataclass(frozen=True)
class SftMethod:
    """Cross-entropy on answers; on pairs, on the chosen ones."""

    method: Literal["sft"]
    init: str
    data: Literal["sft", "pairs"]
    budget: Literal["sft", "preference"]


@dataclass(frozen=True)
class PairMethod:
    """DPO, or IPO in TRL's form per token. ``beta`` is explained in params.yaml, where the user sets it."""

    method: Literal["dpo", "ipo"]
    init: str
    data: Literal["pairs"]
    budget: Literal["preference"]
    beta: float

    def __post_init__(self) -> None:
        _above_zero(beta=self.beta)


@dataclass(frozen=True)
class CpoMethod:
    """DPO without a reference, plus ``nll_weight`` times the likelihood of the chosen answer."""

    method: Literal["cpo"]
    init: str
    data: Literal["pairs"]
    budget: Literal["preference"]
    beta: float
    nll_weight: float

    def __post_init__(self) -> None:
        _above_zero(beta=self.beta, nll_weight=self.nll_weight)


@dataclass(frozen=True)
class KtoMethod:
    """Single answers labelled good or bad, each label with its weight."""

    method: Literal["kto"]
    init: str
    data: Literal["unpaired"]
    budget: Literal["preference"]
    beta: float
    desirable_weight: float
    undesirable_weight: Auto | float

    def __post_init__(self) -> None:
        _above_zero(beta=self.beta, desirable_weight=self.desirable_weight)
        if self.undesirable_weight != "auto":
            _above_zero(undesirable_weight=self.undesirable_weight)


TrainMethod = SftMethod | PairMethod | CpoMethod | KtoMethod


def _above_zero(**values: float) -> None:
    for name, value in values.items():
        if value <= 0:
            raise ValueError(f"{name} must be above 0, found {value}")


@dataclass(frozen=True)
class SftBudget:
    """What a model with ``budget: sft`` may spend."""

    steps: int
    rows_per_step: int
    rows_per_microbatch: int

    def __post_init__(self) -> None:
        _above_zero(**vars(self))
        if self.rows_per_step % self.rows_per_microbatch:
            raise ValueError("rows_per_step must be a multiple of rows_per_microbatch")


@dataclass(frozen=True)
class PreferenceBudget:
    """What each preference method and each control may spend, all of them the same."""

    steps: int
    pairs_per_step: int
    pairs_per_microbatch: int

    def __post_init__(self) -> None:
        _above_zero(**vars(self))
        if self.pairs_per_step % self.pairs_per_microbatch:
            raise ValueError("pairs_per_step must be a multiple of pairs_per_microbatch")


@dataclass(frozen=True)
class Budget:
    """What one training may spend (`Params.budget`); a row is a single answer, or a pair where the data are pairs."""

    learning_rate: float
    steps: int
    rows_per_step: int
    rows_per_microbatch: int
    max_tokens: int


@dataclass(frozen=True)
class PretrainBase:
    """A Qwen3-architecture model trained from scratch on the corpus."""

    kind: Literal["pretrain"]
    vocabulary: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    feed_forward: int
    context_tokens: int
    block_tokens: int
    sequences_per_step: int
    steps: int
    learning_rate: float
    seed: int

    def __post_init__(self) -> None:
        if self.hidden % self.heads or self.heads % self.kv_heads:
            raise ValueError("hidden must be a multiple of heads, and heads of kv_heads")
        if self.block_tokens > self.context_tokens:
            raise ValueError("block_tokens cannot exceed context_tokens")


@dataclass(frozen=True)
class HubBase:
    """A repository of the model hub, pinned by commit."""

    kind: Literal["hub"]
    id: str
    revision: str
    download: bool
    chat_template: str = ""

    def __post_init__(self) -> None:
        if len(self.revision) != 40:
            raise ValueError("revision must be a full commit hash of 40 characters, so that the base cannot move")


@dataclass(frozen=True)
class LocalBase:
    """A Transformers folder or a .gguf file on this disk."""

    kind: Literal["local"]
    path: str
    chat_template: str = ""


Base = PretrainBase | HubBase | LocalBase
# A union is told apart by one of its keys.
VARIANTS: dict[Any, tuple[str, dict[str, Any]]] = {
    Base: ("kind", {"pretrain": PretrainBase, "hub": HubBase, "local": LocalBase}),
    TrainMethod: (
        "method",
        {"sft": SftMethod, "dpo": PairMethod, "ipo": PairMethod, "cpo": CpoMethod, "kto": KtoMethod},
    ),
}


@dataclass(frozen=True)
class EvaluateBudget:
    generation_prompts: int
    mcq_questions: int
    pairs: int
    safety_rows: int
    culture_questions: int
    dialect_questions: int
    max_new_tokens: int
    sequences_per_batch: int


@dataclass(frozen=True)
class BenchmarkBudget:
    repeats: int
    warmup: int
    new_tokens: int
    batch_sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        if 1 not in self.batch_sizes:
            raise ValueError("batch_sizes must contain 1, the seed report's own unit")


@dataclass(frozen=True)
class Profile:
    """A base with the budget that fits it."""

    base: Base
    dtype: str
    quantize: Literal["none", "4bit"]
    threads: int
    activation_checkpointing: bool
    attention: Literal["sdpa", "flash_attention_2", "eager"]
    seeds: tuple[int, ...]
    max_tokens: int
    sft: SftBudget
    preference: PreferenceBudget
    learning_rate: dict[str, float]
    evaluate: EvaluateBudget
    benchmark: BenchmarkBudget

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype must be one of {', '.join(DTYPES)}")
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ValueError("seeds must be a list of distinct integers, at least one")
        rates = {f"learning_rate.{name}": rate for name, rate in self.learning_rate.items()}
        _above_zero(max_tokens=self.max_tokens, **rates)


@dataclass(frozen=True)
class OwnTest(Rows):
    """A test set: prompts with references, pairs, or questions."""

    split: str = "test"
    prompts: Literal["ours", "lm_eval", "oall"] = "ours"
    limit: int = 1000

    def __post_init__(self) -> None:
        _above_zero(limit=self.limit)
        if bool(self.path) == bool(self.hub):
            raise ValueError(f"set exactly one of path and hub, found {'both' if self.path else 'neither'}")


@dataclass(frozen=True)
class Evaluate:
    bootstrap_samples: int
    confidence: float
    own: tuple[OwnTest, ...] = ()

    def __post_init__(self) -> None:
        if len({test.name for test in self.own}) != len(self.own):
            raise ValueError("the names of own must differ: each has its own place in summary.json")
        if not 0.5 <= self.confidence < 1:
            raise ValueError("confidence must lie in 0.5..1, for example 0.95")


@dataclass(frozen=True)
class Sweep:
    """Points of `arabic-qwen sweep`, as factors of what is set; every model gets the same number of points."""

    models: tuple[str, ...]
    learning_rate_factors: tuple[float, ...]
    beta_factors: tuple[float, ...]
    learning_rate_factors_without_beta: tuple[float, ...]

    def __post_init__(self) -> None:
        factors = (*self.learning_rate_factors, *self.beta_factors, *self.learning_rate_factors_without_beta)
        if min(factors, default=0) <= 0:
            raise ValueError("every list of factors needs a number, and numbers above 0")
        if len(self.learning_rate_factors) * len(self.beta_factors) != len(self.learning_rate_factors_without_beta):
            raise ValueError(
                "learning_rate_factors_without_beta must hold as many factors as there are pairs of the other two"
            )


@dataclass(frozen=True)
class Gpu:
    """What a stage does where there is a GPU, and only there; a profile has the rest (dtype, attention, ...)."""

    tf32: bool = True
    fused_optimizer: bool = True
    pinned_memory: bool = True
    loader_workers: int = 2
    expandable_segments: bool = True

    def __post_init__(self) -> None:
        if self.loader_workers < 0:
            raise ValueError(f"loader_workers must be 0 or more, found {self.loader_workers}")


@dataclass(frozen=True)
class Launch:
    """How a training is started on one machine: by itself, or as several processes that share each batch."""

    by: Literal["python", "torchrun", "accelerate_ddp", "accelerate_fsdp", "accelerate_deepspeed"]
    processes: int

    def __post_init__(self) -> None:
        if self.by == "python" and self.processes != 1:
            raise ValueError(f"python starts one process, found processes: {self.processes}: set by to torchrun")
        if self.by != "python" and self.processes < 2:
            raise ValueError(f"{self.by} is for 2 processes or more, found {self.processes}: for one, set by to python")


@dataclass(frozen=True)
class Params:
    profile: str
    method: str
    models: tuple[str, ...]
    data: Data
    lora: Lora
    train: dict[str, TrainMethod]
    evaluate: Evaluate
    sweep: Sweep
    profiles: dict[str, Profile]
    launch: Launch
    gpu: Gpu
    report_to: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] = ()

    def __post_init__(self) -> None:
        if self.profile not in self.profiles:
            raise ValueError(f"profile {self.profile!r} is not one of {', '.join(self.profiles)}")
        if self.models[:1] != ("base",) or set(self.models[1:]) - set(self.train):
            raise ValueError("models must start with base and name only entries of train")
        if self.method not in self.models:
            raise ValueError(f"method {self.method!r} is not one of models: {', '.join(self.models)}")
        if len(set(self.report_to)) != len(self.report_to):
            raise ValueError("report_to names a tool twice")
        if self.launch.by == "accelerate_deepspeed" and self.active.dtype == "bfloat16":
            raise ValueError(
                "launch.by is accelerate_deepspeed, and DeepSpeed would make the float32 adapter on a bfloat16 base "
                f"bfloat16: set profiles.{self.profile}.dtype to float32, or launch.by to another"
            )
        if set(self.sweep.models) - set(self.train):
            raise ValueError("sweep.models may name only entries of train")
        for name, profile in self.profiles.items():
            if set(profile.learning_rate) != set(self.train):
                raise ValueError(
                    f"profiles.{name}.learning_rate must have exactly the keys of train: {', '.join(self.train)}"
                )
        for name, model in self.train.items():
            if model.init not in {"models/base", *(f"models/{other}" for other in self.train if other != name)}:
                raise ValueError(f"train.{name}.init: {model.init} is neither models/base nor a model of train")
            seen = [name]
            while (start := self.train[seen[-1]].init.removeprefix("models/")) in self.train:
                if start in seen:
                    raise ValueError(f"train.{name}.init never reaches models/base: {' -> '.join([*seen, start])}")
                seen.append(start)
        self._share_microbatches()

    def _share_microbatches(self) -> None:
        """Raise ValueError where the processes of a training would not all get as many microbatches of a step."""
        processes = self.launch.processes
        microbatch = {"sft": "sft.rows_per_microbatch", "preference": "preference.pairs_per_microbatch"}
        uneven = set()
        for name, method in self.train.items():
            budget = self.budget(name)
            if budget.rows_per_step // budget.rows_per_microbatch % processes:
                uneven.add(f"profiles.{self.profile}.{microbatch[method.budget]}")
        if uneven:
            raise ValueError(
                f"launch.processes is {processes}, which cannot share the microbatches of a step equally: lower "
                f"{' and '.join(sorted(uneven))}, so that a step holds a multiple of {processes} of them"
            )

    @property
    def active(self) -> Profile:
        return self.profiles[self.profile]

    def trained(self) -> list[str]:
        """The entries of `train` that `models` asks for: each model, and what it starts on."""
        found: list[str] = []
        for name in self.models[1:]:
            while name in self.train and name not in found:
                found.append(name)
                name = self.train[name].init.removeprefix("models/")
        return [name for name in self.train if name in found]

    def budget(self, name: str) -> Budget:
        """What the training of one model of `train` may spend in the active profile.

        All with `budget: preference` see as many pairs in a step. Where the rows are single ones (unpaired, or of
        SFT), two stand for each pair, as many as the answers of a pair.
        """
        method, profile = self.train[name], self.active
        if method.budget == "sft":
            steps, step, microbatch = profile.sft.steps, profile.sft.rows_per_step, profile.sft.rows_per_microbatch
        else:
            rows, preference = 1 if method.data == "pairs" else 2, profile.preference
            steps = preference.steps
            step, microbatch = rows * preference.pairs_per_step, rows * preference.pairs_per_microbatch
        return Budget(profile.learning_rate[name], steps, step, microbatch, profile.max_tokens)


def load_params(path: Path = paths.PARAMS) -> Params:
    """Read and validate the whole file; raises PipelineError naming the key and what was expected."""
    try:
        document = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PipelineError(f"{path} is missing: run from the repository's root, or restore it with git") from None
    except UnicodeDecodeError as error:
        raise PipelineError(f"{path}: not UTF-8 at byte {error.start}: save the file as UTF-8") from None
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise PipelineError(f"{path}:{line}: not valid YAML ({error.problem}): mend the line") from None
    except YAMLError as error:  # a character that YAML forbids
        raise PipelineError(f"{path}: not valid YAML ({str(error).splitlines()[0]}): remove it") from None
    params: Params = _build(Params, document, "", path)
    return params


def _build(cls: Any, value: Any, key: str, path: Path) -> Any:
    """Turn plain YAML into ``cls``; ``key`` is the dotted place of ``value``, for messages."""
    where = f"{path}: {key}" if key else str(path)
    if cls in VARIANTS:
        tag, classes = VARIANTS[cls]
        kind = value.get(tag) if isinstance(value, dict) else None
        if not isinstance(kind, str) or kind not in classes:
            raise PipelineError(f"{where}.{tag} is {kind!r}: write one of {', '.join(classes)}")
        cls = classes[kind]
    if is_dataclass(cls):
        return _build_dataclass(cls, value, key, path, where)
    if cls == Columns:
        return _columns(value, where)
    origin, arguments = get_origin(cls), get_args(cls)
    if origin is dict:
        if not isinstance(value, dict):
            raise PipelineError(f"{where} must be a mapping, found {value!r}")
        return {name: _build(arguments[1], item, f"{key}.{name}".lstrip("."), path) for name, item in value.items()}
    if origin is tuple:
        if not isinstance(value, list):
            raise PipelineError(f"{where} must be a list, found {value!r}")
        return tuple(_build(arguments[0], item, f"{key}[{i}]", path) for i, item in enumerate(value))
    if origin in (Union, UnionType):  # auto, or a value
        if value == "auto":
            return value
        cls = next(one for one in arguments if get_origin(one) is not Literal)
        try:
            return _build(cls, value, key, path)
        except PipelineError as error:
            raise PipelineError(f"{error}; or write auto") from None
    if origin is Literal:
        if value not in arguments:
            raise PipelineError(f"{where} is {value!r}: write one of {', '.join(map(str, arguments))}")
        return value
    if cls is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not cls or (cls is float and not math.isfinite(value)):
        raise PipelineError(f"{where} must be a {cls.__name__}, found {value!r} of type {type(value).__name__}")
    return value


def _columns(value: Any, where: str) -> Columns:
    """`columns` of a source; a list holds names, "" for a column that is left out."""
    if isinstance(value, list) and value and all(isinstance(name, str) for name in value):
        return tuple(value)
    if isinstance(value, dict) and value:
        texts = [
            given.get("text") if isinstance(given, dict) and len(given) == 1 else given for given in value.values()
        ]
        if all(isinstance(name, str) for name in value) and all(isinstance(text, str) for text in texts):
            return value
    raise PipelineError(
        f"{where} is {value!r}: write our names with theirs (prompt: theirs), or {{text: ...}} for a text that every "
        "row gets, or a list of names for a table without a header"
    )


def _build_dataclass(cls: Any, value: Any, key: str, path: Path, where: str) -> Any:
    if not isinstance(value, dict):
        raise PipelineError(f"{where} must be a mapping, found {value!r}")
    known = {field.name: field for field in fields(cls)}
    unknown = [name for name in value if name not in known]
    if unknown:
        dotted, now = _moved(cls, f"{key}.{unknown[0]}".lstrip("."), value[unknown[0]])
        raise PipelineError(f"{path}: unknown key {dotted!r}: known here are {', '.join(known)}{now}")
    missing = [name for name, field in known.items() if name not in value and field.default is MISSING]
    if missing:
        raise PipelineError(f"{path}: the key {f'{key}.{missing[0]}'.lstrip('.')!r} is missing: add it")
    hints = get_type_hints(cls)
    built = {name: _build(hints[name], item, f"{key}.{name}".lstrip("."), path) for name, item in value.items()}
    try:
        return cls(**built)
    except ValueError as error:
        raise PipelineError(f"{where}: {error}") from None


def _moved(cls: Any, key: str, value: Any) -> tuple[str, str]:
    """The key that is unknown, and where the budget is if it would give one model a budget of its own.

    An older params.yaml has budgets at `profiles.<profile>.train.<model>`.
    """
    if cls is Profile and key.endswith(".train"):
        profile = key.removesuffix(".train")
        while isinstance(value, dict) and value:
            name, value = next(iter(value.items()))
            key = f"{key}.{name}"
    elif cls in get_args(TrainMethod) and key.split(".")[-1] in {field.name for field in fields(Budget)}:
        profile = "profiles.<profile>"
    else:
        return key, ""
    names = ("sft", "preference", "max_tokens", "learning_rate")
    return key, f" (models share a budget: set {', '.join(f'{profile}.{name}' for name in names)})"
