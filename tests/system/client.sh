#!/bin/bash
# clawchat and clawchatd as they are, on loopback: every way in which a security file can be bad,
# messages and files both ways, an interrupted file, two terminals, the shared library.
# Time limit: 500 s
. "$(dirname "$0")/lib.sh"

need_programs clawchat clawchatd clawchatctl example-echo
state=$dir/state
file=$state/files/clawchat-current.sec
key=$state/bootstrap.key
unset CLAWCHAT_BOOTSTRAP_KEY CLAWCHAT_PROFILE
RESUMED_MIB=192
DAY_S=86400

# expect NAME CODE TEXT COMMAND...: TEXT is in what was printed.
expect() {
	local name=$1 expected=$2 text=$3 code
	shift 3
	[ "$1" != as ] || set -- clawchat "${@:3}" --profile "$dir/$2"
	timeout 60 "$@" >"$dir/out" 2>&1 </dev/null
	code=$?
	if [ $code -eq "$expected" ] && grep -qF -e "$text" "$dir/out"; then
		ok "$name"
	else
		not_ok "$name" "exit code $code: $(tail -c 600 "$dir/out" | tr '\n' '|')"
	fi
}

as() {
	local name=$1
	shift
	clawchat "$@" --profile "$dir/$name"
}

start_relay() {
	start relay clawchatd --server.name=test --server.state_dir="$state" \
		--server.public_ip=127.0.0.1 --network.listen=127.0.0.1 --network.listen6=none \
		--network.workers=1 --security.file_max_devices=3 --log.level=debug
	relay=$pid
	wait_until 20 clawchatctl -s "$state/clawchatd.sock" status ||
		{ not_ok relay_starts 'no answer' && exit 1; }
	ok relay_starts
	# The relay replaces its current file now and then; devices are counted for each.
	cp "$file" "$dir/first.sec"
}

# --- security files ---------------------------------------------------------------------

# damage NAME COMMAND...: $dir/NAME.sec is what the command makes of the good file; mode 0600.
damage() {
	local name=$1
	shift
	"$@" <"$file" >"$dir/$name.sec"
	chmod 600 "$dir/$name.sec"
}

# One character in the middle becomes another one of base64.
flip() {
	python3 -c 'import sys
text = bytearray(sys.stdin.buffer.read())
at = text.rindex(b"\"") // 2 + len(text) // 4
text[at] = ord("A") if text[at] != ord("A") else ord("B")
sys.stdout.buffer.write(text)'
}

check_good_file() {
	expect open_says_what_it_holds 0 '127.0.0.1' clawchat open "$file" -k "$key"
	expect open_takes_the_key_beside 0 'valid' clawchat open "$file"
	expect open_takes_the_key_of_the_environment 0 'valid' \
		env CLAWCHAT_BOOTSTRAP_KEY="$key" clawchat open "$file"
	expect open_json 0 '"status":"valid"' clawchat open "$file" -k "$key" --json
}

check_bad_files() {
	cp "$key" "$state/files/bootstrap.key" && check_good_file
	rm "$state/files/bootstrap.key"
	damage cut head -c 700
	damage empty true
	damage text echo 'not a security file'
	damage large head -c 3000000 /dev/zero
	expect file_missing 74 'no such file' clawchat open "$dir/none.sec" -k "$key"
	expect file_cut 14 'cut.sec' clawchat open "$dir/cut.sec" -k "$key"
	expect file_empty 14 'empty.sec' clawchat open "$dir/empty.sec" -k "$key"
	expect file_is_text 14 'text.sec' clawchat open "$dir/text.sec" -k "$key"
	expect file_too_large 14 'large.sec' clawchat open "$dir/large.sec" -k "$key"
	if command -v python3 >/dev/null; then
		damage flipped flip
		expect file_changed 14 'damaged' clawchat open "$dir/flipped.sec" -k "$key"
	fi
}

