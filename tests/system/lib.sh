# Helpers for tests/system/*.sh. Source it first:
#
#	. "$(dirname "$0")/lib.sh"
#
# A test prints one line for each fact it checks: ok NAME, not_ok NAME WHY, skip NAME WHY.
# Everything it starts with start() ends with it, and its folder $dir goes too, also after a
# failure or a signal. The script's exit status is 1 if anything was not ok.
# shellcheck shell=bash
set -u
shopt -s nullglob

build=${CLAWCHAT_BUILD_DIR:-$(realpath "$(dirname "$0")/../../build")}
# shellcheck disable=SC2034 # for the scripts
source_dir=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
PATH=$build/tools:$build/bench:$PATH:/usr/sbin:/sbin
dir=$(mktemp -d "${TMPDIR:-/tmp}/clawchat-test.XXXXXX")
failures_=0
started_=()
cleanups_=()

ok() {
	echo "ok $1"
}

not_ok() {
	echo "not ok $1: ${2:-}"
	failures_=$((failures_ + 1))
}

skip() {
	echo "skip $1: ${2:-}"
}

# skip_all WHY: ends the script.
skip_all() {
	skip all "$1"
	exit 77
}

# check NAME COMMAND...: ok if the command succeeds; its output shows why not.
check() {
	local name=$1 output
	shift
	if output=$("$@" 2>&1); then
		ok "$name"
	else
		not_ok "$name" "$* gave $?: $(tail -c 400 <<<"$output" | tr '\n' ' ')"
	fi
}

need_root() {
	[ "$(id -u)" -eq 0 ] || skip_all "needs root"
}

# need_programs NAME...: of the build or the system.
need_programs() {
	local program
	for program in "$@"; do
		command -v "$program" >/dev/null || skip_all "needs $program"
	done
}

# Each cleanup is one command line, run at the end in reverse order.
on_exit() {
	cleanups_+=("$*")
}

# start NAME COMMAND...: in the background, output to $dir/NAME.log; its id is in $pid.
start() {
	local name=$1
	shift
	"$@" >"$dir/$name.log" 2>&1 </dev/null &
	pid=$!
	started_+=("$pid")
}

# stop PID [SIGNAL]: waits until it is gone; returns its exit status.
stop() {
	kill "-${2:-TERM}" "$1" 2>/dev/null
	wait "$1" 2>/dev/null
}

is_alive() {
	kill -0 "$1" 2>/dev/null
}

# wait_until SECONDS COMMAND...: asks every 50 ms; false if it never succeeded.
wait_until() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -le $end ] || return 1
		read -rt 0.05 <> <(:) || true
	done
}

finish_() {
	local status=$? id i
	trap - EXIT
	for id in "${started_[@]}"; do
		kill "$id" 2>/dev/null
	done
	wait_until 5 none_alive_ || kill -KILL "${started_[@]}" 2>/dev/null
	for ((i = ${#cleanups_[@]} - 1; i >= 0; i--)); do
		eval "${cleanups_[i]}"
	done
	if [ $failures_ -gt 0 ] || { [ $status -ne 0 ] && [ $status -ne 77 ]; }; then
		tail -n 40 "$dir"/*.log >&2 </dev/null
		[ $status -ne 0 ] || status=1
	fi
	# What was killed last may still write something.
	wait_until 5 rm -rf "$dir"
	exit $status
}

none_alive_() {
	local id
	for id in "${started_[@]}"; do
		! is_alive "$id" || return 1
	done
}

trap finish_ EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
