#!/bin/bash
# A device and its relay as programs: the file is needed once, then never again.
# Time limit: 500 s
. "$(dirname "$0")/lib.sh"

need_programs clawchatd clawchatctl clawchat

state=$dir/state
files=$state/files

run_relay() {
	local name=$1
	shift
	start "$name" clawchatd --server.state_dir="$state" --server.public_ip=127.0.0.1 \
		--network.listen=127.0.0.1 --network.listen6=none "$@"
	wait_until 20 clawchatctl -s "$state/clawchatd.sock" status
}

# As the device named $1, with a profile of its own.
as() {
	local who=$1
	shift
	timeout 60 clawchat -p "$dir/$who" "$@"
}

load() {
	as "$1" load -k "$state/bootstrap.key" "$2"
}

is_enrolled() {
	as "$1" status -j -t 20 | grep -q '"is_enrolled": *true'
}

# answers NAME CODE TEXT COMMAND...
answers() {
	local name=$1 expected=$2 text=$3 output code
	shift 3
	output=$("$@" 2>&1)
	code=$?
	if [ $code -eq "$expected" ] && grep -qF -e "$text" <<<"$output"; then
		ok "$name"
	else
		not_ok "$name" "code $code: $(tr '\n' '|' <<<"$output")"
	fi
}

has_no_file_secret() {
	grep -q '"shared_secret": "A\{43\}="' "$dir/$1/relay.json"
}

mkdir -m 700 "$state"
run_relay before
stop "$pid"
cp -a "$state" "$dir/backup"
run_relay first --security.file_max_devices=2
relay=$pid
clawchatctl -s "$state/clawchatd.sock" issue "$state/two.sec" >/dev/null
check 'alice takes a file' load alice "$state/two.sec"
check 'her first connection enrols her' as alice status
check 'and it is known to the next' is_enrolled alice
check 'the secret of the file is gone' has_no_file_secret alice
check 'bob takes the same file' load bob "$state/two.sec"
check 'he is enrolled as well' as bob status
load carol "$state/two.sec" >/dev/null
answers 'for carol it is spent' 17 'as many devices as it may' as carol status
if command -v python3 >/dev/null; then
	load dave "$state/two.sec" >/dev/null
	python3 - "$dir/alice/relay.json" "$dir/dave/relay.json" <<'END'
import json, sys
theirs, mine = (json.load(open(path)) for path in sys.argv[1:])
mine["enrolment"] = dict(theirs["enrolment"], state="pending")
json.dump(mine, open(sys.argv[2], "w"))
END
	answers 'and for one whose own enrolment was cut short' 17 'as many devices as it may' \
		as dave status
fi
rm -f "$state/two.sec" "$files"/*.sec
check 'alice needs no file' is_enrolled alice

stop "$relay" KILL
run_relay second
relay=$pid
check 'nor after the relay was killed' is_enrolled alice
check 'nor bob, who was not asked for a while' is_enrolled bob

stop "$relay"
rm -rf "$state"
cp -a "$dir/backup" "$state"
run_relay third
relay=$pid
answers 'a relay restored from before does not answer him' 13 'load a new security file' \
	as bob status -t 3
load bob "$files/clawchat-current.sec" >/dev/null
check 'with a new file he is back' as bob status
check 'for good' is_enrolled bob
stop "$relay"
