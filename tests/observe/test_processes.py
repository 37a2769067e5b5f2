"""Against the kernel's own accounting: getrusage of the processes concerned."""

import os
import subprocess
import sys
import time

import pytest

from tenfold.observe.processes import CpuClock, machine_busy_s

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs /proc")

BURN = "import time\nwhile time.process_time() < {cpu_s}: pass\n"
TICK_S = 0.02


def burn(cpu_s, then=""):
    return [sys.executable, "-S", "-c", BURN.format(cpu_s=cpu_s) + then]


def test_own_time_is_what_the_process_clock_says():
    clock, start = CpuClock(lambda: (os.getpid(),)), time.process_time()
    while time.process_time() - start < 0.2:
        pass
    assert clock.read() == pytest.approx(time.process_time() - start, abs=2 * TICK_S)


def test_a_child_that_lived_and_died_between_two_readings_is_counted_once():
    clock = CpuClock(lambda: (os.getpid(),))
    subprocess.run(burn(0.2), check=True)
    first = clock.read()
    assert first == pytest.approx(0.2, abs=0.1)
    assert clock.read() == pytest.approx(first, abs=TICK_S)


def test_a_child_read_alive_and_then_waited_for_is_not_counted_twice():
    clock = CpuClock(lambda: (os.getpid(),))
    child = subprocess.Popen(
        burn(0.2, "print('done', flush=True); input()"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    child.stdout.readline()
    alive = clock.read()
    assert alive == pytest.approx(0.2, abs=0.1)
    child.communicate("\n")
    after = clock.read()
    assert alive <= after <= alive + 0.1


def test_time_before_the_clock_stays_out_even_when_the_child_is_waited_for_later():
    child = subprocess.Popen(
        burn(0.3, "print('done', flush=True); input()"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    child.stdout.readline()
    clock = CpuClock(lambda: (os.getpid(),))
    child.communicate("\n")
    assert clock.read() < 0.15


def test_a_foreign_process_that_is_killed_keeps_its_time():
    """The watched process is not our child's parent's business: nobody watched inherits its time."""
    child = subprocess.Popen(
        burn(0.2, "print('done', flush=True); input()"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    watched = [child.pid]
    clock = CpuClock(lambda: watched)
    child.stdout.readline()
    alive = clock.read()
    child.kill()
    child.communicate()
    assert clock.read() == alive > 0.05


def test_grandchildren_are_found():
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', {BURN.format(cpu_s=0.2) + 'input()'!r}])"
    parent = subprocess.Popen([sys.executable, "-S", "-c", code], stdin=subprocess.PIPE)
    clock = CpuClock(lambda: (parent.pid,))
    try:
        deadline = time.monotonic() + 20
        while clock.read() < 0.19 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert clock.read() == pytest.approx(0.2, abs=0.1)
    finally:
        parent.communicate(b"\n")


def test_a_pid_that_never_was_counts_nothing():
    clock = CpuClock(lambda: (2**22 + 1,))
    assert clock.read() == 0.0


def test_machine_busy_time_holds_ours():
    before, start = machine_busy_s(), time.process_time()
    while time.process_time() - start < 0.1:
        pass
    assert machine_busy_s() - before >= 0.1 - 2 * TICK_S
