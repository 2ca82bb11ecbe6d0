#!/bin/bash
# A file between two peers over a relay, with kill -9 of the receiver, the sender and the relay in
# its middle: what has arrived is not sent again, and what lands is what was sent.
# Time limit: 500 s
. "$(dirname "$0")/lib.sh"

need_programs clawchatd clawchatctl clawchat sha256sum

SIZE_MIB=192
LIMIT_S=150 # for each program, on a machine that is busy otherwise
file=$dir/big.bin inbox=$dir/inbox
export CLAWCHAT_BOOTSTRAP_KEY=$dir/relay/bootstrap.key

start_relay() {
	start "relay$1" clawchatd --server.state_dir="$dir/relay" --server.public_ip=127.0.0.1 \
		--network.listen=127.0.0.1 --network.listen6=none
	relay=$pid
	wait_until 20 clawchatctl -s "$dir/relay/clawchatd.sock" status
}

start_sender() {
	start "sender$1" clawchat send bob "$file" --profile "$dir/alice" --timeout $LIMIT_S --json
	sender=$pid
}

start_receiver() {
	start "receiver$1" clawchat receive --profile "$dir/bob" --accept --into "$inbox" \
		--count 1 --timeout $LIMIT_S --json
	receiver=$pid
}

# Bytes that have arrived.
arrived() {
	local part=("$inbox"/.big.bin.*.part)
	[ ${#part[@]} -eq 1 ] && stat -c %s "${part[0]}"
}

has_arrived() {
	[ "$(arrived || echo 0)" -ge "$1" ]
}

# kill_after MIB PID: in the middle of things; sets $at.
kill_after() {
	wait_until 60 has_arrived $(($1 << 20)) && stop "$2" KILL
	at=$(arrived)
}

# resumed NAME: the largest "resumed_from" of that program.
resumed() {
	sed -n 's/.*"resumed_from":\([0-9]*\).*/\1/p' "$dir/$1.log" | sort -n | tail -n 1
}

# at_least NAME LEAST GOT
at_least() {
	if [ -n "$3" ] && [ "$3" -ge "$2" ]; then
		ok "$1"
	else
		not_ok "$1" "wanted at least $2, got '$3'"
	fi
}

if ! start_relay 1; then
	not_ok relay_starts "$(tail -n 3 "$dir/relay1.log")"
	exit 1
fi
head -c ${SIZE_MIB}M /dev/urandom >"$file"
mkdir "$inbox"
current=$dir/relay/files/clawchat-current.sec
check alice_loads clawchat load "$current" --profile "$dir/alice" --name alice
check bob_loads clawchat load "$current" --profile "$dir/bob" --name bob

start_receiver 1
start_sender 1
kill_after 20 "$receiver"
after_receiver=$at
start_receiver 2
kill_after 60 "$sender"
after_sender=$at
start_sender 2
kill_after 100 "$relay"
after_relay=$at
start_relay 2 || not_ok relay_starts_again "$(tail -n 3 "$dir/relay2.log")"

wait "$sender"
status=$?
check sender_ends_well [ $status -eq 0 ]
wait "$receiver"
status=$?
check receiver_ends_well [ $status -eq 0 ]
check same_content cmp "$file" "$inbox/big.bin"
check nothing_else_is_there [ "$(ls -A "$inbox")" = big.bin ]
at_least receiver_went_on "$after_receiver" "$(resumed receiver2)"
at_least sender_went_on "$after_sender" "$(resumed sender2)"
at_least relay_was_killed_in_the_middle $((100 << 20)) "$after_relay"
