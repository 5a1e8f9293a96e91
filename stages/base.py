"""Stage `base`: put the profile's base model in `models/base`.

Reads the profile's `base` section and, for a base that is trained here, `data/prepared/corpus.txt`. Writes
`models/base/`: tokenizer, chat template and `base.json`, which pins what the base is; the weights too where they
are made here (pretrained, or dequantised from GGUF). Weights of a hub repository or a local folder stay in their
place and are checked against the pin.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from stages.core import paths
from stages.core.errors import run_stage
from stages.core.files import Row, replaced_folder, sha256, write_json
from stages.core.params import HubBase, PretrainBase, Profile, load_params


def make_base(profile: Profile, folder: Path) -> Row:
    """Fill ``folder`` with the base and return its pin."""
    base = profile.base
    if isinstance(base, HubBase):
        os.environ["HF_HUB_OFFLINE"] = "0" if base.download else "1"  # read when huggingface_hub is imported, below
    from stages.bases import pinning
    from stages.bases.loading import configure_torch
    from stages.bases.pretraining import pretrain
    from stages.bases.projections import decoder_projections

    configure_torch(profile)
    if isinstance(base, HubBase):
        return pinning.pin_hub(base, profile, folder)
    if isinstance(base, PretrainBase):
        model = pretrain(base, paths.CORPUS, folder)
        files = {name: sha256(folder / name) for name in ("config.json", "model.safetensors", "tokenizer.json")}
        return {
            "kind": "pretrain",
            "files": files,
            "parameters": int(model.num_parameters()),
            "tied_output": True,
            "lora_targets": decoder_projections(model),
        }
    if base.path.endswith(".gguf"):
        return pinning.convert_gguf(base, profile, folder)
    return pinning.pin_local(base, profile, folder)


def main() -> None:
    params = load_params()
    with replaced_folder(paths.BASE) as folder:
        pin = make_base(params.active, folder) | {"dtype": params.active.dtype}
        write_json(folder / "base.json", pin)
    for unfinished in paths.scratch_root().glob("base-*"):  # or a forced rerun would resume what is finished
        shutil.rmtree(unfinished, ignore_errors=True)
    print(f"base: {pin['kind']}, {pin['dtype']}, {pin['parameters']:,} parameters -> {paths.BASE}")


if __name__ == "__main__":
    run_stage(main, __doc__)
