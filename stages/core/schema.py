"""The shapes of data that stages hand to each other: types alone, so no stage depends on this file."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, final

from typing_extensions import TypedDict  # pydantic reads no other before Python 3.12

# Prepared rows


class Message(TypedDict):
    """One turn of a chat."""

    role: str
    content: str


Messages = list[Message]


class Origin(TypedDict):
    """What every row says of itself, raw and prepared alike."""

    id: str
    topic: str
    source: str
    license: str


class Check(TypedDict):
    """What a program looks for in an answer: a name that `stages.scoring.answer_checks` knows, and its value."""

    name: str
    value: str


class Answered(TypedDict):
    """A prompt and its answer."""

    prompt: Messages
    completion: Messages


class Labelled(Answered):
    """An answer that was judged: true for a good one."""

    label: bool


class Compared(TypedDict):
    """A prompt with the answer to prefer and one that is worse."""

    prompt: Messages
    chosen: Messages
    rejected: Messages


class PairFields(Compared):
    """A pair with what is wrong in its rejected answer: ``own`` where nobody says."""

    axis: str


class Question(TypedDict):
    """A multiple-choice question; ``answer`` is the index of the right choice."""

    question: str
    choices: list[str]
    answer: int
    subject: str
    level: str


class Screened(Origin):
    """A row that may have been looked through for flags (`stages.rows.row_flags.FLAGS`)."""

    flags: NotRequired[list[str]]


@final
class SftRow(Screened, Answered):
    """A line of sft/<split>.jsonl; ``flaw`` names what was planted in an answer of ours."""

    flaw: NotRequired[str | None]


@final
class PairRow(Screened, PairFields):
    """A line of pairs/<split>.jsonl."""


@final
class UnpairedRow(Screened, Labelled):
    """A line of unpaired/<split>.jsonl; ``pair`` is the id of the pair that it is a half of."""

    pair: NotRequired[str]


@final
class QuestionRow(Screened, Question):
    """A line of mcq.jsonl, culture.jsonl or dialect.jsonl."""

    region: NotRequired[str]
    dialect: NotRequired[str]


OwnRow = SftRow | PairRow | UnpairedRow | QuestionRow  # what a record of the user's becomes


@final
class SkippedRow(TypedDict):
    """A record that is left out: one of few reasons, to be counted, and a sentence about this record."""

    reason: str
    message: str


# Spelled out, because mypy does not narrow a union that lies within a union.
ReadRow = SftRow | PairRow | UnpairedRow | QuestionRow | SkippedRow


class GenerationRow(Screened):
    """A line of generation.jsonl or tuning.jsonl: a prompt, and how its answer is judged."""

    prompt: Messages
    references: list[str]
    checks: list[Check]
    task: str
    wording: Literal["seen", "unseen"]


class SafetyRow(Screened, Compared):
    """A line of safety.jsonl: the twin of a harmful request is a benign one that resembles it."""

    category: str
    benign: bool
    twin: str


class DroppedRow(TypedDict):
    """A line of dropped.jsonl: a raw row's file and line, or a prepared row's place, and why it was dropped."""

    id: str | None
    reason: str
    place: NotRequired[str]
    file: NotRequired[str]
    line: NotRequired[int]


# Raw rows, as `stages.rows.raw` checks them


class Wrong(TypedDict):
    """A near miss: a wrong value, and the sentence of the completion with that value in it."""

    answer: str
    completion: str


class RawAnswerRow(Origin):
    """A line of data/raw/instructions."""

    prompt: str
    completion: str


class RawSkillRow(RawAnswerRow):
    """A line of data/raw/skills; ``checks`` stand where a contained answer would not tell enough."""

    answer: str
    task: str
    level: str
    wording: str
    held_out_wording: bool
    entities: list[str]
    wrong: list[Wrong]
    checks: NotRequired[list[Check]]


class RawPairRow(Origin):
    """A line of data/raw/pairs."""

    prompt: str
    chosen: str
    rejected: str
    axis: str


class RawSafetyRow(Origin):
    """A line of data/raw/evaluation/safety.jsonl."""

    prompt: str
    chosen: str
    rejected: str
    category: str
    benign: bool
    twin: str


class RawQuestionRow(Origin, Question):
    """A line of data/raw/evaluation/culture.jsonl or dialect.jsonl."""

    region: NotRequired[str]
    dialect: NotRequired[str]


class RawCountry(Origin):
    """A line of data/raw/countries.jsonl; null where there is nothing, or where it is disputed."""

    code: str
    name: str
    official_name: str | None
    gender: Literal["m", "f"]
    capital: str | None
    currency: str | None
    currency_code: str | None
    continent: str
    language: str | None
    demonym_m: str | None
    demonym_f: str | None
    arab_league: bool


# Score rows: lines of metrics/eval/<model>/rows.jsonl. `*_nats` are natural log-probabilities, stop token included


class Scored(TypedDict):
    """What every score row begins with; ``set`` names one of the user's own test sets, ``seed`` comes last."""

    kind: str
    id: str
    set: NotRequired[str]
    seed: NotRequired[int | None]


