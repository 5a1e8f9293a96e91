"""The pipeline: one module per stage of dvc.yaml, and the packages that several of them share.

Nothing here reaches for the network by itself, and no library reports home; the base stage alone lifts this, for a
hub download that params.yaml asks for. The variables are read when transformers and huggingface_hub are imported.
"""

import os
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# TRL 1.16 reads an attribute that transformers 5.23 renamed; its users can do nothing about it.
warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
