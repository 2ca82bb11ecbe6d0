#!/bin/bash
# Killed at every system call that changes a file, the relay and the client are put right by their
# next start.
# Time limit: 600 s
. "$(dirname "$0")/lib.sh"

program=$build/tests/system/crash_points
need_programs "$program"

for sequence in issue revoke-file compromised-device compromised-file compromised-server \
	recovery client; do
	output=$("$program" "$dir" $sequence 2>&1)
	case $? in
	0) ok "${output##*$'\n'}" ;;
	77) skip_all "$output" ;;
	*) not_ok "$sequence" "$output" ;;
	esac
done
[ $failures_ -eq 0 ]
