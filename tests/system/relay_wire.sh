#!/bin/bash
# What goes over the wire of a real relay looks random, with each engine.
# Time limit: 500 s
. "$(dirname "$0")/lib.sh"

programs=$build/tests/system
need_programs "$programs/relay_wire" clawchatd

for engine in uring epoll; do
	"$programs/relay_wire" $engine || failures_=$((failures_ + 1))
done
[ $failures_ -eq 0 ]
