#!/bin/sh
# What the server needs at run time on Debian 12, and the user that it runs as.
set -eu
# PostgreSQL's programs are for the private cluster; Debian must not make one of its own.
mkdir -p /etc/postgresql-common
echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
apt-get update -q
DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
    libavcodec59 libavformat59 libavutil57 libavdevice59 libswscale6 libswresample4 \
    postgresql ca-certificates
rm -rf /var/lib/apt/lists/*
useradd --uid 10001 --user-group --no-create-home --home-dir /var/lib/kinora --shell /usr/sbin/nologin kinora
install -d -o kinora -g kinora -m 0711 /var/lib/kinora