check_keys() {
	clawchat keygen "$dir/other.key" >/dev/null
	check keygen_is_private test "$(stat -c %a "$dir/other.key")" = 600
	expect keygen_replaces_nothing 74 'other.key' clawchat keygen "$dir/other.key"
	expect key_wrong 12 'current.sec' clawchat open "$file" -k "$dir/other.key"
	expect key_missing 12 'no such file' clawchat open "$file" -k "$dir/none.key"
	expect key_not_beside 12 'bootstrap-key-file' clawchat open "$file"
	echo short >"$dir/short.key" && chmod 600 "$dir/short.key"
	expect key_is_no_key 12 'not a key' clawchat open "$file" -k "$dir/short.key"
	expect passphrase_wrong 12 'current.sec' clawchat open "$file" --passphrase-fd 3 3<<<guess
}

check_permissions() {
	install -m 644 "$key" "$dir/readable.key"
	install -m 644 "$file" "$dir/readable.sec"
	ln -s "$file" "$dir/link.sec"
	expect key_readable_by_others 77 'chmod' clawchat open "$file" -k "$dir/readable.key"
	expect file_readable_by_others 77 'chmod' clawchat open "$dir/readable.sec" -k "$key"
	expect file_is_link 77 'link.sec' clawchat open "$dir/link.sec" -k "$key"
	expect file_is_folder 14 'cannot be one' clawchat open "$dir" -k "$key"
}

check_clock() {
	command -v cc >/dev/null || {
		skip clock 'needs a compiler'
		return
	}
	cc -shared -fPIC -D_GNU_SOURCE -o "$dir/shift.so" "$source_dir/tests/fake/clock_shift.c"
	local at=(env "LD_PRELOAD=$dir/shift.so" ASAN_OPTIONS=verify_asan_link_order=0)
	expect file_expired 11 'expired' "${at[@]}" CLOCK_SHIFT_S=$DAY_S \
		clawchat open "$file" -k "$key"
	expect file_expired_is_shown 11 '127.0.0.1' "${at[@]}" CLOCK_SHIFT_S=$DAY_S \
		clawchat open "$file" -k "$key"
	expect file_expired_is_not_loaded 11 'expired' "${at[@]}" CLOCK_SHIFT_S=$DAY_S \
		clawchat load "$file" -k "$key" -p "$dir/late"
	expect file_from_the_future 15 'clock' "${at[@]}" CLOCK_SHIFT_S=-$DAY_S \
		clawchat open "$file" -k "$key"
	expect clock_a_little_off 0 'valid' "${at[@]}" CLOCK_SHIFT_S=-200 \
		clawchat open "$file" -k "$key"
}

# --- profiles ---------------------------------------------------------------------------

check_profiles() {
	local name
	expect no_relay_yet 78 'no relay yet' as nobody status
	for name in alice bob; do
		expect "${name}_loads" 0 "called $name" \
			as $name load "$dir/first.sec" -k "$key" --name $name
		expect "${name}_connects" 0 'connected' as $name status
	done
	expect load_and_connect 0 'connected' \
		as echo status --file "$dir/first.sec" -k "$key" --name echo
	# alice, bob and echo are the three that the file may enrol.
	expect file_spent 17 'as many devices' as carol status --file "$dir/first.sec" -k "$key"
	start holder clawchat receive --profile "$dir/alice" --timeout 60
	local holder=$pid
	wait_until 10 grep -q connected "$dir/holder.log"
	expect profile_in_use 69 'in use' as alice peers
	stop "$holder" INT
	check receive_ends_by_interrupt test $? -eq 0
}

# --- messages and files -----------------------------------------------------------------

# listen NAME OPTION...: in the background; its output is in $dir/NAME.log.
listen() {
	local name=$1
	shift
	start "$name" clawchat receive --profile "$dir/$name" --timeout 30 --count 1 "$@"
	listener=$pid
}

heard() {
	wait "$listener"
	local code=$?
	if [ $code -eq 0 ] && grep -qF -e "$3" "$dir/$2.log"; then
		ok "$1"
	else
		not_ok "$1" "exit code $code: $(tail -c 600 "$dir/$2.log" | tr '\n' '|')"
	fi
}

