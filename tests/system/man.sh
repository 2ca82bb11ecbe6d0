#!/bin/bash
# The man pages are well formed, and name every command, option and exit code that there is.
. "$(dirname "$0")/lib.sh"

cd "$source_dir" || exit 1
pages=docs/man

# named PAGE NAME: reads words, each of which the page must explain.
named() {
	local page=$1 name=$2 word missing=''
	while read -r word; do
		grep -qE "(Cm|,|Fl|Xo|It) -?${word#--}( |$|,)" "$page" || missing+=" $word"
	done
	if [ -z "$missing" ]; then
		ok "$name"
	else
		not_ok "$name" "not in $page:$missing"
	fi
}

# The first column of a table of commands: { "name", ...
table() {
	grep -oP '^\t\{ "\K/?[a-z-]+(?=")' "$1"
}

exit_codes() {
	sed -n '/^enum clawchat_result/,/^}/p' client/clawchat.h | grep -oP '= \K[0-9]+'
}

check_form() {
	command -v groff >/dev/null || {
		skip form 'needs groff'
		return
	}
	local page
	for page in "$pages"/*; do
		check "$(basename "$page")_is_well_formed" \
			test -z "$(groff -mandoc -Tutf8 -ww "$page" 2>&1 >/dev/null)"
	done
}

check_form
table tools/clawchat.c | named $pages/clawchat.1 commands
table tools/chat_commands.c | named $pages/clawchat.1 commands_of_a_chat
table tools/clawchat_options.c | named $pages/clawchat.1 options
exit_codes | named $pages/clawchat.1 exit_codes
table tools/clawchatctl.c | named $pages/clawchatctl.8 commands_of_clawchatctl
check 'commands are found' test "$(table tools/clawchat.c | wc -l)" -ge 10
check 'exit codes are found' test "$(exit_codes | wc -l)" -ge 15
exit $((failures_ > 0))
