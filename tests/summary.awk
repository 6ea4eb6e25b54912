# Adds up what the suites say of themselves in ctest's log: Criterion's synthesis, "N passed, N failed[, N skipped]" of
# scripts and replayers, one for a test that counts nothing. A suite that failed without counting a failure counts one.
# What was skipped says so itself ("SKIP reason"): the log calls a test with the skip return code passed.
function close_suite() {
    if (suite == "") return
    if (!counted) { if (verdict == "Failed") f++; else if (reason != "") s++; else p++ }
    else { p += sp; f += sf; s += ss; if (verdict == "Failed" && sf == 0) f++ }
    if (reason != "") printf "skipped: %s: %s\n", suite, reason
    suite = ""
}
/^[0-9]+\/[0-9]+ Testing: / { close_suite(); suite = $3; verdict = "Failed"; counted = sp = sf = ss = 0; reason = "" }
/Synthesis: Tested: / {
    line = $0; gsub(/[^0-9 ]/, "", line); n = split(line, w, / +/)
    k = 0; for (i = 1; i <= n; i++) if (w[i] != "") num[++k] = w[i]
    sp += num[k - 2]; sf += num[k - 1]; counted = 1
}
/^[0-9]+ passed, [0-9]+ failed/ { sp += $1; sf += $3; if ($5 ~ /^[0-9]+$/) ss += $5; counted = 1 }
/^SKIP / { reason = reason (reason == "" ? "" : "; ") substr($0, 6) }
/^Test Passed\./ { verdict = "Passed" }
END {
    close_suite()
    printf "%d passed, %d failed, %d skipped\n", p, f, s
    exit f > 0 || p == 0
}
