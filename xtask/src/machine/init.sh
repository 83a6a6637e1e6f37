#!/bin/busybox sh
# The first process of the machine: a pool, its clients, what it needs for them, and the end of all.
/bin/busybox --install -s /bin
export PATH=/bin TMPDIR=/tmp HOME=/tmp
mount -t proc proc /proc
mount -t devtmpfs dev /dev
mount -t tmpfs tmpfs /tmp
insmod /fuse.ko
exec 1>/dev/ttyS1 2>/dev/ttyS0
# What systemd allows root.
ulimit -Hn 524288

say() { echo "$1=$2"; }

jobserver serve -j 6 --style tracked --dir /tmp/pool &
server=$!
until jobserver status --pool /tmp/pool >/dev/null 2>&1; do sleep 1; done
mkfifo /tmp/keep
jobserver run --style tracked --pool /tmp/pool -- clients "$clients" </tmp/keep >/tmp/said &
run=$!
exec 3>/tmp/keep
while [ "$(stat -c %s /tmp/said)" -lt "$clients" ]; do
    kill -0 $run || break
    sleep 1
done
say opened "$(stat -c %s /tmp/said)"
# The server hears of so many by and by.
known() {
    jobserver status --json --pool /tmp/pool >/tmp/all
    grep -o '"since":' /tmp/all | wc -l
}
until [ "$(known)" -gt "$clients" ]; do
    kill -0 $server || break
    sleep 2
done
say all "$(cat /tmp/all)"
say descriptors "$(ls /proc/$server/fd | wc -l)"
say limit "$(awk '/open files/ { print $4 }' /proc/$server/limits)"
say memory "$(awk '/VmRSS/ { print $2 }' /proc/$server/status)"
before=$(cut -d ' ' -f 1 /proc/$server/schedstat)
sleep 10
say idle $(($(cut -d ' ' -f 1 /proc/$server/schedstat) - before))
exec 3>&-
wait $run
say run $?
until jobserver status --json --pool /tmp/pool | grep -q '"held":0'; do sleep 1; done
say end "$(jobserver status --json --pool /tmp/pool)"
kill $server
wait $server
say server $?
poweroff -f
