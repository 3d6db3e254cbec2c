import json
import os
import stat

from st2reactor.sensor.base import PollingSensor

# What one value of the datastore holds with ease; some 5,000 files.
REMEMBERED_BYTES = 400000


class DirectorySensor(PollingSensor):
    """Compares the files below some folders with what it saw before, and reports each difference.

    What it saw is kept in the datastore, so that a restart neither reports every file again nor misses what
    happened in between. The very first start takes the files that are there as seen.
    """

    def setup(self):
        self._logger = self.sensor_service.get_logger(__name__)
        self._directories = (self.config.get("sensor") or {}).get("directories") or []
        for directory in self._directories:
            if not os.path.exists(directory):
                os.makedirs(directory)
        self._seen = self._recall()
        if self._seen is None:
            self._seen = self._scan()
            self._remember()

    def poll(self):
        found = self._scan()
        changes = list(differences(self._seen, found))
        for path, time, status in changes:
            payload = {"path": path, "time": time, "status": status}
            self.sensor_service.dispatch(trigger="mypack.changed_file", payload=payload)
        self._seen = found
        if changes:
            self._remember()

    def cleanup(self):
        pass

    def add_trigger(self, trigger):
        pass

    def update_trigger(self, trigger):
        pass

    def remove_trigger(self, trigger):
        pass

    def _scan(self):
        """Every file below the folders: `{path: [time of modification, size]}`."""
        files = {}
        for directory in self._directories:
            if os.path.isdir(directory):
                for folder, _, names in os.walk(directory):
                    for name in names:
                        note(os.path.join(folder, name), files)
            else:
                note(directory, files)
        return files

    def _recall(self):
        """What the last run saw in these folders, or None where it saw others or nothing."""
        text = self.sensor_service.get_value("seen")
        kept = json.loads(text) if text else {}
        return kept.get("files") if kept.get("directories") == self._directories else None

    def _remember(self):
        text = json.dumps({"directories": self._directories, "files": self._seen})
        if len(text) <= REMEMBERED_BYTES:
            self.sensor_service.set_value("seen", text)
        elif self.sensor_service.get_value("seen"):
            self._logger.warning("too many files to remember them over a restart (%d)", len(self._seen))
            self.sensor_service.delete_value("seen")


def note(path, files):
    """Add the file to `files`, unless it has vanished since its name was read."""
    try:
        status = os.stat(path)
    except OSError:
        return
    if not stat.S_ISDIR(status.st_mode):
        files[path] = [status.st_mtime, status.st_size]


def differences(before, now):
    """What lies between two scans, as `(path, time, status)`."""
    for path in sorted(set(before) - set(now)):
        yield path, before[path][0], "deleted"
    for path in sorted(now):
        if path not in before:
            yield path, now[path][0], "created"
        elif now[path] != before[path]:
            yield path, now[path][0], "modified"
