#!/bin/bash
# Whether the server is ready to serve; bash speaks the HTTP so that no client has to be installed.
set -eu
exec 3<>"/dev/tcp/127.0.0.1/${1:-8080}"
printf 'GET /ready HTTP/1.0\r\n\r\n' >&3
read -r _ status _ <&3
[ "$status" = 200 ]
