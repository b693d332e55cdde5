"""The package can be imported where Unix's own modules are missing."""

import subprocess
import sys

UNIX_ONLY = ("fcntl", "grp", "pwd", "resource", "termios")
CODE = """
import builtins, importlib, pkgutil, sys

unix_only, real = sys.argv[1].split(), builtins.__import__

def without_unix(name, globals=None, *rest, **more):
    # other packages look for these themselves; it is ours that must do without
    if name in unix_only and (globals or {}).get("__name__", "").startswith("stability"):
        raise ModuleNotFoundError(f"no {name} here, for {globals['__name__']}")
    return real(name, globals, *rest, **more)

builtins.__import__ = without_unix
import stability
names = [module.name for module in pkgutil.walk_packages(stability.__path__, "stability.")]
for name in names:
    if name != "stability.__main__":
        importlib.import_module(name)
print(len(names))
"""


def test_every_module_is_imported_without_what_only_unix_has():
    done = subprocess.run([sys.executable, "-c", CODE, " ".join(UNIX_ONLY)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 200
