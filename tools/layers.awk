# Reads tools/layers.txt, then sources; prints every include that the table does not allow.
function trim(s) { gsub(/^[ \t]+|[ \t]+$/, "", s); return s }
function row_of(path,    p) {
    if (path in uses) return path
    p = path
    while (sub(/\/[^\/]*$/, "", p)) if (p in uses) return p
    return ""
}
function allowed(path, row, inc,    n, i, w, own) {
    n = split(uses[row], w, /[ \t]+/)
    for (i = 1; i <= n; i++) if (w[i] == "!" inc) return 0
    for (i = 1; i <= n; i++) if (w[i] != "" && (inc == w[i] || index(inc, w[i] "/") == 1)) return 1
    own = path; sub(/\/[^\/]*$/, "", own)
    if (index(inc, own "/") == 1 || index(inc, row "/") == 1) return 1
    return 0
}
function system_allowed(path, inc,    r, n, i, w, owned, k) {
    owned = 0
    for (k in system_of) {
        n = split(system_of[k], w, /[ \t]+/)
        for (i = 1; i <= n; i++) {
            if (w[i] == "" ) continue
            if (w[i] == "*" || inc == w[i] || (w[i] ~ /\/$/ && index(inc, w[i]) == 1)) {
                if (w[i] != "*") owned = 1
                if (path == k || index(path, k "/") == 1) return 1
            }
        }
    }
    return !owned
}
FNR == 1 { file = FILENAME; sub(/^\.\//, "", file); row = row_of(file) }
NR == FNR {
    if ($0 ~ /^#/ || $0 !~ /:/) next
    split($0, part, ":")
    key = trim(part[1]); uses[key] = trim(part[2]); system_of[key] = trim(part[3])
    next
}
/^#include "/ {
    inc = $0; sub(/^#include "/, "", inc); sub(/".*/, "", inc)
    if (row == "") { printf "%s:%d: no row in tools/layers.txt\n", file, FNR; bad = 1; next }
    if (inc !~ /\// && inc !~ /\.inc$/ && inc !~ /\.pb-c\.h$/) {
        printf "%s:%d: \"%s\": write includes from the root\n", file, FNR, inc; bad = 1; next
    }
    if (!allowed(file, row, inc)) { printf "%s:%d: %s may not include \"%s\"\n", file, FNR, row, inc; bad = 1 }
}
/^#include </ {
    inc = $0; sub(/^#include </, "", inc); sub(/>.*/, "", inc)
    if (!system_allowed(file, inc)) { printf "%s:%d: <%s> belongs to another folder\n", file, FNR, inc; bad = 1 }
}
END { exit bad }
