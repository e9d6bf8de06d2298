import subprocess
import sys


def test_torchao_is_imported_without_a_word():
    # A process of its own: what was imported before tells nothing again.
    code = (
        "from models.quiet import quiet_torchao; quiet_torchao();"
        "import torchao.quantization, torchao.prototype.mx_formats.config"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert done.stderr == ""
