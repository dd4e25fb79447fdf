#!/usr/bin/env bash
# fuzz/run.sh SECONDS: builds the fuzz targets for libFuzzer with any compiler (coverage is a stable flag of the code
# generator; sanitizers, which are not, find little in code without `unsafe`), lets each run for its share of the time,
# and ends with one JSON line; TARGETS="live osc" leaves the others out. What crashed lies in fuzz/artifacts/TARGET; exit code 1 then.
set -euo pipefail
seconds=${1:?how many seconds in all}
cd "$(dirname "$0")"
# The versions of the program itself.
if [ ! Cargo.lock -nt ../Cargo.lock ]; then cp ../Cargo.lock Cargo.lock; fi
targets=(fuzz_targets/*.rs)
if [ -n "${TARGETS:-}" ]; then read -ra names <<<"$TARGETS"; targets=("${names[@]/%/.rs}"); fi
target_folder=${CARGO_TARGET_DIR:-target}/fuzz
triple=$(rustc -vV | sed -n 's/^host: //p')
flags=(-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
       -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Ccodegen-units=1)
# With --target, build scripts and macros are built without coverage.
RUSTFLAGS=${flags[*]} cargo build --release --bins --target "$triple" --target-dir "$target_folder" >&2

mkdir -p corpus artifacts
share=$(( seconds / ${#targets[@]} )); [ "$share" -gt 0 ] || share=1
inputs=0 crashes=0 slowest=0 slowest_target=none each=''
for target in "${targets[@]}"; do
  name=$(basename "$target" .rs)
  mkdir -p "corpus/$name" "artifacts/$name"
  log=artifacts/$name.log
  longest=65536
  # More than a door looks at only slows the search down.
  [ "$name" != live ] || longest=192
  # A crash ends the run of its target alone.
  ANTIPHON_SEEDS=corpus/$name "$target_folder/$triple/release/$name" -max_total_time="$share" -timeout=10 -rss_limit_mb=2048 \
    -max_len="${MAX_LEN:-$longest}" -print_final_stats=1 -artifact_prefix="artifacts/$name/" ${RUNS:+-runs="$RUNS"} "corpus/$name" \
    >"$log" 2>&1 || true
  done_here=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  slow_here=$(sed -n 's/^stat::slowest_unit_time_sec: *//p' "$log")
  found=$(find "artifacts/$name" -type f ! -name 'slow-unit-*' | wc -l)
  echo "$name: ${done_here:-0} inputs, $found crashes, slowest ${slow_here:-0} s" >&2
  [ -n "$done_here" ] || tail -5 "$log" >&2
  inputs=$(( inputs + ${done_here:-0} )) crashes=$(( crashes + found ))
  if [ "${slow_here:-0}" -gt "$slowest" ]; then slowest=$slow_here slowest_target=$name; fi
  each+="${each:+,}\"$name\":{\"inputs\":${done_here:-0},\"crashes\":$found,\"slowest_s\":${slow_here:-0}}"
done
echo "{\"fuzz\":{\"seconds\":$seconds,\"inputs\":$inputs,\"crashes\":$crashes,\"slowest_s\":$slowest,\"slowest_target\":\"$slowest_target\",\"targets\":{$each}}}"
[ "$crashes" = 0 ]
