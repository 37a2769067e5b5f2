import json
import platform
import subprocess
import sys

from tenfold.observe.machine import describe


def test_the_machine_is_described_and_goes_into_json():
    machine = describe()
    assert machine.cpu
    assert machine.num_cores >= 1
    assert machine.python == platform.python_version()
    assert platform.node() not in str(machine) or not platform.node()
    assert json.loads(json.dumps(machine.to_json()))["num_cores"] == machine.num_cores


def test_observing_needs_only_the_standard_library():
    code = (
        "import sys, tenfold.observe.work, tenfold.observe.machine, tenfold.observe.attribution\n"
        "heavy = {'torch', 'numpy', 'pydantic', 'msgspec', 'starlette', 'rich'} & set(sys.modules)\n"
        "sys.exit(bool(heavy))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
