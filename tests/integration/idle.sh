#!/bin/bash
# alone: it measures latencies
# idle: 2,000 clients that do nothing and one that asks and never reads; others do not notice.
. "$(dirname "$0")/lib.sh"
dittofsd=$DITTOFS_RELEASE/dittofsd
configure 'max call memory = 64M'
daemon_start
before=$(daemon_rss_kb)
"$DITTOFS_RELEASE/idle" 127.0.0.1 2049 20048 /data 2000 >figures
is "measured" $? 0
cat figures
value() { awk -v name="$1" '$1 == name { printf "%d", $2 }' figures; }
is "idle connections that answer afterwards" "$(value idle_answered)" 2000
at_most "median latency in us beside them" "$(value crowded_p50)" $(($(value alone_p50) * 2 + 100))
at_most "99th percentile in us" "$(value crowded_p99)" $(($(value alone_p99) * 4 + 2000))
at_most "memory that they cost in MB" $((($(daemon_rss_kb) - before) / 1024)) 150
daemon_stop
finish
