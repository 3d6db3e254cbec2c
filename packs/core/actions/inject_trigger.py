from st2common.runners.base_action import Action


class InjectTrigger(Action):
    """Sends an event; the result is what was sent, with its id."""

    def run(self, trigger=None, trigger_name=None, payload=None, trace_tag=None):
        if trigger and trigger_name:
            raise ValueError("trigger and trigger_name name the same: give one of them")
        if not trigger and not trigger_name:
            raise ValueError("trigger_name is missing: give it as pack.name")
        client = self.action_service.datastore_service.get_api_client()
        return client.webhooks.post_generic_webhook(trigger or trigger_name, payload, trace_tag)
