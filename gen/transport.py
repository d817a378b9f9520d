"""What the driver asks of the way to the chip, whatever it is: a simulation, or a process on the board's own Linux."""

__all__ = ["Transport"]


class Transport:
    """Base of the ways to a chip; anything with these methods will do. Streams go by the last part of their name.

    A subclass gives `write`, `read`, `send`, `expect`, `withdraw`, `run_until_high` and `run_until_idle`; the bulk
    forms here are loops, to be replaced where there is a faster way. What cannot be done in time raises a RuntimeError.
    """

    def write(self, address, word):
        """Write the 32-bit ``word`` at byte ``address``. Raises RuntimeError where the chip answers with an error."""
        raise NotImplementedError

    def read(self, address):
        """The 32-bit word at byte ``address``. Raises RuntimeError where the chip answers with an error."""
        raise NotImplementedError

    def write_many(self, addresses, words):
        """`write` for each of two equally long arrays, in order."""
        for address, word in zip(addresses, words, strict=True):
            self.write(int(address), int(word))

    def read_many(self, addresses):
        """`read` of each address, in order."""
        return [self.read(int(address)) for address in addresses]

    def send(self, stream, beats):
        """Queue ``beats`` (n, beat_elements), in the stream's own integer type, for an input stream. Does not wait."""
        raise NotImplementedError

    def expect(self, stream, count):
        """Make room for ``count`` more beats of an output stream. Does not wait."""
        raise NotImplementedError

    def withdraw(self):
        """Take back every beat queued that has not moved, operands and room for results, as a host stops its DMA."""
        raise NotImplementedError

    def run_until_high(self, port, limit):
        """Wait until the chip's output ``port`` (``"irq"``) is high, ``limit`` clocks at most."""
        raise NotImplementedError

    def run_until_idle(self, limit):
        """Wait, ``limit`` clocks at most, until everything queued has moved and no operation runs or waits.

        Returns a dict from stream to what moved since the last call: an object with ``beats`` (n, beat_elements) and,
        where the transport knows them, ``clocks`` (n,) since reset.
        """
        raise NotImplementedError
