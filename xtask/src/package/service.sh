#!/bin/sh
# Inside a clean system, booted by systemd: the package's unit serves users who are in the group, through a restart of
# the server and the death of a client, and with each of its capabilities taken away it can't.
# The words it ends with are what `cargo xtask package` looks for.
set -eu
fail() {
    echo "FAILED: $*"
    systemctl status jobserver --no-pager --lines=20 || true
    exit 1
}
# Tries for ten seconds.
until_true() {
    for _ in $(seq 200); do
        if eval "$1"; then return 0; fi
        sleep 0.05
    done
    return 1
}
count() { jobserver status --json | grep -o "\"$1\":[0-9]*" | head -n 1 | cut -d: -f2; }
as() { user=$1; shift; runuser -u "$user" -- env --chdir="/home/$user" HOME="/home/$user" "$@"; }

# Takes a token, and has a child that could return it as well.
cat >/usr/local/bin/holder <<'END'
#!/bin/sh
pipe=${MAKEFLAGS##*fifo:}
exec 3<>"${pipe%% *}"
head -c 1 <&3 >/dev/null
sleep 1000 &
echo "$$ $!" >"$HOME/holder"
wait
END
chmod 755 /usr/local/bin/holder
for user in one two; do
    useradd --create-home "$user"
done
usermod --append --groups jobserver one
printf 'all: a b c d\na b c d: ; @while ! [ -e go ]; do sleep 0.05; done\n' >/home/one/Makefile

# What the unit is for, step by step; a step that fails is named.
serves() {
    rm -f /home/one/go /home/one/holder
    systemctl restart jobserver || { echo "it does not start"; return 1; }
    [ "$(jobserver status --json | grep -o '"guarantee":"[a-z]*"')" = '"guarantee":"tracked"' ] ||
        { echo "processes can't be told apart"; return 1; }
    as one timeout 30 jobserver run --style tracked -- sh -c 'holder; while ! [ -e go ]; do sleep 0.05; done' 2>/tmp/said &
    tracked=$!
    as one timeout 30 jobserver run -j3 -- make -s 2>/tmp/said-2 &
    old=$!
    works=0
    until_true '[ -s /home/one/holder ] && [ "$(count held)" = 5 ]' || { echo "a user's clients get no slots"; works=1; }
    if [ $works = 0 ]; then
        systemctl kill --signal=KILL jobserver
        until_true 'systemctl is-active --quiet jobserver && [ "$(count held)" = 5 ]' ||
            { echo "a server that is started again does not know what builds hold"; works=1; }
    fi
    if [ $works = 0 ]; then
        read -r holder heir </home/one/holder
        kill -KILL "$holder"
        until_true 'jobserver status --json | grep -q "\"pid\":$heir,"' ||
            { echo "nobody sees that a killed client's child could still return its token"; works=1; }
        kill -KILL "$heir"
        until_true '[ "$(count recovered)" = 1 ]' || { echo "a killed client's token does not come back"; works=1; }
    fi
    touch /home/one/go
    for process in $(cat /home/one/holder 2>/dev/null); do kill -KILL "$process" 2>/dev/null || true; done
    wait $tracked || true
    wait $old || { echo "make ended with $?"; works=1; }
    [ $works = 0 ] || return 1
    # The shell's own word about the holder.
    said=$(cat /tmp/said /tmp/said-2 | grep -v '^Killed$' || true)
    [ -z "$said" ] || { echo "$said"; return 1; }
    until_true '[ "$(count free)" = 6 ]' || { echo "not all slots came back: $(jobserver status)"; return 1; }
    [ "$(count strays)" = 0 ] || { echo "tokens too many came back"; return 1; }
}

# With more lines in the unit.
with() {
    mkdir -p /run/systemd/system/jobserver.service.d
    printf '[Service]\nEnvironment="JOBSERVER_OPTIONS=-j 6"\nRestartSec=50ms\nStartLimitBurst=1000\nTimeoutStartSec=10\n%s\n' "$1" \
        >/run/systemd/system/jobserver.service.d/check.conf
    systemctl daemon-reload
}

getent group jobserver >/dev/null || fail "there is no group"
[ "$(stat -c %a:%U /run/jobserver)" = 711:root ] || fail "/run/jobserver: $(stat -c %a:%U /run/jobserver)"
said=$(systemd-analyze verify jobserver.service 2>&1) && [ -z "$said" ] || fail "systemd-analyze verify: $said"
[ "$(systemctl is-enabled jobserver || true)" = disabled ] || fail "nobody has asked for the service"

with ''
serves || fail "as it is"
main=$(systemctl show --property=MainPID --value jobserver)
[ "$(readlink "/proc/$main/ns/mnt")" = "$(readlink /proc/1/ns/mnt)" ] || fail "it has a mount namespace of its own"
grep -E 'Cap(Bnd|Eff)|NoNewPrivs|Seccomp:' "/proc/$main/status"
systemd-analyze security --no-pager jobserver | tail -n 1
as two jobserver status >/tmp/said 2>&1 && fail "who is not in the group sees the pool"
as two jobserver run -j2 -- true 2>/tmp/said && [ -z "$(cat /tmp/said)" ] || fail "a build of who is not in the group: $(cat /tmp/said)"

with 'DeviceAllow='
serves >/tmp/said && fail "the device of FUSE is not the only one it may open"
echo "without the device: $(cat /tmp/said)"
for capability in $(systemctl cat jobserver | grep -o 'CAP_[A-Z_]*' | sort -u); do
    with "CapabilityBoundingSet=~$capability"
    serves >/tmp/said 2>&1 && fail "it does not need $capability"
    echo "without $capability: $(tail -n 1 /tmp/said)"
done
with ''
serves || fail "once more, as it is"
systemctl stop jobserver
[ -z "$(ls -A /run/jobserver)" ] || fail "it leaves $(ls -A /run/jobserver)"
echo "the unit: all is well"
