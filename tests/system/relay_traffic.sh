#!/bin/bash
# Clients talk through a real relay, with each engine.
# Time limit: 500 s
. "$(dirname "$0")/lib.sh"

programs=$build/tests/system
need_programs "$programs/relay_traffic" clawchatd

for engine in uring epoll; do
	"$programs/relay_traffic" $engine || failures_=$((failures_ + 1))
done
[ $failures_ -eq 0 ]
