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

# A section of a page; the help text from its "exit codes:" on, and before.
section() {
	sed -n "/^.Sh $2/,/^.Sh/p" "$pages/$1"
}
help_codes() {
	"$1" --help | sed -n '/^exit codes:/,$p'
}

# --network.engine=epoll is an example.
help_options() {
	"$1" --help | grep -oP '(?<=[ ,|[])--[a-z-]+(?![a-z.-])' | sort -u
}
page_options() {
	grep -oP '(?<=Fl )-[a-z-]+|(?<=[|] )-[a-z-]+' | sed 's/^/-/' | sort -u
}

# Both tell of the same exit codes and options (help has --message by its short name).
check_help() {
	local program=$1 page=$2
	check "exit_codes_of_${program}_and_its_page" diff \
		<(help_codes "$program" | grep -oP '(^|[:,] *|^ +)\K[0-9]+(?= [a-z])' | sort -u) \
		<(section "$page" 'EXIT STATUS' | grep -oP '^.It \K[0-9]+$' | sort -u)
	check "help_of_${program}_names_what_its_page_lists" test -z \
		"$(comm -13 <(help_options "$program") \
			<(grep '^\.It ' "$pages/$page" | page_options | grep -vx -e --message))"
	check "page_of_${program}_names_what_its_help_does" test -z \
		"$(comm -23 <(help_options "$program") <(page_options <"$pages/$page"))"
}

check_signals() {
	check signals_of_clawchatd_and_its_page diff \
		<(clawchatd --help | sed -n '/^signals:/,/^exit/p' |
			grep -oP '\b[A-Z]+[0-9]?\b' | sort) \
		<(section clawchatd.8 SIGNALS | grep '^.It' | grep -oP '\b[A-Z]+[0-9]?\b' | sort)
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
need_programs clawchat clawchatctl clawchatd
check_help clawchat clawchat.1
check_help clawchatctl clawchatctl.8
check_help clawchatd clawchatd.8
check_signals
check 'commands are found' test "$(table tools/clawchat.c | wc -l)" -ge 10
check 'exit codes are found' test "$(exit_codes | wc -l)" -ge 15
exit $((failures_ > 0))
