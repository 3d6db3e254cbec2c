from st2common.runners.base_action import Action


class Greet(Action):
    def run(self, who):
        return True, "%s, %s!" % (self.config.get("greeting", "Hello"), who)