check_messages() {
	listen bob
	expect alice_writes 0 'delivered' as alice send bob -m 'Grüße, Bob'
	heard bob_reads bob 'alice: Grüße, Bob'
	listen alice --json
	expect bob_writes 0 '"delivery":"delivered"' as bob send alice -m 'to you' --json
	heard alice_reads alice '"text":"to you"'
	expect message_is_not_utf8 2 'not UTF-8' as alice send bob -m $'caf\xe9'
	expect peer_away 18 'not connected within 2 s' as alice send bob -m hi -t 2
	expect peer_unknown 18 'nobody called' as alice send carol -m hi -t 2
	expect peers_are_known 0 'bob' as alice peers
	expect peer_verified 0 'is verified' as alice verify bob --accept
	expect verify_shows_the_number_to_a_script 1 '"safety_number"' as bob verify alice --json
	check safety_numbers_agree cmp <(as alice fingerprint bob | tail -n 3) \
		<(as bob fingerprint alice | tail -n 3)
}

# Whoever reads a message and leaves at once has told its writer.
check_last_receipt() {
	local chat
	mkfifo "$dir/words"
	sleep 60 >"$dir/words" &
	on_exit kill $!
	start writer bash -c 'exec clawchat chat bob --profile "$1" --json <"$2"' - \
		"$dir/alice" "$dir/words"
	chat=$pid
	for word in one two three; do
		listen bob
		echo "$word" >"$dir/words"
		heard "bob_reads_${word}_and_leaves" bob "alice: $word"
	done
	check alice_is_told_of_each wait_until 5 read_count 3
	stop "$chat" KILL
}

read_count() {
	[ "$(grep -c '"read"' "$dir/writer.log")" -eq "$1" ]
}

check_files() {
	head -c 8M /dev/urandom >"$dir/random.bin"
	mkdir "$dir/inbox"
	listen bob --accept --into "$dir/inbox"
	expect alice_sends_file 0 'sent and verified' as alice send bob "$dir/random.bin"
	heard bob_gets_file bob 'received:'
	check file_is_the_same cmp "$dir/random.bin" "$dir/inbox/random.bin"
	start bob clawchat receive --profile "$dir/bob" --timeout 15
	listener=$pid
	expect file_refused 21 'random.bin' as alice send bob "$dir/random.bin"
	stop "$listener" INT
	mkdir "$dir/gone"
	start bob clawchat receive --profile "$dir/bob" --accept --into "$dir/gone" --timeout 15
	listener=$pid
	wait_until 10 grep -q connected "$dir/bob.log"
	rmdir "$dir/gone"
	expect file_without_a_place 21 'cannot be stored there' as alice send bob "$dir/random.bin"
	stop "$listener" INT
}

part_has_begun() {
	[ "$(du -sm "$dir/inbox" | cut -f 1)" -ge 8 ]
}

