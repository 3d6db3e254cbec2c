//! `petrel pack`: what is installed, and what is refused while all that was there runs on.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use petrel_tests::{Place, stdout, wait_until};

/// Makes archives, also such as no honest program makes. Arguments: the folder, the name of a pack.
const ARCHIVES: &str = r##"
import io, os, sys, tarfile, zipfile
folder, name = sys.argv[1:]
manifest = ("name: %s\nref: %s\ndescription: A test\nversion: 2.0.0\nauthor: a\nemail: a@b.c\n"
            % (name, name)).encode()

def tgz(file, *entries, mode="w:gz"):
    with tarfile.open(os.path.join(folder, file), mode) as archive:
        for path, content, kind in entries:
            info = tarfile.TarInfo(path)
            info.type, info.mode = kind, 0o755
            if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                info.linkname, content = content, b""
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))

def zipped(file, *entries):
    with zipfile.ZipFile(os.path.join(folder, file), "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content, mode in entries:
            info = zipfile.ZipInfo(path)
            info.external_attr = mode << 16
            archive.writestr(info, content, zipfile.ZIP_DEFLATED)

REG, LINK, HARD = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
pack = ("p/pack.yaml", manifest, REG)
noise = os.urandom(200000)
tgz("good.tar.gz", pack, ("p/etc/run.sh", b"#!/bin/sh\n", REG), ("p/link", "etc/run.sh", LINK))
tgz("flat.tgz", ("./pack.yaml", manifest, REG))
zipped("good.zip", ("p/pack.yaml", manifest, 0o100644), ("p/a.sh", "x", 0o100755))
tgz("up.tgz", pack, ("p/../../../escaped", b"x", REG))
tgz("absolute.tgz", pack, (folder + "/escaped", b"x", REG))
tgz("link_out.tgz", pack, ("p/link", "../../../configs", LINK))
tgz("link_absolute.tgz", pack, ("p/link", "/etc/passwd", LINK))
tgz("through_link.tgz", pack, ("p/link", "../../..", LINK), ("p/link/escaped", b"x", REG))
tgz("hard.tgz", pack, ("p/link", "/etc/passwd", HARD))
tgz("device.tgz", pack, ("p/null", b"", tarfile.CHRTYPE))
tgz("pipe.tgz", pack, ("p/pipe", b"", tarfile.FIFOTYPE))
tgz("no_pack.tgz", ("p/readme", b"x", REG))
tgz("bad_name.tgz", ("pack.yaml", b"name: A-B\nref: '../x'\n", REG))
tgz("bomb.tgz", pack, ("p/zeros", bytes(300 << 20), REG))
tgz("many.tgz", pack, *[("p/f%d" % n, b"", REG) for n in range(60000)])
zipped("up.zip", ("pack.yaml", manifest, 0o100644), ("../../escaped", "x", 0o100644))
zipped("link.zip", ("pack.yaml", manifest, 0o100644), ("link", "/etc", 0o120777))
zipped("bomb.zip", ("pack.yaml", manifest, 0o100644), ("zeros", bytes(300 << 20), 0o100644))
tgz("whole.tgz", pack, ("p/noise", noise, REG))
zipped("whole.zip", ("p/pack.yaml", manifest, 0o100644), ("p/noise", noise, 0o100644))
for whole in ("whole.tgz", "whole.zip"):
    with open(os.path.join(folder, whole), "rb") as file:
        content = file.read()
    for part, name in ((content[:len(content) // 2], "half_"), (content[:-3], "most_of_")):
        with open(os.path.join(folder, name + whole), "wb") as file:
            file.write(part)
"##;

/// Refused archives, and a word of what is said of each.
const REFUSED: [(&str, &str); 20] = [
    ("up.tgz", "outside"),
    ("absolute.tgz", "outside"),
    ("link_out.tgz", "outside"),
    ("link_absolute.tgz", "outside"),
    ("through_link.tgz", "failed to unpack"),
    ("hard.tgz", "hard link"),
    ("device.tgz", "device"),
    ("pipe.tgz", "pipe"),
    ("no_pack.tgz", "no pack.yaml"),
    ("bad_name.tgz", "cannot name a pack"),
    ("bomb.tgz", "more than 256 MiB"),
    ("many.tgz", "more than 50000"),
    ("up.zip", "outside"),
    ("link.zip", "outside"),
    ("bomb.zip", "more than 256 MiB"),
    ("half_whole.tgz", "half written"),
    ("most_of_whole.tgz", "half written"),
    ("half_whole.zip", "half written"),
    ("most_of_whole.zip", "half written"),
    ("whole.rar", "there is no"),
];

fn archives(place: &Place, name: &str) {
    fs::create_dir(place.path("sources")).unwrap();
    let made = Command::new("python3")
        .args(["-c", ARCHIVES])
        .arg(place.path("sources"))
        .arg(name)
        .status();
    assert!(made.unwrap().success());
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn succeeds(output: Output) -> String {
    assert!(output.status.success(), "{}", errors(&output));
    stdout(&output)
}

fn refused(output: &Output, word: &str) {
    let said = errors(output);
    assert!(!output.status.success(), "{word}: {said}");
    assert!(said.contains(word), "{word}: {said}");
}

fn git(folder: &Path, args: &[&str]) {
    let done = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@t.example"])
        .args(["-c", "init.defaultBranch=main", "-C"])
        .arg(folder)
        .args(args)
        .output();
    let done = done.unwrap();
    assert!(done.status.success(), "git {args:?}: {}", errors(&done));
}

/// A repository with the tags v1.0.0 and v2.0.0 of the pack `from_git`; its folder and URL.
fn repository(place: &Place) -> (std::path::PathBuf, String) {
    let folder = place.path("repository");
    fs::create_dir(&folder).unwrap();
    git(&folder, &["init", "-q"]);
    for version in ["1.0.0", "2.0.0"] {
        let manifest =
            format!("name: from_git\ndescription: A test\nversion: {version}\nauthor: a\n");
        place.write("repository/pack.yaml", &manifest);
        git(&folder, &["add", "-A"]);
        git(&folder, &["commit", "-q", "-m", version]);
        git(&folder, &["tag", &format!("v{version}")]);
    }
    let url = format!("file://{}", folder.display());
    (folder, url)
}

fn version(place: &Place, pack: &str) -> String {
    let manifest = place.read(&format!("packs/{pack}/pack.yaml"));
    let line = manifest
        .lines()
        .find_map(|line| line.strip_prefix("version: "));
    line.unwrap_or_default().to_owned()
}

fn nothing_is_left(place: &Place) {
    let folder = place.path("packs/.petrel-install");
    assert!(!folder.exists(), "{}", folder.display());
    for name in ["escaped", "packs/escaped", "sources/escaped"] {
        assert!(!place.path(name).exists(), "{name}");
    }
}

#[test]
fn what_is_refused_changes_nothing_and_what_was_there_runs_on() {
    let place = Place::new();
    place.healthy();
    archives(&place, "healthy");
    let petrel = place.start();
    petrel.ready("healthy.Pulse");
    let before = place.read("packs/healthy/pack.yaml");
    for (archive, word) in REFUSED {
        let path = format!("./sources/{archive}");
        refused(
            &place.petrel(&["pack", "install", "--replace", &path]),
            word,
        );
        nothing_is_left(&place);
    }
    for (source, word) in [
        ("./sources", "no pack.yaml"),
        ("./nowhere", "there is no"),
        ("file:///nowhere/at/all", "failed to fetch"),
        ("ext::sh -c true", "only"),
        ("http://host.example/x", "only"),
        ("./sources/whole.tgz", "--replace"),
    ] {
        refused(&place.petrel(&["pack", "install", source]), word);
        nothing_is_left(&place);
    }
    let index = "https://127.0.0.1:9/index.json";
    let unreachable = place.petrel(&["pack", "install", "--index", index, "csv"]);
    refused(&unreachable, "failed to read the index of packs");
    assert_eq!(place.read("packs/healthy/pack.yaml"), before);
    let seen = place.events().len();
    wait_until("events after all of it", || {
        (place.events().len() > seen).then_some(())
    });
    assert_eq!(petrel.count("sensor.ended", "healthy.Pulse"), 0);
}

#[test]
fn a_pack_comes_from_an_archive_a_folder_a_repository_or_the_index() {
    let place = Place::new();
    archives(&place, "thing");
    for source in ["good.tar.gz", "flat.tgz", "good.zip"] {
        let path = format!("./sources/{source}");
        let said = succeeds(place.petrel(&["pack", "install", "--replace", &path]));
        assert!(said.starts_with("installed thing 2.0.0"), "{said}");
        assert_eq!(version(&place, "thing"), "2.0.0");
    }
    let mode = place
        .path("packs/thing/a.sh")
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o111, 0o111, "{mode:o}");
    place.write(
        "pack.yaml",
        "name: all\ndescription: A test\nversion: 1.0.0\nauthor: a\n",
    );
    refused(&place.petrel(&["pack", "install", "."]), "holds the folder");

    let (folder, url) = repository(&place);
    let commit = Command::new("git")
        .arg("-C")
        .arg(&folder)
        .args(["rev-parse", "v1.0.0"])
        .output();
    let commit = stdout(&commit.unwrap());
    for (reference, expected) in [
        ("", "2.0.0"),
        ("=1.0.0", "1.0.0"),
        ("=v2.0.0", "2.0.0"),
        (&format!("={}", commit.trim()), "1.0.0"),
        ("=main", "2.0.0"),
    ] {
        let source = format!("{url}{reference}");
        succeeds(place.petrel(&["pack", "install", "--replace", &source]));
        assert_eq!(version(&place, "from_git"), expected, "{reference}");
        assert!(!place.path("packs/from_git/.git").exists());
    }
    let missing = place.petrel(&["pack", "install", "--replace", &format!("{url}=7.0.0")]);
    refused(&missing, "Available versions are: v2.0.0, v1.0.0.");

    let index =
        format!(r#"{{"packs": {{"from_git": {{"repo_url": "{url}", "version": "1.0.0"}}}}}}"#);
    place.write("index.json", &index);
    for (name, expected) in [("from_git", "1.0.0"), ("from_git=2.0.0", "2.0.0")] {
        let args = [
            "pack",
            "install",
            "--replace",
            "--index",
            "index.json",
            name,
        ];
        succeeds(place.petrel(&args));
        assert_eq!(version(&place, "from_git"), expected);
    }
    place.write("petrel.yaml", "packs: {index: index.json}\n");
    let install = ["pack", "install", "--replace", "from_git=1.0.0"];
    succeeds(place.petrel(&install));
    assert_eq!(version(&place, "from_git"), "1.0.0");
    let unknown = place.petrel(&["pack", "install", "--index", "index.json", "from_gti"]);
    refused(
        &unknown,
        "No record of the \"from_gti\" pack in the index. did you mean",
    );
    nothing_is_left(&place);
}

#[test]
fn hooks_of_a_repository_do_not_run() {
    let place = Place::new();
    let (folder, url) = repository(&place);
    let hook = format!("#!/bin/sh\ntouch {}\n", place.path("escaped").display());
    for name in ["post-checkout", "pre-commit", "post-merge"] {
        place.write(&format!("template/hooks/{name}"), &hook);
        place.write(&format!("repository/.git/hooks/{name}"), &hook);
    }
    assert!(folder.join(".git/hooks/post-checkout").exists());
    let mut command = place.command(&["pack", "install", &url]);
    command.env("GIT_TEMPLATE_DIR", place.path("template"));
    succeeds(command.output().unwrap());
    assert!(!place.path("escaped").exists());
}

#[test]
fn a_repository_that_grows_when_it_is_laid_out_is_not() {
    let place = Place::new();
    let (folder, url) = repository(&place);
    // Zeros, which git packs to almost nothing.
    let bomb = fs::File::create(folder.join("zeros")).unwrap();
    bomb.set_len(257 << 20).unwrap();
    git(&folder, &["-c", "core.compression=1", "add", "-A"]);
    git(&folder, &["commit", "-q", "-m", "bomb"]);
    let output = place.petrel(&["pack", "install", &url]);
    refused(&output, "it has more than 256 MiB of files");
    nothing_is_left(&place);
}

/// Every argument of every process.
fn arguments() -> String {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let read = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    read.map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', " ") + "\n")
        .collect()
}

#[test]
fn a_token_in_a_url_is_in_no_argument_of_git() {
    let place = Place::new();
    // The real git asks our helper; what would go over the network is a script that asks it too.
    let said = place.path("said").display().to_string();
    let helper = format!(
        "#!/bin/sh\nprintf 'protocol=https\\nhost=git.invalid\\n\\n' | git credential fill > {said}\n\
         touch {said}.done\nexec sleep 1000\n"
    );
    place.write("exec/git-remote-https", &helper);
    let real = Command::new("git").arg("--exec-path").output().unwrap();
    let real = String::from_utf8(real.stdout).unwrap();
    for entry in fs::read_dir(real.trim()).unwrap().flatten() {
        let to = place.path("exec").join(entry.file_name());
        let _ = std::os::unix::fs::symlink(entry.path(), to);
    }
    let url = "https://me:s3cr3t-tok3n@git.invalid/pack.git";
    let mut install = place.command(&["pack", "install", url]);
    install.env("GIT_EXEC_PATH", place.path("exec"));
    let mut child = install
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let done = place.path("said.done");
    wait_until("git asked", || done.exists().then_some(()));
    let told = place.read("said");
    assert!(
        told.contains("username=me\npassword=s3cr3t-tok3n"),
        "{told}"
    );
    let seen = arguments();
    let seen: Vec<_> = seen.lines().filter(|line| line.contains("tok3n")).collect();
    // What was typed is petrel's own command line.
    assert!(
        seen.iter().all(|line| line.contains("pack install")),
        "{seen:?}"
    );
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn replacing_keeps_the_configuration_and_removing_leaves_it() {
    let place = Place::new();
    place.pack("thing");
    place.write("packs/thing/config.yaml", "---\nkept: true\n");
    place.write("packs/thing/old.txt", "old");
    archives(&place, "thing");
    let said = succeeds(place.petrel(&["pack", "install", "--replace", "./sources/good.zip"]));
    assert!(said.contains("(was 1.0.0)"), "{said}");
    assert_eq!(place.read("packs/thing/config.yaml"), "---\nkept: true\n");
    assert!(!place.path("packs/thing/old.txt").exists());
    place.write("configs/thing.yaml", "a: 1\n");
    refused(
        &place.petrel(&["pack", "remove", "thnig"]),
        "did you mean \"thing\"",
    );
    place.pack("other");
    let one_is_wrong = ["pack", "remove", "thing", "othr"];
    refused(&place.petrel(&one_is_wrong), "did you mean \"other\"");
    assert!(place.path("packs/thing").exists() && place.path("packs/other").exists());
    succeeds(place.petrel(&["pack", "remove", "thing", "other", "thing"]));
    assert!(!place.path("packs/thing").exists() && !place.path("packs/other").exists());
    assert_eq!(place.read("configs/thing.yaml"), "a: 1\n");
}

#[test]
fn what_a_pack_asks_for_is_installed_with_it_or_told() {
    let place = Place::new();
    let (_, url) = repository(&place);
    let manifest = "name: top\ndescription: A test\nversion: 1.0.0\nauthor: a\n";
    let dependencies = format!("{manifest}dependencies:\n  - {url}=1.0.0\n");
    place.write("top/pack.yaml", &dependencies);
    succeeds(place.petrel(&["pack", "install", "./top"]));
    assert_eq!(version(&place, "from_git"), "1.0.0");
    place.write(
        "late/pack.yaml",
        &format!("{manifest}ref: late\nstackstorm_version: '>=99.0.0'\n"),
    );
    let late = place.petrel(&["pack", "install", "./late"]);
    refused(&late, "Pack \"late\" requires StackStorm \">=99.0.0\"");
    succeeds(place.petrel(&["pack", "install", "--force", "./late"]));
}

#[test]
fn a_pack_whose_requirements_do_not_install_changes_nothing() {
    let place = Place::new();
    place.pack("thing");
    let manifest = "name: thing\ndescription: A test\nversion: 2.0.0\nauthor: a\n";
    place.write("new/pack.yaml", manifest);
    place.write(
        "new/requirements.txt",
        "/nowhere/at_all-1.0-py3-none-any.whl\n",
    );
    let install = ["pack", "install", "--replace", "./new"];
    refused(&place.petrel(&install), "nothing was changed");
    assert_eq!(version(&place, "thing"), "1.0.0");
    nothing_is_left(&place);
    let without = [
        "pack",
        "install",
        "--replace",
        "--skip-environment",
        "./new",
    ];
    succeeds(place.petrel(&without));
    assert_eq!(version(&place, "thing"), "2.0.0");
}

#[test]
fn a_new_pack_runs_at_once() {
    let place = Place::new();
    let said = succeeds(place.petrel(&["pack", "create", "fresh"]));
    assert!(said.starts_with("created "), "{said}");
    refused(
        &place.petrel(&["pack", "create", "fresh"]),
        "is there already",
    );
    refused(
        &place.petrel(&["pack", "create", "No-Name"]),
        "cannot name a pack",
    );
    let check = place.petrel(&["check"]);
    assert!(stdout(&check).contains("0 errors, 0 warnings"), "{check:?}");
    succeeds(place.petrel(&["pack", "config", "fresh", "greeting=Salut"]));
    let mut petrel = place.start();
    petrel.ready("fresh.Ticker");
    let result = wait_until("an execution", || {
        let all = place.executions();
        let ended = all.iter().find(|one| one["status"] == "succeeded")?;
        Some(ended["result"]["result"].as_str()?.to_owned())
    });
    assert!(result.starts_with("Salut, tick "), "{result}");
    assert!(petrel.stop().success());
}

#[test]
fn a_configuration_is_valid_private_and_asked_for() {
    let place = Place::new();
    place.pack("thing");
    let schema = "host: {type: string, required: true}\nport: {type: integer, default: 80}\n\
        login:\n  type: object\n  properties:\n    token: {type: string, secret: true}\n";
    place.write("packs/thing/config.schema.yaml", schema);
    let set = |values: &[&str]| {
        let mut args = vec!["pack", "config", "thing"];
        args.extend(values);
        place.petrel(&args)
    };
    refused(&set(&["port=many", "host=x"]), "does not fit");
    refused(&set(&["port=1"]), "\"host\"");
    refused(&set(&["hots=x"]), "did you mean \"host\"");
    assert!(!place.path("configs/thing.yaml").exists());
    let output = set(&["host=yes", "port=8080", "login.token=t0ken"]);
    assert!(
        errors(&output).contains("login.token is secret"),
        "{output:?}"
    );
    let expected = "---\nhost: \"yes\"\nport: 8080\nlogin:\n  token: \"t0ken\"\n";
    assert_eq!(place.read("configs/thing.yaml"), expected);
    let file = place.path("configs/thing.yaml");
    let mode = file.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{mode:o}");

    let mut command = place.command(&["pack", "config", "thing"]);
    let answers = place.write("answers", "\n9090\nnew\n");
    command.stdin(fs::File::open(answers).unwrap());
    let output = command.output().unwrap();
    let asked = errors(&output);
    assert!(output.status.success(), "{asked}");
    assert!(
        asked.contains("host (string) [yes]") && !asked.contains("t0ken"),
        "{asked}"
    );
    let expected = "---\nhost: \"yes\"\nport: 9090\nlogin:\n  token: \"new\"\n";
    assert_eq!(place.read("configs/thing.yaml"), expected);
    place.write("configs/thing.yaml", "host: [\n");
    refused(&set(&["port=1"]), "cannot be read");
    assert_eq!(place.read("configs/thing.yaml"), "host: [\n");
}

#[test]
fn the_names_of_stackstorm_lead_here() {
    let place = Place::new();
    fs::create_dir(place.path("bin")).unwrap();
    let occupied = place.write("bin/st2ctl", "mine");
    refused(&place.petrel(&["link", "bin"]), "nothing was linked");
    assert!(!place.path("bin/st2").exists());
    fs::remove_file(occupied).unwrap();
    succeeds(place.petrel(&["link", "bin"]));
    succeeds(place.petrel(&["link", "bin"]));
    let run = |name: &str, args: &[&str]| {
        let mut command = Command::new(place.path("bin").join(name));
        command.args(args).current_dir(place.folder());
        command
            .env("PETREL_DATA", place.path("data"))
            .output()
            .unwrap()
    };
    let said = succeeds(run("st2sdk", &["bootstrap", "my_pack", "-l"]));
    let folder = place.folder().canonicalize().unwrap().join("my_pack");
    let last = format!("Pack \"my_pack\" created in {}\n", folder.display());
    assert_eq!(said, last);
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().flatten().collect();
    names.sort_by_key(fs::DirEntry::file_name);
    let names: Vec<_> = names.iter().map(|one| one.file_name()).collect();
    let expected = [
        "LICENSE",
        "README.md",
        "actions",
        "config.yaml",
        "pack.yaml",
        "sensors",
    ];
    assert_eq!(names, expected);
    refused(&run("st2sdk", &["bootstrap", "my_pack"]), "already exists");
    refused(&run("st2", &["sensro", "list"]), "did you mean \"sensor\"");
    refused(&run("st2ctl", &["reload"]), "no petrel answers");
    let status = run("st2ctl", &["status"]);
    assert_eq!(status.status.code(), Some(1), "{status:?}");
    let status = stdout(&status);
    assert_eq!(
        status,
        "##### st2 components status #####\npetrel is not running.\n"
    );
}
