import random as dice
import time

from st2common.runners.base_action import Action


class PauseAction(Action):
    """Waits, and tells for how long."""

    def run(self, max_pause, random=False):
        seconds = dice.uniform(0, max_pause) if random else max_pause
        time.sleep(seconds)
        return (True, "Waited %.3g seconds." % seconds)
