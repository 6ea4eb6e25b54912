# Reads tools/circles.allow for LIBRARY, then (symbols.awk) what nm -A says of its archive; prints the calls between files that form circles.
NR == FNR {
    if ($0 ~ /^#/ || $1 != LIBRARY) next
    for (i = 2; i <= NF; i++) allowed[$i] = NR
    next
}
# Leaves in "left" who both calls and is called by somebody who is left: those are in a circle, or between two.
function prune(edges,    again, pair, is, calls, called, file) {
    do {
        again = 0
        split("", calls)
        split("", called)
        for (pair in edges) {
            split(pair, is, SUBSEP)
            if ((is[1] in left) && (is[2] in left)) calls[is[1]] = called[is[2]] = 1
        }
        for (file in left)
            if (!(file in calls) || !(file in called)) {
                delete left[file]
                again = 1
            }
    } while (again)
}
END {
    for (pair in used) {
        split(pair, is, SUBSEP)
        to = where[is[2]]
        if (to == "" || to == is[1]) continue
        if (allowed[to] != "" && allowed[to] == allowed[is[1]]) known[is[1], to] = 1
        else call[is[1], to] = call[is[1], to] " " is[2] "()"
    }
    for (file in there) left[file] = 1
    prune(call)
    for (pair in call) {
        split(pair, is, SUBSEP)
        if ((is[1] in left) && (is[2] in left)) {
            printf "%s: %s.c calls %s.c:%s\n", LIBRARY, is[1], is[2], call[pair]
            bad = 1
        }
    }
    split("", left)
    for (file in there) left[file] = 1
    prune(known)
    for (file in allowed)
        if (allowed[file] != "" && !(file in left)) {
            printf "tools/circles.allow: %s.c of %s is in no circle any more\n", file, LIBRARY
            bad = 1
        }
    exit bad
}
