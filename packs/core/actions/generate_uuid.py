import uuid

from st2common.runners.base_action import Action


class GenerateUuid(Action):
    """A new UUID as text."""

    def run(self, uuid_type="uuid4"):
        makers = {"uuid1": uuid.uuid1, "uuid4": uuid.uuid4}
        if uuid_type not in makers:
            return (False, "uuid_type is uuid1 or uuid4, not %s" % uuid_type)
        return (True, str(makers[uuid_type]()))
