#!/usr/bin/env bash
# CUDA correctness, then speed and peak memory against TRL, in under 8 minutes on one large GPU.
#   benchmarks/gpu.sh [OUT]              writes OUT/gpu.txt and OUT/gpu-*.json (default: benchmarks/results)
#   DRY=1 benchmarks/gpu.sh [OUT]        the same parts on the CPU with small sizes
#   PARTS="checks fixed" benchmarks/gpu.sh [OUT]      only these, from: checks fixed geometric large rollout default compiled
#   OURS="--token-budget 4096" benchmarks/gpu.sh      smaller passes of ours than the plan chooses: less memory
# The parts come in the order of their importance; each has a limit and all together have SECONDS_IN_ALL. What a part
# finds is written as it is found, and a part that fails or is stopped does not stop the next.
#
# needs: torch>=2.11 (CUDA), transformers>=5.17, tokenizers, accelerate, safetensors, jinja2, rich, psutil, matplotlib;
#        trl==1.16.0 datasets==5.2.0 dill==0.4.1 multiprocess==0.70.19 for TRL, which also take pyarrow>=24, pandas,
#        xxhash, fsspec. Without the second line everything but TRL's side runs. No network, no C compiler except for
#        the last check (torch.compile) and for TRL's Triton kernels.
set -uo pipefail
cd "$(dirname "$0")/.."
out=${1:-benchmarks/results}
mkdir -p "$out"
python=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1
parts=${PARTS:-checks fixed geometric large rollout default compiled}
in_all=${SECONDS_IN_ALL:-460}
if [ "${DRY:-0}" = 1 ]; then
  device=cpu; small=tiny; large=tiny; largest=tiny; ends=20
  shape="--prompts 2 --completion 16 --prompt 16 --micro 16 --steps 1 --repeat 1"
else
  device=cuda; small=0.5b; large=1.5b; largest=7b; ends=256
  shape="--prompts 64 --completion 512 --prompt 128 --micro 32 --steps 3 --repeat 1"
fi

# part NAME LIMIT COMMAND...: run it if it was asked for and there is time; "@" in the command is its seconds.
part() {
  local name=$1 limit=$2 left=$((in_all - SECONDS)) code=0
  shift 2
  [[ " $parts " == *" $name "* ]] || return 0
  [ "$left" -lt "$limit" ] && limit=$left
  echo "== $name, at second $SECONDS: ${*//@/$limit}"
  if [ "$limit" -lt 15 ]; then echo "left out: $left s are left"; return 0; fi
  timeout --kill-after=5 $((limit + 5)) "${@//@/$limit}" || code=$?
  [ "$code" = 0 ] || echo "$name ended with status $code"
}

step() {  # PART LIMIT NAME ARGUMENTS...
  local name=$1 limit=$2 file=$3
  shift 3
  part "$name" "$limit" "$python" benchmarks/step.py --device $device $shape --total @ --json "$out/gpu-$file.json" "$@"
}

{
  date -u +%Y-%m-%dT%H:%MZ
  echo "benchmarks/gpu.sh, parts: $parts"
  nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.sm --format=csv,noheader 2>/dev/null || echo "no GPU"
  part checks 90 "$python" benchmarks/cuda_checks.py --device $device --seconds 75
  step fixed 125 fixed --size $small --trainers ours,trl-best --limit 80 --budget 40 ${OURS:-}
  step geometric 105 geometric --size $small --trainers ours,trl-best --limit 70 --budget 35 --eos-share $ends ${OURS:-}
  step large 105 large --size $large --trainers ours,trl-best --limit 75 --budget 30 ${OURS:-}
  step rollout 60 rollout --size $largest --rollout-only --budget 20
  beside=()
  [ -f "$out/gpu-fixed.json" ] && beside=(--beside "$out/gpu-fixed.json")
  step default 120 default --size $small --trainers trl-default --budget 45 "${beside[@]}"
  part compiled 60 "$python" benchmarks/cuda_checks.py --device $device --only compiled
  echo "== ended at second $SECONDS"
} 2>&1 | tee "$out/gpu.txt"
