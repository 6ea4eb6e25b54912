# Reads what nm -A says of LIBRARY's archive (symbols.awk); prints the calls between its files that form circles.
# Leaves in "left" who both calls and is called by somebody who is left: those are in a circle, or between two.
function prune(    again, pair, is, calls, called, file) {
    do {
        again = 0
        split("", calls)
        split("", called)
        for (pair in call) {
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
        call[is[1], to] = call[is[1], to] " " is[2] "()"
    }
    for (file in there) left[file] = 1
    prune()
    for (pair in call) {
        split(pair, is, SUBSEP)
        if ((is[1] in left) && (is[2] in left)) {
            printf "%s: %s.c calls %s.c:%s\n", LIBRARY, is[1], is[2], call[pair]
            bad = 1
        }
    }
    exit bad
}
