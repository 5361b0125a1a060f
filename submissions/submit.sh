#!/bin/sh
# Sends a run's submission to Kaggle once and waits for its score: for cron, CI, or by hand. Safe to repeat.
#
#   submissions/submit.sh RUN MESSAGE [further options of harness submit, e.g. --data DATA, --limit 20m]
#
# Prints one JSON object. Exit codes: 0 scored; 2 refused, with the reason (not valid, sent before, rules, credential);
# 3 not now (no submissions left today, not scored yet, Kaggle too busy or silent): the same call goes on later.
set -eu
if [ "$#" -lt 2 ]; then
  echo "usage: $0 RUN MESSAGE [options of harness submit]" >&2
  exit 2
fi
run=$1
message=$2
shift 2
# run ids and the ledger are looked for below the folder that holds submissions/
cd "${HARNESS_HOME:-$(dirname "$0")/..}"
exec ${HARNESS:-harness} submit "$run" --message "$message" --wait --json "$@"
