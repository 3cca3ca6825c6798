#!/bin/bash
# install: what "ninja install" puts in place is complete and works: programs, unit, user, sample, manual pages.
. "$(dirname "$0")/lib.sh"
check "install" env DESTDIR="$T/root" cmake --install "$DITTOFS_RELEASE"
for file in sbin/dittofsd sbin/dittofsctl lib/systemd/system/dittofsd.service lib/sysusers.d/dittofsd.conf \
	share/doc/dittofsd/dittofs.conf share/man/man8/dittofsd.8 share/man/man8/dittofsctl.8 share/man/man5/dittofs.conf.5; do
	check "there is $file" test -s "$T/root/usr/local/$file"
done
is "the unit starts what was installed" \
	"$(sed -nE 's/^ExecStart=([^ ]+).*/\1/p' "$T/root/usr/local/lib/systemd/system/dittofsd.service")" /usr/local/sbin/dittofsd
dittofsd=$T/root/usr/local/sbin/dittofsd
# The sample with its export section switched on is what an admin starts from.
sed -E '/^;\[export/,$ s/^;([^ ])/\1/' "$T/root/usr/local/share/doc/dittofsd/dittofs.conf" >"$T/dittofs.conf"
sed -i "s,^;state dir = .*,state dir = $state," "$T/dittofs.conf"
check "the sample is right" "$dittofsd" -c "$T/dittofs.conf" -t
is "it has an export" "$(grep -c '^\[export' "$T/dittofs.conf")" 1
daemon_start
check "dittofsctl reaches it" "$T/root/usr/local/sbin/dittofsctl" -c "$T/dittofs.conf" status
daemon_stop
check_store
finish
