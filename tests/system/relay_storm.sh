#!/bin/bash
# Ports move every 2 s and keys change every second under full load, with each engine, and nothing
# is lost. Longer: BUILD/tests/system/relay_storm ENGINE --rotations 1000 (34 minutes).
# Time limit: 300 s
. "$(dirname "$0")/lib.sh"

programs=$build/tests/system
need_programs "$programs/relay_storm" clawchatd

for engine in uring epoll; do
	"$programs/relay_storm" $engine || failures_=$((failures_ + 1))
done
[ $failures_ -eq 0 ]
