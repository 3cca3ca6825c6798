#!/bin/bash
# time limit: 900
# alone: it measures time and memory
# big-directory: a directory of a million files: made, listed while it changes, looked up in; memory is bounded.
. "$(dirname "$0")/lib.sh"
dittofsd=$DITTOFS_RELEASE/dittofsd
count=${BIG_DIRECTORY_FILES:-1000000}
daemon_start
"$DITTOFS_RELEASE/bigdir" 127.0.0.1 2049 20048 /data "$count" >figures &
tool=$!
most=0
while kill -0 $tool 2>/dev/null; do
	now=$(daemon_rss_kb)
	[ "$now" -le $most ] || most=$now
	sleep 0.5
done
wait $tool
is "made, listed completely and looked up" $? 0
cat figures
value() { awk -v name="$1" '$1 == name { printf "%d", $2 }' figures; }
at_least "entries listed" "$(value list_entries)" "$count"
at_least "look-ups, percent of a small directory's rate" "$(value lookup_percent)" 50
at_most "seconds to list" "$(value list_seconds)" $((count / 10000 + 20))
at_most "resident memory in MB" $((most / 1024)) 300
daemon_stop
# A restart, and the directory is there.
daemon_start
at_most "resident memory after a restart in MB" $(($(daemon_rss_kb) / 1024)) 150
daemon_stop
finish
