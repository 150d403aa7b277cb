#!/usr/bin/env bash
# Installs what is missing of tools/packages.txt: setup.sh demo|test|extra (each includes the parts before it). Without root or sudo it
# says what is missing and stops. Starts no service and removes no package. HEALTHAUTH_SETUP=skip leaves all to you.
set -u
part=${1:?setup.sh demo|test|extra}
list=$(dirname "$0")/packages.txt
[ "${HEALTHAUTH_SETUP:-}" = skip ] && exit 0

case $part in demo) parts=demo ;; test) parts='demo|test' ;; *) parts='demo|test|extra' ;; esac
mapfile -t wanted < <(grep -v '^#' "$list" | awk -v p="^($parts)\$" '$2 ~ p { print $1 }')

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  printf 'This is no Debian. Install the counterparts of these, then say HEALTHAUTH_SETUP=skip:\n  %s\n' "${wanted[*]}" >&2
  exit 1
fi
missing() {
  dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${wanted[@]}" 2>/dev/null | sed -n 's/^installed //p' | sort -u |
    comm -13 - <(printf '%s\n' "${wanted[@]}" | sort -u)
}
mapfile -t todo < <(missing)
[ ${#todo[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ]; then
  ask=(sudo); [ -t 0 ] || ask+=(-n)
  if command -v sudo >/dev/null && "${ask[@]}" true 2>/dev/null; then exec "${ask[@]}" "$0" "$part"; fi
  printf 'Missing packages, and neither root nor sudo to install them. As root:\n  apt-get install --no-install-recommends %s\n' "${todo[*]}" >&2
  exit 1
fi

# One set-up at a time; nothing that is installed here may start a service, so invoke-rc.d is told no while it lasts.
exec 9>/run/healthauth-setup.lock && flock 9
mapfile -t todo < <(missing)
[ ${#todo[@]} -eq 0 ] && exit 0
log=$(mktemp); policy=/usr/sbin/policy-rc.d; ours=
leave() { rm -f "$log"; [ -z "$ours" ] || rm -f "$policy"; }
trap leave EXIT
trap 'exit 1' INT TERM HUP
if [ ! -e "$policy" ]; then ours=1; printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"; fi

apt() { DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 -o APT::Get::Remove=false "$@" </dev/null >>"$log" 2>&1; }
update() { echo 'setup: reading the package lists'; apt update; }
possible() { apt -s install --no-install-recommends "${todo[@]}"; }
add() { apt install -y --no-install-recommends "${todo[@]}"; }

echo "setup: installing ${#todo[@]} packages: ${todo[*]}"
if ! possible; then
  update; : >"$log"
  possible || { tail -n 15 "$log"; echo 'setup: these packages cannot be installed here. Is luajit (not luajit2) installed? It excludes nginx-Lua.'; exit 1; } >&2
fi
add || { update; add; } || { tail -n 30 "$log"; echo 'setup: the installation failed'; exit 1; } >&2
mapfile -t todo < <(missing)
[ ${#todo[@]} -eq 0 ] || { echo "setup: still missing: ${todo[*]}" >&2; exit 1; }
