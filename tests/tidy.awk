# Facts about C files, for tests/tidy. Output, tab separated:
#	code FILE:LINE TEXT       one line of code, without comments and contents of strings
#	function FILE:LINE NAME LENGTH
#	parameters FILE:LINE NAME COUNT
# It reads the house style, not all of C: a function's braces stand in the first column.

FNR == 1 {
	in_comment = in_function = in_macro = depth = 0
	statement = ""
}

{
	code = without_comments($0)
	where = FILENAME ":" FNR
	if (code !~ /^[ \t]*$/)
		print "code\t" where "\t" code
}

# Macros: their bodies are no statements.
in_macro || code ~ /^[ \t]*#/ {
	in_macro = code ~ /\\$/
	next
}

in_function {
	if (code ~ /^}/) {
		print "function\t" start "\t" name "\t" FNR - first + 1
		in_function = 0
	}
	next
}

depth == 0 && code ~ /^{/ {
	in_function = 1
	start = where
	first = FNR
	parameters(statement)
	statement = ""
	next
}

{
	if (depth == 0)
		statement = statement " " code
	depth += gsub(/{/, "{", code) - gsub(/}/, "}", code)
	if (depth == 0 && code ~ /;[ \t]*$/) {
		parameters(statement)
		statement = ""
	}
}

function without_comments(text,    out, mark)
{
	out = ""
	while (text != "") {
		if (in_comment) {
			if (!match(text, /\*\//))
				return out
			in_comment = 0
			text = substr(text, RSTART + 2)
		} else if (match(text, /\/\*|\/\/|"|'/)) {
			mark = substr(text, RSTART, RLENGTH)
			out = out substr(text, 1, RSTART - 1)
			text = substr(text, RSTART + RLENGTH)
			if (mark == "//")
				return out
			if (mark == "/*") {
				in_comment = 1
				continue
			}
			out = out mark mark
			text = after_literal(text, mark)
		} else {
			return out text
		}
	}
	return out
}

function after_literal(text, mark)
{
	while (match(text, "\\\\.|" mark)) {
		if (RLENGTH == 1)
			return substr(text, RSTART + 1)
		text = substr(text, RSTART + 2)
	}
	return ""
}

# Names the function that a statement declares and counts its parameters.
function parameters(text,    i, c, nesting, commas, inner)
{
	name = "?"
	gsub(/MUST_CHECK|[ \t]+$/, "", text)
	text = without_attributes(text)
	if (text ~ /^ *(typedef|_Static_assert|struct [a-z0-9_]+ *{)/ ||
	    !match(text, /[A-Za-z_][A-Za-z0-9_]*\(/))
		return
	if (index(substr(text, 1, RSTART), "=") > 0)
		return
	name = substr(text, RSTART, RLENGTH - 1)
	nesting = 1
	commas = 0
	for (i = RSTART + RLENGTH; i <= length(text) && nesting > 0; i++) {
		c = substr(text, i, 1)
		nesting += (c == "(") - (c == ")")
		commas += c == "," && nesting == 1
	}
	inner = substr(text, RSTART + RLENGTH, i - RSTART - RLENGTH - 1)
	print "parameters\t" where "\t" name "\t" (inner ~ /^ *(void)? *$/ ? 0 : commas + 1)
}

function without_attributes(text,    i, c, nesting, start_of)
{
	while (match(text, /__attribute__ *\(/)) {
		start_of = RSTART
		nesting = 1
		for (i = RSTART + RLENGTH; i <= length(text) && nesting > 0; i++) {
			c = substr(text, i, 1)
			nesting += (c == "(") - (c == ")")
		}
		text = substr(text, 1, start_of - 1) substr(text, i)
	}
	return text
}
