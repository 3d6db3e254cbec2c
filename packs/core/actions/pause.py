import random as dice
import time

from st2common.runners.base_action import Action


class PauseAction(Action):
    """Waits; the result says for how many seconds."""

    def run(self, max_pause, random=False):
        seconds = dice.randint(1, max(1, int(max_pause))) if random else max_pause
        time.sleep(seconds)
        return seconds
