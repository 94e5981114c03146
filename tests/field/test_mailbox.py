"""What has happened waits for control, bounded and counted."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.control.field_events import FieldEvents
from gateway.core.event import Event, EventClass
from gateway.field.mailbox import Mailbox
from gateway.local.letters import ROWS_LIMIT, read_letter, write_letter


def scan(number: int) -> Event:
    return Event(EventClass.DEVICE, "scanner", "scanned", number, {"n": number})


def filled(count: int, kept: int = 5000) -> Mailbox:
    mailbox = Mailbox(kept)
    for number in range(1, count + 1):
        mailbox.put(scan(number))
    return mailbox


def test_letters_are_sent_once_per_connection_and_again_until_acknowledged() -> None:
    """Order and numbers stay; what control has acknowledged is never sent again."""
    mailbox = filled(3)
    letter = mailbox.take()
    assert letter is not None
    assert (letter.after, letter.first, letter.last) == (0, 1, 3)
    assert mailbox.take() is None
    mailbox.acknowledge(2)
    mailbox.put(scan(4))
    mailbox.reconnected()
    again = mailbox.take()
    assert again is not None
    assert (again.after, again.first, [event.time_ns for event in again.events]) == (2, 3, [3, 4])
    mailbox.acknowledge(4)
    mailbox.reconnected()
    assert mailbox.take() is None


def test_a_full_mailbox_loses_the_oldest_and_says_how_many() -> None:
    """Room is bounded; the gap between `after` and `first` is the loss."""
    letter = filled(10, kept=4).take()
    assert letter is not None
    assert (letter.after, letter.first, letter.last) == (0, 7, 10)


def test_a_letter_fits_into_a_frame() -> None:
    """More than a letter's share waits for the next one."""
    mailbox = filled(ROWS_LIMIT + 1)
    letters = [mailbox.take(), mailbox.take(), mailbox.take()]
    assert [letter and letter.last for letter in letters] == [ROWS_LIMIT, ROWS_LIMIT + 1, None]


class Control:
    """Takes letters as control does, and counts."""

    def __init__(self) -> None:
        self.told: list[int] = []
        self.lost = 0
        self.events = FieldEvents(self.tell)

    def tell(self, event: Event) -> None:
        if event.what == "events_lost":
            self.lost += event.data["count"]
        else:
            self.told.append(event.data["n"])

    def take(self, mailbox: Mailbox, answer: bool) -> None:
        """The next letter over the wire; its answer may be lost with the connection."""
        letter = mailbox.take()
        if letter is not None:
            header, body = write_letter(letter)
            upto = self.events.take(read_letter(header, body, 10**18), {"scanner"}, 0)
            if answer:
                mailbox.acknowledge(upto)


@given(st.lists(st.sampled_from(["put", "send", "lose answer", "reconnect"]), max_size=60), st.integers(1, 8))
def test_every_event_is_told_or_counted_once(steps: list[str], kept: int) -> None:
    """Whatever breaks between field and a control: told + lost = happened, in order, nothing twice."""
    mailbox, control, happened = Mailbox(kept), Control(), 0
    for step in [*steps, "reconnect", "send"]:
        if step == "put":
            happened += 1
            mailbox.put(scan(happened))
        elif step == "reconnect":
            mailbox.reconnected()
        else:
            control.take(mailbox, answer=step == "send")
    assert control.told == sorted(set(control.told))
    assert len(control.told) + control.lost == happened
