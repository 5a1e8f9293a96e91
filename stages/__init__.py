"""The pipeline: one module per stage of dvc.yaml, and the packages that several of them share.

Nothing here reaches for the network by itself, and no library reports home; the base stage alone lifts this, for a
hub download that params.yaml asks for. The variables are read when transformers and huggingface_hub are imported.
"""

import gc
import os
import sys
import warnings

from stages.orphans import end_with_parent

if "DVC_STAGE" in os.environ:  # set by DVC for the stages that it runs; here, since the imports to come take seconds
    end_with_parent()
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# TRL 1.16 reads an attribute that transformers 5.23 renamed; its users can do nothing about it.
warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
# A stage imports some 4,000 modules, and the garbage collector walks all of them again and again while they come in:
# 0.5 to 0.7 of 4.4 seconds, in each of 30 processes. `run_stage` turns it on again when the imports are done.
if sys.argv[:1] == ["-m"]:  # what `python -m stages.<stage>` sets until the module is found
    gc.disable()
