"""The public topic tree, `kg/v1/{tenant}/{site}/{gateway}/…` (docs/mqtt.md). At most six slashes: AWS allows seven."""

import re
from dataclasses import dataclass

from gateway.core.record import RecordClass

CONTRACT = 1
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Topics:
    """Every topic of one gateway."""

    tenant: str
    site: str
    gateway: str

    @property
    def root(self) -> str:
        """What all of them begin with, without a slash at its end."""
        return f"kg/v{CONTRACT}/{self.tenant}/{self.site}/{self.gateway}"

    @property
    def client_id(self) -> str:
        """Identifies this gateway to the broker; a second client with it takes the session over."""
        return f"kg-{self.tenant}-{self.site}-{self.gateway}"

    @property
    def status(self) -> str:
        """Retained: online, accounts; the will writes it too."""
        return f"{self.root}/status"

    @property
    def birth(self) -> str:
        """Retained: what there is to know of devices and outputs."""
        return f"{self.root}/birth"

    @property
    def reported(self) -> str:
        """Retained: the configuration in force."""
        return f"{self.root}/cfg/reported"

    @property
    def live(self) -> str:
        """Telemetry that has just been committed."""
        return f"{self.root}/tm/live"

    @property
    def backlog(self) -> str:
        """Older telemetry, oldest first."""
        return f"{self.root}/tm/backlog"

    @property
    def commands(self) -> str:
        """The filter for commands to any output."""
        return f"{self.root}/cmd/+"

    def event(self, kind: RecordClass) -> str:
        """Where events of this class go."""
        return f"{self.root}/ev/{kind}"

    def state(self, device: str) -> str:
        """Retained, QoS 0: the last values of one device."""
        return f"{self.root}/st/{device}"

    def reply(self, requester: str) -> str:
        """Where this requester hears what became of its command."""
        return f"{self.root}/rsp/{requester}"

    def output_of(self, topic: str) -> str | None:
        """The output a command topic names; None when it is no command topic of ours."""
        prefix = f"{self.root}/cmd/"
        name = topic.removeprefix(prefix)
        return name if topic.startswith(prefix) and _NAME.fullmatch(name) else None

    def is_reply(self, topic: str) -> bool:
        """Whether a Response Topic lies where replies may go."""
        prefix = f"{self.root}/rsp/"
        return topic.startswith(prefix) and is_name(topic.removeprefix(prefix))


def is_name(text: str) -> bool:
    """Whether this may be one level of our tree."""
    return _NAME.fullmatch(text) is not None
