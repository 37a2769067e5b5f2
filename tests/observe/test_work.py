import threading
import time

import pytest

from tenfold.observe.cost import Tariff
from tenfold.observe.energy import MachinePower
from tenfold.observe.work import StepMeter

POWER = MachinePower(idle_watts_per_core=1.0, active_watts_per_core=10.0, num_cores=1)


def burn(cpu_s):
    start = time.thread_time()
    while time.thread_time() - start < cpu_s:
        pass


def test_a_piece_of_work_has_time_energy_and_money():
    tariff = Tariff(usd_per_machine_hour=3600.0, usd_per_kwh=0.0, gco2e_per_kwh=3.6e6, pue=1.0)
    stop = StepMeter(tariff=tariff, power=POWER).start()
    burn(0.15)
    usage = stop()
    assert usage.cpu_s >= 0.1
    assert usage.wall_s >= usage.cpu_s - 0.02
    assert usage.energy_method in ("cpu-time-model", "rapl")
    assert 0 < usage.energy_uncertainty < 1
    assert usage.joules > 0
    assert usage.usd == pytest.approx(usage.wall_s, abs=0.02)
    assert usage.gco2e == pytest.approx(usage.joules)


def test_stopping_twice_gives_the_same_answer():
    stop = StepMeter().start()
    assert stop() is stop()


def test_pieces_that_overlap_add_up_to_what_the_process_used():
    meter = StepMeter(power=POWER)
    whole_s, begun = time.process_time(), time.monotonic()
    outer = meter.start()
    inner = meter.start()
    burn(0.2)
    first = inner()
    burn(0.1)
    second = outer()
    whole_s, wall_s = time.process_time() - whole_s, time.monotonic() - begun
    assert first.cpu_s + second.cpu_s == pytest.approx(whole_s, abs=0.05)
    assert first.cpu_s == pytest.approx(0.1, abs=0.05)
    assert first.joules + second.joules <= 10.0 * (whole_s + 0.05) + 1.0 * wall_s


def test_the_peak_is_that_of_the_work_not_of_the_process():
    meter = StepMeter()
    block = bytearray(b"x") * (96 << 20)
    stop_big = meter.start()
    del block
    big = stop_big()
    small = meter.start()()
    assert big.peak_rss_bytes - small.peak_rss_bytes > 64 << 20


def test_an_outer_piece_keeps_the_peak_from_before_an_inner_one_started():
    meter = StepMeter()
    outer = meter.start()
    block = bytearray(b"x") * (96 << 20)
    del block
    inner = meter.start()
    assert outer().peak_rss_bytes - inner().peak_rss_bytes > 64 << 20


def test_threads_may_start_and_stop_at_will():
    meter, usages = StepMeter(), []

    def work():
        stop = meter.start()
        burn(0.02)
        usages.append(stop())

    threads = [threading.Thread(target=work) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(usages) == 4
    assert sum(usage.cpu_s for usage in usages) == pytest.approx(0.08, abs=0.06)
