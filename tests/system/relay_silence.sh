#!/bin/bash
# A stranger hears nothing of a real relay, with each engine.
# Time limit: 500 s
. "$(dirname "$0")/lib.sh"

programs=$build/tests/system
need_programs "$programs/relay_silence" clawchatd

for engine in uring epoll; do
	"$programs/relay_silence" $engine || failures_=$((failures_ + 1))
done
[ $failures_ -eq 0 ]
