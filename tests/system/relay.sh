#!/bin/bash
# The relay as a program, with each engine: its life, its files, its refusals, the operator's hand.
# Time limit: 500 s
. "$(dirname "$0")/lib.sh"

visits=$build/tests/system/relay_visits
need_programs "$visits" clawchatd clawchatctl od base64 python3

umask 000 # what the relay makes must be private all the same

# run_relay NAME STATE OPTION...: started, and answering; $pid.
run_relay() {
	local name=$1 state=$2
	shift 2
	start "$name" clawchatd --server.state_dir="$state" --network.engine="$engine" \
		--server.public_ip=127.0.0.1 --network.listen=127.0.0.1 --network.listen6=none \
		--limits.handshake_rate=100000 --limits.handshake_burst=100000 "$@"
	wait_until 20 ctl "$state" status
}

ctl() {
	local state=$1
	shift
	clawchatctl -s "$state/clawchatd.sock" "$@"
}

# starts NAME TEST_NAME OPTION...: run_relay() as a test. (check() would start it in a subshell.)
starts() {
	local name=$1 log_name=$2
	shift 2
	if run_relay "$log_name" "$state" "$@"; then
		ok "$engine: $name"
	else
		not_ok "$engine: $name" "$(tail -n 3 "$dir/$log_name.log")"
	fi
}

# number STATE COMMAND NAME: from the JSON answer.
number() {
	ctl "$1" -j "$2" | sed -n "s/^ *\"$3\": \([0-9]*\),\{0,1\}$/\1/p" | head -n 1
}

server_id() {
	ctl "$1" -j status | sed -n 's/.*"server_id": "\([0-9a-f]*\)".*/\1/p'
}

descriptors() {
	find "/proc/$1/fd" -mindepth 1 2>/dev/null | wc -l
}

resident_kb() {
	awk '/^VmRSS/ { print $2 }' "/proc/$1/status"
}

# equals NAME EXPECTED GOT
equals() {
	if [ "$2" = "$3" ]; then
		ok "$engine: $1"
	else
		not_ok "$engine: $1" "wanted '$2', got '$3'"
	fi
}

# refuses NAME EXIT_CODE PATTERN OPTION...: it does not start, and says why in one line.
refuses() {
	local name=$1 code=$2 pattern=$3 output got lines
	shift 3
	output=$(timeout 20 clawchatd --log.level=error --server.public_ip=127.0.0.1 "$@" 2>&1)
	got=$?
	lines=$(wc -l <<<"$output")
	if [ $got -eq "$code" ] && [ "$lines" -eq 1 ] && grep -q "$pattern" <<<"$output"; then
		ok "$engine: $name"
	else
		not_ok "$engine: $name" "exit code $got, $lines lines: $output"
	fi
}

test_operator() {
	local issued=$dir/$engine-issued.sec
	equals 'status tells the engine' 1 "$(ctl "$state" status |
		grep -cE "engine +(io_)?$engine, cipher .*, 1 workers")"
	equals 'stats has every group' 4 "$(ctl "$state" stats |
		grep -cE '^(packets|engine|keeper|queues)$')"
	equals 'nobody is there' 'no sessions' "$(ctl "$state" sessions)"
	check "$engine: a file is issued" ctl "$state" issue "$issued"
	equals 'for its owner alone' 600 "$(stat -c %a "$issued")"
	ctl "$state" issue relative.sec >/dev/null 2>&1
	equals 'a relative path is refused' 2 "$([ $? -eq 64 ] && echo 2)"
	ctl "$dir/nowhere" status >/dev/null 2>&1
	equals 'no relay, exit code 69' 69 $?
	kill -USR1 "$pid"
	wait_until 5 grep -q ' statistics ' "$log"
	check "$engine: SIGUSR1 writes statistics" grep -q ' statistics sessions=0 ' "$log"
	kill -HUP "$pid"
	wait_until 5 grep -q ' reload ' "$log"
	check "$engine: SIGHUP ends nothing" ctl "$state" status
}

test_second_instance() {
	refuses 'a second one on the same state is refused' 69 'in use' \
		--server.state_dir="$state"
	check "$engine: and the first is not disturbed" ctl "$state" status
}

