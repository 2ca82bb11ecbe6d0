#!/bin/bash
# What README and docs/ name exists: links, files, tests, log events, counters, commands.
. "$(dirname "$0")/lib.sh"
cd "$source_dir" || exit 1

pages=(README.md docs/*.md)
operations=docs/operations.md

# A page as one line, so that a name may be broken over two.
flat() {
	tr -s ' \n' '  ' <"$1"
}

# none NAME: fails with what it reads; nothing is a pass.
none() {
	local offences
	offences=$(sort -u)
	if [ -z "$offences" ]; then
		ok "$1"
	else
		not_ok "$1" "$(head -n 20 <<<"$offences" | tr '\n' ';')"
	fi
}

broken_links() {
	local page target
	for page in "${pages[@]}"; do
		grep -oP '\]\(\K[^)#:]+(?=[)#])' "$page" | while read -r target; do
			[ -e "$(dirname "$page")/$target" ] || echo "$page: $target"
		done
	done
}

# `folder/name`, `folder/name*` and `folder/name N` in backticks, of folders of ours.
missing_files() {
	local page name
	local folders='crypto|core|net|relay|client|tools|bench|tests|packaging|docs'
	for page in "${pages[@]}"; do
		grep -oP "\`\\K($folders)/[^\`,: ]*" "$page" | while read -r name; do
			compgen -G "${name%/}" >/dev/null || compgen -G "$name.c" >/dev/null ||
				echo "$page: $name"
		done
	done
}

# `test_x.c: one, two` and `test_x.c`: `one`, with or without a folder.
named_tests() {
	flat "$1" | grep -oP '`(tests/\w+/)?\Ktest_\w+\.c`?: `?[a-z0-9_]+(, [a-z0-9_]+)*' |
		tr -d '`,' | while read -r file names; do
		for name in $names; do
			echo "${file%:} $name"
		done
	done
}

missing_tests() {
	local page file name
	for page in "${pages[@]}"; do
		named_tests "$page" | while read -r file name; do
			grep -qswF "$name" tests/unit/"$file" tests/scenario/"$file" ||
				echo "$page: $file: $name"
		done
	done
}

# State machines: each state is a constant of the code, each function one that exists.
machines() {
	sed -n '/^## 11/,$p' docs/protocol.md
}

missing_states() {
	local prefixes='ENTRY|CHANNEL|ENROL|ENROLMENT|PHASE|CALL|ANSWER|SESSION|LINK'
	local frames='ENROL_(OFFER|CONFIRM|DONE)'
	machines | grep -oE "\b($prefixes)_[A-Z]+\b" | grep -vxE "$frames" | sort -u |
		while read -r name; do
			grep -rqwF "$name" core relay client --include='*.h' || echo "$name"
		done
}

missing_functions() {
	machines | grep -oP '`\K[a-z_0-9]+(?=\(\)`)' | sort -u | while read -r name; do
		grep -rqE "^[a-z].*\b$name\(" core relay client --include='*.c' || echo "$name"
	done
}

# Names that the code has and the page has not; reads the names.
untold() {
	local name
	while read -r name; do
		grep -qE "\`${name}[ \`]" "$operations" || echo "$name"
	done
}

log_events() {
	cat relay/*.c tools/*.c | tr -s '\n\t ' ' ' |
		grep -oP '(log_event|write_line)\([^;]*?LOG_LEVEL_[^;]*?;' |
		grep -oP '(LOG_LEVEL_\w+, |[?:] )"\K[a-z_]+(?=")'
}

counters() {
	grep -oP '^\s*X\(PKT_\w+, "\K\w+' core/verdict.h
	sed -n '/define ENGINE_COUNTERS/,/^$/p' net/engine.h | grep -oP '^\s*X\(\K\w+'
	grep -oP 'put\(object, "\K\w+(?=", (k->|[a-z_]+\)|keeper_thread|s->))' \
		relay/server_commands.c
}

commands() {
	grep -oP '^\t\{ "\K[a-z-]+(?=", ")' tools/clawchatctl.c
}

many() {
	[ "$("$1" | wc -l)" -ge "$2" ]
}

broken_links | none 'links lead somewhere'
missing_files | none 'files that are named exist'
missing_tests | none 'tests that are named exist'
check 'tests are named' test "$(named_tests docs/security.md | wc -l)" -ge 40
missing_states | none 'states of the machines exist'
missing_functions | none 'functions of the machines exist'
check 'machines are found' many machines 150
log_events | untold | none 'every log event is described'
check 'log events are found' many log_events 20
counters | untold | none 'every counter is described'
check 'counters are found' many counters 50
commands | untold | none 'every command of clawchatctl is described'
check 'commands are found' many commands 5
exit $((failures_ > 0))
