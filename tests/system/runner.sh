#!/bin/bash
# tests/run counts what test programs report, and takes no silence for success.
. "$(dirname "$0")/lib.sh"

tree=$dir/tree
programs=$tree/build/tests/unit
mkdir -p "$tree"/{tests/unit,tests/system,tools} "$programs"
cp "$source_dir/tests/run" "$tree/tests/"
cp "$source_dir/tools/install-deps" "$tree/tools/"

# program NAME BODY: a unit test program, as its output would be.
program() {
	echo '/* Time limit: 1 s */' >"$tree/tests/unit/$1.c"
	printf '#!/bin/sh\n%s\n' "$2" >"$programs/$1"
	chmod +x "$programs/$1"
}

system_test() {
	printf '#!/bin/sh\n%s\n' "$2" >"$tree/tests/system/$1.sh"
	chmod +x "$tree/tests/system/$1.sh"
}

# counts NAME EXPECTED [OPTION...]: the last line of a run, and that its status agrees.
counts() {
	local name=$1 expected=$2 output status wanted=0
	shift 2
	output=$("$tree/tests/run" --no-build "$@" 2>&1)
	status=$?
	[[ $expected == *" 0 failed"* && $expected != "0 passed"*"0 skipped" ]] || wanted=1
	if [ "$(tail -n 1 <<<"$output")" = "$expected" ] && [ $status -eq $wanted ]; then
		ok "$name"
	else
		not_ok "$name" "status $status: $(tail -n 3 <<<"$output" | tr '\n' ' ')"
	fi
}

counts 'nothing ran' '0 passed, 0 failed, 0 skipped'

program test_good 'echo 1..2; echo "ok 1 - a"; echo "ok 2 - b"'
counts 'two good' '2 passed, 0 failed, 0 skipped'
counts 'filtered' '0 passed, 0 failed, 0 skipped' nothing_of_this_name

program test_bad 'echo 1..2; echo "ok 1 - a"; echo "not ok 2 - b"; exit 1'
counts 'a failure' '1 passed, 1 failed, 0 skipped' test_bad
program test_bad 'echo 1..1; echo "ok 1 - a"; exit 3'
counts 'exit status without a failure' '1 passed, 1 failed, 0 skipped' test_bad
program test_bad 'echo 1..2; echo "ok 1 - a"; kill -SEGV $$'
counts 'a crash' '1 passed, 1 failed, 0 skipped' test_bad
program test_bad 'echo 1..1; exec sleep 60'
counts 'a time limit' '0 passed, 1 failed, 0 skipped' test_bad
program test_bad 'echo 1..3; echo "ok 1 - a"'
counts 'tests that do not report' '1 passed, 1 failed, 0 skipped' test_bad
program test_bad 'true'
counts 'no plan' '0 passed, 1 failed, 0 skipped' test_bad
program test_bad 'echo 1..1; echo "not ok 1 # SKIP a"'
counts 'a skip' '0 passed, 0 failed, 1 skipped' test_bad
rm "$programs/test_bad"
counts 'a program that was not built' '2 passed, 1 failed, 0 skipped'
rm "$tree/tests/unit/test_bad.c"

system_test one 'echo "ok a"; echo "skip b: why"'
counts 'system' '1 passed, 0 failed, 1 skipped' --only system
counts 'both kinds' '3 passed, 0 failed, 1 skipped'
system_test one 'echo "ok a"; echo "not ok b: why"; exit 1'
counts 'system failure' '1 passed, 1 failed, 0 skipped' --only system
system_test one 'exit 77'
counts 'system skips all' '0 passed, 0 failed, 1 skipped' --only system
system_test one 'exit 0'
counts 'system reports nothing' '0 passed, 1 failed, 0 skipped' --only system
