#!/bin/bash
# The README's first command, twice in a row and without a terminal: it ends well, says that both
# files are the same, and leaves no process and no folder.
# Time limit: 500 s
. "$(dirname "$0")/lib.sh"

need_programs cmake ninja
export TMPDIR=$dir/tmp
mkdir "$TMPDIR"

for round in first second; do
	if timeout 140 "$source_dir/tools/quickstart" --build-dir "$build" \
		</dev/null >"$dir/$round.log" 2>&1; then
		ok "${round}_run_ends_well"
	else
		not_ok "${round}_run_ends_well" "$(tail -c 500 "$dir/$round.log" | tr '\n' '|')"
	fi
	check "${round}_run_compares_the_files" grep -q 'says the same of both' "$dir/$round.log"
	check "${round}_run_leaves_nothing" test -z "$(ls "$TMPDIR")"
	check "${round}_run_leaves_no_process" test -z "$(pgrep -f "$TMPDIR/")"
done
exit $((failures_ > 0))
