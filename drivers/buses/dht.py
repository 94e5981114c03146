"""DHT22 wires through adafruit-circuitpython-dht, which needs the Pi's pins by Blinka's names and a helper process."""

import contextlib
import signal
import threading
from typing import Any

from gateway.core.driver import Bus
from gateway.core.errors import DeviceError, DeviceTimeout, InvalidData, NotConnected


def open_bus(_bus: Bus, _root: str) -> "DhtBoard":
    """The board's header; Blinka knows no other."""
    return DhtBoard()


class DhtBoard:
    """The bus kind `dht` (`DhtWires`): every sensor has a wire of its own."""

    def prepare(self) -> None:
        """Import the library, in the main thread: one of its modules sets a signal handler, which no other may.

        Raises NotConnected when it is not installed.
        """
        _library()

    def line(self, line: int) -> "DhtWire":
        """The wire on this GPIO line; opened at each measurement."""
        return DhtWire(line)

    def close(self) -> None:
        """Nothing is held between two measurements."""


class DhtWire:
    """One sensor's data wire (`DhtLine`)."""

    def __init__(self, line: int) -> None:
        self._line = line

    def measure(self) -> tuple[float, float]:
        """(°C, %RH), measured now. Blocks about 0.3 s; the library may hang, so only `gateway field` calls this.

        Each call makes a new sensor object: the library answers from its memory after a failure or within two seconds,
        and a new object has no memory. It also ends the library's helper process, which is known to run away.
        """
        library = _library()
        sensor = self._open(library)
        try:
            sensor.measure()
            return float(sensor.temperature), float(sensor.humidity)
        except Exception as error:  # the library raises RuntimeError, IndexError, OSError and sysv_ipc's own
            raise self._classified(error) from error
        finally:
            _release(sensor)

    def _open(self, library: Any) -> Any:
        import board

        try:
            return library.DHT22(getattr(board, f"D{self._line}"))
        except AttributeError:
            raise NotConnected(f"this board has no GPIO{self._line}: a DHT22 needs a Raspberry Pi's header") from None
        except Exception as error:  # as above; also when the helper can't have the line
            raise self._classified(error) from error

    def _classified(self, error: Exception) -> DeviceError:
        text = str(error)
        if "not found" in text:
            return NotConnected(f"no DHT22 answers on GPIO{self._line}: check the data wire and its pull-up")
        if "Timed out" in text:
            return DeviceTimeout(f"the DHT library's helper is silent on GPIO{self._line} ({text}): is the line taken?")
        return InvalidData(
            f"disturbed answer on GPIO{self._line} ({text or type(error).__name__}): normal now and then"
        )


def _library() -> Any:
    """Import the library; put back the SIGTERM handler that one of its modules replaces."""
    if threading.current_thread() is not threading.main_thread():
        import adafruit_dht  # only the main thread may set handlers, so here it can't

        return adafruit_dht
    handler = signal.getsignal(signal.SIGTERM)
    try:
        import adafruit_dht
    except ImportError as error:
        raise NotConnected(f"{error}: install the extra `dht` (pip install kitchen-gateway[dht])") from error
    finally:
        signal.signal(signal.SIGTERM, handler)
    return adafruit_dht


def _release(sensor: Any) -> None:
    with contextlib.suppress(Exception):  # a helper that is already gone is what we wanted
        sensor.exit()
