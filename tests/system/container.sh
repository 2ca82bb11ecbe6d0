#!/bin/bash
# The relay's container image: builds without a registry, and answers on both engines as the
# unprivileged user, allowed the system calls of our own seccomp profile and no others.
#
# Time limit: 900 s
. "$(dirname "$0")/lib.sh"

need_root
need_programs debootstrap buildah tar

BASE=docker.io/library/debian:bookworm-slim # the default of ARG BASE in the Dockerfile
IMAGE=localhost/clawchat:test
RELAY_UID=64100
NAME=${dir##*.} # of these relays; nobody else's carry it
PROFILE=$source_dir/packaging/seccomp-io_uring.json

# A store of our own: nothing of it outlives this test.
images() {
	buildah --root "$dir/store" --runroot "$dir/run" --storage-driver vfs "$@"
}

base_image() {
	local archive container
	archive=$("$source_dir/tools/debian-root" "$build/debian") || return 1
	container=$(images from --name base scratch) &&
		images add -q "$container" "$archive" / &&
		images commit -q "$container" "$BASE" &&
		images rm "$container"
}

build_image() {
	images build --isolation chroot --format docker --pull-never -t "$IMAGE" "$source_dir"
}

# new_container NAME: its state folder is $dir/NAME.
new_container() {
	install -d -o $RELAY_UID -g $RELAY_UID -m 0700 "$dir/$1"
	images from --name "$1" --pull-never --security-opt "seccomp=$PROFILE" "$IMAGE"
}

# run_in NAME COMMAND...
run_in() {
	local name=$1
	shift
	images run --isolation chroot -v "$dir/$name:/var/lib/clawchat" "$name" -- "$@"
}

status_says() {
	local log=$dir/status-$1.log
	run_in "$1" clawchatctl status >"$log" 2>&1 && grep -q "$2" "$log"
}

relay_pids() {
	pgrep -u $RELAY_UID -f "^[^ ]*clawchatd --server.name=$NAME --network.engine=$1"
}

is_running() {
	[ -n "$(relay_pids "$1")" ]
}

is_gone() {
	! is_running "$1"
}

# check_engine ENGINE: its relay answers, names its engine, runs as the user and stops on TERM.
check_engine() {
	local engine=$1 pids
	check "$engine: container" new_container "$engine"
	start "relay-$engine" run_in "$engine" clawchatd "--server.name=$NAME" \
		"--network.engine=$engine" --server.public_ip=127.0.0.1 \
		--network.listen=127.0.0.1 --network.listen6=none
	if ! wait_until 30 status_says "$engine" .; then
		not_ok "$engine: answers" "no status within 30 s"
		return
	fi
	ok "$engine: answers"
	check "$engine: is the engine" status_says "$engine" "^engine .*$engine,"
	check "$engine: runs as the relay's user" is_running "$engine"
	pids=$(relay_pids "$engine")
	# shellcheck disable=SC2086
	kill -TERM $pids
	check "$engine: stops" wait_until 15 is_gone "$engine"
	check "$engine: was asked to" grep -q ' stopping ' "$dir/relay-$engine.log"
}

kill_relays() {
	local pids
	pids=$(relay_pids '')
	# shellcheck disable=SC2086
	[ -z "$pids" ] || kill -KILL $pids
}

on_exit kill_relays
check "base image" base_image
check "image builds" build_image
[ $failures_ -eq 0 ] || exit 1
check "settings of the image" grep -q '"User": "64100:64100"' <(images inspect "$IMAGE")
for engine in uring epoll; do
	check_engine $engine
done