# Goal:   what has arrived before an interruption is not sent again.
# Method: interrupt the receiver when some of it is there, then send the same file again.
check_resume() {
	rm -f "$dir/inbox"/*
	head -c ${RESUMED_MIB}M /dev/urandom >"$dir/long.bin"
	listen bob --accept --into "$dir/inbox"
	start sender clawchat send bob "$dir/long.bin" --profile "$dir/alice" --timeout 5
	local sender=$pid
	wait_until 20 part_has_begun
	stop "$listener" INT
	check receiver_says_it_was_interrupted test $? -eq 130
	wait "$sender"
	check sender_says_it_was_not_sent test $? -ne 0
	listen bob --accept --into "$dir/inbox"
	expect file_sent_again 0 'sent and verified' as alice send bob "$dir/long.bin"
	heard file_resumed bob 'were there before'
	check resumed_file_is_the_same cmp "$dir/long.bin" "$dir/inbox/long.bin"
	rm "$dir/long.bin" "$dir/inbox/long.bin"
}

check_pipe() {
	start bob clawchat receive --profile "$dir/bob" --timeout 20 --count 200
	listener=$pid
	seq 200 >"$dir/numbers"
	as alice chat bob <"$dir/numbers" >"$dir/out" 2>&1
	check pipe_delivers test $? -eq 0
	heard pipe_is_read bob 'alice: 200'
	check pipe_keeps_the_order cmp "$dir/numbers" <(sed -n 's/^alice: //p' "$dir/bob.log")
}

# --- two terminals ----------------------------------------------------------------------

terminal() {
	TMUX='' TMUX_TMPDIR=$dir tmux -L chat "$@"
}

expect_shown() {
	local name=$1 who=$2 text=$3
	if wait_until 20 shown "$who" "$text"; then
		ok "$name"
	else
		not_ok "$name" "$(terminal capture-pane -p -t "$who" | grep -v '^$' | tr '\n' '|')"
	fi
}

shown() {
	terminal capture-pane -p -t "$1" | grep -qF -e "$2"
}

type_in() {
	terminal send-keys -t "$1" -l "$2"
	terminal send-keys -t "$1" Enter
}

check_terminals() {
	command -v tmux >/dev/null || {
		skip terminals 'needs tmux'
		return
	}
	on_exit terminal kill-server
	terminal new-session -d -s bob -x 100 -y 40 "'$build/tools/clawchat' chat alice \
		--profile '$dir/bob' --into '$dir/inbox'; echo code \$?; cat"
	terminal new-session -d -s alice -x 100 -y 40 "'$build/tools/clawchat' chat bob \
		--profile '$dir/alice'; echo code \$?; cat"
	expect_shown bob_is_in_the_chat bob 'alice>'
	expect_shown alice_is_in_the_chat alice 'bob>'
	type_in alice 'hello from a terminal'
	expect_shown bob_sees_it bob 'alice: hello from a terminal'
	expect_shown alice_sees_that_it_was_read alice 'bob [read]>'
	type_in bob '/status'
	expect_shown bob_sees_the_path bob 'relayed'
	type_in alice "/file $dir/numbers"
	expect_shown bob_is_offered_a_file bob 'offers numbers'
	type_in bob '/accept'
	expect_shown alice_sees_it_sent alice 'sent and verified: '
	check chat_file_is_the_same cmp "$dir/numbers" "$dir/inbox/numbers"
	type_in bob '/quit'
	expect_shown bob_has_ended bob 'code 0'
	terminal send-keys -t alice C-d
	expect_shown alice_has_ended alice 'code 0'
}

# --- the library ------------------------------------------------------------------------

check_library() {
	check exports_are_those_of_the_header cmp \
		<(nm -D --defined-only "$build/tools/libclawchat.so" |
			sed -n 's/.* T \(.*\)@@.*/\1/p') \
		<(grep -oP 'CLAWCHAT_API [^(]*?\**\Kclawchat_[a-z_0-9]+(?=\()' \
			"$source_dir/client/clawchat.h" | LC_ALL=C sort)
	start echo example-echo "$dir/echo"
	local echo=$pid
	wait_until 10 grep -q 'connected as echo' "$dir/echo.log"
	(echo 'is there an echo?' && wait_until 10 grep -q 'echo: is there' "$dir/out") |
		as alice chat echo >"$dir/out" 2>&1
	check example_echoes grep -q '^echo: is there an echo?' "$dir/out"
	stop "$echo"
}

check_installation() {
	command -v cc >/dev/null || {
		skip installation 'needs a compiler'
		return
	}
	check installs cmake --install "$build" --prefix "$dir/prefix"
	check installs_man_pages test -s "$dir/prefix/share/man/man1/clawchat.1"
	local pc
	pc=$(dirname "$(find "$dir/prefix" -name clawchat.pc)")
	# shellcheck disable=SC2046 # several flags
	check example_builds_against_it cc -o "$dir/echo.program" \
		"$source_dir/tools/example_echo.c" \
		$(PKG_CONFIG_PATH=$pc pkg-config --define-variable=prefix="$dir/prefix" \
			--cflags --libs clawchat)
	check example_runs_against_it env LD_LIBRARY_PATH="$(dirname "$pc")" \
		bash -c "'$dir/echo.program'; [ \$? -eq 2 ]"
}

# --- the relay --------------------------------------------------------------------------

check_relay_end() {
	stop "$relay"
	expect relay_away 13 'no answer within 2 s' as alice status -t 2
}

start_relay
check_bad_files
check_keys
check_permissions
check_clock
check_profiles
check_messages
check_last_receipt
check_files
check_resume
check_pipe
check_terminals
check_library
check_installation
check_relay_end