class TextScore(TypedDict):
    """What a program says of an answer's text; ``contains`` is null for a row without checks."""

    exact: bool
    contains: bool | None
    chrf: float
    chrf_raw: float
    rouge_l: float
    rouge_l_raw: float
    reference_words: int
    hedged: bool
    repeated: bool
    clean: bool
    arabic_ratio: float


class StyleCounts(TypedDict):
    """Counts of signs and words of an answer; ``dialects`` counts the words that mark each dialect."""

    letters: int
    diacritics: int
    digits: int
    eastern_digits: int
    marks: int
    arabic_marks: int
    words: int
    dialect_words: int
    dialects: dict[str, int]


class Distances(TypedDict, total=False):
    """Nats per token by which a model finds its own answer more probable than the base, and its start, do."""

    log_ratio_to_base_nats_per_token: float
    log_ratio_to_start_nats_per_token: float


class AnswerScore(Scored, TextScore, StyleCounts):
    """One answer to a prompt; ``tokens`` counts no stop token."""

    task: str
    wording: str
    text: str
    tokens: int
    stopped: bool
    reference_nats: float
    reference_characters: int
    flags: list[str]


class GenerationScore(AnswerScore, Distances):
    """One answer to a prompt of ours, with how far training has moved the model that gave it."""


class ClozeScore(TypedDict):
    """The option chosen as a whole answer. Lists go by option, ``choice_logprobs`` are nats per character."""

    predicted: int
    correct: bool
    choice_logprobs: list[float]
    choice_nats: list[float]
    correct_raw: bool
    correct_byte: bool


class LetterScore(TypedDict):
    """The option chosen by its letter. ``letter_nats`` goes by option, ``letter_picks`` by rotation."""

    letter_nats: list[float]
    letter_picks: list[int]
    letters_correct: bool
    letters_correct_character: bool
    letters_correct_byte: bool
    letters_rotated: float


class HarnessScore(Scored, ClozeScore):
    """One question as another harness asks it; ``answer`` is the index of the right option."""

    subject: str
    level: str
    answer: int


class QuestionGroups(TypedDict, total=False):
    """The groups that a question belongs to."""

    region: str
    dialect: str


class QuestionScore(HarnessScore, LetterScore, QuestionGroups):
    """One multiple-choice question, by whole answers and by letters."""


class SideScores(TypedDict):
    """Two answers to one prompt. ``*_correct`` is 1, 0, or one half for a tie."""

    chosen_nats: float
    rejected_nats: float
    chosen_tokens: int
    rejected_tokens: int
    margin_nats: float
    margin_nats_per_token: float
    sum_correct: float
    token_correct: float


class PairScore(Scored, SideScores):
    """One preference pair."""

    axis: str
    equal_length: bool


class SafetyScore(Scored, SideScores):
    """One harmful request or its benign twin; ``correct`` is per character."""

    category: str
    benign: bool
    twin: str
    correct: float


class ProseScore(Scored):
    """One text without a chat template."""

    nats: float
    tokens: int
    characters: int
    bytes: int


ScoreRow = GenerationScore | AnswerScore | QuestionScore | HarnessScore | PairScore | SafetyScore | ProseScore


class MetricValue(TypedDict):
    """A mean with its interval; all null where ``n``, the number of prompts, is 0."""

    mean: float | None
    low: float | None
    high: float | None
    n: int
    per_seed: list[float]


class PositionReport(TypedDict, total=False):
    """Baselines of multiple choice, and accuracy and picks by position; null where no right answer stands.

    Questions without letters have no ``letters_*``. A set without questions has an empty report.
    """

    chance: float
    constant_answer_accuracy: list[float]
    majority_accuracy: float
    cloze_accuracy_by_gold_position: list[float | None]
    cloze_picked_share: list[float]
    letters_accuracy_by_gold_position: list[float | None]
    letters_picked_share: list[float]


class CorpusScore(TypedDict):
    """A corpus score in 0..100: the mean over seeds, and each seed's."""

    mean: float
    per_seed: list[float]


class OwnSummary(TypedDict):
    """What one of the user's own test sets gives: the metrics that its rows can give, and no others."""

    n: int
    metrics: dict[str, MetricValue]
    by_subject: dict[str, dict[str, float | None]]
    multiple_choice: PositionReport


class Summary(TypedDict):
    """metrics/eval/<model>/summary.json; ``corpus`` goes by metric and level, ``by_*`` by group and name."""

    model: str
    profile: str
    n: dict[str, int]
    seeds: list[int]
    metrics: dict[str, MetricValue]
    by_task: dict[str, dict[str, float | None]]
    by_axis: dict[str, dict[str, float | None]]
    by_safety_category: dict[str, dict[str, float | None]]
    by_region: dict[str, dict[str, float | None]]
    by_dialect: dict[str, dict[str, float | None]]
    multiple_choice: dict[str, PositionReport]
    corpus: dict[str, dict[str, CorpusScore]]
    dialect_markers_per_100_words: dict[str, float]
    flags: dict[str, float]
    own: dict[str, OwnSummary]
    signatures: dict[str, str]


