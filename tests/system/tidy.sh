#!/bin/bash
# tests/tidy finds each kind of offence, and lets its neighbour through.
. "$(dirname "$0")/lib.sh"

need_programs git awk

tree=$dir/tree
mkdir -p "$tree"/{crypto,core,net,relay,tools,tests/unit,tests/fuzz}
cp "$source_dir"/tests/tidy{,.awk} "$tree/tests/"
sed -i 's/^FORMAT_IS_ENFORCED=.*/FORMAT_IS_ENFORCED=no/' "$tree/tests/tidy"
git -C "$tree" init -q

# Plants standard input as FILE, runs tidy, takes it away; prints the checks that failed.
failures_with() {
	local file=$tree/$1
	mkdir -p "$(dirname "$file")"
	cat >"$file"
	"$tree/tests/tidy" | sed -n 's/^FAILED  \([a-z]*\) .*/\1/p' | tr '\n' ' '
	rm "$file"
}

# refuses CHECK FILE TEXT; accepts FILE TEXT. printf understands TEXT's \n and \t.
refuses() {
	local found
	# shellcheck disable=SC2059
	found=$(printf "$3" | failures_with "$2")
	if [ "$found" = "$1 " ]; then
		ok "$1 refuses $2: ${3:0:50}"
	else
		not_ok "$1 refuses $2: ${3:0:50}" "failed: $found"
	fi
}

accepts() {
	local found
	# shellcheck disable=SC2059
	found=$(printf "$2" | failures_with "$1")
	if [ -z "$found" ]; then
		ok "accepts $1: ${2:0:50}"
	else
		not_ok "accepts $1: ${2:0:50}" "failed: $found"
	fi
}

# lines COUNT: that many statements.
lines() {
	local text
	printf -v text '%*s' "$1" ''
	echo "${text// /\\tcount++;\\n}"
}

accepts crypto/a.c '#include <openssl/evp.h>\n'
refuses layering core/a.c '#include <openssl/evp.h>\n'
refuses layering core/a.c '#include "net/engine.h"\n'
refuses layering net/a.c '#include "relay/worker.h"\n'
refuses layering core/a.c '#include "a.h"\n'
refuses layering core/a.c '#  include <sys/socket.h>\n'
accepts relay/a.c '#include "net/engine.h"\n#include <sys/socket.h>\n'

refuses calls net/a.c 'static void f(void)\n{\n\tstrcpy(a, b);\n}\n'
accepts net/a.c '/* strcpy(a, b) */\nstatic const char *t = "volatile /* strcpy(";\n'
refuses calls net/a.c 'char q = \x27"\x27; volatile int v;\n'
refuses calls tests/unit/a.c 'static void f(void)\n{\n\tusleep(5);\n}\n'
refuses calls core/a.c 'static bool f(void)\n{\n\treturn memcmp(tag, b, 16) == 0;\n}\n'
accepts core/a.c 'static bool f(void)\n{\n\treturn bytes_equal(tag, b, 16);\n}\n'
refuses calls relay/a.c 'static void f(void)\n{\n\tprintf("x");\n}\n'
accepts tools/a.c 'static void f(void)\n{\n\tprintf("x");\n}\n'

accepts net/a.c "static void f(void)\\n{\\n$(lines 68)}\\n"
refuses functions net/a.c "static void f(void)\\n{\\n$(lines 69)}\\n"
accepts net/a.h '#pragma once\nint f(int a, int b, int c, int d, void (*e)(int, int));\n'
refuses parameters net/a.h '#pragma once\nint f(int a, int b, int c,\n\t  int d, int e, int g);\n'
accepts crypto/a.h '#pragma once\nint f(int a, int b, int c, int d, int e, int g);\n'
refuses headers net/a.h '#ifndef A_H\n#endif\n'
refuses files net/a.c "$(printf 'int a;\\n%.0s' {1..601})"
accepts net/a.c "$(printf 'int a;\\n%.0s' {1..600})"

accepts net/a.c "\\t/* $(printf 'x%.0s' {1..86}) */\\n"
refuses columns net/a.c "\\t/* $(printf 'x%.0s' {1..87}) */\\n"
refuses blanks docs/a.md 'text \n'
refuses blanks docs/a.md 'no newline'
refuses words docs/a.md "/* TO""DO: more */\\n"
refuses words docs/a.md "see /wor""k/main\\n"
accepts docs/a.md 'see the homework/main and todo\n'
refuses corpora tests/fuzz/fuzz_a.c 'int a;\n'
! command -v shellcheck >/dev/null || refuses scripts tools/a '#!/bin/bash\necho no run bit\n'
