# What nm -A says of an archive: there[file]; used[file, symbol]; where[symbol] = file. Behind a program that reads another file first.
NR != FNR {
    split($1, at, ":")
    file = at[2]
    sub(/\.c\.o$/, "", file)
    there[file] = 1
    if ($(NF - 1) == "U") used[file, $NF] = 1
    else if ($(NF - 1) ~ /^[TDRBV]$/) where[$NF] = file
}
