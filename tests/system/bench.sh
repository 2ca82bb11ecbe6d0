#!/bin/bash
# clawbench and the floors work: every scenario for a moment at a low rate. Never a time.
. "$(dirname "$0")/lib.sh"
need_programs clawbench clawchatd floor_forwarder floor_mmsg python3

# bench NAME ARGUMENT...: the JSON goes to $dir/NAME.json; 3 says that this machine is busy.
bench() {
	local name=$1 code=0
	shift
	clawbench "$@" --json --seconds 0.5 >"$dir/$name.json" 2>"$dir/$name.log" || code=$?
	[ $code -eq 0 ] || [ $code -eq 3 ] || { cat "$dir/$name.log"; return 1; }
}

# holds NAME EXPRESSION: about the first row of that run, called r; the whole is `all`.
holds() {
	python3 -c '
import json, sys
all = json.load(open(sys.argv[1]))
r = all["rows"][0]
sys.exit(not eval(sys.argv[2]))' "$dir/$1.json" "$2"
}

most_arrive='r["sent"] > 400 and r["delivered"] >= 0.9 * r["sent"] and r["not_authentic"] == 0'
samples='0 < r["latency_p50_ns"] <= r["latency_p99_ns"] <= r["latency_max_ns"]'

for scenario in voice chat bulk fan-in mixed; do
	check "$scenario runs" bench $scenario $scenario --start --pairs 12 --rate 1000 --sample 1
	check "$scenario delivers" holds $scenario "$most_arrive"
	check "$scenario measures" holds $scenario "$samples and r['relay_ns_per_packet'] > 0"
	check "$scenario is what the relay counts" holds $scenario \
		'r["relay_counters"]["packets"]["relayed"] >= r["delivered"]'
done

check "churn runs" bench churn churn --start --pairs 4 --rate 1000 --handshakes 100
check "churn answers" holds churn 'r["welcomes"] > 0.8 * r["hellos_sent"] > 20'
check "idle runs" bench idle idle --start --sessions 200 --rate 1000
check "idle measures" holds idle "$most_arrive and r['bytes_per_session'] > 0"
check "idle looks up" holds idle "r['lookup_by_id_ns'] > 0 and r['lookup_by_peer_ns'] > 0"
check "idle needs no descriptor a session" holds idle "0 < r['descriptors'] < 100"

# port_of NAME: what a floor says of itself.
has_port() {
	grep -q '^port ' "$dir/$1.log"
}
port_of() {
	sed -n 's/^port //p' "$dir/$1.log"
}

start uring floor_forwarder --engine=uring --gro
start epoll floor_forwarder --engine=epoll
start mmsg floor_mmsg
for floor in uring epoll mmsg; do
	wait_until 5 has_port $floor
	check "floor $floor runs" bench $floor-load voice --floor "127.0.0.1:$(port_of $floor)" \
		--pairs 4 --rate 1000
	check "floor $floor delivers" holds $floor-load "$most_arrive"
done
check "plain runs" bench plain voice --plain 127.0.0.1 --pairs 4 --rate 1000
check "plain delivers" holds plain "$most_arrive"

# A sweep gives a row for each rate, and a plot.
check "sweep runs" bench sweep voice --plain 127.0.0.1 --pairs 4 --rates 500,1000 \
	--plot "$dir/plot.svg"
check "sweep has rows" holds sweep 'len(all["rows"]) == 2'
check "plot is XML" python3 -c 'import sys, xml.dom.minidom as m; m.parse(sys.argv[1])' \
	"$dir/plot.svg"

# Wrong use is told from failure, and a generator that cannot keep up from a result.
says() {
	local code=$1
	shift
	"$@" >"$dir/says" 2>&1
	[ $? -eq "$code" ]
}
check "two targets are refused" says 2 clawbench voice --start --plain 127.0.0.1
check "no target is refused" says 2 clawbench voice
check "idle needs a relay" says 2 clawbench idle --plain 127.0.0.1
check "nobody there is a failure" says 1 clawbench voice --floor 127.0.0.1:9 --pairs 1
check "a busy generator is no result" says 3 clawbench voice --plain 127.0.0.1 --pairs 2 \
	--rate 5000000 --seconds 0.1
check "and says so" grep -q "NO RESULT" "$dir/says"
