# lib.sh - for what runs in the guest: sourced first. The export "data" is mounted at /mnt/data.
checks=0 broken=0
check() {
	local what=$1
	shift
	checks=$((checks + 1))
	local status
	"$@" >/run/check.out 2>&1
	status=$?
	if [ $status = 0 ]; then
		echo "  ok      $what"
	else
		broken=$((broken + 1))
		echo "  NOT OK  $what (status $status: $*)"
		tail -5 /run/check.out | sed 's/^/          /'
	fi
}
is() {
	checks=$((checks + 1))
	if [ "$2" = "$3" ]; then
		echo "  ok      $1"
	else
		broken=$((broken + 1))
		echo "  NOT OK  $1: got \"$2\", not \"$3\""
	fi
}
# fails NAME WORDS COMMAND...: the command must fail and say WORDS.
fails() {
	local what=$1 words=$2
	shift 2
	checks=$((checks + 1))
	if "$@" >/run/check.out 2>&1; then
		broken=$((broken + 1))
		echo "  NOT OK  $what: it worked"
	elif grep -q "$words" /run/check.out; then
		echo "  ok      $what"
	else
		broken=$((broken + 1))
		echo "  NOT OK  $what: it said $(tail -1 /run/check.out)"
	fi
}
finish() {
	echo "  $checks checks, $broken broken"
	[ $checks -gt 0 ] && [ $broken = 0 ]
	exit
}
mount_data() { # [OPTION]
	mkdir -p /mnt/data
	mount -t nfs -o "vers=3,proto=tcp,mountproto=tcp,port=2049,mountport=20048,nolock,hard${1:+,$1}" \
		"$HOST_IP:/data" /mnt/data
}
# mount_data4 VERSION [OPTION] [FOLDER]: the same by NFSv4.
mount_data4() {
	mkdir -p "${3:-/mnt/data}"
	mount -t nfs4 -o "vers=$1,proto=tcp,port=2049,hard${2:+,$2}" "$HOST_IP:/data" "${3:-/mnt/data}"
}
# Forgets what the client has cached, so that what follows comes from the server.
drop_caches() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
}
sum() { sha256sum <"$1" | cut -d' ' -f1; }
# random_file FILE BYTES SEED: bytes that can't be compressed, the same for the same SEED.
random_file() {
	openssl enc -aes-128-ctr -nosalt -pass "pass:$3" -pbkdf2 -iter 1 </dev/zero 2>/dev/null | head -c "$2" >"$1"
}
# mount_smb VERSION [OPTION] [FOLDER]: the same by SMB, as alice. The mount helper is not needed.
mount_smb() {
	local folder=${3:-/mnt/data}
	local module
	# The kernel does not find by itself what cifs asks for: /lib/modules may not be there.
	for module in hmac cmac ctr ccm ghash-generic gcm sha512_generic nls_utf8 cifs; do
		modprobe -d /run/tree $module
	done
	mkdir -p "$folder"
	mount -i -t cifs -o "ip=$HOST_IP,username=alice,password=secret,vers=$1,mfsymlinks,noperm,hard,echo_interval=5${2:+,$2}" \
		"//$HOST_IP/data" "$folder"
}
