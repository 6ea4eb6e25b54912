# Reads tools/parts.txt for FOLDER, then (symbols.awk) what nm -A says of its archive; prints every call that goes up.
NR == FNR {
    if ($0 ~ /^#/ || $0 == "") next
    if ($0 !~ /:/) { here = $1 == FOLDER; next }
    if (!here) next
    parts++
    name[parts] = $1
    for (i = 3; i <= NF; i++) level[$i] = parts
    next
}
END {
    for (file in there)
        if (!(file in level)) {
            printf "%s/%s.c: of no part in tools/parts.txt\n", FOLDER, file
            bad = 1
        }
    for (file in level)
        if (!(file in there)) {
            printf "tools/parts.txt: %s/%s.c is not there\n", FOLDER, file
            bad = 1
        }
    for (pair in used) {
        split(pair, is, SUBSEP)
        to = where[is[2]]
        if (to != "" && (is[1] in level) && (to in level) && level[to] > level[is[1]]) {
            printf "%s.c (%s) calls %s() of %s.c (%s), which lies above it\n", is[1], name[level[is[1]]], is[2], to, name[level[to]]
            bad = 1
        }
    }
    exit bad
}
