#!/usr/bin/env bash
# One worker of many: makes a stage in a clone of its own, and shares it through the run cache of the remote.
#
#   stages/commands/fan_out.sh <repository> <folder> <stage>
#
# The coordinator first makes what all workers start from, and at the end finds the rest cached:
#
#   dvc repro train@sft reference && git commit -am 'Train the start' && git push && dvc push --run-cache
#   ... the workers, each with a folder of its own ...
#   dvc repro --pull
#
# A worker is the same line everywhere (the last three are untested: none of them was to be had here):
#
#   by hand    for m in dpo kto ipo cpo; do stages/commands/fan_out.sh "$url" "/tmp/$m" "evaluate@$m" & done; wait
#   Actions    stages/commands/fan_out.sh "$GITHUB_WORKSPACE" "$RUNNER_TEMP/worker" "evaluate@${{ matrix.method }}"
#   Slurm      sbatch --wait --gres gpu:1 --wrap "stages/commands/fan_out.sh $url $SCRATCH/$m evaluate@$m" &
#   SkyPilot   sky jobs launch -y --gpus L4 --workdir . "pip install -e . && stages/commands/fan_out.sh $url ~/$m evaluate@$m" &
#
# A worker that was killed is started again with the same line, and goes on from its last checkpoint if its folder is
# still there. No worker writes to git, so that there is nothing to merge. Credentials of the remote come from the
# environment, since a clone has no .dvc/config.local.
set -euo pipefail
repository=$1 folder=$2 stage=$3

if [ ! -d "$folder" ]; then
  rm -rf "$folder.partial"
  git clone --quiet "$repository" "$folder.partial"
  mv "$folder.partial" "$folder"
fi
cd "$folder"
if [ "$(git rev-parse HEAD)" != "$(git ls-remote origin HEAD | sed -n '1s/\t.*//p')" ]; then
  echo "error: $folder is not at the newest commit of $repository: name a new folder" >&2
  exit 1
fi
# A worker that was killed leaves a part of these two folders, of which its stage reads single files. DVC 3.67 takes the
# part for a change, and its index outside the clone for a proof that all was fetched: so fetch all, with a new index.
if [ -d .dvc/cache ]; then
  rm -rf .dvc/tmp/index
  export DVC_SITE_CACHE_DIR="$PWD/.dvc/tmp/index"
  dvc pull --quiet data/prepared metrics/contract
fi
dvc repro --pull --allow-missing "$stage"
# The deps too: the run cache alone holds hashes, and a stage whose outputs are in no remote would run again.
dvc push --run-cache --with-deps "$stage"
