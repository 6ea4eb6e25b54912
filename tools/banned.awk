# Reads tools/banned.txt, then sources; a call counts, a word in a comment or string does not.
function trim(s) { gsub(/^[ \t]+|[ \t]+$/, "", s); return s }
function may(name, path,    n, i, w) {
    n = split(where[name], w, /[ \t]+/)
    for (i = 1; i <= n; i++) if (w[i] != "" && (path == w[i] || index(path, w[i] "/") == 1)) return 1
    return 0
}
NR == FNR {
    if ($0 ~ /^#/ || $0 !~ /:/) next
    split($0, part, ":")
    where[trim(part[1])] = trim(part[2]); instead[trim(part[1])] = trim(part[3])
    next
}
FNR == 1 { comment = 0 }
{
    line = $0
    gsub(/\\"/, "", line); gsub(/"[^"]*"/, "\"\"", line)
    if (comment) { if (line ~ /\*\//) { sub(/^.*\*\//, "", line); comment = 0 } else next }
    gsub(/\/\*[^*]*(\*[^\/][^*]*)*\*\//, "", line)
    if (line ~ /\/\*/) { sub(/\/\*.*/, "", line); comment = 1 }
    sub(/\/\/.*/, "", line)
    rest = line
    while (match(rest, /[A-Za-z_][A-Za-z0-9_]*\(/)) {
        name = substr(rest, RSTART, RLENGTH - 1)
        before = RSTART > 1 ? substr(rest, RSTART - 1, 1) : ""
        rest = substr(rest, RSTART + RLENGTH)
        if (name in where && before !~ /[.>]/ && !may(name, FILENAME)) {
            printf "%s:%d: %s() is not used here; %s\n", FILENAME, FNR, name, instead[name]; bad = 1
        }
    }
}
END { exit bad }
