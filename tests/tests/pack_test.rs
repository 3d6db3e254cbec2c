//! `petrel pack test`, with everything from a folder of wheels: nothing is fetched.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use std::process::Command;

use petrel_tests::Place;

/// Writes wheels: empty ones of what the base has, the package `feather`, and a stand-in of pytest that
/// runs unittest on the named folders, with pytest's exit codes. Argument: the folder.
const WHEELS: &str = r#"
import os, sys, zipfile
PYTEST = '''
import sys, unittest
folders = [word for word in sys.argv[1:] if not word.startswith(("-", "no:"))]
print("arguments:", sys.argv[1:])
tests = unittest.TestSuite(unittest.TestLoader().discover(one) for one in folders)
count = tests.countTestCases()
done = unittest.TextTestRunner(stream=sys.stdout).run(tests)
broken = any("_FailedTest" in type(case).__name__ for case, _ in done.errors)
sys.exit(2 if broken else 5 if not count else 0 if done.wasSuccessful() else 1)
'''
BASE = """beautifulsoup4 chardet cryptography eventlet flask greenlet jinja2 jsonpath_rw jsonschema mock netaddr
oslo.config packaging paramiko python_dateutil pytz pyyaml requests retrying semver setuptools simplejson six
urllib3""".split()

def wheel(name, version, files):
    info = "%s-%s.dist-info" % (name, version)
    path = os.path.join(sys.argv[1], "%s-%s-py3-none-any.whl" % (name, version))
    with zipfile.ZipFile(path, "w") as file:
        for inside, text in files.items():
            file.writestr(inside, text)
        file.writestr(info + "/METADATA", "Metadata-Version: 2.1\nName: %s\nVersion: %s\n" % (name, version))
        file.writestr(info + "/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(info + "/RECORD", "".join("%s,,\n" % one for one in [*files, info + "/METADATA", info + "/WHEEL"]))

os.makedirs(sys.argv[1])
for name in BASE:
    wheel(name, "1.0", {})
wheel("pytest", "9.0", {"pytest/__init__.py": "", "pytest/__main__.py": PYTEST})
wheel("feather", "2.0", {"feather.py": "WEIGHT = 2\n"})
"#;

const ACTION: &str = "import shared\nfrom st2common.runners.base_action import Action\n\n\n\
                      class Greet(Action):\n    def run(self, name):\n        \
                      self.action_service.set_value(\"last\", name)\n        \
                      return self.config[\"greeting\"] + shared.SPACE + name\n";

const TEST: &str = "from greet import Greet\nfrom st2tests.base import BaseActionTestCase\n\n\n\
                    class GreetTest(BaseActionTestCase):\n    action_cls = Greet\n\n    \
                    def test_greeting(self):\n        \
                    action = self.get_action_instance({\"greeting\": \"hello\"})\n        \
                    self.assertEqual(action.run(\"you\"), \"EXPECTED\")\n        \
                    self.assertEqual(self.action_service.get_value(\"last\"), \"you\")\n        \
                    self.assertIn(self.get_fixture_content(\"who.txt\"), \"you\")\n";

/// A place with wheels and the pack `shop`, whose test expects this greeting.
fn place(expected: &str) -> Place {
    let place = Place::new();
    let mut made = Command::new("python3");
    made.args(["-c", WHEELS]).arg(place.path("wheels"));
    assert!(made.status().unwrap().success());
    place.pack("shop");
    place.write("packs/shop/actions/greet.py", ACTION);
    place.write("packs/shop/lib/shared.py", "SPACE = \" \"\n");
    place.write("packs/shop/tests/fixtures/who.txt", "you");
    place.write(
        "packs/shop/tests/test_greet.py",
        &TEST.replace("EXPECTED", expected),
    );
    place
}

/// Its exit code and all that it said.
fn test(place: &Place, args: &[&str]) -> (Option<i32>, String) {
    let wheels = place.path("wheels").display().to_string();
    let offline = ["pack", "test", "--offline", "--wheels", &wheels];
    let output = place.petrel(&[&offline, args].concat());
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn tests_that_pass_fail_and_cannot_be_read_have_their_exit_codes() {
    let place = place("hello you");
    let (code, said) = test(&place, &["shop"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("Ran 1 test"), "{said}");
    // By its folder as well, once all is there, and with arguments for pytest.
    let folder = place.path("packs/shop").display().to_string();
    let (code, said) = test(&place, &[&folder, "--", "tests", "-x"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("'tests', '-x']") && said.contains("is there"),
        "{said}"
    );

    let other = TEST.replace("EXPECTED", "good night");
    place.write("packs/shop/tests/test_greet.py", &other);
    let (code, said) = test(&place, &["shop"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("'hello you' != 'good night'"), "{said}");

    place.write("packs/shop/tests/test_greet.py", "import greeet\n");
    let (code, said) = test(&place, &["shop"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("No module named 'greeet'"), "{said}");
    assert!(!place.path("packs/shop/tests/__pycache__").exists());
}

#[test]
fn what_the_tests_ask_for_is_installed_for_them_alone() {
    let place = place("hello you");
    let more = "import feather\nimport unittest\n\n\nclass FeatherTest(unittest.TestCase):\n    \
                def test_weight(self):\n        self.assertEqual(feather.WEIGHT, 2)\n";
    place.write("packs/shop/tests/test_feather.py", more);
    let (code, said) = test(&place, &["shop"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("No module named 'feather'"), "{said}");
    for file in ["requirements-tests.txt", "requirements.txt"] {
        place.write(&format!("packs/shop/{file}"), "feather>=1\n");
        let (code, said) = test(&place, &["shop"]);
        assert_eq!(code, Some(0), "{file}: {said}");
        assert!(said.contains("Ran 2 tests"), "{file}: {said}");
        std::fs::remove_file(place.path(&format!("packs/shop/{file}"))).unwrap();
    }
    place.write("packs/shop/requirements.txt", "feather>=3\n");
    let (code, said) = test(&place, &["shop"]);
    assert_eq!(code, Some(1), "{said}");
    let told = said.contains("tests of shop") && said.contains("feather");
    assert!(told && !said.contains("Ran "), "{said}");
}

#[test]
fn a_pack_without_tests_is_no_failure_and_a_wrong_name_is_one() {
    let place = Place::new();
    place.pack("shop");
    let output = place.petrel(&["pack", "test", "shop"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("no tests found"),
        "{said}"
    );
    let output = place.petrel(&["pack", "test", "shpo"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("did you mean \"shop\""),
        "{said}"
    );
}
