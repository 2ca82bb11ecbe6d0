#!/bin/bash
# clawchat without a relay: exit codes, texts, JSON, pipes and the chat on a terminal, on a client
# that does what each case wishes for (tests/fake/clawchat.c).
# Time limit: 500 s
. "$(dirname "$0")/lib.sh"

fake=$build/tests/fake/clawchat-fake
[ -x "$fake" ] || skip_all "needs $fake"
printf 'content\n' >"$dir/file"
mkdir "$dir/folder"

# run WISHES ARGUMENT...: sets $code, and the output in $dir/out and $dir/err.
run() {
	local wishes=$1
	shift
	CLAWCHAT_FAKE=$wishes timeout 20 "$fake" "$@" >"$dir/out" 2>"$dir/err"
	code=$?
}

# expect NAME CODE TEXT WISHES ARGUMENT...: TEXT is in what was printed; errors are one line.
expect() {
	local name=$1 expected=$2 text=$3
	shift 3
	run "$@" </dev/null
	if [ $code -ne "$expected" ]; then
		not_ok "$name" "exit code $code: $(cat "$dir/out" "$dir/err" | tr '\n' '|')"
	elif ! grep -qF -e "$text" "$dir/out" "$dir/err"; then
		not_ok "$name" "nothing of '$text': $(cat "$dir/out" "$dir/err" | tr '\n' '|')"
	elif [ $code -ne 0 ] && [ "$(grep -c '^clawchat: ' "$dir/err")" -ne 1 ]; then
		not_ok "$name" "not one line of error: $(tr '\n' '|' <"$dir/err")"
	else
		ok "$name"
	fi
}

usage_cases() {
	expect no_command 2 'a command is missing' ''
	expect unknown_command 2 "no command 'tell'" '' tell
	expect unknown_option 2 '--jsno: no such option' '' peers --jsno
	expect option_of_another_command 2 'peers takes no --into' '' peers --into x
	expect argument_missing 2 'usage: clawchat open FILE' '' open
	expect argument_surplus 2 'usage: clawchat status' '' status now
	expect nothing_to_send 2 'nothing to send' '' send bob
	expect help 0 'exit codes:' '' --help
	expect help_as_a_command 0 'exit codes:' '' help
	expect version 0 'clawchat 0.0.0-fake' '' --version
}

library_cases() {
	local result
	for result in 1 10 11 12 14 15 16 17 69 74 77 78; do
		expect "open_result_$result" "$result" 'as was wished' "inspect=$result" open f
		expect "load_result_$result" "$result" 'as was wished' "load=$result" load f
	done
	expect expired_file_is_shown 11 'expired' inspect=11 open f
	expect profile_in_use 69 'open: as was wished' open=69 peers
	expect no_relay_yet 78 'connect: as was wished' connect=78 peers
	expect refused_for_good 10 'relay: refused' ended=10 send bob -m hi
	expect relay_silent 13 'no answer within 1 s' silent status -t 1
	expect key_made 0 'a new bootstrap key' '' keygen k
	expect file_loaded 0 'is loaded' '' load f
	expect wrong_passphrase 12 'wrong passphrase' '' load f --passphrase-fd 3 3<<<wrong
	expect right_passphrase 0 'is loaded' '' load f --passphrase-fd 3 3<<<right
	expect empty_passphrase 2 'it is empty' '' load f --passphrase-fd 3 3<<<''
	expect closed_passphrase 2 'Bad file descriptor' '' load f --passphrase-fd 99
}

send_cases() {
	expect message_delivered 0 'message to bob: delivered' '' send bob -m hi
	expect peer_away 18 'not connected within 1 s' away send bob -m hi -t 1
	expect peer_unknown 18 'nobody of that name is connected' '' send carol -m hi -t 1
	expect peer_ambiguous 19 'use an id' several send bob -m hi
	expect peer_changed 20 'shows another key' changed send bob -m hi
	expect send_refused 1 'send_text: as was wished' send_text=1 send bob -m hi
	expect file_sent 0 'sent and verified: sent.bin (10.0 MiB' '' send bob "$dir/file"
	expect file_refused 21 'does not want it' refused send bob "$dir/file"
	expect file_missing 74 'No such file' '' send bob "$dir/none"
	expect file_is_folder 2 'not a regular file' '' send bob "$dir/folder"
	expect file_to_absent 18 'not connected' away send bob "$dir/file" -t 1
	expect message_empty 2 'it is empty' '' send bob -m -
}

receive_cases() {
	expect message_received 0 'hello' hello receive --count 1
	expect file_accepted 0 'received: /tmp/photo.jpg' offers=1 receive --count 1 --accept
	expect two_files_accepted 0 'received:' offers=2 receive --count 2 --accept
	expect nobody_to_ask 1 'there is no terminal to ask on' offers=1 receive --count 1 -t 1
	expect nothing_came 1 '0 of 1 came within 1 s' '' receive -t 1
	expect not_enough_came 1 '1 of 2 came within 1 s' hello receive -t 1 --count 2
	expect file_stopped 1 'not complete within 1 s' 'offers=1 stops' receive --accept -t 1
	expect folder_missing 74 'No such file' '' receive --into "$dir/none"
	expect folder_is_file 74 'Not a directory' '' receive --into "$dir/file"
}

