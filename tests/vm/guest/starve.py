"""Opens the hardware watchdog with its shortest time and never feeds it: the machine must restart by itself."""

import fcntl
import struct
import time

WDIOC_SETTIMEOUT = 0xC0045706  # linux/watchdog.h
LIMIT_S = 30.0


def main() -> None:
    """Does not return on a machine whose watchdog works."""
    with open("/dev/watchdog0", "wb", buffering=0) as watchdog:
        fcntl.ioctl(watchdog, WDIOC_SETTIMEOUT, struct.pack("=i", 2))
        time.sleep(LIMIT_S)
    print(f"vm-test: {LIMIT_S:.0f} s without food, and the watchdog did not bite")
    with open("/proc/sysrq-trigger", "w") as trigger:
        trigger.write("o")


if __name__ == "__main__":
    main()
