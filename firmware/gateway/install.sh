#!/bin/sh
# Makes this Debian machine a gateway: environment from the locked packages, user, service, udev and sysctl rules.
# Run as root from the project's folder: firmware/gateway/install.sh [--root FOLDER]
# With --root everything is laid into FOLDER and nothing is started (for images, and for the test).
set -eu

root=""
[ "${1:-}" = "--root" ] && root="${2:?--root needs a folder}"
here=$(cd "$(dirname "$0")" && pwd)
project=$(cd "$here/../.." && pwd)

if [ -z "$root" ] && [ "$(id -u)" -ne 0 ]; then
    echo "install.sh: run it as root: it writes to /etc and /opt" >&2
    exit 1
fi

place() {  # place MODE FILE TARGET
    install -D -m "$1" "$here/$2" "$root$3"
    echo "  $3"
}

place 644 minglou-edge.service /etc/systemd/system/minglou-edge.service
place 644 99-minglou-serial.rules /etc/udev/rules.d/99-minglou-serial.rules
place 644 90-minglou.conf /etc/sysctl.d/90-minglou.conf
place 644 minglou.sysusers /etc/sysusers.d/minglou.conf
install -d -m 755 "$root/etc/systemd/system.conf.d"
printf '[Manager]\nRuntimeWatchdogSec=15s\nRebootWatchdogSec=2min\n' > "$root/etc/systemd/system.conf.d/50-minglou-watchdog.conf"
chmod 644 "$root/etc/systemd/system.conf.d/50-minglou-watchdog.conf"
echo "  /etc/systemd/system.conf.d/50-minglou-watchdog.conf"
[ -n "$root" ] && exit 0

systemd-sysusers
python3 -m venv --clear /opt/minglou
/opt/minglou/bin/pip install --require-hashes --no-deps -r "$project/requirements/edge.lock"
# The program itself needs hatchling and the Vyper compiler to be built, so the wheel is made elsewhere (make wheel).
/opt/minglou/bin/pip install --no-deps --no-index "$project"/dist/minglou-*.whl
install -D -m 644 "$project/README.md" /opt/minglou/share/README.md
install -d -m 750 -o root -g minglou /etc/minglou

udevadm control --reload
sysctl --quiet --load=/etc/sysctl.d/90-minglou.conf
systemctl daemon-reload
if [ -f /etc/minglou/gateway.toml ]; then
    systemctl enable --now minglou-edge.service
else
    systemctl enable minglou-edge.service
    echo "install.sh: put the gateway's settings at /etc/minglou/gateway.toml, then: systemctl start minglou-edge"
fi