identity_cases() {
	expect own_id 0 'aaaaaaaaaaaa' '' fingerprint
	expect safety_number 0 '01234 56789 01234 56789' '' fingerprint bob
	expect safety_number_of_stranger 19 'has been met' '' fingerprint carol
	expect verify_asks 1 'no terminal to ask on' '' verify bob
	expect verify_accepts 0 'bob is verified' '' verify bob --accept
	expect compromised_asks 2 'no terminal to ask on' '' compromised
	expect compromised_erases 0 'the profile erased' '' compromised stolen --accept
	expect verify_forgets 0 'is forgotten' '' verify bob --forget
}

# What others write neither moves the cursor nor forges a line.
check_sanitised() {
	run hello receive --count 1
	if grep -q "$(printf '\033')" "$dir/out"; then
		not_ok sanitised 'an escape character came through'
	elif grep -q '^bob: second line' "$dir/out"; then
		not_ok sanitised 'a second line looks like a message'
	else
		ok sanitised
	fi
}

is_json_lines() {
	python3 -c 'import json, sys
for line in open(sys.argv[1]):
    json.loads(line)' "$1"
}

check_json() {
	command -v python3 >/dev/null || {
		skip json 'needs python3'
		return
	}
	local words
	for words in 'peers' 'status' 'fingerprint bob' 'open f' 'load f' 'keygen k' \
		'send bob -m hi' 'send carol -m hi -t 1' 'receive --count 1' \
		'verify bob --accept'; do
		# shellcheck disable=SC2086
		run 'hello echoes' --json $words </dev/null
		check "json_${words// /_}" is_json_lines "$dir/out"
	done
	run inspect=12 --json open f
	check json_error grep -q '"exit":12' "$dir/out"
}

check_pipe() {
	printf 'one\n\ntwo\nthree' >"$dir/lines"
	run echoes chat bob <"$dir/lines"
	if [ $code -eq 0 ] && [ "$(grep -c '^bob: ' "$dir/out")" -eq 3 ]; then
		ok pipe
	else
		not_ok pipe "exit code $code: $(tr '\n' '|' <"$dir/out")"
	fi
	printf 'one\ntwo\n' >"$dir/lines"
	run away chat bob -t 1 <"$dir/lines"
	if [ $code -eq 18 ] && [ "$(grep -c 'not delivered (queued)' "$dir/err")" -eq 2 ]; then
		ok pipe_to_absent
	else
		not_ok pipe_to_absent "exit code $code: $(tr '\n' '|' <"$dir/err")"
	fi
	{
		head -c 70000 /dev/zero | tr '\0' x
		echo
		echo fine
	} >"$dir/lines"
	run echoes chat bob <"$dir/lines"
	if [ $code -eq 1 ] && grep -q '^bob: fine' "$dir/out"; then
		ok pipe_with_a_line_too_long
	else
		not_ok pipe_with_a_line_too_long "exit code $code: $(cut -c 1-80 "$dir/out")"
	fi
}

# Goal:   who hears nothing is not told that all is well, and acknowledges nothing more.
# Method: a full disk behind stdout, once where the result is all, once where more would come.
check_lost_output() {
	CLAWCHAT_FAKE='' timeout 20 "$fake" peers >/dev/full 2>"$dir/err"
	code=$?
	check output_to_a_full_disk test $code -eq 74
	check output_to_a_full_disk_is_told grep -q 'standard output' "$dir/err"
	CLAWCHAT_FAKE='hello' timeout 20 "$fake" receive --count 9 -t 9 >/dev/full 2>"$dir/err"
	code=$?
	check message_to_a_full_disk_ends_it test $code -eq 74
}

check_interrupt() {
	CLAWCHAT_FAKE=away "$fake" send bob -m hi >"$dir/out" 2>&1 &
	local sender=$!
	wait_until 5 grep -q connected "$dir/out"
	kill -INT $sender
	wait $sender
	code=$?
	check interrupt test $code -eq 130
}

# --- the chat on a terminal -------------------------------------------------------------

terminal() {
	TMUX='' TMUX_TMPDIR=$dir tmux -L chat "$@"
}

shown() {
	terminal capture-pane -p | grep -qF -e "$1"
}

expect_shown() {
	if wait_until 5 shown "$2"; then
		ok "$1"
	else
		not_ok "$1" "$(terminal capture-pane -p | grep -v '^$' | tr '\n' '|')"
	fi
}

check_terminal() {
	command -v tmux >/dev/null || {
		skip terminal 'needs tmux'
		return
	}
	on_exit terminal kill-server
	terminal new-session -d -x 100 -y 50 "env CLAWCHAT_FAKE='echoes hello offers=1' '$fake' \
		chat bob; echo code \$?; cat"
	expect_shown terminal_greets 'bob: hello'
	expect_shown terminal_prompts 'bob>'
	terminal send-keys -l 'what I say'
	terminal send-keys Enter
	expect_shown terminal_keeps_own_line 'you: what I say'
	expect_shown terminal_shows_answer 'bob: what I say'
	expect_shown terminal_shows_delivery 'bob [read]>'
	terminal send-keys '/acc' Tab Enter
	expect_shown terminal_takes_file 'received: /tmp/photo.jpg'
	terminal send-keys -l '/verify yes'
	terminal send-keys Enter
	expect_shown terminal_verifies 'verified'
	terminal send-keys -l '/nonsense'
	terminal send-keys Enter
	expect_shown terminal_refuses_nonsense 'no command /nonsense'
	terminal send-keys -l 'half a line'
	terminal send-keys C-c
	expect_shown terminal_ends 'code 0'
}

usage_cases
library_cases
send_cases
receive_cases
identity_cases
check_sanitised
check_json
check_pipe
check_lost_output
check_interrupt
check_terminal
