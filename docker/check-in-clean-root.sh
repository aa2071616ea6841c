#!/bin/bash
# Runs the Dockerfile's steps in a clean Debian 12 made by debootstrap, where no Docker engine is at hand. As root.
#
#   docker/check-in-clean-root.sh            packages, build, weights, server (the toolchain is this machine's)
#   docker/check-in-clean-root.sh --binary target/release/kinora
#                                            leaves the build out: this program and models/weights are taken
#
# Two roots as in the Dockerfile: one builds, the other runs. The folder, 3 GB with a build, goes at the end.
set -euo pipefail
cd "$(dirname "$0")/.."

binary=
if [ "${1:-}" = --binary ]; then binary=$(realpath "$2"); fi
port=${PORT:-18080}
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
work=$(mktemp -d /var/tmp/kinora-root-XXXXXX)
chmod 755 "$work"
mounted=()
server=

clean_up() {
    if [ -n "$server" ]; then kill "$server" 2>/dev/null && wait "$server" || true; fi
    for folder in "${mounted[@]}"; do umount --lazy "$folder" || true; done
    # A folder that is still mounted must not be emptied through its mount.
    if ! grep -q " $work" /proc/mounts; then rm -rf "$work"; fi
}
trap clean_up EXIT

say() { echo "clean root: $*"; }

mount_in() { # source, folder inside, further options
    mkdir -p "$2"
    mount "${@:3}" "$1" "$2"
    mounted=("$2" "${mounted[@]}")
}

new_root() { # its folder
    debootstrap --variant=minbase bookworm "$1" "$mirror" >"$work/debootstrap.log"
    mount_in proc "$1/proc" -t proc
    mount_in /dev "$1/dev" --bind
    cp /etc/resolv.conf "$1/etc/"
    # How this machine reaches its package mirror: the root has the same way and nothing else of it.
    if [ -d /etc/apt/apt.conf.d ]; then cp -r /etc/apt/apt.conf.d "$1/etc/apt/"; fi
    mkdir -p "$1/steps"
    cp docker/steps/*.sh "$1/steps/"
}

inside() { # root, command
    chroot "$1" /usr/bin/env -i HOME=/root LANG=C.UTF-8 PATH="${toolchain:+$toolchain/bin:}/usr/sbin:/usr/bin:/sbin:/bin" \
        "${@:2}"
}

toolchain=
mkdir -p "$work/opt/bin" "$work/opt/models"
if [ -n "$binary" ]; then
    say "taking $binary instead of building"
    cp "$binary" "$work/opt/bin/kinora"
    cp -r models/weights "$work/opt/models/"
else
    say "the root that builds"
    new_root "$work/build"
    inside "$work/build" /steps/build-packages.sh
    toolchain=$(rustc --print sysroot)
    mount_in "$toolchain" "$work/build$toolchain" --bind -o ro
    mkdir -p "$work/build/src"
    git ls-files -z | xargs -0 cp --parents -t "$work/build/src"
    inside "$work/build" sh -c 'cd /src && cargo build --release --locked --bin kinora'
    inside "$work/build" sh -c 'cd /src && tools/weights.sh target/release/kinora'
    cp "$work/build/src/target/release/kinora" "$work/opt/bin/"
    cp -r "$work/build/src/models/weights" "$work/opt/models/"
    toolchain=
fi
cp config.toml "$work/opt/"

say "the root that runs"
new_root "$work/run"
inside "$work/run" /steps/run-packages.sh
mkdir -p "$work/run/opt/kinora"
cp -r "$work/opt/." "$work/run/opt/kinora/"

say "the server, as the user kinora, with its private database"
chroot --userspec=kinora:kinora "$work/run" /usr/bin/env -i PATH=/usr/bin:/bin HOME=/var/lib/kinora \
    KINORA__SERVER__LISTEN=127.0.0.1:$port KINORA__SERVER__DATA_DIRECTORY=/var/lib/kinora \
    sh -c 'cd /opt/kinora && exec bin/kinora serve' 2>"$work/server.log" &
server=$!
for _ in $(seq 60); do
    if inside "$work/run" /steps/healthy.sh "$port" 2>/dev/null; then ready=yes; break; fi
    if ! kill -0 "$server" 2>/dev/null; then break; fi
    sleep 1
done
if [ "${ready:-no}" != yes ]; then
    cat "$work/server.log" >&2
    say "the server did not get ready"
    exit 1
fi
[ "$(stat -c %a "$work/run/var/lib/kinora/first-admin")" = 600 ] || { say "first-admin is not private"; exit 1; }
kill -TERM "$server"
code=0
wait "$server" || code=$?
server=
say "the server was ready and ended with code $code"
exit "$code"
