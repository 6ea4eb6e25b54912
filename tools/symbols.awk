# What nm -A says of an archive: there[file]; used[file, symbol]; where[symbol] = file. A program in front of it may read another file
# first, and keeps that to itself (next).
{
    split($1, at, ":")
    file = at[2]
    sub(/\.c\.o$/, "", file)
    there[file] = 1
    if ($(NF - 1) == "U") used[file, $NF] = 1
    else if ($(NF - 1) ~ /^[TDRBV]$/) where[$NF] = file
}
