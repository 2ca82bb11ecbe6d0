#!/bin/bash
# A peer that has changed its identity, with the programs as they are: nothing is sent to it until
# the user accepts it, and nothing of it is shown. Time limit: 200 s
. "$(dirname "$0")/lib.sh"

need_programs clawchat clawchatd clawchatctl
state=$dir/state
unset CLAWCHAT_BOOTSTRAP_KEY CLAWCHAT_PROFILE

as() {
	local name=$1
	shift
	timeout 60 clawchat "$@" --profile "$dir/$name"
}

start_relay() {
	start relay clawchatd --server.name=test --server.state_dir="$state" \
		--server.public_ip=127.0.0.1 --network.listen=127.0.0.1 --network.listen6=none \
		--network.workers=1
	wait_until 20 clawchatctl -s "$state/clawchatd.sock" status ||
		{ not_ok relay_starts 'no answer' && exit 1; }
}

load() {
	check "$1_loads" as "$1" load "$state/files/clawchat-current.sec" \
		-k "$state/bootstrap.key" --name "$1"
}

# sends NAME CODE TEXT FROM TO COMMAND...: TO listens meanwhile. A send that is refused says so in
# one line beside that of the connection, and TO has seen nothing of it.
sends() {
	local name=$1 expected=$2 text=$3 from=$4 to=$5 code
	shift 5
	start "$to" clawchat receive --profile "$dir/$to" --timeout 30
	local listener=$pid
	wait_until 10 grep -q connected "$dir/$to.log"
	as "$from" "$1" -t 10 "${@:2}" >"$dir/out" 2>&1 <<<"secret of $name"
	code=$?
	stop "$listener" INT
	local seen expected_seen=0 lines
	[ "$expected" -ne 0 ] || expected_seen=1
	seen=$(grep -c "secret of $name" "$dir/$to.log")
	lines=$(grep -c '^clawchat:' "$dir/out")
	# A chat names the undelivered lines as well.
	[ "$1" = send ] || [ "$lines" -le 1 ] || lines=1
	if [ $code -eq "$expected" ] && [ "$seen" -eq $expected_seen ] &&
		grep -qF -e "$text" "$dir/out" && [ "$lines" -eq $((1 - expected_seen)) ]; then
		ok "$name"
	else
		not_ok "$name" "exit code $code, seen $seen: $(tr '\n' '|' <"$dir/out")"
	fi
}

both_ways() {
	sends "alice_sends_$1" 0 delivered alice bob send bob -m -
	sends "bob_sends_$1" 0 delivered bob alice send alice -m -
}

# Goal:   bob has lost his contacts, so that he meets alice afresh.
check_lost_contacts() {
	rm "$dir/bob/contacts.json"
	sends continuity_lost 20 'clawchat verify --forget' alice bob send bob -m -
	sends continuity_lost_in_a_chat 20 'clawchat verify --forget' alice bob chat bob
	sends continuity_lost_the_other_way 20 'clawchat verify --forget' bob alice send alice -m -
	check alice_accepts_lost_contacts as alice verify bob --forget
	both_ways after_lost_contacts
}

# Goal:   the same identity shows another key: a thief of it, or bob after a repair. Who notices
#         first, and so says what, is chance.
check_other_key() {
	local peer_key
	peer_key=$(head -c 32 /dev/urandom | base64)
	sed -i "s|\"peer_key\": \"[^\"]*\"|\"peer_key\": \"$peer_key\"|" "$dir/bob/device.json"
	rm "$dir/bob/contacts.json"
	sends other_key 20 'clawchat verify --forget' alice bob send bob -m -
	sends other_key_the_other_way 20 'clawchat verify --forget' bob alice send alice -m -
	check alice_accepts_other_key as alice verify bob --forget
	both_ways after_other_key
}

# Goal:   bob begins again with a new profile under his name.
check_new_profile() {
	local known
	known=$(as alice fingerprint bob --json | grep -o '"id":"[^"]*"' | cut -d '"' -f 4)
	check alice_verifies_bob as alice verify bob --accept
	as alice fingerprint bob >"$dir/out"
	check old_bob_is_verified grep -q '(verified)' "$dir/out"
	mv "$dir/bob" "$dir/bob.old"
	load bob
	sends new_profile 20 "verify ${known:0:8} --forget" alice bob send bob -m -
	sends new_profile_in_a_chat 20 "verify ${known:0:8} --forget" alice bob chat bob
	# An id is one identity: that one is away.
	sends new_profile_by_the_id 18 'not connected' alice bob send "$known" -m - -t 2
	check alice_accepts_new_profile as alice verify "${known:0:8}" --forget
	both_ways after_new_profile
	as alice fingerprint bob >"$dir/out"
	check new_bob_is_not_verified grep -q '(known)' "$dir/out"
}

# Goal:   the new one writes first: nobody takes it for the known one.
check_namesake() {
	local known
	known=$(as alice fingerprint bob --json | grep -o '"id":"[^"]*"' | cut -d '"' -f 4)
	mv "$dir/bob" "$dir/bob.older"
	load bob
	sends namesake_writes 0 delivered bob alice send alice -m -
	check namesake_is_marked grep -qE '^bob \([a-z2-7]{8}\): secret' "$dir/alice.log"
	sends name_is_ambiguous 19 'verify ID --forget' alice bob send bob -m -
	check alice_forgets_the_old_one as alice verify "${known:0:8}" --forget
	both_ways after_the_namesake
}

start_relay
load alice
load bob
both_ways at_first
check_lost_contacts
check_other_key
check_new_profile
check_namesake
