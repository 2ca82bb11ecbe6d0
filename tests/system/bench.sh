#!/bin/bash
# clawbench and the floors work: every scenario for a moment at a low rate. Never a time.
. "$(dirname "$0")/lib.sh"
need_programs clawbench clawchatd floor_forwarder floor_mmsg python3

# bench NAME ARGUMENT...: begins a run. Several go on at once: most of their time is waiting.
declare -A run_of
bench() {
	local name=$1
	shift
	start "$name.run" clawbench "$@" --json --seconds 0.3
	run_of[$name]=$pid
}

# await NAME...: until these have ended; the JSON goes to $dir/NAME.json. The exit code 3 says that
# this machine is busy.
await() {
	local name code
	for name in "$@"; do
		code=0
		wait "${run_of[$name]}" || code=$?
		grep '^{' "$dir/$name.run.log" >"$dir/$name.json"
		check "$name runs" is_one_of $code 0 3
	done
}
is_one_of() {
	[ "$1" -eq "$2" ] || [ "$1" -eq "$3" ]
}

# holds NAME EXPRESSION: about the first row of that run, called r; the whole is `all`.
holds() {
	python3 -c '
import json, sys
all = json.load(open(sys.argv[1]))
r = all["rows"][0]
sys.exit(not eval(sys.argv[2]))' "$dir/$1.json" "$2"
}

most_arrive='r["sent"] > 200 and r["delivered"] >= 0.9 * r["sent"] and r["not_authentic"] == 0'
samples='0 < r["latency_p50_ns"] <= r["latency_p99_ns"] <= r["latency_max_ns"]'
transits='0 < r["transit_p50_ns"] <= r["latency_max_ns"]'
counted='r["relay_counters"]["packets"]["relayed"] >= r["delivered"]'

for scenario in voice chat bulk fan-in mixed; do
	bench $scenario $scenario --start --pairs 12 --rate 1000 --sample 1
done
await voice chat bulk fan-in mixed
for scenario in voice chat bulk fan-in mixed; do
	check "$scenario delivers" holds $scenario "$most_arrive"
	check "$scenario measures" holds $scenario \
		"$samples and $transits and r['relay_ns_per_packet'] > 0"
	check "$scenario is what the relay counts" holds $scenario "$counted"
done

bench churn churn --start --pairs 4 --rate 1000 --handshakes 100
bench idle idle --start --sessions 200 --rate 1000
bench fairness fairness --start --pairs 4 --rate 1000 --bulk-rate 2000 --sample 1
bench plain voice --plain 127.0.0.1 --pairs 4 --rate 1000

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
	bench "floor-$floor" voice --floor "127.0.0.1:$(port_of $floor)" --pairs 4 --rate 1000
done

await churn idle fairness plain floor-uring floor-epoll floor-mmsg
check "churn answers" holds churn 'r["welcomes"] > 0.8 * r["hellos_sent"] > 20'
check "idle measures" holds idle "$most_arrive and r['bytes_per_session'] > 0"
check "idle looks up" holds idle "r['lookup_by_id_ns'] > 0 and r['lookup_by_peer_ns'] > 0"
check "idle needs no descriptor a session" holds idle "0 < r['descriptors'] < 100"
for run in plain floor-uring floor-epoll floor-mmsg; do
	check "$run delivers" holds $run "$most_arrive"
done
check "fairness delivers" holds fairness "$most_arrive"
check "fairness takes turns" holds fairness \
	'[x["sent"] > 2 * r["sent"] for x in all["rows"]] == [False, True] * 3'
check "and takes the latency of voice alone" holds fairness \
	'all["fairness"] > 0 and 0 < all["rows"][1]["samples"] <= 1.1 * r["sent"]'

# A sweep gives a row for each rate, and a plot.
bench sweep voice --plain 127.0.0.1 --pairs 4 --rates 500,1000 --plot "$dir/plot.svg"
await sweep
check "sweep has rows" holds sweep 'len(all["rows"]) == 2'
check "plot is XML" python3 -c 'import sys, xml.dom.minidom as m; m.parse(sys.argv[1])' \
	"$dir/plot.svg"

# The table of bench/compare, from runs as it saves them: the bad neighbour of each good result.
row() {
	printf '{"row": "%s", "side": "%s", "run": {"rows": [%s]}}\n' "$1" "$2" \
		"{\"relay_ns_per_packet\": $3, \"doubt\": $4}"
}
table_says() {
	"$source_dir/bench/table.py" "$dir/results" --markdown | grep -q -- "$1"
}
cost='voice / bare io_uring forwarder'
row "$cost" ours 120 null >"$dir/results"
row "$cost" theirs 100 null >>"$dir/results"
check "a target is met" table_says "$cost.*| 1.2 |.*| yes | 0/1 | 0/1 |"
row "$cost" ours 140 null >"$dir/results"
row "$cost" theirs 100 null >>"$dir/results"
check "a target is not met" table_says "$cost.*| 1.4 |.*| NO | 0/1 | 0/1 |"
row "$cost" ours 120 null >"$dir/results"
row "$cost" theirs 100 '"late"' >>"$dir/results"
check "a doubtful side is named" table_says "$cost.*| 1.2 |.*| ? | 0/1 | 1/1 |"
check "and why" table_says "^doubtful: $cost, theirs, 1: late$"

# Ended by a signal, it leaves nothing: neither its relay nor its folder.
export TMPDIR=$dir
has_relay() {
	relay=$(pgrep -P "$pid" clawchatd)
}
ends_cleanly() {
	local code=0
	bench ended voice --start --pairs 4 --rate 100 --seconds 60
	wait_until 10 has_relay
	stop "$pid" "$1" || code=$?
	[ $code -eq "$2" ] && ! is_alive "$relay" && [ -z "$(echo "$dir"/clawbench.*)" ]
}
for signal in TERM:143 INT:130 HUP:129; do
	check "${signal%:*} cleans up" ends_cleanly ${signal/:/ }
done

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
check "fairness has one rate" says 2 clawbench fairness --start --rates 1,2
check "nobody there is a failure" says 1 clawbench voice --floor 127.0.0.1:9 --pairs 1
check "a busy generator is no result" says 3 clawbench voice --plain 127.0.0.1 --pairs 2 \
	--rate 5000000 --seconds 0.1
check "and says so" grep -q "NO RESULT" "$dir/says"
