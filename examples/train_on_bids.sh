#!/usr/bin/env bash
# Evaluate a recipe on a BIDS data set, train a model on it, and use the model.
#
#     ./train_on_bids.sh DATASET NAME [more options of `mimamba train bids`]
#
# For example, rest against mental arithmetic, with a minute of rest as each person's baseline:
#
#     ./train_on_bids.sh eegmat my-workload --outputs workload --rest rest --baseline 60
#
# `mimamba train --help` says how labels are found. Nothing is downloaded: bring your own copy.
set -euo pipefail
if [ $# -lt 2 ]; then
    echo "Usage: $0 DATASET NAME [options]" >&2
    exit 2
fi
dataset=$1 name=$2
shift 2

# How good is it on people it has not seen? The table is in evaluation/evaluation.txt.
mimamba evaluate bids --root "$dataset" --protocol subject --no-rivals --no-ablations \
    --out evaluation "$@"

# Train on everybody. The card of the model says how it was evaluated.
mimamba train bids --root "$dataset" --name "$name" --scores evaluation/evaluation.json "$@"

echo "Use it: mimamba serve --model $name"
