"""AXI DMA in its simple mode (PG021), one channel: bytes from memory to a stream, or from a stream to memory.

A channel is told an address and a length; writing the length starts it. Towards memory a transfer ends with the beat
that carries TLAST, before its length is used up: the register then reads how many bytes came. A packet longer than the
length is an error, so there must be room for all that is expected.
"""

__all__ = ["LENGTH_MOST", "Channel", "TransferFailure"]

LENGTH_MOST = (1 << 26) - 1         # bytes of a transfer, with 26 length bits
SENDS_AT, RECEIVES_AT = 0x00, 0x30  # where a direction's registers begin
CONTROL, STATUS, ADDRESS, ADDRESS_HIGH, LENGTH = 0x00, 0x04, 0x18, 0x1C, 0x28
RUN, RESET, INTERRUPT_ENABLE = 1 << 0, 1 << 2, 1 << 12 | 1 << 14     # of CONTROL: complete and error interrupts
DONE, ERRORS = 1 << 12, 0x70                                          # of STATUS
RESET_READS = 10_000                # of CONTROL until a reset has ended


class TransferFailure(RuntimeError):
    """A DMA engine stopped with an error, did not reset, or a transfer did not end in time."""


class Channel:
    """One direction of an engine. ``words`` are its registers (``read(offset)``, ``write(offset, word)``).

    ``busy`` says whether a transfer was started whose end has not been taken.
    """

    def __init__(self, name, words, sends):
        self.name, self.words, self.base = name, words, SENDS_AT if sends else RECEIVES_AT
        self.busy = False
        self.reset()

    def reset(self):
        """Abandon what is in flight and run again. Raises `TransferFailure` where the engine does not answer."""
        self.write(CONTROL, RESET)
        for _ in range(RESET_READS):
            if not self.read(CONTROL) & RESET:
                break
        else:
            raise TransferFailure(f"{self.name} must end its reset, not stay in it")
        self.write(CONTROL, RUN | INTERRUPT_ENABLE)
        self.busy = False

    def start(self, address, length):
        """Start a transfer of ``length`` bytes from or to bus address ``address``. Not while busy."""
        self.write(STATUS, DONE)
        self.write(ADDRESS, address & 0xFFFFFFFF)
        self.write(ADDRESS_HIGH, address >> 32)
        self.write(LENGTH, length)
        self.busy = True

    def finished(self):
        """Bytes of the transfer that has ended, or None while it goes on. Raises `TransferFailure` at an error."""
        status = self.read(STATUS)
        if status & ERRORS:
            raise TransferFailure(f"{self.name} must move its beats, not stop with status {status:#x}")
        if not status & DONE:
            return None
        self.write(STATUS, DONE)
        self.busy = False
        return self.read(LENGTH)

    def read(self, offset):
        """A register of this direction."""
        return self.words.read(self.base + offset)

    def write(self, offset, word):
        """Write a register of this direction."""
        self.words.write(self.base + offset, word)
