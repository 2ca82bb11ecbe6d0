#!/usr/bin/env python3
"""The table of bench/compare, from the runs that it saved.

    bench/table.py RESULTS.jsonl [--markdown]

Each line is {"row": ..., "side": "ours" or "theirs", "run": what clawbench --json printed}.
"""
import collections
import json
import statistics
import sys

runs = collections.defaultdict(list)


def read(path):
    with open(path) as lines:
        for line in lines:
            entry = json.loads(line)
            runs[entry["row"], entry["side"]].append(entry["run"])


def firsts(row, side):
    return [run["rows"][0] for run in runs[row, side]]


def median(values):
    values = list(values)
    return statistics.median(values) if values else None


def both(row, key):
    return [median(r[key] for r in firsts(row, side)) for side in ("ours", "theirs")]


def paired(row, key):
    """Runs that took turns met the same minute: the median of the ratios of neighbours."""
    pairs = zip(firsts(row, "ours"), firsts(row, "theirs"))
    return median(a[key] / b[key] for a, b in pairs if b[key] > 0)


def ratio(key):
    return lambda row: (*both(row, key), paired(row, key))


def added(key):
    """Microseconds that the relay adds to the direct path."""
    def measure(row):
        ours, theirs = both(row, key)
        is_known = ours is not None and theirs is not None
        return ours, theirs, (ours - theirs) / 1000 if is_known else None
    return measure


def alone(key):
    return lambda row: (None, None, both(row, key)[0])


def fairness(row):
    """p99 of voice beside a bulk flow over that without; each run holds several rounds."""
    steps = [run["rows"] for run in runs[row, "ours"]]
    with_bulk = median(r["transit_p99_ns"] for rows in steps for r in rows[1::2])
    without = median(r["transit_p99_ns"] for rows in steps for r in rows[::2])
    return with_bulk, without, median(run["fairness"] for run in runs[row, "ours"])


def handshakes(row):
    """A core's worth: all of the relay's time but that of the data beside them."""
    data = both(row, "relay_ns_per_packet")[1]
    ns = median((r["relay_ns_per_packet"] - data) * r["delivered"] / r["welcomes"]
                for r in firsts(row, "ours") if r["welcomes"] > 0) if data else None
    return ns, None, 1e9 / ns if ns else None


COST = ratio("relay_ns_per_packet")
HALF, CHURN = "latency added at half load", "handshakes, and p99 of data meanwhile"
KNOWN = "handshakes of known devices, likewise"
ROWS = [
    ("voice / coturn, client to client", "ns ratio", COST, "<=", 0.35),
    ("voice / coturn, one leg to plain peers", "ns ratio", COST, "<=", 0.75),
    ("200 B bursts of 8 / wireguard-go", "ns ratio", COST, "<=", 0.20),
    ("bulk / coturn, client to client", "ns ratio", COST, "<=", 0.20),
    ("1,194 B bursts of 8 / wireguard-go", "ns ratio", COST, "<=", 0.20),
    ("voice / bare io_uring forwarder", "ns ratio", COST, "<=", 1.25),
    ("bulk / bare forwarder with GRO and GSO", "ns ratio", COST, "<=", 1.5),
    (HALF, "p50, us", added("transit_p50_ns"), "<=", 40),
    (HALF, "p99, us", added("transit_p99_ns"), "<=", 150),
    ("voice beside one bulk flow, half load", "p99 ratio", fairness, "<=", 2),
    ("loss at 80 % of saturation", "share", alone("loss"), "<=", 0),
    ("memory of a session at rest", "bytes", alone("all_bytes_per_session"), "<=", 1024),
    (CHURN, "a core", handshakes, ">=", 4000),
    (CHURN, "p99 ratio", ratio("transit_p99_ns"), "<=", 2),
    (KNOWN, "a core", handshakes, ">=", 4000),
    (KNOWN, "p99 ratio", ratio("transit_p99_ns"), "<=", 2),
]


def show(value):
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def doubts(row, side):
    """Of all runs of a side, those that tell of the generator only: '3/5', and why."""
    lines = [r for run in runs[row, side] for r in run["rows"]]
    if not lines:
        return "-", 0.0, collections.Counter()
    why = collections.Counter(r["doubt"] for r in lines if r["doubt"] is not None)
    return f"{why.total()}/{len(lines)}", why.total() / len(lines), why


def verdict(row, result, way, target):
    """'?' where most runs of either side are no result."""
    if result is None:
        return "-"
    if max(doubts(row, side)[1] for side in ("ours", "theirs")) > 0.5:
        return "?"
    return "yes" if (result <= target if way == "<=" else result >= target) else "NO"


HEAD = ("", "measure", "ours", "theirs", "result", "target", "met", "doubtful: ours", "theirs")


def cells():
    for row, unit, measure, way, target in ROWS:
        if not runs[row, "ours"] and not runs[row, "theirs"]:
            continue
        ours, theirs, result = measure(row)
        yield (row, unit, show(ours), show(theirs), show(result), f"{way} {show(target)}",
               verdict(row, result, way, target), doubts(row, "ours")[0],
               doubts(row, "theirs")[0])


def print_plain():
    for c in (HEAD, *cells()):
        print(f"{c[0]:40} {c[1]:9} {c[2]:>9} {c[3]:>9} {c[4]:>8} {c[5]:>9}  {c[6]:4} "
              f"{c[7]:>14} {c[8]:>7}")


def print_markdown():
    for i, c in enumerate((HEAD, *cells())):
        print("| " + " | ".join(c) + " |")
        if i == 0:
            print("|---" * len(HEAD) + "|")


def print_doubts():
    for row in dict.fromkeys(entry[0] for entry in ROWS):
        for side in ("ours", "theirs"):
            for why, count in doubts(row, side)[2].items():
                print(f"doubtful: {row}, {side}, {count}: {why}")


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[2:] not in ([], ["--markdown"]):
        sys.exit(__doc__)
    read(sys.argv[1])
    (print_markdown if len(sys.argv) > 2 else print_plain)()
    print("\nours, theirs: medians (relay ns per delivered packet; ns since a packet left);"
          "\nresult: median of the ratios of runs that took turns, or the thing itself"
          "\n?: most runs of one side are doubtful, and this is no result")
    print_doubts()


main()
