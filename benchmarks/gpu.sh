#!/usr/bin/env bash
# CUDA correctness, then speed and peak memory against TRL, in under 8 minutes on one large GPU.
#   benchmarks/gpu.sh [OUT]          writes OUT/*.json and OUT/gpu.txt (default: benchmarks/results)
#   DRY=1 benchmarks/gpu.sh          the same commands on the CPU with small sizes
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-benchmarks/results}
mkdir -p "$out"
python=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" HF_HUB_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1
if [ "${DRY:-0}" = 1 ]; then
  checks="--device cpu"; sizes="tiny"; shape="--device cpu --prompts 2 --completion 16 --prompt 16 --micro 16 --steps 1 --repeat 1"
else
  checks="--device cuda"; sizes="0.5b 1.5b"; shape="--device cuda --prompts 32 --completion 512 --prompt 128 --micro 32 --steps 2 --repeat 1"
fi
{
  date -u +%Y-%m-%dT%H:%MZ
  nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null || echo "no GPU"
  "$python" -c "import torch, transformers; print('torch', torch.__version__, 'transformers', transformers.__version__)"
  "$python" benchmarks/cuda_checks.py $checks
  for size in $sizes; do
    echo "== $size, completions of full length"
    timeout 170 "$python" benchmarks/step.py --size "$size" $shape --json "$out/gpu-$size-full.json" || echo "ended: $?"
  done
  echo "== ${sizes%% *}, completions of geometric length"
  timeout 120 "$python" benchmarks/step.py --size "${sizes%% *}" $shape --eos-share 256 --json "$out/gpu-${sizes%% *}-geometric.json" || echo "ended: $?"
} 2>&1 | tee "$out/gpu.txt"