# What a client brings must go with it.
test_no_growth() {
	local fds kb grown
	check "$engine: 100 clients come and go" "$visits" visit "$state" 100
	fds=$(descriptors "$pid") kb=$(resident_kb "$pid")
	check "$engine: 200 more" "$visits" visit "$state" 200
	wait_until 20 no_sessions
	equals 'no session is left' 0 "$(number "$state" status sessions)"
	if [ "$fds" -eq 0 ]; then
		skip "$engine: descriptors" 'those of a hardened process are not shown'
	else
		equals 'as many descriptors as before' "$fds" "$(descriptors "$pid")"
	fi
	grown=$(($(resident_kb "$pid") - kb))
	# New sessions take new places of the key cache, 17 MiB a worker at most: two keys each, a
	# page or two for each key.
	equals 'memory within 4 MiB' yes "$([ $grown -le 4096 ] && echo yes || echo "$grown KiB")"
}

no_sessions() {
	[ "$(number "$state" status sessions)" = 0 ]
}

test_stop() {
	local begin took
	start "$engine-guest" "$visits" stay "$state"
	local guest=$pid
	wait_until 20 grep -q up "$dir/$engine-guest.log"
	begin=$EPOCHREALTIME
	stop "$relay"
	equals 'SIGTERM: exit code 0' 0 $?
	took=$(awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { print b - a < 3 ? "yes" : b - a }')
	equals 'within 3 s' yes "$took"
	wait "$guest"
	equals 'its client was told' 0 $?
	equals 'its socket is gone' '' "$(ls "$state/clawchatd.sock" 2>/dev/null)"
}

test_restart() {
	local before=$1
	equals 'it is the same relay after a restart' "$before" "$(server_id "$state")"
	check "$engine: the file of before still works" "$visits" visit "$dir/$engine-old" 10
	kill -TERM "$pid"
	kill -TERM "$pid"
	wait "$pid"
	equals 'two signals end it as well' 0 $?
}

# Killed, it leaves its socket behind, which is nobody's then.
test_killed() {
	stop "$pid" KILL
	starts 'starts over the socket of a dead one' "$engine-again"
	stop "$pid"
}

test_files() {
	equals 'files are private' '' "$(find "$state" -type f ! -perm 600)"
	equals 'so are directories' '' "$(find "$state" -type d ! -perm 700)"
	equals 'and the socket' 600 "$(stat -c %a "$state/clawchatd.sock")"
}

test_no_secrets_in_log() {
	local secrets found='' secret
	secrets=$("$visits" secrets "$state")
	secrets+=$'\n'$(tr -d '\n' <"$state/bootstrap.key")
	secrets+=$'\n'$(od -An -v -tx1 "$state/state.key" | tr -d ' \n')
	[ "$(wc -l <<<"$secrets")" -ge 4 ] || not_ok "$engine: secrets to look for" "$secrets"
	for secret in $secrets; do
		# The middle of it, as base64 has three alignments.
		local bytes=${secret:8:48} text
		text=$(sed 's/../\\x&/g' <<<"${secret:0:48}")
		grep -qiF "$bytes" "$dir"/*.log && found+=" hexadecimal"
		# shellcheck disable=SC2059
		grep -qF "$(printf "$text" | base64)" "$dir"/*.log && found+=" base64"
	done
	equals 'no secret in any log' '' "$found"
}

test_refusals() {
	local open=$dir/$engine-open key=$dir/$engine-key private=$dir/$engine-private
	refuses 'a wrong key names the nearest' 78 'network. engine' --network.engin=epoll
	refuses 'a wrong section too' 78 'did you mean .network' --netwrk.engine=epoll
	refuses 'a wrong value says what is allowed' 78 'allowed: 0 to 64' --network.workers=65
	refuses 'a settings file that is not there' 78 'no such file' -c "$dir/none.conf"
	mkdir -m 755 "$open"
	refuses 'a state directory that others see' 77 'chmod 700' --server.state_dir="$open"
	echo rubbish >"$key"
	refuses 'a bootstrap key that others see' 77 'chmod 600' --server.state_dir="$private" \
		--server.bootstrap_key_file="$key"
	chmod 600 "$key"
	refuses 'a bootstrap key that is none' 78 'not a key' --server.state_dir="$private" \
		--server.bootstrap_key_file="$key"
	refuses 'a bootstrap key that is not there' 74 'no such file' \
		--server.state_dir="$private" --server.bootstrap_key_file="$dir/none"
	refuses 'a port that is taken' 69 'in use' --server.state_dir="$private" \
		--network.listen=127.0.0.1 --network.listen6=none \
		--rotation.mode=fixed --rotation.fixed_port="$(number "$state" status port)"
	echo precious >"$dir/precious"
	refuses 'a file in the place of the socket' 69 'admin socket' \
		--server.state_dir="$private" --admin.socket="$dir/precious"
	equals 'which is left alone' precious "$(cat "$dir/precious")"
}

test_config() {
	local first=$dir/$engine-1.conf second=$dir/$engine-2.conf
	install -m 600 /dev/null "$first"
	install -m 600 /dev/null "$second"
	check "$engine: --check-config" clawchatd --check-config --network.engine="$engine" \
		--server.public_ip=127.0.0.1
	clawchatd --print-config --network.engine="$engine" --network.workers=3 \
		--server.public_ip=127.0.0.1 \
		--server.name='A name' --rotation.interval=90m >"$first"
	clawchatd --print-config -c "$first" >"$second"
	check "$engine: --print-config reads back the same" cmp "$first" "$second"
	check "$engine: and has what was asked for" grep -q '^workers = 3$' "$first"
	clawchatd --example-config >"$second"
	check "$engine: --example-config can be read" clawchatd --check-config -c "$second" \
		--server.public_ip=127.0.0.1
	refuses '--check-config wants an address' 78 'both are unset' --check-config \
		--server.public_ip=
	check "$engine: --version" clawchatd --version
}

# What it says must never land in a file or a socket that took the place of stderr.
test_closed_descriptors() {
	local number
	# shellcheck disable=SC2016 # expanded by the inner shell
	start "$engine-closed" bash -c 'exec "$0" "$@" <&- >&- 2>&-' clawchatd \
		--server.state_dir="$state" --network.engine="$engine" \
		--server.public_ip=127.0.0.1 --network.listen=127.0.0.1 --network.listen6=none
	wait_until 20 ctl "$state" status
	for number in 0 1 2; do
		equals "started without descriptor $number" /dev/null \
			"$(readlink "/proc/$pid/fd/$number")"
	done
	stop "$pid"
}

# A relay with a thousand sessions and more answers in parts: clawchatctl asks for all of them. Here
# a stand-in answers with three parts of one session each but the last, which is empty.
test_long_list() {
	local listed
	python3 -c 'import json, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
for asked, answer in ((None, {"cursor": 7}), (7, {"cursor": 9}), (9, {})):
    connection = listener.accept()[0]
    request = json.loads(connection.recv(4096))
    is_right = request.get("cursor") == asked and request["command"] == "sessions"
    names = ["%s:%s" % (asked, is_right)] if answer else []
    answer["sessions"] = [{"session": name} for name in names]
    connection.sendall(json.dumps(answer).encode() + b"\n")
    connection.close()' "$dir/long.sock" &
	wait_until 10 test -S "$dir/long.sock"
	listed=$(timeout 20 clawchatctl -s "$dir/long.sock" sessions)
	wait $!
	equals 'all parts are listed' 2 "$(grep -cE '^(None|7):True' <<<"$listed")"
	equals 'and no empty one' 0 "$(grep -c 'no sessions' <<<"$listed")"
}

for engine in uring epoll; do
	state=$dir/$engine
	log=$dir/$engine-first.log
	if ! run_relay "$engine-first" "$state" --network.workers=1; then
		if [ $engine = uring ]; then
			skip "$engine" 'the system refuses a ring'
		else
			not_ok "$engine: starts" "$(cat "$log")"
		fi
		continue
	fi
	relay=$pid
	id=$(server_id "$state")
	mkdir -p "$dir/$engine-old/files"
	cp -p "$state/bootstrap.key" "$dir/$engine-old/"
	cp -p "$state/files/clawchat-current.sec" "$dir/$engine-old/files/"
	test_operator
	test_second_instance
	test_files
	test_refusals
	test_no_growth
	pid=$relay
	test_stop
	starts 'starts again' "$engine-second"
	test_restart "$id"
	starts 'and again' "$engine-third"
	test_killed
	test_no_secrets_in_log
	test_closed_descriptors
	test_config
done
test_long_list
[ $failures_ -eq 0 ]
