# Reads tools/sizes.allow (path:function lines reason), then sources formatted by clang-format: a function ends at
# the first "}" in column one after a "{" in column one. Prints what is over its limit, and entries that are stale.
function report(where, have, limit,    a) {
    if (where in allow) {
        used[where] = 1
        if (have > allow[where]) { printf "%s: %d lines, grew over its allowance of %d\n", where, have, allow[where]; bad = 1 }
        else if (have < allow[where]) { printf "%s: %d lines; lower its entry in tools/sizes.allow (%d)\n", where, have, allow[where]; bad = 1 }
        return
    }
    printf "%s: %d lines, the limit is %d\n", where, have, limit; bad = 1
}
function file_end() {
    if (file != "" && lines > (file ~ /\.h$/ ? 250 : 700)) report(file, lines, file ~ /\.h$/ ? 250 : 700)
}
NR == FNR {
    if ($0 !~ /^#/ && NF >= 3) allow[$1] = $2
    next
}
FNR == 1 { file_end(); file = FILENAME; begin = 0 }
{ lines = FNR }
/^[a-zA-Z_].*\(/ && !/;$/ {
    name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name)
    if ($0 ~ /^(TEST|Test)\(/) { name = $0; sub(/^[A-Za-z]*\(/, "", name); sub(/\).*/, "", name); sub(/, */, "_", name) }
}
/^\{/ { begin = FNR }
/^\}/ {
    if (begin && FNR - begin - 1 > 70) report(file ":" name, FNR - begin - 1, 70)
    begin = 0
}
END {
    file_end()
    for (w in allow) if (!(w in used)) { printf "%s: nothing needs this entry of tools/sizes.allow any more\n", w; bad = 1 }
    exit bad
}
