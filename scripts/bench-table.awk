# bench-table.awk: the table of two servers that were measured in turns. Lines are
#
#   SERVER TEST VERSION N ops S s R ops/s M MB/s p50 A p99 B max C us cpu/op U us
#
# Set ours, peer (names of servers) and order (tests).
function median(list, n,    i, j, t) {
	for (i = 2; i <= n; i++)
		for (j = i; j > 1 && list[j - 1] > list[j]; j--) { t = list[j]; list[j] = list[j - 1]; list[j - 1] = t }
	return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
}
function middle(server, test, what,    i, n, list) {
	n = count[server, test]
	for (i = 1; i <= n; i++) list[i] = value[server, test, what, i] + 0
	return n ? median(list, n) : 0
}
function ratio(a, b) { return b ? sprintf("%.2f", a / b) : "-" }
{
	n = ++count[$1, $2]
	for (i = 3; i < NF; i++) {
		if ($(i + 1) == "ops/s") value[$1, $2, "rate", n] = $i
		if ($(i + 1) == "MB/s") value[$1, $2, "mb", n] = $i
		if ($i == "p50" || $i == "p99") value[$1, $2, $i, n] = $(i + 1)
		if ($i == "cpu/op") value[$1, $2, "cpu", n] = $(i + 1)
	}
}
END {
	printf "%-10s %12s %12s %6s  %9s %9s  %15s %15s  %9s %9s %6s\n", "test", ours "/s", peer "/s", "ratio", \
		"MB/s", "MB/s", "p50/p99 us", "p50/p99 us", "cpu us/op", "cpu us/op", "ratio"
	n = split(order, tests, " ")
	for (i = 1; i <= n; i++) {
		t = tests[i]
		a = middle(ours, t, "rate"); b = middle(peer, t, "rate")
		c = middle(ours, t, "cpu"); d = middle(peer, t, "cpu")
		printf "%-10s %12.0f %12.0f %6s  %9.1f %9.1f  %15s %15s  %9.1f %9.1f %6s\n", t, a, b, ratio(a, b), \
			middle(ours, t, "mb"), middle(peer, t, "mb"), \
			middle(ours, t, "p50") "/" middle(ours, t, "p99"), \
			middle(peer, t, "p50") "/" middle(peer, t, "p99"), c, d, ratio(c, d)
	}
}