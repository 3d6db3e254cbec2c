from st2tests.base import BaseActionTestCase

from greet import Greet


class GreetTestCase(BaseActionTestCase):
    action_cls = Greet

    def test_it_greets_with_the_configured_word(self):
        action = self.get_action_instance(config={"greeting": "Hi"})
        self.assertEqual(action.run(who="you"), (True, "Hi, you!"))
