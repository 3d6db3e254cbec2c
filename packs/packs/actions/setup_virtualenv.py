import os
import shutil
import subprocess

from st2common.runners.base_action import Action


class SetupVirtualenv(Action):
    """Has `petrel pack setup` make the environments of packs."""

    def run(self, packs, update=False):
        command = [petrel(), "pack", "setup"]
        if "PETREL_PACKS" not in os.environ:
            command += ["--packs", os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))]
        done = subprocess.run(
            command + ["--"] + list(packs),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        said = done.stdout.strip()
        if done.returncode != 0:
            return (False, said or "petrel pack setup ended with code %d" % done.returncode)
        self.logger.debug(said)
        return (True, "Successfully set up virtualenv for the following packs: %s" % ", ".join(packs))


def petrel():
    """The program that runs us: our parent is its wrapper, which lies beside it or is itself."""
    wrapper = os.path.realpath("/proc/%d/exe" % os.getppid())
    beside = os.path.join(os.path.dirname(wrapper), "petrel")
    for path in (beside, shutil.which("petrel")):
        if path and os.access(path, os.X_OK):
            return path
    return wrapper