# Figures of trainings, of machines and of the data


class Displacement(TypedDict):
    """How far the answers to the watched pairs moved, in nats per token, and how DPO's implicit reward judges them."""

    chosen_nats_per_token: float
    rejected_nats_per_token: float
    reward_accuracy: float
    reward_margin_nats: float


class SeedSummary(TypedDict):
    """One training with one seed; only preference methods are watched for displacement."""

    seed: int
    displacement: NotRequired[Displacement]


class TrainSummary(TypedDict):
    """metrics/train/<model>/summary.json: what is the same on every run, losses as means over seeds."""

    loss_first: float
    loss_final: float
    steps: int
    epochs: float
    rows_seen: int
    rows_available: int
    tokens_seen: int
    reference_tokens: int
    trainable_parameters: int
    per_seed: list[SeedSummary]


class SeedTiming(TypedDict):
    """One training with one seed; ``train_seconds`` are those of optimizer steps."""

    train_seconds: float
    total_seconds: float
    tokens_per_second: float
    peak_memory_mib: float


class TrainTiming(TypedDict):
    """metrics/timing/<model>.json."""

    host: dict[str, Any]
    seeds: list[SeedTiming]


class TimedPass(TypedDict):
    """The log-probabilities of one start, computed once for all methods that compare with it."""

    start: str
    seed: int
    seconds: float
    answers: int
    tokens: int


class ReferenceTiming(TypedDict):
    """metrics/timing/reference.json."""

    passes: list[TimedPass]


class Latency(TypedDict):
    """Milliseconds of one forward pass of one prompt."""

    mean: float
    p50: float
    p95: float


class Slowdown(TypedDict):
    """How many times as long a pass takes as with the adapter off: median and quartiles of pairs."""

    median: float
    p25: float
    p75: float


class Decoding(TypedDict):
    """Generation at one batch size."""

    tokens_per_second: float
    joules_per_token: NotRequired[float | None]


class BenchFile(TypedDict):
    """metrics/bench/<model>.json; ``generation`` goes by batch size."""

    latency_ms: Latency
    inferences_per_second: float
    joules_per_inference: NotRequired[float | None]
    adapter_slowdown: Slowdown | None
    generation: dict[str, Decoding]
    load_seconds: float
    peak_memory_mib: float
    parameters: int
    prompt_tokens: int
    dtype: str
    matmul_gflops: float
    forward_gflop: float
    share_of_peak: float
    host: dict[str, Any]


class CorpusCounts(TypedDict):
    """The pretraining text."""

    documents: int
    bytes: int


class PreparedCounts(TypedDict):
    """Rows below data/prepared: by split where they train, and in all where they are for evaluation alone."""

    sft: dict[str, int]
    pairs: dict[str, int]
    unpaired: dict[str, int]
    generation: int
    mcq: int
    corpus: CorpusCounts


class RawCount(TypedDict):
    """One file of data/raw."""

    rows: int


class TrainedRows(TypedDict):
    """How many rows of one source and licence may be trained on."""

    source: str
    license: str
    rows: int


class Trained(TypedDict):
    """The part of metrics/data.json that counts licences: ``trained`` goes by kind of rows."""

    trained: dict[str, list[TrainedRows]]


class DataCounts(Trained):
    """metrics/data.json."""

    raw: dict[str, RawCount]
    prepared: PreparedCounts
    by_topic: dict[str, int]
    flaws: dict[str, int]
    axes: dict[str, dict[str, int]]
    held_out: dict[str, int]
    dropped: list[dict[str, Any]]


class SweepPoint(TypedDict):
    """One training of the sweep; a metric is null where the training diverged."""

    method: str
    learning_rate: float
    beta: float | None
    behaviour_rate: float | None
    knowledge_retention: float | None
    exact_match: float | None


class BestPoint(TypedDict):
    """The best point of a method's grid."""

    learning_rate: float
    beta: float | None
    behaviour_rate: float
    exact_match: float


class SweptMethod(TypedDict):
    """The grid of one method: how many points it has, and how many are workable or diverged."""

    points: int
    workable: int
    diverged: int
    best: BestPoint


class Sweep(TypedDict):
    """metrics/sweep.json."""

    profile: str
    methods: dict[str, SweptMethod]
    points: list[SweepPoint]


class Apart(TypedDict):
    """One model minus another by one metric; ``prompts_needed`` is null where no number of prompts would separate."""

    mean: float
    low: float
    high: float
    separated: bool
    prompts: int
    prompts_needed: int | None
    win: float
    tie: float
    loss: float


Differences = dict[str, dict[str, dict[str, Apart]]]  # metrics/differences.json: by metric, model and other
